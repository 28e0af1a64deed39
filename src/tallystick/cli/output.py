"""What commands print: tables for people, one JSON value for programs; and how a command ends."""

import datetime
import enum
import json
import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from tallystick.kernel.calendar.records import BusinessZone
    from tallystick.wire.instants import Instant


class Exit(enum.IntEnum):
    """The exit codes that scripts can rely on."""

    OK = 0
    REFUSED = 1
    BAD_INPUT = 2
    UNKNOWN = 3
    DAMAGED = 4


class Output:
    """Standard output and standard error of one command."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._console: Console | None = None
        self._errors: Console | None = None

    @property
    def console(self) -> "Console":
        """Where data goes."""
        if self._console is None:
            self._console = _console(stderr=False)
        return self._console

    @property
    def errors(self) -> "Console":
        """Where notes, progress and errors go."""
        if self._errors is None:
            self._errors = _console(stderr=True)
        return self._errors

    def show(self, *parts: "RenderableType") -> None:
        """Print for people, unless a program is reading."""
        if not self.as_json:
            for part in parts:
                self.console.print(part)

    def data(self, value: Any) -> None:
        """Print for a program, if one is reading."""
        if self.as_json:
            json.dump(value, sys.stdout, ensure_ascii=False, indent=1)
            sys.stdout.write("\n")

    def line(self, value: Any) -> None:
        """Print one JSON value on a line of its own, for streams."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
            sys.stdout.flush()

    def note(self, text: str) -> None:
        """Say something beside the data."""
        self.errors.print(text, style="dim", markup=False, highlight=False)

    def problem(self, text: str, *, details: Iterable[str] = ()) -> None:
        """Say what is wrong."""
        self.errors.print(f"error: {text}", style="red", markup=False, highlight=False, soft_wrap=True)
        for detail in details:
            self.errors.print(f"  {detail}", markup=False, highlight=False, soft_wrap=True)


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, emoji=False)


def table(*columns: str, right: Sequence[str] = (), title: str = "", keep: Sequence[str] = ()) -> "Table":
    """A table; columns named in `right` are right-aligned, those in `keep` are never wrapped or cut."""
    from rich import box
    from rich.table import Table

    made = Table(
        box=box.SIMPLE_HEAD,
        title=f"\n{title}" if title else None,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
    )
    for name in columns:
        is_right = name in right
        made.add_column(
            name, justify="right" if is_right else "left", no_wrap=is_right or name in keep, overflow="fold"
        )
    return made


def pairs(rows: Iterable[tuple[str, "RenderableType"]]) -> "Table":
    """Labels and values beside each other."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for label, value in rows:
        made.add_row(label, value)
    return made


def local_time(zone: "BusinessZone | None", instant: "Instant", *, seconds: bool = False) -> str:
    """An instant as the business zone's clocks show it."""
    from tallystick.kernel.calendar.days import offset_ms

    east = 0
    if zone is not None and zone.transitions:
        place = max(bisect_right([int(one.at) for one in zone.transitions], int(instant)) - 1, 0)
        east = offset_ms(zone.transitions[place].offset)
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(milliseconds=int(instant) + east)
    return moment.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")
