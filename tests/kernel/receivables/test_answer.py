"""What may become of a request before validity: confirmed, declined, withdrawn, expired, ended by a suspension."""

import pytest
from msgspec.structs import replace

from tallystick.kernel.membership.standing import SuspendMember
from tallystick.kernel.receivables.invoices import FlagInvoice
from tallystick.kernel.receivables.issue import DeclineReceivable, WithdrawReceivable
from tallystick.kernel.receivables.records import Invoice, Receivable, ReceivableState
from tallystick.kernel.reviews.records import Review, ReviewState
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.receivables import (
    Trade,
    anchor,
    approval_of,
    confirm_of,
    confirmed,
    fingerprint,
    issued,
    request_of,
    requested,
    trade,
    use,
)

UNKNOWN = "rcv_0000000000000000"
FACE = 1_000_00


@pytest.fixture
def t() -> Trade:
    return trade()


def ask(t: Trade, **fields: str) -> str:
    return requested(t.world, t.buyer, t.supplier, FACE, invoices=(use("A", FACE),), **fields)


def assert_invoice_is_free(t: Trade) -> None:
    assert f"invoice/{fingerprint('A')}" not in t.world.state.rows
    t.world.do(request_of(t.buyer, t.supplier, FACE, invoices=(use("A", FACE),)), by=t.buyer)


def test_the_creditor_confirms(t: Trade) -> None:
    receivable = ask(t)
    result = t.world.do(confirm_of(t.world, receivable), by=t.supplier, vector="receivable.confirm/by_creditor")
    row = t.world.row(Receivable, receivable)
    assert row.state is ReceivableState.UNDER_REVIEW
    review = t.world.row(Review, row.review)
    assert review.handling == anchor("handling", receivable)
    assert review.parties == (t.buyer, t.supplier)
    assert [event.kind for event in result.events] == ["receivable.confirmed", "review.requested"]


def test_the_debtor_confirms_what_its_creditor_asked_for(t: Trade) -> None:
    receivable = ask(t, by=t.supplier)
    t.world.do(confirm_of(t.world, receivable), by=t.buyer, vector="receivable.confirm/by_debtor")


@pytest.mark.parametrize("asker", ["buyer", "supplier"])
def test_only_the_counterparty_confirms(t: Trade, asker: str) -> None:
    receivable = ask(t, by=getattr(t, asker))
    confirmation = confirm_of(t.world, receivable)
    t.world.do(
        confirmation, by=getattr(t, asker), expect=Status.NOT_A_PARTY, vector=f"receivable.confirm/not_by_{asker}"
    )
    t.world.do(
        confirmation, by=t.maker, expect=Status.NOT_A_PARTY, vector=f"receivable.confirm/not_a_party_of_{asker}s"
    )
    assert t.world.row(Receivable, receivable).state is ReceivableState.REQUESTED


def test_what_is_confirmed_is_what_was_asked(t: Trade) -> None:
    receivable = ask(t)
    cases = (
        ("currency_mismatch", Status.CURRENCY_MISMATCH, {"currency": "GBP"}),
        ("amount_differs", Status.AMOUNT_DIFFERS, {"face": Units(FACE + 1)}),
        ("without_consent", Status.BAD_VALUE, {"consent_to_notices": False}),
    )
    for case, status, fields in cases:
        other = confirm_of(t.world, receivable, **fields)
        t.world.do(other, by=t.supplier, expect=status, vector=f"receivable.confirm/{case}")


def test_confirming_what_is_not_there(t: Trade) -> None:
    confirmation = confirm_of(t.world, ask(t))
    lost = replace(confirmation, receivable=UNKNOWN)
    t.world.do(lost, by=t.supplier, expect=Status.NOT_FOUND, vector="receivable.confirm/not_found")


def test_confirming_twice(t: Trade) -> None:
    receivable = confirmed(t.world, t.buyer, t.supplier, FACE)
    again = confirm_of(t.world, receivable)
    t.world.do(again, by=t.supplier, expect=Status.WRONG_STATE, vector="receivable.confirm/wrong_state")


def test_the_window_is_open_until_its_last_millisecond(t: Trade) -> None:
    first, second = ask(t), requested(t.world, t.buyer, t.supplier, 5)
    t.world.now = t.world.row(Receivable, first).confirm_by
    t.world.do(confirm_of(t.world, first), by=t.supplier)
    t.world.now = t.world.now.plus(1)
    late = confirm_of(t.world, second)
    t.world.do(late, by=t.supplier, expect=Status.DEADLINE_PASSED, vector="receivable.confirm/deadline_passed")


def test_a_requester_suspended_without_its_walk_having_come_here(t: Trade) -> None:
    receivable = ask(t)
    row = t.world.row(Receivable, receivable)
    t.world.do(SuspendMember(member=t.buyer, reason="test"), by=t.auditor)
    t.world.put(row)
    t.world.do(
        confirm_of(t.world, receivable),
        by=t.supplier,
        expect=Status.PARTY_SUSPENDED,
        vector="receivable.confirm/party_suspended",
    )


def test_a_flagged_invoice_stops_the_confirmation(t: Trade) -> None:
    receivable = ask(t)
    t.world.do(FlagInvoice(fingerprint=fingerprint("A"), reason="red_letter", paper=anchor()), by=t.auditor)
    confirmation = confirm_of(t.world, receivable)
    t.world.do(confirmation, by=t.supplier, expect=Status.INVOICE_FLAGGED, vector="receivable.confirm/invoice_flagged")


def test_declined(t: Trade) -> None:
    receivable = ask(t)
    declined = DeclineReceivable(receivable=receivable, reason="goods_missing")
    t.world.do(declined, by=t.buyer, expect=Status.NOT_A_PARTY, vector="receivable.decline/not_a_party")
    result = t.world.do(declined, by=t.supplier, vector="receivable.decline/declined")
    assert t.world.row(Receivable, receivable).state is ReceivableState.DECLINED
    assert result.events[0].facts == {"reason": "goods_missing"}
    assert_invoice_is_free(t)
    t.world.do(declined, by=t.supplier, expect=Status.WRONG_STATE, vector="receivable.decline/wrong_state")


def test_declining_late_or_nothing(t: Trade) -> None:
    receivable = ask(t)
    lost = DeclineReceivable(receivable=UNKNOWN, reason="goods_missing")
    t.world.do(lost, by=t.supplier, expect=Status.NOT_FOUND, vector="receivable.decline/not_found")
    t.world.now = t.world.row(Receivable, receivable).confirm_by.plus(1)
    late = DeclineReceivable(receivable=receivable, reason="goods_missing")
    t.world.do(late, by=t.supplier, expect=Status.DEADLINE_PASSED, vector="receivable.decline/deadline_passed")


def test_a_suspended_counterparty_may_still_decline(t: Trade) -> None:
    receivable = ask(t)
    t.world.do(SuspendMember(member=t.supplier, reason="test"), by=t.auditor)
    t.world.do(DeclineReceivable(receivable=receivable, reason="goods_missing"), by=t.supplier)


def test_withdrawn_before_an_answer(t: Trade) -> None:
    receivable = ask(t)
    withdrawal = WithdrawReceivable(receivable=receivable)
    t.world.do(withdrawal, by=t.supplier, expect=Status.NOT_A_PARTY, vector="receivable.withdraw/not_a_party")
    t.world.do(withdrawal, by=t.buyer, vector="receivable.withdraw/before_an_answer")
    assert t.world.row(Receivable, receivable).state is ReceivableState.WITHDRAWN
    assert_invoice_is_free(t)


def test_withdrawn_under_review_ends_the_review(t: Trade) -> None:
    receivable = confirmed(t.world, t.buyer, t.supplier, FACE, invoices=(use("A", FACE),))
    approval = approval_of(t.world, receivable)
    t.world.do(WithdrawReceivable(receivable=receivable), by=t.buyer, vector="receivable.withdraw/under_review")
    assert t.world.row(Review, t.world.row(Receivable, receivable).review).state is ReviewState.WITHDRAWN
    t.world.do(approval, by=t.auditor, expect=Status.ALREADY_DECIDED)
    assert_invoice_is_free(t)


def test_withdrawing_what_is_valid_or_not_there(t: Trade) -> None:
    receivable = issued(t.world, t.buyer, t.supplier, FACE, t.auditor)
    valid = WithdrawReceivable(receivable=receivable)
    t.world.do(valid, by=t.buyer, expect=Status.WRONG_STATE, vector="receivable.withdraw/wrong_state")
    lost = WithdrawReceivable(receivable=UNKNOWN)
    t.world.do(lost, by=t.buyer, expect=Status.NOT_FOUND, vector="receivable.withdraw/not_found")


def test_no_answer_in_time(t: Trade) -> None:
    receivable = ask(t)
    deadline = t.world.row(Receivable, receivable).confirm_by
    assert not t.world.wait(until=deadline)
    events = t.world.wait(until=deadline.plus(1))
    assert [(event.kind, event.audience) for event in events] == [("receivable.expired", (t.buyer, t.supplier))]
    assert t.world.row(Receivable, receivable).state is ReceivableState.EXPIRED
    assert_invoice_is_free(t)


def test_a_suspension_ends_the_members_own_request_and_no_other(t: Trade) -> None:
    own = ask(t)
    others = requested(t.world, t.maker, t.buyer, 70)
    t.world.do(SuspendMember(member=t.buyer, reason="test"), by=t.auditor)
    assert t.world.row(Receivable, own).state is ReceivableState.WITHDRAWN
    assert t.world.row(Receivable, others).state is ReceivableState.REQUESTED
    assert f"invoice/{fingerprint('A')}" not in t.world.state.rows


def test_part_of_an_invoice_goes_back_and_the_rest_stays(t: Trade) -> None:
    kept = requested(t.world, t.buyer, t.supplier, 60, invoices=(use("A", 60, 100),))
    gone = requested(t.world, t.buyer, t.supplier, 40, invoices=(use("A", 40, 100),))
    t.world.do(WithdrawReceivable(receivable=gone), by=t.buyer)
    assert t.world.row(Invoice, fingerprint("A")).used == 60
    assert t.world.row(Receivable, kept).state is ReceivableState.REQUESTED
