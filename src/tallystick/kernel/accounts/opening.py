"""Opening and closing accounts (开通资源账户): the application, the custodian's review, the end at zero."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from tallystick.kernel.accounts import book
from tallystick.kernel.accounts.holds import begin_paying_out
from tallystick.kernel.accounts.records import Account, AccountsOf, AccountState, Balance, OpenAccount
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import AccountId, Anchor, Currency, MemberId, Name
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.currencies import check_currency
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.law.judge import judge_account
from tallystick.kernel.membership.business import on_succeeded
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.rules import check_party, check_role, present_party
from tallystick.kernel.reviews.records import Decision, Review
from tallystick.kernel.reviews.subjects import open_review, register
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

APPLIED = EventKind("account.applied", "{owner} asks {custodian} for account {record} in {currency}.")
OPENED = EventKind("account.opened", "Account {record} in {currency} is open with {custodian}.")
NOT_OPENED = EventKind("account.not_opened", "Account {record} in {currency} is not opened: {reason}.")
PASSED = EventKind("account.passed", "Account {record} passed from {member} to its successor {successor}.")
CLOSED = EventKind("account.closed", "Account {record} in {currency} is closed.")


class ApplyForAccount(Operation, tag="account.apply"):
    """Ask a custodian for an account in one currency; opens its review (资质审核).

    Signed by the owner to be. A member has one account for each currency with a custodian and, besides, one special
    account for each `project` whose workers' wages it pays (工资专用账户). Where the policy says so, a platform must
    approve besides the custodian. Source: DOMAIN section 3, "Review" and "Account", and section 6, "wage accounts".
    """

    currency: Currency
    custodian: MemberId
    papers: Annotated[tuple[Anchor, ...], Meta(min_length=1, max_length=32)]
    project: Name | None = None

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        if self.custodian == step.actor:
            return refuse(Status.SAME_PARTY, organisation=step.actor)
        refusal = (
            check_currency(step, self.currency)
            or check_party(step, self.custodian)
            or check_role(step, self.custodian, Role.CUSTODIAN)
        )
        if refusal is not None:
            return refusal
        for row in step.index_range(f"account_at/{_application_key(step.actor, self)}/"):
            other = step.get(Account, row.rpartition("/")[2])
            if other.project == self.project:
                return refuse(Status.RECORD_EXISTS, account=other.id)
        judged = judge_account(step, step.actor, self.currency)
        return judged if isinstance(judged, Refusal) else None

    def apply(self, step: Step) -> Iterator[Event]:
        account_id = step.new_id("acc")
        also = (Role.PLATFORM,) if policies(step).platform_reviews_accounts else ()
        review, opened = open_review(step, "account", account_id, (step.actor,), also=also)
        step.put(
            Account(
                id=account_id,
                owner=step.actor,
                currency=self.currency,
                custodian=self.custodian,
                state=AccountState.UNDER_REVIEW,
                papers=self.papers,
                review=review.id,
                project=self.project,
            )
        )
        yield APPLIED(
            account_id,
            (step.actor, self.custodian),
            owner=step.actor,
            custodian=self.custodian,
            currency=self.currency,
            review=review.id,
        )
        yield opened


def _application_key(owner: str, asked: ApplyForAccount) -> str:
    return f"{owner}/{asked.currency}/{asked.custodian}"


class AccountReview:
    """Reviews of accounts: the custodian that would keep the account decides, and no other one."""

    reviewer_role = Role.CUSTODIAN

    def check_approval(self, step: Step, review: Review, decision: Decision) -> Refusal | None:
        account = step.get(Account, review.subject)
        judged = judge_account(step, account.owner, account.currency)
        return judged if isinstance(judged, Refusal) else None

    def approved(self, step: Step, review: Review, decision: Decision) -> Iterator[Event]:
        account = step.get(Account, review.subject)
        opened = replace(account, state=AccountState.OPEN, opened_at=step.now)
        if account.project is None:
            book_id = f"{account.owner}/{account.currency}"
            mine = step.find(AccountsOf, book_id) or AccountsOf(id=book_id)
            entry = OpenAccount(custodian=account.custodian, account=account.id)
            step.put(replace(mine, accounts=(*mine.accounts, entry)))
            opened = begin_paying_out(step, opened)
        step.put(
            Balance(
                id=account.ledger_account,
                custodian=account.custodian,
                currency=account.currency,
                owner=account.owner,
                owes=account.project is None and _owes(step, account.owner, account.currency),
            )
        )
        step.put(opened)
        yield OPENED(account.id, _told(account), custodian=account.custodian, currency=account.currency)

    def refused(self, step: Step, review: Review, reason: str) -> Iterator[Event]:
        yield from self._ended(step, review, AccountState.REFUSED, reason)

    def expired(self, step: Step, review: Review) -> Iterator[Event]:
        yield from self._ended(step, review, AccountState.EXPIRED, "expired")

    def _ended(self, step: Step, review: Review, state: AccountState, reason: str) -> Iterator[Event]:
        account = step.get(Account, review.subject)
        step.put(replace(account, state=state))
        yield NOT_OPENED(account.id, _told(account), currency=account.currency, reason=reason)


def _owes(step: Step, member: str, currency: str) -> bool:
    """Whether a receivable of the member fell due and waits for money."""
    return next(iter(step.index_range(f"unpaid/{member}/{currency}/")), None) is not None


def _check_seat(step: Step, review: Review, reviewer: str, role: Role) -> Refusal | None:
    """No other custodian than the one that would keep the account has a say in it."""
    account = step.get(Account, review.subject)
    if role is Role.CUSTODIAN and reviewer != present_party(step, account.custodian):
        return refuse(Status.NOT_THE_REVIEWER, organisation=reviewer, custodian=account.custodian)
    return None


register("account", AccountReview(), _check_seat)


def pass_account(step: Step, record: Record, member: str, successor: str) -> Iterator[Event]:
    """A succession: an account passes with its money. A custodian's books keep its name; its successor signs."""
    if not isinstance(record, Account):
        raise InvariantViolation(f"{record.key} is no account")
    if record.owner != member:
        return
    step.put(replace(record, owner=successor))
    listed = step.find(AccountsOf, f"{member}/{record.currency}")
    entry = next((each for each in listed.accounts if each.account == record.id), None) if listed is not None else None
    if listed is not None and entry is not None:
        step.put(replace(listed, accounts=tuple(each for each in listed.accounts if each is not entry)))
        book_id = f"{successor}/{record.currency}"
        theirs = step.find(AccountsOf, book_id) or AccountsOf(id=book_id)
        step.put(replace(theirs, accounts=(*theirs.accounts, entry)))
        held = step.get(Balance, record.ledger_account)
        passed = replace(held, owner=successor, owes=held.owes or _owes(step, successor, record.currency))
        # To a successor that owes, the money that comes with the account is a funding like any other.
        step.put(book.with_retry(passed, step.now) if passed.owes and passed.units else passed)
    elif record.project is not None and record.state is AccountState.OPEN:
        step.put(replace(step.get(Balance, record.ledger_account), owner=successor))
    yield PASSED(record.id, (member, successor, record.custodian), member=member, successor=successor)


on_succeeded("account", pass_account)


class CloseAccount(Operation, tag="account.close"):
    """Close an account that holds nothing, and into or from which nothing is still to be paid.

    Signed by the owner. A project's special account is not closed before every product that pays wages out of it is.
    """

    while_suspended = True

    account: AccountId

    def authority(self, step: Step) -> Signers | Refusal:
        account = step.find(Account, self.account)
        return refuse(Status.NOT_FOUND, account=self.account) if account is None else Signers.all(account.owner)

    def check(self, step: Step) -> Refusal | None:
        account = step.get(Account, self.account)
        if account.state is not AccountState.OPEN:
            return refuse(Status.WRONG_STATE, account=account.id, state=account.state.value)
        row = step.find(Balance, account.ledger_account)
        if row is not None and (row.units or row.freezes):
            return refuse(Status.ACCOUNT_NOT_EMPTY, account=account.id, units=row.units, freezes=len(row.freezes))
        refusal = None if account.project is None else _check_unneeded(step, account)
        if refusal is not None:
            return refusal
        claim = book.balance(step, book.claim_on(account.custodian, account.currency, account.owner))
        if claim or account.holds_due_at is not None:
            return refuse(Status.ACCOUNT_NOT_EMPTY, account=account.id, claimed=claim)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        account = step.get(Account, self.account)
        step.put(replace(account, state=AccountState.CLOSED))
        if account.project is None:
            mine = step.get(AccountsOf, f"{account.owner}/{account.currency}")
            step.put(replace(mine, accounts=tuple(each for each in mine.accounts if each.account != account.id)))
        row = step.find(Balance, account.ledger_account)
        if row is not None:
            step.delete(row)
        yield CLOSED(account.id, _told(account), currency=account.currency)


def _check_unneeded(step: Step, account: Account) -> Refusal | None:
    """still_live while a product pays wages out of the special account; it closes after its notice has run."""
    for row in step.index_range(f"special_account/{account.id}/"):
        return refuse(Status.STILL_LIVE, account=account.id, product=row.rpartition("/")[2])
    return None


def _told(account: Account) -> tuple[str, ...]:
    return account.owner, account.custodian
