"""Who signs for whom: from a transaction's keys to its organisations, under each one's own policy.

Everything here is decided at the door: it looks at keys and policies, never at business state, so that steps can be
pipelined.
"""

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.state import State
from tallystick.kernel.membership.records import KeyRole, Member, SigningKey, SigningRule
from tallystick.wire.authority import ADMIN_KEY, ANY_KEY, FOUR_EYES, Requirement, judge, pattern_matches
from tallystick.wire.status import Status


def check_signatures(
    state: State, organisations: tuple[str, ...], operations: tuple[Operation, ...], keys: tuple[str, ...]
) -> Refusal | None:
    """Whether exactly the keys signed that `organisations` need for `operations`.

    Order: every introduced key signs (bad_signature); each other key is registered for one of the organisations
    (key_unknown), not revoked (key_revoked); each organisation's policy holds, with no signature to spare.
    """
    introduced = [key for operation in operations for key in operation.introduced_keys()]
    if introduced and not set(introduced).issubset(keys):
        return refuse(Status.BAD_SIGNATURE, reason="a key that is introduced did not sign")
    signed: dict[str, list[int]] = {organisation: [0, 0, 0] for organisation in organisations}
    for key in keys:
        if key in introduced:
            continue
        row = state.find("key/" + key)
        if not isinstance(row, SigningKey) or row.member not in signed:
            return refuse(Status.KEY_UNKNOWN, key=key)
        if row.until is not None:
            return refuse(Status.KEY_REVOKED, key=key, height=row.until.height)
        signed[row.member][_ROLE_INDEX[row.role]] += 1
    for organisation, counts in signed.items():
        status = judge(requirement_of(state, organisation, operations), *counts)
        if status is not None:
            return refuse(status, organisation=organisation)
    return None


_ROLE_INDEX = {KeyRole.MAKER: 0, KeyRole.CHECKER: 1, KeyRole.ADMIN: 2}


def requirement_of(state: State, organisation: str, operations: tuple[Operation, ...]) -> Requirement:
    """What an organisation's own policy asks for these operations together."""
    member = state.find("member/" + organisation)
    rules = member.policies[-1].rules if isinstance(member, Member) and member.policies else ()
    requirement = _one_requirement(rules, operations[0])
    for operation in operations[1:]:
        requirement = requirement.joined(_one_requirement(rules, operation))
    return requirement


def _one_requirement(rules: tuple[SigningRule, ...], operation: Operation) -> Requirement:
    """What the first rule that covers it asks, and what the operation itself asks whatever the rules."""
    requirement = _by_rule(rules, operation) if rules else ANY_KEY
    if operation.needs_admin:
        requirement = requirement.joined(ADMIN_KEY)
    return requirement.joined(FOUR_EYES) if operation.needs_four_eyes else requirement


def _by_rule(rules: tuple[SigningRule, ...], operation: Operation) -> Requirement:
    stated = operation.amount()
    for rule in rules:
        if not pattern_matches(rule.pattern, operation.name):
            continue
        if rule.up_to is not None and (stated is None or stated[0] != rule.currency or stated[1] > rule.up_to):
            continue
        return Requirement(rule.makers, rule.checkers, rule.admins)
    return ANY_KEY
