"""Laying a world's rows into a ledger on disk that has just begun: an engine, or a command, goes on from there."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from tallystick.kernel.core import codec
from tallystick.kernel.core.record import Record
from tallystick.ledger.opening import open_ledger, put_tip
from tallystick.ledger.store import Batch, Family, RocksStore


def lay(directory: Path, records: Iterable[Record]) -> None:
    """Write records as blocks would have: rows, index and tree. The genesis must have been written already."""
    store = RocksStore(directory)
    opened = open_ledger(store, None)
    batch = Batch()
    changes: list[tuple[bytes, bytes | None]] = []
    for record in records:
        name = record.key.encode()
        stored = hashlib.sha256(b"laid" + name).digest() + codec.encode(record)
        batch.put(Family.STATE, name, stored)
        changes.append((hashlib.sha256(name).digest(), hashlib.sha256(stored).digest()))
        for row in record.index_rows():
            batch.put(Family.INDEX, row.encode(), b"")
    delta = opened.tree.prepare(changes)
    opened.tree.commit(delta)
    for bucket, listing in delta.buckets.items():
        batch.put(Family.TREE, bucket.to_bytes(4, "big"), listing)
    put_tip(batch, replace(opened.tip, state_root=delta.root))
    store.write(batch)
    store.close()
