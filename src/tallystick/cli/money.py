"""`tally accounts`, `tally statement`: what stands in an organisation's accounts, and what moved on them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common, Desk, Stop, desk
from tallystick.cli.following import all_events
from tallystick.cli.output import Exit, table
from tallystick.cli.sentences import ledger_account_name
from tallystick.kernel.accounts.records import Account, Balance
from tallystick.kernel.plans.records import Plan
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tallystick.node.session import PlacedEvent

POSTED = "account.posted"
WIDE, DAY_WIDTH = 100, 10


def accounts(
    organisation: Annotated[str, Parameter(metavar="ORG", help="Whose accounts.")], /, *, common: Common = NO_OPTIONS
) -> None:
    """An organisation's accounts: what stands in them, what of it is frozen, what is held for it elsewhere."""
    from rich.text import Text

    with desk(common, reading=True) as at:
        member = at.session.lookup.member(organisation).id
        found = list(accounts_of(at, member))
        held = list(_held_for(at, member))
        plans, fees = list(_plans_of(at, member)), list(_fees_of(at, member))
        listed = [_account_json(at, one) for one in found]
        at.output.data(
            {
                "organisation": member,
                "accounts": listed,
                "held": [_held_json(one) for one in held],
                "escrow": [_escrow_json(one) for one in plans],
                "fees": [_held_json(one) for one in fees],
            }
        )
        rows = table(
            "account", "custodian", "state", "balance", "free", "currency", right=("balance", "free"), keep=("account",)
        )
        for one, numbers in zip(found, listed, strict=True):
            balance, free = (at.amount(int(numbers[name]), one.currency) for name in ("balance", "free"))
            kept = at.name(one.custodian) + (f", wages of {one.project}" if one.project else "")
            rows.add_row(one.id, Text(kept), one.state.value, balance, free, one.currency)
        at.output.show(rows if found else f"{at.name(member)} has no accounts")
        if held:
            rows = table("held for it", "amount", right=("amount",), title="money held until an account is open")
            for balance_row in held:
                rows.add_row(balance_row.id.split("/")[3], at.money(balance_row.units, balance_row.currency))
            at.output.show(rows)
        if plans:
            at.output.show(_escrows(at, plans, member))
        if fees:
            rows = table("fees with", "amount", right=("amount",), title="fees earned")
            for row in fees:
                rows.add_row(at.name(row.custodian), at.money(row.units, row.currency))
            at.output.show(rows)


def _plans_of(at: Desk, member: str) -> Iterator[Plan]:
    """The plans under way that the member pays into, is paid by, checks or keeps the money of."""
    for key in at.session.engine.labelled(f"live/{member}"):
        row = at.session.state.find(key) if key.startswith("plan/") else None
        if isinstance(row, Plan) and row.is_live and member in (row.payer, row.payee, row.platform, row.custodian):
            yield row


def _fees_of(at: Desk, member: str) -> Iterator[Balance]:
    for key in at.session.engine.labelled(f"live/{member}"):
        row = at.session.state.find(key) if key.startswith("balance/fees/") else None
        if isinstance(row, Balance):
            yield row


def _escrows(at: Desk, plans: list[Plan], member: str) -> "RenderableType":
    numbers = ("held", "released", "refunded")
    rows = table("plan", *numbers, "currency", right=numbers, title="escrow of its plans")
    for plan in plans:
        role = next(name for name in ("payer", "payee", "platform", "custodian") if getattr(plan, name) == member)
        sides = f"{role}: {at.name(plan.payer)} to {at.name(plan.payee)}"
        about = {"payer": f"to {at.name(plan.payee)}", "payee": f"from {at.name(plan.payer)}"}.get(role, sides)
        amounts = (at.amount(getattr(plan, name), plan.currency) for name in numbers)
        rows.add_row(f"{plan.id}\n{about}", *amounts, plan.currency)
    return rows


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
        "project": one.project,
        "balance": str(int(units)),
        "free": str(int(free)),
    }


def _escrow_json(plan: Plan) -> dict[str, str]:
    numbers = ("deposited", "held", "released", "refunded", "fees", "reversed")
    return {"plan": plan.id, "currency": plan.currency, **{name: str(getattr(plan, name)) for name in numbers}}


def _held_json(row: Balance) -> dict[str, str]:
    return {"ledger_account": row.id, "units": str(row.units), "currency": row.currency}


def statement(
    name: Annotated[
        str,
        Parameter(metavar="ACCOUNT|PLAN|ORG", help="An account's or a plan's id, or an organisation for its accounts."),
    ],
    /,
    *,
    common: Common = NO_OPTIONS,
) -> None:
    """What moved on an account, or in a plan's escrow, each with its balance after it.

    The last balance is held against the one that the ledger states; that of an escrow against what its plan holds.
    """
    with desk(common, reading=True) as at:
        statements = _statements(at, _chosen(at, name))
        at.output.data([_statement_json(at, one, lines) for one, lines in statements])
        for one, lines in statements:
            at.output.show(f"\n[bold]{one.name}[/]  {one.said}")
            at.output.show(_lines_table(at, one, lines) if lines else "nothing moved yet")
            for problem in _differences(at, one, lines):
                at.output.problem(problem)
        if any(True for one, lines in statements for _ in _differences(at, one, lines)):
            raise Stop(Exit.DAMAGED)


@dataclass(frozen=True, slots=True)
class Kept:
    """A ledger account that has a statement: an account's, or a plan's escrow. `states` is what its record says."""

    name: str
    said: str
    ledger_account: str
    currency: str
    states: int | None = None
    summary: str = ""


def _lines_table(at: Desk, one: Kept, lines: "list[Line]") -> "RenderableType":
    balance_column = f"balance {one.currency}"
    right = ("amount", balance_column)
    rows = table(
        "when",
        "for",
        "other side",
        "amount",
        balance_column,
        right=right,
        keep=("when",) if one.summary else ("when", "for"),
    )
    for line in lines:
        amount = ("+" if line.comes_in else "-") + at.amount(line.units, one.currency)
        when = at.business_time(line.placed)[: None if at.output.console.width >= WIDE else DAY_WIDTH]
        balance = at.amount(line.balance, one.currency)
        rows.add_row(when, line.why or line.subject, ledger_account_name(at, line.other), amount, balance)
    if one.summary:
        rows.caption = one.summary
        rows.caption_justify = "left"
    return rows


def _statement_json(at: Desk, one: Kept, lines: "list[Line]") -> dict[str, Any]:
    balance = at.session.state.find(f"balance/{one.ledger_account}")
    return {
        "account": one.name,
        "currency": one.currency,
        "balance": str(int(balance.units) if isinstance(balance, Balance) else 0),
        "lines": [line.as_json() for line in lines],
    }


def _differences(at: Desk, one: Kept, lines: "list[Line]") -> Iterator[str]:
    """What does not reconcile: the movements, the balance and the plan must say the same."""
    row = at.session.state.find(f"balance/{one.ledger_account}")
    balance = int(row.units) if isinstance(row, Balance) else 0
    moved = lines[-1].balance if lines else 0
    if moved != balance:
        yield f"{one.name}: the movements come to {at.money(moved, one.currency)}, the balance is {balance} minor units"
    if one.states is not None and one.states != balance:
        yield f"{one.name} states {at.money(one.states, one.currency)}, its escrow holds {balance} minor units"


def _begin() -> Any:
    from tallystick.node.session import Cursor

    return Cursor()


def _chosen(at: Desk, name: str) -> list[Kept]:
    record = at.session.lookup.record(name)
    if isinstance(record, Account):
        return [_kept(at, record)]
    if isinstance(record, Plan):
        return [_escrow(at, record)]
    if record.table != "member":
        raise DecodeError(f"this is a {record.table}, neither an account, a plan nor an organisation", name[:40])
    found = list(accounts_of(at, record.id))
    if not found:
        at.output.note(f"{at.name(record.id)} has no accounts")
    return [_kept(at, one) for one in found]


def _kept(at: Desk, one: Account) -> Kept:
    said = f"{at.name(one.owner)}, kept by {at.name(one.custodian)}"
    return Kept(one.id, said, one.ledger_account, one.currency)


def _escrow(at: Desk, plan: Plan) -> Kept:
    """A plan's escrow, with the sums to which its movements come."""
    numbers = ("held", "released", "refunded", "fees", "reversed")
    sums = " + ".join(f"{name} {at.amount(getattr(plan, name), plan.currency)}" for name in numbers)
    return Kept(
        plan.id,
        f"escrow for {at.name(plan.payee)} out of money of {at.name(plan.payer)}, kept by {at.name(plan.custodian)}",
        plan.escrow,
        plan.currency,
        int(plan.held),
        f"deposited {at.amount(plan.deposited, plan.currency)} = {sums}",
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One posting on an account and the balance after it, in minor units; `why` where the subject says little."""

    placed: "PlacedEvent"
    comes_in: bool
    other: str
    units: int
    balance: int
    why: str = ""

    @property
    def subject(self) -> str:
        """The record that the posting was made for."""
        return self.placed.event.record

    def as_json(self) -> dict[str, Any]:
        """The line for programs, amounts in minor units."""
        return {
            "height": self.placed.cursor.height,
            "subject": self.subject,
            **({"why": self.why} if self.why else {}),
            "other": self.other,
            "in" if self.comes_in else "out": str(self.units),
            "balance": str(self.balance),
        }


def _statements(at: Desk, chosen: list[Kept]) -> list[tuple[Kept, list[Line]]]:
    """The movements of each ledger account, in one pass over what happened, step by step."""
    lines: dict[str, list[Line]] = {one.ledger_account: [] for one in chosen}
    for _, group in groupby(all_events(at, _begin()), lambda placed: (placed.cursor.height, placed.cursor.index)):
        step = list(group)
        for number, placed in enumerate(step):
            if placed.event.kind != POSTED:
                continue
            facts = placed.event.facts
            source, target, units = str(facts["source"]), str(facts["target"]), int(facts["units"])
            for side, other, change in ((source, target, -units), (target, source, units)):
                if side not in lines:
                    continue
                before = lines[side][-1].balance if lines[side] else 0
                why = _why(step[number:], other) if side.startswith("escrow/") else ""
                comes_in = change > 0
                line = Line(placed, comes_in=comes_in, other=other, units=units, balance=before + change, why=why)
                lines[side].append(line)
    return [(one, lines[one.ledger_account]) for one in chosen]


def _why(rest: "list[PlacedEvent]", other: str) -> str:
    """What a posting of an escrow was for, as the event says that the step goes on to: `tranche 2, ruling`."""
    told = next((placed.event for placed in rest if placed.event.kind != POSTED), None)
    if told is None:
        return ""
    word = str(told.facts.get("cause") or told.facts.get("reason") or told.kind.partition(".")[2].replace("_", " "))
    if told.kind.endswith("refunded"):
        word = f"back ({word})"
    if other.startswith("fees/"):
        word = "fee"
    tranche = str(told.facts.get("tranche", "0"))
    return f"tranche {tranche}, {word}" if tranche != "0" else word
