"""Governors who change the policies while plans run: what was agreed under the former ones stays as it was."""

import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from tallystick.kernel.calendar.days import end_of
from tallystick.kernel.governance.policies import Policies, PolicyBook, PolicyVersion
from tallystick.kernel.plans.records import Phase, Unmet
from tallystick.wire.instants import DAY_MS
from tests.kernel.plans.test_reversal import reverse
from tests.support.disputes import disputed, row_of, verifiable
from tests.support.evidence import claimed, past, rejection_of
from tests.support.plans import (
    PART,
    amended,
    amendment_of,
    check_plans,
    confirmation_of,
    confirmed,
    consent_of,
    day,
    deposited,
    funded_plan,
    plan_of,
    sent,
    state_of,
    terms_of,
    tranche,
    version_row,
)
from tests.support.products import Cast, cast

FORMER = Policies(funding_grace_days=4, evidence_rounds=2, extensions=2, negotiation_days=6)
STRICT = Policies(funding_grace_days=0, evidence_rounds=1, extensions=0, negotiation_days=3_660, max_tranches=1)


def changed(c: Cast, policies: Policies = STRICT) -> None:
    """What holds from today on."""
    always = datetime.date(2000, 1, 1)
    former = PolicyVersion(from_on=always, values=FORMER)
    c.world.put(PolicyBook(id="chain", versions=(former, PolicyVersion(from_on=c.world.today(), values=policies))))


def scene(**fields: Any) -> Cast:
    return cast(policies=FORMER, **fields)


def test_a_plan_says_what_its_windows_are() -> None:
    c = scene()
    plan = confirmed(c.world, c)
    changed(c)
    terms = version_row(c.world, plan).terms
    kept = (terms.funding_grace_days, terms.evidence_rounds, terms.extensions, terms.negotiation_days)
    assert kept == (4, 2, 2, 6)


def test_the_policies_of_the_confirmation_count() -> None:
    c = scene()
    plan = sent(c.world, c)
    changed(c, replace(STRICT, extensions=1))
    c.world.do(confirmation_of(c.world, plan), by=c.payee)
    assert version_row(c.world, plan).terms.extensions == 1
    assert state_of(c.world, plan).fund_until == end_of(c.world.state, day(3, 16))


def test_rounds_of_evidence_are_not_taken_away() -> None:
    c = scene()
    plan = funded_plan(c.world, c, tranche())
    claimed(c.world, plan)
    changed(c)
    sent_back = c.world.do(rejection_of(c.world, plan), by=c.payer).events[-1]
    assert sent_back.facts["left"] == 1
    claimed(c.world, plan)
    assert state_of(c.world, plan).phase is Phase.EVIDENCE_IN


def test_extensions_are_not_taken_away() -> None:
    c = scene()
    plan = funded_plan(c.world, c, tranche(if_unmet=Unmet.EXTEND, extend_days=10))
    changed(c)
    for extended in (1, 2):
        past(c.world, state_of(c.world, plan).unmet_at)
        assert (state_of(c.world, plan).phase, state_of(c.world, plan).extended) == (Phase.WAITING, extended)
    past(c.world, state_of(c.world, plan).unmet_at)
    assert state_of(c.world, plan).disputed == PART


def test_an_arbitrator_is_not_kept_from_ruling_until_the_long_stop() -> None:
    c = scene()
    plan = funded_plan(c.world, c, verifiable(c))
    changed(c)
    assert row_of(c, disputed(c, plan, 100)).negotiate_until == c.world.now.plus(6 * DAY_MS)


def test_days_of_grace_are_not_taken_away() -> None:
    """Neither where a deposit is reversed, nor for what an amendment asks for."""
    c = scene(funds=0)
    plan = confirmed(c.world, c, tranche(), tranche())
    deposit = deposited(c.world, plan, 2 * PART)
    changed(c, replace(STRICT, max_tranches=3))
    one, two = terms_of(c, plan)
    amended(c.world, c, plan, one, replace(two, fund_by_on=day(3, 18)), tranche(1_000))
    reverse(c, deposit)
    ends = [state_of(c.world, plan, number).fund_until for number in (1, 2, 3)]
    assert ends == [end_of(c.world.state, day(3, of)) for of in (20, 22, 20)]
    more = replace(two, fund_by_on=day(3, 19))
    amended(c.world, c, plan, one, more, tranche(1_000))
    assert state_of(c.world, plan, 2).fund_until == end_of(c.world.state, day(3, 23))
    check_plans(c.world)


def test_a_plan_with_more_tranches_than_are_allowed_by_now_may_be_amended() -> None:
    c = scene()
    plan = confirmed(c.world, c, tranche(), tranche())
    changed(c)
    one, two = terms_of(c, plan)
    c.world.do(amendment_of(c.world, plan, one, replace(two, title="Roof")), by=c.payer)
    c.world.do(consent_of(c.world, plan), by=c.payee)
    assert plan_of(c.world, plan).version == 2


@pytest.mark.parametrize(("days", "extended"), [(31, 1), (32, 0), (39, 0)])
def test_a_silent_payer_gains_nothing_by_the_long_stop(days: int, extended: int) -> None:
    """A window that ended with it would let a payer that never answers wait for its money to come back."""
    c = scene()
    last = day(6, 8)
    fields: dict[str, Any] = {
        "long_stop_on": last,
        "payment_until_on": day(5, 1),
        "objection_days": 3,
        "answer_days": 5,
    }
    plan = funded_plan(c.world, c, tranche(if_unmet=Unmet.EXTEND, extend_days=days), **fields)
    past(c.world, state_of(c.world, plan).unmet_at)
    assert state_of(c.world, plan).extended == extended
    if extended:
        until = state_of(c.world, plan).unmet_at
        assert until == end_of(c.world.state, day(5, 31))
        c.world.now = until
        claimed(c.world, plan)
        past(c.world, state_of(c.world, plan).answer_by)
    assert state_of(c.world, plan).disputed == PART
    c.world.wait(until=end_of(c.world.state, last).plus(1))
    assert state_of(c.world, plan).released == PART // 2, "divided as agreed, and not given back"
    check_plans(c.world)
