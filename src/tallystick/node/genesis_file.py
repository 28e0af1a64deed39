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
from typing import Any

import msgspec

from tallystick import seeds
from tallystick.kernel.calendar.records import CalendarYear
from tallystick.kernel.core import codec
from tallystick.kernel.genesis import FORMAT, Genesis, check_genesis
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

_TOP = frozenset(
    {
        "chain_id", "time", "sandbox", "tree_depth", "zone", "currencies", "calendars", "law", "reference_rates",
        "limits", "policies", "members", "operator",
    }
)  # fmt: skip
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

    def build(self, keys: KeySource, node_key: str, now: Instant) -> Genesis:
        """The genesis, checked. Raises `DecodeError` naming field and line."""
        value = self._value(keys, node_key, now)
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

    def _value(self, keys: KeySource, node_key: str, now: Instant) -> dict[str, Any]:
        content = self._content
        currencies = [self._currency(number, one) for number, one in enumerate(self._list("currencies", ["CNY"]))]
        digits = {one["currency"]: one["minor_digits"] for one in currencies}
        value: dict[str, Any] = {
            "format": FORMAT,
            "chain_id": content.get("chain_id", ""),
            "time": self._time(now),
            "engine": "embedded",
            "validators": [{"key": node_key, "name": content.get("operator", "operator")}],
            "zone": self._zone(content.get("zone", "UTC")),
            "currencies": currencies,
            "calendars": [year for name in self._list("calendars", []) for year in self._calendar(name)],
            "packs": [self._pack(name) for name in dict.fromkeys(("all", *self._list("law", [])))],
            "reference_rates": [self._rate(name) for name in self._list("reference_rates", [])],
            "members": [
                self._member(number, one, keys, digits) for number, one in enumerate(self._list("members", []))
            ],
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

    def _member(self, number: int, given: object, keys: KeySource, digits: dict[str, int]) -> Any:
        where = f"members[{number}]"
        if not isinstance(given, dict):
            raise self._fault("a table [[members]] is expected", where)
        member = copy.deepcopy(given)
        folder = member.pop("folder", None) or folder_of(str(member.get("legal_name", "")))
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


def folder_of(legal_name: str) -> str:
    """A folder name for an organisation's keys: its legal name in lower-case ASCII with dashes."""
    words = re.findall(r"[a-z0-9]+", legal_name.lower())
    return "-".join(words)[:64] or "organisation"


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
