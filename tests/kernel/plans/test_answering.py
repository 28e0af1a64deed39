"""evidence.accept and .send_back: who may say what in a round, when it ends, and what amount that certifies."""

import datetime
from typing import Any

import pytest

from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SucceedMember, SuspendMember
from tallystick.kernel.plans.answering import AcceptEvidence, SendBackEvidence
from tallystick.kernel.plans.cases import Answer, EvidenceState
from tallystick.kernel.plans.conditions import (
    AllOf,
    AnyOf,
    AtLeast,
    DataStated,
    OnDate,
    PayerAccepts,
    PlatformAccepts,
    VerifiersAccept,
)
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.records import Phase
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.evidence import (
    INVOICE,
    PHOTOS,
    acceptance_of,
    certificates,
    claim_of,
    claimed,
    rejection_of,
    release_of,
    released,
    round_of,
    statement_of,
    verified,
)
from tests.support.plans import PART, check_plans, funded_plan, state_of, tranche
from tests.support.products import Cast, cast
from tests.support.receivables import anchor
from tests.support.world import World

WITH_PAPERS = {"materials": (PHOTOS, INVOICE)}


def papers(**fields: Any) -> Any:
    """A step that asks for photos and one certain invoice, and its payer's word."""
    return tranche(**{**WITH_PAPERS, **fields})


def scene(*tranches: Any, **fields: Any) -> tuple[World, Cast, str]:
    """A funded plan, its products' terms said by `fields`."""
    c = cast(**({"policies": fields.pop("policies")} if "policies" in fields else {}))
    return c.world, c, funded_plan(c.world, c, *tranches, **fields)


def c_verifiers() -> tuple[str, str, str]:
    """The verifiers of a cast: a member's id follows from its name."""
    return cast().verifiers


def arrival(c: Cast) -> Any:
    """The payer's word and the data source's."""
    return AllOf(of=(PayerAccepts(), DataStated(source=c.source, kind="arrival")))


# --- evidence.accept


def test_the_payers_acceptance_verifies() -> None:
    world, c, plan = scene(papers())
    evidence = claimed(world, plan)
    result = world.do(acceptance_of(world, plan, findings=anchor("findings")), by=c.payer, vector="evidence.accept/met")
    tranche_state = state_of(world, plan)
    assert (tranche_state.phase, tranche_state.certified, tranche_state.answer_by) == (Phase.VERIFIED, PART, None)
    assert tranche_state.object_until == world.now.plus(3 * DAY_MS)
    assert round_of(world, plan).state is EvidenceState.MET
    assert [(one.by, one.evidence) for one in tranche_state.met] == [((c.payer,), evidence)]
    assert [event.kind for event in result.events] == ["evidence.accepted", "tranche.verified"]


def test_without_materials_an_acceptance_opens_the_round() -> None:
    verifiers = c_verifiers()
    world, _, plan = scene(tranche(condition=VerifiersAccept(needed=2, verifiers=verifiers)))
    world.do(acceptance_of(world, plan), by=verifiers[0], vector="evidence.accept/opens_round")
    assert state_of(world, plan).answer_by == world.now.plus(5 * DAY_MS)
    # Who signed before it saw the first acceptance answers the same round: nothing was submitted that it missed.
    world.do(acceptance_of(world, plan, evidence=None), by=verifiers[2])
    assert state_of(world, plan).phase is Phase.VERIFIED


def test_with_materials_there_must_be_something_to_accept() -> None:
    world, c, plan = scene(papers(condition=arrival(cast())))
    early = acceptance_of(world, plan)
    world.do(early, by=c.payer, expect=Status.MATERIAL_DIFFERS, vector="evidence.accept/material_differs")
    world.do(statement_of(plan, "arrival"), by=c.source)
    world.do(acceptance_of(world, plan), by=c.payer, expect=Status.MATERIAL_DIFFERS)


def test_an_answer_names_the_round_it_is_about() -> None:
    """A payee can't have an acceptance of its first round's papers stand for the second's."""
    world, c, plan = scene(papers())
    first = claimed(world, plan)
    unnamed = acceptance_of(world, plan, evidence=None)
    world.do(unnamed, by=c.payer, expect=Status.WRONG_STATE, vector="evidence.accept/wrong_state")
    world.do(rejection_of(world, plan), by=c.payer)
    gone = acceptance_of(world, plan, evidence=first)
    world.do(gone, by=c.payer, expect=Status.WRONG_STATE)
    claimed(world, plan)
    world.do(gone, by=c.payer, expect=Status.WRONG_STATE)
    world.do(rejection_of(world, plan, evidence=first), by=c.payer, expect=Status.WRONG_STATE)


def test_a_round_named_where_none_is_open() -> None:
    world, c, plan = scene(tranche())
    named = acceptance_of(world, plan, evidence="evd_" + "0" * 16)
    world.do(named, by=c.payer, expect=Status.WRONG_STATE, vector="evidence.accept/no_round")


def test_each_answers_once() -> None:
    verifiers = c_verifiers()
    world, _, plan = scene(tranche(condition=VerifiersAccept(needed=2, verifiers=verifiers)))
    world.do(acceptance_of(world, plan), by=verifiers[0])
    again = acceptance_of(world, plan)
    world.do(again, by=verifiers[0], expect=Status.ALREADY_DECIDED, vector="evidence.accept/already_decided")
    no = rejection_of(world, plan)
    world.do(no, by=verifiers[0], expect=Status.ALREADY_DECIDED, vector="evidence.send_back/already_decided")


def test_two_who_sign_one_acceptance_both_accept() -> None:
    world, c, plan = scene(tranche(condition=AllOf(of=(PayerAccepts(), PlatformAccepts()))))
    world.do(acceptance_of(world, plan), by=c.payer, also=(c.platform,))
    assert [given.by for given in round_of(world, plan).answers] == [c.payer, c.platform]
    assert state_of(world, plan).phase is Phase.VERIFIED


@pytest.mark.parametrize(
    ("units", "fields", "status", "case"),
    [
        (0, {}, Status.AMOUNT_ZERO, "amount_zero"),
        (PART - 1, {}, Status.AMOUNT_DIFFERS, "amount_differs"),
        (PART + 1, {}, Status.OVER_AVAILABLE, "over_available"),
        (PART, {"currency": "GBP"}, Status.CURRENCY_MISMATCH, "currency_mismatch"),
    ],
)
def test_a_fixed_amount_is_certified_whole(units: int, fields: dict[str, Any], status: Status, case: str) -> None:
    world, c, plan = scene(papers())
    claimed(world, plan)
    world.do(acceptance_of(world, plan, units, **fields), by=c.payer, expect=status, vector=f"evidence.accept/{case}")


def test_no_more_is_certified_than_claimed() -> None:
    world, c, plan = scene(papers(up_to=True))
    claimed(world, plan, 4_000)
    over = acceptance_of(world, plan, 4_001)
    world.do(over, by=c.payer, expect=Status.OVER_AVAILABLE, vector="evidence.accept/over_claim")
    verified(world, plan, 3_999)
    assert state_of(world, plan).certified == 3_999


def test_the_lowest_of_the_acceptances_that_count_is_certified() -> None:
    verifiers = c_verifiers()
    step = tranche(condition=AllOf(of=(VerifiersAccept(needed=2, verifiers=verifiers), PayerAccepts())), up_to=True)
    world, _c, plan = scene(step)
    claimed(world, plan, 9_000)
    world.do(acceptance_of(world, plan, 8_000), by=verifiers[1])
    world.do(acceptance_of(world, plan, 7_000), by=verifiers[0])
    world.wait(1)
    world.do(acceptance_of(world, plan, 1_000), by=verifiers[2])  # the third of two that are needed
    verified(world, plan, 8_500)
    assert state_of(world, plan).certified == 7_000


def test_an_amount_certified_before_the_claim_is_held_to_it() -> None:
    verifiers = c_verifiers()
    world, _, plan = scene(tranche(condition=VerifiersAccept(needed=2, verifiers=verifiers), up_to=True))
    world.do(acceptance_of(world, plan, 8_000), by=verifiers[0])
    claimed(world, plan, 5_000)
    world.do(acceptance_of(world, plan, 5_000), by=verifiers[1])
    assert state_of(world, plan).certified == 5_000


def test_who_is_not_named_answers_nothing() -> None:
    world, c, plan = scene(papers())
    claimed(world, plan)
    unnamed = acceptance_of(world, plan)
    world.do(unnamed, by=c.platform, expect=Status.NOT_A_PARTY, vector="evidence.accept/not_a_party")
    no = rejection_of(world, plan)
    world.do(no, by=c.platform, expect=Status.NOT_A_PARTY, vector="evidence.send_back/not_a_party")
    nothing = AcceptEvidence(plan="pln_" + "0" * 16, tranche=1, currency="CNY", units=Units(1))
    world.do(nothing, by=c.payer, expect=Status.NOT_FOUND, vector="evidence.accept/not_found")


def test_a_date_alone_asks_nobody() -> None:
    world, c, plan = scene(tranche(condition=OnDate(on=datetime.date(2026, 4, 1))))
    asked = acceptance_of(world, plan)
    world.do(asked, by=c.payer, expect=Status.NOT_A_PARTY, vector="evidence.accept/nobody_named")


def test_the_last_answer_in_time() -> None:
    world, c, plan = scene(papers())
    claimed(world, plan)
    until = state_of(world, plan).answer_by
    assert until is not None
    world.now = until.plus(1)
    late = acceptance_of(world, plan)
    world.do(late, by=c.payer, expect=Status.DEADLINE_PASSED, vector="evidence.accept/deadline_passed")
    no = rejection_of(world, plan)
    world.do(no, by=c.payer, expect=Status.DEADLINE_PASSED, vector="evidence.send_back/deadline_passed")
    world.now = until
    verified(world, plan)


def test_a_suspended_verifier_still_answers() -> None:
    verifiers = c_verifiers()
    world, c, plan = scene(tranche(condition=VerifiersAccept(needed=1, verifiers=verifiers)))
    world.do(SuspendMember(member=verifiers[0], reason="audit"), by=c.auditor)
    world.do(acceptance_of(world, plan), by=verifiers[0])
    assert state_of(world, plan).phase is Phase.VERIFIED


# --- evidence.send_back


def test_a_round_ends_only_when_no_way_is_left() -> None:
    verifiers = c_verifiers()
    world, c, plan = scene(papers(condition=VerifiersAccept(needed=2, verifiers=verifiers)))
    claimed(world, plan)
    no = rejection_of(world, plan, findings=anchor("findings"))
    world.do(no, by=verifiers[0], vector="evidence.send_back/others_may")
    assert state_of(world, plan).phase is Phase.EVIDENCE_IN
    world.do(acceptance_of(world, plan), by=verifiers[1])
    result = world.do(rejection_of(world, plan), by=verifiers[2])
    tranche_state, row = state_of(world, plan), round_of(world, plan)
    assert (tranche_state.phase, tranche_state.rounds, tranche_state.answer_by) == (Phase.WAITING, 1, None)
    assert row.state is EvidenceState.SENT_BACK
    assert [given.answer for given in row.answers] == [Answer.SEND_BACK, Answer.ACCEPT, Answer.SEND_BACK]
    assert result.events[-1].kind == "evidence.sent_back"
    assert set(result.events[-1].audience) == {c.payer, c.payee, c.platform, *verifiers}


def test_a_no_changes_nothing_where_another_branch_holds() -> None:
    verifiers = c_verifiers()
    either = AnyOf(of=(PayerAccepts(), VerifiersAccept(needed=1, verifiers=verifiers)))
    world, c, plan = scene(papers(condition=either))
    claimed(world, plan)
    world.do(rejection_of(world, plan), by=c.payer)
    assert state_of(world, plan).phase is Phase.EVIDENCE_IN
    world.do(acceptance_of(world, plan), by=verifiers[0])
    assert state_of(world, plan).phase is Phase.VERIFIED


def test_answers_of_a_round_do_not_count_in_the_next() -> None:
    both = AtLeast(needed=2, of=(PayerAccepts(), PlatformAccepts()))
    world, c, plan = scene(papers(condition=both))
    claimed(world, plan)
    world.do(acceptance_of(world, plan), by=c.platform)
    world.do(rejection_of(world, plan), by=c.payer)
    claimed(world, plan)
    assert (round_of(world, plan).round, round_of(world, plan).answers) == (2, ())
    verified(world, plan)
    assert state_of(world, plan).phase is Phase.EVIDENCE_IN


def test_rounds_are_bounded() -> None:
    world, c, plan = scene(papers(), policies=Policies(evidence_rounds=2))
    for _ in range(2):
        claimed(world, plan)
        world.do(rejection_of(world, plan), by=c.payer)
    world.do(claim_of(world, plan), by=c.payee, expect=Status.TOO_MANY, vector="evidence.submit/too_many_rounds")
    world.do(acceptance_of(world, plan), by=c.payer, expect=Status.TOO_MANY, vector="evidence.accept/too_many")


def test_nothing_to_send_back() -> None:
    world, c, plan = scene(papers())
    no = SendBackEvidence(plan=plan, tranche=1, evidence="evd_" + "0" * 16, reason="incomplete")
    world.do(no, by=c.payer, expect=Status.WRONG_STATE, vector="evidence.send_back/wrong_state")
    lost = SendBackEvidence(plan="pln_" + "0" * 16, tranche=1, evidence="evd_" + "0" * 16, reason="incomplete")
    world.do(lost, by=c.payer, expect=Status.NOT_FOUND, vector="evidence.send_back/not_found")


# --- successions


def test_nobody_certifies_in_its_own_cause() -> None:
    """The verifier or data source that succeeded the payee confirms nothing of what is now its own claim."""
    verifiers = c_verifiers()
    condition = VerifiersAccept(needed=1, verifiers=verifiers)
    world, c, plan = scene(papers(condition=condition))
    world.do(SucceedMember(member=c.payee, successor=verifiers[0], order=anchor("order")), by=c.auditor)
    claimed(world, plan)
    own = acceptance_of(world, plan)
    world.do(own, by=verifiers[0], expect=Status.MUST_RECUSE, vector="evidence.accept/must_recuse")
    no = rejection_of(world, plan)
    world.do(no, by=verifiers[0], expect=Status.MUST_RECUSE, vector="evidence.send_back/must_recuse")
    brought = SubmitEvidence(plan=plan, tranche=1, materials=(anchor("photos"),))
    world.do(brought, by=verifiers[0], expect=Status.MUST_RECUSE)
    world.do(acceptance_of(world, plan), by=verifiers[1])
    assert state_of(world, plan).phase is Phase.VERIFIED


def test_no_data_source_states_in_its_own_cause() -> None:
    world, c, plan = scene(papers(condition=arrival(cast())))
    world.do(SucceedMember(member=c.payee, successor=c.source, order=anchor("order")), by=c.auditor)
    seen = statement_of(plan, "arrival")
    world.do(seen, by=c.source, expect=Status.MUST_RECUSE, vector="evidence.submit/must_recuse")


def test_what_the_payee_now_stated_before_no_longer_counts() -> None:
    world, c, plan = scene(papers(condition=arrival(cast())))
    world.do(statement_of(plan, "arrival"), by=c.source)
    world.do(SucceedMember(member=c.payee, successor=c.source, order=anchor("order")), by=c.auditor)
    claimed(world, plan)
    verified(world, plan)
    assert state_of(world, plan).phase is Phase.EVIDENCE_IN


def test_what_the_payee_now_is_said_before_no_longer_counts() -> None:
    verifiers = c_verifiers()
    world, c, plan = scene(papers(condition=VerifiersAccept(needed=2, verifiers=verifiers)))
    claimed(world, plan)
    world.do(acceptance_of(world, plan), by=verifiers[0])
    world.do(SucceedMember(member=c.payee, successor=verifiers[0], order=anchor("order")), by=c.auditor)
    world.do(acceptance_of(world, plan), by=verifiers[1])
    assert state_of(world, plan).phase is Phase.EVIDENCE_IN
    world.do(acceptance_of(world, plan), by=verifiers[2])
    assert state_of(world, plan).phase is Phase.VERIFIED


def test_an_acceptance_outlasts_its_givers_succession() -> None:
    both = AllOf(of=(PayerAccepts(), PlatformAccepts()))
    world, c, plan = scene(papers(condition=both))
    heir = world.member("Heir", Role.CLIENT, Role.CORE_ENTERPRISE)
    claimed(world, plan)
    world.do(acceptance_of(world, plan), by=c.payer)
    world.do(SucceedMember(member=c.payer, successor=heir, order=anchor("order")), by=c.auditor)
    twice = acceptance_of(world, plan)
    world.do(twice, by=heir, expect=Status.ALREADY_DECIDED)
    world.do(acceptance_of(world, plan), by=c.platform)
    assert state_of(world, plan).phase is Phase.VERIFIED


def test_what_a_verifier_said_outlasts_its_succession() -> None:
    verifiers = c_verifiers()
    world, c, plan = scene(papers(condition=VerifiersAccept(needed=2, verifiers=verifiers[:2])))
    claimed(world, plan)
    world.do(acceptance_of(world, plan), by=verifiers[0])
    world.do(SucceedMember(member=verifiers[0], successor=verifiers[2], order=anchor("order")), by=c.auditor)
    world.do(acceptance_of(world, plan), by=verifiers[1])
    assert state_of(world, plan).phase is Phase.VERIFIED


def test_a_verifiers_office_passes_to_nobody() -> None:
    verifiers = c_verifiers()
    world, c, plan = scene(papers(condition=VerifiersAccept(needed=2, verifiers=verifiers[:2])))
    claimed(world, plan)
    world.do(SucceedMember(member=verifiers[0], successor=verifiers[2], order=anchor("order")), by=c.auditor)
    heir = acceptance_of(world, plan)
    world.do(heir, by=verifiers[2], expect=Status.NOT_A_PARTY)


def test_a_whole_way() -> None:
    world, c, plan = scene(papers(up_to=True), tranche())
    claimed(world, plan, 6_000)
    released(world, plan, 5_000)
    (row,) = certificates(world, plan)
    assert (row.certified, row.released, row.cause) == (5_000, 5_000, "release")
    nothing = release_of(world, plan, 5_000)
    world.do(nothing, by=c.payee, expect=Status.ALREADY_RELEASED)
    check_plans(world)
