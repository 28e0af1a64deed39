"""Instants: UTC, to the millisecond, always written `2026-11-22T08:22:05.123Z` (RFC 3339, one form only)."""

import datetime
import re
from functools import lru_cache
from typing import Self

from tallystick.wire.errors import DecodeError

_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND = datetime.timedelta(milliseconds=1)
LAST_MS = 253402300799999  # 9999-12-31T23:59:59.999Z

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000


class Instant(int):
    """Milliseconds since 1970-01-01T00:00:00Z."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Instant({self})"

    def __str__(self) -> str:
        return format_instant(self)

    def plus(self, milliseconds: int) -> "Instant":
        """The instant that much later, held at the last one of year 9999."""
        return Instant(min(int(self) + milliseconds, LAST_MS))

    @classmethod
    def parse(cls, text: object, where: str = "") -> Self:
        """Read the one form; a month 13, a 30 February or a second 60 is refused."""
        if type(text) is not str:
            raise DecodeError("not an instant like 2026-11-22T08:22:05.123Z", where)
        value = _parse(text)
        if value is None:
            raise DecodeError("not an instant like 2026-11-22T08:22:05.123Z", where)
        return cls(value)


@lru_cache(maxsize=65_536)
def format_instant(value: int) -> str:
    """The one form of an instant, from milliseconds since 1970."""
    if not 0 <= value <= LAST_MS:
        raise DecodeError(f"instant {value} out of range")
    moment = _EPOCH + value * _MILLISECOND
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"


@lru_cache(maxsize=65_536)
def _parse(text: str) -> int | None:
    if not _FORM.fullmatch(text):
        return None
    try:
        moment = datetime.datetime.fromisoformat(text[:23]).replace(tzinfo=datetime.UTC)
    except ValueError:
        return None
    value = (moment - _EPOCH) // _MILLISECOND
    return value if value >= 0 else None


def parse_date(text: object, where: str = "") -> datetime.date:
    """Read `YYYY-MM-DD`, the only form of a date."""
    if type(text) is not str or not _DATE.fullmatch(text):
        raise DecodeError("not a date like 2026-11-22", where)
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise DecodeError(f"{text} is not a day of the calendar", where) from None
