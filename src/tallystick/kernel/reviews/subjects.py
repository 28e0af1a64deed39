"""What can be reviewed, and how a review begins and ends.

A module registers its subject once, at import:

    class _ReceivableReview:
        reviewer_role = Role.AUDITOR
        def check_approval(self, step, review, decision): ...
        ...
    register("receivable", _ReceivableReview())

and opens a review with `events = open_review(step, "receivable", r.id, (r.debtor, r.creditor), handling)`, taking the
review's id from `coming_review(step)` beforehand where its own record names it.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

import msgspec

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.membership.records import Member, Role
from tallystick.kernel.membership.rules import present_party
from tallystick.kernel.reviews.records import Decision, Panel, Review, ReviewState
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS

REQUESTED = EventKind("review.requested", "A review of {subject_kind} {subject} is asked for; it ends at {deadline}.")
APPROVED = EventKind("review.approved", "The review of {subject_kind} {subject} approves it.")
REFUSED = EventKind("review.refused", "The review of {subject_kind} {subject} refuses it: {reason}.")
EXPIRED = EventKind("review.expired", "The review of {subject_kind} {subject} ended without a decision.")
WITHDRAWN = EventKind("review.withdrawn", "The review of {subject_kind} {subject} ends with its subject.")


class Subject(Protocol):
    """What the review of one kind of record asks for and brings about.

    Each method but `check_approval` runs once, in the step that ends the review, after the review's row was written.
    """

    reviewer_role: Role

    def check_approval(self, step: Step, review: Review, decision: Decision) -> Refusal | None:
        """Why the subject can't be approved now by `decision`; asked at every approving vote."""

    def approved(self, step: Step, review: Review, decision: Decision) -> Iterator[Event]:
        """The last approving vote stands."""

    def refused(self, step: Step, review: Review, reason: str) -> Iterator[Event]:
        """The review refused it, with the reason's code (`party_suspended` where a suspension did)."""

    def expired(self, step: Step, review: Review) -> Iterator[Event]:
        """The deadline passed without a decision."""


CheckSeat: TypeAlias = Callable[[Step, Review, str, Role], Refusal | None]

SUBJECTS: dict[str, Subject] = {}
_SEATS: dict[str, CheckSeat] = {}


def register(kind: str, subject: Subject, check_seat: CheckSeat | None = None) -> None:
    """Declare what reviews of `kind` are about, and who of those with the role may not vote in one at all."""
    if kind in SUBJECTS:
        raise InvariantViolation(f"two subjects of review are named {kind}")
    SUBJECTS[kind] = subject
    if check_seat is not None:
        _SEATS[kind] = check_seat


def check_seat(step: Step, review: Review, reviewer: str, role: Role) -> Refusal | None:
    """Whether `reviewer`, which holds `role`, may vote in it, be it to approve or to refuse."""
    check = _SEATS.get(review.subject_kind)
    return None if check is None else check(step, review, reviewer, role)


def open_review(
    step: Step,
    subject_kind: str,
    subject: str,
    parties: tuple[str, ...],
    handling: Anchor | None = None,
    *,
    also: tuple[Role, ...] = (),
) -> tuple[Review, Event]:
    """Write a new review of `subject` and return it with the event that tells parties and reviewers.

    One holder of each role in `also` must approve besides the subject's own reviewers. The sponsors of the parties are
    recused as the parties are. The review's id is the step's next `rev_` id.
    """
    in_force = policies(step)
    role = SUBJECTS[subject_kind].reviewer_role
    needed = in_force.auditors_needed if role is Role.AUDITOR else 1
    review = Review(
        id=step.new_id("rev"),
        subject_kind=subject_kind,
        subject=subject,
        parties=parties,
        recused=_sponsors(step, parties),
        panels=(Panel(role=role, needed=needed), *(Panel(role=other) for other in also)),
        state=ReviewState.REQUESTED,
        requested=step.position,
        deadline=step.now.plus(in_force.review_deadline_days * DAY_MS),
        handling=handling,
    )
    step.put(review)
    told = (*parties, *(everyone_as(panel.role) for panel in review.panels))
    event = REQUESTED(review.id, told, subject_kind=subject_kind, subject=subject, deadline=review.deadline)
    return review, event


def everyone_as(role: Role) -> str:
    """The audience of all who hold `role`, as events name it."""
    return f"role/{role.value}"


def _sponsors(step: Step, parties: tuple[str, ...]) -> tuple[str, ...]:
    found = (step.get(Member, party).sponsor for party in parties)
    present = (present_party(step, name) for name in found if name is not None)
    return tuple(dict.fromkeys(name for name in present if name not in parties))


def end_review(step: Step, review: Review, state: ReviewState, reason: str | None = None) -> Review:
    """Write `review` in a terminal state."""
    ended = msgspec.structs.replace(review, state=state, decided=step.position, reason=reason)
    step.put(ended)
    return ended


def refuse_review(step: Step, review: Review, reason: str) -> Iterator[Event]:
    """End an open review as refused, with the subject's outcome."""
    ended = end_review(step, review, ReviewState.REFUSED, reason)
    yield REFUSED(review.id, review.parties, subject_kind=review.subject_kind, subject=review.subject, reason=reason)
    yield from SUBJECTS[review.subject_kind].refused(step, ended, reason)


def close_review(step: Step, review_id: str) -> Iterator[Event]:
    """End an open review whose subject was withdrawn or ended by itself; a decided one stays as it is."""
    review = step.get(Review, review_id)
    if review.state is ReviewState.REQUESTED:
        end_review(step, review, ReviewState.WITHDRAWN)
        yield WITHDRAWN(review.id, review.parties, subject_kind=review.subject_kind, subject=review.subject)


def expire_review(step: Step, review: Review) -> Iterator[Event]:
    """Carry out a review's deadline (due work)."""
    ended = end_review(step, review, ReviewState.EXPIRED)
    yield EXPIRED(review.id, review.parties, subject_kind=review.subject_kind, subject=review.subject)
    yield from SUBJECTS[review.subject_kind].expired(step, ended)
