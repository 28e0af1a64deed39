"""Votes, quorums, recusal, deadlines and later findings, shown on applications for membership."""

import msgspec

from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Member, MemberState, Role
from tallystick.kernel.reviews.operations import MAX_NOTES, DecideReview, NoteReview
from tallystick.kernel.reviews.records import ChecklistItem, Finding, LaterFinding, Review, ReviewResult, ReviewState
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.members import anchor, apply_as, approve, open_review_of, turn_down
from tests.support.world import World

NOBODYS = "rev_" + "0" * 16


def two_of_three() -> tuple[World, list[str], str, str]:
    """Three auditors of whom two must agree, and an application under review."""
    world = World(policies=Policies(auditors_needed=2))
    sponsor = world.member("Sponsor", Role.CLIENT)
    auditors = [world.member(f"Auditor {number}", Role.AUDITOR) for number in (1, 2, 3)]
    supplier = apply_as(world, "Supplier", sponsor)
    return world, auditors, supplier, open_review_of(world, supplier)


def test_who_may_decide_is_told_that_a_review_waits() -> None:
    world, _, supplier, review = two_of_three()
    asked = next(event for event in world.events if event.kind == "review.requested")
    assert asked.record == review
    assert asked.audience == (supplier, "role/auditor")


def test_two_of_three_must_approve() -> None:
    world, auditors, supplier, review = two_of_three()
    checklist = (ChecklistItem(item="licence", finding=Finding.PASSED),)
    approve(world, supplier, auditors[0], checklist=checklist, findings=anchor(), vector="review.decide/first_vote")
    assert world.row(Review, review).state is ReviewState.REQUESTED
    approve(world, supplier, auditors[0], Status.ALREADY_DECIDED, "review.decide/voted_already")
    approve(world, supplier, auditors[2])
    row = world.row(Review, review)
    assert row.state is ReviewState.APPROVED
    assert [decision.reviewer for decision in row.decisions] == [auditors[0], auditors[2]]
    assert row.decisions[0].checklist == checklist
    assert world.told(supplier)[-3:] == ["review.voted", "review.approved", "member.admitted"]


def test_two_of_three_must_refuse() -> None:
    world, auditors, supplier, review = two_of_three()
    turn_down(world, supplier, auditors[0])
    approve(world, supplier, auditors[1])
    assert world.row(Review, review).state is ReviewState.REQUESTED
    turn_down(world, supplier, auditors[2], reason="licence_forged")
    assert world.row(Review, review).reason == "licence_forged"
    assert world.row(Member, supplier).state is MemberState.REFUSED


def test_a_decided_review_is_not_decided_again() -> None:
    world, auditors, supplier, review = two_of_three()
    approve(world, supplier, auditors[0])
    approve(world, supplier, auditors[1])
    vote = DecideReview(review=review, result=ReviewResult.REFUSE, reason="changed_my_mind")
    world.do(vote, by=auditors[2], expect=Status.ALREADY_DECIDED, vector="review.decide/already_decided")


def test_who_may_not_decide() -> None:
    world, _, supplier, review = two_of_three()
    vote = DecideReview(review=review, result=ReviewResult.APPROVE)
    funder = world.member("Funder", Role.FUNDER)
    world.do(vote, by=funder, expect=Status.NOT_THE_REVIEWER, vector="review.decide/not_the_reviewer")
    other = DecideReview(review=NOBODYS, result=ReviewResult.APPROVE)
    world.do(other, by=funder, expect=Status.NOT_FOUND, vector="review.decide/not_found")
    assert world.row(Member, supplier).state is MemberState.APPLIED


def test_a_refusal_gives_its_reason() -> None:
    world, auditors, _, review = two_of_three()
    vote = DecideReview(review=review, result=ReviewResult.REFUSE)
    world.do(vote, by=auditors[0], expect=Status.BAD_VALUE, vector="review.decide/refusal_without_reason")


def test_the_deadline_ends_it_on_time() -> None:
    world, auditors, supplier, review = two_of_three()
    world.now = world.row(Review, review).deadline
    approve(world, supplier, auditors[0])
    world.now = world.now.plus(1)  # no due work has run yet: the check compares its own deadline
    approve(world, supplier, auditors[1], Status.DEADLINE_PASSED, "review.decide/deadline_passed")
    world.wait(0)
    assert world.row(Review, review).state is ReviewState.EXPIRED
    assert world.wait(30 * DAY_MS) == []


def test_a_later_finding_leaves_the_decision() -> None:
    world, auditors, supplier, review = two_of_three()
    note = NoteReview(review=review, code="licence_lapsed", findings=anchor())
    world.do(note, by=auditors[0], expect=Status.NOT_THE_REVIEWER, vector="review.note/not_the_reviewer")
    approve(world, supplier, auditors[0])
    world.do(note, by=auditors[0], expect=Status.WRONG_STATE, vector="review.note/wrong_state")
    approve(world, supplier, auditors[1])
    world.do(note, by=auditors[0], vector="review.note/noted")
    row = world.row(Review, review)
    assert row.state is ReviewState.APPROVED
    assert [(one.reviewer, one.code) for one in row.notes] == [(auditors[0], "licence_lapsed")]
    missing = NoteReview(review=NOBODYS, code="licence_lapsed")
    world.do(missing, by=auditors[0], expect=Status.NOT_FOUND, vector="review.note/not_found")


def test_later_findings_are_bounded() -> None:
    world, auditors, supplier, review = two_of_three()
    approve(world, supplier, auditors[0])
    approve(world, supplier, auditors[1])
    row = world.row(Review, review)
    note = LaterFinding(reviewer=auditors[0], code="seen", at=row.requested)
    world.put(msgspec.structs.replace(row, notes=(note,) * MAX_NOTES))
    world.do(NoteReview(review=review, code="seen"), by=auditors[0], expect=Status.TOO_MANY)
