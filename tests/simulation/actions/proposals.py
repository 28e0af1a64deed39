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


def action(weight: int) -> Callable[[Action], Action]:
    """Register an action; `weight` is how often it is tried."""

    def register(function: Action) -> Action:
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
