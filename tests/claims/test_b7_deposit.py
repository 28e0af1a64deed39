"""B7 deposit: the payer puts the resource into the plan's escrow, through the custodian's bank or from its account."""

import pytest

from tallystick.kernel.accounts.deposits import AnnounceDeposit, BookDeposit, Deposit, DepositState
from tallystick.kernel.accounts.reversing import ReverseDeposit
from tallystick.kernel.plans.cancelling import CancelUnfunded
from tallystick.kernel.plans.funding import FundPlan
from tallystick.kernel.plans.records import PlanState
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.accounts import money, stands
from tests.support.chain import Chain
from tests.support.plans import PART, check_plans, confirmed, day, deposited, plan_of, sent, state_of, tranche
from tests.support.products import Cast, cast

HOUR_MS = 3_600_000


@pytest.fixture
def c(chain: Chain) -> Cast:
    """Nobody has any money yet."""
    return cast(chain, funds=0)


@pytest.fixture
def plan(chain: Chain, c: Cast) -> str:
    """Two steps, which are to be funded one after the other."""
    return confirmed(chain, c, tranche(), tranche(2 * PART, fund_by_on=day(4, 20)))


def in_escrow(chain: Chain, plan: str) -> tuple[int, int]:
    """What stands for the first and for the second step."""
    assert stands(chain, plan_of(chain, plan).escrow) == plan_of(chain, plan).held
    return int(state_of(chain, plan, 1).held), int(state_of(chain, plan, 2).held)


def test_announced_paid_at_the_bank_and_booked_into_escrow(chain: Chain, c: Cast, plan: str) -> None:
    announced = chain.do(AnnounceDeposit(plan=plan, currency="CNY", units=Units(PART)), by=c.payer)
    code = str(announced.events[0].facts["code"])
    assert in_escrow(chain, plan) == (0, 0), "a promise is no money"
    booking = BookDeposit(bank_reference="20260303-01", currency="CNY", units=Units(PART), remitter=c.payer, code=code)
    chain.do(booking, by=c.custodian)
    assert in_escrow(chain, plan) == (PART, 0)
    for party in (c.payer, c.payee):
        assert chain.told(party)[-1] == "deposit.for_plan"
    chain.do(booking, by=c.custodian, expect=Status.BANK_REFERENCE_USED)
    check_plans(chain)


def test_from_the_payers_own_account(chain: Chain, c: Cast, plan: str) -> None:
    put = FundPlan(plan=plan, currency="CNY", units=Units(PART))
    chain.do(put, by=c.payer, expect=Status.INSUFFICIENT_FUNDS)
    deposited(chain, plan, PART, plan=None, account=c.payer_account)
    chain.do(put, by=c.payer)
    assert in_escrow(chain, plan) == (PART, 0)
    assert "plan.funded" in chain.told(c.payee)
    assert money(chain, c.payer) == 0
    for other in (c.payee, c.platform, c.custodian):
        chain.do(put, by=other, expect=Status.NOT_A_PARTY)
    check_plans(chain)


def test_steps_are_filled_in_their_order_and_too_much_stays_the_payers(chain: Chain, c: Cast, plan: str) -> None:
    deposited(chain, plan, PART // 2)
    assert in_escrow(chain, plan) == (PART // 2, 0)
    deposited(chain, plan, PART)
    assert in_escrow(chain, plan) == (PART, PART // 2)
    over = deposited(chain, plan, 2 * PART)
    assert in_escrow(chain, plan) == (PART, 2 * PART)
    assert money(chain, c.payer) == PART // 2
    assert chain.row(Deposit, over).escrowed == 2 * PART - PART // 2
    check_plans(chain)


def test_money_in_another_name_is_nobodys_until_it_is_assigned(chain: Chain, c: Cast, plan: str) -> None:
    astray = deposited(chain, plan, PART, remitter=c.auditor)
    assert chain.row(Deposit, astray).state is DepositState.IN_SUSPENSE
    assert in_escrow(chain, plan) == (0, 0)
    check_plans(chain)


def test_a_plan_that_nobody_confirmed_takes_no_money(chain: Chain, c: Cast) -> None:
    plan = sent(chain, c)
    chain.do(AnnounceDeposit(plan=plan, currency="CNY", units=Units(PART)), by=c.payer, expect=Status.WRONG_STATE)
    deposited(chain, plan, PART)
    assert (plan_of(chain, plan).held, money(chain, c.payer)) == (0, PART)


def test_not_deposited_in_time_the_payee_may_end_that_part_alone(chain: Chain, c: Cast, plan: str) -> None:
    deposited(chain, plan, PART + 7)
    until = state_of(chain, plan, 2).fund_until
    assert until is not None
    end = CancelUnfunded(plan=plan, tranche=2, currency="CNY", units=Units(7))
    chain.wait(until=until.plus(-HOUR_MS))
    chain.do(end, by=c.payee, expect=Status.TOO_EARLY)
    chain.wait(until=until.plus(1))
    assert state_of(chain, plan, 2).overdue
    assert chain.told(c.payer)[-1] == "tranche.overdue"
    chain.do(end, by=c.payer, expect=Status.NOT_A_PARTY)
    chain.do(end, by=c.payee)
    assert in_escrow(chain, plan) == (PART, 0)
    assert money(chain, c.payer) == 7
    assert plan_of(chain, plan).state is PlanState.ACTIVE, "the funded step goes on"
    check_plans(chain)


def test_what_the_bank_reverses_leaves_escrow_from_the_last_step(chain: Chain, c: Cast, plan: str) -> None:
    deposit = deposited(chain, plan, 2 * PART)
    deposited(chain, plan, PART)
    assert in_escrow(chain, plan) == (PART, 2 * PART)
    chain.do(
        ReverseDeposit(deposit=deposit, currency="CNY", units=Units(2 * PART), bank_reference="20260304-R"),
        by=c.custodian,
    )
    assert in_escrow(chain, plan) == (PART, 0)
    assert chain.told(c.payee)[-1] == "plan.unfunded"
    check_plans(chain)
