"""One proof for many rows: it holds for what it was made for, and for nothing else, in one form only."""

import json
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.ledger.tree import Tree
from tallystick.proof.multiproof import MultiProof
from tallystick.proof.state_proof import FANOUT, HASH_BYTES, empty_hashes, proof_holds
from tallystick.wire.errors import DecodeError

DEPTH = 3
STATE = {sha256(b"%d" % n).digest(): sha256(b"value %d" % n).digest() for n in range(400)}
TREE = Tree(DEPTH)
TREE.commit(TREE.prepare(list(STATE.items())))
PRESENT = list(STATE)
ABSENT = [sha256(b"absent %d" % n).digest() for n in range(20)]
ASKED: dict[bytes, bytes | None] = {**{key: STATE[key] for key in PRESENT[:7]}, **dict.fromkeys(ABSENT[:3])}


TREES = json.loads((Path(__file__).parent.parent / "vectors" / "state_tree.json").read_text("utf-8"))["trees"]


def holds(proof: MultiProof, asked: dict[bytes, bytes | None], root: bytes = TREE.root, depth: int = DEPTH) -> bool:
    return proof.holds(state_root=root, depth=depth, asked=asked)


@settings(max_examples=60)
@given(st.sets(st.sampled_from(PRESENT), max_size=40), st.sets(st.sampled_from(ABSENT), max_size=5))
def test_any_rows_are_proven_together(present: set[bytes], absent: set[bytes]) -> None:
    keys = sorted(present | absent)
    asked = {key: STATE.get(key) for key in keys}
    proof = TREE.prove_many(keys)

    assert holds(proof, asked) is bool(keys)
    assert MultiProof.from_bytes(proof.to_bytes()) == proof


@pytest.mark.parametrize("vector", TREES, ids=lambda vector: f"depth {vector['depth']}")
def test_the_written_form_is_the_specifications(vector: dict[str, Any]) -> None:
    tree = Tree(vector["depth"])
    for block in vector["blocks"]:
        changes = [(bytes.fromhex(key), value and bytes.fromhex(value)) for key, value in block["changes"]]
        tree.commit(tree.prepare(changes))
    keys = [bytes.fromhex(key) for key in vector["proof_of_many"]["keys"]]
    assert tree.prove_many(keys).to_bytes().hex() == vector["proof_of_many"]["proof"]


@pytest.mark.parametrize("size", [0, 1, 2, 5_000])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_small_and_full_trees(size: int, depth: int) -> None:
    tree = Tree(depth)
    rows = {sha256(b"%d" % n).digest(): sha256(b"v%d" % n).digest() for n in range(size)}
    tree.commit(tree.prepare(list(rows.items())))
    keys = [*list(rows)[:20], ABSENT[0]]

    proof = tree.prove_many(keys)

    assert holds(proof, {key: rows.get(key) for key in keys}, tree.root, depth)


def test_it_says_the_same_as_proofs_of_single_rows() -> None:
    together = TREE.prove_many(ASKED)
    for key, value in ASKED.items():
        alone = TREE.prove(key)
        assert proof_holds(alone, state_root=TREE.root, depth=DEPTH, key_digest=key, value_digest=value)
        assert together.buckets[int.from_bytes(key[:3], "big") >> 12] == alone.listing


def test_it_is_much_smaller_than_proofs_of_single_rows() -> None:
    tree = Tree(5)
    tree.commit(tree.prepare(list(STATE.items())))
    keys = PRESENT[:60]

    together = len(tree.prove_many(keys).to_bytes())

    assert together * 4 < sum(len(tree.prove(key).to_bytes()) for key in keys)


def test_nothing_else_holds() -> None:
    proof = TREE.prove_many(ASKED)
    key, value = next(iter(ASKED.items()))
    spare = PRESENT[50]

    assert holds(proof, ASKED)
    assert not holds(proof, {**ASKED, key: sha256(b"other").digest()})
    assert not holds(proof, {**ASKED, key: None})
    assert not holds(proof, {**ASKED, ABSENT[0]: value})
    assert not holds(proof, {**ASKED, spare: STATE[spare]}), "a row that it was not made for"
    assert not holds(proof, {one: ASKED[one] for one in list(ASKED)[1:]}), "a bucket to spare"
    assert not holds(proof, {})
    assert not holds(proof, ASKED, root=sha256(b"root").digest())
    assert not holds(proof, ASKED, depth=DEPTH + 1)


def test_every_changed_byte_is_unreadable_or_does_not_hold() -> None:
    raw = TREE.prove_many(ASKED).to_bytes()
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1 << place % 8
        try:
            read = MultiProof.from_bytes(bytes(changed))
        except DecodeError:
            continue
        assert not holds(read, ASKED), place


def test_what_is_known_may_not_be_written() -> None:
    """A second form of the same proof: an empty child's hash, or that of a child on the path, written out."""
    tree = Tree(1)
    key = PRESENT[0]
    tree.commit(tree.prepare([(key, STATE[key])]))
    proof = tree.prove_many([key])
    assert proof.beside == (b"\x00\x00",)
    own = key[0] >> 4
    empty = next(child for child in range(FANOUT) if child != own)
    bucket = tree._group(0, 0)[own * HASH_BYTES : (own + 1) * HASH_BYTES]

    for child, digest in ((empty, empty_hashes(1)[1]), (own, bucket)):
        written = (1 << (FANOUT - 1 - child)).to_bytes(2, "big") + digest
        assert not holds(MultiProof(1, proof.buckets, (written,)), {key: STATE[key]}, tree.root, 1)


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_read_or_refused(raw: bytes) -> None:
    try:
        MultiProof.from_bytes(raw)
    except DecodeError:
        return
    assert MultiProof.from_bytes(raw).to_bytes() == raw


def test_cut_and_lengthened_proofs_are_refused() -> None:
    raw = TREE.prove_many(ASKED).to_bytes()
    random = Random(7)
    for place in random.sample(range(len(raw)), 60):
        with pytest.raises(DecodeError):
            MultiProof.from_bytes(raw[:place])
    with pytest.raises(DecodeError, match="goes on after its end"):
        MultiProof.from_bytes(raw + b"\x00")
