"""What funders do with a published request: evaluate it, quote openly or sealed, reveal."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Currency, FinancingId, Hash
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.financing.lifecycle import check_stated, check_window, close_quotes, price_on
from tallystick.kernel.financing.records import Evaluation, Financing, FinancingState, Quote, QuoteState, QuoteTerms
from tallystick.kernel.financing.request import check_invited
from tallystick.kernel.financing.sealed import commitment_of
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.law.facts import FinancingFacts
from tallystick.kernel.law.judge import judge_financing
from tallystick.kernel.membership.limits import check_debtor_limit
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.rules import check_role
from tallystick.kernel.receivables.records import Receivable
from tallystick.wire.amounts import RATE_SCALE, Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

MAX_RATE_PERCENT = 100
"""A higher yearly rate or fee is taken for a slip of the pen and refused (`policy`)."""

EVALUATED = EventKind("financing.evaluated", "{funder} evaluated {record}: {result}.")
QUOTED = EventKind("financing.quoted", "{funder} quotes {rate} % ({day_count}) for {record}.")
SEALED = EventKind("financing.sealed", "{funder} handed in a sealed quote for {record}.")
REVEALED = EventKind("financing.revealed", "{funder} reveals its quote of {rate} % ({day_count}) for {record}.")


def _funder_of(step: Step, financing: str) -> Signers | Refusal:
    """Each funder speaks for itself: the actor must be one."""
    if step.find(Financing, financing) is None:
        return refuse(Status.NOT_FOUND, financing=financing)
    return check_role(step, step.actor, Role.FUNDER) or Signers.all(step.actor)


class EvaluateFinancing(Operation, tag="financing.evaluate"):
    """Say for oneself whether one would take a published request, with the assessment's anchor; final.

    Signed by a funder that is invited. Only one that accepts may quote. `scrutiny` anchors its scrutiny of term and
    trade background, without which a law pack may bar it from a long term (DOMAIN section 6, cn art. 11).
    """

    financing: FinancingId
    accepts: bool
    assessment: Anchor
    scrutiny: Anchor | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        return _funder_of(step, self.financing)

    def check(self, step: Step) -> Refusal | None:
        financing = step.get(Financing, self.financing)
        refusal = check_window(step, financing, FinancingState.PUBLISHED) or check_invited(financing, step.actor)
        if refusal is not None:
            return refusal
        if any(entry.funder == step.actor for entry in financing.evaluations):
            return refuse(Status.ALREADY_DECIDED, organisation=step.actor)
        limit = policies(step).max_quotes
        if len(financing.evaluations) >= limit:
            return refuse(Status.TOO_MANY, limit=limit)
        if not self.accepts:
            return None
        receivable = step.get(Receivable, financing.receivable)
        judgement = judge_financing(
            step,
            FinancingFacts(
                requester=financing.client,
                currency=financing.currency,
                issue_on=receivable.issue_on,
                due_on=receivable.due_on,
                funder=step.actor,
                scrutinised=self.scrutiny is not None,
            ),
        )
        return judgement if isinstance(judgement, Refusal) else None

    def apply(self, step: Step) -> Iterator[Event]:
        financing = step.get(Financing, self.financing)
        made = Evaluation(
            funder=step.actor,
            accepts=self.accepts,
            at=step.position,
            assessment=self.assessment,
            scrutiny=self.scrutiny,
        )
        step.put(replace(financing, evaluations=(*financing.evaluations, made)))
        result = "accepts" if self.accepts else "declines"
        yield EVALUATED(financing.id, (financing.client, step.actor), funder=step.actor, result=result)


class QuoteFinancing(Operation, tag="financing.quote"):
    """Quote a price, which binds until its validity ends; or, where quotes are sealed, commit to one.

    Signed by a funder whose evaluation accepts; one quote a funder. A commitment binds chain, financing, funder and
    terms with 32 random bytes (docs/spec/sealed-quotes.md) and is opened by financing.reveal after closing.
    """

    financing: FinancingId
    currency: Currency
    units: Units
    terms: QuoteTerms | None = None
    commitment: Hash | None = None

    def amount(self) -> tuple[str, Units]:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return _funder_of(step, self.financing)

    def check(self, step: Step) -> Refusal | None:
        financing = step.get(Financing, self.financing)
        refusal = (
            check_window(step, financing, FinancingState.PUBLISHED)
            or check_invited(financing, step.actor)
            or check_stated(financing, self.currency, self.units)
        )
        if refusal is not None:
            return refusal
        if not any(entry.funder == step.actor and entry.accepts for entry in financing.evaluations):
            return refuse(Status.NOT_EVALUATED, organisation=step.actor)
        earlier = financing.quote_of(step.actor)
        if earlier is not None:
            return refuse(Status.RECORD_EXISTS, quote=earlier.id)
        if (self.terms is None) == (self.commitment is None) or financing.sealed == (self.commitment is None):
            return refuse(Status.BAD_VALUE, field="commitment" if financing.sealed else "terms")
        refusal = check_debtor_limit(step, financing.debtor, financing.currency, financing.face, step.actor)
        if refusal is not None or self.terms is None:
            return refusal
        return _check_terms(step, financing, self.terms)

    def apply(self, step: Step) -> Iterator[Event]:
        financing = step.get(Financing, self.financing)
        made = Quote(
            id=step.new_id("qte"),
            funder=step.actor,
            at=step.position,
            state=QuoteState.OPEN if self.commitment is None else QuoteState.SEALED,
            terms=self.terms,
            commitment=self.commitment,
        )
        step.put(replace(financing, quotes=(*financing.quotes, made)))
        if self.terms is not None:
            yield _told(QUOTED, financing, made, self.terms)
        else:
            yield SEALED(financing.id, (financing.client, made.funder), quote=made.id, funder=made.funder)


class RevealQuote(Operation, tag="financing.reveal"):
    """Open one's sealed quote after closing, in the reveal window; it must be what was sealed.

    Signed by the funder that sealed it. One that stays sealed is out, and counted.
    """

    financing: FinancingId
    currency: Currency
    units: Units
    terms: QuoteTerms
    nonce: Annotated[Hash, Meta(description="the 32 random bytes of the seal, hexadecimal")]

    def amount(self) -> tuple[str, Units]:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return _funder_of(step, self.financing)

    def check(self, step: Step) -> Refusal | None:
        financing = step.get(Financing, self.financing)
        if financing.state is FinancingState.PUBLISHED and financing.sealed:
            return refuse(Status.TOO_EARLY, closes_at=financing.closes_at)
        refusal = check_window(step, financing, FinancingState.REVEALING) or check_stated(
            financing, self.currency, self.units
        )
        if refusal is not None:
            return refusal
        quote = financing.quote_of(step.actor)
        if quote is None:
            return refuse(Status.NOT_A_PARTY, missing="a sealed quote of the signer")
        if quote.state is not QuoteState.SEALED:
            return refuse(Status.QUOTE_NOT_OPEN, quote=quote.id, state=quote.state.value)
        opened = commitment_of(step.chain.chain_id, financing.id, step.actor, self.terms, self.nonce)
        if opened != quote.commitment:
            return refuse(Status.COMMITMENT_DIFFERS, quote=quote.id, computed=opened)
        return _check_terms(step, financing, self.terms)

    def apply(self, step: Step) -> Iterator[Event]:
        financing = step.get(Financing, self.financing)
        sealed = financing.quote_of(step.actor)
        if sealed is None:
            raise InvariantViolation(f"{step.actor} has no quote in {financing.id}")
        opened = replace(sealed, state=QuoteState.OPEN, terms=self.terms, revealed=step.position)
        quotes = tuple(opened if quote.id == opened.id else quote for quote in financing.quotes)
        financing = replace(financing, quotes=quotes)
        yield _told(REVEALED, financing, opened, self.terms)
        if any(quote.state is QuoteState.SEALED for quote in quotes):
            step.put(financing)
        else:
            yield from close_quotes(step, financing)


def _check_terms(step: Step, financing: Financing, terms: QuoteTerms) -> Refusal | None:
    """Whether a price can be awarded at all: bad_rate, bad_dates where it lapses by closing, nothing_to_pay_out."""
    highest = MAX_RATE_PERCENT * RATE_SCALE
    if terms.rate > highest or terms.fee_rate > highest:
        return refuse(Status.BAD_RATE, rate=terms.rate, fee_rate=terms.fee_rate)
    if terms.valid_until <= financing.closes_at or terms.valid_until < step.now:
        return refuse(Status.BAD_DATES, valid_until=terms.valid_until, closes_at=financing.closes_at)
    if price_on(step, financing, terms) is None:
        return refuse(Status.NOTHING_TO_PAY_OUT, discount_until_on=financing.discount_until_on)
    return None


def _told(kind: EventKind, financing: Financing, quote: Quote, terms: QuoteTerms) -> Event:
    return kind(
        financing.id,
        (financing.client, quote.funder),
        quote=quote.id,
        funder=quote.funder,
        rate=terms.rate,
        day_count=terms.day_count.value,
        fee_rate=terms.fee_rate,
        minimum_fee=terms.minimum_fee,
        with_recourse=terms.with_recourse,
        valid_until=terms.valid_until,
    )
