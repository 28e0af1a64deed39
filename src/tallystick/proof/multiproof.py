"""One proof for many rows of the state: their buckets, and what else the path of each to the root needs, once.

Rules kept here:
1. Buckets ascend; each is a listing as in `state_proof`, and is used: every bucket is some asked key's own.
2. Per level from the buckets up, and per inner node that lies on a path, in ascending order: which of its 16 children
   are written (two bytes, the first child the highest bit), and their hashes. Children on a path are computed, those of
   empty subtrees known: neither is ever written, so that a proof has one form.
3. What is asked (keys and value hashes), the root and the depth come from the caller, never from the proof.

Format: docs/spec/state-tree.md, "Proofs of many rows".
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from tallystick.proof.state_proof import (
    ENTRY_BYTES,
    FANOUT,
    HASH_BYTES,
    MAX_DEPTH,
    MIN_DEPTH,
    bucket_hash,
    bucket_index,
    empty_hashes,
    inner_hash,
    is_listing_of,
    listed,
)
from tallystick.wire.errors import DecodeError

VERSION = 1
MAX_BUCKETS = 100_000
_INDEX_BYTES = 3
_COUNT_BYTES = 4
_MAP_BYTES = 2


@dataclass(frozen=True, slots=True)
class MultiProof:
    """Bucket listings by index, and by level from the buckets up what stands beside the paths, as it is written."""

    depth: int
    buckets: dict[int, bytes]
    beside: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """The one written form."""
        parts = [bytes((VERSION, self.depth)), len(self.buckets).to_bytes(_COUNT_BYTES, "big")]
        for index, listing in sorted(self.buckets.items()):
            count = len(listing) // ENTRY_BYTES
            parts += [index.to_bytes(_INDEX_BYTES, "big"), count.to_bytes(_COUNT_BYTES, "big"), listing]
        for level in self.beside:
            parts += [len(level).to_bytes(_COUNT_BYTES, "big"), level]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Read the written form. Raises DecodeError, and says nothing yet about truth."""
        reader = _Reader(raw)
        version, depth = reader.take(2)
        if version != VERSION or not MIN_DEPTH <= depth <= MAX_DEPTH:
            raise DecodeError(f"not a proof of many rows: version {version}, depth {depth}")
        buckets: dict[int, bytes] = {}
        last = -1
        for _ in range(reader.number(_COUNT_BYTES, MAX_BUCKETS)):
            index = reader.number(_INDEX_BYTES, FANOUT**depth - 1)
            if index <= last:
                raise DecodeError("the buckets of a proof do not ascend")
            buckets[index] = reader.take(reader.number(_COUNT_BYTES, len(raw)) * ENTRY_BYTES)
            last = index
        beside = tuple(reader.take(reader.number(_COUNT_BYTES, len(raw))) for _ in range(depth))
        reader.end()
        return cls(depth, buckets, beside)

    def holds(self, *, state_root: bytes, depth: int, asked: Mapping[bytes, bytes | None]) -> bool:
        """Whether the state under `state_root` has exactly these value hashes at these key hashes; None: nothing.

        It holds nothing but what is asked: a proof with a bucket to spare does not hold.
        """
        if self.depth != depth or {bucket_index(key, depth) for key in asked} != set(self.buckets):
            return False
        for index, listing in self.buckets.items():
            if not is_listing_of(listing, index, depth):
                return False
        for key, value in asked.items():
            if listed(self.buckets[bucket_index(key, depth)], key) != value:
                return False
        return bool(self.buckets) and self._root() == state_root

    def _root(self) -> bytes | None:
        """The root that the proof leads to, or None where it is not in its one form."""
        empty = empty_hashes(self.depth)
        known = {index: bucket_hash(listing) for index, listing in self.buckets.items()}
        for above, level in enumerate(self.beside):
            reader = _Reader(level)
            none = empty[self.depth - above]
            parents: dict[int, bytes] = {}
            for node in sorted({index // FANOUT for index in known}):
                children = _children(reader, known, node, none)
                if children is None:
                    return None
                parents[node] = inner_hash(children)
            if not reader.is_at_end:
                return None
            known = parents
        return known[0]


def _children(reader: "_Reader", known: dict[int, bytes], node: int, none: bytes) -> bytes | None:
    """The 16 hashes below `node`; None where one is written that is computed or known to be empty."""
    try:
        written = reader.number(_MAP_BYTES, 0xFFFF)
        children = []
        for child in range(FANOUT):
            digest = known.get(node * FANOUT + child)
            if written >> (FANOUT - 1 - child) & 1:
                stated = reader.take(HASH_BYTES)
                if digest is not None or stated == none:
                    return None
                digest = stated
            children.append(none if digest is None else digest)
    except DecodeError:
        return None
    return b"".join(children)


def prove_many(
    depth: int, keys: Iterable[bytes], listing: Callable[[int], bytes], group: Callable[[int, int], bytes]
) -> MultiProof:
    """The proof of what stands at each of `keys` (key hashes).

    `listing` gives a bucket; `group(level, node)` the 16 children's hashes of an inner node, level 0 being the root.
    """
    buckets = {index: listing(index) for index in sorted({bucket_index(key, depth) for key in keys})}
    empty = empty_hashes(depth)
    beside: list[bytes] = []
    known = set(buckets)
    for level in range(depth - 1, -1, -1):
        parts: list[bytes] = []
        for node in sorted({index // FANOUT for index in known}):
            children = group(level, node)
            hashes = [children[at : at + HASH_BYTES] for at in range(0, len(children), HASH_BYTES)]
            written = [
                child
                for child in range(FANOUT)
                if node * FANOUT + child not in known and hashes[child] != empty[level + 1]
            ]
            parts.append(sum(1 << (FANOUT - 1 - child) for child in written).to_bytes(_MAP_BYTES, "big"))
            parts.extend(hashes[child] for child in written)
        beside.append(b"".join(parts))
        known = {index // FANOUT for index in known}
    return MultiProof(depth, buckets, tuple(beside))


class _Reader:
    """Takes bytes from the front and never past the end."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def take(self, count: int) -> bytes:
        found = self._raw[self._at : self._at + count]
        if len(found) < count:
            raise DecodeError("a proof ends too soon")
        self._at += count
        return found

    def number(self, width: int, most: int) -> int:
        value = int.from_bytes(self.take(width), "big")
        if value > most:
            raise DecodeError(f"a proof states {value} where at most {most} can be")
        return value

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._raw)

    def end(self) -> None:
        if not self.is_at_end:
            raise DecodeError("a proof goes on after its end")
