"""Acknowledgement latency through the engine's socket: closed-loop clients, each waiting for its receipt.

The engine runs in a process of its own, as in a node; the clients are threads of this one. A client sends the next step
when it has the receipt of the last; a latency is the time from sending raw bytes to holding the durable receipt.
"""

import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tallystick.kernel.core import codec
from tallystick.kernel.genesis import read_genesis
from tallystick.ledger.engine import Committed
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.process import settle_collector
from tallystick.ledger.socket_client import EngineClient
from tallystick.ledger.socket_server import EngineServer
from tallystick.ledger.store import RocksStore
from tallystick.wire.status import Status
from tools.bench.ledger import now
from tools.bench.steps import NODE_KEY, Consortium

START_SECONDS = 30.0


@dataclass(frozen=True)
class Latency:
    """Milliseconds from raw bytes to receipt, over all steps of all clients."""

    clients: int
    steps: int
    p50_ms: float
    p99_ms: float
    steps_per_second: float


def measure(directory: Path, clients: int, steps: int) -> Latency:
    """Run `clients` closed loops until `steps` receivables were asked for."""
    directory.mkdir(parents=True, exist_ok=True)
    consortium = Consortium(*now())
    genesis = directory / "genesis.json"
    genesis.write_bytes(codec.encode(consortium.genesis()))
    _, request = consortium.issue_stages()[0]
    raws = [request(story) for story in consortium.stories(1, steps)]
    server = subprocess.Popen(
        [sys.executable, "-m", "tools.bench.latency", str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        if server.stdout is None or server.stdout.readline() != b"ready\n":
            raise RuntimeError("the engine's process did not start")
        return _drive(EngineClient(directory / "engine.sock"), raws, clients)
    finally:
        server.communicate(b"", timeout=START_SECONDS)


def _drive(engine: EngineClient, raws: list[bytes], clients: int) -> Latency:
    taken: list[float] = []

    def loop(mine: list[bytes]) -> None:
        for raw in mine:
            started = time.perf_counter()
            outcome = engine.submit(raw)
            taken.append(time.perf_counter() - started)
            if not isinstance(outcome, Committed) or outcome.status is not Status.OK:
                raise RuntimeError(f"a step was refused: {outcome}")

    threads = [threading.Thread(target=loop, args=(raws[number::clients],)) for number in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    engine.close()
    if len(taken) != len(raws):
        raise RuntimeError("a client failed")
    taken.sort()
    return Latency(
        clients,
        len(taken),
        taken[len(taken) // 2] * 1000,
        taken[len(taken) * 99 // 100] * 1000,
        len(taken) / seconds,
    )


def serve(directory: Path) -> None:
    """The engine's process: serve until standard input ends."""
    genesis = read_genesis((directory / "genesis.json").read_bytes())
    engine = EmbeddedEngine(RocksStore(directory / "ledger"), NODE_KEY, genesis)
    settle_collector()
    engine.expect_load()
    server = EngineServer(engine, directory / "engine.sock")
    server.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.close()
    engine.close()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
