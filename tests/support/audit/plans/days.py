"""Instants that follow from a plan's days, by the committed calendars and Python's `zoneinfo`, in milliseconds."""

import datetime
from zoneinfo import ZoneInfo

from tests.support.audit.maturity import is_business_day
from tests.support.audit.seen import Row

DAY_MS = 86_400_000
ONE = datetime.timedelta(days=1)


def instant(text: str | None) -> int | None:
    """An instant as rows write it, in milliseconds; None for none."""
    if text is None:
        return None
    moment = datetime.datetime.fromisoformat(text)
    return round(moment.timestamp() * 1000)


def start_of(rows: dict[str, Row], day: datetime.date) -> int:
    zone = ZoneInfo(rows["zone/chain"]["name"])
    return round(datetime.datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def end_of(rows: dict[str, Row], day: datetime.date) -> int:
    return start_of(rows, day + ONE) - 1


def day_of(rows: dict[str, Row], at: int) -> datetime.date:
    zone = ZoneInfo(rows["zone/chain"]["name"])
    return datetime.datetime.fromtimestamp(at / 1000, zone).date()


def moved(rows: dict[str, Row], text: str) -> datetime.date:
    """The day, or the first business day after it."""
    day = datetime.date.fromisoformat(text)
    while not is_business_day(rows, day):
        day += ONE
    return day
