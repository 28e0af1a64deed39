"""What a plan is checked against: the terms of its product. The platform's check, the confirmation and every amendment
ask the same question; what is found is a list of failing fields, so that the payer can mend them all at once.
"""

from collections.abc import Iterator

from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.plans.conditions import methods_of
from tallystick.kernel.plans.records import Failing, TrancheTerms
from tallystick.kernel.products.commitments import room_left
from tallystick.kernel.products.records import Product, ProductTerms, Silence
from tallystick.kernel.wages import rules as wages
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status


def failing_fields(
    product: Product, tranches: tuple[TrancheTerms, ...], asked: Units | None = None
) -> tuple[Failing, ...]:
    """Every field of `tranches` that the product does not allow, the whole plan's (tranche 0) first.

    `asked` is how much of the cap is wanted: all that the tranches release, unless this amends a plan that counts for
    some of it already.
    """
    return tuple(_failing(product, tranches, asked))


def check_against(product: Product, tranches: tuple[TrancheTerms, ...], asked: Units | None = None) -> Refusal | None:
    """over_product, naming the first failing field and how many there are."""
    failing = failing_fields(product, tranches, asked)
    if not failing:
        return None
    first = failing[0]
    return refuse(
        Status.OVER_PRODUCT, tranche=first.tranche, field=first.field, reason=first.reason, failing=len(failing)
    )


def _failing(product: Product, tranches: tuple[TrancheTerms, ...], asked: Units | None) -> Iterator[Failing]:
    if not product.takes_plans:
        yield Failing(tranche=0, field="product", reason="not_open")
    wanted = sum(terms.units for terms in tranches) if asked is None else asked
    if wanted > room_left(product):
        yield Failing(tranche=0, field="units", reason="over_cap")
    for number, terms in enumerate(tranches, 1):
        for field, reason in _failing_in(product.terms, terms):
            yield Failing(tranche=number, field=field, reason=reason)
        yield from wages.failing(product, number, terms)


def _failing_in(product: ProductTerms, terms: TrancheTerms) -> Iterator[tuple[str, str]]:
    if terms.release_from_on < product.payment_from_on:
        yield "release_from_on", "before_payments"
    if terms.release_until_on > product.payment_until_on:
        yield "release_until_on", "after_payments"
    if any(method not in product.methods for method in methods_of(terms.condition)):
        yield "condition", "method_not_allowed"
    if terms.on_silence is Silence.ACCEPT and product.on_silence is Silence.DISPUTE and not terms.wages:
        yield "on_silence", "silence_is_no_acceptance"
