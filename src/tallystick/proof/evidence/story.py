"""What the trade's rules look at, and the forms of what a record claims: that somebody asked for it, or that it
happened.

An `Act` is proven by a signed step of the bundle at that place, accepted, with that operation on that record, by those
organisations. A `Told` is proven by an event of that place: nobody need have signed for what the rules themselves bring
about. Where the step is not in the bundle, that is said (`Story.unproven`); where it is another, the claim is refuted.
One of several ways in which the same may have come about (`Either`) is refuted only where all of them are. So a bundle
with fewer steps proves less, and never refutes what a fuller one proves.

A succession puts the successor's name in the place of the member's, throughout its records; so organisations are
compared by who stands in their place at the bundle's height.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tallystick.proof.evidence.bundle import Bundle, Json, Transaction
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.rows import GENESIS, Place, Row
from tallystick.proof.evidence.standing import Signed, Standing
from tallystick.wire.ids import record_id


@dataclass(frozen=True, slots=True)
class Unproven:
    """Something that a record of the bundle claims and the bundle doesn't show; the state alone says so."""

    where: str
    rule: str
    what: str


@dataclass(frozen=True, slots=True)
class Happened:
    """What is known of a place: the step there, if the bundle shows it, and the events told there.

    `is_all`: nothing else can have happened there, neither by a step nor by the block itself.
    """

    signed: Signed | None
    events: tuple[Row, ...]
    is_all: bool = False


@dataclass(slots=True)
class Story:
    """Proven records by key, proven steps and due work by place, and what is found wanting on the way."""

    bundle: Bundle
    records: dict[str, Json]
    standing: Standing
    unproven: list[Unproven] = field(default_factory=list)
    _steps: dict[Place, Happened] = field(default_factory=dict)
    _due: dict[int, tuple[Row, ...]] = field(default_factory=dict)
    _hidden: dict[int, int] = field(default_factory=dict)
    _successors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, bundle: Bundle, records: dict[str, Json], standing: Standing, signed: Iterable[Signed]) -> "Story":
        """The story of a bundle whose parts are proven."""
        story = cls(bundle, records, standing)
        for one, step in zip(bundle.transactions, signed, strict=True):
            story._steps[step.place] = Happened(step, _events(one.events, one.where))
        shown = Counter(one.height for one in bundle.transactions if _is_ordered(one))
        for work in bundle.due_work:
            story._due[work.height] = _events(work.events, f"due work {work.height}")
            story._hidden[work.height] = len(work.digests) - shown[work.height]
        for key, value in records.items():
            if key.startswith("member/") and isinstance(value, dict) and "successor" in value:
                story._successors[key.partition("/")[2]] = Row(value, f"record {key}").text("successor")
        return story

    def row(self, key: str) -> Row | None:
        """The proven record under a key, None where the bundle does not hold it or shows that there is none."""
        value = self.records.get(key)
        return Row(value, f"record {key}") if isinstance(value, dict) else None

    def rows(self, table: str) -> Iterator[Row]:
        """The proven records of a table."""
        for key, value in self.records.items():
            if key.startswith(f"{table}/") and isinstance(value, dict):
                yield Row(value, f"record {key}")

    def accepted(self) -> Iterator[Signed]:
        """Every accepted step of the bundle, in order."""
        for happened in self._steps.values():
            if happened.signed is not None and happened.signed.accepted:
                yield happened.signed

    def steps(self) -> Iterator[tuple[Signed, Row]]:
        """Every operation of an accepted step of the bundle, in order."""
        for signed in self.accepted():
            for operation in signed.operations:
                yield signed, Row(operation, signed.where)

    def at(self, place: Place) -> Happened:
        """What is known of a place; that of index 0 has what the block did by itself, too."""
        height, index = place
        found = self._steps.get(place, Happened(None, ()))
        due = self._due.get(height, ()) if index == 0 else ()
        has_no_step = self._hidden.get(height) == 0  # all steps that were ordered in its block are shown
        is_all = (found.signed is not None or has_no_step) and (index > 0 or height in self._due)
        return Happened(found.signed, (*due, *found.events), is_all)

    def told(self, kind: str, record: str) -> Iterator[Row]:
        """The facts of every event of this kind about a record, by steps and by blocks themselves."""
        steps = (event for happened in self._steps.values() for event in happened.events)
        due = (event for events in self._due.values() for event in events)
        for event in (*steps, *due):
            if event.text("kind") == kind and event.text("record") == record:
                yield event.row("facts") or Row({}, event.where)

    def miss_unless_asked(self, act: "Act", where: str) -> None:
        """Note a step that must have been, at a place that no record names, unless the bundle shows it."""
        if not any(act.holds_in(self, signed) for signed in self.accepted()):
            self.miss(where, act.rule, f"the step of {act.by[-1]} ({act.asks[0]}) is not in the bundle")

    def miss(self, where: str, rule: str, what: str) -> None:
        """Note what the bundle does not show."""
        self.unproven.append(Unproven(where, rule, what))

    def present(self, member: str) -> str:
        """Who stands in a member's place at the bundle's height."""
        for _ in range(len(self._successors) + 1):
            if member not in self._successors:
                return member
            member = self._successors[member]
        raise NotProven("state", "members succeed each other in a circle", f"record member/{member}")

    def is_same(self, one: Json, other: Json) -> bool:
        """Whether two values are the same, members taken for those who stand in their place."""
        if one == other or not self._successors:
            return one == other
        if isinstance(one, str) and isinstance(other, str):
            return self.present(one) == self.present(other)
        if isinstance(one, dict) and isinstance(other, dict):
            return one.keys() == other.keys() and all(self.is_same(one[name], other[name]) for name in one)
        if isinstance(one, list) and isinstance(other, list):
            pairs = zip(one, other, strict=False)
            return len(one) == len(other) and all(self.is_same(first, second) for first, second in pairs)
        return False

    def names(self, members: Iterable[str], member: str) -> bool:
        """Whether `member`, or who stands in its place, is among `members`."""
        return any(self.is_same(one, member) for one in members)


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a claim: proven where there is no `fault`, else refuted; or, not `is_shown`, left open."""

    is_shown: bool = True
    fault: str = ""

    @property
    def is_proven(self) -> bool:
        """Whether the bundle shows it to be so."""
        return self.is_shown and not self.fault

    def settle(self, story: Story, rule: str, where: str) -> None:
        """Note what the bundle doesn't show, or raise NotProven."""
        if not self.is_shown:
            story.miss(where, rule, self.fault)
        elif self.fault:
            raise NotProven(rule, self.fault, where)


PROVEN = Finding()


@dataclass(frozen=True, slots=True)
class Act:
    """A record's claim that at `at` the organisations `by` asked for this by one of `asks`.

    `says` is what the operation must say, field by field (None: leaves out); `lists` what must stand in a list of it;
    `creates` the id of the record that the step made by it. With `holding`, one who signed held that role there.
    """

    rule: str
    at: Place | None
    asks: tuple[str, ...]
    by: tuple[str, ...] = ()
    says: Mapping[str, Json] = field(default_factory=dict)
    creates: str = ""
    holding: str = ""
    lists: Mapping[str, Json] = field(default_factory=dict)

    def look(self, story: Story) -> Finding:
        """Whether the bundle shows it."""
        if self.at is None:
            return PROVEN
        if self.at == GENESIS:
            return Finding(fault="nobody asked for it: it claims to stand since the genesis")
        happened = story.at(self.at)
        if happened.signed is None:
            if happened.is_all:
                return Finding(fault=f"there is no step {_at(self.at)}")
            return Finding(is_shown=False, fault=f"the step {_at(self.at)} is not in the bundle")
        fault = self._fault(story, happened.signed)
        return Finding(fault=f"{fault} in the step {_at(self.at)}") if fault else PROVEN

    def holds_in(self, story: Story, signed: Signed) -> bool:
        """Whether this step is the one."""
        return not self._fault(story, signed)

    def is_asked_by(self, story: Story, signed: Signed, operation: Row) -> bool:
        """Whether this operation of an accepted step asks for it, in the name of those who must."""
        if operation.get("op") not in self.asks or not all(story.names(signed.organisations, name) for name in self.by):
            return False
        return all(story.is_same(operation.get(name), value) for name, value in self.says.items())

    def _fault(self, story: Story, signed: Signed) -> str:
        if not signed.accepted:
            return "nothing took effect"
        for name in self.by:
            if not story.names(signed.organisations, name):
                return f"{name} did not sign"
        held = (story.standing.held_role(one, self.holding, signed.place) for one in signed.organisations)
        if self.holding and not any(held):
            return f"nobody signed who was {self.holding}"
        if not any(self._is_asked_by(story, signed, number) for number in range(len(signed.operations))):
            return f"nobody asked for it ({' or '.join(self.asks)})"
        return ""

    def _is_asked_by(self, story: Story, signed: Signed, number: int) -> bool:
        operation = signed.operations[number]
        if operation.get("op") not in self.asks:
            return False
        if self.creates:
            origin = (str(signed.body.get("chain")), str(signed.body.get("actor")), str(signed.body.get("id")))
            if record_id(self.creates[:3], *origin, number) != self.creates:
                return False
        if not all(_is_listed(story, operation.get(name), value) for name, value in self.lists.items()):
            return False
        return all(story.is_same(operation.get(name), value) for name, value in self.says.items())


def _is_listed(story: Story, listed: Json, value: Json) -> bool:
    return isinstance(listed, list) and any(story.is_same(one, value) for one in listed)


@dataclass(frozen=True, slots=True)
class Told:
    """A record's claim that at `at` one of `kinds` happened to the record `about` (to any, where it names none).

    The event has these `facts`, and among its facts the value `naming`, where one is given. `by_step`: only what an
    organisation signs brings it about, never a block's own work.
    """

    rule: str
    at: Place | None
    kinds: tuple[str, ...]
    about: str
    facts: Mapping[str, Json] = field(default_factory=dict)
    naming: str = ""
    by_step: bool = False

    def look(self, story: Story) -> Finding:
        """Whether the bundle shows it."""
        if self.at is None or any(self._is_told_by(story, event) for event in story.at(self.at).events):
            return PROVEN
        if self.at == GENESIS:
            return Finding(fault="it claims to have happened in the genesis")
        happened = story.at(self.at)
        if not happened.is_all and not (self.by_step and happened.signed is not None):
            return Finding(is_shown=False, fault=f"what happened {_at(self.at)} is not in the bundle")
        return Finding(fault=f"{' or '.join(self.kinds)} is not among what happened {_at(self.at)}")

    def _is_told_by(self, story: Story, event: Row) -> bool:
        if event.text("kind") not in self.kinds or (self.about and event.text("record") != self.about):
            return False
        facts = event.row("facts") or Row({}, event.where)
        if self.naming and self.naming not in facts.value.values():
            return False
        return all(story.is_same(facts.get(name), said) for name, said in self.facts.items())


@dataclass(frozen=True, slots=True)
class Either:
    """A record's claim that it came about in one of several ways."""

    rule: str
    ways: tuple[Act | Told, ...]

    def look(self, story: Story) -> Finding:
        """Whether the bundle shows one of them."""
        findings = [way.look(story) for way in self.ways]
        found = next((one for one in findings if one.is_proven), None)
        found = found or next((one for one in findings if not one.is_shown), None)
        return found or Finding(fault="; ".join(dict.fromkeys(one.fault for one in findings)))


Claim: TypeAlias = Act | Told | Either
Claims: TypeAlias = Callable[[Row, Story], Iterator[Claim]]
"""What the places of a record claim."""
Check: TypeAlias = Callable[[Row, Story], None]
"""What holds in a record besides. Raises NotProven."""


def pick(row: Row, *names: str) -> dict[str, Json]:
    """What an operation must say as the record does: the fields of these names; left out where the record does."""
    return {name: row.get(name) for name in names}


def _is_ordered(one: Transaction) -> bool:
    """Whether it has a receipt: what a decided block holds and the door turned away has none (ADR 0010)."""
    return isinstance(one.data, dict) and "at_door" not in one.data


def _at(place: Place) -> str:
    return f"at {place[0]}/{place[1]}"


def _events(value: Json, where: str) -> tuple[Row, ...]:
    return Row({"events": value}, where).rows("events")
