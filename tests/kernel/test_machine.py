"""The machine's own promises: all or nothing, a fault of ours rolls back alone, due work is bounded and never stuck."""

from collections.abc import Iterator

import pytest

from tallystick.kernel import machine
from tallystick.kernel.core.events import Event
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.record import Queue, Record
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Step
from tallystick.kernel.documents.anchors import AnchorDocument, Document
from tallystick.kernel.membership.records import Member, MemberState, Role
from tallystick.kernel.operations import DUE_WORK, OPERATIONS
from tallystick.kernel.reviews.records import Review
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.members import anchor, apply_as
from tests.support.world import World

PAPER = AnchorDocument(anchor=anchor())


def test_operations_have_names_of_their_own() -> None:
    names = [str(kind.__struct_config__.tag) for kind in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(kind.__doc__ and kind.__doc__ != Operation.__doc__ for kind in OPERATIONS)


def test_a_planted_fault_rolls_back_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    client = world.member("Client", Role.CLIENT)
    rows = dict(world.state.rows)
    genuine = AnchorDocument.apply

    def faulty(self: AnchorDocument, step: Step) -> Iterator[Event]:
        yield from genuine(self, step)
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(AnchorDocument, "apply", faulty)
    result = world.do(PAPER, by=client, expect=Status.KERNEL_FAULT)
    assert result.fault == "ZeroDivisionError: planted"
    assert result.facts == {}  # what went wrong is for the operator, not for the ledger
    assert world.state.rows == rows
    monkeypatch.undo()
    world.do(PAPER, by=client)


@pytest.mark.parametrize("error", [MemoryError, OSError])
def test_what_is_the_machines_own_trouble_stops_the_node(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    client = world.member("Client", Role.CLIENT)

    def broken(self: AnchorDocument, step: Step) -> None:
        raise error

    monkeypatch.setattr(AnchorDocument, "check", broken)
    with pytest.raises(error):
        world.do(PAPER, by=client)


def test_writing_while_checking_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    client = world.member("Client", Role.CLIENT)

    def writes(self: AnchorDocument, step: Step) -> None:
        step.put(step.get(Member, step.actor))

    monkeypatch.setattr(AnchorDocument, "check", writes)
    assert "written while checking" in world.do(PAPER, by=client, expect=Status.KERNEL_FAULT).fault


def test_a_full_bucket_refuses_a_new_record_and_nothing_else() -> None:
    world = World()
    client = world.member("Client", Role.CLIENT)
    first = world.do(PAPER, by=client).events[0].record
    raw = world.sign(AnchorDocument(anchor=anchor(), earlier=first), by=client, id="full")
    coming = World()
    coming.state.rows, coming.state.index = dict(world.state.rows), list(world.state.index)
    made = coming.submit(raw).events[0].record
    world.state.full = {f"document/{made}", f"document/{first}"}
    result = world.submit(raw)
    assert (result.status, result.facts) == (Status.BUCKET_FULL, {"record": f"document/{made}"})
    assert world.row(Document, first).later is None
    world.state.full = {f"document/{first}"}  # a record that stands already needs no room
    assert world.submit(raw).status is Status.OK


def applicants(count: int, **limits: int) -> tuple[World, list[str]]:
    world = World(**limits)
    sponsor = world.member("Sponsor", Role.CLIENT)
    return world, [apply_as(world, f"Applicant {number}", sponsor) for number in range(count)]


def expired(world: World, members: list[str]) -> int:
    return sum(1 for member in members if world.row(Member, member).state is MemberState.EXPIRED)


def test_due_work_is_bounded_and_goes_on_in_the_next_block() -> None:
    world, members = applicants(5, max_due_per_block=2)
    world.wait(30 * DAY_MS)
    assert expired(world, members) == 2
    world.wait(1)
    assert expired(world, members) == 4
    world.wait(1)
    assert expired(world, members) == 5
    assert world.wait(1) == []


def test_due_work_that_fails_is_set_aside_and_blocks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world, members = applicants(3)
    stuck = world.row(Member, members[1]).review
    genuine = DUE_WORK[Queue.EXPIRE, "review"]

    def faulty(step: Step, record: Record) -> Iterator[Event]:
        yield from genuine(step, record)
        if isinstance(record, Review) and record.id == stuck:
            raise ZeroDivisionError("planted")

    monkeypatch.setitem(DUE_WORK, (Queue.EXPIRE, "review"), faulty)
    world.now = world.now.plus(30 * DAY_MS)
    overlay = Overlay(world.state)
    events, faults = machine.due_work(overlay, world.chain, world.block())
    world.state.commit(overlay)
    assert expired(world, members) == 2
    assert world.row(Member, members[1]).state is MemberState.APPLIED
    assert [fault.split(": ", 1)[1] for fault in faults] == ["ZeroDivisionError: planted"]
    assert [event.kind for event in events].count("chain.due_failed") == 1
    assert world.wait(1) == []


def test_due_work_that_leaves_its_record_due_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    world, _ = applicants(1)

    def idle(step: Step, record: Record) -> Iterator[Event]:
        yield from ()

    monkeypatch.setitem(DUE_WORK, (Queue.EXPIRE, "review"), idle)
    world.now = world.now.plus(30 * DAY_MS)
    _, faults = machine.due_work(Overlay(world.state), world.chain, world.block())
    assert "still due" in faults[0]
    monkeypatch.delitem(DUE_WORK, (Queue.EXPIRE, "review"))
    _, faults = machine.due_work(Overlay(world.state), world.chain, world.block())
    assert InvariantViolation.__name__ in faults[0]
