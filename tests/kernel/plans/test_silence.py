"""Nobody does anything: what a verifier's silence, an unmet condition and a verifier that is gone lead to."""

import datetime
from typing import Any

import pytest

from tallystick.kernel.membership.standing import SucceedMember
from tallystick.kernel.plans.answering import SendBackEvidence
from tallystick.kernel.plans.cases import Dispute, DisputeState
from tallystick.kernel.plans.conditions import AnyOf, OnDate, PlatformAccepts, VerifiersAccept
from tallystick.kernel.plans.records import Phase, PlanState, Unmet
from tallystick.kernel.products.records import Silence
from tallystick.wire.instants import Instant
from tests.support.accounts import money
from tests.support.disputes import (
    certify,
    claimed,
    disputed,
    last_of_long_stop,
    last_of_negotiation,
    last_of_objections,
    paid_in,
    row_of,
    ruling_of,
    settle,
    verifiable,
)
from tests.support.plans import PART, amended, check_plans, plan_of, state_of
from tests.support.products import MILLION, Cast, cast
from tests.support.receivables import anchor

FUNDS = 10 * MILLION


def waiting(**fields: Any) -> tuple[Cast, str]:
    """A funded plan of one step whose payee claims its amount; nobody has answered."""
    c = cast()
    plan_id = paid_in(c, verifiable(c, **fields))
    claimed(c, plan_id, PART)
    return c, plan_id


def last_of_answers(c: Cast, plan_id: str) -> Instant:
    until = state_of(c.world, plan_id).answer_by
    assert until is not None
    return until


def last_of_window(c: Cast, plan_id: str) -> Instant:
    until = state_of(c.world, plan_id).unmet_at
    assert until is not None
    return until


def only_dispute(c: Cast, plan_id: str) -> Dispute:
    (dispute_id,) = plan_of(c.world, plan_id).disputes
    return row_of(c, dispute_id)


def test_silence_that_means_yes_verifies_at_the_end_of_the_time_to_answer() -> None:
    c, plan_id = waiting(on_silence=Silence.ACCEPT)
    last = last_of_answers(c, plan_id)
    c.world.wait(until=last)
    assert state_of(c.world, plan_id).phase is Phase.EVIDENCE_IN
    c.world.wait(until=last.plus(1))
    assert state_of(c.world, plan_id).phase is Phase.VERIFIED
    assert money(c.world, c.payee) == 0, "the objection window comes first"
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert money(c.world, c.payee) == PART
    check_plans(c.world)


def test_silence_that_means_dispute_freezes_what_is_claimed() -> None:
    c, plan_id = waiting(on_silence=Silence.DISPUTE)
    last = last_of_answers(c, plan_id)
    c.world.wait(until=last)
    assert not plan_of(c.world, plan_id).disputes
    c.world.wait(until=last.plus(1))
    dispute = only_dispute(c, plan_id)
    assert (dispute.cause, dispute.units, dispute.opened_by) == ("silence", PART, None)
    assert money(c.world, c.payee) == 0
    settle(c, dispute.id, PART)
    assert (money(c.world, c.payee), plan_of(c.world, plan_id).state) == (PART, PlanState.COMPLETED)
    check_plans(c.world)


def test_silence_about_a_part_that_is_disputed_already_disputes_the_rest() -> None:
    c, plan_id = waiting(on_silence=Silence.DISPUTE)
    mine = disputed(c, plan_id, 4_000_000)
    c.world.wait(until=last_of_answers(c, plan_id).plus(1))
    disputes = [row_of(c, each) for each in plan_of(c.world, plan_id).disputes]
    assert [each.units for each in disputes] == [4_000_000, 6_000_000]
    check_plans(c.world)
    settle(c, mine, 0)
    settle(c, disputes[1].id, 6_000_000)
    assert (money(c.world, c.payee), plan_of(c.world, plan_id).state) == (6_000_000, PlanState.COMPLETED)
    check_plans(c.world)


def test_an_unmet_condition_that_means_refund_gives_the_money_back() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c, if_unmet=Unmet.REFUND))
    last = last_of_window(c, plan_id)
    c.world.wait(until=last)
    assert money(c.world, c.payer) == FUNDS - PART
    c.world.wait(until=last.plus(1))
    assert (money(c.world, c.payer), plan_of(c.world, plan_id).state) == (FUNDS, PlanState.COMPLETED)
    check_plans(c.world)


def test_an_unmet_condition_that_means_dispute_freezes_the_money() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c, if_unmet=Unmet.DISPUTE))
    last = last_of_window(c, plan_id)
    c.world.wait(until=last)
    assert not plan_of(c.world, plan_id).disputes
    c.world.wait(until=last.plus(1))
    dispute = only_dispute(c, plan_id)
    assert (dispute.cause, dispute.units, dispute.state) == ("unmet", PART, DisputeState.OPEN)
    check_plans(c.world)
    c.world.wait(until=last_of_negotiation(c, dispute.id).plus(1))
    c.world.do(ruling_of(c, dispute.id, 1), by=c.arbitrator)
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (1, FUNDS - 1)
    check_plans(c.world)


def test_an_unmet_condition_that_extends_the_window_does_so_a_few_times() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c, if_unmet=Unmet.EXTEND, extend_days=7))
    for count in range(1, 4):
        last = last_of_window(c, plan_id)
        c.world.wait(until=last)
        assert state_of(c.world, plan_id).extended == count - 1
        c.world.wait(until=last.plus(1))
        assert state_of(c.world, plan_id).extended == count
        assert last_of_window(c, plan_id) > c.world.now
    c.world.wait(until=last_of_window(c, plan_id).plus(1))
    assert only_dispute(c, plan_id).cause == "unmet"
    check_plans(c.world)


def test_all_extensions_pass_in_one_block_after_a_long_silence() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c, if_unmet=Unmet.EXTEND, extend_days=7))
    c.world.wait(until=last_of_window(c, plan_id).plus(300 * 86_400_000))
    assert plan_of(c.world, plan_id).disputes
    assert state_of(c.world, plan_id).extended == 3
    check_plans(c.world)


def test_a_verifier_that_is_gone_counts_as_not_met() -> None:
    """Its successor does not inherit the office: what it accepts is refused, and the window ends unmet."""
    c = cast()
    world = c.world
    heir = world.member("Heir")
    both = VerifiersAccept(needed=2, verifiers=c.verifiers[:2])
    plan_id = paid_in(c, verifiable(c, condition=both, if_unmet=Unmet.REFUND))
    certify(c, plan_id, PART, by=c.verifiers[:1])
    world.do(SucceedMember(member=c.verifiers[1], successor=heir, order=anchor("order")), by=c.auditor)
    assert "plan.office_ended" in world.told(c.payee)
    assert c.verifiers[1] not in plan_of(world, plan_id).live_for()
    assert heir not in plan_of(world, plan_id).live_for()
    assert state_of(world, plan_id).phase is Phase.EVIDENCE_IN
    world.wait(until=last_of_window(c, plan_id).plus(1))
    assert (money(world, c.payer), money(world, c.payee)) == (FUNDS, 0)
    check_plans(world)


def test_what_a_verifier_confirmed_before_it_was_gone_stays_confirmed() -> None:
    c = cast()
    world = c.world
    heir = world.member("Heir")
    plan_id = paid_in(c, verifiable(c))
    certify(c, plan_id, PART, by=c.verifiers[:1])
    world.do(SucceedMember(member=c.verifiers[0], successor=heir, order=anchor("order")), by=c.auditor)
    certify(c, plan_id, PART, by=c.verifiers[1:2])
    assert state_of(world, plan_id).phase is Phase.VERIFIED


def test_a_verifier_that_is_gone_is_replaced_by_an_amendment() -> None:
    c = cast()
    world = c.world
    heir = world.member("Heir")
    both = VerifiersAccept(needed=2, verifiers=c.verifiers[:2])
    plan_id = paid_in(c, verifiable(c, condition=both))
    world.do(SucceedMember(member=c.verifiers[1], successor=heir, order=anchor("order")), by=c.auditor)
    others = VerifiersAccept(needed=2, verifiers=(c.verifiers[0], c.verifiers[2]))
    amended(world, c, plan_id, verifiable(c, condition=others))
    certify(c, plan_id, PART, by=(c.verifiers[0], c.verifiers[2]))
    world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert money(world, c.payee) == PART
    check_plans(world)


def test_no_answer_is_awaited_of_a_verifier_that_is_gone() -> None:
    """Its silence does not mean yes."""
    c = cast()
    world = c.world
    heir = world.member("Heir")
    alone = VerifiersAccept(needed=1, verifiers=c.verifiers[:1])
    plan_id = paid_in(c, verifiable(c, condition=alone, on_silence=Silence.ACCEPT, if_unmet=Unmet.REFUND))
    claimed(c, plan_id, PART)
    world.do(SucceedMember(member=c.verifiers[0], successor=heir, order=anchor("order")), by=c.auditor)
    world.wait(until=last_of_answers(c, plan_id).plus(1))
    assert state_of(world, plan_id).phase is not Phase.VERIFIED
    world.wait(until=last_of_window(c, plan_id).plus(1))
    assert (money(world, c.payer), money(world, c.payee)) == (FUNDS, 0)


def test_evidence_sent_back_in_time_is_no_silence() -> None:
    c = cast()
    by_platform = verifiable(c, condition=PlatformAccepts(), on_silence=Silence.ACCEPT, if_unmet=Unmet.REFUND)
    plan_id = paid_in(c, by_platform)
    evidence = claimed(c, plan_id, PART)
    no = SendBackEvidence(plan=plan_id, tranche=1, evidence=evidence, reason="incomplete")
    c.world.do(no, by=c.platform)
    c.world.wait(until=last_of_window(c, plan_id).plus(1))
    assert (money(c.world, c.payer), money(c.world, c.payee)) == (FUNDS, 0)


@pytest.mark.parametrize("days", [0, 400])
def test_a_date_that_came_in_time_releases_however_late_the_next_block_is(days: int) -> None:
    """The block that comes after the release window, or even the long stop, does not take back what the date earned."""
    c = cast()
    day = datetime.date(2026, 4, 15)
    terms = verifiable(c, condition=AnyOf(of=(OnDate(on=day), PlatformAccepts())), if_unmet=Unmet.REFUND)
    plan_id = paid_in(c, terms, objection_days=0)
    c.world.wait(until=max(last_of_window(c, plan_id), last_of_long_stop(c, plan_id) if days else Instant(0)).plus(1))
    assert (money(c.world, c.payee), plan_of(c.world, plan_id).state) == (PART, PlanState.COMPLETED)
    check_plans(c.world)
