"""Amendments leave alone what was released, is disputed or under way; days that stay the same keep their instants."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.kernel.calendar.records import CalendarYear, YearVersion
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SucceedMember, SuspendMember
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.conditions import AllOf, AnyOf, DocumentsIn, OnDate, PayerAccepts, VerifiersAccept
from tallystick.kernel.plans.disputes import OpenDispute
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.records import Material, Phase, PlanState, Unmet, Unused
from tallystick.kernel.plans.refunds import ConsentToRefund, RequestRefund
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status
from tests.support.plans import (
    PART,
    amended,
    amendment_of,
    amendment_refused,
    check_plans,
    confirmed,
    consent_of,
    day,
    dropped,
    funded,
    funded_plan,
    plan_of,
    state_of,
    terms_of,
    tranche,
    version_row,
)
from tests.support.products import Cast, cast
from tests.support.receivables import anchor

HALF = PART // 2
DROPPED = {"units": ZERO, "fund_units": ZERO}


def at(text: str) -> Instant:
    return Instant.parse(text)


# --- what it leaves alone -------------------------------------------------------------------------------------------


def under_evidence(c: Cast, **fields: Any) -> str:
    """A plan of two funded tranches, the first with a round of evidence under way."""
    papers = (Material(kind="waybill"),)
    condition = AllOf(of=(DocumentsIn(), VerifiersAccept(needed=2, verifiers=c.verifiers)))
    first = tranche(condition=condition, materials=papers, release_from_on=day(3, 2), **fields)
    plan = funded_plan(c.world, c, first, tranche())
    claim = SubmitEvidence(plan=plan, tranche=1, materials=(anchor("waybill"),), currency="CNY", units=Units(PART))
    c.world.do(claim, by=c.payee)
    assert state_of(c.world, plan).phase is Phase.EVIDENCE_IN
    return plan


def accept(c: Cast, plan: str, by: str) -> None:
    evidence = state_of(c.world, plan).evidence
    assert evidence is not None
    c.world.do(AcceptEvidence(plan=plan, tranche=1, currency="CNY", units=Units(PART), evidence=evidence), by=by)


@pytest.mark.parametrize("phase", ["evidence_in", "verified"])
@pytest.mark.parametrize(
    "change",
    [
        {"condition": PayerAccepts()},
        {"verifiers": 2},
        {"materials": ()},
        {"units": Units(PART - 1)},
        {"units": Units(PART + 1), "fund_units": Units(PART + 1)},
        {"fund_units": Units(PART + 1)},
        {"release_from_on": day(3, 3)},
        DROPPED,
    ],
    ids="-".join,
)
def test_evidence_under_way_is_judged_by_what_was_asked(phase: str, change: dict[str, Any]) -> None:
    c = cast()
    plan = under_evidence(c)
    if phase == "verified":
        accept(c, plan, c.verifiers[0])
        accept(c, plan, c.verifiers[1])
    assert state_of(c.world, plan).phase.value == phase
    if "verifiers" in change:
        change = {"condition": VerifiersAccept(needed=2, verifiers=c.verifiers[: change["verifiers"]])}
        vector = f"plan.amend/{phase}_loses_a_verifier"
    else:
        vector = f"plan.amend/{phase}_{'dropped' if change is DROPPED else '_'.join(change)}"
    one, two = terms_of(c, plan)
    facts = amendment_refused(c, plan, replace(one, **change), two, expect=Status.AMENDMENT_TAKES_BACK, vector=vector)
    assert facts == {"tranche": 1, "phase": phase}
    amended(c.world, c, plan, one, replace(two, title="Roof"))
    check_plans(c.world)


def test_an_open_round_keeps_its_verifiers_and_its_answers() -> None:
    """The first verifier's word counts under the new version too; only the end of the window moves."""
    c = cast()
    plan = under_evidence(c)
    accept(c, plan, c.verifiers[0])
    before = state_of(c.world, plan)
    one, two = terms_of(c, plan)
    longer = replace(one, release_until_on=day(5, 29), if_unmet=Unmet.EXTEND, extend_days=5, unused=Unused.ROLL_ON)
    amended(c.world, c, plan, longer, two)
    assert state_of(c.world, plan) == replace(before, unmet_at=at("2026-05-29T23:59:59.999Z"))
    accept(c, plan, c.verifiers[1])
    assert state_of(c.world, plan).phase is Phase.VERIFIED
    c.world.wait(3 * DAY_MS + 1)
    assert state_of(c.world, plan).phase is Phase.RELEASED
    check_plans(c.world)


def test_evidence_that_came_while_an_amendment_waited_bars_it() -> None:
    c = cast()
    papers = (Material(kind="waybill"),)
    first = tranche(condition=DocumentsIn(), materials=papers, release_from_on=day(3, 2))
    plan = funded_plan(c.world, c, first)
    c.world.do(amendment_of(c.world, plan, replace(first, condition=PayerAccepts())), by=c.payer)
    claim = SubmitEvidence(plan=plan, tranche=1, materials=(anchor("waybill"),), currency="CNY", units=Units(PART))
    c.world.do(claim, by=c.payee)
    yes = consent_of(c.world, plan)
    taken = Status.AMENDMENT_TAKES_BACK
    c.world.do(yes, by=c.payee, expect=taken, vector="plan.confirm_amendment/takes_back")


def test_no_amount_goes_below_what_is_disputed() -> None:
    c = cast()
    plan = funded_plan(c.world, c, tranche(), tranche())
    dispute = OpenDispute(plan=plan, tranche=1, currency="CNY", units=Units(HALF), reason="late")
    c.world.do(dispute, by=c.payee)
    one, two = terms_of(c, plan)
    less = replace(one, units=Units(HALF - 1), fund_units=Units(HALF - 1))
    facts = amendment_refused(
        c, plan, less, two, expect=Status.AMENDMENT_TAKES_BACK, vector="plan.amend/below_disputed"
    )
    assert facts == {"tranche": 1, "least": str(HALF)}
    facts = amendment_refused(c, plan, dropped(one), two, expect=Status.AMENDMENT_TAKES_BACK)
    assert facts == {"tranche": 1, "least": str(HALF)}
    amended(c.world, c, plan, replace(one, units=Units(HALF), fund_units=Units(HALF)), two)
    first = state_of(c.world, plan)
    assert (first.held, first.disputed, first.given_back) == (HALF, HALF, HALF)
    check_plans(c.world)


def test_what_the_payee_gave_back_before_stays_given_back() -> None:
    """The amount of a tranche counts what was refunded by consent: 100 with 30 gone, amended to 60, leaves 30."""
    c = cast()
    plan = funded_plan(c.world, c, tranche(100), tranche(1))
    asked = RequestRefund(plan=plan, tranche=1, currency="CNY", units=Units(30))
    refund = c.world.do(asked, by=c.payer).events[0].record
    c.world.do(ConsentToRefund(refund=refund, currency="CNY", units=Units(30)), by=c.payee)
    facts = amendment_refused(c, plan, tranche(29), tranche(1), expect=Status.AMENDMENT_TAKES_BACK)
    assert facts == {"tranche": 1, "least": "30"}
    amended(c.world, c, plan, tranche(60), tranche(1))
    first = state_of(c.world, plan)
    assert (first.held, first.refunded, first.given_back) == (30, 70, 40)
    assert plan_of(c.world, plan).committed == 31
    check_plans(c.world)


# --- days -----------------------------------------------------------------------------------------------------------


def test_an_untouched_tranche_keeps_every_instant() -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche(), tranche())
    before = state_of(c.world, plan)
    c.world.now = at("2026-03-22T00:00:00.000Z")
    c.world.wait()
    assert state_of(c.world, plan) == replace(before, overdue=True)
    amended(c.world, c, plan, tranche(), tranche(fund_by_on=day(3, 30)))
    assert state_of(c.world, plan) == replace(before, overdue=True)
    second = state_of(c.world, plan, 2)
    assert (second.overdue, second.fund_until) == (False, at("2026-04-04T23:59:59.999Z"))


def test_a_new_amount_does_not_forgive_an_overdue_deposit() -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche())
    c.world.wait(until=at("2026-03-22T00:00:00.000Z"))
    amended(c.world, c, plan, tranche(HALF))
    first = state_of(c.world, plan)
    assert (first.overdue, first.fund_until) == (True, at("2026-03-21T23:59:59.999Z"))


def test_more_money_is_not_asked_for_by_a_day_that_has_passed() -> None:
    c = cast()
    plan = funded_plan(c.world, c, tranche())
    c.world.now = at("2026-03-17T00:00:00.000Z")
    facts = amendment_refused(
        c, plan, tranche(PART + 1), expect=Status.BAD_DATES, vector="plan.amend/deposit_in_the_past"
    )
    assert facts == {"tranche": 1, "field": "fund_by_on", "today": "2026-03-17"}
    amended(c.world, c, plan, tranche(PART + 1, fund_by_on=day(3, 17)))
    assert state_of(c.world, plan).fund_until == at("2026-03-22T23:59:59.999Z")


def test_days_that_passed_may_stand_and_no_new_one_may_have_passed() -> None:
    c = cast()
    condition = AllOf(of=(PayerAccepts(), OnDate(on=day(3, 30)), OnDate(on=day(4, 10))))
    plan = funded_plan(c.world, c, tranche(condition=condition))
    c.world.now = at("2026-04-02T00:00:00.000Z")
    (terms,) = terms_of(c, plan)
    moved = replace(terms, release_from_on=day(4, 1, 2026), release_until_on=day(5, 29))
    amended(c.world, c, plan, moved)
    amendment_refused(
        c,
        plan,
        replace(moved, release_from_on=day(3, 31)),
        expect=Status.BAD_DATES,
        vector="plan.amend/release_in_the_past",
    )
    another = AnyOf(of=(PayerAccepts(), OnDate(on=day(4, 1))))
    amendment_refused(c, plan, replace(moved, condition=another), expect=Status.BAD_DATES)
    first = state_of(c.world, plan)
    assert first.unmet_at == at("2026-05-29T23:59:59.999Z")
    assert first.release_at == first.wake_at == at("2026-04-01T00:00:00.000Z")
    c.world.wait(1)  # the window is open already: it is looked at once, and then on the day that the condition names
    assert state_of(c.world, plan).wake_at == at("2026-04-10T00:00:00.000Z")


def test_a_verifier_that_is_gone_is_replaced_by_an_amendment() -> None:
    c = cast()
    plan = funded_plan(c.world, c, tranche(condition=VerifiersAccept(needed=1, verifiers=c.verifiers[:1])), tranche())
    c.world.do(SuspendMember(member=c.verifiers[0], reason="investigation"), by=c.auditor)
    one, two = terms_of(c, plan)
    amended(c.world, c, plan, replace(one, title="Still the same verifier"), two)
    amended(c.world, c, plan, replace(one, condition=VerifiersAccept(needed=1, verifiers=c.verifiers[1:2])), two)
    assert plan_of(c.world, plan).named == c.verifiers[1:2]
    back = replace(one, condition=VerifiersAccept(needed=1, verifiers=c.verifiers[:1]))
    amendment_refused(c, plan, back, two, expect=Status.PARTY_SUSPENDED, vector="plan.amend/verifier_suspended")


def test_an_extended_window_stays_extended_until_its_end_is_moved() -> None:
    c = cast()
    plan = funded_plan(c.world, c, tranche(if_unmet=Unmet.EXTEND, extend_days=10))
    c.world.wait(until=at("2026-05-01T00:00:00.000Z"))
    extended = state_of(c.world, plan)
    assert (extended.extended, extended.unmet_at) == (1, at("2026-05-10T23:59:59.999Z"))
    (terms,) = terms_of(c, plan)
    amended(c.world, c, plan, replace(terms, title="Walls"))
    assert state_of(c.world, plan).unmet_at == extended.unmet_at
    assert state_of(c.world, plan).extended == 1
    amended(c.world, c, plan, replace(terms, release_until_on=day(5, 29)))
    assert state_of(c.world, plan).unmet_at == at("2026-05-29T23:59:59.999Z")
    assert state_of(c.world, plan).extended == 0


def test_a_day_of_a_condition_keeps_its_instant_when_holidays_are_declared_later() -> None:
    c = cast()
    condition = AllOf(of=(PayerAccepts(), OnDate(on=day(4, 10))))
    plan = confirmed(c.world, c, tranche(condition=condition), tranche())
    before = version_row(c.world, plan).opens
    holidays = YearVersion(from_on=day(1, 1, 2000), days_off=(day(4, 10), day(4, 15)), source="declared later")
    c.world.put(CalendarYear(id="2026", versions=(holidays,)))
    one, two = terms_of(c, plan)
    later = AllOf(of=(PayerAccepts(), OnDate(on=day(4, 10)), OnDate(on=day(4, 15))))
    amended(c.world, c, plan, one, replace(two, condition=later))
    opens = version_row(c.world, plan).opens
    assert opens[:1] == before
    assert (opens[1].on, opens[1].at) == (day(4, 15), at("2026-04-16T00:00:00.000Z"))


# --- parties --------------------------------------------------------------------------------------------------------


def succeed(c: Cast, member: str) -> str:
    successor = c.world.member("Successor", Role.CLIENT, Role.VERIFIER)
    order = SucceedMember(member=member, successor=successor, order=anchor("court_order"))
    c.world.do(order, by=c.auditor)
    return successor


def test_a_successor_stands_in_the_next_version() -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche())
    successor = succeed(c, c.payee)
    c.world.do(amendment_of(c.world, plan, tranche(HALF)), by=c.payer)
    c.world.do(consent_of(c.world, plan), by=successor)
    assert version_row(c.world, plan).terms.payee == successor


def test_a_verifiers_office_that_ended_does_not_come_back_with_an_amendment() -> None:
    """The verifier's successor has no say, and nobody is bound to a plan by a name that stays in its condition."""
    c = cast()
    plan = confirmed(c.world, c, tranche(condition=VerifiersAccept(needed=1, verifiers=c.verifiers)), tranche())
    succeed(c, c.verifiers[0])
    assert plan_of(c.world, plan).named == c.verifiers[1:]
    one, two = terms_of(c, plan)
    amended(c.world, c, plan, one, replace(two, title="Roof"))
    assert plan_of(c.world, plan).named == c.verifiers[1:]


# --- any amounts ----------------------------------------------------------------------------------------------------

AMOUNTS = st.integers(min_value=0, max_value=60)


@settings(max_examples=40, deadline=None)
@given(
    first=st.lists(AMOUNTS.filter(bool), min_size=1, max_size=4),
    funding=st.integers(min_value=0, max_value=200),
    rounds=st.lists(st.lists(AMOUNTS, min_size=1, max_size=6), max_size=4),
)
def test_whatever_is_amended_the_money_adds_up(first: list[int], funding: int, rounds: list[list[int]]) -> None:
    """After each amendment every tranche holds what it asks for or says what it misses, and no unit is lost."""
    c = cast()
    plan = confirmed(c.world, c, *(tranche(units) for units in first))
    if funding:
        funded(c.world, plan, min(funding, sum(first)))
    for amounts in rounds:
        had = terms_of(c, plan)
        new = tuple(tranche(units) for units in amounts)
        over = [state.is_over for state in plan_of(c.world, plan).tranches]
        sound = len(new) >= len(had) and new != had and any(amounts) and all(amounts[len(had) :])
        kept = all(new[i] == had[i] for i in range(min(len(had), len(new))) if over[i])
        before = plan_of(c.world, plan)
        status = c.world.submit(c.world.sign(amendment_of(c.world, plan, *new), by=c.payer)).status
        assert (status is Status.OK) is (sound and kept)
        if status is not Status.OK:
            assert plan_of(c.world, plan) == before
            continue
        c.world.do(consent_of(c.world, plan), by=c.payee)
        c.world.wait(1)
        check_plans(c.world)
        row = plan_of(c.world, plan)
        for state, terms in zip(row.tranches, terms_of(c, plan), strict=True):
            assert state.held <= terms.fund_units
            assert state.is_over is (terms.units == 0)
            assert (state.fund_until is None) is (state.is_over or state.held == terms.fund_units)
        if row.state is not PlanState.ACTIVE:
            return
