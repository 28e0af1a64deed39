"""The rows of membership: `Member` with its history inside, and one `SigningKey` row per key."""

import datetime
from enum import Enum
from typing import Annotated

from msgspec import Meta

from tallystick.kernel.core.fields import (
    Anchor,
    Code,
    Count,
    Currency,
    Key,
    MemberId,
    Name,
    Position,
    ReviewId,
    Struct,
)
from tallystick.kernel.core.record import Queue, Record
from tallystick.wire.amounts import Units
from tallystick.wire.instants import Instant


class Role(Enum):
    """What an organisation is on this chain."""

    CLIENT = "client"
    CORE_ENTERPRISE = "core_enterprise"
    FUNDER = "funder"
    AUDITOR = "auditor"
    PLATFORM = "platform"
    CUSTODIAN = "custodian"
    VERIFIER = "verifier"
    DATA_SOURCE = "data_source"
    ARBITRATOR = "arbitrator"
    GOVERNOR = "governor"
    OBSERVER = "observer"


TRUSTED_ROLES = frozenset({Role.AUDITOR, Role.CUSTODIAN, Role.PLATFORM, Role.GOVERNOR})
"""Roles that others must trust; they need the governors' m of n besides the review (DOMAIN section 3)."""


class Permitted(Enum):
    """What a member may do with receivables."""

    ISSUE = "issue"
    TRANSFER = "transfer"
    FINANCE = "finance"
    RECEIVE = "receive"


class KeyRole(Enum):
    """The part a key plays in its organisation: 制单, 复核, administration."""

    MAKER = "maker"
    CHECKER = "checker"
    ADMIN = "admin"


class MemberState(Enum):
    """applied -> admitted | refused | expired; admitted <-> suspended; admitted -> left."""

    APPLIED = "applied"
    ADMITTED = "admitted"
    REFUSED = "refused"
    EXPIRED = "expired"
    SUSPENDED = "suspended"
    LEFT = "left"
    SUCCEEDED = "succeeded"


_ENDED = (
    MemberState.REFUSED,
    MemberState.EXPIRED,
    MemberState.LEFT,
    MemberState.SUCCEEDED,
)


class SizeClass(Enum):
    """Size at the time of the contract (中小企业划型), which payment-term rules look at."""

    MICRO = "micro"
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"
    PUBLIC = "public"


class RoleGrant(Struct):
    """A role held from `since` up to but not including `until`."""

    role: Role
    since: Position
    until: Position | None = None


class Permission(Struct):
    """{issue | transfer | finance | receive, currency, ceiling per step in minor units, last day}."""

    may: Permitted
    currency: Currency
    ceiling: Units
    until_on: datetime.date | None = None


class PermissionGrant(Struct):
    """A permission held from `since` up to but not including `until`."""

    permission: Permission
    since: Position
    until: Position | None = None


class StateEntry(Struct):
    """The member's state from a position on."""

    state: MemberState
    since: Position


class SigningRule(Struct):
    """For operations that match `pattern`, up to an amount in a currency: how many keys of each role must sign.

    The first rule that matches governs. An operation that states no amount is above every band.
    """

    pattern: Annotated[str, Meta(pattern=r"\A(\*|[a-z_]+\.(\*|[a-z_]+))\Z")]
    currency: Currency | None = None
    up_to: Units | None = None
    makers: Annotated[int, Meta(ge=0, le=8)] = 0
    checkers: Annotated[int, Meta(ge=0, le=8)] = 0
    admins: Annotated[int, Meta(ge=0, le=8)] = 0


class PolicyEntry(Struct):
    """The signing policy from a position on."""

    rules: tuple[SigningRule, ...]
    since: Position


class Licence(Struct):
    """A licence with its paper and last day of validity."""

    kind: Code
    anchor: Anchor
    until_on: datetime.date | None = None


class KeyOffer(Struct):
    """A public key that an organisation wants to sign with."""

    key: Key
    role: KeyRole


class Asked(Struct):
    """What an applicant asks for; its keys sign for it once it is admitted."""

    roles: tuple[Role, ...]
    permissions: tuple[Permission, ...]
    keys: tuple[KeyOffer, ...]


class Details(Struct):
    """A reviewed change of a member's details; what is left out stays as it is."""

    legal_name: Name | None = None
    size_class: SizeClass | None = None
    licences: Annotated[tuple[Licence, ...], Meta(max_length=20)] | None = None
    papers: Annotated[tuple[Anchor, ...], Meta(max_length=20)] | None = None
    papers_until_on: datetime.date | None = None
    bank_account: Anchor | None = None


class Member(Record):
    """An organisation: identity, papers, and its entitlements with their history."""

    table = "member"

    legal_name: Name
    identifier: Annotated[str, Meta(min_length=1, max_length=40)]
    identifier_kind: Code
    size_class: SizeClass
    states: tuple[StateEntry, ...]
    sponsor: MemberId | None = None
    review: ReviewId | None = None
    roles: tuple[RoleGrant, ...] = ()
    permissions: tuple[PermissionGrant, ...] = ()
    policies: tuple[PolicyEntry, ...] = ()
    licences: tuple[Licence, ...] = ()
    papers: tuple[Anchor, ...] = ()
    papers_until_on: datetime.date | None = None
    bank_account: Anchor | None = None
    coming_bank_account: Anchor | None = None
    coming_bank_account_at: Instant | None = None
    successor: MemberId | None = None
    insolvent_since: Position | None = None
    asked: Asked | None = None
    endorsed: tuple[Role, ...] = ()  # trusted roles that the governors consented to and that are not granted yet
    coming_details: Details | None = None  # under review
    maker_keys: Count = 0
    checker_keys: Count = 0
    admin_keys: Count = 0

    @property
    def state(self) -> MemberState:
        """The present state."""
        return self.states[-1].state

    @property
    def is_admitted(self) -> bool:
        """Whether it may start new business: admitted and not suspended."""
        return self.states[-1].state is MemberState.ADMITTED

    @property
    def is_member(self) -> bool:
        """Whether it is on the chain at all: admitted or suspended."""
        return self.states[-1].state in (MemberState.ADMITTED, MemberState.SUSPENDED)

    def has_role(self, role: Role) -> bool:
        """Whether it holds `role` now."""
        return any(grant.until is None and grant.role is role for grant in self.roles)

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        if self.coming_bank_account_at is None:
            return ()
        return ((Queue.LAPSE, self.coming_bank_account_at),)

    def labels(self) -> tuple[str, ...]:
        if self.state in _ENDED:  # the same organisation may apply anew
            return ()
        held = (f"role/{grant.role.value}" for grant in self.roles if grant.until is None)
        return (*held, f"identifier/{self.identifier_kind}/{self.identifier}")


class SigningKey(Record):
    """A public key of an organisation; its id is the key in base64. Valid from `since` until it is revoked."""

    table = "key"

    member: MemberId
    role: KeyRole
    since: Position
    until: Position | None = None
    scheme: Code = "ed25519"

    def labels(self) -> tuple[str, ...]:
        return () if self.until is not None else (f"member_key/{self.member}",)
