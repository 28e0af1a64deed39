"""Voiding (作废): a receivable that nobody but its creditor has held ends as if it had not been issued."""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, ReceivableId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.limits import undraw
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.rules import has_role
from tallystick.kernel.receivables import invoices
from tallystick.kernel.receivables.parcels import drop_all
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.redemption.ending import ended, wind_up
from tallystick.wire.status import Status

VOIDED = EventKind("receivable.voided", "Receivable {record} of {face} {currency} is void by common consent.")


def _outside_auditor(step: Step, parties: tuple[str, str]) -> str | None:
    """The first signing auditor that is not a party itself."""
    auditors = (name for name in step.organisations if has_role(step, name, Role.AUDITOR))
    return next((name for name in auditors if name not in parties), None)


class VoidReceivable(Operation, tag="receivable.void"):
    """Cancel a receivable that nobody but its creditor has held (作废); the invoice amounts come back.

    Signed by debtor, creditor and an auditor together. Only while it was never transferred, pledged, frozen or partly
    redeemed. Source: DOMAIN section 3.
    """

    receivable: ReceivableId
    reason: Anchor

    def authority(self, step: Step) -> Signers | Refusal:
        receivable = step.find(Receivable, self.receivable)
        if receivable is None:
            return refuse(Status.NOT_FOUND, receivable=self.receivable)
        parties = (receivable.debtor, receivable.creditor)
        auditor = _outside_auditor(step, parties)
        return Signers.holding(Role.AUDITOR.value, also=parties) if auditor is None else Signers.all(*parties, auditor)

    def check(self, step: Step) -> Refusal | None:
        receivable = step.get(Receivable, self.receivable)
        if _outside_auditor(step, (receivable.debtor, receivable.creditor)) is None:
            return refuse(Status.MUST_RECUSE, needed=Role.AUDITOR.value)
        if receivable.state is not ReceivableState.VALID:
            return refuse(Status.WRONG_STATE, receivable=receivable.id, state=receivable.state.value)
        if receivable.redeemed or receivable.cancelled:
            return refuse(Status.PARTLY_REDEEMED, outstanding=receivable.outstanding, face=receivable.face)
        first = receivable.parcels[0] if receivable.parcel_count == 1 else None
        if first is None or first.origin != receivable.id:
            return refuse(Status.ALREADY_TRANSFERRED, parcels=receivable.parcel_count)
        if first.locks:
            return refuse(Status.PARCEL_LOCKED, by=first.locks[0].by)
        if receivable.freezes:
            return refuse(Status.FROZEN, freeze=receivable.freezes[0].id)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = step.get(Receivable, self.receivable)
        invoices.give_back(step, receivable.invoices)
        undraw(step, receivable.debtor, receivable.currency, ((receivable.creditor, receivable.face),))
        void = replace(ended(step, drop_all(step, receivable), ReceivableState.VOID), flagged=())
        step.put(void)
        yield VOIDED(
            receivable.id,
            (receivable.debtor, receivable.creditor),
            face=receivable.face,
            currency=receivable.currency,
            reason=self.reason.hash,
        )
        yield from wind_up(step, void)
