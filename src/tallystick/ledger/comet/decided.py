"""The ledger as CometBFT's validators decide it: a block is checked, executed and committed when consensus says so.

Rules kept here (DESIGN section 6):
1. Executing a block starts from the committed state and keeps nothing; it may be asked again for the same height.
2. Committing writes the whole block in one synced batch, and only then do its outcomes leave.
3. Every transaction of a decided block has its place and result, also one that the door turns away.
4. Nothing here looks at a clock but the check before the mempool, which decides nothing for others.
"""

import datetime
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tallystick.kernel import machine
from tallystick.kernel.calendar.days import day_of
from tallystick.kernel.chain_rows import Clock
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Block, Misbehaviour
from tallystick.kernel.genesis import Genesis
from tallystick.kernel.transaction import Transaction, is_wake, read, read_decided, wake_bytes
from tallystick.ledger.archive import NS_PER_MS, Archive
from tallystick.ledger.engines.reading import StoreReading
from tallystick.ledger.execution import BlockExecution, Done, ExecutedBlock, TurnedAway
from tallystick.ledger.opening import Tip, open_ledger, put_tip
from tallystick.ledger.process import wall_clock_ms
from tallystick.ledger.receipts import receipt_key
from tallystick.ledger.sealing import body_of
from tallystick.ledger.store import Store
from tallystick.ledger.validators import changed_validators
from tallystick.proof.comet import Validator, ValidatorSet
from tallystick.wire.envelope import MAX_BYTES
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import MINUTE_MS, Instant
from tallystick.wire.status import Status

MAX_BLOCK_TRANSACTIONS = 4_000
CACHED_BYTES = 64 << 20  # of transactions that wait for their block and were read; read again costs time alone


@dataclass(frozen=True, slots=True)
class Decided:
    """A block as the validators decided on it. `time_ns` is its header's."""

    height: int
    time_ns: int
    hash: bytes
    transactions: tuple[bytes, ...]
    misbehaviours: tuple[Misbehaviour, ...] = ()


@dataclass(frozen=True, slots=True)
class Executed:
    """What a decided block makes of the ledger once it is committed."""

    decided: Decided
    block: ExecutedBlock
    validators_changed: tuple[Validator, ...]
    """Keys that sign from two heights later on, and, with a power of 0, those that sign no longer."""

    @property
    def app_hash(self) -> bytes:
        return self.block.roots.app_hash


class DecidedLedger(StoreReading):
    """A ledger whose blocks are decided elsewhere. One thread checks, executes and commits; any thread may read."""

    def __init__(self, store: Store, genesis: Genesis, clock: Callable[[], int] = wall_clock_ms) -> None:
        super().__init__(store, genesis)
        self._held = self._problem = ""  # a copy may go on here: what signs is not in it, and the others tell the rest
        self._clock = clock
        self._executed: Executed | None = None
        self._checked: OrderedDict[bytes, Transaction] = OrderedDict()
        self._checked_bytes = 0
        self._door_day = (-1, datetime.date.min)
        self.faults: list[str] = []

    def reopen(self) -> None:
        """Another ledger has come into the store: a snapshot was restored."""
        with self._reading:
            self._opened = open_ledger(self._store, self.genesis)
            self._archive = self._opened.archive
            self._tip = self._opened.tip
            self._executed = None
            self._checked.clear()
            self._checked_bytes = 0

    @property
    def initial_height(self) -> int:
        """The height of this chain's first block."""
        return self.genesis.initial_height

    @property
    def height(self) -> int:
        """The height of the last committed block; 0 before the chain's first."""
        return self._tip.height if self._tip.height >= self.initial_height else 0

    @property
    def app_hash(self) -> bytes:
        """The app hash of the committed state."""
        return self._opened.roots.app_hash

    def validators_at(self, height: int) -> ValidatorSet:
        """Who signs the block of `height`."""
        return self._opened.validators.at(height)

    # The mempool's door

    def _read(self, raw: bytes) -> Transaction | Refusal:
        """Decode a transaction and check its signatures, where that was not done before."""
        return self._checked.get(raw) or read(raw)

    def _remember(self, transaction: Transaction) -> None:
        """Keep what was read until its block comes, the youngest first; what strangers sign is not let in here."""
        raw = transaction.raw
        if raw in self._checked:
            return
        self._checked[raw] = transaction
        self._checked_bytes += len(raw)
        while self._checked_bytes > CACHED_BYTES:
            self._checked_bytes -= len(self._checked.popitem(last=False)[0])

    def _forget_read(self, raws: Iterable[bytes]) -> None:
        for raw in raws:
            if self._checked.pop(raw, None) is not None:
                self._checked_bytes -= len(raw)

    def check(self, raw: bytes) -> Refusal | None:
        """Why a transaction may not wait for a block on this node, or None."""
        if is_wake(raw):  # of many heights there could be many at once, and each would take its place in a block
            return None if raw == wake_bytes(self._tip.height + 1) and self.is_due() else refuse(Status.WAKE)
        transaction = self._read(raw)
        if isinstance(transaction, Refusal):
            return transaction
        body = transaction.body
        earlier = self._archive.find_receipt(receipt_key(body.actor, body.id))
        if earlier is not None:
            same = earlier.body_hash == transaction.body_hash
            status = Status.ALREADY_ORDERED if same else Status.DUPLICATE_ID_OTHER_CONTENT
            return refuse(status, height=earlier.height, index=earlier.index)
        refusal = machine.door(self._opened.state, self._opened.chain, self._next_block(), transaction)
        if refusal is None:
            self._remember(transaction)
        return refusal

    def is_due(self) -> bool:
        """Whether a block made now would have due work to do."""
        return machine.is_due(self._opened.state, self._business_time())

    def _next_block(self) -> Block:
        now = self._business_time()
        minute = now // MINUTE_MS
        if minute != self._door_day[0]:  # asked for every transaction, and the door asks for the time alone
            self._door_day = (minute, day_of(self._opened.state, now))
        return Block(self._tip.height + 1, now, self._door_day[1], bytes(32))

    def _business_time(self) -> Instant:
        wall = Instant(max(self._clock(), self._tip.time_ns // NS_PER_MS))
        clock = self._opened.state.find("clock/chain")
        return wall.plus(clock.offset_ms) if isinstance(clock, Clock) else wall

    # Blocks

    def may_be_decided(self, transactions: Iterable[bytes]) -> bool:
        """Whether a proposed block is one that honest nodes vote for. The same on every node."""
        seen: set[bytes] = set()
        for raw in transactions:
            if raw in seen or len(raw) > MAX_BYTES or len(seen) == MAX_BLOCK_TRANSACTIONS:
                return False
            seen.add(raw)
            if is_wake(raw):
                continue
            transaction = self._read(raw)
            if isinstance(transaction, Refusal):
                return False
            self._remember(transaction)
        return True

    def execute(self, decided: Decided) -> Executed:
        """Execute a decided block on the committed state, and keep it for `commit` alone."""
        if decided.height != self._tip.height + 1:
            raise InvariantViolation(f"block {decided.height} is to be executed on a ledger at {self._tip.height}")
        opened = self._opened
        execution = BlockExecution(
            opened.state,
            self._archive,
            opened.tree,
            opened.chain,
            opened.roots,
            decided.height,
            Instant(decided.time_ns // NS_PER_MS),
            decided.misbehaviours,
        )
        for raw in decided.transactions:
            execution.include(raw, self._checked.get(raw) or read_decided(raw))
        block = execution.finish()
        self._executed = Executed(decided, block, self._validator_updates(block))
        return self._executed

    def _validator_updates(self, block: ExecutedBlock) -> tuple[Validator, ...]:
        """The difference between the set decided last and the one that this block decides on, by key."""
        after = changed_validators(block.overlay.records)
        if after is None:
            return ()
        before = set(self._opened.validators.latest.validators)
        added = set(after.validators) - before
        removed = {Validator(one.public_key, 0) for one in before - set(after.validators)}
        return tuple(sorted(added | removed, key=lambda one: one.public_key))

    def commit(self) -> Executed:
        """Write the block that was executed last, in one synced batch, and let everybody know."""
        executed = self._executed
        if executed is None:
            raise InvariantViolation("there is no executed block to commit")
        decided, block = executed.decided, executed.block
        tip = Tip.decided(block, decided.time_ns, decided.hash, self._opened.roots.app_hash)
        Archive.add_body(block.batch, body_of(block, decided.time_ns))
        put_tip(block.batch, tip)
        with self._reading:
            self._store.write(block.batch)
            self._opened.advance(block, tip)
            self._tip = tip
        self._executed = None
        self.faults = (self.faults + block.faults)[-100:]
        self._forget_read(decided.transactions)
        with self._committed:
            self._committed.notify_all()
        return executed


def outcomes_of(executed: Executed) -> list[tuple[bytes, Done | TurnedAway]]:
    """Each transaction of a block with what became of it."""
    return list(zip(executed.decided.transactions, executed.block.outcomes, strict=True))
