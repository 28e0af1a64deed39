"""How a block is executed: one way for the embedded engine, for CometBFT and for fsck.

`BlockExecution` starts with the due work, takes transactions one by one and, at the end, computes the state root, the
receipts root and the app hash, without changing anything that is committed. `ExecutedBlock.batch` lists every row that
committing it writes. Source: DESIGN sections 4 and 6; docs/spec/block.md.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Protocol, Self

import msgspec

from tallystick.kernel import machine
from tallystick.kernel.calendar.days import day_of
from tallystick.kernel.chain_rows import Clock, Entropy
from tallystick.kernel.core import codec
from tallystick.kernel.core.refusal import Fact, Refusal, refuse
from tallystick.kernel.core.state import Overlay, State
from tallystick.kernel.core.step import Block, Chain, Misbehaviour
from tallystick.kernel.genesis import PROTOCOL_VERSION
from tallystick.kernel.governance.records import Protocol as Rules
from tallystick.kernel.transaction import Transaction
from tallystick.ledger.committed import BLIND_BYTES
from tallystick.ledger.receipts import Receipt, receipt_key
from tallystick.ledger.store import Batch, Family
from tallystick.ledger.tree import Tree, TreeDelta
from tallystick.ledger.validators import put_changed_validators
from tallystick.proof.state_proof import app_hash, next_receipts_root
from tallystick.wire.errors import DecodeError, InvariantViolation
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status

BLIND_DOMAIN = b"tallystick-blind-v1\n"
RECEIPTS_DOMAIN = b"tallystick-receipts-digest-v1\n"
NO_EVENTS_HASH = hashlib.sha256(b"[]").hexdigest()

_sha256 = hashlib.sha256


class Receipts(Protocol):
    """Where receipts of earlier blocks are found."""

    def find_receipt(self, key: bytes) -> Receipt | None: ...


class Done(msgspec.Struct, frozen=True):
    """An ordered transaction's outcome. `data` is covered by the next header's LastResultsHash."""

    receipt: Receipt
    status: Status
    facts: dict[str, Fact]
    data: bytes
    events: bytes


class TurnedAway(msgspec.Struct, frozen=True):
    """A transaction of a decided block that was not let in: it has a place and a result there, and no receipt.

    CometBFT's validators decide what stands in a block before it is executed, so unlike in the embedded engine what the
    door refuses, what was ordered before and what can't even be read may stand there. Nothing is written for it.
    """

    status: Status
    facts: dict[str, Fact]
    data: bytes
    events: bytes = b"[]"

    @classmethod
    def of(cls, refusal: Refusal) -> Self:
        return cls(refusal.status, refusal.facts, turned_away_data(refusal))


class Repeated(msgspec.Struct, frozen=True):
    """The same body was ordered before, at this receipt; nothing is done again."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Roots:
    """What the app hash is made of."""

    state: bytes
    receipts: bytes

    @property
    def app_hash(self) -> bytes:
        return app_hash(self.state, self.receipts)


@dataclass(slots=True)
class ExecutedBlock:
    """Everything that committing the block changes, and nothing of it done yet."""

    height: int
    time: Instant
    transactions: list[bytes]
    outcomes: list[Done | TurnedAway]
    due_events: bytes
    misbehaviours: bytes
    overlay: Overlay
    delta: TreeDelta
    roots: Roots
    batch: Batch
    faults: list[str] = field(default_factory=list)

    @property
    def results(self) -> list[tuple[int, bytes]]:
        """(code, data) of each transaction, as CometBFT hashes them."""
        return [(outcome.status.number, outcome.data) for outcome in self.outcomes]

    @property
    def is_empty(self) -> bool:
        """Whether it changed nothing: no transaction and no due work."""
        return not self.outcomes and not self.overlay.records


class BlockExecution:
    """One block in progress over a committed state. Dropping it leaves no trace."""

    def __init__(
        self,
        state: State,
        receipts: Receipts,
        tree: Tree,
        chain: Chain,
        roots: Roots,
        height: int,
        header_time: Instant,
        misbehaviours: tuple[Misbehaviour, ...] = (),
    ) -> None:
        self._receipts = receipts
        self._tree = tree
        self._chain = chain
        self._roots = roots
        _check_rules(state, height)
        self._overlay = Overlay(state)
        clock = state.find("clock/chain")
        now = header_time.plus(clock.offset_ms) if isinstance(clock, Clock) else header_time
        entropy = state.find("entropy/chain")
        if not isinstance(entropy, Entropy):
            raise InvariantViolation("the chain has no entropy row")
        self._entropy = bytes.fromhex(entropy.value)
        self._header_time = header_time
        self.block = Block(height, now, day_of(state, now), self._entropy, misbehaviours)
        self._transactions: list[bytes] = []
        self._outcomes: list[Done | TurnedAway] = []
        self._ordered: dict[bytes, Done] = {}  # by receipt key, in order
        events, self.faults = machine.due_work(self._overlay, chain, self.block)
        self._due_events = codec.encode(events)

    def add(self, transaction: Transaction) -> Done | Repeated | Refusal:
        """Order one transaction after those before it. A `Refusal` was refused at the door and is not ordered."""
        body = transaction.body
        key = receipt_key(body.actor, body.id)
        before = self._ordered.get(key)
        earlier = self._receipts.find_receipt(key) if before is None else before.receipt
        if earlier is not None:
            if earlier.body_hash == transaction.body_hash:
                return Repeated(earlier)
            # For ever, not until its not_after: record ids follow from (actor, id), so the same id with other content
            # would overwrite what it made before.
            return refuse(Status.DUPLICATE_ID_OTHER_CONTENT, height=earlier.height, index=earlier.index)
        refusal = machine.door(self._overlay, self._chain, self.block, transaction)
        if refusal is not None:
            return refusal
        index = len(self._outcomes)
        result = machine.execute(self._overlay, self._chain, self.block, index, transaction)
        if result.fault:
            self.faults.append(f"transaction {transaction.body_hash.hex()}: {result.fault}")
        events = codec.encode(result.events)
        events_hash = _sha256(events).hexdigest() if result.events else NO_EVENTS_HASH
        receipt = Receipt(transaction.body_hash, self.block.height, index, body.not_after)
        data = machine.result_data(result.status, result.facts, events_hash)
        done = Done(receipt, result.status, result.facts, data, events)
        self._ordered[key] = done
        self._transactions.append(transaction.raw)
        self._outcomes.append(done)
        return done

    def include(self, raw: bytes, transaction: Transaction | Refusal) -> Done | TurnedAway:
        """Give a transaction of a decided block its place, whether it is let in or not."""
        outcome = transaction if isinstance(transaction, Refusal) else self.add(transaction)
        if isinstance(outcome, Done):
            return outcome
        if isinstance(outcome, Repeated):
            outcome = refuse(Status.ALREADY_ORDERED, height=outcome.receipt.height, index=outcome.receipt.index)
        turned_away = TurnedAway.of(outcome)
        self._transactions.append(raw)
        self._outcomes.append(turned_away)
        return turned_away

    def __len__(self) -> int:
        return len(self._outcomes)

    @property
    def rows(self) -> int:
        """How many records it has written so far."""
        return len(self._overlay.records)

    def outcome(self, index: int) -> Done | TurnedAway:
        """The outcome of the transaction at `index` of this block."""
        return self._outcomes[index]

    def finish(self) -> ExecutedBlock:
        """Compute what committing it writes: rows, tree, roots. May be called again; commits nothing."""
        if self._ordered:
            digest = _sha256(self._entropy)
            for done in self._ordered.values():
                digest.update(done.receipt.body_hash)
            self._overlay.put(Entropy(id="chain", value=digest.hexdigest()))
        batch = Batch()
        changes = self._rows(batch)
        delta = self._tree.prepare(changes)
        put_buckets(batch, delta)
        put_changed_validators(batch, self.block.height, self._overlay.records)
        for key, done in self._ordered.items():
            batch.put(Family.RECEIPTS, key, done.receipt.to_bytes())
            batch.put(Family.HASHES, done.receipt.body_hash, done.receipt.place + done.data)
        return ExecutedBlock(
            self.block.height,
            self._header_time,
            self._transactions,
            self._outcomes,
            self._due_events,
            codec.encode(self.block.misbehaviours),
            self._overlay,
            delta,
            Roots(delta.root, self._next_receipts_root()),
            batch,
            self.faults,
        )

    def _rows(self, batch: Batch) -> list[tuple[bytes, bytes | None]]:
        """Put the changed rows into `batch`; return what changes in the tree."""
        overlay = self._overlay
        changes: list[tuple[bytes, bytes | None]] = []
        height = self.block.height.to_bytes(8, "big")
        for key, record in overlay.records.items():
            name = key.encode()
            if record is None:
                batch.delete(Family.STATE, name)
                changes.append((_sha256(name).digest(), None))
                continue
            value = codec.encode(record)
            seed = overlay.seeds.get(key, self._entropy)
            blind = _sha256(BLIND_DOMAIN + seed + height + name).digest()
            stored = blind + value
            batch.put(Family.STATE, name, stored)
            changes.append((_sha256(name).digest(), _sha256(stored).digest()))
        for row, present in overlay.index_changes().items():
            if present:
                batch.put(Family.INDEX, row.encode(), b"")
            else:
                batch.delete(Family.INDEX, row.encode())
        return changes

    def _next_receipts_root(self) -> bytes:
        """One link a block, none for a block in which nothing happened: an idle chain's app hash stands still."""
        if not self._ordered and self._due_events == b"[]":
            return self._roots.receipts
        digest = _sha256(RECEIPTS_DOMAIN + _sha256(self._due_events).digest())
        for done in self._ordered.values():
            digest.update(_sha256(done.receipt.body_hash + done.data).digest())
        return next_receipts_root(self._roots.receipts, self.block.height, digest.digest())


def _check_rules(state: State, height: int) -> None:
    """Raise `DecodeError` where a block is under rules that this program does not know (protocol.adopt)."""
    rules = state.find("protocol/chain")
    for adopted in rules.versions if isinstance(rules, Rules) else ():
        if adopted.version > PROTOCOL_VERSION and adopted.from_height <= height:
            raise DecodeError(
                f"from height {adopted.from_height} on version {adopted.version} of the rules holds, and this program"
                f" knows no later one than {PROTOCOL_VERSION}: install a release that does; nothing is lost",
                f"block {height}",
            )


def turned_away_data(refusal: Refusal) -> bytes:
    """The `data` of a result that no receipt goes with: as `machine.result_data`, and marked as the door's."""
    facts = {"at_door": True, "events": NO_EVENTS_HASH, "facts": refusal.facts, "status": refusal.status.label}
    return codec.encode(facts)


def stored_row(seed: bytes, height: int, key: str, value: bytes) -> bytes:
    """A state row as it is stored, outside of a block: its blind (from `seed`) and its canonical value."""
    return _sha256(BLIND_DOMAIN + seed + height.to_bytes(8, "big") + key.encode()).digest() + value


def put_buckets(batch: Batch, delta: TreeDelta) -> None:
    """Let a batch write what a prepared delta changes in the tree."""
    for bucket, listing in delta.buckets.items():
        if listing:
            batch.put(Family.TREE, bucket.to_bytes(4, "big"), listing)
        else:
            batch.delete(Family.TREE, bucket.to_bytes(4, "big"))


def blinded(stored: bytes) -> tuple[bytes, bytes]:
    """(blind, canonical value) of a stored state row."""
    return stored[:BLIND_BYTES], stored[BLIND_BYTES:]
