"""Checking a whole ledger from its genesis (`tally fsck`), beside no running node: the store is opened here alone.

A ledger that came by state sync is checked from the home's oldest snapshot on that its blocks follow.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tallystick.kernel.genesis import Genesis
from tallystick.ledger.archive import Archive
from tallystick.ledger.engines.reading import ReadingEngine
from tallystick.ledger.fsck import Check, Fault
from tallystick.ledger.invariants import audit
from tallystick.ledger.opening import TIP_KEY, read_tip
from tallystick.ledger.snapshots import Manifest, read_manifest
from tallystick.ledger.store import Family, RocksStore, Store, StoreFailure, StoreLocked
from tallystick.node.composition import DamagedLedger, LedgerInUse, node_answers, read_genesis
from tallystick.node.growth import predecessor_snapshot
from tallystick.node.home import Home
from tallystick.wire.errors import DecodeError

_HEIGHT = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)

Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows how far a piece of work of so many steps has come; the function it gives takes steps done."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a check found: up to which height, how many blocks it executed now, and the first fault.

    `snapshot`: what it began with instead of the genesis. `unattested`: how many of a consortium's newest blocks have
    no header here yet, `short_of_votes`: the heights whose commits hold too few; executed again like the others.
    """

    height: int
    blocks: int
    fault: Fault | None
    snapshot: Manifest | None = None
    unattested: int = 0
    short_of_votes: tuple[int, ...] = ()


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
        begun_with = _snapshot_to_begin_with(home, store, genesis)
        check = Check(store, genesis, scratch, begun_with)
        to_go = check.height - check.checked
        try:
            with bar("replaying blocks", to_go) as advance:
                fault = check.run(advance)
        except BaseException:  # allow(broad-except): a check that was stopped keeps how far it came, and goes on up
            check.stop()
            raise
        vouched_for = begun_with is None or begun_with == predecessor_snapshot(home)  # by the genesis
        manifest = None if begun_with is None or vouched_for else read_manifest(begun_with)
        fault = fault or _broken_rule(store, bar)
        return Replayed(check.height, to_go, fault, manifest, check.unattested, tuple(check.short_of_votes))
    except StoreFailure as error:
        return Replayed(0, 0, Fault(0, "the store", str(error)))
    finally:
        store.close()


def _snapshot_to_begin_with(home: Home, store: Store, genesis: Genesis) -> Path | None:
    """The home's oldest snapshot that the kept blocks follow, where they do not begin with the chain's first."""
    if store.get(Family.META, TIP_KEY) is None:
        return None
    tip = read_tip(store).height
    first = Archive(store).first_height() or tip + 1
    if first <= genesis.initial_height:
        return predecessor_snapshot(home) if genesis.predecessor is not None else None
    if not home.snapshots.is_dir():
        return None
    heights = sorted(int(entry.name) for entry in home.snapshots.iterdir() if _HEIGHT.fullmatch(entry.name))
    fitting = [height for height in heights if first - 1 <= height <= tip]
    return home.snapshots / str(fitting[0]) if fitting else None


def _broken_rule(store: RocksStore, bar: Bar) -> Fault | None:
    """What must never happen, over records that are now known to follow from the blocks."""
    engine = ReadingEngine(store)
    with bar("checking what must never happen", 0):
        for done in audit(engine):
            if done.violation is not None:
                return Fault(engine.health().height, done.violation.record, f"{done.name}: {done.violation.what}")
    return None
