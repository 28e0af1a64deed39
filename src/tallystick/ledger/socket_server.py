"""The engine's server on a local socket, so that API workers and commands never wait behind a block.

Many requests may be under way on a connection; replies carry the request's number. A frame that can't be read closes
its connection and is logged; it never harms the engine. The socket is for the node's own user alone (mode 0600).
"""

import asyncio
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from tallystick.kernel.core import codec
from tallystick.ledger import socket_frames as frames
from tallystick.ledger.engine import Cursor, Engine, HeightUnavailable, NotYet, Outcome, Pruned
from tallystick.proof.comet_json import light_block_to_json
from tallystick.wire.errors import DecodeError, InvariantViolation

_log = logging.getLogger(__name__)

MAX_UNDER_WAY = 2_000  # requests of one connection; more wait in the socket
READING_THREADS = 8
WAITING_THREADS = 64  # for those who wait for a height: followers
MAX_PATH_BYTES = 107  # sockaddr_un


class EngineServer:
    """Serves `engine` on the socket `path`, from a thread of its own. It does not close the engine."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._path = path
        self._loop: asyncio.AbstractEventLoop | None = None
        self._readers = ThreadPoolExecutor(READING_THREADS, "tallystick-reader")
        self._waiters = ThreadPoolExecutor(WAITING_THREADS, "tallystick-waiter")
        self._connections: set[_Connection] = set()

    def start(self) -> None:
        """Begin to listen. Raises `OSError` where another node answers on the socket, or it can't be made."""
        listening = _listen(self._path)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_run, args=(self._loop,), name="tallystick-socket", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._accept(listening), self._loop).result()

    def close(self) -> None:
        """Stop listening and hang up; what is under way is `Unknown` to its client. Safe to call twice."""
        if self._loop is None or self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._waiters.shutdown(wait=False, cancel_futures=True)
        self._path.unlink(missing_ok=True)

    async def _accept(self, listening: socket.socket) -> None:
        self._server = await asyncio.start_unix_server(self._serve, sock=listening)

    async def _hang_up(self) -> None:
        self._server.close()
        tasks = [connection.task for connection in self._connections]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise InvariantViolation("a connection is served outside of a task")
        connection = _Connection(self, writer, task)
        self._connections.add(connection)
        try:
            await connection.read_all(reader)
        except DecodeError as error:
            _log.warning("engine socket: a connection is closed: %s", error)
        except (asyncio.CancelledError, ConnectionError):
            pass  # hung up by either side
        finally:
            self._connections.discard(connection)
            writer.close()

    # What a request asks of the engine

    def submit(self, call: frames.Call, raws: list[bytes], answer: "Callable[[frames.Reply], None]") -> None:
        """Hand transactions in, in their order; `answer` is called from any thread once all outcomes are durable."""
        gathering = _Gathering(len(raws), lambda outcomes: answer(_outcomes(call, outcomes)))
        for position, raw in enumerate(raws):
            self._engine.submit_later(raw, gathering.taker(position))

    def pool_for(self, request: frames.Request) -> ThreadPoolExecutor:
        """Where a request that blocks is worked off: those who wait must not keep the others waiting."""
        waits = isinstance(request, frames.Snapshot | frames.Backup) or (
            isinstance(request, frames.Query) and request.min_height > 0
        )
        return self._waiters if waits else self._readers

    def answer(self, call: frames.Call) -> frames.Reply:
        """Ask the engine and shape the reply, failures of the contract included."""
        try:
            return frames.Reply(call.number, "ok", frames.encode(self._ask(call.request)))
        except (DecodeError, Pruned, HeightUnavailable, NotYet, TimeoutError, OSError) as error:
            return frames.failure_reply(call.number, error)
        except Exception as error:  # allow(broad-except): whatever it was, the client must not wait for ever
            _log.exception("engine socket: a request failed")
            return frames.failure_reply(call.number, error)

    def _ask(self, request: frames.Request) -> object:
        engine = self._engine
        match request:
            case frames.Hello():
                return engine.chain_id
            case frames.Result(body_hash):
                result = engine.result(body_hash)
                return None if result is None else frames.OutcomeForm.of(result)
            case frames.Query(key, min_height, at_height, timeout_ms):
                read = engine.query(key, min_height=min_height, at_height=at_height, timeout_seconds=timeout_ms / 1000)
                return frames.ReadForm(read.height, None if read.record is None else codec.encode(read.record))
            case frames.Scan(table, after, limit):
                return [frames.RowForm(row.key, codec.encode(row)) for row in engine.scan(table, after, limit)]
            case frames.Labelled(label, limit):
                return engine.labelled(label, limit)
            case frames.Events(after, limit):
                return frames.EventsForm(engine.events(Cursor(*after), limit))
            case frames.Prove(key):
                return engine.prove(key)
            case frames.LightBlockAt(height):
                return light_block_to_json(engine.light_block(height))
            case frames.Transactions(height):
                return engine.transactions(height)
            case frames.ProveMany(keys):
                return engine.prove_many(keys)
            case frames.Results(height):
                return engine.results(height)
            case frames.ValidatorChanges():
                return engine.validator_changes()
            case frames.AskHealth():
                return engine.health()
            case frames.Snapshot(target):
                return engine.snapshot(Path(target))
            case frames.Backup(target):
                return engine.backup(Path(target))
            case _:
                raise InvariantViolation(f"{type(request).__name__} is not asked of an engine")


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()


class _Gathering:
    """The outcomes of transactions handed in together, from whatever thread they come."""

    def __init__(self, count: int, done: "Callable[[list[Outcome]], None]") -> None:
        self._outcomes: dict[int, Outcome] = {}
        self._count = count
        self._done = done
        self._lock = threading.Lock()

    def taker(self, position: int) -> "Callable[[Outcome], None]":
        return lambda outcome: self._take(position, outcome)

    def _take(self, position: int, outcome: Outcome) -> None:
        with self._lock:
            self._outcomes[position] = outcome
            is_complete = len(self._outcomes) == self._count
        if is_complete:
            self._done([self._outcomes[each] for each in range(self._count)])


class _Connection:
    """One client: reads its calls, and writes replies as they come, in one piece a turn of the loop."""

    def __init__(self, server: EngineServer, writer: asyncio.StreamWriter, task: "asyncio.Task[None]") -> None:
        self._server = server
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._under_way = asyncio.Semaphore(MAX_UNDER_WAY)
        self._replies: deque[frames.Reply] = deque()
        self._is_woken = False
        self.task = task

    async def read_all(self, reader: asyncio.StreamReader) -> None:
        """Take calls until the client hangs up. Raises `DecodeError` at what is none."""
        while True:
            try:
                head = await reader.readexactly(frames.LENGTH.size)
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    raise DecodeError("it ended inside a frame") from None
                return
            (length,) = frames.LENGTH.unpack(head)
            if not 0 < length <= frames.MAX_FRAME_BYTES:
                raise DecodeError(f"a frame of {length} bytes was announced; at most {frames.MAX_FRAME_BYTES} are read")
            try:
                call = frames.read_call(await reader.readexactly(length))
            except asyncio.IncompleteReadError:
                raise DecodeError("it ended inside a frame") from None
            except msgspec.DecodeError as error:
                raise DecodeError(f"a frame is no call: {error}") from None
            await self._under_way.acquire()
            self._begin(call)
            await self._writer.drain()

    def _begin(self, call: frames.Call) -> None:
        request = call.request
        if isinstance(request, frames.Submit):
            self._server.submit(call, request.raws, self.reply)
        else:
            self._server.pool_for(request).submit(lambda: self.reply(self._server.answer(call)))

    def reply(self, reply: frames.Reply) -> None:
        """Queue a reply, from any thread. The loop is woken once for many."""
        self._replies.append(reply)
        if not self._is_woken:
            self._is_woken = True
            try:
                self._loop.call_soon_threadsafe(self._flush)
            except RuntimeError:
                return  # the server has closed; the client sees the connection end

    def _flush(self) -> None:
        self._is_woken = False
        pieces = []
        while self._replies:
            pieces.append(_frame(self._replies.popleft()))
            self._under_way.release()
        if pieces and not self._writer.is_closing():
            self._writer.write(b"".join(pieces))


def _frame(reply: frames.Reply) -> bytes:
    try:
        return frames.framed(frames.encode(reply))
    except DecodeError as error:
        return frames.framed(frames.encode(frames.failure_reply(reply.number, error)))


def _outcomes(call: frames.Call, outcomes: list[Outcome]) -> frames.Reply:
    return frames.Reply(call.number, "ok", frames.encode([frames.OutcomeForm.of(outcome) for outcome in outcomes]))


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path`, in place of one that nobody answers on any more."""
    if len(str(path).encode()) > MAX_PATH_BYTES:
        raise OSError(f"{path}: a socket's path has at most {MAX_PATH_BYTES} bytes; choose a shorter home directory")
    if path.is_socket():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(path))
            except (ConnectionRefusedError, FileNotFoundError):
                path.unlink(missing_ok=True)
            else:
                raise OSError(f"{path}: a node already answers here")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(path))
        path.chmod(0o600)  # before anyone can connect
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening
