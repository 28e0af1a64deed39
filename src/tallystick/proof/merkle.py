"""The binary Merkle tree of CometBFT's `crypto/merkle`, which is RFC 6962's (section 2.1) over SHA-256.

Leaves and inner nodes have the prefixes 0 and 1. RFC 6962 splits n leaves at the largest power of two below
n; pairing neighbours level by level and carrying an odd last node up unchanged gives the same tree without
recursion.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from tallystick.wire.errors import InvariantViolation

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf, which is the root of a tree of one."""
    return sha256(b"\x00" + leaf).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over `leaves` in order (`HashFromByteSlices`); of none, SHA-256 of nothing."""
    nodes = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
    if not nodes:
        return EMPTY_ROOT
    while len(nodes) > 1:
        nodes = _parents(nodes)
    return nodes[0]


@dataclass(frozen=True, slots=True)
class MerkleProof:
    """That a leaf stands at `index` of `total`; `aunts` run from its sibling to a child of the root."""

    index: int
    total: int
    aunts: tuple[bytes, ...]

    def holds(self, tree_root: bytes, leaf: bytes) -> bool:
        """Whether `leaf` stands there under `tree_root`: every aunt is used and none is missing.

        `total` is not part of what a root attests (RFC 6962 has the tree head sign it): a proof of another
        total may hold when the path has the same shape.
        """
        if not 0 <= self.index < self.total:
            return False
        digest = leaf_hash(leaf)
        at, last, used = self.index, self.total - 1, 0
        while last:
            sibling = at ^ 1
            if sibling <= last:
                if used == len(self.aunts):
                    return False
                aunt = self.aunts[used]
                digest = _inner_hash(aunt, digest) if at & 1 else _inner_hash(digest, aunt)
                used += 1
            at, last = at >> 1, last >> 1
        return used == len(self.aunts) and digest == tree_root


def prove(leaves: Iterable[bytes], index: int) -> MerkleProof:
    """The proof of the leaf at `index`."""
    nodes = [leaf_hash(leaf) for leaf in leaves]
    total = len(nodes)
    if not 0 <= index < total:
        raise InvariantViolation(f"a proof of leaf {index} of {total}")
    aunts: list[bytes] = []
    at = index
    while len(nodes) > 1:
        if at ^ 1 < len(nodes):
            aunts.append(nodes[at ^ 1])
        nodes, at = _parents(nodes), at >> 1
    return MerkleProof(index, total, tuple(aunts))


def least_total(index: int, length: int) -> int | None:
    """The least number of leaves in which the leaf at `index` has `length` aunts; None where there is none.

    A root does not attest how many leaves it has: where a total is written down, this makes it the only one.
    """
    # A further aunt comes with the first leaf behind a subtree of which the path is the left part.
    behind = {((index >> level) + 1 << level) + 1 for level in range(length) if not index >> level & 1}
    return next((total for total in sorted(behind | {index + 1}) if _aunts(index, total) == length), None)


def _aunts(index: int, total: int) -> int:
    at, last, used = index, total - 1, 0
    while last:
        used += at ^ 1 <= last
        at, last = at >> 1, last >> 1
    return used


def _inner_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _parents(nodes: list[bytes]) -> list[bytes]:
    pairs = zip(nodes[::2], nodes[1::2], strict=False)
    parents = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    if len(nodes) & 1:
        parents.append(nodes[-1])
    return parents
