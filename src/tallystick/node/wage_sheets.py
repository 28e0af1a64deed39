"""Handing the lines of a payroll in, chunk after chunk, and what else the two sides do with a sheet's lines.

A chunk's transaction id follows from its content, so the same file, whole or after a kill in the middle, doubles
nothing: what stands on the ledger is passed over. Whoever pays the workers is given the lines with their salts, and
checks each against the ledger before it pays.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tallystick.kernel.core import codec
from tallystick.kernel.plans.records import Plan
from tallystick.kernel.wages.correcting import CorrectedLine, CorrectWageLines
from tallystick.kernel.wages.lines import LineCommitment, UploadWageLines
from tallystick.kernel.wages.records import (
    CHUNK_LINES,
    WageChunk,
    WageLine,
    WageSheet,
    chunk_id,
    chunks_of,
    first_line,
    place_of,
    sheet_id,
)
from tallystick.kernel.wages.results import ReportWages, ReturnedLine
from tallystick.ledger.engine import Committed, Outcome, RefusedAtDoor
from tallystick.node.session import Session
from tallystick.node.tables import Rejected, Row, read_table
from tallystick.node.wage_lines import (
    Account,
    Committing,
    Correction,
    Payroll,
    PayrollLine,
    Result,
    Worker,
    account_commitment,
    line_number,
    worker_commitment,
)
from tallystick.wire.amounts import Units
from tallystick.wire.envelope import Envelope
from tallystick.wire.errors import DecodeError
from tallystick.wire.status import Status

ATTEMPTS = 32
SHARED_COLUMNS = (
    "line",
    "name",
    "identity",
    "identity_kind",
    "account",
    "bank",
    "units",
    "worker_salt",
    "account_salt",
)


class Sheet:
    """The sheet of one tranche as the ledger has it."""

    def __init__(self, session: Session, plan: Plan, number: int) -> None:
        self._session = session
        self.plan = plan
        self.number = number

    @property
    def row(self) -> WageSheet | None:
        """Its row, if lines of it have come."""
        found = self._session.engine.query(f"wage_sheet/{sheet_id(self.plan.id, self.number)}").record
        return found if isinstance(found, WageSheet) else None

    def standing(self) -> WageSheet:
        """Its row. Raises `DecodeError` where there is none."""
        row = self.row
        if row is None:
            raise DecodeError(f"tranche {self.number} of {self.plan.id} has no wage lines")
        return row

    def chunk(self, chunk: int) -> WageChunk | None:
        """A chunk, if it has come."""
        found = self._session.engine.query(f"wage_chunk/{chunk_id(self.plan.id, self.number, chunk)}").record
        return found if isinstance(found, WageChunk) else None

    def lines(self) -> Iterator[tuple[int, WageLine]]:
        """Every line that has come, with its number."""
        for chunk in range(1, chunks_of(self.standing().lines) + 1):
            row = self.chunk(chunk)
            if row is not None:
                yield from enumerate(row.lines, first_line(chunk))

    def named(self, numbers: Sequence[int]) -> dict[int, WageLine]:
        """The lines of these numbers. Raises `DecodeError` naming one that is not in the sheet."""
        chunks: dict[int, WageChunk | None] = {}
        found = {}
        for number in numbers:
            chunk, index = place_of(number)
            if chunk not in chunks:
                chunks[chunk] = self.chunk(chunk)
            row = chunks[chunk]
            if row is None or index >= len(row.lines):
                raise DecodeError(f"the sheet has no line {number}", "line")
            found[number] = row.lines[index]
        return found


@dataclass(slots=True)
class Uploaded:
    """What became of a payroll's chunks. `outcome` is that of the chunk at which it stopped, with its operation."""

    chunks: int
    handed_in: int = 0
    already_in: int = 0
    outcome: Outcome | None = None
    operation: UploadWageLines | None = None


class Upload:
    """The payroll of one tranche on its way to the ledger."""

    def __init__(
        self, session: Session, sheet: Sheet, payroll: Payroll, committing: Committing, *, anew: bool = False
    ) -> None:
        self._session = session
        self.sheet = sheet
        self._anew = anew
        self.units = Units(sum(line.units for line in payroll.lines))
        self.count = len(payroll.lines)
        lines = [committing.line(line) for line in payroll.lines]
        self._chunks = [tuple(lines[at : at + CHUNK_LINES]) for at in range(0, len(lines), CHUNK_LINES)]

    @property
    def chunks(self) -> int:
        """How many chunks it takes."""
        return len(self._chunks)

    def operations(self) -> Iterator[UploadWageLines]:
        """The chunks that do not stand on the ledger yet, to be handed in in this order."""
        missing = [(chunk, lines) for chunk, lines in enumerate(self._chunks, 1) if not self._stands(chunk, lines)]
        for place, (chunk, lines) in enumerate(missing):
            yield self._operation(chunk, lines, begins=place == 0)

    def run(self, actor: str, advance: Callable[[int], None], named: tuple[str, ...] = ()) -> Uploaded:
        """Hand in what is missing, one chunk after the other; stop at the first that is not taken."""
        done = Uploaded(len(self._chunks))
        for chunk, lines in enumerate(self._chunks, 1):
            if self._stands(chunk, lines):
                done.already_in += 1
            else:
                operation = self._operation(chunk, lines, begins=True)
                done.outcome = self._hand_in(operation, actor, named)
                if not (isinstance(done.outcome, Committed) and done.outcome.status is Status.OK):
                    done.operation = operation
                    return done
                done.handed_in += 1
            advance(1)
        return done

    def signed(self, operation: UploadWageLines, actor: str, named: tuple[str, ...] = (), attempt: int = 0) -> Envelope:
        """A chunk's transaction with the keys that are here."""
        body = self._session.body((operation,), actor, id=transaction_id(operation, attempt))
        return self._session.sign(body, (actor,), named=named)

    def _hand_in(self, operation: UploadWageLines, actor: str, named: tuple[str, ...]) -> Outcome:
        """A transaction id that an earlier refusal or another form of the chunk has used up gives way to the next."""
        outcome: Outcome = RefusedAtDoor(Status.DUPLICATE_ID_OTHER_CONTENT)
        for attempt in range(ATTEMPTS):
            outcome = self._session.hand_in(self.signed(operation, actor, named, attempt)).outcome
            used_up = isinstance(outcome, RefusedAtDoor) and outcome.status is Status.DUPLICATE_ID_OTHER_CONTENT
            if not used_up:
                return outcome
        return outcome

    def _operation(self, chunk: int, lines: tuple[LineCommitment, ...], *, begins: bool) -> UploadWageLines:
        """A chunk's upload. The first that is handed in begins the sheet anew where that was asked for and needed."""
        row = self.sheet.row
        other_totals = row is not None and (row.lines, row.units) != (self.count, self.units)
        return UploadWageLines(
            plan=self.sheet.plan.id,
            tranche=self.sheet.number,
            currency=self.sheet.plan.currency,
            units=self.units,
            count=self.count,
            chunk=chunk,
            lines=lines,
            anew=self._anew and begins and other_totals,
        )

    def _stands(self, chunk: int, lines: tuple[LineCommitment, ...]) -> bool:
        row = self.sheet.row
        if row is None or (row.lines, row.units) != (self.count, self.units):
            return False
        there = self.sheet.chunk(chunk)
        return there is not None and [_key(line) for line in there.lines] == [_key(line) for line in lines]


def _key(line: WageLine | LineCommitment) -> tuple[str, str, Units]:
    return line.worker, line.account, line.units


def transaction_id(operation: UploadWageLines, attempt: int = 0) -> str:
    """The id of the transaction that brings a chunk in."""
    mark = hashlib.sha256(codec.encode(operation)).hexdigest()
    return f"wage.{mark[:40]}" + (f".{attempt}" if attempt else "")


def report_of(sheet: Sheet, results: Sequence[Result], reference: str) -> ReportWages:
    """The custodian's report on lines. Raises `DecodeError` naming one that is not in the sheet."""
    lines = sheet.named([one.line for one in results])
    paid = tuple(one.line for one in results if not one.reason)
    returned = tuple(ReturnedLine(line=one.line, reason=one.reason) for one in results if one.reason)
    return ReportWages(
        plan=sheet.plan.id,
        tranche=sheet.number,
        bank_reference=reference,
        currency=sheet.plan.currency,
        units=Units(sum(lines[number].units for number in paid)),
        returned_units=Units(sum(lines[one.line].units for one in returned)),
        paid=paid,
        returned=returned,
    )


class Corrected(NamedTuple):
    """The corrections of a file as operations, and those that name another worker than their line."""

    operations: list[CorrectWageLines]
    rejected: list[Rejected]


def corrections_of(sheet: Sheet, corrections: Sequence[Correction], committing: Committing) -> Corrected:
    """Corrected lines by 500. One whose worker is not the line's own is told apart here, before anything is signed."""
    lines = sheet.named([one.line for one in corrections])
    made: list[CorrectedLine] = []
    rejected = []
    for one in corrections:
        commitments = committing.of(one.worker, one.account)
        if commitments.worker != lines[one.line].worker:
            rejected.append(Rejected(one.row, "identity: this is not the worker whose wages line it is"))
            continue
        made.append(CorrectedLine(line=one.line, worker=commitments.worker, account=commitments.account))
    operations = []
    for at in range(0, len(made), CHUNK_LINES):
        batch = tuple(made[at : at + CHUNK_LINES])
        operations.append(
            CorrectWageLines(
                plan=sheet.plan.id,
                tranche=sheet.number,
                currency=sheet.plan.currency,
                units=Units(sum(lines[one.line].units for one in batch)),
                lines=batch,
            )
        )
    return Corrected(operations, rejected)


def shared_rows(
    sheet: Sheet, wanted: Sequence[PayrollLine | Correction], committing: Committing
) -> Iterator[list[object]]:
    """Lines with their salts, for whoever pays them. Raises `DecodeError` at one that is not as the ledger has it."""
    numbers = [one.line if isinstance(one, Correction) else place for place, one in enumerate(wanted, 1)]
    lines = sheet.named(numbers)
    for number, one in zip(numbers, wanted, strict=True):
        made = committing.of(one.worker, one.account)
        line = lines[number]
        if (made.worker, made.account) != (line.worker, line.account):
            raise DecodeError(f"line {one.row.line} is not line {number} of the sheet", "FILE")
        yield [
            number,
            *one.worker,
            one.account.account,
            one.account.bank,
            str(int(line.units)),
            made.worker_salt.hex(),
            made.account_salt.hex(),
        ]


class Checked(NamedTuple):
    """What a file of shared lines came to when it was laid beside the ledger."""

    lines: int
    units: Units
    rejected: list[Rejected]


def check_shared(sheet: Sheet, path: Path) -> Checked:
    """Hold every line of a shared file to the ledger: its worker, its account, its amount. Raises `DecodeError`."""
    columns, rows = read_table(path)
    missing = [name for name in SHARED_COLUMNS if name not in columns]
    if missing:
        raise DecodeError(f"no column {', '.join(missing)}", f"{path}, line 1")
    ledger = dict(sheet.lines())
    units = 0
    rejected: list[Rejected] = []
    seen: set[int] = set()
    for row in rows:
        if isinstance(row, Rejected):
            rejected.append(row)
            continue
        wrong = _wrong_in(row, ledger, seen)
        if wrong:
            rejected.append(Rejected(row, wrong))
        else:
            units += int(row.cells["units"])
    return Checked(len(rows) - len(rejected), Units(units), rejected)


def _wrong_in(row: Row, ledger: dict[int, WageLine], seen: set[int]) -> str:
    """What a shared line says that the ledger does not, or nothing."""
    cells = row.cells
    try:
        number = line_number(cells["line"])
    except DecodeError as error:
        return str(error)
    line = ledger.get(number)
    if line is None or number in seen:
        return "line: there is no such line, or it is named twice"
    seen.add(number)
    try:
        worker_salt, account_salt = (bytes.fromhex(cells[name]) for name in ("worker_salt", "account_salt"))
    except ValueError:
        return "salt: not hexadecimal"
    worker = Worker(cells["name"], cells["identity"], cells["identity_kind"])
    if worker_commitment(worker, worker_salt) != line.worker:
        return "worker: not the one on the ledger"
    account = Account(cells["name"], cells["account"], cells["bank"])
    if account_commitment(account, account_salt) != line.account:
        return "account: not the one on the ledger"
    return "" if cells["units"] == str(int(line.units)) else "units: not the amount on the ledger"
