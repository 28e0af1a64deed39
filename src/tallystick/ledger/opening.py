"""Opening a ledger: an empty store gets its genesis, a written one is checked against it and loaded.

Used by every engine. The genesis rows are blinded from SHA-256 of the genesis bytes, so whoever holds the genesis can
recompute the first app hash.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from tallystick.kernel.core.record import Record
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Chain
from tallystick.kernel.chain_rows import Entropy
from tallystick.kernel.core import codec
from tallystick.kernel.genesis import Genesis, chain_of, initial_rows
from tallystick.ledger.archive import Archive
from tallystick.ledger.committed import CommittedState
from tallystick.ledger.execution import BLIND_DOMAIN, Roots
from tallystick.ledger.store import Batch, Family, Store
from tallystick.ledger.tree import Tree
from tallystick.proof.comet import BlockId, Header
from tallystick.proof.state_proof import NO_RECEIPTS
from tallystick.wire.errors import DecodeError

SEEN_WINDOW = 1_024
GENESIS_KEY = b"genesis"
TIP_KEY = b"tip"


class Tip(msgspec.Struct, frozen=True, array_like=True):
    """Where the chain stands: the last block, or height 0 after genesis."""

    height: int
    time_ns: int
    state_root: bytes
    receipts_root: bytes
    header: Header | None = None
    block_id: BlockId | None = None
    commit_hash: bytes = b""
    results_hash: bytes = b""


_encode_tip = msgspec.msgpack.Encoder().encode
_decode_tip = msgspec.msgpack.Decoder(Tip).decode


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

    @property
    def roots(self) -> Roots:
        return Roots(self.tip.state_root, self.tip.receipts_root)


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
    """Let a block's batch move the tip."""
    batch.put(Family.META, TIP_KEY, _encode_tip(tip))


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
    for key, record in overlay.records.items():
        name = key.encode()
        stored = hashlib.sha256(BLIND_DOMAIN + seed + bytes(8) + name).digest() + codec.encode(record)
        batch.put(Family.STATE, name, stored)
        changes.append((hashlib.sha256(name).digest(), hashlib.sha256(stored).digest()))
    for row in overlay.index:
        batch.put(Family.INDEX, row.encode(), b"")
    delta = tree.prepare(changes)
    for bucket, listing in delta.buckets.items():
        batch.put(Family.TREE, bucket.to_bytes(4, "big"), listing)
    batch.put(Family.META, GENESIS_KEY, raw)
    put_tip(batch, Tip(0, int(genesis.time) * 1_000_000, delta.root, NO_RECEIPTS))
    return batch


def open_ledger(store: Store, genesis: Genesis | None) -> Opened:
    """Load the ledger in `store`, writing `genesis` first if it is empty.

    Raises `DecodeError` where the store holds another chain, is empty and no genesis is given, or is damaged.
    """
    raw = store.get(Family.META, GENESIS_KEY)
    if raw is None:
        if genesis is None:
            raise DecodeError("the data directory holds no ledger yet and no genesis was given")
        store.write(genesis_batch(genesis))
        raw = codec.encode(genesis)
    elif genesis is not None and codec.encode(genesis) != raw:
        raise DecodeError("the data directory holds the ledger of another genesis")
    stored_genesis = codec.decode(Genesis, raw, "the stored genesis")
    tip = _read_tip(store)
    chain = chain_of(stored_genesis)
    tree = Tree.load(
        chain.tree_depth, ((int.from_bytes(key, "big"), value) for key, value in store.range(Family.TREE, b""))
    )
    if tree.root != tip.state_root:
        raise DecodeError("the state tree does not have the root that the last block states; the store is damaged")
    archive = Archive(store)
    first = max(tip.height - SEEN_WINDOW, 1)
    hashes = {block.header.height: block.header.hash().hex() for block in archive.blocks(first)}
    return Opened(stored_genesis, chain, tip, CommittedState(store, tree, hashes), tree, archive, hashes)


def _read_tip(store: Store) -> Tip:
    raw = store.get(Family.META, TIP_KEY)
    try:
        return _decode_tip(raw or b"")
    except msgspec.DecodeError as error:
        raise DecodeError(f"the ledger's tip can't be read: {error}") from None
