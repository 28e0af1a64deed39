"""Parcels partition what is live, however they are cut, locked and passed, in the receivable or in rows of their own.

The model is an array with the holder of each single unit, which knows nothing of intervals.
"""

import datetime
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.kernel.core.fields import Interval, Position
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Step
from tallystick.kernel.receivables import parcels
from tallystick.kernel.receivables.records import (
    INLINE_PARCELS,
    Lock,
    LockKind,
    Parcel,
    ParcelRow,
    Receivable,
    ReceivableState,
)
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.receivables import span
from tests.support.world import World

HOLDERS = tuple(f"mbr_{digit * 16}" for digit in "123456")
RECEIVABLE = "rcv_0000000000000001"
FIRST_HOLDER = HOLDERS[0]


def new_step() -> Step:
    world = World()
    step = Step(world.chain, world.block(), Overlay(world.state), 0, (FIRST_HOLDER, "t"), (FIRST_HOLDER,))
    step.begin(0)
    step.open_for_writing()
    return step


def whole(face: int) -> Receivable:
    parcel = Parcel(holder=FIRST_HOLDER, interval=span(1, face), origin=RECEIVABLE)
    return Receivable(
        id=RECEIVABLE,
        debtor=HOLDERS[5],
        creditor=FIRST_HOLDER,
        requester=FIRST_HOLDER,
        currency="CNY",
        face=Units(face),
        issue_on=datetime.date(2026, 3, 2),
        due_on=datetime.date(2026, 6, 30),
        state=ReceivableState.VALID,
        requested=Position(1, 0),
        confirm_by=Instant(0),
        parcels=(parcel,),
        parcel_count=1,
    )


def stored_rows(step: Step) -> Iterator[Record]:
    return (row for key, row in step.overlay.records.items() if row is not None and key.startswith("parcel/"))


def assert_partition(step: Step, receivable: Receivable, units: list[str | None]) -> None:
    live = parcels.live_parcels(step, receivable)
    painted: list[str | None] = [None] * len(units)
    for parcel in live:
        for unit in range(int(parcel.interval.first), int(parcel.interval.last) + 1):
            assert painted[unit - 1] is None, f"unit {unit} lies in two parcels"
            painted[unit - 1] = parcel.holder
        for held, after in zip(parcel.locks, parcel.locks[1:], strict=False):
            assert held.interval.last < after.interval.first
        assert all(parcel.interval.contains(held.interval) for held in parcel.locks)
    assert painted == units
    assert [parcel.interval.first for parcel in live] == sorted(parcel.interval.first for parcel in live)
    assert receivable.parcel_count == len(live)
    assert receivable.outstanding == sum(unit is not None for unit in units)
    assert (receivable.parcels == ()) is (receivable.in_rows or not live)
    assert len(list(stored_rows(step))) == (len(live) if receivable.in_rows else 0)
    assert all(isinstance(row, ParcelRow) for row in stored_rows(step))


@given(st.data())
def test_any_course_of_steps_keeps_the_partition(data: st.DataObject) -> None:
    face = data.draw(st.integers(1, 90))
    step, receivable = new_step(), whole(face)
    units: list[str | None] = [FIRST_HOLDER] * face
    if data.draw(st.booleans()):
        for unit in range(1, min(face, INLINE_PARCELS + 3), 2):
            receivable = parcels.cut_and_pass(step, receivable, span(unit, unit), HOLDERS[1], RECEIVABLE)
            _paint(units, span(unit, unit), HOLDERS[1])
        assert_partition(step, receivable, units)
    pending: dict[str, Interval] = {}
    for count in range(data.draw(st.integers(1, 70))):
        live = parcels.live_parcels(step, receivable)
        if not live:
            break
        action = data.draw(st.sampled_from(("pass", "pass", "pass", "lock", "unlock", "carry_out", "pay", "cancel")))
        name = f"trf_{count:016d}"
        if action in ("unlock", "carry_out"):
            if not pending:
                continue
            name, chosen = pending.popitem()
            if action == "unlock":
                receivable = parcels.unlock(step, receivable, chosen, name)
            else:
                holder = data.draw(st.sampled_from(HOLDERS))
                receivable = parcels.cut_and_pass(step, receivable, chosen, holder, name, name)
                _paint(units, chosen, holder)
            assert_partition(step, receivable, units)
            continue
        parcel = data.draw(st.sampled_from(live))
        amount = Units(data.draw(st.integers(1, min(3, int(parcel.interval.length)))))
        found = parcels.choose_units(parcel, (), amount)
        if isinstance(found, Refusal):
            continue
        match action:
            case "lock":
                held = Lock(interval=found, by=name, kind=LockKind.TRANSFER)
                receivable = parcels.lock(step, receivable, parcel, held)
                pending[name] = found
            case "pass":
                holder = data.draw(st.sampled_from(HOLDERS))
                receivable = parcels.cut_and_pass(step, receivable, found, holder, name)
                _paint(units, found, holder)
            case "pay":
                receivable = parcels.retire_from(step, receivable, parcel, found)
                _paint(units, found, None)
            case _:
                receivable = parcels.cancel_units(step, receivable, found)
                _paint(units, found, None)
        assert_partition(step, receivable, units)


def _paint(units: list[str | None], interval: Interval, holder: str | None) -> None:
    for unit in range(int(interval.first), int(interval.last) + 1):
        units[unit - 1] = holder


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 12)), max_size=5),
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 12)), max_size=3),
    st.integers(1, 60),
)
def test_an_amount_takes_the_lowest_free_run(
    length: int, locks: list[tuple[int, int]], freezes: list[tuple[int, int]], amount: int
) -> None:
    first = 11
    interval = span(first, first + length - 1)
    kept: list[Lock] = []
    for at, size in sorted(locks):
        part = span(at, at + size - 1)
        if interval.contains(part) and not any(part.overlaps(other.interval) for other in kept):
            kept.append(Lock(interval=part, by="trf_0000000000000001", kind=LockKind.TRANSFER))
    frozen = tuple(span(at, at + size - 1) for at, size in freezes)
    parcel = Parcel(holder=FIRST_HOLDER, interval=interval, origin=RECEIVABLE, locks=tuple(kept))
    taken = {
        unit
        for part in (*(one.interval for one in kept), *frozen)
        for unit in range(int(part.first), int(part.last) + 1)
    }
    starts = [
        start
        for start in range(first, first + length - amount + 1)
        if not any(unit in taken for unit in range(start, start + amount))
    ]
    chosen = parcels.choose_units(parcel, frozen, Units(amount))
    if starts:
        assert chosen == span(starts[0], starts[0] + amount - 1)
        assert parcels.check_units(parcel, frozen, span(starts[0], starts[0] + amount - 1)) is None
    else:
        assert isinstance(chosen, Refusal)
        over = amount > length
        assert (chosen.status is Status.OVER_AVAILABLE) or not over


def test_many_parcels_move_to_rows_and_all_of_them_are_found() -> None:
    step, receivable = new_step(), whole(1_000)
    for number in range(INLINE_PARCELS):
        receivable = parcels.cut_and_pass(step, receivable, span(number + 1, number + 1), HOLDERS[1], RECEIVABLE)
    assert receivable.in_rows
    assert parcels.find_parcel(step, receivable, span(7, 7)) is not None
    assert parcels.find_parcel(step, receivable, span(7, 8)) is None
    rest = parcels.parcel_around(step, receivable, span(500, 600))
    assert rest is not None
    assert rest.interval == span(INLINE_PARCELS + 1, 1_000)
    over = parcels.parcels_over(step, receivable, span(31, 40))
    assert [parcel.interval for parcel in over] == [span(31, 31), span(32, 32), span(33, 1_000)]
    receivable = parcels.retire_from(step, receivable, over[0], span(31, 31))
    assert parcels.find_parcel(step, receivable, span(31, 31)) is None
    assert len(list(stored_rows(step))) == receivable.parcel_count == INLINE_PARCELS
    paid = parcels.retire_all(step, receivable)
    assert (paid.redeemed, paid.parcel_count, paid.in_rows) == (1_000, 0, False)
    assert not list(stored_rows(step))


def test_what_would_break_the_partition_stops_the_step() -> None:
    step, receivable = new_step(), whole(100)
    held = Lock(interval=span(1, 10), by="trf_0000000000000001", kind=LockKind.TRANSFER)
    locked = parcels.lock(step, receivable, receivable.parcels[0], held)
    with pytest.raises(InvariantViolation):
        parcels.cut_and_pass(step, locked, span(5, 6), HOLDERS[1], RECEIVABLE)
    with pytest.raises(InvariantViolation):
        parcels.cut_and_pass(step, locked, span(99, 101), HOLDERS[1], RECEIVABLE)
    with pytest.raises(InvariantViolation):
        parcels.unlock(step, locked, span(1, 10), "trf_0000000000000002")
    with pytest.raises(InvariantViolation):
        parcels.cut_and_pass(step, locked, span(1, 9), HOLDERS[1], RECEIVABLE, "trf_0000000000000001")
    for broken in ((span(1, 99),), (span(1, 60), span(50, 89)), (span(1, 101),), (span(1, 50), span(52, 100))):
        children = tuple(replace(receivable.parcels[0], interval=part) for part in broken)
        with pytest.raises(InvariantViolation):
            parcels._exchange(step, receivable, receivable.parcels[0], children)
    with pytest.raises(InvariantViolation):
        parcels.lock(step, receivable, replace(receivable.parcels[0], interval=span(1, 99)), held)
