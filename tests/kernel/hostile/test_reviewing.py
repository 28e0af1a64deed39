"""Attempts to decide what is another's to decide, and to slip past recusal."""

from tallystick.kernel.accounts.opening import AccountReview
from tallystick.kernel.accounts.records import Account, AccountState
from tallystick.kernel.financing.records import FinancingState
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SucceedMember
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ReviewResult
from tallystick.wire.status import Status
from tests.support.accounts import applied, opening_of
from tests.support.financing import Market, market, signed
from tests.support.receivables import anchor, approval_of, confirmed, issued, trade
from tests.support.world import World


def refusal_by(review: str | None) -> DecideReview:
    assert review is not None
    return DecideReview(review=review, result=ReviewResult.REFUSE, reason="competition")


def test_a_rival_custodian_refuses_anothers_account() -> None:
    world = World()
    client = world.member("Client", Role.CLIENT)
    bank, rival = world.member("Bank", Role.CUSTODIAN), world.member("Rival bank", Role.CUSTODIAN)
    account = applied(world, client, bank)
    review = world.row(Account, account).review
    world.do(
        refusal_by(review),
        by=rival,
        expect=Status.NOT_THE_REVIEWER,
        vector="review.decide/rival_custodian_refuses",
    )
    world.do(opening_of(world, account), by=bank)
    assert world.row(Account, account).state is AccountState.OPEN


def test_a_platform_that_is_a_custodian_too_votes_as_the_platform() -> None:
    world = World(policies=Policies(platform_reviews_accounts=True))
    client = world.member("Client", Role.CLIENT)
    bank = world.member("Bank", Role.CUSTODIAN)
    both = world.member("Platform bank", Role.CUSTODIAN, Role.PLATFORM)
    account = applied(world, client, bank)
    world.do(opening_of(world, account), by=both)
    assert world.row(Account, account).state is AccountState.UNDER_REVIEW
    world.do(opening_of(world, account), by=bank)
    assert world.row(Account, account).state is AccountState.OPEN
    assert AccountReview.reviewer_role is Role.CUSTODIAN


def test_an_auditor_that_owes_refuses_the_financing_of_its_own_debt() -> None:
    m = market()
    debtor = m.world.member("Owing auditor", Role.CLIENT, Role.CORE_ENTERPRISE, Role.AUDITOR)
    receivable = issued(m.world, debtor, m.client, m.whole.length, m.trade.auditor)
    of_auditor = Market(m.trade, m.rival, m.platform, m.arbitrator, m.custodian, receivable)
    financing = signed(of_auditor)
    m.world.do(refusal_by(m.financing(financing).review), by=debtor, expect=Status.MUST_RECUSE)
    assert m.financing(financing).state is FinancingState.UNDER_REVIEW


def test_a_sponsors_successor_reviews_whom_it_sponsored() -> None:
    t = trade()
    world = t.world
    sponsor = world.member("Sponsor", Role.CLIENT)
    sponsored = world.member("Sponsored", Role.CLIENT, sponsor=sponsor)
    heir = world.member("Heir", Role.AUDITOR)
    world.do(SucceedMember(member=sponsor, successor=heir, order=anchor("order")), by=t.auditor)
    receivable = confirmed(world, t.buyer, sponsored, 100)
    world.do(approval_of(world, receivable), by=heir, expect=Status.MUST_RECUSE)


def test_a_sponsor_is_succeeded_while_the_review_is_under_way() -> None:
    t = trade()
    world = t.world
    sponsor = world.member("Sponsor", Role.CLIENT)
    sponsored = world.member("Sponsored", Role.CLIENT, sponsor=sponsor)
    heir = world.member("Heir", Role.AUDITOR)
    receivable = confirmed(world, t.buyer, sponsored, 100)
    world.do(SucceedMember(member=sponsor, successor=heir, order=anchor("order")), by=t.auditor)
    world.do(approval_of(world, receivable), by=heir, expect=Status.MUST_RECUSE)
    assert world.row(Receivable, receivable).valid is None
