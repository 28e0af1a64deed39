"""A proposal: operations that somebody would sign next. An action looks at committed rows and makes one, or none."""

import datetime
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from nacl.signing import SigningKey as Ed25519

from tallystick.kernel.calendar.days import day_of
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.governance.policies import Policies, PolicyBook
from tallystick.kernel.membership.records import Member, Role
from tests.simulation.town import Town

T = TypeVar("T")


@dataclass(frozen=True)
class Proposal:
    """Operations for one transaction of `by`, cosigned by `also`; `keys` are signatures of keys being introduced."""

    operations: tuple[Operation, ...]
    by: str
    also: tuple[str, ...] = ()
    keys: tuple[Ed25519, ...] = ()

    def with_operations(self, *operations: Operation) -> "Proposal":
        return replace(self, operations=operations)


Action = Callable[[Town], "Proposal | None"]
ACTIONS: dict[str, tuple[int, Action]] = {}
RARE_FIRST = 5
PLAN_ROOMS = ("products", "plans", "escrow", "releases", "wages")
TRADE_ROOMS = ("receivables", "financing")
LEANINGS = {"trade": (1.0, 0.1), "plans": (0.2, 3.0), "both": (1.0, 1.0)}
"""What a run is mostly about: factors for the weights of the actions of the trade's and of the plans' rooms."""


def action(weight: int) -> Callable[[Action], Action]:
    """Register an action; `weight` is how often it is tried."""

    def register(function: Action) -> Action:
        assert function.__name__ not in ACTIONS, f"two actions are named {function.__name__}"
        ACTIONS[function.__name__] = (weight, function)
        return function

    return register


def propose(by: str, *operations: Operation, also: tuple[str, ...] = (), keys: tuple[Ed25519, ...] = ()) -> Proposal:
    return Proposal(operations, by, also, keys)


def pick(rng: random.Random, options: list[T]) -> T | None:
    return rng.choice(options) if options else None


def today(town: Town) -> datetime.date:
    """The business day of the last block."""
    return day_of(town.state, town.now)


def policies(town: Town) -> Policies:
    book: Any = town.find(PolicyBook, "chain")
    values: Policies = book.on(today(town))
    return values


def holder_of(town: Town, role: Role, *without: str) -> str | None:
    """Somebody admitted that holds `role`."""
    return pick(town.rng, [name for name in town.role_holders(role) if name not in without])


def governors(town: Town) -> tuple[str, tuple[str, ...]] | None:
    """As many governors as must sign: the actor and its cosigners."""
    held = town.role_holders(Role.GOVERNOR)
    needed = policies(town).governors_needed
    if len(held) < needed:
        return None
    chosen = town.rng.sample(held, needed)
    return chosen[0], tuple(chosen[1:])


def admitted(town: Town) -> list[str]:
    return [row.id for row in town.rows(Member) if row.is_admitted]


def traders(town: Town) -> list[str]:
    """Admitted organisations that hold permissions."""
    return [
        row.id for row in town.rows(Member) if row.is_admitted and any(one.until is None for one in row.permissions)
    ]


def weights(leaning: str, undone: set[str]) -> list[float]:
    """How often each action is tried, in the order of their names; what has not succeeded in this run more often."""
    trade, plans_too = LEANINGS[leaning]
    found = []
    for name in sorted(ACTIONS):
        weight, function = ACTIONS[name]
        room = function.__module__.rpartition(".")[2]
        factor = plans_too if room in PLAN_ROOMS else trade if room in TRADE_ROOMS else 1.0
        found.append(weight * factor * (RARE_FIRST if name in undone and factor >= 1.0 else 1))
    return found
