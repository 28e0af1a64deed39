"""Release: by date at block start or by whoever asks, after the objection window, once, and never without its money."""

import datetime
from typing import Any

import pytest

from tallystick.kernel.accounts.freezes import FreezeAccount, UnfreezeAccount
from tallystick.kernel.accounts.records import AccountsOf
from tallystick.kernel.accounts.reversing import ReverseDeposit
from tallystick.kernel.calendar.days import end_of, start_of
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SuspendMember
from tallystick.kernel.plans import releasing
from tallystick.kernel.plans.conditions import AllOf, AnyOf, OnDate, PayerAccepts, PlatformAccepts
from tallystick.kernel.plans.records import Phase, PlanState, Retention, TrancheTerms, Unmet, Unused
from tallystick.kernel.plans.releasing import ReleaseTranche
from tallystick.kernel.products.records import Method
from tallystick.wire.amounts import RATE_SCALE, Rate, Units
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status
from tests.support.accounts import held_for, money
from tests.support.disputes import acceptance_of as offer_acceptance_of
from tests.support.disputes import dispute_of, objection_of, offer_of
from tests.support.evidence import (
    acceptance_of,
    certificates,
    claimed,
    past,
    rejection_of,
    release_of,
    released,
    round_of,
    verified,
)
from tests.support.plans import (
    PART,
    check_plans,
    confirmed,
    deposited,
    funded,
    funded_plan,
    plan_of,
    state_of,
    tranche,
)
from tests.support.products import Cast, cast
from tests.support.receivables import anchor
from tests.support.world import World

PERCENT = RATE_SCALE
APRIL = datetime.date(2026, 4, 1)
AUGUST = datetime.date(2026, 8, 3)


def on_first_of_april(**fields: Any) -> TrancheTerms:
    """A step that is released by its date alone."""
    return tranche(**{"condition": OnDate(on=APRIL), **fields})


def scene(*tranches: TrancheTerms, policies: Policies | None = None, **product: Any) -> tuple[World, Cast, str]:
    """A funded plan, its product's terms said by `product`."""
    c = cast(policies=policies)
    return c.world, c, funded_plan(c.world, c, *tranches, **product)


def start(world: World, day: datetime.date) -> Instant:
    return start_of(world.state, day)


# --- by date


def test_a_date_releases_by_itself_on_both_sides_of_its_opening() -> None:
    world, c, plan = scene(on_first_of_april(), objection_days=0)
    before = money(world, c.payee)
    world.wait(until=Instant(start(world, APRIL) - 1))
    assert state_of(world, plan).phase is Phase.WAITING
    events = world.wait(1)
    assert state_of(world, plan).phase is Phase.RELEASED
    assert money(world, c.payee) == before + PART
    assert [event.kind for event in events][:1] == ["tranche.verified"]
    (row,) = certificates(world, plan)
    assert (row.certified, row.released, row.triggered_by, row.cause) == (PART, PART, None, "release")
    assert [(met.method, met.at, met.by) for met in row.conditions] == [(Method.DATE, start(world, APRIL), ())]
    assert plan_of(world, plan).state is PlanState.COMPLETED
    check_plans(world)


def test_a_date_on_a_holiday_is_the_next_business_day() -> None:
    saturday = datetime.date(2026, 4, 4)
    world, _, plan = scene(tranche(condition=OnDate(on=saturday), release_from_on=saturday), objection_days=0)
    world.wait(until=start(world, saturday))
    assert state_of(world, plan).phase is Phase.WAITING
    world.wait(until=start(world, datetime.date(2026, 4, 6)))
    assert state_of(world, plan).phase is Phase.RELEASED


def test_a_month_of_no_blocks_is_no_unmet_condition() -> None:
    """What held within the window counts, though the first block after its day comes when the window is over."""
    world, _c, plan = scene(on_first_of_april(if_unmet=Unmet.REFUND), objection_days=0)
    world.wait(until=start(world, datetime.date(2026, 6, 1)))
    assert state_of(world, plan).released == PART


def test_money_that_comes_after_the_date() -> None:
    c = cast()
    world = c.world
    plan = confirmed(world, c, on_first_of_april(), objection_days=0)
    world.wait(until=start(world, APRIL))
    assert state_of(world, plan).phase is Phase.WAITING
    asked = release_of(world, plan, PART)
    world.do(asked, by=c.payee, expect=Status.NOT_FUNDED, vector="tranche.release/not_funded_yet")
    funded(world, plan)
    world.wait(1)
    assert state_of(world, plan).phase is Phase.RELEASED


def test_a_certificate_names_no_evidence_that_was_sent_back() -> None:
    """A settlement was paid after the round had come to nothing; the release names the round that was met."""
    either = AllOf(of=(OnDate(on=APRIL), AnyOf(of=(PayerAccepts(), PlatformAccepts()))))
    world, c, plan = scene(tranche(condition=either), on_first_of_april(), objection_days=0)
    sent_back = claimed(world, plan)
    world.do(rejection_of(world, plan), by=c.payer)
    world.do(rejection_of(world, plan), by=c.platform)
    result = world.do(dispute_of(plan, 1_000), by=c.payer)
    world.do(offer_of(result.events[0].record, 1_000), by=c.payer)
    world.do(offer_acceptance_of(result.events[0].record, 1_000), by=c.payee)
    assert round_of(world, plan).id == sent_back
    assert [row.evidence for row in certificates(world, plan)] == [None]
    met = claimed(world, plan)
    verified(world, plan)
    world.wait(until=start(world, APRIL))
    assert certificates(world, plan)[1].evidence == met


def test_month_ends() -> None:
    for day in (datetime.date(2026, 4, 30), datetime.date(2026, 11, 30)):
        last = day + datetime.timedelta(days=10)
        world, _, plan = scene(
            tranche(condition=OnDate(on=day), release_from_on=day, release_until_on=last), objection_days=0
        )
        world.wait(until=Instant(start(world, day) - 1))
        assert state_of(world, plan).phase is Phase.WAITING
        world.wait(1)
        assert state_of(world, plan).phase is Phase.RELEASED


# --- the objection window and the first day of the release


def test_verified_early_it_waits_for_the_first_day_of_its_release() -> None:
    world, c, plan = scene(tranche())
    verified(world, plan)
    past(world, state_of(world, plan).object_until)
    assert state_of(world, plan).phase is Phase.VERIFIED
    early = release_of(world, plan, PART)
    world.do(early, by=c.payee, expect=Status.TOO_EARLY, vector="tranche.release/before_its_day")
    world.wait(until=Instant(start(world, APRIL) - 1))
    assert state_of(world, plan).phase is Phase.VERIFIED
    world.wait(1)
    assert state_of(world, plan).phase is Phase.RELEASED


def test_both_sides_of_the_objection_windows_end() -> None:
    world, c, plan = scene(tranche())
    world.wait(until=start(world, APRIL))
    verified(world, plan)
    until = state_of(world, plan).object_until
    assert until == world.now.plus(3 * DAY_MS)
    world.wait(until=until)
    assert state_of(world, plan).phase is Phase.VERIFIED
    open_still = release_of(world, plan, PART)
    world.do(open_still, by=c.payee, expect=Status.TOO_EARLY, vector="tranche.release/too_early")
    world.wait(1)
    assert state_of(world, plan).phase is Phase.RELEASED


def test_without_an_objection_window_the_acceptance_releases() -> None:
    world, c, plan = scene(tranche(), objection_days=0)
    world.wait(until=start(world, APRIL))
    result = world.do(acceptance_of(world, plan), by=c.payer, vector="evidence.accept/released")
    assert "tranche.released" in [event.kind for event in result.events]
    assert state_of(world, plan).phase is Phase.RELEASED
    assert certificates(world, plan)[0].triggered_by is None


# --- tranche.release


def ready(*tranches: TrancheTerms, **product: Any) -> tuple[World, Cast, str]:
    """A verified tranche whose windows are over, which no block has looked at since."""
    world, c, plan = scene(*(tranches or (tranche(),)), **product)
    verified(world, plan)
    world.now = start(world, APRIL)
    return world, c, plan


def test_anybody_may_ask_for_what_is_satisfied() -> None:
    world, c, plan = ready()
    stranger = world.member("Stranger", Role.CLIENT)
    result = world.do(release_of(world, plan, PART), by=stranger, vector="tranche.release/released")
    (row,) = certificates(world, plan)
    assert row.triggered_by == stranger
    assert row.conditions[0].by == (c.payer,)
    released_event = next(event for event in result.events if event.kind == "tranche.released")
    assert released_event.facts["certificate"] == row.id
    assert set(released_event.audience) == {c.payer, c.payee, c.platform}
    check_plans(world)


def test_a_release_asked_twice() -> None:
    world, c, plan = ready(tranche(), tranche())
    world.do(release_of(world, plan, PART), by=c.platform)
    before = money(world, c.payee)
    again = release_of(world, plan, PART)
    world.do(again, by=c.payee, expect=Status.ALREADY_RELEASED, vector="tranche.release/already_released")
    world.wait(DAY_MS)
    assert money(world, c.payee) == before
    assert len(certificates(world, plan)) == 1


@pytest.mark.parametrize(
    ("units", "fields", "status"),
    [
        (PART - 1, {}, Status.AMOUNT_DIFFERS),
        (PART, {"currency": "GBP"}, Status.CURRENCY_MISMATCH),
    ],
)
def test_the_amount_is_stated(units: int, fields: dict[str, Any], status: Status) -> None:
    world, c, plan = ready()
    asked = release_of(world, plan, units, **fields)
    world.do(asked, by=c.payee, expect=status, vector=f"tranche.release/{status.label}")


def test_what_does_not_hold_is_not_released() -> None:
    world, c, plan = scene(tranche())
    world.wait(until=start(world, APRIL))
    asked = release_of(world, plan, PART)
    world.do(asked, by=c.payer, expect=Status.CONDITION_NOT_MET, vector="tranche.release/condition_not_met")


def test_no_such_plan_or_tranche() -> None:
    world, c, plan = ready()
    lost = ReleaseTranche(plan="pln_" + "0" * 16, tranche=1, currency="CNY", units=Units(1))
    world.do(lost, by=c.payer, expect=Status.NOT_FOUND, vector="tranche.release/not_found")
    beyond = ReleaseTranche(plan=plan, tranche=2, currency="CNY", units=Units(1))
    world.do(beyond, by=c.payer, expect=Status.NOT_FOUND)


def test_a_tranche_that_ended_otherwise() -> None:
    world, c, plan = scene(tranche(if_unmet=Unmet.REFUND), tranche(release_until_on=datetime.date(2026, 6, 1)))
    past(world, state_of(world, plan).unmet_at)
    asked = release_of(world, plan, PART)
    world.do(asked, by=c.payer, expect=Status.WRONG_STATE, vector="tranche.release/wrong_state")


def test_a_condition_that_only_time_has_met_is_looked_at_when_asked() -> None:
    """Without the block's own due work, as when there is more of it than a block takes."""
    world, c, plan = scene(on_first_of_april(), objection_days=0)
    world.now = start(world, APRIL)
    world.do(release_of(world, plan, PART), by=c.payee)
    assert state_of(world, plan).phase is Phase.RELEASED
    world, c, plan = scene(on_first_of_april())
    world.now = start(world, APRIL)
    world.do(release_of(world, plan, PART), by=c.payee, expect=Status.TOO_EARLY)


def test_a_suspended_payee_is_still_paid() -> None:
    world, c, plan = ready()
    world.do(SuspendMember(member=c.payee, reason="audit"), by=c.auditor)
    world.do(release_of(world, plan, PART), by=c.payee)
    assert state_of(world, plan).released == PART


def test_a_payee_without_an_account_gets_a_hold() -> None:
    c = cast()
    world = c.world
    plan = funded_plan(world, c, on_first_of_april(), objection_days=0)
    world.put(AccountsOf(id=f"{c.payee}/CNY"))
    world.wait(until=start(world, APRIL))
    assert held_for(world, c.payee) == PART
    assert state_of(world, plan).phase is Phase.RELEASED


# --- what is disputed, frozen, reversed


def test_what_is_objected_to_is_left_out() -> None:
    world, c, plan = scene(tranche())
    verified(world, plan)
    world.do(objection_of(plan, 4_000), by=c.payer)
    world.wait(until=start(world, APRIL))
    (row,) = certificates(world, plan)
    assert (row.certified, row.disputed, row.released) == (PART, 4_000, PART - 4_000)
    assert state_of(world, plan).held == 4_000
    assert plan_of(world, plan).state is PlanState.ACTIVE
    check_plans(world)


def test_all_of_it_in_dispute() -> None:
    world, c, plan = scene(tranche())
    verified(world, plan)
    result = world.do(objection_of(plan, PART), by=c.payer)
    world.wait(until=start(world, APRIL))
    assert state_of(world, plan).phase is Phase.VERIFIED
    asked = release_of(world, plan, 0)
    world.do(asked, by=c.payee, expect=Status.IN_DISPUTE, vector="tranche.release/in_dispute")
    dispute = next(event.record for event in result.events if event.kind == "dispute.opened")
    world.do(offer_of(dispute, 6_000), by=c.payer)
    world.do(offer_acceptance_of(dispute, 6_000), by=c.payee)
    assert state_of(world, plan).phase is Phase.ENDED  # settled: nothing is left to release
    assert state_of(world, plan).released == 6_000
    assert plan_of(world, plan).state is PlanState.COMPLETED
    check_plans(world)


def test_what_was_settled_before_the_certification_is_not_paid_again() -> None:
    world, c, plan = scene(tranche())
    result = world.do(dispute_of(plan, 3_000), by=c.payer)
    dispute = result.events[0].record
    world.do(offer_of(dispute, 1_000), by=c.payer)
    world.do(offer_acceptance_of(dispute, 1_000), by=c.payee)
    released(world, plan)
    first, second = certificates(world, plan)
    assert (first.cause, first.released) == ("settlement", 1_000)
    assert (second.certified, second.disputed, second.released) == (PART, 3_000, PART - 3_000)
    assert plan_of(world, plan).released == PART - 2_000
    check_plans(world)


ORDER = anchor("court_order")


def test_a_frozen_escrow_waits_for_the_freezes_end() -> None:
    world, c, plan = scene(tranche())
    verified(world, plan)
    order = FreezeAccount(plan=plan, currency="CNY", units=Units(1), authority_order=ORDER)
    freeze = world.do(order, by=c.custodian).events[0].facts["freeze"]
    world.wait(until=start(world, APRIL))
    assert state_of(world, plan).phase is Phase.VERIFIED
    asked = release_of(world, plan, PART)
    world.do(asked, by=c.payee, expect=Status.ACCOUNT_FROZEN, vector="tranche.release/account_frozen")
    world.do(UnfreezeAccount(plan=plan, freeze=str(freeze), authority_order=ORDER), by=c.custodian)
    world.wait(1)
    assert state_of(world, plan).phase is Phase.RELEASED
    check_plans(world)


def test_a_freeze_that_ends_by_its_day() -> None:
    world, c, plan = scene(tranche())
    verified(world, plan)
    order = FreezeAccount(plan=plan, currency="CNY", units=Units(1), authority_order=ORDER, until_on=AUGUST)
    world.do(order, by=c.custodian)
    world.wait(until=end_of(world.state, AUGUST))
    assert state_of(world, plan).phase is Phase.VERIFIED
    world.wait(1)
    world.wait(1)
    assert state_of(world, plan).phase is Phase.RELEASED


def test_verified_money_that_a_reversal_took_is_waited_for() -> None:
    c = cast(funds=0)
    world = c.world
    plan = confirmed(world, c, tranche())
    deposit = deposited(world, plan, PART)
    verified(world, plan)
    reversal = ReverseDeposit(deposit=deposit, currency="CNY", units=Units(PART), bank_reference="REV-1")
    world.do(reversal, by=c.custodian)
    world.wait(until=start(world, APRIL))
    assert state_of(world, plan).phase is Phase.VERIFIED
    asked = release_of(world, plan, PART)
    world.do(asked, by=c.payee, expect=Status.NOT_FUNDED, vector="tranche.release/not_funded")
    deposited(world, plan, PART)
    world.wait(1)
    assert state_of(world, plan).released == PART
    check_plans(world)


# --- unused money


@pytest.mark.parametrize("unused", list(Unused))
def test_what_was_not_certified_goes_where_the_terms_say(unused: Unused) -> None:
    world, c, plan = scene(tranche(up_to=True, unused=unused), objection_days=0)
    before = money(world, c.payer)
    world.wait(until=start(world, APRIL))
    verified(world, plan, 4_000)
    assert money(world, c.payer) == before + PART - 4_000
    assert plan_of(world, plan).state is PlanState.COMPLETED
    check_plans(world)


def test_what_rolls_on_may_complete_the_next_tranche() -> None:
    c = cast()
    world = c.world
    first = tranche(up_to=True, unused=Unused.ROLL_ON)
    plan = confirmed(world, c, first, on_first_of_april(), objection_days=0)
    funded(world, plan, PART + 4_000)
    world.wait(until=start(world, APRIL))
    assert state_of(world, plan, 2).phase is Phase.WAITING
    verified(world, plan, 4_000)
    world.wait(1)
    assert (state_of(world, plan).rolled, state_of(world, plan, 2).released) == (PART - 4_000, PART)
    check_plans(world)


# --- retention


def kept(rate: int = 5, until: datetime.date = AUGUST, **fields: Any) -> TrancheTerms:
    """A step of which `rate` percent are retained."""
    return tranche(retention=Retention(rate=Rate(rate * PERCENT), until_on=until), **fields)


def test_a_retention_is_paid_on_both_sides_of_its_day() -> None:
    world, _c, plan = scene(kept())
    released(world, plan)
    assert (state_of(world, plan).retained, state_of(world, plan).held) == (PART // 20, PART // 20)
    assert plan_of(world, plan).state is PlanState.ACTIVE
    world.wait(until=Instant(start(world, AUGUST) - 1))
    assert state_of(world, plan).retained
    events = world.wait(1)
    first, second = certificates(world, plan)
    assert (first.retained, first.released) == (PART // 20, PART - PART // 20)
    assert (second.cause, second.certified, second.released) == ("retention", PART // 20, PART // 20)
    assert [(met.method, met.at) for met in second.conditions] == [(Method.DATE, start(world, AUGUST))]
    assert "plan.completed" in [event.kind for event in events]
    check_plans(world)


def test_what_is_disputed_of_a_retention_stays() -> None:
    world, c, plan = scene(kept())
    released(world, plan)
    world.do(dispute_of(plan, 1_000), by=c.payer)
    world.wait(until=start(world, AUGUST))
    assert certificates(world, plan)[1].released == PART // 20 - 1_000
    assert state_of(world, plan).held == 1_000
    check_plans(world)


def test_a_release_after_the_retentions_day_retains_nothing() -> None:
    late = kept(until=datetime.date(2026, 5, 4))
    world, _c, plan = scene(late, objection_days=10)
    world.wait(until=Instant((state_of(world, plan).unmet_at or world.now) - DAY_MS))
    verified(world, plan)
    past(world, state_of(world, plan).object_until)
    (row,) = certificates(world, plan)
    assert (row.retained, row.released) == (0, PART)


def test_a_retention_in_a_frozen_escrow_waits() -> None:
    world, c, plan = scene(kept())
    released(world, plan)
    order = FreezeAccount(plan=plan, currency="CNY", units=Units(1), authority_order=ORDER)
    freeze = world.do(order, by=c.custodian).events[0].facts["freeze"]
    world.wait(until=start(world, AUGUST))
    assert state_of(world, plan).retained
    world.do(UnfreezeAccount(plan=plan, freeze=str(freeze), authority_order=ORDER), by=c.custodian)
    world.wait(1)
    assert not state_of(world, plan).retained
    check_plans(world)


# --- many at once


def test_more_than_a_block_of_due_work_goes_on_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releasing, "WRITES", 10)
    steps = tuple(
        kept(until=APRIL.replace(month=6)) if number % 2 else on_first_of_april(units=1_000 + number)
        for number in range(8)
    )
    world, _c, plan = scene(*steps, objection_days=0)
    for number in range(1, 9):
        if number % 2 == 0:
            verified(world, plan, number=number)
    world.wait(until=start(world, APRIL))
    assert 0 < sum(state.phase is Phase.RELEASED for state in plan_of(world, plan).tranches) < 8
    for _ in range(8):
        world.wait(1)
    assert all(state.phase is Phase.RELEASED for state in plan_of(world, plan).tranches)
    world.wait(until=start(world, APRIL.replace(month=6)))
    assert 0 < sum(bool(state.retained) for state in plan_of(world, plan).tranches) < 4
    for _ in range(8):
        world.wait(1)
    assert plan_of(world, plan).state is PlanState.COMPLETED
    check_plans(world)
