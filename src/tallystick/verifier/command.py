"""The verifier as a command, for `tally verify` and as one file that needs no package of ours (`make verifier`).

    python3 tallystick-verify.pyz BUNDLE.json --genesis genesis.json

Of a chain that goes on with a closed one, name both files: `--successor` beside the genesis of the closed chain, or
`--predecessor` beside that of the one that goes on.

Exit codes: 0 all holds; 1 something is not proven; 2 a file can't be read; 3 what the bundle shows holds, but it does
not show all steps of the record that it is about.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.genesis import Genesis
from tallystick.proof.evidence.timeline import timeline
from tallystick.proof.evidence.trust import Succession, Trusted, TrustedHeader
from tallystick.proof.evidence.verifier import Report, verify
from tallystick.verifier.report import as_text, checked
from tallystick.wire.errors import DecodeError

NOT_PROVEN, UNREADABLE = 1, 2


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
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--successor", type=Path, metavar="FILE", help="the genesis of the chain that went on when this one was closed"
    )
    other.add_argument(
        "--predecessor", type=Path, metavar="FILE", help="the genesis of the closed chain that this one goes on from"
    )
    parser.add_argument(
        "--documents", type=Path, metavar="DIR", help="write the bundle's documents into this directory"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def _trusted(asked: argparse.Namespace) -> Trusted:
    if asked.genesis is not None:
        genesis = _genesis(asked.genesis)
        if asked.successor is not None:
            return Succession.of(genesis, _genesis(asked.successor))
        if asked.predecessor is not None:
            return Succession.of(_genesis(asked.predecessor), genesis)
        return genesis
    if asked.successor is not None or asked.predecessor is not None:
        raise DecodeError("a second genesis is read beside a first one, not beside a header", "--genesis")
    return TrustedHeader.from_bytes(_read(asked.trusted_header), str(asked.trusted_header))


def _genesis(path: Path) -> Genesis:
    return Genesis.from_bytes(_read(path), str(path))


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
        "contents": verdict.holds.to_json(),
        "attests": verdict.attests,
        "predecessor": None if verdict.former is None else asdict(verdict.former),
        "successor": None if verdict.successor is None else asdict(verdict.successor),
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
        "missing": [{"where": one.where, "rule": one.rule, "what": one.what} for one in verdict.missing],
        "unproven": [{"where": one.where, "rule": one.rule, "what": one.what} for one in report.unproven],
        "verdict": list(verdict.lines),
    }


if __name__ == "__main__":
    sys.exit(main())
