"""The questions that other modules ask about members, in their order of precedence."""

import datetime

import msgspec
import pytest

from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership import rules
from tallystick.kernel.membership.records import (
    Member,
    MemberState,
    Permission,
    PermissionGrant,
    Permitted,
    Role,
    StateEntry,
)
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status
from tests.support.world import GENESIS, World

YESTERDAY = datetime.date(2026, 3, 1)
GRANT = PermissionGrant(permission=Permission(may=Permitted.ISSUE, currency="CNY", ceiling=Units(100)), since=GENESIS)


def ask(units: int = 100, signs: bool = True, **fields: object) -> Status | None:
    """Whether a client with one permission may issue so much, after `fields` of its row are changed."""
    world = World()
    client = world.member("Client", Role.CLIENT)
    row = msgspec.structs.replace(world.row(Member, client), **{"permissions": (GRANT,), **fields})
    world.put(row)
    step = Step(world.chain, world.block(), Overlay(world.state), 0, (client, "t"), (client,) if signs else ())
    refusal = rules.check_permission(step, client, Permitted.ISSUE, "CNY", Units(units))
    return refusal.status if refusal is not None else None


def state(state: MemberState) -> dict[str, object]:
    return {"states": (StateEntry(state=state, since=GENESIS),)}


def test_permission_up_to_its_ceiling() -> None:
    assert ask() is None
    assert ask(101) is Status.OVER_PERMISSION


@pytest.mark.parametrize("gone", [MemberState.APPLIED, MemberState.LEFT, MemberState.REFUSED, MemberState.EXPIRED])
def test_only_members_have_permissions(gone: MemberState) -> None:
    assert ask(**state(gone)) is Status.NOT_A_MEMBER


def test_a_suspended_counterparty_is_told_apart() -> None:
    assert ask(**state(MemberState.SUSPENDED)) is Status.SUSPENDED
    assert ask(signs=False, **state(MemberState.SUSPENDED)) is Status.PARTY_SUSPENDED


def test_expired_papers_lapse_permissions() -> None:
    assert ask(papers_until_on=YESTERDAY) is Status.PERMISSION_LAPSED
    assert ask(papers_until_on=datetime.date(2026, 3, 2)) is None


def test_an_expired_or_closed_permission_is_none() -> None:
    ended = msgspec.structs.replace(GRANT, permission=msgspec.structs.replace(GRANT.permission, until_on=YESTERDAY))
    assert ask(permissions=(ended,)) is Status.PERMISSION_LAPSED
    assert ask(permissions=(msgspec.structs.replace(GRANT, until=GENESIS),)) is Status.PERMISSION_MISSING
    other = msgspec.structs.replace(GRANT.permission, currency="GBP")
    assert ask(permissions=(msgspec.structs.replace(GRANT, permission=other),)) is Status.PERMISSION_MISSING


def test_roles_and_parties() -> None:
    world = World()
    client, auditor = world.member("Client", Role.CLIENT), world.member("Auditor", Role.AUDITOR)
    step = Step(world.chain, world.block(), Overlay(world.state), 0, (client, "t"), (client, auditor))
    assert rules.acting_as(step, Role.AUDITOR) == auditor
    assert rules.has_role(step, auditor, Role.AUDITOR)
    assert not rules.has_role(step, client, Role.AUDITOR)
    assert not rules.has_role(step, "mbr_none", Role.AUDITOR)
    assert rules.check_party(step, client) is None
    assert rules.check_role(step, auditor, Role.AUDITOR) is None
    refusal = rules.check_role(step, client, Role.AUDITOR)
    assert refusal is not None
    assert refusal.status is Status.ROLE_MISSING
    nobody = rules.check_party(step, "mbr_none")
    assert nobody is not None
    assert nobody.status is Status.NOT_A_MEMBER
    world.put(msgspec.structs.replace(world.row(Member, client), **state(MemberState.SUSPENDED)))
    step = Step(world.chain, world.block(), Overlay(world.state), 0, (client, "t"), (client, auditor))
    suspended = rules.check_party(step, client)
    assert suspended is not None
    assert suspended.status is Status.PARTY_SUSPENDED
    with pytest.raises(InvariantViolation):
        rules.acting_as(step, Role.FUNDER)
    assert not rules.is_insolvent(step, client)
