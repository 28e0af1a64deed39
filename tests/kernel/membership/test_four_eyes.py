"""Operations that take four eyes, whatever an organisation's own policy says (制单/复核)."""

import pytest

from tallystick.kernel.core.state import Overlay
from tallystick.kernel.membership.door import requirement_of
from tallystick.kernel.membership.records import Member, PolicyEntry, SigningRule
from tallystick.kernel.wages.correcting import WithdrawWageLines
from tallystick.wire.amounts import Units
from tallystick.wire.authority import FOUR_EYES, Requirement, judge
from tallystick.wire.status import Status
from tests.support.world import GENESIS, World

STEP = WithdrawWageLines(
    plan="pln_0000000000000000", tranche=1, currency="CNY", units=Units(5), lines=(1,), reason="left"
)


@pytest.mark.parametrize(
    ("rules", "needed"),
    [
        ((), Requirement(1, 1, 0)),
        ((SigningRule(pattern="*", makers=1),), Requirement(1, 1, 0)),
        ((SigningRule(pattern="*", checkers=2),), Requirement(1, 2, 0)),
        ((SigningRule(pattern="wage.*", admins=1),), Requirement(1, 1, 1)),
        ((SigningRule(pattern="wage.*", currency="CNY", up_to=Units(5), makers=3),), Requirement(3, 1, 0)),
        ((SigningRule(pattern="wage.*", currency="CNY", up_to=Units(4), makers=3),), Requirement(1, 1, 0)),
        ((SigningRule(pattern="plan.fund", makers=3),), Requirement(1, 1, 0)),
    ],
)
def test_a_policy_may_ask_more_than_four_eyes_and_never_less(
    rules: tuple[SigningRule, ...], needed: Requirement
) -> None:
    world = World()
    policies = (PolicyEntry(rules=rules, since=GENESIS),)
    member = world.member("Member", policies=policies)
    assert world.row(Member, member).policies == policies
    assert requirement_of(Overlay(world.state), member, (STEP,)) == needed


@pytest.mark.parametrize(
    ("makers", "checkers", "admins", "status"),
    [
        (1, 1, 0, None),
        (2, 0, 0, Status.POLICY_NOT_MET),
        (0, 2, 0, Status.POLICY_NOT_MET),
        (0, 0, 2, Status.POLICY_NOT_MET),
        (1, 1, 1, Status.SUPERFLUOUS_SIGNATURE),
    ],
)
def test_one_maker_and_one_checker_are_four_eyes(
    makers: int, checkers: int, admins: int, status: Status | None
) -> None:
    assert judge(FOUR_EYES, makers, checkers, admins) is status
