"""docs/claims.md against the code: what each row names exists, and no acceptance test is left out."""

import re
from pathlib import Path

import pytest

from tallystick.kernel.operations import OPERATIONS
from tests.docs.guide import DOCS, ROOT, known_commands

PAGE = DOCS / "claims.md"
NAMES = {str(operation.__struct_config__.tag) for operation in OPERATIONS}
ROWS = re.findall(r"^\| ([AB][1-9]) .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
LOOKING = {"board", "accounts", "statement", "waiting", "product show", "product contracts", "product check-contracts",
           "plan show", "plan file", "certificate show", "wage show"}  # fmt: skip
"""Commands beside the operations' own: they show what is there, or fill an operation in."""


def row(number: str) -> list[str]:
    """The cells of a row: title, claim, operations, commands, test."""
    line = re.search(rf"^\| {number} .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert line is not None
    return [cell.strip() for cell in line[0].strip("| ").split(" | ")]


def test_the_rows_are_those_of_the_business() -> None:
    receivables, release_plans = 7, 9
    assert [*(f"A{n}" for n in range(1, receivables + 1)), *(f"B{n}" for n in range(1, release_plans + 1))] == ROWS


@pytest.mark.parametrize("number", ROWS)
def test_a_row_names_operations_commands_and_a_test_that_exist(number: str) -> None:
    _, _, operations, commands, test = row(number)
    named = set(re.findall(r"`([^`]+)`", operations))
    assert named <= NAMES
    assert named or operations == "every one"
    typed = [name.removeprefix("tally ") for name in re.findall(r"`([^`]+)`", commands)]
    assert typed
    assert set(typed) <= known_commands()
    path = re.search(r"\]\(([^)]+)\)", test)
    assert path is not None
    told = (PAGE.parent / path[1]).resolve()
    assert re.fullmatch(rf"test_{number.lower()}_[a-z]+\.py", told.name)
    assert told.read_text(encoding="utf-8").startswith(f'"""{number} ')


@pytest.mark.parametrize("number", ROWS)
def test_a_rows_commands_are_those_of_its_operations(number: str) -> None:
    """An operation without its command, or a command of another operation, is a row that has rotted."""
    _, _, operations, commands, _ = row(number)
    typed = {name.removeprefix("tally ") for name in re.findall(r"`([^`]+)`", commands)}
    if number in ("A3", "A5", "A7"):
        return  # they are about what is looked at
    spelled = {name.replace(".", " ").replace("_", "-") for name in re.findall(r"`([^`]+)`", operations)}
    assert spelled <= typed
    assert typed - spelled <= LOOKING


def test_every_acceptance_test_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for path in sorted(Path(ROOT / "tests" / "claims").glob("test_*.py")):
        assert f"(../tests/claims/{path.name})" in text, path.name
