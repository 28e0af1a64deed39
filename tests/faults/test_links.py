"""The network that the other tests stand on: what it carries, holds back and breaks."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.network import HOST, Links

SOON = 5.0


class Echo:
    """A member that sends back what it is sent."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._answer_all, daemon=True).start()

    def _answer_all(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(caller,), daemon=True).start()

    def _answer(self, caller: socket.socket) -> None:
        with caller:
            try:
                while came := caller.recv(1 << 16):
                    caller.sendall(came)
            except OSError:
                return

    def close(self) -> None:
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for callers
            self._listener.close()


@pytest.fixture
def links() -> Iterator[Links]:
    made = Links()
    yield made
    made.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.close()


def called(port: int, seconds: float = SOON) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=seconds)


def received(caller: socket.socket, size: int) -> bytes:
    came = b""
    while len(came) < size and (part := caller.recv(1 << 16)):
        came += part
    return came


def is_hung_up_on(caller: socket.socket) -> bool:
    try:
        return caller.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_link_carries_everything_in_order(links: Links, echo: Echo) -> None:
    sent = b"".join(b"%08d" % number for number in range(200_000))
    with called(links.relay(0, 1, echo.port)) as caller:
        threading.Thread(target=caller.sendall, args=(sent,), daemon=True).start()
        assert received(caller, len(sent)) == sent


def test_a_cut_link_holds_what_is_sent_and_delivers_it_when_it_heals(links: Links, echo: Echo) -> None:
    with called(links.relay(0, 1, echo.port)) as caller:
        caller.sendall(b"before")
        assert received(caller, 6) == b"before"
        links.cut(1, 0)
        caller.sendall(b"meanwhile")
        caller.settimeout(0.3)
        with pytest.raises(TimeoutError):
            caller.recv(1)
        links.heal(0, 1)
        caller.settimeout(SOON)
        assert received(caller, 9) == b"meanwhile"


def test_nobody_connects_through_a_cut_link(links: Links, echo: Echo) -> None:
    port = links.relay(0, 1, echo.port)
    links.cut(0, 1)
    with called(port) as caller:
        assert is_hung_up_on(caller)
    links.restore()
    with called(port) as caller:
        caller.sendall(b"hello")
        assert received(caller, 5) == b"hello"


def test_a_partition_cuts_between_its_groups_alone(links: Links, echo: Echo) -> None:
    ports = {pair: links.relay(*pair, echo.port) for pair in ((0, 1), (2, 3), (0, 2), (3, 1))}
    with called(ports[0, 1]) as first, called(ports[2, 3]) as second, called(ports[0, 2]) as third:
        for caller in (first, second, third):
            caller.sendall(b"before")
            assert received(caller, 6) == b"before"
        links.part((0, 1), (2, 3))
        for caller in (first, second):
            caller.sendall(b"within")
            assert received(caller, 6) == b"within"
        third.sendall(b"across")
        third.settimeout(0.3)
        with pytest.raises(TimeoutError):
            third.recv(1)


def test_a_delay_is_counted_each_way(links: Links, echo: Echo) -> None:
    with called(links.relay(0, 1, echo.port)) as caller:
        links.delay(0, 1, 0.2)
        began = time.monotonic()
        caller.sendall(b"slow")
        assert received(caller, 4) == b"slow"
        assert 0.4 <= time.monotonic() - began < SOON


def test_a_dropped_connection_is_noticed_and_may_be_made_again(links: Links, echo: Echo) -> None:
    port = links.relay(0, 1, echo.port)
    with called(port) as caller:
        caller.sendall(b"before")
        assert received(caller, 6) == b"before"
        links.drop(0, 1)
        assert is_hung_up_on(caller)
    with called(port) as caller:
        caller.sendall(b"after")
        assert received(caller, 5) == b"after"


def test_whoever_calls_somebody_that_is_gone_is_hung_up_on(links: Links, echo: Echo) -> None:
    echo.close()
    with called(links.relay(0, 1, echo.port)) as caller:
        assert is_hung_up_on(caller)
