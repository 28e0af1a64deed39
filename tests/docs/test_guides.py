"""The guides for people: their commands run and end as they say, and what they name exists."""

import datetime
import pkgutil
import re
from pathlib import Path

import pytest

from tallystick.kernel.governance.policies import Policies
from tallystick.wire.status import Status
from tests.docs.guide import DOCS, ROOT, Reader, known_commands

GUIDES = ("receivables", "funders", "auditors", "governors", "operators", "documents", "payees", "payers", "platforms",
          "operations")  # fmt: skip
PAGES = sorted(path for path in DOCS.rglob("*.md") if "adr" not in path.parts)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_TALLY = re.compile(r"`tally ([a-z][a-z -]*)")
_STATUS = re.compile(r"`([1-9][0-9]{2}) ([a-z_]+)`")
_POLICY = re.compile(r"`([a-z_]+_days|[a-z_]+_needed|[a-z_]+_hops)` ([0-9]+)")


@pytest.mark.engine
@pytest.mark.parametrize("name", GUIDES)
def test_a_guides_commands_run(name: str, tmp_path: Path) -> None:
    Reader(tmp_path).follow(DOCS / f"{name}.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_names_what_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in _LINK.findall(text):
        if "://" not in target:
            assert (page.parent / target).resolve().exists(), target
    known = known_commands()
    groups = {name.split()[0] for name in known}
    for words in _TALLY.findall(text):
        typed = words.split()
        assert " ".join(typed[:2]) in known or typed[0] in known or (len(typed) == 1 and typed[0] in groups), words
    for number, name in _STATUS.findall(text):
        assert Status[name.upper()].number == int(number), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_states_the_policies_defaults(page: Path) -> None:
    defaults = Policies()
    for name, value in _POLICY.findall(page.read_text(encoding="utf-8")):
        assert getattr(defaults, name) == int(value), name


def test_the_stops_of_a_transaction_are_where_the_page_says() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for name in re.findall(r"`(tallystick(?:\.\w+)+)`", text):
        pkgutil.resolve_name(name)
    for path in re.findall(r"`(src/[\w/.]+|tests/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path


def test_every_page_is_found_from_the_table_of_contents() -> None:
    """Specifications, guides and concepts by name; decisions through their own list."""
    contents = (DOCS / "README.md").read_text(encoding="utf-8")
    for page in PAGES:
        if page != DOCS / "README.md":
            assert f"({page.relative_to(DOCS)})" in contents, f"docs/README.md does not link {page.relative_to(ROOT)}"


def test_the_guides_have_no_date_that_passes() -> None:
    """Days in commands are counted from today, so that they run next year too."""
    for name in GUIDES:
        for block in re.findall(r"^```sh\n(.*?)^```$", (DOCS / f"{name}.md").read_text(), re.MULTILINE | re.DOTALL):
            for day in re.findall(r"\b20[0-9]{2}-[0-9]{2}-[0-9]{2}\b", block):
                assert datetime.date.fromisoformat(day).year < 2026, day
