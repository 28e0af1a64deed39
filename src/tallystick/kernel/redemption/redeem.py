"""What a debtor does about its debt: set money aside, pay early or late, set off what it holds itself."""

from collections.abc import Iterator
from enum import Enum

from msgspec.structs import replace

from tallystick.kernel.accounts import book
from tallystick.kernel.accounts.records import Account, AccountState, Balance
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import AccountId, Anchor, Currency, Interval, ReceivableId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.law.facts import FundsFacts
from tallystick.kernel.law.judge import judge_funds
from tallystick.kernel.membership.rules import is_insolvent
from tallystick.kernel.receivables.parcels import choose_units, find_parcel, frozen_units, parcels_over
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.redemption.bank import begin_bank_payment
from tallystick.kernel.redemption.paying import (
    Part,
    Purse,
    check_lawful,
    length_of,
    live_parts,
    pay,
    purse_of,
    purses,
    retire_parts,
    spread,
)
from tallystick.kernel.redemption.records import Redemption
from tallystick.kernel.redemption.shares import put_redemption, redemption_of
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

EARMARKED = EventKind("redemption.earmarked", "{units} {currency} are set aside for receivable {record}.")
SET_OFF = EventKind("receivable.set_off", "{debtor} set off {units} {currency} of receivable {record} that it holds.")


class Means(Enum):
    """How a debtor pays: ledger money with a custodian, or a payment from bank to bank that each holder confirms."""

    LEDGER = "ledger"
    BANK = "bank"


def _debtor_of(step: Step, receivable_id: str) -> Signers | Refusal:
    receivable = step.find(Receivable, receivable_id)
    return refuse(Status.NOT_FOUND, receivable=receivable_id) if receivable is None else Signers.all(receivable.debtor)


def _check_own_account(step: Step, account_id: str, receivable: Receivable) -> Refusal | None:
    account = step.find(Account, account_id)
    if account is None:
        return refuse(Status.NOT_FOUND, account=account_id)
    if account.owner != receivable.debtor:
        return refuse(Status.NOT_A_PARTY, missing=account.owner)
    if account.state is not AccountState.OPEN:
        return refuse(Status.WRONG_STATE, account=account.id, state=account.state.value)
    if account.currency != receivable.currency:
        return refuse(Status.CURRENCY_MISMATCH, account=account.currency, receivable=receivable.currency)
    return None


class Earmark(Operation, tag="redemption.earmark"):
    """Set money aside for one receivable; `units` is what shall be set aside in all.

    Signed by the debtor. It may be lowered, to zero too, until the debt falls due: at the opening of the due date, or
    by the debtor's insolvency; from then on it is irrevocable. What is left of it once the receivable has ended goes
    back. Source: DOMAIN section 3, "Redemption".
    """

    while_suspended = True

    receivable: ReceivableId
    account: AccountId
    currency: Currency
    units: Units

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return _debtor_of(step, self.receivable)

    def check(self, step: Step) -> Refusal | None:
        receivable = step.get(Receivable, self.receivable)
        if not receivable.is_owed:
            return refuse(Status.WRONG_STATE, receivable=receivable.id, state=receivable.state.value)
        refusal = _check_own_account(step, self.account, receivable)
        if refusal is not None:
            return refusal
        if self.currency != receivable.currency:
            return refuse(Status.CURRENCY_MISMATCH, receivable=receivable.currency, stated=self.currency)
        if self.units > receivable.outstanding:
            return refuse(Status.OVER_AVAILABLE, available=receivable.outstanding, asked=self.units)
        row = redemption_of(step, receivable)
        account = step.get(Account, self.account)
        if row.earmarked_at not in (None, account.custodian):
            return refuse(Status.CUSTODIAN_DIFFERS, payer=row.earmarked_at, payee=account.custodian)
        present = book.balance(step, book.earmark(account.custodian, self.currency, receivable.id))
        if self.units == present:
            return refuse(Status.BAD_VALUE, field="units", earmarked=present)
        if self.units < present:
            binding = self._is_binding(step, receivable)
            return refuse(Status.EARMARK_BINDING, due_on=receivable.moved_due_on) if binding else None
        return book.check_account_can_pay(step, account, self.units - present)

    @staticmethod
    def _is_binding(step: Step, receivable: Receivable) -> bool:
        """Whether the debt has fallen due: by its day, or as its debtor is insolvent."""
        due_on = receivable.moved_due_on
        return due_on is None or step.today >= due_on or is_insolvent(step, receivable.debtor)

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = step.get(Receivable, self.receivable)
        account = step.get(Account, self.account)
        aside = book.earmark(account.custodian, self.currency, receivable.id)
        present = book.balance(step, aside)
        if self.units > present:
            change = self.units - present
            yield book.move(step, account.ledger_account, aside, self.currency, change, receivable.id)
        else:
            change = present - self.units
            yield book.move(step, aside, account.ledger_account, self.currency, change, receivable.id)
        row = redemption_of(step, receivable)
        put_redemption(step, replace(row, earmarked_at=account.custodian if self.units else None))
        if row.unpaid:
            # Money set aside after the due date pays like any other funding.
            balance = step.get(Balance, account.ledger_account)
            step.put(book.with_retry(balance, step.now))
        yield EARMARKED(
            receivable.id, (receivable.debtor, receivable.creditor), units=self.units, currency=self.currency
        )


class Redeem(Operation, tag="receivable.redeem"):
    """Pay a receivable, early, at maturity or late, in whole or an amount spread over all parcels in proportion.

    Signed by the debtor. In ledger money (the earmark first, then the account, or the first of the debtor's accounts
    that covers it) the parcels retire in this step; what was pending on them ends. Through a bank the receipt is
    anchored, and each holder's confirmation retires its own. Units take the lowest of each parcel; shares that are
    frozen or under contract are held. Source: DOMAIN section 3, "Redemption".
    """

    while_suspended = True

    receivable: ReceivableId
    currency: Currency
    units: Units
    means: Means = Means.LEDGER
    account: AccountId | None = None
    receipt: Anchor | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return _debtor_of(step, self.receivable)

    def check(self, step: Step) -> Refusal | None:
        receivable = step.get(Receivable, self.receivable)
        if not receivable.is_owed:
            return refuse(Status.WRONG_STATE, receivable=receivable.id, state=receivable.state.value)
        if self.currency != receivable.currency:
            return refuse(Status.CURRENCY_MISMATCH, receivable=receivable.currency, stated=self.currency)
        if not self.units:
            return refuse(Status.AMOUNT_ZERO)
        row = redemption_of(step, receivable)
        parts = live_parts(step, receivable, row.awaited)
        if self.units > length_of(parts):
            return refuse(Status.OVER_AVAILABLE, available=length_of(parts), asked=self.units)
        if self.units < len(parts):
            return refuse(Status.UNDER_ONE_UNIT_EACH, parcels=len(parts), asked=self.units)
        chosen = spread(parts, self.units)
        if self.means is Means.BANK:
            return self._check_bank(step, receivable, row, chosen)
        return self._check_ledger(step, receivable, row)

    def _check_ledger(self, step: Step, receivable: Receivable, row: Redemption) -> Refusal | None:
        if self.receipt is not None:
            return refuse(Status.BAD_VALUE, field="receipt")
        if self.account is not None:
            refusal = _check_own_account(step, self.account, receivable)
            if refusal is not None:
                return refusal
        purse = self._purse(step, receivable, row)
        if purse is None:
            return refuse(Status.ACCOUNT_MISSING, organisation=receivable.debtor, currency=receivable.currency)
        refusal = check_lawful(step, receivable, purse.custodian)
        if refusal is not None:
            return refusal
        if purse.available >= self.units:
            return None
        account = book.open_account(step, receivable.debtor, receivable.currency, purse.custodian)
        blocked = None if account is None else book.balance(step, account.ledger_account)
        if account is not None and blocked is not None:
            frozen = blocked - book.free_units(step, account)
            if frozen and purse.available + frozen >= self.units:
                return refuse(Status.ACCOUNT_FROZEN, account=account.id, free=purse.available, needed=self.units)
        return refuse(Status.INSUFFICIENT_FUNDS, available=purse.available, needed=self.units)

    def _purse(self, step: Step, receivable: Receivable, row: Redemption) -> Purse | None:
        """The purse of the named account; else the first that covers the amount, or the fullest."""
        if self.account is not None:
            return purse_of(step, receivable, row, step.get(Account, self.account))
        found = purses(step, receivable, row)
        covering = next((purse for purse in found if purse.available >= self.units), None)
        return covering or max(found, key=lambda purse: purse.available, default=None)

    def _check_bank(
        self, step: Step, receivable: Receivable, row: Redemption, chosen: tuple[Part, ...]
    ) -> Refusal | None:
        if self.receipt is None or self.account is not None:
            return refuse(Status.BAD_VALUE, field="receipt" if self.receipt is None else "account")
        if row.bank is not None:
            return refuse(Status.PAYMENT_PENDING, receivable=receivable.id, until=row.bank.deadline)
        if receivable.pay_at is not None and receivable.pay_at <= step.now:
            # The next block pays by itself what it can: a new receipt must not take the units out from under it.
            return refuse(Status.PAYMENT_PENDING, receivable=receivable.id, until=receivable.pay_at)
        for part in chosen:
            for lock in part.parcel.locks:
                if lock.interval.overlaps(part.interval):
                    return refuse(Status.PARCEL_LOCKED, by=lock.by)
            for frozen in frozen_units(receivable, step.now):
                if frozen.overlaps(part.interval):
                    return refuse(Status.FROZEN, first=frozen.first, last=frozen.last)
        for holder in dict.fromkeys(part.parcel.holder for part in chosen):
            judged = judge_funds(step, FundsFacts(receivable.debtor, holder, receivable.currency, receipt=True))
            if isinstance(judged, Refusal):
                return judged
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = step.get(Receivable, self.receivable)
        row = redemption_of(step, receivable)
        chosen = spread(live_parts(step, receivable, row.awaited), self.units)
        if self.receipt is not None:
            yield from begin_bank_payment(step, receivable, row, chosen, self.receipt)
            return
        purse = self._purse(step, receivable, row)
        if purse is None:
            raise InvariantViolation(f"{receivable.debtor} has nothing to pay {receivable.id} from")
        yield from pay(step, receivable, row, chosen, purse)


class SetOff(Operation, tag="receivable.set_off"):
    """Retire debt that the debtor itself has come to hold: debt and claim are one (抵销); no money moves.

    Signed by the debtor, who is the holder. An amount takes the lowest units of the parcel.
    """

    while_suspended = True

    receivable: ReceivableId
    parcel: Interval
    currency: Currency
    units: Units

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return _debtor_of(step, self.receivable)

    def check(self, step: Step) -> Refusal | None:
        receivable = step.get(Receivable, self.receivable)
        if not receivable.is_owed:
            return refuse(Status.WRONG_STATE, receivable=receivable.id, state=receivable.state.value)
        if self.currency != receivable.currency:
            return refuse(Status.CURRENCY_MISMATCH, receivable=receivable.currency, stated=self.currency)
        parcel = find_parcel(step, receivable, self.parcel)
        if parcel is None or parcel.holder != receivable.debtor:
            return refuse(Status.RECEIVABLE_NOT_HELD, organisation=receivable.debtor, receivable=receivable.id)
        chosen = choose_units(parcel, frozen_units(receivable, step.now), self.units)
        if isinstance(chosen, Refusal):
            return chosen
        row = redemption_of(step, receivable)
        if any(awaited.overlaps(chosen) for awaited in row.awaited):
            return refuse(Status.PAYMENT_PENDING, receivable=receivable.id)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = step.get(Receivable, self.receivable)
        parcel = next(iter(parcels_over(step, receivable, self.parcel)))
        chosen = choose_units(parcel, frozen_units(receivable, step.now), self.units)
        if isinstance(chosen, Refusal):
            raise InvariantViolation(f"units of {receivable.id} were free when checked")
        yield SET_OFF(
            receivable.id,
            (receivable.debtor, receivable.creditor),
            debtor=receivable.debtor,
            units=self.units,
            currency=self.currency,
            first=chosen.first,
            last=chosen.last,
        )
        row = redemption_of(step, receivable)
        yield from retire_parts(step, receivable, row, (Part(parcel, chosen),), "set_off")
