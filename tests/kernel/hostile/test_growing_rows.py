"""Attempts of a member to make its own row so long that every step that names it becomes slow."""

import msgspec

from tallystick.kernel.membership.keys import MAX_KEYS, MAX_POLICIES, AddKey, SetSigningPolicy
from tallystick.kernel.membership.records import KeyRole, Member, Role, SigningRule
from tallystick.wire.status import Status
from tests.support.members import key_of, public
from tests.support.world import World

RULES = tuple(SigningRule(pattern=f"receivable.a{'b' * number}", admins=1) for number in range(50))


def test_a_signing_policy_is_set_over_and_over_in_one_transaction() -> None:
    world = World()
    member = world.member("Member", Role.CLIENT)
    world.do(*((SetSigningPolicy(rules=RULES),) * 100), by=member)
    assert len(world.row(Member, member).policies) == 1
    world.do(SetSigningPolicy(rules=()), by=member)
    assert [len(entry.rules) for entry in world.row(Member, member).policies] == [len(RULES), 0]


def test_a_signing_policy_is_set_for_ever_and_ever() -> None:
    world = World()
    member = world.member("Member", Role.CLIENT)
    world.do(SetSigningPolicy(rules=()), by=member)
    row = world.row(Member, member)
    entries = tuple(
        msgspec.structs.replace(row.policies[0], since=msgspec.structs.replace(row.policies[0].since, index=at + 1))
        for at in range(MAX_POLICIES)
    )
    world.put(msgspec.structs.replace(row, policies=entries))
    world.do(SetSigningPolicy(rules=()), by=member, expect=Status.TOO_MANY, vector="signing_policy.set/too_many")


def test_an_organisation_registers_keys_without_end() -> None:
    world = World()
    member = world.member("Member", Role.CLIENT, maker_keys=MAX_KEYS - 2)
    for number, status in ((1, Status.OK), (2, Status.TOO_MANY)):
        added = AddKey(key=public(key_of(f"key {number}")), role=KeyRole.MAKER)
        world.do(added, by=member, keys=(key_of(f"key {number}"),), expect=status)
