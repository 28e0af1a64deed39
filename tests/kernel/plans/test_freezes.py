"""Orders about a plan's escrow: reached only where the order names the plan, and wages never."""

import datetime
from typing import Any

import pytest

from tallystick.kernel.accounts.freezes import DeductByOrder, FreezeAccount, UnfreezeAccount
from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.accounts.records import Balance
from tallystick.kernel.plans.cancelling import CancelPlan
from tallystick.kernel.plans.conditions import OnDate
from tallystick.kernel.plans.records import Phase, PlanState, Retention, Unmet
from tallystick.kernel.products.records import Business
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.status import Status
from tests.support.accounts import held_for, money, opened, stands
from tests.support.disputes import disputed
from tests.support.plans import (
    PART,
    check_plans,
    confirmed,
    deposited,
    funded,
    funded_plan,
    plan_of,
    proposed,
    state_of,
    tranche,
)
from tests.support.products import MILLION, Cast, cast, special_account
from tests.support.receivables import anchor
from tests.support.world import World

NOBODY = "0" * 16
BY_DATE = {"condition": OnDate(on=datetime.date(2026, 4, 1))}


@pytest.fixture
def c() -> Cast:
    return cast()


def freezing(units: int, **fields: Any) -> FreezeAccount:
    said = {"currency": "CNY", "units": Units(units), "authority_order": anchor("court_order")}
    return FreezeAccount(**{**said, **fields})


def frozen(c: Cast, plan_id: str, units: int, **fields: Any) -> str:
    """An order's freeze of a plan's escrow. Returns the freeze's id."""
    result = c.world.do(freezing(units, plan=plan_id, **fields), by=c.custodian)
    return str(result.events[0].facts["freeze"])


def lifting(freeze: str, **fields: Any) -> UnfreezeAccount:
    return UnfreezeAccount(freeze=freeze, authority_order=anchor("court_order", "lifted"), **fields)


def deduction(world: World, units: int, **fields: Any) -> DeductByOrder:
    said = {"currency": "CNY", "units": Units(units), "authority_order": anchor("court_order")}
    return DeductByOrder(bank_reference=f"DED-{world.height}", **{**said, **fields})


def escrow_row(world: World, plan_id: str) -> Balance:
    found: Balance = world.row(Balance, plan_of(world, plan_id).escrow)
    return found


def test_an_order_about_the_account_does_not_reach_escrow(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c, tranche(**BY_DATE), objection_days=0)
    world.do(freezing(100 * MILLION, account=c.payer_account), by=c.custodian)
    world.do(freezing(100 * MILLION, account=c.payee_account), by=c.custodian)
    world.wait(until=state_of(world, plan_id).release_at)
    assert (plan_of(world, plan_id).state, money(world, c.payee)) == (PlanState.COMPLETED, PART)
    check_plans(world)


def test_an_order_that_names_the_plan_bars_the_release_until_it_is_lifted(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c, tranche(**BY_DATE), tranche(), objection_days=0)
    order = freezing(2 * PART, plan=plan_id)
    result = world.do(order, by=c.custodian, vector="account.freeze/escrow_of_a_plan")
    assert {c.payer, c.payee, c.custodian} == set(result.events[0].audience)
    freeze = str(result.events[0].facts["freeze"])
    world.wait(until=state_of(world, plan_id).release_at)
    assert (state_of(world, plan_id).phase, money(world, c.payee)) == (Phase.VERIFIED, 0)
    world.do(lifting(freeze, plan=plan_id), by=c.custodian, vector="account.unfreeze/escrow_of_a_plan")
    world.wait(1)
    assert (state_of(world, plan_id).phase, money(world, c.payee)) == (Phase.RELEASED, PART)
    check_plans(world)


def test_what_a_freeze_leaves_free_is_released(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c, tranche(**BY_DATE), tranche(), objection_days=0)
    frozen(c, plan_id, PART)
    world.wait(until=state_of(world, plan_id).release_at)
    assert money(world, c.payee) == PART
    check_plans(world)


def test_a_freezes_last_day_ends_it(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c, tranche(**BY_DATE), objection_days=0)
    frozen(c, plan_id, 1, until_on=datetime.date(2026, 4, 3))
    world.wait(until=state_of(world, plan_id).release_at)
    end = escrow_row(world, plan_id).freezes[0].until
    assert end is not None
    world.wait(until=end)
    assert state_of(world, plan_id).phase is Phase.VERIFIED, "it holds to the end of its day"
    events = world.wait(1)
    assert [event.kind for event in events if event.kind == "account.unfrozen"]
    assert state_of(world, plan_id).phase is Phase.RELEASED, "unfreezing comes before releases in a block"
    check_plans(world)


def test_a_retention_waits_for_the_end_of_a_freeze(c: Cast) -> None:
    world = c.world
    kept = Retention(rate=Rate.parse("10"), until_on=datetime.date(2026, 5, 6))
    plan_id = funded_plan(world, c, tranche(**BY_DATE, retention=kept), objection_days=0)
    world.wait(until=state_of(world, plan_id).release_at)
    freeze = frozen(c, plan_id, 1)
    world.wait(until=state_of(world, plan_id).retained_until)
    assert money(world, c.payee) == PART - PART // 10
    world.do(lifting(freeze, plan=plan_id), by=c.custodian)
    world.wait(1)
    assert (plan_of(world, plan_id).state, money(world, c.payee)) == (PlanState.COMPLETED, PART)
    check_plans(world)


def test_a_freeze_covers_money_that_comes_later(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c, tranche(**BY_DATE), objection_days=0)
    freeze = frozen(c, plan_id, 5)
    funded(world, plan_id)
    assert escrow_row(world, plan_id).free_at(world.now) == PART - 5
    world.wait(until=state_of(world, plan_id).release_at)
    assert money(world, c.payee) == 0
    world.do(lifting(freeze, plan=plan_id), by=c.custodian)
    world.wait(1)
    assert money(world, c.payee) == PART


def test_lifting_a_freeze_of_an_empty_escrow_leaves_nothing_behind(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    freeze = frozen(c, plan_id, 5)
    assert escrow_row(world, plan_id).units == ZERO
    world.do(lifting(freeze, plan=plan_id), by=c.custodian)
    assert f"balance/{plan_of(world, plan_id).escrow}" not in world.state.rows


def test_a_freeze_outlasts_the_money_it_covered(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c, tranche(), tranche())
    frozen(c, plan_id, PART)
    world.do(deduction(world, PART, plan=plan_id), by=c.custodian)
    freeze = escrow_row(world, plan_id).freezes[0]
    named = deduction(world, PART - 1, plan=plan_id, freeze=freeze.id)
    world.do(named, by=c.custodian, vector="account.deduct_by_order/frozen_escrow")
    assert escrow_row(world, plan_id).freezes[0].units == 1
    assert plan_of(world, plan_id).held == 1
    check_plans(world)


def test_what_a_deadline_gives_back_stays_frozen(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c, tranche(if_unmet=Unmet.REFUND))
    freeze = frozen(c, plan_id, PART + 50)
    until = state_of(world, plan_id).unmet_at
    assert until is not None
    world.wait(until=until.plus(1))
    assert (plan_of(world, plan_id).state, money(world, c.payer)) == (PlanState.COMPLETED, 10 * MILLION)
    account: Balance = world.row(Balance, f"available/{c.payer_account}")
    assert [(one.id, int(one.units)) for one in account.freezes] == [(freeze, PART)]
    assert account.free_at(world.now) == 10 * MILLION - PART
    assert [int(one.units) for one in escrow_row(world, plan_id).freezes] == [50], "for what might still have come"
    check_plans(world)
    world.do(lifting(freeze, account=c.payer_account), by=c.custodian)
    assert world.row(Balance, f"available/{c.payer_account}").freezes == ()


def test_parts_of_a_freeze_that_follow_the_money_are_one_freeze(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(
        world,
        c,
        tranche(if_unmet=Unmet.REFUND),
        tranche(if_unmet=Unmet.REFUND, release_until_on=datetime.date(2026, 5, 29)),
    )
    freeze = frozen(c, plan_id, 2 * PART)
    for number in (1, 2):
        until = state_of(world, plan_id, number).unmet_at
        assert until is not None
        world.wait(until=until.plus(1))
    account: Balance = world.row(Balance, f"available/{c.payer_account}")
    assert [(one.id, int(one.units)) for one in account.freezes] == [(freeze, 2 * PART)]
    check_plans(world)


def test_a_freeze_follows_money_that_is_held_for_a_payer_without_an_account() -> None:
    c = cast(funds=0)
    world = c.world
    plan_id = confirmed(world, c, tranche(if_unmet=Unmet.REFUND))
    deposited(world, plan_id, PART)
    world.do(CloseAccount(account=c.payer_account), by=c.payer)
    frozen(c, plan_id, 40)
    until = state_of(world, plan_id).unmet_at
    assert until is not None
    world.wait(until=until.plus(1))
    assert held_for(world, c.payer) == PART
    lapsing = frozen_hold(world, c)
    assert lapsing.free_at(world.now) == PART - 40
    account = opened(world, c.payer, c.custodian)
    world.wait(1)
    row: Balance = world.row(Balance, f"available/{account}")
    assert (row.units, row.free_at(world.now)) == (PART, PART - 40)
    check_plans(world)


def frozen_hold(world: World, c: Cast) -> Balance:
    """The money that is held for the payer."""
    return next(
        row
        for row in world.state.rows.values()
        if isinstance(row, Balance) and row.id.startswith("hold/") and row.owner == c.payer
    )


def test_a_freeze_of_held_money_ends_on_its_day() -> None:
    c = cast(funds=0)
    world = c.world
    plan_id = confirmed(world, c, tranche(if_unmet=Unmet.REFUND))
    deposited(world, plan_id, PART)
    world.do(CloseAccount(account=c.payer_account), by=c.payer)
    frozen(c, plan_id, 40, until_on=datetime.date(2026, 5, 29))
    unmet_at = state_of(world, plan_id).unmet_at
    assert unmet_at is not None
    world.wait(until=unmet_at.plus(1))
    end = frozen_hold(world, c).freezes[0].until
    assert end is not None
    events = world.wait(until=end.plus(1))
    assert c.payer in next(event for event in events if event.kind == "account.unfrozen").audience
    assert frozen_hold(world, c).freezes == ()
    check_plans(world)


def test_an_order_deducts_from_the_last_tranche_and_the_plan_lacks_it(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c, tranche(), tranche())
    result = world.do(deduction(world, PART + 3, plan=plan_id), by=c.custodian, vector="account.deduct_by_order/escrow")
    assert {c.payer, c.payee, c.custodian} <= set(result.events[-1].audience)
    plan = plan_of(world, plan_id)
    assert [int(each.held) for each in plan.tranches] == [PART - 3, 0]
    assert (plan.reversed, stands(world, f"bank/{c.custodian}/CNY")) == (PART + 3, 10 * MILLION - PART - 3)
    assert all(each.fund_until for each in plan.tranches)
    check_plans(world)
    funded(world, plan_id)
    check_plans(world)


def test_orders_about_a_plan(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c)
    by = {"by": c.custodian}
    both = freezing(1, plan=plan_id, account=c.payer_account)
    world.do(both, **by, expect=Status.BAD_VALUE, vector="account.freeze/account_and_plan")
    world.do(freezing(1), **by, expect=Status.BAD_VALUE, vector="account.freeze/neither_account_nor_plan")
    nobody = freezing(1, plan="pln_" + NOBODY)
    world.do(nobody, **by, expect=Status.NOT_FOUND, vector="account.freeze/plan_not_found")
    other = freezing(1, plan=plan_id)
    world.do(other, by=c.payer, expect=Status.NOT_A_PARTY, vector="account.freeze/not_the_plans_custodian")
    pounds = freezing(1, plan=plan_id, currency="GBP")
    world.do(pounds, **by, expect=Status.CURRENCY_MISMATCH, vector="account.freeze/plan_in_another_currency")
    pending = proposed(world, c)
    world.do(freezing(1, plan=pending), **by, expect=Status.WRONG_STATE, vector="account.freeze/plan_not_active")

    unknown = lifting("frz_" + NOBODY, plan=plan_id)
    world.do(unknown, **by, expect=Status.NOT_FOUND, vector="account.unfreeze/not_of_this_plan")
    world.do(lifting("frz_" + NOBODY), **by, expect=Status.BAD_VALUE, vector="account.unfreeze/bad_value")

    name = "account.deduct_by_order"
    world.do(deduction(world, 1), **by, expect=Status.BAD_VALUE, vector=f"{name}/bad_value")
    nothing = deduction(world, 1, plan=pending)
    world.do(nothing, **by, expect=Status.WRONG_STATE, vector=f"{name}/plan_not_active")
    disputed(c, plan_id, 700)
    too_much = deduction(world, PART - 699, plan=plan_id)
    world.do(too_much, **by, expect=Status.INSUFFICIENT_FUNDS, vector=f"{name}/disputed_money_stays")
    frozen(c, plan_id, PART - 700)
    barred = deduction(world, 701, plan=plan_id)
    world.do(barred, **by, expect=Status.ACCOUNT_FROZEN, vector=f"{name}/other_freeze_of_the_plan")
    check_plans(world)


def test_an_ended_plan_is_not_frozen_but_a_freeze_can_be_lifted(c: Cast) -> None:
    world = c.world
    plan_id = funded_plan(world, c)
    off = CancelPlan(plan=plan_id, currency="CNY", units=Units(PART), to_payee=ZERO)
    world.do(off, by=c.payer, also=(c.payee,))
    world.do(freezing(1, plan=plan_id), by=c.custodian, expect=Status.WRONG_STATE)


def test_wages_are_not_frozen_or_deducted_for_other_reasons(c: Cast) -> None:
    world = c.world
    account = special_account(c)
    plan_id = confirmed(world, c, tranche(wages=True), business=Business.WAGES, refund_account=account)
    by = {"by": c.custodian, "expect": Status.WAGE_ACCOUNT_MISUSED}
    world.do(freezing(1, plan=plan_id), **by, vector="account.freeze/wages_of_a_plan")
    world.do(freezing(1, account=account), **by, vector="account.freeze/special_account_for_wages")
    world.do(deduction(world, 1, plan=plan_id), **by, vector="account.deduct_by_order/wages_of_a_plan")
    world.do(deduction(world, 1, account=account), **by, vector="account.deduct_by_order/special_account_for_wages")
