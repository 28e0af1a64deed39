"""What the simulation found in products, plans and wages, each as a scenario of its own."""

from typing import Any

from tallystick.kernel.accounts.freezes import DeductByOrder
from tallystick.kernel.membership.standing import DeclareInsolvent, SucceedMember
from tallystick.kernel.plans.answering import AcceptEvidence, SendBackEvidence
from tallystick.kernel.plans.cases import Refund
from tallystick.kernel.plans.conditions import AllOf, DocumentsIn, PayerAccepts
from tallystick.kernel.plans.disputes import OfferSettlement, OpenDispute
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.proposing import ProposePlan
from tallystick.kernel.plans.records import Material, Phase, PlanState, Unmet, Unused
from tallystick.kernel.plans.refunds import ConsentToRefund, RequestRefund
from tallystick.kernel.plans.rulings import AcceptOffer
from tallystick.kernel.products.records import Business, Silence
from tallystick.kernel.wages.lines import LineCommitment, UploadWageLines
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import DAY_MS
from tests.properties.plan_town import CURRENCY, PlanTown
from tests.simulation.founding import paper
from tests.simulation.plan_story import step_of


def test_money_that_rolls_on_wakes_later_tranches_only() -> None:
    """It woke the earlier ones too, which the same work of the block had looked at already, and so faulted for ever."""
    town = PlanTown()
    plan = town.agree(
        town.open_product(objection_days=0),
        step_of(town, 1_000),
        step_of(town, 1_000, up_to=True, unused=Unused.ROLL_ON),
        step_of(town, 1_000),
    )
    town.fund(plan, 2_000)
    about: dict[str, Any] = {"plan": plan, "currency": CURRENCY}
    town.done(AcceptEvidence(tranche=2, units=Units(400), **about), by="payer")
    town.pass_time(2 * DAY_MS)
    assert [tranche.phase for tranche in town.plan(plan).tranches] == [Phase.WAITING, Phase.RELEASED, Phase.WAITING]
    assert town.tranche(plan, 3).held == 600


def test_an_advance_paid_by_a_settlement_lets_a_short_tranche_go() -> None:
    """A verified tranche that lacked money waited on, although what it recovers now was enough."""
    town = PlanTown()
    plan = town.agree(
        town.open_product(objection_days=0),
        step_of(town, 1_000, advance=True),
        step_of(town, 1_000, recovery=Rate(50_000_000)),
    )
    town.fund(plan)
    about: dict[str, Any] = {"plan": plan, "currency": CURRENCY}
    town.done(AcceptEvidence(tranche=2, units=Units(1_000), **about), by="payer")
    order = paper("order")
    town.done(DeductByOrder(units=Units(300), authority_order=order, bank_reference="ORDER-1", **about), by="bank")
    opened = town.done(OpenDispute(tranche=1, units=Units(1_000), reason="not_as_agreed", **about), by="payer")
    said: dict[str, Any] = {"dispute": opened.events[0]["record"], "currency": CURRENCY, "to_payee": Units(1_000)}
    town.pass_time(2 * DAY_MS)
    assert town.tranche(plan, 2).phase is Phase.VERIFIED
    town.done(OfferSettlement(**said), by="payee")
    town.done(AcceptOffer(**said), by="payer")
    town.pass_time(1_000)
    assert town.tranche(plan, 2).phase is Phase.RELEASED
    assert town.tranche(plan, 2).recovered == 500


def test_a_wage_sheet_beyond_the_amount_is_no_evidence() -> None:
    """The sheet was complete when the payee gave part of the amount back; it could be claimed, but never verified."""
    town = PlanTown()
    plan = town.agree(
        town.open_product(business=Business.WAGES),
        step_of(
            town,
            3_000,
            wages=True,
            on_silence=Silence.ACCEPT,
            if_unmet=Unmet.REFUND,
            materials=(Material(kind="timesheet"),),
            condition=AllOf(of=(DocumentsIn(), PayerAccepts())),
        ),
    )
    town.fund(plan)
    about: dict[str, Any] = {"plan": plan, "tranche": 1, "currency": CURRENCY}
    town.done(_upload(3_000, about), by="payer")
    evidence = town.tranche(plan).evidence
    town.done(SubmitEvidence(materials=(paper("timesheet"),), units=Units(3_000), **about), by="payee")
    town.done(_send_back(plan, evidence), by="payer")
    asked = town.done(RequestRefund(units=Units(500), **about), by="payer").events[0]["record"]
    town.done(ConsentToRefund(refund=asked, currency=CURRENCY, units=Units(500)), by="payee")
    assert town.rows(Refund)[0].units == 500
    claim = SubmitEvidence(materials=(paper("timesheet"),), units=Units(3_000), **about)
    assert town.do(claim, by="payee").label == "over_available"
    town.done(_upload(2_500, about, anew=True), by="payer")


def test_what_was_proposed_ends_with_an_insolvent_successor() -> None:
    """The proposal of a payer passed to a successor that may propose nothing, and waited there for its deadline."""
    town = PlanTown()
    asked = ProposePlan(
        product=town.open_product(), currency=CURRENCY, total=Units(1_000), tranches=(step_of(town, 1_000),)
    )
    plan = str(town.done(asked, by="payer").events[0]["record"])
    heir, order = town.named["heir"], paper("order")
    town.done(DeclareInsolvent(member=heir, order=order), by="auditor")
    town.done(SucceedMember(member=town.named["payer"], successor=heir, order=order), by="auditor")
    assert town.plan(plan).state is PlanState.WITHDRAWN


def _upload(units: int, about: dict[str, Any], *, anew: bool = False) -> UploadWageLines:
    line = LineCommitment(worker=paper("worker").hash, account=paper("account").hash, units=Units(units))
    return UploadWageLines(units=Units(units), count=1, chunk=1, lines=(line,), anew=anew, **about)


def _send_back(plan: str, evidence: str | None) -> SendBackEvidence:
    assert evidence is not None
    return SendBackEvidence(plan=plan, tranche=1, evidence=evidence, reason="incomplete")
