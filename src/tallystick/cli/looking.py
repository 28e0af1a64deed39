"""`tally show`, `tally list`, `tally members`: what stands on the ledger."""

from collections.abc import Iterator
from enum import Enum, EnumType
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common, Desk, desk
from tallystick.cli.output import pairs, table
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tallystick.kernel.core.record import Record
    from tallystick.kernel.membership.records import Member
    from tallystick.wire.amounts import Units

USUAL_LIMIT = 50
WIDE = 100
PARTY_FIELDS = (
    "debtor", "creditor", "requester", "sender", "receiver", "client", "owner", "custodian", "member", "holder",
    "claimant", "liable", "funder", "sponsor", "remitter", "payer", "payee", "platform", "arbitrator",
)  # fmt: skip


def show(
    name: Annotated[
        str, Parameter(help="A record's id or its beginning, an organisation's name, or TABLE/ID.", metavar="ID")
    ],
    /,
    *,
    common: Common = NO_OPTIONS,
) -> None:
    """Show a record with what belongs to it.

    A receivable comes with its parcels over the face, its transfers, reviews, financings and redemptions; a member with
    its roles, permissions and keys; a financing with its quotes; a product with both copies of its contract; a plan
    with its timeline (also `tally plan show`); a release certificate with the conditions that were met.
    """
    from tallystick.kernel.core import codec
    from tallystick.kernel.receivables.records import Receivable
    from tallystick.node.lineage import related_to

    with desk(common, reading=True) as at:
        record = at.session.lookup.record(name)
        if common.json:
            value: dict[str, Any] = {"table": record.table, "record": codec.plain(record)}
            if isinstance(record, Receivable):
                related = related_to(at.session.engine, at.session.state, record)
                value["lineage"] = [{"table": one.table, "record": codec.plain(one)} for one in related]
            at.output.data(value)
            return
        at.output.show(*card(at, record))


def card(at: Desk, record: "Record") -> "Iterator[RenderableType]":
    """What people see of a record."""
    from tallystick.cli.cards import children, fields_card
    from tallystick.cli.certificate_card import certificate_card
    from tallystick.cli.market import financing_card
    from tallystick.cli.plan_card import plan_card
    from tallystick.cli.product_card import product_card
    from tallystick.cli.receivable_card import receivable_card
    from tallystick.kernel.accounts.deposits import Deposit, DepositState
    from tallystick.kernel.financing.records import Financing
    from tallystick.kernel.membership.records import Member
    from tallystick.kernel.plans.cases import Certificate
    from tallystick.kernel.plans.records import Plan
    from tallystick.kernel.products.records import Product
    from tallystick.kernel.receivables.records import Receivable

    match record:
        case Receivable():
            yield from receivable_card(at, record)
        case Product():
            yield from product_card(at, record)
        case Plan():
            yield from plan_card(at, record)
        case Certificate():
            yield from certificate_card(at, record)
        case Financing():
            yield from financing_card(at, record)
        case Member():
            yield from _member_card(at, record)
        case Deposit() if record.state is DepositState.ANNOUNCED:
            yield pairs([("code", f"[bold]{record.code}[/], to be named when it is paid")])
            yield fields_card(at, record)
        case _:
            yield fields_card(at, record)
            yield from children(at, record)


def _member_card(at: Desk, member: "Member") -> "Iterator[RenderableType]":
    from tallystick.cli.cards import children, fields_card
    from tallystick.kernel.membership.records import SigningKey

    counted = frozenset({"maker_keys", "checker_keys", "admin_keys", "permissions", "roles"})
    yield fields_card(at, member, leave_out=counted)
    rows = table("role", "since", "until", title="roles")
    for role in member.roles:
        rows.add_row(role.role.value, _block(role.since), _block(role.until))
    yield rows
    rows = table("may", "up to", "until", "since", "ended", right=("up to",), title="permissions")
    for grant in member.permissions:
        may = grant.permission
        until = "-" if may.until_on is None else str(may.until_on)
        rows.add_row(
            may.may.value, at.money(may.ceiling, may.currency), until, _block(grant.since), _block(grant.until)
        )
    yield rows
    rows = table("key", "role", "since", title="keys", keep=("key",))
    for key in at.session.engine.labelled(f"member_key/{member.id}"):
        row = at.session.state.find(key)
        if isinstance(row, SigningKey):
            rows.add_row(row.id, row.role.value, _block(row.since))
    yield rows
    yield from children(at, member, leave_out=counted)


def _block(position: Any) -> str:
    if position is None:
        return "-"
    return "genesis" if position.height == 0 else f"block {position.height}"


def members(*, common: Common = NO_OPTIONS) -> None:
    """List the organisations with their state and roles."""
    with desk(common, reading=True) as at:
        found = sorted(at.session.lookup.members(), key=lambda one: one.legal_name)
        held = {one.id: [grant.role.value for grant in one.roles if grant.until is None] for one in found}
        at.output.data(
            [
                {"id": one.id, "legal_name": one.legal_name, "state": one.state.value, "roles": held[one.id]}
                for one in found
            ]
        )
        rows = table("legal name", "id", "state", "roles", keep=("id",))
        for one in found:
            rows.add_row(one.legal_name, one.id, one.state.value, ", ".join(held[one.id]) or "-")
        at.output.show(rows)


def list_records(
    kind: Annotated[str, Parameter(help="receivable, transfer, financing, review, account, ...", metavar="KIND")],
    /,
    *,
    party: Annotated[str | None, Parameter(metavar="ORG", help="Only what names this organisation.")] = None,
    state: Annotated[str | None, Parameter(metavar="STATE", help="Only records in this state.")] = None,
    limit: Annotated[int, Parameter(help="At most so many.")] = USUAL_LIMIT,
    after: Annotated[str, Parameter(metavar="ID", help="Go on after this id.", show_default=False)] = "",
    common: Common = NO_OPTIONS,
) -> None:
    """List records of a kind, by party and state, in the order of their ids."""
    from tallystick.kernel.core import codec
    from tallystick.node.lineage import find_rows

    with desk(common, reading=True) as at:
        wanted = _table_named(kind)
        organisation = None if party is None else at.session.lookup.member(party).id

        def fits(row: "Record") -> bool:
            if organisation is not None and organisation not in parties_of(row):
                return False
            return state is None or _state_of(row) == state.replace(" ", "_")

        found = find_rows(at.session.engine, wanted, fits, limit, after)
        at.output.data([codec.plain(row) for row in found])
        if found:
            at.output.show(_listing(at, found))
        else:
            at.output.note(f"no {wanted} fits{_known_states(wanted) if state is not None else ''}")
        if len(found) == limit:
            at.output.note(f"there may be more: --after {found[-1].id}, or --limit")


def _table_named(kind: str) -> str:
    """The table of a kind as people name it: `receivables`, `law-pack`. Raises `DecodeError`."""
    from tallystick.kernel.core.record import TABLES

    name = kind.replace("-", "_")
    for wanted in (name, name.removesuffix("s"), name.removesuffix("ies") + "y"):
        if wanted in TABLES:
            return wanted
    raise DecodeError(f"there is no kind {kind[:40]!r}; there are {', '.join(sorted(TABLES))}", "KIND")


def _known_states(wanted: str) -> str:
    """The states that records of a kind can be in, for whoever asked for another."""
    import msgspec

    from tallystick.kernel.core.record import TABLES

    field = next((one for one in msgspec.structs.fields(TABLES[wanted]) if one.name == "state"), None)
    if field is None or not isinstance(field.type, EnumType):
        return "; it has no states"
    states: list[Enum] = list(field.type)
    return f"; its states are {', '.join(str(one.value) for one in states)}"


def parties_of(row: "Record") -> set[str]:
    """The organisations that a record names, directly or while it is live."""
    named = {getattr(row, name, None) for name in PARTY_FIELDS}
    named.update(getattr(row, "parties", ()))
    if row.table == "member":
        named.add(row.id)
    holders = {parcel.holder for parcel in getattr(row, "parcels", ())}
    return {name for name in (*named, *holders, *row.live_for()) if isinstance(name, str)}


def _state_of(row: "Record") -> str:
    state = getattr(row, "state", None)
    return "" if state is None else str(state.value)


COLUMNS = {
    "account": ("owner", "custodian", "currency"),
    "certificate": ("plan", "tranche", "cause"),
    "deposit": ("payer", "remitter", "bank_reference"),
    "dispute": ("plan", "tranche", "cause"),
    "evidence": ("plan", "tranche", "round"),
    "plan": ("payer", "payee"),
    "product": ("payer", "payee"),
    "refund": ("plan", "tranche", "reason"),
    "financing": ("client", "funder"),
    "member": ("legal_name", "size_class"),
    "receivable": ("debtor", "creditor"),
    "recourse": ("claimant", "liable"),
    "review": ("subject",),
    "transfer": ("sender", "receiver", "kind"),
}
"""The columns that say most about records of a kind; others show their first fields."""


def _listing(at: Desk, found: "list[Record]") -> "RenderableType":
    from rich.text import Text

    from tallystick.cli.cards import currency_of, text_of

    first = found[0]
    names = (
        COLUMNS.get(first.table)
        or [name for name in first.__struct_fields__ if name not in ("id", "state", "units")][:3]
    )
    dates = [name for name in ("due_on", "deadline", "closes_at") if hasattr(first, name)][:1]
    has_amount = any(_amount_of(at, row) is not None for row in found)
    labels = [name.replace("_", " ") for name in (*names, *dates)]
    is_narrow = at.output.console.width < WIDE and len(names) > 1
    columns = ["id", *labels, *(["amount"] if has_amount else []), *(["state"] if _state_of(first) else [])]
    if is_narrow:
        columns = ["id", ", ".join(labels[: len(names)]), *columns[1 + len(names) :]]
    ids = columns[1] if names[0] == "plan" else "subject"
    rows = table(*columns, right=("amount",), keep=("id", "due on", "deadline", "closes at", "state", ids))
    for row in found:
        currency = currency_of(at, row)
        named = [text_of(at, getattr(row, name), currency) for name in names]
        cells = [row.id, *(["\n".join(named)] if is_narrow else named)]
        cells += [_day(at, getattr(row, name)) for name in dates]
        if has_amount:
            amount = _amount_of(at, row)
            cells.append("-" if amount is None else at.money(amount, currency))
        if _state_of(first):
            cells.append(_state_of(row))
        rows.add_row(*(Text(cell) for cell in cells))
    return rows


def _amount_of(at: Desk, row: "Record") -> "Units | None":
    """The amount that a listing shows for a record."""
    from tallystick.cli.filling import whole_amount
    from tallystick.kernel.accounts.deposits import Deposit
    from tallystick.kernel.plans.cases import Certificate, Evidence
    from tallystick.kernel.plans.proposing import total_of
    from tallystick.kernel.plans.records import Plan, PlanVersion
    from tallystick.kernel.products.records import Product

    match row:
        case Product():
            return row.terms.cap
        case Plan():
            version = at.session.state.find(f"plan_version/{row.id}/{row.version}")
            return total_of(version.tranches if isinstance(version, PlanVersion) else row.draft)
        case Certificate():
            return row.released
        case Evidence():
            return row.claimed
        case Deposit() if row.booked is None:
            return row.announced
        case _:
            whole = whole_amount(row)
            return getattr(row, "units", None) if whole is None else whole


def _day(at: Desk, value: Any) -> str:
    from tallystick.wire.instants import Instant

    return at.time(value)[:10] if isinstance(value, Instant) else str(value or "-")
