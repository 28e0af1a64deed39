"""The archive: every block with its transactions, results, events, header and commit, by height, kept for ever.

A block lies in two rows: what the kernel made of it, and its light, that is header and commit. The embedded engine
writes both at once; under CometBFT the commit of a height is known only after the block, and its light comes later.
"""

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from tallystick.kernel.core.events import Event
from tallystick.kernel.core.refusal import Fact
from tallystick.ledger.engine import Committed, Cursor, PlacedEvent
from tallystick.ledger.receipts import PLACE_BYTES, Receipt, place_of
from tallystick.ledger.store import Batch, Family, Store
from tallystick.proof.comet import ABSENT, BlockIdFlag, Commit, Header
from tallystick.proof.timestamps import NS_PER_SECOND
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant
from tallystick.wire.status import BY_LABEL

NS_PER_MS = 1_000_000
_REACH = 2**63


class BlockBody(msgspec.Struct, frozen=True, array_like=True):
    """What was decided and what the kernel made of it; `time` is the header's, in nanoseconds.

    `events` holds a canonical JSON list a transaction, `due_events` that of block start.
    """

    height: int
    time: int
    transactions: list[bytes]
    codes: list[int]
    data: list[bytes]
    events: list[bytes]
    due_events: bytes
    roots: tuple[bytes, bytes]  # state root and receipts root after this block
    misbehaviours: bytes = b"[]"  # a canonical JSON list of what the engine reported with the block


class Light(msgspec.Struct, frozen=True, array_like=True):
    """Who says so: a block's header, and the signatures under it."""

    header: Header
    commit: Commit


class ArchivedBlock(msgspec.Struct, frozen=True):
    """A whole block: its body, and the header and commit that attest it."""

    body: BlockBody
    header: Header
    commit: Commit

    @property
    def transactions(self) -> list[bytes]:
        return self.body.transactions


class _LightRow(msgspec.Struct, frozen=True, array_like=True):
    """A light as it is stored. `far`: seconds and nanoseconds of votes that 64 bits of nanoseconds don't reach."""

    header: Header
    commit: Commit
    far: tuple[tuple[int, int, int], ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_body = msgspec.msgpack.Decoder(BlockBody)
_light = msgspec.msgpack.Decoder(_LightRow)
_events = msgspec.json.Decoder(list[Event])


class _ResultData(msgspec.Struct, frozen=True):
    status: str
    facts: dict[str, Fact]


_result = msgspec.json.Decoder(_ResultData)


def height_key(height: int) -> bytes:
    """Big-endian, so that blocks lie in order."""
    return height.to_bytes(8, "big")


def encode_body(body: BlockBody) -> bytes:
    """The row of a block's body."""
    return _encode(body)


def encode_light(light: Light) -> bytes:
    """The row of a block's light.

    CometBFT takes any time of the years 1 to 9999 in a vote (types/vote.go, ValidateBasic), of which 64 bits of
    nanoseconds hold 292: one validator alone must not keep a header out. Who is absent has the zero time, year 1: 0.
    """
    votes = light.commit.signatures
    far = {place: vote for place, vote in enumerate(votes) if not -_REACH <= vote.timestamp < _REACH}
    stored = tuple(replace(vote, timestamp=0) if place in far else vote for place, vote in enumerate(votes))
    dates = tuple(
        (place, *divmod(vote.timestamp, NS_PER_SECOND))
        for place, vote in far.items()
        if vote.flag is not BlockIdFlag.ABSENT
    )
    commit = replace(light.commit, signatures=stored) if far else light.commit
    return _encode(_LightRow(light.header, commit, dates) if dates else Light(light.header, commit))


def _with_dates(row: _LightRow) -> Light:
    far = {place: seconds * NS_PER_SECOND + nanos for place, seconds, nanos in row.far}
    votes = row.commit.signatures
    if not far and all(vote.flag is not BlockIdFlag.ABSENT for vote in votes):
        return Light(row.header, row.commit)
    dated = (replace(vote, timestamp=far.get(place, vote.timestamp)) for place, vote in enumerate(votes))
    signatures = tuple(ABSENT if vote.flag is BlockIdFlag.ABSENT else vote for vote in dated)
    return Light(row.header, replace(row.commit, signatures=signatures))


def decode_body(raw: bytes, height: int) -> BlockBody:
    """The archived block of a height. Raises `DecodeError` on damage."""
    try:
        return _body.decode(raw)
    except msgspec.DecodeError as error:
        raise DecodeError(f"the archived block can't be read: {error}", f"block {height}") from None


def decode_light(raw: bytes, height: int) -> Light:
    """The archived header and commit of a height. Raises `DecodeError` on damage."""
    try:
        return _with_dates(_light.decode(raw))
    except msgspec.DecodeError as error:
        raise DecodeError(f"the archived header can't be read: {error}", f"block {height}") from None


class Archive:
    """Reads blocks, events and receipts. Writing happens in the engine's one batch a block, by `add_block`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @staticmethod
    def add_block(batch: Batch, block: ArchivedBlock) -> None:
        Archive.add_body(batch, block.body)
        Archive.add_light(batch, Light(block.header, block.commit))

    @staticmethod
    def add_body(batch: Batch, body: BlockBody) -> None:
        batch.put(Family.BLOCKS, height_key(body.height), encode_body(body))

    @staticmethod
    def add_light(batch: Batch, light: Light) -> None:
        batch.put(Family.LIGHTS, height_key(light.header.height), encode_light(light))

    def body(self, height: int) -> BlockBody | None:
        """What the block at a height did, or None. Raises `DecodeError` on damage."""
        raw = self._store.get(Family.BLOCKS, height_key(height))
        return None if raw is None else decode_body(raw, height)

    def light(self, height: int) -> Light | None:
        """Header and commit of a height, or None. Raises `DecodeError` on damage."""
        raw = self._store.get(Family.LIGHTS, height_key(height))
        return None if raw is None else decode_light(raw, height)

    def bodies(self, first: int) -> Iterator[BlockBody]:
        """What the blocks from height `first` on did."""
        for key, raw in self._store.range(Family.BLOCKS, height_key(first)):
            yield decode_body(raw, int.from_bytes(key, "big"))

    def blocks(self, first: int) -> Iterator[ArchivedBlock]:
        """The whole blocks from height `first` on, up to the first whose header is not here (yet)."""
        for body in self.bodies(first):
            light = self.light(body.height)
            if light is None:
                return
            yield ArchivedBlock(body, light.header, light.commit)

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
        for body in self.bodies(max(cursor.height, 1)):
            for placed in events_of(body):
                if placed.cursor <= cursor:
                    continue
                if left == 0:
                    return
                left -= 1
                yield placed


def events_of(body: BlockBody) -> Iterator[PlacedEvent]:
    """A block's events with their places: block start is index 0, transaction i is i + 1."""
    time = Instant(body.time // NS_PER_MS)
    for index, raw in enumerate((body.due_events, *body.events)):
        if raw == b"[]":
            continue
        for number, event in enumerate(_events.decode(raw), 1):
            yield PlacedEvent(Cursor(body.height, index, number), time, event)
