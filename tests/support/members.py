"""Scenes of membership and review: applicants, applications, votes."""

import hashlib
from typing import Any

from nacl.signing import SigningKey as Ed25519

from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.machine import Result
from tallystick.kernel.membership.admission import ApplyForMembership
from tallystick.kernel.membership.records import KeyOffer, KeyRole, SizeClass
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import Review, ReviewResult, ReviewState
from tallystick.wire.keys import to_base64
from tallystick.wire.status import Status
from tests.support.world import World


def key_of(name: str) -> Ed25519:
    """The deterministic key that goes by `name`."""
    return Ed25519(hashlib.sha256(name.encode()).digest())


def public(key: Ed25519) -> str:
    """A key's public half as it stands on the ledger."""
    return to_base64(key.verify_key.encode())


def offer(name: str, role: KeyRole = KeyRole.ADMIN) -> KeyOffer:
    """The key that goes by `name`, offered for `role`."""
    return KeyOffer(key=public(key_of(name)), role=role)


def lei(name: str) -> str:
    """A LEI with its check digits, made from `name` (ISO 17442)."""
    body = "0000" + hashlib.sha256(name.encode()).hexdigest()[:14].upper()
    digits = "".join(str(int(character, 36)) for character in body + "00")
    return f"{body}{98 - int(digits) % 97:02d}"


def anchor(kind: str = "paper", content: str = "content") -> Anchor:
    """An anchor of a document of `kind`."""
    return Anchor(hash=hashlib.sha256(content.encode()).hexdigest(), kind=kind, size=len(content))


def application(name: str, **fields: Any) -> ApplyForMembership:
    """An application by `name` with one admin key."""
    asked: dict[str, Any] = {
        "legal_name": name,
        "identifier": lei(name),
        "identifier_kind": "lei",
        "size_class": SizeClass.SMALL,
        "keys": (offer(name),),
        "papers": (anchor("business_licence", name),),
    }
    return ApplyForMembership(**{**asked, **fields})


def apply_as(world: World, name: str, sponsor: str, expect: Status = Status.OK, vector: str = "", **fields: Any) -> str:
    """Let `name` apply with its key, sponsored by `sponsor`; its id, or "" where that is refused."""
    result = world.do(application(name, **fields), by=sponsor, keys=(key_of(name),), expect=expect, vector=vector)
    if result.status is not Status.OK:
        return ""
    applicant = result.events[0].record
    world.keys[applicant] = key_of(name)
    world.names[applicant] = name
    return applicant


def open_review_of(world: World, subject: str) -> str:
    """The id of the one open review about `subject`."""
    found = [
        row.id
        for row in world.state.rows.values()
        if isinstance(row, Review) and row.subject == subject and row.state is ReviewState.REQUESTED
    ]
    assert len(found) == 1, found
    return found[0]


def approve(world: World, subject: str, by: str, expect: Status = Status.OK, vector: str = "", **fields: Any) -> Result:
    """The reviewer `by` approves the open review of `subject`."""
    vote = DecideReview(review=open_review_of(world, subject), result=ReviewResult.APPROVE, **fields)
    return world.do(vote, by=by, expect=expect, vector=vector)


def turn_down(world: World, subject: str, by: str, reason: str = "papers_missing", vector: str = "") -> Result:
    """The reviewer `by` refuses the open review of `subject`."""
    vote = DecideReview(review=open_review_of(world, subject), result=ReviewResult.REFUSE, reason=reason)
    return world.do(vote, by=by, vector=vector)
