"""The due date: payment at its opening and on each funding, overdue after grace, shortfall."""

import datetime

import pytest
from msgspec.structs import replace

from tallystick.kernel.accounts.freezes import FreezeAccount, UnfreezeAccount
from tallystick.kernel.core.fields import Position
from tallystick.kernel.governance.policies import Shortfall
from tallystick.kernel.membership.records import Member, Role
from tallystick.kernel.membership.standing import DeclareInsolvent
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.redemption.maturity import RETRIES
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.accounts import check_books, funded, held_for, money, opened
from tests.support.receivables import anchor, holdings, issued, request_of, span, transferred
from tests.support.redemption import Debt, debt


def test_the_due_date_pays_all_holders_in_the_step_that_retires_their_parcels() -> None:
    d = debt()
    d.fund(1_500)
    assert d.row.pay_at is not None
    d.world.wait(until=d.row.pay_at.plus(-1))
    assert d.money() == (1_500, 0, 0), "nothing is paid before the due date opens"
    d.to_due_date()
    assert d.money() == (500, 600, 400)
    assert d.state is ReceivableState.REDEEMED
    assert d.row.outstanding == 0, "debt is zero after full repayment"
    assert (d.row.pay_at, d.row.overdue_at, d.redemption) == (None, None, None)
    for party in (d.buyer, d.supplier, d.maker):
        assert "receivable.redeemed" in d.world.told(party)
    d.check()


def test_a_short_debtor_pays_nobody_and_each_funding_tries_again() -> None:
    d = debt()
    d.fund(999)
    d.to_due_date()
    assert d.money() == (999, 0, 0)
    assert d.state is ReceivableState.VALID
    assert "receivable.unpaid" in d.world.told(d.buyer)
    d.fund(1)
    assert d.money() == (1_000, 0, 0), "the booking itself pays nothing; the next block does"
    d.world.wait()
    assert d.money() == (0, 600, 400)
    assert d.state is ReceivableState.REDEEMED
    d.check()


def test_overdue_only_in_the_first_block_after_the_due_date_and_grace() -> None:
    d = debt(grace_days=2)
    d.to_due_date()
    assert d.row.overdue_at is not None
    assert d.row.moved_due_on == datetime.date(2026, 6, 30)
    d.world.wait(until=d.row.overdue_at)
    assert d.state is ReceivableState.VALID, "still in time in the last millisecond of grace"
    assert d.world.today() == datetime.date(2026, 7, 2)
    d.world.wait(1)
    assert d.state is ReceivableState.OVERDUE
    for party in (d.buyer, d.supplier, d.maker):
        assert "receivable.overdue" in d.world.told(party)
    assert d.redemption is not None
    assert d.redemption.dishonoured_at == d.world.now


def test_a_late_payment_goes_to_whoever_holds_then_and_clears_the_arrears() -> None:
    d = debt()
    d.to_due_date()
    d.past_grace()
    assert any(row.startswith(f"overdue/{d.buyer}/") for row in d.world.state.index)
    d.fund(1_000)
    d.world.wait()
    assert d.money() == (0, 600, 400)
    assert d.state is ReceivableState.REDEEMED
    assert not any(row.startswith(f"overdue/{d.buyer}/") for row in d.world.state.index)
    d.check()


def test_policy_pro_rata_pays_what_is_there_in_proportion() -> None:
    d = debt(shortfall=Shortfall.PRO_RATA)
    d.fund(101)
    d.to_due_date()
    # 101 x 400/1000 = 40.4 and 101 x 600/1000 = 60.6: floors 40 and 60, the unit left goes to the lower interval.
    assert d.money() == (0, 60, 41)
    assert holdings(d.world, d.receivable) == [(d.maker, 42, 400), (d.supplier, 461, 1_000)]
    assert d.row.outstanding == 899
    d.check()
    d.past_grace()
    assert d.state is ReceivableState.OVERDUE
    d.fund(1_000)
    d.world.wait()
    assert d.money() == (101, 600, 400)
    assert d.state is ReceivableState.REDEEMED
    d.check()


def test_pro_rata_pays_nothing_below_one_unit_for_each_parcel() -> None:
    d = debt(shortfall=Shortfall.PRO_RATA)
    d.fund(1)
    d.to_due_date()
    assert d.money() == (1, 0, 0)


def test_a_holder_without_an_account_is_paid_into_a_hold_and_out_of_it_once() -> None:
    d = debt(accounts=("supplier",))
    d.fund(1_000)
    d.to_due_date()
    assert d.money() == (0, 600, 0)
    assert held_for(d.world, d.maker) == 400
    assert d.state is ReceivableState.REDEEMED
    account = opened(d.world, d.maker, d.bank)
    d.world.wait()
    assert (money(d.world, d.maker), held_for(d.world, d.maker)) == (400, 0)
    d.world.wait(DAY_MS)
    d.world.wait(DAY_MS)
    assert money(d.world, d.maker) == 400, "a hold is never paid twice"
    assert account
    d.check()


def test_a_holder_whose_account_is_at_another_bank_is_paid_into_a_hold() -> None:
    d = debt(accounts=("supplier",))
    other = d.world.member("Other bank", Role.CUSTODIAN)
    opened(d.world, d.maker, other)
    d.fund(1_000)
    d.to_due_date()
    assert (d.money(), held_for(d.world, d.maker)) == ((0, 600, 0), 400)
    check_books(d.world)


def test_one_receivable_that_cannot_be_paid_never_blocks_the_others() -> None:
    d = debt()
    small = issued(d.world, d.buyer, d.supplier, 10, d.trade.auditor)
    d.fund(500)
    d.to_due_date()
    assert d.world.row(Receivable, small).state is ReceivableState.REDEEMED
    assert d.state is ReceivableState.VALID
    later = issued(
        d.world, d.buyer, d.maker, 20, d.trade.auditor, issue_on=d.world.today(), due_on=datetime.date(2026, 7, 10)
    )
    d.past_grace()
    assert d.state is ReceivableState.OVERDUE
    d.world.wait(until=d.world.row(Receivable, later).pay_at)
    assert d.world.row(Receivable, later).state is ReceivableState.REDEEMED
    d.check()


def test_rounds_of_tries_go_past_the_first_batch_of_what_cannot_be_paid() -> None:
    d = debt()
    for n in range(RETRIES + 9):
        issued(d.world, d.buyer, d.supplier, 2_000 + n, d.trade.auditor)
    small = issued(d.world, d.buyer, d.supplier, 10, d.trade.auditor, due_on=datetime.date(2026, 7, 1))
    d.to_due_date()
    d.world.wait(DAY_MS)
    assert d.world.row(Receivable, small).pay_at is None
    d.fund(10)
    d.world.wait(1)
    assert d.world.row(Receivable, small).state is ReceivableState.VALID, "the first round looks at the oldest ones"
    d.world.wait(1)
    assert d.world.row(Receivable, small).state is ReceivableState.REDEEMED
    assert d.money()[0] == 0
    d.check()


def test_frozen_money_does_not_pay_and_unfreezing_is_a_funding() -> None:
    d = debt()
    d.fund(1_000)
    freeze = FreezeAccount(account=d.account, currency="CNY", units=Units(1), authority_order=anchor("court_order"))
    frozen = d.world.do(freeze, by=d.bank).events[0].facts["freeze"]
    d.to_due_date()
    assert d.money() == (1_000, 0, 0)
    lift = UnfreezeAccount(account=d.account, freeze=str(frozen), authority_order=anchor("court_order"))
    d.world.do(lift, by=d.bank)
    d.world.wait()
    assert d.money() == (0, 600, 400)


def test_an_account_opened_after_the_due_date_pays_when_money_comes() -> None:
    d = debt()
    other = d.world.member("Other bank", Role.CUSTODIAN)
    d.to_due_date()
    account = opened(d.world, d.buyer, other)
    funded(d.world, account, 1_000)
    d.world.wait()
    assert d.state is ReceivableState.REDEEMED
    assert held_for(d.world, d.supplier) == 600
    check_books(d.world)


def test_an_insolvent_debtor_pays_nothing_by_itself_and_its_debt_falls_due() -> None:
    d = debt()
    d.fund(2_000)
    finding = DeclareInsolvent(member=d.buyer, order=anchor("court_order"))
    d.world.do(finding, by=d.trade.auditor)
    assert d.world.row(Member, d.buyer).insolvent_since is not None
    d.world.wait()
    assert d.row.pay_at is None
    d.past_grace()
    assert d.state is ReceivableState.OVERDUE
    assert d.money() == (2_000, 0, 0)
    d.world.do(d.redeem(1_000), by=d.buyer)
    assert d.money() == (1_000, 600, 400), "the estate may still pay"


def insolvent(d: Debt) -> None:
    """The authority's finding alone, before the walk through the member's business has reached anything."""
    row = d.world.row(Member, d.buyer)
    d.world.put(replace(row, insolvent_since=Position(d.world.height, 0)))


def test_automatic_payment_stops_even_where_the_walk_has_not_come_yet() -> None:
    d = debt()
    d.fund(1_000)
    insolvent(d)
    d.to_due_date()
    assert d.money() == (1_000, 0, 0)
    assert d.row.pay_at is None


def test_funding_an_insolvent_debtor_pays_nothing_by_itself() -> None:
    d = debt()
    d.to_due_date()
    insolvent(d)
    d.fund(1_000)
    d.world.wait()
    assert d.money() == (1_000, 0, 0)


@pytest.mark.parametrize("count", [31, 40])
def test_many_holders_are_paid_in_one_step(count: int) -> None:
    d = debt(split=False, accounts=("supplier",))
    world = d.world
    names = [world.member(f"Holder {n}", Role.CLIENT) for n in range(count)]
    first = 1
    for n, name in enumerate(names):
        transferred(world, d.receivable, span(first, 1_000), n + 1, d.supplier, name, d.trade.auditor)
        first += n + 1
    d.fund(1_000)
    d.to_due_date()
    assert d.state is ReceivableState.REDEEMED
    assert [held_for(world, name) for name in names] == [n + 1 for n in range(count)]
    assert d.money()[1] == 1_000 - sum(range(1, count + 1))
    d.check()


def test_a_debtor_in_arrears_is_known_to_the_law() -> None:
    d = debt()
    d.to_due_date()
    d.past_grace()
    rows = [row for row in d.world.state.index if row.startswith(f"overdue/{d.buyer}/")]
    assert len(rows) == 1
    asked = request_of(d.buyer, d.supplier, 7, issue_on=d.world.today(), due_on=datetime.date(2026, 12, 1))
    d.world.do(asked, by=d.buyer, expect=Status.OK)
