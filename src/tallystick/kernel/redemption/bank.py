"""Payment through a bank: the debtor anchors its receipt, each holder's confirmation retires its own parcels.

A debtor's receipt keeps units out of the automatic payment only while their holders may still answer. Denial, and
silence to the deadline, are disputes: the units are unpaid debt, paid at the due date and on each later try like all
others; grace and recourse take their course. A late confirmation counts while they are not yet paid; after that there
is nothing left to confirm. Source: DOMAIN section 3, "Redemption"; ADR 0006.
"""

from collections.abc import Iterator
from enum import Enum

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Currency, Interval, ReceivableId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.receivables.parcels import frozen_units, live_parcels
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.redemption.paying import Part, after_payment, length_of, retire_parts
from tallystick.kernel.redemption.records import BankPayment, Redemption
from tallystick.kernel.redemption.shares import outside, put_redemption, redemption_of, without_questions
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status

PAID_BY_BANK = EventKind(
    "redemption.paid_by_bank", "{debtor} says it paid {units} {currency} of receivable {record}; answer until {until}."
)
DISPUTED = EventKind(
    "redemption.disputed", "A bank payment for receivable {record} is disputed: {units} {currency} ({reason})."
)


class PaymentAnswer(Enum):
    """A holder's answer to a bank payment."""

    RECEIVED = "received"
    DENIED = "denied"


def begin_bank_payment(
    step: Step, receivable: Receivable, row: Redemption, parts: tuple[Part, ...], receipt: Anchor
) -> Iterator[Event]:
    """Await each holder's answer. Meanwhile nothing of the receivable is transferred or financed."""
    deadline = step.now.plus(policies(step).redemption_receipt_days * DAY_MS)
    paid = tuple(part.interval for part in parts)
    row = replace(
        row,
        bank=BankPayment(receipt=receipt, since=step.position, deadline=deadline, waiting=paid),
        disputed=tuple(left for interval in row.disputed for left in outside(interval, paid)),
    )
    put_redemption(step, row)
    step.put(after_payment(step, receivable, row))
    yield PAID_BY_BANK(
        receivable.id,
        (receivable.debtor, receivable.creditor, *(part.parcel.holder for part in parts)),
        debtor=receivable.debtor,
        units=length_of(parts),
        currency=receivable.currency,
        until=deadline,
    )


def _parts_of(step: Step, receivable: Receivable, holder: str, among: tuple[Interval, ...]) -> tuple[Part, ...]:
    """The units of `holder`'s parcels that lie in `among`, ascending."""
    return tuple(
        Part(parcel, Interval(max(parcel.interval.first, part.first), min(parcel.interval.last, part.last)))
        for parcel in live_parcels(step, receivable)
        if parcel.holder == holder
        for part in sorted(among, key=lambda interval: interval.first)
        if part.overlaps(parcel.interval)
    )


class ConfirmPayment(Operation, tag="receivable.confirm_payment"):
    """Answer for a bank payment: received retires all of one's units it was for; denied makes them a dispute.

    Signed by the holder; `units` is the amount that it answers for. Denied, or without an answer in time, units are
    unpaid debt: the ledger pays them by itself from the due date on, like all others. Until they are paid, received may
    still be said of them. Source: DOMAIN section 3, "Redemption"; ADR 0006.
    """

    while_suspended = True

    receivable: ReceivableId
    currency: Currency
    units: Units
    answer: PaymentAnswer = PaymentAnswer.RECEIVED

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        if step.find(Receivable, self.receivable) is None:
            return refuse(Status.NOT_FOUND, receivable=self.receivable)
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        receivable = step.get(Receivable, self.receivable)
        row = redemption_of(step, receivable)
        if not receivable.is_owed or not self._asked(row):
            return refuse(Status.WRONG_STATE, receivable=receivable.id, state=receivable.state.value)
        parts = _parts_of(step, receivable, step.actor, self._asked(row))
        if not parts:
            return refuse(Status.RECEIVABLE_NOT_HELD, organisation=step.actor, receivable=receivable.id)
        if self.currency != receivable.currency:
            return refuse(Status.CURRENCY_MISMATCH, receivable=receivable.currency, stated=self.currency)
        if self.units != length_of(parts):
            return refuse(Status.AMOUNT_DIFFERS, computed=length_of(parts), stated=self.units)
        if self.answer is PaymentAnswer.RECEIVED:
            for frozen in frozen_units(receivable, step.now):
                if any(frozen.overlaps(part.interval) for part in parts):
                    return refuse(Status.FROZEN, first=frozen.first, last=frozen.last)
            return None
        if row.bank is None or step.now > row.bank.deadline:
            return refuse(Status.DEADLINE_PASSED, receivable=receivable.id)
        return None

    def _asked(self, row: Redemption) -> tuple[Interval, ...]:
        """The units for which this answer can be given."""
        return (*row.awaited, *row.disputed) if self.answer is PaymentAnswer.RECEIVED else row.awaited

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = step.get(Receivable, self.receivable)
        row = redemption_of(step, receivable)
        parts = _parts_of(step, receivable, step.actor, self._asked(row))
        answered = tuple(part.interval for part in parts)
        row = without_questions(row, answered)
        if self.answer is PaymentAnswer.RECEIVED:
            yield from retire_parts(step, receivable, row, parts, "bank")
            return
        row = replace(row, disputed=(*row.disputed, *answered))
        put_redemption(step, row)
        step.put(after_payment(step, receivable, row))
        yield _disputed(receivable, (step.actor,), self.units, "denied")


def dispute_silence(step: Step, record: Record) -> Iterator[Event]:
    """Due work at the deadline of a bank payment: the units whose holders were silent are disputed."""
    if not isinstance(record, Redemption) or record.bank is None:
        raise InvariantViolation(f"{record.key} awaits no payment")
    receivable = step.get(Receivable, record.id)
    row = replace(record, bank=None, disputed=(*record.disputed, *record.awaited))
    put_redemption(step, row)
    if not receivable.is_owed:
        return
    step.put(after_payment(step, receivable, row))
    silent = tuple(
        parcel.holder
        for parcel in live_parcels(step, receivable)
        if any(part.overlaps(parcel.interval) for part in record.awaited)
    )
    units = Units(sum(part.length for part in record.awaited))
    yield _disputed(receivable, silent, units, "silence")


def _disputed(receivable: Receivable, holders: tuple[str, ...], units: Units, reason: str) -> Event:
    return DISPUTED(
        receivable.id, (receivable.debtor, *holders), units=units, currency=receivable.currency, reason=reason
    )
