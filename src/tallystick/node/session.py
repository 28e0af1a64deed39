"""A session with one ledger: what the command line, and anything else on this machine, does with it.

    with open_home(Path("var/demo"), Passphrases(("secret",))) as session:
        done = session.submit((ConfirmReceivable(...),), actor="mbr_...")

The engine is the running node's where one answers on the home's socket, else the embedded engine in this process.
"""

import datetime
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from nacl.signing import SigningKey

from tallystick.kernel import machine
from tallystick.kernel.calendar.days import day_of
from tallystick.kernel.chain_rows import Clock
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Block, Chain, Step
from tallystick.kernel.genesis import chain_of
from tallystick.kernel.governance.operations import CLOCK_ADVANCED
from tallystick.kernel.machine import Result
from tallystick.kernel.transaction import Transaction, body_bytes, read_checked
from tallystick.ledger.engine import Committed, Cursor, Engine, Outcome, PlacedEvent, RefusedAtDoor, Unknown
from tallystick.ledger.engines.reading import READING_ONLY
from tallystick.ledger.invariants import CHECKS, Checked, audit
from tallystick.ledger.process import wall_clock_ms
from tallystick.node.composition import open_engine, read_genesis
from tallystick.node.home import Home, write_private
from tallystick.node.key_store import Passphrases, StoredKey, stored_keys
from tallystick.node.lookup import Lookup
from tallystick.node.reading import PresentState, first_kept
from tallystick.node.signing import Signatories
from tallystick.wire.envelope import Envelope, sign
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status

__all__ = [
    "Committed",
    "Cursor",
    "DryRun",
    "Outcome",
    "PlacedEvent",
    "RefusedAtDoor",
    "Session",
    "Submitted",
    "Unknown",
    "clock_offsets",
    "decode_body",
    "open_home",
]

EVENTS_PAGE = 10_000
UNKNOWN_TRIES = 3
USUAL_VALIDITY_MS = DAY_MS


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of one transaction. `events` are those of its own step, in order."""

    actor: str
    transaction_id: str
    envelope: Envelope
    outcome: Outcome
    events: list[PlacedEvent] = field(default_factory=list)
    kept_in: Path | None = None

    @property
    def is_done(self) -> bool:
        """Whether it took effect."""
        return isinstance(self.outcome, Committed) and self.outcome.status is Status.OK

    @property
    def records(self) -> list[str]:
        """The records that its events are about, each once."""
        return list(dict.fromkeys(placed.event.record for placed in self.events))


@dataclass(frozen=True, slots=True)
class DryRun:
    """What the kernel would answer to a transaction on top of the present state, if it came next."""

    body: bytes
    result: Result


class Session:
    """One open ledger with the keys of this machine."""

    def __init__(self, home: Home, engine: Engine, passphrases: Passphrases) -> None:
        self.home = home
        self.engine = engine
        self.passphrases = passphrases
        self.keys: tuple[StoredKey, ...] = tuple(stored_keys(home.keys))
        self.state = PresentState(engine)
        self.lookup = Lookup(engine, self.state, self.keys)
        self.signatories = Signatories(self.state, self.lookup, self.keys, passphrases)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the engine; an embedded one finishes what was handed in."""
        self.engine.close()

    rules = tuple(CHECKS)
    """What `audit` holds the ledger to, by name, in order."""

    def audit(self) -> Iterator[Checked]:
        """Check the whole ledger, rule after rule; the first that is broken is the last that is given."""
        return audit(self.engine)

    def now(self) -> Instant:
        """Business time as the next block would have it: this machine's clock, moved by a sandbox's offset."""
        last = self.engine.health().time
        clock = self.state.find("clock/chain")
        offset = clock.offset_ms if isinstance(clock, Clock) else 0
        return Instant(max(wall_clock_ms(), int(last) + 1)).plus(offset)

    def forget(self) -> None:
        """Read members, clock and keys anew, as something changed them."""
        self.state.forget()
        self.lookup.forget()

    def reread_keys(self) -> None:
        """Take in keys that were made since the session was opened."""
        self.keys = tuple(stored_keys(self.home.keys))
        self.lookup = Lookup(self.engine, self.state, self.keys)
        self.signatories = Signatories(self.state, self.lookup, self.keys, self.passphrases)

    def body(
        self,
        operations: Sequence[Operation],
        actor: str,
        cosigners: Sequence[str] = (),
        id: str = "",
        not_after: Instant | None = None,
    ) -> bytes:
        """Canonical bytes of a transaction's body: a fresh random id and a day's validity where none are given."""
        return body_bytes(
            self.engine.chain_id,
            actor,
            id or f"tally-{secrets.token_hex(12)}",
            self.now().plus(USUAL_VALIDITY_MS) if not_after is None else not_after,
            tuple(operations),
            tuple(cosigners),
        )

    def sign(
        self,
        body: bytes,
        organisations: Sequence[str] = (),
        keys: Sequence[SigningKey] = (),
        named: tuple[str, ...] = (),
    ) -> Envelope:
        """`body` signed by `keys`, else by what each of `organisations` needs for it and by the keys it introduces."""
        if keys:
            return sign(body, *keys)
        operations = decode_body(body).operations
        chosen = [key for name in organisations for key in self.signatories.keys_for(name, operations, named)]
        return sign(body, *chosen, *self.signatories.introduced(operations))

    def submit(
        self,
        operations: Sequence[Operation],
        actor: str,
        cosigners: Sequence[str] = (),
        keys: Sequence[SigningKey] = (),
        id: str = "",
        not_after: Instant | None = None,
    ) -> Submitted:
        """Build, sign and submit one transaction, and wait for what becomes of it."""
        body = self.body(operations, actor, cosigners, id, not_after)
        return self.hand_in(self.sign(body, (actor, *cosigners), keys))

    def hand_in(self, envelope: Envelope) -> Submitted:
        """Submit a signed transaction. While its outcome is unknown the same bytes are handed in again, then kept."""
        raw = envelope.to_bytes()
        outcome: Outcome = Unknown("not handed in")
        for _ in range(UNKNOWN_TRIES):
            outcome = self.engine.submit(raw)
            if not isinstance(outcome, Unknown):
                break
        self.forget()
        transaction = read_checked(raw)
        actor, transaction_id = transaction.body.actor, transaction.body.id
        if isinstance(outcome, Unknown):
            kept = self.home.unsettled / f"{envelope.body_hash.hex()}.json"
            write_private(kept, raw, replace=True)
            return Submitted(actor, transaction_id, envelope, outcome, kept_in=kept)
        events = self.events_of(outcome) if isinstance(outcome, Committed) else []
        return Submitted(actor, transaction_id, envelope, outcome, events)

    def events_of(self, place: Committed) -> list[PlacedEvent]:
        """The events of one ordered transaction."""
        index = place.index + 1  # block start has index 0
        found = []
        after = Cursor(place.height, index)
        while batch := self.engine.events(after, 1_000):
            own = [placed for placed in batch if (placed.cursor.height, placed.cursor.index) == (place.height, index)]
            found.extend(own)
            if len(own) < len(batch) or len(batch) < 1_000:
                break
            after = batch[-1].cursor
        return found

    @property
    def only_looks(self) -> bool:
        """Whether this process opened the ledger without a key, to look at it."""
        return self.engine.health().problem == READING_ONLY

    @property
    def due_work_waits(self) -> bool:
        """Whether work is due that only whoever signs blocks can do: the ledger shows the state before it."""
        return self.only_looks and machine.is_due(self.state, self.now())

    def dry_run(self, body: bytes) -> DryRun:
        """Run a body through the kernel over the present state and throw the result away. No key is needed."""
        result = machine.execute(Overlay(self.state), self._chain(), self._next_block(), 0, decode_body(body))
        return DryRun(body, result)

    def reading_step(self) -> Step:
        """A step over the present state that writes nothing, for the kernel's own questions (rankings, policies)."""
        return Step(self._chain(), self._next_block(), Overlay(self.state), 0, ("", ""), ())

    def today(self) -> datetime.date:
        """The business day that the next block would fall on."""
        return day_of(self.state, self.now())

    def _chain(self) -> Chain:
        return replace(chain_of(read_genesis(self.home)), chain_id=self.engine.chain_id)

    def _next_block(self) -> Block:
        now = self.now()
        return Block(self.engine.health().height + 1, now, day_of(self.state, now), bytes(32))


def clock_offsets(engine: Engine, state: PresentState) -> list[tuple[int, int]]:
    """Heights at which a sandbox's clock was set forward, and its offset in milliseconds after each."""
    clock = state.find("clock/chain")
    if not isinstance(clock, Clock) or not clock.offset_ms:
        return []
    found: list[tuple[int, int]] = []
    after = first_kept(engine)
    while batch := engine.events(after, EVENTS_PAGE):
        found.extend(
            (placed.cursor.height, int(Instant.parse(placed.event.facts["to"])) - int(placed.time))
            for placed in batch
            if placed.event.kind == CLOCK_ADVANCED.name
        )
        after = batch[-1].cursor
        if len(batch) < EVENTS_PAGE:
            break
    return found


def decode_body(body: bytes) -> Transaction:
    """The typed transaction of a body that nobody has signed yet."""
    return read_checked(b'{"body":' + body + b',"signatures":[]}')


def open_home(path: Path, passphrases: Passphrases | None = None, *, reading: bool = False) -> Session:
    """Open the ledger whose home is `path`; for `reading` no key is needed, and nothing can be handed in.

    Raises `DecodeError` (no ledger, locked, damaged, wrong passphrase).
    """
    home = Home(path)
    opening = passphrases or Passphrases(tuple(filter(None, (home.read_passphrase(),))))
    return Session(home, open_engine(home, opening, reading=reading), opening)
