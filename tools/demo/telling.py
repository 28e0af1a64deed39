"""What the demo prints: one line a step while it runs, with a spinner where somebody is looking."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

TITLE_WIDTH = 21
WIDEST = 100
COLUMNS = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())


class Step:
    """A step under way: what it says when it is done, and how far it has come."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        """A line about what happened."""
        self.lines.append(text)

    def expect(self, steps: int) -> None:
        """How many transactions are coming."""
        self._progress.update(self._task, total=steps, completed=0)

    def advance(self, steps: int) -> None:
        """So many are done."""
        self._progress.advance(self._task, steps)


class Telling:
    """The demo's voice on one console."""

    def __init__(self, console: Console | None = None) -> None:
        found = console or Console(highlight=False, emoji=False)
        found.width = min(found.width, WIDEST)
        self.console = found
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the demo has been running."""
        return time.monotonic() - self._began

    def show(self, *parts: RenderableType) -> None:
        """Print."""
        for part in parts:
            self.console.print(part)

    def chapter(self, title: str) -> None:
        """A heading."""
        self.console.print(f"\n[bold]{title}[/]")

    def progress(self) -> Progress:
        """What moves while a step is under way, where somebody is looking."""
        return Progress(*COLUMNS, console=self.console, transient=True, disable=not self.console.is_terminal)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """A step of the story; what it says is printed once it is done."""
        with self.progress() as progress:
            task = progress.add_task(title, total=None)
            step = Step(progress, task)
            yield step
        line = Table.grid(padding=(0, 1))
        line.add_column(width=1)
        line.add_column(width=TITLE_WIDTH)
        line.add_column(overflow="fold")
        line.add_row("[green]✓[/]", title, Text.from_markup("\n".join(step.lines)))
        self.console.print(line)
