"""fsck replays a ledger from its genesis, finds each single row that was damaged, and goes on where it was stopped."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallystick.ledger.archive import Archive, ArchivedBlock, Light, decode_body, encode_body, encode_light, height_key
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.fsck import Check, Fault
from tallystick.ledger.restoring import back_up, open_revision
from tallystick.ledger.signing_guard import SigningGuard
from tallystick.ledger.store import Family, RocksStore, Store
from tallystick.wire.errors import DecodeError
from tests.conformance.chain import until_proven
from tests.support.ledger import NODE_KEY, Consortium, OwnClock, genesis
from tests.support.stores import AlteredStore


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RocksStore]:
    """Some blocks with accepted and refused transactions, as a stopped node leaves them."""
    home = tmp_path_factory.mktemp("fsck")
    consortium = Consortium()
    engine = EmbeddedEngine(RocksStore(home / "ledger"), NODE_KEY, genesis(), OwnClock(), SigningGuard(home / "signed"))
    for number in range(12):
        raws = [consortium.anchoring(f"paper {number} {copy}") for copy in range(3)]
        raws.append(consortium.anchoring("no such", earlier="doc_0000000000000000"))
        engine.submit_many(raws)
    until_proven(engine, "protocol/chain")
    engine.close()
    store = RocksStore(home / "ledger")
    yield store
    store.close()


def checked(store: Store, scratch: Path) -> Fault | None:
    return Check(store, genesis(), scratch).run(lambda _: None)


def test_a_sound_ledger_holds_and_leaves_no_scratch(ledger: RocksStore, tmp_path: Path) -> None:
    blocks: list[int] = []
    check = Check(ledger, genesis(), tmp_path / "scratch")

    assert check.run(blocks.append) is None

    assert len(blocks) == check.height == check.checked > 10
    assert not (tmp_path / "scratch").exists()


def _number(key: bytes) -> int:
    return int.from_bytes(key, "big")


def blocks_of(store: Store) -> list[ArchivedBlock]:
    return list(Archive(store).blocks(1))


def busy_block(store: Store) -> ArchivedBlock:
    return next(block for block in blocks_of(store)[3:] if len(block.transactions) > 1)


def with_body(block: ArchivedBlock, **fields: Any) -> ArchivedBlock:
    return msgspec.structs.replace(block, body=msgspec.structs.replace(block.body, **fields))


def other(value: Any) -> Any:
    """A value of the same kind that is not the same."""
    match value:
        case bytes():
            return bytes([*value[:-1], value[-1] ^ 1]) if value else b"x"
        case str():
            return value + "x"
        case int():
            return value + 1
        case _:
            raise AssertionError(f"no other {value!r}")


@pytest.mark.parametrize(
    "field", ["chain_id", "height", "time", "data_hash", "app_hash", "validators_hash", "last_results_hash"]
)
def test_a_changed_header_is_found_at_its_height(ledger: RocksStore, field: str, tmp_path: Path) -> None:
    block = busy_block(ledger)
    header = replace(block.header, **{field: other(getattr(block.header, field))})
    _finds(ledger, block, msgspec.structs.replace(block, header=header), tmp_path)


@pytest.mark.parametrize("field", ["transactions", "codes", "data", "events"])
def test_a_changed_transaction_or_result_is_found_at_its_place(ledger: RocksStore, field: str, tmp_path: Path) -> None:
    block = busy_block(ledger)
    items = list(getattr(block.body, field))
    items[1] = other(items[1])
    fault = _finds(ledger, block, with_body(block, **{field: items}), tmp_path)
    if field != "transactions":
        assert fault.where == f"block {block.header.height}, transaction 1"


@pytest.mark.parametrize("field", ["transactions", "codes", "data", "events"])
def test_a_dropped_transaction_or_result_is_found(ledger: RocksStore, field: str, tmp_path: Path) -> None:
    block = busy_block(ledger)
    _finds(ledger, block, with_body(block, **{field: getattr(block.body, field)[:-1]}), tmp_path)


def test_a_changed_signature_is_found(ledger: RocksStore, tmp_path: Path) -> None:
    block = blocks_of(ledger)[-1]
    vote = block.commit.signatures[0]
    commit = replace(block.commit, signatures=(replace(vote, signature=other(vote.signature)),))
    _finds(ledger, block, msgspec.structs.replace(block, commit=commit), tmp_path)


def test_roots_and_due_work_are_held_to(ledger: RocksStore, tmp_path: Path) -> None:
    block = busy_block(ledger)
    _finds(ledger, block, with_body(block, due_events=b'[{"kind":"x","record":"y"}]'), tmp_path)
    _finds(ledger, block, with_body(block, roots=(block.body.roots[0], other(block.body.roots[1]))), tmp_path)


def test_another_form_of_the_same_block_is_found(ledger: RocksStore, tmp_path: Path) -> None:
    block = busy_block(ledger)
    raw = encode_body(block.body)
    looser = b"\xdc\x00" + bytes([raw[0] & 0x0F]) + raw[1:]  # the outer list with its length in two bytes
    assert decode_body(looser, 1) == block.body
    fault = checked(AlteredStore(ledger, Family.BLOCKS, height_key(block.header.height), looser), tmp_path / "scratch")
    assert str(fault) == f"block {block.header.height}: is not in the form in which blocks are kept"


def _finds(ledger: RocksStore, sound: ArchivedBlock, damaged: ArchivedBlock, tmp_path: Path) -> Fault:
    key = height_key(sound.header.height)
    if damaged.body == sound.body:
        altered = AlteredStore(ledger, Family.LIGHTS, key, encode_light(Light(damaged.header, damaged.commit)))
    else:
        altered = AlteredStore(ledger, Family.BLOCKS, key, encode_body(damaged.body))
    fault = checked(altered, tmp_path / "scratch")
    assert fault is not None
    assert fault.height == sound.header.height, fault
    assert fault.where.startswith(f"block {sound.header.height}"), fault
    return fault


def test_a_missing_block_is_named(ledger: RocksStore, tmp_path: Path) -> None:
    last = len(blocks_of(ledger))
    for height, what in (
        (5, "block 5: is missing; the next one kept is 6"),
        (last, f"block {last}: is missing; the ledger is at {last}"),
    ):
        fault = checked(AlteredStore(ledger, Family.BLOCKS, height_key(height), None), tmp_path / "scratch")
        assert str(fault) == what


def test_a_ledger_without_its_first_blocks_says_so(ledger: RocksStore, tmp_path: Path) -> None:
    fault = checked(AlteredStore(ledger, Family.BLOCKS, height_key(1), None), tmp_path / "scratch")
    assert str(fault) == "block 1: blocks below 2 are not kept here; check a ledger that has them"


def test_the_ledger_is_not_believed_about_its_genesis(ledger: RocksStore, tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="another genesis than the one given"):
        Check(ledger, genesis("another-chain"), tmp_path / "scratch")
    with pytest.raises(DecodeError, match="there is no ledger here"):
        Check(AlteredStore(ledger, Family.META, b"genesis", None), genesis(), tmp_path / "scratch")


def test_it_goes_on_where_it_was_stopped(ledger: RocksStore, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    stopped = Check(ledger, genesis(), scratch)

    class Stopped(Exception):
        pass

    def stop_at_six(_: int) -> None:
        if stopped.checked == 6:
            raise Stopped

    with pytest.raises(Stopped):
        stopped.run(stop_at_six)
    stopped.stop()

    again = Check(ledger, genesis(), scratch)
    assert again.checked == 6
    done: list[int] = []
    assert again.run(done.append) is None
    assert len(done) == again.height - 6


def test_the_replica_of_another_ledger_is_thrown_away(ledger: RocksStore, tmp_path: Path) -> None:
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    engine = EmbeddedEngine(RocksStore(home / "ledger"), NODE_KEY, genesis(), OwnClock(), SigningGuard(home / "signed"))
    engine.submit(Consortium().anchoring("of another history"))
    until_proven(engine, "protocol/chain")
    engine.close()
    store = RocksStore(home / "ledger")
    elsewhere = Check(store, genesis(), scratch)
    elsewhere._first_bad_block(lambda _: None)
    elsewhere.stop()
    store.close()

    check = Check(ledger, genesis(), scratch)
    assert check.checked == 0
    assert check.run(lambda _: None) is None


def test_a_copy_and_a_new_revision_hold_too(ledger: RocksStore, tmp_path: Path) -> None:
    back_up(ledger, tmp_path / "copy")
    copy = RocksStore(tmp_path / "copy")
    assert checked(copy, tmp_path / "scratch") is None
    open_revision(copy, "tallystick-engine-test-2")
    copy.close()
    engine = EmbeddedEngine(
        RocksStore(tmp_path / "copy"), NODE_KEY, genesis(), OwnClock(), SigningGuard(tmp_path / "signed")
    )
    engine.submit(Consortium("tallystick-engine-test-2").anchoring("after the fork"))
    until_proven(engine, "protocol/chain")
    engine.close()
    forked = RocksStore(tmp_path / "copy")
    assert checked(forked, tmp_path / "scratch") is None
    forked.close()
