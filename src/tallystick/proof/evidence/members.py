"""Members and their keys: what is not the genesis's was asked for by whom the rules of membership name.

Rules kept here (DOMAIN section 3, "Member"; DESIGN section 4):
1. An organisation applied with its sponsor and was admitted by its review; it was suspended, reinstated and succeeded
   by an auditor's step, and left by its own.
2. Roles and permissions are those that its application asked for, or that an auditor's step listed; they end by such a
   step or with its membership. Its signing policy is its own word; a recovery clears it.
3. A key came with the application or was added by its organisation, and was revoked by it; or both by a recovery.
4. A recovery was asked for by governors, who named the organisation and the new key.
"""

from collections.abc import Iterator

from tallystick.proof.evidence.bundle import Json
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.reviews import approved
from tallystick.proof.evidence.rows import GENESIS, Place, Row
from tallystick.proof.evidence.story import Act, Claim, Either, Story, Told, pick


def member(row: Row, story: Story) -> Iterator[Claim]:
    """Each state, role, permission and policy since a place of the chain."""
    record_id = row.id
    about = {"member": record_id}
    applied, admitted = _place_of("applied", row), _place_of("admitted", row)
    for entry in row.rows("states"):
        at, state = entry.needed_place("since"), entry.text("state")
        rule = f"member.{state}"
        if at == GENESIS:
            continue
        if state == "applied":
            identity = pick(row, "identifier", "identifier_kind")
            yield Act(rule, at, ("member.apply",), (row.text("sponsor"),), identity, record_id)
        elif at == admitted and state == "admitted":
            approved(rule, at, _admission(row, story), record_id, story, row.where)
        elif state in _BY_AUDITOR:
            said = {**about, **pick(row, "successor")} if state == "succeeded" else about
            yield Act(rule, at, (_BY_AUDITOR[state],), says=said, holding="auditor")
        elif state == "left":
            yield Act(rule, at, ("member.leave",), (record_id,))
        else:
            yield Told(rule, at, (f"member.{state}",), record_id)
    for name, each in (("roles", "role"), ("permissions", "permission")):
        for entry in row.rows(name):
            rule, since, given = f"member.{name}", entry.needed_place("since"), {name: entry.get(each)}
            if since == admitted != GENESIS:
                yield Act(rule, applied, ("member.apply",), creates=record_id, lists=given)
            elif since != GENESIS:
                asks = ("member.set_permissions",)
                yield Act(rule, since, asks, says=about, holding="auditor", lists=given)
            yield Told(rule, entry.place("until"), _ENDS_ENTITLEMENTS, record_id, by_step=True)
    for entry in row.rows("policies"):
        if entry.place("since") != GENESIS:
            yield from _policy(record_id, entry, story)


_BY_AUDITOR = {"admitted": "member.reinstate", "suspended": "member.suspend", "succeeded": "member.succeed"}
_ENDS_ENTITLEMENTS = ("member.permissions_set", "member.left", "member.succeeded")


def _place_of(state: str, row: Row) -> Place | None:
    """Where it first came to be in a state."""
    return next((one.place("since") for one in row.rows("states") if one.text("state") == state), None)


def _policy(owner: str, entry: Row, story: Story) -> Iterator[Claim]:
    """The organisation's own word; an empty one may be that of a recovery."""
    rule, at, said = "member.policy", entry.needed_place("since"), pick(entry, "rules")
    by_itself = Act(rule, at, ("signing_policy.set",), (owner,), said)
    if entry.get("rules"):
        yield by_itself
    else:
        yield from _by_itself_or_recovered(by_itself, {}, story)


def _admission(row: Row, story: Story) -> str:
    """The review that admitted a member; its row may name a later one, of a change of its details."""
    for one in story.rows("review"):
        if one.text("subject_kind") == "membership" and one.text("subject") == row.id:
            return one.id
    return row.text("review")


def key(row: Row, story: Story) -> Iterator[Claim]:
    """Since when it signs for its organisation, and until when.

    Many keys may be of one place, as where a step admits many organisations: that it is shown says nothing of a key
    whose application is not.
    """
    owner, since, until = row.text("member"), row.needed_place("since"), row.place("until")
    said: dict[str, Json] = {"key": row.id, **pick(row, "role")}
    of = story.row(f"member/{owner}")
    admitted = None if of is None else _place_of("admitted", of)
    if of is None:
        story.miss(row.where, "key.since", f"nothing shows since when {owner} is a member")
    elif since == admitted != GENESIS:
        approved("key.since", since, _admission(of, story), owner, story, row.where)
        applied = _place_of("applied", of)
        yield Act("key.since", applied, ("member.apply",), creates=owner, lists={"keys": said})
    elif since != GENESIS:
        added = Act("key.since", since, ("key.add",), (owner,), said)
        yield from _by_itself_or_recovered(added, {"key": row.id}, story, row.id)
    if until is not None:
        revoked = Act("key.until", until, ("key.revoke",), (owner,), {"key": row.id})
        if until == since:  # a recovery comes before the steps of its block, so it revokes no key of them
            yield revoked
        else:
            yield from _by_itself_or_recovered(revoked, {"key": row.id}, story)


def _by_itself_or_recovered(act: Act, about: dict[str, Json], story: Story, new_key: str = "") -> Iterator[Claim]:
    """The organisation's own step, which another one `about` the same refutes; or a recovery, which gave `new_key`."""
    owner, at = act.by[0], act.at or GENESIS
    if Act(act.rule, at, act.asks, act.by, about).look(story).is_proven:
        yield act
        return
    recovered = Told(act.rule, at, ("key.recovered",), "", {"organisation": owner})
    yield Either(act.rule, (act, recovered))
    if recovered.look(story).is_proven:
        _check_recovered(act.rule, at, owner, new_key, story)


def _check_recovered(rule: str, at: Place, owner: str, new_key: str, story: Story) -> None:
    """One of the recoveries that took effect there is of this organisation, and of this key. Raises NotProven."""
    where = f"record member/{owner}"
    ids = [one.text("record") for one in story.at(at).events if one.text("kind") == "key.recovered"]
    rows = [story.row(f"recovery/{one}") for one in ids]
    if any(one and one.text("member") == owner and new_key in ("", one.text("new_key")) for one in rows):
        return
    if None not in rows:
        raise NotProven(rule, "no recovery of its keys there gave it", where)
    story.miss(where, rule, "the recovery of its keys is not in the bundle")


def recovery(row: Row, _story: Story) -> Iterator[Claim]:
    """Asked for by governors, who named the organisation and its new key, which signed besides."""
    said = {"member": row.get("member"), "key": row.get("new_key")}
    asks = ("key.recover",)
    yield Act("recovery.asked", row.needed_place("asked"), asks, says=said, creates=row.id, holding="governor")
