"""A member of a running consortium: its home, its node, the CometBFT that the node runs, and how to break either."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

from tallystick.ledger.engine import Health
from tallystick.ledger.socket_client import EngineClient
from tallystick.node.cometbft import leash

ROOT = Path(__file__).resolve().parents[2]
TALLY = Path(sys.executable).with_name("tally")
START_SECONDS = 60.0
STOP_SECONDS = 30.0
LOOK_SECONDS = 0.05
PAGE = 1_000


class Struck(Enum):
    """What `kill -9` hits."""

    NODE = "node"
    COMETBFT = "cometbft"
    BOTH = "both"


def until(holds: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until it holds; returns how long that took. Fails by name where it does not."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - began


class Member:
    """A node and its CometBFT on a home that stands already."""

    def __init__(self, number: int, home: Path) -> None:
        self.number = number
        self.home = home
        self.first_height = 1  # of the blocks that it keeps: later where it began from a snapshot
        self.is_paused = False
        self.environment: dict[str, str] = {}  # what its processes have besides this one's
        self._node: subprocess.Popen[bytes] | None = None
        self._client: EngineClient | None = None

    def __repr__(self) -> str:
        return f"member {self.number}"

    # Life

    def start(self, *sabotage: str) -> None:
        """Start the node as an operator does, or, with `sabotage`, one that breaks as `sabotaged_node` says."""
        command = [str(TALLY), "node", "run", "--home", str(self.home)]
        if sabotage:
            command = [sys.executable, "-m", "tests.faults.sabotaged_node", str(self.home), *sabotage]
        logs = self.home / "logs"
        logs.mkdir(exist_ok=True)
        leashed = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid())]  # it never outlives the tests
        with (logs / "node.log").open("ab") as log:
            self._node = subprocess.Popen(
                leashed + command,
                cwd=ROOT,
                env=os.environ | self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Wait until it answers."""
        until(lambda: self.health() is not None, START_SECONDS, f"{self} answers")

    def stop(self) -> int:
        """Ask it to end, as an operator does; returns its exit code."""
        assert self._node is not None
        self._node.terminate()
        code = self._node.wait(STOP_SECONDS)
        self._hang_up()
        until(lambda: not self.comet_pids(), STOP_SECONDS, f"the CometBFT of {self} ends with it")
        return code

    def kill(self, struck: Struck) -> None:
        """`kill -9`. A CometBFT that lost its node must end by itself."""
        if struck is not Struck.NODE:
            self._signal_comet(signal.SIGKILL)
        if struck is not Struck.COMETBFT and self._node is not None:
            self._node.kill()
            self.wait_end(STOP_SECONDS)

    def wait_end(self, seconds: float) -> int:
        """Wait until the node has ended, of itself or not, and its CometBFT with it; returns the exit code."""
        assert self._node is not None
        code = self._node.wait(seconds)
        self._hang_up()
        until(lambda: not self.comet_pids(), STOP_SECONDS, f"the CometBFT of {self} ends without its node")
        return code

    def end(self) -> None:
        """Leave nothing running, whatever state it is in."""
        for pid in self.comet_pids():
            _send(pid, signal.SIGKILL)
        if self._node is not None:
            self._node.kill()
            self._node.wait()
        self._hang_up()

    def pause(self) -> None:
        """Let it do nothing, without anybody's being told."""
        self.is_paused = True
        self._signal_both(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on as if nothing had been."""
        self._signal_both(signal.SIGCONT)
        self.is_paused = False

    def forget_everything(self) -> None:
        """Lose the ledger and CometBFT's data, but neither keys nor what the validator has signed."""
        shutil.rmtree(self.home / "ledger", ignore_errors=True)
        for path in (self.home / "cometbft" / "data").iterdir():
            if path.is_dir():
                shutil.rmtree(path)

    @property
    def is_running(self) -> bool:
        """Whether its node lives."""
        return self._node is not None and self._node.poll() is None

    @property
    def node_pid(self) -> int:
        """The process of its node."""
        assert self._node is not None
        return self._node.pid

    def comet_pids(self) -> list[int]:
        """The processes of CometBFT on its home; more than one is a fault."""
        mine = str(self.home / "cometbft").encode()
        return [pid for pid, words in _processes() if b"start" in words and mine in words]

    def _signal_comet(self, number: signal.Signals) -> None:
        found = self.comet_pids()
        assert len(found) <= 1, f"{self} has {len(found)} of CometBFT"
        for pid in found:
            _send(pid, number)

    def _signal_both(self, number: signal.Signals) -> None:
        _send(self.node_pid, number)
        self._signal_comet(number)

    # Asking

    @property
    def engine(self) -> EngineClient:
        """What its node answers on its socket. Raises `EngineUnreachable`."""
        if self._client is None:
            self._client = EngineClient(self.home / "engine.sock")
        return self._client

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def health(self) -> Health | None:
        """How it is; None where it does not answer."""
        if self.is_paused or not self.is_running:
            return None
        try:
            return self.engine.health()
        except OSError:
            return None

    def height(self) -> int:
        """The last block that it has; -1 where it does not answer."""
        health = self.health()
        return -1 if health is None else health.height

    def takes_transactions(self) -> bool:
        """Whether it answers, and says that it is well."""
        health = self.health()
        return health is not None and not health.problem

    def lowest_height(self) -> int:
        """The first block that it has executed; 0 before it has."""
        for height in range(1, self.height() + 1):
            try:
                self.engine.results(height)
            except LookupError:
                continue
            return height
        return 0

    def count(self, table: str) -> int:
        """How many records a table has."""
        counted, after = 0, ""
        while page := self.engine.scan(table, after, PAGE):
            counted += len(page)
            after = page[-1].id
        return counted

    def starts_of_cometbft(self) -> int:
        """How often its CometBFT was started."""
        log = (self.home / "logs" / "cometbft.log").read_text(encoding="utf-8", errors="replace")
        return log.count("Starting Node service")

    def log(self) -> str:
        """The last of what its node and its CometBFT said."""
        said = []
        for name in ("node.log", "cometbft.log"):
            path = self.home / "logs" / name
            if path.exists():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
                said.append("\n".join((f"--- {self}, {name}", *(line[:400] for line in lines))))
        return "\n".join(said)

    def fsck(self) -> None:
        """Replay its whole ledger; the node must have been stopped."""
        command = [str(TALLY), "fsck", "--home", str(self.home)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"fsck of {self}: {done.stdout}{done.stderr}"


def _processes() -> Iterator[tuple[int, list[bytes]]]:
    """Every living process with its command line."""
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has just ended
        yield int(path.name), words


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it has just ended
