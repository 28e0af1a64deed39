"""From the home of a closed embedded ledger to homes of the consortium that goes on with it.

    prepare(Home(OLD), TARGET, names)   TARGET/genesis.json, TARGET/predecessor/genesis.json and .../snapshot/
    hand_out(TARGET, home)              the same three in a member's home
    begin(home, OLD/ledger)             the member's ledger, with the old blocks; once, before its node first runs

TARGET's files go to every member, by whatever way; each checks them by itself when it begins. Which keys validate was
said by chain.close, so every member has made its own before (`tally node init`).
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tallystick.kernel.core import codec
from tallystick.kernel.genesis import Genesis
from tallystick.ledger import growth
from tallystick.ledger.process import wall_clock_ms
from tallystick.ledger.store import RocksStore
from tallystick.node.composition import LedgerInUse, node_answers, open_store, read_genesis, write_genesis
from tallystick.node.home import PRIVATE_DIRECTORY, Home
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant

PREDECESSOR = "predecessor"
SNAPSHOT = "snapshot"
GENESIS = "genesis.json"
DRAFT = "ledger.beginning"


@dataclass(frozen=True, slots=True)
class Begun:
    """A member's ledger that goes on: from which height, and how many of the old blocks are in its archive."""

    chain_id: str
    initial_height: int
    carried_blocks: int


def predecessor_genesis(home: Home) -> Path:
    """The old chain's genesis in the home of a member of its successor; `tally verify --predecessor` takes it."""
    return home.path / PREDECESSOR / GENESIS


def predecessor_snapshot(home: Home) -> Path:
    """The snapshot that a successor's ledger begins with, in the home of its member."""
    return home.path / PREDECESSOR / SNAPSHOT


def prepare(former: Home, target: Path, names: Mapping[str, str], now: Instant | None = None) -> Genesis:
    """Write the successor's genesis and what it begins from into the directory `target`.

    `names` says whose each validator's key is, `now` the time of its genesis. The old node must be stopped. Raises
    `DecodeError`; then `target` is as it was, or holds no `genesis.json`.
    """
    raw = codec.encode(read_genesis(former))
    if node_answers(former):
        raise LedgerInUse("a node runs on this home; stop it first", str(former.socket))
    given = target / PREDECESSOR
    if given.exists() or (target / GENESIS).exists():
        raise DecodeError("a successor was prepared here already; take another directory", str(target))
    target.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    store = open_store(former)
    try:
        given.mkdir(mode=PRIVATE_DIRECTORY)
        genesis = growth.successor_genesis(store, given / SNAPSHOT, now or Instant(wall_clock_ms()), names)
    except BaseException:  # allow(broad-except): whatever it was, no half of it stays, and it goes on up
        shutil.rmtree(given, ignore_errors=True)
        raise
    finally:
        store.close()
    (given / GENESIS).write_bytes(raw)
    write_genesis(Home(target), genesis)
    return genesis


def hand_out(target: Path, home: Home) -> None:
    """Copy what `prepare` made into a member's home, its genesis last. Raises `DecodeError`."""
    genesis = read_genesis(Home(target))
    if home.is_initialised:
        raise DecodeError("a chain was created here already", str(home.path))
    given = home.path / PREDECESSOR
    shutil.rmtree(given, ignore_errors=True)
    shutil.copytree(target / PREDECESSOR, given)
    write_genesis(home, genesis)


def begin(home: Home, former_ledger: Path | None = None) -> Begun:
    """Build the member's ledger from the snapshot in its home, with the blocks of `former_ledger` where it is given.

    Raises `DecodeError`; then there is no ledger yet, and it is run again.
    """
    genesis = read_genesis(home)
    if genesis.predecessor is None:
        raise DecodeError("this chain goes on from no other", str(home.genesis))
    if home.ledger.exists():
        raise DecodeError("a ledger stands here already", str(home.ledger))
    draft = home.path / DRAFT
    shutil.rmtree(draft, ignore_errors=True)
    try:
        carried = _begin_into(draft, home, genesis, former_ledger)
    except BaseException:  # allow(broad-except): whatever it was, no half of a ledger stays, and it goes on up
        shutil.rmtree(draft, ignore_errors=True)
        raise
    draft.rename(home.ledger)
    return Begun(genesis.chain_id, genesis.initial_height, carried)


def _begin_into(draft: Path, home: Home, genesis: Genesis, former_ledger: Path | None) -> int:
    store = RocksStore(draft)
    try:
        growth.begin_from_snapshot(predecessor_snapshot(home), genesis, store)
        if former_ledger is None:
            return 0
        if not (former_ledger / "CURRENT").exists():
            raise DecodeError("there is no ledger here", str(former_ledger))
        former = RocksStore(former_ledger)
        try:
            return growth.carry_over(former, genesis, store)
        finally:
            former.close()
    finally:
        store.close()
