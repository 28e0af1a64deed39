"""Time and rest: due work comes at its time without traffic, an idle chain stands still, wrong clocks are noticed."""

import time

from tallystick.kernel.governance.operations import AdvanceClock
from tallystick.kernel.membership.records import Member, MemberState
from tallystick.ledger.engine import Committed, Cursor, Unknown
from tallystick.wire.ids import record_id
from tallystick.wire.instants import DAY_MS, MINUTE_MS, Instant
from tallystick.wire.status import Status
from tests.conformance.chain import check_chain, idle_height, until_proven
from tests.conformance.engines import Embedded, Running
from tests.support.ledger import CHAIN_ID
from tests.support.members import application, key_of

REVIEW_DAYS = 10


def apply_for_membership(running: Running) -> str:
    """Leave an application under review; nobody decides it. Returns the applicant's id."""
    raw = running.consortium.sign(application("newcomer"), name="apply", keys=(key_of("newcomer"),))
    done = running.engine.submit(raw)
    assert isinstance(done, Committed)
    assert done.status is Status.OK, done
    return record_id("mbr", CHAIN_ID, running.consortium.ids["mill"], "apply", 0)


def advance_to(running: Running, instant: Instant) -> None:
    done = running.engine.submit(running.consortium.sign(AdvanceClock(to=instant), by="governor"))
    assert isinstance(done, Committed)
    assert done.status is Status.OK, done
    running.consortium.now = instant


def state_of(running: Running, member: str) -> MemberState:
    row = running.engine.query(f"member/{member}").record
    assert isinstance(row, Member)
    return row.state


def until_expired(running: Running, member: str) -> None:
    until = time.monotonic() + 20
    while state_of(running, member) is MemberState.APPLIED:
        assert time.monotonic() < until, "the review's deadline passed and nothing happened"
        time.sleep(0.05)
    assert state_of(running, member) is MemberState.EXPIRED


def test_due_work_is_done_at_its_time_without_traffic(running: Running) -> None:
    before = running.engine.health().time
    newcomer = apply_for_membership(running)
    deadline = running.engine.light_block(running.engine.health().height).header.time // 1_000_000
    advance_to(running, Instant(deadline).plus(REVIEW_DAYS * DAY_MS - 2_500))
    assert state_of(running, newcomer) is MemberState.APPLIED
    until_expired(running, newcomer)
    told = [placed for placed in running.engine.events(Cursor()) if newcomer in placed.event.audience]
    assert told[-1].cursor.index == 0, "due work stands at block start"
    assert told[-1].time > before
    check_chain(running.engine, founded=running.founded)


def test_due_work_that_fell_due_while_nobody_was_there_is_done_on_opening(running: Running) -> None:
    newcomer = apply_for_membership(running)
    now = running.engine.health().time
    advance_to(running, now.plus(REVIEW_DAYS * DAY_MS - 2_000))
    assert state_of(running, newcomer) is MemberState.APPLIED
    running.close()
    running.let_pass(2_500)
    running.open()
    until_expired(running, newcomer)


def test_an_idle_chain_does_not_grow(running: Running) -> None:
    running.engine.submit(running.consortium.anchoring("last"))
    height = idle_height(running.engine)
    app_hash = running.engine.health().app_hash
    time.sleep(1.7)
    assert running.engine.health().height == height
    running.close()
    running.open()
    time.sleep(1.2)
    assert (running.engine.health().height, running.engine.health().app_hash) == (height, app_hash)


def test_one_block_proves_the_last_one_when_idle(running: Running) -> None:
    done = running.engine.submit(running.consortium.anchoring("last"))
    assert isinstance(done, Committed)
    assert idle_height(running.engine) == done.height + 1
    assert running.engine.transactions(done.height + 1) == []


def test_the_last_block_is_proven_after_a_restart(running: Running) -> None:
    done = running.engine.submit(running.consortium.anchoring("last"))
    assert isinstance(done, Committed)
    running.close()
    running.open()
    assert until_proven(running.engine, "protocol/chain").height == done.height


def test_closing_seals_the_block_that_proves_the_last_one(alone: Embedded) -> None:
    """A member that leaves can't: a block needs votes, and the others go on, or this one does when it is back."""
    done = alone.engine.submit(alone.consortium.anchoring("last"))
    assert isinstance(done, Committed)
    alone.close()
    alone.open()
    assert alone.engine.prove("protocol/chain").height == done.height


def test_after_a_jump_of_the_clock_nothing_is_ordered(alone: Embedded) -> None:
    """Neither way: deadlines of months could pass on a typing error.

    This is about the one clock that an operator has. A consortium's time is the median of many (tests/faults).
    """
    raw = alone.consortium.anchoring("before")
    assert isinstance(alone.engine.submit(raw), Committed)
    height = idle_height(alone.engine)
    alone.clock.jump(DAY_MS)
    refused = alone.engine.submit(alone.consortium.anchoring("jumped"))
    assert isinstance(refused, Unknown)
    assert "clock" in refused.reason
    assert "clock" in alone.engine.health().problem
    assert alone.engine.health().height == height
    alone.clock.jump(-DAY_MS)
    until = time.monotonic() + 10
    while alone.engine.health().problem:
        assert time.monotonic() < until, "the clock is right again and the engine does not see it"
        time.sleep(0.05)
    assert isinstance(alone.engine.submit(alone.consortium.anchoring("after")), Committed)


def test_a_clock_that_was_set_back_a_little_does_not_turn_time_back(alone: Embedded) -> None:
    first = alone.engine.submit(alone.consortium.anchoring("before"))
    before = alone.engine.health().time
    alone.clock.jump(-5 * MINUTE_MS)
    second = alone.engine.submit(alone.consortium.anchoring("after"))
    assert isinstance(first, Committed)
    assert isinstance(second, Committed)
    assert alone.engine.health().time > before
    check_chain(alone.engine)
