"""How the members whose homes are on this machine are: each is asked itself, and who does not answer is told so."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from tallystick.ledger.comet.rpc import CometRpc, NodeStatus, RpcRefused, RpcUnreachable
from tallystick.ledger.engine import Engine, Health, HeightUnavailable
from tallystick.ledger.socket_client import EngineClient, EngineUnreachable
from tallystick.node.composition import Unreachable, node_answers
from tallystick.node.consortium.member_home import MemberHome
from tallystick.wire.errors import DecodeError

ASK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class CometState:
    """What a member's CometBFT says of itself."""

    version: str
    peers: int
    is_catching_up: bool
    is_validator: bool
    waiting: int
    """Transactions in its mempool."""


@dataclass(frozen=True, slots=True)
class MemberState:
    """How a member is; what is None did not answer. `problem` is empty where all is well."""

    name: str
    health: Health | None
    comet: CometState | None
    problem: str

    @property
    def is_well(self) -> bool:
        """Whether it runs and takes transactions."""
        return self.health is not None and not self.problem


class Watch:
    """The members of a consortium, with a connection to each that is kept."""

    def __init__(self, members: Sequence[MemberHome]) -> None:
        self._members = members
        self._engines: dict[str, EngineClient] = {}
        self._pool = ThreadPoolExecutor(len(members), "watch")
        self._rpcs = {member.settings.moniker: CometRpc(member.settings.rpc_address, ASK_SECONDS) for member in members}

    def look(self) -> list[MemberState]:
        """Ask all members now, beside each other: one that hangs holds up nobody for long."""
        asked = [(member.settings.moniker, self._pool.submit(self._look, member)) for member in self._members]
        return [self._answer(name, future) for name, future in asked]

    def close(self) -> None:
        """Hang up."""
        for engine in self._engines.values():
            engine.close()
        self._pool.shutdown(cancel_futures=True)  # whoever still asks has been hung up on, or gives up in a moment
        for rpc in self._rpcs.values():
            rpc.close()

    def _answer(self, name: str, future: "Future[MemberState]") -> MemberState:
        try:
            return future.result(ASK_SECONDS)
        except TimeoutError:
            hung = self._engines.pop(name, None)
            if hung is not None:
                hung.close()
            return MemberState(name, None, None, f"its node has not answered for {ASK_SECONDS:.0f} seconds")

    def _look(self, member: MemberHome) -> MemberState:
        name = member.settings.moniker
        try:
            health = self._health(member)
        except (EngineUnreachable, Unreachable, TimeoutError) as error:
            return MemberState(name, None, None, str(error))
        if health is None:
            return MemberState(name, None, None, "its node is not running")
        try:
            comet = comet_state(self._rpcs[name])
        except (RpcUnreachable, RpcRefused, DecodeError) as error:
            return MemberState(name, health, None, health.problem or str(error))
        problem = health.problem or ("; ".join(health.faults))
        return MemberState(name, health, comet, problem)

    def _health(self, member: MemberHome) -> Health | None:
        name = member.settings.moniker
        if name not in self._engines:
            if not node_answers(member.home):
                return None
            self._engines[name] = EngineClient(member.home.socket)
        try:
            return self._engines[name].health()
        except EngineUnreachable:
            self._engines.pop(name).close()
            return None


@contextmanager
def watching(members: Sequence[MemberHome]) -> Iterator[Watch]:
    """A watch that is closed at the end."""
    watch = Watch(members)
    try:
        yield watch
    finally:
        watch.close()


def comet_state(rpc: CometRpc) -> CometState:
    """What the CometBFT behind `rpc` says. Raises `RpcUnreachable`, `RpcRefused`, `DecodeError`."""
    status: NodeStatus = rpc.status()
    return CometState(
        version=status.version,
        peers=len(rpc.net_info()),
        is_catching_up=status.is_catching_up,
        is_validator=status.voting_power > 0,
        waiting=rpc.num_unconfirmed_txs().transactions,
    )


def comet_of(member: MemberHome) -> CometState | None:
    """What the CometBFT of one member says; None while it does not answer."""
    rpc = CometRpc(member.settings.rpc_address, ASK_SECONDS)
    try:
        return comet_state(rpc)
    except (RpcUnreachable, RpcRefused, DecodeError):
        return None
    finally:
        rpc.close()


def trusted_block(engine: Engine, height: int) -> str | None:
    """HEIGHT:HASH, what a newcomer's `--trust` takes; None where the header is not here."""
    try:
        return f"{height}:{engine.light_block(height).header.hash().hex()}"
    except HeightUnavailable:
        return None
