"""Damage on the disk gives a clear error that names the place, never another ledger silently."""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tallystick.ledger.engine import Cursor, Outcome
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.signing_guard import SigningGuard
from tallystick.ledger.store import Family, RocksStore, StoreFailure
from tallystick.wire import envelope
from tallystick.wire.errors import DecodeError
from tests.conformance.chain import until_proven
from tests.support.ledger import NODE_KEY, Consortium, OwnClock, genesis

_caches = itertools.count(1 << 20)  # a cache of its own for each opening: RocksDB shares blocks between copies


def opened(home: Path) -> EmbeddedEngine:
    store = RocksStore(home / "ledger", cache_bytes=next(_caches))
    try:
        return EmbeddedEngine(store, NODE_KEY, genesis(), OwnClock(), SigningGuard(home / "signed"))
    except BaseException:
        store.close()
        raise


class Sound:
    """A ledger with rows in sorted files and in the log, and what it answered."""

    def __init__(self, place: Path) -> None:
        consortium = Consortium()
        self.home = place / "sound"
        home = place / "written"
        home.mkdir()
        self.raws = [consortium.anchoring(f"paper {number}") for number in range(260)]
        engine = opened(home)
        self.outcomes: list[Outcome] = engine.submit_many(self.raws[:200])
        engine.backup(home / "flushed")  # a checkpoint writes what is in memory to sorted files
        self.outcomes += engine.submit_many(self.raws[200:240])
        self.outcomes += [engine.submit(raw) for raw in self.raws[240:]]
        until_proven(engine, "protocol/chain")
        shutil.rmtree(home / "flushed")
        shutil.copytree(home, self.home)  # as a kill leaves it: closing would empty the log
        engine.close()

    def check(self, home: Path) -> None:
        """Read everything there is and compare."""
        engine = opened(home)
        try:
            assert [engine.result(envelope.parse(raw).body_hash) for raw in self.raws] == self.outcomes
            assert len(engine.scan("document", limit=10_000)) == len(self.raws)
            assert len(engine.events(Cursor(), 10_000)) == len(self.raws)
            for family in Family:
                for _ in engine._store.range(family, b""):
                    pass
        finally:
            engine.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    return Sound(tmp_path_factory.mktemp("sound"))


def flip(tenths: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[(len(content) - 1) * tenths // 10] ^= 0x10
        path.write_bytes(content)

    return damage


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a bit near its start": flip(1),
    "a bit in its middle": flip(5),
    "a bit near its end": flip(9),
    "its second half is gone": cut,
    "it is empty": empty,
    "it is gone": Path.unlink,
}
MATTERS = ("*.sst", "*.log", "CURRENT", "MANIFEST-*")


def files_that_matter(home: Path) -> list[str]:
    found = [path for pattern in MATTERS for path in (home / "ledger").glob(pattern) if path.stat().st_size]
    return sorted(path.name for path in found)


def test_without_damage_everything_is_there(sound: Sound, tmp_path: Path) -> None:
    shutil.copytree(sound.home, tmp_path / "home")  # opening writes the log's rows to tables
    sound.check(tmp_path / "home")


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told(sound: Sound, tmp_path: Path, damage: str) -> None:
    names = files_that_matter(sound.home)
    assert {Path(name).suffix for name in names} >= {".sst", ".log"}
    for name in names:
        home = tmp_path / name
        shutil.copytree(sound.home, home)
        DAMAGES[damage](home / "ledger" / name)
        try:
            sound.check(home)
        except (DecodeError, StoreFailure) as told:
            said = str(told)
        else:  # a table's footer has bytes that nobody needs; then everything is there
            assert name.endswith(".sst"), f"{name}, {damage}: nothing was noticed"
            assert damage.startswith("a bit"), f"{name}, {damage}: nothing was noticed"
            continue
        assert str(home) in said, f"{name}, {damage}: {said}"


def test_most_flipped_bits_of_a_table_are_noticed(sound: Sound, tmp_path: Path) -> None:
    """The last test may pass over bits that are in no row; those that are in one it must see."""
    largest = max((sound.home / "ledger").glob("*.sst"), key=lambda path: path.stat().st_size)
    noticed = 0
    for tenths in range(1, 8):
        home = tmp_path / str(tenths)
        shutil.copytree(sound.home, home)
        flip(tenths)(home / "ledger" / largest.name)
        try:
            sound.check(home)
        except (DecodeError, StoreFailure):
            noticed += 1
    assert noticed == 7


def test_a_lost_end_of_the_log_is_noticed_by_the_guard(sound: Sound, tmp_path: Path) -> None:
    """Cut off between two records, the log looks whole. What this node has signed stands elsewhere."""
    shutil.copytree(sound.home, tmp_path / "home")
    older = tmp_path / "older"
    engine = opened(tmp_path / "home")
    shutil.copytree(tmp_path / "home", older)
    engine.submit(Consortium(prefix="more").anchoring("more"))
    engine.close()
    shutil.copy(tmp_path / "home" / "signed", older / "signed")
    with pytest.raises(DecodeError, match="it is an old copy") as told:
        opened(older)
    assert str(older / "signed") in str(told.value)


def test_a_ledger_without_its_current_file_is_not_begun_anew(sound: Sound, tmp_path: Path) -> None:
    shutil.copytree(sound.home, tmp_path / "home")
    ledger = tmp_path / "home" / "ledger"
    for path in (ledger / "CURRENT", *ledger.glob("*.log"), tmp_path / "home" / "signed"):
        path.unlink()
    tables = sorted(path.name for path in ledger.glob("*.sst"))
    with pytest.raises(DecodeError, match=str(ledger)):
        opened(tmp_path / "home")
    assert sorted(path.name for path in ledger.glob("*.sst")) == tables


def test_another_genesis_or_key_is_refused(sound: Sound, tmp_path: Path) -> None:
    shutil.copytree(sound.home, tmp_path / "home")
    store = RocksStore(tmp_path / "home" / "ledger", cache_bytes=next(_caches))
    with pytest.raises(DecodeError, match="another genesis"):
        EmbeddedEngine(store, NODE_KEY, genesis("other-chain"), OwnClock())
    with pytest.raises(DecodeError, match="not the validator"):
        EmbeddedEngine(store, type(NODE_KEY).generate(), genesis(), OwnClock())
    store.close()
