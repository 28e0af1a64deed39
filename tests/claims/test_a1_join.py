"""A1 join (加入联盟链): asked, qualification reviewed, result on the chain, permissions scoped to assets."""

from collections.abc import Callable

import pytest

from tallystick.kernel.membership.records import Member, MemberState, Permission, Permitted, Role, SigningKey
from tallystick.kernel.membership.standing import SetPermissions
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ChecklistItem, Finding, Review, ReviewResult, ReviewState
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.accounts import opened
from tests.support.chain import Chain
from tests.support.financing import Market, request_of
from tests.support.members import anchor, application, key_of, public
from tests.support.receivables import Trade, issued, offer_of, span, trade
from tests.support.receivables import request_of as issue_of

QUALIFICATION = anchor("business_licence", "the applicant's licence")
CHECKLIST = (ChecklistItem(item="business_licence", finding=Finding.PASSED),)
FINDINGS = anchor("findings", "what the auditor looked at")
CEILING = 50_000


@pytest.fixture
def t(chain: Chain) -> Trade:
    return trade(chain)


def ask(t: Trade, name: str, asked: tuple[Permission, ...] = ()) -> str:
    """A client asks to join, sponsored by one that is in; both sign. Returns the applicant's id."""
    applied = application(name, roles=(Role.CLIENT,), permissions=asked, papers=(QUALIFICATION,))
    applicant = t.world.do(applied, by=t.supplier, keys=(key_of(name),)).events[0].record
    t.world.keys[applicant], t.world.names[applicant] = key_of(name), name
    return applicant


def review_of(t: Trade, applicant: str) -> Review:
    found: Review = t.world.row(Review, t.world.row(Member, applicant).review)
    return found


def pass_review(t: Trade, applicant: str) -> None:
    review = review_of(t, applicant).id
    passed = DecideReview(review=review, result=ReviewResult.APPROVE, checklist=CHECKLIST, findings=FINDINGS)
    t.world.do(passed, by=t.auditor)


def permission(may: Permitted, ceiling: int = CEILING) -> Permission:
    return Permission(may=may, currency="CNY", ceiling=Units(ceiling))


def grant(t: Trade, client: str, *permissions: Permission) -> None:
    t.world.do(SetPermissions(member=client, permissions=permissions), by=t.auditor)


@pytest.mark.parametrize("name", ["First client", "Second client"])
def test_asked_for_reviewed_and_admitted_with_the_content_and_the_result_on_the_chain(t: Trade, name: str) -> None:
    client = ask(t, name)
    assert t.world.row(Member, client).state is MemberState.APPLIED
    assert t.world.row(Member, client).papers == (QUALIFICATION,)
    assert (review_of(t, client).state, review_of(t, client).subject) == (ReviewState.REQUESTED, client)
    pass_review(t, client)
    decided = review_of(t, client)
    assert decided.state is ReviewState.APPROVED
    decision = decided.decisions[0]
    assert (decision.reviewer, decision.checklist, decision.findings) == (t.auditor, CHECKLIST, FINDINGS)
    assert t.world.row(Member, client).state is MemberState.ADMITTED
    assert t.world.row(SigningKey, public(key_of(name))).member == client
    for party in (client, t.supplier):
        assert t.world.told(party)[-1] == "member.admitted"


@pytest.mark.parametrize("name", ["First client", "Second client"])
def test_the_auditor_grants_issue_transfer_and_finance_each_for_its_assets(t: Trade, name: str) -> None:
    """Without the permission nothing goes; with it, so far as it goes: in its currency, up to its ceiling."""
    world, client = t.world, ask(t, name)
    world.do(issue_of(t.buyer, client, CEILING), by=client, expect=Status.KEY_UNKNOWN)
    pass_review(t, client)
    asset = issued(world, t.buyer, client, 2 * CEILING, t.auditor)
    m = Market(t, rival="", platform="", arbitrator="", custodian="", receivable=asset)
    whole = span(1, 2 * CEILING)
    opened(world, client, world.member("Bank", Role.CUSTODIAN))  # where a financing would be paid to
    steps: dict[Permitted, Callable[[int], object]] = {
        Permitted.ISSUE: lambda units: issue_of(t.buyer, client, units),
        Permitted.TRANSFER: lambda units: offer_of(world, asset, whole, units, t.maker),
        Permitted.FINANCE: lambda units: request_of(m, units),
    }
    granted: list[Permission] = []
    for may, step in steps.items():
        refused = world.do(step(CEILING), by=client, expect=Status.PERMISSION_MISSING)
        assert refused.facts["permission"] == may.value
        granted.append(permission(may))
        grant(t, client, *granted)
        over = world.do(step(CEILING + 1), by=client, expect=Status.OVER_PERMISSION)
        assert (over.facts["permission"], over.facts["ceiling"]) == (may.value, str(CEILING))
    pounds = issue_of(t.buyer, client, CEILING, currency="GBP")
    world.do(pounds, by=client, expect=Status.PERMISSION_MISSING)
    for step in steps.values():
        world.do(step(CEILING), by=client)
    held = [each.permission for each in world.row(Member, client).permissions if each.until is None]
    assert held == granted


def test_what_was_asked_for_is_granted_with_the_review(t: Trade) -> None:
    asked = tuple(permission(may) for may in Permitted)
    client = ask(t, "First client", asked)
    assert t.world.row(Member, client).permissions == ()
    pass_review(t, client)
    assert tuple(each.permission for each in t.world.row(Member, client).permissions) == asked


def test_not_passed_it_is_no_member_and_the_chain_says_why(t: Trade) -> None:
    client = ask(t, "First client", (permission(Permitted.ISSUE),))
    failed = ChecklistItem(item="business_licence", finding=Finding.FAILED, code="expired")
    refusal = DecideReview(
        review=review_of(t, client).id,
        result=ReviewResult.REFUSE,
        checklist=(failed,),
        reason="papers_expired",
        findings=FINDINGS,
    )
    t.world.do(refusal, by=t.auditor)
    decided = review_of(t, client)
    assert (decided.state, decided.reason) == (ReviewState.REFUSED, "papers_expired")
    assert decided.decisions[0].checklist == (failed,)
    assert t.world.row(Member, client).state is MemberState.REFUSED
    assert t.world.told(client)[-1] == "member.refused"
    t.world.do(issue_of(t.buyer, client, 1), by=client, expect=Status.KEY_UNKNOWN)


def test_no_client_reviews_an_application_or_grants_itself_a_permission(t: Trade) -> None:
    client = ask(t, "First client")
    passed = DecideReview(review=review_of(t, client).id, result=ReviewResult.APPROVE)
    for other in (t.supplier, t.buyer, t.funder):
        t.world.do(passed, by=other, expect=Status.NOT_THE_REVIEWER)
    pass_review(t, client)
    mine = SetPermissions(member=client, permissions=(permission(Permitted.ISSUE),))
    for other in (client, t.supplier):
        t.world.do(mine, by=other, expect=Status.ROLE_MISSING)
