"""How tranches and plans end: windows close, unused money goes on or back, the product's cap is given room again.

Whoever takes a step that may be the last of a tranche calls `end_tranche`, and then, or after anything that may be the
last of a plan, `settle`. Neither asks whether it may.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.step import Step
from tallystick.kernel.plans import escrow
from tallystick.kernel.plans.cases import Refund, RefundState
from tallystick.kernel.plans.lookup import parties_of, version_of
from tallystick.kernel.plans.records import Phase, Plan, PlanState, PlanVersion, TrancheState, TrancheTerms, Unused
from tallystick.kernel.plans.rounds import close_round
from tallystick.kernel.products.commitments import release_commitment
from tallystick.kernel.wages.releasing import end_sheet
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation

ENDED = EventKind("tranche.ended", "Tranche {tranche} of plan {record} ended without a release ({reason}).")
ROLLED_ON = EventKind(
    "tranche.rolled_on", "{units} {currency} that tranche {tranche} did not use fund the tranches after it."
)
COMPLETED = EventKind("plan.completed", "Plan {record} is completed: {released} {currency} reached the payee's side.")
CLOSED = EventKind("plan.closed", "The cancelled plan {record} holds nothing any more.")
REFUND_CLOSED = EventKind("refund.lapsed", "The request {record} to have {units} {currency} back came to nothing.")


def end_tranche(
    step: Step, plan: Plan, version: PlanVersion, number: int, phase: Phase, reason: str
) -> Iterator[Event]:
    """End tranche `number` as released or ended: its windows, open round of evidence and refund requests close.

    Money that is neither disputed nor retained leaves it: after a release by the terms (`unused`), else to the payer.
    """
    tranche = plan.tranches[number - 1]
    over = replace(
        tranche,
        phase=phase,
        overdue=False,
        fund_until=None,
        wake_at=None,
        answer_by=None,
        object_until=None,
        unmet_at=None,
    )
    ended = escrow.with_tranche(plan, number, over)
    left = over.free
    if phase is Phase.RELEASED and version.tranches[number - 1].unused is Unused.ROLL_ON:
        ended, left = escrow.rolled_on(ended, version, number, left)
        rolled = over.free - left
        if rolled:
            ended = escrow.woken(ended, step.now, after=number)
            yield ROLLED_ON(plan.id, parties_of(plan), tranche=number, units=rolled, currency=plan.currency)
    ended, given_back = escrow.refund(step, ended, number, left, reason)
    step.put(ended)
    yield from given_back
    close_round(step, tranche)
    yield from close_refunds(step, plan.id, number)
    if version.tranches[number - 1].wages and phase is Phase.ENDED:
        yield from end_sheet(step, plan.id, number)
    if phase is Phase.ENDED:
        yield ENDED(plan.id, parties_of(plan), tranche=number, reason=reason)


def close_refunds(step: Step, plan_id: str, number: int) -> Iterator[Event]:
    """Requests to have money of this tranche back come to nothing."""
    plan = step.get(Plan, plan_id)
    waiting = [step.get(Refund, name) for name in plan.refunds]
    closing = [refund for refund in waiting if refund.tranche == number]
    if not closing:
        return
    step.put(replace(plan, refunds=tuple(refund.id for refund in waiting if refund.tranche != number)))
    for refund in closing:
        step.put(replace(refund, state=RefundState.LAPSED, ended=step.position))
        yield REFUND_CLOSED(refund.id, (plan.payer, plan.payee), units=refund.units, currency=refund.currency)


def settle(step: Step, plan_id: str) -> Iterator[Event]:
    """Give the product's cap back what the plan will not release; end the plan if nothing of it is under way.

    That is when every tranche is over and holds nothing, disputed or retained. What is left of a paying payer's fee
    reserve goes back then.
    """
    plan = step.get(Plan, plan_id)
    if not plan.is_live:
        return
    version = version_of(step, plan)
    done = all(tranche.is_over and not tranche.held for tranche in plan.tranches)
    count = _counts_for(plan, version)
    if count > plan.committed:
        raise InvariantViolation(f"{plan.id} may release {count}, and its product counts {plan.committed}")
    if done or count < plan.committed:
        release_commitment(step, plan.product, plan.committed - count, 1 if done else 0)
    if not done:
        if count < plan.committed:
            step.put(replace(plan, committed=count))
        return
    yield from _end(step, replace(plan, committed=count))


def _counts_for(plan: Plan, version: PlanVersion) -> Units:
    """What a plan has released or may still release."""
    pairs = zip(plan.tranches, version.tranches, strict=True)
    return Units(sum(tranche_counts_for(tranche, terms) for tranche, terms in pairs))


def tranche_counts_for(tranche: TrancheState, terms: TrancheTerms) -> Units:
    """What a tranche has released or may still release: its part of what its product's cap counts."""
    if tranche.is_over:
        return Units(min(terms.units, tranche.released + tranche.fees + tranche.held))
    return escrow.amount_of(tranche, terms)


def _end(step: Step, plan: Plan) -> Iterator[Event]:
    plan, given_back = escrow.refund_reserve(step, plan, "fee_reserve")
    cancelled = plan.state is PlanState.CANCELLED
    ended = replace(
        plan,
        state=PlanState.CANCELLED if cancelled else PlanState.COMPLETED,
        amendment=None,
        long_stop_at=None,
        ended=step.position,
    )
    step.put(ended)
    yield from given_back
    kind = CLOSED if cancelled else COMPLETED
    yield kind(
        plan.id,
        (*parties_of(plan), plan.custodian),
        released=plan.released,
        refunded=plan.refunded,
        fees=plan.fees,
        currency=plan.currency,
    )
