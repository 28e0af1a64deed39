"""Evidence about the demo's records of every kind: whoever has the genesis can follow and check each."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallystick.ledger.engines.reading import ReadingEngine
from tallystick.ledger.store import RocksStore
from tallystick.node.evidence import STORIES, bundle_about
from tallystick.node.lineage import rows_of
from tallystick.node.lookup import ID_TABLES
from tallystick.proof.evidence.genesis import Genesis
from tallystick.proof.evidence.verifier import verify
from tallystick.verifier.report import as_text
from tests.support.demo import run

pytestmark = pytest.mark.engine

SAMPLED = 4
SEED = 20261124
TALLY = "from tallystick.cli.main import main; main()"


@pytest.fixture
def ledger(demo: tuple[Path, str]) -> Iterator[tuple[ReadingEngine, bytes]]:
    """The ledger that the demo left, and its genesis."""
    store = RocksStore(demo[0] / "ledger")
    try:
        yield ReadingEngine(store), (demo[0] / "genesis.json").read_bytes()
    finally:
        store.close()


@pytest.mark.parametrize("prefix", STORIES)
def test_a_sample_of_each_kind_is_proven_whole(ledger: tuple[ReadingEngine, bytes], prefix: str) -> None:
    engine, genesis = ledger
    ids = [row.id for row in rows_of(engine, ID_TABLES[prefix])]
    assert ids, f"the demo leaves no {ID_TABLES[prefix]}"
    for one in random.Random(SEED).sample(ids, min(SAMPLED, len(ids))):
        report = verify(bundle_about(engine, genesis, one).to_bytes(), Genesis.from_bytes(genesis))
        assert report.verdict.missing == (), (SEED, one)
        text = "\n".join(as_text(report))
        assert one in text or prefix == "mbr", one
        assert "{" not in text, (one, text)


def test_with_members_the_signers_are_shown_too(demo: tuple[Path, str], tmp_path: Path) -> None:
    home = demo[0]
    plan = json.loads((home / "evidence" / "plan.json").read_bytes())["about"].partition("/")[2]
    genesis, sizes = home / "genesis.json", []
    for words in ((), ("--with-members",)):
        file = tmp_path / f"{len(sizes)}.json"
        made = run("-c", TALLY, "evidence", plan, "--out", str(file), *words, home=home)
        assert made.returncode == 0, made.stderr
        sizes.append(file.stat().st_size)
        assert f"{sizes[-1] / 1000:,.0f} kB" in " ".join(made.stdout.split())
        said = run("-m", "tallystick.verifier.command", str(file), "--genesis", str(genesis), "--json")
        left = {one["where"].split("/")[0] for one in json.loads(said.stdout)["unproven"]}
        assert ("record key" in left) is not bool(words), left
    assert sizes[0] < sizes[1]
