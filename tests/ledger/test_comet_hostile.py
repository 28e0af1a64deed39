"""A consortium's node in the hands of whoever wants to fork, stop or fool it."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.governance.operations import AdoptProtocol
from tallystick.kernel.plans.conditions import AllOf, Condition, PayerAccepts
from tallystick.kernel.plans.proposing import ProposePlan
from tallystick.kernel.transaction import Transaction, read_decided, wake_bytes
from tallystick.ledger.abci.protos import abci_pb2 as abci
from tallystick.ledger.archive import Light, decode_light, encode_light
from tallystick.ledger.comet import decided
from tallystick.ledger.comet.application import STALE_NS, LedgerApplication
from tallystick.ledger.comet.decided import DecidedLedger
from tallystick.ledger.comet.lights import sound
from tallystick.ledger.comet.rpc import Entry
from tallystick.ledger.engine import Committed, Unknown
from tallystick.ledger.engines import cometbft
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.store import RocksStore
from tallystick.proof.comet import (
    ABSENT,
    BlockId,
    BlockIdFlag,
    Commit,
    CommitSig,
    Header,
    Validator,
    ValidatorSet,
    address_of,
    vote_sign_bytes,
)
from tallystick.proof.timestamps import LAST_TIME, NO_TIME
from tallystick.wire import envelope
from tallystick.wire.amounts import Units
from tallystick.wire.errors import DecodeError
from tallystick.wire.status import Status
from tests.ledger.test_comet_decided import Member, member  # noqa: F401 - a fixture
from tests.ledger.test_comet_handing_in import Node, node  # noqa: F401 - a fixture
from tests.support.comet import NoSnapshots
from tests.support.ledger import NODE_KEY, START, Consortium, OwnClock, genesis
from tests.support.members import key_of
from tests.support.plans import tranche


def nested(depth: int) -> bytes:
    """A plan's proposal, well signed, whose condition is a tree of `depth` branches."""
    condition: Condition = PayerAccepts()
    for _ in range(depth):
        condition = AllOf(of=(condition,))
    terms = msgspec.structs.replace(tranche(), condition=condition)
    proposal = ProposePlan(product="prd_0000000000000000", currency="CNY", total=Units(1), tranches=(terms,))
    return Consortium().sign(proposal)


def read_below(frames: int, raw: bytes) -> Transaction | Refusal:
    """Read it with so many more frames on the stack."""
    return read_below(frames - 1, raw) if frames else read_decided(raw)


@pytest.mark.parametrize("depth", [1, 4, 12, 13, 14, 30, 200, 400, 450])
def test_whether_a_transaction_can_be_read_does_not_depend_on_who_reads_it(depth: int) -> None:
    """How deep a parser goes does: a node that has it from its mempool stands elsewhere than one that replays."""
    raw = nested(depth)
    here, there = read_decided(raw), read_below(700, raw)
    assert isinstance(here, Refusal) is isinstance(there, Refusal)
    if isinstance(here, Transaction):
        assert envelope.parse(raw).body_hash == here.body_hash, "whoever verifies it can read it as well"


# Floods


def remembered(ledger: DecidedLedger) -> int:
    return sum(map(len, ledger._checked))


def test_what_strangers_sign_is_not_remembered(member: Member) -> None:  # noqa: F811
    """Anybody can sign anything with a key of their own, and a transaction may have a megabyte."""
    for number in range(5):
        body = envelope.parse(member.consortium.anchoring(f"{number}")).body
        raw = envelope.sign(body, key_of("stranger")).to_bytes()
        assert member.check(raw) == Status.KEY_UNKNOWN.number
    assert remembered(member.ledger) == 0


def test_what_waits_is_remembered_within_bounds(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    raws = [member.consortium.anchoring(f"{number:04d}", name=f"{number:04d}") for number in range(20)]
    monkeypatch.setattr(decided, "CACHED_BYTES", 10 * len(raws[0]))
    for raw in (*raws, *raws[15:]):
        assert member.check(raw) == 0
        assert remembered(member.ledger) == member.ledger._checked_bytes <= 10 * len(raws[0])
    assert set(raws[15:]) <= set(member.ledger._checked)
    answer = member.block(*raws)
    assert [result.code for result in answer.tx_results] == [0] * len(raws)
    assert remembered(member.ledger) == member.ledger._checked_bytes == 0


def test_wakes_come_one_at_a_time(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """While work is due anybody may send them, and what is let in is carried by a block."""
    member.block()
    monkeypatch.setattr(member.ledger, "is_due", lambda: True)
    assert member.check(wake_bytes(2)) == 0
    others = [wake_bytes(height) for height in (0, 1, 3, 10**18)] + [b"tallystick-wake-v1 02"]
    assert [member.check(raw) for raw in others] == [Status.WAKE.number] * len(others)


# What is promised to who waits


def test_a_full_mempool_is_no_refusal_of_what_may_wait_in_it(node: Node) -> None:  # noqa: F811
    """CometBFT says that it is full before it looks whether it has the transaction already."""
    raw = node.consortium.anchoring("paper")
    first = node.hand_in(raw)
    node.waits(raw)
    node.comet.says[raw] = Entry.FULL
    second = node.hand_in(raw)
    node.until(lambda: node.comet.came == [raw, raw])
    node.until(lambda: not node.engine._outgoing)
    node.block()
    assert first.outcome() == second.outcome() == Committed(1, 0, Status.OK)


def test_what_was_lost_with_the_mempools_is_unknown_in_the_end(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(cometbft, "WAITING_SECONDS", 0.3)
    monkeypatch.setattr(cometbft, "SWEEP_SECONDS", 0.05)
    raw = node.consortium.anchoring("paper")
    answer = node.hand_in(raw)
    node.waits(raw)
    node.comet.waiting.clear()
    assert isinstance(answer.outcome(), Unknown)
    assert node.engine.health().waiting == 0


# Rules that are not known here


def adopting(consortium: Consortium, height: int) -> bytes:
    return consortium.sign(AdoptProtocol(version=2, from_height=height), by="governor")


def test_a_node_stops_before_rules_that_it_does_not_know(member: Member) -> None:  # noqa: F811
    member.block(adopting(member.consortium, 4))
    for _ in range(2):
        member.block(member.consortium.anchoring("x"))
    before = member.rows()
    for _ in range(2):
        with pytest.raises(DecodeError, match="from height 4 on version 2 of the rules holds"):
            member.finalize(member.consortium.anchoring("late"))
        member.restart()
    assert member.rows() == before
    assert member.ledger.height == 3


def test_an_embedded_node_stops_before_them_too(tmp_path: Path) -> None:
    consortium = Consortium()
    engine = EmbeddedEngine(RocksStore(tmp_path / "ledger", cache_bytes=8 << 20), NODE_KEY, genesis(), OwnClock())
    try:
        adopted = engine.submit(adopting(consortium, 4))
        assert isinstance(adopted, Committed)
        outcomes = [engine.submit(consortium.anchoring(f"{number}")) for number in range(4)]
        assert isinstance(outcomes[-1], Unknown)
        assert "version 2 of the rules" in engine.health().problem
        assert engine.health().height == 3
    finally:
        engine.close()


# Settings that stop the chain


def test_a_long_wait_after_each_block_is_no_idleness(member: Member) -> None:  # noqa: F811
    """With one of over two seconds every proposal would be taken for one after a pause, and hold nothing for ever."""
    wait_ns = 5_000_000_000
    patient = LedgerApplication(
        member.ledger, member.watching, NoSnapshots(), lambda: member.wall_clock_ns, commit_wait_ns=wait_ns
    )
    raw = member.consortium.anchoring("x")
    asked = abci.RequestPrepareProposal(txs=[raw], height=2)
    for after_ns, held in ((wait_ns + STALE_NS, [raw]), (wait_ns + STALE_NS + 1_000_000, [])):
        asked.time.FromNanoseconds(member.wall_clock_ns - after_ns)
        assert list(patient.prepare_proposal(asked).txs) == held


# One validator's vote


@pytest.mark.parametrize("time", [NO_TIME, NO_TIME + 1, -1, 0, 1, int(START) * 1_000_000, 2**63 - 1, 2**63, LAST_TIME])
def test_a_vote_of_any_date_keeps_no_header_out_of_the_archive(time: int) -> None:
    """CometBFT looks at no vote's time; the header's is the median."""
    keys = {address_of(bytes(key.verify_key)): key for key in (key_of(f"node {number}") for number in range(4))}
    validators = ValidatorSet.of(Validator(bytes(key.verify_key), 1) for key in keys.values())
    chain_id, block_id = "tallystick-hostile", BlockId(b"h" * 32, 1, b"p" * 32)
    votes = []
    for number, validator in enumerate(validators.validators):
        dated = time if number == 2 else int(START) * 1_000_000
        signed = keys[validator.address].sign(vote_sign_bytes(chain_id, 5, 0, block_id, dated)).signature
        votes.append(CommitSig(BlockIdFlag.COMMIT, validator.address, dated, signed))
    kept = sound(Commit(5, 0, block_id, tuple(votes)), chain_id, validators)
    assert kept.signatures == tuple(votes), "with one member away, three votes are all there are"
    header = Header(
        chain_id=chain_id,
        height=5,
        time=int(START) * 1_000_000,
        last_block_id=block_id,
        last_commit_hash=b"",
        data_hash=b"",
        validators_hash=validators.hash(),
        next_validators_hash=validators.hash(),
        consensus_hash=b"",
        app_hash=b"",
        last_results_hash=b"",
        evidence_hash=b"",
        proposer_address=b"",
    )
    light = Light(header, kept)
    assert decode_light(encode_light(light), 5) == light
    away = replace(kept, signatures=(ABSENT, *kept.signatures[1:]))
    assert decode_light(encode_light(Light(header, away)), 5) == Light(header, away)
    elsewhere = replace(votes[0], validator_address=votes[1].validator_address)
    named = sound(Commit(5, 0, block_id, (elsewhere, *votes[1:])), chain_id, validators)
    assert named.signatures[0] == ABSENT
