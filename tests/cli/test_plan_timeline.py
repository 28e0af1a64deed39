"""The drawings of a plan: bars in proportion, an axis on which every day has its place."""

import datetime
import io

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tallystick.cli.plan_timeline import Part, Row, bar, timeline
from tallystick.wire.amounts import MAX_UNITS

DAYS = st.dates(datetime.date(2026, 1, 1), datetime.date(2029, 12, 31))
GLYPHS = "█▓▒=×-·"
D = datetime.date


def drawn(rows: list[Row], today: datetime.date | None, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width).print(timeline(rows, today, width))
    return file.getvalue().splitlines()


@given(st.lists(st.integers(0, MAX_UNITS), min_size=1, max_size=7), st.integers(7, 100))
def test_a_bar_fills_its_width_and_forgets_nothing(units: list[int], width: int) -> None:
    parts = [Part(str(number), one, GLYPHS[number], "") for number, one in enumerate(units)]
    text = bar(parts, width).plain
    assert len(text) == width
    assert {part.glyph for part in parts if part.units} <= set(text)
    whole = sum(units)
    for part in parts:
        if part.units and whole:
            assert abs(text.count(part.glyph) - part.units * width / whole) < len(parts)


def test_a_bar_in_proportion() -> None:
    assert bar([Part("a", 750, "█", ""), Part("b", 250, "·", "")], 8).plain == "██████··"
    assert bar([Part("a", 10**9, "█", ""), Part("b", 1, "×", "")], 8).plain == "███████×"
    assert bar([Part("a", 0, "█", "")], 8).plain == "········"


@given(
    st.lists(st.tuples(DAYS, DAYS, DAYS, st.none() | DAYS), min_size=1, max_size=5), DAYS, st.sampled_from([80, 120])
)
def test_no_line_is_wider_than_the_terminal(
    days: list[tuple[D, D, D, D | None]], today: datetime.date, width: int
) -> None:
    rows = [Row("1 合符屋顶工程第一期验收", fund, min(a, b), max(a, b), kept) for fund, a, b, kept in days]
    lines = drawn(rows, today, width)
    assert len(lines) == len(rows) + 2
    assert all(cell_len(line.rstrip()) <= width for line in lines)
    assert all("▼" in line for line in lines[1:-1])


def test_a_timeline() -> None:
    rows = [
        Row("1 Foundation", D(2026, 12, 1), D(2026, 12, 11), D(2026, 12, 11)),
        Row("2 Roof", D(2026, 12, 6), D(2026, 12, 11), D(2026, 12, 31), is_over=True),
        Row("3 A title that is much too long", D(2026, 12, 21), D(2026, 12, 26), D(2027, 1, 5), D(2027, 1, 10)),
    ]
    lines = [line.rstrip() for line in drawn(rows, D(2026, 12, 3), 21 + 41)]
    assert lines[0] == " " * 21 + f"{rows[0].fund_by!s:<31}2027-01"
    assert lines[1] == "1 Foundation         ▼ ┊       ◆"
    assert lines[2] == "2 Roof                 ┊  ▼    ━━━━━━━━━━━━━━━━━━━━━"
    assert lines[3].startswith("3 A title that is m…   ┊")
    assert lines[3].endswith("▼    ├─────────┤    ◇")
