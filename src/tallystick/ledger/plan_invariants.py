"""What must never happen to the money of plans: escrow, certificates, what products count, wages on their way.

Reads what an engine shows to anybody and none of the kernel's own arithmetic, as `invariants` does (DESIGN section 9).
"""

from collections import defaultdict
from collections.abc import Iterator

from tallystick.kernel.accounts.records import Balance
from tallystick.kernel.plans.cases import Certificate, Dispute
from tallystick.kernel.plans.records import Plan, TrancheState
from tallystick.kernel.products.records import Product
from tallystick.kernel.wages.records import LineState, SheetState, WageChunk, WageSheet
from tallystick.ledger.engine import Engine
from tallystick.ledger.violations import Violation, rows_of

Lines = dict[LineState, tuple[int, int]]
"""How many lines of a sheet are in each state, and what they come to."""


def check_plans(engine: Engine) -> Iterator[Violation | None]:
    """Deposited = held + released + refunded + fees + reversed, for each plan; what it holds is in its escrow (9.1).

    The same for each tranche, with what rolled on. What open disputes are about is what is disputed, no more and no
    less, and a plan that has ended holds nothing.
    """
    disputed: dict[tuple[str, int], int] = defaultdict(int)
    for dispute in rows_of(engine, Dispute):
        if dispute.is_open:
            disputed[dispute.plan, dispute.tranche] += int(dispute.units)
    escrows = {row.id: int(row.units) for row in rows_of(engine, Balance) if row.id.startswith("escrow/")}
    for plan in rows_of(engine, Plan):
        held = int(plan.fee_reserve) + sum(int(tranche.held) for tranche in plan.tranches)
        name = f"escrow/{plan.custodian}/{plan.currency}/{plan.id}"
        what = _plan_fault(plan, held, escrows.pop(name, 0))
        for number, tranche in enumerate(plan.tranches, 1):
            what = what or _tranche_fault(number, tranche, disputed.pop((plan.id, number), 0))
        yield None if what is None else Violation(plan.key, what)
    for name, units in sorted(escrows.items()):
        yield None if units == 0 else Violation(f"balance/{name}", f"{units} stand in escrow for no plan")
    for (plan_id, number), units in sorted(disputed.items()):
        yield Violation(f"plan/{plan_id}", f"{units} of tranche {number}, which it does not have, are disputed")


def _plan_fault(plan: Plan, held: int, in_escrow: int) -> str | None:
    gone = int(plan.released) + int(plan.refunded) + int(plan.fees) + int(plan.reversed)
    if int(plan.deposited) != held + gone:
        return f"{plan.deposited} were deposited, {held} are held and {gone} have left"
    if in_escrow != held:
        return f"it says that it holds {held}, {in_escrow} stand in its escrow"
    if held and (plan.ended is not None or not plan.version):
        return f"it is {plan.state.value} and holds {held}"
    return None


def _tranche_fault(number: int, tranche: TrancheState, disputed: int) -> str | None:
    gone = (tranche.released, tranche.refunded, tranche.fees, tranche.reversed, tranche.rolled)
    left = sum(int(units) for units in gone)
    if int(tranche.deposited) != int(tranche.held) + left:
        return f"tranche {number} got {tranche.deposited}, holds {tranche.held}, and {left} have left it"
    if int(tranche.disputed) + int(tranche.retained) > int(tranche.held):
        return f"more of tranche {number} is disputed and retained than it holds"
    if int(tranche.disputed) != disputed:
        return f"{tranche.disputed} of tranche {number} are disputed, open disputes are about {disputed}"
    return None


def check_certificates(engine: Engine) -> Iterator[Violation | None]:
    """Each certificate's sums add up, a tranche is released once, and certificates name all that it paid (9.4)."""
    paid: dict[tuple[str, int], tuple[int, int]] = {}
    released: set[tuple[str, int]] = set()
    for row in rows_of(engine, Certificate):
        parts = (row.recovered, row.retained, row.disputed, row.released, row.fees)
        if int(row.certified) != sum(int(part) for part in parts):
            yield Violation(row.key, f"{row.certified} were certified, its parts add up to something else")
        of = (row.plan, row.tranche)
        if row.cause == "release" and of in released:
            yield Violation(row.key, f"tranche {row.tranche} of {row.plan} was released before")
        if row.cause == "release":
            released.add(of)
        before = paid.get(of, (0, 0))
        paid[of] = (before[0] + int(row.released), before[1] + int(row.fees))
        yield None
    for plan in rows_of(engine, Plan):
        for number, tranche in enumerate(plan.tranches, 1):
            said, counted = paid.pop((plan.id, number), (0, 0)), (int(tranche.released), int(tranche.fees))
            what = f"tranche {number} paid {counted}, its certificates say {said}"
            yield None if said == counted else Violation(plan.key, what)
    for plan_id, number in sorted(paid):
        yield Violation(f"plan/{plan_id}", f"a certificate is about its tranche {number}, which it does not have")


def check_products(engine: Engine) -> Iterator[Violation | None]:
    """What a product counts is what its plans say that they count for, and within its cap (DOMAIN section 3)."""
    counted: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for plan in rows_of(engine, Plan):
        if plan.version:
            units, live = counted[plan.product]
            counted[plan.product] = (units + int(plan.committed), live + (plan.ended is None))
    for product in rows_of(engine, Product):
        found = counted.pop(product.id, (0, 0))
        said = (int(product.committed), product.live_plans)
        if found != said:
            yield Violation(product.key, f"its plans count for {found[0]}, {found[1]} live; it says {said}")
        over = product.committed > product.terms.cap
        yield Violation(product.key, f"plans may release more than its cap of {product.terms.cap}") if over else None
    for name in sorted(counted):
        yield Violation(f"product/{name}", "plans name it and it has no record")


def check_wages(engine: Engine) -> Iterator[Violation | None]:
    """What stands in transit is what each sheet owes its workers; its lines are counted as they stand (9.1)."""
    transit = {row.id: int(row.units) for row in rows_of(engine, Balance) if row.id.startswith("transit/")}
    lines: dict[str, Lines] = defaultdict(dict)
    for chunk in rows_of(engine, WageChunk):
        found = lines[chunk.id.rpartition("/")[0]]
        for line in chunk.lines:
            count, units = found.get(line.state, (0, 0))
            found[line.state] = (count + 1, units + int(line.units))
    for sheet in rows_of(engine, WageSheet):
        name = f"transit/{sheet.custodian}/{sheet.currency}/{sheet.plan}/{sheet.tranche}"
        what = _sheet_fault(engine, sheet, lines.pop(sheet.id, {}), transit.pop(name, 0))
        yield None if what is None else Violation(sheet.key, what)
    for name, units in sorted(transit.items()):
        yield None if units == 0 else Violation(f"balance/{name}", f"{units} are in transit for no sheet")
    for name in sorted(lines):
        yield Violation(f"wage_chunk/{name}/1", "lines stand for no sheet")


def _sheet_fault(engine: Engine, sheet: WageSheet, found: Lines, in_transit: int) -> str | None:
    went_out = sheet.state in (SheetState.RELEASED, SheetState.DONE)
    if went_out and LineState.PENDING in found:  # until the bank reports on it, a line is where its sheet is
        before, moved = found.get(LineState.IN_TRANSIT, (0, 0)), found.pop(LineState.PENDING)
        found[LineState.IN_TRANSIT] = (before[0] + moved[0], before[1] + moved[1])
    counted = {each.state: (each.lines, int(each.units)) for each in sheet.standing}
    if counted and counted != found:
        return f"its lines stand as {_said(found)}, it counts {_said(counted)}"
    whole = (sum(count for count, _ in counted.values()), sum(units for _, units in counted.values()))
    if counted and whole != (sheet.lines, int(sheet.units)):
        return f"it counts {whole[0]} lines of {whole[1]} and declares {sheet.lines} of {sheet.units}"
    owing = (LineState.IN_TRANSIT, LineState.CORRECTED, LineState.RETURNED)
    owed = sum(counted.get(state, (0, 0))[1] for state in owing) if went_out else 0
    if in_transit != owed:
        return f"{in_transit} stand in transit, {owed} are owed to workers"
    if sheet.state is SheetState.DONE and owed:
        return f"it is done and owes {owed}"
    plan = engine.query(f"plan/{sheet.plan}").record
    tranches = plan.tranches if isinstance(plan, Plan) else ()
    released = int(tranches[sheet.tranche - 1].released) if sheet.tranche <= len(tranches) else 0
    if released != (int(sheet.units) if went_out else 0):
        return f"it is {sheet.state.value} with {sheet.units}, its tranche released {released}"
    return None


def _said(lines: Lines) -> str:
    each = (f"{state.value} {count} of {units}" for state, (count, units) in sorted(lines.items(), key=_by_name))
    return ", ".join(each) or "none"


def _by_name(item: tuple[LineState, tuple[int, int]]) -> str:
    return item[0].value
