"""Stores that go wrong on demand, around the real one: the fakes of the store port."""

from collections.abc import Iterator
from pathlib import Path

from tallystick.ledger.store import Batch, Family, Store, StoreFailure


class WrappedStore:
    """Hands everything on. Subclasses change what they are about."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.where = inner.where

    def get(self, family: Family, key: bytes) -> bytes | None:
        return self.inner.get(family, key)

    def range(self, family: Family, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        return self.inner.range(family, start, stop)

    def write(self, batch: Batch) -> None:
        self.inner.write(batch)

    def synced_writes(self) -> int:
        return self.inner.synced_writes()

    def checkpoint(self, target: Path) -> None:
        self.inner.checkpoint(target)

    def close(self) -> None:
        self.inner.close()


class AlteredStore(WrappedStore):
    """A store in which one row reads otherwise: another value, or none at all."""

    def __init__(self, inner: Store, family: Family, key: bytes, value: bytes | None) -> None:
        super().__init__(inner)
        self._family, self._key, self._value = family, key, value

    def get(self, family: Family, key: bytes) -> bytes | None:
        return self._value if (family, key) == (self._family, self._key) else super().get(family, key)

    def range(self, family: Family, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        rows = dict(super().range(family, start, stop))
        if family is self._family and self._key >= start and (stop is None or self._key < stop):
            rows.pop(self._key, None)
            if self._value is not None:
                rows[self._key] = self._value
        yield from sorted(rows.items())


class RecordingStore(WrappedStore):
    """Writes down, in one list that the test shares, when a write began and when it had returned."""

    def __init__(self, inner: Store, log: list[str]) -> None:
        super().__init__(inner)
        self._log = log

    def write(self, batch: Batch) -> None:
        self._log.append("write begins")
        self.inner.write(batch)
        self._log.append("write returned")


class FailingStore(WrappedStore):
    """Fails from the write on that the test names; the failed batch is not written."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.fails = False
        self.tried = 0

    def write(self, batch: Batch) -> None:
        if self.fails:
            self.tried += 1
            raise StoreFailure("the disk is gone")
        self.inner.write(batch)
