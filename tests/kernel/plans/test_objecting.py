"""Objections within the window: they freeze their amount alone, and the rest is released when the window ends."""

import datetime

import pytest

from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.cases import Certificate, DisputeState
from tallystick.kernel.plans.disputes import MAX_OPEN
from tallystick.kernel.plans.records import Phase, PlanState, Retention
from tallystick.kernel.plans.releasing import ReleaseTranche
from tallystick.kernel.products.records import FeePayer, FeeTerms
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.status import Status
from tests.support.accounts import money, stands
from tests.support.disputes import (
    certify,
    dispute_of,
    disputed,
    last_of_negotiation,
    last_of_objections,
    objection_of,
    opened_by,
    paid_in,
    row_of,
    ruling_of,
    settle,
    verifiable,
    verified_plan,
)
from tests.support.plans import PART, check_plans, plan_of, state_of
from tests.support.products import MILLION, cast
from tests.support.wages import payroll

FUNDS = 10 * MILLION


def release_of(plan_id: str, units: int) -> ReleaseTranche:
    return ReleaseTranche(plan=plan_id, tranche=1, currency="CNY", units=Units(units))


def test_what_the_payer_objects_to_is_frozen_and_the_rest_is_released() -> None:
    c = cast()
    plan_id = verified_plan(c)
    c.world.do(objection_of(plan_id, 4_000_000), by=c.payer, vector="tranche.object/accepted")
    last = last_of_objections(c, plan_id)
    c.world.wait(until=last)
    assert money(c.world, c.payee) == 0
    c.world.wait(until=last.plus(1))
    assert money(c.world, c.payee) == PART - 4_000_000
    first = state_of(c.world, plan_id)
    assert (first.phase, first.held, first.disputed) == (Phase.RELEASED, 4_000_000, 4_000_000)
    certificate = c.world.row(Certificate, first.certificates[0])
    assert (certificate.certified, certificate.released, certificate.disputed) == (PART, 6_000_000, 4_000_000)
    check_plans(c.world)
    dispute_id = plan_of(c.world, plan_id).disputes[0]
    assert (row_of(c, dispute_id).cause, row_of(c, dispute_id).opened_by) == ("objection", c.payer)
    c.world.wait(until=last_of_negotiation(c, dispute_id).plus(1))
    c.world.do(ruling_of(c, dispute_id, 1_000_000), by=c.arbitrator)
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (7_000_000, FUNDS - 7_000_000)
    assert plan_of(c.world, plan_id).state is PlanState.COMPLETED
    check_plans(c.world)


def test_the_window_is_open_at_its_last_instant_and_closed_at_the_next() -> None:
    c = cast()
    plan_id = verified_plan(c)
    last = last_of_objections(c, plan_id)
    c.world.wait(until=last)
    c.world.do(objection_of(plan_id, 1), by=c.payer)
    c.world.now = last.plus(1)  # a block whose due work has no room left
    late = Status.DEADLINE_PASSED
    c.world.do(objection_of(plan_id, 1), by=c.payer, expect=late, vector="tranche.object/deadline_passed")
    c.world.do(dispute_of(plan_id, 1), by=c.payer, expect=late)
    c.world.wait()
    released = Status.ALREADY_RELEASED
    c.world.do(objection_of(plan_id, 1), by=c.payer, expect=released, vector="tranche.object/already_released")
    assert money(c.world, c.payee) == PART - 1


def test_before_the_verification_there_is_nothing_to_object_to() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    c.world.do(objection_of(plan_id, 1), by=c.payer, expect=Status.WRONG_STATE, vector="tranche.object/wrong_state")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"currency": "GBP"}, Status.CURRENCY_MISMATCH),
        ({"units": Units(0)}, Status.AMOUNT_ZERO),
        ({"units": Units(PART + 1)}, Status.OVER_AVAILABLE),
        ({"tranche": 2}, Status.NOT_FOUND),
    ],
)
def test_an_objection_is_to_an_amount_of_what_was_certified(fields: dict[str, object], status: Status) -> None:
    c = cast()
    plan_id = verified_plan(c)
    asked = objection_of(plan_id, **{"units": 1, **fields})  # type: ignore[arg-type]
    c.world.do(asked, by=c.payer, expect=status, vector=f"tranche.object/{status.label}")


def test_only_the_sides_object() -> None:
    c = cast()
    plan_id = verified_plan(c)
    objection = objection_of(plan_id, 1)
    c.world.do(objection, by=c.platform, expect=Status.NOT_A_PARTY, vector="tranche.object/not_a_party")
    for other in (*c.verifiers, c.arbitrator, c.custodian):
        c.world.do(objection, by=other, expect=Status.NOT_A_PARTY)


def test_what_was_objected_to_once_is_not_objected_to_again() -> None:
    c = cast()
    plan_id = verified_plan(c, certified=6_000_000)
    opened_by(c, objection_of(plan_id, 6_000_000), c.payer)
    c.world.do(objection_of(plan_id, 1), by=c.payer, expect=Status.OVER_AVAILABLE)


def test_a_tranche_that_is_wholly_disputed_is_not_released() -> None:
    c = cast()
    plan_id = verified_plan(c)
    dispute_id = opened_by(c, objection_of(plan_id, PART), c.payer)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert state_of(c.world, plan_id).phase is Phase.VERIFIED
    c.world.do(release_of(plan_id, PART), by=c.payee, expect=Status.IN_DISPUTE)
    settle(c, dispute_id, 9_000_000)
    assert state_of(c.world, plan_id).phase is Phase.ENDED
    assert plan_of(c.world, plan_id).state is PlanState.COMPLETED
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (9_000_000, FUNDS - 9_000_000)
    check_plans(c.world)


def test_an_objection_that_is_settled_within_the_window_leaves_the_rest_to_its_end() -> None:
    c = cast()
    plan_id = verified_plan(c)
    dispute_id = opened_by(c, objection_of(plan_id, 4_000_000), c.payer)
    settle(c, dispute_id, 3_000_000)
    assert money(c.world, c.payee) == 3_000_000
    assert state_of(c.world, plan_id).phase is Phase.VERIFIED
    c.world.do(objection_of(plan_id, 6_000_001), by=c.payer, expect=Status.OVER_AVAILABLE)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (9_000_000, FUNDS - 9_000_000)
    check_plans(c.world)


def test_a_payee_objects_that_too_little_was_certified() -> None:
    """The amount lies beyond what was certified: the release goes on whole, and the money does not go back."""
    c = cast()
    plan_id = verified_plan(c, certified=6_000_000)
    dispute_id = opened_by(c, objection_of(plan_id, 3_000_000), c.payee)
    first = state_of(c.world, plan_id)
    assert (first.disputed, first.beyond, first.contested) == (3_000_000, 3_000_000, 0)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (6_000_000, FUNDS - 9_000_000)
    assert plan_of(c.world, plan_id).state is PlanState.ACTIVE
    check_plans(c.world)
    settle(c, dispute_id, 2_000_000)
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (8_000_000, FUNDS - 8_000_000)
    assert plan_of(c.world, plan_id).state is PlanState.COMPLETED
    check_plans(c.world)


def test_a_payee_never_gets_more_than_the_tranches_amount_by_objecting() -> None:
    """What was deposited beyond the amount is the payer's, however often it is objected to."""
    c = cast()
    plan_id = verified_plan(c, certified=6_000_000, fund_units=Units(2 * PART))
    over = objection_of(plan_id, 4_000_001)
    c.world.do(over, by=c.payee, expect=Status.OVER_AVAILABLE)
    settle(c, opened_by(c, objection_of(plan_id, 4_000_000), c.payee), 4_000_000)
    c.world.do(objection_of(plan_id, 1), by=c.payee, expect=Status.OVER_AVAILABLE)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (PART, FUNDS - PART)
    check_plans(c.world)


def test_a_payee_has_nothing_to_object_to_where_all_was_certified() -> None:
    c = cast()
    plan_id = verified_plan(c)
    c.world.do(objection_of(plan_id, 1), by=c.payee, expect=Status.OVER_AVAILABLE)


def test_both_sides_object_to_their_own_part() -> None:
    c = cast()
    plan_id = verified_plan(c, certified=6_000_000)
    mine = opened_by(c, objection_of(plan_id, 6_000_000), c.payer)
    theirs = opened_by(c, objection_of(plan_id, 4_000_000), c.payee)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert state_of(c.world, plan_id).phase is Phase.VERIFIED
    settle(c, mine, 6_000_000)
    assert state_of(c.world, plan_id).phase is Phase.VERIFIED, "the other dispute holds the rest"
    settle(c, theirs, 0)
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (6_000_000, FUNDS - 6_000_000)
    assert plan_of(c.world, plan_id).state is PlanState.COMPLETED
    check_plans(c.world)


def test_a_dispute_before_the_verification_is_left_out_of_the_release() -> None:
    """It is settled before, and the verifiers certify the whole amount all the same."""
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    settle(c, disputed(c, plan_id, 3_000_000), 2_000_000)
    certify(c, plan_id, PART)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (9_000_000, FUNDS - 9_000_000)
    assert plan_of(c.world, plan_id).state is PlanState.COMPLETED
    check_plans(c.world)


def test_what_is_retained_can_be_disputed_after_the_release() -> None:
    c = cast()
    kept = Retention(rate=Rate.parse("10"), until_on=_later())
    plan_id = verified_plan(c, retention=kept)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert state_of(c.world, plan_id).retained == 1_000_000
    over = dispute_of(plan_id, 1_000_001)
    c.world.do(over, by=c.payer, expect=Status.OVER_AVAILABLE)
    dispute_id = disputed(c, plan_id, 400_000)
    first = state_of(c.world, plan_id)
    assert (first.retained, first.disputed) == (600_000, 400_000)
    check_plans(c.world)
    until = first.retained_until
    assert until is not None
    settle(c, dispute_id, 100_000)
    c.world.wait(until=until.plus(-1))
    assert money(c.world, c.payee) == 9_100_000
    c.world.now = until
    c.world.do(dispute_of(plan_id, 1), by=c.payer, expect=Status.DEADLINE_PASSED)
    c.world.wait()
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (9_700_000, FUNDS - 9_700_000)
    assert plan_of(c.world, plan_id).state is PlanState.COMPLETED
    check_plans(c.world)


def _later() -> datetime.date:
    return datetime.date(2026, 9, 1)


def test_without_an_objection_window_nobody_objects() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c, release_from_on=datetime.date(2026, 4, 1)), objection_days=0)
    certify(c, plan_id, PART)
    assert state_of(c.world, plan_id).phase is Phase.VERIFIED
    c.world.do(objection_of(plan_id, 1), by=c.payer, expect=Status.DEADLINE_PASSED)


@pytest.mark.parametrize("paid_by", list(FeePayer))
def test_the_fee_is_on_what_reaches_the_payee_in_whatever_way(paid_by: FeePayer) -> None:
    """Release, settlement and ruling are slices of one fee; what goes back bears none."""
    c = cast()
    fee = FeeTerms(rate=Rate.parse("1"), minimum=ZERO, paid_by=paid_by)
    plan_id = verified_plan(c, fee=fee)
    first, second = (opened_by(c, objection_of(plan_id, 2_000_033), c.payer) for _ in range(2))
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    settle(c, first, 1_000_011)
    c.world.wait(until=last_of_negotiation(c, second).plus(1))
    c.world.do(ruling_of(c, second, 2_000_033), by=c.arbitrator)
    gross = PART - 2 * 2_000_033 + 1_000_011 + 2_000_033
    charged = (gross + 50) // 100
    assert stands(c.world, f"fees/{c.custodian}/CNY/{c.platform}") == charged
    borne = charged if paid_by is FeePayer.PAYEE else 0
    assert money(c.world, c.payee) == gross - borne
    assert money(c.world, c.payer) == FUNDS - gross - (charged - borne)
    assert row_of(c, second).state is DisputeState.RULED
    check_plans(c.world)


def test_wages_are_not_stopped_by_a_dispute() -> None:
    """人社部发〔2021〕53号: a contractor's disputes are its own, the wages go to the workers."""
    p = payroll()
    p.uploaded()
    misused = Status.WAGE_ACCOUNT_MISUSED
    p.world.do(dispute_of(p.plan, 1), by=p.c.payer, expect=misused, vector="dispute.open/wage_account_misused")
    evidence = state_of(p.world, p.plan).evidence
    accept = AcceptEvidence(plan=p.plan, tranche=1, currency="CNY", units=p.units, evidence=evidence)
    p.world.do(accept, by=p.c.payer)
    p.world.do(objection_of(p.plan, 1), by=p.c.payer, expect=misused, vector="tranche.object/wage_account_misused")


def test_a_side_objects_so_many_times_at_once_and_not_more() -> None:
    c = cast()
    plan_id = verified_plan(c)
    for _ in range(MAX_OPEN):
        opened_by(c, objection_of(plan_id, 1), c.payer)
    c.world.do(objection_of(plan_id, 1), by=c.payer, expect=Status.TOO_MANY, vector="tranche.object/too_many")


def test_nothing_is_disputed_of_a_plan_that_is_not_there() -> None:
    c = cast()
    nowhere = "pln_" + "0" * 16
    for make, name in ((objection_of, "tranche.object"), (dispute_of, "dispute.open")):
        c.world.do(make(nowhere, 1), by=c.payer, expect=Status.NOT_FOUND, vector=f"{name}/no_such_plan")
