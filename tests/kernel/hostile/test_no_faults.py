"""Whatever a member writes into an operation, the ledger answers with a status of its own and never with a fault."""

import random
from dataclasses import dataclass

import pytest

from tallystick.kernel.financing.records import Settlement
from tallystick.kernel.governance.records import Engine, Protocol, ProtocolVersion, Validator, ValidatorSet
from tallystick.kernel.law.records import LawBook
from tallystick.kernel.membership.records import Role
from tallystick.kernel.operations import OPERATIONS
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.redemption.redeem import Means, Redeem
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.kernel.hostile.odd_fields import Maker, readable
from tests.support import financing as market_of
from tests.support.accounts import applied, booking, check_books, funded, opened
from tests.support.financing import Market, market
from tests.support.members import apply_as, key_of, public
from tests.support.receivables import (
    accepted,
    anchor,
    confirmed,
    holdings,
    issued,
    offered,
    requested,
    span,
    transferred,
)
from tests.support.world import World

STEPS = 150
TRIES = 12
RARE = ("member.", "key.", "signing_policy.", "parcel.", "invoice.", "policy.", "protocol.", "law.", "calendar.")
WEIGHTS = [1 if str(kind.__struct_config__.tag).startswith(RARE) else 5 for kind in OPERATIONS]
CALM = [0 if weight == 1 else weight for weight in WEIGHTS]  # nobody is suspended, succeeded or frozen


@dataclass(frozen=True)
class Scene:
    """A consortium in the middle of everything."""

    market: Market
    world: World


def scene(rng: random.Random) -> Scene:
    """Something of every kind, in every stage."""
    m = market(face=1_000, funds=10_000)
    world, t = m.world, m.trade
    governor = world.member("Governor", Role.GOVERNOR)
    world.member("Source", Role.DATA_SOURCE)
    world.put(
        ValidatorSet(id="chain", engine=rng.choice(list(Engine)), validators=_validators(4)),
        Protocol(id="chain", versions=(ProtocolVersion(version=1, from_height=0),)),
        LawBook(id="chain"),
    )
    buyer = opened(world, t.buyer, m.custodian, units=500)
    opened(world, t.maker, m.custodian)
    applied(world, t.second_auditor, m.custodian)
    apply_as(world, "Applicant", t.supplier)
    for at, stage in enumerate(("asked", "awarded", "signed", "approved", "registered")):
        one = Market(
            t, m.rival, m.platform, m.arbitrator, m.custodian, issued(world, t.buyer, t.supplier, 100 + at, t.auditor)
        )
        mode = rng.choice(list(Settlement))
        getattr(market_of, stage)(one, 50, settlement=mode)
    requested(world, t.buyer, t.supplier, 300)
    confirmed(world, t.buyer, t.supplier, 301)
    offered(world, m.receivable, span(1, 1_000), 100, t.supplier, t.maker)
    accepted(world, m.receivable, span(1, 1_000), 100, t.supplier, t.maker, recourse=True)
    paid = issued(world, t.buyer, t.supplier, 400, t.auditor)
    transferred(world, paid, span(1, 400), 150, t.supplier, t.maker, t.auditor, recourse=True)
    by_bank = Redeem(receivable=paid, currency="CNY", units=Units(100), means=Means.BANK, receipt=anchor("receipt"))
    world.do(by_bank, by=t.buyer)
    world.do(booking(world, buyer, 50, reference="ANOTHER", remitter=None), by=m.custodian)
    funded(world, buyer, 5)
    assert governor
    return Scene(m, world)


def _validators(count: int) -> tuple[Validator, ...]:
    return tuple(Validator(key=public(key_of(f"node {n}")), name=f"node {n}") for n in range(count))


def check(world: World) -> None:
    """Books balance, live parcels partition what is owed, and every row can be stored."""
    check_books(world)
    for row in list(world.state.rows.values()):
        assert readable(row), row
        if isinstance(row, Receivable) and row.is_owed:
            assert sum(last - first + 1 for _, first, last in holdings(world, row.id)) == row.outstanding


@pytest.mark.parametrize("seed", range(12))
def test_no_operation_faults_whatever_its_fields_say(seed: int) -> None:
    rng = random.Random(seed)
    world = scene(rng).world
    maker = Maker(world, rng)
    for _ in range(STEPS):
        maker.look()
        operations = [
            maker.likely(one, TRIES)
            for one in rng.choices(OPERATIONS, CALM if seed % 2 else WEIGHTS, k=rng.choice((1, 1, 1, 2)))
        ]
        operations = [one for one in operations if one.name not in ("chain.close", "clock.advance")]
        signers = list(dict.fromkeys(name for one in operations for name in maker.signers(one)))
        if not signers:
            continue
        introduced = {key for one in operations for key in one.introduced_keys()}
        known = {
            public(key): key for key in (*world.keys.values(), *(key_of(f"fresh {n}") for n in range(maker.fresh + 1)))
        }
        extra = tuple(known[key] for key in sorted(introduced) if key in known)
        raw = world.sign(*operations, by=signers[0], also=tuple(sorted(signers[1:])), keys=extra)
        result = world.submit(raw)
        assert result.status is not Status.KERNEL_FAULT, (seed, operations, result.fault)
        if rng.random() < 0.05:
            world.wait(rng.choice((1, 3_600_000, 3_600_000, 86_400_000, 9 * 86_400_000)))
    check(world)
    for _ in range(8):
        world.wait(40 * 86_400_000)
    check(world)
