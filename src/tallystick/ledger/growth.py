"""From a closed embedded ledger to the consortium that goes on with it (DESIGN section 6, "Growth").

`successor_genesis` makes the genesis that all founders of the consortium accept: it names the closed chain, its last
header, and the snapshot of its state. `begin_from_snapshot` builds the successor's first state of it, the same on every
node: the state, receipts and results of the predecessor, and
- the consortium's validators in place of the embedded node,
- the predecessor's name and last header's hash, under `predecessor/chain`,
- no `closed/chain`.
Their blinds come from a seed that the genesis does not enter, because the genesis states the root over them.
`carry_over` brings the predecessor's blocks along, each bound by hashes to the header that the genesis names; without
them the archive begins with the successor's first block. Format: docs/spec/genesis.md, "A chain with a predecessor".
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from tallystick.kernel.chain_rows import Closed
from tallystick.kernel.core import codec
from tallystick.kernel.genesis import (
    FORMAT,
    Genesis,
    GenesisPredecessor,
    check_genesis,
    succeeding_rows,
)
from tallystick.kernel.governance.records import Engine, Validator, ValidatorSet
from tallystick.ledger.archive import NS_PER_MS, Archive, ArchivedBlock, height_key
from tallystick.ledger.execution import RECEIPTS_DOMAIN, put_buckets, stored_row
from tallystick.ledger.opening import (
    COPY_KEY,
    GENESIS_KEY,
    REVISION_PREFIX,
    Opened,
    Tip,
    open_ledger,
    put_tip,
)
from tallystick.ledger.snapshots import MANIFEST, Manifest, read_manifest, restore, take_snapshot
from tallystick.ledger.store import Batch, Family, Store
from tallystick.ledger.validators import PREFIX, ROW, ValidatorHistory
from tallystick.proof import comet, light_client
from tallystick.proof.state_proof import NO_RECEIPTS, app_hash, key_hash, next_receipts_root
from tallystick.wire import envelope
from tallystick.wire.errors import DecodeError, InvariantViolation
from tallystick.wire.instants import Instant

GROWTH_DOMAIN = b"tallystick-growth-v1\n"
CLOSED = "closed/chain"
NO_ROOT = "00" * 32
CARRIED_AT_ONCE = 500
Stated: TypeAlias = tuple[str, object, object]
"""What it is, as it is stated, and as it is found."""

_sha256 = hashlib.sha256


def successor_genesis(store: Store, snapshot: Path, time: Instant, names: Mapping[str, str]) -> Genesis:
    """The genesis of the consortium that goes on with the closed embedded ledger in `store`.

    The snapshot of that ledger goes into the new directory `snapshot`. `names` says whose each validator's key is, as
    far as known. Raises `DecodeError` where the ledger is not closed, or `time` is not after its last block.
    """
    opened = open_ledger(store, None)
    closed = opened.state.find(CLOSED)
    if not isinstance(closed, Closed):
        raise DecodeError("the chain goes on: its governors close it first (chain.close)", store.where)
    if opened.tip.height != closed.height + 1 or not opened.tip.is_attested:
        raise DecodeError(
            f"the block that proves the closing one, {closed.height}, is not the last: let the node run once more",
            store.where,
        )
    _check_time(time, opened.tip)
    take_snapshot(store, snapshot)
    manifest = read_manifest(snapshot)
    former = opened.genesis
    validators = (
        Validator(key=key, name=names.get(key, f"validator {number}"))
        for number, key in enumerate(closed.validators, 1)
    )
    draft = Genesis(
        format=FORMAT,
        chain_id=closed.successor,
        time=time,
        engine=Engine.CONSORTIUM,
        validators=tuple(validators),
        sandbox=former.sandbox,
        tree_depth=former.tree_depth,
        limits=former.limits,
        predecessor=_predecessor(manifest, opened.tip),
    )
    _, root = _succeeding_batch(draft, opened)
    genesis = _with_root(draft, root)
    check_genesis(genesis)
    return genesis


def begin_from_snapshot(snapshot: Path, genesis: Genesis, store: Store) -> int:
    """Build the first state of a chain with a predecessor in an empty store; returns the predecessor's last height.

    `snapshot` is the directory that `genesis` names by its digest. Raises `DecodeError` where it is not, or where the
    two do not fit. The store is a ledger of this chain only once this has returned: whoever calls it throws the store
    away otherwise.
    """
    before = genesis.predecessor
    if before is None:
        raise DecodeError("the genesis names no predecessor", "genesis: predecessor")
    manifest = read_manifest(snapshot)
    if manifest.digest != before.snapshot:
        raise DecodeError("this is not the snapshot that the genesis names", str(snapshot / MANIFEST))
    restore(snapshot, store, before.snapshot)
    opened = open_ledger(store, None)
    _check_fits(genesis, before, manifest, opened)
    batch, root = _succeeding_batch(genesis, opened)
    if root.hex() != before.state_root:
        raise DecodeError("the first state does not have the root that the genesis states", "genesis: predecessor")
    store.write(batch)
    return before.height


def _predecessor(manifest: Manifest, tip: Tip) -> GenesisPredecessor:
    return GenesisPredecessor(
        chain_id=manifest.chain_id,
        genesis=manifest.genesis,
        height=manifest.height,
        block=tip.block_hash.hex(),
        app_hash=tip.stated_app_hash.hex(),
        snapshot=manifest.digest,
        state_root=NO_ROOT,
        receipts_root=manifest.receipts_root,
    )


def _with_root(draft: Genesis, root: bytes) -> Genesis:
    if draft.predecessor is None:
        raise InvariantViolation("a successor's genesis names its predecessor")
    stated = msgspec.structs.replace(draft.predecessor, state_root=root.hex())
    return msgspec.structs.replace(draft, predecessor=stated)


def _check_fits(genesis: Genesis, before: GenesisPredecessor, manifest: Manifest, opened: Opened) -> None:
    """The genesis says of its predecessor what the snapshot says, and names the successor that was decided on."""
    stated = msgspec.structs.replace(before, state_root=NO_ROOT)
    if stated != _predecessor(manifest, opened.tip):
        raise DecodeError("it is not what the snapshot says of that chain", "genesis: predecessor")
    closed = opened.state.find(CLOSED)
    if not isinstance(closed, Closed) or closed.height + 1 != before.height:
        raise DecodeError("the chain was not closed just before that block", "genesis: predecessor.height")
    if closed.successor != genesis.chain_id:
        raise DecodeError(f"the predecessor's governors named {closed.successor} as successor", "genesis: chain_id")
    if sorted(closed.validators) != sorted(one.key for one in genesis.validators):
        raise DecodeError("they are not those that the predecessor's governors named", "genesis: validators")
    former = opened.genesis
    for field in ("sandbox", "tree_depth", "limits"):
        if getattr(genesis, field) != getattr(former, field):
            raise DecodeError("the predecessor fixed it for ever otherwise", f"genesis: {field}")
    _check_time(genesis.time, opened.tip)


def _check_time(time: Instant, tip: Tip) -> None:
    if int(time) * NS_PER_MS <= tip.time_ns:
        raise DecodeError("it is not after the predecessor's last block", "genesis: time")


def _succeeding_batch(genesis: Genesis, opened: Opened) -> tuple[Batch, bytes]:
    """What turns the closed ledger into the successor's first state, and the state root after it."""
    before = genesis.predecessor
    former = opened.state.find(ROW)
    if before is None or not isinstance(former, ValidatorSet):
        raise InvariantViolation("a chain with a predecessor begins with its state")
    seed = _sha256(GROWTH_DOMAIN + genesis.chain_id.encode() + b"\n" + bytes.fromhex(before.block)).digest()
    batch = Batch()
    changes: list[tuple[bytes, bytes | None]] = [(key_hash(CLOSED), None)]
    batch.delete(Family.STATE, CLOSED.encode())
    for row in succeeding_rows(genesis):
        stored = stored_row(seed, before.height, row.key, codec.encode(row))
        batch.put(Family.STATE, row.key.encode(), stored)
        changes.append((key_hash(row.key), _sha256(stored).digest()))
        if isinstance(row, ValidatorSet):
            batch.put(Family.META, PREFIX + height_key(genesis.initial_height), codec.encode(row))
    batch.put(Family.META, PREFIX + height_key(1), codec.encode(former))
    delta = opened.tree.prepare(changes)
    put_buckets(batch, delta)
    batch.put(Family.META, GENESIS_KEY, codec.encode(genesis))
    put_tip(batch, Tip(before.height, int(genesis.time) * NS_PER_MS, delta.root, opened.tip.receipts_root))
    batch.delete(Family.META, COPY_KEY)
    for number in range(len(opened.predecessors)):
        batch.delete(Family.META, REVISION_PREFIX + number.to_bytes(4, "big"))
    return batch, delta.root


def carry_over(former: Store, genesis: Genesis, store: Store) -> int:
    """Copy the predecessor's blocks from its ledger into the successor's archive; returns how many.

    `store` is what `begin_from_snapshot` has built. Raises `DecodeError` naming the block that does not hold; then
    those before it may have been copied, and it is run again or left.
    """
    count, batch = 0, Batch()
    for block in carried_blocks(former, genesis, open_ledger(store, genesis).validators):
        Archive.add_block(batch, block)
        count += 1
        if count % CARRIED_AT_ONCE == 0:
            store.write(batch)
            batch = Batch()
    store.write(batch)
    return count


def carried_blocks(store: Store, genesis: Genesis, validators: ValidatorHistory) -> Iterator[ArchivedBlock]:
    """The predecessor's blocks in an archive, from the first that is kept, each one checked.

    Each is held to the header after it, and the last header to the genesis, so that no byte of them is anybody's word.
    What came last is known to hold only once all have come. Raises `DecodeError` naming the block.
    """
    before = genesis.predecessor
    if before is None:
        raise DecodeError("the genesis names no predecessor", "genesis: predecessor")
    last: ArchivedBlock | None = None
    for block in _whole_blocks(store, before.height):
        if last is not None:
            _check_link(last, block)
        _check_block(block, last)
        yield block
        last = block
    if last is None or last.header.height != before.height or last.header.hash().hex() != before.block:
        raise DecodeError("its blocks do not end in the one that the genesis names", store.where)
    roots = ("its roots", before.app_hash, app_hash(*last.body.roots).hex())
    _check((roots,), before.height, "not as the genesis states")
    signers = validators.at(before.height)
    judged = light_client.judge_alone(comet.LightBlock(last.header, last.commit, signers), before.chain_id, signers)
    if not judged.is_trusted:
        raise DecodeError(judged.why, f"block {before.height}")


def _whole_blocks(former: Store, last: int) -> Iterator[ArchivedBlock]:
    """The blocks up to height `last`, without a gap, from the first that is kept."""
    archive = Archive(former)
    expected = archive.first_height()
    for block in archive.blocks(1):
        where = f"block {expected}"
        if block.body.height != expected or block.header.height != expected:
            raise DecodeError("is missing or holds another", where)
        if expected > last:
            return
        yield block
        expected += 1


def _check_link(before: ArchivedBlock, after: ArchivedBlock) -> None:
    """What a header states of the block before it."""
    header, body = after.header, before.body
    stated: tuple[Stated, ...] = (
        ("its header", header.last_block_id.hash, before.header.hash()),
        ("its commit", header.last_commit_hash, before.commit.hash()),
        ("its results", header.last_results_hash, comet.results_hash(zip(body.codes, body.data, strict=True))),
    )
    if header.chain_id == before.header.chain_id:  # a new revision of the id changes the state between two blocks
        stated = (*stated, ("its roots", header.app_hash, app_hash(*body.roots)))
    _check(stated, body.height, "not as the header after it states")


def _check_block(block: ArchivedBlock, before: ArchivedBlock | None) -> None:
    """What a block's own header, its results, and the roots before it state of the rest of its body."""
    header, body = block.header, block.body
    count = len(body.transactions)
    stated: tuple[Stated, ...] = (
        ("its time", header.time, body.time),
        ("its transactions", header.data_hash, comet.data_hash(body.transactions)),
        ("the number of its results", (count,) * 3, (len(body.codes), len(body.data), len(body.events))),
        ("what its engine reported", b"[]", body.misbehaviours),
    )
    _check(stated, body.height, "not as its header states")
    events = zip(body.data, body.events, strict=True)
    _check(
        tuple(
            (f"events of transaction {number}", _events_hash(data), _sha256(told).hexdigest())
            for number, (data, told) in enumerate(events)
        ),
        body.height,
        "not as its result states",
    )
    if before is not None or body.height == 1:
        root = _receipts_root(block, NO_RECEIPTS if before is None else before.body.roots[1])
        _check((("its due work", body.roots[1], root),), body.height, "not as its receipts root states")


def _check(stated: tuple[Stated, ...], height: int, how: str) -> None:
    for what, one, other in stated:
        if one != other:
            raise DecodeError(f"{what}: {how}", f"block {height}")


def _events_hash(data: bytes) -> object:
    try:
        said = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return None
    return said.get("events") if isinstance(said, dict) else None


def _receipts_root(block: ArchivedBlock, before: bytes) -> bytes:
    """The receipts root after a block, from what the archive says that it did (docs/spec/block.md)."""
    body = block.body
    if not body.transactions and body.due_events == b"[]":
        return before
    digest = _sha256(RECEIPTS_DOMAIN + _sha256(body.due_events).digest())
    for raw, data in zip(body.transactions, body.data, strict=True):
        digest.update(_sha256(envelope.parse(raw).body_hash + data).digest())
    return next_receipts_root(before, body.height, digest.digest())
