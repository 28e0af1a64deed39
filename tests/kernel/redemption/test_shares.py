"""Held shares: frozen units, units under contract, what frees them, and that nothing is paid twice."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.kernel.core.fields import Interval, Position
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Step
from tallystick.kernel.financing.records import Financing, FinancingState, Settlement
from tallystick.kernel.receivables.freezes import FreezeParcel, UnfreezeParcel
from tallystick.kernel.receivables.judgments import AssignByJudgment, CancelByJudgment
from tallystick.kernel.receivables.records import Lock, LockKind, Parcel, ReceivableState
from tallystick.kernel.redemption.shares import decide_shares, pieces_of
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tests.support.accounts import held_for, money
from tests.support.receivables import anchor, span
from tests.support.redemption import Debt, debt

ORDER = anchor("court_order")


def frozen(d: Debt, first: int, last: int, until_on: datetime.date = datetime.date(2026, 12, 1)) -> str:
    asked = FreezeParcel(receivable=d.receivable, interval=span(first, last), until_on=until_on, authority_order=ORDER)
    return str(d.world.do(asked, by=d.trade.auditor).events[0].facts["freeze"])


def unfreeze(d: Debt, freeze: str) -> None:
    asked = UnfreezeParcel(receivable=d.receivable, freeze=freeze, authority_order=ORDER)
    d.world.do(asked, by=d.trade.auditor)


def matured(*freezes: tuple[int, int]) -> tuple[Debt, list[str]]:
    """The receivable of 1,000 (units 1..400 the maker's, the rest the supplier's), paid at maturity while frozen."""
    d = debt()
    d.fund(1_000)
    made = [frozen(d, first, last) for first, last in freezes]
    d.to_due_date()
    d.check()
    return d, made


def test_the_frozen_share_goes_to_a_hold_account_and_unfreezing_pays_it_out_once() -> None:
    d, (freeze,) = matured((301, 500))
    assert d.state is ReceivableState.REDEEMED
    assert d.money() == (0, 500, 300)
    assert d.held() == 200
    unfreeze(d, freeze)
    assert (d.money(), d.held()) == ((0, 600, 400), 0)
    assert d.redemption is None
    d.world.wait(DAY_MS)
    assert d.money() == (0, 600, 400)
    d.check()


def test_a_queued_freeze_keeps_its_part_when_the_first_one_ends() -> None:
    d, (first, second) = matured((1, 100), (51, 150))
    assert d.held() == 150
    unfreeze(d, first)
    assert (d.money()[2], d.held()) == (300, 100)
    unfreeze(d, second)
    assert (d.money()[2], d.held()) == (400, 0)


def test_a_freeze_that_lapses_pays_out() -> None:
    d = debt()
    d.fund(1_000)
    frozen(d, 1, 400, until_on=datetime.date(2026, 7, 3))
    d.to_due_date()
    assert d.money() == (0, 600, 0)
    d.world.wait(5 * DAY_MS)
    assert (d.money(), d.held()) == ((0, 600, 400), 0)


def test_a_share_freed_for_a_holder_without_an_account_waits_in_its_own_hold() -> None:
    d = debt(accounts=("supplier",))
    d.fund(1_000)
    freeze = frozen(d, 1, 400)
    d.to_due_date()
    assert (d.held(), held_for(d.world, d.maker)) == (400, 0)
    unfreeze(d, freeze)
    assert (d.held(), held_for(d.world, d.maker)) == (0, 400)


def test_a_judgment_assigns_a_held_share() -> None:
    d, (freeze,) = matured((1, 400))
    asked = AssignByJudgment(
        receivable=d.receivable, interval=span(1, 100), to=d.trade.funder, judgment=ORDER, freeze=freeze
    )
    d.world.do(asked, by=d.trade.auditor)
    assert held_for(d.world, d.trade.funder) == 100
    assert (d.money()[2], d.held()) == (0, 300)
    unfreeze(d, freeze)
    assert (d.money()[2], d.held()) == (300, 0)
    d.check()


def test_a_judgment_gives_a_held_share_back_to_the_debtor() -> None:
    d, (freeze,) = matured((1, 400))
    asked = CancelByJudgment(receivable=d.receivable, interval=span(301, 400), judgment=ORDER, freeze=freeze)
    d.world.do(asked, by=d.trade.auditor)
    assert (d.money(), d.held()) == ((100, 600, 0), 300)
    unfreeze(d, freeze)
    assert d.money() == (100, 600, 300)
    d.check()


def test_a_partial_payment_holds_only_what_it_pays_of_frozen_units() -> None:
    d = debt()
    d.fund(1_000)
    freeze = frozen(d, 1, 20)
    d.world.do(d.redeem(100), by=d.buyer)
    assert d.money() == (900, 60, 20)
    assert d.held() == 20
    d.world.do(d.redeem(900), by=d.buyer)
    assert d.money() == (0, 600, 380)
    unfreeze(d, freeze)
    assert d.money() == (0, 600, 400)


@pytest.mark.parametrize("to_funder", [True, False])
def test_units_under_contract_are_held_for_the_financings_outcome(to_funder: bool) -> None:
    d = debt()
    d.fund(1_000)
    row = d.row
    lock = Lock(interval=span(401, 700), by="fin_" + "1" * 16, kind=LockKind.FINANCING)
    parcels = (row.parcels[0], replace(row.parcels[1], locks=(lock,)))
    d.world.put(replace(row, parcels=parcels), under_contract(d, lock))
    d.to_due_date()
    assert d.state is ReceivableState.REDEEMED
    assert (d.money(), d.held()) == ((0, 300, 400), 300)
    overlay = Overlay(d.world.state)
    step = Step(d.world.chain, d.world.block(), overlay, 0, ("block", "outcome"), ())
    step.begin(0)
    step.open_for_writing()
    winner = d.trade.funder if to_funder else d.supplier
    events = list(decide_shares(step, d.row, lock.by, winner))
    again = list(decide_shares(step, d.row, lock.by, d.supplier))
    d.world.state.commit(overlay)
    assert [event.kind for event in events] == ["account.posted", "redemption.released"]
    assert again == [], "a hold is never paid twice"
    assert d.held() == 0
    assert held_for(d.world, d.trade.funder) == (300 if to_funder else 0)
    assert money(d.world, d.supplier) == (300 if to_funder else 600)
    d.check()


def under_contract(d: Debt, lock: Lock) -> Financing:
    """A financing of the supplier's units whose contract is signed and whose outcome is open."""
    return Financing(
        id=lock.by,
        client=d.supplier,
        debtor=d.buyer,
        receivable=d.receivable,
        interval=lock.interval,
        currency="CNY",
        settlement=Settlement.LEDGER,
        sealed=False,
        state=FinancingState.UNDER_REVIEW,
        requested=Position(1, 0),
        closes_at=d.world.now,
        last_at=d.world.now,
        discount_until_on=d.row.due_on,
        deadline=None,
    )


intervals = st.tuples(st.integers(1, 60), st.integers(1, 60)).map(lambda two: (min(two), max(two)))


@given(
    whole=intervals,
    chosen=intervals,
    freezes=st.lists(intervals, max_size=4),
    lock=st.none() | intervals,
)
def test_pieces_partition_the_units_and_each_has_one_fate(
    whole: tuple[int, int],
    chosen: tuple[int, int],
    freezes: list[tuple[int, int]],
    lock: tuple[int, int] | None,
) -> None:
    def interval(two: tuple[int, int]) -> Interval:
        return Interval(Units(two[0]), Units(two[1]))

    taken = (max(whole[0], chosen[0]), min(whole[1], chosen[1]))
    if taken[0] > taken[1]:
        return
    by = "fin_" + "1" * 16
    locks = () if lock is None else (Lock(interval=interval(lock), by=by, kind=LockKind.FINANCING),)
    parcel = Parcel(holder="mbr_" + "1" * 16, interval=interval(whole), origin="rcv_" + "1" * 16, locks=locks)
    pieces = pieces_of(parcel, interval(taken), tuple(interval(each) for each in freezes), frozenset({by}))
    covered = [unit for piece in pieces for unit in range(piece.interval.first, piece.interval.last + 1)]
    assert covered == list(range(taken[0], taken[1] + 1))
    for piece in pieces:
        for unit in range(piece.interval.first, piece.interval.last + 1):
            assert piece.frozen == any(first <= unit <= last for first, last in freezes)
            assert bool(piece.by) == (lock is not None and lock[0] <= unit <= lock[1])
