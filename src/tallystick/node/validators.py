"""The validators as governors and operators look at them: whose they are, since when, and what they were caught at."""

from collections.abc import Sequence
from dataclasses import dataclass

from tallystick.kernel.governance.misbehaviour import Equivocation
from tallystick.kernel.governance.records import ValidatorSet
from tallystick.ledger.engine import Engine
from tallystick.node.lineage import rows_of
from tallystick.wire.errors import InvariantViolation


@dataclass(frozen=True, slots=True)
class SeenValidator:
    """A validator of the set decided last; it signs from two heights after `since`. `since` 0: from the beginning.

    One that was removed and had been caught before stands here as well, with no key.
    """

    name: str
    address: str
    key: str
    since: int
    equivocations: tuple[Equivocation, ...]

    @property
    def is_validator(self) -> bool:
        """Whether it is in the set."""
        return bool(self.key)


def validators(engine: Engine) -> Sequence[SeenValidator]:
    """Those of the set in its order, then those that were caught and are gone, by address."""
    row = engine.query("validators/chain").record
    if not isinstance(row, ValidatorSet):
        raise InvariantViolation("the chain has no row of its validators")
    caught: dict[str, list[Equivocation]] = {}
    for one in rows_of(engine, Equivocation.table):
        if isinstance(one, Equivocation):
            caught.setdefault(one.address, []).append(one)
    present = [
        SeenValidator(one.name, one.address, one.key, one.since, _in_order(caught.pop(one.address, [])))
        for one in row.validators
    ]
    gone = (
        SeenValidator(next((one.validator for one in reports if one.validator), ""), address, "", 0, _in_order(reports))
        for address, reports in sorted(caught.items())
    )
    return (*present, *gone)


def _in_order(reports: list[Equivocation]) -> tuple[Equivocation, ...]:
    return tuple(sorted(reports, key=lambda one: (one.at_height, one.kind)))
