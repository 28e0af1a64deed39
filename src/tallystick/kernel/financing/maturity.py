"""What a redemption does to units that a financing locks.

Once both sides signed, money for these units becomes a held share and the financing's outcome decides whose it is
(`redemption.shares.decide_shares`); before that, the holder is paid and the request ends. Source: DOMAIN section 3.
"""

from collections.abc import Iterator

from tallystick.kernel.core.events import Event
from tallystick.kernel.core.step import Step
from tallystick.kernel.financing.lifecycle import put_ended
from tallystick.kernel.financing.records import Financing, FinancingState
from tallystick.wire.errors import InvariantViolation


def takes_payment(step: Step, financing_id: str) -> bool:
    """Whether money for units that this financing locks is held for its outcome and not paid to the holder."""
    return step.get(Financing, financing_id).is_bound


def end_redeemed(step: Step, financing_id: str) -> Iterator[Event]:
    """Units of a financing without a signed contract were paid to their holder: it ends.

    The caller has dropped its lock already, and writes the receivable.
    """
    financing = step.get(Financing, financing_id)
    if financing.is_bound:
        raise InvariantViolation(f"{financing_id} is under contract; its units' money is held for its outcome")
    yield put_ended(step, financing, FinancingState.EXPIRED, "redeemed")
