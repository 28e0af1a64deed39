"""Homes of a consortium that goes on with a closed ledger's home."""

import shutil
from pathlib import Path

import pytest

from tallystick.kernel.genesis import Genesis
from tallystick.ledger.comet.decided import DecidedLedger
from tallystick.ledger.engine import Cursor
from tallystick.ledger.store import RocksStore
from tallystick.node import growth
from tallystick.node.composition import LedgerInUse, open_engine, read_genesis, write_genesis
from tallystick.node.home import Home
from tallystick.node.key_store import Passphrases
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant
from tests.support.grown import NAMES, Former
from tests.support.ledger import OwnClock
from tests.support.members import key_of, public

NAMED = {public(key_of(name)): name for name in NAMES}


def later() -> Instant:
    return Instant(OwnClock()() + 60_000)


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The home of a closed ledger."""
    made = Former(tmp_path_factory.mktemp("former"))
    write_genesis(Home(made.home), made.genesis)
    made.close()
    return Home(made.home)


@pytest.fixture(scope="module")
def target(former: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("target") / "consortium"
    growth.prepare(former, path, NAMED, later())
    return path


def member(target: Path, home: Path) -> Home:
    growth.hand_out(target, Home(home))
    return Home(home)


def height_and_app_hash(home: Home) -> tuple[int, bytes, bool]:
    """What a member's node begins with, and whether it has the old blocks."""
    ledger = DecidedLedger(RocksStore(home.ledger), read_genesis(home))
    health = ledger._state_of_health((), 0)
    try:
        has_blocks = bool(ledger.events(Cursor()))
    except LookupError:
        has_blocks = False
    ledger._store.close()
    return health.height, health.app_hash, has_blocks


def test_every_member_begins_alike_with_the_old_blocks_or_without(former: Home, target: Path, tmp_path: Path) -> None:
    one, two = member(target, tmp_path / "one"), member(target, tmp_path / "two")
    with_blocks, without = growth.begin(one, former.ledger), growth.begin(two)
    assert with_blocks.carried_blocks == with_blocks.initial_height - 1
    assert without.carried_blocks == 0
    first, second = height_and_app_hash(one), height_and_app_hash(two)
    assert first[:2] == second[:2]
    assert (first[2], second[2]) == (True, False)


def test_the_old_genesis_goes_along(former: Home, target: Path, tmp_path: Path) -> None:
    home = member(target, tmp_path / "one")
    assert growth.predecessor_genesis(home).read_bytes() == former.genesis.read_bytes()
    genesis: Genesis = read_genesis(home)
    assert [one.name for one in genesis.validators] == NAMES


def test_nothing_is_written_over(former: Home, target: Path, tmp_path: Path) -> None:
    home = member(target, tmp_path / "one")
    with pytest.raises(DecodeError, match="created here already"):
        growth.hand_out(target, home)
    with pytest.raises(DecodeError, match="prepared here already"):
        growth.prepare(former, target, NAMED, later())
    growth.begin(home)
    with pytest.raises(DecodeError, match="stands here already"):
        growth.begin(home)


def test_what_fails_leaves_no_half_of_a_ledger(former: Home, target: Path, tmp_path: Path) -> None:
    home = member(target, tmp_path / "one")
    with pytest.raises(DecodeError, match="no ledger here"):
        growth.begin(home, tmp_path / "nowhere")
    assert not home.ledger.exists()
    chunk = next((home.path / "predecessor" / "snapshot").glob("*.rows"))
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-1])
    with pytest.raises(DecodeError, match="bytes long"):
        growth.begin(home)
    assert sorted(path.name for path in home.path.iterdir()) == ["genesis.json", "predecessor"]
    chunk.write_bytes(content)
    (home.path / growth.DRAFT).mkdir()  # as a kill in the middle leaves it
    growth.begin(home)
    assert home.ledger.exists()


def test_a_ledger_that_is_not_closed_has_no_successor(tmp_path: Path) -> None:
    open_still = Former(tmp_path / "former")
    write_genesis(Home(open_still.home), open_still.genesis)
    open_still.running.close()
    for _ in range(2):
        with pytest.raises(DecodeError, match="close it first"):
            growth.prepare(Home(open_still.home), tmp_path / "consortium", NAMED, later())
    assert list((tmp_path / "consortium").iterdir()) == []


def test_looking_begins_nothing(target: Path, tmp_path: Path) -> None:
    home = member(target, tmp_path / "one")
    with pytest.raises(DecodeError, match="not begun yet"):
        open_engine(home, Passphrases(()), reading=True)
    assert not home.ledger.exists()
    growth.begin(home)
    engine = open_engine(home, Passphrases(()), reading=True)
    assert engine.query("predecessor/chain").record is not None
    engine.close()


def test_an_ordinary_chain_begins_without_a_predecessor(former: Home) -> None:
    with pytest.raises(DecodeError, match="goes on from no other"):
        growth.begin(former)


def test_a_running_node_is_stopped_first(former: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Home(Path(shutil.copytree(former.path, tmp_path / "former")))
    monkeypatch.setattr(growth, "node_answers", lambda _home: True)
    with pytest.raises(LedgerInUse):
        growth.prepare(copy, tmp_path / "consortium", NAMED, later())
