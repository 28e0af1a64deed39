"""The evidence bundle of a receivable of ten hops: how large it is, and how long a stranger takes to verify it.

Each verification is the first and only one of a process of its own, as the stand-alone verifier's is; what is timed
begins when the program has started and both files are read.
"""

import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tallystick.proof.evidence.genesis import Genesis
from tallystick.proof.evidence.verifier import verify
from tests.support.bundles import Ledger

PASSES = 7


@dataclass(frozen=True)
class Evidence:
    """Bytes, and the median of milliseconds."""

    size_bytes: int
    verify_ms: float


def measure(directory: Path) -> Evidence:
    """Make the ledger of `tests/support/bundles.py` and verify what it tells of its receivable."""
    shutil.rmtree(directory, ignore_errors=True)
    ledger = Ledger(directory)
    raw = ledger.bundle("receivable").to_bytes()
    ledger.close()
    (directory / "bundle.json").write_bytes(raw)
    (directory / "genesis.json").write_bytes(ledger.genesis_file)
    command = [sys.executable, "-m", "tools.bench.evidence", str(directory)]
    taken = [float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(PASSES)]
    shutil.rmtree(directory, ignore_errors=True)
    return Evidence(len(raw), statistics.median(taken))


def main(directory: Path) -> None:
    """The stranger's process: print how many milliseconds the verification took."""
    genesis, raw = (directory / "genesis.json").read_bytes(), (directory / "bundle.json").read_bytes()
    started = time.perf_counter()
    verify(raw, Genesis.from_bytes(genesis))
    sys.stdout.write(f"{(time.perf_counter() - started) * 1e3:.3f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
