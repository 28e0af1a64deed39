"""A disk that can be filled: a small file system where this user may mount one, or a limit on every file's size."""

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.faults.member import Member

DISK_MEGABYTES = 192
CHUNK = bytes(1 << 16)
LIMIT_BYTES = 1 << 12


class SmallDisk:
    """A file system in memory; a balloon takes what is free on it."""

    def __init__(self, member: Member) -> None:
        self._balloon = member.home / "balloon"

    def fill(self) -> None:
        """Leave no room at all."""
        with contextlib.suppress(OSError), self._balloon.open("wb", buffering=0) as file:
            while file.write(CHUNK) == len(CHUNK):
                pass
        with contextlib.suppress(OSError), self._balloon.open("ab", buffering=0) as file:
            while file.write(b"\0"):
                pass

    def make_room(self) -> None:
        """Take the balloon away."""
        self._balloon.unlink()


class LimitedFiles:
    """No file of the member's node may grow, CometBFT's may: the node's own store is what fails."""

    def __init__(self, member: Member) -> None:
        self._member = member

    def fill(self) -> None:
        """Let no file grow over a few kilobytes."""
        self._limit(LIMIT_BYTES)

    def make_room(self) -> None:
        """Let files grow again."""
        if self._member.is_running:
            self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        _, hard = resource.prlimit(self._member.node_pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._member.node_pid, resource.RLIMIT_FSIZE, (size, hard))


@contextlib.contextmanager
def small_disk(member: Member) -> Iterator[SmallDisk | None]:
    """A disk of its own for the home of a member that has not started yet; None where this user may not mount one."""
    if not _mounts(member.home):
        yield None
        return
    try:
        yield SmallDisk(member)
    finally:
        member.end()
        subprocess.run(["umount", "--lazy", str(member.home)], check=True)


def _mounts(home: Path) -> bool:
    """Put `home` with what is in it on a file system of its own, if this user may."""
    if os.geteuid() != 0:
        return False
    aside = home.with_name(f"{home.name}-aside")
    shutil.copytree(home, aside)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=700", "tmpfs", str(home)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode == 0:
        shutil.copytree(aside, home, dirs_exist_ok=True)
    shutil.rmtree(aside)
    return done.returncode == 0
