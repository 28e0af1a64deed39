"""The facts of a refusal as people read them: names for ids, decimal amounts with their currency."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.refusal import Fact
from tallystick.node.amounts import grouped
from tallystick.node.lookup import ID_TABLES, Lookup
from tallystick.node.reading import PresentState
from tallystick.wire.ids import is_record_id

AMOUNT_FACTS = frozenset(
    {
        "amount", "announced", "asked", "available", "cap", "ceiling", "claimed", "computed", "computed_returned",
        "discount", "disputed", "divided", "earmarked", "face", "fee", "free", "held", "least", "left", "limit",
        "minimum", "missing", "needed", "net", "offered", "outstanding", "parcel", "part", "stated", "stated_returned",
        "to_payee", "to_payer", "total", "units", "used", "value",
    }
)  # fmt: skip
"""Facts that are amounts where they are text: the kernel states amounts as text, and counts as numbers."""

_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)


def amounts_in_words(
    state: PresentState, lookup: Lookup, operations: Sequence[Operation], facts: Mapping[str, Fact]
) -> dict[str, Fact]:
    """`facts` with its amounts as decimals of their currency; where that is not known, as so many minor units."""
    told = dict(facts)
    names = [name for name, value in facts.items() if name in AMOUNT_FACTS and _is_units(value)]
    if names:
        currency = _currency_meant(state, operations, facts)
        for name in names:
            units = int(facts[name])
            told[name] = (
                f"{grouped(units, lookup.minor_digits(currency))} {currency}" if currency else f"{units} minor units"
            )
    return told


def _is_units(value: Fact) -> bool:
    return isinstance(value, str) and _DIGITS.fullmatch(value) is not None


def _currency_meant(state: PresentState, operations: Sequence[Operation], facts: Mapping[str, Fact]) -> str:
    """What a fact says, else the refused operation or a part of it, else the record that it names; or ""."""
    stated = facts.get("currency")
    if isinstance(stated, str) and stated:
        return stated
    place = facts.get("operation", 0)
    if not isinstance(place, int) or not 0 <= place < len(operations):
        return ""
    operation = operations[place]
    parts = (getattr(operation, name) for name in operation.__struct_fields__)
    for said in (operation, *(part for part in parts if isinstance(part, msgspec.Struct))):
        own = getattr(said, "currency", None)
        if isinstance(own, str):
            return own
    named = (getattr(operation, name) for name in operation.__struct_fields__)
    return next((found for one in named if (found := _currency_of(state, one))), "")


def _currency_of(state: PresentState, named: Any) -> str:
    """The currency of the record with this id; for a review, that of what it is about."""
    if not isinstance(named, str) or not is_record_id(named) or named[:3] not in ID_TABLES:
        return ""
    record = state.find(f"{ID_TABLES[named[:3]]}/{named}")
    own = getattr(record, "currency", None)
    if isinstance(own, str):
        return own
    subject = getattr(record, "subject", None)
    return "" if subject == named else _currency_of(state, subject)
