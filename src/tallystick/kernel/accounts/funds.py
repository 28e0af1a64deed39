"""Moving own money between open accounts of one custodian."""

from collections.abc import Iterator

from tallystick.kernel.accounts import book
from tallystick.kernel.accounts.records import Account, AccountState
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import AccountId, AnyId, Code, Currency
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status

TRANSFERRED = EventKind("funds.transferred", "{payer} paid {units} {currency} to {payee} for {subject}.")


class TransferFunds(Operation, tag="funds.transfer"):
    """Pay from one's own account into another open account with the same custodian, for a stated subject.

    Signed by the owner of the source.
    """

    source: AccountId
    target: AccountId
    currency: Currency
    units: Units
    subject: Code
    about: AnyId | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        source = step.find(Account, self.source)
        return refuse(Status.NOT_FOUND, account=self.source) if source is None else Signers.all(source.owner)

    def check(self, step: Step) -> Refusal | None:
        source, target = step.get(Account, self.source), step.find(Account, self.target)
        if target is None:
            return refuse(Status.NOT_FOUND, account=self.target)
        for account in (source, target):
            if account.state is not AccountState.OPEN:
                return refuse(Status.WRONG_STATE, account=account.id, state=account.state.value)
        if source.id == target.id:
            return refuse(Status.SAME_PARTY, account=source.id)
        if not source.currency == target.currency == self.currency:
            return refuse(Status.CURRENCY_MISMATCH, source=source.currency, target=target.currency)
        if not self.units:
            return refuse(Status.AMOUNT_ZERO)
        if source.custodian != target.custodian:
            return refuse(Status.CUSTODIAN_DIFFERS, payer=source.custodian, payee=target.custodian)
        if source.project is not None:
            return refuse(Status.WAGE_ACCOUNT_MISUSED, account=source.id, reason="not_for_wages")
        return book.check_account_can_pay(step, source, self.units)

    def apply(self, step: Step) -> Iterator[Event]:
        source, target = step.get(Account, self.source), step.get(Account, self.target)
        yield book.move(
            step, source.ledger_account, target.ledger_account, self.currency, self.units, self.about or source.id
        )
        yield TRANSFERRED(
            source.id,
            (source.owner, target.owner),
            payer=source.owner,
            payee=target.owner,
            units=self.units,
            currency=self.currency,
            subject=self.subject,
        )
