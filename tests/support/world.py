"""A small consortium in memory, told in the trade's terms: members by name, operations one after another.

`World.do` runs one transaction in one block through the same door and machine as a node (real bytes, real signatures)
and, given a vector's name, holds the step to the committed vector file (`TALLYSTICK_WRITE_VECTORS=1` writes it).
"""

import datetime
import hashlib
from typing import Any

from nacl.signing import SigningKey as Ed25519

from tallystick.kernel import machine
from tallystick.kernel.calendar.days import day_of
from tallystick.kernel.core.events import Event
from tallystick.kernel.core.fields import Position
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Block, Chain
from tallystick.kernel.governance.currencies import CurrencyTerms
from tallystick.kernel.governance.policies import Policies, PolicyBook, PolicyVersion
from tallystick.kernel.machine import Result
from tallystick.kernel.membership.records import (
    KeyRole,
    Member,
    MemberState,
    Permission,
    PermissionGrant,
    Permitted,
    Role,
    RoleGrant,
    SigningKey,
    SizeClass,
    StateEntry,
)
from tallystick.kernel.transaction import Transaction, body_bytes, read
from tallystick.wire import envelope
from tallystick.wire.amounts import MAX_UNITS, Units
from tallystick.wire.ids import record_id
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.keys import to_base64
from tallystick.wire.status import Status
from tests.support.memory import MemoryState
from tests.support.vectors import Vector

CHAIN_ID = "tallystick-test"
START = Instant.parse("2026-03-02T01:00:00.000Z")
GENESIS = Position(0, 0)
CURRENCIES = {"CNY": 2, "GBP": 2, "USD": 2, "JPY": 0, "KWD": 3}


class Signing:
    """Organisations by their ids, with the keys and the names they go by, and the transactions they sign."""

    now: Instant

    def __init__(self) -> None:
        self.keys: dict[str, Ed25519] = {}
        self.names: dict[str, str] = {}
        self._count = 0

    def sign(self, *operations: Operation, by: str, also: tuple[str, ...] = (), **body: Any) -> bytes:
        """Raw bytes of a transaction of `by`, cosigned by `also`. `body` overrides id, not_after, keys, seen."""
        self._count += 1
        extra = body.pop("keys", ())
        made = body_bytes(
            body.pop("chain", CHAIN_ID),
            by,
            body.pop("id", f"t{self._count}"),
            body.pop("not_after", self.now.plus(DAY_MS)),
            operations,
            also,
            body.pop("seen", None),
        )
        assert not body, body
        return envelope.sign(made, *(self.keys[name] for name in (by, *also)), *extra).to_bytes()


class World(Signing):
    """Members, keys, time and a state. `do` asserts the status it expects and returns the result."""

    def __init__(
        self, *, at: Instant = START, sandbox: bool = True, policies: Policies | None = None, **limits: int
    ) -> None:
        super().__init__()
        self.chain = Chain(CHAIN_ID, sandbox=sandbox, tree_depth=2, **limits)
        self.state = MemoryState()
        self.now = at
        self.height = 1
        self.events: list[Event] = []
        always = datetime.date(2000, 1, 1)
        version = PolicyVersion(from_on=always, values=policies or Policies())
        self.put(PolicyBook(id="chain", versions=(version,)))
        self.put(*(CurrencyTerms(id=code, minor_digits=digits, from_on=always) for code, digits in CURRENCIES.items()))

    def member(self, name: str, *roles: Role, currencies: tuple[str, ...] = ("CNY", "GBP"), **fields: Any) -> str:
        """An admitted member with one admin key and, if a client or funder, every permission. Returns its id."""
        member_id = record_id("mbr", CHAIN_ID, "genesis", name, 0)
        key = Ed25519(hashlib.sha256(name.encode()).digest())
        self.keys[member_id] = key
        self.names[member_id] = name
        permissions = tuple(
            PermissionGrant(permission=Permission(may=may, currency=currency, ceiling=Units(MAX_UNITS)), since=GENESIS)
            for may in Permitted
            for currency in currencies
        )
        row: dict[str, Any] = {
            "id": member_id,
            "legal_name": name,
            "identifier": name,
            "identifier_kind": "test",
            "size_class": SizeClass.SMALL,
            "states": (StateEntry(state=MemberState.ADMITTED, since=GENESIS),),
            "roles": tuple(RoleGrant(role=role, since=GENESIS) for role in roles),
            "permissions": permissions,
            "admin_keys": 1,
        }
        self.put(Member(**{**row, **fields}))
        public = to_base64(key.verify_key.encode())
        self.put(SigningKey(id=public, member=member_id, role=KeyRole.ADMIN, since=GENESIS))
        return member_id

    def put(self, *records: Record) -> None:
        """Write rows straight into the committed state, to set a scene."""
        overlay = Overlay(self.state)
        for record in records:
            overlay.put(record)
        self.state.commit(overlay)

    def row(self, kind: type[Any], row_id: str) -> Any:
        """The committed record of a kind, which must exist."""
        found = self.state.rows[f"{kind.table}/{row_id}"]
        assert isinstance(found, kind)
        return found

    def block(self) -> Block:
        """The block that comes next."""
        return Block(self.height, self.now, self.today(), hashlib.sha256(b"%d" % self.height).digest())

    def today(self) -> datetime.date:
        """The day in the business time zone (UTC unless the state holds a zone)."""
        return day_of(self.state, self.now)

    def do(
        self,
        *operations: Operation,
        by: str,
        also: tuple[str, ...] = (),
        expect: Status = Status.OK,
        vector: str = "",
        **body: Any,
    ) -> Result:
        """Sign and run one transaction in a block of its own; the status must be the expected one."""
        result = self.submit(self.sign(*operations, by=by, also=also, **body), vector)
        assert result.status is expect, f"{result.status.label} {result.facts} {result.fault}, expected {expect.label}"
        return result

    def submit(self, raw: bytes, vector: str = "") -> Result:
        """Run raw bytes through read, door and machine, and commit. A refusal at the door is a Result too."""
        transaction = read(raw)
        if isinstance(transaction, Refusal):
            return Result(transaction.status, transaction.facts)
        block = self.block()
        overlay = Overlay(self.state)
        before = dict(self.state.rows)
        self.state.looked_up.clear()
        refusal = machine.door(overlay, self.chain, block, transaction)
        if refusal is not None:
            result = Result(refusal.status, refusal.facts)
        else:
            result = machine.execute(overlay, self.chain, block, 0, transaction)
        if result.status is not Status.OK:
            assert not overlay.records, "a refused transaction changed the state"
        if vector:
            self._vector(vector, transaction, block, before, overlay, result)
        self.state.commit(overlay)
        self.events.extend(result.events)
        self.height += 1
        return result

    def _vector(
        self,
        name: str,
        transaction: Transaction,
        block: Block,
        before: dict[str, Record],
        overlay: Overlay,
        result: Result,
    ) -> None:
        touched = self.state.looked_up | set(overlay.records)
        pre = {key: before[key] for key in sorted(touched) if key in before}
        Vector.of(name, self.names, self.chain, block, pre, transaction, overlay, result).settle()

    def wait(self, milliseconds: int = 0, *, until: Instant | None = None) -> list[Event]:
        """Move business time on and do the due work of one block there."""
        self.now = until if until is not None else self.now.plus(milliseconds)
        overlay = Overlay(self.state)
        events, faults = machine.due_work(overlay, self.chain, self.block())
        assert not faults, faults
        self.state.commit(overlay)
        self.events.extend(events)
        self.height += 1
        return events

    def told(self, member: str) -> list[str]:
        """The kinds of event that `member` was told, in order."""
        return [event.kind for event in self.events if member in event.audience]
