"""Whatever is thrown at it, the verifier says that it can't be read or is not proven; soon, and in little memory."""

import base64
import json
import random
import time
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallystick.proof import light_client
from tallystick.proof.comet_json import light_block_from_json, light_block_to_json
from tallystick.proof.evidence.bundle import Bundle
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.genesis import Genesis
from tallystick.proof.evidence.reading import write_json
from tallystick.proof.evidence.timeline import timeline
from tallystick.proof.evidence.trust import TrustedHeader
from tallystick.proof.evidence.verifier import verify
from tallystick.wire.errors import DecodeError
from tests.support.bundles import Ledger
from tests.support.forging import Path, at, leaves, put, reread, reseal, with_record
from tests.support.ledger import NODE_KEY

SECONDS = 5.0
BYTES = 64 << 20
HERE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

TEXTS = st.sampled_from(["", "0", "1", "x", "mbr_0000000000000000", "2026-01-01", "9" * 19, "-1", "１", "\u0000"])
SEEDS = st.integers(0, 2**32)
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def tried(raw: bytes, trusted: Any) -> None:
    """Verify; only what is declared may come out."""
    try:
        report = verify(raw, trusted)
    except (DecodeError, NotProven):
        return
    assert report.verdict.lines
    assert timeline(report) is not None


@given(st.binary(max_size=200))
@HERE
def test_bytes_of_any_kind(ledger: Ledger, raw: bytes) -> None:
    tried(raw, ledger.genesis)
    for read in (Genesis.from_bytes, TrustedHeader.from_bytes):
        with pytest.raises(DecodeError):
            read(raw)


@given(JSON)
@HERE
def test_json_of_any_kind(ledger: Ledger, value: Any) -> None:
    tried(json.dumps(value).encode(), ledger.genesis)


def any_path(value: Any, chosen: random.Random) -> Path:
    """A path of any depth."""
    path = chosen.choice(list(leaves(value)))
    return path[: chosen.randint(1, len(path))]


@given(SEEDS, JSON, st.sampled_from(["member", "review", "financing", "document"]))
@HERE
def test_anything_anywhere(ledger: Ledger, bundles: dict[str, Bundle], seed: int, junk: Any, thing: str) -> None:
    value = json.loads(bundles[thing].to_bytes())
    tried(write_json(put(value, any_path(value, random.Random(seed)), junk)), ledger.genesis)


@given(SEEDS, JSON, st.sampled_from(["member", "review", "financing", "receivable"]))
@HERE
def test_anything_in_a_state_that_the_validators_signed(
    ledger: Ledger, bundles: dict[str, Bundle], seed: int, junk: Any, thing: str
) -> None:
    """The node's key signs whatever state it likes; its rows need not even be rows."""
    bundle, chosen = bundles[thing], random.Random(seed)
    one = chosen.choice([record for record in bundle.records if record.value is not None])
    path = any_path(one.value, chosen)
    forged = with_record(bundle, one.key, lambda row: put(row, path, junk))
    tried(reseal(forged, NODE_KEY).to_bytes(), ledger.genesis)


@given(SEEDS, JSON, st.sampled_from(["data", "events", "envelope"]))
@HERE
def test_anything_in_a_block_that_the_validators_signed(
    ledger: Ledger, bundles: dict[str, Bundle], seed: int, junk: Any, part: str
) -> None:
    bundle, chosen = bundles["member"], random.Random(seed)
    value = json.loads(bundle.to_bytes())
    path: Path = ("transactions", chosen.randrange(len(bundle.transactions)), part)
    path = (*path, *any_path(at(value, path), chosen))
    try:
        forged = reseal(reread(put(value, path, junk)), NODE_KEY)
    except (DecodeError, NotProven):
        return
    tried(forged.to_bytes(), ledger.genesis)


@given(SEEDS, JSON)
@HERE
def test_anything_in_a_light_block(ledger: Ledger, seed: int, junk: Any) -> None:
    trusted = ledger.engine.light_block(1)
    whole = light_block_to_json(ledger.engine.light_block(2))
    changed = put(whole, any_path(whole, random.Random(seed)), junk)
    tried(write_json(changed), TrustedHeader(trusted))
    try:
        block = light_block_from_json(changed)
    except DecodeError:
        return
    verdict = light_client.judge(trusted, block, light_client.Trust())
    assert verdict.is_trusted is (light_block_to_json(block) == whole)


# Limits


def fast(raw: bytes, trusted: Any) -> str:
    """How it is refused, within the time and memory that a file of this size may take."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises((DecodeError, NotProven)) as refused:
            verify(raw, trusted)
        assert time.monotonic() - began < SECONDS
        assert tracemalloc.get_traced_memory()[1] < BYTES + 20 * len(raw)
    finally:
        tracemalloc.stop()
    return str(refused.value)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"a":[', b"[[["])
def test_deep_nesting_is_refused_fast(ledger: Ledger, opening: bytes) -> None:
    for deep in (100, 1_000, 100_000):
        assert fast(opening * deep, ledger.genesis)
    assert "nested deeper" in fast(b"[" * 70 + b"]" * 70, ledger.genesis)


def test_a_huge_number_is_refused_fast(ledger: Ledger) -> None:
    assert "not an integer" in fast(b'{"height":' + b"9" * 1_000_000 + b"}", ledger.genesis)


@pytest.mark.parametrize(
    ("part", "most"),
    [("validators", 10_000), ("blocks", 100_000), ("transactions", 50_000), ("records", 50_000), ("documents", 1_000)],
)
def test_lists_without_end_are_refused_fast(ledger: Ledger, bundles: dict[str, Bundle], part: str, most: int) -> None:
    value = json.loads(bundles["document"].to_bytes())
    raw = write_json({**value, part: [[]] * (most + 1)})
    assert f"more than {most} entries" in fast(raw, ledger.genesis)


def test_a_proof_that_claims_more_than_it_holds(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    value = json.loads(bundles["document"].to_bytes())
    for claimed in (
        b"\x01\x02\x00\x01\x86\xa0",
        b"\x01\x02\xff\xff\xff\xff",
        b"\x01\x06\x00\x00\x00\x01\x00\x00\x00\xff\xff\xff\xff",
    ):
        state = {**value["state"], "proof": base64.b64encode(claimed).decode()}
        assert fast(write_json({**value, "state": state}), ledger.genesis)


def test_a_total_that_no_path_gives(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    bundle = bundles["document"]
    (one,) = bundle.transactions
    for index, total in ((0, 1_000_000), (999_999, 1_000_000), (1, 2)):
        forged = replace(bundle, transactions=(replace(one, index=index, total=total, path=one.path * 32),))
        assert fast(forged.to_bytes(), ledger.genesis)
