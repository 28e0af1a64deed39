"""The nodes of a consortium on one machine as processes that stay: started, found again, stopped.

`HOME/node.pid` names the process and is locked by it: the lock is inherited by the node alone and ends with it, however
that ends, so a number that another process got meanwhile is never taken for a node. On a real host the service manager
does this (docs/operations.md).
"""

import contextlib
import fcntl
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tallystick.ledger.comet.rpc import CometRpc, RpcRefused, RpcUnreachable
from tallystick.node.cometbft.binary import find_cometbft
from tallystick.node.composition import node_answers
from tallystick.node.consortium.member_home import MemberHome
from tallystick.node.home import PRIVATE_DIRECTORY, PRIVATE_FILE, Home
from tallystick.wire.errors import DecodeError

START_SECONDS = 60.0
STOP_SECONDS = 30.0
LOOK_SECONDS = 0.05
LAST_WORDS = 5

_PID = re.compile(rb"([1-9][0-9]{0,9})\n")
Note = Callable[[str], None]


class NotStarted(OSError):
    """A node ended, or did not answer, when it was started."""


class NotStopped(OSError):
    """A node can't be ended."""


def up(members: Sequence[MemberHome], note: Note) -> list[MemberHome]:
    """Start the nodes that do not run yet and wait until each takes part; returns those that were started.

    One that the others are far ahead of, or that they leave alone, is told of and not waited for any longer. Raises
    `NotStarted` with the last words of a node that ended; those that run go on running.
    """
    find_cometbft(note=note)  # built once, before the first node waits for it
    started = [member for member in members if running_pid(member.home) is None and not node_answers(member.home)]
    for member in started:
        start(member.home)
    until = time.monotonic() + START_SECONDS
    for member in started:
        while not node_answers(member.home):
            if running_pid(member.home) is None:
                raise NotStarted(f"{member.settings.moniker} has ended: {last_words(member.home)}")
            if time.monotonic() > until:
                raise NotStarted(f"{member.settings.moniker} does not answer after {START_SECONDS:.0f} s")
            time.sleep(LOOK_SECONDS)
    for member in started:
        while not takes_part(member):
            if time.monotonic() > until:
                note(f"{member.settings.moniker} does not take part yet: `tally consortium status` says why")
                break
            time.sleep(LOOK_SECONDS)
    return started


def takes_part(member: MemberHome) -> bool:
    """Whether the member's CometBFT is as far as the others and has blocks."""
    rpc = CometRpc(member.settings.rpc_address)
    try:
        status = rpc.status()
    except (RpcUnreachable, RpcRefused, DecodeError):
        return False
    finally:
        rpc.close()
    return not status.is_catching_up and status.height > 0


def start(home: Home) -> int:
    """Start the home's node, in no terminal's process group, its words going to `HOME/logs/node.log`; returns its pid.

    It is nobody's child to wait for: the command that starts it ends. Raises `NotStarted`.
    """
    log = node_log(home)
    log.parent.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tallystick.cli", "node", "run", "--home", str(home.path.absolute())]
    with _opened(pid_file(home)) as lock, _opened(log, os.O_APPEND) as words:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotStarted(f"a node was started on {home.path} a moment ago") from None
        os.set_inheritable(lock, True)
        streams = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, words, 1),
            (os.POSIX_SPAWN_DUP2, words, 2),
        ]
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=streams, setsid=True)
        os.truncate(lock, 0)
        os.write(lock, f"{pid}\n".encode())
    return pid


def down(members: Sequence[MemberHome], note: Note) -> list[MemberHome]:
    """End the nodes that `start` started: SIGTERM, and SIGKILL where one does not end. Returns those that ran.

    Raises `NotStopped` where even that ends nothing, as on a disk that does not answer.
    """
    found = [(member, pid) for member in members if (pid := running_pid(member.home)) is not None]
    for _, pid in found:
        _signal(pid, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS
    for member, pid in found:
        if not _ends(member.home, pid, until):
            note(f"{member.settings.moniker} does not end and is killed; it starts again where its disk stands")
            _signal(pid, signal.SIGKILL)
            if not _ends(member.home, pid, time.monotonic() + STOP_SECONDS):
                raise NotStopped(f"{member.settings.moniker} does not end: process {pid}")
        with contextlib.suppress(ChildProcessError):  # this process may have started it
            os.waitpid(pid, os.WNOHANG)
    return [member for member, _ in found]


def _ends(home: Home, pid: int, until: float) -> bool:
    while running_pid(home) == pid:
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def running_pid(home: Home) -> int | None:
    """The process that `start` made for this home, while it lives."""
    if not pid_file(home).exists():
        return None
    with _opened(pid_file(home)) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _written_pid(home)
    return None


def _written_pid(home: Home) -> int | None:
    found = _PID.fullmatch(pid_file(home).read_bytes())
    return int(found[1]) if found else None  # the node is being started this very moment


def pid_file(home: Home) -> Path:
    """Names the node's process, which holds its lock."""
    return home.path / "node.pid"


def node_log(home: Home) -> Path:
    """What a node that `start` started says."""
    return home.path / "logs" / "node.log"


def last_words(home: Home) -> str:
    """The end of what the node said."""
    try:
        lines = node_log(home).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DecodeError(f"can't be read: {error.strerror}", str(node_log(home))) from None
    return " / ".join(line.strip() for line in lines[-LAST_WORDS:] if line.strip()) or "it said nothing"


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


@contextlib.contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, PRIVATE_FILE)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
