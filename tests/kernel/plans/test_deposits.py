"""Deposits for a plan: announced, booked straight into escrow, assigned out of suspense; short, over, astray."""

from typing import Any

import pytest

from tallystick.kernel.accounts.deposits import AnnounceDeposit, AssignDeposit, BookDeposit, Deposit, DepositState
from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.accounts.reversing import ReverseDeposit
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import DeclareInsolvent
from tallystick.kernel.products.records import Business
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.status import Status
from tests.support.accounts import held_for, money, opened, stands
from tests.support.plans import (
    PART,
    check_plans,
    confirmed,
    deposited,
    funded_plan,
    plan_of,
    proposed,
    state_of,
    tranche,
)
from tests.support.products import Cast, cast, special_account
from tests.support.receivables import anchor
from tests.support.world import World

NOBODY = "pln_" + "0" * 16


@pytest.fixture
def c() -> Cast:
    return cast(funds=0)


def announcement(plan_id: str, units: int, **fields: Any) -> AnnounceDeposit:
    return AnnounceDeposit(**{"plan": plan_id, "currency": "CNY", "units": Units(units), **fields})


def booking(c: Cast, units: int, **fields: Any) -> BookDeposit:
    said = {"bank_reference": f"REF-{c.world.height}", "currency": "CNY", "units": Units(units), "remitter": c.payer}
    return BookDeposit(**{**said, **fields})


def suspense(c: Cast) -> int:
    return stands(c.world, f"suspense/{c.custodian}/CNY")


def told(world: World, kind: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Facts and audience of the last event of a kind."""
    event = next(one for one in reversed(world.events) if one.kind == kind)
    return event.facts, event.audience


def test_an_announced_deposit_goes_to_escrow_by_its_code(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    result = world.do(announcement(plan_id, PART), by=c.payer, vector="deposit.announce/for_a_plan")
    assert {c.payer, c.payee, c.custodian} == set(result.events[0].audience)
    deposit = world.row(Deposit, result.events[0].record)
    world.do(booking(c, PART, code=deposit.code), by=c.custodian, vector="deposit.book/for_a_plan_by_code")
    booked = world.row(Deposit, deposit.id)
    assert (booked.state, booked.plan, booked.escrowed) == (DepositState.BOOKED, plan_id, PART)
    assert (stands(world, plan_of(world, plan_id).escrow), money(world, c.payer), suspense(c)) == (PART, 0, 0)
    facts, audience = told(world, "deposit.for_plan")
    assert (facts["match"], facts["missing"]) == ("in_full", "0")
    assert {c.payer, c.payee} <= set(audience)
    check_plans(world)


def test_a_short_deposit_is_told_to_both_with_what_is_missing(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c, tranche(), tranche())
    world.do(booking(c, PART + 3, plan=plan_id), by=c.custodian, vector="deposit.book/for_a_plan_short")
    facts, audience = told(world, "deposit.for_plan")
    assert (facts["match"], facts["missing"]) == ("short", str(PART - 3))
    assert {c.payer, c.payee} <= set(audience)
    assert [state_of(world, plan_id, number).held for number in (1, 2)] == [PART, 3]
    check_plans(world)


def test_what_a_plan_does_not_take_is_the_payers(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    world.do(booking(c, PART + 5, plan=plan_id), by=c.custodian, vector="deposit.book/for_a_plan_over")
    facts, _ = told(world, "deposit.for_plan")
    assert (facts["match"], facts["escrowed"], facts["rest"]) == ("over", str(PART), "5")
    assert (plan_of(world, plan_id).held, money(world, c.payer)) == (PART, 5)
    deposited(world, plan_id, 7)
    assert money(world, c.payer) == 12, "a plan that has all of its money takes none"
    check_plans(world)


def test_the_rest_of_a_payer_without_an_account_is_held_for_it(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    world.do(CloseAccount(account=c.payer_account), by=c.payer)
    world.do(booking(c, PART + 5, plan=plan_id), by=c.custodian, vector="deposit.book/for_a_plan_over_held")
    assert (plan_of(world, plan_id).held, held_for(world, c.payer)) == (PART, 5)
    opened(world, c.payer, c.custodian)
    world.wait(1)
    assert (held_for(world, c.payer), money(world, c.payer)) == (0, 5)
    check_plans(world)


def test_money_for_a_plan_that_is_not_active_is_the_payers(c: Cast) -> None:
    world = c.world
    plan_id = proposed(world, c)
    world.do(booking(c, 9, plan=plan_id), by=c.custodian, vector="deposit.book/plan_not_active")
    facts, audience = told(world, "deposit.for_plan")
    assert (facts["match"], facts["escrowed"], money(world, c.payer)) == ("plan_not_active", "0", 9)
    assert {c.payer, c.payee} <= set(audience)
    world.do(CloseAccount(account=_emptied(c)), by=c.payer)
    world.do(booking(c, 4, plan=plan_id), by=c.custodian, vector="deposit.book/plan_not_active_and_no_account")
    assert (told(world, "deposit.in_suspense")[0]["reason"], suspense(c)) == ("account_missing", 4)
    check_plans(world)


def _emptied(c: Cast) -> str:
    """The payer's account with nothing in it."""
    from tallystick.kernel.accounts.funds import TransferFunds

    left = Units(money(c.world, c.payer))
    spend = TransferFunds(
        source=c.payer_account, target=c.payee_account, currency="CNY", units=left, subject="other_goods"
    )
    c.world.do(spend, by=c.payer)
    return c.payer_account


@pytest.mark.parametrize("remitter", ["payee", "nobody"])
def test_money_in_another_name_is_in_suspense(c: Cast, remitter: str) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    came = booking(c, PART, plan=plan_id, remitter=c.payee if remitter == "payee" else None)
    world.do(came, by=c.custodian, vector=f"deposit.book/for_a_plan_from_{remitter}")
    assert told(world, "deposit.in_suspense")[0]["reason"] == "another_remitter"
    assert (suspense(c), plan_of(world, plan_id).held) == (PART, 0)
    check_plans(world)


def test_money_at_another_custodian_or_in_another_currency_is_in_suspense(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    other = world.member("Other custodian", Role.CUSTODIAN)
    world.do(booking(c, PART, plan=plan_id), by=other, vector="deposit.book/plan_with_another_custodian")
    assert stands(world, f"suspense/{other}/CNY") == PART
    world.do(
        booking(c, PART, plan=plan_id, currency="GBP"), by=c.custodian, vector="deposit.book/plan_in_another_currency"
    )
    assert stands(world, f"suspense/{c.custodian}/GBP") == PART
    world.do(booking(c, 1, plan=NOBODY), by=c.custodian)
    assert (suspense(c), plan_of(world, plan_id).held) == (1, 0)
    check_plans(world)


def test_a_bank_reference_funds_a_plan_once(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    world.do(booking(c, 5, plan=plan_id, bank_reference="2026030200017"), by=c.custodian)
    again = booking(c, 5, plan=plan_id, bank_reference="2026030200017")
    world.do(again, by=c.custodian, expect=Status.BANK_REFERENCE_USED, vector="deposit.book/for_a_plan_twice")
    assert plan_of(world, plan_id).held == 5


def test_money_in_suspense_is_assigned_to_a_plan(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    stray = world.do(booking(c, PART + 2, remitter=None), by=c.custodian).events[-1].record

    def assign(**fields: Any) -> AssignDeposit:
        said = {"deposit": stray, "plan": plan_id, "currency": "CNY", "units": Units(PART + 2), **fields}
        return AssignDeposit(**said)

    both: dict[str, Any] = {"by": c.custodian, "also": (c.payer,)}
    name = "deposit.assign"
    world.do(assign(), by=c.custodian, expect=Status.NOT_A_PARTY)
    world.do(assign(plan=NOBODY), **both, expect=Status.NOT_FOUND, vector=f"{name}/plan_not_found")
    world.do(assign(account=c.payer_account), **both, expect=Status.BAD_VALUE, vector=f"{name}/bad_value")
    pending = proposed(world, c)
    world.do(assign(plan=pending), **both, expect=Status.WRONG_STATE, vector=f"{name}/plan_not_active")
    world.do(assign(), **both, vector=f"{name}/to_a_plan")
    assert (plan_of(world, plan_id).held, money(world, c.payer), suspense(c)) == (PART, 2, 0)
    assert world.row(Deposit, stray).escrowed == PART
    check_plans(world)


def test_announcing_for_a_plan(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    name = "deposit.announce"
    world.do(announcement(NOBODY, 1), by=c.payer, expect=Status.NOT_FOUND, vector=f"{name}/plan_not_found")
    neither = AnnounceDeposit(currency="CNY", units=Units(1))
    world.do(neither, by=c.payer, expect=Status.BAD_VALUE, vector=f"{name}/neither_account_nor_plan")
    both = announcement(plan_id, 1, account=c.payer_account)
    world.do(both, by=c.payer, expect=Status.BAD_VALUE, vector=f"{name}/account_and_plan")
    world.do(announcement(plan_id, 1), by=c.payee, expect=Status.NOT_A_PARTY)
    pounds = announcement(plan_id, 1, currency="GBP")
    world.do(pounds, by=c.payer, expect=Status.CURRENCY_MISMATCH, vector=f"{name}/plan_in_another_currency")
    world.do(announcement(plan_id, 0), by=c.payer, expect=Status.AMOUNT_ZERO)
    pending = proposed(world, c)
    world.do(announcement(pending, 1), by=c.payer, expect=Status.WRONG_STATE, vector=f"{name}/plan_not_active")
    named_twice = booking(c, 1, plan=plan_id, account=c.payer_account)
    world.do(named_twice, by=c.custodian, expect=Status.BAD_VALUE, vector="deposit.book/bad_value")


def test_a_claim_takes_no_money_that_a_plan_waits_for() -> None:
    c = cast(funds=0)
    world = c.world
    first = funded_plan_by_deposit(c, PART)
    _spend_escrow(c, first)
    plan_id = confirmed(world, c)
    claim = f"claim/{c.custodian}/CNY/{c.payer}"
    owed = stands(world, claim)
    assert owed == PART
    world.do(booking(c, PART + 40, plan=plan_id), by=c.custodian, vector="deposit.book/for_a_plan_beside_a_claim")
    assert plan_of(world, plan_id).held == PART
    assert (stands(world, claim), money(world, c.payer)) == (owed - 40, 0), "only the rest pays the claim"
    check_plans(world)


def funded_plan_by_deposit(c: Cast, units: int) -> str:
    """A deposit that went to the payer's account. Returns its id."""
    came = booking(c, units, account=c.payer_account)
    return c.world.do(came, by=c.custodian).events[-1].record


def _spend_escrow(c: Cast, deposit: str) -> None:
    """The payer spends the deposit, and the bank reverses it."""
    units = Units(money(c.world, c.payer))
    _emptied(c)
    undo = ReverseDeposit(deposit=deposit, currency="CNY", units=units, bank_reference="REV-0")
    c.world.do(undo, by=c.custodian)


def test_a_second_payment_under_the_code_is_booked_too(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    deposit = world.row(Deposit, world.do(announcement(plan_id, PART), by=c.payer).events[0].record)
    for _ in range(2):
        world.do(booking(c, PART, code=deposit.code), by=c.custodian)
    assert (plan_of(world, plan_id).held, money(world, c.payer)) == (PART, PART)
    check_plans(world)


def test_an_insolvent_payers_money_goes_to_its_account(c: Cast) -> None:
    world = c.world
    plan_id = confirmed(world, c)
    world.do(DeclareInsolvent(member=c.payer, order=anchor("court_order")), by=c.auditor)
    deposited(world, plan_id, 9)
    assert (plan_of(world, plan_id).held, money(world, c.payer)) == (0, 9)
    asked = announcement(plan_id, 1)
    world.do(asked, by=c.payer, expect=Status.WRONG_STATE)
    check_plans(world)


def test_wages_reach_their_plan_through_the_special_account(c: Cast) -> None:
    world = c.world
    account = special_account(c, units=0)
    plan_id = confirmed(world, c, tranche(wages=True), business=Business.WAGES, refund_account=account)
    came = booking(c, PART + 8, plan=plan_id)
    result = world.do(came, by=c.custodian, vector="deposit.book/for_a_plan_of_wages")
    ways = [event.facts for event in result.events if event.kind == "account.posted"]
    special = f"available/{account}"
    assert [(one["target"], one["units"]) for one in ways] == [
        (special, str(PART + 8)),
        (plan_of(world, plan_id).escrow, str(PART)),
    ]
    assert (plan_of(world, plan_id).held, stands(world, special), money(world, c.payer)) == (PART, 8, 0)
    deposit = world.row(Deposit, result.events[-1].record)
    assert (deposit.account, deposit.escrowed) == (account, PART)
    undo = ReverseDeposit(deposit=deposit.id, currency="CNY", units=Units(PART + 8), bank_reference="REV-9")
    world.do(undo, by=c.custodian)
    assert (plan_of(world, plan_id).held, stands(world, special)) == (0, 0)
    check_plans(world)


def test_wages_are_not_set_off_against_what_the_custodian_claims(c: Cast) -> None:
    world = c.world
    _spend_escrow(c, funded_plan_by_deposit(c, 500))
    account = special_account(c, units=0)
    plan_id = confirmed(world, c, tranche(wages=True), business=Business.WAGES, refund_account=account)
    deposited(world, plan_id, PART + 8)
    world.do(booking(c, 5, account=account), by=c.custodian)
    assert stands(world, f"claim/{c.custodian}/CNY/{c.payer}") == 500
    assert (plan_of(world, plan_id).held, stands(world, f"available/{account}")) == (PART, 13)
    check_plans(world)


def test_nothing_is_escrowed_before_it_is_booked(c: Cast) -> None:
    plan_id = confirmed(c.world, c)
    c.world.do(announcement(plan_id, PART), by=c.payer)
    assert plan_of(c.world, plan_id).deposited == ZERO
    assert state_of(c.world, plan_id).held == ZERO
    funded = cast()
    assert plan_of(funded.world, funded_plan(funded.world, funded)).held == PART
