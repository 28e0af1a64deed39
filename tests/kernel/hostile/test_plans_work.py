"""Plans made so that a block has too much to do, or a row too much to hold."""

import pytest

from tallystick.kernel import machine
from tallystick.kernel.plans import deadlines, releasing
from tallystick.kernel.plans.conditions import AllOf, AnyOf, DocumentsIn, OnDate, VerifiersAccept
from tallystick.kernel.plans.deadlines import Outcome
from tallystick.kernel.plans.records import Material, Phase, PlanState, Unmet
from tallystick.wire.amounts import MAX_UNITS, Units
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.accounts import money
from tests.support.disputes import paid_in
from tests.support.plans import (
    amended,
    amendment_refused,
    check_plans,
    confirmed,
    day,
    deposited,
    funded,
    plan_of,
    proposal_of,
    state_of,
    tranche,
)
from tests.support.products import cast, opened_product

APRIL = day(4, 1)


def test_many_plans_whose_windows_end_together_do_not_stop_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one unit of money is needed for them, and they write few different rows, each of them often."""
    monkeypatch.setattr(machine, "MAX_DUE_WRITES", 100)
    c = cast()
    product = opened_product(c.world, c)
    plans = [confirmed(c.world, c, *[tranche(1, if_unmet=Unmet.REFUND)] * 20, product=product) for _ in range(8)]
    c.world.now = Instant.parse("2026-05-01T00:00:00.000Z")
    ended = []
    while any(plan_of(c.world, plan).is_live for plan in plans):
        c.world.wait(1)
        ended.append(sum(not plan_of(c.world, plan).is_live for plan in plans))
    assert ended[0] < 4
    assert len(ended) > 3
    check_plans(c.world)


def test_windows_that_end_together_are_not_worked_out_again_for_each_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work grows with the tranches, and not with their square."""
    worked_out = []
    real = deadlines._windows_of

    def counted(number: int, tranche: object) -> object:
        worked_out.append(number)
        return real(number, tranche)  # type: ignore[arg-type]  # as it was given

    monkeypatch.setattr(deadlines, "_windows_of", counted)
    c = cast()
    plan = confirmed(c.world, c, *[tranche(1, if_unmet=Unmet.REFUND)] * 100)
    c.world.wait(until=Instant.parse("2026-05-01T00:00:00.000Z"))
    assert plan_of(c.world, plan).state is PlanState.COMPLETED
    assert len(worked_out) <= 100 * (len(Outcome) + 1)


def test_releases_that_the_queue_of_windows_comes_to_are_bounded_as_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day that opens and the window that ends with it pass in one block, as after a chain stood still."""
    monkeypatch.setattr(releasing, "WRITES", 0)
    c = cast()
    steps = [tranche(10, condition=OnDate(on=APRIL), release_until_on=APRIL, if_unmet=Unmet.REFUND)] * 6
    plan = paid_in(c, *steps, objection_days=0)
    c.world.now = Instant.parse("2026-04-02T00:00:00.000Z")
    c.world.wait(0)
    phases = [tranche.phase for tranche in plan_of(c.world, plan).tranches]
    assert phases.count(Phase.RELEASED) == 2
    assert phases.count(Phase.VERIFIED) == 4
    while plan_of(c.world, plan).is_live:
        c.world.wait(1)
    assert money(c.world, c.payee) == 60
    check_plans(c.world)


def test_money_that_goes_round_and_round_does_not_outgrow_the_counting() -> None:
    """Deposited, given back by an amendment, deposited again: what came in all still fits."""
    half = MAX_UNITS // 2
    c = cast(funds=half + 10)
    plan = confirmed(c.world, c, tranche(half), cap=Units(MAX_UNITS))
    funded(c.world, plan)
    amended(c.world, c, plan, tranche(1))
    amended(c.world, c, plan, tranche(half))
    funded(c.world, plan)
    amended(c.world, c, plan, tranche(1))
    amended(c.world, c, plan, tranche(half))
    assert state_of(c.world, plan).deposited == 2 * half - 1
    left = MAX_UNITS - int(plan_of(c.world, plan).deposited)
    deposited(c.world, plan, 5)
    assert money(c.world, c.payer) == half + 10 - 1 + 5 - left
    check_plans(c.world)


def test_terms_that_are_too_large_to_be_read_at_every_step_are_refused() -> None:
    c = cast()
    kinds = tuple(f"kind_{number:02d}_{'x' * 50}" for number in range(16))
    large = AllOf(
        of=(*(DocumentsIn(kinds=kinds),) * 15, AnyOf(of=(VerifiersAccept(needed=1, verifiers=c.verifiers),) * 10))
    )
    step = tranche(1, condition=large, materials=tuple(Material(kind=kind) for kind in kinds))
    product = opened_product(c.world, c)
    facts = c.world.do(proposal_of(c, product, *[step] * 20), by=c.payer, expect=Status.TOO_MANY).facts
    assert facts["field"] == "tranches"
    plan = confirmed(c.world, c, *[step] * 5, product=product)
    amendment_refused(c, plan, *[step] * 20, expect=Status.TOO_MANY)
