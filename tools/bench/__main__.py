"""`make bench`: print tables and write var/bench/ledger.json.

python -m tools.bench [--quick] [--large ROWS]
"""

import argparse
import json
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools.bench import due, evidence, history, latency, wages
from tools.bench.ledger import Run, Throughput

OUTPUT = Path("var/bench/ledger.json")
SMALL, LARGE = 10_000, 1_000_000
STORIES, QUICK_STORIES = 8_000, 1_000
STORIES_A_PLAN = 2
LATENCY_STEPS = {1: 1_000, 64: 6_400}
DEADLINES, BLOCKS = 1_000_000, 200


@dataclass(frozen=True)
class Measured:
    """All that was measured; no large state in a quick run."""

    small: Throughput
    plans: Throughput
    large: Throughput | None
    history: history.History
    wages: list[wages.Timing]
    due: due.Due
    evidence: evidence.Evidence
    latencies: list[latency.Latency]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer steps, and no large state; figures are rough")
    parser.add_argument("--large", type=int, default=LARGE, metavar="ROWS", help="receivables in the large state")
    asked = parser.parse_args()
    console = Console()
    directory = OUTPUT.parent / "work"
    measured = _measure(console, directory, 0 if asked.quick else asked.large)
    shutil.rmtree(directory, ignore_errors=True)
    figures = _figures(measured)
    OUTPUT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    console.print(_table(figures), _steps_table(measured.history))
    console.print(f"written to {OUTPUT}")
    runs = {"small": measured.small, "plans": measured.plans, "large": measured.large}
    bad = {name: run.statuses for name, run in runs.items() if run is not None and set(run.statuses) != {"ok"}}
    if bad:
        sys.exit(f"steps were refused: {bad}")


def _measure(console: Console, directory: Path, large: int) -> Measured:
    """Everything, one after the other; `large` is the number of receivables in the large state, 0 for a quick run."""
    stories = STORIES if large else QUICK_STORIES

    def throughput(name: str, rows: int, plans: int) -> Throughput:
        with console.status(f"a state of {rows:,} receivables, then {stories:,} stories and {plans:,} plans"):
            run = Run(directory / name, rows)
            found = run.measure(stories, plans)
            run.close()
            return found

    small = throughput("small", SMALL, 0)
    at_large = throughput("large", large, 0) if large else None
    plans = throughput("plans", SMALL, stories // STORIES_A_PLAN)
    with console.status("each kind of step by itself; proofs of the ledger that this leaves, and its check"):
        told = history.measure(directory / "history", stories // 2, stories // STORIES_A_PLAN // 2)
    with console.status("wage sheets"):
        sheets = [wages.measure(directory / "wages", lines) for lines in wages.SIZES]
    with console.status(f"{DEADLINES:,} deadlines that wait, and that have passed"):
        queues = due.measure(directory / "due", DEADLINES, BLOCKS)
    with console.status("an evidence bundle"):
        bundle = evidence.measure(directory / "evidence")
    latencies = []
    for clients, steps in LATENCY_STEPS.items():
        with console.status(f"{clients} closed-loop clients through the socket"):
            latencies.append(latency.measure(directory / f"latency-{clients}", clients, steps // (1 if large else 10)))
    return Measured(small, plans, at_large, told, sheets, queues, bundle, latencies)


def _figures(measured: Measured) -> dict[str, object]:
    """What is written, in the order of the table; docs/performance.md says what each is."""
    small, plans, large, told = measured.small, measured.plans, measured.large, measured.history
    largest, smallest = measured.wages[-1], measured.wages[0]
    queues = measured.due
    return {
        "generator": "tools/bench",
        "python": platform.python_version(),
        "machine": platform.machine(),
        "steps": small.steps,
        "steps_per_second": round(small.steps_per_second, 1),
        "verify_per_second": round(small.verify_per_second, 1),
        "ratio": round(small.ratio, 3),
        "signatures_per_step": round(small.signatures_per_step, 3),
        "cpu_us_per_step": round(small.cpu_us_per_step, 1),
        "plan_mix_steps": plans.steps,
        "plan_mix_steps_per_second": round(plans.steps_per_second, 1),
        "plan_mix_verify_per_second": round(plans.verify_per_second, 1),
        "plan_mix_ratio": round(plans.ratio, 3),
        "plan_mix_to_old_mix": round(plans.ratio / small.ratio, 3),
        "plan_mix_cpu_us_per_step": round(plans.cpu_us_per_step, 1),
        "ratio_at_1m": round(large.ratio, 3) if large else None,
        "steps_per_second_at_1m": round(large.steps_per_second, 1) if large else None,
        "bytes_per_step": round(small.bytes_per_step),
        "plan_mix_bytes_per_step": round(plans.bytes_per_step),
        "peak_memory_mb": round(small.peak_memory_mb),
        "peak_memory_mb_at_1m": round(large.peak_memory_mb) if large else None,
        "tree_share": round(told.tree_share, 3),
        "wage_seconds_10k": round(largest.total, 3),
        "wage_linearity": round(largest.cpu_seconds / largest.lines / (smallest.cpu_seconds / smallest.lines), 3),
        "due_none_block_ms": round(queues.none.cpu_ms, 3),
        "due_waiting_1m_block_ms": round(queues.waiting.cpu_ms, 3),
        "due_passed_1m_block_ms": round(queues.passed.cpu_ms, 3),
        "fsck_steps_per_second": round(told.fsck_steps_per_second, 1),
        "fsck_ratio": round(told.fsck_steps_per_second / plans.steps_per_second, 3),
        "proofs_per_second": round(told.proofs_per_second),
        "proofs_together_per_second": round(told.proofs_together_per_second),
        "bundle_ten_hops_bytes": measured.evidence.size_bytes,
        "bundle_ten_hops_verify_ms": round(measured.evidence.verify_ms, 1),
        "cpu_us_by_kind": {kind: round(each, 1) for kind, each in told.step_us.items()},
        "wages": [
            {
                "lines": one.lines,
                "seconds": round(one.total, 3),
                "cpu_us_per_line": round(one.cpu_seconds / one.lines * 1e6, 1),
            }
            for one in measured.wages
        ],
        "latency": [
            {
                "clients": one.clients,
                "p50_ms": round(one.p50_ms, 2),
                "p99_ms": round(one.p99_ms, 2),
                "steps_per_second": round(one.steps_per_second, 1),
            }
            for one in measured.latencies
        ],
    }


def _table(figures: dict[str, object]) -> Table:
    table = Table(title="The embedded engine: raw bytes in, durable receipts out")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        if name == "latency" and isinstance(value, list):
            for one in value:
                label = f"latency, {one['clients']} clients: p50 / p99"
                table.add_row(label, f"{one['p50_ms']} / {one['p99_ms']} ms")
        elif name == "wages" and isinstance(value, list):
            for one in value:
                label = f"wages, {one['lines']:,} lines: in all, writer a line"
                table.add_row(label, f"{one['seconds']} s, {one['cpu_us_per_line']} us")
        elif not isinstance(value, dict):
            table.add_row(name, "-" if value is None else str(value))
    return table


def _steps_table(told: history.History) -> Table:
    table = Table(title="A step of each kind: processor time of the writer's process")
    table.add_column("kind")
    table.add_column("us", justify="right")
    for kind, each in told.step_us.items():
        table.add_row(kind, f"{each:.0f}")
    return table


if __name__ == "__main__":
    main()
