"""What the steps of a financing share: prices, ranking, its units, and its ends."""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.arithmetic import Bid, Price, YearlyCost, price_of, ranked
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Interval
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.financing.records import (
    Financing,
    FinancingState,
    Quote,
    QuoteState,
    QuoteTerms,
    Ranked,
)
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.receivables import parcels
from tallystick.kernel.receivables.negotiable import check_not_frozen
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.redemption.shares import decide_shares
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status

QUOTES_READY = EventKind("financing.quotes_ready", "Quotes for {record} ({quotes}) may be awarded until {award_by}.")
ENDED = {
    FinancingState.WITHDRAWN: EventKind("financing.withdrawn", "The request for financing {record} was withdrawn."),
    FinancingState.NO_QUOTES: EventKind("financing.no_quotes", "Nobody quoted for {record}; its units are free again."),
    FinancingState.EXPIRED: EventKind("financing.expired", "Financing {record} ended: {reason}; its units are free."),
    FinancingState.REFUSED: EventKind("financing.refused", "The review refused financing {record}: {reason}."),
    FinancingState.SETTLEMENT_FAILED: EventKind(
        "financing.settlement_failed", "Financing {record} was not settled: {reason}; its units are free again."
    ),
}


def parties_of(financing: Financing) -> tuple[str, ...]:
    """The client and every funder whose quote binds it or was awarded."""
    return (financing.client, *(quote.funder for quote in financing.quotes if quote.state is not QuoteState.OUT))


def check_window(step: Step, financing: Financing, *states: FinancingState) -> Refusal | None:
    """wrong_state unless it stands in one of `states`; deadline_passed once that state's window has closed."""
    if financing.state not in states:
        return refuse(Status.WRONG_STATE, state=financing.state.value)
    if financing.deadline is None or step.now > financing.deadline:
        return refuse(Status.DEADLINE_PASSED, deadline=financing.deadline)
    return None


def check_stated(financing: Financing, currency: str, units: Units) -> Refusal | None:
    """What a signer says the financing is about must be what it is about."""
    if currency != financing.currency:
        return refuse(Status.CURRENCY_MISMATCH, currency=financing.currency)
    if units != financing.face:
        return refuse(Status.AMOUNT_DIFFERS, units=financing.face)
    return None


def check_undisturbed(step: Step, financing: Financing) -> Refusal | None:
    """Refuse while an invoice behind the units is flagged, or a freeze covers one of them: invoice_flagged, frozen."""
    receivable = step.get(Receivable, financing.receivable)
    if receivable.flagged:
        return refuse(Status.INVOICE_FLAGGED, receivable=receivable.id, fingerprint=receivable.flagged[0])
    return check_not_frozen(step, receivable, financing.interval)


def price_on(step: Step, financing: Financing, terms: QuoteTerms) -> Price | None:
    """What the financed units cost on these terms, paid out today."""
    return price_of(financing.face, terms, step.today, financing.discount_until_on)


def awarded_terms(financing: Financing) -> QuoteTerms:
    """The terms of the awarded quote."""
    for quote in financing.quotes:
        if quote.state is QuoteState.AWARDED and quote.terms is not None:
            return quote.terms
    raise InvariantViolation(f"{financing.id} has no awarded quote")


def open_quotes(step: Step, financing: Financing) -> tuple[tuple[Quote, QuoteTerms], ...]:
    """The quotes that can be awarded now."""
    return tuple(
        (quote, quote.terms)
        for quote in financing.quotes
        if quote.state is QuoteState.OPEN and quote.terms is not None and step.now <= quote.terms.valid_until
    )


def ranking(step: Step, financing: Financing) -> tuple[Ranked, ...]:
    """The awardable quotes from cheapest to dearest, on one basis for all and paid out today (DOMAIN section 4)."""
    actual_days = (financing.discount_until_on - step.today).days
    prices: dict[str, Price] = {}
    bids: list[Bid] = []
    for quote, terms in open_quotes(step, financing):
        price = price_on(step, financing, terms)
        if price is not None:
            prices[quote.id] = price
            bids.append(Bid(quote.id, YearlyCost(price.cost, price.net, actual_days), terms.with_recourse, quote.at))
    return tuple(Ranked(quote=bid.name, cost=prices[bid.name].cost, net=prices[bid.name].net) for bid in ranked(bids))


def in_days(step: Step, days: int) -> Instant:
    """The end of a window that opens now."""
    return step.now.plus(days * DAY_MS)


def before_cutoff(financing: Financing, instant: Instant) -> Instant:
    """`instant`, or the cutoff before the due date if that is earlier."""
    return min(instant, financing.last_at)


def with_quote_state(financing: Financing, quote_id: str, state: QuoteState) -> tuple[Quote, ...]:
    """The quotes with one of them in another state."""
    return tuple(replace(quote, state=state) if quote.id == quote_id else quote for quote in financing.quotes)


def held_units(step: Step, financing: Financing) -> tuple[Interval, ...]:
    """The live units that the financing still locks, ascending; what was redeemed meanwhile is a held share."""
    receivable = step.get(Receivable, financing.receivable)
    return tuple(
        held.interval
        for parcel in parcels.parcels_over(step, receivable, financing.interval)
        for held in parcel.locks
        if held.by == financing.id
    )


def release_units(step: Step, financing: Financing) -> Iterator[Event]:
    """Unlock what the financing locks; money that came for its units in between is the client's."""
    receivable = step.get(Receivable, financing.receivable)
    for interval in held_units(step, financing):
        receivable = parcels.unlock(step, receivable, interval, financing.id)
    step.put(receivable)
    yield from decide_shares(step, receivable, financing.id, financing.client)


def end(step: Step, financing: Financing, state: FinancingState, reason: str) -> Iterator[Event]:
    """End it: the units are free again, and money that came for them in between is the client's."""
    yield from release_units(step, financing)
    yield put_ended(step, financing, state, reason)


def put_ended(step: Step, financing: Financing, state: FinancingState, reason: str) -> Event:
    """Write the end alone, for a caller that has seen to the units."""
    step.put(replace(financing, state=state, deadline=None, ended=step.position, reason=reason))
    return ENDED[state](financing.id, parties_of(financing), state=state.value, reason=reason)


def close_quotes(step: Step, financing: Financing) -> Iterator[Event]:
    """No more quotes come: the client may award until the award window ends or the last quote lapses."""
    standing = [terms.valid_until for _, terms in open_quotes(step, financing)]
    if not standing:
        yield from end(step, financing, FinancingState.NO_QUOTES, "no_quotes")
        return
    if step.now > financing.last_at:
        yield from end(step, financing, FinancingState.EXPIRED, "past_cutoff")
        return
    until = before_cutoff(financing, min(max(standing), in_days(step, policies(step).award_days)))
    step.put(replace(financing, state=FinancingState.QUOTED, deadline=until))
    yield QUOTES_READY(financing.id, parties_of(financing), quotes=len(standing), award_by=until)


def drop_award(step: Step, financing: Financing, reason: str) -> Iterator[Event]:
    """The awarded funder did not sign: the other quotes may be awarded while they last, the units stay locked."""
    if financing.award is None:
        yield from end(step, financing, FinancingState.EXPIRED, reason)
        return
    quotes = with_quote_state(financing, financing.award.quote, QuoteState.FAILED)
    financing = replace(financing, quotes=quotes, award=None, contract=None)
    if not open_quotes(step, financing):
        yield from end(step, financing, FinancingState.EXPIRED, reason)
        return
    yield from close_quotes(step, financing)


def fail_settlement(step: Step, financing: Financing, reason: str) -> Iterator[Event]:
    """Unlock; the next valid quote may be awarded while it lasts; a registration is to be cancelled in time."""
    yield from release_units(step, financing)
    quotes = financing.quotes
    if financing.award is not None:
        quotes = with_quote_state(financing, financing.award.quote, QuoteState.FAILED)
    cancel_by = in_days(step, policies(step).cancel_registration_days)
    registrations = tuple(
        entry if entry.failed else replace(entry, failed=True, cancel_by=cancel_by)
        for entry in financing.registrations
        if entry.number is not None
    )
    financing = replace(financing, quotes=quotes, registrations=registrations)
    standing = [terms.valid_until for _, terms in open_quotes(step, financing)]
    until = before_cutoff(financing, max(standing)) if standing else None
    if until is not None and until < step.now:
        until = None
    failed = FinancingState.SETTLEMENT_FAILED
    step.put(replace(financing, state=failed, deadline=until, ended=step.position, reason=reason))
    yield ENDED[failed](financing.id, parties_of(financing), state=failed.value, reason=reason)
