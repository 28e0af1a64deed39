"""The stand-alone verifier: a bundle and a genesis in, a report or the first thing that is not proven out.

Rules applied, in this order (each module states its own in full):
1. The bundle is written in its one form, and is about the chain of the genesis that the caller pins (`bundle`).
2. Headers: committed by validators that go back to the genesis, each commit by over two thirds (`blocks`).
3. Records: in the state at the bundle's height, under the app hash of the next header (`state`).
4. Transactions: signed, in their blocks, with the results that the next headers state (`inclusion`).
5. Due work: what blocks did by themselves (`inclusion`).
6. Standing: each signer was a member with that key and met its organisation's own policy at that place (`standing`).
7. Documents: their bytes are those anchored in what is proven (`documents`).

What is not proven: that the bundle tells everything about its subject, and that who signs is who it says it is. The
report says who attests, and what remains to be believed.
"""

from dataclasses import dataclass

from tallystick.proof.evidence.blocks import Attested, Headers, Revision, prove_headers
from tallystick.proof.evidence.bundle import Bundle, Json
from tallystick.proof.evidence.documents import anchors_in, prove_document
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.genesis import Genesis
from tallystick.proof.evidence.inclusion import prove_due_work, prove_transaction
from tallystick.proof.evidence.standing import Signed, Standing
from tallystick.proof.evidence.state import prove_records


@dataclass(frozen=True, slots=True)
class Report:
    """What a bundle proves."""

    bundle: Bundle
    genesis: Genesis
    headers: Headers
    records: dict[str, Json]
    signed: tuple[Signed, ...]
    documents: dict[str, list[str]]

    @property
    def attested(self) -> tuple[Attested, ...]:
        """Who attests which heights."""
        return self.headers.attested


def verify(raw: bytes, genesis: Genesis) -> Report:
    """Prove all that a bundle says. Raises DecodeError where it can't be read, NotProven at the first failure."""
    bundle = Bundle.from_bytes(raw)
    if bundle.genesis != genesis.hash:
        raise NotProven("genesis", "the bundle is about a chain of another genesis", "genesis")
    revisions = _revisions(bundle, genesis)
    headers = prove_headers(bundle, genesis.chain_id, genesis.validators.hash(), revisions)
    records = prove_records(bundle, headers, genesis.tree_depth)
    if records.get(bundle.about) is None:
        raise NotProven("state", "the record that the bundle is about is not in it", bundle.about)
    standing = Standing(records)
    signed = tuple(
        standing.check(one, prove_transaction(one, headers), headers.by_height[one.height].chain_id)
        for one in bundle.transactions
    )
    for work in bundle.due_work:
        prove_due_work(work, headers)
    steps = ((one.where, one.envelope) for one in bundle.transactions)
    anchored = anchors_in((*((f"record {key}", value) for key, value in records.items()), *steps))
    documents = {one.hash.hex(): prove_document(one, anchored) for one in bundle.documents}
    return Report(bundle, genesis, headers, records, signed, documents)


def _revisions(bundle: Bundle, genesis: Genesis) -> tuple[Revision, ...]:
    """The revisions of the chain id that the bundle states; `prove_records` proves them before the report is made."""
    stated: dict[str, tuple[str, int]] = {}
    for one in bundle.records:
        if one.key.startswith("revision/") and isinstance(one.value, dict):
            predecessor, fork = one.value.get("predecessor"), one.value.get("fork_height")
            if isinstance(predecessor, str) and type(fork) is int:
                stated[predecessor] = (one.key.partition("/")[2], fork)
    found: list[Revision] = []
    chain_id = genesis.chain_id
    while chain_id in stated and len(found) < len(stated):
        chain_id, fork = stated[chain_id]
        found.append(Revision(chain_id, fork))
    return tuple(found)
