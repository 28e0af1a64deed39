"""Traps of money seen in earlier systems (DOMAIN section 8), one test each, named after the trap."""

from tallystick.kernel.accounts.deposits import BookDeposit
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.accounts.reversing import ReturnDeposit
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Step
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.receivables.void import VoidReceivable
from tallystick.kernel.redemption.shares import release_shares
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.accounts import booking, money, opened
from tests.support.receivables import anchor, issued
from tests.support.redemption import debt


def test_debt_was_not_zero_after_full_repayment() -> None:
    d = debt()
    d.fund(3_000)
    for units in (7, 333, 101):
        d.world.do(d.redeem(units), by=d.buyer)
    d.world.do(d.redeem(int(d.row.outstanding)), by=d.buyer)
    assert (int(d.row.outstanding), int(d.row.redeemed), d.row.parcel_count) == (0, 1_000, 0)
    assert d.money() == (2_000, 600, 400)
    credit = d.world.state.rows[f"credit/{d.buyer}.CNY"]
    assert credit.outstanding == 0


def test_one_overdue_bill_blocked_all_others() -> None:
    d = debt()
    d.to_due_date()
    d.past_grace()
    assert d.state is ReceivableState.OVERDUE
    today = d.world.today()
    other = issued(d.world, d.buyer, d.supplier, 50, d.trade.auditor, issue_on=today, due_on=today.replace(month=9))
    d.fund(60)
    d.world.wait(until=d.world.row(Receivable, other).pay_at)
    assert d.world.row(Receivable, other).state is ReceivableState.REDEEMED
    assert d.state is ReceivableState.OVERDUE


def test_the_maturity_day_flipped_between_start_and_end_of_day() -> None:
    d = debt()
    opening, last = d.row.pay_at, d.row.overdue_at
    assert opening is not None
    assert last is not None
    assert last == opening.plus(DAY_MS - 1), "one day, from its first to its last millisecond"
    d.fund(1_000)
    d.world.wait(until=opening.plus(-1))
    assert d.state is ReceivableState.VALID
    d.world.wait(1)
    assert d.state is ReceivableState.REDEEMED


def test_a_hold_was_committed_twice() -> None:
    d = debt(accounts=("supplier",))
    d.fund(1_000)
    d.to_due_date()
    opened(d.world, d.maker, d.bank)
    for _ in range(3):
        d.world.wait()
    assert money(d.world, d.maker) == 400
    overlay = Overlay(d.world.state)
    step = Step(d.world.chain, d.world.block(), overlay, 0, ("block", "again"), ())
    step.begin(0)
    step.open_for_writing()
    assert list(release_shares(step, d.row)) == []
    d.check()


def test_a_refund_left_the_debits_key_alive() -> None:
    d = debt()
    stray = BookDeposit(bank_reference="IN-1", currency="CNY", units=Units(70))
    deposit = d.world.do(stray, by=d.bank).events[-1].record
    back = ReturnDeposit(deposit=deposit, currency="CNY", units=Units(70), bank_reference="OUT-1")
    d.world.do(back, by=d.bank)
    for reference in ("IN-1", "OUT-1"):
        again = booking(d.world, d.account, 70, reference)
        d.world.do(again, by=d.bank, expect=Status.BANK_REFERENCE_USED)


def test_a_paid_after_void_went_through() -> None:
    d = debt(split=False)
    d.fund(1_000)
    void = VoidReceivable(receivable=d.receivable, reason=anchor("reason"))
    d.world.do(void, by=d.buyer, also=(d.supplier, d.trade.auditor))
    d.world.do(d.redeem(1_000), by=d.buyer, expect=Status.WRONG_STATE)
    d.world.wait(200 * DAY_MS)
    assert d.money() == (1_000, 0, 0)


def test_a_refused_payment_takes_effect_only_under_a_new_id() -> None:
    # That the same id stays refused is the ledger's matter: its receipt answers before the kernel is asked.
    d = debt()
    target = opened(d.world, d.trade.funder, d.bank)
    pay = TransferFunds(source=d.account, target=target, currency="CNY", units=Units(10), subject="goods")
    d.world.do(pay, by=d.buyer, expect=Status.INSUFFICIENT_FUNDS, id="pay-1")
    d.world.do(d.redeem(1_000), by=d.buyer, expect=Status.INSUFFICIENT_FUNDS, id="redeem-1")
    d.fund(1_010)
    d.world.wait(DAY_MS)
    assert d.money() == (1_010, 0, 0), "a refused step takes no effect later by itself"
    d.world.do(pay, by=d.buyer, id="pay-2")
    d.world.do(d.redeem(1_000), by=d.buyer, id="redeem-2")
    assert d.money() == (0, 600, 400)
