"""A refusal: a status with the facts that explain it. A value, never an exception."""

from dataclasses import dataclass, field
from typing import TypeAlias

from tallystick.wire.status import Status

Fact: TypeAlias = str | int


@dataclass(frozen=True, slots=True)
class Refusal:
    """The first rule that a step would break, and the facts: amounts as decimal strings of minor units."""

    status: Status
    facts: dict[str, Fact] = field(default_factory=dict)


def refuse(status: Status, **facts: object) -> Refusal:
    """A refusal with its facts in canonical form (amounts, instants, dates and states as text)."""
    return Refusal(status, {name: fact(value) for name, value in facts.items()})


def fact(value: object) -> Fact:
    """The canonical form of a fact: text, or a small integer."""
    kind = type(value)
    if kind is str or kind is int:
        return value  # type: ignore[return-value]  # the two types of a Fact
    if kind is bool:
        return "yes" if value else "no"
    return str(value)
