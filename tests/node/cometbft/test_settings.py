"""node.toml: what is written is read again; what CometBFT could not run with is refused by line and field."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.node.cometbft.settings import (
    Blocks,
    Keeping,
    NodeSettings,
    Peers,
    Rpc,
    StateSync,
    read_settings,
    settings_text,
    write_settings,
)
from tallystick.wire.errors import DecodeError

ID = "0123456789abcdef0123456789abcdef01234567"
HASH = "AB" * 32

hosts = st.sampled_from(["10.0.0.7", "node-1.example.org", "[::1]", "[2001:db8::7]", "localhost"])
addresses = st.builds("{}:{}".format, hosts, st.integers(1, 65_535))
ids = st.text("0123456789abcdef", min_size=40, max_size=40)
peers = st.lists(st.builds("{}@{}".format, ids, addresses), max_size=5, unique_by=lambda peer: peer[:40]).map(tuple)
blocks = st.integers(0, 2**53 - 1)
waits = st.integers(10, 60_000)
some_settings = st.builds(
    NodeSettings,
    moniker=st.text(string.ascii_letters + string.digits + "\"'\\#[]= ", min_size=1, max_size=64).filter(
        lambda name: name == name.strip()
    ),
    log_level=st.sampled_from(["info", "error", "p2p:none,info"]),
    metrics=st.one_of(st.just(""), addresses),
    peers=st.builds(
        Peers,
        listen=addresses,
        external=st.one_of(st.just(""), addresses),
        persistent=peers,
        one_machine=st.booleans(),
    ),
    rpc=st.builds(Rpc, listen=addresses),
    blocks=st.builds(Blocks, commit_wait_ms=waits, proposal_wait_ms=waits),
    keeping=st.builds(Keeping, snapshot_every_blocks=blocks, snapshots=st.integers(1, 100), retain_blocks=blocks),
    state_sync=st.none()
    | st.builds(
        StateSync,
        rpc_servers=st.lists(addresses, min_size=2, max_size=4, unique=True).map(tuple),
        trust_height=st.integers(1, 2**53 - 1),
        trust_hash=st.text("0123456789abcdefABCDEF", min_size=64, max_size=64),
    ),
)


@given(some_settings)
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, settings: NodeSettings) -> None:
    path = tmp_path_factory.mktemp("settings") / "node.toml"
    write_settings(path, settings)
    assert read_settings(path) == settings


def test_a_file_may_say_little(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text('[rpc]\nlisten = "127.0.0.1:28001"\n', encoding="utf-8")
    assert read_settings(path) == NodeSettings(rpc=Rpc(listen="127.0.0.1:28001"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("moniker = 5", "line 1, moniker: Expected `str`, got `int`"),
        ('moniker = "成员"', "line 1, moniker: not 1 to 64 printable ASCII characters"),
        ('log_level = "loud"', "line 1, log_level: not a level"),
        ('colour = "red"', "contains unknown field `colour`"),
        ('\n[peers]\nlisten = "26656"', "line 3, peers.listen: '26656' is not host:port"),
        ('\n[peers]\nlisten = "0.0.0.0:70000"', "line 3, peers.listen: '0.0.0.0:70000' is not host:port"),
        ('\n[peers]\nlisten = "tcp://0.0.0.0:26656"', "line 3, peers.listen: "),
        ('\n[peers]\nlisten = "[::1:26656"', "line 3, peers.listen: "),
        (f'[peers]\npersistent = ["{ID}@a:1", "b:2"]', "line 2, peers.persistent[1]: 'b:2' is not id@host:port"),
        (f'[peers]\npersistent = ["{ID}@a:1", "{ID}@b:2"]', "line 2, peers.persistent: one is named twice"),
        (f'[peers]\npersistent = ["{ID.upper()}@a:1"]', "line 2, peers.persistent[0]: "),
        ('[rpc]\nlisten = ""', "line 2, rpc.listen: '' is not host:port"),
        ("[blocks]\ncommit_wait_ms = 9", "line 2, blocks.commit_wait_ms: Expected `int` >= 10"),
        ("[keeping]\nretain_blocks = -1", "line 2, keeping.retain_blocks: Expected `int` >= 0"),
        (
            f'[state_sync]\nrpc_servers = ["a:1"]\ntrust_height = 5\ntrust_hash = "{HASH}"',
            "line 2, state_sync.rpc_servers: at least 2 different ones are needed",
        ),
        (
            f'[state_sync]\nrpc_servers = ["a:1", "a:1"]\ntrust_height = 5\ntrust_hash = "{HASH}"',
            "line 2, state_sync.rpc_servers: at least 2 different ones are needed",
        ),
        (
            f'[state_sync]\nrpc_servers = ["a:1", "b:1"]\ntrust_height = 0\ntrust_hash = "{HASH}"',
            "line 3, state_sync.trust_height: ",
        ),
        (
            '[state_sync]\nrpc_servers = ["a:1", "b:1"]\ntrust_height = 5\ntrust_hash = "AB"',
            "line 4, state_sync.trust_hash: not 64 hexadecimal digits",
        ),
        ('[state_sync]\nrpc_servers = ["a:1", "b:1"]\ntrust_height = 5', "missing required field `trust_hash`"),
        ("moniker", "not TOML: "),
        ('moniker = "\udcff"', "not TOML: "),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "node.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DecodeError) as caught:
        read_settings(path)
    assert str(caught.value).startswith(str(path))
    assert told in str(caught.value)


def test_settings_that_could_not_be_read_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    with pytest.raises(DecodeError, match="moniker"):
        write_settings(path, NodeSettings(moniker='two\nlines = "'))
    assert not path.exists()


def test_this_machine_reaches_what_listens_on_any_address() -> None:
    assert NodeSettings(rpc=Rpc(listen="0.0.0.0:26657")).rpc_address == "127.0.0.1:26657"
    assert NodeSettings(rpc=Rpc(listen="[::]:26657")).rpc_address == "[::1]:26657"
    assert NodeSettings(rpc=Rpc(listen="10.0.0.7:26657")).rpc_address == "10.0.0.7:26657"


def test_the_file_explains_itself() -> None:
    assert "id@host:port" in settings_text(NodeSettings())
