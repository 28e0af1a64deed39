"""The client of CometBFT's RPC: against CometBFT itself, and against a server that answers with anything."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ledger.abci.protos import abci_pb2 as abci
from tallystick.ledger.abci.server import AbciServer, Address
from tallystick.ledger.comet.rpc import (
    BATCH_BYTES,
    BATCH_TRANSACTIONS,
    Broadcast,
    CometRpc,
    Entry,
    NodeStatus,
    RpcRefused,
    RpcUnreachable,
    Waiting,
)
from tallystick.node.cometbft.binary import find_cometbft
from tallystick.proof.comet import LightBlock
from tallystick.proof.comet_json import validators_from_json
from tallystick.proof.light_client import check_commit
from tallystick.wire.errors import DecodeError
from tests.proof.vectors import comet

MAX_TX_BYTES, MAX_TXS_BYTES = 1_000, 50_000
REFUSING = 7
PATIENCE_SECONDS = 20.0
METHODS: dict[str, Callable[[CometRpc], object]] = {
    "broadcast": lambda rpc: rpc.broadcast([b"one"]),
    "broadcast many": lambda rpc: rpc.broadcast([b"one", b"two"], is_checked=False),
    "signed_header": lambda rpc: rpc.signed_header(2),
    "block": lambda rpc: rpc.block(2),
    "status": CometRpc.status,
    "net_info": CometRpc.net_info,
    "consensus_params": lambda rpc: rpc.consensus_params(2),
    "num_unconfirmed_txs": CometRpc.num_unconfirmed_txs,
    "health": CometRpc.health,
}


# CometBFT itself


class Echo:
    """An application that keeps nothing, refuses what begins with `no`, and has app hashes of 32 bytes."""

    def __init__(self) -> None:
        self.height = 0

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        answers = {
            "query": abci.ResponseQuery(),
            "init_chain": abci.ResponseInitChain(app_hash=sha256(b"").digest()),
            "process_proposal": abci.ResponseProcessProposal(status=abci.ResponseProcessProposal.ACCEPT),
            "commit": abci.ResponseCommit(),
            "list_snapshots": abci.ResponseListSnapshots(),
        }
        unused = {"extend_vote", "verify_vote_extension", "offer_snapshot"}
        unused |= {"load_snapshot_chunk", "apply_snapshot_chunk"}
        if name not in answers and name not in unused:
            raise AttributeError(name)
        return lambda _: answers[name]

    def started(self) -> None:
        return

    def info(self, _: abci.RequestInfo) -> abci.ResponseInfo:
        return abci.ResponseInfo(last_block_height=self.height)

    def check_tx(self, asked: abci.RequestCheckTx) -> abci.ResponseCheckTx:
        if asked.tx.startswith(b"no"):
            return abci.ResponseCheckTx(code=REFUSING, data=b"why", log="because")
        return abci.ResponseCheckTx()

    def prepare_proposal(self, asked: abci.RequestPrepareProposal) -> abci.ResponsePrepareProposal:
        return abci.ResponsePrepareProposal(txs=asked.txs)

    def finalize_block(self, asked: abci.RequestFinalizeBlock) -> abci.ResponseFinalizeBlock:
        self.height = asked.height
        results = [abci.ExecTxResult() for _ in asked.txs]
        return abci.ResponseFinalizeBlock(tx_results=results, app_hash=sha256(str(asked.height).encode()).digest())


@contextlib.contextmanager
def served(application: Any, path: Path) -> Iterator[None]:
    """`application` on a socket, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    errors: list[Exception] = []
    server = AbciServer(application, errors.append)
    try:
        asyncio.run_coroutine_threadsafe(server.listen(Address(path=path)), loop).result()
        yield
        asyncio.run_coroutine_threadsafe(server.close(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert not errors


def configured(home: Path, cometbft: Path) -> None:
    subprocess.run([cometbft, "init", "--home", home], check=True, capture_output=True)
    path = home / "config" / "config.toml"
    text = path.read_text()
    for name, value in {
        "timeout_commit": '"10ms"',
        "create_empty_blocks": "false",
        "indexer": '"null"',
        "max_tx_bytes": str(MAX_TX_BYTES),
        "max_txs_bytes": str(MAX_TXS_BYTES),
        "max_request_batch_size": str(BATCH_TRANSACTIONS),
    }.items():
        text, count = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        assert count == 1, name
    path.write_text(text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CometRpc]:
    """CometBFT with one validator, on a chain that has two blocks already."""
    cometbft = find_cometbft(note=print)
    home = tmp_path_factory.mktemp("comet")
    configured(home, cometbft)
    address = f"tcp://127.0.0.1:{free_port()}"
    sockets = f"unix://{home / 'abci.sock'}"
    command = [cometbft, "start", "--home", home, "--proxy_app", sockets, "--rpc.laddr", address]
    with served(Echo(), home / "abci.sock"), (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--p2p.laddr", "tcp://127.0.0.1:0"], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            rpc = CometRpc(address)
            await_that(rpc.health, (home / "log"))
            rpc.broadcast([b"the first"])
            await_height(rpc, 2)
            yield rpc
            rpc.close()
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def await_that(holds: Callable[[], bool], log: Path | None = None) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until, log.read_text()[-2_000:] if log else "never"
        time.sleep(0.02)


def await_height(rpc: CometRpc, height: int) -> None:
    await_that(lambda: rpc.status().height >= height)


def committed(rpc: CometRpc, first: int) -> list[bytes]:
    """All transactions from the height `first` on."""
    found = [rpc.block(height) for height in range(first, rpc.status().height + 1)]
    return [raw for block in found if block is not None for raw in block.transactions]


def test_a_transaction_is_checked_by_the_application(chain: CometRpc) -> None:
    taken, refused = chain.broadcast([b"yes 1", b"no 1"])
    assert taken == Broadcast(Entry.CHECKED)
    assert refused == Broadcast(Entry.CHECKED, REFUSING, b"why", "because")


def test_what_the_mempool_does_not_take_says_why(chain: CometRpc) -> None:
    raws = [b"seen", b"seen", b"x" * (MAX_TX_BYTES + 1), b"x" * (MAX_TXS_BYTES + 1), b"another"]
    answers = chain.broadcast(raws)
    kinds = [Entry.CHECKED, Entry.IN_CACHE, Entry.TOO_LARGE, Entry.FULL, Entry.CHECKED]
    assert [answer.entry for answer in answers] == kinds
    assert all(answer.log for answer in answers[1:4])


def test_what_is_passed_on_unchecked_comes_into_a_block(chain: CometRpc) -> None:
    first = chain.status().height
    raws = [b"passed on %d" % number for number in range(200)]
    answers = chain.broadcast([*raws, raws[0]], is_checked=False)
    assert answers == [Broadcast(Entry.PASSED_ON)] * len(raws) + [answers[-1]]
    assert answers[-1].entry is Entry.IN_CACHE
    await_that(lambda: set(raws) <= set(committed(chain, first)))


def test_nothing_to_broadcast_asks_nothing() -> None:
    assert CometRpc("127.0.0.1:1").broadcast([]) == []


def test_a_signed_header_verifies(chain: CometRpc) -> None:
    found = chain.signed_header(1)
    assert found is not None
    assert found.is_canonical
    assert found.header.height == 1
    assert found.header.app_hash == sha256(b"").digest()
    validators = validators_from_json(chain.ask("validators", dict, height="1")["validators"])
    assert check_commit(LightBlock(found.header, found.commit, validators)).is_trusted


def test_the_last_block_has_no_canonical_commit_yet(chain: CometRpc) -> None:
    while True:
        height = chain.status().height
        found = chain.signed_header(height)
        if chain.status().height == height:  # no block came meanwhile
            break
    assert found is not None
    assert not found.is_canonical


def test_a_block_that_is_not_there_is_none(chain: CometRpc) -> None:
    assert chain.signed_header(1_000_000) is None
    assert chain.block(1_000_000) is None
    assert chain.consensus_params(1_000_000) is None


def test_a_refused_request_says_why(chain: CometRpc) -> None:
    with pytest.raises(RpcRefused, match="height must be greater than 0"):
        chain.signed_header(0)
    with pytest.raises(RpcRefused, match="Method not found"):
        chain.ask("no_such_method", dict)


def test_a_request_that_is_refused_as_a_whole_says_why(chain: CometRpc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.ledger.comet.rpc.BATCH_TRANSACTIONS", BATCH_TRANSACTIONS + 1)
    with pytest.raises(RpcRefused, match="batch request exceeds maximum"):
        chain.broadcast([b"%d" % number for number in range(BATCH_TRANSACTIONS + 1)])


def test_where_it_is(chain: CometRpc) -> None:
    status = chain.status()
    block = chain.signed_header(status.height)
    assert block is not None
    header = block.header
    assert (status.chain_id, status.earliest_height) == (header.chain_id, 1)
    assert status.validator_address == header.proposer_address
    assert status.voting_power == 10
    assert not status.is_catching_up
    assert len(status.app_hash) == 32


def test_peers_limits_and_what_waits(chain: CometRpc) -> None:
    assert chain.net_info() == []
    limits = chain.consensus_params(2)
    assert limits is not None
    assert (limits.max_block_bytes, limits.max_gas) == (22_020_096, -1)
    assert limits.evidence_max_ns == 48 * 3_600 * 10**9
    await_that(lambda: chain.num_unconfirmed_txs() == Waiting(0, 0))


def test_threads_share_a_client(chain: CometRpc) -> None:
    wrong: list[object] = []

    def ask(number: int) -> None:
        for turn in range(20):
            raw = b"no thread %d %d" % (number, turn)
            if chain.broadcast([raw], is_checked=False) != [Broadcast(Entry.PASSED_ON)]:
                wrong.append(raw)
            block = chain.signed_header(1 + turn % 2)
            if block is None or block.header.height != 1 + turn % 2:
                wrong.append(block)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# A server that answers with anything


class FakeComet:
    """Answers each request with `answer` of its body. Counts connections, and requests."""

    def __init__(self) -> None:
        self.answer: Callable[[bytes], bytes | None] = lambda _: None  # None: hang up
        self.hangs_up_after = False
        self.connections = 0
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader, contextlib.suppress(ConnectionError):
            while True:
                length = 0
                while (line := reader.readline()) not in {b"\r\n", b""}:
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                if not line:
                    return
                body = reader.read(length)
                self.requests.append(body)
                answer = self.answer(body)
                if answer is None:
                    return
                connection.sendall(answer)
                if self.hangs_up_after:
                    return


@pytest.fixture
def fake() -> Iterator[FakeComet]:
    server = FakeComet()
    yield server
    server.close()


@pytest.fixture(scope="module")
def lasting_fake() -> Iterator[FakeComet]:
    """For properties: one server for all examples."""
    server = FakeComet()
    yield server
    server.close()


@contextlib.contextmanager
def client(fake: FakeComet, timeout_seconds: float = PATIENCE_SECONDS) -> Iterator[CometRpc]:
    rpc = CometRpc(fake.address, timeout_seconds)
    try:
        yield rpc
    finally:
        rpc.close()


def http(body: bytes, head: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"%s\r\nContent-Length: %d\r\n\r\n%s" % (head, len(body), body)


def results(of: Callable[[str, dict[str, str]], object]) -> Callable[[bytes], bytes]:
    """An answer to each call by its method and parameters."""

    def answer(body: bytes) -> bytes:
        replies = [
            {"jsonrpc": "2.0", "id": call["id"], "result": of(call["method"], call["params"])}
            for call in json.loads(body)
        ]
        return http(json.dumps(replies if len(replies) > 1 else replies[0]).encode())

    return answer


def test_a_large_hand_in_goes_in_parts(fake: FakeComet) -> None:
    fake.answer = results(lambda _, params: {"code": 0, "data": "", "log": params["tx"]})
    raws = [b"%d" % number for number in range(BATCH_TRANSACTIONS * 2 + 1)]
    with client(fake) as rpc:
        assert len(rpc.broadcast(raws)) == len(raws)
        assert [len(json.loads(body)) for body in fake.requests] == [BATCH_TRANSACTIONS, BATCH_TRANSACTIONS, 1]
        fake.requests.clear()
        large = [bytes(BATCH_BYTES // 4)] * 7
        assert len(rpc.broadcast(large)) == len(large)
    assert len(fake.requests) > 1
    assert all(len(body) <= BATCH_BYTES for body in fake.requests)


def test_another_height_than_asked_for_is_refused(fake: FakeComet) -> None:
    block = BLOCK
    fake.answer = results(
        lambda _, __: {
            "signed_header": block["signed_header"],
            "canonical": True,
        }
    )
    with client(fake) as rpc, pytest.raises(DecodeError, match="asked for height 77"):
        rpc.signed_header(77)


def test_nothing_at_a_height_is_none(fake: FakeComet) -> None:
    """A node that state sync brought to a height has no block there: rpc/core/blocks.go, Commit and Block."""
    fake.answer = results(lambda method, _: {"block": None} if method == "block" else None)
    with client(fake) as rpc:
        assert rpc.signed_header(2) is None
        assert rpc.block(2) is None


@pytest.mark.parametrize("inner", [b"[" * 100_000 + b"]" * 100_000, b'"\xff"', b"1e400"])
def test_json_that_no_reader_takes_is_refused(fake: FakeComet, inner: bytes) -> None:
    fake.answer = lambda _: http(b'{"id":0,"result":{"signed_header":' + inner + b',"canonical":true}}')
    with client(fake) as rpc, pytest.raises(DecodeError):
        rpc.signed_header(2)


@pytest.mark.parametrize("length", ["-5", "5" * 20])
def test_a_length_that_no_reader_takes_is_refused(fake: FakeComet, length: str) -> None:
    """http.client lets a ValueError or an OverflowError of the file below through."""
    fake.hangs_up_after = True
    fake.answer = lambda _: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length}\r\nab".encode()
    with client(fake) as rpc, pytest.raises((DecodeError, RpcUnreachable)):
        rpc.status()


def test_nobody_there_is_unreachable() -> None:
    rpc = CometRpc(f"127.0.0.1:{free_port()}")
    with pytest.raises(RpcUnreachable):
        rpc.status()
    assert not rpc.health()


@pytest.mark.parametrize(
    "answer",
    [None, b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"],
)  # fmt: skip
def test_a_server_that_hangs_up_is_unreachable(fake: FakeComet, answer: bytes | None) -> None:
    fake.answer = lambda _: answer
    fake.hangs_up_after = True
    with client(fake) as rpc, pytest.raises(RpcUnreachable):
        rpc.status()
    assert len(fake.requests) == 1


def test_a_slow_server_is_unreachable(fake: FakeComet) -> None:
    asked = threading.Event()
    fake.answer = lambda _: b"too late"[: asked.wait(PATIENCE_SECONDS)]
    with client(fake, 0.1) as rpc, pytest.raises(RpcUnreachable, match="timed out"):
        rpc.status()
    asked.set()


def test_a_connection_is_kept(fake: FakeComet) -> None:
    fake.answer = results(lambda _, __: {})
    with client(fake) as rpc:
        assert rpc.health()
        assert rpc.health()
    assert fake.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_made_anew(fake: FakeComet) -> None:
    fake.answer = results(lambda _, __: {})
    fake.hangs_up_after = True
    with client(fake) as rpc:
        for _ in range(3):
            assert rpc.health()
    assert fake.connections == 3


def test_an_answer_that_is_too_large_is_refused(fake: FakeComet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.ledger.comet.rpc.MAX_ANSWER_BYTES", 100)
    fake.answer = lambda _: http(b" " * 101)
    with client(fake) as rpc, pytest.raises(DecodeError, match="100 bytes or more"):
        rpc.status()


def test_an_answer_to_another_call_is_refused(fake: FakeComet) -> None:
    fake.answer = lambda _: http(b'[{"id":1,"result":{}},{"id":0,"result":{}}]')
    with client(fake) as rpc, pytest.raises(DecodeError, match="not the answers to what was asked"):
        rpc.broadcast([b"one", b"two"])


@pytest.mark.parametrize("address", ["", "localhost", "127.0.0.1:0", "127.0.0.1:65536", "unix:///x", "a b:1", "h:1/x"])
def test_no_address_is_refused(address: str) -> None:
    with pytest.raises(DecodeError):
        CometRpc(address)


@pytest.mark.parametrize("address", ["tcp://[::1]:26657", "http://node.example:1", "10.0.0.1:26657"])
def test_addresses(address: str) -> None:
    assert CometRpc(address).address == address


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(["2", "AB", "A"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
BLOCK: Any = comet("light_blocks")[0]["commit"]
NODE = {"id": "ab", "network": "chain", "version": "0.39.4", "moniker": "one"}
WHOLE: dict[str, Any] = {
    "broadcast_tx_sync": {"code": 0, "data": "AB", "log": ""},
    "broadcast_tx_async": {"code": 0, "data": "", "log": ""},
    "commit": {"signed_header": BLOCK["signed_header"], "canonical": True},
    "block": {"block": {"header": BLOCK["signed_header"]["header"], "data": {"txs": ["YQ=="]}}},
    "status": {
        "node_info": NODE,
        "sync_info": {
            "latest_block_height": "1",
            "latest_app_hash": "",
            "latest_block_time": "2026-11-22T14:20:31Z",
            "earliest_block_height": "1",
            "catching_up": False,
        },
        "validator_info": {"address": "AB", "voting_power": "1"},
    },
    "net_info": {"peers": [{"node_info": NODE, "is_outbound": True, "remote_ip": "10.0.0.1"}]},
    "consensus_params": {
        "consensus_params": {
            "block": {"max_bytes": "1", "max_gas": "-1"},
            "evidence": {"max_age_num_blocks": "1", "max_age_duration": "1"},
        }
    },
    "num_unconfirmed_txs": {"total": "0", "total_bytes": "0"},
    "health": {},
}


def test_whole_answers_are_read(fake: FakeComet) -> None:
    fake.answer = results(lambda method, _: WHOLE[method])
    with client(fake) as rpc:
        status = rpc.status()
        assert isinstance(status, NodeStatus)
        assert [peer.node_id for peer in rpc.net_info()] == ["ab"]
        assert rpc.broadcast([b"one"]) == [Broadcast(Entry.CHECKED, 0, b"\xab")]


@given(data=st.data())
def test_no_answer_leaves_but_as_a_decode_error(lasting_fake: FakeComet, data: st.DataObject) -> None:
    spoilt = json.loads(json.dumps(WHOLE))
    for _ in range(data.draw(st.integers(1, 2))):
        holder: Any = spoilt
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            key = data.draw(st.sampled_from(keys))
            inner = holder[key]
            if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
                holder[key] = data.draw(JSON)
                break
            holder = inner
    lasting_fake.answer = results(lambda method, _: spoilt[method])
    ask_everything(lasting_fake)


@given(data=st.data())
def test_no_reply_leaves_but_as_a_decode_error(lasting_fake: FakeComet, data: st.DataObject) -> None:
    reply = st.fixed_dictionaries(
        {}, optional={"id": st.sampled_from([0, 1, -1, "0", None]), "result": JSON, "error": JSON}
    )
    body = data.draw(st.one_of(reply, st.lists(reply, max_size=3), JSON).map(lambda value: json.dumps(value).encode()))
    body = data.draw(st.sampled_from([body, body[:-1], body + b"\x00", b"[" * 100_000, b"\xff" + body]))
    lasting_fake.answer = lambda _: http(body)
    ask_everything(lasting_fake)


@given(
    head=st.sampled_from([b"", b"HTTP/1.1 200 OK", b"HTTP/1.1 500 No", b"HTTP/1.1 abc", b"HTTP/1.0 204 x", b"junk"]),
    fields=st.lists(
        st.sampled_from(
            [b"Content-Length: -5", b"Content-Length: 5", b"Content-Length: 9" + b"9" * 5_000, b"Content-Length: x",
             b"Transfer-Encoding: chunked", b"Connection: close", b"x" * 70_000, b": :", b"\xff\x00: 1"]
        ),
        max_size=3,
    ),
    body=st.binary(max_size=8) | st.sampled_from([b"-5\r\n12345", b"5\r\nabcde\r\n0\r\n\r\n", b"f" * 30 + b"\r\nab"]),
)  # fmt: skip
def test_no_bytes_leave_but_as_one_of_three_errors(
    lasting_fake: FakeComet, head: bytes, fields: list[bytes], body: bytes
) -> None:
    lasting_fake.hangs_up_after = True
    lasting_fake.answer = lambda _: b"\r\n".join([head, *fields, b"", body])
    with client(lasting_fake) as rpc, pytest.raises((RpcUnreachable, DecodeError)):
        rpc.status()
    lasting_fake.hangs_up_after = False


def ask_everything(fake: FakeComet) -> None:
    with client(fake) as rpc:
        for method in METHODS.values():
            with contextlib.suppress(DecodeError, RpcRefused):
                method(rpc)
