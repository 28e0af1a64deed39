"""The lines of a wage tranche, uploaded in chunks of 500 by the payer's maker and checker (工资表, 制单/复核)."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Currency, Hash, PlanId, Struct
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.plans import evidence
from tallystick.kernel.plans.escrow import amount_of
from tallystick.kernel.plans.lookup import check_tranche, version_of
from tallystick.kernel.plans.records import Phase, Plan, TrancheNumber
from tallystick.kernel.wages import rules
from tallystick.kernel.wages.records import (
    CHUNK_LINES,
    MAX_LINES,
    ChunkNumber,
    LineState,
    LineSum,
    SheetState,
    WageChunk,
    WageLine,
    WageSheet,
    chunk_id,
    chunks_of,
    first_line,
    lines_in,
    sheet_id,
)
from tallystick.kernel.wages.releasing import find_sheet
from tallystick.wire.amounts import ZERO, Units
from tallystick.wire.status import Status

UPLOADED = EventKind(
    "wage.lines_uploaded", "Chunk {chunk} of {chunks} of the wage sheet of tranche {tranche} of plan {record} came in."
)
COMPLETE = EventKind(
    "wage.sheet_complete",
    "The wage sheet of tranche {tranche} of plan {record} is complete: {lines} lines, {units} {currency}.",
)


class LineCommitment(Struct):
    """One worker's line as it is uploaded: salted commitments to the worker and the account, and the amount."""

    worker: Hash
    account: Hash
    units: Units


class UploadWageLines(Operation, tag="wage.lines"):
    """Upload one chunk of the lines of a wage tranche: 500 lines, the last chunk the rest.

    Signed by the payer, with a maker's and a checker's key. Every chunk states the whole sheet's number of lines and
    control sum. The chunk that completes the sheet must make both come out exactly; its sum is then what the tranche
    claims. Until then, or when the evidence was sent back, a chunk may be uploaded again in place of the former;
    `anew` drops all chunks and begins with other totals. Source: DOMAIN section 3, "Wage plan".
    """

    needs_four_eyes = True
    while_suspended = True

    plan: PlanId
    tranche: TrancheNumber
    currency: Currency
    units: Units
    count: Annotated[int, Meta(ge=1, le=MAX_LINES)]
    chunk: ChunkNumber
    lines: Annotated[tuple[LineCommitment, ...], Meta(min_length=1, max_length=CHUNK_LINES)]
    anew: bool = False

    def amount(self) -> tuple[str, Units] | None:
        return self.currency, self.units

    def authority(self, step: Step) -> Signers | Refusal:
        plan = step.find(Plan, self.plan)
        return refuse(Status.NOT_FOUND, plan=self.plan) if plan is None else Signers.all(plan.payer)

    def check(self, step: Step) -> Refusal | None:
        plan = step.get(Plan, self.plan)
        refusal = check_tranche(plan, self.tranche) or self._check_stated(step, plan)
        if refusal is not None:
            return refusal
        sheet = self._sheet(step)
        if sheet is not None and (sheet.lines, sheet.units) != (self.count, self.units):
            return refuse(Status.LINES_DIFFER, lines=sheet.lines, units=sheet.units, reason="other_totals")
        refusal = self._check_lines(step)
        if refusal is not None:
            return refusal
        judged = rules.judge(step, self.currency)
        if isinstance(judged, Refusal):
            return judged
        return self._check_sums(step, plan, sheet)

    def _check_stated(self, step: Step, plan: Plan) -> Refusal | None:
        """Whether a sheet of these totals can be this tranche's now, and the chunk one of the sheet's."""
        tranche = plan.tranches[self.tranche - 1]
        terms = version_of(step, plan).tranches[self.tranche - 1]
        if not terms.wages:
            return refuse(Status.BAD_VALUE, field="tranche", tranche=self.tranche, reason="not_for_wages")
        former = find_sheet(step, self.plan, self.tranche)
        claimed = former is not None and former.state is SheetState.COMPLETE
        if tranche.phase is not Phase.WAITING and (claimed or tranche.phase is not Phase.EVIDENCE_IN):
            return refuse(Status.WRONG_STATE, plan=plan.id, tranche=self.tranche, state=tranche.phase.value)
        if self.currency != plan.currency:
            return refuse(Status.CURRENCY_MISMATCH, plan=plan.currency, stated=self.currency)
        whole = amount_of(tranche, terms)
        if self.units > whole or (not terms.up_to and self.units < whole):
            return refuse(Status.AMOUNT_DIFFERS, computed=whole, stated=self.units)
        if self.chunk > chunks_of(self.count) or len(self.lines) != lines_in(self.count, self.chunk):
            return refuse(Status.LINES_DIFFER, lines=len(self.lines), chunk=self.chunk, reason="not_the_chunks_lines")
        return None

    def _check_lines(self, step: Step) -> Refusal | None:
        """No line without an amount, no worker twice, no account under two workers."""
        first = first_line(self.chunk)
        workers: dict[str, int] = {}
        accounts: dict[str, int] = {}
        for number, line in enumerate(self.lines, first):
            if not line.units:
                return refuse(Status.LINES_DIFFER, line=number, reason="amount_zero")
            if workers.setdefault(line.worker, number) != number:
                return refuse(Status.LINES_DIFFER, line=number, other=workers[line.worker], reason="worker_twice")
            if accounts.setdefault(line.account, number) != number:
                other = accounts[line.account]
                return rules.misused(step, self.currency, rules.Misuse.OWN_ACCOUNT, line=number, other=other)
        return None

    def _check_sums(self, step: Step, plan: Plan, sheet: WageSheet | None) -> Refusal | None:
        """The chunks that came never exceed the control sum, and all of them make it exactly."""
        chunks = self._chunks(sheet)
        came = Units(sum(chunks))
        complete = all(chunks)
        if came > self.units or (complete and came < self.units):
            return refuse(Status.LINES_DIFFER, computed=came, stated=self.units, reason="control_sum")
        if not complete:
            return None
        refusal = self._check_across(step)
        if refusal is not None:
            return refusal
        return evidence.check_claim(step, plan, version_of(step, plan), self.tranche, self.units)

    def _check_across(self, step: Step) -> Refusal | None:
        """Once all chunks are there: no worker and no account stands in two of them. Linear in the sheet's lines."""
        workers = {line.worker: number for number, line in enumerate(self.lines, first_line(self.chunk))}
        accounts = {line.account: number for number, line in enumerate(self.lines, first_line(self.chunk))}
        for chunk in range(1, chunks_of(self.count) + 1):
            if chunk == self.chunk:
                continue
            row = step.get(WageChunk, chunk_id(self.plan, self.tranche, chunk))
            for number, line in enumerate(row.lines, first_line(chunk)):
                other = workers.setdefault(line.worker, number)
                if other != number:
                    return refuse(Status.LINES_DIFFER, line=number, other=other, reason="worker_twice")
                other = accounts.setdefault(line.account, number)
                if other != number:
                    return rules.misused(step, self.currency, rules.Misuse.OWN_ACCOUNT, line=number, other=other)
        return None

    def _sheet(self, step: Step) -> WageSheet | None:
        """The sheet that the chunk is added to; none where it begins one."""
        return None if self.anew else find_sheet(step, self.plan, self.tranche)

    def _chunks(self, sheet: WageSheet | None) -> tuple[Units, ...]:
        """The sums of the chunks with this one in its place."""
        chunks = (ZERO,) * chunks_of(self.count) if sheet is None else sheet.chunks
        return (*chunks[: self.chunk - 1], Units(sum(line.units for line in self.lines)), *chunks[self.chunk :])

    def apply(self, step: Step) -> Iterator[Event]:
        plan = step.get(Plan, self.plan)
        sheet = self._sheet(step)
        if self.anew:
            self._drop(step)
        chunks = self._chunks(sheet)
        complete = all(chunks)
        judged = rules.judge(step, self.currency)
        version = version_of(step, plan)
        made = sheet or WageSheet(
            id=sheet_id(self.plan, self.tranche),
            plan=self.plan,
            tranche=self.tranche,
            payer=plan.payer,
            payee=plan.payee,
            custodian=plan.custodian,
            refund_account=version.terms.refund_account,
            currency=self.currency,
            lines=self.count,
            units=self.units,
            state=SheetState.UPLOADING,
            opened=step.position,
            chunks=chunks,
        )
        if complete:
            pending = LineSum(state=LineState.PENDING, lines=self.count, units=self.units)
            made = replace(
                made,
                state=SheetState.COMPLETE,
                completed=step.position,
                standing=(pending,),
                judged=None if isinstance(judged, Refusal) else judged,
            )
        step.put(replace(made, chunks=chunks))
        lines = tuple(WageLine(worker=line.worker, account=line.account, units=line.units) for line in self.lines)
        step.put(WageChunk(id=chunk_id(self.plan, self.tranche, self.chunk), lines=lines))
        told = (plan.payer, plan.payee, plan.platform)
        yield UPLOADED(plan.id, told, tranche=self.tranche, chunk=self.chunk, chunks=len(chunks), lines=len(lines))
        if complete:
            yield COMPLETE(
                plan.id,
                (*told, plan.custodian),
                tranche=self.tranche,
                lines=self.count,
                units=self.units,
                currency=self.currency,
            )
            yield from evidence.claim_by_sheet(step, plan, version, self.tranche, self.units)

    def _drop(self, step: Step) -> None:
        """Take away the chunks of the sheet that is begun anew."""
        former = find_sheet(step, self.plan, self.tranche)
        for number, units in enumerate(() if former is None else former.chunks, 1):
            if units:
                step.delete(step.get(WageChunk, chunk_id(self.plan, self.tranche, number)))
