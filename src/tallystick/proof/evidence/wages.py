"""Wages: the sheet that the payer's maker and checker uploaded, what it comes to, and what became of each line.

Rules kept here (DOMAIN section 3, "Wage plan"):
1. A sheet was opened and completed by the payer's uploads, which state its number of lines and control sum.
2. Its chunks come to what it says, and together to its control sum; its count of lines by state is that of the chunks.
3. Where it was released, a certificate of its tranche of that place released exactly its sum.
4. A line is as the payer uploaded it, or as it corrected it to the same worker; the custodian reported each as paid.
A worker is a salted commitment throughout: whoever holds its opening can tell which line it is.
"""

from collections import Counter
from collections.abc import Iterator

from tallystick.proof.evidence.bundle import Json
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.rows import Row
from tallystick.proof.evidence.story import Act, Claim, Story, Told, pick

CHUNK_LINES = 500
UNREPORTED = {"released": "in_transit", "done": "in_transit", "void": "withdrawn"}
"""What a line is that nobody reported on, by the state of its sheet."""


def wage_sheet(row: Row, _story: Story) -> Iterator[Claim]:
    """Uploaded by the payer; its money went on its way where the tranche was released."""
    payer = (row.text("payer"),)
    said = {**pick(row, "plan", "tranche", "currency", "units"), "count": row.get("lines")}
    yield Act("wages.opened", row.needed_place("opened"), ("wage.lines",), payer, said)
    yield Act("wages.completed", row.place("completed"), ("wage.lines",), payer, said)
    released = pick(row, "tranche", "lines", "units", "currency")
    yield Told("wages.released", row.place("released"), ("wage.released",), row.text("plan"), released)


def check_wages(row: Row, story: Story) -> None:
    """Its sums, its lines, and the release that pays it. Raises NotProven."""
    _check_release(row, story)
    sums = row.sums("chunks")
    if row.text("state") in ("complete", "released", "done") and sum(sums) != row.units("units"):
        raise NotProven("wages.sums", f"its chunks come to {sum(sums)} and it to {row.units('units')}", row.where)
    counted: Counter[str] = Counter()
    amounts: Counter[str] = Counter()
    for number, units in enumerate(sums, 1):
        chunk = story.row(f"wage_chunk/{row.id}/{number}")
        if chunk is None:
            if units:
                story.miss(row.where, "wages.lines", f"chunk {number} of it is not in the bundle")
                return
            continue
        lines = chunk.rows("lines")
        if sum(line.units("units") for line in lines) != units:
            raise NotProven("wages.sums", f"the lines of its chunk {number} do not come to {units}", row.where)
        for line in lines:
            state = line.text("state") or UNREPORTED.get(row.text("state"), "pending")
            counted[state] += 1
            amounts[state] += line.units("units")
        _check_lines(row, number, lines, story)
    if row.text("state") in ("released", "done"):
        stated = {one.text("state"): (one.number("lines"), one.units("units")) for one in row.rows("standing")}
        if stated != {state: (counted[state], amounts[state]) for state in counted}:
            raise NotProven("wages.sums", "its lines are not in the states that it counts", row.where)


def _check_release(row: Row, story: Story) -> None:
    """The money that left escrow for it is its sum."""
    at = row.place("released")
    if at is None:
        return
    ofs = [one for one in story.rows("certificate") if one.get("plan") == row.get("plan") and one.place("at") == at]
    mine = [one for one in ofs if one.get("tranche") == row.get("tranche")]
    if not mine:
        story.miss(row.where, "wages.released", "the certificate of its release is not in the bundle")
    elif all(one.units("released") != row.units("units") for one in mine):
        raise NotProven("wages.released", "its release is not of its sum", row.where)


def _check_lines(row: Row, chunk: int, lines: tuple[Row, ...], story: Story) -> None:
    """Each line by whom: uploaded, corrected, reported as paid."""
    about, first = pick(row, "plan", "tranche"), (chunk - 1) * CHUNK_LINES + 1
    uploaded, corrected, paid = _uploaded(row, chunk, story), _corrected(row, story), _paid(row, story)
    missing: Counter[str] = Counter()
    for number, line in enumerate(lines, first):
        said = {name: line.get(name) for name in ("worker", "account", "units")}
        before = uploaded[number - first] if number - first < len(uploaded) else {}
        changed = {**before, "account": said["account"]}
        is_corrected = changed == said and (number, said["worker"], said["account"]) in corrected
        if said != before and not is_corrected:
            missing["the upload or the correction"] += 1
        if line.text("state") == "paid" and number not in paid:
            missing["the custodian's report of the payment"] += 1
    for what, count in missing.items():
        where = f"{count} lines of chunk {chunk} of tranche {about['tranche']}"
        story.miss(row.where, "wages.lines", f"{what} of {where} is not in the bundle")


def _uploaded(row: Row, chunk: int, story: Story) -> list[dict[str, Json]]:
    """The lines of a chunk as the payer last uploaded them."""
    asked = Act("", None, ("wage.lines",), (row.text("payer"),), {**pick(row, "plan", "tranche"), "chunk": chunk})
    found: list[dict[str, Json]] = []
    for step, operation in story.steps():
        if asked.is_asked_by(story, step, operation):
            listed = operation.get("lines")
            found = [one if isinstance(one, dict) else {} for one in listed] if isinstance(listed, list) else []
    return found


def _corrected(row: Row, story: Story) -> set[tuple[Json, Json, Json]]:
    """Which lines the payer sent again, to which worker and account."""
    asked = Act("", None, ("wage.line_correct",), (row.text("payer"),), pick(row, "plan", "tranche"))
    return {
        (line.number("line"), line.text("worker"), line.text("account"))
        for step, operation in story.steps()
        if asked.is_asked_by(story, step, operation)
        for line in operation.rows("lines")
    }


def _paid(row: Row, story: Story) -> set[Json]:
    """Which lines the custodian reported as paid."""
    asked = Act("", None, ("wage.line_result",), (row.text("custodian"),), pick(row, "plan", "tranche"))
    found: set[Json] = set()
    for step, operation in story.steps():
        listed = operation.get("paid")
        if asked.is_asked_by(story, step, operation) and isinstance(listed, list):
            found |= {number for number in listed if type(number) is int}
    return found
