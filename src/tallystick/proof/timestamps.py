"""CometBFT's times: whole nanoseconds since 1970-01-01T00:00:00Z, and their one written form.

The written form is Go's RFC3339Nano in UTC: no trailing zero in the fraction, no point without one. The
calendar is computed here: `datetime` stops at microseconds.
"""

import re
from typing import TypeAlias

from tallystick.wire.errors import DecodeError

TimeNs: TypeAlias = int

NS_PER_SECOND = 1_000_000_000
SECONDS_PER_DAY = 86_400

# 0001-01-01T00:00:00Z, the earliest protobuf Timestamp. It is Go's time.Time{} and stands for "no time", as in
# the signature of an absent validator.
NO_TIME: TimeNs = -62_135_596_800 * NS_PER_SECOND
LAST_TIME: TimeNs = 253_402_300_800 * NS_PER_SECOND - 1  # 9999-12-31T23:59:59.999999999Z

_FORM = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{0,8}[1-9]))?Z", re.ASCII
)
_DAYS_PER_ERA = 146_097  # 400 years of the Gregorian calendar
_EPOCH_DAY = 719_468  # 1970-01-01, counted from 0000-03-01


def format_time(time: TimeNs) -> str:
    """The written form. Times outside the years 1 to 9999 have none."""
    if not NO_TIME <= time <= LAST_TIME:
        raise ValueError(f"time {time} outside the years 1 to 9999")
    seconds, nanos = divmod(time, NS_PER_SECOND)
    days, second = divmod(seconds, SECONDS_PER_DAY)
    year, month, day = _date_of(days)
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{year:04d}-{month:02d}-{day:02d}T{clock}{fraction}Z"


def parse_time(text: object, where: str = "") -> TimeNs:
    """Read the written form and no other. Raises DecodeError."""
    found = _FORM.fullmatch(text) if type(text) is str else None
    if found is None:
        raise DecodeError("not a UTC time like 2026-11-22T08:22:05.123456789Z", where)
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if not (year >= 1 and 1 <= month <= 12 and hour < 24 and minute < 60 and second < 60):
        raise DecodeError("a time that no clock shows", where)
    days = _days_to(year, month, day)
    if _date_of(days) != (year, month, day):
        raise DecodeError("a date that no calendar shows", where)
    seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second
    return seconds * NS_PER_SECOND + int((found[7] or "").ljust(9, "0"))


# The usual trick: count years from 1 March, so that the leap day is the last of its year and months have a
# linear formula: (153 * m + 2) // 5 days lie before month m (March = 0).


def _days_to(year: int, month: int, day: int) -> int:
    march_year = year - (month <= 2)
    era, year_of_era = divmod(march_year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * _DAYS_PER_ERA + day_of_era - _EPOCH_DAY


def _date_of(days: int) -> tuple[int, int, int]:
    era, day_of_era = divmod(days + _EPOCH_DAY, _DAYS_PER_ERA)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (year_of_era * 365 + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = (month_from_march + 2) % 12 + 1
    return era * 400 + year_of_era + (month <= 2), month, day
