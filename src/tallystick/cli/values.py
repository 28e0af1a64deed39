"""From the words people type to the typed fields of an operation.

A value is turned into the plain JSON that the operation's canonical bytes hold, field by field along its type, and then
read by the kernel's own strict decoder. Amounts are decimals of their currency ("1234.50"), members go by name, files
become anchors; nested values come as `key=value,...`, as JSON, or from a JSON or TOML file (`@FILE`). A fault names
the option or the file, then the way to the field: `plan.toml, tranche 2, fund_amount`.
"""

import datetime
import json
import re
import tomllib
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import msgspec
from msgspec import inspect

from tallystick.cli.vocabulary import shown_name
from tallystick.kernel.core.fields import Anchor, Interval
from tallystick.kernel.plans.conditions import AllOf
from tallystick.kernel.plans.records import Material, Retention
from tallystick.node.amounts import typed_units
from tallystick.node.condition_text import parse as parse_condition
from tallystick.wire.amounts import RATE_SCALE, Rate, Units
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import DAY_MS, HOUR_MS, MINUTE_MS, Instant

_ID = re.compile(r"\\A(?P<prefix>[a-z]{3}|\[a-z\]\{3\})_")
_KEY = "{43}=\\Z"
_RELATIVE = re.compile(r"\+(?P<count>[0-9]{1,6})(?P<unit>[mhd])", re.ASCII)
_LOCAL = re.compile(r"(?P<day>[0-9-]{10})(?:[T ](?P<clock>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?))?", re.ASCII)
_RATE = re.compile(r"(?P<whole>[0-9]{1,6})(?:\.(?P<part>[0-9]{1,6}))?%?", re.ASCII)
_NEXT_PAIR = re.compile(r",(?=\s*[A-Za-z_]+\s*=)", re.ASCII)  # a comma inside a value, as in 1,234.50, stays
_SHORT_FORMS: "dict[type, re.Pattern[str]]" = {
    Material: re.compile(r"(?P<kind>[a-z][a-z0-9_.-]{0,63})", re.ASCII),
    Retention: re.compile(r"(?P<rate>[0-9.]+) ?% until (?P<until_on>\S+)", re.ASCII),
}
"""Structures that may be written as one phrase: `delivery_note`, `5 % until 2027-12-01`."""

_SHORT_SAID: "dict[type, str]" = {
    Material: "a kind of paper like delivery_note",
    Retention: "a retention like 5% until 2027-12-01",
}
_REMITTANCE_CODE = r"\A[0-9A-HJKMNP-TV-Z]{16}\Z"
_FORMS = (
    (re.compile(r"A\[a-z\]\[a-z0-9_\.-\]"), "a code in lower case without spaces, like late_delivery"),
    (re.compile(r"A\[0-9A-HJK"), "a remittance code of 16 letters and digits"),
    (re.compile(r"A\[0-9a-f\]"), "64 hexadecimal digits"),
    (re.compile(r"A\[A-Z\]\{3\}"), "a currency's code like CNY"),
)
"""What a value is to look like, by the pattern that the kernel holds it to."""

_UNIT_MS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


class Surroundings(Protocol):
    """What typed words are read against: a session's names, keys, files and days."""

    def member_id(self, text: str) -> str: ...

    def record_id(self, text: str) -> str: ...

    def public_key(self, text: str) -> str: ...

    def anchor(self, path: Path, kind: str) -> dict[str, Any]: ...

    def minor_digits(self, currency: str) -> int: ...

    def now(self) -> Instant: ...

    def today(self) -> datetime.date: ...

    def start_of(self, day: datetime.date) -> Instant: ...


Defaults = dict[str, Callable[[dict[str, Any]], dict[str, Any]]]


class Reader:
    """Reads values along their types. `currency` decides the decimal places of amounts; "" means none is known.

    `defaults` says, by option, which fields of its structure follow from the rest and need not be typed.
    """

    def __init__(self, around: Surroundings, currency: str = "", defaults: "Defaults | None" = None) -> None:
        self._around = around
        self._currency = currency
        self._defaults = defaults or {}

    def in_currency(self, currency: str) -> "Reader":
        """The same reader for amounts of another currency."""
        return Reader(self._around, currency)

    def read(self, kind: inspect.Type, given: Any, where: str) -> Any:
        """`given`, a word or an already structured value, as plain JSON of `kind`. Raises `DecodeError`."""
        match kind:
            case inspect.Metadata(type=inner):
                return self.read(inner, given, where)
            case inspect.UnionType():
                return self._union(kind, given, where)
            case inspect.StrType():
                return self._text(kind, given, where)
            case inspect.BoolType():
                return _bool(given, where)
            case inspect.IntType():
                return _int(given, where)
            case inspect.DateType():
                return self._date(given, where)
            case inspect.EnumType(cls=cls):
                return _choice(cls, given, where)
            case inspect.CustomType(cls=cls):
                return self._custom(cls, given, where)
            case inspect.StructType(cls=cls):
                return self._struct(kind, cls, given, where)
            case inspect.VarTupleType(item_type=item):
                return self._items(item, given, where)
            case inspect.DictType():
                return self._mapping(kind, given, where)
            case _:
                return given

    def _union(self, kind: inspect.UnionType, given: Any, where: str) -> Any:
        others = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        if given is None or (given == "none" and len(others) < len(kind.types)):
            return None
        if len(others) == 1:
            return self.read(others[0], given, where)
        kinds = {one.tag: one for one in others if isinstance(one, inspect.StructType) and one.tag is not None}
        if len(kinds) == len(others):
            return self._tagged(kinds, given, where)
        return _guessed(given) if isinstance(given, str) else given

    def _tagged(self, kinds: "dict[str | int, inspect.StructType]", given: Any, where: str) -> Any:
        """One of several structures, told apart by a tag; a condition may be written as a line of text."""
        first = next(iter(kinds.values()))
        value = given
        if isinstance(given, str) and first.cls is AllOf and not given.lstrip().startswith(("{", "@")):
            value = _spelled(parse_condition, given, where)
        elif isinstance(given, str):
            value = structured(given, where)
        tag = value.get(first.tag_field) if isinstance(value, dict) else None
        if not isinstance(tag, str) or tag not in kinds:
            raise DecodeError(f"{first.tag_field} must be one of {', '.join(map(str, kinds))}", where)
        rest = {name: one for name, one in value.items() if name != first.tag_field}
        return {first.tag_field: tag, **self._fields(kinds[tag], rest, where)}

    def _text(self, kind: inspect.StrType, given: Any, where: str) -> str:
        if not isinstance(given, str):
            raise DecodeError(f"text is expected, not {given!r}", where)
        found = _ID.match(kind.pattern or "")
        if found is not None:
            return self._named(found["prefix"], given, where)
        if (kind.pattern or "").endswith(_KEY):
            return self._around.public_key(given)
        # a bank's statement may give the code in small letters and in groups
        return re.sub(r"[\s-]", "", given).upper() if kind.pattern == _REMITTANCE_CODE else given

    def _named(self, prefix: str, given: str, where: str) -> str:
        try:
            if prefix == "mbr":
                return self._around.member_id(given)
            return self._around.record_id(given)
        except DecodeError as error:
            if not error.where:
                error.where = where
                error.args = (f"{where}: {error.what}",)
            raise

    def _custom(self, cls: type, given: Any, where: str) -> str:
        if cls is Units:
            return self._amount(given, where)
        if cls is Rate:
            return _rate(given, where)
        if cls is Instant:
            return str(self.instant(given, where))
        raise DecodeError(f"no way to write a {cls.__name__}", where)

    def _amount(self, given: Any, where: str) -> str:
        if not self._currency:
            raise DecodeError("the currency of this amount is not known; give --currency", where)
        digits = self._around.minor_digits(self._currency)
        return str(typed_units(str(given), digits, where))

    def _date(self, given: Any, where: str) -> str:
        """A day of the business zone, or so many days from today there."""
        relative = _RELATIVE.fullmatch(str(given))
        if relative is not None and relative["unit"] == "d":
            try:
                return (self._around.today() + datetime.timedelta(days=int(relative["count"]))).isoformat()
            except OverflowError:
                raise DecodeError(f"{given} is past the last day there is", where) from None
        return _date(given, where)

    def instant(self, given: Any, where: str) -> Instant:
        """An instant as people write it: absolute, a day and time of the business zone, or from now."""
        text = str(given)
        relative = _RELATIVE.fullmatch(text)
        if relative is not None:
            return self._around.now().plus(int(relative["count"]) * _UNIT_MS[relative["unit"]])
        local = _LOCAL.fullmatch(text)
        if local is not None:
            clock = [int(part) for part in (local["clock"] or "0:0").split(":")]
            since = clock[0] * HOUR_MS + clock[1] * MINUTE_MS + (clock[2] if len(clock) > 2 else 0) * 1_000
            return self._around.start_of(_day(local["day"], where)).plus(since)
        try:
            moment = datetime.datetime.fromisoformat(text)
        except ValueError:
            moment = datetime.datetime(1, 1, 1)  # noqa: DTZ001 - refused below
        if moment.tzinfo is None:
            what = "not an instant: 2026-11-22T08:00:00Z, a day and time of the business zone, or +3d, +2h, +30m"
            raise DecodeError(f"{text[:40]!r} is {what}", where)
        return Instant(round(moment.timestamp() * 1000))

    def _struct(self, kind: inspect.StructType, cls: type, given: Any, where: str) -> Any:
        if cls is Anchor and _is_file(given):
            return self._anchored(given, where)
        if cls is Interval:
            return _interval(given, where)
        if isinstance(given, str):
            short = _SHORT_FORMS.get(cls)
            found = None if short is None else short.fullmatch(given.strip())
            if short is not None and found is None and "=" not in given and not given.startswith(("{", "@")):
                raise DecodeError(f"{given[:40]!r} is not {_SHORT_SAID[cls]}", where)
            value = structured(given, where) if found is None else found.groupdict()
        else:
            value = given
        if not isinstance(value, dict):
            raise DecodeError("key=value,... or JSON is expected", where)
        if where in self._defaults:
            value = {**self._defaults[where](value), **value}
        return self._fields(kind, value, whence(given) or where)

    def _fields(self, kind: inspect.StructType, given: dict[str, Any], where: str) -> dict[str, Any]:
        fields = {field.encode_name: field.type for field in kind.fields}
        value = {}
        for name, one in given.items():
            own = name if name in fields else next((each for each in fields if shown_name(each) == name), "")
            if not own:
                known = ", ".join(map(shown_name, fields))
                raise DecodeError(f"there is no {name[:40]!r}; it has {known}", where)
            if own in value:
                raise DecodeError(f"{name} is given twice", where)
            value[own] = one
        required = [field.encode_name for field in kind.fields if field.required]
        missing = [shown_name(name) for name in required if name not in value]
        if missing and kind.cls is not Anchor:
            raise DecodeError(f"{', '.join(missing)} must be given", where)
        inner = self.in_currency(value["currency"]) if isinstance(value.get("currency"), str) else self
        return {name: inner.read(fields[name], one, f"{where}, {shown_name(name)}") for name, one in value.items()}

    def _anchored(self, given: str, where: str) -> Any:
        """A file as it is, or KIND:FILE; without a kind the option's own name is it."""
        kind, colon, rest = given.partition(":")
        if colon and re.fullmatch(r"[a-z][a-z0-9_.-]{0,63}", kind) and not Path(given).exists():
            return self._around.anchor(Path(rest), kind)
        named = where.rpartition(", ")[2].removeprefix("--").replace("-", "_")
        return self._around.anchor(Path(given), named or "document")

    def _items(self, item: inspect.Type, given: Any, where: str) -> list[Any]:
        listed: list[tuple[str, Any]] = []
        for one in given if isinstance(given, list | tuple) else [given]:
            is_outside = isinstance(one, str) and one.startswith(("[", "@"))
            value = structured(one, where) if is_outside else one
            listed.extend((whence(one), each) for each in (value if isinstance(value, list) else [value]))
        if _is_word(item):
            listed = [
                (file, word)
                for file, one in listed
                for word in (one.split(",") if isinstance(one, str) else [one])
                if word
            ]
        numbers: dict[str, int] = {}
        read = []
        for file, one in listed:
            numbers[file] = numbers.get(file, 0) + 1
            is_file = isinstance(item, inspect.StructType) and item.cls is Anchor and _is_file(one)
            # a file in a list is of the kind that the list is called: --papers, not paper 1
            read.append(self.read(item, one, where if is_file else entry_of(where, numbers[file], file)))
        return read

    def _mapping(self, kind: inspect.DictType, given: Any, where: str) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for one in given if isinstance(given, list | tuple) else [given]:
            value = structured(one, where) if isinstance(one, str) else one
            if not isinstance(value, dict):
                raise DecodeError("key=value is expected", where)
            merged.update(value)
        return {name: self.read(kind.value_type, one, f"{where}, {name}") for name, one in merged.items()}


def whence(given: Any) -> str:
    """The file that a value was given as, or ""."""
    return given[1:] if isinstance(given, str) and given.startswith("@") else ""


def entry_of(where: str, number: int, file: str = "") -> str:
    """An entry of a list as people count: `--tranches, tranche 2`, or in a file `plan.toml, tranche 2`."""
    head, comma, name = where.rpartition(", ")
    word = (name if comma else where.removeprefix("--").replace("-", "_")) or "entry"
    one = "part" if word == "of" else re.sub(r"ies$", "y", word) if word.endswith("ies") else word.removesuffix("s")
    return f"{file or (head if comma else where)}, {one} {number}"


def _spelled(parse: Callable[[str], dict[str, Any]], text: str, where: str) -> dict[str, Any]:
    try:
        return parse(text)
    except DecodeError as error:
        raise DecodeError(error.what, f"{where}, {error.where}") from None


def structured(text: str, where: str) -> Any:
    """A nested value from JSON, from @FILE (JSON or TOML; a TOML list under the option's name), or key=value,..."""
    if text.startswith("@"):
        return _from_file(Path(text[1:]), where)
    if text.startswith(("{", "[")):
        return _from_json(text, where)
    value: dict[str, Any] = {}
    for part in _NEXT_PAIR.split(text):
        name, equals, rest = part.partition("=")
        if not equals:
            hint = f"; a file is named @{text}" if Path(text).is_file() else ""
            raise DecodeError(f"{part[:60]!r} is not key=value{hint}", where)
        value[name.strip()] = rest.strip()
    return value


def _from_json(text: str, where: str) -> Any:
    try:
        return json.loads(text, parse_float=str)
    except ValueError as error:
        raise DecodeError(f"not JSON: {error}", where) from None


def _from_file(path: Path, where: str) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise DecodeError(f"{path} can't be read: {why}", where) from None
    if path.suffix != ".toml":
        return _from_json(text, f"{where}: {path}")
    try:
        value = tomllib.loads(text, parse_float=lambda number: number.replace("_", ""))  # digit by digit
    except tomllib.TOMLDecodeError as error:
        raise DecodeError(f"not TOML: {error}", f"{where}: {path}") from None
    option = where.removeprefix("--").replace("-", "_")
    if not isinstance(value.get(option), list):
        return value
    others = [name for name in value if name != option]
    if others:
        raise DecodeError(f"there is no {others[0][:40]!r} in this file, only [[{option}]]", f"{where}: {path}")
    return value[option]


def _is_file(given: Any) -> bool:
    """Whether an anchor is given as a file, and not as JSON or as its own fields."""
    return isinstance(given, str) and not given.startswith(("{", "@")) and "hash=" not in given


def _is_word(kind: inspect.Type) -> bool:
    """Whether a list of these may be typed as one word with commas."""
    match kind:
        case inspect.Metadata(type=inner):
            return _is_word(inner)
        case inspect.EnumType():
            return True
        case inspect.StrType(pattern=pattern, max_length=longest):
            return pattern is not None and longest is None and "mbr" not in pattern
        case _:
            return False


def _bool(given: Any, where: str) -> bool:
    if isinstance(given, bool):
        return given
    if given in ("true", "yes"):
        return True
    if given in ("false", "no"):
        return False
    raise DecodeError(f"{str(given)[:40]!r} is neither yes nor no", where)


def _int(given: Any, where: str) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    if isinstance(given, str) and re.fullmatch(r"[0-9]{1,16}", given, re.ASCII):
        return int(given)
    raise DecodeError(f"{str(given)[:40]!r} is not a whole number", where)


def _day(text: str, where: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise DecodeError(f"{text[:40]!r} is not a date like 2026-11-22 or +60d", where) from None


def _date(given: Any, where: str) -> str:
    if isinstance(given, datetime.date):
        return given.isoformat()
    if not isinstance(given, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given, re.ASCII):
        raise DecodeError(f"{str(given)[:40]!r} is not a date like 2026-11-22 or +60d", where)
    return _day(given, where).isoformat()


def _choice(cls: type[Enum], given: Any, where: str) -> Any:
    values = [one.value for one in cls]
    word = given.lower().replace("-", "_") if isinstance(given, str) else given
    for value in values:
        if value in (word, given):
            return value
    raise DecodeError(f"{str(given)[:40]!r} is none of {', '.join(map(str, values))}", where)


def _rate(given: Any, where: str) -> str:
    found = _RATE.fullmatch(str(given).strip())
    if found is None:
        raise DecodeError(f"{str(given)[:40]!r} is not a rate in percent like 5.5 (at most six decimal places)", where)
    return str(Rate(int(found["whole"]) * RATE_SCALE + int((found["part"] or "").ljust(6, "0"))))


def _interval(given: Any, where: str) -> list[str]:
    if isinstance(given, list) and len(given) == 2:
        return [str(given[0]), str(given[1])]
    first, dots, last = str(given).replace(",", "").partition("..")
    if not dots:
        raise DecodeError(
            f"{str(given)[:40]!r} is not an interval of units like 1..500000 (tally show names them)", where
        )
    return [str(Units.parse(first, where)), str(Units.parse(last, where))]


def _guessed(text: str) -> Any:
    """A value of several possible kinds, as it looks: yes or no, a number, JSON, else text."""
    if text in ("true", "yes", "false", "no"):
        return text in ("true", "yes")
    if re.fullmatch(r"0|[1-9][0-9]{0,15}", text, re.ASCII):
        return int(text)
    if text.startswith("["):
        return _from_json(text, "")
    return text


def decoded(kind: type, value: dict[str, Any], option: "dict[str, str]", files: "dict[str, str] | None" = None) -> Any:
    """The operation that `value` spells, by the kernel's decoder.

    Its faults name the option, or the file where a list came from one.
    """
    from tallystick.kernel.core import codec

    try:
        return codec.decoder(kind).decode(json.dumps(value, ensure_ascii=False))
    except msgspec.DecodeError as error:
        what, _, path = str(error).partition(" - at ")
        where = _place(path, option, files or {})
        raise DecodeError(_plainly(what, _at(value, path), nested=bool(where)), where) from None
    except DecodeError as error:
        raise DecodeError(error.what, error.where) from None


def _place(path: str, option: dict[str, str], files: dict[str, str]) -> str:
    """Msgspec's `$.tranches[1].title` as `plan.toml, tranche 2, title`."""
    where = file = ""
    for name, index in re.findall(r"([a-z_]+)|\[([0-9]+)\]", path):
        if index:
            where = entry_of(where, int(index) + 1, file)
            file = ""
        elif where:
            where = f"{where}, {shown_name(name)}"
        else:
            where, file = option.get(name, name), files.get(name, "")
    return where


def _at(value: Any, path: str) -> Any:
    """What stands at msgspec's path, or None."""
    for name, index in re.findall(r"\.([a-z_]+)|\[([0-9]+)\]", path):
        try:
            value = value[int(index)] if index else value[name]
        except (IndexError, KeyError, TypeError):
            return None
    return value


def _plainly(what: str, given: Any, *, nested: bool) -> str:
    """Msgspec's words for what clerks get wrong."""
    missing = re.search(r"missing required field `([a-z_]+)`", what)
    if missing:
        return f"{missing[1]} is missing" if nested else f"--{missing[1].replace('_', '-')} is missing"
    if "matching regex" in what:
        record = re.search(r"A([a-z]{3})_", what)
        if record is not None and isinstance(given, str):
            return f"{given[:40]!r} is not an id that begins with {record[1]}_"
        form = next((said for pattern, said in _FORMS if pattern.search(what)), "of the form that is expected here")
        return f"{given[:40]!r} is not {form}" if isinstance(given, str) else f"the value is not {form}"
    return what
