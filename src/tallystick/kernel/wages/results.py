"""What the bank did with the lines on their way: paid, or returned, also days after it had reported them as paid."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from tallystick.kernel.accounts import bank_references, book
from tallystick.kernel.accounts.bank_references import Reference
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Code, Currency, PlanId, Struct
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.rules import present_party
from tallystick.kernel.plans.records import TrancheNumber
from tallystick.kernel.wages.marking import (
    OPEN_STATES,
    Marked,
    check_ascending,
    find_released,
    mark,
    ranges,
    write,
    wrong_state,
)
from tallystick.kernel.wages.records import LineNumber, LineState, SheetState, WageLine, WageSheet, sheet_id
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

MAX_RESULTS = 10_000

PAID = EventKind("wage.paid", "Tranche {tranche} of plan {record}: the bank paid {count} workers (lines {lines}).")
RETURNED = EventKind(
    "wage.returned", "Tranche {tranche} of plan {record}: the bank returned lines {lines} ({reason}); correct them."
)
DONE = EventKind("wage.done", "Every line of tranche {tranche} of plan {record} is paid or withdrawn.")


class ReturnedLine(Struct):
    """A line that the bank returned, and why."""

    line: LineNumber
    reason: Code


class ReportWages(Operation, tag="wage.line_result"):
    """Report what the bank did with lines of a released wage sheet: paid them, or returned them (退票).

    Signed by the custodian, under the bank's reference of the batch or entry, which is used once for ever. `units` is
    what all lines reported as paid come to, `returned_units` all returned ones. The money of a returned line stays owed
    to its worker; of a line that the bank had reported as paid, it comes back. Lines ascend. Source: DOMAIN section 3.
    """

    while_suspended = True

    plan: PlanId
    tranche: TrancheNumber
    bank_reference: Reference
    currency: Currency
    units: Units
    returned_units: Units
    paid: Annotated[tuple[LineNumber, ...], Meta(max_length=MAX_RESULTS)] = ()
    returned: Annotated[tuple[ReturnedLine, ...], Meta(max_length=MAX_RESULTS)] = ()

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        sheet = step.find(WageSheet, sheet_id(self.plan, self.tranche))
        if sheet is None:
            return refuse(Status.NOT_FOUND, plan=self.plan, tranche=self.tranche)
        return Signers.all(present_party(step, sheet.custodian))

    def check(self, step: Step) -> Refusal | None:
        sheet = find_released(step, self.plan, self.tranche, self.currency)
        if isinstance(sheet, Refusal):
            return sheet
        refusal = self._check_named(sheet) or bank_references.check_unused(step, sheet.custodian, self.bank_reference)
        if refusal is not None:
            return refusal
        marked = step.once("marked", lambda: self._marked(step, sheet))
        return marked if isinstance(marked, Refusal) else self._check_money(step, marked)

    def _check_named(self, sheet: WageSheet) -> Refusal | None:
        returned = tuple(each.line for each in self.returned)
        if not self.paid and not returned:
            return refuse(Status.BAD_VALUE, field="paid", reason="no_line")
        if len(self.paid) + len(returned) > MAX_RESULTS:
            return refuse(Status.TOO_MANY, lines=len(self.paid) + len(returned), limit=MAX_RESULTS)
        refusal = check_ascending(sheet, self.paid, "paid") or check_ascending(sheet, returned, "returned")
        if refusal is not None:
            return refusal
        both = set(self.paid).intersection(returned)
        return refuse(Status.BAD_VALUE, field="returned", line=min(both), reason="also_paid") if both else None

    def _marked(self, step: Step, sheet: WageSheet) -> Marked | Refusal:
        reasons: dict[int, str | None] = dict.fromkeys(self.paid)
        reasons.update((each.line, each.reason) for each in self.returned)

        def change(number: int, line: WageLine, state: LineState) -> WageLine | Refusal:
            reason = reasons[number]
            if reason is None:
                return replace(line, state=LineState.PAID) if state in OPEN_STATES else wrong_state(number, state)
            if state not in (*OPEN_STATES, LineState.PAID):
                return wrong_state(number, state)
            return replace(line, state=LineState.RETURNED, reason=reason)

        return mark(step, sheet, sorted(reasons), change)

    def _check_money(self, step: Step, marked: Marked) -> Refusal | None:
        """What is stated is what the lines come to, and the bank's account holds what it paid."""
        paid = marked.units(OPEN_STATES, LineState.PAID)
        returned = marked.units((*OPEN_STATES, LineState.PAID), LineState.RETURNED)
        if (paid, returned) != (self.units, self.returned_units):
            return refuse(
                Status.AMOUNT_DIFFERS,
                computed=paid,
                stated=self.units,
                computed_returned=returned,
                stated_returned=self.returned_units,
            )
        sheet = marked.sheet
        at_bank = book.balance(step, book.bank_mirror(sheet.custodian, sheet.currency))
        if at_bank < paid:
            return refuse(Status.INSUFFICIENT_FUNDS, custodian=sheet.custodian, available=at_bank, needed=paid)
        back = marked.units((LineState.PAID,), LineState.RETURNED)
        if not book.has_room(step, sheet.custodian, sheet.currency, back):
            return refuse(Status.AMOUNT_OVERFLOW, currency=sheet.currency)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        before = step.get(WageSheet, sheet_id(self.plan, self.tranche))
        marked = step.once("marked", lambda: self._marked(step, before))
        if isinstance(marked, Refusal):
            raise InvariantViolation(f"{before.id} changed between check and apply")
        sheet = write(step, marked)
        bank_references.use(step, sheet.custodian, self.bank_reference, sheet.plan)
        transit = book.transit(sheet.custodian, sheet.currency, sheet.plan, sheet.tranche)
        mirror = book.bank_mirror(sheet.custodian, sheet.currency)
        told = (sheet.payer, sheet.payee, sheet.custodian)
        back = marked.units((LineState.PAID,), LineState.RETURNED)
        if self.units:
            yield book.move(step, transit, mirror, sheet.currency, self.units, sheet.plan, told)
        if back:
            yield book.move(step, mirror, transit, sheet.currency, back, sheet.plan, told)
        yield from self._tell(marked, told)
        if sheet.state is SheetState.DONE:
            yield DONE(sheet.plan, told, tranche=sheet.tranche, lines=sheet.lines)

    def _tell(self, marked: Marked, told: tuple[str, ...]) -> Iterator[Event]:
        """One event for each chunk and outcome, so that none grows with the sheet."""
        reasons = {each.line: each.reason for each in self.returned}
        for chunk in sorted(marked.lines):
            outcomes: dict[str, list[int]] = {}
            for number in marked.lines[chunk]:
                outcomes.setdefault(reasons.get(number, ""), []).append(number)
            for reason, numbers in sorted(outcomes.items()):
                common = {"tranche": self.tranche, "lines": ranges(numbers), "count": len(numbers)}
                if reason:
                    yield RETURNED(self.plan, told, **common, reason=reason)
                else:
                    yield PAID(self.plan, told, **common, bank_reference=self.bank_reference)
