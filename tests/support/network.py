"""A network between members on one machine whose links a test can cut, slow down and break, without being root.

Each ordered pair of members has a relay: the port at which one finds the other. A relay carries bytes both ways in
order, as TCP does. What a cut link holds is kept and delivered when it heals, as lost packets are sent again, and no
new connection comes through meanwhile; so whoever waits behind it can't tell a cut from a slow peer.
"""

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

HOST = "127.0.0.1"
CHUNK_BYTES = 1 << 16
UNDER_WAY = 64  # chunks of a direction that were read and not delivered yet; more stay with the sender

_T = TypeVar("_T")


@dataclass(slots=True)
class _Link:
    """What lies between two members, whoever dialled."""

    flows: asyncio.Event
    delay_seconds: float = 0.0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def abort(self) -> None:
        for writer in tuple(self.writers):
            writer.transport.abort()


class Links:
    """The links between members that go by numbers. Any thread may ask; one thread of its own carries the bytes."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._links: dict[frozenset[int], _Link] = {}
        self._relays: list[asyncio.Server] = []
        self._carrying: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._thread.start()

    def relay(self, source: int, target: int, port: int) -> int:
        """The port at which `source` finds `target`, which listens on `port`."""
        return self._do(self._relay(self._link(source, target), port))

    def cut(self, one: int, other: int) -> None:
        """Nothing passes between the two any more; their connections stay, and what they send waits."""
        self._tell(self._link(one, other).flows.clear)

    def heal(self, one: int, other: int) -> None:
        """What waited is delivered, and all that follows."""
        self._tell(self._link(one, other).flows.set)

    def part(self, *groups: Iterable[int]) -> None:
        """Cut every link between members of different groups."""
        for here, there in itertools.combinations([tuple(group) for group in groups], 2):
            for one, other in itertools.product(here, there):
                self.cut(one, other)

    def delay(self, one: int, other: int, seconds: float) -> None:
        """Let all that is sent from now on take so long, each way."""
        self._link(one, other).delay_seconds = seconds

    def drop(self, one: int, other: int) -> None:
        """Break the connections between the two; both notice, and may connect again."""
        self._tell(self._link(one, other).abort)

    def restore(self) -> None:
        """All links flow again, at once."""
        for link in tuple(self._links.values()):
            self._tell(link.flows.set)
            link.delay_seconds = 0.0

    def close(self) -> None:
        """Break everything off."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _tell(self, what: Callable[[], object]) -> None:
        async def told() -> None:
            what()

        self._do(told())

    def _link(self, one: int, other: int) -> _Link:
        pair = frozenset((one, other))
        if pair not in self._links:
            self._links[pair] = _Link(asyncio.Event())
            self._tell(self._links[pair].flows.set)
        return self._links[pair]

    async def _relay(self, link: _Link, port: int) -> int:
        def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            carrying = self._loop.create_task(_join(link, reader, writer, port))
            self._carrying.add(carrying)
            carrying.add_done_callback(self._carrying.discard)

        server = await asyncio.start_server(joined, HOST, 0)
        self._relays.append(server)
        found: int = server.sockets[0].getsockname()[1]
        return found

    async def _close(self) -> None:
        for server in self._relays:
            server.close()
        carrying = tuple(self._carrying)
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)


async def _join(link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Connect a caller through to whom it calls, until either hangs up."""
    if not link.flows.is_set():
        writer.transport.abort()
        return
    try:
        there, back = await asyncio.open_connection(HOST, port)
    except OSError:
        writer.transport.abort()  # nobody listens
        return
    link.writers |= {writer, back}
    ways = [asyncio.create_task(_carry(link, reader, back)), asyncio.create_task(_carry(link, there, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        link.writers -= {writer, back}
        for end in (writer, back):
            end.transport.abort()


async def _carry(link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Deliver what comes, in order, each after the link's delay and while it flows."""
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY)

    async def take_in() -> None:
        chunk = b"first"
        while chunk:
            try:
                chunk = await reader.read(CHUNK_BYTES)
            except OSError:
                chunk = b""
            await under_way.put((time.monotonic() + link.delay_seconds, chunk))

    taking_in = asyncio.create_task(take_in())
    try:
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(max(due - time.monotonic(), 0.0))
            await link.flows.wait()
            if not chunk:
                return
            writer.write(chunk)
            await writer.drain()
    except OSError:
        return
    finally:
        taking_in.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await taking_in
