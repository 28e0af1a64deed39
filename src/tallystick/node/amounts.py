"""Amounts as people write and read them; programs get minor units."""

import re

from tallystick.wire.amounts import Units, units_of
from tallystick.wire.errors import DecodeError

_GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?", re.ASCII)


def typed_units(text: str, minor_digits: int, where: str) -> Units:
    """An amount as people write it, 1234.50 or 1,234.50, in minor units. Raises `DecodeError`.

    A comma that does not separate thousands is refused: where 1234,50 means pence, dropping it makes a hundredfold.
    """
    bare = text.strip()
    if "," in bare:
        if not _GROUPED.fullmatch(bare):
            raise DecodeError(f"{bare[:40]!r} is not an amount like 1234.50 or 1,234.50", where)
        bare = bare.replace(",", "")
    return units_of(bare, minor_digits, where)


def grouped(units: int, minor_digits: int) -> str:
    """An amount with thousands separators: 150050 with two digits is 1,500.50."""
    whole, part = divmod(int(units), 10**minor_digits)
    return f"{whole:,}.{part:0{minor_digits}d}" if minor_digits else f"{whole:,}"
