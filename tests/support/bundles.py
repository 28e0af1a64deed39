"""A small ledger with one of each thing that evidence is given about, and the bundles of them.

A receivable of ten hops, some of it financed and all of it fallen due; a newcomer that was admitted, added and revoked
keys and set its signing policy; a review with a later finding; a refused step; countersigned blocks.
"""

import hashlib
from pathlib import Path
from typing import Any

from tallystick.kernel.calendar.days import start_of
from tallystick.kernel.core import codec
from tallystick.kernel.documents.anchors import AnchorDocument
from tallystick.kernel.membership.keys import AddKey, RevokeKey, SetSigningPolicy
from tallystick.kernel.membership.records import KeyRole, SigningRule
from tallystick.kernel.plans.conditions import AllOf, DataStated, DocumentsIn, OnDate, PayerAccepts, VerifiersAccept
from tallystick.kernel.plans.records import Plan
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.reviews.operations import DecideReview, NoteReview
from tallystick.kernel.reviews.records import Review, ReviewResult
from tallystick.kernel.transaction import Seen
from tallystick.ledger.evidence import BLOCK_START, collect
from tallystick.node.evidence import bundle_about
from tallystick.node.reading import PresentState
from tallystick.proof.evidence.bundle import Bundle, Document
from tallystick.proof.evidence.documents import ANCHOR_TAG
from tallystick.proof.evidence.genesis import Genesis
from tallystick.proof.evidence.rows import Place
from tallystick.wire.ids import record_id
from tallystick.wire.status import Status
from tests.conformance.chain import until_proven
from tests.conformance.engines import Embedded
from tests.support.chain import Chain, founded
from tests.support.evidence import PHOTOS, certificates, claimed, statement_of
from tests.support.evidence import acceptance_of as acceptance_of_evidence
from tests.support.financing import market, registered, settlement_of
from tests.support.members import anchor, application, key_of, public
from tests.support.plans import day, funded_plan, tranche
from tests.support.products import cast
from tests.support.receivables import PASSED, acceptance_of, confirm_of, issued, offered, passing_of, span
from tests.support.world import CHAIN_ID

PAPER = b"a delivery note of which only the salted hash is on the ledger"
SALT = hashlib.sha256(b"salt").digest()
HOPS = 10


class Ledger:
    """The ledger, at work; `things` are the ids that bundles are about, by what they are."""

    chain: Any  # the scenes take it where they take a World

    def __init__(self, home: Path, face: int = 1_000, hops: int = HOPS) -> None:
        self._hops = hops
        genesis = founded()
        self.genesis_file = codec.encode(genesis)
        self.genesis = Genesis.from_bytes(self.genesis_file)
        self.running = Embedded(home, genesis)
        self.chain = Chain(self.running, genesis)
        self.engine = self.running.engine
        m = market(chain=self.chain)
        self.market, self.auditor = m, m.trade.auditor
        self.things = {
            "receivable": issued(self.chain, m.trade.buyer, m.client, face, self.auditor),
            "financing": self._financing(),
            "member": self._newcomer(),
            "document": self._document(),
        }
        self._hand_on(self.things["receivable"])
        self.refused = self._refused(self.things["receivable"])
        self.things["review"] = self._noted(self.things["receivable"])
        self.things["plan"] = self._plan()
        self.things["product"] = self.chain.row(Plan, self.things["plan"]).product
        self.things["account"] = m.account_of(m.client)
        self._fall_due(self.things["receivable"])
        until_proven(self.engine, "protocol/chain")

    def _financing(self) -> str:
        """Settled on the ledger, the parcel passed."""
        financing = registered(self.market, 40_000_000)
        row = self.market.financing(financing)
        net = next(one.net for one in row.award.ranking) if row.award is not None else 0
        self.chain.do(settlement_of(self.market, financing, int(net)), by=self.market.funder)
        return financing

    def _newcomer(self) -> str:
        """Admitted by review; it adds a maker's and a checker's key, revokes one, and asks for both of the others."""
        chain, sponsor = self.chain, self.market.client
        raw = chain.sign(application("Newcomer"), by=sponsor, keys=(key_of("Newcomer"),), id="newcomer")
        assert chain.submit(raw).status is Status.OK
        member = record_id("mbr", CHAIN_ID, sponsor, "newcomer", 0)
        review = next(row for row in chain.state.rows.values() if isinstance(row, Review) and row.subject == member)
        chain.do(DecideReview(review=review.id, result=ReviewResult.APPROVE, checklist=PASSED), by=self.auditor)
        chain.keys[member], chain.names[member] = key_of("Newcomer"), "Newcomer"
        for name, role in (("second", KeyRole.MAKER), ("third", KeyRole.CHECKER), ("fourth", KeyRole.MAKER)):
            chain.do(AddKey(key=public(key_of(name)), role=role), by=member, keys=(key_of(name),))
        chain.do(RevokeKey(key=public(key_of("second"))), by=member)
        rules = (SigningRule(pattern="document.*", makers=1, checkers=1),)
        chain.do(SetSigningPolicy(rules=rules), by=member)
        return member

    def _document(self) -> str:
        """Anchored by the newcomer under its policy, by a maker's and a checker's key."""
        member = next(member for member, name in self.chain.names.items() if name == "Newcomer")
        digest = hashlib.sha256(ANCHOR_TAG + SALT + PAPER).hexdigest()
        note = AnchorDocument(anchor=codec.decode(type(anchor()), b'{"hash":"%s","kind":"note"}' % digest.encode()))
        self.chain.keys[member] = key_of("fourth")
        told = self.chain.do(note, by=member, keys=(key_of("third"),))
        self.chain.keys[member] = key_of("Newcomer")
        record: str = told.events[0].record
        return record

    def _hand_on(self, receivable: str) -> None:
        """The first five hops of fewer units; each receiver countersigns the chain with its acceptance."""
        m = self.market
        holders = (m.client, m.trade.maker, m.funder, m.rival)
        first, last = 1, int(self.chain.row(Receivable, receivable).face)
        for hop in range(self._hops):
            sender, receiver = holders[hop % len(holders)], holders[(hop + 1) % len(holders)]
            units = last - first + 1 - 10 * (hop < 5)
            transfer = offered(self.chain, receivable, span(first, last), units, sender, receiver)
            height = self.chain.height
            seen = Seen(height=height, block=self.engine.light_block(height).header.hash().hex())
            self.chain.do(acceptance_of(self.chain, transfer), by=receiver, seen=seen)
            self.chain.do(passing_of(self.chain, transfer), by=self.auditor)
            last = first + units - 1

    def _refused(self, receivable: str) -> Place:
        """A step that was ordered and refused: the creditor confirms once more."""
        found = self.chain.submit(self.chain.sign(confirm_of(self.chain, receivable), by=self.market.client)).place
        assert found is not None
        return found.height, found.index

    def _noted(self, receivable: str) -> str:
        """A later finding on the review by which it became valid."""
        row: Receivable = self.chain.row(Receivable, receivable)
        assert row.review is not None
        self.chain.do(NoteReview(review=row.review, code="second_look"), by=self.auditor)
        return row.review

    def _fall_due(self, receivable: str) -> None:
        """The buyer has no account: it becomes overdue by itself."""
        row: Receivable = self.chain.row(Receivable, receivable)
        assert row.overdue_at is not None
        self.chain.wait(until=row.overdue_at.plus(1))

    def _plan(self) -> str:
        """Two steps released: one on documents, a statement and two persons' word; the other by its day."""
        c = cast(self.chain)
        verifiers = VerifiersAccept(needed=1, verifiers=c.verifiers[:2])
        rule = AllOf(of=(PayerAccepts(), verifiers, DocumentsIn(), DataStated(source=c.source, kind="arrival")))
        steps = (tranche(condition=rule, materials=(PHOTOS,)), tranche(condition=OnDate(on=day(4, 2))))
        plan = funded_plan(self.chain, c, *steps)
        self.chain.do(statement_of(plan, "arrival"), by=c.source)
        claimed(self.chain, plan)
        for by in (c.verifiers[0], c.payer):
            self.chain.do(acceptance_of_evidence(self.chain, plan), by=by)
        self.chain.wait(until=start_of(PresentState(self.engine), day(4, 3)))
        self.chain.wait(until=start_of(PresentState(self.engine), day(4, 10)))
        assert len(certificates(self.chain, plan)) == len(steps)
        return plan

    def bundle(self, thing: str) -> Bundle:
        """The evidence about one of the things; that of the receivable with the step that was refused."""
        documents: tuple[Document, ...] = ()
        if thing == "document":
            documents = (Document(hashlib.sha256(ANCHOR_TAG + SALT + PAPER).digest(), SALT, PAPER),)
        found = bundle_about(self.engine, self.genesis_file, self.things[thing], documents)
        if thing != "receivable":
            return found
        places = [*((one.height, one.index) for one in found.transactions), self.refused]
        places += [(work.height, BLOCK_START) for work in found.due_work]
        return collect(self.engine, found.about, found.genesis, [one.key for one in found.records], places)

    def close(self) -> None:
        """Stop it."""
        self.running.close()
