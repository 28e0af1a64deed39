"""`tally import invoices` and `tally invoice fingerprint`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from tallystick.cli.context import NO_OPTIONS, Common, Stop, desk
from tallystick.cli.output import Exit, Output, pairs, table
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from tallystick.node.importing import Summary

app = App(name="import", help="Bring files in.")

KeyFile = Annotated[
    Path | None,
    Parameter(metavar="FILE", help="The key of invoice fingerprints in hexadecimal; else HOME/fingerprint.key."),
]
SHOWN = 10


@app.command
def invoices(
    file: Annotated[
        Path, Parameter(metavar="FILE", help="A CSV file with a header line, UTF-8; commas, semicolons or tabs.")
    ],
    /,
    *,
    actor: Annotated[str, Parameter(name="--as", metavar="ORG", help="Debtor or creditor: who requests.")],
    mapping: Annotated[
        str | None,
        Parameter(
            metavar="FIELD=COLUMN,...",
            help="Which column says what; a constant as FIELD==GBP, days added as due_on=COLUMN+60d; or @FILE.toml. "
            "Fields: number, code, seller, buyer, amount, total, currency, issue_on, invoiced_on, delivered_on, "
            "due_on, reason. Without it columns have these names.",
        ),
    ] = None,
    currency: Annotated[str, Parameter(show_default=False, help="The currency, where the file has no column.")] = "",
    fingerprint_key: KeyFile = None,
    limit: Annotated[int | None, Parameter(help="Only the first so many rows.")] = None,
    common: Common = NO_OPTIONS,
) -> None:
    """Bring a CSV file of invoices in as receivables: one request a row (开单).

    Good rows go in. Bad rows go to FILE.rejects.csv with their line and reason; the exit code is then 1. The same file
    may be imported again, also after an interruption: no invoice goes in twice.
    """
    from tallystick.cli.progress import progress
    from tallystick.cli.values import structured
    from tallystick.node.home import own_secret, read_secret
    from tallystick.node.importing import (
        FIELDS,
        InvoiceImport,
        read_mapping,
        read_rows,
    )
    from tallystick.node.tables import write_rejects

    with desk(common) as at:
        given = structured(mapping, "--mapping") if mapping is not None else _same_names(file, tuple(FIELDS))
        columns_of = read_mapping(given)
        columns, rows = read_rows(file, columns_of)
        if not currency and "currency" not in columns_of:
            raise DecodeError("the mapping gives no column for currency; give --currency", "mapping")
        key = read_secret(fingerprint_key) if fingerprint_key else own_secret(at.session.home.fingerprint_key)
        member = at.session.lookup.member(actor).id
        work = InvoiceImport(at.session, member, columns_of, key, currency)
        with progress(at.output, "importing", len(rows[:limit])) as advance:
            done = work.run(rows[:limit], advance)
        rejects = write_rejects(file, columns, done.rejected)
    _tell(common.output, done, rejects)


def _tell(output: Output, done: "Summary", rejects: Path) -> None:
    """Say what became of the rows; ends the command unless all are in."""
    output.data(
        {
            "rows": done.rows,
            "imported": done.imported,
            "already_in": done.already_in,
            "rejected": len(done.rejected),
            "unknown": done.unknown,
            "rejects_file": str(rejects) if done.rejected else None,
            "records": done.records,
            "rejects": [{"line": one.row.line, "reason": one.reason} for one in done.rejected],
        }
    )
    counts = {
        "rows": done.rows,
        "imported": done.imported,
        "already in": done.already_in,
        "rejected": len(done.rejected),
    }
    output.show(pairs([(name, f"{count:,}") for name, count in counts.items()]))
    if done.rejected:
        rejected = table("line", "why it did not go in", right=("line",))
        for one in done.rejected[:SHOWN]:
            rejected.add_row(str(one.row.line), one.reason)
        output.show(rejected)
        output.note(f"all {len(done.rejected):,} rejected rows with their reasons: {rejects}")
    if done.unknown:
        output.problem(f"the outcome of {done.unknown:,} rows is unknown; run the same import again")
        raise Stop(Exit.UNKNOWN)
    if done.rejected:
        raise Stop(Exit.REFUSED)


def _same_names(file: Path, fields: tuple[str, ...]) -> dict[str, object]:
    """Columns that have the fields' own names."""
    from tallystick.node.importing import read_rows
    from tallystick.node.tables import delimiter_of

    try:
        first = file.open(encoding="utf-8-sig").readline()
    except (OSError, UnicodeDecodeError):
        read_rows(file, {})
        raise
    names = [name.strip().strip('"') for name in first.split(delimiter_of(first))]
    return {name: name for name in fields if name in names}


def fingerprint(
    *,
    seller: Annotated[str, Parameter(help="The seller's legal name.")],
    buyer: Annotated[str, Parameter(help="The buyer's legal name.")],
    number: Annotated[str, Parameter(help="The invoice's number.")],
    code: Annotated[str, Parameter(help="The invoice's code, where it has one.", show_default=False)] = "",
    fingerprint_key: KeyFile = None,
    common: Common = NO_OPTIONS,
) -> None:
    """The keyed fingerprint of an invoice, as an auditor recomputes it from the document.

    The spelling of names does not matter: width, spacing, case and legal forms are made alike.
    """
    from tallystick.node.fingerprints import fingerprint as keyed
    from tallystick.node.home import own_secret, read_secret

    home = common.find_home()
    key = read_secret(fingerprint_key) if fingerprint_key else own_secret(home.fingerprint_key)
    made = keyed(key, seller, buyer, code, number)
    common.output.data({"fingerprint": made})
    common.output.show(made)
