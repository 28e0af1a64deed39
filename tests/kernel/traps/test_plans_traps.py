"""Traps of earlier systems that concern plans: each named after what went wrong (DOMAIN section 8)."""

import pytest

from tallystick import seeds
from tallystick.kernel.calendar.days import day_of
from tallystick.kernel.plans.conditions import OnDate
from tallystick.kernel.plans.records import PlanState
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.law import day
from tests.support.plans import (
    amendment_of,
    confirmation_of,
    confirmed,
    plan_of,
    proposal_of,
    sent,
    state_of,
    tranche,
    version_row,
)
from tests.support.products import cast, opened_product
from tests.support.receivables import publish_calendar


def test_a_missing_calendar_year_crashed_production() -> None:
    """A plan into a year that nobody has published is refused, with the day, at each step that fixes its instants."""
    c = cast()
    product = opened_product(c.world, c, payment_until_on=day("2028-03-31"), long_stop_on=day("2028-12-31"))
    late = tranche(release_from_on=day("2028-01-31"), release_until_on=day("2028-02-29"))
    asked = proposal_of(c, product, tranche(), late)
    refused = Status.CALENDAR_MISSING
    result = c.world.do(asked, by=c.payer, expect=refused, vector="plan.propose/calendar_year_missing")
    assert result.facts == {"tranche": 2, "day": "2028-01-31"}

    publish_calendar(c.world, 2028)
    one = sent(c.world, c, tranche(), late, product=product)
    two = confirmed(c.world, c, tranche(), product=product)
    amendment = amendment_of(c.world, two, tranche(), late)
    said = confirmation_of(c.world, one)
    del c.world.state.rows["calendar/2028"]
    c.world.do(said, by=c.payee, expect=refused, vector="plan.confirm/calendar_year_missing")
    c.world.do(amendment, by=c.payer, expect=refused, vector="plan.amend/calendar_year_missing")
    assert plan_of(c.world, one).state is PlanState.SENT


@pytest.mark.parametrize("text", ["2026-03-27", "2026-03-30", "2026-05-29", "2026-10-23", "2026-10-26", "2028-02-29"])
def test_the_release_day_flipped_between_start_and_end_of_day(text: str) -> None:
    """First and last instant of a tranche lie in its days, their neighbours beside them, summer time or not."""
    c = cast()
    c.world.put(seeds.zone("Europe/London"))
    publish_calendar(c.world, 2028)
    on = day(text)
    terms = tranche(fund_by_on=on, release_from_on=on, release_until_on=on, condition=OnDate(on=on))
    dates = {"payment_until_on": day("2028-03-31"), "long_stop_on": day("2028-12-31")}
    plan = confirmed(c.world, c, terms, **dates)
    state = state_of(c.world, plan)
    (opens,) = version_row(c.world, plan).opens
    assert state.release_at is not None
    assert state.unmet_at is not None
    assert state.release_at == opens.at == state.wake_at
    for instant in (state.release_at, state.unmet_at):
        assert day_of(c.world.state, instant) == on
    before, after = Instant(state.release_at - 1), state.unmet_at.plus(1)
    assert day_of(c.world.state, before) < on < day_of(c.world.state, after)


def test_confirming_number_one_overwrote_the_newest() -> None:
    """Of two plans between the same parties the one that is named is confirmed, and the other stays as it was."""
    c = cast()
    product = opened_product(c.world, c)
    one = sent(c.world, c, tranche(1), product=product)
    two = sent(c.world, c, tranche(2), product=product)
    newest = plan_of(c.world, two)
    c.world.do(confirmation_of(c.world, one), by=c.payee)
    assert plan_of(c.world, two) == newest
    assert [terms.units for terms in version_row(c.world, one).tranches] == [1]


def test_anyone_could_confirm() -> None:
    c = cast()
    plan = sent(c.world, c)
    said = confirmation_of(c.world, plan)
    for other in (c.payer, c.platform, c.custodian, c.arbitrator, c.source, c.auditor, *c.verifiers):
        c.world.do(said, by=other, expect=Status.NOT_A_PARTY)
    both = c.world.sign(said, by=c.payee, also=(c.payer,))
    assert c.world.submit(both).status is Status.SUPERFLUOUS_SIGNATURE
    assert plan_of(c.world, plan).state is PlanState.SENT


def test_a_confirmation_counted_twice() -> None:
    """Confirmed twice in one transaction, or again in the next, a plan takes its product's cap once."""
    c = cast()
    plan = sent(c.world, c)
    said = confirmation_of(c.world, plan)
    c.world.do(said, said, by=c.payee, expect=Status.WRONG_STATE)
    c.world.do(said, by=c.payee)
    c.world.do(said, by=c.payee, expect=Status.WRONG_STATE)
    row = plan_of(c.world, plan)
    assert (c.product(row.product).committed, c.product(row.product).live_plans) == (row.committed, 1)
