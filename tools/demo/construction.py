"""Chapter 4: a release plan between organisations that do not exist, with all that can go wrong in one."""

import datetime
from collections.abc import Sequence
from dataclasses import replace as with_fields

from msgspec.structs import replace

from tallystick.kernel.accounts.deposits import Deposit
from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.plans.answering import SendBackEvidence
from tallystick.kernel.plans.cases import Certificate, Dispute
from tallystick.kernel.plans.conditions import (
    AllOf,
    DocumentsIn,
    OnDate,
    PayerAccepts,
    PlatformAccepts,
    VerifiersAccept,
)
from tallystick.kernel.plans.disputes import ObjectToRelease, OfferSettlement
from tallystick.kernel.plans.funding import FundPlan
from tallystick.kernel.plans.proposing import CheckResult, total_of
from tallystick.kernel.plans.records import Material, Phase, Plan, PlanState, Retention, Tranches
from tallystick.kernel.plans.refunds import ConsentToRefund, RequestRefund
from tallystick.kernel.plans.releasing import ReleaseTranche
from tallystick.kernel.plans.rulings import RuleOnDispute
from tallystick.kernel.products.applying import CorrectContract
from tallystick.kernel.products.records import Business, FeePayer, FeeTerms, Method, Product, ProductState
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import DAY_MS, HOUR_MS
from tallystick.wire.status import Status
from tools.demo import plans, products
from tools.demo.issuing import booking_of
from tools.demo.joining import CN_BUYER, CN_SUPPLIER
from tools.demo.newcomers import PROJECT, SURVEYORS
from tools.demo.products import Deal
from tools.demo.stage import ARBITRATOR, BANK, PLAN_PLATFORM, Stage, StoryFault

CNY = "CNY"
VALUE = Units(2_000_000_00)
PAYMENT_DAYS = 75
OBJECTION_DAYS = 3

ADVANCE, MACHINES, FLOORS, HANDOVER, DRAINS = range(1, 6)
ADVANCE_UNITS = 200_000_00
MACHINE_UNITS = 300_000_00
FLOOR_UNITS = 600_000_00
HANDOVER_UNITS = 400_000_00
TOO_MUCH = 1_000_000_00
SHORT = 200_000_00
OVER = 10_000_00
CLAIMED = 560_000_00
CERTIFIED = 540_000_00
OBJECTED = Units(80_000_00)
OFFERED = Units(20_000_00)
RULED = Units(50_000_00)
LESS_HANDOVER = 350_000_00
DRAIN_UNITS = 50_000_00
GIVEN_BACK = Units(20_000_00)
RECOVERY = "20"
RETAINED = "5"


def run(stage: Stage) -> str:
    """The whole life of the plan. Returns its id."""
    product = _open(stage)
    plan = _propose(stage, product)
    _fund(stage, plan)
    _release_by_date_and_documents(stage, plan)
    _certify(stage, plan)
    _dispute(stage, plan)
    _amend(stage, plan)
    _refund(stage, plan)
    _finish(stage, plan)
    return plan


def _deal(today: datetime.date) -> Deal:
    return Deal(
        name="warehouse",
        payer=CN_BUYER,
        payee=CN_SUPPLIER,
        number="DEMO-C-7",
        title="Extension of a warehouse (made up)",
        currency=CNY,
        value=VALUE,
        signed_on=today - plans.days(20),
        starts_on=today - plans.days(10),
        ends_on=today + plans.days(120),
        methods=(Method.DATE, Method.PAYER, Method.PLATFORM, Method.VERIFIERS, Method.DOCUMENTS),
        business=Business.CONSTRUCTION,
        payment_days=PAYMENT_DAYS,
        objection_days=OBJECTION_DAYS,
        long_stop_days=150,
        fee=FeeTerms(rate=Rate.parse("0.2"), minimum=Units(500_00), paid_by=FeePayer.PAYEE),
    )


def _open(stage: Stage) -> str:
    """Two copies that differ, put right; then review, authorisation, contracts. Returns the product's id."""
    deal = _deal(stage.today())
    with stage.telling.step("Copies differ") as step:
        product = products.apply(stage, deal)
        wrong = with_fields(deal, value=Units(VALUE - 100_000_00), ends_on=deal.ends_on - plans.days(30))
        products.counter(stage, product, wrong)
        found = [one.field for one in stage.get(Product, product).comparisons[-1].differences]
        if stage.get(Product, product).state is not ProductState.DIFFERS:
            raise StoryFault(f"the copies of {product} do not differ")
        right = stage.papers.stand_in("business_contract", f"{CN_BUYER}, corrected")
        stage.do(
            CorrectContract(product=product, document=right, contract=products.contract_of(stage, deal)), by=CN_BUYER
        )
        step.say(
            f"{CN_SUPPLIER} applies with its copy of a contract on {stage.money(VALUE, CNY)}; that of {CN_BUYER} "
            f"differs in {' and '.join(found).replace('_', ' ')}. Both versions stay on the ledger; corrected, they "
            "agree"
        )
    with stage.telling.step("Three contracts") as step:
        products.open_product(stage, product, deal, step)
        step.say(
            f"{PLAN_PLATFORM} approves, {CN_BUYER} authorises; three contracts are drawn up "
            f"({products.CONTRACTS}/{deal.name}-*.pdf), and the sixth signature opens the product"
        )
    return product


def _tranches(stage: Stage, today: datetime.date, handover_units: int, handover_until: int) -> Tranches:
    surveyed = VerifiersAccept(needed=2, verifiers=tuple(sorted(stage.id(name) for name in SURVEYORS)))
    retention = Retention(rate=Rate.parse(RETAINED), until_on=today + plans.days(PAYMENT_DAYS))
    return (
        plans.tranche("Advance", ADVANCE_UNITS, today, 2, 20, condition=OnDate(on=today + plans.days(2)), advance=True),
        plans.tranche(
            "Machines",
            MACHINE_UNITS,
            today,
            1,
            20,
            condition=DocumentsIn(),
            materials=(Material(kind="delivery_note"), Material(kind="inspection_report")),
        ),
        plans.tranche(
            "Floors",
            FLOOR_UNITS,
            today,
            1,
            40,
            condition=AllOf(of=(DocumentsIn(), surveyed)),
            materials=(Material(kind="progress_report"),),
            up_to=True,
            recovery=Rate.parse(RECOVERY),
            retention=retention,
        ),
        plans.tranche(
            "Handover",
            handover_units,
            today,
            1,
            handover_until,
            condition=AllOf(of=(DocumentsIn(), PayerAccepts())),
            materials=(Material(kind="drawings"),),
        ),
    )


def _propose(stage: Stage, product: str) -> str:
    """A proposal that its product does not allow comes back with the failing fields. Returns the plan's id."""
    today = stage.today()
    with stage.telling.step("Sent back") as step:
        plan = plans.propose(stage, CN_BUYER, product, CNY, _tranches(stage, today, TOO_MUCH, PAYMENT_DAYS + 10))
        plans.check(stage, plan, CheckResult.SEND_BACK)
        failing = [
            f"{one.field.replace('_', ' ')} ({one.reason.replace('_', ' ')})" for one in stage.get(Plan, plan).failing
        ]
        step.say(f"{CN_BUYER} proposes a plan; {PLAN_PLATFORM} sends it back: {', '.join(failing)}")
    with stage.telling.step("Confirmed, anchored") as step:
        tranches = _tranches(stage, today, HANDOVER_UNITS, 60)
        plans.propose(stage, CN_BUYER, product, CNY, tranches, again=plan)
        plans.check(stage, plan)
        version = plans.confirm(stage, plan)
        step.say(
            "The better proposal is sent on, confirmed by the payee, and written to the ledger whole: "
            f"{stage.money(total_of(version.tranches), CNY)} in {len(version.tranches)} tranches,"
        )
        for number, (terms, how) in enumerate(zip(version.tranches, _HOW, strict=True), 1):
            upper = "up to " if terms.up_to else ""
            step.say(f"  {number}. {terms.title:<9}{upper + stage.amount(terms.units, CNY):>17}  {how}")
        step.say(f"Of what is certified of the third {RECOVERY} % go towards the advance, {RETAINED} % are retained")
    return plan


_HOW = (
    "by date",
    "by two documents",
    "by 2 of 3 surveyors",
    "by document and payer",
)


def _fund(stage: Stage, plan: str) -> None:
    """Too little comes, then a little too much."""
    with stage.telling.step("Funded short") as step:
        wanted = Units(sum(terms.fund_units for terms in plans.version_of(stage, plan).tranches))
        first = Units(wanted - SHORT)
        code = plans.announce(stage, plan, wanted)
        plans.pay_in(stage, plan, first, code)
        lacking = plans.state_of(stage, plan, HANDOVER)
        step.say(
            f"Announced {stage.money(wanted, CNY)}, booked {stage.money(first, CNY)}: tranches 1 to 3 have their "
            f"money, the last has {stage.money(lacking.held, CNY)}"
        )
        used = next(row.bank_reference for row in stage.rows(Deposit) if row.plan == plan)
        again = replace(booking_of(stage, CN_BUYER, SHORT, currency=CNY), bank_reference=used or "")
        stage.refused(again, by=BANK, status=Status.BANK_REFERENCE_USED, why="a bank's reference booked a second time")
        plans.pay_in(stage, plan, SHORT + OVER, plans.announce(stage, plan, Units(SHORT + OVER)))
        held = stage.get(Plan, plan).held
        step.say(
            f"Then {stage.money(SHORT + OVER, CNY)} come: escrow holds {stage.money(held, CNY)}, what is over stands "
            f"in the account of {CN_BUYER}"
        )


def _stand_ins(stage: Stage, *kinds: str) -> list[Anchor]:
    return [stage.papers.stand_in(kind, PROJECT) for kind in kinds]


def _release_by_date_and_documents(stage: Stage, plan: str) -> None:
    with stage.telling.step("Date, documents") as step:
        stage.do(
            plans.claim(stage, plan, MACHINES, MACHINE_UNITS, _stand_ins(stage, "delivery_note", "inspection_report")),
            by=CN_SUPPLIER,
        )
        opens = plans.state_of(stage, plan, ADVANCE).release_at
        if opens is None:
            raise StoryFault("the advance has no day")
        stage.advance_to(opens.plus(HOUR_MS))
        plans.pass_objections(stage, plan, ADVANCE)
        plans.must_be(stage, plan, MACHINES, Phase.RELEASED)
        step.say(
            "The advance is due by its date, the machines are verified by their two documents; when nobody has "
            f"objected for {OBJECTION_DAYS} days, both are released at the opening of a block: "
            f"{_paid(stage, plan, ADVANCE)}; {_paid(stage, plan, MACHINES)}"
        )
        stage.refused(
            ReleaseTranche(plan=plan, tranche=MACHINES, currency=CNY, units=Units(MACHINE_UNITS)),
            by=CN_SUPPLIER,
            status=Status.ALREADY_RELEASED,
            why="a release asked for twice",
        )


def _paid(stage: Stage, plan: str, number: int) -> str:
    """What the last certificate of a tranche says."""
    certificate = stage.get(Certificate, plans.state_of(stage, plan, number).certificates[-1])
    fee = f" after a fee of {stage.money(certificate.fees, CNY)}" if certificate.fees else ""
    return f"{stage.money(certificate.released, CNY)}{fee}"


def _certify(stage: Stage, plan: str) -> None:
    with stage.telling.step("2 of 3 surveyors") as step:
        stage.do(plans.claim(stage, plan, FLOORS, CLAIMED, _stand_ins(stage, "progress_report")), by=CN_SUPPLIER)
        for surveyor, units in zip(SURVEYORS, (CLAIMED, CERTIFIED), strict=False):
            stage.do(plans.acceptance(stage, plan, FLOORS, units), by=surveyor)
        found = plans.must_be(stage, plan, FLOORS, Phase.VERIFIED)
        step.say(
            f"{CN_SUPPLIER} claims {stage.money(CLAIMED, CNY)}; {SURVEYORS[0]} certifies all of it, {SURVEYORS[1]} "
            f"{stage.money(CERTIFIED, CNY)}, {SURVEYORS[2]} says nothing: certified are "
            f"{stage.money(found.certified or 0, CNY)}"
        )


def _dispute(stage: Stage, plan: str) -> None:
    with stage.telling.step("Disputed in part") as step:
        objection = ObjectToRelease(plan=plan, tranche=FLOORS, currency=CNY, units=OBJECTED, reason="floor_uneven")
        stage.do(objection, by=CN_BUYER)
        dispute = stage.get(Plan, plan).disputes[0]
        released = stage.get(Certificate, plans.pass_objections(stage, plan, FLOORS).certificates[-1])
        step.say(f"{CN_BUYER} objects to {stage.money(OBJECTED, CNY)} within the window. It alone is frozen:")
        parts = (
            ("disputed", released.disputed),
            (f"recovered of the advance ({RECOVERY} %)", released.recovered),
            (f"retained ({RETAINED} %)", released.retained),
            ("the platform's fee", released.fees),
            ("released", released.released),
        )
        for name, units in parts:
            step.say(f"  {name:<32}{stage.money(units, CNY):>16}")
        step.say(f"  {'certified':<32}{stage.money(released.certified, CNY):>16}")
    with stage.telling.step("Ruled") as step:
        stage.do(OfferSettlement(dispute=dispute, currency=CNY, to_payee=OFFERED), by=CN_BUYER)
        until = stage.get(Dispute, dispute).negotiate_until
        if until is None:
            raise StoryFault(f"{dispute} has no time to negotiate")
        stage.advance_to(until.plus(DAY_MS))
        ruling = RuleOnDispute(
            dispute=dispute,
            currency=CNY,
            to_payee=RULED,
            to_payer=Units(OBJECTED - RULED),
            ruling=stage.papers.stand_in("ruling", dispute),
        )
        stage.refused(
            replace(ruling, to_payer=OBJECTED),
            by=ARBITRATOR,
            status=Status.OVER_DISPUTED,
            why="a ruling that divides more than is disputed",
        )
        stage.do(ruling, by=ARBITRATOR)
        step.say(
            f"{CN_BUYER} offers {stage.money(OFFERED, CNY)}, which nobody accepts; {ARBITRATOR} rules "
            f"{stage.money(RULED, CNY)} to the payee and {stage.money(OBJECTED - RULED, CNY)} back"
        )


def _amend(stage: Stage, plan: str) -> None:
    with stage.telling.step("Amended") as step:
        today = stage.today()
        had = plans.version_of(stage, plan).tranches
        less = replace(had[HANDOVER - 1], units=Units(LESS_HANDOVER), fund_units=Units(LESS_HANDOVER))
        drains = plans.tranche("Drains", DRAIN_UNITS, today, 1, 30, condition=PlatformAccepts())
        version = plans.amend(stage, plan, (*had[: HANDOVER - 1], less, drains))
        stage.do(FundPlan(plan=plan, currency=CNY, units=Units(DRAIN_UNITS)), by=CN_BUYER)
        step.say(
            f"Both sign version {version.version}: {less.title.lower()} for {stage.money(LESS_HANDOVER, CNY)} instead "
            f"of {stage.money(HANDOVER_UNITS, CNY)}, the surplus goes back; new is {drains.title.lower()} for "
            f"{stage.money(DRAIN_UNITS, CNY)}, funded from the payer's account. What was released stays as it was"
        )


def _refund(stage: Stage, plan: str) -> None:
    with stage.telling.step("Refund") as step:
        asked = RequestRefund(plan=plan, tranche=DRAINS, currency=CNY, units=GIVEN_BACK, reason="shorter_drain")
        refund = stage.do(asked, by=CN_BUYER).records[0]
        stage.do(ConsentToRefund(refund=refund, currency=CNY, units=GIVEN_BACK), by=CN_SUPPLIER)
        step.say(
            f"{CN_BUYER} asks {stage.money(GIVEN_BACK, CNY)} of the drains back, as they come out shorter; "
            f"{CN_SUPPLIER} consents, and it goes back at once"
        )


def _finish(stage: Stage, plan: str) -> None:
    with stage.telling.step("Second round") as step:
        _claim_handover(stage, plan)
        evidence = plans.state_of(stage, plan, HANDOVER).evidence
        back = SendBackEvidence(plan=plan, tranche=HANDOVER, evidence=evidence or "", reason="drawings_not_signed")
        stage.do(back, by=CN_BUYER)
        _claim_handover(stage, plan)
        stage.do(plans.acceptance(stage, plan, HANDOVER, LESS_HANDOVER), by=CN_BUYER)
        stage.do(plans.acceptance(stage, plan, DRAINS, DRAIN_UNITS - GIVEN_BACK), by=PLAN_PLATFORM)
        plans.pass_objections(stage, plan, DRAINS)
        plans.must_be(stage, plan, HANDOVER, Phase.RELEASED)
        step.say(
            f"The drawings are sent back once (not signed), then accepted: {_paid(stage, plan, HANDOVER)}; "
            f"{PLAN_PLATFORM} accepts the drains: {_paid(stage, plan, DRAINS)}"
        )
    _keep_retained(stage, plan)


def _claim_handover(stage: Stage, plan: str) -> None:
    stage.do(plans.claim(stage, plan, HANDOVER, LESS_HANDOVER, _stand_ins(stage, "drawings")), by=CN_SUPPLIER)


def _keep_retained(stage: Stage, plan: str) -> None:
    with stage.telling.step("Retention, the end") as step:
        until = plans.state_of(stage, plan, FLOORS).retained_until
        if until is None:
            raise StoryFault("nothing is retained of the floors")
        stage.advance_to(until.plus(HOUR_MS))
        row = stage.get(Plan, plan)
        if row.state is not PlanState.COMPLETED or row.held:
            raise StoryFault(f"{plan} is {row.state.value} and holds {row.held}")
        step.say(f"On {stage.today()} what was retained goes out, {_paid(stage, plan, FLOORS)}; the plan is completed:")
        for line in sums(stage, row):
            step.say(line)


def sums(stage: Stage, row: Plan) -> Sequence[str]:
    """Where a plan's money is, line by line."""
    parts = (("released", row.released), ("fees", row.fees), ("back to the payer", row.refunded), ("held", row.held))
    lines = [f"  {name:<20}{stage.money(units, row.currency):>18}" for name, units in parts]
    return [*lines, f"  {'deposited':<20}{stage.money(row.deposited, row.currency):>18}"]
