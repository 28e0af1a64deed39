"""Financings searched: whatever is tried, by whom and when, units are pledged once and money and parcels pass together.

Steps are drawn at random over a few members; most are refused, which is part of the search. DESIGN section 9, 1 to 6.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.financing.contract import ConsentToSettlement
from tallystick.kernel.financing.quotes import QuoteFinancing
from tallystick.kernel.financing.records import (
    BOUND_STATES,
    OPEN_STATES,
    Financing,
    FinancingState,
    QuoteState,
    Settlement,
    Verdict,
)
from tallystick.kernel.financing.request import WithdrawFinancing
from tallystick.kernel.financing.sealed import commitment_of
from tallystick.kernel.financing.settlement import ConfirmFinancingReceipt, DisputeFinancingReceipt, RuleOnFinancing
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Member
from tallystick.kernel.membership.standing import ReinstateMember, SuspendMember
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.redemption.redeem import Redeem
from tallystick.kernel.reviews.records import ReviewResult
from tallystick.kernel.transfers.records import Transfer, TransferKind
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS, HOUR_MS
from tallystick.wire.status import Status
from tests.support.accounts import check_books, money, opened
from tests.support.financing import (
    NONCE,
    Market,
    award_of,
    contract_of,
    decision_of,
    evaluation_of,
    freeze_of,
    market,
    net_on,
    quote_of,
    registration_of,
    request_of,
    reveal_of,
    settlement_of,
    stated,
    terms_of,
)
from tests.support.receivables import anchor, span
from tests.support.world import CHAIN_ID

FACE = 10_000
MONEY = 1_000_000
WHO = st.sampled_from(["client", "funder", "rival", "buyer", "arbitrator", "auditor"])
ANSWERS = ["confirm", "deny", "hand_on", "unlock", "withdraw", "consent"]
RATES = st.sampled_from(["0", "3", "5.5", "30"])


class Financings(RuleBasedStateMachine):
    """One receivable, its client, two funders, and everything that can be tried."""

    @initialize(units=st.integers(1, FACE), sealed=st.booleans(), bank=st.booleans())
    def scene(self, units: int, sealed: bool, bank: bool) -> None:
        self.m: Market = market(face=FACE, policies=Policies(cutoff_days=1, settle_days=20, receipt_days=20))
        self.who = {
            "client": self.m.client,
            "funder": self.m.funder,
            "rival": self.m.rival,
            "buyer": self.m.trade.buyer,
            "arbitrator": self.m.arbitrator,
            "auditor": self.m.trade.auditor,
        }
        for name in ("rival", "buyer"):
            opened(self.m.world, self.who[name], self.m.custodian, units=MONEY)
        self.terms = terms_of(self.m, "4", valid_until=self.m.world.now.plus(60 * DAY_MS))
        self.request(units, sealed, bank, "client")

    def financings(self) -> list[Financing]:
        return [row for row in self.m.world.state.rows.values() if isinstance(row, Financing)]

    def pick(self, which: int) -> Financing | None:
        """One of the financings; those that are not over come first."""
        alive = sorted(self.financings(), key=lambda row: (not row.is_live, row.id))
        return alive[which % len(alive)] if alive else None

    def attempt(self, operation: Operation, by: str) -> None:
        result = self.m.world.submit(self.m.world.sign(operation, by=self.who[by]))
        assert result.status is not Status.KERNEL_FAULT, result.fault

    @rule(units=st.integers(0, FACE + 1), sealed=st.booleans(), bank=st.booleans(), by=st.just("client") | WHO)
    def request(self, units: int, sealed: bool, bank: bool, by: str) -> None:
        row = self.m.world.row(Receivable, self.m.receivable)
        held = [parcel for parcel in row.parcels if parcel.holder == self.m.client]
        if held:
            settlement = Settlement.BANK if bank else Settlement.LEDGER
            fields: dict[str, Any] = {"sealed": sealed, "settlement": settlement, "parcel": held[0].interval}
            self.attempt(request_of(self.m, min(units, int(held[0].interval.length)), **fields), by)

    @rule(which=st.integers(0, 3), rate=RATES, by=WHO)
    def offer(self, which: int, rate: str, by: str) -> None:
        row = self.pick(which)
        if row is None:
            return
        self.attempt(evaluation_of(row.id), by)
        if row.sealed:
            commitment = commitment_of(CHAIN_ID, row.id, self.who[by], self.terms, NONCE)
            self.attempt(QuoteFinancing(**stated(self.m, row.id), commitment=commitment), by)
        else:
            self.attempt(quote_of(self.m, row.id, rate), by)

    @rule(which=st.integers(0, 3), by=WHO)
    def proceed_as(self, which: int, by: str) -> None:
        """Anybody tries the step that comes next."""
        row = self.pick(which)
        operation = None if row is None else self.next_step(row)
        if operation is not None:
            self.attempt(operation, by)

    @rule(which=st.integers(0, 1))
    def carry_through(self, which: int) -> None:
        self.proceed(which, 12)

    @rule(which=st.integers(0, 1), steps=st.integers(1, 8))
    def proceed(self, which: int, steps: int) -> None:
        """Those whose turn it is do the next steps; where a window must end first, time passes."""
        row = self.pick(which)
        for _ in range(steps if row is not None else 0):
            assert row is not None
            row = self.m.financing(row.id)
            if row.state in (FinancingState.PUBLISHED, FinancingState.REVEALING) and row.deadline is not None:
                for funder in ("funder", "rival"):
                    if row.state is FinancingState.REVEALING:
                        self.attempt(reveal_of(self.m, row.id, self.terms), funder)
                    else:
                        self.offer(which, "5.5", funder)
                self.m.world.wait(until=max(self.m.world.now, row.deadline).plus(1))
                continue
            operation = self.next_step(row)
            if operation is not None:
                for name in ("client", "auditor", "funder", "rival"):
                    self.attempt(operation, name)

    def next_step(self, row: Financing) -> Operation | None:
        """What has to be done next."""
        match row.state:
            case FinancingState.QUOTED | FinancingState.SETTLEMENT_FAILED:
                quotes = [quote for quote in row.quotes if quote.state is QuoteState.OPEN]
                return award_of(self.m, row.id, quotes[0].funder) if quotes else None
            case FinancingState.AWARDED:
                return contract_of(self.m, row.id)
            case FinancingState.CLIENT_SIGNED:
                return contract_of(self.m, row.id, handling=anchor("handling"))
            case FinancingState.UNDER_REVIEW:
                return decision_of(self.m, row.id)
            case FinancingState.APPROVED:
                return registration_of(row.id)
            case FinancingState.REGISTERED:
                return self.payment(row, 0)
            case FinancingState.PAID:
                assert row.payment is not None
                return ConfirmFinancingReceipt(financing=row.id, currency="CNY", net=row.payment.price.net)
            case _:
                return None

    def payment(self, row: Financing, short: int) -> Operation | None:
        """The payment of what this test computes by itself, or of a unit too little."""
        if row.award is None:
            return None
        terms = next(quote.terms for quote in row.quotes if quote.id == row.award.quote)
        assert terms is not None
        net = net_on(row.face, str(terms.rate), self.m.world.today(), row.discount_until_on) - short
        return settlement_of(self.m, row.id, net) if net > 0 else None

    @rule(which=st.integers(0, 3))
    def refuse(self, which: int) -> None:
        row = self.pick(which)
        if row is not None and row.review is not None:
            self.attempt(decision_of(self.m, row.id, ReviewResult.REFUSE), "auditor")

    @rule(which=st.integers(0, 3), by=st.sampled_from(["funder", "rival", "client"]))
    def pay_short(self, which: int, by: str) -> None:
        row = self.pick(which)
        operation = None if row is None else self.payment(row, 1)
        if row is not None and operation is not None:
            before = row.state
            self.attempt(operation, by)
            assert self.m.financing(row.id).state is before

    @rule(which=st.integers(0, 3), what=st.sampled_from(ANSWERS))
    def answer(self, which: int, what: str) -> None:
        row = self.pick(which)
        if row is None:
            return
        net = row.payment.price.net if row.payment is not None else Units(1)
        match what:
            case "confirm":
                self.attempt(ConfirmFinancingReceipt(financing=row.id, currency="CNY", net=net), "client")
            case "deny":
                self.attempt(DisputeFinancingReceipt(financing=row.id, statement=anchor("statement")), "client")
            case "withdraw":
                self.attempt(WithdrawFinancing(financing=row.id), "client")
            case "consent":
                self.attempt(ConsentToSettlement(financing=row.id, findings=anchor("findings")), "auditor")
            case _:
                returned = anchor("return_receipt") if what == "unlock" else None
                verdict = Verdict(what)
                ruling = RuleOnFinancing(financing=row.id, verdict=verdict, ruling=anchor("ruling"), returned=returned)
                self.attempt(ruling, "arbitrator")

    @rule(first=st.integers(1, FACE), length=st.integers(1, 100), days=st.integers(1, 20))
    def freeze(self, first: int, length: int, days: int) -> None:
        self.attempt(freeze_of(self.m, span(first, min(first + length, FACE)), days), "auditor")

    @rule(units=st.integers(1, FACE // 2))
    def redeem_early(self, units: int) -> None:
        self.attempt(Redeem(receivable=self.m.receivable, currency="CNY", units=Units(units)), "buyer")

    @rule(name=st.sampled_from(["client", "funder", "rival"]))
    def suspend_or_reinstate(self, name: str) -> None:
        member = self.who[name]
        if self.m.world.row(Member, member).is_admitted:
            self.attempt(SuspendMember(member=member, reason="papers_in_doubt"), "auditor")
        else:
            self.attempt(ReinstateMember(member=member), "auditor")

    @rule(hours=st.sampled_from([1, 24, 49, 240]))
    def wait(self, hours: int) -> None:
        self.m.world.wait(hours * HOUR_MS)

    @invariant()
    def units_are_locked_by_the_living_alone(self) -> None:
        parcels = self.m.world.row(Receivable, self.m.receivable).parcels
        locks = [lock for parcel in parcels for lock in parcel.locks]
        rows = {row.id: row for row in self.financings()}
        for lock in locks:
            row = rows[lock.by]
            assert row.pledges, row.state
            assert row.interval.contains(lock.interval)
        redeemed = self.m.world.row(Receivable, self.m.receivable).redeemed
        for row in rows.values():
            if row.state in OPEN_STATES:
                assert [lock.interval for lock in locks if lock.by == row.id] == [row.interval]
            elif row.state in BOUND_STATES and not redeemed:
                assert sum(lock.interval.length for lock in locks if lock.by == row.id) == row.face

    @invariant()
    def every_waiting_state_has_its_deadline(self) -> None:
        for row in self.financings():
            waits = row.pledges
            if row.state is FinancingState.UNDER_REVIEW:
                assert row.deadline is None  # the review has it
            elif row.state is not FinancingState.SETTLEMENT_FAILED:
                assert (row.deadline is not None) is waits, row.state

    @invariant()
    def money_and_parcels_pass_together(self) -> None:
        world = self.m.world
        check_books(world)
        receivable = world.row(Receivable, self.m.receivable)
        assert sum(parcel.interval.length for parcel in receivable.parcels) == receivable.outstanding
        settled = [row for row in self.financings() if row.state is FinancingState.SETTLED]
        passed = [
            row for row in world.state.rows.values() if isinstance(row, Transfer) and row.kind is TransferKind.FINANCING
        ]
        assert sum(row.interval.length for row in passed) <= sum(row.face for row in settled)
        if not receivable.redeemed:
            nets = [row.payment.price.net for row in settled if row.settlement is Settlement.LEDGER and row.payment]
            assert money(world, self.m.client) == sum(nets)
            assert sum(row.interval.length for row in passed) == sum(row.face for row in settled)


TestFinancings = Financings.TestCase
TestFinancings.settings = settings(max_examples=40, stateful_step_count=30)
