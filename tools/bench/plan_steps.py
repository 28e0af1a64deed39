"""Signed steps on release plans for the benchmark: products opened beforehand, and plans that run through the stages.

A plan has ten tranches with conditions of four parts (payer, platform, documents, a day), all funded at once: proposal,
check, confirmation, funding, evidence for the first tranche, its acceptance by the payer and, once its day has come, by
the platform, which releases it in the same step. The block itself releases the second, which waits for its day alone.
Payers keep four eyes, so three of seven steps carry two signatures.
"""

import datetime
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tallystick.kernel.core.fields import Anchor, Position
from tallystick.kernel.governance.operations import AdvanceClock
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.conditions import AllOf, DocumentsIn, OnDate, PayerAccepts, PlatformAccepts
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.funding import FundPlan
from tallystick.kernel.plans.proposing import CheckPlan, CheckResult, ConfirmPlan, ProposePlan, terms_hash, total_of
from tallystick.kernel.plans.records import Material, TrancheTerms
from tallystick.kernel.products import contracts
from tallystick.kernel.products.applying import ApplyForProduct, CounterContract
from tallystick.kernel.products.authorising import AuthoriseProduct
from tallystick.kernel.products.records import (
    Business,
    ContractCopy,
    ContractKind,
    ContractTerms,
    FeePayer,
    FeeTerms,
    Method,
    Product,
    ProductState,
    ProductTerms,
)
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.instants import DAY_MS
from tools.bench.steps import CHAIN_ID, CURRENCY, DEBTORS, Consortium, Organisation

TRANCHES = 10
PART = Units(100_000)
CAP = Units(10**14)
MATERIALS = ("delivery_note", "invoice")
_NOWHERE = Position(0, 0)
FIRST_DAY, PASSED_DAYS = 7, 14  # a release is possible from a week on; the clock is set to two


@dataclass
class PlanStory:
    """One plan on its way; ids are known before they are on the ledger."""

    payer: Organisation
    payee: Organisation
    product: str
    plan: str = ""
    evidence: str = ""


class Plans:
    """The signing of steps on products and plans, by the members of a `Consortium`."""

    def __init__(self, consortium: Consortium) -> None:
        self._by = consortium
        who = consortium.organisations
        self._platform, self._custodian, self._arbitrator = who["platform"], who["custodian"], who["arbitrator"]
        self._products: list[tuple[Organisation, Organisation, str]] = []
        self._tranches = tuple(self._tranche(number) for number in range(1, TRANCHES + 1))
        self._terms, self._total = terms_hash(self._tranches), total_of(self._tranches)

    def _day(self, days: int) -> datetime.date:
        return self._by.today + datetime.timedelta(days=days)

    def _tranche(self, number: int) -> TrancheTerms:
        by_date = OnDate(on=self._day(FIRST_DAY))
        asked = AllOf(of=(PayerAccepts(), PlatformAccepts(), DocumentsIn(), by_date))
        return TrancheTerms(
            title=f"Step {number}",
            fund_by_on=self._day(3),
            fund_units=PART,
            units=PART,
            release_from_on=self._day(FIRST_DAY if number <= 2 else 20 + number),
            release_until_on=self._day(60),
            condition=by_date if number == 2 else asked,
            materials=() if number == 2 else tuple(Material(kind=kind) for kind in MATERIALS),
        )

    # Products

    def opening(self) -> Iterator[bytes]:
        """An open product for each debtor, with a supplier as payee: nine steps each."""
        who = self._by.organisations
        for number in range(DEBTORS):
            payer, payee = who[f"debtor {number}"], who[f"supplier {number}"]
            yield from self._open_product(payer, payee, self._account(payer))

    def _account(self, owner: Organisation) -> str:
        """The id of the account that `Consortium.opening` opened."""
        return self._by.accounts[owner.id]

    def _open_product(self, payer: Organisation, payee: Organisation, account: str) -> Iterator[bytes]:
        by, platform = self._by, self._platform
        terms, contract = self._product_terms(account), self._contract(payer, payee)
        document = _paper("business_contract")
        applying = ApplyForProduct(
            payer=payer.id, platform=platform.id, document=document, contract=contract, terms=terms
        )
        raw, made = by.sign(payee, applying)
        product = by.made("prd", payee, made)
        self._products.append((payer, payee, product))
        yield raw
        raw, made = by.sign(payer, CounterContract(product=product, document=document, contract=contract))
        yield raw
        yield by.decide(platform, by.made("rev", payer, made))
        yield by.sign(payer, AuthoriseProduct(product=product, currency=CURRENCY, cap=CAP))[0]
        drafts = self._drafts(product, payer, payee, terms, contract)
        yield by.sign(platform, contracts.DraftContracts(product=product, contracts=drafts))[0]
        parties = {payer.id: payer, payee.id: payee, platform.id: platform}
        signing = {
            ContractKind.PAYER_PLATFORM: (payer, platform),
            ContractKind.PAYEE_PLATFORM: (payee, platform),
            ContractKind.PAYER_PAYEE: (payer, payee),
        }
        for party in parties.values():
            signatures = (
                contracts.SignContract(
                    product=product,
                    kind=draft.kind,
                    terms_hash=draft.terms_hash,
                    document=draft.document.hash,
                    currency=CURRENCY,
                    cap=CAP,
                )
                for draft in drafts
                if party in signing[draft.kind]
            )
            yield by.sign(party, *signatures)[0]

    def _product_terms(self, account: str) -> ProductTerms:
        return ProductTerms(
            business=Business.SERVICES,
            currency=CURRENCY,
            cap=CAP,
            custodian=self._custodian.id,
            refund_account=account,
            payment_from_on=self._by.today,
            payment_until_on=self._day(120),
            methods=tuple(Method),
            objection_days=0,
            answer_days=30,
            arbitrator=self._arbitrator.id,
            fee=FeeTerms(rate=Rate.parse("0.1"), minimum=ZERO, paid_by=FeePayer.PAYEE),
            long_stop_on=self._day(200),
            default_split=50,
        )

    def _contract(self, payer: Organisation, payee: Organisation) -> ContractTerms:
        return ContractTerms(
            number="1",
            title="Services of a year",
            payer=payer.id,
            payee=payee.id,
            currency=CURRENCY,
            value=CAP,
            signed_on=self._by.today,
            starts_on=self._by.today,
            ends_on=self._day(365),
            payment_days=30,
        )

    def _drafts(
        self, product: str, payer: Organisation, payee: Organisation, terms: ProductTerms, contract: ContractTerms
    ) -> tuple[contracts.ContractDraft, ...]:
        """The three contracts on what the product's row will say of them."""
        row = Product(
            id=product,
            payer=payer.id,
            payee=payee.id,
            platform=self._platform.id,
            state=ProductState.AUTHORISED,
            terms=terms,
            payee_copies=(
                ContractCopy(by=payee.id, document=_paper("business_contract"), terms=contract, at=_NOWHERE),
            ),
            applied=_NOWHERE,
        )
        return tuple(
            contracts.ContractDraft(
                kind=kind,
                template="bench.v1",
                terms_hash=contracts.terms_hash(contracts.basis_of(CHAIN_ID, row, kind, "bench.v1")),
                document=_paper(kind.value),
            )
            for kind in ContractKind
        )

    # Plans

    def stories(self, count: int) -> list[PlanStory]:
        """New plans, spread over the products."""
        return [PlanStory(*self._products[number % len(self._products)]) for number in range(count)]

    def stages(self) -> tuple[tuple[str, Callable[[PlanStory], bytes]], ...]:
        """All that comes before the tranches' day."""
        return (
            ("plan.propose", self._propose),
            ("plan.check", self._check),
            ("plan.confirm", self._confirm),
            ("plan.fund", self._fund),
            ("evidence.submit", self._submit),
            ("evidence.accept", self._payer_accepts),
        )

    def waiting(self) -> bytes:
        """Set the sandbox's clock past that day; what is signed from here on is signed then."""
        by = self._by
        later = by.now.plus(PASSED_DAYS * DAY_MS)
        raw, _ = by.sign(by.organisations["governor"], AdvanceClock(to=later))
        by.now = later
        return raw

    def releasing_stages(self) -> tuple[tuple[str, Callable[[PlanStory], bytes]], ...]:
        """The acceptance that satisfies the first tranche's condition."""
        return (("evidence.accept, releasing", self._platform_accepts),)

    def _propose(self, story: PlanStory) -> bytes:
        asked = ProposePlan(product=story.product, currency=CURRENCY, total=self._total, tranches=self._tranches)
        raw, made = self._by.sign(story.payer, asked)
        story.plan = self._by.made("pln", story.payer, made)
        return raw

    def _check(self, story: PlanStory) -> bytes:
        asked = CheckPlan(plan=story.plan, terms=self._terms, result=CheckResult.SEND)
        return self._by.sign(self._platform, asked)[0]

    def _confirm(self, story: PlanStory) -> bytes:
        asked = ConfirmPlan(plan=story.plan, currency=CURRENCY, total=self._total, terms=self._terms)
        return self._by.sign(story.payee, asked)[0]

    def _fund(self, story: PlanStory) -> bytes:
        return self._by.sign(story.payer, FundPlan(plan=story.plan, currency=CURRENCY, units=self._total))[0]

    def _submit(self, story: PlanStory) -> bytes:
        papers = tuple(_paper(kind) for kind in MATERIALS)
        asked = SubmitEvidence(plan=story.plan, tranche=1, currency=CURRENCY, units=PART, materials=papers)
        raw, made = self._by.sign(story.payee, asked)
        story.evidence = self._by.made("evd", story.payee, made)
        return raw

    def _payer_accepts(self, story: PlanStory) -> bytes:
        return self._accepts(story, story.payer)

    def _platform_accepts(self, story: PlanStory) -> bytes:
        return self._accepts(story, self._platform)

    def _accepts(self, story: PlanStory, by: Organisation) -> bytes:
        asked = AcceptEvidence(plan=story.plan, tranche=1, currency=CURRENCY, units=PART, evidence=story.evidence)
        return self._by.sign(by, asked)[0]


def _paper(kind: str) -> Anchor:
    return Anchor(hash=hashlib.sha256(kind.encode()).hexdigest(), kind=kind, size=100_000)
