"""The part of the protobuf wire format that CometBFT hashes and signs, written as gogoproto writes it.

Encoding only: nothing here is ever read back, so no decoder's leniency can enter. Fields go out in
ascending number; a scalar of zero and empty bytes are left out (proto3); an embedded message is written
even when it is empty, because CometBFT declares those fields `(gogoproto.nullable) = false`; the caller
leaves out one that is absent. Source: protobuf.dev/programming-guides/encoding; the .proto files of
CometBFT v0.39.4.
"""

from tallystick.proof.timestamps import NS_PER_SECOND, TimeNs

_WIRE_VARINT = 0
_WIRE_FIXED64 = 1
_WIRE_BYTES = 2
_UINT64_MASK = 2**64 - 1


def varint(value: int) -> bytes:
    """Base 128, low groups first; a negative int32 or int64 takes ten bytes, as its 64-bit complement."""
    rest = value & _UINT64_MASK
    groups = bytearray()
    while rest > 0x7F:
        groups.append(rest & 0x7F | 0x80)
        rest >>= 7
    groups.append(rest)
    return bytes(groups)


def varint_field(number: int, value: int) -> bytes:
    """An int32, int64, uint32, uint64 or enum."""
    return varint(number << 3 | _WIRE_VARINT) + varint(value) if value else b""


def sfixed64_field(number: int, value: int) -> bytes:
    """A signed integer of eight bytes, little-endian."""
    return varint(number << 3 | _WIRE_FIXED64) + value.to_bytes(8, "little", signed=True) if value else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """A bytes field, or a string in UTF-8."""
    return message_field(number, value) if value else b""


def message_field(number: int, body: bytes) -> bytes:
    """An embedded message from its encoded body, or an element of a repeated bytes field."""
    return varint(number << 3 | _WIRE_BYTES) + varint(len(body)) + body


def timestamp(time: TimeNs) -> bytes:
    """The body of a google.protobuf.Timestamp: whole seconds rounded down, nanoseconds from 0."""
    seconds, nanos = divmod(time, NS_PER_SECOND)
    return varint_field(1, seconds) + varint_field(2, nanos)
