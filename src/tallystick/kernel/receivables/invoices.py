"""Invoices behind receivables: per keyed fingerprint, its total and how much of it is used (DOMAIN section 7).

An invoice's identity is seller, buyer, code and number; its fingerprint is keyed, so the ledger can neither read nor
recompute it. A request reserves amounts under the fingerprints that the parties state; the auditor's approving review
carries those recomputed from the documents, and uniqueness binds there. Amounts come back only when the receivable ends
before validity or is void, never by redemption.
"""

from collections.abc import Iterator
from itertools import islice

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Code, Hash
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.rules import acting_as, has_role
from tallystick.kernel.receivables.parcels import live_parcels
from tallystick.kernel.receivables.records import MAX_BACKED, Invoice, InvoiceUse, Receivable
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.status import Status

FLAGGED = EventKind("invoice.flagged", "Invoice {record} was flagged: {reason}.")
UNFLAGGED = EventKind("invoice.unflagged", "The flag on invoice {record} was lifted.")
HALTED = EventKind("receivable.halted", "Invoice {fingerprint} behind receivable {record} was flagged: {reason}.")
RESUMED = EventKind("receivable.resumed", "The flag on invoice {fingerprint} behind receivable {record} was lifted.")


def check_stated(uses: tuple[InvoiceUse, ...], face: Units) -> Refusal | None:
    """Whether the invoices of a request agree among themselves and with the face.

    Order: amount_zero, over_invoice, bad_value (one listed twice), invoices_not_face.
    """
    seen: list[str] = []
    summed = 0
    for use in uses:
        if use.amount == 0:
            return refuse(Status.AMOUNT_ZERO, fingerprint=use.fingerprint)
        if use.amount > use.total:
            return refuse(Status.OVER_INVOICE, fingerprint=use.fingerprint, total=use.total, asked=use.amount)
        if use.fingerprint in seen:
            return refuse(Status.BAD_VALUE, field="invoices", fingerprint=use.fingerprint)
        seen.append(use.fingerprint)
        summed += use.amount
    if uses and summed != face:
        return refuse(Status.INVOICES_NOT_FACE, face=face, used=str(summed))
    return None


def check_free(
    step: Step, uses: tuple[InvoiceUse, ...], currency: str, returning: tuple[InvoiceUse, ...] = ()
) -> Refusal | None:
    """Whether these amounts may be taken besides what is used already, once those of `returning` are given back.

    Order, per invoice: invoice_flagged, currency_mismatch, invoice_total_differs, too_many, over_invoice. The same
    invoice may stand in `uses` twice once it was recomputed; its amounts add up.
    """
    taken = {use.fingerprint: -use.amount for use in returning}
    for use in uses:
        invoice = step.find(Invoice, use.fingerprint)
        already = taken.get(use.fingerprint, 0)
        total = use.total
        if invoice is not None:
            if invoice.flag is not None:
                return refuse(Status.INVOICE_FLAGGED, fingerprint=use.fingerprint, reason=invoice.flag)
            if invoice.currency not in (None, currency):
                return refuse(Status.CURRENCY_MISMATCH, fingerprint=use.fingerprint, currency=invoice.currency)
            if invoice.total not in (None, use.total):
                return refuse(Status.INVOICE_TOTAL_DIFFERS, fingerprint=use.fingerprint, total=invoice.total)
            if sum(1 for _ in islice(step.index_range(f"backed_by/{use.fingerprint}/"), MAX_BACKED)) == MAX_BACKED:
                return refuse(Status.TOO_MANY, fingerprint=use.fingerprint, limit=MAX_BACKED)
            already += invoice.used
        if already + use.amount > total:
            free = Units(max(total - already, 0))
            return refuse(Status.OVER_INVOICE, fingerprint=use.fingerprint, available=free, asked=use.amount)
        taken[use.fingerprint] = taken.get(use.fingerprint, 0) + use.amount
    return None


def take(step: Step, uses: tuple[InvoiceUse, ...], currency: str) -> None:
    """Count the amounts as used."""
    for use in uses:
        invoice = step.find(Invoice, use.fingerprint) or Invoice(id=use.fingerprint)
        step.put(replace(invoice, currency=currency, total=use.total, used=invoice.used + use.amount))


def give_back(step: Step, uses: tuple[InvoiceUse, ...]) -> None:
    """The receivable ended before validity, or is void: the amounts may back another."""
    for use in uses:
        invoice = step.get(Invoice, use.fingerprint)
        left = invoice.used - use.amount
        if left == ZERO and invoice.flag is None:
            step.delete(invoice)  # a total that was stated wrongly binds nobody once nothing rests on it
        else:
            step.put(replace(invoice, used=left))


def recomputed(uses: tuple[InvoiceUse, ...], fingerprints: tuple[str, ...]) -> tuple[InvoiceUse, ...]:
    """The same uses under the fingerprints that the auditor recomputed."""
    return tuple(
        use if use.fingerprint == own else replace(use, fingerprint=own)
        for use, own in zip(uses, fingerprints, strict=True)
    )


def _moved(old: tuple[InvoiceUse, ...], new: tuple[InvoiceUse, ...]) -> tuple[tuple[InvoiceUse, InvoiceUse], ...]:
    return tuple((was, now) for was, now in zip(old, new, strict=True) if was.fingerprint != now.fingerprint)


def check_rebound(
    step: Step, old: tuple[InvoiceUse, ...], new: tuple[InvoiceUse, ...], currency: str
) -> Refusal | None:
    """Whether the amounts can stand under the recomputed fingerprints: flagged ones can't, nor used ones."""
    for use in old:
        invoice = step.get(Invoice, use.fingerprint)
        if invoice.flag is not None:
            return refuse(Status.INVOICE_FLAGGED, fingerprint=use.fingerprint, reason=invoice.flag)
    moved = _moved(old, new)
    return check_free(step, tuple(now for _, now in moved), currency, tuple(was for was, _ in moved))


def rebind(step: Step, old: tuple[InvoiceUse, ...], new: tuple[InvoiceUse, ...], currency: str) -> None:
    """Move the reserved amounts from the stated fingerprints to the recomputed ones."""
    moved = _moved(old, new)
    give_back(step, tuple(was for was, _ in moved))
    take(step, tuple(now for _, now in moved), currency)


def _backed_by(step: Step, fingerprint: str) -> Iterator[Receivable]:
    """The receivables, pending or owed, that the invoice backs."""
    for row in tuple(step.index_range(f"backed_by/{fingerprint}/")):
        receivable = step.at(row.split("/", 2)[2])
        if isinstance(receivable, Receivable):
            yield receivable


def _tell(step: Step, receivable: Receivable) -> tuple[str, ...]:
    holders = (parcel.holder for parcel in live_parcels(step, receivable))
    return tuple(dict.fromkeys((receivable.debtor, receivable.creditor, *holders)))


def _flagger(step: Step) -> Signers:
    auditor = any(has_role(step, name, Role.AUDITOR) for name in step.organisations)
    return Signers.holding(Role.AUDITOR.value if auditor else Role.DATA_SOURCE.value)


class FlagInvoice(Operation, tag="invoice.flag"):
    """Flag an invoice (红冲, return of goods): what is pending on it stands still, and the holders are told.

    Signed by an auditor or a data source. An invoice that nobody has used yet may be flagged beforehand. Pending
    requests end at their deadlines unless the flag is lifted. Source: DOMAIN section 7.
    """

    fingerprint: Hash
    reason: Code
    paper: Anchor

    def authority(self, step: Step) -> Signers | Refusal:
        return _flagger(step)

    def check(self, step: Step) -> Refusal | None:
        invoice = step.find(Invoice, self.fingerprint)
        if invoice is not None and invoice.flag is not None:
            return refuse(Status.WRONG_STATE, fingerprint=self.fingerprint, flag=invoice.flag)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        invoice = step.find(Invoice, self.fingerprint) or Invoice(id=self.fingerprint)
        step.put(replace(invoice, flag=self.reason, flag_paper=self.paper, flagged=step.position))
        yield FLAGGED(self.fingerprint, step.organisations, reason=self.reason)
        for receivable in _backed_by(step, self.fingerprint):
            step.put(replace(receivable, flagged=(*receivable.flagged, self.fingerprint)))
            told = _tell(step, receivable)
            yield HALTED(receivable.id, told, fingerprint=self.fingerprint, reason=self.reason)


class UnflagInvoice(Operation, tag="invoice.unflag"):
    """Lift the flag on an invoice that was flagged in error; what is pending on it goes on.

    Signed by an auditor that neither owes nor holds what the invoice backs.
    """

    fingerprint: Hash
    paper: Anchor

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.holding(Role.AUDITOR.value)

    def check(self, step: Step) -> Refusal | None:
        invoice = step.find(Invoice, self.fingerprint)
        if invoice is None:
            return refuse(Status.NOT_FOUND, fingerprint=self.fingerprint)
        if invoice.flag is None:
            return refuse(Status.WRONG_STATE, fingerprint=self.fingerprint, flag="none")
        auditor = acting_as(step, Role.AUDITOR)
        if any(auditor in _tell(step, receivable) for receivable in _backed_by(step, self.fingerprint)):
            return refuse(Status.MUST_RECUSE, organisation=auditor)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        invoice = step.get(Invoice, self.fingerprint)
        cleared = replace(invoice, flag=None, flag_paper=None, flagged=None)
        if cleared.used == ZERO:
            step.delete(invoice)
        else:
            step.put(cleared)
        yield UNFLAGGED(self.fingerprint, step.organisations)
        for receivable in _backed_by(step, self.fingerprint):
            left = tuple(one for one in receivable.flagged if one != self.fingerprint)
            step.put(replace(receivable, flagged=left))
            yield RESUMED(receivable.id, _tell(step, receivable), fingerprint=self.fingerprint)
