"""An independent check of a chain's light blocks, from what the contract shows of them."""

import hashlib
import time
from collections.abc import Iterator

from tallystick.kernel import machine
from tallystick.kernel.core import codec
from tallystick.ledger.engine import Cursor, Engine, NotYet, PlacedEvent, StateProof
from tallystick.proof import comet
from tallystick.proof.state_proof import app_hash, key_hash, proof_holds, value_hash
from tallystick.wire import envelope
from tallystick.wire.errors import DecodeError
from tallystick.wire.keys import verifies
from tests.support.ledger import NODE_KEY, genesis


def until_proven(engine: Engine, key: str) -> StateProof:
    """Ask for a proof until the header that covers the present state exists."""
    until = time.monotonic() + 20
    while True:
        try:
            return engine.prove(key)
        except NotYet:
            assert time.monotonic() < until, "no header covers the state"
            time.sleep(0.02)


def idle_height(engine: Engine) -> int:
    """The height at which the chain comes to rest."""
    until_proven(engine, "protocol/chain")
    return engine.health().height


def check_proof(engine: Engine, proof: StateProof, depth: int) -> None:
    """The row against the roots, the roots against the header that covers them."""
    header = engine.light_block(proof.height + 1).header
    assert header.app_hash == app_hash(proof.state_root, proof.receipts_root)
    assert proof_holds(
        proof.proof,
        state_root=proof.state_root,
        depth=depth,
        key_digest=key_hash(proof.key),
        value_digest=None if proof.value is None else value_hash(proof.blind, proof.value),
    )


def check_chain(engine: Engine, first: int = 1) -> int:
    """Recompute what each header states about the blocks before it, and verify each commit; returns the last height."""
    last = idle_height(engine)
    validators = comet.ValidatorSet.of([comet.Validator(bytes(NODE_KEY.verify_key), 1)])
    before = engine.light_block(first - 1) if first > 1 else None
    for height in range(first, last + 1):
        block = engine.light_block(height)
        header = block.header
        assert (header.chain_id, header.height) == (engine.chain_id, height)
        assert header.last_block_id == (comet.BlockId() if before is None else before.commit.block_id)
        assert header.last_commit_hash == (comet.NO_COMMIT_HASH if before is None else before.commit.hash())
        results = [] if before is None else _results(engine, height - 1)
        assert header.last_results_hash == comet.results_hash(results)
        assert header.data_hash == comet.data_hash(engine.transactions(height))
        assert header.time > (genesis().time * 1_000_000 if before is None else before.header.time)
        assert block.validators == validators
        assert header.validators_hash == header.next_validators_hash == validators.hash()
        assert (block.commit.height, block.commit.block_id.hash) == (height, header.hash())
        message = block.commit.vote_sign_bytes(engine.chain_id, 0)
        assert verifies(bytes(NODE_KEY.verify_key), message, block.commit.signatures[0].signature)
        before = block
    assert before is not None
    assert before.header.app_hash == engine.health().app_hash
    return last


def _events_at(engine: Engine, height: int) -> Iterator[PlacedEvent]:
    after = Cursor(height)
    while part := engine.events(after, 500):
        for placed in part:
            if placed.cursor.height != height:
                return
            yield placed
        after = part[-1].cursor


def _results(engine: Engine, height: int) -> list[tuple[int, bytes]]:
    """(code, data) of a block's transactions, from results and events."""
    events: dict[int, list[object]] = {}
    for placed in _events_at(engine, height):
        events.setdefault(placed.cursor.index, []).append(placed.event)
    found = []
    for index, raw in enumerate(engine.transactions(height)):
        done = engine.result(envelope.parse(raw).body_hash)
        if done is None or (done.height, done.index) != (height, index):
            raise DecodeError(f"transaction {index} of block {height} has no result there")
        digest = hashlib.sha256(codec.encode(events.get(index + 1, []))).hexdigest()
        found.append((done.status.number, machine.result_data(done.status, done.facts, digest)))
    return found
