"""The state tree against vectors, and against a recomputation of everything."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.tree import DEFAULT_DEPTH, Tree
from tallystick.proof.state_proof import ENTRY_BYTES, proof_holds
from tallystick.wire.errors import InvariantViolation
from tools.state_tree_vectors import node

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "state_tree.json").read_text("utf-8"))

Changes = list[tuple[bytes, bytes | None]]

# Few first bytes and few last ones: at every depth some keys share a bucket and some do not.
KEYS = st.builds(
    lambda first, last: first + bytes(28) + last,
    st.sampled_from([b"\x00\x00\x00", b"\x00\x00\x01", b"\x00\x01\x00", b"\x10\x00\x00", b"\xff\xff\xff"]),
    st.sampled_from([b"\x00", b"\x01", b"\x7f", b"\xff"]),
)
VALUES = st.none() | st.sampled_from([bytes([n]) * 32 for n in (0, 1, 2, 255)])
BLOCKS = st.lists(st.tuples(st.sampled_from(["commit", "drop", "repeat"]), st.lists(st.tuples(KEYS, VALUES))))


def naive_root(depth: int, state: dict[bytes, bytes]) -> bytes:
    return bytes.fromhex(node({key.hex(): value.hex() for key, value in state.items()}, depth))


def after(state: dict[bytes, bytes], changes: Changes) -> dict[bytes, bytes]:
    result = dict(state)
    for key, value in changes:
        result.pop(key, None)
        if value is not None:
            result[key] = value
    return result


# A tree of depth 6 takes 570 MB before its first row.
@pytest.mark.parametrize(
    "vector",
    [
        pytest.param(tree, id=f"depth {tree['depth']}", marks=[pytest.mark.slow] if tree["depth"] == 6 else [])
        for tree in VECTORS["trees"]
    ],
)
def test_vectors(vector: dict[str, Any]) -> None:
    tree = Tree(vector["depth"])
    assert tree.root.hex() == VECTORS["empty_roots"][str(vector["depth"])]
    for block in vector["blocks"]:
        changes = [(bytes.fromhex(k), None if v is None else bytes.fromhex(v)) for k, v in block["changes"]]
        tree.commit(tree.prepare(changes))
        assert tree.root.hex() == block["root"]
    for proven in vector["proofs"]:
        assert tree.prove(bytes.fromhex(proven["key_hash"])).to_bytes().hex() == proven["proof"]


@given(st.integers(1, 4), BLOCKS)
def test_equals_a_recomputation_through_committed_dropped_and_repeated_blocks(
    depth: int, blocks: list[tuple[str, Changes]]
) -> None:
    tree = Tree(depth)
    state: dict[bytes, bytes] = {}
    stored: dict[int, bytes] = {}
    for ending, changes in blocks:
        delta = tree.prepare(changes)
        assert tree.root == naive_root(depth, state), "prepare changed the tree"
        assert delta.root == naive_root(depth, after(state, changes))
        if ending == "drop":
            continue
        if ending == "repeat":
            assert tree.prepare(changes) == delta
        tree.commit(delta)
        state = after(state, changes)
        stored |= delta.buckets
        assert tree.root == delta.root
        for key, _ in changes:
            found = tree.prove(key)
            assert proof_holds(found, state_root=tree.root, depth=depth, key_digest=key, value_digest=state.get(key))
            assert tree.bucket_entries(key) == len(found.listing) // ENTRY_BYTES
    assert Tree.load(depth, stored.items()).root == tree.root
    assert b"".join(stored[index] for index in sorted(stored)) == b"".join(key + state[key] for key in sorted(state))


def test_a_delta_names_only_buckets_that_differ() -> None:
    tree = Tree()
    key, other, value = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
    tree.commit(tree.prepare([(key, value)]))
    delta = tree.prepare([(key, None), (key, value), (other, value), (other, None), (b"\x04" * 32, None)])
    assert not delta.buckets
    assert not any(delta.groups)
    assert delta.root == tree.root
    assert tree.prepare([(key, None)]).buckets == {0x01010: b""}


def test_an_empty_bucket_takes_no_memory() -> None:
    tree = Tree(2)
    tree.commit(tree.prepare([(bytes(32), bytes(32))]))
    tree.commit(tree.prepare([(bytes(32), None)]))
    assert not tree._buckets
    assert not Tree.load(2, [(7, b"")])._buckets


def test_two_blocks_cannot_be_committed_on_one_state() -> None:
    tree = Tree(2)
    first, second = (tree.prepare([(bytes([n]) * 32, bytes(32))]) for n in (1, 2))
    tree.commit(first)
    with pytest.raises(InvariantViolation, match="another state"):
        tree.commit(second)
    assert tree.root == first.root


def test_a_crowded_bucket_is_counted_and_kept_in_order() -> None:
    tree = Tree(1)
    keys = [b"\xa0" + n.to_bytes(31, "big") for n in (5, 3, 700, 1, 4, 2**200)]
    tree.commit(tree.prepare([(key, key) for key in keys]))
    assert tree.bucket_entries(b"\xaf" * 32) == len(keys)
    assert tree.bucket_entries(b"\xbf" * 32) == 0
    assert tree.prove(keys[0]).listing == b"".join(key + key for key in sorted(keys))
    reloaded = Tree.load(1, [(10, tree.prove(keys[0]).listing), (3, b"")])
    assert reloaded.root == tree.root
    assert reloaded.bucket_entries(keys[0]) == len(keys)


def test_what_is_no_tree_is_refused() -> None:
    for depth in (0, 7):
        with pytest.raises(InvariantViolation, match="depth"):
            Tree(depth)
    for bucket in ((16, bytes(64)), (-1, bytes(64)), (0, bytes(63))):
        with pytest.raises(InvariantViolation, match="bucket"):
            Tree.load(1, [bucket])
    tree = Tree(1)
    for key, value in ((bytes(31), bytes(32)), (bytes(32), bytes(33)), (bytes(33), None)):
        with pytest.raises(InvariantViolation, match="two hashes"):
            tree.prepare([(key, value)])


def test_the_default_depth_is_the_documented_one() -> None:
    assert DEFAULT_DEPTH == Tree().depth == 5
