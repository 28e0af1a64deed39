"""The auditor's processing review of a receivable: valid, refused, expired, and what it must not let through."""

import datetime

import pytest

from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.limits import DebtorCredit, Limit
from tallystick.kernel.membership.standing import SuspendMember
from tallystick.kernel.receivables.invoices import FlagInvoice
from tallystick.kernel.receivables.records import Invoice, Receivable, ReceivableState
from tallystick.kernel.reviews.records import Review, ReviewState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status
from tests.support.receivables import (
    DUE_ON,
    Trade,
    anchor,
    approval_of,
    confirmed,
    fingerprint,
    holdings,
    issued,
    publish_calendar,
    refusal_of,
    request_of,
    trade,
    use,
)

FACE = 1_000_00


@pytest.fixture
def t() -> Trade:
    return trade()


def under_review(t: Trade, invoice: str = "A") -> str:
    return confirmed(t.world, t.buyer, t.supplier, FACE, invoices=(use(invoice, FACE),))


def test_approved_it_is_valid_in_one_parcel(t: Trade) -> None:
    receivable = under_review(t)
    result = t.world.do(approval_of(t.world, receivable), by=t.auditor, vector="review.decide/receivable_valid")
    row = t.world.row(Receivable, receivable)
    assert row.state is ReceivableState.VALID
    assert holdings(t.world, receivable) == [(t.supplier, 1, FACE)]
    assert (row.valid_on, row.judged.on) == (t.world.today(), t.world.today())
    assert [event.kind for event in result.events] == ["review.approved", "receivable.valid"]
    assert result.events[-1].audience == (t.buyer, t.supplier)
    assert t.world.row(DebtorCredit, f"{t.buyer}.CNY").outstanding == FACE


def test_the_days_that_follow_from_a_due_date_on_a_saturday(t: Trade) -> None:
    saturday = datetime.date(2026, 6, 27)
    receivable = issued(t.world, t.buyer, t.supplier, FACE, t.auditor, due_on=saturday)
    row = t.world.row(Receivable, receivable)
    assert row.moved_due_on == datetime.date(2026, 6, 29)
    assert row.pay_at == Instant.parse("2026-06-29T00:00:00.000Z")
    assert row.overdue_at == Instant.parse("2026-06-29T23:59:59.999Z")
    # Three business days before Monday the 29th is Wednesday the 24th, from whose beginning nothing passes any more.
    assert row.cutoff_at == Instant.parse("2026-06-23T23:59:59.999Z")


def test_grace_and_cutoff_are_the_policies(t: Trade) -> None:
    t = trade(policies=Policies(grace_days=5, cutoff_days=0))
    row = t.world.row(Receivable, issued(t.world, t.buyer, t.supplier, FACE, t.auditor))
    assert row.overdue_at == Instant.parse("2026-07-05T23:59:59.999Z")
    assert row.cutoff_at == Instant(row.pay_at - 1)


def test_refused_there_is_no_asset_and_the_amounts_go_back(t: Trade) -> None:
    receivable = under_review(t)
    refusal = refusal_of(t.world.row(Receivable, receivable))
    result = t.world.do(refusal, by=t.auditor, vector="review.decide/receivable_refused")
    row = t.world.row(Receivable, receivable)
    assert (row.state, row.parcels) == (ReceivableState.REFUSED, ())
    assert result.events[-1].facts["reason"] == "papers_missing"
    t.world.do(request_of(t.buyer, t.supplier, FACE, invoices=(use("A", FACE),)), by=t.buyer)


def test_no_decision_in_time(t: Trade) -> None:
    receivable = under_review(t)
    row = t.world.row(Receivable, receivable)
    events = t.world.wait(until=t.world.row(Review, row.review).deadline.plus(1))
    assert [event.kind for event in events] == ["review.expired", "receivable.expired"]
    assert t.world.row(Receivable, receivable).state is ReceivableState.EXPIRED
    assert f"invoice/{fingerprint('A')}" not in t.world.state.rows


def test_each_invoice_has_its_recomputed_fingerprint(t: Trade) -> None:
    receivable = under_review(t)
    bare = approval_of(t.world, receivable, fingerprints=())
    t.world.do(
        bare, by=t.auditor, expect=Status.FINGERPRINTS_MISSING, vector="review.decide/receivable_fingerprints_missing"
    )


def test_a_made_up_fingerprint_is_replaced_by_the_recomputed_one(t: Trade) -> None:
    receivable = under_review(t, "made up")
    approval = approval_of(t.world, receivable, fingerprints=(fingerprint("real"),))
    t.world.do(approval, by=t.auditor, vector="review.decide/receivable_fingerprint_recomputed")
    assert f"invoice/{fingerprint('made up')}" not in t.world.state.rows
    assert t.world.row(Invoice, fingerprint("real")).used == FACE
    again = request_of(t.buyer, t.supplier, FACE, invoices=(use("real", FACE),))
    t.world.do(again, by=t.buyer, expect=Status.OVER_INVOICE)


def test_two_who_collude_on_a_made_up_fingerprint_are_caught_at_the_review(t: Trade) -> None:
    issued(t.world, t.buyer, t.supplier, FACE, t.auditor, invoices=(use("real", FACE),))
    receivable = under_review(t, "made up")
    approval = approval_of(t.world, receivable, fingerprints=(fingerprint("real"),))
    t.world.do(approval, by=t.auditor, expect=Status.OVER_INVOICE, vector="review.decide/receivable_over_invoice")


def test_two_spellings_of_one_invoice_count_together(t: Trade) -> None:
    both = (use("spelled so", 600, 1_000), use("and so", 600, 1_000))
    receivable = confirmed(t.world, t.buyer, t.supplier, 1_200, invoices=both)
    real = fingerprint("real")
    over = approval_of(t.world, receivable, fingerprints=(real, real))
    result = t.world.do(over, by=t.auditor, expect=Status.OVER_INVOICE)
    assert result.facts["available"] == "400"


def test_fingerprints_that_were_stated_crosswise_are_put_right(t: Trade) -> None:
    stated = (use("A", 600, 600), use("B", 400, 600))
    receivable = confirmed(t.world, t.buyer, t.supplier, 1_000, invoices=stated)
    crosswise = approval_of(t.world, receivable, fingerprints=(fingerprint("B"), fingerprint("A")))
    t.world.do(crosswise, by=t.auditor)
    assert t.world.row(Invoice, fingerprint("A")).used == 400
    assert t.world.row(Invoice, fingerprint("B")).used == 600


def test_two_auditors_recompute_the_same(t: Trade) -> None:
    t = trade(policies=Policies(auditors_needed=2))
    receivable = under_review(t)
    t.world.do(approval_of(t.world, receivable), by=t.auditor)
    other = approval_of(t.world, receivable, fingerprints=(fingerprint("B"),))
    t.world.do(
        other,
        by=t.second_auditor,
        expect=Status.FINGERPRINTS_DIFFER,
        vector="review.decide/receivable_fingerprints_differ",
    )
    assert t.world.row(Receivable, receivable).state is ReceivableState.UNDER_REVIEW
    t.world.do(approval_of(t.world, receivable), by=t.second_auditor)
    assert t.world.row(Receivable, receivable).state is ReceivableState.VALID


def test_a_flagged_invoice_stops_the_approval_until_it_is_lifted(t: Trade) -> None:
    receivable = under_review(t)
    t.world.do(FlagInvoice(fingerprint=fingerprint("A"), reason="red_letter", paper=anchor()), by=t.auditor)
    approval = approval_of(t.world, receivable)
    t.world.do(approval, by=t.auditor, expect=Status.INVOICE_FLAGGED, vector="review.decide/receivable_invoice_flagged")


def test_after_its_due_date_nothing_becomes_valid() -> None:
    t = trade(policies=Policies(review_deadline_days=400))
    receivable = under_review(t)
    t.world.now = t.world.now.plus(120 * DAY_MS)
    assert t.world.today() == DUE_ON
    t.world.do(
        approval_of(t.world, receivable),
        by=t.auditor,
        expect=Status.BAD_DATES,
        vector="review.decide/receivable_bad_dates",
    )


def test_the_debtors_limit_counts_what_became_valid_meanwhile(t: Trade) -> None:
    t.world.put(DebtorCredit(id=f"{t.buyer}.CNY", limit=Limit(units=Units(FACE), until_on=DUE_ON)))
    first, second = under_review(t, "A"), under_review(t, "B")
    t.world.do(approval_of(t.world, first), by=t.auditor)
    late = approval_of(t.world, second)
    t.world.do(late, by=t.auditor, expect=Status.OVER_LIMIT, vector="review.decide/receivable_over_limit")


def test_a_calendar_that_was_withdrawn_is_not_guessed(t: Trade) -> None:
    receivable = confirmed(t.world, t.buyer, t.supplier, FACE, due_on=datetime.date(2027, 1, 5))
    del t.world.state.rows["calendar/2027"]
    approval = approval_of(t.world, receivable)
    t.world.do(
        approval, by=t.auditor, expect=Status.CALENDAR_MISSING, vector="review.decide/receivable_calendar_missing"
    )
    publish_calendar(t.world, 2027)
    t.world.do(approval, by=t.auditor)


def test_a_suspension_refuses_the_review_under_way(t: Trade) -> None:
    receivable = under_review(t)
    t.world.do(SuspendMember(member=t.supplier, reason="test"), by=t.auditor)
    row = t.world.row(Receivable, receivable)
    assert row.state is ReceivableState.REFUSED
    assert t.world.row(Review, row.review).state is ReviewState.REFUSED
    assert t.world.events[-1].facts["reason"] == "party_suspended"
