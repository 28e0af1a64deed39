"""The central registry (中登): search and registration before money is paid, cancellation after a failure."""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import FinancingId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.financing.lifecycle import check_window
from tallystick.kernel.financing.records import Financing, FinancingState, Registration, RegistryNumber
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

SEARCHED = EventKind("financing.searched", "The central registry was searched for {record} (search {search}).")
REGISTERED = EventKind("financing.registered", "The assignment of {record} is registered under {number}.")
CANCELLED = EventKind("financing.registration_cancelled", "Registration {number} of {record} is cancelled.")
OVERDUE = EventKind("financing.cancellation_overdue", "Registration {number} of {record} was not cancelled in time.")


class RegisterFinancing(Operation, tag="financing.register"):
    """State the search at the central registry and the assignment's registration number (中登登记).

    The search may come first and the number with it later.

    Signed by the awarded funder, after the review's approval and before it settles. Source: DOMAIN section 6, art. 13.
    """

    financing: FinancingId
    search: RegistryNumber
    number: RegistryNumber | None = None
    while_suspended = True

    def authority(self, step: Step) -> Signers | Refusal:
        financing = step.find(Financing, self.financing)
        if financing is None:
            return refuse(Status.NOT_FOUND, financing=self.financing)
        return _by_funder(financing)

    def check(self, step: Step) -> Refusal | None:
        financing = step.get(Financing, self.financing)
        refusal = check_window(step, financing, FinancingState.APPROVED)
        if refusal is not None:
            return refusal
        if self.number is not None and any(entry.number == self.number for entry in financing.registrations):
            return refuse(Status.RECORD_EXISTS, number=self.number)  # an assignment of its own: a number of its own
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        financing = step.get(Financing, self.financing)
        entry = Registration(funder=financing.funder, search=self.search, number=self.number, at=step.position)
        registrations = (*(one for one in financing.registrations if one.failed), entry)
        told = (financing.client, financing.funder, financing.debtor)
        if self.number is None:
            step.put(replace(financing, registrations=registrations))
            yield SEARCHED(financing.id, told, search=self.search)
        else:
            step.put(replace(financing, state=FinancingState.REGISTERED, registrations=registrations))
            yield REGISTERED(financing.id, told, number=self.number, search=self.search)


def _by_funder(financing: Financing) -> Signers | Refusal:
    if financing.award is None:
        return refuse(Status.WRONG_STATE, state=financing.state.value)
    return Signers.all(financing.award.funder)


class CancelRegistration(Operation, tag="financing.cancel_registration"):
    """State the number under which a registration was cancelled after its settlement failed (中登注销).

    Signed by the funder that registered. Until then the parcel's next financing may be barred by law.
    """

    financing: FinancingId
    number: RegistryNumber
    cancellation: RegistryNumber
    while_suspended = True

    def authority(self, step: Step) -> Signers | Refusal:
        financing = step.find(Financing, self.financing)
        if financing is None:
            return refuse(Status.NOT_FOUND, financing=self.financing)
        entry = next((one for one in financing.registrations if one.number == self.number), None)
        if entry is None:
            return refuse(Status.NOT_FOUND, number=self.number)
        return Signers.all(entry.funder)

    def check(self, step: Step) -> Refusal | None:
        financing = step.get(Financing, self.financing)
        entry = _entry(financing, self.number)
        if entry.cancelled is not None:
            return refuse(Status.ALREADY_DECIDED, number=entry.number, cancellation=entry.cancelled)
        if not entry.failed:
            return refuse(Status.WRONG_STATE, state=financing.state.value)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        financing = step.get(Financing, self.financing)
        done = replace(_entry(financing, self.number), cancelled=self.cancellation, cancel_by=None)
        registrations = tuple(done if one.number == self.number else one for one in financing.registrations)
        step.put(replace(financing, registrations=registrations))
        told = (financing.client, done.funder, financing.debtor)
        yield CANCELLED(financing.id, told, number=self.number, cancellation=self.cancellation)


def _entry(financing: Financing, number: str) -> Registration:
    for one in financing.registrations:
        if one.number == number:
            return one
    raise InvariantViolation(f"{financing.id} has no registration {number}")


def overdue_cancellations(step: Step, record: Record) -> Iterator[Event]:
    """Tell the parties of registrations that should have been cancelled by now (due work)."""
    financing = step.get(Financing, record.id)
    registrations: list[Registration] = []
    for entry in financing.registrations:
        if entry.cancel_by is None or step.now <= entry.cancel_by:
            registrations.append(entry)
            continue
        registrations.append(replace(entry, cancel_by=None))
        told = (financing.client, entry.funder, financing.debtor)
        yield OVERDUE(financing.id, told, number=entry.number or "")
    step.put(replace(financing, registrations=tuple(registrations)))
