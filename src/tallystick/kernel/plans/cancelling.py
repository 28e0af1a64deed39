"""Calling a plan off: the payee its part that was not funded in time, both sides together the whole.

Disputed money stays in escrow until its dispute has ended; a cancelled plan ends with the last of them.
Source: DOMAIN section 3, "Tranche" and "Plan".
"""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Currency, PlanId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.plans import ending, escrow
from tallystick.kernel.plans.lookup import check_active, check_tranche, parties_of, version_of
from tallystick.kernel.plans.records import Phase, Plan, PlanState, PlanVersion, TrancheNumber
from tallystick.kernel.plans.releasing import pay_payee
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.status import Status

UNFUNDED_CANCELLED = EventKind(
    "plan.unfunded_cancelled", "The payee cancelled what was not funded of plan {record}, from tranche {tranche} on."
)
CANCELLED = EventKind("plan.cancelled", "Payer and payee cancelled plan {record}.")


class CancelUnfunded(Operation, tag="plan.cancel_unfunded"):
    """End the tranches that were not funded, from an overdue one on; what came in for them goes back to the payer.

    Signed by the payee, after the days of grace. `units` are what goes back. Source: DOMAIN section 3, "Tranche".
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
        return refuse(Status.NOT_FOUND, plan=self.plan) if plan is None else Signers.all(plan.payee)

    def check(self, step: Step) -> Refusal | None:
        plan = step.get(Plan, self.plan)
        refusal = check_tranche(plan, self.tranche)
        if refusal is not None:
            return refusal
        version = version_of(step, plan)
        named = plan.tranches[self.tranche - 1]
        if not escrow.missing_in(named, version.tranches[self.tranche - 1]):
            return refuse(Status.WRONG_STATE, plan=plan.id, tranche=self.tranche, missing=0)
        if not named.overdue:
            return refuse(Status.TOO_EARLY, plan=plan.id, tranche=self.tranche, fund_until=named.fund_until or "none")
        if self.currency != plan.currency:
            return refuse(Status.CURRENCY_MISMATCH, plan=plan.currency, stated=self.currency)
        back = sum(plan.tranches[number - 1].free for number in unfunded(plan, version, self.tranche))
        if self.units != back:
            return refuse(Status.AMOUNT_DIFFERS, computed=Units(back), stated=self.units)
        return escrow.check_debitable(step, plan, self.units)

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        version = version_of(step, plan)
        for number in unfunded(plan, version, self.tranche):
            current = step.get(Plan, plan.id)
            yield from ending.end_tranche(step, current, version, number, Phase.ENDED, "unfunded")
        yield UNFUNDED_CANCELLED(
            plan.id, parties_of(plan), tranche=self.tranche, units=self.units, currency=self.currency
        )
        yield from ending.settle(step, plan.id)


def unfunded(plan: Plan, version: PlanVersion, first: int) -> tuple[int, ...]:
    """Tranche `first` and those after it that lack money.

    One that has all of its own stays, and so does one that was verified before its deposit was reversed: it was earned.
    """
    pairs = enumerate(zip(plan.tranches, version.tranches, strict=True), start=1)
    lacking = (number for number, pair in pairs if number >= first and escrow.missing_in(*pair))
    return tuple(n for n in lacking if n == first or plan.tranches[n - 1].phase is not Phase.VERIFIED)


class CancelPlan(Operation, tag="plan.cancel"):
    """Call the whole plan off: free money goes back to the payer, what was retained of releases to the payee.

    Signed by payer and payee. `units` are what leaves the tranches in all; `to_payee` of them were retained, and so
    earned, and reach the payee less the platform's fee where it bears that. Disputes go on until they end; what is left
    of a fee reserve goes back with the last of them. Source: DOMAIN section 3, "Plan".
    """

    while_suspended = True

    plan: PlanId
    currency: Currency
    units: Units
    to_payee: Units

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        plan = step.find(Plan, self.plan)
        return refuse(Status.NOT_FOUND, plan=self.plan) if plan is None else Signers.all(plan.payer, plan.payee)

    def check(self, step: Step) -> Refusal | None:
        plan = step.get(Plan, self.plan)
        refusal = check_active(plan)
        if refusal is not None:
            return refusal
        if self.currency != plan.currency:
            return refuse(Status.CURRENCY_MISMATCH, plan=plan.currency, stated=self.currency)
        retained = Units(sum(tranche.retained for tranche in plan.tranches))
        leaving = Units(retained + sum(tranche.free for tranche in plan.tranches))
        if self.units != leaving:
            return refuse(Status.AMOUNT_DIFFERS, computed=leaving, stated=self.units)
        if self.to_payee != retained:
            return refuse(Status.AMOUNT_DIFFERS, computed=retained, stated=self.to_payee)
        # A payer that bears the platform's fee on what was retained pays it out of the reserve.
        return escrow.check_debitable(step, plan, self.units + plan.fee_reserve if retained else self.units)

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        version = version_of(step, plan)
        yield CANCELLED(
            plan.id,
            (*parties_of(plan), plan.arbitrator),
            units=self.units,
            to_payee=self.to_payee,
            currency=self.currency,
        )
        for number, tranche in enumerate(plan.tranches, start=1):
            if tranche.retained:
                freed = replace(tranche, retained=ZERO, retained_until=None)
                current = escrow.with_tranche(step.get(Plan, plan.id), number, freed)
                yield from pay_payee(step, current, version, number, tranche.retained, cause="retention")
            if not tranche.is_over:
                current = step.get(Plan, plan.id)
                yield from ending.end_tranche(step, current, version, number, Phase.ENDED, "cancelled")
        step.put(replace(step.get(Plan, plan.id), state=PlanState.CANCELLED, amendment=None))
        yield from ending.settle(step, plan.id)
