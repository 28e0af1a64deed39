"""What plans use up of a product's cap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Step
from tallystick.kernel.products.commitments import commit, release_commitment, room_left
from tallystick.kernel.products.records import Product
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tests.support.products import MILLION, cast, opened_product


def step_with_product() -> tuple[Step, str]:
    """A step that may write, and an open product of a million."""
    c = cast()
    product_id = opened_product(c.world, c)
    step = Step(c.world.chain, c.world.block(), Overlay(c.world.state), 0, ("block", "t"), ())
    step.begin(0)
    step.open_for_writing()
    return step, product_id


def test_room_is_what_is_not_committed() -> None:
    step, product_id = step_with_product()
    assert room_left(step.get(Product, product_id)) == MILLION
    commit(step, product_id, Units(MILLION - 1))
    commit(step, product_id, Units(1), plans=0)
    product = step.get(Product, product_id)
    assert (room_left(product), product.committed, product.live_plans) == (0, MILLION, 1)
    with pytest.raises(InvariantViolation):
        commit(step, product_id, Units(1))
    release_commitment(step, product_id, Units(MILLION))
    product = step.get(Product, product_id)
    assert (room_left(product), product.committed, product.live_plans) == (MILLION, 0, 0)
    with pytest.raises(InvariantViolation):
        release_commitment(step, product_id, Units(0))
    with pytest.raises(InvariantViolation):
        release_commitment(step, product_id, Units(1), plans=0)


@given(st.lists(st.integers(1, MILLION), min_size=1, max_size=8))
def test_what_all_plans_commit_never_exceeds_the_cap(wanted: list[int]) -> None:
    step, product_id = step_with_product()
    live: list[int] = []
    for units in wanted:
        if units <= room_left(step.get(Product, product_id)):
            commit(step, product_id, Units(units))
            live.append(units)
        elif live:
            release_commitment(step, product_id, Units(live.pop()))
        product = step.get(Product, product_id)
        assert (product.committed, product.live_plans) == (sum(live), len(live))
        assert product.committed + room_left(product) == product.terms.cap
