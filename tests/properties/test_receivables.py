"""A receivable in any hands, on any path: transfers, freezes, judgments, payments, time; the auditor watches.

Whatever the steps, live parcels partition what is neither redeemed nor cancelled, each holder is paid for its own units
and once, frozen units stay where they are, and everything pending ends. A failure prints its steps and the blob that
reproduces them.
"""

import datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tallystick.kernel.core.fields import Interval
from tallystick.kernel.governance.policies import Shortfall
from tallystick.kernel.receivables.freezes import FreezeParcel, UnfreezeParcel
from tallystick.kernel.receivables.judgments import AssignByJudgment, CancelByJudgment
from tallystick.kernel.receivables.records import Parcel, Receivable
from tallystick.kernel.recourse.claims import ClaimRecourse, PayRecourse, WriteOff
from tallystick.kernel.recourse.records import Recourse, RecourseState
from tallystick.kernel.redemption.bank import ConfirmPayment, PaymentAnswer
from tallystick.kernel.redemption.records import Redemption
from tallystick.kernel.redemption.redeem import Means, Redeem, SetOff
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ReviewResult
from tallystick.kernel.transfers.agreed import AcceptTransfer, DeclineTransfer, RequestTransfer, WithdrawTransfer
from tallystick.kernel.transfers.records import Transfer, TransferState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS, HOUR_MS
from tests.properties.small_town import HOLDERS, SmallTown
from tests.simulation.founding import paper

MANY = st.integers(0, 10**6)
PENDING = (TransferState.REQUESTED, TransferState.UNDER_REVIEW)


class ReceivableMachine(RuleBasedStateMachine):
    """One receivable after another, with everything that can happen to its units."""

    @initialize(
        shortfall=st.sampled_from(list(Shortfall)), money=st.integers(0, 30), max_parcels=st.sampled_from((5, 500))
    )
    def found(self, shortfall: Shortfall, money: int, max_parcels: int) -> None:
        self.town = SmallTown(shortfall, max_parcels)
        self.account = self.town.open_account("debtor")
        self.town.open_account("first")
        if money:
            self.town.deposit(self.account, money, "debtor")
        self.receivable = self.town.issue(40, "first")

    def row(self) -> Receivable:
        row: Receivable = self.town.find(Receivable, self.receivable)
        return row

    def parcels(self) -> list[Parcel]:
        return list(self.row().parcels)

    def parcel(self, number: int) -> Parcel:
        parcels = self.parcels()
        return parcels[number % len(parcels)]

    def part(self, parcel: Parcel, number: int, other: int) -> Interval:
        length = int(parcel.interval.length)
        first = int(parcel.interval.first) + number % length
        last = first + other % (int(parcel.interval.last) - first + 1)
        return Interval(Units(first), Units(last))

    @precondition(lambda self: not self.row().is_owed)
    @rule(face=st.integers(1, 60), creditor=st.sampled_from(HOLDERS))
    def issue_another(self, face: int, creditor: str) -> None:
        self.receivable = self.town.issue(face, creditor) or self.receivable

    @precondition(lambda self: self.parcels())
    @rule(
        number=MANY,
        low=MANY,
        high=MANY,
        to=st.sampled_from((*HOLDERS, "debtor")),
        recourse=st.booleans(),
        named=st.booleans(),
    )
    def offer(self, number: int, low: int, high: int, to: str, recourse: bool, named: bool) -> None:
        parcel = self.parcel(number)
        part = self.part(parcel, low, high)
        if self.town.named[to] == parcel.holder and number % 10:
            to = next(name for name in HOLDERS if self.town.named[name] != parcel.holder)
        asked = RequestTransfer(
            receivable=self.receivable,
            parcel=parcel.interval,
            currency="GBP",
            units=part.length,
            interval=part if named else None,
            receiver=self.town.named[to],
            recourse=recourse and to != "debtor",
            as_set_off=to == "debtor",
            background=paper("background"),
        )
        self.town.do(asked, by=parcel.holder)

    @precondition(lambda self: self.parcels())
    @rule(number=MANY, low=MANY, high=MANY, to=st.sampled_from(HOLDERS), recourse=st.booleans())
    def hand_on(self, number: int, low: int, high: int, to: str, recourse: bool) -> None:
        """Offered, accepted and reviewed at once, so that long chains of hands come about."""
        before = {row.id for row in self.town.rows(Transfer)}
        self.offer(number, low, high, to, recourse, named=True)
        for row in [row for row in self.town.rows(Transfer) if row.id not in before]:
            accepted = AcceptTransfer(
                transfer=row.id, currency="GBP", units=row.interval.length, handling=paper("handling")
            )
            self.town.do(accepted, by=row.receiver)
            self.town.approve(self.town.find(Transfer, row.id).review, "auditor")

    def transfers(self, *states: TransferState) -> list[Transfer]:
        return [row for row in self.town.rows(Transfer) if row.state in states]

    @precondition(lambda self: self.transfers(TransferState.REQUESTED))
    @rule(number=MANY, accepts=st.booleans())
    def answer(self, number: int, accepts: bool) -> None:
        offers = self.transfers(TransferState.REQUESTED)
        row = offers[number % len(offers)]
        accepted = AcceptTransfer(
            transfer=row.id, currency="GBP", units=row.interval.length, handling=paper("handling")
        )
        declined = DeclineTransfer(transfer=row.id, reason="no")
        self.town.do(accepted if accepts or number % 3 else declined, by=row.receiver)

    @precondition(lambda self: self.transfers(TransferState.UNDER_REVIEW))
    @rule(number=MANY)
    def decide(self, number: int) -> None:
        waiting = self.transfers(TransferState.UNDER_REVIEW)
        review = waiting[number % len(waiting)].review
        assert review is not None
        if number % 5:
            self.town.approve(review, "auditor")
        else:
            self.town.do(DecideReview(review=review, result=ReviewResult.REFUSE, reason="no"), by="auditor")

    @precondition(lambda self: self.transfers(*PENDING))
    @rule(number=MANY)
    def withdraw(self, number: int) -> None:
        pending = self.transfers(*PENDING)
        row = pending[number % len(pending)]
        also = (row.receiver,) if row.state is TransferState.UNDER_REVIEW else ()
        self.town.do(WithdrawTransfer(transfer=row.id), by=row.sender, also=also)

    @precondition(lambda self: self.parcels())
    @rule(number=MANY, low=MANY, high=MANY, days=st.integers(0, 80))
    def freeze(self, number: int, low: int, high: int, days: int) -> None:
        today = datetime.datetime.fromtimestamp(int(self.town.now) / 1000, datetime.UTC).date()
        frozen = FreezeParcel(
            receivable=self.receivable,
            interval=self.part(self.parcel(number), low, high),
            until_on=today + datetime.timedelta(days=days + 1),
            authority_order=paper("order"),
        )
        self.town.do(frozen, by="auditor")

    @precondition(lambda self: self.row().freezes)
    @rule(number=MANY)
    def unfreeze(self, number: int) -> None:
        freezes = self.row().freezes
        freeze = freezes[number % len(freezes)].id
        lifted = UnfreezeParcel(receivable=self.receivable, freeze=freeze, authority_order=paper("order"))
        self.town.do(lifted, by="auditor")

    @precondition(lambda self: self.parcels() and self.row().freezes)
    @rule(number=MANY, low=MANY, high=MANY, to=st.sampled_from((*HOLDERS, "", "funder")), executes=st.booleans())
    def judge(self, number: int, low: int, high: int, to: str, executes: bool) -> None:
        freezes = self.row().freezes
        part = self.part(self.parcel(number), low, high)
        fields: dict[str, Any] = {"receivable": self.receivable, "judgment": paper("judgment"), "interval": part}
        if executes and freezes:
            fields |= {"interval": freezes[0].parts[0], "freeze": freezes[0].id}
        step = AssignByJudgment(to=self.town.named[to], **fields) if to else CancelByJudgment(**fields)
        self.town.do(step, by="auditor")

    @precondition(lambda self: self.row().is_owed)
    @rule(units=st.integers(1, 60), by_bank=st.booleans())
    def redeem(self, units: int, by_bank: bool) -> None:
        units = min(units, int(self.row().outstanding) + units % 2)
        fields: dict[str, Any] = {"receivable": self.receivable, "currency": "GBP", "units": Units(units)}
        if by_bank:
            fields |= {"means": Means.BANK, "receipt": paper("receipt")}
        self.town.do(Redeem(**fields), by="debtor")

    @precondition(lambda self: self.town.find(Redemption, self.receivable) is not None)
    @rule(number=MANY, received=st.booleans())
    def answer_for_a_payment(self, number: int, received: bool) -> None:
        row: Redemption = self.town.find(Redemption, self.receivable)
        among = (*row.awaited, *row.disputed) if received else row.awaited
        owed: dict[str, int] = {}
        for parcel in self.parcels():
            for part in among:
                first, last = max(part.first, parcel.interval.first), min(part.last, parcel.interval.last)
                owed[parcel.holder] = owed.get(parcel.holder, 0) + max(int(last) - int(first) + 1, 0)
        asked = sorted(holder for holder, units in owed.items() if units)
        if asked:
            holder = asked[number % len(asked)]
            answer = PaymentAnswer.RECEIVED if received else PaymentAnswer.DENIED
            said = ConfirmPayment(receivable=self.receivable, currency="GBP", units=Units(owed[holder]), answer=answer)
            self.town.do(said, by=holder)

    @precondition(lambda self: any(parcel.holder == self.row().debtor for parcel in self.parcels()))
    @rule(units=st.integers(1, 40))
    def set_off(self, units: int) -> None:
        own = next(parcel for parcel in self.parcels() if parcel.holder == self.row().debtor)
        taken = Units(min(units, int(own.interval.length)))
        self.town.do(SetOff(receivable=self.receivable, parcel=own.interval, currency="GBP", units=taken), by="debtor")

    @precondition(lambda self: self.row().state.value in ("overdue", "in_recourse"))
    @rule(number=MANY, gives_up=st.booleans())
    def claim(self, number: int, gives_up: bool) -> None:
        parcel = self.parcel(number)
        step = WriteOff if gives_up and number % 3 == 0 else ClaimRecourse
        self.town.do(step(receivable=self.receivable, parcel=parcel.interval), by=parcel.holder)

    @precondition(lambda self: any(row.state is RecourseState.CLAIMED for row in self.town.rows(Recourse)))
    @rule(number=MANY)
    def pay_a_claim(self, number: int) -> None:
        claims = [row for row in self.town.rows(Recourse) if row.state is RecourseState.CLAIMED]
        claim = claims[number % len(claims)]
        paid = PayRecourse(recourse=claim.id, currency="GBP", units=claim.units, receipt=paper("receipt"))
        self.town.do(paid, by=claim.liable, also=(claim.claimant,))

    @rule(units=st.integers(1, 25))
    def fund(self, units: int) -> None:
        self.town.deposit(self.account, units, "debtor")

    @rule(kind=st.sampled_from(("hour", "days", "onto", "just_past", "due_date")), days=st.integers(1, 9))
    def wait(self, kind: str, days: int) -> None:
        due = self.town.next_due()
        row = self.row()
        gap = 1
        match kind:
            case "hour":
                gap = HOUR_MS
            case "days":
                gap = days * DAY_MS
            case "onto" if due is not None:
                gap = int(due) - int(self.town.now) - 1
            case "just_past" if due is not None:
                gap = int(due) - int(self.town.now)
            case "due_date" if row.pay_at is not None:
                gap = int(row.pay_at) - int(self.town.now)
            case _:
                pass
        self.town.pass_time(max(gap, 1))

    @invariant()
    def what_is_owed_is_what_is_held(self) -> None:
        """Said once more, beside the auditor's own checks: units live, redeemed and cancelled make up the face."""
        if hasattr(self, "town") and self.row().is_owed:
            row = self.row()
            live = sum(int(parcel.interval.length) for parcel in row.parcels)
            assert live == row.outstanding

    def teardown(self) -> None:
        """In the end everything that waits has ended, and nothing stays locked."""
        if not hasattr(self, "town"):
            return
        for _ in range(6):
            self.town.pass_time(40 * DAY_MS)
        assert not self.transfers(*PENDING)
        assert not any(parcel.locks for row in self.town.rows(Receivable) for parcel in row.parcels)
        assert not any(row.freezes for row in self.town.rows(Receivable))


ReceivableMachine.TestCase.settings = settings(max_examples=settings().max_examples // 2, stateful_step_count=30)
TestReceivables = ReceivableMachine.TestCase
