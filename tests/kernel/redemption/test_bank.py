"""Payment through a bank: receipts, each holder's confirmation, denial, silence."""

import datetime

from tallystick.kernel.receivables.freezes import FreezeParcel
from tallystick.kernel.receivables.records import ReceivableState
from tallystick.kernel.redemption.bank import ConfirmPayment, PaymentAnswer
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.receivables import anchor, holdings, offer_of, offered, span
from tests.support.redemption import Debt, debt

NOBODY = "0" * 16


def answer(d: Debt, units: int, said: PaymentAnswer = PaymentAnswer.RECEIVED, **fields: str) -> ConfirmPayment:
    names = {"receivable": d.receivable, "currency": "CNY", **fields}
    return ConfirmPayment(units=Units(units), answer=said, **names)


def test_each_holders_confirmation_retires_its_own_parcel() -> None:
    d = debt()
    d.world.do(d.by_bank(1_000), by=d.buyer, vector="receivable.redeem/by_bank")
    assert d.state is ReceivableState.REDEEMING
    d.world.do(answer(d, 400), by=d.maker, vector="receivable.confirm_payment/received")
    assert holdings(d.world, d.receivable) == [(d.supplier, 401, 1_000)]
    assert d.state is ReceivableState.REDEEMING
    d.world.do(answer(d, 600), by=d.supplier, vector="receivable.confirm_payment/last")
    assert d.state is ReceivableState.REDEEMED
    assert d.redemption is None
    assert d.money() == (0, 0, 0), "no ledger money moved"
    d.check()


def test_silence_is_a_dispute_and_a_late_confirmation_still_counts() -> None:
    d = debt()
    d.fund(5_000)
    d.world.do(d.by_bank(1_000), by=d.buyer)
    d.world.do(answer(d, 400), by=d.maker)
    assert d.redemption is not None
    assert d.redemption.bank is not None
    d.world.wait(until=d.redemption.bank.deadline)
    assert d.redemption.bank is not None, "the window is open at its end"
    d.world.wait(1)
    assert d.redemption.bank is None
    assert d.redemption.disputed == (span(401, 1_000),)
    assert "redemption.disputed" in d.world.told(d.supplier)
    d.to_due_date()
    assert d.money()[0] == 5_000, "nothing is debited by itself for what is disputed"
    d.past_grace()
    assert d.state is ReceivableState.OVERDUE
    d.world.do(answer(d, 600), by=d.supplier, vector="receivable.confirm_payment/late")
    assert d.state is ReceivableState.REDEEMED
    d.check()


def test_a_denial_is_a_dispute_at_once_which_ledger_money_ends() -> None:
    d = debt()
    d.fund(1_000)
    d.world.do(d.by_bank(1_000), by=d.buyer)
    d.world.do(answer(d, 400, PaymentAnswer.DENIED), by=d.maker, vector="receivable.confirm_payment/denied")
    assert d.redemption is not None
    assert d.redemption.disputed == (span(1, 400),)
    d.world.do(answer(d, 600), by=d.supplier)
    assert d.state is ReceivableState.REDEEMING
    d.world.do(d.redeem(400), by=d.buyer)
    assert d.state is ReceivableState.REDEEMED
    assert d.money() == (600, 0, 400)


def test_the_rest_is_paid_in_ledger_money_at_maturity() -> None:
    d = debt()
    d.fund(1_000)
    d.world.do(d.by_bank(100), by=d.buyer)
    d.world.do(answer(d, 60), by=d.supplier)
    d.world.do(answer(d, 40), by=d.maker)
    assert d.state is ReceivableState.VALID
    d.to_due_date()
    assert d.money() == (100, 540, 360)
    assert d.state is ReceivableState.REDEEMED
    d.check()


def test_while_holders_may_still_answer_nothing_is_debited_nor_overdue() -> None:
    d = debt(redemption_receipt_days=10)
    d.fund(1_000)
    assert d.row.pay_at is not None
    d.world.now = d.row.pay_at.plus(-DAY_MS)
    d.world.do(d.by_bank(1_000), by=d.buyer)
    d.to_due_date()
    assert d.money() == (1_000, 0, 0)
    d.past_grace()
    assert d.state is ReceivableState.REDEEMING
    assert d.redemption is not None
    assert d.redemption.bank is not None
    d.world.wait(until=d.redemption.bank.deadline.plus(1))
    assert d.state is ReceivableState.OVERDUE


def test_nothing_is_handed_on_while_a_bank_payment_is_pending() -> None:
    d = debt()
    d.world.do(d.by_bank(1_000), by=d.buyer)
    offer = offer_of(d.world, d.receivable, span(401, 1_000), 600, d.trade.funder)
    d.world.do(offer, by=d.supplier, expect=Status.WRONG_STATE)


def freeze(d: Debt, first: int, last: int) -> FreezeParcel:
    return FreezeParcel(
        receivable=d.receivable,
        interval=span(first, last),
        until_on=datetime.date(2026, 12, 1),
        authority_order=anchor("court_order"),
    )


def test_paying_through_a_bank() -> None:
    d = debt()
    world, name = d.world, "receivable.redeem"
    world.do(d.by_bank(10, receipt=None), by=d.buyer, expect=Status.BAD_VALUE, vector=f"{name}/by_bank_without_receipt")
    world.do(
        d.by_bank(10, account=d.account), by=d.buyer, expect=Status.BAD_VALUE, vector=f"{name}/by_bank_with_account"
    )
    offered(world, d.receivable, span(401, 1_000), 5, d.supplier, d.trade.funder)
    world.do(d.by_bank(10), by=d.buyer, expect=Status.PARCEL_LOCKED, vector=f"{name}/by_bank_parcel_locked")
    world.wait(20 * DAY_MS)
    world.do(freeze(d, 1, 1), by=d.trade.auditor)
    world.do(d.by_bank(10), by=d.buyer, expect=Status.FROZEN, vector=f"{name}/by_bank_frozen")
    other = debt()
    other.world.do(other.by_bank(10), by=other.buyer)
    other.world.do(other.by_bank(10), by=other.buyer, expect=Status.PAYMENT_PENDING, vector=f"{name}/payment_pending")


def test_answering() -> None:
    d = debt()
    world, name = d.world, "receivable.confirm_payment"
    unknown = answer(d, 1, receivable="rcv_" + NOBODY)
    world.do(unknown, by=d.maker, expect=Status.NOT_FOUND, vector=f"{name}/not_found")
    world.do(answer(d, 400), by=d.maker, expect=Status.WRONG_STATE, vector=f"{name}/wrong_state")
    world.do(d.by_bank(1_000), by=d.buyer)
    world.do(
        answer(d, 400),
        by=d.trade.funder,
        expect=Status.RECEIVABLE_NOT_HELD,
        vector=f"{name}/receivable_not_held",
    )
    world.do(answer(d, 399), by=d.maker, expect=Status.AMOUNT_DIFFERS, vector=f"{name}/amount_differs")
    pounds = answer(d, 400, currency="GBP")
    world.do(pounds, by=d.maker, expect=Status.CURRENCY_MISMATCH, vector=f"{name}/currency_mismatch")
    world.do(freeze(d, 400, 401), by=d.trade.auditor)
    world.do(answer(d, 400), by=d.maker, expect=Status.FROZEN, vector=f"{name}/frozen")
    assert d.redemption is not None
    assert d.redemption.bank is not None
    world.now = d.redemption.bank.deadline.plus(1)
    world.do(
        answer(d, 400, PaymentAnswer.DENIED),
        by=d.maker,
        expect=Status.DEADLINE_PASSED,
        vector=f"{name}/deadline_passed",
    )
