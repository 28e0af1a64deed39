"""What governors decide: policies from a day on, currencies, the rules' version, validators, the end, the clock."""

import datetime

import msgspec
import pytest

from tallystick.kernel.chain_rows import Clock, Closed
from tallystick.kernel.documents.anchors import AnchorDocument
from tallystick.kernel.governance.currencies import CurrencyTerms, check_currency
from tallystick.kernel.governance.operations import (
    AddCurrency,
    AddValidator,
    AdoptProtocol,
    AdvanceClock,
    CloseChain,
    RemoveValidator,
    SetPolicy,
)
from tallystick.kernel.governance.policies import Policies, PolicyBook, Shortfall, policies
from tallystick.kernel.governance.records import Engine, Protocol, ProtocolVersion, Validator, ValidatorSet
from tallystick.kernel.membership.records import Role
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.kernel.membership.test_limits import step_of
from tests.support.members import anchor, key_of, public
from tests.support.world import World

APRIL = datetime.date(2026, 4, 1)
MAY = datetime.date(2026, 5, 1)
KEYS = [public(key_of(f"validator {number}")) for number in range(20)]


def governed(engine: Engine = Engine.EMBEDDED, count: int = 1, **options: bool) -> tuple[World, str, str]:
    """Two governors, both needed, and the chain's own rows."""
    world = World(policies=Policies(governors_needed=2), **options)
    world.member("Auditor", Role.AUDITOR)
    validators = tuple(Validator(key=key, name=f"node {number}") for number, key in enumerate(KEYS[:count]))
    world.put(
        Protocol(id="chain", versions=(ProtocolVersion(version=1, from_height=0),)),
        ValidatorSet(id="chain", engine=engine, validators=validators),
    )
    return world, world.member("Governor", Role.GOVERNOR), world.member("Second governor", Role.GOVERNOR)


def book(world: World) -> PolicyBook:
    found = world.row(PolicyBook, "chain")
    assert isinstance(found, PolicyBook)
    return found


def test_policies_change_from_a_coming_day_on() -> None:
    world, one, two = governed()
    change = SetPolicy(changes={"grace_days": 5, "shortfall": "pro_rata", "min_split": "100"}, from_on=APRIL)
    world.do(change, by=one, expect=Status.ROLE_MISSING, vector="policy.set/quorum_missing")
    world.do(change, by=one, also=(two,), vector="policy.set/from_april")
    assert policies(step_of(world)).grace_days == 0
    values = book(world).on(APRIL)
    assert (values.grace_days, values.shortfall, values.min_split) == (5, Shortfall.PRO_RATA, Units(100))
    assert values.governors_needed == 2
    world.now = world.now.plus(30 * DAY_MS)
    assert policies(step_of(world)).grace_days == 5


def test_a_change_before_a_later_one_holds_after_it_too() -> None:
    world, one, two = governed()
    world.do(SetPolicy(changes={"grace_days": 5}, from_on=MAY), by=one, also=(two,))
    world.do(SetPolicy(changes={"max_hops": 3}, from_on=APRIL), by=one, also=(two,), vector="policy.set/before_another")
    before, april, may = (book(world).on(day) for day in (datetime.date(2026, 3, 31), APRIL, MAY))
    assert [(one.grace_days, one.max_hops) for one in (before, april, may)] == [(0, 10), (0, 3), (5, 3)]
    world.do(SetPolicy(changes={"grace_days": 6}, from_on=MAY), by=one, also=(two,))
    assert len(book(world).versions) == 3
    assert book(world).on(MAY).grace_days == 6


@pytest.mark.parametrize(
    ("changes", "case"),
    [
        ({"grace_day": 5}, "unknown_policy"),
        ({"grace_days": "5"}, "wrong_kind"),
        ({"max_hops": 0}, "out_of_range"),
        ({"shortfall": "some"}, ""),
        ({"platform_reviews_accounts": 1}, ""),
        ({"identifier_kinds": ("USCC",)}, ""),
        ({"max_hops": 3, "grace_days": 40_000}, ""),
    ],
)
def test_what_no_policy_takes(changes: dict[str, object], case: str) -> None:
    world, one, two = governed()
    change = SetPolicy(changes=changes, from_on=APRIL)  # type: ignore[arg-type]
    vector = f"policy.set/{case}" if case else ""
    result = world.do(change, by=one, also=(two,), expect=Status.BAD_VALUE, vector=vector)
    assert result.facts["field"] in changes


def test_no_rule_is_retroactive() -> None:
    world, one, two = governed()
    today = world.today()
    late = Status.RETROACTIVE
    world.do(
        SetPolicy(changes={"max_hops": 3}, from_on=today),
        by=one,
        also=(two,),
        expect=late,
        vector="policy.set/retroactive",
    )
    currency = AddCurrency(currency="CHF", minor_digits=2, from_on=today)
    world.do(currency, by=one, also=(two,), expect=late, vector="currency.add/retroactive")
    protocol = AdoptProtocol(version=2, from_height=world.height)
    world.do(protocol, by=one, also=(two,), expect=late, vector="protocol.adopt/retroactive")


def test_a_quorum_stays_possible() -> None:
    world, one, two = governed()
    change = SetPolicy(changes={"governors_needed": 3}, from_on=APRIL)
    world.do(change, by=one, also=(two,), expect=Status.STILL_NEEDED, vector="policy.set/quorum_impossible")
    world.member("Third governor", Role.GOVERNOR)
    world.do(change, by=one, also=(two,))


def test_a_currency_is_known_from_its_day_on() -> None:
    world, one, two = governed()
    add = AddCurrency(currency="CHF", minor_digits=2, from_on=APRIL)
    world.do(add, by=one, also=(two,), vector="currency.add/added")
    world.do(add, by=one, also=(two,), expect=Status.RECORD_EXISTS, vector="currency.add/record_exists")
    world.do(add, by=one, expect=Status.ROLE_MISSING, vector="currency.add/quorum_missing")
    refusal = check_currency(step_of(world), "CHF")
    assert refusal is not None
    assert refusal.status is Status.UNKNOWN_CURRENCY
    world.now = world.now.plus(30 * DAY_MS)
    assert check_currency(step_of(world), "CHF") is None
    assert world.row(CurrencyTerms, "CHF").minor_digits == 2


def test_a_version_of_the_rules_is_adopted() -> None:
    world, one, two = governed()
    adopt = AdoptProtocol(version=2, from_height=100)
    world.do(adopt, by=one, also=(two,), vector="protocol.adopt/adopted")
    world.do(adopt, by=one, also=(two,), expect=Status.BAD_VALUE, vector="protocol.adopt/not_later")
    earlier = AdoptProtocol(version=3, from_height=100)
    world.do(earlier, by=one, also=(two,), expect=Status.RETROACTIVE)
    world.do(earlier, by=one, expect=Status.ROLE_MISSING, vector="protocol.adopt/quorum_missing")
    assert [v.version for v in world.row(Protocol, "chain").versions] == [1, 2]


def test_the_embedded_engine_has_no_validators_to_change() -> None:
    world, one, two = governed()
    for operation in (AddValidator(key=KEYS[5], validator="node"), RemoveValidator(key=KEYS[0])):
        status = Status.NOT_ON_THIS_ENGINE
        world.do(operation, by=one, also=(two,), expect=status, vector=f"{operation.name}/not_on_this_engine")


def test_validators_come_and_go_less_than_a_third_a_block() -> None:
    world, one, two = governed(Engine.CONSORTIUM, 7)
    both = {"by": one, "also": (two,)}
    add = AddValidator(key=KEYS[10], validator="node ten")
    world.do(add, **both, vector="validator.add/added")
    world.do(add, **both, expect=Status.RECORD_EXISTS, vector="validator.add/record_exists")
    three = [AddValidator(key=KEYS[number], validator="node") for number in (11, 12, 13)]
    world.do(*three, **both, expect=Status.TOO_MANY)
    world.do(*three[:2], **both)
    assert len(world.row(ValidatorSet, "chain").validators) == 10
    remove = RemoveValidator(key=KEYS[0])
    world.do(remove, **both, vector="validator.remove/removed")
    world.do(remove, **both, expect=Status.NOT_FOUND, vector="validator.remove/not_found")
    world.do(remove, by=one, expect=Status.ROLE_MISSING, vector="validator.remove/quorum_missing")
    unsound = AddValidator(key="A" * 43 + "=", validator="node")
    world.do(unsound, **both, expect=Status.UNSOUND_KEY, vector="validator.add/unsound_key")
    world.do(unsound, by=one, expect=Status.ROLE_MISSING, vector="validator.add/quorum_missing")


def test_exactly_a_third_is_too_many() -> None:
    world, one, two = governed(Engine.CONSORTIUM, 6)
    pair = [AddValidator(key=KEYS[number], validator="node") for number in (11, 12)]
    world.do(*pair, by=one, also=(two,), expect=Status.TOO_MANY)
    world.do(pair[0], by=one, also=(two,))


def test_validators_are_never_fewer_than_four() -> None:
    world, one, two = governed(Engine.CONSORTIUM, 4)
    remove = RemoveValidator(key=KEYS[0])
    world.do(remove, by=one, also=(two,), expect=Status.STILL_NEEDED, vector="validator.remove/still_needed")
    again = [AddValidator(key=KEYS[4], validator="node"), AddValidator(key=KEYS[5], validator="node")]
    world.do(*again, by=one, also=(two,), expect=Status.TOO_MANY, vector="validator.add/too_many")


def test_the_chain_is_closed_for_good() -> None:
    world, one, two = governed()
    close = CloseChain(successor="tallystick-test-2", validators=tuple(KEYS[:4]))
    world.do(close, by=one, expect=Status.ROLE_MISSING, vector="chain.close/quorum_missing")
    world.do(close, by=one, also=(two,), vector="chain.close/closed")
    assert world.row(Closed, "chain").validators == tuple(KEYS[:4])
    paper = AnchorDocument(anchor=anchor())
    result = world.do(paper, by=one, expect=Status.CHAIN_CLOSED, vector="document.anchor/chain_closed")
    assert result.facts == {"successor": "tallystick-test-2"}


def test_what_cannot_be_closed() -> None:
    world, one, two = governed()
    both = {"by": one, "also": (two,)}
    four = tuple(KEYS[:4])
    itself = CloseChain(successor="tallystick-test", validators=four)
    world.do(itself, **both, expect=Status.BAD_VALUE, vector="chain.close/successor_is_itself")
    twice = CloseChain(successor="next", validators=(*KEYS[:3], KEYS[0]))
    world.do(twice, **both, expect=Status.BAD_VALUE, vector="chain.close/named_twice")
    unsound = CloseChain(successor="next", validators=(*KEYS[:3], "A" * 43 + "="))
    world.do(unsound, **both, expect=Status.UNSOUND_KEY, vector="chain.close/unsound_key")
    row = world.row(ValidatorSet, "chain")
    world.put(msgspec.structs.replace(row, engine=Engine.CONSORTIUM))
    close = CloseChain(successor="next", validators=four)
    world.do(close, **both, expect=Status.NOT_ON_THIS_ENGINE, vector="chain.close/not_on_this_engine")


def test_a_sandbox_sets_its_clock_forward() -> None:
    world, one, two = governed()
    to = world.now.plus(30 * DAY_MS)
    advance = AdvanceClock(to=to)
    world.do(advance, by=one, expect=Status.ROLE_MISSING, vector="clock.advance/quorum_missing")
    world.do(advance, by=one, also=(two,), vector="clock.advance/advanced")
    assert world.row(Clock, "chain").offset_ms == 30 * DAY_MS
    world.now = to  # as the next block of an engine has it
    world.do(AdvanceClock(to=to), by=one, also=(two,), expect=Status.BAD_DATES, vector="clock.advance/not_forward")
    world.do(AdvanceClock(to=to.plus(1)), by=one, also=(two,))
    assert world.row(Clock, "chain").offset_ms == 30 * DAY_MS + 1
    far = AdvanceClock(to=to.plus(4_000 * DAY_MS))
    world.do(far, by=one, also=(two,), expect=Status.BAD_DATES, vector="clock.advance/too_far")


def test_only_a_sandbox_does() -> None:
    world, one, two = governed(sandbox=False)
    advance = AdvanceClock(to=world.now.plus(1))
    world.do(advance, by=one, also=(two,), expect=Status.NOT_A_SANDBOX, vector="clock.advance/not_a_sandbox")
