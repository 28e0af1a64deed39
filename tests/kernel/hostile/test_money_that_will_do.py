"""A debt that fell due must not go late with its money there, whatever made it smaller after it was first tried."""

import pytest

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.receivables.judgments import CancelByJudgment
from tallystick.kernel.receivables.records import ReceivableState
from tallystick.kernel.recourse.claims import WriteOff
from tests.support.receivables import anchor, span
from tests.support.redemption import Debt, debt


def short_of_money() -> Debt:
    """600 of the 1,000 that fell due are there."""
    d = debt()
    d.fund(600)
    d.to_due_date()
    assert d.state is ReceivableState.VALID
    return d


def test_the_rest_is_paid_through_a_bank() -> None:
    d = short_of_money()
    d.world.do(d.by_bank(400), by=d.buyer)
    d.world.wait(1)
    assert d.money() == (0, 360, 240)
    d.check()


@pytest.mark.parametrize("overdue", [False, True])
def test_the_rest_is_cancelled_or_given_up(overdue: bool) -> None:
    d = short_of_money()
    step: Operation = CancelByJudgment(receivable=d.receivable, interval=span(1, 400), judgment=anchor("judgment"))
    by = d.trade.auditor
    if overdue:
        d.past_grace()
        step, by = WriteOff(receivable=d.receivable, parcel=span(1, 400)), d.maker
    d.world.do(step, by=by)
    d.world.wait(1)
    assert d.money() == (0, 600, 0)
    assert d.row.outstanding == 0
    d.check()


def test_a_part_is_paid_by_hand_from_another_account() -> None:
    """What is left is then tried again by itself."""
    d = short_of_money()
    d.fund(100)
    d.world.do(d.redeem(300), by=d.buyer)
    d.world.wait(1)
    assert d.row.outstanding == 700
    d.fund(300)
    d.world.wait(1)
    assert d.state is ReceivableState.REDEEMED
    d.check()
