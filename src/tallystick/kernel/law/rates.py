"""Reference rates (LPR, Bank Rate): dated values as published, known up to a stated day and never guessed beyond it."""

import datetime
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from tallystick.kernel.calendar.days import Readable
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Code, Note, Struct
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.quorum import governors
from tallystick.wire.amounts import Rate
from tallystick.wire.status import Status

ADOPTED = EventKind("reference_rate.adopted", "The reference rate {record} is known up to {known_until_on}.")


class RateValue(Struct):
    """From `from_on` until the next value the published rate is `rate`, percent a year."""

    from_on: datetime.date
    rate: Rate


class ReferenceRate(Record):
    """A published rate; its id is its name (`cn-lpr-1y`, `gb-bank-rate`). Values ascend; known through the last day."""

    table = "reference_rate"

    values: tuple[RateValue, ...]
    known_until_on: datetime.date
    source: Note
    anchor: Anchor | None = None


def rate_on(state: Readable, name: str, day: datetime.date) -> Rate | Refusal:
    """The published rate `name` in force on `day`; reference_rate_missing where nobody has adopted it."""
    row = state.find(f"reference_rate/{name}")
    if isinstance(row, ReferenceRate) and day <= row.known_until_on:
        for value in reversed(row.values):
            if value.from_on <= day:
                return value.rate
    return refuse(Status.REFERENCE_RATE_MISSING, rate=name, day=day)


class AdoptReferenceRate(Operation, tag="reference_rate.adopt"):
    """Adopt published values of a reference rate (LPR, Bank Rate), and the day up to which they are known to hold.

    Signed by the governors, m of n. Days that were known keep their value: new values begin after them. `values` may be
    empty where the last one was published again. Source: DOMAIN section 6.
    """

    rate: Code
    known_until_on: datetime.date
    source: Note
    values: Annotated[tuple[RateValue, ...], Meta(max_length=500)] = ()
    anchor: Anchor | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        return governors(step)

    def check(self, step: Step) -> Refusal | None:
        starts = [value.from_on for value in self.values]
        if starts != sorted(set(starts)) or (starts and starts[-1] > self.known_until_on):
            return refuse(Status.BAD_DATES, rate=self.rate, known_until_on=self.known_until_on)
        row = step.find(ReferenceRate, self.rate)
        if row is None:
            return None if self.values else refuse(Status.NOT_FOUND, rate=self.rate)
        first = starts[0] if starts else self.known_until_on
        if first <= row.known_until_on:
            return refuse(Status.RETROACTIVE, rate=self.rate, from_on=first, known_until_on=row.known_until_on)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        row = step.find(ReferenceRate, self.rate)
        values = (*row.values, *self.values) if row is not None else self.values
        step.put(
            ReferenceRate(
                id=self.rate,
                values=values,
                known_until_on=self.known_until_on,
                source=self.source,
                anchor=self.anchor,
            )
        )
        yield ADOPTED(self.rate, step.organisations, known_until_on=self.known_until_on, rate=values[-1].rate)
