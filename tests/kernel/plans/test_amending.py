"""plan.amend, .confirm_amendment, .decline_amendment: a new version that both sign, and what it leaves alone."""

from typing import Any

import pytest
from msgspec.structs import replace

from tallystick.kernel.accounts.freezes import FreezeAccount
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.standing import DeclareInsolvent, SuspendMember
from tallystick.kernel.plans.amending import AmendPlan, ConfirmAmendment, DeclineAmendment
from tallystick.kernel.plans.conditions import DocumentsIn, OnDate, VerifiersAccept
from tallystick.kernel.plans.records import Phase, PlanState, PlanVersion, TrancheTerms, Unused
from tallystick.kernel.products.records import FeePayer, FeeTerms, ProductState
from tallystick.kernel.redemption.redeem import Redeem
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status
from tests.support.accounts import money
from tests.support.plans import (
    PART,
    amended,
    amendment_of,
    amendment_refused,
    check_plans,
    confirmed,
    consent_of,
    day,
    dropped,
    funded,
    funded_plan,
    plan_of,
    sent,
    state_of,
    terms_of,
    tranche,
    version_row,
)
from tests.support.products import MILLION, cast
from tests.support.receivables import anchor, issued

HALF = PART // 2


def at(text: str) -> Instant:
    return Instant.parse(text)


# --- the way of an amendment ----------------------------------------------------------------------------------------


def test_an_amendment_is_a_new_version_that_both_sign() -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche(), tranche())
    first = version_row(c.world, plan)
    new = (tranche(), tranche(HALF), tranche(title="Roof", condition=VerifiersAccept(needed=1, verifiers=c.verifiers)))
    result = c.world.do(amendment_of(c.world, plan, *new), by=c.payer, vector="plan.amend/proposed")
    waiting = plan_of(c.world, plan).amendment
    assert waiting is not None
    assert waiting.deadline == c.world.now.plus(Policies().amendment_days * DAY_MS)
    assert result.events[0].audience == (c.payer, c.payee, c.platform)
    assert version_row(c.world, plan) == first
    result = c.world.do(consent_of(c.world, plan), by=c.payee, vector="plan.confirm_amendment/confirmed")
    row, version = plan_of(c.world, plan), version_row(c.world, plan)
    assert (row.version, row.amendment, row.named) == (2, None, c.verifiers)
    assert (version.id, version.tranches) == (f"{plan}/2", new)
    assert version.terms == first.terms
    assert c.world.row(PlanVersion, first.id) == first
    assert row.tranches[2].release_at == at("2026-04-01T00:00:00.000Z")
    assert row.committed == c.product(row.product).committed == 2 * PART + HALF
    assert result.events[0].kind == "plan.amended"
    assert result.events[0].audience == (*row.live_for(),)
    check_plans(c.world)


def test_a_later_amendment_takes_the_place_of_one_that_waits() -> None:
    """Whoever signed over the first has not signed the second."""
    c = cast()
    plan = confirmed(c.world, c, tranche())
    c.world.do(amendment_of(c.world, plan, tranche(HALF)), by=c.payer)
    first = consent_of(c.world, plan)
    c.world.do(amendment_of(c.world, plan, tranche(HALF, title="Walls")), by=c.payer)
    c.world.do(first, by=c.payee, expect=Status.PLAN_DIFFERS, vector="plan.confirm_amendment/plan_differs")
    c.world.do(consent_of(c.world, plan), by=c.payee)
    assert terms_of(c, plan)[0].title == "Walls"


def test_who_amends_and_who_confirms() -> None:
    c = cast()
    plan = confirmed(c.world, c)
    asked = amendment_of(c.world, plan, tranche(HALF))
    c.world.do(asked, by=c.payee, expect=Status.NOT_A_PARTY, vector="plan.amend/not_a_party")
    unknown = AmendPlan(plan="pln_0000000000000000", currency="CNY", total=Units(1), tranches=(tranche(1),))
    c.world.do(unknown, by=c.payer, expect=Status.NOT_FOUND, vector="plan.amend/not_found")
    c.world.do(asked, by=c.payer)
    yes = consent_of(c.world, plan)
    c.world.do(yes, by=c.payer, expect=Status.NOT_A_PARTY, vector="plan.confirm_amendment/not_a_party")
    nothing = ConfirmAmendment(plan="pln_0000000000000000", currency="CNY", total=Units(1), terms="ab" * 32)
    c.world.do(nothing, by=c.payee, expect=Status.NOT_FOUND, vector="plan.confirm_amendment/plan_not_found")
    c.world.do(yes, by=c.payee)
    c.world.do(yes, by=c.payee, expect=Status.NOT_FOUND, vector="plan.confirm_amendment/not_found")


@pytest.mark.parametrize(
    ("name", "fields", "status"),
    [
        ("currency_mismatch", {"currency": "GBP"}, Status.CURRENCY_MISMATCH),
        ("amount_differs", {"total": Units(HALF + 1)}, Status.AMOUNT_DIFFERS),
    ],
)
def test_both_state_the_amount(name: str, fields: dict[str, Any], status: Status) -> None:
    c = cast()
    plan = confirmed(c.world, c)
    amendment_refused(c, plan, tranche(HALF), expect=status, vector=f"plan.amend/{name}", **fields)
    c.world.do(amendment_of(c.world, plan, tranche(HALF)), by=c.payer)
    yes = consent_of(c.world, plan, **fields)
    c.world.do(yes, by=c.payee, expect=status, vector=f"plan.confirm_amendment/{name}")


def test_only_an_active_plan_is_amended() -> None:
    c = cast()
    plan = sent(c.world, c)
    amendment_refused(c, plan, tranche(HALF), expect=Status.WRONG_STATE, vector="plan.amend/wrong_state")
    no = DeclineAmendment(plan=plan, reason="too_little")
    c.world.do(no, by=c.payee, expect=Status.WRONG_STATE, vector="plan.decline_amendment/wrong_state")


def test_a_suspended_product_takes_no_amendment() -> None:
    c = cast()
    plan = confirmed(c.world, c)
    c.world.do(amendment_of(c.world, plan, tranche(HALF)), by=c.payer)
    product = c.product(plan_of(c.world, plan).product)
    c.world.put(replace(product, state=ProductState.SUSPENDED))
    amendment_refused(c, plan, tranche(HALF), expect=Status.WRONG_STATE, vector="plan.amend/product_suspended")
    yes = consent_of(c.world, plan)
    c.world.do(yes, by=c.payee, expect=Status.WRONG_STATE, vector="plan.confirm_amendment/product_suspended")


def test_a_suspended_payer_proposes_no_amendment_and_a_suspended_payee_may_sign_one() -> None:
    c = cast()
    plan, other = confirmed(c.world, c), confirmed(c.world, c)
    c.world.do(amendment_of(c.world, plan, tranche(HALF)), by=c.payer)
    c.world.do(SuspendMember(member=c.payee, reason="investigation"), by=c.auditor)
    c.world.do(consent_of(c.world, plan), by=c.payee)
    c.world.do(SuspendMember(member=c.payer, reason="investigation"), by=c.auditor)
    amendment_refused(c, other, tranche(HALF), expect=Status.SUSPENDED, vector="plan.amend/suspended")


def test_an_insolvent_payer_promises_nothing_anew() -> None:
    c = cast()
    plan = confirmed(c.world, c)
    c.world.do(DeclareInsolvent(member=c.payer, order=anchor("court_order")), by=c.auditor)
    facts = amendment_refused(c, plan, tranche(HALF), expect=Status.WRONG_STATE, vector="plan.amend/insolvent")
    assert facts["state"] == "insolvent"


@pytest.mark.parametrize("who", ["payee", "payer"])
def test_either_side_ends_an_amendment(who: str) -> None:
    c = cast()
    plan = confirmed(c.world, c)
    c.world.do(amendment_of(c.world, plan, tranche(HALF)), by=c.payer)
    no = DeclineAmendment(plan=plan, reason="too_little")
    result = c.world.do(no, by=getattr(c, who), vector=f"plan.decline_amendment/by_{who}")
    assert result.events[0].facts == {"by": getattr(c, who), "reason": "too_little"}
    row = plan_of(c.world, plan)
    assert (row.amendment, row.version, row.state) == (None, 1, PlanState.ACTIVE)
    c.world.do(no, by=c.payee, expect=Status.NOT_FOUND, vector="plan.decline_amendment/not_found")
    c.world.do(no, by=c.platform, expect=Status.NOT_A_PARTY, vector="plan.decline_amendment/not_a_party")
    unknown = DeclineAmendment(plan="pln_0000000000000000", reason="too_little")
    c.world.do(unknown, by=c.payee, expect=Status.NOT_FOUND, vector="plan.decline_amendment/plan_not_found")


def test_the_window_to_answer_is_open_to_its_last_instant() -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche(fund_by_on=day(4, 16)))
    c.world.do(amendment_of(c.world, plan, tranche(HALF, fund_by_on=day(4, 16))), by=c.payer)
    yes = consent_of(c.world, plan)
    waiting = plan_of(c.world, plan).amendment
    assert waiting is not None
    c.world.now = waiting.deadline.plus(1)
    late = Status.DEADLINE_PASSED
    c.world.do(yes, by=c.payee, expect=late, vector="plan.confirm_amendment/deadline_passed")
    no = DeclineAmendment(plan=plan, reason="too_little")
    c.world.do(no, by=c.payee, expect=late, vector="plan.decline_amendment/deadline_passed")
    c.world.now = waiting.deadline
    c.world.do(yes, by=c.payee)


def test_an_amendment_that_is_not_answered_lapses_and_the_plan_goes_on() -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche(fund_by_on=day(4, 16)))
    c.world.do(amendment_of(c.world, plan, tranche(HALF, fund_by_on=day(4, 16))), by=c.payer)
    before = plan_of(c.world, plan)
    assert before.amendment is not None
    assert c.world.wait(until=before.amendment.deadline) == []
    events = c.world.wait(until=before.amendment.deadline.plus(1))
    told = [(event.kind, event.audience) for event in events]
    assert told == [("plan.amendment_lapsed", (c.payer, c.payee, c.platform))]
    assert plan_of(c.world, plan) == replace(before, amendment=None)


# --- form, and the product ------------------------------------------------------------------------------------------


def test_no_number_is_lost_and_something_is_changed() -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche(), tranche())
    facts = amendment_refused(c, plan, tranche(), expect=Status.BAD_VALUE, vector="plan.amend/number_lost")
    assert facts == {"field": "tranches", "least": 2}
    facts = amendment_refused(
        c, plan, tranche(), tranche(), expect=Status.BAD_VALUE, vector="plan.amend/nothing_changed"
    )
    assert facts["reason"] == "nothing is changed"
    facts = amendment_refused(
        c, plan, *(dropped(tranche()),) * 2, expect=Status.AMOUNT_ZERO, vector="plan.amend/everything_dropped"
    )
    assert facts == {"field": "total"}


@pytest.mark.parametrize(
    ("name", "new", "status", "facts"),
    [
        (
            "appended_without_amount",
            (tranche(), dropped(tranche())),
            Status.AMOUNT_ZERO,
            {"tranche": 2, "field": "units"},
        ),
        (
            "unsound",
            (tranche(), tranche(condition=DocumentsIn())),
            Status.NO_WAY_TO_BE_MET,
            {"tranche": 2, "field": "condition"},
        ),
        (
            "over_product",
            (tranche(), tranche(MILLION - PART + 1)),
            Status.OVER_PRODUCT,
            {"tranche": 0, "field": "units", "reason": "over_cap", "failing": 1},
        ),
        (
            "after_payments",
            (tranche(release_until_on=day(1, 1, 2027)),),
            Status.OVER_PRODUCT,
            {"tranche": 1, "field": "release_until_on", "reason": "after_payments", "failing": 1},
        ),
        (
            "calendar_missing",
            (tranche(), tranche(release_from_on=day(1, 3, 2028), release_until_on=day(1, 3, 2028))),
            Status.CALENDAR_MISSING,
            {"tranche": 2, "day": "2028-01-03"},
        ),
    ],
)
def test_what_is_new_is_checked_as_a_proposal_is(
    name: str, new: tuple[TrancheTerms, ...], status: Status, facts: dict[str, Any]
) -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche())
    assert amendment_refused(c, plan, *new, expect=status, vector=f"plan.amend/{name}") == facts


def test_the_whole_cap_may_be_asked_for_and_not_a_unit_more() -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche())
    amended(c.world, c, plan, tranche(), tranche(MILLION - PART))
    assert plan_of(c.world, plan).committed == MILLION
    amendment_refused(c, plan, tranche(PART + 1), tranche(MILLION - PART), expect=Status.OVER_PRODUCT)
    check_plans(c.world)


def test_too_many_tranches() -> None:
    c = cast(policies=Policies(max_tranches=2))
    plan = confirmed(c.world, c, tranche(), tranche())
    amendment_refused(c, plan, *(tranche(),) * 3, expect=Status.TOO_MANY, vector="plan.amend/too_many_tranches")


def test_a_receivable_that_was_redeemed_does_not_bar_other_changes() -> None:
    c = cast()
    receivable = issued(c.world, c.payer, c.payee, PART, c.auditor)
    plan = confirmed(c.world, c, tranche(redeems=receivable))
    c.world.do(Redeem(receivable=receivable, currency="CNY", units=Units(PART)), by=c.payer)
    amended(c.world, c, plan, tranche(redeems=receivable, title="Walls"))
    amendment_refused(
        c,
        plan,
        *terms_of(c, plan),
        tranche(redeems=receivable),
        expect=Status.WRONG_STATE,
        vector="plan.amend/redeemed",
    )


def test_room_that_another_plan_took_since_is_not_there_any_more() -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche())
    product = plan_of(c.world, plan).product
    c.world.do(amendment_of(c.world, plan, tranche(), tranche()), by=c.payer)
    confirmed(c.world, c, tranche(MILLION - PART), product=product)
    yes = consent_of(c.world, plan)
    c.world.do(yes, by=c.payee, expect=Status.OVER_PRODUCT, vector="plan.confirm_amendment/over_product")


# --- money ----------------------------------------------------------------------------------------------------------


def test_surplus_money_goes_back_and_is_asked_for_anew() -> None:
    """A lowered tranche gives back; raised again, it misses what went back."""
    c = cast()
    plan = funded_plan(c.world, c, tranche(), tranche())
    had = money(c.world, c.payer)
    amended(c.world, c, plan, tranche(HALF), tranche())
    first = state_of(c.world, plan)
    assert (first.held, first.refunded, first.given_back, first.fund_until) == (HALF, HALF, HALF, None)
    assert money(c.world, c.payer) == had + HALF
    assert plan_of(c.world, plan).committed == PART + HALF
    check_plans(c.world)
    amended(c.world, c, plan, tranche(PART - 1), tranche())
    assert state_of(c.world, plan).fund_until == at("2026-03-21T23:59:59.999Z")
    funded(c.world, plan, HALF - 1)
    first = state_of(c.world, plan)
    assert (first.held, first.fund_until) == (PART - 1, None)
    check_plans(c.world)


def test_a_partly_funded_tranche_keeps_what_it_still_asks_for() -> None:
    c = cast()
    plan = confirmed(c.world, c, tranche(), tranche())
    funded(c.world, plan, HALF + 1)
    amended(c.world, c, plan, tranche(HALF), tranche())
    assert [state.held for state in plan_of(c.world, plan).tranches] == [HALF, 0]
    assert [state.refunded for state in plan_of(c.world, plan).tranches] == [1, 0]
    amended(c.world, c, plan, tranche(HALF + 2), tranche())
    assert state_of(c.world, plan).fund_until is not None
    check_plans(c.world)


def test_a_dropped_tranche_keeps_its_number_and_gives_its_money_back() -> None:
    c = cast()
    plan = funded_plan(c.world, c, tranche(), tranche(), tranche(title="Roof", unused=Unused.ROLL_ON))
    had = money(c.world, c.payer)
    one, two, three = terms_of(c, plan)
    c.world.do(amendment_of(c.world, plan, one, dropped(two), three), by=c.payer, vector="plan.amend/dropped")
    c.world.do(consent_of(c.world, plan), by=c.payee, vector="plan.confirm_amendment/dropped")
    gone = state_of(c.world, plan, 2)
    assert (gone.phase, gone.held, gone.refunded, gone.wake_at, gone.unmet_at) == (Phase.ENDED, 0, PART, None, None)
    assert terms_of(c, plan)[2].title == "Roof"
    assert money(c.world, c.payer) == had + PART
    assert plan_of(c.world, plan).committed == 2 * PART
    check_plans(c.world)
    facts = amendment_refused(c, plan, one, two, three, expect=Status.AMENDMENT_TAKES_BACK, vector="plan.amend/over")
    assert facts == {"tranche": 2, "phase": "ended"}
    later = replace(dropped(two), release_until_on=day(5, 29))  # what evidence under way would allow
    facts = amendment_refused(c, plan, one, later, three, expect=Status.AMENDMENT_TAKES_BACK)
    assert facts == {"tranche": 2, "phase": "ended"}


def test_a_dropped_tranche_is_otherwise_stated_as_it_was() -> None:
    """Its number goes on to say what it was; nothing new hides behind an amount of zero."""
    c = cast()
    plan = confirmed(c.world, c, tranche(), tranche())
    other = dropped(tranche(condition=VerifiersAccept(needed=1, verifiers=c.verifiers)))
    facts = amendment_refused(
        c, plan, tranche(), other, expect=Status.BAD_VALUE, vector="plan.amend/dropped_and_changed"
    )
    assert facts == {"tranche": 2, "reason": "a dropped tranche is otherwise stated as it was"}


def test_a_plan_whose_last_open_tranche_is_dropped_is_completed() -> None:
    c = cast()
    plan = funded_plan(c.world, c, tranche(release_from_on=day(3, 2), condition=OnDate(on=day(3, 2))), tranche())
    c.world.wait(until=at("2026-03-06T00:00:00.000Z"))
    c.world.wait(until=at("2026-03-12T00:00:00.000Z"))
    assert state_of(c.world, plan).phase is Phase.RELEASED
    amended(c.world, c, plan, terms_of(c, plan)[0], dropped(terms_of(c, plan)[1]))
    row = plan_of(c.world, plan)
    assert (row.state, row.released, row.refunded) == (PlanState.COMPLETED, PART, PART)
    assert c.product(row.product).live_plans == 0
    check_plans(c.world)


def test_a_paying_payers_reserve_follows_at_the_end() -> None:
    """More to release asks for a larger reserve; what a smaller plan does not need of it goes back when it ends."""
    c = cast()
    fee = FeeTerms(rate=Rate(1_000_000), minimum=Units(0), paid_by=FeePayer.PAYER)
    plan = funded_plan(c.world, c, tranche(), fee=fee)
    assert plan_of(c.world, plan).fee_reserve == PART // 100
    amended(c.world, c, plan, tranche(HALF))
    assert plan_of(c.world, plan).fee_reserve == PART // 100
    amended(c.world, c, plan, tranche(HALF), tranche())
    funded(c.world, plan, PART + HALF // 100)
    assert plan_of(c.world, plan).fee_reserve == (PART + HALF) // 100
    check_plans(c.world)


def test_money_under_a_freeze_does_not_leave_by_an_amendment() -> None:
    c = cast()
    plan = funded_plan(c.world, c, tranche(), tranche())
    c.world.do(amendment_of(c.world, plan, tranche(HALF), tranche()), by=c.payer)
    frozen = Units(2 * PART - HALF + 1)
    order = FreezeAccount(plan=plan, currency="CNY", units=frozen, authority_order=anchor("court_order"))
    c.world.do(order, by=c.custodian)
    amendment_refused(
        c, plan, tranche(HALF - 1), tranche(), expect=Status.ACCOUNT_FROZEN, vector="plan.amend/account_frozen"
    )
    yes = consent_of(c.world, plan)
    c.world.do(yes, by=c.payee, expect=Status.ACCOUNT_FROZEN, vector="plan.confirm_amendment/account_frozen")
    amended(c.world, c, plan, tranche(HALF + 1), tranche())
    check_plans(c.world)
