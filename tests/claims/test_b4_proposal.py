"""B4 plan proposed: the payer asks for a release plan, it is checked against the product, and sent to the payee."""

import pytest

from tallystick.kernel.plans.conditions import PlatformAccepts
from tallystick.kernel.plans.proposing import ConfirmPlan
from tallystick.kernel.plans.records import Failing, PlanState, PlanVersion, TrancheTerms
from tallystick.kernel.products.records import Method
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.chain import Chain
from tests.support.plans import (
    PART,
    confirmation_of,
    confirmed,
    day,
    plan_of,
    proposal_of,
    proposed,
    sending_back_of,
    sending_of,
    tranche,
)
from tests.support.products import MILLION, Cast, cast, opened_product

AGAINST = {
    "over the cap": (tranche(MILLION + 1), Failing(tranche=0, field="units", reason="over_cap")),
    "after the payments": (
        tranche(release_until_on=day(1, 15, 2027)),
        Failing(tranche=1, field="release_until_on", reason="after_payments"),
    ),
    "by another method": (
        tranche(condition=PlatformAccepts()),
        Failing(tranche=1, field="condition", reason="method_not_allowed"),
    ),
}


@pytest.fixture
def c(chain: Chain) -> Cast:
    return cast(chain)


@pytest.fixture
def product(chain: Chain, c: Cast) -> str:
    """Open for the payer's own confirmation and for dates, and nothing else."""
    return opened_product(chain, c, methods=(Method.DATE, Method.PAYER))


def test_asked_for_checked_and_sent_to_the_payee(chain: Chain, c: Cast, product: str) -> None:
    steps = (tranche(), tranche(2 * PART))
    plan = chain.do(proposal_of(c, product, *steps), by=c.payer).events[0].record
    row = plan_of(chain, plan)
    assert (row.state, row.draft, row.product) == (PlanState.PROPOSED, steps, product)
    assert chain.told(c.platform)[-1] == "plan.proposed"
    assert "plan.proposed" not in chain.told(c.payee), "it is not for the payee before it is checked"

    chain.do(sending_of(chain, plan), by=c.platform)
    assert plan_of(chain, plan).state is PlanState.SENT
    for party in (c.payer, c.payee):
        assert chain.told(party)[-1] == "plan.sent"
    assert chain.state.rows.get(f"{PlanVersion.table}/{plan}/1") is None, "it binds nobody before the payee confirms"


@pytest.mark.parametrize("what", sorted(AGAINST))
def test_what_fails_against_the_product_is_sent_back_with_its_fields(
    chain: Chain, c: Cast, product: str, what: str
) -> None:
    step, failing = AGAINST[what]
    plan = proposed(chain, c, step, product=product)
    refused = chain.do(sending_of(chain, plan), by=c.platform, expect=Status.OVER_PRODUCT)
    assert (refused.facts["field"], refused.facts["reason"]) == (failing.field, failing.reason)
    chain.do(sending_back_of(chain, plan), by=c.platform)
    row = plan_of(chain, plan)
    assert (row.state, row.failing) == (PlanState.SENT_BACK, (failing,))
    assert chain.told(c.payer)[-1] == "plan.sent_back"

    chain.do(proposal_of(c, product, tranche(), plan=plan), by=c.payer)
    chain.do(sending_of(chain, plan), by=c.platform)
    assert (plan_of(chain, plan).state, plan_of(chain, plan).proposals) == (PlanState.SENT, 2)


def test_all_plans_together_keep_within_the_product(chain: Chain, c: Cast, product: str) -> None:
    confirmed(chain, c, tranche(MILLION - PART), product=product)
    fits = proposed(chain, c, tranche(PART), product=product)
    over = proposed(chain, c, tranche(PART + 1), product=product)
    chain.do(sending_of(chain, over), by=c.platform, expect=Status.OVER_PRODUCT)
    chain.do(sending_of(chain, fits), by=c.platform)


def test_the_platform_may_send_back_what_it_alone_knows(chain: Chain, c: Cast, product: str) -> None:
    plan = proposed(chain, c, product=product)
    known = Failing(tranche=1, field="units", reason="already_paid_elsewhere")
    chain.do(sending_back_of(chain, plan, known), by=c.platform)
    assert plan_of(chain, plan).failing == (known,)


UNSOUND: dict[str, tuple[TrancheTerms, Status]] = {
    "no amount": (tranche(0), Status.AMOUNT_ZERO),
    "less deposited than released": (tranche(fund_units=Units(PART - 1)), Status.BAD_VALUE),
    "released before it starts": (tranche(release_until_on=day(3, 31)), Status.BAD_DATES),
    "deposited after the release": (tranche(fund_by_on=day(5, 1)), Status.BAD_DATES),
}


@pytest.mark.parametrize("what", sorted(UNSOUND))
def test_what_makes_no_sense_in_itself_is_refused_at_once(chain: Chain, c: Cast, product: str, what: str) -> None:
    step, refused = UNSOUND[what]
    chain.do(proposal_of(c, product, step), by=c.payer, expect=refused)


def test_none_acts_for_another(chain: Chain, c: Cast, product: str) -> None:
    for other in (c.payee, c.platform, c.custodian):
        chain.do(proposal_of(c, product), by=other, expect=Status.NOT_A_PARTY)
    plan = proposed(chain, c, product=product)
    for other in (c.payer, c.payee, c.auditor):
        chain.do(sending_of(chain, plan), by=other, expect=Status.NOT_A_PARTY)
    chain.do(confirmation_of(chain, plan), by=c.payee, expect=Status.WRONG_STATE)
    chain.do(sending_of(chain, plan, terms="0" * 64), by=c.platform, expect=Status.PLAN_DIFFERS)
    chain.do(sending_of(chain, plan), by=c.platform)


@pytest.mark.parametrize("checked", [False, True])
def test_what_is_left_alone_ends_by_itself(chain: Chain, c: Cast, product: str, checked: bool) -> None:
    plan = proposed(chain, c, product=product)
    if checked:
        chain.do(sending_back_of(chain, plan, Failing(tranche=1, field="units", reason="unclear")), by=c.platform)
    deadline = plan_of(chain, plan).deadline
    assert deadline is not None
    chain.wait(until=deadline.plus(1))
    assert plan_of(chain, plan).state is PlanState.EXPIRED
    late = ConfirmPlan(plan=plan, currency="CNY", total=Units(PART), terms="0" * 64)
    chain.do(late, by=c.payee, expect=Status.WRONG_STATE)
