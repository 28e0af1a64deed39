"""Late interest and fixed sums: outside the face, from the day after the due date, by the law that held then."""

import datetime
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick import seeds
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.law.claims import Claim, fixed_sum, late_interest
from tallystick.kernel.law.facts import LateFacts
from tallystick.kernel.law.rates import rate_on
from tallystick.kernel.membership.records import SizeClass
from tallystick.wire.amounts import MAX_UNITS, Rate, Units
from tallystick.wire.status import Status
from tests.support.law import day, under
from tests.support.world import World

WORLD = under(World(), "cn", "gb")
LARGE = WORLD.member("Large Buyer", size_class=SizeClass.LARGE)
SMALL = WORLD.member("Small Seller", size_class=SizeClass.SMALL)

# Reference rates for late payment as published half-year by half-year (Pay On Time, "reference rate table").
REFERENCE_RATES = {
    "2014-01-01": "0.5", "2016-01-01": "0.5", "2016-07-01": "0.5", "2017-01-01": "0.25", "2017-07-01": "0.25",
    "2018-01-01": "0.5", "2018-07-01": "0.5", "2019-01-01": "0.75", "2019-07-01": "0.75", "2020-01-01": "0.75",
    "2020-07-01": "0.1", "2021-01-01": "0.1", "2021-07-01": "0.1", "2022-01-01": "0.25", "2022-07-01": "1.25",
    "2023-01-01": "3.5", "2023-07-01": "5", "2024-01-01": "5.25",
}  # fmt: skip


def late(**fields: Any) -> LateFacts:
    """10,000.00 pounds that fell due on 31 March 2024 and were paid 30 days later."""
    terms: dict[str, Any] = {
        "debtor": LARGE,
        "creditor": SMALL,
        "currency": "GBP",
        "unpaid": Units(10_000_00),
        "due_on": "2024-03-31",
        "until_on": "2024-04-30",
        "contract_on": "2024-01-15",
    }
    given_terms = {**terms, **fields}
    dates = {name: day(value) for name, value in given_terms.items() if name.endswith("_on")}
    return LateFacts(**{**given_terms, **dates})


def one(claims: tuple[Claim, ...] | Refusal) -> Claim:
    assert isinstance(claims, tuple), claims
    assert len(claims) == 1
    return claims[0]


@pytest.mark.parametrize(("begins", "reference"), REFERENCE_RATES.items())
def test_the_half_years_reference_rate(begins: str, reference: str) -> None:
    """Interest that begins on the first day of a half-year runs at 8 % over the rate of the day before."""
    expected = Rate(Rate.parse(reference) + 8_000_000)
    facts = replace(late(), due_on=_before(begins), until_on=day(begins))
    assert one(late_interest(WORLD.state, facts)).rate == expected


def _before(text: str) -> datetime.date:
    return day(text) - datetime.timedelta(days=1)


def test_the_rate_is_that_of_the_day_on_which_interest_begins_and_stays() -> None:
    """Due 30 June 2022: begins on 1 July at 1.25 + 8, though Bank Rate was 3.5 at the year's end."""
    claim = one(late_interest(WORLD.state, late(due_on="2022-06-30", until_on="2023-06-30")))
    assert (claim.rate, claim.days) == (Rate.parse("9.25"), 365)
    assert claim.amount == 925_00
    earlier = one(late_interest(WORLD.state, late(due_on="2022-06-29", until_on="2023-06-29")))
    assert (earlier.rate, earlier.amount) == (Rate.parse("8.25"), Units(825_00))


def test_statutory_interest_to_the_penny() -> None:
    claim = one(late_interest(WORLD.state, late()))
    assert claim == Claim(
        pack="gb-seed.1",
        rule="statutory_interest",
        clause="Late Payment of Commercial Debts (Interest) Act 1998 s. 1 and s. 6; SI 2002/1675 art. 4",
        amount=Units(108_90),  # 10,000 x 13.25 % x 30 / 365 = 108.904...
        days=30,
        rate=Rate.parse("13.25"),
    )


def test_interest_begins_on_the_day_after_the_due_date() -> None:
    assert late_interest(WORLD.state, late(until_on="2024-03-31")) == ()
    assert late_interest(WORLD.state, late(until_on="2024-03-30")) == ()
    assert one(late_interest(WORLD.state, late(until_on="2024-04-01"))).days == 1


def test_an_agreed_rate_stands_in_its_place() -> None:
    claim = one(late_interest(WORLD.state, late(agreed_rate=Rate.parse("5"))))
    assert claim.rate == Rate.parse("5")


def test_a_reference_rate_that_nobody_adopted_is_not_guessed() -> None:
    unknown = late_interest(WORLD.state, late(due_on="2026-06-30", until_on="2026-07-30"))
    assert isinstance(unknown, Refusal)
    assert unknown.status is Status.REFERENCE_RATE_MISSING
    assert unknown.facts == {"rate": "gb-bank-rate", "day": "2026-06-30"}
    assert one(late_interest(WORLD.state, late(due_on="2026-06-29", until_on="2026-07-30"))).rate == Rate.parse("11.75")


@pytest.mark.parametrize(
    ("unpaid", "expected"),
    [(1, 40_00), (999_99, 40_00), (1_000_00, 70_00), (9_999_99, 70_00), (10_000_00, 100_00), (MAX_UNITS, 100_00)],
)
def test_fixed_sums(unpaid: int, expected: int) -> None:
    (claim,) = fixed_sum(WORLD.state, late(unpaid=Units(unpaid)))
    assert (claim.amount, claim.rule) == (Units(expected), "fixed_sum")
    assert fixed_sum(WORLD.state, late(unpaid=Units(unpaid), until_on="2024-03-31")) == ()


# --- cn: 令802号 art. 17


def yuan(**fields: Any) -> LateFacts:
    terms = {"currency": "CNY", "due_on": "2025-06-30", "until_on": "2025-07-30", "contract_on": "2024-08-01"}
    return late(**{**terms, **fields})


def test_without_agreement_five_per_ten_thousand_a_day() -> None:
    claim = one(late_interest(WORLD.state, yuan()))
    assert (claim.amount, claim.rate, claim.clause) == (Units(150_00), Rate.parse("18.25"), "国务院令第802号 art. 17")
    assert fixed_sum(WORLD.state, yuan()) == ()


@pytest.mark.parametrize(("agreed", "expected"), [("1", "3.35"), ("3.35", "3.35"), ("6", "6")])
def test_an_agreed_rate_is_at_least_the_lpr_of_the_contracts_day(agreed: str, expected: str) -> None:
    claim = one(late_interest(WORLD.state, yuan(agreed_rate=Rate.parse(agreed))))
    assert claim.rate == Rate.parse(expected)


def test_an_agreed_rate_of_a_day_without_lpr() -> None:
    unknown = late_interest(WORLD.state, yuan(agreed_rate=Rate.parse("6"), contract_on="2026-01-20"))
    assert isinstance(unknown, Refusal)
    assert unknown.status is Status.REFERENCE_RATE_MISSING


def test_it_is_for_small_sellers_of_large_buyers_and_from_its_day() -> None:
    assert late_interest(WORLD.state, yuan(debtor=SMALL)) == ()
    assert late_interest(WORLD.state, yuan(creditor=LARGE)) == ()
    assert late_interest(WORLD.state, yuan(due_on="2025-05-30")) == ()
    assert one(late_interest(WORLD.state, yuan(due_on="2025-05-31"))).days == 60


def test_no_law_no_claim() -> None:
    assert late_interest(World().state, late()) == ()
    assert late_interest(WORLD.state, late(currency="USD")) == ()


@given(
    unpaid=st.integers(0, MAX_UNITS),
    days=st.integers(1, 20_000),
    agreed=st.integers(0, 40_000_000),
)
def test_interest_is_exact_rounded_half_up_once(unpaid: int, days: int, agreed: int) -> None:
    facts = late(unpaid=Units(unpaid), agreed_rate=Rate(agreed))
    claim = one(late_interest(WORLD.state, replace(facts, until_on=facts.due_on + datetime.timedelta(days=days))))
    exact = Fraction(unpaid) * agreed * days / (100 * 10**6 * 365)
    assert claim.capped is (exact + Fraction(1, 2) >= MAX_UNITS + 1)
    if not claim.capped:
        assert -Fraction(1, 2) < int(claim.amount) - exact <= Fraction(1, 2)


def test_seeded_rates_ascend_and_are_known_to_their_end() -> None:
    for name in seeds.REFERENCE_RATES:
        row = seeds.reference_rate(name)
        starts = [value.from_on for value in row.values]
        assert starts == sorted(set(starts))
        assert rate_on(WORLD.state, name, row.known_until_on) == row.values[-1].rate
        assert isinstance(rate_on(WORLD.state, name, _before(str(starts[0]))), Refusal)
