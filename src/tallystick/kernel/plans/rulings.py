"""How a dispute ends: an accepted offer, the arbitrator's ruling, or at the long stop the agreed default split.

Each is carried out in the step that decides it: the payee's part leaves escrow by the one way that money has to a
payee (`releasing.pay_payee`), the rest goes back to the payer. Source: DOMAIN section 3, "Dispute" and "Product".
"""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.arithmetic import divide
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Currency, DisputeId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.rules import present_party
from tallystick.kernel.plans import ending, escrow, releasing
from tallystick.kernel.plans.amending import lapse_amendment
from tallystick.kernel.plans.cases import Dispute, DisputeState
from tallystick.kernel.plans.disputes import check_dispute, find_dispute, side_of
from tallystick.kernel.plans.lookup import parties_of, version_of
from tallystick.kernel.plans.records import Phase, Plan, PlanState, PlanVersion
from tallystick.kernel.plans.sums import sums_of
from tallystick.wire.amounts import MAX_UNITS, ZERO, Units, fits
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status

ENDED = {
    DisputeState.SETTLED: EventKind(
        "dispute.settled", "{record} is settled: {to_payee} {currency} to the payee, {to_payer} {currency} back."
    ),
    DisputeState.RULED: EventKind(
        "dispute.ruled",
        "{arbitrator} ruled on {record}: {to_payee} {currency} to the payee, {to_payer} {currency} back.",
    ),
    DisputeState.BY_DEFAULT: EventKind(
        "dispute.divided",
        "Nobody ruled on {record} in time: {to_payee} {currency} to the payee, {to_payer} {currency} back, as agreed.",
    ),
    DisputeState.CLOSED: EventKind(
        "dispute.closed", "{record} ends, as its sides are one: {to_payer} {currency} go back."
    ),
}
PARTIES_ARE_ONE = "parties_are_one"
LONG_STOP = EventKind(
    "plan.long_stop", "The long-stop date of plan {record} has passed; {held} {currency} are divided."
)
LONG_STOP_WAITS = EventKind(
    "plan.long_stop_waits", "The money of plan {record} is frozen; its long stop is tried again after {until}."
)


class AcceptOffer(Operation, tag="dispute.accept_offer"):
    """Accept the other side's offer as it stands; the dispute is settled and the money moves at once.

    Signed by the side that did not make the offer; it states the amount for the payee, so that an offer changed in
    between is not accepted unseen. Possible until the arbitrator rules. Source: DOMAIN section 3, "Dispute".
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
        if refusal is not None:
            return refusal
        if dispute.offer is None or dispute.offer.by == side_of(step, dispute.payer, dispute.payee):
            return refuse(Status.WRONG_STATE, dispute=dispute.id, reason="the other side offers nothing")
        if self.to_payee != dispute.offer.to_payee:
            return refuse(Status.AMOUNT_DIFFERS, offered=dispute.offer.to_payee, stated=self.to_payee)
        return _check_not_frozen(step, dispute)

    def apply(self, step: Step) -> Iterator[Event]:
        dispute = step.get(Dispute, self.dispute)
        yield from _end(step, dispute, DisputeState.SETTLED, self.to_payee, "settlement")
        yield from _go_on(step, dispute)


class RuleOnDispute(Operation, tag="dispute.rule"):
    """Rule on a dispute: the whole disputed amount is divided between payee and payer, and moves at once.

    Signed by the arbitrator that the plan names, once the sides' time to settle is over and up to the long stop. One
    that a succession made a side, the platform or the custodian must recuse itself; the default split then decides.
    Source: DOMAIN section 3, "Dispute".
    """

    while_suspended = True

    dispute: DisputeId
    currency: Currency
    to_payee: Units
    to_payer: Units
    ruling: Anchor

    def amount(self) -> tuple[str, Units]:
        return self.currency, Units(min(int(self.to_payee) + int(self.to_payer), MAX_UNITS))

    def authority(self, step: Step) -> Signers | Refusal:
        dispute = find_dispute(step, self.dispute)
        return dispute if isinstance(dispute, Refusal) else Signers.all(dispute.arbitrator)

    def check(self, step: Step) -> Refusal | None:
        dispute = step.get(Dispute, self.dispute)
        refusal = check_dispute(step, dispute, self.currency)
        if refusal is not None:
            return refusal
        plan = step.get(Plan, dispute.plan)
        if dispute.arbitrator in (*parties_of(plan), present_party(step, plan.custodian)):
            return refuse(Status.MUST_RECUSE, organisation=dispute.arbitrator)
        if dispute.negotiate_until is not None and step.now <= dispute.negotiate_until:
            return refuse(Status.TOO_EARLY, dispute=dispute.id, negotiate_until=dispute.negotiate_until)
        divided = int(self.to_payee) + int(self.to_payer)
        if not fits(divided) or divided > dispute.units:
            return refuse(Status.OVER_DISPUTED, disputed=dispute.units, to_payee=self.to_payee, to_payer=self.to_payer)
        if divided < dispute.units:
            return refuse(Status.AMOUNT_DIFFERS, disputed=dispute.units, divided=Units(divided))
        return _check_not_frozen(step, dispute)

    def apply(self, step: Step) -> Iterator[Event]:
        dispute = step.get(Dispute, self.dispute)
        ruled = replace(dispute, ruling=self.ruling)
        yield from _end(step, ruled, DisputeState.RULED, self.to_payee, "ruling")
        yield from _go_on(step, dispute)


def _check_not_frozen(step: Step, dispute: Dispute) -> Refusal | None:
    """account_frozen while an authority's order bars the disputed amount from leaving escrow."""
    plan = step.get(Plan, dispute.plan)
    free = escrow.debitable(step, plan)
    needed = int(dispute.units) + int(plan.fee_reserve)  # out of which a paying payer's fee comes
    if free >= needed or free >= plan.held:
        return None
    return refuse(Status.ACCOUNT_FROZEN, plan=dispute.plan, free=free, needed=Units(needed))


def _end(step: Step, dispute: Dispute, state: DisputeState, to_payee: Units, cause: str) -> Iterator[Event]:
    """Carry out whose the disputed amount is: the rest to the payer, then `to_payee` by `cause`."""
    to_payer = dispute.units - to_payee
    step.put(replace(dispute, state=state, to_payee=to_payee, negotiate_until=None, ended=step.position))
    plan = step.get(Plan, dispute.plan)
    plan = replace(plan, disputes=tuple(each for each in plan.disputes if each != dispute.id))
    plan, back = escrow.refund(step, plan, dispute.tranche, to_payer, cause, disputed=True)
    tranche = plan.tranches[dispute.tranche - 1]
    plan = escrow.with_tranche(plan, dispute.tranche, replace(tranche, disputed=tranche.disputed - to_payee))
    step.put(plan)
    yield ENDED[state](
        dispute.id,
        (*parties_of(plan), dispute.arbitrator),
        arbitrator=dispute.arbitrator,
        to_payee=to_payee,
        to_payer=to_payer,
        currency=dispute.currency,
    )
    yield from back
    if to_payee:
        version = version_of(step, plan)
        yield from releasing.pay_payee(step, plan, version, dispute.tranche, to_payee, cause=cause, dispute=dispute.id)


def _go_on(step: Step, dispute: Dispute) -> Iterator[Event]:
    """What the end of a dispute makes possible: the rest of a verified tranche, the end of the tranche, of the plan."""
    plan = step.get(Plan, dispute.plan)
    version, number = version_of(step, plan), dispute.tranche
    tranche = plan.tranches[number - 1]
    if plan.state is PlanState.ACTIVE and tranche.phase is Phase.VERIFIED:
        yield from releasing.look(step, plan, version, number)
    elif plan.state is PlanState.ACTIVE and not tranche.is_over and _is_used_up(plan, version, number):
        yield from ending.end_tranche(step, plan, version, number, Phase.ENDED, "settled")
    yield from ending.settle(step, plan.id)


def _is_used_up(plan: Plan, version: PlanVersion, number: int) -> bool:
    """Whether all money of a tranche went through disputes, and none is still to come."""
    tranche = plan.tranches[number - 1]
    return not tranche.held and not escrow.missing_in(tranche, version.tranches[number - 1])


def long_stop(step: Step, plan: Plan, version: PlanVersion) -> Iterator[Event]:
    """The long-stop date has passed: everything is divided as the version says, and the plan ends.

    While an order freezes money of the plan nothing moves, and it is tried again day by day.
    """
    if escrow.debitable(step, plan) < plan.held:
        until = step.now.plus(DAY_MS)
        step.put(replace(plan, long_stop_at=until))
        yield LONG_STOP_WAITS(plan.id, parties_of(plan), until=until)
        return
    if _put_off(step, plan.id):
        return
    yield LONG_STOP(plan.id, (*parties_of(plan), plan.arbitrator), held=plan.held, currency=plan.currency)
    yield from wind_up(step, plan, version, "long_stop")


def wind_up(step: Step, plan: Plan, version: PlanVersion, reason: str) -> Iterator[Event]:
    """End a plan with all that is under way in it.

    Disputes are split; what was verified or is retained was earned and goes to the payee, all else back to the payer.
    Where payer and payee have become one, all of it is theirs, and nothing is released to earn anybody a fee. What
    would make too many rows for one block goes on in the next.
    """
    are_one = plan.payer == plan.payee
    step.put(replace(plan, long_stop_at=None))
    if plan.amendment is not None:
        yield from lapse_amendment(step, step.get(Plan, plan.id))
    for dispute_id in plan.disputes:
        if _put_off(step, plan.id):
            return
        dispute = step.get(Dispute, dispute_id)
        if are_one:
            yield from _end(step, dispute, DisputeState.CLOSED, ZERO, reason)
        else:
            yield from _split(step, dispute, int(version.terms.default_split))
    for number in range(1, len(plan.tranches) + 1):
        if _put_off(step, plan.id):
            return
        if not are_one:
            yield from _pay_earned(step, plan.id, version, number)
        yield from _give_back(step, plan.id, version, number, reason)
    yield from ending.settle(step, plan.id)


def _put_off(step: Step, plan_id: str) -> bool:
    """Whether the rest is left to the next block, as enough rows were written in this step."""
    if step.written <= releasing.WRITES:
        return False
    step.put(replace(step.get(Plan, plan_id), long_stop_at=step.now))
    return True


def _split(step: Step, dispute: Dispute, percent: int) -> Iterator[Event]:
    """Divide a disputed amount as agreed, `percent` of it to the payee, who is first where a unit is left over."""
    to_payee, _ = divide(dispute.units, (Units(percent), Units(100 - percent)))
    yield from _end(step, dispute, DisputeState.BY_DEFAULT, to_payee, "default_split")


def _pay_earned(step: Step, plan_id: str, version: PlanVersion, number: int) -> Iterator[Event]:
    """What was verified is released, as nobody can object any more, and what is retained before its day.

    Of a tranche whose deposit was reversed after its verification the payee gets what is there.
    """
    plan = step.get(Plan, plan_id)
    tranche = plan.tranches[number - 1]
    if tranche.phase is Phase.VERIFIED:
        ended = replace(tranche, object_until=Instant(int(step.now) - 1))
        step.put(escrow.with_tranche(plan, number, ended))
        yield from releasing.look(step, step.get(Plan, plan_id), version, number)
        plan = step.get(Plan, plan_id)
        tranche = plan.tranches[number - 1]
    if tranche.phase is Phase.VERIFIED and not version.tranches[number - 1].wages:
        there = Units(min(int(sums_of(plan, version, number, step.now).paid), int(tranche.free)))
        if there:
            yield from releasing.pay_payee(step, plan, version, number, there, cause="long_stop")
    elif tranche.retained:
        freed = replace(tranche, retained=ZERO, retained_until=None)
        plan = escrow.with_tranche(plan, number, freed)
        yield from releasing.pay_payee(step, plan, version, number, tranche.retained, cause="retention")


def _give_back(step: Step, plan_id: str, version: PlanVersion, number: int, reason: str) -> Iterator[Event]:
    """What was not earned, and of sides that became one all, goes back to the payer."""
    plan = step.get(Plan, plan_id)
    tranche = plan.tranches[number - 1]
    if tranche.retained:
        plan = escrow.with_tranche(plan, number, replace(tranche, retained=ZERO, retained_until=None))
    if not tranche.is_over:
        yield from ending.end_tranche(step, plan, version, number, Phase.ENDED, reason)
    elif tranche.retained:
        plan, back = escrow.refund(step, plan, number, tranche.retained, reason)
        step.put(plan)
        yield from back
