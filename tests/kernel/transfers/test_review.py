"""The auditor's processing review of a transfer, the cut it makes, and who is told."""

import pytest
from msgspec.structs import replace

from tallystick.kernel.core.fields import Position
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.receivables.records import INLINE_PARCELS, Receivable, ReceivableState
from tallystick.kernel.transfers.records import Transfer, TransferKind, TransferState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.receivables import (
    Trade,
    accepted,
    adopt_layers_cap,
    holdings,
    issued,
    offered,
    passing_of,
    refusal_of,
    span,
    trade,
    transferred,
)

FACE = 1_000
WHOLE = span(1, FACE)


@pytest.fixture
def t() -> Trade:
    return trade()


def owed(t: Trade) -> str:
    return issued(t.world, t.buyer, t.supplier, FACE, t.auditor)


def test_done_the_children_partition_the_parcel_and_all_three_are_told(t: Trade) -> None:
    receivable = owed(t)
    transfer = accepted(t.world, receivable, WHOLE, 300, t.supplier, t.maker, interval=span(401, 700))
    height = t.world.height
    result = t.world.do(passing_of(t.world, transfer), by=t.auditor, vector="review.decide/transfer_done")
    assert holdings(t.world, receivable) == [(t.supplier, 1, 400), (t.maker, 401, 700), (t.supplier, 701, FACE)]
    row = t.world.row(Transfer, transfer)
    assert (row.state, row.ended) == (TransferState.DONE, Position(height, 0))
    assert row.debtor_notified == Position(height, 0)
    kinds = [(event.kind, event.audience) for event in result.events[1:]]
    assert kinds == [("transfer.done", (t.supplier, t.maker)), ("transfer.debtor_notified", (t.buyer,))]
    child = t.world.row(Receivable, receivable).parcels[1]
    assert (child.origin, child.hops, child.locks) == (transfer, 1, ())


def test_lineage_is_a_walk_from_record_to_record(t: Trade) -> None:
    receivable = owed(t)
    first = transferred(t.world, receivable, WHOLE, FACE, t.supplier, t.maker, t.auditor, recourse=True)
    second = transferred(t.world, receivable, WHOLE, 600, t.maker, t.funder, t.auditor)
    row = t.world.row(Transfer, second)
    assert (row.prior, row.hop) == (first, 2)
    assert t.world.row(Transfer, first).prior == receivable
    parcels = t.world.row(Receivable, receivable).parcels
    assert [(parcel.origin, parcel.hops) for parcel in parcels] == [(second, 2), (first, 1)]
    assert t.world.row(Receivable, receivable).liable == (t.supplier,)


def test_as_set_off_the_debtor_holds_its_own_debt(t: Trade) -> None:
    receivable = owed(t)
    transfer = transferred(t.world, receivable, WHOLE, 10, t.supplier, t.buyer, t.auditor, as_set_off=True)
    assert holdings(t.world, receivable) == [(t.buyer, 1, 10), (t.supplier, 11, FACE)]
    assert t.world.row(Transfer, transfer).kind is TransferKind.SET_OFF


def test_refused_the_units_are_the_holders_again(t: Trade) -> None:
    receivable = owed(t)
    transfer = accepted(t.world, receivable, WHOLE, 300, t.supplier, t.maker)
    refusal = refusal_of(t.world.row(Transfer, transfer))
    result = t.world.do(refusal, by=t.auditor, vector="review.decide/transfer_refused")
    assert t.world.row(Transfer, transfer).state is TransferState.REFUSED
    assert holdings(t.world, receivable) == [(t.supplier, 1, FACE)]
    assert t.world.row(Receivable, receivable).parcels[0].locks == ()
    assert result.events[-1].facts["reason"] == "papers_missing"


def test_it_passes_only_while_the_receivable_is_negotiable(t: Trade) -> None:
    receivable = owed(t)
    approval = passing_of(t.world, accepted(t.world, receivable, WHOLE, 300, t.supplier, t.maker))
    row = t.world.row(Receivable, receivable)
    t.world.put(replace(row, state=ReceivableState.REDEEMING))
    t.world.do(approval, by=t.auditor, expect=Status.WRONG_STATE, vector="review.decide/transfer_wrong_state")
    t.world.put(replace(row, cutoff_at=Instant(t.world.now - 1)))
    t.world.do(approval, by=t.auditor, expect=Status.PAST_CUTOFF, vector="review.decide/transfer_past_cutoff")


def test_law_is_judged_again_when_it_is_done(t: Trade) -> None:
    receivable = owed(t)
    approval = passing_of(t.world, accepted(t.world, receivable, WHOLE, 300, t.supplier, t.maker))
    adopt_layers_cap(t.world, 0)
    t.world.do(approval, by=t.auditor, expect=Status.SPLIT_TOO_DEEP, vector="review.decide/transfer_split_too_deep")
    adopt_layers_cap(t.world, 1)
    t.world.do(approval, by=t.auditor)
    transfer = next(event.record for event in t.world.events if event.kind == "transfer.done")
    assert t.world.row(Transfer, transfer).judged.packs == ("all-test",)


def test_two_offers_of_one_parcel_pass_in_any_order(t: Trade) -> None:
    receivable = owed(t)
    first = accepted(t.world, receivable, WHOLE, 300, t.supplier, t.maker)
    second = accepted(t.world, receivable, WHOLE, 200, t.supplier, t.funder)
    t.world.do(passing_of(t.world, second), by=t.auditor)
    t.world.do(passing_of(t.world, first), by=t.auditor)
    assert holdings(t.world, receivable) == [(t.maker, 1, 300), (t.funder, 301, 500), (t.supplier, 501, FACE)]


def test_the_last_free_place_for_a_parcel_goes_to_the_first_approved() -> None:
    t = trade(max_parcels=3)
    receivable = owed(t)
    outer = accepted(t.world, receivable, WHOLE, 300, t.supplier, t.maker)
    inner = accepted(t.world, receivable, WHOLE, 200, t.supplier, t.funder, interval=span(501, 700))
    t.world.do(passing_of(t.world, inner), by=t.auditor)
    late = passing_of(t.world, outer)
    t.world.do(late, by=t.auditor, expect=Status.TOO_MANY_PARCELS, vector="review.decide/transfer_too_many_parcels")


def test_a_policy_that_became_stricter_meanwhile(t: Trade) -> None:
    receivable = owed(t)
    approval = passing_of(t.world, accepted(t.world, receivable, WHOLE, 300, t.supplier, t.maker))
    stricter = trade(policies=Policies(min_split=Units(301))).world.state.rows["policies/chain"]
    t.world.put(stricter)
    t.world.do(
        approval,
        by=t.auditor,
        expect=Status.UNDER_MINIMUM_SPLIT,
        vector="review.decide/transfer_under_minimum_split",
    )


def test_five_hundred_parcels_of_one_receivable() -> None:
    t = trade()
    receivable = issued(t.world, t.buyer, t.supplier, 2_000, t.auditor)
    taken = 0
    while t.world.row(Receivable, receivable).parcel_count < 500:
        transferred(t.world, receivable, span(taken + 1, 2_000), 2, t.supplier, t.maker, t.auditor)
        taken += 2
    row = t.world.row(Receivable, receivable)
    assert row.in_rows
    assert row.parcel_count > INLINE_PARCELS
    held = holdings(t.world, receivable)
    assert [(first, last) for _, first, last in held[:3]] == [(1, 2), (3, 4), (5, 6)]
    assert sum(last - first + 1 for _, first, last in held) == 2_000
    rest = span(taken + 1, 2_000)
    whole = offered(t.world, receivable, rest, 2_000 - taken, t.supplier, t.maker)
    assert t.world.row(Transfer, whole).interval == rest
