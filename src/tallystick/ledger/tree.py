"""The state tree: 16^depth buckets under flat arrays of hashes. Format and proofs: docs/spec/state-tree.md.

Two phases, because an engine may execute a block, drop the result and execute it again (CometBFT calls
FinalizeBlock twice for a height after a restart): `prepare` computes and changes nothing, `commit` writes
what it computed.

Measured at depth 5 on one server core with SHA instructions, in blocks of 2,000 to 8,000 updates: 5 to 6 us
an entry to prepare and 1 to commit over 1,000,000 rows (8.5 together over 5,000,000); loading takes 0.8 s
(1.4 s) and 165 MB (475 MB).

Two choices behind this. Buckets lie in a dict, not in a list: it takes 33 MB more, but the cyclic collector
leaves a dict of integers and bytes alone and walks a list of a million items for 26 ms at each full
collection. A delta holds whole groups of 16 children: prepare has to assemble the group to hash it, and
commit then writes one slice for each. Sorting the changes first costs more than the locality it gains.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from tallystick.proof.multiproof import MultiProof, prove_many
from tallystick.proof.state_proof import (
    BUCKET_TAG,
    ENTRY_BYTES,
    FANOUT,
    GROUP_BYTES,
    HASH_BYTES,
    INNER_TAG,
    MAX_DEPTH,
    MIN_DEPTH,
    TreeProof,
    bucket_index,
    empty_hashes,
)
from tallystick.wire.errors import InvariantViolation

DEFAULT_DEPTH = 5


@dataclass(frozen=True, slots=True)
class TreeDelta:
    """What one block does to a tree; worth nothing to a tree whose root is not `base_root`."""

    base_root: bytes
    root: bytes
    buckets: dict[int, bytes]
    """The buckets that differ, by index, whole. An empty one is to be forgotten."""
    groups: tuple[dict[int, bytearray], ...]
    """By level from the root: inner node -> its 16 children's hashes, where any of them differs."""


class Tree:
    """A committed state's tree, held in memory by the one process that executes blocks.

    Memory at depth d: 34 bytes * 16^d for the inner levels (36 MB at 5, 570 MB at 6), about 180 for each
    bucket in use and 64 for each entry of it after the first.
    """

    __slots__ = ("_buckets", "_groups", "_largest", "_root", "_shift", "depth")

    def __init__(self, depth: int = DEFAULT_DEPTH) -> None:
        if not MIN_DEPTH <= depth <= MAX_DEPTH:
            raise InvariantViolation(f"a state tree of depth {depth}")
        self.depth = depth
        self._shift = 4 * (MAX_DEPTH - depth)
        empty = empty_hashes(depth)
        self._root = empty[0]
        # _groups[l]: the hashes at level l + 1, 16 for each node of level l
        self._groups = [bytearray(empty[level] * FANOUT**level) for level in range(1, depth + 1)]
        self._buckets: dict[int, bytes] = {}
        self._largest = 0  # no bucket was ever longer, in bytes

    @classmethod
    def load(cls, depth: int, buckets: Iterable[tuple[int, bytes]]) -> Self:
        """Rebuild the inner levels over stored buckets.

        The caller compares `root` with the one it expects: that, and not this function, finds a wrong
        bucket.
        """
        tree = cls(depth)
        tree._buckets = {index: listing for index, listing in buckets if listing}
        touched: Iterable[int] = tree._buckets
        hashes = tree._groups[-1]
        for index, listing in tree._buckets.items():
            if not 0 <= index < FANOUT**depth or len(listing) % ENTRY_BYTES:
                raise InvariantViolation(f"bucket {index} of {len(listing)} bytes in a tree of depth {depth}")
            hashes[index * HASH_BYTES : (index + 1) * HASH_BYTES] = sha256(BUCKET_TAG + listing).digest()
        tree._largest = max(map(len, tree._buckets.values()), default=0)
        for level in range(depth - 1, -1, -1):
            touched = sorted({index // FANOUT for index in touched})
            children = tree._groups[level]
            for node in touched:
                digest = sha256(INNER_TAG + children[node * GROUP_BYTES : (node + 1) * GROUP_BYTES]).digest()
                if level:
                    tree._groups[level - 1][node * HASH_BYTES : (node + 1) * HASH_BYTES] = digest
                else:
                    tree._root = digest
        return tree

    @property
    def root(self) -> bytes:
        """The state root of what was committed last."""
        return self._root

    def bucket_entries(self, key_hash: bytes) -> int:
        """How many committed records share the bucket of `key_hash`."""
        return len(self._buckets.get(bucket_index(key_hash, self.depth), b"")) // ENTRY_BYTES

    @property
    def most_entries(self) -> int:
        """A bound on how many records any one bucket holds, so that a question about a bucket is rarely asked."""
        return self._largest // ENTRY_BYTES

    def prepare(self, changes: Iterable[tuple[bytes, bytes | None]]) -> TreeDelta:
        """The tree after `changes`: key hash and new value hash, or None to remove; of two, the later counts.

        Leaves the tree as it is. Removing what is not there changes nothing.
        """
        buckets = self._changed_buckets(changes)
        hashes = {index: sha256(BUCKET_TAG + listing).digest() for index, listing in buckets.items()}
        groups: list[dict[int, bytearray]] = []
        for committed in reversed(self._groups):
            touched: dict[int, bytearray] = {}
            for index, digest in hashes.items():
                node = index // FANOUT
                group = touched.get(node)
                if group is None:
                    group = touched[node] = committed[node * GROUP_BYTES : (node + 1) * GROUP_BYTES]
                at = index % FANOUT * HASH_BYTES
                group[at : at + HASH_BYTES] = digest
            hashes = {node: sha256(INNER_TAG + group).digest() for node, group in touched.items()}
            groups.append(touched)
        groups.reverse()
        return TreeDelta(self._root, hashes.get(0, self._root), buckets, tuple(groups))

    def commit(self, delta: TreeDelta) -> None:
        """Make a prepared delta the committed state."""
        if delta.base_root != self._root:
            raise InvariantViolation("a tree delta is committed to another state than it was prepared on")
        for index, listing in delta.buckets.items():
            if listing:
                self._buckets[index] = listing
                self._largest = max(self._largest, len(listing))
            else:
                self._buckets.pop(index, None)
        for committed, touched in zip(self._groups, delta.groups, strict=True):
            for node, group in touched.items():
                committed[node * GROUP_BYTES : (node + 1) * GROUP_BYTES] = group
        self._root = delta.root

    def prove(self, key_hash: bytes) -> TreeProof:
        """What stands at `key_hash` in the committed state, or that nothing does."""
        index = bucket_index(key_hash, self.depth)
        listing = self._buckets.get(index, b"")
        siblings: list[bytes] = []
        for committed in reversed(self._groups):
            node, child = divmod(index, FANOUT)
            group = committed[node * GROUP_BYTES : (node + 1) * GROUP_BYTES]
            siblings.append(bytes(group[: child * HASH_BYTES] + group[(child + 1) * HASH_BYTES :]))
            index = node
        return TreeProof(listing, tuple(siblings))

    def prove_many(self, key_hashes: Iterable[bytes]) -> MultiProof:
        """What stands at each of these in the committed state, in one proof."""
        return prove_many(self.depth, key_hashes, lambda index: self._buckets.get(index, b""), self._group)

    def _group(self, level: int, node: int) -> bytes:
        """The hashes of the 16 children of an inner node; level 0 is the root."""
        return bytes(self._groups[level][node * GROUP_BYTES : (node + 1) * GROUP_BYTES])

    def _changed_buckets(self, changes: Iterable[tuple[bytes, bytes | None]]) -> dict[int, bytes]:
        committed, shift = self._buckets, self._shift
        changed: dict[int, bytes] = {}
        for key, value in changes:
            if len(key) != HASH_BYTES or (value is not None and len(value) != HASH_BYTES):
                raise InvariantViolation("a tree entry is two hashes of 32 bytes")
            index = int.from_bytes(key[:3], "big") >> shift  # bucket_index, inlined: it runs once a row
            listing = changed.get(index)
            if listing is None:
                listing = committed.get(index, b"")
            changed[index] = _with_entry(listing, key, value)
        return {index: listing for index, listing in changed.items() if listing != committed.get(index, b"")}


def _with_entry(listing: bytes, key: bytes, value: bytes | None) -> bytes:
    low, high = 0, len(listing) // ENTRY_BYTES
    while low < high:
        middle = (low + high) // 2
        if listing[middle * ENTRY_BYTES : middle * ENTRY_BYTES + HASH_BYTES] < key:
            low = middle + 1
        else:
            high = middle
    at = low * ENTRY_BYTES
    present = listing[at : at + HASH_BYTES] == key
    tail = listing[at + ENTRY_BYTES :] if present else listing[at:]
    return listing[:at] + (b"" if value is None else key + value) + tail
