"""Contracts as the ledger of this session gives them: what the documents' room needs, read from present records."""

import datetime
from dataclasses import dataclass

from tallystick.documents.rendering import render
from tallystick.documents.terms import Contract, Ground, financing_contract, product_contract
from tallystick.kernel.calendar.days import day_of
from tallystick.kernel.core.fields import Position
from tallystick.kernel.financing.records import Financing, Verdict
from tallystick.kernel.products.records import ContractKind, Product, ProductContract
from tallystick.kernel.receivables.records import Receivable
from tallystick.ledger.archive import NS_PER_MS
from tallystick.ledger.engine import HeightUnavailable
from tallystick.node.anchoring import find_anchor
from tallystick.node.session import Session, clock_offsets
from tallystick.wire.errors import DecodeError, InvariantViolation
from tallystick.wire.instants import Instant

FINANCING_KIND = "financing_contract"


def document_kind(kind: ContractKind) -> str:
    """The document kind under which one of the three contracts is anchored."""
    return f"{kind.value}_contract"


@dataclass(frozen=True, slots=True)
class Rendered:
    """One of a product's contracts, rendered from what the ledger holds."""

    kind: ContractKind
    contract: Contract
    pdf: bytes


def render_product(session: Session, product: Product) -> tuple[Rendered, ...]:
    """The three contracts of an authorised product. Raises `DecodeError` before that."""
    if product.authorised is None:
        raise DecodeError("the payer has not authorised it; its contracts are drawn up after that", product.id)
    ground = _ground(session, product.terms.currency)
    drawn_on = business_day(session, product.authorised)
    contracts = ((kind, product_contract(ground, product, kind, drawn_on)) for kind in ContractKind)
    return tuple(Rendered(kind, contract, render(contract)) for kind, contract in contracts)


def draw_up_financing(
    session: Session, financing: Financing, arbitrator: str | None, without_ruling: Verdict | None
) -> Contract:
    """The contract of an awarded financing: as it was signed, where it was, else with what is given.

    Raises `DecodeError` before the award, and where what is given is not what was signed.
    """
    signed = financing.contract
    if signed is not None:
        given = (arbitrator or signed.arbitrator, without_ruling or signed.without_ruling)
        if given != (signed.arbitrator, signed.without_ruling):
            raise DecodeError("it was signed with another arbitrator or outcome without a ruling", financing.id)
        arbitrator, without_ruling = given
    receivable = session.state.find(f"receivable/{financing.receivable}")
    if not isinstance(receivable, Receivable):
        raise InvariantViolation(f"{financing.id} is about {financing.receivable}, which is not there")
    ground = _ground(session, financing.currency)
    return financing_contract(ground, financing, receivable, arbitrator, without_ruling or Verdict.UNLOCK)


def business_day(session: Session, position: Position) -> datetime.date:
    """The business day of a block. Raises `DecodeError` where this ledger does not reach back to it."""
    try:
        header = session.engine.light_block(position.height).header
    except HeightUnavailable:
        raise DecodeError(f"block {position.height} is not kept here", "ledger") from None
    offsets = [offset for height, offset in clock_offsets(session.engine, session.state) if height < position.height]
    time = Instant(header.time // NS_PER_MS).plus(offsets[-1] if offsets else 0)
    return day_of(session.state, time)


def _ground(session: Session, currency: str) -> Ground:
    chain = session.reading_step().chain
    return Ground(
        chain_id=chain.chain_id,
        sandbox=chain.sandbox,
        minor_digits=session.lookup.minor_digits(currency),
        members={member.id: member for member in session.lookup.members()},
    )


@dataclass(frozen=True, slots=True)
class Compared:
    """A drafted contract beside what the ledger's terms give.

    `anchored` is whether the drafted document is, byte for byte, the rendering: None where the salt is not kept here.
    """

    kind: ContractKind
    drafted: ProductContract
    rendered: Rendered
    anchored: bool | None

    @property
    def same_terms(self) -> bool:
        """Whether the drafted hash is that of the ledger's terms, under the template named."""
        return (self.drafted.terms_hash, self.drafted.template) == (
            self.rendered.contract.terms_hash,
            self.rendered.contract.terms.template,
        )


def compare_drafts(session: Session, product: Product) -> tuple[Compared, ...]:
    """Each drafted contract beside a fresh rendering. Raises `DecodeError` where nothing is drafted."""
    if not product.contracts:
        raise DecodeError("no contracts are drafted yet", product.id)
    drafted = {contract.kind: contract for contract in product.contracts}
    return tuple(
        Compared(one.kind, drafted[one.kind], one, _is_anchored(session, drafted[one.kind], one.pdf))
        for one in render_product(session, product)
    )


def _is_anchored(session: Session, drafted: ProductContract, pdf: bytes) -> bool | None:
    known = find_anchor(session.home, drafted.document.hash)
    return None if known is None else known.fits(pdf)
