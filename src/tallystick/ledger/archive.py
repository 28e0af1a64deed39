"""The archive: every block with its transactions, results, events, header and commit, by height, kept for ever."""

from collections.abc import Iterator

import msgspec

from tallystick.kernel.core.events import Event
from tallystick.kernel.core.refusal import Fact
from tallystick.ledger.engine import Committed, Cursor, PlacedEvent
from tallystick.ledger.receipts import PLACE_BYTES, Receipt, place_of
from tallystick.ledger.store import Batch, Family, Store
from tallystick.proof.comet import Commit, Header
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant
from tallystick.wire.status import BY_LABEL

NS_PER_MS = 1_000_000


class ArchivedBlock(msgspec.Struct, frozen=True, array_like=True):
    """A block as it is kept. `events` holds a canonical JSON list a transaction, `due_events` that of block start."""

    header: Header
    commit: Commit
    transactions: list[bytes]
    codes: list[int]
    data: list[bytes]
    events: list[bytes]
    due_events: bytes
    roots: tuple[bytes, bytes]  # state root and receipts root after this block


encode_block = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(ArchivedBlock)
_events = msgspec.json.Decoder(list[Event])


class _ResultData(msgspec.Struct, frozen=True):
    status: str
    facts: dict[str, Fact]


_result = msgspec.json.Decoder(_ResultData)


def height_key(height: int) -> bytes:
    """Big-endian, so that blocks lie in order."""
    return height.to_bytes(8, "big")


def decode_block(raw: bytes, height: int) -> ArchivedBlock:
    """The archived block of a height. Raises `DecodeError` on damage."""
    try:
        return _decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise DecodeError(f"the archived block can't be read: {error}", f"block {height}") from None


class Archive:
    """Reads blocks, events and receipts. Writing happens in the engine's one batch a block, by `add_block`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @staticmethod
    def add_block(batch: Batch, block: ArchivedBlock) -> None:
        batch.put(Family.BLOCKS, height_key(block.header.height), encode_block(block))

    def block(self, height: int) -> ArchivedBlock | None:
        """The block at a height, or None. Raises `DecodeError` on damage."""
        raw = self._store.get(Family.BLOCKS, height_key(height))
        return None if raw is None else decode_block(raw, height)

    def blocks(self, first: int) -> Iterator[ArchivedBlock]:
        """The blocks from height `first` on."""
        for key, raw in self._store.range(Family.BLOCKS, height_key(first)):
            yield decode_block(raw, int.from_bytes(key, "big"))

    def first_height(self) -> int | None:
        """The lowest height kept."""
        for key, _ in self._store.range(Family.BLOCKS, b""):
            return int.from_bytes(key, "big")
        return None

    def find_receipt(self, key: bytes) -> Receipt | None:
        """The receipt under (actor, transaction id)."""
        raw = self._store.get(Family.RECEIPTS, key)
        return None if raw is None else Receipt.from_bytes(raw)

    def result(self, body_hash: bytes) -> Committed | None:
        """What became of a transaction, by SHA-256 of its body."""
        raw = self._store.get(Family.HASHES, body_hash)
        if raw is None:
            return None
        data = _result.decode(raw[PLACE_BYTES:])
        return Committed(*place_of(raw), BY_LABEL[data.status], data.facts)

    def events_after(self, cursor: Cursor, limit: int) -> Iterator[PlacedEvent]:
        """Events after the cursor, in order, at most `limit`."""
        left = limit
        for block in self.blocks(max(cursor.height, 1)):
            for placed in events_of(block):
                if placed.cursor <= cursor:
                    continue
                if left == 0:
                    return
                left -= 1
                yield placed


def events_of(block: ArchivedBlock) -> Iterator[PlacedEvent]:
    """A block's events with their places: block start is index 0, transaction i is i + 1."""
    time = Instant(block.header.time // NS_PER_MS)
    for index, raw in enumerate((block.due_events, *block.events)):
        if raw == b"[]":
            continue
        for number, event in enumerate(_events.decode(raw), 1):
            yield PlacedEvent(Cursor(block.header.height, index, number), time, event)
