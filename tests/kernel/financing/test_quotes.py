"""financing.evaluate, .quote, .reveal: who may, in which window, and what a seal binds."""

import hashlib

import pytest
from msgspec.structs import replace

from tallystick.kernel.arithmetic import DayCount
from tallystick.kernel.core.fields import Position
from tallystick.kernel.financing.quotes import QuoteFinancing
from tallystick.kernel.financing.records import Financing, FinancingState, NonReveal, QuoteState
from tallystick.kernel.financing.sealed import commitment_of
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.limits import LimitScope, SetLimit
from tallystick.kernel.membership.records import Member, MemberState, StateEntry
from tallystick.kernel.receivables.records import Receivable
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.financing import (
    MILLION,
    NONCE,
    Market,
    asked,
    deadline_of,
    evaluation_of,
    market,
    pass_deadline,
    quote_of,
    quoted,
    reveal_of,
    sealed,
    stated,
    terms_of,
)
from tests.support.receivables import DUE_ON
from tests.support.world import CHAIN_ID

UNKNOWN = "fin_0000000000000000"


def states(m: Market, financing_id: str) -> list[QuoteState]:
    return [quote.state for quote in m.financing(financing_id).quotes]


def test_a_funder_accepts_or_declines_for_itself_once() -> None:
    m = market()
    financing_id = asked(m)
    m.world.do(evaluation_of(financing_id), by=m.funder, vector="financing.evaluate/accepted")
    m.world.do(evaluation_of(financing_id, accepts=False), by=m.rival, vector="financing.evaluate/declined")
    assert [(each.funder, each.accepts) for each in m.financing(financing_id).evaluations] == [
        (m.funder, True),
        (m.rival, False),
    ]
    m.world.do(
        evaluation_of(financing_id),
        by=m.rival,
        expect=Status.ALREADY_DECIDED,
        vector="financing.evaluate/already_decided",
    )
    m.world.do(
        evaluation_of(financing_id), by=m.client, expect=Status.ROLE_MISSING, vector="financing.evaluate/role_missing"
    )
    m.world.do(evaluation_of(UNKNOWN), by=m.funder, expect=Status.NOT_FOUND, vector="financing.evaluate/not_found")


def test_only_the_invited_evaluate_and_quote() -> None:
    m = market()
    financing_id = asked(m, invited=(m.funder,))
    m.world.do(
        evaluation_of(financing_id), by=m.rival, expect=Status.NOT_INVITED, vector="financing.evaluate/not_invited"
    )
    m.world.do(quote_of(m, financing_id), by=m.rival, expect=Status.NOT_INVITED, vector="financing.quote/not_invited")


def test_neither_client_nor_debtor_funds_itself() -> None:
    m = market()
    financing_id = asked(m)
    funder = m.world.row(Member, m.funder)
    for party in (m.client, m.trade.buyer):
        m.world.put(replace(m.world.row(Member, party), roles=funder.roles))
        vector = "financing.evaluate/same_party" if party == m.client else ""
        m.world.do(evaluation_of(financing_id), by=party, expect=Status.SAME_PARTY, vector=vector)
        vector = "financing.quote/same_party" if party == m.client else ""
        m.world.do(quote_of(m, financing_id), by=party, expect=Status.SAME_PARTY, vector=vector)


def test_no_more_evaluations_than_the_policy_allows() -> None:
    m = market(policies=Policies(max_quotes=1))
    financing_id = asked(m)
    m.world.do(evaluation_of(financing_id), by=m.funder)
    m.world.do(evaluation_of(financing_id), by=m.rival, expect=Status.TOO_MANY, vector="financing.evaluate/too_many")


def test_a_quote_needs_an_accepting_evaluation() -> None:
    m = market()
    financing_id = asked(m)
    operation = quote_of(m, financing_id)
    m.world.do(operation, by=m.funder, expect=Status.NOT_EVALUATED, vector="financing.quote/not_evaluated")
    m.world.do(evaluation_of(financing_id, accepts=False), by=m.rival)
    m.world.do(operation, by=m.rival, expect=Status.NOT_EVALUATED)
    m.world.do(evaluation_of(financing_id), by=m.funder)
    m.world.do(operation, by=m.funder, vector="financing.quote/accepted")
    assert states(m, financing_id) == [QuoteState.OPEN]
    m.world.do(operation, by=m.funder, expect=Status.RECORD_EXISTS, vector="financing.quote/record_exists")


def test_a_quote_is_a_funders_about_what_is_asked() -> None:
    m = market()
    financing_id = asked(m)
    m.world.do(evaluation_of(financing_id), by=m.funder)
    good = quote_of(m, financing_id)
    m.world.do(good, by=m.client, expect=Status.ROLE_MISSING, vector="financing.quote/role_missing")
    for case, bad in {
        "not_found": replace(good, financing=UNKNOWN),
        "currency_mismatch": replace(good, currency="GBP"),
        "amount_differs": replace(good, units=Units(MILLION - 1)),
        "bad_value": replace(good, terms=None, commitment="0" * 64),
        "bad_rate": quote_of(m, financing_id, "100.000001"),
        "bad_dates": quote_of(m, financing_id, valid_until=m.financing(financing_id).closes_at),
        "nothing_to_pay_out": quote_of(m, financing_id, minimum_fee=Units(MILLION)),
    }.items():
        m.world.do(bad, by=m.funder, expect=Status[case.upper()], vector=f"financing.quote/{case}")
    m.world.do(quote_of(m, financing_id, fee_rate=Rate(100_000_001)), by=m.funder, expect=Status.BAD_RATE)
    m.world.do(replace(good, terms=None), by=m.funder, expect=Status.BAD_VALUE)
    m.world.do(replace(good, commitment="0" * 64), by=m.funder, expect=Status.BAD_VALUE)
    m.world.do(good, by=m.funder)


def test_a_suspended_funder_offers_nothing() -> None:
    m = market()
    financing_id = asked(m)
    m.world.do(evaluation_of(financing_id), by=m.funder)
    member = m.world.row(Member, m.funder)
    entry = StateEntry(state=MemberState.SUSPENDED, since=Position(9, 0))
    m.world.put(replace(member, states=(*member.states, entry)))
    m.world.do(quote_of(m, financing_id), by=m.funder, expect=Status.SUSPENDED, vector="financing.quote/suspended")


def test_a_funder_keeps_within_its_own_limit_for_the_debtor() -> None:
    m = market()
    limit = SetLimit(
        scope=LimitScope.FUNDER, debtor=m.trade.buyer, currency="CNY", units=Units(MILLION - 1), until_on=DUE_ON
    )
    m.world.do(limit, by=m.funder)
    financing_id = asked(m)
    m.world.do(evaluation_of(financing_id), by=m.funder)
    m.world.do(quote_of(m, financing_id), by=m.funder, expect=Status.OVER_LIMIT, vector="financing.quote/over_limit")
    quoted(m, financing_id, m.rival)


def test_both_sides_of_closing() -> None:
    m = market()
    financing_id = asked(m)
    for funder in (m.funder, m.rival):
        m.world.do(evaluation_of(financing_id), by=funder)
    operation = quote_of(m, financing_id)
    m.world.now = deadline_of(m, financing_id)
    m.world.do(operation, by=m.funder)
    m.world.now = m.world.now.plus(1)
    m.world.do(operation, by=m.rival, expect=Status.DEADLINE_PASSED, vector="financing.quote/deadline_passed")
    late = m.world.member("Late funder", *(grant.role for grant in m.world.row(Member, m.funder).roles))
    m.world.do(
        evaluation_of(financing_id), by=late, expect=Status.DEADLINE_PASSED, vector="financing.evaluate/deadline_passed"
    )
    m.world.wait()
    assert m.financing(financing_id).state is FinancingState.QUOTED
    m.world.do(operation, by=m.rival, expect=Status.WRONG_STATE, vector="financing.quote/wrong_state")
    m.world.do(evaluation_of(financing_id), by=late, expect=Status.WRONG_STATE, vector="financing.evaluate/wrong_state")


def test_sealed_quotes_are_revealed_after_closing() -> None:
    m = market()
    financing_id = asked(m, sealed=True)
    mine, its = terms_of(m, "5.5"), terms_of(m, "5.25", day_count=DayCount.ACT_365F)
    m.world.do(evaluation_of(financing_id), by=m.funder)
    commitment = commitment_of(CHAIN_ID, financing_id, m.funder, mine, NONCE)
    operation = QuoteFinancing(**stated(m, financing_id), commitment=commitment)
    m.world.do(operation, by=m.funder, vector="financing.quote/sealed")
    sealed(m, financing_id, m.rival, its)
    m.world.do(
        reveal_of(m, financing_id, mine), by=m.funder, expect=Status.TOO_EARLY, vector="financing.reveal/too_early"
    )
    pass_deadline(m, financing_id)
    assert m.financing(financing_id).state is FinancingState.REVEALING
    m.world.do(reveal_of(m, financing_id, mine), by=m.funder, vector="financing.reveal/accepted")
    assert states(m, financing_id) == [QuoteState.OPEN, QuoteState.SEALED]
    # The last reveal ends the window: there is nobody to wait for.
    m.world.do(reveal_of(m, financing_id, its), by=m.rival, vector="financing.reveal/last")
    assert m.financing(financing_id).state is FinancingState.QUOTED
    m.world.do(
        reveal_of(m, financing_id, its), by=m.rival, expect=Status.WRONG_STATE, vector="financing.reveal/wrong_state"
    )


def test_what_is_revealed_is_what_was_sealed() -> None:
    m = market()
    financing_id = asked(m, sealed=True)
    terms = terms_of(m, "5.5")
    sealed(m, financing_id, m.funder, terms)
    late = m.world.member("Late funder", *(grant.role for grant in m.world.row(Member, m.funder).roles))
    pass_deadline(m, financing_id)
    good = reveal_of(m, financing_id, terms)
    other_nonce = hashlib.sha256(b"another").hexdigest()
    for bad in (
        reveal_of(m, financing_id, terms_of(m, "5.4", valid_until=terms.valid_until)),
        reveal_of(m, financing_id, terms, other_nonce),
        reveal_of(m, financing_id, replace(terms, with_recourse=True)),
        reveal_of(m, financing_id, replace(terms, valid_until=terms.valid_until.plus(1))),
    ):
        vector = "financing.reveal/commitment_differs" if bad.nonce == other_nonce else ""
        m.world.do(bad, by=m.funder, expect=Status.COMMITMENT_DIFFERS, vector=vector)
    for case, unfit in {
        "not_found": replace(good, financing=UNKNOWN),
        "currency_mismatch": replace(good, currency="GBP"),
        "amount_differs": replace(good, units=Units(1)),
    }.items():
        m.world.do(unfit, by=m.funder, expect=Status[case.upper()], vector=f"financing.reveal/{case}")
    m.world.do(good, by=m.client, expect=Status.ROLE_MISSING, vector="financing.reveal/role_missing")
    m.world.do(good, by=late, expect=Status.NOT_A_PARTY, vector="financing.reveal/not_a_party")
    m.world.do(good, by=m.funder)


@pytest.mark.parametrize("case", ["bad_rate", "bad_dates", "nothing_to_pay_out"])
def test_a_sealed_price_that_cannot_be_awarded_stays_out(case: str) -> None:
    m = market()
    financing_id = asked(m, sealed=True)
    terms = {
        "bad_rate": terms_of(m, "101"),
        "bad_dates": terms_of(m, valid_until=m.financing(financing_id).closes_at),
        "nothing_to_pay_out": terms_of(m, minimum_fee=Units(MILLION)),
    }[case]
    sealed(m, financing_id, m.funder, terms)
    pass_deadline(m, financing_id)
    m.world.do(
        reveal_of(m, financing_id, terms),
        by=m.funder,
        expect=Status[case.upper()],
        vector=f"financing.reveal/{case}",
    )
    pass_deadline(m, financing_id)
    assert m.financing(financing_id).state is FinancingState.NO_QUOTES


def test_nobody_reveals_twice() -> None:
    m = market()
    financing_id = asked(m, sealed=True)
    terms = terms_of(m)
    sealed(m, financing_id, m.funder, terms)
    sealed(m, financing_id, m.rival, terms)
    pass_deadline(m, financing_id)
    m.world.do(reveal_of(m, financing_id, terms), by=m.funder)
    m.world.do(
        reveal_of(m, financing_id, terms),
        by=m.funder,
        expect=Status.QUOTE_NOT_OPEN,
        vector="financing.reveal/quote_not_open",
    )


def test_both_sides_of_the_reveal_window_and_what_stays_sealed_is_counted() -> None:
    m = market()
    first, second = asked(m, 10, sealed=True), asked(m, 10, sealed=True)
    terms = terms_of(m)
    for financing_id in (first, second):
        sealed(m, financing_id, m.funder, terms)
        sealed(m, financing_id, m.rival, terms)
    pass_deadline(m, first)
    m.world.now = deadline_of(m, first)
    m.world.do(reveal_of(m, first, terms), by=m.funder)
    m.world.do(reveal_of(m, second, terms), by=m.funder)
    m.world.now = m.world.now.plus(1)
    m.world.do(
        reveal_of(m, first, terms),
        by=m.rival,
        expect=Status.DEADLINE_PASSED,
        vector="financing.reveal/deadline_passed",
    )
    m.world.wait()
    for financing_id in (first, second):
        assert m.financing(financing_id).state is FinancingState.QUOTED
        assert states(m, financing_id) == [QuoteState.OPEN, QuoteState.UNREVEALED]
    assert m.world.row(NonReveal, m.rival).count == 2
    assert m.world.told(m.rival).count("financing.not_revealed") == 2
    assert f"{NonReveal.table}/{m.funder}" not in m.world.state.rows


@pytest.mark.parametrize("is_sealed", [True, False])
def test_quotes_that_close_at_the_cutoff_come_too_late(is_sealed: bool) -> None:
    m = market(policies=Policies(quote_days=200))
    cutoff = m.world.row(Receivable, m.receivable).cutoff_at
    financing_id = asked(m, sealed=is_sealed, closes_at=cutoff)
    terms = terms_of(m, valid_until=cutoff.plus(DAY_MS))
    if is_sealed:
        sealed(m, financing_id, m.funder, terms)
    else:
        quoted(m, financing_id, m.funder, valid_until=terms.valid_until)
    pass_deadline(m, financing_id)
    row = m.financing(financing_id)
    assert row.state is (FinancingState.NO_QUOTES if is_sealed else FinancingState.EXPIRED)
    assert not m.world.row(Receivable, m.receivable).parcels[0].locks


def test_all_stay_sealed_and_the_request_ends() -> None:
    m = market()
    financing_id = asked(m, sealed=True)
    sealed(m, financing_id, m.funder, terms_of(m))
    pass_deadline(m, financing_id)
    pass_deadline(m, financing_id)
    assert m.financing(financing_id).state is FinancingState.NO_QUOTES
    asked(m)


def test_a_copied_seal_cannot_be_opened() -> None:
    m = market()
    financing_id = asked(m, sealed=True)
    terms = terms_of(m)
    sealed(m, financing_id, m.funder, terms)
    m.world.do(evaluation_of(financing_id), by=m.rival)
    copied = m.world.row(Financing, financing_id).quotes[0].commitment
    m.world.do(QuoteFinancing(**stated(m, financing_id), commitment=copied), by=m.rival)
    pass_deadline(m, financing_id)
    opening = reveal_of(m, financing_id, terms)
    m.world.do(opening, by=m.funder)
    m.world.do(opening, by=m.rival, expect=Status.COMMITMENT_DIFFERS)


def test_a_seal_is_bound_to_chain_financing_funder_terms_and_nonce() -> None:
    m = market()
    terms, other = terms_of(m), hashlib.sha256(b"other").hexdigest()
    made = {
        commitment_of(chain, financing, funder, price, nonce)
        for chain in (CHAIN_ID, "another-chain")
        for financing in (UNKNOWN, "fin_1111111111111111")
        for funder in (m.funder, m.rival)
        for price in (terms, replace(terms, rate=Rate(1)))
        for nonce in (NONCE, other)
    }
    assert len(made) == 32
