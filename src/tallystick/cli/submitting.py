"""Handing a transaction in, or only part of the way: dry runs, signing apart, and saying what became of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallystick.cli.context import Desk, Stop
from tallystick.cli.output import Exit, pairs, table
from tallystick.cli.sentences import event_json, refusal_lines, sentence
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from tallystick.kernel.core.operation import Operation
    from tallystick.kernel.core.refusal import Fact
    from tallystick.node.session import Outcome, Submitted
    from tallystick.wire.envelope import Envelope
    from tallystick.wire.instants import Instant
    from tallystick.wire.status import Status


@dataclass(frozen=True, slots=True)
class Signing:
    """Who signs a transaction and how far it is to go. Members by id."""

    actor: str
    cosigners: tuple[str, ...] = ()
    transaction_id: str = ""
    not_after: "Instant | None" = None
    dry_run: bool = False
    sign_only: Path | None = None
    sign_with: tuple[str, ...] = ()


def submit_operations(at: Desk, operations: "tuple[Operation, ...]", signing: Signing) -> None:
    """Build, sign and hand in one transaction, and say what became of it; ends the command unless it took effect."""
    session = at.session
    body = session.body(operations, signing.actor, signing.cosigners, signing.transaction_id, signing.not_after)
    if signing.dry_run:
        _dry_run(at, body)
        return
    if signing.sign_only is not None:
        _sign_only(at, body, signing)
        return
    named = signing.sign_with
    envelope = session.sign(body, (signing.actor, *signing.cosigners), named=named)
    tell(at, session.hand_in(envelope))


def _dry_run(at: Desk, body: bytes) -> None:
    from tallystick.kernel.core import codec
    from tallystick.wire.status import Status

    result = at.session.dry_run(body).result
    if at.output.as_json:
        events = [codec.plain(event) for event in result.events]
        at.output.data({"outcome": "dry_run", **_status_json(result.status, result.facts), "events": events})
    elif result.status is Status.OK:
        at.output.show("[green]would be accepted[/] (nothing was handed in)")
        for event in result.events:
            at.output.console.print(f"  {sentence(at, event)}", markup=False)
    if result.status is not Status.OK:
        _say_refused(at, "would be refused", result.status, result.facts, body)
        raise Stop(Exit.REFUSED)


def _sign_only(at: Desk, body: bytes, signing: Signing) -> None:
    from tallystick.node.session import decode_body
    from tallystick.node.signing import KeysMissing
    from tallystick.wire.envelope import sign

    session = at.session
    operations = decode_body(body).operations
    keys = []
    waiting = []
    for organisation in (signing.actor, *signing.cosigners):
        try:
            keys.extend(session.signatories.keys_for(organisation, operations, signing.sign_with))
        except KeysMissing:
            waiting.append(organisation)
    try:
        keys.extend(session.signatories.introduced(operations))
    except KeysMissing as error:
        at.output.note(str(error))
    if not keys:
        raise KeysMissing("no key on this machine signs for any of the organisations")
    envelope = sign(body, *keys)
    write_envelope(signing.sign_only or Path("transaction.json"), envelope, replace=False)
    at.output.data(
        {
            "outcome": "signed",
            "file": str(signing.sign_only),
            "transaction": envelope.body_hash.hex(),
            "signatures": len(envelope.signatures),
            "still_to_sign": waiting,
        }
    )
    at.output.show(f"signed with {len(envelope.signatures)} key(s): {signing.sign_only}")
    for organisation in waiting:
        at.output.note(f"still to sign: {at.name(organisation)} (tally tx add-signature {signing.sign_only} --as ...)")


def write_envelope(path: Path, envelope: "Envelope", *, replace: bool) -> None:
    """Write a transaction file. Raises `DecodeError` where it stands already and is not to be replaced."""
    if path.exists() and not replace:
        raise DecodeError("the file exists already and is not written over", str(path))
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(envelope.to_bytes() + b"\n")
    draft.replace(path)


def _status_json(status: "Status", facts: "dict[str, Fact]") -> dict[str, Any]:
    return {"status": status.label, "number": status.number, "meaning": status.meaning, "facts": facts}


def outcome_json(outcome: "Outcome") -> dict[str, Any]:
    """An outcome for programs."""
    from tallystick.node.session import Committed, RefusedAtDoor

    match outcome:
        case Committed(height=height, index=index, status=status, facts=facts):
            return {"outcome": "committed", "height": height, "index": index, **_status_json(status, facts)}
        case RefusedAtDoor(status=status, facts=facts):
            return {"outcome": "refused_at_door", **_status_json(status, facts)}
        case _:
            return {"outcome": "unknown", "reason": outcome.reason}


def tell(at: Desk, done: "Submitted") -> None:
    """Say what became of a transaction that was handed in; ends the command unless it took effect."""
    from tallystick.node.session import Committed, RefusedAtDoor

    outcome = done.outcome
    at.output.data(
        {
            **outcome_json(outcome),
            "id": done.transaction_id,
            "actor": done.actor,
            "transaction": done.envelope.body_hash.hex(),
            "records": done.records,
            "events": [event_json(placed) for placed in done.events],
        }
    )
    match outcome:
        case Committed() if done.is_done:
            _say_done(at, done, outcome)
        case Committed():
            place = f"block {outcome.height}, transaction {outcome.index}"
            body = done.envelope.body
            _say_refused(at, "refused", outcome.status, outcome.facts, body, f"final, recorded in {place}")
            raise Stop(Exit.REFUSED)
        case RefusedAtDoor():
            body = done.envelope.body
            place = "not ordered; nothing was written"
            _say_refused(at, "refused at the door", outcome.status, outcome.facts, body, place)
            raise Stop(Exit.REFUSED)
        case _:
            details = [f"The signed transaction is kept in {done.kept_in}; hand the same in again:"]
            details.append(f"tally tx submit {done.kept_in}")
            at.output.problem(f"the outcome is unknown: {outcome.reason}", details=details)
            raise Stop(Exit.UNKNOWN)


def _say_done(at: Desk, done: "Submitted", place: Any) -> None:
    at.output.show(f"[green]done[/] in block {place.height}")
    if at.output.as_json:
        return
    rows = table("record", "what happened", keep=("record",))
    for placed in done.events:
        rows.add_row(placed.event.record, sentence(at, placed.event))
    if done.events:
        at.output.show(rows)
    at.output.show(pairs([("transaction", done.transaction_id), ("hash", done.envelope.body_hash.hex())]))


def _say_refused(at: Desk, how: str, status: "Status", facts: "dict[str, Fact]", body: bytes, place: str = "") -> None:
    from tallystick.node.session import decode_body

    details = refusal_lines(at, status, facts, decode_body(body).operations)
    if place:
        details.append(f"({place})")
    at.output.problem(f"{how}: {status.number} {status.label}", details=details)
