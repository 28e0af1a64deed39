"""The rows that a plan's steps leave: rounds of evidence, release certificates, disputes and refunds.

Each belongs to one tranche of one plan, whose own row counts the money. Source: DOMAIN section 3, "Tranche", "Refund"
and "Dispute".
"""

from enum import Enum
from typing import Annotated

from msgspec import Meta

from tallystick.kernel.core.fields import (
    Anchor,
    Code,
    Count,
    Currency,
    DisputeId,
    EvidenceId,
    MemberId,
    PlanId,
    Position,
    ReceivableId,
    Struct,
)
from tallystick.kernel.core.record import Queue, Record
from tallystick.kernel.plans.conditions import MAX_CONDITIONS, Met
from tallystick.kernel.plans.records import MAX_NAMED, MAX_SUBMITTED, TrancheNumber
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.instants import Instant


class Answer(Enum):
    """A verifier's word on evidence."""

    ACCEPT = "accept"
    SEND_BACK = "send_back"


class Answered(Struct):
    """One answer to a round of evidence: `certified` is what an acceptance certifies, `reason` why it was sent back."""

    by: MemberId
    answer: Answer
    at: Instant
    certified: Units | None = None
    reason: Code | None = None
    findings: Anchor | None = None


class Submitted(Struct):
    """A material that came, or a data source's statement."""

    by: MemberId
    anchor: Anchor
    at: Instant


class EvidenceState(Enum):
    """How a round of evidence stands."""

    OPEN = "open"
    MET = "met"
    SENT_BACK = "sent_back"
    CLOSED = "closed"  # its tranche ended otherwise


class Evidence(Record):
    """One round of evidence for a tranche: materials, the amount claimed, statements and answers.

    Each of those whom the condition names states each kind once, and answers once.
    """

    table = "evidence"

    plan: PlanId
    version: Count
    tranche: TrancheNumber
    round: Count
    state: EvidenceState
    opened: Position
    claimed: Units | None = None
    materials: Annotated[tuple[Submitted, ...], Meta(max_length=MAX_SUBMITTED)] = ()
    statements: Annotated[tuple[Submitted, ...], Meta(max_length=MAX_CONDITIONS)] = ()
    answers: Annotated[tuple[Answered, ...], Meta(max_length=MAX_NAMED + 2)] = ()
    silent_at: Instant | None = None  # the time to answer passed then, and silence counts as acceptance

    def labels(self) -> tuple[str, ...]:
        return (f"evidence_of/{self.plan}",)


class Certificate(Record):
    """A release certificate: what was released under which version, on which conditions, met by whom and when.

    certified = recovered + retained + disputed + released + fees (where the payee bears them). `released` is what
    reached the payee and, of it, `redeemed` what reached holders of the receivable instead. `triggered_by` is nobody
    where the block did it.
    """

    table = "certificate"

    plan: PlanId
    version: Count
    tranche: TrancheNumber
    at: Position
    conditions: tuple[Met, ...]
    certified: Units
    released: Units
    recovered: Units = ZERO
    retained: Units = ZERO
    disputed: Units = ZERO
    fees: Units = ZERO
    redeemed: Units = ZERO
    receivable: ReceivableId | None = None
    evidence: EvidenceId | None = None
    dispute: DisputeId | None = None
    cause: Code = "release"  # release, retention, ruling, settlement, default_split, long_stop
    triggered_by: MemberId | None = None

    def labels(self) -> tuple[str, ...]:
        return (f"certificate_of/{self.plan}",)


class DisputeState(Enum):
    """opened -> settled | arbitration -> ruled; no ruling by the long-stop date: by_default."""

    OPEN = "open"  # the parties may settle
    ARBITRATION = "arbitration"
    SETTLED = "settled"
    RULED = "ruled"
    BY_DEFAULT = "by_default"
    CLOSED = "closed"


class Offer(Struct):
    """A settlement that one side offers: what of the disputed amount goes to the payee; the rest goes back."""

    by: MemberId
    to_payee: Units
    at: Position


class Dispute(Record):
    """A dispute about an amount of a tranche, which alone is frozen by it."""

    table = "dispute"

    plan: PlanId
    version: Count
    tranche: TrancheNumber
    payer: MemberId
    payee: MemberId
    arbitrator: MemberId
    currency: Currency
    units: Units
    state: DisputeState
    opened: Position
    cause: Code  # objection, opened, silence, unmet
    opened_by: MemberId | None = None
    reason: Code | None = None
    statement: Anchor | None = None
    negotiate_until: Instant | None = None
    offer: Offer | None = None
    to_payee: Units | None = None
    ruling: Anchor | None = None
    ended: Position | None = None

    @property
    def is_open(self) -> bool:
        """Whether it still freezes its amount."""
        return self.state in (DisputeState.OPEN, DisputeState.ARBITRATION)

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        waits = self.state is DisputeState.OPEN and self.negotiate_until is not None
        return ((Queue.EXPIRE, self.negotiate_until.plus(1)),) if waits and self.negotiate_until is not None else ()

    def live_for(self) -> tuple[str, ...]:
        return (self.payer, self.payee, self.arbitrator) if self.is_open else ()

    def labels(self) -> tuple[str, ...]:
        return (f"dispute_of/{self.plan}",)


class RefundState(Enum):
    """requested -> booked (consented) | declined | lapsed."""

    REQUESTED = "requested"
    BOOKED = "booked"
    DECLINED = "declined"
    LAPSED = "lapsed"


class Refund(Record):
    """A payer's request to have an amount of a tranche back before it is released."""

    table = "refund"

    plan: PlanId
    tranche: TrancheNumber
    payer: MemberId
    payee: MemberId
    currency: Currency
    units: Units
    state: RefundState
    requested: Position
    deadline: Instant
    reason: Code | None = None
    ended: Position | None = None

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        return ((Queue.EXPIRE, self.deadline.plus(1)),) if self.state is RefundState.REQUESTED else ()

    def live_for(self) -> tuple[str, ...]:
        return (self.payer, self.payee) if self.state is RefundState.REQUESTED else ()

    def labels(self) -> tuple[str, ...]:
        return (f"refund_of/{self.plan}",)
