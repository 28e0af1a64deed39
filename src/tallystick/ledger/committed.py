"""The committed state over a store, with a bounded cache of decoded records (absent keys included).

Records are immutable, so one decoded record serves every reader. Blocks write through the cache after their batch is
on disk.

Where each due queue begins is remembered as well. The store marks a deleted row and forgets it much later; without the
remembered place every block would step over the marks of all deadlines that ever passed, 140 ms for a million. Only the
thread that executes blocks lists the queues: another could remember a place from before a block that it did not see.
"""

from collections.abc import Iterator
from itertools import islice

from tallystick.kernel.core.record import Queue, Record, decode_record
from tallystick.kernel.core.state import Overlay
from tallystick.ledger.store import Family, Store, StoreFailure
from tallystick.ledger.tree import Tree
from tallystick.proof.state_proof import MAX_BUCKET_ENTRIES, key_hash
from tallystick.wire.errors import DecodeError

BLIND_BYTES = 32
CACHED_RECORDS = 400_000
_QUEUES = tuple(f"due/{queue:d}/" for queue in Queue)
_QUEUE_LENGTH = len(_QUEUES[0])


class CommittedState:
    """The kernel's `State` at the last committed height."""

    __slots__ = ("_cache", "_due_from", "_hashes", "_store", "_tree")

    def __init__(self, store: Store, tree: Tree, hashes: dict[int, str]) -> None:
        self._store = store
        self._tree = tree
        self._cache: dict[str, Record | None] = {}
        self._hashes = hashes
        self._due_from = {queue: queue for queue in _QUEUES}  # no row of the queue stands before this

    def find(self, key: str) -> Record | None:
        cache = self._cache
        if key in cache:
            return cache[key]
        stored = self._store.get(Family.STATE, key.encode())
        record = None if stored is None else self._decode(key, stored[BLIND_BYTES:])
        self._keep(key, record)
        return record

    @staticmethod
    def _decode(key: str, value: bytes) -> Record:
        try:
            return decode_record(key, value)
        except DecodeError as error:  # damage on disk stops the node; it must not look like a fault of a transaction
            raise StoreFailure(f"the record {key} can't be read: {error}") from error

    def index_range(self, start: str, stop: str) -> Iterator[str]:
        known = self._due_from.get(start)
        for name, _ in self._store.range(Family.INDEX, (known or start).encode(), stop.encode()):
            row = name.decode()
            if known is not None:
                self._due_from[start], known = row, None
            yield row
        if known is not None:
            self._due_from[start] = max(known, stop)

    def block_hash(self, height: int) -> str | None:
        return self._hashes.get(height)

    def has_room(self, key: str) -> bool:
        if self._tree.most_entries < MAX_BUCKET_ENTRIES:
            return True
        return self._tree.bucket_entries(key_hash(key)) < MAX_BUCKET_ENTRIES

    def take_over(self, overlay: Overlay) -> None:
        """Remember what a block has just written."""
        self._cache.update(overlay.records)
        self._trim()
        for row, present in overlay.index_changes().items():
            known = self._due_from.get(row[:_QUEUE_LENGTH])
            if present and known is not None and row < known:
                self._due_from[row[:_QUEUE_LENGTH]] = row

    def _keep(self, key: str, record: Record | None) -> None:
        self._cache[key] = record
        self._trim()

    def _trim(self) -> None:
        if len(self._cache) > CACHED_RECORDS:
            for key in list(islice(self._cache, len(self._cache) // 2)):
                del self._cache[key]
