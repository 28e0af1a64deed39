"""The row of a transfer: who handed which units to whom, on what terms, and how far it has come."""

from enum import Enum

from tallystick.kernel.core.fields import (
    Anchor,
    AnyId,
    Count,
    Currency,
    Interval,
    MemberId,
    Position,
    ReceivableId,
    ReviewId,
    TransferId,
)
from tallystick.kernel.core.record import Queue, Record
from tallystick.kernel.law.records import Judgement
from tallystick.wire.amounts import Units
from tallystick.wire.instants import Instant


class TransferState(Enum):
    """requested -> under_review -> done | refused; declined | withdrawn | expired before it is decided.

    The acceptance opens the review in the same step, so `accepted` is a fact of the record and not a state.
    """

    REQUESTED = "requested"
    UNDER_REVIEW = "under_review"
    DONE = "done"
    REFUSED = "refused"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class TransferKind(Enum):
    """Why units change hands."""

    ORDINARY = "ordinary"
    FINANCING = "financing"
    SET_OFF = "set_off"
    JUDGMENT = "judgment"
    RECOURSE = "recourse"


PENDING_STATES = (
    TransferState.REQUESTED,
    TransferState.UNDER_REVIEW,
)


class Transfer(Record):
    """A transfer of units of one parcel.

    `prior` is the origin of the parcel it is cut from: the transfer before it, or the receivable; so lineage is a walk
    from record to record. With `recourse`, the sender answers to the receiver for `basis` minor units if the debtor
    doesn't pay. A transfer of kind recourse names in `discharges` the hop that was paid for: its receiver stands where
    that hop's sender stood. `deadline` is the end of the receiver's window, then of the review's. `debtor_notified` is
    when the debtor was told (Civil Code art. 546: without notice the transfer does not bind it).
    """

    table = "transfer"

    receivable: ReceivableId
    interval: Interval
    currency: Currency
    sender: MemberId
    receiver: MemberId
    kind: TransferKind
    state: TransferState
    prior: AnyId
    hop: Count
    basis: Units
    requested: Position
    recourse: bool = False
    consideration: Units | None = None
    background: Anchor | None = None
    discharges: TransferId | None = None
    deadline: Instant | None = None
    accepted: Position | None = None
    review: ReviewId | None = None
    judged: Judgement | None = None
    ended: Position | None = None
    debtor_notified: Position | None = None

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        if self.state in PENDING_STATES and self.deadline is not None:
            return ((Queue.EXPIRE, self.deadline.plus(1)),)
        return ()

    def live_for(self) -> tuple[str, ...]:
        return (self.sender, self.receiver) if self.state in PENDING_STATES else ()
