"""The ABCI server speaks the protocol byte by byte, keeps the order, and loses nothing but a broken connection."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallystick.ledger.abci.application import Unsupported
from tallystick.ledger.abci.protos import abci_pb2 as abci
from tallystick.ledger.abci.server import MAX_MESSAGE_BYTES, AbciServer, Address
from tallystick.wire.errors import DecodeError


class Recording:
    """An application that answers with what it was asked, and writes down in which order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails_at = ""
        self.takes_seconds = 0.0
        self.starts = 0

    def started(self) -> None:
        self.starts += 1

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        if name.startswith("_") or name not in METHODS:
            raise AttributeError(name)

        def answer(request: Any) -> Any:
            self.asked.append(name)
            time.sleep(self.takes_seconds)
            if name == self.fails_at:
                raise RuntimeError("the disk is gone")
            return METHODS[name](request)

        return answer


def extend_vote(_: Any) -> Any:
    raise Unsupported("no vote extensions")


METHODS: dict[str, Callable[[Any], Any]] = {
    "info": lambda asked: abci.ResponseInfo(data=asked.version, last_block_height=7),
    "query": lambda asked: abci.ResponseQuery(key=asked.data),
    "check_tx": lambda asked: abci.ResponseCheckTx(data=asked.tx),
    "init_chain": lambda asked: abci.ResponseInitChain(app_hash=asked.app_state_bytes),
    "prepare_proposal": lambda asked: abci.ResponsePrepareProposal(txs=asked.txs),
    "process_proposal": lambda _: abci.ResponseProcessProposal(status=abci.ResponseProcessProposal.ACCEPT),
    "extend_vote": extend_vote,
    "verify_vote_extension": lambda _: abci.ResponseVerifyVoteExtension(),
    "finalize_block": lambda asked: abci.ResponseFinalizeBlock(app_hash=asked.hash),
    "commit": lambda _: abci.ResponseCommit(retain_height=3),
    "list_snapshots": lambda _: abci.ResponseListSnapshots(),
    "offer_snapshot": lambda _: abci.ResponseOfferSnapshot(),
    "load_snapshot_chunk": lambda _: abci.ResponseLoadSnapshotChunk(chunk=b"part"),
    "apply_snapshot_chunk": lambda _: abci.ResponseApplySnapshotChunk(),
}


class Peer:
    """CometBFT's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def ask(self, **request: Any) -> abci.Response:
        self.send(framed(abci.Request(**request)))
        return await self.read()

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def read(self) -> abci.Response:
        async with asyncio.timeout(10):
            length = shift = 0
            while True:
                byte = (await self._reader.readexactly(1))[0]
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            return abci.Response.FromString(await self._reader.readexactly(length))

    async def is_closed(self) -> bool:
        async with asyncio.timeout(10):
            return await self._reader.read() == b""


class Running:
    """A server with an application that records, on a Unix socket."""

    def __init__(self, server: AbciServer, application: Recording, address: Address, errors: list[Exception]) -> None:
        self.server, self.application, self.address, self.errors = server, application, address, errors

    @contextlib.asynccontextmanager
    async def peer(self) -> AsyncIterator[Peer]:
        if self.address.path is not None:
            reader, writer = await asyncio.open_unix_connection(str(self.address.path))
        else:
            reader, writer = await asyncio.open_connection(self.address.host, self.address.port)
        try:
            yield Peer(reader, writer)
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def running(address: str) -> AsyncIterator[Running]:
    errors: list[Exception] = []
    application = Recording()
    server = AbciServer(application, errors.append)
    listening = await server.listen(Address.parse(address))
    try:
        yield Running(server, application, listening, errors)
    finally:
        await server.close()


def framed(message: Any) -> bytes:
    raw: bytes = message.SerializeToString()
    length, prefix = len(raw), bytearray()
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*prefix, length]) + raw


def run(tmp_path: Path, story: Callable[[Running], Coroutine[Any, Any, None]], address: str = "") -> None:
    async def whole() -> None:
        async with running(address or f"unix://{tmp_path / 'abci.sock'}") as server:
            await story(server)

    asyncio.run(whole())


@pytest.mark.parametrize("address", ["", "tcp://127.0.0.1:0"])
def test_every_method_is_answered_in_kind(tmp_path: Path, address: str) -> None:
    async def story(server: Running) -> None:
        async with server.peer() as peer:
            assert (await peer.ask(echo=abci.RequestEcho(message="合符"))).echo.message == "合符"
            assert (await peer.ask(flush=abci.RequestFlush())).WhichOneof("value") == "flush"
            assert (await peer.ask(info=abci.RequestInfo(version="v"))).info.last_block_height == 7
            for name in METHODS:
                if name in ("info", "extend_vote"):
                    continue
                kind = abci.Request.DESCRIPTOR.fields_by_name[name].message_type._concrete_class()
                assert (await peer.ask(**{name: kind})).WhichOneof("value") == name, name
        assert server.errors == []

    run(tmp_path, story, address)


def test_a_start_of_cometbft_is_told_before_its_first_question_and_once(tmp_path: Path) -> None:
    """It makes its connections, then asks where the ledger stands. Whoever asks CometBFT's RPC has the same asked."""

    async def story(server: Running) -> None:
        for start in (1, 2):
            async with server.peer() as first, server.peer() as second:
                await second.ask(echo=abci.RequestEcho())
                for _ in range(3):
                    await first.ask(info=abci.RequestInfo())
                    await second.ask(check_tx=abci.RequestCheckTx())
                    assert server.application.starts == start

    run(tmp_path, story)


def test_the_transport_reads_nothing_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In early releases of Python 3.11 it begins to read although `connection_made` has paused it."""

    def add_reader(transport: Any, *words: Any) -> None:
        if not transport._closing:
            transport._loop._add_reader(*words)

    monkeypatch.setattr("asyncio.selector_events._SelectorTransport._add_reader", add_reader)

    async def story(server: Running) -> None:
        for _ in range(50):
            async with server.peer() as peer:
                assert (await peer.ask(echo=abci.RequestEcho(message="合符"))).echo.message == "合符"

    run(tmp_path, story)


def test_what_is_not_offered_is_said_and_the_connection_stays(tmp_path: Path) -> None:
    async def story(server: Running) -> None:
        async with server.peer() as peer:
            assert "insert_tx is not supported" in (await peer.ask(insert_tx=abci.RequestInsertTx())).exception.error
            assert "reap_txs" in (await peer.ask(reap_txs=abci.RequestReapTxs())).exception.error
            assert "no vote ext" in (await peer.ask(extend_vote=abci.RequestExtendVote())).exception.error
            assert (await peer.ask(commit=abci.RequestCommit())).commit.retain_height == 3
        assert server.errors == []

    run(tmp_path, story)


def test_many_requests_at_once_are_answered_in_their_order(tmp_path: Path) -> None:
    async def story(server: Running) -> None:
        async with server.peer() as peer:
            wanted = [b"%d" % number for number in range(2_000)]
            asked = (abci.Request(check_tx=abci.RequestCheckTx(tx=tx)) for tx in wanted)
            peer.send(b"".join(map(framed, asked)) + framed(abci.Request(flush=abci.RequestFlush())))
            assert [(await peer.read()).check_tx.data for _ in wanted] == wanted
            assert (await peer.read()).WhichOneof("value") == "flush"

    run(tmp_path, story)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_a_message_may_come_in_any_pieces(tmp_path: Path, pieces: list[int]) -> None:
    async def story(server: Running) -> None:
        async with server.peer() as peer:
            messages = [abci.Request(check_tx=abci.RequestCheckTx(tx=bytes(size))) for size in (0, 1, 130, 20_000)]
            raw = b"".join(map(framed, messages))
            at = 0
            for piece in pieces:  # split varints, empty fields and all
                peer.send(raw[at : at + piece])
                await asyncio.sleep(0)
                at += piece
            peer.send(raw[at:])
            assert [len((await peer.read()).check_tx.data) for _ in messages] == [0, 1, 130, 20_000]

    run(tmp_path, story)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00",  # a request of no kind
        b"\x03\xff\xff\xff",  # no protobuf
        b"\xff\xff\xff\xff\xff\xff",  # a length of too many bytes
        b"\x81\x80\x80\x32",  # one byte over the most that CometBFT sends
        framed(abci.Response(commit=abci.ResponseCommit(retain_height=1)))[:-1] + b"\xff",
    ],
)
def test_what_is_malformed_costs_its_connection_alone(tmp_path: Path, raw: bytes) -> None:
    async def story(server: Running) -> None:
        async with server.peer() as sound, server.peer() as broken:
            broken.send(framed(abci.Request(commit=abci.RequestCommit())) + raw)
            assert (await broken.read()).commit.retain_height == 3, "what came before is answered"
            assert await broken.is_closed()
            assert (await sound.ask(echo=abci.RequestEcho(message="on"))).echo.message == "on"
        assert server.errors == []

    assert MAX_MESSAGE_BYTES == 0x6400000
    run(tmp_path, story)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_stop_the_server(tmp_path: Path, raw: bytes) -> None:
    async def story(server: Running) -> None:
        async with server.peer() as noisy:
            noisy.send(raw)
            noisy.writer.write_eof()
            with contextlib.suppress(ConnectionError):
                await noisy.is_closed()
        async with server.peer() as peer:
            assert (await peer.ask(echo=abci.RequestEcho(message="on"))).echo.message == "on"
        assert server.errors == []

    run(tmp_path, story)


def test_a_broken_application_is_told_once_and_answers_no_more(tmp_path: Path) -> None:
    async def story(server: Running) -> None:
        server.application.fails_at = "finalize_block"
        async with server.peer() as consensus, server.peer() as query:
            answer = await consensus.ask(finalize_block=abci.RequestFinalizeBlock())
            assert "the disk is gone" in answer.exception.error
            assert "has failed" in (await query.ask(query=abci.RequestQuery())).exception.error
            assert (await query.ask(echo=abci.RequestEcho(message="on"))).echo.message == "on"
        assert [str(error) for error in server.errors] == ["the disk is gone"]
        assert server.application.asked == ["finalize_block"]

    run(tmp_path, story)


def test_who_reads_nothing_is_not_read_from(tmp_path: Path) -> None:
    async def story(server: Running) -> None:
        async with server.peer() as idle, server.peer() as peer:
            one = framed(abci.Request(check_tx=abci.RequestCheckTx(tx=bytes(1 << 20))))
            sending = asyncio.create_task(_send_all(idle, one, 64))
            await asyncio.sleep(0.2)
            asked = server.application.asked.count("check_tx")
            assert asked < 64, "answers of more than the server keeps were made"
            assert (await peer.ask(echo=abci.RequestEcho(message="on"))).echo.message == "on"
            for _ in range(64):
                assert len((await idle.read()).check_tx.data) == 1 << 20
            await sending

    run(tmp_path, story)


async def _send_all(peer: Peer, raw: bytes, times: int) -> None:
    for _ in range(times):
        peer.send(raw)
        await peer.writer.drain()


@pytest.mark.parametrize(
    "text", ["", "unix://", "tcp://", "tcp://host", "tcp://host:99999", "http://host:1", "tcp://:1"]
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="not an address"):
        Address.parse(text)


def test_addresses() -> None:
    assert Address.parse("unix:///run/a b.sock") == Address(path=Path("/run/a b.sock"))
    assert Address.parse("tcp://[::1]:26658") == Address(host="::1", port=26658)


def test_what_comes_is_read_while_the_application_is_at_work(tmp_path: Path) -> None:
    """A CometBFT whose writes wait for a reader spins (see `server`)."""
    application, may_answer = Recording(), threading.Event()
    path = tmp_path / "abci.sock"
    asked = framed(abci.Request(check_tx=abci.RequestCheckTx(tx=bytes(1 << 20))))

    async def serve() -> None:
        server = AbciServer(application, lambda _: None)
        server.answer = lambda request: (may_answer.wait(10), AbciServer.answer(server, request))[1]  # type: ignore[method-assign]
        await server.listen(Address(path=path))
        listening.set()
        await asyncio.to_thread(ended.wait)
        await server.close()

    listening, ended = threading.Event(), threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert listening.wait(10)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as comet:
            comet.settimeout(3)
            comet.connect(str(path))
            for _ in range(8):
                comet.sendall(asked)  # nothing is answered yet
            may_answer.set()
            assert comet.recv(1)
    finally:
        may_answer.set()
        ended.set()
        thread.join()


def test_a_flood_on_one_connection_leaves_the_others_their_turn(tmp_path: Path) -> None:
    """Megabytes of transactions may have come while a block was executed; the next block must not wait for them all."""
    count = 300

    async def story(server: Running) -> None:
        async with server.peer() as flood, server.peer() as other:
            server.application.takes_seconds = 0.005
            flood.send(framed(abci.Request(check_tx=abci.RequestCheckTx(tx=b"x"))) * count)
            other.send(framed(abci.Request(info=abci.RequestInfo())))
            await other.read()
            assert server.application.asked.index("info") < count / 2
            for _ in range(count):
                assert (await flood.read()).check_tx.data == b"x"
            assert (await flood.ask(query=abci.RequestQuery(data=b"key"))).query.key == b"key"

    run(tmp_path, story)
