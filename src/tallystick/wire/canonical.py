"""Canonical bytes: a restricted profile of RFC 8785 (JCS), the only bytes that are hashed or signed.

Objects have ASCII snake_case keys in sorted order; numbers are non-negative integers below 2^53 (amounts are
strings of minor units); text is NFC, holds no control character but tab and line feed and no code point that
Unicode 14.0 leaves unassigned; there is no float, no duplicate key and no white space. `docs/spec/canonical.md`.
"""

import json
import re
import unicodedata
from typing import NoReturn

from tallystick.wire.errors import DecodeError
from tallystick.wire.unassigned import UNASSIGNED

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 32

_KEY = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_UNASSIGNED = re.compile(f"[{UNASSIGNED}]")
_CONTROL_ESCAPE = re.compile(rb"\\[bfru]")  # canonical JSON escapes only controls that way
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_INTEGER = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_AS_LISTS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_TOO_DEEP = b"[" * (MAX_DEPTH + 1)


def text_fault(text: str) -> str | None:
    """Why `text` may not stand on the ledger, or None."""
    if _CONTROL.search(text):
        return "text holds a control character"
    if text.isascii():
        return None
    if _UNASSIGNED.search(text):
        return "text holds a code point unassigned in Unicode 14.0"
    if not unicodedata.is_normalized("NFC", text):
        return "text is not in Unicode normalisation form C"
    return None


def raw_text_fault(raw: bytes) -> str | None:
    """`text_fault` for all strings of a canonical JSON document at once, without parsing it.

    Sound only for bytes that equal their own re-encoding: there every non-ASCII character stands for itself.
    """
    if _CONTROL_ESCAPE.search(raw) and _escapes_control(raw):
        return "text holds a control character"
    if raw.isascii():
        return "text holds a control character" if b"\x7f" in raw else None
    try:
        return text_fault(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return "not UTF-8"


def _escapes_control(raw: bytes) -> bool:
    """Whether one of the escapes found is real and not the tail of an escaped backslash."""
    return bool(_CONTROL_ESCAPE.search(raw.replace(b"\\\\", b"")))


def is_nested_too_deep(raw: bytes) -> bool:
    """Whether objects and lists stand in each other more than `MAX_DEPTH` deep, in bytes that are JSON.

    How deep a parser goes before it gives up follows from the version of Python and from how deep its caller stands:
    nodes that differ in whether a transaction can be read would fork the chain.
    """
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return False
    left = _STRING.sub(b"", raw).translate(_AS_LISTS, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not left or _TOO_DEEP in left:
            break
        left = left.replace(b"[]", b"")  # the innermost of each
    return bool(left)


def encode(value: object) -> bytes:
    """The canonical bytes of dicts, lists, strings, integers and booleans. Raises `DecodeError` on anything else."""
    _require(value, "", 0)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def parse(raw: bytes, where: str = "") -> object:
    """The value whose canonical bytes are exactly `raw`. Raises `DecodeError`, naming what is not canonical."""
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_no_float,
            parse_int=_integer,
            parse_constant=_no_float,
        )
        canonical = encode(value)
    except DecodeError as error:
        raise DecodeError(error.what, where or error.where) from None
    except (ValueError, RecursionError):
        raise DecodeError("not JSON", where) from None
    if canonical != raw:
        raise DecodeError("not in canonical form", where)
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise DecodeError("duplicate field")
    return result


def _no_float(text: str) -> NoReturn:
    raise DecodeError(f"{text[:40]} is not an integer")


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise DecodeError(f"{text[:40]} is not an integer from 0 to 2^53 - 1")
    return int(text)


def _require(value: object, where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise DecodeError(f"nested deeper than {MAX_DEPTH}", where)
    match value:
        case bool():
            return
        case int():
            if not 0 <= value <= MAX_INTEGER:
                raise DecodeError(f"{value} is not an integer from 0 to 2^53 - 1", where)
        case str():
            fault = text_fault(value)
            if fault is not None:
                raise DecodeError(fault, where)
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise DecodeError("text holds a surrogate", where) from None
        case list() | tuple():
            for position, item in enumerate(value):
                _require(item, f"{where}[{position}]", depth + 1)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str) or not _KEY.fullmatch(key):
                    raise DecodeError(f"{str(key)[:40]!r} is not a snake_case field name", where)
                _require(item, f"{where}.{key}" if where else key, depth + 1)
        case _:
            raise DecodeError(f"{type(value).__name__} is not canonical", where)
