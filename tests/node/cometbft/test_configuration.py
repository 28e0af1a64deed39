"""What is written for CometBFT: accepted by the real one, and the same genesis on every member."""

import contextlib
import json
import socket
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nacl.signing import SigningKey

from tallystick.kernel.genesis import Genesis
from tallystick.kernel.governance.records import Engine
from tallystick.ledger.comet.rpc import CometRpc, Entry, RpcUnreachable
from tallystick.node.cometbft.binary import RELEASES
from tallystick.node.cometbft.configuration import (
    EVIDENCE_MAX_AGE_BLOCKS,
    EVIDENCE_MAX_AGE_NS,
    MAX_BLOCK_BYTES,
    comet_genesis,
    write_configuration,
)
from tallystick.node.cometbft.identity import Identity, own_identity
from tallystick.node.cometbft.settings import NodeSettings, Peers, Rpc, StateSync
from tallystick.node.home import Home
from tallystick.proof.comet import Validator, ValidatorSet, consensus_hash
from tallystick.proof.timestamps import format_time
from tallystick.wire import envelope
from tallystick.wire.errors import DecodeError
from tallystick.wire.keys import KEY_BYTES, from_base64, to_base64
from tests.node.cometbft.conftest import chain_of_members, free_ports
from tests.support.ledger import genesis

STARTED_SECONDS = 60.0


@contextlib.contextmanager
def with_kvstore(program: Path, *homes: Home) -> Iterator[None]:
    """CometBFTs with the application that comes with them, on what was written for ours."""
    running = []
    with contextlib.ExitStack() as held:
        try:
            for home in homes:
                log = held.enter_context((home.path / "log").open("wb"))
                command = [program, "start", "--home", home.comet, "--proxy_app", "kvstore"]
                running.append(subprocess.Popen(command, stdout=log, stderr=log))
            yield
        finally:
            for process in running:
                process.kill()
            for process in running:
                process.wait()


def eventually(holds: Callable[[], bool], homes: list[Home]) -> None:
    until = time.monotonic() + STARTED_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(RpcUnreachable):
            if holds():
                return
        time.sleep(0.1)
    logs = "\n".join((home.path / "log").read_text(errors="replace")[-2_000:] for home in homes)
    pytest.fail(f"not within {STARTED_SECONDS} s:\n{logs}")


@pytest.mark.engine
def test_the_real_one_makes_blocks_with_it(program: Path, home: Home, settings: NodeSettings, founded: Genesis) -> None:
    write_configuration(home, settings, founded)
    identity = own_identity(home)
    rpc = CometRpc(settings.rpc_address)
    with with_kvstore(program, home):
        eventually(lambda: rpc.status().height >= 1, [home])
        status = rpc.status()
        assert (status.chain_id, status.moniker) == (founded.chain_id, settings.moniker)
        assert f"v{status.version}" in RELEASES
        assert status.node_id == identity.node_id
        assert status.validator_address.hex().upper() == identity.validator_address
        limits = rpc.consensus_params(1)
        assert limits is not None
        assert (limits.max_block_bytes, limits.max_gas) == (MAX_BLOCK_BYTES, -1)
        assert (limits.evidence_max_blocks, limits.evidence_max_ns) == (EVIDENCE_MAX_AGE_BLOCKS, EVIDENCE_MAX_AGE_NS)
        header = rpc.ask("commit", dict[str, Any], height="1")["signed_header"]["header"]  # kvstore's hash is no hash
        key = from_base64(founded.validators[0].key, KEY_BYTES, "")
        assert header["validators_hash"] == ValidatorSet.of([Validator(key, 1)]).hash().hex().upper()
        assert header["consensus_hash"] == consensus_hash(MAX_BLOCK_BYTES, -1).hex().upper()
        assert header["time"] == format_time(founded.time * 1_000_000)
        largest, too_large = (b"k=" + b"v" * (envelope.MAX_BYTES - extra) for extra in (2, 1))
        taken, refused = rpc.broadcast([largest])[0], rpc.broadcast([too_large])[0]
        assert (taken.entry, refused.entry) == (Entry.CHECKED, Entry.TOO_LARGE)
    rpc.close()


@pytest.mark.engine
def test_four_members_with_the_same_genesis_agree(program: Path, tmp_path: Path) -> None:
    homes = [Home(tmp_path / str(number)) for number in range(4)]
    identities = [own_identity(home) for home in homes]
    chain = chain_of_members(*(identity.validator_key for identity in identities))
    ports = free_ports(8)
    rpcs = []
    for number, home in enumerate(homes):
        settings = member_of(identities, ports, number)
        write_configuration(home, settings, chain)
        rpcs.append(CometRpc(settings.rpc_address))
    with with_kvstore(program, *homes):
        eventually(lambda: min(rpc.status().height for rpc in rpcs) >= 1, homes)
        eventually(lambda: min(len(rpc.net_info()) for rpc in rpcs) == 3, homes)
        assert len({rpc.status().app_hash for rpc in rpcs}) == 1
        monikers = {peer.moniker for rpc in rpcs for peer in rpc.net_info()}
        assert monikers == {f"member-{number}" for number in range(4)}
    for rpc in rpcs:
        rpc.close()


def member_of(identities: list[Identity], ports: list[int], number: int) -> NodeSettings:
    """The settings of one of four on this machine: each dials all others."""
    addresses = [f"127.0.0.1:{port}" for port in ports]
    others = tuple(
        f"{identity.node_id}@{address}"
        for other, (identity, address) in enumerate(zip(identities, addresses[:4], strict=True))
        if other != number
    )
    peers = Peers(listen=addresses[number], persistent=others, one_machine=True)
    return NodeSettings(moniker=f"member-{number}", peers=peers, rpc=Rpc(listen=addresses[4 + number]))


@pytest.mark.engine
def test_cometbft_looks_for_the_node_on_its_socket(
    program: Path, home: Home, settings: NodeSettings, founded: Genesis
) -> None:
    write_configuration(home, settings, founded)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(home.application_socket))
        listener.listen()
        listener.settimeout(STARTED_SECONDS)
        process = subprocess.Popen([program, "start", "--home", home.comet], stdout=subprocess.DEVNULL)
        try:
            connection, _ = listener.accept()
            assert connection.recv(1)
            connection.close()
        finally:
            process.kill()
            process.wait()


@pytest.mark.engine
def test_cometbft_takes_the_state_sync_section(
    program: Path, home: Home, settings: NodeSettings, founded: Genesis
) -> None:
    """Its own check of the configuration runs before any command; another word in it is refused."""
    servers = StateSync(rpc_servers=("127.0.0.1:1", "127.0.0.1:2"), trust_height=5, trust_hash="ab" * 32)
    write_configuration(home, msgspec.structs.replace(settings, state_sync=servers), founded)
    config = home.comet / "config" / "config.toml"
    check = [program, "show-node-id", "--home", home.comet]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0
    config.write_text(config.read_text().replace('"5s"', '"1s"'))  # the least is 5 s
    refused = subprocess.run(check, capture_output=True, check=False)
    assert b"statesync" in refused.stdout + refused.stderr


def test_the_configuration_is_toml_whatever_the_home_is_called(
    tmp_path: Path, settings: NodeSettings, founded: Genesis
) -> None:
    home = Home(tmp_path / 'a "b" \\ 家')
    write_configuration(home, settings, founded)
    config = tomllib.loads((home.comet / "config" / "config.toml").read_text(encoding="utf-8"))
    assert config["proxy_app"] == f"unix://{home.path}/abci.sock"
    assert config["consensus"]["timeout_commit"] == "300ms"
    assert config["consensus"]["create_empty_blocks"] is False
    assert config["mempool"]["recheck"] is True
    assert config["p2p"]["allow_duplicate_ip"] is True


def test_the_genesis_is_the_same_bytes_on_every_member(tmp_path: Path, settings: NodeSettings) -> None:
    keys = [to_base64(bytes(SigningKey(bytes([number]) * 32).verify_key)) for number in range(1, 5)]
    chain = chain_of_members(*keys)
    written = set()
    for number in range(2):
        home = Home(tmp_path / str(number))
        own_identity(home)
        write_configuration(home, msgspec.structs.replace(settings, moniker=f"member-{number}"), chain)
        written.add((home.comet / "config" / "genesis.json").read_bytes())
    assert written == {comet_genesis(chain)}
    value = json.loads(comet_genesis(chain))
    assert [one["pub_key"]["value"] for one in value["validators"]] == keys
    assert {one["power"] for one in value["validators"]} == {"1"}
    assert (value["initial_height"], value["app_hash"]) == ("1", "")


def test_another_chains_genesis_is_not_written_over(home: Home, settings: NodeSettings, founded: Genesis) -> None:
    write_configuration(home, settings, founded)
    write_configuration(home, settings, founded)  # as at each start
    with pytest.raises(DecodeError, match="began with another genesis"):
        write_configuration(home, settings, msgspec.structs.replace(founded, chain_id="another"))
    assert (home.comet / "config" / "genesis.json").read_bytes() == comet_genesis(founded)


def test_an_embedded_chain_has_no_cometbft(home: Home, settings: NodeSettings) -> None:
    assert genesis().engine is Engine.EMBEDDED
    with pytest.raises(DecodeError, match="embedded engine"):
        write_configuration(home, settings, genesis())


def test_a_home_whose_socket_has_too_long_a_path_is_refused(
    tmp_path: Path, settings: NodeSettings, founded: Genesis
) -> None:
    with pytest.raises(DecodeError, match="at most 107 bytes: take a shorter home"):
        write_configuration(Home(tmp_path / ("x" * 100)), settings, founded)
