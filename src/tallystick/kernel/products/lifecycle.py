"""What the steps of a product share: finding it, its windows, and its ends."""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.rules import check_party
from tallystick.kernel.products.records import Product, ProductState
from tallystick.kernel.reviews.subjects import close_review
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status

ENDED = {
    ProductState.REFUSED: EventKind("product.refused", "The review refused product {record}: {reason}."),
    ProductState.DECLINED: EventKind("product.declined", "{payer} declined product {record}: {reason}."),
    ProductState.WITHDRAWN: EventKind("product.withdrawn", "{payee} withdrew its application for product {record}."),
    ProductState.EXPIRED: EventKind("product.expired", "Product {record} ended before it was open: {reason}."),
    ProductState.CLOSED: EventKind("product.closed", "Product {record} is closed: {reason}."),
}


def find_product(step: Step, product_id: str) -> Product | Refusal:
    """The product, or not_found."""
    return step.find(Product, product_id) or refuse(Status.NOT_FOUND, product=product_id)


def check_window(step: Step, product: Product, *states: ProductState) -> Refusal | None:
    """wrong_state unless it stands in one of `states`, deadline_passed once that state's window has closed.

    A product whose copies differ is refused as contracts_differ: that is what bars the way.
    """
    if product.state not in states:
        if product.state is ProductState.DIFFERS:
            return refuse(Status.CONTRACTS_DIFFER, product=product.id, fields=fields_differing(product))
        return refuse(Status.WRONG_STATE, product=product.id, state=product.state.value)
    if product.deadline is not None and step.now > product.deadline:
        return refuse(Status.DEADLINE_PASSED, product=product.id, deadline=product.deadline)
    return None


def check_others(step: Step, product: Product) -> Refusal | None:
    """Whether payer, payee and platform are all members in good standing."""
    for party in product.parties:
        refusal = check_party(step, party)
        if refusal is not None:
            return refusal
    return None


def fields_differing(product: Product) -> str:
    """The names of the fields in which the latest copies differ, as events and refusals state them."""
    return ",".join(difference.field for difference in product.comparisons[-1].differences)


def in_days(step: Step, days: int) -> Instant:
    """The end of a window that opens now."""
    return step.now.plus(days * DAY_MS)


def end_product(step: Step, product: Product, state: ProductState, reason: str) -> Iterator[Event]:
    """End it, with the review that is under way."""
    if product.live_plans:
        raise InvariantViolation(f"{product.id} ends with {product.live_plans} live plans")
    if product.state is ProductState.UNDER_REVIEW and product.review is not None:
        yield from close_review(step, product.review)
    step.put(replace(product, state=state, deadline=None, suspended_until=None, ended=step.position))
    yield ENDED[state](product.id, told(product), payer=product.payer, payee=product.payee, reason=reason)


def told(product: Product) -> tuple[str, ...]:
    """Whom an event about the product is for: its parties and, once it has been open, custodian and arbitrator."""
    if product.opened is None:
        return product.parties
    return (*product.parties, product.terms.custodian, product.terms.arbitrator)
