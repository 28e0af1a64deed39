"""The engine's local socket: what a bad client can't do, and what a client is told when the node goes away."""

import logging
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tallystick.ledger import socket_frames as frames
from tallystick.ledger.engine import Committed, Outcome, Unknown
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.socket_client import EngineClient, EngineUnreachable
from tallystick.ledger.socket_server import MAX_UNDER_WAY, EngineServer
from tallystick.ledger.store import RocksStore, StoreFailure
from tallystick.wire.errors import DecodeError
from tests.support.ledger import NODE_KEY, Consortium, OwnClock, genesis


class Node:
    """An engine with its socket."""

    def __init__(self, ledger: Path, directory: Path) -> None:
        self.path = directory / "engine.sock"
        self.engine = EmbeddedEngine(RocksStore(ledger), NODE_KEY, genesis(), OwnClock())
        self.server = EngineServer(self.engine, self.path)
        self.server.start()

    def close(self) -> None:
        self.server.close()
        self.engine.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with tempfile.TemporaryDirectory(prefix="tally-") as directory:  # a socket's path must be short
        made = Node(tmp_path / "ledger", Path(directory))
        yield made
        made.close()


def raw_connection(node: Node) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.connect(str(node.path))
    made.settimeout(10)
    return made


HELLO = frames.framed(frames.encode(frames.Call(1, frames.Hello())))
MALFORMED = {
    "no msgpack": frames.framed(b"\xc1\xc1\xc1"),
    "no call": frames.framed(b"\x93\x01\x02\x03"),
    "an unknown request": frames.framed(b"\x92\x01\x91\xa8Shutdown"),
    "a wrong field": frames.framed(b"\x92\x01\x92\xa6Result\x05"),
    "too many fields": frames.framed(b"\x93\x01\x91\xa5Hello\x05"),
    "no transactions": frames.framed(b"\x92\x01\x92\xa6Submit\x90"),
    "an empty frame": struct.pack(">I", 0),
    "a frame that is too large": struct.pack(">I", frames.MAX_FRAME_BYTES + 1),
    "another protocol": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_frame_closes_its_connection_alone(node: Node, name: str, caplog: pytest.LogCaptureFixture) -> None:
    with EngineClientOpen(node) as client, raw_connection(node) as bad, caplog.at_level(logging.WARNING):
        bad.sendall(HELLO)
        assert bad.recv(1000)
        bad.sendall(MALFORMED[name])
        assert bad.recv(1000) == b"", "the connection stays open"
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "a connection is closed" in caplog.text
        assert isinstance(client.submit(Consortium().anchoring("fine")), Committed)


def test_an_end_inside_a_frame_is_logged(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for part in (HELLO[:2], HELLO[:-1]):
            with raw_connection(node) as bad:
                bad.sendall(part)
        until = time.monotonic() + 5
        while len(caplog.records) < 2 and time.monotonic() < until:
            time.sleep(0.01)
    assert caplog.text.count("it ended inside a frame") == 2


def test_a_hang_up_between_frames_is_no_news(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            EngineClient(node.path).close()
            raw_connection(node).close()
        time.sleep(0.2)
    assert not caplog.records


class EngineClientOpen:
    """A client that hangs up at the end of a block."""

    def __init__(self, node: Node) -> None:
        self._client = EngineClient(node.path)

    def __enter__(self) -> EngineClient:
        return self._client

    def __exit__(self, *error: object) -> None:
        self._client.close()


def test_many_requests_are_under_way_on_one_connection(node: Node) -> None:
    count = 3 * MAX_UNDER_WAY
    consortium = Consortium()
    outcomes: list[Outcome] = []
    all_told = threading.Event()

    def done(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if len(outcomes) == count:
            all_told.set()

    with EngineClientOpen(node) as client:
        for number in range(count):
            client.submit_later(consortium.anchoring(f"{number}"), done)
        assert client.health().height >= 0, "a question waits behind the transactions"
        assert all_told.wait(60)
    places = [(one.height, one.index) for one in outcomes if isinstance(one, Committed)]
    assert len(set(places)) == count
    assert places == sorted(places)
    assert places[-1][0] < count / 20, "pipelined transactions share blocks"


def test_lists_larger_than_a_frame_are_cut_up_in_order(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.ledger.socket_client.FRAME_BYTES", 5_000)
    consortium = Consortium()
    with EngineClientOpen(node) as client:
        outcomes = client.submit_many([consortium.anchoring(f"{number}") for number in range(200)])
    places = [(one.height, one.index) for one in outcomes if isinstance(one, Committed)]
    assert len(places) == 200
    assert places == sorted(places)


def test_an_answer_larger_than_a_frame_is_a_failure_of_that_request(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    consortium = Consortium()
    with EngineClientOpen(node) as client:
        client.submit_many([consortium.anchoring(f"{number}") for number in range(200)])
        monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 20_000)
        with pytest.raises(DecodeError, match="ask for less"):
            client.scan("document")
        assert len(client.scan("document", limit=10)) == 10


class SlowEngine:
    """An engine whose writer never comes to an end: transactions stay under way."""

    chain_id = "slow"

    def __init__(self) -> None:
        self.handed_in: list[bytes] = []

    def submit_later(self, raw: bytes, done: Callable[[Outcome], None]) -> None:
        self.handed_in.append(raw)

    def health(self) -> object:
        raise RuntimeError("planted")


def test_a_client_whose_node_goes_away_is_told_unknown() -> None:
    slow = SlowEngine()
    with tempfile.TemporaryDirectory(prefix="tally-") as directory:
        server = EngineServer(slow, Path(directory) / "engine.sock")  # type: ignore[arg-type]
        server.start()
        client = EngineClient(Path(directory) / "engine.sock")
        outcomes: list[Outcome] = []
        submitter = threading.Thread(target=lambda: outcomes.extend(client.submit_many([b"one", b"two"], 30)))
        submitter.start()
        told: list[Outcome] = []
        client.submit_later(b"three", told.append)
        while len(slow.handed_in) < 3:
            time.sleep(0.01)
        server.close()
        submitter.join(10)
        assert not submitter.is_alive()
        assert [type(outcome) for outcome in outcomes] == [Unknown, Unknown]
        assert [type(outcome) for outcome in told] == [Unknown]
        assert isinstance(client.submit(b"four", 5), Unknown)
        with pytest.raises(EngineUnreachable):
            client.health()
        client.close()


def test_an_answer_that_does_not_come_in_time_is_unknown() -> None:
    with tempfile.TemporaryDirectory(prefix="tally-") as directory:
        server = EngineServer(SlowEngine(), Path(directory) / "engine.sock")  # type: ignore[arg-type]
        server.start()
        client = EngineClient(Path(directory) / "engine.sock")
        started = time.monotonic()
        outcome = client.submit(b"one", timeout_seconds=0.3)
        assert isinstance(outcome, Unknown)
        assert time.monotonic() - started < 5
        client.close()
        server.close()


def test_a_bug_in_the_engine_fails_one_request(caplog: pytest.LogCaptureFixture) -> None:
    with tempfile.TemporaryDirectory(prefix="tally-") as directory:
        server = EngineServer(SlowEngine(), Path(directory) / "engine.sock")  # type: ignore[arg-type]
        server.start()
        client = EngineClient(Path(directory) / "engine.sock")
        with pytest.raises(StoreFailure, match="planted"):
            client.health()
        assert "a request failed" in caplog.text
        client.close()
        server.close()


def test_a_client_finds_the_node_again(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="tally-") as directory:
        node = Node(tmp_path / "ledger", Path(directory))
        client = EngineClient(node.path)
        raw = Consortium().anchoring("one")
        first = client.submit(raw)
        node.close()
        assert isinstance(client.submit(raw, 5), Unknown)
        node = Node(tmp_path / "ledger", Path(directory))
        assert client.submit(raw) == first
        client.close()
        node.close()


def test_the_socket_is_the_owners_alone(node: Node) -> None:
    assert node.path.stat().st_mode & 0o777 == 0o600


def test_a_second_server_is_refused_and_a_dead_socket_replaced(node: Node, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="already answers"):
        EngineServer(node.engine, node.path).start()
    dead = node.path.with_name("dead.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left_behind:
        left_behind.bind(str(dead))
    server = EngineServer(node.engine, dead)
    server.start()
    client = EngineClient(dead)
    assert client.chain_id == node.engine.chain_id
    client.close()
    server.close()
    assert not dead.exists()
    with pytest.raises(OSError, match="shorter home"):
        EngineServer(node.engine, tmp_path / ("x" * 120)).start()


def test_without_a_node_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable, match="no node answers"):
        EngineClient(tmp_path / "engine.sock")
