"""A release condition as a line of text that people type and the tools print: a pure parser and its inverse.

    all(date 2026-12-01, documents(delivery_note), 2 of (Verifier A, Verifier B, "Verifier C (North)"))
    any(payer, platform)
    at least 2 of (payer, platform, data_source(Freight Data Ltd, waybill))

A name stands in quotes where it has commas, brackets, quotes or odd spaces in it. `parse` raises `DecodeError` for
anything else, naming the character, counted from 1; its result is the plain form of a `Condition` whose members are
named as they were typed.
"""

import datetime
import re
from collections.abc import Callable
from typing import Any, TypeVar, assert_never

from tallystick.kernel.plans.conditions import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    AllOf,
    AnyOf,
    AtLeast,
    Condition,
    DataStated,
    DocumentsIn,
    OnDate,
    PayerAccepts,
    PlatformAccepts,
    VerifiersAccept,
)
from tallystick.wire.errors import DecodeError

T = TypeVar("T")
Plain = dict[str, Any]

MAX_TEXT = 100_000
MOST_LISTED = 16
FORMS = (
    "all(...), any(...), at least N of (...), date DAY, payer, platform, N of (VERIFIER, ...), documents, "
    "documents(KIND, ...), data_source(NAME, KIND)"
)

_WORD = re.compile(r"[A-Za-z_]+|[0-9]+", re.ASCII)
_NUMBER = re.compile(r"[0-9]+", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_LATER = re.compile(r"\+[0-9]{1,6}d", re.ASCII)  # so many days from today, which whoever reads the plain form knows
_TOKEN = re.compile(r"[^\s,()\"]+")
_CODE = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)
_BARE = re.compile(r"[^,()\"]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_ESCAPED = re.compile(r"\\(.)")
_SPACE = re.compile(r"\s*")


def parse(text: str) -> Plain:
    """The condition that `text` spells, in plain form. Raises `DecodeError` with the character in `where`."""
    if len(text) > MAX_TEXT:
        raise DecodeError(f"a condition has at most {MAX_TEXT:,} characters", f"character {MAX_TEXT + 1}")
    return _Parser(text).whole()


class _Parser:
    """A place in the text. Each method reads one thing and leaves the place behind it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._conditions = 0

    def whole(self) -> Plain:
        read = self._condition(1)
        if self._next():
            raise self._fault("nothing more is expected here", self._shown())
        return read

    def _condition(self, depth: int) -> Plain:
        self._skip()
        begin = self._at
        self._conditions += 1
        if depth > MAX_DEPTH:
            raise self._fault(f"conditions may be nested {MAX_DEPTH} deep", at=begin)
        if self._conditions > MAX_CONDITIONS:
            raise self._fault(f"a tree has at most {MAX_CONDITIONS} conditions", at=begin)
        word = self._word().lower()
        match word:
            case "all" | "any":
                return {"when": word, "of": self._list(lambda: self._condition(depth + 1))}
            case "at":
                self._keyword("least")
                needed = self._count(self._word())
                self._keyword("of")
                return {"when": "at_least", "needed": needed, "of": self._list(lambda: self._condition(depth + 1))}
            case "date":
                return {"when": "date", "on": self._day()}
            case "payer" | "platform":
                return {"when": word}
            case "documents":
                has_kinds = self._next() == "("
                return {"when": "documents", "kinds": self._list(self._code)} if has_kinds else {"when": "documents"}
            case "data_source":
                return self._data_source()
            case _ if _NUMBER.match(word):
                needed = self._count(word, begin)
                self._keyword("of")
                return {"when": "verifiers", "needed": needed, "verifiers": self._list(self._name)}
            case _:
                self._at = begin
                raise self._fault("there is no such condition", f"{self._shown()}; there are {FORMS}")

    def _data_source(self) -> Plain:
        self._sign("(")
        source = self._name()
        self._sign(",")
        kind = self._code()
        self._sign(")")
        return {"when": "data_source", "source": source, "kind": kind}

    def _list(self, one: Callable[[], T]) -> list[T]:
        """At least one thing in brackets, with commas between."""
        self._sign("(")
        listed = [one()]
        while self._next() == ",":
            if len(listed) == MOST_LISTED:
                raise self._fault(f"a list has at most {MOST_LISTED} entries")
            self._at += 1
            listed.append(one())
        self._sign(")")
        return listed

    def _day(self) -> str:
        text = self._token("a day like 2026-12-01")
        begin = self._at - len(text)
        if _LATER.fullmatch(text):
            return text
        if _DAY.fullmatch(text):
            try:
                return datetime.date.fromisoformat(text).isoformat()
            except ValueError:
                raise self._fault("there is no such day", repr(text), at=begin) from None
        raise self._fault("a day like 2026-12-01 is expected", repr(text[:40]), at=begin)

    def _code(self) -> str:
        text = self._token("a kind of document or statement, like delivery_note,")
        if _CODE.fullmatch(text):
            return text
        what = "a kind is a short code in lower case, like delivery_note"
        raise self._fault(what, repr(text[:40]), at=self._at - len(text))

    def _name(self) -> str:
        if self._next() == '"':
            quoted = _QUOTED.match(self._text, self._at)
            if quoted is None:
                raise self._fault(
                    'this quoted name has no end; inside it write \\" for a quote and \\\\ for a backslash'
                )
            if not quoted[1]:
                raise self._fault("a name is expected between the quotes")
            self._at = quoted.end()
            return _ESCAPED.sub(r"\1", quoted[1])
        begin = self._at
        bare = self._pattern(_BARE)
        if not bare.strip():
            raise self._fault("a name is expected", self._shown(), at=begin)
        if self._text[self._at : self._at + 1] in ("(", '"'):
            raise self._fault("a name with brackets or quotes in it stands in quotes", at=begin)
        return " ".join(bare.split())

    def _count(self, text: str, at: int | None = None) -> int:
        if _NUMBER.fullmatch(text) and len(text) <= len(str(MOST_LISTED)) and 1 <= int(text) <= MOST_LISTED:
            return int(text)
        begin = self._at - len(text) if at is None else at
        raise self._fault(f"a number from 1 to {MOST_LISTED} is expected", repr(text[:20]) if text else "", at=begin)

    def _keyword(self, wanted: str) -> None:
        self._skip()
        begin = self._at
        if self._word().lower() != wanted:
            self._at = begin
            raise self._fault(f"{wanted!r} is expected", self._shown())

    def _sign(self, wanted: str) -> None:
        if self._next() != wanted:
            raise self._fault(f"{wanted!r} is expected", self._shown())
        self._at += 1

    def _word(self) -> str:
        self._skip()
        return self._pattern(_WORD)

    def _token(self, wanted: str) -> str:
        self._skip()
        found = self._pattern(_TOKEN)
        if not found:
            raise self._fault(f"{wanted} is expected", self._shown())
        return found

    def _pattern(self, pattern: "re.Pattern[str]") -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def _skip(self) -> None:
        self._pattern(_SPACE)

    def _next(self) -> str:
        """The next character that is no space, or "" at the end."""
        self._skip()
        return self._text[self._at : self._at + 1]

    def _shown(self) -> str:
        """What stands here, for a message."""
        rest = self._text[self._at :]
        found = _WORD.match(rest) or _TOKEN.match(rest)
        return "not the end of the text" if not rest else f"not {(found[0] if found else rest[0])[:40]!r}"

    def _fault(self, what: str, detail: str = "", *, at: int | None = None) -> DecodeError:
        place = self._at if at is None else at
        return DecodeError(f"{what}, {detail}" if detail else what, f"character {place + 1}")


def condition_text(condition: Condition, name: Callable[[str], str] = str) -> str:
    """A condition as `parse` reads it, with members by `name`."""
    match condition:
        case AllOf():
            return f"all({_listed(condition.of, name)})"
        case AnyOf():
            return f"any({_listed(condition.of, name)})"
        case AtLeast():
            return f"at least {condition.needed} of ({_listed(condition.of, name)})"
        case OnDate():
            return f"date {condition.on.isoformat()}"
        case PayerAccepts():
            return "payer"
        case PlatformAccepts():
            return "platform"
        case VerifiersAccept():
            return f"{condition.needed} of ({', '.join(name_text(name(one)) for one in condition.verifiers)})"
        case DocumentsIn():
            return f"documents({', '.join(condition.kinds)})" if condition.kinds else "documents"
        case DataStated():
            return f"data_source({name_text(name(condition.source))}, {condition.kind})"
        case _:
            assert_never(condition)


def _listed(conditions: tuple[Condition, ...], name: Callable[[str], str]) -> str:
    return ", ".join(condition_text(one, name) for one in conditions)


def name_text(name: str) -> str:
    """A name as `parse` reads it: in quotes where it would not come back the same without."""
    if name and name == " ".join(name.split()) and not re.search(r'[,()"]', name):
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
