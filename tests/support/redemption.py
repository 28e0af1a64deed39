"""Scenes of redemption and recourse: a buyer's receivable, split over holders, with accounts at one bank."""

from dataclasses import dataclass
from typing import Any

from tallystick.kernel.calendar.days import start_of
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.redemption.records import Redemption
from tallystick.kernel.redemption.redeem import Earmark, Means, Redeem
from tallystick.wire.amounts import Units
from tests.support.accounts import check_books, funded, in_hold, money, opened
from tests.support.receivables import Trade, anchor, holdings, issued, span, trade, transferred
from tests.support.world import World


@dataclass(frozen=True)
class Debt:
    """A receivable of the buyer: 600 stay with the supplier, 400 were handed on to the maker (units 1..400)."""

    trade: Trade
    bank: str
    account: str
    receivable: str

    @property
    def world(self) -> World:
        return self.trade.world

    @property
    def buyer(self) -> str:
        return self.trade.buyer

    @property
    def supplier(self) -> str:
        return self.trade.supplier

    @property
    def maker(self) -> str:
        return self.trade.maker

    @property
    def row(self) -> Receivable:
        found: Receivable = self.world.row(Receivable, self.receivable)
        return found

    @property
    def state(self) -> ReceivableState:
        return self.row.state

    @property
    def redemption(self) -> Redemption | None:
        found = self.world.state.rows.get(f"redemption/{self.receivable}")
        assert found is None or isinstance(found, Redemption)
        return found

    def fund(self, units: int) -> None:
        """Money into the buyer's account."""
        funded(self.world, self.account, units)

    def to_due_date(self) -> None:
        """The first block of the moved due date."""
        assert self.row.moved_due_on is not None
        self.world.wait(until=start_of(self.world.state, self.row.moved_due_on))

    def past_grace(self) -> None:
        """The first block after the end of the moved due date (there is no grace unless a policy gives it)."""
        assert self.row.overdue_at is not None
        self.world.wait(until=self.row.overdue_at.plus(1))

    def money(self) -> tuple[int, int, int]:
        """What buyer, supplier and maker have in their accounts."""
        return money(self.world, self.buyer), money(self.world, self.supplier), money(self.world, self.maker)

    def held(self) -> int:
        """What is held until it is decided whose it is."""
        return in_hold(self.world, self.bank, self.receivable)

    def redeem(self, units: int, **fields: Any) -> Redeem:
        """The debtor's payment in ledger money."""
        return Redeem(**{"receivable": self.receivable, "currency": "CNY", "units": Units(units), **fields})

    def by_bank(self, units: int, **fields: Any) -> Redeem:
        """The debtor's payment from bank to bank."""
        return self.redeem(units, **{"means": Means.BANK, "receipt": anchor("bank_receipt"), **fields})

    def earmark(self, units: int, **fields: Any) -> Earmark:
        """What the debtor sets aside."""
        said: dict[str, Any] = {"receivable": self.receivable, "account": self.account, "currency": "CNY", **fields}
        return Earmark(units=Units(units), **said)

    def check(self) -> None:
        """Books balance, and live parcels partition what is neither redeemed nor cancelled."""
        check_books(self.world)
        live = sum(last - first + 1 for _, first, last in holdings(self.world, self.receivable))
        assert live == self.row.outstanding


def debt(
    *, split: bool = True, accounts: tuple[str, ...] = ("supplier", "maker"), recourse: bool = False, **fields: Any
) -> Debt:
    """A valid receivable of 1,000, due on 2026-06-30; who is named has an account at the bank, as the buyer has."""
    made = trade(policies=Policies(**fields))
    world = made.world
    bank = world.member("Bank", Role.CUSTODIAN)
    account = opened(world, made.buyer, bank)
    for name in accounts:
        opened(world, getattr(made, name), bank)
    receivable = issued(world, made.buyer, made.supplier, 1_000, made.auditor)
    if split:
        transferred(world, receivable, span(1, 1_000), 400, made.supplier, made.maker, made.auditor, recourse=recourse)
    return Debt(made, bank, account, receivable)
