"""What CometBFT reports of a validator that broke the consensus: recorded once, told, and kept for ever.

The evidence itself (two votes of one key at one height, or a vote for a fork) stands in the block, checked by every
validator before it agreed to the block; the governors decide what follows (validator.remove). Source: DESIGN section 6.
"""

from collections.abc import Iterator

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Count
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.step import Misbehaviour, Step
from tallystick.kernel.governance.records import ValidatorSet
from tallystick.wire.instants import Instant

VALIDATOR_EQUIVOCATED = EventKind(
    "validator.equivocated", "The validator {name} ({address}) broke the consensus at height {at_height}: {kind}."
)

UNKNOWN_VALIDATOR = "no longer a validator"
TOLD = ("role/governor", "role/auditor")


class Equivocation(Record):
    """A validator was caught at a height. Id: its address and that height, so one report of it is recorded."""

    table = "equivocation"

    kind: str
    address: str
    at_height: Count
    at: Instant
    power: Count
    total_power: Count
    reported_height: Count  # the block that carried the evidence
    validator: str = ""  # its name, where it was a validator still


def record_misbehaviours(step: Step) -> Iterator[Event]:
    """Record what the block's engine reports and the ledger does not know yet."""
    for reported in step.block.misbehaviours:
        row = _row_of(step, reported)
        if step.find(Equivocation, row.id) is None:
            step.put(row)
            told = row.validator or UNKNOWN_VALIDATOR
            facts = {"name": told, "address": row.address, "at_height": row.at_height, "kind": row.kind}
            yield VALIDATOR_EQUIVOCATED(row.id, TOLD, **facts)


def _row_of(step: Step, reported: Misbehaviour) -> Equivocation:
    validators = step.get(ValidatorSet, "chain").validators
    names = (one.name for one in validators if one.address == reported.validator)
    return Equivocation(
        id=f"{reported.validator}-{reported.height}",
        kind=reported.kind,
        address=reported.validator,
        at_height=reported.height,
        at=reported.time,
        power=reported.power,
        total_power=reported.total_power,
        reported_height=step.block.height,
        validator=next(names, ""),
    )
