"""The days of a plan as instants: both sides of each, month ends, leap days, holidays, a missing year."""

import datetime
from typing import Any

import pytest

from tallystick import seeds
from tallystick.kernel.calendar.records import CalendarYear, YearVersion
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Block, Step
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.plans.conditions import AllOf, AnyOf, Condition, OnDate, PayerAccepts
from tallystick.kernel.plans.days import instants_for, long_stop_of, next_wake, opened_days
from tallystick.kernel.plans.records import DayOpens, Retention, TrancheState
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status
from tests.support.law import day
from tests.support.plans import PART, confirmed, plan_of, state_of, tranche, version_row
from tests.support.products import cast
from tests.support.receivables import publish_calendar
from tests.support.world import World


def step_in(world: World) -> Step:
    block = Block(world.height, world.now, world.today(), b"\0" * 32)
    step = Step(world.chain, block, Overlay(world.state), 0, ("block", "t"), ())
    step.begin(0)
    return step


def chinese() -> Step:
    """2026 as it was published for China, in China's zone."""
    world = World()
    world.put(*seeds.calendar("cn"), seeds.zone("Asia/Shanghai"))
    return step_in(world)


def weekdays(*years: int) -> Step:
    world = World()
    publish_calendar(world, *years)
    return step_in(world)


def at(text: str) -> Instant:
    return Instant.parse(text)


def instants(step: Step, tranche_state: TrancheState | None = None, **fields: Any) -> TrancheState:
    dates = {name: day(value) if isinstance(value, str) else value for name, value in fields.items()}
    found = instants_for(step, tranche(**dates), tranche_state or TrancheState())
    assert isinstance(found, TrancheState), found
    return found


WINDOW = {"fund_by_on": "2026-09-30", "release_from_on": "2026-09-30", "release_until_on": "2026-10-01"}


def test_days_move_over_a_holiday_in_the_business_zone() -> None:
    """National Day: what falls on 1 to 7 October 2026 moves to the 8th, in China's hours."""
    found = instants(chinese(), **{**WINDOW, "release_from_on": "2026-10-01"})
    assert found.fund_until == at("2026-10-05T15:59:59.999Z")  # and five days of grace
    assert found.release_at == at("2026-10-07T16:00:00.000Z")
    assert found.unmet_at == at("2026-10-08T15:59:59.999Z")


def test_a_deposit_day_on_a_holiday_moves_to_the_next_business_day() -> None:
    found = instants(chinese(), fund_by_on="2026-10-01", release_from_on="2026-09-30", release_until_on="2026-10-01")
    assert found.unmet_at == at("2026-10-08T15:59:59.999Z")
    assert found.fund_until == at("2026-10-13T15:59:59.999Z")


def test_a_weekend_that_is_worked_is_a_business_day() -> None:
    """10 October 2026 is a Saturday with business (调休)."""
    found = instants(chinese(), fund_by_on="2026-10-10", release_from_on="2026-10-10", release_until_on="2026-10-10")
    assert found.release_at == at("2026-10-09T16:00:00.000Z")
    assert found.unmet_at == at("2026-10-10T15:59:59.999Z")


def test_a_window_of_one_saturday_is_open_on_monday() -> None:
    """The end moves with the beginning, else it would be over before it opens."""
    found = instants(weekdays(2026), release_from_on="2026-04-04", release_until_on="2026-04-04")
    assert found.release_at == at("2026-04-06T00:00:00.000Z")
    assert found.unmet_at == at("2026-04-06T23:59:59.999Z")


def test_the_last_day_of_a_month_moves_into_the_next() -> None:
    """31 May 2026 is a Sunday; the convention is `following`, also over a month's end."""
    found = instants(weekdays(2026), release_from_on="2026-05-31", release_until_on="2026-05-31")
    assert found.release_at == at("2026-06-01T00:00:00.000Z")


@pytest.mark.parametrize(
    ("on", "opens"),
    [
        ("2028-02-29", "2028-02-29T00:00:00.000Z"),  # a Tuesday
        ("2028-02-28", "2028-02-28T00:00:00.000Z"),
        ("2032-02-29", "2032-03-01T00:00:00.000Z"),  # a Sunday
    ],
)
def test_leap_days(on: str, opens: str) -> None:
    found = instants(weekdays(2026, 2028, 2032), fund_by_on=on, release_from_on=on, release_until_on=on)
    assert found.release_at == at(opens)
    assert found.fund_until == Instant(at(opens).plus(6 * DAY_MS) - 1)  # with five days of grace


def test_summer_time_moves_the_opening_of_the_day() -> None:
    world = World()
    publish_calendar(world, 2026)
    world.put(seeds.zone("Europe/London"))
    found = instants(step_in(world), release_from_on="2026-03-27", release_until_on="2026-03-30")
    assert found.release_at == at("2026-03-27T00:00:00.000Z")
    assert found.unmet_at == at("2026-03-30T22:59:59.999Z")


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"fund_by_on": "2027-01-04", "release_until_on": "2027-01-05"}, "2027-01-04"),
        ({"release_from_on": "2027-01-04", "release_until_on": "2027-01-05"}, "2027-01-04"),
        ({"release_until_on": "2027-01-05"}, "2027-01-05"),
        ({"release_until_on": "2025-12-31"}, "2025-12-31"),
        ({"condition": OnDate(on=day("2027-01-06"))}, "2027-01-06"),
        ({"retention": Retention(rate=Rate(1), until_on=day("2027-01-07"))}, "2027-01-07"),
    ],
)
def test_a_year_that_is_not_published_is_refused(fields: dict[str, Any], missing: str) -> None:
    dates = {name: day(value) if isinstance(value, str) else value for name, value in fields.items()}
    found = instants_for(weekdays(2026), tranche(**dates), TrancheState())
    assert isinstance(found, Refusal)
    assert (found.status, found.facts) == (Status.CALENDAR_MISSING, {"day": missing})


def test_a_day_that_would_move_into_a_missing_year_is_refused() -> None:
    """The 31st is covered, but a holiday: whether the 1st is one nobody has published."""
    world = World()
    holiday = YearVersion(from_on=day("2000-01-01"), days_off=(day("2026-12-31"),), source="test")
    world.put(CalendarYear(id="2026", versions=(holiday,)))
    asked = tranche(release_until_on=day("2026-12-31"))
    found = instants_for(step_in(world), asked, TrancheState())
    assert isinstance(found, Refusal)
    assert found.facts == {"day": "2027-01-01"}
    before = instants_for(step_in(world), tranche(release_until_on=day("2026-12-30")), TrancheState())
    assert isinstance(before, TrancheState)


def test_what_misses_no_money_waits_for_none() -> None:
    full = TrancheState(deposited=Units(PART), held=Units(PART))
    short = TrancheState(deposited=Units(PART - 1), held=Units(PART - 1))
    assert instants(weekdays(2026), full).fund_until is None
    assert instants(weekdays(2026), short).fund_until == at("2026-03-21T23:59:59.999Z")
    given_back = TrancheState(deposited=Units(PART), held=Units(PART - 1), refunded=Units(1), given_back=Units(1))
    assert instants(weekdays(2026), given_back).fund_until is not None


@pytest.mark.parametrize("grace", [0, 1, 30])
def test_grace_is_counted_in_calendar_days_after_the_moved_day(grace: int) -> None:
    world = World(policies=Policies(funding_grace_days=grace))
    publish_calendar(world, 2026)
    found = instants(step_in(world), fund_by_on="2026-03-14")  # a Saturday
    assert found.fund_until == Instant(at("2026-03-17T00:00:00.000Z").plus(grace * DAY_MS) - 1)


def test_money_and_progress_are_left_alone() -> None:
    had = TrancheState(deposited=Units(7), held=Units(7), rounds=2, extended=1, certificates=("crt_0000000000000000",))
    found = instants(weekdays(2026), had)
    assert (found.deposited, found.held, found.rounds, found.extended) == (7, 7, 2, 1)
    assert found.certificates == had.certificates


# --- the days of conditions -----------------------------------------------------------------------------------------


def opens(*days: tuple[str, str]) -> tuple[DayOpens, ...]:
    return tuple(DayOpens(on=day(on), at=at(instant)) for on, instant in days)


def test_the_days_of_conditions_move_too_each_once_and_ascending() -> None:
    one = tranche(condition=AnyOf(of=(OnDate(on=day("2026-04-15")), OnDate(on=day("2026-04-04")))))
    two = tranche(condition=AllOf(of=(PayerAccepts(), OnDate(on=day("2026-04-15")))))
    assert opened_days(weekdays(2026), (one, two)) == opens(
        ("2026-04-04", "2026-04-06T00:00:00.000Z"), ("2026-04-15", "2026-04-15T00:00:00.000Z")
    )


def test_a_day_that_an_earlier_version_fixed_keeps_its_instant() -> None:
    known = opens(("2026-04-15", "2026-04-20T00:00:00.000Z"))
    terms = tranche(condition=OnDate(on=day("2026-04-15")))
    assert opened_days(weekdays(), (terms,), known) == known  # and no calendar is asked


FIRST, SECOND = OnDate(on=day("2026-04-10")), OnDate(on=day("2026-04-20"))
OPENING, TENTH, TWENTIETH = (at(f"2026-04-{text}T00:00:00.000Z") for text in ("01", "10", "20"))


@pytest.mark.parametrize(
    ("condition", "wakes"),
    [
        (PayerAccepts(), [OPENING]),
        (FIRST, [TENTH]),
        (AnyOf(of=(SECOND, FIRST)), [TENTH, TWENTIETH]),
        (AllOf(of=(PayerAccepts(), FIRST)), [OPENING, TENTH]),
        (OnDate(on=day("2026-03-10")), [OPENING]),  # before the window: looked at when it opens
    ],
)
def test_time_alone_is_looked_at_when_it_may_bring_something_about(condition: Condition, wakes: list[Instant]) -> None:
    terms = tranche(condition=condition)
    days = opened_days(weekdays(2026), (terms,))
    assert not isinstance(days, Refusal)
    known = {each.on: each.at for each in days}
    found: list[Instant | None] = [next_wake(terms, known, OPENING)]
    for _ in wakes:
        found.append(next_wake(terms, known, OPENING, found[-1]))
    assert found == [*wakes, None]
    assert [next_wake(terms, known, OPENING, Instant(wake - 1)) for wake in wakes] == wakes
    assert instants(weekdays(2026), condition=condition).wake_at == wakes[0]


def test_the_long_stop_day_does_not_move() -> None:
    assert long_stop_of(weekdays(2026), datetime.date(2026, 10, 31)) == at("2026-10-31T23:59:59.999Z")


def test_a_confirmed_plan_keeps_the_calendar_it_was_agreed_under() -> None:
    """A holiday declared later moves what is agreed later, and nothing that stands."""
    c = cast()
    terms = tranche(condition=AnyOf(of=(PayerAccepts(), OnDate(on=day("2026-04-15")))))
    plan = confirmed(c.world, c, terms)
    before = state_of(c.world, plan), version_row(c.world, plan).opens
    holidays = (day("2026-04-01"), day("2026-04-15"), day("2026-04-30"))
    version = YearVersion(from_on=day("2000-01-01"), days_off=holidays, source="declared later")
    c.world.put(CalendarYear(id="2026", versions=(version,)))
    assert (state_of(c.world, plan), version_row(c.world, plan).opens) == before
    later = confirmed(c.world, c, terms, product=plan_of(c.world, plan).product)
    assert state_of(c.world, later).release_at == at("2026-04-02T00:00:00.000Z")
    assert version_row(c.world, later).opens == opens(("2026-04-15", "2026-04-16T00:00:00.000Z"))
