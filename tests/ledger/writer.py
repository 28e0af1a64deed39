"""A process that writes to a ledger until it is killed, and says on standard output what was acknowledged.

`python -m tests.ledger.writer HOME PREFIX [SECONDS]`: a line `ID HEIGHT INDEX` for each acknowledged transaction, and
`!REASON` for each that is unknown. Lines leave at once, so what was read from the pipe was acknowledged.
"""

import os
import sys
import threading
import time
from functools import partial
from pathlib import Path

from tallystick.ledger.engine import Committed, Outcome
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.signing_guard import SigningGuard
from tallystick.ledger.store import RocksStore
from tests.support.ledger import NODE_KEY, Consortium, OwnClock, genesis

UNDER_WAY = 600


def main(home: Path, prefix: str, seconds: float) -> None:
    """Keep up to `UNDER_WAY` transactions under way: blocks of one and of hundreds alternate."""
    consortium = Consortium(prefix=prefix)
    engine = EmbeddedEngine(RocksStore(home / "ledger"), NODE_KEY, genesis(), OwnClock(), SigningGuard(home / "signed"))
    room = threading.Semaphore(UNDER_WAY)

    def tell(name: str, outcome: Outcome) -> None:
        line = f"{name} {outcome.height} {outcome.index}" if isinstance(outcome, Committed) else f"!{outcome}"
        os.write(1, line.encode() + b"\n")
        room.release()

    os.write(1, b"ready\n")
    until = time.monotonic() + seconds
    number = 0
    while time.monotonic() < until:
        number += 1
        name = f"{prefix}-{number}"
        room.acquire()
        engine.submit_later(consortium.anchoring(name, name=name), partial(tell, name))
        if number % 1_000 < 20:
            time.sleep(0.005)
    engine.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 600.0)
