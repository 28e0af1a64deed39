"""Receipts: that a transaction id was used, by which body, and where it stands. Kept for ever, never in the tree."""

from typing import Self

import msgspec

from tallystick.wire.instants import Instant

_HASH_BYTES = 32
PLACE_BYTES = 12


class Receipt(msgspec.Struct, frozen=True):
    """Body hash, place in the ledger's order, and the transaction's not_after."""

    body_hash: bytes
    height: int
    index: int
    not_after: Instant

    @property
    def place(self) -> bytes:
        """Height (8 bytes) and index (4 bytes), big-endian."""
        return self.height.to_bytes(8, "big") + self.index.to_bytes(4, "big")

    def to_bytes(self) -> bytes:
        """52 bytes: body hash, place, not_after."""
        return self.body_hash + self.place + int(self.not_after).to_bytes(8, "big")

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        rest = raw[_HASH_BYTES:]
        return cls(
            raw[:_HASH_BYTES],
            int.from_bytes(rest[:8], "big"),
            int.from_bytes(rest[8:12], "big"),
            Instant(int.from_bytes(rest[12:20], "big")),
        )


def receipt_key(actor: str, transaction_id: str) -> bytes:
    """The row under which a receipt stands."""
    return f"{actor}\x00{transaction_id}".encode()


def place_of(raw: bytes) -> tuple[int, int]:
    """(height, index) from `Receipt.place`."""
    return int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:12], "big")
