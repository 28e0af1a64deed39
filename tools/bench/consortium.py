"""`make bench-consortium`: print a table and write var/bench/consortium.json.

python -m tools.bench.consortium [--quick] [--only NAME]

Ours beside CometBFT's own key-value store, on the same machine and configuration in one run: four members, then one.
"""

import argparse
import hashlib
import itertools
import json
import platform
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tallystick.node.cometbft.binary import DEFAULT_VERSION, find_cometbft
from tallystick.wire.instants import DAY_MS, MINUTE_MS
from tallystick.wire.status import Status
from tools.bench.consortium_load import Chain, Load, Window, one_by_one
from tools.bench.consortium_members import Cpu, KvStores, Members, Nodes, await_that
from tools.bench.ledger import now
from tools.bench.steps import FINANCED, Consortium, Named, Story, committed

OUTPUT = Path("var/bench/consortium.json")
FOUR, ONE = 4, 1
IDLE_STEPS = 5
IDLE_PAUSE_SECONDS = 2.5  # longer than a proposer leaves its clock behind: the dearest case of the rule of fresh time
SETTLE_SECONDS = 15.0


@dataclass(frozen=True)
class Effort:
    """How long and how much. There are far more stories than transactions in flight, or the window ends early."""

    stories: int
    steps_in_flight: int
    pairs_in_flight: int
    warm_up_seconds: float
    window_seconds: float


WHOLE = {FOUR: Effort(9_000, 5_000, 8_000, 4.0, 16.0), ONE: Effort(9_000, 6_000, 8_000, 3.0, 8.0)}
QUICK = {FOUR: Effort(1_500, 500, 2_000, 2.0, 5.0), ONE: Effort(1_500, 500, 2_000, 1.0, 3.0)}


@dataclass(frozen=True)
class Found:
    """What one subject did. `cpu` is the members' in the window; latencies are p50 and p99 in milliseconds."""

    name: str
    members: int
    window: Window
    cpu: Cpu
    idle_ms: tuple[float, float]
    loaded_ms: tuple[float, float]

    @property
    def cpu_us(self) -> Cpu:
        """Microseconds a transaction and member, and of the load generator a transaction."""
        shares = {kind: seconds / self.members for kind, seconds in self.cpu.items() if seconds}
        shares["load"] = self.window.sender_cpu_seconds
        return {kind: seconds / self.window.transactions * 1e6 for kind, seconds in shares.items()}

    @property
    def cores(self) -> float:
        """Processors at work on it, the load generator's share included: less than the machine has, if others work."""
        return (sum(self.cpu.values()) + self.window.sender_cpu_seconds) / self.window.seconds


class Steps:
    """Our steps, signed: chains of one receivable each. Made once and handed to every consortium that is measured.

    A financing is awarded when the clock has passed its closing time, which can't be while the load goes on. So a
    chain is either a receivable up to a quote, or a financing from its award to its settlement; financings of these
    were brought up to their quotes beforehand, one for every `FINANCED` receivables, and the clock was moved then.
    """

    def __init__(self, stories: int) -> None:
        self._consortium = Consortium(*now())
        self.genesis = self._consortium.genesis()
        self.opening = list(self._consortium.opening())
        count = stories // FINANCED
        before = self._consortium.stories(1, count)
        self.prepared = [self._quoted(story) for story in before]
        self.after_closing = self._consortium.after_closing()
        settled = [self._chain(story, self._consortium.settling_stages()) for story in before]
        self._consortium.now = self._consortium.now.plus(DAY_MS + MINUTE_MS)
        told = self._consortium.stories(count + 1, stories + IDLE_STEPS)
        self.idle = [self._chain(story, self._consortium.issue_stages())[0] for story in told[stories:]]
        self.chains: list[Chain] = []
        for number, story in enumerate(told[:stories]):
            if number % FINANCED == 0:
                self.chains += [settled[number // FINANCED], self._quoted(story)]
            elif number % 2 == 0:
                self.chains.append(self._handed_on(story))
            else:
                self.chains.append(self._chain(story, self._consortium.issue_stages()))
        raws = [raw for chain in self.chains for raw in chain]
        self.mean_bytes = sum(map(len, raws)) // len(raws)

    def _handed_on(self, story: Story) -> Chain:
        return self._chain(story, self._consortium.issue_stages() + self._consortium.transfer_stages())

    def _quoted(self, story: Story) -> Chain:
        return (*self._handed_on(story), *self._chain(story, self._consortium.quoting_stages()))

    @staticmethod
    def _chain(story: Story, stages: tuple[Named, ...]) -> tuple[bytes, ...]:
        return tuple(sign(story) for _, sign in stages)


def kv_pairs(size: int) -> Iterator[Chain]:
    """Transactions of the key-value store, of `size` bytes: every one a new key, a value that does not compress."""
    for number in itertools.count():
        key = b"k%d=" % number
        seed = hashlib.sha256(key).hexdigest().encode()
        yield (key + (seed * (size // len(seed) + 1))[: size - len(key)],)


def measure_kvstore(directory: Path, size: int, steps: Steps, effort: Effort) -> Found:
    """CometBFT's own application."""
    members = KvStores(directory, size, steps.genesis)
    pairs = kv_pairs(steps.mean_bytes)
    try:
        members.start()
        idle = one_by_one(members.addresses[0], [next(pairs)[0] for _ in range(IDLE_STEPS)], IDLE_PAUSE_SECONDS)
        return _loaded("kvstore", members, pairs, effort, effort.pairs_in_flight, idle)
    finally:
        members.stop()


def measure_steps(directory: Path, size: int, steps: Steps, effort: Effort) -> Found:
    """Ours."""
    members = Nodes(directory, size, steps.genesis)
    try:
        members.start()
        client = members.client()
        committed(client.submit_many(steps.opening))
        ways = members.ways(effort.steps_in_flight)
        Load(members.addresses[0], ways, iter(steps.prepared), effort.steps_in_flight).complete()
        committed(client.submit_many([steps.after_closing]))
        client.close()
        idle = one_by_one(members.addresses[0], steps.idle, IDLE_PAUSE_SECONDS)
        found = _loaded("steps", members, iter(steps.chains), effort, effort.steps_in_flight, idle)
        _check(members)
    finally:
        members.stop()
    return found


def _loaded(
    name: str, members: Members, chains: Iterator[Chain], effort: Effort, in_flight: int, idle: list[float]
) -> Found:
    """One window under load, and what the members' processors did in it."""
    read: list[Cpu] = []
    ways = members.ways(in_flight)
    load = Load(members.addresses[0], ways, chains, in_flight, lambda: read.append(members.cpu()))
    window = load.run(effort.warm_up_seconds, effort.window_seconds)
    before, after = read
    used = {kind: after[kind] - before[kind] for kind in after}
    return Found(name, len(members.homes), window, used, _percentiles(idle), _percentiles(window.latencies))


def _check(members: Nodes) -> None:
    """Every step is done, and all members have the same. Raises RuntimeError."""
    client = members.client()
    codes: Counter[int] = Counter()
    for height in range(1, client.health().height + 1):
        codes.update(client.results(height).codes)
    client.close()
    refused = {code: count for code, count in codes.items() if code not in {Status.OK.number, Status.WAKE.number}}
    if refused:
        raise RuntimeError(f"steps were refused: {refused}")
    await_that(lambda: [len(hashes) for hashes in members.heights().values()] == [1], SETTLE_SECONDS, "the same block")


def _percentiles(seconds: list[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    ordered = sorted(seconds)
    return ordered[len(ordered) // 2] * 1000, ordered[len(ordered) * 99 // 100] * 1000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.consortium", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds each; figures are rough")
    parser.add_argument("--only", choices=("kvstore", "steps"), help="one of the two subjects")
    asked = parser.parse_args()
    console = Console()
    find_cometbft(note=console.print)
    directory = OUTPUT.parent / "work"
    efforts = QUICK if asked.quick else WHOLE
    with console.status("signing"):
        steps = Steps(efforts[FOUR].stories)
    found = []
    for size in (FOUR, ONE):
        for name, measure in (("kvstore", measure_kvstore), ("steps", measure_steps)):
            if asked.only in {None, name}:
                with console.status(f"{name}, {size} members"):
                    found.append(measure(directory / f"{name}-{size}", size, steps, efforts[size]))
    shutil.rmtree(directory, ignore_errors=True)
    figures = _figures(found, steps)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    console.print(_table(found))
    console.print(f"written to {OUTPUT}")


def _figures(found: list[Found], steps: Steps) -> dict[str, object]:
    """What is written; docs/performance.md says what each is."""
    rates = {(one.name, one.members): one.window.per_second for one in found}

    def ratio(members: int) -> float | None:
        ours, theirs = rates.get(("steps", members)), rates.get(("kvstore", members))
        return round(ours / theirs, 3) if ours and theirs else None

    def rate(name: str, members: int) -> float | None:
        return round(rates[name, members], 1) if (name, members) in rates else None

    return {
        "generator": "tools/bench/consortium",
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cometbft": DEFAULT_VERSION,
        "transaction_bytes": steps.mean_bytes,
        "kvstore_tx_per_second": rate("kvstore", FOUR),
        "steps_per_second": rate("steps", FOUR),
        "ratio": ratio(FOUR),
        "single_kvstore_tx_per_second": rate("kvstore", ONE),
        "single_steps_per_second": rate("steps", ONE),
        "single_ratio": ratio(ONE),
        "runs": [
            {
                "name": one.name,
                "members": one.members,
                "transactions": one.window.transactions,
                "blocks": one.window.blocks,
                "seconds": round(one.window.seconds, 2),
                "cores": round(one.cores, 2),
                "cpu_us_per_transaction_and_member": {kind: round(each, 1) for kind, each in one.cpu_us.items()},
                "idle_p50_ms": round(one.idle_ms[0], 1),
                "idle_p99_ms": round(one.idle_ms[1], 1),
                "loaded_p50_ms": round(one.loaded_ms[0], 1),
                "loaded_p99_ms": round(one.loaded_ms[1], 1),
            }
            for one in found
        ],
    }


def _table(found: list[Found]) -> Table:
    table = Table(title="On CometBFT, the same configuration and load")
    for heading in ("", "tx/s", "a block", "CPU us a tx and member", "cores", "idle ms", "loaded ms"):
        table.add_column(heading, justify="right" if heading else "left")
    for one in found:
        window = one.window
        table.add_row(
            f"{one.name}, {one.members}",
            f"{window.per_second:,.0f}",
            f"{window.transactions / window.blocks:,.0f} in {window.seconds / window.blocks:.2f} s",
            "\n".join(f"{kind} {each:.0f}" for kind, each in one.cpu_us.items()),
            f"{one.cores:.2f}",
            "{:.0f} / {:.0f}".format(*one.idle_ms),
            "{:.0f} / {:.0f}".format(*one.loaded_ms),
        )
    return table


if __name__ == "__main__":
    main()
