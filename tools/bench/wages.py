"""Wages through the embedded engine: seconds to upload, release and report on sheets of growing length.

python -m tools.bench.wages [LINES ...]

The scene (a funded wage plan) is set by real operations in memory and laid into an empty ledger. Every transaction is
signed beforehand; what is timed are raw bytes in to durable receipts out: the chunks, the acceptance that releases the
tranche in the same step, and the custodian's report on all lines, of which one in a hundred is returned, corrected and
paid.
"""

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.records import Plan
from tallystick.kernel.wages.records import CHUNK_LINES, SheetState, WageSheet
from tallystick.ledger.engine import Committed
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.process import settle_collector
from tallystick.ledger.store import RocksStore
from tallystick.wire.status import Status
from tests.support.chain import founded
from tests.support.laying import lay
from tests.support.ledger import NODE_KEY
from tests.support.members import key_of
from tests.support.wages import RELEASE_AT, Payroll, payroll

DIRECTORY = Path("var/bench/wages")
SIZES = (1_000, 5_000, 10_000)
RETURNED_EVERY = 100


@dataclass(frozen=True)
class Timing:
    """Seconds of engine time for one sheet, and of the writer's processor for all of it."""

    lines: int
    upload: float
    release: float
    results: float
    repair: float
    cpu_seconds: float

    @property
    def total(self) -> float:
        return self.upload + self.release + self.results + self.repair


class Desk:
    """An engine with one funded wage plan, whose clock stands on the day of the release."""

    def __init__(self, directory: Path, lines: int) -> None:
        self.scene = payroll([1_000 + number % 97 for number in range(lines)], objection_days=0)
        self.scene.world.wait(until=RELEASE_AT)
        shutil.rmtree(directory, ignore_errors=True)
        genesis = founded()
        EmbeddedEngine(RocksStore(directory), NODE_KEY, genesis, self._clock).close()
        lay(directory, self.scene.world.state.rows.values())
        self.engine = EmbeddedEngine(RocksStore(directory), NODE_KEY, genesis, self._clock)
        settle_collector()
        self.engine.expect_load()
        self.cpu_seconds = 0.0

    def _clock(self) -> int:
        return int(self.scene.world.now)

    def sign(self, *operations: Operation, by: str, four_eyes: bool = False) -> list[bytes]:
        """One transaction for each operation."""
        keys = (key_of(f"{by} checker"),) if four_eyes else ()
        return [self.scene.world.sign(operation, by=by, keys=keys) for operation in operations]

    def timed(self, raws: list[bytes]) -> float:
        """Hand the transactions in, in order; seconds until the last has its receipt."""
        started, burnt = time.perf_counter(), time.process_time()
        outcomes = self.engine.submit_many(raws)
        seconds = time.perf_counter() - started
        self.cpu_seconds += time.process_time() - burnt
        for outcome in outcomes:
            if not isinstance(outcome, Committed) or outcome.status is not Status.OK:
                raise RuntimeError(f"a step was refused: {outcome}")
        return seconds


def measure(directory: Path, lines: int) -> Timing:
    """One sheet from its first chunk to its last paid line."""
    desk = Desk(directory, lines)
    p = desk.scene
    payer, custodian = p.c.payer, p.c.custodian
    uploads = desk.sign(*(p.upload_of(chunk) for chunk in p.chunk_numbers()), by=payer, four_eyes=True)
    upload = desk.timed(uploads)
    release = desk.timed(desk.sign(_acceptance(desk, p), by=payer))
    returned = range(RETURNED_EVERY, lines + 1, RETURNED_EVERY)
    paid = [number for number in range(1, lines + 1) if number % RETURNED_EVERY]
    results = desk.timed(desk.sign(p.results_of(paid, returned, bank_reference="BATCH-1"), by=custodian))
    corrections = (p.correction_of(*returned[at : at + CHUNK_LINES]) for at in range(0, len(returned), CHUNK_LINES))
    repair = desk.timed(
        desk.sign(*corrections, by=payer, four_eyes=True)
        + desk.sign(p.results_of(returned, bank_reference="BATCH-2"), by=custodian)
    )
    sheet = desk.engine.query(f"wage_sheet/{p.plan}/1").record
    desk.engine.close()
    shutil.rmtree(directory, ignore_errors=True)
    if not isinstance(sheet, WageSheet) or sheet.state is not SheetState.DONE:
        raise RuntimeError(f"the sheet is not done: {sheet}")
    return Timing(lines, upload, release, results, repair, desk.cpu_seconds)


def _acceptance(desk: Desk, p: Payroll) -> AcceptEvidence:
    plan = desk.engine.query(f"plan/{p.plan}").record
    if not isinstance(plan, Plan):
        raise TypeError("the plan is gone")
    evidence = plan.tranches[0].evidence
    return AcceptEvidence(plan=p.plan, tranche=1, currency="CNY", units=p.units, evidence=evidence)


def main() -> None:
    sizes = tuple(int(word) for word in sys.argv[1:]) or SIZES
    table = Table(title="Wages through the embedded engine, seconds")
    for column in ("lines", "upload", "release", "results", "repair of 1 %", "in all", "writer us a line"):
        table.add_column(column, justify="right")
    for lines in sizes:
        one = measure(DIRECTORY, lines)
        figures = (one.upload, one.release, one.results, one.repair, one.total)
        table.add_row(f"{lines:,}", *(f"{seconds:.3f}" for seconds in figures), f"{one.cpu_seconds / lines * 1e6:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
