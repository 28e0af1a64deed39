"""Frozen units that fell due: their money waits, and unfreezing, a lapse or a judgment says whose it is."""

import datetime

import pytest

from tallystick.kernel.core.fields import Interval
from tallystick.kernel.receivables.freezes import FreezeParcel, UnfreezeParcel
from tallystick.kernel.receivables.judgments import AssignByJudgment, CancelByJudgment
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.receivables.void import VoidReceivable
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.receivables import anchor, span
from tests.support.redemption import Debt, debt

LONG = datetime.date(2026, 12, 31)
JUDGMENT = anchor("judgment")


@pytest.fixture
def d() -> Debt:
    """Units 1..400 are the maker's, 401..1,000 the supplier's; the buyer has the money."""
    made = debt()
    made.fund(1_000)
    return made


def freeze(d: Debt, interval: Interval, until_on: datetime.date = LONG) -> str:
    operation = FreezeParcel(
        receivable=d.receivable, interval=interval, until_on=until_on, authority_order=anchor("order")
    )
    return str(d.world.do(operation, by=d.trade.auditor).events[0].facts["freeze"])


def test_unfreezing_pays_out_what_waited(d: Debt) -> None:
    order = freeze(d, span(301, 500))
    d.to_due_date()
    assert (d.state, d.held(), d.money()) == (ReceivableState.REDEEMED, 200, (0, 500, 300))
    release = UnfreezeParcel(receivable=d.receivable, freeze=order, authority_order=anchor("release"))
    d.world.do(release, by=d.trade.auditor, vector="parcel.unfreeze/pays_out_held_money")
    assert (d.held(), d.money()) == (0, (0, 600, 400))
    d.check()


def test_a_queued_freeze_keeps_it_until_its_own_end(d: Debt) -> None:
    first = freeze(d, span(1, 100))
    freeze(d, span(51, 150), datetime.date(2026, 8, 31))
    d.to_due_date()
    assert d.held() == 150
    release = UnfreezeParcel(receivable=d.receivable, freeze=first, authority_order=anchor("release"))
    d.world.do(release, by=d.trade.auditor)
    assert d.held() == 100
    d.world.wait(until=Instant.parse("2026-09-01T00:00:00.000Z"))
    assert (d.held(), d.money()) == (0, (0, 600, 400))
    d.check()


def test_a_judgment_assigns_money_that_waits(d: Debt) -> None:
    order = freeze(d, span(301, 500))
    d.to_due_date()
    judgment = AssignByJudgment(
        receivable=d.receivable, interval=span(301, 500), to=d.supplier, judgment=JUDGMENT, freeze=order
    )
    d.world.do(judgment, by=d.trade.auditor, vector="parcel.assign_by_judgment/money_that_waits")
    assert (d.held(), d.money()) == (0, (0, 700, 300))
    assert d.world.row(Receivable, d.receivable).freezes == ()
    d.check()


def test_a_judgment_gives_money_that_waits_back_to_the_debtor(d: Debt) -> None:
    order = freeze(d, span(301, 500))
    d.to_due_date()
    judgment = CancelByJudgment(receivable=d.receivable, interval=span(351, 500), judgment=JUDGMENT, freeze=order)
    d.world.do(judgment, by=d.trade.auditor, vector="parcel.cancel_by_judgment/money_that_waits")
    assert (d.held(), d.money()) == (50, (150, 500, 300))
    assert d.state is ReceivableState.REDEEMED
    d.check()


def test_money_that_was_paid_out_is_beyond_a_freeze_and_a_judgment(d: Debt) -> None:
    d.to_due_date()
    late = FreezeParcel(receivable=d.receivable, interval=span(1, 10), until_on=LONG, authority_order=anchor("order"))
    d.world.do(late, by=d.trade.auditor, expect=Status.UNITS_NOT_LIVE)
    cancel = CancelByJudgment(receivable=d.receivable, interval=span(1, 10), judgment=JUDGMENT)
    d.world.do(cancel, by=d.trade.auditor, expect=Status.UNITS_NOT_LIVE)


def test_the_last_live_units_end_by_a_judgment_and_the_earmark_goes_back(d: Debt) -> None:
    d.world.do(d.earmark(700), by=d.buyer)
    judgment = CancelByJudgment(receivable=d.receivable, interval=span(1, 1_000), judgment=JUDGMENT)
    events = d.world.do(judgment, by=d.trade.auditor).events
    kinds = [event.kind for event in events if event.kind != "account.posted"]
    assert kinds == ["parcel.cancelled", "receivable.closed", "redemption.earmark_returned"]
    assert (d.state, d.money()) == (ReceivableState.CLOSED, (1_000, 0, 0))
    d.check()


def test_voiding_gives_the_earmark_back() -> None:
    d = debt(split=False)
    d.fund(1_000)
    d.world.do(d.earmark(700), by=d.buyer)
    void = VoidReceivable(receivable=d.receivable, reason=anchor("agreement"))
    d.world.do(void, by=d.buyer, also=(d.supplier, d.trade.auditor), vector="receivable.void/earmark_returned")
    assert d.money() == (1_000, 0, 0)
    assert not d.world.wait(until=Instant.parse("2026-07-15T00:00:00.000Z"))
