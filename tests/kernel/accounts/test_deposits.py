"""deposit.announce, .book, .assign, .return, .reverse."""

from dataclasses import dataclass

import pytest

from tallystick.kernel.accounts.deposits import AnnounceDeposit, AssignDeposit, BookDeposit, Deposit, DepositState
from tallystick.kernel.accounts.freezes import DeductByOrder
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.accounts.reversing import ReturnDeposit, ReverseDeposit
from tallystick.kernel.membership.records import Role
from tallystick.wire.amounts import MAX_UNITS, ZERO, Units
from tallystick.wire.status import Status
from tests.support.accounts import booking, check_books, funded, money, opened, stands
from tests.support.receivables import anchor
from tests.support.world import World

NOBODY = "0" * 16


@dataclass(frozen=True)
class Bench:
    """A bank, a payer and a payee, each with an account."""

    world: World
    bank: str
    payer: str
    payee: str
    account: str
    payee_account: str

    @property
    def suspense(self) -> int:
        return stands(self.world, f"suspense/{self.bank}/CNY")

    @property
    def mirror(self) -> int:
        return stands(self.world, f"bank/{self.bank}/CNY")

    @property
    def claim(self) -> int:
        return stands(self.world, f"claim/{self.bank}/CNY/{self.payer}")

    def announce(self, units: int) -> Deposit:
        """The payer's announcement."""
        asked = AnnounceDeposit(account=self.account, currency="CNY", units=Units(units))
        record = self.world.do(asked, by=self.payer).events[0].record
        row: Deposit = self.world.row(Deposit, record)
        return row

    def in_suspense(self, units: int) -> str:
        """Money that nobody could be named for. Returns the deposit's id."""
        stray = BookDeposit(bank_reference=f"STRAY-{self.world.height}", currency="CNY", units=Units(units))
        return self.world.do(stray, by=self.bank).events[-1].record


@pytest.fixture
def bench() -> Bench:
    world = World()
    bank = world.member("Bank", Role.CUSTODIAN)
    payer, payee = world.member("Payer", Role.CLIENT), world.member("Payee", Role.CLIENT)
    return Bench(
        world,
        bank,
        payer,
        payee,
        account=opened(world, payer, bank),
        payee_account=opened(world, payee, bank),
    )


def test_an_announced_deposit_is_recognised_by_its_code(bench: Bench) -> None:
    world = bench.world
    result = world.do(
        AnnounceDeposit(account=bench.account, currency="CNY", units=Units(500)),
        by=bench.payer,
        vector="deposit.announce/announced",
    )
    deposit = world.row(Deposit, result.events[0].record)
    assert result.events[0].facts["code"] == deposit.code
    book = BookDeposit(
        bank_reference="2026030200017", currency="CNY", units=Units(500), remitter=bench.payer, code=deposit.code
    )
    result = world.do(book, by=bench.bank, vector="deposit.book/by_code")
    assert result.events[-1].facts["match"] == "as_announced"
    assert world.row(Deposit, deposit.id).state is DepositState.BOOKED
    assert (money(world, bench.payer), bench.mirror) == (500, 500)
    check_books(world)


@pytest.mark.parametrize(("came", "match"), [(400, "short"), (600, "over")])
def test_more_or_less_than_announced_goes_to_the_payer(bench: Bench, came: int, match: str) -> None:
    world = bench.world
    deposit = bench.announce(500)
    book = booking(world, bench.account, came, account=None, code=deposit.code)
    result = world.do(book, by=bench.bank, vector=f"deposit.book/{match}")
    assert result.events[-1].facts["match"] == match
    assert money(world, bench.payer) == came


def test_a_second_payment_under_the_same_code_is_booked_too(bench: Bench) -> None:
    world = bench.world
    deposit = bench.announce(500)
    for _ in range(2):
        world.do(booking(world, bench.account, 500, account=None, code=deposit.code), by=bench.bank)
    assert money(world, bench.payer) == 1_000
    check_books(world)


def test_an_announcement_lapses_and_late_money_is_still_recognised(bench: Bench) -> None:
    world = bench.world
    deposit = bench.announce(500)
    assert deposit.deadline is not None
    world.wait(until=deposit.deadline)
    assert world.row(Deposit, deposit.id).state is DepositState.ANNOUNCED, "a window is open at its end"
    world.wait(1)
    assert world.row(Deposit, deposit.id).state is DepositState.LAPSED
    world.do(booking(world, bench.account, 500, account=None, code=deposit.code), by=bench.bank)
    assert money(world, bench.payer) == 500


def test_announcing(bench: Bench) -> None:
    world = bench.world

    def said(**fields: object) -> AnnounceDeposit:
        return AnnounceDeposit(**{"account": bench.account, "currency": "CNY", "units": Units(1), **fields})

    world.do(
        said(account="acc_" + NOBODY), by=bench.payer, expect=Status.NOT_FOUND, vector="deposit.announce/not_found"
    )
    world.do(said(), by=bench.payee, expect=Status.NOT_A_PARTY, vector="deposit.announce/not_a_party")
    world.do(
        said(currency="GBP"),
        by=bench.payer,
        expect=Status.CURRENCY_MISMATCH,
        vector="deposit.announce/currency_mismatch",
    )
    world.do(said(units=ZERO), by=bench.payer, expect=Status.AMOUNT_ZERO, vector="deposit.announce/amount_zero")
    world.do(CloseAccount(account=bench.account), by=bench.payer)
    world.do(said(), by=bench.payer, expect=Status.WRONG_STATE, vector="deposit.announce/wrong_state")


def test_money_is_booked_to_suspense_where_nobody_can_be_named(bench: Bench) -> None:
    world = bench.world
    unidentified = BookDeposit(bank_reference="S-1", currency="CNY", units=Units(70))
    result = world.do(unidentified, by=bench.bank, vector="deposit.book/unidentified")
    assert result.events[-1].facts["reason"] == "unidentified"
    another = booking(world, bench.account, 30, "S-2", remitter=bench.payee)
    result = world.do(another, by=bench.bank, vector="deposit.book/another_remitter")
    assert result.events[-1].facts["reason"] == "another_remitter"
    world.do(CloseAccount(account=bench.payee_account), by=bench.payee)
    closed = booking(world, bench.payee_account, 5, "S-3")
    result = world.do(closed, by=bench.bank, vector="deposit.book/account_not_open")
    assert result.events[-1].facts["reason"] == "account_not_open"
    unknown = booking(world, bench.account, 7, "S-4", account=None, code="0123456789ABCDEF")
    world.do(unknown, by=bench.bank)
    assert (bench.suspense, money(world, bench.payer)) == (112, 0)
    check_books(world)


def test_a_bank_reference_is_booked_once_for_ever(bench: Bench) -> None:
    world = bench.world
    world.do(booking(world, bench.account, 100, "Ref/7a"), by=bench.bank)
    again = booking(world, bench.account, 100, "Ref/7a")
    world.do(again, by=bench.bank, expect=Status.BANK_REFERENCE_USED, vector="deposit.book/bank_reference_used")
    spelt = booking(world, bench.account, 100, "REF/7A")
    world.do(spelt, by=bench.bank, expect=Status.BANK_REFERENCE_USED)
    deposit = bench.in_suspense(40)
    back = ReturnDeposit(deposit=deposit, currency="CNY", units=Units(40), bank_reference="REF/7a")
    world.do(back, by=bench.bank, expect=Status.BANK_REFERENCE_USED, vector="deposit.return/bank_reference_used")
    undo = ReverseDeposit(deposit=deposit, currency="CNY", units=Units(40), bank_reference="REF/7a")
    world.do(undo, by=bench.bank, expect=Status.BANK_REFERENCE_USED, vector="deposit.reverse/bank_reference_used")
    other_bank = world.member("Other bank", Role.CUSTODIAN)
    other_account = opened(world, bench.payer, other_bank)
    world.do(booking(world, other_account, 100, "Ref/7a"), by=other_bank)


def test_booking(bench: Bench) -> None:
    world = bench.world
    plain = booking(world, bench.account, 1)
    world.do(plain, by=bench.payer, expect=Status.ROLE_MISSING, vector="deposit.book/role_missing")
    world.do(
        booking(world, bench.account, 0), by=bench.bank, expect=Status.AMOUNT_ZERO, vector="deposit.book/amount_zero"
    )
    world.do(
        booking(world, bench.account, 1, currency="XAU"),
        by=bench.bank,
        expect=Status.UNKNOWN_CURRENCY,
        vector="deposit.book/unknown_currency",
    )
    world.do(booking(world, bench.account, MAX_UNITS), by=bench.bank)
    world.do(plain, by=bench.bank, expect=Status.AMOUNT_OVERFLOW, vector="deposit.book/amount_overflow")


def test_what_members_owe_after_reversals_takes_room_in_the_books(bench: Bench) -> None:
    world = bench.world
    deposit = funded(world, bench.account, MAX_UNITS)
    spend = TransferFunds(
        source=bench.account, target=bench.payee_account, currency="CNY", units=Units(MAX_UNITS), subject="goods"
    )
    world.do(spend, by=bench.payer)
    world.do(reversal(deposit, MAX_UNITS), by=bench.bank)
    assert (bench.mirror, bench.claim) == (0, MAX_UNITS)
    more = booking(world, bench.payee_account, 1)
    world.do(more, by=bench.bank, expect=Status.AMOUNT_OVERFLOW, vector="deposit.book/amount_overflow_beside_a_claim")
    check_books(world)


def test_suspense_is_assigned_by_custodian_and_payer_together(bench: Bench) -> None:
    world = bench.world
    deposit = bench.in_suspense(90)

    def assign(**fields: object) -> AssignDeposit:
        said = {"deposit": deposit, "account": bench.account, "currency": "CNY", "units": Units(90), **fields}
        return AssignDeposit(**said)

    world.do(assign(), by=bench.bank, expect=Status.NOT_A_PARTY, vector="deposit.assign/not_a_party")
    both = {"by": bench.bank, "also": (bench.payer,)}
    world.do(
        assign(deposit="dep_" + NOBODY), **both, expect=Status.NOT_FOUND, vector="deposit.assign/deposit_not_found"
    )
    world.do(
        assign(account="acc_" + NOBODY), **both, expect=Status.NOT_FOUND, vector="deposit.assign/account_not_found"
    )
    world.do(assign(units=Units(91)), **both, expect=Status.AMOUNT_DIFFERS, vector="deposit.assign/amount_differs")
    world.do(assign(currency="GBP"), **both, expect=Status.CURRENCY_MISMATCH, vector="deposit.assign/currency_mismatch")
    pounds = opened(world, bench.payer, bench.bank, "GBP")
    world.do(assign(account=pounds), **both, expect=Status.CURRENCY_MISMATCH, vector="deposit.assign/other_currency")
    other_bank = world.member("Other bank", Role.CUSTODIAN)
    elsewhere = opened(world, bench.payer, other_bank)
    world.do(
        assign(account=elsewhere), **both, expect=Status.CUSTODIAN_DIFFERS, vector="deposit.assign/custodian_differs"
    )
    pounds_closed = CloseAccount(account=pounds)
    world.do(pounds_closed, by=bench.payer)
    world.do(assign(account=pounds), **both, expect=Status.WRONG_STATE, vector="deposit.assign/account_not_open")
    world.do(assign(), **both, vector="deposit.assign/assigned")
    assert (bench.suspense, money(world, bench.payer)) == (0, 90)
    world.do(assign(), **both, expect=Status.WRONG_STATE, vector="deposit.assign/wrong_state")
    check_books(world)


def test_suspense_goes_back_to_the_remitter(bench: Bench) -> None:
    world = bench.world
    deposit = bench.in_suspense(90)

    def back(**fields: object) -> ReturnDeposit:
        said = {"deposit": deposit, "currency": "CNY", "units": Units(90), "bank_reference": "OUT-1", **fields}
        return ReturnDeposit(**said)

    world.do(back(deposit="dep_" + NOBODY), by=bench.bank, expect=Status.NOT_FOUND, vector="deposit.return/not_found")
    world.do(back(), by=bench.payer, expect=Status.NOT_A_PARTY, vector="deposit.return/not_a_party")
    world.do(back(units=Units(9)), by=bench.bank, expect=Status.AMOUNT_DIFFERS, vector="deposit.return/amount_differs")
    world.do(
        back(currency="GBP"), by=bench.bank, expect=Status.CURRENCY_MISMATCH, vector="deposit.return/currency_mismatch"
    )
    world.do(back(), by=bench.bank, vector="deposit.return/returned")
    assert (bench.suspense, bench.mirror) == (0, 0)
    world.do(
        back(bank_reference="OUT-2"), by=bench.bank, expect=Status.WRONG_STATE, vector="deposit.return/wrong_state"
    )


def reversal(deposit: str, units: int, reference: str = "REV-1", currency: str = "CNY") -> ReverseDeposit:
    return ReverseDeposit(deposit=deposit, currency=currency, units=Units(units), bank_reference=reference)


def test_a_reversal_takes_suspense_first(bench: Bench) -> None:
    world = bench.world
    deposit = bench.in_suspense(90)
    world.do(reversal(deposit, 90), by=bench.bank, vector="deposit.reverse/from_suspense")
    assert (bench.suspense, bench.mirror, bench.claim) == (0, 0, 0)
    check_books(world)


def test_a_reversal_claims_from_the_payer_what_it_spent_and_never_from_the_payee(bench: Bench) -> None:
    world = bench.world
    deposit = funded(world, bench.account, 100)
    funded(world, bench.payee_account, 51)
    spend = TransferFunds(
        source=bench.account, target=bench.payee_account, currency="CNY", units=Units(80), subject="goods"
    )
    world.do(spend, by=bench.payer)
    world.do(reversal(deposit, 100), by=bench.bank, vector="deposit.reverse/with_a_claim")
    assert money(world, bench.payer) == 0
    assert money(world, bench.payee) == 131, "the payee keeps what it was paid"
    assert bench.claim == 80
    check_books(world)
    world.do(
        CloseAccount(account=bench.account),
        by=bench.payer,
        expect=Status.ACCOUNT_NOT_EMPTY,
        vector="account.close/claimed",
    )
    world.do(booking(world, bench.account, 100), by=bench.bank, vector="deposit.book/settles_a_claim")
    assert (money(world, bench.payer), bench.claim) == (20, 0)
    check_books(world)


def test_a_mirror_does_not_fall_below_zero(bench: Bench) -> None:
    world = bench.world
    deposit = funded(world, bench.account, 100)
    deduct = DeductByOrder(
        account=bench.account,
        currency="CNY",
        units=Units(60),
        authority_order=anchor("court_order"),
        bank_reference="DED-1",
    )
    world.do(deduct, by=bench.bank)
    world.do(
        reversal(deposit, 100),
        by=bench.bank,
        expect=Status.INSUFFICIENT_FUNDS,
        vector="deposit.reverse/insufficient_funds",
    )


def test_reversing(bench: Bench) -> None:
    world = bench.world
    deposit = funded(world, bench.account, 100)
    world.do(reversal("dep_" + NOBODY, 1), by=bench.bank, expect=Status.NOT_FOUND, vector="deposit.reverse/not_found")
    world.do(reversal(deposit, 100), by=bench.payer, expect=Status.NOT_A_PARTY, vector="deposit.reverse/not_a_party")
    world.do(
        reversal(deposit, 99), by=bench.bank, expect=Status.AMOUNT_DIFFERS, vector="deposit.reverse/amount_differs"
    )
    world.do(
        reversal(deposit, 100, currency="GBP"),
        by=bench.bank,
        expect=Status.CURRENCY_MISMATCH,
        vector="deposit.reverse/currency_mismatch",
    )
    world.do(reversal(deposit, 100), by=bench.bank, vector="deposit.reverse/from_the_account")
    world.do(
        reversal(deposit, 100, "REV-2"), by=bench.bank, expect=Status.WRONG_STATE, vector="deposit.reverse/wrong_state"
    )
    assert (money(world, bench.payer), bench.mirror) == (0, 0)
