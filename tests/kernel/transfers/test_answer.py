"""What may become of an offer before it is decided: accepted, declined, withdrawn, expired, ended by a suspension."""

import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Permission, PermissionGrant, Permitted, Role
from tallystick.kernel.membership.standing import SuspendMember
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.reviews.records import Review, ReviewState
from tallystick.kernel.transfers.agreed import DeclineTransfer, WithdrawTransfer
from tallystick.kernel.transfers.records import Transfer, TransferState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status
from tests.support.receivables import (
    Trade,
    acceptance_of,
    accepted,
    anchor,
    holdings,
    issued,
    offered,
    passing_of,
    span,
    trade,
    transferred,
)
from tests.support.world import GENESIS

FACE = 1_000
WHOLE = span(1, FACE)
UNKNOWN = "trf_0000000000000000"


@pytest.fixture
def t() -> Trade:
    return trade()


def owed(t: Trade) -> str:
    return issued(t.world, t.buyer, t.supplier, FACE, t.auditor)


def offer(t: Trade, **fields: Any) -> str:
    return offered(t.world, owed(t), WHOLE, 300, t.supplier, t.maker, **fields)


def state_of(t: Trade, transfer: str) -> TransferState:
    state: TransferState = t.world.row(Transfer, transfer).state
    return state


def assert_free(t: Trade, transfer: str) -> None:
    row = t.world.row(Transfer, transfer)
    assert row.due() == ()
    assert t.world.row(Receivable, row.receivable).parcels[0].locks == ()
    assert holdings(t.world, row.receivable) == [(t.supplier, 1, FACE)]


def test_the_receiver_accepts_and_asks_for_the_review(t: Trade) -> None:
    transfer = offer(t)
    result = t.world.do(acceptance_of(t.world, transfer), by=t.maker, vector="transfer.accept/accepted")
    row = t.world.row(Transfer, transfer)
    review = t.world.row(Review, row.review)
    assert (row.state, row.deadline) == (TransferState.UNDER_REVIEW, t.world.row(Receivable, row.receivable).cutoff_at)
    assert (review.parties, review.handling) == ((t.supplier, t.maker), anchor("handling", transfer))
    assert [event.kind for event in result.events] == ["transfer.accepted", "review.requested"]
    assert holdings(t.world, row.receivable) == [(t.supplier, 1, FACE)]


def test_only_the_receiver_accepts(t: Trade) -> None:
    acceptance = acceptance_of(t.world, offer(t))
    t.world.do(acceptance, by=t.supplier, expect=Status.NOT_A_PARTY, vector="transfer.accept/not_a_party")
    lost = replace(acceptance, transfer=UNKNOWN)
    t.world.do(lost, by=t.maker, expect=Status.NOT_FOUND, vector="transfer.accept/not_found")


def test_what_is_accepted_is_what_was_offered(t: Trade) -> None:
    transfer = offer(t)
    other_amount = acceptance_of(t.world, transfer, units=Units(299))
    t.world.do(other_amount, by=t.maker, expect=Status.AMOUNT_DIFFERS, vector="transfer.accept/amount_differs")
    other_money = acceptance_of(t.world, transfer, currency="GBP")
    t.world.do(other_money, by=t.maker, expect=Status.CURRENCY_MISMATCH, vector="transfer.accept/currency_mismatch")


def test_accepting_twice(t: Trade) -> None:
    transfer = accepted(t.world, owed(t), WHOLE, 300, t.supplier, t.maker)
    again = acceptance_of(t.world, transfer)
    t.world.do(again, by=t.maker, expect=Status.WRONG_STATE, vector="transfer.accept/wrong_state")


def test_the_window_is_open_until_its_last_millisecond(t: Trade) -> None:
    transfer = offer(t)
    t.world.now = t.world.row(Transfer, transfer).deadline.plus(1)
    late = acceptance_of(t.world, transfer)
    t.world.do(late, by=t.maker, expect=Status.DEADLINE_PASSED, vector="transfer.accept/deadline_passed")
    declined = DeclineTransfer(transfer=transfer, reason="price")
    t.world.do(declined, by=t.maker, expect=Status.DEADLINE_PASSED, vector="transfer.decline/deadline_passed")
    t.world.now = Instant(t.world.now - 1)
    t.world.do(late, by=t.maker)


@pytest.mark.parametrize(
    ("case", "status", "grant"),
    [
        ("permission_missing", Status.PERMISSION_MISSING, None),
        ("over_permission", Status.OVER_PERMISSION, (299, None)),
        ("permission_lapsed", Status.PERMISSION_LAPSED, (300, datetime.date(2026, 3, 1))),
    ],
)
def test_only_with_permission_to_receive(
    t: Trade, case: str, status: Status, grant: tuple[int, datetime.date | None]
) -> None:
    transfer = offer(t)
    grants: tuple[PermissionGrant, ...] = ()
    if grant is not None:
        permission = Permission(may=Permitted.RECEIVE, currency="CNY", ceiling=Units(grant[0]), until_on=grant[1])
        grants = (PermissionGrant(permission=permission, since=GENESIS),)
    t.world.member("Maker", Role.CLIENT, permissions=grants)
    t.world.do(acceptance_of(t.world, transfer), by=t.maker, expect=status, vector=f"transfer.accept/{case}")


def test_the_receivable_must_still_be_negotiable(t: Trade) -> None:
    transfer = offer(t)
    row = t.world.row(Receivable, t.world.row(Transfer, transfer).receivable)
    acceptance = acceptance_of(t.world, transfer)
    t.world.put(replace(row, state=ReceivableState.REDEEMING))
    t.world.do(acceptance, by=t.maker, expect=Status.WRONG_STATE, vector="transfer.accept/receivable_not_valid")
    t.world.put(replace(row, cutoff_at=Instant(t.world.now - 1)))
    t.world.do(acceptance, by=t.maker, expect=Status.PAST_CUTOFF, vector="transfer.accept/past_cutoff")


def test_an_offer_of_a_member_that_was_suspended_before_its_walk_came_here(t: Trade) -> None:
    transfer = offer(t)
    row = t.world.row(Transfer, transfer)
    receivable = t.world.row(Receivable, row.receivable)
    t.world.do(SuspendMember(member=t.supplier, reason="test"), by=t.auditor)
    t.world.put(row, receivable)
    acceptance = acceptance_of(t.world, transfer)
    t.world.do(acceptance, by=t.maker, expect=Status.PARTY_SUSPENDED, vector="transfer.accept/party_suspended")


def test_declined_the_units_are_free(t: Trade) -> None:
    transfer = offer(t)
    declined = DeclineTransfer(transfer=transfer, reason="price")
    t.world.do(declined, by=t.supplier, expect=Status.NOT_A_PARTY, vector="transfer.decline/not_a_party")
    t.world.do(declined, by=t.maker, vector="transfer.decline/declined")
    assert state_of(t, transfer) is TransferState.DECLINED
    assert_free(t, transfer)
    t.world.do(declined, by=t.maker, expect=Status.WRONG_STATE, vector="transfer.decline/wrong_state")
    lost = DeclineTransfer(transfer=UNKNOWN, reason="price")
    t.world.do(lost, by=t.maker, expect=Status.NOT_FOUND, vector="transfer.decline/not_found")


def test_the_holder_withdraws_before_acceptance(t: Trade) -> None:
    transfer = offer(t)
    withdrawal = WithdrawTransfer(transfer=transfer)
    t.world.do(withdrawal, by=t.maker, expect=Status.NOT_A_PARTY, vector="transfer.withdraw/not_a_party")
    t.world.do(withdrawal, by=t.supplier, vector="transfer.withdraw/by_holder")
    assert state_of(t, transfer) is TransferState.WITHDRAWN
    assert_free(t, transfer)
    t.world.do(withdrawal, by=t.supplier, expect=Status.WRONG_STATE, vector="transfer.withdraw/wrong_state")
    lost = WithdrawTransfer(transfer=UNKNOWN)
    t.world.do(lost, by=t.supplier, expect=Status.NOT_FOUND, vector="transfer.withdraw/not_found")


def test_both_withdraw_until_it_is_decided(t: Trade) -> None:
    transfer = accepted(t.world, owed(t), WHOLE, 300, t.supplier, t.maker)
    approval = passing_of(t.world, transfer)
    withdrawal = WithdrawTransfer(transfer=transfer)
    t.world.do(withdrawal, by=t.supplier, expect=Status.NOT_A_PARTY, vector="transfer.withdraw/needs_both")
    t.world.do(withdrawal, by=t.supplier, also=(t.maker,), vector="transfer.withdraw/by_both")
    assert_free(t, transfer)
    assert t.world.row(Review, t.world.row(Transfer, transfer).review).state is ReviewState.WITHDRAWN
    t.world.do(approval, by=t.auditor, expect=Status.ALREADY_DECIDED)


def test_what_is_done_is_not_withdrawn(t: Trade) -> None:
    transfer = transferred(t.world, owed(t), WHOLE, 300, t.supplier, t.maker, t.auditor)
    t.world.do(WithdrawTransfer(transfer=transfer), by=t.supplier, expect=Status.WRONG_STATE)
    assert state_of(t, transfer) is TransferState.DONE


def test_no_answer_in_time(t: Trade) -> None:
    transfer = offer(t)
    deadline = t.world.row(Transfer, transfer).deadline
    assert not t.world.wait(until=deadline)
    events = t.world.wait(until=deadline.plus(1))
    assert [(event.kind, event.audience) for event in events] == [("transfer.expired", (t.supplier, t.maker))]
    assert_free(t, transfer)


def test_what_is_pending_at_the_cutoff_ends_by_itself() -> None:
    t = trade(policies=Policies(review_deadline_days=400, transfer_accept_days=400))
    receivable = owed(t)
    asked = offered(t.world, receivable, WHOLE, 100, t.supplier, t.maker)
    reviewed = accepted(t.world, receivable, WHOLE, 100, t.supplier, t.funder)
    cutoff = t.world.row(Receivable, receivable).cutoff_at
    assert not t.world.wait(until=cutoff)
    events = t.world.wait(until=cutoff.plus(1))
    assert sorted(event.kind for event in events) == ["review.withdrawn", "transfer.expired", "transfer.expired"]
    assert state_of(t, asked) is TransferState.EXPIRED
    assert_free(t, reviewed)


def test_a_suspension_ends_the_members_own_offers_and_no_other(t: Trade) -> None:
    receivable = owed(t)
    transferred(t.world, receivable, WHOLE, 500, t.supplier, t.maker, t.auditor)
    own = offered(t.world, receivable, span(501, FACE), 100, t.supplier, t.funder)
    others = offered(t.world, receivable, span(1, 500), 100, t.maker, t.supplier)
    t.world.do(SuspendMember(member=t.supplier, reason="test"), by=t.auditor)
    assert state_of(t, own) is TransferState.WITHDRAWN
    assert state_of(t, others) is TransferState.REQUESTED
    t.world.do(DeclineTransfer(transfer=others, reason="suspended"), by=t.supplier)
    assert all(not parcel.locks for parcel in t.world.row(Receivable, receivable).parcels)


def test_a_suspension_refuses_the_review_under_way(t: Trade) -> None:
    transfer = accepted(t.world, owed(t), WHOLE, 300, t.supplier, t.maker)
    t.world.do(SuspendMember(member=t.maker, reason="test"), by=t.auditor)
    assert state_of(t, transfer) is TransferState.REFUSED
    assert_free(t, transfer)


def test_both_review_and_transfer_may_expire_in_one_block() -> None:
    t = trade(policies=Policies(review_deadline_days=10))
    transfer = accepted(t.world, owed(t), WHOLE, 300, t.supplier, t.maker)
    events = t.world.wait(milliseconds=200 * DAY_MS)
    ended = [event.kind for event in events if event.kind.startswith("transfer.")]
    assert ended == ["transfer.expired"]
    assert state_of(t, transfer) is TransferState.EXPIRED
