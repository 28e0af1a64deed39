"""The store port: ordered bytes in families, written in atomic batches. `RocksStore` is what production uses.

A write that fails raises `StoreFailure`, an `OSError`: the node stops without acknowledging. A directory that can't be
read raises `DecodeError` naming it.
"""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Protocol

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    Checkpoint,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from tallystick.wire.errors import DecodeError


class Family(Enum):
    """What is kept apart: the values are the column families' names."""

    STATE = "state"  # record key -> blind (32 bytes) and canonical value
    INDEX = "index"  # index row -> nothing
    TREE = "tree"  # bucket index -> listing
    BLOCKS = "blocks"  # height -> what was decided, and what the kernel made of it
    LIGHTS = "lights"  # height -> header and commit
    RECEIPTS = "receipts"  # actor, NUL, transaction id -> receipt
    HASHES = "hashes"  # body hash -> height, index and the result's data
    META = "meta"

    __hash__ = object.__hash__  # by identity, as members are compared; Enum's own costs a call for each row


class StoreFailure(OSError):
    """The store could not read or write. Nothing after it may be acknowledged."""


class StoreLocked(DecodeError):
    """Another process has the data directory open."""


class Batch:
    """Writes that happen together or not at all: rows by family and key, the last word for a key counting.

    A value of None removes the key.
    """

    __slots__ = ("families",)

    def __init__(self) -> None:
        self.families: dict[Family, dict[bytes, bytes | None]] = {family: {} for family in Family}

    def put(self, family: Family, key: bytes, value: bytes) -> None:
        self.families[family][key] = value

    def delete(self, family: Family, key: bytes) -> None:
        self.families[family][key] = None


class Store(Protocol):
    """Ordered bytes in families. `where` names it in messages."""

    where: str

    def get(self, family: Family, key: bytes) -> bytes | None: ...

    def range(self, family: Family, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows from `start` up to but not including `stop` (None: the family's end), ascending."""

    def write(self, batch: Batch) -> None:
        """Write all of `batch` and return once it is on the disk (synced)."""

    def synced_writes(self) -> int:
        """How many synced writes the store has made since it was opened, where it keeps statistics."""

    def checkpoint(self, target: Path) -> None:
        """Make a consistent copy of everything in the new directory `target` while writing goes on."""

    def close(self) -> None: ...


class RocksStore:
    """RocksDB with one column family for each `Family`, bloom filters, one block cache, and synced batches.

    Only what can be made again at any time is kept in a store that is not `synced`.
    """

    def __init__(
        self, path: Path, *, cache_bytes: int = 512 << 20, statistics: bool = False, synced: bool = True
    ) -> None:
        options = _options()
        if statistics:
            options.enable_statistics()  # a few percent of every read and write
        options.create_if_missing(not _holds_rows(path))
        self._options = options
        self._path = path
        self.where = str(path)
        families = {family.value: _family_options(family, cache_bytes) for family in Family}
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._db = Rdict(str(path), options=options, column_families=families, access_type=AccessType.read_write())
        except Exception as error:  # allow(broad-except): rocksdict raises bare Exception for every failure
            raise _opening_failure(path, error) from error
        self._handles = {family: self._db.get_column_family_handle(family.value) for family in Family}
        self._columns = {family: self._db.get_column_family(family.value) for family in Family}
        self._gets = {family: column.get for family, column in self._columns.items()}
        self._sync = WriteOptions()
        self._sync.sync = synced

    def get(self, family: Family, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._gets[family](key)
        except Exception as error:  # allow(broad-except): rocksdict raises bare Exception for every failure
            raise StoreFailure(f"{self._path}: {error}") from error
        return value

    def range(self, family: Family, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        reading = ReadOptions()
        if stop is not None:
            reading.set_iterate_upper_bound(stop)
        try:
            cursor = self._columns[family].iter(reading)
            cursor.seek(start)
            while cursor.valid():
                yield cursor.key(), cursor.value()
                cursor.next()
            cursor.status()
        except Exception as error:  # allow(broad-except): rocksdict raises bare Exception for every failure
            raise StoreFailure(f"{self._path}: {error}") from error

    def write(self, batch: Batch) -> None:
        writes = WriteBatch(raw_mode=True)
        try:
            for family, rows in batch.families.items():
                writes.set_default_column_family(self._handles[family])
                for key in sorted(rows):  # neighbours in a memtable are found faster one after the other
                    value = rows[key]
                    if value is None:
                        writes.delete(key)
                    else:
                        writes.put(key, value)
            self._db.write(writes, self._sync)
        except Exception as error:  # allow(broad-except): rocksdict raises bare Exception for every failure
            raise StoreFailure(f"{self._path}: {error}") from error

    def synced_writes(self) -> int:
        for line in (self._options.get_statistics() or "").splitlines():
            if line.startswith("rocksdb.wal.synced "):
                return int(line.rpartition(" ")[2])
        return 0

    def checkpoint(self, target: Path) -> None:
        try:
            Checkpoint(self._db).create_checkpoint(str(target))
        except Exception as error:  # allow(broad-except): rocksdict raises bare Exception for every failure
            raise StoreFailure(f"{target}: {error}") from error

    def close(self) -> None:
        self._gets.clear()
        self._columns.clear()
        self._handles.clear()
        self._db.close()


def _holds_rows(path: Path) -> bool:
    """Whether a database was written here; one that lost its CURRENT file must not be begun anew over its rows."""
    return any(path.glob("*.sst")) or any(log.stat().st_size for log in path.glob("*.log"))


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_missing_column_families(True)
    options.set_paranoid_checks(True)
    # damage inside the log is an error; only a record that was cut off at its end, never acknowledged, is dropped
    options.set_wal_recovery_mode(DBRecoveryMode.tolerate_corrupted_tail_records())
    options.increase_parallelism(2)
    options.set_max_total_wal_size(256 << 20)
    options.set_keep_log_file_num(4)
    return options


_SMALL_BUFFER = 8 << 20
_LARGE_BUFFER = 64 << 20
_LARGE = frozenset({Family.STATE, Family.TREE, Family.BLOCKS})


def _family_options(family: Family, cache_bytes: int) -> Options:
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)
    table.set_block_cache(_cache(cache_bytes))
    table.set_format_version(5)
    options = Options(raw_mode=True)
    options.set_block_based_table_factory(table)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_write_buffer_size(_LARGE_BUFFER if family in _LARGE else _SMALL_BUFFER)
    return options


_CACHES: dict[int, Cache] = {}


def _cache(size: int) -> Cache:
    """One block cache a process and size, shared by all families."""
    if size not in _CACHES:
        _CACHES[size] = Cache(size)
    return _CACHES[size]


def _opening_failure(path: Path, error: Exception) -> Exception:
    text = str(error)
    if "/LOCK:" in text:
        return StoreLocked("another process has this data directory open", str(path))
    if "No space left" in text:
        return StoreFailure(f"{path}: {text}")
    return DecodeError(f"the data directory can't be opened: {text}", str(path))
