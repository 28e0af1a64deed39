"""The report for people: what happened, what stands, what was checked, what is not shown, and who attests it.

Each step is told once, with who signed it and what it brought about for the thing that the file is about. What the same
step did for others, as where an auditor admits a hundred in one, is only counted; `--json` has it all.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from tallystick.proof.evidence.bundle import Json
from tallystick.proof.evidence.story import Unproven
from tallystick.proof.evidence.timeline import Line, Words, timeline
from tallystick.proof.evidence.verifier import Report
from tallystick.verifier.present import BESIDE, present
from tallystick.wire.ids import ID_PATTERN

WIDTH = 110
_ID = re.compile(ID_PATTERN, re.ASCII)
BOOKKEEPING = frozenset({"account.posted"})
"""What only repeats, as postings between the ledger's accounts, what another event of the same step says."""


def as_text(report: Report, written: Sequence[str] = ()) -> Iterator[str]:
    """The whole report, line by line."""
    verdict, words = report.verdict, Words(report.records)
    yield from wrapped(f"Evidence about {words.name(verdict.about.replace('/', ' ', 1))}, on chain {verdict.chain_id}")
    if verdict.is_sandbox:
        yield "SANDBOX: for practice; its clock, by which its deadlines run, may have been set forward"
    yield "\nWhat happened (UTC, by the block headers; in brackets the place on the ledger)"
    yield from happened(report)
    yield f"\nWhat stands after block {verdict.height}"
    for line in present(report):
        yield from wrapped(line, "  ", " " * (len(line) - len(line.lstrip()) + 6))
    yield "\nWhat was checked, and holds"
    for line in checked(report):
        yield from wrapped(line, "  ", "    ")
    yield from (f"  written: {path}" for path in written)
    if verdict.missing:
        yield "\nWhat this file does not show, though it is part of the story"
        for one in verdict.missing:
            yield from wrapped(words.name(f"{_named(one.where, report)}: {one.rule}: {one.what}"), "  ", "    ")
    others = [one for one in verdict.unproven if one not in verdict.missing]
    if others:
        yield "\nWhat rests on the state alone: it stands there, and the steps that made it so have files of their own"
        for line in beside(report, others):
            yield from wrapped(line, "  ", "    ")
    yield "\nThe verdict"
    for said in verdict.lines:
        yield from wrapped(words.name(said), "  ", "  ")
    yield "\nPROVEN" if verdict.exit_code == 0 else "\nPROVEN IN PART: what is shown holds, and steps of it are missing"


def wrapped(text: str, first: str = "", later: str = "") -> list[str]:
    """A paragraph."""
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)


def happened(report: Report) -> Iterator[str]:
    """Every step with what it brought about, in order."""
    own = _own_names(report)
    for (place, when, by), group in groupby(timeline(report), key=lambda line: (line.place, line.when, line.by)):
        lines = list(group)
        yield f"  {when.replace('T', ' ').rstrip('Z')}  [{place}]  {_signers(by)}"
        shown = [line for line in lines if _is_about(line, own)]
        told = [line for line in shown if line.kind not in BOOKKEEPING] or shown
        for line in told:
            yield from wrapped(line.what, "      ", "        ")
        if len(shown) < len(lines):
            others = len(lines) - len(shown)
            yield f"      ({others} more of the same step, about {'others' if others > 1 else 'another'})"


def _signers(by: tuple[str, ...]) -> str:
    return f"signed by {' and by '.join(by)}" if by else "by the rules themselves, at the block's start"


def _own_names(report: Report) -> frozenset[str]:
    """The ids of what the file tells of: its records, and members whose recoveries or keys are among them."""
    ids = {key.partition("/")[2] for key in report.records if key.partition("/")[0] not in BESIDE - {"recovery"}}
    return frozenset(ids | {report.verdict.about.partition("/")[2]})


def _is_about(line: Line, own: frozenset[str]) -> bool:
    """Whether a line tells of what the file is about; a refused step has no events, and is told."""
    names = (name for text in line.facts for name in (text, *_ID.findall(text)))
    return not line.kind or line.record in own or any(name in own for name in names)


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


def beside(report: Report, others: Sequence[Unproven]) -> list[str]:
    """What is not shown of others: the organisations together, each other record with how many of its steps."""
    words = Words(report.records)
    members: dict[str, None] = {}
    steps: dict[str, int] = {}
    for one in others:
        table, _, name = one.where.removeprefix("record ").partition("/")
        if table == "member":
            members[words.name(name)] = None
        elif table == "key":
            members[words.name(_owner(report, name))] = None
        else:
            named = _named(one.where, report)
            steps[named] = steps.get(named, 0) + 1
    lines = [f"{named}: {count} of its steps" for named, count in steps.items()]
    if members:
        names = "; ".join(members)
        lines.append(f"how these became members and got their roles and keys (--with-members shows it): {names}")
    return lines


def _owner(report: Report, key: str) -> str:
    value = report.records.get(f"key/{key}")
    return str(value.get("member")) if isinstance(value, dict) else key


def _named(where: str, report: Report) -> str:
    table, _, name = where.removeprefix("record ").partition("/")
    if table == "key":
        return f"the key {name[:8]}... of {_owner(report, name)}"
    return f"{table.replace('_', ' ')} {name}"
