"""Amounts as people write them: a comma separates thousands, or is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.node.amounts import grouped, typed_units
from tallystick.wire.amounts import MAX_UNITS
from tallystick.wire.errors import DecodeError


@pytest.mark.parametrize(
    ("text", "digits", "units"),
    [("1234.50", 2, 123_450), ("1,234.50", 2, 123_450), (" 1,234,567 ", 2, 123_456_700), ("1,234", 0, 1_234)],
)
def test_what_is_read(text: str, digits: int, units: int) -> None:
    assert typed_units(text, digits, "--face") == units


@pytest.mark.parametrize("text", ["1234,50", "1.234,50", "1,23,4.5", "12,34", ",500", "1,234,5", "0,500", "1,234.505"])
def test_a_comma_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="not an amount"):
        typed_units(text, 2, "--face")


def test_grouped() -> None:
    assert [grouped(150_050, 2), grouped(5, 2), grouped(1_234, 0)] == ["1,500.50", "0.05", "1,234"]


@given(st.integers(0, MAX_UNITS), st.sampled_from([0, 2, 3, 4]))
def test_what_people_read_is_read_back(units: int, digits: int) -> None:
    assert typed_units(grouped(units, digits), digits, "--face") == units
    assert typed_units(grouped(units, digits).replace(",", ""), digits, "--face") == units
