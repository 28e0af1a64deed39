"""Money into a plan's escrow, and out of it again where it was not the payer's to give.

It comes from the payer's account (`plan.fund`) or straight from its bank (`deposit.book` naming the plan). What a
reversed booking or an authority's order takes back comes from the last tranche first; a tranche that lacks money again
waits for funds as it did before. Source: DOMAIN section 3, "Tranche" and "Deposit".
"""

import datetime
from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.accounts import book, escrows
from tallystick.kernel.accounts.escrows import Escrow
from tallystick.kernel.accounts.records import Account
from tallystick.kernel.calendar.days import end_of
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Currency, PlanId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.rules import check_solvent, is_insolvent
from tallystick.kernel.plans import escrow
from tallystick.kernel.plans.lookup import check_active, parties_of, version_of
from tallystick.kernel.plans.records import Plan, PlanState, PlanVersion
from tallystick.kernel.wages.rules import Misuse, check_seizure, misused
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

FUNDED = EventKind("plan.funded", "{units} {currency} came in for plan {record}; {missing} {currency} are missing.")
UNFUNDED = EventKind(
    "plan.unfunded", "{units} {currency} were taken out of plan {record} again; {missing} {currency} are missing."
)
OVERDUE = EventKind("tranche.overdue", "{missing} {currency} for tranche {tranche} of plan {record} are overdue.")


class FundPlan(Operation, tag="plan.fund"):
    """Put money from one's own account into a plan's escrow: the fee reserve, then its tranches in order.

    Signed by the payer. At most what the plan still takes; an insolvent payer binds no more money.
    Source: OPERATIONS, "Products and plans".
    """

    while_suspended = True

    plan: PlanId
    currency: Currency
    units: Units

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        plan = step.find(Plan, self.plan)
        return refuse(Status.NOT_FOUND, plan=self.plan) if plan is None else Signers.all(plan.payer)

    def check(self, step: Step) -> Refusal | None:
        plan = step.get(Plan, self.plan)
        refusal = check_solvent(step, plan.payer) or check_active(plan)
        if refusal is not None:
            return refusal
        if self.currency != plan.currency:
            return refuse(Status.CURRENCY_MISMATCH, plan=plan.currency, stated=self.currency)
        if not self.units:
            return refuse(Status.AMOUNT_ZERO)
        version = version_of(step, plan)
        takes = escrow.missing(plan, version)
        if self.units > takes:
            return refuse(Status.OVER_AVAILABLE, plan=plan.id, missing=takes, stated=self.units)
        account = escrow.payers_account(step, plan, version)
        if account is None:
            return refuse(Status.ACCOUNT_MISSING, organisation=plan.payer, currency=plan.currency)
        return book.check_account_can_pay(step, account, self.units)

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        version = version_of(step, plan)
        account = escrow.payers_account(step, plan, version)
        if account is None:
            raise InvariantViolation(f"the account that pays for {plan.id} is gone since the check")
        yield from take_in(step, plan, version, account.ledger_account, self.units, plan.id)


def take_in(step: Step, plan: Plan, version: PlanVersion, source: str, units: Units, subject: str) -> Iterator[Event]:
    """Post what the plan still takes of `units` from the ledger account `source` to escrow; tell payer and payee.

    What it does not take is the caller's to place. Tranches that now have their money are looked at in the next block.
    """
    taken = Units(min(units, escrow.missing(plan, version)))
    if not taken:
        return
    filled = escrow.woken(escrow.filled(plan, version, taken), step.now)
    step.put(filled)
    yield book.move(step, source, plan.escrow, plan.currency, taken, subject, (plan.payer, plan.payee))
    yield FUNDED(
        plan.id,
        parties_of(plan),
        units=taken,
        currency=plan.currency,
        missing=escrow.missing(filled, version),
        held=filled.held,
    )


def take_back(step: Step, plan: Plan, version: PlanVersion, target: str, units: Units, subject: str) -> Iterator[Event]:
    """Take `units` of unreleased money, the last tranche's first, to `target`; tell payer, payee and platform.

    What a tranche lacks now is wanted by the end of the grace days, counted from its own day or from today if that has
    passed. One that was verified keeps its verification and waits for the money.
    """
    drained, taken = escrow.drained(plan, units)
    grace = datetime.timedelta(days=version.terms.funding_grace_days)
    tranches = []
    for tranche, terms in zip(drained.tranches, version.tranches, strict=True):
        wanting = tranche.fund_until is None and escrow.missing_in(tranche, terms)
        day = max(terms.fund_by_on, step.today) + grace
        tranches.append(replace(tranche, fund_until=end_of(step.overlay, day)) if wanting else tranche)
    drained = replace(drained, tranches=tuple(tranches))
    step.put(drained)
    yield book.move(step, plan.escrow, target, plan.currency, taken, subject, (plan.payer, plan.payee))
    yield UNFUNDED(
        plan.id,
        parties_of(plan),
        units=taken,
        currency=plan.currency,
        missing=escrow.missing(drained, version),
        held=drained.held,
    )


def mark_overdue(step: Step, plan: Plan, version: PlanVersion, number: int) -> Iterator[Event]:
    """Due work of a tranche: the payer's day and the days of grace passed. The payee may cancel the unfunded part."""
    tranche = plan.tranches[number - 1]
    step.put(escrow.with_tranche(plan, number, replace(tranche, overdue=True)))
    yield OVERDUE(
        plan.id,
        parties_of(plan),
        tranche=number,
        currency=plan.currency,
        missing=escrow.missing_in(tranche, version.tranches[number - 1]),
    )


def wake(step: Step, plan: Plan) -> None:
    """Have every tranche that waits for money or for the end of a freeze looked at in the next block."""
    woken = escrow.woken(plan, step.now)
    if woken != plan:
        step.put(woken)


def _pays_wages(version: PlanVersion) -> bool:
    return any(terms.wages for terms in version.tranches)


class PlanEscrows:
    """The room's answers to what accounts ask (`accounts.escrows`)."""

    def find(self, step: Step, plan: str) -> Escrow | None:
        found = step.find(Plan, plan)
        if found is None:
            return None
        active = found.state is PlanState.ACTIVE and not is_insolvent(step, found.payer)
        version = version_of(step, found) if found.version else None
        account = book.open_account(step, found.payer, found.currency, found.custodian)
        return Escrow(
            plan=found.id,
            payer=found.payer,
            payee=found.payee,
            custodian=found.custodian,
            currency=found.currency,
            ledger_account=found.escrow,
            account=account if version is None else escrow.payers_account(step, found, version),
            is_special=version is not None and _pays_wages(version),
            is_active=active,
            is_live=found.is_live,
            takes=escrow.missing(found, version) if active and version is not None else ZERO,
        )

    def take_in(self, step: Step, plan: str, source: str, units: Units, subject: str) -> Iterator[Event]:
        found = step.get(Plan, plan)
        yield from take_in(step, found, version_of(step, found), source, units, subject)

    def reachable(self, step: Step, plan: str) -> Units:
        found = step.get(Plan, plan)
        if not found.is_live:
            return ZERO
        return Units(found.fee_reserve + sum(tranche.free for tranche in found.tranches))

    def take_back(self, step: Step, plan: str, target: str, units: Units, subject: str) -> Iterator[Event]:
        found = step.get(Plan, plan)
        yield from take_back(step, found, version_of(step, found), target, units, subject)

    def check_order(self, step: Step, plan: str) -> Refusal | None:
        found = step.get(Plan, plan)
        if not found.version or not _pays_wages(version_of(step, found)):
            return None
        return misused(step, found.currency, Misuse.STOPPED, plan=found.id)

    def check_seizure(self, step: Step, account: Account) -> Refusal | None:
        return check_seizure(step, account)

    def wake(self, step: Step, plan: str) -> None:
        wake(step, step.get(Plan, plan))


escrows.register(PlanEscrows())
