"""A whole consortium on one machine: a home for each member, one genesis, and every organisation's keys in one home.

    DIRECTORY/genesis.json        what verifiers pin; written last
    DIRECTORY/<validator>/        a member's home as it would be on a machine of its own

Who keeps whose keys is as the genesis file says (`node`), so a home can sign for its own organisations alone.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from tallystick.kernel.genesis import Genesis
from tallystick.ledger.process import wall_clock_ms
from tallystick.ledger.socket_server import MAX_PATH_BYTES
from tallystick.node.cometbft.identity import own_identity
from tallystick.node.cometbft.settings import P2P_PORT, NodeSettings, Peers, Rpc, write_settings
from tallystick.node.composition import ensure_key, trial_key, trial_validator_key, write_genesis
from tallystick.node.consortium.member_home import MemberHome, read_member_home
from tallystick.node.genesis_file import GenesisFile
from tallystick.node.home import PRIVATE_DIRECTORY, Home
from tallystick.node.key_store import USUAL_COST, Cost, Passphrases, check_name
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant

HOST = "127.0.0.1"
PORTS_EACH = 2
LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Plan:
    """How a consortium is to be founded: its file, for one machine, and at which ports (in pairs: peers, RPC)."""

    file: GenesisFile
    ports: Sequence[int]
    settings: NodeSettings = field(default_factory=NodeSettings)
    """What all members' settings have besides names and addresses."""
    cost: Cost = USUAL_COST


def free_ports(count: int, first: int | None = None) -> list[int]:
    """Ports for `count` members: from `first` on, which must be free, else the first run of free ones.

    Raises `DecodeError`.
    """
    wanted = count * PORTS_EACH
    start = P2P_PORT if first is None else first
    while start + wanted <= LAST_PORT:
        taken = next((port for port in range(start, start + wanted) if not _is_free(port)), None)
        if taken is None:
            return list(range(start, start + wanted))
        if first is not None:
            raise DecodeError(f"port {taken} is taken; {wanted} in a row are needed", "--base-port")
        start = taken + 1
    raise DecodeError(f"there are no {wanted} free ports in a row", "--base-port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def found(directory: Path, plan: Plan, passphrases: Passphrases, now: Instant | None = None) -> Genesis:
    """Make every home, its keys, and the genesis of all.

    The file is checked whole before anything is written; what an interrupted founding left is taken over. Raises
    `DecodeError`.
    """
    if (directory / "genesis.json").exists():
        raise DecodeError("a consortium was founded here already", str(directory))
    began = now or Instant(wall_clock_ms())
    names = [check_name(str(one["name"]), "validators") for one in plan.file.validators]
    kept_by = plan.file.custody()
    plan.file.build(trial_key, trial_validator_key, began)
    homes = {name: Home(directory / name) for name in names}
    settle(homes, plan.ports, plan.settings)

    def made(folder: str, name: str) -> str:
        path = homes[kept_by[folder]].keys / folder / f"{name}.key"
        return ensure_key(path, folder, name, passphrases, plan.cost).public

    genesis = plan.file.build(made, lambda name: own_identity(homes[name]).validator_key, began)
    for home in (*homes.values(), Home(directory)):
        write_genesis(home, genesis)
    return genesis


def settle(homes: Mapping[str, Home], ports: Sequence[int], common: NodeSettings) -> None:
    """Keys and settings of every home; each dials all the others. Raises `DecodeError`."""
    for home in homes.values():
        _check_room(home)
        home.path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    addresses = {name: f"{HOST}:{ports[PORTS_EACH * number]}" for number, name in enumerate(homes)}
    peers = {name: f"{own_identity(home).node_id}@{addresses[name]}" for name, home in homes.items()}
    for number, (name, home) in enumerate(homes.items()):
        others = tuple(peer for other, peer in peers.items() if other != name)
        settings = replace(
            common,
            moniker=name,
            peers=Peers(listen=addresses[name], persistent=others, one_machine=True),
            rpc=Rpc(listen=f"{HOST}:{ports[PORTS_EACH * number + 1]}"),
        )
        write_settings(home.settings, settings)


def _check_room(home: Home) -> None:
    longest = max(len(os.fsencode(path.absolute())) for path in (home.socket, home.application_socket))
    if longest > MAX_PATH_BYTES:
        raise DecodeError(f"a socket's path has at most {MAX_PATH_BYTES} bytes: take a shorter one", str(home.path))


def members_of(directory: Path) -> list[MemberHome]:
    """The members whose homes are in `directory`, in the order of their ports. Raises `DecodeError`."""
    found = [read_member_home(Home(path.parent)) for path in directory.glob("*/node.toml")]
    if not found:
        raise DecodeError("no consortium was founded here (tally consortium init)", str(directory))
    return sorted(found, key=lambda member: int(member.settings.peers.listen.rpartition(":")[2]))
