"""The money of a plan in its escrow account: what comes in, whose it is, and the few ways in which it goes out.

Pure counting on `Plan` and its tranches, then one posting each. Money fills the reserve for a paying payer's fee, then
the tranches in order; a later tranche never eats an earlier one's. Nothing here asks whether it may: callers do, from
the anchored version alone.
"""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from tallystick.kernel.accounts import book
from tallystick.kernel.accounts.freezes import follow
from tallystick.kernel.accounts.records import Account, AccountState, Balance
from tallystick.kernel.arithmetic import share_of
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.plans.records import Phase, Plan, PlanVersion, TrancheState, TrancheTerms
from tallystick.kernel.products.records import FeePayer, FeeTerms
from tallystick.wire.amounts import MAX_UNITS, ZERO, Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status

REFUNDED = EventKind("tranche.refunded", "{units} {currency} of tranche {tranche} went back to the payer ({reason}).")


def fee_on(cumulative: Units, fee: FeeTerms) -> Units:
    """The platform's fee on all that was released so far, in minor units, rounded half up once; nothing on nothing.

    A release is charged the difference to what was charged before, so slices never change the total (DOMAIN section 4).
    """
    if not cumulative:
        return ZERO
    return Units(min(max(share_of(cumulative, fee.rate), fee.minimum), MAX_UNITS))


def reserve_needed(version: PlanVersion) -> Units:
    """What a payer that bears the fee sets aside before any tranche is filled: the fee on all that may be released."""
    fee = version.terms.fee
    if fee.paid_by is not FeePayer.PAYER:
        return ZERO
    return fee_on(Units(sum(terms.units for terms in version.tranches)), fee)


def missing_in(tranche: TrancheState, terms: TrancheTerms) -> Units:
    """What is still to be deposited for a tranche; nothing once it is over."""
    came = tranche.deposited - tranche.reversed - tranche.given_back
    if tranche.is_over or came >= terms.fund_units:
        return ZERO
    return terms.fund_units - came


def amount_of(tranche: TrancheState, terms: TrancheTerms) -> Units:
    """The most that a tranche may certify: its terms' amount, less what the payee agreed to give back before.

    What was deposited beyond the amount goes back without lowering it. What disputes took is `contested`.
    """
    surplus = max(0, int(terms.fund_units) - int(terms.units))
    return Units(max(0, int(terms.units) - max(0, int(tranche.consented) - surplus)))


def missing(plan: Plan, version: PlanVersion) -> Units:
    """What the plan still takes in all; never so much that what came over its whole life could not be counted."""
    wanted = sum(missing_in(tranche, terms) for tranche, terms in zip(plan.tranches, version.tranches, strict=True))
    return Units(min(int(_missing_reserve(plan, version)) + int(wanted), MAX_UNITS - int(plan.deposited)))


def _missing_reserve(plan: Plan, version: PlanVersion) -> Units:
    if all(tranche.is_over for tranche in plan.tranches):
        return ZERO
    set_aside = plan.fee_reserve + (plan.fees if version.terms.fee.paid_by is FeePayer.PAYER else ZERO)
    needed = reserve_needed(version)
    return needed - set_aside if needed > set_aside else ZERO


def filled(plan: Plan, version: PlanVersion, units: Units) -> Plan:
    """`plan` with `units` more in escrow, at most `missing`: the reserve, then each tranche in order."""
    reserve = Units(min(units, _missing_reserve(plan, version)))
    left = units - reserve
    tranches = []
    for tranche, terms in zip(plan.tranches, version.tranches, strict=True):
        taken = Units(min(left, missing_in(tranche, terms)))
        left -= taken
        if taken:
            tranche = replace(tranche, deposited=tranche.deposited + taken, held=tranche.held + taken)  # noqa: PLW2901
            if not missing_in(tranche, terms):
                tranche = replace(tranche, fund_until=None, overdue=False)  # noqa: PLW2901
        tranches.append(tranche)
    if left:
        raise InvariantViolation(f"{plan.id} takes {units - left} but got {units}")
    return replace(
        plan, tranches=tuple(tranches), fee_reserve=plan.fee_reserve + reserve, deposited=plan.deposited + units
    )


class Drained(NamedTuple):
    """A plan without what a reversed deposit took from it, and how much that was."""

    plan: Plan
    units: Units


def drained(plan: Plan, units: Units) -> Drained:
    """Take at most `units` of unreleased, undisputed money: from the last tranche backwards, then the fee reserve."""
    left = units
    tranches = list(plan.tranches)
    for index in reversed(range(len(tranches))):
        taken = Units(min(left, tranches[index].free))
        if taken:
            left -= taken
            tranche = tranches[index]
            tranches[index] = replace(tranche, held=tranche.held - taken, reversed=tranche.reversed + taken)
    from_reserve = Units(min(left, plan.fee_reserve))
    left -= from_reserve
    taken = units - left
    changed = replace(
        plan,
        tranches=tuple(tranches),
        fee_reserve=plan.fee_reserve - from_reserve,
        reversed=plan.reversed + taken,
    )
    return Drained(changed, taken)


def debitable(step: Step, plan: Plan) -> Units:
    """What of the plan's escrow no authority's freeze bars from leaving it now."""
    row = step.find(Balance, plan.escrow)
    return ZERO if row is None else row.free_at(step.now)


def check_debitable(step: Step, plan: Plan, units: Units) -> Refusal | None:
    """account_frozen where a freeze bars `units` from leaving."""
    free = debitable(step, plan)
    return None if units <= free else refuse(Status.ACCOUNT_FROZEN, plan=plan.id, free=free, needed=units)


def payers_account(step: Step, plan: Plan, version: PlanVersion) -> Account | None:
    """The payer's account that pays for the plan and gets back what it does not use: the version's, while it is open.

    For wages that is the project's special account. Where it was closed, any other of the payer with the custodian.
    """
    account = step.find(Account, version.terms.refund_account)
    if account is not None and account.state is AccountState.OPEN and account.owner == plan.payer:
        return account
    return book.open_account(step, plan.payer, plan.currency, plan.custodian)


def woken(plan: Plan, now: Instant, after: int = 0) -> Plan:
    """`plan` with each tranche that may have waited for money alone to be looked at for release in the next block.

    Only those beyond tranche `after`, where money rolled on from there: the ones before it have been looked at.
    """
    tranches = tuple(
        replace(tranche, wake_at=now) if number > after and _may_wait(tranche, now) else tranche
        for number, tranche in enumerate(plan.tranches, 1)
    )
    return replace(plan, tranches=tranches)


def _may_wait(tranche: TrancheState, now: Instant) -> bool:
    if tranche.wake_at is not None and tranche.wake_at <= now:
        return False
    if tranche.is_over:
        return bool(tranche.retained) and (tranche.retained_until is None or tranche.retained_until <= now)
    return tranche.phase is Phase.VERIFIED or (tranche.release_at is not None and tranche.release_at <= now)


def with_tranche(plan: Plan, number: int, tranche: TrancheState) -> Plan:
    """`plan` with tranche `number` (from 1) in a new state."""
    tranches = plan.tranches
    return replace(plan, tranches=(*tranches[: number - 1], tranche, *tranches[number:]))


def refund(
    step: Step, plan: Plan, number: int, units: Units, reason: str, *, disputed: bool = False
) -> tuple[Plan, Iterator[Event]]:
    """Give `units` of tranche `number` back to the payer, out of its free money or out of what is `disputed`.

    The plan is counted and returned, not written; the events post the money when they are drawn.
    """
    tranche = plan.tranches[number - 1]
    counted = replace(tranche, held=tranche.held - units, refunded=tranche.refunded + units)
    if disputed:
        counted = replace(counted, disputed=tranche.disputed - units)
    changed = replace(with_tranche(plan, number, counted), refunded=plan.refunded + units)
    return changed, _give_back(step, plan, number, units, reason)


def refund_reserve(step: Step, plan: Plan, reason: str) -> tuple[Plan, Iterator[Event]]:
    """Give back what is left of a paying payer's fee reserve."""
    changed = replace(plan, fee_reserve=ZERO, refunded=plan.refunded + plan.fee_reserve)
    return changed, _give_back(step, plan, 0, plan.fee_reserve, reason)


def _give_back(step: Step, plan: Plan, number: int, units: Units, reason: str) -> Iterator[Event]:
    if not units:
        return
    account = payers_account(step, plan, step.get(PlanVersion, f"{plan.id}/{plan.version}"))
    held = book.receiving_ledger_account(step, plan.payer, plan.currency, plan.id, plan.custodian)
    target = held if account is None else account.ledger_account
    follow(step, plan.escrow, target, units)
    yield book.move(step, plan.escrow, target, plan.currency, units, plan.id, (plan.payee,))
    yield REFUNDED(
        plan.id,
        (plan.payer, plan.payee, plan.platform),
        units=units,
        currency=plan.currency,
        tranche=number,
        reason=reason,
    )


def rolled_on(plan: Plan, version: PlanVersion, number: int, units: Units) -> tuple[Plan, Units]:
    """Move `units` of free money of a tranche that is over to the tranches after it, as far as they still need it.

    Returns the plan and what found no place; no posting, as all of it stays in escrow.
    """
    tranche = plan.tranches[number - 1]
    left = units
    tranches = list(plan.tranches)
    for index in range(number, len(tranches)):
        taken = Units(min(left, missing_in(tranches[index], version.tranches[index])))
        if taken:
            left -= taken
            later = tranches[index]
            later = replace(later, deposited=later.deposited + taken, held=later.held + taken)
            if not missing_in(later, version.tranches[index]):
                later = replace(later, fund_until=None, overdue=False)
            tranches[index] = later
    moved = units - left
    tranches[number - 1] = replace(tranche, held=tranche.held - moved, rolled=tranche.rolled + moved)
    return replace(plan, tranches=tuple(tranches)), left
