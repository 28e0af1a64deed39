"""Successions and offices that would put money out of reach, or a judge into its own cause."""

from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SucceedMember
from tallystick.kernel.plans.conditions import VerifiersAccept
from tallystick.kernel.products.records import FeePayer, FeeTerms, Silence
from tallystick.wire.amounts import RATE_SCALE, ZERO, Rate
from tallystick.wire.status import Status
from tests.support.accounts import stands
from tests.support.disputes import in_arbitration, last_of_long_stop, paid_in, row_of, ruling_of, verifiable
from tests.support.evidence import released
from tests.support.plans import PART, check_plans, funded_plan, proposal_of, proposed, sending_of, sent, tranche
from tests.support.products import Cast, cast, opened_product
from tests.support.receivables import anchor

TEN_PERCENT = FeeTerms(rate=Rate(10 * RATE_SCALE), minimum=ZERO, paid_by=FeePayer.PAYEE)


def succeeded(c: Cast, member: str, *roles: Role, successor: str = "") -> str:
    """Somebody new, or the named one, in a member's place."""
    heir = successor or c.world.member("Heir", *roles)
    c.world.do(SucceedMember(member=member, successor=heir, order=anchor("order")), by=c.auditor)
    return heir


def test_the_fees_that_a_platform_earned_are_its_successors() -> None:
    """The name that they stood under signs nothing any more."""
    c = cast()
    plan = funded_plan(c.world, c, tranche(1_000), tranche(1_000), fee=TEN_PERCENT)
    released(c.world, plan)
    assert stands(c.world, f"fees/{c.custodian}/CNY/{c.platform}") == 100
    heir = succeeded(c, c.platform, Role.PLATFORM)
    released(c.world, plan, number=2)
    assert stands(c.world, f"fees/{c.custodian}/CNY/{c.platform}") == 0
    assert stands(c.world, f"fees/{c.custodian}/CNY/{heir}") == 200
    check_plans(c.world)


def test_an_arbitrator_is_not_a_verifier_of_what_it_may_have_to_judge() -> None:
    c = cast()
    judge = c.world.member("Judge", Role.ARBITRATOR, Role.VERIFIER)
    product = opened_product(c.world, c, arbitrator=judge)
    step = tranche(condition=VerifiersAccept(needed=1, verifiers=(c.verifiers[0], judge)))
    facts = c.world.do(proposal_of(c, product, step), by=c.payer, expect=Status.SAME_PARTY).facts
    assert facts == {"tranche": 1, "organisation": judge, "role": "verifier"}


def test_an_arbitrator_that_became_the_platform_or_the_custodian_does_not_rule() -> None:
    """It would earn a fee on what it gives to the payee; the default split decides."""
    for office in ("platform", "custodian"):
        c = cast()
        plan = paid_in(c, verifiable(c), fee=TEN_PERCENT)
        dispute = in_arbitration(c, plan, 1_000)
        heir = succeeded(c, c.arbitrator, successor=getattr(c, office))
        c.world.do(ruling_of(c, dispute, 1_000), by=heir, expect=Status.MUST_RECUSE)
        c.world.wait(until=last_of_long_stop(c, plan).plus(1))
        assert row_of(c, dispute).to_payee == 500
        check_plans(c.world)


def test_a_payee_that_succeeds_its_arbitrator_gains_nothing() -> None:
    c = cast()
    plan = paid_in(c, verifiable(c))
    dispute = in_arbitration(c, plan, PART)
    succeeded(c, c.arbitrator, successor=c.payee)
    c.world.do(ruling_of(c, dispute, PART), by=c.payee, expect=Status.MUST_RECUSE)


def test_silence_accepts_only_where_the_contracts_say_so() -> None:
    """All three parties signed what silence means; a plan does not turn it round for the payee."""
    c = cast()
    plan = proposed(c.world, c, tranche(on_silence=Silence.ACCEPT), product=opened_product(c.world, c))
    found = c.world.do(sending_of(c.world, plan), by=c.platform, expect=Status.OVER_PRODUCT).facts
    assert (found["field"], found["reason"]) == ("on_silence", "silence_is_no_acceptance")
    agreed = opened_product(c.world, c, on_silence=Silence.ACCEPT)
    sent(c.world, c, tranche(on_silence=Silence.DISPUTE), tranche(on_silence=Silence.ACCEPT), product=agreed)
