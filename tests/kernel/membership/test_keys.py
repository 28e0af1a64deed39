"""Keys and signing policies: four eyes are enforced by the chain, and nobody locks an organisation out."""

import datetime

import pytest

from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.keys import (
    AddKey,
    ContestRecovery,
    RecoverKeys,
    Recovery,
    RecoveryState,
    RevokeKey,
    SetSigningPolicy,
)
from tallystick.kernel.membership.limits import LimitScope, SetLimit
from tallystick.kernel.membership.records import KeyRole, Member, Role, SigningKey, SigningRule
from tallystick.kernel.membership.standing import LeaveChain, SuspendMember
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.members import key_of, public
from tests.support.world import World

MAKER, CHECKER = key_of("Funder maker"), key_of("Funder checker")
FOUR_EYES = (
    SigningRule(pattern="limit.set", currency="CNY", up_to=Units(1_000_00), makers=1),
    SigningRule(pattern="*", makers=1, checkers=1),
)


def staffed() -> tuple[World, str, str]:
    """A funder with an admin, a maker and a checker key, and a debtor."""
    world = World()
    funder, debtor = world.member("Funder", Role.FUNDER), world.member("Debtor", Role.CLIENT)
    world.do(AddKey(key=public(MAKER), role=KeyRole.MAKER), by=funder, keys=(MAKER,), vector="key.add/added")
    world.do(AddKey(key=public(CHECKER), role=KeyRole.CHECKER), by=funder, keys=(CHECKER,))
    return world, funder, debtor


def limit(debtor: str, units: int) -> SetLimit:
    return SetLimit(
        scope=LimitScope.FUNDER,
        debtor=debtor,
        currency="CNY",
        units=Units(units),
        until_on=datetime.date(2026, 12, 31),
    )


def test_keys_are_counted_by_role() -> None:
    world, funder, _ = staffed()
    member = world.row(Member, funder)
    assert (member.maker_keys, member.checker_keys, member.admin_keys) == (1, 1, 1)
    assert world.row(SigningKey, public(MAKER)).role is KeyRole.MAKER


def test_a_new_key_must_sign_and_be_new() -> None:
    world, funder, _ = staffed()
    other = AddKey(key=public(key_of("Other")), role=KeyRole.MAKER)
    world.do(other, by=funder, expect=Status.BAD_SIGNATURE, vector="key.add/key_did_not_sign")
    again = AddKey(key=public(MAKER), role=KeyRole.ADMIN)
    world.do(again, by=funder, keys=(MAKER,), expect=Status.RECORD_EXISTS, vector="key.add/key_taken")
    world.do(RevokeKey(key=public(MAKER)), by=funder)
    world.do(again, by=funder, keys=(MAKER,), expect=Status.RECORD_EXISTS)


def test_only_an_admin_key_changes_keys() -> None:
    world, funder, _ = staffed()
    world.keys[funder] = MAKER
    other = AddKey(key=public(key_of("Other")), role=KeyRole.ADMIN)
    world.do(other, by=funder, keys=(key_of("Other"),), expect=Status.POLICY_NOT_MET, vector="key.add/policy_not_met")


def test_a_revoked_key_signs_no_more() -> None:
    world, funder, debtor = staffed()
    world.do(RevokeKey(key=public(MAKER)), by=funder, vector="key.revoke/revoked")
    assert world.row(Member, funder).maker_keys == 0
    world.keys[funder] = MAKER
    world.do(limit(debtor, 1), by=funder, expect=Status.KEY_REVOKED, vector="limit.set/key_revoked")


def test_what_cannot_be_revoked() -> None:
    world, funder, _ = staffed()
    admin = RevokeKey(key=public(key_of("Funder")))
    world.do(admin, by=funder, expect=Status.LAST_ADMIN_KEY, vector="key.revoke/last_admin_key")
    foreign = RevokeKey(key=public(key_of("Debtor")))
    world.do(foreign, by=funder, expect=Status.NOT_A_PARTY, vector="key.revoke/not_a_party")
    unknown = RevokeKey(key=public(key_of("Other")))
    world.do(unknown, by=funder, expect=Status.NOT_FOUND, vector="key.revoke/not_found")
    world.do(RevokeKey(key=public(CHECKER)), by=funder)
    world.do(RevokeKey(key=public(CHECKER)), by=funder, expect=Status.WRONG_STATE, vector="key.revoke/wrong_state")


def test_four_eyes_are_enforced() -> None:
    world, funder, debtor = staffed()
    world.do(SetSigningPolicy(rules=FOUR_EYES), by=funder, vector="signing_policy.set/changed")
    admin = world.keys[funder]
    world.keys[funder] = MAKER
    small, large = limit(debtor, 1_000_00), limit(debtor, 1_000_01)
    world.do(small, by=funder, vector="limit.set/within_the_makers_band")
    world.do(large, by=funder, expect=Status.POLICY_NOT_MET, vector="limit.set/policy_not_met")
    world.do(large, by=funder, keys=(CHECKER,), vector="limit.set/checked")
    spare = Status.SUPERFLUOUS_SIGNATURE
    world.do(small, by=funder, keys=(CHECKER,), expect=spare, vector="limit.set/superfluous_signature")
    world.do(large, by=funder, keys=(CHECKER, admin), expect=spare)
    # Both steps together ask for the stricter rule.
    world.do(small, large, by=funder, expect=Status.POLICY_NOT_MET)
    world.do(small, large, by=funder, keys=(CHECKER,))


def test_a_policy_for_all_steps_still_asks_an_admin_for_keys() -> None:
    world, funder, _ = staffed()
    world.do(SetSigningPolicy(rules=FOUR_EYES), by=funder)
    admin = world.keys[funder]
    world.keys[funder] = MAKER
    clear = SetSigningPolicy(rules=())
    world.do(clear, by=funder, keys=(CHECKER,), expect=Status.POLICY_NOT_MET, vector="signing_policy.set/admin_missing")
    world.do(clear, by=funder, keys=(CHECKER, admin))


def test_a_policy_stays_meetable() -> None:
    world, funder, _ = staffed()
    two = SetSigningPolicy(rules=(SigningRule(pattern="financing.*", makers=2),))
    world.do(two, by=funder, expect=Status.POLICY_UNMEETABLE, vector="signing_policy.set/policy_unmeetable")
    world.do(SetSigningPolicy(rules=FOUR_EYES), by=funder)
    admin = world.keys[funder]
    world.keys[funder] = MAKER
    revoke = RevokeKey(key=public(CHECKER))
    keys = (CHECKER, admin)
    world.do(revoke, by=funder, keys=keys, expect=Status.POLICY_UNMEETABLE, vector="key.revoke/policy_unmeetable")


@pytest.mark.parametrize(
    "rules",
    [
        (SigningRule(pattern="*", currency="CNY", up_to=Units(1), makers=1),),
        (
            SigningRule(pattern="limit.*", currency="CNY", up_to=Units(1), makers=1),
            SigningRule(pattern="limit.set", makers=1),
        ),
        (SigningRule(pattern="*", makers=1), SigningRule(pattern="*", currency="CNY", up_to=Units(1), makers=1)),
        (SigningRule(pattern="*", currency="CNY", makers=1),),
        (SigningRule(pattern="*", up_to=Units(1), makers=1), SigningRule(pattern="*", makers=1)),
    ],
)
def test_no_band_is_left_open_above(rules: tuple[SigningRule, ...]) -> None:
    world, funder, _ = staffed()
    vector = "signing_policy.set/band_without_a_rule_above" if len(rules) == 1 and rules[0].up_to else ""
    world.do(SetSigningPolicy(rules=rules), by=funder, expect=Status.BAD_VALUE, vector=vector)


def lost() -> tuple[World, str]:
    """A member that lost its key, two governors of whom both are needed."""
    world = World(policies=Policies(governors_needed=2, recovery_waiting_days=7))
    member = world.member("Member", Role.CLIENT)
    world.member("Governor", Role.GOVERNOR)
    world.member("Second governor", Role.GOVERNOR)
    return world, member


def recover(world: World, member: str, expect: Status = Status.OK, vector: str = "", alone: bool = False) -> str:
    governor, second = (name for name, text in world.names.items() if "overnor" in text)
    result = world.do(
        RecoverKeys(member=member, key=public(key_of("New"))),
        by=governor,
        also=() if alone else (second,),
        keys=(key_of("New"),),
        expect=expect,
        vector=vector,
    )
    return result.events[0].record if result.events else ""


def test_governors_recover_lost_keys_after_a_waiting_time() -> None:
    world, member = lost()
    recover(world, member, Status.ROLE_MISSING, "key.recover/quorum_missing", alone=True)
    recovery = recover(world, member, vector="key.recover/begun")
    assert world.told(member) == ["key.recovery_begun"]
    world.wait(7 * DAY_MS - 1)
    assert world.row(Recovery, recovery).state is RecoveryState.WAITING
    world.wait(1)
    assert world.row(Recovery, recovery).state is RecoveryState.DONE
    assert world.row(SigningKey, public(key_of("Member"))).until is not None
    assert world.row(Member, member).admin_keys == 1
    new = AddKey(key=public(key_of("Later")), role=KeyRole.MAKER)
    world.do(new, by=member, keys=(key_of("Later"),), expect=Status.KEY_REVOKED)
    world.keys[member] = key_of("New")
    world.do(new, by=member, keys=(key_of("Later"),))


def test_the_organisation_objects_to_a_recovery() -> None:
    world, member = lost()
    recovery = recover(world, member)
    contest = ContestRecovery(recovery=recovery)
    other = world.member("Other", Role.CLIENT)
    world.do(contest, by=other, expect=Status.NOT_A_PARTY, vector="key.contest_recovery/not_a_party")
    world.do(contest, by=member, vector="key.contest_recovery/contested")
    world.do(contest, by=member, expect=Status.WRONG_STATE, vector="key.contest_recovery/wrong_state")
    world.wait(8 * DAY_MS)
    assert world.row(Recovery, recovery).state is RecoveryState.CONTESTED
    assert world.row(SigningKey, public(key_of("Member"))).until is None
    nothing = ContestRecovery(recovery="kyr_" + "0" * 16)
    world.do(nothing, by=member, expect=Status.NOT_FOUND, vector="key.contest_recovery/not_found")


def test_an_objection_comes_in_time_and_not_from_a_suspended_member() -> None:
    world, member = lost()
    auditor = world.member("Auditor", Role.AUDITOR)
    contest = ContestRecovery(recovery=recover(world, member))
    world.now = world.now.plus(7 * DAY_MS)
    world.do(contest, by=member, expect=Status.DEADLINE_PASSED, vector="key.contest_recovery/deadline_passed")
    world.do(SuspendMember(member=member, reason="keys_stolen"), by=auditor)
    world.do(contest, by=member, expect=Status.SUSPENDED, vector="key.contest_recovery/suspended")


def test_what_cannot_be_recovered() -> None:
    world, member = lost()
    recover(world, "mbr_" + "0" * 16, Status.NOT_FOUND, "key.recover/not_found")
    leaver = world.member("Leaver", Role.CLIENT)
    world.do(LeaveChain(), by=leaver)
    recover(world, leaver, Status.WRONG_STATE, "key.recover/wrong_state")
    first, second = recover(world, member), recover(world, member)
    world.wait(7 * DAY_MS)  # both ask for the same key: the first gives it, nothing is left for the second
    states = {world.row(Recovery, first).state, world.row(Recovery, second).state}
    assert states == {RecoveryState.DONE, RecoveryState.VOID}
    recover(world, member, Status.RECORD_EXISTS, "key.recover/key_taken")
