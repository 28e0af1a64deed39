"""Plans searched: whatever is tried, by whom and when, money reaches a payee only for what was certified or decided.

A small model beside the ledger remembers who said yes to what: two verifiers' acceptances in one round, the side that
offered and the side that accepted, the arbitrator's ruling. The payee never has more than these together allow. Steps
are drawn at random; most are refused, which is part of the search. DESIGN section 9, 1 and 4.
"""

import datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tallystick.kernel.accounts.deposits import Deposit, DepositState
from tallystick.kernel.accounts.freezes import FreezeAccount, UnfreezeAccount
from tallystick.kernel.accounts.records import Balance
from tallystick.kernel.accounts.reversing import ReverseDeposit
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.machine import Result
from tallystick.kernel.plans import escrow
from tallystick.kernel.plans.amending import DeclineAmendment
from tallystick.kernel.plans.answering import AcceptEvidence, SendBackEvidence
from tallystick.kernel.plans.cancelling import CancelPlan, CancelUnfunded
from tallystick.kernel.plans.cases import Certificate, Dispute, DisputeState, Refund, RefundState
from tallystick.kernel.plans.disputes import disputable
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.funding import FundPlan
from tallystick.kernel.plans.records import Phase, Retention, Unmet, Unused
from tallystick.kernel.plans.refunds import ConsentToRefund, DeclineRefund, RequestRefund
from tallystick.kernel.plans.releasing import ReleaseTranche
from tallystick.kernel.plans.sums import sums_of
from tallystick.kernel.products.records import FeePayer, FeeTerms
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.instants import DAY_MS, HOUR_MS
from tallystick.wire.status import Status
from tests.support.accounts import booking, held_for, money, stands
from tests.support.disputes import acceptance_of, dispute_of, objection_of, offer_of, ruling_of, verifiable
from tests.support.plans import amendment_of, check_plans, confirmed, consent_of, plan_of, state_of, version_row
from tests.support.products import Cast, cast
from tests.support.receivables import anchor

WHOLE = 1_000
ALL = 3 * WHOLE
NUMBER = st.integers(1, 3)
AMOUNT = st.integers(0, WHOLE + 1)
WHO = st.sampled_from(["payer", "payee", "platform", "arbitrator", "custodian", "first", "second", "third"])
SIDE = st.sampled_from(["payer", "payee"])
VERIFIER = st.sampled_from(["first", "second", "third"])
WAITS = [1, HOUR_MS, DAY_MS, 3 * DAY_MS + 1, 6 * DAY_MS, 11 * DAY_MS, 60 * DAY_MS]
PERCENT = st.integers(1, 100) | st.sampled_from([0, 100, 101])
WHICH = st.integers(0, 2)
RARELY = st.integers(0, 9).map(lambda number: number == 9)


class Plans(RuleBasedStateMachine):
    """One plan of three steps, and everything that can be tried on it."""

    @initialize(
        unmet=st.sampled_from(list(Unmet)),
        unused=st.sampled_from(list(Unused)),
        up_to=st.booleans(),
        paid_by=st.sampled_from(list(FeePayer)),
        retained=st.booleans(),
        recovers=st.booleans(),
        surplus=st.sampled_from([0, 100]),
        funded=st.sampled_from([100, 100, 70, 0]),
    )
    def scene(
        self,
        unmet: Unmet,
        unused: Unused,
        up_to: bool,
        paid_by: FeePayer,
        retained: bool,
        recovers: bool,
        surplus: int,
        funded: int,
    ) -> None:
        self.c: Cast = cast(funds=10 * WHOLE)
        kept = Retention(rate=Rate.parse("10"), until_on=datetime.date(2026, 7, 1)) if retained else None
        fields: dict[str, Any] = {
            "if_unmet": unmet,
            "extend_days": 7 if unmet is Unmet.EXTEND else 0,
            "up_to": up_to,
            "unused": unused,
            "retention": kept,
            "fund_units": Units(WHOLE + surplus),
        }
        advance = verifiable(self.c, WHOLE, advance=True, fund_by_on=datetime.date(2026, 3, 2))
        second = verifiable(self.c, WHOLE, recovery=Rate.parse("30") if recovers else None, **fields)
        steps = (advance, second, verifiable(self.c, WHOLE, **fields))
        fee = FeeTerms(rate=Rate.parse("1.5"), minimum=ZERO, paid_by=paid_by)
        self.plan = confirmed(self.c.world, self.c, *steps, fee=fee)
        self.steps = steps
        names = ("payer", "payee", "platform", "arbitrator", "custodian")
        self.who = {name: getattr(self.c, name) for name in names}
        self.who.update(zip(("first", "second", "third"), self.c.verifiers, strict=True))
        self.accepted: dict[str, dict[str, tuple[int, int]]] = {}  # round -> verifier -> tranche, units
        self.decided = 0  # what offers accepted and rulings gave the payee
        self.fund(funded, "payer")

    def attempt(self, operation: Operation, by: str, also: tuple[str, ...] = ()) -> Result:
        world = self.c.world
        raw = world.sign(operation, by=self.who[by], also=tuple(sorted(self.who[name] for name in also)))
        result = world.submit(raw)
        assert result.status is not Status.KERNEL_FAULT, result.fault
        return result

    def about(self, number: int, units: int) -> dict[str, Any]:
        return {"plan": self.plan, "tranche": number, "currency": "CNY", "units": Units(units)}

    def rows(self, kind: type[Any]) -> list[Any]:
        """The rows of a kind; those still open first."""
        found = [row for row in self.c.world.state.rows.values() if isinstance(row, kind)]
        return sorted(found, key=lambda row: (not row.live_for(), row.id))

    def pick(self, kind: type[Any], which: int) -> Any:
        found = self.rows(kind)
        return found[which % len(found)] if found else None

    @rule(percent=PERCENT | st.just(100), by=st.just("payer") | WHO)
    def fund(self, percent: int, by: str) -> None:
        row = plan_of(self.c.world, self.plan)
        missing = escrow.missing(row, version_row(self.c.world, self.plan)) if row.is_live else ALL
        self.attempt(FundPlan(plan=self.plan, currency="CNY", units=Units(missing * percent // 100)), by)

    @rule(units=st.integers(1, ALL))
    def deposit(self, units: int) -> None:
        booked = booking(self.c.world, self.c.payer_account, units, account=None, plan=self.plan, currency="CNY")
        self.attempt(booked, "custodian")

    @rule(which=WHICH, means_it=RARELY)
    def reverse(self, which: int, means_it: bool) -> None:
        row = self.pick(Deposit, which)
        if means_it and row is not None and row.state is DepositState.BOOKED:
            reference = f"REV-{self.c.world.height}"
            said = ReverseDeposit(deposit=row.id, currency="CNY", units=row.units, bank_reference=reference)
            self.attempt(said, "custodian")

    @rule(number=NUMBER, units=AMOUNT, by=st.just("payee") | WHO)
    def claim(self, number: int, units: int, by: str) -> None:
        self.attempt(SubmitEvidence(**self.about(number, units)), by)

    def accept(self, number: int, units: int, by: str) -> None:
        tranche = state_of(self.c.world, self.plan, number)
        named = {"evidence": tranche.evidence} if tranche.phase is Phase.EVIDENCE_IN else {}
        result = self.attempt(AcceptEvidence(**self.about(number, units), **named), by)
        if result.status is Status.OK:
            evidence = result.events[0].record
            said = self.accepted.setdefault(evidence, {})
            assert by not in said, "one answer for each verifier in a round"
            said[by] = (number, units)

    @rule(number=NUMBER, units=AMOUNT | st.just(WHOLE), by=VERIFIER | WHO)
    def certify(self, number: int, units: int, by: str) -> None:
        self.accept(number, units, by)

    @rule(number=NUMBER, percent=PERCENT, object_to=st.sampled_from([0, 0, 40, 100]), by=SIDE)
    def verify(self, number: int, percent: int, object_to: int, by: str) -> None:
        """All that it takes: the money, the claim, two verifiers; then, perhaps, an objection."""
        self.fund(100, "payer")
        row, terms = plan_of(self.c.world, self.plan), version_row(self.c.world, self.plan).tranches[number - 1]
        whole = escrow.amount_of(row.tranches[number - 1], terms)
        units = whole * percent // 100 if terms.up_to else whole
        self.attempt(SubmitEvidence(**self.about(number, whole)), "payee")
        for verifier in ("first", "second"):
            self.accept(number, units, verifier)
        if object_to:
            self.dispute(number, object_to, by, True)

    @rule(number=NUMBER, by=VERIFIER)
    def send_back(self, number: int, by: str) -> None:
        evidence = state_of(self.c.world, self.plan, number).evidence
        if evidence is not None:
            said = SendBackEvidence(plan=self.plan, tranche=number, evidence=evidence, reason="incomplete")
            self.attempt(said, by)

    @rule(number=NUMBER, percent=PERCENT, by=SIDE, objects=st.booleans())
    def dispute(self, number: int, percent: int, by: str, objects: bool) -> None:
        """An amount that the side may dispute, or a little more."""
        row = plan_of(self.c.world, self.plan)
        terms = version_row(self.c.world, self.plan).tranches[number - 1]
        most = disputable(row, row.tranches[number - 1], terms, self.who[by])
        make = objection_of if objects else dispute_of
        result = self.attempt(make(self.plan, most * percent // 100, tranche=number), by)
        assert percent <= 100 or most < 100 or result.status is not Status.OK

    @rule(number=NUMBER, units=AMOUNT, by=WHO, objects=st.booleans())
    def dispute_as(self, number: int, units: int, by: str, objects: bool) -> None:
        make = objection_of if objects else dispute_of
        self.attempt(make(self.plan, units, tranche=number), by)

    @rule(which=WHICH, percent=PERCENT, by=SIDE | WHO, answers=st.booleans())
    def offer(self, which: int, percent: int, by: str, answers: bool) -> None:
        row = self.pick(Dispute, which)
        if row is not None:
            self.attempt(offer_of(row.id, row.units * percent // 100), by)
            if answers:
                for side in ("payer", "payee"):
                    self.settle(which, 0, side)

    @rule(which=WHICH, off=st.sampled_from([0, 0, 1]), by=SIDE | WHO)
    def settle(self, which: int, off: int, by: str) -> None:
        row = self.pick(Dispute, which)
        if row is None or row.offer is None:
            return
        result = self.attempt(acceptance_of(row.id, row.offer.to_payee + off), by)
        if result.status is Status.OK:
            assert row.is_open
            assert not off
            assert {self.who[by], row.offer.by} == {self.c.payer, self.c.payee}
            self.decided += row.offer.to_payee

    @rule(which=WHICH, percent=st.integers(0, 100), by=st.just("arbitrator") | WHO, waits=st.booleans())
    def give_a_ruling(self, which: int, percent: int, by: str, waits: bool) -> None:
        row = self.pick(Dispute, which)
        if row is not None and waits and row.negotiate_until is not None:
            self.c.world.wait(until=row.negotiate_until.plus(1))
            row = self.c.world.row(Dispute, row.id)
        if row is None:
            return
        to_payee = row.units * percent // 100
        result = self.attempt(ruling_of(self.c, row.id, to_payee), by)
        if result.status is Status.OK:
            assert row.state is DisputeState.ARBITRATION
            assert by == "arbitrator"
            self.decided += to_payee

    @rule(number=NUMBER, units=st.integers(1, WHOLE), by=st.just("payer") | WHO)
    def ask_back(self, number: int, units: int, by: str) -> None:
        self.attempt(RequestRefund(**self.about(number, units)), by)

    @rule(which=WHICH, consents=st.booleans(), by=st.just("payee") | WHO)
    def answer_refund(self, which: int, consents: bool, by: str) -> None:
        row = self.pick(Refund, which)
        if row is None:
            return
        said: Operation = DeclineRefund(refund=row.id, reason="no")
        if consents:
            said = ConsentToRefund(refund=row.id, currency="CNY", units=row.units)
        result = self.attempt(said, by)
        assert result.status is not Status.OK or row.state is RefundState.REQUESTED

    @rule(
        number=NUMBER,
        units=st.integers(0, WHOLE) | st.integers(WHOLE - 50, WHOLE),
        answers=st.sampled_from(["confirm", "decline", "nothing"]),
    )
    def amend(self, number: int, units: int, answers: str) -> None:
        row = plan_of(self.c.world, self.plan)
        if not row.is_live:
            return
        steps = list(version_row(self.c.world, self.plan).tranches)
        fields = {name: getattr(steps[number - 1], name) for name in steps[0].__struct_fields__}
        steps[number - 1] = type(steps[0])(**{**fields, "units": Units(units), "fund_units": Units(units)})
        self.attempt(amendment_of(self.c.world, self.plan, *steps), "payer")
        if plan_of(self.c.world, self.plan).amendment is None or answers == "nothing":
            return
        if answers == "confirm":
            self.attempt(consent_of(self.c.world, self.plan), "payee")
        else:
            self.attempt(DeclineAmendment(plan=self.plan, reason="no"), "payee")

    @rule(number=NUMBER, by=WHO, waits=st.booleans())
    def release(self, number: int, by: str, waits: bool) -> None:
        until = state_of(self.c.world, self.plan, number).object_until
        if waits and until is not None and until > self.c.world.now:
            self.c.world.now = until.plus(1)  # a block whose due work has no room left
        row, version = plan_of(self.c.world, self.plan), version_row(self.c.world, self.plan)
        units = WHOLE
        if row.tranches[number - 1].certified is not None:
            units = sums_of(row, version, number, self.c.world.now).paid
        self.attempt(ReleaseTranche(**self.about(number, units)), by)

    @rule(number=NUMBER)
    def cancel_unfunded(self, number: int) -> None:
        row = plan_of(self.c.world, self.plan)
        for units in {int(row.tranches[at].free) for at in range(number - 1, 3)} | {0}:
            self.attempt(CancelUnfunded(**self.about(number, units)), "payee")

    @rule(both=st.booleans(), by=SIDE, means_it=RARELY)
    def cancel(self, both: bool, by: str, means_it: bool) -> None:
        if not means_it:
            return
        row = plan_of(self.c.world, self.plan)
        kept = sum(tranche.retained for tranche in row.tranches)
        leaving = kept + sum(tranche.free for tranche in row.tranches)
        said = CancelPlan(plan=self.plan, currency="CNY", units=Units(leaving), to_payee=Units(kept))
        other = "payee" if by == "payer" else "payer"
        result = self.attempt(said, by, (other,) if both else ())
        assert both or result.status is not Status.OK

    @rule(units=st.integers(1, ALL), lifts=st.booleans(), means_it=RARELY)
    def freeze(self, units: int, lifts: bool, means_it: bool) -> None:
        if not lifts and not means_it:
            return
        row = self.c.world.state.rows.get(f"balance/{plan_of(self.c.world, self.plan).escrow}")
        if lifts and isinstance(row, Balance) and row.freezes:
            lifted = UnfreezeAccount(plan=self.plan, freeze=row.freezes[0].id, authority_order=anchor("lifted"))
            self.attempt(lifted, "custodian")
        elif not lifts:
            order = FreezeAccount(
                plan=self.plan,
                currency="CNY",
                units=Units(units),
                authority_order=anchor("order"),
                until_on=self.c.world.today() + datetime.timedelta(days=20),
            )
            self.attempt(order, "custodian")

    @rule(wait=st.sampled_from(WAITS))
    def time_passes(self, wait: int) -> None:
        self.c.world.wait(wait)
        self.c.world.wait(1)

    @rule(means_it=RARELY)
    def the_long_stop_passes(self, means_it: bool) -> None:
        until = plan_of(self.c.world, self.plan).long_stop_at
        if means_it and until is not None and until > self.c.world.now:
            self.c.world.wait(until=until.plus(1))

    def certifiable(self) -> int:
        """What two verifiers' acceptances in one round allow, at the most; each tranche once."""
        most: dict[int, int] = {}
        for said in self.accepted.values():
            if len(said) >= 2:
                number = next(iter(said.values()))[0]
                second = sorted((units for _, units in said.values()), reverse=True)[1]
                most[number] = max(most.get(number, 0), second)
        return sum(most.values())

    @invariant()
    def money_reaches_the_payee_only_for_what_was_certified_or_decided(self) -> None:
        world = self.c.world
        check_plans(world)
        split = (row for row in self.rows(Dispute) if row.state is DisputeState.BY_DEFAULT)
        by_default = sum(int(row.to_payee or 0) for row in split)
        reached = money(world, self.c.payee) + held_for(world, self.c.payee)
        assert reached <= self.certifiable() + self.decided + by_default
        fees = stands(world, f"fees/{self.c.custodian}/CNY/{self.c.platform}")
        row = plan_of(world, self.plan)
        assert (row.released, row.fees) == (reached, fees)
        assert all(tranche.released + tranche.fees <= WHOLE for tranche in row.tranches)

    @invariant()
    def nothing_is_paid_once_for_being_certified_and_again_for_being_disputed(self) -> None:
        """What was disputed of a tranche lies within what was certified; only a payee's objection lies beyond it."""
        disputes = [row for row in self.rows(Dispute) if row.to_payee is not None]
        for number, tranche in enumerate(plan_of(self.c.world, self.plan).tranches, 1):
            mine = [row for row in disputes if row.tranche == number]
            beyond = [row for row in mine if row.cause == "objection" and row.opened_by == self.c.payee]
            certificates = [row for row in self.rows(Certificate) if row.tranche == number]
            released = [int(row.certified) for row in certificates if row.cause in ("release", "long_stop")]
            within = released[0] if released else sum(int(row.to_payee) for row in mine if row not in beyond)
            assert tranche.released + tranche.fees <= within + sum(int(row.to_payee) for row in beyond)

    @invariant()
    def each_certificate_adds_up(self) -> None:
        for row in self.rows(Certificate):
            parts = row.recovered + row.retained + row.disputed + row.released + row.fees
            assert row.certified == parts or row.cause == "long_stop", row

    @invariant()
    def disputes_are_what_is_frozen(self) -> None:
        row = plan_of(self.c.world, self.plan)
        still = [each for each in self.rows(Dispute) if each.is_open]
        assert {each.id for each in still} == set(row.disputes)
        for number, tranche in enumerate(row.tranches, 1):
            assert tranche.disputed == sum(each.units for each in still if each.tranche == number)
            assert tranche.disputed + tranche.retained <= tranche.held

    def teardown(self) -> None:
        """Whatever was tried, the plan ends with its long stop, or with the freeze that outlasts it."""
        if not hasattr(self, "plan"):
            return
        until = plan_of(self.c.world, self.plan).long_stop_at
        if until is None:
            return
        self.c.world.wait(until=until.plus(1))
        for _ in range(25):
            self.c.world.wait(DAY_MS + 1)
        row = plan_of(self.c.world, self.plan)
        assert (row.is_live, int(row.held), row.due()) == (False, 0, ())
        self.money_reaches_the_payee_only_for_what_was_certified_or_decided()


TestPlans = Plans.TestCase
TestPlans.settings = settings(max_examples=40, stateful_step_count=40)
