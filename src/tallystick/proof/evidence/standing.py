"""Who signed a transaction, and whether each was entitled to *at that place*: membership, keys, and the signing policy.

Members and keys carry their whole history with intervals of places, never deleted; so the present records, which the
bundle proves, answer for every earlier height. Rules kept here:
1. The signing organisations are exactly those that the body names, and each was a member (admitted or suspended) there.
2. Each signing key was registered for one of them before that place and not yet revoked. A key that an operation
   introduces signs besides, as proof that it is held.
3. Each organisation's keys meet the signing policy that it had there, exactly (`wire.authority`), by each operation's
   name and stated amount.
"""

import re
from dataclasses import dataclass

from tallystick.proof.evidence.bundle import Json, Transaction
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.rows import Place, Row
from tallystick.proof.evidence.words import OPERATIONS
from tallystick.wire.authority import (
    ADMIN_KEY,
    ANY_KEY,
    FOUR_EYES,
    KEY_ROLES,
    Requirement,
    judge,
    pattern_matches,
)
from tallystick.wire.envelope import Envelope
from tallystick.wire.keys import to_base64

ON_THE_CHAIN = frozenset({"admitted", "suspended"})
_UNITS = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Signed:
    """Who stands behind a transaction: its organisations, the actor first. `accepted`: it took effect."""

    place: Place
    body: dict[str, Json]
    organisations: tuple[str, ...]
    accepted: bool

    @property
    def where(self) -> str:
        """Its place, as messages name it."""
        return f"transaction {self.place[0]}/{self.place[1]}"

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
        signed = Signed(place, body, _organisations(body, one.where), one.code == 0)
        introduced = {key for operation in signed.operations for key in _introduced(operation)}
        keys = [to_base64(signature.key) for signature in envelope.signatures]
        if not introduced.issubset(keys):
            raise NotProven("signatures", "a key that it introduces did not sign it", one.where)
        counts = {name: [0, 0, 0] for name in signed.organisations}
        for key in keys:
            if key not in introduced:
                member, role = self._owner(key, place, one.where)
                if member not in counts:
                    raise NotProven("signatures", f"a key of {member} signed, who is not named in it", one.where)
                counts[member][KEY_ROLES.index(role)] += 1
        for name, numbers in counts.items():
            self._check_member(name, place, one.where)
            status = judge(self._requirement(name, place, signed.operations), *numbers)
            if status is not None:
                raise NotProven("signing policy", f"{status.label}: {name}", one.where)
        return signed

    def held_role(self, member: str, role: str, place: Place) -> bool:
        """Whether `member` held `role` at `place`. Raises NotProven where nothing in the bundle says."""
        grants = self._member(member, f"role {role}").rows("roles")
        return any(grant.text("role") == role and _covers(grant, place) for grant in grants)

    def _check_member(self, member: str, place: Place, where: str) -> None:
        # What a step itself changes holds from the next one on: who leaves by it was a member there.
        row = self._member(member, where)
        states = [entry for entry in row.rows("states") if entry.needed_place("since") < place]
        if not states or states[-1].text("state") not in ON_THE_CHAIN:
            raise NotProven("membership", f"{member} was not a member then", where)

    def _owner(self, key: str, place: Place, where: str) -> tuple[str, str]:
        """Whose key it was at `place`, and in which role."""
        value = self._records.get(f"key/{key}")
        if not isinstance(value, dict):
            raise NotProven("keys", f"no proven record shows whose key {key} is", where)
        row = Row(value, f"record key/{key}")
        if row.text("role") not in KEY_ROLES:
            raise NotProven("keys", f"the record of key {key} is not one", where)
        if not _covers(row, place):
            raise NotProven("keys", f"key {key} of {row.text('member')} was not in force then", where)
        return row.text("member"), row.text("role")

    def _member(self, member: str, where: str) -> Row:
        value = self._records.get(f"member/{member}")
        if not isinstance(value, dict):
            raise NotProven("membership", f"no proven record shows {member}", where)
        return Row(value, f"record member/{member}")

    def _requirement(self, member: str, place: Place, operations: list[dict[str, Json]]) -> Requirement:
        rules: tuple[Row, ...] = ()
        for entry in self._member(member, "signing policy").rows("policies"):
            if entry.needed_place("since") < place:
                rules = entry.rows("rules")
        requirement = ANY_KEY
        for number, operation in enumerate(operations):
            asked = _required(rules, operation)
            requirement = asked if number == 0 else requirement.joined(asked)
        return requirement


def _body(one: Transaction) -> dict[str, Json]:
    body = one.envelope.get("body") if isinstance(one.envelope, dict) else None
    if not isinstance(body, dict):
        raise NotProven("transactions", "it has no body", one.where)
    listed = body.get("operations")
    if not isinstance(listed, list) or not listed or not all(isinstance(item, dict) for item in listed):
        raise NotProven("transactions", "it asks for nothing", one.where)
    return body


def _organisations(body: dict[str, Json], where: str) -> tuple[str, ...]:
    cosigners = body.get("cosigners")
    named = [body.get("actor"), *(cosigners if isinstance(cosigners, list) else [])]
    names = [name for name in named if isinstance(name, str)]
    if len(names) < len(named) or len(set(names)) < len(names):
        raise NotProven("signatures", "its organisations are not each named once", where)
    return tuple(names)


def _required(rules: tuple[Row, ...], operation: dict[str, Json]) -> Requirement:
    """What a policy asks for one operation, as the kernel's door does (docs/spec/transaction.md, "Who must sign")."""
    name = str(operation.get("op"))
    known = OPERATIONS.get(name)
    if known is None:
        raise NotProven("transactions", "an operation that this verifier does not know", name[:64])
    requirement = ANY_KEY
    for rule in rules:
        if pattern_matches(rule.text("pattern"), name) and _is_in_band(rule, operation):
            requirement = Requirement(rule.number("makers"), rule.number("checkers"), rule.number("admins"))
            break
    if known.admin:
        requirement = requirement.joined(ADMIN_KEY)
    return requirement.joined(FOUR_EYES) if known.four_eyes else requirement


def _is_in_band(rule: Row, operation: dict[str, Json]) -> bool:
    """Whether the amount that the operation states is in its currency and no more than the band allows."""
    if not rule.has("up_to"):
        return True
    stated = stated_amount(operation)
    return stated is not None and stated[0] == rule.text("currency") and stated[1] <= rule.units("up_to")


def stated_amount(operation: dict[str, Json]) -> tuple[str, int] | None:
    """The currency and amount that an operation states, in minor units."""
    known = OPERATIONS[str(operation.get("op"))]
    if not known.currency:
        return None
    currency = _at(operation, known.currency)
    amounts = [_at(operation, path) for path in known.amounts]
    units = [int(amount) for amount in amounts if isinstance(amount, str) and _UNITS.fullmatch(amount)]
    if not isinstance(currency, str) or len(units) < len(amounts):
        return None
    return currency, sum(units)


def _introduced(operation: dict[str, Json]) -> list[str]:
    known = OPERATIONS.get(str(operation.get("op")))
    if known is None or not known.introduces:
        return []
    head, _, name = known.introduces.partition(".")
    found = operation.get(head)
    if not name:
        return [found] if isinstance(found, str) else []
    return [str(one[name]) for one in found if isinstance(one, dict) and name in one] if isinstance(found, list) else []


def _at(value: Json, path: str) -> Json:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _covers(interval: Row, place: Place) -> bool:
    """Whether [since, until) has `place`; what began in a transaction holds from the next one on, genesis at once."""
    until = interval.place("until")
    return interval.needed_place("since") < place and (until is None or place <= until)
