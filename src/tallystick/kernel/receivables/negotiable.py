"""Whether units may pass now: what transfers and financings ask before they lock, and again before they pass."""

from tallystick.kernel.core.fields import Interval
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.receivables.parcels import frozen_units, subtract
from tallystick.kernel.receivables.records import Parcel, Receivable, ReceivableState
from tallystick.wire.status import Status


def check_negotiable(step: Step, receivable: Receivable) -> Refusal | None:
    """Whether it may be transferred or financed at all now: wrong_state, invoice_flagged, past_cutoff."""
    if receivable.state is not ReceivableState.VALID:
        return refuse(Status.WRONG_STATE, receivable=receivable.id, state=receivable.state.value)
    if receivable.flagged:
        return refuse(Status.INVOICE_FLAGGED, receivable=receivable.id, fingerprint=receivable.flagged[0])
    if receivable.cutoff_at is None or step.now > receivable.cutoff_at:
        return refuse(Status.PAST_CUTOFF, receivable=receivable.id, cutoff_at=receivable.cutoff_at)
    return None


def check_not_frozen(step: Step, receivable: Receivable, interval: Interval) -> Refusal | None:
    """Whether no freeze has come over units that a pending step holds."""
    for part in frozen_units(receivable, step.now):
        if part.overlaps(interval):
            return refuse(Status.FROZEN, receivable=receivable.id, first=part.first, last=part.last)
    return None


def check_cut(step: Step, receivable: Receivable, parcel: Parcel, interval: Interval) -> Refusal | None:
    """Whether `interval` may be cut out of `parcel` and passed on.

    Order: not_splittable, under_minimum_split, too_many_hops, too_many_parcels.
    """
    in_force = policies(step)
    rest = subtract((parcel.interval,), interval)
    if rest and not receivable.splittable:
        return refuse(Status.NOT_SPLITTABLE, receivable=receivable.id, parcel=parcel.interval.length)
    smallest = min((interval, *rest), key=lambda part: part.length).length
    if rest and smallest < in_force.min_split:
        return refuse(Status.UNDER_MINIMUM_SPLIT, least=in_force.min_split, part=smallest)
    if parcel.hops >= in_force.max_hops:
        return refuse(Status.TOO_MANY_HOPS, hops=parcel.hops, limit=in_force.max_hops)
    if receivable.parcel_count + len(rest) > step.chain.max_parcels:
        return refuse(Status.TOO_MANY_PARCELS, parcels=receivable.parcel_count, limit=step.chain.max_parcels)
    return None
