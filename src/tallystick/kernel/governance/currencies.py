"""The currencies that the chain knows: an ISO 4217 code and its minor units, each from a day on."""

import datetime
from typing import Annotated

from msgspec import Meta

from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.wire.status import Status


class CurrencyTerms(Record):
    """A currency; its id is the ISO 4217 code."""

    table = "currency"

    minor_digits: Annotated[int, Meta(ge=0, le=4)]
    from_on: datetime.date


def check_currency(step: Step, currency: str) -> Refusal | None:
    """Refuse a currency that the chain does not know, or not yet."""
    terms = step.find(CurrencyTerms, currency)
    if terms is None or terms.from_on > step.today:
        return refuse(Status.UNKNOWN_CURRENCY, currency=currency)
    return None
