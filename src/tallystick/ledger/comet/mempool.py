"""What waits in this node's mempool: packets, each with what of it is in no block yet, and transactions by themselves.

CometBFT says what it takes into its mempool and nothing more: not that it was full, nor what it forgot. So more may be
known here than waits there. What a recheck asks after does wait, and is the last to be forgotten.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable

HELD_BYTES = 192 << 20  # of transactions in packets; more than CometBFT's mempool takes (configuration.MEMPOOL_BYTES)
HELD_ALONE = 400_000
_ENTRY_BYTES = 200  # that a packet takes up here, whatever is left of it


class Mempool:
    """One thread changes it; any may ask `holds`."""

    def __init__(self) -> None:
        self._left: OrderedDict[bytes, dict[bytes, None]] = OrderedDict()
        self._packet_of: dict[bytes, bytes] = {}
        self._alone: OrderedDict[bytes, None] = OrderedDict()
        self._bytes = 0

    def add(self, raw: bytes) -> None:
        """Note that a transaction was let in by itself."""
        self._alone[_digest(raw)] = None
        if len(self._alone) > HELD_ALONE:
            self._alone.popitem(last=False)

    def put(self, packet: bytes, raws: Iterable[bytes]) -> None:
        """Note that a packet was let in with these transactions of it, which no other holds."""
        name = _digest(packet)
        self._drop(name)
        self._left[name] = dict.fromkeys(raws)
        self._bytes += _ENTRY_BYTES
        for raw in self._left[name]:
            self._packet_of[raw] = name
            self._bytes += len(raw)
        while self._bytes > HELD_BYTES:
            self._drop(next(iter(self._left)))

    def left(self, packet: bytes) -> tuple[bytes, ...] | None:
        """What of a packet is in no block yet, nothing once all of it is; None for one that is not known."""
        found = self._left.get(_digest(packet))
        return None if found is None else tuple(found)

    def holds(self, raw: bytes) -> bool:
        """Whether a transaction waits here, in a packet or by itself."""
        return raw in self._packet_of or _digest(raw) in self._alone

    def held_otherwise(self, packet: bytes, raws: Iterable[bytes]) -> list[bytes]:
        """Those of a packet's transactions that wait here in another one or by themselves."""
        name = _digest(packet)
        return [raw for raw in raws if self._packet_of.get(raw, name) != name or _digest(raw) in self._alone]

    def still_waits(self, raw: bytes) -> None:
        """CometBFT has this packet or transaction, and asks whether to keep it."""
        name = _digest(raw)
        for known in (self._left, self._alone):
            if name in known:
                known.move_to_end(name)

    def ordered(self, raws: Iterable[bytes]) -> None:
        """These are in a block now. A packet of which nothing is left is known until `forget`."""
        for raw in raws:
            self._alone.pop(_digest(raw), None)
            name = self._packet_of.pop(raw, None)
            if name is not None:
                del self._left[name][raw]
                self._bytes -= len(raw)

    def forget(self, packet: bytes) -> None:
        """CometBFT lets go of a packet."""
        self._drop(_digest(packet))

    def clear(self) -> None:
        """CometBFT was started anew, and nothing waits there."""
        self._left.clear()
        self._packet_of.clear()
        self._alone.clear()
        self._bytes = 0

    def _drop(self, name: bytes) -> None:
        left = self._left.pop(name, None)
        if left is None:
            return
        self._bytes -= _ENTRY_BYTES
        for raw in left:
            self._bytes -= len(raw)
            del self._packet_of[raw]


def _digest(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()
