"""Debts that fell due and wait for money: each account of the debtor is tried again when something changes."""

from tallystick.kernel.accounts import book
from tallystick.kernel.accounts.records import Balance
from tallystick.kernel.core.step import Step
from tallystick.kernel.redemption.records import Redemption


def try_again(step: Step, row: Redemption) -> None:
    """There is less to pay than before, so that the same money may do: the next block tries, as on a funding."""
    if not row.unpaid:
        return
    for account in book.open_accounts(step, row.debtor, row.currency):
        step.put(book.with_retry(step.get(Balance, account.ledger_account), step.now))
