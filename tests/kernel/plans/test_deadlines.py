"""The windows of a plan: each carried out on its side of the instant, in the order of the instants, in one block."""

import datetime
from typing import Any

import pytest

from tallystick.kernel.accounts.freezes import FreezeAccount, UnfreezeAccount
from tallystick.kernel.accounts.records import Balance
from tallystick.kernel.accounts.reversing import ReverseDeposit
from tallystick.kernel.core.record import Queue
from tallystick.kernel.plans import releasing
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.cancelling import CancelPlan
from tallystick.kernel.plans.cases import DisputeState, Refund
from tallystick.kernel.plans.conditions import AllOf, OnDate, PayerAccepts
from tallystick.kernel.plans.records import Phase, PlanState, Retention, TrancheTerms, Unmet, Unused
from tallystick.kernel.plans.refunds import RequestRefund
from tallystick.kernel.products.records import Product, ProductState, Silence
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status
from tests.support.accounts import money, stands
from tests.support.disputes import (
    TODAY,
    acceptance_of,
    certify,
    claimed,
    disputed,
    in_arbitration,
    last_of_long_stop,
    last_of_objections,
    offer_of,
    paid_in,
    row_of,
    ruling_of,
    verifiable,
    verified_plan,
)
from tests.support.plans import (
    PART,
    amendment_of,
    check_plans,
    confirmed,
    deposited,
    funded,
    plan_of,
    proposed,
    sent,
    state_of,
    tranche,
)
from tests.support.products import MILLION, Cast, cast
from tests.support.receivables import anchor

FUNDS = 10 * MILLION
LATE = datetime.date(2026, 12, 31)


def at_end_of(day: datetime.date) -> Instant:
    """The last instant of a day; the world's zone is UTC."""
    return Instant.parse(f"{day.isoformat()}T23:59:59.999Z")


def due_of(c: Cast, plan_id: str, queue: Queue) -> Instant | None:
    return dict(plan_of(c.world, plan_id).due()).get(queue)


def test_a_plan_that_nobody_checks_or_confirms_expires() -> None:
    for stage in (proposed, sent):
        c = cast()
        plan_id = stage(c.world, c, tranche())
        deadline = plan_of(c.world, plan_id).deadline
        assert deadline is not None
        c.world.wait(until=deadline)
        assert plan_of(c.world, plan_id).state is not PlanState.EXPIRED
        c.world.wait(until=deadline.plus(1))
        assert plan_of(c.world, plan_id).state is PlanState.EXPIRED


def test_an_amendment_that_nobody_answers_lapses() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    c.world.do(amendment_of(c.world, plan_id, verifiable(c), verifiable(c)), by=c.payer)
    offered = plan_of(c.world, plan_id).amendment
    assert offered is not None
    c.world.wait(until=offered.deadline)
    assert plan_of(c.world, plan_id).amendment is not None
    c.world.wait(until=offered.deadline.plus(1))
    assert plan_of(c.world, plan_id).amendment is None
    assert "plan.amendment_lapsed" in c.world.told(c.payee)


def test_funding_is_overdue_from_the_instant_after_its_last_day_of_grace() -> None:
    c = cast()
    plan_id = confirmed(c.world, c, tranche())
    until = state_of(c.world, plan_id).fund_until
    assert until is not None
    c.world.wait(until=until)
    assert not state_of(c.world, plan_id).overdue
    c.world.wait(until=until.plus(1))
    assert state_of(c.world, plan_id).overdue
    funded(c.world, plan_id)
    assert not state_of(c.world, plan_id).overdue


def test_a_tranche_funded_at_the_last_instant_is_not_overdue() -> None:
    c = cast()
    plan_id = confirmed(c.world, c, tranche())
    until = state_of(c.world, plan_id).fund_until
    assert until is not None
    c.world.wait(until=until)
    funded(c.world, plan_id)
    c.world.wait(until=until.plus(1))
    assert not state_of(c.world, plan_id).overdue


def test_windows_that_passed_together_are_carried_out_in_the_order_of_their_instants() -> None:
    """One block for a whole year: silence means yes, a release rolls on into the next tranche, which ends unmet."""
    c = cast()
    first = verifiable(c, up_to=True, on_silence=Silence.ACCEPT, unused=Unused.ROLL_ON)
    second = tranche(
        condition=PayerAccepts(),
        fund_by_on=datetime.date(2026, 6, 1),
        release_from_on=datetime.date(2026, 6, 2),
        release_until_on=datetime.date(2026, 6, 30),
        if_unmet=Unmet.REFUND,
    )
    plan_id = confirmed(c.world, c, first, second, objection_days=0)
    funded(c.world, plan_id, PART)
    claimed(c, plan_id, PART - 1_000_000)
    kinds = [event.kind for event in c.world.wait(until=at_end_of(datetime.date(2026, 12, 31)))]
    told = ("evidence.silent", "tranche.verified", "tranche.released", "tranche.rolled_on", "tranche.overdue")
    assert [kind for kind in kinds if kind in told] == list(told)
    assert kinds.index("tranche.overdue") < kinds.index("tranche.refunded") < kinds.index("plan.completed")
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (PART - 1_000_000, FUNDS - PART + 1_000_000)
    check_plans(c.world)


def test_silence_that_ends_with_the_release_window_comes_first() -> None:
    """At one instant the answer that silence gives is heard before the window is found unmet."""
    c = cast()
    plan_id = paid_in(c, verifiable(c, on_silence=Silence.ACCEPT, if_unmet=Unmet.REFUND))
    c.world.wait(until=Instant.parse("2026-04-30T12:00:00.000Z"))
    claimed(c, plan_id, PART)
    row = state_of(c.world, plan_id)
    assert row.answer_by == row.unmet_at, "what came in time is answered in its own time"
    assert row.answer_by is not None
    c.world.wait(until=row.answer_by.plus(1))
    assert state_of(c.world, plan_id).phase is Phase.VERIFIED


def test_nothing_of_a_hundred_tranches_is_left_due() -> None:
    c = cast()
    steps = tuple(tranche(1_000 + at, if_unmet=Unmet.EXTEND, extend_days=1) for at in range(100))
    plan_id = confirmed(c.world, c, *steps)
    c.world.wait(until=at_end_of(LATE))
    assert all(each.is_over for each in plan_of(c.world, plan_id).tranches)
    assert plan_of(c.world, plan_id).state is PlanState.COMPLETED
    check_plans(c.world)


def test_a_hundred_tranches_with_money_end_in_one_block() -> None:
    c = cast()
    steps = tuple(tranche(1_000 + at, if_unmet=Unmet.DISPUTE) for at in range(100))
    plan_id = paid_in(c, *steps)
    c.world.wait(until=at_end_of(datetime.date(2026, 4, 30)).plus(1))
    plan = plan_of(c.world, plan_id)
    assert len(plan.disputes) == 100
    c.world.wait(until=last_of_long_stop(c, plan_id).plus(1))
    for _ in range(3):
        c.world.wait(1)
    plan = plan_of(c.world, plan_id)
    assert (plan.state, plan.disputes, plan.held) == (PlanState.COMPLETED, (), 0)
    check_plans(c.world)


def extending(c: Cast, **fields: Any) -> TrancheTerms:
    """A step whose window runs to the end of the product's payments."""
    return verifiable(c, release_until_on=LATE, **fields)


def frozen(c: Cast, plan_id: str, units: int) -> str:
    """An order on the plan's escrow. Returns the freeze's id."""
    order = FreezeAccount(plan=plan_id, currency="CNY", units=Units(units), authority_order=anchor("order"))
    c.world.do(order, by=c.custodian)
    row = c.world.row(Balance, plan_of(c.world, plan_id).escrow)
    return str(row.freezes[-1].id)


def test_at_the_long_stop_what_is_retained_was_earned() -> None:
    c = cast()
    kept = Retention(rate=Rate.parse("10"), until_on=datetime.date(2027, 6, 30))
    plan_id = verified_plan(c, retention=kept)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    row = plan_of(c.world, plan_id)
    brought_forward = Instant.parse("2027-05-31T23:59:59.999Z")
    c.world.put(type(row)(**{**_fields(row), "long_stop_at": brought_forward}))
    c.world.wait(until=brought_forward)
    assert money(c.world, c.payee) == 9_000_000
    c.world.wait(until=brought_forward.plus(1))
    assert (money(c.world, c.payee), plan_of(c.world, plan_id).state) == (PART, PlanState.COMPLETED)
    check_plans(c.world)


def _fields(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


def _with_long_stop(c: Cast, plan_id: str, at: Instant) -> None:
    """As a version would have it whose product ends early."""
    row = plan_of(c.world, plan_id)
    c.world.put(type(row)(**{**_fields(row), "long_stop_at": at}))


def test_at_the_long_stop_what_was_verified_was_earned_and_all_else_goes_back() -> None:
    """The objection window of the first ends with the plan; the second was never verified, the third half funded."""
    c = cast()
    plan_id = confirmed(c.world, c, verifiable(c), extending(c), extending(c))
    funded(c.world, plan_id, 25_000_000)
    dispute_id = disputed(c, plan_id, 1_000_001, number=2)
    certify(c, plan_id, PART)
    c.world.do(amendment_of(c.world, plan_id, verifiable(c), extending(c), extending(c), tranche()), by=c.payer)
    refund = RequestRefund(plan=plan_id, tranche=3, currency="CNY", units=Units(1))
    refund_id = c.world.do(refund, by=c.payer).events[0].record
    claimed(c, plan_id, PART, 2)
    last = c.world.now.plus(1_000)
    _with_long_stop(c, plan_id, last)
    c.world.wait(until=last)
    assert plan_of(c.world, plan_id).disputes == (dispute_id,)
    c.world.wait(until=last.plus(1))
    plan = plan_of(c.world, plan_id)
    assert (plan.state, plan.amendment, plan.refunds) == (PlanState.COMPLETED, None, ())
    assert [each.phase for each in plan.tranches] == [Phase.RELEASED, Phase.ENDED, Phase.ENDED]
    assert row_of(c, dispute_id).state is DisputeState.BY_DEFAULT
    assert money(c.world, c.payee) == PART + 500_001
    assert money(c.world, c.payer) == FUNDS - PART - 500_001
    assert c.world.row(Refund, refund_id).state.value == "lapsed"
    assert not plan.due()
    assert "plan.amendment_lapsed" in c.world.told(c.payee)
    check_plans(c.world)


def test_a_cancelled_plan_with_a_dispute_ends_at_its_long_stop() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    dispute_id = disputed(c, plan_id, 100)
    both = CancelPlan(plan=plan_id, currency="CNY", units=Units(PART - 100), to_payee=Units(0))
    c.world.do(both, by=c.payer, also=(c.payee,))
    assert plan_of(c.world, plan_id).state is PlanState.CANCELLED
    c.world.wait(until=last_of_long_stop(c, plan_id).plus(1))
    assert row_of(c, dispute_id).state is DisputeState.BY_DEFAULT
    plan = plan_of(c.world, plan_id)
    assert (plan.state, plan.held) == (PlanState.CANCELLED, 0)
    assert plan.ended is not None
    check_plans(c.world)


def test_the_product_closes_by_itself_after_the_long_stop() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    product_id = plan_of(c.world, plan_id).product
    c.world.wait(until=last_of_long_stop(c, plan_id).plus(1))
    assert c.world.row(Product, product_id).state is ProductState.CLOSED


def test_frozen_money_waits_for_the_end_of_the_freeze_and_is_divided_then() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c, if_unmet=Unmet.DISPUTE))
    dispute_id = in_arbitration(c, plan_id, 4_000_000)
    freeze = frozen(c, plan_id, 7_000_000)
    ruling = ruling_of(c, dispute_id, 4_000_000)
    c.world.do(ruling, by=c.arbitrator, expect=Status.ACCOUNT_FROZEN, vector="dispute.rule/account_frozen")
    c.world.do(offer_of(dispute_id, 1), by=c.payer)
    accept = acceptance_of(dispute_id, 1)
    c.world.do(accept, by=c.payee, expect=Status.ACCOUNT_FROZEN, vector="dispute.accept_offer/account_frozen")
    last = last_of_long_stop(c, plan_id)
    events = c.world.wait(until=last.plus(1))
    assert "plan.long_stop_waits" in [event.kind for event in events]
    assert plan_of(c.world, plan_id).held == PART
    assert last_of_long_stop(c, plan_id) == c.world.now.plus(DAY_MS)
    c.world.wait(DAY_MS + 1)
    assert plan_of(c.world, plan_id).held == PART
    c.world.do(UnfreezeAccount(plan=plan_id, freeze=freeze, authority_order=anchor("lifted")), by=c.custodian)
    c.world.do(ruling, by=c.arbitrator)
    c.world.wait(DAY_MS + 1)
    assert plan_of(c.world, plan_id).state is PlanState.COMPLETED
    assert money(c.world, c.payee) == 4_000_000 + 3_000_000
    check_plans(c.world)


def test_a_deposit_reversed_after_the_verification_leaves_the_release_waiting() -> None:
    """Never negative, never from another tranche: it waits, and at the long stop the payee gets what is there."""
    c = cast(funds=0)
    plan_id = confirmed(c.world, c, verifiable(c))
    first = deposited(c.world, plan_id, 6_000_000)
    deposited(c.world, plan_id, 4_000_000)
    certify(c, plan_id, PART)
    reversal = ReverseDeposit(deposit=first, currency="CNY", units=Units(6_000_000), bank_reference="REVERSED")
    c.world.do(reversal, by=c.custodian)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    row = state_of(c.world, plan_id)
    assert (row.phase, row.held) == (Phase.VERIFIED, 4_000_000)
    assert (money(c.world, c.payee), stands(c.world, f"claim/{c.custodian}/CNY/{c.payer}")) == (0, 0)
    c.world.wait(until=last_of_long_stop(c, plan_id).plus(1))
    assert money(c.world, c.payee) == 4_000_000
    assert plan_of(c.world, plan_id).state is PlanState.COMPLETED
    check_plans(c.world)


def test_money_that_comes_again_after_a_reversal_releases_what_was_verified() -> None:
    c = cast(funds=0)
    plan_id = confirmed(c.world, c, verifiable(c))
    first = deposited(c.world, plan_id, PART)
    certify(c, plan_id, PART)
    reversal = ReverseDeposit(deposit=first, currency="CNY", units=Units(PART), bank_reference="REVERSED")
    c.world.do(reversal, by=c.custodian)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert money(c.world, c.payee) == 0
    deposited(c.world, plan_id, PART)
    c.world.wait(1)
    assert money(c.world, c.payee) == PART
    check_plans(c.world)


def test_a_plan_is_due_at_its_next_window_and_not_before() -> None:
    """So a million waiting plans cost nothing in a block that none of them is due in."""
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    first = state_of(c.world, plan_id)
    assert first.unmet_at is not None
    assert due_of(c, plan_id, Queue.EXPIRE) == first.unmet_at.plus(1)
    assert datetime.date(2026, 4, 30) > TODAY
    assert c.world.wait(until=first.unmet_at) == []


def test_a_day_of_the_condition_that_comes_in_the_same_block_as_the_end_of_the_window() -> None:
    """The payer accepted, the day came, the window ended, then a block came: what held in time is released."""
    c = cast()
    day = OnDate(on=datetime.date(2026, 4, 30))
    plan_id = paid_in(c, verifiable(c, condition=AllOf(of=(day, PayerAccepts())), if_unmet=Unmet.REFUND))
    c.world.do(AcceptEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(PART)), by=c.payer)
    c.world.wait(until=at_end_of(datetime.date(2026, 5, 20)))
    assert state_of(c.world, plan_id).phase is Phase.VERIFIED
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert money(c.world, c.payee) == PART
    check_plans(c.world)


def test_a_release_comes_before_the_windows_that_ended_after_it() -> None:
    """What it rolls on was there when the next step's money fell due, however late the block is that finds out."""
    c = cast()
    first = verifiable(c, up_to=True, unused=Unused.ROLL_ON)
    second = tranche(
        fund_by_on=datetime.date(2026, 6, 1),
        release_from_on=datetime.date(2026, 6, 2),
        release_until_on=datetime.date(2026, 6, 30),
        if_unmet=Unmet.REFUND,
    )
    plan_id = confirmed(c.world, c, first, second)
    funded(c.world, plan_id, 2 * PART - 1_000_000)
    claimed(c, plan_id, PART - 1_000_000)
    certify(c, plan_id, PART - 1_000_000)
    kinds = [event.kind for event in c.world.wait(until=at_end_of(LATE))]
    assert "tranche.rolled_on" in kinds
    assert "tranche.overdue" not in kinds
    assert money(c.world, c.payee) == PART - 1_000_000
    check_plans(c.world)


def test_an_amendment_does_not_lapse_a_moment_early_with_another_window() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c, on_silence=Silence.ACCEPT))
    c.world.do(amendment_of(c.world, plan_id, verifiable(c, on_silence=Silence.ACCEPT), tranche()), by=c.payer)
    offered = plan_of(c.world, plan_id).amendment
    assert offered is not None
    c.world.wait(until=Instant(int(offered.deadline) - 5 * DAY_MS - 1))
    claimed(c, plan_id, PART)
    assert state_of(c.world, plan_id).answer_by == Instant(int(offered.deadline) - 1)
    c.world.wait(until=offered.deadline)
    assert state_of(c.world, plan_id).phase is Phase.VERIFIED
    assert plan_of(c.world, plan_id).amendment is not None


def test_a_long_stop_with_too_many_rows_for_one_block_goes_on_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each block every unit is accounted for; a release that finds no room in the queue of windows waits too."""
    monkeypatch.setattr(releasing, "WRITES", 40)
    c = cast()
    day = OnDate(on=datetime.date(2026, 4, 30))
    steps = (*(tranche(1_000, if_unmet=Unmet.DISPUTE) for _ in range(30)), tranche(1_000, condition=day))
    plan_id = paid_in(c, *steps)
    blocks = [c.world.wait(until=last_of_long_stop(c, plan_id).plus(1))]
    while plan_of(c.world, plan_id).is_live:
        check_plans(c.world)
        assert len(blocks) < 40
        blocks.append(c.world.wait(1))
    assert len([each for each in blocks if each]) > 3
    check_plans(c.world)
    assert money(c.world, c.payee) == 30 * 500 + 1_000
