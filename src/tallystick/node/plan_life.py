"""A plan with all that belongs to it, and what its deadlines ahead are, read from the present state."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from tallystick.kernel.core.record import Record
from tallystick.kernel.core.state import State
from tallystick.kernel.plans.cases import Certificate, Dispute, DisputeState, Evidence, Refund, RefundState
from tallystick.kernel.plans.escrow import missing_in
from tallystick.kernel.plans.records import (
    PENDING_PLANS,
    Failing,
    Phase,
    Plan,
    PlanState,
    PlanVersion,
    TrancheState,
    TrancheTerms,
)
from tallystick.kernel.plans.sums import sums_of
from tallystick.kernel.products.records import Product
from tallystick.ledger.engine import Engine
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.instants import Instant

R = TypeVar("R", bound=Record)

MOST_SAID = 3
"""Failing fields that one line names; the plan's card has all of them."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Something that ends by itself: until when `who` may do what `what` says. `tranche` 0 means the whole plan."""

    at: Instant
    tranche: int
    what: str
    who: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanLife:
    """A plan, its product, the version in force, and what was caused under it, each kind in the order of the ledger."""

    plan: Plan
    product: Product | None
    versions: tuple[PlanVersion, ...]
    evidence: tuple[Evidence, ...]
    certificates: tuple[Certificate, ...]
    disputes: tuple[Dispute, ...]
    refunds: tuple[Refund, ...]

    @property
    def version(self) -> PlanVersion | None:
        """The version in force: what a release reads."""
        return self.versions[-1] if self.versions else None

    @property
    def terms(self) -> tuple[TrancheTerms, ...]:
        """The tranches' terms: those in force, or what is proposed."""
        return self.plan.draft if self.version is None else self.version.tranches

    @property
    def states(self) -> tuple[TrancheState, ...]:
        """The tranches' states; before the confirmation they are all at their beginning."""
        return self.plan.tranches or tuple(TrancheState() for _ in self.plan.draft)

    @property
    def total(self) -> Units:
        """The most that the tranches may release."""
        return Units(sum(terms.units for terms in self.terms))

    def rounds(self, number: int) -> tuple[Evidence, ...]:
        """The rounds of evidence for a tranche."""
        return tuple(one for one in self.evidence if one.tranche == number)

    def round_now(self, number: int) -> Evidence | None:
        """The round of a tranche that is under way or was met."""
        wanted = self.states[number - 1].evidence
        return next((one for one in self.evidence if one.id == wanted), None)


def plan_life(engine: Engine, state: State, plan: Plan) -> PlanLife:
    """Read all that belongs to `plan`."""
    product = state.find(f"product/{plan.product}")
    versions = (state.find(f"plan_version/{plan.id}/{number}") for number in range(1, plan.version + 1))
    return PlanLife(
        plan=plan,
        product=product if isinstance(product, Product) else None,
        versions=tuple(one for one in versions if isinstance(one, PlanVersion)),
        evidence=tuple(sorted(_labelled(engine, state, Evidence, plan), key=lambda one: (one.opened, one.id))),
        certificates=tuple(sorted(_labelled(engine, state, Certificate, plan), key=lambda one: (one.at, one.id))),
        disputes=tuple(sorted(_labelled(engine, state, Dispute, plan), key=lambda one: (one.opened, one.id))),
        refunds=tuple(sorted(_labelled(engine, state, Refund, plan), key=lambda one: (one.requested, one.id))),
    )


def _labelled(engine: Engine, state: State, kind: type[R], plan: Plan) -> Iterator[R]:
    for key in engine.labelled(f"{kind.table}_of/{plan.id}"):
        row = state.find(key)
        if isinstance(row, kind):
            yield row


def plans_of(engine: Engine, state: State, product: Product) -> tuple[Plan, ...]:
    """The plans under a product, in the order in which they were proposed."""
    rows = (state.find(key) for key in engine.labelled(f"plan_of/{product.id}"))
    return tuple(sorted((row for row in rows if isinstance(row, Plan)), key=lambda one: (one.proposed, one.id)))


def met_in(life: PlanLife, number: int, now: Instant) -> Units:
    """What of a tranche is verified and not paid out yet: it leaves when the objection window is over."""
    tranche = life.states[number - 1]
    if life.version is None or tranche.phase is not Phase.VERIFIED or tranche.certified is None:
        return ZERO
    return Units(min(int(sums_of(life.plan, life.version, number, now).paid), int(tranche.free)))


def failing_row(one: Failing) -> tuple[str, str, str]:
    """Where a proposal fails against its product, in which field, and the reason's code."""
    field = "total" if one.field == "units" and not one.tranche else "amount" if one.field == "units" else one.field
    tranche = f"tranche {one.tranche}" if one.tranche else "the plan"
    return tranche, field.replace("_", " "), one.reason


def failing_text(failing: tuple[Failing, ...]) -> str:
    """What of a proposal fails, in a line."""
    rows = [failing_row(one) for one in failing[:MOST_SAID]]
    more = f" and {len(failing) - len(rows)} more" if len(failing) > len(rows) else ""
    return ", ".join(f"{field} of {where} ({why})" for where, field, why in rows) + more


def deadlines(life: PlanLife) -> tuple[Deadline, ...]:
    """What ends by itself, soonest first."""
    plan = life.plan
    found: list[Deadline] = []
    if plan.state in PENDING_PLANS and plan.deadline is not None:
        what, who = {
            PlanState.PROPOSED: ("the check is due", plan.platform),
            PlanState.SENT_BACK: ("a better proposal is due", plan.payer),
            PlanState.SENT: ("the confirmation is due", plan.payee),
        }[plan.state]
        found.append(Deadline(plan.deadline, 0, what, (who,)))
    if plan.is_live:
        for number, (tranche, terms) in enumerate(zip(life.states, life.terms, strict=True), 1):
            found.extend(_of_tranche(plan, number, tranche, terms))
        if plan.amendment is not None:
            found.append(Deadline(plan.amendment.deadline, 0, "the amendment lapses", (plan.payee,)))
        if plan.long_stop_at is not None:
            found.append(Deadline(plan.long_stop_at, 0, "long stop: what is disputed is divided, the rest goes back"))
    for dispute in life.disputes:
        if dispute.state is DisputeState.OPEN and dispute.negotiate_until is not None:
            what = f"{dispute.id} goes to arbitration"
            found.append(Deadline(dispute.negotiate_until, dispute.tranche, what, (dispute.payer, dispute.payee)))
    waiting = (one for one in life.refunds if one.state is RefundState.REQUESTED)
    found.extend(Deadline(one.deadline, one.tranche, f"{one.id} lapses", (one.payee,)) for one in waiting)
    return tuple(sorted(found, key=lambda one: (one.at, one.tranche, one.what)))


def _of_tranche(plan: Plan, number: int, tranche: TrancheState, terms: TrancheTerms) -> Iterator[Deadline]:
    if tranche.fund_until is not None and not tranche.overdue and missing_in(tranche, terms):
        what = f"grace for the deposit ends; it is due {terms.fund_by_on}"
        yield Deadline(tranche.fund_until, number, what, (plan.payer,))
    if tranche.phase is Phase.EVIDENCE_IN and tranche.answer_by is not None:
        yield Deadline(tranche.answer_by, number, f"the answer is due; silence means {terms.on_silence.value}")
    if tranche.phase is Phase.VERIFIED:
        yield from _of_verified(plan, number, tranche)
    if not tranche.is_over and tranche.phase is not Phase.VERIFIED and tranche.unmet_at is not None:
        yield Deadline(tranche.unmet_at, number, f"the release window ends; unmet means {terms.if_unmet.value}")
    if tranche.retained and tranche.retained_until is not None:
        yield Deadline(tranche.retained_until, number, "what is retained is released")


def _of_verified(plan: Plan, number: int, tranche: TrancheState) -> Iterator[Deadline]:
    """Objections end, its first day opens; the later of the two releases it, unless it waits for something else."""
    ends, opens = tranche.object_until, tranche.release_at
    by_day = opens is not None and opens == tranche.wake_at and (ends is None or ends < opens)
    if ends is not None:
        what = "objections end" if by_day else "objections end, then it is released"
        yield Deadline(ends, number, what, (plan.payer, plan.payee))
    if by_day and opens is not None:
        yield Deadline(opens, number, "its first day opens, then it is released")
