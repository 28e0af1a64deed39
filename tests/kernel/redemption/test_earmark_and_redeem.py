"""redemption.earmark, receivable.redeem in ledger money, receivable.set_off."""

import datetime

from tallystick.kernel.accounts.freezes import FreezeAccount
from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.membership.records import Member, MemberState, Role
from tallystick.kernel.membership.standing import SuspendMember
from tallystick.kernel.receivables.freezes import FreezeParcel
from tallystick.kernel.receivables.records import ReceivableState
from tallystick.kernel.receivables.void import VoidReceivable
from tallystick.kernel.redemption.redeem import SetOff
from tallystick.kernel.transfers.records import Transfer, TransferState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.accounts import check_books, held_for, money, opened, stands
from tests.support.receivables import accepted, anchor, holdings, offered, span, transferred
from tests.support.redemption import Debt, debt

NOBODY = "0" * 16


def earmarked(d: Debt) -> int:
    return stands(d.world, f"earmark/{d.bank}/CNY/{d.receivable}")


def test_an_earmark_pays_before_the_account_and_what_is_left_goes_back() -> None:
    d = debt()
    d.fund(1_200)
    d.world.do(d.earmark(700), by=d.buyer, vector="redemption.earmark/set_aside")
    assert (earmarked(d), d.money()[0]) == (700, 500)
    d.to_due_date()
    assert d.money() == (200, 600, 400)
    assert earmarked(d) == 0
    d.check()


def test_an_earmark_for_the_whole_pays_though_the_account_is_frozen() -> None:
    d = debt()
    d.fund(1_000)
    d.world.do(d.earmark(1_000), by=d.buyer)
    freeze = FreezeAccount(account=d.account, currency="CNY", units=Units(9_999), authority_order=anchor("court_order"))
    d.world.do(freeze, by=d.bank)
    d.to_due_date()
    assert d.money() == (0, 600, 400)


def test_an_earmark_may_be_lowered_until_the_due_date_opens() -> None:
    d = debt()
    d.fund(1_000)
    d.world.do(d.earmark(700), by=d.buyer)
    d.world.do(d.earmark(100), by=d.buyer, vector="redemption.earmark/lowered")
    assert (earmarked(d), d.money()[0]) == (100, 900)
    d.world.do(d.earmark(0), by=d.buyer, vector="redemption.earmark/taken_back")
    assert (earmarked(d), d.redemption) == (0, None)
    d.world.do(d.earmark(100), by=d.buyer)
    d.world.do(
        FreezeAccount(account=d.account, currency="CNY", units=Units(900), authority_order=anchor("o")), by=d.bank
    )
    d.to_due_date()
    d.world.do(d.earmark(50), by=d.buyer, expect=Status.EARMARK_BINDING, vector="redemption.earmark/earmark_binding")


def test_an_earmark_after_the_due_date_pays_like_any_funding() -> None:
    d = debt()
    d.to_due_date()
    d.fund(1_000)
    d.world.do(d.earmark(1_000), by=d.buyer)
    d.world.wait()
    assert d.money() == (0, 600, 400)


def test_earmarking() -> None:
    d = debt()
    world, name = d.world, "redemption.earmark"
    d.fund(50)
    unknown = d.earmark(1, receivable="rcv_" + NOBODY)
    world.do(unknown, by=d.buyer, expect=Status.NOT_FOUND, vector=f"{name}/not_found")
    world.do(d.earmark(1), by=d.supplier, expect=Status.NOT_A_PARTY, vector=f"{name}/not_a_party")
    no_account = d.earmark(1, account="acc_" + NOBODY)
    world.do(no_account, by=d.buyer, expect=Status.NOT_FOUND, vector=f"{name}/account_not_found")
    theirs = opened(world, d.trade.funder, d.bank)
    world.do(d.earmark(1, account=theirs), by=d.buyer, expect=Status.NOT_A_PARTY, vector=f"{name}/account_of_another")
    pounds = opened(world, d.buyer, d.bank, "GBP")
    world.do(
        d.earmark(1, account=pounds),
        by=d.buyer,
        expect=Status.CURRENCY_MISMATCH,
        vector=f"{name}/account_in_another_currency",
    )
    world.do(
        d.earmark(1, currency="GBP"), by=d.buyer, expect=Status.CURRENCY_MISMATCH, vector=f"{name}/currency_mismatch"
    )
    world.do(d.earmark(1_001), by=d.buyer, expect=Status.OVER_AVAILABLE, vector=f"{name}/over_available")
    world.do(d.earmark(0), by=d.buyer, expect=Status.BAD_VALUE, vector=f"{name}/bad_value")
    world.do(d.earmark(51), by=d.buyer, expect=Status.INSUFFICIENT_FUNDS, vector=f"{name}/insufficient_funds")
    freeze = FreezeAccount(account=d.account, currency="CNY", units=Units(50), authority_order=anchor("court_order"))
    world.do(freeze, by=d.bank)
    world.do(d.earmark(1), by=d.buyer, expect=Status.ACCOUNT_FROZEN, vector=f"{name}/account_frozen")
    elsewhere = opened(world, d.buyer, world.member("Other bank", Role.CUSTODIAN), units=60)
    world.do(d.earmark(10, account=elsewhere), by=d.buyer)
    world.do(d.earmark(20), by=d.buyer, expect=Status.CUSTODIAN_DIFFERS, vector=f"{name}/custodian_differs")
    closed = opened(world, d.buyer, world.member("Third bank", Role.CUSTODIAN))
    world.do(CloseAccount(account=closed), by=d.buyer)
    world.do(d.earmark(1, account=closed), by=d.buyer, expect=Status.WRONG_STATE, vector=f"{name}/account_not_open")
    d.fund(2_000)
    world.do(d.redeem(1_000, account=d.account), by=d.buyer)
    assert stands(world, f"earmark/{d.bank}/CNY/{d.receivable}") == 0
    assert money(world, d.buyer) == 50 + 60 + 2_000 - 1_000, "the earmark elsewhere went back"
    world.do(d.earmark(1), by=d.buyer, expect=Status.WRONG_STATE, vector=f"{name}/wrong_state")
    check_books(world)


def test_a_void_receivable_gives_its_earmark_back() -> None:
    d = debt(split=False)
    d.fund(500)
    d.world.do(d.earmark(500), by=d.buyer)
    void = VoidReceivable(receivable=d.receivable, reason=anchor("reason"))
    d.world.do(void, by=d.buyer, also=(d.supplier, d.trade.auditor))
    assert (d.money()[0], earmarked(d), d.redemption) == (500, 0, None)


def test_early_redemption_of_the_whole() -> None:
    d = debt()
    d.fund(1_000)
    result = d.world.do(d.redeem(1_000), by=d.buyer, vector="receivable.redeem/whole")
    assert d.money() == (0, 600, 400)
    assert d.state is ReceivableState.REDEEMED
    assert {"receivable.paid", "receivable.redeemed"} <= {event.kind for event in result.events}
    d.check()


def test_an_amount_is_spread_in_proportion_over_the_lowest_units_of_each_parcel() -> None:
    d = debt()
    d.fund(1_000)
    d.world.do(d.redeem(101), by=d.buyer, vector="receivable.redeem/spread")
    assert d.money() == (899, 60, 41)
    assert holdings(d.world, d.receivable) == [(d.maker, 42, 400), (d.supplier, 461, 1_000)]
    assert d.state is ReceivableState.VALID
    assert d.row.outstanding == 899
    d.to_due_date()
    assert d.money() == (0, 600, 400)
    assert d.state is ReceivableState.REDEEMED
    d.check()


def test_early_payment_ends_what_was_pending_on_the_units() -> None:
    d = debt()
    d.fund(1_000)
    offer = offered(d.world, d.receivable, span(401, 1_000), 500, d.supplier, d.trade.funder)
    under_review = accepted(d.world, d.receivable, span(1, 400), 100, d.maker, d.trade.funder)
    d.world.do(d.redeem(10), by=d.buyer)
    assert d.world.row(Transfer, offer).state is TransferState.EXPIRED
    assert d.world.row(Transfer, under_review).state is TransferState.EXPIRED
    assert d.money() == (990, 6, 4)
    offered(d.world, d.receivable, span(407, 1_000), 594, d.supplier, d.trade.funder)
    d.world.do(d.redeem(990), by=d.buyer)
    assert d.money() == (0, 600, 400)
    d.world.wait(40 * DAY_MS)
    d.check()


def test_redeeming() -> None:
    d = debt()
    world, name = d.world, "receivable.redeem"
    unknown = d.redeem(1, receivable="rcv_" + NOBODY)
    world.do(unknown, by=d.buyer, expect=Status.NOT_FOUND, vector=f"{name}/not_found")
    world.do(d.redeem(10), by=d.supplier, expect=Status.NOT_A_PARTY, vector=f"{name}/not_a_party")
    world.do(d.redeem(0), by=d.buyer, expect=Status.AMOUNT_ZERO, vector=f"{name}/amount_zero")
    world.do(d.redeem(1_001), by=d.buyer, expect=Status.OVER_AVAILABLE, vector=f"{name}/over_available")
    world.do(d.redeem(1), by=d.buyer, expect=Status.UNDER_ONE_UNIT_EACH, vector=f"{name}/under_one_unit_each")
    world.do(d.redeem(10), by=d.buyer, expect=Status.INSUFFICIENT_FUNDS, vector=f"{name}/insufficient_funds")
    pounds = d.redeem(10, currency="GBP")
    world.do(pounds, by=d.buyer, expect=Status.CURRENCY_MISMATCH, vector=f"{name}/currency_mismatch")
    world.do(
        d.redeem(10, receipt=anchor("bank_receipt")), by=d.buyer, expect=Status.BAD_VALUE, vector=f"{name}/bad_value"
    )
    d.fund(10)
    freeze = FreezeAccount(account=d.account, currency="CNY", units=Units(1), authority_order=anchor("court_order"))
    world.do(freeze, by=d.bank)
    world.do(d.redeem(10), by=d.buyer, expect=Status.ACCOUNT_FROZEN, vector=f"{name}/account_frozen")
    unknown_account = d.redeem(2, account="acc_" + NOBODY)
    world.do(unknown_account, by=d.buyer, expect=Status.NOT_FOUND, vector=f"{name}/account_not_found")
    d.fund(1_000)
    world.do(d.redeem(1_000), by=d.buyer)
    world.do(d.redeem(10), by=d.buyer, expect=Status.WRONG_STATE, vector=f"{name}/wrong_state")


def test_a_debtor_without_an_account_has_nothing_to_pay_from() -> None:
    d = debt()
    d.world.do(CloseAccount(account=d.account), by=d.buyer)
    d.world.do(d.redeem(10), by=d.buyer, expect=Status.ACCOUNT_MISSING, vector="receivable.redeem/account_missing")
    d.to_due_date()
    assert "receivable.unpaid" in d.world.told(d.buyer)


def test_a_suspended_debtor_still_pays() -> None:
    d = debt()
    d.fund(1_000)
    d.world.do(SuspendMember(member=d.buyer, reason="investigation", order=anchor("order")), by=d.trade.auditor)
    assert d.world.row(Member, d.buyer).state is MemberState.SUSPENDED
    d.world.do(d.redeem(10), by=d.buyer)
    d.to_due_date()
    assert d.money() == (0, 600, 400)


def test_the_debtor_chooses_the_account() -> None:
    d = debt()
    elsewhere = opened(d.world, d.buyer, d.world.member("Other bank", Role.CUSTODIAN), units=1_000)
    d.world.do(d.redeem(1_000, account=elsewhere), by=d.buyer)
    assert held_for(d.world, d.supplier) == 600
    assert held_for(d.world, d.maker) == 400
    check_books(d.world)


def came_home(d: Debt, units: int = 400) -> None:
    """The maker hands its parcel to the debtor itself, which can only be set off."""
    transferred(d.world, d.receivable, span(1, 400), units, d.maker, d.buyer, d.trade.auditor, as_set_off=True)


def set_off(d: Debt, first: int, last: int, units: int, **fields: str) -> SetOff:
    said = {"receivable": d.receivable, "currency": "CNY", **fields}
    return SetOff(parcel=span(first, last), units=Units(units), **said)


def test_set_off_retires_debt_that_the_debtor_holds_itself() -> None:
    d = debt()
    came_home(d)
    d.world.do(set_off(d, 1, 400, 150), by=d.buyer, vector="receivable.set_off/part")
    assert holdings(d.world, d.receivable) == [(d.buyer, 151, 400), (d.supplier, 401, 1_000)]
    d.world.do(set_off(d, 151, 400, 250), by=d.buyer, vector="receivable.set_off/rest")
    assert d.row.outstanding == 600
    d.check()


def test_setting_off() -> None:
    d = debt()
    world, name = d.world, "receivable.set_off"
    unknown = set_off(d, 1, 400, 1, receivable="rcv_" + NOBODY)
    world.do(unknown, by=d.buyer, expect=Status.NOT_FOUND, vector=f"{name}/not_found")
    plain = set_off(d, 1, 400, 1)
    world.do(plain, by=d.maker, expect=Status.NOT_A_PARTY, vector=f"{name}/not_a_party")
    world.do(plain, by=d.buyer, expect=Status.RECEIVABLE_NOT_HELD, vector=f"{name}/receivable_not_held")
    came_home(d)
    pounds = set_off(d, 1, 400, 1, currency="GBP")
    world.do(pounds, by=d.buyer, expect=Status.CURRENCY_MISMATCH, vector=f"{name}/currency_mismatch")
    world.do(set_off(d, 1, 400, 0), by=d.buyer, expect=Status.AMOUNT_ZERO, vector=f"{name}/amount_zero")
    world.do(set_off(d, 1, 400, 401), by=d.buyer, expect=Status.OVER_AVAILABLE, vector=f"{name}/over_available")
    world.do(d.by_bank(10), by=d.buyer)
    world.do(plain, by=d.buyer, expect=Status.PAYMENT_PENDING, vector=f"{name}/payment_pending")
    freeze = FreezeParcel(
        receivable=d.receivable,
        interval=span(1, 400),
        until_on=datetime.date(2026, 5, 1),
        authority_order=anchor("court_order"),
    )
    world.do(freeze, by=d.trade.auditor)
    world.do(plain, by=d.buyer, expect=Status.FROZEN, vector=f"{name}/frozen")
    d.fund(2_000)
    d.world.wait(until=d.world.now.plus(5 * DAY_MS))
    world.do(d.redeem(1_000), by=d.buyer)
    world.do(plain, by=d.buyer, expect=Status.WRONG_STATE, vector=f"{name}/wrong_state")
