"""deposit.reverse where the deposit went to a plan: in which order money is taken back, and what it leaves alone."""

import datetime
from typing import Any

import pytest

from tallystick.kernel.accounts.deposits import Deposit, DepositState
from tallystick.kernel.accounts.freezes import FreezeAccount
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.accounts.reversing import ReverseDeposit
from tallystick.kernel.machine import Result
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.conditions import OnDate
from tallystick.kernel.plans.lookup import standing
from tallystick.kernel.plans.records import Phase, PlanState, Retention
from tallystick.kernel.products.records import FeePayer, FeeTerms
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.status import Status
from tests.support.accounts import held_for, money, stands
from tests.support.disputes import disputed
from tests.support.plans import PART, check_plans, confirmed, deposited, funded, plan_of, state_of, tranche
from tests.support.products import Cast, cast
from tests.support.receivables import anchor

BY_DATE = {"condition": OnDate(on=datetime.date(2026, 4, 1))}


@pytest.fixture
def c() -> Cast:
    return cast(funds=0)


def reverse(c: Cast, deposit: str, vector: str = "", **fields: Any) -> Result:
    """The bank reverses a deposit."""
    row = c.world.row(Deposit, deposit)
    said = {"deposit": deposit, "currency": row.currency, "units": row.units, "bank_reference": f"REV-{c.world.height}"}
    return c.world.do(ReverseDeposit(**{**said, **fields}), by=c.custodian, vector=vector)


def claim_on(c: Cast) -> int:
    return stands(c.world, f"claim/{c.custodian}/CNY/{c.payer}")


def held(c: Cast, plan_id: str) -> list[int]:
    return [int(each.held) for each in plan_of(c.world, plan_id).tranches]


def spend(c: Cast, units: int) -> None:
    """The payer buys something else."""
    out = TransferFunds(
        source=c.payer_account, target=c.payee_account, currency="CNY", units=Units(units), subject="other_goods"
    )
    c.world.do(out, by=c.payer)


def test_the_payers_account_then_escrow_then_a_claim(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c, tranche(), tranche())
    deposit = deposited(world, plan_id, 2 * PART + 100)
    spend(c, 40)
    result = reverse(c, deposit, vector="deposit.reverse/from_account_and_escrow_with_a_claim")
    assert (money(world, c.payer), held(c, plan_id), claim_on(c)) == (0, [0, 0], 40)
    assert money(world, c.payee) == 40, "the payee keeps what it was paid"
    assert world.row(Deposit, deposit).state is DepositState.REVERSED
    unfunded = next(event for event in result.events if event.kind == "plan.unfunded")
    assert unfunded.facts["missing"] == str(2 * PART)
    assert {c.payer, c.payee} <= set(unfunded.audience)
    check_plans(world)


def test_the_last_tranches_money_goes_first(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c, tranche(), tranche(), tranche())
    deposited(world, plan_id, PART)
    second = deposited(world, plan_id, PART + 5)
    reverse(c, second, vector="deposit.reverse/last_tranche_first")
    assert held(c, plan_id) == [PART, 0, 0]
    third = deposited(world, plan_id, 2 * PART)
    reverse(c, third)
    assert held(c, plan_id) == [PART, 0, 0], "an earlier tranche's money stays"
    assert claim_on(c) == 0
    check_plans(world)


def test_the_fee_reserve_goes_after_the_tranches(c: Cast) -> None:
    world = c.world
    fee = FeeTerms(rate=Rate.parse("1"), minimum=ZERO, paid_by=FeePayer.PAYER)
    plan_id = confirmed(world, c, tranche(), fee=fee)
    reserve = PART // 100
    deposit = deposited(world, plan_id, reserve + 50)
    more = deposited(world, plan_id, 30)
    reverse(c, more)
    assert (plan_of(world, plan_id).fee_reserve, held(c, plan_id)) == (reserve, [50])
    reverse(c, deposit, vector="deposit.reverse/the_fee_reserve_too")
    assert (plan_of(world, plan_id).fee_reserve, held(c, plan_id)) == (0, [0])
    deposited(world, plan_id, reserve + PART)
    assert (plan_of(world, plan_id).fee_reserve, held(c, plan_id)) == (reserve, [PART])
    check_plans(world)


def test_money_that_came_otherwise_is_not_taken(c: Cast) -> None:
    world = c.world
    other = confirmed(world, c)
    deposited(world, other, PART)
    plan_id = confirmed(world, c, tranche(), tranche())
    deposited(world, plan_id, PART)
    deposit = deposited(world, plan_id, PART + 60)
    spend(c, 60)
    reverse(c, deposit, vector="deposit.reverse/no_more_than_the_deposit_brought")
    assert (held(c, plan_id), held(c, other), claim_on(c)) == ([PART, 0], [PART], 60)
    check_plans(world)


def test_what_was_released_is_a_claim_on_the_payer_and_never_on_the_payee(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c, tranche(**BY_DATE), tranche(), objection_days=0)
    deposit = deposited(world, plan_id, PART + 300)
    world.wait(until=state_of(world, plan_id).release_at)
    assert money(world, c.payee) == PART
    reverse(c, deposit, vector="deposit.reverse/released_before")
    assert (money(world, c.payee), held(c, plan_id), claim_on(c)) == (PART, [0, 0], PART)
    check_plans(world)


def test_of_a_plan_that_has_ended_nothing_is_left_to_take(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c, tranche(**BY_DATE), objection_days=0)
    deposit = deposited(world, plan_id, PART)
    world.wait(until=state_of(world, plan_id).release_at)
    assert plan_of(world, plan_id).state is PlanState.COMPLETED
    reverse(c, deposit)
    assert claim_on(c) == PART
    check_plans(world)


def test_what_is_disputed_or_retained_stays(c: Cast) -> None:
    world = c.world
    kept = Retention(rate=Rate.parse("10"), until_on=datetime.date(2026, 11, 2))
    plan_id = confirmed(world, c, tranche(**BY_DATE, retention=kept), tranche(), objection_days=0)
    deposit = deposited(world, plan_id, 2 * PART)
    disputed(c, plan_id, 700, number=2)
    world.wait(until=state_of(world, plan_id).release_at)
    assert state_of(world, plan_id).retained == PART // 10
    reverse(c, deposit, vector="deposit.reverse/disputed_and_retained_stay")
    assert held(c, plan_id) == [PART // 10, 700]
    assert claim_on(c) == 2 * PART - (PART - 700)
    check_plans(world)


def test_frozen_escrow_is_not_taken(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    deposit = deposited(world, plan_id, PART)
    freeze = FreezeAccount(plan=plan_id, currency="CNY", units=Units(600), authority_order=anchor("court_order"))
    world.do(freeze, by=c.custodian)
    reverse(c, deposit, vector="deposit.reverse/frozen_escrow_stays")
    assert (held(c, plan_id), claim_on(c)) == ([600], 600)
    check_plans(world)


def test_a_rest_that_is_held_for_the_payer_is_taken(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    world.do(CloseAccount(account=c.payer_account), by=c.payer)
    deposit = deposited(world, plan_id, PART + 9)
    assert held_for(world, c.payer) == 9
    reverse(c, deposit, vector="deposit.reverse/held_rest")
    assert (held_for(world, c.payer), held(c, plan_id), claim_on(c)) == (0, [0], 0)
    check_plans(world)


def test_a_tranche_that_lacks_money_again_waits_for_it_and_is_overdue_again(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    deposit = deposited(world, plan_id, PART)
    assert state_of(world, plan_id).fund_until is None
    reverse(c, deposit)
    state = state_of(world, plan_id)
    assert standing(state, tranche()) == "awaiting_funds"
    assert str(state.fund_until) == "2026-03-21T23:59:59.999Z", "its own day, which is still to come"
    again = deposited(world, plan_id, PART)
    world.wait(until=state.fund_until.plus(1))
    assert not state_of(world, plan_id).overdue
    reverse(c, again)
    until = state_of(world, plan_id).fund_until
    assert str(until) == "2026-03-27T23:59:59.999Z", "five days from the reversal, as its own day has passed"
    assert [event.kind for event in world.wait(until=until.plus(1))] == ["tranche.overdue"]
    check_plans(world)


def test_a_verified_tranche_waits_for_its_money_and_is_released_when_it_comes(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c, objection_days=0)
    deposit = deposited(world, plan_id, PART)
    accept = AcceptEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(PART))
    world.do(accept, by=c.payer)
    assert state_of(world, plan_id).phase is Phase.VERIFIED
    reverse(c, deposit, vector="deposit.reverse/of_a_verified_tranche")
    world.wait(until=state_of(world, plan_id).release_at)
    assert (state_of(world, plan_id).phase, money(world, c.payee)) == (Phase.VERIFIED, 0)
    deposited(world, plan_id, PART - 1)
    world.wait(1)
    assert state_of(world, plan_id).phase is Phase.VERIFIED
    deposited(world, plan_id, 1)
    world.wait(1)
    assert (state_of(world, plan_id).phase, money(world, c.payee)) == (Phase.RELEASED, PART)
    check_plans(world)


def test_reversing_twice_is_refused(c: Cast) -> None:
    plan_id = confirmed(c.world, c)
    deposit = deposited(c.world, plan_id, PART)
    reverse(c, deposit)
    again = ReverseDeposit(deposit=deposit, currency="CNY", units=Units(PART), bank_reference="REV-2")
    c.world.do(again, by=c.custodian, expect=Status.WRONG_STATE)


def test_money_that_the_payer_moved_in_itself_stays() -> None:
    c = cast(funds=PART)
    world = c.world
    plan_id = confirmed(world, c, tranche(), tranche())
    funded(world, plan_id, PART)
    deposit = deposited(world, plan_id, PART)
    reverse(c, deposit)
    assert held(c, plan_id) == [PART, 0]
    check_plans(world)
