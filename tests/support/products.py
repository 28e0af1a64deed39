"""Scenes of products, set by running real operations: from the application to whatever stage a test is about.

`cast()` is a world with everybody that a product and its plans name; `opened_product(world, cast)` an open product.
Builders take a field's name to say it otherwise.
"""

import datetime
from dataclasses import dataclass
from typing import Any

from tallystick.kernel.accounts.records import Account, AccountState
from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.membership.records import Role
from tallystick.kernel.products.applying import ApplyForProduct, CounterContract
from tallystick.kernel.products.authorising import AuthoriseProduct
from tallystick.kernel.products.contracts import ContractDraft, DraftContracts, SignContract, basis_of, terms_hash
from tallystick.kernel.products.records import (
    Business,
    ContractKind,
    ContractTerms,
    FeePayer,
    FeeTerms,
    Method,
    Product,
    ProductTerms,
    WageTerms,
)
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import Review, ReviewResult
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.instants import Instant
from tests.support.accounts import opened
from tests.support.receivables import PASSED, anchor, publish_calendar
from tests.support.world import CHAIN_ID, World

MILLION = 100_000_000
PROJECT = "Bridge over the river"
NO_FEE = FeeTerms(rate=Rate(0), minimum=ZERO, paid_by=FeePayer.PAYEE)


@dataclass(frozen=True)
class Cast:
    """Everybody whom a product and its plans may name; payer and payee have an account with the custodian."""

    world: World
    payer: str
    payee: str
    platform: str
    custodian: str
    arbitrator: str
    verifiers: tuple[str, str, str]
    source: str
    auditor: str
    payer_account: str
    payee_account: str

    def product(self, product_id: str) -> Product:
        """The committed row of a product."""
        found: Product = self.world.row(Product, product_id)
        return found


def cast(chain: Any = None, *, funds: int = 10 * MILLION, currency: str = "CNY", **world_fields: Any) -> Cast:
    """Everybody, before any product; the payer has `funds` in its account. Calendars stand for 2026 and 2027.

    In a world of its own, or on a `chain` that was founded with calendars.
    """
    world = chain or World(**world_fields)
    if chain is None:
        publish_calendar(world, 2026, 2027)
    payer = world.member("Payer", Role.CLIENT, Role.CORE_ENTERPRISE)
    payee = world.member("Payee", Role.CLIENT)
    custodian = world.member("Custodian", Role.CUSTODIAN)
    return Cast(
        world,
        payer=payer,
        payee=payee,
        platform=world.member("Platform", Role.PLATFORM),
        custodian=custodian,
        arbitrator=world.member("Arbitrator", Role.ARBITRATOR),
        verifiers=(
            world.member("Verifier one", Role.VERIFIER),
            world.member("Verifier two", Role.VERIFIER),
            world.member("Verifier three", Role.VERIFIER),
        ),
        source=world.member("Data source", Role.DATA_SOURCE),
        auditor=world.member("Auditor", Role.AUDITOR),
        payer_account=opened(world, payer, custodian, currency, units=funds),
        payee_account=opened(world, payee, custodian, currency),
    )


def product_terms(c: Cast, **fields: Any) -> ProductTerms:
    """Terms for a million of services, every method, no fee, payments to the end of 2026, long stop mid 2027."""
    if fields.get("business") is Business.WAGES:
        fields = {"wages": wage_terms(c), "refund_account": special_account(c), **fields}
    account: Account = c.world.row(Account, fields.get("refund_account", c.payer_account))
    said: dict[str, Any] = {
        "business": Business.SERVICES,
        "currency": account.currency,
        "cap": Units(MILLION),
        "custodian": c.custodian,
        "refund_account": account.id,
        "payment_from_on": datetime.date(2026, 3, 2),
        "payment_until_on": datetime.date(2026, 12, 31),
        "methods": tuple(Method),
        "objection_days": 3,
        "answer_days": 5,
        "arbitrator": c.arbitrator,
        "fee": NO_FEE,
        "long_stop_on": datetime.date(2027, 6, 30),
        "default_split": 50,
        **fields,
    }
    return ProductTerms(**said)


def special_account(c: Cast, *, units: int = MILLION) -> str:
    """The payer's special account for the wages of the project, opened with `units` in it if it has none yet."""
    accounts = (row for row in c.world.state.rows.values() if isinstance(row, Account))
    for account in accounts:
        if account.owner == c.payer and account.project == PROJECT and account.state is AccountState.OPEN:
            return account.id
    return opened(c.world, c.payer, c.custodian, units=units, project=PROJECT)


def wage_terms(c: Cast, **fields: Any) -> WageTerms:
    """A project's wages, paid out of the payer's special account."""
    said: dict[str, Any] = {
        "project": PROJECT,
        "special_account": fields.get("special_account") or special_account(c),
        "tri_party_agreement": anchor("tri_party_agreement"),
        **fields,
    }
    return WageTerms(**said)


def contract_terms(c: Cast, **fields: Any) -> ContractTerms:
    """What the business contract says: a million of services over the year 2026."""
    said: dict[str, Any] = {
        "number": f"HT-2026-{c.world.height:04d}",
        "title": "Services for the river bridge",
        "payer": c.payer,
        "payee": c.payee,
        "currency": "CNY",
        "value": Units(MILLION),
        "signed_on": datetime.date(2026, 2, 16),
        "starts_on": datetime.date(2026, 3, 1),
        "ends_on": datetime.date(2026, 12, 31),
        "payment_days": 30,
        **fields,
    }
    return ContractTerms(**said)


def application_of(c: Cast, *, contract: ContractTerms | None = None, **terms: Any) -> ApplyForProduct:
    """The payee's application; its contract is worth the product's cap unless one is given."""
    said = product_terms(c, **terms)
    return ApplyForProduct(
        payer=c.payer,
        platform=c.platform,
        document=anchor("business_contract", "payee"),
        contract=contract or contract_terms(c, value=said.cap, currency=said.currency),
        terms=said,
    )


def applied_product(world: World, c: Cast, **fields: Any) -> str:
    """A product that waits for the payer's copy. Returns its id."""
    return world.do(application_of(c, **fields), by=c.payee).events[0].record


def counter_of(c: Cast, product_id: str, **fields: Any) -> CounterContract:
    """The payer's copy, which says what the payee's says unless told otherwise."""
    terms = c.product(product_id).payee_copies[-1].terms
    plain = {name: getattr(terms, name) for name in terms.__struct_fields__}
    return CounterContract(
        product=product_id,
        document=anchor("business_contract", "payer"),
        contract=ContractTerms(**{**plain, **fields}),
    )


def compared_product(world: World, c: Cast, **fields: Any) -> str:
    """A product whose copies agree and whose review is asked for. Returns its id."""
    product_id = applied_product(world, c, **fields)
    world.do(counter_of(c, product_id), by=c.payer)
    return product_id


def review_of(c: Cast, product_id: str) -> Review:
    """The platform's review."""
    review_id = c.product(product_id).review
    assert review_id is not None
    found: Review = c.world.row(Review, review_id)
    return found


def approval_of(c: Cast, product_id: str) -> DecideReview:
    """The platform's approval."""
    return DecideReview(review=review_of(c, product_id).id, result=ReviewResult.APPROVE, checklist=PASSED)


def approved_product(world: World, c: Cast, **fields: Any) -> str:
    """A product whose payer is asked to authorise it. Returns its id."""
    product_id = compared_product(world, c, **fields)
    world.do(approval_of(c, product_id), by=c.platform)
    return product_id


def authorisation_of(c: Cast, product_id: str) -> AuthoriseProduct:
    """The payer's authorisation, stating the cap."""
    terms = c.product(product_id).terms
    return AuthoriseProduct(product=product_id, currency=terms.currency, cap=terms.cap)


def authorised_product(world: World, c: Cast, **fields: Any) -> str:
    """A product that waits for the platform's drafts. Returns its id."""
    product_id = approved_product(world, c, **fields)
    world.do(authorisation_of(c, product_id), by=c.payer)
    return product_id


def draft_of(c: Cast, product_id: str, kind: ContractKind, document: Anchor | None = None) -> ContractDraft:
    """One contract on the product's terms."""
    template = f"{kind.value}.v1"
    basis = basis_of(CHAIN_ID, c.product(product_id), kind, template)
    return ContractDraft(
        kind=kind,
        template=template,
        terms_hash=terms_hash(basis),
        document=document or anchor(f"{kind.value}_contract", product_id),
    )


def drafts_of(c: Cast, product_id: str) -> DraftContracts:
    """All three contracts."""
    return DraftContracts(product=product_id, contracts=tuple(draft_of(c, product_id, kind) for kind in ContractKind))


def drafted_product(world: World, c: Cast, **fields: Any) -> str:
    """A product that waits for six signatures. Returns its id."""
    product_id = authorised_product(world, c, **fields)
    world.do(drafts_of(c, product_id), by=c.platform)
    return product_id


def signature_of(c: Cast, product_id: str, kind: ContractKind) -> SignContract:
    """A party's signature of one contract as it was drafted."""
    product = c.product(product_id)
    drafted = next(contract for contract in product.contracts if contract.kind is kind)
    return SignContract(
        product=product_id,
        kind=kind,
        terms_hash=drafted.terms_hash,
        document=drafted.document.hash,
        currency=product.terms.currency,
        cap=product.terms.cap,
    )


def signing(c: Cast, product_id: str) -> tuple[tuple[str, tuple[SignContract, SignContract]], ...]:
    """Who signs which two contracts, in the order in which the scene has them signed."""
    first, second, third = (signature_of(c, product_id, kind) for kind in ContractKind)
    return (c.platform, (first, second)), (c.payer, (first, third)), (c.payee, (second, third))


def opened_product(world: World, c: Cast, **fields: Any) -> str:
    """An open product: applied for, compared, reviewed, authorised, drafted, signed. Returns its id.

    `fields` are those of `product_terms`, and `contract` for the business contract's terms.
    """
    product_id = drafted_product(world, c, **fields)
    for party, signatures in signing(c, product_id):
        world.do(*signatures, by=party)
    return product_id


def deadline_of(c: Cast, product_id: str) -> Instant:
    """The last instant of the present state's window."""
    deadline = c.product(product_id).deadline
    assert deadline is not None
    return deadline


def pass_deadline(c: Cast, product_id: str) -> None:
    """Wait until a millisecond after the present state's window."""
    c.world.wait(until=deadline_of(c, product_id).plus(1))
