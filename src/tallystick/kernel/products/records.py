"""The row of a product: both sides' contracts, what differs between them, the product's own terms, three contracts.

applied -> checked -> under_review -> authorisation_requested -> authorised -> contracts -> open; open <-> suspended;
open -> closed. It ends before opening as refused, declined, withdrawn or expired. Source: DOMAIN section 3, "Product".
"""

import datetime
import hashlib
from enum import Enum
from typing import Annotated, TypeAlias

from msgspec import Meta

from tallystick.kernel.core.fields import (
    AccountId,
    Anchor,
    Code,
    Count,
    Currency,
    Days,
    Hash,
    MemberId,
    Name,
    Position,
    ReviewId,
    Struct,
)
from tallystick.kernel.core.record import Queue, Record
from tallystick.kernel.law.records import Judgement
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.instants import Instant

MAX_VERSIONS = 16  # of one side's contract terms
ContractNumber = Annotated[str, Meta(min_length=1, max_length=100)]
Title = Annotated[str, Meta(min_length=1, max_length=120)]
Share = Annotated[int, Meta(ge=0, le=100)]  # percent


class ProductState(Enum):
    """Where a product stands in its life."""

    APPLIED = "applied"  # waits for the payer's copy of the contract
    DIFFERS = "differs"  # the copies differ; waits for a correction
    UNDER_REVIEW = "under_review"
    AUTHORISATION_REQUESTED = "authorisation_requested"
    AUTHORISED = "authorised"  # waits for the platform's drafts
    CONTRACTS = "contracts"  # waits for signatures
    OPEN = "open"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    REFUSED = "refused"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


ENDED_STATES = (
    ProductState.CLOSED,
    ProductState.REFUSED,
    ProductState.DECLINED,
    ProductState.WITHDRAWN,
    ProductState.EXPIRED,
)


class Business(Enum):
    """What the money is for. Wages go to workers and obey the rules of wage accounts."""

    WAGES = "wages"
    FREIGHT = "freight"
    CONSTRUCTION = "construction"
    SERVICES = "services"
    OTHER = "other"


class Method(Enum):
    """A way to verify a release (资源发放校验方式): the leaves of a plan's conditions."""

    DATE = "date"
    PAYER = "payer"
    PLATFORM = "platform"
    VERIFIERS = "verifiers"
    DOCUMENTS = "documents"
    DATA_SOURCE = "data_source"


class ContractTerms(Struct):
    """What a business contract says, as one side read it; compared field by field with the other side's."""

    number: ContractNumber
    title: Title
    payer: MemberId
    payee: MemberId
    currency: Currency
    value: Units
    signed_on: datetime.date
    starts_on: datetime.date
    ends_on: datetime.date
    payment_days: Days | None = None


class ContractCopy(Struct):
    """One version of one side's copy."""

    by: MemberId
    document: Anchor
    terms: ContractTerms
    at: Position


class Difference(Struct):
    """A field of the two copies that is not the same; values as their canonical text, "" where it is left out."""

    field: Code
    payee_value: Annotated[str, Meta(max_length=200)]
    payer_value: Annotated[str, Meta(max_length=200)]


class Comparison(Struct):
    """What the kernel found when it laid a version of the payee's copy beside one of the payer's."""

    payee_version: Count
    payer_version: Count
    at: Position
    differences: tuple[Difference, ...] = ()


class Silence(Enum):
    """What a verifier's silence means when its time is over."""

    ACCEPT = "accept"
    DISPUTE = "dispute"


class FeePayer(Enum):
    """Who bears the platform's fee: it is taken from each release, or reserved on top of it."""

    PAYEE = "payee"
    PAYER = "payer"


class FeeTerms(Struct):
    """The platform's fee on what a plan releases: percent of the amount with a minimum for each plan (DOMAIN 4)."""

    rate: Rate
    minimum: Units
    paid_by: FeePayer


class WageTerms(Struct):
    """What the law asks of wages: the project's special account and the tri-party agreement (人社部发〔2021〕53号)."""

    project: Title
    special_account: AccountId
    tri_party_agreement: Anchor


class ProductTerms(Struct):
    """What a plan is checked against, besides the parties.

    `cap` bounds what all plans may release together. Payments lie in `payment_from_on`..`payment_until_on`, apart from
    the contract's own dates. After the end of `long_stop_on` what is disputed without a ruling is divided,
    `default_split` percent to the payee, and what is not disputed goes back to the payer. Refunds go to the payer's
    account with the custodian (`refund_account`). Where `on_silence` is not to accept, no tranche of a plan may say
    that a verifier's silence accepts, but those for wages, which nothing disputes.
    """

    business: Business
    currency: Currency
    cap: Units
    custodian: MemberId
    refund_account: AccountId
    payment_from_on: datetime.date
    payment_until_on: datetime.date
    methods: Annotated[tuple[Method, ...], Meta(min_length=1, max_length=6)]
    objection_days: Days
    answer_days: Annotated[int, Meta(ge=1, le=366)]  # within which evidence is to be answered
    arbitrator: MemberId
    fee: FeeTerms
    long_stop_on: datetime.date
    default_split: Share
    on_silence: Silence = Silence.DISPUTE
    wages: WageTerms | None = None


class ContractKind(Enum):
    """The three contracts, by their parties."""

    PAYER_PLATFORM = "payer_platform"
    PAYEE_PLATFORM = "payee_platform"
    PAYER_PAYEE = "payer_payee"


class Signature(Struct):
    """Who signed, and where on the ledger."""

    member: MemberId
    at: Position


class ProductContract(Struct):
    """One of the three contracts: the hash of its typed terms, the template that rendered it, the document's anchor."""

    kind: ContractKind
    template: Code  # name and version, as payer_platform.v1
    terms_hash: Hash
    document: Anchor
    signatures: tuple[Signature, ...] = ()


Copies: TypeAlias = Annotated[tuple[ContractCopy, ...], Meta(max_length=MAX_VERSIONS)]


class Product(Record):
    """A payout product between one payer and one payee, opened by one platform.

    `deadline` is that of the present waiting state; once open, the end of the long-stop day, after which it closes by
    itself. `committed` is what the plans confirmed under it may still release or have released (at most `terms.cap`),
    `live_plans` how many of them have not ended.
    """

    table = "product"

    payer: MemberId
    payee: MemberId
    platform: MemberId
    state: ProductState
    terms: ProductTerms
    payee_copies: Copies
    applied: Position
    deadline: Instant | None = None
    payer_copies: Copies = ()
    comparisons: tuple[Comparison, ...] = ()
    review: ReviewId | None = None
    authorised: Position | None = None
    contracts: tuple[ProductContract, ...] = ()
    opened: Position | None = None
    suspended_until: Instant | None = None
    suspension_reason: Code | None = None
    closure_notice: Anchor | None = None
    closing_on: datetime.date | None = None  # of wages: all were told on this day that it closes after its long stop
    ended: Position | None = None
    committed: Units = ZERO
    live_plans: Count = 0
    judged: Judgement | None = None

    @property
    def parties(self) -> tuple[str, str, str]:
        """Payer, payee and platform."""
        return self.payer, self.payee, self.platform

    @property
    def takes_plans(self) -> bool:
        """Whether a new plan may be proposed under it."""
        return self.state is ProductState.OPEN

    @property
    def title(self) -> Name:
        """The target business as the payee's contract names it."""
        return self.payee_copies[-1].terms.title

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        closing = () if self.deadline is None else ((Queue.EXPIRE, self.deadline.plus(1)),)
        if self.suspended_until is None:
            return closing
        return (*closing, (Queue.UNLOCK, self.suspended_until.plus(1)))

    def live_for(self) -> tuple[str, ...]:
        return () if self.state in ENDED_STATES else (*self.parties, self.terms.custodian, self.terms.arbitrator)

    def labels(self) -> tuple[str, ...]:
        """What is live is found by its business contract, which must not back two products at once.

        One for wages is found by its special account too, which is not closed before it.
        """
        if self.state in ENDED_STATES:
            return ()
        contract = contract_label(self.payer, self.payee, self.payee_copies[-1].terms.number)
        wages = self.terms.wages
        return (contract,) if wages is None else (contract, f"special_account/{wages.special_account}")


def contract_label(payer: str, payee: str, number: str) -> str:
    """The index label of the business contract `number` between two members."""
    return f"contract/{payer}/{payee}/{hashlib.sha256(number.encode()).hexdigest()}"
