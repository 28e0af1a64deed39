"""Wage sheets: uploaded in chunks, reported on line by line, corrected and taken out."""

import hashlib
from typing import Any

from tallystick.kernel.plans.escrow import amount_of, missing_in
from tallystick.kernel.plans.records import Phase, Plan
from tallystick.kernel.wages.correcting import CorrectedLine, CorrectWageLines, WithdrawWageLines
from tallystick.kernel.wages.lines import LineCommitment, UploadWageLines
from tallystick.kernel.wages.records import (
    CHUNK_LINES,
    LineState,
    SheetState,
    WageChunk,
    WageSheet,
    chunk_id,
    chunks_of,
    first_line,
    lines_in,
    state_of,
)
from tallystick.kernel.wages.results import ReportWages, ReturnedLine
from tallystick.wire.amounts import Units
from tests.simulation.actions.money import reference
from tests.simulation.actions.proposals import Proposal, action, pick, propose
from tests.simulation.actions.releases import Found, tranches
from tests.simulation.town import Town

SIZES = (1, 2, 3, 5, 8)


def _claimed(town: Town, found: Found) -> bool:
    """Whether its sheet is complete and under verification."""
    plan, number, tranche, _ = found
    sheet = _sheet(town, plan.id, number)
    return sheet is not None and sheet.state is SheetState.COMPLETE and tranche.phase is Phase.EVIDENCE_IN


def _hash(*parts: object) -> str:
    return hashlib.sha256(":".join(str(part) for part in parts).encode()).hexdigest()


def shares(units: int, count: int) -> list[int]:
    """`units` over `count` lines, the first ones a unit more."""
    each, over = divmod(units, count)
    return [each + (1 if number < over else 0) for number in range(count)]


def _sheet(town: Town, plan: str, number: int) -> WageSheet | None:
    row: WageSheet | None = town.find(WageSheet, f"{plan}/{number}")
    return row


@action(70)
def upload_wage_lines(town: Town) -> Proposal | None:
    rng = town.rng
    early = rng.random() < 0.1
    waiting = [one for one in tranches(town, Phase.WAITING, Phase.EVIDENCE_IN) if one[3].wages]
    open_ones = [one for one in waiting if early or (not missing_in(one[2], one[3]) and not _claimed(town, one))]
    found = pick(rng, open_ones)
    if found is None:
        return None
    plan, number, tranche, terms = found
    sheet = _sheet(town, plan.id, number)
    whole = max(int(amount_of(tranche, terms)), 1)
    anew = sheet is None or rng.random() < 0.05
    if sheet is None or anew:
        units = rng.randint(1, whole) if terms.up_to and rng.random() < 0.6 else whole
        count = min(rng.choice(SIZES) if rng.random() < 0.96 else CHUNK_LINES + 2, units)
    else:
        units, count = int(sheet.units), sheet.lines
    amounts = shares(units, count)
    came = () if sheet is None or anew else sheet.chunks
    left = [chunk for chunk in range(1, chunks_of(count) + 1) if chunk > len(came) or not came[chunk - 1]]
    chunk = rng.choice(left or [1])
    first = first_line(chunk)
    lines = tuple(
        LineCommitment(
            worker=_hash("worker", plan.id, line if rng.random() < 0.995 else 1),
            account=_hash("account", plan.id, line if rng.random() < 0.995 else 1),
            units=Units(amounts[line - 1]),
        )
        for line in range(first, first + lines_in(count, chunk))
    )
    asked = UploadWageLines(
        plan=plan.id,
        tranche=number,
        currency=plan.currency,
        units=Units(units + (1 if rng.random() < 0.02 else 0)),
        count=count,
        chunk=chunk,
        lines=lines,
        anew=anew and (sheet is not None or rng.random() < 0.1),
    )
    return propose(plan.payer, asked)


def lines_of(town: Town, sheet: WageSheet) -> dict[int, Any]:
    """Each line that came, with its state."""
    found: dict[int, Any] = {}
    for chunk in range(1, chunks_of(sheet.lines) + 1):
        row: Any = town.find(WageChunk, chunk_id(sheet.plan, sheet.tranche, chunk))
        for number, line in enumerate(() if row is None else row.lines, first_line(chunk)):
            found[number] = (line, state_of(sheet, line))
    return found


def _released(town: Town) -> list[WageSheet]:
    rows: list[WageSheet] = town.rows(WageSheet)
    return [row for row in rows if row.state is SheetState.RELEASED or town.rng.random() < 0.03]


def _some(town: Town, numbers: list[int]) -> list[int]:
    """Some of `numbers`, ascending, at least one if there are any."""
    if not numbers:
        return []
    return sorted(town.rng.sample(numbers, town.rng.randint(1, len(numbers))))


def _sum(lines: dict[int, Any], numbers: list[int]) -> Units:
    return Units(sum(int(lines[number][0].units) for number in numbers))


@action(50)
def report_wages(town: Town) -> Proposal | None:
    sheet = pick(town.rng, _released(town))
    if sheet is None:
        return None
    lines = lines_of(town, sheet)
    moving = [number for number, (_, state) in lines.items() if state in (LineState.IN_TRANSIT, LineState.CORRECTED)]
    done = [number for number, (_, state) in lines.items() if state is LineState.PAID]
    named = _some(town, moving)
    returned = [number for number in named if town.rng.random() < 0.25]
    paid = [number for number in named if number not in returned]
    if done and town.rng.random() < 0.2:
        returned = sorted({*returned, town.rng.choice(done)})
    if not paid and not returned:
        return None
    asked = ReportWages(
        plan=sheet.plan,
        tranche=sheet.tranche,
        bank_reference=reference(town),
        currency=sheet.currency,
        units=_sum(lines, paid),
        returned_units=_sum(lines, returned),
        paid=tuple(paid),
        returned=tuple(ReturnedLine(line=number, reason="account_closed") for number in returned),
    )
    plan: Any = town.find(Plan, sheet.plan)
    return propose(plan.custodian, asked)


def _returned(town: Town, sheet: WageSheet) -> tuple[dict[int, Any], list[int]]:
    lines = lines_of(town, sheet)
    back = [number for number, (_, state) in lines.items() if state is LineState.RETURNED or town.rng.random() < 0.02]
    return lines, _some(town, back)


@action(30)
def correct_wage_lines(town: Town) -> Proposal | None:
    sheet = pick(town.rng, _released(town))
    if sheet is None:
        return None
    lines, named = _returned(town, sheet)
    if not named:
        return None
    corrected = tuple(
        CorrectedLine(
            line=number,
            worker=lines[number][0].worker if town.rng.random() < 0.97 else _hash("another"),
            account=_hash("account", sheet.plan, number, town.height),
        )
        for number in named
    )
    asked = CorrectWageLines(
        plan=sheet.plan,
        tranche=sheet.tranche,
        currency=sheet.currency,
        units=_sum(lines, named),
        lines=corrected,
    )
    return propose(sheet.payer, asked)


@action(8)
def withdraw_wage_lines(town: Town) -> Proposal | None:
    sheet = pick(town.rng, _released(town))
    if sheet is None:
        return None
    lines, named = _returned(town, sheet)
    if not named:
        return None
    asked = WithdrawWageLines(
        plan=sheet.plan,
        tranche=sheet.tranche,
        currency=sheet.currency,
        units=_sum(lines, named),
        lines=tuple(named),
        reason="paid_in_cash",
    )
    return propose(sheet.payer, asked, also=(sheet.payee,))
