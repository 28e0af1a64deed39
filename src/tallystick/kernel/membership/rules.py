"""Who may do what: the questions that other modules ask about members."""

from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.records import Member, Permitted, Role
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status


def check_permission(step: Step, member: str, may: Permitted, currency: str, units: Units) -> Refusal | None:
    """Whether `member` may do this for `units` of `currency` today.

    Order: not_a_member, suspended (party_suspended for one who does not sign), permission_lapsed by its papers,
    permission_missing, permission_lapsed, over_permission.
    """
    row = step.find(Member, member)
    if row is None or not row.is_member:
        return refuse(Status.NOT_A_MEMBER, organisation=member)
    if not row.is_admitted:
        status = Status.SUSPENDED if member in step.organisations else Status.PARTY_SUSPENDED
        return refuse(status, organisation=member)
    if row.papers_until_on is not None and row.papers_until_on < step.today:
        return refuse(Status.PERMISSION_LAPSED, organisation=member, papers_until_on=row.papers_until_on)
    for grant in row.permissions:
        held = grant.permission
        if grant.until is None and held.may is may and held.currency == currency:
            break
    else:
        return refuse(Status.PERMISSION_MISSING, organisation=member, permission=may.value, currency=currency)
    if held.until_on is not None and held.until_on < step.today:
        return refuse(Status.PERMISSION_LAPSED, organisation=member, permission=may.value, until_on=held.until_on)
    if units > held.ceiling:
        return refuse(Status.OVER_PERMISSION, organisation=member, permission=may.value, ceiling=held.ceiling)
    return None


def check_party(step: Step, member: str) -> Refusal | None:
    """Whether an organisation that an operation names is a member and not suspended."""
    row = step.find(Member, member)
    if row is None or not row.is_member:
        return refuse(Status.NOT_A_MEMBER, organisation=member)
    if not row.is_admitted:
        return refuse(Status.PARTY_SUSPENDED, organisation=member)
    return None


def has_role(step: Step, member: str, role: Role) -> bool:
    """Whether `member` holds `role` now and is on the chain."""
    row = step.find(Member, member)
    return row is not None and row.is_member and row.has_role(role)


def check_role(step: Step, member: str, role: Role) -> Refusal | None:
    """Refuse unless `member` holds `role`."""
    if has_role(step, member, role):
        return None
    return refuse(Status.ROLE_MISSING, organisation=member, role=role.value)


def acting_as(step: Step, role: Role) -> str:
    """The first signing organisation that holds `role`; `authority` has asked for one."""
    for name in step.organisations:
        if has_role(step, name, role):
            return name
    raise InvariantViolation(f"nobody signs as {role.value}")


def present_party(step: Step, member: str) -> str:
    """`member`, or who has succeeded to its rights and debts."""
    row = step.get(Member, member)
    while row.successor is not None:
        row = step.get(Member, row.successor)
    return row.id


def is_insolvent(step: Step, member: str) -> bool:
    """Whether an authority's finding of insolvency stands for `member`."""
    row = step.find(Member, member)
    return row is not None and row.insolvent_since is not None


def check_solvent(step: Step, member: str) -> Refusal | None:
    """wrong_state where an insolvent member would promise money anew; what it gave for it before stays where it is."""
    if is_insolvent(step, member):
        return refuse(Status.WRONG_STATE, organisation=member, state="insolvent")
    return None
