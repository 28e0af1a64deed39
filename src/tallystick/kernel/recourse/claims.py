"""Claiming, paying and refusing recourse, and a holder's giving up."""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.accounts import book
from tallystick.kernel.calendar.days import day_of
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Currency, Interval, ReceivableId, RecourseId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies, policies_on
from tallystick.kernel.membership.business import on_succeeded, rename
from tallystick.kernel.membership.limits import undraw
from tallystick.kernel.membership.rules import present_party
from tallystick.kernel.receivables.parcels import (
    cancel_units,
    check_units,
    find_parcel,
    frozen_units,
    live_parcels,
)
from tallystick.kernel.receivables.records import ARREARS_STATES, Parcel, Receivable, ReceivableState
from tallystick.kernel.recourse.ending import settle
from tallystick.kernel.recourse.hops import answering_hop, answers_for
from tallystick.kernel.recourse.records import Recourse, RecourseState
from tallystick.kernel.redemption.ending import announce_end, ended, wind_up
from tallystick.kernel.redemption.paying import after_payment
from tallystick.kernel.redemption.records import Redemption
from tallystick.kernel.redemption.shares import redemption_of
from tallystick.kernel.transfers.passing import pass_on
from tallystick.kernel.transfers.records import Transfer, TransferKind
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status

CLAIMED = EventKind(
    "recourse.claimed", "{claimant} claims {units} {currency} from {liable} for unpaid receivable {receivable}."
)
PAID = EventKind("recourse.paid", "{liable} paid {units} {currency} and holds the units of {receivable} instead.")
REFUSED = EventKind("recourse.refused", "{liable} refuses recourse {record} on receivable {receivable}.")
LAPSED = EventKind("recourse.lapsed", "{liable} did not pay recourse {record} on receivable {receivable} in time.")
GIVEN_UP = EventKind(
    "receivable.given_up",
    "{holder} gave up {units} {currency} of receivable {record}; {left} {currency} are still owed.",
)


class ClaimRecourse(Operation, tag="recourse.claim"):
    """Claim an overdue parcel from the party it came from, where that hop was with recourse (追索).

    Signed by the holder. Who is liable, and for how much, is read from the transfer; the claim period runs from the
    dishonour, or from the day on which the holder itself paid by way of recourse. Source: DOMAIN section 3, "Recourse".
    """

    while_suspended = True

    receivable: ReceivableId
    parcel: Interval

    def authority(self, step: Step) -> Signers | Refusal:
        if step.find(Receivable, self.receivable) is None:
            return refuse(Status.NOT_FOUND, receivable=self.receivable)
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        receivable = step.get(Receivable, self.receivable)
        parcel = _own_unpaid(step, receivable, self.parcel)
        if isinstance(parcel, Refusal):
            return parcel
        if parcel.holder == receivable.debtor:
            return refuse(Status.SAME_PARTY, debtor=receivable.debtor)  # nobody answers to it for its own default
        hop = _answering(step, parcel)
        if hop is None or not hop.recourse:
            return refuse(Status.NO_RECOURSE, receivable=receivable.id, hop="none" if hop is None else hop.id)
        if not answers_for(hop, parcel.interval):
            return refuse(Status.AMOUNT_ZERO)
        for claim in claims_of(step, receivable.id):
            if claim.hop == hop.id and claim.interval.overlaps(parcel.interval):
                return refuse(Status.RECORD_EXISTS, recourse=claim.id, state=claim.state.value)
        claim_by = self._claim_by(step, receivable, parcel)
        if step.now > claim_by:
            return refuse(Status.DEADLINE_PASSED, claim_by=claim_by)
        return None

    def _claim_by(self, step: Step, receivable: Receivable, parcel: Parcel) -> Instant:
        since = redemption_of(step, receivable).dishonoured_at
        transfer = step.find(Transfer, parcel.origin)
        if transfer is not None and transfer.kind is TransferKind.RECOURSE:
            # Steps of the same parcel follow one another; each has the whole claim period from its payment.
            row = next(iter(step.index_range(f"stepped_in/{transfer.id}/")))
            paid = step.at(row.split("/", 2)[2])
            since = paid.paid_at if isinstance(paid, Recourse) else since
        if since is None:
            raise InvariantViolation(f"{receivable.id} is overdue since no instant")
        opened_on = day_of(step.overlay, since)  # a period that was set later shortens or revives nobody's
        return since.plus(policies_on(step, opened_on).recourse_claim_days * DAY_MS)

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = step.get(Receivable, self.receivable)
        parcel = find_parcel(step, receivable, self.parcel)
        hop = None if parcel is None else _answering(step, parcel)
        if parcel is None or hop is None:
            raise InvariantViolation(f"nobody answers for units of {receivable.id}")
        claim = Recourse(
            id=step.new_id("rec"),
            receivable=receivable.id,
            interval=parcel.interval,
            claimant=parcel.holder,
            liable=present_party(step, hop.sender),
            hop=hop.id,
            currency=receivable.currency,
            units=answers_for(hop, parcel.interval),
            state=RecourseState.CLAIMED,
            claimed=step.position,
            pay_by=step.now.plus(policies(step).recourse_pay_days * DAY_MS),
        )
        step.put(claim)
        if receivable.state is ReceivableState.OVERDUE:
            step.put(replace(receivable, state=ReceivableState.IN_RECOURSE))
        yield CLAIMED(
            claim.id,
            (claim.claimant, claim.liable, receivable.debtor),
            claimant=claim.claimant,
            liable=claim.liable,
            units=claim.units,
            currency=claim.currency,
            receivable=receivable.id,
            pay_by=claim.pay_by,
        )


def _answering(step: Step, parcel: Parcel) -> Transfer | None:
    """The hop that answers to a parcel's holder; those on which a succession put the holder itself are passed over."""
    hop = answering_hop(step, parcel.origin)
    while hop is not None and present_party(step, hop.sender) == parcel.holder:
        hop = answering_hop(step, hop.prior)
    return hop


def claims_of(step: Step, receivable_id: str) -> Iterator[Recourse]:
    """The claims ever made on a receivable, but for those that were settled."""
    for row in step.index_range(f"claims_of/{receivable_id}/"):
        claim = step.at(row.split("/", 2)[2])
        if isinstance(claim, Recourse):
            yield claim


def _own_unpaid(step: Step, receivable: Receivable, interval: Interval) -> Parcel | Refusal:
    """The actor's overdue parcel of that name, free of freezes, locks and awaited bank payments."""
    if receivable.state not in ARREARS_STATES:
        return refuse(Status.WRONG_STATE, receivable=receivable.id, state=receivable.state.value)
    parcel = find_parcel(step, receivable, interval)
    if parcel is None or parcel.holder != step.actor:
        return refuse(Status.RECEIVABLE_NOT_HELD, organisation=step.actor, receivable=receivable.id)
    refusal = check_units(parcel, frozen_units(receivable, step.now), parcel.interval)
    if refusal is not None:
        return refusal
    row = step.find(Redemption, receivable.id)
    if row is not None and any(part.overlaps(interval) for part in row.awaited):
        return refuse(Status.PAYMENT_PENDING, receivable=receivable.id)
    return parcel


def unpaid_parts(step: Step, receivable: Receivable, claim: Recourse) -> list[tuple[Parcel, Interval]]:
    """What of a claim's units its claimant still holds unpaid; nothing, where it has become the debtor itself."""
    if not receivable.is_owed or claim.claimant == receivable.debtor:
        return []
    return [
        (
            parcel,
            Interval(max(parcel.interval.first, claim.interval.first), min(parcel.interval.last, claim.interval.last)),
        )
        for parcel in live_parcels(step, receivable)
        if parcel.holder == claim.claimant and parcel.interval.overlaps(claim.interval)
    ]


def _check_open(step: Step, claim: Recourse) -> Refusal | None:
    if claim.state is not RecourseState.CLAIMED:
        return refuse(Status.WRONG_STATE, recourse=claim.id, state=claim.state.value)
    if step.now > claim.pay_by:
        return refuse(Status.DEADLINE_PASSED, pay_by=claim.pay_by)
    return None


class PayRecourse(Operation, tag="recourse.pay"):
    """Pay a claim of recourse and step into the holder's place; one may then claim one hop further.

    Signed by the liable party; with a bank receipt instead of ledger money, by the claimant too, who confirms it. What
    the debtor paid since the claim lowers the amount. Source: DOMAIN section 3, "Recourse".
    """

    while_suspended = True

    recourse: RecourseId
    currency: Currency
    units: Units
    receipt: Anchor | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        claim = step.find(Recourse, self.recourse)
        if claim is None:
            return refuse(Status.NOT_FOUND, recourse=self.recourse)
        return Signers.all(claim.liable, *(() if self.receipt is None else (claim.claimant,)))

    def check(self, step: Step) -> Refusal | None:
        claim = step.get(Recourse, self.recourse)
        refusal = _check_open(step, claim)
        if refusal is not None:
            return refusal
        receivable = step.get(Receivable, claim.receivable)
        parts = unpaid_parts(step, receivable, claim)
        if not parts:
            return refuse(Status.RECEIVABLE_NOT_HELD, organisation=claim.claimant, receivable=receivable.id)
        if self.currency != claim.currency:
            return refuse(Status.CURRENCY_MISMATCH, recourse=claim.currency, stated=self.currency)
        for parcel, part in parts:
            refusal = check_units(parcel, frozen_units(receivable, step.now), part)
            if refusal is not None:
                return refusal
        hop = step.get(Transfer, claim.hop)
        owed = Units(sum(answers_for(hop, part) for _, part in parts))
        if not owed:
            return refuse(Status.AMOUNT_ZERO)
        if self.units != owed:
            return refuse(Status.AMOUNT_DIFFERS, computed=owed, stated=self.units)
        if self.receipt is not None:
            return None
        route = book.find_route(step, claim.liable, claim.claimant, claim.currency, owed)
        return route if isinstance(route, Refusal) else None

    def apply(self, step: Step) -> Iterator[Event]:
        claim = step.get(Recourse, self.recourse)
        hop = step.get(Transfer, claim.hop)
        if self.receipt is None:
            route = book.find_route(step, claim.liable, claim.claimant, claim.currency, self.units)
            if isinstance(route, Refusal):
                raise InvariantViolation(f"{claim.liable} could pay {claim.id} when checked")
            yield book.move(
                step,
                route.source.ledger_account,
                route.target.ledger_account,
                claim.currency,
                self.units,
                claim.id,
                (claim.liable, claim.claimant),
            )
        passed: list[str] = []
        for parcel, part in unpaid_parts(step, step.get(Receivable, claim.receivable), claim):
            passed.append(step.coming_id("trf"))
            yield from pass_on(
                step,
                step.get(Receivable, claim.receivable),
                parcel,
                part,
                claim.liable,
                TransferKind.RECOURSE,
                consideration=answers_for(hop, part),
                discharges=hop.id,
            )
        step.put(
            replace(
                claim,
                state=RecourseState.PAID,
                units=self.units,
                paid_at=step.now,
                stepped_in=tuple(passed),
                receipt=self.receipt,
                ended=step.position,
            )
        )
        yield PAID(
            claim.id,
            (claim.liable, claim.claimant),
            liable=claim.liable,
            units=self.units,
            currency=claim.currency,
            receivable=claim.receivable,
        )


class RefuseRecourse(Operation, tag="recourse.refuse"):
    """Refuse to pay a claim of recourse, with the reason off the ledger; the holder keeps what it holds.

    Signed by the liable party.
    """

    while_suspended = True

    recourse: RecourseId
    reason: Anchor

    def authority(self, step: Step) -> Signers | Refusal:
        claim = step.find(Recourse, self.recourse)
        return refuse(Status.NOT_FOUND, recourse=self.recourse) if claim is None else Signers.all(claim.liable)

    def check(self, step: Step) -> Refusal | None:
        return _check_open(step, step.get(Recourse, self.recourse))

    def apply(self, step: Step) -> Iterator[Event]:
        claim = step.get(Recourse, self.recourse)
        step.put(replace(claim, state=RecourseState.REFUSED, reason=self.reason, ended=step.position))
        yield REFUSED(claim.id, (claim.claimant, claim.liable), liable=claim.liable, receivable=claim.receivable)


def lapse_claim(step: Step, record: Record) -> Iterator[Event]:
    """Due work: the time to pay a claim is over. The holder keeps its units, may write them off, or is paid late."""
    if not isinstance(record, Recourse):
        raise InvariantViolation(f"{record.key} is no claim")
    if not unpaid_parts(step, step.get(Receivable, record.receivable), record):
        yield settle(step, record)
        return
    step.put(replace(record, state=RecourseState.LAPSED, ended=step.position))
    yield LAPSED(record.id, (record.claimant, record.liable), liable=record.liable, receivable=record.receivable)


class WriteOff(Operation, tag="receivable.write_off"):
    """Give up an overdue parcel: its units are owed no more, and nothing is paid for them (核销).

    Signed by the holder. When nothing else is left the receivable is written off and the debtor's arrears for it end.
    """

    while_suspended = True

    receivable: ReceivableId
    parcel: Interval

    def authority(self, step: Step) -> Signers | Refusal:
        if step.find(Receivable, self.receivable) is None:
            return refuse(Status.NOT_FOUND, receivable=self.receivable)
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        parcel = _own_unpaid(step, step.get(Receivable, self.receivable), self.parcel)
        return parcel if isinstance(parcel, Refusal) else None

    def apply(self, step: Step) -> Iterator[Event]:
        receivable = step.get(Receivable, self.receivable)
        undraw(step, receivable.debtor, receivable.currency, ((step.actor, self.parcel.length),))
        left = cancel_units(step, receivable, self.parcel)
        over = left.outstanding == ZERO
        if over:
            changed = ended(step, left, ReceivableState.WRITTEN_OFF)
        else:
            changed = after_payment(step, left, redemption_of(step, left))
        step.put(changed)
        yield GIVEN_UP(
            receivable.id,
            (step.actor, receivable.debtor),
            holder=step.actor,
            units=self.parcel.length,
            currency=receivable.currency,
            left=changed.outstanding,
        )
        if over:
            yield announce_end(changed, (step.actor,))
            yield from wind_up(step, changed)


def _pass_to_successor(step: Step, record: Record, member: str, successor: str) -> Iterator[Event]:
    """The successor claims, or is liable, in the member's place; a claim between the two has lost its object."""
    if isinstance(record, Recourse) and {record.claimant, record.liable} == {member, successor}:
        yield settle(step, record)
    else:
        yield from rename(step, record, member, successor)


on_succeeded("recourse", _pass_to_successor)
