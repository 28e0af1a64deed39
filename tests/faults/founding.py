"""The machines of a consortium on this one: homes, ports, keys, one genesis, and links between all of them."""

import itertools
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tallystick.kernel.core import codec
from tallystick.kernel.governance.records import Engine, Validator
from tallystick.node.cometbft.identity import own_identity, read_identity, validator_key_file
from tallystick.node.cometbft.settings import NodeSettings, Peers, Rpc, StateSync, write_settings
from tallystick.node.home import Home
from tallystick.wire.instants import Instant
from tests.faults.member import Member
from tests.support.ledger import Consortium, genesis
from tests.support.network import HOST, Links

NOBODY = f"{HOST}:9"  # where nobody listens: whoever would dial a member past its links finds nothing
FIRST_PORT, LAST_PORT, PORTS_OF_A_PROCESS = 28_400, 28_799, 40  # below those that systems give out by themselves


def now() -> Instant:
    """This machine's time."""
    return Instant(time.time_ns() // 1_000_000)


class Ground:
    """Where members are put. `settings` are those of every member's node, besides its addresses."""

    def __init__(self, directory: Path, links: Links, count: int, began: Instant, settings: dict[str, Any]) -> None:
        self._directory = directory
        self._links = links
        self._settings = settings
        self._ports = _free_ports()
        self._p2p: dict[int, int] = {}
        self._rpc: dict[int, int] = {}
        for number in range(count):
            self._settle(number)
        identities = [own_identity(self.home(number)) for number in range(count)]
        founding = genesis(at=began)
        self._genesis = codec.encode(
            msgspec.structs.replace(
                founding,
                engine=Engine.CONSORTIUM,
                validators=tuple(Validator(key=one.validator_key, name=f"v{at}") for at, one in enumerate(identities)),
            )
        )
        self.steps = Consortium(founding.chain_id, began)
        for number in range(count):
            self._write(number, [other for other in range(count) if other != number], None)
        self.members = [Member(number, self.home(number).path) for number in range(count)]

    def home(self, number: int) -> Home:
        """The home of a member."""
        return Home(self._directory / str(number))

    def rpc_address(self, number: int) -> str:
        """Where a member's CometBFT answers."""
        return f"{HOST}:{self._rpc[number]}"

    def validator_key(self, number: int) -> str:
        """A member's public key as a validator."""
        return read_identity(self.home(number)).validator_key

    def join(self, *, state_sync: StateSync | None = None, key_of: int | None = None) -> Member:
        """Another machine, which dials all the others: no validator, or one with the key of member `key_of`."""
        number = len(self.members)
        self._settle(number)
        own_identity(self.home(number))
        if key_of is not None:
            shutil.copyfile(validator_key_file(self.home(key_of)), validator_key_file(self.home(number)))
        self._write(number, list(range(number)), state_sync)
        self.members.append(Member(number, self.home(number).path))
        return self.members[-1]

    def _settle(self, number: int) -> None:
        self.home(number).path.mkdir(mode=0o700)
        self._p2p[number], self._rpc[number] = next(self._ports), next(self._ports)

    def _write(self, number: int, others: list[int], state_sync: StateSync | None) -> None:
        home = self.home(number)
        home.genesis.write_bytes(self._genesis)
        peers = [
            f"{read_identity(self.home(other)).node_id}@{HOST}:{self._links.relay(number, other, self._p2p[other])}"
            for other in others
        ]
        settings = NodeSettings(
            moniker=f"member-{number}",
            peers=Peers(
                listen=f"{HOST}:{self._p2p[number]}", external=NOBODY, persistent=tuple(peers), one_machine=True
            ),
            rpc=Rpc(listen=self.rpc_address(number)),
            state_sync=state_sync,
            **self._settings,
        )
        write_settings(home.settings, settings)


def _free_ports() -> Iterator[int]:
    """Ports at which nobody listens; test processes beside each other begin at different ones."""
    worker = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))) or 0)
    everywhere = range(FIRST_PORT, LAST_PORT + 1)
    start = worker * PORTS_OF_A_PROCESS % len(everywhere)
    for port in itertools.chain(everywhere[start:], everywhere[:start]):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        yield port
