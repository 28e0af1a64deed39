"""A7 terminals: organisations with keys of their own; none acts for another; records say who, when, on which review."""

import pytest

from tallystick.kernel.core.fields import Position
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.financing.records import FinancingState, Settlement
from tallystick.kernel.financing.request import PublishFinancing
from tallystick.kernel.financing.settlement import ConfirmFinancingReceipt
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.admission import EndorseRoles
from tallystick.kernel.membership.records import Member, Role, SigningKey
from tallystick.kernel.membership.standing import SetPermissions
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.reviews.records import Review, ReviewResult
from tallystick.kernel.transaction import body_bytes
from tallystick.kernel.transfers.records import Transfer
from tallystick.wire import envelope
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.claims.conftest import Founding
from tests.support.chain import GOVERNOR, Chain
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

    def __init__(self, found: Founding, settlement: Settlement = Settlement.LEDGER) -> None:
        self.m: Market = market(chain=found(Policies(publish_by_policy=False)))
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
def test_none_can_act_for_another_in_a_financing(found: Founding, settlement: Settlement) -> None:
    finance(Terminals(found, settlement))


def test_none_can_act_for_another_in_an_issue_and_a_transfer(found: Founding) -> None:
    issue_and_transfer(Terminals(found))


def test_every_step_of_a_financing_is_traced_to_who_signed_it_and_when(found: Founding) -> None:
    """Each moment that the records name is a place in a block, where the organisation's own transaction stands."""
    t = Terminals(found)
    m, chain = t.m, t.m.world
    financing = m.financing(finance(t))
    assert financing.award is not None
    assert financing.contract is not None
    assert financing.review is not None
    review = chain.row(Review, financing.review)
    assert (review.subject_kind, review.subject) == ("financing", financing.id)
    (decision,) = review.decisions
    assert (decision.reviewer, decision.result, decision.checklist) == (m.trade.auditor, ReviewResult.APPROVE, PASSED)
    story: list[tuple[Position | None, str, str]] = [
        (financing.requested, m.client, "financing.request"),
        (financing.evaluations[0].at, m.funder, "financing.evaluate"),
        (financing.quotes[0].at, m.funder, "financing.quote"),
        (financing.award.at, m.client, "financing.award"),
        (financing.contract.client_signed, m.client, "financing.sign_contract"),
        (financing.contract.funder_signed, m.funder, "financing.sign_contract"),
        (review.requested, m.funder, "financing.sign_contract"),
        (decision.at, m.trade.auditor, "review.decide"),
        (financing.registrations[0].at, m.funder, "financing.register"),
        (financing.ended, m.funder, "financing.settle"),
    ]
    times = []
    for position, who, what in story:
        assert position is not None, what
        assert chain.done_at(position) == (who, (what,))
        times.append(chain.engine.light_block(position.height).header.time)
    assert times == sorted(times)
    (transfer,) = [row for row in chain.state.rows.values() if isinstance(row, Transfer)]
    assert (transfer.sender, transfer.receiver, transfer.ended) == (m.client, m.funder, financing.ended)


def test_every_record_and_event_is_traced_to_a_transaction_that_its_organisation_signed(found: Founding) -> None:
    t = Terminals(found)
    issue_and_transfer(t)
    finance(t)
    chain = t.m.world
    owners = {row.id: row.member for row in chain.state.rows.values() if isinstance(row, SigningKey)}
    for placed in chain.events():
        if placed.cursor.index:  # else due work at block start: nobody's step, what was agreed falls due
            transaction = chain.transaction_at(Position(placed.cursor.height, placed.cursor.index - 1))
            assert {owners[key] for key in transaction.keys} == set(transaction.organisations)
    told = {placed.event.record for placed in chain.events()}
    reviewed = 0
    for row in chain.state.rows.values():
        name = getattr(row, "review", None)
        if name is None:
            continue
        review = chain.row(Review, name)
        assert review.subject == row.id
        assert row.id in told
        for decision in review.decisions:
            assert chain.done_at(decision.at) == (decision.reviewer, ("review.decide",))
        reviewed += 1
    assert reviewed == 6, "two accounts, two receivables, a transfer, a financing"


@pytest.mark.parametrize("party", ["client", "funder", "debtor"])
def test_an_auditor_decides_no_review_of_its_own_business(chain: Chain, party: str) -> None:
    m = market(chain=chain)
    who = {"client": m.client, "funder": m.funder, "debtor": m.trade.buyer}[party]
    member = chain.row(Member, who)
    roles = (*(grant.role for grant in member.roles), Role.AUDITOR)
    chain.do(EndorseRoles(member=who, roles=(Role.AUDITOR,)), by=chain.member(GOVERNOR, Role.GOVERNOR))
    permissions = tuple(grant.permission for grant in member.permissions)
    chain.do(SetPermissions(member=who, permissions=permissions, roles=roles), by=m.trade.second_auditor)
    financing = signed(m)
    chain.do(decision_of(m, financing), by=who, expect=Status.MUST_RECUSE)
    chain.do(decision_of(m, financing), by=m.trade.auditor)
