"""Blocks without due work beside a million deadlines: those that wait, and those that have passed and are worked off.

Each block holds one step, handed in when the one before is durable. The deadlines are rows of the due queues alone, all
queues alike, spread over the year to come (or gone): what a block that has none due may have to step over.
"""

import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tallystick.kernel.core.record import Queue, due_row
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.process import settle_collector
from tallystick.ledger.store import Batch, Family, RocksStore
from tallystick.wire.ids import record_id
from tallystick.wire.instants import DAY_MS, Instant
from tools.bench.ledger import now
from tools.bench.steps import CHAIN_ID, NODE_KEY, Consortium, committed

YEAR_MS = 365 * DAY_MS
WRITTEN_AT_ONCE = 100_000


@dataclass(frozen=True)
class BlockTime:
    """Milliseconds of a block of one step: processor time on average, and the median on the wall."""

    cpu_ms: float
    wall_ms: float


@dataclass(frozen=True)
class Due:
    """The same blocks over queues in three conditions."""

    none: BlockTime
    waiting: BlockTime
    passed: BlockTime


def measure(directory: Path, deadlines: int, blocks: int) -> Due:
    """Time `blocks` blocks on an empty ledger, with `deadlines` to come, and with as many that came and went."""
    shutil.rmtree(directory, ignore_errors=True)
    consortium = Consortium(*now())
    genesis = consortium.genesis()
    _, request = consortium.issue_stages()[0]
    stories = iter(consortium.stories(1, 3 * (blocks + 1)))

    def timed() -> BlockTime:
        engine = EmbeddedEngine(RocksStore(directory), NODE_KEY, genesis)
        settle_collector()
        raws = [request(next(stories)) for _ in range(blocks + 1)]
        committed([engine.submit(raws.pop())])
        taken, burnt = [], time.process_time()
        for raw in raws:
            started = time.perf_counter()
            committed([engine.submit(raw)])
            taken.append(time.perf_counter() - started)
        found = BlockTime((time.process_time() - burnt) / blocks * 1e3, statistics.median(taken) * 1e3)
        engine.close()
        return found

    none = timed()
    _write(directory, deadlines, lambda batch, row: batch.put(Family.INDEX, row, b""), consortium.now.plus(DAY_MS))
    waiting = timed()
    _write(directory, deadlines, lambda batch, row: batch.delete(Family.INDEX, row), consortium.now.plus(DAY_MS))
    before = Instant(consortium.now - YEAR_MS - DAY_MS)
    _write(directory, deadlines, lambda batch, row: batch.put(Family.INDEX, row, b""), before)
    _write(directory, deadlines, lambda batch, row: batch.delete(Family.INDEX, row), before)
    passed = timed()
    shutil.rmtree(directory, ignore_errors=True)
    return Due(none, waiting, passed)


def _write(directory: Path, count: int, change: Callable[[Batch, bytes], None], since: Instant) -> None:
    store = RocksStore(directory)
    queues = tuple(Queue)
    for first in range(0, count, WRITTEN_AT_ONCE):
        batch = Batch()
        for number in range(first, min(first + WRITTEN_AT_ONCE, count)):
            at = since.plus(YEAR_MS // count * number)
            key = f"waiting/{record_id('pln', CHAIN_ID, 'deadline', str(number), 0)}"
            change(batch, due_row((queues[number % len(queues)], at), key).encode())
        store.write(batch)
    store.close()
