"""Changing roles, permissions and state: every old grant is closed and kept, every new one begins at this position."""

import msgspec

from tallystick.kernel.core.fields import Position
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.currencies import check_currency
from tallystick.kernel.membership.records import (
    TRUSTED_ROLES,
    Member,
    MemberState,
    Permission,
    PermissionGrant,
    Role,
    RoleGrant,
    StateEntry,
)
from tallystick.wire.status import Status


def check_permissions(step: Step, asked: tuple[Permission, ...]) -> Refusal | None:
    """Each permission once per currency, of a known currency, above zero, not run out."""
    if len({(one.may, one.currency) for one in asked}) < len(asked):
        return refuse(Status.BAD_VALUE, field="permissions", reason="named twice")
    for one in asked:
        refusal = check_currency(step, one.currency)
        if refusal is not None:
            return refusal
        if one.ceiling == 0:
            return refuse(Status.AMOUNT_ZERO, permission=one.may.value, currency=one.currency)
        if one.until_on is not None and one.until_on < step.today:
            return refuse(Status.BAD_DATES, permission=one.may.value, until_on=one.until_on)
    return None


def check_endorsed(member: Member, roles: tuple[Role, ...]) -> Refusal | None:
    """Whether the governors consented to each trusted role that `member` does not hold yet."""
    for role in roles:
        if role in TRUSTED_ROLES and role not in member.endorsed and not member.has_role(role):
            return refuse(Status.NOT_ENDORSED, organisation=member.id, role=role.value)
    return None


def with_roles(member: Member, roles: tuple[Role, ...], now: Position) -> Member:
    """`member` holding exactly `roles` from `now` on; a consent is used up by its grant."""
    closed = tuple(
        msgspec.structs.replace(grant, until=now) if grant.until is None and grant.role not in roles else grant
        for grant in member.roles
    )
    added = tuple(RoleGrant(role=role, since=now) for role in roles if not member.has_role(role))
    endorsed = tuple(role for role in member.endorsed if role not in roles)
    return msgspec.structs.replace(member, roles=closed + added, endorsed=endorsed)


def with_permissions(member: Member, permissions: tuple[Permission, ...], now: Position) -> Member:
    """`member` holding exactly `permissions` from `now` on."""
    standing = {grant.permission for grant in member.permissions if grant.until is None}
    closed = tuple(
        msgspec.structs.replace(grant, until=now)
        if grant.until is None and grant.permission not in permissions
        else grant
        for grant in member.permissions
    )
    added = tuple(PermissionGrant(permission=one, since=now) for one in permissions if one not in standing)
    return msgspec.structs.replace(member, permissions=closed + added)


def with_state(member: Member, state: MemberState, now: Position) -> Member:
    """`member` in `state` from `now` on."""
    return msgspec.structs.replace(member, states=(*member.states, StateEntry(state=state, since=now)))
