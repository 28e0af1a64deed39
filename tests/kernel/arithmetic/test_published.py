"""Figures that others published (tests/vectors/published/arithmetic.json), and the examples of DOMAIN section 4."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from tallystick.kernel.arithmetic import Bid, DayCount, Terms, YearlyCost, days_between, price_of, ranked
from tallystick.kernel.core.fields import Position
from tallystick.wire.amounts import ZERO, Rate, Units, units_of

PUBLISHED = json.loads(
    (Path(__file__).parents[2] / "vectors" / "published" / "arithmetic.json").read_text(encoding="utf-8")
)
FREE = Rate(0)
VALUE_ON = datetime.date(2026, 1, 5)
BASIS = {360: DayCount.ACT_360, 365: DayCount.ACT_365F}


def terms_of(rate: Rate, day_count: DayCount, fee_rate: Rate = FREE, minimum_fee: Units = ZERO) -> Terms:
    return Terms(rate=rate, day_count=day_count, fee_rate=fee_rate, minimum_fee=minimum_fee)


def rate(text: str) -> Rate:
    """A rate as people write it, with trailing zeros."""
    return Rate.parse(text.rstrip("0").rstrip(".") if "." in text else text)


@pytest.mark.parametrize("case", PUBLISHED["discount"], ids=lambda case: f"{case['face']}@{case['rate']}")
def test_discount(case: dict[str, Any]) -> None:
    due_on = VALUE_ON + datetime.timedelta(days=case["days"])
    price = price_of(
        units_of(case["face"], 2), terms_of(rate=rate(case["rate"]), day_count=BASIS[case["basis"]]), VALUE_ON, due_on
    )
    assert price is not None
    assert price.discount == units_of(case["discount"], 2)
    assert price.days == case["days"]
    if "net" in case:
        assert price.net == units_of(case["net"], 2)


@pytest.mark.parametrize("case", PUBLISHED["day_count"])
def test_day_count(case: dict[str, Any]) -> None:
    first, last = datetime.date.fromisoformat(case["from"]), datetime.date.fromisoformat(case["to"])
    assert days_between(first, last, DayCount.ACT_365F) == case["actual_days"]


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        ("2026-01-31", "2026-02-28", 28),
        ("2026-02-28", "2026-03-31", 32),
        ("2026-01-30", "2026-03-31", 60),
        ("2026-03-15", "2026-09-15", 180),
        ("2026-12-31", "2027-01-31", 30),
    ],
)
def test_30e_360(first: str, last: str, days: int) -> None:
    """Both ends on the 31st become the 30th; February keeps its own last day (30E/360, Eurobond basis)."""
    counted = days_between(datetime.date.fromisoformat(first), datetime.date.fromisoformat(last), DayCount.THIRTY_E_360)
    assert counted == days


def test_each_on_its_own_basis_the_dearer_quote_would_win() -> None:
    million, due_on = Units(100_000_000), VALUE_ON + datetime.timedelta(days=90)
    first = price_of(million, terms_of(rate=rate("5.00"), day_count=DayCount.ACT_360), VALUE_ON, due_on)
    second = price_of(million, terms_of(rate=rate("5.05"), day_count=DayCount.ACT_365F), VALUE_ON, due_on)
    assert first is not None
    assert second is not None
    assert first.cost == 1_250_000
    assert second.cost == 1_245_205
    bids = [
        Bid("5.00/360", YearlyCost(first.cost, first.net, 90), with_recourse=False, committed=Position(1, 0)),
        Bid("5.05/365", YearlyCost(second.cost, second.net, 90), with_recourse=True, committed=Position(2, 0)),
    ]
    assert [bid.name for bid in ranked(bids)] == ["5.05/365", "5.00/360"]


@pytest.mark.parametrize("days", [0, -1])
def test_no_day_left_has_no_price(days: int) -> None:
    due_on = VALUE_ON + datetime.timedelta(days=days)
    assert price_of(Units(1_000), terms_of(rate=rate("5"), day_count=DayCount.ACT_360), VALUE_ON, due_on) is None


def test_nothing_left_to_pay_out_has_no_price() -> None:
    due_on = VALUE_ON + datetime.timedelta(days=10)
    terms = terms_of(rate=Rate(0), day_count=DayCount.ACT_360, minimum_fee=Units(999))
    assert price_of(Units(999), terms, VALUE_ON, due_on) is None
    one_left = price_of(Units(1_000), terms, VALUE_ON, due_on)
    assert one_left is not None
    assert one_left.net == 1


def test_the_fee_is_the_larger_of_rate_and_minimum() -> None:
    due_on = VALUE_ON + datetime.timedelta(days=10)
    for face, fee in ((99_900, 100), (100_000, 100), (100_500, 101), (200_000, 200)):
        terms = terms_of(rate=Rate(0), day_count=DayCount.ACT_360, fee_rate=rate("0.1"), minimum_fee=Units(100))
        price = price_of(Units(face), terms, VALUE_ON, due_on)
        assert price is not None
        assert price.fee == fee, face
