"""A maturity in between: once both signed, the money waits for the financing's outcome, which decides whose it is."""

import datetime

import pytest
from msgspec.structs import replace

from tallystick.kernel.accounts.records import Balance
from tallystick.kernel.calendar.days import start_of
from tallystick.kernel.financing.records import FinancingState, Settlement, Verdict
from tallystick.kernel.financing.settlement import ConfirmFinancingReceipt, DisputeFinancingReceipt, RuleOnFinancing
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.redemption.redeem import Redeem
from tallystick.kernel.reviews.records import ReviewResult
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status
from tests.support.accounts import check_books, money, opened
from tests.support.financing import (
    MILLION,
    Market,
    asked,
    decision_of,
    market,
    net_on,
    pass_deadline,
    quoted,
    registered,
    settlement_of,
    signed,
)
from tests.support.receivables import DUE_ON, anchor, holdings

SLOW = Policies(contract_days=200, review_deadline_days=200, settle_days=200, receipt_days=200, ruling_days=200)


def debtor_market() -> Market:
    """The market with a debtor that has the money."""
    m = market(policies=SLOW)
    opened(m.world, m.trade.buyer, m.custodian, units=MILLION)
    return m


def due_day(m: Market) -> Instant:
    """The opening of the due date."""
    return start_of(m.world.state, DUE_ON)


def held(m: Market) -> int:
    """Money on hold accounts."""
    return sum(
        row.units for row in m.world.state.rows.values() if isinstance(row, Balance) and row.id.startswith("hold/")
    )


def early(m: Market, units: int) -> None:
    """The debtor redeems early."""
    m.world.do(Redeem(receivable=m.receivable, currency="CNY", units=Units(units)), by=m.trade.buyer)


def test_a_maturity_under_contract_is_held_and_goes_to_the_funder_when_its_payment_is_confirmed() -> None:
    m = debtor_market()
    financing_id = registered(m, 60_000_000, settlement=Settlement.BANK)
    paid_on = m.world.today()
    net = net_on(60_000_000, "5.5", paid_on, DUE_ON)
    m.world.do(settlement_of(m, financing_id, net), by=m.funder)
    before = money(m.world, m.funder)
    m.world.wait(until=due_day(m))
    assert m.world.row(Receivable, m.receivable).state is ReceivableState.REDEEMED
    assert held(m) == 60_000_000
    assert money(m.world, m.client) == 40_000_000
    confirm = ConfirmFinancingReceipt(financing=financing_id, currency="CNY", net=Units(net))
    m.world.do(confirm, by=m.client, vector="financing.confirm_receipt/after_maturity")
    assert m.financing(financing_id).state is FinancingState.SETTLED
    assert (held(m), money(m.world, m.funder) - before) == (0, 60_000_000)
    check_books(m.world)


@pytest.mark.parametrize("ending", ["refused", "not_paid", "ruled"])
def test_a_maturity_under_contract_goes_to_the_client_when_the_financing_fails(ending: str) -> None:
    m = debtor_market()
    financing_id = signed(m) if ending == "refused" else registered(m, settlement=Settlement.BANK)
    if ending == "ruled":
        m.world.do(settlement_of(m, financing_id, net_on(MILLION, "5.5", m.world.today(), DUE_ON)), by=m.funder)
        m.world.do(DisputeFinancingReceipt(financing=financing_id, statement=anchor("statement")), by=m.client)
    m.world.wait(until=due_day(m))
    assert (held(m), money(m.world, m.client)) == (MILLION, 0)
    if ending == "refused":
        m.world.do(decision_of(m, financing_id, ReviewResult.REFUSE), by=m.trade.auditor)
    elif ending == "ruled":
        returned = anchor("return_receipt")
        ruling = RuleOnFinancing(
            financing=financing_id, verdict=Verdict.UNLOCK, ruling=anchor("ruling"), returned=returned
        )
        m.world.do(ruling, by=m.arbitrator)
    else:
        pass_deadline(m, financing_id)
    assert (held(m), money(m.world, m.client)) == (0, MILLION)
    check_books(m.world)


def test_after_the_due_date_nothing_is_left_to_discount_on_the_ledger() -> None:
    m = debtor_market()
    financing_id = registered(m)
    m.world.wait(until=due_day(m))
    m.world.do(settlement_of(m, financing_id, MILLION), by=m.funder, expect=Status.NOTHING_TO_PAY_OUT)
    pass_deadline(m, financing_id)
    assert m.financing(financing_id).state is FinancingState.SETTLEMENT_FAILED
    assert money(m.world, m.client) == MILLION


def test_part_redeemed_early_under_contract_settles_with_the_rest_of_the_parcel() -> None:
    m = debtor_market()
    financing_id = registered(m)
    early(m, 30_000_000)
    assert held(m) == 30_000_000
    before = money(m.world, m.funder)
    net = net_on(MILLION, "5.5", m.world.today(), DUE_ON)
    m.world.do(settlement_of(m, financing_id, net), by=m.funder, vector="financing.settle/part_redeemed")
    assert holdings(m.world, m.receivable) == [(m.funder, 30_000_001, MILLION)]
    assert money(m.world, m.funder) == before - net + 30_000_000
    assert money(m.world, m.client) == net
    assert held(m) == 0
    check_books(m.world)


def test_a_redemption_before_the_full_signature_pays_the_client_and_ends_the_request() -> None:
    m = debtor_market()
    financing_id = asked(m, 10_000_000, closes_at=m.world.now.plus(3 * DAY_MS))
    quoted(m, financing_id, m.funder)
    early(m, 5_000_000)
    row = m.financing(financing_id)
    assert (row.state, row.reason, row.deadline) == (FinancingState.EXPIRED, "redeemed", None)
    assert money(m.world, m.client) == 5_000_000
    assert held(m) == 0
    assert not any(parcel.locks for parcel in m.world.row(Receivable, m.receivable).parcels)
    assert "financing.expired" in m.world.told(m.funder)


def test_what_is_neither_live_nor_held_cannot_be_settled() -> None:
    m = debtor_market()
    financing_id = registered(m)
    row = m.world.row(Receivable, m.receivable)
    # As after a judgment that took the units away: no lock of this financing is left anywhere.
    m.world.put(replace(row, parcels=tuple(replace(parcel, locks=()) for parcel in row.parcels)))
    net = net_on(MILLION, "5.5", m.world.today(), DUE_ON)
    m.world.do(
        settlement_of(m, financing_id, net),
        by=m.funder,
        expect=Status.UNITS_NOT_LIVE,
        vector="financing.settle/units_not_live",
    )


def test_the_due_date_itself_is_the_first_day_without_discount() -> None:
    m = market(policies=Policies(cutoff_days=0, settle_days=200))
    financing_id = registered(m)
    m.world.now = due_day(m).plus(-1)
    eve = DUE_ON - datetime.timedelta(days=1)
    m.world.do(settlement_of(m, financing_id, net_on(MILLION, "5.5", eve, DUE_ON)), by=m.funder)
