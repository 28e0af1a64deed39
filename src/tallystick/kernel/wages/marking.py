"""Changing named lines of a released sheet and nothing else: only their chunks are written, and the sheet's counts.

An operation names its lines in ascending order, each once. Cost: each chunk that holds a named line is read and written
once, and the sheet once.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from msgspec.structs import replace

from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.wages.records import (
    LineState,
    SheetState,
    WageChunk,
    WageLine,
    WageSheet,
    chunk_id,
    place_of,
    sheet_id,
    shifted,
    state_of,
)
from tallystick.kernel.wages.releasing import repair_deadline
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status

Change = Callable[[int, WageLine, LineState], WageLine | Refusal]
"""What becomes of a line, given its number and state; or why it may not."""

OPEN_STATES = (LineState.IN_TRANSIT, LineState.CORRECTED)
"""Where a line is on its way to the worker."""


@dataclass(slots=True)
class Marked:
    """Lines in their new state, by chunk, and how many moved from which state to which."""

    sheet: WageSheet
    chunks: dict[int, list[WageLine]] = field(default_factory=dict)
    lines: dict[int, list[int]] = field(default_factory=dict)
    moves: dict[tuple[LineState, LineState], tuple[int, int]] = field(default_factory=dict)

    def units(self, before: Iterable[LineState], after: LineState) -> Units:
        """What moved from these states to that one."""
        return Units(sum(self.moves.get((state, after), (0, 0))[1] for state in before))


def find_released(step: Step, plan: str, number: int, currency: str) -> WageSheet | Refusal:
    """The sheet of a tranche whose wages were released: not_found, wrong_state, currency_mismatch."""
    sheet = step.find(WageSheet, sheet_id(plan, number))
    if sheet is None:
        return refuse(Status.NOT_FOUND, plan=plan, tranche=number)
    if sheet.state not in (SheetState.RELEASED, SheetState.DONE):
        return refuse(Status.WRONG_STATE, plan=plan, tranche=number, state=sheet.state.value)
    if currency != sheet.currency:
        return refuse(Status.CURRENCY_MISMATCH, sheet=sheet.currency, stated=currency)
    return sheet


def check_ascending(sheet: WageSheet, numbers: tuple[int, ...], field: str) -> Refusal | None:
    """Each line of the sheet at most once, in ascending order."""
    for before, after in pairwise(numbers):
        if before >= after:
            return refuse(Status.BAD_VALUE, field=field, line=after, reason="not_ascending")
    if numbers and numbers[-1] > sheet.lines:
        return refuse(Status.NOT_FOUND, plan=sheet.plan, tranche=sheet.tranche, line=numbers[-1])
    return None


def mark(step: Step, sheet: WageSheet, numbers: Iterable[int], change: Change) -> Marked | Refusal:
    """The lines of `numbers`, ascending, as `change` makes them; nothing is written yet."""
    marked = Marked(sheet)
    moves: dict[tuple[LineState, LineState], tuple[int, int]] = {}
    for number in numbers:
        chunk, index = place_of(number)
        lines = marked.chunks.get(chunk)
        if lines is None:
            row = step.get(WageChunk, chunk_id(sheet.plan, sheet.tranche, chunk))
            lines = marked.chunks[chunk] = list(row.lines)
            marked.lines[chunk] = []
        line = lines[index]
        before = state_of(sheet, line)
        changed = change(number, line, before)
        if isinstance(changed, Refusal):
            return changed
        lines[index] = changed
        marked.lines[chunk].append(number)
        count, units = moves.get((before, changed.state), (0, 0))
        moves[before, changed.state] = (count + 1, units + int(line.units))
    marked.moves = moves
    return marked


def wrong_state(number: int, state: LineState) -> Refusal:
    """A line that is not where the operation needs it."""
    return refuse(Status.WRONG_STATE, line=number, state=state.value)


def write(step: Step, marked: Marked) -> WageSheet:
    """Write the changed chunks and the sheet, which is done once nothing is on its way or returned."""
    for chunk, lines in marked.chunks.items():
        sheet = marked.sheet
        step.put(WageChunk(id=chunk_id(sheet.plan, sheet.tranche, chunk), lines=tuple(lines)))
    counted = shifted(marked.sheet, marked.moves)
    open_lines = sum(counted.sum_of(state).lines for state in (*OPEN_STATES, LineState.RETURNED))
    if open_lines:
        counted = replace(counted, state=SheetState.RELEASED, deadline=repair_deadline(step))
    else:
        counted = replace(counted, state=SheetState.DONE, deadline=None)
    step.put(counted)
    return counted


def ranges(numbers: Iterable[int]) -> str:
    """Ascending line numbers as people write them: `1-499,501`."""
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in _runs(numbers))


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = 0
    for number in numbers:
        if first and number == last + 1:
            last = number
            continue
        if first:
            yield first, last
        first = last = number
    if first:
        yield first, last
