"""plan.fund and overdue funding: what a plan takes, in which order, and what it still lacks."""

import datetime

import pytest

from tallystick.kernel.accounts.freezes import FreezeAccount
from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.plans import escrow
from tallystick.kernel.plans.conditions import OnDate
from tallystick.kernel.plans.funding import FundPlan
from tallystick.kernel.plans.lookup import standing
from tallystick.kernel.plans.records import Phase
from tallystick.kernel.products.records import Business, FeePayer, FeeTerms
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.status import Status
from tests.support.accounts import funded as account_funded
from tests.support.accounts import money, opened, stands
from tests.support.plans import (
    PART,
    check_plans,
    confirmed,
    funded,
    funded_plan,
    plan_of,
    state_of,
    tranche,
    version_row,
)
from tests.support.products import MILLION, Cast, cast, special_account
from tests.support.receivables import anchor

NOBODY = "pln_" + "0" * 16


@pytest.fixture
def c() -> Cast:
    return cast()


def fund(plan_id: str, units: int, **fields: object) -> FundPlan:
    return FundPlan(**{"plan": plan_id, "currency": "CNY", "units": Units(units), **fields})


def test_money_fills_the_tranches_in_order(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c, tranche(), tranche(), tranche())
    result = world.do(fund(plan_id, PART + 1), by=c.payer, vector="plan.fund/first_tranche_and_part_of_the_second")
    assert [state_of(world, plan_id, number).held for number in (1, 2, 3)] == [PART, 1, 0]
    assert [standing(state_of(world, plan_id, n), tranche()) for n in (1, 2, 3)] == [
        "funded",
        "awaiting_funds",
        "awaiting_funds",
    ]
    told = next(event for event in result.events if event.kind == "plan.funded")
    assert told.facts["missing"] == str(2 * PART - 1)
    assert {c.payer, c.payee} <= set(told.audience)
    assert money(world, c.payer) == 10 * MILLION - PART - 1
    check_plans(world)
    world.do(fund(plan_id, 2 * PART - 1), by=c.payer, vector="plan.fund/all_of_the_rest")
    assert stands(world, plan_of(world, plan_id).escrow) == 3 * PART
    check_plans(world)


def test_a_payer_that_bears_the_fee_sets_it_aside_first(c: Cast) -> None:
    world = c.world
    fee = FeeTerms(rate=Rate.parse("0.5"), minimum=ZERO, paid_by=FeePayer.PAYER)
    plan_id = confirmed(world, c, tranche(), tranche(), fee=fee)
    reserve = PART * 2 * 5 // 1000
    assert escrow.missing(plan_of(world, plan_id), version_row(world, plan_id)) == 2 * PART + reserve
    world.do(fund(plan_id, reserve + 7), by=c.payer, vector="plan.fund/fee_reserve_first")
    plan = plan_of(world, plan_id)
    assert (plan.fee_reserve, plan.tranches[0].held) == (reserve, 7)
    check_plans(world)


def test_a_plan_takes_no_more_than_it_lacks(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    world.do(fund(plan_id, PART + 1), by=c.payer, expect=Status.OVER_AVAILABLE, vector="plan.fund/over_available")
    funded(world, plan_id)
    world.do(fund(plan_id, 1), by=c.payer, expect=Status.OVER_AVAILABLE)


def test_funding(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    world.do(fund(NOBODY, 1), by=c.payer, expect=Status.NOT_FOUND, vector="plan.fund/not_found")
    world.do(fund(plan_id, 1), by=c.payee, expect=Status.NOT_A_PARTY, vector="plan.fund/not_a_party")
    pounds = fund(plan_id, 1, currency="GBP")
    world.do(pounds, by=c.payer, expect=Status.CURRENCY_MISMATCH, vector="plan.fund/currency_mismatch")
    world.do(fund(plan_id, 0), by=c.payer, expect=Status.AMOUNT_ZERO, vector="plan.fund/amount_zero")


def test_a_plan_that_is_not_confirmed_takes_nothing(c: Cast) -> None:
    from tests.support.plans import proposed

    world = c.world
    plan_id = proposed(world, c)
    world.do(fund(plan_id, 1), by=c.payer, expect=Status.WRONG_STATE, vector="plan.fund/wrong_state")


def test_only_money_that_the_payer_may_move_goes_in(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    freeze = FreezeAccount(
        account=c.payer_account,
        currency="CNY",
        units=Units(10 * MILLION - PART + 1),
        authority_order=anchor("court_order"),
    )
    world.do(freeze, by=c.custodian)
    world.do(fund(plan_id, PART), by=c.payer, expect=Status.ACCOUNT_FROZEN, vector="plan.fund/account_frozen")
    world.do(fund(plan_id, PART - 1), by=c.payer)
    check_plans(world)


def test_an_account_with_too_little(c: Cast) -> None:
    poor = cast(funds=PART - 1)
    world = poor.world
    plan_id = confirmed(world, poor)
    world.do(
        fund(plan_id, PART), by=poor.payer, expect=Status.INSUFFICIENT_FUNDS, vector="plan.fund/insufficient_funds"
    )


def test_without_an_account_there_is_nothing_to_pay_from() -> None:
    poor = cast(funds=0)
    world = poor.world
    plan_id = confirmed(world, poor)
    world.do(CloseAccount(account=poor.payer_account), by=poor.payer)
    world.do(fund(plan_id, 1), by=poor.payer, expect=Status.ACCOUNT_MISSING, vector="plan.fund/account_missing")
    again = opened(world, poor.payer, poor.custodian)
    account_funded(world, again, 5)
    world.do(fund(plan_id, 5), by=poor.payer, vector="plan.fund/from_another_account")
    check_plans(world)


def test_funding_is_overdue_after_the_days_of_grace_and_not_before(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c, tranche(), tranche(fund_by_on=datetime.date(2026, 3, 30)))
    funded(world, plan_id, PART - 1)
    until = state_of(world, plan_id).fund_until
    assert until is not None
    assert str(until) == "2026-03-21T23:59:59.999Z", "the end of the day, and five days of grace"
    assert world.wait(until=until) == []
    events = world.wait(1)
    assert [event.kind for event in events] == ["tranche.overdue"]
    assert events[0].facts["missing"] == "1"
    assert {c.payer, c.payee} <= set(events[0].audience)
    assert state_of(world, plan_id).overdue
    assert not state_of(world, plan_id, 2).overdue
    funded(world, plan_id)
    assert not state_of(world, plan_id).overdue, "the payee has not cancelled, so the money is still taken"
    assert [state_of(world, plan_id, number).fund_until for number in (1, 2)] == [None, None]
    check_plans(world)


def test_late_money_has_a_waiting_tranche_looked_at_again(c: Cast) -> None:
    world = c.world
    by_date = tranche(condition=OnDate(on=datetime.date(2026, 4, 1)))
    plan_id = confirmed(world, c, by_date, objection_days=0)
    world.wait(until=state_of(world, plan_id).release_at)
    assert state_of(world, plan_id).phase is not Phase.RELEASED
    funded(world, plan_id)
    world.wait(1)
    assert state_of(world, plan_id).phase is Phase.RELEASED
    assert money(world, c.payee) == PART
    check_plans(world)


def test_a_suspended_payer_still_pays_what_it_owes(c: Cast) -> None:
    from tallystick.kernel.membership.standing import SuspendMember

    world = c.world
    plan_id = confirmed(world, c)
    world.do(SuspendMember(member=c.payer, reason="papers_missing"), by=c.auditor)
    world.do(fund(plan_id, PART), by=c.payer, vector="plan.fund/while_suspended")
    check_plans(world)


def test_wages_are_paid_from_the_special_account_alone(c: Cast) -> None:
    world = c.world
    account = special_account(c, units=0)
    plan_id = confirmed(world, c, tranche(wages=True), business=Business.WAGES, refund_account=account)
    ask = fund(plan_id, PART)
    world.do(ask, by=c.payer, expect=Status.INSUFFICIENT_FUNDS, vector="plan.fund/wages_from_another_account")
    account_funded(world, account, PART)
    world.do(ask, by=c.payer, vector="plan.fund/wages")
    assert (plan_of(world, plan_id).held, money(world, c.payer)) == (PART, 10 * MILLION)
    check_plans(world)


def test_a_fully_funded_plan_has_its_money_in_escrow(c: Cast) -> None:
    plan_id = funded_plan(c.world, c, tranche(), tranche())
    assert stands(c.world, plan_of(c.world, plan_id).escrow) == 2 * PART
    check_plans(c.world)
