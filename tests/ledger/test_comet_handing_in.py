"""Handing transactions to CometBFT: what is said at once, what after a block, and that each is done exactly once.

CometBFT is a fake here: a mempool with its cache, of which the test makes blocks. `tests/conformance` has the real one.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from tallystick.kernel.transaction import Seen, is_wake
from tallystick.ledger.abci.protos import abci_pb2 as abci
from tallystick.ledger.comet.application import LedgerApplication
from tallystick.ledger.comet.packets import is_packet, unpack
from tallystick.ledger.comet.rpc import Broadcast, CometRpc, Entry, RpcUnreachable, SignedHeader
from tallystick.ledger.engine import Committed, Outcome, RefusedAtDoor, Unknown
from tallystick.ledger.engines import cometbft
from tallystick.ledger.engines.cometbft import CometEngine
from tallystick.ledger.store import RocksStore
from tallystick.wire import envelope
from tallystick.wire.instants import DAY_MS, MINUTE_MS
from tallystick.wire.status import Status
from tests.support.comet import NoSnapshots
from tests.support.decided import consortium_genesis
from tests.support.ledger import START, Consortium
from tests.support.members import key_of

BLOCK_MS = 1_000
PATIENCE_SECONDS = 10.0


class FakeComet:
    """A mempool as CometBFT's is (mempool/clist_mempool.go): what it has seen it does not check again."""

    def __init__(self) -> None:
        self.application: LedgerApplication | None = None
        self.is_there = True
        self.says: dict[bytes, Entry] = {}
        self.came: list[bytes] = []
        self.waiting: list[bytes] = []
        self.seen: set[bytes] = set()

    def broadcast(self, raws: list[bytes], *, is_checked: bool = True) -> list[Broadcast]:
        if not self.is_there:
            raise RpcUnreachable("nobody answers")
        self.came.extend(raws)
        return [self._entry(raw) for raw in raws]

    def _entry(self, raw: bytes) -> Broadcast:
        if raw in self.says:
            return Broadcast(self.says[raw], log="as the test says")
        if raw in self.seen:
            return Broadcast(Entry.IN_CACHE)
        assert self.application is not None
        self.seen.add(raw)
        if self.application.check_tx(abci.RequestCheckTx(tx=raw)).code:
            self.seen.discard(raw)
        else:
            self.waiting.append(raw)
        return Broadcast(Entry.PASSED_ON)

    def in_order(self) -> list[bytes]:
        """The transactions that wait, those of packets among them."""
        return [each for raw in self.waiting for each in (unpack(raw) if is_packet(raw) else (raw,))]

    def restart(self) -> None:
        """Start anew: it asks where the application stands, and has forgotten what waited."""
        self.waiting, self.seen = [], set()
        assert self.application is not None
        self.application.started()

    def health(self) -> bool:
        return self.is_there

    def signed_header(self, _height: int) -> SignedHeader | None:
        return None

    def close(self) -> None:
        return


class Node:
    """An engine with its application; the test makes the blocks, a second apart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.comet = FakeComet()
        self.consortium = Consortium()
        self.ahead_ms = 0
        self.open()

    def open(self) -> None:
        store = RocksStore(self.path, cache_bytes=8 << 20)
        self.engine = CometEngine(store, consortium_genesis(), cast(CometRpc, self.comet), self._clock)
        self.comet.application = LedgerApplication(
            self.engine, self.engine, NoSnapshots(), lambda: self._clock() * 1_000_000
        )
        self.engine.start()

    def _clock(self) -> int:
        return START.plus((self.engine.height + 1) * BLOCK_MS + self.ahead_ms)

    def block(self, *raws: bytes, later_ms: int = 0) -> None:
        """A block of what waits in the mempool, or of `raws`."""
        height = self.engine.height + 1
        assert self.comet.application is not None
        asked = abci.RequestPrepareProposal(txs=self.comet.waiting)
        asked.time.FromMilliseconds(self._clock())
        txs = raws or tuple(self.comet.application.prepare_proposal(asked).txs)
        request = abci.RequestFinalizeBlock(txs=txs, height=height, hash=hashlib.sha256(b"%d" % height).digest())
        request.time.FromMilliseconds(START.plus(height * BLOCK_MS + later_ms))
        application = self.comet.application
        results = application.finalize_block(request).tx_results
        self.comet.seen -= {raw for raw, result in zip(txs, results, strict=True) if result.code}
        self.comet.seen |= {raw for raw, result in zip(txs, results, strict=True) if not result.code}
        self.comet.waiting = [raw for raw in self.comet.waiting if raw not in txs]
        application.commit(abci.RequestCommit())
        again = [abci.RequestCheckTx(tx=raw, type=abci.CheckTxType.RECHECK) for raw in self.comet.waiting]
        self.comet.waiting = [one.tx for one in again if not application.check_tx(one).code]

    def hand_in(self, raw: bytes) -> "Answer":
        answer = Answer()
        self.engine.submit_later(raw, answer.take)
        return answer

    def until(self, holds: Callable[[], bool]) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < give_up
            time.sleep(0.005)

    def waits(self, *raws: bytes) -> None:
        """Until exactly these wait in the mempool, in packets or alone."""
        self.until(lambda: self.comet.in_order() == list(raws))


class Answer:
    """What a caller is told, once."""

    def __init__(self) -> None:
        self.told: list[Outcome] = []
        self._came = threading.Event()

    def take(self, outcome: Outcome) -> None:
        self.told.append(outcome)
        self._came.set()

    def outcome(self) -> Outcome:
        assert self._came.wait(PATIENCE_SECONDS), "no answer came"
        (outcome,) = self.told
        return outcome


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    one = Node(tmp_path / "ledger")
    yield one
    one.engine.close()


def body_hash(raw: bytes) -> bytes:
    return envelope.parse(raw).body_hash


def look_too_early(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next look for a receipt find none, as before the block came."""
    find = node.engine._archive.result
    looks: list[bytes] = []

    def result(digest: bytes) -> Committed | None:
        looks.append(digest)
        return find(digest) if len(looks) > 1 else None

    monkeypatch.setattr(node.engine._archive, "result", result)


def test_entry_into_the_mempool_is_no_acknowledgement(node: Node) -> None:
    raw = node.consortium.anchoring("paper")
    answer = node.hand_in(raw)
    node.waits(raw)
    node.engine.query("protocol/chain")
    assert answer.told == []
    node.block()
    assert answer.outcome() == Committed(1, 0, Status.OK) == node.engine.result(body_hash(raw))


def test_after_unknown_the_same_bytes_get_their_receipt(node: Node) -> None:
    raw = node.consortium.anchoring("paper")
    assert isinstance(node.engine.submit(raw, timeout_seconds=0.2), Unknown), "no block came"
    node.block()
    came = list(node.comet.came)
    assert node.engine.submit(raw) == Committed(1, 0, Status.OK)
    assert node.engine.submit_many([raw, raw]) == [Committed(1, 0, Status.OK)] * 2
    assert node.comet.came == came, "what has a receipt is not handed on again"


def test_a_cometbft_that_is_away_is_waited_for(node: Node) -> None:
    early, raw = node.consortium.anchoring("early"), node.consortium.anchoring("paper")
    node.comet.is_there = False
    assert isinstance(node.engine.submit(early, timeout_seconds=0.2), Unknown)
    assert "nobody answers" in node.engine.health().problem
    answer = node.hand_in(raw)
    node.comet.is_there = True
    node.waits(raw)
    assert node.engine.health().problem == ""
    node.block()
    assert answer.outcome() == Committed(1, 0, Status.OK)


def test_a_problem_that_is_over_is_not_told_any_more(node: Node) -> None:
    node.comet.is_there = False
    assert isinstance(node.engine.submit(node.consortium.anchoring("paper"), timeout_seconds=0.2), Unknown)
    assert node.engine.health().problem
    node.comet.is_there = True
    node.until(lambda: node.engine.health().problem == "")


def test_a_cometbft_that_is_behind_is_waited_for(node: Node) -> None:
    raw = node.consortium.anchoring("paper")
    node.comet.says[raw] = Entry.CATCHING_UP
    answer = node.hand_in(raw)
    node.until(lambda: "catches up" in node.engine.health().problem)
    del node.comet.says[raw]
    node.waits(raw)
    node.block()
    assert answer.outcome() == Committed(1, 0, Status.OK)


def test_nobody_waits_for_ever(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cometbft, "WAITING_SECONDS", 0.2)
    node.comet.is_there = False
    assert isinstance(node.hand_in(node.consortium.anchoring("paper")).outcome(), Unknown)
    assert node.engine.health().waiting == 0


def test_what_a_mempool_lost_is_passed_on_again(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cometbft, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(cometbft, "AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(cometbft, "IDLE_SECONDS", 0.05)
    raw = node.consortium.anchoring("paper")
    answer = node.hand_in(raw)
    node.waits(raw)
    node.comet.waiting, node.comet.seen = [], set()  # and nobody is told
    node.waits(raw)
    node.block()
    assert answer.outcome() == Committed(1, 0, Status.OK)


def test_what_came_before_the_block_it_builds_on_is_let_in_after_it(node: Node) -> None:
    """By gossip, from a member that had the block already; nobody waits for it here."""
    block = hashlib.sha256(b"1").hexdigest()
    raw = node.consortium.anchoring("paper", seen=Seen(height=1, block=block))
    assert node.comet.application is not None
    assert node.comet.application.check_tx(abci.RequestCheckTx(tx=raw)).code == Status.SEEN_UNKNOWN.number
    node.block()
    node.waits(raw)
    node.block()
    assert node.engine.transactions(2) == [raw]


def test_what_stays_refused_is_given_up(node: Node) -> None:
    raw = node.consortium.anchoring("paper", seen=Seen(height=1, block="0" * 64))
    assert node.comet.application is not None
    node.comet.application.check_tx(abci.RequestCheckTx(tx=raw))
    for tries in (1, 2):
        node.block()
        node.until(lambda tries=tries: node.comet.came == [raw] * tries)  # type: ignore[misc]
    for _ in range(3):
        node.block()
    node.engine.submit(node.consortium.anchoring("another"), timeout_seconds=0.1)
    assert node.comet.came.count(raw) == 2


def test_what_is_in_the_cache_waits_for_its_block(node: Node) -> None:
    raw = node.consortium.anchoring("paper")
    assert isinstance(node.engine.submit(raw, timeout_seconds=0.2), Unknown)
    again = node.hand_in(raw)
    node.until(lambda: node.comet.came == [raw, raw])
    assert again.told == []
    node.block()
    assert again.outcome() == Committed(1, 0, Status.OK)
    assert node.engine.transactions(1) == [raw]


def test_what_is_in_the_cache_since_it_was_ordered_gets_its_receipt(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block came between the look at the ledger and the answer of CometBFT."""
    raw = node.consortium.anchoring("paper")
    node.block(raw)
    look_too_early(node, monkeypatch)
    assert node.engine.submit(raw) == Committed(1, 0, Status.OK)
    assert node.comet.came == [raw]


def test_what_the_door_knows_already_gets_its_receipt(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, and CometBFT was started anew meanwhile, so that it asks the door again."""
    raw = node.consortium.anchoring("paper")
    node.block(raw)
    node.comet.restart()
    look_too_early(node, monkeypatch)
    assert node.engine.submit(raw) == Committed(1, 0, Status.OK)
    assert node.comet.waiting == []


def test_a_restart_of_the_node_loses_no_receipt(node: Node) -> None:
    ordered, lost = node.consortium.anchoring("ordered"), node.consortium.anchoring("waiting")
    answers = [node.hand_in(ordered)]
    node.waits(ordered)
    answers.append(node.hand_in(lost))
    node.waits(ordered, lost)
    node.comet.waiting.remove(lost)
    node.block()
    node.comet.waiting.append(lost)
    node.engine.close()
    assert answers[0].outcome() == Committed(1, 0, Status.OK)
    assert isinstance(answers[1].outcome(), Unknown)
    node.open()
    assert node.engine.submit(ordered) == Committed(1, 0, Status.OK)
    again = node.hand_in(lost)
    node.until(lambda: node.comet.came[-1:] == [lost])
    node.block()
    assert again.outcome() == Committed(2, 0, Status.OK)


def test_a_cometbft_that_was_started_anew_is_handed_what_waits(node: Node) -> None:
    """Nobody who waits has to ask again; who gave up has to."""
    raws = [node.consortium.anchoring(f"{number}") for number in range(3)]
    assert isinstance(node.engine.submit(raws[0], timeout_seconds=0.2), Unknown)
    answers = [node.hand_in(raw) for raw in raws[1:]]
    node.waits(*raws)
    node.comet.restart()
    node.waits(*raws[1:])
    node.block()
    assert [answer.outcome() for answer in answers] == [Committed(1, 0, Status.OK), Committed(1, 1, Status.OK)]
    again = node.hand_in(raws[0])
    node.waits(raws[0])
    node.block()
    assert again.outcome() == Committed(2, 0, Status.OK)


def test_several_who_hand_in_the_same_bytes_are_all_told(node: Node) -> None:
    raw = node.consortium.anchoring("paper")
    answers = [node.hand_in(raw) for _ in range(3)]
    node.waits(raw)
    node.block()
    assert [answer.outcome() for answer in answers] == [Committed(1, 0, Status.OK)] * 3


def test_who_gave_up_is_not_told(node: Node) -> None:
    raw = node.consortium.anchoring("paper")
    patient = node.hand_in(raw)
    assert isinstance(node.engine.submit(raw, timeout_seconds=0.1), Unknown)
    assert node.engine.health().waiting == 1
    node.waits(raw)
    node.block()
    assert patient.outcome() == Committed(1, 0, Status.OK)
    assert node.engine.health().waiting == 0


def test_a_member_that_another_was_quicker_than_gets_the_same_receipt(node: Node) -> None:
    """The same bytes came through another member, in a block that this one's mempool did not make."""
    raw = node.consortium.anchoring("paper")
    answer = node.hand_in(raw)
    node.waits(raw)
    node.block(node.consortium.anchoring("other"), raw)
    assert answer.outcome() == Committed(1, 1, Status.OK)
    later = node.consortium.anchoring("later")
    node.hand_in(later)
    node.block(raw, later)
    assert node.engine.submit(raw) == Committed(1, 1, Status.OK)


def test_what_the_door_refuses_is_told_at_once(node: Node) -> None:
    unknown = envelope.sign(envelope.parse(node.consortium.anchoring("x")).body, key_of("nobody")).to_bytes()
    early = node.consortium.anchoring("early", not_after=START.plus(30 * DAY_MS))
    for raw, status in ((unknown, Status.KEY_UNKNOWN), (early, Status.NOT_AFTER_TOO_FAR)):
        refused = node.engine.submit(raw)
        assert isinstance(refused, RefusedAtDoor)
        assert refused.status is status
    assert node.engine.health().waiting == 0


def test_what_no_envelope_is_does_not_reach_cometbft(node: Node) -> None:
    for raw, status in ((b"", Status.NOT_CANONICAL), (bytes(envelope.MAX_BYTES + 1), Status.TOO_LARGE)):
        refused = node.engine.submit(raw)
        assert isinstance(refused, RefusedAtDoor)
        assert refused.status is status
    assert node.comet.came == []


def test_what_a_block_turns_away_is_refused_and_may_come_again(node: Node) -> None:
    """It was let in, and expired while it waited."""
    raw = node.consortium.anchoring("late", not_after=START.plus(MINUTE_MS))
    answer = node.hand_in(raw)
    node.waits(raw)
    node.block(later_ms=20 * MINUTE_MS)
    refused = answer.outcome()
    assert isinstance(refused, RefusedAtDoor)
    assert refused.status is Status.EXPIRED
    assert node.engine.result(body_hash(raw)) is None
    assert raw not in node.comet.seen
    again = node.engine.submit(raw)
    assert isinstance(again, RefusedAtDoor)
    assert again.status is Status.EXPIRED


def test_a_refused_transaction_is_final_although_cometbft_would_take_it_again(node: Node) -> None:
    raw = node.consortium.anchoring("x", earlier="doc_0000000000000000")
    answer = node.hand_in(raw)
    node.waits(raw)
    node.block()
    first = answer.outcome()
    assert isinstance(first, Committed)
    assert first.status is Status.NOT_FOUND
    assert raw not in node.comet.seen
    assert node.engine.submit(raw) == first


@pytest.mark.parametrize(
    ("entry", "kind", "status"),
    [
        (Entry.FULL, RefusedAtDoor, Status.BLOCK_FULL),
        (Entry.TOO_LARGE, RefusedAtDoor, Status.TOO_LARGE),
        (Entry.FAILED, Unknown, None),
    ],
)
def test_what_the_mempool_itself_says(node: Node, entry: Entry, kind: type[Outcome], status: Status | None) -> None:
    raw = node.consortium.anchoring("paper")
    node.comet.says[raw] = entry
    outcome = node.engine.submit(raw)
    assert isinstance(outcome, kind)
    assert getattr(outcome, "status", None) is status
    del node.comet.says[raw]
    again = node.hand_in(raw)
    node.waits(raw)
    node.block()
    assert again.outcome() == Committed(1, 0, Status.OK)


def test_a_broken_application_leaves_nobody_waiting(node: Node) -> None:
    done, raw = node.consortium.anchoring("done"), node.consortium.anchoring("paper")
    node.block(done)
    answer = node.hand_in(raw)
    node.waits(raw)
    node.engine.broke(RuntimeError("damaged"))
    assert isinstance(answer.outcome(), Unknown)
    assert node.engine.health().problem == "stopped: RuntimeError: damaged"
    assert isinstance(node.engine.submit(raw), Unknown)
    assert node.engine.submit(done) == Committed(1, 0, Status.OK)


def test_more_than_the_mempool_takes_is_refused(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cometbft, "MAX_WAITING", 2)
    raws = [node.consortium.anchoring(f"{number}") for number in range(3)]
    for raw in raws[:2]:
        node.hand_in(raw)
    refused = node.hand_in(raws[2]).outcome()
    assert isinstance(refused, RefusedAtDoor)
    assert refused.status is Status.BLOCK_FULL


def test_due_work_asks_for_a_block(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cometbft, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(cometbft, "WAKE_SECONDS", 0.2)
    node.block()
    node.block()  # a header states the present app hash
    node.engine.look()
    time.sleep(0.5)
    assert node.comet.came == [], "no work is due"
    monkeypatch.setattr(node.engine, "is_due", lambda: True)
    node.engine.look()
    node.until(lambda: bool(node.comet.came))
    assert all(is_wake(raw) for raw in node.comet.came)
    assert node.comet.waiting == node.comet.came[:1]
