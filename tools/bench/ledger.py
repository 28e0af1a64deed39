"""Throughput of the embedded engine, as a ratio to the raw Ed25519 verify rate of one core in the same run."""

import datetime
import hashlib
import resource
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace
from nacl import bindings

from tallystick.kernel.core import codec
from tallystick.kernel.core.record import Record
from tallystick.kernel.receivables.records import InvoiceUse, Receivable
from tallystick.ledger.engine import Committed, Outcome
from tallystick.ledger.engines.embedded import EmbeddedEngine, settle_collector
from tallystick.ledger.opening import open_ledger, put_tip
from tallystick.ledger.store import Batch, Family, RocksStore
from tallystick.wire import envelope
from tallystick.wire.ids import record_id
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tools.bench.steps import CHAIN_ID, FINANCED, NODE_KEY, PAPER, WHOLE, Consortium, Story

VERIFY_PASSES = 3
PRELOAD_ROWS = 20_000


@dataclass(frozen=True)
class Throughput:
    """Steps a second through the engine, and the verify rate measured around it."""

    steps: int
    seconds: float
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
            _preload(RocksStore(directory), self.consortium, preloaded)
        self.preloaded = preloaded
        self.engine = EmbeddedEngine(RocksStore(directory), NODE_KEY, genesis)
        settle_collector()
        _require(self.engine.submit_many(list(self.consortium.opening())))

    def streams(self, stories: int) -> tuple[list[bytes], bytes, list[bytes]]:
        """Steps before the quotes close, the step that closes them, and the steps after."""
        consortium = self.consortium
        before: list[bytes] = []
        after: list[bytes] = []
        told = consortium.stories(1, stories)
        for stage in consortium.issue_stages():
            before.extend(stage(story) for story in told)
        moving = told[::2]
        if self.preloaded:
            for number, story in enumerate(moving[::2]):
                self._use_preloaded(story, number)
        for stage in consortium.transfer_stages():
            before.extend(stage(story) for story in moving)
        financed = moving[:: max(FINANCED // 2, 1)]
        for stage in consortium.quoting_stages():
            before.extend(stage(story) for story in financed)
        closing = consortium.after_closing()
        for stage in consortium.settling_stages():
            after.extend(stage(story) for story in financed)
        return before, closing, after

    def _use_preloaded(self, story: Story, number: int) -> None:
        """Let half of what is transferred and financed be receivables that were there before, spread over all."""
        chosen = (number * 7_919) % self.preloaded
        story.receivable = preloaded_id(chosen)
        story.parcel = WHOLE
        story.supplier = self.consortium.organisations[f"supplier {chosen % 60}"]
        story.receiver = self.consortium.organisations[f"supplier {(chosen + 1) % 60}"]

    def measure(self, stories: int) -> Throughput:
        """Sign everything beforehand, then time raw bytes in to receipts out."""
        signed_before, signatures_before = self.consortium.signed, self.consortium.signatures
        before, closing, after = self.streams(stories)
        steps = self.consortium.signed - signed_before - 1
        signatures = self.consortium.signatures - signatures_before - 1
        rate = verify_rate(before[:: max(len(before) // 4_000, 1)])
        size = _size(self.directory)
        statuses: Counter[str] = Counter()
        seconds = 0.0
        for stream in (before, after):
            started = time.perf_counter()
            outcomes = self.engine.submit_many(stream)
            seconds += time.perf_counter() - started
            statuses.update(_label(outcome) for outcome in outcomes)
            if stream is before:
                _require([self.engine.submit(closing)])
        rate = max(rate, verify_rate(after[:4_000] or before[:4_000]))
        grown = _size(self.directory) - size
        return Throughput(steps, seconds, rate, signatures / steps, grown / steps, _peak_memory_mb(), dict(statuses))

    def close(self) -> None:
        self.engine.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def preloaded_id(number: int) -> str:
    """The id of a receivable that was put into the state before the engine started."""
    return record_id("rcv", CHAIN_ID, "preloaded", str(number), 0)


def _preload(store: RocksStore, consortium: Consortium, count: int) -> None:
    """Write `count` valid receivables straight into an empty ledger: rows, index and tree, as blocks would."""
    template = _template(store, consortium)
    opened = open_ledger(store, None)
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


def _template(store: RocksStore, consortium: Consortium) -> Receivable:
    """A receivable made valid by real steps, to be multiplied."""
    engine = EmbeddedEngine(store, NODE_KEY, consortium.genesis())
    story = consortium.stories(0, 1)[0]
    _require(engine.submit_many([stage(story) for stage in consortium.issue_stages()]))
    record = engine.query(f"receivable/{story.receivable}").record
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


def _require(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        if not isinstance(outcome, Committed) or outcome.status is not Status.OK:
            raise RuntimeError(f"a step that sets the scene was refused: {outcome}")


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
