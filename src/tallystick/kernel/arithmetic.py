"""The trade's sums: discount, fee and net, day counts, dividing an amount, ranking prices. Exact integers throughout.

Each rounding is named, happens once and states who keeps the remainder. Source: DOMAIN section 4.
"""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cmp_to_key
from typing import assert_never

from tallystick.kernel.core.fields import Position, Struct
from tallystick.wire.amounts import RATE_SCALE, Rate, Units, total
from tallystick.wire.errors import InvariantViolation

PERCENT = 100 * RATE_SCALE
"""What a rate is divided by to become a fraction: rates are percent times 10^6."""

RANKING_YEAR_DAYS = 365
"""All prices are ranked on ACT/365, whatever basis each quotes (DOMAIN section 4)."""


class DayCount(Enum):
    """How days are counted and what a year is taken to be; stored per contract."""

    ACT_360 = "act/360"
    ACT_365F = "act/365f"
    THIRTY_E_360 = "30e/360"

    @property
    def year_days(self) -> int:
        """D of the formula: the days of a year."""
        return 365 if self is DayCount.ACT_365F else 360


def days_between(first: datetime.date, last: datetime.date, count: DayCount) -> int:
    """Days from `first`, which counts, to `last`, which does not (算头不算尾). Negative when `last` is earlier."""
    match count:
        case DayCount.ACT_360 | DayCount.ACT_365F:
            return (last - first).days
        case DayCount.THIRTY_E_360:
            months = (last.year - first.year) * 12 + last.month - first.month
            return months * 30 + min(last.day, 30) - min(first.day, 30)
        case _:
            assert_never(count)


def half_up(numerator: int, denominator: int) -> int:
    """`numerator / denominator`, neither negative, to the nearest integer; a half goes up."""
    if numerator < 0 or denominator <= 0:
        raise InvariantViolation(f"cannot round {numerator}/{denominator}")
    return (2 * numerator + denominator) // (2 * denominator)


def share_of(amount: Units, rate: Rate) -> int:
    """`rate` percent of `amount` in minor units, rounded half up once. It may exceed what an amount can hold."""
    return half_up(amount * rate, PERCENT)


def simple_interest(amount: Units, rate: Rate, days: int, count: DayCount) -> int:
    """The amount x rate x days / D in minor units, rounded half up once. It may exceed what an amount can hold."""
    return half_up(amount * rate * days, PERCENT * count.year_days)


class Terms(Struct):
    """A price as it is quoted: yearly rate, its day count, a fee in percent of the face with a minimum."""

    rate: Rate
    day_count: DayCount
    fee_rate: Rate
    minimum_fee: Units


class Price(Struct):
    """What an amount costs to finance: face = discount + fee + net. `days` are those of the quoted day count."""

    face: Units
    days: int
    discount: Units
    fee: Units
    net: Units

    @property
    def cost(self) -> Units:
        """Discount and fee together."""
        return self.discount + self.fee


def price_of(face: Units, terms: Terms, value_on: datetime.date, due_on: datetime.date) -> Price | None:
    """The price of `face` paid out on `value_on` and due on `due_on`; None where no day or nothing to pay out is left.

    Discount and fee are each rounded half up once, the net follows by subtraction and so takes the remainder.
    """
    days = days_between(value_on, due_on, terms.day_count)
    if days <= 0:
        return None
    discount = simple_interest(face, terms.rate, days, terms.day_count)
    fee = max(share_of(face, terms.fee_rate), terms.minimum_fee)
    if discount + fee >= face:
        return None
    taken = Units(discount), Units(fee)
    return Price(face=face, days=days, discount=taken[0], fee=taken[1], net=face - taken[0] - taken[1])


@dataclass(frozen=True, slots=True)
class YearlyCost:
    """The cost of a year per unit of money received, kept as an exact rational: cost x 365 / (received x days).

    `days` are actual days from one value date for all that are compared.
    """

    cost: Units
    received: Units
    days: int

    def compared(self, other: "YearlyCost") -> int:
        """Negative if this is cheaper than `other`, 0 if exactly equal, positive if dearer; by cross-multiplication."""
        mine = self.cost * RANKING_YEAR_DAYS * other.received * other.days
        return mine - other.cost * RANKING_YEAR_DAYS * self.received * self.days


@dataclass(frozen=True, slots=True)
class Bid:
    """One price in a ranking. `committed` is where on the ledger it was quoted, or its seal was."""

    name: str
    yearly_cost: YearlyCost
    with_recourse: bool
    committed: Position


def ranked(bids: Iterable[Bid]) -> list[Bid]:
    """The bids from cheapest to dearest; of equal cost without recourse first, then in the order of commitment."""
    return sorted(bids, key=cmp_to_key(_compare))


def _compare(one: Bid, other: Bid) -> int:
    by_cost = one.yearly_cost.compared(other.yearly_cost)
    if by_cost:
        return by_cost
    mine, its = (one.with_recourse, one.committed, one.name), (other.with_recourse, other.committed, other.name)
    return (mine > its) - (mine < its)


def divide(amount: Units, weights: Sequence[Units]) -> list[Units]:
    """`amount` divided in proportion to `weights`: each share floored, the rest one unit each in the stated order.

    The shares sum to `amount`; a weight of zero gets nothing; no share exceeds its weight where `amount` does not
    exceed their sum. The caller skips shares of zero.
    """
    whole = sum(weights)
    if whole == 0:
        raise InvariantViolation(f"{amount} divided among nobody")
    shares = [amount * weight // whole for weight in weights]
    rest = amount - sum(shares)
    for position, weight in enumerate(weights):
        if rest == 0:
            break
        if weight:
            shares[position] += 1
            rest -= 1
    divided = [Units(share) for share in shares]
    if total(divided) != amount:
        raise InvariantViolation(f"shares of {amount} sum to {total(divided)}")
    return divided
