"""financing.request, .publish, .withdraw: what locks units, who sees it, and every reason why not."""

from typing import Any

import pytest
from msgspec.structs import replace

from tallystick.kernel.core.fields import Position
from tallystick.kernel.financing.records import FinancingState, Settlement
from tallystick.kernel.financing.request import PublishFinancing, RequestFinancing, WithdrawFinancing
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Member, MemberState, Permission, PermissionGrant, Permitted, StateEntry
from tallystick.kernel.receivables.records import LockKind, Receivable, ReceivableState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.financing import (
    MILLION,
    Market,
    asked,
    awarded,
    freeze_of,
    market,
    pass_deadline,
    quoted,
    request_of,
)
from tests.support.receivables import DUE_ON, issued, span, transferred

BY_HAND = Policies(publish_by_policy=False)


def test_a_request_locks_its_units_and_is_published_by_policy() -> None:
    m = market()
    result = m.world.do(request_of(m, 40_000_000), by=m.client, vector="financing.request/accepted")
    financing = m.financing(result.events[0].record)
    assert financing.state is FinancingState.PUBLISHED
    assert financing.interval == span(1, 40_000_000)
    assert financing.discount_until_on == DUE_ON
    (parcel,) = m.world.row(Receivable, m.receivable).parcels
    assert [(lock.by, lock.kind, lock.interval) for lock in parcel.locks] == [
        (financing.id, LockKind.FINANCING, span(1, 40_000_000))
    ]
    assert {m.funder, m.rival} <= set(result.events[1].audience)
    assert len(m.world.state.looked_up) < 20


def test_only_the_invited_are_told() -> None:
    m = market()
    asked(m, invited=(m.rival,))
    assert "financing.published" in m.world.told(m.rival)
    assert "financing.published" not in m.world.told(m.funder)


def test_an_exact_interval_may_be_named() -> None:
    m = market()
    financing_id = asked(m, 10, interval=span(91, 100))
    assert m.financing(financing_id).interval == span(91, 100)
    # The lowest free run that is long enough lies beyond it.
    assert m.financing(asked(m, 91)).interval == span(101, 191)


def test_the_discount_runs_to_the_moved_day_only_where_the_request_says_so() -> None:
    saturday = DUE_ON.replace(month=6, day=27)
    m = market(due_on=saturday)
    plain, accruing = asked(m, 100), asked(m, 100, accrues_moved_days=True)
    assert m.financing(plain).discount_until_on == saturday
    assert m.financing(accruing).discount_until_on == saturday.replace(day=29)


@pytest.mark.parametrize(
    ("case", "changed"),
    [
        ("not_found", {"receivable": "rcv_0000000000000000"}),
        ("receivable_not_held", {"parcel": span(1, 99)}),
        ("currency_mismatch", {"currency": "GBP"}),
        ("amount_zero", {"units": Units(0)}),
        ("over_available", {"units": Units(MILLION + 1)}),
        ("amount_differs", {"units": Units(9), "interval": span(1, 10)}),
        ("intervals_overlap", {"units": Units(10), "interval": span(MILLION, MILLION + 9)}),
    ],
)
def test_a_request_is_refused(case: str, changed: dict[str, Any]) -> None:
    m = market()
    operation = replace(request_of(m), **changed)
    m.world.do(operation, by=m.client, expect=Status[case.upper()], vector=f"financing.request/{case}")


def test_a_request_is_the_holders_alone() -> None:
    m = market()
    for other in (m.trade.buyer, m.funder, m.platform, m.trade.auditor):
        vector = "financing.request/not_the_holder" if other == m.funder else ""
        m.world.do(request_of(m), by=other, expect=Status.RECEIVABLE_NOT_HELD, vector=vector)


def test_the_permission_to_finance_its_ceiling_and_its_end() -> None:
    m = market()
    member = m.world.row(Member, m.client)

    def holding(*permissions: Permission) -> None:
        grants = tuple(PermissionGrant(permission=each, since=Position(0, 0)) for each in permissions)
        m.world.put(replace(member, permissions=grants))

    holding(Permission(may=Permitted.ISSUE, currency="CNY", ceiling=Units(MILLION)))
    m.world.do(
        request_of(m), by=m.client, expect=Status.PERMISSION_MISSING, vector="financing.request/permission_missing"
    )
    holding(Permission(may=Permitted.FINANCE, currency="CNY", ceiling=Units(MILLION - 1)))
    m.world.do(request_of(m), by=m.client, expect=Status.OVER_PERMISSION, vector="financing.request/over_permission")
    asked(m, MILLION - 1)
    yesterday = m.world.today().replace(day=1)
    holding(Permission(may=Permitted.FINANCE, currency="CNY", ceiling=Units(MILLION), until_on=yesterday))
    m.world.do(
        request_of(m, 1), by=m.client, expect=Status.PERMISSION_LAPSED, vector="financing.request/permission_lapsed"
    )


def test_a_suspended_client_asks_for_nothing() -> None:
    m = market()
    member = m.world.row(Member, m.client)
    entry = StateEntry(state=MemberState.SUSPENDED, since=Position(5, 0))
    m.world.put(replace(member, states=(*member.states, entry)))
    m.world.do(request_of(m), by=m.client, expect=Status.SUSPENDED, vector="financing.request/suspended")


def test_only_a_valid_receivable_is_financed() -> None:
    m = market()
    row = m.world.row(Receivable, m.receivable)
    m.world.put(replace(row, state=ReceivableState.OVERDUE))
    m.world.do(request_of(m), by=m.client, expect=Status.WRONG_STATE, vector="financing.request/wrong_state")
    m.world.put(replace(row, flagged=(row.invoices[0].fingerprint,)))
    m.world.do(request_of(m), by=m.client, expect=Status.INVOICE_FLAGGED, vector="financing.request/invoice_flagged")


def test_both_sides_of_the_cutoff() -> None:
    m = market()
    cutoff = m.world.row(Receivable, m.receivable).cutoff_at
    assert cutoff is not None
    m.world.now = cutoff.plus(-1)
    on_time = request_of(m, 10, closes_at=cutoff)
    m.world.do(on_time, by=m.client)
    m.world.now = cutoff.plus(1)
    late = request_of(m, 10, closes_at=cutoff.plus(2))
    m.world.do(late, by=m.client, expect=Status.PAST_CUTOFF, vector="financing.request/past_cutoff")


def test_the_closing_time_lies_ahead_within_the_policy() -> None:
    m = market()
    furthest = m.world.now.plus(14 * DAY_MS)
    m.world.do(
        request_of(m, closes_at=furthest.plus(1)),
        by=m.client,
        expect=Status.BAD_DATES,
        vector="financing.request/bad_dates",
    )
    m.world.do(request_of(m, closes_at=m.world.now), by=m.client, expect=Status.BAD_DATES)
    m.world.do(request_of(m, 10, closes_at=m.world.now.plus(1)), by=m.client)
    m.world.do(request_of(m, 10, closes_at=furthest), by=m.client)


def test_only_funders_are_invited_and_neither_client_nor_debtor() -> None:
    m = market()
    m.world.do(
        request_of(m, invited=(m.arbitrator,)),
        by=m.client,
        expect=Status.ROLE_MISSING,
        vector="financing.request/role_missing",
    )
    for party in (m.client, m.trade.buyer):
        vector = "financing.request/same_party" if party == m.trade.buyer else ""
        m.world.do(request_of(m, invited=(party,)), by=m.client, expect=Status.SAME_PARTY, vector=vector)
    m.world.do(
        request_of(m, invited=(m.funder, m.funder)),
        by=m.client,
        expect=Status.BAD_VALUE,
        vector="financing.request/bad_value",
    )


def test_a_debtor_that_holds_its_own_debt_sets_it_off_and_does_not_finance_it() -> None:
    m = market()
    row = m.world.row(Receivable, m.receivable)
    m.world.put(replace(row, parcels=(replace(row.parcels[0], holder=m.trade.buyer),)))
    m.world.do(request_of(m), by=m.trade.buyer, expect=Status.SAME_PARTY)


def test_locked_and_frozen_units_are_not_financed() -> None:
    m = market()
    asked(m, 60_000_000)
    m.world.do(
        request_of(m, 60_000_000), by=m.client, expect=Status.PARCEL_LOCKED, vector="financing.request/parcel_locked"
    )
    m.world.do(freeze_of(m, span(60_000_001, MILLION)), by=m.trade.auditor)
    m.world.do(request_of(m, 10), by=m.client, expect=Status.FROZEN, vector="financing.request/frozen")


def test_what_may_not_be_cut_is_financed_whole() -> None:
    m = market(splittable=False)
    m.world.do(request_of(m, 10), by=m.client, expect=Status.NOT_SPLITTABLE, vector="financing.request/not_splittable")
    asked(m)


def test_a_cut_leaves_no_crumbs() -> None:
    m = market(policies=Policies(min_split=Units(1_000)))
    m.world.do(
        request_of(m, MILLION - 999),
        by=m.client,
        expect=Status.UNDER_MINIMUM_SPLIT,
        vector="financing.request/under_minimum_split",
    )
    asked(m, MILLION - 1_000)


def test_a_parcel_at_the_end_of_its_chain_is_not_financed() -> None:
    m = market(policies=Policies(max_hops=1))
    world, maker = m.world, m.trade.maker
    transferred(world, m.receivable, m.whole, MILLION, m.client, maker, m.trade.auditor)
    world.do(request_of(m), by=maker, expect=Status.TOO_MANY_HOPS, vector="financing.request/too_many_hops")


def test_no_financing_makes_more_parcels_than_the_chain_allows() -> None:
    m = market(max_parcels=1)
    m.world.do(
        request_of(m, 10), by=m.client, expect=Status.TOO_MANY_PARCELS, vector="financing.request/too_many_parcels"
    )
    asked(m)


def test_publishing_by_hand() -> None:
    m = market(policies=BY_HAND)
    financing_id = asked(m, invited=(m.funder,))
    publish = PublishFinancing(financing=financing_id)
    assert m.financing(financing_id).state is FinancingState.REQUESTED
    m.world.do(publish, by=m.rival, expect=Status.NOT_INVITED, vector="financing.publish/not_invited")
    m.world.do(publish, by=m.client, expect=Status.ROLE_MISSING, vector="financing.publish/role_missing")
    m.world.do(publish, by=m.funder, vector="financing.publish/accepted")
    assert m.financing(financing_id).state is FinancingState.PUBLISHED
    m.world.do(publish, by=m.platform, expect=Status.WRONG_STATE, vector="financing.publish/wrong_state")
    missing = PublishFinancing(financing="fin_0000000000000000")
    m.world.do(missing, by=m.platform, expect=Status.NOT_FOUND, vector="financing.publish/not_found")
    m.world.do(PublishFinancing(financing=asked_again(m)), by=m.platform)


def asked_again(m: Market) -> str:
    """Another receivable of the client's, asked for."""
    other = issued(m.world, m.trade.buyer, m.client, 5_000, m.trade.auditor)
    operation = replace(request_of(m, 5_000), receivable=other, parcel=span(1, 5_000))
    return m.world.do(operation, by=m.client).events[0].record


def test_a_funder_does_not_publish_the_debt_that_is_its_own() -> None:
    m = market(policies=BY_HAND)
    debtor = m.world.row(Member, m.funder)
    m.world.put(replace(m.world.row(Member, m.trade.buyer), roles=debtor.roles))
    publish = PublishFinancing(financing=asked(m))
    m.world.do(publish, by=m.trade.buyer, expect=Status.SAME_PARTY, vector="financing.publish/same_party")


def test_both_sides_of_the_end_of_publication() -> None:
    m = market(policies=BY_HAND)
    first, second = asked(m, 10), asked(m, 10)
    m.world.now = m.financing(first).closes_at
    m.world.do(PublishFinancing(financing=first), by=m.platform)
    m.world.now = m.world.now.plus(1)
    m.world.do(
        PublishFinancing(financing=second),
        by=m.platform,
        expect=Status.DEADLINE_PASSED,
        vector="financing.publish/deadline_passed",
    )
    m.world.wait()
    assert m.financing(second).state is FinancingState.EXPIRED
    assert m.financing(second).reason == "not_published"


def test_a_client_withdraws_before_the_award() -> None:
    m = market()
    financing_id = asked(m)
    quoted(m, financing_id, m.funder)
    withdraw = WithdrawFinancing(financing=financing_id)
    m.world.do(withdraw, by=m.funder, expect=Status.NOT_A_PARTY, vector="financing.withdraw/not_a_party")
    m.world.do(withdraw, by=m.client, vector="financing.withdraw/accepted")
    assert m.financing(financing_id).state is FinancingState.WITHDRAWN
    assert not m.world.row(Receivable, m.receivable).parcels[0].locks
    assert m.world.told(m.funder)[-1] == "financing.withdrawn"
    m.world.do(withdraw, by=m.client, expect=Status.WRONG_STATE, vector="financing.withdraw/wrong_state")
    missing = WithdrawFinancing(financing="fin_0000000000000000")
    m.world.do(missing, by=m.client, expect=Status.NOT_FOUND, vector="financing.withdraw/not_found")


def test_after_the_award_nothing_is_withdrawn() -> None:
    m = market()
    financing_id = awarded(m)
    m.world.do(WithdrawFinancing(financing=financing_id), by=m.client, expect=Status.WRONG_STATE)


def test_a_window_that_has_passed_is_not_withdrawn_from() -> None:
    m = market()
    financing_id = asked(m)
    m.world.now = m.financing(financing_id).closes_at.plus(1)
    m.world.do(
        WithdrawFinancing(financing=financing_id),
        by=m.client,
        expect=Status.DEADLINE_PASSED,
        vector="financing.withdraw/deadline_passed",
    )


def test_bands_of_a_signing_policy_see_the_amount() -> None:
    m = market()
    operation = request_of(m, 10, settlement=Settlement.BANK)
    assert isinstance(operation, RequestFinancing)
    assert operation.amount() == ("CNY", Units(10))


def test_nobody_quotes_and_the_units_are_free_again() -> None:
    m = market()
    financing_id = asked(m)
    pass_deadline(m, financing_id)
    assert m.financing(financing_id).state is FinancingState.NO_QUOTES
    asked(m)
