"""B9 conditions: materials are submitted and verified as the plan says; what goes otherwise has a defined end."""

import pytest

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.plans.cases import DisputeState, EvidenceState, Refund, RefundState
from tallystick.kernel.plans.conditions import AllOf, DataStated, DocumentsIn, VerifiersAccept
from tallystick.kernel.plans.records import Material, Phase, PlanState, TrancheTerms, Unmet
from tallystick.kernel.plans.refunds import ConsentToRefund, DeclineRefund, RequestRefund
from tallystick.kernel.products.records import Silence
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.accounts import money
from tests.support.chain import Chain
from tests.support.disputes import acceptance_of as consent_to_offer
from tests.support.disputes import (
    disputed,
    in_arbitration,
    last_of_long_stop,
    objection_of,
    offer_of,
    row_of,
    ruling_of,
    settle,
    verified_plan,
)
from tests.support.evidence import acceptance_of, certificates, claim_of, past, rejection_of, round_of, statement_of
from tests.support.plans import PART, check_plans, confirmed, day, funded, funded_plan, plan_of, state_of, tranche
from tests.support.products import Cast, cast
from tests.support.receivables import anchor

MATERIALS = (Material(kind="delivery_note"), Material(kind="photos"))
HALF = PART // 2
HOUR_MS = DAY_MS // 24


@pytest.fixture
def c(chain: Chain) -> Cast:
    return cast(chain)


def certified_step(c: Cast, **fields: object) -> TrancheTerms:
    """Both materials, the carrier's own statement, and two of three verifiers; up to its amount."""
    condition = AllOf(
        of=(
            DocumentsIn(),
            DataStated(source=c.source, kind="waybill"),
            VerifiersAccept(needed=2, verifiers=c.verifiers),
        )
    )
    said = {"condition": condition, "materials": MATERIALS, "up_to": True, "release_from_on": day(3, 3), **fields}
    return tranche(**said)


@pytest.fixture
def plan(chain: Chain, c: Cast) -> str:
    return funded_plan(chain, c, certified_step(c))


def accept(chain: Chain, c: Cast, plan: str, *amounts: int) -> None:
    for verifier, units in zip(c.verifiers, amounts, strict=False):
        chain.do(acceptance_of(chain, plan, units), by=verifier)


def over(chain: Chain, plan: str, payee: int, payer: int) -> None:
    """The plan has ended, nothing stands in its escrow, and both sides got what they were to get of it."""
    row = plan_of(chain, plan)
    assert (row.state, row.held) == (PlanState.COMPLETED, 0)
    assert (row.released, row.refunded) == (payee, payer)
    check_plans(chain)


def test_materials_are_submitted_verified_and_the_release_follows(chain: Chain, c: Cast, plan: str) -> None:
    paid = money(chain, c.payee)
    chain.do(claim_of(chain, plan, PART - 100), by=c.payee)
    evidence = round_of(chain, plan)
    assert [(each.by, each.anchor) for each in evidence.materials] == [
        (c.payee, anchor("delivery_note")),
        (c.payee, anchor("photos")),
    ]
    assert "evidence.claimed" in chain.told(c.verifiers[0])
    chain.do(statement_of(plan, "waybill"), by=c.source)
    accept(chain, c, plan, PART - 100)
    assert state_of(chain, plan).phase is Phase.EVIDENCE_IN, "one of three is not enough"
    chain.do(acceptance_of(chain, plan, PART - 300), by=c.verifiers[2])
    assert (state_of(chain, plan).phase, state_of(chain, plan).certified) == (Phase.VERIFIED, PART - 300)
    assert round_of(chain, plan).state is EvidenceState.MET
    past(chain, state_of(chain, plan).object_until)
    assert money(chain, c.payee) == paid + PART - 300, "the lowest amount that was certified"
    assert {each.by for each in certificates(chain, plan)[0].conditions} == {
        (c.payee,),
        (c.source,),
        (c.verifiers[0], c.verifiers[2]),
    }
    over(chain, plan, payee=PART - 300, payer=300)


def test_what_the_plan_does_not_ask_for_is_no_evidence(chain: Chain, c: Cast, plan: str) -> None:
    chain.do(claim_of(chain, plan, materials=(anchor("photos"),)), by=c.payee, expect=Status.MATERIAL_DIFFERS)
    chain.do(claim_of(chain, plan, PART + 1), by=c.payee, expect=Status.OVER_AVAILABLE)
    chain.do(statement_of(plan, "invoice"), by=c.source, expect=Status.MATERIAL_DIFFERS)
    for other in (c.payer, c.platform, c.verifiers[0]):
        chain.do(claim_of(chain, plan), by=other, expect=Status.NOT_A_PARTY)
    chain.do(claim_of(chain, plan), by=c.payee)
    for other in (c.payer, c.payee, c.platform, c.source):
        chain.do(acceptance_of(chain, plan), by=other, expect=Status.NOT_A_PARTY)
    chain.do(acceptance_of(chain, plan), by=c.verifiers[0])
    chain.do(acceptance_of(chain, plan), by=c.verifiers[0], expect=Status.ALREADY_DECIDED)


def test_a_step_without_its_money_takes_no_evidence(chain: Chain, c: Cast) -> None:
    plan = funded(chain, confirmed(chain, c, certified_step(c)), PART - 1)
    chain.do(claim_of(chain, plan), by=c.payee, expect=Status.NOT_FUNDED)
    chain.do(statement_of(plan, "waybill"), by=c.source, expect=Status.NOT_FUNDED)
    funded(chain, plan)
    chain.do(claim_of(chain, plan), by=c.payee)


def test_sent_back_it_may_be_brought_again_in_so_many_rounds(chain: Chain, c: Cast, plan: str) -> None:
    chain.do(statement_of(plan, "waybill"), by=c.source)
    for left in (2, 1, 0):
        chain.do(claim_of(chain, plan), by=c.payee)
        for verifier in c.verifiers[:2]:
            chain.do(rejection_of(chain, plan, reason="blurred"), by=verifier)
        assert round_of(chain, plan).state is EvidenceState.SENT_BACK
        assert [answer.reason for answer in round_of(chain, plan).answers] == ["blurred", "blurred"]
        assert state_of(chain, plan).rounds == 3 - left
    chain.do(claim_of(chain, plan), by=c.payee, expect=Status.TOO_MANY)
    assert state_of(chain, plan).phase is Phase.WAITING


@pytest.mark.parametrize("meaning", list(Silence))
def test_silence_means_what_the_plan_says(chain: Chain, c: Cast, meaning: Silence) -> None:
    plan = funded_plan(chain, c, certified_step(c, on_silence=meaning))
    chain.do(statement_of(plan, "waybill"), by=c.source)
    chain.do(claim_of(chain, plan, HALF), by=c.payee)
    answer_by = state_of(chain, plan).answer_by
    assert answer_by is not None
    chain.wait(until=answer_by.plus(-HOUR_MS))
    assert state_of(chain, plan).phase is Phase.EVIDENCE_IN
    past(chain, answer_by)
    assert "evidence.silent" in chain.told(c.payee)
    if meaning is Silence.ACCEPT:
        past(chain, state_of(chain, plan).object_until)
        over(chain, plan, payee=HALF, payer=HALF)
        return
    (dispute,) = plan_of(chain, plan).disputes
    assert (row_of(c, dispute).cause, row_of(c, dispute).units) == ("silence", HALF)
    settle(c, dispute, HALF // 2)
    over(chain, plan, payee=HALF // 2, payer=PART - HALF // 2)


@pytest.mark.parametrize("meaning", list(Unmet))
def test_what_is_not_met_in_time_ends_as_the_plan_says(chain: Chain, c: Cast, meaning: Unmet) -> None:
    days = {"extend_days": 10} if meaning is Unmet.EXTEND else {}
    plan = funded_plan(chain, c, certified_step(c, if_unmet=meaning, **days))
    before = state_of(chain, plan).unmet_at
    past(chain, before)
    match meaning:
        case Unmet.REFUND:
            over(chain, plan, payee=0, payer=PART)
        case Unmet.DISPUTE:
            (dispute,) = plan_of(chain, plan).disputes
            assert row_of(c, dispute).cause == "unmet"
            settle(c, dispute, 0)
            over(chain, plan, payee=0, payer=PART)
        case Unmet.EXTEND:
            assert before is not None
            assert state_of(chain, plan).unmet_at == before.plus(10 * DAY_MS)
            assert chain.told(c.payee)[-1] == "tranche.extended"
            chain.do(claim_of(chain, plan), by=c.payee)


def test_an_objection_holds_back_its_amount_alone_until_the_sides_agree(chain: Chain, c: Cast) -> None:
    plan = verified_plan(c)
    chain.do(objection_of(plan, 3_000), by=c.payer)
    (dispute,) = plan_of(chain, plan).disputes
    past(chain, state_of(chain, plan).object_until)
    assert (plan_of(chain, plan).released, plan_of(chain, plan).held) == (PART - 3_000, 3_000)
    chain.do(offer_of(dispute, 2_000), by=c.payee)
    chain.do(consent_to_offer(dispute, 2_000), by=c.payee, expect=Status.WRONG_STATE)
    chain.do(consent_to_offer(dispute, 2_000), by=c.payer)
    assert row_of(c, dispute).state is DisputeState.SETTLED
    over(chain, plan, payee=PART - 1_000, payer=1_000)


def test_what_the_sides_do_not_settle_the_named_arbitrator_rules_on(chain: Chain, c: Cast) -> None:
    plan = funded_plan(chain, c)
    dispute = in_arbitration(c, plan, PART)
    assert chain.told(c.arbitrator)[-1] == "dispute.in_arbitration"
    for other in (c.payer, c.payee, c.platform, c.auditor):
        chain.do(ruling_of(c, dispute, PART), by=other, expect=Status.NOT_A_PARTY)
    chain.do(ruling_of(c, dispute, PART + 1), by=c.arbitrator, expect=Status.OVER_DISPUTED)
    chain.do(ruling_of(c, dispute, HALF + 1), by=c.arbitrator)
    row = row_of(c, dispute)
    assert (row.state, row.ruling) == (DisputeState.RULED, anchor("ruling", dispute))
    assert [each.cause for each in certificates(chain, plan)] == ["ruling"]
    over(chain, plan, payee=HALF + 1, payer=HALF - 1)


def test_what_nobody_rules_on_is_divided_at_the_long_stop_as_agreed(chain: Chain, c: Cast) -> None:
    plan = funded_plan(chain, c, default_split=70)
    dispute = disputed(c, plan, PART)
    until = last_of_long_stop(c, plan)
    chain.wait(until=until.plus(-HOUR_MS))
    assert row_of(c, dispute).state is DisputeState.ARBITRATION
    past(chain, until)
    assert row_of(c, dispute).state is DisputeState.BY_DEFAULT
    over(chain, plan, payee=PART * 70 // 100, payer=PART * 30 // 100)


def answer_of(refund: str, ends: RefundState) -> Operation:
    """What the payee says."""
    if ends is RefundState.BOOKED:
        return ConsentToRefund(refund=refund, currency="CNY", units=Units(HALF))
    return DeclineRefund(refund=refund, reason="work_has_begun")


@pytest.mark.parametrize("ends", [RefundState.BOOKED, RefundState.DECLINED, RefundState.LAPSED])
def test_money_goes_back_before_its_release_only_if_the_payee_agrees(chain: Chain, c: Cast, ends: RefundState) -> None:
    plan = funded_plan(chain, c, tranche(fund_by_on=day(3, 3)))
    before = money(chain, c.payer)
    ask = RequestRefund(plan=plan, tranche=1, currency="CNY", units=Units(HALF), reason="smaller_order")
    chain.do(ask, by=c.payee, expect=Status.NOT_A_PARTY)
    refund = chain.do(ask, by=c.payer).events[0].record
    if ends is RefundState.LAPSED:
        past(chain, chain.row(Refund, refund).deadline)
    else:
        chain.do(answer_of(refund, ends), by=c.payer, expect=Status.NOT_A_PARTY)
        chain.do(answer_of(refund, ends), by=c.payee)
    assert chain.row(Refund, refund).state is ends
    back = HALF if ends is RefundState.BOOKED else 0
    assert (money(chain, c.payer) - before, plan_of(chain, plan).held) == (back, PART - back)
    check_plans(chain)
