"""The verifier as a command, for `tally verify` and as one file that needs no package of ours (`make verifier`).

    python3 tallystick-verify.pyz BUNDLE.json --genesis genesis.json

Exit codes: 0 all holds; 1 something is not proven; 2 a file can't be read; 3 what the bundle shows holds, but it does
not show all steps of the record that it is about.
"""

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from tallystick.proof.evidence.bundle import Json
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.genesis import Genesis
from tallystick.proof.evidence.timeline import Words, timeline
from tallystick.proof.evidence.trust import Trusted, TrustedHeader
from tallystick.proof.evidence.verifier import Report, verify
from tallystick.wire.errors import DecodeError

NOT_PROVEN, UNREADABLE = 1, 2
WIDTH = 110
BESIDE = frozenset({"member", "key", "currency", "revision", "closed", "plan_version", "parcel"})
"""Tables whose rows say who and under what, and are not told one by one."""


def main(words: Sequence[str] | None = None, out: TextIO | None = None) -> int:
    """Verify the bundle that the words name, and say so; returns the exit code."""
    asked = _parser().parse_args(words)
    to = sys.stdout if out is None else out
    try:
        report = verify(_read(asked.bundle), _trusted(asked))
        written = [] if asked.documents is None else _write_documents(report, asked.documents)
    except NotProven as error:
        _say_not_proven(error, asked.json, to)
        return NOT_PROVEN
    except (DecodeError, OSError) as error:
        _say_unreadable(error, asked.json, to)
        return UNREADABLE
    if asked.json:
        _write_json({**as_json(report), "written": written}, to)
    else:
        for line in as_text(report, written):
            to.write(line + "\n")
    return report.verdict.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tallystick-verify", description="Check an evidence bundle offline, against what you trust."
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the evidence bundle")
    trusted = parser.add_mutually_exclusive_group(required=True)
    trusted.add_argument("--genesis", type=Path, metavar="FILE", help="the chain's genesis, from a source you trust")
    trusted.add_argument(
        "--trusted-header", type=Path, metavar="FILE", help="or a header with its commit and validators, as JSON"
    )
    parser.add_argument(
        "--documents", type=Path, metavar="DIR", help="write the bundle's documents into this directory"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def _trusted(asked: argparse.Namespace) -> Trusted:
    if asked.genesis is not None:
        return Genesis.from_bytes(_read(asked.genesis), str(asked.genesis))
    return TrustedHeader.from_bytes(_read(asked.trusted_header), str(asked.trusted_header))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DecodeError(f"can't be read: {error.strerror}", str(path)) from None


def _write_documents(report: Report, directory: Path) -> list[str]:
    """The bundle's documents as files named by their anchors."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for one in report.bundle.documents:
        path = directory / one.hash.hex()
        path.write_bytes(one.content)
        paths.append(str(path))
    return paths


def _say_not_proven(error: NotProven, as_json: bool, out: TextIO) -> None:
    if as_json:
        _write_json({"holds": False, "check": error.check, "where": error.where, "what": error.what}, out)
    else:
        out.write(f"NOT PROVEN\n  check  {error.check}\n  where  {error.where}\n  what   {error.what}\n")


def _say_unreadable(error: Exception, as_json: bool, out: TextIO) -> None:
    if as_json:
        _write_json({"holds": False, "error": str(error)}, out)
    else:
        sys.stderr.write(f"error: {error}\n")


def _write_json(value: object, out: TextIO) -> None:
    json.dump(value, out, ensure_ascii=False, indent=1)
    out.write("\n")


def as_text(report: Report, written: Sequence[str] = ()) -> Iterator[str]:
    """The report for people: what happened first, then what stands, what was checked, and who attests it."""
    verdict = report.verdict
    yield f"{verdict.about}  on chain {verdict.chain_id}"
    if verdict.is_sandbox:
        yield "SANDBOX: for practice; its clock may have been set forward"
    yield "\nWhat happened (times of the block headers, UTC)"
    for line in timeline(report):
        by = f"  [{', '.join(line.by)}]" if line.by else "  [by itself]"
        said = f"{line.when}  {line.place:>9}  {line.what}{by}"
        yield from textwrap.wrap(said, WIDTH, initial_indent="  ", subsequent_indent=" " * 35)
    yield f"\nWhat stands after block {verdict.height}"
    yield from (f"  {line}" for line in present(report))
    yield "\nWhat was checked, and holds"
    yield from (f"  {line}" for line in checked(report))
    yield from (f"  written: {path}" for path in written)
    if report.unproven:
        yield "\nWhat rests on the state alone, as the steps of other records' own stories are not in this file"
        for said in beside(report):
            yield from textwrap.wrap(said, WIDTH, initial_indent="  ", subsequent_indent="    ")
    yield "\nThe verdict"
    for said in verdict.lines:
        yield from textwrap.wrap(said, WIDTH, initial_indent="  ", subsequent_indent="  ")
    yield "\nPROVEN" if verdict.exit_code == 0 else "\nPROVEN IN PART: what is shown holds, and steps of it are missing"


def present(report: Report) -> list[str]:
    """The subject's state, and that of what else the bundle shows; of a receivable, who holds which units."""
    words = Words(report.records)
    lines = []
    for key, value in report.records.items():
        if key.partition("/")[0] in BESIDE:
            continue
        lines.append(f"{key}: {_state_of(value)}")
        for one in report.holdings:
            if key == f"receivable/{one.receivable}":
                locked = "".join(f", {kind} {span[0]}..{span[1]}" for span, kind in one.locked)
                lines.append(f"  units {one.first}..{one.last}: {words.name(one.holder)}{locked}")
    return lines


def beside(report: Report) -> list[str]:
    """What is not shown, by record: which of its steps."""
    words = Words(report.records)
    found: dict[str, dict[str, int]] = {}
    for one in report.unproven:
        rules = found.setdefault(one.where, {})
        rules[one.rule] = rules.get(one.rule, 0) + 1
    return [
        f"{words.name(where)}: "
        + ", ".join(rule if count == 1 else f"{rule} ({count})" for rule, count in rules.items())
        for where, rules in found.items()
    ]


def _state_of(value: Json) -> str:
    if value is None:
        return "does not exist"
    state = value.get("state") if isinstance(value, dict) else None
    return state if isinstance(state, str) else "stands"


def checked(report: Report) -> list[str]:
    """What was looked at, with its numbers."""
    bundle = report.bundle
    signatures = sum(len(_signatures(one.envelope)) for one in bundle.transactions)
    commits = sum(block.commit is not None for block in bundle.blocks)
    held = f"{signatures} signatures by keys in force there, by each organisation's own policy"
    return [
        f"{len(bundle.blocks)} headers, linked and committed ({commits} commits), back to the trusted validators",
        f"{len(bundle.transactions)} transactions in their blocks with their results; {held}",
        f"{len(bundle.due_work)} pieces of work that blocks did by themselves",
        f"{len(bundle.records)} records in the state after block {bundle.height}, each step by whoever had to",
        *(
            f"document {anchor[:16]}: its bytes are anchored in {', '.join(at)}"
            for anchor, at in report.documents.items()
        ),
    ]


def _signatures(envelope: Json) -> list[Json]:
    listed = envelope.get("signatures") if isinstance(envelope, dict) else None
    return listed if isinstance(listed, list) else []


def as_json(report: Report) -> dict[str, object]:
    """The report for programs."""
    verdict = report.verdict
    return {
        "holds": True,
        "whole": verdict.is_whole,
        "about": verdict.about,
        "chain_id": verdict.chain_id,
        "sandbox": verdict.is_sandbox,
        "height": verdict.height,
        "attests": verdict.attests,
        "countersigned": [
            {"member": one.member, "height": one.height, "shown": one.is_shown} for one in verdict.countersigned
        ],
        "timeline": [
            {"time": line.when, "place": line.place, "by": list(line.by), "what": line.what}
            for line in timeline(report)
        ],
        "records": report.records,
        "holdings": [
            {"receivable": one.receivable, "first": str(one.first), "last": str(one.last), "holder": one.holder}
            for one in report.holdings
        ],
        "checked": checked(report),
        "documents": report.documents,
        "unproven": [{"where": one.where, "rule": one.rule, "what": one.what} for one in report.unproven],
        "verdict": list(verdict.lines),
    }


if __name__ == "__main__":
    sys.exit(main())
