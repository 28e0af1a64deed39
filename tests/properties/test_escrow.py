"""Counting of a plan's money: whatever comes in, goes back, rolls on or is reversed, every unit stands in one place.

The counting is pure, so plans are made and changed without a ledger; only the posting of a refund needs a step, and it
is asked for the plan alone.
"""

import datetime
from typing import Any

import hypothesis.strategies as st
from hypothesis import event, given, settings
from msgspec.structs import replace

from tallystick.kernel.core.fields import Position
from tallystick.kernel.plans import escrow
from tallystick.kernel.plans.conditions import PayerAccepts
from tallystick.kernel.plans.records import Phase, Plan, PlanState, PlanTerms, PlanVersion, TrancheState, TrancheTerms
from tallystick.kernel.products.records import FeePayer, FeeTerms
from tallystick.wire.amounts import MAX_UNITS, ZERO, Rate, Units
from tallystick.wire.ids import record_id

HERE = Position(1, 0)
DAY = datetime.date(2026, 3, 16)
NO_STEP: Any = None  # a refund's events post money when they are drawn; here only its counting is asked for


def named(prefix: str, name: str) -> str:
    return record_id(prefix, "chain", "test", name, 0)


def terms_of(fund: int, units: int, fee: FeeTerms, count: int) -> tuple[PlanTerms, TrancheTerms]:
    whole = PlanTerms(
        product=named("prd", "product"),
        payer=named("mbr", "payer"),
        payee=named("mbr", "payee"),
        platform=named("mbr", "platform"),
        custodian=named("mbr", "custodian"),
        refund_account=named("acc", "account"),
        currency="CNY",
        objection_days=0,
        answer_days=5,
        arbitrator=named("mbr", "arbitrator"),
        fee=fee,
        long_stop_on=DAY,
        default_split=50,
        funding_grace_days=5,
        evidence_rounds=3,
        extensions=3,
        negotiation_days=10,
    )
    step = TrancheTerms(
        title=f"Step {count}",
        fund_by_on=DAY,
        fund_units=Units(fund),
        units=Units(units),
        release_from_on=DAY,
        release_until_on=DAY,
        condition=PayerAccepts(),
    )
    return whole, step


@st.composite
def plans(draw: st.DrawFn) -> tuple[Plan, PlanVersion]:
    """A plan for which nothing has come, of one to six tranches, its fee borne by either side."""
    fee = FeeTerms(
        rate=Rate(draw(st.integers(0, 10_000_000))),
        minimum=Units(draw(st.sampled_from([0, 1, 500]))),
        paid_by=draw(st.sampled_from(list(FeePayer))),
    )
    amounts = draw(st.lists(st.integers(1, 1_000), min_size=1, max_size=6))
    made = [terms_of(draw(st.integers(1, 2 * units)), units, fee, count) for count, units in enumerate(amounts)]
    whole = made[0][0]
    plan_id = named("pln", "plan")
    version = PlanVersion(
        id=f"{plan_id}/1",
        plan=plan_id,
        version=1,
        terms=whole,
        tranches=tuple(step for _, step in made),
        confirmed=HERE,
    )
    plan = Plan(
        id=plan_id,
        product=whole.product,
        payer=whole.payer,
        payee=whole.payee,
        platform=whole.platform,
        custodian=whole.custodian,
        arbitrator=whole.arbitrator,
        currency="CNY",
        state=PlanState.ACTIVE,
        proposed=HERE,
        version=1,
        tranches=(TrancheState(),) * len(made),
    )
    return plan, version


def check(plan: Plan, version: PlanVersion) -> None:
    """Every unit that came stands in one place, and no part is more than the whole."""
    assert plan.deposited == plan.held + plan.released + plan.refunded + plan.fees + plan.reversed
    for tranche, terms in zip(plan.tranches, version.tranches, strict=True):
        out = tranche.released + tranche.refunded + tranche.fees + tranche.reversed + tranche.rolled
        assert tranche.deposited == tranche.held + out
        assert tranche.free + tranche.disputed + tranche.retained == tranche.held
        assert tranche.deposited - tranche.reversed - tranche.given_back <= max(terms.fund_units, 0)
    assert escrow.missing(plan, version) >= 0


def come(plan: Plan, version: PlanVersion, wanted: int) -> Plan:
    """Money comes; it fills in order, and a later tranche gets none before an earlier one has all of its own."""
    units = Units(min(wanted, escrow.missing(plan, version)))
    filled = escrow.filled(plan, version, units)
    assert filled.held == plan.held + units
    assert escrow.missing(filled, version) == escrow.missing(plan, version) - units
    got = [after.held - before.held for before, after in zip(plan.tranches, filled.tranches, strict=True)]
    for number, taken in enumerate(got):
        if taken:
            before = zip(filled.tranches[:number], version.tranches[:number], strict=True)
            assert not any(escrow.missing_in(*pair) for pair in before), "an earlier one is filled first"
            reserve = filled.fee_reserve
            assert version.terms.fee.paid_by is FeePayer.PAYEE or reserve == plan.fee_reserve or reserve > 0
    return filled


def reversal(plan: Plan, wanted: int) -> Plan:
    """A reversal takes the last tranche's money first, and no earlier one's before a later one is empty."""
    changed, taken = escrow.drained(plan, Units(wanted))
    free = plan.fee_reserve + sum(tranche.free for tranche in plan.tranches)
    assert taken == min(wanted, free)
    assert changed.held == plan.held - taken
    lost = [before.held - after.held for before, after in zip(plan.tranches, changed.tranches, strict=True)]
    for number, units in enumerate(lost):
        if units:
            assert all(not tranche.free for tranche in changed.tranches[number + 1 :])
    if changed.fee_reserve < plan.fee_reserve:
        assert all(not tranche.free for tranche in changed.tranches)
    for before, after in zip(plan.tranches, changed.tranches, strict=True):
        assert (after.disputed, after.retained) == (before.disputed, before.retained)
    return changed


def ending(plan: Plan, version: PlanVersion, number: int, *, rolls: bool) -> Plan:
    """A tranche ends; what it does not use goes on as far as there is need, the rest back."""
    tranche = plan.tranches[number - 1]
    over = escrow.with_tranche(plan, number, replace(tranche, phase=Phase.ENDED))
    left = over.tranches[number - 1].free
    if rolls:
        before = over
        over, left = escrow.rolled_on(over, version, number, left)
        assert over.held == before.held, "what rolls on stays in escrow"
        assert over.tranches[: number - 1] == before.tranches[: number - 1], "it goes to later ones alone"
        later = zip(over.tranches[number:], version.tranches[number:], strict=True)
        assert not left or not any(escrow.missing_in(*pair) for pair in later)
    counted, _ = escrow.refund(NO_STEP, over, number, left, "unused")
    return counted


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_unit_stands_in_one_place(data: st.DataObject) -> None:
    plan, version = data.draw(plans())
    for _ in range(data.draw(st.integers(1, 12))):
        number = data.draw(st.integers(1, len(plan.tranches)))
        tranche = plan.tranches[number - 1]
        step = data.draw(st.sampled_from(["come", "reverse", "dispute", "back", "amend", "end", "roll"]))
        event(step)
        match step:
            case "come":
                plan = come(plan, version, data.draw(st.integers(0, 3_000)))
            case "reverse":
                plan = reversal(plan, data.draw(st.integers(0, 3_000)))
            case "dispute":
                units = Units(data.draw(st.integers(0, int(tranche.free))))
                plan = escrow.with_tranche(plan, number, replace(tranche, disputed=tranche.disputed + units))
            case "back":
                disputed = data.draw(st.booleans())
                most = tranche.disputed if disputed else tranche.free
                units = Units(data.draw(st.integers(0, int(most))))
                plan, _ = escrow.refund(NO_STEP, plan, number, units, "back", disputed=disputed)
            case "amend":
                more = data.draw(st.integers(0, 500))
                asked = [
                    replace(t, fund_units=t.fund_units + more) if i == number else t
                    for i, t in enumerate(version.tranches, 1)
                ]
                version = replace(version, tranches=tuple(asked))
            case _:
                if not tranche.is_over:
                    plan = ending(plan, version, number, rolls=step == "roll")
        check(plan, version)


@settings(max_examples=200, deadline=None)
@given(plans(), st.lists(st.integers(1, 2_000), max_size=20))
def test_the_order_of_deposits_does_not_matter(made: tuple[Plan, PlanVersion], amounts: list[int]) -> None:
    """The same money in one piece or in many fills a plan alike."""
    plan, version = made
    pieces = plan
    for units in amounts:
        pieces = come(pieces, version, units)
    assert pieces == come(plan, version, sum(amounts))


@settings(max_examples=200, deadline=None)
@given(plans(), st.integers(0, 20_000), st.integers(0, 20_000))
def test_what_is_reversed_can_come_again(made: tuple[Plan, PlanVersion], came: int, taken: int) -> None:
    plan, version = made
    filled = come(plan, version, came)
    again = come(reversal(filled, taken), version, 100_000)
    whole = come(plan, version, 100_000)
    assert [tranche.held for tranche in again.tranches] == [tranche.held for tranche in whole.tranches]
    assert again.fee_reserve == whole.fee_reserve
    assert escrow.missing(again, version) == ZERO


@given(st.lists(st.integers(1, 10**15), max_size=20), st.integers(0, 10**12), st.integers(0, 10**15))
def test_slices_never_change_the_fee(slices: list[int], rate: int, minimum: int) -> None:
    """Each release is charged the difference, so the last one has charged the fee on the whole."""
    fee = FeeTerms(rate=Rate(rate), minimum=Units(minimum), paid_by=FeePayer.PAYEE)
    charged = released = 0
    for units in slices:
        released += units
        due = escrow.fee_on(Units(released), fee)
        assert due >= charged, "a fee is never given back by releasing more"
        charged = int(due)
    assert charged == escrow.fee_on(Units(released), fee) <= MAX_UNITS
    assert escrow.fee_on(ZERO, fee) == ZERO
