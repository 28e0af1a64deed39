"""The rows of money: a member's `Account`, where to find it, and one `Balance` per ledger account."""

from enum import Enum

from tallystick.kernel.core.fields import AccountId, Anchor, Currency, FreezeId, MemberId, Name, ReviewId, Struct
from tallystick.kernel.core.record import Queue, Record
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.instants import Instant


class AccountState(Enum):
    """under_review -> open | refused | expired; open -> closed."""

    UNDER_REVIEW = "under_review"
    OPEN = "open"
    REFUSED = "refused"
    EXPIRED = "expired"
    CLOSED = "closed"


class Account(Record):
    """A member's account in one currency at one custodian (资源账户). Its money stands in `available/<id>`.

    One with a `project` is the special account of that project's wages (工资专用账户): nothing but plans for wages is
    paid out of it, so it is never chosen where an account is looked for by owner alone (`AccountsOf`).
    """

    table = "account"

    owner: MemberId
    currency: Currency
    custodian: MemberId
    state: AccountState
    opened_at: Instant | None = None
    papers: tuple[Anchor, ...] = ()
    review: ReviewId | None = None
    holds_due_at: Instant | None = None  # money held for the owner is paid out then
    project: Name | None = None

    @property
    def ledger_account(self) -> str:
        """The ledger account that its free and frozen money stands in."""
        return f"available/{self.id}"

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        return () if self.holds_due_at is None else ((Queue.UNLOCK, self.holds_due_at),)

    def live_for(self) -> tuple[str, ...]:
        live = self.state in (AccountState.UNDER_REVIEW, AccountState.OPEN)
        return (self.owner, self.custodian) if live else ()

    def labels(self) -> tuple[str, ...]:
        if self.state in (AccountState.UNDER_REVIEW, AccountState.OPEN):
            return (f"account_at/{self.owner}/{self.currency}/{self.custodian}",)
        return ()


class OpenAccount(Struct):
    """One open account of a member, and who keeps it."""

    custodian: MemberId
    account: AccountId


class AccountsOf(Record):
    """A member's open accounts in one currency, in the order of opening, without those for wages alone.

    Its id is `<member>/<currency>`.
    """

    table = "accounts_of"

    accounts: tuple[OpenAccount, ...] = ()


class AccountFreeze(Struct):
    """An authority's freeze of an amount: it bars debits only, and covers money that comes later."""

    id: FreezeId
    authority: Anchor
    units: Units
    until: Instant | None = None


class Balance(Record):
    """What stands in one ledger account, in minor units. Its id is the ledger account's name.

    `available/<account>` is an account's money. Every other name goes on with custodian and currency: `bank/..` and
    `claim/../<member>` are assets; `suspense/..`, `earmark/../<receivable>`, `hold/../<purpose>[/<member>]`,
    `escrow/../<plan>`, `transit/../<plan>/<tranche>` and `fees/../<platform>` are liabilities. `bank/..` also knows the
    sum of the claims.
    """

    table = "balance"

    custodian: MemberId
    currency: Currency
    units: Units = ZERO
    owner: MemberId | None = None
    freezes: tuple[AccountFreeze, ...] = ()
    owes: bool = False  # a receivable of the owner fell due and waits for money
    retry_at: Instant | None = None  # money came while it owes: its receivables are tried again
    retry_after: str = ""  # how far the present round of tries has come
    claimed: Units = ZERO  # of a bank mirror: what members owe the custodian after reversals, in all

    def frozen_at(self, now: Instant) -> Units:
        """How much of it, at most, freezes bar from debits at `now`."""
        asked = sum(freeze.units for freeze in self.freezes if freeze.until is None or now <= freeze.until)
        return Units(min(int(self.units), asked))

    def free_at(self, now: Instant) -> Units:
        """How much of it may be debited at `now`."""
        return self.units - self.frozen_at(now) if self.freezes else self.units

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        ends = tuple(freeze.until.plus(1) for freeze in self.freezes if freeze.until is not None)
        unlock = ((Queue.UNLOCK, min(ends)),) if ends else ()
        return unlock if self.retry_at is None else (*unlock, (Queue.PAY, self.retry_at))

    def live_for(self) -> tuple[str, ...]:
        return (self.owner,) if self.owner is not None and self.units else ()

    def labels(self) -> tuple[str, ...]:
        """A hold for a member without a usable account is found when one opens."""
        if self.units and self.owner is not None and self.id.startswith("hold/"):
            return (f"held_for/{self.owner}/{self.currency}/{self.custodian}",)
        return ()
