"""A succession of somebody with more business than one batch: nothing may fall between two batches."""

from tallystick.kernel.accounts.records import Balance
from tallystick.kernel.core.fields import Interval
from tallystick.kernel.membership.business import BATCH, Walk
from tallystick.kernel.membership.limits import DebtorCredit
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SucceedMember
from tallystick.kernel.receivables.judgments import CancelByJudgment
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.redemption.redeem import Redeem
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.accounts import check_books, funded, held_for, money, opened
from tests.support.receivables import Trade, anchor, issued, trade

MANY = BATCH + 20


def crowd(debtor: str, creditor: str, t: Trade) -> list[str]:
    """More receivables than a batch takes."""
    return [issued(t.world, debtor, creditor, 1_000 + at, t.auditor) for at in range(MANY)]


def succeed(t: Trade, member: str, successor: str) -> None:
    t.world.do(SucceedMember(member=member, successor=successor, order=anchor("order")), by=t.auditor)


def last_of(t: Trade, receivables: list[str]) -> str:
    """The one that the walk reaches last."""
    return max(receivables)


def test_a_debt_is_paid_between_two_batches() -> None:
    t = trade()
    world = t.world
    bank = world.member("Bank", Role.CUSTODIAN)
    heir = world.member("Heir", Role.CLIENT)
    funded(world, opened(world, heir, bank), 10_000_000)
    opened(world, t.supplier, bank)
    receivables = crowd(t.buyer, t.supplier, t)
    succeed(t, t.buyer, heir)
    assert any(isinstance(row, Walk) for row in world.state.rows.values())
    row = world.row(Receivable, last_of(t, receivables))
    assert row.debtor == t.buyer, "the walk has not come to it"
    paid = Redeem(receivable=row.id, currency="CNY", units=row.face)
    result = world.submit(world.sign(paid, by=heir))
    assert result.status is not Status.KERNEL_FAULT, result.fault
    for _ in range(3):
        world.wait(1)
    assert world.row(Receivable, row.id).debtor == heir
    world.do(paid, by=heir)
    assert world.row(DebtorCredit, f"{heir}.CNY").outstanding == sum(1_000 + at for at in range(MANY)) - row.face


def test_what_is_cancelled_between_two_batches_is_no_longer_out() -> None:
    t = trade()
    heir = t.world.member("Heir", Role.CLIENT)
    receivables = crowd(t.buyer, t.supplier, t)
    succeed(t, t.buyer, heir)
    row = t.world.row(Receivable, last_of(t, receivables))
    whole = Interval(Units(1), row.face)
    t.world.do(CancelByJudgment(receivable=row.id, interval=whole, judgment=anchor("judgment")), by=t.auditor)
    for _ in range(3):
        t.world.wait(1)
    assert t.world.row(DebtorCredit, f"{heir}.CNY").outstanding == sum(1_000 + at for at in range(MANY)) - row.face


def test_money_for_a_holder_that_is_succeeded_is_never_left_in_a_hold_for_the_gone() -> None:
    t = trade()
    world = t.world
    bank = world.member("Bank", Role.CUSTODIAN)
    heir = world.member("Heir", Role.CLIENT)
    opened(world, heir, bank)
    opened(world, t.buyer, bank, units=10_000_000)
    receivables = crowd(t.buyer, t.supplier, t)
    succeed(t, t.supplier, heir)
    row = world.row(Receivable, last_of(t, receivables))
    assert row.parcels[0].holder == t.supplier, "the walk has not come to it"
    world.do(Redeem(receivable=row.id, currency="CNY", units=row.face), by=t.buyer)
    for _ in range(3):
        world.wait(1)
    assert held_for(world, t.supplier) == 0
    assert money(world, heir) == row.face
    check_books(world)


def test_all_falls_due_in_the_block_after_the_first_batch() -> None:
    t = trade()
    world = t.world
    bank = world.member("Bank", Role.CUSTODIAN)
    heir = world.member("Heir", Role.CLIENT)
    opened(world, heir, bank, units=10_000_000)
    opened(world, t.supplier, bank)
    receivables = crowd(t.buyer, t.supplier, t)
    pay_at = world.row(Receivable, receivables[0]).pay_at
    world.wait(until=pay_at.plus(-1))
    succeed(t, t.buyer, heir)
    for at in range(6):
        world.wait(until=pay_at.plus(at))
    assert {world.row(Receivable, each).state for each in receivables} == {ReceivableState.REDEEMED}
    check_books(world)


def test_an_account_with_money_passes_to_one_who_owes() -> None:
    """The heir's own unpaid debt is paid out of what it inherits."""
    t = trade()
    world = t.world
    bank = world.member("Bank", Role.CUSTODIAN)
    opened(world, t.supplier, bank)
    opened(world, t.maker, bank, units=5_000)
    receivable = issued(world, t.buyer, t.supplier, 1_000, t.auditor)
    world.wait(until=world.row(Receivable, receivable).pay_at)
    succeed(t, t.maker, t.buyer)
    world.wait(1)
    assert world.row(Receivable, receivable).state is ReceivableState.REDEEMED
    assert not any(isinstance(row, Balance) and row.units < 0 for row in world.state.rows.values())
