"""Every waiting state of a product ends by itself, one millisecond after its last instant and not before."""

from collections.abc import Callable

import pytest

from tallystick.kernel.products.records import ProductState
from tests.support.products import (
    Cast,
    applied_product,
    approved_product,
    authorised_product,
    cast,
    counter_of,
    deadline_of,
    drafted_product,
    signature_of,
)
from tests.support.world import World


def differing_product(world: World, c: Cast) -> str:
    """A product whose copies differ."""
    product_id = applied_product(world, c)
    world.do(counter_of(c, product_id, title="Something else"), by=c.payer)
    return product_id


def half_signed_product(world: World, c: Cast) -> str:
    """A product whose payer has signed, and nobody else."""
    product_id = drafted_product(world, c)
    kinds = [contract.kind for contract in c.product(product_id).contracts]
    world.do(signature_of(c, product_id, kinds[0]), signature_of(c, product_id, kinds[2]), by=c.payer)
    return product_id


@pytest.mark.parametrize(
    ("reach", "state", "reason"),
    [
        (applied_product, ProductState.APPLIED, "no_counter_contract"),
        (differing_product, ProductState.DIFFERS, "not_corrected"),
        (approved_product, ProductState.AUTHORISATION_REQUESTED, "not_authorised"),
        (authorised_product, ProductState.AUTHORISED, "not_drafted"),
        (half_signed_product, ProductState.CONTRACTS, "not_signed"),
    ],
)
def test_both_sides_of_the_last_instant(reach: Callable[[World, Cast], str], state: ProductState, reason: str) -> None:
    c = cast()
    product_id = reach(c.world, c)
    last = deadline_of(c, product_id)
    c.world.wait(until=last)
    assert c.product(product_id).state is state
    c.world.wait(until=last.plus(1))
    row = c.product(product_id)
    assert (row.state, row.deadline, row.due(), row.live_for()) == (ProductState.EXPIRED, None, (), ())
    event = c.world.events[-1]
    assert (event.kind, event.facts["reason"]) == ("product.expired", reason)
    assert set(event.audience) == {c.payer, c.payee, c.platform}
