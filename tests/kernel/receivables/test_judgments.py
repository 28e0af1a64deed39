"""Judgments: units end, or pass to whom the court says."""

import datetime

import pytest

from tallystick.kernel.core.fields import Interval
from tallystick.kernel.membership.limits import DebtorCredit
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SuspendMember
from tallystick.kernel.receivables.freezes import FreezeParcel
from tallystick.kernel.receivables.judgments import AssignByJudgment, CancelByJudgment
from tallystick.kernel.receivables.records import Invoice, Receivable, ReceivableState
from tallystick.kernel.transfers.records import Transfer, TransferKind
from tallystick.wire.status import Status
from tests.support.receivables import (
    Trade,
    anchor,
    fingerprint,
    holdings,
    issued,
    offered,
    span,
    trade,
    transferred,
    use,
)

FACE = 1_000
UNKNOWN = "rcv_0000000000000000"


@pytest.fixture
def t() -> Trade:
    return trade()


def owed(t: Trade, **fields: bool) -> str:
    return issued(t.world, t.buyer, t.supplier, FACE, t.auditor, invoices=(use("A", FACE),), **fields)


def cancel_of(receivable: str, interval: Interval, freeze: str | None = None) -> CancelByJudgment:
    return CancelByJudgment(receivable=receivable, interval=interval, judgment=anchor("judgment"), freeze=freeze)


def assign_of(receivable: str, interval: Interval, to: str, freeze: str | None = None) -> AssignByJudgment:
    return AssignByJudgment(receivable=receivable, interval=interval, to=to, judgment=anchor("judgment"), freeze=freeze)


def frozen(t: Trade, receivable: str, interval: Interval) -> str:
    until = datetime.date(2026, 6, 1)
    freeze = FreezeParcel(receivable=receivable, interval=interval, until_on=until, authority_order=anchor("order"))
    return str(t.world.do(freeze, by=t.auditor).events[0].facts["freeze"])


def test_cancelled_units_leave_the_parcels_of_all_their_holders(t: Trade) -> None:
    receivable = owed(t)
    transferred(t.world, receivable, span(1, FACE), 400, t.supplier, t.maker, t.auditor)
    result = t.world.do(
        cancel_of(receivable, span(301, 600)), by=t.auditor, vector="parcel.cancel_by_judgment/two_holders"
    )
    assert holdings(t.world, receivable) == [(t.maker, 1, 300), (t.supplier, 601, FACE)]
    row = t.world.row(Receivable, receivable)
    assert (row.cancelled, row.outstanding) == (300, 700)
    assert result.events[0].audience == (t.buyer, t.maker, t.supplier)
    assert t.world.row(DebtorCredit, f"{t.buyer}.CNY").outstanding == 700
    assert t.world.row(Invoice, fingerprint("A")).used == FACE


def test_of_which_nothing_is_left_it_is_closed(t: Trade) -> None:
    receivable = owed(t)
    t.world.do(cancel_of(receivable, span(1, FACE)), by=t.auditor, vector="parcel.cancel_by_judgment/all_of_it")
    row = t.world.row(Receivable, receivable)
    assert (row.state, row.parcels, row.due()) == (ReceivableState.CLOSED, (), ())


def test_assigned_units_pass_by_a_transfer_and_the_debtor_is_notified(t: Trade) -> None:
    receivable = owed(t, splittable=False)
    result = t.world.do(
        assign_of(receivable, span(101, 200), t.maker), by=t.auditor, vector="parcel.assign_by_judgment/part"
    )
    assert holdings(t.world, receivable) == [(t.supplier, 1, 100), (t.maker, 101, 200), (t.supplier, 201, FACE)]
    kinds = [event.kind for event in result.events]
    assert kinds == ["transfer.done", "transfer.debtor_notified", "parcel.assigned"]
    transfer = t.world.row(Transfer, result.events[0].record)
    assert (transfer.kind, transfer.recourse, transfer.prior) == (TransferKind.JUDGMENT, False, receivable)
    assert transfer.background == anchor("judgment")
    assert result.events[1].audience == (t.buyer,)


def test_assigned_across_two_holders(t: Trade) -> None:
    receivable = owed(t)
    transferred(t.world, receivable, span(1, FACE), 400, t.supplier, t.maker, t.auditor)
    t.world.do(assign_of(receivable, span(301, 600), t.funder), by=t.auditor)
    assert holdings(t.world, receivable) == [
        (t.maker, 1, 300),
        (t.funder, 301, 400),
        (t.funder, 401, 600),
        (t.supplier, 601, FACE),
    ]


def test_only_the_first_freeze_in_the_queue_is_executed(t: Trade) -> None:
    receivable = owed(t)
    first = frozen(t, receivable, span(1, 300))
    second = frozen(t, receivable, span(200, 400))
    cases = (
        ("freeze_not_named", cancel_of(receivable, span(1, 100))),
        ("freeze_not_first", cancel_of(receivable, span(200, 300), second)),
        ("freeze_covers_less", cancel_of(receivable, span(200, 400), first)),
        ("freeze_elsewhere", cancel_of(receivable, span(500, 600), first)),
    )
    for case, operation in cases:
        t.world.do(operation, by=t.auditor, expect=Status.FREEZE_NOT_FIRST, vector=f"parcel.cancel_by_judgment/{case}")
    t.world.do(assign_of(receivable, span(250, 300), t.maker, second), by=t.auditor, expect=Status.FREEZE_NOT_FIRST)
    t.world.do(cancel_of(receivable, span(301, 400), second), by=t.auditor)
    t.world.do(
        assign_of(receivable, span(250, 300), t.maker, first),
        by=t.auditor,
        vector="parcel.assign_by_judgment/executes_a_freeze",
    )
    left = {freeze.id: freeze.parts for freeze in t.world.row(Receivable, receivable).freezes}
    assert left == {first: (span(1, 249),), second: (span(200, 249),)}


def test_what_a_pending_step_holds_is_not_touched(t: Trade) -> None:
    receivable = owed(t)
    offered(t.world, receivable, span(1, FACE), 100, t.supplier, t.maker)
    over = cancel_of(receivable, span(50, 150))
    t.world.do(over, by=t.auditor, expect=Status.PARCEL_LOCKED, vector="parcel.cancel_by_judgment/parcel_locked")
    over_too = assign_of(receivable, span(50, 150), t.funder)
    t.world.do(over_too, by=t.auditor, expect=Status.PARCEL_LOCKED, vector="parcel.assign_by_judgment/parcel_locked")
    t.world.do(cancel_of(receivable, span(101, 150)), by=t.auditor)


def test_reasons_not_to_cancel(t: Trade) -> None:
    receivable = owed(t)
    cases = (
        ("not_found", Status.NOT_FOUND, cancel_of(UNKNOWN, span(1, 2))),
        ("units_not_live", Status.UNITS_NOT_LIVE, cancel_of(receivable, span(FACE, FACE + 1))),
        ("intervals_overlap", Status.INTERVALS_OVERLAP, cancel_of(receivable, span(2, 1))),
    )
    for case, status, operation in cases:
        t.world.do(operation, by=t.auditor, expect=status, vector=f"parcel.cancel_by_judgment/{case}")
    one = cancel_of(receivable, span(1, 2))
    t.world.do(one, by=t.supplier, expect=Status.ROLE_MISSING, vector="parcel.cancel_by_judgment/role_missing")
    t.world.do(one, by=t.auditor)
    t.world.do(one, by=t.auditor, expect=Status.UNITS_NOT_LIVE)


def test_reasons_not_to_assign(t: Trade) -> None:
    receivable = owed(t)
    suspended = t.world.member("Suspended", Role.CLIENT)
    t.world.do(SuspendMember(member=suspended, reason="test"), by=t.auditor)
    units = span(1, 2)
    cases = (
        ("not_found", Status.NOT_FOUND, assign_of(UNKNOWN, units, t.maker)),
        ("units_not_live", Status.UNITS_NOT_LIVE, assign_of(receivable, span(FACE, FACE + 1), t.maker)),
        ("intervals_overlap", Status.INTERVALS_OVERLAP, assign_of(receivable, span(2, 1), t.maker)),
        ("not_a_member", Status.NOT_A_MEMBER, assign_of(receivable, units, "mbr_0000000000000000")),
        ("party_suspended", Status.PARTY_SUSPENDED, assign_of(receivable, units, suspended)),
        ("same_party", Status.SAME_PARTY, assign_of(receivable, units, t.supplier)),
        ("set_off_only", Status.SET_OFF_ONLY, assign_of(receivable, units, t.buyer)),
    )
    for case, status, operation in cases:
        t.world.do(operation, by=t.auditor, expect=status, vector=f"parcel.assign_by_judgment/{case}")
    one = assign_of(receivable, units, t.maker)
    t.world.do(one, by=t.supplier, expect=Status.ROLE_MISSING, vector="parcel.assign_by_judgment/role_missing")


def test_auditors_execute_nothing_on_their_own_units(t: Trade) -> None:
    auditing = t.world.member("Auditing maker", Role.CLIENT, Role.AUDITOR)
    receivable = issued(t.world, t.buyer, auditing, FACE, t.auditor)
    cancel = cancel_of(receivable, span(1, 2))
    t.world.do(cancel, by=auditing, expect=Status.MUST_RECUSE, vector="parcel.cancel_by_judgment/must_recuse")
    assign = assign_of(receivable, span(1, 2), t.maker)
    t.world.do(assign, by=auditing, expect=Status.MUST_RECUSE, vector="parcel.assign_by_judgment/must_recuse")


def test_no_more_parcels_than_the_chain_allows() -> None:
    t = trade(max_parcels=4)
    receivable = owed(t)
    t.world.do(assign_of(receivable, span(101, 200), t.maker), by=t.auditor)
    another = assign_of(receivable, span(301, 400), t.maker)
    t.world.do(
        another, by=t.auditor, expect=Status.TOO_MANY_PARCELS, vector="parcel.assign_by_judgment/too_many_parcels"
    )
