"""Freezes on any part of a receivable, their queue, and their end."""

import datetime

import pytest

from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.freezes import FreezeParcel, UnfreezeParcel
from tallystick.kernel.receivables.records import MAX_FREEZES, Receivable, ReceivableState
from tallystick.kernel.transfers.records import Transfer, TransferState
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.receivables import (
    Trade,
    acceptance_of,
    accepted,
    anchor,
    confirmed,
    holdings,
    issued,
    offer_of,
    offered,
    passing_of,
    span,
    trade,
    transferred,
)

FACE = 1_000
APRIL = datetime.date(2026, 4, 1)


@pytest.fixture
def t() -> Trade:
    return trade()


def owed(t: Trade) -> str:
    return issued(t.world, t.buyer, t.supplier, FACE, t.auditor)


def freeze_of(receivable: str, first: int, last: int, until_on: datetime.date = APRIL) -> FreezeParcel:
    return FreezeParcel(
        receivable=receivable, interval=span(first, last), until_on=until_on, authority_order=anchor("order")
    )


def frozen(t: Trade, receivable: str, first: int, last: int, until_on: datetime.date = APRIL) -> str:
    result = t.world.do(freeze_of(receivable, first, last, until_on), by=t.auditor)
    return str(result.events[0].facts["freeze"])


def unfreeze_of(receivable: str, freeze: str) -> UnfreezeParcel:
    return UnfreezeParcel(receivable=receivable, freeze=freeze, authority_order=anchor("release"))


def test_a_freeze_bars_its_units_and_tells_debtor_and_holders(t: Trade) -> None:
    receivable = owed(t)
    transferred(t.world, receivable, span(1, FACE), 400, t.supplier, t.maker, t.auditor)
    result = t.world.do(freeze_of(receivable, 301, 500), by=t.auditor, vector="parcel.freeze/across_two_holders")
    assert result.events[0].audience == (t.buyer, t.maker, t.supplier)
    assert result.events[0].facts["place"] == 1
    row = t.world.row(Receivable, receivable)
    assert row.freezes[0].until == Instant.parse("2026-04-01T23:59:59.999Z")
    whole = offer_of(t.world, receivable, span(1, 400), 400, t.funder)
    t.world.do(whole, by=t.maker, expect=Status.FROZEN, vector="transfer.request/frozen")
    named = offer_of(t.world, receivable, span(1, 400), 1, t.funder, interval=span(301, 301))
    t.world.do(named, by=t.maker, expect=Status.FROZEN, vector="transfer.request/interval_frozen")
    offered(t.world, receivable, span(1, 400), 300, t.maker, t.funder)


def test_an_amount_goes_around_what_is_frozen(t: Trade) -> None:
    receivable = owed(t)
    frozen(t, receivable, 101, 200)
    transfer = t.world.row(Transfer, offered(t.world, receivable, span(1, FACE), 150, t.supplier, t.maker))
    assert transfer.interval == span(201, 350)


def test_freezes_queue_and_the_next_steps_up(t: Trade) -> None:
    receivable = owed(t)
    first = frozen(t, receivable, 1, 300)
    result = t.world.do(freeze_of(receivable, 200, 400), by=t.second_auditor, vector="parcel.freeze/queued")
    second = str(result.events[0].facts["freeze"])
    assert result.events[0].facts["place"] == 2
    t.world.do(unfreeze_of(receivable, first), by=t.auditor, vector="parcel.unfreeze/first_of_two")
    offer = offer_of(t.world, receivable, span(1, FACE), 1, t.maker, interval=span(250, 250))
    t.world.do(offer, by=t.supplier, expect=Status.FROZEN)
    t.world.do(unfreeze_of(receivable, second), by=t.auditor, vector="parcel.unfreeze/last")
    t.world.do(offer, by=t.supplier)


def test_a_freeze_lapses_after_its_last_day(t: Trade) -> None:
    receivable = owed(t)
    frozen(t, receivable, 1, 10)
    later = frozen(t, receivable, 1, 10, datetime.date(2026, 4, 2))
    offer = offer_of(t.world, receivable, span(1, FACE), 1, t.maker, interval=span(1, 1))
    assert not t.world.wait(until=Instant.parse("2026-04-01T23:59:59.999Z"))
    t.world.do(offer, by=t.supplier, expect=Status.FROZEN)
    events = t.world.wait(until=Instant.parse("2026-04-02T00:00:00.000Z"))
    assert [(event.kind, event.facts["reason"]) for event in events] == [("parcel.unfrozen", "lapsed")]
    assert [freeze.id for freeze in t.world.row(Receivable, receivable).freezes] == [later]
    t.world.now = Instant.parse("2026-04-03T00:00:00.000Z")
    t.world.do(offer, by=t.supplier)  # past its end it binds nobody, even before the due work of its lapse


def test_a_freeze_binds_through_the_last_millisecond_of_its_day(t: Trade) -> None:
    receivable = owed(t)
    frozen(t, receivable, 1, FACE)
    offer = offer_of(t.world, receivable, span(1, FACE), 1, t.maker)
    t.world.now = Instant.parse("2026-04-01T23:59:59.999Z")
    t.world.do(offer, by=t.supplier, expect=Status.FROZEN)
    t.world.now = Instant.parse("2026-04-02T00:00:00.000Z")
    t.world.do(offer, by=t.supplier)


def test_what_is_pending_on_it_fails_at_its_deadline(t: Trade) -> None:
    receivable = owed(t)
    asked = offered(t.world, receivable, span(1, FACE), 100, t.supplier, t.maker)
    reviewed = accepted(t.world, receivable, span(1, FACE), 100, t.supplier, t.funder)
    frozen(t, receivable, 1, 200, datetime.date(2026, 12, 31))
    acceptance = acceptance_of(t.world, asked)
    t.world.do(acceptance, by=t.maker, expect=Status.FROZEN, vector="transfer.accept/frozen")
    approval = passing_of(t.world, reviewed)
    t.world.do(approval, by=t.auditor, expect=Status.FROZEN, vector="review.decide/transfer_frozen")
    t.world.wait(until=Instant(t.world.row(Transfer, asked).deadline + 1))
    t.world.wait(milliseconds=10 * 86_400_000)
    states = [t.world.row(Transfer, each).state for each in (asked, reviewed)]
    assert states == [TransferState.EXPIRED, TransferState.EXPIRED]
    assert holdings(t.world, receivable) == [(t.supplier, 1, FACE)]
    assert t.world.row(Receivable, receivable).parcels[0].locks == ()


def test_reasons_not_to_freeze(t: Trade) -> None:
    receivable = owed(t)
    asked = confirmed(t.world, t.buyer, t.supplier, 500)
    cases = (
        ("not_found", Status.NOT_FOUND, freeze_of("rcv_0000000000000000", 1, 2)),
        ("before_validity", Status.UNITS_NOT_LIVE, freeze_of(asked, 1, 2)),
        ("outside_the_face", Status.UNITS_NOT_LIVE, freeze_of(receivable, FACE, FACE + 1)),
        ("intervals_overlap", Status.INTERVALS_OVERLAP, freeze_of(receivable, 5, 4)),
        ("until_yesterday", Status.BAD_DATES, freeze_of(receivable, 1, 2, datetime.date(2026, 3, 1))),
    )
    for case, status, operation in cases:
        t.world.do(operation, by=t.auditor, expect=status, vector=f"parcel.freeze/{case}")
    one = freeze_of(receivable, 1, 2)
    t.world.do(one, by=t.buyer, expect=Status.ROLE_MISSING, vector="parcel.freeze/role_missing")


def test_an_auditor_that_is_concerned_recuses(t: Trade) -> None:
    auditing_maker = t.world.member("Auditing maker", Role.CLIENT, Role.AUDITOR)
    receivable = issued(t.world, t.buyer, auditing_maker, FACE, t.auditor)
    own = freeze_of(receivable, 1, 2)
    t.world.do(own, by=auditing_maker, expect=Status.MUST_RECUSE, vector="parcel.freeze/must_recuse")
    release = unfreeze_of(receivable, frozen(t, receivable, 1, 2))
    t.world.do(release, by=auditing_maker, expect=Status.MUST_RECUSE, vector="parcel.unfreeze/must_recuse")


def test_the_queue_is_bounded(t: Trade) -> None:
    receivable = owed(t)
    for _ in range(MAX_FREEZES):
        frozen(t, receivable, 1, 1)
    t.world.do(freeze_of(receivable, 1, 1), by=t.auditor, expect=Status.TOO_MANY)


def test_reasons_not_to_unfreeze(t: Trade) -> None:
    receivable = owed(t)
    freeze = frozen(t, receivable, 1, 2)
    elsewhere = unfreeze_of("rcv_0000000000000000", freeze)
    t.world.do(elsewhere, by=t.auditor, expect=Status.NOT_FOUND, vector="parcel.unfreeze/no_receivable")
    never = unfreeze_of(receivable, "frz_0000000000000000")
    t.world.do(never, by=t.auditor, expect=Status.NOT_FOUND, vector="parcel.unfreeze/not_found")
    by_party = unfreeze_of(receivable, freeze)
    t.world.do(by_party, by=t.buyer, expect=Status.ROLE_MISSING, vector="parcel.unfreeze/role_missing")
    assert t.world.row(Receivable, receivable).state is ReceivableState.VALID
