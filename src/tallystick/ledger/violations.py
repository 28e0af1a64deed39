"""What a check over a whole ledger is, what it finds, and how it reads one record after another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from tallystick.kernel.core.record import Record
from tallystick.ledger.engine import Engine

R = TypeVar("R", bound=Record)

PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold, and the record that shows it."""

    record: str
    what: str

    def __str__(self) -> str:
        return f"{self.record}: {self.what}"


Check = Callable[[Engine], Iterator[Violation | None]]
"""Looks at one thing after another: None where it holds, and ends at the first `Violation`."""


def rows_of(engine: Engine, kind: type[R]) -> Iterator[R]:
    """Every record of a kind, by its id."""
    after = ""
    while True:
        page = engine.scan(kind.table, after, PAGE)
        yield from (row for row in page if isinstance(row, kind))
        if len(page) < PAGE:
            return
        after = page[-1].id
