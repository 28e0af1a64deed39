"""Write the generated seeds: China's business days and the offsets of the business zones.

    python -m tools.seed_calendars            write src/tallystick/seeds/calendars/cn.json and seeds/zones/*.json
    python -m tools.seed_calendars --check    fail if they would change

The days come from the package `chinesecalendar` (the State Council's yearly notices), for the years it knows; the
offsets from the standard library's zoneinfo, for 2000 to 2040.
"""

import datetime
import json
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from chinese_calendar import constants, is_workday  # type: ignore[import-untyped]

SEEDS = Path(__file__).parent.parent / "src/tallystick/seeds"
GENERATOR = "tools/seed_calendars.py"
ZONES = ("Asia/Shanghai", "Europe/London")
FIRST_YEAR, LAST_YEAR = 2000, 2040
HOUR = datetime.timedelta(hours=1)


def chinese_days() -> dict[str, Any]:
    """The years that the package publishes, with weekdays off and weekend days on, each with its occasion."""
    years = []
    for year in range(min(constants.holidays).year, max(constants.holidays).year + 1):
        off: dict[str, str] = {}
        on: dict[str, str] = {}
        day = datetime.date(year, 1, 1)
        while day.year == year:
            if day.weekday() < 5 and not is_workday(day):
                off[day.isoformat()] = constants.holidays[day]
            elif day.weekday() >= 5 and is_workday(day):
                on[day.isoformat()] = constants.workdays[day]
            day += datetime.timedelta(days=1)
        years.append({"year": year, "days_off": off, "days_on": on})
    return {
        "generator": GENERATOR,
        "source": "国务院办公厅关于节假日安排的通知 (yearly), as published in the package chinesecalendar",
        "years": years,
    }


def offsets(name: str) -> dict[str, Any]:
    """The zone's offset at the beginning of 2000 and each change of it up to the end of 2040, to the second."""
    zone = ZoneInfo(name)
    at = datetime.datetime(FIRST_YEAR, 1, 1, tzinfo=datetime.UTC)
    end = datetime.datetime(LAST_YEAR + 1, 1, 1, tzinfo=datetime.UTC)
    transitions = [{"at": written(at), "offset": offset(at, zone)}]
    while at < end:
        later = at + HOUR
        if offset(at, zone) != offset(later, zone):
            transitions.append({"at": written(changed(at, later, zone)), "offset": offset(later, zone)})
        at = later
    return {"generator": GENERATOR, "name": name, "transitions": transitions}


def changed(before: datetime.datetime, after: datetime.datetime, zone: ZoneInfo) -> datetime.datetime:
    """The first second of the offset that holds at `after` and not at `before`."""
    while after - before > datetime.timedelta(seconds=1):
        middle = before + datetime.timedelta(seconds=(after - before).total_seconds() // 2)
        if offset(middle, zone) == offset(after, zone):
            after = middle
        else:
            before = middle
    return after


def offset(at: datetime.datetime, zone: ZoneInfo) -> str:
    """The zone's offset at an instant, like +08:00."""
    return at.astimezone(zone).isoformat()[-6:]


def written(at: datetime.datetime) -> str:
    """An instant in the ledger's form."""
    return at.isoformat(timespec="milliseconds")[:23] + "Z"


def main() -> None:
    files = {SEEDS / "calendars/cn.json": chinese_days()}
    for name in ZONES:
        files[SEEDS / f"zones/{name.replace('/', '_').lower()}.json"] = offsets(name)
    stale = []
    for path, content in files.items():
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
            if "--check" not in sys.argv[1:]:
                path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv[1:]:
        sys.exit(f"out of date: {', '.join(stale)}; run python -m tools.seed_calendars")


if __name__ == "__main__":
    main()
