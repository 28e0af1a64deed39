"""B1 account (开通资源账户): payer or payee asks for an account with its papers; reviewed and passed, it opens."""

import pytest

from tallystick.kernel.accounts.deposits import AnnounceDeposit, BookDeposit
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.accounts.opening import ApplyForAccount
from tallystick.kernel.accounts.records import Account, AccountState, Balance
from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.membership.records import Role
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ChecklistItem, Finding, Review, ReviewResult, ReviewState
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.chain import Chain

PAPERS = (Anchor(hash="a" * 64, kind="business_licence"), Anchor(hash="b" * 64, kind="account_holder"))
CHECKLIST = (ChecklistItem(item="business_licence", finding=Finding.PASSED),)
FINDINGS = Anchor(hash="c" * 64, kind="findings")


class Parties:
    """A payer, a payee and the bank that would keep their accounts."""

    def __init__(self, chain: Chain) -> None:
        self.world = chain
        self.bank = chain.member("Bank", Role.CUSTODIAN)
        self.payer = chain.member("Maker", Role.CLIENT)
        self.payee = chain.member("Supplier", Role.CLIENT)

    def apply(self, who: str) -> Account:
        asked = ApplyForAccount(currency="CNY", custodian=self.bank, papers=PAPERS)
        return self.account(self.world.do(asked, by=who).events[0].record)

    def account(self, account_id: str) -> Account:
        found: Account = self.world.row(Account, account_id)
        return found

    def decide(self, account: Account, result: ReviewResult, reason: str | None = None) -> Review:
        assert account.review is not None
        decision = DecideReview(
            review=account.review, result=result, checklist=CHECKLIST, findings=FINDINGS, reason=reason
        )
        self.world.do(decision, by=self.bank)
        review: Review = self.world.row(Review, account.review)
        return review


@pytest.fixture
def p(chain: Chain) -> Parties:
    return Parties(chain)


@pytest.mark.parametrize("who", ["payer", "payee"])
def test_asked_for_with_papers_reviewed_and_open(p: Parties, who: str) -> None:
    owner: str = getattr(p, who)
    account = p.apply(owner)
    assert (account.state, account.papers) == (AccountState.UNDER_REVIEW, PAPERS)
    review = p.decide(account, ReviewResult.APPROVE)
    assert (review.state, review.decisions[0].checklist) == (ReviewState.APPROVED, CHECKLIST)
    assert review.decisions[0].findings == FINDINGS
    assert p.account(account.id).state is AccountState.OPEN
    assert p.world.told(owner)[-1] == "account.opened"


def test_not_passed_there_is_no_account_and_the_chain_says_why(p: Parties) -> None:
    account = p.apply(p.payer)
    review = p.decide(account, ReviewResult.REFUSE, reason="licence_expired")
    assert (review.state, review.reason) == (ReviewState.REFUSED, "licence_expired")
    assert p.account(account.id).state is AccountState.REFUSED
    announce = AnnounceDeposit(account=account.id, currency="CNY", units=Units(1))
    p.world.do(announce, by=p.payer, expect=Status.WRONG_STATE)


def test_nobody_opens_its_own_account(p: Parties) -> None:
    account = p.apply(p.payer)
    assert account.review is not None
    decision = DecideReview(review=account.review, result=ReviewResult.APPROVE)
    p.world.do(decision, by=p.payer, expect=Status.NOT_THE_REVIEWER)


def test_money_comes_into_open_accounts_and_goes_from_one_to_the_other(p: Parties) -> None:
    payer, payee = p.apply(p.payer), p.apply(p.payee)
    for account in (payer, payee):
        p.decide(account, ReviewResult.APPROVE)
    announced = AnnounceDeposit(account=payer.id, currency="CNY", units=Units(1_000_00))
    code = str(p.world.do(announced, by=p.payer).events[0].facts["code"])
    came = BookDeposit(
        bank_reference="20260302-0001", currency="CNY", units=Units(1_000_00), remitter=p.payer, code=code
    )
    p.world.do(came, by=p.bank)
    paid = TransferFunds(source=payer.id, target=payee.id, currency="CNY", units=Units(300_00), subject="goods")
    p.world.do(paid, by=p.payer)
    balances = {row.id: int(row.units) for row in p.world.state.rows.values() if isinstance(row, Balance)}
    assert balances == {
        payer.ledger_account: 700_00,
        payee.ledger_account: 300_00,
        f"bank/{p.bank}/CNY": 1_000_00,
    }
