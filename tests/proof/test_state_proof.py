"""Proofs of rows: vectors, and everything that must not hold."""

import contextlib
import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.proof.state_proof import (
    BUCKET_TAG,
    INNER_TAG,
    NO_RECEIPTS,
    TreeProof,
    app_hash,
    bucket_hash,
    empty_hashes,
    inner_hash,
    key_hash,
    next_receipts_root,
    proof_holds,
    value_hash,
)
from tallystick.wire.errors import DecodeError
from tools.state_tree_vectors import node, proof, vectors

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "state_tree.json").read_text("utf-8"))

DEPTH = 2
STATE = {sha256(b"%d" % n).hexdigest(): sha256(b"value %d" % n).hexdigest() for n in range(600)}
ROOT = bytes.fromhex(node(STATE, DEPTH))
PRESENT = next(iter(STATE))
ABSENT = sha256(b"absent").hexdigest()


def holds(raw: bytes, key: str, value: str | None, root: bytes = ROOT, depth: int = DEPTH) -> bool:
    return proof_holds(
        TreeProof.from_bytes(raw),
        state_root=root,
        depth=depth,
        key_digest=bytes.fromhex(key),
        value_digest=None if value is None else bytes.fromhex(value),
    )


def written(key: str) -> bytes:
    return bytes.fromhex(proof(STATE, DEPTH, key))


def test_the_vectors_are_what_their_generator_writes() -> None:
    assert json.loads(json.dumps(vectors())) == VECTORS


def test_vectors_of_single_hashes() -> None:
    for v in VECTORS["key_hashes"]:
        assert key_hash(v["key"]).hex() == v["key_hash"]
    for v in VECTORS["value_hashes"]:
        assert value_hash(bytes.fromhex(v["blind"]), bytes.fromhex(v["value"])).hex() == v["value_hash"]
    for depth, root in VECTORS["empty_roots"].items():
        assert empty_hashes(int(depth))[0].hex() == root
    for v in VECTORS["receipts_roots"]:
        previous, digest = bytes.fromhex(v["previous"]), bytes.fromhex(v["digest"])
        assert next_receipts_root(previous, v["height"], digest).hex() == v["root"]
    assert NO_RECEIPTS.hex() == VECTORS["receipts_roots"][0]["previous"]
    for v in VECTORS["app_hashes"]:
        roots = bytes.fromhex(v["state_root"]), bytes.fromhex(v["receipts_root"])
        assert app_hash(*roots).hex() == v["app_hash"]


def test_vectors_of_proofs() -> None:
    for tree in VECTORS["trees"]:
        root, depth = bytes.fromhex(tree["blocks"][-1]["root"]), tree["depth"]
        for v in tree["proofs"]:
            raw = bytes.fromhex(v["proof"])
            assert TreeProof.from_bytes(raw).to_bytes() == raw
            assert holds(raw, v["key_hash"], v["value_hash"], root, depth)


def test_every_proof_of_a_state_holds_and_says_one_thing() -> None:
    for key, value in list(STATE.items())[:50]:
        assert holds(written(key), key, value)
        assert not holds(written(key), key, None)
        assert not holds(written(key), key, ABSENT)
    assert holds(written(ABSENT), ABSENT, None)
    assert not holds(written(ABSENT), ABSENT, PRESENT)


@pytest.mark.parametrize("key", [PRESENT, ABSENT])
def test_no_byte_of_a_proof_can_be_changed(key: str) -> None:
    raw = written(key)
    for at in range(len(raw)):
        for bit in (1, 128):
            changed = raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]
            try:
                assert not holds(changed, key, STATE.get(key)), f"byte {at}"
            except DecodeError:
                assert at < 2, "only version and depth make a proof unreadable"


def test_a_proof_is_of_one_key_root_and_depth() -> None:
    raw = written(PRESENT)
    assert not holds(raw, PRESENT, STATE[PRESENT], root=bytes(32))
    assert not holds(raw, PRESENT, STATE[PRESENT], depth=DEPTH + 1)
    neighbour = next(key for key in STATE if key[0] != PRESENT[0])
    assert not holds(raw, neighbour, None), "another bucket's listing proves no absence here"
    assert not holds(raw, PRESENT[:-2], None)


def test_a_path_that_leads_to_the_root_one_level_early_does_not_hold() -> None:
    """The first bucket has index 0 at any depth."""
    key = "00" * 32
    root, raw = bytes.fromhex(node({key: key}, 2)), bytes.fromhex(proof({key: key}, 2, key))
    assert holds(raw, key, key, root, 2)
    assert not holds(raw, key, key, root, 3)
    assert not holds(raw, key, key, root, 1)


def proves_an_absence(listing: bytes) -> bool:
    """Whether a root that somebody made over this first bucket of depth 1 proves that a key is not in it."""
    empty = empty_hashes(1)[1] * 15
    root = inner_hash(bucket_hash(listing) + empty)
    asked = bytes.fromhex("00" + "3" * 62)
    forged = TreeProof(listing, (empty,))
    return proof_holds(forged, state_root=root, depth=1, key_digest=asked, value_digest=None)


def test_a_listing_out_of_order_or_with_strangers_proves_no_absence() -> None:
    """Even when validators signed its root."""
    low, high, stranger = ("00" + "1" * 62), ("00" + "2" * 62), ("10" + "0" * 62)
    entries = {key: bytes.fromhex(key) + bytes(32) for key in (low, high, stranger)}
    for listed in ([high, low], [low, low], [low, stranger]):
        assert not proves_an_absence(b"".join(entries[key] for key in listed))
    assert not proves_an_absence(entries[low] + b"\x00\xff")
    assert proves_an_absence(entries[low] + entries[high])


def test_an_inner_node_is_no_bucket() -> None:
    """The 512 bytes of a group are eight entries; the tags keep them apart."""
    children = b"".join(sha256(b"%d" % n).digest() for n in range(16))
    assert bucket_hash(children) != inner_hash(children)
    assert sha256(BUCKET_TAG + children).digest() == bucket_hash(children)
    assert sha256(INNER_TAG + children).digest() == inner_hash(children)


def test_misshapen_proofs_do_not_hold() -> None:
    good = TreeProof.from_bytes(written(PRESENT))
    short = TreeProof(good.listing, (good.siblings[0], good.siblings[1][:-32]))
    ragged = TreeProof(good.listing + b"\x00", good.siblings)
    for bad in (short, ragged):
        key, value = bytes.fromhex(PRESENT), bytes.fromhex(STATE[PRESENT])
        assert not proof_holds(bad, state_root=ROOT, depth=DEPTH, key_digest=key, value_digest=value)


@given(st.binary(max_size=1_100))
def test_reading_raises_nothing_but_decode_error(raw: bytes) -> None:
    with contextlib.suppress(DecodeError):
        assert TreeProof.from_bytes(raw).to_bytes() == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x01",
        b"\x02\x01" + bytes(480),
        b"\x01\x00",
        b"\x01\x07" + bytes(7 * 480),
        b"\x01\x01" + bytes(479),
        b"\x01\x01" + bytes(481),
        b"\x01\x01" + bytes(480 + 65_537 * 64),
    ],
)
def test_unreadable_proofs(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        TreeProof.from_bytes(raw)


def test_hashes_of_the_wrong_length_are_refused() -> None:
    with pytest.raises(ValueError, match="blind"):
        value_hash(bytes(31), b"")
    with pytest.raises(ValueError, match="root"):
        app_hash(bytes(32), bytes(31))
    with pytest.raises(ValueError, match="link"):
        next_receipts_root(bytes(31), 1, bytes(32))
