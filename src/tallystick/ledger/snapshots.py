"""Logical snapshots: the state, receipts and results of one height as files, the same bytes on every node.

A directory holds `manifest.json` (canonical), `genesis.json` and chunks of rows in key order. The index and the tree
are not in it: they follow from the rows and are built anew. A restored ledger is marked as a copy; nothing is ordered
on it before `restoring.catch_up` or `restoring.open_revision` (ADR 0003). Format: docs/spec/snapshot.md.
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
from tallystick.ledger.archive import height_key
from tallystick.ledger.committed import BLIND_BYTES
from tallystick.ledger.opening import (
    COPY_KEY,
    GENESIS_KEY,
    HASH_PREFIX,
    RESTORING_KEY,
    TIP_KEY,
    Tip,
    decode_tip,
    put_revision,
    read_hashes,
    read_revisions,
)
from tallystick.ledger.store import Batch, Family, RocksStore, Store
from tallystick.ledger.tree import Tree
from tallystick.proof.state_proof import app_hash
from tallystick.wire.errors import DecodeError, InvariantViolation

FORMAT = 1
MANIFEST = "manifest.json"
GENESIS = "genesis.json"
MAX_CHUNK_BYTES = (16 << 20) - 1  # what CometBFT carries of a snapshot in one message
FAMILIES = (Family.STATE, Family.RECEIPTS, Family.HASHES)

_ROW = struct.Struct(">II")  # lengths of key and value
_TREE_KEY_BYTES = 4


class Chunk(Struct):
    """One file of rows of a family, after those of the chunk before it."""

    name: Annotated[str, Meta(pattern=r"\A[0-9]{6}-(state|receipts|hashes)\.rows\Z")]
    family: str
    rows: Count
    size: Count
    sha256: Hash


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
    _sync_directory(target.parent)
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
    )
    manifest = msgspec.structs.replace(manifest, digest=_digest(manifest))
    _write_synced(target / MANIFEST, codec.encode(manifest))
    _sync_directory(target)
    return manifest


def read_manifest(source: Path) -> Manifest:
    """The manifest of a snapshot, held to its own digest. Raises `DecodeError` naming the file."""
    where = source / MANIFEST
    manifest = codec.decode(Manifest, _read(where), str(where))
    if manifest.format != FORMAT:
        raise DecodeError(f"format {manifest.format} is not one that this version reads", str(where))
    if manifest.digest != _digest(msgspec.structs.replace(manifest, digest="")):
        raise DecodeError("the manifest was altered: its digest does not hold", str(where))
    return manifest


def restore(source: Path, store: Store, expected_digest: str = "") -> int:
    """Build the ledger of a snapshot in an empty store; returns its height.

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
    tip = _checked_tip(source, manifest)
    for chunk in manifest.chunks:
        _read_chunk(source, chunk)
    _mark_restoring(store)
    tree = _write_rows(source, manifest, store, Tree(chain_of(genesis).tree_depth))
    if tree.root != tip.state_root:
        raise DecodeError("the rows do not have the state root that the manifest states", str(source / MANIFEST))
    store.write(_closing_batch(genesis, manifest))
    return manifest.height


def _mark_restoring(store: Store) -> None:
    """From now on the store opens as a ledger only once the last batch is written."""
    batch = Batch()
    batch.put(Family.META, RESTORING_KEY, b"")
    store.write(batch)


def _closing_batch(genesis: Genesis, manifest: Manifest) -> Batch:
    batch = Batch()
    batch.put(Family.META, GENESIS_KEY, codec.encode(genesis))
    batch.put(Family.META, TIP_KEY, manifest.tip)
    batch.put(Family.META, COPY_KEY, height_key(manifest.height))
    for height, block_hash in enumerate(manifest.hashes, manifest.hashes_from):
        batch.put(Family.META, HASH_PREFIX + height_key(height), bytes.fromhex(block_hash))
    for number, revision in enumerate(manifest.revisions):
        put_revision(batch, number, revision)
    batch.delete(Family.META, RESTORING_KEY)
    return batch


def _write_rows(source: Path, manifest: Manifest, store: Store, tree: Tree) -> Tree:
    """Write each chunk with the index rows and tree buckets that follow from it."""
    last = (-1, b"")
    for chunk in manifest.chunks:
        where = str(source / chunk.name)
        family = Family(chunk.family)
        batch = Batch()
        changes: list[tuple[bytes, bytes | None]] = []
        for key, value in _rows(_read_chunk(source, chunk), where):
            if (FAMILIES.index(family), key) <= last:
                raise DecodeError("rows are out of order", where)
            last = (FAMILIES.index(family), key)
            batch.put(family, key, value)
            if family is Family.STATE:
                changes.append((hashlib.sha256(key).digest(), hashlib.sha256(value).digest()))
                for row in _index_rows(key, value, where):
                    batch.put(Family.INDEX, row.encode(), b"")
        delta = tree.prepare(changes)
        for bucket, listing in delta.buckets.items():
            batch.put(Family.TREE, bucket.to_bytes(_TREE_KEY_BYTES, "big"), listing)
        store.write(batch)
        tree.commit(delta)
    return tree


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


def _checked_tip(source: Path, manifest: Manifest) -> Tip:
    where = str(source / MANIFEST)
    try:
        tip = decode_tip(manifest.tip)
    except msgspec.DecodeError as error:
        raise DecodeError(f"the tip can't be read: {error}", where) from None
    stated = (manifest.height, manifest.state_root, manifest.receipts_root, manifest.app_hash)
    app = app_hash(tip.state_root, tip.receipts_root)
    if stated != (tip.height, tip.state_root.hex(), tip.receipts_root.hex(), app.hex()):
        raise DecodeError("height, roots, app hash and tip contradict each other", where)
    return tip


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
        if len(content) + len(row) > MAX_CHUNK_BYTES:
            yield rows, bytes(content)
            content, rows = bytearray(), 0
        content += row
        rows += 1
    if rows:
        yield rows, bytes(content)


def _read_chunk(source: Path, chunk: Chunk) -> bytes:
    where = source / chunk.name
    content = _read(where)
    if len(content) != chunk.size:
        raise DecodeError(f"{len(content)} bytes long; the manifest states {chunk.size}", str(where))
    if hashlib.sha256(content).hexdigest() != chunk.sha256:
        raise DecodeError("it was altered: its SHA-256 is not the one that the manifest states", str(where))
    if f"-{chunk.family}." not in chunk.name or sum(1 for _ in _rows(content, str(where))) != chunk.rows:
        raise DecodeError("it does not hold the rows that the manifest states", str(where))
    return content


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


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
