"""What becomes of claims of recourse when nothing is owed any more."""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.step import Step
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.recourse.records import Recourse, RecourseState

SETTLED = EventKind(
    "recourse.settled", "Recourse {record} on receivable {receivable} ended: nothing is left to be claimed by it."
)


def end_claims(step: Step, receivable: Receivable) -> Iterator[Event]:
    """End the open claims on a receivable that has ended."""
    for row in list(step.index_range(f"claims_of/{receivable.id}/")):
        claim = step.at(row.split("/", 2)[2])
        if isinstance(claim, Recourse) and claim.state is RecourseState.CLAIMED:
            yield settle(step, claim)


def settle(step: Step, claim: Recourse) -> Event:
    """End a claim that has lost its object."""
    step.put(replace(claim, state=RecourseState.SETTLED, ended=step.position))
    return SETTLED(claim.id, (claim.claimant, claim.liable), receivable=claim.receivable)
