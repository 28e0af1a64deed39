"""The machine: (state, block) -> results and events. Read it as the table of contents.

decode        transaction.read: canonical bytes, typed fields, signatures that verify
door          this chain, in time, known keys, each organisation's own signing policy; else nothing is written
execute       each operation in turn: entitled, check, apply; all of them or none
block start   record what the engine reports of validators; due work: expire, unlock, pay, release, mark overdue
"""

from collections.abc import Iterator

import msgspec

from tallystick.kernel.chain_rows import Closed
from tallystick.kernel.core import codec
from tallystick.kernel.core.events import Event
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.record import Queue, due_row
from tallystick.kernel.core.refusal import Fact, Refusal, refuse
from tallystick.kernel.core.state import Overlay, State
from tallystick.kernel.core.step import Block, Chain, Step
from tallystick.kernel.due_faults import DueFault, due_failed
from tallystick.kernel.governance.misbehaviour import record_misbehaviours
from tallystick.kernel.membership.door import check_signatures
from tallystick.kernel.membership.records import Member, Role
from tallystick.kernel.operations import DUE_WORK
from tallystick.kernel.transaction import Transaction
from tallystick.wire.envelope import NOT_AFTER_LIMIT_MS
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status

SYSTEM = "block"
MAX_DUE_WRITES = 20_000  # of a block's due work, each row counted every time: they measure its work as well
MAX_WRITES = 50_000  # of one transaction: they measure the work that its operations make for every node


class Result(msgspec.Struct, frozen=True):
    """What became of a transaction that was ordered: final, refused or not."""

    status: Status
    facts: dict[str, Fact] = {}
    events: tuple[Event, ...] = ()
    fault: str = ""  # for the operator's alarm; never part of what is hashed


def door(state: State, chain: Chain, block: Block, transaction: Transaction) -> Refusal | None:
    """Why a decoded transaction is not let in, or None. It looks at no business state and changes nothing."""
    body = transaction.body
    if body.chain != chain.chain_id:
        return refuse(Status.WRONG_CHAIN, chain=chain.chain_id)
    if body.not_after < block.time:
        return refuse(Status.EXPIRED, not_after=body.not_after, block_time=block.time)
    if body.not_after > block.time + NOT_AFTER_LIMIT_MS:
        return refuse(Status.NOT_AFTER_TOO_FAR, not_after=body.not_after, block_time=block.time)
    if state.find("closed/chain") is not None:
        return refuse(Status.CHAIN_CLOSED, successor=_successor(state))
    if body.cosigners and (body.actor in body.cosigners or list(body.cosigners) != sorted(set(body.cosigners))):
        return refuse(Status.NOT_CANONICAL, reason="cosigners are not sorted, unique and other than the actor")
    if len(body.operations) > chain.max_operations:
        return refuse(Status.TOO_MANY_OPERATIONS, limit=chain.max_operations)
    if body.seen is not None and state.block_hash(body.seen.height) != body.seen.block:
        return refuse(Status.SEEN_UNKNOWN, height=body.seen.height)
    return check_signatures(state, transaction.organisations, body.operations, transaction.keys)


def _successor(state: State) -> str:
    row = state.find("closed/chain")
    return row.successor if isinstance(row, Closed) else ""


def execute(state: Overlay, chain: Chain, block: Block, index: int, transaction: Transaction) -> Result:
    """Do all operations of a transaction that passed the door, or none, over the block's overlay `state`."""
    state.begin()
    body = transaction.body
    step = Step(chain, block, state, index, (body.actor, body.id), transaction.organisations)
    try:
        outcome = _operations(step, body.operations)
    except (MemoryError, OSError):
        raise
    except Exception as error:  # allow(broad-except): any bug must refuse alike on every node, not stop them all
        state.rollback()
        return Result(Status.KERNEL_FAULT, fault=f"{type(error).__name__}: {error}")
    if not isinstance(outcome, Refusal):
        outcome = _without_room(state) or outcome
    if isinstance(outcome, Refusal):
        state.rollback()
        return Result(outcome.status, outcome.facts)
    state.accept(transaction.body_hash)
    return Result(Status.OK, events=tuple(outcome))


def _without_room(state: Overlay) -> Refusal | None:
    """Refuse a new record whose bucket of the state tree is full, which only ground ids can bring about."""
    for key in state.created():
        if not state.has_room(key):
            return refuse(Status.BUCKET_FULL, record=key)
    return None


def _operations(step: Step, operations: tuple[Operation, ...]) -> list[Event] | Refusal:
    events: list[Event] = []
    needed: set[str] = set()
    for index, operation in enumerate(operations):
        step.begin(index)
        refusal = _entitled(step, operation, needed) or operation.check(step)
        if refusal is not None:
            return _at_operation(refusal, index, len(operations))
        step.open_for_writing()
        events.extend(operation.apply(step))
        if step.written > MAX_WRITES:
            return refuse(Status.TOO_MANY, operation=index, limit=MAX_WRITES)
    if len(needed) < len(step.organisations):
        spare = next(name for name in step.organisations if name not in needed)
        return refuse(Status.SUPERFLUOUS_SIGNATURE, organisation=spare)
    return events


def _at_operation(refusal: Refusal, index: int, count: int) -> Refusal:
    return refusal if count == 1 else Refusal(refusal.status, {**refusal.facts, "operation": index})


def _entitled(step: Step, operation: Operation, needed: set[str]) -> Refusal | None:
    """Whether the signing organisations are those whom the operation needs, and may act at all."""
    signers = operation.authority(step)
    if isinstance(signers, Refusal):
        return signers
    acting = _acting(step, signers)
    if isinstance(acting, Refusal):
        return acting
    for name in acting:
        member = step.find(Member, name)
        if member is None or not member.is_member:
            return refuse(Status.NOT_A_MEMBER, organisation=name)
        if not operation.while_suspended and not member.is_admitted:
            return refuse(Status.SUSPENDED, organisation=name)
    needed.update(acting)
    return None


def _acting(step: Step, signers: Signers) -> tuple[str, ...] | Refusal:
    """Those of the signing organisations by whom `signers` is met."""
    for name in signers.all_of:
        if name not in step.organisations:
            return refuse(Status.NOT_A_PARTY, missing=name)
    acting = signers.all_of
    if signers.one_of:
        chosen = [name for name in step.organisations if name in signers.one_of]
        if not chosen:
            return refuse(Status.NOT_A_PARTY, missing=" or ".join(signers.one_of))
        acting += tuple(chosen)
    if signers.role:
        role = Role(signers.role)
        holders = []
        for name in step.organisations:
            member = step.find(Member, name)
            if member is not None and member.has_role(role):
                holders.append(name)
        if len(holders) < signers.quorum:
            return refuse(Status.ROLE_MISSING, role=signers.role, signed=len(holders), needed=signers.quorum)
        acting += tuple(holders[: signers.quorum])
    return acting


def due_work(state: Overlay, chain: Chain, block: Block) -> tuple[list[Event], list[str]]:
    """What is due at block start, in the order of the queues, bounded; the rest waits for the next block.

    Before it, what the engine reports of validators. Returns the events and, for the operator's alarm, the faults. A
    record whose work faults is left as it is, marked, and skipped from then on; it never blocks the others. A closed
    chain does nothing more: its successor begins with what stands, and does what is due.
    """
    events: list[Event] = []
    faults: list[str] = []
    if state.find("closed/chain") is not None:
        return events, faults
    if block.misbehaviours:
        events.extend(_reported(state, chain, block, faults))
    budget, written = chain.max_due_per_block, 0
    for queue in Queue:
        rows = state.index_range(f"due/{int(queue)}/", f"due/{int(queue)}/{int(block.time) + 1:015d}")
        for row in _first((row for row in rows if state.find(f"due_fault/{row}") is None), budget):
            if not _stands(state, row):
                continue  # earlier work of this block ended it, as a transfer's deadline ends its review
            budget -= 1
            state.begin()
            step = Step(chain, block, state, 0, (SYSTEM, f"{block.height}/{row}"), ())
            step.begin(0)
            step.open_for_writing()
            try:
                done = _due(step, queue, row.split("/", 3)[3])
            except (MemoryError, OSError):
                raise
            except Exception as error:  # allow(broad-except): as in `execute`; one record must not stop the chain
                faults.append(f"{row}: {type(error).__name__}: {error}")
                state.rollback()
                state.put(DueFault(id=row, height=block.height))
                done = [due_failed(row, (), height=block.height)]
            events.extend(done)
            state.accept(block.seed)
            written += step.written
            if budget <= 0 or written > MAX_DUE_WRITES:
                return events, faults
    return events, faults


def _reported(state: Overlay, chain: Chain, block: Block, faults: list[str]) -> list[Event]:
    """Record what the block's engine reports of validators, apart from all other work of the block."""
    state.begin()
    step = Step(chain, block, state, 0, (SYSTEM, f"{block.height}/misbehaviours"), ())
    step.begin(0)
    step.open_for_writing()
    try:
        events = list(record_misbehaviours(step))
    except (MemoryError, OSError):
        raise
    except Exception as error:  # allow(broad-except): as in `execute`; whoever misbehaved must not stop the chain
        faults.append(f"misbehaviours: {type(error).__name__}: {error}")
        state.rollback()
        return []
    state.accept(block.seed)
    return events


def is_due(state: State, time: Instant) -> bool:
    """Whether a block at business time `time` would have due work to do."""
    if state.find("closed/chain") is not None:
        return False
    for queue in Queue:
        for row in state.index_range(f"due/{int(queue)}/", f"due/{int(queue)}/{int(time) + 1:015d}"):
            if state.find(f"due_fault/{row}") is None:
                return True
    return False


def _first(rows: Iterator[str], count: int) -> list[str]:
    """At most `count` rows, taken before any work changes the index."""
    return [row for row, _ in zip(rows, range(count), strict=False)]


def _stands(state: State, row: str) -> bool:
    """Whether the record of a due row still asks for that work."""
    key = row.split("/", 3)[3]
    record = state.find(key)
    return record is not None and any(due_row(due, key) == row for due in record.due())


def _due(step: Step, queue: Queue, key: str) -> list[Event]:
    record = step.at(key)
    if record is None:
        raise InvariantViolation(f"due row for {key}, which is gone")
    handler = DUE_WORK.get((queue, record.table))
    if handler is None:
        raise InvariantViolation(f"nothing is declared for {record.table} in queue {queue.name}")
    events = list(handler(step, record))
    after = step.at(key)
    if after is not None and any(q is queue and at <= step.now for q, at in after.due()):
        raise InvariantViolation(f"{key} is still due in queue {queue.name} after its work")
    return events


def result_data(status: Status, facts: dict[str, Fact], events_hash: str) -> bytes:
    """The `data` of a result, covered by the block's LastResultsHash: canonical(status, facts, events hash)."""
    return codec.encode({"events": events_hash, "facts": facts, "status": status.label})
