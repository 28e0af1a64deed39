"""Returned lines, repaired one by one or taken out; all others stay as they are (退票重发)."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from tallystick.kernel.accounts import book
from tallystick.kernel.accounts.records import Account, AccountState
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Code, Currency, Hash, PlanId, Struct
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.rules import present_party
from tallystick.kernel.plans.records import TrancheNumber
from tallystick.kernel.wages import rules
from tallystick.kernel.wages.marking import (
    Marked,
    check_ascending,
    find_released,
    mark,
    ranges,
    write,
    wrong_state,
)
from tallystick.kernel.wages.records import (
    CHUNK_LINES,
    LineNumber,
    LineState,
    SheetState,
    WageChunk,
    WageLine,
    WageSheet,
    chunk_id,
    chunks_of,
    first_line,
    sheet_id,
)
from tallystick.kernel.wages.results import DONE
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

MAX_ATTEMPTS = 255

CORRECTED = EventKind(
    "wage.corrected",
    "Lines {lines} of tranche {tranche} of plan {record} are corrected and on their way again: {units} {currency}.",
)
WITHDRAWN = EventKind(
    "wage.withdrawn",
    "Lines {lines} of tranche {tranche} of plan {record} were withdrawn ({reason}): {units} {currency} went back.",
)


class CorrectedLine(Struct):
    """A line to be sent again: the worker as before, the account as it should have been."""

    line: LineNumber
    worker: Hash
    account: Hash


class CorrectWageLines(Operation, tag="wage.line_correct"):
    """Correct the account of returned lines and send them again, to the same workers (更正重发).

    Signed by the payer, with a maker's and a checker's key. `units` is what the named lines come to. Each must name the
    worker it was uploaded for: wages go to the worker's own account alone. Lines ascend; no other line is touched.
    Source: DOMAIN section 3, "Wage plan".
    """

    needs_four_eyes = True
    while_suspended = True

    plan: PlanId
    tranche: TrancheNumber
    currency: Currency
    units: Units
    lines: Annotated[tuple[CorrectedLine, ...], Meta(min_length=1, max_length=CHUNK_LINES)]

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        sheet = step.find(WageSheet, sheet_id(self.plan, self.tranche))
        if sheet is None:
            return refuse(Status.NOT_FOUND, plan=self.plan, tranche=self.tranche)
        return Signers.all(present_party(step, sheet.payer))

    def check(self, step: Step) -> Refusal | None:
        sheet = find_released(step, self.plan, self.tranche, self.currency)
        if isinstance(sheet, Refusal):
            return sheet
        refusal = check_ascending(sheet, tuple(each.line for each in self.lines), "lines")
        if refusal is not None:
            return refusal
        marked = step.once("marked", lambda: self._marked(step, sheet))
        if isinstance(marked, Refusal):
            return marked
        return _check_stated(marked, LineState.CORRECTED, self.units) or self._check_accounts(step, marked)

    def _marked(self, step: Step, sheet: WageSheet) -> Marked | Refusal:
        named = {each.line: each for each in self.lines}

        def change(number: int, line: WageLine, state: LineState) -> WageLine | Refusal:
            asked = named[number]
            if state is not LineState.RETURNED:
                return wrong_state(number, state)
            if asked.worker != line.worker:
                return rules.misused(step, sheet.currency, rules.Misuse.OWN_ACCOUNT, line=number)
            if line.attempt == MAX_ATTEMPTS:
                return refuse(Status.TOO_MANY, line=number, limit=MAX_ATTEMPTS)
            return replace(line, state=LineState.CORRECTED, account=asked.account, attempt=line.attempt + 1)

        return mark(step, sheet, named, change)

    def _check_accounts(self, step: Step, marked: Marked) -> Refusal | None:
        """No account under two workers of the sheet, as it stands after this. Linear in the sheet's lines."""
        accounts = {each.account: each.line for each in self.lines}
        sheet = marked.sheet
        for chunk in range(1, chunks_of(sheet.lines) + 1):
            lines = marked.chunks.get(chunk) or step.get(WageChunk, chunk_id(sheet.plan, sheet.tranche, chunk)).lines
            for number, line in enumerate(lines, first_line(chunk)):
                named = accounts.get(line.account, number)
                if named != number:
                    return rules.misused(step, self.currency, rules.Misuse.OWN_ACCOUNT, line=named, other=number)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        before = step.get(WageSheet, sheet_id(self.plan, self.tranche))
        sheet = write(step, _found(step.once("marked", lambda: self._marked(step, before))))
        yield CORRECTED(
            sheet.plan,
            (sheet.payer, sheet.payee, sheet.custodian),
            tranche=sheet.tranche,
            lines=ranges(each.line for each in self.lines),
            units=self.units,
            currency=sheet.currency,
        )


class WithdrawWageLines(Operation, tag="wage.line_withdraw"):
    """Take returned lines out of a sheet because nothing is owed to these workers; the money goes back.

    Signed by payer and payee together, each with a maker's and a checker's key: wages that were certified are not the
    payer's to take back alone. The money returns to the project's special account. `units` is what the lines come to.
    """

    needs_four_eyes = True
    while_suspended = True

    plan: PlanId
    tranche: TrancheNumber
    currency: Currency
    units: Units
    lines: Annotated[tuple[LineNumber, ...], Meta(min_length=1, max_length=CHUNK_LINES)]
    reason: Code

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        sheet = step.find(WageSheet, sheet_id(self.plan, self.tranche))
        if sheet is None:
            return refuse(Status.NOT_FOUND, plan=self.plan, tranche=self.tranche)
        return Signers.all(present_party(step, sheet.payer), present_party(step, sheet.payee))

    def check(self, step: Step) -> Refusal | None:
        sheet = find_released(step, self.plan, self.tranche, self.currency)
        if isinstance(sheet, Refusal):
            return sheet
        refusal = check_ascending(sheet, self.lines, "lines")
        if refusal is not None:
            return refusal
        marked = step.once("marked", lambda: self._marked(step, sheet))
        return marked if isinstance(marked, Refusal) else _check_stated(marked, LineState.WITHDRAWN, self.units)

    def _marked(self, step: Step, sheet: WageSheet) -> Marked | Refusal:
        def change(number: int, line: WageLine, state: LineState) -> WageLine | Refusal:
            if state is not LineState.RETURNED:
                return wrong_state(number, state)
            return replace(line, state=LineState.WITHDRAWN)

        return mark(step, sheet, self.lines, change)

    def apply(self, step: Step) -> Iterator[Event]:
        before = step.get(WageSheet, sheet_id(self.plan, self.tranche))
        sheet = write(step, _found(step.once("marked", lambda: self._marked(step, before))))
        told = (sheet.payer, sheet.payee, sheet.custodian)
        transit = book.transit(sheet.custodian, sheet.currency, sheet.plan, sheet.tranche)
        target = special_account(step, sheet)
        yield book.move(step, transit, target, sheet.currency, self.units, sheet.plan, told)
        yield WITHDRAWN(
            sheet.plan,
            told,
            tranche=sheet.tranche,
            lines=ranges(self.lines),
            units=self.units,
            currency=sheet.currency,
            reason=self.reason,
        )
        if sheet.state is SheetState.DONE:
            yield DONE(sheet.plan, told, tranche=sheet.tranche, lines=sheet.lines)


def special_account(step: Step, sheet: WageSheet) -> str:
    """Where withdrawn money goes back to; the payer's ordinary account, or a hold, where the special one is closed."""
    account = step.get(Account, sheet.refund_account)
    if account.state is AccountState.OPEN:
        return account.ledger_account
    return book.receiving_ledger_account(step, account.owner, sheet.currency, sheet.plan, sheet.custodian)


def _check_stated(marked: Marked, after: LineState, units: Units) -> Refusal | None:
    computed = marked.units((LineState.RETURNED,), after)
    return None if computed == units else refuse(Status.AMOUNT_DIFFERS, computed=computed, stated=units)


def _found(marked: Marked | Refusal) -> Marked:
    if isinstance(marked, Refusal):
        raise InvariantViolation(f"a line was {marked.status.label} only after its check")
    return marked
