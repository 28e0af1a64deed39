"""Amounts in words: the examples of 《支付结算办法》 annex 1, the borders of what is read at once, other currencies."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.documents.words import in_words
from tallystick.wire.amounts import MAX_UNITS, Units, units_of

RENMINBI = [
    ("0.00", "人民币零元整"),
    ("0.01", "人民币壹分"),
    ("0.10", "人民币壹角整"),
    ("0.32", "人民币叁角贰分"),
    ("1.00", "人民币壹元整"),
    ("10.00", "人民币壹拾元整"),
    ("15.50", "人民币壹拾伍元伍角整"),
    ("325.04", "人民币叁佰贰拾伍元零肆分"),
    ("1005.00", "人民币壹仟零伍元整"),
    ("1409.50", "人民币壹仟肆佰零玖元伍角整"),
    ("1680.32", "人民币壹仟陆佰捌拾元叁角贰分"),
    ("6007.14", "人民币陆仟零柒元壹角肆分"),
    ("16409.02", "人民币壹万陆仟肆佰零玖元零贰分"),
    ("107000.53", "人民币壹拾万柒仟元伍角叁分"),
    ("10010000.00", "人民币壹仟零壹万元整"),
    ("100000000.00", "人民币壹亿元整"),
    ("100010001.00", "人民币壹亿零壹万零壹元整"),
    ("1234567890.12", "人民币壹拾贰亿叁仟肆佰伍拾陆万柒仟捌佰玖拾元壹角贰分"),
    ("1000000000000.00", "人民币壹万亿元整"),
    ("10000000000000001.00", "人民币壹亿亿零壹元整"),
    (
        "92233720368547758.07",
        "人民币玖亿贰仟贰佰叁拾叁万柒仟贰佰零叁亿陆仟捌佰伍拾肆万柒仟柒佰伍拾捌元零柒分",
    ),
]


@pytest.mark.parametrize(("amount", "said"), RENMINBI)
def test_renminbi(amount: str, said: str) -> None:
    assert in_words(units_of(amount, 2), "CNY", 2) == said


@pytest.mark.parametrize(
    ("units", "currency", "digits", "said"),
    [
        (123_450, "GBP", 2, "壹仟贰佰叁拾肆点伍零英镑"),
        (100_000, "USD", 2, "壹仟美元整"),
        (1_500, "JPY", 0, "壹仟伍佰日元整"),
        (1_234_567, "KWD", 3, "壹仟贰佰叁拾肆点伍陆柒科威特第纳尔"),
        (5, "XTS", 2, "零点零伍XTS"),
    ],
)
def test_other_currencies_have_their_name_and_no_renminbi(units: int, currency: str, digits: int, said: str) -> None:
    assert in_words(Units(units), currency, digits) == said


PLACES = {"拾": 10, "佰": 100, "仟": 1_000}
VALUES = {digit: value for value, digit in enumerate("零壹贰叁肆伍陆柒捌玖")}


def _read_section(text: str) -> int:
    """A number below ten thousand, as a reader adds it up."""
    total, digit = 0, 0
    for one in text:
        if one in PLACES:
            total, digit = total + digit * PLACES[one], 0
        else:
            digit = VALUES[one]
    return total + digit


def _read_number(text: str) -> int:
    for mark, factor in (("亿", 10**8), ("万", 10**4)):
        if mark in text:
            high, _, low = text.rpartition(mark)
            return _read_number(high) * factor + _read_number(low)
    return _read_section(text)


@given(st.integers(0, MAX_UNITS))
def test_a_reader_gets_the_same_amount_back(units: int) -> None:
    said = in_words(Units(units), "CNY", 2)
    found = re.fullmatch(r"人民币(?:(.+)元)?零?(?:(.)角)?(?:零?(.)分)?(整?)", said)
    assert found is not None, said
    whole, jiao, fen, ends = found.groups()
    assert _read_number(whole or "") * 100 + VALUES[jiao or "零"] * 10 + VALUES[fen or "零"] == units
    assert bool(ends) is (fen is None), "整 closes an amount without 分"
