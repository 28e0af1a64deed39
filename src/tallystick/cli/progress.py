"""A progress bar on standard error, where somebody is looking."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tallystick.cli.output import Output


@contextmanager
def progress(output: Output, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far a long piece of work has come; yields a function that takes steps done."""
    if not output.errors.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=output.errors) as bar:
        task = bar.add_task(what, total=total)
        yield lambda steps: bar.advance(task, steps)
