"""Chapter 3: a published contract with its 81 payments, and a year of recurring payments, as release plans.

Parties and amounts are real, and nothing goes wrong: what is added here is how the money would have waited, and on
which evidence it would have gone out.
"""

from collections.abc import Sequence
from itertools import groupby

from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.plans.conditions import DocumentsIn, OnDate
from tallystick.kernel.plans.records import Material, Plan, PlanState, Tranches, TrancheTerms
from tallystick.kernel.products.records import Business, Method
from tools.demo import plans, products
from tools.demo.products import Deal
from tools.demo.published import ATTRIBUTION as COUNCIL_ATTRIBUTION
from tools.demo.published_plans import ATTRIBUTION, Payment, PublishedContract, PublishedPlan
from tools.demo.stage import PLAN_PLATFORM, Stage, StoryFault

ESTIMATE = "estimate"
OBJECTION_DAYS = 3
WINDOW_DAYS = 60
EVERY_DAYS = 14
STAY_OPEN_DAYS = 5
STILL_LOCKED = 2


def open_hospital(stage: Stage, plan: PublishedPlan, contract: PublishedContract) -> str:
    """The contract as published becomes a product. Returns its id."""
    deal = Deal(
        name="hospital",
        payer=plan.payer,
        payee=plan.payee,
        number=plan.reference,
        title=contract.title,
        currency=plan.currency,
        value=contract.value,
        signed_on=contract.signed_on,
        starts_on=contract.starts_on,
        ends_on=contract.ends_on,
        methods=(Method.DOCUMENTS,),
        business=Business.CONSTRUCTION,
        payment_days=WINDOW_DAYS,
        objection_days=OBJECTION_DAYS,
        long_stop_days=2 * WINDOW_DAYS,
        note=f"Stands for contract {plan.reference} ({contract.procedure}). {ATTRIBUTION}",
    )
    with stage.telling.step("A published contract") as step:
        product = products.apply(stage, deal)
        products.counter(stage, product, deal)
        products.open_product(stage, product, deal, step)
        step.say(
            f"No. {plan.reference}, {contract.title}: {stage.money(contract.value, plan.currency)}, signed "
            f"{contract.signed_on}. Both copies agree; {PLAN_PLATFORM} reviews, the payer authorises, three contracts "
            f"are drawn up ({products.CONTRACTS}/{deal.name}-*.pdf), each signed by its two parties"
        )
    return product


def release_payments(stage: Stage, product: str, published: PublishedPlan) -> str:
    """Each published payment is a tranche; the very document of its estimate releases it. Returns the plan's id."""
    with stage.telling.step("Plan by documents") as step:
        documents = [_estimate(stage, published, one) for one in published.payments]
        tranches = _by_documents(stage, published, documents)
        plan = plans.agree(stage, published.payer, product, published.currency, tranches)
        paid_in = plans.fund_whole(stage, plan)
        step.say(
            f"{len(tranches)} tranches, one for each published payment; each waits for the one document whose hash the "
            f"plan names. Proposed, checked, confirmed, on the ledger; {stage.money(paid_in, published.currency)} come "
            "in under the announced remittance code"
        )
    with stage.telling.step("Released") as step:
        numbered = list(enumerate(zip(published.payments, documents, strict=True), 1))
        for year, group in groupby(numbered, lambda one: one[1][0].paid_on.year):
            batch = list(group)
            claims = [plans.claim(stage, plan, number, one.units, (anchor,)) for number, (one, anchor) in batch]
            stage.do(*claims, by=published.payee)
            plans.pass_objections(stage, plan, batch[-1][0])
            amount = stage.money(sum(one.units for _, (one, _) in batch), published.currency)
            step.say(f"estimates of {year}: {len(batch)} tranches, {amount}")
        row = stage.get(Plan, plan)
        if row.state is not PlanState.COMPLETED or row.released != published.total:
            raise StoryFault(f"{plan} is {row.state.value} and released {row.released} of {published.total}")
        step.say(
            f"Nobody objects within {OBJECTION_DAYS} days, and the ledger releases by itself: "
            f"{stage.money(row.released, row.currency)}, as published, to the cent"
        )
    return plan


def _estimate(stage: Stage, published: PublishedPlan, payment: Payment) -> Anchor:
    said = {
        "document": "published payment, standing for the estimate that it paid",
        "contract": published.reference,
        "reference": payment.reference,
        "paid_on_as_published": str(payment.paid_on),
        "amount": payment.row["amount"],
        "currency": published.currency,
        "attribution": ATTRIBUTION,
    }
    return stage.papers.anchored(ESTIMATE, said)


def _by_documents(stage: Stage, published: PublishedPlan, documents: Sequence[Anchor]) -> Tranches:
    return tuple(
        plans.tranche(
            f"{one.reference}, paid {one.paid_on}",
            one.units,
            stage.today(),
            0,
            WINDOW_DAYS - STAY_OPEN_DAYS,
            condition=DocumentsIn(kinds=(ESTIMATE,)),
            materials=(Material(kind=ESTIMATE, hash=anchor.hash),),
        )
        for one, anchor in zip(published.payments, documents, strict=True)
    )


def pay_by_date(stage: Stage, published: PublishedPlan) -> str:
    """Recurring payments, each released when its day opens. Returns the plan's id."""
    count = len(published.payments)
    first, last = published.payments[0].paid_on, published.payments[-1].paid_on
    deal = Deal(
        name="recurring",
        payer=published.payer,
        payee=published.payee,
        number=published.reference,
        title=published.title,
        currency=published.currency,
        value=published.total,
        signed_on=first,
        starts_on=first,
        ends_on=last,
        methods=(Method.DATE,),
        business=Business.SERVICES,
        payment_days=count * EVERY_DAYS + STAY_OPEN_DAYS,
        objection_days=0,
        long_stop_days=count * EVERY_DAYS + WINDOW_DAYS,
        note="No contract is published: number, value and days are derived from the payments. " + COUNCIL_ATTRIBUTION,
    )
    with stage.telling.step("Plan by date") as step:
        product = products.apply(stage, deal)
        products.counter(stage, product, deal)
        products.open_product(stage, product, deal, step)
        today = stage.today()
        tranches = tuple(_on_day(stage, number, published) for number in range(1, count + 1))
        plan = plans.agree(stage, published.payer, product, published.currency, tranches)
        plans.fund_whole(stage, plan)
        step.say(
            f"{count} recurring payments of {published.payer} to {published.payee}, "
            f"{stage.money(published.total)} in {first.year} and {last.year}: a product and a plan of their own, funded"
        )
        step.say(
            f"Derived: no contract is published, its figures are those of the payments; one goes out every "
            f"{EVERY_DAYS} days from {today + plans.days(EVERY_DAYS)} on, by date alone"
        )
    return plan


def _on_day(stage: Stage, number: int, published: PublishedPlan) -> TrancheTerms:
    """A payment on its derived day. Invoice numbers stay off the ledger here as elsewhere."""
    today = stage.today()
    day = number * EVERY_DAYS
    return plans.tranche(
        f"Payment {number} of {len(published.payments)}",
        published.payments[number - 1].units,
        today,
        day,
        day + STAY_OPEN_DAYS - 1,
        condition=OnDate(on=today + plans.days(day)),
    )


def go_on(stage: Stage, plan: str, published: PublishedPlan) -> None:
    """Time passes to the last day but `STILL_LOCKED` of the recurring payments; the plan stays as it is then."""
    with stage.telling.step("By date alone") as step:
        before = _released(stage, plan)
        tranches = plans.version_of(stage, plan).tranches
        last = tranches[-STILL_LOCKED - 1].release_from_on
        stage.advance_to(stage.morning_of(last + plans.days(STAY_OPEN_DAYS - 1)))
        row = stage.get(Plan, plan)
        paid = published.payments[:-STILL_LOCKED]
        if row.released != sum(one.units for one in paid) or _released(stage, plan) != len(paid):
            raise StoryFault(f"{plan} released {row.released} by {stage.today()}")
        step.say(
            f"{len(paid)} of the {len(tranches)} recurring payments went out once their days had come, {before} of "
            f"them in the last two chapters: {stage.money(row.released)}, without anybody doing anything. The other "
            f"{STILL_LOCKED}, {stage.money(row.held)}, wait in escrow"
        )


def _released(stage: Stage, plan: str) -> int:
    return sum(1 for one in stage.get(Plan, plan).tranches if one.released)
