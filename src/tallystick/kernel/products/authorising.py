"""The platform's review of a product and the payer's answer to the authorisation request (授信请求)."""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Code, Currency, ProductId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.rules import present_party
from tallystick.kernel.products.lifecycle import check_window, end_product, find_product, in_days
from tallystick.kernel.products.records import Product, ProductState
from tallystick.kernel.products.terms import check_parties, check_terms
from tallystick.kernel.reviews.records import Decision, Review
from tallystick.kernel.reviews.subjects import register
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status

ASKED = EventKind(
    "product.authorisation_requested",
    "{platform} approved product {record}; {payer} is asked to authorise it, up to {cap} {currency}, until {until}.",
)
AUTHORISED = EventKind(
    "product.authorised",
    "{payer} authorises product {record} up to {cap} {currency}; {platform} is to draft its contracts until {until}.",
)


class _ProductReview:
    """Reviews of products: the product's own platform decides, and no other one."""

    reviewer_role = Role.PLATFORM

    def check_approval(self, step: Step, review: Review, decision: Decision) -> Refusal | None:
        return check_still_fit(step, step.get(Product, review.subject))

    def approved(self, step: Step, review: Review, decision: Decision) -> Iterator[Event]:
        product = step.get(Product, review.subject)
        until = in_days(step, policies(step).authorise_days)
        step.put(replace(product, state=ProductState.AUTHORISATION_REQUESTED, deadline=until))
        yield ASKED(
            product.id,
            product.parties,
            payer=product.payer,
            platform=product.platform,
            currency=product.terms.currency,
            cap=product.terms.cap,
            until=until,
        )

    def refused(self, step: Step, review: Review, reason: str) -> Iterator[Event]:
        yield from end_product(step, step.get(Product, review.subject), ProductState.REFUSED, reason)

    def expired(self, step: Step, review: Review) -> Iterator[Event]:
        yield from end_product(step, step.get(Product, review.subject), ProductState.EXPIRED, "review_expired")


def _check_seat(step: Step, review: Review, reviewer: str, _role: Role) -> Refusal | None:
    """No other platform than the one that would run the product has a say in it."""
    product = step.get(Product, review.subject)
    if reviewer != present_party(step, product.platform):
        return refuse(Status.NOT_THE_REVIEWER, organisation=reviewer, platform=product.platform)
    return None


register("product", _ProductReview(), _check_seat)


def check_still_fit(step: Step, product: Product) -> Refusal | None:
    """Whether parties and terms are as fit today as they were at the application."""
    payer, payee, platform = product.parties
    return check_parties(step, payer, payee, platform) or check_terms(step, payer, payee, platform, product.terms)


class AuthoriseProduct(Operation, tag="product.authorise"):
    """Authorise a product that the platform approved, stating how much its plans may release in all (授信请求).

    Signed by the payer. Source: DOMAIN section 3, "Product".
    """

    product: ProductId
    currency: Currency
    cap: Units

    def amount(self) -> tuple[str, Units]:
        return self.currency, self.cap

    def authority(self, step: Step) -> Signers | Refusal:
        product = find_product(step, self.product)
        return product if isinstance(product, Refusal) else Signers.all(product.payer)

    def check(self, step: Step) -> Refusal | None:
        product = step.get(Product, self.product)
        refusal = check_window(step, product, ProductState.AUTHORISATION_REQUESTED)
        if refusal is not None:
            return refusal
        if self.currency != product.terms.currency:
            return refuse(Status.CURRENCY_MISMATCH, currency=product.terms.currency)
        if self.cap != product.terms.cap:
            return refuse(Status.AMOUNT_DIFFERS, cap=product.terms.cap)
        return check_still_fit(step, product)

    def apply(self, step: Step) -> Iterator[Event]:
        product = step.get(Product, self.product)
        until = in_days(step, policies(step).draft_contracts_days)
        step.put(replace(product, state=ProductState.AUTHORISED, authorised=step.position, deadline=until))
        yield AUTHORISED(
            product.id,
            product.parties,
            payer=product.payer,
            platform=product.platform,
            currency=self.currency,
            cap=self.cap,
            until=until,
        )


class DeclineProduct(Operation, tag="product.decline"):
    """Decline a product, with a reason: at the authorisation request, or before the copies of the contract agree.

    Signed by the payer. Source: DOMAIN section 3, "Product".
    """

    while_suspended = True

    product: ProductId
    reason: Code

    def authority(self, step: Step) -> Signers | Refusal:
        product = find_product(step, self.product)
        return product if isinstance(product, Refusal) else Signers.all(product.payer)

    def check(self, step: Step) -> Refusal | None:
        return check_window(
            step,
            step.get(Product, self.product),
            ProductState.APPLIED,
            ProductState.DIFFERS,
            ProductState.AUTHORISATION_REQUESTED,
        )

    def apply(self, step: Step) -> Iterator[Event]:
        yield from end_product(step, step.get(Product, self.product), ProductState.DECLINED, self.reason)
