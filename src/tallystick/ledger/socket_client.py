"""The engine contract over a node's local socket. Thread-safe and blocking, so commands and pages use either alike.

A connection that is lost after transactions were sent leaves them `Unknown`; any other request raises
`EngineUnreachable`. The next request connects anew.
"""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tallystick.kernel.core.record import Record, decode_record
from tallystick.ledger import socket_frames as frames
from tallystick.ledger.engine import (
    BlockResults,
    Committed,
    Cursor,
    Health,
    ManyProven,
    Outcome,
    PlacedEvent,
    Read,
    StateProof,
    Unknown,
)
from tallystick.proof.comet import LightBlock
from tallystick.wire.errors import InvariantViolation

CONNECT_SECONDS = 5.0
REPLY_SECONDS = 60.0
KEEPING_SECONDS = 3_600.0  # snapshots and backups
FOLLOW_SECONDS = 0.5
FRAME_TRANSACTIONS = 2_000
FRAME_BYTES = 4 << 20

_Answered = Callable[["frames.Reply | None"], None]


class EngineUnreachable(OSError):
    """No node answers on the socket, or it hung up before it answered."""


class EngineClient:
    """An engine that runs in another process, behind the socket `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._wire: _Wire | None = None
        self._is_closed = False
        self.chain_id: str = self._ask(frames.Hello(), CONNECT_SECONDS)

    # Handing in

    def submit(self, raw: bytes, timeout_seconds: float = 60.0) -> Outcome:
        return self.submit_many([raw], timeout_seconds)[0]

    def submit_many(self, raws: list[bytes], timeout_seconds: float = 600.0) -> list[Outcome]:
        until = time.monotonic() + timeout_seconds
        sent = [(part, self._send(frames.Submit(part))) for part in _parts(raws)]
        outcomes: list[Outcome] = []
        for part, waiting in sent:
            reply = waiting.wait(max(until - time.monotonic(), 0.0))
            outcomes.extend(_outcomes(reply, len(part), waiting.reason))
        return outcomes

    def submit_later(self, raw: bytes, done: Callable[[Outcome], None]) -> None:
        self._send(frames.Submit([raw]), lambda reply: done(_outcomes(reply, 1, "the node hung up")[0]))

    # Asking

    def result(self, body_hash: bytes) -> Committed | None:
        form = self._ask(frames.Result(body_hash))
        outcome = None if form is None else form.outcome()
        if outcome is not None and not isinstance(outcome, Committed):
            raise InvariantViolation("a result that is not committed")
        return outcome

    def query(
        self, key: str, *, min_height: int = 0, at_height: int | None = None, timeout_seconds: float = 10.0
    ) -> Read:
        request = frames.Query(key, min_height, at_height, int(timeout_seconds * 1000))
        form = self._ask(request, timeout_seconds + REPLY_SECONDS)
        return Read(form.height, None if form.value is None else decode_record(key, form.value))

    def scan(self, table: str, after: str = "", limit: int = 1_000) -> list[Record]:
        return [decode_record(row.key, row.value) for row in self._ask(frames.Scan(table, after, limit))]

    def labelled(self, label: str, limit: int = 10_000) -> list[str]:
        keys: list[str] = self._ask(frames.Labelled(label, limit))
        return keys

    def events(self, after: Cursor, limit: int = 10_000) -> list[PlacedEvent]:
        placed: list[PlacedEvent] = self._ask(frames.Events(frames.cursor_form(after), limit)).events
        return placed

    def follow(self, after: Cursor, stop: Callable[[], bool]) -> Iterator[PlacedEvent]:
        while not stop() and not self._is_closed:
            height = self.health().height
            batch = self.events(after)
            for placed in batch:
                after = placed.cursor
                yield placed
            if not batch:
                self._wait_above(height)

    def _wait_above(self, height: int) -> None:
        try:
            self.query("clock/chain", min_height=height + 1, timeout_seconds=FOLLOW_SECONDS)
        except TimeoutError:
            return  # nothing happened meanwhile

    def prove(self, key: str) -> StateProof:
        proof: StateProof = self._ask(frames.Prove(key))
        return proof

    def prove_many(self, keys: list[str]) -> ManyProven:
        proven: ManyProven = self._ask(frames.ProveMany(keys))
        return proven

    def light_block(self, height: int) -> LightBlock:
        block: LightBlock = self._ask(frames.LightBlockAt(height))
        return block

    def transactions(self, height: int) -> list[bytes]:
        raws: list[bytes] = self._ask(frames.Transactions(height))
        return raws

    def validator_changes(self) -> list[int]:
        heights: list[int] = self._ask(frames.ValidatorChanges())
        return heights

    def results(self, height: int) -> BlockResults:
        results: BlockResults = self._ask(frames.Results(height))
        return results

    def health(self) -> Health:
        health: Health = self._ask(frames.AskHealth())
        return health

    # Keeping

    def snapshot(self, target: Path) -> int:
        height: int = self._ask(frames.Snapshot(str(target.resolve())), KEEPING_SECONDS)
        return height

    def backup(self, target: Path) -> int:
        height: int = self._ask(frames.Backup(str(target.resolve())), KEEPING_SECONDS)
        return height

    def close(self) -> None:
        """Hang up. The engine behind the socket goes on."""
        with self._lock:
            self._is_closed = True
            if self._wire is not None:
                self._wire.hang_up()

    # The connection

    def _ask(self, request: frames.Request, timeout_seconds: float = REPLY_SECONDS) -> Any:
        waiting = self._send(request)
        reply = waiting.wait(timeout_seconds)
        if reply is None:
            raise EngineUnreachable(f"{self._path}: {waiting.reason}")
        if reply.kind != "ok":
            raise frames.failure_of(reply)
        try:
            return frames.READERS[type(request)](reply.content)
        except msgspec.DecodeError as error:
            raise EngineUnreachable(f"{self._path}: the node speaks another release's language: {error}") from None

    def _send(self, request: frames.Request, then: "_Answered | None" = None) -> "_Waiting":
        waiting = _Waiting(then)
        try:
            wire = self._connected()
        except OSError as error:
            waiting.lose(f"no node answers: {error}")
            return waiting
        number = next(self._numbers)
        wire.send(number, frames.framed(frames.encode(frames.Call(number, request))), waiting)
        return waiting

    def _connected(self) -> "_Wire":
        with self._lock:
            if self._is_closed:
                raise EngineUnreachable("this client is closed")
            if self._wire is None or self._wire.is_lost:
                self._wire = _Wire(self._path)
            return self._wire


class _Waiting:
    """A request under way, until its reply comes or the connection is lost."""

    def __init__(self, then: "_Answered | None" = None) -> None:
        self._ended = threading.Event()
        self._reply: frames.Reply | None = None
        self._then = then
        self.reason = "no answer in time"

    def answer(self, reply: "frames.Reply") -> None:
        self._reply = reply
        self._end()

    def lose(self, reason: str) -> None:
        self.reason = reason
        self._end()

    def _end(self) -> None:
        self._ended.set()
        if self._then is not None:
            self._then(self._reply)

    def wait(self, timeout_seconds: float) -> "frames.Reply | None":
        self._ended.wait(timeout_seconds)
        return self._reply


class _Wire:
    """One connection: any thread sends, one thread reads."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(CONNECT_SECONDS)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._socket.settimeout(None)
        self._sending = threading.Lock()
        self._state = threading.Lock()
        self._waiting: dict[int, _Waiting] = {}
        self.is_lost = False
        threading.Thread(target=self._read_all, name="tallystick-client", daemon=True).start()

    def send(self, number: int, frame: bytes, waiting: _Waiting) -> None:
        with self._state:
            if not self.is_lost:
                self._waiting[number] = waiting
                waiting = _HANDED_OVER
        if waiting is not _HANDED_OVER:
            waiting.lose("the node hung up")
            return
        try:
            with self._sending:
                self._socket.sendall(frame)
        except OSError:
            self.hang_up()  # the reading thread lets those who wait know

    def hang_up(self) -> None:
        """Let the reading thread come to its end."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is at its end already

    def _read_all(self) -> None:
        with self._socket.makefile("rb") as stream:
            while (reply := _read_reply(stream)) is not None:
                with self._state:
                    waiting = self._waiting.pop(reply.number, None)
                if waiting is not None:
                    waiting.answer(reply)
        with self._state:
            self.is_lost = True
            lost, self._waiting = list(self._waiting.values()), {}
        self._socket.close()
        for waiting in lost:
            waiting.lose("the node hung up")


_HANDED_OVER = _Waiting()


def _read_reply(stream: Any) -> "frames.Reply | None":
    """The next reply, or None where the connection ends or makes no sense."""
    try:
        head = stream.read(frames.LENGTH.size)
        if len(head) < frames.LENGTH.size:
            return None
        (length,) = frames.LENGTH.unpack(head)
        content = stream.read(length) if length <= frames.MAX_FRAME_BYTES else b""
        reply: frames.Reply = frames.read_reply(content)
    except (OSError, msgspec.DecodeError):
        return None
    return reply


def _parts(raws: list[bytes]) -> Iterator[list[bytes]]:
    """The transactions in the order given, in frames that are well below the largest."""
    part: list[bytes] = []
    size = 0
    for raw in raws:
        if part and (len(part) == FRAME_TRANSACTIONS or size + len(raw) > FRAME_BYTES):
            yield part
            part, size = [], 0
        part.append(raw)
        size += len(raw)
    if part:
        yield part


def _outcomes(reply: "frames.Reply | None", count: int, reason: str) -> list[Outcome]:
    if reply is None:
        return [Unknown(reason)] * count
    if reply.kind != "ok":
        return [Unknown(str(frames.failure_of(reply)))] * count
    outcomes: list[Outcome] = [form.outcome() for form in frames.READERS[frames.Submit](reply.content)]
    return outcomes
