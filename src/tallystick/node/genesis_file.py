"""From a consortium's own TOML file to the canonical genesis. The file's fields: docs/cli.md, "The genesis file".

Calendars, law packs, zones and reference rates are named and taken from the seeds; keys that the file does not give are
made on this machine. Every fault names the field, and its line where the text shows it.
"""

import copy
import datetime
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tallystick import seeds
from tallystick.kernel.calendar.records import CalendarYear
from tallystick.kernel.core import codec
from tallystick.kernel.genesis import FORMAT, Genesis, check_genesis
from tallystick.kernel.governance.records import Engine
from tallystick.kernel.law.records import Adoption, LawPack
from tallystick.wire.amounts import units_of
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant

MINOR_DIGITS = {
    "AED": 2, "AUD": 2, "BHD": 3, "CAD": 2, "CHF": 2, "CNY": 2, "EUR": 2, "GBP": 2, "HKD": 2, "JPY": 0, "KRW": 0,
    "KWD": 3, "MYR": 2, "NZD": 2, "SGD": 2, "THB": 2, "USD": 2, "VND": 0,
}  # fmt: skip
"""ISO 4217 minor units of the currencies that may be named by their code alone."""

KeySource = Callable[[str, str], str]
"""From an organisation's folder and a key's name to a public key in base64."""

ValidatorKeys = Callable[[str], str]
"""From a validator's name to its public key in base64; asked where the file gives none."""

_TOP = frozenset(
    {
        "chain_id", "time", "sandbox", "tree_depth", "zone", "currencies", "calendars", "law", "reference_rates",
        "limits", "policies", "members", "operator", "engine", "validators",
    }
)  # fmt: skip
_VALIDATOR = frozenset({"name", "key"})
USUAL_MEMBERS = 4
_PATH = re.compile(r"at `\$\.?(?P<path>[^`]*)`")
_STEP = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:\[(?P<number>[0-9]+|\.\.\.)\])?")


class GenesisFile:
    """A genesis file's text, read once; `build` makes the genesis of it."""

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where
        try:
            self._content: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise DecodeError(f"not TOML: {error}", where) from None
        unknown = sorted(self._content.keys() - _TOP)
        if unknown:
            raise self._fault(f"there is no such field; known are {', '.join(sorted(_TOP))}", unknown[0])
        self.chain_id = self._content.get("chain_id")
        self.engine = self._engine()
        self.validators = self._validators()

    def on_one_machine(self, members: int | None) -> "GenesisFile":
        """The same file for a consortium whose validators' keys are made here: those it names, else so many.

        Raises `DecodeError`.
        """
        if self._content.get("engine") == Engine.EMBEDDED.value:
            raise self._fault("a consortium is to be founded, and this is an embedded ledger's file", "engine")
        named = self.engine is Engine.CONSORTIUM and self.validators
        for number, one in enumerate(named or []):
            if "key" in one:
                what = "its key is given: where members have their own machines, each runs `tally node init`"
                raise self._fault(what, f"validators[{number}]")
        if named and members not in (None, len(named)):
            raise self._fault(f"{len(named)} are named here, and {members} members are asked for", "validators")
        names = [f"member-{number}" for number in range(1, (members or USUAL_MEMBERS) + 1)]
        made = copy.copy(self)
        made.engine = Engine.CONSORTIUM
        made.validators = named or [{"name": name} for name in names]
        return made

    def custody(self) -> dict[str, str]:
        """Which validator's machine keeps the keys of each organisation, by its folder: `node`, else in turn.

        Raises `DecodeError` where there is no such validator.
        """
        names = [str(one["name"]) for one in self.validators]
        kept = {}
        for number, member in enumerate(self._tables("members")):
            node = member.get("node", names[number % len(names)])
            if node not in names:
                raise self._fault(f"no validator is called {node!r}: {', '.join(names)}", f"members[{number}].node")
            kept[_folder(member)] = node
        return kept

    def build(self, keys: KeySource, validator_keys: ValidatorKeys, now: Instant) -> Genesis:
        """The genesis, checked. Raises `DecodeError` naming field and line."""
        value = self._value(keys, validator_keys, now)
        raw = json.dumps(value, ensure_ascii=False, default=_plain)
        try:
            genesis: Genesis = codec.decoder(Genesis).decode(raw)
            check_genesis(genesis)
        except msgspec.DecodeError as error:
            found = _PATH.search(str(error))
            what = str(error).partition(" - at ")[0]
            raise self._fault(what, _named(found["path"] if found else "")) from None
        except DecodeError as error:
            raise self._fault(error.what, _named(error.where.removeprefix("genesis: "))) from None
        return genesis

    def _value(self, keys: KeySource, validator_keys: ValidatorKeys, now: Instant) -> dict[str, Any]:
        content = self._content
        currencies = [self._currency(number, one) for number, one in enumerate(self._list("currencies", ["CNY"]))]
        digits = {one["currency"]: one["minor_digits"] for one in currencies}
        value: dict[str, Any] = {
            "format": FORMAT,
            "chain_id": content.get("chain_id", ""),
            "time": self._time(now),
            "engine": self.engine.value,
            "validators": [self._validator(number, validator_keys) for number in range(len(self.validators))],
            "zone": self._zone(content.get("zone", "UTC")),
            "currencies": currencies,
            "calendars": [year for name in self._list("calendars", []) for year in self._calendar(name)],
            "packs": [self._pack(name) for name in dict.fromkeys(("all", *self._list("law", [])))],
            "reference_rates": [self._rate(name) for name in self._list("reference_rates", [])],
            "members": [self._member(number, one, keys, digits) for number, one in enumerate(self._tables("members"))],
        }
        value.update(
            (name, content[name]) for name in ("sandbox", "tree_depth", "limits", "policies") if name in content
        )
        return value

    def _list(self, name: str, default: list[Any]) -> list[Any]:
        found = self._content.get(name, default)
        if not isinstance(found, list):
            raise self._fault("a list is expected", name)
        return found

    def _tables(self, name: str) -> list[dict[str, Any]]:
        found = self._list(name, [])
        for number, one in enumerate(found):
            if not isinstance(one, dict):
                raise self._fault(f"a table [[{name}]] is expected", f"{name}[{number}]")
        return found

    def _engine(self) -> Engine:
        given = self._content.get("engine", Engine.EMBEDDED.value)
        try:
            engine = Engine(given)
        except ValueError:
            raise self._fault(
                f"{given!r} is none; there are {', '.join(one.value for one in Engine)}", "engine"
            ) from None
        if engine is Engine.EMBEDDED and "validators" in self._content:
            raise self._fault('only a consortium lists validators: write engine = "consortium"', "validators")
        if engine is Engine.CONSORTIUM and "operator" in self._content:
            raise self._fault("a consortium has no operator: each of its validators has a name", "operator")
        return engine

    def _validators(self) -> list[dict[str, Any]]:
        """Who signs blocks, each with a name, and a key where it is known; on the embedded engine the operator."""
        if self.engine is Engine.EMBEDDED:
            return [{"name": self._content.get("operator", "operator")}]
        found = self._tables("validators")
        for number, one in enumerate(found):
            if not isinstance(one.get("name"), str) or one.keys() - _VALIDATOR:
                raise self._fault("a validator has a name and a key", f"validators[{number}]")
        names = [one["name"] for one in found]
        if len(set(names)) < len(names):
            raise self._fault("a name is given twice", "validators")
        return found

    def _validator(self, number: int, validator_keys: ValidatorKeys) -> dict[str, Any]:
        given = self.validators[number]
        try:
            return {"name": given["name"], "key": given.get("key") or validator_keys(given["name"])}
        except DecodeError as error:
            raise self._fault(str(error), f"validators[{number}]") from None

    def _time(self, now: Instant) -> str:
        given = self._content.get("time")
        if given is None:
            return str(now)
        if isinstance(given, datetime.datetime) and given.tzinfo is not None:
            return str(Instant(int(given.timestamp() * 1000)))
        if isinstance(given, str):
            return given
        raise self._fault("an instant with its offset is expected, like 2026-11-22T08:00:00Z", "time")

    def _zone(self, given: object) -> Any:
        if isinstance(given, dict):
            return given
        if given == "UTC":
            return {"name": "UTC", "transitions": [{"at": str(Instant(0)), "offset": "+00:00"}]}
        if given not in seeds.ZONES:
            raise self._fault(
                f"no zone {given!r} comes with the seeds; there are UTC, {', '.join(seeds.ZONES)}", "zone"
            )
        zone = seeds.zone(str(given))
        return {"name": zone.name, "transitions": codec.plain(zone.transitions)}

    def _currency(self, number: int, given: object) -> Any:
        if isinstance(given, dict):
            return given
        if given not in MINOR_DIGITS:
            what = f'the minor units of {given!r} are not known here: write {{ currency = "...", minor_digits = 2 }}'
            raise self._fault(what, f"currencies[{number}]")
        return {"currency": given, "minor_digits": MINOR_DIGITS[str(given)]}

    def _calendar(self, name: object) -> list[Any]:
        if name not in seeds.CALENDARS:
            raise self._fault(f"no calendar {name!r} comes with the seeds: {', '.join(seeds.CALENDARS)}", "calendars")
        return [_published(year) for year in seeds.calendar(str(name))]

    def _pack(self, name: object) -> Any:
        if name not in seeds.JURISDICTIONS:
            raise self._fault(f"no law pack {name!r} comes with the seeds: {', '.join(seeds.JURISDICTIONS)}", "law")
        return _pack(*seeds.law_pack(str(name)))

    def _rate(self, name: object) -> Any:
        if name not in seeds.REFERENCE_RATES:
            known = ", ".join(seeds.REFERENCE_RATES)
            raise self._fault(f"no reference rate {name!r} comes with the seeds: {known}", "reference_rates")
        rate = seeds.reference_rate(str(name))
        return {
            "rate": rate.id,
            "values": codec.plain(rate.values),
            "known_until_on": rate.known_until_on.isoformat(),
            "source": rate.source,
        }

    def _member(self, number: int, given: dict[str, Any], keys: KeySource, digits: dict[str, int]) -> Any:
        where = f"members[{number}]"
        member = copy.deepcopy(given)
        folder = _folder(member)
        for name in ("folder", "node"):
            member.pop(name, None)
        offers = member.get("keys", [{"name": "admin", "role": "admin"}])
        if not isinstance(offers, list) or not all(isinstance(offer, dict) for offer in offers):
            raise self._fault("a list of { name, role } or { key, role } is expected", f"{where}.keys")
        member["keys"] = [self._offer(f"{where}.keys", folder, offer, keys) for offer in offers]
        for permission in member.get("permissions", []):
            if isinstance(permission, dict) and "ceiling" in permission:
                currency = permission.get("currency", "")
                permission["ceiling"] = self._amount(permission["ceiling"], digits.get(currency, 2), where)
        for rule in member.get("signing_policy", []):
            if isinstance(rule, dict) and "up_to" in rule:
                rule["up_to"] = self._amount(rule["up_to"], digits.get(rule.get("currency", ""), 2), where)
        return member

    def _offer(self, where: str, folder: str, offer: dict[str, Any], keys: KeySource) -> dict[str, Any]:
        role = offer.get("role", "admin")
        if "key" in offer:
            return {"key": offer["key"], "role": role}
        try:
            return {"key": keys(folder, str(offer.get("name", role))), "role": role}
        except DecodeError as error:
            raise self._fault(str(error), where) from None

    def _amount(self, given: object, minor_digits: int, where: str) -> str:
        try:
            return str(units_of(str(given), minor_digits))
        except DecodeError as error:
            raise self._fault(error.what, f"{where}.permissions") from None

    def _fault(self, what: str, field: str) -> DecodeError:
        line = line_of(self._text, field)
        place = f"{self._where}, line {line}" if line else self._where
        return DecodeError(what, f"{place}, {field}" if field else place)


def read_genesis_file(path: Path) -> GenesisFile:
    """The genesis file at `path`. Raises `DecodeError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise DecodeError(f"can't be read: {why}", str(path)) from None
    return GenesisFile(text, str(path))


def folder_of(legal_name: str) -> str:
    """A folder name for an organisation's keys: its legal name in lower-case ASCII with dashes."""
    words = re.findall(r"[a-z0-9]+", legal_name.lower())
    return "-".join(words)[:64] or "organisation"


def _folder(member: dict[str, Any]) -> str:
    return str(member.get("folder") or folder_of(str(member.get("legal_name", ""))))


def line_of(text: str, field: str) -> int:
    """The line (from 1) of the TOML text where a field like `members[2].keys` most likely stands, or 0."""
    lines = text.splitlines()
    start = found = 0
    for step in _STEP.finditer(field):
        name, number = step["name"], step["number"]
        table = re.compile(rf"\s*\[\[?\s*(?:[A-Za-z_.]+\.)?{name}\s*\]\]?")
        value = re.compile(rf"\s*{name}\s*=")
        tables = [at for at in range(start, len(lines)) if table.match(lines[at])]
        wanted = int(number) if number and number != "..." else 0
        if len(tables) > wanted:
            found = start = tables[wanted]
            found += 1
            continue
        line = next((at for at in range(start, len(lines)) if value.match(lines[at])), None)
        if line is None:
            break
        found, start = line + 1, line
    return found


def _named(path: str) -> str:
    """The file's own names for those of the genesis."""
    return path.replace("packs", "law").replace("validators[0].name", "operator")


def _plain(value: object) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise DecodeError(f"{type(value).__name__} has no place in a genesis")


def _published(year: CalendarYear) -> Any:
    version = year.versions[-1]
    days = {"year": int(year.id), "days_off": codec.plain(version.days_off), "days_on": codec.plain(version.days_on)}
    return {"published": days, "source": version.source}


def _pack(pack: LawPack, adoption: Adoption) -> Any:
    return {
        "jurisdiction": adoption.jurisdiction,
        "version": pack.id,
        "from_on": adoption.from_on.isoformat(),
        "rules": codec.plain(pack.rules),
        "source": pack.source,
        "currencies": list(adoption.currencies),
    }
