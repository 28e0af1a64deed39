"""The engine contract: what a node may ask of whoever orders the ledger. `tests/conformance` holds every engine to it.

`submit` answers Committed, RefusedAtDoor or Unknown; entry into a queue or mempool is no acknowledgement. After Unknown
the same bytes are submitted again; "never happened" is certain only when a committed block's time is past `not_after`
and no receipt exists. Source: DESIGN section 6.

What the contract leaves to the engine: whether a block may hold what the door turns away (CometBFT's may; there it has
a place and a result, and no receipt), and when the header that covers the last state comes (the embedded engine seals
it when idle and on closing; a member's comes with the others' votes, so after a restart it may be missing for a
moment).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

from tallystick.kernel.core.events import Event
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Fact
from tallystick.proof.comet import LightBlock
from tallystick.proof.state_proof import TreeProof
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status


class Committed(msgspec.Struct, frozen=True):
    """Final: the transaction stands at (height, index), refused (`status` other than OK) or not."""

    height: int
    index: int
    status: Status
    facts: dict[str, Fact] = {}


class RefusedAtDoor(msgspec.Struct, frozen=True):
    """Not ordered, not final, nothing written. The same bytes may be let in later."""

    status: Status
    facts: dict[str, Fact] = {}


@dataclass(frozen=True, slots=True)
class Unknown:
    """It can't be said whether the transaction was or will be ordered. Submit the same bytes again."""

    reason: str


Outcome: TypeAlias = Committed | RefusedAtDoor | Unknown


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place between events: height, 0 for block start or transaction index + 1, and the event's number there."""

    height: int = 0
    index: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class PlacedEvent:
    """An event with its place, business time left to the block's header. Continue after `cursor`."""

    cursor: Cursor
    time: Instant
    event: Event


class Pruned(LookupError):
    """Events before `first` are no longer kept."""

    def __init__(self, first: int) -> None:
        super().__init__(f"events before height {first} are pruned")
        self.first = first


class HeightUnavailable(LookupError):
    """The state is kept at the `present` height only."""

    def __init__(self, present: int) -> None:
        super().__init__(f"only the present height {present} is available")
        self.present = present


class NotYet(LookupError):
    """The header that covers the present state does not exist yet; ask again."""


@dataclass(frozen=True, slots=True)
class Read:
    """A record (or its absence) at a height."""

    height: int
    record: Record | None


@dataclass(frozen=True, slots=True)
class StateProof:
    """A row at `height`, proven against the app hash in the header of `height + 1`."""

    height: int
    key: str
    blind: bytes
    value: bytes | None
    proof: TreeProof
    state_root: bytes
    receipts_root: bytes


@dataclass(frozen=True, slots=True)
class ProvenRow:
    """A row, or its absence (`value` None), that a proof of many shows."""

    key: str
    blind: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True)
class ManyProven:
    """Rows at `height`, proven together against the app hash in the header of `height + 1`.

    `proof` is a `proof.multiproof.MultiProof` as it is written.
    """

    height: int
    rows: tuple[ProvenRow, ...]
    proof: bytes
    state_root: bytes
    receipts_root: bytes


@dataclass(frozen=True, slots=True)
class BlockResults:
    """What became of a block's transactions, in order, and what it did at its start; each as it was hashed.

    The roots are those after the block.
    """

    codes: tuple[int, ...]
    data: tuple[bytes, ...]
    events: tuple[bytes, ...]
    due_events: bytes
    state_root: bytes
    receipts_root: bytes


@dataclass(frozen=True, slots=True)
class Health:
    """How the engine is. `problem` is empty while it takes transactions."""

    height: int
    time: Instant
    app_hash: bytes
    problem: str = ""
    faults: tuple[str, ...] = ()
    waiting: int = 0
    attested_by: str = ""


class Engine(Protocol):
    """What every engine offers. All methods may be called from any thread."""

    chain_id: str

    def submit(self, raw: bytes, timeout_seconds: float = 60.0) -> Outcome:
        """Order one transaction and wait for its outcome."""

    def submit_many(self, raws: list[bytes], timeout_seconds: float = 600.0) -> list[Outcome]:
        """Order transactions in the order given; outcomes in the same order."""

    def submit_later(self, raw: bytes, done: Callable[[Outcome], None]) -> None:
        """Order one transaction; `done` is called from the engine's thread once its outcome is durable."""

    def result(self, body_hash: bytes) -> Committed | None:
        """The receipt of a transaction by SHA-256 of its body. Survives restart, snapshot and state sync."""

    def query(
        self, key: str, *, min_height: int = 0, at_height: int | None = None, timeout_seconds: float = 10.0
    ) -> Read:
        """The record under `key`, waiting until `min_height`. Raises `HeightUnavailable` for an earlier height."""

    def scan(self, table: str, after: str = "", limit: int = 1_000) -> list[Record]:
        """Records of a table in the order of their ids, those after id `after`."""

    def labelled(self, label: str, limit: int = 10_000) -> list[str]:
        """Keys of the records that stand under an index label, like `live/<member>` or `role/auditor`."""

    def events(self, after: Cursor, limit: int = 10_000) -> list[PlacedEvent]:
        """Events after the cursor, in order. Raises `Pruned` below the kept floor."""

    def follow(self, after: Cursor, stop: Callable[[], bool]) -> Iterator[PlacedEvent]:
        """Events after the cursor, in order and at least once, then new ones as they come, until `stop()`."""

    def prove(self, key: str) -> StateProof:
        """Prove a row, or its absence, at the present height. Raises `NotYet` before the next header exists."""

    def prove_many(self, keys: list[str]) -> ManyProven:
        """Prove rows, or their absence, together at the present height. Raises `NotYet` as `prove` does."""

    def light_block(self, height: int) -> LightBlock:
        """Header, commit and validators of a height; waits a little where these come after the block."""

    def validator_changes(self) -> list[int]:
        """Heights whose header is the first to name a new validator set as next, ascending."""

    def transactions(self, height: int) -> list[bytes]:
        """The raw transactions of a block, in order, with those that were turned away."""

    def results(self, height: int) -> BlockResults:
        """The results and events of a block."""

    def health(self) -> Health: ...

    def snapshot(self, target: Path) -> int:
        """Write a logical snapshot of the present state into a new directory; returns its height."""

    def backup(self, target: Path) -> int:
        """Copy the whole ledger consistently into a new directory while it runs; returns its height.

        Headers and commits that come after their blocks may be missing for the last ones; whoever goes on asks again.
        """

    def close(self) -> None: ...
