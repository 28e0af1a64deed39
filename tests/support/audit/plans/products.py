"""Products: two copies that agree, the platform's approval, the payer's authorisation, six signatures, then open."""

from typing import Any

from tests.support.audit.maturity import policies
from tests.support.audit.plans.book import Business, Step, on
from tests.support.audit.seen import Row, facts

PARTIES = {
    "payer_platform": ("payer", "platform"),
    "payee_platform": ("payee", "platform"),
    "payer_payee": ("payer", "payee"),
}
ENDED = ("refused", "declined", "withdrawn", "expired", "closed")
RULE = "a product opens in its order"


def differing(one: Row, other: Row) -> set[str]:
    """The fields in which two readings of a contract differ."""
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def _business(step: Step, event: Row) -> Business:
    found = step.book.businesses.get(event["record"])
    if found is None:
        step.broken("a product begins with its application", event)
    return found


@on("product.applied")
def applied(step: Step, event: Row) -> None:
    asked = step.take("product.apply", event)
    payee = step.seen.signers[0]
    parties = {asked["payer"], payee, asked["platform"]}
    step.require(len(parties) == 3, "payer, payee and platform are three", asked)
    step.require(asked["terms"]["arbitrator"] not in parties, "the arbitrator depends on no side", asked)
    step.require(int(asked["terms"]["cap"]) <= int(asked["contract"]["value"]), "no more than the contract", asked)
    step.same(
        event, RULE, payer=asked["payer"], payee=payee, platform=asked["platform"], cap=int(asked["terms"]["cap"])
    )
    step.book.businesses[event["record"]] = Business(
        event["record"], asked["payer"], payee, asked["platform"], asked["terms"], asked["contract"]
    )


def _compared(step: Step, event: Row) -> tuple[Business, set[str]]:
    business = _business(step, event)
    if step.asked["product.counter_contract"]:
        business.payer_copy = step.take("product.counter_contract", event)["contract"]
    else:
        said = step.take("product.correct", event)["contract"]
        if business.payee in step.seen.signers and step.seen.signers[0] == business.payee:
            business.payee_copy = said
        else:
            step.require(business.payer in step.seen.signers, "a side corrects its own copy", event)
            business.payer_copy = said
    return business, differing(business.payee_copy, business.payer_copy or {})


@on("product.contracts_differ")
def differs(step: Step, event: Row) -> None:
    business, found = _compared(step, event)
    step.require(set(facts(event)["fields"].split(",")) == found, "each difference is told", (event, found))
    business.state = "differs"


@on("product.contracts_agree")
def agrees(step: Step, event: Row) -> None:
    business, found = _compared(step, event)
    step.require(not found, "a difference blocks until it is corrected", (event, found))
    business.state = "under_review"


@on("product.authorisation_requested")
def asked_for(step: Step, event: Row) -> None:
    business = _business(step, event)
    alone = business.state == "applied" and policies(step.before, step.seen.today).get("payee_copy_suffices", False)
    step.require(business.state == "under_review" or business.payer_copy is None, RULE, (event, business.state, alone))
    decided = step.asks("review.decide", result="approve")
    step.require(bool(decided), "the platform has approved", event)
    business.state = "authorisation_requested"


@on("product.authorised")
def authorised(step: Step, event: Row) -> None:
    business = _business(step, event)
    asked = step.take("product.authorise", event)
    step.require(business.state == "authorisation_requested", RULE, event)
    step.require(asked["cap"] == business.terms["cap"], "what is authorised is the cap", asked)
    step.require(business.payer in step.seen.signers, "the payer authorises", event)
    business.state, business.authorised = "authorised", True


@on("product.contracts_drafted")
def drafted(step: Step, event: Row) -> None:
    business = _business(step, event)
    asked = step.take("product.draft_contracts", event)
    step.require(business.state in ("authorised", "contracts") and not business.signed, RULE, event)
    business.drafts = {draft["kind"]: draft for draft in asked["contracts"]}
    step.require(business.drafts.keys() == PARTIES.keys(), "three contracts", asked)
    business.state = "contracts"


@on("product.contract_signed")
def signed(step: Step, event: Row) -> None:
    business = _business(step, event)
    asked = step.take("product.sign_contract", event)
    fact = facts(event)
    step.require(business.state == "contracts", RULE, event)
    draft = business.drafts[asked["kind"]]
    seen_and_drafted = (asked["terms_hash"], asked["document"]) == (draft["terms_hash"], draft["document"]["hash"])
    step.require(seen_and_drafted, "what is signed is what was drafted", (asked, draft))
    step.require(asked["cap"] == business.terms["cap"], "what is signed states the cap", asked)
    parties = {getattr(business, role) for role in PARTIES[asked["kind"]]}
    step.require(fact["signer"] in parties & set(step.seen.signers), "a party signs its contract", event)
    signature = (asked["kind"], fact["signer"])
    step.require(signature not in business.signed, "each signs once", event)
    business.signed.add(signature)


@on("product.opened")
def opened(step: Step, event: Row) -> None:
    business = _business(step, event)
    wanted = {(kind, getattr(business, role)) for kind, roles in PARTIES.items() for role in roles}
    step.require(business.signed == wanted and business.authorised, "six signatures open a product", business)
    business.state = "open"


@on("product.suspended")
def suspended(step: Step, event: Row) -> None:
    business = _business(step, event)
    step.take("product.suspend", event)
    step.require(business.state == "open", RULE, event)
    business.state = "suspended"


@on("product.parties_are_one")
def parties_are_one(step: Step, event: Row) -> None:
    _business(step, event).state = "suspended"


@on("product.resumed")
def resumed(step: Step, event: Row) -> None:
    business = _business(step, event)
    step.require(business.state == "suspended", RULE, event)
    business.state = "open"


@on("product.refused", "product.declined", "product.withdrawn", "product.expired", "product.closed")
def ended(step: Step, event: Row) -> None:
    business = _business(step, event)
    step.require(business.state not in ENDED, "an ended product stays ended", event)
    business.state = event["kind"].removeprefix("product.")
    live = [deal.id for deal in step.book.deals.values() if deal.product == business.id and deal.is_live]
    step.require(not live, "a product ends with nothing of it in escrow", (event, live))


def compare(step: Step, row: Row) -> None:
    """The product's record against the model."""
    business: Any = step.book.businesses.get(row["id"])
    if business is None:
        step.broken("a product begins with its application", row["id"])
    for name in ("payer", "payee", "platform"):
        step.require(row[name] == getattr(business, name), "a product's parties", (row["id"], name))
    if business.state == "applied" and row["state"] == "under_review":
        alone = policies(step.before, step.seen.today).get("payee_copy_suffices", False)
        step.require(alone or business.payer_copy is not None, "the payee's copy alone does only by policy", row["id"])
        business.state = "under_review"
    step.require(row["state"] == business.state, "a product's state", (row["id"], row["state"], business.state))
    deals = [deal for deal in step.book.deals.values() if deal.product == business.id and deal.version]
    live = sum(deal.is_live for deal in deals)
    step.require(int(row.get("live_plans", 0)) == live, "a product counts its live plans", (row["id"], live))
    least = sum(part.counts_for for deal in deals for part in deal.parts)
    committed, cap = int(row.get("committed", "0")), int(row["terms"]["cap"])
    step.require(least <= committed <= cap, "plans release no more than the cap", (row["id"], least, committed, cap))
