"""plan.cancel_unfunded, plan.cancel, and how a plan ends."""

import datetime
from typing import Any

import pytest

from tallystick.kernel.accounts.freezes import FreezeAccount
from tallystick.kernel.accounts.reversing import ReverseDeposit
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.cancelling import CancelPlan, CancelUnfunded
from tallystick.kernel.plans.cases import Evidence, EvidenceState
from tallystick.kernel.plans.conditions import OnDate
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.records import Material, Phase, PlanState, Retention, Unmet, Unused
from tallystick.kernel.products.records import FeePayer, FeeTerms
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.status import Status
from tests.support.accounts import money, stands
from tests.support.disputes import disputed, ruling_of
from tests.support.plans import (
    PART,
    check_plans,
    confirmed,
    deposited,
    funded,
    funded_plan,
    plan_of,
    proposed,
    state_of,
    tranche,
)
from tests.support.products import MILLION, Cast, cast
from tests.support.receivables import anchor

NOBODY = "pln_" + "0" * 16
BY_DATE = {"condition": OnDate(on=datetime.date(2026, 4, 1))}


@pytest.fixture
def c() -> Cast:
    return cast()


def unfunded(plan_id: str, units: int, **fields: Any) -> CancelUnfunded:
    return CancelUnfunded(**{"plan": plan_id, "tranche": 2, "currency": "CNY", "units": Units(units), **fields})


def cancel(plan_id: str, units: int, to_payee: int = 0, **fields: Any) -> CancelPlan:
    said = {"plan": plan_id, "currency": "CNY", "units": Units(units), "to_payee": Units(to_payee)}
    return CancelPlan(**{**said, **fields})


def half_funded(c: Cast) -> str:
    """One tranche funded, the second in part, the third not at all; the second is overdue."""
    plan_id = funded(c.world, confirmed(c.world, c, tranche(), tranche(), tranche()), PART + 70)
    until = state_of(c.world, plan_id, 2).fund_until
    assert until is not None
    c.world.wait(until=until.plus(1))
    return plan_id


def test_the_payee_cancels_what_was_not_funded_and_that_alone(c: Cast) -> None:
    world = c.world
    plan_id = half_funded(c)
    world.do(unfunded(plan_id, 70), by=c.payee, vector="plan.cancel_unfunded/cancelled")
    assert [state_of(world, plan_id, number).phase for number in (1, 2, 3)] == [
        Phase.WAITING,
        Phase.ENDED,
        Phase.ENDED,
    ]
    plan = plan_of(world, plan_id)
    assert (plan.state, plan.held, money(world, c.payer)) == (PlanState.ACTIVE, PART, 10 * MILLION - PART)
    assert c.product(plan.product).committed == PART, "the product has room again"
    check_plans(world)
    world.do(AcceptEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(PART)), by=c.payer)
    world.wait(until=state_of(world, plan_id).release_at)
    assert (plan_of(world, plan_id).state, money(world, c.payee)) == (PlanState.COMPLETED, PART)
    check_plans(world)


def test_a_later_tranche_alone(c: Cast) -> None:
    plan_id = half_funded(c)
    c.world.do(unfunded(plan_id, 0, tranche=3), by=c.payee)
    assert [state_of(c.world, plan_id, number).is_over for number in (2, 3)] == [False, True]
    check_plans(c.world)


def test_a_plan_of_which_nothing_came_ends_by_it(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    until = state_of(world, plan_id).fund_until
    assert until is not None
    world.wait(until=until.plus(1))
    world.do(unfunded(plan_id, 0, tranche=1), by=c.payee, vector="plan.cancel_unfunded/of_the_whole_plan")
    plan = plan_of(world, plan_id)
    assert plan.state is PlanState.COMPLETED
    assert (c.product(plan.product).committed, c.product(plan.product).live_plans) == (0, 0)
    check_plans(world)


def test_cancelling_what_was_not_funded(c: Cast) -> None:
    world = c.world
    name = "plan.cancel_unfunded"
    pending = proposed(world, c)
    world.do(unfunded(pending, 0), by=c.payee, expect=Status.WRONG_STATE, vector=f"{name}/plan_not_active")
    early = funded(world, confirmed(world, c, tranche(), tranche()), PART)
    world.do(unfunded(early, 0), by=c.payee, expect=Status.TOO_EARLY, vector=f"{name}/too_early")
    plan_id = half_funded(c)
    world.do(unfunded(NOBODY, 0), by=c.payee, expect=Status.NOT_FOUND, vector=f"{name}/plan_not_found")
    world.do(unfunded(plan_id, 0, tranche=4), by=c.payee, expect=Status.NOT_FOUND, vector=f"{name}/tranche_not_found")
    world.do(unfunded(plan_id, 70), by=c.payer, expect=Status.NOT_A_PARTY, vector=f"{name}/not_a_party")
    paid = unfunded(plan_id, 70, tranche=1)
    world.do(paid, by=c.payee, expect=Status.WRONG_STATE, vector=f"{name}/tranche_funded")
    pounds = unfunded(plan_id, 70, currency="GBP")
    world.do(pounds, by=c.payee, expect=Status.CURRENCY_MISMATCH, vector=f"{name}/currency_mismatch")
    world.do(unfunded(plan_id, 71), by=c.payee, expect=Status.AMOUNT_DIFFERS, vector=f"{name}/amount_differs")
    freeze = FreezeAccount(plan=plan_id, currency="CNY", units=Units(PART + 1), authority_order=anchor("court_order"))
    world.do(freeze, by=c.custodian)
    world.do(unfunded(plan_id, 70), by=c.payee, expect=Status.ACCOUNT_FROZEN, vector=f"{name}/account_frozen")


def test_disputed_money_of_an_unfunded_tranche_stays_until_the_dispute_ends(c: Cast) -> None:
    world = c.world
    plan_id = half_funded(c)
    dispute = disputed(c, plan_id, 30, number=2)
    world.do(unfunded(plan_id, 40), by=c.payee)
    assert (state_of(world, plan_id, 2).held, plan_of(world, plan_id).held) == (30, PART + 30)
    check_plans(world)
    world.wait(11 * 86_400_000)
    world.do(ruling_of(c, dispute, 10), by=c.arbitrator)
    assert (state_of(world, plan_id, 2).held, money(world, c.payee)) == (0, 10)
    check_plans(world)


def test_both_sides_call_the_plan_off(c: Cast) -> None:
    world = c.world
    fee = FeeTerms(rate=Rate.parse("1"), minimum=ZERO, paid_by=FeePayer.PAYER)
    plan_id = funded_plan(world, c, tranche(), tranche(), fee=fee)
    world.do(cancel(plan_id, 2 * PART), by=c.payer, also=(c.payee,), vector="plan.cancel/cancelled")
    plan = plan_of(world, plan_id)
    assert (plan.state, plan.held, plan.refunded) == (PlanState.CANCELLED, 0, 2 * PART + PART // 50)
    assert plan.ended is not None
    assert money(world, c.payer) == 10 * MILLION, "the fee reserve too: nothing was released"
    assert (c.product(plan.product).committed, c.product(plan.product).live_plans) == (0, 0)
    check_plans(world)


@pytest.mark.parametrize("paid_by", list(FeePayer))
def test_what_was_retained_is_the_payees(c: Cast, paid_by: FeePayer) -> None:
    world = c.world
    kept = Retention(rate=Rate.parse("10"), until_on=datetime.date(2026, 11, 2))
    fee = FeeTerms(rate=Rate.parse("1"), minimum=ZERO, paid_by=paid_by)
    plan_id = funded_plan(world, c, tranche(**BY_DATE, retention=kept), tranche(), objection_days=0, fee=fee)
    world.wait(until=state_of(world, plan_id).release_at)
    retained = PART // 10
    assert state_of(world, plan_id).retained == retained
    off = cancel(plan_id, PART + retained, retained)
    world.do(off, by=c.payer, also=(c.payee,), vector=f"plan.cancel/with_retained_money_fee_from_{paid_by.value}")
    fees = PART // 100
    assert stands(world, f"fees/{c.custodian}/CNY/{c.platform}") == fees
    assert money(world, c.payee) == PART - (fees if paid_by is FeePayer.PAYEE else 0)
    assert money(world, c.payer) == 10 * MILLION - PART - (fees if paid_by is FeePayer.PAYER else 0)
    assert plan_of(world, plan_id).state is PlanState.CANCELLED
    check_plans(world)


def test_disputes_of_a_cancelled_plan_go_on(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c)
    dispute = disputed(c, plan_id, 700)
    world.do(cancel(plan_id, PART - 700), by=c.payer, also=(c.payee,), vector="plan.cancel/with_a_dispute")
    plan = plan_of(world, plan_id)
    assert (plan.state, plan.ended, plan.held) == (PlanState.CANCELLED, None, 700)
    assert {c.payer, c.payee, c.arbitrator} <= set(plan.live_for())
    assert c.product(plan.product).live_plans == 1
    check_plans(world)
    world.wait(11 * 86_400_000)
    world.do(ruling_of(c, dispute, 500), by=c.arbitrator)
    plan = plan_of(world, plan_id)
    assert plan.state is PlanState.CANCELLED
    assert plan.ended is not None
    assert (money(world, c.payee), money(world, c.payer)) == (500, 10 * MILLION - 500)
    assert plan.live_for() == ()
    check_plans(world)


def test_the_long_stop_ends_the_disputes_of_a_cancelled_plan(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c)
    disputed(c, plan_id, 701)
    world.do(cancel(plan_id, PART - 701), by=c.payer, also=(c.payee,))
    until = plan_of(world, plan_id).long_stop_at
    assert until is not None
    world.wait(until=until.plus(1))
    plan = plan_of(world, plan_id)
    assert plan.ended is not None
    assert (plan.state, money(world, c.payee)) == (PlanState.CANCELLED, 351)
    check_plans(world)


def test_an_open_round_of_evidence_closes_with_its_tranche(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c, tranche(materials=(Material(kind="delivery_note"),)))
    submit = SubmitEvidence(
        plan=plan_id, tranche=1, materials=(anchor("delivery_note"),), currency="CNY", units=Units(PART)
    )
    world.do(submit, by=c.payee)
    evidence = state_of(world, plan_id).evidence
    assert evidence is not None
    world.do(cancel(plan_id, PART), by=c.payer, also=(c.payee,))
    assert world.row(Evidence, evidence).state is EvidenceState.CLOSED
    check_plans(world)


def test_calling_a_plan_off(c: Cast) -> None:
    world = c.world
    name = "plan.cancel"
    plan_id = funded_plan(world, c)
    both: dict[str, Any] = {"by": c.payer, "also": (c.payee,)}
    world.do(cancel(NOBODY, 1), **both, expect=Status.NOT_FOUND, vector=f"{name}/not_found")
    world.do(cancel(plan_id, PART), by=c.payer, expect=Status.NOT_A_PARTY, vector=f"{name}/payer_alone")
    world.do(cancel(plan_id, PART), by=c.payee, expect=Status.NOT_A_PARTY, vector=f"{name}/payee_alone")
    pounds = cancel(plan_id, PART, currency="GBP")
    world.do(pounds, **both, expect=Status.CURRENCY_MISMATCH, vector=f"{name}/currency_mismatch")
    world.do(cancel(plan_id, PART - 1), **both, expect=Status.AMOUNT_DIFFERS, vector=f"{name}/amount_differs")
    for_payee = cancel(plan_id, PART, 1)
    world.do(for_payee, **both, expect=Status.AMOUNT_DIFFERS, vector=f"{name}/retained_differs")
    freeze = FreezeAccount(plan=plan_id, currency="CNY", units=Units(1), authority_order=anchor("court_order"))
    world.do(freeze, by=c.custodian)
    world.do(cancel(plan_id, PART), **both, expect=Status.ACCOUNT_FROZEN, vector=f"{name}/account_frozen")
    pending = proposed(world, c)
    world.do(cancel(pending, 0), **both, expect=Status.WRONG_STATE, vector=f"{name}/wrong_state")


def test_a_plan_without_money_can_be_called_off_once(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    world.do(cancel(plan_id, 0), by=c.payee, also=(c.payer,))
    world.do(cancel(plan_id, 0), by=c.payee, also=(c.payer,), expect=Status.WRONG_STATE)
    assert plan_of(world, plan_id).state is PlanState.CANCELLED
    check_plans(world)


def test_unused_money_funds_the_next_tranche(c: Cast) -> None:
    world = c.world
    first = tranche(up_to=True, unused=Unused.ROLL_ON)
    second = tranche(fund_by_on=datetime.date(2026, 4, 20), release_until_on=datetime.date(2026, 5, 29))
    plan_id = funded(world, confirmed(world, c, first, second, objection_days=0), PART + 100)
    world.do(SubmitEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(600)), by=c.payee)
    evidence = state_of(world, plan_id).evidence
    accept = AcceptEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(600), evidence=evidence)
    world.do(accept, by=c.payer)
    world.wait(until=state_of(world, plan_id).release_at)
    released, later = plan_of(world, plan_id).tranches
    assert (released.released, released.rolled, released.refunded) == (600, PART - 600, 0)
    assert (later.held, money(world, c.payer)) == (PART - 500, 10 * MILLION - PART - 100)
    check_plans(world)
    funded(world, plan_id, 500)
    assert not state_of(world, plan_id, 2).fund_until
    check_plans(world)


def test_money_that_rolls_on_has_a_waiting_tranche_released(c: Cast) -> None:
    world = c.world
    first = tranche(up_to=True, unused=Unused.ROLL_ON)
    plan_id = funded(world, confirmed(world, c, first, tranche(500, **BY_DATE), objection_days=0), PART)
    world.wait(until=state_of(world, plan_id).release_at)
    assert state_of(world, plan_id, 2).phase is not Phase.RELEASED
    world.do(SubmitEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(600)), by=c.payee)
    evidence = state_of(world, plan_id).evidence
    accept = AcceptEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(600), evidence=evidence)
    world.do(accept, by=c.payer)
    world.wait(1)
    assert (plan_of(world, plan_id).state, money(world, c.payee)) == (PlanState.COMPLETED, 1_100)
    assert money(world, c.payer) == 10 * MILLION - 1_100
    check_plans(world)


def test_what_was_not_released_at_all_does_not_roll_on(c: Cast) -> None:
    world = c.world
    first = tranche(unused=Unused.ROLL_ON, if_unmet=Unmet.REFUND)
    later = {"release_until_on": datetime.date(2026, 6, 30), "fund_by_on": datetime.date(2026, 5, 29)}
    plan_id = funded(world, confirmed(world, c, first, tranche(**later)), PART)
    until = state_of(world, plan_id).unmet_at
    assert until is not None
    world.wait(until=until.plus(1))
    assert (state_of(world, plan_id).refunded, state_of(world, plan_id, 2).held) == (PART, 0)
    check_plans(world)


def test_what_finds_no_place_further_on_goes_back(c: Cast) -> None:
    world = c.world
    first = tranche(up_to=True, unused=Unused.ROLL_ON)
    plan_id = funded(world, confirmed(world, c, first, tranche(), objection_days=0), 2 * PART - 100)
    world.do(SubmitEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(600)), by=c.payee)
    evidence = state_of(world, plan_id).evidence
    accept = AcceptEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(600), evidence=evidence)
    world.do(accept, by=c.payer)
    events = world.wait(until=state_of(world, plan_id).release_at)
    released, later = plan_of(world, plan_id).tranches
    assert (released.rolled, released.refunded, later.held) == (100, PART - 700, PART)
    rolled = next(event for event in events if event.kind == "tranche.rolled_on")
    assert rolled.facts["units"] == "100"
    assert not later.fund_until, "what rolled on funds it"
    check_plans(world)


def test_what_was_earned_before_its_deposit_was_reversed_is_not_cancelled_along(c: Cast) -> None:
    poor = cast(funds=0)
    world = poor.world
    plan_id = confirmed(world, poor, tranche(), tranche(**BY_DATE), tranche())
    deposit = deposited(world, plan_id, 2 * PART)
    world.wait(until=state_of(world, plan_id, 2).release_at)
    assert state_of(world, plan_id, 2).phase is Phase.VERIFIED
    undo = ReverseDeposit(deposit=deposit, currency="CNY", units=Units(2 * PART), bank_reference="REV-1")
    world.do(undo, by=poor.custodian)
    until = state_of(world, plan_id, 1).fund_until
    assert until is not None
    world.wait(until=until.plus(1))
    world.do(unfunded(plan_id, 0, tranche=1), by=poor.payee)
    assert [state_of(world, plan_id, number).phase for number in (1, 2, 3)] == [
        Phase.ENDED,
        Phase.VERIFIED,
        Phase.ENDED,
    ]
    deposited(world, plan_id, PART)
    world.wait(1)
    assert (money(world, poor.payee), plan_of(world, plan_id).state) == (PART, PlanState.COMPLETED)
    check_plans(world)


def test_an_overdue_tranche_after_a_reversal_can_be_cancelled(c: Cast) -> None:
    poor = cast(funds=0)
    world = poor.world
    plan_id = confirmed(world, poor)
    deposit = deposited(world, plan_id, PART)
    undo = ReverseDeposit(deposit=deposit, currency="CNY", units=Units(PART), bank_reference="REV-1")
    world.do(undo, by=poor.custodian)
    until = state_of(world, plan_id).fund_until
    assert until is not None
    world.wait(until=until.plus(1))
    world.do(unfunded(plan_id, 0, tranche=1), by=poor.payee)
    assert plan_of(world, plan_id).state is PlanState.COMPLETED
    check_plans(world)
