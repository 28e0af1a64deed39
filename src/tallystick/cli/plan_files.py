"""`tally plan file`: a plan's tranches as the TOML file that `plan propose` and `plan amend` read."""

import datetime
import enum
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec
from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common, desk
from tallystick.cli.plan_card import life_of
from tallystick.cli.vocabulary import shown_name
from tallystick.kernel.plans.conditions import Condition
from tallystick.kernel.plans.records import Material, Plan, Retention, TrancheTerms
from tallystick.node.condition_text import condition_text
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.errors import DecodeError


def write(
    plan: Annotated[str, Parameter(metavar="PLAN", help="The plan's id, or its beginning.")],
    /,
    *,
    out: Annotated[Path | None, Parameter(metavar="FILE", help="Where to write it; else it is printed.")] = None,
    common: Common = NO_OPTIONS,
) -> None:
    """Write a plan's tranches as a TOML file: those in force, or those proposed while there are none.

    Change the file and hand it in with `tally plan amend PLAN --tranches @FILE`, or propose it again.
    """
    with desk(common, reading=True) as at:
        record = at.session.lookup.record(plan)
        if not isinstance(record, Plan):
            raise DecodeError(f"this is a {record.table}, not a plan", plan[:40])
        life = life_of(at, record)
        digits = at.session.lookup.minor_digits(record.currency)
        version = f"version {record.version}" if record.version else "as proposed"
        text = f"# {record.id}, {version}; amounts in {record.currency}\n" + plan_toml(life.terms, at.name, digits)
        if out is not None:
            if out.exists():
                raise DecodeError("the file exists already and is not written over", str(out))
            out.write_text(text, encoding="utf-8")
        at.output.data({"plan": record.id, "file": None if out is None else str(out), "toml": text})
        if out is None:
            at.output.console.out(text, end="", highlight=False) if not common.json else None
        else:
            at.output.show(f"written to {out}")


def plan_toml(tranches: tuple[TrancheTerms, ...], name: Callable[[str], str], minor_digits: int) -> str:
    """The tranches as a plan file, with members by `name`; what is at its default is left out."""
    return "".join(_tranche(terms, name, minor_digits) for terms in tranches)


def _tranche(terms: TrancheTerms, name: Callable[[str], str], minor_digits: int) -> str:
    lines = [f"{field} = {value}" for field, value in _fields(terms, name, minor_digits)]
    return "\n[[tranches]]\n" + "\n".join(lines) + "\n"


def _fields(terms: TrancheTerms, name: Callable[[str], str], minor_digits: int) -> Iterator[tuple[str, str]]:
    for field in msgspec.structs.fields(terms):
        value = getattr(terms, field.name)
        if field.required or value != field.default:
            yield shown_name(field.name), _toml(value, name, minor_digits)


def _toml(value: Any, name: Callable[[str], str], minor_digits: int) -> str:
    """A value in TOML; its basic strings are those of JSON where only what must be is escaped."""
    match value:
        case bool():
            return "true" if value else "false"
        case Units():
            whole, part = divmod(int(value), 10**minor_digits)
            return f'"{whole}.{part:0{minor_digits}d}"' if minor_digits else f'"{whole}"'
        case Rate():
            return f'"{value}"'
        case int():
            return str(value)
        case datetime.date():
            return value.isoformat()
        case enum.Enum():
            return json.dumps(value.value)
        case tuple():
            return f"[{', '.join(_toml(one, name, minor_digits) for one in value)}]"
        case Material():
            if value.hash is None:
                return json.dumps(value.kind)
            return f"{{ kind = {json.dumps(value.kind)}, hash = {json.dumps(value.hash)} }}"
        case Retention():
            return f'"{value.rate}% until {value.until_on}"'
        case _ if isinstance(value, get_args(Condition)):
            return _text(condition_text(value, name))
        case _:
            return _text(str(value))


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
