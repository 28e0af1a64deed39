"""Permissions, suspension, leaving, succession and insolvency, as far as they are membership's own."""

import datetime

import msgspec

from tallystick.kernel.documents.anchors import AnchorDocument
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership import business
from tallystick.kernel.membership.admission import EndorseRoles
from tallystick.kernel.membership.business import BATCH, Cause, Walk
from tallystick.kernel.membership.details import UpdateMember, WithdrawUpdate
from tallystick.kernel.membership.keys import AddKey
from tallystick.kernel.membership.limits import DebtorCredit, Limit
from tallystick.kernel.membership.records import (
    Details,
    KeyRole,
    Member,
    MemberState,
    Permission,
    Permitted,
    Role,
    StateEntry,
)
from tallystick.kernel.membership.standing import (
    DeclareInsolvent,
    LeaveChain,
    ReinstateMember,
    SetPermissions,
    SucceedMember,
    SuspendMember,
)
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import Panel, Review, ReviewResult, ReviewState
from tallystick.wire.amounts import MAX_UNITS, Units
from tallystick.wire.ids import record_id
from tallystick.wire.status import Status
from tests.support.members import anchor, application, apply_as, approve, key_of, open_review_of, public
from tests.support.world import CHAIN_ID, GENESIS, World

NOBODY = "mbr_" + "0" * 16
RECEIVE = Permission(may=Permitted.RECEIVE, currency="CNY", ceiling=Units(500))


def chain() -> tuple[World, str, str]:
    """A client and an auditor, of whom there is one more."""
    world = World()
    client = world.member("Client", Role.CLIENT)
    auditor = world.member("Auditor", Role.AUDITOR)
    world.member("Second auditor", Role.AUDITOR)
    return world, client, auditor


def test_permissions_are_replaced_and_their_history_is_kept() -> None:
    world, client, auditor = chain()
    change = SetPermissions(member=client, permissions=(RECEIVE,), roles=(Role.CLIENT, Role.CORE_ENTERPRISE))
    world.do(change, by=auditor, vector="member.set_permissions/replaced")
    member = world.row(Member, client)
    live = [grant.permission for grant in member.permissions if grant.until is None]
    assert live == [RECEIVE]
    assert len(member.permissions) == 9
    assert all(grant.until.height == 1 for grant in member.permissions[:8])
    assert member.has_role(Role.CORE_ENTERPRISE)
    world.do(SetPermissions(member=client, permissions=(RECEIVE,)), by=auditor)
    assert world.row(Member, client).has_role(Role.CLIENT)
    assert len(world.row(Member, client).permissions) == 9


def test_what_an_auditor_cannot_set() -> None:
    world, client, auditor = chain()
    governor = world.member("Governor", Role.GOVERNOR)
    cases = [
        (SetPermissions(member=NOBODY, permissions=()), Status.NOT_FOUND, "not_found"),
        (SetPermissions(member=auditor, permissions=()), Status.MUST_RECUSE, "must_recuse"),
        (SetPermissions(member=client, permissions=(RECEIVE, RECEIVE)), Status.BAD_VALUE, "named_twice"),
        (
            SetPermissions(member=client, permissions=(), roles=(Role.AUDITOR,)),
            Status.NOT_ENDORSED,
            "not_endorsed",
        ),
        (SetPermissions(member=governor, permissions=(), roles=()), Status.STILL_NEEDED, "still_needed"),
        (
            SetPermissions(member=client, permissions=(), roles=(Role.CLIENT, Role.CLIENT)),
            Status.BAD_VALUE,
            "role_twice",
        ),
    ]
    for operation, status, case in cases:
        world.do(operation, by=auditor, expect=status, vector=f"member.set_permissions/{case}")
    operation = SetPermissions(member=client, permissions=())
    world.do(operation, by=client, expect=Status.ROLE_MISSING, vector="member.set_permissions/role_missing")
    world.do(EndorseRoles(member=client, roles=(Role.AUDITOR,)), by=governor)
    world.do(SetPermissions(member=client, permissions=(), roles=(Role.AUDITOR,)), by=auditor)
    assert world.row(Member, client).has_role(Role.AUDITOR)


def test_a_suspended_member_starts_nothing_and_returns() -> None:
    world, client, auditor = chain()
    world.do(SuspendMember(member=client, reason="fraud_suspected"), by=auditor, vector="member.suspend/suspended")
    assert world.told(client) == ["member.suspended"]
    paper = AnchorDocument(anchor=anchor())
    world.do(paper, by=client, expect=Status.SUSPENDED, vector="document.anchor/suspended")
    # What keeps its keys safe stays possible.
    world.do(AddKey(key=public(key_of("New")), role=KeyRole.MAKER), by=client, keys=(key_of("New"),))
    again = SuspendMember(member=client, reason="fraud_suspected")
    world.do(again, by=auditor, expect=Status.WRONG_STATE, vector="member.suspend/wrong_state")
    world.do(ReinstateMember(member=client), by=auditor, vector="member.reinstate/reinstated")
    world.do(paper, by=client)
    states = [entry.state for entry in world.row(Member, client).states]
    assert states == [MemberState.ADMITTED, MemberState.SUSPENDED, MemberState.ADMITTED]


def test_who_cannot_be_suspended_or_reinstated() -> None:
    world, client, auditor = chain()
    governor = world.member("Governor", Role.GOVERNOR)
    for member, status, case in (
        (NOBODY, Status.NOT_FOUND, "not_found"),
        (auditor, Status.MUST_RECUSE, "must_recuse"),
        (governor, Status.STILL_NEEDED, "still_needed"),
    ):
        world.do(SuspendMember(member=member, reason="x"), by=auditor, expect=status, vector=f"member.suspend/{case}")
    suspend = SuspendMember(member=governor, reason="x")
    world.do(suspend, by=client, expect=Status.ROLE_MISSING, vector="member.suspend/role_missing")
    reinstate = ReinstateMember(member=client)
    world.do(reinstate, by=auditor, expect=Status.WRONG_STATE, vector="member.reinstate/wrong_state")


def test_reviews_under_way_are_refused_with_the_suspension() -> None:
    world, client, auditor = chain()
    world.do(UpdateMember(details=Details(legal_name="Client Ltd")), by=client)
    review = open_review_of(world, client)
    world.do(SuspendMember(member=client, reason="fraud_suspected"), by=auditor, vector="member.suspend/under_review")
    row = world.row(Review, review)
    assert (row.state, row.reason) == (ReviewState.REFUSED, "party_suspended")
    assert world.row(Member, client).coming_details is None
    assert world.row(Member, client).legal_name == "Client"


def reviews_of(world: World, member: str, count: int) -> list[str]:
    """So many open reviews of a member's details, set straight into the state."""
    rows = [
        Review(
            id=record_id("rev", CHAIN_ID, member, "scene", number),
            subject_kind="member_update",
            subject=member,
            parties=(member,),
            panels=(Panel(role=Role.AUDITOR),),
            state=ReviewState.REQUESTED,
            requested=GENESIS,
            deadline=world.now.plus(10**9),
        )
        for number in range(count)
    ]
    world.put(*rows)
    return [row.id for row in rows]


def test_a_long_suspension_goes_in_batches() -> None:
    world, client, auditor = chain()
    reviews = reviews_of(world, client, 2 * BATCH + 1)
    world.do(SuspendMember(member=client, reason="fraud_suspected"), by=auditor)

    def refused() -> int:
        return sum(1 for review in reviews if world.row(Review, review).state is ReviewState.REFUSED)

    assert refused() == BATCH
    world.wait(1)
    assert refused() == 2 * BATCH
    world.wait(1)
    assert refused() == 2 * BATCH + 1
    assert f"walk/{client}.suspended" not in world.state.rows


def test_a_walk_past_what_stays_live_ends() -> None:
    world, client, auditor = chain()
    reviews_of(world, client, 2 * BATCH + 1)
    world.do(DeclareInsolvent(member=client, order=anchor("court_order")), by=auditor)
    for _ in range(2):
        assert f"walk/{client}.insolvent" in world.state.rows
        world.wait(1)
    assert f"walk/{client}.insolvent" not in world.state.rows


def test_a_reinstatement_stops_the_walk() -> None:
    world, client, auditor = chain()
    reviews = reviews_of(world, client, BATCH + 5)
    world.do(SuspendMember(member=client, reason="fraud_suspected"), by=auditor)
    assert isinstance(world.state.rows[f"walk/{client}.suspended"], Walk)
    world.do(ReinstateMember(member=client), by=auditor, vector="member.reinstate/walk_stopped")
    world.wait(1)
    assert sum(1 for review in reviews if world.row(Review, review).state is ReviewState.REQUESTED) == 5


def test_nobody_approves_for_a_suspended_party() -> None:
    world, client, auditor = chain()
    world.do(UpdateMember(details=Details(legal_name="Client Ltd")), by=client)
    member = world.row(Member, client)
    suspended = StateEntry(state=MemberState.SUSPENDED, since=GENESIS)
    world.put(msgspec.structs.replace(member, states=(suspended,)))
    vote = DecideReview(review=member.review, result=ReviewResult.APPROVE)
    world.do(vote, by=auditor, expect=Status.PARTY_SUSPENDED, vector="review.decide/party_suspended")


def test_leaving_waits_for_what_is_live() -> None:
    world, client, auditor = chain()
    world.do(UpdateMember(details=Details(legal_name="Client Ltd")), by=client)
    world.do(LeaveChain(), by=client, expect=Status.STILL_LIVE, vector="member.leave/still_live")
    world.do(WithdrawUpdate(), by=client)
    world.do(LeaveChain(), by=client, vector="member.leave/left")
    member = world.row(Member, client)
    assert member.state is MemberState.LEFT
    assert not member.has_role(Role.CLIENT)
    sponsor = application("Workshop")
    world.do(
        sponsor, by=client, keys=(key_of("Workshop"),), expect=Status.NOT_A_MEMBER, vector="member.apply/not_a_member"
    )
    world.do(ReinstateMember(member=client), by=auditor, expect=Status.WRONG_STATE)


def test_the_last_governor_does_not_leave() -> None:
    world, _, _ = chain()
    governor = world.member("Governor", Role.GOVERNOR)
    world.do(LeaveChain(), by=governor, expect=Status.STILL_NEEDED, vector="member.leave/still_needed")
    world.member("Second governor", Role.GOVERNOR)
    world.do(LeaveChain(), by=governor)


def test_a_suspended_member_does_not_leave() -> None:
    world, client, auditor = chain()
    world.do(SuspendMember(member=client, reason="fraud_suspected"), by=auditor)
    world.do(LeaveChain(), by=client, expect=Status.SUSPENDED, vector="member.leave/suspended")


def test_a_successor_takes_over_what_is_live() -> None:
    world, client, auditor = chain()
    successor = world.member("Successor", Role.CLIENT)
    limit = Limit(units=Units(10), until_on=datetime.date(2026, 12, 31))
    world.put(
        DebtorCredit(id=f"{client}.CNY", outstanding=Units(700)),
        DebtorCredit(id=f"{successor}.CNY", outstanding=Units(40), limit=limit),
    )
    sponsored = apply_as(world, "Workshop", client)
    world.do(UpdateMember(details=Details(legal_name="Client Ltd")), by=client)
    update = world.row(Member, client).review
    order = anchor("court_order")
    world.do(
        SucceedMember(member=client, successor=successor, order=order), by=auditor, vector="member.succeed/succeeded"
    )
    member = world.row(Member, client)
    assert (member.state, member.successor) == (MemberState.SUCCEEDED, successor)
    assert world.row(Review, update).state is ReviewState.WITHDRAWN
    assert world.row(DebtorCredit, f"{successor}.CNY").outstanding == 740
    assert world.row(DebtorCredit, f"{successor}.CNY").limit == limit
    assert list(world.state.index_range(f"live/{client}/", f"live/{client}0")) == []
    approve(world, sponsored, auditor)
    world.do(LeaveChain(), by=client, expect=Status.NOT_A_MEMBER, vector="member.leave/not_a_member")


def test_a_succession_renames_the_member_in_other_reviews() -> None:
    world, client, auditor = chain()
    other, successor = world.member("Other", Role.CLIENT), world.member("Successor", Role.CLIENT)
    review = reviews_of(world, other, 1)[0]
    world.put(msgspec.structs.replace(world.row(Review, review), parties=(other, client)))
    world.do(SucceedMember(member=client, successor=successor, order=anchor("court_order")), by=auditor)
    assert world.row(Review, review).parties == (other, successor)
    assert "member.succeeded_in" in world.told(successor)


def test_who_cannot_succeed() -> None:
    world, client, auditor = chain()
    order = anchor("court_order")
    for member, successor, status, case in (
        (client, client, Status.SAME_PARTY, "same_party"),
        (NOBODY, client, Status.NOT_FOUND, "not_found"),
        (client, NOBODY, Status.NOT_FOUND, "successor_not_found"),
        (client, auditor, Status.MUST_RECUSE, "must_recuse"),
    ):
        operation = SucceedMember(member=member, successor=successor, order=order)
        world.do(operation, by=auditor, expect=status, vector=f"member.succeed/{case}")
    other = world.member("Other", Role.CLIENT)
    world.do(SuspendMember(member=other, reason="x"), by=auditor)
    operation = SucceedMember(member=client, successor=other, order=order)
    world.do(operation, by=auditor, expect=Status.WRONG_STATE, vector="member.succeed/wrong_state")
    governor = world.member("Governor", Role.GOVERNOR)
    operation = SucceedMember(member=governor, successor=client, order=order)
    world.do(operation, by=auditor, expect=Status.STILL_NEEDED, vector="member.succeed/still_needed")
    world.do(operation, by=client, expect=Status.ROLE_MISSING, vector="member.succeed/role_missing")


def test_nobody_succeeds_to_more_debt_than_an_amount_can_say() -> None:
    world, client, auditor = chain()
    heir = world.member("Heir", Role.CLIENT)
    for name in (client, heir):
        world.put(DebtorCredit(id=f"{name}.CNY", outstanding=Units(MAX_UNITS // 2 + 1)))
    operation = SucceedMember(member=client, successor=heir, order=anchor("court_order"))
    world.do(operation, by=auditor, expect=Status.AMOUNT_OVERFLOW, vector="member.succeed/amount_overflow")


def test_insolvency_is_found_once() -> None:
    world, client, auditor = chain()
    finding = DeclareInsolvent(member=client, order=anchor("court_order"))
    world.do(finding, by=client, expect=Status.ROLE_MISSING, vector="member.insolvent/role_missing")
    world.do(finding, by=auditor, vector="member.insolvent/insolvent")
    assert world.row(Member, client).insolvent_since.height == 1 + 1
    world.do(finding, by=auditor, expect=Status.WRONG_STATE, vector="member.insolvent/wrong_state")
    itself = DeclareInsolvent(member=auditor, order=anchor("court_order"))
    world.do(itself, by=auditor, expect=Status.MUST_RECUSE, vector="member.insolvent/must_recuse")
    nobody = DeclareInsolvent(member=NOBODY, order=anchor("court_order"))
    world.do(nobody, by=auditor, expect=Status.NOT_FOUND, vector="member.insolvent/not_found")


def test_each_cause_has_its_handlers() -> None:
    assert {cause.value for cause in Cause} == {"suspended", "succeeded", "insolvent"}
    assert "review" in business.SUSPENSIONS
    assert "review" in business.SUCCESSIONS


def test_quorums_by_policy_keep_auditors() -> None:
    world = World(policies=Policies(auditors_needed=2))
    auditors = [world.member(f"Auditor {number}", Role.AUDITOR) for number in (1, 2)]
    suspend = SuspendMember(member=auditors[1], reason="x")
    world.do(suspend, by=auditors[0], expect=Status.STILL_NEEDED)
