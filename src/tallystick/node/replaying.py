"""Checking a whole ledger from its genesis (`tally fsck`), beside no running node: the store is opened here alone."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tallystick.ledger.engines.reading import ReadingEngine
from tallystick.ledger.fsck import Check, Fault
from tallystick.ledger.invariants import audit
from tallystick.ledger.store import RocksStore, StoreFailure, StoreLocked
from tallystick.node.composition import DamagedLedger, LedgerInUse, node_answers, read_genesis
from tallystick.node.home import Home
from tallystick.wire.errors import DecodeError

Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows how far a piece of work of so many steps has come; the function it gives takes steps done."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a check found: up to which height, how many blocks it executed now, and the first fault."""

    height: int
    blocks: int
    fault: Fault | None


def replay_ledger(home: Home, ledger: Path, scratch: Path, bar: Bar) -> Replayed:
    """Replay the ledger in `ledger` from the home's genesis on a replica in `scratch`, and hold every row to it.

    What is broken is a fault, not an exception. Raises `DecodeError` where the check can't be made; one that was
    stopped goes on from `scratch` the next time.
    """
    genesis = read_genesis(home)
    if ledger == home.ledger and node_answers(home):
        raise LedgerInUse("a node is running on this ledger: stop it, or check a backup (--ledger DIR)", str(ledger))
    if not ledger.is_dir():
        raise DecodeError("there is no ledger here", str(ledger))
    try:
        store = RocksStore(ledger)
    except StoreLocked as error:
        raise LedgerInUse(error.what, error.where) from None
    except DecodeError as error:
        raise DamagedLedger(error.what, error.where) from None
    try:
        check = Check(store, genesis, scratch)
        to_go = check.height - check.checked
        try:
            with bar("replaying blocks", to_go) as advance:
                fault = check.run(advance)
        except BaseException:  # allow(broad-except): a check that was stopped keeps how far it came, and goes on up
            check.stop()
            raise
        return Replayed(check.height, to_go, fault or _broken_rule(store, bar))
    except StoreFailure as error:
        return Replayed(0, 0, Fault(0, "the store", str(error)))
    finally:
        store.close()


def _broken_rule(store: RocksStore, bar: Bar) -> Fault | None:
    """What must never happen, over records that are now known to follow from the blocks."""
    engine = ReadingEngine(store)
    with bar("checking what must never happen", 0):
        for done in audit(engine):
            if done.violation is not None:
                return Fault(engine.health().height, done.violation.record, f"{done.name}: {done.violation.what}")
    return None
