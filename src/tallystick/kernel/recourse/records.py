"""The row of a claim of recourse."""

from enum import Enum

from tallystick.kernel.core.fields import Anchor, Currency, Interval, MemberId, Position, ReceivableId, TransferId
from tallystick.kernel.core.record import Queue, Record
from tallystick.wire.amounts import Units
from tallystick.wire.instants import Instant


class RecourseState(Enum):
    """claimed -> paid | refused | lapsed | settled (the debtor paid, or the units ended otherwise)."""

    CLAIMED = "claimed"
    PAID = "paid"
    REFUSED = "refused"
    LAPSED = "lapsed"
    SETTLED = "settled"


class Recourse(Record):
    """A holder's claim on the sender of the hop by which it got units of an unpaid receivable.

    `units` is what the sender answered for when the claim was made; what it must pay follows from the units that are
    still unpaid then. With the payment the parcel passes by `stepped_in`, and a further claim may follow.
    """

    table = "recourse"

    receivable: ReceivableId
    interval: Interval
    claimant: MemberId
    liable: MemberId
    hop: TransferId
    currency: Currency
    units: Units
    state: RecourseState
    claimed: Position
    pay_by: Instant
    paid_at: Instant | None = None
    stepped_in: tuple[TransferId, ...] = ()
    receipt: Anchor | None = None
    reason: Anchor | None = None
    ended: Position | None = None

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        return ((Queue.EXPIRE, self.pay_by.plus(1)),) if self.state is RecourseState.CLAIMED else ()

    def live_for(self) -> tuple[str, ...]:
        return (self.claimant, self.liable) if self.state is RecourseState.CLAIMED else ()

    def labels(self) -> tuple[str, ...]:
        if self.state is RecourseState.SETTLED:
            return ()
        return (f"claims_of/{self.receivable}", *(f"stepped_in/{transfer}" for transfer in self.stepped_in))
