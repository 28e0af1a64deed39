"""Money on any path: deposits, suspense, reversals, freezes, orders, payments, earmarks, holds, financing settlements.

Whatever the steps, postings balance, no balance is negative, what is at the bank is what is owed to members, and a
financing moves cash and parcel together. The auditor says so after every step; this machine only makes the steps.
"""

import datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tallystick.kernel.accounts.deposits import AnnounceDeposit, AssignDeposit, BookDeposit, Deposit, DepositState
from tallystick.kernel.accounts.freezes import DeductByOrder, FreezeAccount, UnfreezeAccount
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.accounts.records import Account, AccountState, Balance
from tallystick.kernel.accounts.reversing import ReturnDeposit, ReverseDeposit
from tallystick.kernel.arithmetic import DayCount, price_of
from tallystick.kernel.financing.award import AwardFinancing
from tallystick.kernel.financing.contract import SignFinancingContract
from tallystick.kernel.financing.quotes import EvaluateFinancing, QuoteFinancing
from tallystick.kernel.financing.records import Financing, FinancingState, QuoteTerms, Settlement
from tallystick.kernel.financing.request import RequestFinancing
from tallystick.kernel.financing.settlement import SettleFinancing
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.redemption.redeem import Earmark, Redeem
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import DAY_MS, HOUR_MS
from tests.properties.small_town import SmallTown
from tests.simulation.founding import paper

MANY = st.integers(0, 10**6)
OWNERS = ("debtor", "first", "second", "funder")
AMOUNTS = st.integers(1, 1_000)


class MoneyMachine(RuleBasedStateMachine):
    """Accounts of four members with two custodians, and a receivable or two to pay."""

    @initialize(face=st.integers(100, 500), holder_has_account=st.booleans())
    def found(self, face: int, holder_has_account: bool) -> None:
        self.town = SmallTown()
        self.owner_of: dict[str, str] = {}
        for name in ("debtor", "funder"):
            account = self.town.open_account(name)
            self.owner_of[account] = name
            self.town.deposit(account, 700, name)
        if holder_has_account:
            self.town.open_account("first")
        self.town.issue(face, "first")

    def accounts(self, owner: str = "") -> list[Account]:
        named = self.town.named.get(owner, "")
        rows: list[Account] = self.town.rows(Account)
        return [row for row in rows if row.state is AccountState.OPEN and named in ("", row.owner)]

    def account(self, number: int, owner: str = "") -> Account | None:
        rows = self.accounts(owner)
        return rows[number % len(rows)] if rows else None

    def balance(self, account: Account) -> int:
        row = self.town.find(Balance, account.ledger_account)
        return 0 if row is None else int(row.units)

    @rule(owner=st.sampled_from(OWNERS), bank=st.sampled_from(("bank", "bank", "other_bank")))
    def open(self, owner: str, bank: str) -> None:
        account = self.town.open_account(owner, bank)
        if account:
            self.owner_of[account] = owner

    @rule(number=MANY)
    def close(self, number: int) -> None:
        row = self.account(number)
        if row is not None:
            self.town.do(CloseAccount(account=row.id), by=row.owner)

    @rule(number=MANY, units=AMOUNTS)
    def announce(self, number: int, units: int) -> None:
        row = self.account(number)
        if row is not None:
            announced = AnnounceDeposit(account=row.id, currency="GBP", units=Units(units))
            self.town.do(announced, by=row.owner)

    @rule(number=MANY, units=AMOUNTS, how=st.sampled_from(("account", "code", "stranger", "nobody")))
    def book(self, number: int, units: int, how: str) -> None:
        row = self.account(number)
        if row is None:
            return
        fields: dict[str, Any] = {"remitter": row.owner, "account": row.id}
        announced = [one for one in self.town.rows(Deposit) if one.announced is not None]
        match how:
            case "code" if announced:
                known = announced[number % len(announced)]
                fields = {"remitter": known.payer, "code": known.code}
            case "stranger":
                fields["remitter"] = self.town.named["third"]
            case "nobody":
                fields = {}
            case _:
                pass
        booked = BookDeposit(bank_reference=f"B{self.town.height // 2}", currency="GBP", units=Units(units), **fields)
        self.town.do(booked, by=row.custodian)

    def deposits(self, *states: DepositState) -> list[Deposit]:
        return [row for row in self.town.rows(Deposit) if row.state in states]

    @precondition(lambda self: self.deposits(DepositState.IN_SUSPENSE, DepositState.BOOKED))
    @rule(number=MANY, how=st.sampled_from(("assign", "return", "reverse")))
    def correct(self, number: int, how: str) -> None:
        rows = self.deposits(DepositState.IN_SUSPENSE, DepositState.BOOKED)
        row = rows[number % len(rows)]
        fields: dict[str, Any] = {"deposit": row.id, "currency": row.currency, "units": row.units}
        account = self.account(number)
        match how:
            case "assign" if account is not None:
                self.town.do(AssignDeposit(account=account.id, **fields), by=row.custodian, also=(account.owner,))
            case "return":
                self.town.do(ReturnDeposit(bank_reference=f"C{self.town.height}", **fields), by=row.custodian)
            case _:
                self.town.do(ReverseDeposit(bank_reference=f"C{self.town.height}", **fields), by=row.custodian)

    @rule(number=MANY, units=AMOUNTS, lifts=st.booleans())
    def freeze(self, number: int, units: int, lifts: bool) -> None:
        row = self.account(number)
        if row is None:
            return
        held: Any = self.town.find(Balance, row.ledger_account)
        if lifts and held is not None and held.freezes:
            lifted = UnfreezeAccount(account=row.id, freeze=held.freezes[0].id, authority_order=paper("order"))
            self.town.do(lifted, by=row.custodian)
            return
        until = datetime.datetime.fromtimestamp(int(self.town.now) / 1000, datetime.UTC).date()
        frozen = FreezeAccount(
            account=row.id,
            currency="GBP",
            units=Units(units),
            authority_order=paper("order"),
            until_on=until + datetime.timedelta(days=units % 9 + 1) if units % 2 else None,
        )
        self.town.do(frozen, by=row.custodian)

    @rule(number=MANY, units=AMOUNTS, executes=st.booleans())
    def deduct(self, number: int, units: int, executes: bool) -> None:
        row = self.account(number)
        if row is None:
            return
        held: Any = self.town.find(Balance, row.ledger_account)
        freeze = held.freezes[-1].id if executes and held is not None and held.freezes else None
        deducted = DeductByOrder(
            account=row.id,
            currency="GBP",
            units=Units(units),
            authority_order=paper("order"),
            bank_reference=f"D{self.town.height}",
            freeze=freeze,
        )
        self.town.do(deducted, by=row.custodian)

    @rule(number=MANY, other=MANY, units=AMOUNTS)
    def pay(self, number: int, other: int, units: int) -> None:
        source, target = self.account(number), self.account(other)
        if source is not None and target is not None:
            paid = TransferFunds(
                source=source.id, target=target.id, currency="GBP", units=Units(units), subject="goods"
            )
            self.town.do(paid, by=source.owner)

    def owed(self) -> list[Receivable]:
        return [row for row in self.town.rows(Receivable) if row.is_owed]

    @rule(face=st.integers(1, 300), creditor=st.sampled_from(("first", "second", "third")), days=st.integers(5, 40))
    def issue(self, face: int, creditor: str, days: int) -> None:
        self.town.issue(face, creditor, days)

    @precondition(lambda self: self.owed())
    @rule(number=MANY, units=st.integers(0, 500))
    def earmark(self, number: int, units: int) -> None:
        rows = self.owed()
        row = rows[number % len(rows)]
        account = self.account(number, "debtor")
        if account is not None:
            aside = min(units, int(row.outstanding))
            self.town.do(
                Earmark(receivable=row.id, account=account.id, currency="GBP", units=Units(aside)), by="debtor"
            )

    @precondition(lambda self: self.owed())
    @rule(number=MANY, units=st.integers(1, 500))
    def redeem(self, number: int, units: int) -> None:
        rows = self.owed()
        row = rows[number % len(rows)]
        paid = Units(min(units, int(row.outstanding)))
        self.town.do(Redeem(receivable=row.id, currency="GBP", units=paid), by="debtor")

    @precondition(lambda self: self.owed())
    @rule(number=MANY, units=st.integers(1, 300), rate=st.integers(1, 60), sign=st.booleans(), signs=st.integers(0, 9))
    def finance(self, number: int, units: int, rate: int, sign: bool, signs: int) -> None:
        """A financing up to the signed and approved contract, if nothing stands in its way; settled by another rule."""
        rows = self.owed()
        row = rows[number % len(rows)]
        if not row.parcels:
            return
        parcel = row.parcels[number % len(row.parcels)]
        asked = RequestFinancing(
            receivable=row.id,
            parcel=parcel.interval,
            currency="GBP",
            units=Units(min(units, int(parcel.interval.length))),
            settlement=Settlement.LEDGER,
            closes_at=self.town.now.plus(HOUR_MS),
        )
        made = self.town.do(asked, by=parcel.holder)
        if made.label != "ok":
            return
        name = str(made.events[0]["record"])
        fields: dict[str, Any] = {"financing": name, "currency": "GBP", "units": asked.units}
        assessment = paper("assessment")
        self.town.do(EvaluateFinancing(financing=name, accepts=True, assessment=assessment), by="funder")
        terms = QuoteTerms(
            rate=Rate(rate * 1_000_000),
            day_count=DayCount.ACT_365F,
            fee_rate=Rate(0),
            with_recourse=rate % 2 == 0,
            minimum_fee=Units(rate % 3),
            valid_until=self.town.now.plus(5 * DAY_MS),
        )
        quoted = self.town.do(QuoteFinancing(terms=terms, **fields), by="funder")
        self.town.pass_time(HOUR_MS)
        if quoted.label != "ok":
            return
        quote = str(quoted.events[0]["facts"]["quote"])
        self.town.do(AwardFinancing(quote=quote, **fields), by=parcel.holder)
        document = paper("contract")
        self.town.do(SignFinancingContract(document=document, **fields), by=parcel.holder)
        self.town.do(SignFinancingContract(document=document, handling=paper("handling"), **fields), by="funder")
        signed: Financing = self.town.find(Financing, name)
        if signed.review is not None and sign and signs:
            self.town.approve(signed.review, "auditor")
            if signs > 4:
                self.settle(-1, wrong=1)

    def approved(self) -> list[Financing]:
        return [row for row in self.town.rows(Financing) if row.state is FinancingState.APPROVED]

    @precondition(lambda self: self.approved())
    @rule(number=MANY, wrong=st.integers(0, 9))
    def settle(self, number: int, wrong: int) -> None:
        rows = self.approved()
        row = rows[number % len(rows)]
        terms = row.quotes[0].terms
        assert terms is not None
        today = datetime.datetime.fromtimestamp(int(self.town.now) / 1000 + 8 * 3600, datetime.UTC).date()
        price = price_of(row.face, terms, today, row.discount_until_on)
        net = price.net if price is not None else Units(1)
        self.town.do(SettleFinancing(financing=row.id, currency="GBP", net=net + (1 if wrong == 0 else 0)), by="funder")

    @rule(kind=st.sampled_from(("hours", "days", "due", "due")), count=st.integers(1, 12))
    def wait(self, kind: str, count: int) -> None:
        due = self.town.next_due()
        if kind == "due" and due is not None:
            self.town.pass_time(int(due) - int(self.town.now))
        else:
            self.town.pass_time(count * (DAY_MS if kind == "days" else HOUR_MS))

    def teardown(self) -> None:
        """At the end every financing and announcement has ended by itself, and the books still balance."""
        if not hasattr(self, "town"):
            return
        for _ in range(4):
            self.town.pass_time(40 * DAY_MS)
        assert not self.deposits(DepositState.ANNOUNCED)
        assert not any(row.is_live for row in self.town.rows(Financing))


MoneyMachine.TestCase.settings = settings(max_examples=settings().max_examples // 2, stateful_step_count=30)
TestMoney = MoneyMachine.TestCase
