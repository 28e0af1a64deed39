"""`make consortium` as a stranger runs it, its beginning alone: what it leaves behind is held against its words."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallystick.kernel.membership.records import Member, SigningKey
from tallystick.node.consortium.founding import members_of
from tallystick.node.consortium.processes import running_pid
from tallystick.node.key_store import stored_keys
from tallystick.node.lineage import rows_of
from tallystick.node.session import Session, open_home
from tests.support.demo import run
from tests.support.ports import base_port
from tools.demo.home import MARKER

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def told() -> Iterator[tuple[Path, str]]:
    """Where it was, and what it printed. The path is short, for the sockets in it."""
    with tempfile.TemporaryDirectory(prefix="tc") as folder:
        directory = Path(folder) / "all"
        ports = ("--base-port", str(base_port(4)))
        done = run("-m", "tools.consortium", "--short", "--directory", str(directory), *ports)
        assert done.returncode == 0, done.stdout + done.stderr
        yield directory, done.stdout


@pytest.fixture(scope="module")
def sessions(told: tuple[Path, str]) -> Iterator[list[Session]]:
    """Each member's own ledger, opened to look at it."""
    opened = [open_home(member.home.path, reading=True) for member in members_of(told[0])]
    yield opened
    for session in opened:
        session.close()


def test_four_nodes_came_to_one_app_hash(told: tuple[Path, str], sessions: list[Session]) -> None:
    said = re.search(r"4 of 4 nodes at block ([0-9,]+) have app hash\s+([0-9a-f\s]+?)\n\s\sblocks", told[1])
    assert said is not None, told[1]
    height, app_hash = int(said[1].replace(",", "")), "".join(said[2].split())
    found = [session.engine.health() for session in sessions]
    assert {(one.height, one.app_hash.hex()) for one in found} == {(height, app_hash)}
    assert "every block of each of the 4 ledgers gives what it says" in " ".join(told[1].split())


def test_the_nodes_were_shown_beside_the_story(told: tuple[Path, str]) -> None:
    shown = re.findall(r"^ {2}blocks ([0-9 ]+) {2}app hashes ([0-9a-f ]+) {2}peers 3 3 3 3$", told[1], re.MULTILINE)
    assert len(shown) > 3, told[1]
    assert all(len(heights.split()) == len(hashes.split()) == 4 for heights, hashes in shown)


def test_every_key_on_the_ledger_is_in_one_home_alone(told: tuple[Path, str], sessions: list[Session]) -> None:
    homes = [{key.public for key in stored_keys(member.home.keys)} for member in members_of(told[0])]
    everywhere = [key for home in homes for key in home]
    assert len(everywhere) == len(set(everywhere))
    on_ledger = {row.id: row.member for row in rows_of(sessions[0].engine, "key") if isinstance(row, SigningKey)}
    assert len(set(everywhere) - set(on_ledger)) == 1  # of the one whose application was refused
    of_one_member = [{on_ledger[key] for key in home if key in on_ledger} for home in homes]
    assert all(of_one_member)
    assert sum(map(len, of_one_member)) == len(set().union(*of_one_member))
    admitted = [row for row in rows_of(sessions[0].engine, "member") if isinstance(row, Member) and row.is_admitted]
    assert len(admitted) > 200


def test_a_bundle_holds_for_a_stranger_who_pins_the_genesis(told: tuple[Path, str]) -> None:
    directory, printed = told[0], " ".join(told[1].split())
    assert re.search(r"receivable\.json: .* holds, attested by [34] of 4 validators", printed), told[1]
    words = (directory / "evidence" / "receivable.json", "--genesis", directory / "genesis.json")
    done = subprocess.run(
        [sys.executable, "-m", "tallystick.verifier.command", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search("[34] of 4 validators", done.stdout), done.stdout


def test_nothing_of_it_runs_any_more(told: tuple[Path, str]) -> None:
    assert [running_pid(member.home) for member in members_of(told[0])] == [None] * 4


def test_it_makes_room_for_itself_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = run("-m", "tools.consortium", "--short", "--directory", str(tmp_path))
    assert (done.returncode, (tmp_path / "notes.txt").read_text()) == (2, "mine")
    assert MARKER in done.stderr
