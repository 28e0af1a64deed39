"""A consortium on an engine, told in the same words as `World`: raw signed bytes go in, receipts come out.

Nothing here looks behind the engine's contract: records are queried, events are read from the archive, and who did
something is read from the block itself. So a story runs on any engine that is `Running` (tests/conformance/engines.py).
The scenes of tests/support (receivables, financing, accounts, products, plans) take a `Chain` where they take a
`World`.
"""

import datetime
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tallystick.kernel import machine
from tallystick.kernel.calendar.adopt import PublishedYear
from tallystick.kernel.calendar.days import day_of
from tallystick.kernel.calendar.records import Transition
from tallystick.kernel.core.events import Event
from tallystick.kernel.core.fields import Position
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.record import TABLES, Record, decode_record
from tallystick.kernel.core.refusal import Fact
from tallystick.kernel.genesis import Genesis, GenesisCurrency, GenesisMember, GenesisYear, GenesisZone, member_id
from tallystick.kernel.governance.operations import AdvanceClock
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.governance.records import Engine as Ordering
from tallystick.kernel.governance.records import Validator
from tallystick.kernel.membership.records import Permission, Permitted, Role, SizeClass
from tallystick.kernel.transaction import Transaction, read
from tallystick.ledger.engine import Committed, Cursor, Engine, PlacedEvent, Unknown
from tallystick.node.lineage import rows_of
from tallystick.node.reading import PresentState
from tallystick.wire.amounts import MAX_UNITS, Units
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.conformance.chain import check_proof, until_proven
from tests.conformance.engines import Running
from tests.support.ledger import NODE_KEY
from tests.support.members import key_of, lei, offer, public
from tests.support.world import CHAIN_ID, START, Signing

GOVERNOR = "Governor"
FOUNDERS: dict[str, tuple[Role, ...]] = {
    "Buyer": (Role.CLIENT, Role.CORE_ENTERPRISE),
    "Supplier": (Role.CLIENT,),
    "Maker": (Role.CLIENT,),
    "Funder": (Role.FUNDER,),
    "Rival funder": (Role.FUNDER,),
    "Auditor": (Role.AUDITOR,),
    "Second auditor": (Role.AUDITOR,),
    "Platform": (Role.PLATFORM,),
    "Arbitrator": (Role.ARBITRATOR,),
    "Bank": (Role.CUSTODIAN,),
    "Payer": (Role.CLIENT, Role.CORE_ENTERPRISE),
    "Payee": (Role.CLIENT,),
    "Custodian": (Role.CUSTODIAN,),
    "Verifier one": (Role.VERIFIER,),
    "Verifier two": (Role.VERIFIER,),
    "Verifier three": (Role.VERIFIER,),
    "Data source": (Role.DATA_SOURCE,),
    GOVERNOR: (Role.GOVERNOR,),
}
CURRENCIES = ("CNY", "GBP")
TRADERS = (Role.CLIENT, Role.FUNDER)
EVENTS_PAGE = 1_000
TREE_DEPTH = 2
DUE_WORK_SECONDS = 30.0


def founded(policies: Policies | None = None) -> Genesis:
    """A sandbox genesis with one organisation of each trade; those that trade have every permission."""
    years = (
        GenesisYear(published=PublishedYear(year=year, days_off=()), source="a year without holidays")
        for year in (2026, 2027)
    )
    return Genesis(
        format=1,
        chain_id=CHAIN_ID,
        time=START,
        engine=Ordering.EMBEDDED,
        validators=(Validator(key=public(NODE_KEY), name="node"),),
        zone=GenesisZone(name="UTC", transitions=(Transition(at=Instant(0), offset="+00:00"),)),
        currencies=tuple(GenesisCurrency(currency=code, minor_digits=2) for code in CURRENCIES),
        members=tuple(_founder(name, roles) for name, roles in FOUNDERS.items()),
        policies=policies or Policies(),
        calendars=tuple(years),
        sandbox=True,
        tree_depth=TREE_DEPTH,
    )


def _founder(name: str, roles: tuple[Role, ...]) -> GenesisMember:
    trades = any(role in TRADERS for role in roles)
    permissions = tuple(
        Permission(may=may, currency=currency, ceiling=Units(MAX_UNITS))
        for may in Permitted
        for currency in CURRENCIES
        if trades
    )
    return GenesisMember(
        legal_name=name,
        identifier=lei(name),
        identifier_kind="lei",
        size_class=SizeClass.SMALL,
        keys=(offer(name),),
        roles=roles,
        permissions=permissions,
    )


@dataclass(frozen=True)
class Answer:
    """What came back for a transaction; `place` is None where it was refused at the door."""

    status: Status
    facts: dict[str, Fact]
    place: Committed | None = None
    events: tuple[Event, ...] = ()


class Rows:
    """All records of a ledger, by key, as they are queried."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, key: str) -> Record | None:
        return self._engine.query(key).record

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def values(self) -> Iterator[Record]:
        for table in sorted(TABLES):
            yield from rows_of(self._engine, table)


@dataclass(frozen=True)
class Present:
    """What a story sees of the committed state."""

    rows: Rows


class Chain(Signing):
    """The founders of a chain at work on an engine. `do` asserts the status that it expects."""

    def __init__(self, running: Running, genesis: Genesis) -> None:
        super().__init__()
        self.engine = running.engine
        self.state = Present(Rows(running.engine))
        self._founders = {member.legal_name: (member_id(CHAIN_ID, member), member.roles) for member in genesis.members}
        for name, (member, _) in self._founders.items():
            self.keys[member] = key_of(name)
            self.names[member] = name

    def member(self, name: str, *roles: Role) -> str:
        """The id of the founder of that name, who has exactly these roles."""
        found, has = self._founders[name]
        assert has == roles, f"{name} was founded with other roles"
        return found

    @property
    def now(self) -> Instant:  # type: ignore[override]
        """Business time of the last block."""
        return PresentState(self.engine).now()

    @property
    def height(self) -> int:
        return self.engine.health().height

    def today(self) -> datetime.date:
        """The business day."""
        return day_of(PresentState(self.engine), self.now)

    def do(
        self,
        *operations: Operation,
        by: str,
        also: tuple[str, ...] = (),
        expect: Status = Status.OK,
        vector: str = "",
        **body: Any,
    ) -> Answer:
        """Sign, hand in and wait for the receipt of one transaction; its status must be the expected one.

        No vector is written of it: what scenes of a `World` name one after is a state, and this is a chain.
        """
        del vector
        answer = self.submit(self.sign(*operations, by=by, also=also, **body))
        assert answer.status is expect, f"{answer.status.label} {answer.facts}, expected {expect.label}"
        return answer

    def submit(self, raw: bytes) -> Answer:
        """Hand raw bytes in. What is committed has a receipt, which is asked for again."""
        outcome = self.engine.submit(raw)
        assert not isinstance(outcome, Unknown), outcome
        if not isinstance(outcome, Committed):
            return Answer(outcome.status, outcome.facts)
        transaction = read(raw)
        assert isinstance(transaction, Transaction)
        assert self.engine.result(transaction.body_hash) == outcome
        return Answer(outcome.status, outcome.facts, outcome, tuple(self._events_of(outcome)))

    def row(self, kind: type[Any], row_id: str) -> Any:
        """The record of a kind, which must exist, as the ledger answers it."""
        found = self.engine.query(f"{kind.table}/{row_id}").record
        assert isinstance(found, kind), f"{kind.table}/{row_id}: {found}"
        return found

    def proven(self, key: str) -> Record | None:
        """A record as a stranger sees it: its proof is checked against the header that covers it."""
        proof = until_proven(self.engine, key)
        check_proof(self.engine, proof, TREE_DEPTH)
        return None if proof.value is None else decode_record(key, proof.value)

    def wait(self, milliseconds: int = 0, *, until: Instant | None = None) -> None:
        """The governor sets the sandbox's clock forward, and the work that falls due by it is waited for."""
        to = until if until is not None else self.now.plus(milliseconds)
        self.do(AdvanceClock(to=to), by=self.member(GOVERNOR, Role.GOVERNOR))
        give_up = time.monotonic() + DUE_WORK_SECONDS
        while machine.is_due(PresentState(self.engine), to):
            assert time.monotonic() < give_up, "due work is not done"
            time.sleep(0.01)

    # What the archive tells

    def events(self) -> Iterator[PlacedEvent]:
        """All that happened, in order."""
        after = Cursor()
        while batch := self.engine.events(after, EVENTS_PAGE):
            yield from batch
            after = batch[-1].cursor

    def told(self, member: str) -> list[str]:
        """The kinds of event that `member` was told, in order."""
        return [placed.event.kind for placed in self.events() if member in placed.event.audience]

    def transaction_at(self, position: Position) -> Transaction:
        """What was signed at a place of the ledger, read from the block, signatures checked."""
        transaction = read(self.engine.transactions(position.height)[position.index])
        assert isinstance(transaction, Transaction)
        return transaction

    def done_at(self, position: Position) -> tuple[str, tuple[str, ...]]:
        """Who did what at a place: the acting organisation and its operations' names."""
        transaction = self.transaction_at(position)
        return transaction.body.actor, tuple(operation.name for operation in transaction.operations)

    def _events_of(self, place: Committed) -> Iterator[Event]:
        after = Cursor(place.height, place.index + 1)  # block start has index 0
        for placed in self.engine.events(after, EVENTS_PAGE):
            if (placed.cursor.height, placed.cursor.index) != (place.height, place.index + 1):
                return
            yield placed.event
