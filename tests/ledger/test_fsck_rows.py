"""fsck finds damage to any single row of a ledger, and names the row: a sample in `make test`, all in `make campaign`.

The blocks are replayed once. What they make is then compared with a store in which one row reads otherwise, as a check
that was interrupted goes on; damage to a block or a header is looked for from the genesis on.
"""

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tallystick.kernel.genesis import Genesis
from tallystick.ledger.fsck import COMPARED, Check, row_name
from tallystick.ledger.opening import GENESIS_KEY, TIP_KEY
from tallystick.ledger.store import Family, RocksStore, Store
from tallystick.wire.errors import DecodeError
from tests.support.bundles import Ledger
from tests.support.stores import AlteredStore

SEED = 20261122
SAMPLED = 10  # rows of each family

REPLAYED = (Family.BLOCKS, Family.LIGHTS)
BEGUN_FROM = {
    GENESIS_KEY: ("another genesis than the one given", "there is no ledger here"),
    TIP_KEY: ("the ledger's tip can't be read", "note tip of the store: is not as", "the ledger is at"),
}
"""What a check starts from, and how it names damage to it."""


class Enough(Exception):
    """Raised to interrupt a check once its last block holds."""


@dataclass(frozen=True)
class Sound:
    """A ledger as a stopped node leaves it, and a check of it that was interrupted before it compared the rows."""

    store: Store
    genesis: Genesis
    replica: Path
    height: int

    def found(self, family: Family, key: bytes, value: bytes | None, scratch: Path) -> str:
        """What a check says of the store in which this row reads so."""
        altered = AlteredStore(self.store, family, key, value)
        if family not in REPLAYED:
            shutil.copytree(self.replica, scratch)
        try:
            return str(Check(altered, self.genesis, scratch).run(lambda _: None))
        except DecodeError as error:
            return f"{error.where}: {error.what}"
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sound]:
    """A ledger with one of each thing on it."""
    home = tmp_path_factory.mktemp("rows")
    ledger = Ledger(home / "home", hops=2)
    genesis = ledger.running.founded
    ledger.close()
    store = RocksStore(home / "home" / "ledger")
    check = Check(store, genesis, home / "replica")

    def interrupt(_: int) -> None:
        if check.checked == check.height:
            raise Enough

    with pytest.raises(Enough):
        check.run(interrupt)
    check.stop()
    yield Sound(store, genesis, home / "replica", check.height)
    store.close()


def test_the_ledger_is_sound_and_has_rows_of_every_family(sound: Sound, tmp_path: Path) -> None:
    assert Check(sound.store, sound.genesis, tmp_path / "scratch").run(lambda _: None) is None
    for family in Family:
        assert next(sound.store.range(family, b""), None), family


def damages(value: bytes, chosen: random.Random) -> Iterator[bytes | None]:
    """One bit of it otherwise; and the row gone."""
    spoiled = bytearray(value or b"\x00")
    spoiled[chosen.randrange(len(spoiled))] ^= 1 << chosen.randrange(8)
    yield bytes(spoiled) if value else b"\x00"
    yield None


def check_rows(sound: Sound, family: Family, rows: list[tuple[bytes, bytes]], scratch: Path) -> None:
    """Damage to each of these rows is found and named."""
    chosen = random.Random(f"{SEED} {family.value}")
    for key, value in rows:
        for damage in damages(value, chosen):
            said = sound.found(family, key, damage, scratch)
            assert any(name in said for name in names(family, key, damage)), (SEED, family, key, damage, said)


def names(family: Family, key: bytes, damage: bytes | None) -> tuple[str, ...]:
    """What a fault says that names the row."""
    if family in REPLAYED:
        height = int.from_bytes(key, "big")
        return (f"block {height}:", f"block {height}, transaction ")
    if family is Family.META and key in BEGUN_FROM:
        return BEGUN_FROM[key]
    return (
        f"{row_name(family, key)}: is {'missing from the store' if damage is None else 'not as the blocks wrote it'}",
    )


@pytest.mark.parametrize("family", [*COMPARED, *REPLAYED], ids=lambda family: family.value)
def test_a_damaged_row_is_found_and_named(sound: Sound, family: Family, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    rows = list(sound.store.range(family, b""))
    chosen = random.Random(SEED).sample(rows, min(SAMPLED, len(rows)))
    check_rows(sound, family, chosen, tmp_path / "scratch")


@pytest.mark.slow
@pytest.mark.parametrize("family", [*COMPARED, *REPLAYED], ids=lambda family: family.value)
def test_every_damaged_row_is_found_and_named(sound: Sound, family: Family, tmp_path: Path) -> None:
    check_rows(sound, family, list(sound.store.range(family, b"")), tmp_path / "scratch")


@pytest.mark.parametrize("family", COMPARED, ids=lambda family: family.value)
def test_a_row_that_no_block_wrote_is_found(sound: Sound, family: Family, tmp_path: Path) -> None:
    for key, value in list(sound.store.range(family, b""))[-1:]:
        said = sound.found(family, key + b"x", value, tmp_path / "scratch")
        assert said == f"{row_name(family, key + b'x')}: stands in the store, but no block wrote it"
