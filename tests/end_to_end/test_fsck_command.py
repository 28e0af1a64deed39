"""`tally fsck` on a home: a sound ledger holds, a damaged row and a rule that is broken are named."""

import hashlib
from pathlib import Path

import pytest

from tallystick.ledger.store import Batch, Family, RocksStore
from tests.support.commands import Tally, make_home

pytestmark = pytest.mark.engine


@pytest.fixture
def tally(tmp_path: Path) -> Tally:
    """A home on whose ledger one document was anchored."""
    tally = make_home(tmp_path / "home")
    (tmp_path / "paper.txt").write_text("paper")
    tally("document", "anchor", "--as", "askew", "--anchor", f"note:{tmp_path / 'paper.txt'}")
    return tally


def test_a_sound_ledger_holds(tally: Tally) -> None:
    done = tally("fsck", "--json").json
    assert (done["holds"], done["fault"]) == (True, None)
    assert done["height"] == done["blocks"] >= 1
    assert not (tally.home / "fsck").exists()
    assert "every row that follows from them hold" in tally("fsck").out


def test_a_damaged_row_is_named(tally: Tally) -> None:
    store = RocksStore(tally.home / "ledger")
    key, stored = next(store.range(Family.STATE, b"document/"))
    batch = Batch()
    batch.put(Family.STATE, key, stored[:-2] + b"9}")
    store.write(batch)
    store.close()

    done = tally("fsck", expect=4)

    assert f"record {key.decode()}: is not as the blocks wrote it" in " ".join(done.err.split())
    assert tally("fsck", "--json", expect=4).json["fault"]["where"] == f"record {key.decode()}"


def test_another_genesis_and_an_empty_place_are_bad_input(tally: Tally, tmp_path: Path) -> None:
    assert "there is no ledger here" in tally("fsck", "--ledger", str(tmp_path / "nowhere"), expect=2).err
    genesis = tally.home / "genesis.json"
    text = genesis.read_text("utf-8")
    genesis.write_text(text.replace("Askew Books Limited", "Askew Books Limitec"), "utf-8")
    assert hashlib.sha256(text.encode()).digest() != hashlib.sha256(genesis.read_bytes()).digest()
    assert "another genesis" in tally("fsck", expect=2).err


def test_a_backup_can_be_checked(tally: Tally, tmp_path: Path) -> None:
    tally("node", "backup", str(tmp_path / "copy"))
    assert tally("fsck", "--ledger", str(tmp_path / "copy"), "--json").json["holds"]
