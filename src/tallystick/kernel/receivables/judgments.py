"""Judgments executed on units of a receivable (扣划): they end unpaid, or pass to whom the court says.

Where freezes cover the units, the judgment names the one it executes, which must be first in the queue on all of them.
With its execution the units leave every freeze: those that waited never take effect. What a pending step still
holds is not touched: freeze first; the pending step then fails at its deadline. Source: DOMAIN section 3.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, FreezeId, Interval, MemberId, ReceivableId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.limits import undraw
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.rules import check_party
from tallystick.kernel.receivables.freezes import check_not_concerned, check_units_stand, concerned, without_units
from tallystick.kernel.receivables.parcels import cancel_units, parcels_over
from tallystick.kernel.receivables.records import Parcel, Receivable, ReceivableState
from tallystick.kernel.redemption.ending import announce_end, ended, wind_up
from tallystick.kernel.redemption.paying import after_payment
from tallystick.kernel.redemption.shares import (
    assign_shares,
    cancel_shares,
    put_redemption,
    redemption_of,
    shares_over,
    without_questions,
)
from tallystick.kernel.transfers.passing import pass_on
from tallystick.kernel.transfers.records import TransferKind
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status

CANCELLED = EventKind("parcel.cancelled", "Units {first} to {last} of receivable {record} ended by a judgment.")
ASSIGNED = EventKind("parcel.assigned", "Units {first} to {last} of receivable {record} were assigned to {to}.")


def _check_execution(
    step: Step, receivable_id: str, interval: Interval, freeze: FreezeId | None
) -> Receivable | Refusal:
    """Order: not_found, must_recuse, intervals_overlap, units_not_live, parcel_locked, freeze_not_first."""
    receivable = step.find(Receivable, receivable_id)
    if receivable is None:
        return refuse(Status.NOT_FOUND, receivable=receivable_id)
    refusal = check_not_concerned(step, receivable, interval) or check_units_stand(step, receivable, interval)
    if refusal is not None:
        return refusal
    for parcel in parcels_over(step, receivable, interval):
        for lock in parcel.locks:
            if lock.interval.overlaps(interval):
                return refuse(Status.PARCEL_LOCKED, by=lock.by, first=lock.interval.first, last=lock.interval.last)
    for share in shares_over(step, receivable.id, interval):
        if share.by is not None:
            return refuse(Status.PARCEL_LOCKED, by=share.by, first=share.interval.first, last=share.interval.last)
    return _check_queue(step, receivable, interval, freeze) or receivable


def _check_queue(step: Step, receivable: Receivable, interval: Interval, named: FreezeId | None) -> Refusal | None:
    """A live freeze over the units must be the named one, cover them all and stand before every other one on them."""
    on_it = [
        freeze
        for freeze in receivable.freezes
        if step.now <= freeze.until and any(part.overlaps(interval) for part in freeze.parts)
    ]
    first = on_it[0] if on_it else None
    if first is None and named is None:
        return None
    if first is None or first.id != named or not any(part.contains(interval) for part in first.parts):
        return refuse(Status.FREEZE_NOT_FIRST, receivable=receivable.id, first="none" if first is None else first.id)
    return None


def _inside(parcel: Parcel, interval: Interval) -> Interval:
    """The units of `parcel` in `interval`."""
    return Interval(max(parcel.interval.first, interval.first), min(parcel.interval.last, interval.last))


class CancelByJudgment(Operation, tag="parcel.cancel_by_judgment"):
    """End units of a receivable unpaid, by a judgment; money that waits for them goes back to the debtor.

    Signed by an auditor, who anchors the judgment. A receivable of which nothing is left is closed. The invoice amounts
    do not come back.
    """

    receivable: ReceivableId
    interval: Interval
    judgment: Anchor
    freeze: FreezeId | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.holding(Role.AUDITOR.value)

    def check(self, step: Step) -> Refusal | None:
        found = _check_execution(step, self.receivable, self.interval, self.freeze)
        return found if isinstance(found, Refusal) else None

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = step.get(Receivable, self.receivable)
        told = concerned(step, receivable, (self.interval,))
        gone: list[tuple[str, Units]] = []
        changed = receivable
        for parcel in parcels_over(step, receivable, self.interval):
            part = _inside(parcel, self.interval)
            gone.append((parcel.holder, part.length))
            changed = cancel_units(step, changed, part)
        changed = replace(changed, freezes=without_units(changed.freezes, self.interval))
        closes = receivable.is_owed and changed.parcel_count == 0
        if closes:
            changed = ended(step, changed, ReceivableState.CLOSED)
        elif gone:
            row = without_questions(redemption_of(step, receivable), (self.interval,))
            put_redemption(step, row)
            changed = after_payment(step, changed, row)
        step.put(changed)
        if gone:
            undraw(step, receivable.debtor, receivable.currency, gone)
        yield CANCELLED(
            receivable.id, told, first=self.interval.first, last=self.interval.last, judgment=self.judgment.hash
        )
        yield from cancel_shares(step, changed, self.interval)
        if closes:
            yield announce_end(changed, told)
            yield from wind_up(step, changed)


class AssignByJudgment(Operation, tag="parcel.assign_by_judgment"):
    """Pass units of a receivable to another organisation, by a judgment (扣划); the debtor is notified.

    Signed by an auditor, who anchors the judgment. Neither the splitting rules nor the limit of hops bind a court. The
    earlier holder does not answer for the debtor. Money that waits for the units becomes the assignee's.
    """

    receivable: ReceivableId
    interval: Interval
    to: MemberId
    judgment: Anchor
    freeze: FreezeId | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.holding(Role.AUDITOR.value)

    def check(self, step: Step) -> Refusal | None:
        found = _check_execution(step, self.receivable, self.interval, self.freeze)
        if isinstance(found, Refusal):
            return found
        refusal = check_party(step, self.to)
        if refusal is not None:
            return refusal
        parcels = parcels_over(step, found, self.interval)
        if any(parcel.holder == self.to for parcel in parcels):
            return refuse(Status.SAME_PARTY, organisation=self.to)
        if self.to == found.debtor and parcels:
            return refuse(Status.SET_OFF_ONLY, debtor=self.to)
        if found.parcel_count + 2 > step.chain.max_parcels:
            return refuse(Status.TOO_MANY_PARCELS, parcels=found.parcel_count, limit=step.chain.max_parcels)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = step.get(Receivable, self.receivable)
        told = (*concerned(step, receivable, (self.interval,)), self.to)
        freed = replace(receivable, freezes=without_units(receivable.freezes, self.interval))
        step.put(freed)
        for parcel in parcels_over(step, receivable, self.interval):
            part = _inside(parcel, self.interval)
            now = step.get(Receivable, self.receivable)
            yield from pass_on(step, now, parcel, part, self.to, TransferKind.JUDGMENT, background=self.judgment)
        yield ASSIGNED(receivable.id, told, first=self.interval.first, last=self.interval.last, to=self.to)
        yield from assign_shares(step, step.get(Receivable, self.receivable), self.interval, self.to)
