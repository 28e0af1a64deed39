"""The due queues as the committed state lists them: what it remembers of their beginnings never hides a row."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.kernel.core.fields import Position
from tallystick.kernel.core.record import Queue
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.plans.cases import Refund, RefundState
from tallystick.ledger.committed import CommittedState
from tallystick.ledger.store import Batch, Family
from tallystick.ledger.tree import Tree
from tallystick.wire.amounts import Units
from tallystick.wire.instants import Instant

BEGIN = f"due/{Queue.EXPIRE:d}/"
DEADLINES = st.none() | st.integers(0, 9)
BLOCKS = st.lists(st.dictionaries(st.sampled_from("abc"), DEADLINES, max_size=3), max_size=8)
LOOKS = st.lists(st.tuples(st.integers(0, 11), st.booleans()), min_size=8, max_size=8)


class Rows:
    """The fake of the store port, as far as a committed state asks for it: rows in memory."""

    where = "memory"

    def __init__(self) -> None:
        self._rows: dict[Family, dict[bytes, bytes]] = {family: {} for family in Family}

    def get(self, family: Family, key: bytes) -> bytes | None:
        return self._rows[family].get(key)

    def range(self, family: Family, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        return ((key, row) for key, row in sorted(self._rows[family].items()) if start <= key < (stop or b"~"))

    def write(self, batch: Batch) -> None:
        for family, rows in batch.families.items():
            for key, row in rows.items():
                if row is None:
                    self._rows[family].pop(key, None)
                else:
                    self._rows[family][key] = row


def refund(name: str, deadline: int) -> Refund:
    """A record that is due a millisecond after its deadline."""
    return Refund(
        id=name,
        plan="a plan",
        tranche=1,
        payer="a payer",
        payee="a payee",
        currency="GBP",
        units=Units(1),
        state=RefundState.REQUESTED,
        requested=Position(1, 0),
        deadline=Instant(deadline),
    )


def write(store: Rows, state: CommittedState, waiting: dict[str, int | None]) -> None:
    """One block: each name waits until a deadline, or is gone."""
    overlay = Overlay(state)
    for name, deadline in waiting.items():
        if deadline is None:
            overlay.delete(f"refund/{name}")
        else:
            overlay.put(refund(name, deadline))
    batch = Batch()
    for row, present in overlay.index_changes().items():
        if present:
            batch.put(Family.INDEX, row.encode(), b"")
        else:
            batch.delete(Family.INDEX, row.encode())
    store.write(batch)
    state.take_over(overlay)


@settings(max_examples=300)
@given(BLOCKS, LOOKS)
def test_a_queue_is_listed_as_its_rows_stand(
    blocks: list[dict[str, int | None]], looks: list[tuple[int, bool]]
) -> None:
    """After each block the queue is asked for its rows up to an instant; all of them are taken, or only the first."""
    store = Rows()
    state = CommittedState(store, Tree(2), {})  # type: ignore[arg-type]  # the part of the port that it uses
    for waiting, (until, whole) in zip(blocks, looks, strict=False):
        write(store, state, waiting)
        stop = f"{BEGIN}{until:015d}"
        listed = state.index_range(BEGIN, stop)
        rows = [row.decode() for row, _ in store.range(Family.INDEX, BEGIN.encode(), stop.encode())]
        if whole:
            assert list(listed) == rows
        else:
            assert next(listed, None) == next(iter(rows), None)


def test_what_was_worked_off_is_not_stepped_over_again() -> None:
    """The store is asked from where the queue begins, and that goes back when an earlier deadline comes."""
    store = Rows()
    asked: list[bytes] = []
    state = CommittedState(store, Tree(2), {})  # type: ignore[arg-type]
    listing = store.range

    def noted(family: Family, start: bytes, stop: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        asked.append(start)
        return listing(family, start, stop)

    store.range = noted  # type: ignore[method-assign]
    stop = f"{BEGIN}{5:015d}"
    for waiting in ({"a": 1}, {"a": 7}, {"a": 7}, {"b": 2}):
        write(store, state, dict(waiting))
        list(state.index_range(BEGIN, stop))
    assert [row.decode() for row in asked] == [
        BEGIN,
        f"{BEGIN}{2:015d}/refund/a",  # the first row that stood there then
        stop,  # nothing stood before
        f"{BEGIN}{3:015d}/refund/b",
    ]
