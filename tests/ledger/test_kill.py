"""A writer is killed at any instant: what it acknowledged is there, whole, and the chain goes on."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tallystick.ledger.engine import Committed
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.signing_guard import SigningGuard, signed_height
from tallystick.ledger.store import RocksStore
from tallystick.wire import envelope
from tests.conformance.chain import check_chain
from tests.support.ledger import NODE_KEY, Consortium, OwnClock, genesis

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 10
CAMPAIGN_ROUNDS = 200

pytestmark = pytest.mark.engine


def killed_writer(home: Path, prefix: str, seconds: float) -> list[tuple[str, int, int]]:
    """Run a writer, kill it so long after its ledger is open, and return what it had acknowledged."""
    command = [sys.executable, "-m", "tests.ledger.writer", str(home), prefix]
    writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"ready\n"
    os.set_blocking(writer.stdout.fileno(), False)
    output = b""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        output += writer.stdout.read() or b""
        time.sleep(0.001)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    os.set_blocking(writer.stdout.fileno(), True)
    output += writer.stdout.read()
    writer.stdout.close()
    lines = output.decode().splitlines(keepends=True)
    told = [line.split() for line in lines if line.endswith("\n")]
    assert all(len(fields) == 3 for fields in told), [fields for fields in told if len(fields) != 3][:3]
    return [(name, int(height), int(index)) for name, height, index in told]


def check_acknowledged(home: Path, acknowledged: list[tuple[str, int, int]], whole: bool) -> None:
    """Each is found at its place, with its document; each block holds what stands in it; headers follow each other."""
    guard = SigningGuard(home / "signed")
    engine = EmbeddedEngine(RocksStore(home / "ledger"), NODE_KEY, genesis(), OwnClock(), guard)
    consortium = Consortium()
    try:
        assert signed_height(home / "signed") <= engine.health().height + 1
        for name, height, index in acknowledged:
            raw = consortium.anchoring(name, name=name)
            done = engine.result(envelope.parse(raw).body_hash)
            assert done == Committed(height, index, done.status if done else None, {})  # type: ignore[arg-type]
            assert engine.query(f"document/{consortium.document_id(name)}").record is not None
        if whole:
            last = check_chain(engine)
            ordered = sum(len(engine.transactions(height)) for height in range(1, last + 1))
            assert ordered == len(engine.scan("document", limit=10**9)), "a half-done transaction shows"
    finally:
        engine.close()


def kill_again_and_again(home: Path, rounds: int) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    acknowledged: list[tuple[str, int, int]] = []
    for number in range(rounds):
        fresh = killed_writer(home, f"r{number}", chance.choice((0.0, 0.02, 0.1, 0.3)) + chance.random() * 0.2)
        acknowledged += fresh
        check_acknowledged(home, fresh, whole=number == rounds - 1)
    assert len(acknowledged) > rounds, "the writer was killed before it wrote anything"
    check_acknowledged(home, acknowledged, whole=False)


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, ROUNDS)


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9_many_times(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, CAMPAIGN_ROUNDS)


def test_a_writer_that_is_told_to_end_keeps_everything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.ledger.writer", str(tmp_path), "calm", "0.3"]
    lines = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()[1:]
    assert lines
    told = [line.split() for line in lines]
    check_acknowledged(tmp_path, [(name, int(height), int(index)) for name, height, index in told], whole=True)
    assert {name for name, _, _ in told} == {f"calm-{number}" for number in range(1, len(told) + 1)}
