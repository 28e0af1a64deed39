"""The release of a wage tranche: its sheet's whole sum leaves escrow at once, and is owed to the workers from then on.

The cost does not grow with the number of lines: the sheet says that they are in transit, no chunk is written.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.accounts import book
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.record import Record
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.membership.business import on_succeeded, rename
from tallystick.kernel.plans.records import Plan, PlanVersion
from tallystick.kernel.wages.records import LineState, LineSum, SheetState, WageSheet, sheet_id
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status

RELEASED = EventKind(
    "wage.released", "{units} {currency} for {lines} workers of tranche {tranche} of plan {record} are on their way."
)
VOID = EventKind("wage.sheet_void", "The wage sheet of tranche {tranche} of plan {record} pays nobody: no release.")
UNFINISHED = EventKind(
    "wage.unfinished",
    "Tranche {tranche} of plan {record} still owes {units} {currency} to workers: {in_transit} lines without the "
    "bank's word, {returned} returned and not corrected.",
)


def find_sheet(step: Step, plan_id: str, number: int) -> WageSheet | None:
    """The sheet of a plan's tranche, if lines of it have come."""
    return step.find(WageSheet, sheet_id(plan_id, number))


def sheet_claim(step: Step, plan_id: str, number: int) -> Units | None:
    """What a wage tranche claims: the sum of its complete sheet, or None as long as there is none."""
    sheet = find_sheet(step, plan_id, number)
    return sheet.units if sheet is not None and sheet.state is SheetState.COMPLETE else None


def check_certified(step: Step, plan_id: str, number: int, units: Units) -> Refusal | None:
    """Whether `units` may be certified for a wage tranche: exactly its complete sheet's sum, nothing else.

    condition_not_met while the sheet is not complete, amount_differs where the sums are not the same.
    """
    claimed = sheet_claim(step, plan_id, number)
    if claimed is None:
        return refuse(Status.CONDITION_NOT_MET, plan=plan_id, tranche=number, missing="wage_lines")
    if units != claimed:
        return refuse(Status.AMOUNT_DIFFERS, computed=claimed, stated=units)
    return None


def release_wages(step: Step, plan: Plan, version: PlanVersion, number: int, units: Units) -> Iterator[Event]:
    """Move `units`, which are the sheet's sum, from escrow into transit; every line is in transit from then on.

    The plan's own counting is the caller's.
    """
    sheet = step.get(WageSheet, sheet_id(plan.id, number))
    if sheet.state is not SheetState.COMPLETE or sheet.units != units or not version.tranches[number - 1].wages:
        raise InvariantViolation(f"{units} released for sheet {sheet.id}, {sheet.state.value}, of {sheet.units}")
    on_the_way = LineSum(state=LineState.IN_TRANSIT, lines=sheet.lines, units=units)
    step.put(
        replace(
            sheet,
            state=SheetState.RELEASED,
            released=step.position,
            standing=(on_the_way,),
            deadline=repair_deadline(step),
        )
    )
    target = book.transit(sheet.custodian, sheet.currency, plan.id, number)
    told = (plan.payer, plan.payee, plan.platform, sheet.custodian)
    yield book.move(step, plan.escrow, target, sheet.currency, units, plan.id, told)
    yield RELEASED(plan.id, told, tranche=number, lines=sheet.lines, units=units, currency=sheet.currency)


def end_sheet(step: Step, plan_id: str, number: int) -> Iterator[Event]:
    """The tranche ended without release: its sheet, if any, is void and pays nobody."""
    sheet = find_sheet(step, plan_id, number)
    if sheet is None or sheet.state not in (SheetState.UPLOADING, SheetState.COMPLETE):
        return
    step.put(replace(sheet, state=SheetState.VOID))
    yield VOID(plan_id, (sheet.payer, sheet.payee), tranche=number, lines=sheet.lines)


def repair_deadline(step: Step) -> Instant:
    """By when every line is to be paid or withdrawn, counted from the last thing that happened to the sheet."""
    return step.now.plus(policies(step).wage_repair_days * DAY_MS)


def tell_unfinished(step: Step, record: Record) -> Iterator[Event]:
    """Due work of a sheet: days passed and lines are open. The money stays owed to the workers; all sides are told.

    A bank's silence is not a return: nothing is sent again on its account (DOMAIN section 3, "Payout").
    """
    if not isinstance(record, WageSheet):
        raise InvariantViolation(f"{record.key} is no wage sheet")
    step.put(replace(record, deadline=None))
    plan = step.get(Plan, record.plan)
    in_transit = record.sum_of(LineState.IN_TRANSIT).lines + record.sum_of(LineState.CORRECTED).lines
    yield UNFINISHED(
        record.plan,
        (record.payer, record.payee, plan.platform, record.custodian),
        tranche=record.tranche,
        units=record.open_units,
        currency=record.currency,
        in_transit=in_transit,
        returned=record.sum_of(LineState.RETURNED).lines,
    )


def pass_sheet(step: Step, record: Record, member: str, successor: str) -> Iterator[Event]:
    """A succession: payer and payee are succeeded in; a custodian's books keep its name, its successor signs."""
    if isinstance(record, WageSheet) and record.custodian != member:
        yield from rename(step, record, member, successor)


on_succeeded("wage_sheet", pass_sheet)
