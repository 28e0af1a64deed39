"""An open product: product.suspend, product.resume, product.close, and the end of the long-stop day."""

import datetime

from msgspec.structs import replace

from tallystick.kernel.membership.standing import LeaveChain, SucceedMember, SuspendMember
from tallystick.kernel.products.contracts import SignContract
from tallystick.kernel.products.records import Business, ProductState
from tallystick.kernel.products.standing import CloseProduct, ClosureNotice, ResumeProduct, SuspendProduct
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status
from tests.support.law import under
from tests.support.products import Cast, applied_product, cast, deadline_of, opened_product, pass_deadline
from tests.support.receivables import anchor

UNKNOWN = "prd_0000000000000000"
UNTIL = datetime.date(2026, 4, 30)


def suspension_of(product_id: str, until_on: datetime.date = UNTIL) -> SuspendProduct:
    """The platform's suspension to the end of April."""
    return SuspendProduct(product=product_id, reason="site_closed", until_on=until_on)


def suspended(c: Cast, until_on: datetime.date = UNTIL) -> str:
    """A product that its platform suspended. Returns its id."""
    product_id = opened_product(c.world, c)
    c.world.do(suspension_of(product_id, until_on), by=c.platform)
    return product_id


def test_the_platform_suspends_to_the_end_of_a_day() -> None:
    c = cast()
    product_id = opened_product(c.world, c)
    c.world.do(suspension_of(product_id), by=c.platform, vector="product.suspend/suspended")
    row = c.product(product_id)
    assert (row.state, row.takes_plans, row.suspension_reason) == (ProductState.SUSPENDED, False, "site_closed")
    assert row.suspended_until == Instant.parse("2026-04-30T23:59:59.999Z")
    assert {c.payer, c.payee, c.custodian, c.arbitrator} < set(c.world.events[-1].audience)


def test_a_suspension_ends_by_itself() -> None:
    c = cast()
    product_id = suspended(c)
    until = c.product(product_id).suspended_until
    assert until is not None
    c.world.wait(until=until)
    assert c.product(product_id).state is ProductState.SUSPENDED
    c.world.wait(1)
    row = c.product(product_id)
    assert (row.state, row.suspended_until, row.suspension_reason) == (ProductState.OPEN, None, None)
    assert c.world.events[-1].kind == "product.resumed"


def test_a_suspension_may_end_on_the_day_it_began() -> None:
    c = cast()
    product_id = suspended(c, c.world.today())
    c.world.wait(until=Instant.parse("2026-03-03T00:00:00.000Z"))
    assert c.product(product_id).takes_plans


def test_who_suspends_and_when() -> None:
    c = cast()
    product_id = opened_product(c.world, c)
    good = suspension_of(product_id)
    yesterday = c.world.today() - datetime.timedelta(days=1)
    for case, by, bad in (
        ("not_found", c.platform, replace(good, product=UNKNOWN)),
        ("not_a_party", c.payer, good),
        ("bad_dates", c.platform, replace(good, until_on=yesterday)),
    ):
        c.world.do(bad, by=by, expect=Status[case.upper()], vector=f"product.suspend/{case}")
    c.world.do(good, by=c.platform)
    c.world.do(good, by=c.platform, expect=Status.WRONG_STATE, vector="product.suspend/wrong_state")
    c.world.do(ResumeProduct(product=product_id), replace(good, until_on=datetime.date.max), by=c.platform)
    assert c.product(product_id).suspended_until == Instant.parse("9999-12-31T23:59:59.999Z")
    c.world.do(ResumeProduct(product=product_id), by=c.platform)
    c.world.now = deadline_of(c, product_id).plus(1)
    c.world.do(good, by=c.platform, expect=Status.DEADLINE_PASSED, vector="product.suspend/deadline_passed")


def test_the_platform_resumes_before_the_day() -> None:
    c = cast()
    product_id = suspended(c)
    good = ResumeProduct(product=product_id)
    unknown = replace(good, product=UNKNOWN)
    c.world.do(unknown, by=c.platform, expect=Status.NOT_FOUND, vector="product.resume/not_found")
    c.world.do(good, by=c.payee, expect=Status.NOT_A_PARTY, vector="product.resume/not_a_party")
    c.world.do(good, by=c.platform, vector="product.resume/resumed")
    row = c.product(product_id)
    assert row.takes_plans
    assert [queue.name for queue, _ in row.due()] == ["EXPIRE"]
    c.world.do(good, by=c.platform, expect=Status.WRONG_STATE, vector="product.resume/wrong_state")
    product_id = suspended(c, datetime.date.max)
    c.world.now = deadline_of(c, product_id).plus(1)
    late = replace(good, product=product_id)
    c.world.do(late, by=c.platform, expect=Status.DEADLINE_PASSED, vector="product.resume/deadline_passed")


def test_a_product_whose_parties_have_become_one_stays_suspended() -> None:
    c = cast()
    product_id = opened_product(c.world, c)
    c.world.put(replace(c.product(product_id), live_plans=1))
    c.world.do(SucceedMember(member=c.payee, successor=c.platform, order=anchor("merger")), by=c.auditor)
    row = c.product(product_id)
    assert (row.state, row.suspended_until) == (ProductState.SUSPENDED, None)
    resumed = ResumeProduct(product=product_id)
    c.world.do(resumed, by=c.platform, expect=Status.SAME_PARTY, vector="product.resume/same_party")
    c.world.put(replace(row, live_plans=0))
    pass_deadline(c, product_id)
    assert c.product(product_id).state is ProductState.CLOSED


def test_both_sides_close_it() -> None:
    c = cast()
    product_id = opened_product(c.world, c)
    good = CloseProduct(product=product_id)
    unknown = replace(good, product=UNKNOWN)
    c.world.do(unknown, by=c.payer, expect=Status.NOT_FOUND, vector="product.close/not_found")
    c.world.do(good, by=c.payer, expect=Status.NOT_A_PARTY, vector="product.close/not_a_party")
    c.world.do(good, by=c.payee, expect=Status.NOT_A_PARTY)
    c.world.do(good, by=c.payer, also=(c.payee,), vector="product.close/closed")
    row = c.product(product_id)
    assert (row.state, row.live_for(), row.due(), row.labels()) == (ProductState.CLOSED, (), (), ())
    c.world.do(good, by=c.payer, also=(c.payee,), expect=Status.WRONG_STATE, vector="product.close/wrong_state")


def test_a_suspended_product_and_a_suspended_side_may_close() -> None:
    c = cast()
    product_id = suspended(c)
    row = c.product(product_id)
    c.world.do(SuspendMember(member=c.payee, reason="inquiry"), by=c.auditor)
    c.world.put(row)
    c.world.do(CloseProduct(product=product_id), by=c.payer, also=(c.payee,))
    assert c.product(product_id).suspended_until is None


def test_a_product_with_live_plans_is_not_closed() -> None:
    c = cast()
    product_id = opened_product(c.world, c)
    c.world.put(replace(c.product(product_id), live_plans=2))
    refused = c.world.do(
        CloseProduct(product=product_id),
        by=c.payer,
        also=(c.payee,),
        expect=Status.PLANS_LIVE,
        vector="product.close/plans_live",
    )
    assert refused.facts["plans"] == 2


def test_a_wage_product_closes_thirty_days_after_the_notice() -> None:
    c = cast()
    under(c.world, "cn")
    product_id = opened_product(c.world, c, business=Business.WAGES)
    today = c.world.today()
    notice = ClosureNotice(document=anchor("closure_notice"), posted_on=today)
    good = CloseProduct(product=product_id, notice=notice)
    tomorrow = today + datetime.timedelta(days=1)
    for case, bad in {
        "bad_value": replace(good, notice=None),
        "bad_dates": replace(good, notice=replace(notice, posted_on=tomorrow)),
    }.items():
        c.world.do(bad, by=c.payer, also=(c.payee,), expect=Status[case.upper()], vector=f"product.close/{case}")
    c.world.now = c.world.now.plus(29 * DAY_MS)
    refused = c.world.do(
        good,
        by=c.payer,
        also=(c.payee,),
        expect=Status.WAGE_ACCOUNT_MISUSED,
        vector="product.close/wage_account_misused",
    )
    assert refused.facts["reason"] == "closed_before_notice_ran"
    c.world.now = c.world.now.plus(DAY_MS)
    c.world.do(good, by=c.payer, also=(c.payee,), vector="product.close/wages")
    row = c.product(product_id)
    assert (row.state, row.closure_notice) == (ProductState.CLOSED, notice.document)


def test_another_product_has_no_closure_notice() -> None:
    c = cast()
    notice = ClosureNotice(document=anchor("closure_notice"), posted_on=c.world.today())
    asked = CloseProduct(product=opened_product(c.world, c), notice=notice)
    c.world.do(asked, by=c.payer, also=(c.payee,), expect=Status.BAD_VALUE)


def test_it_closes_by_itself_after_the_long_stop() -> None:
    c = cast()
    product_id = opened_product(c.world, c)
    c.world.do(LeaveChain(), by=c.source)
    c.world.do(LeaveChain(), by=c.payee, expect=Status.STILL_LIVE)
    c.world.wait(until=deadline_of(c, product_id))
    assert c.product(product_id).state is ProductState.OPEN
    c.world.wait(1)
    assert c.product(product_id).state is ProductState.CLOSED
    assert c.world.events[-1].facts["reason"] == "long_stop"


def test_a_suspended_product_too_closes_after_the_long_stop() -> None:
    c = cast()
    product_id = suspended(c, datetime.date.max)
    pass_deadline(c, product_id)
    row = c.product(product_id)
    assert (row.state, row.due()) == (ProductState.CLOSED, ())


def test_after_the_long_stop_it_waits_for_its_last_plan() -> None:
    c = cast()
    product_id = opened_product(c.world, c)
    c.world.put(replace(c.product(product_id), live_plans=1))
    close = CloseProduct(product=product_id)
    c.world.now = deadline_of(c, product_id).plus(1)
    expect = Status.DEADLINE_PASSED
    c.world.do(close, by=c.payer, also=(c.payee,), expect=expect, vector="product.close/deadline_passed")
    pass_deadline(c, product_id)
    row = c.product(product_id)
    assert (row.state, row.deadline) == (ProductState.OPEN, c.world.now.plus(DAY_MS))
    c.world.put(replace(row, live_plans=0))
    pass_deadline(c, product_id)
    assert c.product(product_id).state is ProductState.CLOSED


def test_nothing_of_this_before_it_is_open() -> None:
    c = cast()
    product_id = applied_product(c.world, c)
    c.world.do(suspension_of(product_id), by=c.platform, expect=Status.WRONG_STATE)
    c.world.do(ResumeProduct(product=product_id), by=c.platform, expect=Status.WRONG_STATE)
    c.world.do(CloseProduct(product=product_id), by=c.payer, also=(c.payee,), expect=Status.WRONG_STATE)
    assert SignContract.while_suspended is False
