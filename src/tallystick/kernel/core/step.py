"""The step: what an operation may see and, in `apply`, change.

Time, height and the acting organisations come from the block and the transaction. During `check` the step is closed for
writing; a write then is a bug of ours and breaks the transaction, not the ledger.
"""

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta

from tallystick.kernel.core.fields import Count, Position, Struct
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.state import Overlay
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.ids import record_id
from tallystick.wire.instants import Instant

R = TypeVar("R", bound=Record)
T = TypeVar("T")
ID_STRIDE = 1 << 20


@dataclass(frozen=True, slots=True)
class Chain:
    """What the genesis fixes for ever."""

    chain_id: str
    sandbox: bool
    tree_depth: int
    max_operations: int = 1_000
    max_parcels: int = 500
    max_due_per_block: int = 1_000


class Misbehaviour(Struct):
    """What the consensus engine reports of a validator, proven by its signatures: it voted twice, or for a fork."""

    kind: Literal["duplicate_vote", "light_client_attack"]
    validator: Annotated[str, Meta(pattern=r"\A[0-9A-F]{40}\Z")]  # its address: SHA-256 of its key, 20 bytes
    height: Count
    time: Instant
    power: Count
    total_power: Count


@dataclass(frozen=True, slots=True)
class Block:
    """Where and when a step happens. `time` is business time: the header's time plus a sandbox's clock offset.

    `today` is the day of `time` in the consortium's business time zone.
    """

    height: int
    time: Instant
    today: datetime.date
    seed: bytes
    misbehaviours: tuple[Misbehaviour, ...] = ()


class Step:
    """One transaction, or one piece of due work, in progress over its own overlay."""

    __slots__ = (
        "_found",
        "_made",
        "_origin",
        "_writable",
        "actor",
        "block",
        "chain",
        "index",
        "organisations",
        "overlay",
        "written",
    )

    def __init__(
        self,
        chain: Chain,
        block: Block,
        overlay: Overlay,
        index: int,
        origin: tuple[str, str],
        organisations: tuple[str, ...],
    ) -> None:
        self.chain = chain
        self.block = block
        self.overlay = overlay
        self.index = index
        self.actor = origin[0]
        self.organisations = organisations
        self._origin = origin
        self._made = 0
        self._writable = False
        self._found: dict[str, object] = {}
        self.written = 0  # rows put and deleted, each time counted

    @property
    def now(self) -> Instant:
        """Business time of the block."""
        return self.block.time

    @property
    def today(self) -> datetime.date:
        """The block's day in the business time zone."""
        return self.block.today

    @property
    def position(self) -> Position:
        """The transaction's place in the ledger's order."""
        return Position(self.block.height, self.index)

    def find(self, kind: type[R], record_id: str) -> R | None:
        """The record of `kind` with that id, or None."""
        record: Any = self.overlay.find(f"{kind.table}/{record_id}")
        return record  # type: ignore[no-any-return]  # a table holds one kind of record

    def get(self, kind: type[R], record_id: str) -> R:
        """The record of `kind` that must exist because another record names it."""
        record: Any = self.overlay.find(f"{kind.table}/{record_id}")
        if record is None:
            raise InvariantViolation(f"{kind.table} {record_id} is named but missing")
        return record  # type: ignore[no-any-return]  # as in `find`

    def recall(self, key: tuple[object, ...], compute: Callable[[], T]) -> T:
        """What follows from the day and the rules in force alone: computed once a block for each `key`.

        Rules are the records with `is_rule`; a block or transaction that changes one computes afresh.
        """
        overlay = self.overlay
        if overlay.rules_changed:
            return compute()
        known: Any = overlay.rules.get(key)
        if known is None:
            known = overlay.rules[key] = compute()
        return known  # type: ignore[no-any-return]  # what `compute` gave for this key

    def once(self, name: str, compute: Callable[[], T]) -> T:
        """What an operation's `check` finds out and its `apply` uses: computed once, as nothing changes in between."""
        known: Any = self._found.get(name)
        if known is None:
            known = self._found[name] = compute()
        return known  # type: ignore[no-any-return]  # what `compute` gave under this name

    def at(self, key: str) -> Record | None:
        """The record under a full key, as index rows name it."""
        return self.overlay.find(key)

    def index_range(self, prefix: str) -> Iterator[str]:
        """Index rows that begin with `prefix`, ascending."""
        return self.overlay.index_range(prefix, prefix + "\x7f")

    def put(self, record: Record) -> None:
        """Write a record in place of what stands under its key."""
        if not self._writable:
            raise InvariantViolation(f"{record.key} written while checking")
        self.written += 1
        self.overlay.put(record)

    def delete(self, record: Record) -> None:
        """Remove a record."""
        if not self._writable:
            raise InvariantViolation(f"{record.key} deleted while checking")
        self.written += 1
        self.overlay.delete(record.key)

    def coming_id(self, prefix: str) -> str:
        """The id that the next `new_id(prefix)` will give."""
        return record_id(prefix, self.chain.chain_id, *self._origin, self._made)

    def new_id(self, prefix: str) -> str:
        """A fresh record id. The first of an operation is the one its client computed beforehand."""
        made = self.coming_id(prefix)
        self._made += ID_STRIDE
        return made

    def begin(self, operation_index: int) -> None:
        """Close for writing and number ids for one operation: its first id is (transaction, operation index).

        Further ids of the same operation follow in strides that no operation index reaches.
        """
        self._made = operation_index
        self._found.clear()
        self._writable = False

    def open_for_writing(self) -> None:
        """Enter `apply`."""
        self._writable = True
