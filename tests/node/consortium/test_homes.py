"""Members' homes: prepared, joined, and a whole consortium's on one machine, each with its own keys alone."""

import socket
import tomllib
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tallystick.kernel.core import codec
from tallystick.node.cometbft.configuration import write_configuration
from tallystick.node.cometbft.settings import NodeSettings, Signer
from tallystick.node.composition import create_chain, trial_key, trial_validator_key
from tallystick.node.consortium.founding import HOST, Plan, found, free_ports, members_of
from tallystick.node.consortium.member_home import join, prepare, read_member_home
from tallystick.node.genesis_file import GenesisFile
from tallystick.node.home import Home
from tallystick.node.key_store import LIGHT_COST, Passphrases, stored_keys
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant
from tests.support.commands import GENESIS, PASSPHRASE

NOW = Instant.parse("2026-11-22T08:00:00.000Z")
PORTS = range(29_600, 29_608)


def unchanged(settings: NodeSettings) -> NodeSettings:
    return settings


def plan(text: str = GENESIS) -> Plan:
    return Plan(GenesisFile(text, "genesis.toml").on_one_machine(None), PORTS, cost=LIGHT_COST)


@pytest.fixture
def founded(tmp_path: Path) -> Path:
    found(tmp_path / "all", plan(), Passphrases((PASSPHRASE,)))
    return tmp_path / "all"


def test_every_member_has_the_same_genesis_and_dials_all_the_others(founded: Path) -> None:
    members = members_of(founded)
    assert (
        len({member.home.genesis.read_bytes() for member in members} | {(founded / "genesis.json").read_bytes()}) == 1
    )
    assert all(member.is_founding_validator for member in members)
    peers = {member.peer for member in members}
    assert len(peers) == 4
    for member in members:
        assert set(member.settings.peers.persistent) == peers - {member.peer}


def test_every_organisations_keys_are_in_one_home_alone(founded: Path) -> None:
    homes = [{key.organisation for key in stored_keys(member.home.keys)} for member in members_of(founded)]
    assert homes == [{"audit", "haven"}, {"millbrook"}, {"askew"}, {"northern"}]


def test_only_the_owner_may_look_into_a_home(founded: Path) -> None:
    assert {member.home.path.stat().st_mode & 0o777 for member in members_of(founded)} == {0o700}


def test_an_interrupted_founding_is_run_again_and_keeps_its_keys(founded: Path) -> None:
    before = [member.identity for member in members_of(founded)]
    keys = [key.public for member in members_of(founded) for key in stored_keys(member.home.keys)]
    (founded / "genesis.json").unlink()  # it is written last
    found(founded, plan(), Passphrases((PASSPHRASE,)))
    assert [member.identity for member in members_of(founded)] == before
    assert [key.public for member in members_of(founded) for key in stored_keys(member.home.keys)] == keys
    with pytest.raises(DecodeError, match="founded here already"):
        found(founded, plan(), Passphrases((PASSPHRASE,)))


def test_a_file_with_a_fault_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="roles"):
        found(tmp_path / "all", plan(GENESIS.replace('"funder"', '"fonder"')), Passphrases((PASSPHRASE,)))
    assert not (tmp_path / "all").exists()


def test_a_directory_too_deep_for_a_socket_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    with pytest.raises(DecodeError, match="take a shorter one"):
        found(deep, plan(), Passphrases((PASSPHRASE,)))
    assert not deep.exists()


def test_a_port_that_is_taken_is_named_and_otherwise_passed_over() -> None:
    first = free_ports(1)[0]
    with socket.socket() as taken:
        taken.bind((HOST, first))
        assert free_ports(1)[0] > first
        with pytest.raises(DecodeError, match=f"port {first} is taken"):
            free_ports(4, first)


def test_preparing_again_changes_settings_and_keeps_keys(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    before = prepare(home, unchanged)
    after = prepare(home, lambda settings: msgspec.structs.replace(settings, moniker="north"))
    assert (after.identity, after.settings.moniker) == (before.identity, "north")
    assert after.genesis is None
    assert read_member_home(home) == after


def test_joining_takes_the_genesis_and_says_who_has_no_vote(founded: Path, tmp_path: Path) -> None:
    joined = join(Home(tmp_path / "fifth"), founded / "genesis.json", unchanged)
    assert joined.genesis is not None
    assert not joined.is_founding_validator
    assert join(joined.home, founded / "genesis.json", unchanged) == joined


def test_joining_another_chain_changes_nothing(founded: Path, tmp_path: Path) -> None:
    home = members_of(founded)[0].home
    found(tmp_path / "others", plan(GENESIS.replace("harbour-test", "quay-test")), Passphrases((PASSPHRASE,)))
    before = (home.settings.read_bytes(), home.genesis.read_bytes())
    with pytest.raises(DecodeError, match="belongs to another chain"):
        join(home, tmp_path / "others" / "genesis.json", lambda one: msgspec.structs.replace(one, moniker="other"))
    assert (home.settings.read_bytes(), home.genesis.read_bytes()) == before


def test_an_embedded_ledger_is_neither_joined_nor_made_a_members(tmp_path: Path) -> None:
    embedded = Home(tmp_path / "embedded")
    create_chain(embedded, GenesisFile(GENESIS, "genesis.toml"), Passphrases((PASSPHRASE,)), LIGHT_COST)
    with pytest.raises(DecodeError, match="embedded ledger, which has one node"):
        join(Home(tmp_path / "home"), embedded.genesis, unchanged)
    assert not (tmp_path / "home").exists()
    with pytest.raises(DecodeError, match="take another"):
        prepare(embedded, unchanged)


def test_a_chain_that_goes_on_from_none_has_no_blocks_to_carry(founded: Path, tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="goes on from no other"):
        join(Home(tmp_path / "home"), founded / "genesis.json", unchanged, tmp_path)


def test_a_remote_signers_key_is_the_members(tmp_path: Path) -> None:
    elsewhere = prepare(Home(tmp_path / "signer"), unchanged).identity
    signer = Signer(listen="10.0.0.1:26659", key=elsewhere.validator_key)
    made = prepare(Home(tmp_path / "home"), lambda one: msgspec.structs.replace(one, signer=signer))
    assert read_member_home(made.home) == made
    assert (made.identity.validator_key, made.identity.validator_address) == (
        elsewhere.validator_key,
        elsewhere.validator_address,
    )
    text = GENESIS + "".join(f'[[validators]]\nname = "{key}"\nkey = "{key}"\n' for key in [signer.key])
    genesis = GenesisFile(f'engine = "consortium"\n{text}', "genesis.toml").build(trial_key, trial_validator_key, NOW)
    write_configuration(made.home, made.settings, genesis)
    config = tomllib.loads((made.home.comet / "config" / "config.toml").read_text())
    assert config["priv_validator_laddr"] == "tcp://10.0.0.1:26659"
    with pytest.raises(DecodeError, match=r"signer\.key"):
        prepare(made.home, lambda one: msgspec.structs.replace(one, signer=Signer(listen="10.0.0.1:26659", key="x")))


def test_a_home_without_a_node_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="tally node init"):
        read_member_home(Home(tmp_path))
    with pytest.raises(DecodeError, match="tally consortium init"):
        members_of(tmp_path)


def test_the_genesis_is_that_of_its_bytes(founded: Path) -> None:
    member = members_of(founded)[0]
    assert codec.encode(member.genesis) == member.home.genesis.read_bytes()
    assert replace(member, genesis=None).is_founding_validator is False
