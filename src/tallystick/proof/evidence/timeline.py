"""What a proven bundle tells, in the trade's terms: its events in order, with names and amounts as people read them.

Times are those of the headers. Names of organisations and the minor digits of currencies come from proven records; what
is not in the bundle stays as its id.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tallystick.proof.evidence.bundle import Json
from tallystick.proof.evidence.verifier import Report
from tallystick.proof.evidence.words import EVENTS
from tallystick.proof.timestamps import NS_PER_SECOND, TimeNs, format_time
from tallystick.wire.status import BY_NUMBER

_FIELD = re.compile(r"\{(\w+)\}")
_AMOUNT = re.compile(r"\{(\w+)\} \{currency\}")
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
_MEMBER = re.compile(r"mbr_[0-9a-hjkmnp-tv-z]{16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: when, where on the ledger, by whom (nobody: by itself), and what.

    `kind`, `record` and the texts among its `facts` are the event's; a step that was refused has none.
    """

    time: TimeNs
    place: str
    by: tuple[str, ...]
    what: str
    kind: str = ""
    record: str = ""
    facts: tuple[str, ...] = ()

    @property
    def when(self) -> str:
        """The header's time to the second."""
        return format_time(self.time // NS_PER_SECOND * NS_PER_SECOND)


class Words:
    """Names and amounts as the bundle's records state them."""

    def __init__(self, records: dict[str, Json]) -> None:
        self._names: dict[str, str] = {}
        self._digits: dict[str, int] = {}
        for key, value in records.items():
            if not isinstance(value, dict):
                continue
            if key.startswith("member/"):
                self._names[str(value.get("id"))] = str(value.get("legal_name"))
            digits = value.get("minor_digits")
            if key.startswith("currency/") and type(digits) is int:
                self._digits[str(value.get("id"))] = digits

    def name(self, text: str) -> str:
        """`text` with every member's id as its legal name."""
        return _MEMBER.sub(lambda found: self._names.get(found[0], found[0]), text)

    def amount(self, units: int, currency: str) -> str:
        """`1,234.50`; minor units as they are where the currency's record is not in the bundle."""
        digits = self._digits.get(currency)
        if digits is None:
            return f"{units:,} minor units of"
        whole, part = divmod(units, 10**digits)
        return f"{whole:,}.{part:0{digits}d}" if digits else f"{whole:,}"

    def sentence(self, event: dict[str, Json]) -> str:
        """What a notice of the event reads."""
        kind, facts = str(event.get("kind")), event.get("facts")
        known = facts if isinstance(facts, dict) else {}
        values = {"record": event.get("record"), **known}
        said = EVENTS.get(kind)
        if said is None:
            return self.name(f"{kind}: {values['record']}")
        amounts, currency = set(_AMOUNT.findall(said)), str(known.get("currency", ""))

        def word(found: "re.Match[str]") -> str:
            value = values.get(found[1])
            if value is None:
                return found[0]
            if found[1] in amounts and currency and _DIGITS.fullmatch(str(value)):
                return self.amount(int(str(value)), currency)
            return self.name(str(value))

        return _FIELD.sub(word, said)


def timeline(report: Report) -> list[Line]:
    """Every step of the bundle in the ledger's order: what happened, or why it was refused."""
    return [line for _, line in sorted(_lines(report), key=lambda one: one[0])]


def _lines(report: Report) -> Iterator[tuple[tuple[int, int, int], Line]]:
    words = Words(report.records)
    headers = report.headers.by_height
    for work in report.bundle.due_work:
        for number, event in enumerate(_events(work.events)):
            yield (work.height, -1, number), _line(headers[work.height].time, f"{work.height}", (), event, words)
    for one, signed in zip(report.bundle.transactions, report.signed, strict=True):
        place, time = f"{one.height}/{one.index}", headers[one.height].time
        by = tuple(words.name(name) for name in signed.organisations)
        if one.code:
            asked = ", ".join(str(operation.get("op")) for operation in signed.operations)
            status = BY_NUMBER[one.code]
            said = f"{asked} was refused: {status.number} {status.label}. {status.meaning}"
            yield (one.height, one.index, 0), Line(time, place, by, said)
        for number, event in enumerate(_events(one.events)):
            yield (one.height, one.index, number), _line(time, place, by, event, words)


def _line(time: TimeNs, place: str, by: tuple[str, ...], event: dict[str, Json], words: Words) -> Line:
    facts = event.get("facts")
    texts = tuple(one for one in facts.values() if isinstance(one, str)) if isinstance(facts, dict) else ()
    return Line(time, place, by, words.sentence(event), str(event.get("kind")), str(event.get("record")), texts)


def _events(value: Json) -> list[dict[str, Json]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
