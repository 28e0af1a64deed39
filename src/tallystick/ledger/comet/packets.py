"""Packets: transactions that a member passes on together, so that gossip and the mempools carry many as one.

A packet never stands in a block. It waits in the members' mempools as one of CometBFT's transactions; who proposes a
block opens it, and the block holds what was in it, each by itself. Blocks, receipts and proofs know nothing of it
(ADR 0012).

    "tallystick-packet-v1 " then, for each transaction, its length in 4 bytes, big-endian, and its bytes

A transaction takes no less room in a packet than in a block (4 bytes more than its own; protobuf's key and length are
at most 4), so what was opened fits where the packet did.
"""

from collections.abc import Iterable, Iterator, Sequence

from tallystick.wire.errors import DecodeError

MAX_PACKET_TRANSACTIONS = 250
MAX_PACKET_BYTES = 128 << 10

_PREFIX = b"tallystick-packet-v1 "
_LENGTH_BYTES = 4
_ENVELOPE_START = b"{"


def is_packet(raw: bytes) -> bool:
    """Whether these bytes say that they are a packet."""
    return raw.startswith(_PREFIX)


def pack(raws: Sequence[bytes]) -> bytes:
    """The packet of these transactions, in their order."""
    return _PREFIX + b"".join(part for raw in raws for part in (len(raw).to_bytes(_LENGTH_BYTES, "big"), raw))


def unpack(packet: bytes) -> tuple[bytes, ...]:
    """The transactions of a packet, read no further than that they could be some. Raises `DecodeError`."""
    if len(packet) > MAX_PACKET_BYTES:
        raise DecodeError(f"a packet of {len(packet)} bytes, over {MAX_PACKET_BYTES}", "packet")
    found: dict[bytes, None] = {}
    at = len(_PREFIX)
    while at < len(packet):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(packet[at:start], "big")
        raw = packet[start:at]
        if at > len(packet) or not raw.startswith(_ENVELOPE_START):
            raise DecodeError(f"no transaction begins at byte {start}", "packet")
        if raw in found:
            raise DecodeError("the same transaction twice", "packet")
        found[raw] = None
    if not 2 <= len(found) <= MAX_PACKET_TRANSACTIONS:
        raise DecodeError(f"{len(found)} transactions; 2 to {MAX_PACKET_TRANSACTIONS} are allowed", "packet")
    return tuple(found)


def divided(raws: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Divide transactions, in their order, into what goes into a packet each; a list of one goes alone."""
    gathered: list[bytes] = []
    size = len(_PREFIX)
    for raw in raws:
        room = _LENGTH_BYTES + len(raw)
        if gathered and (size + room > MAX_PACKET_BYTES or len(gathered) == MAX_PACKET_TRANSACTIONS):
            yield gathered
            gathered, size = [], len(_PREFIX)
        gathered.append(raw)
        size += room
    if gathered:
        yield gathered
