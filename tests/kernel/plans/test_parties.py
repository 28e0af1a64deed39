"""Suspension, insolvency, succession and a wish to leave, of everybody whom a product or a plan names."""

import datetime

import pytest

from tallystick.kernel.accounts.book import hold
from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.membership.business import BATCH
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import (
    DeclareInsolvent,
    LeaveChain,
    ReinstateMember,
    SucceedMember,
    SuspendMember,
)
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.cases import DisputeState, Refund, RefundState
from tallystick.kernel.plans.conditions import AllOf, DataStated, PayerAccepts, PlatformAccepts, VerifiersAccept
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.funding import FundPlan
from tallystick.kernel.plans.records import Phase, PlanState, Retention, Unmet
from tallystick.kernel.plans.refunds import ConsentToRefund, RequestRefund
from tallystick.kernel.products.records import Product, ProductState
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.status import Status
from tests.support.accounts import held_for, money, opened, stands
from tests.support.disputes import (
    acceptance_of,
    certify,
    dispute_of,
    disputed,
    in_arbitration,
    last_of_long_stop,
    last_of_negotiation,
    last_of_objections,
    objection_of,
    offer_of,
    opened_by,
    paid_in,
    row_of,
    ruling_of,
    settle,
    verifiable,
    verified_plan,
)
from tests.support.plans import (
    PART,
    amendment_of,
    check_plans,
    confirmation_of,
    confirmed,
    funded,
    plan_of,
    proposal_of,
    proposed,
    sent,
    state_of,
    tranche,
)
from tests.support.products import (
    MILLION,
    Cast,
    applied_product,
    approved_product,
    authorised_product,
    cast,
    compared_product,
    opened_product,
)
from tests.support.receivables import anchor

FUNDS = 10 * MILLION


def suspend(c: Cast, member: str) -> None:
    c.world.do(SuspendMember(member=member, reason="papers_in_doubt"), by=c.auditor)


def declare_insolvent(c: Cast, member: str) -> None:
    c.world.do(DeclareInsolvent(member=member, order=anchor("order")), by=c.auditor)


def succeed(c: Cast, member: str, successor: str) -> None:
    c.world.do(SucceedMember(member=member, successor=successor, order=anchor("order")), by=c.auditor)
    c.world.wait(1)


def product_of(c: Cast, product_id: str) -> Product:
    return c.product(product_id)


def accept(c: Cast, plan_id: str, by: str, expect: Status = Status.OK) -> None:
    accepted = AcceptEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(PART))
    c.world.do(accepted, by=by, expect=expect)


# Suspension


@pytest.mark.parametrize("stage", [applied_product, approved_product])
def test_a_suspended_payees_application_ends_while_nobody_has_accepted_it(stage: object) -> None:
    c = cast()
    product_id = stage(c.world, c)  # type: ignore[operator]
    suspend(c, c.payee)
    assert product_of(c, product_id).state is ProductState.EXPIRED


def test_an_application_under_review_is_refused_with_its_review() -> None:
    for member in ("payer", "payee"):
        c = cast()
        product_id = compared_product(c.world, c)
        suspend(c, getattr(c, member))
        assert product_of(c, product_id).state is ProductState.REFUSED


def test_an_application_that_waits_for_a_suspended_payer_waits() -> None:
    for stage in (applied_product, approved_product, authorised_product):
        c = cast()
        product_id = stage(c.world, c)
        before = product_of(c, product_id)
        suspend(c, c.payer)
        assert product_of(c, product_id) == before


@pytest.mark.parametrize("stage", [proposed, sent])
def test_a_suspended_payers_proposal_ends(stage: object) -> None:
    c = cast()
    plan_id = stage(c.world, c, tranche())  # type: ignore[operator]
    suspend(c, c.payer)
    assert plan_of(c.world, plan_id).state is PlanState.WITHDRAWN


def test_a_proposal_and_an_amendment_outlive_the_suspension_of_others() -> None:
    c = cast()
    c.world.member("Another bank", Role.CUSTODIAN)
    product_id = opened_product(c.world, c)
    plan_id = paid_in(c, verifiable(c), product=product_id)
    c.world.do(amendment_of(c.world, plan_id, verifiable(c), verifiable(c)), by=c.payer)
    pending = sent(c.world, c, verifiable(c), product=product_id)
    before = plan_of(c.world, plan_id), plan_of(c.world, pending)
    for member in (c.payee, c.platform, c.custodian, c.arbitrator, *c.verifiers, c.source):
        suspend(c, member)
    assert (plan_of(c.world, plan_id), plan_of(c.world, pending)) == before


def test_a_suspended_payee_neither_confirms_nor_loses_the_proposal() -> None:
    c = cast()
    plan_id = sent(c.world, c, tranche())
    suspend(c, c.payee)
    c.world.do(confirmation_of(c.world, plan_id), by=c.payee, expect=Status.SUSPENDED)
    c.world.do(ReinstateMember(member=c.payee), by=c.auditor)
    c.world.do(confirmation_of(c.world, plan_id), by=c.payee)


def test_a_suspended_payers_amendment_ends_and_it_may_propose_none() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    amendment = amendment_of(c.world, plan_id, verifiable(c), verifiable(c))
    c.world.do(amendment, by=c.payer)
    suspend(c, c.payer)
    assert plan_of(c.world, plan_id).amendment is None
    c.world.do(amendment, by=c.payer, expect=Status.SUSPENDED)


def test_a_suspended_payer_does_what_it_owes() -> None:
    """It funds, answers evidence, objects, offers, accepts; nothing new is proposed."""
    c = cast()
    plan_id = confirmed(c.world, c, verifiable(c, condition=PayerAccepts()))
    suspend(c, c.payer)
    funded(c.world, plan_id)
    accept(c, plan_id, c.payer)
    dispute_id = opened_by(c, objection_of(plan_id, 1_000_000), c.payer)
    settle(c, dispute_id, 400_000)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert (money(c.world, c.payee), money(c.world, c.payer)) == (9_400_000, FUNDS - 9_400_000)
    product_id = plan_of(c.world, plan_id).product
    c.world.do(proposal_of(c, product_id), by=c.payer, expect=Status.SUSPENDED)
    check_plans(c.world)


def test_a_suspended_payee_gets_what_it_is_owed() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c), verifiable(c))
    dispute_id = disputed(c, plan_id, 2_000_000, c.payee)
    refund = RequestRefund(plan=plan_id, tranche=2, currency="CNY", units=Units(500))
    refund_id = c.world.do(refund, by=c.payer).events[0].record
    suspend(c, c.payee)
    c.world.do(ConsentToRefund(refund=refund_id, currency="CNY", units=Units(500)), by=c.payee)
    c.world.do(offer_of(dispute_id, 2_000_000), by=c.payer)
    c.world.do(acceptance_of(dispute_id, 2_000_000), by=c.payee)
    claim = SubmitEvidence(plan=plan_id, tranche=1, currency="CNY", units=Units(PART))
    c.world.do(claim, by=c.payee)
    certify(c, plan_id, PART)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert money(c.world, c.payee) == PART
    check_plans(c.world)


def test_a_suspended_platform_and_verifier_still_answer() -> None:
    c = cast()
    both = AllOf(of=(PlatformAccepts(), VerifiersAccept(needed=1, verifiers=c.verifiers)))
    plan_id = paid_in(c, verifiable(c, condition=both))
    suspend(c, c.platform)
    suspend(c, c.verifiers[0])
    accept(c, plan_id, c.platform)
    accept(c, plan_id, c.verifiers[0])
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert money(c.world, c.payee) == PART


def test_a_suspended_data_source_still_states() -> None:
    c = cast()
    stated = DataStated(source=c.source, kind="arrival")
    plan_id = paid_in(c, verifiable(c, condition=stated))
    suspend(c, c.source)
    c.world.do(SubmitEvidence(plan=plan_id, tranche=1, statement=anchor("arrival")), by=c.source)
    assert state_of(c.world, plan_id).phase is Phase.VERIFIED


def test_a_suspended_arbitrator_still_rules() -> None:
    c = cast()
    dispute_id = in_arbitration(c, paid_in(c, verifiable(c)), 100)
    suspend(c, c.arbitrator)
    c.world.do(ruling_of(c, dispute_id, 40), by=c.arbitrator)
    assert money(c.world, c.payee) == 40


def test_a_suspended_custodian_does_not_stop_a_release() -> None:
    c = cast()
    c.world.member("Another bank", Role.CUSTODIAN)
    plan_id = verified_plan(c)
    suspend(c, c.custodian)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert money(c.world, c.payee) == PART


# Insolvency


def test_an_insolvent_payers_escrow_is_not_touched_and_it_promises_nothing_more() -> None:
    """The money left its estate for a purpose that both sides agreed on, when the payee confirmed."""
    c = cast()
    plan_id = paid_in(c, verifiable(c), tranche(), units=PART)
    c.world.do(amendment_of(c.world, plan_id, verifiable(c), tranche(), tranche()), by=c.payer)
    declare_insolvent(c, c.payer)
    row = plan_of(c.world, plan_id)
    assert (row.held, row.amendment) == (PART, None)
    more = FundPlan(plan=plan_id, currency="CNY", units=Units(PART))
    c.world.do(more, by=c.payer, expect=Status.WRONG_STATE, vector="plan.fund/payer_insolvent")
    proposal = proposal_of(c, row.product)
    c.world.do(proposal, by=c.payer, expect=Status.WRONG_STATE)
    certify(c, plan_id, PART)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert money(c.world, c.payee) == PART
    check_plans(c.world)


def test_what_an_insolvent_payer_proposed_ends_and_what_it_was_asked_for_too() -> None:
    c = cast()
    plan_id = sent(c.world, c, tranche())
    product_id = approved_product(c.world, c)
    declare_insolvent(c, c.payer)
    assert plan_of(c.world, plan_id).state is PlanState.WITHDRAWN
    assert product_of(c, product_id).state is ProductState.EXPIRED
    assert product_of(c, plan_of(c.world, plan_id).product).state is ProductState.OPEN


def test_an_insolvent_payee_is_paid_as_before() -> None:
    c = cast()
    plan_id = verified_plan(c)
    product_id = applied_product(c.world, c)
    declare_insolvent(c, c.payee)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert money(c.world, c.payee) == PART
    assert product_of(c, product_id).state is ProductState.APPLIED


# Succession


def test_a_payers_successor_stands_in_its_place() -> None:
    c = cast()
    world = c.world
    heir = world.member("Heir", Role.CLIENT)
    plan_id = paid_in(c, verifiable(c, condition=PayerAccepts()), tranche(if_unmet=Unmet.REFUND))
    dispute_id = disputed(c, plan_id, 1_000, number=2)
    succeed(c, c.payer, heir)
    row, dispute = plan_of(world, plan_id), row_of(c, dispute_id)
    assert (row.payer, row.payee, dispute.payer) == (heir, c.payee, heir)
    assert product_of(c, row.product).payer == heir
    assert c.payer not in row.live_for()
    accept(c, plan_id, c.payer, expect=Status.NOT_A_PARTY)
    accept(c, plan_id, heir)
    world.do(offer_of(dispute_id, 400), by=heir)
    world.do(acceptance_of(dispute_id, 400), by=c.payee)
    world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert (money(world, c.payee), money(world, heir)) == (PART + 400, FUNDS - 2 * PART + 600)
    check_plans(world)


def test_what_a_payer_or_platform_accepted_stays_accepted_after_its_succession() -> None:
    for member in ("payer", "platform"):
        c = cast()
        world = c.world
        heir = world.member("Heir", Role.CLIENT, Role.PLATFORM)
        both = AllOf(of=(PayerAccepts(), PlatformAccepts()))
        plan_id = paid_in(c, verifiable(c, condition=both))
        accept(c, plan_id, getattr(c, member))
        succeed(c, getattr(c, member), heir)
        accept(c, plan_id, heir, expect=Status.ALREADY_DECIDED)
        accept(c, plan_id, c.platform if member == "payer" else c.payer)
        assert state_of(world, plan_id).phase is Phase.VERIFIED


def test_a_payees_successor_is_paid() -> None:
    c = cast()
    heir = c.world.member("Heir", Role.CLIENT)
    plan_id = verified_plan(c)
    succeed(c, c.payee, heir)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert money(c.world, heir) == PART
    check_plans(c.world)


def test_an_arbitrators_successor_rules_unless_it_is_a_party() -> None:
    c = cast()
    heir = c.world.member("Heir", Role.ARBITRATOR)
    dispute_id = in_arbitration(c, paid_in(c, verifiable(c)), 100)
    succeed(c, c.arbitrator, heir)
    c.world.do(ruling_of(c, dispute_id, 40), by=heir)
    assert money(c.world, c.payee) == 40

    c = cast()
    plan_id = paid_in(c, verifiable(c))
    dispute_id = in_arbitration(c, plan_id, 100)
    succeed(c, c.arbitrator, c.payee)
    own = ruling_of(c, dispute_id, 100)
    c.world.do(own, by=c.payee, expect=Status.MUST_RECUSE, vector="dispute.rule/must_recuse")
    c.world.wait(until=last_of_long_stop(c, plan_id).plus(1))
    assert row_of(c, dispute_id).state is DisputeState.BY_DEFAULT


def test_a_payee_that_comes_to_a_verifiers_office_does_not_certify_for_itself() -> None:
    """Nor does one that takes over the platform. The window ends unmet."""
    for member in ("verifier", "platform"):
        c = cast()
        verifier = c.verifiers[0]
        condition = VerifiersAccept(needed=1, verifiers=(verifier,)) if member == "verifier" else PlatformAccepts()
        plan_id = paid_in(c, verifiable(c, condition=condition, if_unmet=Unmet.REFUND))
        if member == "verifier":  # the payee merges into the verifier
            succeed(c, c.payee, verifier)
            accept(c, plan_id, verifier, expect=Status.MUST_RECUSE)
        else:
            succeed(c, c.platform, c.payee)
            accept(c, plan_id, c.payee, expect=Status.MUST_RECUSE)
        until = state_of(c.world, plan_id).unmet_at
        assert until is not None
        c.world.wait(until=until.plus(1))
        assert money(c.world, c.payer) == FUNDS
        check_plans(c.world)


def test_a_plan_whose_payer_and_payee_become_one_ends_and_its_money_goes_back() -> None:
    c = cast()
    world = c.world
    plan_id = paid_in(c, verifiable(c), verifiable(c), tranche())
    dispute_id = disputed(c, plan_id, 3_000_000)
    certify(c, plan_id, PART, number=2)
    refund = RequestRefund(plan=plan_id, tranche=3, currency="CNY", units=Units(1))
    refund_id = world.do(refund, by=c.payer).events[0].record
    succeed(c, c.payee, c.payer)
    row = plan_of(world, plan_id)
    assert (row.state, row.held, row.disputes, row.refunds) == (PlanState.COMPLETED, 0, (), ())
    assert row_of(c, dispute_id).state is DisputeState.CLOSED
    assert world.row(Refund, refund_id).state is RefundState.LAPSED
    assert money(world, c.payer) == FUNDS
    assert row.released == 0, "nobody pays itself, so nobody earns a fee"
    assert product_of(c, row.product).state is ProductState.CLOSED
    assert not row.due()
    check_plans(world)


def test_what_is_retained_goes_back_when_payer_and_payee_become_one() -> None:
    c = cast()
    kept = Retention(rate=Rate.parse("10"), until_on=datetime.date(2026, 9, 1))
    plan_id = verified_plan(c, retention=kept)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert state_of(c.world, plan_id).retained == 1_000_000
    succeed(c, c.payee, c.payer)
    row = plan_of(c.world, plan_id)
    assert (row.state, row.held, row.refunded) == (PlanState.COMPLETED, 0, 1_000_000)
    assert money(c.world, c.payer) == FUNDS
    check_plans(c.world)


def test_proposals_between_two_that_become_one_end() -> None:
    c = cast()
    plan_id = sent(c.world, c, tranche())
    applied = applied_product(c.world, c)
    succeed(c, c.payer, c.payee)
    row = plan_of(c.world, plan_id)
    assert row.state is PlanState.WITHDRAWN
    assert product_of(c, row.product).state is ProductState.CLOSED
    assert product_of(c, applied).state is ProductState.EXPIRED


def test_a_product_that_is_not_open_yet_is_to_be_applied_for_in_the_successors_name() -> None:
    for stage in (applied_product, compared_product, authorised_product):
        for member in ("payer", "payee", "platform"):
            c = cast()
            heir = c.world.member("Heir", Role.CLIENT, Role.PLATFORM)
            product_id = stage(c.world, c)
            succeed(c, getattr(c, member), heir)
            assert product_of(c, product_id).state is ProductState.EXPIRED


def test_an_open_product_goes_on_under_the_successor() -> None:
    for member in ("payer", "payee", "platform"):
        c = cast()
        heir = c.world.member("Heir", Role.CLIENT, Role.PLATFORM)
        product_id = opened_product(c.world, c)
        succeed(c, getattr(c, member), heir)
        row = product_of(c, product_id)
        assert (row.state, getattr(row, member)) == (ProductState.OPEN, heir)
        assert getattr(c, member) not in row.live_for()


def test_a_product_whose_platform_becomes_a_party_takes_no_more_plans() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    succeed(c, c.platform, c.payer)
    row = product_of(c, plan_of(c.world, plan_id).product)
    assert (row.state, row.suspension_reason) == (ProductState.SUSPENDED, "parties_are_one")
    assert plan_of(c.world, plan_id).state is PlanState.ACTIVE


def test_a_custodians_books_keep_its_name() -> None:
    c = cast()
    heir = c.world.member("Heir", Role.CUSTODIAN)
    plan_id = verified_plan(c)
    succeed(c, c.custodian, heir)
    assert plan_of(c.world, plan_id).custodian == c.custodian
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert money(c.world, c.payee) == PART
    check_plans(c.world)


def test_a_payee_without_an_account_is_paid_into_a_hold_account() -> None:
    c = cast()
    plan_id = verified_plan(c)
    c.world.do(CloseAccount(account=c.payee_account), by=c.payee)
    c.world.wait(until=last_of_objections(c, plan_id).plus(1))
    assert held_for(c.world, c.payee) == stands(c.world, hold(c.custodian, "CNY", plan_id, c.payee)) == PART
    opened(c.world, c.payee, c.custodian)
    c.world.wait(1)
    assert money(c.world, c.payee) == PART
    check_plans(c.world)


def test_a_succession_in_batches_loses_no_dispute_between_two_of_them() -> None:
    """The walk has passed the disputes when the payee opens one more; it comes with its plan."""
    c = cast()
    world = c.world
    heir = world.member("Heir", Role.CLIENT)
    product_id = opened_product(world, c)
    plans = [paid_in(c, verifiable(c, 1_000), product=product_id) for _ in range(BATCH + 20)]
    disputed(c, plans[0], 1)
    world.do(SucceedMember(member=c.payer, successor=heir, order=anchor("order")), by=c.auditor)
    late = next(each for each in sorted(plans, reverse=True) if plan_of(world, each).payer == c.payer)
    dispute_id = opened_by(c, dispute_of(late, 10), c.payee)
    assert row_of(c, dispute_id).payer == c.payer
    for _ in range(3):
        world.wait(1)
    assert {plan_of(world, each).payer for each in plans} == {heir}
    assert row_of(c, dispute_id).payer == heir
    world.do(offer_of(dispute_id, 5), by=c.payee)
    world.do(acceptance_of(dispute_id, 5), by=heir)
    check_plans(world)


# Leaving


@pytest.mark.parametrize("member", ["payer", "payee", "platform", "custodian", "arbitrator", "verifier", "source"])
def test_nobody_leaves_while_it_is_named_in_a_live_plan(member: str) -> None:
    c = cast()
    for role in (Role.CUSTODIAN, Role.PLATFORM):
        c.world.member(f"Another {role.value}", role)
    named = AllOf(of=(VerifiersAccept(needed=1, verifiers=c.verifiers), DataStated(source=c.source, kind="arrival")))
    plan_id = confirmed(c.world, c, verifiable(c, condition=named))
    leaving = c.verifiers[0] if member == "verifier" else getattr(c, member)
    c.world.do(LeaveChain(), by=leaving, expect=Status.STILL_LIVE)
    c.world.wait(until=last_of_long_stop(c, plan_id).plus(1))
    if member in ("platform", "arbitrator", "verifier", "source"):  # the others have accounts
        c.world.do(LeaveChain(), by=leaving)


def test_an_arbitrator_does_not_leave_a_cancelled_plans_dispute() -> None:
    c = cast()
    plan_id = paid_in(c, verifiable(c))
    disputed(c, plan_id, 100)
    assert c.arbitrator in plan_of(c.world, plan_id).live_for()
    c.world.do(LeaveChain(), by=c.arbitrator, expect=Status.STILL_LIVE)
    assert last_of_negotiation(c, plan_of(c.world, plan_id).disputes[0]) > c.world.now
    assert datetime.date(2026, 3, 2) == c.world.today()
