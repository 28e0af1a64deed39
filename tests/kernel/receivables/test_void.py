"""Voiding a receivable: all three sign, and only what nobody else ever held."""

import datetime

import pytest

from tallystick.kernel.membership.limits import DebtorCredit
from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.freezes import FreezeParcel
from tallystick.kernel.receivables.judgments import CancelByJudgment
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.receivables.void import VoidReceivable
from tallystick.wire.status import Status
from tests.support.receivables import (
    Trade,
    anchor,
    confirmed,
    fingerprint,
    holdings,
    issued,
    offered,
    request_of,
    span,
    trade,
    transferred,
    use,
)

FACE = 1_000_00


@pytest.fixture
def t() -> Trade:
    return trade()


def void_of(receivable: str) -> VoidReceivable:
    return VoidReceivable(receivable=receivable, reason=anchor("agreement"))


def owed(t: Trade) -> str:
    return issued(t.world, t.buyer, t.supplier, FACE, t.auditor, invoices=(use("A", FACE),))


def refused(t: Trade, receivable: str, status: Status, case: str) -> None:
    signers = (t.supplier, t.auditor)
    t.world.do(void_of(receivable), by=t.buyer, also=signers, expect=status, vector=f"receivable.void/{case}")


def test_debtor_creditor_and_auditor_void_it_and_the_invoice_is_free(t: Trade) -> None:
    receivable = owed(t)
    result = t.world.do(void_of(receivable), by=t.buyer, also=(t.supplier, t.auditor), vector="receivable.void/voided")
    row = t.world.row(Receivable, receivable)
    assert (row.state, row.parcels, row.due()) == (ReceivableState.VOID, (), ())
    assert result.events[0].audience == (t.buyer, t.supplier)
    assert t.world.row(DebtorCredit, f"{t.buyer}.CNY").outstanding == 0
    assert f"invoice/{fingerprint('A')}" not in t.world.state.rows
    t.world.do(request_of(t.buyer, t.supplier, FACE, invoices=(use("A", FACE),)), by=t.buyer)


def test_none_of_the_three_may_be_missing(t: Trade) -> None:
    receivable = owed(t)
    void = void_of(receivable)
    t.world.do(
        void, by=t.buyer, also=(t.auditor,), expect=Status.NOT_A_PARTY, vector="receivable.void/without_creditor"
    )
    t.world.do(
        void, by=t.buyer, also=(t.supplier,), expect=Status.ROLE_MISSING, vector="receivable.void/without_auditor"
    )
    t.world.do(void, by=t.supplier, also=(t.auditor,), expect=Status.NOT_A_PARTY)
    assert holdings(t.world, receivable) == [(t.supplier, 1, FACE)]


def test_an_auditor_that_is_a_party_needs_another_one(t: Trade) -> None:
    auditing_buyer = t.world.member("Auditing buyer", Role.CLIENT, Role.AUDITOR)
    receivable = issued(t.world, auditing_buyer, t.supplier, FACE, t.auditor)
    alone = void_of(receivable)
    t.world.do(
        alone, by=auditing_buyer, also=(t.supplier,), expect=Status.MUST_RECUSE, vector="receivable.void/must_recuse"
    )
    t.world.do(alone, by=auditing_buyer, also=(t.supplier, t.auditor))


def test_what_is_not_there(t: Trade) -> None:
    refused(t, "rcv_0000000000000000", Status.NOT_FOUND, "not_found")


def test_what_is_not_valid_is_withdrawn_and_not_voided(t: Trade) -> None:
    refused(t, confirmed(t.world, t.buyer, t.supplier, FACE), Status.WRONG_STATE, "wrong_state")


def test_what_was_transferred_even_if_it_came_back(t: Trade) -> None:
    receivable = owed(t)
    transferred(t.world, receivable, span(1, FACE), FACE, t.supplier, t.maker, t.auditor)
    transferred(t.world, receivable, span(1, FACE), FACE, t.maker, t.supplier, t.auditor)
    assert holdings(t.world, receivable) == [(t.supplier, 1, FACE)]
    refused(t, receivable, Status.ALREADY_TRANSFERRED, "already_transferred")


def test_what_is_offered(t: Trade) -> None:
    receivable = owed(t)
    offered(t.world, receivable, span(1, FACE), 5, t.supplier, t.maker)
    refused(t, receivable, Status.PARCEL_LOCKED, "parcel_locked")


def test_what_is_frozen(t: Trade) -> None:
    receivable = owed(t)
    until = datetime.date(2026, 4, 1)
    freeze = FreezeParcel(receivable=receivable, interval=span(7, 8), until_on=until, authority_order=anchor("order"))
    t.world.do(freeze, by=t.auditor)
    refused(t, receivable, Status.FROZEN, "frozen")


def test_what_is_partly_gone(t: Trade) -> None:
    receivable = owed(t)
    judgment = CancelByJudgment(receivable=receivable, interval=span(1, 10), judgment=anchor("judgment"))
    t.world.do(judgment, by=t.auditor)
    refused(t, receivable, Status.PARTLY_REDEEMED, "partly_redeemed")
