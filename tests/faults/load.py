"""Clients that submit signed steps, try again through whatever happens, and remember what was acknowledged."""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tallystick.ledger.engine import Committed, RefusedAtDoor
from tallystick.ledger.socket_client import EngineClient
from tallystick.wire import envelope
from tallystick.wire.status import Status
from tests.faults.member import Member, until
from tests.support.ledger import Consortium

PATIENCE_SECONDS = 10.0
AGAIN_SECONDS = 0.2
DRAIN_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Done:
    """A step that was acknowledged: where it stands, and how long its client waited, retries and all."""

    body_hash: bytes
    outcome: Committed
    seconds: float


class Load:
    """Each client hands a few steps to a member it picks and waits; what is unknown it hands, the same bytes, to
    whichever it picks next. So each step is acknowledged in the end, and must have been applied exactly once.
    """

    def __init__(self, members: Sequence[Member], steps: Consortium, chance: random.Random, clients: int = 3) -> None:
        self.done: list[Done] = []
        self.refused: list[tuple[Status, str]] = []
        self._members = list(members)
        self._steps = steps
        self._count = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._given_up = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(random.Random(chance.random()),), daemon=True)
            for _ in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def acknowledged(self) -> int:
        """How many steps were acknowledged so far."""
        return len(self.done)

    def wait_more(self, steps: int, seconds: float) -> float:
        """Wait until so many more are acknowledged; returns how long that took."""
        before = self.acknowledged
        return until(lambda: self.acknowledged >= before + steps, seconds, f"{steps} more steps are acknowledged")

    def stop(self) -> None:
        """Hand in nothing new, and wait until all that was handed in is acknowledged."""
        self._ended.set()
        give_up = time.monotonic() + DRAIN_SECONDS
        for thread in self._threads:
            thread.join(max(give_up - time.monotonic(), 0.0))
        open_yet = sum(thread.is_alive() for thread in self._threads)
        self._given_up.set()
        assert not open_yet, f"{open_yet} clients still wait for an outcome"
        assert not self.refused, f"honest steps were refused at the door: {Counter(self.refused)}"

    def abandon(self) -> None:
        """Let the clients end, whatever they wait for."""
        self._ended.set()
        self._given_up.set()

    def _work(self, chance: random.Random) -> None:
        clients: dict[int, EngineClient] = {}
        while not self._ended.is_set():
            self._hand_in(chance, clients, [self._next_step() for _ in range(chance.randint(1, 8))])
            time.sleep(chance.random() * 0.05)
        for client in clients.values():
            client.close()

    def _next_step(self) -> bytes:
        with self._lock:
            self._count += 1
            return self._steps.anchoring(f"document {self._count}", name=f"load-{self._count}")

    def _hand_in(self, chance: random.Random, clients: dict[int, EngineClient], steps: list[bytes]) -> None:
        began = time.monotonic()
        while steps and not self._given_up.is_set():
            member = chance.choice(self._members)
            try:
                if member.number not in clients:
                    clients[member.number] = EngineClient(member.home / "engine.sock")
                outcomes = clients[member.number].submit_many(steps, PATIENCE_SECONDS)
            except OSError:
                time.sleep(AGAIN_SECONDS)
                continue
            left = []
            for raw, outcome in zip(steps, outcomes, strict=True):
                if isinstance(outcome, Committed):
                    self.done.append(Done(envelope.parse(raw).body_hash, outcome, time.monotonic() - began))
                elif isinstance(outcome, RefusedAtDoor):
                    self.refused.append((outcome.status, str(outcome.facts)))
                else:
                    left.append(raw)
            steps = left
            if steps:
                time.sleep(AGAIN_SECONDS)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie; 0 where there are none."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else 0.0
