"""Four members of one consortium: what one of them says, the others say too. One of them alone passes all else here."""

import time
from collections.abc import Iterator

import pytest

from tallystick.kernel.governance.operations import AdvanceClock
from tallystick.kernel.membership.records import Member as MemberRow
from tallystick.kernel.membership.records import MemberState
from tallystick.ledger.engine import Committed, Cursor, Engine, Outcome
from tallystick.ledger.validators import set_of
from tallystick.proof import light_client
from tallystick.wire import envelope
from tallystick.wire.ids import record_id
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.conformance.chain import check_proof, idle_height, until_proven
from tests.support.comet import Members, present
from tests.support.ledger import CHAIN_ID, Consortium, genesis
from tests.support.members import application, key_of

REVIEW_MS = 10 * DAY_MS
CLIENTS = ("mill", "works", "auditor", "governor")


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    homes = [tmp_path_factory.mktemp(f"member{number}") for number in range(4)]
    four = Members(homes, genesis(at=present()))
    yield four
    four.close()


@pytest.fixture
def engines(members: Members) -> list[Engine]:
    return [one.engine for one in members.each]


@pytest.fixture
def consortium(members: Members) -> Consortium:
    return Consortium(now=members.founded.time, prefix=f"{time.monotonic_ns()}-")


def accepted(outcome: Outcome) -> Committed:
    assert isinstance(outcome, Committed), outcome
    assert outcome.status is Status.OK, outcome
    return outcome


def at_rest(engines: list[Engine]) -> int:
    """The height at which all have come to rest."""
    height = max(idle_height(engine) for engine in engines)
    for engine in engines:
        engine.query("protocol/chain", min_height=height)
    return height


def test_what_one_member_acknowledged_every_member_answers(engines: list[Engine], consortium: Consortium) -> None:
    raws = [consortium.anchoring(f"at member {number}", by=by) for number, by in enumerate(CLIENTS)]
    done = [accepted(engine.submit(raw)) for engine, raw in zip(engines, raws, strict=True)]
    assert done == sorted(done, key=lambda one: (one.height, one.index))
    height = at_rest(engines)
    for engine in engines:
        assert [engine.result(envelope.parse(raw).body_hash) for raw in raws] == done
        assert all(engine.transactions(one.height)[one.index] == raw for raw, one in zip(raws, done, strict=True))
        assert engine.scan("document") == engines[0].scan("document")
        assert engine.events(Cursor()) == engines[0].events(Cursor())
        assert [engine.results(each) for each in range(1, height + 1)] == [
            engines[0].results(each) for each in range(1, height + 1)
        ]
    assert len({engine.health().app_hash for engine in engines}) == 1


def test_the_same_bytes_at_all_members_are_ordered_once(engines: list[Engine], consortium: Consortium) -> None:
    raw = consortium.anchoring("handed to everybody")
    told: list[Outcome] = []
    for engine in engines:
        engine.submit_later(raw, told.append)
    first, *others = [accepted(engine.submit(raw)) for engine in engines]
    assert others == [first] * 3
    at_rest(engines)
    until = time.monotonic() + 10
    while len(told) < len(engines):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert told == [first] * 4
    found = [one for height in range(1, at_rest(engines) + 1) for one in engines[0].transactions(height) if one == raw]
    assert len(found) == 1


def test_each_member_proves_the_chain_with_its_own_archive(
    engines: list[Engine], consortium: Consortium, members: Members
) -> None:
    accepted(engines[1].submit(consortium.anchoring("proven")))
    height = at_rest(engines)
    validators = set_of(members.founded.validators)
    for engine in engines:
        for each in range(1, height + 1):
            block = engine.light_block(each)
            judged = light_client.judge_alone(block, engine.chain_id, validators)
            assert judged.is_trusted, judged.why
            assert block.header == engines[0].light_block(each).header
        check_proof(engine, until_proven(engine, "protocol/chain"), members.founded.tree_depth)


def test_due_work_is_done_once_at_all_members(engines: list[Engine], consortium: Consortium) -> None:
    """Each of them notices, and asks for a block."""
    raw = consortium.sign(application("newcomer"), name="apply", keys=(key_of("newcomer"),))
    done = accepted(engines[0].submit(raw))
    newcomer = record_id("mbr", CHAIN_ID, consortium.ids["mill"], "apply", 0)
    time_ms = engines[0].light_block(done.height).header.time // 1_000_000
    until = consortium.now.plus(time_ms - consortium.now + REVIEW_MS - 2_000)
    accepted(engines[2].submit(consortium.sign(AdvanceClock(to=until), by="governor")))
    patience = time.monotonic() + 20
    for engine in engines:
        while True:
            row = engine.query(f"member/{newcomer}").record
            if isinstance(row, MemberRow) and row.state is MemberState.EXPIRED:
                break
            assert time.monotonic() < patience, "the review's deadline passed and nothing happened"
            time.sleep(0.05)
    at_rest(engines)
    for engine in engines:
        due = [one.event.kind for one in engine.events(Cursor()) if one.cursor.index == 0]
        assert sorted(due) == ["member.expired", "review.expired"]
