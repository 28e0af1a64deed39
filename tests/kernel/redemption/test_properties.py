"""Money and parcels under any order of steps: what must never happen, searched (DESIGN section 9, 1 to 3).

Steps are drawn blindly, so most are refused; a refusal changes nothing (`World.submit` looks). After each step books
balance, no balance is negative, live parcels partition the face, and each unit was redeemed for one minor unit, once.
"""

import datetime
from itertools import pairwise

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tallystick.kernel.accounts.freezes import FreezeAccount, UnfreezeAccount
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.accounts.records import Balance
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.governance.policies import Shortfall
from tallystick.kernel.receivables.freezes import FreezeParcel, UnfreezeParcel
from tallystick.kernel.receivables.records import OWED_STATES
from tallystick.kernel.recourse.claims import ClaimRecourse, PayRecourse, RefuseRecourse, WriteOff
from tallystick.kernel.recourse.records import Recourse, RecourseState
from tallystick.kernel.redemption.bank import ConfirmPayment, PaymentAnswer
from tallystick.kernel.redemption.redeem import SetOff
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.accounts import applied, booking, check_books, opening_of
from tests.support.receivables import (
    acceptance_of,
    anchor,
    holdings,
    offer_of,
    passing_of,
    span,
)
from tests.support.redemption import Debt, debt

PAYING = ("ledger", "bank", "set_off")
ORDER = anchor("court_order")
amounts = st.integers(0, 1_100)
unit = st.integers(1, 1_000)


class Redemptions(RuleBasedStateMachine):
    """One debtor, a receivable in several hands, one bank; whatever comes, in whatever order."""

    d: Debt

    @initialize(pro_rata=st.booleans(), recourse=st.booleans(), maker_has_account=st.booleans())
    def begin(self, pro_rata: bool, recourse: bool, maker_has_account: bool) -> None:
        shortfall = Shortfall.PRO_RATA if pro_rata else Shortfall.NONE
        accounts = ("supplier", "maker") if maker_has_account else ("supplier",)
        self.d = debt(accounts=accounts, recourse=recourse, shortfall=shortfall, redemption_receipt_days=4)

    def attempt(self, operation: Operation, by: str) -> Status:
        result = self.d.world.submit(self.d.world.sign(operation, by=by))
        assert result.status is not Status.KERNEL_FAULT, result.fault
        return result.status

    def parcel(self, pick: int) -> tuple[str, int, int] | None:
        held = holdings(self.d.world, self.d.receivable)
        return held[pick % len(held)] if held else None

    @rule(units=amounts)
    def money_comes(self, units: int) -> None:
        self.attempt(booking(self.d.world, self.d.account, units), self.d.bank)

    @rule(units=amounts)
    def debtor_spends(self, units: int) -> None:
        target = self.d.world.state.rows[f"accounts_of/{self.d.supplier}/CNY"].accounts[0].account
        asked = TransferFunds(source=self.d.account, target=target, currency="CNY", units=Units(units), subject="goods")
        self.attempt(asked, self.d.buyer)

    @rule(units=amounts)
    def earmark(self, units: int) -> None:
        self.attempt(self.d.earmark(units), self.d.buyer)

    @rule(units=amounts, by_bank=st.booleans())
    def redeem(self, units: int, by_bank: bool) -> None:
        self.attempt(self.d.by_bank(units) if by_bank else self.d.redeem(units), self.d.buyer)

    @rule()
    def redeem_all(self) -> None:
        self.attempt(self.d.redeem(self.d.row.outstanding), self.d.buyer)

    @rule(maker=st.booleans(), denied=st.booleans())
    def answer(self, maker: bool, denied: bool) -> None:
        holder = self.d.maker if maker else self.d.supplier
        row = self.d.redemption
        if row is None:
            return
        asked = row.awaited if denied else (*row.awaited, *row.disputed)
        units = sum(
            max(0, min(last, int(part.last)) - max(first, int(part.first)) + 1)
            for who, first, last in holdings(self.d.world, self.d.receivable)
            if who == holder
            for part in asked
        )
        said = PaymentAnswer.DENIED if denied else PaymentAnswer.RECEIVED
        confirm = ConfirmPayment(receivable=self.d.receivable, currency="CNY", units=Units(units), answer=said)
        self.attempt(confirm, holder)

    @rule(one=unit, other=unit, days=st.integers(0, 60))
    def freeze_units(self, one: int, other: int, days: int) -> None:
        until_on = self.d.world.today() + datetime.timedelta(days=days)
        asked = FreezeParcel(
            receivable=self.d.receivable,
            interval=span(min(one, other), max(one, other)),
            until_on=until_on,
            authority_order=ORDER,
        )
        self.attempt(asked, self.d.trade.auditor)

    @rule()
    def unfreeze_units(self) -> None:
        if self.d.row.freezes:
            freeze = self.d.row.freezes[0].id
            asked = UnfreezeParcel(receivable=self.d.receivable, freeze=freeze, authority_order=ORDER)
            self.attempt(asked, self.d.trade.auditor)

    @rule(units=amounts, lift=st.booleans())
    def freeze_money(self, units: int, lift: bool) -> None:
        row = self.d.world.row(Balance, f"available/{self.d.account}")
        if lift and row.freezes:
            asked: Operation = UnfreezeAccount(account=self.d.account, freeze=row.freezes[0].id, authority_order=ORDER)
        else:
            asked = FreezeAccount(account=self.d.account, currency="CNY", units=Units(units), authority_order=ORDER)
        self.attempt(asked, self.d.bank)

    @rule(pick=st.integers(0, 9), units=amounts, to_debtor=st.booleans(), finish=st.booleans())
    def hand_on(self, pick: int, units: int, to_debtor: bool, finish: bool) -> None:
        found = self.parcel(pick)
        if found is None:
            return
        holder, first, last = found
        to = self.d.buyer if to_debtor else (self.d.maker if holder != self.d.maker else self.d.supplier)
        offer = offer_of(
            self.d.world, self.d.receivable, span(first, last), units, to, as_set_off=to_debtor, recourse=not to_debtor
        )
        result = self.d.world.submit(self.d.world.sign(offer, by=holder))
        if result.status is Status.OK and finish:
            transfer = result.events[0].record
            if self.attempt(acceptance_of(self.d.world, transfer), to) is Status.OK:
                self.attempt(passing_of(self.d.world, transfer), self.d.trade.auditor)

    @rule(pick=st.integers(0, 9), units=amounts)
    def set_off(self, pick: int, units: int) -> None:
        found = self.parcel(pick)
        if found is not None:
            asked = SetOff(
                receivable=self.d.receivable, parcel=span(found[1], found[2]), currency="CNY", units=Units(units)
            )
            self.attempt(asked, self.d.buyer)

    @rule(pick=st.integers(0, 9), give_up=st.booleans())
    def claim_or_give_up(self, pick: int, give_up: bool) -> None:
        found = self.parcel(pick)
        if found is not None:
            parcel = span(found[1], found[2])
            asked: Operation = ClaimRecourse(receivable=self.d.receivable, parcel=parcel)
            if give_up:
                asked = WriteOff(receivable=self.d.receivable, parcel=parcel)
            self.attempt(asked, found[0])

    @rule(refuse=st.booleans())
    def answer_a_claim(self, refuse: bool) -> None:
        for row in list(self.d.world.state.rows.values()):
            if isinstance(row, Recourse) and row.state is RecourseState.CLAIMED:
                asked: Operation = PayRecourse(recourse=row.id, currency="CNY", units=row.units)
                if refuse:
                    asked = RefuseRecourse(recourse=row.id, reason=ORDER)
                self.attempt(asked, row.liable)

    @rule()
    def maker_opens_an_account(self) -> None:
        key = f"accounts_of/{self.d.maker}/CNY"
        if key not in self.d.world.state.rows:
            account = applied(self.d.world, self.d.maker, self.d.bank)
            self.attempt(opening_of(self.d.world, account), self.d.bank)

    @rule(days=st.sampled_from([0, 1, 10, 40, 110]))
    def time_passes(self, days: int) -> None:
        # The waiting world fails on any fault of due work, so nothing is left behind or done twice unnoticed.
        self.d.world.wait(days * DAY_MS + 1)

    @invariant()
    def books_balance(self) -> None:
        if hasattr(self, "d"):
            check_books(self.d.world)

    @invariant()
    def parcels_partition_the_face(self) -> None:
        if not hasattr(self, "d"):
            return
        row = self.d.row
        live = holdings(self.d.world, self.d.receivable)
        assert all(before[2] < after[1] for before, after in pairwise(live))
        assert sum(last - first + 1 for _, first, last in live) == row.outstanding
        assert bool(live) == (row.state in OWED_STATES)

    @invariant()
    def each_unit_is_redeemed_for_one_minor_unit(self) -> None:
        if not hasattr(self, "d"):
            return
        paid = dict.fromkeys(PAYING, 0)
        for event in self.d.world.events:
            if event.kind == "receivable.paid" and event.record == self.d.receivable:
                paid[str(event.facts["means"])] += int(event.facts["units"])
        assert sum(paid.values()) == self.d.row.redeemed
        moved = 0
        own = (f"available/{self.d.account}", "earmark/")
        for event in self.d.world.events:
            if event.kind == "account.posted" and event.record == self.d.receivable:
                source, target = str(event.facts["source"]), str(event.facts["target"])
                if source.startswith(own) and not target.startswith(own):
                    moved += int(event.facts["units"])
        assert moved <= paid["ledger"], "more money moved than units were retired"

    @invariant()
    def held_shares_are_backed(self) -> None:
        if hasattr(self, "d"):
            row = self.d.redemption
            held = () if row is None else row.held
            assert sum(share.interval.length for share in held) == self.d.held()

    def teardown(self) -> None:
        """Whatever happened, time brings every waiting thing to an end.

        A debtor that holds part of its own debt gets part of a payment in proportion back, and the next block pays
        with that: a few blocks more, as the amount shrinks each time.
        """
        if not hasattr(self, "d"):
            return
        for _ in range(12):
            self.d.world.wait(120 * DAY_MS)
        waiting = [row for row in self.d.world.state.index if row.startswith("due/")]
        assert not waiting, waiting
        check_books(self.d.world)


Redemptions.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestRedemptions = Redemptions.TestCase
