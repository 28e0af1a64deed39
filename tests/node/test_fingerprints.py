"""Fingerprints: the spelling of an invoice's identity does not matter, anything else does."""

import pytest

from tallystick.node.fingerprints import fingerprint

KEY = bytes(range(32))
PLAIN = ("Askew Books Limited", "Millbrook Council", "", "INV-0042")


@pytest.mark.parametrize(
    "same",
    [
        ("ASKEW  BOOKS LTD.", "millbrook council ", "", "inv-0042"),
        ("\uff21skew Books Ltd", "Millbrook\u3000Council", "", "ＩＮＶ-0042"),
        ("Askew Books Limited", "Millbrook Council", "", "INV - 0042"),
    ],
)
def test_spellings_of_one_invoice_have_one_fingerprint(same: tuple[str, str, str, str]) -> None:
    assert fingerprint(KEY, *same) == fingerprint(KEY, *PLAIN)


@pytest.mark.parametrize(
    "other",
    [
        ("Askew Books plc", "Millbrook Council", "", "INV-0042"),
        ("Askew Books Limited", "Millbrook Council", "", "INV-0043"),
        ("Askew Books Limited", "Millbrook Council", "3100", "INV-0042"),
        ("Millbrook Council", "Askew Books Limited", "", "INV-0042"),
        ("Askew Books Limited", "Millbrook Council", "INV-0042", ""),
    ],
)
def test_other_invoices_have_others(other: tuple[str, str, str, str]) -> None:
    assert fingerprint(KEY, *other) != fingerprint(KEY, *PLAIN)


def test_chinese_names_and_legal_forms() -> None:
    one = fingerprint(KEY, "海港纸业有限责任公司", "东湖（集团）股份有限公司", "3100", "00012345")
    other = fingerprint(KEY, "海港纸业有限公司", "东湖(集团)股份公司", "３１００", "00012345")
    assert one == other


def test_another_key_gives_another_fingerprint_and_a_short_one_none() -> None:
    assert fingerprint(bytes(32), *PLAIN) != fingerprint(KEY, *PLAIN)
    with pytest.raises(ValueError, match="at least 32 bytes"):
        fingerprint(b"short", *PLAIN)
