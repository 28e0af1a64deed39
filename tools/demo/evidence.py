"""The evidence of things as bundles, each checked by a process that opens no ledger and knows its genesis."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tallystick.kernel.financing.records import Financing, FinancingState
from tallystick.node.evidence import bundle_about, documents_of
from tools.demo.reckoning import Plans
from tools.demo.stage import Stage, StoryFault

FOLDER = "evidence"


def prove(stage: Stage, told: Plans, demo_debt: str) -> None:
    """Write the bundles of a receivable, a financing and a plan, and verify each."""
    sealed = next(row for row in stage.rows(Financing) if row.sealed and row.state is FinancingState.SETTLED)
    prove_all(stage, {"receivable": demo_debt, "financing": sealed.id, "plan": told.building})


def prove_all(stage: Stage, records: Mapping[str, str]) -> None:
    """Write and verify a bundle about each record, by the name of its file; each from the next house's node."""
    stage.telling.chapter("Evidence for strangers")
    with stage.telling.step("Bundles") as step:
        folder = stage.home.path / FOLDER
        folder.mkdir()
        for number, (what, record) in enumerate(records.items()):
            file = folder / f"{what}.json"
            steps, documents = _write(stage, number % len(stage.houses), record, file)
            attests = _verify(stage, file)
            size = f"{file.stat().st_size / 1_000:,.0f} kB"
            step.say(f"{file.name}: {steps} steps and {documents} documents, {size}: holds, attested by {attests}")
        step.say("Each was verified by a process of its own, offline, from the genesis and the file alone")


def _write(stage: Stage, place: int, record: str, file: Path) -> tuple[int, int]:
    """The bundle of a record with its documents. Returns how many steps and documents it has."""
    engine, home = stage.houses.at(place).engine, stage.home
    genesis = home.genesis.read_bytes()
    bare = bundle_about(engine, genesis, record)
    documents = documents_of(home, bare)
    file.write_bytes(bundle_about(engine, genesis, record, documents).to_bytes())
    return len(bare.transactions), len(documents)


def _verify(stage: Stage, file: Path) -> str:
    """What `tally verify` does, in a process of its own. Returns who attests."""
    words = ("-m", "tallystick.verifier.command", str(file), "--genesis", str(stage.home.genesis), "--json")
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StoryFault(f"{file.name} does not verify: {done.stdout}{done.stderr}")
    return str(json.loads(done.stdout)["attests"])
