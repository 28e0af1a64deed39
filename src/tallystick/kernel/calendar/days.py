"""Days and instants: what day an instant belongs to, when a day begins and ends, and counting in business days.

`state` is anything that finds records by key: the committed state, an overlay, or `step.overlay`. Without a zone row
the zone is UTC. A day outside the published years is refused (`calendar_missing`), never guessed.
"""

import calendar
import datetime
from bisect import bisect_right
from functools import lru_cache
from typing import Protocol

from tallystick.kernel.calendar.records import BusinessZone, CalendarYear, Convention, Transition
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS, HOUR_MS, LAST_MS, MINUTE_MS, Instant
from tallystick.wire.status import Status

_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_DAY = datetime.timedelta(days=1)
_SATURDAY = 5
_WIDEST_MS = 16 * HOUR_MS  # no zone is further from UTC


class Readable(Protocol):
    """Whatever finds records by their key."""

    def find(self, key: str) -> Record | None:
        """The record under `key`."""


def day_of(state: Readable, instant: Instant) -> datetime.date:
    """The business zone's day in which `instant` lies."""
    transitions = _transitions(state)
    offset = _offset_ms(transitions, _segment(transitions, instant))
    return datetime.date.fromordinal((int(instant) + offset) // DAY_MS + _EPOCH_DAY)


def start_of(state: Readable, day: datetime.date) -> Instant:
    """The first instant of `day`: its midnight, or the end of the gap where clocks skip midnight."""
    midnight = (day.toordinal() - _EPOCH_DAY) * DAY_MS
    transitions = _transitions(state)
    segment = _segment(transitions, midnight - _WIDEST_MS)
    while segment + 1 < len(transitions):
        if int(transitions[segment + 1].at) + _offset_ms(transitions, segment) > midnight:
            break
        segment += 1
    start = midnight - _offset_ms(transitions, segment)
    if transitions and segment > 0:
        start = max(start, int(transitions[segment].at))
    return Instant(max(start, 0))


def end_of(state: Readable, day: datetime.date) -> Instant:
    """The last millisecond of `day`; a window that ends with the day is open at this instant."""
    if day == datetime.date.max:
        return Instant(LAST_MS)
    return Instant(int(start_of(state, day + _DAY)) - 1)


def check_covered(state: Readable, day: datetime.date) -> Refusal | None:
    """Whether a published calendar covers `day`."""
    return None if _published(state, day) is not None else refuse(Status.CALENDAR_MISSING, day=day)


def is_business_day(state: Readable, day: datetime.date) -> bool:
    """Whether `day`, which a published calendar must cover, is a business day."""
    answer = _published(state, day)
    if answer is None:
        raise InvariantViolation(f"no published calendar covers {day}: check_covered comes first")
    return answer


def moved(
    state: Readable, day: datetime.date, convention: Convention = Convention.FOLLOWING
) -> datetime.date | Refusal:
    """`day` itself if it is a business day, else the one that `convention` moves it to; or calendar_missing."""
    if convention is Convention.PRECEDING:
        return _nearest(state, day, -1)
    found = _nearest(state, day, 1)
    if convention is Convention.MODIFIED_FOLLOWING and not isinstance(found, Refusal) and found.month != day.month:
        return _nearest(state, day, -1)
    return found


def add_business_days(state: Readable, day: datetime.date, count: int) -> datetime.date | Refusal:
    """The `count`th business day after `day` (before it, if negative); `day` itself for 0. Or calendar_missing."""
    step = 1 if count > 0 else -1
    for _ in range(abs(count)):
        found = _nearest(state, day + step * _DAY, step)
        if isinstance(found, Refusal):
            return found
        day = found
    return day


def add_months(day: datetime.date, months: int) -> datetime.date:
    """The same day `months` later, held at the month's end: 31 August and 6 months is the last of February."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return datetime.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _nearest(state: Readable, day: datetime.date, step: int) -> datetime.date | Refusal:
    while (answer := _published(state, day)) is False:
        day += step * _DAY
    return day if answer else refuse(Status.CALENDAR_MISSING, day=day)


def _published(state: Readable, day: datetime.date) -> bool | None:
    """Whether `day` is a business day; None where no version of its year governs it."""
    row = state.find(f"calendar/{day.year}")
    if not isinstance(row, CalendarYear):
        return None
    for version in reversed(row.versions):
        if version.from_on <= day:
            if day.weekday() >= _SATURDAY:
                return day in version.days_on
            return day not in version.days_off
    return None


def _transitions(state: Readable) -> tuple[Transition, ...]:
    row = state.find("zone/chain")
    return row.transitions if isinstance(row, BusinessZone) else ()


def _segment(transitions: tuple[Transition, ...], instant: int) -> int:
    """Index of the transition in force at `instant`; the first one also holds before it."""
    return max(bisect_right(transitions, instant, key=_at) - 1, 0)


def _at(transition: Transition) -> int:
    return transition.at


def _offset_ms(transitions: tuple[Transition, ...], segment: int) -> int:
    return offset_ms(transitions[segment].offset) if transitions else 0


@lru_cache(maxsize=64)
def offset_ms(offset: str) -> int:
    """Milliseconds east of UTC that an offset like +08:00 means."""
    east = int(offset[1:3]) * HOUR_MS + int(offset[4:6]) * MINUTE_MS
    return east if offset[0] == "+" else -east
