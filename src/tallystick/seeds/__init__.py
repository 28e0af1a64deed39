"""What a new chain may start with: calendars, zones, law packs and reference rates, as records ready for a genesis.

Data files beside this module, read here because the kernel does no I/O. From the genesis on they are the chain's own.
Where they come from: SOURCES.md.
"""

import datetime
import json
import tomllib
from importlib.resources import files
from typing import Any, TypeVar

import msgspec

from tallystick.kernel.calendar.records import BusinessZone, CalendarYear, YearVersion
from tallystick.kernel.core import codec
from tallystick.kernel.law.rates import ReferenceRate
from tallystick.kernel.law.records import Adoption, LawBook, LawPack, Rule
from tallystick.wire.errors import DecodeError

T = TypeVar("T")

CALENDARS = ("cn", "gb")
JURISDICTIONS = ("all", "cn", "gb")
REFERENCE_RATES = ("cn-lpr-1y", "gb-bank-rate")
ZONES = ("Asia/Shanghai", "Europe/London")

ALWAYS = datetime.date(2000, 1, 1)
"""From when a genesis's packs judge; each rule has its own first day."""

_SEED_VERSION = "seed.1"


def calendar(name: str) -> list[CalendarYear]:
    """The published years of `cn` or `gb`, oldest first."""
    content = _content(f"calendars/{name}.json")
    years = []
    for year in content["years"]:
        version = {
            "from_on": f"{year['year']:04d}-01-01",
            "days_off": list(year["days_off"]),
            "days_on": list(year["days_on"]),
            "source": content["source"],
        }
        read = _read(YearVersion, version, f"calendars/{name}.json")
        years.append(CalendarYear(id=str(year["year"]), versions=(read,)))
    return years


def zone(name: str) -> BusinessZone:
    """The offsets of `Asia/Shanghai` or `Europe/London`."""
    path = f"zones/{name.replace('/', '_').lower()}.json"
    content = _content(path)
    return _read(BusinessZone, {"id": "chain", "name": content["name"], "transitions": content["transitions"]}, path)


def reference_rate(name: str) -> ReferenceRate:
    """`cn-lpr-1y` or `gb-bank-rate`, as far as its values are known."""
    path = f"rates/{name}.toml"
    return _read(ReferenceRate, {"id": name, **_content(path)}, path)


def law_pack(jurisdiction: str) -> tuple[LawPack, Adoption]:
    """The seed version of the pack of `all`, `cn` or `gb`, and its adoption from `ALWAYS` on."""
    path = f"law/{jurisdiction}.toml"
    content = _content(path)
    version = f"{jurisdiction}-{_SEED_VERSION}"
    pack = _read(LawPack, {"id": version, "rules": content["rules"], "source": content["source"]}, path)
    adoption = {"jurisdiction": jurisdiction, "version": version, "from_on": ALWAYS.isoformat()}
    return pack, _read(Adoption, {**adoption, "currencies": content["currencies"]}, path)


def law(*jurisdictions: str) -> list[LawBook | LawPack]:
    """The law book of a chain under `jurisdictions`, with its packs; `all` is always among them."""
    packs = [law_pack(name) for name in dict.fromkeys(("all", *jurisdictions))]
    return [LawBook(id="chain", adoptions=tuple(adoption for _, adoption in packs)), *(pack for pack, _ in packs)]


def announced(name: str, from_on: datetime.date) -> tuple[Rule, ...]:
    """Rules that were announced without a date (`cn-tenor-six-months`), with the date on which they are to begin."""
    path = f"law/announced/{name}.toml"
    dated = [{**rule, "from_on": from_on.isoformat()} for rule in _content(path)["rules"]]
    return _read(tuple[Rule, ...], dated, path)


def amended(rules: tuple[Rule, ...], changes: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The rules of a pack's next version: `changes` first, then those of `rules` that they do not replace by name."""
    replaced = {rule.name for rule in changes}
    return (*changes, *(rule for rule in rules if rule.name not in replaced))


def _content(path: str) -> Any:
    """The plain values of a data file. Raises `DecodeError`, naming the file."""
    try:
        text = (files(__name__) / path).read_text(encoding="utf-8")
    except OSError:
        raise DecodeError("there is no such seed", path) from None
    try:
        return json.loads(text) if path.endswith(".json") else tomllib.loads(text)
    except ValueError as error:
        raise DecodeError(str(error), path) from None


def _read(kind: "type[T]", value: object, path: str) -> T:
    """A record from plain values, held to the types of its fields."""
    try:
        read: T = codec.decoder(kind).decode(json.dumps(value, default=str))
    except msgspec.DecodeError as error:
        raise DecodeError(str(error), path) from None
    return read
