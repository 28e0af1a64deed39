"""evidence.submit: who brings what, and when; what a round is made of."""

from typing import Any

import pytest

from tallystick.kernel.membership.records import Role
from tallystick.kernel.plans.cases import EvidenceState
from tallystick.kernel.plans.conditions import (
    AllOf,
    DataStated,
    DocumentsIn,
    PayerAccepts,
    VerifiersAccept,
)
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.records import MAX_MATERIALS, MAX_SUBMITTED, Phase
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.evidence import (
    INVOICE,
    PHOTOS,
    acceptance_of,
    claim_of,
    claimed,
    past,
    rejection_of,
    round_of,
    statement_of,
    verified,
)
from tests.support.plans import PART, confirmed, funded, funded_plan, state_of, tranche
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


# --- evidence.submit by the payee


def test_a_payees_submission_opens_a_round_and_the_time_to_answer() -> None:
    world, c, plan = scene(papers())
    result = world.do(claim_of(world, plan), by=c.payee, vector="evidence.submit/claimed")
    row, tranche_state = round_of(world, plan), state_of(world, plan)
    assert (row.round, row.state, row.claimed) == (1, EvidenceState.OPEN, PART)
    assert [each.anchor.kind for each in row.materials] == ["photos", "invoice"]
    assert tranche_state.phase is Phase.EVIDENCE_IN
    assert tranche_state.answer_by == world.now.plus(5 * DAY_MS)
    assert [event.kind for event in result.events] == ["evidence.submitted", "evidence.claimed"]
    assert {c.payer, c.payee, c.platform} <= set(result.events[1].audience)


@pytest.mark.parametrize(
    ("fields", "status", "case"),
    [
        ({"units": 0}, Status.AMOUNT_ZERO, "amount_zero"),
        ({"units": PART + 1}, Status.OVER_AVAILABLE, "over_available"),
        ({"units": PART - 1}, Status.AMOUNT_DIFFERS, "amount_differs"),
        ({"currency": "GBP"}, Status.CURRENCY_MISMATCH, "currency_mismatch"),
        ({"currency": None}, Status.CURRENCY_MISMATCH, "no_currency"),
        ({"materials": (anchor("photos"),)}, Status.MATERIAL_DIFFERS, "material_missing"),
        ({"materials": (anchor("photos"), anchor("invoice", "other"))}, Status.MATERIAL_DIFFERS, "material_other_hash"),
        (
            {"materials": (anchor("photos"), anchor("invoice"), anchor("selfie"))},
            Status.MATERIAL_DIFFERS,
            "material_unknown_kind",
        ),
    ],
)
def test_a_claim_that_is_not_as_agreed(fields: dict[str, Any], status: Status, case: str) -> None:
    world, c, plan = scene(papers())
    world.do(claim_of(world, plan, **fields), by=c.payee, expect=status, vector=f"evidence.submit/{case}")


def test_an_amount_up_to_the_tranches_may_be_claimed() -> None:
    world, c, plan = scene(papers(up_to=True))
    world.do(claim_of(world, plan, 4_000), by=c.payee)
    assert round_of(world, plan).claimed == 4_000


def test_more_than_one_paper_of_a_kind_is_welcome() -> None:
    world, c, plan = scene(papers())
    both = (anchor("photos", "front"), anchor("photos", "back"), anchor("invoice"))
    world.do(claim_of(world, plan, materials=both), by=c.payee)
    assert len(round_of(world, plan).materials) == 3


def test_nothing_comes_before_the_money() -> None:
    c = cast()
    world = c.world
    plan = confirmed(world, c, papers())
    funded(world, plan, PART - 1)
    world.do(claim_of(world, plan), by=c.payee, expect=Status.NOT_FUNDED, vector="evidence.submit/not_funded")
    world.do(acceptance_of(world, plan), by=c.payer, expect=Status.NOT_FUNDED, vector="evidence.accept/not_funded")
    funded(world, plan)
    world.do(claim_of(world, plan), by=c.payee)


def test_a_second_claim_in_the_same_round() -> None:
    world, c, plan = scene(papers())
    claimed(world, plan)
    world.do(claim_of(world, plan), by=c.payee, expect=Status.WRONG_STATE, vector="evidence.submit/wrong_state")


def test_both_sides_of_the_release_windows_end() -> None:
    world, c, plan = scene(papers())
    end = state_of(world, plan).unmet_at
    assert end is not None
    world.now = end
    world.do(claim_of(world, plan), by=c.payee)
    # Evidence that came in time is answered in its own time, though the window would end before.
    assert state_of(world, plan).unmet_at == state_of(world, plan).answer_by == end.plus(5 * DAY_MS)

    world, c, plan = scene(papers())
    world.now = end.plus(1)
    world.do(claim_of(world, plan), by=c.payee, expect=Status.DEADLINE_PASSED, vector="evidence.submit/deadline_passed")
    late = acceptance_of(world, plan)
    world.do(late, by=c.payer, expect=Status.DEADLINE_PASSED, vector="evidence.accept/window_over")


def test_nobody_else_submits() -> None:
    world, c, plan = scene(papers(condition=VerifiersAccept(needed=1, verifiers=c_verifiers())))
    world.do(claim_of(world, plan), by=c.payer, expect=Status.NOT_A_PARTY, vector="evidence.submit/not_a_party")
    world.do(statement_of(plan, "waybill"), by=c.source, expect=Status.NOT_A_PARTY, vector="evidence.submit/no_source")
    stranger = world.member("Stranger", Role.VERIFIER)
    brought = SubmitEvidence(plan=plan, tranche=1, materials=(anchor("photos"),))
    world.do(brought, by=stranger, expect=Status.NOT_A_PARTY)
    nothing = SubmitEvidence(plan="pln_" + "0" * 16, tranche=1)
    world.do(nothing, by=c.payee, expect=Status.NOT_FOUND, vector="evidence.submit/not_found")
    world.do(SubmitEvidence(plan=plan, tranche=2, units=Units(1)), by=c.payee, expect=Status.NOT_FOUND)


def c_verifiers() -> tuple[str, str, str]:
    """The verifiers of a cast: a member's id follows from its name."""
    return cast().verifiers


def test_what_is_over_takes_no_evidence() -> None:
    world, c, plan = scene(tranche(), tranche())
    verified(world, plan)
    world.do(claim_of(world, plan), by=c.payee, expect=Status.WRONG_STATE)
    past(world, state_of(world, plan).object_until)
    world.wait(until=state_of(world, plan).release_at or world.now)
    world.do(claim_of(world, plan), by=c.payee, expect=Status.ALREADY_RELEASED, vector="evidence.submit/released")
    late = acceptance_of(world, plan)
    world.do(late, by=c.payer, expect=Status.ALREADY_RELEASED, vector="evidence.accept/already_released")


# --- by verifiers and data sources


def test_a_verifiers_own_materials_complete_the_payees() -> None:
    verifiers = c_verifiers()
    world, c, plan = scene(papers(condition=VerifiersAccept(needed=2, verifiers=verifiers)))
    brought = SubmitEvidence(plan=plan, tranche=1, materials=(anchor("photos"),))
    world.do(brought, by=verifiers[0], vector="evidence.submit/by_verifier")
    assert state_of(world, plan).answer_by is None  # nothing is claimed yet
    world.do(acceptance_of(world, plan), by=verifiers[1], expect=Status.MATERIAL_DIFFERS)
    world.do(claim_of(world, plan, materials=(anchor("invoice"),)), by=c.payee)
    assert state_of(world, plan).answer_by is not None
    assert [each.by for each in round_of(world, plan).materials] == [verifiers[0], c.payee]


def test_a_verifier_brings_something_that_was_asked_for() -> None:
    verifiers = c_verifiers()
    world, _, plan = scene(papers(condition=VerifiersAccept(needed=2, verifiers=verifiers)))
    nothing = SubmitEvidence(plan=plan, tranche=1)
    world.do(nothing, by=verifiers[0], expect=Status.BAD_VALUE, vector="evidence.submit/nothing")
    other = SubmitEvidence(plan=plan, tranche=1, materials=(anchor("selfie"),))
    world.do(other, by=verifiers[0], expect=Status.MATERIAL_DIFFERS)
    stated = SubmitEvidence(plan=plan, tranche=1, materials=(anchor("photos"),), currency="CNY")
    world.do(stated, by=verifiers[0], expect=Status.BAD_VALUE)


def test_verifiers_leave_room_for_the_payees_materials() -> None:
    verifiers = c_verifiers()
    world, c, plan = scene(papers(condition=VerifiersAccept(needed=2, verifiers=verifiers)))
    many = tuple(anchor("photos", str(number)) for number in range(MAX_MATERIALS))
    for _ in range(MAX_SUBMITTED // MAX_MATERIALS - 1):
        world.do(SubmitEvidence(plan=plan, tranche=1, materials=many), by=verifiers[0])
    one_more = SubmitEvidence(plan=plan, tranche=1, materials=(anchor("photos"),))
    world.do(one_more, by=verifiers[1], expect=Status.TOO_MANY, vector="evidence.submit/too_many")
    full = (*(anchor("photos", str(number)) for number in range(MAX_MATERIALS - 1)), anchor("invoice"))
    world.do(claim_of(world, plan, materials=full), by=c.payee)
    assert len(round_of(world, plan).materials) == MAX_SUBMITTED


def arrival(c: Cast) -> Any:
    """The payer's word and the data source's."""
    return AllOf(of=(PayerAccepts(), DataStated(source=c.source, kind="arrival")))


def test_a_statement_outlasts_a_round_that_is_sent_back() -> None:
    world, c, plan = scene(papers(condition=arrival(cast())))
    world.do(statement_of(plan, "arrival"), by=c.source, vector="evidence.submit/stated")
    assert state_of(world, plan).answer_by is None
    claimed(world, plan)
    world.do(rejection_of(world, plan), by=c.payer, vector="evidence.send_back/round_over")
    assert state_of(world, plan).phase is Phase.WAITING
    assert state_of(world, plan).rounds == 1
    again = statement_of(plan, "arrival")
    world.do(again, by=c.source, expect=Status.ALREADY_DECIDED, vector="evidence.submit/already_decided")
    claimed(world, plan)
    assert [each.anchor.kind for each in round_of(world, plan).statements] == ["arrival"]
    verified(world, plan)
    assert state_of(world, plan).phase is Phase.VERIFIED


def test_a_statement_is_of_the_named_kind_and_nothing_else() -> None:
    world, c, plan = scene(papers(condition=arrival(cast())))
    world.do(statement_of(plan, "departure"), by=c.source, expect=Status.MATERIAL_DIFFERS)
    with_units = SubmitEvidence(plan=plan, tranche=1, statement=anchor("arrival"), units=Units(1))
    world.do(with_units, by=c.source, expect=Status.BAD_VALUE)
    with_papers = SubmitEvidence(plan=plan, tranche=1, statement=anchor("arrival"), materials=(anchor("photos"),))
    world.do(with_papers, by=c.source, expect=Status.BAD_VALUE, vector="evidence.submit/bad_value")


def test_a_statement_may_be_what_verifies() -> None:
    world, c, plan = scene(tranche(condition=DataStated(source=cast().source, kind="arrival")))
    world.do(statement_of(plan, "arrival"), by=c.source)
    assert state_of(world, plan).certified == PART
    assert round_of(world, plan).state is EvidenceState.MET


def test_documents_alone_may_be_what_verifies() -> None:
    world, c, plan = scene(papers(condition=DocumentsIn()))
    world.do(claim_of(world, plan), by=c.payee)
    (met,) = state_of(world, plan).met
    assert (met.by, met.kinds) == ((c.payee,), ("photos", "invoice"))
