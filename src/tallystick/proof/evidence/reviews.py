"""Reviews: who may vote, that each vote was cast, and that the votes suffice for the outcome.

Rules kept here (DOMAIN section 3, "Review"):
1. It was asked for by the step that its kind of subject asks by.
2. Each decision was signed by that reviewer, who held that role then, sits on a panel of the review by it, is no party
   and no sponsor of one, and voted once.
3. It is approved once each panel has the votes it needs, and refused once one has as many refusals; it was decided
   where the last vote was cast.
How many votes a panel needs is the policies' word at the request, and stands in the review.
"""

from collections.abc import Iterator

from tallystick.proof.evidence.bundle import Json
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.rows import Place, Row
from tallystick.proof.evidence.story import Act, Claim, Story, Told, pick

ASKED_BY: dict[str, tuple[tuple[str, ...], str]] = {
    "receivable": (("receivable.confirm",), "receivable"),
    "transfer": (("transfer.accept",), "transfer"),
    "financing": (("financing.sign_contract",), "financing"),
    "membership": (("member.apply",), ""),
    "member_update": (("member.update",), ""),
    "account": (("account.apply",), ""),
    "product": (("product.apply", "product.counter_contract", "product.correct"), ""),
}
"""For each kind of subject, the operations that ask for its review, and their field that names it."""

PANELS = {
    "receivable": "auditor",
    "transfer": "auditor",
    "financing": "auditor",
    "membership": "auditor",
    "member_update": "auditor",
    "account": "custodian",
    "product": "platform",
}
"""The role that decides on each kind of subject; the policies may ask for others besides."""


def review(row: Row, _story: Story) -> Iterator[Claim]:
    """Asked for, voted on by each reviewer itself, noted on, and ended."""
    kind, subject = row.text("subject_kind"), row.text("subject")
    if kind not in ASKED_BY:
        raise NotProven("review.requested", f"nothing of the kind {kind} is reviewed", row.where)
    asks, field = ASKED_BY[kind]
    said: dict[str, Json] = {field: subject} if field else {}
    if row.has("handling"):
        said |= {"handling": row.get("handling")}
    creates = subject if kind in ("membership", "account") else ""
    yield Act("review.requested", row.needed_place("requested"), asks, says=said, creates=creates)
    for one in row.rows("decisions"):
        given = {"review": row.id, **pick(one, "result", "checklist", "fingerprints", "reason", "findings")}
        yield Act("review.decision", one.needed_place("at"), ("review.decide",), (one.text("reviewer"),), given)
    for one in row.rows("notes"):
        given = {"review": row.id, **pick(one, "code", "findings")}
        yield Act("review.note", one.needed_place("at"), ("review.note",), (one.text("reviewer"),), given)
    if row.text("state") not in ("requested", "approved"):
        yield Told("review.ended", row.needed_place("decided"), (f"review.{row.text('state')}",), row.id)


def check_review(row: Row, story: Story) -> None:
    """Who voted was entitled to, and the votes bring the outcome about. Raises NotProven."""
    panels, decisions = row.rows("panels"), row.rows("decisions")
    if PANELS[row.text("subject_kind")] not in {panel.text("role") for panel in panels}:
        raise NotProven("review.panel", "those who decide on such a subject have no say in it", row.where)
    for number, one in enumerate(decisions):
        reviewer, role, at = one.text("reviewer"), one.text("role"), one.needed_place("at")
        if role not in {panel.text("role") for panel in panels}:
            raise NotProven("review.panel", f"{role} has no seat in it", row.where)
        if story.names((*row.texts("parties"), *row.texts("recused")), reviewer):
            raise NotProven("review.recusal", f"{reviewer} is a party to it, or a party's sponsor", row.where)
        if story.names((other.text("reviewer") for other in decisions[:number]), reviewer):
            raise NotProven("review.decision", f"{reviewer} voted twice", row.where)
        if not _held(story, row, reviewer, role, at):
            raise NotProven("review.role", f"{reviewer} was not {role} at {at[0]}/{at[1]}", row.where)
    if row.text("state") == "approved":
        _check_approved(row, panels, decisions)


def _held(story: Story, row: Row, reviewer: str, role: str, at: Place) -> bool:
    """Whether a reviewer, by the name that it had when it signed, held the role there."""
    signed = story.at(at).signed
    if signed is None:
        if story.row(f"member/{reviewer}") is None:
            story.miss(row.where, "review.role", f"nothing shows that {reviewer} was {role}")
            return True
        return story.standing.held_role(reviewer, role, at)
    signing = (name for name in signed.organisations if story.is_same(name, reviewer))
    return any(story.standing.held_role(name, role, at) for name in signing)


def _check_approved(row: Row, panels: tuple[Row, ...], decisions: tuple[Row, ...]) -> None:
    for panel in panels:
        votes = [one for one in decisions if one.get("role") == panel.get("role") and one.get("result") == "approve"]
        needed = panel.number("needed", 1)
        if needed < 1 or len(votes) < needed:
            what = f"{len(votes)} of {panel.text('role')} approved and {needed} had to"
            raise NotProven("review.votes", what, row.where)
    if not decisions or decisions[-1].place("at") != row.place("decided"):
        raise NotProven("review.votes", "it was not decided where the last vote was cast", row.where)


def approved(rule: str, at: Place | None, review_id: str, subject: str, story: Story, where: str) -> None:
    """A record says that its review made it what it is, at a place if one is given. Raises NotProven."""
    found = story.row(f"review/{review_id}")
    if found is None:
        story.miss(where, rule, f"its review {review_id} is not in the bundle")
        return
    if found.text("subject") != subject:
        raise NotProven(rule, f"review {review_id} is of something else", where)
    if found.text("state") != "approved":
        raise NotProven(rule, f"review {review_id} did not approve it", where)
    if at is not None and found.place("decided") != at:
        raise NotProven(rule, f"review {review_id} approved it elsewhere", where)
