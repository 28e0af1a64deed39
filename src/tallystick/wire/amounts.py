"""Amounts and rates: integers with types, written as decimal strings.

`Units` are minor units of a currency named beside them (fen, pence), from 0 to 2^63 - 1. `Rate` is percent per year
times 10^6, from 0 to 10^12 (a million percent). Minor units per currency follow ISO 4217.
"""

import re
from typing import Self

from tallystick.wire.errors import DecodeError, InvariantViolation

MAX_UNITS = 2**63 - 1
RATE_SCALE = 10**6
MAX_RATE = 10**12

_UNITS = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_RATE = re.compile(r"(0|[1-9][0-9]{0,5})(?:\.([0-9]{0,5}[1-9]))?", re.ASCII)
_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,18})(?:\.([0-9]{1,4}))?", re.ASCII)


class Units(int):
    """An amount in minor units. Sums and differences stay `Units`; leaving 0..2^63 - 1 is an invariant broken.

    Operations therefore test for room (`fits`) and cover before they add or subtract.
    """

    __slots__ = ()

    def __add__(self, other: int) -> "Units":
        return _units(int.__add__(self, other))

    def __sub__(self, other: int) -> "Units":
        return _units(int.__sub__(self, other))

    def __repr__(self) -> str:
        return f"Units({int(self)})"

    __str__ = int.__repr__

    @classmethod
    def parse(cls, text: object, where: str = "") -> Self:
        """Read the canonical form: ASCII digits, no sign, exponent or leading zero."""
        if type(text) is not str or not _UNITS.fullmatch(text):
            raise DecodeError("not an amount in minor units (digits only, no sign, no leading zero)", where)
        value = cls(text)
        if value > MAX_UNITS:
            raise DecodeError("amount exceeds 2^63 - 1", where)
        return value


ZERO = Units(0)


def _units(value: int) -> Units:
    if 0 <= value <= MAX_UNITS:
        return Units(value)
    raise InvariantViolation(f"amount {value} outside 0..2^63-1")


def fits(*amounts: int) -> bool:
    """Whether the sum of `amounts` stays an amount."""
    return sum(amounts) <= MAX_UNITS


def total(amounts: "list[Units] | tuple[Units, ...]") -> Units:
    """The sum of `amounts` in minor units."""
    return _units(sum(amounts))


class Rate(int):
    """Percent per year times 10^6: 5.5 % is Rate(5_500_000)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Rate({self})"

    def __str__(self) -> str:
        whole, part = divmod(int(self), RATE_SCALE)
        return f"{whole}.{part:06d}".rstrip("0") if part else str(whole)

    @classmethod
    def parse(cls, text: object, where: str = "") -> Self:
        """Read the canonical form: up to six decimal places, none of them a trailing zero."""
        found = _RATE.fullmatch(text) if type(text) is str else None
        if found is None:
            raise DecodeError("not a rate in percent (like 5.5; at most six places, no trailing zero)", where)
        return cls(int(found[1]) * RATE_SCALE + int((found[2] or "").ljust(6, "0")))


def units_of(text: str, minor_digits: int, where: str = "") -> Units:
    """Read an amount as people write it ("1234.5") for a currency with `minor_digits` decimal places."""
    found = _DECIMAL.fullmatch(text)
    if found is None or len(found[2] or "") > minor_digits:
        raise DecodeError(f"{text[:40]!r} is not an amount with at most {minor_digits} decimal places", where)
    value = int(found[1] + (found[2] or "").ljust(minor_digits, "0"))
    if value > MAX_UNITS:
        raise DecodeError("amount exceeds 2^63 - 1 minor units", where)
    return Units(value)
