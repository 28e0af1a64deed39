"""Looking at a ledger without its key: the same answers, nothing ordered, nothing written."""

from pathlib import Path

import pytest

from tallystick.ledger.engine import Committed, Cursor, Engine, NotYet, Outcome, Unknown
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.engines.reading import READING_ONLY, ReadingEngine
from tallystick.ledger.store import RocksStore
from tallystick.wire import envelope
from tests.support.ledger import NODE_KEY, Consortium, OwnClock, genesis

pytestmark = pytest.mark.engine


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger with a few transactions, closed."""
    consortium = Consortium()
    engine = EmbeddedEngine(RocksStore(tmp_path / "ledger"), NODE_KEY, genesis(), OwnClock())
    raws = [consortium.anchoring(f"document {number}", by="works") for number in range(5)]
    assert all(isinstance(one, Committed) for one in engine.submit_many(raws))
    engine.close()
    return tmp_path / "ledger"


def answers(engine: Engine) -> tuple[object, ...]:
    """What an engine says about the ledger."""
    height = engine.health().height
    return (
        engine.chain_id,
        engine.health().app_hash,
        engine.scan("document"),
        engine.labelled("role/auditor"),
        engine.events(Cursor()),
        [engine.light_block(number) for number in range(1, height + 1)],
        [engine.transactions(number) for number in range(1, height + 1)],
        engine.prove("protocol/chain"),
        engine.query("protocol/chain"),
    )


def test_it_answers_as_the_engine_that_writes(ledger: Path) -> None:
    reading = ReadingEngine(RocksStore(ledger))
    seen = answers(reading)
    raw = reading.transactions(1)[0]
    receipt = reading.result(envelope.parse(raw).body_hash)
    reading.close()
    writing = EmbeddedEngine(RocksStore(ledger), NODE_KEY, clock=OwnClock())
    try:
        assert seen == answers(writing)
        assert receipt == writing.result(envelope.parse(raw).body_hash)
        assert isinstance(receipt, Committed)
    finally:
        writing.close()


def test_what_is_handed_in_is_not_ordered(ledger: Path) -> None:
    reading = ReadingEngine(RocksStore(ledger))
    height = reading.health().height
    raw = Consortium().anchoring("another", by="works")
    said: list[Outcome] = []
    reading.submit_later(raw, said.append)
    outcomes = [reading.submit(raw), *reading.submit_many([raw]), *said]
    assert outcomes == [Unknown(READING_ONLY)] * 3
    assert reading.health().problem == READING_ONLY
    reading.close()
    reading.close()
    again = ReadingEngine(RocksStore(ledger))
    assert again.health().height == height
    again.close()


def test_it_seals_no_block(tmp_path: Path) -> None:
    """A ledger that was killed right after a block waits for its key to prove that block."""
    engine = EmbeddedEngine(RocksStore(tmp_path / "ledger"), NODE_KEY, genesis(), OwnClock())
    height = engine.health().height
    engine.submit(Consortium().anchoring("one", by="works"))
    engine.backup(tmp_path / "copy")
    engine.close()
    copy = ReadingEngine(RocksStore(tmp_path / "copy"))
    if copy.health().height == height + 1:  # the backup was quicker than the proof block, as it nearly always is
        with pytest.raises(NotYet):
            copy.prove("protocol/chain")
    found = copy.health().height
    copy.close()
    again = ReadingEngine(RocksStore(tmp_path / "copy"))
    assert again.health().height == found
    again.close()
