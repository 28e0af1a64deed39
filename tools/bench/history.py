"""What a ledger that ran the whole mix is good for afterwards: proofs of its rows, and a check of all of it by replay.

The same steps are executed once more, block by block as the writer does it, to see what part of a step the state tree
costs: preparing and committing it, and the three hashes of each row that exist for it alone.
"""

import hashlib
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tallystick.kernel.genesis import Genesis
from tallystick.kernel.transaction import read_checked
from tallystick.ledger.archive import NS_PER_MS
from tallystick.ledger.engine import Engine
from tallystick.ledger.execution import BlockExecution, ExecutedBlock, stored_row
from tallystick.ledger.fsck import Check
from tallystick.ledger.opening import Tip, open_ledger, put_tip
from tallystick.ledger.store import Family, RocksStore
from tallystick.ledger.tree import Tree, TreeDelta
from tallystick.proof.state_proof import key_hash
from tallystick.wire.instants import Instant
from tests.conformance.chain import until_proven
from tools.bench.ledger import Run, Spent

PROOFS = 10_000
PROVEN_TOGETHER = 100


@dataclass(frozen=True)
class History:
    """Microseconds of the writer's process for each kind of step; speeds a second; the tree's share of a step."""

    step_us: dict[str, float]
    fsck_steps_per_second: float
    proofs_per_second: float
    proofs_together_per_second: float
    tree_share: float


def measure(directory: Path, stories: int, plans: int) -> History:
    """A ledger of `stories` receivables and `plans` plans, made by real steps from its genesis."""
    run = Run(directory, 0)
    run.engine.expect_load()
    genesis = run.consortium.genesis()
    statuses: Counter[str] = Counter()
    step_us, waited = {}, Spent(0.0, 0.0)
    for stage in run.stages(stories, plans):
        if not stage.timed:
            waited = run.pass_time(stage.raws)
            continue
        step_us[stage.kind] = run.hand_in(stage.raws, statuses).cpu_seconds / len(stage.raws) * 1e6
    step_us["due, a plan"] = waited.cpu_seconds / plans * 1e6  # the last time that passed was the plans'
    if set(statuses) != {"ok"}:
        raise RuntimeError(f"steps were refused: {statuses}")
    alone, together = _proofs(run.engine)
    run.engine.close()
    checked = _check(directory, genesis, run.consortium.signed)
    share = _tree_share(directory, genesis)
    shutil.rmtree(directory, ignore_errors=True)
    return History(step_us, checked, alone, together, share)


def _proofs(engine: Engine) -> tuple[float, float]:
    """Rows proven a second, one proof for each, and one proof for many."""
    rows = [row.key for table in ("receivable", "plan", "review") for row in engine.scan(table, limit=PROOFS)]
    keys = sorted(rows, key=key_hash)[:PROOFS]
    until_proven(engine, keys[0])
    started = time.perf_counter()
    for key in keys:
        engine.prove(key)
    alone = time.perf_counter() - started
    started = time.perf_counter()
    for first in range(0, len(keys), PROVEN_TOGETHER):
        engine.prove_many(keys[first : first + PROVEN_TOGETHER])
    together = time.perf_counter() - started
    return len(keys) / alone, len(keys) / together


def _check(directory: Path, genesis: Genesis, steps: int) -> float:
    """Steps a second of the whole check."""
    store = RocksStore(directory)
    scratch = directory.with_name(f"{directory.name}-scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    started = time.perf_counter()
    fault = Check(store, genesis, scratch).run(lambda _: None)
    seconds = time.perf_counter() - started
    store.close()
    if fault is not None:
        raise RuntimeError(f"the ledger does not hold: {fault}")
    return steps / seconds


class _Timed(Tree):
    """A tree that knows how long it was at work."""

    __slots__ = ("seconds",)

    def __init__(self, depth: int) -> None:
        super().__init__(depth)
        self.seconds = 0.0

    def prepare(self, changes: object) -> TreeDelta:
        started = time.process_time()
        delta = super().prepare(changes)  # type: ignore[arg-type]
        self.seconds += time.process_time() - started
        return delta

    def commit(self, delta: TreeDelta) -> None:
        started = time.process_time()
        super().commit(delta)
        self.seconds += time.process_time() - started


def _tree_share(directory: Path, genesis: Genesis) -> float:
    """The part of the writer's time that goes into the state tree, over all blocks of the ledger."""
    store, scratch = RocksStore(directory), directory.with_name(f"{directory.name}-scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    replica = RocksStore(scratch)
    archive = open_ledger(store, None).archive
    opened = open_ledger(replica, genesis)
    listings = ((int.from_bytes(key, "big"), row) for key, row in replica.range(Family.TREE, b""))
    tree = opened.tree = _Timed.load(opened.tree.depth, listings)
    seconds = hashing = 0.0
    for block in archive.blocks(1):
        started = time.process_time()
        at = Instant(block.header.time // NS_PER_MS)
        execution = BlockExecution(
            opened.state, opened.archive, tree, opened.chain, opened.roots, block.header.height, at
        )
        for raw in block.transactions:
            execution.add(read_checked(raw))
        executed = execution.finish()
        tip = Tip.after(executed, block.header, block.commit)
        put_tip(executed.batch, tip)
        replica.write(executed.batch)
        opened.advance(executed, tip)
        seconds += time.process_time() - started
        hashing += _hashing(executed)
    replica.close()
    store.close()
    shutil.rmtree(scratch, ignore_errors=True)
    return (tree.seconds + hashing) / seconds


def _hashing(executed: ExecutedBlock) -> float:
    """Seconds for the hashes of a block's rows: blind, key and value."""
    rows = [(key, row) for key, row in executed.batch.families[Family.STATE].items() if row is not None]
    started = time.process_time()
    for name, row in rows:
        hashlib.sha256(name).digest()
        hashlib.sha256(stored_row(name, executed.height, "", row)).digest()
    return time.process_time() - started
