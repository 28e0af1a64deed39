"""How a product comes to be: two copies of a contract side by side, a review, an authorisation, three contracts."""

import datetime
from dataclasses import dataclass

from tallystick.documents.terms import Contract
from tallystick.kernel.products.applying import ApplyForProduct, CounterContract
from tallystick.kernel.products.authorising import AuthoriseProduct
from tallystick.kernel.products.contracts import ContractDraft, DraftContracts, SignContract
from tallystick.kernel.products.records import (
    Business,
    ContractKind,
    ContractTerms,
    FeePayer,
    FeeTerms,
    Method,
    Product,
    ProductState,
    ProductTerms,
    WageTerms,
)
from tallystick.node.contracts import document_kind, render_product
from tallystick.wire.amounts import ZERO, Rate, Units
from tools.demo.issuing import account_of
from tools.demo.stage import ARBITRATOR, BANK, PLAN_PLATFORM, Stage, StoryFault, Vote
from tools.demo.telling import Step

CONTRACTS = "contracts"
NO_FEE = FeeTerms(rate=Rate(0), minimum=ZERO, paid_by=FeePayer.PAYEE)
DEFAULT_SPLIT = 50


@dataclass(frozen=True, slots=True)
class Deal:
    """What payer and payee agreed in their business contract, and on which terms a product is to carry it.

    `name` goes into file names. Days are counted from the day of the application.
    """

    name: str
    payer: str
    payee: str
    number: str
    title: str
    currency: str
    value: Units
    signed_on: datetime.date
    starts_on: datetime.date
    ends_on: datetime.date
    methods: tuple[Method, ...]
    business: Business
    payment_days: int
    objection_days: int
    long_stop_days: int
    fee: FeeTerms = NO_FEE
    project: str | None = None
    note: str = "Made up for the demo; stands for a real contract."


def apply(stage: Stage, deal: Deal) -> str:
    """The payee applies with its copy of the contract. Returns the product's id."""
    applied = ApplyForProduct(
        payer=stage.id(deal.payer),
        platform=stage.id(PLAN_PLATFORM),
        document=stage.papers.anchored("business_contract", _document(deal, deal.payee)),
        contract=contract_of(stage, deal),
        terms=_terms(stage, deal),
    )
    return stage.do(applied, by=deal.payee).records[0]


def contract_of(stage: Stage, deal: Deal) -> ContractTerms:
    """The business contract, typed."""
    return ContractTerms(
        number=deal.number,
        title=deal.title,
        payer=stage.id(deal.payer),
        payee=stage.id(deal.payee),
        currency=deal.currency,
        value=deal.value,
        signed_on=deal.signed_on,
        starts_on=deal.starts_on,
        ends_on=deal.ends_on,
    )


def _terms(stage: Stage, deal: Deal) -> ProductTerms:
    today = stage.today()
    account = account_of(stage, deal.payer, deal.currency, deal.project)
    wages = None
    if deal.project is not None:
        agreement = stage.papers.stand_in("tri_party_agreement", deal.project)
        wages = WageTerms(project=deal.project, special_account=account.id, tri_party_agreement=agreement)
    return ProductTerms(
        business=deal.business,
        currency=deal.currency,
        cap=deal.value,
        custodian=stage.id(BANK),
        refund_account=account.id,
        payment_from_on=today,
        payment_until_on=today + datetime.timedelta(days=deal.payment_days),
        methods=deal.methods,
        objection_days=deal.objection_days,
        answer_days=5,
        arbitrator=stage.id(ARBITRATOR),
        fee=deal.fee,
        long_stop_on=today + datetime.timedelta(days=deal.long_stop_days),
        default_split=DEFAULT_SPLIT,
        wages=wages,
    )


def _document(deal: Deal, by: str) -> dict[str, object]:
    return {
        "document": "business contract",
        "copy_of": by,
        "number": deal.number,
        "title": deal.title,
        "payer": deal.payer,
        "payee": deal.payee,
        "value_in_minor_units": str(deal.value),
        "currency": deal.currency,
        "signed_on": str(deal.signed_on),
        "starts_on": str(deal.starts_on),
        "ends_on": str(deal.ends_on),
        "note": deal.note,
    }


def counter(stage: Stage, product: str, deal: Deal) -> None:
    """The payer hands in its own copy."""
    document = stage.papers.anchored("business_contract", _document(deal, deal.payer))
    stage.do(
        CounterContract(product=product, document=document, contract=contract_of(stage, deal)),
        by=deal.payer,
    )


def open_product(stage: Stage, product: str, deal: Deal, step: Step) -> None:
    """From two copies that agree to an open product."""
    stage.approve_as(PLAN_PLATFORM, [Vote(stage.get(Product, product).review or "")], step)
    stage.do(AuthoriseProduct(product=product, currency=deal.currency, cap=deal.value), by=deal.payer)
    _draft(stage, product, deal)
    for party in (PLAN_PLATFORM, deal.payer, deal.payee):
        stage.do(*_signatures(stage, product, party), by=party)
    state = stage.get(Product, product).state
    if state is not ProductState.OPEN:
        raise StoryFault(f"{product} is {state.value} after six signatures")


def _draft(stage: Stage, product: str, deal: Deal) -> None:
    """The platform draws the three contracts up from the ledger's terms, as PDF, and registers them."""
    folder = stage.home.path / CONTRACTS
    folder.mkdir(exist_ok=True)
    drafts = []
    for made in render_product(stage.session, stage.get(Product, product)):
        file = folder / f"{deal.name}-{made.kind.value}.pdf"
        file.write_bytes(made.pdf)
        drafts.append(_draft_of(stage, made.kind, made.contract, made.pdf, file.name))
    stage.do(DraftContracts(product=product, contracts=tuple(drafts)), by=PLAN_PLATFORM)


def _draft_of(stage: Stage, kind: ContractKind, contract: Contract, pdf: bytes, file_name: str) -> ContractDraft:
    return ContractDraft(
        kind=kind,
        template=contract.terms.template,
        terms_hash=contract.terms_hash,
        document=stage.papers.kept(document_kind(kind), pdf, file_name),
    )


def _signatures(stage: Stage, product: str, party: str) -> list[SignContract]:
    """A party's signatures: of the two contracts that it is a party to."""
    row = stage.get(Product, product)
    role = {row.payer: "payer", row.payee: "payee", row.platform: "platform"}[stage.id(party)]
    return [
        SignContract(
            product=product,
            kind=drafted.kind,
            terms_hash=drafted.terms_hash,
            document=drafted.document.hash,
            currency=row.terms.currency,
            cap=row.terms.cap,
        )
        for drafted in row.contracts
        if role in drafted.kind.value.split("_")
    ]
