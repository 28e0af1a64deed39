"""A ledger on which the rarer things happened, for the evidence of them: what goes wrong, and what authorities do.

Organisations admitted in one step, one of them suspended, given another role, and its keys recovered; a receivable
executed by a court and claimed hop by hop; a member succeeded in the midst of its business; plans with a dispute ruled,
one settled, refunds, an amendment, wages with a returned line; deposits announced, astray, returned and reversed.
"""

from pathlib import Path
from typing import Any

from tallystick.kernel.accounts.deposits import AnnounceDeposit, AssignDeposit, BookDeposit, Deposit
from tallystick.kernel.accounts.reversing import ReturnDeposit, ReverseDeposit
from tallystick.kernel.core import codec
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.membership.keys import AddKey, RecoverKeys, RevokeKey, SetSigningPolicy
from tallystick.kernel.membership.records import KeyRole, Role, SigningRule
from tallystick.kernel.membership.standing import ReinstateMember, SetPermissions, SucceedMember, SuspendMember
from tallystick.kernel.plans.refunds import ConsentToRefund, DeclineRefund, RequestRefund
from tallystick.kernel.receivables.judgments import AssignByJudgment, CancelByJudgment
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.recourse.claims import ClaimRecourse, PayRecourse, RefuseRecourse
from tallystick.kernel.redemption.redeem import Redeem
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ReviewResult
from tallystick.node.evidence import bundle_about
from tallystick.proof.evidence.bundle import Bundle
from tallystick.proof.evidence.genesis import Genesis
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tests.conformance.chain import until_proven
from tests.conformance.engines import Embedded
from tests.support import disputes
from tests.support.accounts import opened
from tests.support.chain import GOVERNOR, Chain, founded
from tests.support.members import anchor, apply_as, key_of, open_review_of, public
from tests.support.plans import PART, amended, confirmed, day, funded_plan, tranche
from tests.support.products import Cast, cast
from tests.support.receivables import PASSED, issued, span, trade, transferred, use
from tests.support.wages import payroll

FACE = 1_000


class Told:
    """The ledger, at work; `things` are the ids that bundles are about, by what happened to them."""

    def __init__(self, home: Path) -> None:
        genesis = founded()
        self.genesis_file = codec.encode(genesis)
        self.genesis = Genesis.from_bytes(self.genesis_file)
        self.running = Embedded(home, genesis)
        self.chain: Any = Chain(self.running, genesis)  # the scenes take it where they take a World
        self.engine = self.running.engine
        self.trade = trade(self.chain)
        self.bank = self.chain.member("Bank", Role.CUSTODIAN)
        self.governor = self.chain.member(GOVERNOR, Role.GOVERNOR)
        self.rival = self.chain.member("Rival funder", Role.FUNDER)
        self.things: dict[str, str] = {}
        self._admitted_together()
        c = cast(self.chain)
        self._paid_wages(c)
        self._claimed_hop_by_hop()
        self._disputed(c)
        self._given_back(c)
        self._money_came(c)
        self._paid_early(c)
        self._succeeded(c)
        until_proven(self.engine, "protocol/chain")

    def _by_auditor(self, *operations: Operation) -> None:
        self.chain.do(*operations, by=self.trade.auditor)

    def _admitted_together(self) -> None:
        """Three apply, and one step admits them; the first is suspended, gets a role, and loses its keys."""
        names = ("Mill", "Forge", "Quarry")
        members = [apply_as(self.chain, name, self.trade.supplier) for name in names]
        reviews = [open_review_of(self.chain, member) for member in members]
        self._by_auditor(*(DecideReview(review=one, result=ReviewResult.APPROVE, checklist=PASSED) for one in reviews))
        mill, forge, quarry = members
        self.things |= {"recovered": mill, "admitted": forge, "plain": quarry}
        maker, checker = key_of("Mill's maker"), key_of("Mill's checker")
        for key, role in ((maker, KeyRole.MAKER), (checker, KeyRole.CHECKER)):
            self.chain.do(AddKey(key=public(key), role=role), by=mill, keys=(key,))
        self.chain.do(SetSigningPolicy(rules=(SigningRule(pattern="*", makers=1),)), by=mill)
        self._by_auditor(SuspendMember(member=mill, reason="papers"), SuspendMember(member=forge, reason="papers"))
        self._by_auditor(ReinstateMember(member=forge))
        self._by_auditor(SetPermissions(member=forge, permissions=(), roles=(Role.VERIFIER, Role.CLIENT)))
        self._by_auditor(SetPermissions(member=forge, permissions=(), roles=(Role.CLIENT,)))
        self.chain.do(SetSigningPolicy(rules=(SigningRule(pattern="*", admins=1),)), by=forge)
        self.chain.do(SetSigningPolicy(rules=()), by=forge)
        new = key_of("Mill, recovered")
        self.chain.do(RecoverKeys(member=mill, key=public(new)), by=self.governor, keys=(new,))
        self.chain.wait(8 * DAY_MS)
        self.chain.keys[mill] = new
        self._by_auditor(ReinstateMember(member=mill))
        self.chain.do(RevokeKey(key=public(maker)), by=mill)

    def _claimed_hop_by_hop(self) -> None:
        """Handed on twice with recourse, partly assigned and cancelled by a court, not paid: paid back hop by hop."""
        t, chain = self.trade, self.chain
        receivable = issued(chain, t.buyer, t.supplier, FACE, t.auditor)
        first = transferred(
            chain, receivable, span(1, FACE), 600, t.supplier, t.maker, t.auditor,
            recourse=True, consideration=Units(580),
        )  # fmt: skip
        second = transferred(chain, receivable, span(1, 600), 200, t.maker, t.funder, t.auditor, recourse=True)
        court = anchor("judgment", "of a court")
        assign = AssignByJudgment(receivable=receivable, interval=span(700, 800), to=self.rival, judgment=court)
        self._by_auditor(assign)
        self._by_auditor(CancelByJudgment(receivable=receivable, interval=span(901, FACE), judgment=court))
        assigned = next(row for row in self._rows("transfer") if row.kind.value == "judgment").id
        for owner in (t.maker, t.funder):
            opened(chain, owner, self.bank, units=FACE)
        row: Receivable = chain.row(Receivable, receivable)
        assert row.overdue_at is not None
        chain.wait(until=row.overdue_at.plus(1))
        claims = {}
        claims["paid"] = self._claim(receivable, 1, 200, t.funder)
        chain.do(PayRecourse(recourse=claims["paid"], currency="CNY", units=Units(200)), by=t.maker)
        claims["refused"] = self._claim(receivable, 1, 200, t.maker)
        refuse = RefuseRecourse(recourse=claims["refused"], reason=anchor("letter", "not due"))
        chain.do(refuse, by=t.supplier)
        claims["lapsed"] = self._claim(receivable, 201, 600, t.maker)
        chain.wait(11 * DAY_MS)
        stepped_in = next(row for row in self._rows("transfer") if row.kind.value == "recourse").id
        self.things |= {"in recourse": receivable, "first hop": first, "second hop": second, "assigned": assigned}
        self.things |= {"stepped in": stepped_in, **{f"recourse {how}": claim for how, claim in claims.items()}}

    def _claim(self, receivable: str, first: int, last: int, by: str) -> str:
        claim = ClaimRecourse(receivable=receivable, parcel=span(first, last))
        return str(self.chain.do(claim, by=by).events[0].record)

    def _rows(self, table: str) -> list[Any]:
        return list(self.engine.scan(table))

    def _disputed(self, c: Cast) -> None:
        """One dispute is ruled on, one settled, one divided as agreed when nobody ruled."""
        terms = {"fund_by_on": day(12, 1), "release_from_on": day(8, 1), "release_until_on": day(12, 20)}
        verified = disputes.verifiable(c, **terms)
        for how in ("ruled", "settled"):
            plan = disputes.paid_in(c, verified)
            disputes.claimed(c, plan, PART)
            disputes.certify(c, plan, PART)
            dispute = disputes.opened_by(c, disputes.objection_of(plan, PART // 4), c.payer)
            if how == "settled":
                disputes.settle(c, dispute, PART // 8)
            else:
                self.chain.wait(until=disputes.last_of_negotiation(c, dispute).plus(1))
                self.chain.do(disputes.ruling_of(c, dispute, PART // 10), by=c.arbitrator)
            self.things[f"dispute {how}"] = plan

    def _given_back(self, c: Cast) -> None:
        """A refund is declined, another consented to; then the plan is amended."""
        terms = {"fund_by_on": day(12, 1), "release_from_on": day(12, 2), "release_until_on": day(12, 20)}
        step = tranche(**terms)
        plan = funded_plan(self.chain, c, step)
        asked = RequestRefund(plan=plan, tranche=1, currency="CNY", units=Units(PART // 2))
        refund = self.chain.do(asked, by=c.payer).events[0].record
        self.chain.do(DeclineRefund(refund=refund, reason="work_begun"), by=c.payee)
        refund = self.chain.do(asked, by=c.payer).events[0].record
        self.chain.do(ConsentToRefund(refund=refund, currency="CNY", units=asked.units), by=c.payee)
        self.things["refunded"] = plan
        plan = funded_plan(self.chain, c, step)
        amended(self.chain, c, plan, tranche(**{**terms, "title": "Another step"}))
        self.things["amended"] = plan

    def _money_came(self, c: Cast) -> None:
        """From the payer's bank: for a plan by its code; astray and assigned, or returned; taken back; or never."""
        chain = self.chain

        def announced() -> str:
            said = AnnounceDeposit(account=c.payer_account, currency="CNY", units=Units(100))
            record: str = chain.do(said, by=c.payer).events[0].record
            return record

        def booked(units: int, **fields: Any) -> str:
            said = BookDeposit(bank_reference=f"REF-{chain.height}", currency="CNY", units=Units(units), **fields)
            events = chain.do(said, by=c.custodian).events
            record: str = next(one.record for one in events if one.kind.startswith("deposit."))
            return record

        terms = {"fund_by_on": day(12, 1), "release_from_on": day(12, 2), "release_until_on": day(12, 20)}
        plan = confirmed(chain, c, tranche(**terms))
        note = AnnounceDeposit(plan=plan, currency="CNY", units=Units(PART // 2))
        by_code = chain.do(note, by=c.payer).events[0].record
        booked(PART // 2, remitter=c.payer, code=by_code.removeprefix("dep_").upper())
        stray, returned = booked(PART // 2), booked(300)
        both: dict[str, Any] = {"currency": "CNY", "units": Units(PART // 2)}
        chain.do(AssignDeposit(deposit=stray, plan=plan, **both), by=c.custodian, also=(c.payer,))
        back = {"currency": "CNY", "units": Units(300)}
        chain.do(ReturnDeposit(deposit=returned, bank_reference="BACK-1", **back), by=c.custodian)
        taken = booked(300, remitter=c.payer, account=c.payer_account)
        chain.do(ReverseDeposit(deposit=taken, bank_reference="BACK-2", **back), by=c.custodian)
        lapsed = announced()
        chain.wait(until=chain.row(Deposit, lapsed).deadline.plus(1))
        self.things |= {"deposited plan": plan, "deposit by code": by_code, "deposit assigned": stray}
        self.things |= {"deposit returned": returned, "deposit reversed": taken, "deposit lapsed": lapsed}
        self.things["deposit announced"] = announced()

    def _paid_early(self, c: Cast) -> None:
        """The debtor pays a part of a receivable before it is due."""
        chain = self.chain
        days = {"issue_on": chain.today(), "due_on": day(12, 20)}
        receivable = issued(chain, c.payer, c.payee, FACE, c.auditor, invoices=(use("third", FACE),), **days)
        chain.do(Redeem(receivable=receivable, currency="CNY", units=Units(FACE // 4)), by=c.payer)
        self.things["paid early"] = receivable

    def _paid_wages(self, c: Cast) -> None:
        """Three workers: two lines come back, of which one is corrected and one withdrawn."""
        p = payroll(c=c).released()
        p.by_custodian(p.results_of(paid=(1,), returned=(2, 3)))
        p.by_payer(p.correction_of(2))
        p.by_both(p.withdrawal_of(3))
        p.by_custodian(p.results_of(paid=(2,)))
        self.things["wages"] = p.plan

    def _succeeded(self, c: Cast) -> None:
        """The maker and the payee pass to others in the midst of a receivable and of a plan."""
        t, chain = self.trade, self.chain
        days = {"issue_on": chain.today(), "due_on": day(12, 20)}
        receivable = issued(chain, t.buyer, t.supplier, FACE, t.auditor, invoices=(use("second", FACE),), **days)
        transferred(chain, receivable, span(1, FACE), 500, t.supplier, t.maker, t.auditor)
        terms = {"fund_by_on": day(12, 1), "release_from_on": day(12, 2), "release_until_on": day(12, 20)}
        plan = funded_plan(chain, c, tranche(**terms))
        paper = anchor("merger", "of two")
        for gone in (t.maker, c.payee):
            self._by_auditor(SucceedMember(member=gone, successor=t.supplier, order=paper))
        transferred(chain, receivable, span(1, 500), 100, t.supplier, t.funder, t.auditor)
        self.things |= {"succeeded": receivable, "merged": t.maker, "successor": t.supplier, "passed plan": plan}

    def bundle(self, thing: str, *, with_members: bool = False) -> Bundle:
        """The evidence about one of the things."""
        return bundle_about(self.engine, self.genesis_file, self.things[thing], with_members=with_members)

    def close(self) -> None:
        """Stop it."""
        self.running.close()
