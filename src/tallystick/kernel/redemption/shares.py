"""Held shares: money for redeemed units of which it is not yet decided whose it is.

A share waits while an authority's freeze covers its units or a financing under contract is undecided. Whoever decides
(an unfreezing, a judgment, a financing's outcome) calls here in the same step, after writing the receivable; each part
is paid out once and leaves the row in the step that pays it. Source: DOMAIN section 3, "Parcel" and "Financing".
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from msgspec.structs import replace

from tallystick.kernel.accounts import book
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Interval
from tallystick.kernel.core.step import Step
from tallystick.kernel.receivables.parcels import frozen_units, subtract
from tallystick.kernel.receivables.records import Parcel, Receivable
from tallystick.kernel.redemption.records import HeldShare, Redemption
from tallystick.wire.amounts import Units

HELD = EventKind(
    "redemption.held", "{units} {currency} for units {first} to {last} of receivable {record} are held for {holder}."
)
RELEASED = EventKind(
    "redemption.released", "{units} {currency} held for units {first} to {last} of receivable {record} go to {holder}."
)


class Piece(NamedTuple):
    """Units to be paid that share one fate: paid to `holder`, or held (for the financing `by`, or by a freeze)."""

    interval: Interval
    holder: str
    by: str
    frozen: bool


def pieces_of(parcel: Parcel, interval: Interval, frozen: tuple[Interval, ...], bound: frozenset[str]) -> list[Piece]:
    """`interval` of `parcel` cut where freezes and the financings of `bound` begin and end; ascending, without gaps."""
    locks = tuple(lock for lock in parcel.locks if lock.by in bound and lock.interval.overlaps(interval))
    covers = tuple(part for part in frozen if part.overlaps(interval))
    if not locks and not covers:
        return [Piece(interval, parcel.holder, "", frozen=False)]
    edges = {int(interval.first), int(interval.last) + 1}
    for part in (*(lock.interval for lock in locks), *covers):
        edges.update(edge for edge in (int(part.first), int(part.last) + 1) if interval.first < edge <= interval.last)
    ordered = sorted(edges)
    pieces = []
    for first, after in pairwise(ordered):
        part = Interval(Units(first), Units(after - 1))
        by = next((lock.by for lock in locks if lock.interval.contains(part)), "")
        pieces.append(Piece(part, parcel.holder, by, any(cover.contains(part) for cover in covers)))
    return pieces


def shares_of(step: Step, receivable: str) -> tuple[HeldShare, ...]:
    """What is held for a receivable's units."""
    row = step.find(Redemption, receivable)
    return () if row is None else row.held


def shares_over(step: Step, receivable: str, interval: Interval) -> tuple[HeldShare, ...]:
    """The held shares that have units in `interval`."""
    return tuple(share for share in shares_of(step, receivable) if share.interval.overlaps(interval))


def release_shares(step: Step, receivable: Receivable) -> Iterator[Event]:
    """Pay out every held share, or part of one, that nothing keeps any more. Called when a freeze has ended."""
    row = step.find(Redemption, receivable.id)
    if row is None or not row.held:
        return
    frozen = frozen_units(receivable, step.now)
    kept: list[HeldShare] = []
    freed: list[HeldShare] = []
    for share in row.held:
        stays = () if share.by is not None else _covered(share.interval, frozen)
        if share.by is not None:
            kept.append(share)
            continue
        kept.extend(replace(share, interval=part) for part in stays)
        freed.extend(replace(share, interval=part) for part in outside(share.interval, stays))
    if freed:
        put_redemption(step, replace(row, held=tuple(kept)))
        for share in freed:
            yield from _pay_share(step, receivable, share, share.holder)


def assign_shares(step: Step, receivable: Receivable, interval: Interval, to: str) -> Iterator[Event]:
    """By a judgment, what is held for units of `interval` becomes `to`'s; paid out where nothing else keeps it."""
    _change_holder(step, receivable, interval, to)
    yield from release_shares(step, receivable)


def cancel_shares(step: Step, receivable: Receivable, interval: Interval) -> Iterator[Event]:
    """By a judgment, what is held for units of `interval` goes back to the debtor."""
    yield from assign_shares(step, receivable, interval, receivable.debtor)


def decide_shares(step: Step, receivable: Receivable, financing: str, to: str) -> Iterator[Event]:
    """A financing's outcome: what was held for its units is `to`'s, the funder's or the client's."""
    row = step.find(Redemption, receivable.id)
    if row is None or all(share.by != financing for share in row.held):
        return
    held = tuple(replace(share, holder=to, by=None) if share.by == financing else share for share in row.held)
    step.put(replace(row, held=held))
    yield from release_shares(step, receivable)


def put_redemption(step: Step, row: Redemption) -> None:
    """Write a redemption's row, or remove it where it has nothing more to say."""
    empty = Redemption(id=row.id, debtor=row.debtor, currency=row.currency, due_on=row.due_on)
    if row != empty:
        step.put(row)
    elif step.find(Redemption, row.id) is not None:
        step.delete(row)


def redemption_of(step: Step, receivable: Receivable) -> Redemption:
    """The redemption's row of `receivable`, empty where nothing was written yet."""
    found = step.find(Redemption, receivable.id)
    if found is not None:
        return found
    return Redemption(
        id=receivable.id,
        debtor=receivable.debtor,
        currency=receivable.currency,
        due_on=receivable.moved_due_on or receivable.due_on,
    )


def without_questions(row: Redemption, gone: tuple[Interval, ...]) -> Redemption:
    """`row` once nobody is asked any more whether units of `gone` were paid through a bank."""
    waiting = tuple(left for interval in row.awaited for left in outside(interval, gone))
    bank = replace(row.bank, waiting=waiting) if row.bank is not None and waiting else None
    return replace(row, bank=bank, disputed=tuple(left for one in row.disputed for left in outside(one, gone)))


def _change_holder(step: Step, receivable: Receivable, interval: Interval, to: str) -> None:
    row = step.find(Redemption, receivable.id)
    if row is None:
        return
    held: list[HeldShare] = []
    for share in row.held:
        stays = subtract((share.interval,), interval)
        inside = outside(share.interval, stays)
        held.extend(replace(share, interval=part) for part in stays)
        held.extend(replace(share, interval=part, holder=to, by=None) for part in inside)
    step.put(replace(row, held=tuple(sorted(held, key=lambda share: share.interval.first))))


def _pay_share(step: Step, receivable: Receivable, share: HeldShare, to: str) -> Iterator[Event]:
    units, currency = share.interval.length, receivable.currency
    source = book.hold(share.custodian, currency, receivable.id)
    target = book.receiving_ledger_account(step, to, currency, receivable.id, share.custodian)
    yield book.move(step, source, target, currency, units, receivable.id)
    yield RELEASED(
        receivable.id,
        (to, receivable.debtor),
        holder=to,
        units=units,
        currency=currency,
        first=share.interval.first,
        last=share.interval.last,
    )


def _covered(interval: Interval, frozen: tuple[Interval, ...]) -> tuple[Interval, ...]:
    """The parts of `interval` that some freeze covers."""
    return outside(interval, outside(interval, frozen))


def outside(interval: Interval, parts: tuple[Interval, ...]) -> tuple[Interval, ...]:
    """The parts of `interval` that are in none of `parts`, ascending."""
    left: tuple[Interval, ...] = (interval,)
    for part in parts:
        left = subtract(left, part)
    return left
