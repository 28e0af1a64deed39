"""The application that CometBFT drives, asked by the test: what changes nothing, and what a decided block does."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.transaction import wake_bytes
from tallystick.ledger.abci.protos import abci_pb2 as abci
from tallystick.ledger.comet import decided
from tallystick.ledger.comet.application import ASK_AGAIN, NOT_FOUND, STALE_NS, LedgerApplication
from tallystick.ledger.comet.decided import DecidedLedger, Executed
from tallystick.ledger.engine import Committed
from tallystick.ledger.store import Family, RocksStore
from tallystick.proof.state_proof import TreeProof, key_hash, proof_holds, value_hash
from tallystick.wire import envelope
from tallystick.wire.errors import DecodeError, InvariantViolation
from tallystick.wire.instants import DAY_MS, MINUTE_MS, Instant
from tallystick.wire.keys import KEY_BYTES, from_base64
from tallystick.wire.status import Status
from tests.support.comet import NoSnapshots
from tests.support.decided import consortium_genesis
from tests.support.ledger import START, Consortium
from tests.support.members import key_of

NS_PER_MS = 1_000_000
BLOCK_MS = 1_000
ACCEPT = abci.ResponseProcessProposal.ACCEPT
REJECT = abci.ResponseProcessProposal.REJECT


class Watching:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.turned_down: list[tuple[bytes, Status]] = []
        self.blocks: list[Executed] = []

    def started(self) -> None:
        return

    def refused(self, raw: bytes, refusal: Refusal) -> None:
        self.turned_down.append((raw, refusal.status))

    def turned_back(self, raws: list[bytes]) -> None:
        return

    def committed(self, executed: Executed) -> None:
        self.blocks.append(executed)


class Member:
    """One member's ledger and application. Block `height` is dated `height` seconds after the genesis."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.consortium = Consortium()
        self.watching = Watching()
        self.open()

    def open(self) -> None:
        self.store = RocksStore(self.path, cache_bytes=8 << 20, statistics=True)
        self.ledger = DecidedLedger(self.store, consortium_genesis(), lambda: time_of(self.ledger.height + 1))
        self.wall_clock_ns = time_of(1) * NS_PER_MS
        self.application = LedgerApplication(self.ledger, self.watching, NoSnapshots(), lambda: self.wall_clock_ns)

    def restart(self) -> None:
        self.store.close()
        self.open()

    def check(self, raw: bytes, kind: abci.CheckTxType = abci.CheckTxType.NEW) -> int:
        code: int = self.application.check_tx(abci.RequestCheckTx(tx=raw, type=kind)).code
        return code

    def finalize(self, *raws: bytes, height: int = 0) -> abci.ResponseFinalizeBlock:
        height = height or self.ledger.height + 1
        request = abci.RequestFinalizeBlock(txs=raws, height=height, hash=hashlib.sha256(b"block %d" % height).digest())
        request.time.FromMilliseconds(time_of(height))
        return self.application.finalize_block(request)

    def commit(self) -> Executed:
        self.application.commit(abci.RequestCommit())
        return self.watching.blocks[-1]

    def block(self, *raws: bytes) -> abci.ResponseFinalizeBlock:
        answer = self.finalize(*raws)
        self.commit()
        return answer

    def rows(self) -> dict[Family, list[tuple[bytes, bytes]]]:
        """All that the store holds."""
        return {family: list(self.store.range(family, b"")) for family in Family}


def time_of(height: int) -> Instant:
    return START.plus(height * BLOCK_MS)


@pytest.fixture
def member(tmp_path: Path) -> Iterator[Member]:
    yield from opened(tmp_path / "member")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Member]:
    yield from opened(tmp_path / "other")


def opened(path: Path) -> Iterator[Member]:
    one = Member(path)
    yield one
    one.store.close()


def body_hash(raw: bytes) -> bytes:
    return envelope.parse(raw).body_hash


def unsigned(raw: bytes) -> bytes:
    """The same body, under a signature of somebody else's."""
    return envelope.sign(envelope.parse(raw).body, key_of("nobody")).to_bytes()


def spoilt(raw: bytes) -> bytes:
    """The same transaction, one letter of what is signed being another."""
    return raw.replace(b'"note"', b'"vote"')


def mixed(consortium: Consortium, earlier: bytes) -> dict[str, tuple[bytes, Status]]:
    """What may stand in a decided block besides good transactions, each with what becomes of it."""
    repeated = consortium.anchoring("repeated")
    same_id = consortium.anchoring("one", name="same-id"), consortium.anchoring("other", name="same-id")
    return {
        "good": (consortium.anchoring("good"), Status.OK),
        "not a transaction": (b"\xff\x00{", Status.NOT_CANONICAL),
        "nothing": (b"", Status.NOT_CANONICAL),
        "oversized": (b"{" + b" " * envelope.MAX_BYTES, Status.NOT_CANONICAL),
        "altered": (spoilt(consortium.anchoring("altered")), Status.NOT_CANONICAL),
        "not canonical": (consortium.anchoring("spaced") + b" ", Status.NOT_CANONICAL),
        "by an unknown key": (unsigned(consortium.anchoring("unsigned")), Status.KEY_UNKNOWN),
        "expired": (consortium.anchoring("late", not_after=Instant(START - MINUTE_MS)), Status.EXPIRED),
        "too early": (consortium.anchoring("early", not_after=START.plus(30 * DAY_MS)), Status.NOT_AFTER_TOO_FAR),
        "ordered before": (earlier, Status.ALREADY_ORDERED),
        "first of two": (repeated, Status.OK),
        "second of two": (repeated, Status.ALREADY_ORDERED),
        "first of its id": (same_id[0], Status.OK),
        "second of its id": (same_id[1], Status.DUPLICATE_ID_OTHER_CONTENT),
        "wake": (wake_bytes(2), Status.WAKE),
        "refused": (consortium.anchoring("refused", earlier="doc_0000000000000000"), Status.NOT_FOUND),
        "last": (consortium.anchoring("last"), Status.OK),
    }


ORDERED = {"good", "first of two", "first of its id", "refused", "last"}


# Executing, and what is kept


def test_executing_twice_gives_the_same_and_keeps_nothing(member: Member, other: Member) -> None:
    member.block(member.consortium.anchoring("first"))
    before, app_hash, synced = member.rows(), member.ledger.app_hash, member.store.synced_writes()
    raws = [raw for raw, _ in mixed(Consortium(prefix="m"), b"").values()]
    first = member.finalize(*raws)
    abandoned = member.finalize(member.consortium.anchoring("of another proposal"))
    second = member.finalize(*raws)
    assert first == second != abandoned
    assert member.rows() == before
    assert (member.ledger.app_hash, member.ledger.height) == (app_hash, 1)
    assert member.store.synced_writes() == synced
    member.commit()
    assert member.ledger.app_hash == first.app_hash
    other.block(other.consortium.anchoring("first"))
    assert other.block(*raws) == first
    assert other.rows() == member.rows()


def test_an_executed_block_is_forgotten_by_a_restart(member: Member) -> None:
    raw = member.consortium.anchoring("first")
    executed = member.finalize(raw)
    member.restart()
    assert member.ledger.height == 0
    with pytest.raises(InvariantViolation, match="no executed block"):
        member.commit()
    assert member.finalize(raw) == executed


@pytest.mark.parametrize("height", [1, 3])
def test_only_the_next_height_is_executed(member: Member, height: int) -> None:
    member.block(member.consortium.anchoring("first"))
    before = member.rows()
    with pytest.raises(InvariantViolation, match="is to be executed on a ledger at 1"):
        member.finalize(height=height)
    assert member.rows() == before


def test_a_commit_is_one_synced_write_and_outcomes_leave_after_it(member: Member) -> None:
    raws = [member.consortium.anchoring(f"{number}") for number in range(50)]
    for step in (raws[:30], raws[30:], []):
        synced = member.store.synced_writes()
        member.finalize(*step)
        assert member.store.synced_writes() == synced
        told = len(member.watching.blocks)
        member.commit()
        assert member.store.synced_writes() == synced + 1
        assert len(member.watching.blocks) == told + 1
    with pytest.raises(InvariantViolation, match="no executed block"):
        member.commit()
    member.restart()
    assert member.ledger.height == 3
    assert all(member.ledger.result(body_hash(raw)) for raw in raws)


def test_what_failed_to_be_written_is_not_told(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    member.finalize(member.consortium.anchoring("first"))

    def failing(_batch: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(member.store, "write", failing)
    with pytest.raises(OSError, match="no space"):
        member.commit()
    assert member.watching.blocks == []
    assert member.ledger.height == 0


# What changes nothing


def test_asking_and_what_the_door_refuses_change_nothing(member: Member) -> None:
    earlier = member.consortium.anchoring("earlier", name="earlier")
    member.block(earlier)
    member.block()
    before, app_hash = member.rows(), member.ledger.app_hash
    height = member.ledger.height
    for name, (raw, _) in mixed(Consortium(prefix="m"), earlier).items():
        kinds = (abci.CheckTxType.NEW, abci.CheckTxType.RECHECK, abci.CheckTxType.NEW)
        codes = [member.check(raw, kind) for kind in kinds]
        assert codes[0] == codes[2], name
        assert codes[1] == 0, "what waits is never dropped by a recheck"
        member.application.process_proposal(abci.RequestProcessProposal(txs=[raw], height=height + 1))
        member.application.prepare_proposal(abci.RequestPrepareProposal(txs=[raw], height=height + 1))
        member.finalize(raw)
    document = f"document/{member.consortium.document_id('earlier')}".encode()
    for path, data in (
        ("/record", document),
        ("/record", b"document/none"),
        ("/record", b"\xff"),
        ("/result", body_hash(earlier)),
        ("/result", b"short"),
        ("/snapshot/2", b""),
        ("/snapshot/" + "9" * 100, b""),
        ("/unknown", b"x"),
        ("", b""),
    ):
        member.application.query(abci.RequestQuery(path=path, data=data))
    member.application.info(abci.RequestInfo(version="0.39.4"))
    member.application.list_snapshots(abci.RequestListSnapshots())
    assert member.rows() == before
    assert (member.ledger.app_hash, member.ledger.height) == (app_hash, height)


def test_the_door_of_the_mempool_says_what_a_block_would_make_of_it(member: Member) -> None:
    earlier = member.consortium.anchoring("earlier")
    member.block(earlier)
    at_door = {
        "oversized": Status.TOO_LARGE,
        "altered": Status.BAD_SIGNATURE,
        "second of two": Status.OK,  # the mempool itself knows the first
        "second of its id": Status.OK,
        "refused": Status.OK,  # that is for the block to say
    }
    told = []
    for name, (raw, status) in mixed(Consortium(prefix="m"), earlier).items():
        expected = at_door.get(name, status)
        assert member.check(raw) == expected.number, name
        if expected is not Status.OK and name != "wake":
            told.append((raw, expected))
    assert member.watching.turned_down == told


def test_a_wake_is_let_in_only_while_work_is_due(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    assert member.check(wake_bytes(1)) == Status.WAKE.number
    monkeypatch.setattr(member.ledger, "is_due", lambda: True)
    assert member.check(wake_bytes(1)) == 0


# What a decided block makes of each transaction


def test_each_transaction_of_a_decided_block_has_its_place_and_result(member: Member) -> None:
    earlier = member.consortium.anchoring("earlier")
    member.block(earlier)
    told = mixed(Consortium(prefix="m"), earlier)
    answer = member.block(*(raw for raw, _ in told.values()))
    assert [result.code for result in answer.tx_results] == [status.number for _, status in told.values()]
    archived = member.ledger.results(2)
    assert list(archived.codes) == [result.code for result in answer.tx_results]
    assert list(archived.data) == [result.data for result in answer.tx_results]
    assert member.ledger.transactions(2) == [raw for raw, _ in told.values()]
    receipts = dict(member.store.range(Family.RECEIPTS, b""))
    assert len(receipts) == 1 + len(ORDERED)
    for index, (name, (raw, status)) in enumerate(told.items()):
        data = json.loads(archived.data[index])
        assert data["status"] == status.label
        assert data.get("at_door", False) is (name not in ORDERED), name
        if name in ORDERED:
            assert member.ledger.result(body_hash(raw)) == Committed(2, index, status, data["facts"])
        else:
            assert archived.events[index] == b"[]"
            assert set(data) == {"at_door", "events", "facts", "status"}
    place = json.loads(archived.data[list(told).index("second of two")])["facts"]
    assert place == {"height": 2, "index": list(told).index("first of two")}
    assert json.loads(archived.data[list(told).index("ordered before")])["facts"] == {"height": 1, "index": 0}


def test_what_is_turned_away_leaves_the_state_as_it_was(member: Member, other: Member) -> None:
    good = member.consortium.anchoring("good")
    told = mixed(Consortium(prefix="m"), b"earlier")
    away = [raw for name, (raw, _) in told.items() if name not in ORDERED and not name.startswith("second")]
    assert member.block(good).app_hash == other.block(good, *away).app_hash
    assert member.rows()[Family.STATE] == other.rows()[Family.STATE]
    assert other.ledger.result(body_hash(good)) == Committed(1, 0, Status.OK)


def test_results_do_not_depend_on_what_a_member_saw_before(member: Member, other: Member) -> None:
    earlier = member.consortium.anchoring("earlier")
    raws = [raw for raw, _ in mixed(Consortium(prefix="m"), earlier).values()]
    for raw in raws:
        member.check(raw)
    member.application.process_proposal(abci.RequestProcessProposal(txs=raws, height=1))
    for block in ([earlier], raws, raws[::-1], []):
        one = member.block(*block)
        other.restart()
        assert other.block(*block) == one
    assert other.rows() == member.rows()


def test_what_was_turned_away_may_come_again(member: Member) -> None:
    raw = member.consortium.anchoring("early", not_after=time_of(3).plus(7 * DAY_MS))
    assert member.block(raw).tx_results[0].code == Status.NOT_AFTER_TOO_FAR.number
    assert member.ledger.result(body_hash(raw)) is None
    member.block()
    assert member.block(raw).tx_results[0].code == Status.OK.number
    assert member.ledger.result(body_hash(raw)) == Committed(3, 0, Status.OK)


# Proposals


def proposal(member: Member, *raws: bytes) -> int:
    request = abci.RequestProcessProposal(txs=raws, height=member.ledger.height + 1)
    status: int = member.application.process_proposal(request).status
    return status


def test_a_proposal_with_what_no_honest_member_lets_in_is_refused(member: Member, other: Member) -> None:
    earlier = member.consortium.anchoring("earlier")
    for one in (member, other):
        one.block(earlier)
    told = mixed(Consortium(prefix="m"), earlier)
    good = told["good"][0]
    unreadable = {"not a transaction", "nothing", "oversized", "altered", "not canonical"}
    for raw, _ in told.values():
        other.check(raw)
    for name, (raw, _) in told.items():
        expected = REJECT if name in unreadable else ACCEPT
        wanted = [good, raw] if raw != good else [raw]
        for one in (member, other, member):
            assert proposal(one, *wanted) == expected, name
    for one in (member, other):
        assert proposal(one) == ACCEPT
        assert proposal(one, good, good) == REJECT


def test_a_proposal_of_too_many_is_refused(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decided, "MAX_BLOCK_TRANSACTIONS", 3)
    raws = [member.consortium.anchoring(f"{number}") for number in range(4)]
    assert proposal(member, *raws[:3]) == ACCEPT
    assert proposal(member, *raws) == REJECT


def prepared(member: Member, *raws: bytes, age_ns: int = 0) -> list[bytes]:
    request = abci.RequestPrepareProposal(txs=raws, height=member.ledger.height + 1)
    request.time.FromNanoseconds(member.wall_clock_ns - age_ns)
    return list(member.application.prepare_proposal(request).txs)


def test_what_waits_is_proposed_in_its_order_and_nothing_is_left_out(member: Member) -> None:
    earlier = member.consortium.anchoring("earlier")
    member.block(earlier)
    expired = member.consortium.anchoring("late", not_after=Instant(START - MINUTE_MS))
    raws = [member.consortium.anchoring("one"), earlier, expired, wake_bytes(2), member.consortium.anchoring("two")]
    assert prepared(member, *raws) == raws
    assert prepared(member, *raws, *raws) == raws
    assert proposal(member, *prepared(member, *raws)) == ACCEPT


def test_nothing_is_proposed_for_a_block_of_old_time(member: Member) -> None:
    raw = member.consortium.anchoring("after an idle hour")
    assert prepared(member, raw, age_ns=STALE_NS) == [raw]
    assert prepared(member, raw, age_ns=STALE_NS + 1) == []


# The chain's beginning, and a restart


def test_info_tells_the_last_commit(member: Member) -> None:
    def told() -> tuple[int, bytes]:
        info = member.application.info(abci.RequestInfo())
        return info.last_block_height, info.last_block_app_hash

    assert told() == (0, b"")
    member.restart()
    assert told() == (0, b"")
    done = member.block(member.consortium.anchoring("first"))
    assert told() == (1, done.app_hash)
    member.finalize(member.consortium.anchoring("second"))
    assert told() == (1, done.app_hash)
    member.restart()
    assert told() == (1, done.app_hash)


def beginning(member: Member) -> abci.RequestInitChain:
    genesis = consortium_genesis()
    request = abci.RequestInitChain(chain_id=genesis.chain_id, initial_height=1)
    request.time.FromMilliseconds(genesis.time)
    for one in reversed(genesis.validators):
        request.validators.add(power=1).pub_key.ed25519 = from_base64(one.key, KEY_BYTES, "key")
    return request


def test_the_chain_begins_with_the_genesis_state(member: Member) -> None:
    assert member.application.init_chain(beginning(member)).app_hash == member.ledger.app_hash


def _another_chain(request: abci.RequestInitChain) -> None:
    request.chain_id += "x"


def _another_height(request: abci.RequestInitChain) -> None:
    request.initial_height = 2


def _another_time(request: abci.RequestInitChain) -> None:
    request.time.FromMilliseconds(START.plus(1))


def _another_power(request: abci.RequestInitChain) -> None:
    request.validators[0].power = 2


def _another_key(request: abci.RequestInitChain) -> None:
    request.validators[0].pub_key.ed25519 = bytes(key_of("nobody").verify_key)


def _one_fewer(request: abci.RequestInitChain) -> None:
    del request.validators[0]


@pytest.mark.parametrize(
    ("alter", "named"),
    [
        (_another_chain, "chain id"),
        (_another_height, "initial height"),
        (_another_time, "time"),
        (_another_power, "validators"),
        (_another_key, "validators"),
        (_one_fewer, "validators"),
    ],
)
def test_another_genesis_is_refused_by_name(
    member: Member, alter: Callable[[abci.RequestInitChain], None], named: str
) -> None:
    request = beginning(member)
    alter(request)
    before = member.rows()
    with pytest.raises(DecodeError, match=f"another {named} than"):
        member.application.init_chain(request)
    assert member.rows() == before


# Queries


def test_a_record_is_answered_with_its_proof(member: Member) -> None:
    raw = member.consortium.anchoring("proven", name="proven")
    key = f"document/{member.consortium.document_id('proven')}"
    asked = abci.RequestQuery(path="/record", data=key.encode())
    member.block(raw)
    assert member.application.query(asked).code == ASK_AGAIN, "no header states the present app hash yet"
    member.block()
    for name, is_there in ((key, True), ("document/doc_0000000000000000", False)):
        answer = member.application.query(abci.RequestQuery(path="/record", data=name.encode()))
        assert (answer.code, answer.height, bool(answer.value)) == (0, 1, is_there)
        shown = json.loads(answer.proof_ops.ops[0].data)
        assert proof_holds(
            TreeProof.from_bytes(bytes.fromhex(shown["proof"])),
            state_root=bytes.fromhex(shown["state_root"]),
            depth=consortium_genesis().tree_depth,
            key_digest=key_hash(name),
            value_digest=value_hash(bytes.fromhex(shown["blind"]), answer.value) if is_there else None,
        )


def test_a_result_is_answered_by_body_hash(member: Member) -> None:
    raw = member.consortium.anchoring("done")
    member.block(b"first", raw)
    answer = member.application.query(abci.RequestQuery(path="/result", data=body_hash(raw)))
    assert json.loads(answer.value) == {"facts": {}, "height": 1, "index": 1, "status": "ok"}
    assert member.application.query(abci.RequestQuery(path="/result", data=bytes(32))).code == NOT_FOUND
