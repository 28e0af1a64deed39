"""Parcels: finding, choosing, locking and cutting intervals of a receivable's face.

The functions that change parcels return the new `Receivable`, which the caller puts, once. They hide where parcels lie:
inside the receivable while they are few, in rows of their own above `INLINE_PARCELS` (those rows are written at once).
Parcels always ascend. What goes in partitions what comes out; anything else is `InvariantViolation` (DESIGN 9.2).
"""

from collections.abc import Iterable

from msgspec.structs import replace

from tallystick.kernel.core.fields import Interval
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.receivables.records import INLINE_PARCELS, Lock, Parcel, ParcelRow, Receivable
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status


def live_parcels(step: Step, receivable: Receivable) -> tuple[Parcel, ...]:
    """All live parcels, ascending."""
    if not receivable.in_rows:
        return receivable.parcels
    rows = (step.at(row.split("/", 3)[3]) for row in step.index_range(f"parcel_of/{receivable.id}/"))
    return tuple(row.parcel for row in rows if isinstance(row, ParcelRow))


def parcels_over(step: Step, receivable: Receivable, interval: Interval) -> tuple[Parcel, ...]:
    """The live parcels that share units with `interval`, ascending."""
    return tuple(p for p in live_parcels(step, receivable) if p.interval.overlaps(interval))


def find_parcel(step: Step, receivable: Receivable, interval: Interval) -> Parcel | None:
    """The live parcel that spans exactly `interval`."""
    if receivable.in_rows:
        row = step.find(ParcelRow, _row_id(receivable, interval))
        parcels: tuple[Parcel, ...] = () if row is None else (row.parcel,)
    else:
        parcels = receivable.parcels
    for parcel in parcels:
        if parcel.interval == interval:
            return parcel
    return None


def parcel_around(step: Step, receivable: Receivable, interval: Interval) -> Parcel | None:
    """The live parcel that contains every unit of `interval`; a parcel may have been cut since it was last named."""
    for parcel in live_parcels(step, receivable):
        if parcel.interval.contains(interval):
            return parcel
    return None


def frozen_units(receivable: Receivable, now: Instant) -> tuple[Interval, ...]:
    """What freezes cover at `now`; intervals of different freezes may overlap."""
    return tuple(part for freeze in receivable.freezes if now <= freeze.until for part in freeze.parts)


def check_units(parcel: Parcel, frozen: Iterable[Interval], interval: Interval) -> Refusal | None:
    """Whether a step may take exactly `interval` of `parcel`: intervals_overlap, parcel_locked, frozen."""
    if interval.first > interval.last or not parcel.interval.contains(interval):
        return refuse(Status.INTERVALS_OVERLAP, first=interval.first, last=interval.last)
    for lock in parcel.locks:
        if lock.interval.overlaps(interval):
            return refuse(Status.PARCEL_LOCKED, by=lock.by, first=lock.interval.first, last=lock.interval.last)
    for part in frozen:
        if part.overlaps(interval):
            return refuse(Status.FROZEN, first=part.first, last=part.last)
    return None


def choose_units(parcel: Parcel, frozen: tuple[Interval, ...], amount: Units) -> Interval | Refusal:
    """The lowest run of `amount` free units of `parcel` (DOMAIN section 3, Parcel).

    Refuses amount_zero; over_available where the parcel or its longest free run is shorter; frozen or parcel_locked
    where only freezes or only locks stand in the way.
    """
    if amount == 0:
        return refuse(Status.AMOUNT_ZERO)
    whole = parcel.interval
    if amount > whole.length:
        return refuse(Status.OVER_AVAILABLE, available=whole.length, asked=amount)
    if not parcel.locks and not frozen:
        return Interval(whole.first, whole.first + (amount - 1))
    locked = tuple(lock.interval for lock in parcel.locks)
    found, longest = _lowest_run(whole, (*locked, *frozen), amount)
    if found is not None:
        return found
    if _lowest_run(whole, locked, amount)[0] is not None:
        return refuse(Status.FROZEN, available=longest, asked=amount)
    if _lowest_run(whole, frozen, amount)[0] is not None:
        return refuse(Status.PARCEL_LOCKED, available=longest, asked=amount)
    return refuse(Status.OVER_AVAILABLE, available=longest, asked=amount)


def _lowest_run(whole: Interval, taken: tuple[Interval, ...], amount: Units) -> tuple[Interval | None, Units]:
    """The lowest run of `amount` units of `whole` outside `taken`, and the length of the longest run."""
    start = int(whole.first)
    longest = 0
    for part in sorted(taken, key=lambda interval: interval.first):
        longest = max(longest, min(int(part.first), int(whole.last) + 1) - start)
        if longest >= amount:
            return Interval(Units(start), Units(start + amount - 1)), Units(longest)
        start = max(start, int(part.last) + 1)
    longest = max(longest, int(whole.last) + 1 - start)
    if longest >= amount:
        return Interval(Units(start), Units(start + amount - 1)), Units(longest)
    return None, Units(longest)


def subtract(intervals: tuple[Interval, ...], taken: Interval) -> tuple[Interval, ...]:
    """What of `intervals` lies outside `taken`, ascending."""
    left: list[Interval] = []
    for interval in intervals:
        if not interval.overlaps(taken):
            left.append(interval)
            continue
        if interval.first < taken.first:
            left.append(Interval(interval.first, taken.first - 1))
        if taken.last < interval.last:
            left.append(Interval(taken.last + 1, interval.last))
    return tuple(left)


def lock(step: Step, receivable: Receivable, parcel: Parcel, held: Lock) -> Receivable:
    """Let a pending step hold units of `parcel`. The caller has tested them with `check_units` or `choose_units`."""
    locks = tuple(sorted((*parcel.locks, held), key=lambda one: one.interval.first))
    return _exchange(step, receivable, parcel, (replace(parcel, locks=locks),))


def unlock(step: Step, receivable: Receivable, interval: Interval, by: str) -> Receivable:
    """Let go of what the step `by` holds; `interval` are the units it locked."""
    parcel = _holding(step, receivable, interval, by)
    return _exchange(step, receivable, parcel, (replace(parcel, locks=_without(parcel, by)),))


def _without(parcel: Parcel, by: str) -> tuple[Lock, ...]:
    return tuple(held for held in parcel.locks if held.by != by)


def _holding(step: Step, receivable: Receivable, interval: Interval, by: str) -> Parcel:
    parcel = parcel_around(step, receivable, interval)
    if parcel is None or not any(held.by == by and held.interval == interval for held in parcel.locks):
        raise InvariantViolation(f"{by} holds no units {interval.first}..{interval.last} of {receivable.id}")
    return parcel


def cut_and_pass(
    step: Step, receivable: Receivable, interval: Interval, holder: str, origin: str, by: str = ""
) -> Receivable:
    """Cut `interval` out of its parcel and put it into other hands; the rest stays where it is.

    `by` is the step whose lock on exactly these units ends with it, where there is one. Other locks stay on the rest.
    """
    parcel = _holding(step, receivable, interval, by) if by else _around(step, receivable, interval)
    if by:
        parcel = replace(parcel, locks=_without(parcel, by))
    child = Parcel(holder=holder, interval=interval, origin=origin, hops=parcel.hops + 1)
    return _cut(step, receivable, parcel, interval, (child,))


def _around(step: Step, receivable: Receivable, interval: Interval) -> Parcel:
    parcel = parcel_around(step, receivable, interval)
    if parcel is None:
        raise InvariantViolation(f"no live parcel of {receivable.id} spans {interval.first}..{interval.last}")
    return parcel


def retire_from(
    step: Step, receivable: Receivable, parcel: Parcel, interval: Interval, ending: frozenset[str] = frozenset()
) -> Receivable:
    """As `retire`, of a parcel at hand. Pending steps let go of the units, and those of `ending` of the rest too."""
    kept = tuple(
        replace(held, interval=part)
        for held in parcel.locks
        if held.by not in ending
        for part in subtract((held.interval,), interval)
    )
    rest = tuple(
        replace(parcel, interval=left, locks=tuple(held for held in kept if left.contains(held.interval)))
        for left in subtract((parcel.interval,), interval)
    )
    changed = _exchange(step, receivable, parcel, rest, gone=interval.length)
    return replace(changed, redeemed=changed.redeemed + interval.length)


def retire_all(step: Step, receivable: Receivable) -> Receivable:
    """Every live parcel is paid at once."""
    changed = drop_all(step, receivable)
    return replace(changed, redeemed=changed.face - changed.cancelled)


def cancel_units(step: Step, receivable: Receivable, interval: Interval) -> Receivable:
    """Units of one parcel end unpaid, by a judgment or written off: they leave the live parcels, counted apart."""
    changed = _cut(step, receivable, _around(step, receivable, interval), interval, ())
    return replace(changed, cancelled=changed.cancelled + interval.length)


def drop_all(step: Step, receivable: Receivable) -> Receivable:
    """Every live parcel ends, as its receivable is void."""
    if receivable.in_rows:
        for parcel in live_parcels(step, receivable):
            step.delete(step.get(ParcelRow, _row_id(receivable, parcel.interval)))
    return replace(receivable, parcels=(), parcel_count=0, in_rows=False)


def _cut(
    step: Step, receivable: Receivable, parcel: Parcel, interval: Interval, middle: tuple[Parcel, ...]
) -> Receivable:
    """Replace `parcel` by what of it lies outside `interval`, and by `middle` in its place."""
    for held in parcel.locks:
        if held.interval.overlaps(interval):
            raise InvariantViolation(f"{held.by} still holds units of {interval.first}..{interval.last}")
    rest = tuple(
        replace(parcel, interval=left, locks=tuple(held for held in parcel.locks if left.contains(held.interval)))
        for left in subtract((parcel.interval,), interval)
    )
    children = tuple(sorted((*rest, *middle), key=lambda child: child.interval.first))
    return _exchange(step, receivable, parcel, children, gone=0 if middle else interval.length)


def _exchange(step: Step, receivable: Receivable, old: Parcel, new: tuple[Parcel, ...], gone: int = 0) -> Receivable:
    """Put `new` in the place of `old`. They must partition it, but for `gone` units."""
    end = int(old.interval.first) - 1
    spanned = 0
    for child in new:
        if child.interval.first <= end or child.interval.last < child.interval.first:
            raise InvariantViolation(f"parcels of {receivable.id} overlap at {child.interval.first}")
        end = int(child.interval.last)
        spanned += child.interval.length
    if end > old.interval.last or spanned + gone != old.interval.length:
        raise InvariantViolation(f"a parcel of {receivable.id} is not partitioned by its children")
    count = receivable.parcel_count - 1 + len(new)
    if receivable.in_rows:
        step.delete(step.get(ParcelRow, _row_id(receivable, old.interval)))
        _put_rows(step, receivable, new)
        return replace(receivable, parcel_count=count)
    here = next((at for at, parcel in enumerate(receivable.parcels) if parcel.interval == old.interval), None)
    if here is None:
        raise InvariantViolation(f"a parcel of {receivable.id} is not among its live ones")
    parcels = (*receivable.parcels[:here], *new, *receivable.parcels[here + 1 :])
    if count > INLINE_PARCELS:
        _put_rows(step, receivable, parcels)
        return replace(receivable, parcels=(), parcel_count=count, in_rows=True)
    return replace(receivable, parcels=parcels, parcel_count=count)


def _put_rows(step: Step, receivable: Receivable, parcels: tuple[Parcel, ...]) -> None:
    for parcel in parcels:
        row_id = _row_id(receivable, parcel.interval)
        step.put(ParcelRow(id=row_id, receivable=receivable.id, parcel=parcel))


def _row_id(receivable: Receivable, interval: Interval) -> str:
    return f"{receivable.id}.{int(interval.first)}"
