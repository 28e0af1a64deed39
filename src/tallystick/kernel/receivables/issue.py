"""Issuing (开单): request, confirmation, and the review that marks a receivable valid.

requested -> under_review -> valid; declined | withdrawn | expired | refused before that, the invoice amounts then free.
Either side may ask; the other confirms. Law is judged at the request, and again in the block that marks it
valid, which governs.
"""

import datetime
from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta
from msgspec.structs import replace

from tallystick.kernel.calendar.records import Convention
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Code, Currency, Interval, MemberId, Note, ReceivableId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.currencies import check_currency
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.law.facts import IssueFacts
from tallystick.kernel.law.judge import judge_issue, judge_validity
from tallystick.kernel.law.records import Judgement
from tallystick.kernel.membership.business import on_succeeded, on_suspended, rename
from tallystick.kernel.membership.limits import check_debtor_limit, draw
from tallystick.kernel.membership.records import Permitted, Role
from tallystick.kernel.membership.rules import check_party, check_permission
from tallystick.kernel.receivables import invoices
from tallystick.kernel.receivables.days import check_days, check_maturity, maturity
from tallystick.kernel.receivables.records import (
    MAX_INVOICES,
    PENDING_STATES,
    InvoiceUse,
    Parcel,
    Receivable,
    ReceivableState,
)
from tallystick.kernel.reviews.records import Decision, Review, ReviewResult
from tallystick.kernel.reviews.subjects import close_review, open_review, register
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status

REQUESTED = EventKind(
    "receivable.requested", "{requester} asks to issue receivable {record}: {face} {currency}, due on {due_on}."
)
CONFIRMED = EventKind("receivable.confirmed", "Receivable {record} is confirmed and its review is asked for.")
DECLINED = EventKind("receivable.declined", "Receivable {record} was declined: {reason}.")
WITHDRAWN = EventKind("receivable.withdrawn", "The request for receivable {record} was withdrawn ({reason}).")
EXPIRED = EventKind("receivable.expired", "The request for receivable {record} ended: no answer came in time.")
REFUSED = EventKind("receivable.refused", "Receivable {record} was refused by review {review}: {reason}.")
VALID = EventKind("receivable.valid", "Receivable {record} of {face} {currency}, due on {due_on}, is issued and valid.")


class RequestReceivable(Operation, tag="receivable.request"):
    """Ask to issue a receivable (开单): the debtor to its supplier, or the creditor to be confirmed by the debtor.

    Signed by debtor or creditor, with permission to issue. Reserves the invoice amounts; the counterparty confirms or
    declines before the window closes. Invoices' amounts add up to the face; without invoices a contract backs it.
    """

    debtor: MemberId
    creditor: MemberId
    currency: Currency
    face: Units
    issue_on: datetime.date
    due_on: datetime.date
    delivered_on: datetime.date | None = None
    invoiced_on: datetime.date | None = None
    convention: Convention = Convention.FOLLOWING
    moved_days_accrue: bool = False
    reason: Note | None = None
    pay_when_paid: bool = False
    splittable: bool = True
    invoices: Annotated[tuple[InvoiceUse, ...], Meta(max_length=MAX_INVOICES)] = ()
    contracts: Annotated[tuple[Anchor, ...], Meta(max_length=16)] = ()

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.face

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.one(self.debtor, self.creditor)

    def _requester(self, step: Step) -> str:
        return next(name for name in step.organisations if name in (self.debtor, self.creditor))

    def check(self, step: Step) -> Refusal | None:
        requester = self._requester(step)
        other = self.creditor if requester == self.debtor else self.debtor
        return (
            check_permission(step, requester, Permitted.ISSUE, self.currency, self.face)
            or check_party(step, other)
            or self._check_terms(step)
            or invoices.check_free(step, self.invoices, self.currency)
            or check_debtor_limit(step, self.debtor, self.currency, self.face)
            or self._check_law(step)
        )

    def _check_terms(self, step: Step) -> Refusal | None:
        if self.debtor == self.creditor:
            return refuse(Status.SAME_PARTY, organisation=self.debtor)
        unknown = check_currency(step, self.currency)
        if unknown is not None:
            return unknown
        if self.face == 0:
            return refuse(Status.AMOUNT_ZERO)
        limit = policies(step).max_invoices
        if len(self.invoices) > limit:
            return refuse(Status.TOO_MANY, invoices=len(self.invoices), limit=limit)
        if not self.invoices and not self.contracts:
            return refuse(Status.BAD_VALUE, field="contracts", reason="neither an invoice nor a contract backs it")
        return check_days(
            step, self.issue_on, self.due_on, self.delivered_on, self.invoiced_on
        ) or invoices.check_stated(self.invoices, self.face)

    def _check_law(self, step: Step) -> Refusal | None:
        refusal = check_maturity(step, self.due_on, self.convention)
        if refusal is not None:
            return refusal
        judged = self._judged(step)
        return judged if isinstance(judged, Refusal) else None

    def _judged(self, step: Step) -> Judgement | Refusal:
        return step.once("judged", lambda: judge_issue(step, _facts_of(self)))

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = Receivable(
            id=step.new_id("rcv"),
            debtor=self.debtor,
            creditor=self.creditor,
            requester=self._requester(step),
            currency=self.currency,
            face=self.face,
            issue_on=self.issue_on,
            due_on=self.due_on,
            delivered_on=self.delivered_on,
            invoiced_on=self.invoiced_on,
            convention=self.convention,
            moved_days_accrue=self.moved_days_accrue,
            reason=self.reason,
            pay_when_paid=self.pay_when_paid,
            splittable=self.splittable,
            invoices=self.invoices,
            contracts=self.contracts,
            state=ReceivableState.REQUESTED,
            requested=step.position,
            confirm_by=step.now.plus(policies(step).confirm_deadline_days * DAY_MS),
            judged_at_request=_judgement(self._judged(step)),
        )
        invoices.take(step, self.invoices, self.currency)
        step.put(receivable)
        yield REQUESTED(
            receivable.id,
            (receivable.debtor, receivable.creditor),
            requester=receivable.requester,
            face=receivable.face,
            currency=receivable.currency,
            due_on=receivable.due_on,
            confirm_by=receivable.confirm_by,
        )


def _facts_of(terms: "RequestReceivable | Receivable", *, debtor_confirmed: bool = False) -> IssueFacts:
    return IssueFacts(
        debtor=terms.debtor,
        creditor=terms.creditor,
        currency=terms.currency,
        face=terms.face,
        issue_on=terms.issue_on,
        due_on=terms.due_on,
        delivered_on=terms.delivered_on,
        invoiced_on=terms.invoiced_on,
        reason_stated=terms.reason is not None,
        pay_when_paid=terms.pay_when_paid,
        debtor_confirmed=debtor_confirmed,
    )


def _judged_validity(step: Step, receivable: Receivable) -> Judgement | Refusal:
    return step.once("judged", lambda: judge_validity(step, _facts_of(receivable, debtor_confirmed=True)))


def _judgement(judged: Judgement | Refusal) -> Judgement:
    if isinstance(judged, Refusal):
        raise InvariantViolation(f"{judged.status.label} after the check had passed")
    return judged


def _pending(step: Step, receivable_id: str) -> Receivable | Refusal:
    receivable = step.find(Receivable, receivable_id)
    return refuse(Status.NOT_FOUND, receivable=receivable_id) if receivable is None else receivable


def _counterparty(receivable: Receivable) -> str:
    return receivable.creditor if receivable.requester == receivable.debtor else receivable.debtor


def _check_asked(step: Step, receivable: Receivable) -> Refusal | None:
    """Whether the counterparty may still answer."""
    if receivable.state is not ReceivableState.REQUESTED:
        return refuse(Status.WRONG_STATE, receivable=receivable.id, state=receivable.state.value)
    if step.now > receivable.confirm_by:
        return refuse(Status.DEADLINE_PASSED, receivable=receivable.id, deadline=receivable.confirm_by)
    return None


class ConfirmReceivable(Operation, tag="receivable.confirm"):
    """Confirm a requested receivable (签收, 确权) and ask the auditor for the processing review (开单处理审核请求).

    Signed by the counterparty of the request. It records two facts: the counterparty's own review, and the request for
    the processing review with its handling information. Face and currency are stated again, so that what is signed is
    what is seen. With it the counterparty agrees to be notified through the ledger.
    """

    receivable: ReceivableId
    currency: Currency
    face: Units
    handling: Anchor
    consent_to_notices: bool

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.face

    def authority(self, step: Step) -> Signers | Refusal:
        found = _pending(step, self.receivable)
        return found if isinstance(found, Refusal) else Signers.all(_counterparty(found))

    def check(self, step: Step) -> Refusal | None:
        receivable = step.get(Receivable, self.receivable)
        refusal = check_party(step, receivable.requester) or _check_asked(step, receivable)
        if refusal is not None:
            return refusal
        if receivable.flagged:
            return refuse(Status.INVOICE_FLAGGED, receivable=receivable.id, fingerprint=receivable.flagged[0])
        if self.currency != receivable.currency:
            return refuse(Status.CURRENCY_MISMATCH, currency=receivable.currency)
        if self.face != receivable.face:
            return refuse(Status.AMOUNT_DIFFERS, amount=receivable.face)
        if not self.consent_to_notices:
            return refuse(Status.BAD_VALUE, field="consent_to_notices")
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = step.get(Receivable, self.receivable)
        parties = (receivable.debtor, receivable.creditor)
        review, asked = open_review(step, "receivable", receivable.id, parties, self.handling)
        step.put(replace(receivable, state=ReceivableState.UNDER_REVIEW, confirmed=step.position, review=review.id))
        yield CONFIRMED(receivable.id, parties, by=_counterparty(receivable), review=review.id)
        yield asked


class DeclineReceivable(Operation, tag="receivable.decline"):
    """Decline a requested receivable; the invoice amounts go back.

    Signed by the counterparty of the request, with a reason's code; also while it is suspended.
    """

    while_suspended: ClassVar[bool] = True

    receivable: ReceivableId
    reason: Code

    def authority(self, step: Step) -> Signers | Refusal:
        found = _pending(step, self.receivable)
        return found if isinstance(found, Refusal) else Signers.all(_counterparty(found))

    def check(self, step: Step) -> Refusal | None:
        return _check_asked(step, step.get(Receivable, self.receivable))

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = _end(step, step.get(Receivable, self.receivable), ReceivableState.DECLINED)
        yield DECLINED(receivable.id, (receivable.debtor, receivable.creditor), reason=self.reason)


class WithdrawReceivable(Operation, tag="receivable.withdraw"):
    """Withdraw a request before validity; the invoice amounts go back and a review under way ends.

    Signed by the requester; also while it is suspended.
    """

    while_suspended: ClassVar[bool] = True

    receivable: ReceivableId

    def authority(self, step: Step) -> Signers | Refusal:
        found = _pending(step, self.receivable)
        return found if isinstance(found, Refusal) else Signers.all(found.requester)

    def check(self, step: Step) -> Refusal | None:
        receivable = step.get(Receivable, self.receivable)
        if receivable.state not in PENDING_STATES:
            return refuse(Status.WRONG_STATE, receivable=receivable.id, state=receivable.state.value)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = step.get(Receivable, self.receivable)
        if receivable.review is not None:
            yield from close_review(step, receivable.review)
        yield from _withdraw(step, receivable, "by_requester")


def _end(step: Step, receivable: Receivable, state: ReceivableState) -> Receivable:
    """End it before validity: the invoice amounts may back another receivable."""
    invoices.give_back(step, receivable.invoices)
    ended = replace(receivable, state=state, ended=step.position, flagged=())
    step.put(ended)
    return ended


def _withdraw(step: Step, receivable: Receivable, reason: str) -> Iterator[Event]:
    _end(step, receivable, ReceivableState.WITHDRAWN)
    yield WITHDRAWN(receivable.id, (receivable.debtor, receivable.creditor), reason=reason)


def expire_request(step: Step, record: Record) -> Iterator[Event]:
    """The counterparty did not answer in time (due work)."""
    if isinstance(record, Receivable) and record.state is ReceivableState.REQUESTED:
        yield from _expire(step, record)


def _expire(step: Step, receivable: Receivable) -> Iterator[Event]:
    _end(step, receivable, ReceivableState.EXPIRED)
    yield EXPIRED(receivable.id, (receivable.debtor, receivable.creditor))


def _requester_suspended(step: Step, record: Record, member: str) -> Iterator[Event]:
    """A suspended member's own unaccepted request ends (DOMAIN section 3, Suspension)."""
    if isinstance(record, Receivable) and record.state is ReceivableState.REQUESTED and record.requester == member:
        yield from _withdraw(step, record, "suspended")


def _pass_to_successor(step: Step, record: Record, member: str, successor: str) -> Iterator[Event]:
    """The successor holds or owes in the member's place; a request between the two ends, as nobody owes itself."""
    asked = record if isinstance(record, Receivable) and record.state in PENDING_STATES else None
    if asked is None or {asked.debtor, asked.creditor} != {member, successor}:
        yield from rename(step, record, member, successor)
        return
    if asked.review is not None:
        yield from close_review(step, asked.review)
    yield from _withdraw(step, asked, "parties_are_one")


class _IssueReview:
    """The auditor's processing review of a receivable (开单处理审核)."""

    reviewer_role = Role.AUDITOR

    def check_approval(self, step: Step, review: Review, decision: Decision) -> Refusal | None:
        """Order: party_suspended, fingerprints_missing, fingerprints_differ, invoices, bad_dates, over_limit, law."""
        receivable = step.get(Receivable, review.subject)
        refusal = check_party(step, receivable.debtor) or check_party(step, receivable.creditor)
        if refusal is not None:
            return refusal
        if len(decision.fingerprints) != len(receivable.invoices):
            return refuse(Status.FINGERPRINTS_MISSING, invoices=len(receivable.invoices))
        for other in review.decisions:
            if other.result is ReviewResult.APPROVE and other.fingerprints != decision.fingerprints:
                return refuse(Status.FINGERPRINTS_DIFFER, reviewer=other.reviewer)
        uses = invoices.recomputed(receivable.invoices, decision.fingerprints)
        refusal = invoices.check_rebound(step, receivable.invoices, uses, receivable.currency)
        if refusal is not None:
            return refusal
        if receivable.due_on <= step.today:
            return refuse(Status.BAD_DATES, due_on=receivable.due_on, today=step.today)
        refusal = check_debtor_limit(step, receivable.debtor, receivable.currency, receivable.face) or check_maturity(
            step, receivable.due_on, receivable.convention
        )
        if refusal is not None:
            return refusal
        judged = _judged_validity(step, receivable)
        return judged if isinstance(judged, Refusal) else None

    def approved(self, step: Step, review: Review, decision: Decision) -> Iterator[Event]:
        """Mark it valid: one parcel 1..F in the creditor's hands."""
        receivable = step.get(Receivable, review.subject)
        days = maturity(step, receivable.due_on, receivable.convention)
        if isinstance(days, Refusal):
            raise InvariantViolation(f"{days.status.label} after the check had passed")
        uses = invoices.recomputed(receivable.invoices, decision.fingerprints)
        invoices.rebind(step, receivable.invoices, uses, receivable.currency)
        draw(step, receivable.debtor, receivable.currency, receivable.face)
        whole = Interval(Units(1), receivable.face)
        step.put(
            replace(
                receivable,
                state=ReceivableState.VALID,
                invoices=uses,
                valid=step.position,
                valid_on=step.today,
                judged=_judgement(_judged_validity(step, receivable)),
                moved_due_on=days.moved_due_on,
                cutoff_at=days.cutoff_at,
                pay_at=days.pay_at,
                overdue_at=days.overdue_at,
                parcels=(Parcel(holder=receivable.creditor, interval=whole, origin=receivable.id),),
                parcel_count=1,
            )
        )
        yield VALID(
            receivable.id,
            (receivable.debtor, receivable.creditor),
            face=receivable.face,
            currency=receivable.currency,
            due_on=days.moved_due_on,
            review=review.id,
        )

    def refused(self, step: Step, review: Review, reason: str) -> Iterator[Event]:
        receivable = _end(step, step.get(Receivable, review.subject), ReceivableState.REFUSED)
        yield REFUSED(receivable.id, (receivable.debtor, receivable.creditor), review=review.id, reason=reason)

    def expired(self, step: Step, review: Review) -> Iterator[Event]:
        yield from _expire(step, step.get(Receivable, review.subject))


register("receivable", _IssueReview())
on_suspended("receivable", _requester_suspended)
on_succeeded("receivable", _pass_to_successor)
