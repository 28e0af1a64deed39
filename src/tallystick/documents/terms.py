"""What a contract says, as typed terms: pure functions of ledger records, so that anyone can make and hash them anew.

The terms of a product's contracts are the kernel's (`products.contracts.basis_of`), which computes their hash itself;
those of a financing's contract are made here. Either hash is SHA-256 of the canonical bytes, whose field `format` tells
the kinds apart. A document shows besides what the terms only name: legal names, dates (`Shown`). docs/spec/contracts.md
"""

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tallystick.kernel.arithmetic import Price, price_of
from tallystick.kernel.core import codec
from tallystick.kernel.core.fields import (
    Code,
    Count,
    Currency,
    FinancingId,
    Hash,
    Interval,
    MemberId,
    Name,
    QuoteId,
    ReceivableId,
    Struct,
)
from tallystick.kernel.financing.records import Financing, Quote, QuoteState, QuoteTerms, Settlement, Verdict
from tallystick.kernel.membership.records import Member
from tallystick.kernel.products.contracts import ContractBasis, basis_of, signatories
from tallystick.kernel.products.records import ContractKind, Product
from tallystick.kernel.receivables.records import Receivable
from tallystick.wire.amounts import Units
from tallystick.wire.errors import DecodeError

TEMPLATES = {kind: f"{kind.value}.v1" for kind in ContractKind}
FINANCING_TEMPLATE = "financing.v1"
FINANCING_FORMAT = "financing-contract.v1"


class FinancingTerms(Struct):
    """The terms of the contract between client and funder after an award.

    `price` is what the quote comes to if paid out on the award's value date; the settlement computes it anew from its
    own value date.
    """

    format: Code
    chain: str
    financing: FinancingId
    template: Code
    client: MemberId
    funder: MemberId
    debtor: MemberId
    receivable: ReceivableId
    issue_on: datetime.date
    due_on: datetime.date
    receivable_face: Units
    interval: Interval
    currency: Currency
    settlement: Settlement
    discount_until_on: datetime.date
    quote: QuoteId
    quoted: QuoteTerms
    value_on: datetime.date
    price: Price
    without_ruling: Verdict
    arbitrator: MemberId | None = None


AnyTerms: TypeAlias = ContractBasis | FinancingTerms


class Party(Struct):
    """An organisation that a contract names, as the ledger knows it when the contract is drawn up."""

    role: Code
    member: MemberId
    legal_name: Name
    identifier: str
    identifier_kind: Code


class Shown(Struct):
    """What a document shows besides its terms; the first two parties sign, as 甲方 and 乙方.

    `drawn_on` is the business day of the payer's authorisation, or of the award. `copies` are the anchors' hashes of
    the business contract's copies, the payee's first.
    """

    sandbox: bool
    drawn_on: datetime.date
    minor_digits: Count
    parties: tuple[Party, ...]
    copies: tuple[Hash, ...] = ()


@dataclass(frozen=True, slots=True)
class Contract:
    """All that a contract's document is rendered from."""

    terms: AnyTerms
    shown: Shown

    @property
    def number(self) -> str:
        """The record that it belongs to."""
        return self.terms.product if isinstance(self.terms, ContractBasis) else self.terms.financing

    @property
    def terms_hash(self) -> str:
        """SHA-256 of the terms' canonical bytes, in hexadecimal."""
        return hashlib.sha256(codec.encode(self.terms)).hexdigest()


@dataclass(frozen=True, slots=True)
class Ground:
    """What both kinds of contract take from the chain. `members` holds at least those that the contract names."""

    chain_id: str
    sandbox: bool
    minor_digits: int
    members: Mapping[str, Member]


def product_contract(ground: Ground, product: Product, kind: ContractKind, drawn_on: datetime.date) -> Contract:
    """One of the three contracts of a product. Raises `DecodeError` before the payer authorised it."""
    if product.authorised is None:
        raise DecodeError("the payer has not authorised it; its contracts are drawn up after that", product.id)
    roles = {
        "payer": product.payer,
        "payee": product.payee,
        "platform": product.platform,
        "custodian": product.terms.custodian,
        "arbitrator": product.terms.arbitrator,
    }
    signing = signatories(product, kind)
    ordered = sorted(roles, key=lambda role: signing.index(roles[role]) if roles[role] in signing else len(signing))
    shown = Shown(
        sandbox=ground.sandbox,
        drawn_on=drawn_on,
        minor_digits=ground.minor_digits,
        parties=tuple(_party(role, ground.members[roles[role]]) for role in ordered),
        copies=tuple(side[-1].document.hash for side in (product.payee_copies, product.payer_copies) if side),
    )
    return Contract(basis_of(ground.chain_id, product, kind, TEMPLATES[kind]), shown)


def financing_contract(
    ground: Ground, financing: Financing, receivable: Receivable, arbitrator: str | None, without_ruling: Verdict
) -> Contract:
    """The contract of an awarded financing; arbitrator and `without_ruling` are what the two agreed besides the quote.

    Raises `DecodeError` before the award, where a bank settlement names no arbitrator, and where nothing would be left
    to pay out.
    """
    quote = _awarded(financing)
    if financing.award is None or quote is None or quote.terms is None:
        raise DecodeError("no quote is awarded; the contract is drawn up after the award", financing.id)
    if financing.settlement is Settlement.BANK and arbitrator is None:
        raise DecodeError("a settlement through a bank needs an arbitrator", financing.id)
    value_on = financing.award.value_on
    price = price_of(financing.face, quote.terms, value_on, financing.discount_until_on)
    if price is None:
        raise DecodeError("the awarded quote leaves nothing to pay out", financing.id)
    terms = FinancingTerms(
        format=FINANCING_FORMAT,
        chain=ground.chain_id,
        financing=financing.id,
        template=FINANCING_TEMPLATE,
        client=financing.client,
        funder=quote.funder,
        debtor=financing.debtor,
        receivable=receivable.id,
        issue_on=receivable.issue_on,
        due_on=receivable.due_on,
        receivable_face=receivable.face,
        interval=financing.interval,
        currency=financing.currency,
        settlement=financing.settlement,
        discount_until_on=financing.discount_until_on,
        quote=quote.id,
        quoted=quote.terms,
        value_on=value_on,
        price=price,
        without_ruling=without_ruling,
        arbitrator=arbitrator,
    )
    named = {"client": financing.client, "funder": quote.funder, "debtor": financing.debtor, "arbitrator": arbitrator}
    parties = tuple(_party(role, ground.members[member]) for role, member in named.items() if member is not None)
    shown = Shown(sandbox=ground.sandbox, drawn_on=value_on, minor_digits=ground.minor_digits, parties=parties)
    return Contract(terms, shown)


def _awarded(financing: Financing) -> Quote | None:
    for quote in financing.quotes:
        if financing.award is not None and quote.id == financing.award.quote and quote.state is QuoteState.AWARDED:
            return quote
    return None


def _party(role: str, member: Member) -> Party:
    return Party(
        role=role,
        member=member.id,
        legal_name=member.legal_name,
        identifier=member.identifier,
        identifier_kind=member.identifier_kind,
    )
