"""`tally accounts`, `tally statement`: what stands in an organisation's accounts, and what moved on them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common, Desk, desk
from tallystick.cli.following import all_events
from tallystick.cli.output import table
from tallystick.cli.sentences import ledger_account_name
from tallystick.kernel.accounts.records import Account, Balance
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from tallystick.node.session import PlacedEvent

POSTED = "account.posted"
WIDE, DAY_WIDTH = 100, 10


def accounts(
    organisation: Annotated[str, Parameter(metavar="ORG", help="Whose accounts.")], /, *, common: Common = NO_OPTIONS
) -> None:
    """An organisation's accounts: what stands in them, what of it is frozen, what is held for it elsewhere."""
    with desk(common, reading=True) as at:
        member = at.session.lookup.member(organisation).id
        found = list(accounts_of(at, member))
        held = list(_held_for(at, member))
        listed = [_account_json(at, one) for one in found]
        at.output.data({"organisation": member, "accounts": listed, "held": [_held_json(one) for one in held]})
        rows = table(
            "account", "custodian", "state", "balance", "free", "currency", right=("balance", "free"), keep=("account",)
        )
        for one, numbers in zip(found, listed, strict=True):
            balance, free = (at.amount(int(numbers[name]), one.currency) for name in ("balance", "free"))
            rows.add_row(one.id, at.name(one.custodian), one.state.value, balance, free, one.currency)
        at.output.show(rows if found else f"{at.name(member)} has no accounts")
        if held:
            rows = table("held for it", "amount", right=("amount",), title="money held until an account is open")
            for balance_row in held:
                rows.add_row(balance_row.id.split("/")[3], at.money(balance_row.units, balance_row.currency))
            at.output.show(rows)


def accounts_of(at: Desk, member: str) -> Iterator[Account]:
    """The member's accounts that are open or applied for, by currency and custodian."""
    for key in at.session.engine.labelled(f"account_at/{member}"):
        row = at.session.state.find("account/" + key.rpartition("account/")[2])
        if isinstance(row, Account):
            yield row


def _held_for(at: Desk, member: str) -> Iterator[Balance]:
    for key in at.session.engine.labelled(f"held_for/{member}"):
        row = at.session.state.find("balance/" + key.partition("balance/")[2])
        if isinstance(row, Balance):
            yield row


def _account_json(at: Desk, one: Account) -> dict[str, Any]:
    row = at.session.state.find(f"balance/{one.ledger_account}")
    units, free = (row.units, row.free_at(at.session.now())) if isinstance(row, Balance) else (0, 0)
    return {
        "account": one.id,
        "custodian": one.custodian,
        "currency": one.currency,
        "state": one.state.value,
        "balance": str(int(units)),
        "free": str(int(free)),
    }


def _held_json(row: Balance) -> dict[str, str]:
    return {"ledger_account": row.id, "units": str(row.units), "currency": row.currency}


def statement(
    name: Annotated[str, Parameter(metavar="ACCOUNT|ORG", help="An account's id, or an organisation for all of its.")],
    /,
    *,
    common: Common = NO_OPTIONS,
) -> None:
    """What moved on an account, each with its balance after it."""
    with desk(common, reading=True) as at:
        chosen = _chosen(at, name)
        moved = [placed for placed in all_events(at, _begin()) if placed.event.kind == POSTED]
        statements = [(one, list(_lines(one, moved))) for one in chosen]
        at.output.data(
            [
                {"account": one.id, "currency": one.currency, "lines": [line.as_json() for line in lines]}
                for one, lines in statements
            ]
        )
        for one, lines in statements:
            at.output.show(f"\n[bold]{one.id}[/]  {at.name(one.owner)}, kept by {at.name(one.custodian)}")
            balance_column = f"balance {one.currency}"
            rows = table(
                "when",
                "for",
                "other side",
                "amount",
                balance_column,
                right=("amount", balance_column),
                keep=("when", "for"),
            )
            for line in lines:
                amount = ("+" if line.comes_in else "-") + at.amount(line.units, one.currency)
                when = at.business_time(line.placed)[: None if at.output.console.width >= WIDE else DAY_WIDTH]
                balance = at.amount(line.balance, one.currency)
                rows.add_row(when, line.subject, ledger_account_name(at, line.other), amount, balance)
            at.output.show(rows if lines else "nothing moved yet")


def _begin() -> Any:
    from tallystick.node.session import Cursor

    return Cursor()


def _chosen(at: Desk, name: str) -> list[Account]:
    record = at.session.lookup.record(name)
    if isinstance(record, Account):
        return [record]
    if record.table != "member":
        raise DecodeError(f"this is a {record.table}, neither an account nor an organisation", name[:40])
    found = list(accounts_of(at, record.id))
    if not found:
        at.output.note(f"{at.name(record.id)} has no accounts")
    return found


class Line:
    """One posting on an account and the balance after it, in minor units."""

    def __init__(self, placed: "PlacedEvent", *, comes_in: bool, other: str, units: int, balance: int) -> None:
        self.placed = placed
        self.comes_in = comes_in
        self.other = other
        self.units = units
        self.balance = balance

    @property
    def subject(self) -> str:
        """The record that the posting was made for."""
        return self.placed.event.record

    def as_json(self) -> dict[str, Any]:
        """The line for programs, amounts in minor units."""
        return {
            "height": self.placed.cursor.height,
            "subject": self.subject,
            "other": self.other,
            "in" if self.comes_in else "out": str(self.units),
            "balance": str(self.balance),
        }


def _lines(one: Account, moved: "list[PlacedEvent]") -> Iterator[Line]:
    balance = 0
    for placed in moved:
        facts = placed.event.facts
        source, target, units = str(facts["source"]), str(facts["target"]), int(facts["units"])
        if one.ledger_account not in (source, target):
            continue
        comes_in = target == one.ledger_account
        balance += units if comes_in else -units
        yield Line(placed, comes_in=comes_in, other=source if comes_in else target, units=units, balance=balance)
