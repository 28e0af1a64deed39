"""Successions between sender, receiver and debtor: nobody transfers to itself, to the debtor only as set-off."""

import pytest

from tallystick.kernel.membership.standing import SucceedMember
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.redemption.redeem import SetOff
from tallystick.kernel.reviews.records import Review, ReviewState
from tallystick.kernel.transfers.records import Transfer, TransferState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.receivables import (
    Trade,
    acceptance_of,
    accepted,
    anchor,
    confirmed,
    holdings,
    issued,
    offered,
    passing_of,
    requested,
    span,
    trade,
)


def succeeded(t: Trade, member: str, successor: str) -> None:
    t.world.do(SucceedMember(member=member, successor=successor, order=anchor("register")), by=t.auditor)


def locked(t: Trade, receivable: str) -> bool:
    return any(parcel.locks for parcel in t.world.row(Receivable, receivable).parcels)


@pytest.mark.parametrize("asks", [offered, accepted])
def test_a_transfer_whose_sides_become_one_is_withdrawn(asks: object) -> None:
    t = trade()
    held = issued(t.world, t.buyer, t.supplier, 1_000, t.auditor)
    transfer_id = asks(t.world, held, span(1, 1_000), 400, t.supplier, t.maker)  # type: ignore[operator]
    succeeded(t, t.supplier, t.maker)
    row = t.world.row(Transfer, transfer_id)
    assert row.state is TransferState.WITHDRAWN
    assert not locked(t, held)
    assert holdings(t.world, held) == [(t.maker, 1, 1_000)]
    if row.review is not None:
        assert t.world.row(Review, row.review).state is ReviewState.WITHDRAWN
    t.world.wait(40 * DAY_MS)


def test_a_receiver_that_became_the_debtor_accepts_only_a_set_off() -> None:
    t = trade()
    held = issued(t.world, t.buyer, t.supplier, 1_000, t.auditor)
    early = offered(t.world, held, span(1, 1_000), 400, t.supplier, t.maker, recourse=True)
    late = accepted(t.world, held, span(1, 1_000), 100, t.supplier, t.maker)
    succeeded(t, t.buyer, t.maker)
    answer = acceptance_of(t.world, early)
    t.world.do(answer, by=t.maker, expect=Status.SET_OFF_ONLY, vector="transfer.accept/set_off_only")
    t.world.do(passing_of(t.world, late), by=t.auditor, expect=Status.SET_OFF_ONLY)
    t.world.wait(40 * DAY_MS)
    assert t.world.row(Transfer, early).state is TransferState.EXPIRED
    assert not locked(t, held)


@pytest.mark.parametrize("asks", [requested, confirmed])
def test_a_request_whose_sides_become_one_is_withdrawn(asks: object) -> None:
    t = trade()
    receivable = asks(t.world, t.buyer, t.supplier, 1_000)  # type: ignore[operator]  # one of the scenes named above
    succeeded(t, t.buyer, t.supplier)
    row = t.world.row(Receivable, receivable)
    assert row.state is ReceivableState.WITHDRAWN
    if row.review is not None:
        assert t.world.row(Review, row.review).state is ReviewState.WITHDRAWN
    t.world.wait(40 * DAY_MS)


def test_a_debtor_that_became_its_own_holder_sets_the_debt_off() -> None:
    t = trade()
    held = issued(t.world, t.buyer, t.supplier, 1_000, t.auditor)
    succeeded(t, t.buyer, t.supplier)
    row = t.world.row(Receivable, held)
    assert (row.debtor, row.creditor, row.state) == (t.supplier, t.supplier, ReceivableState.VALID)
    whole = SetOff(receivable=held, parcel=span(1, 1_000), currency="CNY", units=Units(1_000))
    t.world.do(whole, by=t.supplier)
    assert t.world.row(Receivable, held).state is ReceivableState.REDEEMED
