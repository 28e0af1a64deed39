"""A4 transfer (转单): a holder hands on any of its assets, or a part, reviewed by the receiver and by the auditor."""

import pytest

from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ChecklistItem, Finding, Review, ReviewResult, ReviewState
from tallystick.kernel.transfers.agreed import AcceptTransfer, DeclineTransfer, RequestTransfer
from tallystick.kernel.transfers.records import Transfer, TransferState
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.chain import Chain
from tests.support.receivables import Trade, holdings, issued, span, trade

FACE = 100_000
BACKGROUND = Anchor(hash="a" * 64, kind="trade_background")
HANDLING = Anchor(hash="b" * 64, kind="handling")
FINDINGS = Anchor(hash="c" * 64, kind="findings")


@pytest.fixture
def t(chain: Chain) -> Trade:
    return trade(chain)


def request(t: Trade, receivable: str, units: int) -> str:
    asked = RequestTransfer(
        receivable=receivable,
        parcel=span(1, FACE),
        currency="CNY",
        units=Units(units),
        receiver=t.maker,
        recourse=True,
        background=BACKGROUND,
    )
    return t.world.do(asked, by=t.supplier).events[0].record


def accept(t: Trade, transfer: str, units: int) -> str:
    acceptance = AcceptTransfer(transfer=transfer, currency="CNY", units=Units(units), handling=HANDLING)
    t.world.do(acceptance, by=t.maker)
    review: str = t.world.row(Transfer, transfer).review
    return review


@pytest.mark.parametrize("units", [FACE, 40_000, 1])
def test_the_whole_or_a_part_passes_and_is_valid_in_the_receivers_hands(t: Trade, units: int) -> None:
    receivable = issued(t.world, t.buyer, t.supplier, FACE, t.auditor)
    transfer = request(t, receivable, units)
    review = accept(t, transfer, units)
    assert holdings(t.world, receivable) == [(t.supplier, 1, FACE)]

    checklist = (ChecklistItem(item="trade_background", finding=Finding.PASSED),)
    approval = DecideReview(review=review, result=ReviewResult.APPROVE, checklist=checklist, findings=FINDINGS)
    t.world.do(approval, by=t.auditor)
    rest = [(t.supplier, units + 1, FACE)] if units < FACE else []
    assert holdings(t.world, receivable) == [(t.maker, 1, units), *rest]
    on_chain = t.world.row(Review, review)
    assert (on_chain.state, on_chain.handling) == (ReviewState.APPROVED, HANDLING)
    assert (on_chain.decisions[0].checklist, on_chain.decisions[0].findings) == (checklist, FINDINGS)


def test_any_of_its_assets(t: Trade) -> None:
    first = issued(t.world, t.buyer, t.supplier, FACE, t.auditor)
    second = issued(t.world, t.maker, t.supplier, FACE - 1, t.auditor)
    transfer = request(t, first, 10)
    assert t.world.row(Receivable, second).parcels[0].locks == ()
    assert t.world.row(Transfer, transfer).receivable == first


def test_not_accepted_it_stays_where_it_was_and_the_chain_says_why(t: Trade) -> None:
    receivable = issued(t.world, t.buyer, t.supplier, FACE, t.auditor)
    transfer = request(t, receivable, 10)
    declined = t.world.do(DeclineTransfer(transfer=transfer, reason="not_agreed"), by=t.maker)
    assert declined.events[0].facts["reason"] == "not_agreed"
    assert holdings(t.world, receivable) == [(t.supplier, 1, FACE)]


def test_not_passed_by_the_auditor_it_stays_where_it_was_and_the_chain_says_why(t: Trade) -> None:
    receivable = issued(t.world, t.buyer, t.supplier, FACE, t.auditor)
    transfer = request(t, receivable, 10)
    review = accept(t, transfer, 10)
    refusal = DecideReview(review=review, result=ReviewResult.REFUSE, reason="no_trade_background")
    t.world.do(refusal, by=t.auditor)
    assert t.world.row(Transfer, transfer).state is TransferState.REFUSED
    assert t.world.row(Review, review).reason == "no_trade_background"
    assert holdings(t.world, receivable) == [(t.supplier, 1, FACE)]


def test_only_the_holder_offers_and_only_the_receiver_accepts(t: Trade) -> None:
    receivable = issued(t.world, t.buyer, t.supplier, FACE, t.auditor)
    for other in (t.buyer, t.maker, t.auditor):
        foreign = RequestTransfer(
            receivable=receivable,
            parcel=span(1, FACE),
            currency="CNY",
            units=Units(1),
            receiver=t.funder,
            background=BACKGROUND,
        )
        t.world.do(foreign, by=other, expect=Status.RECEIVABLE_NOT_HELD)
    transfer = request(t, receivable, 10)
    acceptance = AcceptTransfer(transfer=transfer, currency="CNY", units=Units(10), handling=HANDLING)
    for other in (t.supplier, t.buyer, t.funder, t.auditor):
        t.world.do(acceptance, by=other, expect=Status.NOT_A_PARTY)
