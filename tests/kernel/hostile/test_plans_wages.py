"""Ways round the rules of wage accounts: closing without notice, one account for the wages of several workers."""

import datetime

from msgspec.structs import replace

from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.products.records import Business, ProductState
from tallystick.kernel.products.standing import CloseProduct, ClosureNotice
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.law import under
from tests.support.plans import day
from tests.support.products import cast, deadline_of, opened_product, special_account
from tests.support.receivables import anchor
from tests.support.wages import account, many, payroll


def test_a_wage_product_that_is_left_to_its_long_stop_gives_notice_all_the_same() -> None:
    c = cast()
    under(c.world, "cn")
    product = opened_product(c.world, c, business=Business.WAGES)
    c.world.put(replace(c.product(product), live_plans=1))
    c.world.wait(until=deadline_of(c, product).plus(1))
    assert c.product(product).closing_on is None
    c.world.put(replace(c.product(product), live_plans=0))
    told = 0
    begun = c.world.today() + datetime.timedelta(days=1)
    for _ in range(31):
        assert c.product(product).state is ProductState.OPEN
        c.world.do(CloseAccount(account=special_account(c)), by=c.payer, expect=Status.ACCOUNT_NOT_EMPTY)
        told += sum(event.kind == "product.closing" for event in c.world.wait(until=deadline_of(c, product).plus(1)))
    assert (told, c.product(product).closing_on) == (1, begun)
    assert c.product(product).state is ProductState.CLOSED
    assert c.world.today() == begun + datetime.timedelta(days=30)


def test_where_no_law_asks_for_a_notice_it_closes_at_its_long_stop() -> None:
    c = cast()
    product = opened_product(c.world, c, business=Business.WAGES)
    c.world.wait(until=deadline_of(c, product).plus(1))
    assert c.product(product).state is ProductState.CLOSED


def test_a_notice_from_before_the_wages_closes_nothing() -> None:
    c = cast()
    under(c.world, "cn")
    product = opened_product(c.world, c, business=Business.WAGES)
    c.world.now = c.world.now.plus(10 * DAY_MS)
    early = CloseProduct(product=product, notice=ClosureNotice(document=anchor("notice"), posted_on=day(2, 1)))
    c.world.do(early, by=c.payer, also=(c.payee,), expect=Status.BAD_DATES)


def test_returned_wages_are_not_gathered_in_one_account() -> None:
    """Neither in the account of another worker of the sheet, nor one correction after the other in a new one."""
    p = payroll(many(503)).released()
    p.by_custodian(p.results_of(returned=(2, 3, 501)))
    first = p.correction_of(2)
    others = replace(first, lines=(replace(first.lines[0], account=account(1)),))
    assert p.by_payer(others, expect=Status.WAGE_ACCOUNT_MISUSED).facts["other"] == 1
    p.by_payer(first)
    for line in (3, 501):
        again = p.correction_of(line)
        again = replace(again, lines=(replace(again.lines[0], account=account(2, "new")),))
        assert p.by_payer(again, expect=Status.WAGE_ACCOUNT_MISUSED).facts["other"] == 2
    p.by_payer(p.correction_of(3, 501))
    p.check()


def test_a_worker_whose_account_was_right_is_paid_into_it_again() -> None:
    p = payroll((100, 200)).released()
    p.by_custodian(p.results_of(returned=(1,)))
    same = p.correction_of(1)
    p.by_payer(replace(same, lines=(replace(same.lines[0], account=account(1)),)))
    p.check()
