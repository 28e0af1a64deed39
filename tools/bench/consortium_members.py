"""Members of a consortium on this machine, each with its CometBFT: with ours as the application, or CometBFT's kvstore.

Both run on the same configuration, which is the one that a member's node writes.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from tallystick.kernel.core import codec
from tallystick.kernel.genesis import Genesis
from tallystick.kernel.governance.records import Engine, Validator
from tallystick.ledger.comet.rpc import CometRpc, RpcUnreachable
from tallystick.ledger.socket_client import EngineClient
from tallystick.node.cometbft.binary import find_cometbft
from tallystick.node.cometbft.configuration import write_configuration
from tallystick.node.cometbft.identity import own_identity
from tallystick.node.cometbft.settings import Keeping, NodeSettings, Peers, Rpc, write_settings
from tallystick.node.home import Home
from tools.bench.consortium_load import ByRpc, BySocket, WayIn

START_SECONDS = 60.0
STOP_SECONDS = 20.0
COMETBFT = "cometbft"
NODE = "node"

Cpu = dict[str, float]
"""Processor seconds by kind of process."""


class Members:
    """Members that run, from `start` to `stop`. Subclasses say what a member's processes are."""

    def __init__(self, directory: Path, size: int, genesis: Genesis) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        self.homes = [Home((directory / f"m{number}").absolute()) for number in range(size)]
        self._processes: list[subprocess.Popen[bytes]] = []
        identities = [own_identity(home) for home in self.homes]
        validators = tuple(Validator(key=one.validator_key, name=f"member {n}") for n, one in enumerate(identities))
        self.genesis = replace(genesis, engine=Engine.CONSORTIUM, validators=validators)
        addresses = [f"127.0.0.1:{port}" for port in _free_ports(2 * size)]
        self.addresses = addresses[size:]
        for number, home in enumerate(self.homes):
            others = tuple(
                f"{identity.node_id}@{address}"
                for identity, address in zip(identities, addresses, strict=False)
                if identity is not identities[number]
            )
            settings = NodeSettings(
                moniker=f"member-{number}",
                peers=Peers(listen=addresses[number], persistent=others, one_machine=True),
                rpc=Rpc(listen=self.addresses[number]),
                keeping=Keeping(snapshot_every_blocks=0),
            )
            home.genesis.write_bytes(codec.encode(self.genesis))
            write_settings(home.settings, settings)
            write_configuration(home, settings, self.genesis)
            self.configured(home)

    def configured(self, home: Home) -> None:
        """A member's configuration is written."""

    def start(self) -> None:
        """Start all, and wait until they are connected and the first block is there."""
        for home in self.homes:
            with (home.path / "log").open("wb") as log:
                self._processes.append(subprocess.Popen(self.command(home), stdout=log, stderr=log))
        until = time.monotonic() + START_SECONDS
        for home, address in zip(self.homes, self.addresses, strict=True):
            rpc = CometRpc(address)
            while not self._is_ready(rpc):
                if time.monotonic() > until or any(process.poll() is not None for process in self._processes):
                    raise RuntimeError(f"a member does not start; see {home.path.parent}/*/log")
                time.sleep(0.1)
            rpc.close()

    def _is_ready(self, rpc: CometRpc) -> bool:
        try:
            return rpc.status().height >= 1 and len(rpc.net_info()) == len(self.homes) - 1
        except RpcUnreachable:
            return False

    def command(self, home: Home) -> list[str]:
        """How a member is run."""
        raise NotImplementedError

    def ways(self, in_flight: int) -> list[WayIn]:
        """How transactions are handed to each of them."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop all; killed where they do not end."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def cpu(self) -> Cpu:
        """Processor seconds so far, of all members together."""
        return _cpu_of({process.pid for process in self._processes})

    def heights(self) -> dict[int, set[bytes]]:
        """The members' heights with their app hashes: one entry with one hash where all are at the same block."""
        found: dict[int, set[bytes]] = {}
        for address in self.addresses:
            rpc = CometRpc(address)
            status = rpc.status()
            found.setdefault(status.height, set()).add(status.app_hash)
            rpc.close()
        return found


class KvStores(Members):
    """CometBFT with the key-value store that comes with it, in the same process.

    Of our configuration it leaves the rechecks, which it does not need: its transactions wait one by one.
    """

    def configured(self, home: Home) -> None:
        path = home.comet / "config" / "config.toml"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("\nrecheck = true\n", "\nrecheck = false\n"), encoding="utf-8")

    def command(self, home: Home) -> list[str]:
        return [str(find_cometbft()), "start", "--home", str(home.comet), "--proxy_app", "kvstore"]

    def ways(self, in_flight: int) -> list[WayIn]:
        return [ByRpc(address) for address in self.addresses]


class Nodes(Members):
    """Our nodes, each with its CometBFT beside it."""

    def command(self, home: Home) -> list[str]:
        return [str(Path(sys.executable).with_name("tally")), "node", "run", "--home", str(home.path)]

    def ways(self, in_flight: int) -> list[WayIn]:
        return [BySocket(home.socket, in_flight) for home in self.homes]

    def client(self) -> EngineClient:
        """The first member's engine."""
        return EngineClient(self.homes[0].socket)


def await_that(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Raises RuntimeError where it does not come to hold."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise RuntimeError(f"not within {seconds} seconds: {what}")
        time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def _cpu_of(roots: set[int]) -> Cpu:
    """By name of the program: CometBFT's, and everything else, over the roots and all their descendants (proc(5))."""
    stats: dict[int, tuple[int, str, int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it has ended
        name, _, rest = text.partition("(")[2].rpartition(")")
        fields = rest.split()
        stats[int(path.parent.name)] = (int(fields[1]), name, int(fields[11]) + int(fields[12]))
    counted = {COMETBFT: 0.0, NODE: 0.0}
    for pid, (_, name, ticks) in stats.items():
        above = pid
        while above not in roots and above in stats:
            above = stats[above][0]
        if above in roots:
            counted[COMETBFT if name.startswith(COMETBFT) else NODE] += ticks / os.sysconf("SC_CLK_TCK")
    return counted
