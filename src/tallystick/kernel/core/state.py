"""The state as the kernel sees it: get, put, delete and ordered index ranges, in overlays over what is committed.

One overlay lies over the committed state for a block. It notes what a transaction changes, so that a refused one is
taken back whole. Every written row remembers the seed (the hash of the body that wrote it) from which its blind in the
state tree is derived.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Protocol

from tallystick.kernel.core.record import NO_FACETS, Record, index_rows, row_changes

MANY_DROPPED = 1_000


class State(Protocol):
    """What can be read: the committed state, or a block's overlay."""

    def find(self, key: str) -> Record | None:
        """The record under `key`."""

    def index_range(self, start: str, stop: str) -> Iterator[str]:
        """The index rows from `start` up to but not including `stop`, ascending."""

    def block_hash(self, height: int) -> str | None:
        """Hash of the block header at `height` on this chain, hexadecimal, or None where it is not kept."""

    def has_room(self, key: str) -> bool:
        """Whether the state tree's bucket for a new row under `key` can take one more."""


class Overlay:
    """Changes over a base state: records by key (None: deleted) and the seed of each written row.

    Between `begin` and `accept` or `rollback` lies one transaction, or one piece of due work. Index rows follow from
    the records and are worked out when somebody asks for them (`index_range`, `index_changes`). `rules` remembers for
    one block what follows from the rules in force (`Step.recall`).
    """

    __slots__ = (
        "_before",
        "_dropped",
        "_fresh",
        "_index",
        "_indexed",
        "_seen",
        "_sorted",
        "_stale",
        "base",
        "records",
        "rules",
        "rules_changed",
        "seeds",
    )

    def __init__(self, base: State) -> None:
        self.base = base
        self.records: dict[str, Record | None] = {}
        self.seeds: dict[str, bytes] = {}
        self.rules: dict[object, object] = {}
        self.rules_changed = False  # by the transaction under way
        self._before: dict[str, Record | None] = {}  # what the transaction under way has written over
        self._seen: dict[str, Record | None] = {}  # every record looked up or written here; the base stands still
        self._index: dict[str, bool] = {}
        self._fresh: list[str] = []  # rows of `_index` that are not yet sorted in
        self._sorted: list[str] = []
        self._dropped: set[str] = set()  # rows that came and went again; they may still stand in `_sorted`
        self._stale: list[str] = []  # keys written since the index rows were worked out
        self._indexed: dict[str, Record | None] = {}  # the records that `_index` was worked out from

    def find(self, key: str) -> Record | None:
        seen = self._seen
        if key in seen:
            return seen[key]
        record = seen[key] = self.base.find(key)
        return record

    def put(self, record: Record) -> None:
        """Write `record` under its key, in place of what stands there."""
        key = record.key
        if key not in self._before:
            self._before[key] = self.find(key)
        self.records[key] = self._seen[key] = record
        self._stale.append(key)
        if record.is_rule:
            self.rules_changed = True

    def delete(self, key: str) -> None:
        """Remove the record under `key`, if any."""
        if key not in self._before:
            self._before[key] = self.find(key)
        self.records[key] = self._seen[key] = None
        self._stale.append(key)

    def begin(self) -> None:
        """Note from here on what is changed."""
        self._before = {}
        self.rules_changed = False

    def rollback(self) -> None:
        """Take back what was changed since `begin`."""
        for key, record in self._before.items():
            self._seen[key] = record
            if key in self.seeds:
                self.records[key] = record
            else:
                del self.records[key]
        self._stale.extend(self._before)
        self.begin()

    def accept(self, seed: bytes) -> None:
        """Keep what was changed since `begin`; its rows are blinded from `seed` (32 bytes)."""
        self.seeds.update(dict.fromkeys(self._before, seed))
        if self.rules_changed:
            self.rules.clear()
        self.begin()

    def created(self) -> Iterator[str]:
        """The keys of records that came since `begin` and did not stand before."""
        return (key for key, before in self._before.items() if before is None and self.records[key] is not None)

    def index_changes(self) -> dict[str, bool]:
        """The index rows that come (True) and go (False) with the changes, against the base."""
        indexed = self._indexed
        stale, self._stale = self._stale, []
        for key in stale:
            record = self._seen[key]
            again = key in indexed
            before = indexed[key] if again else self.base.find(key)
            if before is record:
                continue
            indexed[key] = record
            old = NO_FACETS if before is None else before.facets()
            new = NO_FACETS if record is None else record.facets()
            if old == new:
                continue
            changes = row_changes(key, old, new)
            if again:
                for row, present in changes:
                    self._note(key, row, present)
            else:  # a row ends in its record's key, so none of these stands in the index yet
                first = dict(changes)
                self._index.update(first)
                self._fresh.extend(first)
        return self._index

    def _note(self, key: str, row: str, present: bool) -> None:
        """Note that an index row of the record under `key` came or went.

        One that goes and is not the base's is forgotten: else every later range would step over all that ever went.
        """
        index = self._index
        if not present and row in self._dropped:
            return
        if not present and index.get(row):
            base = self.base.find(key)
            if base is None or row not in index_rows(key, base.facets()):
                del index[row]
                self._dropped.add(row)
                return
        if row not in index:
            if row in self._dropped:
                self._dropped.discard(row)
            else:
                self._fresh.append(row)
        index[row] = present

    def index_range(self, start: str, stop: str) -> Iterator[str]:
        index = self.index_changes()
        rows = self._sorted_rows()
        mine = rows[bisect_left(rows, start) : bisect_left(rows, stop)]
        if not mine:
            yield from self.base.index_range(start, stop)
            return
        position = 0
        for row in self.base.index_range(start, stop):
            while position < len(mine) and mine[position] < row:
                if index.get(mine[position]):
                    yield mine[position]
                position += 1
            if position < len(mine) and mine[position] == row:
                position += 1
                if not index[row]:
                    continue
            yield row
        for added in mine[position:]:
            if index.get(added):
                yield added

    def _sorted_rows(self) -> list[str]:
        """The rows of `_index` in order, those that came since the last call sorted in."""
        if self._fresh:
            self._sorted.extend(self._fresh)
            self._sorted.sort()  # nearly sorted, so cheap
            self._fresh.clear()
        if len(self._dropped) > len(self._index) + MANY_DROPPED:
            self._sorted = [row for row in self._sorted if row in self._index]
            self._dropped.clear()
        return self._sorted

    def block_hash(self, height: int) -> str | None:
        return self.base.block_hash(height)

    def has_room(self, key: str) -> bool:
        return self.base.has_room(key)
