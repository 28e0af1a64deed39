"""Deposits (存款): announced by the payer, booked by the custodian from its bank statement, assigned out of suspense.

What arrives is always booked, for it is at the bank: to the account or the plan that the remittance code or the
custodian names if the money came from its owner, the payer, else to suspense (挂账). A plan takes into escrow what it
lacks; the rest, or all where it is not active, goes to the payer's account with the custodian. What the custodian
claims since a reversal is taken only out of money that goes into the account: what a plan waits for is the payee's to
count on. How deposits are undone is `reversing`'s. Source: DOMAIN section 3, "Deposit".
"""

from collections.abc import Iterator
from enum import Enum
from typing import Annotated, NamedTuple

from msgspec import Meta
from msgspec.structs import replace

from tallystick.kernel.accounts import bank_references, book
from tallystick.kernel.accounts.bank_references import Reference
from tallystick.kernel.accounts.escrows import Escrow, escrows
from tallystick.kernel.accounts.records import Account, AccountState
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import AccountId, Currency, DepositId, MemberId, PlanId, Position
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
ASSIGNED = EventKind("deposit.assigned", "{units} {currency} in suspense were assigned to {place}.")
FOR_PLAN = EventKind(
    "deposit.for_plan",
    "{units} {currency} came for plan {plan} ({match}): {escrowed} {currency} to escrow,"
    " {rest} {currency} to the payer; it lacks {missing} {currency}.",
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
    """A deposit, announced or not. `units` are what was booked; `announced`, what the payer said.

    Of what was booked for a plan, `escrowed` went into its escrow; the rest into `account`, or is held for the payer.
    """

    table = "deposit"

    custodian: MemberId
    currency: Currency
    state: DepositState
    payer: MemberId | None = None
    account: AccountId | None = None
    plan: PlanId | None = None
    announced: Units | None = None
    deadline: Instant | None = None
    units: Units = ZERO
    escrowed: Units = ZERO
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
    """Say that money will come into one's own account, or for a plan; gives the remittance code to pay it under.

    Signed by the payer. An announcement for which nothing came lapses. Source: DOMAIN section 3, "Deposit".
    """

    currency: Currency
    units: Units
    account: AccountId | None = None
    plan: PlanId | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        place = _place_named(step, self.account, self.plan)
        return place if isinstance(place, Refusal) else Signers.all(place.payer)

    def check(self, step: Step) -> Refusal | None:
        place = _place_named(step, self.account, self.plan)
        if isinstance(place, Refusal):
            return place
        refusal = place.check_open()
        if refusal is not None:
            return refusal
        if self.currency != place.currency:
            return refuse(Status.CURRENCY_MISMATCH, account=place.currency, stated=self.currency)
        return None if self.units else refuse(Status.AMOUNT_ZERO)

    def apply(self, step: Step) -> Iterator[Event]:
        place = _found(_place_named(step, self.account, self.plan))
        deposit = Deposit(
            id=step.new_id("dep"),
            custodian=place.custodian,
            currency=self.currency,
            state=DepositState.ANNOUNCED,
            payer=place.payer,
            account=self.account,
            plan=self.plan,
            announced=self.units,
            deadline=step.now.plus(policies(step).announcement_days * DAY_MS),
        )
        step.put(deposit)
        payee = () if place.escrow is None else (place.escrow.payee,)
        yield ANNOUNCED(
            deposit.id,
            (place.payer, place.custodian, *payee),
            payer=place.payer,
            units=self.units,
            currency=self.currency,
            code=deposit.code,
        )


class _Place(NamedTuple):
    """Where a deposit is to go: an account, or the escrow of a plan."""

    payer: str
    custodian: str
    currency: str
    account: Account | None
    escrow: Escrow | None

    def check_open(self) -> Refusal | None:
        """wrong_state unless the account is open or the plan active."""
        if self.account is not None and self.account.state is not AccountState.OPEN:
            return refuse(Status.WRONG_STATE, account=self.account.id, state=self.account.state.value)
        if self.escrow is not None and not self.escrow.is_active:
            return refuse(Status.WRONG_STATE, plan=self.escrow.plan)
        return None


def _place_named(step: Step, account: str | None, plan: str | None) -> _Place | Refusal:
    """The place that an operation names; bad_value unless it is one, not_found where it is not there."""
    if (account is None) is (plan is None):
        return refuse(Status.BAD_VALUE, reason="exactly one of account and plan is named")
    return _find_place(step, account, plan) or refuse(
        Status.NOT_FOUND, **({"plan": plan} if account is None else {"account": account})
    )


def _find_place(step: Step, account: str | None, plan: str | None) -> _Place | None:
    if plan is not None:
        escrow = escrows().find(step, plan)
        return None if escrow is None else _Place(escrow.payer, escrow.custodian, escrow.currency, None, escrow)
    found = None if account is None else step.find(Account, account)
    return None if found is None else _Place(found.owner, found.custodian, found.currency, found, None)


def _found(place: _Place | Refusal) -> _Place:
    if isinstance(place, Refusal):
        raise InvariantViolation("what was found before is gone")
    return place


def lapse_announcement(step: Step, record: Record) -> Iterator[Event]:
    """Due work of an announcement: nothing came. Money that comes later under its code is booked all the same."""
    if not isinstance(record, Deposit) or record.payer is None:
        raise InvariantViolation(f"{record.key} is no announced deposit")
    step.put(replace(record, state=DepositState.LAPSED, ended=step.position))
    yield LAPSED(record.id, (record.payer, record.custodian))


class BookDeposit(Operation, tag="deposit.book"):
    """Book money that came in at the custodian's bank: by remittance code, to a named account or for a named plan.

    Signed by the custodian. `remitter` is the member in whose name it came, if any: money in another's name than the
    payer's goes to suspense, as does what nothing names. For a plan it goes to escrow as far as the plan lacks it, the
    rest to the payer; payer and payee are told. A bank reference is booked once, for ever.
    Source: DOMAIN section 3, "Deposit".
    """

    bank_reference: Reference
    currency: Currency
    units: Units
    remitter: MemberId | None = None
    code: RemittanceCode | None = None
    account: AccountId | None = None
    plan: PlanId | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.holding(Role.CUSTODIAN.value)

    def check(self, step: Step) -> Refusal | None:
        if self.account is not None and self.plan is not None:
            return refuse(Status.BAD_VALUE, reason="an account or a plan is named, not both")
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
        place = self._place(step, announced)
        reason = self._why_suspense(place, custodian)
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
        mirror = book.bank_mirror(custodian, self.currency)
        if place is not None and reason == "":
            said = None if fresh else deposit.announced
            yield from _place_money(step, deposit, place, mirror, said)
            if place.account is not None:
                yield _booked(deposit, place.account, said)
            return
        step.put(deposit)
        pool = book.suspense(custodian, self.currency)
        yield book.move(step, mirror, pool, self.currency, self.units, deposit.id)
        told = (custodian, *(name for name in (deposit.payer, self.remitter) if name is not None))
        yield IN_SUSPENSE(deposit.id, told, units=self.units, currency=self.currency, reason=reason)

    def _books(self, step: Step) -> str:
        """Whose books the money goes into: the signer's, or those of one it succeeded where code or place say so."""
        signer = acting_as(step, Role.CUSTODIAN)
        named = self._announcement(step) or _find_place(step, self.account, self.plan)
        if named is not None and present_party(step, named.custodian) == signer:
            return named.custodian
        return signer

    def _announcement(self, step: Step) -> Deposit | None:
        """The announcement that gave the remittance code."""
        found = None if self.code is None else step.find(Deposit, f"dep_{self.code.lower()}")
        return found if found is not None and found.announced is not None else None

    def _announced(self, step: Step, custodian: str) -> Deposit | None:
        found = self._announcement(step)
        if found is None or found.custodian != custodian or found.currency != self.currency:
            return None
        return found

    def _place(self, step: Step, announced: Deposit | None) -> _Place | None:
        if announced is not None:
            return _find_place(step, announced.account, announced.plan)
        return _find_place(step, self.account, self.plan)

    def _why_suspense(self, place: _Place | None, custodian: str) -> str:
        """Why the money can't go where it is meant to go, or nothing."""
        if place is None or place.custodian != custodian or place.currency != self.currency:
            return "unidentified"
        if place.account is not None and place.account.state is not AccountState.OPEN:
            return "account_not_open"
        if self.remitter != place.payer:
            return "another_remitter"
        escrow = place.escrow
        placeless = escrow is not None and escrow.account is None and (escrow.is_special or not escrow.is_active)
        return "account_missing" if placeless else ""


def _place_money(step: Step, deposit: Deposit, place: _Place, source: str, announced: Units | None) -> Iterator[Event]:
    """Post a booked deposit from `source` to where it belongs, write it, and tell payer and payee."""
    escrow = place.escrow
    escrowed = ZERO if escrow is None else Units(min(deposit.units, escrow.takes))
    rest = deposit.units - escrowed
    account = place.account if escrow is None else escrow.account if rest or escrow.is_special else None
    placed = replace(
        deposit,
        payer=place.payer,
        account=None if account is None else account.id,
        plan=None if escrow is None else escrow.plan,
        escrowed=escrowed,
    )
    step.put(placed)
    if escrow is not None and escrow.is_special and account is not None:
        # Wages reach a plan through the project's special account.
        yield book.move(step, source, account.ledger_account, place.currency, placed.units, placed.id)
        source, rest, account = account.ledger_account, ZERO, None
    if escrow is not None and escrowed:
        yield from escrows().take_in(step, escrow.plan, source, escrowed, placed.id)
    if account is not None:
        yield from _credit(step, placed, account, source, rest)
    elif rest:
        held = book.receiving_ledger_account(step, place.payer, place.currency, placed.id, place.custodian)
        yield book.move(step, source, held, place.currency, rest, placed.id)
    if escrow is not None:
        yield _came_for_plan(placed, escrow, announced)


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


def _came_for_plan(deposit: Deposit, escrow: Escrow, announced: Units | None) -> Event:
    """What payer and payee are told of money for a plan: short of what it lacks, over it, or in full."""
    missing = escrow.takes - deposit.escrowed
    rest = deposit.units - deposit.escrowed
    match = "plan_not_active" if not escrow.is_active else "over" if rest else "short" if missing else "in_full"
    return FOR_PLAN(
        deposit.id,
        (escrow.payer, escrow.payee, escrow.custodian),
        plan=escrow.plan,
        units=deposit.units,
        currency=deposit.currency,
        match=match,
        escrowed=deposit.escrowed,
        rest=rest,
        missing=missing,
        announced=deposit.units if announced is None else announced,
    )


def _credit(step: Step, deposit: Deposit, account: Account, source: str, units: Units) -> Iterator[Event]:
    """Money into the account, and out of it what its custodian has claimed since a reversal.

    Against a project's special account nothing is set off (DOMAIN section 6, "wage accounts").
    """
    yield book.move(step, source, account.ledger_account, deposit.currency, units, deposit.id)
    if account.project is not None:
        return
    claim = book.claim_on(account.custodian, account.currency, account.owner)
    owed = min(book.balance(step, claim), book.free_units(step, account))
    if owed:
        yield book.move(step, account.ledger_account, claim, deposit.currency, owed, deposit.id)


class AssignDeposit(Operation, tag="deposit.assign"):
    """Give money in suspense to the account or the plan that it was meant for.

    Signed by the custodian and the payer, who owns the account or pays for the plan. What the plan does not take goes
    to the payer's account.
    """

    deposit: DepositId
    currency: Currency
    units: Units
    account: AccountId | None = None
    plan: PlanId | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        deposit = step.find(Deposit, self.deposit)
        if deposit is None:
            return refuse(Status.NOT_FOUND, deposit=self.deposit)
        place = _place_named(step, self.account, self.plan)
        if isinstance(place, Refusal):
            return place
        return Signers.all(present_party(step, deposit.custodian), place.payer)

    def check(self, step: Step) -> Refusal | None:
        deposit = step.get(Deposit, self.deposit)
        place = _found(_place_named(step, self.account, self.plan))
        refusal = place.check_open()
        if refusal is not None:
            return refusal
        if place.custodian != deposit.custodian:
            return refuse(Status.CUSTODIAN_DIFFERS, payer=deposit.custodian, payee=place.custodian)
        if place.currency != deposit.currency:
            return refuse(Status.CURRENCY_MISMATCH, account=place.currency, stated=deposit.currency)
        return check_suspense(deposit, self.currency, self.units)

    def apply(self, step: Step) -> Iterator[Event]:
        place = _found(_place_named(step, self.account, self.plan))
        deposit = replace(step.get(Deposit, self.deposit), state=DepositState.BOOKED)
        pool = book.suspense(deposit.custodian, deposit.currency)
        yield from _place_money(step, deposit, place, pool, None)
        yield ASSIGNED(
            deposit.id,
            (place.payer, deposit.custodian),
            units=deposit.units,
            currency=deposit.currency,
            place=self.account or self.plan or "",
        )


def check_suspense(deposit: Deposit, currency: str, units: Units) -> Refusal | None:
    if deposit.state is not DepositState.IN_SUSPENSE:
        return refuse(Status.WRONG_STATE, deposit=deposit.id, state=deposit.state.value)
    return check_stated(deposit, currency, units)


def check_stated(deposit: Deposit, currency: str, units: Units) -> Refusal | None:
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


def custodian_of(step: Step, deposit_id: str) -> Signers | Refusal:
    deposit = step.find(Deposit, deposit_id)
    return (
        refuse(Status.NOT_FOUND, deposit=deposit_id)
        if deposit is None
        else Signers.all(present_party(step, deposit.custodian))
    )
