"""The present state of an engine, read the way the kernel reads: for day boundaries, signing policies and dry runs."""

from collections.abc import Iterator

from tallystick.kernel.chain_rows import Clock
from tallystick.kernel.core.record import Record
from tallystick.ledger.engine import Cursor, Engine, Pruned
from tallystick.wire.instants import Instant

MOST_ROWS = 100_000


def first_kept(engine: Engine) -> Cursor:
    """Where the events begin that are kept here: a node that state-synced, or its chain, may have none from before."""
    try:
        engine.events(Cursor(), 1)
    except Pruned as pruned:
        return Cursor(pruned.first)
    return Cursor()


class PresentState:
    """The kernel's `State` over an engine. Each record is read once and kept: a command lives for a moment."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._found: dict[str, Record | None] = {}

    def forget(self) -> None:
        """Read anew from here on, after something was submitted."""
        self._found.clear()

    def find(self, key: str) -> Record | None:
        if key not in self._found:
            self._found[key] = self._engine.query(key).record
        return self._found[key]

    def index_range(self, start: str, stop: str) -> Iterator[str]:
        label = _common_label(start, stop)
        rows = (f"{label}/{key}" for key in self._engine.labelled(label, MOST_ROWS))
        return (row for row in rows if start <= row < stop)

    def block_hash(self, height: int) -> str | None:
        if not 1 <= height <= self._engine.health().height:
            return None
        return self._engine.light_block(height).header.hash().hex()

    def has_room(self, key: str) -> bool:
        return True

    def now(self) -> Instant:
        """Business time of the last block: its header's time, moved by a sandbox's clock offset."""
        clock = self.find("clock/chain")
        time = self._engine.health().time
        return time.plus(clock.offset_ms) if isinstance(clock, Clock) else time


def _common_label(start: str, stop: str) -> str:
    """The longest label under which every row from `start` to `stop` lies."""
    shared = 0
    while shared < min(len(start), len(stop)) and start[shared] == stop[shared]:
        shared += 1
    return start[:shared].rpartition("/")[0]
