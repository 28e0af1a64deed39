"""Credit limits of debtors, and what is counted against them."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.limits import (
    DebtorCredit,
    LimitScope,
    SetLimit,
    check_debtor_limit,
    draw,
    draw_funder,
    pass_funder,
    undraw,
)
from tallystick.kernel.membership.records import Role
from tallystick.wire.amounts import MAX_UNITS, Units
from tallystick.wire.status import Status
from tests.support.world import World

UNTIL = datetime.date(2026, 12, 31)


def chain() -> tuple[World, str, str, str]:
    world = World()
    debtor = world.member("Debtor", Role.CLIENT, Role.CORE_ENTERPRISE)
    return world, debtor, world.member("Funder", Role.FUNDER), world.member("Governor", Role.GOVERNOR)


def step_of(world: World) -> Step:
    """A step in which limits can be asked and drawn on directly, as issue and redemption do."""
    step = Step(world.chain, world.block(), Overlay(world.state), 0, ("mbr", "t"), ())
    step.begin(0)
    step.open_for_writing()
    return step


def ask(step: Step, debtor: str, units: int, funder: str | None = None) -> Status | None:
    refusal = check_debtor_limit(step, debtor, "CNY", Units(units), funder)
    return refusal.status if refusal is not None else None


def consortium_limit(debtor: str, units: int, until_on: datetime.date = UNTIL) -> SetLimit:
    scope = LimitScope.CONSORTIUM
    return SetLimit(scope=scope, debtor=debtor, currency="CNY", units=Units(units), until_on=until_on)


def funder_limit(debtor: str, units: int) -> SetLimit:
    return SetLimit(scope=LimitScope.FUNDER, debtor=debtor, currency="CNY", units=Units(units), until_on=UNTIL)


def test_the_consortium_bounds_what_is_outstanding() -> None:
    world, debtor, funder, governor = chain()
    world.do(consortium_limit(debtor, 1_000), by=governor, vector="limit.set/by_governors")
    step = step_of(world)
    draw(step, debtor, "CNY", Units(600))
    assert ask(step, debtor, 400) is None
    assert ask(step, debtor, 401) is Status.OVER_LIMIT
    undraw(step, debtor, "CNY", [(funder, Units(100)), ("mbr_x", Units(200))])
    assert ask(step, debtor, 700) is None
    assert ask(step, debtor, 701) is Status.OVER_LIMIT


def test_a_limit_set_late_knows_what_is_out() -> None:
    world, debtor, _, governor = chain()
    step = step_of(world)
    draw(step, debtor, "CNY", Units(600))
    assert ask(step, debtor, MAX_UNITS) is Status.AMOUNT_OVERFLOW
    assert ask(step, debtor, MAX_UNITS - 600) is None
    world.state.commit(step.overlay)
    world.do(consortium_limit(debtor, 500), by=governor)
    assert ask(step_of(world), debtor, 1) is Status.OVER_LIMIT


def test_a_limit_ends_with_its_day() -> None:
    world, debtor, _, governor = chain()
    world.do(consortium_limit(debtor, 1_000, until_on=world.today()), by=governor)
    assert ask(step_of(world), debtor, 1_000) is None
    world.now = world.now.plus(86_400_000)
    assert ask(step_of(world), debtor, 1) is Status.OVER_LIMIT


def test_a_funder_bounds_what_it_holds() -> None:
    world, debtor, funder, _ = chain()
    world.do(funder_limit(debtor, 300), by=funder, vector="limit.set/by_a_funder")
    step = step_of(world)
    draw(step, debtor, "CNY", Units(1_000))
    draw_funder(step, debtor, "CNY", Units(250), funder)
    assert ask(step, debtor, 51, funder) is Status.OVER_LIMIT
    assert ask(step, debtor, 50, funder) is None
    pass_funder(step, debtor, "CNY", Units(100), funder)
    assert ask(step, debtor, 150, funder) is None
    undraw(step, debtor, "CNY", [(funder, Units(150))])
    assert ask(step, debtor, 300, funder) is None
    world.state.commit(step.overlay)
    world.do(funder_limit(debtor, 100), by=funder)
    assert ask(step_of(world), debtor, 101, funder) is Status.OVER_LIMIT
    assert ask(step_of(world), debtor, 101) is None


@pytest.mark.parametrize("without", ["limit", "funder"])
def test_what_no_limit_is_set_for_is_free(without: str) -> None:
    world, debtor, funder, _ = chain()
    step = step_of(world)
    draw_funder(step, debtor, "CNY", Units(5), funder)
    assert f"credit/{debtor}.CNY" not in step.overlay.records
    assert ask(step, debtor, MAX_UNITS, funder if without == "funder" else None) is None


def test_who_sets_limits() -> None:
    world, debtor, funder, governor = chain()
    one = consortium_limit(debtor, 1)
    world.do(one, by=funder, expect=Status.ROLE_MISSING, vector="limit.set/role_missing")
    own = funder_limit(funder, 1)
    world.do(own, by=funder, expect=Status.SAME_PARTY, vector="limit.set/same_party")
    nobody = consortium_limit("mbr_" + "0" * 16, 1)
    world.do(nobody, by=governor, expect=Status.NOT_A_MEMBER, vector="limit.set/not_a_member")
    late = consortium_limit(debtor, 1, until_on=datetime.date(2026, 3, 1))
    world.do(late, by=governor, expect=Status.BAD_DATES, vector="limit.set/bad_dates")
    unknown = SetLimit(scope=LimitScope.CONSORTIUM, debtor=debtor, currency="XTS", units=Units(1), until_on=UNTIL)
    world.do(unknown, by=governor, expect=Status.UNKNOWN_CURRENCY, vector="limit.set/unknown_currency")


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 1_000)), max_size=30))
def test_what_is_out_is_what_was_drawn_less_what_ended(moves: list[tuple[bool, int]]) -> None:
    world, debtor, funder, _ = chain()
    step = step_of(world)
    outstanding = 0
    for is_draw, units in moves:
        if is_draw:
            draw(step, debtor, "CNY", Units(units))
            outstanding += units
        elif units <= outstanding:
            undraw(step, debtor, "CNY", [(funder, Units(units))])
            outstanding -= units
    row = step.find(DebtorCredit, f"{debtor}.CNY")
    assert (row.outstanding if row is not None else 0) == outstanding
