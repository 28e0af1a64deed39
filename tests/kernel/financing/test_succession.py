"""Successions among client, funders, debtor, arbitrator: nobody finances itself, buys its own debt or rules on it."""

import pytest

from tallystick.kernel.financing.records import Financing, FinancingState, QuoteState, Settlement, Verdict
from tallystick.kernel.financing.settlement import (
    ConfirmFinancingReceipt,
    DisputeFinancingReceipt,
    RuleOnFinancing,
)
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SucceedMember
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.reviews.records import Review, ReviewState
from tallystick.kernel.transfers.records import Transfer, TransferKind
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.accounts import check_books, opened
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
    reveal_of,
    sealed,
    settlement_of,
    signed,
    terms_of,
)
from tests.support.receivables import DUE_ON, anchor, holdings


def succeeded(m: Market, member: str, successor: str) -> None:
    order = anchor("court_order")
    m.world.do(SucceedMember(member=member, successor=successor, order=order), by=m.trade.auditor)


def rates(m: Market) -> tuple[tuple[str, str], ...]:
    return ((m.funder, "5"), (m.rival, "6"))


def locked(m: Market) -> bool:
    return any(parcel.locks for parcel in m.world.row(Receivable, m.receivable).parcels)


def states(financing: Financing) -> list[QuoteState]:
    return [quote.state for quote in financing.quotes]


def net_today(m: Market, rate: str = "5.5") -> Units:
    return Units(net_on(MILLION, rate, m.world.today(), DUE_ON))


def paid(m: Market) -> str:
    """A bank financing whose funder says that it paid."""
    financing_id = registered(m, settlement=Settlement.BANK)
    m.world.do(settlement_of(m, financing_id, net_today(m)), by=m.funder)
    return financing_id


def test_a_clients_successor_awards_nothing_to_itself() -> None:
    m = market()
    financing_id = asked(m)
    for funder, rate in rates(m):
        quoted(m, financing_id, funder, rate)
    pass_deadline(m, financing_id)
    succeeded(m, m.client, m.funder)
    row = m.financing(financing_id)
    assert (row.state, row.client, states(row)) == (
        FinancingState.QUOTED,
        m.funder,
        [QuoteState.OUT, QuoteState.OPEN],
    )
    m.world.do(award_of(m, financing_id, m.funder), by=m.funder, expect=Status.QUOTE_NOT_OPEN)
    m.world.do(award_of(m, financing_id, m.rival), by=m.funder)


def test_the_only_quote_was_the_clients_successors() -> None:
    m = market()
    financing_id = asked(m)
    quoted(m, financing_id, m.funder)
    pass_deadline(m, financing_id)
    succeeded(m, m.funder, m.client)
    row = m.financing(financing_id)
    assert (row.state, row.reason) == (FinancingState.NO_QUOTES, "parties_are_one")
    assert not locked(m)


def test_an_award_to_oneself_gives_way() -> None:
    m = market()
    financing_id = awarded(m, rates=rates(m))
    m.world.do(contract_of(m, financing_id), by=m.client)
    succeeded(m, m.client, m.funder)
    row = m.financing(financing_id)
    assert (row.state, states(row)) == (FinancingState.QUOTED, [QuoteState.FAILED, QuoteState.OPEN])
    assert locked(m)


def test_a_contract_with_oneself_under_review_ends() -> None:
    m = market()
    financing_id = signed(m)
    succeeded(m, m.client, m.funder)
    row = m.financing(financing_id)
    assert (row.state, row.reason) == (FinancingState.EXPIRED, "parties_are_one")
    assert m.world.row(Review, row.review).state is ReviewState.WITHDRAWN
    assert not locked(m)


@pytest.mark.parametrize("stage", [approved, registered, paid])
def test_a_settlement_with_oneself_fails(stage: object) -> None:
    m = market()
    financing_id = stage(m)  # type: ignore[operator]  # one of the scenes named above
    opened(m.world, m.rival, m.custodian)
    succeeded(m, m.funder, m.client)
    row = m.financing(financing_id)
    assert (row.state, row.reason) == (FinancingState.SETTLEMENT_FAILED, "parties_are_one")
    assert (locked(m), holdings(m.world, m.receivable)) == (False, [(m.client, 1, MILLION)])
    m.world.do(settlement_of(m, financing_id, 1), by=m.client, expect=Status.WRONG_STATE)


def test_after_a_failed_settlement_the_clients_successor_does_not_award_to_itself() -> None:
    m = market()
    financing_id = approved(m, rates=rates(m))
    succeeded(m, m.client, m.rival)
    assert states(m.financing(financing_id)) == [QuoteState.AWARDED, QuoteState.OUT]
    pass_deadline(m, financing_id)
    m.world.do(award_of(m, financing_id, m.rival), by=m.rival, expect=Status.DEADLINE_PASSED)


@pytest.mark.parametrize("winner", ["funder", "rival"])
def test_of_two_quotes_of_one_funder_the_awarded_one_stands(winner: str) -> None:
    m = market()
    financing_id = asked(m)
    for funder, rate in rates(m):
        quoted(m, financing_id, funder, rate)
    pass_deadline(m, financing_id)
    m.world.do(award_of(m, financing_id, getattr(m, winner)), by=m.client)
    succeeded(m, m.rival, m.funder)
    row = m.financing(financing_id)
    assert sorted(state.value for state in states(row)) == ["awarded", "out"]
    quote = row.quote_of(m.funder)
    assert quote is not None
    assert (row.funder, quote.state) == (m.funder, QuoteState.AWARDED)
    m.world.do(contract_of(m, financing_id), by=m.client)
    m.world.do(contract_of(m, financing_id, handling=anchor("handling")), by=m.funder)


def test_of_two_open_quotes_the_successors_own_stands() -> None:
    m = market()
    financing_id = asked(m)
    for funder, rate in rates(m):
        quoted(m, financing_id, funder, rate)
    succeeded(m, m.rival, m.funder)
    assert states(m.financing(financing_id)) == [QuoteState.OPEN, QuoteState.OUT]


def test_nobody_opens_what_its_predecessor_sealed_and_it_is_not_counted_against_it() -> None:
    m = market()
    financing_id = asked(m, sealed=True)
    terms = terms_of(m)
    sealed(m, financing_id, m.funder, terms)
    sealed(m, financing_id, m.rival, terms)
    heir = m.world.member("Heir", Role.FUNDER)
    succeeded(m, m.funder, heir)
    pass_deadline(m, financing_id)
    m.world.do(reveal_of(m, financing_id, terms), by=heir, expect=Status.QUOTE_NOT_OPEN)
    m.world.do(reveal_of(m, financing_id, terms), by=m.rival)
    row = m.financing(financing_id)
    assert (row.state, states(row)) == (FinancingState.QUOTED, [QuoteState.OUT, QuoteState.OPEN])
    assert f"non_reveal/{heir}" not in m.world.state.rows


def test_a_debtors_successor_is_the_debtor_of_the_financing_and_quotes_no_more() -> None:
    m = market()
    financing_id = asked(m)
    for funder, rate in rates(m):
        quoted(m, financing_id, funder, rate)
    succeeded(m, m.trade.buyer, m.funder)
    row = m.financing(financing_id)
    assert (row.debtor, states(row)) == (m.funder, [QuoteState.OUT, QuoteState.OPEN])


def test_a_client_that_became_the_debtor_asks_no_more() -> None:
    m = market()
    financing_id = asked(m)
    quoted(m, financing_id, m.funder)
    succeeded(m, m.trade.buyer, m.client)
    row = m.financing(financing_id)
    assert (row.state, row.reason) == (FinancingState.WITHDRAWN, "parties_are_one")
    assert not locked(m)


def test_a_client_that_became_the_debtor_keeps_the_contract_that_it_signed() -> None:
    m = market()
    financing_id = registered(m)
    succeeded(m, m.trade.buyer, m.client)
    m.world.do(settlement_of(m, financing_id, net_today(m)), by=m.funder)
    assert holdings(m.world, m.receivable) == [(m.funder, 1, MILLION)]
    assert m.world.row(Receivable, m.receivable).debtor == m.client
    check_books(m.world)


def test_a_funder_that_became_the_debtor_buys_its_own_debt_no_more() -> None:
    m = market()
    financing_id = registered(m)
    succeeded(m, m.trade.buyer, m.funder)
    row = m.financing(financing_id)
    assert (row.state, row.reason) == (FinancingState.SETTLEMENT_FAILED, "parties_are_one")
    assert not locked(m)


def test_a_funder_that_had_paid_before_it_became_the_debtor_gets_the_parcel_as_set_off() -> None:
    m = market()
    financing_id = paid(m)
    succeeded(m, m.trade.buyer, m.funder)
    confirmation = ConfirmFinancingReceipt(financing=financing_id, currency="CNY", net=net_today(m))
    m.world.do(confirmation, by=m.client)
    assert m.financing(financing_id).state is FinancingState.SETTLED
    parcel = m.world.row(Receivable, m.receivable).parcels[0]
    transfer = m.world.row(Transfer, parcel.origin)
    assert (parcel.holder, transfer.kind, transfer.recourse) == (m.funder, TransferKind.SET_OFF, False)


def test_an_arbitrator_that_became_a_party_does_not_rule() -> None:
    m = market()
    financing_id = paid(m)
    m.world.do(DisputeFinancingReceipt(financing=financing_id, statement=anchor("statement")), by=m.client)
    succeeded(m, m.arbitrator, m.funder)
    ruling = RuleOnFinancing(financing=financing_id, verdict=Verdict.HAND_ON, ruling=anchor("ruling"))
    m.world.do(ruling, by=m.funder, expect=Status.MUST_RECUSE, vector="financing.rule/must_recuse")
    pass_deadline(m, financing_id)
    row = m.financing(financing_id)
    assert (row.state, row.reason) == (FinancingState.SETTLEMENT_FAILED, "no_ruling")
