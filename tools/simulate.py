"""Simulate a consortium from a seed, with an independent auditor watching every step.

    python -m tools.simulate --seed 7 --steps 3000          one run, with its coverage report
    python -m tools.simulate --seed 100 --runs 20 --steps 5000 --jobs 2

The same seed gives the same state root. A fault ends the run with the command that reproduces it.
"""

import argparse
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.actions.proposals import LEANINGS
from tests.simulation.simulation import Report, command, simulate


def main() -> int:
    """Run the seeds asked for; 1 if any of them found a fault."""
    parser = argparse.ArgumentParser(prog="python -m tools.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the first seed (default: the clock)")
    parser.add_argument("--runs", type=int, default=1, help="how many seeds, counting up from --seed")
    parser.add_argument("--steps", type=int, default=2_000, help="transactions in each run")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--leaning", choices=sorted(LEANINGS), default="", help="what it is about (else as seeded)")
    parser.add_argument("--quiet", action="store_true", help="no report of what was reached")
    asked = parser.parse_args()
    seeds = range(asked.seed, asked.seed + asked.runs)
    whole = Report(asked.seed, 0, "")
    failed = 0
    with ProcessPoolExecutor(asked.jobs) as pool:
        for report in pool.map(_one, seeds, [asked.steps] * asked.runs, [asked.leaning] * asked.runs):
            if isinstance(report, str):
                failed += 1
                print(report)
                continue
            print(f"seed {report.seed}: {report.steps} steps, state root {report.state_root}", flush=True)
            whole.add(report)
            whole.steps += report.steps
            whole.state_root = report.state_root
    if not asked.quiet:
        print(whole.text())
    return 1 if failed else 0


def _one(seed: int, steps: int, leaning: str) -> Report | str:
    """A run's report, or what it found wrong."""
    try:
        return simulate(seed, steps, leaning)
    except Exception:
        return f"seed {seed} FAILED; reproduce: {command(seed, steps, leaning)}\n{traceback.format_exc()}"


if __name__ == "__main__":
    sys.exit(main())
