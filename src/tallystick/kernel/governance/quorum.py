"""m of n governors: who signs what the consortium decides, and that a quorum stays possible."""

from collections.abc import Iterable

from tallystick.kernel.core.operation import Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import coming_policies, policies
from tallystick.kernel.membership.records import Member, Role
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status


def governors(step: Step, also: tuple[str, ...] = ()) -> Signers:
    """The consortium's m of n, in one transaction, besides the organisations of `also`."""
    return Signers.holding(Role.GOVERNOR.value, policies(step).governors_needed, also)


def active_holders(step: Step, role: Role) -> list[str]:
    """The admitted, not suspended organisations that hold `role`."""
    found = []
    for row in step.index_range(f"role/{role.value}/"):
        member = step.at(row.split("/", 2)[2])
        if not isinstance(member, Member):
            raise InvariantViolation(f"{row} names no member")
        if member.is_admitted:
            found.append(member.id)
    return found


def check_still_met(step: Step, without: str, roles: Iterable[Role]) -> Refusal | None:
    """Refuse when, `without` one organisation in these roles, auditors or governors were fewer than their quorum.

    That is the largest of those in force and those that are set to come: what nobody could meet, nobody could change.
    """
    ahead = (policies(step), *coming_policies(step))
    needed = {
        Role.AUDITOR: max(values.auditors_needed for values in ahead),
        Role.GOVERNOR: max(values.governors_needed for values in ahead),
    }
    for role in roles:
        if role not in needed:
            continue
        left = [name for name in active_holders(step, role) if name != without]
        if len(left) < needed[role]:
            return refuse(Status.STILL_NEEDED, role=role.value, others=len(left), needed=needed[role])
    return None
