"""The stand-alone verifier: a bundle and what the caller trusts in, a report or the first thing not proven out.

Rules applied, in this order (each module states its own in full):
 1. The bundle is written in its one form (`bundle`), and holds what its table of contents lists (`contents`).
 2. It is about the chain of the genesis that the caller pins, whose rows make the first app hash; the first header,
    which states that, is shown. Of a closed chain and its successor, the later genesis names the last header of the
    earlier, and no header of that is later (`trust`, `founding`).
 3. Headers: committed by validators that go back to the genesis, each commit by over two thirds (`blocks`).
 4. Records: in the state at the bundle's height, under the app hash of the next header (`state`).
 5. Founders: what records say of the beginning is what the genesis says (`founding`).
 6. Transactions: signed, in their blocks, with the results that the next headers state (`inclusion`).
 7. Standing: each signer was a member with that key and met its organisation's own policy at that place (`standing`).
 8. Due work: what blocks did by themselves (`inclusion`).
 9. The trade: each place in a record is the step of whoever had to take it, entitled at that place; votes suffice,
    parcels partition the face, sums add up (`trade`; `members`, `reviews`, `lineage`, `products`, `plans`, `wages`).
10. Countersigning: a block that a signer says it knew is one of this chain (`verdict`).
11. Documents: their bytes are those anchored in what is proven (`documents`).

What is not proven: that the bundle tells everything about its subject, and that who signs is who it says it is. The
report says how much it holds, who attests, what it doesn't show though its records tell of it, and what remains to be
believed (`verdict`).
"""

from dataclasses import dataclass

from tallystick.proof.evidence.blocks import Attested, Headers, Revision, prove_headers
from tallystick.proof.evidence.bundle import Bundle, Json
from tallystick.proof.evidence.contents import check_contents
from tallystick.proof.evidence.documents import anchors_in, prove_document
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.founding import check_founders
from tallystick.proof.evidence.inclusion import prove_due_work, prove_transaction
from tallystick.proof.evidence.lineage import Holding, holdings
from tallystick.proof.evidence.standing import Signed, Standing
from tallystick.proof.evidence.state import prove_records
from tallystick.proof.evidence.story import Story, Unproven
from tallystick.proof.evidence.trade import prove_trade
from tallystick.proof.evidence.trust import Trusted, check_begins, eras_of, founders_of, genesis_of
from tallystick.proof.evidence.verdict import Verdict, countersigners, verdict_of


@dataclass(frozen=True, slots=True)
class Report:
    """What a bundle proves."""

    bundle: Bundle
    trusted: Trusted
    headers: Headers
    records: dict[str, Json]
    signed: tuple[Signed, ...]
    documents: dict[str, list[str]]
    verdict: Verdict
    holdings: tuple[Holding, ...]

    @property
    def attested(self) -> tuple[Attested, ...]:
        """Who attests which heights."""
        return self.headers.attested

    @property
    def unproven(self) -> tuple[Unproven, ...]:
        """What records claim and the bundle doesn't show."""
        return self.verdict.unproven


def verify(raw: bytes, trusted: Trusted) -> Report:
    """Prove all that a bundle says. Raises DecodeError where it can't be read, NotProven at the first failure."""
    bundle = Bundle.from_bytes(raw)
    check_contents(bundle)
    check_begins(bundle, trusted)
    eras = eras_of(bundle, trusted, lambda chain_id: _revisions(bundle, chain_id))
    headers = prove_headers(bundle, eras)
    genesis, founders = genesis_of(bundle, trusted), founders_of(trusted)
    records = prove_records(bundle, headers, None if genesis is None else genesis.tree_depth)
    if records.get(bundle.about) is None:
        raise NotProven("state", "the record that the bundle is about is not in it", bundle.about)
    if founders is not None:
        check_founders(founders, records)
    standing = Standing(records)
    signed = tuple(
        standing.check(one, prove_transaction(one, headers), headers.by_height[one.height].chain_id)
        for one in bundle.transactions
    )
    for work in bundle.due_work:
        prove_due_work(work, headers)
    story = Story.of(bundle, records, standing, signed)
    prove_trade(story)
    countersigned = countersigners(signed, headers)
    steps = ((one.where, one.envelope) for one in bundle.transactions)
    anchored = anchors_in((*((f"record {key}", value) for key, value in records.items()), *steps))
    documents = {one.hash.hex(): prove_document(one, anchored) for one in bundle.documents}
    verdict = verdict_of(story, trusted, headers, countersigned, eras)
    held = tuple(one for row in story.rows("receivable") for one in holdings(row, story) or ())
    return Report(bundle, trusted, headers, records, signed, documents, verdict, held)


def _revisions(bundle: Bundle, chain_id: str) -> tuple[Revision, ...]:
    """The revisions of the chain id that the bundle states; `prove_records` proves them before the report is made."""
    stated: dict[str, tuple[str, int]] = {}
    for one in bundle.records:
        if one.key.startswith("revision/") and isinstance(one.value, dict):
            predecessor, fork = one.value.get("predecessor"), one.value.get("fork_height")
            if isinstance(predecessor, str) and type(fork) is int:
                stated[predecessor] = (one.key.partition("/")[2], fork)
    found: list[Revision] = []
    while chain_id in stated and len(found) < len(stated):
        chain_id, fork = stated[chain_id]
        found.append(Revision(chain_id, fork))
    return tuple(found)
