"""The due date: payment at its opening and again on each funding, and what is overdue after grace (DOMAIN section 2).

What is to be paid is every live unit but those whose holders may still answer for a bank payment. A payment that was
denied, or not answered in time, keeps nothing out: the debtor's word alone never does (ADR 0006).

Each receivable is a piece of due work of its own, so one that can't be paid is skipped and never stops the others.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.accounts import book
from tallystick.kernel.accounts.records import Balance
from tallystick.kernel.calendar.days import end_of
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import Shortfall, policies
from tallystick.kernel.membership.business import SUCCEEDED_IN, on_insolvent, on_succeeded
from tallystick.kernel.membership.rules import is_insolvent
from tallystick.kernel.receivables.parcels import live_parcels
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.redemption.late import fixed_claims
from tallystick.kernel.redemption.paying import Part, Purse, check_lawful, length_of, live_parts, pay, purses, spread
from tallystick.kernel.redemption.records import Redemption
from tallystick.kernel.redemption.shares import put_redemption, redemption_of
from tallystick.wire.amounts import ZERO
from tallystick.wire.errors import InvariantViolation

RETRIES = 50

UNPAID = EventKind("receivable.unpaid", "Receivable {record} fell due and {left} {currency} are not paid ({reason}).")
OVERDUE = EventKind(
    "receivable.overdue", "Receivable {record} is overdue with {left} {currency}; {debtor} is in arrears."
)
FELL_DUE = EventKind("receivable.fell_due", "Receivable {record} fell due as {debtor} is insolvent.")


def pay_maturity(step: Step, record: Record) -> Iterator[Event]:
    """Due work at the opening of the moved due date, and when another amount is to be paid: pay all, or wait for money.

    What is left stays `unpaid`, though holders may still have to answer for all of it; that is told once.
    """
    receivable = _receivable(record)
    if not receivable.is_owed:
        step.put(replace(receivable, pay_at=None))
        return
    row = redemption_of(step, receivable)
    if is_insolvent(step, receivable.debtor):
        step.put(replace(receivable, pay_at=None))
        if not row.unpaid:
            yield _unpaid(receivable, "insolvent")
        return
    yield from _attempt(step, replace(receivable, pay_at=None), replace(row, unpaid=False))
    left = step.get(Receivable, receivable.id)
    if not left.is_owed:
        return
    told = row.unpaid
    row = redemption_of(step, left)
    put_redemption(step, replace(row, unpaid=True))
    _await_funding(step, left.debtor, left.currency)
    payable = live_parts(step, left, row.awaited)
    if payable and left.redeemed > receivable.redeemed:
        # Paid in proportion from one custodian's money: another may keep more of it.
        step.put(replace(left, pay_at=step.now.plus(1)))
    if payable and not told:
        yield _unpaid(left, "funds")


def _await_funding(step: Step, debtor: str, currency: str) -> None:
    """Have each of the debtor's accounts try again whenever money comes into it."""
    for account in book.open_accounts(step, debtor, currency):
        step.put(replace(step.get(Balance, account.ledger_account), owes=True))


def pay_on_funding(step: Step, record: Record) -> Iterator[Event]:
    """Due work of an account into which money came while its owner owes: try again, oldest due date first.

    A round goes over all of it in batches; a receivable that still can't be paid is passed over.
    """
    if not isinstance(record, Balance) or record.owner is None:
        raise InvariantViolation(f"{record.key} is no account")
    owner, prefix = record.owner, f"unpaid/{record.owner}/{record.currency}/"
    start = record.retry_after + "\x00" if record.retry_after else prefix
    rows = step.overlay.index_range(start, prefix + "\x7f")
    batch = [row for row, _ in zip(rows, range(RETRIES), strict=False)]
    if not is_insolvent(step, owner):
        for row in batch:
            found = step.at("/".join(row.split("/")[4:]))
            if isinstance(found, Redemption):
                yield from _attempt(step, step.get(Receivable, found.id), found)
    now = step.get(Balance, record.id)
    more = len(batch) == RETRIES
    left = next(iter(step.index_range(prefix)), None) is not None
    step.put(
        replace(
            now,
            owes=left,
            retry_at=step.now.plus(1) if more else None,
            retry_after=batch[-1] if more else "",
        )
    )


def _attempt(step: Step, receivable: Receivable, row: Redemption) -> Iterator[Event]:
    """Pay all that is payable out of one custodian's money, or what the policy lets be paid of it, or nothing.

    Writes the receivable in any case.
    """
    parts = live_parts(step, receivable, row.awaited)
    chosen = _choose(step, receivable, row, parts) if parts else None
    if chosen is None:
        step.put(receivable)
        return
    yield from pay(step, receivable, row, *chosen)


def _choose(
    step: Step, receivable: Receivable, row: Redemption, parts: tuple[Part, ...]
) -> tuple[tuple[Part, ...], Purse] | None:
    needed = length_of(parts)
    usable = [
        purse for purse in purses(step, receivable, row) if check_lawful(step, receivable, purse.custodian) is None
    ]
    for purse in usable:
        if purse.available >= needed:
            return parts, purse
    if policies(step).shortfall is Shortfall.PRO_RATA and usable:
        fullest = max(usable, key=lambda purse: purse.available)
        if fullest.available >= len(parts):
            return spread(parts, fullest.available), fullest
    return None


def mark_overdue(step: Step, record: Record) -> Iterator[Event]:
    """Due work after the end of the moved due date and grace: the receivable is overdue, its debtor in arrears.

    While holders still have time to confirm a bank payment of all that is left, it waits for them; but once, or a
    debtor could put it off for ever by one false payment after another.
    """
    receivable = _receivable(record)
    if receivable.state not in (ReceivableState.VALID, ReceivableState.REDEEMING):
        step.put(replace(receivable, overdue_at=None))
        return
    row = redemption_of(step, receivable)
    if row.bank is not None and not row.waited and not live_parts(step, receivable, row.awaited):
        put_redemption(step, replace(row, waited=True))
        step.put(replace(receivable, overdue_at=row.bank.deadline))
        return
    step.put(replace(receivable, state=ReceivableState.OVERDUE, overdue_at=None))
    put_redemption(step, replace(row, dishonoured_at=step.now))
    holders = tuple(parcel.holder for parcel in live_parcels(step, receivable))
    yield OVERDUE(
        receivable.id,
        (receivable.debtor, receivable.creditor, *holders),
        debtor=receivable.debtor,
        left=receivable.outstanding,
        currency=receivable.currency,
    )
    yield from fixed_claims(step, receivable, holders)


def fall_due(step: Step, record: Record, member: str) -> Iterator[Event]:
    """The debtor is insolvent: its debt falls due today and is overdue at the day's end; nothing is paid by itself."""
    receivable = _receivable(record)
    if receivable.debtor != member or receivable.overdue_at is None:
        return
    day_end = end_of(step.overlay, step.today)
    step.put(replace(receivable, pay_at=None, cutoff_at=None, overdue_at=min(receivable.overdue_at, day_end)))
    holders = tuple(parcel.holder for parcel in live_parcels(step, receivable))
    yield FELL_DUE(receivable.id, (member, receivable.creditor, *holders), debtor=member)


def _pass_redemption(step: Step, record: Record, member: str, successor: str) -> Iterator[Event]:
    """The successor owes, and is held for, in the member's place; a custodian's books keep its name."""
    if not isinstance(record, Redemption):
        raise InvariantViolation(f"{record.key} is no redemption")
    held = tuple(replace(share, holder=successor) if share.holder == member else share for share in record.held)
    step.put(replace(record, debtor=successor if record.debtor == member else record.debtor, held=held))
    yield SUCCEEDED_IN(record.id, (member, successor), member=member, successor=successor)
    if record.debtor == member and record.unpaid:
        _await_funding(step, successor, record.currency)
        for account in book.open_accounts(step, successor, record.currency):
            # What the successor has already is a funding of the debt that it takes over.
            step.put(book.with_retry(step.get(Balance, account.ledger_account), step.now))


on_insolvent("receivable", fall_due)
on_succeeded("redemption", _pass_redemption)


def _unpaid(receivable: Receivable, reason: str) -> Event:
    return UNPAID(
        receivable.id,
        (receivable.debtor, receivable.creditor),
        left=receivable.outstanding if receivable.is_owed else ZERO,
        currency=receivable.currency,
        reason=reason,
    )


def _receivable(record: Record) -> Receivable:
    if not isinstance(record, Receivable):
        raise InvariantViolation(f"{record.key} is no receivable")
    return record
