"""A small consortium for plans, watched by the auditor: payer, payee, platform, bank, verifiers, arbitrator."""

import datetime
import random
from typing import Any

from nacl.signing import SigningKey as Ed25519

from tallystick import seeds
from tallystick.kernel.accounts.deposits import BookDeposit
from tallystick.kernel.accounts.opening import ApplyForAccount
from tallystick.kernel.accounts.records import Balance
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.genesis import Genesis, GenesisCurrency, GenesisMember, GenesisZone, Limits, member_id
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.governance.records import Engine, Validator
from tallystick.kernel.membership.records import KeyOffer, KeyRole, Permission, Permitted, Role, SizeClass
from tallystick.kernel.plans.escrow import missing
from tallystick.kernel.plans.funding import FundPlan
from tallystick.kernel.plans.proposing import CheckPlan, CheckResult, ConfirmPlan, ProposePlan, terms_hash, total_of
from tallystick.kernel.plans.records import Plan, PlanVersion, TrancheState, TrancheTerms
from tallystick.kernel.products.applying import ApplyForProduct, CounterContract
from tallystick.kernel.products.authorising import AuthoriseProduct
from tallystick.kernel.products.contracts import (
    ContractDraft,
    DraftContracts,
    SignContract,
    basis_of,
    signatories,
)
from tallystick.kernel.products.contracts import (
    terms_hash as contract_hash,
)
from tallystick.kernel.products.records import (
    Business,
    ContractKind,
    ContractTerms,
    FeePayer,
    FeeTerms,
    Method,
    Product,
    ProductTerms,
    Silence,
    WageTerms,
)
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ReviewResult
from tallystick.wire.amounts import MAX_UNITS, ZERO, Rate, Units
from tallystick.wire.keys import to_base64
from tests.simulation.actions.proposals import today
from tests.simulation.founding import START, key_of, paper, year_of
from tests.simulation.town import Outcome, Town
from tests.support.members import lei

CAST = {
    "payer": (Role.CLIENT, Role.CORE_ENTERPRISE),
    "payee": (Role.CLIENT,),
    "heir": (Role.CLIENT, Role.CORE_ENTERPRISE),
    "platform": (Role.PLATFORM,),
    "bank": (Role.CUSTODIAN,),
    "arbitrator": (Role.ARBITRATOR,),
    "surveyor": (Role.VERIFIER,),
    "architect": (Role.VERIFIER,),
    "source": (Role.DATA_SOURCE,),
    "auditor": (Role.AUDITOR,),
    "governor": (Role.GOVERNOR,),
}
STAFFED = ("payer", "payee")
RICH = 10**9
PROJECT = "Bridge"
CURRENCY = "CNY"


def days(count: int) -> datetime.timedelta:
    return datetime.timedelta(days=count)


class PlanTown(Town):
    """A town in which products are opened and plans agreed in one call each; `do` runs one transaction in a block."""

    def __init__(self, sweep_every: int = 1, **policies: Any) -> None:
        roles = dict.fromkeys(STAFFED, (KeyRole.ADMIN, KeyRole.MAKER, KeyRole.CHECKER))
        keys = {name: [key_of(0, name, number) for number in range(len(roles.get(name, "1")))] for name in CAST}
        members = tuple(_member(name, keys[name], roles.get(name, (KeyRole.ADMIN,))) for name in CAST)
        genesis = Genesis(
            format=1,
            chain_id="plans",
            time=START,
            engine=Engine.EMBEDDED,
            validators=(Validator(key=to_base64(key_of(0, "node", 0).verify_key.encode()), name="node"),),
            zone=GenesisZone(name="Asia/Shanghai", transitions=seeds.zone("Asia/Shanghai").transitions),
            currencies=(GenesisCurrency(currency=CURRENCY, minor_digits=2),),
            members=members,
            sandbox=True,
            tree_depth=1,
            limits=Limits(max_parcels=40),
            policies=Policies(funding_grace_days=1, negotiation_days=2, evidence_rounds=2, extensions=1, **policies),
            calendars=tuple(year_of(row) for row in seeds.calendar("gb") if row.id in ("2025", "2026", "2027")),
        )
        super().__init__(genesis, keys, random.Random(0), sweep_every)
        self.named = {member.legal_name: member_id("plans", member) for member in members}
        self.accounts = {name: self.open_account(name) for name in ("payer", "payee")}
        self.deposit(self.accounts["payer"], RICH)

    def do(self, *operations: Operation, by: str, also: tuple[str, ...] = ()) -> Outcome:
        """One transaction a second later, by names of the cast or by ids."""
        signers = tuple(self.named.get(name, name) for name in also)
        return self.block(1_000, [self.sign(operations, self.named.get(by, by), signers)])[0]

    def done(self, *operations: Operation, by: str, also: tuple[str, ...] = ()) -> Outcome:
        """The same, where it must succeed."""
        outcome = self.do(*operations, by=by, also=also)
        assert outcome.label == "ok", (operations, outcome)
        return outcome

    def pass_time(self, milliseconds: int) -> None:
        """Let business time go on and its due work be done."""
        self.block(milliseconds, [])

    def approve(self, review: str, by: str) -> None:
        self.done(DecideReview(review=review, result=ReviewResult.APPROVE), by=by)

    def open_account(self, name: str, project: str | None = None) -> str:
        """An account with the bank, for wages of a project if one is named. Returns its id."""
        asked = ApplyForAccount(
            currency=CURRENCY, custodian=self.named["bank"], papers=(paper("papers", name),), project=project
        )
        made = self.done(asked, by=name)
        self.approve(made.events[0]["facts"]["review"], "bank")
        return str(made.events[0]["record"])

    def deposit(self, account: str, units: int, **fields: Any) -> Outcome:
        """Money from the payer's bank for an account, or whatever `fields` name."""
        said: dict[str, Any] = {"remitter": self.named["payer"], "account": account or None, **fields}
        booked = BookDeposit(bank_reference=f"R{self.height}", currency=CURRENCY, units=Units(units), **said)
        return self.done(booked, by="bank")

    def plan(self, plan_id: str) -> Plan:
        found: Plan = self.find(Plan, plan_id)
        return found

    def version(self, plan_id: str) -> PlanVersion:
        found: PlanVersion = self.find(PlanVersion, f"{plan_id}/{self.plan(plan_id).version}")
        return found

    def tranche(self, plan_id: str, number: int = 1) -> TrancheState:
        return self.plan(plan_id).tranches[number - 1]

    def find_units(self, ledger_account: str) -> int:
        """What stands in a ledger account."""
        row = self.find(Balance, ledger_account)
        return 0 if row is None else int(row.units)

    def is_frozen(self, ledger_account: str) -> bool:
        """Whether an order bars some of it."""
        row = self.find(Balance, ledger_account)
        return row is not None and any(freeze.until is None for freeze in row.freezes)

    def product_terms(self, **fields: Any) -> ProductTerms:
        """Terms for services with a fee of 1 %, at least 5; every method; wages if `fields` say so."""
        wages = fields.get("business") is Business.WAGES
        account = self.open_account("payer", PROJECT) if wages else self.accounts["payer"]
        if wages:
            self.deposit(account, RICH)
        project = WageTerms(project=PROJECT, special_account=account, tri_party_agreement=paper("tri_party_agreement"))
        said: dict[str, Any] = {
            "business": Business.SERVICES,
            "currency": CURRENCY,
            "cap": Units(10**6),
            "custodian": self.named["bank"],
            "refund_account": account,
            "payment_from_on": today(self),
            "payment_until_on": today(self) + days(60),
            "methods": tuple(Method),
            "objection_days": 1,
            "answer_days": 2,
            "arbitrator": self.named["arbitrator"],
            "fee": FeeTerms(
                rate=Rate(0 if wages else 1_000_000), minimum=ZERO if wages else Units(5), paid_by=FeePayer.PAYEE
            ),
            "long_stop_on": today(self) + days(90),
            "default_split": 50,
            "on_silence": Silence.ACCEPT,
            "wages": project if wages else None,
            **fields,
        }
        return ProductTerms(**said)

    def open_product(self, **fields: Any) -> str:
        """An open product between payer and payee. Returns its id."""
        terms = self.product_terms(**fields)
        contract = ContractTerms(
            number=f"HT-{self.height}",
            title="Works",
            payer=self.named["payer"],
            payee=self.named["payee"],
            currency=CURRENCY,
            value=terms.cap,
            signed_on=today(self),
            starts_on=today(self),
            ends_on=today(self) + days(80),
        )
        asked = ApplyForProduct(
            payer=contract.payer,
            platform=self.named["platform"],
            document=paper("business_contract", self.height),
            contract=contract,
            terms=terms,
        )
        product = str(self.done(asked, by="payee").events[0]["record"])
        copy = CounterContract(product=product, document=paper("business_contract", "copy"), contract=contract)
        self.done(copy, by="payer")
        self.approve(self._product(product).review or "", "platform")
        self.done(AuthoriseProduct(product=product, currency=CURRENCY, cap=terms.cap), by="payer")
        self.done(self._drafts(product), by="platform")
        self._sign(product)
        return product

    def _product(self, product: str) -> Product:
        found: Product = self.find(Product, product)
        return found

    def _drafts(self, product: str) -> DraftContracts:
        row = self._product(product)
        drafts = []
        for kind in ContractKind:
            template = f"{kind.value}.v1"
            drafts.append(
                ContractDraft(
                    kind=kind,
                    template=template,
                    terms_hash=contract_hash(basis_of(self.chain.chain_id, row, kind, template)),
                    document=paper(f"{kind.value}_contract", product),
                )
            )
        return DraftContracts(product=product, contracts=tuple(drafts))

    def _sign(self, product: str) -> None:
        row = self._product(product)
        for name in ("platform", "payer", "payee"):
            signed = tuple(
                SignContract(
                    product=product,
                    kind=contract.kind,
                    terms_hash=contract.terms_hash,
                    document=contract.document.hash,
                    currency=CURRENCY,
                    cap=row.terms.cap,
                )
                for contract in row.contracts
                if self.named[name] in signatories(row, contract.kind)
            )
            self.done(*signed, by=name)

    def agree(self, product: str, *tranches: TrancheTerms) -> str:
        """A confirmed plan. Returns its id."""
        asked = ProposePlan(product=product, currency=CURRENCY, total=total_of(tranches), tranches=tranches)
        plan = str(self.done(asked, by="payer").events[0]["record"])
        hashed = terms_hash(tranches)
        self.done(CheckPlan(plan=plan, terms=hashed, result=CheckResult.SEND), by="platform")
        self.done(ConfirmPlan(plan=plan, currency=CURRENCY, total=total_of(tranches), terms=hashed), by="payee")
        return plan

    def fund(self, plan: str, units: int | None = None) -> None:
        """The payer funds all that the plan lacks, or `units` of it."""
        lacks = missing(self.plan(plan), self.version(plan)) if units is None else Units(units)
        self.done(FundPlan(plan=plan, currency=CURRENCY, units=lacks), by="payer")


def _member(name: str, keys: list[Ed25519], roles: tuple[KeyRole, ...]) -> GenesisMember:
    permissions = tuple(
        Permission(may=may, currency=CURRENCY, ceiling=Units(MAX_UNITS))
        for may in Permitted
        if Role.CLIENT in CAST[name]
    )
    return GenesisMember(
        legal_name=name,
        identifier=lei(name),
        identifier_kind="lei",
        size_class=SizeClass.SMALL,
        keys=tuple(
            KeyOffer(key=to_base64(key.verify_key.encode()), role=role) for key, role in zip(keys, roles, strict=True)
        ),
        roles=CAST[name],
        permissions=permissions,
    )
