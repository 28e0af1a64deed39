"""Joining by state sync: the ledger that comes is the one the others have, or none; whatever a peer sends."""

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tallystick.kernel.core import codec
from tallystick.ledger import snapshots as files
from tallystick.ledger.abci.protos import abci_pb2 as abci
from tallystick.ledger.comet.rpc import RpcRefused, RpcUnreachable
from tallystick.ledger.comet.snapshot_exchange import Retention, SnapshotExchange
from tallystick.ledger.comet.snapshots import Kept, SnapshotShelf
from tallystick.ledger.comet.state_sync import (
    ChunkAnswer,
    OfferAnswer,
    SnapshotTaking,
    abandon_half_restored,
    confirmed_digest,
)
from tallystick.ledger.fsck import Check
from tallystick.ledger.opening import open_ledger
from tallystick.ledger.snapshots import write_snapshot
from tallystick.ledger.store import Batch, Family, RocksStore, Store
from tallystick.node.home import Home
from tallystick.node.replaying import Replayed, replay_ledger
from tallystick.wire import canonical
from tallystick.wire.errors import DecodeError
from tests.support.decided import DecidedChain, consortium_genesis

ROOT = Path(__file__).resolve().parents[2]
HEIGHT = 12
SENDER = "a peer"

pytestmark = pytest.mark.engine


@dataclass
class Offered:
    """What a peer offers and serves, and what is true of it."""

    kept: Kept
    contents: list[bytes]
    app_hash: bytes

    @classmethod
    def read(cls, directory: Path) -> "Offered":
        manifest = files.read_manifest(directory)
        names = tuple(chunk.name for chunk in manifest.chunks)
        kept = Kept(
            manifest.height,
            manifest.format,
            bytes.fromhex(manifest.digest),
            (directory / "manifest.json").read_bytes(),
            names,
        )
        return cls(kept, [(directory / name).read_bytes() for name in names], bytes.fromhex(manifest.app_hash))

    def resealed(self, **changes: object) -> "Offered":
        """The same with another manifest, whose digest fits."""
        manifest = json.loads(self.kept.metadata)
        manifest.update(changes)
        manifest.pop("digest")
        digest = hashlib.sha256(canonical.encode(manifest)).digest()
        metadata = canonical.encode({**manifest, "digest": digest.hex()})
        height, form = manifest["height"], manifest["format"]
        names = tuple(chunk["name"] for chunk in manifest["chunks"])
        return Offered(Kept(height, form, digest, metadata, names), self.contents, self.app_hash)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Offered:
    """A snapshot of a chain at height 12, with 250 documents, in chunks of at most 20 kB."""
    home = tmp_path_factory.mktemp("peer")
    chain = DecidedChain(home / "ledger").blocks(HEIGHT, transactions=20)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(files, "CHUNK_BYTES", 20_000)
        chain.store.checkpoint(home / "frozen")
        frozen = RocksStore(home / "frozen")
        write_snapshot(frozen, home / "snapshot")
        frozen.close()
    chain.close()
    offered = Offered.read(home / "snapshot")
    assert len(offered.contents) > 6
    return offered


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = RocksStore(tmp_path / "joining" / "ledger", cache_bytes=8 << 20)
    yield store
    store.close()


def taking_into(store: Store, confirmed: bytes) -> SnapshotTaking:
    return SnapshotTaking(store, consortium_genesis(), lambda _: confirmed)


def offer_to(taking: SnapshotTaking, offered: Offered, **other: Any) -> tuple[OfferAnswer, str]:
    kept = offered.kept
    asked: dict[str, Any] = {
        "height": kept.height,
        "snapshot_format": kept.format,
        "chunks": len(kept.chunks),
        "digest": kept.digest,
        "metadata": kept.metadata,
        "app_hash": offered.app_hash,
    }
    offer = taking.offer(**{**asked, **other})
    return offer.answer, offer.reason


def accepted(store: Store, offered: Offered) -> SnapshotTaking:
    taking = taking_into(store, offered.kept.digest)
    assert offer_to(taking, offered) == (OfferAnswer.ACCEPT, "")
    return taking


def take_all(taking: SnapshotTaking, offered: Offered) -> None:
    """Hand all chunks on in order."""
    for index, content in enumerate(offered.contents):
        applied = taking.apply(index, content, SENDER)
        assert applied.answer is ChunkAnswer.ACCEPT, applied.reason
        assert applied.is_restored == (index == len(offered.contents) - 1)


def rows(store: Store) -> dict[tuple[Family, bytes], bytes]:
    return {(family, key): value for family in Family for key, value in store.range(family, b"")}


def check_not_a_ledger(store: Store) -> None:
    with pytest.raises(DecodeError, match="not restored to its end"):
        open_ledger(store, consortium_genesis())


# Joining


def test_who_joins_goes_on_as_the_others_do(peer: Offered, tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "joined")
    take_all(accepted(store, peer), peer)
    store.close()
    joined = DecidedChain(tmp_path / "joined")
    other = DecidedChain(tmp_path / "other").blocks(HEIGHT, transactions=20)
    assert (joined.height, joined.app_hash) == (HEIGHT, peer.app_hash) == (other.height, other.app_hash)
    mine, theirs = (
        SnapshotShelf(tmp_path / "mine", joined.store, 15, 1),
        SnapshotShelf(tmp_path / "s", other.store, 15, 1),
    )
    while joined.height < 20:
        assert joined.block().block.results == other.block().block.results
        assert joined.app_hash == other.app_hash
        for chain, shelf in ((joined, mine), (other, theirs)):
            shelf.after_commit(chain.height)
    mine.wait()
    theirs.wait()
    assert mine.kept() == theirs.kept() != []
    archived = (Family.BLOCKS, Family.LIGHTS)
    kept = {key: value for key, value in rows(other.store).items() if key[0] not in archived}
    assert {key: value for key, value in rows(joined.store).items() if key[0] not in archived} == kept
    joined.close()
    other.close()


def test_it_is_not_a_copy_that_may_order_nothing(peer: Offered, store: Store) -> None:
    take_all(accepted(store, peer), peer)
    assert open_ledger(store, consortium_genesis()).copied_at is None


def test_a_ledger_that_holds_only_its_genesis_gives_way(peer: Offered, store: Store) -> None:
    open_ledger(store, consortium_genesis())
    take_all(accepted(store, peer), peer)
    assert open_ledger(store, consortium_genesis()).tip.height == HEIGHT


def test_cometbft_may_begin_again_until_the_first_block(peer: Offered, store: Store) -> None:
    """It lost what it had synced, the ledger did not."""
    take_all(accepted(store, peer), peer)
    before = rows(store)
    take_all(accepted(store, peer), peer)
    assert rows(store) == before


def test_a_ledger_that_holds_blocks_never_gives_way(peer: Offered, tmp_path: Path) -> None:
    chain = DecidedChain(tmp_path / "ledger").blocks(1)
    before = rows(chain.store)
    answer, reason = offer_to(taking_into(chain.store, peer.kept.digest), peer)
    assert answer is OfferAnswer.ABORT
    assert "holds blocks" in reason
    assert rows(chain.store) == before
    chain.close()


def test_the_ledger_of_who_joined_is_checked_from_the_snapshot_on(peer: Offered, tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.genesis.write_bytes(codec.encode(consortium_genesis()))
    store = RocksStore(home.ledger)
    take_all(accepted(store, peer), peer)
    store.close()
    DecidedChain(home.ledger).blocks(16).close()
    found = checked(home)
    assert found.fault is not None
    assert "blocks below 13 are not kept here" in found.fault.what
    for height in (11, HEIGHT, 15, 17):  # 11 lacks a block that follows it, 15 would leave some unchecked
        write_peer(peer, home.snapshots / str(height))
    store = RocksStore(home.ledger)
    check = Check(store, consortium_genesis(), tmp_path / "replica", home.snapshots / str(HEIGHT))
    done: list[int] = []
    assert check.run(done.append) is None
    assert (check.height, sum(done)) == (16, 4)
    store.close()
    alter_a_receipt(home.ledger)
    found = checked(home)
    assert found.snapshot is not None
    assert (found.snapshot.digest, found.blocks) == (peer.kept.digest.hex(), 4)
    assert found.fault is not None
    assert found.fault.where.startswith("receipt of ")
    assert found.fault.what == "is not as the blocks wrote it"


def checked(home: Home) -> Replayed:
    return replay_ledger(home, home.ledger, home.path / "fsck", lambda _what, _steps: nullcontext(lambda _: None))


def alter_a_receipt(ledger: Path) -> None:
    store = RocksStore(ledger)
    key, receipt = next(store.range(Family.RECEIPTS, b""))
    batch = Batch()
    batch.put(Family.RECEIPTS, key, bytes(len(receipt)))
    store.write(batch)
    store.close()


def write_peer(peer: Offered, directory: Path) -> None:
    """The peer's snapshot as files, as it lies on a shelf."""
    directory.mkdir(parents=True)
    (directory / "manifest.json").write_bytes(peer.kept.metadata)
    (directory / "genesis.json").write_bytes(codec.encode(consortium_genesis()))
    for name, content in zip(peer.kept.chunks, peer.contents, strict=True):
        (directory / name).write_bytes(content)


# What a peer may offer

FOREIGN = {
    "chain_id": ("another-chain", "of the chain another-chain"),
    "genesis": ("00" * 32, "of another genesis"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_snapshot_of_something_else_is_refused(peer: Offered, store: Store, name: str) -> None:
    value, reason = FOREIGN[name]
    other = peer.resealed(**{name: value})
    answer = offer_to(taking_into(store, other.kept.digest), other)
    assert answer == (OfferAnswer.REJECT, f"snapshot of height {HEIGHT}: {reason}")
    assert not rows(store)


def test_an_app_hash_that_the_validators_did_not_sign_is_refused(peer: Offered, store: Store) -> None:
    answer, reason = offer_to(taking_into(store, peer.kept.digest), peer, app_hash=bytes(32))
    assert answer is OfferAnswer.REJECT
    assert "app hash is not the one" in reason


LIES: dict[str, tuple[Callable[[Offered], dict[str, Any]], str]] = {
    "unreadable": (lambda _: {"metadata": b"\xff"}, "malformed"),
    "cut": (lambda peer: {"metadata": peer.kept.metadata[:-1]}, "truncated"),
    "not canonical": (lambda peer: {"metadata": peer.kept.metadata + b" "}, "canonical"),
    "altered": (lambda peer: {"metadata": peer.kept.metadata.replace(b'"rows":', b'"rows":1', 1)}, "digest"),
    "another hash": (lambda _: {"digest": bytes(32)}, "not the manifest's digest"),
    "another height": (lambda _: {"height": HEIGHT + 1}, f"the manifest is of height {HEIGHT}"),
    "more chunks": (lambda peer: {"chunks": len(peer.contents) + 1}, "chunks are offered"),
    "other roots": (lambda peer: _metadata(peer.resealed(state_root="00" * 32)), "contradict each other"),
    "another tip": (lambda peer: _metadata(peer.resealed(tip="")), "the tip can't be read"),
    "no chunks": (lambda peer: {**_metadata(peer.resealed(chunks=[])), "chunks": 0}, "0 chunks are offered"),
    "vast chunks": (lambda peer: _metadata(_vast(peer)), "a chunk of more than"),
}


def _metadata(other: Offered) -> dict[str, Any]:
    return {"metadata": other.kept.metadata, "digest": other.kept.digest}


def _vast(peer: Offered) -> Offered:
    chunks = json.loads(peer.kept.metadata)["chunks"]
    return peer.resealed(chunks=[{**chunks[0], "size": 15_900_001}, *chunks[1:]])


@pytest.mark.parametrize("lie", LIES)
def test_what_no_honest_node_offers_costs_the_sender_its_place(peer: Offered, store: Store, lie: str) -> None:
    changed, said = LIES[lie]
    answer, reason = offer_to(taking_into(store, peer.kept.digest), peer, **changed(peer))
    assert answer is OfferAnswer.REJECT_SENDER, reason
    assert f"snapshot of height {changed(peer).get('height', HEIGHT)}" in reason
    assert said in reason
    assert not rows(store)


def test_another_format_is_refused_as_a_format(peer: Offered, store: Store) -> None:
    answer, reason = offer_to(taking_into(store, peer.kept.digest), peer, snapshot_format=2)
    assert answer is OfferAnswer.REJECT_FORMAT
    assert "format 2" in reason


def test_receipts_that_the_servers_do_not_know_are_refused(peer: Offered, store: Store) -> None:
    """The state root says nothing of receipts: without this, a peer could leave one out, and the step be done twice."""
    chunks = json.loads(peer.kept.metadata)["chunks"]
    fewer = peer.resealed(chunks=[chunk for chunk in chunks if chunk["family"] != "receipts"])
    answer, reason = offer_to(taking_into(store, peer.kept.digest), fewer)
    assert answer is OfferAnswer.REJECT
    assert f"the RPC servers have another one, {peer.kept.digest.hex()}" in reason


def test_what_nobody_confirms_is_refused(peer: Offered, store: Store) -> None:
    def nobody(height: int) -> bytes:
        raise DecodeError("0 of the RPC servers confirm it; 2 must", f"snapshot of height {height}")

    answer = offer_to(SnapshotTaking(store, consortium_genesis(), nobody), peer)
    assert answer == (OfferAnswer.REJECT, f"snapshot of height {HEIGHT}: 0 of the RPC servers confirm it; 2 must")


# Chunks


def test_an_altered_chunk_is_fetched_again_from_others(peer: Offered, store: Store) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    taking = accepted(store, peer)
    for index, content in enumerate(peer.contents):
        at = chance.randrange(len(content))
        altered = content[:at] + bytes((content[at] ^ 1 << chance.randrange(8),)) + content[at + 1 :]
        before = rows(store)
        for bad in (altered, content[:-1], content + b"\x00", b"", peer.contents[index - 1]):
            applied = taking.apply(index, bad, "a liar")
            assert (applied.answer, applied.refetch, applied.rejected_senders) == (
                ChunkAnswer.RETRY,
                (index,),
                ("a liar",),
            )
            assert f"snapshot of height {HEIGHT}/{peer.kept.chunks[index]}" in applied.reason
        assert rows(store) == before, "rows of an altered chunk were written"
        assert taking.apply(index, content, SENDER).answer is ChunkAnswer.ACCEPT
    assert open_ledger(store, None).tip.height == HEIGHT


def test_chunks_may_come_again_and_all_anew(peer: Offered, store: Store) -> None:
    taking = accepted(store, peer)
    for index in (0, 0, 1, 0, 1):
        assert taking.apply(index, peer.contents[index], SENDER).answer is ChunkAnswer.ACCEPT
    early = taking.apply(4, peer.contents[4], SENDER)
    assert (early.answer, early.reason) == (ChunkAnswer.RETRY_SNAPSHOT, "chunk 4 came before chunk 2")
    assert taking.apply(2, peer.contents[2], SENDER).answer is ChunkAnswer.REJECT_SNAPSHOT
    check_not_a_ledger(store)
    assert offer_to(taking, peer) == (OfferAnswer.ACCEPT, "")  # CometBFT offers it once more, and hands all on again
    take_all(taking, peer)
    assert open_ledger(store, None).tip.height == HEIGHT


def test_nothing_is_left_of_a_snapshot_that_was_given_up(peer: Offered, store: Store, tmp_path: Path) -> None:
    other = DecidedChain(tmp_path / "other").blocks(3)
    write_snapshot(other.store, tmp_path / "snapshot")
    other.close()
    earlier = Offered.read(tmp_path / "snapshot")
    taking = SnapshotTaking(store, consortium_genesis(), lambda height: {3: earlier, HEIGHT: peer}[height].kept.digest)
    assert offer_to(taking, peer)[0] is OfferAnswer.ACCEPT
    for index in range(3):
        taking.apply(index, peer.contents[index], SENDER)
    assert offer_to(taking, earlier)[0] is OfferAnswer.ACCEPT
    take_all(taking, earlier)
    alone = RocksStore(tmp_path / "alone")
    take_all(accepted(alone, earlier), earlier)
    assert rows(store) == rows(alone)
    alone.close()


def test_rows_that_do_not_have_the_signed_root_are_refused(peer: Offered, store: Store) -> None:
    """Even of a manifest that servers confirm."""
    chunks = json.loads(peer.kept.metadata)["chunks"]
    short = peer.resealed(chunks=chunks[1:])
    short.contents = peer.contents[1:]
    taking = accepted(store, short)
    answers = [taking.apply(index, content, SENDER) for index, content in enumerate(short.contents)]
    assert {applied.answer for applied in answers[:-1]} == {ChunkAnswer.ACCEPT}
    assert answers[-1].answer is ChunkAnswer.REJECT_SNAPSHOT
    assert "do not have the state root" in answers[-1].reason
    check_not_a_ledger(store)
    take_all(accepted(store, peer), peer)


def test_rows_out_of_order_are_refused(peer: Offered, store: Store) -> None:
    chunks = json.loads(peer.kept.metadata)["chunks"]
    turned = peer.resealed(chunks=[chunks[1], chunks[0], *chunks[2:]])
    taking = accepted(store, turned)
    assert taking.apply(0, peer.contents[1], SENDER).answer is ChunkAnswer.ACCEPT
    applied = taking.apply(1, peer.contents[0], SENDER)
    assert applied.answer is ChunkAnswer.REJECT_SNAPSHOT
    assert "out of order" in applied.reason


def test_a_chunk_without_an_offer_is_refused(peer: Offered, store: Store) -> None:
    applied = taking_into(store, peer.kept.digest).apply(0, peer.contents[0], SENDER)
    assert applied.answer is ChunkAnswer.REJECT_SNAPSHOT
    assert not rows(store)


# What the operator's servers say


@dataclass
class Server:
    """A node whose answers a test writes; the last one is given again and again."""

    address: str
    answers: list[bytes | Exception]
    asked: list[str] = field(default_factory=list)

    def abci_query(self, path: str, data: bytes = b"") -> bytes:
        self.asked.append(path)
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Time:
    """A clock that goes on by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


ONE, TWO = b"1" * 64, b"2" * 64


def confirmed(*servers: Server) -> bytes:
    clock = Time()
    return confirmed_digest(servers, 20, clock=clock, sleep=clock.sleep)


def test_two_servers_confirm() -> None:
    first, second = Server("a:1", [ONE]), Server("b:1", [ONE])
    assert confirmed(first, second) == b"\x11" * 32
    assert first.asked == second.asked == ["/snapshot/20"]


def test_a_server_that_is_still_writing_is_asked_again() -> None:
    late = Server("b:1", [b"", RpcUnreachable("no"), RpcRefused(1, "no"), DecodeError("no"), b"not hex", ONE])
    assert confirmed(Server("a:1", [ONE]), late) == b"\x11" * 32
    assert len(late.asked) == 6


def test_one_server_is_not_enough_and_none_speaks_twice() -> None:
    silent = Server("b:1", [RpcUnreachable("no")])
    for servers in (
        (Server("a:1", [ONE]),),
        (Server("a:1", [ONE]), silent),
        (Server("a:1", [ONE]), Server("a:1", [ONE])),
    ):
        with pytest.raises(DecodeError, match="snapshot of height 20: 1 of the RPC servers confirm it; 2 must"):
            confirmed(*servers)
    with pytest.raises(DecodeError, match="0 of the RPC servers"):
        confirmed()


def test_servers_that_contradict_each_other_confirm_nothing() -> None:
    with pytest.raises(DecodeError, match=r"contradict each other \(a:1: 1{64}, b:1: 1{64}, c:1: 2{64}\)"):
        confirmed(Server("a:1", [ONE]), Server("b:1", [ONE]), Server("c:1", [TWO]))


# As CometBFT asks


def test_messages_of_the_one_node_are_answers_for_the_other(peer: Offered, store: Store, tmp_path: Path) -> None:
    chain = DecidedChain(tmp_path / "ledger")
    shelf = SnapshotShelf(tmp_path / "shelf", chain.store, 5, keep=2)
    restored: list[bool] = []
    retention = Retention(blocks=3, evidence_blocks=4, archived_until=lambda: 9)
    serving = SnapshotExchange(shelf, taking_into(chain.store, b""), retention, restored.clear)
    told = []
    for _ in range(12):
        chain.block()
        told.append(serving.after_commit(chain.height))
        shelf.wait()
    assert told == [0] * 9 + [5, 0, 0]  # at height 5, none was kept yet; at 10, that of 5 is the oldest
    newest = serving.list_snapshots()[-1]
    app_hash = bytes.fromhex(files.read_manifest(tmp_path / "shelf" / "10").app_hash)
    mine = SnapshotShelf(tmp_path / "mine", store, 5, keep=2)
    joining = SnapshotExchange(
        mine,
        taking_into(store, bytes.fromhex(serving.digest(10))),
        retention,
        lambda: restored.append(True),
    )
    assert joining.offer(newest, app_hash).result == abci.ResponseOfferSnapshot.ACCEPT
    asked = abci.RequestApplySnapshotChunk(index=0, chunk=b"altered", sender="liar")
    answer = joining.apply(asked)
    assert answer.result == abci.ResponseApplySnapshotChunk.RETRY
    assert (list(answer.refetch_chunks), list(answer.reject_senders)) == ([0], ["liar"])
    for index in range(newest.chunks):
        assert restored == []
        chunk = serving.load_chunk(newest.height, newest.format, index)
        answer = joining.apply(abci.RequestApplySnapshotChunk(index=index, chunk=chunk, sender=SENDER))
        assert answer.result == abci.ResponseApplySnapshotChunk.ACCEPT
    assert restored == [True]
    assert open_ledger(store, None).tip.height == 10
    mine.wait()
    assert mine.digest(10) == serving.digest(10)
    chain.close()


def test_answers_are_cometbfts_numbers() -> None:
    for ours, theirs in ((OfferAnswer, abci.ResponseOfferSnapshot), (ChunkAnswer, abci.ResponseApplySnapshotChunk)):
        assert {one.name: int(one) for one in ours} == {n: v for n, v in theirs.Result.items() if n != "UNKNOWN"}


# Killed at any instant


def test_a_half_restored_ledger_is_abandoned_at_the_start(peer: Offered, tmp_path: Path) -> None:
    path = tmp_path / "home" / "ledger"
    store = RocksStore(path)
    taking = accepted(store, peer)
    taking.apply(0, peer.contents[0], SENDER)
    store.close()
    assert abandon_half_restored(path)
    assert not list(path.parent.iterdir())
    assert not abandon_half_restored(path)
    (path.parent / ".ledger.abandoned").mkdir()  # killed while it was emptied
    whole = DecidedChain(path).blocks(2)
    whole.close()
    assert not abandon_half_restored(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["ledger"]
    whole = DecidedChain(path)
    assert whole.height == 2
    whole.close()


def test_a_node_that_is_killed_while_it_restores_begins_again(peer: Offered, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    peers = tmp_path / "peer"
    write_peer(peer, peers)
    halves = 0
    for number in range(6):
        path = tmp_path / f"ledger{number}"
        is_done = run_and_kill(path, peers, chance.random() * 0.4)
        was_half = abandon_half_restored(path)
        halves += was_half
        assert not (is_done and was_half), "what was told as restored was not"
        chain = DecidedChain(path)
        assert (chain.height, chain.app_hash) in {(0, chain.app_hash), (HEIGHT, peer.app_hash)}
        chain.close()
        store = RocksStore(path)
        take_all(accepted(store, peer), peer)
        store.close()
        chain = DecidedChain(path)
        assert (chain.height, chain.app_hash) == (HEIGHT, peer.app_hash)
        chain.close()
        shutil.rmtree(path)
    assert halves, "it was never killed in the middle"


def run_and_kill(path: Path, peers: Path, seconds: float) -> bool:
    """Restore in a process and kill it so long after the first chunk; returns whether it said that it is done."""
    command = [sys.executable, "-m", "tests.ledger.joining_node", str(path), str(peers)]
    node = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert node.stdout is not None
    assert node.stdout.readline() == b"begun\n"
    time.sleep(seconds)
    node.send_signal(signal.SIGKILL)
    node.wait()
    said = node.stdout.read()
    node.stdout.close()
    return said == b"restored\n"
