"""A node that breaks in a stated way at a stated moment: `python -m tests.faults.sabotaged_node HOME SABOTAGE...`.

It is the ordinary node, of whose application one method is wrapped:

    node:before:commit:5             kill -9 of the node as it is asked for its 5th Commit
    cometbft:after:finalize_block:3  kill -9 of its CometBFT when the 3rd FinalizeBlock is worked off and not answered
    hash:after:finalize_block:7      the 7th FinalizeBlock is answered with another app hash
    clock:FILE                       the node's clock is off by as many milliseconds as stand in FILE
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tallystick.cli.main import main
from tallystick.ledger.abci.protos import abci_pb2 as abci
from tallystick.ledger.comet.application import LedgerApplication
from tests.faults.member import Member

NS_PER_MS = 1_000_000


def kill_node(_home: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_cometbft(home: Path) -> None:
    for pid in Member(0, home).comet_pids():
        os.kill(pid, signal.SIGKILL)


def spare(_home: Path) -> None:
    return


def falsify(answer: abci.ResponseFinalizeBlock) -> None:
    answer.app_hash = bytes(byte ^ 0xFF for byte in answer.app_hash)


def wrap(home: Path, what: str, moment: str, method: str, count: int) -> None:
    """Let the application's `method` do its work, and break `what` at its `count`th call."""
    original: Callable[[LedgerApplication, Any], Any] = getattr(LedgerApplication, method)
    strikes: dict[str, Callable[[Path], None]] = {"node": kill_node, "cometbft": kill_cometbft}
    calls = 0

    def broken(application: LedgerApplication, request: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count and moment == "before":
            strikes.get(what, spare)(home)
        answer = original(application, request)
        if calls == count and moment == "after":
            strikes.get(what, spare)(home)
            if what == "hash":
                falsify(answer)
        return answer

    setattr(LedgerApplication, method, broken)


def shift_clock(file: Path) -> None:
    """Let this process's clock be off, from now on and as the file changes."""
    true_time = time.time_ns

    def shifted() -> int:
        return true_time() + int(file.read_text(encoding="ascii")) * NS_PER_MS

    time.time_ns = shifted


def run(home: Path, *sabotages: str) -> None:
    """Break the node, then run it as an operator does."""
    for sabotage in sabotages:
        what, _, how = sabotage.partition(":")
        if what == "clock":
            shift_clock(Path(how))
        else:
            moment, method, count = how.split(":")
            wrap(home, what, moment, method, int(count))
    sys.argv[1:] = ["node", "run", "--home", str(home)]
    main()


if __name__ == "__main__":
    run(Path(sys.argv[1]), *sys.argv[2:])
