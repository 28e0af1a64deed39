"""Products: applied for, compared, reviewed, authorised, drafted, signed, suspended, closed; and special accounts."""

import datetime
from typing import Any

import msgspec

from tallystick.kernel.accounts.opening import ApplyForAccount
from tallystick.kernel.accounts.records import Account, AccountState
from tallystick.kernel.membership.records import Member, Role
from tallystick.kernel.products.applying import ApplyForProduct, CorrectContract, CounterContract, WithdrawProduct
from tallystick.kernel.products.authorising import AuthoriseProduct, DeclineProduct
from tallystick.kernel.products.contracts import (
    ContractDraft,
    DraftContracts,
    SignContract,
    basis_of,
    signatories,
    terms_hash,
)
from tallystick.kernel.products.records import (
    ENDED_STATES,
    Business,
    ContractKind,
    ContractTerms,
    FeePayer,
    FeeTerms,
    Method,
    Product,
    ProductState,
    ProductTerms,
    Silence,
    WageTerms,
)
from tallystick.kernel.products.standing import CloseProduct, ClosureNotice, ResumeProduct, SuspendProduct
from tallystick.wire.amounts import ZERO, Rate, Units
from tests.simulation.actions.money import open_accounts
from tests.simulation.actions.proposals import Proposal, action, holder_of, pick, propose, today, traders
from tests.simulation.founding import paper
from tests.simulation.town import Town

DAYS = datetime.timedelta
LIVE_PRODUCTS = 16
PROJECTS = ("River bridge", "School roof")


def products(town: Town, *states: ProductState, stray: float = 0.03) -> list[Product]:
    """Those in one of `states`; now and then any, to try what must be refused."""
    rows: list[Product] = town.rows(Product)
    return rows if town.rng.random() < stray else [row for row in rows if row.state in states]


def special_accounts(town: Town) -> list[Account]:
    return [row for row in town.rows(Account) if row.project is not None and row.state is AccountState.OPEN]


def has_four_eyes(town: Town, name: str) -> bool:
    member: Any = town.find(Member, name)
    return bool(member.maker_keys and member.checker_keys)


@action(4)
def apply_for_special_account(town: Town) -> Proposal | None:
    """An account of the wages of one project, by somebody who has an ordinary one with the same custodian."""
    ordinary = [row for row in open_accounts(town) if row.project is None and has_four_eyes(town, row.owner)]
    row = pick(town.rng, ordinary)
    if row is None or len(special_accounts(town)) > 5:
        return None
    asked = ApplyForAccount(
        currency=row.currency,
        custodian=row.custodian,
        papers=(paper("papers", row.owner),),
        project=town.rng.choice(PROJECTS),
    )
    return propose(row.owner, asked)


@action(14)
def apply_for_product(town: Town) -> Proposal | None:
    live = [row for row in town.rows(Product) if row.state not in ENDED_STATES]
    if len(live) >= LIVE_PRODUCTS:
        return None
    rng = town.rng
    special = special_accounts(town)
    wages = bool(special) and rng.random() < 0.4
    ordinary = [row for row in open_accounts(town) if row.project is None]
    paying = pick(rng, special if wages else ordinary)
    if paying is None:
        return None
    solvent = [name for name in traders(town) if town.find(Member, name).insolvent_since is None]
    same = [
        row
        for row in ordinary
        if (row.currency, row.custodian) == (paying.currency, paying.custodian)
        and row.owner != paying.owner
        and row.owner in solvent
    ]
    payees = [row.owner for row in same if not wages or has_four_eyes(town, row.owner)]
    payee = pick(rng, payees or [row.owner for row in same])
    platform, arbitrator = holder_of(town, Role.PLATFORM), holder_of(town, Role.ARBITRATOR)
    if payee is None or platform is None or arbitrator is None:
        return None
    terms = _terms(town, paying, arbitrator, wages=wages)
    contract = ContractTerms(
        number=f"HT-{rng.randrange(40 if rng.random() < 0.1 else 10**6)}",
        title="Works",
        payer=paying.owner,
        payee=payee,
        currency=paying.currency,
        value=Units(int(terms.cap) * rng.choice((1, 1, 2)) - (1 if rng.random() < 0.02 else 0)),
        signed_on=today(town) - DAYS(days=rng.choice((0, 9))),
        starts_on=today(town),
        ends_on=today(town) + DAYS(days=90),
        payment_days=rng.choice((None, 30)),
    )
    asked = ApplyForProduct(
        payer=paying.owner,
        platform=platform,
        document=paper("business_contract", f"{payee}{town.height}"),
        contract=contract,
        terms=terms,
    )
    return propose(payee, asked)


def _terms(town: Town, paying: Account, arbitrator: str, *, wages: bool) -> ProductTerms:
    rng = town.rng
    until = today(town) + DAYS(days=rng.choice((15, 25, 40, 70)))
    answer, objection = rng.choice((1, 2, 4)), rng.choice((0, 0, 1, 3))
    cap = Units(rng.choice((997, 50_000, 1_000_000, 10**8)))
    fee = FeeTerms(
        rate=Rate(rng.choice((0, 0, 500_000, 1_234_567, 10_000_000))),
        minimum=Units(rng.choice((0, 0, 10, 300))),
        paid_by=rng.choice(list(FeePayer)),
    )
    agreement = paper("tri_party_agreement" if rng.random() < 0.97 else "agreement", paying.id)
    project = None
    if wages:
        fee = FeeTerms(rate=Rate(0), minimum=ZERO, paid_by=FeePayer.PAYEE)
        project = WageTerms(project=paying.project or "none", special_account=paying.id, tri_party_agreement=agreement)
    return ProductTerms(
        business=Business.WAGES if wages else rng.choice((Business.FREIGHT, Business.CONSTRUCTION, Business.OTHER)),
        currency=paying.currency,
        cap=cap,
        custodian=paying.custodian,
        refund_account=paying.id,
        payment_from_on=today(town) - DAYS(days=rng.choice((0, 3))),
        payment_until_on=until,
        methods=tuple(Method) if rng.random() < 0.8 else tuple(rng.sample(list(Method), 3)),
        objection_days=objection,
        answer_days=answer,
        arbitrator=arbitrator,
        fee=fee,
        long_stop_on=until + DAYS(days=answer + objection + rng.choice((1, 2, 8, 30))),
        default_split=rng.choice((0, 33, 50, 100)),
        on_silence=rng.choice(list(Silence)),
        wages=project,
    )


def _misread(town: Town, terms: ContractTerms) -> ContractTerms:
    changes: tuple[dict[str, Any], ...] = (
        {"value": terms.value + 1},
        {"title": "Other works"},
        {"payment_days": 45},
        {"ends_on": terms.ends_on + DAYS(days=1)},
    )
    return msgspec.structs.replace(terms, **town.rng.choice(changes))


@action(40)
def counter_contract(town: Town) -> Proposal | None:
    row = pick(town.rng, products(town, ProductState.APPLIED))
    if row is None:
        return None
    terms = row.payee_copies[-1].terms
    said = terms if town.rng.random() < 0.85 else _misread(town, terms)
    return propose(
        row.payer, CounterContract(product=row.id, document=paper("business_contract", row.id), contract=said)
    )


@action(30)
def correct_contract(town: Town) -> Proposal | None:
    row = pick(town.rng, products(town, ProductState.DIFFERS))
    if row is None or not row.payer_copies:
        return None
    mine, theirs, by = row.payer_copies[-1].terms, row.payee_copies[-1].terms, row.payer
    if town.rng.random() < 0.4:
        mine, theirs, by = theirs, mine, row.payee
    said = theirs if town.rng.random() < 0.8 else _misread(town, mine)
    return propose(by, CorrectContract(product=row.id, document=paper("correction", row.id), contract=said))


@action(1)
def withdraw_product(town: Town) -> Proposal | None:
    waiting = (
        ProductState.APPLIED,
        ProductState.DIFFERS,
        ProductState.UNDER_REVIEW,
        ProductState.AUTHORISATION_REQUESTED,
    )
    row = pick(town.rng, products(town, *waiting))
    return None if row is None else propose(row.payee, WithdrawProduct(product=row.id))


@action(50)
def authorise_product(town: Town) -> Proposal | None:
    row = pick(town.rng, products(town, ProductState.AUTHORISATION_REQUESTED))
    if row is None:
        return None
    asked = AuthoriseProduct(product=row.id, currency=row.terms.currency, cap=row.terms.cap)
    return propose(row.payer, asked)


@action(1)
def decline_product(town: Town) -> Proposal | None:
    row = pick(
        town.rng,
        products(town, ProductState.APPLIED, ProductState.DIFFERS, ProductState.AUTHORISATION_REQUESTED),
    )
    return None if row is None else propose(row.payer, DeclineProduct(product=row.id, reason="not_wanted"))


@action(50)
def draft_contracts(town: Town) -> Proposal | None:
    again = town.rng.random() < 0.05
    row = pick(town.rng, products(town, ProductState.CONTRACTS if again else ProductState.AUTHORISED))
    if row is None:
        return None
    drafts = []
    for kind in ContractKind:
        template = f"{kind.value}.v1"
        hashed = terms_hash(basis_of(town.chain.chain_id, row, kind, template))
        if town.rng.random() < 0.01:
            hashed = hashed[::-1]
        document = paper(f"{kind.value}_contract", f"{row.id}{town.height}")
        drafts.append(ContractDraft(kind=kind, template=template, terms_hash=hashed, document=document))
    return propose(row.platform, DraftContracts(product=row.id, contracts=tuple(drafts)))


@action(120)
def sign_product_contract(town: Town) -> Proposal | None:
    row = pick(town.rng, products(town, ProductState.CONTRACTS))
    if row is None or not row.contracts:
        return None
    wanted = [
        (name, contract)
        for contract in row.contracts
        for name in signatories(row, contract.kind)
        if name not in {signature.member for signature in contract.signatures}
    ]
    if not wanted:
        return None
    by = town.rng.choice(wanted)[0]
    signed = tuple(
        SignContract(
            product=row.id,
            kind=contract.kind,
            terms_hash=contract.terms_hash,
            document=contract.document.hash,
            currency=row.terms.currency,
            cap=row.terms.cap,
        )
        for name, contract in wanted
        if name == by
    )
    return propose(by, *(signed if town.rng.random() < 0.9 else signed[:1]))


@action(2)
def suspend_product(town: Town) -> Proposal | None:
    row = pick(town.rng, products(town, ProductState.OPEN))
    if row is None:
        return None
    until = today(town) + DAYS(days=town.rng.choice((0, 2, 9)))
    return propose(row.platform, SuspendProduct(product=row.id, reason="complaint", until_on=until))


@action(6)
def resume_product(town: Town) -> Proposal | None:
    row = pick(town.rng, products(town, ProductState.SUSPENDED))
    return None if row is None else propose(row.platform, ResumeProduct(product=row.id))


@action(1)
def close_product(town: Town) -> Proposal | None:
    row = pick(town.rng, products(town, ProductState.OPEN, ProductState.SUSPENDED))
    if row is None or (not row.live_plans and town.rng.random() < 0.5):
        return None
    notice = None
    if row.terms.business is Business.WAGES:
        posted = today(town) - DAYS(days=town.rng.choice((2, 31, 40)))
        notice = ClosureNotice(document=paper("closure_notice", row.id), posted_on=posted)
    return propose(row.payer, CloseProduct(product=row.id, notice=notice), also=(row.payee,))
