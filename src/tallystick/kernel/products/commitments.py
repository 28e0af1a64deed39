"""What the plans under a product use up of its cap: committed when a plan is confirmed, given back when it ends."""

from msgspec.structs import replace

from tallystick.kernel.core.step import Step
from tallystick.kernel.products.records import Product
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.errors import InvariantViolation


def room_left(product: Product) -> Units:
    """What further plans may still release under the product, in minor units of its currency."""
    cap, committed = product.terms.cap, product.committed
    return cap - committed if cap > committed else ZERO


def commit(step: Step, product_id: str, units: Units, plans: int = 1) -> None:
    """Count `units` that a plan may release, and `plans` more live plans (an amendment that asks for more: 0).

    Room is the caller's to check; more than the cap is a bug and raises `InvariantViolation`.
    """
    product = step.get(Product, product_id)
    if units > room_left(product):
        raise InvariantViolation(f"{product_id} has room for {room_left(product)}, not for {units}")
    step.put(replace(product, committed=product.committed + units, live_plans=product.live_plans + plans))


def release_commitment(step: Step, product_id: str, units: Units, plans: int = 1) -> None:
    """Give back `units` that no plan will release any more, and `plans` that ended (an amendment that asks less: 0)."""
    product = step.get(Product, product_id)
    if plans > product.live_plans:
        raise InvariantViolation(f"{product_id} has {product.live_plans} live plans, {plans} end")
    step.put(replace(product, committed=product.committed - units or ZERO, live_plans=product.live_plans - plans))
