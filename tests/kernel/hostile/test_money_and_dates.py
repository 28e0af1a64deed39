"""Attempts to make the ledger's own code fail: money that is not at the bank, the last of days, time that jumps."""

import datetime

from tallystick.kernel.accounts.deposits import BookDeposit
from tallystick.kernel.accounts.freezes import DeductByOrder, FreezeAccount
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.accounts.reversing import ReturnDeposit, ReverseDeposit
from tallystick.kernel.chain_rows import Clock
from tallystick.kernel.governance.operations import MAX_ADVANCE_MS, AdvanceClock
from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.freezes import FreezeParcel
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.accounts import check_books, funded, opened
from tests.support.receivables import anchor, issued, span, trade
from tests.support.world import World


def test_a_freeze_to_the_last_of_days() -> None:
    t = trade()
    receivable = issued(t.world, t.buyer, t.supplier, 100, t.auditor)
    frozen = FreezeParcel(
        receivable=receivable, interval=span(1, 100), until_on=datetime.date.max, authority_order=anchor("order")
    )
    t.world.do(frozen, by=t.auditor)
    bank = t.world.member("Bank", Role.CUSTODIAN)
    account = opened(t.world, t.buyer, bank)
    freeze = FreezeAccount(
        account=account,
        currency="CNY",
        units=Units(1),
        authority_order=anchor("order"),
        until_on=datetime.date.max,
    )
    t.world.do(freeze, by=bank)


def _reversed_after_paying_on(world: World) -> tuple[str, str, str]:
    """The payer's deposit of 100 is reversed after it was paid on: the bank has nothing, the payee 100."""
    bank = world.member("Bank", Role.CUSTODIAN)
    payer, payee = world.member("Payer", Role.CLIENT), world.member("Payee", Role.CLIENT)
    source, target = opened(world, payer, bank), opened(world, payee, bank)
    deposit = funded(world, source, 100)
    paid = TransferFunds(source=source, target=target, currency="CNY", units=Units(100), subject="goods")
    world.do(paid, by=payer)
    world.do(ReverseDeposit(bank_reference="BACK", deposit=deposit, currency="CNY", units=Units(100)), by=bank)
    return bank, target, payee


def test_more_is_deducted_by_order_than_is_at_the_bank() -> None:
    world = World()
    bank, target, _ = _reversed_after_paying_on(world)
    deducted = DeductByOrder(
        account=target, currency="CNY", units=Units(100), authority_order=anchor("order"), bank_reference="OUT"
    )
    world.do(deducted, by=bank, expect=Status.INSUFFICIENT_FUNDS, vector="account.deduct_by_order/not_at_the_bank")
    check_books(world)


def test_a_deposit_in_suspense_is_returned_when_the_bank_has_less() -> None:
    world = World()
    bank, target, _ = _reversed_after_paying_on(world)
    booked = BookDeposit(bank_reference="IN", currency="CNY", units=Units(50))
    deposit = world.do(booked, by=bank).events[-1].record
    deducted = DeductByOrder(
        account=target, currency="CNY", units=Units(50), authority_order=anchor("order"), bank_reference="OUT"
    )
    world.do(deducted, by=bank)
    back = ReturnDeposit(deposit=deposit, currency="CNY", units=Units(50), bank_reference="RETURN")
    world.do(back, by=bank, expect=Status.INSUFFICIENT_FUNDS, vector="deposit.return/not_at_the_bank")
    check_books(world)


def test_the_clock_is_advanced_twice_in_one_block() -> None:
    world = World()
    governor = world.member("Governor", Role.GOVERNOR)
    farthest = AdvanceClock(to=world.now.plus(MAX_ADVANCE_MS))
    world.do(farthest, farthest, by=governor, expect=Status.TOO_EARLY, vector="clock.advance/twice_in_a_block")
    world.do(farthest, by=governor)
    assert world.row(Clock, "chain").offset_ms == MAX_ADVANCE_MS
