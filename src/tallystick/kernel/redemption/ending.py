"""The end of a receivable's debt: what was set aside goes back, claims of recourse end, nothing is tried again."""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.accounts import book
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.step import Step
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.recourse.ending import end_claims
from tallystick.kernel.redemption.shares import put_redemption, redemption_of

ENDED = {
    ReceivableState.REDEEMED: EventKind("receivable.redeemed", "Receivable {record} of {face} {currency} is redeemed."),
    ReceivableState.CLOSED: EventKind("receivable.closed", "Receivable {record} is closed: nothing is owed any more."),
    ReceivableState.WRITTEN_OFF: EventKind(
        "receivable.written_off", "Receivable {record} is written off: its holders gave up what was left."
    ),
}
EARMARK_RETURNED = EventKind(
    "redemption.earmark_returned", "{units} {currency} set aside for receivable {record} went back to {debtor}."
)


def ended(step: Step, receivable: Receivable, state: ReceivableState) -> Receivable:
    """`receivable`, of which nothing is owed any more, in the terminal `state` and in no queue of payment."""
    return replace(receivable, state=state, ended=step.position, cutoff_at=None, pay_at=None, overdue_at=None)


def announce_end(receivable: Receivable, told: tuple[str, ...]) -> Event:
    """The event of a receivable that has just ended."""
    return ENDED[receivable.state](
        receivable.id,
        (receivable.debtor, receivable.creditor, *told),
        face=receivable.face,
        currency=receivable.currency,
        redeemed=receivable.redeemed,
    )


def wind_up(step: Step, receivable: Receivable) -> Iterator[Event]:
    """See to what hangs on a receivable that has ended, in whatever way; the receivable itself is written before."""
    row = redemption_of(step, receivable)
    earmarked_at = row.earmarked_at
    over = replace(row, earmarked_at=None, unpaid=False, bank=None, disputed=(), dishonoured_at=None, waited=False)
    put_redemption(step, over)
    if earmarked_at is not None:
        source = book.earmark(earmarked_at, receivable.currency, receivable.id)
        units = book.balance(step, source)
        if units:
            target = book.receiving_ledger_account(
                step, receivable.debtor, receivable.currency, receivable.id, earmarked_at
            )
            yield book.move(step, source, target, receivable.currency, units, receivable.id)
            yield EARMARK_RETURNED(
                receivable.id,
                (receivable.debtor,),
                units=units,
                currency=receivable.currency,
                debtor=receivable.debtor,
            )
    yield from end_claims(step, receivable)
