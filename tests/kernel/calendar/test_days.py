"""Days of the business zone, both sides of each instant; business days as published; month ends and leap days."""

import datetime
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick import seeds
from tallystick.kernel.calendar.days import (
    add_business_days,
    add_months,
    check_covered,
    day_of,
    end_of,
    is_business_day,
    moved,
    start_of,
)
from tallystick.kernel.calendar.records import BusinessZone, Convention, Transition
from tallystick.kernel.core.refusal import Refusal
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.law import day
from tests.support.memory import MemoryState

PUBLISHED = json.loads((Path(__file__).parents[2] / "vectors/published/arithmetic.json").read_text())
SHANGHAI = MemoryState([seeds.zone("Asia/Shanghai"), *seeds.calendar("cn")])
LONDON = MemoryState([seeds.zone("Europe/London"), *seeds.calendar("gb")])
STATES = {"Asia/Shanghai": SHANGHAI, "Europe/London": LONDON}
YEARS_2000_TO_2040 = st.integers(946_684_800_000, 2_240_524_799_999)


def instant(text: str) -> Instant:
    return Instant.parse(text)


@pytest.mark.parametrize("case", PUBLISHED["workdays"], ids=lambda case: case["date"])
def test_published_workdays(case: dict[str, object]) -> None:
    on = day(str(case["date"]))
    assert on.strftime("%A") == case["weekday"]
    assert is_business_day(SHANGHAI, on) is case["workday"]


def test_a_day_in_shanghai_begins_at_sixteen_utc() -> None:
    assert start_of(SHANGHAI, day("2026-03-02")) == instant("2026-03-01T16:00:00.000Z")
    assert end_of(SHANGHAI, day("2026-03-02")) == instant("2026-03-02T15:59:59.999Z")
    assert day_of(SHANGHAI, instant("2026-03-01T15:59:59.999Z")) == day("2026-03-01")
    assert day_of(SHANGHAI, instant("2026-03-01T16:00:00.000Z")) == day("2026-03-02")


def test_without_a_zone_days_are_utc() -> None:
    state = MemoryState()
    assert start_of(state, day("2026-03-02")) == instant("2026-03-02T00:00:00.000Z")
    assert day_of(state, instant("2026-03-01T23:59:59.999Z")) == day("2026-03-01")


@pytest.mark.parametrize(
    ("text", "hours", "begins", "ends"),
    [
        ("2026-03-28", 24, "2026-03-28T00:00:00.000Z", "2026-03-28T23:59:59.999Z"),
        ("2026-03-29", 23, "2026-03-29T00:00:00.000Z", "2026-03-29T22:59:59.999Z"),
        ("2026-03-30", 24, "2026-03-29T23:00:00.000Z", "2026-03-30T22:59:59.999Z"),
        ("2026-10-24", 24, "2026-10-23T23:00:00.000Z", "2026-10-24T22:59:59.999Z"),
        ("2026-10-25", 25, "2026-10-24T23:00:00.000Z", "2026-10-25T23:59:59.999Z"),
        ("2026-10-26", 24, "2026-10-26T00:00:00.000Z", "2026-10-26T23:59:59.999Z"),
    ],
)
def test_london_days_about_the_change_of_clocks(text: str, hours: int, begins: str, ends: str) -> None:
    assert str(start_of(LONDON, day(text))) == begins
    assert str(end_of(LONDON, day(text))) == ends
    assert end_of(LONDON, day(text)) - start_of(LONDON, day(text)) + 1 == hours * 3_600_000


def test_clocks_that_change_at_midnight() -> None:
    """Where 00:00 becomes 01:00 (as Brazil did) the day begins with the gap's end; where 23:00, an hour later."""
    zone = BusinessZone(
        id="chain",
        name="America/Sao_Paulo",
        transitions=(
            Transition(at=instant("2017-10-15T03:00:00.000Z"), offset="-02:00"),
            Transition(at=instant("2018-02-18T02:00:00.000Z"), offset="-03:00"),
            Transition(at=instant("2018-11-04T03:00:00.000Z"), offset="-02:00"),
        ),
    )
    state = MemoryState([zone])
    assert start_of(state, day("2018-02-17")) == instant("2018-02-17T02:00:00.000Z")
    assert start_of(state, day("2018-02-18")) == instant("2018-02-18T03:00:00.000Z")
    assert day_of(state, instant("2018-02-18T02:59:59.999Z")) == day("2018-02-17")
    assert start_of(state, day("2018-11-04")) == instant("2018-11-04T03:00:00.000Z")
    assert day_of(state, instant("2018-11-04T02:59:59.999Z")) == day("2018-11-03")
    assert day_of(state, instant("2018-11-04T03:00:00.000Z")) == day("2018-11-04")
    assert start_of(state, day("2018-11-05")) == instant("2018-11-05T02:00:00.000Z")


@pytest.mark.parametrize("name", seeds.ZONES)
@given(at=YEARS_2000_TO_2040)
def test_days_are_those_of_the_time_zone_database(name: str, at: int) -> None:
    zone = ZoneInfo(name)
    expected = datetime.datetime.fromtimestamp(at // 1000, datetime.UTC).astimezone(zone).date()
    assert day_of(STATES[name], Instant(at)) == expected


@pytest.mark.parametrize("name", seeds.ZONES)
@given(at=YEARS_2000_TO_2040)
def test_every_instant_lies_in_exactly_its_own_day(name: str, at: int) -> None:
    state = STATES[name]
    on = day_of(state, Instant(at))
    assert start_of(state, on) <= at <= end_of(state, on)
    for edge, expected in (
        (start_of(state, on), on),
        (end_of(state, on), on),
        (start_of(state, on) - 1, on - datetime.timedelta(days=1)),
        (end_of(state, on) + 1, on + datetime.timedelta(days=1)),
    ):
        assert day_of(state, Instant(edge)) == expected


@pytest.mark.parametrize(
    ("text", "following", "modified", "preceding"),
    [
        ("2026-02-13", "2026-02-13", "2026-02-13", "2026-02-13"),
        ("2026-02-14", "2026-02-14", "2026-02-14", "2026-02-14"),  # a Saturday with business
        ("2026-02-17", "2026-02-24", "2026-02-24", "2026-02-14"),  # Spring Festival
        ("2026-05-31", "2026-06-01", "2026-05-29", "2026-05-29"),  # a Sunday at the month's end
        ("2024-02-29", "2024-02-29", "2024-02-29", "2024-02-29"),  # a leap day
    ],
)
def test_business_day_conventions(text: str, following: str, modified: str, preceding: str) -> None:
    assert moved(SHANGHAI, day(text)) == day(following)
    assert moved(SHANGHAI, day(text), Convention.MODIFIED_FOLLOWING) == day(modified)
    assert moved(SHANGHAI, day(text), Convention.PRECEDING) == day(preceding)


@pytest.mark.parametrize(
    ("text", "business"),
    [
        ("2022-06-02", False),
        ("2022-06-03", False),  # Platinum Jubilee
        ("2022-05-30", True),  # the Monday that lost its bank holiday
        ("2022-09-19", False),  # State Funeral
        ("2022-12-27", False),  # Christmas Day was a Sunday
        ("2023-05-08", False),  # Coronation
        ("2026-12-28", False),  # Boxing Day is a Saturday
        ("2026-12-24", True),
        ("2027-12-27", False),
        ("2027-12-28", False),
        ("2027-12-29", True),
    ],
)
def test_bank_holidays_of_england_and_wales(text: str, business: bool) -> None:
    assert is_business_day(LONDON, day(text)) is business


def test_counting_business_days() -> None:
    assert add_business_days(SHANGHAI, day("2026-02-13"), 1) == day("2026-02-14")
    assert add_business_days(SHANGHAI, day("2026-02-13"), 2) == day("2026-02-24")
    assert add_business_days(SHANGHAI, day("2026-02-24"), -3) == day("2026-02-12")
    assert add_business_days(LONDON, day("2026-04-07"), -1) == day("2026-04-02")
    assert add_business_days(LONDON, day("2026-04-05"), 0) == day("2026-04-05")


@given(start=st.dates(datetime.date(2023, 1, 1), datetime.date(2025, 12, 31)), count=st.integers(1, 40))
def test_counting_back_undoes_counting_on(start: datetime.date, count: int) -> None:
    begin = moved(LONDON, start)
    assert isinstance(begin, datetime.date)
    later = add_business_days(LONDON, begin, count)
    assert isinstance(later, datetime.date)
    assert is_business_day(LONDON, later)
    assert add_business_days(LONDON, later, -count) == begin


def missing(answer: object, text: str) -> None:
    assert isinstance(answer, Refusal)
    assert answer.status is Status.CALENDAR_MISSING
    assert answer.facts == {"day": text}


def test_past_the_last_published_year_nothing_is_guessed() -> None:
    """Trap: a missing calendar year crashed production. Here it is a refusal with the day."""
    missing(check_covered(LONDON, day("2028-01-04")), "2028-01-04")
    missing(check_covered(LONDON, day("2021-12-31")), "2021-12-31")
    assert check_covered(LONDON, day("2027-12-31")) is None
    missing(moved(SHANGHAI, day("2027-01-01")), "2027-01-01")
    missing(moved(MemoryState(), day("2026-03-02")), "2026-03-02")
    missing(add_business_days(LONDON, day("2027-12-31"), 1), "2028-01-01")
    missing(add_business_days(LONDON, day("2022-01-04"), -1), "2021-12-31")
    with pytest.raises(InvariantViolation, match="2028-01-04"):
        is_business_day(LONDON, day("2028-01-04"))


def test_a_move_over_the_year_end_needs_the_next_year() -> None:
    """31 December 2022 was a Saturday; the Monday after it was a holiday of 2023."""
    assert moved(LONDON, day("2022-12-31")) == day("2023-01-03")
    only_2022 = MemoryState([year for year in seeds.calendar("gb") if year.id == "2022"])
    missing(moved(only_2022, day("2022-12-31")), "2023-01-01")


@pytest.mark.parametrize(
    ("text", "months", "expected"),
    [
        ("2025-08-31", 6, "2026-02-28"),
        ("2023-08-31", 6, "2024-02-29"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-02-29", 48, "2028-02-29"),
        ("2025-12-31", 1, "2026-01-31"),
        ("2026-01-30", 1, "2026-02-28"),
        ("2026-03-31", -1, "2026-02-28"),
        ("2026-01-15", 0, "2026-01-15"),
        ("2026-11-15", 1, "2026-12-15"),
    ],
)
def test_months_are_held_at_the_months_end(text: str, months: int, expected: str) -> None:
    assert add_months(day(text), months) == day(expected)
