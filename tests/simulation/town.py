"""A consortium in memory that is watched: every block runs through the ledger's own execution, then past the auditor.

Time, keys and everything else follow from one seed. Nothing here knows the trade; `actions` does.
"""

import hashlib
import json
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from nacl.signing import SigningKey as Ed25519

from tallystick.kernel.chain_rows import Entropy
from tallystick.kernel.core import codec
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.genesis import Genesis, chain_of, initial_rows
from tallystick.kernel.membership.door import requirement_of
from tallystick.kernel.membership.records import KeyRole, Member, SigningKey
from tallystick.kernel.transaction import body_bytes, read
from tallystick.ledger.execution import BlockExecution, Done, Repeated, Roots
from tallystick.ledger.receipts import Receipt, receipt_key
from tallystick.ledger.tree import Tree
from tallystick.proof.state_proof import NO_RECEIPTS
from tallystick.wire import envelope
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.keys import to_base64
from tests.support.auditor import Auditor, Row, Seen
from tests.support.memory import MemoryState


class _Watched(BlockExecution):
    """A block whose rows written so far can be looked at."""

    @property
    def written(self) -> dict[str, Record | None]:
        return self._overlay.records

    @property
    def due_events(self) -> list[Row]:
        return list(json.loads(self._due_events))


class _Receipts:
    """Receipts of earlier blocks, kept for ever as the engine keeps them."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Receipt] = {}

    def find_receipt(self, key: bytes) -> Receipt | None:
        return self.rows.get(key)


@dataclass
class Outcome:
    """What became of one transaction: a status' label, or `repeated`."""

    label: str
    facts: Row = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    at_the_door: bool = False


class Town:
    """One chain, its keys, its clock and its auditor."""

    def __init__(
        self, genesis: Genesis, keys: dict[str, list[Ed25519]], rng: random.Random, sweep_every: int = 10
    ) -> None:
        self.rng = rng
        self.genesis = genesis
        self.chain = chain_of(genesis)
        rows = initial_rows(genesis)
        rows.append(Entropy(id="chain", value=hashlib.sha256(codec.encode(genesis)).hexdigest()))
        self.state = MemoryState(rows)
        self.tree = Tree(self.chain.tree_depth)
        self.tree.commit(self.tree.prepare((_sha(row.key), _sha(codec.encode(row))) for row in rows))
        self.roots = Roots(self.tree.root, NO_RECEIPTS)
        self.receipts = _Receipts()
        self.header_time = genesis.time
        self.height = 0
        self.keys: dict[str, Ed25519] = {
            to_base64(key.verify_key.encode()): key for owned in keys.values() for key in owned
        }
        self.tables: dict[str, dict[str, Record]] = defaultdict(dict)
        for row in rows:
            self.tables[row.table][row.id] = row
        self.auditor = Auditor({row.key: codec.plain(row) for row in rows})
        self.succeeded: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.tried: dict[str, Counter[str]] = defaultdict(Counter)
        self.due_kinds: Counter[str] = Counter()
        self.log: list[tuple[Instant, list[bytes]]] = []
        self.pause = 0
        self._count = 0
        self._sweep_every = sweep_every

    @property
    def now(self) -> Instant:
        """Business time of the last block."""
        clock: Any = self.tables["clock"].get("chain")
        return self.header_time.plus(0 if clock is None else int(clock.offset_ms))

    def rows(self, kind: type[Any]) -> list[Any]:
        """The committed records of a kind, in the order of their ids."""
        table = self.tables[kind.table]
        return [table[key] for key in sorted(table)]

    def find(self, kind: type[Any], row_id: str) -> Any:
        return self.tables[kind.table].get(row_id)

    def sign(
        self,
        operations: tuple[Operation, ...],
        by: str,
        also: tuple[str, ...] = (),
        keys: tuple[Ed25519, ...] = (),
        **body: Any,
    ) -> bytes:
        """Raw bytes with the signatures that each organisation's policy asks for. `keys` sign besides."""
        self._count += 1
        made = body_bytes(
            body.pop("chain", self.chain.chain_id),
            by,
            body.pop("id", f"t{self._count}"),
            body.pop("not_after", self.now.plus(self.pause + self.rng.choice((DAY_MS, 6 * DAY_MS)))),
            operations,
            also,
            None,
        )
        signers = [key for name in (by, *also) for key in self.signing_keys(name, operations)]
        return envelope.sign(made, *signers, *keys).to_bytes()

    def signing_keys(self, member: str, operations: tuple[Operation, ...]) -> list[Ed25519]:
        """Live keys of `member` that meet its policy for these operations, no more than it asks for."""
        needed = requirement_of(self.state, member, operations)
        live: dict[KeyRole, list[Ed25519]] = defaultdict(list)
        for row in self.state.index_range(f"member_key/{member}/", f"member_key/{member}0"):
            key = self.state.find(row.split("/", 2)[2])
            if isinstance(key, SigningKey) and key.id in self.keys:
                live[key.role].append(self.keys[key.id])
        chosen = [
            *live[KeyRole.MAKER][: needed.makers],
            *live[KeyRole.CHECKER][: needed.checkers],
            *live[KeyRole.ADMIN][: needed.admins],
        ]
        spare = [key for role in KeyRole for key in live[role] if key not in chosen]
        self.rng.shuffle(spare)
        return [*chosen, *spare[: max(needed.total - len(chosen), 0)]]

    def role_holders(self, role: Any) -> list[str]:
        """Admitted organisations that hold a role."""
        return [row.id for row in self.rows(Member) if row.is_admitted and row.has_role(role)]

    def block(self, after_ms: int, raws: list[bytes]) -> list[Outcome]:
        """Run one block `after_ms` later: due work, then the transactions one by one; commit; let the auditor look."""
        self.height += 1
        self.header_time = self.header_time.plus(max(after_ms, 1))
        self.log.append((self.header_time, raws))
        execution = _Watched(
            self.state, self.receipts, self.tree, self.chain, self.roots, self.height, self.header_time
        )
        self._no_faults(execution)
        seen = self._seen(execution, 0, None, "ok", execution.due_events, {})
        self.due_kinds.update(event["kind"] for event in seen.events)
        self.auditor.step(seen)
        outcomes = [self._one(execution, raw) for raw in raws]
        executed = execution.finish()
        self.tree.commit(executed.delta)
        self.roots = executed.roots
        self.state.commit(executed.overlay)
        for key, record in executed.overlay.records.items():
            table, _, row_id = key.partition("/")
            if record is None:
                self.tables[table].pop(row_id, None)
            else:
                self.tables[table][row_id] = record
        if self.height % self._sweep_every == 0:
            self.sweep()
        return outcomes

    def _one(self, execution: _Watched, raw: bytes) -> Outcome:
        transaction = read(raw)
        if isinstance(transaction, Refusal):
            self.statuses[transaction.status.label] += 1
            return Outcome(transaction.status.label, dict(transaction.facts), at_the_door=True)
        body = json.loads(raw)
        names = [operation["op"] for operation in body["body"]["operations"]]
        before = dict(execution.written)
        found = execution.add(transaction)
        self._no_faults(execution)
        changed = {key: row for key, row in execution.written.items() if key not in before or before[key] is not row}
        if isinstance(found, Done):
            label, events = found.status.label, list(json.loads(found.events))
            self.receipts.rows[receipt_key(transaction.body.actor, transaction.body.id)] = found.receipt
            self.auditor.step(self._seen(execution, found.receipt.index, body, label, events, before))
            if label == "ok":
                self.succeeded.update(names)
            outcome = Outcome(label, dict(found.facts), events)
        else:
            label = "repeated" if isinstance(found, Repeated) else found.status.label
            seen = self._seen(execution, 0, body, label, [], before)
            self.auditor.at_the_door(seen)
            facts = dict(found.facts) if isinstance(found, Refusal) else {}
            outcome = Outcome(label, facts, at_the_door=True)
        assert label == "ok" or not changed, (names, label, list(changed))
        self.statuses[label] += 1
        for name in set(names):
            self.tried[name][label] += 1
        return outcome

    def _no_faults(self, execution: _Watched) -> None:
        assert not execution.faults, f"height {self.height}: {execution.faults}"

    def _seen(
        self, execution: _Watched, index: int, body: Row | None, status: str, events: list[Row], before: dict[str, Any]
    ) -> Seen:
        block = execution.block
        after = {
            key: None if row is None else codec.plain(row)
            for key, row in execution.written.items()
            if key not in before or before[key] is not row
        }
        return Seen(block.height, index, int(block.time), block.today.isoformat(), body, status, events, {}, after)

    def sweep(self) -> None:
        """Everything that looks at the whole state; the index rows must be those that the records say."""
        expected = sorted(row for record in self.state.rows.values() for row in record.index_rows())
        assert self.state.index == expected, set(self.state.index) ^ set(expected)
        now = int(self.now)
        seen = Seen(self.height, 0, now, "", {"body": {"operations": []}}, "ok", [])
        self.auditor.sweep(seen, self.state.index)

    def next_due(self) -> Instant | None:
        """When the next due work falls, by business time."""
        found = [int(row.split("/", 3)[2]) for row in self.state.index_range("due/", "due0")]
        coming = [at for at in found if at > self.now]
        return Instant(min(coming)) if coming else None


def _sha(value: str | bytes) -> bytes:
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).digest()
