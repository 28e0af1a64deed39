"""Flagged invoices: what is pending on them stands still, and the holders are told."""

import pytest

from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.invoices import FlagInvoice, UnflagInvoice
from tallystick.kernel.receivables.issue import WithdrawReceivable
from tallystick.kernel.receivables.records import Invoice, Receivable
from tallystick.wire.status import Status
from tests.support.receivables import (
    Trade,
    acceptance_of,
    accepted,
    anchor,
    fingerprint,
    issued,
    offer_of,
    offered,
    passing_of,
    requested,
    span,
    trade,
    transferred,
    use,
)

FACE = 1_000


@pytest.fixture
def t() -> Trade:
    return trade()


def flag_of(invoice: str) -> FlagInvoice:
    return FlagInvoice(fingerprint=fingerprint(invoice), reason="red_letter", paper=anchor("red_letter"))


def unflag_of(invoice: str) -> UnflagInvoice:
    return UnflagInvoice(fingerprint=fingerprint(invoice), paper=anchor("correction"))


def test_a_flag_tells_debtor_creditor_and_every_holder(t: Trade) -> None:
    receivable = issued(t.world, t.buyer, t.supplier, FACE, t.auditor, invoices=(use("A", FACE),))
    transferred(t.world, receivable, span(1, FACE), 400, t.supplier, t.maker, t.auditor)
    result = t.world.do(flag_of("A"), by=t.auditor, vector="invoice.flag/behind_a_valid_receivable")
    assert [event.kind for event in result.events] == ["invoice.flagged", "receivable.halted"]
    assert result.events[1].audience == (t.buyer, t.supplier, t.maker)
    assert t.world.row(Receivable, receivable).flagged == (fingerprint("A"),)


def test_a_data_source_flags_too_and_nobody_else(t: Trade) -> None:
    source = t.world.member("Tax data", Role.DATA_SOURCE)
    t.world.do(flag_of("A"), by=t.supplier, expect=Status.ROLE_MISSING, vector="invoice.flag/role_missing")
    t.world.do(flag_of("A"), by=source, vector="invoice.flag/by_data_source_before_use")
    invoice = t.world.row(Invoice, fingerprint("A"))
    assert (invoice.used, invoice.total, invoice.flag) == (0, None, "red_letter")
    t.world.do(flag_of("A"), by=source, expect=Status.WRONG_STATE, vector="invoice.flag/wrong_state")


def test_transfers_on_it_stand_still_until_the_flag_is_lifted(t: Trade) -> None:
    receivable = issued(t.world, t.buyer, t.supplier, FACE, t.auditor, invoices=(use("A", FACE),))
    asked = offered(t.world, receivable, span(1, FACE), 100, t.supplier, t.maker)
    reviewed = accepted(t.world, receivable, span(1, FACE), 100, t.supplier, t.funder)
    t.world.do(flag_of("A"), by=t.auditor)
    steps = (
        ("transfer.request/invoice_flagged", offer_of(t.world, receivable, span(1, FACE), 1, t.maker), t.supplier),
        ("transfer.accept/invoice_flagged", acceptance_of(t.world, asked), t.maker),
        ("review.decide/transfer_invoice_flagged", passing_of(t.world, reviewed), t.auditor),
    )
    for vector, operation, by in steps:
        t.world.do(operation, by=by, expect=Status.INVOICE_FLAGGED, vector=vector)
    result = t.world.do(unflag_of("A"), by=t.auditor, vector="invoice.unflag/lifted")
    assert [event.kind for event in result.events] == ["invoice.unflagged", "receivable.resumed"]
    for _, operation, by in steps:
        t.world.do(operation, by=by)


def test_a_flag_stays_when_the_request_on_it_is_withdrawn(t: Trade) -> None:
    receivable = requested(t.world, t.buyer, t.supplier, FACE, invoices=(use("A", FACE),))
    t.world.do(flag_of("A"), by=t.auditor)
    t.world.do(WithdrawReceivable(receivable=receivable), by=t.buyer)
    invoice = t.world.row(Invoice, fingerprint("A"))
    assert (invoice.used, invoice.flag) == (0, "red_letter")
    t.world.do(unflag_of("A"), by=t.auditor)
    assert f"invoice/{fingerprint('A')}" not in t.world.state.rows


def test_reasons_not_to_unflag(t: Trade) -> None:
    t.world.do(unflag_of("A"), by=t.auditor, expect=Status.NOT_FOUND, vector="invoice.unflag/not_found")
    requested(t.world, t.buyer, t.supplier, FACE, invoices=(use("A", FACE),))
    t.world.do(unflag_of("A"), by=t.auditor, expect=Status.WRONG_STATE, vector="invoice.unflag/wrong_state")
    t.world.do(flag_of("A"), by=t.auditor)
    t.world.do(unflag_of("A"), by=t.supplier, expect=Status.ROLE_MISSING, vector="invoice.unflag/role_missing")
