"""The founding of a simulated consortium: members, keys, permissions, policies, packs and calendars, from a seed."""

import datetime
import hashlib
import random
from typing import Any

from nacl.signing import SigningKey as Ed25519

from tallystick import seeds
from tallystick.kernel.calendar.adopt import PublishedYear
from tallystick.kernel.calendar.records import CalendarYear
from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.genesis import (
    Genesis,
    GenesisCurrency,
    GenesisMember,
    GenesisPack,
    GenesisRate,
    GenesisYear,
    GenesisZone,
    Limits,
)
from tallystick.kernel.governance.policies import Policies, Shortfall
from tallystick.kernel.governance.records import Engine, Validator
from tallystick.kernel.membership.records import (
    KeyOffer,
    KeyRole,
    Licence,
    Permission,
    Permitted,
    Role,
    SigningRule,
    SizeClass,
)
from tallystick.wire.amounts import MAX_UNITS, Units
from tallystick.wire.instants import Instant
from tallystick.wire.keys import to_base64
from tests.simulation.town import Town
from tests.support.members import lei

START = Instant.parse("2026-01-05T01:00:00.000Z")
CURRENCIES = (("CNY", 2), ("GBP", 2), ("JPY", 0))
FOUR_EYES = (
    SigningRule(pattern="receivable.*", currency="CNY", up_to=Units(500_000), makers=1),
    SigningRule(pattern="transfer.*", makers=1, checkers=1),
    SigningRule(pattern="key.*", admins=1),
    SigningRule(pattern="*", makers=1, checkers=1),
)
ROLES: tuple[tuple[str, tuple[Role, ...], SizeClass], ...] = (
    ("Northmill", (Role.CLIENT, Role.CORE_ENTERPRISE), SizeClass.LARGE),
    ("Eastgate", (Role.CLIENT, Role.CORE_ENTERPRISE), SizeClass.PUBLIC),
    ("Ashdown", (Role.CLIENT,), SizeClass.SMALL),
    ("Birchwood", (Role.CLIENT,), SizeClass.MEDIUM),
    ("Coldwater", (Role.CLIENT,), SizeClass.MICRO),
    ("Dunmore", (Role.CLIENT, Role.CORE_ENTERPRISE), SizeClass.MEDIUM),
    ("First funder", (Role.FUNDER,), SizeClass.LARGE),
    ("Second funder", (Role.FUNDER,), SizeClass.LARGE),
    ("Third funder", (Role.FUNDER, Role.CLIENT), SizeClass.LARGE),
    ("Auditor one", (Role.AUDITOR,), SizeClass.MEDIUM),
    ("Auditor two", (Role.AUDITOR,), SizeClass.MEDIUM),
    ("Auditor three", (Role.AUDITOR,), SizeClass.MEDIUM),
    ("Bank one", (Role.CUSTODIAN,), SizeClass.LARGE),
    ("Bank two", (Role.CUSTODIAN,), SizeClass.LARGE),
    ("Platform", (Role.PLATFORM,), SizeClass.MEDIUM),
    ("Second platform", (Role.PLATFORM,), SizeClass.MEDIUM),
    ("Surveyor one", (Role.VERIFIER,), SizeClass.SMALL),
    ("Surveyor two", (Role.VERIFIER,), SizeClass.SMALL),
    ("Surveyor three", (Role.VERIFIER, Role.CLIENT), SizeClass.SMALL),
    ("Arbitrator one", (Role.ARBITRATOR,), SizeClass.SMALL),
    ("Arbitrator two", (Role.ARBITRATOR,), SizeClass.SMALL),
    ("Freight source", (Role.DATA_SOURCE,), SizeClass.SMALL),
    ("Site source", (Role.DATA_SOURCE,), SizeClass.SMALL),
    ("Governor one", (Role.GOVERNOR,), SizeClass.MEDIUM),
    ("Governor two", (Role.GOVERNOR,), SizeClass.MEDIUM),
    ("Governor three", (Role.GOVERNOR,), SizeClass.MEDIUM),
)


def paper(kind: str = "paper", of: object = "") -> Anchor:
    """The salted hash of some document kept off the ledger."""
    return Anchor(hash=hashlib.sha256(f"{kind}:{of}".encode()).hexdigest(), kind=kind)


def key_of(seed: int, name: str, number: int) -> Ed25519:
    return Ed25519(hashlib.sha256(f"{seed}:{name}:{number}".encode()).digest())


def found_town(seed: int, sweep_every: int = 10) -> Town:
    """A new chain whose every trait follows from `seed`."""
    rng = random.Random(seed)
    keys: dict[str, list[Ed25519]] = {}
    members = [_member(seed, rng, name, roles, size, keys) for name, roles, size in ROLES]
    node = to_base64(key_of(seed, "node", 0).verify_key.encode())
    calendar = seeds.calendar("gb")
    genesis = Genesis(
        format=1,
        chain_id=f"simulated-{seed}",
        time=START,
        engine=Engine.EMBEDDED,
        validators=(Validator(key=node, name="node"),),
        zone=_zone(rng),
        currencies=tuple(GenesisCurrency(currency=code, minor_digits=digits) for code, digits in CURRENCIES),
        members=tuple(members),
        sandbox=True,
        tree_depth=2,
        limits=Limits(max_parcels=rng.choice((40, 500))),
        policies=_policies(rng),
        calendars=tuple(year_of(row) for row in calendar if row.id in ("2025", "2026", "2027")),
        packs=tuple(_pack(name) for name in rng.choice((("all", "cn", "gb"), ("all", "gb"), ("all", "cn")))),
        reference_rates=tuple(_rate(name) for name in seeds.REFERENCE_RATES),
    )
    return Town(genesis, keys, rng, sweep_every)


def _member(
    seed: int, rng: random.Random, name: str, roles: tuple[Role, ...], size: SizeClass, keys: dict[str, list[Ed25519]]
) -> GenesisMember:
    staffed = Role.CLIENT in roles and rng.random() < 0.7
    four_eyes = staffed and rng.random() < 0.6
    held = [KeyRole.ADMIN, KeyRole.MAKER, KeyRole.MAKER, KeyRole.CHECKER] if staffed else [KeyRole.ADMIN]
    keys[name] = [key_of(seed, name, number) for number in range(len(held))]
    trades = {Role.CLIENT, Role.CORE_ENTERPRISE, Role.FUNDER} & set(roles)
    permissions = tuple(
        Permission(may=may, currency=code, ceiling=Units(rng.choice((10**7, 10**9, 10**12, MAX_UNITS))))
        for may in Permitted
        for code, _ in CURRENCIES
        if trades
    )
    licences = tuple(
        Licence(kind=kind, anchor=paper("licence", name))
        for role, kind in ((Role.CUSTODIAN, "banking"), (Role.FUNDER, "factoring"))
        if role in roles
    )
    offers = tuple(
        KeyOffer(key=to_base64(key.verify_key.encode()), role=role) for key, role in zip(keys[name], held, strict=True)
    )
    return GenesisMember(
        legal_name=name,
        identifier=lei(name),
        identifier_kind="lei",
        size_class=size,
        keys=offers,
        roles=roles,
        permissions=permissions,
        signing_policy=FOUR_EYES if four_eyes else (),
        licences=licences,
    )


def _policies(rng: random.Random) -> Policies:
    values: dict[str, Any] = {
        "auditors_needed": rng.choice((1, 1, 2)),
        "governors_needed": 2,
        "shortfall": rng.choice(list(Shortfall)),
        "publish_by_policy": rng.random() < 0.6,
        "platform_reviews_accounts": rng.random() < 0.3,
        "max_hops": rng.choice((3, 10)),
        "cutoff_days": rng.choice((1, 3)),
        "grace_days": rng.choice((0, 0, 2)),
        "review_deadline_days": rng.choice((3, 10)),
        "min_split": Units(rng.choice((1, 1, 1_000))),
        "bank_account_cooling_days": 1,
        "recovery_waiting_days": 2,
        "payee_copy_suffices": rng.random() < 0.2,
        "sign_contracts_days": rng.choice((8, 30)),
        "funding_grace_days": rng.choice((0, 1, 3)),
        "evidence_rounds": rng.choice((1, 2, 3)),
        "extensions": rng.choice((0, 1, 2)),
        "negotiation_days": rng.choice((1, 3)),
        "refund_consent_days": rng.choice((1, 4)),
        "amendment_days": rng.choice((1, 5)),
        "wage_repair_days": rng.choice((1, 5)),
        "max_tranches": rng.choice((4, 100)),
    }
    return Policies(**values)


def _zone(rng: random.Random) -> GenesisZone:
    zone = seeds.zone(rng.choice(seeds.ZONES))
    return GenesisZone(name=zone.name, transitions=zone.transitions)


def year_of(row: CalendarYear) -> GenesisYear:
    version = row.versions[0]
    published = PublishedYear(year=int(row.id), days_off=version.days_off, days_on=version.days_on)
    return GenesisYear(published=published, source=version.source)


def _pack(name: str) -> GenesisPack:
    pack, adoption = seeds.law_pack(name)
    return GenesisPack(
        jurisdiction=name,
        version=pack.id,
        from_on=datetime.date(2000, 1, 1),
        rules=pack.rules,
        source=pack.source,
        currencies=adoption.currencies,
    )


def _rate(name: str) -> GenesisRate:
    row = seeds.reference_rate(name)
    return GenesisRate(rate=name, values=row.values, known_until_on=row.known_until_on, source=row.source)
