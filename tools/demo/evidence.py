"""The evidence of three things as bundles, each checked by a process that opens no ledger and knows its genesis."""

import subprocess
import sys
from pathlib import Path

from tallystick.kernel.financing.records import Financing, FinancingState
from tallystick.node.evidence import bundle_about, documents_of
from tools.demo.reckoning import Plans
from tools.demo.stage import Stage, StoryFault

FOLDER = "evidence"


def prove(stage: Stage, told: Plans, demo_debt: str) -> None:
    """Write the bundles of a receivable, a financing and a plan, and verify each."""
    stage.telling.chapter("Evidence for strangers")
    sealed = next(row for row in stage.rows(Financing) if row.sealed and row.state is FinancingState.SETTLED)
    with stage.telling.step("Bundles") as step:
        folder = stage.session.home.path / FOLDER
        folder.mkdir()
        for what, record in (
            ("receivable", demo_debt),
            ("financing", sealed.id),
            ("plan", told.building),
        ):
            file = folder / f"{what}.json"
            steps, documents = _write(stage, record, file)
            _verify(stage, file)
            step.say(
                f"{file.name}: {steps} steps and {documents} documents, {file.stat().st_size / 1_000:,.0f} kB: holds"
            )
        step.say("Each was verified by a process of its own, offline, from the genesis and the file alone")


def _write(stage: Stage, record: str, file: Path) -> tuple[int, int]:
    """The bundle of a record with its documents. Returns how many steps and documents it has."""
    engine, home = stage.session.engine, stage.session.home
    genesis = home.genesis.read_bytes()
    bare = bundle_about(engine, genesis, record)
    documents = documents_of(home, bare)
    file.write_bytes(bundle_about(engine, genesis, record, documents).to_bytes())
    return len(bare.transactions), len(documents)


def _verify(stage: Stage, file: Path) -> None:
    """What `tally verify` does, in a process of its own."""
    words = ("-m", "tallystick.verifier.command", str(file), "--genesis", str(stage.session.home.genesis))
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StoryFault(f"{file.name} does not verify: {done.stdout}{done.stderr}")
