"""financing.award: the choice, the ranking stored beside it, and a second award after a failed settlement."""

import datetime

import pytest
from msgspec.structs import replace

from tallystick.kernel.arithmetic import DayCount
from tallystick.kernel.calendar.days import start_of
from tallystick.kernel.core.fields import Position
from tallystick.kernel.financing.award import AwardFinancing
from tallystick.kernel.financing.records import FinancingState, QuoteState
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Member, MemberState, Role, StateEntry
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.transfers.agreed import WithdrawTransfer
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.financing import (
    MILLION,
    Market,
    approved,
    asked,
    award_of,
    deadline_of,
    freeze_of,
    market,
    pass_deadline,
    quoted,
    registered,
    reveal_of,
    sealed,
    terms_of,
)
from tests.support.receivables import offered, span, transferred

UNKNOWN = "fin_0000000000000000"


def test_the_ranking_is_recomputed_and_stored_with_the_choice() -> None:
    """DOMAIN section 4: over 90 days 5.05 %/365 costs 12,452.05 on a million and beats 5.00 %/360 at 12,500.00."""
    m = market(due_on=market_day(90))
    third = m.world.member("Third funder", Role.FUNDER)
    financing_id = asked(m)
    first = quoted(m, financing_id, m.funder, "5")
    second = quoted(m, financing_id, m.rival, "5.05", day_count=DayCount.ACT_365F, with_recourse=True)
    last = quoted(m, financing_id, third, "5", with_recourse=True)
    pass_deadline(m, financing_id)
    m.world.do(award_of(m, financing_id, m.funder), by=m.client, vector="financing.award/accepted")
    award = m.financing(financing_id).award
    assert award is not None
    assert [entry.quote for entry in award.ranking] == [second, first, last]
    assert [int(entry.cost) for entry in award.ranking] == [1_245_205, 1_250_000, 1_250_000]
    assert award.quote == first
    assert award.value_on == m.world.today()
    assert award.actual_days == 90
    told = m.world.events[-1]
    assert (told.kind, told.facts["place"], told.facts["quotes"]) == ("financing.awarded", 2, 3)


def market_day(days: int) -> datetime.date:
    """The due day that lies `days` after the day of the award."""
    return datetime.date(2026, 3, 4) + datetime.timedelta(days=days)


def test_an_award_is_the_clients_while_the_window_is_open() -> None:
    m = market()
    financing_id = asked(m)
    quoted(m, financing_id, m.funder)
    good = award_of(m, financing_id, m.funder)
    m.world.do(good, by=m.client, expect=Status.TOO_EARLY, vector="financing.award/too_early")
    pass_deadline(m, financing_id)
    m.world.do(good, by=m.funder, expect=Status.NOT_A_PARTY, vector="financing.award/not_a_party")
    for case, bad in {
        "not_found": replace(good, financing=UNKNOWN),
        "currency_mismatch": replace(good, currency="GBP"),
        "amount_differs": replace(good, units=Units(1)),
    }.items():
        m.world.do(bad, by=m.client, expect=Status[case.upper()], vector=f"financing.award/{case}")
    m.world.do(replace(good, quote="qte_0000000000000000"), by=m.client, expect=Status.NOT_FOUND)
    m.world.do(good, by=m.client)
    m.world.do(good, by=m.client, expect=Status.WRONG_STATE, vector="financing.award/wrong_state")


def test_both_sides_of_the_award_window() -> None:
    m = market()
    first, second = asked(m, 10), asked(m, 10)
    for financing_id in (first, second):
        quoted(m, financing_id, m.funder)
    pass_deadline(m, first)
    m.world.now = deadline_of(m, first)
    m.world.do(award_of(m, first, m.funder), by=m.client)
    m.world.now = m.world.now.plus(1)
    m.world.do(
        award_of(m, second, m.funder),
        by=m.client,
        expect=Status.DEADLINE_PASSED,
        vector="financing.award/deadline_passed",
    )
    m.world.wait()
    assert m.financing(second).state is FinancingState.EXPIRED
    assert m.financing(second).reason == "not_awarded"


def test_both_sides_of_a_quotes_validity() -> None:
    m = market()
    first, second = asked(m, 10), asked(m, 10)
    lapses_at = m.financing(first).closes_at.plus(DAY_MS)
    for financing_id in (first, second):
        quoted(m, financing_id, m.funder, valid_until=lapses_at)
        quoted(m, financing_id, m.rival, "9")
    pass_deadline(m, first)
    m.world.now = lapses_at
    m.world.do(award_of(m, first, m.funder), by=m.client)
    m.world.now = lapses_at.plus(1)
    m.world.do(
        award_of(m, second, m.funder),
        by=m.client,
        expect=Status.QUOTE_NOT_OPEN,
        vector="financing.award/quote_not_open",
    )
    m.world.do(award_of(m, second, m.rival), by=m.client)
    award = m.financing(second).award
    assert award is not None
    assert len(award.ranking) == 1


def test_the_window_ends_with_the_last_quotes_validity() -> None:
    m = market()
    financing_id = asked(m)
    closes_at = m.financing(financing_id).closes_at
    quoted(m, financing_id, m.funder, valid_until=closes_at.plus(DAY_MS))
    pass_deadline(m, financing_id)
    assert deadline_of(m, financing_id) == closes_at.plus(DAY_MS)


def test_no_award_once_a_revealed_quote_is_awaited() -> None:
    m = market()
    financing_id = asked(m, sealed=True)
    terms = terms_of(m)
    sealed(m, financing_id, m.funder, terms)
    sealed(m, financing_id, m.rival, terms)
    pass_deadline(m, financing_id)
    m.world.do(reveal_of(m, financing_id, terms), by=m.funder)
    m.world.do(award_of(m, financing_id, m.funder), by=m.client, expect=Status.TOO_EARLY)
    pass_deadline(m, financing_id)
    m.world.do(
        award_of(m, financing_id, m.rival),
        by=m.client,
        expect=Status.QUOTE_NOT_OPEN,
    )
    m.world.do(award_of(m, financing_id, m.funder), by=m.client)


def test_equal_sealed_quotes_rank_by_recourse_and_then_by_commitment() -> None:
    """The order of commitment decides, not that of revealing."""
    m = market()
    financing_id = asked(m, sealed=True)
    third = m.world.member("Third funder", Role.FUNDER)
    plain, recourse = terms_of(m), terms_of(m, with_recourse=True)
    late_but_free = sealed(m, financing_id, m.rival, recourse)
    early = sealed(m, financing_id, m.funder, plain)
    later = sealed(m, financing_id, third, plain)
    pass_deadline(m, financing_id)
    for funder, terms in ((third, plain), (m.rival, recourse), (m.funder, plain)):
        m.world.do(reveal_of(m, financing_id, terms), by=funder)
    m.world.do(award_of(m, financing_id, m.funder), by=m.client)
    award = m.financing(financing_id).award
    assert award is not None
    assert [entry.quote for entry in award.ranking] == [early, later, late_but_free]


def test_what_came_over_the_client_the_receivable_or_the_funder() -> None:
    m = market()
    financing_id = asked(m)
    quoted(m, financing_id, m.funder)
    pass_deadline(m, financing_id)
    good = award_of(m, financing_id, m.funder)
    client, funder = m.world.row(Member, m.client), m.world.row(Member, m.funder)
    row = m.world.row(Receivable, m.receivable)
    entry = StateEntry(state=MemberState.SUSPENDED, since=Position(9, 0))

    m.world.put(replace(client, states=(*client.states, entry)))
    m.world.do(good, by=m.client, expect=Status.SUSPENDED, vector="financing.award/suspended")
    m.world.put(replace(client, permissions=()))
    m.world.do(good, by=m.client, expect=Status.PERMISSION_MISSING, vector="financing.award/permission_missing")
    m.world.put(client)

    m.world.put(replace(row, state=ReceivableState.OVERDUE))
    assert m.world.submit(m.world.sign(good, by=m.client), "").status is Status.WRONG_STATE
    m.world.put(replace(row, flagged=("0" * 64,)))
    m.world.do(good, by=m.client, expect=Status.INVOICE_FLAGGED, vector="financing.award/invoice_flagged")
    m.world.put(replace(row, cutoff_at=m.world.now.plus(-1)))
    m.world.do(good, by=m.client, expect=Status.PAST_CUTOFF, vector="financing.award/past_cutoff")
    m.world.put(row)

    m.world.put(replace(funder, states=(*funder.states, entry)))
    m.world.do(good, by=m.client, expect=Status.PARTY_SUSPENDED, vector="financing.award/party_suspended")
    m.world.put(funder)
    m.world.do(good, by=m.client)


def test_a_price_that_would_leave_nothing_by_now_is_not_awarded() -> None:
    m = market(
        face=100_000,
        policies=Policies(cutoff_days=0, award_days=200, quote_days=200),
        due_on=datetime.date(2026, 7, 31),
    )
    financing_id = asked(m)
    # Due on the 31st, awarded on the 30th: 30E/360 counts no day between them.
    quoted(m, financing_id, m.funder, day_count=DayCount.THIRTY_E_360, valid_until=m.world.now.plus(200 * DAY_MS))
    pass_deadline(m, financing_id)
    m.world.now = start_of(m.world.state, datetime.date(2026, 7, 30))
    m.world.do(
        award_of(m, financing_id, m.funder),
        by=m.client,
        expect=Status.NOTHING_TO_PAY_OUT,
        vector="financing.award/nothing_to_pay_out",
    )


def failed(m: Market) -> str:
    """A financing whose first funder did not pay; the rival's quote still stands."""
    financing_id = approved(m, MILLION // 2, rates=((m.funder, "5"), (m.rival, "6")))
    pass_deadline(m, financing_id)
    row = m.financing(financing_id)
    assert row.state is FinancingState.SETTLEMENT_FAILED
    assert [quote.state for quote in row.quotes] == [QuoteState.FAILED, QuoteState.OPEN]
    return financing_id


def test_after_a_failed_settlement_the_next_valid_quote_is_awarded() -> None:
    m = market()
    financing_id = failed(m)
    assert not m.world.row(Receivable, m.receivable).parcels[0].locks
    m.world.do(award_of(m, financing_id, m.funder), by=m.client, expect=Status.QUOTE_NOT_OPEN)
    m.world.do(award_of(m, financing_id, m.rival), by=m.client, vector="financing.award/again")
    row = m.financing(financing_id)
    assert row.state is FinancingState.AWARDED
    assert row.funder == m.rival
    assert (row.contract, row.review, row.payment) == (None, None, None)
    assert m.world.row(Receivable, m.receivable).parcels[0].locks[0].by == financing_id


def test_a_second_award_needs_the_units_free_and_whole() -> None:
    m = market()
    financing_id = failed(m)
    good = award_of(m, financing_id, m.rival)
    blocking = offered(m.world, m.receivable, m.whole, 10, m.client, m.trade.maker)
    m.world.do(good, by=m.client, expect=Status.PARCEL_LOCKED, vector="financing.award/parcel_locked")
    m.world.do(WithdrawTransfer(transfer=blocking), by=m.client)
    m.world.do(freeze_of(m, span(1, 10), days=1), by=m.trade.auditor)
    m.world.do(good, by=m.client, expect=Status.FROZEN, vector="financing.award/frozen")
    m.world.wait(3 * DAY_MS)
    m.world.do(good, by=m.client)


@pytest.mark.parametrize("units", [10, MILLION])
def test_a_second_award_fails_where_the_units_are_in_other_hands(units: int) -> None:
    m = market()
    financing_id = failed(m)
    transferred(m.world, m.receivable, m.whole, units, m.client, m.trade.maker, m.trade.auditor)
    vector = "financing.award/receivable_not_held" if units == MILLION else ""
    m.world.do(award_of(m, financing_id, m.rival), by=m.client, expect=Status.RECEIVABLE_NOT_HELD, vector=vector)


def test_a_failed_financing_rests_when_its_last_quote_lapses() -> None:
    m = market()
    financing_id = failed(m)
    last = deadline_of(m, financing_id)
    m.world.wait(until=last)
    assert deadline_of(m, financing_id) == last
    m.world.wait(1)
    row = m.financing(financing_id)
    assert (row.state, row.deadline, row.live_for()) == (FinancingState.SETTLEMENT_FAILED, None, ())
    m.world.do(award_of(m, financing_id, m.rival), by=m.client, expect=Status.DEADLINE_PASSED)


def test_an_award_names_its_amount() -> None:
    operation = AwardFinancing(financing=UNKNOWN, quote="qte_0000000000000000", currency="CNY", units=Units(7))
    assert operation.amount() == ("CNY", 7)


def test_a_registered_failure_keeps_the_rivals_quote_too() -> None:
    m = market()
    financing_id = registered(m, rates=((m.funder, "5"), (m.rival, "6")))
    pass_deadline(m, financing_id)
    m.world.do(award_of(m, financing_id, m.rival), by=m.client)
