"""ABCI's snapshot methods, and what a commit means for snapshots: messages in front, shelf and taking behind."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from tallystick.ledger.abci.protos import abci_pb2 as abci
from tallystick.ledger.comet.snapshots import SnapshotShelf, retain_height
from tallystick.ledger.comet.state_sync import ChunkAnswer, OfferAnswer, SnapshotTaking

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """How far back CometBFT keeps its blocks at least; `blocks` 0: all of them."""

    blocks: int
    evidence_blocks: int
    archived_until: Callable[[], int]
    """The height up to which this node's own archive has every light block."""


class SnapshotExchange:
    """What this node has for others who join, and what it takes from them. `restored` is told when a ledger came."""

    def __init__(
        self, shelf: SnapshotShelf, taking: SnapshotTaking, retention: Retention, restored: Callable[[], None]
    ) -> None:
        self._shelf = shelf
        self._taking = taking
        self._retention = retention
        self._restored = restored

    def after_commit(self, height: int) -> int:
        """A block was committed; returns the height below which CometBFT may forget its blocks, 0 for none.

        It forgets them before it goes on, so it is told of many at once and seldom.
        """
        self._shelf.after_commit(height)
        if not self._shelf.is_due(height):
            return 0
        return retain_height(
            height,
            oldest_snapshot=self._shelf.oldest(),
            retain_blocks=self._retention.blocks,
            evidence_blocks=self._retention.evidence_blocks,
            archived_until=self._retention.archived_until(),
        )

    def list_snapshots(self) -> list[abci.Snapshot]:
        return [
            abci.Snapshot(
                height=one.height, format=one.format, chunks=len(one.chunks), hash=one.digest, metadata=one.metadata
            )
            for one in self._shelf.offered()
        ]

    def load_chunk(self, height: int, format_: int, index: int) -> bytes:
        return self._shelf.chunk(height, format_, index)

    def digest(self, height: int) -> str:
        return self._shelf.digest(height)

    def offer(self, snapshot: abci.Snapshot, app_hash: bytes) -> abci.ResponseOfferSnapshot:
        one = snapshot
        offer = self._taking.offer(one.height, one.format, one.chunks, one.hash, one.metadata, app_hash)
        if offer.answer is OfferAnswer.ACCEPT:
            _log.info("restoring the snapshot of height %d, in %d chunks", one.height, one.chunks)
        else:
            _log.warning("the snapshot of height %d is not taken: %s", one.height, offer.reason)
        return abci.ResponseOfferSnapshot(result=offer.answer.name)

    def apply(self, request: abci.RequestApplySnapshotChunk) -> abci.ResponseApplySnapshotChunk:
        applied = self._taking.apply(request.index, request.chunk, request.sender)
        if applied.is_restored:
            self._restored()
            self._shelf.take(applied.height)  # the same bytes again: to serve, and for `tally fsck` to begin with
        elif applied.answer is not ChunkAnswer.ACCEPT:
            _log.warning("a chunk of the snapshot is not taken: %s", applied.reason)
        return abci.ResponseApplySnapshotChunk(
            result=applied.answer.name,
            refetch_chunks=applied.refetch,
            reject_senders=applied.rejected_senders,
        )
