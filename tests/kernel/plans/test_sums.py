"""What a release takes of what is certified: fees that slices never change, advances recovered, shares retained."""

import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.kernel.core.fields import Position
from tallystick.kernel.plans.conditions import PayerAccepts
from tallystick.kernel.plans.escrow import fee_on
from tallystick.kernel.plans.records import (
    Plan,
    PlanState,
    PlanTerms,
    PlanVersion,
    Retention,
    TrancheState,
    TrancheTerms,
)
from tallystick.kernel.plans.sums import advances_out, fee_due, sums_of
from tallystick.kernel.products.records import FeePayer, FeeTerms
from tallystick.wire.amounts import MAX_UNITS, RATE_SCALE, ZERO, Rate, Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.accounts import money, stands
from tests.support.disputes import acceptance_of as offer_acceptance_of
from tests.support.disputes import dispute_of, offer_of
from tests.support.evidence import certificates, release_of, released, verified
from tests.support.plans import PART, check_plans, funded_plan, plan_of, state_of, tranche
from tests.support.products import Cast, cast
from tests.support.world import World

PERCENT = RATE_SCALE
NOBODY = "mbr_" + "0" * 16
DAY = datetime.date(2026, 4, 1)

fees = st.builds(
    FeeTerms,
    rate=st.integers(0, 100 * PERCENT).map(Rate),
    minimum=st.integers(0, 5_000).map(Units),
    paid_by=st.sampled_from(FeePayer),
)
slices = st.lists(st.integers(1, 10_000), min_size=1, max_size=12)
percents = st.integers(0, 100 * PERCENT).map(Rate)
amounts = st.integers(0, 100_000).map(Units)


def terms_of(units: int = 1, **fields: Any) -> TrancheTerms:
    said: dict[str, Any] = {"fund_by_on": DAY, "release_from_on": DAY, "release_until_on": DAY, **fields}
    return TrancheTerms(title="Step", fund_units=Units(units), units=Units(units), condition=PayerAccepts(), **said)


def made(fee: FeeTerms, *pairs: tuple[TrancheTerms, TrancheState], **fields: Any) -> tuple[Plan, PlanVersion]:
    """A plan and its version, of which only the sums matter."""
    plan_id = "pln_" + "0" * 16
    terms = PlanTerms(
        product="prd_" + "0" * 16,
        payer=NOBODY,
        payee=NOBODY,
        platform=NOBODY,
        custodian=NOBODY,
        refund_account="acc_" + "0" * 16,
        currency="CNY",
        objection_days=0,
        answer_days=1,
        arbitrator=NOBODY,
        fee=fee,
        long_stop_on=DAY,
        default_split=50,
        funding_grace_days=5,
        evidence_rounds=3,
        extensions=3,
        negotiation_days=10,
    )
    version = PlanVersion(
        id=f"{plan_id}/1",
        plan=plan_id,
        version=1,
        terms=terms,
        tranches=tuple(pair[0] for pair in pairs),
        confirmed=Position(1, 0),
    )
    plan = Plan(
        id=plan_id,
        product=terms.product,
        payer=NOBODY,
        payee=NOBODY,
        platform=NOBODY,
        custodian=NOBODY,
        arbitrator=NOBODY,
        currency="CNY",
        state=PlanState.ACTIVE,
        proposed=Position(1, 0),
        tranches=tuple(pair[1] for pair in pairs),
        **fields,
    )
    return plan, version


def charged(fee: FeeTerms, parts: list[int]) -> list[int]:
    """The fees on releases of these amounts, one after another; a payer's reserve is what its plan sets aside."""
    by_payer = fee.paid_by is FeePayer.PAYER
    reserve = fee_on(Units(sum(parts)), fee) if by_payer else ZERO
    plan, version = made(fee, fee_reserve=reserve)
    taken = []
    for part in parts:
        due = fee_due(plan, version, Units(part))
        taken.append(int(due))
        net = Units(part) if by_payer else Units(part) - due
        left = plan.fee_reserve - due if by_payer else plan.fee_reserve
        plan = replace(plan, released=plan.released + net, fees=plan.fees + due, fee_reserve=left)
    return taken


@settings(max_examples=500)
@given(fee=fees, parts=slices, cut=st.lists(st.integers(1, 9_999), max_size=12))
def test_slices_never_change_the_total_of_the_fees(fee: FeeTerms, parts: list[int], cut: list[int]) -> None:
    whole = sum(parts)
    edges = sorted({at % whole for at in cut if at % whole})
    other = [b - a for a, b in zip([0, *edges], [*edges, whole], strict=True)]
    owed = int(fee_on(Units(whole), fee))
    expected = min(owed, whole) if fee.paid_by is FeePayer.PAYEE else owed
    assert sum(charged(fee, parts)) == sum(charged(fee, other)) == sum(charged(fee, [whole])) == expected
    if fee.paid_by is FeePayer.PAYEE:
        assert all(taken <= part for taken, part in zip(charged(fee, parts), parts, strict=True))


def test_the_minimum_is_charged_with_the_first_slice() -> None:
    fee = FeeTerms(rate=Rate(PERCENT), minimum=Units(500), paid_by=FeePayer.PAYEE)
    assert charged(fee, [10_000, 40_000, 10_000]) == [500, 0, 100]
    assert charged(fee, [300, 300, 59_400]) == [300, 200, 100]  # at most the slice; the rest comes with the next


def test_a_drained_reserve_never_stops_a_release() -> None:
    fee = FeeTerms(rate=Rate(10 * PERCENT), minimum=ZERO, paid_by=FeePayer.PAYER)
    plan, version = made(fee, fee_reserve=Units(3))
    assert fee_due(plan, version, Units(100)) == 3


def test_no_fee_overflows() -> None:
    fee = FeeTerms(rate=Rate(100 * PERCENT), minimum=Units(MAX_UNITS), paid_by=FeePayer.PAYEE)
    plan, version = made(fee)
    assert fee_due(plan, version, Units(MAX_UNITS)) == MAX_UNITS


@settings(max_examples=300)
@given(
    certified=amounts,
    contested=amounts,
    recovery=st.none() | percents,
    retention=st.none() | percents,
    advance=amounts,
    back=amounts,
    over=st.booleans(),
)
def test_a_certified_amount_is_divided_without_rest(
    certified: Units,
    contested: Units,
    recovery: Rate | None,
    retention: Rate | None,
    advance: Units,
    back: Units,
    over: bool,
) -> None:
    fee = FeeTerms(rate=Rate(0), minimum=ZERO, paid_by=FeePayer.PAYEE)
    kept = None if retention is None else Retention(rate=retention, until_on=DAY)
    now = Instant(1_000)
    plan, version = made(
        fee,
        (terms_of(advance=True), TrancheState(released=advance)),
        (terms_of(), TrancheState(recovered=back)),
        (
            terms_of(recovery=recovery, retention=kept),
            TrancheState(certified=certified, contested=contested, retained_until=now if over else now.plus(1)),
        ),
    )
    sums = sums_of(plan, version, 3, now)
    assert sums.certified == certified
    assert sums.contested + sums.recovered + sums.retained + sums.paid == certified
    assert sums.contested == min(contested, certified)
    assert sums.recovered <= max(int(advance) - int(back), 0)
    assert advances_out(plan, version) == max(int(advance) - int(back), 0)
    if recovery is None:
        assert not sums.recovered
    if retention is None or over:
        assert not sums.retained


def test_what_is_not_certified_has_no_sums() -> None:
    fee = FeeTerms(rate=Rate(0), minimum=ZERO, paid_by=FeePayer.PAYEE)
    plan, version = made(fee, (terms_of(), TrancheState()))
    with pytest.raises(InvariantViolation):
        sums_of(plan, version, 1, Instant(0))


# --- with real money


def scene(*tranches: TrancheTerms, **product: Any) -> tuple[World, Cast, str]:
    c = cast()
    return c.world, c, funded_plan(c.world, c, *tranches, objection_days=0, **product)


def fee_of(paid_by: FeePayer, percent: int = 2, minimum: int = 1_000) -> FeeTerms:
    return FeeTerms(rate=Rate(percent * PERCENT), minimum=Units(minimum), paid_by=paid_by)


def earned(world: World, c: Cast) -> int:
    return stands(world, f"fees/{c.custodian}/CNY/{c.platform}")


def test_a_fee_that_the_payee_bears() -> None:
    world, c, plan = scene(tranche(), tranche(), fee=fee_of(FeePayer.PAYEE))
    before = money(world, c.payee)
    released(world, plan)
    assert money(world, c.payee) == before + PART - PART // 50
    (row,) = certificates(world, plan)
    assert (row.certified, row.released, row.fees) == (PART, PART - PART // 50, PART // 50)
    released(world, plan, number=2)
    assert earned(world, c) == 2 * PART // 50 == plan_of(world, plan).fees
    check_plans(world)


def test_a_fee_that_the_payer_bears() -> None:
    world, c, plan = scene(tranche(up_to=True), tranche(), fee=fee_of(FeePayer.PAYER))
    assert plan_of(world, plan).fee_reserve == 2 * PART // 50
    before = money(world, c.payee), money(world, c.payer)
    released(world, plan, PART // 2)
    assert money(world, c.payee) == before[0] + PART // 2
    (row,) = certificates(world, plan)
    assert (row.released, row.fees) == (PART // 2, 0)
    assert earned(world, c) == PART // 100
    released(world, plan, number=2)
    assert earned(world, c) == 3 * PART // 100
    # Half a tranche and the fee on it were not used.
    assert money(world, c.payer) == before[1] + PART // 2 + PART // 100
    check_plans(world)


def test_a_retention_pays_its_fee_when_it_is_paid() -> None:
    kept = tranche(retention=Retention(rate=Rate(10 * PERCENT), until_on=datetime.date(2026, 8, 3)))
    world, c, plan = scene(kept, fee=fee_of(FeePayer.PAYEE))
    released(world, plan)
    assert earned(world, c) == (PART - PART // 10) // 50
    world.wait(until=state_of(world, plan).retained_until)
    assert earned(world, c) == PART // 50
    assert [row.fees for row in certificates(world, plan)] == [(PART - PART // 10) // 50, PART // 500]
    check_plans(world)


def test_a_settlement_pays_its_fee_and_a_refund_none() -> None:
    world, c, plan = scene(tranche(), fee=fee_of(FeePayer.PAYEE))
    dispute = world.do(dispute_of(plan, 50_000), by=c.payer).events[0].record
    world.do(offer_of(dispute, 20_000), by=c.payer)
    world.do(offer_acceptance_of(dispute, 20_000), by=c.payee)
    assert earned(world, c) == 1_000  # the minimum, with the first slice
    released(world, plan)
    assert earned(world, c) == (PART - 30_000) // 50
    check_plans(world)


def advance_scene(rate: int, **fields: Any) -> tuple[World, Cast, str]:
    """An advance of a third, recovered at `rate` percent of two later steps."""
    third = PART // 3
    recovering = {"recovery": Rate(rate * PERCENT), **fields}
    return scene(tranche(third, advance=True), tranche(**recovering), tranche(**recovering))


def test_an_advance_is_recovered_up_to_what_was_paid() -> None:
    world, c, plan = advance_scene(20)
    released(world, plan)
    before = money(world, c.payee), money(world, c.payer)
    released(world, plan, number=2)
    assert state_of(world, plan, 2).recovered == PART // 5
    assert money(world, c.payee) == before[0] + PART - PART // 5
    assert money(world, c.payer) == before[1] + PART // 5  # the payee has had it already
    released(world, plan, number=3)
    rest = PART // 3 - PART // 5
    assert [row.recovered for row in certificates(world, plan)] == [0, PART // 5, rest]
    assert plan_of(world, plan).released == 2 * PART
    check_plans(world)


def test_an_advance_that_was_not_paid_is_not_recovered() -> None:
    world, _, plan = advance_scene(20)
    released(world, plan, number=2)
    assert state_of(world, plan, 2).recovered == 0
    assert state_of(world, plan, 2).released == PART


def test_recovery_retention_and_fee_of_one_release() -> None:
    kept = Retention(rate=Rate(5 * PERCENT), until_on=datetime.date(2026, 8, 3))
    c = cast()
    world = c.world
    steps = (tranche(50_000, advance=True), tranche(up_to=True, recovery=Rate(30 * PERCENT), retention=kept))
    plan = funded_plan(world, c, *steps, objection_days=0, fee=fee_of(FeePayer.PAYEE, minimum=0))
    released(world, plan)
    released(world, plan, 200_000, number=2)
    row = certificates(world, plan)[1]
    # 30 percent would be 60,000; the payee got the advance of 50,000, its fee with it.
    assert (row.certified, row.recovered, row.retained) == (200_000, 50_000, 10_000)
    assert (row.fees, row.released) == (2_800, 137_200)
    check_plans(world)


def test_a_release_that_recovery_takes_whole() -> None:
    verified_units = PART // 3
    world, c, plan = advance_scene(100, up_to=True)
    released(world, plan)
    before = money(world, c.payee)
    world.do(release_of(world, plan, 1, number=2), by=c.payee, expect=Status.CONDITION_NOT_MET)
    verified(world, plan, verified_units, number=2)
    assert money(world, c.payee) == before
    row = certificates(world, plan)[1]
    assert (row.certified, row.recovered, row.released) == (verified_units, verified_units, 0)
    check_plans(world)
