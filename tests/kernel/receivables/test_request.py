"""Asking for a receivable: by either side, and every reason not to."""

import datetime
from typing import Any

import pytest

from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.limits import DebtorCredit, Limit
from tallystick.kernel.membership.records import Permission, PermissionGrant, Permitted, Role
from tallystick.kernel.membership.standing import SuspendMember
from tallystick.kernel.receivables.invoices import FlagInvoice
from tallystick.kernel.receivables.records import Invoice, Receivable, ReceivableState
from tallystick.wire.amounts import MAX_UNITS, Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.receivables import (
    DUE_ON,
    ISSUE_ON,
    Trade,
    anchor,
    fingerprint,
    issued,
    request_of,
    requested,
    trade,
    use,
)
from tests.support.world import GENESIS


@pytest.fixture
def t() -> Trade:
    return trade()


def test_the_debtor_asks(t: Trade) -> None:
    asked = request_of(t.buyer, t.supplier, 1_000_00, invoices=(use("INV 1", 400_00), use("INV 2", 600_00, 900_00)))
    result = t.world.do(asked, by=t.buyer, vector="receivable.request/by_debtor")
    row = t.world.row(Receivable, result.events[0].record)
    assert row.state is ReceivableState.REQUESTED
    assert row.requester == t.buyer
    assert row.confirm_by == t.world.now.plus(10 * DAY_MS)
    assert t.world.row(Invoice, fingerprint("INV 2")).used == 600_00
    assert result.events[0].audience == (t.buyer, t.supplier)


def test_the_creditor_asks(t: Trade) -> None:
    asked = request_of(t.buyer, t.supplier, 1_000_00, invoices=(), contracts=(anchor("contract"),))
    result = t.world.do(asked, by=t.supplier, vector="receivable.request/by_creditor")
    assert t.world.row(Receivable, result.events[0].record).requester == t.supplier


def test_a_clause_of_the_request_is_kept(t: Trade) -> None:
    receivable = requested(
        t.world,
        t.buyer,
        t.supplier,
        1_000_00,
        reason="made to order",
        delivered_on=datetime.date(2026, 3, 1),
        splittable=False,
        moved_days_accrue=True,
    )
    row = t.world.row(Receivable, receivable)
    assert (row.reason, row.delivered_on, row.splittable) == ("made to order", datetime.date(2026, 3, 1), False)
    assert row.moved_days_accrue


BAD_TERMS: list[tuple[str, Status, dict[str, Any]]] = [
    ("unknown_currency", Status.UNKNOWN_CURRENCY, {"currency": "XAU"}),
    ("issued_tomorrow", Status.BAD_DATES, {"issue_on": ISSUE_ON + datetime.timedelta(days=1)}),
    ("due_today", Status.BAD_DATES, {"issue_on": datetime.date(2026, 1, 2), "due_on": ISSUE_ON}),
    ("delivered_after_due", Status.BAD_DATES, {"delivered_on": DUE_ON + datetime.timedelta(days=1)}),
    ("over_longest_tenor", Status.BAD_DATES, {"due_on": datetime.date(2027, 3, 3)}),
    ("invoices_not_face", Status.INVOICES_NOT_FACE, {"invoices": (use("A", 99_999),)}),
    ("invoice_amount_zero", Status.AMOUNT_ZERO, {"invoices": (use("A", 100_000), use("B", 0, 5))}),
    ("over_its_invoice", Status.OVER_INVOICE, {"invoices": (use("A", 100_000, 99_999),)}),
    ("invoice_listed_twice", Status.BAD_VALUE, {"invoices": (use("A", 60_000, 100_000), use("A", 40_000, 100_000))}),
    ("nothing_backs_it", Status.BAD_VALUE, {"invoices": ()}),
    (
        "calendar_missing",
        Status.CALENDAR_MISSING,
        {"issue_on": datetime.date(2027, 12, 1), "due_on": datetime.date(2028, 3, 1)},
    ),
]


@pytest.mark.parametrize(("case", "status", "fields"), BAD_TERMS, ids=[case for case, _, _ in BAD_TERMS])
def test_terms_that_are_refused(case: str, status: Status, fields: dict[str, Any]) -> None:
    t = trade()
    if status is Status.CALENDAR_MISSING:
        t.world.now = t.world.now.plus(640 * DAY_MS)
    if case == "unknown_currency":
        grant = PermissionGrant(
            permission=Permission(may=Permitted.ISSUE, currency="XAU", ceiling=Units(MAX_UNITS)), since=GENESIS
        )
        _with_buyer(t, permissions=(grant,))
    asked = request_of(t.buyer, t.supplier, 1_000_00, **fields)
    t.world.do(asked, by=t.buyer, expect=status, vector=f"receivable.request/{case}")


def _with_buyer(t: Trade, **fields: Any) -> None:
    """The buyer's row anew, otherwise than the scene sets it."""
    t.world.member("Buyer", Role.CLIENT, Role.CORE_ENTERPRISE, **fields)


def test_an_amount_of_zero(t: Trade) -> None:
    asked = request_of(t.buyer, t.supplier, 0, invoices=(), contracts=(anchor(),))
    t.world.do(asked, by=t.buyer, expect=Status.AMOUNT_ZERO, vector="receivable.request/amount_zero")


def test_nobody_asks_for_others(t: Trade) -> None:
    asked = request_of(t.buyer, t.supplier, 1_000_00)
    t.world.do(asked, by=t.maker, expect=Status.NOT_A_PARTY, vector="receivable.request/not_a_party")


def test_nobody_owes_itself(t: Trade) -> None:
    asked = request_of(t.buyer, t.buyer, 1_000_00)
    t.world.do(asked, by=t.buyer, expect=Status.SAME_PARTY, vector="receivable.request/same_party")


def test_an_unknown_counterparty(t: Trade) -> None:
    asked = request_of(t.buyer, "mbr_0000000000000000", 1_000_00)
    t.world.do(asked, by=t.buyer, expect=Status.NOT_A_MEMBER, vector="receivable.request/not_a_member")


@pytest.mark.parametrize(
    ("case", "status", "grant"),
    [
        ("permission_missing", Status.PERMISSION_MISSING, None),
        ("over_permission", Status.OVER_PERMISSION, (1_000_00 - 1, None)),
        ("permission_lapsed", Status.PERMISSION_LAPSED, (1_000_00, datetime.date(2026, 3, 1))),
    ],
)
def test_only_with_permission(t: Trade, case: str, status: Status, grant: tuple[int, datetime.date | None]) -> None:
    grants: tuple[PermissionGrant, ...] = ()
    if grant is not None:
        ceiling, until_on = grant
        permission = Permission(may=Permitted.ISSUE, currency="CNY", ceiling=Units(ceiling), until_on=until_on)
        grants = (PermissionGrant(permission=permission, since=GENESIS),)
    _with_buyer(t, permissions=grants)
    asked = request_of(t.buyer, t.supplier, 1_000_00)
    t.world.do(asked, by=t.buyer, expect=status, vector=f"receivable.request/{case}")


def test_a_suspended_member_starts_nothing_and_is_offered_nothing(t: Trade) -> None:
    t.world.do(SuspendMember(member=t.supplier, reason="test"), by=t.auditor)
    asked = request_of(t.buyer, t.supplier, 1_000_00)
    t.world.do(asked, by=t.buyer, expect=Status.PARTY_SUSPENDED, vector="receivable.request/party_suspended")
    t.world.do(asked, by=t.supplier, expect=Status.SUSPENDED, vector="receivable.request/suspended")


def test_more_invoices_than_the_policies_allow() -> None:
    t = trade(policies=Policies(max_invoices=2))
    three = tuple(use(name, 100, 100) for name in "ABC")
    asked = request_of(t.buyer, t.supplier, 300, invoices=three)
    t.world.do(asked, by=t.buyer, expect=Status.TOO_MANY, vector="receivable.request/too_many_invoices")
    asked = request_of(t.buyer, t.supplier, 200, invoices=three[:2])
    t.world.do(asked, by=t.buyer)


def test_sixty_and_forty_percent_of_an_invoice_pass_sixty_and_forty_one_do_not(t: Trade) -> None:
    requested(t.world, t.buyer, t.supplier, 60, invoices=(use("A", 60, 100),))
    over = request_of(t.buyer, t.supplier, 41, invoices=(use("A", 41, 100),))
    result = t.world.do(over, by=t.buyer, expect=Status.OVER_INVOICE, vector="receivable.request/over_invoice")
    assert result.facts["available"] == "40"
    requested(t.world, t.buyer, t.supplier, 40, invoices=(use("A", 40, 100),))
    assert t.world.row(Invoice, fingerprint("A")).used == 100


def test_another_total_of_the_same_invoice(t: Trade) -> None:
    requested(t.world, t.buyer, t.supplier, 60, invoices=(use("A", 60, 100),))
    other = request_of(t.buyer, t.supplier, 10, invoices=(use("A", 10, 101),))
    t.world.do(
        other, by=t.buyer, expect=Status.INVOICE_TOTAL_DIFFERS, vector="receivable.request/invoice_total_differs"
    )


def test_the_same_invoice_in_another_currency(t: Trade) -> None:
    requested(t.world, t.buyer, t.supplier, 60, invoices=(use("A", 60, 100),))
    other = request_of(t.buyer, t.supplier, 10, currency="GBP", invoices=(use("A", 10, 100),))
    t.world.do(other, by=t.buyer, expect=Status.CURRENCY_MISMATCH, vector="receivable.request/currency_mismatch")


def test_a_flagged_invoice_backs_nothing(t: Trade) -> None:
    t.world.do(FlagInvoice(fingerprint=fingerprint("A"), reason="red_letter", paper=anchor()), by=t.auditor)
    asked = request_of(t.buyer, t.supplier, 100, invoices=(use("A", 100),))
    t.world.do(asked, by=t.buyer, expect=Status.INVOICE_FLAGGED, vector="receivable.request/invoice_flagged")


def test_over_the_debtors_credit_limit(t: Trade) -> None:
    limit = Limit(units=Units(99), until_on=DUE_ON)
    t.world.put(DebtorCredit(id=f"{t.buyer}.CNY", limit=limit))
    asked = request_of(t.buyer, t.supplier, 100)
    t.world.do(asked, by=t.buyer, expect=Status.OVER_LIMIT, vector="receivable.request/over_limit")


def test_a_sum_that_no_amount_can_hold(t: Trade) -> None:
    issued(t.world, t.buyer, t.supplier, MAX_UNITS, t.auditor)
    asked = request_of(t.buyer, t.supplier, 1)
    t.world.do(asked, by=t.buyer, expect=Status.AMOUNT_OVERFLOW, vector="receivable.request/amount_overflow")
