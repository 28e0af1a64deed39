"""Settlement through a bank: receipt, confirmation, denial, silence, the arbitrator, and nobody ruling."""

import datetime

import pytest
from msgspec.structs import replace

from tallystick.kernel.financing.records import FinancingState, Settlement, Verdict
from tallystick.kernel.financing.settlement import (
    ConfirmFinancingReceipt,
    DisputeFinancingReceipt,
    RuleOnFinancing,
)
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SuspendMember
from tallystick.kernel.receivables.records import Receivable
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.accounts import money
from tests.support.financing import (
    MILLION,
    Market,
    award_of,
    deadline_of,
    freeze_of,
    market,
    net_on,
    pass_deadline,
    registered,
    settlement_of,
)
from tests.support.receivables import DUE_ON, anchor, holdings, span

UNKNOWN = "fin_0000000000000000"


def net_of(m: Market, value_on: datetime.date | None = None) -> int:
    return net_on(MILLION, "5.5", value_on or m.world.today(), DUE_ON)


def paid(m: Market, **fields: object) -> str:
    """A financing whose funder anchored the receipt of its payment."""
    financing_id = registered(m, settlement=Settlement.BANK, **fields)
    m.world.do(settlement_of(m, financing_id, net_of(m)), by=m.funder)
    return financing_id


def confirmation_of(m: Market, financing_id: str) -> ConfirmFinancingReceipt:
    payment = m.financing(financing_id).payment
    assert payment is not None
    return ConfirmFinancingReceipt(financing=financing_id, currency="CNY", net=payment.price.net)


def denial_of(financing_id: str) -> DisputeFinancingReceipt:
    return DisputeFinancingReceipt(financing=financing_id, statement=anchor("statement"))


def ruling_of(financing_id: str, verdict: Verdict) -> RuleOnFinancing:
    returned = anchor("return_receipt") if verdict is Verdict.UNLOCK else None
    return RuleOnFinancing(financing=financing_id, verdict=verdict, ruling=anchor("ruling"), returned=returned)


def test_the_clients_confirmation_hands_the_parcel_on() -> None:
    m = market()
    financing_id = registered(m, settlement=Settlement.BANK)
    before = money(m.world, m.funder)
    m.world.do(settlement_of(m, financing_id, net_of(m)), by=m.funder, vector="financing.settle/bank")
    row = m.financing(financing_id)
    assert row.state is FinancingState.PAID
    assert row.deadline == m.world.now.plus(3 * DAY_MS)
    assert holdings(m.world, m.receivable) == [(m.client, 1, MILLION)]
    good = confirmation_of(m, financing_id)
    m.world.do(good, by=m.client, vector="financing.confirm_receipt/accepted")
    assert m.financing(financing_id).state is FinancingState.SETTLED
    assert holdings(m.world, m.receivable) == [(m.funder, 1, MILLION)]
    assert money(m.world, m.funder) == before
    m.world.do(good, by=m.client, expect=Status.WRONG_STATE, vector="financing.confirm_receipt/wrong_state")


def test_the_receipt_and_its_day_are_stated() -> None:
    m = market()
    financing_id = registered(m, settlement=Settlement.BANK)
    m.world.now = m.world.now.plus(DAY_MS)
    today = m.world.today()
    good = settlement_of(m, financing_id, net_of(m))
    m.world.do(replace(good, receipt=None), by=m.funder, expect=Status.BAD_VALUE)
    m.world.do(replace(good, paid_on=None), by=m.funder, expect=Status.BAD_VALUE)
    day = datetime.timedelta(days=1)
    for paid_on in (today + day, today - 2 * day):
        vector = "financing.settle/bad_dates" if paid_on > today else ""
        bad = replace(good, paid_on=paid_on, net=Units(net_of(m, paid_on)))
        m.world.do(bad, by=m.funder, expect=Status.BAD_DATES, vector=vector)
    yesterday = replace(good, paid_on=today - day, net=Units(net_of(m, today - day)))
    m.world.do(yesterday, by=m.funder)


def test_a_confirmation_is_the_clients_of_the_stated_amount() -> None:
    m = market()
    financing_id = paid(m)
    good = confirmation_of(m, financing_id)
    m.world.do(good, by=m.funder, expect=Status.NOT_A_PARTY, vector="financing.confirm_receipt/not_a_party")
    for case, bad in {
        "not_found": replace(good, financing=UNKNOWN),
        "currency_mismatch": replace(good, currency="GBP"),
        "amount_differs": replace(good, net=good.net - 1),
    }.items():
        m.world.do(bad, by=m.client, expect=Status[case.upper()], vector=f"financing.confirm_receipt/{case}")
    m.world.do(freeze_of(m, span(1, 1)), by=m.trade.auditor)
    m.world.do(good, by=m.client, expect=Status.FROZEN, vector="financing.confirm_receipt/frozen")


def test_a_flagged_invoice_keeps_the_parcel_back() -> None:
    m = market()
    financing_id = paid(m)
    row = m.world.row(Receivable, m.receivable)
    good = confirmation_of(m, financing_id)
    m.world.put(replace(row, flagged=("0" * 64,)))
    m.world.do(good, by=m.client, expect=Status.INVOICE_FLAGGED, vector="financing.confirm_receipt/invoice_flagged")
    m.world.put(row)
    m.world.do(good, by=m.client)


def test_both_sides_of_the_confirmation_window() -> None:
    m = market()
    financing_id = paid(m)
    m.world.now = deadline_of(m, financing_id)
    on_time = m.world.sign(confirmation_of(m, financing_id), by=m.client)
    late = market()
    other = paid(late)
    late.world.now = deadline_of(late, other).plus(1)
    late.world.do(
        confirmation_of(late, other),
        by=late.client,
        expect=Status.DEADLINE_PASSED,
        vector="financing.confirm_receipt/deadline_passed",
    )
    assert m.world.submit(on_time).status is Status.OK


def test_a_denial_goes_to_the_arbitrator() -> None:
    m = market()
    financing_id = paid(m)
    good = denial_of(financing_id)
    m.world.do(good, by=m.funder, expect=Status.NOT_A_PARTY, vector="financing.dispute_receipt/not_a_party")
    missing = denial_of(UNKNOWN)
    m.world.do(missing, by=m.client, expect=Status.NOT_FOUND, vector="financing.dispute_receipt/not_found")
    m.world.do(good, by=m.client, vector="financing.dispute_receipt/accepted")
    row = m.financing(financing_id)
    assert row.state is FinancingState.DISPUTED
    assert row.deadline == m.world.now.plus(30 * DAY_MS)
    assert "financing.receipt_disputed" in m.world.told(m.arbitrator)
    m.world.do(good, by=m.client, expect=Status.WRONG_STATE, vector="financing.dispute_receipt/wrong_state")


def test_silence_is_a_dispute_too_and_not_a_moment_early() -> None:
    m = market()
    financing_id = paid(m)
    m.world.wait(until=deadline_of(m, financing_id))
    assert m.financing(financing_id).state is FinancingState.PAID
    m.world.now = m.world.now.plus(1)
    m.world.do(
        denial_of(financing_id),
        by=m.client,
        expect=Status.DEADLINE_PASSED,
        vector="financing.dispute_receipt/deadline_passed",
    )
    m.world.wait()
    assert m.financing(financing_id).state is FinancingState.DISPUTED
    assert [event.facts["reason"] for event in m.world.events if event.kind == "financing.receipt_disputed"] == [
        "silence"
    ]


def test_a_client_may_still_admit_a_payment_in_dispute() -> None:
    m = market()
    financing_id = paid(m)
    m.world.do(denial_of(financing_id), by=m.client)
    m.world.do(confirmation_of(m, financing_id), by=m.client)
    assert m.financing(financing_id).state is FinancingState.SETTLED


def disputed(m: Market, **fields: object) -> str:
    financing_id = paid(m, **fields)
    m.world.do(denial_of(financing_id), by=m.client)
    return financing_id


def test_the_arbitrator_hands_the_parcel_on() -> None:
    m = market()
    financing_id = disputed(m)
    good = ruling_of(financing_id, Verdict.HAND_ON)
    other = m.world.member("Other arbitrator", Role.ARBITRATOR)
    for signer in (m.funder, m.client, other):
        vector = "financing.rule/not_a_party" if signer == other else ""
        m.world.do(good, by=signer, expect=Status.NOT_A_PARTY, vector=vector)
    missing = replace(good, financing=UNKNOWN)
    m.world.do(missing, by=m.arbitrator, expect=Status.NOT_FOUND, vector="financing.rule/not_found")
    bad = replace(good, returned=anchor("return_receipt"))
    m.world.do(bad, by=m.arbitrator, expect=Status.BAD_VALUE, vector="financing.rule/bad_value")
    m.world.do(good, by=m.arbitrator, vector="financing.rule/hand_on")
    assert m.financing(financing_id).state is FinancingState.SETTLED
    assert holdings(m.world, m.receivable) == [(m.funder, 1, MILLION)]
    m.world.do(good, by=m.arbitrator, expect=Status.WRONG_STATE, vector="financing.rule/wrong_state")


def test_the_arbitrator_unlocks_against_a_receipt_of_return() -> None:
    m = market()
    financing_id = disputed(m)
    good = ruling_of(financing_id, Verdict.UNLOCK)
    m.world.do(replace(good, returned=None), by=m.arbitrator, expect=Status.BAD_VALUE)
    m.world.do(good, by=m.arbitrator, vector="financing.rule/unlock")
    row = m.financing(financing_id)
    assert (row.state, row.reason) == (FinancingState.SETTLEMENT_FAILED, "ruled")
    assert row.dispute is not None
    assert row.dispute.returned == good.returned
    assert holdings(m.world, m.receivable) == [(m.client, 1, MILLION)]
    assert not m.world.row(Receivable, m.receivable).parcels[0].locks


def test_a_ruling_waits_for_a_freeze_to_end() -> None:
    m = market()
    financing_id = disputed(m)
    m.world.do(freeze_of(m, span(1, 1), days=2), by=m.trade.auditor)
    good = ruling_of(financing_id, Verdict.HAND_ON)
    m.world.do(good, by=m.arbitrator, expect=Status.FROZEN, vector="financing.rule/frozen")
    m.world.wait(4 * DAY_MS)
    m.world.do(good, by=m.arbitrator)


def test_both_sides_of_the_ruling_window() -> None:
    m = market()
    financing_id = disputed(m)
    m.world.now = deadline_of(m, financing_id).plus(1)
    m.world.do(
        ruling_of(financing_id, Verdict.HAND_ON),
        by=m.arbitrator,
        expect=Status.DEADLINE_PASSED,
        vector="financing.rule/deadline_passed",
    )
    m.world.now = m.world.now.plus(-1)
    m.world.do(ruling_of(financing_id, Verdict.HAND_ON), by=m.arbitrator)


@pytest.mark.parametrize("stated", list(Verdict))
def test_without_a_ruling_the_contract_decides(stated: Verdict) -> None:
    m = market()
    financing_id = disputed(m, contract={"without_ruling": stated})
    pass_deadline(m, financing_id)
    row = m.financing(financing_id)
    if stated is Verdict.HAND_ON:
        assert row.state is FinancingState.SETTLED
        assert holdings(m.world, m.receivable) == [(m.funder, 1, MILLION)]
    else:
        assert (row.state, row.reason) == (FinancingState.SETTLEMENT_FAILED, "no_ruling")
        assert holdings(m.world, m.receivable) == [(m.client, 1, MILLION)]


def test_what_cannot_pass_is_unlocked_when_nobody_ruled() -> None:
    m = market()
    financing_id = disputed(m, contract={"without_ruling": Verdict.HAND_ON})
    m.world.do(freeze_of(m, span(1, 1)), by=m.trade.auditor)
    pass_deadline(m, financing_id)
    assert m.financing(financing_id).state is FinancingState.SETTLEMENT_FAILED


def test_a_suspended_client_still_confirms_what_it_owes() -> None:
    m = market()
    financing_id = paid(m)
    m.world.do(SuspendMember(member=m.client, reason="papers_in_doubt"), by=m.trade.auditor)
    m.world.do(confirmation_of(m, financing_id), by=m.client)
    assert m.financing(financing_id).state is FinancingState.SETTLED


def test_a_failed_settlement_gives_the_position_back_and_the_next_quote_takes_it() -> None:
    m = market()
    financing_id = disputed(m, rates=((m.funder, "5.5"), (m.rival, "6")))
    m.world.do(ruling_of(financing_id, Verdict.UNLOCK), by=m.arbitrator)
    m.world.do(award_of(m, financing_id, m.rival), by=m.client)
    row = m.financing(financing_id)
    assert (row.state, row.funder, row.dispute, row.payment) == (FinancingState.AWARDED, m.rival, None, None)
