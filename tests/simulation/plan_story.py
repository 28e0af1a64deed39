"""One chain on which most that can become of a plan does: told once, recorded, and told again with something changed.

The tests of the auditor replay the record: as it is, nothing is found; with one event, row, time or order changed, the
auditor must find it.
"""

import copy
import functools
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from tallystick.kernel.accounts.freezes import DeductByOrder
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.accounts.records import Balance
from tallystick.kernel.accounts.reversing import ReverseDeposit
from tallystick.kernel.plans.amending import AmendPlan, ConfirmAmendment
from tallystick.kernel.plans.answering import AcceptEvidence, SendBackEvidence
from tallystick.kernel.plans.cancelling import CancelPlan
from tallystick.kernel.plans.cases import Dispute, Refund
from tallystick.kernel.plans.conditions import AllOf, DataStated, OnDate, PayerAccepts, VerifiersAccept
from tallystick.kernel.plans.disputes import ObjectToRelease, OfferSettlement
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.proposing import terms_hash, total_of
from tallystick.kernel.plans.records import Material, Retention, TrancheTerms, Unmet, Unused
from tallystick.kernel.plans.refunds import ConsentToRefund, RequestRefund
from tallystick.kernel.plans.rulings import AcceptOffer, RuleOnDispute
from tallystick.kernel.products.records import Business, Silence
from tallystick.kernel.wages.correcting import CorrectedLine, CorrectWageLines, WithdrawWageLines
from tallystick.kernel.wages.lines import LineCommitment, UploadWageLines
from tallystick.kernel.wages.results import ReportWages, ReturnedLine
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import DAY_MS, HOUR_MS
from tests.properties.plan_town import CURRENCY, PlanTown, days
from tests.simulation.actions.proposals import today
from tests.simulation.founding import paper
from tests.support.audit.money import Money
from tests.support.audit.plans.book import Step
from tests.support.audit.plans.watch import Plans
from tests.support.audit.seen import Row, Seen
from tests.support.auditor import Auditor


@dataclass
class Story:
    """Everything that the auditor was shown of a chain, in order, and the rows it began with."""

    genesis: dict[str, Row]
    steps: list[Seen] = field(default_factory=list)
    plans: dict[str, str] = field(default_factory=dict)

    def copied(self) -> "Story":
        return copy.deepcopy(self)

    def watch(self, *, records: bool = True) -> None:
        """Show it to the models of money and of plans, which trust that signatures were verified.

        Without `records` the events are held against the rules and no record against the model, as where a ledger's
        records are wrong in the same way as its events.
        """
        rows, money = dict(self.genesis), Money()
        plans = Plans() if records else _EventsAlone()
        for seen in self.steps:
            if seen.status != "ok":
                continue
            seen.before = {key: rows.get(key) for key in seen.after}
            before = dict(rows)
            for key, row in seen.after.items():
                if row is None:
                    rows.pop(key, None)
                else:
                    rows[key] = row
            if records:
                money.observe(seen, rows)
            else:
                _post(seen, money)
            plans.observe(seen, rows, before, money.balances)
            plans.check_all(seen, rows)


class _EventsAlone(Plans):
    """Looks at no record of what it keeps itself."""

    def _compare(self, step: Step, table: str, row: Row) -> None:
        pass

    def _compare_sheet(self, step: Step, table: str, key: str, row: Row, balances: dict[str, int]) -> None:
        pass


def _post(seen: Seen, money: Money) -> None:
    for event in seen.of_kind("account.posted"):
        for name, sign in ((event["facts"]["source"], -1), (event["facts"]["target"], 1)):
            money.balances[name] += sign * int(event["facts"]["units"])


class _Recording(Auditor):
    """Watches as ever, and keeps what it is shown."""

    def __init__(self, genesis: dict[str, Row]) -> None:
        super().__init__(genesis)
        self.story = Story(copy.deepcopy(genesis))

    def step(self, seen: Seen) -> None:
        self.story.steps.append(copy.deepcopy(seen))
        super().step(seen)


class _Told(PlanTown):
    """The town of the story; its auditor records from the first block on."""

    def block(self, after_ms: int, raws: list[bytes]) -> Any:
        if not isinstance(self.auditor, _Recording):
            self.auditor = _Recording(self.auditor.rows)
        return super().block(after_ms, raws)

    @property
    def story(self) -> Story:
        assert isinstance(self.auditor, _Recording)
        return self.auditor.story


def step_of(town: PlanTown, units: int, **fields: Any) -> TrancheTerms:
    """A tranche that begins tomorrow and ends in ten days, once the payer accepts."""
    said: dict[str, Any] = {
        "title": "Step",
        "fund_by_on": today(town) + days(2),
        "fund_units": Units(units),
        "units": Units(units),
        "release_from_on": today(town) + days(1),
        "release_until_on": today(town) + days(10),
        "condition": PayerAccepts(),
        **fields,
    }
    return TrancheTerms(**said)


@functools.cache
def told() -> Story:
    """The story, told by real operations on a watched chain."""
    town = _Told()
    product = town.open_product()
    works = _works(town, product)
    trouble = _trouble(town, product)
    wages = _wages(town)
    town.sweep()
    town.story.plans = {"works": works, "trouble": trouble, "wages": wages}
    return town.story


def _works(town: PlanTown, product: str) -> str:
    """An advance, a verified amount with recovery and retention, a date: all released, the rest rolled on or back."""
    verifiers = VerifiersAccept(needed=2, verifiers=(town.named["surveyor"], town.named["architect"]))
    plan = town.agree(
        product,
        step_of(town, 10_000, advance=True),
        step_of(
            town,
            50_000,
            condition=AllOf(of=(verifiers, DataStated(source=town.named["source"], kind="arrived"))),
            materials=(Material(kind="delivery_note"),),
            up_to=True,
            recovery=Rate(10_000_000),
            retention=Retention(rate=Rate(5_000_000), until_on=today(town) + days(20)),
            unused=Unused.ROLL_ON,
        ),
        step_of(town, 20_000, condition=OnDate(on=today(town) + days(9))),
    )
    town.fund(plan, 60_000)
    about: dict[str, Any] = {"plan": plan, "currency": CURRENCY}
    town.done(AcceptEvidence(tranche=1, units=Units(10_000), **about), by="payer")
    materials = (paper("delivery_note", plan),)
    claim = SubmitEvidence(tranche=2, units=Units(45_000), materials=materials, **about)
    town.done(SubmitEvidence(plan=plan, tranche=2, statement=paper("arrived", plan)), by="source")
    evidence = str(town.done(claim, by="payee").events[0]["record"])
    town.done(SendBackEvidence(plan=plan, tranche=2, evidence=evidence, reason="incomplete"), by="surveyor")
    evidence = str(town.done(claim, by="payee").events[0]["record"])
    for name, units in (("surveyor", 40_000), ("architect", 41_000)):
        town.done(AcceptEvidence(tranche=2, units=Units(units), evidence=evidence, **about), by=name)
    town.done(ObjectToRelease(tranche=2, units=Units(1_000), reason="wrong_amount", **about), by="payer")
    town.pass_time(3 * DAY_MS)
    dispute = town.plan(plan).disputes[0]
    town.pass_time(HOUR_MS)
    fields: dict[str, Any] = {"dispute": dispute, "currency": CURRENCY, "to_payee": Units(400)}
    town.done(RuleOnDispute(to_payer=Units(600), ruling=paper("ruling"), **fields), by="arbitrator")
    town.deposit("", 15_000, plan=plan)
    town.pass_time(12 * DAY_MS)
    town.pass_time(12 * DAY_MS)
    town.pass_time(1)
    assert town.plan(plan).ended is not None, town.plan(plan)
    return plan


def _trouble(town: PlanTown, product: str) -> str:
    """Late money, a reversal, an order, a refund, an amendment, silence, a settlement; then called off."""
    silent = VerifiersAccept(needed=1, verifiers=(town.named["surveyor"],))
    plan = town.agree(
        product,
        step_of(town, 9_000),
        step_of(town, 8_000, condition=silent, on_silence=Silence.DISPUTE),
        step_of(town, 7_000, if_unmet=Unmet.EXTEND, extend_days=2),
        step_of(town, 6_000, condition=silent, on_silence=Silence.ACCEPT),
    )
    about: dict[str, Any] = {"plan": plan, "currency": CURRENCY}
    booked = town.deposit("", 9_000, plan=plan)
    deposit = booked.events[-1]["record"]
    town.fund(plan)
    town.done(SubmitEvidence(tranche=2, units=Units(8_000), **about), by="payee")
    town.done(SubmitEvidence(tranche=4, units=Units(6_000), **about), by="payee")
    town.done(RequestRefund(tranche=1, units=Units(500), **about), by="payer")
    refund = town.rows(Refund)[0].id
    town.done(ConsentToRefund(refund=refund, currency=CURRENCY, units=Units(500)), by="payee")
    order = {"authority_order": paper("order"), "bank_reference": "ORDER-1"}
    town.done(DeductByOrder(units=Units(300), **order, **about), by="bank")
    had = town.version(plan).tranches
    less = (_less(had[0], 1_000), *had[1:])
    town.done(AmendPlan(tranches=less, total=total_of(less), **about), by="payer")
    town.done(ConfirmAmendment(total=total_of(less), terms=terms_hash(less), **about), by="payee")
    fields: dict[str, Any] = {"deposit": deposit, "currency": CURRENCY, "units": Units(9_000)}
    _empty(town)
    town.done(ReverseDeposit(bank_reference="REVERSED-1", **fields), by="bank")
    town.pass_time(3 * DAY_MS)
    dispute = next(row for row in town.rows(Dispute) if row.id in town.plan(plan).disputes)
    said: dict[str, Any] = {"dispute": dispute.id, "currency": CURRENCY, "to_payee": Units(3_000)}
    town.done(OfferSettlement(**said), by="payee")
    town.done(AcceptOffer(**said), by="payer")
    town.pass_time(4 * DAY_MS)
    town.pass_time(5 * DAY_MS)
    row = town.plan(plan)
    if row.ended is None:
        retained = sum(int(tranche.retained) for tranche in row.tranches)
        leaving = retained + sum(int(tranche.free) for tranche in row.tranches)
        town.done(CancelPlan(units=Units(leaving), to_payee=Units(retained), **about), by="payer", also=("payee",))
    return plan


def _empty(town: PlanTown) -> None:
    """The payer has spent what was on its account."""
    source, target = town.accounts["payer"], town.accounts["payee"]
    held: Any = town.find(Balance, f"available/{source}")
    spent = TransferFunds(source=source, target=target, currency=CURRENCY, units=held.units, subject="goods")
    town.done(spent, by="payer")


def _less(terms: TrancheTerms, units: int) -> TrancheTerms:
    return replace(terms, units=terms.units - units, fund_units=terms.fund_units - units)


def _wages(town: PlanTown) -> str:
    """Three workers: one paid, one returned and corrected and paid, one returned and taken out."""
    product = town.open_product(business=Business.WAGES)
    plan = town.agree(product, step_of(town, 6_000, wages=True, on_silence=Silence.ACCEPT, if_unmet=Unmet.REFUND))
    town.fund(plan)
    lines = tuple(
        LineCommitment(worker=paper("worker", n).hash, account=paper("account", n).hash, units=Units(n * 1_000))
        for n in (1, 2, 3)
    )
    about: dict[str, Any] = {"plan": plan, "tranche": 1, "currency": CURRENCY}
    town.done(UploadWageLines(units=Units(6_000), count=3, chunk=1, lines=lines, **about), by="payer")
    evidence = town.tranche(plan).evidence
    town.done(AcceptEvidence(units=Units(6_000), evidence=evidence, **about), by="payer")
    town.pass_time(2 * DAY_MS)
    town.pass_time(DAY_MS)
    back = tuple(ReturnedLine(line=line, reason="account_closed") for line in (2, 3))
    report = ReportWages(
        bank_reference="BATCH-1", units=Units(1_000), returned_units=Units(5_000), paid=(1,), returned=back, **about
    )
    town.done(report, by="bank")
    again = CorrectedLine(line=2, worker=lines[1].worker, account=paper("account", "2 new").hash)
    town.done(CorrectWageLines(units=Units(2_000), lines=(again,), **about), by="payer")
    paid = ReportWages(bank_reference="BATCH-2", units=Units(2_000), returned_units=Units(0), paid=(2,), **about)
    town.done(paid, by="bank")
    out = WithdrawWageLines(units=Units(3_000), lines=(3,), reason="paid_in_cash", **about)
    town.done(out, by="payer", also=("payee",))
    return plan
