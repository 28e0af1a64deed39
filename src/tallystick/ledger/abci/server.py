"""The ABCI server: requests in, answers out, in order, pipelined; whatever is malformed costs its connection alone.

A message on the wire is its length as an unsigned varint and then protobuf (`Request`, `Response`). Answers are
gathered and sent when the input that has come is worked off: CometBFT asks to flush after nearly every message, which
would be a system call each. An application that fails is a broken node: CometBFT is told (`ResponseException`, upon
which it halts), and the node's owner is.

Each connection is read by a thread of its own, also while the application is at work. CometBFT's client flushes by a
timer that it means to set to 20 ms and sets to 20 ns (abci/client/socket_client.go gives the bare number to a
time.Duration): while a write of its waits for a reader, that timer spins. Four members on two processors came to a
tenth of their speed by it.
"""

import asyncio
import contextlib
import logging
import re
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError as MalformedMessage

from tallystick.ledger.abci.application import Application, Unsupported
from tallystick.ledger.abci.protos import abci_pb2 as abci
from tallystick.wire.errors import DecodeError

MAX_MESSAGE_BYTES = 104_857_600  # CometBFT's own: abci/types/messages.go, maxMsgSize
MAX_LENGTH_BYTES = 5  # of a varint that a length up to that fits into
READ_BYTES = 1 << 20
UNREAD_BYTES = 64 << 20  # of a connection, that have come and not been answered: no more is read from it
TURN_SECONDS = 0.05
HIGH_WATER_BYTES = 8 << 20  # of answers that CometBFT has not read yet: no more is read from it
UNSUPPORTED = ("insert_tx", "reap_txs")
"""Newer methods, for a mempool of the application's own, which this one does not have."""

_FLUSH = abci.Request(flush=abci.RequestFlush()).SerializeToString()
_ADDRESS = re.compile(r"unix://(?P<path>.+)|tcp://\[?(?P<host>[^\[\]/]+?)\]?:(?P<port>[0-9]{1,5})", re.ASCII)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a Unix socket, or a host and port."""

    path: Path | None = None
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `unix:///path/to.sock` or `tcp://127.0.0.1:26658`. Raises DecodeError."""
        found = _ADDRESS.fullmatch(text)
        if found is not None and found["path"]:
            return cls(path=Path(found["path"]))
        if found is not None and int(found["port"]) < 1 << 16:
            return cls(host=found["host"], port=int(found["port"]))
        raise DecodeError("not an address like unix:///path or tcp://127.0.0.1:26658", text[:100])


class AbciServer:
    """Listens for CometBFT's connections and answers them from one application, one request at a time.

    `failed` is told of the error of an application that broke; nothing is answered after it.
    """

    def __init__(self, application: Application, failed: Callable[[Exception], None]) -> None:
        self._methods = _methods(application)
        self._started = application.started
        self._is_started = False  # CometBFT, since its last connection was made: it makes its own once, and then asks
        self._failed = failed
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self.is_broken = False

    async def listen(self, address: Address) -> Address:
        """Begin to listen; returns the address, with the port that was chosen where 0 was asked for."""
        loop = asyncio.get_running_loop()
        if address.path is not None:
            address.path.unlink(missing_ok=True)  # left behind by a node that was killed
            self._server = await loop.create_unix_server(lambda: _Connection(self), str(address.path))
            return address
        self._server = await loop.create_server(lambda: _Connection(self), address.host, address.port)
        port: int = self._server.sockets[0].getsockname()[1]
        return Address(host=address.host, port=port)

    async def close(self) -> None:
        """Stop listening and hang up on everybody; what was asked is answered first."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.hang_up("the node stops")
        if self._server is not None:
            await self._server.wait_closed()

    def joined(self, connection: "_Connection") -> None:
        self._connections.add(connection)
        self._is_started = False

    def left(self, connection: "_Connection") -> None:
        self._connections.discard(connection)

    def answer(self, request: abci.Request) -> abci.Response:
        """The answer to one request. Raises `DecodeError` for none that ABCI knows."""
        kind = request.WhichOneof("value")
        match kind:
            case None:
                raise DecodeError("a request of no known kind", "abci")
            case "echo":
                return abci.Response(echo=abci.ResponseEcho(message=request.echo.message))
            case "flush":
                return abci.Response(flush=abci.ResponseFlush())
            case _ if kind in UNSUPPORTED:
                return _exception(f"{kind} is not supported")
        if self.is_broken:
            return _exception("the application has failed")
        try:
            if kind == "info" and not self._is_started:
                self._is_started = True
                self._started()
            return self._methods[kind](request)
        except Unsupported as error:
            return _exception(f"{kind} is not supported: {error}")
        except Exception as error:  # allow(broad-except): whatever it was, CometBFT must halt and the node stop
            self.is_broken = True
            _log.exception("abci: the application failed at %s", kind)
            self._failed(error)
            return _exception(f"{kind}: {type(error).__name__}: {error}")


class _Reader:
    """Takes what comes on a connection out of its socket, on a thread of its own, and has `take` called for it."""

    def __init__(self, connection: socket.socket, loop: asyncio.AbstractEventLoop, take: Callable[[], None]) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._loop = loop
        self._take = take
        self._lock = threading.Lock()
        self._came = bytearray()
        self._is_told = False
        self._may_read = threading.Event()
        self._may_read.set()
        self._is_at_end = False
        threading.Thread(target=self._read, name="tallystick-abci-reader", daemon=True).start()

    def taken(self) -> tuple[bytes, bool]:
        """What has come since, and whether that was the last; else `take` is called again for more."""
        with self._lock:
            came, self._came = bytes(self._came), bytearray()
            self._is_told = False
            self._may_read.set()
            return came, self._is_at_end

    def end(self) -> None:
        """Read no more, and let go of the socket."""
        with self._lock:
            self._is_at_end = True
            self._may_read.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _read(self) -> None:
        with self._socket, selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            while not self._is_at_end:
                selector.select()
                try:
                    data = self._socket.recv(READ_BYTES)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                self._tell(data)
                self._may_read.wait()

    def _tell(self, data: bytes) -> None:
        with self._lock:
            self._came += data
            self._is_at_end = self._is_at_end or not data
            if len(self._came) > UNREAD_BYTES:
                self._may_read.clear()
            was_told, self._is_told = self._is_told, True
        if not was_told:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the node stops
                self._loop.call_soon_threadsafe(self._take)


class _Connection(asyncio.Protocol):
    """One of CometBFT's connections. The event loop writes to it; a `_Reader` reads."""

    def __init__(self, server: AbciServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._reader: _Reader | None = None
        self._came = bytearray()
        self._answers: list[bytes] = []
        self._is_closing = False
        self._is_unheard = False
        self._is_left = False  # whether more has come than one turn was enough for
        self._is_at_end = False
        self._goes_on = False  # by a turn that is asked for already

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream is needed")
        self._transport = transport
        transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        self._server.joined(self)
        asyncio.get_running_loop().call_soon(self._read, transport)

    def _read(self, transport: asyncio.Transport) -> None:
        """Read by a thread from now on. The transport itself begins to read after `connection_made` has returned, in
        early releases of Python 3.11 also where that has paused it; what it read would be lost.
        """
        transport.pause_reading()
        if not self._is_closing:
            connection = transport.get_extra_info("socket").dup()
            self._reader = _Reader(connection, asyncio.get_running_loop(), self._take)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        if self._reader is not None:
            self._reader.end()
        self._server.left(self)

    def pause_writing(self) -> None:
        self._is_unheard = True

    def resume_writing(self) -> None:
        self._is_unheard = False
        self._take()

    def _take(self) -> None:
        """Answer what has come, unless CometBFT leaves too many answers unread; then it is left with the reader."""
        if self._is_closing or self._is_unheard or self._goes_on or self._reader is None:
            return
        was_left = self._is_left
        if not was_left:
            came, self._is_at_end = self._reader.taken()
            self._came += came
        try:
            self._is_left = self._answer_whole_messages()
        except (DecodeError, MalformedMessage) as error:
            self.hang_up(str(error))
            return
        self._flush()
        if self._is_left or was_left:
            self._goes_on = True
            asyncio.get_running_loop().call_soon(self._go_on)
        elif self._is_at_end and self._transport is not None:
            self._transport.close()

    def _go_on(self) -> None:
        self._goes_on = False
        self._take()

    def _answer_whole_messages(self) -> bool:
        """Answer the messages that have come whole, for one turn; whether there may be more of them.

        After a turn the other connections have theirs: a flood of transactions holds no block up.
        """
        came, at = self._came, 0
        until = time.monotonic() + TURN_SECONDS
        while (found := _length_at(came, at)) is not None:
            if at and time.monotonic() > until:
                del came[:at]
                return True
            length, start = found
            if len(came) - start < length:
                break
            message = bytes(came[start : start + length])
            at = start + length
            self._answers.append(_FLUSHED if message == _FLUSH else self._answer(message))
        del came[:at]
        return False

    def _answer(self, message: bytes) -> bytes:
        return _framed(self._server.answer(abci.Request.FromString(message)))

    def _flush(self) -> None:
        if self._answers and self._transport is not None:
            self._transport.write(b"".join(self._answers))
            self._answers.clear()

    def hang_up(self, reason: str) -> None:
        """Send what was answered and close; the reason is logged, and nothing else suffers."""
        if self._is_closing:
            return
        self._is_closing = True
        _log.warning("abci: connection closed: %s", reason)
        self._flush()
        if self._transport is not None:
            self._transport.close()


def _length_at(came: bytearray, at: int) -> tuple[int, int] | None:
    """The length that the varint at `at` states and where its message starts; None while the varint is not whole."""
    length = 0
    for place in range(MAX_LENGTH_BYTES):
        if at + place >= len(came):
            return None
        byte = came[at + place]
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if length > MAX_MESSAGE_BYTES:
                raise DecodeError(f"a message of {length} bytes, over {MAX_MESSAGE_BYTES}", "abci")
            return length, at + place + 1
    raise DecodeError("a length of too many bytes", "abci")


def _framed(response: abci.Response) -> bytes:
    raw = response.SerializeToString()
    return _varint(len(raw)) + raw


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


_FLUSHED = _framed(abci.Response(flush=abci.ResponseFlush()))


def _exception(reason: str) -> abci.Response:
    return abci.Response(exception=abci.ResponseException(error=reason))


def _methods(app: Application) -> dict[str, Callable[[abci.Request], abci.Response]]:
    """Which method of the application answers which request."""
    return {
        "info": lambda asked: abci.Response(info=app.info(asked.info)),
        "query": lambda asked: abci.Response(query=app.query(asked.query)),
        "check_tx": lambda asked: abci.Response(check_tx=app.check_tx(asked.check_tx)),
        "init_chain": lambda asked: abci.Response(init_chain=app.init_chain(asked.init_chain)),
        "prepare_proposal": lambda asked: abci.Response(prepare_proposal=app.prepare_proposal(asked.prepare_proposal)),
        "process_proposal": lambda asked: abci.Response(process_proposal=app.process_proposal(asked.process_proposal)),
        "extend_vote": lambda asked: abci.Response(extend_vote=app.extend_vote(asked.extend_vote)),
        "verify_vote_extension": lambda asked: abci.Response(
            verify_vote_extension=app.verify_vote_extension(asked.verify_vote_extension)
        ),
        "finalize_block": lambda asked: abci.Response(finalize_block=app.finalize_block(asked.finalize_block)),
        "commit": lambda asked: abci.Response(commit=app.commit(asked.commit)),
        "list_snapshots": lambda asked: abci.Response(list_snapshots=app.list_snapshots(asked.list_snapshots)),
        "offer_snapshot": lambda asked: abci.Response(offer_snapshot=app.offer_snapshot(asked.offer_snapshot)),
        "load_snapshot_chunk": lambda asked: abci.Response(
            load_snapshot_chunk=app.load_snapshot_chunk(asked.load_snapshot_chunk)
        ),
        "apply_snapshot_chunk": lambda asked: abci.Response(
            apply_snapshot_chunk=app.apply_snapshot_chunk(asked.apply_snapshot_chunk)
        ),
    }
