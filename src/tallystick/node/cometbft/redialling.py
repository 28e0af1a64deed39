"""A member that was cut off finds back: its CometBFT is started again so that it dials its peers anew.

CometBFT dials a peer that it has lost at pauses that grow to hours, and gives up after a day (p2p/switch.go,
reconnectToPeer); with peer exchange off nobody else brings the two together. Starting it again costs a cut-off member
nothing: without over two thirds of the validators it can't take part anyway.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

LOOK_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 60.0
MOST_PAUSE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Peering:
    """How many peers a member is connected to, and with fewer than how many it is cut off."""

    connected: int
    needed: int


def needed_peers(validators: int, named: int) -> int:
    """How many peers a member must reach: those that with itself are over two thirds, if so many are named to it."""
    return min(named, validators * 2 // 3)


class Redialling:
    """Asks `peering` now and then (None: CometBFT does not answer), and `restart`s while the member is cut off."""

    def __init__(
        self,
        peering: Callable[[], Peering | None],
        restart: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._peering = peering
        self._restart = restart
        self._clock = clock
        self._asked_at = clock()
        self._cut_off_since: float | None = None
        self._pause = FIRST_PAUSE_SECONDS

    def look(self) -> bool:
        """Whether CometBFT was just started again."""
        now = self._clock()
        if now - self._asked_at < LOOK_SECONDS:
            return False
        self._asked_at = now
        found = self._peering()
        if found is None:
            return False
        if found.connected >= found.needed:
            self._cut_off_since, self._pause = None, FIRST_PAUSE_SECONDS
            return False
        if self._cut_off_since is None:
            self._cut_off_since = now
        if now - self._cut_off_since < self._pause:
            return False
        self._cut_off_since = None
        self._pause = min(self._pause * 2, MOST_PAUSE_SECONDS)
        self._restart()
        return True
