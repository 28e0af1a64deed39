"""What a succession does to accounts, holds, claims and a custodian's books."""

import datetime

from tallystick.kernel.accounts.deposits import BookDeposit, Deposit
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.accounts.records import Account
from tallystick.kernel.accounts.reversing import ReverseDeposit
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SucceedMember
from tallystick.kernel.receivables.freezes import FreezeParcel
from tallystick.kernel.receivables.records import ReceivableState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tests.support.accounts import booking, check_books, funded, held_for, money, opened, stands
from tests.support.receivables import anchor, transferred
from tests.support.redemption import debt
from tests.support.world import World


def succeeded(world: World, member: str, successor: str, auditor: str) -> None:
    """An authority's record that `successor` takes `member`'s place."""
    asked = SucceedMember(member=member, successor=successor, order=anchor("register"))
    world.do(asked, by=auditor)


def test_an_account_passes_with_its_money() -> None:
    world = World()
    auditor, bank = world.member("Auditor", Role.AUDITOR), world.member("Bank", Role.CUSTODIAN)
    old, new = world.member("Old", Role.CLIENT), world.member("New", Role.CLIENT)
    account = opened(world, old, bank, units=70)
    succeeded(world, old, new, auditor)
    assert world.row(Account, account).owner == new
    assert (money(world, old), money(world, new)) == (0, 70)
    other = opened(world, world.member("Payee", Role.CLIENT), bank)
    pay = TransferFunds(source=account, target=other, currency="CNY", units=Units(70), subject="goods")
    world.do(pay, by=new)
    check_books(world)


def test_a_debtors_successor_pays_what_fell_due() -> None:
    d = debt()
    d.to_due_date()
    successor = d.world.member("Successor", Role.CLIENT, Role.CORE_ENTERPRISE)
    theirs = opened(d.world, successor, d.bank)
    succeeded(d.world, d.buyer, successor, d.trade.auditor)
    funded(d.world, theirs, 1_000)
    d.world.wait()
    assert d.row.debtor == successor
    assert d.state is ReceivableState.REDEEMED
    assert d.money()[1:] == (600, 400)
    d.check()


def test_money_held_for_a_member_passes_to_its_successor() -> None:
    d = debt(accounts=("supplier",))
    d.fund(1_000)
    d.to_due_date()
    assert held_for(d.world, d.maker) == 400
    successor = d.world.member("Successor", Role.CLIENT)
    opened(d.world, successor, d.bank)
    succeeded(d.world, d.maker, successor, d.trade.auditor)
    assert (held_for(d.world, d.maker), money(d.world, successor)) == (0, 400)
    d.check()


def test_what_is_held_in_the_books_of_a_custodian_that_holds_units_itself_stays_there() -> None:
    d = debt(accounts=("supplier",))
    t, world = d.trade, d.world
    passing = d.row.parcels[1].interval
    transferred(world, d.receivable, passing, 600, d.supplier, d.bank, t.auditor)
    until_on = datetime.date(2026, 8, 31)
    order = anchor("court_order")
    frozen = FreezeParcel(receivable=d.receivable, interval=passing, until_on=until_on, authority_order=order)
    world.do(frozen, by=t.auditor)
    d.fund(1_000)
    d.to_due_date()
    assert d.held() == 600
    successor = world.member("New bank", Role.CUSTODIAN)
    succeeded(world, d.bank, successor, t.auditor)
    assert d.redemption is not None
    assert [(share.holder, share.custodian) for share in d.redemption.held] == [(successor, d.bank)]
    world.wait(200 * DAY_MS)
    assert (d.held(), held_for(world, successor)) == (0, 600)
    d.check()


def test_a_claim_on_a_payer_passes_to_its_successor() -> None:
    world = World()
    auditor, bank = world.member("Auditor", Role.AUDITOR), world.member("Bank", Role.CUSTODIAN)
    old, new = world.member("Old", Role.CLIENT), world.member("New", Role.CLIENT)
    account, payee = opened(world, old, bank), opened(world, world.member("Payee", Role.CLIENT), bank, units=50)
    deposit = funded(world, account, 50)
    world.do(TransferFunds(source=account, target=payee, currency="CNY", units=Units(50), subject="goods"), by=old)
    world.do(ReverseDeposit(deposit=deposit, currency="CNY", units=Units(50), bank_reference="REV-1"), by=bank)
    succeeded(world, old, new, auditor)
    assert stands(world, f"claim/{bank}/CNY/{new}") == 50
    check_books(world)


def test_a_custodians_books_keep_its_name_and_its_successor_signs_for_them() -> None:
    world = World()
    auditor, old = world.member("Auditor", Role.AUDITOR), world.member("Bank", Role.CUSTODIAN)
    new, client = world.member("New bank", Role.CUSTODIAN), world.member("Client", Role.CLIENT)
    account = opened(world, client, old, units=10)
    stray = BookDeposit(bank_reference="STRAY", currency="CNY", units=Units(3))
    suspended = world.do(stray, by=old).events[-1].record
    succeeded(world, old, new, auditor)
    assert world.row(Deposit, suspended).custodian == old
    world.do(booking(world, account, 5), by=new)
    assert money(world, client) == 15
    assert stands(world, f"bank/{old}/CNY") == 18
    world.do(ReverseDeposit(deposit=suspended, currency="CNY", units=Units(3), bank_reference="REV-1"), by=new)
    check_books(world)
