"""Paying parcels: which units, out of which money, to whom; the one place where a payment retires parcels.

Used at maturity, on each funding after it, and when the debtor redeems early or late; a payment always goes to whoever
holds then. Source: DOMAIN section 3, "Redemption".
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, assert_never

from msgspec.structs import replace

from tallystick.kernel.accounts import book
from tallystick.kernel.accounts.records import Account
from tallystick.kernel.arithmetic import divide
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Interval
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.step import Step
from tallystick.kernel.financing.maturity import end_redeemed as end_financing
from tallystick.kernel.financing.maturity import takes_payment
from tallystick.kernel.law.facts import FundsFacts
from tallystick.kernel.law.judge import judge_funds
from tallystick.kernel.membership.limits import undraw
from tallystick.kernel.receivables.parcels import (
    frozen_units,
    live_parcels,
    parcel_around,
    retire_all,
    retire_from,
)
from tallystick.kernel.receivables.records import LockKind, Parcel, Receivable, ReceivableState
from tallystick.kernel.redemption.ending import announce_end, ended, wind_up
from tallystick.kernel.redemption.late import interest_claims
from tallystick.kernel.redemption.records import HeldShare, Redemption
from tallystick.kernel.redemption.shares import HELD, outside, pieces_of, put_redemption
from tallystick.kernel.transfers.agreed import end_redeemed as end_transfer
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.errors import InvariantViolation

PAID = EventKind(
    "receivable.paid", "{units} {currency} of receivable {record} were paid ({means}); {left} {currency} are left."
)


class Part(NamedTuple):
    """Units of a live parcel that are paid together."""

    parcel: Parcel
    interval: Interval


class Purse(NamedTuple):
    """What a debtor can pay from at one custodian: the ledger accounts in the order in which they are drawn on."""

    custodian: str
    sources: tuple[tuple[str, Units], ...]

    @property
    def available(self) -> Units:
        """The sum of what the sources can give."""
        return Units(sum(units for _, units in self.sources))


def length_of(parts: Iterable[Part]) -> Units:
    """How many units `parts` span."""
    return Units(sum(part.interval.length for part in parts))


def live_parts(step: Step, receivable: Receivable, without: tuple[Interval, ...]) -> tuple[Part, ...]:
    """All live units outside `without`, parcel by parcel, ascending."""
    return tuple(
        Part(parcel, interval)
        for parcel in live_parcels(step, receivable)
        for interval in (outside(parcel.interval, without) if without else (parcel.interval,))
    )


def spread(parts: tuple[Part, ...], units: Units) -> tuple[Part, ...]:
    """`units` over `parts` in proportion: the lowest units of each, shares that sum exactly, empty ones left out."""
    shares = divide(units, [part.interval.length for part in parts])
    return tuple(
        Part(part.parcel, Interval(part.interval.first, part.interval.first + (share - 1)))
        for part, share in zip(parts, shares, strict=True)
        if share
    )


def purses(step: Step, receivable: Receivable, row: Redemption) -> list[Purse]:
    """What the debtor can pay from now: at each custodian the earmark, then its account."""
    found = [
        purse_of(step, receivable, row, account)
        for account in book.open_accounts(step, receivable.debtor, receivable.currency)
    ]
    if row.earmarked_at is not None and all(purse.custodian != row.earmarked_at for purse in found):
        found.append(Purse(row.earmarked_at, _earmarked(step, receivable, row.earmarked_at)))
    return found


def purse_of(step: Step, receivable: Receivable, row: Redemption, account: Account) -> Purse:
    """What the debtor can pay from with one of its accounts, the earmark first."""
    earmark = _earmarked(step, receivable, account.custodian) if row.earmarked_at == account.custodian else ()
    return Purse(account.custodian, (*earmark, (account.ledger_account, book.free_units(step, account))))


def _earmarked(step: Step, receivable: Receivable, custodian: str) -> tuple[tuple[str, Units], ...]:
    name = book.earmark(custodian, receivable.currency, receivable.id)
    return ((name, book.balance(step, name)),)


def check_lawful(step: Step, receivable: Receivable, custodian: str) -> Refusal | None:
    """Whether the law lets the debtor pay in ledger money at `custodian`.

    Asked for the creditor, whom the law let be owed: a later holder whom it would not pay must not block the others.
    """
    facts = FundsFacts(receivable.debtor, receivable.creditor, receivable.currency, custodian)
    judged = judge_funds(step, facts)
    return judged if isinstance(judged, Refusal) else None


def pay(step: Step, receivable: Receivable, row: Redemption, parts: tuple[Part, ...], purse: Purse) -> Iterator[Event]:
    """Pay `parts` out of `purse` and retire them. Shares that are frozen or under contract are held.

    The caller has tested that the purse covers them. Writes the receivable and the redemption.
    """
    frozen = frozen_units(receivable, step.now)
    bound, ending = _pending(step, parts)
    due: dict[str, int] = {}
    held: list[HeldShare] = []
    for part in parts:
        for piece in pieces_of(part.parcel, part.interval, frozen, bound):
            if piece.by or piece.frozen:
                share = HeldShare(
                    interval=piece.interval, holder=piece.holder, custodian=purse.custodian, by=piece.by or None
                )
                held.append(share)
            else:
                due[piece.holder] = due.get(piece.holder, 0) + piece.interval.length
    targets = [
        (book.receiving_ledger_account(step, holder, receivable.currency, receivable.id, purse.custodian), units)
        for holder, units in due.items()
    ]
    kept = sum(share.interval.length for share in held)
    if kept:
        targets.append((book.hold(purse.custodian, receivable.currency, receivable.id), kept))
    yield from _postings(step, receivable, purse, targets)
    row = replace(row, held=tuple(sorted((*row.held, *held), key=lambda share: share.interval.first)))
    for share in held:
        yield HELD(
            receivable.id,
            (share.holder, receivable.debtor),
            holder=share.holder,
            units=share.interval.length,
            currency=receivable.currency,
            first=share.interval.first,
            last=share.interval.last,
        )
    yield from retire_parts(step, receivable, row, parts, "ledger", frozenset(ending))
    yield from _end_pending(step, ending)


def _postings(step: Step, receivable: Receivable, purse: Purse, targets: list[tuple[str, int]]) -> Iterator[Event]:
    """Draw on the purse's sources in turn for each target; each gets its amount whole."""
    names = [name for name, _ in purse.sources]
    available = [int(units) for _, units in purse.sources]
    for target, units in targets:
        left = units
        for position, name in enumerate(names):
            taken = min(left, available[position])
            if not taken:
                continue
            available[position] -= taken
            left -= taken
            # A debtor that holds its own debt pays itself: the money stays where it is.
            if name != target:
                yield book.move(step, name, target, receivable.currency, Units(taken), receivable.id)
        if left:
            raise InvariantViolation(f"{receivable.id} was to be paid {units} but {left} are missing")


def _pending(step: Step, parts: tuple[Part, ...]) -> tuple[frozenset[str], dict[str, LockKind]]:
    """What holds units that are paid here: financings under contract, and the steps that end by the payment."""
    named = {
        lock.by: lock.kind for part in parts for lock in part.parcel.locks if lock.interval.overlaps(part.interval)
    }
    bound = frozenset(name for name, kind in named.items() if kind is LockKind.FINANCING and takes_payment(step, name))
    return bound, {name: kind for name, kind in named.items() if name not in bound}


def _end_pending(step: Step, ending: dict[str, LockKind]) -> Iterator[Event]:
    for name, kind in ending.items():
        match kind:
            case LockKind.FINANCING:
                yield from end_financing(step, name)
            case LockKind.TRANSFER:
                yield from end_transfer(step, name)
            case _:
                assert_never(kind)


def retire_parts(
    step: Step,
    receivable: Receivable,
    row: Redemption,
    parts: tuple[Part, ...],
    means: str,
    ending: frozenset[str] = frozenset(),
) -> Iterator[Event]:
    """Take paid `parts` out of the live parcels; with the last of them the receivable ends. Writes both rows."""
    units = length_of(parts)
    holders = tuple(dict.fromkeys(part.parcel.holder for part in parts))
    undraw(
        step,
        receivable.debtor,
        receivable.currency,
        tuple((part.parcel.holder, part.interval.length) for part in parts),
    )
    changed = retired(step, receivable, parts, ending)
    paid = tuple(part.interval for part in parts)
    row = replace(row, disputed=tuple(left for interval in row.disputed for left in outside(interval, paid)))
    put_redemption(step, row)
    changed = after_payment(step, changed, row)
    step.put(changed)
    yield PAID(
        receivable.id,
        (receivable.debtor, receivable.creditor, *holders),
        units=units,
        currency=receivable.currency,
        means=means,
        left=changed.outstanding,
    )
    yield from interest_claims(step, receivable, units, holders)
    if changed.outstanding == ZERO:
        yield announce_end(changed, holders)
        yield from wind_up(step, changed)


def retired(
    step: Step, receivable: Receivable, parts: tuple[Part, ...], ending: frozenset[str] = frozenset()
) -> Receivable:
    """`receivable` without the paid `parts`."""
    if length_of(parts) == receivable.outstanding:
        return retire_all(step, receivable)
    changed = receivable
    before = None
    for part in parts:
        again = before is not None and before.interval == part.parcel.interval
        parcel = parcel_around(step, changed, part.interval) if again else part.parcel
        if parcel is None:
            raise InvariantViolation(f"units {part.interval.first} of {receivable.id} are not live")
        changed = retire_from(step, changed, parcel, part.interval, ending)
        before = part.parcel
    return changed


def after_payment(step: Step, receivable: Receivable, row: Redemption) -> Receivable:
    """`receivable` in the state that follows from what is left of it and what is pending of its payment.

    Past its due date it is tried again by the next due work: what is to be paid is another amount than before, so the
    same money may do.
    """
    if receivable.outstanding == ZERO:
        closed = receivable.state is ReceivableState.IN_RECOURSE
        return ended(step, receivable, ReceivableState.CLOSED if closed else ReceivableState.REDEEMED)
    if row.unpaid:
        receivable = replace(receivable, pay_at=step.now)
    pending = row.bank is not None or bool(row.disputed)
    if receivable.state is ReceivableState.VALID and pending:
        return replace(receivable, state=ReceivableState.REDEEMING)
    if receivable.state is ReceivableState.REDEEMING and not pending:
        return replace(receivable, state=ReceivableState.VALID)
    return receivable
