"""product.apply: who and what a product may stand on."""

import datetime

import pytest
from msgspec.structs import replace

from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Member, Role
from tallystick.kernel.membership.standing import DeclareInsolvent, SuspendMember
from tallystick.kernel.products.applying import ApplyForProduct, WithdrawProduct
from tallystick.kernel.products.records import Business, FeePayer, FeeTerms, Method, ProductState
from tallystick.kernel.reviews.records import ReviewState
from tallystick.wire.amounts import MAX_UNITS, ZERO, Rate, Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.accounts import opened
from tests.support.law import under
from tests.support.products import (
    MILLION,
    NO_FEE,
    application_of,
    applied_product,
    approved_product,
    cast,
    compared_product,
    contract_terms,
    counter_of,
    opened_product,
    review_of,
    wage_terms,
)
from tests.support.receivables import anchor
from tests.support.world import START

UNKNOWN = "mbr_0000000000000000"
TODAY = datetime.date(2026, 3, 2)


def with_terms(asked: ApplyForProduct, **fields: object) -> ApplyForProduct:
    """The application with some of the product's own terms said otherwise."""
    return replace(asked, terms=replace(asked.terms, **fields))


def with_contract(asked: ApplyForProduct, **fields: object) -> ApplyForProduct:
    """The application with some of the business contract's terms said otherwise."""
    return replace(asked, contract=replace(asked.contract, **fields))


def test_the_payee_applies_and_the_payers_copy_is_awaited() -> None:
    c = cast()
    asked = application_of(c)
    product_id = c.world.do(asked, by=c.payee, vector="product.apply/applied").events[0].record
    row = c.product(product_id)
    assert row.state is ProductState.APPLIED
    assert (row.payer, row.payee, row.platform) == (c.payer, c.payee, c.platform)
    assert row.payee_copies[0].terms == asked.contract
    assert row.deadline == START.plus(30 * DAY_MS)
    assert row.live_for() == (c.payer, c.payee, c.platform, c.custodian, c.arbitrator)
    assert c.world.told(c.payer)[-2:] == ["product.applied", "product.counter_contract_awaited"]
    assert asked.amount() == ("CNY", MILLION)


def test_by_policy_the_payees_copy_alone_goes_to_review() -> None:
    c = cast(policies=Policies(payee_copy_suffices=True))
    result = c.world.do(application_of(c), by=c.payee, vector="product.apply/payee_copy_suffices")
    row = c.product(result.events[0].record)
    assert (row.state, row.deadline, row.payer_copies) == (ProductState.UNDER_REVIEW, None, ())
    review = review_of(c, row.id)
    assert (review.subject, review.parties, review.state) == (row.id, (c.payer, c.payee), ReviewState.REQUESTED)


def test_whom_a_product_names() -> None:
    c = cast()
    asked = application_of(c)
    for case, bad in {
        "same_party": replace(asked, platform=c.payee),
        "not_a_member": replace(asked, payer=UNKNOWN),
        "role_missing": replace(asked, platform=c.verifiers[0]),
    }.items():
        c.world.do(bad, by=c.payee, expect=Status[case.upper()], vector=f"product.apply/{case}")
    c.world.do(asked, by=c.payer, expect=Status.SAME_PARTY)
    for terms, status in (
        ({"custodian": c.payer}, Status.SAME_PARTY),
        ({"custodian": c.platform}, Status.ROLE_MISSING),
        ({"custodian": UNKNOWN}, Status.NOT_A_MEMBER),
        ({"arbitrator": c.payer}, Status.SAME_PARTY),
        ({"arbitrator": c.payee}, Status.SAME_PARTY),
        ({"arbitrator": c.platform}, Status.SAME_PARTY),
        ({"arbitrator": c.custodian}, Status.SAME_PARTY),
        ({"arbitrator": c.source}, Status.ROLE_MISSING),
        ({"arbitrator": UNKNOWN}, Status.NOT_A_MEMBER),
    ):
        c.world.do(with_terms(asked, **terms), by=c.payee, expect=status)


def test_a_platform_that_sponsored_a_side_could_not_review_it() -> None:
    for side in ("payer", "payee"):
        c = cast()
        row = c.world.row(Member, getattr(c, side))
        c.world.put(replace(row, sponsor=c.platform))
        vector = "product.apply/must_recuse" if side == "payee" else ""
        c.world.do(application_of(c), by=c.payee, expect=Status.MUST_RECUSE, vector=vector)


@pytest.mark.parametrize("who", ["payer", "platform", "custodian", "arbitrator"])
def test_nobody_whom_it_names_is_suspended(who: str) -> None:
    c = cast()
    for role in (Role.PLATFORM, Role.CUSTODIAN):
        c.world.member(f"Another {role.value}", role)
    c.world.do(SuspendMember(member=getattr(c, who), reason="inquiry"), by=c.auditor)
    vector = "product.apply/party_suspended" if who == "payer" else ""
    c.world.do(application_of(c), by=c.payee, expect=Status.PARTY_SUSPENDED, vector=vector)


def test_a_suspended_payee_does_not_apply() -> None:
    c = cast()
    c.world.do(SuspendMember(member=c.payee, reason="inquiry"), by=c.auditor)
    c.world.do(application_of(c), by=c.payee, expect=Status.SUSPENDED, vector="product.apply/suspended")


def test_an_insolvent_payer_undertakes_nothing_new() -> None:
    c = cast()
    c.world.do(DeclareInsolvent(member=c.payer, order=anchor("court_order")), by=c.auditor)
    asked = application_of(c)
    c.world.do(asked, by=c.payee, expect=Status.WRONG_STATE, vector="product.apply/insolvent")


def test_what_the_terms_may_say_about_money() -> None:
    c = cast()
    asked = application_of(c)
    too_dear = FeeTerms(rate=Rate.parse("100.000001"), minimum=ZERO, paid_by=FeePayer.PAYEE)
    for case, bad in {
        "unknown_currency": with_terms(asked, currency="XXX"),
        "amount_zero": with_terms(asked, cap=ZERO),
        "bad_rate": with_terms(asked, fee=too_dear),
        "over_contract": with_terms(asked, cap=Units(MILLION + 1)),
        "currency_mismatch": with_contract(asked, currency="GBP"),
    }.items():
        c.world.do(bad, by=c.payee, expect=Status[case.upper()], vector=f"product.apply/{case}")
    over_minimum = replace(NO_FEE, minimum=Units(MILLION + 1))
    c.world.do(with_terms(asked, fee=over_minimum), by=c.payee, expect=Status.BAD_RATE)
    c.world.do(with_contract(asked, value=ZERO), by=c.payee, expect=Status.AMOUNT_ZERO)
    whole = FeeTerms(rate=Rate.parse("100"), minimum=Units(MILLION), paid_by=FeePayer.PAYER)
    c.world.do(with_terms(asked, fee=whole), by=c.payee)


def test_a_cap_and_the_fee_that_the_payer_bears_fit_into_an_amount() -> None:
    c = cast()
    most = Units(MAX_UNITS - 1)
    one_percent = FeeTerms(rate=Rate.parse("1"), minimum=ZERO, paid_by=FeePayer.PAYER)
    asked = with_contract(application_of(c, cap=most, fee=one_percent), value=Units(MAX_UNITS))
    c.world.do(asked, by=c.payee, expect=Status.AMOUNT_OVERFLOW, vector="product.apply/amount_overflow")
    least = replace(NO_FEE, minimum=Units(2), paid_by=FeePayer.PAYER)
    c.world.do(with_terms(asked, fee=least), by=c.payee, expect=Status.AMOUNT_OVERFLOW)
    c.world.do(with_terms(asked, fee=replace(least, minimum=Units(1))), by=c.payee)
    taken_from_it = replace(one_percent, paid_by=FeePayer.PAYEE)
    c.world.do(with_contract(with_terms(asked, fee=taken_from_it), number="HT-2"), by=c.payee)


def test_the_days_are_in_order() -> None:
    c = cast()
    asked = application_of(c)
    day = datetime.timedelta(days=1)
    yesterday = TODAY - day
    terms, contract = asked.terms, asked.contract
    last_stop = terms.payment_until_on + 8 * day  # 5 days to answer and 3 to object
    c.world.do(
        with_terms(asked, long_stop_on=last_stop),
        by=c.payee,
        expect=Status.BAD_DATES,
        vector="product.apply/bad_dates",
    )
    for bad in (
        with_terms(asked, payment_from_on=terms.payment_until_on + day),
        with_terms(asked, payment_from_on=yesterday, payment_until_on=yesterday),
        with_terms(asked, payment_until_on=datetime.date.max, long_stop_on=datetime.date.max),
        with_contract(asked, signed_on=TODAY + day),
        with_contract(asked, starts_on=contract.ends_on + day),
    ):
        c.world.do(bad, by=c.payee, expect=Status.BAD_DATES)
    good = with_terms(
        with_contract(asked, signed_on=TODAY, starts_on=TODAY, ends_on=TODAY),
        payment_from_on=TODAY,
        payment_until_on=TODAY,
        long_stop_on=TODAY + 9 * day,
    )
    c.world.do(good, by=c.payee)


def test_windows_longer_than_the_calendar_are_bad_dates_and_no_fault() -> None:
    c = cast()
    asked = with_terms(
        application_of(c), objection_days=36_600, payment_until_on=datetime.date.max, long_stop_on=datetime.date.max
    )
    c.world.do(asked, by=c.payee, expect=Status.BAD_DATES)


def test_what_is_not_a_value_of_a_product() -> None:
    c = cast()
    asked = application_of(c)
    other = opened(c.world, c.payer, c.custodian, "GBP")
    for field, bad in {
        "methods": with_terms(asked, methods=(Method.DATE, Method.DATE)),
        "refund_account": with_terms(asked, refund_account=c.payee_account),
        "foreign_refund_account": with_terms(asked, refund_account=other),
        "payer": with_contract(asked, payer=c.platform),
        "payee": with_contract(asked, payee=c.payer),
        "wages": with_terms(asked, wages=wage_terms(c)),
        "no_wages": with_terms(asked, business=Business.WAGES),
    }.items():
        vector = "product.apply/bad_value" if field == "refund_account" else ""
        c.world.do(bad, by=c.payee, expect=Status.BAD_VALUE, vector=vector)


def test_both_sides_have_an_account_with_the_custodian() -> None:
    c = cast()
    asked = application_of(c)
    c.world.do(CloseAccount(account=c.payee_account), by=c.payee)
    c.world.do(asked, by=c.payee, expect=Status.ACCOUNT_MISSING, vector="product.apply/account_missing")
    c = cast(funds=0)
    asked = application_of(c)
    c.world.do(CloseAccount(account=c.payer_account), by=c.payer)
    c.world.do(asked, by=c.payee, expect=Status.ACCOUNT_MISSING)


def test_wages_are_paid_only_as_the_law_of_wage_accounts_says() -> None:
    c = cast()
    under(c.world, "cn")
    good = application_of(c, business=Business.WAGES)
    assert good.terms.wages is not None
    stranger = c.world.member("Stranger")
    for wages in (
        replace(good.terms.wages, special_account="acc_0000000000000000"),
        replace(good.terms.wages, special_account=opened(c.world, stranger, c.custodian)),
        replace(good.terms.wages, special_account=c.payer_account),
        replace(good.terms.wages, special_account=opened(c.world, c.payer, c.custodian, project="Another bridge")),
        replace(good.terms.wages, tri_party_agreement=anchor("letter_of_intent")),
    ):
        vector = "product.apply/wage_account_misused" if wages.tri_party_agreement.kind == "letter_of_intent" else ""
        refused = c.world.do(
            with_terms(good, wages=wages), by=c.payee, expect=Status.WAGE_ACCOUNT_MISUSED, vector=vector
        )
        assert refused.facts["clause"] == "人社部发〔2021〕53号"
    product_id = c.world.do(good, by=c.payee, vector="product.apply/wages").events[0].record
    judged = c.product(product_id).judged
    assert judged is not None
    assert judged.packs


def test_no_fee_is_taken_from_wages() -> None:
    c = cast()
    fee = FeeTerms(rate=Rate(500_000), minimum=ZERO, paid_by=FeePayer.PAYER)
    asked = application_of(c, business=Business.WAGES, fee=fee)
    refused = c.world.do(asked, by=c.payee, expect=Status.WAGE_ACCOUNT_MISUSED)
    assert refused.facts == {"field": "fee", "reason": "set_off"}


def test_what_wages_leave_goes_back_into_the_special_account() -> None:
    c = cast()
    asked = application_of(c, business=Business.WAGES, refund_account=c.payer_account)
    c.world.do(asked, by=c.payee, expect=Status.WAGE_ACCOUNT_MISUSED)


def test_one_business_contract_backs_one_live_product() -> None:
    c = cast()
    contract = contract_terms(c, number="HT-1")
    first = applied_product(c.world, c, contract=contract)
    again = application_of(c, contract=contract)
    refused = c.world.do(again, by=c.payee, expect=Status.RECORD_EXISTS, vector="product.apply/record_exists")
    assert refused.facts["product"] == first
    c.world.do(WithdrawProduct(product=first), by=c.payee)
    c.world.do(again, by=c.payee)


def test_a_contract_number_may_hold_any_text() -> None:
    c = cast()
    for number in ("合同/2026/１号", "due/1/0", "号" * 100):
        contract = contract_terms(c, number=number)
        applied_product(c.world, c, contract=contract)
        c.world.do(application_of(c, contract=contract), by=c.payee, expect=Status.RECORD_EXISTS)


def test_the_payee_withdraws_what_the_payer_has_not_authorised() -> None:
    c = cast()
    product_id = applied_product(c.world, c)
    asked = WithdrawProduct(product=product_id)
    unknown = replace(asked, product="prd_0000000000000000")
    c.world.do(unknown, by=c.payee, expect=Status.NOT_FOUND, vector="product.withdraw/not_found")
    c.world.do(asked, by=c.payer, expect=Status.NOT_A_PARTY, vector="product.withdraw/not_a_party")
    c.world.do(asked, by=c.payee, vector="product.withdraw/applied")
    row = c.product(product_id)
    assert (row.state, row.deadline, row.live_for(), row.labels()) == (ProductState.WITHDRAWN, None, (), ())
    c.world.do(asked, by=c.payee, expect=Status.WRONG_STATE, vector="product.withdraw/wrong_state")
    product_id = approved_product(c.world, c)
    c.world.do(WithdrawProduct(product=product_id), by=c.payee)
    product_id = opened_product(c.world, c)
    c.world.do(WithdrawProduct(product=product_id), by=c.payee, expect=Status.WRONG_STATE)


def test_a_withdrawal_ends_the_review_and_waits_for_no_good_standing() -> None:
    c = cast()
    product_id = compared_product(c.world, c)
    c.world.do(WithdrawProduct(product=product_id), by=c.payee, vector="product.withdraw/under_review")
    assert review_of(c, product_id).state is ReviewState.WITHDRAWN
    product_id = applied_product(c.world, c)
    c.world.put(replace(c.product(product_id), deadline=c.world.now.plus(-1)))
    c.world.do(
        WithdrawProduct(product=product_id),
        by=c.payee,
        expect=Status.DEADLINE_PASSED,
        vector="product.withdraw/deadline_passed",
    )


def test_a_withdrawal_may_come_while_the_copies_differ() -> None:
    c = cast()
    product_id = applied_product(c.world, c)
    c.world.do(counter_of(c, product_id, title="Something else"), by=c.payer)
    c.world.do(WithdrawProduct(product=product_id), by=c.payee)
    assert c.product(product_id).state is ProductState.WITHDRAWN
