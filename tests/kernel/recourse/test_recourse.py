"""recourse.claim, .pay, .refuse, receivable.write_off: over several hops, with deadlines, until nothing is owed."""

import datetime
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.kernel.accounts.records import AccountsOf
from tallystick.kernel.core.fields import Interval, Position
from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.freezes import FreezeParcel
from tallystick.kernel.receivables.judgments import AssignByJudgment
from tallystick.kernel.receivables.records import ReceivableState
from tallystick.kernel.recourse.claims import ClaimRecourse, PayRecourse, RefuseRecourse, WriteOff
from tallystick.kernel.recourse.hops import answers_for
from tallystick.kernel.recourse.records import Recourse, RecourseState
from tallystick.kernel.transfers.records import Transfer, TransferKind, TransferState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.accounts import funded, money, opened
from tests.support.receivables import anchor, holdings, span, transferred
from tests.support.redemption import Debt, debt

NOBODY = "0" * 16


@dataclass(frozen=True)
class Chain:
    """Units 1..400 went supplier -> maker (answers for 380) -> dealer (answers for the face) -> last (1..200)."""

    d: Debt
    dealer: str
    last: str

    def claim_of(self, first: int, last: int) -> ClaimRecourse:
        return ClaimRecourse(receivable=self.d.receivable, parcel=span(first, last))

    def claimed(self, first: int, last: int, by: str) -> Recourse:
        event = self.d.world.do(self.claim_of(first, last), by=by).events[0]
        claim: Recourse = self.d.world.row(Recourse, event.record)
        return claim

    def claim(self, claim_id: str) -> Recourse:
        found: Recourse = self.d.world.row(Recourse, claim_id)
        return found


def pay(claim: Recourse, units: int | None = None, **fields: object) -> PayRecourse:
    said = {"recourse": claim.id, "currency": "CNY", "units": claim.units if units is None else Units(units), **fields}
    return PayRecourse(**said)


def chain(*, middle_answers: bool = True, overdue: bool = True, funds: int = 1_000) -> Chain:
    d = debt(split=False)
    world, auditor = d.world, d.trade.auditor
    dealer, last = world.member("Dealer", Role.CLIENT), world.member("Last holder", Role.CLIENT)
    for name in (dealer, last):
        opened(world, name, d.bank, units=funds)
    transferred(
        world,
        d.receivable,
        span(1, 1_000),
        400,
        d.supplier,
        d.maker,
        auditor,
        recourse=True,
        consideration=Units(380),
    )
    transferred(world, d.receivable, span(1, 400), 400, d.maker, dealer, auditor, recourse=middle_answers)
    transferred(world, d.receivable, span(1, 400), 200, dealer, last, auditor, recourse=True, consideration=Units(199))
    if overdue:
        d.to_due_date()
        d.past_grace()
    return Chain(d, dealer, last)


def test_the_one_who_pays_steps_into_the_holders_place_and_claims_one_hop_further() -> None:
    c = chain()
    d, world = c.d, c.d.world
    result = world.do(c.claim_of(1, 200), by=c.last, vector="recourse.claim/claimed")
    claim = c.claim(result.events[0].record)
    assert (claim.liable, int(claim.units)) == (c.dealer, 199), "computed from the hop, never typed"
    assert d.state is ReceivableState.IN_RECOURSE
    world.do(pay(claim), by=c.dealer, vector="recourse.pay/paid")
    assert (money(world, c.dealer), money(world, c.last)) == (1_000 - 199, 1_000 + 199)
    assert holdings(world, d.receivable)[0] == (c.dealer, 1, 200)
    assert c.claim(claim.id).state is RecourseState.PAID
    second = c.claimed(1, 200, c.dealer)
    assert (second.liable, int(second.units)) == (d.maker, 200)
    fund(d, d.maker, 500)
    world.do(pay(second), by=d.maker)
    third = c.claimed(1, 200, d.maker)
    assert (third.liable, int(third.units)) == (d.supplier, 190), "half of the 380 it answers for"
    fund(d, d.supplier, 190)
    world.do(pay(third), by=d.supplier)
    assert holdings(world, d.receivable)[0] == (d.supplier, 1, 200)
    world.do(
        c.claim_of(1, 200), by=d.supplier, expect=Status.NO_RECOURSE, vector="recourse.claim/no_recourse_at_the_root"
    )
    d.check()


def fund(d: Debt, member: str, units: int) -> None:
    """Money into a member's account."""
    funded(d.world, d.world.row(AccountsOf, f"{member}/CNY").accounts[0].account, units)


def test_a_hop_without_recourse_ends_it() -> None:
    c = chain(middle_answers=False)
    world = c.d.world
    claim = c.claimed(1, 200, c.last)
    world.do(pay(claim), by=c.dealer)
    world.do(c.claim_of(1, 200), by=c.dealer, expect=Status.NO_RECOURSE, vector="recourse.claim/no_recourse")


def test_a_late_payment_goes_to_whoever_holds_then_and_ends_the_claims() -> None:
    c = chain()
    d, world = c.d, c.d.world
    first = c.claimed(1, 200, c.last)
    world.do(pay(first), by=c.dealer)
    second = c.claimed(1, 200, c.dealer)
    d.fund(1_000)
    world.wait()
    assert d.state is ReceivableState.CLOSED
    assert d.row.outstanding == 0
    assert money(world, c.last) == 1_199, "it was paid by way of recourse and holds nothing any more"
    assert money(world, c.dealer) == 1_000 - 199 + 400
    assert d.money() == (0, 600, 0)
    assert c.claim(second.id).state is RecourseState.SETTLED
    world.do(pay(second), by=d.maker, expect=Status.WRONG_STATE, vector="recourse.pay/wrong_state")
    d.check()


def test_a_part_payment_by_the_debtor_lowers_what_the_liable_party_owes() -> None:
    c = chain()
    d, world = c.d, c.d.world
    claim = c.claimed(1, 200, c.last)
    d.fund(500)
    world.do(d.redeem(500), by=d.buyer)
    assert holdings(world, d.receivable)[0] == (c.last, 101, 200)
    world.do(pay(claim), by=c.dealer, expect=Status.AMOUNT_DIFFERS, vector="recourse.pay/amount_differs")
    # Units 101..200 of 1..200, for which 199 was given: floor(199) - floor(99.5) = 100.
    world.do(pay(claim, 100), by=c.dealer)
    assert holdings(world, d.receivable)[0] == (c.dealer, 101, 200)
    d.check()


def test_units_that_a_judgment_took_from_the_claimant_are_not_paid_for() -> None:
    c = chain()
    claim = c.claimed(1, 200, c.last)
    taken = AssignByJudgment(
        receivable=c.d.receivable, interval=span(1, 50), to=c.d.trade.funder, judgment=anchor("judgment")
    )
    c.d.world.do(taken, by=c.d.trade.auditor)
    # Units 51..200 of 1..200, for which 199 was given: 199 - floor(49.75).
    c.d.world.do(pay(claim, 150), by=c.dealer)
    assert holdings(c.d.world, c.d.receivable)[:2] == [(c.d.trade.funder, 1, 50), (c.dealer, 51, 200)]


def test_deadlines_to_claim_and_to_pay() -> None:
    c = chain()
    d, world = c.d, c.d.world
    assert d.redemption is not None
    assert d.redemption.dishonoured_at is not None
    claim = c.claimed(1, 200, c.last)
    world.wait(until=claim.pay_by)
    assert c.claim(claim.id).state is RecourseState.CLAIMED, "the window is open at its end"
    world.now = claim.pay_by.plus(1)
    world.do(pay(claim), by=c.dealer, expect=Status.DEADLINE_PASSED, vector="recourse.pay/deadline_passed")
    refusal = RefuseRecourse(recourse=claim.id, reason=anchor("reason"))
    world.do(refusal, by=c.dealer, expect=Status.DEADLINE_PASSED, vector="recourse.refuse/deadline_passed")
    world.wait()
    assert c.claim(claim.id).state is RecourseState.LAPSED
    assert "recourse.lapsed" in world.told(c.last)
    world.do(c.claim_of(1, 200), by=c.last, expect=Status.RECORD_EXISTS, vector="recourse.claim/record_exists")
    world.now = d.redemption.dishonoured_at.plus(30 * DAY_MS)
    assert c.claimed(201, 400, c.dealer).liable == d.maker
    world.now = d.redemption.dishonoured_at.plus(30 * DAY_MS + 1)
    rest = ClaimRecourse(receivable=d.receivable, parcel=span(401, 1_000))
    world.do(rest, by=d.supplier, expect=Status.NO_RECOURSE)


def test_the_claim_period_ends() -> None:
    c = chain()
    assert c.d.redemption is not None
    assert c.d.redemption.dishonoured_at is not None
    c.d.world.now = c.d.redemption.dishonoured_at.plus(30 * DAY_MS + 1)
    c.d.world.do(c.claim_of(1, 200), by=c.last, expect=Status.DEADLINE_PASSED, vector="recourse.claim/deadline_passed")


def test_who_paid_has_the_whole_claim_period_from_its_payment() -> None:
    c = chain()
    world = c.d.world
    claim = c.claimed(1, 200, c.last)
    world.now = claim.pay_by
    world.do(pay(claim), by=c.dealer)
    paid_at = world.now
    world.now = paid_at.plus(30 * DAY_MS)
    assert c.claimed(1, 200, c.dealer).liable == c.d.maker


def test_a_refused_claim_leaves_the_holder_where_it_was() -> None:
    c = chain()
    world = c.d.world
    claim = c.claimed(1, 200, c.last)
    refusal = RefuseRecourse(recourse=claim.id, reason=anchor("reason"))
    world.do(refusal, by=c.last, expect=Status.NOT_A_PARTY, vector="recourse.refuse/not_a_party")
    world.do(refusal, by=c.dealer, vector="recourse.refuse/refused")
    assert c.claim(claim.id).state is RecourseState.REFUSED
    world.do(refusal, by=c.dealer, expect=Status.WRONG_STATE, vector="recourse.refuse/wrong_state")
    unknown = RefuseRecourse(recourse="rec_" + NOBODY, reason=anchor("reason"))
    world.do(unknown, by=c.dealer, expect=Status.NOT_FOUND, vector="recourse.refuse/not_found")
    write_off = WriteOff(receivable=c.d.receivable, parcel=span(1, 200))
    world.do(write_off, by=c.last, vector="receivable.write_off/a_parcel")
    assert c.d.row.outstanding == 800
    assert c.d.state is ReceivableState.IN_RECOURSE
    c.d.check()


def test_recourse_paid_through_a_bank_is_signed_by_both() -> None:
    c = chain(funds=0)
    world = c.d.world
    claim = c.claimed(1, 200, c.last)
    world.do(pay(claim), by=c.dealer, expect=Status.INSUFFICIENT_FUNDS, vector="recourse.pay/insufficient_funds")
    by_bank = pay(claim, receipt=anchor("bank_receipt"))
    world.do(by_bank, by=c.dealer, expect=Status.NOT_A_PARTY, vector="recourse.pay/not_a_party")
    world.do(by_bank, by=c.dealer, also=(c.last,), vector="recourse.pay/through_a_bank")
    assert holdings(world, c.d.receivable)[0] == (c.dealer, 1, 200)


def test_claiming() -> None:
    early = chain(overdue=False)
    name = "recourse.claim"
    early.d.world.do(early.claim_of(1, 200), by=early.last, expect=Status.WRONG_STATE, vector=f"{name}/wrong_state")
    c = chain()
    world = c.d.world
    unknown = ClaimRecourse(receivable="rcv_" + NOBODY, parcel=span(1, 200))
    world.do(unknown, by=c.last, expect=Status.NOT_FOUND, vector=f"{name}/not_found")
    world.do(c.claim_of(1, 200), by=c.dealer, expect=Status.RECEIVABLE_NOT_HELD, vector=f"{name}/receivable_not_held")
    world.do(c.claim_of(1, 199), by=c.last, expect=Status.RECEIVABLE_NOT_HELD)
    world.do(freeze(c, 10, 11), by=c.d.trade.auditor)
    world.do(c.claim_of(1, 200), by=c.last, expect=Status.FROZEN, vector=f"{name}/frozen")
    world.do(c.d.by_bank(1_000), by=c.d.buyer, expect=Status.FROZEN)
    other = chain()
    other.d.world.do(other.d.by_bank(1_000), by=other.d.buyer)
    other.d.world.do(
        other.claim_of(1, 200), by=other.last, expect=Status.PAYMENT_PENDING, vector=f"{name}/payment_pending"
    )


def freeze(c: Chain, first: int, last: int) -> FreezeParcel:
    return FreezeParcel(
        receivable=c.d.receivable,
        interval=span(first, last),
        until_on=datetime.date(2026, 12, 1),
        authority_order=anchor("court_order"),
    )


def test_paying() -> None:
    c = chain()
    world, name = c.d.world, "recourse.pay"
    claim = c.claimed(1, 200, c.last)
    unknown = pay(claim, recourse="rec_" + NOBODY)
    world.do(unknown, by=c.dealer, expect=Status.NOT_FOUND, vector=f"{name}/not_found")
    pounds = pay(claim, currency="GBP")
    world.do(pounds, by=c.dealer, expect=Status.CURRENCY_MISMATCH, vector=f"{name}/currency_mismatch")
    world.do(freeze(c, 200, 201), by=c.d.trade.auditor)
    world.do(pay(claim), by=c.dealer, expect=Status.FROZEN, vector=f"{name}/frozen")
    c.d.fund(1_000)
    world.wait()
    assert c.claim(claim.id).state is RecourseState.SETTLED


def test_the_parties_must_have_accounts_at_one_bank_for_ledger_money() -> None:
    d = debt(split=False, accounts=("supplier",))
    other = d.world.member("Other bank", Role.CUSTODIAN)
    transferred(d.world, d.receivable, span(1, 1_000), 400, d.supplier, d.maker, d.trade.auditor, recourse=True)
    d.to_due_date()
    d.past_grace()
    world = d.world
    record = world.do(ClaimRecourse(receivable=d.receivable, parcel=span(1, 400)), by=d.maker).events[0].record
    claim = world.row(Recourse, record)
    world.do(pay(claim), by=d.supplier, expect=Status.ACCOUNT_MISSING, vector="recourse.pay/account_missing")
    opened(world, d.maker, other)
    world.do(pay(claim), by=d.supplier, expect=Status.CUSTODIAN_DIFFERS, vector="recourse.pay/custodian_differs")


def test_a_receivable_given_up_by_all_its_holders_is_written_off() -> None:
    c = chain()
    d, world = c.d, c.d.world
    claim = c.claimed(1, 200, c.last)
    world.do(WriteOff(receivable=d.receivable, parcel=span(1, 200)), by=c.last)
    world.do(pay(claim), by=c.dealer, expect=Status.RECEIVABLE_NOT_HELD, vector="recourse.pay/receivable_not_held")
    world.do(WriteOff(receivable=d.receivable, parcel=span(201, 400)), by=c.dealer)
    result = world.do(
        WriteOff(receivable=d.receivable, parcel=span(401, 1_000)),
        by=d.supplier,
        vector="receivable.write_off/the_last",
    )
    assert d.state is ReceivableState.WRITTEN_OFF
    assert (int(d.row.redeemed), int(d.row.cancelled), d.row.outstanding) == (0, 1_000, 0)
    assert c.claim(claim.id).state is RecourseState.SETTLED
    assert "receivable.written_off" in {event.kind for event in result.events}
    assert not any(row.startswith(f"overdue/{d.buyer}/") for row in world.state.index), "arrears end"
    d.check()


def test_writing_off() -> None:
    early, name = debt(), "receivable.write_off"
    asked = WriteOff(receivable=early.receivable, parcel=span(1, 400))
    early.world.do(asked, by=early.maker, expect=Status.WRONG_STATE, vector=f"{name}/wrong_state")
    unknown = WriteOff(receivable="rcv_" + NOBODY, parcel=span(1, 400))
    early.world.do(unknown, by=early.maker, expect=Status.NOT_FOUND, vector=f"{name}/not_found")
    c = chain()
    world = c.d.world
    mine = WriteOff(receivable=c.d.receivable, parcel=span(1, 200))
    world.do(mine, by=c.dealer, expect=Status.RECEIVABLE_NOT_HELD, vector=f"{name}/receivable_not_held")
    world.do(freeze(c, 200, 201), by=c.d.trade.auditor)
    world.do(mine, by=c.last, expect=Status.FROZEN, vector=f"{name}/frozen")
    other = chain()
    other.d.world.do(other.d.by_bank(1_000), by=other.d.buyer)
    theirs = WriteOff(receivable=other.d.receivable, parcel=span(1, 200))
    other.d.world.do(theirs, by=other.last, expect=Status.PAYMENT_PENDING, vector=f"{name}/payment_pending")


@given(
    basis=st.integers(0, 2**63 - 1),
    cuts=st.lists(st.integers(1, 999), max_size=8, unique=True).map(sorted),
    start=st.integers(1, 2**62),
)
def test_what_a_hop_answers_for_sums_exactly_over_any_partition(basis: int, cuts: list[int], start: int) -> None:
    hop = Transfer(
        id="trf_" + "1" * 16,
        receivable="rcv_" + "1" * 16,
        interval=Interval(Units(start), Units(start + 999)),
        currency="CNY",
        sender="mbr_" + "1" * 16,
        receiver="mbr_" + "2" * 16,
        kind=TransferKind.ORDINARY,
        state=TransferState.DONE,
        prior="rcv_" + "1" * 16,
        hop=1,
        recourse=True,
        basis=Units(basis),
        requested=Position(1, 0),
    )
    edges = [0, *cuts, 1_000]
    parts = [Interval(Units(start + first), Units(start + after - 1)) for first, after in pairwise(edges)]
    assert sum(answers_for(hop, part) for part in parts) == basis


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_nothing_is_created_or_lost_by_recourse(hops: int) -> None:
    c = chain()
    d = c.d
    fund(d, d.supplier, 1_000)
    fund(d, d.maker, 1_000)
    parties = (c.last, c.dealer, d.maker, d.supplier)
    before = sum(money(d.world, party) for party in parties)
    for n in range(hops):
        claim = c.claimed(1, 200, parties[n])
        d.world.do(pay(claim), by=parties[n + 1])
    assert sum(money(d.world, party) for party in parties) == before
    assert holdings(d.world, d.receivable)[0][0] == parties[hops]
    d.check()
