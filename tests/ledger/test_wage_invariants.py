"""The check of wages over a whole ledger: silent where all is well, at every stage, and it names each planted fault."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from tallystick.kernel.accounts.records import Balance
from tallystick.kernel.core.record import Record
from tallystick.kernel.wages.records import LineState, LineSum, SheetState, WageChunk, WageSheet
from tallystick.ledger import plan_invariants
from tallystick.ledger.violations import Violation
from tallystick.wire.amounts import Units
from tests.ledger.test_invariants import first_violation
from tests.support.plans import plan_of
from tests.support.wages import Payroll, payroll


def under_way() -> Payroll:
    """Four workers: one paid, one corrected, one returned, one of whom the bank has said nothing."""
    p = payroll((100, 200, 300, 400)).released()
    p.by_custodian(p.results_of(paid=(1,), returned=(2, 3)))
    p.by_payer(p.correction_of(2))
    return p


def checked(p: Payroll, *planted: Record) -> Violation | None:
    """What the check finds with these rows in place of those that stand."""
    rows = dict(p.world.state.rows)
    rows.update((row.key, row) for row in planted)
    return first_violation(plan_invariants.check_wages, *rows.values())


def test_it_holds_at_every_stage() -> None:
    p = payroll((100, 200, 300, 400))
    assert checked(p) is None
    p.uploaded()
    assert checked(p) is None
    p.released()
    assert checked(p) is None
    p.by_custodian(p.results_of(paid=(1,), returned=(2, 3)))
    assert checked(p) is None
    p.by_payer(p.correction_of(2))
    p.by_both(p.withdrawal_of(3))
    assert checked(p) is None
    p.by_custodian(p.results_of(paid=(2, 4)))
    assert p.sheet.state is SheetState.DONE
    assert checked(p) is None


def transit_of(p: Payroll, units: int, tranche: int = 1) -> Balance:
    row: Balance = p.world.row(Balance, f"transit/{p.c.custodian}/CNY/{p.plan}/1")
    return replace(row, id=f"transit/{p.c.custodian}/CNY/{p.plan}/{tranche}", units=Units(units))


def counted(p: Payroll, state: LineState, lines: int, units: int) -> WageSheet:
    """The sheet with another count for a state."""
    others = tuple(each for each in p.sheet.standing if each.state is not state)
    return replace(p.sheet, standing=(*others, LineSum(state=state, lines=lines, units=Units(units))))


def with_line(p: Payroll, number: int, state: LineState) -> WageChunk:
    lines = list(p.chunk(1).lines)
    lines[number - 1] = replace(lines[number - 1], state=state)
    return replace(p.chunk(1), lines=tuple(lines))


def misreported(p: Payroll) -> Record:
    """The plan says that it released another amount than the sheet's."""
    plan = plan_of(p.world, p.plan)
    return replace(plan, tranches=(replace(plan.tranches[0], released=Units(999)),))


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (lambda p: transit_of(p, 899), "899 stand in transit, 900 are owed"),
        (lambda p: transit_of(p, 901), "901 stand in transit, 900 are owed"),
        (lambda p: transit_of(p, 5, tranche=2), "5 are in transit for no sheet"),
        (lambda p: with_line(p, 3, LineState.PAID), "paid 2 of 400"),
        (lambda p: counted(p, LineState.PAID, 2, 400), "it counts corrected 1 of 200"),
        (lambda p: replace(p.sheet, units=Units(1_001)), "declares 4 of 1001"),
        (lambda p: replace(p.sheet, state=SheetState.DONE), "is done and owes 900"),
        (lambda p: replace(p.sheet, state=SheetState.VOID), "its lines stand as"),
        (misreported, "its tranche released 999"),
        (lambda p: replace(p.chunk(1), id=f"{p.plan}/2/1"), "lines stand for no sheet"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_planted_fault_is_found(plant: Callable[[Payroll], Record], said: str) -> None:
    p = under_way()
    found = checked(p, plant(p))
    assert found is not None
    assert said in str(found)
