"""Scenes of release plans, set by running real operations: from the proposal to whatever stage a test is about.

`tranche()` makes terms with sensible defaults, each of which can be said otherwise; `confirmed(world, cast, ...)` is a
plan that stands on the ledger under a product of its own, unless `product` names one.
"""

import datetime
from typing import Any

from msgspec.structs import replace

from tallystick.kernel.accounts.bank_references import BankReference
from tallystick.kernel.accounts.deposits import BookDeposit
from tallystick.kernel.plans import ending, escrow
from tallystick.kernel.plans.amending import AmendPlan, ConfirmAmendment
from tallystick.kernel.plans.conditions import PayerAccepts
from tallystick.kernel.plans.funding import FundPlan
from tallystick.kernel.plans.proposing import CheckPlan, CheckResult, ConfirmPlan, ProposePlan, terms_hash, total_of
from tallystick.kernel.plans.records import Failing, Plan, PlanVersion, TrancheState, TrancheTerms, Unmet
from tallystick.kernel.products.records import Product, Silence
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.status import Status
from tests.support.accounts import check_books, stands
from tests.support.products import Cast, opened_product
from tests.support.world import World

PART = 10_000_000
"""The amount of a tranche: a tenth of what a product of `opened_product` allows."""


def day(month: int, of_month: int, year: int = 2026) -> datetime.date:
    """A day of 2026, unless another year is said."""
    return datetime.date(year, month, of_month)


def tranche(units: int = PART, **fields: Any) -> TrancheTerms:
    """A step: deposited by mid-March 2026, released in April once the payer accepts. Wages are never disputed."""
    if fields.get("wages"):
        fields = {"on_silence": Silence.ACCEPT, "if_unmet": Unmet.REFUND, **fields}
    said: dict[str, Any] = {
        "title": "Step",
        "fund_by_on": datetime.date(2026, 3, 16),
        "fund_units": Units(units),
        "units": Units(units),
        "release_from_on": datetime.date(2026, 4, 1),
        "release_until_on": datetime.date(2026, 4, 30),
        "condition": PayerAccepts(),
        **fields,
    }
    return TrancheTerms(**said)


def plan_of(world: World, plan_id: str) -> Plan:
    """The committed row of a plan."""
    found: Plan = world.row(Plan, plan_id)
    return found


def state_of(world: World, plan_id: str, number: int = 1) -> TrancheState:
    """The committed state of one of its tranches."""
    return plan_of(world, plan_id).tranches[number - 1]


def version_row(world: World, plan_id: str) -> PlanVersion:
    """The version in force."""
    found: PlanVersion = world.row(PlanVersion, f"{plan_id}/{plan_of(world, plan_id).version}")
    return found


def proposal_of(c: Cast, product_id: str, *tranches: TrancheTerms, **fields: Any) -> ProposePlan:
    """The payer's proposal of `tranches`, or of a single default one."""
    steps = tranches or (tranche(),)
    said: dict[str, Any] = {"currency": c.product(product_id).terms.currency, "total": total_of(steps), **fields}
    return ProposePlan(product=product_id, tranches=steps, **said)


def proposed(world: World, c: Cast, *tranches: TrancheTerms, product: str = "", **product_fields: Any) -> str:
    """A plan that waits for the platform's check. Returns its id."""
    if any(terms.on_silence is Silence.ACCEPT and not terms.wages for terms in tranches):
        product_fields = {"on_silence": Silence.ACCEPT, **product_fields}
    product_id = product or opened_product(world, c, **product_fields)
    return world.do(proposal_of(c, product_id, *tranches), by=c.payer).events[0].record


def sending_of(world: World, plan_id: str, **fields: Any) -> CheckPlan:
    """The platform's check that sends a plan on to the payee."""
    said: dict[str, Any] = {"terms": terms_hash(plan_of(world, plan_id).draft), "result": CheckResult.SEND, **fields}
    return CheckPlan(plan=plan_id, **said)


def sending_back_of(world: World, plan_id: str, *failing: Failing, **fields: Any) -> CheckPlan:
    """The platform's check that sends a plan back, with fields that it names besides those that the ledger finds."""
    return sending_of(world, plan_id, result=CheckResult.SEND_BACK, failing=failing, **fields)


def sent(world: World, c: Cast, *tranches: TrancheTerms, product: str = "", **product_fields: Any) -> str:
    """A plan that waits for the payee's confirmation. Returns its id."""
    plan_id = proposed(world, c, *tranches, product=product, **product_fields)
    world.do(sending_of(world, plan_id), by=c.platform)
    return plan_id


def confirmation_of(world: World, plan_id: str, **fields: Any) -> ConfirmPlan:
    """The payee's confirmation of the plan as it stands proposed."""
    plan = plan_of(world, plan_id)
    said: dict[str, Any] = {
        "currency": plan.currency,
        "total": total_of(plan.draft),
        "terms": terms_hash(plan.draft),
        **fields,
    }
    return ConfirmPlan(plan=plan_id, **said)


def confirmed(world: World, c: Cast, *tranches: TrancheTerms, product: str = "", **product_fields: Any) -> str:
    """A plan that stands on the ledger and waits for its money. Returns its id."""
    plan_id = sent(world, c, *tranches, product=product, **product_fields)
    world.do(confirmation_of(world, plan_id), by=c.payee)
    return plan_id


def amendment_of(world: World, plan_id: str, *tranches: TrancheTerms, **fields: Any) -> AmendPlan:
    """The payer's proposal of a whole new list of tranches."""
    said: dict[str, Any] = {
        "currency": plan_of(world, plan_id).currency,
        "total": total_of(tranches),
        "tranches": tranches,
        **fields,
    }
    return AmendPlan(plan=plan_id, **said)


def consent_of(world: World, plan_id: str, **fields: Any) -> ConfirmAmendment:
    """The payee's confirmation of the amendment that waits for it."""
    plan = plan_of(world, plan_id)
    assert plan.amendment is not None
    said: dict[str, Any] = {
        "currency": plan.currency,
        "total": total_of(plan.amendment.tranches),
        "terms": terms_hash(plan.amendment.tranches),
        **fields,
    }
    return ConfirmAmendment(plan=plan_id, **said)


def terms_of(c: Cast, plan_id: str) -> tuple[TrancheTerms, ...]:
    """The tranches of the version in force."""
    return version_row(c.world, plan_id).tranches


def dropped(terms: TrancheTerms) -> TrancheTerms:
    """What an amendment states to drop a tranche."""
    return replace(terms, units=ZERO, fund_units=ZERO)


def amendment_refused(
    c: Cast, plan_id: str, *tranches: TrancheTerms, expect: Status, vector: str = "", **fields: Any
) -> dict[str, Any]:
    """The facts of the refusal that the payer's amendment meets."""
    asked = amendment_of(c.world, plan_id, *tranches, **fields)
    return c.world.do(asked, by=c.payer, expect=expect, vector=vector).facts


def amended(world: World, c: Cast, plan_id: str, *tranches: TrancheTerms) -> None:
    """A new version of a plan, proposed and confirmed."""
    world.do(amendment_of(world, plan_id, *tranches), by=c.payer)
    world.do(consent_of(world, plan_id), by=c.payee)


def funded(world: World, plan_id: str, units: int | None = None) -> str:
    """The payer puts `units`, or all that the plan still takes, from its account into escrow."""
    plan = plan_of(world, plan_id)
    asked = escrow.missing(plan, version_row(world, plan_id)) if units is None else Units(units)
    world.do(FundPlan(plan=plan_id, currency=plan.currency, units=asked), by=plan.payer)
    return plan_id


def funded_plan(world: World, c: Cast, *tranches: TrancheTerms, product: str = "", **product_fields: Any) -> str:
    """A plan that has all its money. Returns its id."""
    return funded(world, confirmed(world, c, *tranches, product=product, **product_fields))


def deposited(world: World, plan_id: str, units: int, **fields: Any) -> str:
    """Money for a plan straight from the payer's bank. Returns the deposit's id."""
    plan = plan_of(world, plan_id)
    said: dict[str, Any] = {"remitter": plan.payer, "plan": plan_id, "currency": plan.currency, **fields}
    booking = BookDeposit(bank_reference=f"REF-{world.height}", units=Units(units), **said)
    world.do(booking, by=plan.custodian)
    row: BankReference = world.row(BankReference, f"{plan.custodian}/{booking.bank_reference}")
    return row.used_for


def check_plans(world: World) -> None:
    """The books balance, and each plan's money is where its record says, unit for unit.

    deposited = held + released + refunded + fees + reversed, for each plan and, with what rolled on, each tranche; the
    escrow account holds what the plan says is held; one that has ended holds nothing; a product counts for its plans
    what they say they count for.
    """
    check_books(world)
    committed: dict[str, int] = {}
    live: dict[str, int] = {}
    plans = [row for row in world.state.rows.values() if isinstance(row, Plan)]
    for plan in plans:
        _check_sums(plan)
        assert stands(world, plan.escrow) == plan.held, plan.id
        if plan.ended is not None or not plan.version:
            assert not plan.held, f"{plan.id} has ended and holds money"
        if plan.version:
            committed[plan.product] = committed.get(plan.product, 0) + plan.committed
            live[plan.product] = live.get(plan.product, 0) + (plan.ended is None)
            version = version_row(world, plan.id)
            pairs = zip(plan.tranches, version.tranches, strict=True)
            assert plan.committed >= sum(ending.tranche_counts_for(*pair) for pair in pairs), plan.id
    for product in (row for row in world.state.rows.values() if isinstance(row, Product)):
        assert product.committed == committed.get(product.id, 0) <= product.terms.cap, product.id
        assert product.live_plans == live.get(product.id, 0), product.id


def _check_sums(plan: Plan) -> None:
    """Identities of a plan's and its tranches' counting."""
    out = plan.released + plan.refunded + plan.fees + plan.reversed
    assert plan.deposited == plan.held + out, plan.id
    for number, tranche in enumerate(plan.tranches, start=1):
        left = tranche.released + tranche.refunded + tranche.fees + tranche.reversed + tranche.rolled
        assert tranche.deposited == tranche.held + left, (plan.id, number)
        assert tranche.disputed + tranche.retained <= tranche.held, (plan.id, number)
        assert not tranche.is_over or tranche.held == tranche.disputed + tranche.retained, (plan.id, number)
    came = sum(int(tranche.deposited) - int(tranche.rolled) for tranche in plan.tranches)
    assert plan.deposited >= came + plan.fee_reserve, f"{plan.id} counts money twice"
    assert plan.released == sum(tranche.released for tranche in plan.tranches), plan.id
    for name in ("refunded", "reversed", "fees"):  # what is more than the tranches' came out of the fee reserve
        assert getattr(plan, name) >= sum(getattr(tranche, name) for tranche in plan.tranches), (plan.id, name)
