"""Disputes: an amount of a tranche that payer and payee do not agree on is frozen, and it alone.

An objection within the objection window, a dispute opened by a side, a verifier's silence and an unmet condition all
lead here (`open_dispute`). Whose the amount is, the sides may settle by an offer that the other side accepts, at any
time before a ruling; once the negotiation window is over the named arbitrator may rule. `rulings` carries it out.

What is disputed lies in one of three parts of a tranche's money: in what is, or is still to be, certified (a release
leaves it out for ever, `TrancheState.contested`); beyond it, where a payee objects that too little was certified; or in
what is retained of a released tranche. Source: DOMAIN section 3, "Dispute".
"""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Code, Currency, DisputeId, PlanId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.plans import escrow
from tallystick.kernel.plans.cases import Dispute, DisputeState, Offer
from tallystick.kernel.plans.lookup import check_tranche, parties_of, version_of
from tallystick.kernel.plans.records import Phase, Plan, PlanVersion, TrancheNumber, TrancheState, TrancheTerms
from tallystick.kernel.wages.rules import check_dispute as check_dispute_of_wages
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status

OPENED = EventKind(
    "dispute.opened",
    "{units} {currency} of tranche {tranche} of {plan} are disputed ({cause}); to be settled by {negotiate_until}.",
)
OFFERED = EventKind("dispute.offered", "{by} offers to settle {record} with {to_payee} {currency} for the payee.")
IN_ARBITRATION = EventKind(
    "dispute.in_arbitration", "{record} about {units} {currency} was not settled; {arbitrator} is to rule."
)

MAX_OPEN = 32
"""Disputes that one side may have open on a plan at a time: they lie in the plan's row."""

MAX_DECIDED = 64
"""Payments out of one tranche after which no side disputes more of it: each is named in the plan's row."""

OBJECTION = "objection"


def open_dispute(
    step: Step,
    plan: Plan,
    version: PlanVersion,
    number: int,
    units: Units,
    cause: str,
    *,
    by: str | None = None,
    reason: str | None = None,
    statement: Anchor | None = None,
) -> Iterator[Event]:
    """Freeze `units` of tranche `number`, at most what `disputable` says of the side `by`; nothing for no units."""
    if not units:
        return
    tranche = plan.tranches[number - 1]
    frozen = replace(tranche, disputed=tranche.disputed + units)
    if tranche.is_over:
        frozen = replace(frozen, retained=tranche.retained - units)
    elif _lies_beyond(plan, tranche, by):
        frozen = replace(frozen, beyond=tranche.beyond + units)
    else:
        frozen = replace(frozen, contested=tranche.contested + units)
    if frozen.held < frozen.disputed + frozen.retained:
        raise InvariantViolation(f"{units} of tranche {number} of {plan.id} are disputed and not there")
    dispute = Dispute(
        id=step.new_id("dsp"),
        plan=plan.id,
        version=version.version,
        tranche=number,
        payer=plan.payer,
        payee=plan.payee,
        arbitrator=plan.arbitrator,
        currency=plan.currency,
        units=units,
        state=DisputeState.OPEN,
        opened=step.position,
        cause=cause,
        opened_by=by,
        reason=reason,
        statement=statement,
        negotiate_until=step.now.plus(version.terms.negotiation_days * DAY_MS),
    )
    step.put(dispute)
    step.put(replace(escrow.with_tranche(plan, number, frozen), disputes=(*plan.disputes, dispute.id)))
    yield OPENED(
        dispute.id,
        parties_of(plan),
        plan=plan.id,
        tranche=number,
        units=units,
        currency=plan.currency,
        cause=cause,
        negotiate_until=dispute.negotiate_until,
    )


def _lies_beyond(plan: Plan, tranche: TrancheState, by: str | None) -> bool:
    """Whether a dispute opened by `by` is about what was not certified: a payee's, once an amount is certified."""
    return tranche.phase is Phase.VERIFIED and by == plan.payee


def disputable(plan: Plan, tranche: TrancheState, terms: TrancheTerms, by: str | None = None) -> Units:
    """What of a tranche's money `by` (nobody: the block) may dispute now: what is there and not disputed yet.

    Of a verified tranche the payer disputes what was certified, the payee what was not; of a released one either side
    what is retained; before that all that may still be certified. So disputes never lead to more than the tranche's
    amount, whatever was deposited.
    """
    if tranche.is_over:
        return tranche.retained
    verified = tranche.phase is Phase.VERIFIED and tranche.certified is not None
    certified = int(tranche.certified or 0) if verified else int(escrow.amount_of(tranche, terms))
    payable = max(certified - int(tranche.contested), 0)
    if not _lies_beyond(plan, tranche, by):
        return Units(min(int(tranche.free), payable))
    unused = min(int(tranche.free) - payable, int(terms.units) - certified - int(tranche.beyond))
    return Units(max(unused, 0))


def side_of(step: Step, payer: str, payee: str) -> str:
    """The signing side; where both sign one transaction, the one that made it."""
    return next(name for name in step.organisations if name in (payer, payee))


class _AboutTranche(Operation):
    """What an objection and a dispute state alike."""

    while_suspended = True

    plan: PlanId
    tranche: TrancheNumber
    currency: Currency
    units: Units
    reason: Code
    statement: Anchor | None = None

    def amount(self) -> tuple[str, Units]:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        plan = step.find(Plan, self.plan)
        return refuse(Status.NOT_FOUND, plan=self.plan) if plan is None else Signers.one(plan.payer, plan.payee)

    def check(self, step: Step) -> Refusal | None:
        plan = step.get(Plan, self.plan)
        refusal = check_tranche(plan, self.tranche)
        if refusal is not None:
            return refusal
        tranche, terms = plan.tranches[self.tranche - 1], version_of(step, plan).tranches[self.tranche - 1]
        return (
            self._check_window(step, plan, tranche)
            or self._check_amount(plan, disputable(plan, tranche, terms, side_of(step, plan.payer, plan.payee)))
            or check_dispute_of_wages(step, plan.currency, terms)
            or _check_room(step, plan, tranche)
        )

    def _check_window(self, step: Step, plan: Plan, tranche: TrancheState) -> Refusal | None:
        raise NotImplementedError(self.name)

    def _check_amount(self, plan: Plan, available: Units) -> Refusal | None:
        if self.currency != plan.currency:
            return refuse(Status.CURRENCY_MISMATCH, currency=plan.currency)
        if not self.units:
            return refuse(Status.AMOUNT_ZERO, field="units")
        if self.units > available:
            return refuse(Status.OVER_AVAILABLE, tranche=self.tranche, available=available, asked=self.units)
        return None

    def _open(self, step: Step, cause: str) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        yield from open_dispute(
            step,
            plan,
            version_of(step, plan),
            self.tranche,
            self.units,
            cause,
            by=side_of(step, plan.payer, plan.payee),
            reason=self.reason,
            statement=self.statement,
        )


def _check_room(step: Step, plan: Plan, tranche: TrancheState) -> Refusal | None:
    if len(tranche.certificates) >= MAX_DECIDED:
        return refuse(Status.TOO_MANY, plan=plan.id, certificates=len(tranche.certificates), limit=MAX_DECIDED)
    mine = side_of(step, plan.payer, plan.payee)
    if sum(step.get(Dispute, each).opened_by == mine for each in plan.disputes) >= MAX_OPEN:
        return refuse(Status.TOO_MANY, plan=plan.id, limit=MAX_OPEN)
    return None


def _check_long_stop(step: Step, plan: Plan) -> Refusal | None:
    """deadline_passed after the long stop, whose outcome is due."""
    if plan.long_stop_at is not None and step.now > plan.long_stop_at:
        return refuse(Status.DEADLINE_PASSED, plan=plan.id, long_stop_at=plan.long_stop_at)
    return None


def _check_objectionable(step: Step, tranche: TrancheState, number: int) -> Refusal | None:
    """deadline_passed once the objection window of a verified tranche is over: what nobody objected to is payable."""
    if tranche.object_until is not None and step.now <= tranche.object_until:
        return None
    return refuse(Status.DEADLINE_PASSED, tranche=number, object_until=tranche.object_until or "none")


class ObjectToRelease(_AboutTranche, tag="tranche.object"):
    """Object within the objection window to an amount of a verified tranche; it alone is frozen and disputed.

    Signed by the payer, who objects to what was certified, or by the payee, who objects that too little was. The rest
    is released when the window ends. Source: DOMAIN section 3, "Tranche" and "Dispute".
    """

    def _check_window(self, step: Step, plan: Plan, tranche: TrancheState) -> Refusal | None:
        if tranche.phase is Phase.RELEASED:
            return refuse(Status.ALREADY_RELEASED, plan=plan.id, tranche=self.tranche)
        if tranche.phase is not Phase.VERIFIED:
            return refuse(Status.WRONG_STATE, tranche=self.tranche, phase=tranche.phase.value)
        return _check_objectionable(step, tranche, self.tranche) or _check_long_stop(step, plan)

    def apply(self, step: Step) -> Iterator[Event]:
        yield from self._open(step, OBJECTION)


class OpenDispute(_AboutTranche, tag="dispute.open"):
    """Dispute an amount of the money that a tranche holds; it alone is frozen until it is settled or ruled on.

    Signed by the payer or the payee, at any time while the money is there: before it is verified, within the objection
    window, and what is retained after the release. Source: DOMAIN section 3, "Dispute".
    """

    def _check_window(self, step: Step, plan: Plan, tranche: TrancheState) -> Refusal | None:
        if tranche.phase is Phase.ENDED and not tranche.retained:
            return refuse(Status.WRONG_STATE, tranche=self.tranche, phase=tranche.phase.value)
        if tranche.phase is Phase.VERIFIED:
            return _check_objectionable(step, tranche, self.tranche) or _check_long_stop(step, plan)
        if not tranche.is_over and tranche.unmet_at is not None and step.now > tranche.unmet_at:
            return refuse(Status.DEADLINE_PASSED, tranche=self.tranche, unmet_at=tranche.unmet_at)
        if tranche.is_over and tranche.retained_until is not None and step.now >= tranche.retained_until:
            return refuse(Status.DEADLINE_PASSED, tranche=self.tranche, retained_until=tranche.retained_until)
        return _check_long_stop(step, plan)

    def apply(self, step: Step) -> Iterator[Event]:
        yield from self._open(step, "opened")


def find_dispute(step: Step, dispute_id: str) -> Dispute | Refusal:
    """The dispute, or not_found."""
    return step.find(Dispute, dispute_id) or refuse(Status.NOT_FOUND, dispute=dispute_id)


def check_dispute(step: Step, dispute: Dispute, currency: str) -> Refusal | None:
    """wrong_state unless it is open, deadline_passed after the long stop, currency_mismatch."""
    if not dispute.is_open:
        return refuse(Status.WRONG_STATE, dispute=dispute.id, state=dispute.state.value)
    refusal = _check_long_stop(step, step.get(Plan, dispute.plan))
    if refusal is None and currency != dispute.currency:
        return refuse(Status.CURRENCY_MISMATCH, currency=dispute.currency)
    return refusal


class OfferSettlement(Operation, tag="dispute.offer"):
    """Offer the other side to settle a dispute: what of the disputed amount goes to the payee, the rest goes back.

    Signed by the payer or the payee. A later offer of either side takes the place of the one before; none binds until
    the other side accepts it. Source: DOMAIN section 3, "Dispute".
    """

    while_suspended = True

    dispute: DisputeId
    currency: Currency
    to_payee: Units

    def amount(self) -> tuple[str, Units]:
        return self.currency, self.to_payee

    def authority(self, step: Step) -> Signers | Refusal:
        dispute = find_dispute(step, self.dispute)
        return dispute if isinstance(dispute, Refusal) else Signers.one(dispute.payer, dispute.payee)

    def check(self, step: Step) -> Refusal | None:
        dispute = step.get(Dispute, self.dispute)
        refusal = check_dispute(step, dispute, self.currency)
        if refusal is None and self.to_payee > dispute.units:
            return refuse(Status.OVER_DISPUTED, disputed=dispute.units, to_payee=self.to_payee)
        return refusal

    def apply(self, step: Step) -> Iterator[Event]:
        dispute = step.get(Dispute, self.dispute)
        offer = Offer(by=side_of(step, dispute.payer, dispute.payee), to_payee=self.to_payee, at=step.position)
        step.put(replace(dispute, offer=offer))
        yield OFFERED(
            dispute.id,
            (dispute.payer, dispute.payee),
            by=offer.by,
            to_payee=offer.to_payee,
            currency=dispute.currency,
        )


def go_to_arbitration(step: Step, record: Record) -> Iterator[Event]:
    """The negotiation window is over without a settlement (due work): the arbitrator may rule."""
    dispute = step.get(Dispute, record.id)
    step.put(replace(dispute, state=DisputeState.ARBITRATION, negotiate_until=None))
    yield IN_ARBITRATION(
        dispute.id,
        (dispute.payer, dispute.payee, dispute.arbitrator),
        units=dispute.units,
        currency=dispute.currency,
        arbitrator=dispute.arbitrator,
    )
