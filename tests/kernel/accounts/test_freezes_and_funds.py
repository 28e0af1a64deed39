"""account.freeze, .unfreeze, .deduct_by_order, funds.transfer."""

import datetime
from dataclasses import dataclass

import pytest

from tallystick.kernel.accounts.freezes import DeductByOrder, FreezeAccount, UnfreezeAccount
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.accounts.records import Balance
from tallystick.kernel.membership.records import Role
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.accounts import check_books, funded, money, opened
from tests.support.receivables import anchor
from tests.support.world import World

ORDER = anchor("court_order")
NOBODY = "0" * 16


@dataclass(frozen=True)
class Bench:
    """A bank, an owner with 100 in its account, and a payee."""

    world: World
    bank: str
    owner: str
    payee: str
    account: str
    target: str

    def freeze(self, units: int, **fields: object) -> FreezeAccount:
        said = {"account": self.account, "currency": "CNY", "units": Units(units), "authority_order": ORDER, **fields}
        return FreezeAccount(**said)

    def frozen(self, units: int, until_on: datetime.date | None = None) -> str:
        """A freeze in force. Returns its id."""
        result = self.world.do(self.freeze(units, until_on=until_on), by=self.bank)
        return str(result.events[0].facts["freeze"])

    def transfer(self, units: int, **fields: object) -> TransferFunds:
        said = {"source": self.account, "target": self.target, "currency": "CNY", "units": Units(units), **fields}
        return TransferFunds(subject="goods", **said)

    def deduct(self, units: int, **fields: object) -> DeductByOrder:
        said = {"account": self.account, "currency": "CNY", "units": Units(units), "authority_order": ORDER, **fields}
        return DeductByOrder(**{"bank_reference": "DED-1", **said})


@pytest.fixture
def bench() -> Bench:
    world = World()
    bank = world.member("Bank", Role.CUSTODIAN)
    owner, payee = world.member("Owner", Role.CLIENT), world.member("Payee", Role.CLIENT)
    account = opened(world, owner, bank, units=100)
    return Bench(world, bank, owner, payee, account, opened(world, payee, bank))


def test_a_freeze_bars_debits_of_an_amount_only(bench: Bench) -> None:
    world = bench.world
    world.do(bench.freeze(60), by=bench.bank, vector="account.freeze/frozen")
    world.do(bench.transfer(41), by=bench.owner, expect=Status.ACCOUNT_FROZEN, vector="funds.transfer/account_frozen")
    world.do(bench.transfer(40), by=bench.owner, vector="funds.transfer/done")
    funded(world, bench.account, 5)
    world.do(bench.transfer(5), by=bench.owner)
    assert (money(world, bench.owner), money(world, bench.payee)) == (60, 45)


def test_a_freeze_above_the_balance_covers_what_comes_later(bench: Bench) -> None:
    world = bench.world
    bench.frozen(150)
    funded(world, bench.account, 60)
    world.do(bench.transfer(11), by=bench.owner, expect=Status.ACCOUNT_FROZEN)
    world.do(bench.transfer(10), by=bench.owner)


def test_freezes_add_up_and_end_by_order_or_day(bench: Bench) -> None:
    world = bench.world
    first = bench.frozen(50)
    bench.frozen(50, until_on=world.today() + datetime.timedelta(days=1))
    world.do(bench.transfer(1), by=bench.owner, expect=Status.ACCOUNT_FROZEN)
    lift = UnfreezeAccount(account=bench.account, freeze=first, authority_order=ORDER)
    world.do(lift, by=bench.owner, expect=Status.NOT_A_PARTY, vector="account.unfreeze/not_a_party")
    world.do(lift, by=bench.bank, vector="account.unfreeze/unfrozen")
    world.do(lift, by=bench.bank, expect=Status.NOT_FOUND, vector="account.unfreeze/not_found")
    world.do(bench.transfer(50), by=bench.owner)
    world.do(bench.transfer(1), by=bench.owner, expect=Status.ACCOUNT_FROZEN)
    world.wait(2 * DAY_MS)
    assert not world.row(Balance, f"available/{bench.account}").freezes
    world.do(bench.transfer(50), by=bench.owner)


def test_a_freeze_past_its_day_bars_nothing_even_before_due_work(bench: Bench) -> None:
    world = bench.world
    bench.frozen(100, until_on=world.today())
    world.now = world.now.plus(DAY_MS)
    world.do(bench.transfer(100), by=bench.owner)


def test_freezing(bench: Bench) -> None:
    world = bench.world
    unknown = bench.freeze(1, account="acc_" + NOBODY)
    world.do(unknown, by=bench.bank, expect=Status.NOT_FOUND, vector="account.freeze/not_found")
    world.do(bench.freeze(1), by=bench.owner, expect=Status.NOT_A_PARTY, vector="account.freeze/not_a_party")
    world.do(bench.freeze(0), by=bench.bank, expect=Status.AMOUNT_ZERO, vector="account.freeze/amount_zero")
    world.do(
        bench.freeze(1, currency="GBP"),
        by=bench.bank,
        expect=Status.CURRENCY_MISMATCH,
        vector="account.freeze/currency_mismatch",
    )
    yesterday = world.today() - datetime.timedelta(days=1)
    world.do(
        bench.freeze(1, until_on=yesterday), by=bench.bank, expect=Status.BAD_DATES, vector="account.freeze/bad_dates"
    )
    world.do(CloseAccount(account=bench.target), by=bench.payee)
    closed = bench.freeze(1, account=bench.target)
    world.do(closed, by=bench.bank, expect=Status.WRONG_STATE, vector="account.freeze/wrong_state")
    for _ in range(64):
        bench.frozen(1)
    world.do(bench.freeze(1), by=bench.bank, expect=Status.TOO_MANY, vector="account.freeze/too_many")


def test_a_deduction_takes_what_its_freeze_covers_and_not_what_others_do(bench: Bench) -> None:
    world = bench.world
    mine, _other = bench.frozen(60), bench.frozen(30)
    world.do(
        bench.deduct(71, freeze=mine),
        by=bench.bank,
        expect=Status.ACCOUNT_FROZEN,
        vector="account.deduct_by_order/account_frozen",
    )
    world.do(bench.deduct(50, freeze=mine), by=bench.bank, vector="account.deduct_by_order/deducted")
    assert [int(freeze.units) for freeze in world.row(Balance, f"available/{bench.account}").freezes] == [10, 30]
    assert money(world, bench.owner) == 50
    check_books(world)
    world.do(
        bench.deduct(5, freeze=mine),
        by=bench.bank,
        expect=Status.BANK_REFERENCE_USED,
        vector="account.deduct_by_order/bank_reference_used",
    )
    world.do(bench.deduct(20, freeze=mine, bank_reference="DED-2"), by=bench.bank)
    assert [int(freeze.units) for freeze in world.row(Balance, f"available/{bench.account}").freezes] == [30]


def test_deducting(bench: Bench) -> None:
    world = bench.world
    name = "account.deduct_by_order"
    unknown = bench.deduct(1, account="acc_" + NOBODY)
    world.do(unknown, by=bench.bank, expect=Status.NOT_FOUND, vector=f"{name}/not_found")
    world.do(bench.deduct(1), by=bench.owner, expect=Status.NOT_A_PARTY, vector=f"{name}/not_a_party")
    world.do(
        bench.deduct(1, freeze="frz_" + NOBODY),
        by=bench.bank,
        expect=Status.NOT_FOUND,
        vector=f"{name}/freeze_not_found",
    )
    world.do(
        bench.deduct(1, currency="GBP"),
        by=bench.bank,
        expect=Status.CURRENCY_MISMATCH,
        vector=f"{name}/currency_mismatch",
    )
    world.do(bench.deduct(0), by=bench.bank, expect=Status.AMOUNT_ZERO, vector=f"{name}/amount_zero")
    world.do(bench.deduct(101), by=bench.bank, expect=Status.INSUFFICIENT_FUNDS, vector=f"{name}/insufficient_funds")
    world.do(CloseAccount(account=bench.target), by=bench.payee)
    closed = bench.deduct(1, account=bench.target)
    world.do(closed, by=bench.bank, expect=Status.WRONG_STATE, vector=f"{name}/wrong_state")


def test_transferring_funds(bench: Bench) -> None:
    world = bench.world
    name = "funds.transfer"
    world.do(
        bench.transfer(1, source="acc_" + NOBODY),
        by=bench.owner,
        expect=Status.NOT_FOUND,
        vector=f"{name}/source_not_found",
    )
    world.do(
        bench.transfer(1, target="acc_" + NOBODY),
        by=bench.owner,
        expect=Status.NOT_FOUND,
        vector=f"{name}/target_not_found",
    )
    world.do(bench.transfer(1), by=bench.payee, expect=Status.NOT_A_PARTY, vector=f"{name}/not_a_party")
    world.do(
        bench.transfer(1, target=bench.account), by=bench.owner, expect=Status.SAME_PARTY, vector=f"{name}/same_party"
    )
    world.do(bench.transfer(0), by=bench.owner, expect=Status.AMOUNT_ZERO, vector=f"{name}/amount_zero")
    world.do(bench.transfer(101), by=bench.owner, expect=Status.INSUFFICIENT_FUNDS, vector=f"{name}/insufficient_funds")
    pounds = opened(world, bench.payee, bench.bank, "GBP")
    world.do(
        bench.transfer(1, target=pounds),
        by=bench.owner,
        expect=Status.CURRENCY_MISMATCH,
        vector=f"{name}/currency_mismatch",
    )
    elsewhere = opened(world, bench.payee, world.member("Other bank", Role.CUSTODIAN))
    world.do(
        bench.transfer(1, target=elsewhere),
        by=bench.owner,
        expect=Status.CUSTODIAN_DIFFERS,
        vector=f"{name}/custodian_differs",
    )
    world.do(CloseAccount(account=bench.target), by=bench.payee)
    world.do(bench.transfer(1), by=bench.owner, expect=Status.WRONG_STATE, vector=f"{name}/wrong_state")
