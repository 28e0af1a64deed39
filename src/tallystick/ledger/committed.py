"""The committed state over a store, with a bounded cache of decoded records (absent keys included).

Records are immutable, so one decoded record serves every reader. Blocks write through the cache after their batch is
on disk.
"""

from collections.abc import Iterator
from itertools import islice

from tallystick.kernel.core.record import Record, decode_record
from tallystick.ledger.store import Family, Store, StoreFailure
from tallystick.ledger.tree import Tree
from tallystick.proof.state_proof import MAX_BUCKET_ENTRIES, key_hash
from tallystick.wire.errors import DecodeError

BLIND_BYTES = 32
CACHED_RECORDS = 400_000


class CommittedState:
    """The kernel's `State` at the last committed height."""

    __slots__ = ("_cache", "_hashes", "_store", "_tree")

    def __init__(self, store: Store, tree: Tree, hashes: dict[int, str]) -> None:
        self._store = store
        self._tree = tree
        self._cache: dict[str, Record | None] = {}
        self._hashes = hashes

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
        for row, _ in self._store.range(Family.INDEX, start.encode(), stop.encode()):
            yield row.decode()

    def block_hash(self, height: int) -> str | None:
        return self._hashes.get(height)

    def has_room(self, key: str) -> bool:
        if self._tree.most_entries < MAX_BUCKET_ENTRIES:
            return True
        return self._tree.bucket_entries(key_hash(key)) < MAX_BUCKET_ENTRIES

    def take_over(self, records: dict[str, Record | None]) -> None:
        """Remember what a block has just written."""
        self._cache.update(records)
        self._trim()

    def _keep(self, key: str, record: Record | None) -> None:
        self._cache[key] = record
        self._trim()

    def _trim(self) -> None:
        if len(self._cache) > CACHED_RECORDS:
            for key in list(islice(self._cache, len(self._cache) // 2)):
                del self._cache[key]
