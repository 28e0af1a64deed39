"""What lateness costs: interest and fixed sums by the law packs, told as claims outside the face (DOMAIN section 2)."""

from collections.abc import Iterator

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.step import Step
from tallystick.kernel.law.claims import Claim, fixed_sum, late_interest
from tallystick.kernel.law.facts import LateFacts
from tallystick.kernel.receivables.records import Receivable
from tallystick.wire.amounts import Units

LATE_CLAIM = EventKind(
    "receivable.late_claim",
    "{amount} {currency} may be claimed besides receivable {record}, {days} days late ({pack}, {clause}).",
)


def interest_claims(step: Step, receivable: Receivable, paid: Units, holders: tuple[str, ...]) -> Iterator[Event]:
    """The interest on `paid` minor units, paid today after the due date. None where no rate was published."""
    claims = late_interest(step.overlay, _facts(step, receivable, paid))
    if not isinstance(claims, Refusal):
        yield from _told(receivable, holders, claims)


def fixed_claims(step: Step, receivable: Receivable, holders: tuple[str, ...]) -> Iterator[Event]:
    """The fixed sum for a debt that has just become overdue."""
    yield from _told(receivable, holders, fixed_sum(step.overlay, _facts(step, receivable, receivable.outstanding)))


def _facts(step: Step, receivable: Receivable, unpaid: Units) -> LateFacts:
    return LateFacts(
        debtor=receivable.debtor,
        creditor=receivable.creditor,
        currency=receivable.currency,
        unpaid=unpaid,
        due_on=receivable.moved_due_on or receivable.due_on,
        until_on=step.today,
        contract_on=receivable.issue_on,
    )


def _told(receivable: Receivable, holders: tuple[str, ...], claims: tuple[Claim, ...]) -> Iterator[Event]:
    for claim in claims:
        if claim.amount:
            yield LATE_CLAIM(
                receivable.id,
                (receivable.debtor, *holders),
                amount=claim.amount,
                currency=receivable.currency,
                days=claim.days,
                pack=claim.pack,
                rule=claim.rule,
                clause=claim.clause,
            )
