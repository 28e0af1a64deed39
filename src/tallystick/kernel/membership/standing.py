"""A member's standing: permissions and roles, suspension, leaving, succession, insolvency.

Source: DOMAIN section 3, "Member". What becomes of live business is said by the modules whose business it is
(`membership.business`).
"""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Code, MemberId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.quorum import check_still_met
from tallystick.kernel.membership.business import Cause, begin_walk, stop_walk
from tallystick.kernel.membership.entitlements import (
    check_endorsed,
    check_permissions,
    with_permissions,
    with_roles,
    with_state,
)
from tallystick.kernel.membership.limits import check_debts_fit, pass_debts
from tallystick.kernel.membership.records import Member, MemberState, Permission, Role
from tallystick.kernel.membership.rules import acting_as
from tallystick.wire.status import Status

PERMISSIONS_SET = EventKind("member.permissions_set", "The permissions or roles of {record} are changed.")
SUSPENDED = EventKind("member.suspended", "{record} is suspended: {reason}.")
REINSTATED = EventKind("member.reinstated", "{record} is reinstated.")
LEFT = EventKind("member.left", "{record} has left the chain.")
SUCCEEDED = EventKind("member.succeeded", "{successor} succeeds {record} in what it holds and owes.")
INSOLVENT = EventKind("member.insolvent", "{record} is insolvent: its debts fall due, automatic payment stops.")

_AUDITOR = Signers.holding(Role.AUDITOR.value)


def _check_other(step: Step, member_id: str, *states: MemberState) -> Refusal | None:
    """The member exists, is not the deciding auditor itself, and is in one of `states`."""
    member = step.find(Member, member_id)
    if member is None:
        return refuse(Status.NOT_FOUND, member=member_id)
    if member_id == acting_as(step, Role.AUDITOR):
        return refuse(Status.MUST_RECUSE, organisation=member_id)
    if member.state not in states:
        return refuse(Status.WRONG_STATE, member=member_id, state=member.state.value)
    return None


def _held_roles(member: Member) -> tuple[Role, ...]:
    return tuple(grant.role for grant in member.roles if grant.until is None)


class SetPermissions(Operation, tag="member.set_permissions"):
    """Set all permissions of a member and, where given, all its roles; what is not listed ends.

    Signed by an auditor other than the member. A trusted role needs the governors' consent before (`member.endorse`).
    Source: DOMAIN section 3, "Member".
    """

    member: MemberId
    permissions: Annotated[tuple[Permission, ...], Meta(max_length=100)]
    roles: Annotated[tuple[Role, ...], Meta(max_length=len(Role))] | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        return _AUDITOR

    def check(self, step: Step) -> Refusal | None:
        refusal = _check_other(step, self.member, MemberState.ADMITTED, MemberState.SUSPENDED) or check_permissions(
            step, self.permissions
        )
        if refusal is not None or self.roles is None:
            return refusal
        if len(set(self.roles)) < len(self.roles):
            return refuse(Status.BAD_VALUE, field="roles", reason="named twice")
        member = step.get(Member, self.member)
        lost = tuple(role for role in _held_roles(member) if role not in self.roles)
        return check_endorsed(member, self.roles) or check_still_met(step, self.member, lost)

    def apply(self, step: Step) -> Iterator[Event]:
        member = with_permissions(step.get(Member, self.member), self.permissions, step.position)
        if self.roles is not None:
            member = with_roles(member, self.roles, step.position)
        step.put(member)
        yield PERMISSIONS_SET(member.id, (member.id,))


class SuspendMember(Operation, tag="member.suspend"):
    """Suspend a member: it starts nothing new, its own unaccepted requests end, reviews under way are refused.

    Signed by an auditor other than the member. What it owes or is owed goes on. Source: DOMAIN section 3, "Suspension".
    """

    member: MemberId
    reason: Code
    order: Anchor | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        return _AUDITOR

    def check(self, step: Step) -> Refusal | None:
        refusal = _check_other(step, self.member, MemberState.ADMITTED)
        if refusal is not None:
            return refusal
        return check_still_met(step, self.member, _held_roles(step.get(Member, self.member)))

    def apply(self, step: Step) -> Iterator[Event]:
        step.put(with_state(step.get(Member, self.member), MemberState.SUSPENDED, step.position))
        yield SUSPENDED(self.member, (self.member,), reason=self.reason)
        yield from begin_walk(step, self.member, Cause.SUSPENDED)


class ReinstateMember(Operation, tag="member.reinstate"):
    """End a suspension. Signed by an auditor other than the member. Source: DOMAIN section 3, "Member"."""

    member: MemberId
    order: Anchor | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        return _AUDITOR

    def check(self, step: Step) -> Refusal | None:
        return _check_other(step, self.member, MemberState.SUSPENDED)

    def apply(self, step: Step) -> Iterator[Event]:
        step.put(with_state(step.get(Member, self.member), MemberState.ADMITTED, step.position))
        stop_walk(step, self.member, Cause.SUSPENDED)
        yield REINSTATED(self.member, (self.member,))


class LeaveChain(Operation, tag="member.leave"):
    """Leave the chain, once the organisation holds nothing, owes nothing and is named in nothing that is live.

    Signed by the member's admin key. Source: DOMAIN section 3, "Leaving".
    """

    needs_admin = True

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        for row in step.index_range(f"live/{step.actor}/"):
            return refuse(Status.STILL_LIVE, organisation=step.actor, record=row.split("/", 2)[2])
        return check_still_met(step, step.actor, _held_roles(step.get(Member, step.actor)))

    def apply(self, step: Step) -> Iterator[Event]:
        member = step.get(Member, step.actor)
        audience = tuple(step.organisations)
        step.put(_gone(step, member, MemberState.LEFT))
        yield LEFT(member.id, audience)


def _gone(step: Step, member: Member, state: MemberState) -> Member:
    """`member` without roles and permissions, in a terminal state."""
    now = step.position
    gone = with_state(with_permissions(with_roles(member, (), now), (), now), state, now)
    return msgspec.structs.replace(
        gone, endorsed=(), coming_details=None, coming_bank_account=None, coming_bank_account_at=None
    )


class SucceedMember(Operation, tag="member.succeed"):
    """Pass what a member holds and owes to its legal successor, as an authority's paper says.

    Signed by an auditor that is neither of them. Source: OPERATIONS, "Membership".
    """

    member: MemberId
    successor: MemberId
    order: Anchor

    def authority(self, step: Step) -> Signers | Refusal:
        return _AUDITOR

    def check(self, step: Step) -> Refusal | None:
        if self.member == self.successor:
            return refuse(Status.SAME_PARTY, member=self.member)
        refusal = _check_other(step, self.member, MemberState.ADMITTED, MemberState.SUSPENDED) or _check_other(
            step, self.successor, MemberState.ADMITTED
        )
        if refusal is not None:
            return refusal
        return check_still_met(step, self.member, _held_roles(step.get(Member, self.member))) or check_debts_fit(
            step, self.member, self.successor
        )

    def apply(self, step: Step) -> Iterator[Event]:
        member = _gone(step, step.get(Member, self.member), MemberState.SUCCEEDED)
        step.put(msgspec.structs.replace(member, successor=self.successor))
        stop_walk(step, self.member, Cause.SUSPENDED)
        yield SUCCEEDED(self.member, (self.member, self.successor), successor=self.successor)
        yield from pass_debts(step, self.member, self.successor)
        yield from begin_walk(step, self.member, Cause.SUCCEEDED, self.successor)


class DeclareInsolvent(Operation, tag="member.insolvent"):
    """Record an authority's finding that a member is insolvent: its debts fall due and automatic payment stops.

    Signed by an auditor other than the member. Source: OPERATIONS, "Membership".
    """

    member: MemberId
    order: Anchor

    def authority(self, step: Step) -> Signers | Refusal:
        return _AUDITOR

    def check(self, step: Step) -> Refusal | None:
        refusal = _check_other(step, self.member, MemberState.ADMITTED, MemberState.SUSPENDED)
        if refusal is not None:
            return refusal
        since = step.get(Member, self.member).insolvent_since
        if since is not None:
            return refuse(Status.WRONG_STATE, member=self.member, insolvent_since=since.height)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        member = msgspec.structs.replace(step.get(Member, self.member), insolvent_since=step.position)
        step.put(member)
        yield INSOLVENT(member.id, (member.id,))
        yield from begin_walk(step, member.id, Cause.INSOLVENT)
