"""What a release takes of what is certified: recovery of advances, retention, what is contested; the rest is paid.

certified = recovered + retained + contested + paid. Pure counting on the plan and its anchored version.
"""

from typing import NamedTuple

from tallystick.kernel.arithmetic import share_of
from tallystick.kernel.plans.escrow import fee_on
from tallystick.kernel.plans.records import Plan, PlanVersion
from tallystick.kernel.products.records import FeePayer
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import Instant


class Sums(NamedTuple):
    """How a certified amount is divided. `paid` goes to the payee, its fee still in it."""

    certified: Units
    paid: Units
    contested: Units = ZERO
    recovered: Units = ZERO
    retained: Units = ZERO


def sums_of(plan: Plan, version: PlanVersion, number: int, now: Instant) -> Sums:
    """What a release of the verified tranche `number` at `now` would take.

    What went into disputes is left out first; then advances are recovered, as far as they were paid and not recovered
    yet, and a share is retained if its day has not come. Each is rounded half up once and never takes more than is
    left; what is paid follows by subtraction.
    """
    tranche, terms = plan.tranches[number - 1], version.tranches[number - 1]
    certified = tranche.certified
    if certified is None:
        raise InvariantViolation(f"tranche {number} of {plan.id} is not certified")
    contested = min(int(tranche.contested), int(certified))
    left = certified - contested
    recovered = retained = 0
    if terms.recovery is not None:
        recovered = min(share_of(certified, terms.recovery), int(advances_out(plan, version)), int(left))
        left -= recovered
    if terms.retention is not None and tranche.retained_until is not None and now < tranche.retained_until:
        retained = min(share_of(certified, terms.retention.rate), int(left))
        left -= retained
    return Sums(
        certified=certified,
        paid=left,
        contested=Units(contested),
        recovered=Units(recovered),
        retained=Units(retained),
    )


def advances_out(plan: Plan, version: PlanVersion) -> Units:
    """What of the plan's advances was paid, with the payee's fee in it, and not recovered yet."""
    pairs = zip(plan.tranches, version.tranches, strict=True)
    paid = sum(tranche.released + tranche.fees for tranche, terms in pairs if terms.advance)
    recovered = sum(tranche.recovered for tranche in plan.tranches)
    return Units(max(paid - recovered, 0))


def fee_due(plan: Plan, version: PlanVersion, units: Units) -> Units:
    """The platform's fee on `units` more that go to the payee: on all that did, less what was charged before.

    A payee bears at most the slice, a payer what is left of its reserve; what could not be charged is charged later.
    """
    fee = version.terms.fee
    by_payee = fee.paid_by is FeePayer.PAYEE
    before = plan.released + (plan.fees if by_payee else ZERO)
    owed = max(int(fee_on(before + units, fee)) - int(plan.fees), 0)
    return Units(min(owed, int(units if by_payee else plan.fee_reserve)))
