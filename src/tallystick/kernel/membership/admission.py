"""Joining the chain (加入联盟链): an applicant and its sponsor sign, auditors review, governors endorse trusted roles.

applied -> admitted | refused | expired. The applicant's keys sign with the application, as proof that it holds them;
they are registered only when it is admitted, so that nobody's key is taken by an application.
"""

import datetime
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Code, MemberId, Name
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.governance.quorum import governors
from tallystick.kernel.membership.entitlements import (
    check_endorsed,
    check_permissions,
    with_permissions,
    with_roles,
    with_state,
)
from tallystick.kernel.membership.identifiers import identifier_holds
from tallystick.kernel.membership.keys import check_new_key, with_key
from tallystick.kernel.membership.records import (
    TRUSTED_ROLES,
    Asked,
    KeyOffer,
    KeyRole,
    Licence,
    Member,
    MemberState,
    Permission,
    Role,
    SizeClass,
    StateEntry,
)
from tallystick.kernel.reviews.records import Decision, Review
from tallystick.kernel.reviews.subjects import open_review, register
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

APPLIED = EventKind("member.applied", "{legal_name} applies for membership, sponsored by {sponsor}.")
ENDORSED = EventKind("member.endorsed", "The governors consent that {record} holds the roles {roles}.")
ADMITTED = EventKind("member.admitted", "{legal_name} is admitted.")
REFUSED = EventKind("member.refused", "{legal_name} is not admitted: {reason}.")
EXPIRED = EventKind("member.expired", "The application of {legal_name} ended without a decision.")

_Roles = Annotated[tuple[Role, ...], Meta(max_length=len(Role))]


class ApplyForMembership(Operation, tag="member.apply"):
    """Apply to join the chain; opens the auditors' review of the qualification.

    Signed by the sponsoring member, who is the actor, and by every key that the applicant introduces. Source: DOMAIN
    section 3, "Member".
    """

    legal_name: Name
    identifier: Annotated[str, Meta(min_length=1, max_length=40)]
    identifier_kind: Code
    size_class: SizeClass
    keys: Annotated[tuple[KeyOffer, ...], Meta(min_length=1, max_length=8)]
    roles: _Roles = ()
    permissions: Annotated[tuple[Permission, ...], Meta(max_length=100)] = ()
    licences: Annotated[tuple[Licence, ...], Meta(max_length=20)] = ()
    papers: Annotated[tuple[Anchor, ...], Meta(max_length=20)] = ()
    papers_until_on: datetime.date | None = None
    bank_account: Anchor | None = None

    def introduced_keys(self) -> tuple[str, ...]:
        return tuple(offer.key for offer in self.keys)

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        kind = self.identifier_kind
        if kind not in policies(step).identifier_kinds or not identifier_holds(kind, self.identifier):
            return refuse(Status.BAD_IDENTIFIER, kind=kind, identifier=self.identifier)
        for row in step.index_range(f"identifier/{kind}/{self.identifier}/"):
            return refuse(Status.RECORD_EXISTS, kind=kind, identifier=self.identifier, record=row.rsplit("/", 1)[1])
        if len(set(self.roles)) < len(self.roles):
            return refuse(Status.BAD_VALUE, field="roles", reason="named twice")
        if self.papers_until_on is not None and self.papers_until_on < step.today:
            return refuse(Status.BAD_DATES, papers_until_on=self.papers_until_on)
        return check_permissions(step, self.permissions) or self._check_keys(step)

    def _check_keys(self, step: Step) -> Refusal | None:
        if len({offer.key for offer in self.keys}) < len(self.keys):
            return refuse(Status.BAD_VALUE, field="keys", reason="named twice")
        if all(offer.role is not KeyRole.ADMIN for offer in self.keys):
            return refuse(Status.BAD_VALUE, field="keys", reason="no admin key")
        for offer in self.keys:
            refusal = check_new_key(step, offer.key)
            if refusal is not None:
                return refusal
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        member = Member(
            id=step.new_id("mbr"),
            legal_name=self.legal_name,
            identifier=self.identifier,
            identifier_kind=self.identifier_kind,
            size_class=self.size_class,
            states=(StateEntry(state=MemberState.APPLIED, since=step.position),),
            sponsor=step.actor,
            review=step.coming_id("rev"),
            licences=self.licences,
            papers=self.papers,
            papers_until_on=self.papers_until_on,
            bank_account=self.bank_account,
            asked=Asked(roles=self.roles, permissions=self.permissions, keys=self.keys),
        )
        step.put(member)
        yield APPLIED(member.id, (member.id, step.actor), legal_name=member.legal_name, sponsor=step.actor)
        _, event = open_review(step, "membership", member.id, (member.id,))
        yield event


class EndorseRoles(Operation, tag="member.endorse"):
    """Consent that an applicant or a member holds roles that others must trust; the grant itself is the review's.

    Signed by m of n governors. Source: DOMAIN section 3, "Member".
    """

    member: MemberId
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=len(TRUSTED_ROLES))]

    def authority(self, step: Step) -> Signers | Refusal:
        return governors(step)

    def check(self, step: Step) -> Refusal | None:
        member = step.find(Member, self.member)
        if member is None:
            return refuse(Status.NOT_FOUND, member=self.member)
        if member.state not in (MemberState.APPLIED, MemberState.ADMITTED):
            return refuse(Status.WRONG_STATE, member=self.member, state=member.state.value)
        for role in self.roles:
            if role not in TRUSTED_ROLES:
                return refuse(Status.BAD_VALUE, field="roles", role=role.value)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        member = step.get(Member, self.member)
        endorsed = tuple(dict.fromkeys((*member.endorsed, *self.roles)))
        step.put(msgspec.structs.replace(member, endorsed=endorsed))
        names = " ".join(role.value for role in self.roles)
        yield ENDORSED(member.id, (member.id, *step.organisations), roles=names)


class _Admission:
    """The review of an application."""

    reviewer_role = Role.AUDITOR

    def check_approval(self, step: Step, review: Review, decision: Decision) -> Refusal | None:
        member = step.get(Member, review.subject)
        asked = _asked(member)
        refusal = check_endorsed(member, asked.roles) or check_permissions(step, asked.permissions)
        if refusal is not None:
            return refusal
        for offer in asked.keys:  # another application may have brought the same key meanwhile
            refusal = check_new_key(step, offer.key)
            if refusal is not None:
                return refusal
        return None

    def approved(self, step: Step, review: Review, decision: Decision) -> Iterator[Event]:
        member = step.get(Member, review.subject)
        asked = _asked(member)
        now = step.position
        for offer in asked.keys:
            member = with_key(step, member, offer)
        member = with_state(with_permissions(with_roles(member, asked.roles, now), asked.permissions, now), _IN, now)
        step.put(msgspec.structs.replace(member, asked=None))
        yield ADMITTED(member.id, _audience(member), legal_name=member.legal_name)

    def refused(self, step: Step, review: Review, reason: str) -> Iterator[Event]:
        member = _ended(step, review, MemberState.REFUSED)
        yield REFUSED(member.id, _audience(member), legal_name=member.legal_name, reason=reason)

    def expired(self, step: Step, review: Review) -> Iterator[Event]:
        member = _ended(step, review, MemberState.EXPIRED)
        yield EXPIRED(member.id, _audience(member), legal_name=member.legal_name)


_IN = MemberState.ADMITTED


def _asked(member: Member) -> Asked:
    if member.asked is None:
        raise InvariantViolation(f"{member.id} has asked for nothing")
    return member.asked


def _ended(step: Step, review: Review, state: MemberState) -> Member:
    member = with_state(step.get(Member, review.subject), state, step.position)
    member = msgspec.structs.replace(member, endorsed=())
    step.put(member)
    return member


def _audience(member: Member) -> tuple[str, ...]:
    return (member.id,) if member.sponsor is None else (member.id, member.sponsor)


register("membership", _Admission())
