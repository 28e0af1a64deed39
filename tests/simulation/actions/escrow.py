"""Money of plans: into escrow by funding and by deposits, out of it by reversals, orders, refunds and cancellations."""

import datetime
from typing import Any

from tallystick.kernel.accounts.deposits import AnnounceDeposit, AssignDeposit, BookDeposit, Deposit, DepositState
from tallystick.kernel.accounts.freezes import DeductByOrder, FreezeAccount, UnfreezeAccount
from tallystick.kernel.accounts.records import Account, AccountState, Balance
from tallystick.kernel.accounts.reversing import ReverseDeposit
from tallystick.kernel.plans import escrow
from tallystick.kernel.plans.cancelling import CancelPlan, CancelUnfunded
from tallystick.kernel.plans.cases import Refund, RefundState
from tallystick.kernel.plans.funding import FundPlan
from tallystick.kernel.plans.records import Phase, Plan, TrancheState
from tallystick.kernel.plans.refunds import ConsentToRefund, DeclineRefund, RequestRefund
from tallystick.wire.amounts import Units
from tests.simulation.actions.money import balance, reference
from tests.simulation.actions.plans import confirmed, version_in_force
from tests.simulation.actions.proposals import Proposal, action, admitted, pick, propose, today
from tests.simulation.founding import paper
from tests.simulation.town import Town


def missing(town: Town, plan: Plan) -> int:
    return int(escrow.missing(plan, version_in_force(town, plan)))


def lacking(town: Town) -> list[Plan]:
    """Active plans for which money is still to come."""
    return [row for row in confirmed(town) if missing(town, row)]


def _lacking_each(town: Town, plan: Plan) -> list[Units]:
    """What each tranche lacks, in order."""
    pairs = zip(plan.tranches, version_in_force(town, plan).tranches, strict=True)
    return [escrow.missing_in(tranche, terms) for tranche, terms in pairs]


@action(60)
def fund_plan(town: Town) -> Proposal | None:
    plan = pick(town.rng, lacking(town))
    if plan is None:
        return None
    takes = missing(town, plan)
    account: Any = town.find(Account, version_in_force(town, plan).terms.refund_account)
    there = balance(town, account) if account is not None and account.state is AccountState.OPEN else takes
    first = next((int(each) for each in _lacking_each(town, plan) if each), takes)
    units = town.rng.choice((takes, takes, min(first, takes), min(first, takes), town.rng.randint(1, takes)))
    units = min(units, there) if there and town.rng.random() < 0.95 else units
    return propose(plan.payer, FundPlan(plan=plan.id, currency=plan.currency, units=Units(units)))


@action(8)
def announce_for_plan(town: Town) -> Proposal | None:
    plan = pick(town.rng, lacking(town))
    if plan is None:
        return None
    units = Units(town.rng.randint(1, missing(town, plan)))
    return propose(plan.payer, AnnounceDeposit(plan=plan.id, currency=plan.currency, units=units))


@action(20)
def book_for_plan(town: Town) -> Proposal | None:
    """By code or by naming the plan; short, in full or over; now and then in another's name, or for one that ended."""
    rng = town.rng
    rows = [row for row in town.rows(Plan) if row.version] if rng.random() < 0.1 else lacking(town)
    plan = pick(rng, rows)
    if plan is None:
        return None
    takes = missing(town, plan)
    units = rng.choice((takes, takes + rng.choice((1, 1_000)), max(takes - 1, 1), rng.randint(1, max(takes, 1))))
    fields: dict[str, Any] = {
        "bank_reference": reference(town),
        "currency": plan.currency,
        "units": Units(max(units, 1)),
        "remitter": plan.payer if rng.random() < 0.93 else rng.choice(admitted(town)),
        "plan": plan.id,
    }
    waiting = [row for row in town.rows(Deposit) if row.plan is not None and row.state is DepositState.ANNOUNCED]
    announced = pick(rng, waiting)
    if announced is not None and rng.random() < 0.6:
        exact = {"units": announced.announced} if rng.random() < 0.6 else {}
        fields |= {"code": announced.code, "plan": None, "remitter": announced.payer, "currency": announced.currency}
        return propose(announced.custodian, BookDeposit(**(fields | exact)))
    return propose(plan.custodian, BookDeposit(**fields))


@action(4)
def assign_to_plan(town: Town) -> Proposal | None:
    row = pick(town.rng, [one for one in town.rows(Deposit) if one.state is DepositState.IN_SUSPENSE])
    if row is None:
        return None
    fitting = [one for one in confirmed(town) if (one.currency, one.custodian) == (row.currency, row.custodian)]
    plan = pick(town.rng, fitting)
    if plan is None:
        return None
    assigned = AssignDeposit(deposit=row.id, plan=plan.id, currency=row.currency, units=row.units)
    return propose(row.custodian, assigned, also=(plan.payer,))


@action(5)
def reverse_plan_deposit(town: Town) -> Proposal | None:
    row = pick(town.rng, [one for one in town.rows(Deposit) if one.escrowed and one.state is DepositState.BOOKED])
    if row is None:
        return None
    fields: dict[str, Any] = {"deposit": row.id, "currency": row.currency, "units": row.units}
    return propose(row.custodian, ReverseDeposit(bank_reference=reference(town), **fields))


@action(3)
def freeze_escrow(town: Town) -> Proposal | None:
    plan = pick(town.rng, confirmed(town))
    if plan is None:
        return None
    held = max(int(plan.held), 1)
    days = town.rng.choice((0, 2, 15, None))
    frozen = FreezeAccount(
        plan=plan.id,
        currency=plan.currency,
        units=Units(town.rng.choice((1, held, town.rng.randint(1, held), 10**9))),
        authority_order=paper("order", plan.id),
        until_on=None if days is None else today(town) + datetime.timedelta(days=days),
    )
    return propose(plan.custodian, frozen)


def _frozen(town: Town) -> list[tuple[Plan, Any]]:
    found: list[tuple[Plan, Any]] = []
    for plan in town.rows(Plan):
        held: Any = town.find(Balance, plan.escrow)
        found.extend((plan, freeze) for freeze in (held.freezes if held is not None else ()))
    return found


@action(12)
def unfreeze_escrow(town: Town) -> Proposal | None:
    found = pick(town.rng, _frozen(town))
    if found is None:
        return None
    plan, freeze = found
    lifted = UnfreezeAccount(plan=plan.id, freeze=freeze.id, authority_order=paper("order", plan.id))
    return propose(plan.custodian, lifted)


@action(4)
def deduct_from_escrow(town: Town) -> Proposal | None:
    """Mostly out of what is frozen; out of a plan with a verified tranche too, which then waits for its money again."""
    frozen = pick(town.rng, _frozen(town))
    verified = [found[0] for found in _tranches(town, Phase.VERIFIED)]
    plan = pick(town.rng, verified) if town.rng.random() < 0.5 else pick(town.rng, confirmed(town))
    if frozen is not None and (plan is None or town.rng.random() < 0.5):
        plan = frozen[0]
    if plan is None:
        return None
    units = Units(town.rng.randint(1, max(int(plan.held), 1)))
    freeze = frozen[1].id if frozen is not None and frozen[0] is plan else None
    order = paper("order", plan.id)
    deducted = DeductByOrder(
        plan=plan.id,
        currency=plan.currency,
        units=units,
        authority_order=order,
        bank_reference=reference(town),
        freeze=freeze,
    )
    return propose(plan.custodian, deducted)


def _tranches(town: Town, *phases: Phase) -> list[tuple[Plan, int, TrancheState]]:
    return [
        (plan, number, tranche)
        for plan in confirmed(town)
        for number, tranche in enumerate(plan.tranches, 1)
        if tranche.phase in phases
    ]


@action(8)
def cancel_unfunded(town: Town) -> Proposal | None:
    late = [found for found in _tranches(town, *Phase) if found[2].overdue or town.rng.random() < 0.02]
    found = pick(town.rng, late)
    if found is None:
        return None
    plan, first, _ = found
    version = version_in_force(town, plan)
    back = sum(
        int(tranche.free)
        for number, (tranche, terms) in enumerate(zip(plan.tranches, version.tranches, strict=True), 1)
        if number >= first
        and escrow.missing_in(tranche, terms)
        and (number == first or tranche.phase is not Phase.VERIFIED)
    )
    asked = CancelUnfunded(plan=plan.id, tranche=first, currency=plan.currency, units=Units(back))
    return propose(plan.payee, asked)


@action(2)
def cancel_plan(town: Town) -> Proposal | None:
    plan = pick(town.rng, confirmed(town))
    if plan is None:
        return None
    retained = sum(int(tranche.retained) for tranche in plan.tranches)
    leaving = retained + sum(int(tranche.free) for tranche in plan.tranches)
    asked = CancelPlan(plan=plan.id, currency=plan.currency, units=Units(leaving), to_payee=Units(retained))
    return propose(plan.payer, asked, also=(plan.payee,))


@action(8)
def request_refund(town: Town) -> Proposal | None:
    waiting = [one for one in _tranches(town, Phase.WAITING) if one[2].free]
    found = pick(town.rng, waiting if town.rng.random() < 0.95 else _tranches(town, *Phase))
    if found is None:
        return None
    plan, number, tranche = found
    free = max(int(tranche.free), 1)
    asked = RequestRefund(
        plan=plan.id,
        tranche=number,
        currency=plan.currency,
        units=Units(town.rng.choice((free, town.rng.randint(1, free)))),
        reason="not_needed",
    )
    return propose(plan.payer, asked)


def _refunds(town: Town) -> list[Refund]:
    rows: list[Refund] = town.rows(Refund)
    return [row for row in rows if row.state is RefundState.REQUESTED or town.rng.random() < 0.02]


@action(20)
def consent_to_refund(town: Town) -> Proposal | None:
    row = pick(town.rng, _refunds(town))
    if row is None:
        return None
    return propose(row.payee, ConsentToRefund(refund=row.id, currency=row.currency, units=row.units))


@action(3)
def decline_refund(town: Town) -> Proposal | None:
    row = pick(town.rng, _refunds(town))
    return None if row is None else propose(row.payee, DeclineRefund(refund=row.id, reason="needed"))
