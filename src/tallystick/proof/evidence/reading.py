"""Strict reading of JSON: every field known and there, every value in its one form; else DecodeError says where."""

import json
import re
from collections.abc import Callable
from typing import NoReturn, TypeVar

from tallystick.wire.canonical import MAX_DEPTH, MAX_INTEGER
from tallystick.wire.errors import DecodeError

T = TypeVar("T")

_HEX = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII)
_INTEGER = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)

Object = dict[str, object]


def parse_json(raw: bytes, most: int, where: str) -> object:
    """The value whose compact JSON with sorted fields is exactly `raw`: no float, no field twice, no white space.

    Other than on the ledger null may stand, for CometBFT writes an absent signature so.
    """
    if len(raw) > most:
        raise DecodeError(f"larger than {most} bytes", where)
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_no_number,
            parse_int=_integer,
            parse_constant=_no_number,
        )
        _check_depth(value, 0)
        again = write_json(value)
    except DecodeError as error:
        raise DecodeError(error.what, error.where or where) from None
    except (ValueError, RecursionError):
        raise DecodeError("not JSON", where) from None
    if again != raw:
        raise DecodeError("not in its one written form (compact, fields sorted)", where)
    return value


def write_json(value: object) -> bytes:
    """The one written form of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def _check_depth(value: object, depth: int) -> None:
    if depth > 2 * MAX_DEPTH:
        raise DecodeError(f"nested deeper than {2 * MAX_DEPTH}")
    if isinstance(value, dict):
        for item in value.values():
            _check_depth(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_depth(item, depth + 1)


def _unique(pairs: list[tuple[str, object]]) -> Object:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DecodeError("a field stands twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise DecodeError(f"{text[:40]} is not an integer")


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise DecodeError(f"{text[:40]} is not an integer from 0 to 2^53 - 1")
    return int(text)


def fields(value: object, where: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Object:
    """An object with exactly these fields."""
    if type(value) is not dict:
        raise DecodeError("not an object", where)
    for name in required:
        if name not in value:
            raise DecodeError(f"{name} is missing", where)
    for name in value:
        if name not in required and name not in optional:
            raise DecodeError(f"unknown field {str(name)[:40]!r}", where)
    return value


def items(value: object, where: str, most: int) -> list[object]:
    """A list of at most `most` values."""
    if type(value) is not list:
        raise DecodeError("not a list", where)
    if len(value) > most:
        raise DecodeError(f"more than {most} entries", where)
    return value


def each(value: object, where: str, most: int, read: Callable[[object, str], T]) -> tuple[T, ...]:
    """A list of values that are read alike."""
    return tuple(read(item, f"{where}[{n}]") for n, item in enumerate(items(value, where, most)))


def text(value: object, where: str, most: int = 200) -> str:
    """A string of at most `most` characters."""
    if type(value) is not str or len(value) > most:
        raise DecodeError(f"not a text of at most {most} characters", where)
    return value


def number(value: object, where: str, least: int = 0, most: int = MAX_INTEGER) -> int:
    """A whole number."""
    if type(value) is not int or not least <= value <= most:
        raise DecodeError(f"not a number from {least} to {most}", where)
    return value


def hexadecimal(value: object, where: str, length: int = 32) -> bytes:
    """Exactly `length` bytes in lower-case hexadecimal."""
    if type(value) is not str or len(value) != 2 * length or not _HEX.fullmatch(value):
        raise DecodeError(f"not {length} bytes in lower-case hexadecimal", where)
    return bytes.fromhex(value)
