"""Logical snapshots: the state, receipts and results of one height as files, the same bytes on every node.

A directory holds `manifest.json` (canonical), `genesis.json` and chunks of rows in key order. The index and the tree
are not in it: they follow from the rows and are built anew. A ledger that was restored from files is marked as a copy;
nothing is ordered on it before `restoring.catch_up` or `restoring.open_revision` (ADR 0003). One that came by state
sync is not: `ledger.comet.state_sync` says why. Format: docs/spec/snapshot.md.
"""

import hashlib
import os
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from tallystick.kernel.chain_rows import Revision
from tallystick.kernel.core import codec
from tallystick.kernel.core.fields import Count, Hash, Struct
from tallystick.kernel.core.record import decode_record
from tallystick.kernel.genesis import Genesis, chain_of
from tallystick.kernel.governance.records import ValidatorSet
from tallystick.ledger.archive import height_key
from tallystick.ledger.committed import BLIND_BYTES
from tallystick.ledger.execution import put_buckets
from tallystick.ledger.opening import (
    COPY_KEY,
    GENESIS_KEY,
    HASH_PREFIX,
    RESTORING_KEY,
    TIP_KEY,
    decode_tip,
    put_revision,
    read_hashes,
    read_revisions,
)
from tallystick.ledger.store import Batch, Family, RocksStore, Store
from tallystick.ledger.tree import Tree
from tallystick.ledger.validators import PREFIX, STOP
from tallystick.proof.state_proof import app_hash
from tallystick.wire.errors import DecodeError, InvariantViolation

FORMAT = 1
MANIFEST = "manifest.json"
GENESIS = "genesis.json"
CHUNK_BYTES = 4_000_000  # as full as a chunk gets, so that serving one holds no block up; a longer row stands alone
MAX_CHUNK_BYTES = 15_900_000  # CometBFT drops a peer that sends a message over 16,000,000 (statesync/messages.go)
FAMILIES = (Family.STATE, Family.RECEIPTS, Family.HASHES)

_ROW = struct.Struct(">II")  # lengths of key and value


class AlteredChunk(DecodeError):
    """The bytes are not those of which the manifest states size and SHA-256."""


class Chunk(Struct):
    """One file of rows of a family, after those of the chunk before it."""

    name: Annotated[str, Meta(pattern=r"\A[0-9]{6}-(state|receipts|hashes)\.rows\Z")]
    family: str
    rows: Count
    size: Count
    sha256: Hash


class Signing(Struct):
    """The validators that sign from a height on."""

    from_height: Count
    validators: ValidatorSet


class Manifest(Struct):
    """What a snapshot is of, and the hashes of its files. `digest` is SHA-256 of the manifest without it."""

    format: int
    chain_id: str
    height: Count
    state_root: Hash
    receipts_root: Hash
    app_hash: Hash
    genesis: Hash
    tip: bytes
    hashes_from: Count
    hashes: tuple[Hash, ...]
    chunks: tuple[Chunk, ...]
    revisions: tuple[Revision, ...] = ()
    signing: tuple[Signing, ...] = ()
    digest: str = ""


def take_snapshot(store: Store, target: Path) -> int:
    """Write a snapshot of the store's present height into the new directory `target`, while writing goes on.

    The rows are read from a checkpoint, so they are of one height. Returns that height. `target` appears only when the
    snapshot is whole and on the disk.
    """
    if target.exists():
        raise FileExistsError(f"{target}: a snapshot goes into a new directory")
    with tempfile.TemporaryDirectory(prefix=".snapshot-", dir=target.parent) as scratch:
        frozen = Path(scratch) / "ledger"
        store.checkpoint(frozen)
        copy = RocksStore(frozen)
        try:
            manifest = write_snapshot(copy, Path(scratch) / "snapshot")
        finally:
            copy.close()
        (Path(scratch) / "snapshot").rename(target)
    sync_directory(target.parent)
    return manifest.height


def write_snapshot(store: Store, target: Path) -> Manifest:
    """Write the snapshot of a store that nobody writes to into the new directory `target`."""
    target.mkdir()
    raw_genesis, raw_tip = store.get(Family.META, GENESIS_KEY), store.get(Family.META, TIP_KEY)
    if raw_genesis is None or raw_tip is None:
        raise DecodeError("the store holds no ledger to take a snapshot of")
    tip = decode_tip(raw_tip)
    revisions = read_revisions(store)
    genesis = codec.decode(Genesis, raw_genesis, "the stored genesis")
    hashes = sorted(read_hashes(store).items())
    _write_synced(target / GENESIS, raw_genesis)
    manifest = Manifest(
        format=FORMAT,
        chain_id=revisions[-1].id if revisions else chain_of(genesis).chain_id,
        height=tip.height,
        state_root=tip.state_root.hex(),
        receipts_root=tip.receipts_root.hex(),
        app_hash=app_hash(tip.state_root, tip.receipts_root).hex(),
        genesis=hashlib.sha256(raw_genesis).hexdigest(),
        tip=raw_tip,
        hashes_from=hashes[0][0] if hashes else 0,
        hashes=tuple(block_hash for _, block_hash in hashes),
        chunks=tuple(_write_chunks(store, target)),
        revisions=tuple(revisions),
        signing=tuple(_read_signing(store)),
    )
    manifest = msgspec.structs.replace(manifest, digest=_digest(manifest))
    _write_synced(target / MANIFEST, codec.encode(manifest))
    sync_directory(target)
    return manifest


def read_manifest(source: Path) -> Manifest:
    """The manifest of a snapshot, held to its own digest. Raises `DecodeError` naming the file."""
    return parse_manifest(_read(source / MANIFEST), str(source / MANIFEST))


def parse_manifest(raw: bytes, where: str) -> Manifest:
    """The manifest whose canonical bytes are `raw`: its digest holds, and what it says of its tip agrees with the tip.

    Raises `DecodeError`.
    """
    manifest = codec.decode(Manifest, raw, where)
    if manifest.format != FORMAT:
        raise DecodeError(f"format {manifest.format} is not one that this version reads", where)
    if manifest.digest != _digest(msgspec.structs.replace(manifest, digest="")):
        raise DecodeError("the manifest was altered: its digest does not hold", where)
    _check_tip(manifest, where)
    return manifest


def restore(source: Path, store: Store, expected_digest: str = "") -> int:
    """Build the ledger of a snapshot in an empty store, marked as a copy; returns its height.

    Every file is checked against the manifest before anything is written, the manifest against `expected_digest` where
    the caller has it from elsewhere (the state root vouches for the state alone, not for receipts), and the rebuilt
    tree's root against the stated one. Raises `DecodeError` naming the file that does not hold.
    """
    if store.get(Family.META, GENESIS_KEY) is not None or store.get(Family.META, RESTORING_KEY) is not None:
        raise DecodeError("a snapshot is restored into an empty data directory; this one is not")
    manifest = read_manifest(source)
    if expected_digest and manifest.digest != expected_digest:
        raise DecodeError("this is not the snapshot that was asked for", str(source / MANIFEST))
    genesis = _checked_genesis(source, manifest)
    for chunk in manifest.chunks:
        check_chunk(chunk, _read(source / chunk.name), str(source / chunk.name))
    restoring = Restoring(store, genesis, manifest, str(source))
    for chunk in manifest.chunks:
        restoring.add(_read(source / chunk.name))
    restoring.finish(is_copy=True)
    return manifest.height


class Restoring:
    """A snapshot on its way into an empty store: its chunks one after the other, then the end.

    From the beginning until `finish` has returned, the store does not open as a ledger. `where` names the snapshot in
    the `DecodeError`s that its methods raise; what was written before one stays in the store.
    """

    def __init__(self, store: Store, genesis: Genesis, manifest: Manifest, where: str) -> None:
        self.manifest = manifest
        self.added = 0
        """How many chunks are in."""
        self._store = store
        self._genesis = genesis
        self._where = where
        self._tree = Tree(chain_of(genesis).tree_depth)
        self._last = (-1, b"")
        batch = Batch()
        batch.put(Family.META, RESTORING_KEY, b"")
        store.write(batch)

    def add(self, content: bytes) -> None:
        """Write the next chunk, with the index rows and tree buckets that follow from it."""
        chunk = self.manifest.chunks[self.added]
        where = f"{self._where}/{chunk.name}"
        check_chunk(chunk, content, where)
        batch = Batch()
        delta = self._tree.prepare(self._rows_into(batch, Family(chunk.family), content, where))
        put_buckets(batch, delta)
        self._store.write(batch)
        self._tree.commit(delta)
        self.added += 1

    def _rows_into(self, batch: Batch, family: Family, content: bytes, where: str) -> list[tuple[bytes, bytes | None]]:
        """Put the rows into `batch`; return what changes in the tree."""
        changes: list[tuple[bytes, bytes | None]] = []
        for key, value in _rows(content, where):
            if (FAMILIES.index(family), key) <= self._last:
                raise DecodeError("rows are out of order", where)
            self._last = (FAMILIES.index(family), key)
            batch.put(family, key, value)
            if family is Family.STATE:
                changes.append((hashlib.sha256(key).digest(), hashlib.sha256(value).digest()))
                for row in _index_rows(key, value, where):
                    batch.put(Family.INDEX, row.encode(), b"")
        return changes

    def finish(self, *, is_copy: bool) -> None:
        """Make it a ledger: one that is marked as a copy, or one on which blocks may be executed at once."""
        manifest = self.manifest
        if self.added < len(manifest.chunks) or self._tree.root.hex() != manifest.state_root:
            raise DecodeError(
                "the rows do not have the state root that the manifest states", f"{self._where}/{MANIFEST}"
            )
        batch = Batch()
        batch.put(Family.META, GENESIS_KEY, codec.encode(self._genesis))
        batch.put(Family.META, TIP_KEY, manifest.tip)
        if is_copy:
            batch.put(Family.META, COPY_KEY, height_key(manifest.height))
        for height, block_hash in enumerate(manifest.hashes, manifest.hashes_from):
            batch.put(Family.META, HASH_PREFIX + height_key(height), bytes.fromhex(block_hash))
        for number, revision in enumerate(manifest.revisions):
            put_revision(batch, number, revision)
        for signing in manifest.signing:
            batch.put(Family.META, PREFIX + height_key(signing.from_height), codec.encode(signing.validators))
        batch.delete(Family.META, RESTORING_KEY)
        self._store.write(batch)


def check_chunk(chunk: Chunk, content: bytes, where: str) -> None:
    """Hold a chunk's bytes to what the manifest says of them. Raises `DecodeError`."""
    if len(content) != chunk.size:
        raise AlteredChunk(f"{len(content)} bytes long; the manifest states {chunk.size}", where)
    if hashlib.sha256(content).hexdigest() != chunk.sha256:
        raise AlteredChunk("it was altered: its SHA-256 is not the one that the manifest states", where)
    if f"-{chunk.family}." not in chunk.name or sum(1 for _ in _rows(content, where)) != chunk.rows:
        raise DecodeError("it does not hold the rows that the manifest states", where)


def _index_rows(key: bytes, value: bytes, where: str) -> list[str]:
    try:
        return sorted(decode_record(key.decode(), value[BLIND_BYTES:]).index_rows())
    except UnicodeDecodeError:
        raise DecodeError("a row's key is not text", where) from None
    except DecodeError as error:
        raise DecodeError(f"{error.where}: {error.what}", where) from None


def _checked_genesis(source: Path, manifest: Manifest) -> Genesis:
    where = source / GENESIS
    raw = _read(where)
    if hashlib.sha256(raw).hexdigest() != manifest.genesis:
        raise DecodeError("it is not the genesis that the manifest names", str(where))
    return codec.decode(Genesis, raw, str(where))


def _check_tip(manifest: Manifest, where: str) -> None:
    try:
        tip = decode_tip(manifest.tip)
    except msgspec.DecodeError as error:
        raise DecodeError(f"the tip can't be read: {error}", where) from None
    stated = (manifest.height, manifest.state_root, manifest.receipts_root, manifest.app_hash)
    app = app_hash(tip.state_root, tip.receipts_root)
    if stated != (tip.height, tip.state_root.hex(), tip.receipts_root.hex(), app.hex()):
        raise DecodeError("height, roots, app hash and tip contradict each other", where)


def _read_signing(store: Store) -> Iterator[Signing]:
    for key, raw in store.range(Family.META, PREFIX, STOP):
        height = int.from_bytes(key.removeprefix(PREFIX), "big")
        validators = codec.decode(ValidatorSet, raw, f"{store.where}: the validators from height {height}")
        yield Signing(from_height=height, validators=validators)


def _digest(manifest: Manifest) -> str:
    return hashlib.sha256(codec.encode(manifest)).hexdigest()


def _write_chunks(store: Store, target: Path) -> Iterator[Chunk]:
    number = 0
    for family in FAMILIES:
        for rows, content in _filled(store, family):
            number += 1
            name = f"{number:06d}-{family.value}.rows"
            _write_synced(target / name, content)
            digest = hashlib.sha256(content).hexdigest()
            yield Chunk(name=name, family=family.value, rows=rows, size=len(content), sha256=digest)


def _filled(store: Store, family: Family) -> Iterator[tuple[int, bytes]]:
    """The family's rows as chunk contents, each as full as it gets."""
    content, rows = bytearray(), 0
    for key, value in store.range(family, b""):
        row = _ROW.pack(len(key), len(value)) + key + value
        if len(row) > MAX_CHUNK_BYTES:
            raise InvariantViolation(f"a row of {len(row)} bytes does not fit a chunk of a snapshot")
        if content and len(content) + len(row) > CHUNK_BYTES:
            yield rows, bytes(content)
            content, rows = bytearray(), 0
        content += row
        rows += 1
    if rows:
        yield rows, bytes(content)


def _rows(content: bytes, where: str) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(content):
        if at + _ROW.size > len(content):
            raise DecodeError("a chunk ends inside a row", where)
        key_length, value_length = _ROW.unpack_from(content, at)
        middle = at + _ROW.size + key_length
        at = middle + value_length
        if at > len(content):
            raise DecodeError("a chunk ends inside a row", where)
        yield content[middle - key_length : middle], content[middle:at]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DecodeError("the file is missing", str(path)) from None
    except OSError as error:
        raise DecodeError(f"the file can't be read: {error.strerror}", str(path)) from None


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Bring the names in a directory onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
