"""Joining by state sync: a snapshot that peers offer becomes this node's ledger, chunk after chunk.

Nothing that a peer sends is believed:
1. Its manifest says what it is of, and its own digest and the offer agree with it.
2. It is of this chain, of this genesis, and of the app hash that CometBFT's light client verified for that height. That
   vouches for the state and the receipts root, and for nothing else.
3. Receipts, results and the block hashes that `seen` may name follow from neither. So the digest of the whole manifest
   must be the one that at least two of the operator's RPC servers state, and none of them may state another
   (`confirmed_digest`).
4. Every chunk has the SHA-256 that the manifest states before a row of it is written; a peer that sent another is not
   asked again.

A ledger that came this way is not marked as a copy (`opening.COPY_KEY`). That mark guards the one key of an embedded
ledger against signing a height twice (ADR 0003). A consortium's node signs nothing with its ledger: CometBFT orders,
and guards its validator's key by its own state file. CometBFT may also begin to sync again, after a crash before its
first block: a ledger without a block in its archive gives way to the next snapshot. One that holds blocks never does.
"""

import hashlib
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from tallystick.kernel.core import codec
from tallystick.kernel.genesis import Genesis, chain_of
from tallystick.ledger.comet.rpc import RpcRefused, RpcUnreachable
from tallystick.ledger.opening import RESTORING_KEY
from tallystick.ledger.snapshots import FORMAT, MAX_CHUNK_BYTES, AlteredChunk, Manifest, Restoring, parse_manifest
from tallystick.ledger.store import Batch, Family, RocksStore, Store
from tallystick.wire.errors import DecodeError

DIGEST_PATH = "/snapshot/{height}"
CONFIRMATIONS = 2
CONFIRMATION_SECONDS = 5.0
"""So long the servers are asked again: some write their snapshots later than others. Then CometBFT tries another."""

_DIGEST = re.compile(rb"[0-9a-f]{64}")
_PAUSE_SECONDS = 1.0
_CLEARED_ROWS = 20_000


class OfferAnswer(IntEnum):
    """CometBFT's `ResponseOfferSnapshot.Result`."""

    ACCEPT = 1
    ABORT = 2
    REJECT = 3
    REJECT_FORMAT = 4
    REJECT_SENDER = 5


class ChunkAnswer(IntEnum):
    """CometBFT's `ResponseApplySnapshotChunk.Result`."""

    ACCEPT = 1
    ABORT = 2
    RETRY = 3
    RETRY_SNAPSHOT = 4
    REJECT_SNAPSHOT = 5


@dataclass(frozen=True, slots=True)
class Offer:
    """What CometBFT is told about an offered snapshot, and why, for the log."""

    answer: OfferAnswer
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """What CometBFT is told about a chunk. `height`: after the last one, that of the ledger in the store now."""

    answer: ChunkAnswer
    reason: str = ""
    refetch: tuple[int, ...] = ()
    rejected_senders: tuple[str, ...] = ()
    height: int = 0

    @property
    def is_restored(self) -> bool:
        return self.height > 0


class DigestServer(Protocol):
    """A node that says which snapshot it has; `rpc.CometRpc` is one."""

    address: str

    def abci_query(self, path: str, data: bytes = b"") -> bytes: ...


class SnapshotTaking:
    """Takes the snapshot that CometBFT chooses into `store`.

    `confirm` returns the digest that a height's snapshot is known to have, or raises `DecodeError`. The store must be
    opened anew as a ledger after a chunk's answer `is_restored`, and after an accepted offer it is none.
    """

    def __init__(self, store: Store, genesis: Genesis, confirm: Callable[[int], bytes]) -> None:
        self._store = store
        self._genesis = genesis
        self._confirm = confirm
        self._restoring: Restoring | None = None

    def offer(
        self, height: int, snapshot_format: int, chunks: int, digest: bytes, metadata: bytes, app_hash: bytes
    ) -> Offer:
        """Whether to begin with the snapshot. The light client verified `app_hash`; the rest is a peer's word.

        What was begun before is given up. The sender is rejected for what no honest node offers.
        """
        if snapshot_format != FORMAT:
            return Offer(OfferAnswer.REJECT_FORMAT, f"format {snapshot_format} is not one that this version reads")
        where = f"snapshot of height {height}"
        try:
            manifest = parse_manifest(metadata, where)
        except DecodeError as error:
            return Offer(OfferAnswer.REJECT_SENDER, str(error))
        reason = _contradiction(manifest, height, chunks, digest)
        if reason:
            return Offer(OfferAnswer.REJECT_SENDER, f"{where}: {reason}")
        reason = self._unfit(manifest, app_hash)
        if reason:
            return Offer(OfferAnswer.REJECT, f"{where}: {reason}")
        if any(True for _ in self._store.range(Family.BLOCKS, b"")):
            return Offer(OfferAnswer.ABORT, f"{self._store.where}: this node holds blocks of a ledger")
        try:
            confirmed = self._confirm(height)
        except DecodeError as error:
            return Offer(OfferAnswer.REJECT, str(error))
        if confirmed != digest:
            return Offer(OfferAnswer.REJECT, f"{where}: the RPC servers have another one, {confirmed.hex()}")
        clear(self._store)
        self._restoring = Restoring(self._store, self._genesis, manifest, where)
        return Offer(OfferAnswer.ACCEPT)

    def apply(self, index: int, content: bytes, sender: str) -> Applied:
        """Take in a chunk. CometBFT hands them on in their order; one that was taken in already may come again."""
        restoring = self._restoring
        if restoring is None:
            return Applied(ChunkAnswer.REJECT_SNAPSHOT, "no snapshot was accepted")
        if index < restoring.added:
            return Applied(ChunkAnswer.ACCEPT)
        if index > restoring.added:
            return self._given_up(ChunkAnswer.RETRY_SNAPSHOT, f"chunk {index} came before chunk {restoring.added}")
        try:
            restoring.add(content)
            if restoring.added < len(restoring.manifest.chunks):
                return Applied(ChunkAnswer.ACCEPT)
            restoring.finish(is_copy=False)
        except AlteredChunk as error:
            return Applied(ChunkAnswer.RETRY, str(error), refetch=(index,), rejected_senders=(sender,))
        except DecodeError as error:
            return self._given_up(ChunkAnswer.REJECT_SNAPSHOT, str(error))
        self._restoring = None
        return Applied(ChunkAnswer.ACCEPT, height=restoring.manifest.height)

    def _given_up(self, answer: ChunkAnswer, reason: str) -> Applied:
        """The rows that were written go with the next offer, or when the node starts again."""
        self._restoring = None
        return Applied(answer, reason)

    def _unfit(self, manifest: Manifest, verified_app_hash: bytes) -> str:
        """Why a manifest that is sound in itself is not what this node needs."""
        if manifest.chain_id != chain_of(self._genesis).chain_id:
            return f"of the chain {manifest.chain_id}"
        if manifest.genesis != genesis_hash(self._genesis):
            return "of another genesis"
        if bytes.fromhex(manifest.app_hash) != verified_app_hash:
            return "its app hash is not the one that the validators signed"
        return ""


def genesis_hash(genesis: Genesis) -> str:
    """What a manifest states of its genesis."""
    return hashlib.sha256(codec.encode(genesis)).hexdigest()


def _contradiction(manifest: Manifest, height: int, chunks: int, digest: bytes) -> str:
    """Where the offer and the manifest that came with it disagree."""
    if manifest.height != height:
        return f"the manifest is of height {manifest.height}"
    if bytes.fromhex(manifest.digest) != digest:
        return "the offered hash is not the manifest's digest"
    if not manifest.chunks or len(manifest.chunks) != chunks:
        return f"{chunks} chunks are offered, the manifest states {len(manifest.chunks)}"
    if any(chunk.size > MAX_CHUNK_BYTES for chunk in manifest.chunks):
        return f"a chunk of more than {MAX_CHUNK_BYTES} bytes"
    return ""


def confirmed_digest(
    servers: Sequence[DigestServer],
    height: int,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bytes:
    """The digest of a height's snapshot, as at least two of the servers state it and none denies it.

    Those that have no such snapshot yet, or don't answer, are asked again for a while. Raises `DecodeError` where they
    contradict each other or too few know.
    """
    unasked = {server.address: server for server in servers}  # one that is listed twice speaks once
    stated: dict[str, bytes] = {}
    until = clock() + CONFIRMATION_SECONDS
    where = f"snapshot of height {height}"
    while True:
        for address in list(unasked):
            digest = _stated_digest(unasked[address], height)
            if digest:
                stated[address] = digest
                del unasked[address]
        if len({*stated.values()}) > 1:
            told = ", ".join(f"{address}: {digest.hex()}" for address, digest in sorted(stated.items()))
            raise DecodeError(f"the RPC servers contradict each other ({told})", where)
        if len(stated) >= CONFIRMATIONS:
            return next(iter(stated.values()))
        if clock() >= until:
            raise DecodeError(f"{len(stated)} of the RPC servers confirm it; {CONFIRMATIONS} must", where)
        sleep(_PAUSE_SECONDS)


def _stated_digest(server: DigestServer, height: int) -> bytes:
    """What a server states, empty where it states nothing that can be read."""
    try:
        stated = server.abci_query(DIGEST_PATH.format(height=height))
    except (RpcUnreachable, RpcRefused, DecodeError):
        return b""
    return bytes.fromhex(stated.decode()) if _DIGEST.fullmatch(stated) else b""


def clear(store: Store) -> None:
    """Remove every row. Until a snapshot is restored to its end, the store does not open as a ledger."""
    batch = Batch()
    batch.put(Family.META, RESTORING_KEY, b"")
    store.write(batch)
    for family in Family:
        batch, rows = Batch(), 0
        for key, _ in store.range(family, b""):
            if family is Family.META and key == RESTORING_KEY:
                continue
            batch.delete(family, key)
            rows += 1
            if rows == _CLEARED_ROWS:
                store.write(batch)
                batch, rows = Batch(), 0
        store.write(batch)


def abandon_half_restored(ledger: Path) -> bool:
    """Empty the directory of a store in which a snapshot was not restored to its end; returns whether it was one.

    For the start of a consortium's node, before its store is opened: it is at height 0 then, and CometBFT syncs anew.
    Raises what opening the store raises.
    """
    aside = ledger.with_name(f".{ledger.name}.abandoned")
    shutil.rmtree(aside, ignore_errors=True)
    if not ledger.is_dir() or not any(ledger.iterdir()):
        return False
    store = RocksStore(ledger)
    try:
        is_half_restored = store.get(Family.META, RESTORING_KEY) is not None
    finally:
        store.close()
    if is_half_restored:
        ledger.rename(aside)  # at once: a directory that lost some of its files opens as nothing
        shutil.rmtree(aside)
    return is_half_restored
