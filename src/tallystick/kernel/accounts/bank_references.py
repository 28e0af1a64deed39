"""Bank references: each booking at a custodian's bank stands on the ledger once, for ever.

References that differ only in the case of letters count as one: a statement and a message may spell it differently.
"""

from typing import Annotated

from msgspec import Meta

from tallystick.kernel.core.fields import AnyId, Position
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.wire.status import Status

Reference = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9/:().,'+-]{0,34}\Z")]  # ISO 20022 Max35Text, no blanks


class BankReference(Record):
    """A used reference and the record that it was used for. Its id is `<custodian>/<reference in upper case>`."""

    table = "bank_reference"

    used_for: AnyId
    at: Position


def check_unused(step: Step, custodian: str, reference: str) -> Refusal | None:
    """bank_reference_used where this custodian booked it before."""
    row = step.find(BankReference, _row_id(custodian, reference))
    if row is None:
        return None
    return refuse(Status.BANK_REFERENCE_USED, bank_reference=reference, used_for=row.used_for)


def use(step: Step, custodian: str, reference: str, record: str) -> None:
    """Remember for ever that `record` was booked under this reference."""
    step.put(BankReference(id=_row_id(custodian, reference), used_for=record, at=step.position))


def _row_id(custodian: str, reference: str) -> str:
    return f"{custodian}/{reference.upper()}"
