"""The rows of height 0, made by the verifier from the genesis file alone, are those that the kernel makes."""

import datetime
import hashlib
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.kernel import genesis as kernel
from tallystick.kernel.calendar.records import Transition
from tallystick.kernel.core import codec
from tallystick.kernel.genesis import Genesis as KernelGenesis
from tallystick.kernel.genesis import GenesisCurrency, GenesisPack, GenesisRate, GenesisZone, Limits
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.law.rates import RateValue
from tallystick.kernel.law.records import Effect, Matter, Rule
from tallystick.kernel.membership.records import KeyRole, SigningRule
from tallystick.ledger.opening import TIP_KEY, genesis_batch
from tallystick.ledger.store import Family
from tallystick.ledger.tree import Tree
from tallystick.proof.evidence.bundle import Bundle
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.founding import check_founders, first_app_hash, initial_rows, state_root
from tallystick.proof.evidence.genesis import Genesis
from tallystick.proof.state_proof import NO_RECEIPTS, app_hash, empty_hashes, key_hash
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import DAY_MS, Instant
from tests.support import chain, ledger
from tests.support.bundles import Ledger
from tests.support.members import offer

RULE = Rule(
    name="layers",
    matter=Matter.LAYERS,
    clause="test",
    effect=Effect.REFUSE,
    from_on=datetime.date(2026, 1, 1),
    figures={"layers": 5},
)
PACK = GenesisPack(jurisdiction="gb", version="gb-1", from_on=datetime.date(2026, 1, 1), rules=(RULE,), source="test")
RATE = GenesisRate(
    rate="test-rate",
    values=(RateValue(from_on=datetime.date(2026, 1, 1), rate=Rate.parse("3.1")),),
    known_until_on=datetime.date(2026, 12, 31),
    source="test",
)


def variants() -> dict[str, KernelGenesis]:
    """Genesis files that differ in everything that a row is made of."""
    plain = ledger.genesis()
    changed = msgspec.structs.replace
    first, *others = plain.members
    keys = (offer("mill"), offer("mill 2", KeyRole.MAKER), offer("mill 3", KeyRole.CHECKER))
    policy = (SigningRule(pattern="*", makers=1, checkers=1),)
    member = changed(first, keys=keys, signing_policy=policy, papers_until_on=datetime.date(2027, 1, 1))
    west = GenesisZone(
        name="Test/West",
        transitions=(Transition(at=Instant(0), offset="-01:00"), Transition(at=plain.time, offset="-03:30")),
    )
    return {
        "plain": plain,
        "trading": chain.founded(),
        "real": ledger.genesis(sandbox=False),
        "deep": ledger.genesis(tree_depth=3),
        "west": changed(plain, zone=west),
        "packs": changed(plain, packs=(PACK, changed(PACK, jurisdiction="cn", version="cn-1", currencies=("CNY",)))),
        "rates": changed(plain, reference_rates=(RATE,)),
        "policies": changed(plain, policies=Policies(governors_needed=1, max_hops=3, min_split=Units(100))),
        "limits": changed(plain, limits=Limits(max_parcels=7)),
        "currencies": changed(plain, currencies=(*plain.currencies, GenesisCurrency(currency="JPY", minor_digits=0))),
        "keys": changed(plain, members=(member, *others)),
    }


def of(genesis: KernelGenesis) -> Genesis:
    return Genesis.from_bytes(codec.encode(genesis))


@pytest.mark.parametrize("name", variants())
def test_the_rows_are_the_kernel_s(name: str) -> None:
    genesis = variants()[name]
    theirs = {row.key: codec.plain(row) for row in kernel.initial_rows(genesis)}
    mine = initial_rows(of(genesis))
    assert set(mine) - set(theirs) == {"entropy/chain"}
    assert {key: mine[key] for key in theirs} == theirs


@pytest.mark.parametrize("name", variants())
def test_the_first_app_hash_is_the_ledger_s(name: str) -> None:
    genesis = variants()[name]
    tip = genesis_batch(genesis).families[Family.META][TIP_KEY]
    assert tip is not None
    mine = first_app_hash(of(genesis))
    rows = [(key_hash(key), hashlib.sha256(row).digest()) for key, row in state_rows(genesis)]
    assert mine == app_hash(Tree(genesis.tree_depth).prepare(rows).root, NO_RECEIPTS)
    assert state_root(rows, genesis.tree_depth) in tip


def state_rows(genesis: KernelGenesis) -> list[tuple[str, bytes]]:
    """The rows as the ledger stores them: blind and value."""
    stored = genesis_batch(genesis).families[Family.STATE]
    return [(key.decode(), row) for key, row in stored.items() if row is not None]


@given(st.integers(0, 400), st.sampled_from(["+00:00", "+08:00", "-03:30", "+15:59", "-12:00"]))
def test_the_first_day_is_the_zone_s(days: int, offset: str) -> None:
    plain = ledger.genesis()
    zone = GenesisZone(name="Test", transitions=(Transition(at=Instant(0), offset=offset),))
    genesis = msgspec.structs.replace(plain, zone=zone, time=plain.time.plus(days * DAY_MS))
    theirs = {row.key: codec.plain(row) for row in kernel.initial_rows(genesis)}
    assert initial_rows(of(genesis))["policies/chain"] == theirs["policies/chain"]


def test_a_tree_of_nothing_is_the_empty_one() -> None:
    assert state_root((), 3) == empty_hashes(3)[0]


def test_a_genesis_without_members_makes_no_rows() -> None:
    genesis = of(ledger.genesis())
    with pytest.raises(DecodeError, match="its rows can't be made"):
        initial_rows(replace(genesis, said={"time": "2026-03-02T01:00:00.000Z"}))


def test_a_founder_left_out_or_changed_is_named(ledger: Ledger, bundles: dict[str, Bundle]) -> None:
    records = {one.key: one.value for one in bundles["receivable"].records}
    check_founders(ledger.genesis, records)
    key = next(key for key in records if key.startswith("member/"))
    row: Any = records[key]
    for changed in ({**row, "identifier": "another"}, {**row, "states": []}, {**row, "roles": row["roles"] * 2}):
        with pytest.raises(NotProven, match="genesis") as refused:
            check_founders(ledger.genesis, {**records, key: changed})
        assert refused.value.where == f"record {key}"
