"""Settlement (放款): cash to the client and the parcel to the funder, or neither.

On the ledger both pass in one step. Through a bank the funder anchors the receipt and the client's confirmation passes
the parcel; a denial, or silence to the deadline, goes to the arbitrator that the contract names.
"""

import datetime
from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from tallystick.kernel.accounts.book import Route, find_route, move
from tallystick.kernel.arithmetic import Price, price_of
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Currency, FinancingId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.financing.lifecycle import (
    awarded_terms,
    check_undisturbed,
    check_window,
    fail_settlement,
    held_units,
    in_days,
)
from tallystick.kernel.financing.records import (
    Dispute,
    Financing,
    FinancingState,
    Payment,
    Settlement,
    Verdict,
)
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.law.facts import FinancingFacts, FundsFacts, RegistrationFacts
from tallystick.kernel.law.judge import judge_financing, judge_funds, judge_registration
from tallystick.kernel.law.records import Judgement
from tallystick.kernel.membership.limits import draw_funder
from tallystick.kernel.membership.records import Member
from tallystick.kernel.receivables.parcels import parcel_around, subtract
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.redemption.shares import decide_shares, shares_over
from tallystick.kernel.transfers.passing import pass_on
from tallystick.kernel.transfers.records import TransferKind
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

PAID = EventKind(
    "financing.paid", "{funder} states that it paid {net} {currency} for {record}; to be confirmed until {confirm_by}."
)
SETTLED = EventKind(
    "financing.settled", "Financing {record} is settled: {client} received {net} {currency}, {funder} the parcel."
)
DISPUTED = EventKind(
    "financing.receipt_disputed", "The payment for {record} is disputed ({reason}); {arbitrator} rules."
)
RULED = EventKind("financing.ruled", "{arbitrator} rules on {record}: {verdict}.")


class SettleFinancing(Operation, tag="financing.settle"):
    """Pay the client: on the ledger, cash and parcel pass in this step; through a bank, its receipt is anchored.

    Signed by the awarded funder, after the review and what the law wants registered; the client's signed contract is
    its consent to hand on. `net` is what the ledger computes from the value date: today, or the receipt's date. Where a
    party was suspended meanwhile the auditor's fresh consent is needed.
    """

    financing: FinancingId
    currency: Currency
    net: Units
    receipt: Anchor | None = None
    paid_on: datetime.date | None = None
    while_suspended = True

    def amount(self) -> tuple[str, Units]:
        return self.currency, self.net

    def authority(self, step: Step) -> Signers | Refusal:
        financing = step.find(Financing, self.financing)
        if financing is None:
            return refuse(Status.NOT_FOUND, financing=self.financing)
        if financing.award is None:
            return refuse(Status.WRONG_STATE, state=financing.state.value)
        return Signers.all(financing.award.funder)

    def check(self, step: Step) -> Refusal | None:
        grounds = step.once("grounds", lambda: self._grounds(step))
        return grounds if isinstance(grounds, Refusal) else None

    def _grounds(self, step: Step) -> "_Grounds | Refusal":
        financing = step.get(Financing, self.financing)
        refusal = (
            check_window(step, financing, FinancingState.APPROVED, FinancingState.REGISTERED)
            or _check_consent(step, financing)
            or self._check_form(step, financing)
            or check_passable(step, financing)
        )
        if refusal is not None:
            return refusal
        price = self._price(step, financing)
        if isinstance(price, Refusal):
            return price
        route = None
        if financing.settlement is Settlement.LEDGER:
            found = find_route(step, financing.funder, financing.client, financing.currency, price.net)
            if isinstance(found, Refusal):
                return found
            route = found
        judgement = _judged(step, financing, route)
        if isinstance(judgement, Refusal):
            return judgement
        return _Grounds(price, route, judgement)

    def _check_form(self, step: Step, financing: Financing) -> Refusal | None:
        through_bank = financing.settlement is Settlement.BANK
        if (self.receipt is None) is through_bank:
            return refuse(Status.BAD_VALUE, field="receipt", settlement=financing.settlement.value)
        if (self.paid_on is None) is through_bank:
            return refuse(Status.BAD_VALUE, field="paid_on", settlement=financing.settlement.value)
        earliest = financing.approved_on or step.today
        if self.paid_on is not None and not earliest <= self.paid_on <= step.today:
            return refuse(Status.BAD_DATES, paid_on=self.paid_on, approved_on=earliest)
        return None

    def _price(self, step: Step, financing: Financing) -> Price | Refusal:
        value_on = self.paid_on or step.today
        price = price_of(financing.face, awarded_terms(financing), value_on, financing.discount_until_on)
        if price is None:
            return refuse(Status.NOTHING_TO_PAY_OUT, value_on=value_on, until=financing.discount_until_on)
        if self.currency != financing.currency:
            return refuse(Status.CURRENCY_MISMATCH, currency=financing.currency)
        if self.net != price.net:
            return refuse(Status.AMOUNT_DIFFERS, net=price.net, discount=price.discount, fee=price.fee)
        return price

    def apply(self, step: Step) -> Iterator[Event]:
        grounds = step.once("grounds", lambda: self._grounds(step))
        if isinstance(grounds, Refusal):
            raise InvariantViolation(f"applied although {grounds.status.label}")
        financing = step.get(Financing, self.financing)
        payment = Payment(
            price=grounds.price, value_on=self.paid_on or step.today, at=step.position, receipt=self.receipt
        )
        financing = replace(financing, payment=payment, judged=grounds.judgement)
        if grounds.route is None:
            until = in_days(step, policies(step).receipt_days)
            step.put(replace(financing, state=FinancingState.PAID, deadline=until))
            yield PAID(
                financing.id,
                (financing.client, financing.funder),
                funder=financing.funder,
                net=grounds.price.net,
                currency=financing.currency,
                confirm_by=until,
            )
            return
        source, target = grounds.route.source.ledger_account, grounds.route.target.ledger_account
        yield move(step, source, target, financing.currency, grounds.price.net, financing.id)
        yield from complete(step, financing)


class _Grounds(NamedTuple):
    """What a settlement rests on, once nothing speaks against it. `route` is None through a bank."""

    price: Price
    route: Route | None
    judgement: Judgement


def _check_consent(step: Step, financing: Financing) -> Refusal | None:
    """A party suspended since the last consent bars the settlement of a signed contract: party_suspended."""
    for name in (financing.client, financing.funder):
        party = step.get(Member, name)
        if not party.is_admitted and (financing.consent is None or financing.consent < party.states[-1].since):
            return refuse(Status.PARTY_SUSPENDED, organisation=name)
    return None


def check_passable(step: Step, financing: Financing) -> Refusal | None:
    """Whether the parcel, or money that came for it, can go to the funder now.

    Order: invoice_flagged, frozen, units_not_live (neither units nor money are left), too_many_parcels.
    """
    refusal = check_undisturbed(step, financing)
    if refusal is not None:
        return refusal
    receivable = step.get(Receivable, financing.receivable)
    held = held_units(step, financing)
    if not held and all(share.by != financing.id for share in shares_over(step, receivable.id, financing.interval)):
        return refuse(Status.UNITS_NOT_LIVE, first=financing.interval.first, last=financing.interval.last)
    more = 0
    for interval in held:
        parcel = parcel_around(step, receivable, interval)
        more += len(subtract((parcel.interval,), interval)) if parcel is not None else 0
    if receivable.parcel_count + more > step.chain.max_parcels:
        return refuse(Status.TOO_MANY_PARCELS, parcels=receivable.parcel_count, limit=step.chain.max_parcels)
    return None


def _judged(step: Step, financing: Financing, route: Route | None) -> Judgement | Refusal:
    """The law on registration, on the way of the money, and on the financing itself; the last is stored."""
    receivable = step.get(Receivable, financing.receivable)
    last = financing.registrations[-1] if financing.registrations else None
    registration = judge_registration(
        step,
        RegistrationFacts(
            currency=financing.currency,
            searched=last is not None and not last.failed,
            registered=financing.state is FinancingState.REGISTERED,
            uncancelled=_stands_registered(step, financing),
        ),
    )
    if isinstance(registration, Refusal):
        return registration
    funds = judge_funds(
        step,
        FundsFacts(
            payer=financing.funder,
            payee=financing.client,
            currency=financing.currency,
            custodian="" if route is None else route.source.custodian,
            receipt=route is None,
        ),
    )
    if isinstance(funds, Refusal):
        return funds
    around = parcel_around(step, receivable, financing.interval)
    judgement = judge_financing(
        step,
        FinancingFacts(
            requester=financing.client,
            currency=financing.currency,
            issue_on=receivable.issue_on,
            due_on=receivable.due_on,
            funder=financing.funder,
            scrutinised=financing.is_scrutinised,
            layers=0 if around is None else around.hops + 1,
        ),
    )
    if isinstance(judgement, Refusal):
        return judgement
    return replace(judgement, findings=(*registration.findings, *funds.findings, *judgement.findings))


def _stands_registered(step: Step, financing: Financing) -> bool:
    """Whether a failed settlement of some of these units, in this financing or another, was left registered."""
    if financing.has_uncancelled:
        return True
    for row in step.index_range(f"uncancelled/{financing.receivable}/"):
        other = step.get(Financing, row.rpartition("/")[2])
        if other.interval.overlaps(financing.interval):
            return True
    return False


def complete(step: Step, financing: Financing) -> Iterator[Event]:
    """The parcel, and money that came for it in between, go to the funder by an ordinary transfer record.

    A funder that a succession made the debtor after it had paid gets its own debt, as set-off.
    """
    payment = financing.payment
    if payment is None:
        raise InvariantViolation(f"{financing.id} completes without a payment")
    terms = awarded_terms(financing)
    sets_off = financing.funder == financing.debtor
    for interval in held_units(step, financing):
        receivable = step.get(Receivable, financing.receivable)
        parcel = parcel_around(step, receivable, interval)
        if parcel is None:
            raise InvariantViolation(f"{financing.id} locks units that are in no parcel")
        yield from pass_on(
            step,
            receivable,
            parcel,
            interval,
            financing.funder,
            TransferKind.SET_OFF if sets_off else TransferKind.FINANCING,
            terms.with_recourse and not sets_off,
            by=financing.id,
            consideration=payment.price.net,
            judged=financing.judged,
        )
        draw_funder(step, financing.debtor, financing.currency, interval.length, financing.funder)
    yield from decide_shares(step, step.get(Receivable, financing.receivable), financing.id, financing.funder)
    step.put(replace(financing, state=FinancingState.SETTLED, deadline=None, ended=step.position))
    yield SETTLED(
        financing.id,
        (financing.client, financing.funder, financing.debtor),
        client=financing.client,
        funder=financing.funder,
        receivable=financing.receivable,
        units=financing.face,
        discount=payment.price.discount,
        fee=payment.price.fee,
        net=payment.price.net,
        currency=financing.currency,
        value_on=payment.value_on,
        with_recourse=terms.with_recourse,
    )


class ConfirmFinancingReceipt(Operation, tag="financing.confirm_receipt"):
    """Confirm that the money came through the bank; this hands the parcel on to the funder (转单).

    Signed by the client, also while a dispute about it is open.
    """

    financing: FinancingId
    currency: Currency
    net: Units
    while_suspended = True

    def amount(self) -> tuple[str, Units]:
        return self.currency, self.net

    def authority(self, step: Step) -> Signers | Refusal:
        return _by_client(step, self.financing)

    def check(self, step: Step) -> Refusal | None:
        financing = step.get(Financing, self.financing)
        refusal = check_window(step, financing, FinancingState.PAID, FinancingState.DISPUTED)
        if refusal is not None:
            return refusal
        if self.currency != financing.currency:
            return refuse(Status.CURRENCY_MISMATCH, currency=financing.currency)
        if financing.payment is not None and self.net != financing.payment.price.net:
            return refuse(Status.AMOUNT_DIFFERS, net=financing.payment.price.net)
        return check_passable(step, financing)

    def apply(self, step: Step) -> Iterator[Event]:
        yield from complete(step, step.get(Financing, self.financing))


def _by_client(step: Step, financing_id: str) -> Signers | Refusal:
    financing = step.find(Financing, financing_id)
    if financing is None:
        return refuse(Status.NOT_FOUND, financing=financing_id)
    return Signers.all(financing.client)


class DisputeFinancingReceipt(Operation, tag="financing.dispute_receipt"):
    """Deny that the money came; the arbitrator that the contract names rules.

    Signed by the client. Silence to the deadline is a dispute too.
    """

    financing: FinancingId
    statement: Anchor
    while_suspended = True

    def authority(self, step: Step) -> Signers | Refusal:
        return _by_client(step, self.financing)

    def check(self, step: Step) -> Refusal | None:
        return check_window(step, step.get(Financing, self.financing), FinancingState.PAID)

    def apply(self, step: Step) -> Iterator[Event]:
        yield open_dispute(step, step.get(Financing, self.financing), "denied", self.statement)


def open_dispute(step: Step, financing: Financing, reason: str, statement: Anchor | None = None) -> Event:
    """Hand the question whether the money came to the arbitrator."""
    until = in_days(step, policies(step).ruling_days)
    dispute = Dispute(at=step.position, statement=statement)
    step.put(replace(financing, state=FinancingState.DISPUTED, deadline=until, dispute=dispute))
    arbitrator = arbitrator_of(financing)
    told = (financing.client, financing.funder, arbitrator)
    return DISPUTED(financing.id, told, reason=reason, arbitrator=arbitrator, rule_by=until)


def arbitrator_of(financing: Financing) -> str:
    """The arbitrator of the signed contract; a bank settlement has one."""
    if financing.contract is None or financing.contract.arbitrator is None:
        raise InvariantViolation(f"{financing.id} names no arbitrator")
    return financing.contract.arbitrator


class RuleOnFinancing(Operation, tag="financing.rule"):
    """Rule on a disputed payment: the parcel passes to the funder, or is unlocked against a receipt of return.

    Signed by the arbitrator that the contract names. `returned` is the bank's paper on the money's return, or that none
    ever came. Without a ruling in time, or where a succession made the arbitrator a party, the outcome is the one that
    the contract states.
    """

    financing: FinancingId
    verdict: Verdict
    ruling: Anchor
    returned: Anchor | None = None
    while_suspended = True

    def authority(self, step: Step) -> Signers | Refusal:
        financing = step.find(Financing, self.financing)
        if financing is None:
            return refuse(Status.NOT_FOUND, financing=self.financing)
        if financing.state is not FinancingState.DISPUTED:
            return refuse(Status.WRONG_STATE, state=financing.state.value)
        return Signers.all(arbitrator_of(financing))

    def check(self, step: Step) -> Refusal | None:
        financing = step.get(Financing, self.financing)
        refusal = check_window(step, financing, FinancingState.DISPUTED)
        if refusal is not None:
            return refusal
        if arbitrator_of(financing) in (financing.client, financing.funder, financing.debtor):
            return refuse(Status.MUST_RECUSE, organisation=arbitrator_of(financing))
        if (self.verdict is Verdict.UNLOCK) is (self.returned is None):
            return refuse(Status.BAD_VALUE, field="returned", verdict=self.verdict.value)
        return check_passable(step, financing) if self.verdict is Verdict.HAND_ON else None

    def apply(self, step: Step) -> Iterator[Event]:
        financing = step.get(Financing, self.financing)
        if financing.dispute is None:
            raise InvariantViolation(f"{financing.id} is disputed without a dispute")
        ruled = replace(
            financing.dispute,
            verdict=self.verdict,
            ruling=self.ruling,
            returned=self.returned,
            ruled=step.position,
        )
        financing = replace(financing, dispute=ruled)
        told = (financing.client, financing.funder)
        yield RULED(financing.id, told, arbitrator=arbitrator_of(financing), verdict=self.verdict.value)
        if self.verdict is Verdict.HAND_ON:
            yield from complete(step, financing)
        else:
            yield from fail_settlement(step, financing, "ruled")
