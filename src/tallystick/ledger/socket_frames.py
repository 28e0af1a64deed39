"""What engine server and engine client say to each other over a local socket.

A frame is its length (4 bytes, big-endian) and a msgpack array: a call (number, request) from the client, a reply
(number, kind, content) from the server, in whatever order the engine finishes. Frames pass between processes of one
machine and one release; they are no stored format. Contract: docs/spec/engine.md.
"""

import struct
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from tallystick.kernel.core.refusal import Fact
from tallystick.ledger.engine import (
    BlockResults,
    Committed,
    Cursor,
    Health,
    HeightUnavailable,
    ManyProven,
    NotYet,
    Outcome,
    PlacedEvent,
    Pruned,
    RefusedAtDoor,
    StateProof,
    Unknown,
)
from tallystick.ledger.store import StoreFailure
from tallystick.proof.comet import LightBlock
from tallystick.proof.comet_json import light_block_from_json
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant
from tallystick.wire.status import BY_NUMBER

MAX_FRAME_BYTES = 64 << 20
LENGTH = struct.Struct(">I")


class _Request(msgspec.Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True):
    pass


class Hello(_Request, frozen=True):
    """Asks for the chain id."""


class Submit(_Request, frozen=True):
    """`submit_many`: at least one transaction, answered once all are durable."""

    raws: Annotated[list[bytes], Meta(min_length=1)]


class Result(_Request, frozen=True):
    body_hash: bytes


class Query(_Request, frozen=True):
    key: str
    min_height: int
    at_height: int | None
    timeout_ms: int


class Scan(_Request, frozen=True):
    table: str
    after: str
    limit: int


class Labelled(_Request, frozen=True):
    label: str
    limit: int


class Events(_Request, frozen=True):
    after: tuple[int, int, int]
    limit: int


class Prove(_Request, frozen=True):
    key: str


class ProveMany(_Request, frozen=True):
    keys: list[str]


class LightBlockAt(_Request, frozen=True):
    height: int


class Transactions(_Request, frozen=True):
    height: int


class ValidatorChanges(_Request, frozen=True):
    pass


class Results(_Request, frozen=True):
    height: int


class AskHealth(_Request, frozen=True):
    pass


class Snapshot(_Request, frozen=True):
    target: str


class Backup(_Request, frozen=True):
    target: str


Request: TypeAlias = (
    Hello
    | Submit
    | Result
    | Query
    | Scan
    | Labelled
    | Events
    | Prove
    | ProveMany
    | LightBlockAt
    | Transactions
    | Results
    | ValidatorChanges
    | AskHealth
    | Snapshot
    | Backup
)


class Call(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A request under the client's number for it."""

    number: int
    request: Request


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """The answer to the call of that number: `kind` is "ok" or the name of a failure."""

    number: int
    kind: str
    content: bytes


class OutcomeForm(msgspec.Struct, frozen=True, array_like=True):
    """An outcome in one shape; `place` is there when committed, `status` missing when unknown."""

    place: tuple[int, int] | None
    status: int | None
    facts: dict[str, Fact]
    reason: str = ""

    @classmethod
    def of(cls, outcome: Outcome) -> "OutcomeForm":
        match outcome:
            case Committed(height, index, status, facts):
                return cls((height, index), status.number, facts)
            case RefusedAtDoor(status, facts):
                return cls(None, status.number, facts)
            case Unknown(reason):
                return cls(None, None, {}, reason)

    def outcome(self) -> Outcome:
        """What the engine said. Raises `KeyError` for a status of another release."""
        if self.status is None:
            return Unknown(self.reason)
        if self.place is None:
            return RefusedAtDoor(BY_NUMBER[self.status], self.facts)
        return Committed(*self.place, BY_NUMBER[self.status], self.facts)


class RowForm(msgspec.Struct, frozen=True, array_like=True):
    """A record as its key and canonical bytes."""

    key: str
    value: bytes


class ReadForm(msgspec.Struct, frozen=True, array_like=True):
    height: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class EventsForm:
    events: list[PlacedEvent]


def _enc_hook(value: object) -> int:
    if isinstance(value, Instant):
        return int(value)
    raise TypeError(f"{type(value).__name__} is not sent over the socket")


def _dec_hook(kind: type, value: Any) -> object:
    if kind is Instant and type(value) is int:
        return Instant(value)
    raise TypeError(f"{kind.__name__} is not sent over the socket")


encode = msgspec.msgpack.Encoder(enc_hook=_enc_hook).encode


def decoder(kind: Any) -> "msgspec.msgpack.Decoder[Any]":
    """A strict decoder for what `encode` writes of `kind`."""
    return msgspec.msgpack.Decoder(kind, dec_hook=_dec_hook, strict=True)


def _read_light_block(content: bytes) -> LightBlock:
    """CometBFT's own JSON form: the time of an absent validator, year 1, is no 64-bit count of nanoseconds."""
    return light_block_from_json(msgspec.msgpack.decode(content), "light block")


read_call = decoder(Call).decode
read_reply = decoder(Reply).decode
READERS: dict[type, Any] = {
    Hello: decoder(str).decode,
    Submit: decoder(list[OutcomeForm]).decode,
    Result: decoder(OutcomeForm | None).decode,
    Query: decoder(ReadForm).decode,
    Scan: decoder(list[RowForm]).decode,
    Labelled: decoder(list[str]).decode,
    Events: decoder(EventsForm).decode,
    Prove: decoder(StateProof).decode,
    ProveMany: decoder(ManyProven).decode,
    LightBlockAt: _read_light_block,
    Transactions: decoder(list[bytes]).decode,
    Results: decoder(BlockResults).decode,
    ValidatorChanges: decoder(list[int]).decode,
    AskHealth: decoder(Health).decode,
    Snapshot: decoder(int).decode,
    Backup: decoder(int).decode,
}
"""How the client reads the content of each request's reply."""


def framed(content: bytes) -> bytes:
    """`content` behind its length. Raises `DecodeError` where it is too large for a frame."""
    if len(content) > MAX_FRAME_BYTES:
        raise DecodeError(f"a message of {len(content)} bytes is larger than a frame; ask for less at once")
    return LENGTH.pack(len(content)) + content


def failure_reply(number: int, error: Exception) -> Reply:
    """A failure of the contract as a reply."""
    match error:
        case Pruned():
            return Reply(number, "pruned", encode(error.first))
        case HeightUnavailable():
            return Reply(number, "height_unavailable", encode(error.present))
        case NotYet():
            return Reply(number, "not_yet", encode(str(error)))
        case TimeoutError():
            return Reply(number, "timeout", encode(str(error)))
        case DecodeError():
            return Reply(number, "unreadable", encode((error.what, error.where)))
        case _:
            return Reply(number, "failed", encode(str(error)))


def failure_of(reply: Reply) -> Exception:
    """The failure that `failure_reply` wrote."""
    content = msgspec.msgpack.decode(reply.content)
    match reply.kind:
        case "pruned":
            return Pruned(int(content))
        case "height_unavailable":
            return HeightUnavailable(int(content))
        case "not_yet":
            return NotYet(str(content))
        case "timeout":
            return TimeoutError(str(content))
        case "unreadable":
            return DecodeError(*content)
        case _:
            return StoreFailure(str(content))


def cursor_form(cursor: Cursor) -> tuple[int, int, int]:
    """A cursor as three numbers."""
    return cursor.height, cursor.index, cursor.number
