"""Finding a plan, what it is bound by, and the refusals that every step on one begins with."""

from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.plans.escrow import missing_in
from tallystick.kernel.plans.records import Phase, Plan, PlanState, PlanVersion, TrancheState, TrancheTerms
from tallystick.wire.status import Status


def version_of(step: Step, plan: Plan) -> PlanVersion:
    """The anchored version in force: what a release reads, and nothing else."""
    return step.get(PlanVersion, f"{plan.id}/{plan.version}")


def parties_of(plan: Plan) -> tuple[str, ...]:
    """Payer, payee and platform: who is told of everything."""
    return plan.payer, plan.payee, plan.platform


def check_active(plan: Plan) -> Refusal | None:
    """wrong_state unless the plan is confirmed, anchored and not ended."""
    if plan.state is PlanState.ACTIVE:
        return None
    return refuse(Status.WRONG_STATE, plan=plan.id, state=plan.state.value)


def check_tranche(plan: Plan, number: int) -> Refusal | None:
    """not_found where an active plan has no such tranche."""
    refusal = check_active(plan)
    if refusal is not None:
        return refusal
    if number <= len(plan.tranches):
        return None
    return refuse(Status.NOT_FOUND, plan=plan.id, tranche=number)


def standing(tranche: TrancheState, terms: TrancheTerms) -> str:
    """Where a tranche stands, in DOMAIN's words: its phase, and before evidence whether it is funded."""
    if tranche.phase is Phase.WAITING:
        if missing_in(tranche, terms):
            return "overdue_funding" if tranche.overdue else "awaiting_funds"
        return "sent_back" if tranche.rounds else "funded"
    return str(tranche.phase.value)
