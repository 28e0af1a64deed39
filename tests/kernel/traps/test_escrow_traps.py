"""Traps of earlier systems (DOMAIN section 8) where the money of plans could fall into them, one test each."""

import datetime

from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.cancelling import CancelPlan
from tallystick.kernel.plans.conditions import OnDate
from tallystick.kernel.plans.records import PlanState
from tallystick.kernel.plans.refunds import ConsentToRefund, RequestRefund
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.status import Status
from tests.support.accounts import money
from tests.support.plans import PART, check_plans, confirmed, deposited, funded, funded_plan, plan_of, state_of, tranche
from tests.support.products import MILLION, cast

BY_DATE = OnDate(on=datetime.date(2026, 4, 1))


def test_a_refund_left_the_debits_key_alive() -> None:
    """What went back is not there to be released, nor to go back again."""
    c = cast()
    world = c.world
    plan_id = funded_plan(world, c, tranche(condition=BY_DATE), objection_days=0)
    asked = RequestRefund(plan=plan_id, tranche=1, currency="CNY", units=Units(400))
    refund = world.do(asked, by=c.payer).events[0].record
    consent = ConsentToRefund(refund=refund, currency="CNY", units=Units(400))
    world.do(consent, by=c.payee)
    world.do(consent, by=c.payee, expect=Status.WRONG_STATE)
    world.wait(until=state_of(world, plan_id).release_at)
    assert (money(world, c.payee), money(world, c.payer)) == (PART - 400, 10 * MILLION - PART + 400)
    check_plans(world)


def test_a_paid_after_void_went_through() -> None:
    """Money that comes for a plan that was called off is the payer's, and no day that passes releases anything."""
    c = cast(funds=0)
    world = c.world
    plan_id = confirmed(world, c, tranche(condition=BY_DATE), objection_days=0)
    cancel = CancelPlan(plan=plan_id, currency="CNY", units=ZERO, to_payee=ZERO)
    world.do(cancel, by=c.payer, also=(c.payee,))
    deposited(world, plan_id, PART)
    world.wait(until=state_of(world, plan_id).release_at)
    assert (money(world, c.payee), money(world, c.payer)) == (0, PART)
    assert plan_of(world, plan_id).state is PlanState.CANCELLED
    check_plans(world)


def test_one_overdue_tranche_blocked_all_others() -> None:
    c = cast()
    world = c.world
    plan_id = funded(world, confirmed(world, c, tranche(), tranche(), objection_days=0), PART)
    until = state_of(world, plan_id, 2).fund_until
    assert until is not None
    world.wait(until=until.plus(1))
    assert state_of(world, plan_id, 2).overdue
    world.do(AcceptEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(PART)), by=c.payer)
    world.wait(until=state_of(world, plan_id).release_at)
    assert money(world, c.payee) == PART
    check_plans(world)
