"""The platform's review of a product, product.authorise and product.decline."""

import datetime

from msgspec.structs import replace

from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import DeclareInsolvent, SetPermissions, SuspendMember
from tallystick.kernel.products.authorising import AuthoriseProduct, DeclineProduct
from tallystick.kernel.products.records import ProductState
from tallystick.kernel.reviews.records import ReviewResult, ReviewState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.products import (
    MILLION,
    applied_product,
    approval_of,
    approved_product,
    authorisation_of,
    cast,
    compared_product,
    counter_of,
    deadline_of,
    opened_product,
    review_of,
)
from tests.support.receivables import anchor

UNKNOWN = "prd_0000000000000000"


def test_the_platform_approves_and_the_payer_is_asked() -> None:
    c = cast()
    product_id = compared_product(c.world, c)
    c.world.do(approval_of(c, product_id), by=c.platform, vector="review.decide/product_approved")
    row = c.product(product_id)
    assert row.state is ProductState.AUTHORISATION_REQUESTED
    assert row.deadline == c.world.now.plus(15 * DAY_MS)
    event = c.world.events[-1]
    assert (event.kind, event.facts["cap"]) == ("product.authorisation_requested", str(MILLION))
    assert c.payer in event.audience


def test_only_the_products_own_platform_reviews_it() -> None:
    c = cast()
    other = c.world.member("Other platform", Role.PLATFORM)
    product_id = compared_product(c.world, c)
    vote = approval_of(c, product_id)
    for by in (other, c.auditor, c.payer):
        vector = "review.decide/product_of_another_platform" if by == other else ""
        c.world.do(vote, by=by, expect=Status.NOT_THE_REVIEWER, vector=vector)
    refusing = replace(vote, result=ReviewResult.REFUSE, reason="not_wanted")
    c.world.do(refusing, by=other, expect=Status.NOT_THE_REVIEWER)


def test_a_refusal_ends_it() -> None:
    c = cast()
    product_id = compared_product(c.world, c)
    vote = replace(approval_of(c, product_id), result=ReviewResult.REFUSE, reason="papers_missing")
    c.world.do(vote, by=c.platform, vector="review.decide/product_refused")
    row = c.product(product_id)
    assert (row.state, row.live_for(), row.due()) == (ProductState.REFUSED, (), ())
    assert c.world.told(c.payee)[-1] == "product.refused"


def test_the_review_expires_with_the_product() -> None:
    c = cast()
    product_id = compared_product(c.world, c)
    deadline = review_of(c, product_id).deadline
    c.world.wait(until=deadline)
    assert c.product(product_id).state is ProductState.UNDER_REVIEW
    c.world.wait(1)
    assert c.product(product_id).state is ProductState.EXPIRED
    assert c.world.events[-1].facts["reason"] == "review_expired"


def test_what_was_fit_at_the_application_may_not_be_at_the_review() -> None:
    c = cast()
    other = c.world.member("Second arbitrator", Role.ARBITRATOR)
    product_id = compared_product(c.world, c)
    vote = approval_of(c, product_id)
    c.world.do(SetPermissions(member=c.arbitrator, permissions=(), roles=()), by=c.auditor)
    c.world.do(vote, by=c.platform, expect=Status.ROLE_MISSING)
    product_id = compared_product(c.world, c, arbitrator=other)
    c.world.do(CloseAccount(account=c.payee_account), by=c.payee)
    c.world.do(
        approval_of(c, product_id),
        by=c.platform,
        expect=Status.ACCOUNT_MISSING,
        vector="review.decide/product_without_account",
    )


def test_payments_that_would_have_ended_are_not_approved() -> None:
    c = cast()
    today = c.world.today()
    product_id = compared_product(c.world, c, payment_until_on=today)
    vote = approval_of(c, product_id)
    c.world.now = c.world.now.plus(DAY_MS)
    c.world.do(vote, by=c.platform, expect=Status.BAD_DATES)
    assert c.world.today() == today + datetime.timedelta(days=1)


def test_the_payer_authorises_what_it_states() -> None:
    c = cast()
    product_id = approved_product(c.world, c)
    good = authorisation_of(c, product_id)
    assert good.amount() == ("CNY", MILLION)
    for case, bad in {
        "not_found": replace(good, product=UNKNOWN),
        "currency_mismatch": replace(good, currency="GBP"),
        "amount_differs": replace(good, cap=Units(MILLION + 1)),
    }.items():
        c.world.do(bad, by=c.payer, expect=Status[case.upper()], vector=f"product.authorise/{case}")
    c.world.do(good, by=c.payee, expect=Status.NOT_A_PARTY, vector="product.authorise/not_a_party")
    c.world.do(good, by=c.payer, vector="product.authorise/authorised")
    row = c.product(product_id)
    assert row.state is ProductState.AUTHORISED
    assert row.deadline == c.world.now.plus(15 * DAY_MS)
    assert row.authorised is not None
    c.world.do(good, by=c.payer, expect=Status.WRONG_STATE, vector="product.authorise/wrong_state")


def test_the_authorisation_comes_in_its_window() -> None:
    c = cast()
    product_id = approved_product(c.world, c)
    good = authorisation_of(c, product_id)
    c.world.now = deadline_of(c, product_id).plus(1)
    c.world.do(good, by=c.payer, expect=Status.DEADLINE_PASSED, vector="product.authorise/deadline_passed")
    c.world.now = deadline_of(c, product_id)
    c.world.do(good, by=c.payer)


def test_nothing_is_authorised_before_the_review() -> None:
    c = cast()
    asked = AuthoriseProduct(product=applied_product(c.world, c), currency="CNY", cap=Units(MILLION))
    c.world.do(asked, by=c.payer, expect=Status.WRONG_STATE)
    c.world.do(replace(asked, product=compared_product(c.world, c)), by=c.payer, expect=Status.WRONG_STATE)


def test_nothing_is_authorised_while_another_party_is_suspended() -> None:
    c = cast()
    product_id = approved_product(c.world, c)
    row = c.product(product_id)
    c.world.do(SuspendMember(member=c.payee, reason="inquiry"), by=c.auditor)
    c.world.put(row)
    c.world.do(
        authorisation_of(c, product_id),
        by=c.payer,
        expect=Status.PARTY_SUSPENDED,
        vector="product.authorise/party_suspended",
    )


def test_nothing_is_authorised_that_is_not_fit_any_more() -> None:
    c = cast()
    product_id = approved_product(c.world, c)
    row = c.product(product_id)
    good = authorisation_of(c, product_id)
    c.world.do(CloseAccount(account=c.payee_account), by=c.payee)
    c.world.do(good, by=c.payer, expect=Status.ACCOUNT_MISSING, vector="product.authorise/account_missing")
    c.world.do(DeclareInsolvent(member=c.payer, order=anchor("court_order")), by=c.auditor)
    c.world.put(row)
    c.world.do(good, by=c.payer, expect=Status.WRONG_STATE, vector="product.authorise/insolvent")


def test_the_payer_declines() -> None:
    c = cast()
    product_id = approved_product(c.world, c)
    declined = DeclineProduct(product=product_id, reason="not_our_supplier")
    unknown = replace(declined, product=UNKNOWN)
    c.world.do(unknown, by=c.payer, expect=Status.NOT_FOUND, vector="product.decline/not_found")
    c.world.do(declined, by=c.payee, expect=Status.NOT_A_PARTY, vector="product.decline/not_a_party")
    c.world.do(declined, by=c.payer, vector="product.decline/declined")
    row = c.product(product_id)
    assert (row.state, row.live_for(), row.due()) == (ProductState.DECLINED, (), ())
    assert c.world.events[-1].facts["reason"] == "not_our_supplier"
    c.world.do(declined, by=c.payer, expect=Status.WRONG_STATE, vector="product.decline/wrong_state")
    product_id = approved_product(c.world, c)
    c.world.now = deadline_of(c, product_id).plus(1)
    c.world.do(
        replace(declined, product=product_id),
        by=c.payer,
        expect=Status.DEADLINE_PASSED,
        vector="product.decline/deadline_passed",
    )


def test_the_payer_may_decline_what_it_was_not_yet_asked_to_authorise() -> None:
    c = cast()
    product_id = applied_product(c.world, c)
    c.world.do(DeclineProduct(product=product_id, reason="no_such_contract"), by=c.payer)
    assert c.product(product_id).state is ProductState.DECLINED
    product_id = applied_product(c.world, c)
    c.world.do(counter_of(c, product_id, title="Something else"), by=c.payer)
    c.world.do(DeclineProduct(product=product_id, reason="other_contract"), by=c.payer)
    assert c.product(product_id).state is ProductState.DECLINED


def test_an_open_product_is_not_declined() -> None:
    c = cast()
    product_id = opened_product(c.world, c)
    c.world.do(DeclineProduct(product=product_id, reason="too_late"), by=c.payer, expect=Status.WRONG_STATE)


def test_the_review_of_a_suspended_payee_is_refused() -> None:
    c = cast()
    product_id = compared_product(c.world, c)
    c.world.do(SuspendMember(member=c.payee, reason="inquiry"), by=c.auditor)
    assert review_of(c, product_id).state is not ReviewState.REQUESTED
    assert c.product(product_id).state is not ProductState.UNDER_REVIEW
