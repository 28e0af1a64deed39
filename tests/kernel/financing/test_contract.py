"""financing.sign_contract, its review, and the auditor's fresh consent."""

from msgspec.structs import replace

from tallystick.kernel.financing.contract import ConsentToSettlement
from tallystick.kernel.financing.records import FinancingState, QuoteState, Settlement, Verdict
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.limits import LimitScope, SetLimit
from tallystick.kernel.membership.records import Member, Role
from tallystick.kernel.membership.standing import ReinstateMember, SuspendMember
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.reviews.records import Review, ReviewResult, ReviewState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.financing import (
    MILLION,
    Market,
    approved,
    award_of,
    awarded,
    contract_of,
    deadline_of,
    decision_of,
    freeze_of,
    market,
    net_on,
    pass_deadline,
    registered,
    settlement_of,
    signed,
)
from tests.support.receivables import DUE_ON, anchor, span

UNKNOWN = "fin_0000000000000000"
CONSENT = anchor("findings")


def test_the_client_signs_and_then_the_funder() -> None:
    m = market()
    financing_id = awarded(m)
    first = contract_of(m, financing_id)
    second = contract_of(m, financing_id, handling=anchor("handling"))
    m.world.do(second, by=m.funder, expect=Status.NOT_A_PARTY, vector="financing.sign_contract/not_a_party")
    m.world.do(first, by=m.client, vector="financing.sign_contract/by_client")
    assert m.financing(financing_id).state is FinancingState.CLIENT_SIGNED
    m.world.do(first, by=m.client, expect=Status.NOT_A_PARTY)
    m.world.do(second, by=m.funder, vector="financing.sign_contract/by_funder")
    row = m.financing(financing_id)
    assert row.state is FinancingState.UNDER_REVIEW
    assert row.is_bound
    review = m.world.row(Review, row.review)
    assert (review.subject, review.parties) == (financing_id, (m.client, m.funder))
    assert review.handling == anchor("handling")
    assert row.live_for() == (m.client, m.trade.buyer, m.funder, m.arbitrator)
    m.world.do(second, by=m.client, expect=Status.WRONG_STATE, vector="financing.sign_contract/wrong_state")


def test_both_may_sign_in_one_transaction() -> None:
    m = market()
    financing_id = awarded(m)
    second = contract_of(m, financing_id, handling=anchor("handling"))
    m.world.do(contract_of(m, financing_id), second, by=m.client, also=(m.funder,))
    assert m.financing(financing_id).state is FinancingState.UNDER_REVIEW


def test_what_the_client_signs_names_the_financing_and_a_fit_arbitrator() -> None:
    m = market()
    financing_id = awarded(m)
    good = contract_of(m, financing_id)
    for case, bad in {
        "not_found": replace(good, financing=UNKNOWN),
        "currency_mismatch": replace(good, currency="GBP"),
        "amount_differs": replace(good, units=Units(1)),
        "role_missing": replace(good, arbitrator=m.platform),
        "same_party": replace(good, arbitrator=m.funder),
        "bad_value": replace(good, handling=anchor("handling")),
    }.items():
        m.world.do(bad, by=m.client, expect=Status[case.upper()], vector=f"financing.sign_contract/{case}")
    for party in (m.client, m.trade.buyer):
        m.world.do(replace(good, arbitrator=party), by=m.client, expect=Status.SAME_PARTY)


def test_a_bank_settlement_needs_an_arbitrator() -> None:
    m = market()
    financing_id = awarded(m, settlement=Settlement.BANK)
    m.world.do(contract_of(m, financing_id, arbitrator=None), by=m.client, expect=Status.BAD_VALUE)
    ledger = awarded_on_ledger_without_arbitrator()
    assert ledger is FinancingState.CLIENT_SIGNED


def awarded_on_ledger_without_arbitrator() -> FinancingState:
    m = market()
    financing_id = awarded(m)
    m.world.do(contract_of(m, financing_id, arbitrator=None), by=m.client)
    return m.financing(financing_id).state


def test_both_sign_the_same() -> None:
    m = market()
    financing_id = awarded(m)
    m.world.do(contract_of(m, financing_id), by=m.client)
    good = contract_of(m, financing_id, handling=anchor("handling"))
    other = m.world.member("Other arbitrator", Role.ARBITRATOR)
    for bad in (
        replace(good, document=anchor("another_contract")),
        replace(good, arbitrator=other),
        replace(good, arbitrator=None),
        replace(good, without_ruling=Verdict.HAND_ON),
    ):
        vector = "financing.sign_contract/contract_differs" if bad.document != good.document else ""
        m.world.do(bad, by=m.funder, expect=Status.CONTRACT_DIFFERS, vector=vector)
    m.world.do(replace(good, handling=None), by=m.funder, expect=Status.BAD_VALUE)
    m.world.do(good, by=m.funder)


def test_the_funder_signs_within_its_limit_of_that_day() -> None:
    m = market()
    financing_id = awarded(m)
    m.world.do(contract_of(m, financing_id), by=m.client)
    limit = SetLimit(
        scope=LimitScope.FUNDER, debtor=m.trade.buyer, currency="CNY", units=Units(MILLION - 1), until_on=DUE_ON
    )
    m.world.do(limit, by=m.funder)
    m.world.do(
        contract_of(m, financing_id, handling=anchor("handling")),
        by=m.funder,
        expect=Status.OVER_LIMIT,
        vector="financing.sign_contract/over_limit",
    )


def test_nothing_is_signed_over_frozen_units_or_a_flagged_invoice() -> None:
    m = market()
    financing_id = awarded(m, 1_000)
    row = m.world.row(Receivable, m.receivable)
    m.world.put(replace(row, flagged=("0" * 64,)))
    m.world.do(
        contract_of(m, financing_id),
        by=m.client,
        expect=Status.INVOICE_FLAGGED,
        vector="financing.sign_contract/invoice_flagged",
    )
    m.world.put(row)
    m.world.do(freeze_of(m, span(1_001, 2_000)), by=m.trade.auditor)
    m.world.do(contract_of(m, financing_id), by=m.client)
    m.world.do(freeze_of(m, span(1_000, 1_000)), by=m.trade.auditor)
    m.world.do(
        contract_of(m, financing_id, handling=anchor("handling")),
        by=m.funder,
        expect=Status.FROZEN,
        vector="financing.sign_contract/frozen",
    )


def test_both_sides_of_the_contract_window() -> None:
    m = market()
    financing_id = awarded(m)
    m.world.now = deadline_of(m, financing_id)
    m.world.do(contract_of(m, financing_id), by=m.client)
    m.world.now = m.world.now.plus(1)
    m.world.do(
        contract_of(m, financing_id, handling=anchor("handling")),
        by=m.funder,
        expect=Status.DEADLINE_PASSED,
        vector="financing.sign_contract/deadline_passed",
    )
    m.world.wait()
    assert m.financing(financing_id).state is FinancingState.EXPIRED


def test_a_client_that_does_not_sign_ends_it() -> None:
    m = market()
    financing_id = awarded(m, rates=((m.funder, "5"), (m.rival, "6")))
    pass_deadline(m, financing_id)
    row = m.financing(financing_id)
    assert (row.state, row.reason) == (FinancingState.EXPIRED, "client_did_not_sign")
    assert not m.world.row(Receivable, m.receivable).parcels[0].locks


def test_a_funder_that_does_not_sign_gives_way_to_the_next_quote() -> None:
    m = market()
    financing_id = awarded(m, rates=((m.funder, "5"), (m.rival, "6")))
    m.world.do(contract_of(m, financing_id), by=m.client)
    pass_deadline(m, financing_id)
    row = m.financing(financing_id)
    assert row.state is FinancingState.QUOTED
    assert [quote.state for quote in row.quotes] == [QuoteState.FAILED, QuoteState.OPEN]
    assert m.world.row(Receivable, m.receivable).parcels[0].locks
    m.world.do(award_of(m, financing_id, m.rival), by=m.client)
    m.world.do(contract_of(m, financing_id), by=m.client)
    pass_deadline(m, financing_id)
    assert m.financing(financing_id).reason == "funder_did_not_sign"
    assert not m.world.row(Receivable, m.receivable).parcels[0].locks


def test_no_window_before_the_full_signature_outlasts_the_cutoff() -> None:
    m = market(policies=Policies(contract_days=200, award_days=200))
    financing_id = awarded(m)
    cutoff = m.world.row(Receivable, m.receivable).cutoff_at
    assert deadline_of(m, financing_id) == cutoff
    pass_deadline(m, financing_id)
    assert m.financing(financing_id).state is FinancingState.EXPIRED


def test_a_contract_signed_in_time_outlives_the_cutoff() -> None:
    m = market(policies=Policies(contract_days=200))
    financing_id = awarded(m)
    m.world.now = deadline_of(m, financing_id)
    m.world.do(contract_of(m, financing_id), by=m.client)
    m.world.do(contract_of(m, financing_id, handling=anchor("handling")), by=m.funder)
    m.world.wait(1)
    assert m.financing(financing_id).state is FinancingState.UNDER_REVIEW
    m.world.do(decision_of(m, financing_id), by=m.trade.auditor)
    assert m.financing(financing_id).state is FinancingState.APPROVED


def test_the_review_approves() -> None:
    m = market()
    financing_id = signed(m)
    m.world.do(decision_of(m, financing_id), by=m.trade.auditor, vector="review.decide/financing_approved")
    row = m.financing(financing_id)
    assert row.state is FinancingState.APPROVED
    assert row.deadline == m.world.now.plus(5 * DAY_MS)
    for party in (m.client, m.funder):
        assert "financing.approved" in m.world.told(party)


def test_the_review_refuses_and_the_units_are_free() -> None:
    m = market()
    financing_id = signed(m)
    vector = "review.decide/financing_refused"
    m.world.do(decision_of(m, financing_id, ReviewResult.REFUSE), by=m.trade.auditor, vector=vector)
    row = m.financing(financing_id)
    assert (row.state, row.reason, row.deadline) == (FinancingState.REFUSED, "papers_missing", None)
    assert not m.world.row(Receivable, m.receivable).parcels[0].locks


def test_the_review_lapses_and_the_units_are_free() -> None:
    m = market()
    financing_id = signed(m)
    m.world.wait(11 * DAY_MS)
    assert m.financing(financing_id).state is FinancingState.EXPIRED
    assert not m.world.row(Receivable, m.receivable).parcels[0].locks


def test_an_auditor_that_owes_the_debt_or_is_a_party_recuses() -> None:
    m = market()
    financing_id = signed(m)
    auditor = m.world.row(Member, m.trade.auditor)
    for party in (m.trade.buyer, m.client, m.funder):
        m.world.put(replace(m.world.row(Member, party), roles=auditor.roles))
        vector = "review.decide/financing_must_recuse" if party == m.trade.buyer else ""
        m.world.do(decision_of(m, financing_id), by=party, expect=Status.MUST_RECUSE, vector=vector)


def test_nothing_is_approved_over_frozen_units() -> None:
    m = market()
    financing_id = signed(m)
    m.world.do(freeze_of(m, span(5, 5)), by=m.trade.auditor)
    vector = "review.decide/financing_frozen"
    m.world.do(decision_of(m, financing_id), by=m.trade.auditor, expect=Status.FROZEN, vector=vector)


def suspended(m: Market, member: str) -> None:
    """An auditor suspends a member."""
    m.world.do(SuspendMember(member=member, reason="papers_in_doubt"), by=m.trade.auditor)


def paid_in_full(m: Market, financing_id: str, expect: Status = Status.OK, vector: str = "") -> None:
    net = net_on(MILLION, "5.5", m.world.today(), DUE_ON)
    m.world.do(settlement_of(m, financing_id, net), by=m.funder, expect=expect, vector=vector)


def test_a_signed_contract_settles_after_a_suspension_only_with_a_fresh_consent() -> None:
    m = market()
    financing_id = registered(m)
    suspended(m, m.client)
    paid_in_full(m, financing_id, Status.PARTY_SUSPENDED, "financing.settle/party_suspended")
    consent = ConsentToSettlement(financing=financing_id, findings=CONSENT)
    m.world.do(consent, by=m.funder, expect=Status.ROLE_MISSING, vector="financing.consent/role_missing")
    m.world.do(consent, by=m.trade.second_auditor, vector="financing.consent/accepted")
    # A consent does not cover what comes after it.
    m.world.do(ReinstateMember(member=m.client), by=m.trade.auditor)
    suspended(m, m.client)
    paid_in_full(m, financing_id, Status.PARTY_SUSPENDED)
    m.world.do(consent, by=m.trade.auditor)
    paid_in_full(m, financing_id)
    assert m.financing(financing_id).state is FinancingState.SETTLED


def test_a_suspended_funder_settles_with_consent_too() -> None:
    m = market()
    financing_id = registered(m)
    suspended(m, m.funder)
    paid_in_full(m, financing_id, Status.PARTY_SUSPENDED)
    m.world.do(ConsentToSettlement(financing=financing_id, findings=CONSENT), by=m.trade.auditor)
    paid_in_full(m, financing_id)


def test_consent_is_given_by_as_many_auditors_as_decide_and_by_no_party() -> None:
    m = market(policies=Policies(auditors_needed=1))
    financing_id = registered(m)
    consent = ConsentToSettlement(financing=financing_id, findings=CONSENT)
    buyer = m.world.row(Member, m.trade.buyer)
    m.world.put(replace(buyer, roles=(*buyer.roles, *m.world.row(Member, m.trade.auditor).roles)))
    m.world.do(consent, by=m.trade.buyer, expect=Status.MUST_RECUSE, vector="financing.consent/must_recuse")
    missing = replace(consent, financing=UNKNOWN)
    m.world.do(missing, by=m.trade.auditor, expect=Status.NOT_FOUND, vector="financing.consent/not_found")
    m.world.now = deadline_of(m, financing_id).plus(1)
    m.world.do(consent, by=m.trade.auditor, expect=Status.DEADLINE_PASSED, vector="financing.consent/deadline_passed")


def test_consent_is_for_what_is_approved_and_not_yet_settled() -> None:
    m = market()
    financing_id = signed(m)
    consent = ConsentToSettlement(financing=financing_id, findings=CONSENT)
    m.world.do(consent, by=m.trade.auditor, expect=Status.WRONG_STATE, vector="financing.consent/wrong_state")


def test_a_suspended_clients_request_ends() -> None:
    for stage in (awarded, signed):
        m = market()
        financing_id = stage(m)
        suspended(m, m.client)
        row = m.financing(financing_id)
        assert row.reason == "party_suspended"
        assert row.state is (FinancingState.WITHDRAWN if stage is awarded else FinancingState.REFUSED)
        assert not m.world.row(Receivable, m.receivable).parcels[0].locks
    m = market()
    financing_id = approved(m)
    suspended(m, m.client)
    assert m.financing(financing_id).state is FinancingState.APPROVED


def test_a_suspended_funders_review_is_refused() -> None:
    m = market()
    financing_id = signed(m)
    suspended(m, m.funder)
    row = m.financing(financing_id)
    assert (row.state, row.reason) == (FinancingState.REFUSED, "party_suspended")
    review = m.world.row(Review, row.review)
    assert review.state is ReviewState.REFUSED


def test_a_party_suspended_before_the_other_signs() -> None:
    m = market()
    financing_id = awarded(m)
    member = m.world.row(Member, m.funder)
    suspended(m, m.funder)
    assert m.financing(financing_id).state is FinancingState.EXPIRED
    assert m.financing(financing_id).reason == "party_suspended"
    # Where the walk has not come to it yet, the signature itself is refused.
    late = market()
    financing_id = awarded(late)
    states = late.world.row(Member, late.funder).states
    late.world.put(replace(member, states=(*states, *m.world.row(Member, m.funder).states[-1:])))
    late.world.do(
        contract_of(late, financing_id),
        by=late.client,
        expect=Status.PARTY_SUSPENDED,
        vector="financing.sign_contract/party_suspended",
    )
