"""Amendments that would change more than what both sides signed: sums, instants, and what a verifier has said."""

import pytest
from msgspec.structs import replace

from tallystick.kernel.calendar.records import CalendarYear, YearVersion
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.conditions import AllOf, OnDate, PayerAccepts, VerifiersAccept
from tallystick.kernel.plans.records import Phase, Retention, Unmet
from tallystick.kernel.plans.refunds import ConsentToRefund, RequestRefund
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.disputes import claimed, last_of_objections, verifiable
from tests.support.evidence import past, verified
from tests.support.plans import (
    PART,
    amended,
    amendment_refused,
    check_plans,
    confirmed,
    day,
    funded,
    funded_plan,
    plan_of,
    state_of,
    terms_of,
    tranche,
)
from tests.support.products import Cast, cast


def at(text: str) -> Instant:
    return Instant.parse(text)


def asked_back(c: Cast, plan: str, units: int) -> None:
    """Given back by consent."""
    asked = RequestRefund(plan=plan, tranche=1, currency="CNY", units=Units(units))
    refund = c.world.do(asked, by=c.payer).events[0].record
    c.world.do(ConsentToRefund(refund=refund, currency="CNY", units=Units(units)), by=c.payee)


@pytest.mark.parametrize(("fund", "units", "missing"), [(80, 80, 0), (100, 90, 20), (100, 100, 20), (120, 80, 40)])
def test_surplus_that_went_back_does_not_lower_the_amount_when_the_terms_are_tidied_up(
    fund: int, units: int, missing: int
) -> None:
    """100 came for a step of 80, and 20 went back: the payee agreed to nothing less than 80, then or later."""
    c = cast()
    plan = funded_plan(c.world, c, tranche(80, fund_units=Units(100)), tranche(1))
    asked_back(c, plan, 20)
    amended(c.world, c, plan, tranche(units, fund_units=Units(fund)), tranche(1))
    assert state_of(c.world, plan).held == 80
    if missing:
        funded(c.world, plan)
    assert state_of(c.world, plan).held == 80 + missing
    verified(c.world, plan, units)
    past(c.world, last_of_objections(c, plan))
    c.world.wait(until=at("2026-04-01T00:00:00.000Z"))
    assert state_of(c.world, plan).released == units
    check_plans(c.world)


def test_surplus_that_went_back_is_not_asked_for_anew_by_a_day_that_has_passed() -> None:
    c = cast()
    plan = funded_plan(c.world, c, tranche(80, fund_units=Units(100)), tranche(1))
    asked_back(c, plan, 20)
    c.world.now = at("2026-03-17T00:00:00.000Z")
    amendment_refused(c, plan, tranche(100), tranche(1), expect=Status.BAD_DATES)
    amended(c.world, c, plan, tranche(80), tranche(1))


def test_more_than_the_surplus_went_back() -> None:
    """100 for a step of 80, of which 30 went back: 10 of the amount are gone for good."""
    c = cast()
    plan = funded_plan(c.world, c, tranche(80, fund_units=Units(100)), tranche(1))
    asked_back(c, plan, 30)
    amendment_refused(c, plan, tranche(9), tranche(1), expect=Status.AMENDMENT_TAKES_BACK)
    amended(c.world, c, plan, tranche(80), tranche(1))
    assert state_of(c.world, plan).held == 70
    verified(c.world, plan, 70)
    past(c.world, last_of_objections(c, plan))
    c.world.wait(until=at("2026-04-01T00:00:00.000Z"))
    assert state_of(c.world, plan).released == 70
    check_plans(c.world)


@pytest.mark.parametrize("to", [{"extend_days": 11}, {"extend_days": 0, "if_unmet": Unmet.REFUND}], ids=str)
def test_a_window_that_was_extended_is_not_cut_by_a_change_of_what_follows_it(to: dict[str, object]) -> None:
    """What was submitted in the extended window would be lost at once."""
    c = cast()
    plan = funded_plan(c.world, c, verifiable(c, if_unmet=Unmet.EXTEND, extend_days=10))
    c.world.wait(until=at("2026-05-01T00:00:00.000Z"))
    before = state_of(c.world, plan)
    assert before.unmet_at == at("2026-05-10T23:59:59.999Z")
    claimed(c, plan, PART)
    (terms,) = terms_of(c, plan)
    amended(c.world, c, plan, replace(terms, **to))
    c.world.wait(1)
    assert state_of(c.world, plan).phase is Phase.EVIDENCE_IN
    assert (state_of(c.world, plan).unmet_at, state_of(c.world, plan).extended) == (before.unmet_at, 1)


def test_days_that_stay_the_same_keep_their_instants_when_holidays_are_declared_later() -> None:
    c = cast()
    kept = Retention(rate=Rate(10_000_000), until_on=day(5, 28))
    condition = AllOf(of=(PayerAccepts(), OnDate(on=day(4, 10))))
    plan = funded_plan(c.world, c, tranche(retention=kept, condition=condition))
    before = state_of(c.world, plan)
    holidays = (day(4, 1), day(4, 2), day(4, 10), day(4, 30), day(5, 28))
    c.world.put(
        CalendarYear(id="2026", versions=(YearVersion(from_on=day(1, 1, 2000), days_off=holidays, source="x"),))
    )
    (terms,) = terms_of(c, plan)
    amended(c.world, c, plan, replace(terms, title="Walls", retention=replace(kept, rate=Rate(20_000_000))))
    assert state_of(c.world, plan) == before


def test_what_a_verifier_confirmed_is_not_made_a_word_about_something_else() -> None:
    """It signed while version 1 was in force; the version of which it knows nothing takes no answer of it."""
    c = cast()
    plan = funded_plan(c.world, c, verifiable(c, condition=VerifiersAccept(needed=1, verifiers=c.verifiers)))
    said = AcceptEvidence(plan=plan, tranche=1, currency="CNY", units=Units(PART))
    (terms,) = terms_of(c, plan)
    amended(c.world, c, plan, replace(terms, title="The roof, not the foundations"))
    facts = c.world.do(said, by=c.verifiers[0], expect=Status.PLAN_DIFFERS).facts
    assert facts == {"plan": plan, "version": 2, "stated": 1}
    c.world.do(replace(said, version=2), by=c.verifiers[0])
    assert state_of(c.world, plan).phase is Phase.VERIFIED


def test_a_round_that_is_named_says_what_is_answered() -> None:
    """Under evidence nothing of what is asked changes, so the round's id is enough."""
    c = cast()
    plan = confirmed(c.world, c, verifiable(c, condition=VerifiersAccept(needed=1, verifiers=c.verifiers)))
    funded(c.world, plan)
    evidence = claimed(c, plan, PART)
    (terms,) = terms_of(c, plan)
    amended(c.world, c, plan, replace(terms, release_until_on=day(5, 29)))
    said = AcceptEvidence(plan=plan, tranche=1, currency="CNY", units=Units(PART), evidence=evidence)
    c.world.do(said, by=c.verifiers[0])
    assert state_of(c.world, plan).phase is Phase.VERIFIED
    assert plan_of(c.world, plan).version == 2
