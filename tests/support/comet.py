"""A consortium on real CometBFTs: ledgers, ABCI servers and engines in this process, CometBFTs as its children.

Each member is the pair of `tallystick.node.member`, with short waits and no snapshots for others. CometBFT is the
pinned release, found or built as a node does; without it there is no test, and nothing is skipped. Where a story is
told of another day than today, CometBFT's clock is off by that much (tests/faults/shifted_cometbft.py says how), and so
is the node's.
"""

import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tallystick.kernel.genesis import Genesis
from tallystick.kernel.governance.records import Engine as Ordering
from tallystick.kernel.governance.records import Validator
from tallystick.ledger.abci.protos import abci_pb2 as abci
from tallystick.ledger.abci.server import Address
from tallystick.ledger.archive import NS_PER_MS
from tallystick.ledger.comet.application import LedgerApplication
from tallystick.ledger.comet.rpc import CometRpc
from tallystick.ledger.comet.serving import AbciThread
from tallystick.ledger.engines.cometbft import CometEngine
from tallystick.ledger.store import RocksStore
from tallystick.node.cometbft.binary import find_cometbft
from tallystick.node.cometbft.configuration import write_configuration
from tallystick.node.cometbft.identity import own_identity
from tallystick.node.cometbft.settings import Blocks, NodeSettings, Peers, Rpc
from tallystick.node.cometbft.supervisor import CometProcess
from tallystick.node.home import Home
from tallystick.wire.instants import DAY_MS, Instant
from tests.faults.shifted_cometbft import CLOCK_VARIABLE, shifted_cometbft

HOST = "127.0.0.1"
COMMIT_WAIT_MS = 10
PROPOSAL_WAIT_MS = 300  # for one that was signed and not kept before a stop, in vain: another round follows
START_SECONDS = 30.0
START_ATTEMPTS = 5
TODAY_MS = DAY_MS  # a genesis of the last day needs no other clock


class NoSnapshots:
    """A member that keeps no snapshots and takes none."""

    def after_commit(self, height: int) -> int:
        return 0

    def list_snapshots(self) -> list[abci.Snapshot]:
        return []

    def load_chunk(self, height: int, format_: int, index: int) -> bytes:
        return b""

    def offer(self, snapshot: abci.Snapshot, app_hash: bytes) -> abci.ResponseOfferSnapshot:
        return abci.ResponseOfferSnapshot(result="REJECT")

    def apply(self, request: abci.RequestApplySnapshotChunk) -> abci.ResponseApplySnapshotChunk:
        return abci.ResponseApplySnapshotChunk(result="ABORT")

    def digest(self, height: int) -> str:
        return ""


class PortTaken(OSError):
    """Somebody else was quicker to take a port that was free a moment ago."""


def present() -> Instant:
    """This machine's time."""
    return Instant(time.time_ns() // NS_PER_MS)


class Member:
    """One member, by its home: a validator whose CometBFT `begin` starts and `stop` ends, any number of times."""

    engine: CometEngine

    def __init__(self, home: Path) -> None:
        home.mkdir(exist_ok=True)
        self.home = home
        self.identity = own_identity(Home(home))
        self.p2p = self.rpc = CometRpc(f"{HOST}:1")

    def choose_ports(self) -> None:
        """Take ports that are free now."""
        self.p2p, self.rpc = CometRpc(f"{HOST}:{_free_port()}"), CometRpc(f"{HOST}:{_free_port()}")

    @property
    def peer(self) -> str:
        """How the others dial it."""
        return f"{self.identity.node_id}@{self.p2p.address}"

    def begin(self, founded: Genesis, others: tuple[str, ...], program: Path, clock_ns: Callable[[], int]) -> None:
        """Start node and CometBFT."""
        self._short = tempfile.TemporaryDirectory(prefix="tally-")  # a socket's path must be short
        node = Home(Path(self._short.name) / "home")
        node.path.symlink_to(self.home.absolute())
        peers = Peers(listen=self.p2p.address, persistent=others, one_machine=True)
        waits = Blocks(commit_wait_ms=COMMIT_WAIT_MS, proposal_wait_ms=PROPOSAL_WAIT_MS)
        settings = NodeSettings(log_level="error", peers=peers, rpc=Rpc(listen=self.rpc.address), blocks=waits)
        write_configuration(node, settings, founded)
        self._log = node.comet_log
        self._log.unlink(missing_ok=True)
        store = RocksStore(self.home / "ledger")
        self.engine = CometEngine(store, founded, self.rpc, lambda: clock_ns() // NS_PER_MS)
        application = LedgerApplication(self.engine, self.engine, NoSnapshots(), clock_ns)
        address = Address(path=node.application_socket)
        self._abci = AbciThread(address, application, self.engine.look, self.engine.broke)
        self._comet = CometProcess(program, node)
        self._abci.start()
        self.engine.start()
        self._comet.start()

    def stop(self) -> None:
        """Stop CometBFT, then the node beside it. Safe to call twice."""
        self._comet.stop()
        self._abci.stop()
        self.engine.close()
        self._short.cleanup()

    def kill_cometbft(self) -> None:
        """SIGKILL; its node starts it again."""
        until = time.monotonic() + START_SECONDS
        while (pid := self._comet.pid) is None:
            assert time.monotonic() < until, self._comet.problem
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)

    def await_first_block(self, initial_height: int) -> None:
        """Until it takes transactions and the first block stands."""
        until = time.monotonic() + START_SECONDS
        while self.engine.health().height < initial_height or not self.rpc.health():
            problem = self._comet.problem
            if "address already in use" in problem:
                raise PortTaken(problem)
            if problem or time.monotonic() > until:
                raise RuntimeError(f"CometBFT does not start: {problem or self._log.read_text()[-2_000:]}")
            time.sleep(0.01)


class Members:
    """The members of `homes`, who are the validators of their chain; `open` and `close` as often as a test likes."""

    def __init__(self, homes: list[Path], founded: Genesis) -> None:
        self.each = [Member(home) for home in homes]
        validators = tuple(
            Validator(key=one.identity.validator_key, name=f"member {number}") for number, one in enumerate(self.each)
        )
        self.founded = msgspec.structs.replace(founded, engine=Ordering.CONSORTIUM, validators=validators)
        off_ms = int(founded.time) - int(present())
        is_today = abs(off_ms) < TODAY_MS
        self._off_ns = 0 if is_today else off_ms * NS_PER_MS
        self._program = find_cometbft() if is_today else _of_another_day(homes[0], off_ms)
        self.open()

    def open(self) -> None:
        """Start all; returns once each takes transactions and has the first block."""
        for attempt in range(START_ATTEMPTS):
            for one in self.each:
                one.choose_ports()
            for one in self.each:
                others = tuple(other.peer for other in self.each if other is not one)
                one.begin(self.founded, others, self._program, self._wall_clock_ns)
            try:
                for one in self.each:
                    one.await_first_block(self.founded.initial_height)
            except PortTaken:
                self.close()
                if attempt == START_ATTEMPTS - 1:
                    raise
            except BaseException:
                self.close()
                raise
            else:
                return

    def close(self) -> None:
        """Stop all. Safe to call twice."""
        for one in self.each:
            one.stop()

    def _wall_clock_ns(self) -> int:
        return time.time_ns() + self._off_ns


def _of_another_day(home: Path, off_ms: int) -> Path:
    """A program that is CometBFT with its clock off by `off_ms`."""
    clock = home / "clock"
    clock.write_text(str(off_ms), encoding="ascii")
    program = home / "cometbft-of-another-day"
    command = f"{CLOCK_VARIABLE}='{clock}' exec '{shifted_cometbft()}' \"$@\""
    program.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
    program.chmod(0o700)
    return program


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind((HOST, 0))
        port: int = asked.getsockname()[1]
        return port
