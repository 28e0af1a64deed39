"""Any record as a card: its fields with labels, names for ids, amounts with their currency, children as tables."""

import datetime
import enum
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from tallystick.cli.context import Desk
from tallystick.cli.output import pairs, table
from tallystick.kernel.core.fields import Anchor, Interval, Position
from tallystick.kernel.core.record import Record
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import Instant

if TYPE_CHECKING:
    from rich.console import RenderableType

HASH_SHOWN = 12


def text_of(at: Desk, value: Any, currency: str = "") -> str:
    """A field's value as people read it; "-" for nothing."""
    match value:
        case None | ():
            return "-"
        case bool():
            return "yes" if value else "no"
        case enum.Enum():
            return str(value.value)
        case Units():
            return at.money(value, currency) if currency else f"{int(value):,}"
        case Rate():
            return f"{value} %"
        case Instant():
            return at.time(value, seconds=True)
        case Position():
            return "genesis" if value.height == 0 else f"block {value.height}"
        case Interval():
            return f"{interval_text(value)}, {at.money(value.length, currency)}" if currency else interval_text(value)
        case Anchor():
            media_type = value.media_type or "application/pdf"
            return f"{value.kind}, {media_type}, {value.size:,} bytes, {value.hash[:HASH_SHOWN]}..."
        case datetime.date():
            return value.isoformat()
        case msgspec.Struct():
            return ", ".join(f"{name} {text}" for name, text in _parts(at, value, currency))
        case tuple():
            return "\n".join(text_of(at, one, currency) for one in value)
        case str():
            return at.name(value)
        case Mapping():
            return ", ".join(f"{name}={one}" for name, one in value.items())
        case _:
            return str(value)


def interval_text(interval: Interval) -> str:
    """`1..500450`: units of the face, as options take them."""
    return f"{int(interval.first)}..{int(interval.last)}"


def _parts(at: Desk, value: msgspec.Struct, currency: str) -> Iterator[tuple[str, str]]:
    own = str(getattr(value, "currency", "") or currency)
    for name in value.__struct_fields__:
        one = getattr(value, name)
        if one not in (None, (), ""):
            yield name.replace("_", " "), text_of(at, one, own)


def currency_of(at: Desk, record: Record) -> str:
    """The currency of a record's amounts, be it its terms' or its plan's; "" where it has none."""
    own = getattr(record, "currency", None) or getattr(getattr(record, "terms", None), "currency", None)
    if own is None and isinstance(plan := getattr(record, "plan", None), str):
        own = getattr(at.session.state.find(f"plan/{plan}"), "currency", None)
    return str(own or "")


def fields_card(at: Desk, record: Record, *, leave_out: frozenset[str] = frozenset()) -> "RenderableType":
    """The fields of a record that hold something; lists of structures are left to `children`."""
    currency = currency_of(at, record)
    rows: list[tuple[str, RenderableType]] = [("id", record.id)]
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if name == "id" or name in leave_out or value in (None, ()) or _is_list_of_structs(value):
            continue
        rows.append((name.replace("_", " "), _plain(text_of(at, value, currency))))
    return pairs(rows)


def struct_card(
    at: Desk, title: str, value: msgspec.Struct, currency: str, *, leave_out: frozenset[str] = frozenset()
) -> "RenderableType":
    """One structure inside a record, as labels and values under a title."""
    from rich.console import Group
    from rich.text import Text

    rows = [
        (f"  {name.replace('_', ' ')}", _plain(text_of(at, getattr(value, name), currency)))
        for name in value.__struct_fields__
        if name not in leave_out and getattr(value, name) not in (None, ())
    ]
    return Group(Text(f"\n{title}", style="bold"), pairs(rows))


def _plain(text: str) -> "RenderableType":
    from rich.text import Text

    return Text(text)


def _is_list_of_structs(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and bool(value)
        and isinstance(value[0], msgspec.Struct)
        and not isinstance(value[0], Anchor | Position | Interval)
    )


def children(at: Desk, record: Record, *, leave_out: frozenset[str] = frozenset()) -> "Iterator[RenderableType]":
    """A table for each list of structures inside a record."""
    currency = currency_of(at, record)
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if name not in leave_out and _is_list_of_structs(value):
            yield structs_table(at, name.replace("_", " "), value, currency)


def structs_table(at: Desk, title: str, items: tuple[Any, ...], currency: str) -> "RenderableType":
    """Structures of one kind as rows; columns that are empty throughout are left out."""
    names = [
        name for name in items[0].__struct_fields__ if any(getattr(one, name) not in (None, (), "") for one in items)
    ]
    right = [name for name in names if isinstance(getattr(items[0], name), Units | Rate)]
    labels = {name: name.replace("_", " ") for name in names}
    rows = table(*labels.values(), right=[labels[name] for name in right], title=title)
    for one in items:
        own = str(getattr(one, "currency", "") or currency)
        rows.add_row(*(_plain(text_of(at, getattr(one, name), own)) for name in names))
    return rows
