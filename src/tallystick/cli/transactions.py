"""`tally op`, `tally tx`, `tally replay`, `tally result`: transactions as files, and what became of them."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from tallystick.cli.context import NO_OPTIONS, Common, Desk, Stop, desk
from tallystick.cli.output import Exit, pairs, table
from tallystick.cli.submitting import outcome_json, tell, write_envelope
from tallystick.cli.who import Who
from tallystick.wire import envelope as envelopes
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from tallystick.node.session import Outcome
    from tallystick.wire.envelope import Envelope

REPLAY_BATCH = 500

app = App(name="tx", help="Transaction files: look at them, add signatures, hand them in.")

TransactionFile = Annotated[Path, Parameter(help="A transaction file, as --sign-only writes it.", metavar="FILE")]


def op(
    file: Annotated[Path, Parameter(help="One operation, or a list of them, as JSON or TOML.", metavar="FILE")],
    /,
    *,
    who: Who,
    common: Common = NO_OPTIONS,
) -> None:
    """Run operations as they stand in a file, all or none.

    Each is an object with "op" and the operation's fields in the form in which the ledger keeps them: amounts as
    strings of minor units, members by id (docs/reference/operations.md).
    """
    from tallystick.cli.operations import signing_of
    from tallystick.cli.submitting import submit_operations

    operations = _read_operations(file)
    with desk(common, reading=who.only_looks) as at:
        submit_operations(at, operations, signing_of(at, who))


def _read_operations(file: Path) -> Any:
    from tallystick.cli.values import decoded, structured
    from tallystick.kernel.operations import OPERATIONS

    kinds = {str(one.__struct_config__.tag): one for one in OPERATIONS}
    value = structured(f"@{file}", "FILE")
    items = value if isinstance(value, list) else [value]
    read = []
    for number, item in enumerate(items):
        where = f"{file}, operation {number}"
        if not isinstance(item, dict) or item.get("op") not in kinds:
            raise DecodeError('an object whose "op" names an operation is expected', where)
        try:
            read.append(decoded(kinds[item["op"]], item, {}))
        except DecodeError as error:
            raise DecodeError(error.what, f"{where}, {error.where}" if error.where else where) from None
    return tuple(read)


def _read_file(path: Path) -> "Envelope":
    try:
        raw = path.read_bytes().removesuffix(b"\n")
    except OSError as error:
        raise DecodeError(f"can't be read: {error.strerror}", str(path)) from None
    return envelopes.parse(raw, str(path))


@app.command
def show(file: TransactionFile, /, *, common: Common = NO_OPTIONS) -> None:
    """Show what a transaction file asks, and who has signed it."""
    from tallystick.kernel.core import codec
    from tallystick.node.session import decode_body
    from tallystick.wire.keys import to_base64

    envelope = _read_file(file)
    with desk(common, reading=True) as at:
        body = decode_body(envelope.body).body
        signers = [(key := to_base64(s.key), at.session.lookup.owner_of(key)) for s in envelope.signatures]
        operations = [codec.plain(operation) for operation in body.operations]
        fault = envelope.fault()
        at.output.data(
            {
                "transaction": envelope.body_hash.hex(),
                "id": body.id,
                "actor": body.actor,
                "cosigners": list(body.cosigners),
                "not_after": str(body.not_after),
                "operations": operations,
                "signatures": [{"key": key, "organisation": owner} for key, owner in signers],
                "fault": fault or "",
            }
        )
        at.output.show(
            pairs(
                [
                    ("transaction", body.id),
                    ("hash", envelope.body_hash.hex()),
                    ("acting", at.name(body.actor)),
                    ("signing with", ", ".join(at.name(one) for one in body.cosigners) or "-"),
                    ("not after", at.time(body.not_after, seconds=True)),
                    ("signatures", "hold" if fault is None else f"[red]{fault}[/]"),
                ]
            )
        )
        rows = table("signed by", "key", keep=("key",))
        for key, owner in signers:
            rows.add_row(at.name(owner) if owner else "a key that is not on the ledger yet", key)
        at.output.show(rows)
        if not common.json:
            for operation in operations:
                at.output.console.print_json(data=operation)


@app.command
def add_signature(
    file: TransactionFile,
    /,
    *,
    actor: Annotated[str, Parameter(name="--as", metavar="ORG", help="The organisation that signs.")],
    sign_with: Annotated[
        list[str] | None,
        Parameter(name="--sign-with", negative="", metavar="KEY", help="Sign with this key (its name here); repeat."),
    ] = None,
    common: Common = NO_OPTIONS,
) -> None:
    """Add an organisation's signatures to a transaction file, with the keys that its signing policy asks for.

    Look at it first: `tally tx show FILE`.
    """
    from tallystick.node.session import decode_body
    from tallystick.wire.envelope import sign_body

    envelope = _read_file(file)
    with desk(common, reading=True) as at:
        transaction = decode_body(envelope.body)
        member = at.session.lookup.member(actor).id
        if member not in transaction.organisations:
            raise DecodeError(f"{at.name(member)} is not among the organisations that sign this transaction", str(file))
        keys = at.session.signatories.keys_for(member, transaction.operations, tuple(sign_with or ()))
        signed = envelope.with_signatures(*(sign_body(envelope.body, key) for key in keys))
        write_envelope(file, signed, replace=True)
        at.output.data({"file": str(file), "transaction": signed.body_hash.hex(), "signatures": len(signed.signatures)})
        at.output.show(f"signed for {at.name(member)}: {len(signed.signatures)} signature(s) in {file}")


@app.command
def submit(file: TransactionFile, /, *, common: Common = NO_OPTIONS) -> None:
    """Hand a signed transaction in. Handing the same file in again does nothing twice: it answers with the receipt."""
    envelope = _read_file(file)
    with desk(common) as at:
        tell(at, at.session.hand_in(envelope))


def result(
    transaction: Annotated[str, Parameter(help="The transaction's hash, or a transaction file.", metavar="HASH|FILE")],
    /,
    *,
    common: Common = NO_OPTIONS,
) -> None:
    """Say what became of a transaction."""
    from tallystick.cli.sentences import facts_line
    from tallystick.kernel.transaction import read_checked

    body_hash = _hash_of(transaction)
    with desk(common, reading=True) as at:
        found = at.session.engine.result(body_hash)
        if found is None:
            at.output.data({"outcome": "none", "transaction": body_hash.hex()})
            at.output.problem("no transaction with this hash was ordered on this ledger", details=[body_hash.hex()])
            raise Stop(Exit.UNKNOWN)
        events = at.session.events_of(found)
        operations = read_checked(at.session.engine.transactions(found.height)[found.index]).operations
        at.output.data({**outcome_json(found), "transaction": body_hash.hex(), "events": len(events)})
        at.output.show(
            pairs(
                [
                    ("status", f"{found.status.number} {found.status.label}"),
                    ("meaning", found.status.meaning),
                    ("place", f"block {found.height}, transaction {found.index}"),
                    ("facts", facts_line(at, found.facts, operations) or "-"),
                    ("records", ", ".join(dict.fromkeys(placed.event.record for placed in events)) or "-"),
                ]
            )
        )


def _hash_of(text: str) -> bytes:
    if Path(text).is_file():
        return _read_file(Path(text)).body_hash
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise DecodeError("neither a file nor a hash of 64 hexadecimal digits", text[:80])
    return raw


def replay(
    file: Annotated[Path, Parameter(help="Signed transactions, one JSON envelope a line.", metavar="FILE")],
    /,
    *,
    common: Common = NO_OPTIONS,
) -> None:
    """Hand in a file of signed transactions, in order, and count what became of them.

    Transactions that were ordered before answer with their receipts, so a replay may be interrupted and run again.
    """
    lines = _lines(file)
    with desk(common) as at:
        counts, places = _replay(at, lines)
    at.output.data({"file": str(file), "transactions": len(lines), "by_status": dict(counts), "refused_lines": places})
    rows = table("outcome", "transactions", right=("transactions",))
    for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        rows.add_row(name, f"{count:,}")
    at.output.show(rows)
    if "unknown" in counts:
        raise Stop(Exit.UNKNOWN)
    if places:
        first = ", ".join(f"line {line} {status}" for line, status in list(places.items())[:5])
        at.output.note(f"not done: {first}{' ...' if len(places) > 5 else ''}")
        raise Stop(Exit.REFUSED)


def _lines(file: Path) -> list[tuple[int, bytes]]:
    """The file's transactions with their line numbers. Nothing is handed in where one can't be read."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DecodeError(f"can't be read: {error.strerror}", str(file)) from None
    lines = [(number, line) for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]
    for number, line in lines:
        envelopes.parse(line, f"{file}, line {number}")
    return lines


def _replay(at: Desk, lines: list[tuple[int, bytes]]) -> tuple[Counter[str], dict[int, str]]:
    from tallystick.cli.progress import progress

    counts: Counter[str] = Counter()
    places: dict[int, str] = {}
    with progress(at.output, "replaying", len(lines)) as advance:
        for batch in _batches(lines):
            outcomes = at.session.engine.submit_many([line for _, line in batch])
            for (number, _), outcome in zip(batch, outcomes, strict=True):
                name = outcome_name(outcome)
                counts[name] += 1
                if name != "ok":
                    places[number] = name
            advance(len(batch))
    return counts, places


def _batches(lines: list[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    for start in range(0, len(lines), REPLAY_BATCH):
        yield lines[start : start + REPLAY_BATCH]


def outcome_name(outcome: "Outcome") -> str:
    """The status, or `unknown`."""
    from tallystick.node.session import Unknown

    return "unknown" if isinstance(outcome, Unknown) else outcome.status.label
