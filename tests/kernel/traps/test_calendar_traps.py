"""Traps of earlier systems that concern days: each named after what went wrong (DOMAIN section 8)."""

import pytest

from tallystick import seeds
from tallystick.kernel.calendar.days import day_of, end_of, start_of
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import HOUR_MS, Instant
from tallystick.wire.status import Status
from tests.support.law import day, under
from tests.support.memory import MemoryState
from tests.support.receivables import issued, request_of, trade
from tests.support.world import START, World


def test_a_missing_calendar_year_crashed_production() -> None:
    """A due date past the last published year is refused, with the day, and nothing else happens."""
    t = trade()
    del t.world.state.rows["calendar/2027"]
    asked = request_of(t.buyer, t.supplier, 100_00, due_on=day("2027-01-04"))
    result = t.world.do(
        asked, by=t.buyer, expect=Status.CALENDAR_MISSING, vector="receivable.request/calendar_year_missing"
    )
    assert result.facts == {"day": "2027-01-04"}


@pytest.mark.parametrize("text", ["2026-03-29", "2026-06-30", "2026-10-25", "2024-02-29"])
def test_the_maturity_day_flipped_between_start_and_end_of_day(text: str) -> None:
    """First and last instant of a day lie in that day, their neighbours in the days beside it, summer time or not."""
    state = MemoryState([seeds.zone("Europe/London")])
    on = day(text)
    for instant in (start_of(state, on), end_of(state, on)):
        assert day_of(state, instant) == on
    assert day_of(state, Instant(start_of(state, on) - 1)) < on < day_of(state, end_of(state, on).plus(1))


def test_a_plus_one_offset_expired_a_hold_early() -> None:
    """An instant has one form, in UTC; an offset is refused, and a day's end moves with the zone's clocks."""
    with pytest.raises(DecodeError):
        Instant.parse("2026-07-01T23:59:59.999+01:00")
    state = MemoryState([seeds.zone("Europe/London")])
    assert end_of(state, day("2026-07-01")) - Instant.parse("2026-07-01T23:59:59.999Z") == -HOUR_MS
    assert end_of(state, day("2026-01-01")) == Instant.parse("2026-01-01T23:59:59.999Z")


def test_a_flag_keeps_the_debtor_from_issuing_until_its_overdue_receivable_is_gone() -> None:
    """What is overdue here bars issue by itself: nobody has to remember to flag the debtor."""
    t = trade()
    under(t.world, "cn", zone="Asia/Shanghai")
    receivable = issued(t.world, t.buyer, t.supplier, 100_00, t.auditor)
    t.world.wait(until=end_of(t.world.state, day("2026-06-30")).plus(1))
    assert t.world.state.rows[f"receivable/{receivable}"].state.value == "overdue"
    asked = request_of(t.buyer, t.supplier, 50_00, issue_on=day("2026-07-01"), due_on=day("2026-09-01"))
    t.world.do(asked, by=t.buyer, expect=Status.DEBTOR_IN_ARREARS, vector="receivable.request/debtor_in_arrears")
    assert World().now == START
