"""Payment through a bank: receipts, each holder's confirmation, denial, silence."""

import datetime
from typing import Any

import pytest

from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.governance.policies import Shortfall
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import DeclareInsolvent
from tallystick.kernel.receivables.freezes import FreezeParcel
from tallystick.kernel.receivables.records import ReceivableState
from tallystick.kernel.redemption.bank import ConfirmPayment, PaymentAnswer
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.accounts import funded, money, opened
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


def awaited_at_the_due_date(**fields: Any) -> Debt:
    """The debtor says, on the day before, that it paid everything through its bank; nobody has answered yet."""
    d = debt(**fields)
    assert d.row.pay_at is not None
    d.world.now = d.row.pay_at.plus(-DAY_MS)
    d.world.do(d.by_bank(1_000), by=d.buyer)
    return d


def silence_ends(d: Debt) -> None:
    """The first block after the holders' window."""
    assert d.redemption is not None
    assert d.redemption.bank is not None
    d.world.wait(until=d.redemption.bank.deadline.plus(1))


def test_while_holders_may_still_answer_nothing_is_debited_nor_overdue() -> None:
    d = awaited_at_the_due_date(redemption_receipt_days=10)
    d.fund(1_000)
    d.to_due_date()
    assert d.money() == (1_000, 0, 0)
    d.past_grace()
    assert d.state is ReceivableState.REDEEMING
    assert d.money() == (1_000, 0, 0)


def test_silence_about_what_is_not_paid_makes_the_debtor_late() -> None:
    d = awaited_at_the_due_date(redemption_receipt_days=10)
    d.fund(999)
    d.to_due_date()
    d.past_grace()
    silence_ends(d)
    assert d.state is ReceivableState.OVERDUE
    assert d.money() == (999, 0, 0)
    d.fund(1)
    d.world.wait()
    assert d.money() == (0, 600, 400), "and it is tried again on each funding, like every other debt"


def test_denied_units_are_paid_from_the_earmark_at_the_due_date() -> None:
    """A debtor can't get at what it set aside by saying, falsely, that it paid another way (ADR 0006)."""
    d = debt()
    d.fund(1_000)
    d.world.do(d.earmark(1_000), by=d.buyer)
    d.world.do(d.by_bank(1_000), by=d.buyer)
    d.world.do(answer(d, 400, PaymentAnswer.DENIED), by=d.maker)
    d.world.do(answer(d, 600, PaymentAnswer.DENIED), by=d.supplier)
    d.to_due_date()
    assert d.money() == (0, 600, 400)
    assert d.state is ReceivableState.REDEEMED
    assert d.redemption is None
    d.check()


def test_denied_units_are_paid_from_the_account_alone_like_all_others() -> None:
    d = debt()
    d.fund(1_500)
    d.world.do(d.by_bank(500), by=d.buyer)
    d.world.do(answer(d, 200, PaymentAnswer.DENIED), by=d.maker)
    d.to_due_date()
    assert d.money() == (500, 600, 400), "what one denied, what the other left unanswered, and what nobody was asked"
    assert d.state is ReceivableState.REDEEMED
    d.check()


def test_denied_units_are_part_of_all_or_nobody() -> None:
    d = debt()
    d.fund(999)
    d.world.do(d.by_bank(500), by=d.buyer)
    d.world.do(answer(d, 200, PaymentAnswer.DENIED), by=d.maker)
    d.to_due_date()
    assert d.money() == (999, 0, 0)
    d.past_grace()
    assert d.state is ReceivableState.OVERDUE


@pytest.mark.parametrize("earmarked", [True, False])
def test_what_is_awaited_at_the_due_date_and_denied_then_is_paid_in_the_next_block(earmarked: bool) -> None:
    d = awaited_at_the_due_date()
    d.fund(1_000)
    if earmarked:
        d.world.do(d.earmark(1_000), by=d.buyer)
    d.to_due_date()
    assert d.redemption is not None
    assert d.redemption.unpaid
    d.world.do(answer(d, 400, PaymentAnswer.DENIED), by=d.maker)
    assert money(d.world, d.maker) == 0, "a holder's answer moves no money of the debtor's; the ledger does, by itself"
    d.world.wait(1)
    assert d.money() == (0 if earmarked else 600, 0, 400)
    d.world.do(answer(d, 600, PaymentAnswer.DENIED), by=d.supplier)
    d.world.wait(1)
    assert d.money() == (0, 600, 400)
    assert d.state is ReceivableState.REDEEMED
    assert d.redemption is None
    d.check()


def test_what_is_awaited_at_the_due_date_and_not_answered_is_paid_when_the_window_has_passed() -> None:
    """In the block that ends the window, so that a debtor whose money is there is never late by it."""
    d = awaited_at_the_due_date()
    d.fund(1_000)
    d.to_due_date()
    d.past_grace()
    assert d.state is ReceivableState.REDEEMING
    silence_ends(d)
    assert d.money() == (0, 600, 400)
    assert d.state is ReceivableState.REDEEMED
    assert d.redemption is None
    assert "receivable.overdue" not in d.world.told(d.supplier)
    d.check()


def test_a_late_confirmation_of_units_that_are_paid_is_refused() -> None:
    d = awaited_at_the_due_date()
    d.fund(400)
    d.world.do(answer(d, 400, PaymentAnswer.DENIED), by=d.maker)
    d.to_due_date()
    assert d.money() == (0, 0, 400)
    d.world.do(answer(d, 400), by=d.maker, expect=Status.RECEIVABLE_NOT_HELD)
    d.fund(600)
    d.world.do(answer(d, 600, PaymentAnswer.DENIED), by=d.supplier)
    d.world.wait(1)
    vector = "receivable.confirm_payment/late_of_paid_units"
    for holder, units in ((d.maker, 400), (d.supplier, 600)):
        d.world.do(answer(d, units), by=holder, expect=Status.WRONG_STATE, vector=vector)
        vector = ""
    assert d.money() == (0, 600, 400)
    assert d.row.redeemed == 1_000
    d.check()


def test_a_new_receipt_never_takes_denied_units_out_from_under_the_payment() -> None:
    """The debtor answers a denial with the next false receipt, in the same block."""
    d = awaited_at_the_due_date()
    d.fund(1_000)
    d.world.do(d.earmark(1_000), by=d.buyer)
    d.to_due_date()
    for holder, units in ((d.maker, 400), (d.supplier, 600)):
        d.world.do(answer(d, units, PaymentAnswer.DENIED), by=holder)
    vector = "receivable.redeem/payment_about_to_be_tried"
    d.world.do(d.by_bank(1_000), by=d.buyer, expect=Status.PAYMENT_PENDING, vector=vector)
    d.world.wait(1)
    assert d.money() == (0, 600, 400)


def test_an_earmark_pays_denied_units_though_its_account_was_closed() -> None:
    """Nothing is funded any more where the debtor keeps no account; the try does not wait for a funding."""
    d = awaited_at_the_due_date()
    d.fund(1_000)
    d.world.do(d.earmark(1_000), by=d.buyer)
    d.world.do(CloseAccount(account=d.account), by=d.buyer)
    d.to_due_date()
    d.world.do(answer(d, 400, PaymentAnswer.DENIED), by=d.maker)
    d.world.wait(1)
    assert money(d.world, d.maker) == 400
    silence_ends(d)
    assert money(d.world, d.supplier) == 600
    assert d.state is ReceivableState.REDEEMED


def test_in_proportion_disputed_units_are_paid_from_one_custodian_after_the_other() -> None:
    """The debtor becomes late in the block of the first payment; the second follows in the next block all the same."""
    d = awaited_at_the_due_date(shortfall=Shortfall.PRO_RATA, redemption_receipt_days=10)
    other = opened(d.world, d.buyer, d.world.member("Other bank", Role.CUSTODIAN))
    d.fund(300)
    funded(d.world, other, 200)
    d.to_due_date()
    d.past_grace()
    silence_ends(d)
    assert d.row.redeemed == 300
    assert d.state is ReceivableState.OVERDUE
    d.world.wait(1)
    assert d.row.redeemed == 500
    assert d.redemption is not None
    assert sorted(d.redemption.disputed, key=lambda part: part.first) == [span(201, 400), span(701, 1_000)], (
        "what is paid is in dispute no more"
    )
    d.world.do(answer(d, 400), by=d.maker, expect=Status.AMOUNT_DIFFERS)
    d.world.do(answer(d, 200), by=d.maker)
    assert holdings(d.world, d.receivable) == [(d.supplier, 701, 1_000)]
    d.world.wait(1)
    assert d.row.pay_at is None
    d.check()


def test_an_insolvent_debtors_denied_units_are_not_paid_by_the_ledger_itself() -> None:
    d = awaited_at_the_due_date()
    d.fund(1_000)
    d.to_due_date()
    d.world.do(DeclareInsolvent(member=d.buyer, order=anchor("court_order")), by=d.trade.auditor)
    d.world.do(answer(d, 400, PaymentAnswer.DENIED), by=d.maker)
    d.world.wait(1)
    assert d.money() == (1_000, 0, 0)
    assert d.row.pay_at is None


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
