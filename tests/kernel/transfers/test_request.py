"""Offering a parcel, or a part of it: what is locked, and every reason not to."""

import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Permission, PermissionGrant, Permitted, Role
from tallystick.kernel.membership.standing import SuspendMember
from tallystick.kernel.receivables.judgments import CancelByJudgment
from tallystick.kernel.receivables.records import LockKind, Receivable, ReceivableState
from tallystick.kernel.transfers.records import Transfer, TransferKind, TransferState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status
from tests.support.receivables import (
    Trade,
    adopt_layers_cap,
    anchor,
    confirmed,
    holdings,
    issued,
    offer_of,
    offered,
    span,
    trade,
    transferred,
)
from tests.support.world import GENESIS

FACE = 1_000
WHOLE = span(1, FACE)


@pytest.fixture
def t() -> Trade:
    return trade()


def owed(t: Trade, **fields: Any) -> str:
    return issued(t.world, t.buyer, t.supplier, FACE, t.auditor, **fields)


def test_an_offer_locks_the_lowest_units_and_moves_nothing(t: Trade) -> None:
    receivable = owed(t)
    offer = offer_of(t.world, receivable, WHOLE, 300, t.maker, recourse=True, consideration=Units(290))
    result = t.world.do(offer, by=t.supplier, vector="transfer.request/part_with_recourse")
    row = t.world.row(Transfer, result.events[0].record)
    assert (row.interval, row.basis, row.prior, row.hop) == (span(1, 300), 290, receivable, 1)
    assert (row.state, row.deadline) == (TransferState.REQUESTED, t.world.now.plus(5 * DAY_MS))
    lock = t.world.row(Receivable, receivable).parcels[0].locks[0]
    assert (lock.interval, lock.by, lock.kind) == (span(1, 300), row.id, LockKind.TRANSFER)
    assert holdings(t.world, receivable) == [(t.supplier, 1, FACE)]
    assert result.events[0].audience == (t.supplier, t.maker)


def test_the_next_offer_takes_the_next_units(t: Trade) -> None:
    receivable = owed(t)
    offered(t.world, receivable, WHOLE, 300, t.supplier, t.maker)
    second = offered(t.world, receivable, WHOLE, 300, t.supplier, t.funder)
    assert t.world.row(Transfer, second).interval == span(301, 600)


def test_a_named_interval(t: Trade) -> None:
    receivable = owed(t)
    offer = offer_of(t.world, receivable, WHOLE, 100, t.maker, interval=span(501, 600))
    result = t.world.do(offer, by=t.supplier, vector="transfer.request/named_interval")
    assert t.world.row(Transfer, result.events[0].record).interval == span(501, 600)


def test_to_the_debtor_as_set_off(t: Trade) -> None:
    receivable = owed(t)
    offer = offer_of(t.world, receivable, WHOLE, FACE, t.buyer, as_set_off=True)
    result = t.world.do(offer, by=t.supplier, vector="transfer.request/as_set_off")
    assert t.world.row(Transfer, result.events[0].record).kind is TransferKind.SET_OFF


def test_terms_that_are_refused(t: Trade) -> None:
    receivable = owed(t)
    cases: tuple[tuple[str, Status, int, str, dict[str, Any]], ...] = (
        ("same_party", Status.SAME_PARTY, 10, t.supplier, {}),
        ("set_off_only", Status.SET_OFF_ONLY, 10, t.buyer, {}),
        ("set_off_of_another", Status.SET_OFF_ONLY, 10, t.maker, {"as_set_off": True}),
        ("set_off_with_recourse", Status.BAD_VALUE, 10, t.buyer, {"as_set_off": True, "recourse": True}),
        ("currency_mismatch", Status.CURRENCY_MISMATCH, 10, t.maker, {"currency": "GBP"}),
        ("price_over_face", Status.BAD_VALUE, 10, t.maker, {"consideration": Units(11)}),
        ("amount_differs", Status.AMOUNT_DIFFERS, 10, t.maker, {"interval": span(1, 11)}),
        ("amount_zero", Status.AMOUNT_ZERO, 0, t.maker, {}),
        ("over_available", Status.OVER_AVAILABLE, FACE + 1, t.maker, {}),
        ("outside_the_parcel", Status.INTERVALS_OVERLAP, 2, t.maker, {"interval": span(FACE, FACE + 1)}),
        ("intervals_overlap", Status.INTERVALS_OVERLAP, 2, t.maker, {"interval": span(2, 1)}),
        ("not_a_member", Status.NOT_A_MEMBER, 10, "mbr_0000000000000000", {}),
    )
    for case, status, units, to, fields in cases:
        offer = offer_of(t.world, receivable, WHOLE, units, to, **fields)
        t.world.do(offer, by=t.supplier, expect=status, vector=f"transfer.request/{case}")


def test_what_nobody_holds_and_what_another_holds(t: Trade) -> None:
    receivable = owed(t)
    part = offer_of(t.world, receivable, span(1, 10), 10, t.maker)
    t.world.do(part, by=t.supplier, expect=Status.NOT_FOUND, vector="transfer.request/not_found")
    foreign = offer_of(t.world, receivable, WHOLE, 10, t.funder)
    t.world.do(foreign, by=t.maker, expect=Status.RECEIVABLE_NOT_HELD, vector="transfer.request/receivable_not_held")


def test_units_that_are_offered_already(t: Trade) -> None:
    receivable = owed(t)
    offered(t.world, receivable, WHOLE, 600, t.supplier, t.maker)
    more = offer_of(t.world, receivable, WHOLE, 401, t.funder)
    result = t.world.do(more, by=t.supplier, expect=Status.PARCEL_LOCKED, vector="transfer.request/parcel_locked")
    assert result.facts["available"] == "400"
    named = offer_of(t.world, receivable, WHOLE, 1, t.funder, interval=span(600, 600))
    t.world.do(named, by=t.supplier, expect=Status.PARCEL_LOCKED, vector="transfer.request/interval_locked")


def test_free_units_that_lie_apart_are_no_one_amount(t: Trade) -> None:
    receivable = owed(t)
    t.world.do(offer_of(t.world, receivable, WHOLE, 200, t.maker, interval=span(401, 600)), by=t.supplier)
    longer = offer_of(t.world, receivable, WHOLE, 500, t.funder)
    result = t.world.do(longer, by=t.supplier, expect=Status.PARCEL_LOCKED)
    assert result.facts["available"] == "400"


@pytest.mark.parametrize(
    ("case", "status", "grant"),
    [
        ("permission_missing", Status.PERMISSION_MISSING, None),
        ("over_permission", Status.OVER_PERMISSION, (9, None)),
        ("permission_lapsed", Status.PERMISSION_LAPSED, (10, datetime.date(2026, 3, 1))),
    ],
)
def test_only_with_permission(t: Trade, case: str, status: Status, grant: tuple[int, datetime.date | None]) -> None:
    receivable = owed(t)
    grants: tuple[PermissionGrant, ...] = ()
    if grant is not None:
        permission = Permission(may=Permitted.TRANSFER, currency="CNY", ceiling=Units(grant[0]), until_on=grant[1])
        grants = (PermissionGrant(permission=permission, since=GENESIS),)
    t.world.member("Supplier", Role.CLIENT, permissions=grants)
    offer = offer_of(t.world, receivable, WHOLE, 10, t.maker)
    t.world.do(offer, by=t.supplier, expect=status, vector=f"transfer.request/{case}")


def test_suspended_members_offer_nothing_and_are_offered_nothing(t: Trade) -> None:
    receivable = owed(t)
    offer = offer_of(t.world, receivable, WHOLE, 10, t.maker)
    t.world.do(SuspendMember(member=t.maker, reason="test"), by=t.auditor)
    t.world.do(offer, by=t.supplier, expect=Status.PARTY_SUSPENDED, vector="transfer.request/party_suspended")
    t.world.do(SuspendMember(member=t.supplier, reason="test"), by=t.auditor)
    t.world.do(offer, by=t.supplier, expect=Status.SUSPENDED, vector="transfer.request/suspended")


def test_only_what_is_valid(t: Trade) -> None:
    receivable = owed(t)
    asked = confirmed(t.world, t.buyer, t.supplier, 500)
    t.world.do(offer_of(t.world, asked, span(1, 500), 10, t.maker), by=t.supplier, expect=Status.NOT_FOUND)
    # A bank payment is under way: nothing passes.
    row = t.world.row(Receivable, receivable)
    t.world.put(replace(row, state=ReceivableState.REDEEMING))
    offer = offer_of(t.world, receivable, WHOLE, 10, t.maker)
    t.world.do(offer, by=t.supplier, expect=Status.WRONG_STATE, vector="transfer.request/wrong_state")


def test_nothing_passes_from_the_cutoff_on(t: Trade) -> None:
    receivable = owed(t)
    cutoff = t.world.row(Receivable, receivable).cutoff_at
    t.world.now = cutoff
    early = offered(t.world, receivable, WHOLE, 10, t.supplier, t.maker)
    assert t.world.row(Transfer, early).deadline == cutoff
    t.world.now = cutoff.plus(1)
    late = offer_of(t.world, receivable, WHOLE, 10, t.maker)
    t.world.do(late, by=t.supplier, expect=Status.PAST_CUTOFF, vector="transfer.request/past_cutoff")


def test_what_may_not_be_split_passes_whole(t: Trade) -> None:
    receivable = owed(t, splittable=False)
    part = offer_of(t.world, receivable, WHOLE, FACE - 1, t.maker)
    t.world.do(part, by=t.supplier, expect=Status.NOT_SPLITTABLE, vector="transfer.request/not_splittable")
    offered(t.world, receivable, WHOLE, FACE, t.supplier, t.maker)


def test_neither_part_is_smaller_than_the_least_split() -> None:
    t = trade(policies=Policies(min_split=Units(100)))
    receivable = owed(t)
    small = offer_of(t.world, receivable, WHOLE, 99, t.maker)
    t.world.do(small, by=t.supplier, expect=Status.UNDER_MINIMUM_SPLIT, vector="transfer.request/under_minimum_split")
    small_rest = offer_of(t.world, receivable, WHOLE, FACE - 99, t.maker)
    t.world.do(small_rest, by=t.supplier, expect=Status.UNDER_MINIMUM_SPLIT)
    offered(t.world, receivable, WHOLE, FACE - 100, t.supplier, t.maker)
    tiny = issued(t.world, t.buyer, t.supplier, 99, t.auditor)
    offered(t.world, tiny, span(1, 99), 99, t.supplier, t.maker)


def test_through_no_more_hands_than_the_policies_allow() -> None:
    t = trade(policies=Policies(max_hops=2))
    receivable = owed(t)
    transferred(t.world, receivable, WHOLE, FACE, t.supplier, t.maker, t.auditor)
    transferred(t.world, receivable, WHOLE, FACE, t.maker, t.supplier, t.auditor)
    third = offer_of(t.world, receivable, WHOLE, FACE, t.maker)
    t.world.do(third, by=t.supplier, expect=Status.TOO_MANY_HOPS, vector="transfer.request/too_many_hops")


def test_no_more_parcels_than_the_chain_allows() -> None:
    t = trade(max_parcels=2)
    receivable = owed(t)
    transferred(t.world, receivable, WHOLE, 10, t.supplier, t.maker, t.auditor)
    another = offer_of(t.world, receivable, span(11, FACE), 10, t.maker)
    t.world.do(another, by=t.supplier, expect=Status.TOO_MANY_PARCELS, vector="transfer.request/too_many_parcels")
    offered(t.world, receivable, span(11, FACE), FACE - 10, t.supplier, t.maker)


def test_a_law_on_layers_is_judged_at_the_request_and_again_when_it_is_done(t: Trade) -> None:
    receivable = owed(t)
    transferred(t.world, receivable, WHOLE, FACE, t.supplier, t.maker, t.auditor)
    adopt_layers_cap(t.world, 1)
    offer = offer_of(t.world, receivable, WHOLE, FACE, t.supplier)
    t.world.do(offer, by=t.maker, expect=Status.SPLIT_TOO_DEEP, vector="transfer.request/split_too_deep")


def test_cancelled_units_are_not_offered(t: Trade) -> None:
    receivable = owed(t)
    judgment = CancelByJudgment(receivable=receivable, interval=span(1, 100), judgment=anchor("judgment"))
    t.world.do(judgment, by=t.auditor)
    offer = offer_of(t.world, receivable, WHOLE, 10, t.maker)
    t.world.do(offer, by=t.supplier, expect=Status.NOT_FOUND)
    transfer = t.world.row(Transfer, offered(t.world, receivable, span(101, FACE), 10, t.supplier, t.maker))
    assert transfer.interval == span(101, 110)
    assert Instant(transfer.deadline) > t.world.now
