"""The award: the client picks a quote, and the ranking recomputed in the same step is stored beside the choice."""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Currency, FinancingId, QuoteId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.financing.lifecycle import (
    before_cutoff,
    check_stated,
    check_window,
    in_days,
    open_quotes,
    parties_of,
    ranking,
    with_quote_state,
)
from tallystick.kernel.financing.records import Award, Financing, FinancingState, QuoteState, Ranked
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.membership.records import Permitted, Role
from tallystick.kernel.membership.rules import check_party, check_permission, check_role
from tallystick.kernel.receivables import parcels
from tallystick.kernel.receivables.negotiable import check_cut, check_negotiable
from tallystick.kernel.receivables.records import Lock, LockKind, Parcel, Receivable
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

AWARDED = EventKind(
    "financing.awarded", "{client} awards {record} to {funder}, ranked {place} of {quotes}; it costs {cost} {currency}."
)


class AwardFinancing(Operation, tag="financing.award"):
    """Pick a quote; the ranking by yearly cost on the money received is recomputed and stored with the choice.

    Signed by the client, after closing, while the quote lasts. After a failed settlement the next valid quote may be
    picked if the units are still free: they are locked again.
    """

    financing: FinancingId
    quote: QuoteId
    currency: Currency
    units: Units

    def amount(self) -> tuple[str, Units]:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        financing = step.find(Financing, self.financing)
        if financing is None:
            return refuse(Status.NOT_FOUND, financing=self.financing)
        return Signers.all(financing.client)

    def check(self, step: Step) -> Refusal | None:
        financing = step.get(Financing, self.financing)
        if financing.state in (FinancingState.PUBLISHED, FinancingState.REVEALING):
            return refuse(Status.TOO_EARLY, state=financing.state.value, until=financing.deadline)
        refusal = (
            check_window(step, financing, FinancingState.QUOTED, FinancingState.SETTLEMENT_FAILED)
            or check_stated(financing, self.currency, self.units)
            or check_permission(step, financing.client, Permitted.FINANCE, self.currency, self.units)
            or check_negotiable(step, step.get(Receivable, financing.receivable))
        )
        if refusal is not None:
            return refusal
        picked = next((quote for quote in financing.quotes if quote.id == self.quote), None)
        if picked is None:
            return refuse(Status.NOT_FOUND, quote=self.quote)
        if all(quote.id != picked.id for quote, _ in open_quotes(step, financing)):
            return refuse(Status.QUOTE_NOT_OPEN, quote=picked.id, state=picked.state.value)
        if all(entry.quote != picked.id for entry in _order(step, financing)):
            return refuse(Status.NOTHING_TO_PAY_OUT, discount_until_on=financing.discount_until_on)
        refusal = check_party(step, picked.funder) or check_role(step, picked.funder, Role.FUNDER)
        if refusal is not None or financing.state is FinancingState.QUOTED:
            return refusal
        parcel = _free_parcel(step, financing)
        return parcel if isinstance(parcel, Refusal) else None

    def apply(self, step: Step) -> Iterator[Event]:
        financing = step.get(Financing, self.financing)
        if financing.state is FinancingState.SETTLEMENT_FAILED:
            _lock_again(step, financing)
        order = _order(step, financing)
        place = next(index for index, entry in enumerate(order) if entry.quote == self.quote)
        funder = next(quote.funder for quote in financing.quotes if quote.id == self.quote)
        award = Award(
            quote=self.quote,
            funder=funder,
            at=step.position,
            value_on=step.today,
            actual_days=(financing.discount_until_on - step.today).days,
            ranking=order,
        )
        awarded = replace(
            financing,
            state=FinancingState.AWARDED,
            deadline=before_cutoff(financing, in_days(step, policies(step).contract_days)),
            quotes=with_quote_state(financing, self.quote, QuoteState.AWARDED),
            award=award,
            contract=None,
            review=None,
            approved_on=None,
            consent=None,
            payment=None,
            dispute=None,
            ended=None,
            reason=None,
        )
        step.put(awarded)
        yield AWARDED(
            financing.id,
            parties_of(awarded),
            client=financing.client,
            funder=funder,
            quote=self.quote,
            place=place + 1,
            quotes=len(order),
            cost=order[place].cost,
            net=order[place].net,
            units=financing.face,
            currency=financing.currency,
        )


def _order(step: Step, financing: Financing) -> tuple[Ranked, ...]:
    return step.once("ranking", lambda: ranking(step, financing))


def _free_parcel(step: Step, financing: Financing) -> Parcel | Refusal:
    """The client's parcel in which all the units of a failed financing are still free."""
    receivable = step.get(Receivable, financing.receivable)
    parcel = parcels.parcel_around(step, receivable, financing.interval)
    if parcel is None or parcel.holder != financing.client:
        return refuse(Status.RECEIVABLE_NOT_HELD, first=financing.interval.first, last=financing.interval.last)
    refusal = parcels.check_units(parcel, parcels.frozen_units(receivable, step.now), financing.interval)
    return refusal or check_cut(step, receivable, parcel, financing.interval) or parcel


def _lock_again(step: Step, financing: Financing) -> None:
    parcel = _free_parcel(step, financing)
    if isinstance(parcel, Refusal):
        raise InvariantViolation(f"the units of {financing.id} are not free: {parcel.status.label}")
    held = Lock(interval=financing.interval, by=financing.id, kind=LockKind.FINANCING)
    step.put(parcels.lock(step, step.get(Receivable, financing.receivable), parcel, held))
