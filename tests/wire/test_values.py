"""Amounts, rates, instants, dates and ids: one spelling each."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.wire.amounts import MAX_UNITS, ZERO, Rate, Units, fits, total, units_of
from tallystick.wire.errors import DecodeError, InvariantViolation
from tallystick.wire.ids import is_record_id, record_id
from tallystick.wire.instants import LAST_MS, Instant, parse_date


@given(st.integers(0, MAX_UNITS))
def test_an_amount_is_read_back(value: int) -> None:
    assert Units.parse(str(value)) == value


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "01", "1.0", "1e3", " 1", "1 ", "1\n", "٣", "1_000", "9223372036854775808", "9" * 20, 1, None],
)
def test_no_other_spelling_of_an_amount(text: object) -> None:
    with pytest.raises(DecodeError):
        Units.parse(text, "face")


def test_sums_of_amounts_stay_amounts() -> None:
    assert type(Units(1) + Units(2)) is Units
    assert type(Units(2) - 1) is Units
    assert total([Units(1), Units(2)]) == 3
    assert total([]) == ZERO
    assert fits(MAX_UNITS)
    assert not fits(MAX_UNITS, 1)
    for broken in (lambda: Units(MAX_UNITS) + 1, lambda: Units(1) - 2, lambda: total([Units(MAX_UNITS), Units(1)])):
        with pytest.raises(InvariantViolation):
            broken()


def test_an_amount_never_prints_as_a_bare_number_by_accident() -> None:
    assert repr(Units(5)) == "Units(5)"


@given(st.integers(0, 10**12 - 1))
def test_a_rate_is_read_back(value: int) -> None:
    assert Rate.parse(str(Rate(value))) == value


@pytest.mark.parametrize("text", ["", "5.", ".5", "5.50", "05", "-1", "5.1234567", "5,5", "1e1", "5.5\n", "1234567", 5])
def test_no_other_spelling_of_a_rate(text: object) -> None:
    with pytest.raises(DecodeError):
        Rate.parse(text)


def test_rates_are_millionths_of_a_percent() -> None:
    assert Rate.parse("5.5") == 5_500_000
    assert str(Rate(5_000_001)) == "5.000001"
    assert str(Rate(3_000_000)) == "3"


@pytest.mark.parametrize(("text", "digits"), [("1.234", 2), ("1.5", 0), ("1,000", 2), ("-1", 2), ("", 2), ("1.", 2)])
def test_amounts_as_people_miswrite_them(text: str, digits: int) -> None:
    with pytest.raises(DecodeError) as caught:
        units_of(text, digits, "row 3: amount")
    assert "row 3: amount" in str(caught.value)


def test_amounts_as_people_write_them() -> None:
    assert units_of("1234.5", 2) == 123_450
    assert units_of("7", 3) == 7_000
    with pytest.raises(DecodeError):
        units_of("9223372036854775807", 2)


@given(st.integers(0, LAST_MS))
def test_an_instant_is_read_back(value: int) -> None:
    assert Instant.parse(str(Instant(value))) == value


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T08:22:05Z",
        "2026-11-22T08:22:05.12Z",
        "2026-11-22T08:22:05.1234Z",
        "2026-11-22T08:22:05.123z",
        "2026-11-22 08:22:05.123Z",
        "2026-11-22T08:22:05.123+00:00",
        "2026-11-22T08:22:05.123+01:00",
        "2026-13-01T00:00:00.000Z",
        "2026-02-30T00:00:00.000Z",
        "2026-01-01T24:00:00.000Z",
        "2026-12-31T23:59:60.000Z",
        "1969-12-31T23:59:59.999Z",
        "٢026-11-22T08:22:05.123Z",
        "2026-11-22T08:22:05.123Z\n",
        1,
        None,
    ],
)
def test_no_other_spelling_of_an_instant(text: object) -> None:
    with pytest.raises(DecodeError):
        Instant.parse(text)


def test_later_is_held_at_the_last_instant() -> None:
    assert Instant(LAST_MS).plus(1) == LAST_MS
    assert str(Instant(LAST_MS)) == "9999-12-31T23:59:59.999Z"


@pytest.mark.parametrize(
    "text", ["2026-2-3", "20260203", "2026-02-30", "2026-W01-1", "2026-02-03T", "0000-01-01", 20260203]
)
def test_no_other_spelling_of_a_date(text: object) -> None:
    with pytest.raises(DecodeError):
        parse_date(text)


def test_a_date_is_a_date() -> None:
    assert parse_date("2024-02-29") == datetime.date(2024, 2, 29)


def test_ids_follow_from_what_the_client_knows() -> None:
    made = record_id("rcv", "chain", "mbr_x", "t1", 0)
    assert made == "rcv_f0nbwyp1pcwrz5wg"
    assert is_record_id(made, "rcv")
    assert len({record_id("rcv", "chain", "mbr_x", "t1", index) for index in range(100)}) == 100
    # The parts are kept apart, so no two transactions can be made to share an id.
    assert record_id("rcv", "chain", "mbr_x", "t1", 11) != record_id("rcv", "chain", "mbr_x", "t11", 1)
    assert not is_record_id(made, "trf")
    assert not is_record_id(made.upper())
    assert not is_record_id(made + "\n")
