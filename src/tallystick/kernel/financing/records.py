"""The row of a financing, with its evaluations, quotes, award, contract, registrations and payment inside.

One row a financing: each step of its life writes it once.
"""

import datetime
from enum import Enum
from typing import Annotated

from msgspec import Meta

from tallystick.kernel.arithmetic import Price, Terms
from tallystick.kernel.core.fields import (
    Anchor,
    Code,
    Count,
    Currency,
    Hash,
    Interval,
    MemberId,
    Position,
    QuoteId,
    ReceivableId,
    ReviewId,
    Struct,
)
from tallystick.kernel.core.record import Queue, Record
from tallystick.kernel.law.records import Judgement
from tallystick.wire.amounts import Units
from tallystick.wire.instants import Instant

RegistryNumber = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._/-]{0,63}\Z")]


class FinancingState(Enum):
    """Where a financing stands. `settlement_failed` may be awarded again while a quote lasts; the ends stay ends."""

    REQUESTED = "requested"
    PUBLISHED = "published"
    REVEALING = "revealing"
    QUOTED = "quoted"
    AWARDED = "awarded"
    CLIENT_SIGNED = "client_signed"
    UNDER_REVIEW = "under_review"
    APPROVED = "approved"
    REGISTERED = "registered"
    PAID = "paid"
    DISPUTED = "disputed"
    SETTLED = "settled"
    WITHDRAWN = "withdrawn"
    NO_QUOTES = "no_quotes"
    EXPIRED = "expired"
    REFUSED = "refused"
    SETTLEMENT_FAILED = "settlement_failed"


OPEN_STATES = (
    FinancingState.REQUESTED,
    FinancingState.PUBLISHED,
    FinancingState.REVEALING,
    FinancingState.QUOTED,
    FinancingState.AWARDED,
    FinancingState.CLIENT_SIGNED,
)
"""Before the contract is fully signed: nothing binds both sides yet."""

BOUND_STATES = (
    FinancingState.UNDER_REVIEW,
    FinancingState.APPROVED,
    FinancingState.REGISTERED,
    FinancingState.PAID,
    FinancingState.DISPUTED,
)
"""From the full signature to the outcome: a maturity in between waits on the hold account for it."""


class Settlement(Enum):
    """How the money moves: on this ledger in the step that passes the parcel, or through a bank with a receipt."""

    LEDGER = "ledger"
    BANK = "bank"


class Verdict(Enum):
    """What is done with the parcel after a dispute: it passes to the funder, or stays with the client."""

    HAND_ON = "hand_on"
    UNLOCK = "unlock"


class QuoteState(Enum):
    """A sealed quote is open once revealed; only an open one can be awarded. `failed` ones were awarded in vain."""

    SEALED = "sealed"
    OPEN = "open"
    UNREVEALED = "unrevealed"
    OUT = "out"
    AWARDED = "awarded"
    FAILED = "failed"


BINDING = (QuoteState.SEALED, QuoteState.OPEN, QuoteState.AWARDED)


class QuoteTerms(Terms):
    """A funder's price with what else it promises. It binds the funder until `valid_until`."""

    valid_until: Instant
    with_recourse: bool


class Evaluation(Struct):
    """A funder's decision for itself, with its papers kept off the ledger: the assessment of the asset, and its
    scrutiny of term and trade background where the law asks for one.
    """

    funder: MemberId
    accepts: bool
    at: Position
    assessment: Anchor
    scrutiny: Anchor | None = None


class Quote(Struct):
    """A funder's one quote. `at` is where it was made, or sealed: the order that breaks ties."""

    id: QuoteId
    funder: MemberId
    at: Position
    state: QuoteState
    terms: QuoteTerms | None = None
    commitment: Hash | None = None
    revealed: Position | None = None


class Ranked(Struct):
    """A quote in a ranking: what it costs, what the client receives."""

    quote: QuoteId
    cost: Units
    net: Units


class Award(Struct):
    """The client's choice, and the ranking as it was computed in the same step: best first, from one value date."""

    quote: QuoteId
    funder: MemberId
    at: Position
    value_on: datetime.date
    actual_days: Count
    ranking: tuple[Ranked, ...]


class Contract(Struct):
    """What client and funder signed: the document, who rules on a dispute, and what holds where nobody rules."""

    document: Anchor
    client_signed: Position
    arbitrator: MemberId | None = None
    without_ruling: Verdict = Verdict.UNLOCK
    funder_signed: Position | None = None
    handling: Anchor | None = None


class Registration(Struct):
    """The search and, once there, the registration at the central registry (中登).

    Where its settlement `failed` it is to be cancelled until `cancel_by`; `cancelled` is the number of that.
    """

    funder: MemberId
    search: RegistryNumber
    at: Position
    number: RegistryNumber | None = None
    failed: bool = False
    cancel_by: Instant | None = None
    cancelled: RegistryNumber | None = None


class Payment(Struct):
    """What was or is said to be paid: the price from its value date; for a bank payment the receipt."""

    price: Price
    value_on: datetime.date
    at: Position
    receipt: Anchor | None = None


class Dispute(Struct):
    """A payment that the client denies (with its paper) or was silent about, and how it was ruled."""

    at: Position
    statement: Anchor | None = None
    verdict: Verdict | None = None
    ruling: Anchor | None = None
    returned: Anchor | None = None
    ruled: Position | None = None


class Financing(Record):
    """One financing of the units `interval` of a receivable.

    `deadline` is the end of the present state's window. `discount_until_on` is the day to which a discount runs: the
    due date, or its moved date where the request says that those days accrue. `last_at` is the cutoff before the due
    date: no window before the full signature goes beyond it.
    """

    table = "financing"

    client: MemberId
    debtor: MemberId
    receivable: ReceivableId
    interval: Interval
    currency: Currency
    settlement: Settlement
    sealed: bool
    state: FinancingState
    requested: Position
    closes_at: Instant
    last_at: Instant
    discount_until_on: datetime.date
    deadline: Instant | None
    invited: tuple[MemberId, ...] = ()
    purpose: Anchor | None = None
    judged: Judgement | None = None
    evaluations: tuple[Evaluation, ...] = ()
    quotes: tuple[Quote, ...] = ()
    award: Award | None = None
    contract: Contract | None = None
    review: ReviewId | None = None
    approved_on: datetime.date | None = None
    consent: Position | None = None
    registrations: tuple[Registration, ...] = ()
    payment: Payment | None = None
    dispute: Dispute | None = None
    ended: Position | None = None
    reason: Code | None = None

    @property
    def face(self) -> Units:
        """Minor units that are financed."""
        return self.interval.length

    @property
    def funder(self) -> str:
        """The awarded funder, or empty."""
        return self.award.funder if self.award is not None else ""

    @property
    def is_bound(self) -> bool:
        """Whether the contract is fully signed and the outcome still open."""
        return self.state in BOUND_STATES

    @property
    def pledges(self) -> bool:
        """Whether the units are pledged to it."""
        return self.state in OPEN_STATES or self.state in BOUND_STATES

    @property
    def is_live(self) -> bool:
        """Whether somebody still waits for somebody: pledged units, or a failed settlement's next quote."""
        return self.pledges or self.deadline is not None

    @property
    def has_uncancelled(self) -> bool:
        """Whether a registration of a failed settlement still stands at the registry."""
        return any(entry.failed and entry.cancelled is None for entry in self.registrations)

    @property
    def is_scrutinised(self) -> bool:
        """Whether the awarded funder anchored its scrutiny."""
        return any(each.funder == self.funder and each.scrutiny is not None for each in self.evaluations)

    def quote_of(self, funder: str) -> Quote | None:
        """The quote of `funder`; of two that a succession gave it, the one that binds it."""
        mine = [quote for quote in self.quotes if quote.funder == funder]
        return next((quote for quote in mine if quote.state in BINDING), mine[0] if mine else None)

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        wanted: list[tuple[Queue, Instant]] = []
        if self.deadline is not None:
            # A window is open while block time <= its end, so its outcome comes a millisecond after.
            wanted.append((Queue.EXPIRE, self.deadline.plus(1)))
        cancel_by = [entry.cancel_by for entry in self.registrations if entry.cancel_by is not None]
        if cancel_by:
            wanted.append((Queue.LAPSE, Instant(min(cancel_by)).plus(1)))
        return tuple(wanted)

    def live_for(self) -> tuple[str, ...]:
        uncancelled = tuple(one.funder for one in self.registrations if one.failed and one.cancelled is None)
        if not self.is_live:
            return tuple(dict.fromkeys(uncancelled))
        binding = (quote.funder for quote in self.quotes if quote.state in BINDING)
        named = [self.client, self.debtor, *uncancelled, *binding]
        if self.contract is not None and self.contract.arbitrator is not None:
            named.append(self.contract.arbitrator)
        return tuple(dict.fromkeys(named))

    def labels(self) -> tuple[str, ...]:
        if self.state is FinancingState.PUBLISHED:
            return (f"board/{int(self.closes_at):015d}",)
        return (f"uncancelled/{self.receivable}",) if self.has_uncancelled else ()


class NonReveal(Record):
    """How many sealed quotes a funder left unrevealed. Its id is the funder's."""

    table = "non_reveal"

    count: Count
