"""B6 plan's content: when and how much is deposited, how a release is verified, and which materials it needs."""

import pytest

from tallystick.kernel.plans.conditions import (
    AllOf,
    AnyOf,
    AtLeast,
    Condition,
    DataStated,
    DocumentsIn,
    OnDate,
    PayerAccepts,
    PlatformAccepts,
    VerifiersAccept,
    leaves,
    methods_of,
)
from tallystick.kernel.plans.records import Material, Retention, TrancheTerms, Unmet, Unused
from tallystick.kernel.products.records import Method, Silence
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.chain import Chain
from tests.support.plans import PART, confirmed, day, proposal_of, state_of, tranche, version_row
from tests.support.products import Cast, cast, opened_product
from tests.support.receivables import anchor

MATERIALS = (Material(kind="delivery_note"), Material(kind="drawing", hash=anchor("drawing").hash))


@pytest.fixture
def c(chain: Chain) -> Cast:
    return cast(chain)


def ways(c: Cast) -> dict[Method, Condition]:
    """One way for each method."""
    return {
        Method.DATE: OnDate(on=day(4, 2)),
        Method.PAYER: PayerAccepts(),
        Method.PLATFORM: PlatformAccepts(),
        Method.VERIFIERS: VerifiersAccept(needed=2, verifiers=c.verifiers),
        Method.DOCUMENTS: DocumentsIn(kinds=("delivery_note",)),
        Method.DATA_SOURCE: DataStated(source=c.source, kind="waybill"),
    }


def on_the_ledger(chain: Chain, c: Cast, *steps: TrancheTerms) -> tuple[str, tuple[TrancheTerms, ...]]:
    """A confirmed plan, with its tranches as they are read and proven from the ledger."""
    plan = confirmed(chain, c, *steps)
    row = version_row(chain, plan)
    assert chain.proven(row.key) == row
    return plan, row.tranches


def test_when_and_how_much_is_deposited_for_each_step(chain: Chain, c: Cast) -> None:
    steps = (
        tranche(PART, fund_by_on=day(3, 9), fund_units=Units(PART)),
        tranche(2 * PART, fund_by_on=day(4, 20), fund_units=Units(3 * PART)),
    )
    plan, written = on_the_ledger(chain, c, *steps)
    assert [(step.fund_by_on, step.fund_units, step.units) for step in written] == [
        (day(3, 9), PART, PART),
        (day(4, 20), 3 * PART, 2 * PART),
    ]
    graces = [state_of(chain, plan, number).fund_until for number in (1, 2)]
    assert graces == [Instant.parse("2026-03-14T23:59:59.999Z"), Instant.parse("2026-04-25T23:59:59.999Z")]


@pytest.mark.parametrize("method", list(Method))
def test_how_a_release_is_verified_by_each_method(chain: Chain, c: Cast, method: Method) -> None:
    condition = ways(c)[method]
    _, (step,) = on_the_ledger(chain, c, tranche(condition=condition, materials=MATERIALS))
    assert step.condition == condition
    assert methods_of(step.condition) == (method,)


def test_methods_are_combined_by_all_any_and_so_many_of(chain: Chain, c: Cast) -> None:
    way = ways(c)
    condition = AllOf(
        of=(
            way[Method.DOCUMENTS],
            AnyOf(of=(way[Method.PAYER], way[Method.DATE])),
            AtLeast(needed=2, of=(way[Method.VERIFIERS], way[Method.PLATFORM], way[Method.DATA_SOURCE])),
        )
    )
    _, (step,) = on_the_ledger(chain, c, tranche(condition=condition, materials=MATERIALS))
    assert step.condition == condition
    assert methods_of(step.condition) == tuple(Method)
    assert len(leaves(step.condition)) == len(Method)


def test_which_materials_a_release_needs(chain: Chain, c: Cast) -> None:
    _, (step,) = on_the_ledger(chain, c, tranche(condition=DocumentsIn(), materials=MATERIALS))
    assert step.materials == MATERIALS
    assert step.kinds == ("delivery_note", "drawing")


def test_what_silence_and_an_unmet_condition_lead_to_and_what_is_kept_back(chain: Chain, c: Cast) -> None:
    advance = tranche(condition=OnDate(on=day(4, 1)), advance=True)
    work = tranche(
        3 * PART,
        up_to=True,
        on_silence=Silence.ACCEPT,
        if_unmet=Unmet.EXTEND,
        extend_days=14,
        unused=Unused.ROLL_ON,
        recovery=Rate(20_000_000),
        retention=Retention(rate=Rate(5_000_000), until_on=day(9, 30)),
    )
    _, written = on_the_ledger(chain, c, advance, work)
    assert written == (advance, work)


NO_WAY: dict[str, dict[str, object]] = {
    "more verifiers than are named": {"condition": VerifiersAccept(needed=2, verifiers=("mbr_" + "0" * 16,))},
    "documents that are not asked for": {"condition": DocumentsIn(kinds=("waybill",)), "materials": MATERIALS},
    "an amount that nobody certifies": {"condition": OnDate(on=day(4, 2)), "up_to": True},
}


@pytest.mark.parametrize("what", sorted(NO_WAY))
def test_a_plan_that_could_never_be_met_is_refused(chain: Chain, c: Cast, what: str) -> None:
    product = opened_product(chain, c)
    proposal = proposal_of(c, product, tranche(), tranche(**NO_WAY[what]))
    refused = chain.do(proposal, by=c.payer, expect=Status.NO_WAY_TO_BE_MET)
    assert refused.facts["tranche"] == 2


def test_only_members_with_the_office_are_named_and_never_a_side_itself(chain: Chain, c: Cast) -> None:
    product = opened_product(chain, c)
    for named, refused in (
        (c.auditor, Status.ROLE_MISSING),
        (c.source, Status.ROLE_MISSING),
        (c.payee, Status.SAME_PARTY),
        (c.payer, Status.SAME_PARTY),
    ):
        step = tranche(condition=VerifiersAccept(needed=1, verifiers=(named,)))
        chain.do(proposal_of(c, product, step), by=c.payer, expect=refused)
