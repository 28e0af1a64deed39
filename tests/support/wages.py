"""Scenes of wages, set by running real operations: a funded wage plan, its lines uploaded, released, reported on.

Payer and payee have a maker's and a checker's key each. Worker and account of line 7 of whoever `mark` names are
`worker(7)` and `account(7)`; nothing of them can be read, as on a real ledger.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.machine import Result
from tallystick.kernel.membership.keys import AddKey
from tallystick.kernel.membership.records import KeyRole
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.products.records import Business
from tallystick.kernel.wages.correcting import CorrectedLine, CorrectWageLines, WithdrawWageLines
from tallystick.kernel.wages.lines import LineCommitment, UploadWageLines
from tallystick.kernel.wages.records import (
    CHUNK_LINES,
    LineState,
    WageChunk,
    WageLine,
    WageSheet,
    chunk_id,
    chunks_of,
    first_line,
    lines_in,
    place_of,
    state_of,
)
from tallystick.kernel.wages.results import ReportWages, ReturnedLine
from tallystick.wire.amounts import Units
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.accounts import check_books, stands
from tests.support.members import key_of, public
from tests.support.plans import check_plans, funded_plan, tranche
from tests.support.plans import state_of as tranche_state
from tests.support.products import Cast, cast
from tests.support.world import World

RELEASE_AT = Instant.parse("2026-04-01T01:00:00.000Z")


def worker(line: int, mark: str = "") -> str:
    """The commitment to a line's worker."""
    return hashlib.sha256(f"worker {line} {mark}".encode()).hexdigest()


def account(line: int, mark: str = "") -> str:
    """The commitment to a line's account."""
    return hashlib.sha256(f"account {line} {mark}".encode()).hexdigest()


def staff(world: World, member: str) -> None:
    """Give a member a maker's and a checker's key; from then on its maker signs for it, and its admin no more."""
    for role in (KeyRole.MAKER, KeyRole.CHECKER):
        key = key_of(f"{member} {role.value}")
        world.do(AddKey(key=public(key), role=role), by=member, keys=(key,))
    world.keys[member] = key_of(f"{member} maker")


@dataclass
class Payroll:
    """A wage plan with one tranche that has its money, and what its lines are to be."""

    c: Cast
    plan: str
    amounts: tuple[int, ...]

    @property
    def world(self) -> World:
        return self.c.world

    @property
    def units(self) -> Units:
        """The control sum."""
        return Units(sum(self.amounts))

    @property
    def sheet(self) -> WageSheet:
        found: WageSheet = self.world.row(WageSheet, f"{self.plan}/1")
        return found

    @property
    def transit(self) -> int:
        """What stands in transit."""
        return stands(self.world, f"transit/{self.c.custodian}/CNY/{self.plan}/1")

    def chunk(self, number: int) -> WageChunk:
        found: WageChunk = self.world.row(WageChunk, chunk_id(self.plan, 1, number))
        return found

    def line(self, number: int) -> WageLine:
        """A line as it stands on the ledger."""
        chunk, index = place_of(number)
        return self.chunk(chunk).lines[index]

    def states(self) -> list[LineState]:
        """The state of every line, in order."""
        sheet = self.sheet
        return [state_of(sheet, line) for number in self.chunk_numbers() for line in self.chunk(number).lines]

    def chunk_numbers(self) -> range:
        return range(1, chunks_of(len(self.amounts)) + 1)

    def commitments(self, chunk: int) -> tuple[LineCommitment, ...]:
        """A chunk's lines."""
        first = first_line(chunk)
        return tuple(
            LineCommitment(worker=worker(number), account=account(number), units=Units(self.amounts[number - 1]))
            for number in range(first, first + lines_in(len(self.amounts), chunk))
        )

    def upload_of(self, chunk: int = 1, **fields: Any) -> UploadWageLines:
        """A chunk's upload."""
        said: dict[str, Any] = {
            "currency": "CNY",
            "units": self.units,
            "count": len(self.amounts),
            "chunk": chunk,
            "tranche": 1,
            "plan": self.plan,
            **fields,
        }
        if "lines" not in said:
            said["lines"] = self.commitments(chunk)
        return UploadWageLines(**said)

    def results_of(self, paid: Sequence[int] = (), returned: Sequence[int] = (), **fields: Any) -> ReportWages:
        """The custodian's report, `returned` because their accounts are closed."""
        said: dict[str, Any] = {
            "plan": self.plan,
            "tranche": 1,
            "bank_reference": f"BATCH-{self.world.height}",
            "currency": "CNY",
            "units": self.sum_of(paid),
            "returned_units": self.sum_of(returned),
            "paid": tuple(paid),
            "returned": tuple(ReturnedLine(line=number, reason="account_closed") for number in returned),
            **fields,
        }
        return ReportWages(**said)

    def correction_of(self, *numbers: int, **fields: Any) -> CorrectWageLines:
        """New accounts for returned lines."""
        lines = tuple(
            CorrectedLine(line=number, worker=worker(number), account=account(number, "new")) for number in numbers
        )
        said = {"plan": self.plan, "tranche": 1, "currency": "CNY", "units": self.sum_of(numbers), "lines": lines}
        return CorrectWageLines(**{**said, **fields})

    def withdrawal_of(self, *numbers: int, **fields: Any) -> WithdrawWageLines:
        """Returned lines taken out."""
        said = {"plan": self.plan, "tranche": 1, "currency": "CNY", "units": self.sum_of(numbers), "lines": numbers}
        return WithdrawWageLines(**{**said, "reason": "paid_in_cash", **fields})

    def sum_of(self, numbers: Sequence[int]) -> Units:
        return Units(sum(self.amounts[number - 1] for number in numbers))

    def by_payer(self, operation: Operation, expect: Status = Status.OK, vector: str = "") -> Result:
        """The payer's step, by its maker and its checker."""
        checker = key_of(f"{self.c.payer} checker")
        return self.world.do(operation, by=self.c.payer, keys=(checker,), expect=expect, vector=vector)

    def by_both(self, operation: Operation, expect: Status = Status.OK, vector: str = "") -> Result:
        """A step of payer and payee, each by its maker and its checker."""
        checkers = tuple(key_of(f"{member} checker") for member in (self.c.payer, self.c.payee))
        return self.world.do(
            operation, by=self.c.payer, also=(self.c.payee,), keys=checkers, expect=expect, vector=vector
        )

    def by_custodian(self, operation: Operation, expect: Status = Status.OK, vector: str = "") -> Result:
        return self.world.do(operation, by=self.c.custodian, expect=expect, vector=vector)

    def uploaded(self) -> "Payroll":
        """With all its lines, which is its claim."""
        for chunk in self.chunk_numbers():
            self.by_payer(self.upload_of(chunk))
        return self

    def released(self) -> "Payroll":
        """With its wages on their way: uploaded, accepted by the payer, the day and the objection window over."""
        if f"wage_sheet/{self.plan}/1" not in self.world.state.rows:
            self.uploaded()
        evidence = tranche_state(self.world, self.plan).evidence
        accept = AcceptEvidence(plan=self.plan, tranche=1, currency="CNY", units=self.units, evidence=evidence)
        self.world.do(accept, by=self.c.payer)
        self.world.wait(until=RELEASE_AT)
        until = tranche_state(self.world, self.plan).object_until
        if until is not None:
            self.world.wait(until=until.plus(1))
        assert self.sheet.released is not None
        return self

    def check(self) -> None:
        """Every line is in exactly one state; counts, sums, postings and books agree."""
        check_plans(self.world)
        check_books(self.world)
        sheet = self.sheet
        states = self.states()
        assert len(states) == sheet.lines
        for state in LineState:
            numbers = [number for number, found in enumerate(states, 1) if found is state]
            counted = sheet.sum_of(state)
            assert (counted.lines, counted.units) == (len(numbers), self.sum_of(numbers)), state
        owed = (LineState.IN_TRANSIT, LineState.CORRECTED, LineState.RETURNED)
        assert self.transit == sum(sheet.sum_of(state).units for state in owed)
        assert sheet.open_units == self.transit


def payroll(
    amounts: Sequence[int] = (300_000, 450_000, 250_000),
    *,
    up_to: int = 0,
    objection_days: int = 3,
    c: Cast | None = None,
    **fields: Any,
) -> Payroll:
    """A funded wage plan whose tranche is as large as the amounts, or `up_to` as large. `fields` are the tranche's.

    In a world of its own, or that of `c`.
    """
    c = c or cast()
    for member in (c.payer, c.payee):
        staff(c.world, member)
    units = up_to or sum(amounts)
    step = tranche(units, wages=True, up_to=bool(up_to), **fields)
    plan = funded_plan(c.world, c, step, business=Business.WAGES, objection_days=objection_days)
    return Payroll(c, plan, tuple(amounts))


def many(count: int = CHUNK_LINES + 3) -> tuple[int, ...]:
    """Different amounts for so many workers."""
    return tuple(1_000 + number % 97 for number in range(count))
