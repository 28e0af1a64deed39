"""Several operations in one transaction, each sound alone: the second must see what the first has done."""

import pytest

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.financing.records import FinancingState
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SuspendMember
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.redemption.redeem import Redeem
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.accounts import booking, check_books, money, opened
from tests.support.financing import market, net_on, registered, request_of, settlement_of
from tests.support.receivables import (
    approval_of,
    confirm_of,
    confirmed,
    holdings,
    issued,
    offer_of,
    requested,
    span,
    trade,
    use,
)
from tests.support.receivables import request_of as receivable_of
from tests.support.redemption import debt


def test_one_parcel_is_offered_and_pledged() -> None:
    m = market(face=1_000)
    offered = offer_of(m.world, m.receivable, m.whole, 600, m.trade.maker)
    m.world.do(offered, request_of(m, 600), by=m.client, expect=Status.PARCEL_LOCKED)
    m.world.do(offered, request_of(m, 400), by=m.client)
    parcel = m.world.row(Receivable, m.receivable).parcels[0]
    assert [lock.interval for lock in parcel.locks] == [span(1, 600), span(601, 1_000)]


@pytest.mark.parametrize("first", [600, 601])
def test_one_receivable_is_redeemed_twice(first: int) -> None:
    d = debt()
    d.fund(2_000)
    status = Status.OK if first == 600 else Status.OVER_AVAILABLE
    d.world.do(d.redeem(first), d.redeem(400), by=d.buyer, expect=status)
    assert sum(d.money()) == 2_000
    check_books(d.world)


def test_one_payment_is_settled_twice() -> None:
    m = market()
    financing = registered(m)
    row = m.financing(financing)
    net = net_on(int(row.face), "5.5", m.world.today(), row.discount_until_on)
    settled = settlement_of(m, financing, net)
    m.world.do(settled, settled, by=m.funder, expect=Status.WRONG_STATE)
    assert m.financing(financing).state is FinancingState.REGISTERED
    m.world.do(settled, by=m.funder)
    m.world.do(settled, by=m.funder, expect=Status.WRONG_STATE)
    assert money(m.world, m.client) == net
    assert holdings(m.world, m.receivable) == [(m.funder, 1, int(m.whole.last))]


def test_one_booking_of_the_bank_counts_twice() -> None:
    t = trade()
    bank = t.world.member("Bank", Role.CUSTODIAN)
    account = opened(t.world, t.buyer, bank)
    lower, upper = (booking(t.world, account, 100, reference=name) for name in ("ref-a", "REF-A"))
    t.world.do(lower, upper, by=bank, expect=Status.BANK_REFERENCE_USED)
    assert money(t.world, t.buyer) == 0


def test_one_invoice_backs_two_requests() -> None:
    t = trade()
    asked: list[Operation] = [
        receivable_of(t.buyer, t.supplier, units, invoices=(use("one", units, total=100),)) for units in (60, 41)
    ]
    t.world.do(*asked, by=t.buyer, expect=Status.OVER_INVOICE)
    assert not any(row.table == "invoice" for row in t.world.state.rows.values())


def test_one_review_is_decided_twice() -> None:
    t = trade()
    receivable = confirmed(t.world, t.buyer, t.supplier, 100)
    vote = approval_of(t.world, receivable)
    t.world.do(vote, vote, by=t.auditor, expect=Status.ALREADY_DECIDED)
    assert t.world.row(Receivable, receivable).valid is None


def test_one_request_is_confirmed_after_its_asker_was_suspended_in_the_same_step() -> None:
    t = trade()
    receivable = requested(t.world, t.buyer, t.supplier, 100)
    suspended = SuspendMember(member=t.buyer, reason="fraud")
    confirm = confirm_of(t.world, receivable)
    t.world.do(suspended, confirm, by=t.auditor, also=(t.supplier,), expect=Status.PARTY_SUSPENDED)
    t.world.do(confirm, suspended, by=t.supplier, also=(t.auditor,))
    row = t.world.row(Receivable, receivable)
    assert row.ended is not None, "the review that the confirmation opened was refused by the suspension"


def test_a_refused_step_leaves_nothing_of_the_steps_before_it() -> None:
    t = trade()
    world = t.world
    bank = world.member("Bank", Role.CUSTODIAN)
    opened(world, t.buyer, bank, units=1_000)
    opened(world, t.supplier, bank)
    receivable = issued(world, t.buyer, t.supplier, 1_000, t.auditor)
    before = dict(world.state.rows)
    paid = Redeem(receivable=receivable, currency="CNY", units=Units(999))
    world.do(paid, paid, by=t.buyer, expect=Status.OVER_AVAILABLE)
    assert world.state.rows == before
