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

    def index_rows(self) -> frozenset[str]:
        """All index rows of this record."""
        key = self.key
        return frozenset(
            (
                *(due_row(queue, at, key) for queue, at in self.due()),
                *(f"live/{member}/{key}" for member in self.live_for()),
                *(f"{label}/{key}" for label in self.labels()),
            )
        )


def due_row(queue: Queue, at: Instant, key: str) -> str:
    """The index row that puts record `key` into `queue` at instant `at`; rows sort by queue, then time."""
    return f"due/{int(queue)}/{int(at):015d}/{key}"


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
    except msgspec.DecodeError as error:
        raise DecodeError(str(error), key) from None
    return record
