"""The load on a consortium: transactions handed to all members in turn, and watched into blocks.

A chain is a run of transactions each of which stands on the one before, such as the steps of one receivable: the next
is sent when the last was seen in a block. Chains that were begun go before new ones, so the kinds of steps are mixed
evenly. So many are on their way at a time, no more; what the mempool does not take is sent again.

Seen in a block: fetched whole from the first member, asked for every `POLL_SECONDS`. All of this is the same for every
application, but for the way in (`WayIn`): the key-value store's is CometBFT's RPC, ours the node's socket. The
generator's own processor time is told.
"""

import base64
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from msgspec import Struct

from tallystick.ledger.comet.rpc import CometRpc, Entry, RpcRefused, RpcUnreachable
from tallystick.ledger.engine import Committed
from tallystick.ledger.socket_client import EngineClient

BATCH = 100
POLL_SECONDS = 0.02
IDLE_SECONDS = 0.005
PATIENCE_SECONDS = 60.0  # without a block
ATTEMPTS = 10

Chain: TypeAlias = Sequence[bytes]


class _Data(Struct):
    txs: list[bytes] | None


class _Block(Struct):
    data: _Data


class _BlockForm(Struct):
    block: _Block


class _CheckForm(Struct):
    code: int


class _CommitForm(Struct):
    check_tx: _CheckForm
    tx_result: _CheckForm


@dataclass(slots=True)
class _UnderWay:
    chain: Chain
    position: int
    sent_at: float


@dataclass
class Window:
    """What was committed between two blocks, and how long each took from being sent to being seen in a block."""

    transactions: int = 0
    blocks: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    sender_cpu_seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return self.transactions / self.seconds if self.seconds else 0.0


class WayIn(Protocol):
    """How transactions are handed to one member."""

    def hand_in(self, raws: list[bytes]) -> list[bytes]:
        """Returns those that the member has no room for yet, at once. Raises RuntimeError where one is refused."""

    def close(self) -> None: ...


class ByRpc:
    """Transactions go into CometBFT's mempool, one by one."""

    def __init__(self, address: str) -> None:
        self._rpc = CometRpc(address, 30.0)

    def hand_in(self, raws: list[bytes]) -> list[bytes]:
        for _ in range(ATTEMPTS):  # CometBFT hangs up on whom it keeps waiting for 10 seconds, and has taken them
            with contextlib.suppress(RpcUnreachable):
                answers = self._rpc.broadcast(raws, is_checked=False)
                break
        else:
            raise RuntimeError(f"CometBFT at {self._rpc.address} does not answer")
        for answer in answers:
            if answer.entry not in {Entry.PASSED_ON, Entry.IN_CACHE, Entry.FULL}:
                raise RuntimeError(f"a transaction was not taken: {answer}")
        return [raw for raw, answer in zip(raws, answers, strict=True) if answer.entry is Entry.FULL]

    def close(self) -> None:
        self._rpc.close()


class BySocket:
    """Transactions go to the member's node, as its organisation's programs hand them in; who waits hears of each."""

    def __init__(self, socket: Path, in_flight: int) -> None:
        self._client = EngineClient(socket)
        self._waiting = ThreadPoolExecutor(in_flight // BATCH + 1)
        self._refused: object = None

    def hand_in(self, raws: list[bytes]) -> list[bytes]:
        if self._refused is not None:
            raise RuntimeError(f"a transaction was not taken: {self._refused}")
        self._waiting.submit(self._await, raws)
        return []

    def _await(self, raws: list[bytes]) -> None:
        for outcome in self._client.submit_many(raws):
            if not isinstance(outcome, Committed):
                self._refused = outcome

    def close(self) -> None:
        self._waiting.shutdown()
        self._client.close()


class Load:
    """One run. `edges` is called at the first and the last block of the window, to read other clocks."""

    def __init__(
        self,
        address: str,
        ways: Sequence[WayIn],
        chains: Iterator[Chain],
        in_flight: int,
        edges: Callable[[], None] = lambda: None,
    ) -> None:
        self._rpc = CometRpc(address, 30.0)
        self._ways = ways
        self._chains = chains
        self._in_flight = in_flight
        self._edges = edges
        self._next: deque[tuple[Chain, int]] = deque()
        self._under_way: dict[bytes, _UnderWay] = {}
        self._sending = 0  # taken by a sender, not on its way yet
        self._lock = threading.Lock()
        self._stopping = False
        self._is_dry = False
        self._problem: Exception | None = None
        self.window = Window()

    def run(self, warm_up_seconds: float, window_seconds: float) -> Window:
        """Send until the window is over or the chains run dry, then wait for what is under way."""
        with self._senders() as first:
            height = self._watch(first, warm_up_seconds, window_seconds)
        self._until(height, lambda: not self._under_way)
        return self.window

    def complete(self) -> None:
        """Send all chains to their ends."""
        with self._senders() as height:
            self._until(height, lambda: self._is_dry and not (self._next or self._sending or self._under_way))

    @contextlib.contextmanager
    def _senders(self) -> Iterator[int]:
        """One sender to each member at work; the height of the next block."""
        senders = [threading.Thread(target=self._send, args=(way,), daemon=True) for way in self._ways]
        height = self._rpc.status().height + 1
        for sender in senders:
            sender.start()
        try:
            yield height
        finally:
            self._stopping = True
            for sender in senders:
                sender.join()

    def _watch(self, height: int, warm_up_seconds: float, window_seconds: float) -> int:
        """Follow the blocks until the window is over; returns the next height."""
        started = last = time.perf_counter()
        begun: float | None = None
        burnt = 0.0
        while self._problem is None:
            found = self._seen(height, counting=begun is not None)
            now = time.perf_counter()
            if found is None:
                if now - last > PATIENCE_SECONDS:
                    raise RuntimeError(f"no block {height} comes, and {len(self._under_way)} are under way")
                time.sleep(POLL_SECONDS)
                continue
            height, last = height + 1, now
            if begun is None:
                if self._is_dry:
                    raise RuntimeError("the chains ran dry before the window began")
                if now - started >= warm_up_seconds:
                    begun, burnt = now, time.process_time()
                    self._edges()
                continue
            self.window.transactions += found
            self.window.blocks += 1
            self.window.seconds = now - begun
            if self.window.seconds >= window_seconds or self._is_dry:
                self.window.sender_cpu_seconds = time.process_time() - burnt
                self._edges()
                return height
        raise self._problem

    def _until(self, height: int, is_over: Callable[[], bool]) -> None:
        """Follow the blocks from `height` on. Raises RuntimeError where none with ours comes for long."""
        until = time.perf_counter() + PATIENCE_SECONDS
        while not is_over():
            found = self._seen(height, counting=False)
            if found is None:
                time.sleep(POLL_SECONDS)
            else:
                height += 1
            if found:
                until = time.perf_counter() + PATIENCE_SECONDS
            if self._problem is not None:
                raise self._problem
            if time.perf_counter() > until:
                raise RuntimeError(f"{len(self._under_way)} transactions do not come into a block")
        for way in self._ways:
            way.close()
        self._rpc.close()

    def _seen(self, height: int, *, counting: bool) -> int | None:
        """Take note of the block at `height`: how many of ours it has; None where there is no such block yet."""
        try:
            form = self._rpc.ask("block", _BlockForm, height=str(height))
        except RpcRefused:
            return None
        now = time.perf_counter()
        count = 0
        with self._lock:
            for raw in form.block.data.txs or ():
                known = self._under_way.pop(raw, None)
                if known is None:
                    continue
                count += 1
                if counting:
                    self.window.latencies.append(now - known.sent_at)
                if known.position + 1 < len(known.chain):
                    self._next.append((known.chain, known.position + 1))
        return count

    def _take(self) -> list[tuple[Chain, int]]:
        """The next batch for one member: its share of what may be sent now."""
        with self._lock:
            room = self._in_flight - len(self._under_way) - self._sending
            taken: list[tuple[Chain, int]] = []
            while len(taken) < min(room, BATCH):
                if self._next:
                    taken.append(self._next.popleft())
                    continue
                chain = next(self._chains, None)
                if chain is None:
                    self._is_dry = True
                    break
                taken.append((chain, 0))
            self._sending += len(taken)
            return taken

    def _send(self, way: WayIn) -> None:
        while not self._stopping:
            taken = self._take()
            if not taken:
                time.sleep(IDLE_SECONDS)
                continue
            try:
                self._hand_over(way, taken)
            except (RuntimeError, ValueError, RpcRefused) as error:
                self._problem = error
                return

    def _hand_over(self, way: WayIn, taken: list[tuple[Chain, int]]) -> None:
        now = time.perf_counter()
        with self._lock:
            self._sending -= len(taken)
            for chain, position in taken:
                self._under_way[chain[position]] = _UnderWay(chain, position, now)
        again = set(way.hand_in([chain[position] for chain, position in taken]))
        with self._lock:
            for chain, position in taken:
                if chain[position] in again and self._under_way.pop(chain[position], None) is not None:
                    self._next.appendleft((chain, position))


def one_by_one(address: str, raws: Sequence[bytes], pause_seconds: float) -> list[float]:
    """Seconds from sending each to its being committed, with nothing else to do; the next is sent after a pause."""
    rpc = CometRpc(address, 30.0)
    taken = []
    for raw in raws:
        time.sleep(pause_seconds)
        started = time.perf_counter()
        form = rpc.ask("broadcast_tx_commit", _CommitForm, tx=base64.b64encode(raw).decode())
        taken.append(time.perf_counter() - started)
        if form.check_tx.code or form.tx_result.code:
            raise RuntimeError(f"a transaction was refused: {form}")
    rpc.close()
    return taken
