"""The snapshots that a consortium's node keeps for those who join: taken every so many blocks, the oldest given up.

A block waits for nothing but a checkpoint of the store: hard links, after what is not in files yet was written (65 ms
with 20 MB of that, 450 ms with 200 MB). The snapshot is written from it by a process of its own, at a low priority:
written in a thread of the node it would hold blocks up through the interpreter's lock (blocks of 500 steps on two
cores, 90th percentile: 25 ms alone, 30 ms beside the process, 82 ms beside the thread).

In the directory, `<height>` is a whole snapshot; a name with a dot in front is work that was not finished, and goes
when the node starts.
"""

import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tallystick.ledger.opening import TIP_KEY, read_tip
from tallystick.ledger.snapshots import MANIFEST, read_manifest, sync_directory, write_snapshot
from tallystick.ledger.store import Family, RocksStore, Store, StoreFailure
from tallystick.wire.errors import DecodeError

MAX_METADATA_BYTES = 3_900_000  # CometBFT drops a peer whose offer is over 4,000,000 (statesync/messages.go)
BLOCKS_AFTER = 2  # whoever joins at a height needs the light blocks of this many heights after it
LISTED_SECONDS = 120.0
"""So long after a snapshot was first shown to a peer, it is not given up: somebody may begin to fetch it."""
FETCHED_SECONDS = 600.0
"""So long after a chunk of it was asked for: somebody is fetching it."""
HELD_SECONDS = 3_600.0
"""So long after it was taken, nobody's asking holds it any longer."""
KNOWN_DIGESTS = 100

_HEIGHT = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_CACHE_BYTES = 8 << 20
_NICENESS = 10  # at 19, four nodes on two busy cores did not finish one within 3 s

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """A whole snapshot on the disk, as it is offered to peers: `metadata` is its manifest."""

    height: int
    format: int
    digest: bytes
    metadata: bytes
    chunks: tuple[str, ...]
    """The names of their files."""


class SnapshotShelf:
    """The snapshots in `directory`: one at every height that `every` divides (none for 0), the newest `keep` of them.

    `after_commit` belongs to the thread that executes blocks; any thread may call the others. A snapshot that can't be
    taken stops nothing: `problem` says why, until one is taken again.
    """

    def __init__(
        self,
        directory: Path,
        store: Store,
        every: int,
        keep: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problem = ""
        self._directory = directory
        self._store = store
        self._every = every
        self._keep = max(keep, 1)
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[int, Kept] = {}
        self._digests: dict[int, str] = {}
        self._taken_at: dict[int, float] = {}
        self._held_until: dict[int, float] = {}
        self._height = 0 if store.get(Family.META, TIP_KEY) is None else read_tip(store).height
        self._writing: threading.Thread | None = None
        self._writer: subprocess.Popen[bytes] | None = None
        self._closed = False
        directory.mkdir(parents=True, exist_ok=True)
        self._take_stock()

    # Taking

    def after_commit(self, height: int) -> None:
        """Tell of a block whose batch was just written. Begins a snapshot at the heights that are due for one."""
        self._height = height
        if self.is_due(height):
            self.take(height)

    def take(self, height: int) -> None:
        """Begin a snapshot of the store, which is at `height`. While another is being written, none is begun."""
        with self._lock:
            if height in self._kept or self._closed or (self._writing is not None and self._writing.is_alive()):
                return
        frozen = self._directory / f".{height}.ledger"
        try:
            self._store.checkpoint(frozen)
        except StoreFailure as failure:
            self._failed(height, str(failure))
            shutil.rmtree(frozen, ignore_errors=True)
            return
        self._writing = threading.Thread(target=self._write, args=(height, frozen), name="snapshot", daemon=True)
        self._writing.start()

    def is_due(self, height: int) -> bool:
        """Whether a snapshot is taken at `height`."""
        return self._every > 0 and height % self._every == 0

    def wait(self) -> None:
        """Return when no snapshot is being written."""
        if self._writing is not None:
            self._writing.join()

    def close(self) -> None:
        """Give up a snapshot that is being written. Safe to call twice."""
        with self._lock:
            self._closed = True
            if self._writer is not None:
                self._writer.kill()
        self.wait()

    def _write(self, height: int, frozen: Path) -> None:
        unfinished = self._directory / f".{height}.writing"
        try:
            told = self._run_writer(frozen, unfinished)
            if told:
                self._failed(height, told)
                return
            whole = self._directory / str(height)
            unfinished.rename(whole)
            sync_directory(self._directory)
            self._put_up(whole)
            self._give_up_oldest()
        except OSError as error:
            self._failed(height, str(error))
        finally:
            shutil.rmtree(frozen, ignore_errors=True)
            shutil.rmtree(unfinished, ignore_errors=True)

    def _run_writer(self, frozen: Path, unfinished: Path) -> str:
        """Let a process write the snapshot; returns what it says if it fails."""
        command = [sys.executable, "-m", __name__, str(frozen), str(unfinished)]
        with self._lock:
            if self._closed:
                return "the node is stopping"
            # Its input stays open as long as this process lives, and it ends with its input.
            self._writer = subprocess.Popen(  # noqa: S603 - this module
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        with self._writer as writer:
            said = b"" if writer.stderr is None else writer.stderr.read()
            code = writer.wait()
        if code == 0:
            return ""
        return (said.decode(errors="replace").splitlines() or [f"the writer ended with {code}"])[-1]

    def _failed(self, height: int, why: str) -> None:
        if not self._closed:
            self.problem = f"no snapshot of height {height}: {why}"
            _log.warning("%s", self.problem)

    # Keeping

    def _take_stock(self) -> None:
        """Remove what was not finished, and put up what is whole."""
        for entry in sorted(self._directory.iterdir()):
            if entry.name.startswith("."):
                shutil.rmtree(entry, ignore_errors=True)
            elif _HEIGHT.fullmatch(entry.name):
                try:
                    self._put_up(entry)
                except DecodeError as error:
                    self._failed(int(entry.name), f"{error}; it is removed")
                    shutil.rmtree(entry, ignore_errors=True)
        self._give_up_oldest()

    def _put_up(self, whole: Path) -> None:
        manifest = read_manifest(whole)
        metadata = (whole / MANIFEST).read_bytes()
        if len(metadata) > MAX_METADATA_BYTES:
            raise DecodeError(f"a manifest of {len(metadata)} bytes can't be offered to peers", str(whole))
        chunks = tuple(chunk.name for chunk in manifest.chunks)
        kept = Kept(manifest.height, manifest.format, bytes.fromhex(manifest.digest), metadata, chunks)
        with self._lock:
            self._kept[kept.height] = kept
            self._taken_at[kept.height] = self._clock()
            self._digests[kept.height] = kept.digest.hex()
            if len(self._digests) > KNOWN_DIGESTS:
                del self._digests[min(self._digests)]
            self.problem = ""

    def _give_up_oldest(self) -> None:
        """Remove those beyond the newest `keep`, but for at most `keep` that somebody is about to fetch."""
        now = self._clock()
        with self._lock:
            older = sorted(self._kept)[: -self._keep]
            held = [height for height in older if self._held_until.get(height, now) > now][: self._keep]
            given_up = [height for height in older if height not in held]
            for height in given_up:
                del self._kept[height], self._taken_at[height]
                self._held_until.pop(height, None)
        for height in given_up:
            shutil.rmtree(self._directory / str(height), ignore_errors=True)

    # Offering

    def kept(self) -> list[Kept]:
        """All whole snapshots, ascending."""
        with self._lock:
            return [self._kept[height] for height in sorted(self._kept)]

    def offered(self) -> list[Kept]:
        """Those that somebody could join from: a joining CometBFT gives up for good a snapshot whose next two light
        blocks it can't get (statesync/stateprovider.go, AppHash).
        """
        offered = [one for one in self.kept() if one.height + BLOCKS_AFTER <= self._height]
        with self._lock:
            for one in offered:
                self._held_until.setdefault(one.height, self._clock() + LISTED_SECONDS)
        return offered

    def oldest(self) -> int | None:
        """The lowest height of which a snapshot is kept."""
        return min((one.height for one in self.kept()), default=None)

    def digest(self, height: int) -> str:
        """The digest of the snapshot that was taken of a height, which joining nodes compare; empty where none was."""
        with self._lock:
            return self._digests.get(height, "")

    def chunk(self, height: int, snapshot_format: int, index: int) -> bytes:
        """A chunk of a snapshot; empty where there is no such chunk."""
        with self._lock:
            kept = self._kept.get(height)
            if kept is None or kept.format != snapshot_format or not 0 <= index < len(kept.chunks):
                return b""
            until = self._clock() + FETCHED_SECONDS
            self._held_until[height] = min(until, self._taken_at[height] + HELD_SECONDS)
        try:
            return (self._directory / str(height) / kept.chunks[index]).read_bytes()
        except OSError as error:
            self._failed(height, f"a chunk can't be read: {error}")
            return b""


def retain_height(
    tip: int, *, oldest_snapshot: int | None, retain_blocks: int, evidence_blocks: int, archived_until: int
) -> int:
    """Below which height CometBFT may forget its blocks; 0: none of them.

    Blocks are kept back to the oldest snapshot (who joins from it executes those after it and needs that height's light
    block), `retain_blocks` and `evidence_blocks` back from the tip, and until their light blocks are in this node's own
    archive. `retain_blocks` 0 keeps all. CometBFT itself keeps headers and commits of what evidence may still be about
    by its age in time (store/store.go, PruneBlocks).
    """
    if oldest_snapshot is None or retain_blocks <= 0:
        return 0
    return max(0, min(oldest_snapshot, tip - retain_blocks, tip - evidence_blocks, archived_until))


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def main(frozen: Path, target: Path) -> None:
    """Write the snapshot of a checkpoint at a low priority, as long as whoever asked for it lives."""
    os.nice(_NICENESS)
    threading.Thread(target=_end_with_input, daemon=True).start()
    copy = RocksStore(frozen, cache_bytes=_CACHE_BYTES)
    try:
        write_snapshot(copy, target)
    finally:
        copy.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
