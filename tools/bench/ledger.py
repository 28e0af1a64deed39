"""Throughput of the embedded engine, as a ratio to the raw Ed25519 verify rate of one core in the same run."""

import datetime
import hashlib
import itertools
import resource
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from msgspec.structs import replace
from nacl import bindings

from tallystick.kernel.core import codec
from tallystick.kernel.core.record import Queue, Record
from tallystick.kernel.receivables.records import InvoiceUse, Receivable
from tallystick.ledger.engine import Committed, Outcome
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.opening import open_ledger, put_tip
from tallystick.ledger.process import settle_collector
from tallystick.ledger.store import Batch, Family, RocksStore
from tallystick.node.reading import PresentState
from tallystick.wire import envelope
from tallystick.wire.ids import record_id
from tallystick.wire.instants import Instant
from tools.bench.plan_steps import Plans
from tools.bench.steps import CHAIN_ID, FINANCED, NODE_KEY, PAPER, WHOLE, Consortium, Story, committed

VERIFY_PASSES = 3
PRELOAD_ROWS = 20_000
POLL_SECONDS = 0.02
NEVER = 1 << 53
S = TypeVar("S")


@dataclass(frozen=True)
class Throughput:
    """Steps a second through the engine, and the verify rate measured around it."""

    steps: int
    seconds: float
    cpu_seconds: float
    verify_per_second: float
    signatures_per_step: float
    bytes_per_step: float
    peak_memory_mb: float
    statuses: dict[str, int]

    @property
    def steps_per_second(self) -> float:
        return self.steps / self.seconds

    @property
    def ratio(self) -> float:
        return self.steps_per_second / self.verify_per_second

    @property
    def cpu_us_per_step(self) -> float:
        """Processor time of the writer's process; the verification process comes on top."""
        return self.cpu_seconds / self.steps * 1e6


class Stage(NamedTuple):
    """Signed steps of one kind; what only moves the clock is not timed."""

    kind: str
    raws: list[bytes]
    timed: bool = True


class Spent(NamedTuple):
    """Time on the wall, and of this process's processors."""

    seconds: float
    cpu_seconds: float


def _signed(named: Sequence[tuple[str, Callable[[S], bytes]]], subjects: Sequence[S]) -> Iterator[Stage]:
    for kind, sign in named:
        yield Stage(kind, [sign(subject) for subject in subjects])


def verify_rate(raws: list[bytes]) -> float:
    """Signatures verified a second by PyNaCl on one core, over real steps; the best of a few passes."""
    signed: list[tuple[bytes, bytes]] = []
    for raw in raws:
        parsed = envelope.parse(raw)
        message = envelope.SIGNING_DOMAIN + parsed.body
        signed.extend((one.signature + message, one.key) for one in parsed.signatures)
    best = 0.0
    for _ in range(VERIFY_PASSES):
        started = time.perf_counter()
        for message, key in signed:
            bindings.crypto_sign_open(message, key)
        best = max(best, len(signed) / (time.perf_counter() - started))
    return best


def now() -> tuple[Instant, datetime.date]:
    """This machine's time; a benchmark runs on the real clock."""
    instant = Instant(time.time_ns() // 1_000_000)
    return instant, datetime.datetime.fromtimestamp(instant / 1000, datetime.UTC).date()


class Run:
    """One engine in a directory of its own, with a consortium and, where asked, receivables already in the state."""

    def __init__(self, directory: Path, preloaded: int) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        self.directory = directory
        self.consortium = Consortium(*now())
        genesis = self.consortium.genesis()
        if preloaded:
            _preload(directory, self.consortium, preloaded)
        self.preloaded = preloaded
        self.engine = EmbeddedEngine(RocksStore(directory), NODE_KEY, genesis)
        settle_collector()
        self.plans = Plans(self.consortium)
        committed(self.engine.submit_many(list(self.consortium.opening())))
        committed(self.engine.submit_many(list(self.plans.opening())))

    def stages(self, stories: int, plans: int = 0) -> Iterator[Stage]:
        """The steps of so many receivables and plans, stage by stage, each stage signed when it is asked for."""
        consortium = self.consortium
        told = consortium.stories(1, stories)
        moving = told[::2]
        if self.preloaded:
            for number, story in enumerate(moving[::2]):
                self._use_preloaded(story, number)
        financed = moving[:: max(FINANCED // 2, 1)]
        agreed = self.plans.stories(plans)
        for subjects, named in (
            (told, consortium.issue_stages()),
            (moving, consortium.transfer_stages()),
            (financed, consortium.quoting_stages()),
        ):
            yield from _signed(named, subjects)
        yield from _signed(self.plans.stages() if plans else (), agreed)
        yield Stage("clock.advance", [consortium.after_closing()], timed=False)
        yield from _signed(consortium.settling_stages(), financed)
        if plans:
            yield Stage("clock.advance", [self.plans.waiting()], timed=False)
            yield from _signed(self.plans.releasing_stages(), agreed)

    def _use_preloaded(self, story: Story, number: int) -> None:
        """Let half of what is transferred and financed be receivables that were there before, spread over all."""
        chosen = (number * 7_919) % self.preloaded
        story.receivable = preloaded_id(chosen)
        story.parcel = WHOLE
        story.supplier = self.consortium.organisations[f"supplier {chosen % 60}"]
        story.receiver = self.consortium.organisations[f"supplier {(chosen + 1) % 60}"]

    def measure(self, stories: int, plans: int = 0) -> Throughput:
        """Sign everything beforehand, then time raw bytes in to receipts out."""
        signed_before, signatures_before = self.consortium.signed, self.consortium.signatures
        stages = list(self.stages(stories, plans))
        clocks = sum(not stage.timed for stage in stages)
        steps = self.consortium.signed - signed_before - clocks
        signatures = self.consortium.signatures - signatures_before - clocks
        streams = [
            (timed, [raw for stage in group for raw in stage.raws])
            for timed, group in itertools.groupby(stages, lambda stage: stage.timed)
        ]
        sample = streams[0][1]
        rate = verify_rate(sample[:: max(len(sample) // 4_000, 1)])
        size = _size(self.directory)
        statuses: Counter[str] = Counter()
        taken = [self.hand_in(raws, statuses) if timed else self.pass_time(raws) for timed, raws in streams]
        rate = max(rate, verify_rate(streams[-1][1][:4_000]))
        grown = _size(self.directory) - size
        timed_only = [spent for spent, (timed, _) in zip(taken, streams, strict=True) if timed]
        return Throughput(
            steps,
            sum(spent.seconds for spent in timed_only),
            sum(spent.cpu_seconds for spent in timed_only),
            rate,
            signatures / steps,
            grown / steps,
            _peak_memory_mb(),
            dict(statuses),
        )

    def hand_in(self, raws: list[bytes], statuses: Counter[str]) -> Spent:
        """Raw bytes in to receipts out."""
        started, burnt = time.perf_counter(), time.process_time()
        outcomes = self.engine.submit_many(raws)
        spent = Spent(time.perf_counter() - started, time.process_time() - burnt)
        statuses.update(_label(outcome) for outcome in outcomes)
        return spent

    def pass_time(self, raws: list[bytes]) -> Spent:
        """Move the sandbox's clock and wait until the work that falls due by it is done, which is what is timed."""
        committed(self.engine.submit_many(raws))
        now = PresentState(self.engine).now()
        started, burnt = time.perf_counter(), time.process_time()
        while any(self._first_due(queue) <= now for queue in Queue):
            time.sleep(POLL_SECONDS)
        return Spent(time.perf_counter() - started, time.process_time() - burnt)

    def _first_due(self, queue: Queue) -> int:
        """When the first row of a queue is due."""
        rows = self.engine.labelled(f"due/{queue:d}", 1)
        return int(rows[0].partition("/")[0]) if rows else NEVER

    def close(self) -> None:
        self.engine.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def preloaded_id(number: int) -> str:
    """The id of a receivable that was put into the state before the engine started."""
    return record_id("rcv", CHAIN_ID, "preloaded", str(number), 0)


def _preload(directory: Path, consortium: Consortium, count: int) -> None:
    """Write `count` valid receivables straight into an empty ledger: rows, index and tree, as blocks would."""
    template = _template(directory.with_name(f"{directory.name}-template"), consortium)
    store = RocksStore(directory)
    opened = open_ledger(store, consortium.genesis())
    for first in range(0, count, PRELOAD_ROWS):
        batch = Batch()
        changes: list[tuple[bytes, bytes | None]] = []
        for number in range(first, min(first + PRELOAD_ROWS, count)):
            record = _variant(template, consortium, number)
            name = record.key.encode()
            stored = hashlib.sha256(b"preload" + name).digest() + codec.encode(record)
            batch.put(Family.STATE, name, stored)
            changes.append((hashlib.sha256(name).digest(), hashlib.sha256(stored).digest()))
            for row in record.index_rows():
                batch.put(Family.INDEX, row.encode(), b"")
        delta = opened.tree.prepare(changes)
        opened.tree.commit(delta)
        for bucket, listing in delta.buckets.items():
            batch.put(Family.TREE, bucket.to_bytes(4, "big"), listing)
        put_tip(batch, replace(opened.tip, state_root=delta.root))
        store.write(batch)
    store.close()


def _template(directory: Path, consortium: Consortium) -> Receivable:
    """A receivable made valid by real steps on a ledger of its own, to be multiplied."""
    shutil.rmtree(directory, ignore_errors=True)
    engine = EmbeddedEngine(RocksStore(directory), NODE_KEY, consortium.genesis())
    story = consortium.stories(0, 1)[0]
    committed(engine.submit_many([sign(story) for _, sign in consortium.issue_stages()]))
    record = engine.query(f"receivable/{story.receivable}").record
    engine.close()
    shutil.rmtree(directory)
    if not isinstance(record, Receivable):
        raise TypeError("the template is no receivable")
    return record


def _variant(template: Receivable, consortium: Consortium, number: int) -> Record:
    supplier = consortium.organisations[f"supplier {number % 60}"].id
    use = InvoiceUse(
        fingerprint=hashlib.sha256(b"preloaded %d" % number).hexdigest(), amount=template.face, total=template.face
    )
    parcel = replace(template.parcels[0], holder=supplier, origin=preloaded_id(number))
    return replace(
        template,
        id=preloaded_id(number),
        debtor=consortium.organisations[f"debtor {number % 20}"].id,
        creditor=supplier,
        requester=supplier,
        invoices=(use,),
        contracts=(PAPER,),
        parcels=(parcel,),
    )


def _label(outcome: Outcome) -> str:
    if isinstance(outcome, Committed):
        return outcome.status.label
    return f"not committed: {outcome}"


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
