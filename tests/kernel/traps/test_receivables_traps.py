"""Traps seen in earlier systems (DOMAIN section 8), as far as receivables and transfers meet them."""

import datetime

import pytest

from tallystick.kernel import machine
from tallystick.kernel.calendar.records import BusinessZone, Transition
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.machine import Result
from tallystick.kernel.receivables.issue import WithdrawReceivable
from tallystick.kernel.receivables.records import Invoice, Receivable, ReceivableState
from tallystick.kernel.receivables.void import VoidReceivable
from tallystick.kernel.transaction import Transaction, read
from tallystick.kernel.transfers.records import Transfer, TransferState
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.receivables import (
    Trade,
    acceptance_of,
    accepted,
    anchor,
    approval_of,
    confirm_of,
    confirmed,
    fingerprint,
    holdings,
    issued,
    offer_of,
    offered,
    passing_of,
    refusal_of,
    request_of,
    requested,
    span,
    trade,
    transferred,
    use,
)

FACE = 1_000
WHOLE = span(1, FACE)


@pytest.fixture
def t() -> Trade:
    return trade()


def test_confirming_number_1_overwrote_the_newest_invoice(t: Trade) -> None:
    first = requested(t.world, t.buyer, t.supplier, 100, invoices=(use("A", 100),))
    newest = requested(t.world, t.buyer, t.maker, 200, invoices=(use("B", 200),))
    before = t.world.row(Receivable, newest), t.world.row(Invoice, fingerprint("B"))
    t.world.do(confirm_of(t.world, first), by=t.supplier)
    t.world.do(approval_of(t.world, first), by=t.auditor)
    assert (t.world.row(Receivable, newest), t.world.row(Invoice, fingerprint("B"))) == before
    assert t.world.row(Receivable, first).state is ReceivableState.VALID


def test_anyone_could_confirm(t: Trade) -> None:
    receivable = requested(t.world, t.buyer, t.supplier, FACE)
    for outsider in (t.buyer, t.maker, t.funder, t.auditor):
        t.world.do(confirm_of(t.world, receivable), by=outsider, expect=Status.NOT_A_PARTY)
    assert t.world.row(Receivable, receivable).state is ReceivableState.REQUESTED


def test_the_duplicate_key_included_the_creator_so_a_second_creator_passed(t: Trade) -> None:
    requested(t.world, t.buyer, t.supplier, FACE, by=t.buyer, invoices=(use("A", FACE),))
    again = request_of(t.buyer, t.supplier, FACE, invoices=(use("A", FACE),))
    t.world.do(again, by=t.supplier, expect=Status.OVER_INVOICE)
    elsewhere = request_of(t.buyer, t.maker, FACE, invoices=(use("A", FACE),))
    t.world.do(elsewhere, by=t.maker, expect=Status.OVER_INVOICE)


def test_a_unique_bill_number_stopped_splitting(t: Trade) -> None:
    receivable = issued(t.world, t.buyer, t.supplier, FACE, t.auditor)
    transferred(t.world, receivable, WHOLE, 500, t.supplier, t.maker, t.auditor)
    transferred(t.world, receivable, span(1, 500), 200, t.maker, t.funder, t.auditor)
    transferred(t.world, receivable, span(201, 500), 100, t.maker, t.funder, t.auditor)
    assert holdings(t.world, receivable) == [
        (t.funder, 1, 200),
        (t.funder, 201, 300),
        (t.maker, 301, 500),
        (t.supplier, 501, FACE),
    ]


def test_a_missing_calendar_year_crashed_production(t: Trade) -> None:
    beyond = request_of(t.buyer, t.supplier, FACE, due_on=datetime.date(2026, 12, 31))
    del t.world.state.rows["calendar/2026"]
    result = t.world.do(beyond, by=t.buyer, expect=Status.CALENDAR_MISSING)
    assert result.facts == {"day": "2026-12-31"}


def test_the_maturity_day_flipped_between_start_and_end_of_day(t: Trade) -> None:
    row = t.world.row(Receivable, issued(t.world, t.buyer, t.supplier, FACE, t.auditor))
    assert (row.pay_at, row.overdue_at) == (
        Instant.parse("2026-06-30T00:00:00.000Z"),
        Instant.parse("2026-06-30T23:59:59.999Z"),
    )


def test_an_offset_expired_a_hold_early(t: Trade) -> None:
    start = Instant.parse("2000-01-01T00:00:00.000Z")
    t.world.put(BusinessZone(id="chain", name="Europe/London", transitions=(Transition(at=start, offset="+01:00"),)))
    receivable = issued(t.world, t.buyer, t.supplier, FACE, t.auditor)
    cutoff = t.world.row(Receivable, receivable).cutoff_at
    assert cutoff == Instant.parse("2026-06-24T22:59:59.999Z")
    t.world.now = cutoff
    transfer = offered(t.world, receivable, WHOLE, 10, t.supplier, t.maker)
    assert not t.world.wait(until=cutoff)
    t.world.do(acceptance_of(t.world, transfer), by=t.maker)


def test_a_hold_was_committed_twice_under_concurrency(t: Trade) -> None:
    receivable = issued(t.world, t.buyer, t.supplier, FACE, t.auditor)
    offers = [t.world.sign(offer_of(t.world, receivable, WHOLE, 600, to), by=t.supplier) for to in (t.maker, t.funder)]
    results = in_one_block(t, offers)
    assert [result.status for result in results] == [Status.OK, Status.PARCEL_LOCKED]
    transfer = results[0].events[0].record
    t.world.do(acceptance_of(t.world, transfer), by=t.maker)
    votes = [t.world.sign(passing_of(t.world, transfer), by=by) for by in (t.auditor, t.second_auditor)]
    assert [result.status for result in in_one_block(t, votes)] == [Status.OK, Status.ALREADY_DECIDED]
    assert holdings(t.world, receivable) == [(t.maker, 1, 600), (t.supplier, 601, FACE)]


def in_one_block(t: Trade, raws: list[bytes]) -> list[Result]:
    """Transactions signed against the same state, executed one after another in one block."""
    block = t.world.block()
    overlay = Overlay(t.world.state)
    results = []
    for index, raw in enumerate(raws):
        transaction = read(raw)
        assert isinstance(transaction, Transaction)
        assert machine.door(overlay, t.world.chain, block, transaction) is None
        results.append(machine.execute(overlay, t.world.chain, block, index, transaction))
    t.world.state.commit(overlay)
    t.world.height += 1
    return results


def test_the_same_invoice_was_taken_twice_under_concurrency(t: Trade) -> None:
    raws = [
        t.world.sign(request_of(t.buyer, to, FACE, invoices=(use("A", FACE),)), by=t.buyer)
        for to in (t.supplier, t.maker)
    ]
    assert [result.status for result in in_one_block(t, raws)] == [Status.OK, Status.OVER_INVOICE]


def test_a_paid_after_void_went_through(t: Trade) -> None:
    receivable = issued(t.world, t.buyer, t.supplier, FACE, t.auditor)
    offer = offer_of(t.world, receivable, WHOLE, FACE, t.maker)
    void = VoidReceivable(receivable=receivable, reason=anchor("agreement"))
    t.world.do(void, by=t.buyer, also=(t.supplier, t.auditor))
    t.world.do(offer, by=t.supplier, expect=Status.NOT_FOUND)
    t.world.do(void, by=t.buyer, also=(t.supplier, t.auditor), expect=Status.WRONG_STATE)
    assert not t.world.wait(until=Instant.parse("2026-07-15T00:00:00.000Z"))


def test_a_confirmation_after_the_withdrawal_went_through(t: Trade) -> None:
    receivable = requested(t.world, t.buyer, t.supplier, FACE)
    confirmation = confirm_of(t.world, receivable)
    t.world.do(WithdrawReceivable(receivable=receivable), by=t.buyer)
    t.world.do(confirmation, by=t.supplier, expect=Status.WRONG_STATE)
    under_review = confirmed(t.world, t.buyer, t.supplier, FACE)
    approval = approval_of(t.world, under_review)
    t.world.do(WithdrawReceivable(receivable=under_review), by=t.buyer)
    t.world.do(approval, by=t.auditor, expect=Status.ALREADY_DECIDED)


def test_a_failed_step_lost_the_position(t: Trade) -> None:
    receivable = issued(t.world, t.buyer, t.supplier, FACE, t.auditor)
    transfer = accepted(t.world, receivable, WHOLE, FACE, t.supplier, t.maker)
    t.world.do(refusal_of(t.world.row(Transfer, transfer)), by=t.auditor)
    assert t.world.row(Transfer, transfer).state is TransferState.REFUSED
    assert holdings(t.world, receivable) == [(t.supplier, 1, FACE)]
    transferred(t.world, receivable, WHOLE, FACE, t.supplier, t.funder, t.auditor)
    assert holdings(t.world, receivable) == [(t.funder, 1, FACE)]
