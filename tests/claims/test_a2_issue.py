"""A2 issue (开单): request, the counterparty's review, the processing review, and the mark of validity."""

import datetime

import pytest

from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.receivables.issue import ConfirmReceivable, DeclineReceivable, RequestReceivable
from tallystick.kernel.receivables.records import InvoiceUse, Receivable, ReceivableState
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ChecklistItem, Finding, Review, ReviewResult, ReviewState
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.chain import Chain
from tests.support.receivables import trade

FACE = Units(250_000_00)
CONTRACT = Anchor(hash="a" * 64, kind="contract")
HANDLING = Anchor(hash="b" * 64, kind="handling")
FINDINGS = Anchor(hash="c" * 64, kind="findings")
INVOICE = InvoiceUse(fingerprint="d" * 64, amount=FACE, total=FACE)


class Clients:
    """Two clients and an auditor, each with keys of its own."""

    def __init__(self, chain: Chain) -> None:
        before = trade(chain)
        self.world = before.world
        self.buyer, self.supplier, self.auditor = before.buyer, before.supplier, before.auditor

    def request(self) -> str:
        asked = RequestReceivable(
            debtor=self.buyer,
            creditor=self.supplier,
            currency="CNY",
            face=FACE,
            issue_on=datetime.date(2026, 3, 2),
            due_on=datetime.date(2026, 8, 31),
            invoices=(INVOICE,),
            contracts=(CONTRACT,),
        )
        return self.world.do(asked, by=self.buyer).events[0].record

    def confirm(self, receivable: str) -> str:
        confirmed = ConfirmReceivable(
            receivable=receivable, currency="CNY", face=FACE, handling=HANDLING, consent_to_notices=True
        )
        self.world.do(confirmed, by=self.supplier)
        review: str = self.world.row(Receivable, receivable).review
        return review

    def state_of(self, receivable: str) -> ReceivableState:
        state: ReceivableState = self.world.row(Receivable, receivable).state
        return state


@pytest.fixture
def c(chain: Chain) -> Clients:
    return Clients(chain)


def test_requested_reviewed_by_both_and_marked_valid(c: Clients) -> None:
    receivable = c.request()
    assert c.state_of(receivable) is ReceivableState.REQUESTED

    review = c.confirm(receivable)
    assert c.state_of(receivable) is ReceivableState.UNDER_REVIEW
    on_chain = c.world.row(Review, review)
    assert (on_chain.handling, on_chain.subject) == (HANDLING, receivable)

    checklist = (ChecklistItem(item="invoice", finding=Finding.PASSED),)
    approval = DecideReview(
        review=review,
        result=ReviewResult.APPROVE,
        checklist=checklist,
        fingerprints=(INVOICE.fingerprint,),
        findings=FINDINGS,
    )
    c.world.do(approval, by=c.auditor)
    row = c.world.row(Receivable, receivable)
    assert row.state is ReceivableState.VALID
    assert [(parcel.holder, parcel.interval.length) for parcel in row.parcels] == [(c.supplier, FACE)]
    decided = c.world.row(Review, review)
    assert decided.state is ReviewState.APPROVED
    decision = decided.decisions[0]
    assert (decision.reviewer, decision.checklist, decision.findings) == (c.auditor, checklist, FINDINGS)


def test_not_passed_at_the_counterpartys_review_no_asset_and_the_chain_says_why(c: Clients) -> None:
    receivable = c.request()
    declined = c.world.do(DeclineReceivable(receivable=receivable, reason="goods_not_delivered"), by=c.supplier)
    assert c.state_of(receivable) is ReceivableState.DECLINED
    assert declined.events[0].facts["reason"] == "goods_not_delivered"
    assert c.world.row(Receivable, receivable).parcels == ()


def test_not_passed_at_the_auditors_review_no_asset_and_the_chain_says_why(c: Clients) -> None:
    receivable = c.request()
    review = c.confirm(receivable)
    item = ChecklistItem(item="invoice", finding=Finding.FAILED, code="not_found_at_the_tax_office")
    refusal = DecideReview(
        review=review, result=ReviewResult.REFUSE, checklist=(item,), reason="no_trade_background", findings=FINDINGS
    )
    c.world.do(refusal, by=c.auditor)
    assert c.state_of(receivable) is ReceivableState.REFUSED
    assert c.world.row(Receivable, receivable).parcels == ()
    decided = c.world.row(Review, review)
    assert (decided.state, decided.reason, decided.decisions[0].checklist) == (
        ReviewState.REFUSED,
        "no_trade_background",
        (item,),
    )


def test_no_step_can_be_skipped_and_nobody_acts_for_another(c: Clients) -> None:
    receivable = c.request()
    confirmed = ConfirmReceivable(
        receivable=receivable, currency="CNY", face=FACE, handling=HANDLING, consent_to_notices=True
    )
    c.world.do(confirmed, by=c.buyer, expect=Status.NOT_A_PARTY)
    review = c.confirm(receivable)
    approval = DecideReview(review=review, result=ReviewResult.APPROVE, fingerprints=(INVOICE.fingerprint,))
    for client in (c.buyer, c.supplier):
        c.world.do(approval, by=client, expect=Status.NOT_THE_REVIEWER)
    assert c.state_of(receivable) is ReceivableState.UNDER_REVIEW
