"""What holds for every amount: sums are exact, a rounding is at most half a unit off, a ranking is one order."""

import datetime
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.kernel.arithmetic import (
    Bid,
    DayCount,
    Terms,
    YearlyCost,
    days_between,
    divide,
    half_up,
    price_of,
    ranked,
)
from tallystick.kernel.core.fields import Position
from tallystick.wire.amounts import MAX_RATE, MAX_UNITS, Rate, Units
from tallystick.wire.errors import InvariantViolation

AMOUNTS = st.integers(1, MAX_UNITS).map(Units)
DATES = st.dates(datetime.date(2000, 1, 1), datetime.date(2200, 12, 31))
TERMS = st.builds(
    Terms,
    rate=st.integers(0, MAX_RATE).map(Rate) | st.integers(0, 30_000_000).map(Rate),
    day_count=st.sampled_from(DayCount),
    fee_rate=st.integers(0, 5_000_000).map(Rate),
    minimum_fee=st.integers(0, MAX_UNITS).map(Units) | st.integers(0, 10_000).map(Units),
)


@given(numerator=st.integers(0, 10**40), denominator=st.integers(1, 10**20))
def test_half_up_is_the_nearest_and_a_half_goes_up(numerator: int, denominator: int) -> None:
    exact, rounded = Fraction(numerator, denominator), half_up(numerator, denominator)
    assert Fraction(-1, 2) < rounded - exact <= Fraction(1, 2)


@pytest.mark.parametrize(("numerator", "denominator"), [(-1, 2), (1, 0), (1, -1)])
def test_half_up_is_for_amounts_only(numerator: int, denominator: int) -> None:
    with pytest.raises(InvariantViolation):
        half_up(numerator, denominator)


@given(face=AMOUNTS, terms=TERMS, first=DATES, second=DATES)
def test_a_price_adds_up(face: Units, terms: Terms, first: datetime.date, second: datetime.date) -> None:
    value_on, due_on = min(first, second), max(first, second)
    price = price_of(face, terms, value_on, due_on)
    exact = Fraction(face * terms.rate * max(0, days_between(value_on, due_on, terms.day_count)))
    exact /= 100 * 10**6 * (365 if terms.day_count is DayCount.ACT_365F else 360)
    if price is None:
        fee = max(Fraction(face * terms.fee_rate, 10**8), terms.minimum_fee)
        assert days_between(value_on, due_on, terms.day_count) <= 0 or exact + fee >= int(face) - 1
        return
    assert price.discount + price.fee + price.net == price.face == face
    assert price.net > 0
    assert abs(int(price.discount) - exact) <= Fraction(1, 2)
    assert price.fee >= terms.minimum_fee


@given(first=DATES, last=DATES, count=st.sampled_from(DayCount))
def test_days_are_counted_alike_in_both_directions(first: datetime.date, last: datetime.date, count: DayCount) -> None:
    assert days_between(first, last, count) == -days_between(last, first, count)
    if count is DayCount.THIRTY_E_360 and first <= last:
        actual = (last - first).days
        assert abs(days_between(first, last, count) * 365.2425 / 360 - actual) <= 4 + actual / 3_000


@given(
    amount=AMOUNTS,
    weights=st.lists(st.integers(0, MAX_UNITS // 600).map(Units), min_size=1, max_size=500).filter(any),
)
def test_shares_sum_exactly(amount: Units, weights: list[Units]) -> None:
    shares = divide(amount, weights)
    assert sum(shares) == amount
    for share, weight in zip(shares, weights, strict=True):
        exact = Fraction(amount * weight, sum(weights))
        assert exact - 1 < share < exact + 1
        assert weight or not share
        if amount <= sum(weights):
            assert share <= weight


def test_the_rest_goes_by_stated_order() -> None:
    assert divide(Units(100), [Units(1), Units(1), Units(1)]) == [34, 33, 33]
    assert divide(Units(5), [Units(0), Units(3), Units(3)]) == [0, 3, 2]


def test_an_amount_is_never_divided_among_nobody() -> None:
    with pytest.raises(InvariantViolation):
        divide(Units(1), [Units(0)])


# Few values, so that exact ties are common.
COSTS = st.builds(
    YearlyCost,
    cost=st.integers(0, 4).map(Units),
    received=st.sampled_from([Units(1), Units(2), Units(4), Units(MAX_UNITS)]),
    days=st.sampled_from([30, 60, 90]),
)
BIDS = st.lists(
    st.builds(
        Bid,
        name=st.text("abc", max_size=3),
        yearly_cost=COSTS,
        with_recourse=st.booleans(),
        committed=st.builds(Position, st.integers(0, 2), st.integers(0, 2)),
    ),
    max_size=8,
    unique_by=lambda bid: bid.name,
)


@given(one=COSTS, two=COSTS, three=COSTS)
def test_the_comparison_is_a_total_preorder(one: YearlyCost, two: YearlyCost, three: YearlyCost) -> None:
    assert one.compared(one) == 0
    assert (one.compared(two) > 0) == (two.compared(one) < 0)
    if one.compared(two) <= 0 and two.compared(three) <= 0:
        assert one.compared(three) <= 0


@given(one=COSTS, two=COSTS)
def test_the_comparison_is_that_of_exact_fractions(one: YearlyCost, two: YearlyCost) -> None:
    mine = Fraction(one.cost * 365, one.received * one.days)
    its = Fraction(two.cost * 365, two.received * two.days)
    assert (one.compared(two) < 0, one.compared(two) > 0) == (mine < its, mine > its)


@given(bids=BIDS, data=st.data())
def test_a_ranking_does_not_depend_on_the_order_it_is_given_in(bids: list[Bid], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(bids))
    order = ranked(bids)
    assert order == ranked(shuffled)
    for better, worse in pairwise(order):
        cost = better.yearly_cost.compared(worse.yearly_cost)
        assert cost <= 0
        if cost == 0:
            assert (better.with_recourse, better.committed) <= (worse.with_recourse, worse.committed)


def test_of_equal_cost_without_recourse_comes_first_then_the_earlier() -> None:
    same = YearlyCost(Units(1), Units(100), 90)
    twice = YearlyCost(Units(2), Units(200), 90)
    late = Bid("late", same, with_recourse=False, committed=Position(9, 0))
    early = Bid("early", twice, with_recourse=False, committed=Position(8, 5))
    recourse = Bid("recourse", same, with_recourse=True, committed=Position(1, 0))
    assert [bid.name for bid in ranked([recourse, late, early])] == ["early", "late", "recourse"]
