"""What an engine on one store answers about the ledger, and the engine that does nothing but answer.

Reading needs no signing key: whoever may only look holds none, and looking writes nothing, neither due work nor the
block that would prove the last one.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tallystick.kernel.core.record import Record, decode_record
from tallystick.kernel.genesis import Genesis
from tallystick.ledger.archive import NS_PER_MS, BlockBody
from tallystick.ledger.engine import (
    BlockResults,
    Committed,
    Cursor,
    Health,
    HeightUnavailable,
    ManyProven,
    NotYet,
    Outcome,
    PlacedEvent,
    ProvenRow,
    Pruned,
    Read,
    StateProof,
    Unknown,
)
from tallystick.ledger.execution import Roots, blinded
from tallystick.ledger.opening import Opened, open_ledger
from tallystick.ledger.restoring import back_up
from tallystick.ledger.snapshots import take_snapshot
from tallystick.ledger.store import Family, Store
from tallystick.proof import comet
from tallystick.proof.state_proof import key_hash
from tallystick.wire.instants import Instant

FOLLOW_SECONDS = 0.2
READING_ONLY = "the ledger was opened for reading: nothing is ordered"


class StoreReading:
    """The reading half of the engine contract on one store. A writer moves `_tip` and notifies `_committed`."""

    def __init__(self, store: Store, genesis: Genesis | None = None) -> None:
        self._store = store
        self._opened: Opened = open_ledger(store, genesis)
        self._tip = self._opened.tip
        self._archive = self._opened.archive
        self.chain_id = self._opened.chain.chain_id
        self.genesis = self._opened.genesis
        self._held = _copy_held(self._opened.copied_at)
        self._problem = self._held
        self._committed = threading.Condition()
        self._reading = threading.RLock()
        self._stopping = False
        self._closed = False

    def result(self, body_hash: bytes) -> Committed | None:
        return self._archive.result(body_hash)

    def query(
        self, key: str, *, min_height: int = 0, at_height: int | None = None, timeout_seconds: float = 10.0
    ) -> Read:
        if not self._wait_until(lambda: self._tip.height >= min_height, timeout_seconds):
            raise TimeoutError(f"height {min_height} was not reached")
        with self._reading:
            height = self._tip.height
            if at_height is not None and at_height != height:
                raise HeightUnavailable(height)
            stored = self._store.get(Family.STATE, key.encode())
        return Read(height, None if stored is None else decode_record(key, blinded(stored)[1]))

    def scan(self, table: str, after: str = "", limit: int = 1_000) -> list[Record]:
        start = f"{table}/{after}\x00" if after else f"{table}/"
        found = []
        for key, stored in self._store.range(Family.STATE, start.encode(), f"{table}0".encode()):
            found.append(decode_record(key.decode(), blinded(stored)[1]))
            if len(found) == limit:
                break
        return found

    def labelled(self, label: str, limit: int = 10_000) -> list[str]:
        """Keys of the records that stand under an index label, like `live/<member>` or `role/auditor`."""
        rows = self._store.range(Family.INDEX, f"{label}/".encode(), f"{label}0".encode())
        return [row.decode()[len(label) + 1 :] for (row, _), _ in zip(rows, range(limit), strict=False)]

    def events(self, after: Cursor, limit: int = 10_000) -> list[PlacedEvent]:
        first = self._archive.first_height() or self._tip.height + 1
        if after.height < first and first > 1:
            raise Pruned(first)
        return list(self._archive.events_after(after, limit))

    def follow(self, after: Cursor, stop: Callable[[], bool]) -> Iterator[PlacedEvent]:
        while not stop() and not self._closed:
            seen = self._tip.height
            batch = self.events(after)
            for placed in batch:
                after = placed.cursor
                yield placed
            if not batch:
                if self._stopping:
                    return
                self._wait_until(self._above(seen, stop), FOLLOW_SECONDS)

    def _above(self, height: int, stop: Callable[[], bool]) -> Callable[[], bool]:
        return lambda: self._tip.height > height or stop()

    def _wait_until(self, reached: Callable[[], bool], timeout_seconds: float) -> bool:
        with self._committed:
            return self._committed.wait_for(lambda: reached() or self._stopping, timeout_seconds) and reached()

    def prove(self, key: str) -> StateProof:
        with self._reading:
            roots = self._attested_roots()
            row = self._row(key)
            proof = self._opened.tree.prove(key_hash(key))
            return StateProof(self._tip.height - 1, key, row.blind, row.value, proof, roots.state, roots.receipts)

    def prove_many(self, keys: list[str]) -> ManyProven:
        with self._reading:
            roots = self._attested_roots()
            rows = tuple(self._row(key) for key in keys)
            proof = self._opened.tree.prove_many([key_hash(key) for key in keys]).to_bytes()
            return ManyProven(self._tip.height - 1, rows, proof, roots.state, roots.receipts)

    def _attested_roots(self) -> Roots:
        """The present roots, which the last header must state. Raises `NotYet`."""
        if not self._tip.is_attested:
            raise NotYet("the block that proves the last one is not sealed yet; a running node does so at once")
        return self._opened.roots

    def _row(self, key: str) -> ProvenRow:
        stored = self._store.get(Family.STATE, key.encode())
        return ProvenRow(key, b"", None) if stored is None else ProvenRow(key, *blinded(stored))

    def light_block(self, height: int) -> comet.LightBlock:
        light = self._archive.light(height)
        if light is None:
            raise HeightUnavailable(self._tip.height)
        return comet.LightBlock(light.header, light.commit, self._opened.validators.at(height))

    def validator_changes(self) -> list[int]:
        return self._opened.validators.naming_heights

    def transactions(self, height: int) -> list[bytes]:
        return self._body(height).transactions

    def results(self, height: int) -> BlockResults:
        body = self._body(height)
        return BlockResults(tuple(body.codes), tuple(body.data), tuple(body.events), body.due_events, *body.roots)

    def _body(self, height: int) -> BlockBody:
        body = self._archive.body(height)
        if body is None:
            raise HeightUnavailable(self._tip.height)
        return body

    def _state_of_health(self, faults: tuple[str, ...], waiting: int) -> Health:
        time = Instant(self._tip.time_ns // NS_PER_MS)
        app_hash = self._opened.roots.app_hash
        return Health(self._tip.height, time, app_hash, self._problem, faults, waiting, "1 of 1, the operator")

    def snapshot(self, target: Path) -> int:
        return take_snapshot(self._store, target)

    def backup(self, target: Path) -> int:
        return back_up(self._store, target)


class ReadingEngine(StoreReading):
    """The engine contract for whoever only looks: what is handed in is not ordered, and nothing is written."""

    def __init__(self, store: Store, genesis: Genesis | None = None) -> None:
        super().__init__(store, genesis)
        self._problem = self._held or READING_ONLY

    def submit(self, raw: bytes, timeout_seconds: float = 60.0) -> Outcome:
        return Unknown(self._problem)

    def submit_many(self, raws: list[bytes], timeout_seconds: float = 600.0) -> list[Outcome]:
        return [Unknown(self._problem) for _ in raws]

    def submit_later(self, raw: bytes, done: Callable[[Outcome], None]) -> None:
        done(Unknown(self._problem))

    def health(self) -> Health:
        return self._state_of_health((), 0)

    def close(self) -> None:
        """Let go of the directory. Safe to call twice."""
        with self._committed:
            self._stopping = True
            self._committed.notify_all()
        with self._reading:
            if not self._closed:
                self._closed = True
                self._store.close()


def _copy_held(copied_at: int | None) -> str:
    if copied_at is None:
        return ""
    return (
        f"this ledger is a copy made at height {copied_at}: nothing is ordered on it before it is brought up to date"
        " from the block log or opened as a new revision of the chain id"
    )
