"""The guard against signing a height twice: a file beside the ledger that a restored copy does not bring back.

The ledger itself can't know that it is an old copy, so the highest height that this node has signed stands outside of
it (`HOME/signed`). It is written after each commit without a sync: the store is synced first, so after a power loss
the guard is at most too low, and never above a ledger that is whole. Source: ADR 0003.
"""

import os
from pathlib import Path

from tallystick.wire.errors import DecodeError

_HEIGHT_BYTES = 8


class SigningGuard:
    """The file: the height (8 bytes, big-endian), then the chain id it was signed for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._height = 0

    def open(self, chain_id: str, tip_height: int, predecessors: tuple[str, ...] = ()) -> None:
        """Compare with the ledger that is being opened, and be ready to record.

        Raises `DecodeError` where this node has signed more than the ledger holds, or for a chain that is none of the
        ledger's.
        """
        stored = _read(self._path)
        if stored is not None:
            height, signed_for = stored
            if signed_for == chain_id and height > tip_height:
                raise DecodeError(
                    f"this node has signed up to height {height}, but the ledger stands at {tip_height}: it is an old"
                    " copy. Signing these heights again would fork the chain. Bring the ledger up to date from the"
                    " complete block log, or open a new revision of the chain id",
                    str(self._path),
                )
            if signed_for != chain_id and signed_for not in predecessors:
                raise DecodeError(f"this node has signed for the chain {signed_for}, not {chain_id}", str(self._path))
        if stored is None or stored != (tip_height, chain_id):
            self._create(chain_id, tip_height)
        self._height = tip_height
        self._descriptor = os.open(self._path, os.O_WRONLY)

    def record(self, height: int) -> None:
        """Note that `height` is signed and on the disk."""
        os.pwrite(self._descriptor, height.to_bytes(_HEIGHT_BYTES, "big"), 0)
        self._height = height

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _create(self, chain_id: str, height: int) -> None:
        fresh = self._path.with_name(self._path.name + ".new")
        with fresh.open("wb") as file:
            file.write(height.to_bytes(_HEIGHT_BYTES, "big") + chain_id.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


def signed_height(path: Path) -> int:
    """The highest height that the node with this guard has signed; 0 where it has signed none."""
    stored = _read(path)
    return 0 if stored is None else stored[0]


def _read(path: Path) -> tuple[int, str] | None:
    """The stored height, and the chain id it was signed for."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    signed_for = raw[_HEIGHT_BYTES:]
    if not signed_for or not signed_for.isascii():
        raise DecodeError("not a record of what this node has signed", str(path))
    return int.from_bytes(raw[:_HEIGHT_BYTES], "big"), signed_for.decode("ascii")
