"""Nodes as processes that stay, and how they are seen: a consortium of one, which decides as fast as it is alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tallystick.node.cometbft.settings import Blocks, NodeSettings
from tallystick.node.consortium import processes
from tallystick.node.consortium.founding import Plan, found, free_ports, members_of
from tallystick.node.consortium.member_home import MemberHome
from tallystick.node.consortium.processes import (
    NotStarted,
    down,
    last_words,
    node_log,
    pid_file,
    running_pid,
    start,
    up,
)
from tallystick.node.consortium.watching import MemberState, watching
from tallystick.node.genesis_file import GenesisFile
from tallystick.node.key_store import LIGHT_COST, Passphrases
from tests.support.commands import GENESIS, PASSPHRASE
from tests.support.ports import base_port

pytestmark = pytest.mark.engine
SECONDS = 60.0


def quiet(_: str) -> None:
    return


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemberHome]:
    """One that runs; whatever a test does to it, it is ended afterwards."""
    directory = tmp_path_factory.mktemp("one") / "all"
    file = GenesisFile(GENESIS, "genesis.toml").on_one_machine(1)
    settings = NodeSettings(blocks=Blocks(commit_wait_ms=20))
    found(directory, Plan(file, free_ports(1, base_port(1)), settings, LIGHT_COST), Passphrases((PASSPHRASE,)))
    (one,) = members_of(directory)
    try:
        assert up([one], quiet) == [one]
        yield one
    finally:
        down([one], quiet)


def seen(member: MemberHome) -> MemberState:
    with watching([member]) as watch:
        (state,) = watch.look()
    return state


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_a_member_that_was_started_takes_part(member: MemberHome) -> None:
    state = seen(member)
    assert state.is_well, state
    assert state.health is not None
    assert state.health.height >= 1
    assert state.comet is not None
    assert (state.comet.version, state.comet.is_validator, state.comet.is_catching_up) == ("0.39.4", True, False)


def test_starting_what_runs_changes_nothing(member: MemberHome) -> None:
    pid = running_pid(member.home)
    assert up([member], quiet) == []
    with pytest.raises(NotStarted, match="a moment ago"):
        start(member.home)
    assert running_pid(member.home) == pid is not None


def test_one_that_hangs_holds_nobody_up(member: MemberHome) -> None:
    pid = running_pid(member.home)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        state = seen(member)
        assert time.monotonic() - began < 10
        assert (state.health, "has not answered" in state.problem) == (None, True)
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: seen(member).is_well)


def test_one_that_was_killed_is_seen_and_started_again(member: MemberHome) -> None:
    pid = running_pid(member.home)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: running_pid(member.home) is None)
    assert seen(member).problem == "its node is not running"
    assert up([member], quiet) == [member]
    assert seen(member).is_well
    assert running_pid(member.home) not in (None, pid)


def test_a_node_of_another_process_is_not_ended(member: MemberHome) -> None:
    assert down([member], quiet) == [member]
    assert running_pid(member.home) is None
    assert down([member], quiet) == []


def test_one_that_does_not_end_is_killed(member: MemberHome, monkeypatch: pytest.MonkeyPatch) -> None:
    up([member], quiet)
    pid = running_pid(member.home)
    assert pid is not None
    monkeypatch.setattr(processes, "STOP_SECONDS", 1.0)
    os.kill(pid, signal.SIGSTOP)
    told: list[str] = []
    assert down([member], told.append) == [member]
    assert [said for said in told if "is killed" in said] == told != []
    assert running_pid(member.home) is None


def test_what_a_node_said_last_is_told_when_it_ends_at_once(member: MemberHome) -> None:
    down([member], quiet)
    settings = member.home.settings.read_bytes()
    try:
        member.home.settings.write_text("[peers]\nlisten = 7\n", encoding="utf-8")
        with pytest.raises(NotStarted, match="listen"):
            up([member], quiet)
    finally:
        member.home.settings.write_bytes(settings)
    assert "listen" in last_words(member.home)
    assert node_log(member.home).stat().st_mode & 0o777 == 0o600


def test_the_number_of_a_process_that_is_gone_is_nobodys(tmp_path: Path, member: MemberHome) -> None:
    """A number in the file means nothing without the lock on it, whoever has that number now."""
    down([member], quiet)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], cwd=tmp_path)
    try:
        pid_file(member.home).write_text(f"{stranger.pid}\n")
        assert running_pid(member.home) is None
        assert down([member], quiet) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
