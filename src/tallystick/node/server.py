"""Running a node: its engine stays open, commands and pages reach it through the home's socket."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Protocol

from tallystick.kernel.governance.records import Engine as EngineKind
from tallystick.ledger.engine import Engine
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.socket_server import EngineServer
from tallystick.node.composition import LedgerInUse, node_answers, open_embedded, open_store, read_genesis
from tallystick.node.home import Home, write_private
from tallystick.node.key_store import Passphrases
from tallystick.node.member import MemberNode
from tallystick.wire.errors import DecodeError

CLOCK_WORD = "clock-word"
LOOK_SECONDS = 1.0
MAX_WORD = 500


def run_node(
    home: Home, passphrases: Passphrases, started: Callable[[str, int], None], note: Callable[[str], None]
) -> str:
    """Run until SIGINT or SIGTERM; returns the problem that stopped the engine, or nothing.

    Raises `DecodeError` where the ledger can't be opened, `LedgerInUse` where a node runs here already.
    """
    if node_answers(home):
        raise LedgerInUse("a node runs on this home already", str(home.socket))
    genesis = read_genesis(home)
    node: Node
    if genesis.engine is EngineKind.CONSORTIUM:
        node = MemberNode(home, genesis, lambda: open_store(home), note)
    else:
        node = EmbeddedNode(home, open_embedded(home, genesis, passphrases), note)
    server = EngineServer(node.engine, home.socket)
    asked = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        asked.set()

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        node.start()
        server.start()
        started(node.engine.chain_id, node.engine.health().height)
        while not asked.wait(LOOK_SECONDS):
            problem = node.look()
            if problem:
                return problem
        return ""
    finally:
        server.close()
        node.stop()


class Node(Protocol):
    """What runs behind the home's socket."""

    @property
    def engine(self) -> Engine: ...

    def start(self) -> None: ...

    def look(self) -> str:
        """Tell what has changed; returns the problem that stopped it, or nothing."""

    def stop(self) -> None: ...


class EmbeddedNode:
    """The embedded engine in this process."""

    def __init__(self, home: Home, engine: EmbeddedEngine, note: Callable[[str], None]) -> None:
        self._home = home
        self.engine = engine
        self._note = note
        self._said = ""

    def start(self) -> None:
        self.engine.expect_load()

    def look(self) -> str:
        problem = self.engine.health().problem
        if problem.startswith("stopped"):
            return problem
        if problem != self._said:
            self._note(problem or "the engine takes transactions again")
            self._said = problem
        word = self._home.path / CLOCK_WORD
        if word.exists():
            self.engine.accept_clock(word.read_text(encoding="utf-8")[:MAX_WORD])
            word.unlink()
            self._note("the operator's word on the clock is recorded")
        return ""

    def stop(self) -> None:
        self.engine.close()


def leave_clock_word(home: Home, word: str) -> None:
    """Leave the operator's word for the running node, which looks for it every second."""
    if not word.strip():
        raise DecodeError("the word is empty", "--word")
    if not node_answers(home):
        raise DecodeError(
            "no node is running here; a command that opens the ledger itself has no earlier clock to hold to"
        )
    write_private(home.path / CLOCK_WORD, word.encode(), replace=True)
