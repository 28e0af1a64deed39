"""The rows of plans: `Plan` with the money and state of each tranche, the immutable `PlanVersion`, and what they cause.

A step on a plan writes one row of it besides its postings. Money is counted on the plan in all, and on each tranche:
deposited = held + released + refunded + fees + reversed, at every height (DESIGN section 9, 1).
Source: DOMAIN section 3, "Plan" and "Tranche".
"""

import datetime
from enum import Enum
from typing import Annotated, TypeAlias

from msgspec import Meta

from tallystick.kernel.core.fields import (
    AccountId,
    CertificateId,
    Code,
    Count,
    Currency,
    Days,
    DisputeId,
    EvidenceId,
    Hash,
    MemberId,
    PlanId,
    Position,
    ProductId,
    ReceivableId,
    RefundId,
    Struct,
)
from tallystick.kernel.core.record import Queue, Record
from tallystick.kernel.law.records import Judgement
from tallystick.kernel.plans.conditions import Condition, DataStated, Met, VerifiersAccept, leaves
from tallystick.kernel.products.records import FeeTerms, Share, Silence, Title
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.instants import Instant

MAX_TRANCHES = 100
MAX_MATERIALS = 16
MAX_SUBMITTED = 64  # materials in one round of evidence
MAX_NAMED = 64  # verifiers and data sources of one plan

TrancheNumber = Annotated[int, Meta(ge=1, le=MAX_TRANCHES)]


class Material(Struct):
    """A document that a release needs (所需材料): its kind and, where it is known beforehand, its very hash."""

    kind: Code
    hash: Hash | None = None


class Unmet(Enum):
    """What happens when the release window ends and the condition is not met."""

    DISPUTE = "dispute"
    REFUND = "refund"
    EXTEND = "extend"


class Unused(Enum):
    """Where the part of a tranche goes that its release did not use: back to the payer, or on to the next tranche."""

    REFUND = "refund"
    ROLL_ON = "roll_on"


class Retention(Struct):
    """What is kept back of a release (质保金): percent of what is certified, released at the opening of `until_on`."""

    rate: Rate
    until_on: datetime.date


class TrancheTerms(Struct):
    """One step of a plan as both sides agreed it. Days are the business zone's; `units` is the most where `up_to`.

    The payer deposits `fund_units` by the end of `fund_by_on`. The release happens from the opening of
    `release_from_on` (moved to a business day) once `condition` holds; if it does not by the end of
    `release_until_on`, `if_unmet` says what follows.
    `recovery` is the percent of each certified amount that goes towards the plan's advances, which are the tranches
    marked `advance`. `redeems` is the receivable whose holders are paid first.
    """

    title: Title
    fund_by_on: datetime.date
    fund_units: Units
    units: Units
    release_from_on: datetime.date
    release_until_on: datetime.date
    condition: Condition
    up_to: bool = False
    materials: Annotated[tuple[Material, ...], Meta(max_length=MAX_MATERIALS)] = ()
    on_silence: Silence = Silence.DISPUTE
    if_unmet: Unmet = Unmet.DISPUTE
    extend_days: Days = 0
    unused: Unused = Unused.REFUND
    retention: Retention | None = None
    recovery: Rate | None = None
    advance: bool = False
    redeems: ReceivableId | None = None
    wages: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its materials."""
        return tuple(material.kind for material in self.materials)


Tranches: TypeAlias = Annotated[tuple[TrancheTerms, ...], Meta(min_length=1, max_length=MAX_TRANCHES)]


class PlanTerms(Struct):
    """What holds for a whole plan, as its product and the policies said it on the day of the confirmation.

    Of the policies it keeps what decides about money: how long a deposit may be late, how often evidence may be sent
    back or a release window extended, how long the sides of a dispute may settle before the arbitrator rules.
    """

    product: ProductId
    payer: MemberId
    payee: MemberId
    platform: MemberId
    custodian: MemberId
    refund_account: AccountId
    currency: Currency
    objection_days: Days
    answer_days: Days
    arbitrator: MemberId
    fee: FeeTerms
    long_stop_on: datetime.date
    default_split: Share
    funding_grace_days: Days
    evidence_rounds: Count
    extensions: Count
    negotiation_days: Days


class DayOpens(Struct):
    """A day that some tranche's condition waits for, and when it opens: moved to a business day as due dates are."""

    on: datetime.date
    at: Instant


class PlanVersion(Record):
    """A plan as both sides confirmed it: immutable, the only thing a release reads. Its id is `<plan>/<version>`.

    `opens` has the days of all conditions, ascending, by the calendar in force when they were agreed.
    """

    table = "plan_version"

    plan: PlanId
    version: Count
    terms: PlanTerms
    tranches: Tranches
    confirmed: Position
    opens: tuple[DayOpens, ...] = ()
    judged: Judgement | None = None


class PlanState(Enum):
    """Where a plan stands. The confirmation anchors it in the same step, so `anchored` is a fact and not a state."""

    PROPOSED = "proposed"  # waits for the platform's check
    SENT_BACK = "sent_back"  # waits for the payer's better proposal
    SENT = "sent"  # waits for the payee's confirmation
    ACTIVE = "active"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


PENDING_PLANS = (PlanState.PROPOSED, PlanState.SENT_BACK, PlanState.SENT)
"""Before confirmation: no money can move for it."""


class Failing(Struct):
    """A field of a proposed plan that fails against its product: the tranche (0: the whole plan), field and reason."""

    tranche: Annotated[int, Meta(ge=0, le=MAX_TRANCHES)]
    field: Code
    reason: Code


class Phase(Enum):
    """Where a tranche stands. Whether it is funded is read from its money, disputes and overdue funding lie over it.

    waiting -> evidence_in -> verified (the objection window runs) -> released; sent back it waits again, in bounded
    rounds. It ends without release as refunded, settled (its whole amount went through disputes) or cancelled.
    """

    WAITING = "waiting"
    EVIDENCE_IN = "evidence_in"
    VERIFIED = "verified"
    RELEASED = "released"
    ENDED = "ended"


_WAITING, _EVIDENCE_IN = Phase.WAITING, Phase.EVIDENCE_IN


class TrancheState(Struct):
    """A tranche's money and progress. All amounts are minor units of the plan's currency.

    `deposited` = `held` + `released` + `refunded` + `fees` + `reversed` + `rolled`. What is rolled on to a later
    tranche counts as deposited there. `fees` are those that the payee bears. `disputed` and `retained` are parts of
    `held`; `given_back` is what of `refunded` an amendment gave back, which is to be deposited anew if a later one asks
    for more, `consented` what went back because the payee agreed, which lowers its amount. Instants follow from the
    terms' days by the calendar in force when the version was confirmed; `wake_at` is
    when the tranche is next to be looked at for release.
    """

    phase: Phase = Phase.WAITING
    deposited: Units = ZERO
    held: Units = ZERO
    released: Units = ZERO
    refunded: Units = ZERO
    fees: Units = ZERO
    reversed: Units = ZERO
    rolled: Units = ZERO
    disputed: Units = ZERO
    contested: Units = ZERO  # of what is, or may be, certified: what went into disputes, open or decided
    beyond: Units = ZERO  # the same of what was not certified although the payee says that it should have been
    retained: Units = ZERO
    recovered: Units = ZERO
    given_back: Units = ZERO
    consented: Units = ZERO
    certified: Units | None = None
    met: tuple[Met, ...] = ()  # by what it was verified, until its release
    evidence: EvidenceId | None = None  # the round under way, the one that was met, or the last one sent back
    rounds: Count = 0  # ended by being sent back
    overdue: bool = False
    fund_until: Instant | None = None
    release_at: Instant | None = None
    unmet_at: Instant | None = None  # the last instant of the release window
    extended: Count = 0
    wake_at: Instant | None = None
    answer_by: Instant | None = None
    object_until: Instant | None = None
    retained_until: Instant | None = None
    certificates: tuple[CertificateId, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing more can be released from it but what is disputed or retained."""
        return self.phase in (Phase.RELEASED, Phase.ENDED)

    @property
    def free(self) -> Units:
        """Held money that is neither disputed nor retained."""
        return self.held - self.disputed - self.retained


class Amendment(Struct):
    """A new version that the payer proposed and the payee has not confirmed yet."""

    tranches: Tranches
    proposed: Position
    deadline: Instant


class Plan(Record):
    """A release plan: its parties, which version holds, and what became of its money.

    `draft` is what is proposed, until it is confirmed. `fee_reserve` is what a payer that bears the platform's fee set
    aside for it; like the tranches' `held` it is money in the plan's escrow account.
    """

    table = "plan"

    product: ProductId
    payer: MemberId
    payee: MemberId
    platform: MemberId
    custodian: MemberId
    arbitrator: MemberId
    currency: Currency
    state: PlanState
    proposed: Position
    draft: tuple[TrancheTerms, ...] = ()
    failing: Annotated[tuple[Failing, ...], Meta(max_length=200)] = ()
    deadline: Instant | None = None
    proposals: Count = 1
    version: Count = 0
    tranches: tuple[TrancheState, ...] = ()
    amendment: Amendment | None = None
    named: tuple[MemberId, ...] = ()  # verifiers and data sources of the version in force
    long_stop_at: Instant | None = None
    disputes: tuple[DisputeId, ...] = ()  # that are open
    refunds: tuple[RefundId, ...] = ()  # that wait for consent
    committed: Units = ZERO  # what of its product's cap it still counts for
    fee_reserve: Units = ZERO
    deposited: Units = ZERO
    released: Units = ZERO
    refunded: Units = ZERO
    fees: Units = ZERO
    reversed: Units = ZERO
    ended: Position | None = None

    @property
    def escrow(self) -> str:
        """The ledger account that its money stands in (中间资源账户)."""
        return f"escrow/{self.custodian}/{self.currency}/{self.id}"

    @property
    def held(self) -> Units:
        """What stands in escrow."""
        return Units(self.fee_reserve + sum(tranche.held for tranche in self.tranches))

    @property
    def is_live(self) -> bool:
        """Whether it is under way: active, or cancelled with money still in dispute."""
        return self.state is PlanState.ACTIVE or (self.state is PlanState.CANCELLED and self.ended is None)

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        if self.state in PENDING_PLANS:
            return () if self.deadline is None else ((Queue.EXPIRE, self.deadline.plus(1)),)
        if not self.is_live:
            return ()
        wanted = []
        offered_until = None if self.amendment is None else self.amendment.deadline
        closing = _first_end(self.tranches, self.long_stop_at, offered_until)
        if closing is not None:
            wanted.append((Queue.EXPIRE, closing.plus(1)))
        release = _first_release(self.tranches)
        if release is not None:
            wanted.append((Queue.RELEASE, release))
        return tuple(wanted)

    def live_for(self) -> tuple[str, ...]:
        if self.state in PENDING_PLANS or self.is_live:
            parties = (self.payer, self.payee, self.platform, self.custodian, self.arbitrator)
            return tuple(dict.fromkeys((*parties, *self.named)))
        return ()

    def labels(self) -> tuple[str, ...]:
        return (f"plan_of/{self.product}",)


def _first_end(tranches: tuple[TrancheState, ...], *others: Instant | None) -> Instant | None:
    """The first of `others` and of the tranches' windows whose end brings something about by itself.

    Every step on a plan asks twice, hence a plain loop.
    """
    first: Instant | None = None
    for at in others:
        if at is not None and (first is None or at < first):
            first = at
    for tranche in tranches:
        funding = None if tranche.overdue else tranche.fund_until
        if funding is not None and (first is None or funding < first):
            first = funding
        phase = tranche.phase
        if phase is not _WAITING and phase is not _EVIDENCE_IN:
            continue
        unmet = tranche.unmet_at
        if unmet is not None and (first is None or unmet < first):
            first = unmet
        answer = tranche.answer_by if phase is _EVIDENCE_IN else None
        if answer is not None and (first is None or answer < first):
            first = answer
    return first


def _first_release(tranches: tuple[TrancheState, ...]) -> Instant | None:
    """When a tranche is next to be looked at for release, or its retention is over."""
    first: Instant | None = None
    for tranche in tranches:
        wake = tranche.wake_at
        if wake is not None and (first is None or wake < first):
            first = wake
        until = tranche.retained_until
        if until is not None and (first is None or until < first) and tranche.retained:
            first = until
    return first


def named_in(tranches: tuple[TrancheTerms, ...], payer: str, platform: str) -> tuple[str, ...]:
    """Verifiers and data sources that the conditions name, each once."""
    named: dict[str, None] = {}
    for terms in tranches:
        asked = leaves(terms.condition)
        for leaf in asked:
            if isinstance(leaf, VerifiersAccept):
                named.update(dict.fromkeys(leaf.verifiers))
        named.update((leaf.source, None) for leaf in asked if isinstance(leaf, DataStated))
    return tuple(name for name in named if name not in (payer, platform))
