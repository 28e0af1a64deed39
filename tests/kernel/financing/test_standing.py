"""What a suspension, a succession and a wish to leave do to requests and offers that nobody is bound by."""

from tallystick.kernel.financing.records import FinancingState, QuoteState
from tallystick.kernel.financing.registration import CancelRegistration
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import LeaveChain, SucceedMember, SuspendMember
from tallystick.kernel.receivables.records import Receivable
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.financing import (
    MILLION,
    Market,
    approved,
    asked,
    award_of,
    awarded,
    contract_of,
    market,
    net_on,
    pass_deadline,
    quoted,
    registered,
    sealed,
    settlement_of,
    terms_of,
)
from tests.support.receivables import DUE_ON, anchor, holdings


def suspend(m: Market, member: str) -> None:
    m.world.do(SuspendMember(member=member, reason="papers_in_doubt"), by=m.trade.auditor)


def locked(m: Market) -> bool:
    return any(parcel.locks for parcel in m.world.row(Receivable, m.receivable).parcels)


def test_a_suspended_clients_open_request_ends_and_unlocks() -> None:
    m = market()
    financing_id = asked(m)
    quoted(m, financing_id, m.funder)
    suspend(m, m.client)
    row = m.financing(financing_id)
    assert (row.state, row.reason) == (FinancingState.WITHDRAWN, "party_suspended")
    assert not locked(m)


def test_a_suspended_funders_quote_is_out_and_the_others_stand() -> None:
    m = market()
    financing_id = asked(m)
    for funder, rate in ((m.funder, "5"), (m.rival, "6")):
        quoted(m, financing_id, funder, rate)
    suspend(m, m.funder)
    row = m.financing(financing_id)
    assert [quote.state for quote in row.quotes] == [QuoteState.OUT, QuoteState.OPEN]
    assert m.funder not in row.live_for()
    pass_deadline(m, financing_id)
    m.world.do(award_of(m, financing_id, m.funder), by=m.client, expect=Status.QUOTE_NOT_OPEN)
    m.world.do(award_of(m, financing_id, m.rival), by=m.client)


def test_the_only_quote_is_out_after_closing() -> None:
    m = market()
    financing_id = asked(m)
    quoted(m, financing_id, m.funder)
    pass_deadline(m, financing_id)
    suspend(m, m.funder)
    assert m.financing(financing_id).state is FinancingState.NO_QUOTES
    assert not locked(m)


def test_a_sealed_quote_of_a_suspended_funder_is_out() -> None:
    m = market()
    financing_id = asked(m, sealed=True)
    sealed(m, financing_id, m.funder, terms_of(m))
    suspend(m, m.funder)
    assert m.financing(financing_id).quotes[0].state is QuoteState.OUT
    pass_deadline(m, financing_id)
    assert m.financing(financing_id).state is FinancingState.NO_QUOTES


def test_an_awarded_funder_that_is_suspended_gives_way() -> None:
    m = market()
    financing_id = awarded(m, rates=((m.funder, "5"), (m.rival, "6")))
    m.world.do(contract_of(m, financing_id), by=m.client)
    suspend(m, m.funder)
    row = m.financing(financing_id)
    assert (row.state, row.contract) == (FinancingState.QUOTED, None)
    assert locked(m)
    m.world.do(award_of(m, financing_id, m.rival), by=m.client)


def test_a_suspended_client_of_a_failed_settlement_awards_no_more() -> None:
    m = market()
    financing_id = approved(m, rates=((m.funder, "5"), (m.rival, "6")))
    pass_deadline(m, financing_id)
    suspend(m, m.client)
    row = m.financing(financing_id)
    assert (row.state, row.deadline) == (FinancingState.SETTLEMENT_FAILED, None)


def test_a_suspended_funder_of_another_attempt_is_out() -> None:
    m = market()
    financing_id = approved(m, rates=((m.funder, "5"), (m.rival, "6")))
    pass_deadline(m, financing_id)
    suspend(m, m.rival)
    row = m.financing(financing_id)
    assert [quote.state for quote in row.quotes] == [QuoteState.FAILED, QuoteState.OUT]


def test_a_suspended_member_that_never_quoted_changes_nothing() -> None:
    m = market()
    financing_id = asked(m)
    before = m.financing(financing_id)
    suspend(m, m.rival)
    assert m.financing(financing_id) == before


def test_nobody_leaves_while_named_in_a_live_financing() -> None:
    m = market()
    financing_id = registered(m)
    for party in (m.client, m.arbitrator):
        m.world.do(LeaveChain(), by=party, expect=Status.STILL_LIVE)
    net = net_on(MILLION, "5.5", m.world.today(), DUE_ON)
    m.world.do(settlement_of(m, financing_id, net), by=m.funder)
    m.world.do(LeaveChain(), by=m.arbitrator)


def test_a_funder_does_not_leave_a_registration_behind() -> None:
    m = market()
    financing_id = registered(m)
    pass_deadline(m, financing_id)
    m.world.wait(40 * DAY_MS)
    assert m.financing(financing_id).live_for() == (m.funder,)
    m.world.do(LeaveChain(), by=m.funder, expect=Status.STILL_LIVE)
    cancel = CancelRegistration(financing=financing_id, number="R-2026-0001", cancellation="C-2026-0001")
    m.world.do(cancel, by=m.funder)
    assert m.financing(financing_id).live_for() == ()


def test_a_successor_settles_what_the_client_signed() -> None:
    m = market()
    financing_id = registered(m)
    heir = m.world.member("Heir", Role.CLIENT)
    order = anchor("court_order")
    m.world.do(SucceedMember(member=m.client, successor=heir, order=order), by=m.trade.auditor)
    assert m.financing(financing_id).client == heir
    net = net_on(MILLION, "5.5", m.world.today(), DUE_ON)
    m.world.do(settlement_of(m, financing_id, net), by=m.funder)
    assert holdings(m.world, m.receivable) == [(m.funder, 1, MILLION)]
