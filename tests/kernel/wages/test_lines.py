"""Uploading the lines of a wage tranche: chunks, totals, four eyes, and what is claimed once the sheet is complete."""

import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from tallystick.kernel.membership.keys import SetSigningPolicy
from tallystick.kernel.membership.records import SigningRule
from tallystick.kernel.membership.standing import SuspendMember
from tallystick.kernel.plans.answering import SendBackEvidence
from tallystick.kernel.plans.cases import Evidence
from tallystick.kernel.plans.conditions import AllOf, DataStated, DocumentsIn, OnDate, PayerAccepts
from tallystick.kernel.plans.evidence import SubmitEvidence
from tallystick.kernel.plans.records import Material, Phase
from tallystick.kernel.products.records import Business
from tallystick.kernel.wages.records import CHUNK_LINES, LineState, SheetState, WageChunk
from tallystick.wire.amounts import MAX_UNITS, Units
from tallystick.wire.status import Status
from tests.support.law import under
from tests.support.members import key_of
from tests.support.plans import confirmed, funded_plan, state_of, tranche
from tests.support.products import cast
from tests.support.receivables import anchor
from tests.support.wages import RELEASE_AT, Payroll, account, many, payroll, staff, worker

OTHER = "pln_0000000000000000"


def test_a_small_sheet_is_one_chunk_and_claims_its_sum() -> None:
    p = payroll()
    events = p.by_payer(p.upload_of(), vector="wage.lines/complete").events
    assert [event.kind for event in events][:3] == ["wage.lines_uploaded", "wage.sheet_complete", "evidence.claimed"]
    sheet = p.sheet
    assert (sheet.state, sheet.lines, sheet.units) == (SheetState.COMPLETE, 3, 1_000_000)
    assert p.states() == [LineState.PENDING] * 3
    found = state_of(p.world, p.plan)
    assert found.phase is Phase.EVIDENCE_IN
    assert found.evidence is not None
    assert p.world.row(Evidence, found.evidence).claimed == 1_000_000
    p.check()


def test_nothing_of_a_worker_is_on_the_ledger_but_commitments_and_amount() -> None:
    p = payroll().uploaded()
    assert p.line(2) == type(p.line(2))(worker=worker(2), account=account(2), units=Units(450_000))


def test_the_payer_signs_with_a_maker_and_a_checker() -> None:
    p = payroll()
    alone: dict[str, Any] = {"expect": Status.POLICY_NOT_MET}
    p.world.do(p.upload_of(), by=p.c.payer, vector="wage.lines/policy_not_met", **alone)
    p.world.keys[p.c.payer] = key_of(f"{p.c.payer} checker")
    p.world.do(p.upload_of(), by=p.c.payer, **alone)
    both = (key_of(f"{p.c.payer} maker"), key_of("Payer"))
    p.world.do(p.upload_of(), by=p.c.payer, keys=both, expect=Status.SUPERFLUOUS_SIGNATURE)
    p.world.do(p.upload_of(), by=p.c.payer, keys=both[:1])


def test_no_policy_of_its_own_makes_two_eyes_of_four() -> None:
    p = payroll()
    p.world.keys[p.c.payer] = key_of("Payer")
    p.world.do(SetSigningPolicy(rules=(SigningRule(pattern="*", makers=1),)), by=p.c.payer)
    p.world.keys[p.c.payer] = key_of(f"{p.c.payer} maker")
    p.world.do(p.upload_of(), by=p.c.payer, expect=Status.POLICY_NOT_MET)
    p.by_payer(p.upload_of())


def test_nobody_else_uploads() -> None:
    p = payroll()
    p.world.do(
        p.upload_of(),
        by=p.c.payee,
        keys=(key_of(f"{p.c.payee} checker"),),
        expect=Status.NOT_A_PARTY,
        vector="wage.lines/not_a_party",
    )


def test_a_sheet_of_many_chunks_is_complete_with_the_last_in_any_order() -> None:
    p = payroll(many(2 * CHUNK_LINES + 1))
    for chunk in (3, 1):
        p.by_payer(p.upload_of(chunk))
        assert p.sheet.state is SheetState.UPLOADING
        assert state_of(p.world, p.plan).phase is Phase.WAITING
    p.by_payer(p.upload_of(2))
    assert p.sheet.state is SheetState.COMPLETE
    assert p.line(2 * CHUNK_LINES + 1).worker == worker(2 * CHUNK_LINES + 1)
    p.check()


def test_a_chunk_comes_again_in_place_of_the_former() -> None:
    p = payroll(many())
    first = p.commitments(1)
    wrong = (replace(first[0], units=Units(first[0].units + 5)), *first[1:])
    p.by_payer(p.upload_of(1, lines=wrong))
    refused = p.by_payer(p.upload_of(2), expect=Status.LINES_DIFFER)
    assert refused.facts == {"computed": str(int(p.units) + 5), "stated": str(int(p.units)), "reason": "control_sum"}
    p.by_payer(p.upload_of(1))
    p.by_payer(p.upload_of(2))
    p.check()


def test_other_totals_are_refused_unless_the_sheet_is_begun_anew() -> None:
    longer = payroll(many(2 * CHUNK_LINES + 4), up_to=5_000_000)
    longer.by_payer(longer.upload_of(1))
    longer.by_payer(longer.upload_of(2))
    p = Payroll(longer.c, longer.plan, many(3))
    refused = p.by_payer(p.upload_of(), expect=Status.LINES_DIFFER)
    assert refused.facts["reason"] == "other_totals"
    p.by_payer(p.upload_of(anew=True))
    chunks = [row for row in p.world.state.rows.values() if isinstance(row, WageChunk)]
    assert [(row.id, len(row.lines)) for row in chunks] == [(f"{p.plan}/1/1", 3)]
    p.check()


def test_a_complete_sheet_that_was_not_sent_back_stays_as_it_is() -> None:
    p = payroll(up_to=2_000_000).uploaded()
    other = Payroll(p.c, p.plan, (1_000_000,))
    other.by_payer(other.upload_of(anew=True), expect=Status.WRONG_STATE, vector="wage.lines/wrong_state")


@pytest.mark.parametrize(
    ("case", "change", "reason"),
    [
        ("zero", lambda lines: (replace(lines[0], units=Units(0)), *lines[1:]), "amount_zero"),
        ("worker_twice", lambda lines: (lines[0], replace(lines[1], worker=lines[0].worker), lines[2]), "worker_twice"),
        ("control_sum", lambda lines: (replace(lines[0], units=Units(299_999)), *lines[1:]), "control_sum"),
        ("over_control_sum", lambda lines: (replace(lines[0], units=Units(MAX_UNITS)), *lines[1:]), "control_sum"),
        ("one_missing", lambda lines: lines[:2], "not_the_chunks_lines"),
    ],
)
def test_lines_that_are_not_as_stated(case: str, change: Any, reason: str) -> None:
    p = payroll()
    upload = p.upload_of(lines=change(p.commitments(1)))
    refused = p.by_payer(upload, expect=Status.LINES_DIFFER, vector=f"wage.lines/lines_differ_{case}")
    assert refused.facts["reason"] == reason


def test_a_chunk_beyond_the_count_is_refused() -> None:
    p = payroll()
    p.by_payer(p.upload_of(2, lines=p.commitments(1)), expect=Status.LINES_DIFFER)


def test_a_worker_stands_once_in_the_whole_sheet() -> None:
    p = payroll(many())
    p.by_payer(p.upload_of(1))
    last = p.commitments(2)
    again = (replace(last[0], worker=worker(7)), *last[1:])
    refused = p.by_payer(p.upload_of(2, lines=again), expect=Status.LINES_DIFFER)
    assert refused.facts == {"line": 7, "other": CHUNK_LINES + 1, "reason": "worker_twice"}


def test_no_account_stands_under_two_workers() -> None:
    p = payroll()
    under(p.world, "cn")
    lines = p.commitments(1)
    shared = (lines[0], replace(lines[1], account=lines[0].account), lines[2])
    refused = p.by_payer(
        p.upload_of(lines=shared), expect=Status.WAGE_ACCOUNT_MISUSED, vector="wage.lines/wage_account_misused"
    )
    assert (refused.facts["reason"], refused.facts["line"]) == ("not_a_workers_own_account", 2)
    assert refused.facts["clause"] == "人社部发〔2021〕53号"
    q = payroll(many())
    q.by_payer(q.upload_of(1))
    last = q.commitments(2)
    in_two_chunks = (replace(last[0], account=account(7)), *last[1:])
    q.by_payer(q.upload_of(2, lines=in_two_chunks), expect=Status.WAGE_ACCOUNT_MISUSED)


def test_what_is_stated_must_fit_the_tranche() -> None:
    p = payroll()
    p.by_payer(p.upload_of(plan=OTHER), expect=Status.NOT_FOUND, vector="wage.lines/plan_not_found")
    p.by_payer(p.upload_of(tranche=2), expect=Status.NOT_FOUND, vector="wage.lines/tranche_not_found")
    p.by_payer(p.upload_of(currency="GBP"), expect=Status.CURRENCY_MISMATCH, vector="wage.lines/currency_mismatch")
    less = Payroll(p.c, p.plan, (300_000, 699_999))
    less.by_payer(less.upload_of(), expect=Status.AMOUNT_DIFFERS, vector="wage.lines/amount_differs")
    more = Payroll(p.c, p.plan, (300_000, 700_001))
    more.by_payer(more.upload_of(), expect=Status.AMOUNT_DIFFERS)


def test_up_to_its_amount_a_tranche_takes_any_sum() -> None:
    p = payroll(up_to=1_000_001)
    p.by_payer(p.upload_of())
    q = payroll(up_to=999_999)
    q.by_payer(q.upload_of(), expect=Status.AMOUNT_DIFFERS)


def test_only_a_wage_tranche_has_lines() -> None:
    c = cast()
    staff(c.world, c.payer)
    p = Payroll(c, funded_plan(c.world, c, tranche(1_000_000)), (1_000_000,))
    p.by_payer(p.upload_of(), expect=Status.BAD_VALUE, vector="wage.lines/bad_value")


def test_the_claim_waits_for_the_money_but_its_lines_need_not() -> None:
    c = cast()
    staff(c.world, c.payer)
    amounts = many()
    step = tranche(sum(amounts), wages=True)
    p = Payroll(c, confirmed(c.world, c, step, business=Business.WAGES), amounts)
    p.by_payer(p.upload_of(1))
    p.by_payer(p.upload_of(2), expect=Status.NOT_FUNDED)
    few = Payroll(c, confirmed(c.world, c, tranche(3_000, wages=True), business=Business.WAGES), (1_000, 2_000))
    few.by_payer(few.upload_of(), expect=Status.NOT_FUNDED, vector="wage.lines/not_funded")


@pytest.mark.parametrize("late", [0, 1])
def test_lines_come_until_the_last_instant_of_the_release_window(late: int) -> None:
    p = payroll()
    end = state_of(p.world, p.plan).unmet_at
    assert end is not None
    p.world.now = end.plus(late)
    if late:
        p.by_payer(p.upload_of(), expect=Status.DEADLINE_PASSED, vector="wage.lines/deadline_passed")
    else:
        p.by_payer(p.upload_of())


def test_what_was_sent_back_is_uploaded_again_and_nothing_else_is_touched() -> None:
    p = payroll(many()).uploaded()
    evidence = state_of(p.world, p.plan).evidence
    assert evidence is not None
    p.by_payer(p.upload_of(2), expect=Status.WRONG_STATE)
    send_back = SendBackEvidence(plan=p.plan, tranche=1, evidence=evidence, reason="attendance_missing")
    p.world.do(send_back, by=p.c.payer)
    first = p.chunk(1)
    lines = p.commitments(2)
    p.by_payer(p.upload_of(2, lines=(replace(lines[0], account=account(501, "better")), *lines[1:])))
    assert p.line(501).account == account(501, "better")
    assert p.chunk(1) is first
    assert state_of(p.world, p.plan).evidence != evidence
    p.check()


def test_the_sheet_joins_the_round_that_a_data_source_has_opened() -> None:
    c = cast()
    for member in (c.payer, c.payee):
        staff(c.world, member)
    condition = AllOf(of=(PayerAccepts(), DataStated(source=c.source, kind="site_attendance")))
    step = tranche(3_000, wages=True, condition=condition)
    p = Payroll(c, funded_plan(c.world, c, step, business=Business.WAGES), (1_000, 2_000))
    c.world.do(SubmitEvidence(plan=p.plan, tranche=1, statement=anchor("site_attendance")), by=c.source)
    evidence = state_of(c.world, p.plan).evidence
    assert evidence is not None
    p.by_payer(p.upload_of())
    assert state_of(c.world, p.plan).evidence == evidence
    assert c.world.row(Evidence, evidence).claimed == 3_000


def test_materials_come_after_the_sheet_that_claims() -> None:
    p = payroll(condition=AllOf(of=(PayerAccepts(), DocumentsIn())), materials=(Material(kind="attendance"),))
    submit = SubmitEvidence(
        plan=p.plan, tranche=1, materials=(anchor("attendance"),), currency="CNY", units=Units(1_000_000)
    )
    p.world.do(submit, by=p.c.payee, expect=Status.CONDITION_NOT_MET)
    p.by_payer(p.upload_of())
    p.world.do(submit, by=p.c.payee)
    assert state_of(p.world, p.plan).answer_by is not None


def test_a_sheet_alone_verifies_a_tranche_that_waits_for_its_date() -> None:
    p = payroll(condition=OnDate(on=datetime.date(2026, 4, 1)))
    p.world.wait(until=RELEASE_AT)
    assert state_of(p.world, p.plan).phase is Phase.WAITING
    p.by_payer(p.upload_of())
    assert state_of(p.world, p.plan).phase is Phase.VERIFIED


def test_a_suspended_payer_still_uploads_what_it_owes() -> None:
    p = payroll()
    p.world.do(SuspendMember(member=p.c.payer, reason="inspection"), by=p.c.auditor)
    p.by_payer(p.upload_of())
