"""A plan file that the tool writes reads back as the same tranches, whatever stands in them."""

import datetime
import json
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from tallystick.cli.plan_files import plan_toml
from tallystick.cli.values import Reader
from tallystick.kernel.core import codec
from tallystick.kernel.plans.records import Material, Retention, TrancheTerms, Unmet, Unused
from tallystick.kernel.products.records import Silence
from tallystick.wire.amounts import MAX_UNITS, RATE_SCALE, Rate, Units
from tests.cli.test_values import Around
from tests.node.test_condition_text import KINDS, TREES

AMOUNTS = st.integers(0, MAX_UNITS).map(Units)
RATES = st.integers(0, 100 * RATE_SCALE).map(Rate)
DAYS = st.dates(datetime.date(2000, 1, 1), datetime.date(2100, 1, 1))
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
MATERIALS = st.builds(Material, kind=KINDS, hash=st.none() | HASHES)
TRANCHES = st.builds(
    TrancheTerms,
    title=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120),
    fund_by_on=DAYS,
    fund_units=AMOUNTS,
    units=AMOUNTS,
    release_from_on=DAYS,
    release_until_on=DAYS,
    condition=TREES,
    up_to=st.booleans(),
    materials=st.lists(MATERIALS, max_size=4).map(tuple),
    on_silence=st.sampled_from(Silence),
    if_unmet=st.sampled_from(Unmet),
    extend_days=st.integers(0, 366),
    unused=st.sampled_from(Unused),
    retention=st.none() | st.builds(Retention, rate=RATES, until_on=DAYS),
    recovery=st.none() | RATES,
    advance=st.booleans(),
    redeems=st.none() | st.just("rcv_" + "1" * 16),
    wages=st.booleans(),
)


@given(st.lists(TRANCHES, min_size=1, max_size=3).map(tuple), st.sampled_from([("GBP", 2), ("JPY", 0)]))
def test_a_plan_file_reads_back_the_same(tranches: tuple[TrancheTerms, ...], money: tuple[str, int]) -> None:
    currency, digits = money
    read: Any = tomllib.loads(plan_toml(tranches, str, digits))["tranches"]
    plain = Reader(Around(), currency).read(inspect.type_info(tuple[TrancheTerms, ...]), read, "--tranches")
    assert codec.decoder(tuple[TrancheTerms, ...]).decode(json.dumps(plain)) == tranches
