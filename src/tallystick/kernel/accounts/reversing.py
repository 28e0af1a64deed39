"""Undoing deposits: money in suspense goes back to its remitter, or the bank reverses what was booked (冲正)."""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from tallystick.kernel.accounts import bank_references, book
from tallystick.kernel.accounts.bank_references import Reference
from tallystick.kernel.accounts.deposits import (
    Deposit,
    DepositState,
    check_stated,
    check_suspense,
    custodian_of,
)
from tallystick.kernel.accounts.escrows import escrows
from tallystick.kernel.accounts.records import Account, Balance
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Currency, DepositId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.rules import present_party
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.status import Status

RETURNED = EventKind("deposit.returned", "{units} {currency} in suspense went back to the remitter.")
REVERSED = EventKind(
    "deposit.reversed",
    "The bank reversed deposit {record} of {units} {currency}; {payer} still owes {claimed} {currency}.",
)


class ReturnDeposit(Operation, tag="deposit.return"):
    """Send money in suspense back to where it came from.

    Signed by the custodian, with its bank's reference of the payment back.
    """

    deposit: DepositId
    currency: Currency
    units: Units
    bank_reference: Reference

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return custodian_of(step, self.deposit)

    def check(self, step: Step) -> Refusal | None:
        deposit = step.get(Deposit, self.deposit)
        refusal = check_suspense(deposit, self.currency, self.units)
        if refusal is not None:
            return refusal
        # After a reversal that left a claim the bank holds less than what members have.
        if book.balance(step, book.bank_mirror(deposit.custodian, deposit.currency)) < deposit.units:
            return refuse(Status.INSUFFICIENT_FUNDS, deposit=deposit.id, needed=deposit.units)
        return bank_references.check_unused(step, deposit.custodian, self.bank_reference)

    def apply(self, step: Step) -> Iterator[Event]:
        deposit = step.get(Deposit, self.deposit)
        step.put(replace(deposit, state=DepositState.RETURNED, ended=step.position))
        bank_references.use(step, deposit.custodian, self.bank_reference, deposit.id)
        pool = book.suspense(deposit.custodian, deposit.currency)
        mirror = book.bank_mirror(deposit.custodian, deposit.currency)
        yield book.move(step, pool, mirror, deposit.currency, deposit.units, deposit.id)
        told = (deposit.custodian, *(name for name in (deposit.payer, deposit.remitter) if name is not None))
        yield RETURNED(deposit.id, told, units=deposit.units, currency=deposit.currency)


class ReverseDeposit(Operation, tag="deposit.reverse"):
    """Undo a booking that the bank reversed (冲正).

    Signed by the custodian with the bank's reference of the reversal. It takes the deposit from suspense if it is still
    there; else what is free in the payer's account, then what this deposit brought into a plan's escrow and is neither
    released nor disputed nor frozen, the last tranche's first. Other money of the payer in escrow is not touched. What
    is missing is a claim on the payer, never on a payee, and is taken from its next deposits.
    Source: DOMAIN section 3, "Deposit".
    """

    deposit: DepositId
    currency: Currency
    units: Units
    bank_reference: Reference

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return custodian_of(step, self.deposit)

    def check(self, step: Step) -> Refusal | None:
        deposit = step.get(Deposit, self.deposit)
        if deposit.state not in (DepositState.BOOKED, DepositState.IN_SUSPENSE):
            return refuse(Status.WRONG_STATE, deposit=deposit.id, state=deposit.state.value)
        refusal = check_stated(deposit, self.currency, self.units)
        if refusal is not None:
            return refusal
        # The claim must leave room for what else the custodian's bank still has to mirror.
        if book.balance(step, book.bank_mirror(deposit.custodian, deposit.currency)) < deposit.units:
            return refuse(Status.INSUFFICIENT_FUNDS, deposit=deposit.id, needed=deposit.units)
        return bank_references.check_unused(step, deposit.custodian, self.bank_reference)

    def apply(self, step: Step) -> Iterator[Event]:
        deposit = step.get(Deposit, self.deposit)
        step.put(replace(deposit, state=DepositState.REVERSED, ended=step.position))
        bank_references.use(step, deposit.custodian, self.bank_reference, deposit.id)
        mirror = book.bank_mirror(deposit.custodian, deposit.currency)
        left = deposit.units
        for source in _sources(step, deposit):
            taken = Units(min(left, source.units))
            if not taken:
                continue
            left -= taken
            if source.plan:
                yield from escrows().take_back(step, source.plan, mirror, taken, deposit.id)
            else:
                yield book.move(step, source.ledger_account, mirror, deposit.currency, taken, deposit.id)
        if left and deposit.payer is not None:
            # A booked deposit names its payer of then; what it owes, its successor owes.
            claim = book.claim_on(deposit.custodian, deposit.currency, present_party(step, deposit.payer))
            yield book.move(step, claim, mirror, deposit.currency, left, deposit.id)
        told = (deposit.custodian, *(name for name in (deposit.payer, deposit.remitter) if name is not None))
        yield REVERSED(
            deposit.id,
            told,
            units=deposit.units,
            currency=deposit.currency,
            claimed=left,
            payer=deposit.payer or "nobody",
        )


class _Source(NamedTuple):
    """Where money can be taken from, and how much: a ledger account, or a plan's escrow, which the plan counts."""

    ledger_account: str
    units: Units
    plan: str = ""


def _sources(step: Step, deposit: Deposit) -> tuple[_Source, ...]:
    """Where a reversal takes the money from, in DOMAIN's order."""
    if deposit.state is DepositState.IN_SUSPENSE:
        return (_Source(book.suspense(deposit.custodian, deposit.currency), deposit.units),)
    account = _payers_account(step, deposit)
    sources = [] if account is None else [_Source(account.ledger_account, book.free_units(step, account))]
    if deposit.plan is not None and deposit.payer is not None:
        held = book.hold(deposit.custodian, deposit.currency, deposit.id, present_party(step, deposit.payer))
        sources.append(_Source(held, book.balance(step, held)))
        escrow = escrows().find(step, deposit.plan)
        if escrow is not None:
            row = step.find(Balance, escrow.ledger_account)
            reachable = escrows().reachable(step, deposit.plan)
            unfrozen = ZERO if row is None else row.free_at(step.now)
            sources.append(
                _Source(escrow.ledger_account, Units(min(deposit.escrowed, reachable, unfrozen)), escrow.plan)
            )
    return tuple(sources)


def _payers_account(step: Step, deposit: Deposit) -> Account | None:
    """The account that the deposit went to; for what went into escrow alone, the payer's with the custodian."""
    if deposit.account is not None:
        return step.get(Account, deposit.account)
    if deposit.payer is None:
        return None
    return book.open_account(step, present_party(step, deposit.payer), deposit.currency, deposit.custodian)
