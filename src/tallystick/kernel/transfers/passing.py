"""Passing units on: the one place where a parcel changes hands, whatever the reason."""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Interval
from tallystick.kernel.core.step import Step
from tallystick.kernel.law.records import Judgement
from tallystick.kernel.membership.limits import pass_funder
from tallystick.kernel.receivables.parcels import cut_and_pass
from tallystick.kernel.receivables.records import Parcel, Receivable
from tallystick.kernel.transfers.records import Transfer, TransferKind, TransferState
from tallystick.wire.amounts import Units

DONE = EventKind(
    "transfer.done", "{units} {currency} of receivable {receivable} passed from {sender} to {receiver} ({reason})."
)
DEBTOR_NOTIFIED = EventKind(
    "transfer.debtor_notified",
    "Notice to the debtor: {units} {currency} of receivable {receivable} are now owed to {receiver}, not to {sender}.",
)


def pass_on(
    step: Step,
    receivable: Receivable,
    parcel: Parcel,
    interval: Interval,
    to: str,
    kind: TransferKind,
    recourse: bool = False,
    basis: Units | None = None,
    *,
    by: str = "",
    consideration: Units | None = None,
    discharges: str | None = None,
    judged: Judgement | None = None,
    background: Anchor | None = None,
) -> Iterator[Event]:
    """Hand `interval` of `parcel` to `to` now, by a transfer record of its own; writes it and the receivable.

    For what follows from a financing, a judgment or a recourse payment. `by` is the record whose lock on exactly these
    units ends with it. `background` is the paper it rests on. `basis` is what the sender answers for with recourse (the
    units' face, if not said). Whether it may be done is for the caller to check (`negotiable`).
    """
    transfer = Transfer(
        id=step.new_id("trf"),
        receivable=receivable.id,
        interval=interval,
        currency=receivable.currency,
        sender=parcel.holder,
        receiver=to,
        kind=kind,
        state=TransferState.REQUESTED,
        prior=parcel.origin,
        hop=parcel.hops + 1,
        recourse=recourse,
        basis=interval.length if basis is None else basis,
        consideration=consideration,
        background=background,
        discharges=discharges,
        requested=step.position,
        judged=judged,
    )
    yield from carry_out(step, receivable, transfer, by)


def carry_out(step: Step, receivable: Receivable, transfer: Transfer, by: str) -> Iterator[Event]:
    """Do a transfer whose terms are settled: cut, pass, record, and notify holder, receiver and debtor."""
    here = step.position
    changed = cut_and_pass(step, receivable, transfer.interval, transfer.receiver, transfer.id, by)
    if transfer.recourse and transfer.sender not in changed.liable:
        changed = replace(changed, liable=(*changed.liable, transfer.sender))
    step.put(changed)
    step.put(replace(transfer, state=TransferState.DONE, deadline=None, ended=here, debtor_notified=here))
    units = transfer.interval.length
    pass_funder(step, receivable.debtor, receivable.currency, units, transfer.sender)
    facts = {
        "receivable": receivable.id,
        "first": transfer.interval.first,
        "last": transfer.interval.last,
        "units": units,
        "currency": receivable.currency,
        "sender": transfer.sender,
        "receiver": transfer.receiver,
    }
    yield DONE(
        transfer.id,
        (transfer.sender, transfer.receiver),
        **facts,
        reason=transfer.kind.value,
        recourse=transfer.recourse,
    )
    yield DEBTOR_NOTIFIED(transfer.id, (receivable.debtor,), **facts)
