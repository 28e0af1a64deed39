"""refund.request, .consent, .decline and the lapse of a request."""

from typing import Any

import pytest

from tallystick.kernel.accounts.freezes import FreezeAccount
from tallystick.kernel.plans import escrow
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.cancelling import CancelPlan
from tallystick.kernel.plans.cases import Refund, RefundState
from tallystick.kernel.plans.records import Phase, PlanState
from tallystick.kernel.plans.refunds import ConsentToRefund, DeclineRefund, RequestRefund
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.status import Status
from tests.support.accounts import money
from tests.support.disputes import disputed
from tests.support.plans import (
    PART,
    check_plans,
    confirmed,
    funded,
    funded_plan,
    plan_of,
    proposed,
    state_of,
    tranche,
    version_row,
)
from tests.support.products import MILLION, Cast, cast
from tests.support.receivables import anchor

NOBODY = "0" * 16


@pytest.fixture
def c() -> Cast:
    return cast()


def request(plan_id: str, units: int, **fields: Any) -> RequestRefund:
    return RequestRefund(**{"plan": plan_id, "tranche": 1, "currency": "CNY", "units": Units(units), **fields})


def requested(c: Cast, plan_id: str, units: int, **fields: Any) -> str:
    return c.world.do(request(plan_id, units, **fields), by=c.payer).events[0].record


def consent(refund: str, units: int, **fields: Any) -> ConsentToRefund:
    return ConsentToRefund(**{"refund": refund, "currency": "CNY", "units": Units(units), **fields})


def row_of(c: Cast, refund: str) -> Refund:
    found: Refund = c.world.row(Refund, refund)
    return found


def test_a_refund_is_asked_for_consented_to_and_booked(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c, tranche(), tranche())
    result = world.do(request(plan_id, 400, reason="scope_reduced"), by=c.payer, vector="refund.request/requested")
    refund = result.events[0].record
    assert {c.payer, c.payee} == set(result.events[0].audience)
    assert plan_of(world, plan_id).refunds == (refund,)
    world.do(consent(refund, 400), by=c.payee, vector="refund.consent/booked")
    assert row_of(c, refund).state is RefundState.BOOKED
    assert plan_of(world, plan_id).refunds == ()
    state = state_of(world, plan_id)
    assert (state.held, state.refunded, money(world, c.payer)) == (PART - 400, 400, 10 * MILLION - 2 * PART + 400)
    assert escrow.amount_of(state, tranche()) == PART - 400, "the tranche's amount is lower by it"
    assert escrow.missing(plan_of(world, plan_id), version_row(world, plan_id)) == ZERO, "and it is not asked for again"
    check_plans(world)


def test_what_is_left_of_the_tranche_is_released(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c, objection_days=0)
    world.do(consent(requested(c, plan_id, 400), 400), by=c.payee)
    whole = AcceptEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(PART))
    world.do(whole, by=c.payer, expect=Status.OVER_AVAILABLE)
    rest = AcceptEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(PART - 400))
    world.do(rest, by=c.payer)
    world.wait(until=state_of(world, plan_id).release_at)
    assert money(world, c.payee) == PART - 400
    assert plan_of(world, plan_id).state is PlanState.COMPLETED
    check_plans(world)


def test_a_tranche_that_goes_back_whole_ends_and_makes_room_under_the_product(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c, tranche(), tranche())
    product_id = plan_of(world, plan_id).product
    assert c.product(product_id).committed == 2 * PART
    world.do(consent(requested(c, plan_id, PART), PART), by=c.payee, vector="refund.consent/of_a_whole_tranche")
    assert state_of(world, plan_id).phase is Phase.ENDED
    assert c.product(product_id).committed == PART
    second = requested(c, plan_id, PART, tranche=2)
    world.do(consent(second, PART), by=c.payee, vector="refund.consent/of_the_last_tranche")
    assert plan_of(world, plan_id).state is PlanState.COMPLETED
    assert (c.product(product_id).committed, c.product(product_id).live_plans) == (0, 0)
    assert money(world, c.payer) == 10 * MILLION
    check_plans(world)


def test_part_of_a_tranche_that_still_waits_for_funds(c: Cast) -> None:
    world = c.world
    plan_id = funded(world, confirmed(world, c), 300)
    world.do(consent(requested(c, plan_id, 300), 300), by=c.payee)
    state = state_of(world, plan_id)
    assert state.phase is Phase.WAITING, "what was not deposited yet still is to be"
    assert escrow.missing(plan_of(world, plan_id), version_row(world, plan_id)) == PART - 300
    assert escrow.amount_of(state, tranche()) == PART - 300
    check_plans(world)


def test_what_was_deposited_beyond_the_amount_goes_back_without_lowering_it(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c, tranche(fund_units=Units(PART + 50)))
    world.do(consent(requested(c, plan_id, 60), 60), by=c.payee)
    assert escrow.amount_of(state_of(world, plan_id), version_row(world, plan_id).tranches[0]) == PART - 10
    check_plans(world)


def test_a_tranche_that_recovers_an_advance_goes_back_whole(c: Cast) -> None:
    world = c.world
    advance = tranche(advance=True)
    plan_id = funded_plan(world, c, advance, tranche(recovery=Rate.parse("20")))
    part = request(plan_id, 1, tranche=2)
    world.do(part, by=c.payer, expect=Status.AMOUNT_DIFFERS, vector="refund.request/amount_differs")
    world.do(consent(requested(c, plan_id, PART, tranche=2), PART), by=c.payee)
    assert state_of(world, plan_id, 2).phase is Phase.ENDED
    check_plans(world)


def test_the_payee_declines(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c)
    refund = requested(c, plan_id, 400)
    decline = DeclineRefund(refund=refund, reason="work_under_way")
    world.do(decline, by=c.payer, expect=Status.NOT_A_PARTY, vector="refund.decline/not_a_party")
    world.do(decline, by=c.payee, vector="refund.decline/declined")
    assert (row_of(c, refund).state, plan_of(world, plan_id).refunds) == (RefundState.DECLINED, ())
    assert plan_of(world, plan_id).held == PART
    world.do(decline, by=c.payee, expect=Status.WRONG_STATE, vector="refund.decline/wrong_state")
    unknown = DeclineRefund(refund="rfd_" + NOBODY, reason="work_under_way")
    world.do(unknown, by=c.payee, expect=Status.NOT_FOUND, vector="refund.decline/not_found")
    requested(c, plan_id, 400)


def test_silence_is_no_consent(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c)
    refund = requested(c, plan_id, 400)
    deadline = row_of(c, refund).deadline
    assert world.wait(until=deadline) == []
    assert row_of(c, refund).state is RefundState.REQUESTED, "a window is open at its end"
    late = deadline.plus(1)
    world.now = late
    world.do(consent(refund, 400), by=c.payee, expect=Status.DEADLINE_PASSED, vector="refund.consent/deadline_passed")
    decline = DeclineRefund(refund=refund, reason="late")
    world.do(decline, by=c.payee, expect=Status.DEADLINE_PASSED, vector="refund.decline/deadline_passed")
    assert [event.kind for event in world.wait(until=late)] == ["refund.lapsed"]
    assert (row_of(c, refund).state, plan_of(world, plan_id).refunds) == (RefundState.LAPSED, ())
    assert plan_of(world, plan_id).held == PART
    check_plans(world)


def test_consent_at_the_windows_end_counts(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c)
    refund = requested(c, plan_id, 400)
    world.wait(until=row_of(c, refund).deadline)
    world.do(consent(refund, 400), by=c.payee)
    assert plan_of(world, plan_id).held == PART - 400


def test_asking_for_money_back(c: Cast) -> None:
    world = c.world
    name = "refund.request"
    plan_id = funded_plan(world, c, tranche(), tranche())
    world.do(request("pln_" + NOBODY, 1), by=c.payer, expect=Status.NOT_FOUND, vector=f"{name}/plan_not_found")
    world.do(request(plan_id, 1, tranche=3), by=c.payer, expect=Status.NOT_FOUND, vector=f"{name}/tranche_not_found")
    world.do(request(plan_id, 1), by=c.payee, expect=Status.NOT_A_PARTY, vector=f"{name}/not_a_party")
    pounds = request(plan_id, 1, currency="GBP")
    world.do(pounds, by=c.payer, expect=Status.CURRENCY_MISMATCH, vector=f"{name}/currency_mismatch")
    world.do(request(plan_id, 0), by=c.payer, expect=Status.AMOUNT_ZERO, vector=f"{name}/amount_zero")
    over = request(plan_id, PART + 1)
    world.do(over, by=c.payer, expect=Status.OVER_AVAILABLE, vector=f"{name}/over_available")
    requested(c, plan_id, 1)
    world.do(request(plan_id, 2), by=c.payer, expect=Status.RECORD_EXISTS, vector=f"{name}/record_exists")
    requested(c, plan_id, 2, tranche=2)
    pending = proposed(world, c)
    world.do(request(pending, 1), by=c.payer, expect=Status.WRONG_STATE, vector=f"{name}/plan_not_active")


def test_disputed_money_cannot_be_asked_back(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c)
    disputed(c, plan_id, 700)
    world.do(request(plan_id, PART - 699), by=c.payer, expect=Status.OVER_AVAILABLE)
    world.do(consent(requested(c, plan_id, PART - 700), PART - 700), by=c.payee)
    assert (state_of(world, plan_id).held, state_of(world, plan_id).disputed) == (700, 700)
    check_plans(world)


def test_verified_money_cannot_be_asked_back(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c)
    refund = requested(c, plan_id, 400)
    accept = AcceptEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(PART))
    world.do(accept, by=c.payer)
    world.do(consent(refund, 400), by=c.payee, expect=Status.WRONG_STATE, vector="refund.consent/verified_since")
    world.wait(until=state_of(world, plan_id).release_at)
    assert row_of(c, refund).state is RefundState.LAPSED, "the request ends with its tranche"
    assert plan_of(world, plan_id).refunds == ()
    check_plans(world)


def test_consenting(c: Cast) -> None:
    world = c.world
    name = "refund.consent"
    plan_id = funded_plan(world, c)
    refund = requested(c, plan_id, 400)
    world.do(consent("rfd_" + NOBODY, 1), by=c.payee, expect=Status.NOT_FOUND, vector=f"{name}/not_found")
    world.do(consent(refund, 400), by=c.payer, expect=Status.NOT_A_PARTY, vector=f"{name}/not_a_party")
    world.do(consent(refund, 399), by=c.payee, expect=Status.AMOUNT_DIFFERS, vector=f"{name}/amount_differs")
    pounds = consent(refund, 400, currency="GBP")
    world.do(pounds, by=c.payee, expect=Status.CURRENCY_MISMATCH, vector=f"{name}/currency_mismatch")
    freeze = FreezeAccount(plan=plan_id, currency="CNY", units=Units(PART - 399), authority_order=anchor("court_order"))
    world.do(freeze, by=c.custodian)
    world.do(consent(refund, 400), by=c.payee, expect=Status.ACCOUNT_FROZEN, vector=f"{name}/account_frozen")
    dispute = disputed(c, plan_id, PART - 399)
    assert dispute
    world.do(consent(refund, 400), by=c.payee, expect=Status.OVER_AVAILABLE, vector=f"{name}/over_available")
    check_plans(world)


def test_a_request_ends_with_its_plan(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c)
    refund = requested(c, plan_id, 400)
    cancel = CancelPlan(plan=plan_id, currency="CNY", units=Units(PART), to_payee=ZERO)
    world.do(cancel, by=c.payer, also=(c.payee,))
    assert row_of(c, refund).state is RefundState.LAPSED
    world.do(consent(refund, 400), by=c.payee, expect=Status.WRONG_STATE, vector="refund.consent/wrong_state")
    check_plans(world)
