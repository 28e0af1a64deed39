"""Runs a program that must not outlive the process that started it: `leash.py PARENT_PID PROGRAM ARGUMENT...`.

A node that is killed takes its CometBFT along, so that the next one finds ports and data free. The kernel is asked
for that (prctl(2), PR_SET_PDEATHSIG), and it means the *thread* that started this: that thread waits for the program.
Where there is no prctl, CometBFT ends by itself when its connection to the node does (proxy/multi_app_conn.go).

It is a program, not a function run between fork and exec: there, another thread's lock may be held for ever.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Become `command`, unless the parent is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    try:
        os.execv(command[0], command)  # noqa: S606 - the supervisor names it
    except OSError as error:
        sys.exit(f"{command[0]} can't be run: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
