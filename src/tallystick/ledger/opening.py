"""Opening a ledger: an empty store gets its genesis, a written one is checked against it and loaded.

Used by every engine. The genesis rows are blinded from SHA-256 of the genesis bytes, so whoever holds the genesis can
recompute the first app hash.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import msgspec

from tallystick.kernel.chain_rows import Entropy, Revision
from tallystick.kernel.core import codec
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Chain
from tallystick.kernel.genesis import Genesis, chain_of, initial_rows
from tallystick.ledger.archive import Archive, height_key
from tallystick.ledger.committed import CommittedState
from tallystick.ledger.execution import ExecutedBlock, Roots, put_buckets, stored_row
from tallystick.ledger.store import Batch, Family, Store
from tallystick.ledger.tree import Tree
from tallystick.ledger.validators import IN_FORCE_AFTER, ValidatorHistory, changed_validators
from tallystick.proof.comet import BlockId, Commit, Header, results_hash
from tallystick.proof.state_proof import NO_RECEIPTS, app_hash, key_hash
from tallystick.wire.errors import DecodeError, InvariantViolation

SEEN_WINDOW = 1_024
GENESIS_KEY = b"genesis"
TIP_KEY = b"tip"
COPY_KEY = b"copy"
RESTORING_KEY = b"restoring"
HASH_PREFIX = b"hash/"
HASH_STOP = b"hash0"
REVISION_PREFIX = b"revision/"
REVISION_STOP = b"revision0"


class Tip(msgspec.Struct, frozen=True, array_like=True):
    """Where the chain stands: the last block, or height 0 after genesis."""

    height: int
    time_ns: int
    state_root: bytes
    receipts_root: bytes
    block_hash: bytes = b""
    stated_app_hash: bytes = b""
    results_hash: bytes = b""
    block_id: BlockId | None = None  # with the commit's hash, what the embedded engine builds the next header on
    commit_hash: bytes = b""

    @classmethod
    def after(cls, executed: ExecutedBlock, header: Header, commit: Commit) -> Self:
        """The tip that a signed block brings about."""
        decided = cls.decided(executed, header.time, header.hash(), header.app_hash)
        return msgspec.structs.replace(decided, block_id=commit.block_id, commit_hash=commit.hash())

    @classmethod
    def decided(cls, executed: ExecutedBlock, time_ns: int, block_hash: bytes, stated_app_hash: bytes) -> Self:
        """The tip that a decided block brings about, before anybody here has its commit; the same on every node."""
        return cls(
            executed.height,
            time_ns,
            executed.roots.state,
            executed.roots.receipts,
            block_hash,
            stated_app_hash,
            results_hash(executed.results),
        )

    @property
    def is_attested(self) -> bool:
        """Whether its own header states the present app hash: the block after the last change stands."""
        return self.stated_app_hash == app_hash(self.state_root, self.receipts_root)


_encode_tip = msgspec.msgpack.Encoder().encode
decode_tip = msgspec.msgpack.Decoder(Tip).decode


@dataclass(slots=True)
class Opened:
    """A ledger in memory: what its store holds, ready for the next block."""

    genesis: Genesis
    chain: Chain
    tip: Tip
    state: CommittedState
    tree: Tree
    archive: Archive
    hashes: dict[int, str]
    validators: ValidatorHistory
    predecessors: tuple[str, ...] = ()
    """The chain ids that this ledger had before its present one, oldest first."""
    copied_at: int | None = None
    """The height at which this ledger was copied (snapshot or backup), while nothing may be ordered on the copy."""

    @property
    def roots(self) -> Roots:
        return Roots(self.tip.state_root, self.tip.receipts_root)

    def advance(self, executed: ExecutedBlock, tip: Tip) -> None:
        """Follow a block whose batch is on the disk."""
        self.tree.commit(executed.delta)
        self.state.take_over(executed.overlay)
        changed = changed_validators(executed.overlay.records)
        if changed is not None:
            self.validators.add(executed.height + IN_FORCE_AFTER, changed)
        self.tip = tip
        if tip.block_hash:
            self.hashes[tip.height] = tip.block_hash.hex()
            self.hashes.pop(tip.height - SEEN_WINDOW, None)


class _NoState:
    """The state before genesis."""

    def find(self, key: str) -> Record | None:
        return None

    def index_range(self, start: str, stop: str) -> Iterator[str]:
        return iter(())

    def block_hash(self, height: int) -> str | None:
        return None

    def has_room(self, key: str) -> bool:
        return True


def put_tip(batch: Batch, tip: Tip) -> None:
    """Let a block's batch move the tip, and with it the window of hashes that `seen` may name."""
    batch.put(Family.META, TIP_KEY, _encode_tip(tip))
    if tip.block_hash:
        batch.put(Family.META, HASH_PREFIX + height_key(tip.height), tip.block_hash)
        if tip.height > SEEN_WINDOW:
            batch.delete(Family.META, HASH_PREFIX + height_key(tip.height - SEEN_WINDOW))


def genesis_batch(genesis: Genesis) -> Batch:
    """All rows of a new ledger: state, index, tree, the genesis itself and the tip at height 0."""
    raw = codec.encode(genesis)
    seed = hashlib.sha256(raw).digest()
    overlay = Overlay(_NoState())
    for record in (*initial_rows(genesis), Entropy(id="chain", value=hashlib.sha256(b"entropy" + seed).hexdigest())):
        overlay.put(record)
    tree = Tree(chain_of(genesis).tree_depth)
    batch = Batch()
    changes: list[tuple[bytes, bytes | None]] = []
    for key, row in overlay.records.items():
        stored = stored_row(seed, 0, key, codec.encode(row))
        batch.put(Family.STATE, key.encode(), stored)
        changes.append((key_hash(key), hashlib.sha256(stored).digest()))
    for index_row in overlay.index_changes():
        batch.put(Family.INDEX, index_row.encode(), b"")
    delta = tree.prepare(changes)
    put_buckets(batch, delta)
    batch.put(Family.META, GENESIS_KEY, raw)
    put_tip(batch, Tip(0, int(genesis.time) * 1_000_000, delta.root, NO_RECEIPTS))
    return batch


def open_ledger(store: Store, genesis: Genesis | None) -> Opened:
    """Load the ledger in `store`, writing `genesis` first if it is empty.

    Raises `DecodeError` where the store holds another chain, is empty and no genesis is given, or is damaged.
    """
    if store.get(Family.META, RESTORING_KEY) is not None:
        raise DecodeError(
            "a snapshot was not restored to its end here; empty the data directory and restore again", store.where
        )
    raw = store.get(Family.META, GENESIS_KEY)
    if raw is None:
        if genesis is None:
            raise DecodeError("the data directory holds no ledger yet and no genesis was given", store.where)
        store.write(genesis_batch(genesis))
        raw = codec.encode(genesis)
    elif genesis is not None and codec.encode(genesis) != raw:
        raise DecodeError("the data directory holds the ledger of another genesis", store.where)
    stored_genesis = codec.decode(Genesis, raw, f"{store.where}: the stored genesis")
    tip = read_tip(store)
    revisions = read_revisions(store)
    chain = chain_of(stored_genesis)
    if revisions:
        chain = replace(chain, chain_id=revisions[-1].id)
    tree = _load_tree(store, chain.tree_depth)
    if tree.root != tip.state_root:
        raise DecodeError(
            "the state tree does not have the root that the last block states; the store is damaged", store.where
        )
    hashes = read_hashes(store)
    if tip.block_hash and hashes.get(tip.height) != tip.block_hash.hex():
        raise DecodeError("the last block's hash is not the one that was kept; the store is damaged", store.where)
    copied = store.get(Family.META, COPY_KEY)
    return Opened(
        stored_genesis,
        chain,
        tip,
        CommittedState(store, tree, hashes),
        tree,
        Archive(store),
        hashes,
        ValidatorHistory.load(store, stored_genesis),
        tuple(revision.predecessor for revision in revisions),
        None if copied is None else int.from_bytes(copied, "big"),
    )


def read_tip(store: Store) -> Tip:
    """The stored tip. Raises `DecodeError`."""
    raw = store.get(Family.META, TIP_KEY)
    try:
        return decode_tip(raw or b"")
    except msgspec.DecodeError as error:
        raise DecodeError(f"the ledger's tip can't be read: {error}", store.where) from None


def read_hashes(store: Store) -> dict[int, str]:
    """Block hashes by height, as far back as `seen` may name them."""
    rows = store.range(Family.META, HASH_PREFIX, HASH_STOP)
    return {int.from_bytes(key.removeprefix(HASH_PREFIX), "big"): value.hex() for key, value in rows}


def read_revisions(store: Store) -> list[Revision]:
    """The revisions of the chain id, oldest first. Raises `DecodeError`."""
    rows = store.range(Family.META, REVISION_PREFIX, REVISION_STOP)
    return [codec.decode(Revision, raw, f"{store.where}: the stored revision") for _, raw in rows]


def put_revision(batch: Batch, number: int, revision: Revision) -> None:
    """Record the revision of the chain id that comes after `number` others."""
    batch.put(Family.META, REVISION_PREFIX + number.to_bytes(4, "big"), codec.encode(revision))


def _load_tree(store: Store, depth: int) -> Tree:
    try:
        return Tree.load(depth, ((int.from_bytes(key, "big"), row) for key, row in store.range(Family.TREE, b"")))
    except InvariantViolation as error:
        raise DecodeError(f"the state tree can't be read: {error}", store.where) from error
