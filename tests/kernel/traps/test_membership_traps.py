"""Traps of earlier systems (DOMAIN section 8) that lie in membership and review."""

from tallystick.kernel.machine import Result
from tallystick.kernel.membership.records import Member, MemberState, Role
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import Review, ReviewResult, ReviewState
from tallystick.wire.status import Status
from tests.support.members import application, apply_as, approve, key_of, lei, open_review_of
from tests.support.world import World


def chain(name: str = "") -> tuple[World, str, str]:
    world = World()
    return world, world.member("Sponsor" + name, Role.CLIENT), world.member("Auditor" + name, Role.AUDITOR)


def status(result: Result) -> Status:
    return result.status


def test_a_verified_identity_claim_is_not_replayed_on_another_chain() -> None:
    world, sponsor, _ = chain()
    raw = world.sign(application("Supplier"), by=sponsor, keys=(key_of("Supplier"),))
    elsewhere = World()
    elsewhere.member("Sponsor", Role.CLIENT)
    elsewhere.chain = type(world.chain)("tallystick-else", sandbox=True, tree_depth=2)
    assert status(elsewhere.submit(raw)) is Status.WRONG_CHAIN
    bent = raw.replace(b"tallystick-test", b"tallystick-else")
    assert status(elsewhere.submit(bent)) is Status.BAD_SIGNATURE
    assert status(world.submit(raw)) is Status.OK


def test_not_anyone_confirms() -> None:
    world, sponsor, auditor = chain()
    supplier = apply_as(world, "Supplier", sponsor)
    vote = DecideReview(review=open_review_of(world, supplier), result=ReviewResult.APPROVE)
    for name in (sponsor, world.member("Funder", Role.FUNDER), world.member("Governor", Role.GOVERNOR)):
        world.do(vote, by=name, expect=Status.NOT_THE_REVIEWER)
    world.do(vote, by=auditor)


def test_confirming_number_one_does_not_touch_the_newest() -> None:
    world, sponsor, auditor = chain()
    first, second = apply_as(world, "First", sponsor), apply_as(world, "Second", sponsor)
    newest = world.row(Member, second)
    approve(world, first, auditor)
    assert world.row(Member, first).state is MemberState.ADMITTED
    assert world.row(Member, second) == newest
    assert world.row(Review, newest.review).state is ReviewState.REQUESTED


def test_the_duplicate_key_does_not_include_the_creator() -> None:
    world, sponsor, _ = chain()
    other = world.member("Other sponsor", Role.CLIENT)
    apply_as(world, "Supplier", sponsor)
    apply_as(world, "Supplier again", other, Status.RECORD_EXISTS, identifier=lei("Supplier"))
