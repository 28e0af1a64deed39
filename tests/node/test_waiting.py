"""What waits for whom, at each stage of a product and a plan; and that what is to be typed can be typed."""

import datetime
import shlex

import pytest

from tallystick.cli.main import make_app
from tallystick.kernel.accounts.deposits import BookDeposit
from tallystick.kernel.accounts.reversing import ReturnDeposit
from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.membership.records import Member, Role
from tallystick.kernel.plans.answering import AcceptEvidence, SendBackEvidence
from tallystick.kernel.plans.cases import Dispute, Refund
from tallystick.kernel.plans.conditions import AllOf, DataStated, DocumentsIn, VerifiersAccept
from tallystick.kernel.plans.disputes import ObjectToRelease, OfferSettlement
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.records import Failing, Material
from tallystick.kernel.plans.refunds import RequestRefund
from tallystick.node.plan_life import failing_text
from tallystick.node.waiting import Waits, waiting_for
from tallystick.wire.amounts import Units
from tests.support.desks import desk_over
from tests.support.plans import (
    amendment_of,
    confirmed,
    funded,
    funded_plan,
    plan_of,
    proposed,
    sending_back_of,
    sent,
    state_of,
    terms_of,
    tranche,
)
from tests.support.products import (
    Cast,
    applied_product,
    approved_product,
    authorised_product,
    cast,
    compared_product,
    counter_of,
    drafted_product,
    signing,
)
from tests.support.receivables import anchor
from tests.support.wages import payroll

PART = Units(10_000_000)


def waiting(c: Cast, who: str) -> list[Waits]:
    found = waiting_for(desk_over(c.world).session, c.world.row(Member, who))
    for one in found:
        check_can_be_typed(one.command)
    return found


def check_can_be_typed(command: str) -> None:
    """The command is there and has the options that it is given."""
    concept, verb, *words = shlex.split(command)
    named = make_app()[concept][verb]
    options = {name for argument in named.assemble_argument_collection() for name in argument.names}
    assert {word for word in words if word.startswith("--")} <= options, command


def whats(c: Cast, who: str) -> list[str]:
    return [one.what for one in waiting(c, who)]


def everybody(c: Cast) -> dict[str, list[str]]:
    """Who of a cast has something to do, and what."""
    names = {"payer": c.payer, "payee": c.payee, "platform": c.platform, "arbitrator": c.arbitrator, "source": c.source,
             "custodian": c.custodian, "auditor": c.auditor}  # fmt: skip
    names |= {f"verifier {number}": one for number, one in enumerate(c.verifiers, 1)}
    return {name: found for name, one in names.items() if (found := whats(c, one))}


def test_a_product_waits_for_one_after_the_other() -> None:
    c = cast()
    product = applied_product(c.world, c)
    assert everybody(c) == {"payer": ["give your copy of the contract"]}
    c.world.do(counter_of(c, product, title="Other services"), by=c.payer)
    correct = ["correct your copy, if it erred"]
    assert everybody(c) == {"payer": correct, "payee": correct}
    assert waiting(c, c.payee)[0].until == c.product(product).deadline


def test_a_review_waits_for_its_own_platform_alone() -> None:
    c = cast()
    c.world.member("Another platform", Role.PLATFORM)
    product = compared_product(c.world, c)
    assert everybody(c) == {"platform": [f"decide the review of product {product}"]}
    other = next(name for name, called in c.world.names.items() if called == "Another platform")
    assert whats(c, other) == []


def test_an_approved_product_waits_for_authorisation_drafts_and_six_signatures() -> None:
    c = cast()
    approved_product(c.world, c)
    assert everybody(c) == {"payer": ["authorise the product, or decline"]}
    c = cast()
    authorised_product(c.world, c)
    assert everybody(c) == {"platform": ["draw up the three contracts"]}
    c = cast()
    product = drafted_product(c.world, c)
    assert {who: len(found) for who, found in everybody(c).items()} == {"payer": 2, "payee": 2, "platform": 2}
    party, signatures = signing(c, product)[0]
    c.world.do(*signatures, by=party)
    assert {who: len(found) for who, found in everybody(c).items()} == {"payer": 2, "payee": 2}


def test_a_proposal_waits_for_platform_payer_and_payee() -> None:
    c = cast()
    plan = proposed(c.world, c)
    assert everybody(c) == {"platform": ["check the plan against its product"]}
    c.world.do(sending_back_of(c.world, plan, Failing(tranche=1, field="title", reason="unclear")), by=c.platform)
    assert everybody(c) == {"payer": ["propose the plan again: title of tranche 1 (unclear)"]}
    c = cast()
    plan = sent(c.world, c)
    assert everybody(c) == {"payee": ["confirm the plan, or decline"]}
    (one,) = waiting(c, c.payee)
    assert (one.units, one.until) == (PART, plan_of(c.world, plan).deadline)


def test_a_deposit_waits_for_the_payer_and_overdue_for_both() -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche(), tranche(fund_by_on=datetime.date(2026, 3, 20)))
    due = terms_of(c, plan)[0].fund_by_on
    assert everybody(c) == {
        "payer": [f"deposit for tranche 1, due {due}, then grace"]
    }  # the next, not all that will ever be due
    until = state_of(c.world, plan).fund_until
    assert until is not None
    c.world.wait(until=until.plus(1))
    assert everybody(c)["payer"][0] == "deposit for tranche 1, overdue"
    assert everybody(c)["payee"] == ["tranche 1 is not funded: you may cancel what is not"]
    funded(c.world, plan)
    assert everybody(c) == {"payer": ["answer the evidence for tranche 1", "answer the evidence for tranche 2"]}


def evidence_plan(c: Cast, **fields: object) -> str:
    condition = AllOf(
        of=(
            DocumentsIn(),
            VerifiersAccept(needed=2, verifiers=c.verifiers),
            DataStated(source=c.source, kind="waybill"),
        )
    )
    return funded_plan(c.world, c, tranche(materials=(Material(kind="note"),), condition=condition, **fields))


def submit(c: Cast, plan: str, **fields: object) -> None:
    material: Anchor = anchor("note")
    said = {"materials": (material,), "currency": "CNY", "units": PART, **fields}
    c.world.do(SubmitEvidence(plan=plan, tranche=1, **said), by=c.payee)


def test_evidence_waits_for_the_payee_then_for_those_who_are_named() -> None:
    c = cast()
    plan = evidence_plan(c)
    state = "state waybill about tranche 1, once it is so"
    answer = "answer the evidence for tranche 1"
    assert everybody(c) == {"payee": ["evidence for tranche 1"], "source": [state]}
    submit(c, plan)
    assert everybody(c) == {"source": [state], **{f"verifier {number}": [answer] for number in (1, 2, 3)}}
    assert waiting(c, c.verifiers[0])[0].units == PART  # what is claimed
    evidence = state_of(c.world, plan).evidence
    assert evidence is not None
    accept = AcceptEvidence(plan=plan, tranche=1, currency="CNY", units=PART, evidence=evidence)
    c.world.do(accept, by=c.verifiers[0])
    c.world.do(SendBackEvidence(plan=plan, tranche=1, evidence=evidence, reason="blurred"), by=c.verifiers[1])
    c.world.do(SubmitEvidence(plan=plan, tranche=1, statement=anchor("waybill")), by=c.source)
    assert everybody(c) == {"verifier 3": [answer]}
    assert waiting(c, c.verifiers[2])[0].until == state_of(c.world, plan).answer_by
    c.world.do(accept, by=c.verifiers[2])
    assert everybody(c) == {"payer": ["tranche 1 is verified: object, if you must"]}


def test_an_amount_to_be_judged_is_left_to_be_typed() -> None:
    c = cast()
    plan = evidence_plan(c, up_to=True)
    assert "--amount AMOUNT" in waiting(c, c.payee)[0].command
    submit(c, plan)
    assert "--amount AMOUNT" in waiting(c, c.verifiers[0])[0].command


def test_a_dispute_waits_for_the_sides_and_then_for_the_arbitrator() -> None:
    c = cast()
    plan = funded_plan(c.world, c, tranche())
    c.world.do(AcceptEvidence(plan=plan, tranche=1, currency="CNY", units=PART), by=c.payer)
    about = {"plan": plan, "tranche": 1, "currency": "CNY", "units": Units(4), "reason": "short"}
    c.world.do(ObjectToRelease(**about), by=c.payer)
    dispute = plan_of(c.world, plan).disputes[0]
    assert whats(c, c.payee) == ["settle the dispute"]
    c.world.do(OfferSettlement(dispute=dispute, currency="CNY", to_payee=Units(2)), by=c.payee)
    assert whats(c, c.payee) == []
    assert "accept the settlement that is offered, or offer another" in whats(c, c.payer)
    negotiate_until = c.world.row(Dispute, dispute).negotiate_until
    c.world.wait(until=negotiate_until.plus(1))
    (ruling,) = waiting(c, c.arbitrator)
    assert (ruling.what, ruling.until) == ("rule on the dispute", plan_of(c.world, plan).long_stop_at)


def test_money_that_nothing_names_waits_for_the_custodian() -> None:
    c = cast()
    booked = BookDeposit(bank_reference="B-77", currency="CNY", units=Units(70), remitter=c.payee)
    c.world.do(booked, by=c.custodian)
    (one,) = waiting(c, c.custodian)
    assert (one.what, one.units) == ("assign what is in suspense, or return it", 70)
    c.world.do(ReturnDeposit(deposit=one.record, currency="CNY", units=Units(70), bank_reference="R"), by=c.custodian)
    assert whats(c, c.custodian) == []


def test_wages_wait_for_their_lines_before_anybody_answers() -> None:
    p = payroll(up_to=2_000_000)
    assert everybody(p.c) == {"payer": ["upload the wage lines of tranche 1"]}
    p.uploaded()
    (answer,) = waiting(p.c, p.c.payer)
    assert (answer.what, answer.units) == ("answer the evidence for tranche 1", p.units)
    assert "--amount" not in answer.command  # the sum of the sheet and no other can be certified


def test_what_fails_is_said_in_short() -> None:
    whole, amount = (
        Failing(tranche=0, field="units", reason="over_cap"),
        Failing(tranche=2, field="units", reason="low"),
    )
    assert failing_text((whole, amount)) == "total of the plan (over_cap), amount of tranche 2 (low)"
    assert failing_text((whole,) * 5).endswith("(over_cap) and 2 more")


def test_a_refund_and_an_amendment_wait_for_the_payee() -> None:
    c = cast()
    plan = funded_plan(c.world, c, tranche())
    c.world.do(RequestRefund(plan=plan, tranche=1, currency="CNY", units=Units(5)), by=c.payer)
    (one,) = waiting(c, c.payee)
    (refund,) = plan_of(c.world, plan).refunds
    assert (one.record, one.units, one.until) == (refund, 5, c.world.row(Refund, refund).deadline)
    c = cast()
    plan = confirmed(c.world, c, tranche())
    c.world.do(amendment_of(c.world, plan, tranche(title="Another step")), by=c.payer)
    assert whats(c, c.payee) == ["confirm the amendment, or decline"]


@pytest.mark.parametrize("typed", ["plan confrim pln_1", "plan confirm pln_1 --colour red"])
def test_what_can_not_be_typed_would_be_seen(typed: str) -> None:
    with pytest.raises((KeyError, AssertionError)):
        check_can_be_typed(typed)
