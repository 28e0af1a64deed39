"""The shelf of snapshots: taken while blocks go on, the same bytes on every node, whole or not there at all."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.kernel.core import codec
from tallystick.ledger import snapshots as files
from tallystick.ledger.comet import snapshots
from tallystick.ledger.comet.snapshots import (
    BLOCKS_AFTER,
    FETCHED_SECONDS,
    HELD_SECONDS,
    LISTED_SECONDS,
    SnapshotShelf,
    retain_height,
)
from tallystick.ledger.snapshots import Chunk, check_chunk, read_manifest
from tallystick.ledger.store import RocksStore, StoreFailure
from tests.support.decided import DecidedChain
from tests.support.stores import WrappedStore

ROOT = Path(__file__).resolve().parents[2]
EVERY = 10

pytestmark = pytest.mark.engine


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[DecidedChain]:
    chain = DecidedChain(tmp_path / "ledger")
    yield chain
    chain.close()


class QuickShelf(SnapshotShelf):
    """Writes its snapshots in this process: for tests of what is kept, where a process each takes too long."""

    def _run_writer(self, frozen: Path, unfinished: Path) -> str:
        copy = RocksStore(frozen, cache_bytes=8 << 20)
        try:
            files.write_snapshot(copy, unfinished)
        finally:
            copy.close()
        return ""


def go_on(chain: DecidedChain, shelf: SnapshotShelf, until: int) -> None:
    """Commit blocks up to a height, and wait for each snapshot that falls due."""
    while chain.height < until:
        chain.block()
        shelf.after_commit(chain.height)
        if shelf.is_due(chain.height):
            shelf.wait()


def heights(shelf: SnapshotShelf) -> list[int]:
    return [one.height for one in shelf.kept()]


def contents(directory: Path) -> dict[str, bytes]:
    """All files below a directory, by name."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def check_whole(shelf: SnapshotShelf) -> None:
    """Every snapshot that the shelf offers can be fetched to its end, and each chunk is what its manifest states."""
    for one in shelf.kept():
        manifest = files.parse_manifest(one.metadata, f"snapshot {one.height}")
        assert (manifest.height, manifest.digest) == (one.height, one.digest.hex())
        for index, chunk in enumerate(manifest.chunks):
            check_chunk(chunk, shelf.chunk(one.height, one.format, index), chunk.name)


# Taking


def test_one_is_taken_at_every_height_that_is_due_and_the_newest_are_kept(chain: DecidedChain, tmp_path: Path) -> None:
    shelf = SnapshotShelf(tmp_path / "shelf", chain.store, EVERY, keep=2)
    go_on(chain, shelf, 45)
    assert shelf.problem == ""
    assert heights(shelf) == [30, 40]
    assert shelf.oldest() == 30
    assert sorted(path.name for path in (tmp_path / "shelf").iterdir()) == ["30", "40"]
    check_whole(shelf)
    again = SnapshotShelf(tmp_path / "shelf", chain.store, EVERY, keep=2)
    assert again.kept() == shelf.kept()


def test_none_is_taken_where_none_is_asked_for(chain: DecidedChain, tmp_path: Path) -> None:
    shelf = SnapshotShelf(tmp_path / "shelf", chain.store, 0, keep=2)
    go_on(chain, shelf, EVERY)
    shelf.wait()
    assert (shelf.kept(), shelf.oldest()) == ([], None)


def test_it_is_offered_once_a_light_client_can_know_it(chain: DecidedChain, tmp_path: Path) -> None:
    """A joining CometBFT that can't get the two light blocks after it rejects the snapshot for good."""
    shelf = QuickShelf(tmp_path / "shelf", chain.store, EVERY, keep=2)
    for height, offered in ((10, []), (11, []), (12, [10]), (21, [10]), (22, [10, 20])):
        go_on(chain, shelf, height)
        assert [one.height for one in shelf.offered()] == offered, height
    again = QuickShelf(tmp_path / "shelf", chain.store, EVERY, keep=2)
    assert again.offered() == shelf.offered()
    assert BLOCKS_AFTER == 2


def test_it_is_of_its_height_though_blocks_go_on(chain: DecidedChain, tmp_path: Path) -> None:
    shelf = SnapshotShelf(tmp_path / "shelf", chain.store, EVERY, keep=2)
    chain.blocks(EVERY)
    app_hash = chain.app_hash
    shelf.after_commit(EVERY)
    chain.blocks(EVERY + 5)
    shelf.wait()
    manifest = read_manifest(tmp_path / "shelf" / str(EVERY))
    assert (manifest.height, manifest.app_hash) == (EVERY, app_hash.hex())


def test_two_nodes_have_the_same_bytes(chain: DecidedChain, tmp_path: Path) -> None:
    """One runs through; the other starts anew between blocks, takes others as well, and has notes of its own."""
    first = SnapshotShelf(tmp_path / "shelf", chain.store, EVERY, keep=1)
    go_on(chain, first, 20)
    other = DecidedChain(tmp_path / "other").blocks(9)
    other.close()
    other = DecidedChain(tmp_path / "other")
    second = SnapshotShelf(tmp_path / "others shelf", other.store, 5, keep=9)
    go_on(other, second, 20)
    other.close()
    assert contents(tmp_path / "shelf" / "20") == contents(tmp_path / "others shelf" / "20")
    assert first.digest(20) == second.digest(20) == read_manifest(tmp_path / "shelf" / "20").digest


def test_the_manifest_tells_who_signs_and_which_blocks_may_be_named(chain: DecidedChain, tmp_path: Path) -> None:
    shelf = QuickShelf(tmp_path / "shelf", chain.store, EVERY, keep=1)
    go_on(chain, shelf, EVERY)
    manifest = read_manifest(tmp_path / "shelf" / str(EVERY))
    (signing,) = manifest.signing  # decided at height 7, in force two heights later
    assert signing.from_height == 9
    assert [one.name for one in signing.validators.validators] == ["node 0", "node 1", "node 2", "node 3", "node 4"]
    assert manifest.hashes_from == 1
    assert len(manifest.hashes) == EVERY


def test_while_one_is_written_no_other_is_begun(
    chain: DecidedChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = SnapshotShelf(tmp_path / "shelf", chain.store, EVERY, keep=5)
    real = sys.executable
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", script(tmp_path, f'sleep 1; exec {real} "$@"'))
        chain.blocks(EVERY)
        shelf.after_commit(EVERY)
        chain.blocks(2 * EVERY)
        shelf.after_commit(2 * EVERY)
        shelf.wait()
    go_on(chain, shelf, 3 * EVERY)
    assert heights(shelf) == [EVERY, 3 * EVERY]


def script(directory: Path, line: str) -> str:
    path = directory / "writer"
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_writer_that_fails_is_told_and_stops_nothing(
    chain: DecidedChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = SnapshotShelf(tmp_path / "shelf", chain.store, EVERY, keep=5)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", script(tmp_path, 'mkdir "$4"; echo "disk full" >&2; exit 1'))
        go_on(chain, shelf, EVERY + 1)
    assert shelf.problem == f"no snapshot of height {EVERY}: disk full"
    assert shelf.kept() == []
    assert list((tmp_path / "shelf").iterdir()) == []
    go_on(chain, shelf, 2 * EVERY)
    assert (shelf.problem, heights(shelf)) == ("", [2 * EVERY])


def test_a_checkpoint_that_fails_is_told_and_stops_nothing(chain: DecidedChain, tmp_path: Path) -> None:
    class FullDisk(WrappedStore):
        def checkpoint(self, target: Path) -> None:
            target.mkdir()
            raise StoreFailure("no space left")

    shelf = SnapshotShelf(tmp_path / "shelf", FullDisk(chain.store), EVERY, keep=5)
    go_on(chain, shelf, EVERY)
    assert shelf.problem == f"no snapshot of height {EVERY}: no space left"
    assert list((tmp_path / "shelf").iterdir()) == []


def test_a_node_that_stops_gives_up_what_is_being_written(
    chain: DecidedChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = SnapshotShelf(tmp_path / "shelf", chain.store, EVERY, keep=5)
    monkeypatch.setattr(sys, "executable", script(tmp_path, 'mkdir "$4"; exec sleep 100'))
    chain.blocks(EVERY)
    began = time.monotonic()
    shelf.after_commit(EVERY)
    shelf.close()
    shelf.close()
    assert time.monotonic() - began < 20
    assert (shelf.problem, list((tmp_path / "shelf").iterdir())) == ("", [])
    shelf.after_commit(2 * EVERY)
    assert list((tmp_path / "shelf").iterdir()) == []


# Keeping and serving


def test_at_the_start_only_whole_ones_stay(chain: DecidedChain, tmp_path: Path) -> None:
    directory = tmp_path / "shelf"
    shelf = QuickShelf(directory, chain.store, EVERY, keep=5)
    go_on(chain, shelf, 3 * EVERY)
    (directory / ".40.ledger").mkdir()
    (directory / ".40.writing").mkdir()
    (directory / ".40.writing" / "000001-state.rows").write_bytes(b"half")
    manifest = directory / "20" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"height":20', b'"height":21'))
    again = QuickShelf(directory, chain.store, EVERY, keep=5)
    assert heights(again) == [10, 30]
    assert sorted(path.name for path in directory.iterdir()) == ["10", "30"]
    fewer = QuickShelf(directory, chain.store, EVERY, keep=1)
    assert heights(fewer) == [30]
    assert sorted(path.name for path in directory.iterdir()) == ["30"]


def test_a_damaged_manifest_is_told(chain: DecidedChain, tmp_path: Path) -> None:
    go_on(chain, QuickShelf(tmp_path / "shelf", chain.store, EVERY, keep=5), EVERY)
    (tmp_path / "shelf" / "10" / "manifest.json").write_bytes(b"{}")
    shelf = QuickShelf(tmp_path / "shelf", chain.store, EVERY, keep=5)
    assert shelf.problem.startswith("no snapshot of height 10: ")
    assert "manifest.json" in shelf.problem


def test_what_is_not_there_is_answered_with_nothing(chain: DecidedChain, tmp_path: Path) -> None:
    shelf = QuickShelf(tmp_path / "shelf", chain.store, EVERY, keep=5)
    go_on(chain, shelf, EVERY)
    (one,) = shelf.kept()
    assert shelf.chunk(EVERY, one.format, 0)
    for height, form, index in ((EVERY, 2, 0), (EVERY, 1, 3), (EVERY, 1, -1), (EVERY, 1, 2**32 - 1), (11, 1, 0)):
        assert shelf.chunk(height, form, index) == b"", (height, form, index)
    (tmp_path / "shelf" / str(EVERY) / one.chunks[0]).unlink()
    assert shelf.chunk(EVERY, one.format, 0) == b""
    assert "a chunk can't be read" in shelf.problem


class Held:
    """A shelf that keeps one, and a clock that the test moves."""

    def __init__(self, chain: DecidedChain, directory: Path) -> None:
        self.now = 0.0
        self.chain = chain
        self.shelf = QuickShelf(directory, chain.store, EVERY, keep=1, clock=lambda: self.now)

    def at(self, height: int) -> list[int]:
        """The heights kept once the chain is at `height`."""
        go_on(self.chain, self.shelf, height)
        return heights(self.shelf)


def test_one_that_was_shown_stays_long_enough_to_be_begun(chain: DecidedChain, tmp_path: Path) -> None:
    held = Held(chain, tmp_path / "shelf")
    held.at(12)
    assert held.shelf.offered()
    held.now = LISTED_SECONDS - 1
    assert held.at(20) == [10, 20]
    assert held.shelf.offered()  # not shown for the first time: it stays no longer for that
    held.now = LISTED_SECONDS
    assert held.at(30) == [30]


def test_one_that_is_being_fetched_stays(chain: DecidedChain, tmp_path: Path) -> None:
    held = Held(chain, tmp_path / "shelf")
    held.at(10)
    for _ in range(4):
        assert held.shelf.chunk(10, 1, 0)
        held.now += FETCHED_SECONDS - 1
        assert held.at(held.chain.height + EVERY)[0] == 10
    held.now += 1
    assert held.at(60) == [60]


def test_nobody_holds_one_for_ever(chain: DecidedChain, tmp_path: Path) -> None:
    held = Held(chain, tmp_path / "shelf")
    held.at(10)
    held.now = HELD_SECONDS - 1
    assert held.shelf.chunk(10, 1, 0)
    assert held.at(20) == [10, 20]
    held.now = HELD_SECONDS
    assert held.at(30) == [30]


def test_no_more_are_held_than_are_kept(chain: DecidedChain, tmp_path: Path) -> None:
    held = Held(chain, tmp_path / "shelf")
    for height in (10, 20, 30):
        for one in held.at(height):
            assert held.shelf.chunk(one, 1, 0)
    assert held.at(40) == [10, 40]


def test_the_digest_is_known_when_the_files_are_gone(chain: DecidedChain, tmp_path: Path) -> None:
    shelf = QuickShelf(tmp_path / "shelf", chain.store, EVERY, keep=1)
    go_on(chain, shelf, EVERY)
    digest = shelf.digest(EVERY)
    go_on(chain, shelf, 2 * EVERY)
    assert heights(shelf) == [2 * EVERY]
    assert shelf.digest(EVERY) == digest == digest.lower() != ""
    assert (shelf.digest(5), len(digest)) == ("", 64)


def test_the_manifest_of_a_large_ledger_can_be_offered(chain: DecidedChain, tmp_path: Path) -> None:
    """40 GB of rows; what CometBFT carries of an offer is 4 MB."""
    go_on(chain, QuickShelf(tmp_path / "shelf", chain.store, EVERY, keep=5), EVERY)
    manifest = read_manifest(tmp_path / "shelf" / str(EVERY))
    chunk = Chunk(name="000001-receipts.rows", family="receipts", rows=40_000, size=files.CHUNK_BYTES, sha256="0" * 64)
    large = msgspec.structs.replace(manifest, chunks=(chunk,) * 10_000, hashes=("0" * 64,) * 1_024)
    assert len(codec.encode(large)) < snapshots.MAX_METADATA_BYTES < 4_000_000


# Killed at any instant


def test_a_writer_ends_when_its_node_does(chain: DecidedChain, tmp_path: Path) -> None:
    """The other end of its input is the node's alone; it would go on for a minute."""
    chain.store.checkpoint(tmp_path / "frozen")
    code = (
        "import time; from pathlib import Path; from tallystick.ledger.comet import snapshots;"
        " snapshots.write_snapshot = lambda *_: (print('writing', flush=True), time.sleep(60));"
        f" snapshots.main(Path({str(tmp_path / 'frozen')!r}), Path({str(tmp_path / 'target')!r}))"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert writer.stdin is not None
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline() == b"writing\n"
        assert os.getpriority(os.PRIO_PROCESS, writer.pid) > os.getpriority(os.PRIO_PROCESS, 0)
        writer.stdin.close()
        assert writer.wait(20) == 1
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()


def test_a_node_that_is_killed_leaves_whole_snapshots_and_no_writer(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(3):
        writers = run_and_kill(tmp_path, chance.random())
        check_ended(writers)
        chain = DecidedChain(tmp_path / "ledger")
        shelf = SnapshotShelf(tmp_path / "shelf", chain.store, 3, keep=4)
        assert not [path for path in (tmp_path / "shelf").iterdir() if path.name.startswith(".")]
        assert shelf.kept()
        check_whole(shelf)
        chain.close()


def run_and_kill(home: Path, seconds: float) -> list[int]:
    """Run a node, kill it so long after it has taken a snapshot, and return the processes that it had started."""
    command = [sys.executable, "-m", "tests.ledger.shelf_node", str(home)]
    node = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert node.stdout is not None
    assert node.stdout.readline() == b"taken\n"
    time.sleep(seconds)
    started = [
        int(pid) for task in Path(f"/proc/{node.pid}/task").glob("*/children") for pid in task.read_text().split()
    ]
    os.kill(node.pid, signal.SIGKILL)
    node.wait()
    node.stdout.close()
    return started


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def check_ended(processes: list[int]) -> None:
    until = time.monotonic() + 10
    while any(map(is_alive, processes)):
        assert time.monotonic() < until, "a writer outlived its node"
        time.sleep(0.02)


# What CometBFT may forget

HEIGHTS = st.integers(0, 20)  # few, so that each bound is the narrowest in turn


@settings(max_examples=1_000)
@given(HEIGHTS, st.none() | HEIGHTS, HEIGHTS, HEIGHTS, HEIGHTS)
def test_pruning_outruns_nothing(tip: int, oldest: int | None, blocks: int, evidence: int, archived: int) -> None:
    kept_from = retain_height(
        tip, oldest_snapshot=oldest, retain_blocks=blocks, evidence_blocks=evidence, archived_until=archived
    )
    assert kept_from >= 0
    if kept_from:
        assert oldest is not None
        assert blocks
        assert kept_from <= min(oldest, archived)
        assert tip - kept_from >= max(blocks, evidence)


@given(st.integers(1, 50), st.integers(1, 5), st.integers(1, 500), st.integers(1, 500), st.integers(0, 2_000))
def test_pruning_follows_the_tip_and_never_goes_back(
    every: int, keep: int, blocks: int, evidence: int, lag: int
) -> None:
    told = [0]
    for tip in range(every, 3_000, every):
        oldest = max(tip // every - keep + 1, 1) * every
        told.append(
            retain_height(
                tip, oldest_snapshot=oldest, retain_blocks=blocks, evidence_blocks=evidence, archived_until=tip - lag
            )
        )
    assert told == sorted(told)
    assert told[-1] >= tip - max(keep * every, blocks, evidence, lag)
