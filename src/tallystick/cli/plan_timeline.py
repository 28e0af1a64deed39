"""A plan along time: an axis of days with each tranche's deposit and release window, and bars of its money.

Every mark has a shape of its own, so that nothing is lost without colours or on paper.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

LABEL_WIDTH = 20
LEAST_AXIS, MOST_AXIS = 24, 100
MONTH_WIDTH = len("2026-12 ")
LEGEND = "▼ deposit due  ├─┤ release window  ◆ one day  ━ over  ◇ retention out  ┊ today"


@dataclass(frozen=True, slots=True)
class Part:
    """Some of an amount, and how it is drawn."""

    name: str
    units: int
    glyph: str
    style: str


def bar(parts: Sequence[Part], width: int) -> "Text":
    """The parts as cells in proportion; whatever is not nothing has at least one."""
    from rich.text import Text

    drawn = [part for part in parts if part.units]
    whole = sum(part.units for part in drawn)
    text = Text()
    if not whole:
        return text.append("·" * width, style="dim")
    cells = [max(1, part.units * width // whole) for part in drawn]
    while sum(cells) != width:
        step = 1 if sum(cells) < width else -1
        # the one that is furthest from its due gives or takes a cell
        place = max(
            (number for number in range(len(cells)) if step > 0 or cells[number] > 1),
            key=lambda number: step * (drawn[number].units * width - cells[number] * whole),
            default=-1,
        )
        if place < 0:
            break
        cells[place] += step
    for part, count in zip(drawn, cells, strict=True):
        text.append(part.glyph * count, style=part.style)
    return text


@dataclass(frozen=True, slots=True)
class Row:
    """A tranche's days on the axis."""

    label: str
    fund_by: datetime.date
    release_from: datetime.date
    release_until: datetime.date
    retained_until: datetime.date | None = None
    is_over: bool = False

    @property
    def days(self) -> tuple[datetime.date, ...]:
        """Every day that must have its place."""
        kept = () if self.retained_until is None else (self.retained_until,)
        return (self.fund_by, self.release_from, self.release_until, *kept)


def timeline(rows: Sequence[Row], today: datetime.date | None, width: int) -> "RenderableType":
    """The rows over one axis, `width` cells in all; a month's name stands over its first day. It reaches to `today`."""
    from rich.cells import set_cell_size
    from rich.console import Group
    from rich.text import Text

    across = max(LEAST_AXIS, min(width - LABEL_WIDTH - 1, MOST_AXIS))
    days = [day for row in rows for day in row.days] + ([] if today is None else [today])
    axis = _Axis(min(days), max(days), across)
    lines = [Text(" " * (LABEL_WIDTH + 1) + axis.months(), style="dim")]
    for row in rows:
        label = set_cell_size(row.label, LABEL_WIDTH) if len(row.label) <= LABEL_WIDTH else _cut(row.label)
        lines.append(Text(f"{label} ").append(_drawn(row, axis, today)))
    lines.append(Text(f" {LEGEND}", style="dim"))
    return Group(*lines)


def _cut(label: str) -> str:
    from rich.cells import set_cell_size

    return set_cell_size(label, LABEL_WIDTH - 1) + "…"


@dataclass(frozen=True, slots=True)
class _Axis:
    first: datetime.date
    last: datetime.date
    width: int

    def column(self, day: datetime.date) -> int:
        """The cell of a day."""
        days = max((self.last - self.first).days, 1)
        return (day - self.first).days * (self.width - 1) // days

    def months(self) -> str:
        """The axis' heading: the first day, then each month that has room."""
        cells = list(f"{self.first.isoformat():<{self.width}}"[: self.width])
        free_from = len(self.first.isoformat()) + 1
        month = self.first.replace(day=1)
        while True:
            month = (month + datetime.timedelta(days=31)).replace(day=1)
            if month > self.last:
                return "".join(cells)
            at = self.column(month)
            if at >= free_from and at + MONTH_WIDTH <= self.width + 1:
                cells[at : at + MONTH_WIDTH - 1] = f"{month:%Y-%m}"
                free_from = at + MONTH_WIDTH


def _drawn(row: Row, axis: _Axis, today: datetime.date | None) -> "Text":
    from rich.text import Text

    cells = [(" ", "")] * axis.width
    if today is not None:
        cells[axis.column(today)] = ("┊", "yellow")
    begin, end = axis.column(row.release_from), axis.column(row.release_until)
    line, style = ("━", "green") if row.is_over else ("─", "cyan")
    for at in range(begin, end + 1):
        cells[at] = (line, style)
    if begin == end:
        cells[begin] = ("◆", style)
    elif not row.is_over:
        cells[begin], cells[end] = ("├", style), ("┤", style)
    if row.retained_until is not None:
        cells[axis.column(row.retained_until)] = ("◇", "magenta")
    cells[axis.column(row.fund_by)] = ("▼", "yellow")
    text = Text()
    for glyph, own in cells:
        text.append(glyph, style=own)
    return text
