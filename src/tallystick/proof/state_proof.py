"""The state tree's hashes and the check of one row against a state root. Format: docs/spec/state-tree.md.

Rules kept here:
1. A bucket is the ascending listing of its 64-byte entries; the listing is hashed whole, so it proves
   absence too.
2. A bucket's hash can never be taken for an inner node's, nor a node of one depth for another's (domain
   tags).
3. A proof is checked against a root, a depth and a key that the caller already trusts: none of them is read
   from the proof.
4. The app hash covers the state root and the receipts root, and nothing that changes when a block does
   nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Self

from tallystick.wire.errors import DecodeError

HASH_BYTES = 32
ENTRY_BYTES = 2 * HASH_BYTES  # key hash, value hash
FANOUT = 16
GROUP_BYTES = FANOUT * HASH_BYTES  # the children of one inner node
SIBLINGS_BYTES = GROUP_BYTES - HASH_BYTES
MIN_DEPTH = 1
MAX_DEPTH = 6
MAX_BUCKET_ENTRIES = 1_024  # kept by whoever creates records; the tree itself takes any number

BUCKET_TAG = b"tallystick-state-bucket-v1\n"
INNER_TAG = b"tallystick-state-inner-v1\n"
APP_HASH_TAG = b"tallystick-app-hash-v1\n"
RECEIPTS_TAG = b"tallystick-receipts-root-v1\n"

NO_RECEIPTS = bytes(HASH_BYTES)  # the receipts root before the first receipt

_PROOF_VERSION = 1
_PROOF_HEAD_BYTES = 2  # version, depth
_MAX_PROOF_ENTRIES = 65_536  # bounds a decoder's work, far above any bucket that the creation rule lets grow


def key_hash(key: str) -> bytes:
    """Where a record's key lies in the tree."""
    return sha256(key.encode()).digest()


def value_hash(blind: bytes, value: bytes) -> bytes:
    """What a listing shows of a record. `blind` is 32 bytes, so its end needs no mark."""
    if len(blind) != HASH_BYTES:
        raise ValueError("a blind has 32 bytes")
    return sha256(blind + value).digest()


def bucket_index(key_digest: bytes, depth: int) -> int:
    """The bucket of a key hash: its first `depth` nibbles, the most significant first."""
    return int.from_bytes(key_digest[:3], "big") >> (4 * (MAX_DEPTH - depth))


def bucket_hash(listing: bytes) -> bytes:
    """The hash of a bucket's entries."""
    return sha256(BUCKET_TAG + listing).digest()


def inner_hash(children: bytes) -> bytes:
    """The hash of an inner node from its 16 children's hashes in order."""
    return sha256(INNER_TAG + children).digest()


@lru_cache(maxsize=MAX_DEPTH)
def empty_hashes(depth: int) -> tuple[bytes, ...]:
    """The hash of an empty subtree at each level, from the root (0) to a bucket (`depth`)."""
    hashes = [bucket_hash(b"")]
    for _ in range(depth):
        hashes.append(inner_hash(hashes[-1] * FANOUT))
    return tuple(reversed(hashes))


def app_hash(state_root: bytes, receipts_root: bytes) -> bytes:
    """What a block header states of the application after the block before it."""
    if len(state_root) != HASH_BYTES or len(receipts_root) != HASH_BYTES:
        raise ValueError("a root has 32 bytes")
    return sha256(APP_HASH_TAG + state_root + receipts_root).digest()


def next_receipts_root(previous: bytes, height: int, receipts_digest: bytes) -> bytes:
    """The chain of receipts, one link further. A block that writes no receipt adds no link.

    Otherwise an idle chain's app hash would change with every block, and CometBFT would answer each change
    with one more block to prove it.
    """
    if len(previous) != HASH_BYTES or len(receipts_digest) != HASH_BYTES:
        raise ValueError("a link has 32 bytes")
    return sha256(RECEIPTS_TAG + previous + height.to_bytes(8, "big") + receipts_digest).digest()


@dataclass(frozen=True, slots=True)
class TreeProof:
    """One bucket's whole listing, and the hashes beside the path from it to the root.

    `siblings` runs from the bucket's level to the root's children; each is the 15 other hashes of a group
    of 16, in order.
    """

    listing: bytes
    siblings: tuple[bytes, ...]

    @property
    def depth(self) -> int:
        """The depth of the tree that the proof is from."""
        return len(self.siblings)

    def to_bytes(self) -> bytes:
        """The one written form."""
        return bytes((_PROOF_VERSION, self.depth)) + b"".join(self.siblings) + self.listing

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Read the written form. Raises DecodeError, and says nothing yet about truth."""
        if len(raw) < _PROOF_HEAD_BYTES or raw[0] != _PROOF_VERSION:
            raise DecodeError("not a state proof of version 1")
        depth = raw[1]
        if not MIN_DEPTH <= depth <= MAX_DEPTH:
            raise DecodeError(f"state proof of depth {depth}")
        listing_at = _PROOF_HEAD_BYTES + depth * SIBLINGS_BYTES
        listing = raw[listing_at:]
        if len(raw) < listing_at or len(listing) % ENTRY_BYTES:
            raise DecodeError("state proof ends inside a hash")
        if len(listing) > _MAX_PROOF_ENTRIES * ENTRY_BYTES:
            raise DecodeError("state proof lists too many entries")
        starts = range(_PROOF_HEAD_BYTES, listing_at, SIBLINGS_BYTES)
        return cls(listing, tuple(raw[start : start + SIBLINGS_BYTES] for start in starts))


def proof_holds(
    proof: TreeProof, *, state_root: bytes, depth: int, key_digest: bytes, value_digest: bytes | None
) -> bool:
    """Whether the state under `state_root` has exactly `value_digest` at `key_digest`; None asks for
    absence.

    `depth` comes from the genesis and `state_root` from an app hash, not from whoever sent the proof.
    """
    if proof.depth != depth or len(key_digest) != HASH_BYTES:
        return False
    if not is_listing_of(proof.listing, bucket_index(key_digest, depth), depth):
        return False
    if listed(proof.listing, key_digest) != value_digest:
        return False
    return _root_above(proof, bucket_index(key_digest, depth)) == state_root


def is_listing_of(listing: bytes, index: int, depth: int) -> bool:
    """Whether the entries are whole, ascend strictly and all belong to this bucket.

    An honest tree writes no other listing; one that validators signed all the same must not prove an
    absence.
    """
    if len(listing) % ENTRY_BYTES:
        return False
    previous = b""
    for key_digest, _ in _entries(listing):
        if key_digest <= previous or bucket_index(key_digest, depth) != index:
            return False
        previous = key_digest
    return True


def listed(listing: bytes, key_digest: bytes) -> bytes | None:
    """The value hash that a listing has for a key hash, or None."""
    for listed_key, listed_value in _entries(listing):
        if listed_key == key_digest:
            return listed_value
    return None


def _entries(listing: bytes) -> Iterator[tuple[bytes, bytes]]:
    for start in range(0, len(listing), ENTRY_BYTES):
        middle = start + HASH_BYTES
        yield listing[start:middle], listing[middle : start + ENTRY_BYTES]


def _root_above(proof: TreeProof, index: int) -> bytes:
    digest = bucket_hash(proof.listing)
    for siblings in proof.siblings:
        at = (index % FANOUT) * HASH_BYTES
        digest = inner_hash(siblings[:at] + digest + siblings[at:])
        index //= FANOUT
    return digest
