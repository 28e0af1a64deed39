"""Records: typed immutable rows under string keys, and the index rows that follow from them.

A record's key is its table's name and its id. Index rows are not part of the state tree: they are a pure function of
the record, kept beside it so that due work and a member's live business are found without a scan.
"""

from enum import IntEnum
from typing import Any, ClassVar

import msgspec

from tallystick.kernel.core import codec
from tallystick.kernel.core.fields import Struct
from tallystick.wire.errors import DecodeError, InvariantViolation
from tallystick.wire.instants import Instant

TABLES: dict[str, "type[Record]"] = {}
_DECODERS: "dict[str, msgspec.json.Decoder[Any]]" = {}


class Queue(IntEnum):
    """The due queues, in the order in which a block works them off (DOMAIN section 2)."""

    EXPIRE = 1
    UNLOCK = 2
    PAY = 3
    RELEASE = 4
    OVERDUE = 5
    LAPSE = 6


class Record(Struct):
    """A row of the state. A subclass names its `table`; `id` is unique within it."""

    table: ClassVar[str] = ""
    is_rule: ClassVar[bool] = False  # law, calendar, policies: a change drops what was recalled from them

    id: str

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "table" in cls.__dict__:
            if cls.table in TABLES:
                raise InvariantViolation(f"two records are named {cls.table}")
            TABLES[cls.table] = cls

    @property
    def key(self) -> str:
        """`table/id`, the row's key in the state and, hashed, in the tree."""
        return f"{self.table}/{self.id}"

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        """When this record wants work at block start, and in which queue."""
        return ()

    def live_for(self) -> tuple[str, ...]:
        """The members who hold, owe or are named in this record while it is live."""
        return ()

    def labels(self) -> tuple[str, ...]:
        """Further index rows under which the record is found, like `role/auditor`."""
        return ()

    def facets(self) -> "Facets":
        """All that the index rows follow from, cheap to compare."""
        return (self.due(), self.live_for(), self.labels())

    def index_rows(self) -> set[str]:
        """All index rows of this record."""
        return index_rows(self.key, self.facets())


Facets = tuple[tuple[tuple[Queue, Instant], ...], tuple[str, ...], tuple[str, ...]]
"""Due times, the members for whom it is live, and further labels of a record."""

NO_FACETS: Facets = ((), (), ())


def index_rows(key: str, facets: Facets) -> set[str]:
    """The index rows of the record under `key`."""
    return {row for row, present in row_changes(key, NO_FACETS, facets) if present}


def row_changes(key: str, before: Facets, after: Facets) -> list[tuple[str, bool]]:
    """The index rows that come (True) and go (False) when the facets of the record under `key` change."""
    changes: list[tuple[str, bool]] = []
    old, new = before[0], after[0]
    if old != new:
        changes += [(due_row(due, key), False) for due in old if due not in new]
        changes += [(due_row(due, key), True) for due in new if due not in old]
    former, present = before[1], after[1]
    if former != present:
        changes += [(f"live/{member}/{key}", False) for member in former if member not in present]
        changes += [(f"live/{member}/{key}", True) for member in present if member not in former]
    former, present = before[2], after[2]
    if former != present:
        changes += [(f"{label}/{key}", False) for label in former if label not in present]
        changes += [(f"{label}/{key}", True) for label in present if label not in former]
    return changes


def due_row(due: tuple[Queue, Instant], key: str) -> str:
    """The index row that puts record `key` into a queue at an instant; rows sort by queue, then time."""
    return f"due/{due[0]:d}/{due[1]:015d}/{key}"


def make_decoders() -> None:
    """Make the decoders of all tables now, before threads share them.

    A struct's form is worked out when its first decoder is made, and msgspec (0.22) crashes the process where two
    threads are at that at once.
    """
    for table, kind in TABLES.items():
        _DECODERS[table] = codec.decoder(kind)


def decode_record(key: str, value: bytes) -> Record:
    """Read the record stored under `key`. Raises `DecodeError` if the bytes are not one."""
    table = key.partition("/")[0]
    decoder = _DECODERS.get(table)
    if decoder is None:
        if table not in TABLES:
            raise DecodeError(f"no table is named {table[:40]!r}", key)
        decoder = _DECODERS[table] = codec.decoder(TABLES[table])
    try:
        record: Record = decoder.decode(value)
    except codec.UNREADABLE as error:
        raise DecodeError(str(error), key) from None
    return record
