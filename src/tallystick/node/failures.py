"""What kind of failure an exception is, for whoever has to say so to a user."""

import enum
from dataclasses import dataclass, field

from tallystick.ledger.engine import NotYet
from tallystick.ledger.socket_client import EngineUnreachable
from tallystick.ledger.store import StoreFailure
from tallystick.node.composition import DamagedLedger, LedgerInUse, Unreachable
from tallystick.node.lookup import Ambiguous
from tallystick.wire.errors import InvariantViolation


class Failure(enum.Enum):
    """Whose turn it is: the user's, later again, or the operator's."""

    BAD_INPUT = "bad_input"
    OUT_OF_REACH = "out_of_reach"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Classified:
    """A failure's kind and what may help."""

    kind: Failure
    details: list[str] = field(default_factory=list)


def classify(error: Exception) -> Classified:
    """The kind of `error`. What is none of ours, like a file that can't be written, is the user's to put right."""
    match error:
        case Ambiguous():
            return Classified(Failure.BAD_INPUT, [f"{name}  {what}" for name, what in error.candidates])
        case DamagedLedger() | StoreFailure() | InvariantViolation():
            return Classified(Failure.DAMAGED)
        case NotYet() | LedgerInUse() | Unreachable() | EngineUnreachable() | TimeoutError() | ConnectionError():
            return Classified(Failure.OUT_OF_REACH)
        case _:
            return Classified(Failure.BAD_INPUT)
