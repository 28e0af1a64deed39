"""Adopting what is published about days: a year's business days, an extra holiday, a change of the zone's offset."""

import datetime
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta

from tallystick.kernel.calendar.days import offset_ms, start_of
from tallystick.kernel.calendar.records import BusinessZone, CalendarYear, Transition, Year, YearVersion
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Note, Struct
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.quorum import governors
from tallystick.wire.instants import DAY_MS, MINUTE_MS
from tallystick.wire.status import Status

ADOPTED = EventKind("calendar.adopted", "The business days of {record} hold from {from_on}.")
ZONE_CHANGED = EventKind("calendar.zone_changed", "The zone {record} has new offsets from {from_on}.")

_SATURDAY = 5
_DAYS = Meta(max_length=366)


class PublishedYear(Struct):
    """A year's days as published: weekdays without business, and Saturdays and Sundays with business (调休)."""

    year: Year
    days_off: Annotated[tuple[datetime.date, ...], _DAYS]
    days_on: Annotated[tuple[datetime.date, ...], _DAYS] = ()


class AdoptCalendar(Operation, tag="calendar.adopt"):
    """Adopt published business days of one or more years, or new offsets of the business zone, from a day on.

    Signed by the governors, m of n. A year that nobody has adopted may hold from any of its days on; a correction of
    one that stands (an extra bank holiday) only from a day that has not begun. Due dates that were moved before keep
    their day. Source: DOMAIN section 2.
    """

    from_on: datetime.date
    source: Note
    years: Annotated[tuple[PublishedYear, ...], Meta(max_length=20)] = ()
    offsets: Annotated[tuple[Transition, ...], Meta(max_length=400)] = ()
    anchor: Anchor | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        return governors(step)

    def check(self, step: Step) -> Refusal | None:
        if not self.years and not self.offsets:
            return refuse(Status.BAD_VALUE, reason="neither years nor offsets are given")
        numbers = [published.year for published in self.years]
        if numbers != sorted(set(numbers)):
            return refuse(Status.BAD_VALUE, reason="years are not ascending")
        for published in self.years:
            refusal = self._check_year(step, published)
            if refusal is not None:
                return refusal
        return self._check_offsets(step) if self.offsets else None

    def _check_year(self, step: Step, published: PublishedYear) -> Refusal | None:
        if published.year < self.from_on.year:
            return refuse(Status.BAD_DATES, year=published.year, from_on=self.from_on)
        for days, weekend in ((published.days_off, False), (published.days_on, True)):
            if list(days) != sorted(set(days)):
                return refuse(Status.BAD_VALUE, year=published.year, reason="days are not ascending")
            for day in days:
                if day.year != published.year or (day.weekday() >= _SATURDAY) is not weekend:
                    return refuse(Status.BAD_VALUE, year=published.year, day=day)
        row = step.find(CalendarYear, str(published.year))
        if row is None:
            return None
        if self.from_on <= step.today:
            return refuse(Status.RETROACTIVE, from_on=self.from_on, today=step.today)
        if self._starts(published) <= row.versions[-1].from_on:
            return refuse(Status.BAD_DATES, year=published.year, adopted_from=row.versions[-1].from_on)
        return None

    def _check_offsets(self, step: Step) -> Refusal | None:
        row = step.find(BusinessZone, "chain")
        if row is None:
            return refuse(Status.NOT_FOUND, zone="chain")
        if self.from_on <= step.today:
            return refuse(Status.RETROACTIVE, from_on=self.from_on, today=step.today)
        instants = [transition.at for transition in self.offsets]
        if instants != sorted(set(instants)):
            return refuse(Status.BAD_VALUE, reason="offsets are not ascending")
        if instants[0] < start_of(step.overlay, self.from_on):
            return refuse(Status.BAD_DATES, at=instants[0], from_on=self.from_on)
        return check_transitions(self._joined(step, row))

    def apply(self, step: Step) -> Iterator[Event]:
        for published in self.years:
            row = step.find(CalendarYear, str(published.year))
            version = YearVersion(
                from_on=self._starts(published),
                days_off=published.days_off,
                days_on=published.days_on,
                source=self.source,
                anchor=self.anchor,
            )
            step.put(CalendarYear(id=str(published.year), versions=(*(row.versions if row else ()), version)))
            yield ADOPTED(str(published.year), step.organisations, from_on=version.from_on)
        if self.offsets:
            zone = step.get(BusinessZone, "chain")
            step.put(msgspec.structs.replace(zone, transitions=self._joined(step, zone)))
            yield ZONE_CHANGED(zone.name, step.organisations, from_on=self.from_on)

    def _starts(self, published: PublishedYear) -> datetime.date:
        """The first day that this version of the year governs."""
        return max(self.from_on, datetime.date(published.year, 1, 1))

    def _joined(self, step: Step, zone: BusinessZone) -> tuple[Transition, ...]:
        """The zone's offsets as they stood before `from_on`, and the new ones from there on."""
        begins = start_of(step.overlay, self.from_on)
        return (*(kept for kept in zone.transitions if kept.at < begins), *self.offsets)


def check_transitions(transitions: tuple[Transition, ...]) -> Refusal | None:
    """Refuse offsets that would make a day come twice: clocks may be put back, but not over midnight."""
    for before, after in pairwise(transitions):
        last = int(after.at) + offset_ms(before.offset) - MINUTE_MS
        first = int(after.at) + offset_ms(after.offset)
        if first // DAY_MS < last // DAY_MS:
            return refuse(Status.BAD_VALUE, at=after.at, reason="clocks are put back over midnight")
    return None
