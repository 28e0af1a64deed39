"""The overlay's index rows against the plainest model: whatever is written, taken back and asked in between."""

from hypothesis import given
from hypothesis import strategies as st

from tallystick.kernel.accounts.deposits import Deposit, DepositState
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.state import MANY_DROPPED, Overlay
from tallystick.wire.instants import Instant
from tests.support.memory import MemoryState

CUSTODIAN = "mbr_0000000000000000"


def deposit(number: int, at: int | None) -> Deposit:
    """A record whose index rows follow from when it is due."""
    return Deposit(
        id=f"dep_{number:016d}",
        custodian=CUSTODIAN,
        currency="CNY",
        state=DepositState.ANNOUNCED if at is not None else DepositState.BOOKED,
        payer=CUSTODIAN,
        deadline=None if at is None else Instant(at),
    )


def rows_of(records: dict[str, Record]) -> list[str]:
    return sorted(row for record in records.values() for row in record.index_rows())


CHANGE = st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 5), st.just("delete")))
STEP = st.one_of(CHANGE, st.sampled_from(("ask", "accept", "rollback")))


@given(st.lists(st.integers(0, 5), max_size=4), st.lists(STEP, max_size=40))
def test_index_ranges_are_those_of_the_records(start: list[int], steps: list[object]) -> None:
    base = MemoryState(deposit(number, at) for number, at in enumerate(start))
    overlay = Overlay(base)
    accepted = dict(base.rows)
    now = dict(accepted)
    for step in steps:
        match step:
            case (int(number), "delete"):
                overlay.delete(f"deposit/dep_{number:016d}")
                now.pop(f"deposit/dep_{number:016d}", None)
            case (int(number), at):
                assert at is None or isinstance(at, int)
                record = deposit(number, at)
                overlay.put(record)
                now[record.key] = record
            case "accept":
                overlay.accept(b"\0" * 32)
                overlay.begin()
                accepted = dict(now)
            case "rollback":
                overlay.rollback()
                now = dict(accepted)
            case _:
                assert list(overlay.index_range("", "\x7f")) == rows_of(now)
    assert list(overlay.index_range("", "\x7f")) == rows_of(now)
    base.commit(overlay)
    assert base.index == rows_of(now)


def test_rows_that_came_and_went_are_not_stepped_over_for_ever() -> None:
    overlay = Overlay(MemoryState())
    for number in range(3 * MANY_DROPPED):
        overlay.put(deposit(number, 1))
        assert len(list(overlay.index_range("due/", "due/\x7f"))) == 1
        overlay.delete(deposit(number, 1).key)
        assert list(overlay.index_range("due/", "due/\x7f")) == []
    assert len(overlay._sorted) <= 3 * (MANY_DROPPED + 2)  # a deposit has three index rows
