"""Whatever a member writes about products, plans and wages, the ledger answers with a status; no due work faults."""

import random
from typing import Any

import pytest
from msgspec.structs import replace

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.operations import OPERATIONS
from tallystick.kernel.plans import sums
from tallystick.kernel.plans.conditions import AllOf, AnyOf, DataStated, DocumentsIn, OnDate, PayerAccepts
from tallystick.kernel.plans.proposing import terms_hash, total_of
from tallystick.kernel.plans.records import Material, Phase, Plan, Retention, Unmet, Unused
from tallystick.kernel.products.records import Business, FeePayer, FeeTerms, Silence
from tallystick.kernel.wages.records import WageSheet
from tallystick.wire.amounts import RATE_SCALE, Rate, Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.kernel.hostile.odd_fields import Maker, readable
from tests.support.disputes import disputed, in_arbitration, offer_of, verifiable
from tests.support.evidence import claimed, verified
from tests.support.plans import amendment_of, check_plans, confirmed, day, deposited, funded, funded_plan, sent, tranche
from tests.support.products import (
    MILLION,
    Cast,
    applied_product,
    cast,
    drafted_product,
    opened_product,
)
from tests.support.receivables import issued, span, transferred
from tests.support.world import World

STEPS = 200
TRIES = 12
ROOMS = (
    "product.",
    "plan.",
    "evidence.",
    "tranche.",
    "refund.",
    "dispute.",
    "wage.",
    "deposit.",
    "account.",
    "review.",
)
NEAR = [kind for kind in OPERATIONS if str(kind.__struct_config__.tag).startswith(ROOMS)]
OTHERS = ("member.", "receivable.", "parcel.", "funds.", "redemption.")
RARE = [kind for kind in OPERATIONS if str(kind.__struct_config__.tag).startswith(OTHERS)]
FEES = (
    FeeTerms(rate=Rate(2 * RATE_SCALE), minimum=Units(7), paid_by=FeePayer.PAYEE),
    FeeTerms(rate=Rate(1 * RATE_SCALE), minimum=Units(30), paid_by=FeePayer.PAYER),
)


def scene(rng: random.Random) -> Cast:
    """Products and plans in every stage, with money that came, went back and is fought over."""
    c = cast(funds=MILLION)
    world = c.world
    product = opened_product(
        world,
        c,
        fee=rng.choice(FEES),
        objection_days=rng.choice((0, 3)),
        default_split=33,
        on_silence=Silence.ACCEPT,
    )
    receivable = issued(world, c.payer, c.payee, 900, c.auditor)
    transferred(world, receivable, span(1, 900), 300, c.payee, c.platform, c.auditor, recourse=True)
    papers = (Material(kind="waybill"),)
    asked = AllOf(of=(DocumentsIn(), AnyOf(of=(PayerAccepts(), DataStated(source=c.source, kind="site_log")))))
    steps = (
        tranche(1_000, advance=True, condition=OnDate(on=day(3, 20))),
        verifiable(
            c,
            800,
            up_to=True,
            fund_by_on=day(3, 16),
            release_from_on=day(3, 16),
            recovery=Rate(30 * RATE_SCALE),
            unused=Unused.ROLL_ON,
        ),
        tranche(900, redeems=receivable, retention=Retention(rate=Rate(5 * RATE_SCALE), until_on=day(6, 30))),
        tranche(700, condition=asked, materials=papers, if_unmet=Unmet.EXTEND, extend_days=9),
        tranche(600, if_unmet=Unmet.REFUND, on_silence=Silence.ACCEPT, fund_units=Units(650)),
    )
    one = funded_plan(world, c, *steps, product=product)
    disputed(c, one, 100, number=3)
    world.do(offer_of(in_arbitration(c, one, 50), 20), by=c.payer)
    two = funded(world, confirmed(world, c, *steps, product=product), 2_000)
    deposited(world, two, 500)
    world.do(amendment_of(world, two, *steps[:4], replace(steps[4], units=Units(500))), by=c.payer)
    three = funded_plan(world, c, *steps[3:], product=product)
    claimed(world, three)
    verified(world, three, number=2)
    sent(world, c, *steps, product=product)
    applied_product(world, c)
    drafted_product(world, c)
    wage = opened_product(world, c, business=Business.WAGES)
    funded_plan(world, c, tranche(500, wages=True), tranche(400, wages=True, up_to=True), product=wage)
    return c


class PlanMaker(Maker):
    """Lets what an operation says of a plan be what stands there, most of the time."""

    def _agree(self, made: dict[str, Any]) -> None:
        super()._agree(made)
        rng, rows = self.rng, self.world.state.rows
        plan: Any = rows.get(f"plan/{made.get('plan')}")
        if plan is None or rng.random() < 0.15:
            return
        if "currency" in made:
            made["currency"] = plan.currency
        if "tranche" in made:
            made["tranche"] = rng.randint(1, max(len(plan.tranches), len(plan.draft), 1))
        said = plan.draft or (plan.amendment.tranches if plan.amendment else ())
        if "terms" in made and said:
            made["terms"] = terms_hash(said)
        if "total" in made and said:
            made["total"] = total_of(said)
        version: Any = rows.get(f"plan_version/{plan.id}/{plan.version}")
        if "units" in made and version is not None and isinstance(made.get("tranche"), int):
            made["units"] = self._amount(plan, version, made["tranche"])
            state = plan.tranches[min(made["tranche"], len(plan.tranches)) - 1]
            if "evidence" in made and state.phase is Phase.EVIDENCE_IN:
                made["evidence"] = state.evidence

    def _amount(self, plan: Plan, version: Any, number: int) -> Units:
        tranche, terms = plan.tranches[number - 1], version.tranches[number - 1]
        sheet: Any = self.world.state.rows.get(f"wage_sheet/{plan.id}/{number}")
        asked: list[Units] = [terms.units, tranche.free, tranche.held, tranche.disputed, Units(1)]
        asked += [sheet.units] if isinstance(sheet, WageSheet) else []
        if tranche.certified is not None:
            asked.append(sums.sums_of(plan, version, number, self.world.now).paid)
        return self.rng.choice(asked)


def check(world: World) -> None:
    """Money is where it is said to be, and every row can be stored."""
    check_plans(world)
    for row in world.state.rows.values():
        assert readable(row), row


@pytest.mark.parametrize("seed", range(12))
def test_no_step_on_plans_faults_whatever_its_fields_say(seed: int) -> None:
    rng = random.Random(seed)
    world = scene(rng).world
    maker = PlanMaker(world, rng)
    accepted: dict[str, int] = {}
    for _ in range(STEPS):
        maker.look()
        kinds = rng.choices(NEAR, k=rng.choice((1, 1, 1, 2)))
        if rng.random() < 0.06 and seed % 2:
            kinds = [rng.choice(RARE)]
        operations: list[Operation] = [maker.likely(one, TRIES) for one in kinds]
        signers = list(dict.fromkeys(name for one in operations for name in maker.signers(one)))
        if any(one.introduced_keys() for one in operations):
            continue
        raw = world.sign(*operations, by=signers[0], also=tuple(sorted(signers[1:])))
        result = world.submit(raw)
        assert result.status is not Status.KERNEL_FAULT, (seed, operations, result.fault)
        if result.status is Status.OK:
            for one in operations:
                accepted[one.name] = accepted.get(one.name, 0) + 1
            check(world)
        if rng.random() < 0.08:
            world.wait(rng.choice((1, DAY_MS, DAY_MS, 4 * DAY_MS, 12 * DAY_MS)))
    check(world)
    for _ in range(14):
        world.wait(40 * DAY_MS)
        world.wait(1)
    check(world)
    print(seed, sorted(accepted.items()))
