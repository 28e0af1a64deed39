"""The embedded engine: one process orders, executes and keeps the ledger (DESIGN section 6).

One writer thread takes what was handed in, has signatures checked ahead in a process of its own, executes, and commits
many transactions in one block with one synced write. Outcomes leave only after that write returned. After a write that
failed nothing is acknowledged any more: what was under way is `Unknown` and the engine reports its problem.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from nacl.signing import SigningKey

from tallystick.kernel import machine
from tallystick.kernel.chain_rows import Clock
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.genesis import Genesis
from tallystick.kernel.transaction import read, read_checked
from tallystick.ledger.archive import NS_PER_MS
from tallystick.ledger.engine import (
    Committed,
    Health,
    Outcome,
    RefusedAtDoor,
    Unknown,
)
from tallystick.ledger.engines.reading import StoreReading
from tallystick.ledger.execution import BlockExecution, Done, Repeated
from tallystick.ledger.process import wall_clock_ms
from tallystick.ledger.sealing import seal
from tallystick.ledger.signing_guard import SigningGuard
from tallystick.ledger.store import Batch, Family, Store
from tallystick.ledger.verification import VerificationProcess
from tallystick.proof import comet
from tallystick.wire.errors import DecodeError, InvariantViolation
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status

CHUNK = 500
CHUNKS_AHEAD = 8  # what is being checked while a block is built and written
MAX_BLOCK_TRANSACTIONS = 4_000
MAX_BLOCK_ROWS = 50_000  # a block that wrote more records takes no further chunk
MAX_WAITING = 1_000_000  # handed in and not yet in a block; more is refused as block_full
INLINE = 24  # so few signatures are checked faster here than by handing them over
IDLE_SECONDS = 0.5
CLOCK_JUMP_MS = 600_000
FAULTS_KEPT = 100


class _Ticket:
    """Transactions handed in together and, once all are durable, their outcomes."""

    __slots__ = ("done", "left", "outcomes", "raws")

    def __init__(self, raws: list[bytes], done: "Callable[[list[Outcome]], None]") -> None:
        self.raws = raws
        self.outcomes: list[Outcome | None] = [None] * len(raws)
        self.left = len(raws)
        self.done = done

    def settle(self, position: int, outcome: Outcome) -> None:
        """Say what became of one transaction; a second word about it is not heard."""
        if self.outcomes[position] is None:
            self.outcomes[position] = outcome
            self.left -= 1
            if self.left == 0:
                self.done(self.settled())

    def settled(self) -> list[Outcome]:
        """The outcomes as far as they are known."""
        return [outcome or Unknown("not ordered yet") for outcome in self.outcomes]


_Item = tuple[_Ticket, int]


@dataclass(slots=True)
class _Building:
    """A block in progress with the tickets that wait for it."""

    execution: BlockExecution
    waiting: list[tuple[_Ticket, int, Outcome]]


class EmbeddedEngine(StoreReading):
    """The engine contract on one store.

    `clock` gives wall time in milliseconds; tests pass their own. `guard` is the file outside of the store that keeps a
    restored copy from signing a height twice; a node always has one.
    """

    def __init__(
        self,
        store: Store,
        key: SigningKey,
        genesis: Genesis | None = None,
        clock: Callable[[], int] = wall_clock_ms,
        guard: SigningGuard | None = None,
    ) -> None:
        super().__init__(store, genesis)
        self._key = key
        self._clock = clock
        own = comet.ValidatorSet.of((comet.Validator(bytes(key.verify_key), 1),))
        if self._opened.validators.at(self._tip.height + 1).hash() != own.hash():
            raise DecodeError("the node key is not the validator that the genesis names")
        self._guard = guard
        if guard is not None and not self._held:
            guard.open(self.chain_id, self._tip.height, self._opened.predecessors)
        self._clock_reference: tuple[int, float] | None = None
        self._faults: deque[str] = deque(maxlen=FAULTS_KEPT)
        self._inbox: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._verifier = VerificationProcess()
        self._writer = threading.Thread(target=self._run, name="tallystick-writer", daemon=True)
        self._writer.start()

    def expect_load(self) -> None:
        """Start the verification process now, so that the first burst does not wait for it."""
        self._verifier.start()

    # Handing in

    def submit(self, raw: bytes, timeout_seconds: float = 60.0) -> Outcome:
        return self.submit_many([raw], timeout_seconds)[0]

    def submit_many(self, raws: list[bytes], timeout_seconds: float = 600.0) -> list[Outcome]:
        if not raws:
            return []
        finished = threading.Event()
        ticket = _Ticket(raws, lambda _: finished.set())
        self._hand_in(ticket)
        finished.wait(timeout_seconds)
        return ticket.settled()

    def submit_later(self, raw: bytes, done: Callable[[Outcome], None]) -> None:
        self._hand_in(_Ticket([raw], lambda outcomes: done(outcomes[0])))

    def _hand_in(self, ticket: _Ticket) -> None:
        answer: Outcome
        with self._changed:
            if self._stopping or self._problem:
                answer = Unknown(self._problem or "the engine is closing")
            elif len(self._inbox) + len(ticket.raws) > MAX_WAITING:
                answer = RefusedAtDoor(Status.BLOCK_FULL, {"waiting": len(self._inbox), "limit": MAX_WAITING})
            else:
                self._inbox.extend((ticket, position) for position in range(len(ticket.raws)))
                self._changed.notify()
                return
        for position in range(len(ticket.raws)):
            ticket.settle(position, answer)

    # The writer

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:  # allow(broad-except): whatever it was, this node must not acknowledge again
            self._problem = f"stopped: {type(error).__name__}: {error}"
        with self._changed:
            self._stopping = True
            left, self._inbox = list(self._inbox), deque()
        for ticket, position in left:
            ticket.settle(position, Unknown(self._problem or "the engine is closing"))
        with self._committed:
            self._committed.notify_all()

    def _work(self) -> None:
        sent: deque[list[_Item]] = deque()
        while True:
            items = self._take(wait=not sent)
            if items is None:
                return
            if not items and not sent:
                self._tend()
                continue
            if not self._clock_holds():
                self._answer_unknown([items, *sent])
                for _ in sent:
                    self._verifier.receive()
                sent.clear()
                continue
            self._build(items, sent)

    def _take(self, *, wait: bool) -> list[_Item] | None:
        """Up to a chunk of what was handed in; [] when it is time to look after due work; None when closing."""
        with self._changed:
            if wait and not self._inbox and not self._stopping:
                self._changed.wait(0.0 if not self._problem and self._is_due() else IDLE_SECONDS)
            if self._stopping and not self._inbox and wait:
                return None
            return [self._inbox.popleft() for _ in range(min(CHUNK, len(self._inbox)))]

    def _build(self, items: list[_Item], sent: deque[list[_Item]]) -> None:
        """Build and commit one block from `items` and what follows, checking signatures one chunk ahead."""
        building = None
        try:
            building = self._begin()
            if len(items) <= INLINE and not sent:
                self._add(building, items, [_refused(ticket.raws[position]) for ticket, position in items])
            else:
                if items:
                    self._send(items, sent)
                while sent:
                    self._top_up(sent)
                    self._add(building, sent[0], self._verifier.receive())
                    sent.popleft()
                    if len(building.execution) >= MAX_BLOCK_TRANSACTIONS or building.execution.rows > MAX_BLOCK_ROWS:
                        break
            self._commit(building)
        except BaseException:  # allow(broad-except): whoever waits is told, then it goes on its way
            added = [] if building is None else [(ticket, position) for ticket, position, _ in building.waiting]
            self._answer_unknown([added, items, *sent])
            raise

    def _top_up(self, sent: deque[list[_Item]]) -> None:
        while len(sent) < CHUNKS_AHEAD:
            more = self._take(wait=False)
            if not more:
                return
            self._send(more, sent)

    def _send(self, items: list[_Item], sent: deque[list[_Item]]) -> None:
        self._verifier.send([ticket.raws[position] for ticket, position in items])
        sent.append(items)

    def _answer_unknown(self, chunks: list[list[_Item]]) -> None:
        for items in chunks:
            for ticket, position in items:
                ticket.settle(position, Unknown(self._problem or "the block was not written"))

    def _begin(self) -> _Building:
        opened = self._opened
        execution = BlockExecution(
            opened.state,
            self._archive,
            opened.tree,
            opened.chain,
            opened.roots,
            self._tip.height + 1,
            self._block_time(),
        )
        return _Building(execution, [])

    def _add(self, building: _Building, items: list[_Item], verdicts: list[Refusal | None]) -> None:
        execution, waiting = building.execution, building.waiting
        for (ticket, position), verdict in zip(items, verdicts, strict=True):
            if verdict is not None:
                waiting.append((ticket, position, RefusedAtDoor(verdict.status, verdict.facts)))
                continue
            done = execution.add(read_checked(ticket.raws[position]))
            outcome: Outcome
            if isinstance(done, Done):
                receipt = done.receipt
                outcome = Committed(receipt.height, receipt.index, done.status, done.facts)
            elif isinstance(done, Repeated):
                outcome = self._repeated(execution, done)
            else:
                outcome = RefusedAtDoor(done.status, done.facts)
            waiting.append((ticket, position, outcome))

    def _repeated(self, execution: BlockExecution, repeated: Repeated) -> Committed:
        receipt = repeated.receipt
        if receipt.height == execution.block.height:
            first = execution.outcome(receipt.index)
            return Committed(receipt.height, receipt.index, first.status, first.facts)
        result = self._archive.result(receipt.body_hash)
        if result is None:
            raise InvariantViolation(f"receipt at {receipt.height}/{receipt.index} has no result")
        return result

    def _commit(self, building: _Building) -> None:
        """Write the block with one synced batch, then let its outcomes out."""
        executed = building.execution.finish()
        self._faults.extend(executed.faults)
        if not executed.is_empty or self._needs_proof_block():
            tip = seal(self._opened, executed, self._key)
            with self._reading:
                self._store.write(executed.batch)
                self._opened.advance(executed, tip)
                self._tip = tip
            if self._guard is not None:
                self._guard.record(tip.height)
        for ticket, position, outcome in building.waiting:
            ticket.settle(position, outcome)
        with self._committed:
            self._committed.notify_all()

    # Time and idleness

    def _block_time(self) -> Instant:
        return Instant(max(self._clock(), self._tip.time_ns // NS_PER_MS + 1))

    def _is_due(self) -> bool:
        clock = self._opened.state.find("clock/chain")
        offset = clock.offset_ms if isinstance(clock, Clock) else 0
        return machine.is_due(self._opened.state, self._block_time().plus(offset))

    def _needs_proof_block(self) -> bool:
        """Whether the present app hash stands in no header yet."""
        return not self._tip.is_attested

    def _tend(self) -> None:
        """Nothing was handed in: do due work, or seal the block that proves the last one."""
        if self._problem and not self._clock_holds():
            return
        if (self._is_due() or self._needs_proof_block()) and self._clock_holds():
            self._commit(self._begin())

    def _clock_holds(self) -> bool:
        """Whether this machine's clock moved as time did; after a jump the operator's word is needed."""
        if self._held:
            return False
        wall, steady = self._clock(), time.monotonic()
        if self._clock_reference is not None:
            wall_before, steady_before = self._clock_reference
            drift = (wall - wall_before) - int((steady - steady_before) * 1000)
            if abs(drift) > CLOCK_JUMP_MS:
                self._problem = f"the clock jumped by {drift // 1000} seconds; accept_clock takes the operator's word"
                return False
        if wall < self._tip.time_ns // NS_PER_MS - CLOCK_JUMP_MS:
            self._problem = "the clock is more than 10 minutes behind the last block; set it right"
            return False
        self._clock_reference = (wall, steady)
        if self._problem:
            with self._changed:
                self._problem = ""
        return True

    def accept_clock(self, word: str) -> None:
        """The operator's recorded word that this machine's clock is right after a jump."""
        batch = Batch()
        batch.put(Family.META, f"clock_word/{self._tip.height:020d}".encode(), word.encode())
        self._store.write(batch)
        with self._changed:
            self._clock_reference = None
            self._problem = self._held
            self._changed.notify()

    def health(self) -> Health:
        faults = (*self._faults, *filter(None, (self._verifier.problem,)))
        return self._state_of_health(faults, len(self._inbox))

    def close(self) -> None:
        """Finish what was handed in, seal the proof block, and let go of the directory. Safe to call twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._writer.join()
        with self._reading:
            if self._closed:
                return
            try:
                if not self._problem and self._needs_proof_block():
                    self._commit(self._begin())
            finally:
                self._closed = True
                self._verifier.close()
                if self._guard is not None:
                    self._guard.close()
                self._store.close()


def _refused(raw: bytes) -> Refusal | None:
    outcome = read(raw)
    return outcome if isinstance(outcome, Refusal) else None
