"""Two copies of one contract: product.counter_contract, product.correct, and the comparison itself."""

import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.standing import SuspendMember
from tallystick.kernel.products.applying import CorrectContract, CounterContract
from tallystick.kernel.products.authorising import AuthoriseProduct
from tallystick.kernel.products.comparing import differences
from tallystick.kernel.products.records import MAX_VERSIONS, ContractTerms, Difference, ProductState
from tallystick.kernel.reviews.records import ReviewState
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.products import (
    MILLION,
    Cast,
    applied_product,
    cast,
    compared_product,
    contract_terms,
    counter_of,
    deadline_of,
    review_of,
)
from tests.support.receivables import anchor

UNKNOWN = "prd_0000000000000000"
PAYEE = "mbr_0000000000000001"
PAYER = "mbr_0000000000000002"

numbers = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=100)
contracts = st.builds(
    ContractTerms,
    number=numbers,
    title=numbers,
    payer=st.sampled_from((PAYER, PAYEE)),
    payee=st.sampled_from((PAYER, PAYEE)),
    currency=st.sampled_from(("CNY", "GBP")),
    value=st.integers(0, 2**63 - 1).map(Units),
    signed_on=st.dates(),
    starts_on=st.dates(),
    ends_on=st.dates(),
    payment_days=st.none() | st.integers(0, 400),
)


@given(contracts, contracts)
def test_exactly_the_fields_that_differ_are_found(payee: ContractTerms, payer: ContractTerms) -> None:
    found = {difference.field: difference for difference in differences(payee, payer)}
    for field in ContractTerms.__struct_fields__:
        mine, theirs = getattr(payee, field), getattr(payer, field)
        assert (field in found) is (mine != theirs)
        if field in found:
            assert found[field].payee_value == ("" if mine is None else str(mine))
            assert found[field].payer_value == ("" if theirs is None else str(theirs))
    assert not differences(payee, payee)


@given(contracts, contracts)
def test_the_two_sides_change_places(payee: ContractTerms, payer: ContractTerms) -> None:
    turned = tuple(
        Difference(field=one.field, payee_value=one.payer_value, payer_value=one.payee_value)
        for one in differences(payer, payee)
    )
    assert differences(payee, payer) == turned


def correction_of(c: Cast, product_id: str, side: str, **fields: Any) -> CorrectContract:
    """A new version of one side's copy."""
    row = c.product(product_id)
    copies = row.payee_copies if side == row.payee else row.payer_copies
    return CorrectContract(
        product=product_id,
        document=anchor("business_contract", f"{side} corrected {len(copies)}"),
        contract=replace(copies[-1].terms, **fields),
    )


def differing(c: Cast, **fields: Any) -> str:
    """A product whose payer's copy says these fields otherwise. Returns its id."""
    product_id = applied_product(c.world, c)
    c.world.do(counter_of(c, product_id, **(fields or {"value": Units(MILLION - 1)})), by=c.payer)
    return product_id


def test_equal_copies_open_the_review() -> None:
    c = cast()
    product_id = applied_product(c.world, c)
    c.world.do(counter_of(c, product_id), by=c.payer, vector="product.counter_contract/agrees")
    row = c.product(product_id)
    assert (row.state, row.deadline) == (ProductState.UNDER_REVIEW, None)
    (comparison,) = row.comparisons
    assert (comparison.payee_version, comparison.payer_version, comparison.differences) == (1, 1, ())
    review = review_of(c, product_id)
    assert (review.state, review.parties) == (ReviewState.REQUESTED, (c.payer, c.payee))


def test_every_difference_is_kept_and_blocks() -> None:
    c = cast()
    product_id = applied_product(c.world, c)
    theirs = {"value": Units(MILLION + 1), "ends_on": datetime.date(2027, 1, 31), "payment_days": None}
    result = c.world.do(counter_of(c, product_id, **theirs), by=c.payer, vector="product.counter_contract/differs")
    row = c.product(product_id)
    assert (row.state, row.review) == (ProductState.DIFFERS, None)
    assert row.deadline == c.world.now.plus(30 * DAY_MS)
    assert [(one.field, one.payee_value, one.payer_value) for one in row.comparisons[0].differences] == [
        ("value", "100000000", "100000001"),
        ("ends_on", "2026-12-31", "2027-01-31"),
        ("payment_days", "30", ""),
    ]
    (event,) = result.events
    assert (event.kind, event.facts["fields"]) == ("product.contracts_differ", "value,ends_on,payment_days")
    assert set(event.audience) == {c.payer, c.payee, c.platform}
    c.world.do(
        AuthoriseProduct(product=product_id, currency="CNY", cap=Units(MILLION)),
        by=c.payer,
        expect=Status.CONTRACTS_DIFFER,
        vector="product.authorise/contracts_differ",
    )
    c.world.do(counter_of(c, product_id), by=c.payer, expect=Status.CONTRACTS_DIFFER)


def test_who_gives_the_counter_contract_and_when() -> None:
    c = cast()
    product_id = applied_product(c.world, c)
    good = counter_of(c, product_id)
    assert good.amount() == ("CNY", MILLION)
    for case, by, bad in (
        ("not_found", c.payer, replace(good, product=UNKNOWN)),
        ("not_a_party", c.payee, good),
    ):
        c.world.do(bad, by=by, expect=Status[case.upper()], vector=f"product.counter_contract/{case}")
    c.world.now = deadline_of(c, product_id).plus(1)
    c.world.do(good, by=c.payer, expect=Status.DEADLINE_PASSED, vector="product.counter_contract/deadline_passed")
    c.world.now = deadline_of(c, product_id)
    c.world.do(good, by=c.payer)
    c.world.do(good, by=c.payer, expect=Status.WRONG_STATE, vector="product.counter_contract/wrong_state")


def test_the_copy_is_refused_while_the_payee_is_suspended() -> None:
    c = cast()
    product_id = applied_product(c.world, c)
    row = c.product(product_id)
    c.world.do(SuspendMember(member=c.payee, reason="inquiry"), by=c.auditor)
    c.world.put(row)
    c.world.do(
        counter_of(c, product_id),
        by=c.payer,
        expect=Status.PARTY_SUSPENDED,
        vector="product.counter_contract/party_suspended",
    )


def test_no_counter_contract_where_the_payees_copy_did() -> None:
    c = cast(policies=Policies(payee_copy_suffices=True))
    product_id = applied_product(c.world, c)
    c.world.do(counter_of(c, product_id), by=c.payer, expect=Status.WRONG_STATE)


def test_the_side_that_erred_corrects_and_is_compared_again() -> None:
    c = cast()
    product_id = differing(c, value=Units(MILLION + 1), title="Something else")
    half = correction_of(c, product_id, c.payer, value=Units(MILLION))
    assert half.amount() == ("CNY", MILLION)
    c.world.do(half, by=c.payer, vector="product.correct/still_differs")
    row = c.product(product_id)
    assert row.state is ProductState.DIFFERS
    assert [one.field for one in row.comparisons[-1].differences] == ["title"]
    c.world.do(
        correction_of(c, product_id, c.payee, title="Something else"), by=c.payee, vector="product.correct/by_payee"
    )
    row = c.product(product_id)
    assert row.state is ProductState.UNDER_REVIEW
    assert [(one.payee_version, one.payer_version, len(one.differences)) for one in row.comparisons] == [
        (1, 1, 2),
        (1, 2, 1),
        (2, 2, 0),
    ]
    assert [copy.by for copy in (*row.payee_copies, *row.payer_copies)] == [c.payee, c.payee, c.payer, c.payer]
    assert row.title == "Something else"


def test_what_a_correction_may_say() -> None:
    c = cast()
    product_id = differing(c)
    good = correction_of(c, product_id, c.payee, value=Units(MILLION + 5))
    for case, bad in {
        "not_found": replace(good, product=UNKNOWN),
        "bad_value": correction_of(c, product_id, c.payee),
        "over_contract": correction_of(c, product_id, c.payee, value=Units(MILLION - 1)),
        "currency_mismatch": correction_of(c, product_id, c.payee, currency="GBP"),
        "amount_zero": correction_of(c, product_id, c.payee, value=ZERO),
        "bad_dates": correction_of(c, product_id, c.payee, ends_on=datetime.date(2026, 1, 1)),
    }.items():
        c.world.do(bad, by=c.payee, expect=Status[case.upper()], vector=f"product.correct/{case}")
    c.world.do(good, by=c.platform, expect=Status.NOT_A_PARTY, vector="product.correct/not_a_party")
    c.world.do(correction_of(c, product_id, c.payee, payer=c.platform), by=c.payee, expect=Status.BAD_VALUE)
    c.world.do(correction_of(c, product_id, c.payer), by=c.payer, expect=Status.BAD_VALUE)
    other = contract_terms(c, number="HT-other")
    applied_product(c.world, c, contract=other)
    taken = correction_of(c, product_id, c.payee, number="HT-other")
    c.world.do(taken, by=c.payee, expect=Status.RECORD_EXISTS, vector="product.correct/record_exists")
    c.world.do(good, by=c.payee)


def test_the_payers_copy_may_say_what_no_product_could_stand_on() -> None:
    """Its errors are differences, to be found and kept; only the payee's copy carries the product."""
    c = cast()
    product_id = differing(c, currency="GBP", value=ZERO)
    worse = correction_of(c, product_id, c.payer, payer=c.payee, ends_on=datetime.date(2026, 1, 1))
    c.world.do(worse, by=c.payer)
    fields = [one.field for one in c.product(product_id).comparisons[-1].differences]
    assert fields == ["payer", "currency", "value", "ends_on"]


def test_a_correction_keeps_its_own_number() -> None:
    c = cast()
    product_id = differing(c)
    number = c.product(product_id).payee_copies[0].terms.number
    changed = correction_of(c, product_id, c.payee, title="Another title")
    assert changed.contract.number == number
    c.world.do(changed, by=c.payee)


def test_when_a_correction_may_come() -> None:
    c = cast()
    agreed = compared_product(c.world, c)
    row = c.product(agreed)
    settled = CorrectContract(product=agreed, document=anchor(), contract=row.payee_copies[0].terms)
    c.world.do(settled, by=c.payee, expect=Status.WRONG_STATE, vector="product.correct/wrong_state")
    product_id = differing(c)
    good = correction_of(c, product_id, c.payer, value=Units(MILLION))
    c.world.now = deadline_of(c, product_id).plus(1)
    c.world.do(good, by=c.payer, expect=Status.DEADLINE_PASSED, vector="product.correct/deadline_passed")
    c.world.now = deadline_of(c, product_id)
    c.world.do(good, by=c.payer)
    assert c.product(product_id).state is ProductState.UNDER_REVIEW


def test_a_correction_is_refused_while_the_other_side_is_suspended() -> None:
    c = cast()
    product_id = differing(c)
    row = c.product(product_id)
    c.world.do(SuspendMember(member=c.payee, reason="inquiry"), by=c.auditor)
    c.world.put(row)
    c.world.do(
        correction_of(c, product_id, c.payer, value=Units(MILLION)),
        by=c.payer,
        expect=Status.PARTY_SUSPENDED,
        vector="product.correct/party_suspended",
    )


def test_the_versions_of_a_side_are_bounded() -> None:
    c = cast()
    product_id = differing(c)
    for number in range(1, MAX_VERSIONS):
        c.world.do(correction_of(c, product_id, c.payer, value=Units(MILLION + number)), by=c.payer)
    last = correction_of(c, product_id, c.payer, value=Units(MILLION))
    c.world.do(last, by=c.payer, expect=Status.TOO_MANY, vector="product.correct/too_many")
    assert len(c.product(product_id).payer_copies) == MAX_VERSIONS
    c.world.do(
        correction_of(c, product_id, c.payee, value=Units(MILLION + MAX_VERSIONS - 1)),
        by=c.payee,
    )
    assert c.product(product_id).state is ProductState.UNDER_REVIEW


def test_where_both_sides_sign_the_maker_of_the_transaction_corrects() -> None:
    c = cast()
    product_id = differing(c)
    good = correction_of(c, product_id, c.payer, value=Units(MILLION))
    c.world.do(good, by=c.payer, also=(c.payee,))
    assert len(c.product(product_id).payer_copies) == 2


def test_the_copies_are_those_of_the_very_documents() -> None:
    c = cast()
    product_id = applied_product(c.world, c)
    given_copy = counter_of(c, product_id)
    c.world.do(given_copy, by=c.payer)
    row = c.product(product_id)
    assert isinstance(given_copy, CounterContract)
    assert row.payer_copies[0].document == given_copy.document
    assert row.payee_copies[0].document == anchor("business_contract", "payee")
