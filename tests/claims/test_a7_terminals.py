"""A7 terminals: organisations with keys of their own; none acts for another; records say who, when, on which review."""

import pytest
from msgspec.structs import replace

from tallystick.kernel.core.fields import Position
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.financing.records import FinancingState, Settlement
from tallystick.kernel.financing.request import PublishFinancing
from tallystick.kernel.financing.settlement import ConfirmFinancingReceipt
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Member
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.reviews.records import Review, ReviewResult
from tallystick.kernel.transaction import body_bytes
from tallystick.kernel.transfers.records import Transfer
from tallystick.wire import envelope
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.financing import (
    MILLION,
    Market,
    award_of,
    contract_of,
    decision_of,
    evaluation_of,
    market,
    net_on,
    pass_deadline,
    quote_of,
    registration_of,
    request_of,
    settlement_of,
    signed,
)
from tests.support.receivables import (
    DUE_ON,
    PASSED,
    acceptance_of,
    anchor,
    approval_of,
    confirm_of,
    offer_of,
    passing_of,
    span,
)
from tests.support.receivables import request_of as issue_of
from tests.support.world import CHAIN_ID

# What stands in the way of one who is not entitled.
NOT_ENTITLED = {
    Status.NOT_A_PARTY,
    Status.ROLE_MISSING,
    Status.NOT_THE_REVIEWER,
    Status.NOT_INVITED,
    Status.RECEIVABLE_NOT_HELD,
    Status.NOT_EVALUATED,
    Status.MUST_RECUSE,
    Status.SAME_PARTY,
}


class Terminals:
    """The organisations of a market, and what each tries."""

    def __init__(self, settlement: Settlement = Settlement.LEDGER) -> None:
        self.m: Market = market(policies=Policies(publish_by_policy=False))
        trade = self.m.trade
        self.everyone = (
            trade.buyer,
            trade.supplier,
            trade.maker,
            trade.funder,
            self.m.rival,
            trade.auditor,
            self.m.platform,
            self.m.arbitrator,
            self.m.custodian,
        )
        self.settlement = settlement

    def step(self, operation: Operation, by: str, also_entitled: tuple[str, ...] = ()) -> str:
        """Everybody else tries `operation` first, in its own name and in that of `by`; then `by` does it."""
        world = self.m.world
        for other in self.everyone:
            if other == by:
                continue
            forged = body_bytes(CHAIN_ID, by, f"forged-{world.height}", world.now.plus(DAY_MS), (operation,))
            stolen = world.submit(envelope.sign(forged, world.keys[other]).to_bytes())
            assert stolen.status is Status.KEY_UNKNOWN, (operation.name, world.names[other], stolen.status)
            if other not in also_entitled:
                tried = world.submit(world.sign(operation, by=other))
                assert tried.status in NOT_ENTITLED, (operation.name, world.names[other], tried.status, tried.facts)
        events = world.do(operation, by=by).events
        return events[0].record if events else ""


def issue_and_transfer(t: Terminals) -> None:
    """A receivable from request to validity, and a part of it handed on: every step by its own terminal alone."""
    m, world, trade = t.m, t.m.world, t.m.trade
    either = (trade.buyer, trade.supplier)
    receivable = t.step(issue_of(trade.buyer, trade.supplier, 5_000), trade.buyer, also_entitled=either)
    t.step(confirm_of(world, receivable), trade.supplier)
    auditors = (trade.auditor, trade.second_auditor)
    t.step(approval_of(world, receivable), trade.auditor, also_entitled=auditors)
    transfer = t.step(offer_of(world, receivable, span(1, 5_000), 2_000, trade.maker), trade.supplier)
    t.step(acceptance_of(world, transfer), trade.maker)
    t.step(passing_of(world, transfer), trade.auditor, also_entitled=auditors)
    assert world.row(Receivable, receivable).valid is not None
    assert m.world.row(Transfer, transfer).ended is not None


def finance(t: Terminals) -> str:
    """A financing from request to settlement: every step by its own terminal alone."""
    m = t.m
    funders = (m.funder, m.rival)
    financing = t.step(request_of(m, settlement=t.settlement), m.client)
    t.step(PublishFinancing(financing=financing), m.funder, also_entitled=(*funders, m.platform))
    t.step(evaluation_of(financing), m.funder, also_entitled=funders)
    t.step(quote_of(m, financing), m.funder)
    pass_deadline(m, financing)
    t.step(award_of(m, financing, m.funder), m.client)
    t.step(contract_of(m, financing), m.client)
    t.step(contract_of(m, financing, handling=anchor("handling")), m.funder)
    t.step(decision_of(m, financing), m.trade.auditor)
    t.step(registration_of(financing), m.funder)
    net = net_on(MILLION, "5.5", m.world.today(), DUE_ON)
    t.step(settlement_of(m, financing, net), m.funder)
    if t.settlement is Settlement.BANK:
        payment = m.financing(financing).payment
        assert payment is not None
        t.step(ConfirmFinancingReceipt(financing=financing, currency="CNY", net=payment.price.net), m.client)
    assert m.financing(financing).state is FinancingState.SETTLED
    return financing


@pytest.mark.parametrize("settlement", list(Settlement))
def test_none_can_act_for_another_in_a_financing(settlement: Settlement) -> None:
    finance(Terminals(settlement))


def test_none_can_act_for_another_in_an_issue_and_a_transfer() -> None:
    issue_and_transfer(Terminals())


def test_every_record_says_who_when_and_on_which_review() -> None:
    t = Terminals()
    m = t.m
    financing = m.financing(finance(t))
    world = m.world
    assert financing.award is not None
    assert financing.contract is not None
    assert financing.review is not None
    review = world.row(Review, financing.review)
    assert (review.subject_kind, review.subject) == ("financing", financing.id)
    (decision,) = review.decisions
    assert (decision.reviewer, decision.result, decision.checklist) == (m.trade.auditor, ReviewResult.APPROVE, PASSED)
    moments: list[Position | None] = [
        financing.requested,
        financing.evaluations[0].at,
        financing.quotes[0].at,
        financing.award.at,
        financing.contract.client_signed,
        financing.contract.funder_signed,
        decision.at,
        financing.registrations[0].at,
        financing.ended,
    ]
    known = [moment for moment in moments if moment is not None]
    assert len(known) == len(moments)
    assert known == sorted(known)
    (transfer,) = [row for row in world.state.rows.values() if isinstance(row, Transfer)]
    assert (transfer.sender, transfer.receiver, transfer.ended) == (m.client, m.funder, financing.ended)


def test_an_auditor_decides_no_review_of_its_own_business() -> None:
    """Not as client, not as funder, not as debtor."""
    for party in ("client", "funder", "buyer"):
        m = market()
        who = {"client": m.client, "funder": m.funder, "buyer": m.trade.buyer}[party]
        auditor = m.world.row(Member, m.trade.auditor)
        m.world.put(replace(m.world.row(Member, who), roles=(*m.world.row(Member, who).roles, *auditor.roles)))
        financing = signed(m)
        m.world.do(decision_of(m, financing), by=who, expect=Status.MUST_RECUSE)
        m.world.do(decision_of(m, financing), by=m.trade.auditor)
