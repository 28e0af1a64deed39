"""calendar.adopt: who signs, what is published, and never a day that has begun."""

from typing import Any

import pytest

from tallystick import seeds
from tallystick.kernel.calendar.adopt import AdoptCalendar, PublishedYear
from tallystick.kernel.calendar.days import day_of, is_business_day, moved, start_of
from tallystick.kernel.calendar.records import Transition
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Role
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.law import day
from tests.support.world import World

SOURCE = "a notice of the government"


class Scene:
    """A consortium whose year 2026 is published, on 2 March 2026."""

    def __init__(self) -> None:
        self.world = World(policies=Policies(governors_needed=2))
        self.one = self.world.member("Governor One", Role.GOVERNOR)
        self.two = self.world.member("Governor Two", Role.GOVERNOR)
        self.world.put(*(year for year in seeds.calendar("gb") if year.id == "2026"), seeds.zone("Europe/London"))

    def adopt(self, expect: Status = Status.OK, vector: str = "", **fields: Any) -> dict[str, Any]:
        asked = AdoptCalendar(source=SOURCE, **fields)
        return self.world.do(asked, by=self.one, also=(self.two,), expect=expect, vector=vector).facts


@pytest.fixture
def scene() -> Scene:
    return Scene()


def year(number: int, off: tuple[str, ...] = (), on: tuple[str, ...] = ()) -> PublishedYear:
    return PublishedYear(year=number, days_off=tuple(map(day, off)), days_on=tuple(map(day, on)))


def test_a_new_year_extends_what_is_published(scene: Scene) -> None:
    scene.adopt(from_on=day("2027-01-01"), years=(year(2027, ("2027-01-01",)),), vector="calendar.adopt/accepted")
    assert moved(scene.world.state, day("2027-01-01")) == day("2027-01-04")
    assert scene.world.told(scene.one) == ["calendar.adopted"]


def test_one_governor_of_two_is_not_enough(scene: Scene) -> None:
    asked = AdoptCalendar(source=SOURCE, from_on=day("2027-01-01"), years=(year(2027),))
    scene.world.do(asked, by=scene.one, expect=Status.ROLE_MISSING, vector="calendar.adopt/role_missing")


def test_an_extra_holiday_holds_from_its_day_and_never_before(scene: Scene) -> None:
    holidays = tuple(each.isoformat() for each in scene.world.state.rows["calendar/2026"].versions[0].days_off)
    extra = tuple(sorted((*holidays, "2026-03-02", "2026-03-09")))
    state = scene.world.state
    facts = scene.adopt(
        Status.RETROACTIVE,
        from_on=day("2026-03-02"),
        years=(year(2026, extra),),
        vector="calendar.adopt/retroactive",
    )
    assert facts == {"from_on": "2026-03-02", "today": "2026-03-02"}
    scene.adopt(from_on=day("2026-03-03"), years=(year(2026, extra),))
    assert is_business_day(state, day("2026-03-02")), "a day that had begun keeps what it was"
    assert not is_business_day(state, day("2026-03-09"))
    scene.adopt(
        Status.BAD_DATES,
        from_on=day("2026-03-03"),
        years=(year(2026, holidays),),
        vector="calendar.adopt/bad_dates",
    )


def test_a_year_that_nobody_adopted_may_be_filled(scene: Scene) -> None:
    scene.adopt(from_on=day("2025-01-01"), years=(year(2025, ("2025-01-01",)),))
    assert not is_business_day(scene.world.state, day("2025-01-01"))


@pytest.mark.parametrize(
    "bad",
    [
        (),
        (year(2028), year(2027)),
        (year(2027, ("2027-01-02",)),),  # a Saturday can't be a weekday off
        (year(2027, (), ("2027-01-04",)),),  # a Monday can't be a weekend day on
        (year(2027, ("2028-01-03",)),),
        (year(2027, ("2027-01-04", "2027-01-01")),),
        (year(2027, ("2027-01-01", "2027-01-01")),),
    ],
)
def test_what_cannot_have_been_published(scene: Scene, bad: tuple[PublishedYear, ...]) -> None:
    scene.adopt(Status.BAD_VALUE, from_on=day("2027-01-01"), years=bad)


def test_a_published_year_holds_from_within_it(scene: Scene) -> None:
    scene.adopt(Status.BAD_DATES, from_on=day("2028-01-01"), years=(year(2027),))
    scene.adopt(
        Status.BAD_VALUE,
        from_on=day("2027-01-01"),
        years=(year(2027, ("2027-01-02",)),),
        vector="calendar.adopt/bad_value",
    )


def at(text: str, offset: str) -> Transition:
    return Transition(at=Instant.parse(text), offset=offset)


def test_a_zone_that_gives_up_summer_time(scene: Scene) -> None:
    """From October 2026 on the offset stays: what was to come is replaced, what was stays."""
    state = scene.world.state
    scene.adopt(from_on=day("2026-10-01"), offsets=(at("2026-10-25T01:00:00.000Z", "+00:00"),))
    assert str(start_of(state, day("2026-07-01"))) == "2026-06-30T23:00:00.000Z"
    assert str(start_of(state, day("2027-07-01"))) == "2027-07-01T00:00:00.000Z"
    assert day_of(state, Instant.parse("2030-07-01T23:30:00.000Z")) == day("2030-07-01")
    assert scene.world.told(scene.two) == ["calendar.zone_changed"]


@pytest.mark.parametrize(
    ("from_on", "offsets", "status"),
    [
        ("2026-03-02", (at("2026-10-25T01:00:00.000Z", "+00:00"),), Status.RETROACTIVE),
        ("2026-10-01", (at("2026-09-25T01:00:00.000Z", "+00:00"),), Status.BAD_DATES),
        (
            "2026-10-01",
            (at("2026-11-25T01:00:00.000Z", "+00:00"), at("2026-10-25T01:00:00.000Z", "+01:00")),
            Status.BAD_VALUE,
        ),
        ("2026-10-01", (at("2026-10-24T23:30:00.000Z", "+00:00"),), Status.BAD_VALUE),  # 00:30 becomes 23:30
    ],
)
def test_offsets_that_cannot_be(scene: Scene, from_on: str, offsets: tuple[Transition, ...], status: Status) -> None:
    scene.adopt(status, from_on=day(from_on), offsets=offsets)


def test_without_a_zone_there_are_no_offsets_to_change(scene: Scene) -> None:
    del scene.world.state.rows["zone/chain"]
    scene.adopt(
        Status.NOT_FOUND,
        from_on=day("2026-10-01"),
        offsets=(at("2026-10-25T01:00:00.000Z", "+00:00"),),
        vector="calendar.adopt/not_found",
    )
