"""Release: a tranche whose condition holds is verified, its objection window runs, then its money goes to the payee.

Whatever may bring a release about ends in `look`, which reads the anchored version, the plan's money and the evidence,
and nothing else. `pay_payee` is the one place where escrow money reaches a payee: it charges the fee, redeems the
tranche's receivable first and leaves a certificate. Source: DOMAIN section 3, "Tranche".
"""

import datetime
from collections.abc import Iterator
from typing import assert_never

from msgspec.structs import replace

from tallystick.kernel.accounts import book
from tallystick.kernel.calendar.days import day_of, end_of
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Currency, PlanId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.plans.cases import Certificate, EvidenceState
from tallystick.kernel.plans.conditions import Met
from tallystick.kernel.plans.days import next_wake, opens_of
from tallystick.kernel.plans.disputes import open_dispute
from tallystick.kernel.plans.ending import end_tranche, settle
from tallystick.kernel.plans.escrow import amount_of, debitable, missing_in, with_tranche, woken
from tallystick.kernel.plans.lookup import check_tranche, parties_of, version_of
from tallystick.kernel.plans.records import (
    Phase,
    Plan,
    PlanState,
    PlanVersion,
    TrancheNumber,
    TrancheState,
    TrancheTerms,
    Unmet,
)
from tallystick.kernel.plans.redeeming import Redeeming, check_redeemable, pay_holders, redeeming
from tallystick.kernel.plans.rounds import Verified, round_of, verified
from tallystick.kernel.plans.sums import Sums, fee_due, sums_of
from tallystick.kernel.products.records import FeePayer, Method
from tallystick.kernel.wages.releasing import release_wages
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status

WRITES = 2_000  # rows that one plan's due work writes in a block, about; the rest of it waits for the next

VERIFIED = EventKind(
    "tranche.verified",
    "Tranche {tranche} of plan {record} is verified with {certified} {currency}; objections until {object_until}.",
)
RELEASED = EventKind(
    "tranche.released",
    "{released} {currency} of tranche {tranche} of plan {record} went to {payee} ({cause}, certificate {certificate}).",
)
EXTENDED = EventKind(
    "tranche.extended", "The release window of tranche {tranche} of plan {record} is extended until {unmet_at}."
)


def pay_payee(
    step: Step,
    plan: Plan,
    version: PlanVersion,
    number: int,
    units: Units,
    *,
    cause: str,
    sums: Sums | None = None,
    met: tuple[Met, ...] = (),
    dispute: str | None = None,
    triggered_by: str | None = None,
) -> Iterator[Event]:
    """Pay `units` of a tranche's free money to the payee, or first to the holders of the receivable that it redeems.

    Writes the plan with its counting and the certificate. That the money is free and may be debited is the caller's to
    check. `sums` is what a release certifies besides.
    """
    terms = version.tranches[number - 1]
    fee = fee_due(plan, version, units)
    borne = fee if version.terms.fee.paid_by is FeePayer.PAYEE else ZERO
    net = units - borne
    found = redeeming(step, plan, terms, net)
    said = sums or Sums(certified=units, paid=units)
    evidence = round_of(step, plan.tranches[number - 1])
    certificate = Certificate(
        id=step.new_id("crt"),
        plan=plan.id,
        version=version.version,
        tranche=number,
        at=step.position,
        conditions=met,
        certified=said.certified,
        released=net,
        recovered=said.recovered,
        retained=said.retained,
        disputed=said.contested,
        fees=borne,
        redeemed=ZERO if found is None else found.units,
        receivable=None if found is None else found.receivable.id,
        evidence=None if evidence is None or evidence.state is not EvidenceState.MET else evidence.id,
        dispute=dispute,
        cause=cause,
        triggered_by=triggered_by,
    )
    paid = _counted(plan, number, certificate, fee)
    if terms.advance:  # what it may recover is more now, so a later tranche that is short may have its money
        paid = woken(paid, step.now, after=number)
    step.put(certificate)
    step.put(paid)
    yield from _post(step, paid, version, certificate, fee, found)
    yield RELEASED(
        plan.id,
        parties_of(plan),
        tranche=number,
        payee=plan.payee,
        certificate=certificate.id,
        cause=cause,
        currency=plan.currency,
        certified=certificate.certified,
        released=net,
        fees=fee,
        recovered=certificate.recovered,
        retained=certificate.retained,
        disputed=certificate.disputed,
        redeemed=certificate.redeemed,
    )


def _post(
    step: Step, plan: Plan, version: PlanVersion, certificate: Certificate, fee: Units, found: Redeeming | None
) -> Iterator[Event]:
    """Move the money that a certificate says: the fee to the platform, the rest to workers, or holders and payee."""
    number, net = certificate.tranche, certificate.released
    if fee:
        target = book.fees(plan.custodian, plan.currency, plan.platform)
        yield book.move(step, plan.escrow, target, plan.currency, fee, plan.id)
    if version.tranches[number - 1].wages and net:
        yield from release_wages(step, plan, version, number, net)
        return
    if found is not None:
        yield from pay_holders(step, plan, found)
    surplus = net - certificate.redeemed
    if surplus:
        target = book.receiving_ledger_account(step, plan.payee, plan.currency, plan.id, plan.custodian)
        yield book.move(step, plan.escrow, target, plan.currency, surplus, plan.id)


def _counted(plan: Plan, number: int, certificate: Certificate, fee: Units) -> Plan:
    """`plan` after a payment: what the payee bears of the fee left the tranche, what the payer bears its reserve."""
    tranche = plan.tranches[number - 1]
    net, borne = certificate.released, certificate.fees
    tranche = replace(
        tranche,
        held=tranche.held - net - borne,
        released=tranche.released + net,
        fees=tranche.fees + borne,
        certificates=(*tranche.certificates, certificate.id),
    )
    return replace(
        with_tranche(plan, number, tranche),
        released=plan.released + net,
        fees=plan.fees + fee,
        fee_reserve=plan.fee_reserve - (fee - borne),
    )


def look(step: Step, plan: Plan, version: PlanVersion, number: int, triggered_by: str | None = None) -> Iterator[Event]:
    """Do with a tranche what its evidence, its days and its money bring about now; else note when to look again."""
    tranche = plan.tranches[number - 1]
    if tranche.is_over or plan.state is not PlanState.ACTIVE:
        yield from _release_retained(step, plan, version, number)
        return
    if tranche.phase is not Phase.VERIFIED:
        found = verified(step, plan, version, number, step.now)
        if found is None:
            _put(step, plan, number, replace(tranche, wake_at=_next_look(step, version, number, tranche)))
            return
        plan = _as_verified(step, plan, version, number, found)
        yield from _verify(step, plan, number)
    yield from _release_or_wait(step, plan, version, number, triggered_by)


def look_or_leave(step: Step, plan: Plan, version: PlanVersion, number: int) -> Iterator[Event]:
    """`look` at the end of a window; where many of a plan end at once, the queue of releases comes to the rest."""
    if step.written <= WRITES:
        yield from look(step, plan, version, number)
    else:
        _put(step, plan, number, replace(plan.tranches[number - 1], wake_at=step.now))


def _put(step: Step, plan: Plan, number: int, tranche: TrancheState) -> None:
    if tranche != plan.tranches[number - 1]:
        step.put(with_tranche(plan, number, tranche))


def _next_look(step: Step, version: PlanVersion, number: int, tranche: TrancheState) -> Instant | None:
    terms, release_at = version.tranches[number - 1], tranche.release_at
    return None if release_at is None else next_wake(terms, opens_of(version), release_at, step.now)


def _as_verified(step: Step, plan: Plan, version: PlanVersion, number: int, found: Verified) -> Plan:
    """`plan` with the tranche verified now, its objection window open."""
    days = version.terms.objection_days
    tranche = replace(
        plan.tranches[number - 1],
        phase=Phase.VERIFIED,
        certified=found.certified,
        met=found.met,
        object_until=step.now.plus(days * DAY_MS) if days else None,
        answer_by=None,
    )
    return with_tranche(plan, number, tranche)


def _verify(step: Step, plan: Plan, number: int) -> Iterator[Event]:
    tranche = plan.tranches[number - 1]
    evidence = round_of(step, tranche)
    if evidence is not None and evidence.state is EvidenceState.OPEN:
        step.put(replace(evidence, state=EvidenceState.MET))
    step.put(plan)
    yield VERIFIED(
        plan.id,
        (*parties_of(plan), *plan.named),
        tranche=number,
        certified=tranche.certified,
        currency=plan.currency,
        object_until=tranche.object_until or step.now,
    )


def hindrance(step: Step, plan: Plan, version: PlanVersion, number: int, by: str | None = None) -> Refusal | None:
    """Why the money of a verified tranche does not go to the payee now, or None; `by` is who asks, nobody the block.

    Order: too_early, in_dispute, not_funded, account_frozen, what bars paying the receivable that it redeems.
    """
    tranche, terms = plan.tranches[number - 1], version.tranches[number - 1]
    if tranche.object_until is not None and step.now <= tranche.object_until:
        return refuse(Status.TOO_EARLY, tranche=number, object_until=tranche.object_until)
    if tranche.release_at is not None and step.now < tranche.release_at:
        return refuse(Status.TOO_EARLY, tranche=number, release_at=tranche.release_at)
    sums = sums_of(plan, version, number, step.now)
    if sums.contested == sums.certified:
        return refuse(Status.IN_DISPUTE, tranche=number, certified=sums.certified, disputed=tranche.disputed)
    if tranche.free < sums.paid + sums.retained:
        return refuse(Status.NOT_FUNDED, tranche=number, held=tranche.free, needed=sums.paid + sums.retained)
    if not _is_debitable(step, plan, version, sums.paid):
        return refuse(Status.ACCOUNT_FROZEN, plan=plan.id, free=debitable(step, plan), needed=sums.paid)
    return check_redeemable(step, plan, terms, by) if sums.paid else None


def _is_debitable(step: Step, plan: Plan, version: PlanVersion, units: Units) -> bool:
    """Whether no freeze of the escrow bars `units`, and the fee that the payer bears on them, from leaving it."""
    by_payer = version.terms.fee.paid_by is FeePayer.PAYER
    leaving = units + (fee_due(plan, version, units) if by_payer else ZERO)
    return leaving <= debitable(step, plan)


def _release_or_wait(
    step: Step, plan: Plan, version: PlanVersion, number: int, triggered_by: str | None
) -> Iterator[Event]:
    """Release a verified tranche, or wait: for its windows, or for what somebody has to bring about."""
    tranche = plan.tranches[number - 1]
    refusal = hindrance(step, plan, version, number, triggered_by)
    if refusal is None:
        yield from _release(step, plan, version, number, triggered_by)
        return
    if refusal.status is Status.TOO_EARLY:
        ends = [at for at in (tranche.release_at, tranche.object_until and tranche.object_until.plus(1)) if at]
        _put(step, plan, number, replace(tranche, wake_at=max(ends)))
        return
    if refusal.status is Status.IN_DISPUTE and not tranche.disputed:
        plan = with_tranche(plan, number, replace(tranche, met=()))
        yield from end_tranche(step, plan, version, number, Phase.ENDED, "settled")
        yield from settle(step, plan.id)
        return
    _put(step, plan, number, replace(tranche, wake_at=None))


def _release(step: Step, plan: Plan, version: PlanVersion, number: int, triggered_by: str | None) -> Iterator[Event]:
    tranche = plan.tranches[number - 1]
    sums = sums_of(plan, version, number, step.now)
    counted = replace(tranche, recovered=sums.recovered, retained=sums.retained, met=())
    yield from pay_payee(
        step,
        with_tranche(plan, number, counted),
        version,
        number,
        sums.paid,
        cause="release",
        sums=sums,
        met=tranche.met,
        triggered_by=triggered_by,
    )
    yield from end_tranche(step, step.get(Plan, plan.id), version, number, Phase.RELEASED, "released")
    yield from settle(step, plan.id)


def _release_retained(step: Step, plan: Plan, version: PlanVersion, number: int) -> Iterator[Event]:
    """Pay what was retained, once its day has come. Where a freeze bars it, it waits for the freeze's end."""
    tranche = plan.tranches[number - 1]
    until = tranche.retained_until
    if not tranche.retained or (until is not None and step.now < until):
        _put(step, plan, number, replace(tranche, wake_at=None))
        return
    over = replace(tranche, wake_at=None, retained_until=None)
    if not _is_debitable(step, plan, version, tranche.retained):
        _put(step, plan, number, over)
        return
    yield from pay_payee(
        step,
        with_tranche(plan, number, replace(over, retained=ZERO)),
        version,
        number,
        tranche.retained,
        cause="retention",
        met=(Met(method=Method.DATE, at=until or step.now),),
    )
    yield from settle(step, plan.id)


def release_due(step: Step, record: Record) -> Iterator[Event]:
    """Due work of a plan: tranches that time alone may have verified or released, and retentions whose day came.

    One that rolls on wakes later tranches only, which follow in the same round.
    """
    if not isinstance(record, Plan):
        raise InvariantViolation(f"{record.key} is no plan")
    version = version_of(step, record)
    for number in range(1, len(record.tranches) + 1):
        plan = step.get(Plan, record.id)
        tranche = plan.tranches[number - 1]
        if not plan.is_live or not _is_due(step, tranche):
            continue
        if step.written > WRITES:
            later = replace(tranche, wake_at=step.now.plus(1))
            came = tranche.retained_until is not None and tranche.retained_until <= step.now
            _put(step, plan, number, replace(later, retained_until=None) if came else later)
            continue
        yield from look(step, plan, version, number)


def _is_due(step: Step, tranche: TrancheState) -> bool:
    retained = bool(tranche.retained) and tranche.retained_until is not None and tranche.retained_until <= step.now
    return retained or (tranche.wake_at is not None and tranche.wake_at <= step.now)


def end_release_window(step: Step, plan: Plan, version: PlanVersion, number: int) -> Iterator[Event]:
    """Due work after the end of a release window: what held by then counts, else `if_unmet` says what follows.

    A window is extended so often as the plan allows, each time whole and with time before the long stop to answer what
    comes in it; then it is a dispute, except that wages are never disputed.
    """
    tranche, terms = plan.tranches[number - 1], version.tranches[number - 1]
    found = verified(step, plan, version, number, step.now)
    if found is not None:
        plan = _as_verified(step, plan, version, number, found)
        yield from _verify(step, plan, number)
        yield from look_or_leave(step, plan, version, number)
        return
    match terms.if_unmet:
        case Unmet.REFUND:
            yield from give_up(step, plan, version, number, ZERO, "unmet")
        case Unmet.DISPUTE:
            yield from give_up(step, plan, version, number, open_units(tranche, terms), "unmet")
        case Unmet.EXTEND:
            extended = _extended(step, plan, version, number)
            if extended is None:
                units = ZERO if terms.wages else open_units(tranche, terms)
                yield from give_up(step, plan, version, number, units, "unmet")
                return
            _put(step, plan, number, extended)
            yield EXTENDED(plan.id, (*parties_of(plan), *plan.named), tranche=number, unmet_at=extended.unmet_at)
        case _:
            assert_never(terms.if_unmet)


def _extended(step: Step, plan: Plan, version: PlanVersion, number: int) -> TrancheState | None:
    """The tranche with its window `extend_days` longer, or None where it can't be.

    What comes in the last moment of it is answered and objected to in its own time before the long stop, as in the
    window that was agreed: else silence to the end would take back what was earned.
    """
    tranche, terms = plan.tranches[number - 1], version.tranches[number - 1]
    if tranche.unmet_at is None or not terms.extend_days or tranche.extended >= version.terms.extensions:
        return None
    last = day_of(step.overlay, tranche.unmet_at)
    needed = terms.extend_days + version.terms.answer_days + version.terms.objection_days
    if plan.long_stop_at is not None and (day_of(step.overlay, plan.long_stop_at) - last).days < needed:
        return None
    until = end_of(step.overlay, last + datetime.timedelta(days=terms.extend_days))
    return replace(tranche, unmet_at=until, extended=tranche.extended + 1)


def open_units(tranche: TrancheState, terms: TrancheTerms) -> Units:
    """What of an unverified tranche's money may still become the payee's, and is not disputed."""
    left = max(int(amount_of(tranche, terms)) - int(tranche.contested), 0)
    return Units(min(int(tranche.free), left))


def give_up(step: Step, plan: Plan, version: PlanVersion, number: int, disputed: Units, reason: str) -> Iterator[Event]:
    """End a tranche that was not verified: `disputed` of its money is to be settled or ruled on, the rest goes back."""
    yield from open_dispute(step, plan, version, number, disputed, reason)
    yield from end_tranche(step, step.get(Plan, plan.id), version, number, Phase.ENDED, reason)
    yield from settle(step, plan.id)


class ReleaseTranche(Operation, tag="tranche.release"):
    """Release a verified tranche whose objection window is over and whose money is there; the block does it as well.

    Signed by any member; it names the amount that goes to the payee before its fee. What the plan says is done, nothing
    else. Source: DOMAIN section 3, "Tranche".
    """

    while_suspended = True

    plan: PlanId
    tranche: TrancheNumber
    currency: Currency
    units: Units

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        plan = step.find(Plan, self.plan)
        return refuse(Status.NOT_FOUND, plan=self.plan) if plan is None else Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        plan = step.get(Plan, self.plan)
        refusal = check_tranche(plan, self.tranche)
        if refusal is not None:
            return refusal
        tranche, version = plan.tranches[self.tranche - 1], version_of(step, plan)
        if tranche.phase is Phase.RELEASED:
            return refuse(Status.ALREADY_RELEASED, plan=plan.id, tranche=self.tranche)
        if tranche.phase is Phase.ENDED:
            return refuse(Status.WRONG_STATE, tranche=self.tranche, phase=tranche.phase.value)
        if self.currency != plan.currency:
            return refuse(Status.CURRENCY_MISMATCH, plan=plan.currency, stated=self.currency)
        if tranche.phase is not Phase.VERIFIED:
            found = verified(step, plan, version, self.tranche, step.now)
            if found is None:
                missing = missing_in(tranche, version.tranches[self.tranche - 1])
                status = Status.NOT_FUNDED if missing else Status.CONDITION_NOT_MET
                return refuse(status, tranche=self.tranche, missing=missing)
            plan = _as_verified(step, plan, version, self.tranche, found)
        return hindrance(step, plan, version, self.tranche, step.actor) or self._check_amount(step, plan, version)

    def _check_amount(self, step: Step, plan: Plan, version: PlanVersion) -> Refusal | None:
        paid = sums_of(plan, version, self.tranche, step.now).paid
        return None if self.units == paid else refuse(Status.AMOUNT_DIFFERS, computed=paid, stated=self.units)

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        yield from look(step, plan, version_of(step, plan), self.tranche, step.actor)
