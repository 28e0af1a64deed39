"""From the payer's proposal over the platform's check to the payee's confirmation, which writes the plan whole.

proposed -> sent | sent_back -> proposed again; sent -> confirmed | declined; withdrawn by the payer, or expired, before
it is confirmed. The platform and the payee sign the hash of the very terms that they saw. Source: DOMAIN section 3,
"Plan".
"""

import hashlib
from collections.abc import Iterator
from enum import Enum
from typing import Annotated, ClassVar

from msgspec import Meta
from msgspec.structs import replace

from tallystick.kernel.core import codec
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Code, Currency, Hash, PlanId, ProductId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.law.records import Judgement
from tallystick.kernel.membership.rules import check_party, check_solvent
from tallystick.kernel.plans.against_product import check_against, failing_fields
from tallystick.kernel.plans.days import fresh, long_stop_of, opened_days
from tallystick.kernel.plans.lookup import parties_of
from tallystick.kernel.plans.records import (
    PENDING_PLANS,
    DayOpens,
    Failing,
    Plan,
    PlanState,
    PlanTerms,
    PlanVersion,
    Tranches,
    TrancheState,
    TrancheTerms,
    named_in,
)
from tallystick.kernel.plans.soundness import check_sums, check_tranche, check_whole
from tallystick.kernel.products.commitments import commit
from tallystick.kernel.products.records import Product
from tallystick.kernel.wages import rules as wages
from tallystick.wire.amounts import Units, total
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status

MAX_FAILING = 100  # that the platform names, and that the kernel keeps of its own

PROPOSED = EventKind(
    "plan.proposed",
    "{payer} proposes a plan of {total} {currency} in {tranches} tranches under product {product};"
    " the platform checks it by {deadline}.",
)
SENT = EventKind(
    "plan.sent", "Plan {record} of {total} {currency} keeps within its product; {payee} confirms it by {deadline}."
)
SENT_BACK = EventKind(
    "plan.sent_back", "Plan {record} was sent back; {failing} fields fail: {fields}. Propose it again by {deadline}."
)
ANCHORED = EventKind(
    "plan.anchored", "Plan {record} of {total} {currency} is confirmed and stands on the ledger as {version}."
)
DECLINED = EventKind("plan.declined", "The payee declined plan {record}: {reason}.")
WITHDRAWN = EventKind("plan.withdrawn", "The payer withdrew plan {record} before it was confirmed.")
EXPIRED = EventKind("plan.expired", "Plan {record} was not confirmed in time ({state}).")


def terms_hash(tranches: tuple[TrancheTerms, ...]) -> str:
    """SHA-256 of the tranches' canonical bytes: what platform and payee sign, so that it is what they saw."""
    return hashlib.sha256(codec.encode(tranches)).hexdigest()


def total_of(tranches: tuple[TrancheTerms, ...]) -> Units:
    """The most that the tranches may release together; what a live plan takes of its product's cap."""
    return total([terms.units for terms in tranches])


def check_terms(tranches: tuple[TrancheTerms, ...], stated: str) -> Refusal | None:
    """plan_differs unless `stated` is the hash of what stands proposed."""
    found = terms_hash(tranches)
    return None if stated == found else refuse(Status.PLAN_DIFFERS, terms=found)


class ProposePlan(Operation, tag="plan.propose"):
    """Propose a release plan under an open product; the platform is asked to check it.

    Signed by the payer. Each tranche says when and how much the payer deposits, what is released from when on, what
    must hold before that, which materials it needs, and what silence or an unmet condition leads to. `total` is the
    most that all tranches release together. Named with `plan`, it is a better proposal for one that was sent back.
    Refused at once where a tranche is not sound in itself, with its number and field.
    """

    product: ProductId
    currency: Currency
    total: Units
    tranches: Tranches
    plan: PlanId | None = None

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.total

    def authority(self, step: Step) -> Signers | Refusal:
        product = step.find(Product, self.product)
        if product is None:
            return refuse(Status.NOT_FOUND, product=self.product)
        return Signers.all(product.payer)

    def check(self, step: Step) -> Refusal | None:
        product = step.get(Product, self.product)
        return self._check_again(step) or check_open(product) or _check_whole(step, product, self)

    def _check_again(self, step: Step) -> Refusal | None:
        """A plan that is proposed again was sent back, belongs to the product, and is in time."""
        if self.plan is None:
            return None
        plan = step.find(Plan, self.plan)
        if plan is None:
            return refuse(Status.NOT_FOUND, plan=self.plan)
        if plan.product != self.product:
            return refuse(Status.BAD_VALUE, field="product", product=plan.product)
        return _check_waits(step, plan, PlanState.SENT_BACK)

    def apply(self, step: Step) -> Iterator[Event]:
        product = step.get(Product, self.product)
        before = None if self.plan is None else step.get(Plan, self.plan)
        deadline = step.now.plus(policies(step).plan_check_days * DAY_MS)
        plan = Plan(
            id=step.new_id("pln") if before is None else before.id,
            product=product.id,
            payer=product.payer,
            payee=product.payee,
            platform=product.platform,
            custodian=product.terms.custodian,
            arbitrator=product.terms.arbitrator,
            currency=product.terms.currency,
            state=PlanState.PROPOSED,
            proposed=step.position,
            draft=self.tranches,
            deadline=deadline,
            proposals=1 if before is None else before.proposals + 1,
            named=named_in(self.tranches, product.payer, product.platform),
        )
        step.put(plan)
        yield PROPOSED(
            plan.id,
            (plan.payer, plan.platform),
            payer=plan.payer,
            product=product.id,
            total=self.total,
            currency=self.currency,
            tranches=len(self.tranches),
            terms=terms_hash(self.tranches),
            deadline=deadline,
        )


def check_open(product: Product) -> Refusal | None:
    """wrong_state unless the product is open: a suspended one takes no new plan and no amendment."""
    if product.takes_plans:
        return None
    return refuse(Status.WRONG_STATE, product=product.id, state=product.state.value)


def _check_whole(step: Step, product: Product, stated: "ProposePlan | ConfirmPlan") -> Refusal | None:
    """Parties, sums, then each tranche, then the people named in all, then the law of wages."""
    tranches = stated.tranches if isinstance(stated, ProposePlan) else step.get(Plan, stated.plan).draft
    refusal = (
        check_party(step, product.payer)
        or check_party(step, product.payee)
        or check_party(step, product.platform)
        or check_solvent(step, product.payer)
        or check_sums(step, product, tranches, stated.currency, stated.total)
    )
    if refusal is not None:
        return refusal
    for number in range(1, len(tranches) + 1):
        refusal = check_tranche(step, product, tranches, number)
        if refusal is not None:
            return refusal
    judged = judge(step, product)
    return check_whole(product, tranches) or (judged if isinstance(judged, Refusal) else None)


def judge(step: Step, product: Product) -> Judgement | Refusal | None:
    """What the law of wage accounts says of a plan under the product; None where it is not about wages."""
    return None if product.terms.wages is None else wages.judge(step, product.terms.currency)


def _check_waits(step: Step, plan: Plan, state: PlanState) -> Refusal | None:
    """wrong_state, deadline_passed."""
    if plan.state is not state:
        return refuse(Status.WRONG_STATE, plan=plan.id, state=plan.state.value)
    if plan.deadline is None or step.now > plan.deadline:
        return refuse(Status.DEADLINE_PASSED, plan=plan.id, deadline=plan.deadline)
    return None


class CheckResult(Enum):
    """What the platform's check of a plan leads to."""

    SEND = "send"
    SEND_BACK = "send_back"


class CheckPlan(Operation, tag="plan.check"):
    """Check a proposed plan against its product: send it to the payee, or back to the payer with the failing fields.

    Signed by the platform, over the hash of the terms it checked. Sending is refused (over_product) while a field
    fails; sent back, the fields that the ledger finds failing are stored with those that the platform names.
    """

    plan: PlanId
    terms: Hash
    result: CheckResult
    failing: Annotated[tuple[Failing, ...], Meta(max_length=MAX_FAILING)] = ()

    def authority(self, step: Step) -> Signers | Refusal:
        plan = step.find(Plan, self.plan)
        if plan is None:
            return refuse(Status.NOT_FOUND, plan=self.plan)
        return Signers.all(plan.platform)

    def check(self, step: Step) -> Refusal | None:
        plan = step.get(Plan, self.plan)
        refusal = _check_waits(step, plan, PlanState.PROPOSED) or check_terms(plan.draft, self.terms)
        if refusal is not None:
            return refusal
        product = step.get(Product, plan.product)
        if self.result is CheckResult.SEND:
            if self.failing:
                return refuse(Status.BAD_VALUE, field="failing", reason="what fails is sent back")
            return check_against(product, plan.draft)
        for each in self.failing:
            if each.tranche > len(plan.draft):
                return refuse(Status.BAD_VALUE, field="failing", tranche=each.tranche)
        if not self.failing and not failing_fields(product, plan.draft):
            return refuse(Status.BAD_VALUE, field="failing", reason="no field fails")
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        in_force = policies(step)
        if self.result is CheckResult.SEND:
            deadline = step.now.plus(in_force.plan_confirm_days * DAY_MS)
            step.put(replace(plan, state=PlanState.SENT, deadline=deadline))
            yield SENT(
                plan.id,
                parties_of(plan),
                payee=plan.payee,
                total=total_of(plan.draft),
                currency=plan.currency,
                terms=self.terms,
                deadline=deadline,
            )
            return
        deadline = step.now.plus(in_force.repropose_days * DAY_MS)
        found = failing_fields(step.get(Product, plan.product), plan.draft)[:MAX_FAILING]
        failing = (*found, *(each for each in self.failing if each not in found))
        step.put(replace(plan, state=PlanState.SENT_BACK, failing=failing, deadline=deadline))
        first = "; ".join(f"{each.tranche} {each.field} {each.reason}" for each in failing[:20])
        yield SENT_BACK(plan.id, (plan.payer, plan.platform), failing=len(failing), fields=first, deadline=deadline)


class ConfirmPlan(Operation, tag="plan.confirm"):
    """Confirm a plan: it is written to the ledger whole, immutable, as version 1, and money may come in for it.

    Signed by the payee, over the hash of the tranches' terms and their total, so that what is signed is what is seen.
    The product must still be open and allow every field on that day.
    """

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
        product = step.get(Product, plan.product)
        return (
            _check_waits(step, plan, PlanState.SENT)
            or check_terms(plan.draft, self.terms)
            or check_open(product)
            or _check_whole(step, product, self)
            or check_against(product, plan.draft)
        )

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        product = step.get(Product, plan.product)
        version = anchored_version(step, plan, terms_of(step, product), plan.draft)
        step.put(version)
        step.put(
            replace(
                plan,
                state=PlanState.ACTIVE,
                draft=(),
                failing=(),
                deadline=None,
                version=1,
                committed=self.total,
                tranches=tuple(fresh_tranche(step, number, terms) for number, terms in enumerate(version.tranches, 1)),
                long_stop_at=long_stop_of(step, version.terms.long_stop_on),
            )
        )
        commit(step, product.id, self.total)
        yield anchored(plan, version)


def terms_of(step: Step, product: Product) -> PlanTerms:
    """What a plan takes over from its product, and from the policies of the day, for good."""
    terms, in_force = product.terms, policies(step)
    return PlanTerms(
        product=product.id,
        payer=product.payer,
        payee=product.payee,
        platform=product.platform,
        custodian=terms.custodian,
        refund_account=terms.refund_account,
        currency=terms.currency,
        objection_days=terms.objection_days,
        answer_days=terms.answer_days,
        arbitrator=terms.arbitrator,
        fee=terms.fee,
        long_stop_on=terms.long_stop_on,
        default_split=terms.default_split,
        funding_grace_days=in_force.funding_grace_days,
        evidence_rounds=in_force.evidence_rounds,
        extensions=in_force.extensions,
        negotiation_days=in_force.negotiation_days,
    )


def anchored_version(
    step: Step, plan: Plan, terms: PlanTerms, tranches: Tranches, known: tuple[DayOpens, ...] = ()
) -> PlanVersion:
    """The next version of `plan`; `known` are the days that the version before has fixed."""
    opens = opened_days(step, tranches, known)
    judged = judge(step, step.get(Product, plan.product))
    if isinstance(opens, Refusal) or isinstance(judged, Refusal):
        raise InvariantViolation(f"{plan.id} is refused after its check had passed")
    number = plan.version + 1
    return PlanVersion(
        id=f"{plan.id}/{number}",
        plan=plan.id,
        version=number,
        terms=terms,
        tranches=tranches,
        confirmed=step.position,
        opens=opens,
        judged=judged,
    )


def fresh_tranche(step: Step, number: int, terms: TrancheTerms) -> TrancheState:
    """A tranche for which nothing has come yet."""
    state = fresh(step, number, terms)
    if isinstance(state, Refusal):
        raise InvariantViolation(f"{state.status.label} after the check had passed")
    return state


def anchored(plan: Plan, version: PlanVersion) -> Event:
    """All who are named in the version are told that it stands, and under which row."""
    named = named_in(version.tranches, plan.payer, plan.platform)
    return ANCHORED(
        plan.id,
        (*parties_of(plan), plan.custodian, plan.arbitrator, *named),
        version=version.key,
        total=total_of(version.tranches),
        currency=plan.currency,
        tranches=len(version.tranches),
        terms=terms_hash(version.tranches),
    )


class DeclinePlan(Operation, tag="plan.decline"):
    """Decline a plan that was sent for confirmation; it ends.

    Signed by the payee, with a reason's code; also while it is suspended.
    """

    while_suspended: ClassVar[bool] = True

    plan: PlanId
    reason: Code

    def authority(self, step: Step) -> Signers | Refusal:
        plan = step.find(Plan, self.plan)
        if plan is None:
            return refuse(Status.NOT_FOUND, plan=self.plan)
        return Signers.all(plan.payee)

    def check(self, step: Step) -> Refusal | None:
        return _check_waits(step, step.get(Plan, self.plan), PlanState.SENT)

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        _end(step, plan, PlanState.DECLINED)
        yield DECLINED(plan.id, parties_of(plan), reason=self.reason)


class WithdrawPlan(Operation, tag="plan.withdraw"):
    """Withdraw a plan that is not confirmed yet; it ends.

    Signed by the payer; also while it is suspended.
    """

    while_suspended: ClassVar[bool] = True

    plan: PlanId

    def authority(self, step: Step) -> Signers | Refusal:
        plan = step.find(Plan, self.plan)
        if plan is None:
            return refuse(Status.NOT_FOUND, plan=self.plan)
        return Signers.all(plan.payer)

    def check(self, step: Step) -> Refusal | None:
        plan = step.get(Plan, self.plan)
        if plan.state not in PENDING_PLANS:
            return refuse(Status.WRONG_STATE, plan=plan.id, state=plan.state.value)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        yield from withdraw_proposal(step, step.get(Plan, self.plan))


def withdraw_proposal(step: Step, plan: Plan) -> Iterator[Event]:
    """End a plan that nobody is bound by yet; those who have seen it are told."""
    _end(step, plan, PlanState.WITHDRAWN)
    yield WITHDRAWN(plan.id, _seen_by(plan))


def expire_proposal(step: Step, plan: Plan) -> Iterator[Event]:
    """The platform did not check, the payer not propose again, or the payee not answer in time (due work)."""
    _end(step, plan, PlanState.EXPIRED)
    yield EXPIRED(plan.id, _seen_by(plan), state=plan.state.value)


def _seen_by(plan: Plan) -> tuple[str, ...]:
    """The payee learns of a plan only when it is sent to it."""
    return parties_of(plan) if plan.state is PlanState.SENT else (plan.payer, plan.platform)


def _end(step: Step, plan: Plan, state: PlanState) -> None:
    step.put(replace(plan, state=state, deadline=None, ended=step.position))
