"""Attempts of a debtor, or of one who answers for it, not to pay and yet not to be late."""

import datetime
from typing import Any

import msgspec

from tallystick.kernel.calendar.records import Convention
from tallystick.kernel.governance.policies import Policies, PolicyBook, PolicyVersion
from tallystick.kernel.membership.standing import DeclareInsolvent
from tallystick.kernel.receivables.judgments import CancelByJudgment
from tallystick.kernel.receivables.records import ReceivableState
from tallystick.kernel.recourse.claims import ClaimRecourse, PayRecourse
from tallystick.kernel.redemption.bank import ConfirmPayment, PaymentAnswer
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status
from tests.support.receivables import (
    anchor,
    approval_of,
    confirmed,
    issued,
    request_of,
    span,
    trade,
    transferred,
)
from tests.support.redemption import Debt, debt


def denies(d: Debt, holder: str, units: int) -> None:
    answer = ConfirmPayment(receivable=d.receivable, currency="CNY", units=Units(units), answer=PaymentAnswer.DENIED)
    d.world.do(answer, by=holder)


def test_false_bank_payments_one_after_another_put_off_being_overdue() -> None:
    """Each is begun just before the receivable would be overdue, and denied by the holder while that is put off."""
    d = debt(split=False)
    d.to_due_date()
    grace_ends = d.row.overdue_at
    assert grace_ends is not None
    for _ in range(4):
        if d.row.overdue_at is None:
            break
        d.world.wait(until=d.row.overdue_at.plus(-1))
        d.world.do(d.by_bank(1_000), by=d.buyer)
        d.world.wait(until=d.row.overdue_at.plus(1))
        if d.state is ReceivableState.REDEEMING:
            denies(d, d.supplier, 1_000)
    assert d.state is ReceivableState.OVERDUE
    assert d.world.now <= grace_ends.plus(4 * DAY_MS)


def test_silent_holders_put_it_off_once() -> None:
    d = debt(split=False)
    d.to_due_date()
    assert d.row.overdue_at is not None
    d.world.wait(until=d.row.overdue_at.plus(-1))
    d.world.do(d.by_bank(1_000), by=d.buyer)
    d.world.wait(until=d.row.overdue_at.plus(1))
    d.world.do(d.by_bank(1_000), by=d.buyer, expect=Status.OVER_AVAILABLE)
    d.world.wait(until=d.row.overdue_at.plus(1))
    assert d.state is ReceivableState.OVERDUE


def test_a_bank_payment_that_is_awaited_at_the_end_of_grace_is_waited_for_once() -> None:
    d = debt(split=False)
    d.to_due_date()
    d.world.do(d.by_bank(1_000), by=d.buyer)
    d.past_grace()
    received = ConfirmPayment(receivable=d.receivable, currency="CNY", units=Units(1_000))
    d.world.do(received, by=d.supplier)
    assert d.state is ReceivableState.REDEEMED


def test_an_insolvent_debtor_takes_its_earmark_back() -> None:
    d = debt()
    d.fund(1_000)
    d.world.do(d.earmark(1_000), by=d.buyer)
    d.world.do(DeclareInsolvent(member=d.buyer, order=anchor("order")), by=d.trade.auditor)
    d.world.do(
        d.earmark(0), by=d.buyer, expect=Status.EARMARK_BINDING, vector="redemption.earmark/binding_of_the_insolvent"
    )


def test_a_shorter_claim_period_set_after_the_dishonour_cuts_nobody_off() -> None:
    d = debt(recourse=True)
    d.to_due_date()
    d.past_grace()
    book = d.world.row(PolicyBook, "chain")
    shorter = msgspec.structs.replace(book.versions[-1].values, recourse_claim_days=1)
    version = PolicyVersion(from_on=d.world.today() + datetime.timedelta(days=1), values=shorter)
    d.world.put(msgspec.structs.replace(book, versions=(*book.versions, version)))
    d.world.wait(20 * DAY_MS)
    d.world.do(ClaimRecourse(receivable=d.receivable, parcel=span(1, 400)), by=d.maker)


def test_a_longer_claim_period_set_after_it_has_run_out_revives_no_claim() -> None:
    d = debt(recourse=True, recourse_claim_days=1)
    d.to_due_date()
    d.past_grace()
    d.world.wait(2 * DAY_MS)
    book = d.world.row(PolicyBook, "chain")
    longer = msgspec.structs.replace(book.versions[-1].values, recourse_claim_days=100)
    version = PolicyVersion(from_on=d.world.today(), values=longer)
    d.world.put(msgspec.structs.replace(book, versions=(*book.versions, version)))
    claim = ClaimRecourse(receivable=d.receivable, parcel=span(1, 400))
    d.world.do(claim, by=d.maker, expect=Status.DEADLINE_PASSED)


def test_one_who_answers_for_nothing_of_what_is_left_takes_it_for_nothing() -> None:
    t = trade()
    world = t.world
    receivable = issued(world, t.buyer, t.supplier, 1_000, t.auditor)
    whole = span(1, 1_000)
    transferred(world, receivable, whole, 1_000, t.supplier, t.maker, t.auditor, recourse=True, consideration=Units(1))
    row = world.state.rows[f"receivable/{receivable}"]
    world.wait(until=row.overdue_at.plus(1))  # type: ignore[attr-defined]  # a receivable's
    claim = world.do(ClaimRecourse(receivable=receivable, parcel=whole), by=t.maker).events[0].record
    cancelled = CancelByJudgment(receivable=receivable, interval=span(901, 1_000), judgment=anchor("judgment"))
    world.do(cancelled, by=t.auditor)
    world.do(
        PayRecourse(recourse=claim, currency="CNY", units=ZERO),
        by=t.supplier,
        expect=Status.AMOUNT_ZERO,
        vector="recourse.pay/amount_zero",
    )


def test_units_cancelled_by_a_judgment_keep_no_payment_pending() -> None:
    """Dead units that were disputed would bar the rest from being handed on until the due date."""
    d = debt()
    d.world.do(d.by_bank(400), by=d.buyer)
    denies(d, d.maker, 160)
    cancelled = CancelByJudgment(receivable=d.receivable, interval=span(1, 400), judgment=anchor("judgment"))
    d.world.do(cancelled, by=d.trade.auditor)
    received = ConfirmPayment(receivable=d.receivable, currency="CNY", units=Units(240))
    d.world.do(received, by=d.supplier)
    assert d.state is ReceivableState.VALID
    d.check()


def test_a_judgment_on_units_that_are_awaited() -> None:
    d = debt()
    d.world.do(d.by_bank(400), by=d.buyer)
    cancelled = CancelByJudgment(receivable=d.receivable, interval=span(1, 400), judgment=anchor("judgment"))
    d.world.do(cancelled, by=d.trade.auditor)
    received = ConfirmPayment(receivable=d.receivable, currency="CNY", units=Units(240))
    d.world.do(received, by=d.supplier)
    assert d.state is ReceivableState.VALID
    d.world.wait(4 * DAY_MS)
    assert d.state is ReceivableState.VALID
    d.check()


def test_a_due_date_that_moves_into_the_past_makes_a_debtor_late_at_once() -> None:
    """A Sunday's debt that moves back to Friday, marked valid on Saturday, would be overdue in the next block."""
    t = trade(policies=Policies(cutoff_days=0))
    sunday = datetime.date(2026, 3, 8)
    fields: dict[str, Any] = {"due_on": sunday, "convention": Convention.PRECEDING}
    receivable = confirmed(t.world, t.buyer, t.supplier, 100, **fields)
    t.world.wait(until=Instant.parse("2026-03-07T01:00:00.000Z"))
    t.world.do(approval_of(t.world, receivable), by=t.auditor, expect=Status.BAD_DATES)
    late = request_of(t.buyer, t.supplier, 101, **fields)
    t.world.do(late, by=t.buyer, expect=Status.BAD_DATES, vector="receivable.request/moved_into_the_past")
