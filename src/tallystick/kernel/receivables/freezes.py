"""Freezes (冻结) on any live interval of a receivable, and their queue (轮候冻结).

A freeze is an overlay: it moves nothing. It bars every step on its units; what was pending on them fails at its
deadline; what falls due is paid into a hold account. Freezes on the same units stand in a queue: the first one governs,
the next steps up when it ends. Signed by an auditor, who anchors the authority's order. Source: DOMAIN section 3.
"""

import datetime
from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.calendar.days import end_of
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, FreezeId, Interval, ReceivableId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.rules import acting_as
from tallystick.kernel.receivables.parcels import parcels_over, subtract
from tallystick.kernel.receivables.records import MAX_FREEZES, Freeze, Receivable
from tallystick.kernel.redemption.shares import release_shares, shares_over
from tallystick.wire.status import Status

FROZEN = EventKind(
    "parcel.frozen", "Units {first} to {last} of receivable {record} are frozen until {until} ({place} in the queue)."
)
UNFROZEN = EventKind("parcel.unfrozen", "Freeze {freeze} on receivable {record} ended: {reason}.")


def concerned(step: Step, receivable: Receivable, intervals: tuple[Interval, ...]) -> tuple[str, ...]:
    """The debtor, and whoever holds units of `intervals` or has money waiting for them."""
    named = [receivable.debtor]
    for interval in intervals:
        named.extend(parcel.holder for parcel in parcels_over(step, receivable, interval))
        named.extend(share.holder for share in shares_over(step, receivable.id, interval))
    return tuple(dict.fromkeys(named))


def check_units_stand(step: Step, receivable: Receivable, interval: Interval) -> Refusal | None:
    """Whether each unit of `interval` is live, or paid into a hold account and not yet anybody's: units_not_live."""
    missing: tuple[Interval, ...] = (interval,) if interval.first <= interval.last else ()
    if not missing:
        return refuse(Status.INTERVALS_OVERLAP, first=interval.first, last=interval.last)
    standing = (
        *(parcel.interval for parcel in parcels_over(step, receivable, interval)),
        *(share.interval for share in shares_over(step, receivable.id, interval)),
    )
    for part in standing:
        missing = subtract(missing, part)
    if missing:
        return refuse(Status.UNITS_NOT_LIVE, first=missing[0].first, last=missing[0].last)
    return None


def check_not_concerned(step: Step, receivable: Receivable, interval: Interval) -> Refusal | None:
    """The auditor who carries out an order is none of those whom it concerns: must_recuse."""
    auditor = acting_as(step, Role.AUDITOR)
    if auditor in concerned(step, receivable, (interval,)):
        return refuse(Status.MUST_RECUSE, organisation=auditor)
    return None


class FreezeParcel(Operation, tag="parcel.freeze"):
    """Freeze an interval of a receivable until the end of a day, by an authority's order (冻结).

    Signed by an auditor. It may cover any live units, whoever holds them and whatever is pending; where another freeze
    covers them it waits in the queue (轮候冻结).
    """

    receivable: ReceivableId
    interval: Interval
    until_on: datetime.date
    authority_order: Anchor

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.holding(Role.AUDITOR.value)

    def check(self, step: Step) -> Refusal | None:
        receivable = step.find(Receivable, self.receivable)
        if receivable is None:
            return refuse(Status.NOT_FOUND, receivable=self.receivable)
        refusal = check_not_concerned(step, receivable, self.interval) or check_units_stand(
            step, receivable, self.interval
        )
        if refusal is not None:
            return refusal
        if self.until_on < step.today:
            return refuse(Status.BAD_DATES, until_on=self.until_on, today=step.today)
        if len(receivable.freezes) >= MAX_FREEZES:
            return refuse(Status.TOO_MANY, freezes=len(receivable.freezes), limit=MAX_FREEZES)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = step.get(Receivable, self.receivable)
        earlier = sum(any(part.overlaps(self.interval) for part in freeze.parts) for freeze in receivable.freezes)
        freeze = Freeze(
            id=step.new_id("frz"),
            parts=(self.interval,),
            authority=self.authority_order,
            until=end_of(step.overlay, self.until_on),
            since=step.position,
        )
        step.put(replace(receivable, freezes=(*receivable.freezes, freeze)))
        yield FROZEN(
            receivable.id,
            concerned(step, receivable, (self.interval,)),
            freeze=freeze.id,
            first=self.interval.first,
            last=self.interval.last,
            until=freeze.until,
            place=earlier + 1,
        )


class UnfreezeParcel(Operation, tag="parcel.unfreeze"):
    """End a freeze by the authority's order; the next one in the queue steps up, and money that waited is paid out.

    Signed by an auditor.
    """

    receivable: ReceivableId
    freeze: FreezeId
    authority_order: Anchor

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.holding(Role.AUDITOR.value)

    def check(self, step: Step) -> Refusal | None:
        receivable = step.find(Receivable, self.receivable)
        if receivable is None:
            return refuse(Status.NOT_FOUND, receivable=self.receivable)
        freeze = find_freeze(receivable, self.freeze)
        if freeze is None:
            return refuse(Status.NOT_FOUND, freeze=self.freeze)
        for part in freeze.parts:
            refusal = check_not_concerned(step, receivable, part)
            if refusal is not None:
                return refusal
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        yield from _end_freezes(step, step.get(Receivable, self.receivable), (self.freeze,), "by_order")


def find_freeze(receivable: Receivable, freeze_id: str) -> Freeze | None:
    """The freeze of that id which has not ended."""
    return next((freeze for freeze in receivable.freezes if freeze.id == freeze_id), None)


def _end_freezes(step: Step, receivable: Receivable, ending: tuple[str, ...], reason: str) -> Iterator[Event]:
    left = tuple(freeze for freeze in receivable.freezes if freeze.id not in ending)
    ended = tuple(freeze for freeze in receivable.freezes if freeze.id in ending)
    told = [concerned(step, receivable, freeze.parts) for freeze in ended]
    changed = replace(receivable, freezes=left)
    step.put(changed)
    for freeze, audience in zip(ended, told, strict=True):
        yield UNFROZEN(receivable.id, audience, freeze=freeze.id, reason=reason)
    yield from release_shares(step, changed)


def lapse_freezes(step: Step, record: Record) -> Iterator[Event]:
    """Freezes whose day has passed end (due work)."""
    if isinstance(record, Receivable):
        lapsed = tuple(freeze.id for freeze in record.freezes if freeze.until < step.now)
        if lapsed:
            yield from _end_freezes(step, record, lapsed, "lapsed")


def without_units(freezes: tuple[Freeze, ...], interval: Interval) -> tuple[Freeze, ...]:
    """The queue once a judgment was executed on `interval`: its units leave every freeze, and empty freezes end."""
    cut = (replace(freeze, parts=subtract(freeze.parts, interval)) for freeze in freezes)
    return tuple(freeze for freeze in cut if freeze.parts)
