"""Nothing is acknowledged that is not on the disk, and a store that fails or lies stops the node."""

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rocksdict import WriteOptions

from tallystick.kernel.core.step import Step
from tallystick.kernel.documents.anchors import AnchorDocument
from tallystick.ledger.engine import Committed, Cursor, Outcome, RefusedAtDoor, Unknown
from tallystick.ledger.engines import embedded
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.store import Batch, Family, RocksStore, Store, StoreFailure, StoreLocked
from tallystick.wire import envelope
from tallystick.wire.status import Status
from tests.support.ledger import NODE_KEY, Consortium, OwnClock, genesis
from tests.support.stores import FailingStore, RecordingStore

ROOT = Path(__file__).resolve().parents[2]


def engine_on(store: Store) -> EmbeddedEngine:
    return EmbeddedEngine(store, NODE_KEY, genesis(), OwnClock())


def body_hash(raw: bytes) -> bytes:
    return envelope.parse(raw).body_hash


# Acknowledged means synced


def test_each_acknowledgement_follows_a_write_that_returned(tmp_path: Path) -> None:
    log: list[str] = []
    engine = engine_on(RecordingStore(RocksStore(tmp_path), log))
    consortium = Consortium()
    for number in range(20):
        engine.submit_later(consortium.anchoring(f"{number}"), lambda _: log.append("acknowledged"))
    engine.submit(consortium.anchoring("last"))
    engine.close()
    assert log.count("acknowledged") == 20
    for place, entry in enumerate(log):
        if entry == "acknowledged":
            before = [earlier for earlier in log[:place] if earlier != "acknowledged"]
            assert before[-1] == "write returned", log[: place + 1]


def test_the_log_is_synced_before_each_acknowledgement(tmp_path: Path) -> None:
    store = RocksStore(tmp_path, statistics=True)
    engine = engine_on(store)
    consortium = Consortium()
    counts: list[int] = []
    for number in range(10):
        before = store.synced_writes()
        engine.submit_later(consortium.anchoring(f"{number}"), lambda _: counts.append(store.synced_writes()))
        engine.submit(consortium.anchoring(f"after {number}"))
        assert counts[-1] > before, "acknowledged without a sync"
    engine.close()


def test_the_counter_sees_a_missing_sync(tmp_path: Path) -> None:
    """What the test before relies on: RocksDB counts the syncs of its log, not our calls."""
    store = RocksStore(tmp_path, statistics=True)
    batch = Batch()
    batch.put(Family.META, b"key", b"value")
    store.write(batch)
    synced = store.synced_writes()
    assert synced > 0
    store._sync = WriteOptions()
    store.write(batch)
    assert store.synced_writes() == synced
    store.close()


# Writes that fail


def test_a_failed_write_acknowledges_nothing_and_stops_the_engine(tmp_path: Path) -> None:
    store = FailingStore(RocksStore(tmp_path))
    engine = engine_on(store)
    consortium = Consortium()
    kept = consortium.anchoring("kept")
    assert isinstance(engine.submit(kept), Committed)
    store.fails = True
    lost = [consortium.anchoring(f"lost {number}") for number in range(900)]
    outcomes = engine.submit_many(lost, timeout_seconds=20)
    assert {type(outcome) for outcome in outcomes} == {Unknown}
    assert "the disk is gone" in engine.health().problem
    store.fails = False
    tried = store.tried
    late = engine.submit(consortium.anchoring("late"), timeout_seconds=5)
    assert isinstance(late, Unknown)
    assert "the disk is gone" in late.reason
    assert store.tried == tried, "it wrote again after a failure"
    engine.close()
    again = engine_on(RocksStore(tmp_path))
    assert isinstance(again.result(body_hash(kept)), Committed)
    assert all(again.result(body_hash(raw)) is None for raw in lost)
    assert all(isinstance(outcome, Committed) for outcome in again.submit_many(lost))
    again.close()


def test_a_failed_write_while_idle_is_reported(tmp_path: Path) -> None:
    store = FailingStore(RocksStore(tmp_path))
    engine = engine_on(store)
    engine.submit(Consortium().anchoring("one"))
    store.fails = True
    until = time.monotonic() + 10
    while not engine.health().problem:
        assert time.monotonic() < until
        time.sleep(0.02)
    engine.close()


FILL = """
import os, resource, signal, sys
from pathlib import Path
from tallystick.ledger.engine import Committed, Unknown
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.store import RocksStore
from tests.support.ledger import NODE_KEY, Consortium, OwnClock, genesis
engine = EmbeddedEngine(RocksStore(Path(sys.argv[1])), NODE_KEY, genesis(), OwnClock())
consortium = Consortium()
if len(sys.argv) > 2:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
for number in range(40_000):
    names = [f"n{number}-{each}" for each in range(50)]
    outcomes = engine.submit_many([consortium.anchoring(name * 5, name=name) for name in names], timeout_seconds=30)
    for name, outcome in zip(names, outcomes):
        if isinstance(outcome, Committed):
            os.write(1, f"{name}\\n".encode())
    if any(isinstance(outcome, Unknown) for outcome in outcomes):
        late = engine.submit(consortium.anchoring("late"), timeout_seconds=5)
        os.write(1, f"stopped {type(late).__name__} {engine.health().problem}\\n".encode())
        break
engine.close()
"""


def check_stopped(directory: Path, said: str) -> None:
    """The writer stopped without acknowledging, and what it acknowledged before is there."""
    *acknowledged, last = said.splitlines()
    assert last.startswith("stopped Unknown stopped: StoreFailure"), last
    assert acknowledged
    engine = engine_on(RocksStore(directory))
    consortium = Consortium()
    for name in acknowledged:
        raw = consortium.anchoring(name * 5, name=name)
        assert isinstance(engine.result(body_hash(raw)), Committed), name
    engine.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs rights that this user does not have")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.engine
def test_a_full_disk_stops_the_node_without_acknowledging(small_disk: Path, tmp_path: Path) -> None:
    filled = subprocess.run(
        [sys.executable, "-c", FILL, str(small_disk / "l")], cwd=ROOT, stdout=subprocess.PIPE, check=False
    )
    subprocess.run(["cp", "-r", str(small_disk / "l"), str(tmp_path / "copy")], check=True)
    check_stopped(tmp_path / "copy", filled.stdout.decode())


@pytest.mark.engine
def test_a_file_that_cannot_grow_stops_the_node_without_acknowledging(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILL, str(tmp_path / "l"), str(1 << 20)]
    filled = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    check_stopped(tmp_path / "l", filled.stdout.decode())


# One process at a time


@pytest.mark.engine
def test_a_second_process_is_refused(tmp_path: Path) -> None:
    hold = "import sys; from pathlib import Path; from tallystick.ledger.store import RocksStore\n"
    hold += "store = RocksStore(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(StoreLocked, match="another process has this data directory open") as refused:
        RocksStore(tmp_path)
    assert refused.value.where == str(tmp_path)
    holder.stdin.close()
    holder.wait()
    holder.stdout.close()
    RocksStore(tmp_path).close()


# Faults


def test_a_fault_in_one_operation_rolls_that_transaction_back_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_on(RocksStore(tmp_path))
    consortium = Consortium()
    apply = AnchorDocument.apply

    def faulty(self: AnchorDocument, step: Step) -> Iterator[object]:
        yield from apply(self, step)
        if self.anchor.size == len("bad"):
            raise ZeroDivisionError("planted")

    monkeypatch.setattr(AnchorDocument, "apply", faulty)
    names = ["good1", "bad", "good2"]
    raws = [consortium.anchoring(name, name=name) for name in names]
    outcomes = engine.submit_many(raws)
    assert [one.status for one in outcomes if isinstance(one, Committed)] == [Status.OK, Status.KERNEL_FAULT, Status.OK]
    found = [engine.query(f"document/{consortium.document_id(name)}").record is not None for name in names]
    assert found == [True, False, True]
    told = {placed.event.record for placed in engine.events(Cursor())}
    assert told == {consortium.document_id("good1"), consortium.document_id("good2")}
    faults = engine.health().faults
    assert len(faults) == 1
    assert body_hash(raws[1]).hex() in faults[0]
    assert "ZeroDivisionError: planted" in faults[0]
    assert engine.health().problem == "", "one fault must not stop the ledger"
    engine.close()


def test_running_out_of_memory_stops_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal there would differ from node to node."""
    engine = engine_on(RocksStore(tmp_path))
    consortium = Consortium()

    def exhausted(self: AnchorDocument, step: Step) -> Iterator[object]:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(AnchorDocument, "apply", exhausted)
        raw = consortium.anchoring("too much")
        assert isinstance(engine.submit(raw, timeout_seconds=10), Unknown)
    assert "MemoryError" in engine.health().problem
    engine.close()
    again = engine_on(RocksStore(tmp_path))
    assert again.result(body_hash(raw)) is None
    assert isinstance(again.submit(raw), Committed)
    again.close()


def test_without_its_verification_process_the_engine_goes_on(tmp_path: Path) -> None:
    engine = engine_on(RocksStore(tmp_path))
    consortium = Consortium()
    outcomes: list[Outcome] = engine.submit_many([consortium.anchoring(f"before {n}") for n in range(100)])
    process = engine._verifier._process
    assert process is not None
    later = [consortium.anchoring(f"after {n}") for n in range(3_000)]
    later[1_700] = later[1_700].replace(b'"note"', b'"vote"')
    process.send_signal(signal.SIGKILL)
    process.wait()
    outcomes += engine.submit_many(later)
    refused = [place for place, outcome in enumerate(outcomes) if not isinstance(outcome, Committed)]
    assert refused == [100 + 1_700], "the forged one, and no other, is refused"
    assert any("verification process" in fault for fault in engine.health().faults)
    assert engine.health().problem == ""
    engine.close()


def test_a_store_that_cannot_be_read_raises_its_own_failure(tmp_path: Path) -> None:
    store = RocksStore(tmp_path)
    store.close()
    with pytest.raises(StoreFailure, match=str(tmp_path)):
        store.get(Family.META, b"tip")
    with pytest.raises(StoreFailure, match=str(tmp_path)):
        list(store.range(Family.META, b""))
    with pytest.raises(StoreFailure, match=str(tmp_path)):
        store.write(Batch())


# More handed in than can wait


def test_what_can_not_wait_is_refused_as_block_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "MAX_WAITING", 3)
    engine = engine_on(RocksStore(tmp_path))
    consortium = Consortium()
    raws = [consortium.anchoring(f"{number}") for number in range(4)]
    outcomes = engine.submit_many(raws)
    assert {type(outcome) for outcome in outcomes} == {RefusedAtDoor}
    assert all(isinstance(one, RefusedAtDoor) and one.status is Status.BLOCK_FULL for one in outcomes)
    assert engine.result(body_hash(raws[0])) is None
    assert all(isinstance(one, Committed) for one in engine.submit_many(raws[:3]))
    engine.close()
