"""Reviewed updates of a member's details, and the cooling time of a new bank account."""

import datetime

from tallystick.kernel.membership.details import UpdateMember, WithdrawUpdate
from tallystick.kernel.membership.records import Details, Member, Role, SizeClass
from tallystick.kernel.reviews.records import Review, ReviewState
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.members import anchor, approve, open_review_of, turn_down
from tests.support.world import World

ACCOUNT = anchor("bank_account", "new account")


def chain() -> tuple[World, str, str]:
    world = World()
    return world, world.member("Client", Role.CLIENT), world.member("Auditor", Role.AUDITOR)


def test_an_update_holds_once_it_is_reviewed() -> None:
    world, client, auditor = chain()
    until_on = datetime.date(2027, 3, 31)
    details = Details(legal_name="Client Ltd", size_class=SizeClass.MEDIUM, papers_until_on=until_on)
    world.do(UpdateMember(details=details), by=client, vector="member.update/asked")
    assert world.row(Member, client).legal_name == "Client"
    again = UpdateMember(details=Details(legal_name="Other"))
    world.do(again, by=client, expect=Status.RECORD_EXISTS, vector="member.update/under_review_already")
    approve(world, client, auditor, vector="review.decide/details_updated")
    member = world.row(Member, client)
    assert (member.legal_name, member.size_class, member.papers_until_on) == (
        "Client Ltd",
        SizeClass.MEDIUM,
        until_on,
    )
    assert member.identifier == "Client"
    world.do(again, by=client)


def test_what_cannot_be_asked() -> None:
    world, client, _ = chain()
    world.do(UpdateMember(details=Details()), by=client, expect=Status.BAD_VALUE, vector="member.update/nothing")
    late = UpdateMember(details=Details(papers_until_on=datetime.date(2026, 3, 1)))
    world.do(late, by=client, expect=Status.BAD_DATES, vector="member.update/papers_run_out")


def test_a_refused_or_expired_update_changes_nothing() -> None:
    world, client, auditor = chain()
    update = UpdateMember(details=Details(legal_name="Client Ltd"))
    world.do(update, by=client)
    turn_down(world, client, auditor, vector="review.decide/update_refused")
    world.do(update, by=client)
    world.wait(11 * DAY_MS)
    member = world.row(Member, client)
    assert member.legal_name == "Client"
    assert member.coming_details is None
    assert world.told(client).count("member.update_ended") == 2


def test_a_bank_account_cools_down_with_notice() -> None:
    world, client, auditor = chain()
    world.do(UpdateMember(details=Details(bank_account=ACCOUNT)), by=client)
    approve(world, client, auditor, vector="review.decide/bank_account_cooling")
    assert world.told(client)[-2:] == ["member.updated", "member.bank_account_coming"]
    world.wait(3 * DAY_MS - 1)
    assert world.row(Member, client).bank_account is None
    world.wait(1)
    member = world.row(Member, client)
    assert (member.bank_account, member.coming_bank_account) == (ACCOUNT, None)
    assert world.told(client)[-1] == "member.bank_account_changed"


def test_the_member_stops_a_foreign_bank_account() -> None:
    world, client, auditor = chain()
    world.do(UpdateMember(details=Details(bank_account=ACCOUNT)), by=client)
    approve(world, client, auditor)
    world.do(WithdrawUpdate(), by=client, vector="member.withdraw_update/bank_account")
    world.wait(4 * DAY_MS)
    assert world.row(Member, client).bank_account is None
    world.do(WithdrawUpdate(), by=client, expect=Status.NOT_FOUND, vector="member.withdraw_update/not_found")


def test_an_update_is_withdrawn_with_its_review() -> None:
    world, client, _ = chain()
    world.do(UpdateMember(details=Details(legal_name="Client Ltd")), by=client)
    review = open_review_of(world, client)
    world.do(WithdrawUpdate(), by=client, vector="member.withdraw_update/withdrawn")
    assert world.row(Review, review).state is ReviewState.WITHDRAWN
    assert world.wait(30 * DAY_MS) == []
