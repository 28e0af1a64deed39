"""Keeps CometBFT running beside the node, and its log within bounds.

Rules kept here:
1. It runs as long as the node wants it to: whatever ends it, it is started again, after a pause that doubles.
   CometBFT ends by itself whenever the application's connection does (proxy/multi_app_conn.go).
2. One that ends at once, again and again, is given up, and `problem` says why: its operator must look.
   One whose consensus has failed, on a full disk say, stays and decides nothing more, and says so: it is ended.
3. It never outlives the node (`leash`), and is in no terminal's process group: Ctrl-C reaches the node alone, which
   stops both in order.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tallystick.node.cometbft import leash
from tallystick.node.home import PRIVATE_DIRECTORY, PRIVATE_FILE, Home

STOP_SECONDS = 15.0
LOG_BYTES = 16 << 20
LOG_OLD_FILES = 3
LOG_LOOK_SECONDS = 5.0
LOG_RESERVE_BYTES = 64 << 10  # for last words, which tell what is the matter when the disk is full
CONSENSUS_FAILED = b"CONSENSUS FAILURE!!!"  # consensus/state.go, receiveRoutine, at every log level but none
TOLD_BYTES = 4_096
TOLD_CHARACTERS = 300

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE of linux/falloc.h


@dataclass(frozen=True, slots=True)
class Backoff:
    """When to start again, in seconds: `first`, doubling up to `most`, from `first` again after a run of `well`.

    One that ran for less than `at_once` ended at once; after `patience` of those in a row no other is started.
    """

    first: float = 0.2
    most: float = 10.0
    well: float = 60.0
    at_once: float = 5.0
    patience: int = 20

    def pause(self, failures: int) -> float:
        """Before the start that follows on the `failures`-th end in a row."""
        return min(self.first * 2.0 ** min(failures - 1, 30), self.most)


class CometProcess:
    """The CometBFT of a home, started, watched and started again by a thread of its own."""

    def __init__(self, program: Path, home: Home, backoff: Backoff | None = None) -> None:
        leashed = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid())]
        self._command = [*leashed, str(program.absolute()), "start", "--home", str(home.comet.absolute())]
        self._log = home.comet_log
        self._backoff = backoff or Backoff()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._failures = 0
        self._quick = 0
        self._wanted_end = False
        self._has_failed = False
        self._read_bytes = 0
        self._last_end = ""
        self._restarts = 0
        self._watcher = threading.Thread(target=self._watch, name="cometbft", daemon=True)
        self._tidier = threading.Thread(target=self._tidy, name="cometbft-log", daemon=True)

    def start(self) -> None:
        """Start the program and the watch over it; once."""
        self._log.parent.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        self._watcher.start()
        self._tidier.start()

    def stop(self) -> None:
        """End it, by SIGKILL where it does not end by itself. Safe to call twice, and before `start`."""
        self._stopping.set()
        while self._watcher.is_alive():
            self._end()
            self._watcher.join(0.1)  # it may be at a start, and then there is one more to end
        if self._tidier.ident is not None:
            self._tidier.join()

    def restart(self) -> None:
        """End it, to be started again at once: CometBFT gives up dialling peers that it has long not reached."""
        with self._lock:
            self._wanted_end = True
        self._end()

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        with self._lock:
            return self._process.pid if self._process is not None else None

    @property
    def is_running(self) -> bool:
        """Whether there is a process now."""
        return self.pid is not None

    @property
    def restarts(self) -> int:
        """How often it was started after the first time."""
        return self._restarts

    @property
    def has_given_up(self) -> bool:
        """Whether no other start will be tried."""
        return self._quick >= self._backoff.patience

    @property
    def problem(self) -> str:
        """Why it does not run, or ended a moment ago; empty while all is well."""
        with self._lock:
            lasting = self._process is not None and time.monotonic() - self._started_at >= self._backoff.at_once
            return "" if lasting else self._last_end

    def _watch(self) -> None:
        """The thread that starts every process waits for it: see `leash`."""
        while not self._stopping.is_set():
            try:
                process = self._launch()
            except OSError as error:
                pause = self._ended(f"can't be started: {error}", 0.0)
            else:
                code = process.wait()
                pause = self._ended(_said(code), time.monotonic() - self._started_at)
            if pause is None or self._stopping.wait(pause):
                return
            self._restarts += 1

    def _launch(self) -> subprocess.Popen[bytes]:
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        try:
            reserve(descriptor)
            with self._lock:
                self._read_bytes = self._log.stat().st_size
                self._process = subprocess.Popen(  # noqa: S603 - the node's own CometBFT
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=descriptor,
                    stderr=subprocess.STDOUT,
                    env=_environment(),
                    start_new_session=True,
                )
                self._started_at = time.monotonic()
                return self._process
        finally:
            os.close(descriptor)

    def _ended(self, how: str, seconds: float) -> float | None:
        """Note an end; how long to wait before the next start, or None where there is none."""
        with self._lock:
            self._process = None
            wanted, self._wanted_end = self._wanted_end, False
            failed, self._has_failed = self._has_failed, False
            if self._stopping.is_set():
                return None
            if wanted:
                return 0.0
            self._failures = 1 if seconds >= self._backoff.well else self._failures + 1
            self._quick = self._quick + 1 if seconds < self._backoff.at_once else 0
            how = "had to be ended: its consensus failed" if failed else f"{how}{self._last_words()}"
            self._last_end = f"CometBFT {how}"
            if not self.has_given_up:
                return self._backoff.pause(self._failures)
            self._last_end = f"given up after {self._quick} starts that failed at once: {self._last_end}"
            return None

    def _end(self) -> None:
        with self._lock:
            process = self._process
        if process is None:
            return
        process.terminate()
        until = time.monotonic() + STOP_SECONDS
        while process.poll() is None and process is self._process:  # the watcher reaps it
            if time.monotonic() > until:
                process.kill()
                return
            time.sleep(0.02)

    def _last_words(self) -> str:
        try:
            with self._log.open("rb") as file:
                file.seek(max(0, self._log.stat().st_size - TOLD_BYTES))
                lines = file.read().decode(errors="replace").split("\n")
        except OSError:
            return ""
        said = [line.strip() for line in lines if line.strip()]
        return f": {said[-1][:TOLD_CHARACTERS]}" if said else ""

    def _tidy(self) -> None:
        while not self._stopping.wait(LOG_LOOK_SECONDS):
            with contextlib.suppress(OSError):  # a full disk, which stops the node itself
                self._look_for_failure()
                rotate(self._log)
                with self._log.open("ab") as file:
                    reserve(file.fileno())

    def _look_for_failure(self) -> None:
        """End a CometBFT that has said since the last look that its consensus has failed."""
        with self._lock, self._log.open("rb") as file:
            size = self._log.stat().st_size
            file.seek(self._read_bytes if self._read_bytes <= size else 0)
            self._has_failed = CONSENSUS_FAILED in file.read()
            self._read_bytes = max(0, size - len(CONSENSUS_FAILED) + 1)  # a part of the words may be there
            failed = self._has_failed
        if failed:
            self._end()


def reserve(descriptor: int) -> None:
    """Keep room on the disk behind a file's end, where the system can (fallocate(2)); its size stays as it is."""
    library = ctypes.CDLL(None)
    if hasattr(library, "fallocate64"):
        size = os.fstat(descriptor).st_size
        library.fallocate64(descriptor, _KEEP_SIZE, ctypes.c_int64(size), ctypes.c_int64(LOG_RESERVE_BYTES))


def rotate(log: Path, most_bytes: int = LOG_BYTES, old_files: int = LOG_OLD_FILES) -> None:
    """Set a log aside that has grown over `most_bytes`: `.1` is the youngest, the oldest goes.

    The program goes on writing to the same file, at its end (O_APPEND), so the file is copied and emptied; a line that
    comes in between is lost. A pipe through the node would lose none, and stop CometBFT whenever the node is slow.
    """
    if not log.exists() or log.stat().st_size <= most_bytes:
        return
    aside = [log.with_name(f"{log.name}.{number}") for number in range(1, old_files + 1)]
    for younger, older in zip(reversed(aside[:-1]), reversed(aside[1:]), strict=True):
        if younger.exists():
            younger.replace(older)
    shutil.copyfile(log, aside[0])
    aside[0].chmod(PRIVATE_FILE)
    os.truncate(log, 0)


def _environment() -> dict[str, str]:
    """This process's, without what would turn CometBFT to another home or other settings (libs/cli/setup.go)."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CMT") and name != "TMHOME"}


def _said(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
