"""Members and their keys: what is not the genesis's was asked for by whom the rules of membership name.

Rules kept here (DOMAIN section 3, "Member"; DESIGN section 4):
1. An organisation applied with its sponsor and was admitted by its review; it was suspended, reinstated and succeeded
   by an auditor's step, and left by its own.
2. Roles and permissions began where it was admitted or an auditor set them; its signing policy is its own word.
3. A key came with the application or was added by its organisation, and was revoked by it; or both by a recovery.
"""

from collections.abc import Iterator

from tallystick.proof.evidence.bundle import Json
from tallystick.proof.evidence.reviews import approved
from tallystick.proof.evidence.rows import GENESIS, Place, Row
from tallystick.proof.evidence.story import Act, Claim, Story, Told, pick


def member(row: Row, story: Story) -> Iterator[Claim]:
    """Each state, role, permission and policy since a place of the chain."""
    record_id = row.id
    about = {"member": record_id}
    was_admitted = False
    for entry in row.rows("states"):
        at, state = entry.needed_place("since"), entry.text("state")
        rule = f"member.{state}"
        if at == GENESIS:
            was_admitted = True
        elif state == "applied":
            identity = pick(row, "identifier", "identifier_kind")
            yield Act(rule, at, ("member.apply",), (row.text("sponsor"),), identity, record_id)
        elif state == "admitted" and not was_admitted:
            was_admitted = True
            approved(rule, at, _admission(row, story), record_id, story, row.where)
        elif state in _BY_AUDITOR:
            said = {**about, **pick(row, "successor")} if state == "succeeded" else about
            yield Act(rule, at, (_BY_AUDITOR[state],), says=said, holding="auditor")
        elif state == "left":
            yield Act(rule, at, ("member.leave",), (record_id,))
        else:
            yield Told(rule, at, (f"member.{state}",), record_id)
    for name in ("roles", "permissions"):
        for entry in row.rows(name):
            if entry.place("since") != GENESIS:
                kinds = ("member.admitted", "member.permissions_set")
                yield Told(f"member.{name}", entry.place("since"), kinds, record_id)
    for entry in row.rows("policies"):
        if entry.place("since") != GENESIS and entry.get("rules"):
            said = pick(entry, "rules")
            yield Act("member.policy", entry.place("since"), ("signing_policy.set",), (record_id,), said)


_BY_AUDITOR = {"admitted": "member.reinstate", "suspended": "member.suspend", "succeeded": "member.succeed"}


def _admission(row: Row, story: Story) -> str:
    """The review that admitted a member; its row may name a later one, of a change of its details."""
    for one in story.rows("review"):
        if one.text("subject_kind") == "membership" and one.text("subject") == row.id:
            return one.id
    return row.text("review")


def key(row: Row, story: Story) -> Iterator[Claim]:
    """Since when it signs for its organisation, and until when."""
    owner, since = row.text("member"), row.needed_place("since")
    said = {"key": row.id, **pick(row, "role")}
    if since != GENESIS and not _came_with(owner, said, since, story):
        yield from _by_itself_or_recovered("key.since", since, "key.add", owner, said, story)
    until = row.place("until")
    if until is not None:
        yield from _by_itself_or_recovered("key.until", until, "key.revoke", owner, {"key": row.id}, story)


def _came_with(owner: str, offered: dict[str, Json], since: Place, story: Story) -> bool:
    """Whether it holds from the place of its member's admission, whose application, where shown, offers it."""
    row = story.row(f"member/{owner}")
    if row is None or all(entry.place("since") != since for entry in row.rows("states")):
        return False
    approved("key.since", since, _admission(row, story), owner, story, row.where)
    applied = Act("", since, ("member.apply",), (row.text("sponsor"),), creates=owner)
    for step, operation in story.steps():
        if operation.text("op") == "member.apply" and applied.holds_in(story, step):
            return any(one.value == offered for one in operation.rows("keys"))
    return True


def _by_itself_or_recovered(
    rule: str, at: Place, asks: str, owner: str, said: dict[str, Json], story: Story
) -> Iterator[Claim]:
    """The organisation's own step, unless the block gave it new keys there on the governors' word."""
    if all(event.text("kind") != "key.recovered" for event in story.at(at).events):
        yield Act(rule, at, (asks,), (owner,), said)
