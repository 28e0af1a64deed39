"""Whatever is changed in a bundle is found and named, also when every digest above it is made to fit."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tallystick.proof.evidence.bundle import Bundle
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.reading import write_json
from tallystick.proof.evidence.verifier import verify
from tallystick.wire.errors import DecodeError
from tests.support.bundles import Ledger
from tests.support.forging import Path, another, at, leaves, put, reread, reseal

SAMPLED = 2_000
SEED = 20261122

NAMED = {
    "about": ("state", "record", ""),
    "genesis": ("genesis",),
    "height": ("state", "block", "transaction", "bundle"),
    "contents": ("contents", "block", "record", "transaction", "due work", "document"),
    "validators": ("validators", "block"),
    "blocks": ("block", "validators", "state", "transaction", "due work", "due_work"),
    "transactions": ("transaction", "block"),
    "due_work": ("due_work", "due work", "block"),
    "records": ("record", "state"),
    "state": ("state", "a proof"),
    "documents": ("document",),
    "format": ("format",),
}
"""How the part is named that a change is found in, by the field of the bundle that was changed."""


def refusal_of(ledger: Ledger, raw: bytes) -> tuple[str, str]:
    """By what and where a file is refused; it must be."""
    try:
        verify(raw, ledger.genesis)
    except NotProven as error:
        return error.check, error.where
    except DecodeError as error:
        return "form", error.where
    raise AssertionError("accepted")


def check_leaf(ledger: Ledger, raw: bytes, parsed: Any, path: Path) -> None:
    """The change alone is refused where it was made; and again with all digests made to fit."""
    value = put(parsed, path, another(at(parsed, path)))
    check, where = refusal_of(ledger, write_json(value))
    assert check, path
    assert where.startswith(NAMED[str(path[0])]), (path, check, where)
    if check == "form":
        return  # not even a bundle: there is nothing that digests could be made to fit
    try:
        sealed = reseal(reread(value)).to_bytes()
    except (DecodeError, NotProven):
        return  # it has no digests to be made to fit
    if sealed != raw:
        assert refusal_of(ledger, sealed)[0]


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """The same ledger with a receivable of two hops: it has every kind of leaf, and each is tried in half the time."""
    ledger = Ledger(tmp_path_factory.mktemp("short"), hops=2)
    yield ledger
    ledger.close()


class Files:
    """The bundles as they are written, and all their leaves."""

    def __init__(self, bundles: dict[str, Bundle]) -> None:
        self.raw = {thing: one.to_bytes() for thing, one in bundles.items()}
        self.parsed = {thing: json.loads(raw) for thing, raw in self.raw.items()}
        self.leaves = [(thing, path) for thing, value in self.parsed.items() for path in leaves(value)]

    def check(self, ledger: Ledger, chosen: list[tuple[str, Path]]) -> None:
        for number, (thing, path) in enumerate(chosen):
            try:
                check_leaf(ledger, self.raw[thing], self.parsed[thing], path)
            except AssertionError as error:
                raise AssertionError(f"seed {SEED}, leaf {number}: {thing} {path}: {error}") from error


def test_a_changed_leaf_is_found(short: Ledger) -> None:
    files = Files({thing: short.bundle(thing) for thing in short.things})
    files.check(short, random.Random(SEED).sample(files.leaves, SAMPLED))


@pytest.mark.slow
def test_every_changed_leaf_is_found(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    files = Files(bundles)
    files.check(ledger, files.leaves)


def test_no_byte_is_free(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    chosen = random.Random(SEED)
    for thing, one in bundles.items():
        raw = one.to_bytes()
        for place in chosen.sample(range(len(raw)), 60):
            changed = bytearray(raw)
            changed[place] ^= 1 << chosen.randrange(8)
            assert refusal_of(ledger, bytes(changed)), (SEED, thing, place)


def test_a_truncated_file_is_refused(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    raw = bundles["document"].to_bytes()
    for end in range(0, len(raw), 97):
        assert refusal_of(ledger, raw[:end])[0] == "form"
