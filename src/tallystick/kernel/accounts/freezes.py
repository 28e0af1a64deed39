"""Freezes of an account's money and deductions by order (冻结, 扣划): amounts, and they bar debits only."""

import datetime
from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.accounts import bank_references, book
from tallystick.kernel.accounts.bank_references import Reference
from tallystick.kernel.accounts.records import Account, AccountFreeze, AccountState, Balance
from tallystick.kernel.calendar.days import end_of
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import AccountId, Anchor, Currency, FreezeId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.rules import present_party
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

MAX_FREEZES = 64

FROZEN = EventKind("account.frozen", "{units} {currency} of account {record} are frozen by order ({freeze}).")
UNFROZEN = EventKind("account.unfrozen", "Freeze {freeze} of {units} {currency} of account {record} has ended.")
DEDUCTED = EventKind("account.deducted", "{units} {currency} were deducted from account {record} by order.")


class FreezeAccount(Operation, tag="account.freeze"):
    """Bar debits of an amount of an account, until a day or until lifted; it covers money that comes later too.

    Signed by the custodian with an authority's anchor. Escrow of confirmed plans is not reached.
    """

    account: AccountId
    currency: Currency
    units: Units
    authority_order: Anchor
    until_on: datetime.date | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return _custodian_of(step, self.account)

    def check(self, step: Step) -> Refusal | None:
        account = step.get(Account, self.account)
        if account.state is not AccountState.OPEN:
            return refuse(Status.WRONG_STATE, account=account.id, state=account.state.value)
        if self.currency != account.currency:
            return refuse(Status.CURRENCY_MISMATCH, account=account.currency, stated=self.currency)
        if not self.units:
            return refuse(Status.AMOUNT_ZERO)
        if self.until_on is not None and self.until_on < step.today:
            return refuse(Status.BAD_DATES, until_on=self.until_on)
        if len(step.get(Balance, account.ledger_account).freezes) >= MAX_FREEZES:
            return refuse(Status.TOO_MANY, account=account.id, limit=MAX_FREEZES)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        account = step.get(Account, self.account)
        row = step.get(Balance, account.ledger_account)
        until = None if self.until_on is None else end_of(step.overlay, self.until_on)
        freeze = AccountFreeze(id=step.new_id("frz"), authority=self.authority_order, units=self.units, until=until)
        step.put(replace(row, freezes=(*row.freezes, freeze)))
        yield FROZEN(
            account.id,
            (account.owner, account.custodian),
            freeze=freeze.id,
            units=self.units,
            currency=self.currency,
            until_on=self.until_on or "lifted",
        )


class UnfreezeAccount(Operation, tag="account.unfreeze"):
    """Lift a freeze of an account before its end.

    Signed by the custodian with an authority's anchor.
    """

    account: AccountId
    freeze: FreezeId
    authority_order: Anchor

    def authority(self, step: Step) -> Signers | Refusal:
        return _custodian_of(step, self.account)

    def check(self, step: Step) -> Refusal | None:
        account = step.get(Account, self.account)
        row = step.find(Balance, account.ledger_account)
        if row is None or _freeze_of(row, self.freeze) is None:
            return refuse(Status.NOT_FOUND, freeze=self.freeze)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        account = step.get(Account, self.account)
        row = step.get(Balance, account.ledger_account)
        yield from _end(step, row, account, tuple(one for one in row.freezes if one.id == self.freeze))


class DeductByOrder(Operation, tag="account.deduct_by_order"):
    """Pay an amount out of an account as an authority orders (扣划), also what the freeze named here covers.

    Signed by the custodian with the authority's anchor and its bank's reference of the payment; the freeze shrinks by
    the amount. What other freezes cover is not touched.
    """

    account: AccountId
    currency: Currency
    units: Units
    authority_order: Anchor
    bank_reference: Reference
    freeze: FreezeId | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return _custodian_of(step, self.account)

    def check(self, step: Step) -> Refusal | None:
        account = step.get(Account, self.account)
        if account.state is not AccountState.OPEN:
            return refuse(Status.WRONG_STATE, account=account.id, state=account.state.value)
        row = step.get(Balance, account.ledger_account)
        named = None if self.freeze is None else _freeze_of(row, self.freeze)
        if self.freeze is not None and named is None:
            return refuse(Status.NOT_FOUND, freeze=self.freeze)
        if self.currency != account.currency:
            return refuse(Status.CURRENCY_MISMATCH, account=account.currency, stated=self.currency)
        if not self.units:
            return refuse(Status.AMOUNT_ZERO)
        if row.units < self.units:
            return refuse(Status.INSUFFICIENT_FUNDS, account=account.id, available=row.units, needed=self.units)
        others = replace(row, freezes=tuple(one for one in row.freezes if one is not named))
        if others.free_at(step.now) < self.units:
            return refuse(Status.ACCOUNT_FROZEN, account=account.id, free=others.free_at(step.now), needed=self.units)
        at_bank = book.balance(step, book.bank_mirror(account.custodian, account.currency))
        if at_bank < self.units:
            return refuse(Status.INSUFFICIENT_FUNDS, custodian=account.custodian, available=at_bank, needed=self.units)
        return bank_references.check_unused(step, account.custodian, self.bank_reference)

    def apply(self, step: Step) -> Iterator[Event]:
        account = step.get(Account, self.account)
        row = step.get(Balance, account.ledger_account)
        named = None if self.freeze is None else _freeze_of(row, self.freeze)
        if named is not None:
            left = named.units - min(named.units, self.units)
            rest = tuple(replace(one, units=left) if one is named else one for one in row.freezes)
            step.put(replace(row, freezes=tuple(one for one in rest if one.units)))
        bank_references.use(step, account.custodian, self.bank_reference, account.id)
        mirror = book.bank_mirror(account.custodian, account.currency)
        yield book.move(step, account.ledger_account, mirror, account.currency, self.units, account.id)
        yield DEDUCTED(
            account.id,
            (account.owner, account.custodian),
            units=self.units,
            currency=self.currency,
            bank_reference=self.bank_reference,
        )


def end_freezes(step: Step, record: Record) -> Iterator[Event]:
    """Due work of a balance: freezes whose day has passed end."""
    if not isinstance(record, Balance):
        raise InvariantViolation(f"{record.key} is no balance")
    account = step.get(Account, record.id.removeprefix("available/"))
    past = tuple(one for one in record.freezes if one.until is not None and one.until < step.now)
    yield from _end(step, record, account, past)


def _end(step: Step, row: Balance, account: Account, ended: tuple[AccountFreeze, ...]) -> Iterator[Event]:
    left = replace(row, freezes=tuple(one for one in row.freezes if one not in ended))
    # Money that may be debited again is a funding like any other.
    step.put(book.with_retry(left, step.now) if left.owes and left.units > ZERO else left)
    for freeze in ended:
        yield UNFROZEN(
            account.id,
            (account.owner, account.custodian),
            freeze=freeze.id,
            units=freeze.units,
            currency=account.currency,
        )


def _freeze_of(row: Balance, freeze: str) -> AccountFreeze | None:
    return next((one for one in row.freezes if one.id == freeze), None)


def _custodian_of(step: Step, account_id: str) -> Signers | Refusal:
    account = step.find(Account, account_id)
    if account is None:
        return refuse(Status.NOT_FOUND, account=account_id)
    return Signers.all(present_party(step, account.custodian))
