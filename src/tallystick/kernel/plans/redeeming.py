"""A receivable redeemed by a tranche: its holders are paid first, the payee, its first creditor, gets the surplus.

What is paid retires parcels as any payment of the debtor does, so the receivable's own due date asks only for what is
missing. Units whose holders may still answer for a bank payment are left out. Source: DOMAIN section 3.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tallystick.kernel.core.events import Event
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.rules import is_insolvent
from tallystick.kernel.plans.records import Plan, TrancheTerms
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.redemption.paying import Part, Purse, check_lawful, length_of, live_parts, pay, spread
from tallystick.kernel.redemption.shares import redemption_of
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status


class Redeeming(NamedTuple):
    """The units of a receivable that a release pays."""

    receivable: Receivable
    parts: tuple[Part, ...]

    @property
    def units(self) -> Units:
        """What goes to their holders."""
        return length_of(self.parts)


def check_redeemable(step: Step, plan: Plan, terms: TrancheTerms, by: str | None) -> Refusal | None:
    """Why a release may not pay the receivable that it would, or None; `by` is who asks for it, nobody the block.

    The law may bar payment at this custodian. An insolvent debtor's debts are not paid by themselves: its plan pays
    them when it asks for the release, and until then the money waits.
    """
    receivable = _owed(step, plan, terms)
    if receivable is None or not live_parts(step, receivable, redemption_of(step, receivable).awaited):
        return None
    refusal = check_lawful(step, receivable, plan.custodian)
    if refusal is None and by != plan.payer and is_insolvent(step, receivable.debtor):
        return refuse(Status.NOT_A_PARTY, missing=plan.payer, receivable=receivable.id)
    return refusal


def redeeming(step: Step, plan: Plan, terms: TrancheTerms, units: Units) -> Redeeming | None:
    """What of its receivable a payment of `units` redeems; None where nothing is owed any more, or not payable here."""
    receivable = _owed(step, plan, terms)
    if receivable is None or not units or check_lawful(step, receivable, plan.custodian) is not None:
        return None
    parts = live_parts(step, receivable, redemption_of(step, receivable).awaited)
    if not parts:
        return None
    return Redeeming(receivable, spread(parts, units) if units < length_of(parts) else parts)


def pay_holders(step: Step, plan: Plan, found: Redeeming) -> Iterator[Event]:
    """Pay the holders out of the plan's escrow and retire what is paid. The plan's own counting is the caller's."""
    purse = Purse(plan.custodian, ((plan.escrow, found.units),))
    yield from pay(step, found.receivable, redemption_of(step, found.receivable), found.parts, purse)


def _owed(step: Step, plan: Plan, terms: TrancheTerms) -> Receivable | None:
    receivable = None if terms.redeems is None else step.find(Receivable, terms.redeems)
    if receivable is None or not receivable.is_owed or receivable.currency != plan.currency:
        return None
    return receivable
