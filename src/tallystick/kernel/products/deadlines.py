"""What a passed deadline brings about, state by state (due work)."""

from collections.abc import Iterator
from typing import assert_never

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.step import Step
from tallystick.kernel.law.rules import NOTICE_RUNS
from tallystick.kernel.products.lifecycle import end_product, told
from tallystick.kernel.products.records import Product, ProductState
from tallystick.kernel.products.terms import judge
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS

CLOSING = EventKind(
    "product.closing",
    "The long stop of product {record}, {long_stop_on}, has passed: notice that it closes, and that {payer}'s special "
    "account for its wages may be closed then.",
)


def expire_product(step: Step, record: Record) -> Iterator[Event]:
    """Carry out the outcome that the present state's window ends with."""
    product = step.get(Product, record.id)
    match product.state:
        case ProductState.APPLIED:
            yield from end_product(step, product, ProductState.EXPIRED, "no_counter_contract")
        case ProductState.DIFFERS:
            yield from end_product(step, product, ProductState.EXPIRED, "not_corrected")
        case ProductState.AUTHORISATION_REQUESTED:
            yield from end_product(step, product, ProductState.EXPIRED, "not_authorised")
        case ProductState.AUTHORISED:
            yield from end_product(step, product, ProductState.EXPIRED, "not_drafted")
        case ProductState.CONTRACTS:
            yield from end_product(step, product, ProductState.EXPIRED, "not_signed")
        case ProductState.OPEN | ProductState.SUSPENDED:
            yield from _after_long_stop(step, product)
        case (
            ProductState.UNDER_REVIEW
            | ProductState.CLOSED
            | ProductState.REFUSED
            | ProductState.DECLINED
            | ProductState.WITHDRAWN
            | ProductState.EXPIRED
        ):
            raise InvariantViolation(f"{product.id} is {product.state.value} and has no deadline")
        case _:
            assert_never(product.state)


def _after_long_stop(step: Step, product: Product) -> Iterator[Event]:
    """No plan runs past the long stop: the product closes, once the due work has ended the last of them.

    Without this, one side could keep all whom the product names from leaving the chain by not signing its close. For
    wages it is the ledger that gives notice of it then, and the notice runs first (人社部发〔2021〕53号).
    """
    if product.live_plans:
        step.put(replace(product, deadline=step.now.plus(DAY_MS)))
    elif _notice_has_run(step, product):
        yield from end_product(step, product, ProductState.CLOSED, "long_stop")
    else:
        closing_on = product.closing_on or step.today
        step.put(replace(product, closing_on=closing_on, deadline=step.now.plus(DAY_MS)))
        if product.closing_on is None:
            yield CLOSING(product.id, told(product), payer=product.payer, long_stop_on=product.terms.long_stop_on)


def _notice_has_run(step: Step, product: Product) -> bool:
    """Whether nothing in the law of wage accounts keeps the product open any longer."""
    days = 0 if product.closing_on is None else (step.today - product.closing_on).days
    judged = judge(step, product.terms, closure_notice_days=days)
    return not isinstance(judged, Refusal) or judged.facts.get("reason") != NOTICE_RUNS
