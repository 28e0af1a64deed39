"""Amendments: a new version of a plan that both sides sign. What was released, or is under way, it leaves alone.

The payer states the whole new list of tranches. Each keeps its number and new ones follow; one is dropped by stating
its amounts as zero, so that every sum over a version stays right and no number changes its meaning. Surplus money goes
back to the payer, missing money is asked for by the new dates. A tranche that is not changed keeps its instants.
"""

from collections.abc import Iterator
from typing import ClassVar

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Code, Currency, Hash, PlanId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.membership.rules import check_solvent
from tallystick.kernel.plans import ending, escrow
from tallystick.kernel.plans.against_product import check_against
from tallystick.kernel.plans.days import instants_for, next_wake, opens_of
from tallystick.kernel.plans.lookup import check_active, parties_of, version_of
from tallystick.kernel.plans.proposing import (
    anchored_version,
    check_open,
    check_terms,
    judge,
    terms_hash,
    total_of,
)
from tallystick.kernel.plans.records import (
    Amendment,
    Phase,
    Plan,
    PlanVersion,
    Tranches,
    TrancheState,
    TrancheTerms,
    named_in,
)
from tallystick.kernel.plans.soundness import check_sums, check_tranche, check_whole, is_dropped
from tallystick.kernel.products.commitments import commit
from tallystick.kernel.products.records import Product
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status

OFFERED = EventKind(
    "plan.amendment_proposed",
    "{payer} proposes to amend plan {record} to {total} {currency} in {tranches} tranches; {payee} answers by"
    " {deadline}.",
)
AMENDED = EventKind(
    "plan.amended", "Plan {record} was amended to {total} {currency}; it stands on the ledger as {version}."
)
DECLINED = EventKind("plan.amendment_declined", "The amendment of plan {record} was declined by {by}: {reason}.")
LAPSED = EventKind(
    "plan.amendment_lapsed", "The amendment of plan {record} was not answered in time; it goes on as is."
)


class AmendPlan(Operation, tag="plan.amend"):
    """Propose a new version of an active plan: the whole list of its tranches, old ones under their numbers.

    Signed by the payer. Amounts of zero drop a tranche. Never below what was released, is disputed or retained; what is
    under verification keeps its condition, and what is over stays as it was (amendment_takes_back). `total` is the most
    that all tranches release together. It takes the place of an amendment that is not answered yet.
    """

    plan: PlanId
    currency: Currency
    total: Units
    tranches: Tranches

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.total

    def authority(self, step: Step) -> Signers | Refusal:
        plan = step.find(Plan, self.plan)
        if plan is None:
            return refuse(Status.NOT_FOUND, plan=self.plan)
        return Signers.all(plan.payer)

    def check(self, step: Step) -> Refusal | None:
        plan = step.get(Plan, self.plan)
        return check_active(plan) or _check_amendment(step, plan, self.tranches, self.currency, self.total)

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        deadline = step.now.plus(policies(step).amendment_days * DAY_MS)
        offered = Amendment(tranches=self.tranches, proposed=step.position, deadline=deadline)
        step.put(replace(plan, amendment=offered))
        yield OFFERED(
            plan.id,
            parties_of(plan),
            payer=plan.payer,
            payee=plan.payee,
            total=self.total,
            currency=plan.currency,
            tranches=len(self.tranches),
            terms=terms_hash(self.tranches),
            deadline=deadline,
        )


def _check_amendment(step: Step, plan: Plan, tranches: Tranches, currency: str, stated: Units) -> Refusal | None:
    """Product open, sums, nothing taken back, every changed tranche sound, all of it within the product."""
    product = step.get(Product, plan.product)
    before = version_of(step, plan).tranches
    refusal = check_open(product) or check_solvent(step, plan.payer)
    refusal = refusal or check_sums(step, product, tranches, currency, stated, len(before))
    if refusal is not None:
        return refusal
    lacking = tuple(escrow.missing_in(*pair) for pair in zip(plan.tranches, before, strict=True))
    plan = _restated(plan, before, tranches)
    refusal = _check_changes(plan, before, tranches)
    if refusal is not None:
        return refusal
    for number, terms in enumerate(tranches, 1):
        had = before[number - 1] if number <= len(before) else None
        if terms == had or (had is not None and is_dropped(terms)):
            continue
        refusal = check_tranche(step, product, tranches, number, had)
        if refusal is None and had is not None and terms.fund_by_on < step.today:
            refusal = _check_asks_no_more(step, plan, number, terms, lacking[number - 1])
        if refusal is not None:
            return refusal
    judged = judge(step, product)
    refusal = check_whole(product, tranches) or (judged if isinstance(judged, Refusal) else None)
    if refusal is not None:
        return refusal
    counts = _counts_for(plan, tranches)
    asked = counts - plan.committed if counts > plan.committed else ZERO
    return check_against(product, tranches, asked) or _check_escrow(step, plan, tranches)


def _check_changes(plan: Plan, before: Tranches, tranches: Tranches) -> Refusal | None:
    """bad_value where a number would be lost or nothing is changed, amendment_takes_back."""
    if len(tranches) < len(before):
        return refuse(Status.BAD_VALUE, field="tranches", least=len(before))
    if tranches == before:
        return refuse(Status.BAD_VALUE, field="tranches", reason="nothing is changed")
    if all(is_dropped(terms) for terms in tranches):
        return refuse(Status.AMOUNT_ZERO, field="total")
    for number, (tranche, had, terms) in enumerate(zip(plan.tranches, before, tranches, strict=False), 1):
        refusal = None if terms == had else _check_change(number, tranche, had, terms)
        if refusal is not None:
            return refusal
    return None


def _check_change(number: int, tranche: TrancheState, had: TrancheTerms, terms: TrancheTerms) -> Refusal | None:
    """What is over stays; evidence under way is judged by what was asked; no amount goes below what is spoken for."""
    if tranche.is_over or (tranche.phase is not Phase.WAITING and not _keeps_verification(had, terms)):
        return refuse(Status.AMENDMENT_TAKES_BACK, tranche=number, phase=tranche.phase.value)
    least = _spoken_for(tranche)
    if terms.units < least:
        return refuse(Status.AMENDMENT_TAKES_BACK, tranche=number, least=least)
    if is_dropped(terms) and terms != replace(had, units=ZERO, fund_units=ZERO):
        return refuse(Status.BAD_VALUE, tranche=number, reason="a dropped tranche is otherwise stated as it was")
    return None


def _keeps_verification(had: TrancheTerms, terms: TrancheTerms) -> bool:
    """Whether only the end of the release window, what follows it, and where unused money goes are new."""
    return terms == replace(
        had,
        release_until_on=terms.release_until_on,
        if_unmet=terms.if_unmet,
        extend_days=terms.extend_days,
        unused=terms.unused,
    )


def _spoken_for(tranche: TrancheState) -> Units:
    """What an amendment leaves alone: released, fees on it, disputed, retained, and given back for good."""
    for_good = tranche.refunded - tranche.given_back
    return tranche.released + tranche.fees + tranche.disputed + tranche.retained + for_good


def _check_asks_no_more(step: Step, plan: Plan, number: int, terms: TrancheTerms, lacking: Units) -> Refusal | None:
    """bad_dates where more money than it lacked is asked for by a day that has passed."""
    if escrow.missing_in(plan.tranches[number - 1], terms) <= lacking:
        return None
    return refuse(Status.BAD_DATES, tranche=number, field="fund_by_on", today=step.today)


def _restated(plan: Plan, before: Tranches, tranches: Tranches) -> Plan:
    """`plan` as its sums are to be read once a tranche's amounts are new.

    What the payee agreed to give back of a deposit beyond the amount did not lower the amount. Where there is another
    such surplus, or none, it must not come to do so: it counts as what an amendment gave back.
    """
    pairs = zip(plan.tranches, before, tranches, strict=False)
    restated = tuple(
        tranche if (had.units, had.fund_units) == (terms.units, terms.fund_units) else _without_surplus(tranche, had)
        for tranche, had, terms in pairs
    )
    return replace(plan, tranches=restated)


def _without_surplus(tranche: TrancheState, had: TrancheTerms) -> TrancheState:
    surplus = Units(min(int(tranche.consented), int(had.fund_units) - int(had.units)))
    if not surplus:
        return tranche
    return replace(tranche, consented=tranche.consented - surplus, given_back=tranche.given_back + surplus)


def _counts_for(plan: Plan, tranches: Tranches) -> Units:
    """What the amended plan would count for at its product."""
    fresh = (TrancheState(),) * (len(tranches) - len(plan.tranches))
    pairs = zip((*plan.tranches, *fresh), tranches, strict=True)
    return Units(sum(ending.tranche_counts_for(tranche, terms) for tranche, terms in pairs))


def _surplus(tranche: TrancheState, terms: TrancheTerms) -> Units:
    """What came for a tranche beyond what its terms now ask to be deposited."""
    came = tranche.deposited - tranche.reversed - tranche.given_back
    return came - terms.fund_units if not tranche.is_over and came > terms.fund_units else ZERO


def _check_escrow(step: Step, plan: Plan, tranches: Tranches) -> Refusal | None:
    """account_frozen where an authority's order bars what would go back from leaving."""
    surplus = sum(_surplus(tranche, terms) for tranche, terms in zip(plan.tranches, tranches, strict=False))
    return escrow.check_debitable(step, plan, Units(surplus))


class ConfirmAmendment(Operation, tag="plan.confirm_amendment"):
    """Confirm an amendment: the new version stands, and surplus money goes back to the payer.

    Signed by the payee, over the hash of the new tranches' terms and their total; also while it is suspended.
    """

    while_suspended: ClassVar[bool] = True

    plan: PlanId
    currency: Currency
    total: Units
    terms: Hash

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.total

    def authority(self, step: Step) -> Signers | Refusal:
        plan = step.find(Plan, self.plan)
        if plan is None:
            return refuse(Status.NOT_FOUND, plan=self.plan)
        return Signers.all(plan.payee)

    def check(self, step: Step) -> Refusal | None:
        plan = step.get(Plan, self.plan)
        refusal = _check_offered(step, plan)
        if refusal is not None or plan.amendment is None:
            return refusal
        tranches = plan.amendment.tranches
        return check_terms(tranches, self.terms) or _check_amendment(step, plan, tranches, self.currency, self.total)

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        if plan.amendment is None:
            raise InvariantViolation(f"the amendment of {plan.id} is gone since its check")
        before, tranches = version_of(step, plan), plan.amendment.tranches
        plan = _restated(plan, before.tranches, tranches)
        terms = replace(  # a successor may have taken a party's place
            before.terms, payer=plan.payer, payee=plan.payee, platform=plan.platform, arbitrator=plan.arbitrator
        )
        version = anchored_version(step, plan, terms, tranches, before.opens)
        step.put(version)
        counts = _counts_for(plan, version.tranches)
        if counts > plan.committed:
            commit(step, plan.product, counts - plan.committed, plans=0)
        amended = replace(
            plan,
            version=version.version,
            amendment=None,
            tranches=_amended(step, plan, before.tranches, version),
            named=_named(plan, before, version),
            committed=Units(max(counts, plan.committed)),
        )
        amended, giving_back = _give_back_surplus(step, amended, version)
        step.put(amended)
        yield AMENDED(
            plan.id,
            (*parties_of(plan), plan.custodian, plan.arbitrator, *plan.named, *amended.named),
            version=version.key,
            total=total_of(version.tranches),
            currency=plan.currency,
            tranches=len(version.tranches),
            terms=self.terms,
        )
        for events in giving_back:
            yield from events
        for number, tranche in enumerate(amended.tranches, 1):
            if is_dropped(version.tranches[number - 1]) and not tranche.is_over:
                now = step.get(Plan, plan.id)
                yield from ending.end_tranche(step, now, version, number, Phase.ENDED, "amended")
        yield from ending.settle(step, plan.id)


def _named(plan: Plan, before: PlanVersion, version: PlanVersion) -> tuple[str, ...]:
    """Verifiers and data sources of the new version, without those whose office has ended since they were named."""
    had = named_in(before.tranches, plan.payer, plan.platform)
    named = named_in(version.tranches, plan.payer, plan.platform)
    return tuple(name for name in named if name in plan.named or name not in had)


def _check_offered(step: Step, plan: Plan) -> Refusal | None:
    """Whether an amendment waits for an answer."""
    refusal = check_active(plan)
    if refusal is not None:
        return refusal
    if plan.amendment is None:
        return refuse(Status.NOT_FOUND, plan=plan.id, field="amendment")
    if step.now > plan.amendment.deadline:
        return refuse(Status.DEADLINE_PASSED, plan=plan.id, deadline=plan.amendment.deadline)
    return None


def _amended(step: Step, plan: Plan, before: Tranches, version: PlanVersion) -> tuple[TrancheState, ...]:
    known = len(before)
    kept = (
        tranche if terms == had or is_dropped(terms) else _changed(step, tranche, had, terms, version)
        for tranche, had, terms in zip(plan.tranches, before, version.tranches[:known], strict=True)
    )
    return (*kept, *(_added(step, terms, version) for terms in version.tranches[known:]))


def _added(step: Step, terms: TrancheTerms, version: PlanVersion) -> TrancheState:
    """A new tranche; it has the plan's days of grace, whatever the policies give by now."""
    fresh = instants_for(step, terms, TrancheState(), version.terms.funding_grace_days)
    if isinstance(fresh, Refusal):
        raise InvariantViolation(f"{fresh.status.label} after the check had passed")
    return _woken(fresh, terms, version)


def _woken(tranche: TrancheState, terms: TrancheTerms, version: PlanVersion) -> TrancheState:
    """When to look at it by the days of the version, of which some were fixed by the versions before."""
    opens = tranche.release_at
    return replace(tranche, wake_at=None if opens is None else next_wake(terms, opens_of(version), opens))


def _changed(
    step: Step, tranche: TrancheState, had: TrancheTerms, terms: TrancheTerms, version: PlanVersion
) -> TrancheState:
    """A tranche on its new terms, with what became of it so far.

    Days that stay the same keep their instants, whatever holidays were declared since: an extended window stays
    extended, an overdue deposit overdue. Under verification only the end of the release window can be new, and what
    came within it is still answered in its own time.
    """
    new = instants_for(step, terms, tranche, version.terms.funding_grace_days)
    if isinstance(new, Refusal):
        raise InvariantViolation(f"{new.status.label} after the check had passed")
    if terms.release_until_on == had.release_until_on:
        new = replace(new, unmet_at=tranche.unmet_at)
    else:
        new = replace(new, extended=0)
    if tranche.phase is not Phase.WAITING:
        ends = [at for at in (new.unmet_at, tranche.answer_by) if at is not None]
        return replace(tranche, unmet_at=max(ends, default=None), extended=new.extended)
    if terms.release_from_on == had.release_from_on:
        new = replace(new, release_at=tranche.release_at)
    if terms.retention is not None and had.retention is not None and terms.retention.until_on == had.retention.until_on:
        new = replace(new, retained_until=tranche.retained_until)
    new = _woken(new, terms, version)
    waits = new.fund_until is not None
    if waits and tranche.fund_until is not None and terms.fund_by_on == had.fund_by_on:
        return replace(new, fund_until=tranche.fund_until)
    return replace(new, overdue=False)


def _give_back_surplus(step: Step, plan: Plan, version: PlanVersion) -> tuple[Plan, list[Iterator[Event]]]:
    """`plan` without what its tranches no longer ask for; the events post the money when they are drawn."""
    giving_back = []
    for number, terms in enumerate(version.tranches, 1):
        surplus = ZERO if is_dropped(terms) else _surplus(plan.tranches[number - 1], terms)
        if surplus:
            plan, events = escrow.refund(step, plan, number, surplus, "amended")
            tranche = plan.tranches[number - 1]
            counted = replace(tranche, given_back=tranche.given_back + surplus)
            plan = escrow.with_tranche(plan, number, counted)
            giving_back.append(events)
    return plan, giving_back


class DeclineAmendment(Operation, tag="plan.decline_amendment"):
    """Decline an amendment, or take it back; the plan goes on as it is.

    Signed by the payee, or by the payer who proposed it, with a reason's code; also while suspended.
    """

    while_suspended: ClassVar[bool] = True

    plan: PlanId
    reason: Code

    def authority(self, step: Step) -> Signers | Refusal:
        plan = step.find(Plan, self.plan)
        if plan is None:
            return refuse(Status.NOT_FOUND, plan=self.plan)
        return Signers.one(plan.payee, plan.payer)

    def check(self, step: Step) -> Refusal | None:
        return _check_offered(step, step.get(Plan, self.plan))

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        by = next(name for name in step.organisations if name in (plan.payee, plan.payer))
        step.put(replace(plan, amendment=None))
        yield DECLINED(plan.id, parties_of(plan), by=by, reason=self.reason)


def lapse_amendment(step: Step, plan: Plan) -> Iterator[Event]:
    """The payee did not answer in time: the plan goes on as it is (due work)."""
    step.put(replace(plan, amendment=None))
    yield LAPSED(plan.id, parties_of(plan))
