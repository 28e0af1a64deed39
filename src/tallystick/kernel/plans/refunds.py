"""Refunds: the payer asks for money of a tranche back before it is released, and the payee consents or does not.

What goes back lowers the amount of the tranche for good (`escrow.amount_of`); one that has no amount left ends. Other
ways back to the payer are rulings and settlements of disputes, a release window that ends (`if_unmet`), what a release
did not use, and the long-stop date. Source: DOMAIN section 3, "Refund".
"""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Code, Currency, PlanId, RefundId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.plans import ending, escrow
from tallystick.kernel.plans.cases import Refund, RefundState
from tallystick.kernel.plans.ending import REFUND_CLOSED
from tallystick.kernel.plans.lookup import check_active, check_tranche, version_of
from tallystick.kernel.plans.records import Phase, Plan, TrancheNumber, TrancheState, TrancheTerms
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status

REQUESTED = EventKind(
    "refund.requested", "{units} {currency} of tranche {tranche} of plan {plan} are asked back until {deadline}."
)
BOOKED = EventKind("refund.booked", "The payee consented: {units} {currency} of tranche {tranche} went back.")
DECLINED = EventKind("refund.declined", "The payee declined to give {units} {currency} back ({reason}).")


class RequestRefund(Operation, tag="refund.request"):
    """Ask the payee to have an amount of a tranche back that waits for its funds or its evidence.

    Signed by the payer. One request for a tranche at a time; a tranche that recovers an advance is given back whole.
    Source: DOMAIN section 3, "Refund".
    """

    while_suspended = True

    plan: PlanId
    tranche: TrancheNumber
    currency: Currency
    units: Units
    reason: Code | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        plan = step.find(Plan, self.plan)
        return refuse(Status.NOT_FOUND, plan=self.plan) if plan is None else Signers.all(plan.payer)

    def check(self, step: Step) -> Refusal | None:
        plan = step.get(Plan, self.plan)
        refusal = check_tranche(plan, self.tranche)
        if refusal is not None:
            return refusal
        asked = next((name for name in plan.refunds if step.get(Refund, name).tranche == self.tranche), None)
        if asked is not None:
            return refuse(Status.RECORD_EXISTS, refund=asked, tranche=self.tranche)
        if self.currency != plan.currency:
            return refuse(Status.CURRENCY_MISMATCH, plan=plan.currency, stated=self.currency)
        if not self.units:
            return refuse(Status.AMOUNT_ZERO)
        terms = version_of(step, plan).tranches[self.tranche - 1]
        return _check_money(plan, self.tranche, terms, self.units)

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        refund = Refund(
            id=step.new_id("rfd"),
            plan=plan.id,
            tranche=self.tranche,
            payer=plan.payer,
            payee=plan.payee,
            currency=plan.currency,
            units=self.units,
            state=RefundState.REQUESTED,
            requested=step.position,
            deadline=step.now.plus(policies(step).refund_consent_days * DAY_MS),
            reason=self.reason,
        )
        step.put(refund)
        step.put(replace(plan, refunds=(*plan.refunds, refund.id)))
        yield REQUESTED(
            refund.id,
            (plan.payer, plan.payee),
            plan=plan.id,
            tranche=self.tranche,
            units=self.units,
            currency=plan.currency,
            deadline=refund.deadline,
        )


def _check_money(plan: Plan, number: int, terms: TrancheTerms, units: Units) -> Refusal | None:
    """Whether `units` can go back: evidence under way, verified or released money has its own ways."""
    tranche = plan.tranches[number - 1]
    if tranche.phase is not Phase.WAITING:
        return refuse(Status.WRONG_STATE, plan=plan.id, tranche=number, state=tranche.phase.value)
    if units > tranche.free:
        return refuse(Status.OVER_AVAILABLE, plan=plan.id, tranche=number, free=tranche.free, stated=units)
    if terms.recovery is not None and units != tranche.free:
        # Part of its amount is to be an advance that the payee has already had, so money and amount differ.
        return refuse(Status.AMOUNT_DIFFERS, computed=tranche.free, stated=units)
    return None


class ConsentToRefund(Operation, tag="refund.consent"):
    """Agree that the amount asked for goes back to the payer; it does so at once.

    Signed by the payee. Source: DOMAIN section 3, "Refund".
    """

    while_suspended = True

    refund: RefundId
    currency: Currency
    units: Units

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        return _payee_of(step, self.refund)

    def check(self, step: Step) -> Refusal | None:
        refund = step.get(Refund, self.refund)
        refusal = _check_open(step, refund)
        if refusal is not None:
            return refusal
        plan = step.get(Plan, refund.plan)
        refusal = check_active(plan)
        if refusal is not None:
            return refusal
        if self.currency != refund.currency:
            return refuse(Status.CURRENCY_MISMATCH, refund=refund.currency, stated=self.currency)
        if self.units != refund.units:
            return refuse(Status.AMOUNT_DIFFERS, computed=refund.units, stated=self.units)
        terms = version_of(step, plan).tranches[refund.tranche - 1]
        refusal = _check_money(plan, refund.tranche, terms, refund.units)
        if refusal is not None:
            return refusal
        return escrow.check_debitable(step, plan, refund.units)

    def apply(self, step: Step) -> Iterator[Event]:
        refund = step.get(Refund, self.refund)
        step.put(replace(refund, state=RefundState.BOOKED, ended=step.position))
        plan = _without(step.get(Plan, refund.plan), refund)
        version = version_of(step, plan)
        plan, given_back = escrow.refund(step, plan, refund.tranche, refund.units, "consent")
        tranche, terms = plan.tranches[refund.tranche - 1], version.tranches[refund.tranche - 1]
        tranche = replace(tranche, consented=tranche.consented + refund.units)
        plan = escrow.with_tranche(plan, refund.tranche, tranche)
        step.put(plan)
        yield from given_back
        yield BOOKED(
            refund.id,
            (plan.payer, plan.payee),
            plan=plan.id,
            tranche=refund.tranche,
            units=refund.units,
            currency=refund.currency,
        )
        if _nothing_left(tranche, terms):
            yield from ending.end_tranche(step, plan, version, refund.tranche, Phase.ENDED, "refunded")
        yield from ending.settle(step, plan.id)


def _nothing_left(tranche: TrancheState, terms: TrancheTerms) -> bool:
    """Whether a tranche ends with what went back. One that recovers an advance went back whole."""
    empty = not tranche.held and (terms.recovery is not None or not escrow.missing_in(tranche, terms))
    return empty or not escrow.amount_of(tranche, terms)


class DeclineRefund(Operation, tag="refund.decline"):
    """Refuse the payer's request to have money back; the tranche goes on.

    Signed by the payee. Source: DOMAIN section 3, "Refund".
    """

    while_suspended = True

    refund: RefundId
    reason: Code

    def authority(self, step: Step) -> Signers | Refusal:
        return _payee_of(step, self.refund)

    def check(self, step: Step) -> Refusal | None:
        return _check_open(step, step.get(Refund, self.refund))

    def apply(self, step: Step) -> Iterator[Event]:
        refund = step.get(Refund, self.refund)
        step.put(replace(refund, state=RefundState.DECLINED, ended=step.position))
        step.put(_without(step.get(Plan, refund.plan), refund))
        yield DECLINED(
            refund.id,
            (refund.payer, refund.payee),
            plan=refund.plan,
            units=refund.units,
            currency=refund.currency,
            reason=self.reason,
        )


def lapse_refund(step: Step, record: Record) -> Iterator[Event]:
    """Due work of a request: the payee did not answer in time, which is no consent."""
    if not isinstance(record, Refund):
        raise InvariantViolation(f"{record.key} is no refund")
    step.put(replace(record, state=RefundState.LAPSED, ended=step.position))
    step.put(_without(step.get(Plan, record.plan), record))
    yield REFUND_CLOSED(record.id, (record.payer, record.payee), units=record.units, currency=record.currency)


def _without(plan: Plan, refund: Refund) -> Plan:
    return replace(plan, refunds=tuple(name for name in plan.refunds if name != refund.id))


def _payee_of(step: Step, refund_id: str) -> Signers | Refusal:
    refund = step.find(Refund, refund_id)
    return refuse(Status.NOT_FOUND, refund=refund_id) if refund is None else Signers.all(refund.payee)


def _check_open(step: Step, refund: Refund) -> Refusal | None:
    if refund.state is not RefundState.REQUESTED:
        return refuse(Status.WRONG_STATE, refund=refund.id, state=refund.state.value)
    if step.now > refund.deadline:
        return refuse(Status.DEADLINE_PASSED, refund=refund.id, deadline=refund.deadline)
    return None
