"""The rows of wages: the `WageSheet` of a tranche with what is in which state, and its lines in `WageChunk`s.

A line is named by its number in the sheet, from 1; a chunk holds `CHUNK_LINES` of them, the last one the rest. The
release writes the sheet alone: a line that the custodian has not reported on is in transit from then on, which
`state_of` reads from its chunk and the sheet together.
"""

from enum import Enum
from typing import Annotated, TypeAlias

from msgspec import Meta
from msgspec.structs import replace

from tallystick.kernel.core.fields import AccountId, Code, Count, Currency, Hash, MemberId, PlanId, Position, Struct
from tallystick.kernel.core.record import Queue, Record
from tallystick.kernel.law.records import Judgement
from tallystick.kernel.plans.records import TrancheNumber
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.instants import Instant

CHUNK_LINES = 500
MAX_LINES = 50_000
MAX_CHUNKS = MAX_LINES // CHUNK_LINES

LineNumber: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_LINES)]
ChunkNumber: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_CHUNKS)]


class LineState(Enum):
    """pending -> in_transit -> paid | returned; returned -> corrected (in transit again) | withdrawn; paid -> returned.

    Of these `paid` and `withdrawn` are ends, though a bank may return days later what it reported as paid.
    """

    PENDING = "pending"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    RETURNED = "returned"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"


class SheetState(Enum):
    """Where a sheet stands in its life."""

    UPLOADING = "uploading"
    COMPLETE = "complete"  # its sum is what the tranche claims
    RELEASED = "released"  # the money has left escrow and is on its way to the workers
    DONE = "done"  # every line is paid or withdrawn
    VOID = "void"  # the tranche ended without release: nobody is paid by it


class WageLine(Struct):
    """What one worker is owed, and where it is paid: salted commitments, so that nobody can guess who it is.

    `worker` commits to name and identity, `account` to holder, number and bank. `reason` is why the bank last returned
    it, and `attempt` counts how often it was sent.
    """

    worker: Hash
    account: Hash
    units: Units
    state: LineState = LineState.PENDING
    attempt: Annotated[int, Meta(ge=1, le=255)] = 1
    reason: Code | None = None


class WageChunk(Record):
    """Up to 500 lines of a sheet, in their order. Its id is `<plan>/<tranche>/<chunk>`."""

    table = "wage_chunk"

    lines: Annotated[tuple[WageLine, ...], Meta(min_length=1, max_length=CHUNK_LINES)]


class LineSum(Struct):
    """How many lines of a sheet are in a state, and what they come to."""

    state: LineState
    lines: Count
    units: Units


class WageSheet(Record):
    """The wages of one tranche: how many lines and how much they declare, and what has become of them.

    Its id is `<plan>/<tranche>`. `chunks` are the sums of the chunks that came, zero for one that has not. `standing`
    counts the lines by state, from the completion on. `deadline` is when whatever is still open after the release is
    told to everybody concerned.
    """

    table = "wage_sheet"

    plan: PlanId
    tranche: TrancheNumber
    payer: MemberId
    payee: MemberId
    custodian: MemberId
    refund_account: AccountId  # the project's special account, where what is withdrawn goes back to
    currency: Currency
    lines: Annotated[int, Meta(ge=1, le=MAX_LINES)]
    units: Units
    state: SheetState
    opened: Position
    chunks: Annotated[tuple[Units, ...], Meta(min_length=1, max_length=MAX_CHUNKS)]
    standing: tuple[LineSum, ...] = ()
    deadline: Instant | None = None
    completed: Position | None = None
    released: Position | None = None
    judged: Judgement | None = None

    @property
    def is_open(self) -> bool:
        """Whether money of it is on its way, or owed to a worker whose line came back."""
        return self.state is SheetState.RELEASED

    @property
    def open_units(self) -> Units:
        """What of it stands in transit: neither paid nor withdrawn."""
        if not self.is_open:
            return ZERO
        return Units(self.units - self.sum_of(LineState.PAID).units - self.sum_of(LineState.WITHDRAWN).units)

    def sum_of(self, state: LineState) -> LineSum:
        """What is in a state."""
        for each in self.standing:
            if each.state is state:
                return each
        return LineSum(state=state, lines=0, units=ZERO)

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        waits = self.is_open and self.deadline is not None
        return ((Queue.LAPSE, self.deadline.plus(1)),) if waits and self.deadline is not None else ()

    def live_for(self) -> tuple[str, ...]:
        return (self.payer, self.payee, self.custodian) if self.is_open else ()

    def labels(self) -> tuple[str, ...]:
        return (f"wages_of/{self.plan}",)


def sheet_id(plan: str, number: int) -> str:
    """The id of the sheet of a plan's tranche."""
    return f"{plan}/{number}"


def chunk_id(plan: str, number: int, chunk: int) -> str:
    """The id of a chunk of the sheet of a plan's tranche."""
    return f"{plan}/{number}/{chunk}"


def chunks_of(lines: int) -> int:
    """How many chunks so many lines take."""
    return -(-lines // CHUNK_LINES)


def lines_in(lines: int, chunk: int) -> int:
    """How many of a sheet's `lines` stand in `chunk`."""
    return min(CHUNK_LINES, lines - (chunk - 1) * CHUNK_LINES)


def place_of(line: int) -> tuple[int, int]:
    """The chunk in which a line stands, from 1, and its index in there, from 0."""
    chunk, index = divmod(line - 1, CHUNK_LINES)
    return chunk + 1, index


def first_line(chunk: int) -> int:
    """The number of a chunk's first line."""
    return (chunk - 1) * CHUNK_LINES + 1


def state_of(sheet: WageSheet, line: WageLine) -> LineState:
    """Where a line stands. Until somebody reports on it, that follows from its sheet."""
    if line.state is not LineState.PENDING:
        return line.state
    match sheet.state:
        case SheetState.RELEASED | SheetState.DONE:
            return LineState.IN_TRANSIT
        case SheetState.VOID:
            return LineState.WITHDRAWN
        case _:
            return LineState.PENDING


def shifted(sheet: WageSheet, moves: dict[tuple[LineState, LineState], tuple[int, int]]) -> WageSheet:
    """`sheet` with lines counted in another state: for (from, to), how many and what they come to."""
    counted = {state: [each.lines, int(each.units)] for state in LineState for each in (sheet.sum_of(state),)}
    for (before, after), (lines, units) in moves.items():
        for state, sign in ((before, -1), (after, 1)):
            counted[state][0] += sign * lines
            counted[state][1] += sign * units
    standing = tuple(
        LineSum(state=state, lines=lines, units=Units(units)) for state, (lines, units) in counted.items() if lines
    )
    return replace(sheet, standing=standing)
