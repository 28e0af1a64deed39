"""What becomes of products, plans and disputes when one of the members that they name is suspended or is no more.

Suspended: its own unaccepted requests end (a product applied for, a plan proposed, an amendment). All else goes on:
deposits, evidence, releases, disputes and refunds are what it owes or is owed.

Insolvent: the payer undertakes nothing new, so what it proposed ends. Money in escrow for a confirmed plan stays where
it is: it left the payer's estate for a purpose that both sides agreed on, and goes back to the payer only by the plan's
own ways. What is released to an insolvent payee reaches its account as before.

Succeeded: the successor is payer, payee, platform or arbitrator in the member's place. The anchored version stays as it
was signed, and names who stood there then; payer and platform in its conditions are whoever the plan's row names now.
The office of a verifier or a data source was given to that organisation and to no other: it ends with it, what only it
could confirm can no longer be met, and substitution is an amendment. A custodian's books keep its name. A plan whose
payer and payee become one ends, and its money goes back. Source: DOMAIN section 3, "Member" and "Tranche".
"""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.business import (
    SUCCEEDED_IN,
    on_insolvent,
    on_succeeded,
    on_suspended,
    rename,
)
from tallystick.kernel.membership.rules import is_insolvent
from tallystick.kernel.plans.amending import lapse_amendment
from tallystick.kernel.plans.cases import Dispute
from tallystick.kernel.plans.lookup import parties_of, version_of
from tallystick.kernel.plans.proposing import withdraw_proposal
from tallystick.kernel.plans.records import PENDING_PLANS, Plan
from tallystick.kernel.plans.rulings import PARTIES_ARE_ONE, wind_up
from tallystick.kernel.products.lifecycle import end_product, told
from tallystick.kernel.products.records import Product, ProductState

OFFICE_ENDED = EventKind(
    "plan.office_ended",
    "{member}, named to verify in plan {record}, is no more; it counts as not confirming until an amendment.",
)
ONE = EventKind("plan.parties_are_one", "Payer and payee of plan {record} have become one; it ends, {held} go back.")
NO_PLANS = EventKind(
    "product.parties_are_one", "Two parties of product {record} have become one; it takes no plan any more."
)

UNACCEPTED_PRODUCTS = (ProductState.APPLIED, ProductState.DIFFERS, ProductState.AUTHORISATION_REQUESTED)
"""Waiting for the other side's word on the payee's request; while under review, the review itself is refused."""

OPENED_PRODUCTS = (ProductState.OPEN, ProductState.SUSPENDED)


def suspend_in_product(step: Step, record: Record, member: str) -> Iterator[Event]:
    """The application of a suspended payee ends while the payer has not accepted it."""
    product = step.get(Product, record.id)
    if product.payee == member and product.state in UNACCEPTED_PRODUCTS:
        yield from end_product(step, product, ProductState.EXPIRED, "party_suspended")


def insolvent_in_product(step: Step, record: Record, member: str) -> Iterator[Event]:
    """A product that an insolvent payer was asked for does not come about."""
    product = step.get(Product, record.id)
    if product.payer == member and product.state not in OPENED_PRODUCTS:
        yield from end_product(step, product, ProductState.EXPIRED, "party_insolvent")


def end_requests(step: Step, record: Record, member: str) -> Iterator[Event]:
    """The plan or amendment that a suspended or insolvent payer proposed ends, as nobody has accepted it."""
    plan = step.get(Plan, record.id)
    if plan.payer != member:
        return
    if plan.state in PENDING_PLANS:
        yield from withdraw_proposal(step, plan)
    elif plan.amendment is not None:
        yield from lapse_amendment(step, plan)


def pass_product(step: Step, record: Record, member: str, successor: str) -> Iterator[Event]:
    """The successor is a party in the member's place; what is not open yet is to be applied for in its own name.

    The copies and contracts of an open product stay as they were signed.
    """
    product = step.get(Product, record.id)
    if product.state not in OPENED_PRODUCTS:
        yield from end_product(step, product, ProductState.EXPIRED, "party_succeeded")
        return
    passed = replace(
        product,
        payer=successor if product.payer == member else product.payer,
        payee=successor if product.payee == member else product.payee,
        platform=successor if product.platform == member else product.platform,
        terms=replace(
            product.terms, arbitrator=successor if product.terms.arbitrator == member else product.terms.arbitrator
        ),
    )
    step.put(passed)
    yield SUCCEEDED_IN(product.id, (*told(passed), member), member=member, successor=successor)
    if len(set(passed.parties)) == len(passed.parties):
        return
    if not passed.live_plans:
        yield from end_product(step, passed, ProductState.CLOSED, PARTIES_ARE_ONE)
    else:
        step.put(replace(passed, state=ProductState.SUSPENDED, suspended_until=None, suspension_reason=PARTIES_ARE_ONE))
        yield NO_PLANS(product.id, told(passed))


def pass_plan(step: Step, record: Record, member: str, successor: str) -> Iterator[Event]:
    """The successor is a party in the member's place, in the plan's disputes too; a verifier's office ends."""
    plan = step.get(Plan, record.id)
    passed = replace(
        plan,
        payer=successor if plan.payer == member else plan.payer,
        payee=successor if plan.payee == member else plan.payee,
        platform=successor if plan.platform == member else plan.platform,
        arbitrator=successor if plan.arbitrator == member else plan.arbitrator,
        named=tuple(name for name in plan.named if name != member),
    )
    step.put(passed)
    for dispute_id in plan.disputes:  # those too that came after the walk had passed the disputes
        dispute = step.get(Dispute, dispute_id)
        if member in dispute.live_for():
            yield from rename(step, dispute, member, successor)
    if member in plan.named:
        yield OFFICE_ENDED(plan.id, parties_of(passed), member=member)
    if parties_of(passed) != parties_of(plan) or passed.arbitrator != plan.arbitrator:
        yield SUCCEEDED_IN(plan.id, (*parties_of(passed), member), member=member, successor=successor)
    if passed.payer == passed.payee:
        yield from _end_of_one(step, passed)
    elif passed.payer != plan.payer and is_insolvent(step, passed.payer):
        yield from end_requests(step, passed, passed.payer)


def _end_of_one(step: Step, plan: Plan) -> Iterator[Event]:
    """Nobody pays itself: the plan ends. A freeze of its money follows it into the payer's account."""
    if plan.state in PENDING_PLANS:
        yield from withdraw_proposal(step, plan)
        return
    yield ONE(plan.id, (*parties_of(plan), plan.custodian), held=plan.held)
    yield from wind_up(step, plan, version_of(step, plan), PARTIES_ARE_ONE)


on_suspended("product", suspend_in_product)
on_suspended("plan", end_requests)
on_insolvent("product", insolvent_in_product)
on_insolvent("plan", end_requests)
on_succeeded("product", pass_product)
on_succeeded("plan", pass_plan)
