"""Release plans from proposal to confirmation, and their amendments."""

import datetime
from typing import Any

import msgspec

from tallystick.kernel.membership.records import Role
from tallystick.kernel.plans.against_product import failing_fields
from tallystick.kernel.plans.amending import AmendPlan, ConfirmAmendment, DeclineAmendment
from tallystick.kernel.plans.conditions import (
    AllOf,
    AnyOf,
    AtLeast,
    Condition,
    DataStated,
    DocumentsIn,
    OnDate,
    PayerAccepts,
    PlatformAccepts,
    VerifiersAccept,
    certifier_needed,
)
from tallystick.kernel.plans.proposing import (
    CheckPlan,
    CheckResult,
    ConfirmPlan,
    DeclinePlan,
    ProposePlan,
    WithdrawPlan,
    terms_hash,
    total_of,
)
from tallystick.kernel.plans.records import (
    PENDING_PLANS,
    Failing,
    Material,
    Plan,
    PlanState,
    PlanVersion,
    Retention,
    TrancheTerms,
    Unmet,
    Unused,
)
from tallystick.kernel.products.commitments import room_left
from tallystick.kernel.products.records import Method, Product, ProductState, Silence
from tallystick.kernel.receivables.records import Receivable
from tallystick.wire.amounts import Rate, Units
from tests.simulation.actions.products import products
from tests.simulation.actions.proposals import Proposal, action, pick, propose, today
from tests.simulation.founding import paper
from tests.simulation.town import Town

DAYS = datetime.timedelta
KINDS = ("delivery_note", "invoice_copy", "acceptance_form")
STATEMENTS = ("arrived", "weighed")
LIVE_PLANS = 14


def plans(town: Town, *states: PlanState, stray: float = 0.03) -> list[Plan]:
    """Those in one of `states`; now and then any, to try what must be refused."""
    rows: list[Plan] = town.rows(Plan)
    return rows if town.rng.random() < stray else [row for row in rows if row.state in states]


def version_in_force(town: Town, plan: Plan) -> PlanVersion:
    found: PlanVersion = town.find(PlanVersion, f"{plan.id}/{plan.version}")
    return found


def confirmed(town: Town, *states: PlanState) -> list[Plan]:
    """Plans with a version, by default the active ones."""
    return [row for row in plans(town, *(states or (PlanState.ACTIVE,))) if row.version]


def _condition(town: Town, product: Product, until: datetime.date, depth: int = 2) -> Condition:
    rng = town.rng
    if depth and rng.random() < 0.45:
        of = tuple(_condition(town, product, until, depth - 1) for _ in range(rng.choice((1, 2, 2, 3))))
        kind = rng.randrange(3)
        if kind == 2:
            return AtLeast(needed=rng.randint(1, len(of)), of=of)
        return AllOf(of=of) if kind == 0 else AnyOf(of=of)
    allowed = product.terms.methods if rng.random() < 0.97 else tuple(Method)
    return _leaf(town, rng.choice(allowed), until)


def _leaf(town: Town, method: Method, until: datetime.date) -> Condition:
    rng = town.rng
    match method:
        case Method.DATE:
            return OnDate(on=min(today(town) + DAYS(days=rng.choice((0, 1, 2, 4, 8))), until))
        case Method.VERIFIERS:
            held = town.role_holders(Role.VERIFIER)
            named = tuple(rng.sample(held, min(len(held), rng.choice((1, 2, 3)))))
            return (
                VerifiersAccept(needed=rng.randint(1, max(len(named), 1)), verifiers=named) if named else PayerAccepts()
            )
        case Method.DOCUMENTS:
            return DocumentsIn(kinds=() if rng.random() < 0.5 else (rng.choice(KINDS),))
        case Method.DATA_SOURCE:
            sources = town.role_holders(Role.DATA_SOURCE)
            if sources:
                return DataStated(source=rng.choice(sources), kind=rng.choice(STATEMENTS))
            return PayerAccepts()
        case Method.PLATFORM:
            return PlatformAccepts()
        case Method.PAYER:
            return PayerAccepts()


def tranche(town: Town, product: Product, units: int, *, first: bool, after_advance: bool) -> TrancheTerms:
    """The terms of one step, with days near enough that the run comes to them."""
    rng = town.rng
    terms = product.terms
    start = max(today(town), terms.payment_from_on) + DAYS(days=rng.choice((0, 1, 2, 3, 6)))
    until = start + DAYS(days=rng.choice((0, 1, 3, 6, 10)))
    if rng.random() < 0.97:
        until = min(until, terms.payment_until_on)
        start = min(start, until)
    condition = _condition(town, product, until)
    wages = terms.wages is not None
    materials = tuple(
        Material(kind=kind, hash=paper(kind).hash if rng.random() < 0.3 else None)
        for kind in rng.sample(KINDS, rng.choice((0, 0, 1, 2)))
    )
    if isinstance(condition, DocumentsIn) and not materials:
        materials = tuple(Material(kind=kind) for kind in (condition.kinds or KINDS[:1]))
    extra: dict[str, Any] = {}
    if not wages:
        if rng.random() < 0.15:
            latest = terms.long_stop_on - DAYS(days=4)
            kept = min(until + DAYS(days=rng.choice((0, 3, 12))), max(latest, until))
            extra["retention"] = Retention(rate=Rate(rng.choice((5_000_000, 10_500_000))), until_on=kept)
        if after_advance and rng.random() < 0.6:
            extra["recovery"] = Rate(rng.choice((20_000_000, 33_333_333)))
        elif first and rng.random() < 0.3:
            extra["advance"] = True
        extra["redeems"] = _receivable_to_redeem(town, product) if rng.random() < 0.25 else None
    unmet = rng.choice((Unmet.REFUND, Unmet.EXTEND) if wages else tuple(Unmet))
    return TrancheTerms(
        title="Step",
        fund_by_on=min(today(town) + DAYS(days=rng.choice((0, 2, 4, 8))), until),
        fund_units=Units(units + (rng.choice((1, 50)) if rng.random() < 0.1 else 0)),
        units=Units(units),
        release_from_on=start,
        release_until_on=until,
        condition=condition,
        up_to=certifier_needed(condition) and rng.random() < 0.5,
        materials=materials,
        on_silence=Silence.ACCEPT if wages else rng.choice(list(Silence)),
        if_unmet=unmet,
        extend_days=rng.choice((1, 4)) if unmet is Unmet.EXTEND else 0,
        unused=rng.choice(list(Unused)),
        wages=wages if rng.random() < 0.98 else not wages,
        **extra,
    )


def _receivable_to_redeem(town: Town, product: Product) -> str | None:
    row = pick(
        town.rng,
        [
            row
            for row in town.rows(Receivable)
            if row.is_owed
            and (row.debtor, row.creditor, row.currency) == (product.payer, product.payee, product.terms.currency)
        ],
    )
    return None if row is None else str(row.id)


def _tranches(town: Town, product: Product) -> tuple[TrancheTerms, ...]:
    rng = town.rng
    count = rng.choice((1, 1, 2, 3, 4))
    room = int(room_left(product))
    most = max(room // count, 1)
    made: list[TrancheTerms] = []
    for number in range(count):
        units = rng.choice((most, rng.randint(1, most), rng.randint(1, most)))
        units += 1 if rng.random() < 0.02 else 0
        advanced = any(each.advance for each in made)
        made.append(tranche(town, product, units, first=number == 0, after_advance=advanced))
    return tuple(made)


@action(30)
def propose_plan(town: Town) -> Proposal | None:
    open_products = [row for row in products(town, ProductState.OPEN) if int(room_left(row)) or town.rng.random() < 0.1]
    product = pick(town.rng, open_products)
    if product is None or len([row for row in town.rows(Plan) if row.is_live]) >= LIVE_PLANS:
        return None
    again = pick(town.rng, [row for row in plans(town, PlanState.SENT_BACK) if row.product == product.id])
    tranches = _tranches(town, product)
    asked = ProposePlan(
        product=product.id,
        currency=product.terms.currency,
        total=total_of(tranches),
        tranches=tranches,
        plan=again.id if again is not None and town.rng.random() < 0.9 else None,
    )
    return propose(product.payer, asked)


@action(60)
def check_plan(town: Town) -> Proposal | None:
    plan = pick(town.rng, plans(town, PlanState.PROPOSED))
    if plan is None:
        return None
    product: Any = town.find(Product, plan.product)
    hashed = terms_hash(plan.draft)
    fails = bool(failing_fields(product, plan.draft))
    if fails or town.rng.random() < 0.08:
        named = () if fails else (Failing(tranche=1, field="title", reason="unclear"),)
        asked = CheckPlan(plan=plan.id, terms=hashed, result=CheckResult.SEND_BACK, failing=named)
    else:
        asked = CheckPlan(plan=plan.id, terms=hashed, result=CheckResult.SEND)
    return propose(plan.platform, asked)


def _begins(terms: TrancheTerms) -> datetime.date:
    return min(terms.fund_by_on, terms.release_from_on)


@action(60)
def confirm_plan(town: Town) -> Proposal | None:
    late = town.rng.random() < 0.05
    sent = plans(town, PlanState.SENT)
    plan = pick(town.rng, [row for row in sent if late or all(_begins(each) >= today(town) for each in row.draft)])
    if plan is None:
        return None
    asked = ConfirmPlan(plan=plan.id, currency=plan.currency, total=total_of(plan.draft), terms=terms_hash(plan.draft))
    return propose(plan.payee, asked)


@action(2)
def decline_plan(town: Town) -> Proposal | None:
    plan = pick(town.rng, plans(town, PlanState.SENT))
    return None if plan is None else propose(plan.payee, DeclinePlan(plan=plan.id, reason="too_late"))


@action(1)
def withdraw_plan(town: Town) -> Proposal | None:
    plan = pick(town.rng, plans(town, *PENDING_PLANS))
    return None if plan is None else propose(plan.payer, WithdrawPlan(plan=plan.id))


def _changed(town: Town, plan: Plan, product: Product) -> tuple[TrancheTerms, ...]:
    """The tranches in force with one of them changed: more, less, dropped, another rule, later; or one more."""
    rng = town.rng
    had = version_in_force(town, plan).tranches
    number = rng.randrange(len(had))
    terms = had[number]
    replace = msgspec.structs.replace
    later = min(terms.release_until_on + DAYS(days=rng.choice((1, 5))), product.terms.payment_until_on)
    match rng.randrange(7):
        case 0:
            more = rng.choice((1, 100, int(terms.units)))
            due = max(terms.fund_by_on, min(today(town) + DAYS(days=2), terms.release_until_on))
            new = replace(terms, units=terms.units + more, fund_units=terms.fund_units + more, fund_by_on=due)
        case 1:
            less = rng.randint(0, int(terms.units))
            new = replace(terms, units=terms.units - less, fund_units=terms.fund_units - less)
        case 2:
            new = replace(terms, units=Units(0), fund_units=Units(0))
        case 3:
            new = replace(terms, condition=_condition(town, product, terms.release_until_on), up_to=False)
        case 4:
            new = replace(terms, release_until_on=max(later, terms.release_until_on))
        case 5:
            new = replace(terms, unused=rng.choice(list(Unused)), fund_units=terms.fund_units + rng.choice((0, 7)))
        case _:
            advanced = any(each.advance for each in had)
            most = max(int(room_left(product)), 1)
            fresh = tranche(town, product, rng.randint(1, most), first=False, after_advance=advanced)
            return (*had, fresh)
    return (*had[:number], new, *had[number + 1 :])


@action(14)
def amend_plan(town: Town) -> Proposal | None:
    plan = pick(town.rng, confirmed(town))
    if plan is None:
        return None
    product: Any = town.find(Product, plan.product)
    tranches = _changed(town, plan, product)
    asked = AmendPlan(plan=plan.id, currency=plan.currency, total=total_of(tranches), tranches=tranches)
    return propose(plan.payer, asked)


@action(30)
def confirm_amendment(town: Town) -> Proposal | None:
    plan = pick(town.rng, [row for row in confirmed(town) if row.amendment is not None])
    if plan is None or plan.amendment is None:
        return None
    tranches = plan.amendment.tranches
    asked = ConfirmAmendment(plan=plan.id, currency=plan.currency, total=total_of(tranches), terms=terms_hash(tranches))
    return propose(plan.payee, asked)


@action(2)
def decline_amendment(town: Town) -> Proposal | None:
    plan = pick(town.rng, [row for row in confirmed(town) if row.amendment is not None])
    if plan is None:
        return None
    return propose(town.rng.choice((plan.payee, plan.payer)), DeclineAmendment(plan=plan.id, reason="as_before"))
