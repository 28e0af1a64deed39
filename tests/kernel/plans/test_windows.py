"""What a tranche's windows bring about when they end: silence to evidence, a condition that was not met in time."""

import datetime
from typing import Any

from tallystick.kernel.calendar.days import end_of, start_of
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SucceedMember
from tallystick.kernel.plans.cases import Dispute, DisputeState, EvidenceState
from tallystick.kernel.plans.conditions import (
    AllOf,
    AnyOf,
    DataStated,
    OnDate,
    PayerAccepts,
    PlatformAccepts,
    VerifiersAccept,
)
from tallystick.kernel.plans.records import Phase, PlanState, TrancheTerms, Unmet
from tallystick.kernel.products.records import Silence
from tallystick.wire.amounts import Units
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.accounts import money
from tests.support.disputes import acceptance_of as offer_acceptance_of
from tests.support.disputes import dispute_of, offer_of
from tests.support.evidence import (
    PHOTOS,
    acceptance_of,
    claimed,
    past,
    rejection_of,
    round_of,
    statement_of,
    verified,
)
from tests.support.plans import (
    PART,
    check_plans,
    confirmed,
    funded,
    funded_plan,
    plan_of,
    state_of,
    tranche,
)
from tests.support.products import Cast, cast
from tests.support.receivables import anchor
from tests.support.world import World


def scene(*tranches: TrancheTerms, policies: Policies | None = None, **product: Any) -> tuple[World, Cast, str]:
    """A funded plan, its product's terms said by `product`."""
    c = cast(policies=policies)
    return c.world, c, funded_plan(c.world, c, *tranches, **product)


def start(world: World, day: datetime.date) -> Instant:
    return start_of(world.state, day)


# --- silence


def test_silence_that_accepts() -> None:
    world, c, plan = scene(tranche(on_silence=Silence.ACCEPT, up_to=True, materials=(PHOTOS,)))
    claimed(world, plan, 7_000)
    until = state_of(world, plan).answer_by
    assert until is not None
    world.wait(until=until)
    assert state_of(world, plan).phase is Phase.EVIDENCE_IN
    events = world.wait(1)
    assert [event.kind for event in events] == ["evidence.silent", "tranche.verified"]
    tranche_state = state_of(world, plan)
    assert (tranche_state.phase, tranche_state.certified) == (Phase.VERIFIED, 7_000)
    assert [(met.by, met.at, met.by_silence) for met in tranche_state.met] == [((c.payer,), until, True)]
    assert round_of(world, plan).silent_at == until


def test_silence_of_some_certifies_no_more_than_the_others() -> None:
    both = AllOf(of=(PayerAccepts(), PlatformAccepts()))
    world, c, plan = scene(tranche(on_silence=Silence.ACCEPT, up_to=True, condition=both))
    claimed(world, plan, 7_000)
    world.do(acceptance_of(world, plan, 6_000), by=c.platform)
    past(world, state_of(world, plan).answer_by)
    assert state_of(world, plan).certified == 6_000
    silent = {met.by: met.by_silence for met in state_of(world, plan).met}
    assert silent == {(c.payer,): True, (c.platform,): False}


def test_silence_that_disputes() -> None:
    world, c, plan = scene(tranche(up_to=True))
    claimed(world, plan, 7_000)
    before = money(world, c.payer)
    past(world, state_of(world, plan).answer_by)
    tranche_state = state_of(world, plan)
    assert (tranche_state.phase, tranche_state.disputed, tranche_state.held) == (Phase.ENDED, 7_000, 7_000)
    assert money(world, c.payer) == before + PART - 7_000
    assert round_of(world, plan).state is EvidenceState.CLOSED
    dispute: Dispute = world.row(Dispute, plan_of(world, plan).disputes[0])
    assert (dispute.cause, dispute.units, dispute.opened_by) == ("silence", 7_000, None)
    world.do(offer_of(dispute.id, 5_000), by=c.payer)
    world.do(offer_acceptance_of(dispute.id, 5_000), by=c.payee)
    assert plan_of(world, plan).state is PlanState.COMPLETED
    check_plans(world)


def test_nobody_is_silent_while_only_a_day_is_missing() -> None:
    late = datetime.date(2026, 4, 20)
    both = AllOf(of=(AnyOf(of=(PayerAccepts(), PlatformAccepts())), OnDate(on=late)))
    world, c, plan = scene(tranche(condition=both))
    claimed(world, plan)
    verified_by_payer = acceptance_of(world, plan)
    world.do(verified_by_payer, by=c.payer)
    past(world, state_of(world, plan).answer_by)
    tranche_state = state_of(world, plan)
    assert (tranche_state.phase, tranche_state.answer_by) == (Phase.EVIDENCE_IN, None)
    assert not plan_of(world, plan).disputes
    world.wait(until=start(world, late))
    assert state_of(world, plan).phase is Phase.VERIFIED


def test_nobody_is_silent_while_only_a_statement_is_missing() -> None:
    both = AllOf(of=(PayerAccepts(), DataStated(source=cast().source, kind="arrival")))
    world, c, plan = scene(tranche(condition=both))
    claimed(world, plan)
    world.do(acceptance_of(world, plan), by=c.payer)
    past(world, state_of(world, plan).answer_by)
    assert state_of(world, plan).phase is Phase.EVIDENCE_IN
    world.do(statement_of(plan, "arrival"), by=c.source)
    assert state_of(world, plan).phase is Phase.VERIFIED


def test_after_a_silence_that_accepts_it_is_too_late_to_answer() -> None:
    late = datetime.date(2026, 4, 20)
    world, c, plan = scene(tranche(on_silence=Silence.ACCEPT, condition=AllOf(of=(PayerAccepts(), OnDate(on=late)))))
    claimed(world, plan)
    past(world, state_of(world, plan).answer_by)
    assert state_of(world, plan).phase is Phase.EVIDENCE_IN
    no = rejection_of(world, plan)
    world.do(no, by=c.payer, expect=Status.DEADLINE_PASSED, vector="evidence.send_back/silence")
    world.wait(until=start(world, late))
    assert state_of(world, plan).phase is Phase.VERIFIED


def test_nobody_disputes_for_a_verifier_that_is_gone() -> None:
    gone = cast().verifiers[0]
    world, c, plan = scene(tranche(condition=VerifiersAccept(needed=1, verifiers=(gone,))))
    claimed(world, plan)
    heir = world.member("Heir", Role.VERIFIER)
    world.do(SucceedMember(member=gone, successor=heir, order=anchor("order")), by=c.auditor)
    past(world, state_of(world, plan).answer_by)
    assert state_of(world, plan).phase is Phase.EVIDENCE_IN
    assert not plan_of(world, plan).disputes


def test_a_verifier_that_is_gone_is_not_silent() -> None:
    """It counts as not confirming; the release window's end decides, not its silence."""
    gone = cast().verifiers[0]
    step = tranche(
        condition=VerifiersAccept(needed=1, verifiers=(gone,)), on_silence=Silence.ACCEPT, if_unmet=Unmet.REFUND
    )
    world, c, plan = scene(step)
    claimed(world, plan)
    heir = world.member("Heir", Role.VERIFIER)
    world.do(SucceedMember(member=gone, successor=heir, order=anchor("order")), by=c.auditor)
    past(world, state_of(world, plan).answer_by)
    assert state_of(world, plan).phase is Phase.EVIDENCE_IN
    past(world, state_of(world, plan).unmet_at)
    assert (state_of(world, plan).phase, state_of(world, plan).refunded) == (Phase.ENDED, PART)


# --- the end of the release window


def test_unmet_and_refunded_on_both_sides_of_the_windows_end() -> None:
    world, c, plan = scene(tranche(if_unmet=Unmet.REFUND))
    until = state_of(world, plan).unmet_at
    assert until == end_of(world.state, datetime.date(2026, 4, 30))
    before = money(world, c.payer)
    world.wait(until=until)
    assert state_of(world, plan).phase is Phase.WAITING
    world.wait(1)
    assert (state_of(world, plan).phase, state_of(world, plan).refunded) == (Phase.ENDED, PART)
    assert money(world, c.payer) == before + PART
    assert plan_of(world, plan).state is PlanState.COMPLETED
    check_plans(world)


def test_unmet_and_disputed() -> None:
    world, _c, plan = scene(tranche())
    past(world, state_of(world, plan).unmet_at)
    dispute: Dispute = world.row(Dispute, plan_of(world, plan).disputes[0])
    assert (dispute.cause, dispute.units, dispute.state) == ("unmet", PART, DisputeState.OPEN)
    assert (state_of(world, plan).phase, state_of(world, plan).disputed) == (Phase.ENDED, PART)
    check_plans(world)


def test_unmet_disputes_what_may_still_be_earned() -> None:
    """Not what was deposited beyond the amount, nor what is disputed or was settled before."""
    world, c, plan = scene(tranche(fund_units=Units(PART + 5_000)))
    first = world.do(dispute_of(plan, 3_000), by=c.payer).events[0].record
    world.do(dispute_of(plan, 2_000), by=c.payee)
    world.do(offer_of(first, 1_000), by=c.payer)
    world.do(offer_acceptance_of(first, 1_000), by=c.payee)
    before = money(world, c.payer)
    past(world, state_of(world, plan).unmet_at)
    sums = sorted(int(world.row(Dispute, each).units) for each in plan_of(world, plan).disputes)
    assert sums == [2_000, PART - 5_000]
    assert money(world, c.payer) == before + 5_000
    check_plans(world)


def test_unmet_disputes_no_more_than_is_there() -> None:
    c = cast()
    plan = funded(c.world, confirmed(c.world, c, tranche()), 4_000)
    past(c.world, state_of(c.world, plan).unmet_at)
    assert (state_of(c.world, plan).disputed, state_of(c.world, plan).held) == (4_000, 4_000)


def test_unmet_and_never_funded() -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche())
    past(c.world, state_of(c.world, plan).unmet_at)
    assert plan_of(c.world, plan).disputes == ()
    assert plan_of(c.world, plan).state is PlanState.COMPLETED
    check_plans(c.world)


def test_unmet_with_evidence_sent_back() -> None:
    world, c, plan = scene(tranche(if_unmet=Unmet.REFUND))
    claimed(world, plan)
    world.do(rejection_of(world, plan), by=c.payer)
    past(world, state_of(world, plan).unmet_at)
    assert round_of(world, plan).state is EvidenceState.SENT_BACK
    assert state_of(world, plan).phase is Phase.ENDED


def test_extended_as_often_as_the_policies_allow_then_disputed() -> None:
    step = tranche(if_unmet=Unmet.EXTEND, extend_days=20)
    world, _c, plan = scene(step, policies=Policies(extensions=2))
    day = datetime.date(2026, 4, 30)
    for extended in (1, 2):
        past(world, state_of(world, plan).unmet_at)
        day += datetime.timedelta(days=20)
        assert state_of(world, plan).unmet_at == end_of(world.state, day)
        assert state_of(world, plan).extended == extended
    past(world, state_of(world, plan).unmet_at)
    assert state_of(world, plan).disputed == PART


def test_extended_by_evidence_that_comes_then() -> None:
    world, _, plan = scene(tranche(if_unmet=Unmet.EXTEND, extend_days=20))
    past(world, state_of(world, plan).unmet_at)
    verified(world, plan)
    past(world, state_of(world, plan).object_until)
    assert state_of(world, plan).released == PART


def test_no_extension_leaves_too_little_time_before_the_long_stop() -> None:
    """What comes in its last moment is answered within five days and objected to within three."""
    stop = datetime.date(2026, 8, 31)
    fields: dict[str, Any] = {"long_stop_on": stop, "payment_until_on": datetime.date(2026, 8, 1)}
    world, _, plan = scene(tranche(if_unmet=Unmet.EXTEND, extend_days=115), objection_days=3, answer_days=5, **fields)
    past(world, state_of(world, plan).unmet_at)
    assert state_of(world, plan).unmet_at == end_of(world.state, stop - datetime.timedelta(days=8))
    world, _, plan = scene(tranche(if_unmet=Unmet.EXTEND, extend_days=116), objection_days=3, answer_days=5, **fields)
    past(world, state_of(world, plan).unmet_at)
    assert (state_of(world, plan).extended, state_of(world, plan).disputed) == (0, PART)
