"""Snapshots and backups: taken while the engine works, restored to the same roots, results and receipts."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tallystick.ledger.engine import Committed, Cursor, Engine, HeightUnavailable, Pruned, Unknown
from tallystick.ledger.snapshots import read_manifest, restore, take_snapshot
from tallystick.ledger.store import RocksStore
from tallystick.wire import envelope
from tests.conformance.chain import check_chain, check_proof, idle_height, until_proven
from tests.conformance.engines import Embedded, OnCometBFT, Running
from tests.support.ledger import Consortium, genesis


@contextmanager
def opened(running: Running, path: Path) -> Iterator[Engine]:
    """A copy of the ledger, in a directory, as it is opened for reading."""
    engine = running.opened_copy(path)
    try:
        yield engine
    finally:
        engine.close()


def known_headers(copy: Engine) -> list[int]:
    """The heights whose header and commit a copy holds."""
    known = []
    for height in range(1, copy.health().height + 1):
        with suppress(HeightUnavailable):
            copy.light_block(height)
            known.append(height)
    return known


@contextmanager
def load(engine: Engine, consortium: Consortium) -> Iterator[list[bytes]]:
    """Transactions keep coming; yields those that were committed."""
    stop = threading.Event()
    done: list[bytes] = []

    def work() -> None:
        while not stop.is_set():
            raws = [consortium.anchoring("under load", by="works") for _ in range(20)]
            outcomes = engine.submit_many(raws)
            done.extend(raw for raw, one in zip(raws, outcomes, strict=True) if isinstance(one, Committed))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def test_a_snapshot_restores_to_the_same_ledger(running: Running, tmp_path: Path) -> None:
    consortium = running.consortium
    raws = [consortium.anchoring(f"kept {number}") for number in range(300)]
    raws.append(consortium.anchoring("refused", earlier="doc_0000000000000000"))
    outcomes = running.engine.submit_many(raws)
    height = idle_height(running.engine)
    assert running.engine.snapshot(tmp_path / "snapshot") == height
    store = RocksStore(tmp_path / "restored")
    assert restore(tmp_path / "snapshot", store) == height
    take_snapshot(store, tmp_path / "again")
    store.close()
    names = sorted(path.name for path in (tmp_path / "snapshot").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "again").iterdir())
    for name in names:
        assert (tmp_path / "snapshot" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    with opened(running, tmp_path / "restored") as copy:
        assert copy.health().app_hash == running.engine.health().app_hash
        assert [copy.result(envelope.parse(raw).body_hash) for raw in raws] == outcomes
        assert copy.scan("document") == running.engine.scan("document")
        assert copy.labelled("role/auditor") == running.engine.labelled("role/auditor")
        proof = copy.prove("protocol/chain")
        assert proof == running.engine.prove("protocol/chain")
        check_proof(running.engine, proof, genesis().tree_depth)


def test_a_snapshot_is_of_one_height_though_the_engine_works_on(running: Running, tmp_path: Path) -> None:
    with load(running.another_client(), running.consortium) as done:
        for number in range(3):
            height = running.engine.snapshot(tmp_path / f"snapshot{number}")
            manifest = read_manifest(tmp_path / f"snapshot{number}")
            assert manifest.height == height
    assert done
    store = RocksStore(tmp_path / "restored")
    restore(tmp_path / "snapshot2", store)  # it compares the root of the rows with that of the height's tip
    store.close()
    until_proven(running.engine, "protocol/chain")
    header = running.engine.light_block(read_manifest(tmp_path / "snapshot1").height + 1).header
    assert header.app_hash.hex() == read_manifest(tmp_path / "snapshot1").app_hash


def test_events_from_before_a_snapshot_are_pruned(running: Running, tmp_path: Path) -> None:
    running.engine.submit(running.consortium.anchoring("told"))
    height = idle_height(running.engine)
    running.engine.snapshot(tmp_path / "snapshot")
    store = RocksStore(tmp_path / "restored")
    restore(tmp_path / "snapshot", store)
    store.close()
    with opened(running, tmp_path / "restored") as copy:
        for cursor in (Cursor(), Cursor(height)):
            with pytest.raises(Pruned) as refused:
                copy.events(cursor)
            assert refused.value.first == height + 1
        assert copy.events(Cursor(height + 1)) == []


def test_nothing_is_ordered_on_a_copy(alone: Embedded, tmp_path: Path) -> None:
    """The operator's key could sign a height twice. A member's copy orders nothing by itself: the others decide."""
    alone.engine.submit(alone.consortium.anchoring("first"))
    idle_height(alone.engine)
    alone.engine.snapshot(tmp_path / "snapshot")
    alone.engine.backup(tmp_path / "backup")
    store = RocksStore(tmp_path / "restored")
    restore(tmp_path / "snapshot", store)
    store.close()
    for name in ("restored", "backup"):
        with opened(alone, tmp_path / name) as copy:
            height = copy.health().height
            time.sleep(0.8)  # time enough for an idle engine to look after its clock and its proof block
            outcome = copy.submit(alone.consortium.anchoring(f"on {name}"))
            assert isinstance(outcome, Unknown)
            assert "copy" in outcome.reason
            assert "copy" in copy.health().problem
        with opened(alone, tmp_path / name) as copy:
            assert copy.health().height == height, "a copy was written to"


def test_a_backup_is_whole_though_the_engine_works_on(running: Running, tmp_path: Path) -> None:
    early = running.engine.submit_many([running.consortium.anchoring(f"early {n}") for n in range(50)])
    with load(running.another_client(), running.consortium) as done:
        height = running.engine.backup(tmp_path / "backup")
    assert done
    until_proven(running.engine, "protocol/chain")
    with opened(running, tmp_path / "backup") as copy:
        assert copy.health().height == height
        assert running.engine.light_block(height + 1).header.app_hash == copy.health().app_hash
        assert all(isinstance(one, Committed) for one in early)
        assert copy.events(Cursor()) == [p for p in running.engine.events(Cursor()) if p.cursor.height <= height]
        known = known_headers(copy)
        assert [copy.light_block(each) for each in known] == [running.engine.light_block(each) for each in known]


def test_a_backup_has_the_header_of_its_last_block(alone: Embedded, tmp_path: Path) -> None:
    """A member's may lack the last ones, which CometBFT tells it after the block; the node that goes on asks again."""
    alone.engine.submit(alone.consortium.anchoring("kept"))
    height = alone.engine.backup(tmp_path / "backup")
    with opened(alone, tmp_path / "backup") as copy:
        assert known_headers(copy) == list(range(1, height + 1))


def test_a_member_goes_on_from_a_backup_of_its_ledger(member: OnCometBFT, tmp_path: Path) -> None:
    """CometBFT tells it the blocks since; nothing but the signing state must be the latest, and that is not in it."""
    early = member.engine.submit(member.consortium.anchoring("early"))
    idle_height(member.engine)
    member.engine.backup(tmp_path / "backup")
    raws = [member.consortium.anchoring(f"since {number}") for number in range(5)]
    outcomes = [member.engine.submit(raw) for raw in raws]
    height = idle_height(member.engine)
    before = member.engine.health()
    member.close()
    shutil.rmtree(member.home / "ledger")
    (tmp_path / "backup").rename(member.home / "ledger")
    member.open()
    after = member.engine.health()
    assert (after.height, after.app_hash) == (height, before.app_hash)
    assert [member.engine.result(envelope.parse(raw).body_hash) for raw in raws] == outcomes
    assert isinstance(early, Committed)
    assert isinstance(member.engine.submit(member.consortium.anchoring("goes on")), Committed)
    assert check_chain(member.engine, founded=member.founded) > height
    assert member.engine.health().problem == ""


def test_neither_overwrites_what_is_there(running: Running, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "precious").write_text("kept")
    for keep in (running.engine.snapshot, running.engine.backup):
        with pytest.raises(OSError, match="there"):
            keep(tmp_path / "there")
    assert (tmp_path / "there" / "precious").read_text() == "kept"
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["precious"]
