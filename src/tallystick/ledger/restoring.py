"""What makes a copied ledger fit for ordering again, without its key ever signing a height twice (ADR 0003).

A backup and a restored snapshot are marked as copies: they can be read, nothing is ordered on them. `catch_up` brings a
copy to the height its key has signed; `open_revision` goes on from the copy under a new chain id that names where it
came from, so that no signature of the one chain is one of the other.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tallystick.kernel.chain_rows import Entropy, Revision
from tallystick.kernel.core import codec
from tallystick.ledger.archive import Archive, ArchivedBlock, height_key
from tallystick.ledger.execution import put_buckets, stored_row
from tallystick.ledger.opening import (
    COPY_KEY,
    Opened,
    Tip,
    open_ledger,
    put_revision,
    put_tip,
    read_revisions,
    read_tip,
)
from tallystick.ledger.replay import replay_block
from tallystick.ledger.store import Batch, Family, RocksStore, Store
from tallystick.proof.state_proof import key_hash
from tallystick.wire.errors import DecodeError, InvariantViolation

_CHAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}", re.ASCII)


def back_up(store: Store, target: Path) -> int:
    """Copy the whole ledger into the new directory `target` while it runs, marked as a copy; returns its height."""
    if target.exists():
        raise FileExistsError(f"{target}: a backup goes into a new directory")
    store.checkpoint(target)
    copy = RocksStore(target)
    try:
        height = read_tip(copy).height
        batch = Batch()
        batch.put(Family.META, COPY_KEY, height_key(height))
        copy.write(batch)
    finally:
        copy.close()
    return height


def catch_up(store: Store, blocks: Iterable[ArchivedBlock], signed_height: int) -> int:
    """Execute the archived blocks above a copy's height again and take the mark off; returns the height reached.

    `blocks` is the complete block log, ascending; those up to the copy's height are passed over. `signed_height` is the
    highest height that the key is known to have signed (`signing_guard.signed_height`, or what the members hold): a log
    that ends below it is refused. Raises `DecodeError` at the first block that does not hold; those before it stay.
    """
    opened = open_ledger(store, None)
    for block in blocks:
        if block.header.height <= opened.tip.height:
            _check_shared(opened, block)
            continue
        executed = replay_block(opened, block)
        tip = Tip.after(executed, block.header, block.commit)
        Archive.add_block(executed.batch, block)
        put_tip(executed.batch, tip)
        store.write(executed.batch)
        opened.advance(executed, tip)
    if opened.tip.height < signed_height:
        raise DecodeError(
            f"the block log ends at height {opened.tip.height}, but the key has signed up to {signed_height}"
        )
    batch = Batch()
    batch.delete(Family.META, COPY_KEY)
    store.write(batch)
    return opened.tip.height


def _check_shared(opened: Opened, block: ArchivedBlock) -> None:
    known = opened.hashes.get(block.header.height)
    if known is not None and block.header.hash().hex() != known:
        raise DecodeError("the block log is of another history than the ledger", f"block {block.header.height}")


def open_revision(store: Store, chain_id: str) -> Revision:
    """Let a ledger go on under the new chain id `chain_id`, and take the mark of a copy off.

    The revision is a row of the state, so the next header's app hash covers it, and that header is the first of the
    new chain id; its last block id is the last block of the old. What was ordered above the copy's height is gone from
    this chain, and transactions made for the old chain id are refused.
    """
    opened = open_ledger(store, None)
    former = opened.chain.chain_id
    if not _CHAIN_ID.fullmatch(chain_id):
        raise DecodeError("not a chain id", chain_id[:50])
    if chain_id in (former, *opened.predecessors):
        raise DecodeError("this ledger has had this chain id already", chain_id)
    revision = Revision(id=chain_id, predecessor=former, fork_height=opened.tip.height)
    entropy = opened.state.find("entropy/chain")
    if not isinstance(entropy, Entropy):
        raise InvariantViolation("the chain has no entropy row")
    stored = stored_row(bytes.fromhex(entropy.value), opened.tip.height, revision.key, codec.encode(revision))
    delta = opened.tree.prepare([(key_hash(revision.key), hashlib.sha256(stored).digest())])
    batch = Batch()
    batch.put(Family.STATE, revision.key.encode(), stored)
    put_buckets(batch, delta)
    put_revision(batch, len(read_revisions(store)), revision)
    put_tip(batch, msgspec.structs.replace(opened.tip, state_root=delta.root))
    batch.delete(Family.META, COPY_KEY)
    store.write(batch)
    return revision
