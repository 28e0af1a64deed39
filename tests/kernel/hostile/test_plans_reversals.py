"""A payer whose bank takes a deposit back at the right moment: what was under way is neither lost nor paid unearned."""

from typing import Any

from tallystick.kernel.calendar.days import start_of
from tallystick.kernel.plans.conditions import OnDate
from tallystick.kernel.plans.records import Phase
from tallystick.kernel.products.records import Silence
from tallystick.wire.status import Status
from tests.kernel.plans.test_reversal import claim_on, reverse
from tests.support.accounts import money
from tests.support.disputes import certify, claimed, last_of_objections, verifiable
from tests.support.evidence import acceptance_of, claim_of, past, rejection_of
from tests.support.plans import PART, check_plans, confirmed, day, deposited, state_of, tranche
from tests.support.products import Cast, cast


def under_evidence(**fields: Any) -> tuple[Cast, str, str]:
    """A plan whose only tranche was paid in from the bank, and claimed. Returns cast, plan, deposit."""
    c = cast(funds=0)
    plan_id = confirmed(c.world, c, verifiable(c, **fields), verifiable(c))
    deposit = deposited(c.world, plan_id, PART)
    claimed(c, plan_id, PART)
    return c, plan_id, deposit


def test_the_verifiers_still_answer_when_the_money_was_taken_back() -> None:
    """Else their silence, which they could not help, would cost the payee what it had earned."""
    c, plan_id, deposit = under_evidence()
    reverse(c, deposit)
    assert state_of(c.world, plan_id).held == 0
    certify(c, plan_id, PART)
    assert state_of(c.world, plan_id).phase is Phase.VERIFIED
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert (state_of(c.world, plan_id).phase, money(c.world, c.payee)) == (Phase.VERIFIED, 0)
    deposited(c.world, plan_id, PART)
    c.world.wait(1)
    assert money(c.world, c.payee) == PART
    assert claim_on(c) == 0
    check_plans(c.world)


def test_silence_does_not_verify_before_the_money_is_there_again_and_then_it_does() -> None:
    c, plan_id, deposit = under_evidence(on_silence=Silence.ACCEPT)
    reverse(c, deposit)
    past(c.world, state_of(c.world, plan_id).answer_by)
    assert state_of(c.world, plan_id).phase is Phase.VERIFIED
    past(c.world, state_of(c.world, plan_id).object_until)
    assert money(c.world, c.payee) == 0
    deposited(c.world, plan_id, PART)
    c.world.wait(1)
    assert money(c.world, c.payee) == PART
    check_plans(c.world)


def test_no_round_is_opened_for_a_tranche_without_its_money() -> None:
    c, plan_id, deposit = under_evidence()
    c.world.do(rejection_of(c.world, plan_id), by=c.verifiers[0])
    c.world.do(rejection_of(c.world, plan_id), by=c.verifiers[1])
    reverse(c, deposit)
    c.world.do(claim_of(c.world, plan_id), by=c.payee, expect=Status.NOT_FUNDED)
    c.world.do(acceptance_of(c.world, plan_id), by=c.verifiers[0], expect=Status.NOT_FUNDED)


def test_what_a_day_alone_verifies_waits_for_its_money() -> None:
    c = cast(funds=0)
    plan_id = confirmed(c.world, c, tranche(condition=OnDate(on=day(4, 1))))
    reverse(c, deposited(c.world, plan_id, PART))
    c.world.wait(until=start_of(c.world.state, day(4, 1)))
    assert state_of(c.world, plan_id).phase is Phase.WAITING
