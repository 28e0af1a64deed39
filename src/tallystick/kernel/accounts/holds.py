"""Money that waited for its owner to have an account: paid out when one opens, in batches of due work.

It follows its owner's successor, as do a platform's fees and what a custodian has claimed since a reversal.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.accounts import book
from tallystick.kernel.accounts.freezes import follow
from tallystick.kernel.accounts.records import Account, AccountState, Balance
from tallystick.kernel.core.events import Event
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.business import on_succeeded
from tallystick.wire.errors import InvariantViolation

BATCH = 100


def begin_paying_out(step: Step, account: Account) -> Account:
    """`account`, just opened, due for paying out what its custodian holds for its owner, if anything."""
    waits = next(iter(step.index_range(_held_for(account))), None) is not None
    return replace(account, holds_due_at=step.now) if waits else account


def pay_out_holds(step: Step, record: Record) -> Iterator[Event]:
    """Due work of an account: the next batch of holds goes into it, each whole and once."""
    if not isinstance(record, Account):
        raise InvariantViolation(f"{record.key} is no account")
    rows = [row for row, _ in zip(step.index_range(_held_for(record)), range(BATCH), strict=False)]
    more = len(rows) == BATCH and record.state is AccountState.OPEN
    step.put(replace(record, holds_due_at=step.now.plus(1) if more else None))
    if record.state is not AccountState.OPEN:
        return
    for row in rows:
        held = step.at(row.removeprefix(_held_for(record)))
        if isinstance(held, Balance) and held.units:
            follow(step, held.id, record.ledger_account, held.units)
            yield book.move(step, held.id, record.ledger_account, held.currency, held.units, record.id)


def pass_balance(step: Step, record: Record, _: str, successor: str) -> Iterator[Event]:
    """A succession: holds, fees and claims go to the successor; an account's money has gone with its account."""
    if not isinstance(record, Balance):
        raise InvariantViolation(f"{record.key} is no balance")
    if record.id.startswith("hold/"):
        purpose = record.id.split("/")[3]
        target = book.receiving_ledger_account(step, successor, record.currency, purpose, record.custodian)
        yield book.move(step, record.id, target, record.currency, record.units, purpose)
    elif record.id.startswith("fees/"):
        theirs = book.fees(record.custodian, record.currency, successor)
        yield book.move(step, record.id, theirs, record.currency, record.units, successor)
    elif record.id.startswith("claim/"):
        # Between two claims, which are assets, the one that grows stands as the source.
        theirs = book.claim_on(record.custodian, record.currency, successor)
        yield book.move(step, theirs, record.id, record.currency, record.units, successor)


on_succeeded("balance", pass_balance)


def _held_for(account: Account) -> str:
    return f"held_for/{account.owner}/{account.currency}/{account.custodian}/"
