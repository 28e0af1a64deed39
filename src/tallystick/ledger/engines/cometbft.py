"""The engine contract on CometBFT: transactions go to the CometBFT beside this node, outcomes come with its blocks.

Entry into the mempool is no acknowledgement. An outcome is known once the block that holds the transaction is on this
node's disk; what the mempool's door refuses is told at once. Who hears `Unknown` submits the same bytes again, and is
answered from the ledger where they were ordered meanwhile (DESIGN section 6).
"""

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import nsmallest
from math import inf

from tallystick.kernel.core.refusal import Fact, Refusal
from tallystick.kernel.genesis import Genesis
from tallystick.kernel.transaction import body_hash_of, wake_bytes
from tallystick.ledger.comet.decided import Executed, outcomes_of
from tallystick.ledger.comet.gathering import GatheringLedger
from tallystick.ledger.comet.packets import divided, pack
from tallystick.ledger.comet.rpc import BATCH_TRANSACTIONS, Broadcast, CometRpc, Entry, RpcRefused, RpcUnreachable
from tallystick.ledger.engine import (
    Committed,
    Health,
    Outcome,
    RefusedAtDoor,
    Unknown,
)
from tallystick.ledger.execution import Done
from tallystick.ledger.process import wall_clock_ms
from tallystick.ledger.store import Store
from tallystick.wire.errors import DecodeError
from tallystick.wire.status import Status

IDLE_SECONDS = 1.0
WAKE_SECONDS = 1.0
RETRY_SECONDS = 0.25
WAITING_SECONDS = 600.0  # so long a transaction is waited for, and passed on again while CometBFT takes none
SWEEP_SECONDS = 5.0
AGAIN_SECONDS = 15.0  # so long a transaction waits for a block before it is passed on once more
MAX_WAITING = 200_000  # no more than CometBFT's mempool takes
MAY_BE_BEHIND = (Status.KEY_UNKNOWN, Status.SEEN_UNKNOWN, Status.POLICY_NOT_MET)
"""Why the door of a member that has not got the last block yet refuses what another's let in."""
MAX_BEHIND, MAX_BEHIND_BYTES, BEHIND_TRIES = 256, 64 << 10, 2

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Waiting:
    """One transaction and those who wait for it, each with the same bytes."""

    raw: bytes
    body_hash: bytes
    until: float
    passed_at: float = inf
    goes_alone: bool = False  # a packet has not brought it into a block
    is_passed_on: bool = False  # it may be in a mempool, here or elsewhere
    done: list[Callable[[Outcome], None]] = field(default_factory=list)


class CometEngine(GatheringLedger):
    """One member's engine. `rpc` reaches its own CometBFT, whose blocks arrive through `LedgerApplication`.

    `others` reach members who may have what came before this node joined.
    """

    def __init__(
        self,
        store: Store,
        genesis: Genesis,
        rpc: CometRpc,
        clock: Callable[[], int] = wall_clock_ms,
        others: tuple[CometRpc, ...] = (),
    ) -> None:
        super().__init__(store, genesis, rpc, clock, others)
        self._waiting: dict[bytes, _Waiting] = {}
        self._outgoing: deque[_Waiting] = deque()
        self._behind: OrderedDict[bytes, int] = OrderedDict()
        self._nudges: list[bytes] = []
        self._changed = threading.Condition()
        self._fault = ""
        self._work_waits = False
        self._due_since: float | None = None
        self._sender = self._thread("tallystick-sender", self._send)
        self._archivist = self._thread("tallystick-archivist", self.gather_lights)

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """A thread whose failure stops the node: without either of the two it would only seem to be well."""

        def run() -> None:
            try:
                work()
            except Exception as error:  # allow(broad-except): whatever it was, the operator must know
                _log.exception("%s failed", name)
                self.broke(error)

        return threading.Thread(target=run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to pass transactions on and to gather headers; CometBFT may come later."""
        self._sender.start()
        self._archivist.start()

    # Handing in

    def submit(self, raw: bytes, timeout_seconds: float = 60.0) -> Outcome:
        return self.submit_many([raw], timeout_seconds)[0]

    def submit_many(self, raws: list[bytes], timeout_seconds: float = 600.0) -> list[Outcome]:
        outcomes: list[Outcome | None] = [None] * len(raws)
        left = threading.Semaphore(0)

        def taker(position: int) -> Callable[[Outcome], None]:
            def take(outcome: Outcome) -> None:
                outcomes[position] = outcome
                left.release()

            return take

        takers = [taker(position) for position in range(len(raws))]
        for raw, take in zip(raws, takers, strict=True):
            self.submit_later(raw, take)
        until = time.monotonic() + timeout_seconds
        for _ in raws:
            if not left.acquire(timeout=max(0.0, until - time.monotonic())):
                break
        self._forget(raws, takers)
        return [outcome or Unknown("no block of this node holds it yet") for outcome in outcomes]

    def submit_later(self, raw: bytes, done: Callable[[Outcome], None]) -> None:
        body_hash = body_hash_of(raw)
        if isinstance(body_hash, Refusal):
            done(RefusedAtDoor(body_hash.status, body_hash.facts))
            return
        with self._changed:
            answer = self._at_once(body_hash)
            if answer is None:
                waiting = self._waiting.get(raw)
                if waiting is None:
                    waiting = self._waiting[raw] = _Waiting(raw, body_hash, time.monotonic() + WAITING_SECONDS)
                waiting.until = time.monotonic() + WAITING_SECONDS
                waiting.done.append(done)
                self._outgoing.append(waiting)
                self._changed.notify()
                return
        done(answer)

    def _at_once(self, body_hash: bytes) -> Outcome | None:
        """The answer that needs no block."""
        if self._stopping:
            return Unknown("the engine is closing")
        known = self._archive.result(body_hash)
        if known is not None:
            return known
        if self._fault:
            return Unknown(self._fault)
        if len(self._waiting) >= MAX_WAITING:
            return RefusedAtDoor(Status.BLOCK_FULL, {"waiting": len(self._waiting), "limit": MAX_WAITING})
        return None

    def _forget(self, raws: list[bytes], takers: list[Callable[[Outcome], None]]) -> None:
        """Whoever gave up waiting is told nothing any more."""
        with self._changed:
            for raw, take in zip(raws, takers, strict=True):
                waiting = self._waiting.get(raw)
                if waiting is None:
                    continue
                waiting.done = [done for done in waiting.done if done is not take]
                if not waiting.done:
                    del self._waiting[raw]

    def _settle(self, raw: bytes, outcome: Outcome) -> None:
        with self._changed:
            waiting = self._waiting.pop(raw, None)
        for done in waiting.done if waiting is not None else ():
            done(outcome)

    # What the application tells

    def started(self) -> None:
        """CometBFT is there anew, and its mempool is empty: what waits is passed on once more."""
        with self._changed:
            self._outgoing = deque(self._waiting.values())
            for waiting in self._outgoing:
                waiting.passed_at, waiting.goes_alone = inf, False
            self._changed.notify()

    def refused(self, raw: bytes, refusal: Refusal) -> None:
        """The mempool's door refused a transaction that may be waited for here."""
        if raw in self._waiting:
            self._settle(raw, self._outcome_of(raw, refusal.status, refusal.facts))
        elif refusal.status in MAY_BE_BEHIND and len(raw) <= MAX_BEHIND_BYTES and raw not in self._behind:
            self._behind[raw] = BEHIND_TRIES
            if len(self._behind) > MAX_BEHIND:
                self._behind.popitem(last=False)

    def turned_back(self, raws: list[bytes]) -> None:
        """These were in a packet with too much that was refused or waits already, here or at the others as well."""
        with self._changed:
            for raw in raws:
                waiting = self._waiting.get(raw)
                if waiting is not None:
                    waiting.goes_alone = True
                    self._outgoing.append(waiting)
            self._changed.notify()

    def _catch_up(self) -> None:
        """Let transactions in that came from another member before the block that they build on.

        That member's CometBFT passes each on once, and this one's forgets what the door refused: with too few members
        that have it, an idle chain would never propose it.
        """
        for raw, left in list(self._behind.items()):
            if left:
                self._behind[raw] = left - 1
                self._nudges.append(raw)
            else:
                del self._behind[raw]

    def committed(self, executed: Executed) -> None:
        """Let out the outcomes of a block that is on the disk."""
        if self._waiting:
            for raw, outcome in outcomes_of(executed):
                if raw not in self._waiting:
                    continue
                if isinstance(outcome, Done):
                    place = outcome.receipt
                    self._settle(raw, Committed(place.height, place.index, outcome.status, outcome.facts))
                else:
                    self._settle(raw, self._outcome_of(raw, outcome.status, outcome.facts))
        with self._changed:
            self._catch_up()
            self._changed.notify_all()

    def _outcome_of(self, raw: bytes, status: Status, facts: dict[str, Fact]) -> Outcome:
        waiting = self._waiting.get(raw)
        known = self._archive.result(waiting.body_hash) if waiting is not None else None
        return known or RefusedAtDoor(status, facts)

    def broke(self, error: Exception) -> None:
        """The application failed: nothing is ordered here any more."""
        self._stop_answering(f"stopped: {type(error).__name__}: {error}")

    def _stop_answering(self, reason: str) -> None:
        with self._changed:
            self._fault = self._fault or reason
            left, self._waiting = list(self._waiting.values()), {}
            self._outgoing.clear()
            self._changed.notify_all()
        for waiting in left:
            for done in waiting.done:
                done(Unknown(reason))

    # Passing on

    def _send(self) -> None:
        swept_at = time.monotonic()
        while True:
            if time.monotonic() - swept_at > SWEEP_SECONDS:
                swept_at = time.monotonic()
                self._give_up_the_oldest(swept_at)
                self._look_after_the_old(swept_at)
            with self._changed:
                if not self._outgoing and not self._nudges and not self._stopping:
                    self._changed.wait(IDLE_SECONDS)
                if self._stopping:
                    return
                nudges, self._nudges = self._nudges, []
                batch = [self._outgoing.popleft() for _ in range(min(BATCH_TRANSACTIONS, len(self._outgoing)))]
            if nudges:
                with suppress(RpcUnreachable, RpcRefused, DecodeError):
                    self._rpc.broadcast(nudges, is_checked=False)
            wanted = [waiting for waiting in batch if waiting.raw in self._waiting]
            if wanted:
                self._pass_on(wanted)
            elif not batch:
                self._wake()

    def _give_up_the_oldest(self, now: float) -> None:
        """Let nobody wait for ever: what was passed on may have been lost, with the mempools that held it."""
        with self._changed:
            oldest = [waiting.raw for waiting in self._waiting.values() if waiting.until < now]
        for raw in oldest:
            self._settle(raw, Unknown("no block of this node held it in time"))

    def _look_after_the_old(self, now: float) -> None:
        """Pass on once more what no block came to hold: a mempool forgets with its process, and says nothing of it."""
        with self._changed:
            old = (waiting for waiting in self._waiting.values() if now - waiting.passed_at > AGAIN_SECONDS)
            for waiting in nsmallest(BATCH_TRANSACTIONS, old, key=lambda waiting: waiting.passed_at):
                waiting.goes_alone = True  # so that nothing that others did with its packet holds it up
                self._outgoing.append(waiting)

    def _pass_on(self, batch: list[_Waiting]) -> None:
        now = time.monotonic()
        for waiting in batch:
            waiting.passed_at = now
        together = {waiting.raw: waiting for waiting in batch if not waiting.goes_alone}
        parts = [[together[raw] for raw in raws] for raws in divided(together)]
        parts += [[waiting] for waiting in batch if waiting.goes_alone]
        raws = [part[0].raw if len(part) == 1 else pack([waiting.raw for waiting in part]) for part in parts]
        try:
            answers = self._rpc.broadcast(raws, is_checked=False)
            self._unreachable = ""
        except (RpcUnreachable, RpcRefused, DecodeError) as error:
            for waiting in batch:  # any of them may have been taken
                waiting.is_passed_on = waiting.is_passed_on or not isinstance(error, RpcRefused)
            self._again(batch, str(error))
            return
        behind = []
        for part, answer in zip(parts, answers, strict=True):
            if answer.entry is Entry.CATCHING_UP:
                behind.extend(part)
                continue
            for waiting in part:
                outcome = self._entered(waiting, answer)
                if outcome is not None:
                    self._settle(waiting.raw, outcome)
        if behind:
            self._again(behind, "the CometBFT of this node is behind the others and catches up")

    def _again(self, batch: list[_Waiting], reason: str) -> None:
        """Pass these on once more in a while, as long as somebody may wait for them."""
        self._unreachable = reason
        now = time.monotonic()
        for waiting in batch:
            if waiting.until < now:
                self._settle(waiting.raw, Unknown(reason))
        with self._changed:
            self._outgoing.extendleft(reversed([waiting for waiting in batch if waiting.until >= now]))
            if not self._stopping:
                self._changed.wait(RETRY_SECONDS)

    def _entered(self, waiting: _Waiting, answer: Broadcast) -> Outcome | None:
        """What is known of a transaction by its entry into the mempool, if anything."""
        match answer.entry:
            case Entry.FULL if waiting.is_passed_on:  # asked before it is looked for: it may wait there since earlier
                return self._archive.result(waiting.body_hash)
            case Entry.FULL:
                return RefusedAtDoor(Status.BLOCK_FULL, {"limit": MAX_WAITING})
            case Entry.TOO_LARGE:
                return RefusedAtDoor(Status.TOO_LARGE, {"size": len(waiting.raw)})
            case Entry.FAILED:
                return Unknown(answer.log)
            case _:
                waiting.is_passed_on = True
                return self._archive.result(waiting.body_hash)  # it may have been ordered meanwhile

    def _wake(self) -> None:
        """Ask for a block where work has been due for a moment and none comes."""
        if self._unreachable and self._rpc.health():
            self._unreachable = ""
        if not self._work_waits:
            self._due_since = None
            return
        now = time.monotonic()
        self._due_since = self._due_since or now
        if now - self._due_since < WAKE_SECONDS:
            return
        self._due_since = None
        try:
            self._rpc.broadcast([wake_bytes(self._tip.height + 1)], is_checked=False)
        except (RpcUnreachable, RpcRefused, DecodeError) as error:
            self._unreachable = str(error)

    def look(self) -> None:
        """Notice whether work is due; for the thread that executes blocks, which alone may list the queues."""
        self._work_waits = self._tip.is_attested and self.is_due()

    # Being

    def health(self) -> Health:
        size = len(self.validators_at(self._tip.height + 1).validators)
        problem = self._fault or self._problem or self._unreachable
        told = self._state_of_health(tuple(self.faults), len(self._waiting))
        return Health(
            told.height,
            told.time,
            told.app_hash,
            problem,
            told.faults,
            told.waiting,
            f"{size} validators, over two thirds",
        )

    def close(self) -> None:
        """Let go of the store; what was handed in and not seen in a block is Unknown. Safe to call twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._stop_answering("the engine is closing")
        with self._committed:
            self._committed.notify_all()
        for thread in (self._sender, self._archivist):
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(timeout=10)
        with self._reading:
            if not self._closed:
                self._closed = True
                self._rpc.close()
                self._store.close()
