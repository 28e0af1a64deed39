"""A committed state held in dictionaries: the fake of the store port, for tests of the kernel alone."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from tallystick.kernel.core.record import Record
from tallystick.kernel.core.state import Overlay


class MemoryState:
    """Rows and index rows in memory; `commit` takes over a block's overlay."""

    def __init__(self, rows: Iterable[Record] = ()) -> None:
        self.rows: dict[str, Record] = {}
        self.index: list[str] = []
        self.hashes: dict[int, str] = {}
        self.looked_up: set[str] = set()
        self.full: set[str] = set()
        for row in rows:
            self.rows[row.key] = row
            self.index.extend(row.index_rows())
        self.index.sort()

    def find(self, key: str) -> Record | None:
        self.looked_up.add(key)
        return self.rows.get(key)

    def index_range(self, start: str, stop: str) -> Iterator[str]:
        for row in self.index[bisect_left(self.index, start) : bisect_left(self.index, stop)]:
            self._note_owner(row)
            yield row

    def _note_owner(self, row: str) -> None:
        """An index row was seen, so the record it follows from was: a vector needs it in its pre-state."""
        position = row.find("/")
        while position >= 0:
            if row[position + 1 :] in self.rows:
                self.looked_up.add(row[position + 1 :])
                return
            position = row.find("/", position + 1)

    def block_hash(self, height: int) -> str | None:
        return self.hashes.get(height)

    def has_room(self, key: str) -> bool:
        return key not in self.full

    def commit(self, overlay: Overlay) -> None:
        changes = overlay.index_changes()  # against what stands here before
        for key, record in overlay.records.items():
            if record is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = record
        for row, present in changes.items():
            position = bisect_left(self.index, row)
            stands = position < len(self.index) and self.index[position] == row
            if present and not stands:
                insort(self.index, row)
            elif stands and not present:
                del self.index[position]
