"""The seeds: readable, up to date with their generator, and complete."""

import datetime
import json
from importlib.resources import files
from pathlib import Path

import pytest

from tallystick import seeds
from tallystick.kernel.law.adopt import check_rules
from tallystick.kernel.law.records import Matter
from tallystick.wire.errors import DecodeError
from tools import seed_calendars


def test_the_chinese_calendar_is_what_its_generator_writes() -> None:
    written = json.loads((files("tallystick.seeds") / "calendars/cn.json").read_text(encoding="utf-8"))
    assert written == seed_calendars.chinese_days()


def test_an_offset_is_found_to_the_second() -> None:
    written = json.loads((files("tallystick.seeds") / "zones/asia_shanghai.json").read_text(encoding="utf-8"))
    assert written == seed_calendars.offsets("Asia/Shanghai")
    london = seeds.zone("Europe/London").transitions
    assert (str(london[-1].at), london[-1].offset) == ("2040-10-28T01:00:00.000Z", "+00:00")
    assert len(london) == 1 + 2 * 41


def test_years_are_without_gaps() -> None:
    for name, first, last in (("cn", 2004, 2026), ("gb", 2022, 2027)):
        assert [int(year.id) for year in seeds.calendar(name)] == list(range(first, last + 1))


def test_weekdays_off_and_weekend_days_on() -> None:
    for name in seeds.CALENDARS:
        for year in seeds.calendar(name):
            (version,) = year.versions
            assert all(day.weekday() < 5 and str(day.year) == year.id for day in version.days_off)
            assert all(day.weekday() >= 5 and str(day.year) == year.id for day in version.days_on)


def test_packs_can_be_applied_and_cover_every_matter() -> None:
    matters = set()
    for name in seeds.JURISDICTIONS:
        pack, adoption = seeds.law_pack(name)
        assert adoption.version == pack.id
        assert check_rules(pack.rules) is None
        matters.update(rule.matter for rule in pack.rules)
    assert matters == set(Matter)


def test_an_announced_rule_waits_for_its_date() -> None:
    begins = datetime.date(2027, 1, 1)
    (cap,) = seeds.announced("cn-tenor-six-months", begins)
    assert (cap.from_on, cap.figures) == (begins, {"months": 6})
    rules = seeds.law_pack("cn")[0].rules
    assert cap.name not in {rule.name for rule in rules}
    amended = seeds.amended(rules, (cap, *rules[:1]))
    assert amended[:2] == (cap, rules[0])
    assert len(amended) == len(rules) + 1
    assert check_rules(amended) is None


def test_a_seed_that_is_not_there() -> None:
    with pytest.raises(DecodeError, match=r"calendars/fr\.json"):
        seeds.calendar("fr")


def test_every_file_is_named_in_the_sources() -> None:
    root = Path(str(files("tallystick.seeds")))
    sources = (root / "SOURCES.md").read_text(encoding="utf-8")
    for path in sorted(root.rglob("*.*")):
        name = path.relative_to(root).as_posix()
        if path.suffix in (".json", ".toml"):
            assert f"`{name}`" in sources or f"`{path.parent.name}/*.json`" in sources, name
