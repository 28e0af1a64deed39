"""`make bench`: print a table and write var/bench/ledger.json.

python -m tools.bench [--quick] [--large ROWS]
"""

import argparse
import json
import platform
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools.bench import latency
from tools.bench.ledger import Run, Throughput

OUTPUT = Path("var/bench/ledger.json")
SMALL, LARGE = 10_000, 1_000_000
STORIES, QUICK_STORIES = 8_000, 1_000
LATENCY_STEPS = {1: 1_000, 64: 6_400}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer steps, and no large state; figures are rough")
    parser.add_argument("--large", type=int, default=LARGE, metavar="ROWS", help="receivables in the large state")
    asked = parser.parse_args()
    console = Console()
    directory = OUTPUT.parent / "work"
    stories = QUICK_STORIES if asked.quick else STORIES
    runs: dict[str, Throughput] = {}
    sizes = {"small": SMALL} if asked.quick else {"small": SMALL, "large": asked.large}
    for name, rows in sizes.items():
        with console.status(f"a state of {rows:,} receivables, then {stories:,} stories"):
            run = Run(directory / name, rows)
            runs[name] = run.measure(stories)
            run.close()
    latencies = []
    for clients, steps in LATENCY_STEPS.items():
        with console.status(f"{clients} closed-loop clients through the socket"):
            latencies.append(
                latency.measure(directory / f"latency-{clients}", clients, steps // (10 if asked.quick else 1))
            )
    shutil.rmtree(directory, ignore_errors=True)
    figures = _figures(runs, latencies)
    OUTPUT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    console.print(_table(figures))
    console.print(f"written to {OUTPUT}")
    bad = [name for name, run in runs.items() if set(run.statuses) != {"ok"}]
    if bad:
        sys.exit(f"steps were refused in: {', '.join(bad)}: {[runs[name].statuses for name in bad]}")


def _figures(runs: dict[str, Throughput], latencies: list[latency.Latency]) -> dict[str, object]:
    small = runs["small"]
    large = runs.get("large")
    return {
        "generator": "tools/bench",
        "python": platform.python_version(),
        "machine": platform.machine(),
        "steps": small.steps,
        "steps_per_second": round(small.steps_per_second, 1),
        "verify_per_second": round(small.verify_per_second, 1),
        "ratio": round(small.ratio, 3),
        "signatures_per_step": round(small.signatures_per_step, 3),
        "ratio_at_1m": round(large.ratio, 3) if large else None,
        "steps_per_second_at_1m": round(large.steps_per_second, 1) if large else None,
        "bytes_per_step": round(small.bytes_per_step),
        "peak_memory_mb": round(small.peak_memory_mb),
        "peak_memory_mb_at_1m": round(large.peak_memory_mb) if large else None,
        "latency": [
            {
                "clients": one.clients,
                "p50_ms": round(one.p50_ms, 2),
                "p99_ms": round(one.p99_ms, 2),
                "steps_per_second": round(one.steps_per_second, 1),
            }
            for one in latencies
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
        else:
            table.add_row(name, "-" if value is None else str(value))
    return table


if __name__ == "__main__":
    main()
