"""Looking at a ledger as people do: without a passphrase, with amounts as they write them, however they type it."""

import datetime
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import TALLY, Tally, make_home

pytestmark = pytest.mark.engine

TODAY = datetime.datetime.now(datetime.UTC).date()
DUE_ON = (TODAY + datetime.timedelta(days=60)).isoformat()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one requested receivable."""
    home = tmp_path_factory.mktemp("looking") / "home"
    request(make_home(home), "100")
    return home


@pytest.fixture
def tally(made: Path, tmp_path: Path) -> Tally:
    shutil.copytree(made, tmp_path / "home")
    return Tally(tmp_path / "home")


def request(tally: Tally, face: str, *more: str, expect: int = 0, mark: str = "1") -> str:
    done = tally(
        "receivable", "request", "--as", "askew", "--debtor", "Millbrook Council", "--currency", "GBP", "--face", face,
        "--issue-on", TODAY.isoformat(), "--due-on", DUE_ON,
        "--invoices", f"fingerprint={mark * 64},amount={face},total={face}", *more, expect=expect,
    )  # fmt: skip
    return done.out + done.err


@pytest.mark.parametrize(
    "words",
    [
        ("members",), ("list", "receivable"), ("show", "rcv_"), ("events",), ("notices", "askew"), ("board",),
        ("accounts", "askew"), ("statement", "askew"), ("check",), ("node", "status"), ("key", "show", "askew/admin"),
        ("receivable", "withdraw", "rcv_", "--as", "askew", "--dry-run"),
    ],
)  # fmt: skip
def test_looking_needs_no_passphrase_and_writes_nothing(tally: Tally, words: tuple[str, ...]) -> None:
    without = tally.with_environment(TALLYSTICK_PASSPHRASE="")
    before = tally("node", "status", "--json").json["height"]
    without(*words)
    assert tally("node", "status", "--json").json["height"] == before
    (tally.home / "node.key").unlink()  # nor the key
    without(*words)


def test_a_transaction_does_need_it(tally: Tally) -> None:
    without = tally.with_environment(TALLYSTICK_PASSPHRASE="")
    assert "no passphrase" in without("receivable", "withdraw", "rcv_", "--as", "askew", expect=2).err


def test_a_refusal_says_amounts_in_their_currency(tally: Tally) -> None:
    said = request(tally, "2,000,000.00", mark="2", expect=1)
    assert "ceiling: 1,000,000.00 GBP" in said
    for_programs = request(tally, "2,000,000.00", "--json", mark="3", expect=1)
    assert '"ceiling": "100000000"' in for_programs


def test_the_result_of_a_refused_transaction_says_them_too(tally: Tally) -> None:
    body = json.loads(request(tally, "2,000,000.00", "--json", mark="2", expect=1).partition("error:")[0])
    assert "ceiling: 1,000,000.00 GBP" in tally("result", body["transaction"]).out


def test_a_decimal_comma_is_no_thousands_separator(tally: Tally) -> None:
    assert "--face: '1234,50' is not an amount" in request(tally, "1234,50", expect=2)


def test_all_that_is_missing_in_a_nested_value_is_said_at_once(tally: Tally) -> None:
    ended = tally(
        "receivable", "request", "--as", "askew", "--debtor", "Millbrook Council", "--currency", "GBP", "--face", "1",
        "--issue-on", "+0d", "--due-on", "+60d", "--invoices", "amount=1", expect=2,
    )  # fmt: skip
    assert "fingerprint, total must be given" in ended.err


def test_common_options_may_stand_before_the_command(tally: Tally) -> None:
    elsewhere = tally.with_environment(TALLYSTICK_HOME="/nowhere")
    assert len(elsewhere("--json", "--home", tally.home, "members").json) == 5
    assert len(elsewhere(f"--home={tally.home}", "members", "--json").json) == 5


def test_a_word_that_is_no_command_is_json_too(tally: Tally) -> None:
    said = tally("shwo", "--json", expect=2).json
    assert (said["outcome"], said["exit"]) == ("error", 2)
    assert 'Did you mean "show"' in said["error"]


def test_a_state_that_there_is_not_is_said(tally: Tally) -> None:
    assert "under_review, valid" in tally("list", "receivable", "--state", "pending").err
    assert "under_review" not in tally("list", "receivable").err


def test_a_directory_that_only_has_the_name_is_no_home(tmp_path: Path, tally: Tally) -> None:
    (tmp_path / "tallystick").mkdir()
    (tmp_path / "var").mkdir()
    shutil.copytree(tally.home, tmp_path / "var" / "demo")
    environment = {name: value for name, value in tally.environment.items() if name != "TALLYSTICK_HOME"}
    done = subprocess.run(
        [*TALLY, "members"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "Askew Books" in done.stdout) == (0, True), done.stderr


def test_a_ledger_that_is_gone_is_not_begun_anew(tally: Tally, tmp_path: Path) -> None:
    tally("node", "backup", tmp_path / "copy")
    assert "goes into a new directory" in tally("node", "backup", tmp_path / "copy", expect=2).err
    shutil.rmtree(tally.home / "ledger")
    assert "tally node restore" in tally("members", expect=4).err
    assert "tally node restore" in request(tally, "5", expect=4)
    assert not (tally.home / "ledger").exists()
    tally("node", "restore", tmp_path / "copy")
    assert len(tally("list", "receivable", "--json").json) == 1


def test_a_home_with_spaces(tally: Tally, tmp_path: Path) -> None:
    shutil.copytree(tally.home, tmp_path / "a home, with spaces")
    assert len(tally("members", "--json", "--home", tmp_path / "a home, with spaces").json) == 5


def test_following_needs_a_node(tally: Tally) -> None:
    ended = tally("events", "--follow", "--json", expect=2)
    assert "tally node run" in ended.err
    assert "receivable.requested" in ended.out


def test_commands_at_once_wait_for_each_other(tally: Tally) -> None:
    started = [tally.start("members", "--json") for _ in range(3)]
    for one in started:
        out, err = one.communicate(timeout=60)
        assert one.returncode == 0, err
        assert len(json.loads(out)) == 5
