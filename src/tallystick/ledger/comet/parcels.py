"""Parcels: transactions that a member passes on together, so that gossip and the mempools carry many as one.

A parcel never stands in a block. It waits in the members' mempools as one of CometBFT's transactions; who proposes a
block opens it, and the block holds what was in it, each by itself. Blocks, receipts and proofs know nothing of it
(ADR 0012).

    "tallystick-parcel-v1 " then, for each transaction, its length in 4 bytes, big-endian, and its bytes

A transaction takes no less room in a parcel than in a block (4 bytes more than its own; protobuf's key and length are
at most 4), so what was opened fits where the parcel did.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from tallystick.wire.errors import DecodeError

MAX_PARCEL_TRANSACTIONS = 250
MAX_PARCEL_BYTES = 128 << 10
HELD_BYTES = 128 << 20  # of transactions known to wait in parcels; what is forgotten is opened again when asked for

_PREFIX = b"tallystick-parcel-v1 "
_LENGTH_BYTES = 4
_ENVELOPE_START = b"{"


def is_parcel(raw: bytes) -> bool:
    """Whether these bytes say that they are a parcel."""
    return raw.startswith(_PREFIX)


def pack(raws: Sequence[bytes]) -> bytes:
    """The parcel of these transactions, in their order."""
    return _PREFIX + b"".join(part for raw in raws for part in (len(raw).to_bytes(_LENGTH_BYTES, "big"), raw))


def unpack(parcel: bytes) -> tuple[bytes, ...]:
    """The transactions of a parcel, read no further than that they could be some. Raises `DecodeError`."""
    if len(parcel) > MAX_PARCEL_BYTES:
        raise DecodeError(f"a parcel of {len(parcel)} bytes, over {MAX_PARCEL_BYTES}", "parcel")
    found: dict[bytes, None] = {}
    at = len(_PREFIX)
    while at < len(parcel):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(parcel[at:start], "big")
        raw = parcel[start:at]
        if at > len(parcel) or not raw.startswith(_ENVELOPE_START):
            raise DecodeError(f"no transaction begins at byte {start}", "parcel")
        if raw in found:
            raise DecodeError("the same transaction twice", "parcel")
        found[raw] = None
    if not 2 <= len(found) <= MAX_PARCEL_TRANSACTIONS:
        raise DecodeError(f"{len(found)} transactions; 2 to {MAX_PARCEL_TRANSACTIONS} are allowed", "parcel")
    return tuple(found)


def parcelled(raws: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Divide transactions, in their order, into what goes into a parcel each; a list of one goes alone."""
    gathered: list[bytes] = []
    size = len(_PREFIX)
    for raw in raws:
        room = _LENGTH_BYTES + len(raw)
        if gathered and (size + room > MAX_PARCEL_BYTES or len(gathered) == MAX_PARCEL_TRANSACTIONS):
            yield gathered
            gathered, size = [], len(_PREFIX)
        gathered.append(raw)
        size += room
    if gathered:
        yield gathered


class Parcels:
    """The parcels in this node's mempool, each with what of it is in no block yet, the oldest first."""

    def __init__(self) -> None:
        self._left: OrderedDict[bytes, dict[bytes, None]] = OrderedDict()
        self._parcel_of: dict[bytes, bytes] = {}
        self._bytes = 0

    def put(self, parcel: bytes, raws: Iterable[bytes]) -> None:
        """Note that a parcel waits with these transactions of it, which no other holds."""
        name = hashlib.sha256(parcel).digest()
        self._left[name] = dict.fromkeys(raws)
        for raw in self._left[name]:
            self._parcel_of[raw] = name
            self._bytes += len(raw)
        while self._bytes > HELD_BYTES:
            self._drop(next(iter(self._left)))

    def left(self, parcel: bytes) -> tuple[bytes, ...] | None:
        """What of a parcel is in no block yet, none once all of it is; None for one that is not known."""
        found = self._left.get(hashlib.sha256(parcel).digest())
        return None if found is None else tuple(found)

    def holds(self, raw: bytes) -> bool:
        """Whether a transaction waits here in some parcel."""
        return raw in self._parcel_of

    def ordered(self, raws: Iterable[bytes]) -> None:
        """These are in a block now. An empty parcel is known until `forget`."""
        for raw in raws:
            name = self._parcel_of.pop(raw, None)
            if name is not None:
                del self._left[name][raw]
                self._bytes -= len(raw)

    def forget(self, parcel: bytes) -> None:
        """The mempool lets go of a parcel."""
        self._drop(hashlib.sha256(parcel).digest())

    def clear(self) -> None:
        """The mempool is empty."""
        self._left.clear()
        self._parcel_of.clear()
        self._bytes = 0

    def _drop(self, name: bytes) -> None:
        for raw in self._left.pop(name, ()):
            self._bytes -= len(raw)
            del self._parcel_of[raw]
