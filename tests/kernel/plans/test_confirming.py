"""plan.confirm, .decline, .withdraw: what the payee signs is written whole, or the plan ends."""

import hashlib

import pytest

from tallystick.kernel.core import codec
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import DeclareInsolvent, SetPermissions, SuspendMember
from tallystick.kernel.plans.conditions import AllOf, DataStated, OnDate, VerifiersAccept
from tallystick.kernel.plans.proposing import ConfirmPlan, DeclinePlan, WithdrawPlan, terms_hash
from tallystick.kernel.plans.records import Failing, Phase, Plan, PlanState, PlanVersion, Retention
from tallystick.kernel.products.records import Business, ProductState
from tallystick.kernel.redemption.redeem import Redeem
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.law import under
from tests.support.plans import (
    PART,
    confirmation_of,
    confirmed,
    day,
    plan_of,
    proposal_of,
    proposed,
    sending_back_of,
    sending_of,
    sent,
    tranche,
    version_row,
)
from tests.support.products import MILLION, Cast, cast, opened_product
from tests.support.receivables import anchor, issued

UNCLEAR = Failing(tranche=1, field="title", reason="unclear")


def at(text: str) -> Instant:
    return Instant.parse(text)


def test_the_plan_is_written_whole() -> None:
    """Terms of the product, tranches as they were proposed, and instants; the draft is dropped from the plan's row."""
    c = cast()
    steps = (
        tranche(
            condition=AllOf(of=(VerifiersAccept(needed=2, verifiers=c.verifiers), OnDate(on=day(4, 4)))),
            retention=Retention(rate=Rate(5_000_000), until_on=day(10, 3)),
        ),
        tranche(condition=DataStated(source=c.source, kind="waybill")),
    )
    plan = sent(c.world, c, *steps)
    result = c.world.do(confirmation_of(c.world, plan), by=c.payee, vector="plan.confirm/anchored")
    row = plan_of(c.world, plan)
    assert (row.state, row.version, row.draft, row.deadline) == (PlanState.ACTIVE, 1, (), None)
    assert row.long_stop_at == at("2027-06-30T23:59:59.999Z")
    assert row.named == (*c.verifiers, c.source)
    first = row.tranches[0]
    assert first.phase is Phase.WAITING
    assert first.fund_until == at("2026-03-21T23:59:59.999Z")
    assert first.release_at == at("2026-04-01T00:00:00.000Z")
    assert first.unmet_at == at("2026-04-30T23:59:59.999Z")
    assert first.retained_until == at("2026-10-05T00:00:00.000Z")  # 3 October is a Saturday
    version = version_row(c.world, plan)
    product = c.product(row.product)
    assert version.tranches == steps
    assert [(each.on, each.at) for each in version.opens] == [(day(4, 4), at("2026-04-06T00:00:00.000Z"))]
    assert (version.terms.payer, version.terms.payee, version.terms.platform) == product.parties
    assert (version.terms.fee, version.terms.arbitrator) == (product.terms.fee, product.terms.arbitrator)
    assert (version.judged, version.confirmed.height) == (None, c.world.height - 1)
    assert (product.committed, product.live_plans) == (2 * PART, 1)
    event = result.events[0]
    assert (event.kind, event.record) == ("plan.anchored", plan)
    assert event.facts["version"] == f"plan_version/{plan}/1"
    named = (c.payer, c.payee, c.platform, c.custodian, c.arbitrator, *c.verifiers, c.source)
    assert event.audience == named
    assert set(named) == set(row.live_for())


def test_the_hash_is_of_the_tranches_canonical_bytes() -> None:
    """Whoever shows the plan to the payee can work it out from what it shows."""
    c = cast()
    plan = sent(c.world, c)
    draft = plan_of(c.world, plan).draft
    raw = b"[" + b",".join(codec.encode(terms) for terms in draft) + b"]"
    assert terms_hash(draft) == hashlib.sha256(raw).hexdigest()


def test_a_wage_plan_stores_how_the_law_judged_it() -> None:
    c = cast()
    under(c.world, "cn")
    plan = confirmed(c.world, c, tranche(wages=True), business=Business.WAGES)
    judged = version_row(c.world, plan).judged
    assert judged is not None
    assert judged.packs


@pytest.mark.parametrize(
    ("name", "fields", "status"),
    [
        ("plan_differs", {"terms": "ab" * 32}, Status.PLAN_DIFFERS),
        ("currency_mismatch", {"currency": "GBP"}, Status.CURRENCY_MISMATCH),
        ("amount_differs", {"total": Units(PART - 1)}, Status.AMOUNT_DIFFERS),
    ],
)
def test_what_the_payee_signs_is_what_it_saw(name: str, fields: dict[str, object], status: Status) -> None:
    c = cast()
    plan = sent(c.world, c)
    said = confirmation_of(c.world, plan, **fields)
    c.world.do(said, by=c.payee, expect=status, vector=f"plan.confirm/{name}")
    assert plan_of(c.world, plan).state is PlanState.SENT


def test_a_confirmation_of_the_first_proposal_does_not_confirm_the_second() -> None:
    c = cast()
    product = opened_product(c.world, c)
    plan = sent(c.world, c, product=product)
    first = confirmation_of(c.world, plan)
    other = proposed(c.world, c, product=product)
    c.world.do(sending_back_of(c.world, other, UNCLEAR), by=c.platform)
    c.world.do(proposal_of(c, product, tranche(release_from_on=day(3, 2)), plan=other), by=c.payer)
    c.world.do(sending_of(c.world, other), by=c.platform)
    stale = ConfirmPlan(plan=other, currency=first.currency, total=first.total, terms=first.terms)
    c.world.do(stale, by=c.payee, expect=Status.PLAN_DIFFERS)


def test_only_the_payee_confirms() -> None:
    c = cast()
    plan = sent(c.world, c)
    said = confirmation_of(c.world, plan)
    for other in (c.payer, c.platform):
        c.world.do(said, by=other, expect=Status.NOT_A_PARTY)
    c.world.do(said, by=c.payer, expect=Status.NOT_A_PARTY, vector="plan.confirm/not_a_party")
    unknown = ConfirmPlan(plan="pln_0000000000000000", currency="CNY", total=Units(1), terms="ab" * 32)
    c.world.do(unknown, by=c.payee, expect=Status.NOT_FOUND, vector="plan.confirm/not_found")


def test_what_was_not_sent_is_not_confirmed() -> None:
    c = cast()
    plan = proposed(c.world, c)
    c.world.do(confirmation_of(c.world, plan), by=c.payee, expect=Status.WRONG_STATE, vector="plan.confirm/not_sent")


def test_a_plan_is_confirmed_once() -> None:
    c = cast()
    plan = sent(c.world, c)
    said = confirmation_of(c.world, plan)
    c.world.do(said, by=c.payee)
    c.world.do(said, by=c.payee, expect=Status.WRONG_STATE, vector="plan.confirm/confirmed_already")
    assert c.product(plan_of(c.world, plan).product).committed == PART


@pytest.mark.parametrize(("name", "state"), [("suspended", ProductState.SUSPENDED), ("closed", ProductState.CLOSED)])
def test_the_product_must_still_be_open(name: str, state: ProductState) -> None:
    c = cast()
    plan = sent(c.world, c)
    row = c.product(plan_of(c.world, plan).product)
    c.world.put(type(row)(**{**{field: getattr(row, field) for field in row.__struct_fields__}, "state": state}))
    said = confirmation_of(c.world, plan)
    c.world.do(said, by=c.payee, expect=Status.WRONG_STATE, vector=f"plan.confirm/product_{name}")


def test_two_plans_that_fit_alone_do_not_both_fit() -> None:
    """The cap is asked again on the day of the confirmation: both were sent while there was room for each."""
    c = cast()
    product = opened_product(c.world, c)
    one, two = (sent(c.world, c, tranche(MILLION // 2 + 1), product=product) for _ in range(2))
    c.world.do(confirmation_of(c.world, one), by=c.payee)
    said = confirmation_of(c.world, two)
    result = c.world.do(said, by=c.payee, expect=Status.OVER_PRODUCT, vector="plan.confirm/over_product")
    assert result.facts["field"] == "units"
    assert c.product(product).committed == MILLION // 2 + 1


def test_what_was_agreed_too_late_is_not_confirmed() -> None:
    """A deposit day that passed between proposal and confirmation can no longer be kept."""
    c = cast()
    plan = sent(c.world, c, tranche(fund_by_on=day(3, 4)))
    said = confirmation_of(c.world, plan)
    c.world.now = at("2026-03-05T00:00:00.000Z")
    result = c.world.do(said, by=c.payee, expect=Status.BAD_DATES, vector="plan.confirm/bad_dates")
    assert result.facts == {"tranche": 1, "field": "fund_by_on", "today": "2026-03-05"}
    c.world.now = at("2026-03-04T23:59:59.999Z")
    c.world.do(said, by=c.payee)


def test_a_verifier_that_lost_its_role_since() -> None:
    c = cast()
    plan = sent(c.world, c, tranche(condition=VerifiersAccept(needed=1, verifiers=c.verifiers[:1])))
    bare = SetPermissions(member=c.verifiers[0], roles=(Role.CLIENT,), permissions=())
    c.world.do(bare, by=c.auditor)
    said = confirmation_of(c.world, plan)
    c.world.do(said, by=c.payee, expect=Status.ROLE_MISSING, vector="plan.confirm/verifier_without_role")


def test_a_receivable_that_was_paid_since() -> None:
    c = cast()
    receivable = issued(c.world, c.payer, c.payee, PART, c.auditor)
    plan = sent(c.world, c, tranche(redeems=receivable))
    c.world.do(Redeem(receivable=receivable, currency="CNY", units=Units(PART)), by=c.payer)
    said = confirmation_of(c.world, plan)
    c.world.do(said, by=c.payee, expect=Status.WRONG_STATE, vector="plan.confirm/receivable_redeemed")


def suspend(c: Cast, member: str) -> None:
    c.world.do(SuspendMember(member=member, reason="investigation"), by=c.auditor)


def test_a_suspended_payee_signs_nothing_new() -> None:
    c = cast()
    plan = sent(c.world, c)
    suspend(c, c.payee)
    c.world.do(confirmation_of(c.world, plan), by=c.payee, expect=Status.SUSPENDED, vector="plan.confirm/suspended")


def test_an_insolvent_payers_plan_is_not_confirmed() -> None:
    """The insolvency ends what was proposed before; nothing is proposed after it."""
    c = cast()
    plan = sent(c.world, c)
    c.world.do(DeclareInsolvent(member=c.payer, order=anchor("court_order")), by=c.auditor)
    assert plan_of(c.world, plan).state is PlanState.WITHDRAWN
    asked = proposal_of(c, plan_of(c.world, plan).product)
    result = c.world.do(asked, by=c.payer, expect=Status.WRONG_STATE, vector="plan.propose/insolvent")
    assert result.facts == {"organisation": c.payer, "state": "insolvent"}


def test_nothing_is_confirmed_under_a_suspended_platform() -> None:
    c = cast()
    plan = sent(c.world, c)
    suspend(c, c.platform)
    said = confirmation_of(c.world, plan)
    c.world.do(said, by=c.payee, expect=Status.PARTY_SUSPENDED, vector="plan.confirm/party_suspended")


# --- windows --------------------------------------------------------------------------------------------------------


def deadline_of(c: Cast, plan: str) -> Instant:
    deadline = plan_of(c.world, plan).deadline
    assert deadline is not None
    return deadline


def test_the_window_to_confirm_is_open_to_its_last_instant() -> None:
    c = cast()
    product = opened_product(c.world, c)
    one, two = sent(c.world, c, product=product), sent(c.world, c, product=product)
    c.world.now = deadline_of(c, two)
    c.world.do(confirmation_of(c.world, two), by=c.payee)
    c.world.now = deadline_of(c, one).plus(1)
    late = confirmation_of(c.world, one)
    c.world.do(late, by=c.payee, expect=Status.DEADLINE_PASSED, vector="plan.confirm/deadline_passed")


def test_a_plan_that_is_not_answered_expires() -> None:
    c = cast()
    plan = sent(c.world, c)
    deadline = deadline_of(c, plan)
    assert c.world.wait(until=deadline) == []
    events = c.world.wait(until=deadline.plus(1))
    assert [(event.kind, event.audience) for event in events] == [("plan.expired", (c.payer, c.payee, c.platform))]
    row = plan_of(c.world, plan)
    assert (row.state, row.due(), row.live_for()) == (PlanState.EXPIRED, (), ())
    assert c.product(row.product).committed == 0


# --- declined, withdrawn --------------------------------------------------------------------------------------------


def test_the_payee_declines() -> None:
    c = cast()
    plan = sent(c.world, c)
    no = DeclinePlan(plan=plan, reason="dates_too_late")
    result = c.world.do(no, by=c.payee, vector="plan.decline/declined")
    assert result.events[0].facts == {"reason": "dates_too_late"}
    assert (plan_of(c.world, plan).state, plan_of(c.world, plan).live_for()) == (PlanState.DECLINED, ())
    c.world.do(no, by=c.payee, expect=Status.WRONG_STATE, vector="plan.decline/wrong_state")
    c.world.do(confirmation_of(c.world, plan), by=c.payee, expect=Status.WRONG_STATE)


def test_who_declines_and_when() -> None:
    c = cast()
    plan = proposed(c.world, c)
    no = DeclinePlan(plan=plan, reason="dates_too_late")
    c.world.do(no, by=c.payee, expect=Status.WRONG_STATE, vector="plan.decline/not_sent")
    c.world.do(sending_of(c.world, plan), by=c.platform)
    c.world.do(no, by=c.payer, expect=Status.NOT_A_PARTY, vector="plan.decline/not_a_party")
    unknown = DeclinePlan(plan="pln_0000000000000000", reason="dates_too_late")
    c.world.do(unknown, by=c.payee, expect=Status.NOT_FOUND, vector="plan.decline/not_found")
    c.world.now = deadline_of(c, plan).plus(1)
    c.world.do(no, by=c.payee, expect=Status.DEADLINE_PASSED, vector="plan.decline/deadline_passed")
    c.world.now = deadline_of(c, plan)
    suspend(c, c.payee)
    c.world.do(no, by=c.payee)


def test_the_payer_withdraws_before_the_confirmation() -> None:
    """Whoever has seen the plan is told: the payee once it was sent to it."""
    c = cast()
    product = opened_product(c.world, c)
    plans = {
        "proposed": proposed(c.world, c, product=product),
        "sent": sent(c.world, c, product=product),
        "sent_back": proposed(c.world, c, product=product),
    }
    c.world.do(sending_back_of(c.world, plans["sent_back"], UNCLEAR), by=c.platform)
    for name, plan in plans.items():
        result = c.world.do(WithdrawPlan(plan=plan), by=c.payer, vector=f"plan.withdraw/{name}")
        assert plan_of(c.world, plan).state is PlanState.WITHDRAWN
        told = (c.payer, c.payee, c.platform) if name == "sent" else (c.payer, c.platform)
        assert (result.events[0].kind, result.events[0].audience) == ("plan.withdrawn", told)


def test_who_withdraws_and_when() -> None:
    c = cast()
    plan = sent(c.world, c)
    back = WithdrawPlan(plan=plan)
    c.world.do(back, by=c.payee, expect=Status.NOT_A_PARTY, vector="plan.withdraw/not_a_party")
    unknown = WithdrawPlan(plan="pln_0000000000000000")
    c.world.do(unknown, by=c.payer, expect=Status.NOT_FOUND, vector="plan.withdraw/not_found")
    c.world.do(confirmation_of(c.world, plan), by=c.payee)
    c.world.do(back, by=c.payer, expect=Status.WRONG_STATE, vector="plan.withdraw/wrong_state")
    assert plan_of(c.world, plan).state is PlanState.ACTIVE


def test_a_refused_confirmation_writes_no_version() -> None:
    c = cast()
    plan = sent(c.world, c)
    c.world.do(confirmation_of(c.world, plan, total=Units(1)), by=c.payee, expect=Status.AMOUNT_DIFFERS)
    assert not [row for row in c.world.state.rows.values() if isinstance(row, PlanVersion)]
    assert [row.version for row in c.world.state.rows.values() if isinstance(row, Plan)] == [0]
