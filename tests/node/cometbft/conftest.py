"""A member's home on this machine, and the real CometBFT, built where it is missing: never skipped."""

import socket
from pathlib import Path

import msgspec
import pytest

from tallystick.kernel.genesis import Genesis
from tallystick.kernel.governance.records import Engine, Validator
from tallystick.node.cometbft.binary import find_cometbft
from tallystick.node.cometbft.identity import own_identity
from tallystick.node.cometbft.settings import NodeSettings, Peers, Rpc
from tallystick.node.home import Home
from tests.support.ledger import genesis


@pytest.fixture(scope="session")
def program() -> Path:
    return find_cometbft(note=print)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.path.mkdir()
    return made


@pytest.fixture
def settings() -> NodeSettings:
    """For a member that shares this machine with others."""
    p2p, rpc = (f"127.0.0.1:{port}" for port in free_ports(2))
    return NodeSettings(peers=Peers(listen=p2p, one_machine=True), rpc=Rpc(listen=rpc), log_level="info")


@pytest.fixture
def founded(home: Home) -> Genesis:
    """A chain of which this home's member is the only validator: CometBFT starts with fewer than we would."""
    return chain_of_members(own_identity(home).validator_key)


def chain_of_members(*keys: str) -> Genesis:
    validators = tuple(Validator(key=key, name=f"成员 {number}") for number, key in enumerate(keys))
    return msgspec.structs.replace(genesis(), engine=Engine.CONSORTIUM, validators=validators)


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
