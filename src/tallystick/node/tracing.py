"""What on the ledger names a document's anchor: the transactions that brought it, and the records that hold it now.

No index by hash exists: both are read through. A ledger restored from a snapshot has no transactions before it, and
the genesis is none; what stands in records is found either way.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tallystick.kernel.core import codec
from tallystick.kernel.core.record import TABLES, Record
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.transaction import read_decided
from tallystick.ledger.archive import NS_PER_MS
from tallystick.ledger.engine import Engine, HeightUnavailable
from tallystick.node.lineage import PAGE
from tallystick.node.session import Session
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status


@dataclass(frozen=True, slots=True)
class Brought:
    """A transaction that names an anchor. `time` is its header's; `operations` are those of it that name the anchor."""

    hash: str
    height: int
    index: int
    time: Instant
    actor: str
    transaction_id: str
    operations: tuple[str, ...]
    status: Status


@dataclass(frozen=True, slots=True)
class Standing:
    """A record that holds an anchor, and in which of its fields, as `payee_copies[0].document`."""

    hash: str
    key: str
    field: str


@dataclass(frozen=True, slots=True)
class Trace:
    """All that was found about some anchors. Transactions before `first_height` are not kept here."""

    brought: tuple[Brought, ...]
    standing: tuple[Standing, ...]
    first_height: int


def trace(session: Session, hashes: tuple[str, ...], advance: Callable[[int], None] = lambda _: None) -> Trace:
    """Read the whole ledger through for these anchors' hashes."""
    wanted = {one.encode(): one for one in hashes}
    engine = session.engine
    brought: list[Brought] = []
    first = 1
    for height in range(1, engine.health().height + 1) if wanted else ():
        try:
            raws = engine.transactions(height)
        except HeightUnavailable:
            first = height + 1
            raws = []
        for index, raw in enumerate(raws):
            for one in (one for mark, one in wanted.items() if mark in raw):
                brought.extend(_brought(engine, raw, height, index, one))
        advance(1)
    standing = tuple(_standing(engine, wanted)) if wanted else ()
    return Trace(tuple(brought), standing, first)


def _brought(engine: Engine, raw: bytes, height: int, index: int, hash: str) -> Iterator[Brought]:
    """The transaction at a place, if it was ordered there; blocks of a consortium also hold what was turned away."""
    transaction = read_decided(raw)
    receipt = None if isinstance(transaction, Refusal) else engine.result(transaction.body_hash)
    if isinstance(transaction, Refusal) or receipt is None or (receipt.height, receipt.index) != (height, index):
        return
    mark = hash.encode()
    yield Brought(
        hash=hash,
        height=height,
        index=index,
        time=Instant(engine.light_block(height).header.time // NS_PER_MS),
        actor=transaction.body.actor,
        transaction_id=transaction.body.id,
        operations=tuple(one.name for one in transaction.operations if mark in codec.encode(one)),
        status=receipt.status,
    )


def _standing(engine: Engine, wanted: dict[bytes, str]) -> Iterator[Standing]:
    for table in sorted(TABLES):
        for row in _rows(engine, table):
            encoded = codec.encode(row)
            for mark, one in wanted.items():
                if mark in encoded:
                    yield from (Standing(one, row.key, field) for field in _fields(codec.plain(row), one, ""))


def _rows(engine: Engine, table: str) -> Iterator[Record]:
    after = ""
    while page := engine.scan(table, after, PAGE):
        yield from page
        after = page[-1].id


def _fields(value: object, hash: str, path: str) -> Iterator[str]:
    """Where in a record's plain value the hash stands; the anchor's field, not the hash's within it."""
    match value:
        case str() if value == hash:
            yield path.removesuffix(".hash")
        case dict():
            for name, inner in value.items():
                yield from _fields(inner, hash, f"{path}.{name}" if path else str(name))
        case list():
            for number, inner in enumerate(value):
                yield from _fields(inner, hash, f"{path}[{number}]")
