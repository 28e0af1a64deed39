"""A restored or backed-up ledger never makes the same key sign a height twice (ADR 0003)."""

import dataclasses
import shutil
from pathlib import Path

import msgspec
import pytest

from tallystick.kernel.chain_rows import Revision
from tallystick.ledger.archive import Archive, ArchivedBlock
from tallystick.ledger.engine import Committed, Outcome, RefusedAtDoor, Unknown
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.restoring import catch_up, open_revision
from tallystick.ledger.signing_guard import SigningGuard, signed_height
from tallystick.ledger.snapshots import restore
from tallystick.ledger.store import Family, RocksStore
from tallystick.proof import comet
from tallystick.proof.state_proof import key_hash, proof_holds, value_hash
from tallystick.wire import envelope
from tallystick.wire.errors import DecodeError
from tallystick.wire.status import Status
from tests.conformance.chain import check_chain, until_proven
from tests.support.ledger import CHAIN_ID, NODE_KEY, Consortium, OwnClock, genesis


class Story:
    """A ledger that was saved at one height (as snapshot, backup and plain copy) and went on from there."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.clock = OwnClock()
        self.consortium = Consortium()
        engine = self.engine(place / "home")
        self.before = [self.consortium.anchoring(f"before {n}") for n in range(60)]
        engine.submit_many(self.before)
        until_proven(engine, "protocol/chain")
        self.saved_height = engine.backup(place / "backup" / "ledger")
        engine.snapshot(place / "snapshot")
        shutil.copytree(place / "home", place / "plain")
        self.after = [self.consortium.anchoring(f"after {n}") for n in range(40)]
        self.outcomes: list[Outcome] = [engine.submit(raw) for raw in self.after[:20]]
        self.outcomes += engine.submit_many(self.after[20:])
        until_proven(engine, "protocol/chain")
        self.app_hash = engine.health().app_hash
        self.height = engine.health().height
        engine.close()

    def engine(self, home: Path) -> EmbeddedEngine:
        (home / "ledger").mkdir(parents=True, exist_ok=True)
        store = RocksStore(home / "ledger")
        try:
            return EmbeddedEngine(store, NODE_KEY, genesis(), self.clock, SigningGuard(home / "signed"))
        except DecodeError:
            store.close()
            raise

    def restored(self, home: Path) -> RocksStore:
        store = RocksStore(home / "ledger")
        restore(self.place / "snapshot", store)
        return store

    def log(self) -> list[ArchivedBlock]:
        """The complete block log."""
        store = RocksStore(self.place / "home" / "ledger")
        blocks = list(Archive(store).blocks(1))
        store.close()
        return blocks


@pytest.fixture
def story(tmp_path: Path) -> Story:
    (tmp_path / "backup").mkdir()
    return Story(tmp_path)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "restored").mkdir()
    return tmp_path / "restored"


def test_an_old_copy_beside_the_guard_is_refused(story: Story) -> None:
    home = story.place / "home"
    shutil.rmtree(home / "ledger")
    shutil.copytree(story.place / "plain" / "ledger", home / "ledger")
    with pytest.raises(DecodeError, match="it is an old copy") as refused:
        story.engine(home)
    assert f"up to height {story.height}" in str(refused.value)
    assert f"stands at {story.saved_height}" in str(refused.value)
    assert signed_height(home / "signed") == story.height, "the refusal must not wipe the memory"


def test_the_guard_follows_each_commit(story: Story) -> None:
    home = story.place / "home"
    assert signed_height(home / "signed") == story.height
    engine = story.engine(home)
    engine.submit(story.consortium.anchoring("one more"))
    assert signed_height(home / "signed") == engine.health().height > story.height
    engine.close()


def test_the_guard_of_another_chain_is_refused(story: Story) -> None:
    home = story.place / "home"
    raw = (home / "signed").read_bytes()
    (home / "signed").write_bytes(raw[:8] + b"another-chain")
    with pytest.raises(DecodeError, match="another-chain"):
        story.engine(home)
    (home / "signed").write_bytes(b"\x00")
    with pytest.raises(DecodeError, match="not a record"):
        story.engine(home)


def test_a_restored_snapshot_catches_up_from_the_block_log(story: Story, home: Path) -> None:
    log = story.log()
    shutil.copy(story.place / "home" / "signed", home / "signed")
    store = story.restored(home)
    assert catch_up(store, log, signed_height(home / "signed")) == story.height
    store.close()
    engine = story.engine(home)
    assert engine.health().app_hash == story.app_hash
    assert [engine.result(envelope.parse(raw).body_hash) for raw in story.after] == story.outcomes
    assert isinstance(engine.submit(story.consortium.anchoring("new")), Committed)
    assert [engine.submit(raw) for raw in story.after] == story.outcomes
    check_chain(engine, story.saved_height + 2)
    engine.close()


def test_a_backup_catches_up_from_the_block_log(story: Story) -> None:
    log = story.log()
    store = RocksStore(story.place / "backup" / "ledger")
    assert catch_up(store, log[story.saved_height :], story.height) == story.height
    store.close()
    engine = story.engine(story.place / "backup")
    assert isinstance(engine.submit(story.consortium.anchoring("new")), Committed)
    check_chain(engine)
    engine.close()


def test_a_block_log_that_ends_too_early_does_not_release_the_copy(story: Story, home: Path) -> None:
    store = story.restored(home)
    with pytest.raises(DecodeError, match=f"ends at height {story.height - 3}"):
        catch_up(store, story.log()[:-3], story.height)
    store.close()
    engine = story.engine(home)
    assert isinstance(engine.submit(story.consortium.anchoring("new")), Unknown)
    assert engine.health().height == story.height - 3
    engine.close()
    store = RocksStore(home / "ledger")
    assert catch_up(store, story.log(), story.height) == story.height, "it goes on where it stopped"
    store.close()


def forgeries(block: ArchivedBlock) -> dict[str, ArchivedBlock]:
    """One block in many false versions; the key itself signed those whose header is altered."""
    change = msgspec.structs.replace

    def signed(**fields: object) -> ArchivedBlock:
        header = dataclasses.replace(block.header, **fields)  # type: ignore[arg-type]
        return change(block, header=header, commit=comet.sign_commit(header, comet.embedded_block_id(header), NODE_KEY))

    def kept(**fields: object) -> ArchivedBlock:
        return change(block, body=change(block.body, **fields))

    body = block.body
    vote = dataclasses.replace(block.commit.signatures[0], signature=bytes(64))
    return {
        "chain id": signed(chain_id="other"),
        "height": signed(height=block.header.height + 1),
        "last block id": signed(last_block_id=comet.BlockId(bytes(32), 1, bytes(32))),
        "last commit hash": signed(last_commit_hash=bytes(32)),
        "last results hash": signed(last_results_hash=bytes(32)),
        "app hash": signed(app_hash=bytes(32)),
        "validators hash": signed(validators_hash=bytes(32)),
        "data hash": kept(transactions=body.transactions[:-1]),
        "time": signed(time=1),
        "does not verify": change(block, commit=dataclasses.replace(block.commit, signatures=(vote,))),
        "over two thirds": change(block, commit=dataclasses.replace(block.commit, signatures=(comet.ABSENT,))),
        "number of signatures": change(block, commit=dataclasses.replace(block.commit, signatures=())),
        "committed height": change(block, commit=dataclasses.replace(block.commit, height=1)),
        "another result": kept(codes=[301] * len(body.codes)),
        "not one result for each": kept(codes=[*body.codes, 0]),
        "other events": kept(events=[b"[]"] * len(body.events)),
        "due work": kept(due_events=b"[{}]"),
        "state root": kept(roots=(bytes(32), body.roots[1])),
    }


def test_each_false_block_is_refused_and_named(story: Story, home: Path) -> None:
    log = story.log()
    place = story.saved_height + 3
    block = log[place]
    assert block.transactions
    store = story.restored(home)
    for said, false in forgeries(block).items():
        with pytest.raises(DecodeError) as refused:
            catch_up(store, [*log[:place], false], story.height)
        assert said in str(refused.value), f"{said}: {refused.value}"
        assert f"block {false.body.height}" in str(refused.value)
    assert catch_up(store, log, story.height) == story.height
    store.close()


def test_a_log_of_another_history_is_refused(story: Story, home: Path) -> None:
    log = story.log()
    other = dataclasses.replace(log[story.saved_height - 1].header, time=log[0].header.time + 1)
    log[story.saved_height - 1] = msgspec.structs.replace(log[story.saved_height - 1], header=other)
    store = story.restored(home)
    with pytest.raises(DecodeError, match="another history"):
        catch_up(store, log, story.height)
    store.close()


@pytest.mark.parametrize("kind", ["snapshot", "backup"])
def test_a_revision_goes_on_under_a_new_chain_id(story: Story, home: Path, kind: str) -> None:
    new_id = f"{CHAIN_ID}-2"
    shutil.copy(story.place / "home" / "signed", home / "signed")
    if kind == "backup":
        shutil.copytree(story.place / "backup" / "ledger", home / "ledger")
        store = RocksStore(home / "ledger")
    else:
        store = story.restored(home)
    revision = open_revision(store, new_id)
    store.close()
    assert (revision.predecessor, revision.fork_height) == (CHAIN_ID, story.saved_height)
    engine = story.engine(home)
    assert engine.chain_id == new_id
    refused = engine.submit(story.after[0])
    assert isinstance(refused, RefusedAtDoor)
    assert refused.status is Status.WRONG_CHAIN
    done = engine.submit(Consortium(new_id).anchoring("new", name="new"))
    assert isinstance(done, Committed)
    assert done.status is Status.OK
    assert done.height > story.saved_height
    proof = until_proven(engine, f"revision/{new_id}")
    assert engine.query(f"revision/{new_id}").record == Revision(
        id=new_id, predecessor=CHAIN_ID, fork_height=story.saved_height
    )
    assert proof.value is not None
    assert proof_holds(
        proof.proof,
        state_root=proof.state_root,
        depth=genesis().tree_depth,
        key_digest=key_hash(proof.key),
        value_digest=value_hash(proof.blind, proof.value),
    )
    first = engine.light_block(story.saved_height + 1).header
    assert first.chain_id == new_id
    height = engine.health().height
    engine.close()  # a block is noted as signed a moment after it is on the disk
    assert signed_height(home / "signed") == height
    again = story.engine(home)
    assert again.chain_id == new_id
    again.close()


def test_the_first_header_of_a_revision_follows_the_last_of_its_predecessor(story: Story, home: Path) -> None:
    log = story.log()
    store = story.restored(home)
    open_revision(store, f"{CHAIN_ID}-2")
    store.close()
    engine = story.engine(home)
    until_proven(engine, "protocol/chain")
    header = engine.light_block(story.saved_height + 1).header
    last = log[story.saved_height - 1]
    assert header.last_block_id == last.commit.block_id
    assert header.app_hash != log[story.saved_height].header.app_hash, "the app hash covers the revision"
    engine.close()


def test_a_chain_id_is_never_used_twice(story: Story, home: Path) -> None:
    store = story.restored(home)
    for used in (CHAIN_ID, "not a chain id", ""):
        with pytest.raises(DecodeError):
            open_revision(store, used)
    open_revision(store, "second")
    open_revision(store, "third")
    for used in (CHAIN_ID, "second", "third"):
        with pytest.raises(DecodeError, match="already"):
            open_revision(store, used)
    assert store.get(Family.META, b"copy") is None
    store.close()
    engine = story.engine(home)
    assert engine.chain_id == "third"
    engine.close()


def test_a_snapshot_of_a_revision_restores_with_it(story: Story, home: Path) -> None:
    store = story.restored(home)
    open_revision(store, "second")
    store.close()
    engine = story.engine(home)
    until_proven(engine, "protocol/chain")
    engine.snapshot(story.place / "second")
    app_hash = engine.health().app_hash
    engine.close()
    store = RocksStore(story.place / "copy")
    restore(story.place / "second", store)
    copy = EmbeddedEngine(store, NODE_KEY, clock=story.clock)
    assert (copy.chain_id, copy.health().app_hash) == ("second", app_hash)
    copy.close()
