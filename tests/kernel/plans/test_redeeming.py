"""A receivable redeemed by a tranche: holders first, then the payee; its due date asks only for what is missing."""

import datetime
from typing import Any

from tallystick import seeds
from tallystick.kernel.accounts.records import AccountsOf
from tallystick.kernel.calendar.days import start_of
from tallystick.kernel.core.fields import Interval
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import DeclareInsolvent
from tallystick.kernel.plans.records import Phase, Retention
from tallystick.kernel.products.records import FeePayer, FeeTerms
from tallystick.kernel.receivables.freezes import FreezeParcel
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.redemption.bank import ConfirmPayment, PaymentAnswer
from tallystick.kernel.redemption.records import Redemption
from tallystick.kernel.redemption.redeem import Means, Redeem
from tallystick.wire.amounts import RATE_SCALE, Rate, Units
from tallystick.wire.status import Status
from tests.support.accounts import check_books, held_for, in_hold, money, opened
from tests.support.disputes import acceptance_of as offer_acceptance_of
from tests.support.disputes import dispute_of, offer_of
from tests.support.evidence import certificates, release_of, verified
from tests.support.plans import check_plans, funded_plan, plan_of, state_of, tranche
from tests.support.products import Cast, cast
from tests.support.receivables import anchor, holdings, issued, span, transferred
from tests.support.world import World

FACE = 1_000
APRIL = datetime.date(2026, 4, 1)
DUE = datetime.date(2026, 6, 30)
ORDER = anchor("court_order")


class Scene:
    """The payer owes the payee 1,000, of which 400 were handed on to a maker; a plan of the same two redeems it."""

    def __init__(self, units: int, *, account: bool = True, **fields: Any) -> None:
        self.c: Cast = cast()
        self.world: World = self.c.world
        self.maker = self.world.member("Maker", Role.CLIENT)
        if account:
            opened(self.world, self.maker, self.c.custodian)
        self.receivable = issued(self.world, self.c.payer, self.c.payee, FACE, self.c.auditor)
        transferred(self.world, self.receivable, span(1, FACE), 400, self.c.payee, self.maker, self.c.auditor)
        product = {"objection_days": 0, **fields.pop("product", {})}
        self.plan = funded_plan(self.world, self.c, tranche(units, redeems=self.receivable, **fields), **product)

    @property
    def row(self) -> Receivable:
        found: Receivable = self.world.row(Receivable, self.receivable)
        return found

    def money(self) -> tuple[int, int]:
        """What payee and maker have."""
        return money(self.world, self.c.payee), money(self.world, self.maker)

    def release(self) -> None:
        """The payer accepts and the first day of the release opens."""
        verified(self.world, self.plan)
        self.world.wait(until=start_of(self.world.state, APRIL))

    def check(self) -> None:
        """Money of plans and books, and parcels that partition what is still owed."""
        check_plans(self.world)
        check_books(self.world)
        assert sum(last - first + 1 for _, first, last in holdings(self.world, self.receivable)) == self.row.outstanding


def test_holders_are_paid_and_the_payee_gets_the_surplus() -> None:
    s = Scene(1_500)
    verified(s.world, s.plan)
    s.world.now = start_of(s.world.state, APRIL)
    s.world.do(release_of(s.world, s.plan, 1_500), by=s.c.payee, vector="tranche.release/redeems")
    assert s.row.state is ReceivableState.REDEEMED
    assert s.money() == (600 + 500, 400)
    (row,) = certificates(s.world, s.plan)
    assert (row.released, row.redeemed, row.receivable) == (1_500, 1_000, s.receivable)
    assert plan_of(s.world, s.plan).released == 1_500
    assert "receivable.paid" in s.world.told(s.maker)
    s.check()


def test_the_due_date_asks_only_for_what_is_missing() -> None:
    s = Scene(500)
    s.release()
    assert s.money() == (300, 200)  # in proportion
    assert s.row.outstanding == 500
    s.check()
    payer = money(s.world, s.c.payer)
    s.world.wait(until=start_of(s.world.state, DUE))
    assert s.row.state is ReceivableState.REDEEMED
    assert money(s.world, s.c.payer) == payer - 500
    assert s.money() == (600, 400)
    s.check()


def test_what_was_paid_meanwhile_is_not_paid_again() -> None:
    s = Scene(1_500)
    s.world.do(Redeem(receivable=s.receivable, currency="CNY", units=Units(FACE)), by=s.c.payer)
    before = s.money()
    s.release()
    assert s.money() == (before[0] + 1_500, before[1])
    (row,) = certificates(s.world, s.plan)
    assert (row.redeemed, row.receivable) == (0, None)
    s.check()


def test_a_release_after_the_due_date_pays_an_overdue_receivable() -> None:
    s = Scene(FACE)
    s.world.put(AccountsOf(id=f"{s.c.payer}/CNY"))  # nothing to pay from at the due date but the plan
    verified(s.world, s.plan)
    s.world.now = start_of(s.world.state, datetime.date(2026, 7, 1))
    s.world.wait()
    assert s.row.state is ReceivableState.REDEEMED
    assert s.money() == (600, 400)


def test_a_holder_without_an_account_never_blocks_the_rest() -> None:
    s = Scene(FACE, account=False)
    s.release()
    assert held_for(s.world, s.maker) == 400
    assert s.money() == (600, 0)
    s.check()


def test_frozen_units_are_paid_into_a_hold() -> None:
    s = Scene(FACE)
    order = FreezeParcel(
        receivable=s.receivable,
        interval=span(1, 100),
        until_on=datetime.date(2026, 12, 31),
        authority_order=ORDER,
    )
    s.world.do(order, by=s.c.auditor)
    s.release()
    assert s.money() == (600, 300)
    assert in_hold(s.world, s.c.custodian, s.receivable) == 100
    s.check()


def test_units_whose_holders_may_still_answer_are_left_out() -> None:
    s = Scene(700)
    receipt = Redeem(
        receivable=s.receivable, currency="CNY", units=Units(FACE), means=Means.BANK, receipt=anchor("bank_receipt")
    )
    verified(s.world, s.plan)
    s.world.now = start_of(s.world.state, APRIL)
    s.world.do(receipt, by=s.c.payer)
    denial = ConfirmPayment(receivable=s.receivable, currency="CNY", units=Units(400), answer=PaymentAnswer.DENIED)
    s.world.do(denial, by=s.maker)
    before = s.money()
    s.world.wait()
    # The maker's 400 are owed; the payee may still say that its 600 came, so the rest is surplus.
    assert s.money() == (before[0] + 300, before[1] + 400)
    awaited: Redemption = s.world.row(Redemption, s.receivable)
    assert awaited.awaited == (Interval(Units(401), Units(FACE)),)
    s.check()


def test_a_fee_comes_before_the_holders() -> None:
    fee = FeeTerms(rate=Rate(10 * RATE_SCALE), minimum=Units(0), paid_by=FeePayer.PAYEE)
    s = Scene(FACE, product={"fee": fee})
    s.release()
    assert s.money() == (540, 360)
    assert s.row.outstanding == 100
    s.check()


def test_a_retention_redeems_too() -> None:
    kept = Retention(rate=Rate(10 * RATE_SCALE), until_on=datetime.date(2026, 5, 4))
    s = Scene(FACE, retention=kept)
    s.release()
    assert s.row.outstanding == 100
    s.world.wait(until=start_of(s.world.state, kept.until_on))
    assert s.row.state is ReceivableState.REDEEMED
    assert [row.redeemed for row in certificates(s.world, s.plan)] == [900, 100]
    s.check()


def test_a_settlement_redeems_too() -> None:
    s = Scene(FACE)
    dispute = s.world.do(dispute_of(s.plan, 500), by=s.c.payer).events[0].record
    s.world.do(offer_of(dispute, 100), by=s.c.payer)
    s.world.do(offer_acceptance_of(dispute, 100), by=s.c.payee)
    assert s.row.outstanding == 900
    s.check()


def test_an_insolvent_debtors_plan_pays_when_the_debtor_asks() -> None:
    """Its debts are not paid by themselves any more; whoever administers it decides."""
    s = Scene(FACE)
    verified(s.world, s.plan)
    s.world.do(DeclareInsolvent(member=s.c.payer, order=anchor("order")), by=s.c.auditor)
    s.world.wait(until=start_of(s.world.state, APRIL))
    assert state_of(s.world, s.plan).phase is Phase.VERIFIED
    asked = release_of(s.world, s.plan, FACE)
    s.world.do(asked, by=s.c.payee, expect=Status.NOT_A_PARTY, vector="tranche.release/not_a_party")
    s.world.do(release_of(s.world, s.plan, FACE), by=s.c.payer)
    assert s.money() == (600, 400)
    s.check()


def test_money_at_a_custodian_where_the_law_bars_payment_waits() -> None:
    s = Scene(FACE)
    verified(s.world, s.plan)
    s.world.put(*seeds.law("cn"))
    s.world.wait(until=start_of(s.world.state, APRIL))
    assert state_of(s.world, s.plan).phase is Phase.VERIFIED
    asked = release_of(s.world, s.plan, FACE)
    s.world.do(asked, by=s.c.payee, expect=Status.FUNDS_OUTSIDE_BANKS, vector="tranche.release/funds_outside_banks")


def test_a_settlement_where_the_law_bars_it_goes_to_the_payee() -> None:
    s = Scene(FACE)
    dispute = s.world.do(dispute_of(s.plan, 500), by=s.c.payer).events[0].record
    s.world.do(offer_of(dispute, 100), by=s.c.payer)
    s.world.put(*seeds.law("cn"))
    s.world.do(offer_acceptance_of(dispute, 100), by=s.c.payee)
    assert s.money() == (100, 0)
    assert s.row.outstanding == FACE


def test_a_receivable_in_many_hands() -> None:
    """Less than a unit for each: some get one, none is left half paid."""
    s = Scene(3)
    s.release()
    assert s.row.outstanding == FACE - 3
    assert sum(s.money()) == 3
    s.check()
