"""From an embedded ledger to a consortium: its state, its receipts, its blocks, and nothing on anybody's word."""

import dataclasses
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallystick.kernel.chain_rows import Predecessor
from tallystick.kernel.core import codec
from tallystick.kernel.documents.anchors import AnchorDocument, Document
from tallystick.kernel.genesis import Genesis, GenesisPredecessor, Limits, read_genesis
from tallystick.kernel.governance.operations import AddValidator
from tallystick.kernel.governance.records import Engine, Validator, ValidatorSet
from tallystick.kernel.membership.records import Role
from tallystick.kernel.transaction import Seen, Transaction, read
from tallystick.ledger.archive import Archive, ArchivedBlock
from tallystick.ledger.comet.decided import Decided, DecidedLedger
from tallystick.ledger.comet.state_sync import ChunkAnswer, OfferAnswer, SnapshotTaking
from tallystick.ledger.engine import Cursor, Pruned, RefusedAtDoor
from tallystick.ledger.fsck import Check
from tallystick.ledger.growth import begin_from_snapshot, carry_over, successor_genesis
from tallystick.ledger.invariants import audit
from tallystick.ledger.opening import open_ledger
from tallystick.ledger.snapshots import read_manifest
from tallystick.ledger.store import Batch, Family, RocksStore
from tallystick.proof import light_client
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status
from tests.conformance.chain import check_proof
from tests.support.chain import GOVERNOR, TREE_DEPTH
from tests.support.grown import NAMES, NS, SUCCESSOR, Former, Grown, GrownChain
from tests.support.members import anchor, application, key_of, public

NEWCOMER = public(key_of("member 5"))


class Scene:
    """A ledger with two documents, closed, and the genesis of its successor."""

    def __init__(self, home: Path) -> None:
        self.former = Former(home / "former")
        chain = self.former.chain
        self.writer = chain.member("Supplier", Role.CLIENT)
        self.raws = [chain.sign(AnchorDocument(anchor=anchor(content=text)), by=self.writer) for text in ("one", "two")]
        self.documents = [chain.submit(raw).events[0].record for raw in self.raws]
        self.places = [chain.engine.result(body_hash(raw)) for raw in self.raws]
        self.former.close()
        self.snapshot = home / "snapshot"
        self.genesis = self.former.successor(self.snapshot)

    @property
    def predecessor(self) -> GenesisPredecessor:
        assert self.genesis.predecessor is not None
        return self.genesis.predecessor

    def changed(self, **fields: Any) -> Genesis:
        return msgspec.structs.replace(self.genesis, **fields)

    def claiming(self, **fields: Any) -> Genesis:
        return self.changed(predecessor=msgspec.structs.replace(self.predecessor, **fields))


def body_hash(raw: bytes) -> bytes:
    transaction = read(raw)
    assert isinstance(transaction, Transaction)
    return transaction.body_hash


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("growth"))


@pytest.fixture
def grown(scene: Scene, tmp_path: Path) -> Iterator[Grown]:
    """A member of the consortium that has the old blocks."""
    grown = Grown(tmp_path / "grown", scene.genesis, scene.snapshot, scene.former.ledger)
    yield grown
    grown.close()


def on(grown: Grown, scene: Scene) -> GrownChain:
    return GrownChain(grown, scene.former.genesis, scene.former.chain.names, scene.former.chain.keys)


def begun(scene: Scene, path: Path, genesis: Genesis | None = None) -> RocksStore:
    store = RocksStore(path)
    try:
        begin_from_snapshot(scene.snapshot, genesis or scene.genesis, store)
    except ValueError:
        store.close()
        raise
    return store


def test_the_genesis_names_where_it_goes_on_from(scene: Scene) -> None:
    store = RocksStore(scene.former.ledger)
    opened = open_ledger(store, None)
    light = opened.archive.light(opened.tip.height)
    store.close()
    assert light is not None
    said = scene.predecessor
    assert (said.chain_id, said.height) == (scene.former.genesis.chain_id, light.header.height)
    assert (said.block, said.app_hash) == (light.header.hash().hex(), light.header.app_hash.hex())
    assert said.snapshot == read_manifest(scene.snapshot).digest
    assert (scene.genesis.chain_id, scene.genesis.engine) == (SUCCESSOR, Engine.CONSORTIUM)
    assert scene.genesis.initial_height == said.height + 1
    assert scene.genesis.validators == tuple(Validator(key=public(key_of(name)), name=name) for name in NAMES)
    assert read_genesis(codec.encode(scene.genesis)) == scene.genesis
    assert (scene.genesis.sandbox, scene.genesis.tree_depth) == (True, TREE_DEPTH)


def test_every_member_begins_with_the_same_rows(scene: Scene, tmp_path: Path) -> None:
    stores = [begun(scene, tmp_path / name) for name in ("one", "two")]
    rows = [{(family, key): row for family in Family for key, row in store.range(family, b"")} for store in stores]
    for store in stores:
        store.close()
    assert rows[0] == rows[1]
    assert (Family.META, b"copy") not in rows[0]


def test_the_first_state_is_the_old_one_with_new_validators(scene: Scene, tmp_path: Path) -> None:
    store = begun(scene, tmp_path / "one")
    opened = open_ledger(store, scene.genesis)
    assert opened.chain.chain_id == SUCCESSOR
    assert opened.copied_at is None
    assert opened.state.find("closed/chain") is None
    validators = opened.state.find("validators/chain")
    assert isinstance(validators, ValidatorSet)
    assert (validators.engine, validators.validators) == (Engine.CONSORTIUM, scene.genesis.validators)
    said = scene.predecessor
    anchored = Predecessor(id="chain", chain_id=said.chain_id, height=said.height, block=said.block)
    assert opened.state.find("predecessor/chain") == anchored
    before = RocksStore(scene.former.ledger)
    theirs, mine = (dict(one.range(Family.STATE, b"")) for one in (before, store))
    changed = {key for key in theirs.keys() | mine.keys() if theirs.get(key) != mine.get(key)}
    assert changed == {b"closed/chain", b"validators/chain", b"predecessor/chain"}
    for family in (Family.RECEIPTS, Family.HASHES, Family.INDEX):
        assert dict(before.range(family, b"")) == dict(store.range(family, b""))
    before.close()
    store.close()
    assert opened.roots.state.hex() == said.state_root
    assert opened.roots.receipts.hex() == said.receipts_root


def test_heights_receipts_and_ids_go_on(scene: Scene, grown: Grown) -> None:
    assert grown.height == 0  # no block of this chain yet: CometBFT then calls InitChain
    chain = on(grown, scene)
    again = grown.submit(scene.raws[0])
    assert isinstance(again, RefusedAtDoor)
    assert again.status is Status.ALREADY_ORDERED
    assert grown.result(body_hash(scene.raws[0])) == scene.places[0]
    made = chain.do(AnchorDocument(anchor=anchor(content="three"), earlier=scene.documents[0]), by=scene.writer)
    assert made.place is not None
    assert made.place.height >= scene.genesis.initial_height
    assert chain.row(Document, scene.documents[1]).anchored.height < scene.genesis.initial_height
    check_proof(grown, grown.prove("predecessor/chain"), TREE_DEPTH)
    assert grown.light_block(scene.genesis.initial_height).header.chain_id == SUCCESSOR


def test_a_step_signed_for_the_old_chain_is_refused(scene: Scene, grown: Grown) -> None:
    old = scene.former.genesis.chain_id
    answer = on(grown, scene)
    late = answer.submit(answer.sign(AnchorDocument(anchor=anchor()), by=scene.writer, chain=old, id="late"))
    assert late.status is Status.WRONG_CHAIN


def test_what_a_signer_knew_of_the_old_chain_may_be_named(scene: Scene, grown: Grown) -> None:
    last = scene.predecessor
    chain = on(grown, scene)
    known = Seen(height=last.height, block=last.block)
    chain.do(AnchorDocument(anchor=anchor(content="seen")), by=scene.writer, seen=known)
    other = Seen(height=last.height, block="00" * 32)
    raw = chain.sign(AnchorDocument(anchor=anchor(content="not seen")), by=scene.writer, seen=other)
    assert chain.submit(raw).status is Status.SEEN_UNKNOWN


def test_validators_are_changed_on_from_there(scene: Scene, grown: Grown) -> None:
    chain = on(grown, scene)
    add = AddValidator(key=NEWCOMER, validator="member 5")
    done = chain.do(add, by=chain.member(GOVERNOR, Role.GOVERNOR))
    assert done.place is not None
    grown.block()
    grown.block()
    height = done.place.height
    assert NEWCOMER in {one.key for one in chain.row(ValidatorSet, "chain").validators}
    sizes = [len(grown.light_block(at).validators.validators) for at in range(height, height + 3)]
    assert sizes == [4, 4, 5]
    assert grown.validator_changes()[-1] == height + 1


def test_the_old_blocks_are_there(scene: Scene, grown: Grown) -> None:
    events = grown.events(Cursor())
    assert scene.documents[0] in {placed.event.record for placed in events}
    assert events[0].cursor.height < scene.genesis.initial_height
    first, last = grown.light_block(1), grown.light_block(scene.predecessor.height)
    old = scene.former.genesis.chain_id
    for light in (first, last):
        assert light_client.judge_alone(light, old, light.validators).is_trusted
        assert len(light.validators.validators) == 1
    grown.block()
    now = grown.light_block(scene.genesis.initial_height)
    assert len(now.validators.validators) == 4
    assert light_client.judge_alone(now, SUCCESSOR, now.validators).is_trusted


def test_without_the_old_blocks_the_archive_begins_anew(scene: Scene, tmp_path: Path) -> None:
    grown = Grown(tmp_path / "grown", scene.genesis, scene.snapshot)
    grown.block()
    with pytest.raises(Pruned) as pruned:
        grown.events(Cursor())
    assert pruned.value.first == scene.genesis.initial_height
    with pytest.raises(LookupError):
        grown.light_block(1)
    grown.close()


def test_it_opens_again_with_its_own_genesis_alone(scene: Scene, tmp_path: Path) -> None:
    store = begun(scene, tmp_path / "one")
    with pytest.raises(DecodeError, match="another genesis"):
        open_ledger(store, scene.former.genesis)
    assert open_ledger(store, scene.genesis).chain.chain_id == SUCCESSOR
    store.close()
    empty = RocksStore(tmp_path / "empty")
    with pytest.raises(DecodeError, match="the snapshot of it"):
        open_ledger(empty, scene.genesis)
    empty.close()


OTHERS = tuple(Validator(key=public(key_of(f"stranger {number}")), name="stranger") for number in range(4))


@pytest.mark.parametrize(
    ("fields", "claims", "where"),
    [
        ({"chain_id": "another"}, {}, "chain_id"),
        ({"validators": OTHERS}, {}, "validators"),
        ({"sandbox": False}, {}, "sandbox"),
        ({"tree_depth": 3}, {}, "tree_depth"),
        ({"limits": Limits(max_parcels=7)}, {}, "limits"),
        ({"time": Instant.parse("2026-03-02T01:00:00.000Z")}, {}, "time"),
        ({}, {"snapshot": "00" * 32}, "manifest.json"),
        ({}, {"chain_id": "another"}, "predecessor"),
        ({}, {"genesis": "00" * 32}, "predecessor"),
        ({}, {"height": 7}, "predecessor"),
        ({}, {"block": "00" * 32}, "predecessor"),
        ({}, {"app_hash": "00" * 32}, "predecessor"),
        ({}, {"state_root": "00" * 32}, "predecessor"),
        ({}, {"receipts_root": "00" * 32}, "predecessor"),
        ({"predecessor": None}, {}, "predecessor"),
    ],
)
def test_a_genesis_that_does_not_fit_is_named(
    scene: Scene, tmp_path: Path, fields: dict[str, Any], claims: dict[str, Any], where: str
) -> None:
    genesis = scene.claiming(**claims) if claims else scene.changed(**fields)
    with pytest.raises(DecodeError) as refused:
        begun(scene, tmp_path / "one", genesis)
    assert refused.value.where.endswith(where)


def test_a_renamed_validator_is_another_first_state(scene: Scene, tmp_path: Path) -> None:
    first, *rest = scene.genesis.validators
    renamed = (msgspec.structs.replace(first, name="another"), *rest)
    with pytest.raises(DecodeError, match="root that the genesis states"):
        begun(scene, tmp_path / "one", scene.changed(validators=renamed))


def test_only_a_closed_chain_has_a_successor(tmp_path: Path) -> None:
    former = Former(tmp_path / "former")
    former.running.close()
    with pytest.raises(DecodeError, match="close it first"):
        former.successor(tmp_path / "snapshot")
    assert not (tmp_path / "snapshot").exists()


def test_the_closed_ledger_stands_still(scene: Scene, tmp_path: Path) -> None:
    """Opened again, with work that fell due long ago, it makes no block; so its last one is the one that is named."""
    former = Former(tmp_path / "home")
    sponsor = former.chain.member("Supplier", Role.CLIENT)
    former.chain.do(application("Newcomer"), by=sponsor, keys=(key_of("Newcomer"),))
    former.close()
    former.running.clock.jump(400 * DAY_MS)  # the newcomer's review is long past its deadline
    former.running.open()
    time.sleep(0.3)  # as long as the engine takes to see that it has nothing to do
    former.running.close()
    store = RocksStore(former.ledger)
    genesis = successor_genesis(store, tmp_path / "snapshot", Instant(former.running.clock()), {})
    closed = open_ledger(store, None).state.find("closed/chain")
    store.close()
    assert genesis.predecessor is not None
    assert genesis.initial_height == getattr(closed, "height", 0) + 2
    assert [one.name for one in genesis.validators] == [f"validator {number}" for number in range(1, 5)]


def damaged(scene: Scene, tmp_path: Path, height: int, **fields: Any) -> RocksStore:
    """A copy of the old ledger in which one thing of a block is another."""
    store = RocksStore(shutil.copytree(scene.former.ledger, tmp_path / "damaged"))
    archive = Archive(store)
    body, light = archive.body(height), archive.light(height)
    assert body is not None
    assert light is not None
    of_header = {field.name for field in dataclasses.fields(light.header)} - {"time"}
    header = {name: fields.pop(name) for name in tuple(fields) if name in of_header}
    commit = fields.pop("commit", light.commit)
    batch = Batch()
    Archive.add_block(
        batch,
        ArchivedBlock(msgspec.structs.replace(body, **fields), dataclasses.replace(light.header, **header), commit),
    )
    store.write(batch)
    return store


def spoilt(scene: Scene) -> list[tuple[int, str, Any]]:
    """One of everything that is carried over, changed: (height, field, value)."""
    store = RocksStore(scene.former.ledger)
    archive = Archive(store)
    place = scene.places[1]
    assert place is not None
    body, light = archive.body(place.height), archive.light(place.height)
    store.close()
    assert body is not None
    assert light is not None
    last = scene.predecessor.height
    vote = dataclasses.replace(light.commit.signatures[0], signature=bytes(64))
    unsigned = dataclasses.replace(light.commit, signatures=(vote,))
    return [
        (place.height, "transactions", []),
        (place.height, "transactions", [scene.raws[0]]),
        (place.height, "codes", [1]),
        (place.height, "codes", []),
        (place.height, "data", [body.data[0].replace(b"ok", b"no")]),
        (place.height, "data", [b"no JSON"]),
        (place.height, "events", [b"[]"]),
        (place.height, "due_events", b'[{"audience":[],"kind":"x","record":"y"}]'),
        (place.height, "roots", (bytes(32), body.roots[1])),
        (place.height, "roots", (body.roots[0], bytes(32))),
        (place.height, "misbehaviours", b"[1]"),
        (place.height, "time", body.time + 1),
        (place.height, "app_hash", bytes(32)),
        (place.height, "chain_id", "another"),
        (place.height, "commit", unsigned),
        (last, "roots", (bytes(32), body.roots[1])),
        (last, "commit", dataclasses.replace(unsigned, height=last)),
        (last, "app_hash", bytes(32)),
        (1, "due_events", b'[{"audience":[],"kind":"x","record":"y"}]'),
    ]


def test_no_altered_block_is_carried_over(scene: Scene, tmp_path: Path) -> None:
    for number, (height, field, value) in enumerate(spoilt(scene)):
        case = tmp_path / str(number)
        case.mkdir()
        former, store = damaged(scene, case, height, **{field: value}), begun(scene, case / "one")
        try:
            with pytest.raises(DecodeError) as refused:
                carry_over(former, scene.genesis, store)
            assert not dict(store.range(Family.BLOCKS, b"")), (height, field)
            assert str(height) in refused.value.where or field == "app_hash" or height == scene.predecessor.height, (
                field
            )
        finally:
            former.close()
            store.close()


def test_blocks_with_a_gap_are_not_carried_over(scene: Scene, tmp_path: Path) -> None:
    former = RocksStore(shutil.copytree(scene.former.ledger, tmp_path / "damaged"))
    batch = Batch()
    batch.delete(Family.BLOCKS, (2).to_bytes(8, "big"))
    former.write(batch)
    store = begun(scene, tmp_path / "one")
    with pytest.raises(DecodeError, match="missing"):
        carry_over(former, scene.genesis, store)
    former.close()
    store.close()


def test_the_whole_ledger_is_checked_from_the_genesis_on(scene: Scene, tmp_path: Path) -> None:
    """It begins with the snapshot that the genesis names, executes this chain's blocks, and binds the old ones."""
    grown = Grown(tmp_path / "grown", scene.genesis, scene.snapshot, scene.former.ledger)
    chain = on(grown, scene)
    chain.do(AddValidator(key=NEWCOMER, validator="member 5"), by=chain.member(GOVERNOR, Role.GOVERNOR))
    chain.do(AnchorDocument(anchor=anchor(content="three")), by=scene.writer)
    assert [done.violation for done in audit(grown) if done.violation is not None] == []
    grown.close()
    store = RocksStore(tmp_path / "grown" / "ledger")
    scratch = tmp_path / "scratch"
    check = Check(store, scene.genesis, scratch, scene.snapshot)
    assert check.checked == scene.predecessor.height
    assert check.run(lambda _: None) is None
    archive = Archive(store)
    body = archive.body(2)
    assert body is not None
    batch = Batch()
    Archive.add_body(batch, msgspec.structs.replace(body, events=[b"[]"]))
    store.write(batch)
    fault = Check(store, scene.genesis, scratch, scene.snapshot).run(lambda _: None)
    assert fault is not None
    assert str(fault) == "block 2: events of transaction 0: not as its result states"
    store.close()


# Joining later, from a snapshot


def test_a_successor_is_joined_from_a_snapshot(scene: Scene, grown: Grown, tmp_path: Path) -> None:
    chain = on(grown, scene)
    chain.submit(chain.sign(AnchorDocument(anchor=anchor(content="before")), by=scene.writer))
    offered = tmp_path / "offered"
    grown.snapshot(offered)
    manifest = read_manifest(offered)
    store = begun(scene, tmp_path / "joining")
    taking = SnapshotTaking(store, scene.genesis, lambda _: bytes.fromhex(manifest.digest))
    metadata = (offered / "manifest.json").read_bytes()
    digest, app_hash = bytes.fromhex(manifest.digest), bytes.fromhex(manifest.app_hash)
    offer = taking.offer(manifest.height, manifest.format, len(manifest.chunks), digest, metadata, app_hash)
    assert (offer.answer, offer.reason) == (OfferAnswer.ACCEPT, "")
    for index, chunk in enumerate(manifest.chunks):
        applied = taking.apply(index, (offered / chunk.name).read_bytes(), "a peer")
        assert applied.answer is ChunkAnswer.ACCEPT, applied.reason
    joined = DecidedLedger(store, scene.genesis)
    assert (joined.height, joined.app_hash) == (grown.height, grown.app_hash)
    assert joined.validators_at(grown.height + 1) == grown.validators_at(grown.height + 1)
    old = joined.result(body_hash(scene.raws[0]))
    assert old == scene.places[0], "receipts of the chain before came as well"
    raw = chain.sign(AnchorDocument(anchor=anchor(content="after")), by=scene.writer)
    decided = Decided(grown.height + 1, int(grown._time + 1_000) * NS, bytes(32), (raw,))
    for ledger in (grown, joined):
        ledger.execute(decided)
        ledger.commit()
    assert joined.app_hash == grown.app_hash
    store.close()
