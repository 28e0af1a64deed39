"""Deposits (存款): announced by the payer, booked by the custodian from its bank statement, assigned or undone.

What arrives is always booked, for it is at the bank: to the account that the remittance code or the custodian names if
the money came from its owner, else to suspense (挂账). Plans will be a further place that a deposit can name.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from tallystick.kernel.accounts import bank_references, book
from tallystick.kernel.accounts.bank_references import Reference
from tallystick.kernel.accounts.records import Account, AccountState
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import AccountId, Currency, DepositId, MemberId, Position
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Queue, Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.currencies import check_currency
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.membership.business import on_succeeded, rename
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.rules import acting_as, present_party
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status

RemittanceCode = Annotated[str, Meta(pattern=r"\A[0-9A-HJKMNP-TV-Z]{16}\Z")]

ANNOUNCED = EventKind("deposit.announced", "{payer} announces {units} {currency}; remittance code {code}.")
LAPSED = EventKind("deposit.lapsed", "Nothing came for the announced deposit {record}.")
BOOKED = EventKind("deposit.booked", "{units} {currency} were booked to account {account} ({match}).")
IN_SUSPENSE = EventKind("deposit.in_suspense", "{units} {currency} are in suspense: {reason}.")
ASSIGNED = EventKind("deposit.assigned", "{units} {currency} in suspense were assigned to account {account}.")
RETURNED = EventKind("deposit.returned", "{units} {currency} in suspense went back to the remitter.")
REVERSED = EventKind(
    "deposit.reversed",
    "The bank reversed deposit {record} of {units} {currency}; {payer} still owes {claimed} {currency}.",
)


class DepositState(Enum):
    """announced -> booked | in_suspense | lapsed; in_suspense -> booked | returned; booked, in_suspense -> reversed."""

    ANNOUNCED = "announced"
    LAPSED = "lapsed"
    BOOKED = "booked"
    IN_SUSPENSE = "in_suspense"
    RETURNED = "returned"
    REVERSED = "reversed"


class Deposit(Record):
    """A deposit, announced or not. `units` are what was booked; `announced`, what the payer said."""

    table = "deposit"

    custodian: MemberId
    currency: Currency
    state: DepositState
    payer: MemberId | None = None
    account: AccountId | None = None
    announced: Units | None = None
    deadline: Instant | None = None
    units: Units = ZERO
    remitter: MemberId | None = None
    bank_reference: Reference | None = None
    booked: Position | None = None
    ended: Position | None = None

    @property
    def code(self) -> str:
        """The remittance code by which the custodian recognises the payment."""
        return self.id.removeprefix("dep_").upper()

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        waits = self.state is DepositState.ANNOUNCED and self.deadline is not None
        return ((Queue.EXPIRE, self.deadline.plus(1)),) if waits and self.deadline is not None else ()

    def live_for(self) -> tuple[str, ...]:
        match self.state:
            case DepositState.ANNOUNCED if self.payer is not None:
                return (self.payer, self.custodian)
            case DepositState.IN_SUSPENSE:
                return (self.custodian,)
            case _:
                return ()


class AnnounceDeposit(Operation, tag="deposit.announce"):
    """Say that money will come into one's own account; gives the remittance code to pay it under.

    Signed by the payer. An announcement for which nothing came lapses.
    """

    account: AccountId
    currency: Currency
    units: Units

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        account = step.find(Account, self.account)
        return refuse(Status.NOT_FOUND, account=self.account) if account is None else Signers.all(account.owner)

    def check(self, step: Step) -> Refusal | None:
        account = step.get(Account, self.account)
        if account.state is not AccountState.OPEN:
            return refuse(Status.WRONG_STATE, account=account.id, state=account.state.value)
        if self.currency != account.currency:
            return refuse(Status.CURRENCY_MISMATCH, account=account.currency, stated=self.currency)
        return None if self.units else refuse(Status.AMOUNT_ZERO)

    def apply(self, step: Step) -> Iterator[Event]:
        account = step.get(Account, self.account)
        deposit = Deposit(
            id=step.new_id("dep"),
            custodian=account.custodian,
            currency=self.currency,
            state=DepositState.ANNOUNCED,
            payer=account.owner,
            account=account.id,
            announced=self.units,
            deadline=step.now.plus(policies(step).announcement_days * DAY_MS),
        )
        step.put(deposit)
        yield ANNOUNCED(
            deposit.id,
            (account.owner, account.custodian),
            payer=account.owner,
            units=self.units,
            currency=self.currency,
            code=deposit.code,
        )


def lapse_announcement(step: Step, record: Record) -> Iterator[Event]:
    """Due work of an announcement: nothing came. Money that comes later under its code is booked all the same."""
    if not isinstance(record, Deposit) or record.payer is None:
        raise InvariantViolation(f"{record.key} is no announced deposit")
    step.put(replace(record, state=DepositState.LAPSED, ended=step.position))
    yield LAPSED(record.id, (record.payer, record.custodian))


class BookDeposit(Operation, tag="deposit.book"):
    """Book money that came in at the custodian's bank, by remittance code or to a named account, else to suspense.

    Signed by the custodian. `remitter` is the member in whose name it came, if any: money in another's name than the
    account's owner goes to suspense. A bank reference is booked once, for ever. Source: DOMAIN section 3, "Deposit".
    """

    bank_reference: Reference
    currency: Currency
    units: Units
    remitter: MemberId | None = None
    code: RemittanceCode | None = None
    account: AccountId | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.holding(Role.CUSTODIAN.value)

    def check(self, step: Step) -> Refusal | None:
        custodian = self._books(step)
        refusal = check_currency(step, self.currency)
        if refusal is not None:
            return refusal
        if not self.units:
            return refuse(Status.AMOUNT_ZERO)
        if not book.has_room(step, custodian, self.currency, self.units):
            return refuse(Status.AMOUNT_OVERFLOW, currency=self.currency)
        return bank_references.check_unused(step, custodian, self.bank_reference)

    def apply(self, step: Step) -> Iterator[Event]:
        custodian = self._books(step)
        announced = self._announced(step, custodian)
        account = self._account(step, announced)
        reason = self._why_suspense(account, custodian)
        fresh = announced is None or announced.state is not DepositState.ANNOUNCED
        base = Deposit(id=step.new_id("dep"), custodian=custodian, currency=self.currency, state=DepositState.BOOKED)
        deposit = replace(
            base if fresh or announced is None else announced,
            state=DepositState.BOOKED if reason == "" else DepositState.IN_SUSPENSE,
            deadline=None,
            units=self.units,
            remitter=self.remitter,
            bank_reference=self.bank_reference,
            booked=step.position,
        )
        bank_references.use(step, custodian, self.bank_reference, deposit.id)
        if account is not None and reason == "":
            deposit = replace(deposit, payer=account.owner, account=account.id)
            step.put(deposit)
            yield from _credit(step, deposit, account, book.bank_mirror(custodian, self.currency))
            yield _booked(deposit, account, None if fresh else deposit.announced)
            return
        step.put(deposit)
        pool = book.suspense(custodian, self.currency)
        mirror = book.bank_mirror(custodian, self.currency)
        yield book.move(step, mirror, pool, self.currency, self.units, deposit.id)
        told = (custodian, *(name for name in (deposit.payer, self.remitter) if name is not None))
        yield IN_SUSPENSE(deposit.id, told, units=self.units, currency=self.currency, reason=reason)

    def _books(self, step: Step) -> str:
        """Whose books the money goes into: the signer's, or those of one it succeeded where code or account say so."""
        signer = acting_as(step, Role.CUSTODIAN)
        named = self._announcement(step) or self._named_account(step)
        if named is not None and present_party(step, named.custodian) == signer:
            return named.custodian
        return signer

    def _announcement(self, step: Step) -> Deposit | None:
        """The announcement that gave the remittance code."""
        found = None if self.code is None else step.find(Deposit, f"dep_{self.code.lower()}")
        return found if found is not None and found.announced is not None else None

    def _named_account(self, step: Step) -> Account | None:
        return None if self.account is None else step.find(Account, self.account)

    def _announced(self, step: Step, custodian: str) -> Deposit | None:
        found = self._announcement(step)
        if found is None or found.custodian != custodian or found.currency != self.currency:
            return None
        return found

    def _account(self, step: Step, announced: Deposit | None) -> Account | None:
        if announced is not None and announced.account is not None:
            return step.get(Account, announced.account)
        return self._named_account(step)

    def _why_suspense(self, account: Account | None, custodian: str) -> str:
        """Why the money can't go into an account, or nothing."""
        if account is None or account.custodian != custodian or account.currency != self.currency:
            return "unidentified"
        if account.state is not AccountState.OPEN:
            return "account_not_open"
        return "" if self.remitter == account.owner else "another_remitter"


def _booked(deposit: Deposit, account: Account, announced: Units | None) -> Event:
    match = "unannounced"
    if announced is not None:
        match = "as_announced" if announced == deposit.units else "short" if deposit.units < announced else "over"
    return BOOKED(
        deposit.id,
        (account.owner, account.custodian),
        units=deposit.units,
        currency=deposit.currency,
        account=account.id,
        match=match,
        announced=deposit.units if announced is None else announced,
    )


def _credit(step: Step, deposit: Deposit, account: Account, source: str) -> Iterator[Event]:
    """Money into the account, and out of it what its custodian has claimed since a reversal."""
    yield book.move(step, source, account.ledger_account, deposit.currency, deposit.units, deposit.id)
    claim = book.claim_on(account.custodian, account.currency, account.owner)
    owed = min(book.balance(step, claim), book.free_units(step, account))
    if owed:
        yield book.move(step, account.ledger_account, claim, deposit.currency, owed, deposit.id)


class AssignDeposit(Operation, tag="deposit.assign"):
    """Give money in suspense to the account that it was meant for.

    Signed by the custodian and the account's owner, the payer.
    """

    deposit: DepositId
    account: AccountId
    currency: Currency
    units: Units

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        deposit, account = step.find(Deposit, self.deposit), step.find(Account, self.account)
        if deposit is None:
            return refuse(Status.NOT_FOUND, deposit=self.deposit)
        if account is None:
            return refuse(Status.NOT_FOUND, account=self.account)
        return Signers.all(present_party(step, deposit.custodian), account.owner)

    def check(self, step: Step) -> Refusal | None:
        deposit, account = step.get(Deposit, self.deposit), step.get(Account, self.account)
        if account.state is not AccountState.OPEN:
            return refuse(Status.WRONG_STATE, account=account.id, state=account.state.value)
        if account.custodian != deposit.custodian:
            return refuse(Status.CUSTODIAN_DIFFERS, payer=deposit.custodian, payee=account.custodian)
        if account.currency != deposit.currency:
            return refuse(Status.CURRENCY_MISMATCH, account=account.currency, stated=deposit.currency)
        return _check_suspense(deposit, self.currency, self.units)

    def apply(self, step: Step) -> Iterator[Event]:
        account = step.get(Account, self.account)
        deposit = replace(
            step.get(Deposit, self.deposit), state=DepositState.BOOKED, payer=account.owner, account=account.id
        )
        step.put(deposit)
        yield from _credit(step, deposit, account, book.suspense(deposit.custodian, deposit.currency))
        yield ASSIGNED(
            deposit.id,
            (account.owner, deposit.custodian),
            units=deposit.units,
            currency=deposit.currency,
            account=account.id,
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
        return _custodian_of(step, self.deposit)

    def check(self, step: Step) -> Refusal | None:
        deposit = step.get(Deposit, self.deposit)
        refusal = _check_suspense(deposit, self.currency, self.units)
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
    there, else what is free in the payer's account; what is missing is a claim on the payer, never on a payee, and is
    taken from its next deposits. Source: DOMAIN section 3, "Deposit".
    """

    deposit: DepositId
    currency: Currency
    units: Units
    bank_reference: Reference

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return _custodian_of(step, self.deposit)

    def check(self, step: Step) -> Refusal | None:
        deposit = step.get(Deposit, self.deposit)
        if deposit.state not in (DepositState.BOOKED, DepositState.IN_SUSPENSE):
            return refuse(Status.WRONG_STATE, deposit=deposit.id, state=deposit.state.value)
        refusal = _check_stated(deposit, self.currency, self.units)
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
        for source, available in self._sources(step, deposit):
            taken = min(left, available)
            if taken:
                yield book.move(step, source, mirror, deposit.currency, taken, deposit.id)
                left -= taken
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

    def _sources(self, step: Step, deposit: Deposit) -> Iterator[tuple[str, Units]]:
        """Where the money is taken from, in DOMAIN's order; the unreleased escrow of plans comes after these."""
        if deposit.state is DepositState.IN_SUSPENSE:
            yield book.suspense(deposit.custodian, deposit.currency), deposit.units
        elif deposit.account is not None:
            account = step.get(Account, deposit.account)
            yield account.ledger_account, book.free_units(step, account)


def _check_suspense(deposit: Deposit, currency: str, units: Units) -> Refusal | None:
    if deposit.state is not DepositState.IN_SUSPENSE:
        return refuse(Status.WRONG_STATE, deposit=deposit.id, state=deposit.state.value)
    return _check_stated(deposit, currency, units)


def _check_stated(deposit: Deposit, currency: str, units: Units) -> Refusal | None:
    """What the signer states must be the deposit's own currency and amount."""
    if currency != deposit.currency:
        return refuse(Status.CURRENCY_MISMATCH, deposit=deposit.currency, stated=currency)
    if units != deposit.units:
        return refuse(Status.AMOUNT_DIFFERS, computed=deposit.units, stated=units)
    return None


def pass_deposit(step: Step, record: Record, member: str, successor: str) -> Iterator[Event]:
    """A succession: a payer's deposits pass to its successor; a custodian's books keep its name."""
    if isinstance(record, Deposit) and record.custodian != member:
        yield from rename(step, record, member, successor)


on_succeeded("deposit", pass_deposit)


def _custodian_of(step: Step, deposit_id: str) -> Signers | Refusal:
    deposit = step.find(Deposit, deposit_id)
    return (
        refuse(Status.NOT_FOUND, deposit=deposit_id)
        if deposit is None
        else Signers.all(present_party(step, deposit.custodian))
    )
