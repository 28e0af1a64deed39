"""The stage: an open ledger, its organisations by name, and how the story's steps are signed and handed in.

Everything goes through the nodes' sessions and the keys on disk, as the command line does it: each organisation signs
in its own house, and hands in there. Whatever comes out otherwise than the story says ends the demo with the reason.
"""

import datetime
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from tallystick.kernel import machine
from tallystick.kernel.calendar.days import start_of
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Fact
from tallystick.kernel.governance.operations import AdvanceClock
from tallystick.kernel.membership.records import Member
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import Checklist, ChecklistItem, Finding, ReviewResult
from tallystick.node.amounts import grouped
from tallystick.node.home import Home
from tallystick.node.lineage import rows_of
from tallystick.node.session import Committed, Cursor, Outcome, PlacedEvent, Session, Submitted, Unknown
from tallystick.wire.ids import record_id
from tallystick.wire.instants import HOUR_MS, Instant
from tallystick.wire.status import Status
from tools.demo.houses import Houses
from tools.demo.papers import Papers
from tools.demo.telling import Step, Telling

R = TypeVar("R", bound=Record)

GOVERNORS = ("Demo Governor One", "Demo Governor Two")
AUDITORS = ("Demo Auditor One", "Demo Auditor Two", "Demo Auditor Three")
BANK = "Demo Bank"
PLATFORM = "Demo Platform"
PLAN_PLATFORM = "Demo Plan Platform"
ARBITRATOR = "Demo Arbitrator"

BATCH = 100
EVENTS_PAGE = 10_000
MORNING = 9
DUE_WORK_SECONDS = 60.0
PASSED: Checklist = (
    ChecklistItem(item="trade_background", finding=Finding.PASSED),
    ChecklistItem(item="papers_complete", finding=Finding.PASSED),
)


class StoryFault(Exception):
    """The ledger answered otherwise than the story says."""


class Vote(NamedTuple):
    """A review to be approved, and the fingerprints that the reviewers recomputed for it."""

    review: str
    fingerprints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One transaction among many: its operations, who acts (by name), and its id."""

    operations: tuple[Operation, ...]
    by: str
    id: str


class Stage:
    """What the story's steps stand on."""

    def __init__(self, houses: Houses, home: Home, telling: Telling) -> None:
        """`home` is the demo's own: papers that the organisations hand each other, and what it writes at its end."""
        self.houses = houses
        self.home = home
        self.papers = Papers(home)
        self.telling = telling
        self.refusals: list[tuple[str, Status]] = []
        self._count = 0
        self._ids: dict[str, str] = {}

    # Who and what

    @property
    def session(self) -> Session:
        """Where somebody looks who does nothing."""
        return self.houses.at(0)

    def id(self, name: str) -> str:
        """The member that goes by a legal name."""
        if name not in self._ids:
            self._ids = {row.legal_name: row.id for row in self.rows(Member)}
        return self._ids[name]

    def name(self, member: str) -> str:
        """A member's legal name."""
        return self.get(Member, member).legal_name

    def get(self, kind: type[R], row_id: str) -> R:
        """The present record, which must exist."""
        found = self.session.engine.query(f"{kind.table}/{row_id}").record
        if not isinstance(found, kind):
            raise StoryFault(f"there is no {kind.table} {row_id}")
        return found

    def rows(self, kind: type[R]) -> Iterator[R]:
        """All records of a kind."""
        return (row for row in rows_of(self.session.engine, kind.table) if isinstance(row, kind))

    def money(self, units: int, currency: str = "GBP") -> str:
        """`GBP 1,234.50`."""
        return f"{currency} {self.amount(units, currency)}"

    def amount(self, units: int, currency: str) -> str:
        """`1,234.50`."""
        return grouped(units, self.session.lookup.minor_digits(currency))

    def made(self, prefix: str, job: Job, index: int = 0) -> str:
        """The id of the record that an operation of a job makes; it follows from the transaction's id."""
        return record_id(prefix, self.session.engine.chain_id, self.id(job.by), job.id, index)

    def events(self) -> Iterator[PlacedEvent]:
        """All that happened, in order."""
        after, engine = Cursor(), self.session.engine
        while batch := engine.events(after, EVENTS_PAGE):
            yield from batch
            after = batch[-1].cursor

    # Doing

    def next_id(self) -> str:
        """A transaction id of this story."""
        self._count += 1
        return f"demo-{self._count}"

    def job(self, operations: Sequence[Operation], by: str) -> Job:
        """A transaction for `do_all`."""
        return Job(tuple(operations), by, self.next_id())

    def do(self, *operations: Operation, by: str, also: tuple[str, ...] = ()) -> Submitted:
        """One transaction, which must take effect."""
        return self._submit(operations, by, also, Status.OK)

    def refused(self, *operations: Operation, by: str, status: Status, why: str) -> dict[str, Fact]:
        """One transaction that must be refused with `status`; its facts. `why` tells it in the summary."""
        done = self._submit(operations, by, (), status)
        self.refusals.append((why, status))
        return _facts(done.outcome)

    def _submit(self, operations: Sequence[Operation], by: str, also: tuple[str, ...], status: Status) -> Submitted:
        session = self.houses.of(by)
        body = session.body(operations, self.id(by), tuple(self.id(name) for name in also), id=self.next_id())
        done = session.hand_in(self.houses.sign(body, {name: self.id(name) for name in (by, *also)}))
        self._note(done.outcome)
        self._must_be(status, done.outcome, f"{by}: {operations[0].name}")
        return done

    def do_all(self, jobs: Sequence[Job], step: Step) -> None:
        """Many transactions, in order, each of which must take effect."""
        step.expect(len(jobs))
        for start in range(0, len(jobs), BATCH):
            batch = jobs[start : start + BATCH]
            for job, outcome in self._hand_in(batch):
                self._must_be(Status.OK, outcome, f"{job.by}: {job.operations[0].name}")
            step.advance(len(batch))

    def _hand_in(self, batch: Sequence[Job]) -> list[tuple[Job, Outcome]]:
        """Each at its actor's node, all nodes at once."""
        at_node: dict[int, list[tuple[Job, bytes]]] = {}
        for job in batch:
            at_node.setdefault(self.houses.place_of(job.by), []).append((job, self._signed(job)))

        def hand_in(place: int) -> list[tuple[Job, Outcome]]:
            jobs, raws = zip(*at_node[place], strict=True)
            return list(zip(jobs, self.houses.at(place).engine.submit_many(list(raws)), strict=True))

        with ThreadPoolExecutor(len(at_node)) as nodes:
            answered = [one for answers in nodes.map(hand_in, at_node) for one in answers]
        for _, outcome in answered:
            self._note(outcome)
        return answered

    def _signed(self, job: Job) -> bytes:
        body = self.houses.of(job.by).body(job.operations, self.id(job.by), id=job.id)
        return self.houses.sign(body, {job.by: self.id(job.by)}).to_bytes()

    def _note(self, outcome: Outcome) -> None:
        if isinstance(outcome, Committed):
            self.houses.reached(outcome.height)

    @contextmanager
    def working(self, name: str) -> Iterator[Session]:
        """The house of an organisation, for what hands in by itself."""
        session = self.houses.of(name)
        yield session
        self.houses.reached(session.engine.health().height)

    def _must_be(self, status: Status, outcome: Outcome, what: str) -> None:
        found = outcome.status if not isinstance(outcome, Unknown) else None
        if found is not status:
            said = f"{found.label} {_facts(outcome)}" if found is not None else str(outcome)
            raise StoryFault(f"{what}: {status.label} was expected and this came: {said}")

    # Reviewing

    def approve(self, votes: Sequence[Vote], step: Step) -> None:
        """Two of the three auditors approve; which two goes round, batch by batch."""
        jobs: list[Job] = []
        for number, start in enumerate(range(0, len(votes), BATCH)):
            batch = votes[start : start + BATCH]
            pair = (AUDITORS[turn % len(AUDITORS)] for turn in (number, number + 1))
            jobs.extend(self.job([_approval(vote) for vote in batch], auditor) for auditor in pair)
        self.do_all(jobs, step)

    def approve_as(self, reviewer: str, votes: Sequence[Vote], step: Step) -> None:
        """One reviewer approves."""
        batches = (votes[start : start + BATCH] for start in range(0, len(votes), BATCH))
        self.do_all([self.job([_approval(vote) for vote in batch], reviewer) for batch in batches], step)

    def approve_now(self, review: str | None, *fingerprints: str) -> None:
        """Two auditors approve a single review."""
        if review is None:
            raise StoryFault("no review was opened")
        for auditor in AUDITORS[:2]:
            self.do(_approval(Vote(review, fingerprints)), by=auditor)

    def turn_down(self, review: str | None, reason: str) -> None:
        """Two auditors refuse a review."""
        if review is None:
            raise StoryFault("no review was opened")
        for auditor in AUDITORS[:2]:
            self.do(DecideReview(review=review, result=ReviewResult.REFUSE, reason=reason), by=auditor)

    def turn_down_as(self, reviewer: str, review: str | None, reason: str) -> None:
        """One reviewer refuses a review."""
        if review is None:
            raise StoryFault("no review was opened")
        self.do(DecideReview(review=review, result=ReviewResult.REFUSE, reason=reason), by=reviewer)

    # Time

    def today(self) -> datetime.date:
        """The business day."""
        return self.session.today()

    def morning_of(self, day: datetime.date) -> Instant:
        """Nine o'clock of a business day."""
        return start_of(self.session.state, day).plus(MORNING * HOUR_MS)

    def advance_to(self, instant: Instant) -> None:
        """The governors set the sandbox's clock forward, and the work that falls due is waited for."""
        self.do(AdvanceClock(to=instant), by=GOVERNORS[0], also=GOVERNORS[1:])
        give_up = time.monotonic() + DUE_WORK_SECONDS
        while machine.is_due(self.session.state, self.session.now()):
            if time.monotonic() > give_up:
                raise StoryFault(f"work is still due {DUE_WORK_SECONDS:.0f} seconds after the clock was advanced")
            time.sleep(0.02)
            self.session.forget()
        self.houses.come_to_rest()

    def advance_days(self, days: int) -> None:
        """To the morning of the day that is so many days away."""
        self.advance_to(self.morning_of(self.today() + datetime.timedelta(days=days)))


def _approval(vote: Vote) -> DecideReview:
    return DecideReview(
        review=vote.review, result=ReviewResult.APPROVE, checklist=PASSED, fingerprints=vote.fingerprints
    )


def _facts(outcome: Outcome) -> dict[str, Fact]:
    return outcome.facts if not isinstance(outcome, Unknown) else {}
