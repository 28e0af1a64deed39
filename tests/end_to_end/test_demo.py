"""`make demo` as a stranger runs it: what it leaves behind is held against the published file, not its own words."""

import csv
import datetime
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from tallystick.kernel.calendar.records import CalendarYear
from tallystick.kernel.core import codec
from tallystick.kernel.financing.records import Financing, FinancingState
from tallystick.kernel.membership.records import Member
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.recourse.records import Recourse, RecourseState
from tallystick.kernel.reviews.records import Review, ReviewState
from tallystick.kernel.transfers.records import Transfer, TransferKind
from tallystick.ledger.invariants import audit
from tallystick.node.home import Home
from tallystick.node.lineage import rows_of
from tallystick.node.session import Cursor, Session, open_home
from tallystick.wire.errors import DecodeError
from tools.demo.home import MARKER, new_home
from tools.demo.papers import Invoice, Papers
from tools.demo.story import tell
from tools.demo.telling import Telling

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
FILE = ROOT / "data" / "receivables.csv"
DOCS = ROOT / "docs" / "demo.md"
TALLY = "from tallystick.cli.main import main; main()"
DEMO = "Demo "
LATE = ("receivable.unpaid", "receivable.overdue", "receivable.late_claim")


def run(*words: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command of this interpreter, as from a shell 100 columns wide."""
    environment = {**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    if home is not None:
        environment["TALLYSTICK_HOME"] = str(home)
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The home that the demo left, and what it printed. It is run twice: the second run starts anew."""
    home = tmp_path_factory.mktemp("demo") / "home"
    for _ in range(2):
        told = run("-m", "tools.demo", "--home", str(home))
        assert told.returncode == 0, told.stdout + told.stderr
    return home, told.stdout


@pytest.fixture(scope="module")
def session(demo: tuple[Path, str]) -> Iterator[Session]:
    """The ledger that the demo left, opened with the passphrase that lies beside it."""
    with open_home(demo[0]) as opened:
        yield opened


@pytest.fixture(scope="module")
def published() -> list[dict[str, str]]:
    """The file's rows, each invoice once."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return list({(row["supplier_name"], row["reference"]): row for row in rows}.values())


def pence(row: dict[str, str]) -> int:
    return int(Decimal(row["amount_net"]) * 100)


def names(session: Session) -> dict[str, str]:
    return {row.id: row.legal_name for row in rows_of(session.engine, "member") if isinstance(row, Member)}


def receivables(session: Session) -> list[Receivable]:
    return [row for row in rows_of(session.engine, "receivable") if isinstance(row, Receivable)]


def test_every_published_invoice_was_issued_and_redeemed_by_its_own_parties(
    session: Session, published: list[dict[str, str]]
) -> None:
    known = names(session)
    redeemed = sorted(
        (known[row.creditor], known[row.debtor], int(row.face), int(row.redeemed))
        for row in receivables(session)
        if row.state is ReceivableState.REDEEMED and not known[row.debtor].startswith(DEMO)
    )
    assert redeemed == sorted((row["supplier_name"], row["payer"], pence(row), pence(row)) for row in published)


def test_both_sides_issued(session: Session) -> None:
    by_debtor = [row for row in receivables(session) if row.requester == row.debtor]
    by_creditor = [row for row in receivables(session) if row.requester == row.creditor and row.confirmed is not None]
    assert len(by_debtor) > len(by_creditor) > 5


def test_nothing_discreditable_is_told_of_anybody_who_exists(session: Session) -> None:
    known = names(session)
    bad = {ReceivableState.DECLINED, ReceivableState.REFUSED, ReceivableState.OVERDUE, ReceivableState.WRITTEN_OFF}
    involved = {name for row in receivables(session) if row.state in bad for name in (row.debtor, row.creditor)}
    involved |= {row.liable for row in rows_of(session.engine, "recourse") if isinstance(row, Recourse)}
    reviews = [row for row in rows_of(session.engine, "review") if isinstance(row, Review)]
    involved |= {party for row in reviews if row.state is ReviewState.REFUSED for party in row.parties}
    late = (placed for placed in session.engine.events(Cursor(), 1_000_000) if placed.event.kind in LATE)
    involved |= {member for placed in late for member in placed.event.audience}
    assert involved
    assert {known[one] for one in involved if not known[one].startswith(DEMO)} == set()


def test_nobody_real_is_warned_about(session: Session) -> None:
    """The council's receivables keep the term of 30 days, so the law has nothing to say about them."""
    judged = [row.judged for row in receivables(session) if row.currency == "GBP" and row.judged is not None]
    assert judged
    assert [one for one in judged if one.findings] == []


def test_the_story_has_each_of_its_turns(session: Session) -> None:
    states = {row.state for row in receivables(session)}
    wanted = {"redeemed", "declined", "refused", "written_off", "valid"}
    assert wanted == {state.value for state in states}
    transfers = [row for row in rows_of(session.engine, "transfer") if isinstance(row, Transfer)]
    assert {row.hop for row in transfers if row.kind is TransferKind.ORDINARY} == {1, 2, 3}
    assert {row.recourse for row in transfers if row.kind is TransferKind.ORDINARY} == {True, False}
    settled = [
        row
        for row in rows_of(session.engine, "financing")
        if isinstance(row, Financing) and row.state is FinancingState.SETTLED
    ]
    assert sorted((row.settlement.value, row.sealed) for row in settled) == [("bank", False), ("ledger", True)]
    for row in settled:
        assert row.award is not None
        assert row.award.quote == row.award.ranking[0].quote
    claims = [row for row in rows_of(session.engine, "recourse") if isinstance(row, Recourse)]
    assert [row.state for row in claims] == [RecourseState.PAID] * 2


def test_one_set_of_terms_was_judged_in_three_ways(session: Session, demo: tuple[Path, str]) -> None:
    found = [row for row in receivables(session) if row.currency == "CNY"]
    assert len({(row.issue_on, row.due_on, int(row.face), row.reason) for row in found}) == 1
    judged = sorted((one for row in found if (one := row.judged) is not None), key=lambda one: one.on)
    packs = [next(version for version in one.packs if version.startswith("cn-")) for one in judged]
    assert packs == ["cn-seed.1", "cn-demo.2"]
    assert [one.findings[0].outcome.value for one in judged] == ["reasoned", "warned"]
    assert "refused: tenor_over_cap" in demo[1]
    assert "announced 2026-09" in demo[1]


def test_nothing_of_an_invoice_is_readable_from_the_ledger(
    session: Session, demo: tuple[Path, str], published: list[dict[str, str]]
) -> None:
    key = (demo[0] / "fingerprint.key").read_text().strip()
    height = session.engine.health().height
    written = b"".join(raw for at in range(1, height + 1) for raw in session.engine.transactions(at))
    written += b"".join(codec.encode(row) for row in receivables(session))
    assert len(written) > 1_000_000
    assert key.encode() not in written
    assert [
        row["reference"] for row in published if len(row["reference"]) > 7 and row["reference"].encode() in written
    ] == []
    assert b"2022-0" not in written


def test_the_ledger_it_left_holds(session: Session) -> None:
    assert [done for done in audit(session.engine) if done.violation is not None] == []


def test_it_says_once_what_is_made_up(demo: tuple[Path, str]) -> None:
    told = demo[1]
    assert told.count("everything that happens to them here") == 1
    assert "Contains public sector information from Calderdale Council" in told
    assert "derived: issue day + 30 days" in " ".join(told.split())
    assert max(map(len, told.splitlines())) <= 100


def test_the_commands_it_suggests_work(demo: tuple[Path, str], session: Session) -> None:
    session.close()  # one process at a time
    home, told = demo
    suggested = re.findall(r"(?m)\s(tally .+?)\s*$", told)
    suggested += re.findall(r"(?m)^    \.venv/bin/(tally .+)$", DOCS.read_text(encoding="utf-8"))
    assert len(suggested) > 12
    assert any(command.endswith("--dry-run") for command in suggested)  # none is broken over two lines
    for command in suggested:
        done = run("-c", TALLY, *shlex.split(command)[1:], home=home)
        assert done.returncode == 0, command + done.stdout + done.stderr
        assert done.stdout.strip(), command


def test_calendars_that_end_too_early_are_gone_on_with(tmp_path: Path) -> None:
    """Years from now the published bank holidays end before the story does."""
    told = io.StringIO()
    horizon = datetime.timedelta(days=1_200)
    tell(tmp_path / "home", Telling(Console(file=told, width=100)), horizon)
    with open_home(tmp_path / "home") as opened:
        years = [row for row in rows_of(opened.engine, "calendar") if isinstance(row, CalendarYear)]
    made_up = [row for row in years if "made up" in row.versions[0].source]
    assert made_up
    assert "made up for the demo" in " ".join(told.getvalue().split())


@pytest.mark.parametrize("content", ["letters.txt", "genesis.json"])
def test_what_is_not_the_demos_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / content).write_text("mine")
    done = run("-m", "tools.demo", "--home", str(tmp_path))
    assert done.returncode == 2
    assert MARKER in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [content]
    assert (tmp_path / content).read_text() == "mine"


def test_a_link_and_a_file_are_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / MARKER).write_text("")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "file").write_text("mine")
    for name in ("link", "file"):
        with pytest.raises(DecodeError, match="left as it is"), new_home(tmp_path / name):
            pass


def test_two_demos_do_not_run_in_one_directory(tmp_path: Path) -> None:
    with new_home(tmp_path / "home") as home:
        (home.path / "kept").write_text("by the first")
        with pytest.raises(DecodeError, match="another demo is running"), new_home(tmp_path / "home"):
            pass
        assert (home.path / "kept").exists()


def test_auditors_refuse_a_document_that_was_changed(tmp_path: Path) -> None:
    papers = Papers(Home(tmp_path))
    said = {"seller": "Demo Supplier", "buyer": "Demo Buyer", "number": "1"}
    anchor = papers.anchored("invoice", said)
    assert papers.recomputed(anchor) == papers.fingerprint(Invoice("demo supplier", "DEMO  BUYER", "1"))
    document = next((tmp_path / "documents").iterdir())
    document.write_bytes(document.read_bytes().replace(b'"1"', b'"2"'))
    with pytest.raises(DecodeError, match="not the one that was anchored"):
        papers.recomputed(anchor)
