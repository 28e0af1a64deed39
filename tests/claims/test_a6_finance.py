"""A6 finance (融资): asked, published, evaluated, quoted, agreed, reviewed, paid out, and the asset handed on."""

import pytest

from tallystick.kernel.financing.records import Financing, FinancingState, Settlement
from tallystick.kernel.financing.request import PublishFinancing
from tallystick.kernel.financing.settlement import ConfirmFinancingReceipt
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ChecklistItem, Finding, Review, ReviewResult, ReviewState
from tallystick.kernel.transfers.records import Transfer, TransferKind
from tallystick.wire.amounts import Units
from tests.claims.conftest import Founding
from tests.support.accounts import check_books, money
from tests.support.financing import (
    MILLION,
    Market,
    asked,
    award_of,
    contract_of,
    evaluation_of,
    market,
    net_on,
    pass_deadline,
    quote_of,
    registration_of,
    request_of,
    settlement_of,
)
from tests.support.receivables import DUE_ON, anchor, holdings

HANDLING = anchor("handling", "A6")
FINDINGS = anchor("findings", "A6")
CHECKLIST = (ChecklistItem(item="trade_background", finding=Finding.PASSED),)


@pytest.fixture
def m(found: Founding) -> Market:
    return market(chain=found(Policies(publish_by_policy=False)))


def ask_and_publish(m: Market, settlement: Settlement = Settlement.LEDGER) -> str:
    """The client asks; the asset-management terminal publishes the request."""
    financing = m.world.do(request_of(m, settlement=settlement), by=m.client).events[0].record
    assert m.financing(financing).state is FinancingState.REQUESTED
    m.world.do(PublishFinancing(financing=financing), by=m.funder)
    assert "financing.published" in m.world.told(m.funder)
    return financing


def take_and_agree(m: Market, financing: str) -> str:
    """The funder evaluates, takes it, names its rate, agrees a contract and asks for the review, which is returned."""
    m.world.do(evaluation_of(financing), by=m.funder)
    m.world.do(quote_of(m, financing, "4.8"), by=m.funder)
    pass_deadline(m, financing)
    m.world.do(award_of(m, financing, m.funder), by=m.client)
    m.world.do(contract_of(m, financing), by=m.client)
    m.world.do(contract_of(m, financing, handling=HANDLING), by=m.funder)
    review = m.financing(financing).review
    assert review is not None
    return review


def approve(m: Market, review: str) -> None:
    decision = DecideReview(review=review, result=ReviewResult.APPROVE, checklist=CHECKLIST, findings=FINDINGS)
    m.world.do(decision, by=m.trade.auditor)


def price(m: Market) -> int:
    return net_on(MILLION, "4.8", m.world.today(), DUE_ON)


def test_from_the_request_to_the_asset_in_the_funders_hands(m: Market) -> None:
    financing = ask_and_publish(m)
    review = take_and_agree(m, financing)
    assert m.world.row(Review, review).handling == HANDLING
    approve(m, review)
    on_chain = m.world.row(Review, review)
    assert on_chain.state is ReviewState.APPROVED
    assert (on_chain.decisions[0].reviewer, on_chain.decisions[0].checklist) == (m.trade.auditor, CHECKLIST)
    assert on_chain.decisions[0].findings == FINDINGS
    assert holdings(m.world, m.receivable) == [(m.client, 1, MILLION)]

    m.world.do(registration_of(financing), by=m.funder)
    net = price(m)
    m.world.do(settlement_of(m, financing, net), by=m.funder)
    assert holdings(m.world, m.receivable) == [(m.funder, 1, MILLION)]
    assert money(m.world, m.client) == net
    check_books(m.world)
    row = m.financing(financing)
    assert row.state is FinancingState.SETTLED
    (transfer,) = [each for each in m.world.state.rows.values() if isinstance(each, Transfer)]
    assert (transfer.kind, transfer.sender, transfer.receiver) == (TransferKind.FINANCING, m.client, m.funder)
    for party in (m.client, m.funder, m.trade.buyer):
        assert "financing.settled" in m.world.told(party)
    assert "transfer.debtor_notified" in m.world.told(m.trade.buyer)


def test_paid_out_through_a_bank_and_handed_on_by_the_client(m: Market) -> None:
    financing = ask_and_publish(m, Settlement.BANK)
    approve(m, take_and_agree(m, financing))
    m.world.do(registration_of(financing), by=m.funder)
    net = price(m)
    m.world.do(settlement_of(m, financing, net), by=m.funder)
    assert holdings(m.world, m.receivable) == [(m.client, 1, MILLION)]
    m.world.do(ConfirmFinancingReceipt(financing=financing, currency="CNY", net=Units(net)), by=m.client)
    assert holdings(m.world, m.receivable) == [(m.funder, 1, MILLION)]
    assert m.financing(financing).state is FinancingState.SETTLED


def test_nobody_takes_it_and_the_client_keeps_a_free_asset(m: Market) -> None:
    financing = ask_and_publish(m)
    m.world.do(evaluation_of(financing, accepts=False), by=m.funder)
    pass_deadline(m, financing)
    row: Financing = m.financing(financing)
    assert row.state is FinancingState.NO_QUOTES
    assert [(each.funder, each.accepts) for each in row.evaluations] == [(m.funder, False)]
    assert "financing.no_quotes" in m.world.told(m.client)
    asked(m)


def test_not_passed_by_the_auditor_no_money_moves_and_the_chain_says_why(m: Market) -> None:
    financing = ask_and_publish(m)
    review = take_and_agree(m, financing)
    before = money(m.world, m.funder)
    refusal = DecideReview(review=review, result=ReviewResult.REFUSE, reason="no_trade_background", findings=FINDINGS)
    m.world.do(refusal, by=m.trade.auditor)
    row = m.financing(financing)
    assert (row.state, row.reason) == (FinancingState.REFUSED, "no_trade_background")
    on_chain = m.world.row(Review, review)
    assert (on_chain.state, on_chain.decisions[0].findings) == (ReviewState.REFUSED, FINDINGS)
    assert holdings(m.world, m.receivable) == [(m.client, 1, MILLION)]
    assert m.world.row(Receivable, m.receivable).parcels[0].locks == ()
    assert money(m.world, m.funder) == before
    for party in (m.client, m.funder):
        assert "financing.refused" in m.world.told(party)
