"""Agreed transfers (转单): request, acceptance, and the review with which the units pass.

requested -> under_review -> done; declined | withdrawn | expired | refused before that, and the units are free again.
From the request on the units are locked, so nothing else can take them. What is still pending at the cutoff before the
due date ends by itself.
"""

from collections.abc import Iterator
from typing import ClassVar

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Code, Currency, Interval, MemberId, ReceivableId, TransferId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.law.facts import TransferFacts
from tallystick.kernel.law.judge import judge_transfer
from tallystick.kernel.law.records import Judgement
from tallystick.kernel.membership.business import on_succeeded, on_suspended, rename
from tallystick.kernel.membership.records import Permitted, Role
from tallystick.kernel.membership.rules import check_party, check_permission
from tallystick.kernel.receivables import parcels
from tallystick.kernel.receivables.negotiable import check_cut, check_negotiable, check_not_frozen
from tallystick.kernel.receivables.records import Lock, LockKind, Parcel, Receivable
from tallystick.kernel.reviews.records import Decision, Review
from tallystick.kernel.reviews.subjects import close_review, open_review, register
from tallystick.kernel.transfers.passing import carry_out
from tallystick.kernel.transfers.records import PENDING_STATES, Transfer, TransferKind, TransferState
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status

REQUESTED = EventKind(
    "transfer.requested",
    "{sender} offers {receiver} {units} {currency} of receivable {receivable}; answer by {deadline}.",
)
ACCEPTED = EventKind("transfer.accepted", "{receiver} accepts transfer {record} and asks for its review.")
DECLINED = EventKind("transfer.declined", "Transfer {record} was declined: {reason}.")
WITHDRAWN = EventKind("transfer.withdrawn", "Transfer {record} was withdrawn ({reason}); its units are free again.")
EXPIRED = EventKind("transfer.expired", "Transfer {record} was not decided in time; its units are free again.")
REFUSED = EventKind("transfer.refused", "Transfer {record} was refused by review {review}: {reason}.")


class RequestTransfer(Operation, tag="transfer.request"):
    """Offer a parcel, or a part of it, to another member (转单); the units are locked until it is decided.

    Signed by the holder, with permission to transfer. An amount takes the lowest free units of the named parcel, unless
    the interval is named. To oneself it is refused; to the debtor it passes only `as_set_off`. With `recourse` the
    holder answers to the receiver for the consideration (else the face) if the debtor doesn't pay.
    """

    receivable: ReceivableId
    parcel: Interval
    currency: Currency
    units: Units
    receiver: MemberId
    background: Anchor
    interval: Interval | None = None
    recourse: bool = False
    as_set_off: bool = False
    consideration: Units | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        receivable = step.find(Receivable, self.receivable)
        parcel = None if receivable is None else parcels.find_parcel(step, receivable, self.parcel)
        if parcel is None:
            return refuse(Status.NOT_FOUND, receivable=self.receivable, parcel=_named(self.parcel))
        if parcel.holder not in step.organisations:
            return refuse(Status.RECEIVABLE_NOT_HELD, receivable=self.receivable, parcel=_named(self.parcel))
        return Signers.all(parcel.holder)

    def _parcel(self, step: Step, receivable: Receivable) -> Parcel:
        parcel = parcels.find_parcel(step, receivable, self.parcel)
        if parcel is None:
            raise InvariantViolation(f"parcel {_named(self.parcel)} of {receivable.id} is gone since it was authorised")
        return parcel

    def check(self, step: Step) -> Refusal | None:
        receivable = step.get(Receivable, self.receivable)
        parcel = self._parcel(step, receivable)
        refusal = (
            check_permission(step, parcel.holder, Permitted.TRANSFER, receivable.currency, self.units)
            or check_party(step, self.receiver)
            or check_negotiable(step, receivable)
            or self._check_terms(receivable, parcel)
        )
        if refusal is not None:
            return refusal
        chosen = self._units(step, receivable, parcel)
        if isinstance(chosen, Refusal):
            return chosen
        refusal = check_cut(step, receivable, parcel, chosen)
        if refusal is not None:
            return refusal
        judged = _judge(step, receivable, parcel.holder, self.receiver, parcel.hops + 1)
        return judged if isinstance(judged, Refusal) else None

    def _check_terms(self, receivable: Receivable, parcel: Parcel) -> Refusal | None:
        if self.receiver == parcel.holder:
            return refuse(Status.SAME_PARTY, organisation=self.receiver)
        if (self.receiver == receivable.debtor) is not self.as_set_off:
            return refuse(Status.SET_OFF_ONLY, debtor=receivable.debtor)
        if self.as_set_off and self.recourse:
            return refuse(Status.BAD_VALUE, field="recourse", reason="a debtor has no recourse for its own debt")
        if self.currency != receivable.currency:
            return refuse(Status.CURRENCY_MISMATCH, currency=receivable.currency)
        if self.consideration is not None and self.consideration > self.units:
            return refuse(Status.BAD_VALUE, field="consideration", face=self.units)
        chosen = self.interval
        if chosen is not None and chosen.first <= chosen.last and chosen.length != self.units:
            return refuse(Status.AMOUNT_DIFFERS, amount=chosen.length)
        return None

    def _units(self, step: Step, receivable: Receivable, parcel: Parcel) -> Interval | Refusal:
        frozen = parcels.frozen_units(receivable, step.now)
        if self.interval is None:
            return parcels.choose_units(parcel, frozen, self.units)
        return parcels.check_units(parcel, frozen, self.interval) or self.interval

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = step.get(Receivable, self.receivable)
        parcel = self._parcel(step, receivable)
        chosen = self._units(step, receivable, parcel)
        judged = _judge(step, receivable, parcel.holder, self.receiver, parcel.hops + 1)
        if isinstance(chosen, Refusal) or isinstance(judged, Refusal) or receivable.cutoff_at is None:
            raise InvariantViolation(f"a transfer of {receivable.id} is refused after its check had passed")
        window_end = step.now.plus(policies(step).transfer_accept_days * DAY_MS)
        transfer = Transfer(
            id=step.new_id("trf"),
            receivable=receivable.id,
            interval=chosen,
            currency=receivable.currency,
            sender=parcel.holder,
            receiver=self.receiver,
            kind=TransferKind.SET_OFF if self.as_set_off else TransferKind.ORDINARY,
            state=TransferState.REQUESTED,
            prior=parcel.origin,
            hop=parcel.hops + 1,
            recourse=self.recourse,
            basis=chosen.length if self.consideration is None else self.consideration,
            consideration=self.consideration,
            background=self.background,
            requested=step.position,
            deadline=Instant(min(window_end, receivable.cutoff_at)),
            judged=judged,
        )
        held = Lock(interval=chosen, by=transfer.id, kind=LockKind.TRANSFER)
        step.put(parcels.lock(step, receivable, parcel, held))
        step.put(transfer)
        yield REQUESTED(
            transfer.id,
            (transfer.sender, transfer.receiver),
            sender=transfer.sender,
            receiver=transfer.receiver,
            receivable=receivable.id,
            units=chosen.length,
            currency=receivable.currency,
            deadline=transfer.deadline,
        )


def _named(interval: Interval) -> str:
    return f"{interval.first}-{interval.last}"


def _judge(step: Step, receivable: Receivable, holder: str, receiver: str, hop: int) -> Judgement | Refusal:
    facts = TransferFacts(holder=holder, receiver=receiver, currency=receivable.currency, layers=hop)
    return step.once("judged", lambda: judge_transfer(step, facts))


def _check_passable(step: Step, transfer: Transfer) -> Refusal | None:
    """Whether the locked units may still pass.

    Order: party_suspended, wrong_state, invoice_flagged, past_cutoff, set_off_only, frozen.
    """
    receivable = step.get(Receivable, transfer.receivable)
    refusal = (
        check_party(step, transfer.sender) or check_party(step, transfer.receiver) or check_negotiable(step, receivable)
    )
    if refusal is not None:
        return refusal
    if transfer.receiver == receivable.debtor and transfer.kind is not TransferKind.SET_OFF:
        # Since the offer a succession has made the receiver the debtor.
        return refuse(Status.SET_OFF_ONLY, debtor=receivable.debtor)
    return check_not_frozen(step, receivable, transfer.interval)


def _parties(transfer: Transfer) -> tuple[str, str]:
    return transfer.sender, transfer.receiver


def _check_open(step: Step, transfer: Transfer) -> Refusal | None:
    """Whether the receiver may still answer."""
    if transfer.state is not TransferState.REQUESTED:
        return refuse(Status.WRONG_STATE, transfer=transfer.id, state=transfer.state.value)
    if transfer.deadline is None or step.now > transfer.deadline:
        return refuse(Status.DEADLINE_PASSED, transfer=transfer.id, deadline=transfer.deadline)
    return None


class AcceptTransfer(Operation, tag="transfer.accept"):
    """Accept an offered transfer and ask the auditor for the processing review (转单处理审核请求).

    Signed by the receiver, with permission to receive. It records the receiver's own review and the handling
    information; the amount is stated again, so that what is signed is what is seen.
    """

    transfer: TransferId
    currency: Currency
    units: Units
    handling: Anchor

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        transfer = step.find(Transfer, self.transfer)
        if transfer is None:
            return refuse(Status.NOT_FOUND, transfer=self.transfer)
        return Signers.all(transfer.receiver)

    def check(self, step: Step) -> Refusal | None:
        transfer = step.get(Transfer, self.transfer)
        units = transfer.interval.length
        refusal = (
            check_permission(step, transfer.receiver, Permitted.RECEIVE, transfer.currency, units)
            or _check_open(step, transfer)
            or _check_passable(step, transfer)
        )
        if refusal is not None:
            return refusal
        if self.currency != transfer.currency:
            return refuse(Status.CURRENCY_MISMATCH, currency=transfer.currency)
        if self.units != units:
            return refuse(Status.AMOUNT_DIFFERS, amount=units)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        transfer = step.get(Transfer, self.transfer)
        receivable = step.get(Receivable, transfer.receivable)
        review, asked = open_review(step, "transfer", transfer.id, _parties(transfer), self.handling)
        step.put(
            replace(
                transfer,
                state=TransferState.UNDER_REVIEW,
                deadline=receivable.cutoff_at,
                accepted=step.position,
                review=review.id,
            )
        )
        yield ACCEPTED(transfer.id, _parties(transfer), receiver=transfer.receiver, review=review.id)
        yield asked


class DeclineTransfer(Operation, tag="transfer.decline"):
    """Decline an offered transfer; the units are free again.

    Signed by the receiver, with a reason's code; also while it is suspended.
    """

    while_suspended: ClassVar[bool] = True

    transfer: TransferId
    reason: Code

    def authority(self, step: Step) -> Signers | Refusal:
        transfer = step.find(Transfer, self.transfer)
        if transfer is None:
            return refuse(Status.NOT_FOUND, transfer=self.transfer)
        return Signers.all(transfer.receiver)

    def check(self, step: Step) -> Refusal | None:
        return _check_open(step, step.get(Transfer, self.transfer))

    def apply(self, step: Step) -> Iterator[Event]:
        transfer = step.get(Transfer, self.transfer)
        _end(step, transfer, TransferState.DECLINED)
        yield DECLINED(transfer.id, _parties(transfer), reason=self.reason)


class WithdrawTransfer(Operation, tag="transfer.withdraw"):
    """Withdraw a transfer that is not decided; the units are free again and a review under way ends.

    Signed by the holder before acceptance, by both parties after it; also while one is suspended.
    """

    while_suspended: ClassVar[bool] = True

    transfer: TransferId

    def authority(self, step: Step) -> Signers | Refusal:
        transfer = step.find(Transfer, self.transfer)
        if transfer is None:
            return refuse(Status.NOT_FOUND, transfer=self.transfer)
        if transfer.state is TransferState.UNDER_REVIEW:
            return Signers.all(transfer.sender, transfer.receiver)
        return Signers.all(transfer.sender)

    def check(self, step: Step) -> Refusal | None:
        transfer = step.get(Transfer, self.transfer)
        if transfer.state not in PENDING_STATES:
            return refuse(Status.WRONG_STATE, transfer=transfer.id, state=transfer.state.value)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        transfer = step.get(Transfer, self.transfer)
        if transfer.review is not None:
            yield from close_review(step, transfer.review)
        yield from _withdraw(step, transfer, "by_parties" if transfer.review is not None else "by_holder")


def _end(step: Step, transfer: Transfer, state: TransferState) -> None:
    """End it undone: the units are free again."""
    receivable = step.get(Receivable, transfer.receivable)
    step.put(parcels.unlock(step, receivable, transfer.interval, transfer.id))
    step.put(replace(transfer, state=state, deadline=None, ended=step.position))


def _withdraw(step: Step, transfer: Transfer, reason: str) -> Iterator[Event]:
    _end(step, transfer, TransferState.WITHDRAWN)
    yield WITHDRAWN(transfer.id, _parties(transfer), reason=reason)


def expire_transfer(step: Step, record: Record) -> Iterator[Event]:
    """The receiver did not answer, or the review did not end, before the deadline (due work)."""
    if isinstance(record, Transfer) and record.state in PENDING_STATES:
        if record.review is not None:
            yield from close_review(step, record.review)
        yield from _expire(step, record)


def _expire(step: Step, transfer: Transfer) -> Iterator[Event]:
    _end(step, transfer, TransferState.EXPIRED)
    yield EXPIRED(transfer.id, _parties(transfer))


def end_redeemed(step: Step, transfer_id: str) -> Iterator[Event]:
    """Units of a transfer in progress were paid to their holder: it ends.

    The caller has dropped its lock already, and writes the receivable.
    """
    transfer = step.get(Transfer, transfer_id)
    if transfer.review is not None:
        yield from close_review(step, transfer.review)
    step.put(replace(transfer, state=TransferState.EXPIRED, deadline=None, ended=step.position))
    yield EXPIRED(transfer.id, _parties(transfer))


def _sender_suspended(step: Step, record: Record, member: str) -> Iterator[Event]:
    """A suspended member's own unaccepted request ends and unlocks (DOMAIN section 3, Suspension)."""
    if isinstance(record, Transfer) and record.state is TransferState.REQUESTED and record.sender == member:
        yield from _withdraw(step, record, "suspended")


def _pass_to_successor(step: Step, record: Record, member: str, successor: str) -> Iterator[Event]:
    """The successor takes the member's side; a transfer of which it has the other side too ends: nothing would pass."""
    if not isinstance(record, Transfer) or {record.sender, record.receiver} != {member, successor}:
        yield from rename(step, record, member, successor)
        return
    if record.review is not None:
        yield from close_review(step, record.review)
    yield from _withdraw(step, record, "parties_are_one")


class _TransferReview:
    """The auditor's processing review of a transfer (转单处理审核)."""

    reviewer_role = Role.AUDITOR

    def check_approval(self, step: Step, review: Review, decision: Decision) -> Refusal | None:
        """Order: as `_check_passable`, then the limits of cutting, then law."""
        transfer = step.get(Transfer, review.subject)
        refusal = _check_passable(step, transfer)
        if refusal is not None:
            return refusal
        receivable = step.get(Receivable, transfer.receivable)
        parcel = parcels.parcel_around(step, receivable, transfer.interval)
        if parcel is None:
            raise InvariantViolation(f"no parcel is around the units of {transfer.id}")
        refusal = check_cut(step, receivable, parcel, transfer.interval)
        if refusal is not None:
            return refusal
        judged = _judge(step, receivable, transfer.sender, transfer.receiver, transfer.hop)
        return judged if isinstance(judged, Refusal) else None

    def approved(self, step: Step, review: Review, decision: Decision) -> Iterator[Event]:
        """The children partition the parcel; receiver, holder and debtor are told."""
        transfer = step.get(Transfer, review.subject)
        receivable = step.get(Receivable, transfer.receivable)
        judged = _judge(step, receivable, transfer.sender, transfer.receiver, transfer.hop)
        if isinstance(judged, Refusal):
            raise InvariantViolation(f"{judged.status.label} after the check had passed")
        yield from carry_out(step, receivable, replace(transfer, judged=judged), transfer.id)

    def refused(self, step: Step, review: Review, reason: str) -> Iterator[Event]:
        transfer = step.get(Transfer, review.subject)
        _end(step, transfer, TransferState.REFUSED)
        yield REFUSED(transfer.id, _parties(transfer), review=review.id, reason=reason)

    def expired(self, step: Step, review: Review) -> Iterator[Event]:
        yield from _expire(step, step.get(Transfer, review.subject))


register("transfer", _TransferReview())
on_suspended("transfer", _sender_suspended)
on_succeeded("transfer", _pass_to_successor)
