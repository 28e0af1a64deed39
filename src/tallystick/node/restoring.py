"""Putting a backup or a snapshot in the place of a lost ledger (ADR 0003: no key signs a height twice)."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tallystick.kernel.governance.records import Engine
from tallystick.ledger import restoring, snapshots
from tallystick.ledger.archive import Archive, ArchivedBlock
from tallystick.ledger.opening import open_ledger
from tallystick.ledger.signing_guard import signed_height
from tallystick.ledger.store import RocksStore
from tallystick.node.composition import LedgerInUse, node_answers
from tallystick.node.home import Home
from tallystick.wire.errors import DecodeError


@dataclass(frozen=True, slots=True)
class Restored:
    """What stands in the home's ledger now; `orders` says whether transactions are ordered on it."""

    height: int
    chain_id: str
    orders: bool


def restore(home: Home, source: Path, blocks: Path | None = None, new_chain_id: str = "") -> Restored:
    """Restore `source`, a backup or a snapshot, as the home's ledger, which must not exist.

    With `blocks`, a ledger directory that has the complete block log, it catches up to what this node has signed; with
    `new_chain_id` it goes on under that id. A consortium's node fetches what is missing from the others. Raises
    `DecodeError`; an attempt that failed leaves no ledger behind.
    """
    if blocks is not None and new_chain_id:
        raise DecodeError("either catch up from the block log or go on under a new chain id, not both")
    if node_answers(home):
        raise LedgerInUse("a node runs on this home; stop it first", str(home.socket))
    if home.ledger.exists():
        raise DecodeError("a ledger stands here; move it away first", str(home.ledger))
    draft = home.path / "ledger.restoring"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        done = _restore_into(draft, home, source, blocks, new_chain_id)
    except BaseException:  # allow(broad-except): whatever it was, no half of a ledger stays, and it goes on up
        shutil.rmtree(draft, ignore_errors=True)
        raise
    draft.rename(home.ledger)
    return done


def _restore_into(draft: Path, home: Home, source: Path, blocks: Path | None, new_chain_id: str) -> Restored:
    is_snapshot = (source / snapshots.MANIFEST).exists()
    if not is_snapshot:
        if not (source / "CURRENT").exists():
            raise DecodeError("neither a backup nor a snapshot", str(source))
        shutil.copytree(source, draft)
    store = RocksStore(draft)
    try:
        if is_snapshot:
            snapshots.restore(source, store)
        orders = open_ledger(store, None).genesis.engine is Engine.CONSORTIUM
        if orders and (blocks is not None or new_chain_id):
            raise DecodeError("a consortium's node fetches what is missing from the others: restore the copy alone")
        if blocks is not None:
            log = RocksStore(blocks)
            try:
                restoring.catch_up(store, _all_blocks(log), signed_height(home.signed))
            finally:
                log.close()
            orders = True
        if new_chain_id:
            restoring.open_revision(store, new_chain_id)
            orders = True
        opened = open_ledger(store, None)
        return Restored(opened.tip.height, opened.chain.chain_id, orders)
    finally:
        store.close()


def _all_blocks(store: RocksStore) -> Iterator[ArchivedBlock]:
    return Archive(store).blocks(1)
