"""Freezes of an account's money and deductions by order (冻结, 扣划): amounts, and they bar debits only.

An order reaches the escrow of a plan only if it names the plan; then it bars what would leave the escrow, and wages
never (`Escrows.check_order`). Money that a deadline gives back to the payer takes its freeze along.
"""

import datetime
from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from tallystick.kernel.accounts import bank_references, book
from tallystick.kernel.accounts.bank_references import Reference
from tallystick.kernel.accounts.escrows import escrows
from tallystick.kernel.accounts.records import Account, AccountFreeze, AccountState, Balance
from tallystick.kernel.calendar.days import end_of
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import AccountId, Anchor, Currency, FreezeId, PlanId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.rules import present_party
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

MAX_FREEZES = 64

FROZEN = EventKind("account.frozen", "{units} {currency} of {record} are frozen by order ({freeze}).")
UNFROZEN = EventKind("account.unfrozen", "Freeze {freeze} of {units} {currency} of {record} has ended.")
DEDUCTED = EventKind("account.deducted", "{units} {currency} were deducted from {record} by order.")


class _Place(NamedTuple):
    """What an order is about: an account, or the escrow of a plan. `told` are those whose money it may be."""

    id: str
    ledger_account: str
    custodian: str
    currency: str
    told: tuple[str, ...]
    is_escrow: bool


def _named(step: Step, account: str | None, plan: str | None) -> _Place | Refusal:
    """What an order names; bad_value unless it is one of the two, not_found where it is not there."""
    if (account is None) is (plan is None):
        return refuse(Status.BAD_VALUE, reason="exactly one of account and plan is named")
    if plan is not None:
        return _escrow_place(step, plan) or refuse(Status.NOT_FOUND, plan=plan)
    found = None if account is None else step.find(Account, account)
    return refuse(Status.NOT_FOUND, account=account) if found is None else _account_place(found)


def _place(step: Step, account: str | None, plan: str | None) -> _Place:
    """The same, where `authority` has found it."""
    place = _named(step, account, plan)
    if isinstance(place, Refusal):
        raise InvariantViolation("what the order names is gone since it was found")
    return place


def _custodian_of(step: Step, account: str | None, plan: str | None) -> Signers | Refusal:
    place = _named(step, account, plan)
    return place if isinstance(place, Refusal) else Signers.all(present_party(step, place.custodian))


def _check_place(step: Step, place: _Place) -> Refusal | None:
    """wrong_state unless the account is open or the plan under way; or the refusal that protects wages."""
    if place.is_escrow:
        escrow = escrows().find(step, place.id)
        if escrow is None or not escrow.is_live:
            return refuse(Status.WRONG_STATE, plan=place.id)
        return escrows().check_order(step, place.id)
    account = step.get(Account, place.id)
    if account.state is not AccountState.OPEN:
        return refuse(Status.WRONG_STATE, account=account.id, state=account.state.value)
    return escrows().check_seizure(step, account)


def _account_place(account: Account) -> _Place:
    told = (account.owner, account.custodian)
    return _Place(account.id, account.ledger_account, account.custodian, account.currency, told, is_escrow=False)


def _escrow_place(step: Step, plan: str) -> _Place | None:
    escrow = escrows().find(step, plan)
    if escrow is None:
        return None
    told = (escrow.payer, escrow.payee, escrow.custodian)
    return _Place(plan, escrow.ledger_account, escrow.custodian, escrow.currency, told, is_escrow=True)


def _row_of(step: Step, place: _Place) -> Balance:
    """The place's balance; an escrow that nothing came into yet has none."""
    return step.find(Balance, place.ledger_account) or book.new_balance(step, place.ledger_account)


class FreezeAccount(Operation, tag="account.freeze"):
    """Bar debits of an amount of an account, until a day or until lifted; it covers money that comes later too.

    Signed by the custodian with an authority's anchor. The escrow of a plan is reached only if the order names the
    plan, and wages never. Source: DOMAIN section 3, "Account".
    """

    currency: Currency
    units: Units
    authority_order: Anchor
    account: AccountId | None = None
    plan: PlanId | None = None
    until_on: datetime.date | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return _custodian_of(step, self.account, self.plan)

    def check(self, step: Step) -> Refusal | None:
        place = _place(step, self.account, self.plan)
        refusal = _check_place(step, place)
        if refusal is not None:
            return refusal
        if self.currency != place.currency:
            return refuse(Status.CURRENCY_MISMATCH, account=place.currency, stated=self.currency)
        if not self.units:
            return refuse(Status.AMOUNT_ZERO)
        if self.until_on is not None and self.until_on < step.today:
            return refuse(Status.BAD_DATES, until_on=self.until_on)
        if len(_row_of(step, place).freezes) >= MAX_FREEZES:
            return refuse(Status.TOO_MANY, account=place.id, limit=MAX_FREEZES)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        place = _place(step, self.account, self.plan)
        row = _row_of(step, place)
        until = None if self.until_on is None else end_of(step.overlay, self.until_on)
        freeze = AccountFreeze(id=step.new_id("frz"), authority=self.authority_order, units=self.units, until=until)
        step.put(replace(row, freezes=(*row.freezes, freeze)))
        yield FROZEN(
            place.id,
            place.told,
            freeze=freeze.id,
            units=self.units,
            currency=self.currency,
            until_on=self.until_on or "lifted",
        )


class UnfreezeAccount(Operation, tag="account.unfreeze"):
    """Lift a freeze of an account or of a plan's escrow before its end.

    Signed by the custodian with an authority's anchor.
    """

    freeze: FreezeId
    authority_order: Anchor
    account: AccountId | None = None
    plan: PlanId | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        return _custodian_of(step, self.account, self.plan)

    def check(self, step: Step) -> Refusal | None:
        row = step.find(Balance, _place(step, self.account, self.plan).ledger_account)
        if row is None or _freeze_of(row, self.freeze) is None:
            return refuse(Status.NOT_FOUND, freeze=self.freeze)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        place = _place(step, self.account, self.plan)
        row = step.get(Balance, place.ledger_account)
        yield from _end(step, row, place, tuple(one for one in row.freezes if one.id == self.freeze))


class DeductByOrder(Operation, tag="account.deduct_by_order"):
    """Pay an amount out of an account as an authority orders (扣划), also what the freeze named here covers.

    Signed by the custodian with the authority's anchor and its bank's reference of the payment; the freeze shrinks by
    the amount. What other freezes cover is not touched. Where the order names a plan it takes money that is neither
    released nor disputed, the last tranche's first, and the plan lacks it again. Source: DOMAIN section 3, "Account".
    """

    currency: Currency
    units: Units
    authority_order: Anchor
    bank_reference: Reference
    account: AccountId | None = None
    plan: PlanId | None = None
    freeze: FreezeId | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return _custodian_of(step, self.account, self.plan)

    def check(self, step: Step) -> Refusal | None:
        place = _place(step, self.account, self.plan)
        refusal = _check_place(step, place)
        if refusal is not None:
            return refusal
        row = _row_of(step, place)
        named = None if self.freeze is None else _freeze_of(row, self.freeze)
        if self.freeze is not None and named is None:
            return refuse(Status.NOT_FOUND, freeze=self.freeze)
        if self.currency != place.currency:
            return refuse(Status.CURRENCY_MISMATCH, account=place.currency, stated=self.currency)
        if not self.units:
            return refuse(Status.AMOUNT_ZERO)
        available = escrows().reachable(step, place.id) if place.is_escrow else row.units
        if available < self.units:
            return refuse(Status.INSUFFICIENT_FUNDS, account=place.id, available=available, needed=self.units)
        others = replace(row, freezes=tuple(one for one in row.freezes if one is not named))
        if others.free_at(step.now) < self.units:
            return refuse(Status.ACCOUNT_FROZEN, account=place.id, free=others.free_at(step.now), needed=self.units)
        at_bank = book.balance(step, book.bank_mirror(place.custodian, place.currency))
        if at_bank < self.units:
            return refuse(Status.INSUFFICIENT_FUNDS, custodian=place.custodian, available=at_bank, needed=self.units)
        return bank_references.check_unused(step, place.custodian, self.bank_reference)

    def apply(self, step: Step) -> Iterator[Event]:
        place = _place(step, self.account, self.plan)
        row = step.get(Balance, place.ledger_account)
        named = None if self.freeze is None else _freeze_of(row, self.freeze)
        if named is not None:
            left = named.units - min(named.units, self.units)
            rest = tuple(replace(one, units=left) if one is named else one for one in row.freezes)
            step.put(replace(row, freezes=tuple(one for one in rest if one.units)))
        bank_references.use(step, place.custodian, self.bank_reference, place.id)
        mirror = book.bank_mirror(place.custodian, place.currency)
        if place.is_escrow:
            yield from escrows().take_back(step, place.id, mirror, self.units, place.id)
        else:
            yield book.move(step, place.ledger_account, mirror, place.currency, self.units, place.id)
        yield DEDUCTED(
            place.id,
            place.told,
            units=self.units,
            currency=self.currency,
            bank_reference=self.bank_reference,
        )


def end_freezes(step: Step, record: Record) -> Iterator[Event]:
    """Due work of a balance: freezes whose day has passed end."""
    if not isinstance(record, Balance):
        raise InvariantViolation(f"{record.key} is no balance")
    past = tuple(one for one in record.freezes if one.until is not None and one.until < step.now)
    yield from _end(step, record, _place_of(step, record), past)


def _place_of(step: Step, row: Balance) -> _Place:
    kind, _, rest = row.id.partition("/")
    if kind == "available":
        return _account_place(step.get(Account, rest))
    parts = rest.split("/")
    place = _escrow_place(step, parts[2]) if kind == "escrow" else None
    # Money held for a member without an account may have come with a freeze.
    told = (row.custodian,) if row.owner is None else (row.owner, row.custodian)
    return place or _Place(parts[2], row.id, row.custodian, row.currency, told, is_escrow=False)


def _end(step: Step, row: Balance, place: _Place, ended: tuple[AccountFreeze, ...]) -> Iterator[Event]:
    left = replace(row, freezes=tuple(one for one in row.freezes if one not in ended))
    if not left.units and not left.freezes and not row.id.startswith("available/"):
        step.delete(row)
    else:
        # Money that may be debited again is a funding like any other.
        step.put(book.with_retry(left, step.now) if left.owes and left.units > ZERO else left)
    if place.is_escrow:
        escrows().wake(step, place.id)
    for freeze in ended:
        yield UNFROZEN(place.id, place.told, freeze=freeze.id, units=freeze.units, currency=place.currency)


def follow(step: Step, source: str, target: str, units: Units) -> None:
    """Let freezes go along with `units` that are about to be posted from `source`, as far as they bar them from it.

    For payments that a deadline brings about: the money stays its owner's and stays frozen, oldest freeze first.
    """
    row = step.find(Balance, source)
    if row is None or not row.freezes:
        return
    barred = int(units) - int(row.free_at(step.now))
    kept, moved = [], []
    for freeze in row.freezes:
        holds = freeze.until is None or step.now <= freeze.until
        taken = Units(min(int(freeze.units), max(0, barred))) if holds else ZERO
        barred -= taken
        if taken:
            moved.append(replace(freeze, units=taken))
        if freeze.units > taken:
            kept.append(replace(freeze, units=freeze.units - taken))
    if moved:
        step.put(replace(row, freezes=tuple(kept)))
        into = step.find(Balance, target) or book.new_balance(step, target)
        step.put(replace(into, freezes=_joined(into.freezes, moved)))


def _joined(freezes: tuple[AccountFreeze, ...], more: list[AccountFreeze]) -> tuple[AccountFreeze, ...]:
    """Both together; a freeze of which a part came before is one freeze."""
    by_id = {freeze.id: freeze for freeze in freezes}
    for freeze in more:
        known = by_id.get(freeze.id)
        by_id[freeze.id] = freeze if known is None else replace(known, units=known.units + freeze.units)
    return tuple(by_id.values())


def _freeze_of(row: Balance, freeze: str) -> AccountFreeze | None:
    return next((one for one in row.freezes if one.id == freeze), None)
