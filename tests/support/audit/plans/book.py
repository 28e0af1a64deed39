"""What the auditor remembers of products, plans, disputes and refunds, and the step that it is looking at."""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tests.support.audit.plans.days import instant
from tests.support.audit.plans.model import Deal, Part
from tests.support.audit.seen import Row, Seen, facts

OPEN = ("in_transit", "corrected", "returned")
"""States of a wage line in which money is owed to its worker."""


@dataclass
class Quarrel:
    """A dispute: which amount of which tranche, who may say what about it, and the offer that stands."""

    id: str
    deal: Deal
    number: int
    units: int
    cause: str
    negotiate_until: int | None
    by: str | None = None
    state: str = "open"
    offer: tuple[str, int] | None = None

    @property
    def is_open(self) -> bool:
        return self.state in ("open", "arbitration")


@dataclass
class Ask:
    """A payer's request to have money back."""

    id: str
    deal: Deal
    number: int
    units: int
    deadline: int | None
    state: str = "requested"


@dataclass
class Business:
    """A product: parties, terms, the two copies as they stand, and how far it has come."""

    id: str
    payer: str
    payee: str
    platform: str
    terms: Row
    payee_copy: Row
    payer_copy: Row | None = None
    state: str = "applied"
    authorised: bool = False
    drafts: dict[str, Row] = field(default_factory=dict)
    signed: set[tuple[str, str]] = field(default_factory=set)


@dataclass
class Line:
    """One worker's line of a wage sheet."""

    worker: str
    account: str
    units: int
    state: str = "pending"
    attempt: int = 1


@dataclass
class Sheet:
    """The wage lines of a tranche by number, as far as they came."""

    plan: str
    number: int
    count: int
    units: int
    state: str = "uploading"
    lines: dict[int, Line] = field(default_factory=dict)

    @property
    def owed(self) -> int:
        """What stands in transit."""
        return sum(line.units for line in self.lines.values() if line.state in OPEN)

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        """How many lines are in which state, and what they come to."""
        found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for line in self.lines.values():
            lines, units = found[line.state]
            found[line.state] = (lines + 1, units + line.units)
        return dict(found)

    def settle(self) -> None:
        """Done once nothing is on its way or returned; a line that comes back opens it again."""
        self.state = "released" if any(line.state in OPEN for line in self.lines.values()) else "done"


@dataclass
class Book:
    """All of it."""

    deals: dict[str, Deal] = field(default_factory=dict)
    quarrels: dict[str, Quarrel] = field(default_factory=dict)
    asks: dict[str, Ask] = field(default_factory=dict)
    businesses: dict[str, Business] = field(default_factory=dict)
    sheets: dict[tuple[str, int], Sheet] = field(default_factory=dict)
    successors: dict[str, str] = field(default_factory=dict)

    def now_is(self, member: str) -> str:
        """Who stands in a member's place."""
        while member in self.successors:
            member = self.successors[member]
        return member


@dataclass
class Step:
    """One step under way: what was signed and not told of yet, and money that left escrow and was not explained yet."""

    seen: Seen
    rows: dict[str, Row]
    before: dict[str, Row]
    book: Book
    asked: dict[str, deque[Row]] = field(default_factory=lambda: defaultdict(deque))
    came: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    went: dict[str, list[tuple[str, int, str]]] = field(default_factory=lambda: defaultdict(list))
    award: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    back: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    paid: set[str] = field(default_factory=set)
    long_stop: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for operation in self.seen.operations:
            self.asked[operation["op"]].append(operation)

    @property
    def now(self) -> int:
        return self.seen.now

    @property
    def is_due(self) -> bool:
        return self.seen.envelope is None

    def require(self, holds: bool, rule: str, what: object) -> None:
        self.seen.require(holds, rule, what)

    def broken(self, rule: str, what: object) -> NoReturn:
        self.seen.broken(rule, what)

    def take(self, name: str, event: Row) -> Row:
        """The next operation of this name, which the event tells of."""
        self.require(bool(self.asked[name]), f"what happens was asked for by {name}", event)
        return self.asked[name].popleft()

    def asks(self, *names: str, **fields: Any) -> list[Row]:
        """The operations of this step with one of these names that state `fields`."""
        return [
            operation
            for operation in self.seen.operations
            if operation["op"] in names and all(operation.get(key) == value for key, value in fields.items())
        ]

    def deal(self, event: Row, plan: str | None = None) -> Deal:
        found = self.book.deals.get(plan or event["record"])
        if found is None:
            self.broken("a plan begins with its proposal", event)
        return found

    def part(self, event: Row, deal: Deal) -> tuple[int, Part]:
        number = int(facts(event)["tranche"])
        self.require(1 <= number <= len(deal.parts), "a tranche of the anchored plan", event)
        return number, deal.parts[number - 1]

    def same(self, event: Row, rule: str, **expected: object) -> None:
        """The facts of the event are those that the auditor expects."""
        fact = facts(event)
        for name, value in expected.items():
            found = fact.get(name)
            as_said = int(found) if isinstance(value, int) and isinstance(found, str) else found
            self.require(as_said == value, rule, (event["kind"], event["record"], name, found, value))

    def at(self, event: Row, name: str) -> int | None:
        return instant(facts(event).get(name))


Handler = Callable[[Step, Row], None]
HANDLERS: dict[str, list[Handler]] = {}


def on(*kinds: str) -> Callable[[Handler], Handler]:
    """Say what an event of these kinds means to the model."""

    def register(handler: Handler) -> Handler:
        for kind in kinds:
            HANDLERS.setdefault(kind, []).append(handler)
        return handler

    return register
