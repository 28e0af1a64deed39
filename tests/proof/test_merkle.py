"""The binary Merkle tree against CometBFT's, and its proofs against change."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.proof.merkle import EMPTY_ROOT, MerkleProof, leaf_hash, prove, root
from tallystick.wire.errors import InvariantViolation
from tests.proof.vectors import comet


def leaves(total: int) -> list[bytes]:
    """The leaves of the vectors: every fifth is empty."""
    return [b"" if n % 5 == 4 else b"leaf %d" % n for n in range(total)]


@pytest.mark.parametrize("vector", comet("merkle"), ids=lambda vector: f"{vector['total']} leaves")
def test_vectors(vector: dict) -> None:
    given_leaves, tree_root = leaves(vector["total"]), bytes.fromhex(vector["root"])
    assert root(given_leaves) == tree_root
    for v in vector["proofs"]:
        proof = prove(given_leaves, v["index"])
        assert [aunt.hex() for aunt in proof.aunts] == v["aunts"]
        assert proof == MerkleProof(v["index"], vector["total"], proof.aunts)
        assert proof.holds(tree_root, given_leaves[v["index"]])


def test_a_tree_of_none_and_of_one() -> None:
    assert root([]) == EMPTY_ROOT
    assert root(iter([b"leaf"])) == leaf_hash(b"leaf")


@given(st.lists(st.binary(max_size=3), min_size=1, max_size=40), st.data())
def test_a_proof_holds_for_its_leaf_alone(items: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(items) - 1))
    proof, tree_root = prove(items, index), root(items)
    assert proof.holds(tree_root, items[index])
    for other in {*items, b"other"} - {items[index]}:
        assert not proof.holds(tree_root, other)
    assert not proof.holds(EMPTY_ROOT, items[index])


def changed(proof: MerkleProof) -> Iterator[MerkleProof]:
    """The proof with one bit of each byte turned, a hash too many, too few, or of another length."""
    index, total, aunts = proof.index, proof.total, proof.aunts
    for n, aunt in enumerate(aunts):
        for at in range(len(aunt)):
            turned = aunt[:at] + bytes([aunt[at] ^ 1]) + aunt[at + 1 :]
            yield MerkleProof(index, total, (*aunts[:n], turned, *aunts[n + 1 :]))
        yield MerkleProof(index, total, aunts[:n] + aunts[n + 1 :])
        yield MerkleProof(index, total, (*aunts[:n], aunt[:-1], *aunts[n + 1 :]))
    yield MerkleProof(index, total, (*aunts, bytes(32)))
    yield MerkleProof(-1, total, aunts)
    yield MerkleProof(total, total, aunts)
    yield MerkleProof(index, 0, aunts)
    yield from (MerkleProof(other, total, aunts) for other in range(total) if other != index)


@pytest.mark.parametrize("total", [1, 2, 3, 6, 7, 8])
def test_no_part_of_a_proof_can_be_changed(total: int) -> None:
    items = [b"leaf %d" % n for n in range(total)]
    tree_root = root(items)
    for index in range(total):
        for bad in changed(prove(items, index)):
            assert not bad.holds(tree_root, items[index]), bad


def test_there_is_no_proof_of_a_leaf_outside() -> None:
    for index in (-1, 2):
        with pytest.raises(InvariantViolation, match="of 2"):
            prove([b"a", b"b"], index)
