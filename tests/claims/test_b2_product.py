"""B2 product (产品开通, 授信请求): both sides' contracts, the platform's review, the payer's authorisation."""

from collections.abc import Callable

import pytest

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.products.applying import CorrectContract
from tallystick.kernel.products.authorising import DeclineProduct
from tallystick.kernel.products.records import Difference, ProductState
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ChecklistItem, Finding, ReviewResult, ReviewState
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.chain import Chain
from tests.support.products import (
    MILLION,
    Cast,
    application_of,
    applied_product,
    approved_product,
    authorisation_of,
    cast,
    compared_product,
    counter_of,
    pass_deadline,
    review_of,
)
from tests.support.receivables import anchor

CHECKLIST = (
    ChecklistItem(item="payees_contract", finding=Finding.PASSED),
    ChecklistItem(item="payers_contract", finding=Finding.PASSED),
)
FINDINGS = anchor("findings", "B2")


@pytest.fixture
def c(chain: Chain) -> Cast:
    return cast(chain)


def decide(c: Cast, product: str, result: ReviewResult, reason: str | None = None) -> None:
    decision = DecideReview(
        review=review_of(c, product).id, result=result, checklist=CHECKLIST, findings=FINDINGS, reason=reason
    )
    c.world.do(decision, by=c.platform)


def test_both_contracts_uploaded_reviewed_and_the_payer_confirms_the_request(c: Cast) -> None:
    world = c.world
    product = world.do(application_of(c), by=c.payee).events[0].record
    assert (c.product(product).state, c.product(product).title) == (
        ProductState.APPLIED,
        "Services for the river bridge",
    )
    assert world.told(c.payer)[-1] == "product.counter_contract_awaited"

    world.do(counter_of(c, product), by=c.payer)
    row = c.product(product)
    uploaded = (row.payee_copies[0].document, row.payer_copies[0].document)
    assert uploaded == (anchor("business_contract", "payee"), anchor("business_contract", "payer"))
    assert [found.differences for found in row.comparisons] == [()]
    review = review_of(c, product)
    assert (review.state, review.subject, review.subject_kind) == (ReviewState.REQUESTED, product, "product")

    decide(c, product, ReviewResult.APPROVE)
    (decision,) = review_of(c, product).decisions
    assert (decision.reviewer, decision.checklist, decision.findings) == (c.platform, CHECKLIST, FINDINGS)
    assert world.told(c.payer)[-1] == "product.authorisation_requested"

    world.do(authorisation_of(c, product), by=c.payer)
    assert c.product(product).state is ProductState.AUTHORISED
    for party in (c.payer, c.payee, c.platform):
        assert world.told(party)[-1] == "product.authorised"


@pytest.mark.parametrize("who", ["payer", "payee"])
def test_a_difference_blocks_until_the_side_that_erred_corrects_it_and_both_stay_on_the_chain(
    c: Cast, who: str
) -> None:
    world, erred = c.world, getattr(c, who)
    product = applied_product(world, c)
    world.do(counter_of(c, product, payment_days=60, title="Services for the bridge"), by=c.payer)
    row = c.product(product)
    assert (row.state, row.review) == (ProductState.DIFFERS, None)
    found = (
        Difference(field="title", payee_value="Services for the river bridge", payer_value="Services for the bridge"),
        Difference(field="payment_days", payee_value="30", payer_value="60"),
    )
    assert row.comparisons[0].differences == found
    assert world.told(c.payee)[-1] == world.told(c.payer)[-1] == "product.contracts_differ"
    for early in (authorisation_of(c, product), counter_of(c, product)):
        world.do(early, by=c.payer, expect=Status.CONTRACTS_DIFFER)

    right = (row.payee_copies if who == "payer" else row.payer_copies)[-1].terms
    corrected = CorrectContract(product=product, document=anchor("business_contract", "again"), contract=right)
    world.do(corrected, by=erred)
    row = c.product(product)
    assert row.state is ProductState.UNDER_REVIEW
    assert [each.differences for each in row.comparisons] == [found, ()]
    versions = {"payee": len(row.payee_copies), "payer": len(row.payer_copies)}
    assert versions == {"payee": 1, "payer": 1, who: 2}


def test_not_passed_at_the_review_no_product_and_the_chain_says_why(c: Cast) -> None:
    product = compared_product(c.world, c)
    decide(c, product, ReviewResult.REFUSE, reason="business_not_found")
    assert c.product(product).state is ProductState.REFUSED
    assert review_of(c, product).reason == "business_not_found"
    for party in (c.payer, c.payee):
        assert c.world.told(party)[-1] == "product.refused"
    c.world.do(authorisation_of(c, product), by=c.payer, expect=Status.WRONG_STATE)


def test_not_confirmed_by_the_payer_no_product_and_the_chain_says_why(c: Cast) -> None:
    product = approved_product(c.world, c)
    declined = c.world.do(DeclineProduct(product=product, reason="not_budgeted"), by=c.payer)
    assert declined.events[0].facts["reason"] == "not_budgeted"
    assert c.product(product).state is ProductState.DECLINED


@pytest.mark.parametrize("scene", [applied_product, compared_product, approved_product])
def test_what_is_left_alone_ends_by_itself(c: Cast, scene: Callable[..., str]) -> None:
    product = scene(c.world, c)
    review = c.product(product).review
    if c.product(product).state is ProductState.UNDER_REVIEW:
        c.world.wait(until=review_of(c, product).deadline.plus(1))
    else:
        pass_deadline(c, product)
    assert c.product(product).state is ProductState.EXPIRED
    assert c.world.told(c.payee)[-1] == "product.expired"
    assert review is None or review_of(c, product).state is not ReviewState.REQUESTED


def test_none_acts_for_another(c: Cast) -> None:
    world = c.world
    others = {c.payer, c.payee, c.platform, c.custodian, c.arbitrator, c.auditor}

    def only(who: str, step: Operation, refused: Status) -> None:
        for other in sorted(others - {who}):
            world.do(step, by=other, expect=refused)
        world.do(step, by=who)

    product = world.do(application_of(c), by=c.payee).events[0].record
    only(c.payer, counter_of(c, product), Status.NOT_A_PARTY)
    passed = DecideReview(review=review_of(c, product).id, result=ReviewResult.APPROVE, checklist=CHECKLIST)
    only(c.platform, passed, Status.NOT_THE_REVIEWER)
    only(c.payer, authorisation_of(c, product), Status.NOT_A_PARTY)


def test_the_payer_confirms_the_amount_that_it_sees(c: Cast) -> None:
    product = approved_product(c.world, c)
    seen = authorisation_of(c, product)
    for stated, refused in (
        (Units(MILLION // 2), Status.AMOUNT_DIFFERS),
        (Units(MILLION * 2), Status.AMOUNT_DIFFERS),
    ):
        c.world.do(type(seen)(product=product, currency="CNY", cap=stated), by=c.payer, expect=refused)
    assert c.product(product).state is ProductState.AUTHORISATION_REQUESTED
