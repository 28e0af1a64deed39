"""`tally wage ...`: payroll files in, the bank's results and corrections from files, and a look at a sheet."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tallystick.cli.context import NO_OPTIONS, Common, Desk, Stop, desk
from tallystick.cli.output import Exit, pairs, table
from tallystick.cli.who import WHO, Who
from tallystick.kernel.plans.records import Plan
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from tallystick.kernel.wages.records import WageSheet
    from tallystick.node.tables import Rejected
    from tallystick.node.wage_lines import Committing
    from tallystick.node.wage_sheets import Sheet, Upload, Uploaded

PlanId = Annotated[str, Parameter(metavar="PLAN", help="The plan's id, or its beginning.")]
Number = Annotated[int, Parameter(metavar="TRANCHE", help="The number of its wage tranche.")]
KeyFile = Annotated[
    Path | None,
    Parameter(metavar="FILE", help="The key from which lines are salted, in hexadecimal; else HOME/wages.key."),
]
SHOWN = 10


def lines(
    plan: PlanId,
    tranche: Number,
    file: Annotated[
        Path,
        Parameter(
            metavar="FILE",
            help="A CSV file with a header line, UTF-8: name (姓名), identity (身份证号), account (银行账号), "
            "bank (开户行), amount (金额); identity_kind (证件类型) where it is no resident identity number.",
        ),
    ],
    /,
    *,
    actor: Annotated[str, Parameter(name="--as", metavar="ORG", group=WHO, help="The payer.")],
    anew: Annotated[
        bool, Parameter(negative="", show_default=False, help="Begin again where a sheet with other totals was begun.")
    ] = False,
    dry_run: Annotated[
        bool, Parameter(negative="", group=WHO, show_default=False, help="Check the file; hand nothing in.")
    ] = False,
    sign_only: Annotated[
        Path | None,
        Parameter(metavar="DIR", group=WHO, help="Sign with the keys here, write the chunks to DIR, hand nothing in."),
    ] = None,
    sign_with: Annotated[
        list[str] | None,
        Parameter(negative="", metavar="KEY", group=WHO, help="Sign with this key (its name here); repeat."),
    ] = None,
    wage_key: KeyFile = None,
    common: Common = NO_OPTIONS,
) -> None:
    """Upload the lines of a wage tranche from a payroll file, in chunks of 500 (工资表上传).

    Every line is checked first: with one that can't go in, none goes in, and FILE.rejects.csv says which and why. Names
    and accounts stay here; the ledger gets salted commitments. The same file again, also after an interruption, doubles
    nothing. A maker's and a checker's key must sign; where they are not both on this machine, --sign-only.
    """
    from tallystick.cli.progress import progress
    from tallystick.node.wage_lines import read_payroll
    from tallystick.node.wage_sheets import Upload

    with desk(common, reading=dry_run or sign_only is not None) as at:
        sheet = _sheet(at, plan, tranche)
        payroll = read_payroll(file, at.session.lookup.minor_digits(sheet.plan.currency))
        _stop_at_rejects(at, file, payroll.columns, payroll.rejected, len(payroll.lines) + len(payroll.rejected))
        upload = Upload(at.session, sheet, payroll, _committing(at, sheet, wage_key), anew=anew)
        if dry_run:
            _tell_upload(at, upload, None)
            return
        member = at.session.lookup.member(actor).id
        named = tuple(sign_with or ())
        if sign_only is not None:
            _write_signed(at, upload, member, named, sign_only)
            return
        with progress(at.output, "uploading", upload.chunks) as advance:
            done = upload.run(member, advance, named)
        _tell_upload(at, upload, done)


def line_result(
    plan: PlanId,
    tranche: Number,
    file: Annotated[
        Path,
        Parameter(
            metavar="FILE", help="A CSV file: line, result (paid or returned, 成功 or 失败), reason of a return."
        ),
    ],
    /,
    *,
    bank_reference: Annotated[str, Parameter(help="The bank's reference of the batch; used once, for ever.")],
    who: Who,
    common: Common = NO_OPTIONS,
) -> None:
    """Report what the bank did with lines of a released sheet, from its result file (代发结果).

    Lines are named by their number in the sheet. With a row that can't be read, nothing is reported, and
    FILE.rejects.csv says which and why.
    """
    from tallystick.cli.operations import signing_of
    from tallystick.cli.submitting import submit_operations
    from tallystick.node.wage_lines import read_results
    from tallystick.node.wage_sheets import report_of

    with desk(common, reading=who.only_looks) as at:
        sheet = _sheet(at, plan, tranche)
        columns, results, rejected = read_results(file)
        _stop_at_rejects(at, file, columns, rejected, len(results) + len(rejected))
        submit_operations(at, (report_of(sheet, results, bank_reference),), signing_of(at, who))


def line_correct(
    plan: PlanId,
    tranche: Number,
    file: Annotated[
        Path,
        Parameter(metavar="FILE", help="A CSV file: line (its number in the sheet), name, identity, account, bank."),
    ],
    /,
    *,
    who: Who,
    wage_key: KeyFile = None,
    common: Common = NO_OPTIONS,
) -> None:
    """Correct the accounts of returned lines and send them again, from a file (更正重发).

    Each line names its own worker, as it was uploaded; no other line is touched.
    """
    from tallystick.cli.operations import signing_of
    from tallystick.cli.submitting import submit_operations
    from tallystick.node.wage_lines import read_corrections
    from tallystick.node.wage_sheets import corrections_of

    with desk(common, reading=who.only_looks) as at:
        sheet = _sheet(at, plan, tranche)
        sheet.standing()
        columns, corrections, rejected = read_corrections(file)
        made = corrections_of(sheet, corrections, _committing(at, sheet, wage_key))
        _stop_at_rejects(at, file, columns, rejected + made.rejected, len(corrections) + len(rejected))
        submit_operations(at, tuple(made.operations), signing_of(at, who))


def share(
    plan: PlanId,
    tranche: Number,
    file: Annotated[Path, Parameter(metavar="FILE", help="The payroll file, or the file of corrected lines.")],
    /,
    *,
    to: Annotated[Path, Parameter(metavar="FILE", help="Where the lines with their salts go.")],
    wage_key: KeyFile = None,
    common: Common = NO_OPTIONS,
) -> None:
    """Write uploaded lines with their salts to a file, for the custodian that pays them.

    Whoever has it can check each line against the ledger (`tally wage check`). It holds names and accounts: hand it
    over as you would the payroll itself.
    """
    from tallystick.node.home import write_private
    from tallystick.node.tables import read_table, table_bytes
    from tallystick.node.wage_lines import Correction, PayrollLine, read_corrections, read_payroll
    from tallystick.node.wage_sheets import SHARED_COLUMNS, shared_rows

    with desk(common, reading=True) as at:
        sheet = _sheet(at, plan, tranche)
        sheet.standing()
        wanted: Sequence[Correction | PayrollLine]
        columns, _ = read_table(file)
        if "line" in columns:
            columns, wanted, rejected = read_corrections(file)
        else:
            payroll = read_payroll(file, at.session.lookup.minor_digits(sheet.plan.currency))
            wanted, rejected = payroll.lines, payroll.rejected
        _stop_at_rejects(at, file, columns, rejected, len(wanted) + len(rejected), "nothing was written")
        rows = list(shared_rows(sheet, wanted, _committing(at, sheet, wage_key)))
        write_private(to, table_bytes(SHARED_COLUMNS, rows))
        at.output.data({"lines": len(rows), "file": str(to)})
        at.output.show(f"{len(rows):,} lines with their salts: {to}")


def check(
    plan: PlanId,
    tranche: Number,
    file: Annotated[Path, Parameter(metavar="FILE", help="A file that `tally wage share` wrote.")],
    /,
    *,
    common: Common = NO_OPTIONS,
) -> None:
    """Whether shared lines are those on the ledger: worker, account and amount of each. No key is needed."""
    from tallystick.node.tables import read_table
    from tallystick.node.wage_sheets import check_shared

    with desk(common, reading=True) as at:
        sheet = _sheet(at, plan, tranche)
        row = sheet.standing()
        found = check_shared(sheet, file)
        rows = found.lines + len(found.rejected)
        _stop_at_rejects(at, file, read_table(file)[0], found.rejected, rows, "pay none of these by this file")
        amount = at.money(found.units, row.currency)
        at.output.data({"lines": found.lines, "of": row.lines, "units": str(int(found.units))})
        at.output.show(f"[green]as on the ledger[/]: {found.lines:,} of {row.lines:,} lines, {amount}")


def show(
    plan: PlanId,
    tranche: Number,
    /,
    *,
    every: Annotated[
        bool,
        Parameter(name="--all", negative="", show_default=False, help="List every line, also those without trouble."),
    ] = False,
    common: Common = NO_OPTIONS,
) -> None:
    """Show a wage sheet: how many lines in which state, and each line that was returned, corrected or withdrawn."""
    from tallystick.kernel.wages.records import LineState, state_of

    with desk(common, reading=True) as at:
        sheet = _sheet(at, plan, tranche)
        row = sheet.standing()
        listed = []
        for number, line in sheet.lines():
            state = state_of(row, line)
            if every or line.attempt > 1 or state in (LineState.RETURNED, LineState.WITHDRAWN):
                listed.append((number, line, state.value))
        at.output.data(
            {
                **_sheet_json(row),
                "listed": [
                    {
                        "line": number,
                        "state": state,
                        "units": str(int(line.units)),
                        "attempt": line.attempt,
                        "reason": line.reason,
                    }
                    for number, line, state in listed
                ],
            }
        )
        at.output.show(pairs(_sheet_pairs(at, row)))
        counts = table("state", "lines", row.currency, right=("lines", row.currency))
        for each in row.standing:
            counts.add_row(each.state.value, f"{each.lines:,}", at.amount(each.units, row.currency))
        if row.standing:
            at.output.show(counts)
        if listed:
            rows = table(
                "line", "state", row.currency, "sent", "returned because", right=("line", row.currency, "sent")
            )
            for number, line, where in listed:
                amount = at.amount(line.units, row.currency)
                rows.add_row(str(number), where, amount, str(line.attempt), line.reason or "")
            at.output.show(rows)


def _sheet(at: Desk, plan: str, number: int) -> "Sheet":
    from tallystick.node.wage_sheets import Sheet

    found = at.session.lookup.record(plan)
    if not isinstance(found, Plan):
        raise DecodeError(f"this is a {found.table}, not a plan", "PLAN")
    return Sheet(at.session, found, number)


def _committing(at: Desk, sheet: "Sheet", key_file: Path | None) -> "Committing":
    from tallystick.node.home import own_secret, read_secret
    from tallystick.node.wage_lines import Committing

    key = read_secret(key_file) if key_file is not None else own_secret(at.session.home.wage_key)
    return Committing(key, at.session.engine.chain_id, sheet.plan.id, sheet.number)


def _stop_at_rejects(
    at: Desk, file: Path, columns: list[str], rejected: "list[Rejected]", rows: int, so: str = "nothing was handed in"
) -> None:
    """Say which rows are wrong, and `so` what follows, and end the command. An older file of rejects goes."""
    from tallystick.node.tables import write_rejects

    rejected = sorted(rejected, key=lambda one: one.row.line)
    target = write_rejects(file, columns, rejected)
    if not rejected:
        return
    at.output.data(
        {
            "outcome": "rejected",
            "rows": rows,
            "rejected": len(rejected),
            "rejects_file": str(target),
            "rejects": [{"line": one.row.line, "reason": one.reason} for one in rejected],
        }
    )
    wrong = table("line of the file", "what is wrong", right=("line of the file",))
    for one in rejected[:SHOWN]:
        wrong.add_row(str(one.row.line), one.reason)
    at.output.show(wrong)
    at.output.problem(
        f"{len(rejected):,} of {rows:,} lines are not as they must be; {so}",
        details=[f"all of them with their reasons: {target}"],
    )
    raise Stop(Exit.BAD_INPUT)


def _write_signed(at: Desk, upload: "Upload", member: str, named: tuple[str, ...], directory: Path) -> None:
    """Chunks that are not on the ledger yet, each a transaction file for the other key's signature."""
    from tallystick.cli.submitting import write_envelope

    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for operation in upload.operations():
        target = directory / f"chunk-{operation.chunk:03d}.json"
        write_envelope(target, upload.signed(operation, member, named), replace=False)
        files.append(str(target))
    at.output.data({"outcome": "signed", "files": files})
    at.output.show(f"{len(files)} chunks signed: {directory}")
    at.output.note("the other key: tally tx add-signature FILE --as ..., then tally tx submit FILE, in this order")


def _tell_upload(at: Desk, upload: "Upload", done: "Uploaded | None") -> None:
    """Say what became of the chunks; ends the command unless all are in."""
    from tallystick.cli.submitting import outcome_json

    plan = upload.sheet.plan
    counts = {} if done is None else {"handed_in": done.handed_in, "already_in": done.already_in}
    outcome = None if done is None or done.operation is None else done.outcome
    row = upload.sheet.row
    at.output.data(
        {
            "lines": upload.count,
            "units": str(int(upload.units)),
            "chunks": upload.chunks,
            **counts,
            "sheet": None if row is None else row.state.value,
            "stopped": None if outcome is None else outcome_json(outcome),
        }
    )
    shown = [("lines", f"{upload.count:,}"), ("control sum", at.money(upload.units, plan.currency))]
    shown += [(name.replace("_", " "), f"{count} of {upload.chunks} chunks") for name, count in counts.items()]
    if row is not None:
        shown.append(("sheet", row.state.value))
    at.output.show(pairs(shown))
    if done is not None and done.operation is not None:
        _stop_at_outcome(at, done)


def _stop_at_outcome(at: Desk, done: "Uploaded") -> None:
    from tallystick.cli.sentences import refusal_lines
    from tallystick.node.session import Unknown

    if done.operation is None or done.outcome is None:
        return
    chunk = done.operation.chunk
    if isinstance(done.outcome, Unknown):
        at.output.problem(f"the outcome of chunk {chunk} is unknown; run the same command again")
        raise Stop(Exit.UNKNOWN)
    status, facts = done.outcome.status, done.outcome.facts
    lines = refusal_lines(at, status, facts, (done.operation,))
    at.output.problem(f"chunk {chunk} was refused: {status.number} {status.label}", details=lines)
    raise Stop(Exit.REFUSED)


def _sheet_json(row: "WageSheet") -> dict[str, Any]:
    return {
        "plan": row.plan,
        "tranche": row.tranche,
        "state": row.state.value,
        "currency": row.currency,
        "lines": row.lines,
        "units": str(int(row.units)),
        "chunks": len(row.chunks),
        "chunks_missing": [number for number, units in enumerate(row.chunks, 1) if not units],
        "open_units": str(int(row.open_units)),
        "deadline": None if row.deadline is None else str(row.deadline),
        "standing": {each.state.value: {"lines": each.lines, "units": str(int(each.units))} for each in row.standing},
    }


def _sheet_pairs(at: Desk, row: "WageSheet") -> list[tuple[str, str]]:
    came = sum(1 for units in row.chunks if units)
    shown = [
        ("plan", f"{row.plan}, tranche {row.tranche}"),
        ("payer", at.name(row.payer)),
        ("paid by", at.name(row.custodian)),
        ("sheet", f"{row.state.value}, {came} of {len(row.chunks)} chunks"),
        ("control sum", f"{row.lines:,} lines, {at.money(row.units, row.currency)}"),
    ]
    if row.is_open:
        shown.append(("still owed to workers", at.money(row.open_units, row.currency)))
        shown.append(("told again at", at.time(row.deadline)))
    return shown
