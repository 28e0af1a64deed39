"""An independent check of a chain's light blocks, from what the contract shows of them."""

import hashlib
import json
import time
from collections.abc import Iterator

from tallystick.kernel import machine
from tallystick.kernel.core import codec
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.genesis import Genesis
from tallystick.kernel.transaction import body_hash_of
from tallystick.ledger.engine import Committed, Cursor, Engine, NotYet, PlacedEvent, StateProof
from tallystick.ledger.execution import turned_away_data
from tallystick.proof import comet
from tallystick.proof.state_proof import app_hash, key_hash, proof_holds, value_hash
from tallystick.wire.keys import KEY_BYTES, from_base64, verifies
from tallystick.wire.status import BY_LABEL
from tests.support.ledger import genesis


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


def check_chain(engine: Engine, first: int = 1, founded: Genesis | None = None) -> int:
    """Recompute what each header states about the blocks before it, and verify each commit; returns the last height.

    The chain has one validator, whom the genesis names.
    """
    founded = founded or genesis()
    last = idle_height(engine)
    (key,) = (from_base64(one.key, KEY_BYTES, "genesis") for one in founded.validators)
    validators = comet.ValidatorSet.of([comet.Validator(key, 1)])
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
        assert header.time > before.header.time if before else header.time >= founded.time * 1_000_000
        assert block.validators == validators
        assert header.validators_hash == header.next_validators_hash == validators.hash()
        assert (block.commit.height, block.commit.block_id.hash) == (height, header.hash())
        (vote,) = block.commit.signatures
        assert verifies(key, block.commit.vote_sign_bytes(engine.chain_id, 0), vote.signature)
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
        done = _done_at(engine, raw, height, index)
        if done is None:
            assert index + 1 not in events, "an event of what was turned away"
            found.append(_turned_away(engine, height, index))
            continue
        digest = hashlib.sha256(codec.encode(events.get(index + 1, []))).hexdigest()
        found.append((done.status.number, machine.result_data(done.status, done.facts, digest)))
    return found


def _done_at(engine: Engine, raw: bytes, height: int, index: int) -> Committed | None:
    """What became of a transaction there; None where it was turned away, as CometBFT's blocks may hold it."""
    hashed = body_hash_of(raw)
    done = None if isinstance(hashed, Refusal) else engine.result(hashed)
    return done if done is not None and (done.height, done.index) == (height, index) else None


def _turned_away(engine: Engine, height: int, index: int) -> tuple[int, bytes]:
    """(code, data) of what was turned away, which must be marked so, and explain itself."""
    results = engine.results(height)
    code, data = results.codes[index], results.data[index]
    said = json.loads(data)
    assert said.get("at_door") is True, f"transaction {index} of block {height} has no result there"
    refused = Refusal(BY_LABEL[said["status"]], said["facts"])
    assert (code, data) == (refused.status.number, turned_away_data(refused))
    return code, data
