"""Attempts to leave the consortium without a quorum, so that nobody could decide anything any more."""

import datetime

from tallystick.kernel.governance.operations import SetPolicy
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import LeaveChain, SetPermissions, SuspendMember
from tallystick.wire.status import Status
from tests.support.world import World


def test_a_governor_leaves_before_a_larger_quorum_holds() -> None:
    world = World()
    first, second = (world.member(name, Role.GOVERNOR) for name in ("First", "Second"))
    auditor = world.member("Auditor", Role.AUDITOR)
    from_on = world.today() + datetime.timedelta(days=30)
    world.do(SetPolicy(changes={"governors_needed": 2}, from_on=from_on), by=first)
    world.do(LeaveChain(), by=second, expect=Status.STILL_NEEDED, vector="member.leave/needed_by_a_coming_quorum")
    world.do(SuspendMember(member=second, reason="fraud"), by=auditor, expect=Status.STILL_NEEDED)
    stripped = SetPermissions(member=second, permissions=(), roles=())
    world.do(stripped, by=auditor, expect=Status.STILL_NEEDED)


def test_a_quorum_that_no_longer_holds_keeps_nobody() -> None:
    world = World()
    first, second = (world.member(name, Role.GOVERNOR) for name in ("First", "Second"))
    world.member("Auditor", Role.AUDITOR)
    tomorrow = world.today() + datetime.timedelta(days=1)
    world.do(SetPolicy(changes={"governors_needed": 2}, from_on=tomorrow), by=first)
    world.wait(2 * 86_400_000)
    world.do(
        SetPolicy(changes={"governors_needed": 1}, from_on=world.today() + datetime.timedelta(days=1)),
        by=first,
        also=(second,),
    )
    world.do(LeaveChain(), by=second, expect=Status.STILL_NEEDED)
    world.wait(2 * 86_400_000)
    world.do(LeaveChain(), by=second)
