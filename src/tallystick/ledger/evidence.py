"""Collecting evidence from an engine: the blocks, transactions and records that a bundle is made of.

Which records and steps belong to a thing is the caller's to say; here is how each is proven with as little as will do.
"""

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from tallystick.kernel.chain_rows import Predecessor
from tallystick.ledger.engine import BlockResults, Engine, NotYet
from tallystick.proof import comet, merkle
from tallystick.proof.evidence import bundle
from tallystick.proof.evidence.bundle import Bundle, DueWork, ProvenRecord, Roots, Transaction
from tallystick.proof.multiproof import MultiProof
from tallystick.wire import canonical, envelope

Place = tuple[int, int]
"""Height, and the transaction's index in its block; -1 for the work that the block did at its start."""

BLOCK_START = -1
PREDECESSOR = "predecessor/chain"


def collect(
    engine: Engine,
    about: str,
    genesis: bytes,
    keys: Iterable[str],
    places: Iterable[Place],
    documents: tuple[bundle.Document, ...] = (),
    first_roots: Roots | None = None,
) -> Bundle:
    """The bundle about `about` with the records under `keys` and the steps at `places`.

    `genesis` is SHA-256 of the genesis file; `first_roots` are those of the chain's first state, where its genesis says
    them. Raises `NotYet` while the present state is not attested.
    """
    before = engine.query(PREDECESSOR).record
    last = before.height if isinstance(before, Predecessor) else 0
    proven = engine.prove_many(sorted(set(keys)))
    records = tuple(
        ProvenRecord(row.key) if row.value is None else ProvenRecord(row.key, row.blind, json.loads(row.value))
        for row in proven.rows
    )
    wanted = sorted(set(places))
    results = {height: engine.results(height) for height in sorted({height for height, _ in wanted})}
    transactions: list[Transaction] = []
    due_work: list[DueWork] = []
    for height, index in wanted:
        if index == BLOCK_START:
            if results[height].due_events != b"[]":
                roots = first_roots if height == last + 1 else _roots_after(engine, height - 1)
                due_work.append(_due_work(engine, height, roots, results[height]))
        else:
            transactions.append(_transaction(engine, height, index, results[height]))
    heights = {height for one in transactions for height in (one.height, one.height + 1)}
    heights |= {height for work in due_work for height in (work.height, work.height + 1)}
    heights |= {proven.height + 1, *_kept(engine, _countersigned(transactions))}
    heights |= _kept(engine, {1, last, last + 1} if min(heights) <= last else {last + 1})
    span = range(min(heights), max(heights))  # every change of the validators between is proven
    heights |= {height for height in engine.validator_changes() if height in span}
    heights |= _naming(engine, heights)
    blocks, sets = _blocks(engine, sorted(heights))
    return Bundle(
        about=about,
        genesis=genesis,
        height=proven.height,
        validators=sets,
        blocks=blocks,
        transactions=tuple(transactions),
        due_work=tuple(due_work),
        records=records,
        roots=Roots(proven.state_root, proven.receipts_root),
        proof=MultiProof.from_bytes(proven.proof),
        documents=tuple(sorted(documents, key=lambda one: one.hash)),
    ).listed()


def _kept(engine: Engine, heights: set[int]) -> set[int]:
    """Those heights whose headers are kept; an archive may begin later than its chain."""
    found = set()
    for height in sorted(heights):
        try:
            engine.light_block(height)
        except LookupError:
            continue
        found.add(height)
    return found


def _naming(engine: Engine, heights: set[int]) -> set[int]:
    """The headers that name those of `heights` whose own commits hold too few votes (`ledger.comet.lights`).

    Raises `NotYet` where there is none yet.
    """
    found: set[int] = set()
    for height in sorted(heights):
        naming = height
        while not engine.light_block(naming).has_two_thirds:
            naming += 1
            if naming > engine.health().height:
                raise NotYet(f"no header names block {height} yet, and its own commit holds too few votes")
            found.add(naming)
    return found


def _countersigned(transactions: list[Transaction]) -> set[int]:
    """The highest block that each organisation signed it knew."""
    found: dict[str, int] = {}
    for one in transactions:
        body: dict[str, Any] = one.envelope["body"] if isinstance(one.envelope, dict) else {}
        if "seen" in body:
            for member in (body["actor"], *body.get("cosigners", ())):
                found[member] = max(found.get(member, 0), body["seen"]["height"])
    return set(found.values())


def _transaction(engine: Engine, height: int, index: int, results: BlockResults) -> Transaction:
    raws = engine.transactions(height)
    ordered = merkle.prove((sha256(raw).digest() for raw in raws), index)
    leaves = [comet.result_leaf(code, data) for code, data in zip(results.codes, results.data, strict=True)]
    return Transaction(
        height=height,
        index=index,
        total=merkle.least_total(index, len(ordered.aunts)) or len(raws),
        envelope=canonical.parse(raws[index]),
        path=ordered.aunts,
        code=results.codes[index],
        data=json.loads(results.data[index]),
        result_path=merkle.prove(leaves, index).aunts,
        events=json.loads(results.events[index]),
    )


def _due_work(engine: Engine, height: int, before: Roots | None, after: BlockResults) -> DueWork:
    if before is None:
        raise LookupError("the work of the first block can't be shown: no block states the roots before it")
    placed = zip(engine.transactions(height), after.data, strict=True)
    ordered = ((raw, data) for raw, data in placed if "at_door" not in json.loads(data))  # ADR 0010
    return DueWork(
        height=height,
        events=json.loads(after.due_events),
        before=before,
        after=Roots(after.state_root, after.receipts_root),
        digests=tuple(sha256(envelope.parse(raw).body_hash + data).digest() for raw, data in ordered),
    )


def _roots_after(engine: Engine, height: int) -> Roots:
    after = engine.results(height)
    return Roots(after.state_root, after.receipts_root)


def _blocks(engine: Engine, heights: list[int]) -> tuple[tuple[bundle.Block, ...], tuple[comet.ValidatorSet, ...]]:
    """The headers of `heights` with the commits that they need, and the validator sets, in the order of use."""
    blocks = []
    sets: dict[bytes, comet.ValidatorSet] = {}
    for height in heights:
        light = engine.light_block(height)
        sets.setdefault(light.header.validators_hash, light.validators)
        blocks.append(bundle.Block(light.header, light.commit))
    kept = []
    for block, following in zip(blocks, (*blocks[1:], None), strict=True):
        attested = (
            following is not None
            and following.header.height == block.header.height + 1
            and following.header.validators_hash == block.header.validators_hash
        )
        kept.append(bundle.Block(block.header) if attested else block)
    return tuple(kept), tuple(sets.values())
