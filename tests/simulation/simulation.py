"""The simulation: one seed, a number of steps, a coverage report. The same seed gives the same state root.

python -m tools.simulate --seed 7 --steps 3000
"""

import random
from collections import Counter
from dataclasses import dataclass, field

from tallystick.kernel.governance.operations import CloseChain
from tallystick.wire.instants import DAY_MS, HOUR_MS, MINUTE_MS
from tests.simulation.actions import (  # noqa: F401 (they register)
    escrow,
    financing,
    governance,
    membership,
    money,
    plans,
    products,
    receivables,
    releases,
    wages,
)
from tests.simulation.actions.membership import new_key
from tests.simulation.actions.proposals import ACTIONS, LEANINGS, Proposal, governors, weights
from tests.simulation.founding import found_town
from tests.simulation.hostile import spoiled, ways
from tests.simulation.town import Town

HOSTILE_SHARE = 0.12
REPLAY_SHARE = 0.04
SETTING_UP_STEPS = 20
SLOWNESS = {"trade": 1.0, "plans": 4.0, "both": 2.0}


@dataclass
class Report:
    """What a run reached."""

    seed: int
    steps: int
    state_root: str
    succeeded: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    due: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Report") -> None:
        for mine, its in (
            (self.succeeded, other.succeeded),
            (self.statuses, other.statuses),
            (self.due, other.due),
            (self.states, other.states),
        ):
            mine.update(its)

    def text(self) -> str:
        lines = [f"seed {self.seed}: {self.steps} steps, state root {self.state_root}"]
        for title, counted in (
            ("operations that succeeded", self.succeeded),
            ("statuses", self.statuses),
            ("due work", self.due),
            ("states at the end", self.states),
        ):
            lines.append(f"  {title}:")
            lines.extend(f"    {count:7d}  {name}" for name, count in sorted(counted.items()))
        return "\n".join(lines)


def simulate(seed: int, steps: int, leaning: str = "", sweep_every: int = 10) -> Report:
    """Run `steps` transactions; at the first fault `AuditError`, or an assertion of the town, after naming the seed.

    `leaning` says what the run is mostly about (`LEANINGS`); else it follows from the seed.
    """
    town = found_town(seed, sweep_every)
    rng = random.Random(f"steps of {seed}")
    try:
        _run(town, rng, steps, leaning or rng.choice(sorted(LEANINGS)))
    except BaseException:
        print(f"\nreproduce: {command(seed, steps, leaning)}  (at height {town.height})")
        raise
    return Report(seed, steps, town.roots.state.hex(), town.succeeded, town.statuses, town.due_kinds, states_of(town))


def command(seed: int, steps: int, leaning: str = "") -> str:
    """What reproduces a run."""
    return f"python -m tools.simulate --seed {seed} --steps {steps}" + (f" --leaning {leaning}" if leaning else "")


def _run(town: Town, rng: random.Random, steps: int, leaning: str) -> None:
    money.open_first_accounts(town)
    undone = set(ACTIONS)
    sent: list[bytes] = []
    done = 0
    while done < steps:
        town.pause = _pause(town, rng, leaning) if done > SETTING_UP_STEPS else rng.randrange(1, MINUTE_MS)
        coming = [_next(town, rng, weights(leaning, undone), sent) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
        steps_made = [step for step in coming if step is not None]
        outcomes = town.block(town.pause, [raw for _, raw in steps_made])
        undone -= {name for (name, _), outcome in zip(steps_made, outcomes, strict=True) if outcome.label == "ok"}
        sent.extend(raw for _, raw in steps_made)
        done += max(len(steps_made), 1)
    _close(town)


def _next(town: Town, rng: random.Random, tried: list[float], sent: list[bytes]) -> tuple[str, bytes] | None:
    """The name of an action and what is signed for it."""
    if sent and rng.random() < REPLAY_SHARE:
        return "replay", rng.choice(sent)
    for name in rng.choices(sorted(ACTIONS), tried, k=20):
        proposal: Proposal | None = ACTIONS[name][1](town)
        if proposal is None:
            continue
        if rng.random() < HOSTILE_SHARE:
            raw = spoiled(town, proposal, rng.choice(ways(proposal)))
            return None if raw is None else ("hostile", raw)
        return name, town.sign(proposal.operations, proposal.by, proposal.also, proposal.keys)
    return None


def _pause(town: Town, rng: random.Random, leaning: str) -> int:
    """Mostly minutes; now and then exactly onto the end of a window, a millisecond past it, hours or days on.

    A product takes more steps to its end than a receivable, so time goes more slowly where a run is about products.
    """
    kind = rng.random() * SLOWNESS[leaning]
    if kind < 0.05:
        due = town.next_due()
        if due is not None:
            return max(int(due) - int(town.now) + rng.choice((-1, 0, 1)), 1)
    if kind < 0.08:
        return rng.randrange(HOUR_MS, DAY_MS)
    if kind < 0.102:
        return rng.randrange(DAY_MS, 5 * DAY_MS)
    if kind < 0.104:
        return rng.randrange(10 * DAY_MS, 40 * DAY_MS)
    return rng.randrange(1, 4 * MINUTE_MS)


def _close(town: Town) -> None:
    """The last step: due work to the end of what is near, everything swept, and the chain closed."""
    town.pause = 1
    town.block(45 * DAY_MS, [])
    for _ in range(5):
        town.block(1, [])
    town.sweep()
    signers = governors(town)
    if signers is None:
        return
    validators = tuple(sorted(new_key(town)[1] for _ in range(4)))
    closing = CloseChain(successor="successor", validators=validators)
    closed = town.block(1, [town.sign((closing,), signers[0], signers[1])])
    after = town.block(1, [town.sign((closing,), signers[0], signers[1])])
    assert [closed[0].label, after[0].label] == ["ok", "chain_closed"], (closed, after)


def states_of(town: Town) -> Counter[str]:
    """How many records stand in each state at the end."""
    counted: Counter[str] = Counter()
    for table, rows in town.tables.items():
        for row in rows.values():
            state = getattr(row, "state", None)
            if state is not None:
                counted[f"{table} {state.value}"] += 1
    return counted
