"""`tally consortium`, `tally node init` and `id`, `tally validator list`, as an operator types them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tallystick.node.consortium.founding import members_of
from tallystick.node.consortium.processes import running_pid
from tests.support.commands import GENESIS, PASSPHRASE, Tally, make_home
from tests.support.ports import base_port


@pytest.fixture
def genesis(tmp_path: Path) -> Path:
    path = tmp_path / "genesis.toml"
    path.write_text(GENESIS, encoding="utf-8")
    return path


def tally(home: Path) -> Tally:
    return Tally(home, TALLYSTICK_PASSPHRASE=PASSPHRASE)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A consortium of one, which runs."""
    directory = tmp_path_factory.mktemp("run")
    (directory / "genesis.toml").write_text(GENESIS, encoding="utf-8")
    run = tally(directory)
    words = ("--genesis", directory / "genesis.toml", "--members", "1", "--base-port", str(base_port(1)))
    run("consortium", "init", directory / "all", *words)
    run("consortium", "up", directory / "all")
    try:
        yield directory / "all"
    finally:
        run("consortium", "down", directory / "all")


def test_a_consortium_is_founded_and_told(tmp_path: Path, genesis: Path) -> None:
    first = base_port(4)
    run = tally(tmp_path)
    words = ("consortium", "init", tmp_path / "all", "--genesis", genesis, "--base-port", str(first))
    told = run(*words, "--json").json
    assert told["chain_id"] == "harbour-test"
    assert [one["name"] for one in told["nodes"]] == ["member-1", "member-2", "member-3", "member-4"]
    assert [one["keys_of"] for one in told["nodes"]] == [["audit", "haven"], ["millbrook"], ["askew"], ["northern"]]
    assert [one["rpc"] for one in told["nodes"]] == [f"127.0.0.1:{first + 2 * number + 1}" for number in range(4)]
    assert "founded here already" in run(*words, expect=2).err


def test_a_consortium_that_is_down_says_so(tmp_path: Path, genesis: Path) -> None:
    run = tally(tmp_path)
    run("consortium", "init", tmp_path / "all", "--genesis", genesis)
    states = run("consortium", "status", tmp_path / "all", "--json", expect=3).json
    assert [(one["running"], one["problem"]) for one in states] == [(False, "its node is not running")] * 4
    assert "none of them was running" in run("consortium", "down", tmp_path / "all").out


_SYNCED = ("--state-sync", "north:26657,south:26657", "--trust", f"12:{'ab' * 32}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("consortium", "up", "nowhere"), "no consortium was founded here"),
        (("consortium", "init", "all"), "either the genesis file of a new chain or the home"),
        (("consortium", "init", "all", "--genesis", "none.toml"), "none.toml: can't be read"),
        (("node", "id"), "tally node init"),
        (("node", "init", "--peer", "quay:26656"), "peers.persistent[0]"),
        (("node", "init", "--listen", "quay"), "peers.listen"),
        (("node", "init", "--trust", "12:abc"), "--state-sync HOST:PORT,HOST:PORT and --trust HEIGHT:HASH"),
        (("node", "init", "--join", "none.json"), "none.json: can't be read"),
        (("node", "init", *_SYNCED, "--join", "g.json", "--blocks", "old"), "a snapshot takes the place of the whole"),
    ],
)
def test_what_cannot_be_done_is_named(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    ended = tally(tmp_path / "home")(*words, expect=2)
    assert said in " ".join(ended.err.split())
    assert not (tmp_path / "home" / "node.toml").exists()


@pytest.mark.engine
def test_a_running_consortium_is_told_of(running: Path) -> None:
    run = tally(running / "member-1")
    (state,) = run("consortium", "status", running, "--json").json
    assert state["running"] is state["validator"] is True
    assert (state["catching_up"], state["peers"], state["problem"]) == (False, 0, "")
    node = run("node", "status", "--json").json
    assert (node["called"], node["part"], node["cometbft"]) == ("member-1", "validator", "0.39.4")
    height, _, block = node["trust"].partition(":")
    assert int(height) == node["height"]
    assert len(bytes.fromhex(block)) == 32
    (validator,) = run("validator", "list", "--json").json
    assert (validator["name"], validator["since"], validator["equivocations"]) == ("member-1", 0, [])
    assert validator["key"] == members_of(running)[0].identity.validator_key
    assert "never" in run("validator", "list").out


@pytest.mark.engine
def test_following_goes_on(running: Path) -> None:
    process = tally(running).start("consortium", "status", running, "--follow", "--json")
    try:
        assert process.stdout is not None
        lines: list[Any] = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [one["name"] for states in lines for one in states] == ["member-1"] * 2
    finally:
        process.kill()
        process.communicate()


@pytest.mark.engine
def test_steps_are_ordered_and_another_home_has_no_key_for_them(running: Path) -> None:
    run = tally(running / "member-1")
    run("clock", "advance", "--as", "audit", "--to", "+1h")
    assert run("check").code == 0
    home = members_of(running)[0].home
    elsewhere = tally(running.parent / "other")
    elsewhere("node", "init", "--join", home.genesis)
    assert "the node is not running" in elsewhere("clock", "advance", "--as", "audit", "--to", "+1h", expect=3).err
    assert running_pid(home) is not None


def test_members_on_machines_of_their_own(tmp_path: Path) -> None:
    """Each makes its key; one assembles the genesis; each joins, and a fifth comes without a vote."""
    homes = {name: tally(tmp_path / name) for name in ("north", "south", "east", "west")}
    lines, peers = "", {}
    for number, (name, run) in enumerate(homes.items()):
        made = run("node", "init", "--name", name, "--external", f"10.0.0.{number + 1}:26656", "--json").json
        told = run("node", "id")
        assert f'name = "{name}"\nkey = "{made["validator_key"]}"' in told.out
        lines += told.out[told.out.index("[[validators]]") :]
        peers[name] = made["peer"]
        assert made["peer"].endswith(f"@10.0.0.{number + 1}:26656")
    (tmp_path / "genesis.toml").write_text(f'engine = "consortium"\n{GENESIS}\n{lines}', encoding="utf-8")
    homes["north"]("chain", "init", "--genesis", tmp_path / "genesis.toml")
    genesis = tmp_path / "north" / "genesis.json"
    for name, run in homes.items():
        others = [word for other, peer in peers.items() if other != name for word in ("--peer", peer)]
        joined = run("node", "init", "--join", genesis, *others, "--json").json
        assert (joined["name"], joined["founding_validator"], joined["chain_id"]) == (name, True, "harbour-test")
    fifth = tally(tmp_path / "fifth")
    told = fifth("node", "init", "--join", genesis, "--state-sync", "10.0.0.1:26657,10.0.0.2:26657",
                 "--trust", "12:" + "ab" * 32)  # fmt: skip
    assert "tally validator add member --key" in " ".join(told.err.split())
    settings = (tmp_path / "fifth" / "node.toml").read_text(encoding="utf-8")
    assert 'rpc_servers = ["10.0.0.1:26657", "10.0.0.2:26657"]' in settings


def test_an_embedded_ledger_grows_in_two_runs(tmp_path: Path) -> None:
    old = make_home(tmp_path / "old")
    words = ("consortium", "init", tmp_path / "all", "--from-embedded", old.home)
    keys = old(*words, "--json").json["validator_keys"]
    assert len(set(keys)) == 4
    assert old(*words, "--json").json == {"closed": False, "validator_keys": keys}
    named = [word for key in keys for word in ("--validators", key)]
    old("chain", "close", "--as", "audit", "--successor", "harbour-two", *named)
    told = old(*words)
    assert "harbour-two" in told.out
    members = members_of(tmp_path / "all")
    assert all(one.is_founding_validator and one.home.ledger.exists() for one in members)
    (genesis,) = {one.home.genesis.read_bytes() for one in members}
    assert b'"chain_id":"harbour-test"' in genesis  # the predecessor that it names
    assert old(*words).code == 0  # nothing is left to do
    abroad = tmp_path / "abroad"  # another way: members on machines of their own
    assert old("consortium", "init", abroad, "--from-embedded", old.home, "--json").json["nodes"] == []
    joining = tally(tmp_path / "north")
    told = joining("node", "init", "--join", abroad / "genesis.json", "--blocks", old.home / "ledger", "--json").json
    assert (told["chain_id"], told["founding_validator"]) == ("harbour-two", False)
    assert (tmp_path / "north" / "ledger").is_dir()
    status = tally(members[0].home.path)("node", "status", "--json").json
    assert (status["chain_id"], status["node_running"]) == ("harbour-two", False)
