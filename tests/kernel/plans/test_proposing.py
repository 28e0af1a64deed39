"""plan.propose: what is refused at once, tranche by tranche and field by field."""

from typing import Any

import pytest

from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.standing import SuspendMember
from tallystick.kernel.plans.conditions import (
    AllOf,
    DataStated,
    DocumentsIn,
    PayerAccepts,
    VerifiersAccept,
)
from tallystick.kernel.plans.proposing import ProposePlan, terms_hash
from tallystick.kernel.plans.records import Failing, Plan, PlanState, Retention, Unmet
from tallystick.kernel.products.records import Business, FeePayer, FeeTerms, Product, ProductState, Silence
from tallystick.wire.amounts import MAX_UNITS, Rate, Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.law import under
from tests.support.plans import PART, day, plan_of, proposal_of, proposed, sending_back_of, sent, tranche
from tests.support.products import Cast, cast, opened_product

PERCENT = 1_000_000


def test_a_proposal_waits_for_the_platforms_check() -> None:
    c = cast()
    product = opened_product(c.world, c)
    steps = (
        tranche(condition=VerifiersAccept(needed=2, verifiers=c.verifiers)),
        tranche(condition=AllOf(of=(PayerAccepts(), DataStated(source=c.source, kind="waybill")))),
    )
    asked = proposal_of(c, product, *steps)
    result = c.world.do(asked, by=c.payer, vector="plan.propose/proposed")
    plan = plan_of(c.world, result.events[0].record)
    assert (plan.state, plan.proposals, plan.version, plan.draft) == (PlanState.PROPOSED, 1, 0, steps)
    assert plan.named == (*c.verifiers, c.source)
    assert plan.deadline == c.world.now.plus(Policies().plan_check_days * DAY_MS)
    assert result.events[0].audience == (c.payer, c.platform)
    assert result.events[0].facts["terms"] == terms_hash(steps)
    assert c.product(product).committed == 0


def test_nothing_is_said_of_a_product_that_does_not_exist() -> None:
    c = cast()
    asked = ProposePlan(product="prd_0000000000000000", currency="CNY", total=Units(PART), tranches=(tranche(),))
    c.world.do(asked, by=c.payer, expect=Status.NOT_FOUND, vector="plan.propose/product_not_found")


def test_only_the_payer_proposes() -> None:
    c = cast()
    product = opened_product(c.world, c)
    c.world.do(proposal_of(c, product), by=c.payee, expect=Status.NOT_A_PARTY, vector="plan.propose/not_a_party")


def test_a_suspended_payer_proposes_nothing_new() -> None:
    c = cast()
    product = opened_product(c.world, c)
    suspend(c, c.payer)
    c.world.do(proposal_of(c, product), by=c.payer, expect=Status.SUSPENDED, vector="plan.propose/suspended")


@pytest.mark.parametrize("who", ["payee", "platform"])
def test_nothing_is_proposed_to_a_suspended_party(who: str) -> None:
    c = cast()
    product = opened_product(c.world, c)
    suspend(c, getattr(c, who))
    result = c.world.do(
        proposal_of(c, product), by=c.payer, expect=Status.PARTY_SUSPENDED, vector=f"plan.propose/{who}_suspended"
    )
    assert result.facts == {"organisation": getattr(c, who)}


def suspend(c: Cast, member: str) -> None:
    c.world.do(SuspendMember(member=member, reason="investigation"), by=c.auditor)


def test_a_suspended_product_takes_no_plan() -> None:
    c = cast()
    product = opened_product(c.world, c)
    put_product(c, product, state=ProductState.SUSPENDED)
    c.world.do(proposal_of(c, product), by=c.payer, expect=Status.WRONG_STATE, vector="plan.propose/product_suspended")


def put_product(c: Cast, product: str, **fields: Any) -> None:
    """Set a scene that no operation leads to quickly."""
    row = c.product(product)
    c.world.put(Product(**{**{name: getattr(row, name) for name in row.__struct_fields__}, **fields}))


# --- sums -----------------------------------------------------------------------------------------------------------


def test_the_stated_total_is_what_the_tranches_add_up_to() -> None:
    c = cast()
    product = opened_product(c.world, c)
    asked = proposal_of(c, product, tranche(), tranche(1), total=Units(PART))
    result = c.world.do(asked, by=c.payer, expect=Status.AMOUNT_DIFFERS, vector="plan.propose/amount_differs")
    assert result.facts == {"amount": str(PART + 1)}


def test_the_currency_is_the_products() -> None:
    c = cast()
    product = opened_product(c.world, c)
    asked = proposal_of(c, product, currency="GBP")
    c.world.do(asked, by=c.payer, expect=Status.CURRENCY_MISMATCH, vector="plan.propose/currency_mismatch")


def test_no_more_tranches_than_the_policies_allow() -> None:
    c = cast(policies=Policies(max_tranches=2))
    product = opened_product(c.world, c)
    c.world.do(proposal_of(c, product, tranche(), tranche()), by=c.payer)
    asked = proposal_of(c, product, tranche(), tranche(), tranche())
    result = c.world.do(asked, by=c.payer, expect=Status.TOO_MANY, vector="plan.propose/too_many_tranches")
    assert result.facts == {"field": "tranches", "limit": 2}


def test_a_hundred_and_one_tranches_do_not_decode() -> None:
    c = cast()
    product = opened_product(c.world, c)
    steps = tuple(tranche(1) for _ in range(101))
    c.world.do(proposal_of(c, product, *steps), by=c.payer, expect=Status.UNKNOWN_FIELD)


def test_sums_beyond_what_an_amount_can_hold() -> None:
    c = cast()
    product = opened_product(c.world, c)
    asked = proposal_of(c, product, tranche(), tranche(1, fund_units=Units(MAX_UNITS)), total=Units(PART + 1))
    c.world.do(asked, by=c.payer, expect=Status.AMOUNT_OVERFLOW, vector="plan.propose/amount_overflow")


def test_a_paying_payers_fee_must_fit_beside_the_deposits() -> None:
    c = cast()
    fee = FeeTerms(rate=Rate(PERCENT), minimum=Units(0), paid_by=FeePayer.PAYER)
    product = opened_product(c.world, c, fee=fee)
    fits = proposal_of(c, product, tranche(100, fund_units=Units(MAX_UNITS - 1)))
    c.world.do(fits, by=c.payer)
    asked = proposal_of(c, product, tranche(100, fund_units=Units(MAX_UNITS)))
    c.world.do(asked, by=c.payer, expect=Status.AMOUNT_OVERFLOW)


# --- wages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("retention", Retention(rate=Rate(5 * PERCENT), until_on=day(5, 31))),
        ("recovery", Rate(5 * PERCENT)),
        ("advance", True),
    ],
)
def test_wages_go_to_the_workers_whole(field: str, value: Any) -> None:
    c = cast()
    product = opened_product(c.world, c, business=Business.WAGES)
    first = tranche(1, wages=True) if field != "recovery" else tranche(1, advance=True)
    asked = proposal_of(c, product, first, tranche(wages=True, **{field: value}))
    misused = Status.WAGE_ACCOUNT_MISUSED
    result = c.world.do(asked, by=c.payer, expect=misused, vector=f"plan.propose/wages_with_{field}")
    assert result.facts == {"tranche": 2, "field": field, "reason": "set_off"}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("redeems", "rcv_0000000000000000", "not_a_workers_own_account"),
        ("on_silence", Silence.DISPUTE, "frozen_for_other_reasons"),
        ("if_unmet", Unmet.DISPUTE, "frozen_for_other_reasons"),
    ],
)
def test_nothing_comes_between_wages_and_workers(field: str, value: Any, reason: str) -> None:
    c = cast()
    product = opened_product(c.world, c, business=Business.WAGES)
    under(c.world, "cn")
    asked = proposal_of(c, product, tranche(wages=True, **{field: value}))
    result = c.world.do(asked, by=c.payer, expect=Status.WAGE_ACCOUNT_MISUSED)
    assert (result.facts["field"], result.facts["reason"]) == (field, reason)
    assert result.facts["clause"] == "人社部发〔2021〕53号"


def test_a_plan_for_wages_needs_a_product_for_wages() -> None:
    """That is for the platform's check to find, field by field; the wage template is not asked of another product."""
    c = cast()
    c.world.do(proposal_of(c, opened_product(c.world, c), tranche(wages=True)), by=c.payer)
    c.world.do(proposal_of(c, opened_product(c.world, c, business=Business.WAGES), tranche()), by=c.payer)


# --- proposed again -------------------------------------------------------------------------------------------------


def sent_back(c: Cast, product: str) -> str:
    plan = proposed(c.world, c, product=product)
    c.world.do(sending_back_of(c.world, plan, Failing(tranche=1, field="title", reason="unclear")), by=c.platform)
    return plan


def test_a_plan_that_was_sent_back_is_proposed_again_under_its_id() -> None:
    c = cast()
    product = opened_product(c.world, c)
    plan = sent_back(c, product)
    better = proposal_of(c, product, tranche(title="Foundations"), plan=plan)
    c.world.do(better, by=c.payer, vector="plan.propose/again")
    row = plan_of(c.world, plan)
    assert (row.state, row.proposals, row.failing, row.draft[0].title) == (PlanState.PROPOSED, 2, (), "Foundations")
    assert row.deadline == c.world.now.plus(Policies().plan_check_days * DAY_MS)


def test_what_was_not_sent_back_is_not_proposed_again() -> None:
    c = cast()
    product = opened_product(c.world, c)
    for plan in (proposed(c.world, c, product=product), sent(c.world, c, product=product)):
        again = proposal_of(c, product, plan=plan)
        c.world.do(again, by=c.payer, expect=Status.WRONG_STATE, vector=f"plan.propose/{state(c, plan)}_already")


def state(c: Cast, plan: str) -> str:
    return plan_of(c.world, plan).state.value


def test_a_plan_stays_under_its_product() -> None:
    c = cast()
    plan = sent_back(c, opened_product(c.world, c))
    other = opened_product(c.world, c)
    again = proposal_of(c, other, plan=plan)
    result = c.world.do(again, by=c.payer, expect=Status.BAD_VALUE, vector="plan.propose/another_product")
    assert result.facts["field"] == "product"
    unknown = proposal_of(c, other, plan="pln_0000000000000000")
    c.world.do(unknown, by=c.payer, expect=Status.NOT_FOUND, vector="plan.propose/plan_not_found")


def test_the_window_to_propose_again_is_open_to_its_last_instant() -> None:
    c = cast()
    product = opened_product(c.world, c)
    plan, late = sent_back(c, product), sent_back(c, product)
    deadline = plan_of(c.world, late).deadline
    assert deadline is not None
    c.world.now = deadline
    steps = tranche(fund_by_on=day(4, 16))
    c.world.do(proposal_of(c, product, steps, plan=late), by=c.payer)
    again = proposal_of(c, product, steps, plan=plan)
    c.world.now = deadline.plus(1)
    c.world.do(again, by=c.payer, expect=Status.DEADLINE_PASSED, vector="plan.propose/deadline_passed")
    assert [row.state for row in plans(c)] == [PlanState.SENT_BACK, PlanState.PROPOSED]


def plans(c: Cast) -> list[Plan]:
    return [row for row in c.world.state.rows.values() if isinstance(row, Plan)]


def test_a_refused_plan_leaves_no_trace() -> None:
    c = cast()
    product = opened_product(c.world, c)
    before = dict(c.world.state.rows)
    c.world.do(proposal_of(c, product, tranche(condition=DocumentsIn())), by=c.payer, expect=Status.NO_WAY_TO_BE_MET)
    assert c.world.state.rows == before
