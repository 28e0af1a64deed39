"""The genesis: the one file a chain starts from, and which verifiers pin. Format: docs/spec/genesis.md.

`read_genesis` reads canonical bytes; `initial_rows` gives the rows of height 0. Both name the field that is wrong. How
a genesis is put together from seeds and a consortium's own file is no matter of the kernel.
"""

import datetime
from itertools import pairwise
from typing import Annotated

from msgspec import Meta

from tallystick.kernel.calendar.adopt import PublishedYear, check_transitions
from tallystick.kernel.calendar.days import day_of
from tallystick.kernel.calendar.records import BusinessZone, CalendarYear, Transition, YearVersion, ZoneName
from tallystick.kernel.chain_rows import Clock, Predecessor
from tallystick.kernel.core import codec
from tallystick.kernel.core.fields import Anchor, ChainId, Code, Currency, Hash, Name, Note, Position, Struct
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.step import Chain
from tallystick.kernel.governance.currencies import CurrencyTerms
from tallystick.kernel.governance.policies import Policies, PolicyBook, PolicyVersion
from tallystick.kernel.governance.records import (
    MAX_VALIDATORS,
    MIN_VALIDATORS,
    Engine,
    Protocol,
    ProtocolVersion,
    Validator,
    ValidatorSet,
)
from tallystick.kernel.law.adopt import check_rules
from tallystick.kernel.law.rates import RateValue, ReferenceRate
from tallystick.kernel.law.records import Adoption, Jurisdiction, LawBook, LawPack, Rule, Version
from tallystick.kernel.membership.identifiers import identifier_holds
from tallystick.kernel.membership.keys import check_bands, check_meetable
from tallystick.kernel.membership.records import (
    KeyOffer,
    KeyRole,
    Licence,
    Member,
    MemberState,
    Permission,
    PermissionGrant,
    PolicyEntry,
    Role,
    RoleGrant,
    SigningKey,
    SigningRule,
    SizeClass,
    StateEntry,
)
from tallystick.wire import canonical
from tallystick.wire.errors import DecodeError
from tallystick.wire.ids import record_id
from tallystick.wire.instants import Instant
from tallystick.wire.keys import KEY_BYTES, from_base64, is_sound_key

FORMAT = 1
PROTOCOL_VERSION = 1
_START = Position(0, 0)


class Limits(Struct):
    """What bounds a transaction, a receivable and a block's due work, for ever."""

    max_operations: Annotated[int, Meta(ge=1, le=1_000)] = 1_000
    max_parcels: Annotated[int, Meta(ge=1, le=500)] = 500
    max_due_per_block: Annotated[int, Meta(ge=1, le=100_000)] = 1_000


class GenesisZone(Struct):
    """The business time zone as its offsets from UTC."""

    name: ZoneName
    transitions: Annotated[tuple[Transition, ...], Meta(min_length=1, max_length=1_000)]


class GenesisCurrency(Struct):
    """An ISO 4217 currency that the chain knows from its first day."""

    currency: Currency
    minor_digits: Annotated[int, Meta(ge=0, le=4)]


class GenesisYear(Struct):
    """The published business days of a year, and who published them."""

    published: PublishedYear
    source: Note


class GenesisPack(Struct):
    """A law pack that judges from `from_on`; no currency named: in all."""

    jurisdiction: Jurisdiction
    version: Version
    from_on: datetime.date
    rules: Annotated[tuple[Rule, ...], Meta(max_length=100)]
    source: Note
    currencies: tuple[Currency, ...] = ()


class GenesisRate(Struct):
    """A reference rate as it was published, known through a day."""

    rate: Code
    values: Annotated[tuple[RateValue, ...], Meta(min_length=1, max_length=10_000)]
    known_until_on: datetime.date
    source: Note


class GenesisMember(Struct):
    """A founding member: nobody reviewed it, all who accept the genesis accept it."""

    legal_name: Name
    identifier: Annotated[str, Meta(min_length=1, max_length=40)]
    identifier_kind: Code
    size_class: SizeClass
    keys: Annotated[tuple[KeyOffer, ...], Meta(min_length=1, max_length=16)]
    roles: tuple[Role, ...] = ()
    permissions: tuple[Permission, ...] = ()
    signing_policy: tuple[SigningRule, ...] = ()
    licences: tuple[Licence, ...] = ()
    papers: tuple[Anchor, ...] = ()
    papers_until_on: datetime.date | None = None


class GenesisPredecessor(Struct):
    """The closed chain that a consortium goes on from (chain.close): its end, and the state that begins the new one.

    `block` is the hash of its last header, which states `app_hash`, the app hash after the block that closed it.
    `snapshot` is the digest of the manifest of the snapshot that holds its state; `state_root` and `receipts_root` are
    those of the new chain's first state.
    """

    chain_id: ChainId
    genesis: Hash
    height: Annotated[int, Meta(ge=2, le=2**53 - 2)]
    block: Hash
    app_hash: Hash
    snapshot: Hash
    state_root: Hash
    receipts_root: Hash


class Genesis(Struct):
    """All that a chain starts from. With a `predecessor`, what governs and who takes part is in the state already."""

    format: int
    chain_id: ChainId
    time: Instant
    engine: Engine
    validators: Annotated[tuple[Validator, ...], Meta(min_length=1, max_length=MAX_VALIDATORS)]
    zone: GenesisZone | None = None
    currencies: Annotated[tuple[GenesisCurrency, ...], Meta(max_length=200)] = ()
    members: Annotated[tuple[GenesisMember, ...], Meta(max_length=1_000)] = ()
    sandbox: bool = False
    tree_depth: Annotated[int, Meta(ge=1, le=6)] = 5
    limits: Limits = Limits()
    policies: Policies = Policies()
    calendars: Annotated[tuple[GenesisYear, ...], Meta(max_length=200)] = ()
    packs: Annotated[tuple[GenesisPack, ...], Meta(max_length=50)] = ()
    reference_rates: Annotated[tuple[GenesisRate, ...], Meta(max_length=50)] = ()
    predecessor: GenesisPredecessor | None = None

    @property
    def initial_height(self) -> int:
        """The height of the first block."""
        return 1 if self.predecessor is None else self.predecessor.height + 1


def read_genesis(raw: bytes, where: str = "genesis") -> Genesis:
    """Read a genesis whose canonical bytes are exactly `raw`. Raises `DecodeError` naming the field."""
    genesis = codec.decode(Genesis, raw, where)
    fault = canonical.raw_text_fault(raw)
    if fault is not None:
        raise DecodeError(fault, where)
    check_genesis(genesis)
    return genesis


def chain_of(genesis: Genesis) -> Chain:
    """What the genesis fixes for ever."""
    limits = genesis.limits
    return Chain(
        chain_id=genesis.chain_id,
        sandbox=genesis.sandbox,
        tree_depth=genesis.tree_depth,
        max_operations=limits.max_operations,
        max_parcels=limits.max_parcels,
        max_due_per_block=limits.max_due_per_block,
    )


def member_id(chain_id: str, member: GenesisMember) -> str:
    """The id of a founding member, which follows from its identifier."""
    return record_id("mbr", chain_id, "genesis", f"{member.identifier_kind}/{member.identifier}", 0)


def initial_rows(genesis: Genesis) -> list[Record]:
    """The rows of height 0. Raises `DecodeError` where the genesis contradicts itself, or has a predecessor."""
    check_genesis(genesis)
    if genesis.zone is None:
        raise DecodeError("the chain begins with its predecessor's state, from the snapshot of it", "genesis: zone")
    zone = BusinessZone(id="chain", name=genesis.zone.name, transitions=genesis.zone.transitions)
    start = _Rows((zone,)).first_day(genesis.time)
    rows: list[Record] = [
        zone,
        PolicyBook(id="chain", versions=(PolicyVersion(from_on=start, values=genesis.policies),)),
        Protocol(id="chain", versions=(ProtocolVersion(version=PROTOCOL_VERSION, from_height=0),)),
        ValidatorSet(id="chain", engine=genesis.engine, validators=genesis.validators),
        LawBook(id="chain", adoptions=tuple(_adoption(pack) for pack in genesis.packs)),
    ]
    if genesis.sandbox:
        rows.append(Clock(id="chain"))
    rows.extend(
        CurrencyTerms(id=one.currency, minor_digits=one.minor_digits, from_on=start) for one in genesis.currencies
    )
    rows.extend(_calendar_year(one) for one in genesis.calendars)
    rows.extend(LawPack(id=pack.version, rules=pack.rules, source=pack.source) for pack in genesis.packs)
    rows.extend(
        ReferenceRate(id=one.rate, values=one.values, known_until_on=one.known_until_on, source=one.source)
        for one in genesis.reference_rates
    )
    for member in genesis.members:
        rows.extend(_member_rows(genesis.chain_id, member))
    return rows


def succeeding_rows(genesis: Genesis) -> list[Record]:
    """The rows with which a chain goes on from its predecessor's; `closed/chain` goes. They depend on no root."""
    before = genesis.predecessor
    if before is None:
        raise DecodeError("the chain has no predecessor", "genesis: predecessor")
    return [
        ValidatorSet(id="chain", engine=genesis.engine, validators=genesis.validators),
        Predecessor(id="chain", chain_id=before.chain_id, height=before.height, block=before.block),
    ]


class _Rows:
    """Rows by key, for the calendar's questions before there is a state."""

    def __init__(self, rows: tuple[Record, ...]) -> None:
        self._rows = {row.key: row for row in rows}

    def find(self, key: str) -> Record | None:
        return self._rows.get(key)

    def first_day(self, time: Instant) -> datetime.date:
        """The business day of the genesis."""
        return day_of(self, time)


def _adoption(pack: GenesisPack) -> Adoption:
    return Adoption(
        jurisdiction=pack.jurisdiction, version=pack.version, from_on=pack.from_on, currencies=pack.currencies
    )


def _calendar_year(one: GenesisYear) -> CalendarYear:
    published = one.published
    version = YearVersion(
        from_on=datetime.date(published.year, 1, 1),
        days_off=published.days_off,
        days_on=published.days_on,
        source=one.source,
    )
    return CalendarYear(id=str(published.year), versions=(version,))


def _member(chain_id: str, member: GenesisMember) -> Member:
    count = {role: sum(1 for offer in member.keys if offer.role is role) for role in KeyRole}
    policy = (PolicyEntry(rules=member.signing_policy, since=_START),) if member.signing_policy else ()
    return Member(
        id=member_id(chain_id, member),
        legal_name=member.legal_name,
        identifier=member.identifier,
        identifier_kind=member.identifier_kind,
        size_class=member.size_class,
        states=(StateEntry(state=MemberState.ADMITTED, since=_START),),
        roles=tuple(RoleGrant(role=role, since=_START) for role in member.roles),
        permissions=tuple(PermissionGrant(permission=one, since=_START) for one in member.permissions),
        policies=policy,
        licences=member.licences,
        papers=member.papers,
        papers_until_on=member.papers_until_on,
        maker_keys=count[KeyRole.MAKER],
        checker_keys=count[KeyRole.CHECKER],
        admin_keys=count[KeyRole.ADMIN],
    )


def _member_rows(chain_id: str, member: GenesisMember) -> list[Record]:
    row = _member(chain_id, member)
    keys = (SigningKey(id=offer.key, member=row.id, role=offer.role, since=_START) for offer in member.keys)
    return [row, *keys]


def check_genesis(genesis: Genesis) -> None:
    """Raise `DecodeError`, naming the field, where the genesis could not start a chain that works."""
    _require(genesis.format == FORMAT, f"format {genesis.format} is not {FORMAT}", "format")
    _check_engine(genesis)
    if genesis.predecessor is not None:
        _check_succeeding(genesis, genesis.predecessor)
        return
    _require(bool(genesis.currencies), "at least one is needed", "currencies")
    _require(bool(genesis.members), "at least one is needed", "members")
    _check_zone(genesis.zone)
    codes = [one.currency for one in genesis.currencies]
    _require(len(set(codes)) == len(codes), "a currency is named twice", "currencies")
    years = [one.published.year for one in genesis.calendars]
    _require(years == sorted(set(years)), "years are not ascending", "calendars")
    for number, year in enumerate(genesis.calendars):
        _check_year(year.published, f"calendars[{number}]")
    _check_packs(genesis)
    for number, one in enumerate(genesis.reference_rates):
        starts = [value.from_on for value in one.values]
        _require(starts == sorted(set(starts)), "values are not ascending", f"reference_rates[{number}]")
    _require(
        len({one.rate for one in genesis.reference_rates}) == len(genesis.reference_rates), _TWICE, "reference_rates"
    )
    _check_members(genesis, set(codes))


_TWICE = "one is named twice"


def _require(holds: bool, what: str, where: str) -> None:
    if not holds:
        raise DecodeError(what, f"genesis: {where}")


def _check_engine(genesis: Genesis) -> None:
    validators = genesis.validators
    if genesis.engine is Engine.EMBEDDED:
        _require(len(validators) == 1, "the embedded engine has one validator", "validators")
    else:
        needed = 1 if genesis.sandbox else MIN_VALIDATORS
        _require(len(validators) >= needed, f"at least {needed} are needed", "validators")
    _require(len({one.key for one in validators}) == len(validators), _TWICE, "validators")
    for number, one in enumerate(validators):
        _check_key(one.key, f"validators[{number}].key")
        _require(one.since == 0, "a validator of the genesis was added by no block", f"validators[{number}].since")


def _check_succeeding(genesis: Genesis, predecessor: GenesisPredecessor) -> None:
    """A successor takes over what governs it: nothing that its predecessor's state holds is said a second time."""
    _require(genesis.engine is Engine.CONSORTIUM, "a chain with a predecessor is a consortium's", "engine")
    _require(predecessor.chain_id != genesis.chain_id, "it is the chain itself", "predecessor.chain_id")
    fresh = Genesis(
        format=genesis.format,
        chain_id=genesis.chain_id,
        time=genesis.time,
        engine=genesis.engine,
        validators=genesis.validators,
    )
    for field in ("zone", "currencies", "members", "policies", "calendars", "packs", "reference_rates"):
        _require(getattr(genesis, field) == getattr(fresh, field), "the predecessor's state has it already", field)


def _check_key(key: str, where: str) -> None:
    _require(is_sound_key(from_base64(key, KEY_BYTES, f"genesis: {where}")), "not a sound Ed25519 key", where)


def _check_zone(zone: GenesisZone | None) -> None:
    if zone is None:
        raise DecodeError("it is needed", "genesis: zone")
    transitions = zone.transitions
    ascending = all(before.at < after.at for before, after in pairwise(transitions))
    _require(ascending, "transitions are not ascending", "zone.transitions")
    refusal = check_transitions(transitions)
    _require(refusal is None, "clocks are put back over midnight", "zone.transitions")


def _check_year(published: PublishedYear, where: str) -> None:
    for name, days, weekend in (("days_off", published.days_off, False), ("days_on", published.days_on, True)):
        _require(list(days) == sorted(set(days)), "days are not ascending", f"{where}.{name}")
        for day in days:
            fits = day.year == published.year and (day.weekday() >= 5) is weekend
            _require(fits, f"{day} does not belong here", f"{where}.{name}")


def _check_packs(genesis: Genesis) -> None:
    versions = [pack.version for pack in genesis.packs]
    _require(len(set(versions)) == len(versions), _TWICE, "packs")
    latest: dict[str, datetime.date] = {}
    for number, pack in enumerate(genesis.packs):
        where = f"packs[{number}]"
        _require(pack.version.startswith(pack.jurisdiction + "-"), "not a version of its jurisdiction", where)
        before = latest.get(pack.jurisdiction)
        _require(before is None or before < pack.from_on, "adoptions are not ascending", where)
        latest[pack.jurisdiction] = pack.from_on
        refusal = check_rules(pack.rules)
        if refusal is not None:
            facts = ", ".join(f"{name} {value}" for name, value in refusal.facts.items())
            raise DecodeError(f"{refusal.status.label}: {facts}", f"genesis: {where}.rules")


def _check_members(genesis: Genesis, currencies: set[str]) -> None:
    keys: set[str] = set()
    identifiers: set[tuple[str, str]] = set()
    for number, member in enumerate(genesis.members):
        where = f"members[{number}]"
        identifier = (member.identifier_kind, member.identifier)
        accepted = member.identifier_kind in genesis.policies.identifier_kinds
        _require(accepted and identifier_holds(*identifier), "not an accepted identifier", f"{where}.identifier")
        _require(identifier not in identifiers, "another member has it", f"{where}.identifier")
        identifiers.add(identifier)
        for offer in member.keys:
            _check_key(offer.key, f"{where}.keys")
            _require(offer.key not in keys, "another key is the same", f"{where}.keys")
            keys.add(offer.key)
        _require(any(offer.role is KeyRole.ADMIN for offer in member.keys), "no admin key", f"{where}.keys")
        _require(len(set(member.roles)) == len(member.roles), _TWICE, f"{where}.roles")
        _check_entitlements(genesis, member, where, currencies)
    for role, needed in (
        (Role.GOVERNOR, genesis.policies.governors_needed),
        (Role.AUDITOR, genesis.policies.auditors_needed),
    ):
        held = sum(1 for member in genesis.members if role in member.roles)
        _require(held >= needed, f"{held} members are {role.value}, {needed} must agree", "members")


def _check_entitlements(genesis: Genesis, member: GenesisMember, where: str, currencies: set[str]) -> None:
    for permission in member.permissions:
        _require(permission.currency in currencies, f"{permission.currency} is unknown", f"{where}.permissions")
    named = {(one.may, one.currency) for one in member.permissions}
    _require(len(named) == len(member.permissions), _TWICE, f"{where}.permissions")
    row = _member(genesis.chain_id, member)
    fault = check_bands(member.signing_policy) or check_meetable(row, member.signing_policy)
    _require(fault is None, "its keys cannot meet it, or a band has no rule above it", f"{where}.signing_policy")
