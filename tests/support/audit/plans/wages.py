"""Wage sheets line by line: every line stands in exactly one state, and what is owed to workers stands in transit."""

from collections import Counter

from tests.support.audit.plans.book import Line, Sheet, Step, on
from tests.support.audit.seen import Row, facts

CHUNK = 500
ONE_STATE = "9.9 every payee line ends in exactly one state"


def numbers_in(text: str) -> list[int]:
    """Line numbers as events write them: `1-499,501`."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _sheet(step: Step, event: Row) -> Sheet:
    found = step.book.sheets.get((event["record"], int(facts(event)["tranche"])))
    if found is None:
        step.broken("a sheet begins with its lines", event)
    return found


@on("wage.lines_uploaded")
def uploaded(step: Step, event: Row) -> None:
    asked = step.take("wage.lines", event)
    key = (asked["plan"], int(asked["tranche"]))
    deal = step.deal(event)
    part = deal.parts[key[1] - 1]
    step.require(bool(part.terms.get("wages")) and deal.state == "active", "lines are for a wage tranche", event)
    step.require(part.phase in ("waiting", "evidence_in"), "lines come before they are verified", (event, part.phase))
    step.require(deal.payer in step.seen.signers, "the payer uploads", event)
    whole = (int(asked["count"]), int(asked["units"]))
    sheet = step.book.sheets.get(key)
    if sheet is None or asked.get("anew"):
        sheet = step.book.sheets[key] = Sheet(*key, *whole)
    step.require((sheet.count, sheet.units) == whole, "each chunk states the sheet's totals", asked)
    first = (int(asked["chunk"]) - 1) * CHUNK + 1
    for number, line in enumerate(asked["lines"], first):
        step.require(int(line["units"]) > 0 and number <= sheet.count, "a line has an amount and a place", line)
        sheet.lines[number] = Line(line["worker"], line["account"], int(line["units"]))
    sheet.state = "uploading"


@on("wage.sheet_complete")
def complete(step: Step, event: Row) -> None:
    sheet = _sheet(step, event)
    step.require(sorted(sheet.lines) == list(range(1, sheet.count + 1)), "a complete sheet has its lines", event)
    total = sum(line.units for line in sheet.lines.values())
    step.require(total == sheet.units == int(facts(event)["units"]), "lines add up to the control sum", (event, total))
    for name in ("worker", "account"):
        most = Counter(getattr(line, name) for line in sheet.lines.values()).most_common(1)
        step.require(most[0][1] == 1, "each worker once, to its own account", (event, most))
    sheet.state = "complete"


@on("wage.released")
def released(step: Step, event: Row) -> None:
    sheet = _sheet(step, event)
    step.require(sheet.state == "complete", "9.4 only a complete sheet is released", (event, sheet.state))
    step.require(int(facts(event)["units"]) == sheet.units, "9.4 the whole sum is released", event)
    for line in sheet.lines.values():
        line.state = "in_transit"
    sheet.state = "released"


@on("wage.sheet_void")
def void(step: Step, event: Row) -> None:
    sheet = _sheet(step, event)
    step.require(sheet.state in ("uploading", "complete"), "a released sheet pays", (event, sheet.state))
    sheet.state = "void"


def _move(step: Step, event: Row, sheet: Sheet, number: int, states: tuple[str, ...], into: str) -> Line:
    line = sheet.lines.get(number)
    if line is None or line.state not in states or sheet.state not in ("released", "done"):
        step.broken(ONE_STATE, (event, number, line))
    line.state = into
    return line


@on("wage.paid", "wage.returned")
def reported(step: Step, event: Row) -> None:
    sheet = _sheet(step, event)
    fact = facts(event)
    asked = step.asks("wage.line_result", plan=sheet.plan, tranche=sheet.number)
    step.require(bool(asked), "the custodian reports", event)
    into = event["kind"].removeprefix("wage.")
    paid = {number for one in asked for number in one.get("paid", ())}
    returned = {each["line"]: each["reason"] for one in asked for each in one.get("returned", ())}
    numbers = numbers_in(fact["lines"])
    step.require(len(numbers) == int(fact["count"]), "what is told of a report", event)
    for number in numbers:
        if into == "paid":
            step.require(number in paid, "what is told of a report", (event, number))
            _move(step, event, sheet, number, ("in_transit", "corrected"), into)
        else:
            step.require(returned.get(number) == fact["reason"], "what is told of a report", (event, number))
            _move(step, event, sheet, number, ("in_transit", "corrected", "paid"), into)
    sheet.settle()


@on("wage.corrected")
def corrected(step: Step, event: Row) -> None:
    sheet = _sheet(step, event)
    asked = step.take("wage.line_correct", event)
    numbers = [each["line"] for each in asked["lines"]]
    step.require(numbers == numbers_in(facts(event)["lines"]), "what is told of a correction", event)
    step.require(step.book.now_is(step.deal(event).payer) in step.seen.signers, "the payer corrects", event)
    total = 0
    for each in asked["lines"]:
        line = _move(step, event, sheet, each["line"], ("returned",), "corrected")
        step.require(line.worker == each["worker"], "wages go to the worker they are owed to", (event, each))
        line.account, line.attempt = each["account"], line.attempt + 1
        total += line.units
    step.require(total == int(asked["units"]), "a correction states its sum", (event, total))
    uses = Counter(line.account for line in sheet.lines.values())
    shared = [number for number in numbers if uses[sheet.lines[number].account] > 1]
    step.require(not shared, "each worker once, to its own account", (event, shared))
    sheet.settle()


@on("wage.withdrawn")
def withdrawn(step: Step, event: Row) -> None:
    sheet = _sheet(step, event)
    asked = step.take("wage.line_withdraw", event)
    total = sum(_move(step, event, sheet, number, ("returned",), "withdrawn").units for number in asked["lines"])
    step.require(
        total == int(asked["units"]) == int(facts(event)["units"]), "a withdrawal states its sum", (event, total)
    )
    sheet.settle()


@on("wage.done")
def done(step: Step, event: Row) -> None:
    sheet = _sheet(step, event)
    step.require(sheet.state == "done", "9.9 a sheet is done when every line has ended", (event, sheet.counts))


def compare(step: Step, key: str, row: Row, transit: int) -> None:
    """A sheet's record against the lines, and what stands in transit against what is owed."""
    _, plan, number = key.split("/")[:3]
    sheet = step.book.sheets.get((plan, int(number)))
    if sheet is None:
        step.broken("a sheet begins with its lines", key)
    step.require(row["state"] == sheet.state, "a sheet's state", (key, row["state"], sheet.state))
    step.require(transit == sheet.owed, "9.9 what is owed to workers stands in transit", (key, transit, sheet.owed))
    if sheet.state in ("released", "done"):
        said = {each["state"]: (int(each["lines"]), int(each["units"])) for each in row.get("standing", ())}
        step.require(said == sheet.counts, ONE_STATE, (key, said, sheet.counts))


def compare_lines(step: Step, key: str, row: Row) -> None:
    """A chunk's lines against the model's; one that nobody has reported on follows from its sheet."""
    _, plan, number, chunk = key.split("/")
    sheet = step.book.sheets[plan, int(number)]
    first = (int(chunk) - 1) * CHUNK + 1
    for place, found in enumerate(row["lines"], first):
        line = sheet.lines[place]
        state = found.get("state", "pending")
        expected = "pending" if line.state == "in_transit" else line.state
        same = (found["worker"], found["account"], int(found["units"]), found.get("attempt", 1), state)
        mine = (line.worker, line.account, line.units, line.attempt, expected)
        step.require(same == mine, ONE_STATE, (key, place, same, mine))
