"""plan.check: the platform lays a plan beside its product and sends it on, or back with the failing fields."""

import pytest
from msgspec.structs import replace

from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.plans.conditions import AllOf, OnDate, PayerAccepts, PlatformAccepts
from tallystick.kernel.plans.proposing import CheckPlan, CheckResult, terms_hash
from tallystick.kernel.plans.records import Failing, PlanState
from tallystick.kernel.products.records import Business, Method, ProductState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.plans import (
    PART,
    confirmed,
    day,
    plan_of,
    proposal_of,
    proposed,
    sending_back_of,
    sending_of,
    tranche,
)
from tests.support.products import MILLION, cast, opened_product

UNCLEAR = Failing(tranche=1, field="title", reason="unclear")


def test_what_keeps_within_the_product_is_sent_to_the_payee() -> None:
    c = cast()
    plan = proposed(c.world, c)
    result = c.world.do(sending_of(c.world, plan), by=c.platform, vector="plan.check/sent")
    row = plan_of(c.world, plan)
    assert (row.state, row.failing) == (PlanState.SENT, ())
    assert row.deadline == c.world.now.plus(Policies().plan_confirm_days * DAY_MS)
    assert result.events[0].kind == "plan.sent"
    assert result.events[0].audience == (c.payer, c.payee, c.platform)


def test_what_fails_is_sent_back_with_every_field() -> None:
    """The ledger's findings come first, the whole plan's before the tranches', then what the platform names."""
    c = cast()
    steps = (
        tranche(MILLION, release_from_on=day(3, 3)),
        tranche(1, release_until_on=day(10, 2), condition=AllOf(of=(PlatformAccepts(), OnDate(on=day(4, 1))))),
        tranche(1, wages=True),
    )
    plan = proposed(
        c.world,
        c,
        *steps,
        payment_from_on=day(3, 4),
        payment_until_on=day(10, 1),
        methods=(Method.DATE, Method.PAYER),
    )
    own = (Failing(tranche=3, field="wages", reason="not_a_wage_product"), UNCLEAR)
    result = c.world.do(sending_back_of(c.world, plan, *own), by=c.platform, vector="plan.check/sent_back")
    row = plan_of(c.world, plan)
    assert row.state is PlanState.SENT_BACK
    assert [(each.tranche, each.field, each.reason) for each in row.failing] == [
        (0, "units", "over_cap"),
        (1, "release_from_on", "before_payments"),
        (2, "release_until_on", "after_payments"),
        (2, "condition", "method_not_allowed"),
        (3, "wages", "not_a_wage_product"),
        (1, "title", "unclear"),
    ]
    assert row.deadline == c.world.now.plus(Policies().repropose_days * DAY_MS)
    event = result.events[0]
    assert (event.kind, event.audience) == ("plan.sent_back", (c.payer, c.platform))
    assert event.facts["failing"] == 6
    assert str(event.facts["fields"]).startswith("0 units over_cap; 1 release_from_on before_payments; ")


@pytest.mark.parametrize(
    ("name", "field"),
    [("over_cap", "units"), ("payments", "release_until_on"), ("method", "condition"), ("wages", "wages")],
)
def test_what_fails_is_not_sent_on(name: str, field: str) -> None:
    c = cast()
    fields = {
        "over_cap": {"cap": Units(PART - 1)},
        "payments": {"payment_until_on": day(4, 29)},
        "method": {"methods": (Method.DATE, Method.PLATFORM)},
        "wages": {"business": Business.WAGES},
    }[name]
    plan = proposed(c.world, c, **fields)
    result = c.world.do(
        sending_of(c.world, plan), by=c.platform, expect=Status.OVER_PRODUCT, vector=f"plan.check/over_product_{name}"
    )
    assert (result.facts["field"], result.facts["failing"]) == (field, 1)


def test_the_cap_counts_what_other_plans_have_taken() -> None:
    c = cast()
    product = opened_product(c.world, c)
    confirmed(c.world, c, tranche(MILLION - PART), product=product)
    over = proposed(c.world, c, tranche(PART), tranche(1), product=product)
    exact = proposed(c.world, c, tranche(PART), product=product)
    c.world.do(sending_of(c.world, over), by=c.platform, expect=Status.OVER_PRODUCT)
    c.world.do(sending_of(c.world, exact), by=c.platform)


def test_a_plan_adds_up_to_more_than_its_product_allows() -> None:
    c = cast()
    plan = proposed(c.world, c, tranche(MILLION), tranche(1))
    result = c.world.do(
        sending_of(c.world, plan), by=c.platform, expect=Status.OVER_PRODUCT, vector="plan.check/over_product"
    )
    assert result.facts == {"tranche": 0, "field": "units", "reason": "over_cap", "failing": 1}
    assert plan_of(c.world, plan).state is PlanState.PROPOSED


def test_payments_may_begin_and_end_with_the_products_own_days() -> None:
    c = cast()
    plan = proposed(c.world, c, payment_from_on=day(4, 1), payment_until_on=day(4, 30))
    c.world.do(sending_of(c.world, plan), by=c.platform)


def test_a_suspended_product_is_a_failing_field() -> None:
    c = cast()
    plan = proposed(c.world, c)
    product = c.product(plan_of(c.world, plan).product)
    c.world.put(replace(product, state=ProductState.SUSPENDED))
    sending = sending_of(c.world, plan)
    result = c.world.do(sending, by=c.platform, expect=Status.OVER_PRODUCT, vector="plan.check/over_product_suspended")
    assert result.facts == {"tranche": 0, "field": "product", "reason": "not_open", "failing": 1}
    c.world.do(sending_back_of(c.world, plan), by=c.platform)
    assert plan_of(c.world, plan).failing == (Failing(tranche=0, field="product", reason="not_open"),)


def test_only_the_products_platform_checks() -> None:
    c = cast()
    plan = proposed(c.world, c)
    for other in (c.payer, c.payee, c.auditor):
        c.world.do(sending_of(c.world, plan), by=other, expect=Status.NOT_A_PARTY)
    c.world.do(sending_of(c.world, plan), by=c.payer, expect=Status.NOT_A_PARTY, vector="plan.check/not_a_party")
    unknown = CheckPlan(plan="pln_0000000000000000", terms="ab" * 32, result=CheckResult.SEND)
    c.world.do(unknown, by=c.platform, expect=Status.NOT_FOUND, vector="plan.check/not_found")


def test_what_is_sent_has_no_failing_field_and_what_is_sent_back_has_one() -> None:
    c = cast()
    plan = proposed(c.world, c)
    both = sending_of(c.world, plan, failing=(UNCLEAR,))
    result = c.world.do(both, by=c.platform, expect=Status.BAD_VALUE, vector="plan.check/sent_with_failing")
    assert result.facts == {"field": "failing", "reason": "what fails is sent back"}
    neither = sending_back_of(c.world, plan)
    result = c.world.do(neither, by=c.platform, expect=Status.BAD_VALUE, vector="plan.check/nothing_fails")
    assert result.facts == {"field": "failing", "reason": "no field fails"}
    beyond = sending_back_of(c.world, plan, Failing(tranche=2, field="title", reason="unclear"))
    result = c.world.do(beyond, by=c.platform, expect=Status.BAD_VALUE, vector="plan.check/no_such_tranche")
    assert result.facts == {"field": "failing", "tranche": 2}


def test_what_the_platform_checked_is_what_stands_proposed() -> None:
    """A check signed over the first proposal does not carry the second one."""
    c = cast()
    product = opened_product(c.world, c)
    plan = proposed(c.world, c, product=product)
    first = terms_hash(plan_of(c.world, plan).draft)
    c.world.do(sending_back_of(c.world, plan, UNCLEAR), by=c.platform)
    better = proposal_of(c, product, tranche(title="Foundations"), plan=plan)
    c.world.do(better, by=c.payer)
    stale = sending_of(c.world, plan, terms=first)
    result = c.world.do(stale, by=c.platform, expect=Status.PLAN_DIFFERS, vector="plan.check/plan_differs")
    assert result.facts == {"terms": terms_hash(better.tranches)}


def test_a_plan_is_checked_once() -> None:
    c = cast()
    plan = proposed(c.world, c)
    sending = sending_of(c.world, plan)
    c.world.do(sending, by=c.platform)
    c.world.do(sending, by=c.platform, expect=Status.WRONG_STATE, vector="plan.check/wrong_state")


def test_the_window_to_check_is_open_to_its_last_instant() -> None:
    c = cast()
    plan = proposed(c.world, c, tranche(fund_by_on=day(3, 31)))
    deadline = plan_of(c.world, plan).deadline
    assert deadline is not None
    c.world.now = deadline.plus(1)
    sending = sending_of(c.world, plan)
    c.world.do(sending, by=c.platform, expect=Status.DEADLINE_PASSED, vector="plan.check/deadline_passed")
    c.world.now = deadline
    c.world.do(sending, by=c.platform)


def test_a_plan_that_is_not_checked_in_time_expires() -> None:
    c = cast()
    plan = proposed(c.world, c)
    deadline = plan_of(c.world, plan).deadline
    assert deadline is not None
    assert c.world.wait(until=deadline) == []
    events = c.world.wait(until=deadline.plus(1))
    assert [(event.kind, event.audience) for event in events] == [("plan.expired", (c.payer, c.platform))]
    assert events[0].facts == {"state": "proposed"}
    assert (plan_of(c.world, plan).state, plan_of(c.world, plan).live_for()) == (PlanState.EXPIRED, ())


def test_a_plan_that_is_not_proposed_again_in_time_expires() -> None:
    c = cast()
    plan = proposed(c.world, c)
    c.world.do(sending_back_of(c.world, plan, UNCLEAR), by=c.platform)
    deadline = plan_of(c.world, plan).deadline
    assert deadline is not None
    assert c.world.wait(until=deadline) == []
    assert [event.kind for event in c.world.wait(until=deadline.plus(1))] == ["plan.expired"]
    assert plan_of(c.world, plan).state is PlanState.EXPIRED


def test_a_payer_condition_needs_the_payers_method() -> None:
    """A leaf deep in the tree is looked at as well."""
    c = cast()
    deep = AllOf(of=(AllOf(of=(AllOf(of=(PayerAccepts(),)), OnDate(on=day(4, 1)))),))
    plan = proposed(c.world, c, tranche(condition=deep), methods=(Method.DATE,))
    c.world.do(sending_of(c.world, plan), by=c.platform, expect=Status.OVER_PRODUCT)
