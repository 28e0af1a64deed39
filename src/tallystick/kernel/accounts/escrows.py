"""What accounts ask about the escrow of plans: whose it is, what it still takes, what may be taken out of it again.

The room of plans stands above this one and answers; it registers once, at import, as subjects of review do.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from tallystick.kernel.accounts.records import Account
from tallystick.kernel.core.events import Event
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.step import Step
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation


class Escrow(NamedTuple):
    """The escrow of one plan. It takes money while it `is_active`: confirmed, not ended, its payer solvent.

    `takes` is what is still to be deposited, nothing unless it is active. `account` is the payer's that pays for it and
    gets the rest. All money of a plan for wages (`is_special`) passes through it, the project's special account.
    """

    plan: str
    payer: str
    payee: str
    custodian: str
    currency: str
    ledger_account: str
    account: Account | None
    is_special: bool
    is_active: bool
    is_live: bool
    takes: Units


class Escrows(Protocol):
    """What the room of plans answers and does. Methods with `units` are given no more than they said would be there."""

    def find(self, step: Step, plan: str) -> Escrow | None:
        """The escrow of `plan`, or None where there is no such plan."""

    def take_in(self, step: Step, plan: str, source: str, units: Units, subject: str) -> Iterator[Event]:
        """Post `units`, at most what it `takes`, from the ledger account `source`, and tell the parties."""

    def reachable(self, step: Step, plan: str) -> Units:
        """What may be taken out again: neither released nor disputed nor retained."""

    def take_back(self, step: Step, plan: str, target: str, units: Units, subject: str) -> Iterator[Event]:
        """Post `units`, at most what is `reachable`, to `target`: the money of the last tranche first."""

    def check_order(self, step: Step, plan: str) -> Refusal | None:
        """Why no authority's order may reach this escrow, or None."""

    def check_seizure(self, step: Step, account: Account) -> Refusal | None:
        """Why no authority's order may reach an account that plans are paid from, or None."""

    def wake(self, step: Step, plan: str) -> None:
        """Have what waits for money of this plan looked at again."""


_REGISTERED: list[Escrows] = []


def register(escrows: Escrows) -> None:
    """Declare who answers for the escrow of plans."""
    if _REGISTERED:
        raise InvariantViolation("two rooms answer for the escrow of plans")
    _REGISTERED.append(escrows)


def escrows() -> Escrows:
    """Who answers for the escrow of plans."""
    if not _REGISTERED:
        raise InvariantViolation("nobody answers for the escrow of plans")
    return _REGISTERED[0]
