"""What becomes of released wages: the whole sum in transit, then the bank's word on each line."""

import pytest
from msgspec.structs import replace

from tallystick.kernel.accounts.records import Account
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SucceedMember
from tallystick.kernel.plans.answering import AcceptEvidence
from tallystick.kernel.plans.cases import Certificate
from tallystick.kernel.plans.records import Phase, Plan, PlanState, PlanVersion
from tallystick.kernel.wages.records import CHUNK_LINES, LineState, SheetState, WageChunk
from tallystick.kernel.wages.results import ReturnedLine
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.accounts import booking, stands
from tests.support.plans import state_of
from tests.support.receivables import anchor
from tests.support.wages import many, payroll

PAID, RETURNED, IN_TRANSIT = LineState.PAID, LineState.RETURNED, LineState.IN_TRANSIT


def test_a_release_moves_the_whole_sum_and_writes_no_chunk() -> None:
    p = payroll(many()).uploaded()
    chunks = [p.chunk(number) for number in p.chunk_numbers()]
    p.released()
    assert [p.chunk(number) for number in p.chunk_numbers()] == chunks
    assert p.transit == p.units
    assert set(p.states()) == {IN_TRANSIT}
    plan = p.world.row(Plan, p.plan)
    assert (plan.state, plan.held, plan.released) == (PlanState.COMPLETED, 0, p.units)
    certificate = p.world.row(Certificate, state_of(p.world, p.plan).certificates[0])
    assert (certificate.certified, certificate.released, certificate.fees) == (p.units, p.units, 0)
    assert "wage.released" in p.world.told(p.c.custodian)
    p.check()


def test_wages_pass_the_payee_by() -> None:
    p = payroll()
    before = stands(p.world, f"available/{p.c.payee_account}")
    p.released()
    assert stands(p.world, f"available/{p.c.payee_account}") == before


@pytest.mark.parametrize("off", [-1, 1])
def test_nothing_but_the_sum_of_the_lines_is_certified(off: int) -> None:
    p = payroll(up_to=2_000_000).uploaded()
    evidence = state_of(p.world, p.plan).evidence
    units = Units(int(p.units) + off)
    accept = AcceptEvidence(plan=p.plan, tranche=1, currency="CNY", units=units, evidence=evidence)
    p.world.do(accept, by=p.c.payer, expect=Status.AMOUNT_DIFFERS)


def test_what_the_lines_do_not_use_goes_back_to_the_special_account() -> None:
    p = payroll(up_to=2_000_000)
    special = f"available/{p.world.row(PlanVersion, f'{p.plan}/1').terms.refund_account}"
    before = stands(p.world, special)
    p.released()
    assert stands(p.world, special) == before + 1_000_000
    p.check()


def test_paid_lines_leave_by_the_bank() -> None:
    p = payroll().released()
    at_bank = stands(p.world, f"bank/{p.c.custodian}/CNY")
    events = p.by_custodian(p.results_of((1, 3)), vector="wage.line_result/paid").events
    assert p.states() == [PAID, IN_TRANSIT, PAID]
    assert p.transit == 450_000
    assert at_bank - stands(p.world, f"bank/{p.c.custodian}/CNY") == 550_000
    assert events[1].facts["lines"] == "1,3"
    p.check()


def test_the_last_paid_line_is_the_sheets_end() -> None:
    p = payroll().released()
    p.by_custodian(p.results_of((1, 2, 3)), vector="wage.line_result/done")
    assert p.sheet.state is SheetState.DONE
    assert p.world.told(p.c.payer)[-1] == "wage.done"
    p.check()


def test_a_returned_line_stays_owed_to_its_worker() -> None:
    p = payroll().released()
    p.by_custodian(p.results_of((1,), (2, 3)), vector="wage.line_result/returned")
    assert p.states() == [PAID, RETURNED, RETURNED]
    assert (p.line(2).reason, p.line(2).attempt) == ("account_closed", 1)
    assert p.transit == 700_000
    assert p.sheet.state is SheetState.RELEASED
    p.check()


def test_a_paid_line_comes_back_days_later() -> None:
    p = payroll().released()
    p.by_custodian(p.results_of((1, 2, 3)))
    p.world.wait(3 * DAY_MS)
    at_bank = stands(p.world, f"bank/{p.c.custodian}/CNY")
    p.by_custodian(p.results_of((), (2,)), vector="wage.line_result/returned_after_paid")
    assert stands(p.world, f"bank/{p.c.custodian}/CNY") == at_bank + 450_000
    assert (p.transit, p.sheet.state) == (450_000, SheetState.RELEASED)
    p.check()


def test_one_returned_line_of_ten_thousand_touches_its_chunk_alone() -> None:
    p = payroll(many(10_000)).released()
    p.by_custodian(p.results_of([number for number in range(1, 10_001) if number != 7_777], (7_777,)))
    before = {row.id: row for row in p.world.state.rows.values() if isinstance(row, WageChunk)}
    p.by_payer(p.correction_of(7_777))
    p.by_custodian(p.results_of((7_777,)))
    place = f"{p.plan}/1/{7_777 // CHUNK_LINES + 1}"
    for chunk_id, row in before.items():
        now = p.world.row(WageChunk, chunk_id)
        assert (now is row) is (chunk_id != place)
        if chunk_id == place:
            changed = [index for index, pair in enumerate(zip(row.lines, now.lines, strict=True)) if pair[0] != pair[1]]
            assert changed == [7_777 % CHUNK_LINES - 1]
    assert p.states().count(PAID) == 10_000
    assert p.sheet.state is SheetState.DONE
    p.check()


@pytest.mark.parametrize(("paid", "returned"), [((2, 1), ()), ((1, 1), ()), ((), (3, 2)), ((), ()), ((1, 2), (2,))])
def test_lines_are_named_once_and_in_order(paid: tuple[int, ...], returned: tuple[int, ...]) -> None:
    p = payroll().released()
    vector = "wage.line_result/bad_value" if paid == (2, 1) else ""
    p.by_custodian(p.results_of(paid, returned), expect=Status.BAD_VALUE, vector=vector)


def test_a_line_has_one_outcome_at_a_time() -> None:
    p = payroll().released()
    p.by_custodian(p.results_of((1,), (2,)))
    p.by_custodian(p.results_of((1,)), expect=Status.WRONG_STATE, vector="wage.line_result/paid_already")
    p.by_custodian(p.results_of((2,)), expect=Status.WRONG_STATE, vector="wage.line_result/returned_not_corrected")
    p.by_custodian(p.results_of((), (2,)), expect=Status.WRONG_STATE)
    p.check()


def test_reports_are_about_released_lines_of_the_sheet() -> None:
    p = payroll()
    report = p.results_of((1,))
    p.by_custodian(report, expect=Status.NOT_FOUND, vector="wage.line_result/sheet_not_found")
    p.uploaded()
    p.by_custodian(report, expect=Status.WRONG_STATE, vector="wage.line_result/wrong_state")
    p.released()
    beyond = replace(p.results_of((1,)), paid=(4,))
    p.by_custodian(beyond, expect=Status.NOT_FOUND, vector="wage.line_result/line_not_found")
    p.by_custodian(
        p.results_of((1,), currency="GBP"),
        expect=Status.CURRENCY_MISMATCH,
        vector="wage.line_result/currency_mismatch",
    )


def test_the_custodian_states_what_the_lines_come_to() -> None:
    p = payroll().released()
    for case, wrong in {
        "amount_differs": p.results_of((1,), units=Units(300_001)),
        "returned_amount_differs": p.results_of((1,), (2,), returned_units=Units(0)),
    }.items():
        p.by_custodian(wrong, expect=Status.AMOUNT_DIFFERS, vector=f"wage.line_result/{case}")


def test_nobody_but_the_custodian_reports() -> None:
    p = payroll().released()
    p.world.do(p.results_of((1,)), by=p.c.platform, expect=Status.NOT_A_PARTY, vector="wage.line_result/not_a_party")


def test_a_bank_reference_is_used_once() -> None:
    p = payroll().released()
    p.by_custodian(p.results_of((1,), bank_reference="BATCH-A"))
    again = p.results_of((2,), bank_reference="batch-a")
    p.by_custodian(again, expect=Status.BANK_REFERENCE_USED, vector="wage.line_result/bank_reference_used")


def test_the_bank_can_not_have_paid_what_it_does_not_hold() -> None:
    p = payroll().released()
    mirror = p.world.state.rows[f"balance/bank/{p.c.custodian}/CNY"]
    p.world.put(replace(mirror, units=Units(299_999)))
    p.by_custodian(p.results_of((1,)), expect=Status.INSUFFICIENT_FUNDS, vector="wage.line_result/insufficient_funds")


def test_what_comes_back_must_fit_the_custodians_books() -> None:
    p = payroll().released()
    p.by_custodian(p.results_of((1, 2, 3)))
    account = p.world.row(Account, p.c.payer_account)
    full = 2**63 - 1 - stands(p.world, f"bank/{p.c.custodian}/CNY")
    p.world.do(booking(p.world, account.id, full), by=p.c.custodian)
    late = p.results_of((), (2,))
    p.by_custodian(late, expect=Status.AMOUNT_OVERFLOW, vector="wage.line_result/amount_overflow")


def test_too_many_lines_for_one_report() -> None:
    p = payroll(many(10_001)).released()
    report = p.results_of(range(1, 10_001), (10_001,))
    p.by_custodian(report, expect=Status.TOO_MANY)


def test_what_stays_open_is_told_and_the_money_stays_owed() -> None:
    p = payroll().released()
    p.by_custodian(p.results_of((1,), (2,)))
    deadline = p.sheet.deadline
    assert deadline == p.world.now.plus(Policies().wage_repair_days * DAY_MS)
    assert deadline is not None
    p.world.wait(until=deadline)
    assert p.sheet.deadline == deadline
    event = p.world.wait(until=deadline.plus(1))[0]
    assert (event.kind, event.facts["in_transit"], event.facts["returned"]) == ("wage.unfinished", 1, 1)
    assert set(event.audience) == {p.c.payer, p.c.payee, p.c.platform, p.c.custodian}
    found = p.sheet
    assert found.deadline is None
    assert p.transit == 700_000
    p.by_payer(p.correction_of(2))
    assert p.sheet.deadline is not None
    p.check()


def test_whoever_owes_wages_is_bound_until_the_last_line_has_ended() -> None:
    """A member leaves only while nothing is live for it."""
    p = payroll().released()
    p.by_custodian(p.results_of((1, 2), (3,)))
    bound = (p.c.payer, p.c.payee, p.c.custodian)
    assert p.sheet.live_for() == bound
    p.by_payer(p.correction_of(3))
    p.by_custodian(p.results_of((3,)))
    assert p.sheet.live_for() == ()
    p.by_custodian(p.results_of((), (1,)))
    assert p.sheet.live_for() == bound


def test_a_successor_of_the_custodian_reports_in_its_books() -> None:
    p = payroll().released()
    successor = p.world.member("Successor bank", Role.CUSTODIAN)
    p.world.do(SucceedMember(member=p.c.custodian, successor=successor, order=anchor("order")), by=p.c.auditor)
    p.world.do(p.results_of((1,)), by=successor)
    assert p.sheet.custodian == p.c.custodian
    p.check()


def test_a_tranche_that_ends_without_release_pays_nobody() -> None:
    p = payroll(many())
    p.by_payer(p.upload_of(1))
    end = state_of(p.world, p.plan).unmet_at
    assert end is not None
    p.world.wait(until=end.plus(1))
    assert state_of(p.world, p.plan).phase is Phase.ENDED
    assert p.sheet.state is SheetState.VOID
    assert p.world.told(p.c.payer).count("wage.sheet_void") == 1


def test_returned_for_each_reason_is_told_apart() -> None:
    p = payroll(many(6)).released()
    returned = (
        ReturnedLine(line=2, reason="account_closed"),
        ReturnedLine(line=3, reason="name_differs"),
        ReturnedLine(line=5, reason="account_closed"),
    )
    result = p.by_custodian(replace(p.results_of((1,), (2, 3, 5)), returned=returned))
    told = [(event.kind, event.facts["lines"], event.facts.get("reason")) for event in result.events[1:]]
    assert told == [
        ("wage.paid", "1", None),
        ("wage.returned", "2,5", "account_closed"),
        ("wage.returned", "3", "name_differs"),
    ]
