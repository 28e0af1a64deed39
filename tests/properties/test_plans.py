"""One small plan, many interleavings: whatever is tried, in whichever order and at whatever time, the auditor watches.

Steps are the simulation's own, on one plan of one to three tranches whose terms are drawn; most are plausible, some are
refused. Time goes by in hours and days, and often exactly to the end of a window or a millisecond past it.
"""

import copy
import functools
import random

import hypothesis.strategies as st
from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tallystick.kernel.membership.standing import DeclareInsolvent, ReinstateMember, SucceedMember, SuspendMember
from tallystick.kernel.plans.conditions import (
    AllOf,
    AnyOf,
    AtLeast,
    Condition,
    DataStated,
    DocumentsIn,
    OnDate,
    PayerAccepts,
    PlatformAccepts,
    VerifiersAccept,
    certifier_needed,
    leaves,
)
from tallystick.kernel.plans.escrow import missing
from tallystick.kernel.plans.records import Material, Retention, TrancheTerms, Unmet, Unused
from tallystick.kernel.products.records import FeePayer, FeeTerms, Silence
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import DAY_MS, HOUR_MS
from tests.properties.plan_town import PlanTown, days
from tests.simulation.actions import escrow, plans, releases
from tests.simulation.actions.proposals import today
from tests.simulation.founding import paper

STEPS = {
    function.__name__: function
    for function in (
        escrow.fund_plan,
        escrow.book_for_plan,
        escrow.announce_for_plan,
        escrow.reverse_plan_deposit,
        escrow.freeze_escrow,
        escrow.unfreeze_escrow,
        escrow.deduct_from_escrow,
        escrow.cancel_unfunded,
        escrow.cancel_plan,
        escrow.request_refund,
        escrow.consent_to_refund,
        escrow.decline_refund,
        releases.submit_evidence,
        releases.state_data,
        releases.submit_as_verifier,
        releases.accept_evidence,
        releases.send_back_evidence,
        releases.release_tranche,
        releases.fund_and_release,
        releases.object_to_release,
        releases.open_dispute,
        releases.offer_settlement,
        releases.accept_offer,
        releases.rule_on_dispute,
        plans.amend_plan,
        plans.confirm_amendment,
        plans.decline_amendment,
    )
}
OFTEN = ("fund_plan", "submit_evidence", "accept_evidence", "send_back_evidence", "state_data")
PAUSES = (HOUR_MS,) * 6 + (DAY_MS,) * 2 + (-1, 0, 1)
"""In milliseconds; the smallest are meant from the next deadline."""

UNITS = (1, 3, 100, 9_999)
CHANGES = ("nothing",) * 30 + ("succeed", "suspend", "reinstate", "insolvent")


@functools.cache
def founded() -> PlanTown:
    """The town before its product, set up once."""
    return PlanTown(sweep_every=5)


@st.composite
def conditions(draw: st.DrawFn, depth: int = 1) -> Condition:
    """What must hold: one leaf, or some of a few. Days and members are named later, by `_bound`."""
    if depth and draw(st.booleans()):
        of = tuple(draw(st.lists(conditions(depth - 1), min_size=1, max_size=3)))
        kind = draw(st.sampled_from((AllOf, AnyOf, AtLeast)))
        return AtLeast(needed=draw(st.integers(1, len(of))), of=of) if kind is AtLeast else kind(of=of)
    town = founded()
    named = town.named
    verifiers = (named["surveyor"], named["architect"])
    methods = (
        PayerAccepts(),
        PlatformAccepts(),
        VerifiersAccept(needed=1, verifiers=verifiers),
        VerifiersAccept(needed=2, verifiers=verifiers),
        DocumentsIn(),
        DataStated(source=named["source"], kind="arrived"),
        OnDate(on=today(town) + days(draw(st.integers(1, 4)))),
    )
    return draw(st.sampled_from(methods))


def _needs_papers(condition: Condition) -> bool:
    return any(isinstance(leaf, DocumentsIn) for leaf in leaves(condition))


@st.composite
def tranches(draw: st.DrawFn) -> tuple[TrancheTerms, ...]:
    """One to three steps that the product allows."""
    made: list[TrancheTerms] = []
    first = today(founded()) + days(1)
    for number in range(draw(st.integers(1, 3))):
        units = draw(st.sampled_from(UNITS))
        condition = draw(conditions())
        until = first + days(draw(st.integers(4, 7)))
        unmet = draw(st.sampled_from(list(Unmet)))
        retained = draw(st.booleans()) and draw(st.booleans())
        advanced = any(each.advance for each in made)
        made.append(
            TrancheTerms(
                title="Step",
                fund_by_on=first + days(draw(st.integers(0, 2))),
                fund_units=Units(units + draw(st.sampled_from((0, 0, 7)))),
                units=Units(units),
                release_from_on=first + days(draw(st.integers(0, 3))),
                release_until_on=until,
                condition=condition,
                up_to=certifier_needed(condition) and draw(st.booleans()),
                materials=(Material(kind="invoice_copy"),) if _needs_papers(condition) or draw(st.booleans()) else (),
                on_silence=draw(st.sampled_from(list(Silence))),
                if_unmet=unmet,
                extend_days=2 if unmet is Unmet.EXTEND else 0,
                unused=draw(st.sampled_from(list(Unused))),
                retention=Retention(rate=Rate(10_500_000), until_on=until + days(3)) if retained else None,
                recovery=Rate(33_333_333) if advanced and draw(st.booleans()) else None,
                advance=number == 0 and draw(st.booleans()),
            )
        )
    return tuple(made)


class OnePlan(RuleBasedStateMachine):
    """A plan from its confirmation on. The town raises at the first thing that the auditor finds wrong."""

    @initialize(
        terms=tranches(),
        payer_bears=st.booleans(),
        objection_days=st.sampled_from((0, 1)),
        split=st.sampled_from((0, 33, 100)),
        part=st.sampled_from((1, 1, 2)),
    )
    def confirm(
        self, terms: tuple[TrancheTerms, ...], payer_bears: bool, objection_days: int, split: int, part: int
    ) -> None:
        self.town = copy.deepcopy(founded())
        fee = FeeTerms(
            rate=Rate(1_500_000), minimum=Units(2), paid_by=FeePayer.PAYER if payer_bears else FeePayer.PAYEE
        )
        last = today(self.town) + days(10)
        product = self.town.open_product(
            fee=fee,
            objection_days=objection_days,
            answer_days=1,
            default_split=split,
            payment_until_on=last,
            long_stop_on=last + days(5),
        )
        self.plan = self.town.agree(product, *terms)
        lacks = int(missing(self.town.plan(self.plan), self.town.version(self.plan)))
        self.town.fund(self.plan, max(lacks // part, 1))

    @rule(seed=st.integers(0, 2**16))
    def the_work_goes_on(self, seed: int) -> None:
        self.somebody_acts(random.Random(seed).sample(OFTEN, len(OFTEN)), seed)

    @rule(seed=st.integers(0, 2**16))
    def something_is_asked(self, seed: int) -> None:
        self.somebody_acts(random.Random(seed).sample(sorted(STEPS), len(STEPS)), seed)

    def somebody_acts(self, names: list[str], seed: int) -> None:
        """The first of these steps that can be thought of now."""
        self.town.rng = random.Random(seed)
        for name in names:
            proposal = STEPS[name](self.town)
            if proposal is not None:
                raw = self.town.sign(proposal.operations, proposal.by, proposal.also, proposal.keys)
                outcome = self.town.block(60_000, [raw])[0]
                note(f"{name}: {outcome.label} {outcome.facts}")
                return

    @rule(pause=st.sampled_from(PAUSES))
    def time_passes(self, pause: int) -> None:
        """By so much, or on to the next deadline, give or take a millisecond."""
        due = self.town.next_due()
        if pause <= 1:
            pause += int(self.town.now if due is None else due) - int(self.town.now)
        self.town.pass_time(max(pause, 1))

    @precondition(lambda self: self.town.plan(self.plan).ended is None)
    @rule(
        what=st.sampled_from(("succeed", "suspend", "reinstate", "insolvent")),
        who=st.sampled_from(("payer", "payee", "surveyor")),
    )
    def standing_changes(self, what: str, who: str) -> None:
        town, order = self.town, paper("order")
        member = town.named[who]
        match what:
            case "succeed":
                town.do(SucceedMember(member=member, successor=town.named["heir"], order=order), by="auditor")
            case "suspend":
                town.do(SuspendMember(member=member, reason="under_investigation"), by="auditor")
            case "reinstate":
                town.do(ReinstateMember(member=member), by="auditor")
            case "insolvent":
                town.do(DeclareInsolvent(member=member, order=order), by="auditor")
            case _:
                pass

    @invariant()
    def money_is_where_it_is_said_to_be(self) -> None:
        plan = self.town.plan(self.plan)
        held = self.town.find_units(plan.escrow)
        assert plan.deposited == held + plan.released + plan.refunded + plan.fees + plan.reversed

    def teardown(self) -> None:
        """In the end the long stop leaves nothing in escrow, unless an order keeps it there."""
        if not hasattr(self, "plan"):
            return
        for _ in range(4):
            self.town.pass_time(12 * DAY_MS)
        plan = self.town.plan(self.plan)
        assert plan.ended is not None or self.town.is_frozen(plan.escrow), plan


TestOnePlan = OnePlan.TestCase
