"""Successions between claimant, liable party and debtor: nobody answers to itself, nor to a debtor for its default."""

from tallystick.kernel.membership.standing import SucceedMember
from tallystick.kernel.recourse.claims import ClaimRecourse, PayRecourse
from tallystick.kernel.recourse.records import Recourse, RecourseState
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.accounts import funded
from tests.support.receivables import anchor, holdings, span, transferred
from tests.support.redemption import Debt, debt


def succeeded(d: Debt, member: str, successor: str) -> None:
    order = anchor("register")
    d.world.do(SucceedMember(member=member, successor=successor, order=order), by=d.trade.auditor)


def overdue(d: Debt) -> Debt:
    d.to_due_date()
    d.past_grace()
    return d


def claimed(d: Debt, by: str) -> str:
    asked = ClaimRecourse(receivable=d.receivable, parcel=span(1, 400))
    return d.world.do(asked, by=by).events[0].record


def state_of(d: Debt, claim_id: str) -> RecourseState:
    claim: Recourse = d.world.row(Recourse, claim_id)
    return claim.state


def test_a_claim_whose_sides_become_one_is_settled() -> None:
    d = overdue(debt(recourse=True))
    claim_id = claimed(d, d.maker)
    succeeded(d, d.supplier, d.maker)
    assert state_of(d, claim_id) is RecourseState.SETTLED
    paid = PayRecourse(recourse=claim_id, currency="CNY", units=Units(400), receipt=anchor("bank_receipt"))
    d.world.do(paid, by=d.maker, expect=Status.NOT_A_PARTY)
    again = ClaimRecourse(receivable=d.receivable, parcel=span(1, 400))
    d.world.do(again, by=d.maker, expect=Status.NO_RECOURSE, vector="recourse.claim/no_recourse_against_oneself")
    d.check()


def test_who_succeeded_its_neighbour_claims_one_hop_further() -> None:
    d = debt(recourse=True)
    transferred(d.world, d.receivable, span(1, 400), 400, d.maker, d.trade.funder, d.trade.auditor, recourse=True)
    succeeded(d, d.maker, d.trade.funder)
    overdue(d)
    claim_id = claimed(d, d.trade.funder)
    assert d.world.row(Recourse, claim_id).liable == d.supplier
    paid = PayRecourse(recourse=claim_id, currency="CNY", units=Units(400), receipt=anchor("bank_receipt"))
    d.world.do(paid, by=d.supplier, also=(d.trade.funder,))
    assert holdings(d.world, d.receivable) == [(d.supplier, 1, 400), (d.supplier, 401, 1_000)]
    further = ClaimRecourse(receivable=d.receivable, parcel=span(1, 400))
    d.world.do(further, by=d.supplier, expect=Status.NO_RECOURSE)
    d.check()


def test_a_debtor_claims_from_nobody_for_its_own_default() -> None:
    d = overdue(debt(recourse=True))
    succeeded(d, d.maker, d.buyer)
    asked = ClaimRecourse(receivable=d.receivable, parcel=span(1, 400))
    d.world.do(asked, by=d.buyer, expect=Status.SAME_PARTY, vector="recourse.claim/same_party")


def test_a_claimant_that_became_the_debtor_is_not_paid() -> None:
    for member, successor in (("buyer", "maker"), ("maker", "buyer")):
        d = overdue(debt(recourse=True))
        claim_id = claimed(d, d.maker)
        gone, heir = getattr(d, member), getattr(d, successor)
        succeeded(d, gone, heir)
        funds = next(row for row in d.world.state.rows if row.startswith(f"accounts_of/{d.supplier}/"))
        funded(d.world, d.world.state.rows[funds].accounts[0].account, 400)  # type: ignore[attr-defined]
        paid = PayRecourse(recourse=claim_id, currency="CNY", units=Units(400))
        d.world.do(paid, by=d.supplier, expect=Status.RECEIVABLE_NOT_HELD)
        d.world.wait(until=d.world.row(Recourse, claim_id).pay_by.plus(1))
        assert state_of(d, claim_id) is RecourseState.SETTLED
        assert d.row.debtor == heir
        d.check()
