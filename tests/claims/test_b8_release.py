"""B8 release: the plan is read from the ledger, and as it says the resource goes from escrow to the payee."""

import pytest

from tallystick.kernel.membership.standing import SuspendMember
from tallystick.kernel.plans.conditions import AllOf, DocumentsIn, OnDate, PayerAccepts
from tallystick.kernel.plans.records import Material, PlanState
from tallystick.kernel.products.records import Business, FeePayer, FeeTerms, Method
from tallystick.kernel.products.standing import SuspendProduct
from tallystick.kernel.wages.records import WageSheet
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status
from tests.support.accounts import check_books, money, stands
from tests.support.chain import Chain
from tests.support.evidence import acceptance_of, certificates, claim_of, past, release_of, verified
from tests.support.members import key_of
from tests.support.plans import (
    PART,
    amendment_of,
    check_plans,
    confirmed,
    day,
    funded,
    funded_plan,
    plan_of,
    state_of,
    tranche,
    version_row,
)
from tests.support.products import Cast, cast
from tests.support.receivables import anchor
from tests.support.wages import Payroll, staff

HOUR_MS = DAY_MS // 24
OPENS = Instant.parse("2026-04-01T00:00:00.000Z")
ON_THE_DAY = OnDate(on=day(4, 1))


@pytest.fixture
def c(chain: Chain) -> Cast:
    return cast(chain)


def test_on_its_day_the_ledger_pays_by_itself(chain: Chain, c: Cast) -> None:
    plan = funded_plan(chain, c, tranche(condition=ON_THE_DAY), objection_days=0)
    before = money(chain, c.payee)
    chain.wait(until=OPENS.plus(-HOUR_MS))
    assert (money(chain, c.payee), plan_of(chain, plan).held) == (before, PART)
    chain.wait(until=OPENS)
    assert (money(chain, c.payee), plan_of(chain, plan).held) == (before + PART, 0)
    assert stands(chain, plan_of(chain, plan).escrow) == 0
    assert plan_of(chain, plan).state is PlanState.COMPLETED
    for party in (c.payer, c.payee, c.platform):
        assert "tranche.released" in chain.told(party)
    check_plans(chain)


def test_the_certificate_names_every_condition_that_was_met_by_whom_and_when(chain: Chain, c: Cast) -> None:
    condition = AllOf(of=(ON_THE_DAY, DocumentsIn(), PayerAccepts()))
    step = tranche(condition=condition, materials=(Material(kind="handover"),))
    plan = funded_plan(chain, c, step, objection_days=0)
    chain.wait(DAY_MS)
    brought = chain.now
    chain.do(claim_of(chain, plan), by=c.payee)
    chain.do(acceptance_of(chain, plan), by=c.payer)
    accepted = chain.now
    chain.wait(until=OPENS)
    (written,) = certificates(chain, plan)
    met = {each.method: each for each in written.conditions}
    assert list(met) == [Method.DATE, Method.DOCUMENTS, Method.PAYER]
    assert (met[Method.DATE].at, met[Method.DATE].by) == (OPENS, ())
    assert (met[Method.DOCUMENTS].by, met[Method.DOCUMENTS].kinds) == ((c.payee,), ("handover",))
    assert brought <= met[Method.DOCUMENTS].at <= met[Method.PAYER].at <= accepted
    assert met[Method.PAYER].by == (c.payer,)
    assert (written.certified, written.released, written.triggered_by) == (PART, PART, None)
    assert chain.proven(written.key) == written


def test_what_is_satisfied_happens_once_whoever_asks_for_it(chain: Chain, c: Cast) -> None:
    plan = verified(chain, funded_plan(chain, c, tranche(), tranche(), objection_days=0))
    chain.do(release_of(chain, plan, PART), by=c.platform, expect=Status.TOO_EARLY)
    before = money(chain, c.payee)
    chain.wait(until=OPENS)
    assert money(chain, c.payee) == before + PART
    for somebody in (c.platform, c.payee, c.auditor):
        chain.do(release_of(chain, plan, PART), by=somebody, expect=Status.ALREADY_RELEASED)
    assert (money(chain, c.payee), len(certificates(chain, plan))) == (before + PART, 1)


def test_what_the_plan_does_not_say_is_not_done(chain: Chain, c: Cast) -> None:
    plan = funded_plan(chain, c, tranche(), tranche(), objection_days=0)
    chain.wait(until=OPENS)
    for who in (c.platform, c.payee, c.payer, c.custodian):
        chain.do(release_of(chain, plan, PART), by=who, expect=Status.CONDITION_NOT_MET)
    verified(chain, plan)
    for more in (PART + 1, 2 * PART, PART - 1):
        chain.do(release_of(chain, plan, more, number=2), by=c.platform, expect=Status.CONDITION_NOT_MET)
    assert (plan_of(chain, plan).released, plan_of(chain, plan).held) == (PART, PART)
    check_plans(chain)


def test_nobody_stops_or_changes_it_once_it_stands_on_the_ledger(chain: Chain, c: Cast) -> None:
    """Neither a product's suspension, nor the payee's, nor an amendment that one side proposed."""
    plan = funded_plan(chain, c, tranche(condition=ON_THE_DAY), objection_days=0)
    chain.do(amendment_of(chain, plan, tranche(1)), by=c.payer)
    product = plan_of(chain, plan).product
    chain.do(SuspendProduct(product=product, reason="audit", until_on=day(6, 30)), by=c.platform)
    chain.do(SuspendMember(member=c.payee, reason="papers", order=anchor("order")), by=c.auditor)
    before = money(chain, c.payee)
    chain.wait(until=OPENS)
    assert money(chain, c.payee) == before + PART
    assert certificates(chain, plan)[0].version == version_row(chain, plan).version == 1


def test_without_its_money_it_waits_and_never_takes_another_plans(chain: Chain, c: Cast) -> None:
    rich = funded_plan(chain, c, tranche(), product="", objection_days=0)
    product = plan_of(chain, rich).product
    poor = funded(chain, confirmed(chain, c, tranche(condition=ON_THE_DAY), product=product), PART - 1)
    chain.wait(until=OPENS)
    assert not state_of(chain, poor).certificates
    assert plan_of(chain, rich).held == PART
    funded(chain, poor)
    chain.wait(HOUR_MS)
    assert state_of(chain, poor).released == PART
    check_plans(chain)


@pytest.mark.parametrize("paid_by", list(FeePayer))
def test_the_platforms_fee_is_what_was_agreed_and_by_whom(chain: Chain, c: Cast, paid_by: FeePayer) -> None:
    fee = FeeTerms(rate=Rate(500_000), minimum=Units(0), paid_by=paid_by)
    halves = (tranche(PART // 2 + 1, condition=ON_THE_DAY), tranche(PART // 2 - 1, condition=ON_THE_DAY))
    payer, payee = money(chain, c.payer), money(chain, c.payee)
    plan = funded_plan(chain, c, *halves, fee=fee, objection_days=0)
    chain.wait(until=OPENS)
    charged = PART * 5 // 1_000
    assert plan_of(chain, plan).fees == charged == stands(chain, f"fees/{c.custodian}/CNY/{c.platform}")
    by_payee = charged if paid_by is FeePayer.PAYEE else 0
    assert money(chain, c.payee) - payee == PART - by_payee
    assert payer - money(chain, c.payer) == PART + charged - by_payee
    check_plans(chain)


def test_objections_have_their_time_before_the_money_goes(chain: Chain, c: Cast) -> None:
    plan = funded_plan(chain, c, tranche(release_from_on=day(3, 3)), objection_days=3)
    verified(chain, plan)
    until = state_of(chain, plan).object_until
    assert until is not None
    chain.wait(until=until.plus(-HOUR_MS))
    chain.do(release_of(chain, plan, PART), by=c.payee, expect=Status.TOO_EARLY)
    assert not state_of(chain, plan).certificates
    past(chain, until)
    assert state_of(chain, plan).released == PART


def test_wages_go_to_workers_and_to_nobody_else(chain: Chain, c: Cast) -> None:
    """The payer states salted lines; the release sends their sum to the bank, which says whom it paid (代付, 代发)."""
    for member in (c.payer, c.payee):
        staff(chain, member)
    amounts = (300_000, 450_000, 250_000)
    step = tranche(sum(amounts), wages=True, release_from_on=day(3, 3))
    plan = funded_plan(chain, c, step, business=Business.WAGES, objection_days=0)
    payee = money(chain, c.payee)
    payroll = Payroll(c, plan, amounts)
    checker = key_of(f"{c.payer} checker")
    chain.do(payroll.upload_of(), by=c.payer, expect=Status.POLICY_NOT_MET)
    chain.do(payroll.upload_of(), by=c.payer, keys=(checker,))
    chain.do(acceptance_of(chain, plan), by=c.payer)
    chain.wait(until=max(chain.now, Instant.parse("2026-03-03T00:00:00.000Z")))
    assert (payroll.transit, plan_of(chain, plan).held) == (sum(amounts), 0)

    chain.do(payroll.results_of(paid=(1, 2), returned=(3,)), by=c.custodian)
    assert payroll.transit == amounts[2], "what came back stays owed to its worker"
    chain.do(payroll.correction_of(3), by=c.payer, keys=(checker,))
    chain.do(payroll.results_of(paid=(3,)), by=c.custodian)
    sheet: WageSheet = payroll.sheet
    assert (sheet.state.value, payroll.transit, money(chain, c.payee)) == ("done", 0, payee)
    check_books(chain)
