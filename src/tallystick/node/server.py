"""Running a node: the embedded engine stays open, commands and pages reach it through the home's socket."""

import signal
import threading
from collections.abc import Callable
from types import FrameType

from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.socket_server import EngineServer
from tallystick.node.composition import LedgerInUse, node_answers, open_embedded, read_genesis
from tallystick.node.home import Home, write_private
from tallystick.node.key_store import Passphrases
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
    engine = open_embedded(home, read_genesis(home), passphrases)
    server = EngineServer(engine, home.socket)
    asked = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        asked.set()

    try:
        engine.expect_load()
        server.start()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        started(engine.chain_id, engine.health().height)
        return _tend(home, engine, asked, note)
    finally:
        server.close()
        engine.close()


def _tend(home: Home, engine: EmbeddedEngine, asked: threading.Event, note: Callable[[str], None]) -> str:
    """Look after the engine until somebody asks to stop, or it has stopped by itself."""
    said = ""
    while not asked.wait(LOOK_SECONDS):
        problem = engine.health().problem
        if problem.startswith("stopped"):
            return problem
        if problem != said:
            note(problem or "the engine takes transactions again")
            said = problem
        word = home.path / CLOCK_WORD
        if word.exists():
            engine.accept_clock(word.read_text(encoding="utf-8")[:MAX_WORD])
            word.unlink()
            note("the operator's word on the clock is recorded")
    return ""


def leave_clock_word(home: Home, word: str) -> None:
    """Leave the operator's word for the running node, which looks for it every second."""
    if not word.strip():
        raise DecodeError("the word is empty", "--word")
    if not node_answers(home):
        raise DecodeError(
            "no node is running here; a command that opens the ledger itself has no earlier clock to hold to"
        )
    write_private(home.path / CLOCK_WORD, word.encode(), replace=True)
