"""CometBFT beside the node: started again when it ends, given up when it can't run, gone when the node is."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tallystick.kernel.genesis import Genesis
from tallystick.node.cometbft import leash, supervisor
from tallystick.node.cometbft.configuration import write_configuration
from tallystick.node.cometbft.settings import NodeSettings
from tallystick.node.cometbft.supervisor import Backoff, CometProcess, rotate
from tallystick.node.home import Home

SOON_SECONDS = 30.0
QUICK = Backoff(first=0.01, most=0.05, well=60.0, at_once=0.5, patience=4)
LASTS = "#!/bin/sh\necho started $*\nexec sleep 1000\n"
STUBBORN = "#!/bin/sh\ntrap '' TERM\necho deaf\nwhile :; do sleep 0.1; done\n"
DOOMED = "#!/bin/sh\necho panic: no luck\nexit 3\n"

Supervise = Callable[..., CometProcess]


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def supervise(home: Home) -> Iterator[Supervise]:
    """A supervised stand-in for CometBFT, stopped after the test."""
    with ExitStack() as running:

        def begin(text: str, backoff: Backoff = QUICK) -> CometProcess:
            comet = CometProcess(script(home.path / "program", text), home, backoff)
            running.callback(comet.stop)
            comet.start()
            return comet

        yield begin


def eventually(holds: Callable[[], object], what: str) -> None:
    until = time.monotonic() + SOON_SECONDS
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_it_runs_on_its_home_and_stops(supervise: Supervise, home: Home) -> None:
    comet = supervise(LASTS)
    eventually(lambda: home.comet_log.exists() and home.comet_log.read_text(), "it says something")
    assert home.comet_log.read_text() == f"started start --home {home.comet}\n"
    pid = comet.pid
    assert pid is not None
    assert is_alive(pid)
    assert os.getpgid(pid) != os.getpgid(0)  # Ctrl-C at the node's terminal is not for it
    comet.stop()
    assert not is_alive(pid)
    assert (comet.is_running, comet.pid, comet.restarts, comet.problem) == (False, None, 0, "")


def test_killed_it_is_started_again_and_is_well_after_a_while(supervise: Supervise) -> None:
    comet = supervise(LASTS)
    eventually(lambda: comet.pid, "it runs")
    first = comet.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    eventually(lambda: comet.pid not in {None, first}, "another runs")
    assert comet.restarts == 1
    assert comet.problem.startswith("CometBFT was killed by signal 9")
    eventually(lambda: not comet.problem, "it is well again")


def test_one_whose_consensus_failed_is_ended_and_started_again(
    supervise: Supervise, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stay and decide nothing more."""
    monkeypatch.setattr(supervisor, "LOG_LOOK_SECONDS", 0.05)
    comet = supervise(
        f"#!/bin/sh\n[ -e {home.path}/again ] || echo 'E[] CONSENSUS FAILURE!!! err=\"no space left on device\"'\n"
        f"touch {home.path}/again\nexec sleep 1000\n"
    )
    eventually(lambda: comet.restarts == 1, "it is started again")
    eventually(lambda: comet.problem.startswith("CometBFT had to be ended: its consensus failed"), "it says why")
    eventually(lambda: not comet.problem, "it is well again")
    assert comet.restarts == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep no room behind a file's end")
def test_there_is_room_for_last_words(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab", buffering=0) as file:
        file.write(b"said")
        supervisor.reserve(file.fileno())
        found = os.fstat(file.fileno())
    assert found.st_size == len(b"said")
    assert found.st_blocks * 512 >= supervisor.LOG_RESERVE_BYTES


def test_what_ends_at_once_is_given_up_with_its_last_words(supervise: Supervise) -> None:
    comet = supervise(DOOMED)
    eventually(lambda: comet.has_given_up, "it is given up")
    assert comet.problem == (
        "given up after 4 starts that failed at once: CometBFT ended with exit code 3: panic: no luck"
    )
    assert (comet.is_running, comet.restarts) == (False, 3)


def test_a_program_that_is_not_there_is_given_up(home: Home) -> None:
    comet = CometProcess(home.path / "missing", home, QUICK)
    comet.start()
    eventually(lambda: comet.has_given_up, "it is given up")
    comet.stop()
    assert comet.problem.endswith("/missing can't be run: No such file or directory")


def test_what_recovers_is_not_given_up(supervise: Supervise, home: Home) -> None:
    """As when the disk was full, or the last CometBFT was still letting go of its files."""
    comet = supervise(
        f"#!/bin/sh\necho . >> {home.path}/tries\n[ $(wc -l < {home.path}/tries) -gt 3 ] || exit 1\n{LASTS}"
    )
    eventually(lambda: comet.restarts == 3 and comet.is_running and not comet.problem, "the fourth lasts")
    assert not comet.has_given_up


def test_pauses_double_up_to_a_limit() -> None:
    backoff = Backoff()
    assert [backoff.pause(failures) for failures in (1, 2, 3, 6, 7, 10_000)] == [0.2, 0.4, 0.8, 6.4, 10.0, 10.0]


def test_pauses_begin_anew_after_a_good_run(supervise: Supervise) -> None:
    """Each end here follows a run that counts as good, so the pause never grows to what would keep it away."""
    comet = supervise(DOOMED, Backoff(first=0.01, most=1_000.0, well=0.0, at_once=0.0, patience=1))
    eventually(lambda: comet.restarts >= 20, "it is started again and again")  # the 20th doubling takes an hour


def test_one_that_is_deaf_to_sigterm_is_killed(
    supervise: Supervise, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.2)
    comet = supervise(STUBBORN)
    eventually(lambda: home.comet_log.exists() and home.comet_log.read_text() == "deaf\n", "it is deaf by now")
    pid = comet.pid
    assert pid is not None
    comet.stop()
    assert not is_alive(pid)


def test_it_may_be_stopped_before_it_was_started_and_while_it_starts(home: Home) -> None:
    CometProcess(home.path / "program", home).stop()
    for _ in range(20):
        comet = CometProcess(script(home.path / "program", LASTS), home, QUICK)
        comet.start()
        comet.stop()
        comet.stop()
        assert not comet.is_running


def test_a_wanted_restart_is_no_failure(supervise: Supervise) -> None:
    comet = supervise(LASTS, Backoff(first=1_000.0, most=1_000.0))
    eventually(lambda: comet.pid, "it runs")
    first = comet.pid
    comet.restart()
    eventually(lambda: comet.pid not in {None, first}, "another runs at once")
    assert comet.problem == ""


NODE = """
import sys, time
from pathlib import Path
from tallystick.node.cometbft.supervisor import CometProcess
from tallystick.node.home import Home
comet = CometProcess(Path(sys.argv[1]), Home(Path(sys.argv[2])))
comet.start()
while comet.pid is None or not Home(Path(sys.argv[2])).comet_log.read_text():
    time.sleep(0.01)
print(comet.pid, flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_it_does_not_outlive_a_node_that_is_killed(home: Home, paused: bool) -> None:
    program = script(home.path / "program", LASTS)
    node = subprocess.Popen(
        [sys.executable, "-c", NODE, program, home.path], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "src"}
    )
    assert node.stdout is not None
    pid = int(node.stdout.readline())
    assert is_alive(pid)
    if paused:
        os.kill(pid, signal.SIGSTOP)
    node.kill()
    node.wait()
    node.stdout.close()
    eventually(lambda: not is_alive(pid), "the orphan is gone")


def test_it_does_not_begin_after_the_node_is_gone(tmp_path: Path) -> None:
    program = script(tmp_path / "program", f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    subprocess.run([sys.executable, leash.__file__, "1", program], check=True)  # a parent that it does not have
    assert not (tmp_path / "ran").exists()
    subprocess.run([sys.executable, leash.__file__, str(os.getpid()), program], check=True)
    assert (tmp_path / "ran").exists()


def test_nothing_in_the_environment_turns_it_elsewhere(
    supervise: Supervise, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CMTHOME", "CMT_P2P_PEX", "TMHOME"):
        monkeypatch.setenv(name, "/elsewhere")
    supervise("#!/bin/sh\nenv\necho end\nexec sleep 1000\n")
    eventually(lambda: home.comet_log.exists() and "end\n" in home.comet_log.read_text(), "it has said all")
    assert "/elsewhere" not in home.comet_log.read_text()


def test_the_log_is_set_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    log = tmp_path / "cometbft.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(5):
            writer.write(b"%d\n" % number * 10)
            rotate(log, most_bytes=15, old_files=3)
            rotate(log, most_bytes=15, old_files=3)  # there is nothing to set aside
        writer.write(b"now\n")
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert kept == {
        "cometbft.log": b"now\n",
        "cometbft.log.1": b"4\n" * 10,
        "cometbft.log.2": b"3\n" * 10,
        "cometbft.log.3": b"2\n" * 10,
    }


@pytest.mark.engine
def test_the_real_one_comes_back_after_a_kill(
    program: Path, home: Home, settings: NodeSettings, founded: Genesis
) -> None:
    """It waits for the node's socket here; nobody answers, and it is still itself that runs, and ends when asked."""
    write_configuration(home, settings, founded)
    comet = CometProcess(program, home, QUICK)
    comet.start()
    try:
        eventually(
            lambda: home.comet_log.exists() and "abci.sock" in home.comet_log.read_text(), "it looks for the node"
        )
        first = comet.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        eventually(lambda: comet.pid not in {None, first}, "another runs")
    finally:
        comet.stop()
    assert not comet.is_running
