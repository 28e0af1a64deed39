"""The engines that the suite holds to the contract, each behind the same few handles.

An engine joins the suite, and the acceptance tests of `tests/claims`, with one class here: it is made with a home and
the genesis to start from, `open` starts it on the ledger of `home`, `engine` is the contract's side that tests talk to,
`another_client` gives one more such side, `close` stops it. `founded` is the genesis that its ledger began with.
"""

import tempfile
import time
from pathlib import Path
from typing import Protocol

from tallystick.kernel.genesis import Genesis
from tallystick.ledger.engine import Engine
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.engines.reading import ReadingEngine
from tallystick.ledger.signing_guard import SigningGuard
from tallystick.ledger.socket_client import EngineClient
from tallystick.ledger.socket_server import EngineServer
from tallystick.ledger.store import RocksStore
from tests.support.comet import Members, present
from tests.support.ledger import NODE_KEY, Consortium, OwnClock, genesis

MS = 1_000


class Running(Protocol):
    """An engine at work on a ledger of its own."""

    home: Path
    founded: Genesis
    consortium: Consortium
    engine: Engine

    def open(self) -> None: ...

    def another_client(self) -> Engine: ...

    def opened_copy(self, path: Path) -> Engine:
        """Whoever opens a snapshot or backup of this ledger that lies at `path`; to be closed."""

    def let_pass(self, milliseconds: int) -> None:
        """Let at least so much time go by, as the chain measures it."""

    def close(self) -> None: ...


class Embedded:
    """The embedded engine in this process. Its time is that of one clock, which tests set."""

    def __init__(self, home: Path, founded: Genesis | None = None) -> None:
        self.home = home
        self.founded = founded or genesis()
        self.clock = OwnClock()
        self.consortium = Consortium()
        self.open()

    def open(self) -> None:
        store = RocksStore(self.home / "ledger")
        try:
            self.engine: Engine = EmbeddedEngine(
                store, NODE_KEY, self.founded, self.clock, SigningGuard(self.home / "signed")
            )
        except ValueError:
            store.close()
            raise

    def another_client(self) -> Engine:
        return self.engine

    def opened_copy(self, path: Path) -> Engine:
        return EmbeddedEngine(RocksStore(path), NODE_KEY, clock=self.clock)

    def let_pass(self, milliseconds: int) -> None:
        self.clock.jump(milliseconds)

    def close(self) -> None:
        self.engine.close()


class OverSocket(Embedded):
    """The embedded engine through its local socket, as commands and API workers reach it."""

    def open(self) -> None:
        super().open()
        self._behind = self.engine
        self._directory = tempfile.TemporaryDirectory(prefix="tally-")  # a socket's path must be short
        self._path = Path(self._directory.name) / "engine.sock"
        self._server = EngineServer(self._behind, self._path)
        self._server.start()
        self._clients: list[EngineClient] = []
        self.engine = self.another_client()

    def another_client(self) -> Engine:
        client = EngineClient(self._path)
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._server.close()
        self._behind.close()
        self._directory.cleanup()


class OnCometBFT:
    """The engine of a consortium's only member, on a real CometBFT. Its time is CometBFT's, and passes by itself."""

    def __init__(self, home: Path, founded: Genesis | None = None) -> None:
        self.home = home
        self._members = Members([home], founded or genesis(at=present()))
        self.founded = self._members.founded
        self.consortium = Consortium(now=self.founded.time)
        self.engine: Engine = self._members.each[0].engine

    def open(self) -> None:
        self._members.open()
        self.engine = self._members.each[0].engine

    def another_client(self) -> Engine:
        return self.engine

    def opened_copy(self, path: Path) -> Engine:
        return ReadingEngine(RocksStore(path))

    def let_pass(self, milliseconds: int) -> None:
        time.sleep(milliseconds / MS)

    def kill_cometbft(self) -> None:
        """Kill CometBFT alone; its node starts it again."""
        self._members.each[0].kill_cometbft()

    def close(self) -> None:
        self._members.close()


OF_ONE_OPERATOR = {"embedded": Embedded, "socket": OverSocket}
OF_A_CONSORTIUM = {"cometbft": OnCometBFT}
ENGINES = OF_ONE_OPERATOR | OF_A_CONSORTIUM
