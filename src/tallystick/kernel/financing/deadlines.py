"""What a passed deadline or a suspension brings about, state by state (due work)."""

from collections.abc import Iterator
from typing import assert_never

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.step import Step
from tallystick.kernel.financing.lifecycle import (
    before_cutoff,
    close_quotes,
    drop_award,
    end,
    fail_settlement,
    in_days,
    open_quotes,
    parties_of,
)
from tallystick.kernel.financing.records import (
    BINDING,
    Financing,
    FinancingState,
    NonReveal,
    Quote,
    QuoteState,
    Verdict,
)
from tallystick.kernel.financing.settlement import check_passable, complete, open_dispute
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.membership.business import on_succeeded, on_suspended, rename
from tallystick.kernel.reviews.subjects import close_review
from tallystick.wire.errors import InvariantViolation

REVEAL_OPENED = EventKind("financing.reveal_opened", "Sealed quotes of {record} ({quotes}) open until {reveal_by}.")
NOT_REVEALED = EventKind(
    "financing.not_revealed", "{funder} left its sealed quote for {record} unrevealed, as {count} times in all."
)
LAPSED = EventKind("financing.lapsed", "The remaining quotes for {record} lapsed; it stays unsettled.")

PARTIES_ARE_ONE = "parties_are_one"


def pass_deadline(step: Step, record: Record) -> Iterator[Event]:
    """Carry out the outcome that the present state's window ends with."""
    financing = step.get(Financing, record.id)
    match financing.state:
        case FinancingState.REQUESTED:
            yield from end(step, financing, FinancingState.EXPIRED, "not_published")
        case FinancingState.PUBLISHED:
            yield from _close(step, financing)
        case FinancingState.REVEALING:
            yield from _end_reveal(step, financing)
        case FinancingState.QUOTED:
            yield from end(step, financing, FinancingState.EXPIRED, "not_awarded")
        case FinancingState.AWARDED:
            yield from end(step, financing, FinancingState.EXPIRED, "client_did_not_sign")
        case FinancingState.CLIENT_SIGNED:
            yield from drop_award(step, financing, "funder_did_not_sign")
        case FinancingState.APPROVED | FinancingState.REGISTERED:
            yield from fail_settlement(step, financing, "not_paid")
        case FinancingState.PAID:
            yield open_dispute(step, financing, "silence")
        case FinancingState.DISPUTED:
            yield from _without_ruling(step, financing)
        case FinancingState.SETTLEMENT_FAILED:
            step.put(replace(financing, deadline=None))
            yield LAPSED(financing.id, parties_of(financing))
        case (
            FinancingState.UNDER_REVIEW
            | FinancingState.SETTLED
            | FinancingState.WITHDRAWN
            | FinancingState.NO_QUOTES
            | FinancingState.EXPIRED
            | FinancingState.REFUSED
        ):
            raise InvariantViolation(f"{financing.id} is {financing.state.value} and has no deadline")
        case _:
            assert_never(financing.state)


def _close(step: Step, financing: Financing) -> Iterator[Event]:
    """No more quotes are taken; sealed ones are revealed next."""
    sealed = [quote for quote in financing.quotes if quote.state is QuoteState.SEALED]
    if not sealed or step.now > financing.last_at:
        yield from close_quotes(step, financing)
        return
    until = before_cutoff(financing, in_days(step, policies(step).reveal_days))
    step.put(replace(financing, state=FinancingState.REVEALING, deadline=until))
    yield REVEAL_OPENED(financing.id, parties_of(financing), quotes=len(sealed), reveal_by=until)


def _end_reveal(step: Step, financing: Financing) -> Iterator[Event]:
    """Whoever did not reveal is out, and it is counted."""
    quotes = []
    for quote in financing.quotes:
        if quote.state is not QuoteState.SEALED:
            quotes.append(quote)
            continue
        quotes.append(replace(quote, state=QuoteState.UNREVEALED))
        before = step.find(NonReveal, quote.funder)
        count = 1 if before is None else before.count + 1
        step.put(NonReveal(id=quote.funder, count=count))
        yield NOT_REVEALED(financing.id, (financing.client, quote.funder), funder=quote.funder, count=count)
    yield from close_quotes(step, replace(financing, quotes=tuple(quotes)))


def _without_ruling(step: Step, financing: Financing) -> Iterator[Event]:
    """Nobody ruled: what the contract states for that case, if the parcel can still pass."""
    stated = Verdict.UNLOCK if financing.contract is None else financing.contract.without_ruling
    if stated is Verdict.HAND_ON and check_passable(step, financing) is None:
        yield from complete(step, financing)
    else:
        yield from fail_settlement(step, financing, "no_ruling")


def suspend(step: Step, record: Record, member: str) -> Iterator[Event]:
    """End what a suspended member asked or offered and nobody is bound by; its reviews are refused by themselves."""
    financing = step.get(Financing, record.id)
    if financing.is_bound or financing.deadline is None:
        return
    if member == financing.client:
        yield from _without_client(step, financing, "party_suspended")
        return
    yield from _without_quote_of(step, financing, member, "party_suspended")


def _without_client(step: Step, financing: Financing, reason: str) -> Iterator[Event]:
    """End what the client asked for and nobody is bound by."""
    if financing.state is FinancingState.SETTLEMENT_FAILED:
        step.put(replace(financing, deadline=None))
        yield LAPSED(financing.id, parties_of(financing))
    else:
        yield from end(step, financing, FinancingState.WITHDRAWN, reason)


def _without_quote_of(step: Step, financing: Financing, funder: str, reason: str) -> Iterator[Event]:
    """Take the funder's quote out, if it made one; a financing that has no other one left ends."""
    quote = financing.quote_of(funder)
    if quote is None:
        return
    if quote.state is QuoteState.AWARDED:
        yield from drop_award(step, financing, reason)
        return
    quotes = tuple(replace(one, state=QuoteState.OUT) if one.id == quote.id else one for one in financing.quotes)
    financing = replace(financing, quotes=quotes)
    if financing.state is FinancingState.QUOTED and not open_quotes(step, financing):
        yield from end(step, financing, FinancingState.NO_QUOTES, reason)
    else:
        step.put(financing)


def pass_to_successor(step: Step, record: Record, member: str, successor: str) -> Iterator[Event]:
    """The successor stands in the member's place; what would finance itself, or its own debt, ends."""
    if not isinstance(record, Financing):
        raise InvariantViolation(f"{record.key} is no financing")
    yield from rename(step, record, member, successor)
    financing = step.get(Financing, record.id)
    if not financing.is_live:
        return
    financing = replace(financing, quotes=_quotes_left(record, financing, member))
    step.put(financing)
    if financing.is_bound:
        yield from _end_bound(step, financing)
    elif financing.client == financing.debtor:
        yield from _without_client(step, financing, PARTIES_ARE_ONE)
    elif financing.pledges and financing.funder in (financing.client, financing.debtor):
        yield from drop_award(step, financing, PARTIES_ARE_ONE)
    elif financing.state is FinancingState.QUOTED and not open_quotes(step, financing):
        yield from end(step, financing, FinancingState.NO_QUOTES, PARTIES_ARE_ONE)


def _quotes_left(before: Financing, after: Financing, member: str) -> tuple[Quote, ...]:
    """The quotes after a succession, in which a funder has one quote at most that binds it.

    Out are quotes of the client and of the debtor, the sealed one of `member`, whose seal names it (no other can open
    it), and of two quotes of one funder the one that is not awarded, else that of `member`.
    """
    awarded = {quote.funder for quote in after.quotes if quote.state is QuoteState.AWARDED}
    others = {quote.funder for quote in before.quotes if quote.state in BINDING and quote.funder != member}
    barred = awarded | {after.client, after.debtor}
    left = []
    for was, quote in zip(before.quotes, after.quotes, strict=True):
        stands = quote.state in (QuoteState.SEALED, QuoteState.OPEN)
        gone = was.funder == member and (quote.state is QuoteState.SEALED or quote.funder in others)
        left.append(replace(quote, state=QuoteState.OUT) if stands and (gone or quote.funder in barred) else quote)
    return tuple(left)


def _end_bound(step: Step, financing: Financing) -> Iterator[Event]:
    """End a signed contract by which one would pay oneself, or buy its own debt and has not said that it paid."""
    is_paid = financing.state in (FinancingState.PAID, FinancingState.DISPUTED)
    own_debt = financing.funder == financing.debtor and not is_paid
    if financing.funder != financing.client and not own_debt:
        return
    if financing.state is FinancingState.UNDER_REVIEW:
        if financing.review is not None:
            yield from close_review(step, financing.review)
        yield from end(step, financing, FinancingState.EXPIRED, PARTIES_ARE_ONE)
    else:
        yield from fail_settlement(step, financing, PARTIES_ARE_ONE)


on_suspended("financing", suspend)
on_succeeded("financing", pass_to_successor)
