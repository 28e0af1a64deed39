"""financing.register, .settle on the ledger: cash and parcel in one step, or neither; what the law wants before."""

import pytest
from msgspec.structs import replace

from tallystick.kernel.accounts.freezes import FreezeAccount
from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.financing.records import FinancingState
from tallystick.kernel.financing.registration import CancelRegistration
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.limits import DebtorCredit, LimitScope, SetLimit
from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.transfers.records import Transfer, TransferKind, TransferState
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.accounts import check_books, money, opened
from tests.support.financing import (
    MILLION,
    Market,
    approved,
    asked,
    award_of,
    awarded,
    contract_of,
    deadline_of,
    decision_of,
    freeze_of,
    market,
    net_on,
    pass_deadline,
    quoted,
    registered,
    registration_of,
    settlement_of,
    signed,
)
from tests.support.receivables import DUE_ON, acceptance_of, anchor, holdings, offered, passing_of, span

UNKNOWN = "fin_0000000000000000"
NUMBER = "R-2026-0001"


def net_of(m: Market, financing_id: str, rate: str = "5.5") -> int:
    return net_on(m.financing(financing_id).face, rate, m.world.today(), DUE_ON)


def test_cash_and_parcel_pass_in_one_step() -> None:
    m = market()
    financing_id = registered(m, 60_000_000)
    net = net_of(m, financing_id)
    before = money(m.world, m.funder)
    m.world.do(settlement_of(m, financing_id, net), by=m.funder, vector="financing.settle/accepted")
    row = m.financing(financing_id)
    assert row.state is FinancingState.SETTLED
    assert money(m.world, m.client) == net
    assert money(m.world, m.funder) == before - net
    check_books(m.world)
    assert holdings(m.world, m.receivable) == [(m.funder, 1, 60_000_000), (m.client, 60_000_001, MILLION)]
    assert not any(parcel.locks for parcel in m.world.row(Receivable, m.receivable).parcels)
    assert row.payment is not None
    assert row.payment.price.net == net
    assert row.live_for() == ()
    (transfer,) = [each for each in m.world.state.rows.values() if isinstance(each, Transfer)]
    assert (transfer.kind, transfer.state) == (TransferKind.FINANCING, TransferState.DONE)
    assert (transfer.sender, transfer.receiver, transfer.consideration) == (m.client, m.funder, net)
    assert (transfer.prior, transfer.recourse) == (m.receivable, False)
    assert "transfer.debtor_notified" in m.world.told(m.trade.buyer)
    for party in (m.client, m.funder, m.trade.buyer):
        assert "financing.settled" in m.world.told(party)


def test_recourse_is_flagged_on_the_hop() -> None:
    m = market()
    financing_id = asked(m)
    quoted(m, financing_id, m.funder, with_recourse=True, fee_rate=Rate.parse("0.1"), minimum_fee=Units(150_000))
    pass_deadline(m, financing_id)
    m.world.do(award_of(m, financing_id, m.funder), by=m.client)
    m.world.do(contract_of(m, financing_id), by=m.client)
    m.world.do(contract_of(m, financing_id, handling=anchor("handling")), by=m.funder)
    m.world.do(decision_of(m, financing_id), by=m.trade.auditor)
    # Without a pack that asks for it, nothing has to be registered.
    net = net_of(m, financing_id) - 150_000
    m.world.do(settlement_of(m, financing_id, net), by=m.funder)
    (transfer,) = [each for each in m.world.state.rows.values() if isinstance(each, Transfer)]
    assert (transfer.recourse, transfer.basis) == (True, MILLION)


def test_a_settlement_is_the_awarded_funders_for_the_computed_amount() -> None:
    m = market()
    financing_id = registered(m)
    good = settlement_of(m, financing_id, net_of(m, financing_id))
    m.world.do(good, by=m.rival, expect=Status.NOT_A_PARTY, vector="financing.settle/not_a_party")
    m.world.do(good, by=m.client, expect=Status.NOT_A_PARTY)
    for case, bad in {
        "not_found": replace(good, financing=UNKNOWN),
        "currency_mismatch": replace(good, currency="GBP"),
        "amount_differs": replace(good, net=good.net + 1),
        "bad_value": replace(good, receipt=anchor("bank_receipt")),
    }.items():
        m.world.do(bad, by=m.funder, expect=Status[case.upper()], vector=f"financing.settle/{case}")
    m.world.do(replace(good, paid_on=m.world.today()), by=m.funder, expect=Status.BAD_VALUE)
    m.world.do(good, by=m.funder)
    m.world.do(good, by=m.funder, expect=Status.WRONG_STATE, vector="financing.settle/wrong_state")


def test_nothing_is_settled_before_the_review() -> None:
    for stage in (asked, awarded, signed):
        m = market()
        financing_id = stage(m)
        m.world.do(settlement_of(m, financing_id, 1), by=m.funder, expect=Status.WRONG_STATE)


def test_the_price_is_of_the_day_of_payment() -> None:
    m = market()
    financing_id = registered(m)
    stale = net_of(m, financing_id)
    m.world.now = m.world.now.plus(DAY_MS)
    m.world.do(settlement_of(m, financing_id, stale), by=m.funder, expect=Status.AMOUNT_DIFFERS)
    m.world.do(settlement_of(m, financing_id, net_of(m, financing_id)), by=m.funder)
    assert net_of(m, financing_id) > stale


def test_both_sides_of_the_settlement_window() -> None:
    m = market()
    first = registered(m, 1_000)
    second = registered(m, 1_000)
    m.world.now = deadline_of(m, first)
    m.world.do(settlement_of(m, first, net_of(m, first)), by=m.funder)
    m.world.now = m.world.now.plus(1)
    late = settlement_of(m, second, net_of(m, second))
    m.world.now = max(m.world.now, deadline_of(m, second).plus(1))
    m.world.do(late, by=m.funder, expect=Status.DEADLINE_PASSED, vector="financing.settle/deadline_passed")
    m.world.wait()
    row = m.financing(second)
    assert (row.state, row.reason) == (FinancingState.SETTLEMENT_FAILED, "not_paid")


def test_without_the_money_neither_passes() -> None:
    m = market(funds=100)
    financing_id = registered(m)
    net = net_of(m, financing_id)
    before = holdings(m.world, m.receivable)
    m.world.do(
        settlement_of(m, financing_id, net),
        by=m.funder,
        expect=Status.INSUFFICIENT_FUNDS,
        vector="financing.settle/insufficient_funds",
    )
    assert holdings(m.world, m.receivable) == before
    assert money(m.world, m.client) == 0


@pytest.mark.parametrize("case", ["account_missing", "custodian_differs", "account_frozen"])
def test_accounts_that_cannot_pay_or_be_paid(case: str) -> None:
    m = market()
    financing_id = registered(m)
    if case == "account_frozen":
        order = FreezeAccount(
            account=m.account_of(m.funder), currency="CNY", units=Units(10 * MILLION), authority_order=anchor("order")
        )
        m.world.do(order, by=m.custodian)
    else:
        m.world.do(CloseAccount(account=m.account_of(m.client)), by=m.client)
    if case == "custodian_differs":
        opened(m.world, m.client, m.world.member("Other bank", Role.CUSTODIAN))
    m.world.do(
        settlement_of(m, financing_id, net_of(m, financing_id)),
        by=m.funder,
        expect=Status[case.upper()],
        vector=f"financing.settle/{case}",
    )


def test_frozen_units_and_flagged_invoices_do_not_pass() -> None:
    m = market()
    financing_id = registered(m)
    good = settlement_of(m, financing_id, net_of(m, financing_id))
    row = m.world.row(Receivable, m.receivable)
    m.world.put(replace(row, flagged=("0" * 64,)))
    m.world.do(good, by=m.funder, expect=Status.INVOICE_FLAGGED, vector="financing.settle/invoice_flagged")
    m.world.put(row)
    m.world.do(freeze_of(m, span(7, 7)), by=m.trade.auditor)
    m.world.do(good, by=m.funder, expect=Status.FROZEN, vector="financing.settle/frozen")
    pass_deadline(m, financing_id)
    assert m.financing(financing_id).state is FinancingState.SETTLEMENT_FAILED


def test_no_settlement_makes_more_parcels_than_the_chain_allows() -> None:
    m = market(max_parcels=2)
    financing_id = registered(m, 10, interval=span(MILLION - 9, MILLION))
    # Room was there at the request; another cut took it.
    other = offered(m.world, m.receivable, m.whole, 10, m.client, m.trade.maker)
    accept_and_pass(m, other)
    m.world.do(
        settlement_of(m, financing_id, net_of(m, financing_id)),
        by=m.funder,
        expect=Status.TOO_MANY_PARCELS,
        vector="financing.settle/too_many_parcels",
    )


def accept_and_pass(m: Market, transfer_id: str) -> None:
    m.world.do(acceptance_of(m.world, transfer_id), by=m.trade.maker)
    m.world.do(passing_of(m.world, transfer_id), by=m.trade.auditor)


def test_no_day_is_left_to_discount() -> None:
    m = market(policies=Policies(cutoff_days=0, settle_days=300))
    financing_id = registered(m)
    m.world.now = m.world.now.plus(200 * DAY_MS)
    m.world.do(
        settlement_of(m, financing_id, MILLION),
        by=m.funder,
        expect=Status.NOTHING_TO_PAY_OUT,
        vector="financing.settle/nothing_to_pay_out",
    )


def test_what_a_funder_financed_counts_against_its_limit() -> None:
    m = market()
    limit = SetLimit(
        scope=LimitScope.FUNDER, debtor=m.trade.buyer, currency="CNY", units=Units(MILLION), until_on=DUE_ON
    )
    m.world.do(limit, by=m.funder)
    financing_id = registered(m, 60_000_000)
    m.world.do(settlement_of(m, financing_id, net_of(m, financing_id)), by=m.funder)
    credit = m.world.row(DebtorCredit, f"{m.trade.buyer}.CNY")
    assert [int(entry.drawn) for entry in credit.funders] == [60_000_000]


# --- registration --------------------------------------------------------------------------------------------------


def test_the_funder_registers_after_the_review() -> None:
    m = market()
    financing_id = signed(m)
    good = registration_of(financing_id)
    m.world.do(good, by=m.funder, expect=Status.WRONG_STATE, vector="financing.register/wrong_state")
    m.world.do(decision_of(m, financing_id), by=m.trade.auditor)
    m.world.do(good, by=m.client, expect=Status.NOT_A_PARTY, vector="financing.register/not_a_party")
    missing = registration_of(UNKNOWN)
    m.world.do(missing, by=m.funder, expect=Status.NOT_FOUND, vector="financing.register/not_found")
    m.world.do(good, by=m.funder, vector="financing.register/accepted")
    assert m.financing(financing_id).state is FinancingState.REGISTERED
    assert m.financing(financing_id).registrations[0].number == NUMBER
    unawarded = market()
    early = registration_of(asked(unawarded))
    unawarded.world.do(early, by=unawarded.funder, expect=Status.WRONG_STATE)


def test_both_sides_of_the_window_to_register() -> None:
    m = market()
    first, second = approved(m, 10), approved(m, 10)
    m.world.now = deadline_of(m, first)
    m.world.do(registration_of(first), by=m.funder)
    m.world.now = max(m.world.now, deadline_of(m, second)).plus(1)
    m.world.do(
        registration_of(second, "R-2026-0002"),
        by=m.funder,
        expect=Status.DEADLINE_PASSED,
        vector="financing.register/deadline_passed",
    )


def cancellation_of(financing_id: str) -> CancelRegistration:
    return CancelRegistration(financing=financing_id, number=NUMBER, cancellation="C-2026-0001")


def test_a_registration_is_cancelled_after_a_failure() -> None:
    m = market()
    financing_id = registered(m)
    good = cancellation_of(financing_id)
    m.world.do(good, by=m.funder, expect=Status.WRONG_STATE, vector="financing.cancel_registration/wrong_state")
    pass_deadline(m, financing_id)
    m.world.do(good, by=m.client, expect=Status.NOT_A_PARTY, vector="financing.cancel_registration/not_a_party")
    for missing in (replace(good, financing=UNKNOWN), replace(good, number="R-0")):
        vector = "financing.cancel_registration/not_found" if missing.number == "R-0" else ""
        m.world.do(missing, by=m.funder, expect=Status.NOT_FOUND, vector=vector)
    m.world.do(good, by=m.funder, vector="financing.cancel_registration/accepted")
    assert m.financing(financing_id).registrations[0].cancelled == "C-2026-0001"
    vector = "financing.cancel_registration/already_decided"
    m.world.do(good, by=m.funder, expect=Status.ALREADY_DECIDED, vector=vector)


def test_both_sides_of_the_time_to_cancel() -> None:
    m = market()
    financing_id = registered(m)
    pass_deadline(m, financing_id)
    cancel_by = m.financing(financing_id).registrations[0].cancel_by
    assert cancel_by == m.world.now.plus(5 * DAY_MS)
    m.world.wait(until=cancel_by)
    assert "financing.cancellation_overdue" not in m.world.told(m.funder)
    m.world.wait(1)
    assert m.world.told(m.client).count("financing.cancellation_overdue") == 1
    m.world.wait(DAY_MS)
    assert m.world.told(m.client).count("financing.cancellation_overdue") == 1
    # It can still be cancelled, and until it is, it bars what the law bars.
    m.world.do(cancellation_of(financing_id), by=m.funder)
