"""The state as the kernel sees it: get, put, delete and ordered index ranges, in overlays over what is committed.

One overlay lies over the committed state for a block and another over that for each transaction; a refused
transaction's overlay is dropped, an accepted one's is absorbed. Every written row remembers the seed (the hash of the
body that wrote it) from which its blind in the state tree is derived.
"""

from collections.abc import Iterator
from typing import Protocol

from tallystick.kernel.core.record import NO_FACETS, Facets, Record, index_changes


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
    """Changes over a base state: records by key (None: deleted), index rows, and the seed of each written row.

    `rules` remembers for one block what follows from the rules in force (`Step.recall`).
    """

    __slots__ = ("_facets", "_seen", "base", "index", "records", "rules", "rules_changed", "seeds")

    def __init__(self, base: State) -> None:
        self.base = base
        self.records: dict[str, Record | None] = {}
        self.index: dict[str, bool] = {}
        self.seeds: dict[str, bytes] = {}
        self._seen: dict[str, Record | None] = {}  # every record looked up or written here; the base stands still
        self._facets: dict[str, Facets] = {}
        self.rules: dict[object, object] = base.rules if isinstance(base, Overlay) else {}
        self.rules_changed = False

    def find(self, key: str) -> Record | None:
        seen = self._seen
        if key in seen:
            return seen[key]
        record = seen[key] = self.base.find(key)
        return record

    def put(self, record: Record) -> None:
        """Write `record` under its key, in place of what stands there."""
        key = record.key
        self._reindex(key, record.facets())
        self.records[key] = self._seen[key] = record
        if record.is_rule:
            self.rules_changed = True

    def delete(self, key: str) -> None:
        """Remove the record under `key`, if any."""
        self._reindex(key, NO_FACETS)
        self.records[key] = self._seen[key] = None

    def facets(self, key: str) -> Facets:
        """What the index rows of the record under `key` follow from, as it stands now."""
        known = self._facets.get(key)
        if known is None:
            record = self.find(key)
            if record is None:
                known = NO_FACETS
            elif key not in self.records and isinstance(self.base, Overlay):
                known = self.base.facets(key)
            else:
                known = record.facets()
            self._facets[key] = known
        return known

    def _reindex(self, key: str, after: Facets) -> None:
        before = self.facets(key)
        if before == after:
            return
        self._facets[key] = after
        self.index.update(index_changes(key, before, after))

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
        self._seen.update(other.records)
        self._facets.update(other._facets)
        if other.rules_changed:
            self.rules.clear()
        self.index.update(other.index)
        self.seeds.update(dict.fromkeys(other.records, seed))
