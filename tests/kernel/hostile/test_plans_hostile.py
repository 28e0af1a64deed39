"""Games with a plan's money: a thing asked twice, by two at once, or turned around between seeing and signing."""

import pytest

from tallystick.kernel import machine
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.machine import Result
from tallystick.kernel.membership.standing import SucceedMember
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.cancelling import CancelPlan
from tallystick.kernel.plans.conditions import PayerAccepts, VerifiersAccept
from tallystick.kernel.plans.disputes import MAX_DECIDED
from tallystick.kernel.plans.records import Phase, PlanState, Unmet
from tallystick.kernel.plans.refunds import ConsentToRefund, RequestRefund
from tallystick.kernel.plans.releasing import ReleaseTranche
from tallystick.kernel.transaction import Transaction, read
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.accounts import money
from tests.support.disputes import (
    acceptance_of,
    certify,
    claimed,
    dispute_of,
    disputed,
    in_arbitration,
    last_of_negotiation,
    last_of_objections,
    objection_of,
    offer_of,
    opened_by,
    paid_in,
    row_of,
    ruling_of,
    settle,
    verifiable,
    verified_plan,
)
from tests.support.plans import (
    PART,
    amendment_of,
    check_plans,
    consent_of,
    funded,
    plan_of,
    state_of,
)
from tests.support.products import MILLION, Cast, cast
from tests.support.receivables import anchor

FUNDS = 10 * MILLION


def in_one_block(c: Cast, *asked: tuple[str, Operation]) -> list[Status]:
    """What becomes of transactions signed against the same state, one after another in one block."""
    world = c.world
    block = world.block()
    overlay = Overlay(world.state)
    results: list[Result] = []
    for index, (by, operation) in enumerate(asked):
        transaction = read(world.sign(operation, by=by))
        assert isinstance(transaction, Transaction)
        assert machine.door(overlay, world.chain, block, transaction) is None
        results.append(machine.execute(overlay, world.chain, block, index, transaction))
    world.state.commit(overlay)
    world.height += 1
    return [result.status for result in results]


def release_of(plan_id: str, units: int = PART) -> ReleaseTranche:
    return ReleaseTranche(plan=plan_id, tranche=1, currency="CNY", units=Units(units))


def test_a_release_is_asked_by_two_members_in_one_block() -> None:
    c = cast()
    plan_id = verified_plan(c)
    c.world.now = last_of_objections(c, plan_id).plus(1)
    release = release_of(plan_id)
    assert in_one_block(c, (c.payee, release), (c.platform, release)) == [Status.OK, Status.WRONG_STATE]
    assert money(c.world, c.payee) == PART
    check_plans(c.world)


def test_a_release_of_a_plan_that_goes_on_is_asked_twice() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c), verifiable(c))
    certify(c, plan_id, PART)
    c.world.now = last_of_objections(c, plan_id).plus(1)
    release = release_of(plan_id)
    assert in_one_block(c, (c.payee, release), (c.payer, release)) == [Status.OK, Status.ALREADY_RELEASED]
    c.world.wait()
    assert money(c.world, c.payee) == PART
    check_plans(c.world)


def test_one_transaction_releases_twice() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c), verifiable(c))
    certify(c, plan_id, PART)
    c.world.now = last_of_objections(c, plan_id).plus(1)
    release = release_of(plan_id)
    c.world.do(release, release, by=c.payee, expect=Status.ALREADY_RELEASED)
    assert money(c.world, c.payee) == 0


def test_a_dispute_is_accepted_and_ruled_on_in_one_block() -> None:
    for ruled_first in (False, True):
        c = cast()
        plan_id = paid_in(c, verifiable(c))
        dispute_id = in_arbitration(c, plan_id, 100)
        c.world.do(offer_of(dispute_id, 70), by=c.payer)
        steps = [(c.payee, acceptance_of(dispute_id, 70)), (c.arbitrator, ruling_of(c, dispute_id, 20))]
        asked = reversed(steps) if ruled_first else steps
        assert in_one_block(c, *asked) == [Status.OK, Status.WRONG_STATE]
        assert money(c.world, c.payee) == (20 if ruled_first else 70)
        assert state_of(c.world, plan_id).disputed == 0
        check_plans(c.world)


def test_an_offer_is_changed_in_the_block_in_which_it_is_accepted() -> None:
    """Only the amount that the acceptance names is accepted, whatever stands there by then."""
    c = cast()
    dispute_id = disputed(c, paid_in(c, verifiable(c)), 100)
    c.world.do(offer_of(dispute_id, 70), by=c.payer)
    lower = (c.payer, offer_of(dispute_id, 10))
    assert in_one_block(c, lower, (c.payee, acceptance_of(dispute_id, 70))) == [Status.OK, Status.AMOUNT_DIFFERS]
    assert money(c.world, c.payee) == 0
    higher = (c.payer, offer_of(dispute_id, 70))
    assert in_one_block(c, (c.payee, acceptance_of(dispute_id, 10)), higher) == [Status.OK, Status.WRONG_STATE]
    assert money(c.world, c.payee) == 10


def test_an_offer_is_countered_in_the_block_in_which_it_is_accepted() -> None:
    """The one who countered can't take the other's acceptance of the old offer for its own."""
    c = cast()
    dispute_id = disputed(c, paid_in(c, verifiable(c)), 100)
    c.world.do(offer_of(dispute_id, 30), by=c.payer)
    counter = (c.payee, offer_of(dispute_id, 30))
    assert in_one_block(c, counter, (c.payee, acceptance_of(dispute_id, 30))) == [Status.OK, Status.WRONG_STATE]


def test_one_side_opens_offers_and_accepts_alone() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    dispute_id = disputed(c, plan_id, 100, c.payee)
    offer, accept = offer_of(dispute_id, 100), acceptance_of(dispute_id, 100)
    c.world.do(offer, accept, by=c.payee, expect=Status.WRONG_STATE)
    c.world.do(offer, by=c.payee)
    c.world.do(accept, by=c.payee, expect=Status.WRONG_STATE)
    assert money(c.world, c.payee) == 0


def test_one_amount_is_refunded_twice() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    request = RequestRefund(plan=plan_id, tranche=1, currency="CNY", units=Units(PART))
    refund_id = c.world.do(request, by=c.payer).events[0].record
    consent = ConsentToRefund(refund=refund_id, currency="CNY", units=Units(PART))
    assert in_one_block(c, (c.payee, consent), (c.payee, consent)) == [Status.OK, Status.WRONG_STATE]
    assert money(c.world, c.payer) == FUNDS
    check_plans(c.world)


def test_money_asked_back_is_disputed_before_the_payee_consents() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    request = RequestRefund(plan=plan_id, tranche=1, currency="CNY", units=Units(PART))
    refund_id = c.world.do(request, by=c.payer).events[0].record
    consent = (c.payee, ConsentToRefund(refund=refund_id, currency="CNY", units=Units(PART)))
    dispute = (c.payer, dispute_of(plan_id, PART))
    assert in_one_block(c, dispute, consent) == [Status.OK, Status.OVER_AVAILABLE]
    settle(c, plan_of(c.world, plan_id).disputes[0], 0)
    assert (money(c.world, c.payer), plan_of(c.world, plan_id).state) == (FUNDS, PlanState.COMPLETED)
    check_plans(c.world)


def test_a_plan_is_cancelled_by_sums_that_a_dispute_has_changed() -> None:
    """Both signed what they saw; what is disputed in between is not given back with the rest."""
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    cancel = CancelPlan(plan=plan_id, currency="CNY", units=Units(PART), to_payee=Units(0))
    disputed(c, plan_id, 1, c.payee)
    c.world.do(cancel, by=c.payer, also=(c.payee,), expect=Status.AMOUNT_DIFFERS)
    assert plan_of(c.world, plan_id).held == PART


def test_a_payee_disputes_what_the_payer_is_about_to_get_back() -> None:
    """The window has ended, the block has not done its work yet: it is too late to hold the money up."""
    c = cast()
    plan_id = paid_in(c, verifiable(c, if_unmet=Unmet.REFUND))
    until = state_of(c.world, plan_id).unmet_at
    assert until is not None
    c.world.now = until.plus(1)
    c.world.do(dispute_of(plan_id, PART), by=c.payee, expect=Status.DEADLINE_PASSED)
    c.world.wait()
    assert money(c.world, c.payer) == FUNDS


def test_a_payer_disputes_what_the_payee_is_about_to_get() -> None:
    c = cast()
    plan_id = verified_plan(c)
    c.world.now = last_of_objections(c, plan_id).plus(1)
    for late in (objection_of(plan_id, PART), dispute_of(plan_id, PART)):
        c.world.do(late, by=c.payer, expect=Status.DEADLINE_PASSED)
    c.world.wait()
    assert money(c.world, c.payee) == PART


def test_no_way_through_disputes_pays_for_an_unmet_condition() -> None:
    """Objecting, offering, asking back, amending, cancelling alone: the payee gets nothing without another's word."""
    c = cast()
    plan_id = paid_in(c, verifiable(c, if_unmet=Unmet.REFUND))
    world = c.world
    world.do(objection_of(plan_id, PART), by=c.payee, expect=Status.WRONG_STATE)
    world.do(release_of(plan_id), by=c.payee, expect=Status.CONDITION_NOT_MET)
    dispute_id = disputed(c, plan_id, 100, c.payee)
    world.do(offer_of(dispute_id, 100), by=c.payee)
    world.do(acceptance_of(dispute_id, 100), by=c.payee, expect=Status.WRONG_STATE)
    world.do(ruling_of(c, dispute_id, 100), by=c.payee, expect=Status.NOT_A_PARTY)
    certify(c, plan_id, PART, by=c.verifiers[:1])
    world.do(release_of(plan_id), by=c.payee, expect=Status.CONDITION_NOT_MET)
    easier = verifiable(c, condition=VerifiersAccept(needed=1, verifiers=c.verifiers), if_unmet=Unmet.REFUND)
    world.do(amendment_of(world, plan_id, easier), by=c.payee, expect=Status.NOT_A_PARTY)
    alone = CancelPlan(plan=plan_id, currency="CNY", units=Units(PART - 100), to_payee=Units(0))
    world.do(alone, by=c.payee, expect=Status.NOT_A_PARTY)
    until = state_of(world, plan_id).unmet_at
    assert until is not None
    world.wait(until=until.plus(1))
    assert money(world, c.payee) == 0
    check_plans(world)


def test_the_answers_to_one_round_do_not_verify_what_an_amendment_made_of_it() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    claimed(c, plan_id, PART)
    certify(c, plan_id, PART, by=c.verifiers[:1])
    easier = verifiable(c, condition=VerifiersAccept(needed=1, verifiers=c.verifiers))
    c.world.do(amendment_of(c.world, plan_id, easier), by=c.payer, expect=Status.AMENDMENT_TAKES_BACK)
    assert state_of(c.world, plan_id).phase is Phase.EVIDENCE_IN


def test_disputed_money_is_not_amended_away() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c), verifiable(c))
    disputed(c, plan_id, 6_000_000)
    less = amendment_of(c.world, plan_id, verifiable(c, 5_999_999), verifiable(c))
    c.world.do(less, by=c.payer, expect=Status.AMENDMENT_TAKES_BACK)
    enough = amendment_of(c.world, plan_id, verifiable(c, 6_000_000), verifiable(c))
    c.world.do(enough, by=c.payer)
    c.world.do(consent_of(c.world, plan_id), by=c.payee)
    assert state_of(c.world, plan_id).disputed == state_of(c.world, plan_id).held == 6_000_000
    check_plans(c.world)


def test_a_dispute_that_comes_between_an_amendment_and_its_confirmation_is_seen() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c), verifiable(c))
    c.world.do(amendment_of(c.world, plan_id, verifiable(c, 1_000), verifiable(c)), by=c.payer)
    confirms = consent_of(c.world, plan_id)
    disputed(c, plan_id, 1_001)
    c.world.do(confirms, by=c.payee, expect=Status.AMENDMENT_TAKES_BACK)


def test_what_was_settled_is_not_released_again_by_being_certified() -> None:
    """Over and over: dispute, settle for all of it, certify the whole amount; the payee has the amount once."""
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    for _ in range(4):
        settle(c, disputed(c, plan_id, PART // 5), PART // 5)
    certify(c, plan_id, PART)
    settle(c, opened_by(c, objection_of(plan_id, PART // 5), c.payer), PART // 5)
    c.world.do(dispute_of(plan_id, 1), by=c.payee, expect=Status.OVER_AVAILABLE)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (PART, FUNDS - PART)
    assert plan_of(c.world, plan_id).state is PlanState.COMPLETED
    check_plans(c.world)


def test_a_verifier_that_merges_into_the_payee_takes_its_word_with_it() -> None:
    """What it said as a verifier counts; what it says as the payee does not."""
    c = cast()
    plan_id = paid_in(c, verifiable(c, if_unmet=Unmet.REFUND))
    c.world.do(SucceedMember(member=c.payee, successor=c.verifiers[0], order=anchor("order")), by=c.auditor)
    said = AcceptEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(PART))
    c.world.do(said, by=c.verifiers[0], expect=Status.MUST_RECUSE)
    certify(c, plan_id, PART, by=c.verifiers[1:])
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert money(c.world, c.verifiers[0]) == PART


def test_a_payer_that_disputes_all_and_says_nothing_more_gains_only_what_both_agreed_to() -> None:
    """Its dispute outlasts everything else; the default split is the worst that it can do to the payee."""
    c = cast()
    plan_id = paid_in(c, verifiable(c, condition=PayerAccepts()), default_split=100)
    dispute_id = disputed(c, plan_id, PART)
    c.world.wait(until=last_of_negotiation(c, dispute_id).plus(1))
    until = plan_of(c.world, plan_id).long_stop_at
    assert until is not None
    c.world.wait(until=until.plus(1))
    assert (row_of(c, dispute_id).to_payee, money(c.world, c.payee)) == (PART, PART)
    check_plans(c.world)


@pytest.mark.parametrize("comes_first", [True, False])
def test_money_that_comes_for_a_tranche_whose_money_is_disputed_is_not_disputed_with_it(comes_first: bool) -> None:
    """Nor does the tranche end with the dispute as long as the rest of its money has not come."""
    c = cast()
    plan_id = paid_in(c, verifiable(c), units=4_000_000)
    dispute_id = disputed(c, plan_id, 4_000_000)
    if comes_first:
        funded(c.world, plan_id)
    settle(c, dispute_id, 0)
    if not comes_first:
        funded(c.world, plan_id)
    assert (state_of(c.world, plan_id).phase, state_of(c.world, plan_id).free) == (Phase.WAITING, 6_000_000)
    certify(c, plan_id, PART)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (6_000_000, FUNDS - 6_000_000)
    check_plans(c.world)


def test_disputes_settled_without_end_do_not_let_a_row_grow_without_end() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    for _ in range(MAX_DECIDED):
        settle(c, disputed(c, plan_id, 1), 1)
    c.world.do(dispute_of(plan_id, 1), by=c.payer, expect=Status.TOO_MANY)
    certify(c, plan_id, PART)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert money(c.world, c.payee) == PART
    check_plans(c.world)
