"""Every vector file, replayed alone from its own pre-state; and that together they say what each operation means."""

import json
from pathlib import Path
from typing import Any

import pytest

from tallystick.kernel import machine
from tallystick.kernel.core import codec
from tallystick.kernel.core.record import decode_record
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Block, Chain
from tallystick.kernel.machine import Result
from tallystick.kernel.operations import OPERATIONS
from tallystick.kernel.transaction import read
from tallystick.wire import canonical
from tallystick.wire.instants import Instant, parse_date
from tallystick.wire.status import Status
from tests.support.memory import MemoryState
from tests.support.vectors import DIRECTORY

FILES = sorted(DIRECTORY.glob("*/*.json"))


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def replay(vector: dict[str, Any]) -> tuple[Result, Overlay]:
    """The vector's transaction over its own pre-state, through read, door and machine."""
    raw = canonical.encode(vector["transaction"])
    transaction = read(raw)
    assert not isinstance(transaction, Refusal), transaction
    chain = Chain(tree_depth=2, **vector["chain"])
    place = vector["block"]
    block = Block(place["height"], Instant.parse(place["time"]), parse_date(place["today"]), bytes(32))
    before = (decode_record(key, codec.encode(row)) for key, row in vector["before"].items())
    overlay = Overlay(MemoryState(before))
    refusal = machine.door(overlay, chain, block, transaction)
    if refusal is not None:
        return Result(refusal.status, refusal.facts), overlay
    return machine.execute(overlay, chain, block, 0, transaction), overlay


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_vector_holds_alone(path: Path) -> None:
    vector = load(path)
    result, overlay = replay(vector)
    assert (result.status.label, result.facts) == (vector["status"], vector["facts"]), result.fault
    after = {key: None if row is None else codec.plain(row) for key, row in overlay.records.items()}
    assert after == vector["after"]
    assert [codec.plain(event) for event in result.events] == vector["events"]
    if result.status is not Status.OK:
        assert overlay.records == {}
        assert overlay.index_changes() == {}
        assert vector["after"] == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_vector_is_named_after_an_operation_in_it(path: Path) -> None:
    named = [operation["op"] for operation in load(path)["transaction"]["body"]["operations"]]
    assert path.parent.name in named


def test_every_operation_has_a_vector_that_is_accepted() -> None:
    accepted = {path.parent.name for path in FILES if load(path)["status"] == "ok"}
    missing = [name for kind in OPERATIONS if (name := str(kind.__struct_config__.tag)) not in accepted]
    assert missing == []


REACHED_ELSEWHERE = {
    # No vector can hold bytes that are not a transaction, a planted fault, or a state tree.
    Status.KERNEL_FAULT: "tests/kernel/test_machine.py",
    Status.NOT_CANONICAL: "tests/wire/test_transaction.py",
    Status.UNKNOWN_FIELD: "tests/wire/test_transaction.py",
    Status.UNKNOWN_OPERATION: "tests/wire/test_transaction.py",
    Status.UNSUPPORTED_FORMAT: "tests/wire/test_transaction.py",
    Status.TOO_LARGE: "tests/wire/test_transaction.py",
    Status.TOO_MANY_OPERATIONS: "tests/wire/test_door.py",
    Status.DUPLICATE_ID_OTHER_CONTENT: "tests/conformance/test_ordering.py",
    Status.ALREADY_ORDERED: "tests/ledger/test_comet_decided.py",
    Status.WAKE: "tests/ledger/test_comet_decided.py",
    Status.BUCKET_FULL: "tests/kernel/test_machine.py",
    Status.BLOCK_FULL: "tests/ledger/test_durability.py",
    # Asked of the law by functions that no operation reaches with the seeded packs.
    Status.REFERENCE_RATE_MISSING: "tests/kernel/law/test_claims.py",
    Status.SCRUTINY_MISSING: "tests/kernel/law/test_judge.py",
    Status.WAGE_ACCOUNT_MISUSED: "tests/kernel/law/test_judge.py",
}
ROOT = DIRECTORY.parents[2]


def test_every_status_is_reached() -> None:
    reached = {load(path)["status"] for path in FILES}
    assert [status.label for status in Status if status.label not in reached and status not in REACHED_ELSEWHERE] == []
    for status, place in REACHED_ELSEWHERE.items():
        assert f"Status.{status.name}" in (ROOT / place).read_text(encoding="utf-8"), status
