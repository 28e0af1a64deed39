"""An organisation's keys and its signing policy: added, revoked, recovered, and what must sign for what.

A key belongs to one organisation for ever: a revoked one is not registered again. Source: DESIGN section 4.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Key, MemberId, Position, RecoveryId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Queue, Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.governance.quorum import governors
from tallystick.kernel.membership.records import (
    KeyOffer,
    KeyRole,
    Member,
    PolicyEntry,
    SigningKey,
    SigningRule,
)
from tallystick.wire.envelope import MAX_SIGNATURES
from tallystick.wire.errors import DecodeError, InvariantViolation
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.keys import KEY_BYTES, from_base64, is_sound_key
from tallystick.wire.status import Status

ADDED = EventKind("key.added", "{organisation} registers a {role} key.")
REVOKED = EventKind("key.revoked", "{organisation} revokes a {role} key.")
POLICY_SET = EventKind("signing_policy.changed", "{record} sets a new signing policy.")
RECOVERY_BEGUN = EventKind(
    "key.recovery_begun", "The governors give {organisation} a new admin key at {effective}, unless it objects."
)
RECOVERED = EventKind("key.recovered", "{organisation} has a new admin key; its old ones are revoked.")
RECOVERY_VOID = EventKind("key.recovery_void", "The recovery of the keys of {organisation} has nothing left to do.")
CONTESTED = EventKind("key.recovery_contested", "{organisation} objects to the recovery of its keys.")


MAX_KEYS = 100  # live at a time
MAX_POLICIES = 500  # ever: the row keeps them all, and every step of the organisation reads it


def check_new_key(step: Step, key: str) -> Refusal | None:
    """Whether `key` may be registered: a sound point that no organisation ever had."""
    try:
        sound = is_sound_key(from_base64(key, KEY_BYTES))
    except DecodeError:
        sound = False
    if not sound:
        return refuse(Status.UNSOUND_KEY, key=key)
    if step.find(SigningKey, key) is not None:
        return refuse(Status.RECORD_EXISTS, key=key)
    return None


def with_key(step: Step, member: Member, offer: KeyOffer) -> Member:
    """Register a key and return `member`, not yet written, with one more key of that role."""
    step.put(SigningKey(id=offer.key, member=member.id, role=offer.role, since=step.position))
    return _counted(member, offer.role, 1)


def without_key(step: Step, member: Member, key: SigningKey) -> Member:
    """Revoke a live key and return `member`, not yet written, with one fewer."""
    step.put(msgspec.structs.replace(key, until=step.position))
    return _counted(member, key.role, -1)


def _counted(member: Member, role: KeyRole, change: int) -> Member:
    match role:
        case KeyRole.MAKER:
            return msgspec.structs.replace(member, maker_keys=member.maker_keys + change)
        case KeyRole.CHECKER:
            return msgspec.structs.replace(member, checker_keys=member.checker_keys + change)
        case KeyRole.ADMIN:
            return msgspec.structs.replace(member, admin_keys=member.admin_keys + change)


def live_keys(step: Step, member: str) -> list[SigningKey]:
    """The keys of `member` that are not revoked."""
    found = []
    for row in step.index_range(f"member_key/{member}/"):
        key = step.at(row.split("/", 2)[2])
        if not isinstance(key, SigningKey):
            raise InvariantViolation(f"{row} names no key")
        found.append(key)
    return found


def check_meetable(member: Member, rules: tuple[SigningRule, ...]) -> Refusal | None:
    """Whether the live keys of `member` could meet every rule, and no band is left without a rule above it."""
    for number, rule in enumerate(rules):
        admins = max(rule.admins, 1)  # what the door asks for key.add and its like
        if (
            rule.makers > member.maker_keys
            or rule.checkers > member.checker_keys
            or admins > member.admin_keys
            or rule.makers + rule.checkers + admins > MAX_SIGNATURES
        ):
            return refuse(Status.POLICY_UNMEETABLE, organisation=member.id, rule=number)
    return None


def check_bands(rules: tuple[SigningRule, ...]) -> Refusal | None:
    """A band names its currency, and a later rule covers what lies above it; else the largest step would need least."""
    for number, rule in enumerate(rules):
        if (rule.up_to is None) != (rule.currency is None):
            return refuse(Status.BAD_VALUE, field="rules", rule=number, reason="a band is an amount in a currency")
        if rule.up_to is None:
            continue
        later = rules[number + 1 :]
        if not any(one.up_to is None and one.pattern in _covering(rule.pattern) for one in later):
            return refuse(Status.BAD_VALUE, field="rules", rule=number, reason="no rule above this band")
    return None


def _covering(pattern: str) -> tuple[str, ...]:
    """The patterns that cover all that `pattern` does."""
    concept = pattern.partition(".")[0] + ".*"
    return (pattern, concept, "*")


class AddKey(Operation, tag="key.add"):
    """Register a further key of the organisation, which signs with it as proof that it is held.

    Signed by the organisation's admin key and the new key. Source: DESIGN section 4.
    """

    needs_admin = True
    while_suspended = True

    key: Key
    role: KeyRole

    def introduced_keys(self) -> tuple[str, ...]:
        return (self.key,)

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        member = step.get(Member, step.actor)
        if member.maker_keys + member.checker_keys + member.admin_keys >= MAX_KEYS:
            return refuse(Status.TOO_MANY, organisation=member.id, limit=MAX_KEYS)
        return check_new_key(step, self.key)

    def apply(self, step: Step) -> Iterator[Event]:
        member = step.get(Member, step.actor)
        step.put(with_key(step, member, KeyOffer(key=self.key, role=self.role)))
        yield ADDED(self.key, (member.id,), organisation=member.id, role=self.role.value)


class RevokeKey(Operation, tag="key.revoke"):
    """Revoke a key of the organisation for ever; never its last admin key, nor one that its policy cannot do without.

    Signed by the organisation's admin key. Source: OPERATIONS, "Membership".
    """

    needs_admin = True
    while_suspended = True

    key: Key

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        key = step.find(SigningKey, self.key)
        if key is None:
            return refuse(Status.NOT_FOUND, key=self.key)
        if key.member != step.actor:
            return refuse(Status.NOT_A_PARTY, missing=key.member)
        if key.until is not None:
            return refuse(Status.WRONG_STATE, key=self.key, revoked_at=key.until.height)
        member = step.get(Member, step.actor)
        if key.role is KeyRole.ADMIN and member.admin_keys == 1:
            return refuse(Status.LAST_ADMIN_KEY, organisation=member.id)
        return check_meetable(_counted(member, key.role, -1), rules_of(member))

    def apply(self, step: Step) -> Iterator[Event]:
        key = step.get(SigningKey, self.key)
        step.put(without_key(step, step.get(Member, key.member), key))
        yield REVOKED(key.id, (key.member,), organisation=key.member, role=key.role.value)


def rules_of(member: Member) -> tuple[SigningRule, ...]:
    """The signing rules in force; none means any one key, and an admin key for what concerns keys and details."""
    return member.policies[-1].rules if member.policies else ()


class SetSigningPolicy(Operation, tag="signing_policy.set"):
    """Set how many of which keys must sign, by operation pattern and amount band (制单/复核); an empty list clears it.

    Signed by the organisation's admin keys under its present policy. The first rule that matches governs. Source:
    DESIGN section 4, "Authorisation is data".
    """

    needs_admin = True
    while_suspended = True

    rules: Annotated[tuple[SigningRule, ...], Meta(max_length=100)]

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        member = step.get(Member, step.actor)
        if len(member.policies) >= MAX_POLICIES:
            return refuse(Status.TOO_MANY, organisation=member.id, limit=MAX_POLICIES)
        return check_bands(self.rules) or check_meetable(member, self.rules)

    def apply(self, step: Step) -> Iterator[Event]:
        member = step.get(Member, step.actor)
        step.put(_with_policy(member, self.rules, step.position))
        yield POLICY_SET(member.id, (member.id,))


def _with_policy(member: Member, rules: tuple[SigningRule, ...], now: Position) -> Member:
    earlier = tuple(entry for entry in member.policies if entry.since != now)  # one that never held leaves no trace
    return msgspec.structs.replace(member, policies=(*earlier, PolicyEntry(rules=rules, since=now)))


class RecoveryState(Enum):
    """waiting -> done | contested | void (the organisation left, or the key stands already)."""

    WAITING = "waiting"
    DONE = "done"
    CONTESTED = "contested"
    VOID = "void"


class Recovery(Record):
    """A new admin key that the governors give an organisation after a waiting time."""

    table = "recovery"

    member: MemberId
    new_key: Key
    effective: Instant
    state: RecoveryState
    asked: Position

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        return ((Queue.LAPSE, self.effective),) if self.state is RecoveryState.WAITING else ()


class RecoverKeys(Operation, tag="key.recover"):
    """Give an organisation that lost its admin keys a new one, after a waiting time in which it may object.

    Signed by m of n governors and the new key. When the time has passed, the old admin keys are revoked and the signing
    policy is cleared, for it may name keys that are lost. Against a thief who holds the old keys and objects, the
    auditor suspends the organisation first: then it cannot object. Source: OPERATIONS, "Membership".
    """

    member: MemberId
    key: Key

    def introduced_keys(self) -> tuple[str, ...]:
        return (self.key,)

    def authority(self, step: Step) -> Signers | Refusal:
        return governors(step)

    def check(self, step: Step) -> Refusal | None:
        member = step.find(Member, self.member)
        if member is None:
            return refuse(Status.NOT_FOUND, member=self.member)
        if not member.is_member:
            return refuse(Status.WRONG_STATE, member=member.id, state=member.state.value)
        return check_new_key(step, self.key)

    def apply(self, step: Step) -> Iterator[Event]:
        recovery = Recovery(
            id=step.new_id("kyr"),
            member=self.member,
            new_key=self.key,
            effective=step.now.plus(policies(step).recovery_waiting_days * DAY_MS),
            state=RecoveryState.WAITING,
            asked=step.position,
        )
        step.put(recovery)
        yield RECOVERY_BEGUN(
            recovery.id,
            (self.member, *step.organisations),
            organisation=self.member,
            effective=recovery.effective,
        )


class ContestRecovery(Operation, tag="key.contest_recovery"):
    """Object to the recovery of the organisation's keys, which ends it.

    Signed by the organisation's admin key while the waiting time lasts.
    """

    needs_admin = True

    recovery: RecoveryId

    def authority(self, step: Step) -> Signers | Refusal:
        recovery = step.find(Recovery, self.recovery)
        if recovery is None:
            return refuse(Status.NOT_FOUND, recovery=self.recovery)
        return Signers.all(recovery.member)

    def check(self, step: Step) -> Refusal | None:
        recovery = step.get(Recovery, self.recovery)
        if recovery.state is not RecoveryState.WAITING:
            return refuse(Status.WRONG_STATE, recovery=recovery.id, state=recovery.state.value)
        if step.now >= recovery.effective:
            return refuse(Status.DEADLINE_PASSED, recovery=recovery.id, effective=recovery.effective)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        recovery = step.get(Recovery, self.recovery)
        step.put(msgspec.structs.replace(recovery, state=RecoveryState.CONTESTED))
        yield CONTESTED(recovery.id, (recovery.member,), organisation=recovery.member)


def carry_out_recovery(step: Step, record: Record) -> Iterator[Event]:
    """The waiting time has passed: the new admin key replaces the old ones."""
    if not isinstance(record, Recovery):
        raise InvariantViolation(f"{record.key} is not a recovery")
    member = step.get(Member, record.member)
    if not member.is_member or check_new_key(step, record.new_key) is not None:
        step.put(msgspec.structs.replace(record, state=RecoveryState.VOID))
        yield RECOVERY_VOID(record.id, (member.id,), organisation=member.id)
        return
    for key in live_keys(step, member.id):
        if key.role is KeyRole.ADMIN:
            member = without_key(step, member, key)
    member = with_key(step, member, KeyOffer(key=record.new_key, role=KeyRole.ADMIN))
    step.put(_with_policy(member, (), step.position))
    step.put(msgspec.structs.replace(record, state=RecoveryState.DONE))
    yield RECOVERED(record.id, (member.id,), organisation=member.id)
