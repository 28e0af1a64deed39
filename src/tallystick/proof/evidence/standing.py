"""Who signed a transaction, and whether each was entitled to *at that place*: membership, keys, and the signing policy.

Members and keys carry their whole history with intervals of places, never deleted; so the present records, which the
bundle proves, answer for every earlier height. Rules kept here:
1. The signing organisations are exactly those that the body names, and each was a member (admitted or suspended) there.
2. Each signing key was registered for one of them before that place and not yet revoked. A key that an operation
   introduces signs besides.
3. Each organisation's keys meet the signing policy that it had there, exactly (`wire.authority`), by each operation's
   name and stated amount.
"""

from dataclasses import dataclass

from tallystick.proof.evidence.bundle import Json, Transaction
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.words import OPERATIONS
from tallystick.wire.authority import ADMIN_KEY, ANY_KEY, FOUR_EYES, Requirement, judge, pattern_matches
from tallystick.wire.envelope import Envelope
from tallystick.wire.keys import to_base64

Place = tuple[int, int]
"""Height and transaction index."""

ON_THE_CHAIN = frozenset({"admitted", "suspended"})
_ROLES = ("maker", "checker", "admin")


@dataclass(frozen=True, slots=True)
class Signed:
    """Who stands behind a transaction: its organisations, the actor first, and what each did its part with."""

    place: Place
    body: dict[str, Json]
    organisations: tuple[str, ...]

    @property
    def operations(self) -> list[dict[str, Json]]:
        """What it asked."""
        listed = self.body["operations"]
        return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


class Standing:
    """What the proven records of members and keys say about any place."""

    def __init__(self, records: dict[str, Json]) -> None:
        self._records = records

    def check(self, one: Transaction, envelope: Envelope, chain_id: str) -> Signed:
        """Who signed `one`, all entitled at its place. Raises NotProven."""
        place = (one.height, one.index)
        body = _body(one)
        if body.get("chain") != chain_id:
            raise NotProven("signatures", "it was made for another chain", one.where)
        signed = Signed(place, body, _organisations(body, one.where))
        introduced = {key for operation in signed.operations for key in _introduced(operation)}
        counts = {name: [0, 0, 0] for name in signed.organisations}
        for signature in envelope.signatures:
            key = to_base64(signature.key)
            if key not in introduced:
                member, role = self._owner(key, place, one.where)
                if member not in counts:
                    raise NotProven("signatures", f"a key of {member} signed, who is not named in it", one.where)
                counts[member][_ROLES.index(role)] += 1
        for name, numbers in counts.items():
            self._check_member(name, place, one.where)
            status = judge(self._requirement(name, place, signed.operations), *numbers)
            if status is not None:
                raise NotProven("signing policy", f"{status.label}: {name}", one.where)
        return signed

    def held_role(self, member: str, role: str, place: Place) -> bool:
        """Whether `member` held `role` at `place`."""
        for grant in _entries(self._member(member, f"role {role}"), "roles"):
            if grant.get("role") == role and _covers(grant, place):
                return True
        return False

    def _check_member(self, member: str, place: Place, where: str) -> None:
        states = [entry for entry in _entries(self._member(member, where), "states") if _since(entry) <= place]
        if not states or states[-1].get("state") not in ON_THE_CHAIN:
            raise NotProven("membership", f"{member} was not a member then", where)

    def _owner(self, key: str, place: Place, where: str) -> tuple[str, str]:
        """Whose key it was at `place`, and in which role."""
        row = self._records.get(f"key/{key}")
        if not isinstance(row, dict):
            raise NotProven("keys", f"no proven record shows whose key {key} is", where)
        member, role = row.get("member"), row.get("role")
        if not isinstance(member, str) or role not in _ROLES:
            raise NotProven("keys", f"the record of key {key} is not one", where)
        if not _covers(row, place):
            raise NotProven("keys", f"key {key} of {member} was not in force then", where)
        return member, str(role)

    def _member(self, member: str, where: str) -> dict[str, Json]:
        row = self._records.get(f"member/{member}")
        if not isinstance(row, dict):
            raise NotProven("membership", f"no proven record shows {member}", where)
        return row

    def _requirement(self, member: str, place: Place, operations: list[dict[str, Json]]) -> Requirement:
        rules: list[dict[str, Json]] = []
        for entry in _entries(self._member(member, "signing policy"), "policies"):
            if _since(entry) < place:
                rules = _entries(entry, "rules")
        requirement = ANY_KEY
        for number, operation in enumerate(operations):
            asked = _required(rules, operation)
            requirement = asked if number == 0 else requirement.joined(asked)
        return requirement


def _body(one: Transaction) -> dict[str, Json]:
    body = one.envelope.get("body") if isinstance(one.envelope, dict) else None
    if not isinstance(body, dict):
        raise NotProven("transactions", "it has no body", one.where)
    return body


def _organisations(body: dict[str, Json], where: str) -> tuple[str, ...]:
    named = [body.get("actor"), *_list(body.get("cosigners"))]
    if not all(isinstance(name, str) for name in named) or len(set(named)) < len(named):
        raise NotProven("signatures", "its organisations are not each named once", where)
    return tuple(str(name) for name in named)


def _required(rules: list[dict[str, Json]], operation: dict[str, Json]) -> Requirement:
    """What a policy asks for one operation, as the kernel's door does (docs/spec/transaction.md, "Who must sign")."""
    name = str(operation.get("op"))
    known = OPERATIONS.get(name)
    if known is None:
        raise NotProven("transactions", "an operation that this verifier does not know", name[:64])
    requirement = ADMIN_KEY if known.admin else ANY_KEY
    for rule in rules:
        if pattern_matches(str(rule.get("pattern")), name) and _is_in_band(rule, operation):
            makers, checkers, admins = (_count(rule.get(field)) for field in ("makers", "checkers", "admins"))
            requirement = Requirement(makers, checkers, max(admins, int(known.admin)))
            break
    return requirement.joined(FOUR_EYES) if known.four_eyes else requirement


def _is_in_band(rule: dict[str, Json], operation: dict[str, Json]) -> bool:
    """Whether the amount that the operation states is in its currency and no more than the band allows."""
    if "up_to" not in rule:
        return True
    stated = stated_amount(operation)
    return stated is not None and stated[0] == rule.get("currency") and stated[1] <= int(str(rule["up_to"]))


def stated_amount(operation: dict[str, Json]) -> tuple[str, int] | None:
    """The currency and amount that an operation states, in minor units."""
    known = OPERATIONS[str(operation.get("op"))]
    if not known.currency:
        return None
    currency = _at(operation, known.currency)
    amounts = [_at(operation, path) for path in known.amounts]
    if not isinstance(currency, str) or not all(isinstance(amount, str) for amount in amounts):
        return None
    return currency, sum(int(str(amount)) for amount in amounts)


def _introduced(operation: dict[str, Json]) -> list[str]:
    known = OPERATIONS.get(str(operation.get("op")))
    if known is None or not known.introduces:
        return []
    head, _, field = known.introduces.partition(".")
    found = operation.get(head)
    if not field:
        return [found] if isinstance(found, str) else []
    return [str(one[field]) for one in _list(found) if isinstance(one, dict) and field in one]


def _at(value: Json, path: str) -> Json:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _covers(interval: dict[str, Json], place: Place) -> bool:
    """Whether [since, until) has `place`; what began in a transaction holds from the next one on, genesis at once."""
    until = interval.get("until")
    return _since(interval) < place and (until is None or place <= _place(until))


def _since(entry: dict[str, Json]) -> Place:
    return _place(entry.get("since"))


def _place(value: Json) -> Place:
    if isinstance(value, list) and len(value) == 2 and all(type(number) is int for number in value):
        height, index = value
        return int(height), int(index)
    raise NotProven("state", "a record has no place where one belongs", str(value)[:60])


def _entries(value: dict[str, Json], name: str) -> list[dict[str, Json]]:
    return [one for one in _list(value.get(name)) if isinstance(one, dict)]


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _count(value: Json) -> int:
    return value if type(value) is int else 0
