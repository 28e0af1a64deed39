"""Replaying a whole ledger from its genesis and holding every row of its store to what follows; names the first fault.

Nothing of the ledger is believed but the genesis that the caller pins. Each archived block is executed again on a
replica in a scratch directory (`replay.replay_block`: header, commit, signatures, results, events, roots), then every
row of the store is compared with the replica's: records, index, tree, receipts. A run that was interrupted goes on from
the replica, whose blocks it has checked itself. What must never happen is checked on top of that (`invariants.audit`).

A ledger that came by state sync lacks the blocks before: its replica begins with a snapshot. The next header vouches
for the snapshot's state, last block and last results; for its receipts nothing does but whoever gave it. That of a
chain with a predecessor begins with the snapshot that its genesis names, which vouches for all of it.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tallystick.kernel.chain_rows import Revision
from tallystick.kernel.core import codec
from tallystick.kernel.genesis import Genesis
from tallystick.kernel.governance.records import Engine
from tallystick.ledger.archive import (
    ArchivedBlock,
    BlockBody,
    Light,
    decode_body,
    decode_light,
    encode_body,
    encode_light,
    height_key,
)
from tallystick.ledger.execution import ExecutedBlock
from tallystick.ledger.growth import begin_from_snapshot, carried_blocks
from tallystick.ledger.opening import (
    COPY_KEY,
    GENESIS_KEY,
    HASH_PREFIX,
    RESTORING_KEY,
    Opened,
    Tip,
    open_ledger,
    put_tip,
    read_revisions,
    read_tip,
)
from tallystick.ledger.replay import is_attested, replay_block, replay_body
from tallystick.ledger.restoring import open_revision
from tallystick.ledger.snapshots import read_manifest, restore
from tallystick.ledger.store import Family, RocksStore, Store
from tallystick.wire.errors import DecodeError

COMPARED = (Family.STATE, Family.INDEX, Family.TREE, Family.RECEIPTS, Family.HASHES, Family.META)
ONLY_HERE = (COPY_KEY, RESTORING_KEY)
"""Notes about the directory itself, which no block writes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that does not hold: at which height, in which transaction or row, and what."""

    height: int
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Check:
    """One check of the ledger in `ledger`, with its replica in `scratch`; from `snapshot` on, where one is given.

    Raises `DecodeError` where the check can't be made: no ledger, another genesis, or blocks that are not kept.
    """

    def __init__(self, ledger: Store, genesis: Genesis, scratch: Path, snapshot: Path | None = None) -> None:
        self._ledger = ledger
        self._snapshot = snapshot
        self._genesis = genesis
        self._scratch = scratch
        stored = ledger.get(Family.META, GENESIS_KEY)
        if stored is None:
            raise DecodeError("there is no ledger here", ledger.where)
        if stored != codec.encode(genesis):
            raise DecodeError("the ledger was begun from another genesis than the one given", ledger.where)
        self.height = read_tip(ledger).height
        self._replica = self._open_replica()
        self._revisions = {revision.fork_height: revision for revision in read_revisions(ledger)}
        self.checked = self._opened.tip.height
        """The height up to which blocks hold, here or in the run before."""
        self.unattested = 0
        """Blocks that were executed again, and whose header and commit are not here: a consortium's newest."""
        self.short_of_votes: list[int] = []
        """Heights whose commit holds too few votes that every verifier takes; the next header names the block."""

    def run(self, advance: Callable[[int], None]) -> Fault | None:
        """Check block after block, then row after row. `advance` takes the number of blocks done."""
        fault = self._first_bad_carried() or self._first_bad_block(advance) or self._first_bad_row()
        self._replica.close()
        shutil.rmtree(self._scratch)
        return fault

    def stop(self) -> None:
        """Give up for now; the next check goes on from here."""
        self._replica.close()

    def _open_replica(self) -> Store:
        replica = RocksStore(self._scratch, synced=False)
        if _is_written(replica):
            self._opened: Opened = open_ledger(replica, None)
            if self._is_of_this_ledger():
                return replica
        replica.close()
        shutil.rmtree(self._scratch)
        replica = RocksStore(self._scratch, synced=False)
        if self._snapshot is not None:
            _take_in(self._snapshot, self._genesis, replica)
        self._opened = open_ledger(replica, self._genesis)
        return replica

    def _is_of_this_ledger(self) -> bool:
        """Whether the replica of an earlier run is of this genesis and ends in a block of this ledger."""
        if codec.encode(self._opened.genesis) != codec.encode(self._genesis):
            return False
        tip = self._opened.tip
        if not tip.block_hash:
            return True
        raw = self._ledger.get(Family.LIGHTS, height_key(tip.height))
        return raw is not None and decode_light(raw, tip.height).header.hash() == tip.block_hash

    def _first_bad_carried(self) -> Fault | None:
        """A predecessor's blocks are not executed again: each is bound by hashes to the one that the genesis names."""
        if next(self._ledger.range(Family.BLOCKS, b"", height_key(self._genesis.initial_height)), None) is None:
            return None
        try:
            for _ in carried_blocks(self._ledger, self._genesis, self._opened.validators):
                pass
        except DecodeError as error:
            return Fault(self._genesis.initial_height - 1, error.where, error.what)
        return None

    def _first_bad_block(self, advance: Callable[[int], None]) -> Fault | None:
        try:
            for block in self._blocks():
                self._revise()
                executed, tip = self._replay(block)
                put_tip(executed.batch, tip)
                self._replica.write(executed.batch)
                self._opened.advance(executed, tip)
                self.checked = tip.height
                advance(1)
            self._revise()
        except DecodeError as error:
            at = self.checked + 1
            return Fault(at, error.where or f"block {at}", error.what)
        if self.checked < self.height:
            return Fault(self.checked + 1, f"block {self.checked + 1}", f"is missing; the ledger is at {self.height}")
        return None

    def _replay(self, block: ArchivedBlock | BlockBody) -> tuple[ExecutedBlock, Tip]:
        if isinstance(block, ArchivedBlock):
            executed = replay_block(self._opened, block)
            if self._genesis.engine is Engine.EMBEDDED:
                return executed, Tip.after(executed, block.header, block.commit)
            if not is_attested(self._opened, block):
                self.short_of_votes.append(block.body.height)
            header = block.header
            return executed, Tip.decided(executed, header.time, header.hash(), header.app_hash)
        self.unattested += 1
        executed = replay_body(self._opened, block)
        said = self._ledger.get(Family.META, HASH_PREFIX + height_key(block.height)) or b""
        return executed, Tip.decided(executed, block.time, said, self._opened.roots.app_hash)

    def _blocks(self) -> Iterator[ArchivedBlock | BlockBody]:
        """The archived blocks after the replica's, each as it was written and none left out. Raises `DecodeError`."""
        expected = self.checked + 1
        for key, raw in self._ledger.range(Family.BLOCKS, height_key(expected)):
            if key != height_key(expected):
                kept = int.from_bytes(key, "big")
                if expected == 1:
                    raise DecodeError(f"blocks below {kept} are not kept here; check a ledger that has them", "block 1")
                raise DecodeError(f"is missing; the next one kept is {kept}", f"block {expected}")
            body = decode_body(raw, expected)
            if body.height != expected:
                raise DecodeError(f"holds a block of height {body.height}", f"block {expected}")
            if encode_body(body) != raw:
                raise DecodeError("is not in the form in which blocks are kept", f"block {expected}")
            light = self._light(expected)
            yield body if light is None else ArchivedBlock(body, light.header, light.commit)
            expected += 1

    def _light(self, height: int) -> Light | None:
        """Header and commit; under CometBFT those of the newest blocks come a moment after them."""
        raw = self._ledger.get(Family.LIGHTS, height_key(height))
        if raw is None:
            later = next(iter(self._ledger.range(Family.LIGHTS, height_key(height))), None)
            if later is None and self._genesis.engine is Engine.CONSORTIUM:
                return None
            raise DecodeError("its header is missing", f"block {height}")
        light = decode_light(raw, height)
        if encode_light(light) != raw:
            raise DecodeError("its header is not in the form in which headers are kept", f"block {height}")
        return light

    def _revise(self) -> None:
        """Where the ledger went on under a new chain id at this height, let the replica do the same."""
        revision = self._revisions.pop(self._opened.tip.height, None)
        if revision is None or any(row.id == revision.id for row in read_revisions(self._replica)):
            return
        made = open_revision(self._replica, revision.id)
        if made != Revision(id=revision.id, predecessor=revision.predecessor, fork_height=revision.fork_height):
            raise DecodeError("names another predecessor or height than it has", f"revision {revision.id}")
        self._opened = open_ledger(self._replica, None)

    def _first_bad_row(self) -> Fault | None:
        for family in COMPARED:
            difference = _first_difference(_rows(self._ledger, family), _rows(self._replica, family))
            if difference is not None:
                key, what = difference
                return Fault(self.checked, row_name(family, key), what)
        return None


def _take_in(snapshot: Path, genesis: Genesis, replica: Store) -> None:
    """Begin a replica with a snapshot: the one that a successor's genesis names, or one of the chain itself."""
    before = genesis.predecessor
    if before is not None and read_manifest(snapshot).digest == before.snapshot:
        begin_from_snapshot(snapshot, genesis, replica)
    else:
        restore(snapshot, replica)


def _is_written(store: Store) -> bool:
    return store.get(Family.META, GENESIS_KEY) is not None


def _rows(store: Store, family: Family) -> Iterator[tuple[bytes, bytes]]:
    for key, value in store.range(family, b""):
        if not (family is Family.META and key in ONLY_HERE):
            yield key, value


def _first_difference(
    kept: Iterator[tuple[bytes, bytes]], expected: Iterator[tuple[bytes, bytes]]
) -> tuple[bytes, str] | None:
    """The first key, in order, at which two ascending listings differ, and how."""
    while True:
        mine, its = next(kept, None), next(expected, None)
        if its is None and mine is None:
            return None
        if mine == its:
            continue
        if mine is None or (its is not None and its[0] < mine[0]):
            return (its or (b"",))[0], "is missing from the store"
        if its is None or mine[0] < its[0]:
            return mine[0], "stands in the store, but no block wrote it"
        return mine[0], "is not as the blocks wrote it"


def row_name(family: Family, key: bytes) -> str:
    """A row of the store in the ledger's own words."""
    match family:
        case Family.STATE:
            return f"record {key.decode(errors='replace')}"
        case Family.INDEX:
            return f"index row {key.decode(errors='replace')}"
        case Family.TREE:
            return f"bucket {int.from_bytes(key, 'big')} of the state tree"
        case Family.RECEIPTS:
            actor, _, transaction_id = key.partition(b"\x00")
            return f"receipt of {actor.decode(errors='replace')} {transaction_id.decode(errors='replace')}"
        case Family.HASHES:
            return f"result of transaction {key.hex()}"
        case _:
            return f"note {key.decode(errors='replace')} of the store"
