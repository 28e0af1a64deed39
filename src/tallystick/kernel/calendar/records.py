"""The rows of the calendar: the business zone's offsets from UTC, and one row per published year."""

import datetime
from enum import Enum
from typing import Annotated

from msgspec import Meta

from tallystick.kernel.core.fields import Anchor, Note, Struct
from tallystick.kernel.core.record import Record
from tallystick.wire.instants import Instant

Offset = Annotated[str, Meta(pattern=r"\A[+-](0[0-9]|1[0-5]):[0-5][0-9]\Z")]  # east of UTC, like +08:00
Year = Annotated[int, Meta(ge=1990, le=9998)]
ZoneName = Annotated[str, Meta(pattern=r"\A[A-Za-z][A-Za-z0-9_+/-]{0,63}\Z")]


class Convention(Enum):
    """Where a day moves that is not a business day."""

    FOLLOWING = "following"
    MODIFIED_FOLLOWING = "modified_following"  # following, unless that is in the next month: then preceding
    PRECEDING = "preceding"


class Transition(Struct):
    """From `at` on, the zone's clocks stand `offset` from UTC."""

    at: Instant
    offset: Offset


class BusinessZone(Record):
    """The consortium's one time zone. Id `chain`; transitions ascend; the first offset also holds before it."""

    table = "zone"
    is_rule = True

    name: ZoneName
    transitions: tuple[Transition, ...]


class YearVersion(Struct):
    """The days of a year as they were published, holding for the days from `from_on`.

    `days_off` are weekdays without business (holidays), `days_on` are Saturdays and Sundays with business (调休).
    """

    from_on: datetime.date
    days_off: tuple[datetime.date, ...]
    source: Note
    days_on: tuple[datetime.date, ...] = ()
    anchor: Anchor | None = None


class CalendarYear(Record):
    """A published year; its id is the year. A later version governs the days from its own first day on."""

    table = "calendar"
    is_rule = True

    versions: tuple[YearVersion, ...]
