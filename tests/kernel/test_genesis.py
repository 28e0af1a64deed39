"""The genesis: what a chain starts from, and how a wrong one is told."""

import datetime
from typing import Any

import msgspec
import pytest

from tallystick.kernel.calendar.adopt import PublishedYear
from tallystick.kernel.calendar.records import BusinessZone, CalendarYear, Transition
from tallystick.kernel.chain_rows import Clock, Predecessor
from tallystick.kernel.core import codec
from tallystick.kernel.core.record import decode_record
from tallystick.kernel.genesis import (
    Genesis,
    GenesisCurrency,
    GenesisMember,
    GenesisPack,
    GenesisPredecessor,
    GenesisRate,
    GenesisYear,
    GenesisZone,
    Limits,
    chain_of,
    initial_rows,
    member_id,
    read_genesis,
    succeeding_rows,
)
from tallystick.kernel.governance.policies import Policies, PolicyBook
from tallystick.kernel.governance.records import Engine, Validator, ValidatorSet
from tallystick.kernel.law.rates import RateValue
from tallystick.kernel.law.records import Effect, LawBook, Matter, Rule
from tallystick.kernel.membership.records import (
    KeyRole,
    Member,
    Permission,
    Permitted,
    Role,
    SigningKey,
    SigningRule,
    SizeClass,
)
from tallystick.wire import canonical
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant
from tests.support.members import key_of, lei, offer, public
from tests.support.memory import MemoryState

LAW_DAY = datetime.date(2025, 6, 15)


def founder(name: str, *roles: Role, **fields: Any) -> GenesisMember:
    member = GenesisMember(
        legal_name=name,
        identifier=lei(name),
        identifier_kind="lei",
        size_class=SizeClass.LARGE,
        keys=(offer(name), offer(name + " maker", KeyRole.MAKER)),
        roles=roles,
    )
    return msgspec.structs.replace(member, **fields)


ENTERPRISE = founder(
    "Enterprise",
    Role.CLIENT,
    permissions=(Permission(may=Permitted.ISSUE, currency="CNY", ceiling=Units(10**9)),),
    signing_policy=(SigningRule(pattern="*", makers=1),),
)
NODE = Validator(key=public(key_of("node")), name="node one")
RULE = Rule(
    name="tenor", matter=Matter.TENOR, clause="art. 11", effect=Effect.REFUSE, from_on=LAW_DAY, figures={"months": 12}
)
PACK = GenesisPack(jurisdiction="cn", version="cn-2025.1", from_on=LAW_DAY, rules=(RULE,), source="published notice")
YEAR = GenesisYear(published=PublishedYear(year=2026, days_off=(datetime.date(2026, 1, 1),)), source="published")
LPR = GenesisRate(
    rate="cn-lpr-1y",
    values=(RateValue(from_on=LAW_DAY, rate=Rate(3_000_000)),),
    known_until_on=datetime.date(2026, 3, 20),
    source="published",
)
GENESIS = Genesis(
    format=1,
    chain_id="tallystick-test",
    time=Instant.parse("2026-03-01T20:00:00.000Z"),
    engine=Engine.EMBEDDED,
    validators=(NODE,),
    zone=GenesisZone(
        name="Asia/Shanghai", transitions=(Transition(at=Instant.parse("2000-01-01T00:00:00.000Z"), offset="+08:00"),)
    ),
    currencies=(GenesisCurrency(currency="CNY", minor_digits=2),),
    members=(ENTERPRISE, founder("Auditor", Role.AUDITOR), founder("Governor", Role.GOVERNOR)),
    sandbox=True,
    tree_depth=2,
    limits=Limits(max_parcels=100),
    policies=Policies(grace_days=3),
    calendars=(YEAR,),
    packs=(PACK,),
    reference_rates=(LPR,),
)


def test_the_rows_of_height_zero() -> None:
    state = MemoryState(initial_rows(GENESIS))
    enterprise = state.rows[f"member/{member_id('tallystick-test', ENTERPRISE)}"]
    assert isinstance(enterprise, Member)
    assert enterprise.is_admitted
    assert (enterprise.maker_keys, enterprise.admin_keys) == (1, 1)
    key = state.rows["key/" + public(key_of("Enterprise maker"))]
    assert isinstance(key, SigningKey)
    assert (key.member, key.role) == (enterprise.id, KeyRole.MAKER)
    book = state.rows["policies/chain"]
    assert isinstance(book, PolicyBook)
    # Eight in the evening UTC is the next day in the business zone; that is the first day of the chain.
    assert book.versions[0].from_on == datetime.date(2026, 3, 2)
    assert book.on(datetime.date(2026, 3, 2)).grace_days == 3
    assert isinstance(state.rows["zone/chain"], BusinessZone)
    assert isinstance(state.rows["calendar/2026"], CalendarYear)
    assert isinstance(state.rows["clock/chain"], Clock)
    law = state.rows["law/chain"]
    assert isinstance(law, LawBook)
    assert [adoption.version for adoption in law.on(LAW_DAY, "CNY")] == ["cn-2025.1"]
    assert list(state.index_range("role/governor/", "role/governor0"))
    for key_text, row in state.rows.items():
        assert decode_record(key_text, codec.encode(row)) == row


def test_only_a_sandbox_has_a_clock_to_set() -> None:
    rows = initial_rows(msgspec.structs.replace(GENESIS, sandbox=False))
    assert "clock/chain" not in {row.key for row in rows}


def test_a_genesis_is_read_back_from_its_canonical_bytes() -> None:
    raw = codec.encode(GENESIS)
    assert read_genesis(raw) == GENESIS
    assert canonical.encode(codec.plain(GENESIS)) == raw
    chain = chain_of(GENESIS)
    assert (chain.chain_id, chain.sandbox, chain.tree_depth, chain.max_parcels) == ("tallystick-test", True, 2, 100)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "truncated"),
        (b"{}", "format"),
        (codec.encode(GENESIS) + b"\n", "canonical"),
        (codec.encode(GENESIS).replace(b'"sandbox":true', b'"sandbox":1'), "$.sandbox"),
        (codec.encode(GENESIS).replace(b'"sandbox":true', b'"sand":true'), "sand"),
        (codec.encode(GENESIS).replace(b'"minor_digits":2', b'"minor_digits":9'), "$.currencies[0].minor_digits"),
        (codec.encode(GENESIS).replace(b"node one", "node \u2028\u0085one".encode()), "control"),
        (codec.encode(GENESIS).replace(b'"grace_days":3', b'"grace_days":-1'), "$.policies.grace_days"),
    ],
)
def test_what_cannot_be_read_is_named(raw: bytes, said: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read_genesis(raw, "genesis.json")
    assert said in str(caught.value)
    assert str(caught.value).startswith("genesis.json")


def year(**days: tuple[datetime.date, ...]) -> tuple[GenesisYear, ...]:
    return (GenesisYear(published=PublishedYear(**{"year": 2026, "days_off": (), **days}), source="published"),)


def members(*more: GenesisMember) -> dict[str, Any]:
    return {"members": (*GENESIS.members, *more)}


SUNDAY = datetime.date(2026, 3, 1)
ZONE = GENESIS.zone


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"format": 2}, "format"),
        ({"validators": (NODE, NODE)}, "validators"),
        ({"engine": Engine.CONSORTIUM, "sandbox": False}, "validators"),
        ({"validators": (msgspec.structs.replace(NODE, since=1),)}, "validators[0].since"),
        ({"zone": None}, "zone"),
        ({"currencies": ()}, "currencies"),
        ({"members": ()}, "members"),
        ({"validators": (Validator(key="A" * 43 + "=", name="node"),)}, "validators[0].key"),
        ({"zone": GenesisZone(name="X", transitions=ZONE.transitions * 2)}, "zone.transitions"),
        (
            {
                "zone": GenesisZone(
                    name="X",
                    transitions=(
                        *ZONE.transitions,
                        Transition(at=Instant.parse("2026-01-01T16:30:00.000Z"), offset="+07:00"),
                    ),
                )
            },
            "zone.transitions",
        ),
        ({"currencies": GENESIS.currencies * 2}, "currencies"),
        ({"calendars": (YEAR, YEAR)}, "calendars"),
        ({"calendars": year(days_off=(SUNDAY,))}, "calendars[0].days_off"),
        ({"calendars": year(days_on=(datetime.date(2026, 3, 2),))}, "calendars[0].days_on"),
        ({"packs": (PACK, PACK)}, "packs"),
        ({"packs": (msgspec.structs.replace(PACK, jurisdiction="gb"),)}, "packs[0]"),
        ({"packs": (PACK, msgspec.structs.replace(PACK, version="cn-2026"))}, "packs[1]"),
        (
            {"packs": (msgspec.structs.replace(PACK, rules=(msgspec.structs.replace(RULE, figures={}),)),)},
            "packs[0].rules",
        ),
        ({"reference_rates": (LPR, LPR)}, "reference_rates"),
        ({"reference_rates": (msgspec.structs.replace(LPR, values=LPR.values * 2),)}, "reference_rates[0]"),
        ({"members": GENESIS.members[:2]}, "members"),
        ({"policies": Policies(auditors_needed=2)}, "members"),
        (members(founder("Odd", identifier="not one")), "members[3].identifier"),
        (members(founder("Odd", identifier=lei("Auditor"))), "members[3].identifier"),
        (members(founder("Odd", keys=(offer("Auditor"),))), "members[3].keys"),
        (members(founder("Odd", keys=(offer("Odd", KeyRole.MAKER),))), "members[3].keys"),
        (members(founder("Odd", Role.CLIENT, Role.CLIENT)), "members[3].roles"),
        (
            members(founder("Odd", permissions=(Permission(may=Permitted.ISSUE, currency="GBP", ceiling=Units(1)),))),
            "members[3].permissions",
        ),
        (members(founder("Odd", permissions=ENTERPRISE.permissions * 2)), "members[3].permissions"),
        (
            members(founder("Odd", signing_policy=(SigningRule(pattern="*", checkers=1),))),
            "members[3].signing_policy",
        ),
    ],
)
def test_a_genesis_that_contradicts_itself_names_the_field(fields: dict[str, Any], field: str) -> None:
    wrong = msgspec.structs.replace(GENESIS, **fields)
    with pytest.raises(DecodeError) as caught:
        initial_rows(wrong)
    assert caught.value.where == f"genesis: {field}"
    with pytest.raises(DecodeError):
        read_genesis(codec.encode(wrong))


BEFORE = GenesisPredecessor(
    chain_id="tallystick-before",
    genesis="01" * 32,
    height=7,
    block="02" * 32,
    app_hash="03" * 32,
    snapshot="04" * 32,
    state_root="05" * 32,
    receipts_root="06" * 32,
)
SUCCESSOR = Genesis(
    format=1,
    chain_id="tallystick-test",
    time=GENESIS.time,
    engine=Engine.CONSORTIUM,
    validators=tuple(Validator(key=public(key_of(f"member {number}")), name=f"member {number}") for number in range(4)),
    sandbox=True,
    tree_depth=2,
    limits=GENESIS.limits,
    predecessor=BEFORE,
)


def test_a_successor_begins_with_the_state_of_its_predecessor() -> None:
    assert read_genesis(codec.encode(SUCCESSOR)) == SUCCESSOR
    assert (SUCCESSOR.initial_height, GENESIS.initial_height) == (8, 1)
    assert succeeding_rows(SUCCESSOR) == [
        ValidatorSet(id="chain", engine=Engine.CONSORTIUM, validators=SUCCESSOR.validators),
        Predecessor(id="chain", chain_id="tallystick-before", height=7, block="02" * 32),
    ]
    with pytest.raises(DecodeError, match="the snapshot of it"):
        initial_rows(SUCCESSOR)
    with pytest.raises(DecodeError, match="has no predecessor"):
        succeeding_rows(GENESIS)


def test_its_first_rows_depend_on_no_root_that_they_make() -> None:
    other = msgspec.structs.replace(BEFORE, state_root="07" * 32, receipts_root="08" * 32, snapshot="09" * 32)
    assert succeeding_rows(msgspec.structs.replace(SUCCESSOR, predecessor=other)) == succeeding_rows(SUCCESSOR)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"engine": Engine.EMBEDDED, "validators": (NODE,)}, "engine"),
        ({"predecessor": msgspec.structs.replace(BEFORE, chain_id="tallystick-test")}, "predecessor.chain_id"),
        ({"zone": GENESIS.zone}, "zone"),
        ({"currencies": GENESIS.currencies}, "currencies"),
        ({"members": GENESIS.members}, "members"),
        ({"policies": GENESIS.policies}, "policies"),
        ({"calendars": (YEAR,)}, "calendars"),
        ({"packs": (PACK,)}, "packs"),
        ({"reference_rates": (LPR,)}, "reference_rates"),
        ({"sandbox": False, "validators": SUCCESSOR.validators[:3]}, "validators"),
    ],
)
def test_a_successor_says_nothing_that_its_predecessor_s_state_has(fields: dict[str, Any], field: str) -> None:
    wrong = msgspec.structs.replace(SUCCESSOR, **fields)
    with pytest.raises(DecodeError) as caught:
        read_genesis(codec.encode(wrong))
    assert caught.value.where == f"genesis: {field}"
