"""The row of a review: what is reviewed, who may decide, and every vote with its findings.

requested -> approved | refused | expired; withdrawn where its subject ended before. A decided review is never reopened:
a later finding is a note that refers to it.
"""

from enum import Enum
from typing import Annotated, TypeAlias

from msgspec import Meta

from tallystick.kernel.core.fields import Anchor, AnyId, Code, Hash, MemberId, Position, Struct
from tallystick.kernel.core.record import Queue, Record
from tallystick.kernel.membership.records import Role
from tallystick.wire.instants import Instant


class ReviewState(Enum):
    """Only REQUESTED is open; the others are terminal."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class ReviewResult(Enum):
    """One reviewer's word."""

    APPROVE = "approve"
    REFUSE = "refuse"


class Finding(Enum):
    """What a checklist says about one item."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"


class ChecklistItem(Struct):
    """One item that was looked at, what was found, and the code that explains it."""

    item: Code
    finding: Finding
    code: Code | None = None


Checklist: TypeAlias = Annotated[tuple[ChecklistItem, ...], Meta(max_length=64)]
Fingerprints: TypeAlias = Annotated[tuple[Hash, ...], Meta(max_length=500)]


class Decision(Struct):
    """One reviewer's vote as it stands on the ledger.

    `fingerprints` are those of the subject's invoices, in its order, as the reviewer recomputed them from the documents
    (DOMAIN section 7).
    """

    reviewer: MemberId
    role: Role
    result: ReviewResult
    at: Position
    checklist: Checklist = ()
    fingerprints: Fingerprints = ()
    reason: Code | None = None
    findings: Anchor | None = None


class LaterFinding(Struct):
    """A reviewer's finding after the decision."""

    reviewer: MemberId
    code: Code
    at: Position
    findings: Anchor | None = None


class Panel(Struct):
    """How many holders of a role must agree."""

    role: Role
    needed: Annotated[int, Meta(ge=1, le=15)] = 1


class Review(Record):
    """A review of `subject`. `parties` are whom it is about; they and `recused`, their sponsors, may not vote."""

    table = "review"

    subject_kind: Code
    subject: AnyId
    parties: tuple[MemberId, ...]
    panels: tuple[Panel, ...]
    state: ReviewState
    requested: Position
    deadline: Instant
    recused: tuple[MemberId, ...] = ()
    handling: Anchor | None = None
    decisions: tuple[Decision, ...] = ()
    decided: Position | None = None
    reason: Code | None = None
    notes: tuple[LaterFinding, ...] = ()

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        # A window is open while block time <= its end, so it expires a millisecond after.
        return ((Queue.EXPIRE, self.deadline.plus(1)),) if self.state is ReviewState.REQUESTED else ()

    def live_for(self) -> tuple[str, ...]:
        return self.parties if self.state is ReviewState.REQUESTED else ()

    def labels(self) -> tuple[str, ...]:
        """What waits for the holders of a role is found by it."""
        if self.state is not ReviewState.REQUESTED:
            return ()
        return tuple(f"review_by/{panel.role.value}" for panel in self.panels)
