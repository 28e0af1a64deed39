"""Disputes: an amount is frozen alone; the sides settle it, the arbitrator rules, or the default split decides."""

import datetime
from typing import Any

import pytest

from tallystick.kernel.core.fields import Position
from tallystick.kernel.plans.cases import DisputeState
from tallystick.kernel.plans.disputes import MAX_OPEN
from tallystick.kernel.plans.records import Phase, PlanState, Unmet
from tallystick.wire.amounts import MAX_UNITS, Units
from tallystick.wire.status import Status
from tests.support.accounts import money
from tests.support.disputes import (
    acceptance_of,
    dispute_of,
    disputed,
    in_arbitration,
    last_of_long_stop,
    last_of_negotiation,
    offer_of,
    paid_in,
    row_of,
    ruling_of,
)
from tests.support.plans import PART, check_plans, confirmed, plan_of, state_of, tranche
from tests.support.products import MILLION, Cast, cast

FUNDS = 10 * MILLION


def scene(units: int | None = None, **product_fields: Any) -> tuple[Cast, str]:
    """A funded plan of one tranche, whose money goes back when it is not verified in time."""
    c = cast()
    return c, paid_in(c, tranche(if_unmet=Unmet.REFUND), units=units, **product_fields)


def test_a_dispute_freezes_its_amount_alone() -> None:
    c, plan_id = scene()
    c.world.do(dispute_of(plan_id, 3_000_000), by=c.payer, vector="dispute.open/accepted")
    first = state_of(c.world, plan_id)
    assert (first.disputed, first.contested, first.free) == (3_000_000, 3_000_000, PART - 3_000_000)
    dispute = row_of(c, plan_of(c.world, plan_id).disputes[0])
    assert (dispute.state, dispute.opened_by, dispute.cause) == (DisputeState.OPEN, c.payer, "opened")
    assert {c.payer, c.payee, c.arbitrator} == set(dispute.live_for())
    assert "dispute.opened" in c.world.told(c.payee)


def test_disputes_never_sum_to_more_than_is_there() -> None:
    c, plan_id = scene(units=6_000_000)
    disputed(c, plan_id, 4_000_000)
    over = dispute_of(plan_id, 2_000_001)
    c.world.do(over, by=c.payee, expect=Status.OVER_AVAILABLE, vector="dispute.open/over_available")
    disputed(c, plan_id, 2_000_000, c.payee)
    assert state_of(c.world, plan_id).free == 0


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"currency": "GBP"}, Status.CURRENCY_MISMATCH),
        ({"units": Units(0)}, Status.AMOUNT_ZERO),
        ({"tranche": 2}, Status.NOT_FOUND),
    ],
)
def test_what_is_no_amount_of_the_tranche_is_refused(fields: dict[str, object], status: Status) -> None:
    c, plan_id = scene()
    asked = dispute_of(plan_id, **{"units": 1, **fields})  # type: ignore[arg-type]
    c.world.do(asked, by=c.payer, expect=status, vector=f"dispute.open/{status.label}")


def test_only_the_sides_dispute() -> None:
    c, plan_id = scene()
    c.world.do(dispute_of(plan_id, 1), by=c.platform, expect=Status.NOT_A_PARTY, vector="dispute.open/not_a_party")
    c.world.do(dispute_of(plan_id, 1), by=c.arbitrator, expect=Status.NOT_A_PARTY)


def test_a_plan_that_is_not_confirmed_has_nothing_to_dispute() -> None:
    c = cast()
    plan_id = confirmed(c.world, c, tranche())
    c.world.do(dispute_of(plan_id, 1), by=c.payer, expect=Status.OVER_AVAILABLE)
    c.world.put(type(plan_of(c.world, plan_id))(**{**_fields(c, plan_id), "state": PlanState.SENT}))
    c.world.do(dispute_of(plan_id, 1), by=c.payer, expect=Status.WRONG_STATE, vector="dispute.open/wrong_state")


def _fields(c: Cast, plan_id: str) -> dict[str, object]:
    row = plan_of(c.world, plan_id)
    return {name: getattr(row, name) for name in row.__struct_fields__}


def test_one_side_has_so_many_disputes_open_and_not_more() -> None:
    """The open ones lie in the plan's row; the other side's are counted apart, so nobody is shut out."""
    c, plan_id = scene()
    for _ in range(MAX_OPEN):
        disputed(c, plan_id, 1)
    c.world.do(dispute_of(plan_id, 1), by=c.payer, expect=Status.TOO_MANY, vector="dispute.open/too_many")
    disputed(c, plan_id, 1, c.payee)


def test_a_settlement_moves_the_money_at_once() -> None:
    c, plan_id = scene()
    dispute_id = disputed(c, plan_id, 3_000_000)
    c.world.do(offer_of(dispute_id, 1_000_000), by=c.payer, vector="dispute.offer/accepted")
    c.world.do(acceptance_of(dispute_id, 1_000_000), by=c.payee, vector="dispute.accept_offer/accepted")
    assert money(c.world, c.payee) == 1_000_000
    assert money(c.world, c.payer) == FUNDS - PART + 2_000_000
    row = row_of(c, dispute_id)
    assert (row.state, row.to_payee, row.live_for()) == (DisputeState.SETTLED, 1_000_000, ())
    first = state_of(c.world, plan_id)
    assert (first.disputed, first.contested, first.free) == (0, 3_000_000, PART - 3_000_000)
    assert first.phase is Phase.WAITING, "the rest is still to be verified"
    check_plans(c.world)


def test_a_tranche_that_went_wholly_through_disputes_ends_with_them() -> None:
    c, plan_id = scene()
    first, second = disputed(c, plan_id, PART - 1), disputed(c, plan_id, 1, c.payee)
    c.world.do(offer_of(first, 0), by=c.payee)
    c.world.do(acceptance_of(first, 0), by=c.payer)
    assert state_of(c.world, plan_id).phase is Phase.WAITING
    c.world.do(offer_of(second, 1), by=c.payer)
    c.world.do(acceptance_of(second, 1), by=c.payee)
    assert state_of(c.world, plan_id).phase is Phase.ENDED
    assert plan_of(c.world, plan_id).state is PlanState.COMPLETED
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (1, FUNDS - 1)


def test_nobody_accepts_an_offer_of_its_own_or_none() -> None:
    c, plan_id = scene()
    dispute_id = disputed(c, plan_id, 100)
    c.world.do(acceptance_of(dispute_id, 50), by=c.payee, expect=Status.WRONG_STATE)
    c.world.do(offer_of(dispute_id, 50), by=c.payee)
    own = acceptance_of(dispute_id, 50)
    c.world.do(own, by=c.payee, expect=Status.WRONG_STATE, vector="dispute.accept_offer/wrong_state")
    assert state_of(c.world, plan_id).disputed == 100


def test_an_offer_that_changed_is_not_accepted_unseen() -> None:
    c, plan_id = scene()
    dispute_id = disputed(c, plan_id, 100)
    c.world.do(offer_of(dispute_id, 80), by=c.payer)
    c.world.do(offer_of(dispute_id, 20), by=c.payer)
    seen = acceptance_of(dispute_id, 80)
    c.world.do(seen, by=c.payee, expect=Status.AMOUNT_DIFFERS, vector="dispute.accept_offer/amount_differs")
    c.world.do(acceptance_of(dispute_id, 20), by=c.payee)


def test_a_counter_offer_takes_the_place_of_the_offer() -> None:
    c, plan_id = scene()
    dispute_id = disputed(c, plan_id, 100)
    c.world.do(offer_of(dispute_id, 20), by=c.payer)
    c.world.do(offer_of(dispute_id, 60), by=c.payee)
    c.world.do(acceptance_of(dispute_id, 20), by=c.payee, expect=Status.WRONG_STATE)
    c.world.do(acceptance_of(dispute_id, 60), by=c.payer)
    assert money(c.world, c.payee) == 60


def test_an_offer_is_of_the_disputed_amount_at_most() -> None:
    c, plan_id = scene()
    dispute_id = disputed(c, plan_id, 100)
    c.world.do(offer_of(dispute_id, 101), by=c.payer, expect=Status.OVER_DISPUTED, vector="dispute.offer/over_disputed")


def test_offers_are_for_the_sides_in_the_plans_currency_while_it_is_open() -> None:
    c, plan_id = scene()
    dispute_id = disputed(c, plan_id, 100)
    world = c.world
    offer, accept = offer_of(dispute_id, 1), acceptance_of(dispute_id, 1)
    world.do(offer, by=c.platform, expect=Status.NOT_A_PARTY, vector="dispute.offer/not_a_party")
    world.do(accept, by=c.platform, expect=Status.NOT_A_PARTY, vector="dispute.accept_offer/not_a_party")
    pounds = {"currency": "GBP"}
    world.do(
        offer_of(dispute_id, 1, **pounds),
        by=c.payer,
        expect=Status.CURRENCY_MISMATCH,
        vector="dispute.offer/currency_mismatch",
    )
    world.do(offer, by=c.payer)
    world.do(
        acceptance_of(dispute_id, 1, **pounds),
        by=c.payee,
        expect=Status.CURRENCY_MISMATCH,
        vector="dispute.accept_offer/currency_mismatch",
    )
    world.do(accept, by=c.payee)
    world.do(offer, by=c.payer, expect=Status.WRONG_STATE, vector="dispute.offer/wrong_state")
    world.do(accept, by=c.payee, expect=Status.WRONG_STATE)


def test_what_nobody_opened_is_not_found() -> None:
    c, plan_id = scene()
    gone = "dsp_" + "0" * 16
    world, known = c.world, disputed(c, plan_id, 100)
    ruling = ruling_of(c, known, 1)
    world.do(offer_of(gone, 1), by=c.payer, expect=Status.NOT_FOUND, vector="dispute.offer/not_found")
    world.do(acceptance_of(gone, 1), by=c.payer, expect=Status.NOT_FOUND, vector="dispute.accept_offer/not_found")
    unknown = type(ruling)(dispute=gone, currency="CNY", to_payee=Units(1), to_payer=Units(0), ruling=ruling.ruling)
    world.do(unknown, by=c.arbitrator, expect=Status.NOT_FOUND, vector="dispute.rule/not_found")
    other = "pln_" + "0" * 16
    world.do(dispute_of(other, 1), by=c.payer, expect=Status.NOT_FOUND)


def test_the_arbitrator_rules_only_once_the_sides_had_their_time() -> None:
    c, plan_id = scene()
    dispute_id = disputed(c, plan_id, 100)
    last = last_of_negotiation(c, dispute_id)
    c.world.wait(until=last)
    early = ruling_of(c, dispute_id, 30)
    c.world.do(early, by=c.arbitrator, expect=Status.TOO_EARLY, vector="dispute.rule/too_early")
    assert row_of(c, dispute_id).state is DisputeState.OPEN
    c.world.wait(until=last.plus(1))
    assert row_of(c, dispute_id).state is DisputeState.ARBITRATION
    assert "dispute.in_arbitration" in c.world.told(c.arbitrator)
    c.world.do(early, by=c.arbitrator, vector="dispute.rule/accepted")


def test_a_ruling_is_carried_out_at_once() -> None:
    c, plan_id = scene()
    dispute_id = in_arbitration(c, plan_id, 3_000_000)
    c.world.do(ruling_of(c, dispute_id, 2_000_000), by=c.arbitrator)
    assert money(c.world, c.payee) == 2_000_000
    assert money(c.world, c.payer) == FUNDS - PART + 1_000_000
    row = row_of(c, dispute_id)
    assert (row.state, row.to_payee, row.ended) == (DisputeState.RULED, 2_000_000, Position(c.world.height - 1, 0))
    assert row.ruling is not None
    check_plans(c.world)


@pytest.mark.parametrize(
    ("to_payee", "to_payer", "status"),
    [
        (60, 41, Status.OVER_DISPUTED),
        (MAX_UNITS, MAX_UNITS, Status.OVER_DISPUTED),
        (60, 39, Status.AMOUNT_DIFFERS),
    ],
)
def test_a_ruling_divides_the_whole_disputed_amount_and_no_more(to_payee: int, to_payer: int, status: Status) -> None:
    c, plan_id = scene()
    dispute_id = in_arbitration(c, plan_id, 100)
    ruling = ruling_of(c, dispute_id, to_payee, to_payer=Units(to_payer))
    vector = f"dispute.rule/{status.label}" if to_payee == 60 else ""
    c.world.do(ruling, by=c.arbitrator, expect=status, vector=vector)
    assert state_of(c.world, plan_id).disputed == 100


def test_only_the_named_arbitrator_rules_and_only_once() -> None:
    c, plan_id = scene()
    dispute_id = in_arbitration(c, plan_id, 100)
    ruling = ruling_of(c, dispute_id, 50)
    c.world.do(ruling, by=c.payee, expect=Status.NOT_A_PARTY, vector="dispute.rule/not_a_party")
    for other in (c.payer, c.platform):
        c.world.do(ruling, by=other, expect=Status.NOT_A_PARTY)
    pounds = ruling_of(c, dispute_id, 50, currency="GBP")
    c.world.do(pounds, by=c.arbitrator, expect=Status.CURRENCY_MISMATCH, vector="dispute.rule/currency_mismatch")
    c.world.do(ruling, by=c.arbitrator)
    c.world.do(ruling, by=c.arbitrator, expect=Status.WRONG_STATE, vector="dispute.rule/wrong_state")


def test_the_sides_may_settle_until_the_ruling() -> None:
    c, plan_id = scene()
    dispute_id = in_arbitration(c, plan_id, 100)
    c.world.do(offer_of(dispute_id, 70), by=c.payer)
    c.world.do(acceptance_of(dispute_id, 70), by=c.payee)
    assert row_of(c, dispute_id).state is DisputeState.SETTLED
    c.world.do(ruling_of(c, dispute_id, 0), by=c.arbitrator, expect=Status.WRONG_STATE)
    assert money(c.world, c.payee) == 70


def test_without_a_ruling_the_default_split_decides_after_the_long_stop() -> None:
    """Both sides of the instant: up to the last of the day the arbitrator may rule, then nobody."""
    c, plan_id = scene(default_split=30)
    dispute_id = in_arbitration(c, plan_id, 101)
    last = last_of_long_stop(c, plan_id)
    c.world.wait(until=last)
    assert row_of(c, dispute_id).state is DisputeState.ARBITRATION
    c.world.wait(until=last.plus(1))
    row = row_of(c, dispute_id)
    assert (row.state, row.to_payee) == (DisputeState.BY_DEFAULT, 31), "30.3, and the unit left over is the payee's"
    plan = plan_of(c.world, plan_id)
    assert (plan.state, plan.held) == (PlanState.COMPLETED, 0)
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (31, FUNDS - 31)
    c.world.do(ruling_of(c, dispute_id, 0), by=c.arbitrator, expect=Status.WRONG_STATE)
    check_plans(c.world)


def test_a_ruling_is_possible_to_the_last_instant_of_the_long_stop_date() -> None:
    c, plan_id = scene()
    dispute_id = in_arbitration(c, plan_id, 100)
    c.world.wait(until=last_of_long_stop(c, plan_id))
    c.world.do(ruling_of(c, dispute_id, 100), by=c.arbitrator)
    assert money(c.world, c.payee) == 100


def test_after_the_long_stop_nothing_is_decided_even_before_the_block_has_done_its_work() -> None:
    c, plan_id = scene()
    dispute_id = in_arbitration(c, plan_id, 100)
    c.world.do(offer_of(dispute_id, 50), by=c.payer)
    c.world.now = last_of_long_stop(c, plan_id).plus(1)  # a block whose due work has no room left
    late = Status.DEADLINE_PASSED
    c.world.do(ruling_of(c, dispute_id, 100), by=c.arbitrator, expect=late, vector="dispute.rule/deadline_passed")
    accept = acceptance_of(dispute_id, 50)
    c.world.do(accept, by=c.payee, expect=late, vector="dispute.accept_offer/deadline_passed")
    c.world.do(offer_of(dispute_id, 60), by=c.payer, expect=late, vector="dispute.offer/deadline_passed")
    c.world.do(dispute_of(plan_id, 1), by=c.payer, expect=late, vector="dispute.open/deadline_passed")


def test_a_split_of_nothing_and_of_all() -> None:
    for split, to_payee in ((0, 0), (100, 99)):
        c, plan_id = scene(default_split=split)
        dispute_id = disputed(c, plan_id, 99)
        c.world.wait(until=last_of_long_stop(c, plan_id).plus(1))
        assert row_of(c, dispute_id).to_payee == to_payee
        assert money(c.world, c.payee) == to_payee


def test_the_long_stop_date_is_the_one_that_the_version_says() -> None:
    c, plan_id = scene()
    assert str(last_of_long_stop(c, plan_id)) == "2027-06-30T23:59:59.999Z"
    assert plan_of(c.world, plan_id).long_stop_at is not None
    assert datetime.date(2027, 6, 30) == c.product(plan_of(c.world, plan_id).product).terms.long_stop_on
