"""From a proposal to the anchored plan, and its amendments: what binds is what both sides signed the hash of."""

import datetime
import hashlib

from tests.support.audit.entitlement import canonical
from tests.support.audit.maturity import policies
from tests.support.audit.plans.book import Step, on
from tests.support.audit.plans.conditions import days
from tests.support.audit.plans.days import ONE, end_of, moved, start_of
from tests.support.audit.plans.model import Deal, Part
from tests.support.audit.seen import Row, facts

KEPT = {"funding_grace_days": 5, "evidence_rounds": 3, "extensions": 3, "negotiation_days": 10}
"""The policies, with their defaults, that a plan keeps as they were on the day of its confirmation."""

PENDING = ("proposed", "sent_back", "sent")
KEPT_UNDER_VERIFICATION = ("release_until_on", "if_unmet", "extend_days", "unused")


def hash_of(tranches: list[Row]) -> str:
    """The hash that platform and payee sign, by the standard library alone."""
    return hashlib.sha256(canonical(tranches)).hexdigest()


def total_of(tranches: list[Row]) -> int:
    return sum(int(terms["units"]) for terms in tranches)


@on("plan.proposed")
def proposed(step: Step, event: Row) -> None:
    asked = step.take("plan.propose", event)
    business = step.book.businesses[asked["product"]]
    step.require(business.state == "open", "only an open product takes a plan", (event, business.state))
    step.require(business.payer in step.seen.signers, "the payer proposes", event)
    step.same(
        event, "what is told is what was proposed", total=total_of(asked["tranches"]), terms=hash_of(asked["tranches"])
    )
    before = step.book.deals.get(event["record"])
    if before is not None:
        step.require(
            before.state == "sent_back" and asked.get("plan") == before.id, "proposed again when sent back", event
        )
    step.book.deals[event["record"]] = Deal(
        event["record"],
        business.id,
        business.payer,
        business.payee,
        business.platform,
        business.terms["custodian"],
        business.terms["arbitrator"],
        business.terms["currency"],
        asked["tranches"],
    )


@on("plan.sent", "plan.sent_back")
def checked(step: Step, event: Row) -> None:
    deal = step.deal(event)
    asked = step.take("plan.check", event)
    step.require(deal.state == "proposed", "a proposed plan is checked", (event, deal.state))
    step.require(asked["terms"] == hash_of(deal.draft), "the platform checks what stands proposed", asked)
    deal.state = event["kind"].removeprefix("plan.")
    if deal.state == "sent":
        _within_product(step, deal, deal.draft)


def _within_product(step: Step, deal: Deal, tranches: list[Row]) -> None:
    terms = step.book.businesses[deal.product].terms
    rule = "a plan keeps within its product"
    for number, each in enumerate(tranches, 1):
        if int(each["units"]) == 0:
            continue
        in_days = (
            terms["payment_from_on"] <= each["release_from_on"] <= each["release_until_on"] <= terms["payment_until_on"]
        )
        step.require(in_days, rule, (deal.id, number, each["release_from_on"], each["release_until_on"]))
        used = {leaf["when"] for leaf in _leaves(each["condition"])}
        step.require(used <= set(terms["methods"]), rule, (deal.id, number, used))
        if each.get("on_silence", "dispute") == "accept" and not each.get("wages"):
            agreed = terms.get("on_silence", "dispute") == "accept"
            step.require(agreed, "silence accepts only where the product says so", (deal.id, number))
        step.require(each.get("wages", False) == ("wages" in terms), "wages by wage products alone", (deal.id, number))


def _leaves(tree: Row) -> list[Row]:
    return [leaf for branch in tree["of"] for leaf in _leaves(branch)] if "of" in tree else [tree]


@on("plan.anchored")
def anchored(step: Step, event: Row) -> None:
    deal = step.deal(event)
    asked = step.take("plan.confirm", event)
    business = step.book.businesses[deal.product]
    step.require(deal.state == "sent", "a plan is confirmed when the platform has sent it", (event, deal.state))
    step.require(asked["terms"] == hash_of(deal.draft), "the payee confirms what stands proposed", asked)
    step.require(int(asked["total"]) == total_of(deal.draft), "the payee confirms the total", asked)
    step.require(deal.payee in step.seen.signers, "the payee confirms", event)
    step.require(business.state == "open", "only an open product takes a plan", (event, business.state))
    _within_product(step, deal, deal.draft)
    deal.state, deal.version, deal.terms = "active", 1, business.terms
    deal.rules = {name: int(policies(step.before, step.seen.today).get(name, days_)) for name, days_ in KEPT.items()}
    deal.parts = [Part(terms) for terms in deal.draft]
    for part in deal.parts:
        _date(step, deal, part)
    _open_days(step, deal)
    deal.long_stop_at = end_of(step.before, datetime.date.fromisoformat(deal.terms["long_stop_on"]))


def _open_days(step: Step, deal: Deal) -> None:
    """When each day of the conditions opens; one that was known keeps its instant."""
    wanted = {day for part in deal.parts for day in days(part.terms["condition"])}
    deal.opens = {day: deal.opens.get(day, start_of(step.before, moved(step.before, day))) for day in wanted}


def _date(step: Step, deal: Deal, part: Part) -> None:
    """The instants that a tranche's days lead to."""
    terms, rows = part.terms, step.before
    grace = deal.rules["funding_grace_days"]
    part.release_at = start_of(rows, moved(rows, terms["release_from_on"]))
    part.unmet_at = end_of(rows, moved(rows, terms["release_until_on"]))
    part.fund_until = end_of(rows, moved(rows, terms["fund_by_on"]) + ONE * grace) if part.missing else None
    kept = terms.get("retention")
    part.retained_until = None if kept is None else start_of(rows, moved(rows, kept["until_on"]))


@on("plan.declined", "plan.withdrawn", "plan.expired")
def dropped(step: Step, event: Row) -> None:
    deal = step.deal(event)
    step.require(deal.state in PENDING, "only what is not confirmed ends so", (event, deal.state))
    if event["kind"] == "plan.expired":
        step.require(step.is_due, "time alone lets a proposal expire", event)
    deal.state, deal.ended = event["kind"].removeprefix("plan."), True


@on("plan.amendment_proposed")
def amendment_proposed(step: Step, event: Row) -> None:
    deal = step.deal(event)
    asked = step.take("plan.amend", event)
    step.require(deal.state == "active", "an active plan is amended", (event, deal.state))
    step.require(step.book.businesses[deal.product].state == "open", "a suspended product takes no amendment", event)
    deal.amendment = asked["tranches"]


@on("plan.amendment_declined", "plan.amendment_lapsed")
def amendment_gone(step: Step, event: Row) -> None:
    step.deal(event).amendment = None


@on("plan.amended")
def amended(step: Step, event: Row) -> None:
    deal = step.deal(event)
    asked = step.take("plan.confirm_amendment", event)
    step.require(deal.amendment is not None, "an amendment that was proposed", event)
    tranches = deal.amendment or []
    step.require(asked["terms"] == hash_of(tranches), "the payee confirms the amendment that stands", asked)
    step.require(deal.payee in step.seen.signers, "the payee confirms", event)
    step.require(len(tranches) >= len(deal.parts), "no number is lost", event)
    had = [part.terms for part in deal.parts]
    for number, (part, terms) in enumerate(zip(deal.parts, tranches, strict=False), 1):
        if terms != part.terms:
            _change(step, deal, number, part, terms)
    fresh = [Part(terms) for terms in tranches[len(deal.parts) :]]
    deal.parts += fresh
    _open_days(step, deal)
    for part in fresh:
        _date(step, deal, part)
    deal.version, deal.amendment = deal.version + 1, None
    changed = [terms for number, terms in enumerate(tranches) if number >= len(had) or terms != had[number]]
    _within_product(step, deal, changed)
    step.same(event, "an amendment's version", version=f"plan_version/{deal.id}/{deal.version}")


def _change(step: Step, deal: Deal, number: int, part: Part, terms: Row) -> None:
    """A tranche takes on other terms: never what is over, nor below what is spoken for (DOMAIN, "Plan")."""
    rule = "an amendment takes nothing back"
    step.require(not part.is_over, rule, (deal.id, number))
    spoken_for = part.released + part.fees + part.disputed + part.retained + part.refunded - part.given_back
    step.require(int(terms["units"]) >= spoken_for, rule, (deal.id, number, spoken_for))
    before = part.terms
    if any(before[name] != terms[name] for name in ("units", "fund_units")):
        # What was consented of a deposit beyond the amount never lowered it, and does not come to do so.
        surplus = min(part.consented, part.wanted - part.units)
        part.consented, part.given_back = part.consented - surplus, part.given_back + surplus
    part.terms = terms
    if part.phase != "waiting":
        new = {name for name in before.keys() | terms.keys() if before.get(name) != terms.get(name)}
        step.require(new <= set(KEPT_UNDER_VERIFICATION), rule, (deal.id, number, new))
    if part.is_dropped:
        return
    old = (part.release_at, part.unmet_at, part.fund_until, part.retained_until, part.overdue)
    _date(step, deal, part)
    if before["release_until_on"] == terms["release_until_on"]:
        part.unmet_at = old[1]
    else:
        part.extended = 0
    if part.phase != "waiting":
        part.release_at, _, part.fund_until, part.retained_until, part.overdue = old
        part.unmet_at = max(part.unmet_at or 0, part.answer_by or 0) or None
        return
    if before["release_from_on"] == terms["release_from_on"]:
        part.release_at = old[0]
    if before.get("retention", {}).get("until_on") == terms.get("retention", {}).get("until_on"):
        part.retained_until = old[3]
    if part.fund_until is not None and old[2] is not None and before["fund_by_on"] == terms["fund_by_on"]:
        part.fund_until = old[2]
    else:
        part.overdue = False


@on("member.succeeded")
def succeeded(step: Step, event: Row) -> None:
    step.book.successors[event["record"]] = facts(event)["successor"]


@on("member.succeeded_in", "plan.office_ended")
def passed(step: Step, event: Row) -> None:
    """The successor stands in the member's place in a product or a plan."""
    fact = facts(event)
    if event["kind"] == "plan.office_ended":
        return
    for found in (step.book.deals.get(event["record"]), step.book.businesses.get(event["record"])):
        if found is not None:
            for role in ("payer", "payee", "platform"):
                if getattr(found, role) == fact["member"]:
                    setattr(found, role, fact["successor"])
    deal = step.book.deals.get(event["record"])
    if deal is not None and deal.arbitrator == fact["member"]:
        deal.arbitrator = fact["successor"]
    business = step.book.businesses.get(event["record"])
    if business is not None and business.terms["arbitrator"] == fact["member"]:
        business.terms = {**business.terms, "arbitrator": fact["successor"]}
