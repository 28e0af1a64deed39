"""An open product is suspended by its platform, resumes, and is closed by both sides or after the long stop."""

import datetime
from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.calendar.days import end_of
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Code, ProductId, Struct
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.products.lifecycle import check_window, end_product, find_product, told
from tallystick.kernel.products.records import Business, Product, ProductState
from tallystick.kernel.products.terms import judge
from tallystick.wire.status import Status

SUSPENDED = EventKind("product.suspended", "{platform} suspends product {record} until {until}: {reason}.")
RESUMED = EventKind("product.resumed", "Product {record} takes plans again.")


class SuspendProduct(Operation, tag="product.suspend"):
    """Suspend an open product to the end of a day: it takes no new plan, no amendment; running plans go on.

    Signed by the platform. Source: DOMAIN section 3, "Product".
    """

    product: ProductId
    reason: Code
    until_on: datetime.date

    def authority(self, step: Step) -> Signers | Refusal:
        product = find_product(step, self.product)
        return product if isinstance(product, Refusal) else Signers.all(product.platform)

    def check(self, step: Step) -> Refusal | None:
        refusal = check_window(step, step.get(Product, self.product), ProductState.OPEN)
        if refusal is None and self.until_on < step.today:
            return refuse(Status.BAD_DATES, until_on=self.until_on, today=step.today)
        return refusal

    def apply(self, step: Step) -> Iterator[Event]:
        until = end_of(step.overlay, self.until_on)
        product = replace(
            step.get(Product, self.product),
            state=ProductState.SUSPENDED,
            suspended_until=until,
            suspension_reason=self.reason,
        )
        step.put(product)
        yield SUSPENDED(product.id, told(product), platform=product.platform, until=until, reason=self.reason)


class ResumeProduct(Operation, tag="product.resume"):
    """End a product's suspension before its day. Signed by the platform. Source: DOMAIN section 3, "Product".

    One of which two parties have become one by a succession takes no plan any more.
    """

    product: ProductId

    def authority(self, step: Step) -> Signers | Refusal:
        product = find_product(step, self.product)
        return product if isinstance(product, Refusal) else Signers.all(product.platform)

    def check(self, step: Step) -> Refusal | None:
        product = step.get(Product, self.product)
        refusal = check_window(step, product, ProductState.SUSPENDED)
        if refusal is None and len(set(product.parties)) < len(product.parties):
            return refuse(Status.SAME_PARTY, payer=product.payer, payee=product.payee, platform=product.platform)
        return refusal

    def apply(self, step: Step) -> Iterator[Event]:
        yield from _resume(step, step.get(Product, self.product))


def resume_product(step: Step, record: Record) -> Iterator[Event]:
    """The day named at the suspension has passed (due work)."""
    yield from _resume(step, step.get(Product, record.id))


def _resume(step: Step, product: Product) -> Iterator[Event]:
    step.put(replace(product, state=ProductState.OPEN, suspended_until=None, suspension_reason=None))
    yield RESUMED(product.id, told(product))


class ClosureNotice(Struct):
    """The public notice that a wage project's special account will be closed, and the day it was posted."""

    document: Anchor
    posted_on: datetime.date


class CloseProduct(Operation, tag="product.close"):
    """Close a product under which no plan is live, so that nothing of it stands in escrow.

    Signed by payer and payee. A wage product states the closure notice, which must have run (人社部发〔2021〕53号).
    Source: DOMAIN section 3, "Product".
    """

    while_suspended = True

    product: ProductId
    notice: ClosureNotice | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        product = find_product(step, self.product)
        return product if isinstance(product, Refusal) else Signers.all(product.payer, product.payee)

    def check(self, step: Step) -> Refusal | None:
        product = step.get(Product, self.product)
        refusal = check_window(step, product, ProductState.OPEN, ProductState.SUSPENDED)
        if refusal is not None:
            return refusal
        if product.live_plans:
            return refuse(Status.PLANS_LIVE, product=product.id, plans=product.live_plans)
        if (self.notice is None) is (product.terms.business is Business.WAGES):
            return refuse(Status.BAD_VALUE, field="notice", business=product.terms.business.value)
        if self.notice is None:
            return None
        # A notice from before the wages were paid tells nobody that they were.
        earliest = min(product.terms.payment_from_on, step.today)
        if not earliest <= self.notice.posted_on <= step.today:
            return refuse(Status.BAD_DATES, posted_on=self.notice.posted_on, earliest=earliest, today=step.today)
        days = (step.today - self.notice.posted_on).days
        judged = judge(step, product.terms, closure_notice_days=days)
        return judged if isinstance(judged, Refusal) else None

    def apply(self, step: Step) -> Iterator[Event]:
        product = step.get(Product, self.product)
        if self.notice is not None:
            product = replace(product, closure_notice=self.notice.document)
        yield from end_product(step, product, ProductState.CLOSED, "both_sides")
