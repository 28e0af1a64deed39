"""What the standing of a member means for plans, and whom each step is told to."""

from collections.abc import Iterable

from tests.support.audit.plans.book import Step, on
from tests.support.audit.plans.model import Deal
from tests.support.audit.seen import Row, Seen
from tests.support.audit.standing import state_of

TOLD = {
    "plan.anchored": ("payer", "payee", "platform", "custodian", "arbitrator"),
    "plan.amended": ("payer", "payee", "platform"),
    "plan.funded": ("payer", "payee"),
    "plan.unfunded": ("payer", "payee"),
    "plan.completed": ("payer", "payee"),
    "plan.cancelled": ("payer", "payee"),
    "tranche.verified": ("payer", "payee", "platform"),
    "tranche.released": ("payer", "payee", "platform"),
    "tranche.refunded": ("payer", "payee"),
    "tranche.overdue": ("payer", "payee"),
    "tranche.ended": ("payer", "payee"),
    "dispute.opened": ("payer", "payee"),
    "dispute.in_arbitration": ("payer", "payee", "arbitrator"),
    "dispute.ruled": ("payer", "payee"),
    "refund.requested": ("payee",),
    "evidence.claimed": ("payer", "platform"),
}
"""Who is told of an event, by their place in the plan (DOMAIN: payer and payee are told)."""


def check_told(step: Step, event: Row, deal: Deal) -> None:
    """Whoever an event concerns is told of it."""
    wanted = {getattr(deal, place) for place in TOLD.get(event["kind"], ())}
    step.require(wanted <= set(event["audience"]), "those concerned are told", (event, wanted))


@on("member.left")
def left(step: Step, event: Row) -> None:
    """Leaving is refused while the member is named in anything live (DOMAIN, "Leaving")."""
    who = event["record"]
    named = [
        deal.id
        for deal in step.book.deals.values()
        if not deal.ended and who in (deal.payer, deal.payee, deal.platform, deal.arbitrator, deal.custodian)
    ]
    offices = [deal.id for deal in step.book.deals.values() if deal.is_live and who in named_in(deal)]
    step.require(not named and not offices, "who leaves is named in no live plan", (who, named, offices))


def named_in(deal: Deal) -> set[str]:
    """The verifiers and sources of the version in force."""
    return {name for part in deal.parts for name in _named(part.terms["condition"])}


def _named(tree: Row) -> Iterable[str]:
    if "of" in tree:
        return [name for branch in tree["of"] for name in _named(branch)]
    return [*tree.get("verifiers", ()), *((tree["source"],) if "source" in tree else ())]


def check_quiet(seen: Seen, rows: dict[str, Row], deals: Iterable[Deal]) -> None:
    """What must hold between any two steps, where no walk is under way."""
    walking = {row["member"] for key, row in rows.items() if key.startswith("walk/")}
    for deal in deals:
        if deal.ended:
            continue
        sides = {deal.payer, deal.payee, deal.platform, deal.arbitrator} - walking
        gone = {name for name in sides if state_of(rows, name) in ("succeeded", "left")}
        seen.require(not gone, "who is gone is no side of a live plan", (deal.id, gone))
        waits = deal.version == 0 or deal.amendment is not None
        if waits and deal.payer not in walking:
            suspended = state_of(rows, deal.payer) == "suspended"
            seen.require(not suspended, "what a suspended payer proposed ends", (deal.id, deal.payer))
            insolvent = "insolvent_since" in rows[f"member/{deal.payer}"]
            seen.require(not insolvent, "an insolvent payer proposes nothing", (deal.id, deal.payer))
