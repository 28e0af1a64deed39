"""What becomes of a member's live business when it is suspended, succeeded or insolvent.

Other modules say it for their own records, at import:

    on_suspended("transfer", handler)    handler(step, record, member) -> events; ends what is not yet accepted
    on_succeeded("receivable", handler)  handler(step, record, member, successor) -> events
    on_insolvent("receivable", handler)  handler(step, record, member) -> events

A handler meets every live record of its table that names the member (the `live/<member>/` index) once, whatever state
it is in, and leaves alone what does not concern it. The walk goes in batches of bounded size: the first in the step
that begins it, the others as due work of the next blocks. A succession without a handler of its own renames the member
to its successor in the record.
"""

from collections.abc import Callable, Iterator
from enum import Enum
from typing import TypeAlias

import msgspec

from tallystick.kernel.core import codec
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import MemberId
from tallystick.kernel.core.record import Queue, Record, decode_record
from tallystick.kernel.core.step import Step
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import Instant

BATCH = 200

Handler: TypeAlias = Callable[[Step, Record, str], Iterator[Event]]
SuccessionHandler: TypeAlias = Callable[[Step, Record, str, str], Iterator[Event]]

SUSPENSIONS: dict[str, Handler] = {}
INSOLVENCIES: dict[str, Handler] = {}
SUCCESSIONS: dict[str, SuccessionHandler] = {}

SUCCEEDED_IN = EventKind("member.succeeded_in", "{successor} takes the place of {member} in {record}.")


class Cause(Enum):
    """Why a member's live business is walked through."""

    SUSPENDED = "suspended"
    SUCCEEDED = "succeeded"
    INSOLVENT = "insolvent"


class Walk(Record):
    """A walk through a member's live records that has not come to its end. Id `<member>.<cause>`."""

    table = "walk"

    member: MemberId
    cause: Cause
    at: Instant
    done_to: str
    successor: MemberId | None = None

    def due(self) -> tuple[tuple[Queue, Instant], ...]:
        return ((Queue.EXPIRE, self.at),)


def on_suspended(table: str, handler: Handler) -> None:
    """Say what a suspension does to records of `table`: its own unaccepted requests end and unlock."""
    _register(SUSPENSIONS, table, handler)


def on_insolvent(table: str, handler: Handler) -> None:
    """Say what an insolvency does to records of `table`: debts fall due, automatic payment stops."""
    _register(INSOLVENCIES, table, handler)


def on_succeeded(table: str, handler: SuccessionHandler) -> None:
    """Say how a succession passes records of `table`, where renaming the member in them is not enough."""
    if table in SUCCESSIONS:
        raise InvariantViolation(f"two handlers for {table}")
    SUCCESSIONS[table] = handler


def _register(handlers: dict[str, Handler], table: str, handler: Handler) -> None:
    if table in handlers:
        raise InvariantViolation(f"two handlers for {table}")
    handlers[table] = handler


def begin_walk(step: Step, member: str, cause: Cause, successor: str | None = None) -> Iterator[Event]:
    """Walk through the first batch of a member's live records; the rest follows as due work."""
    start = f"live/{member}/"
    yield from walk_on(
        step,
        Walk(id=f"{member}.{cause.value}", member=member, cause=cause, at=step.now, done_to=start, successor=successor),
    )


def stop_walk(step: Step, member: str, cause: Cause) -> None:
    """Give up a walk under way, where its cause is gone."""
    walk = step.find(Walk, f"{member}.{cause.value}")
    if walk is not None:
        step.delete(walk)


def walk_on(step: Step, walk: Walk) -> Iterator[Event]:
    """Handle the next batch and write where it ended, or remove the walk at its end."""
    rows = step.overlay.index_range(walk.done_to + "\x00", f"live/{walk.member}/\x7f")
    batch = [row for row, _ in zip(rows, range(BATCH), strict=False)]
    for row in batch:
        record = step.at(row.split("/", 2)[2])
        # An earlier record's handler may have ended this one, as a request's end ends its review.
        if record is not None and walk.member in record.live_for():
            yield from _handle(step, walk, record)
    if len(batch) == BATCH:
        step.put(msgspec.structs.replace(walk, done_to=batch[-1], at=step.now.plus(1)))
    elif step.find(Walk, walk.id) is not None:
        step.delete(walk)


def carry_on_walk(step: Step, record: Record) -> Iterator[Event]:
    """The next batch of a walk (due work)."""
    if not isinstance(record, Walk):
        raise InvariantViolation(f"{record.key} is not a walk")
    yield from walk_on(step, record)


def _handle(step: Step, walk: Walk, record: Record) -> Iterator[Event]:
    if walk.cause is Cause.SUCCEEDED:
        if walk.successor is None:
            raise InvariantViolation(f"{walk.id} names no successor")
        yield from SUCCESSIONS.get(record.table, rename)(step, record, walk.member, walk.successor)
        return
    handlers = SUSPENSIONS if walk.cause is Cause.SUSPENDED else INSOLVENCIES
    handler = handlers.get(record.table)
    if handler is not None:
        yield from handler(step, record, walk.member)


def rename(step: Step, record: Record, member: str, successor: str) -> Iterator[Event]:
    """Put `successor` in the place of `member` throughout a record whose own key does not name the member."""
    if member in record.key:
        raise InvariantViolation(f"{record.key} needs a handler of its own for a succession")
    text = codec.encode(record).replace(member.encode(), successor.encode())
    step.put(decode_record(record.key, text))
    yield SUCCEEDED_IN(record.id, (member, successor), member=member, successor=successor)
