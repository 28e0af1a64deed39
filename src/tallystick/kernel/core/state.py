"""The state as the kernel sees it: get, put, delete and ordered index ranges, in overlays over what is committed.

One overlay lies over the committed state for a block and another over that for each transaction; a refused
transaction's overlay is dropped, an accepted one's is absorbed. Every written row remembers the seed (the hash of the
body that wrote it) from which its blind in the state tree is derived.
"""

from collections.abc import Iterator
from typing import Protocol

from tallystick.kernel.core.record import Record


class State(Protocol):
    """What can be read: the committed state, a block's overlay, or a transaction's."""

    def find(self, key: str) -> Record | None:
        """The record under `key`."""

    def index_range(self, start: str, stop: str) -> Iterator[str]:
        """The index rows from `start` up to but not including `stop`, ascending."""

    def block_hash(self, height: int) -> str | None:
        """Hash of the block header at `height` on this chain, hexadecimal, or None where it is not kept."""

    def has_room(self, key: str) -> bool:
        """Whether the state tree's bucket for a new row under `key` can take one more."""


class Overlay:
    """Changes over a base state: records by key (None: deleted), index rows, and the seed of each written row."""

    __slots__ = ("base", "index", "records", "seeds")

    def __init__(self, base: State) -> None:
        self.base = base
        self.records: dict[str, Record | None] = {}
        self.index: dict[str, bool] = {}
        self.seeds: dict[str, bytes] = {}

    def find(self, key: str) -> Record | None:
        try:
            return self.records[key]
        except KeyError:
            return self.base.find(key)

    def put(self, record: Record) -> None:
        """Write `record` under its key, in place of what stands there."""
        key = record.key
        self._reindex(self.find(key), record)
        self.records[key] = record

    def delete(self, key: str) -> None:
        """Remove the record under `key`, if any."""
        self._reindex(self.find(key), None)
        self.records[key] = None

    def _reindex(self, old: Record | None, new: Record | None) -> None:
        before = old.index_rows() if old is not None else frozenset()
        after = new.index_rows() if new is not None else frozenset()
        if before != after:
            for row in before - after:
                self.index[row] = False
            for row in after - before:
                self.index[row] = True

    def index_range(self, start: str, stop: str) -> Iterator[str]:
        if not self.index:
            return self.base.index_range(start, stop)
        return self._merged_range(start, stop)

    def _merged_range(self, start: str, stop: str) -> Iterator[str]:
        mine = sorted(row for row in self.index if start <= row < stop)
        if not mine:
            yield from self.base.index_range(start, stop)
            return
        position = 0
        for row in self.base.index_range(start, stop):
            while position < len(mine) and mine[position] < row:
                if self.index[mine[position]]:
                    yield mine[position]
                position += 1
            if position < len(mine) and mine[position] == row:
                position += 1
                if not self.index[row]:
                    continue
            yield row
        for added in mine[position:]:
            if self.index[added]:
                yield added

    def block_hash(self, height: int) -> str | None:
        return self.base.block_hash(height)

    def has_room(self, key: str) -> bool:
        return self.base.has_room(key)

    def absorb(self, other: "Overlay", seed: bytes) -> None:
        """Take over the changes of an accepted transaction, whose rows are blinded from `seed` (32 bytes)."""
        self.records.update(other.records)
        self.index.update(other.index)
        for key in other.records:
            self.seeds[key] = seed
