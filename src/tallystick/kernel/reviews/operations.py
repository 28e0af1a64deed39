"""Deciding a review, adding a later finding to it, and its deadline."""

from collections.abc import Iterator

import msgspec

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Code, ReviewId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.business import on_succeeded, on_suspended, rename
from tallystick.kernel.membership.records import Member, MemberState
from tallystick.kernel.membership.rules import present_party
from tallystick.kernel.reviews.records import (
    Checklist,
    Decision,
    Fingerprints,
    LaterFinding,
    Panel,
    Review,
    ReviewResult,
    ReviewState,
)
from tallystick.kernel.reviews.subjects import (
    APPROVED,
    SUBJECTS,
    check_seat,
    close_review,
    end_review,
    expire_review,
    refuse_review,
)
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

VOTED = EventKind("review.voted", "{reviewer} votes to {result} {subject_kind} {subject}; more votes are needed.")
NOTED = EventKind("review.noted", "{reviewer} adds finding {code} to the decided review of {subject_kind} {subject}.")

MAX_NOTES = 100
PARTY_SUSPENDED = "party_suspended"


class DecideReview(Operation, tag="review.decide"):
    """Vote on a review: approve or refuse, with checklist and findings; the last vote needed applies the outcome.

    Signed by a reviewer for that subject who is neither a party nor a party's sponsor. As many refusals as approvals
    are needed end it as refused. Source: DOMAIN section 3, "Review".
    """

    review: ReviewId
    result: ReviewResult
    checklist: Checklist = ()
    fingerprints: Fingerprints = ()  # of the subject's invoices, in its order, recomputed from the documents
    reason: Code | None = None  # a refusal must give one
    findings: Anchor | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        review = step.find(Review, self.review)
        if review is None:
            return refuse(Status.NOT_FOUND, review=self.review)
        panel = self._panel(step, review)
        if isinstance(panel, Refusal):
            return panel
        if step.actor in review.parties or any(present_party(step, one) == step.actor for one in review.recused):
            return refuse(Status.MUST_RECUSE, organisation=step.actor, subject=review.subject)
        if review.state is not ReviewState.REQUESTED:
            return refuse(Status.ALREADY_DECIDED, review=review.id, state=review.state.value)
        if any(decision.reviewer == step.actor for decision in review.decisions):
            return refuse(Status.ALREADY_DECIDED, review=review.id, reviewer=step.actor)
        if step.now > review.deadline:
            return refuse(Status.DEADLINE_PASSED, review=review.id, deadline=review.deadline)
        if self.result is ReviewResult.REFUSE:
            return refuse(Status.BAD_VALUE, field="reason") if self.reason is None else None
        for party in review.parties:
            if step.get(Member, party).state is MemberState.SUSPENDED:
                return refuse(Status.PARTY_SUSPENDED, organisation=party)
        decision = step.once("decision", lambda: self._decision(step, panel))
        return SUBJECTS[review.subject_kind].check_approval(step, review, decision)

    def apply(self, step: Step) -> Iterator[Event]:
        review = step.get(Review, self.review)
        panel = self._panel(step, review)
        if isinstance(panel, Refusal):
            raise InvariantViolation(f"{step.actor} does not decide {review.id}")
        decision = step.once("decision", lambda: self._decision(step, panel))
        review = msgspec.structs.replace(review, decisions=(*review.decisions, decision))
        if _votes(review, panel, ReviewResult.REFUSE) >= panel.needed:
            yield from refuse_review(step, review, self.reason or "")
        elif all(_votes(review, one, ReviewResult.APPROVE) >= one.needed for one in review.panels):
            ended = end_review(step, review, ReviewState.APPROVED)
            yield APPROVED(review.id, review.parties, subject_kind=review.subject_kind, subject=review.subject)
            yield from SUBJECTS[review.subject_kind].approved(step, ended, decision)
        else:
            step.put(review)
            yield VOTED(
                review.id,
                review.parties,
                reviewer=step.actor,
                result=self.result.value,
                subject_kind=review.subject_kind,
                subject=review.subject,
            )

    @staticmethod
    def _panel(step: Step, review: Review) -> Panel | Refusal:
        """The first of the review's panels that the actor sits on."""
        actor = step.get(Member, step.actor)
        roles = " or ".join(panel.role.value for panel in review.panels)
        refusal = refuse(Status.NOT_THE_REVIEWER, organisation=step.actor, needs=roles)
        for panel in review.panels:
            if actor.has_role(panel.role):
                barred = check_seat(step, review, step.actor, panel.role)
                if barred is None:
                    return panel
                refusal = barred
        return refusal

    def _decision(self, step: Step, panel: Panel) -> Decision:
        return Decision(
            reviewer=step.actor,
            role=panel.role,
            result=self.result,
            at=step.position,
            checklist=self.checklist,
            fingerprints=self.fingerprints,
            reason=self.reason,
            findings=self.findings,
        )


def _votes(review: Review, panel: Panel, result: ReviewResult) -> int:
    """How many of `panel` said `result`."""
    return sum(1 for one in review.decisions if one.role is panel.role and one.result is result)


class NoteReview(Operation, tag="review.note"):
    """Add a later finding to a decided review, which stays as it was decided; free text by anchor alone.

    Signed by one who voted in it. Source: DOMAIN section 3, "Review".
    """

    review: ReviewId
    code: Code
    findings: Anchor | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        review = step.find(Review, self.review)
        if review is None:
            return refuse(Status.NOT_FOUND, review=self.review)
        if all(decision.reviewer != step.actor for decision in review.decisions):
            return refuse(Status.NOT_THE_REVIEWER, organisation=step.actor)
        if review.state is ReviewState.REQUESTED:
            return refuse(Status.WRONG_STATE, review=review.id, state=review.state.value)
        if len(review.notes) >= MAX_NOTES:
            return refuse(Status.TOO_MANY, review=review.id, limit=MAX_NOTES)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        review = step.get(Review, self.review)
        note = LaterFinding(reviewer=step.actor, code=self.code, at=step.position, findings=self.findings)
        step.put(msgspec.structs.replace(review, notes=(*review.notes, note)))
        yield NOTED(
            review.id,
            review.parties,
            reviewer=step.actor,
            code=self.code,
            subject_kind=review.subject_kind,
            subject=review.subject,
        )


def expire(step: Step, record: Record) -> Iterator[Event]:
    """A review whose deadline has passed ends without a decision."""
    yield from expire_review(step, _review(record))


def _review(record: Record) -> Review:
    if not isinstance(record, Review):
        raise InvariantViolation(f"{record.key} is not a review")
    return record


def _refuse_of_suspended(step: Step, record: Record, _member: str) -> Iterator[Event]:
    yield from refuse_review(step, _review(record), PARTY_SUSPENDED)


def _pass_to_successor(step: Step, record: Record, member: str, successor: str) -> Iterator[Event]:
    """What is asked about the member itself ends with it; in all else its successor is the party."""
    review = _review(record)
    if review.subject == member:
        yield from close_review(step, review.id)
    else:
        yield from rename(step, review, member, successor)


on_suspended("review", _refuse_of_suspended)
on_succeeded("review", _pass_to_successor)
