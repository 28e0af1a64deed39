"""Reading recourse from the lineage: which hop answers to a parcel's holder, and for how much."""

from tallystick.kernel.core.fields import Interval
from tallystick.kernel.core.step import Step
from tallystick.kernel.transfers.records import Transfer, TransferKind
from tallystick.wire.amounts import Units


def answering_hop(step: Step, origin: str) -> Transfer | None:
    """The transfer whose sender is the neighbour before a parcel's holder, given the parcel's origin.

    One who paid by way of recourse stands where the sender of the discharged hop stood, so that hop's own prior one
    answers next. None where the creditor holds what it was issued.
    """
    transfer = step.find(Transfer, origin)
    while transfer is not None and transfer.kind is TransferKind.RECOURSE:
        discharged = step.get(Transfer, transfer.discharges or "")
        transfer = step.find(Transfer, discharged.prior)
    return transfer


def answers_for(hop: Transfer, interval: Interval) -> Units:
    """What the hop's sender answers for of `interval`, a part of the hop's units.

    Parts of the agreed basis are differences of floors, so those of a partition sum to the basis exactly.
    """
    before = int(interval.first) - int(hop.interval.first)
    upto = before + interval.length
    length = hop.interval.length
    return Units(int(hop.basis) * upto // length - int(hop.basis) * before // length)
