"""The rows of receivables: `Receivable` with its parcels and freezes inside, `ParcelRow` for many, `Invoice`.

A step that changes a receivable writes one row of it. The lists inside are short: parcels move to rows of their own
above `INLINE_PARCELS`, which `parcels` hides.
"""

import datetime
from enum import Enum
from typing import Annotated

from msgspec import Meta

from tallystick.kernel.calendar.records import Convention
from tallystick.kernel.core.fields import (
    Anchor,
    AnyId,
    Code,
    Count,
    Currency,
    FreezeId,
    Hash,
    Interval,
    MemberId,
    Note,
    Position,
    ReceivableId,
    ReviewId,
    Struct,
)
from tallystick.kernel.core.record import Queue, Record
from tallystick.kernel.law.records import Judgement
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.instants import Instant

INLINE_PARCELS = 32
MAX_INVOICES = 500
MAX_FREEZES = 64
MAX_BACKED = 100  # receivables, pending or owed, behind which one invoice stands: a flag on it touches them in one step


class ReceivableState(Enum):
    """Where a receivable stands in its life (DOMAIN section 3).

    The confirmation opens the review in the same step, so `confirmed` is a fact of the record and not a state.
    """

    REQUESTED = "requested"
    UNDER_REVIEW = "under_review"
    VALID = "valid"
    REDEEMING = "redeeming"
    REDEEMED = "redeemed"
    OVERDUE = "overdue"
    IN_RECOURSE = "in_recourse"
    CLOSED = "closed"
    WRITTEN_OFF = "written_off"
    VOID = "void"
    DECLINED = "declined"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


PENDING_STATES = (
    ReceivableState.REQUESTED,
    ReceivableState.UNDER_REVIEW,
)
"""Before validity: it may still be withdrawn, and ends without a parcel ever having been held."""

OWED_STATES = (
    ReceivableState.VALID,
    ReceivableState.REDEEMING,
    ReceivableState.OVERDUE,
    ReceivableState.IN_RECOURSE,
)
"""Valid and not ended: parcels are live."""

ARREARS_STATES = (
    ReceivableState.OVERDUE,
    ReceivableState.IN_RECOURSE,
)
"""Past due and unpaid: the debtor is in arrears."""


class LockKind(Enum):
    """What holds the units: a transfer in progress (offered), or a financing (pledged)."""

    TRANSFER = "transfer"
    FINANCING = "financing"


class Lock(Struct):
    """Units of a parcel that a pending step holds; `by` is its record."""

    interval: Interval
    by: AnyId
    kind: LockKind


class Parcel(Struct):
    """A sub-interval of the face with one holder. It is named by its receivable and its exact interval.

    `origin` is the transfer by which the holder got it, or the receivable itself for its creditor. `hops` counts the
    transfers since issue. Locks ascend and never overlap.
    """

    holder: MemberId
    interval: Interval
    origin: AnyId
    hops: Count = 0
    locks: tuple[Lock, ...] = ()


class Freeze(Struct):
    """An authority's freeze (冻结, 轮候冻结). Its place in the receivable's list is its place in the queue.

    `parts` are the units it still covers, ascending; it ends by order or after `until`. Each unit obeys the first
    freeze that covers it; the later ones wait, and all of them bar every step on it.
    """

    id: FreezeId
    parts: tuple[Interval, ...]
    authority: Anchor
    until: Instant
    since: Position


class InvoiceUse(Struct):
    """An invoice behind a receivable: keyed fingerprint, how much of it is used, and what it amounts to in all."""

    fingerprint: Hash
    amount: Units
    total: Units


class Receivable(Record):
    """A receivable, from the request to its end, with its live parcels while they are few.

    Dates are days of the business zone; `convention` says where a due date moves that is not a business day, and
    `moved_days_accrue` whether those extra days count for interest. `judged_at_request` is the early judgement by law,
    `judged` the one of the block that marked it valid, which governs.

    `confirm_by` is the end of the counterparty's window. `cutoff_at` is the last instant for transfers and financings,
    `pay_at` the opening of the moved due date, or since when an unpaid rest is to be tried again, `overdue_at` the end
    of grace; each is None before validity and once nothing more is to be done in its queue.
    """

    table = "receivable"

    debtor: MemberId
    creditor: MemberId
    requester: MemberId
    currency: Currency
    face: Units
    issue_on: datetime.date
    due_on: datetime.date
    state: ReceivableState
    requested: Position
    confirm_by: Instant

    delivered_on: datetime.date | None = None
    invoiced_on: datetime.date | None = None
    convention: Convention = Convention.FOLLOWING
    moved_days_accrue: bool = False
    reason: Note | None = None
    pay_when_paid: bool = False
    splittable: bool = True
    invoices: Annotated[tuple[InvoiceUse, ...], Meta(max_length=MAX_INVOICES)] = ()
    contracts: tuple[Anchor, ...] = ()

    confirmed: Position | None = None
    review: ReviewId | None = None
    valid: Position | None = None
    valid_on: datetime.date | None = None
    ended: Position | None = None
    judged_at_request: Judgement | None = None
    judged: Judgement | None = None

    moved_due_on: datetime.date | None = None
    cutoff_at: Instant | None = None
    pay_at: Instant | None = None
    overdue_at: Instant | None = None

    parcels: tuple[Parcel, ...] = ()
    parcel_count: Count = 0
    in_rows: bool = False
    redeemed: Units = ZERO
    cancelled: Units = ZERO
    freezes: tuple[Freeze, ...] = ()
    flagged: tuple[Hash, ...] = ()
    liable: tuple[MemberId, ...] = ()

    @property
    def is_owed(self) -> bool:
        """Whether it is valid and not ended."""
        return self.state in OWED_STATES

    @property
    def outstanding(self) -> Units:
        """Minor units that are neither redeemed nor cancelled: what the live parcels add up to."""
        return self.face - self.redeemed - self.cancelled

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        wanted: list[tuple[Queue, Instant]] = []
        if self.state is ReceivableState.REQUESTED:
            wanted.append((Queue.EXPIRE, self.confirm_by.plus(1)))
        if self.freezes:
            wanted.append((Queue.UNLOCK, Instant(min(freeze.until for freeze in self.freezes)).plus(1)))
        if self.pay_at is not None:
            wanted.append((Queue.PAY, self.pay_at))
        if self.overdue_at is not None:
            wanted.append((Queue.OVERDUE, self.overdue_at.plus(1)))
        return tuple(wanted)

    def live_for(self) -> tuple[str, ...]:
        if self.state in PENDING_STATES:
            return (self.debtor, self.creditor)
        if self.is_owed:
            return (self.debtor, *(parcel.holder for parcel in self.parcels), *self.liable)
        return ()

    def labels(self) -> tuple[str, ...]:
        if self.state in PENDING_STATES or self.is_owed:
            backed = tuple(f"backed_by/{use.fingerprint}" for use in self.invoices)
            if self.state in ARREARS_STATES:
                return (f"overdue/{self.debtor}", *backed)  # law/rules.py: a debtor in arrears may not issue
            return backed
        return ()


class ParcelRow(Record):
    """One parcel of a receivable that has many. Its id is the receivable's and the parcel's first unit."""

    table = "parcel"

    receivable: ReceivableId
    parcel: Parcel

    def live_for(self) -> tuple[str, ...]:
        return (self.parcel.holder,)

    def labels(self) -> tuple[str, ...]:
        return (f"parcel_of/{self.receivable}/{int(self.parcel.interval.first):019d}",)


class Invoice(Record):
    """How much of an invoice backs receivables; its id is the keyed fingerprint of its identity.

    `used` comes back only when a receivable ends before validity or is void, never by redemption: a paid invoice can't
    back a second receivable. A flagged one (红冲, return of goods) stays, and bars what is pending on it. One that was
    flagged before anybody used it has no total yet.
    """

    table = "invoice"

    currency: Currency | None = None
    total: Units | None = None
    used: Units = ZERO
    flag: Code | None = None
    flag_paper: Anchor | None = None
    flagged: Position | None = None
