"""A member's ledger that gathers its headers: each block's header and commit, fetched from the CometBFT beside it.

They come a moment after their blocks, so whoever asks for the newest waits for them here.
"""

import logging
import time
from collections.abc import Callable

from tallystick.kernel.genesis import Genesis
from tallystick.ledger.archive import Archive, Light
from tallystick.ledger.comet.decided import DecidedLedger
from tallystick.ledger.comet.lights import fetch_light, fetch_other_light
from tallystick.ledger.comet.rpc import CometRpc, RpcRefused, RpcUnreachable
from tallystick.ledger.engine import HeightUnavailable
from tallystick.ledger.process import wall_clock_ms
from tallystick.ledger.store import Batch, Store
from tallystick.proof.comet import LightBlock
from tallystick.wire.errors import DecodeError

IDLE_SECONDS = 1.0
LIGHT_SECONDS = 5.0  # how long a reader waits for the header and commit of a block that is committed
BEGINNING_SECONDS = 30.0  # between two looks for headers that this node misses from before it joined

_log = logging.getLogger(__name__)


class GatheringLedger(DecidedLedger):
    """`rpc` reaches this member's CometBFT; `others` reach members who may have what came before this node joined."""

    def __init__(
        self,
        store: Store,
        genesis: Genesis,
        rpc: CometRpc,
        clock: Callable[[], int] = wall_clock_ms,
        others: tuple[CometRpc, ...] = (),
    ) -> None:
        super().__init__(store, genesis, clock)
        self._rpc = rpc
        self._others = others
        self._unreachable = ""
        self._next_light = self._first_missing_light()

    def reopen(self) -> None:
        super().reopen()
        self._next_light = self._first_missing_light()

    def light_block(self, height: int) -> LightBlock:
        if self._next_light <= height <= self._tip.height:
            self._wait_until(lambda: self._archive.light(height) is not None or self._closed, LIGHT_SECONDS)
        return super().light_block(height)

    @property
    def archived_until(self) -> int:
        """The height up to which headers and commits are archived without a gap."""
        return self._next_light - 1

    def _first_missing_light(self) -> int:
        height = self._tip.height
        while height >= self.initial_height and self._archive.light(height) is None:
            height -= 1
        return max(height + 1, self.initial_height)

    def gather_lights(self) -> None:
        """Archive what comes until the engine closes: the work of a thread of its own."""
        looked_at = -BEGINNING_SECONDS
        while not self._stopping:
            if self._others and time.monotonic() - looked_at > BEGINNING_SECONDS:
                looked_at = time.monotonic()
                self._gather_beginnings()
            if self._next_light > self._tip.height:
                with self._committed:
                    self._committed.wait(IDLE_SECONDS)
                continue
            try:
                if not self._gather(self._next_light):
                    time.sleep(0.05)
                self._problem = self._unreachable = ""
            except (RpcUnreachable, RpcRefused) as error:
                self._unreachable = str(error)
                time.sleep(0.5)
            except (DecodeError, HeightUnavailable) as error:
                _log.error("archive: %s", error)
                self._problem = str(error)
                time.sleep(IDLE_SECONDS)

    def _gather_beginnings(self) -> None:
        """Fetch, from members who have them, the headers before this node's snapshot that every bundle needs.

        They are the chain's first, and those that name a new validator set. Without them evidence from this node holds
        against a trusted header only.
        """
        if self.height == 0:
            return
        needed = {self.initial_height, *self.validator_changes()}
        missing = sorted(height for height in needed if height < self._next_light and not self._has_light(height))
        for height in missing:
            for rpc in self._others:
                try:
                    light = fetch_other_light(rpc, height, self.chain_id, self.validators_at(height))
                except (RpcUnreachable, RpcRefused, DecodeError) as error:
                    _log.warning("archive: %s", error)
                    continue
                if light is not None:
                    self._keep_light(light)
                    break

    def _has_light(self, height: int) -> bool:
        return height < self.initial_height or self._archive.light(height) is not None

    def _gather(self, height: int) -> bool:
        """Archive the light of one height; False while CometBFT has none yet."""
        body = self._archive.body(height)
        if body is None:
            self._next_light = height + 1  # a block from before this node's snapshot
            return True
        light = fetch_light(self._rpc, body, self._opened.hashes.get(height), self.validators_at)
        if light is None:
            return False
        self._keep_light(light)
        self._next_light = height + 1
        with self._committed:
            self._committed.notify_all()
        return True

    def _keep_light(self, light: Light) -> None:
        batch = Batch()
        Archive.add_light(batch, light)
        with self._reading:
            if not self._closed:
                self._store.write(batch)
