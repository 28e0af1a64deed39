"""B5 plan confirmed: the payee confirms, and the plan stands on the distributed ledger, whole and for good."""

import pytest

from tallystick.kernel.plans.funding import FundPlan
from tallystick.kernel.plans.proposing import DeclinePlan, terms_hash
from tallystick.kernel.plans.records import PlanState, PlanVersion
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.chain import Chain
from tests.support.plans import (
    PART,
    amended,
    amendment_of,
    confirmation_of,
    confirmed,
    consent_of,
    plan_of,
    proposal_of,
    sending_back_of,
    sent,
    tranche,
    version_row,
)
from tests.support.plans import day as on
from tests.support.products import Cast, cast, opened_product

STEPS = (tranche(title="First part"), tranche(2 * PART, title="Second part"))


@pytest.fixture
def c(chain: Chain) -> Cast:
    return cast(chain)


def test_the_payee_confirms_and_the_whole_plan_stands_on_the_ledger(chain: Chain, c: Cast) -> None:
    plan = sent(chain, c, *STEPS)
    chain.do(confirmation_of(chain, plan), by=c.payee)
    assert plan_of(chain, plan).state is PlanState.ACTIVE
    written = version_row(chain, plan)
    assert (written.version, written.tranches) == (1, STEPS)
    assert (written.terms.payer, written.terms.payee, written.terms.platform) == (c.payer, c.payee, c.platform)
    assert chain.done_at(written.confirmed) == (c.payee, ("plan.confirm",))
    assert chain.proven(written.key) == written, "a stranger can check it against the block's header"
    for party in (c.payer, c.payee, c.platform):
        assert chain.told(party)[-1] == "plan.anchored"


def test_not_confirmed_it_is_no_plan_and_the_chain_says_why(chain: Chain, c: Cast) -> None:
    plan = sent(chain, c)
    declined = chain.do(DeclinePlan(plan=plan, reason="too_late_for_us"), by=c.payee)
    assert declined.events[0].facts["reason"] == "too_late_for_us"
    assert plan_of(chain, plan).state is PlanState.DECLINED
    assert chain.proven(f"{PlanVersion.table}/{plan}/1") is None, "nothing was written, and that can be checked, too"
    chain.do(FundPlan(plan=plan, currency="CNY", units=Units(1)), by=c.payer, expect=Status.WRONG_STATE)


def test_silence_is_no_confirmation(chain: Chain, c: Cast) -> None:
    plan = sent(chain, c)
    deadline = plan_of(chain, plan).deadline
    assert deadline is not None
    chain.wait(until=deadline.plus(1))
    assert plan_of(chain, plan).state is PlanState.EXPIRED
    chain.do(confirmation_of(chain, plan), by=c.payee, expect=Status.WRONG_STATE)


def test_the_payee_confirms_what_it_saw(chain: Chain, c: Cast) -> None:
    plan = sent(chain, c, *STEPS)
    other = terms_hash((STEPS[0], tranche(2 * PART, title="Another part")))
    chain.do(confirmation_of(chain, plan, terms=other), by=c.payee, expect=Status.PLAN_DIFFERS)
    chain.do(confirmation_of(chain, plan, total=Units(2 * PART)), by=c.payee, expect=Status.AMOUNT_DIFFERS)
    for somebody in (c.payer, c.platform, c.custodian):
        chain.do(confirmation_of(chain, plan), by=somebody, expect=Status.NOT_A_PARTY)
    assert chain.state.rows.get(f"{PlanVersion.table}/{plan}/1") is None


def test_what_was_confirmed_is_changed_by_nobody_alone(chain: Chain, c: Cast) -> None:
    product = opened_product(chain, c)
    plan = confirmed(chain, c, *STEPS, product=product)
    first = version_row(chain, plan)
    chain.do(proposal_of(c, product, tranche(1), plan=plan), by=c.payer, expect=Status.WRONG_STATE)
    chain.do(sending_back_of(chain, plan), by=c.platform, expect=Status.WRONG_STATE)
    later = (STEPS[0], tranche(PART, title="Second part, smaller"))
    chain.do(amendment_of(chain, plan, *later), by=c.payer)
    assert version_row(chain, plan) == first, "an amendment that one side proposes is nothing yet"
    chain.do(consent_of(chain, plan), by=c.payer, expect=Status.NOT_A_PARTY)
    chain.do(consent_of(chain, plan), by=c.payee)
    assert (version_row(chain, plan).version, version_row(chain, plan).tranches) == (2, later)
    assert chain.proven(f"{PlanVersion.table}/{plan}/1") == first, "the first version stands as it was signed"


def test_every_version_names_the_confirmation_that_wrote_it(chain: Chain, c: Cast) -> None:
    plan = confirmed(chain, c, *STEPS)
    for number, until in enumerate((on(5, 29), on(6, 30)), start=2):
        amended(chain, c, plan, tranche(title="First part", release_until_on=until), STEPS[1])
        assert version_row(chain, plan).version == number
    for number, what in ((1, "plan.confirm"), (2, "plan.confirm_amendment"), (3, "plan.confirm_amendment")):
        row = chain.row(PlanVersion, f"{plan}/{number}")
        assert chain.done_at(row.confirmed) == (c.payee, (what,))
