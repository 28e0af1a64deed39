"""`make demo` as a stranger runs it: what it leaves behind is held against the published file, not its own words."""

import csv
import datetime
import io
import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from tallystick.kernel.accounts.deposits import Deposit
from tallystick.kernel.accounts.records import AccountState
from tallystick.kernel.calendar.records import CalendarYear
from tallystick.kernel.core import codec
from tallystick.kernel.financing.records import Financing, FinancingState
from tallystick.kernel.membership.records import Member
from tallystick.kernel.plans.cases import Certificate, Dispute, DisputeState, EvidenceState, Refund, RefundState
from tallystick.kernel.plans.conditions import methods_of
from tallystick.kernel.plans.records import Plan, PlanState, PlanVersion
from tallystick.kernel.products.records import Method, Product, ProductState
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.recourse.records import Recourse, RecourseState
from tallystick.kernel.reviews.records import Review, ReviewState
from tallystick.kernel.transfers.records import Transfer, TransferKind
from tallystick.kernel.wages.records import LineState, SheetState, WageSheet, state_of
from tallystick.ledger.invariants import audit
from tallystick.node.anchoring import find_anchor, fitting
from tallystick.node.home import Home
from tallystick.node.lineage import rows_of
from tallystick.node.session import Cursor, Session, open_home
from tallystick.wire.errors import DecodeError
from tests.support.demo import run
from tools.demo.home import MARKER, new_home
from tools.demo.papers import Invoice, Papers
from tools.demo.story import tell
from tools.demo.telling import Telling

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
FILE = ROOT / "data" / "receivables.csv"
CONTRACTS = ROOT / "data" / "contracts.csv"
DOCS = ROOT / "docs" / "demo.md"
TALLY = "from tallystick.cli.main import main; main()"
DEMO = "Demo "
ENDED_BADLY = (ProductState.REFUSED, ProductState.DECLINED, ProductState.WITHDRAWN, ProductState.EXPIRED)
LATE = ("receivable.unpaid", "receivable.overdue", "receivable.late_claim")


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
    assert {known[one] for one in _in_trouble_with_plans(session) if not known[one].startswith(DEMO)} == set()
    bad = {ReceivableState.DECLINED, ReceivableState.REFUSED, ReceivableState.OVERDUE, ReceivableState.WRITTEN_OFF}
    involved = {name for row in receivables(session) if row.state in bad for name in (row.debtor, row.creditor)}
    involved |= {row.liable for row in rows_of(session.engine, "recourse") if isinstance(row, Recourse)}
    reviews = [row for row in rows_of(session.engine, "review") if isinstance(row, Review)]
    involved |= {party for row in reviews if row.state is ReviewState.REFUSED for party in row.parties}
    late = (placed for placed in session.engine.events(Cursor(), 1_000_000) if placed.event.kind in LATE)
    involved |= {member for placed in late for member in placed.event.audience}
    assert involved
    assert {known[one] for one in involved if not known[one].startswith(DEMO)} == set()


def _in_trouble_with_plans(session: Session) -> set[str]:
    """Whoever is told to dispute, to be refused, to have erred, to be late, or to give money back."""
    engine = session.engine
    involved = {row.owner for row in rows_of(engine, "account") if row.state is AccountState.REFUSED}
    assert involved
    for row in rows_of(engine, "product"):
        if any(one.differences for one in row.comparisons) or row.state in ENDED_BADLY:
            involved |= {row.payer, row.payee}
    plans = {row.id: row for row in rows_of(engine, "plan")}
    told = {
        row.plan for row in (*rows_of(engine, "dispute"), *rows_of(engine, "refund"), *rows_of(engine, "wage_sheet"))
    }
    told |= {row.plan for row in rows_of(engine, "evidence") if row.state is EvidenceState.SENT_BACK}
    told |= {plan.id for plan in plans.values() if plan.proposals > 1 or plan.refunded or plan.version > 1}
    told |= {plan.id for plan in plans.values() if any(one.overdue or one.rounds for one in plan.tranches)}
    assert len(told) == 2
    return involved | {party for one in told for party in (plans[one].payer, plans[one].payee)}


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
    assert [month for month in (b"2022-06", b"2022-07") if month in written] == []


def plan_between(session: Session, payer: str, payee: str) -> Plan:
    """The one plan between two organisations."""
    known = names(session)
    (found,) = (
        row for row in rows_of(session.engine, "plan") if (known[row.payer], known[row.payee]) == (payer, payee)
    )
    assert isinstance(found, Plan)
    return found


def version_of(session: Session, plan: Plan) -> PlanVersion:
    found = session.engine.query(f"plan_version/{plan.id}/{plan.version}").record
    assert isinstance(found, PlanVersion)
    return found


def payments(reference: str) -> list[dict[str, str]]:
    with CONTRACTS.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["plan_ref"] == reference]


def cents(row: dict[str, str]) -> int:
    return int(Decimal(row["amount"]) * 100)


def postings(session: Session) -> Iterator[tuple[str, str, int]]:
    """All movements of money: from, to, minor units."""
    for placed in session.engine.events(Cursor(), 1_000_000):
        if placed.event.kind == "account.posted":
            facts = placed.event.facts
            yield str(facts["source"]), str(facts["target"]), int(facts["units"])


def test_each_published_payment_of_the_hospital_was_released_as_a_tranche_by_its_document(
    session: Session, demo: tuple[Path, str]
) -> None:
    rows = payments("1804003")
    plan = plan_between(session, rows[0]["payer"], rows[0]["payee"])
    terms = version_of(session, plan).tranches
    assert [int(one.units) for one in terms] == [int(one.released) for one in plan.tranches] == list(map(cents, rows))
    assert (plan.state, int(plan.released), plan.currency) == (PlanState.COMPLETED, sum(map(cents, rows)), "MXN")
    for one, row in zip(terms, rows, strict=True):
        assert row["payment_ref"] in one.title
        (material,) = one.materials
        known = find_anchor(Home(demo[0]), material.hash or "")
        assert known is not None
        document = json.loads((demo[0] / "documents" / "sha256" / known.content[:2] / known.content[2:]).read_bytes())
        assert (document["reference"], document["amount"]) == (row["payment_ref"], row["amount"])


def test_the_hospitals_contract_is_the_published_one(session: Session) -> None:
    published = json.loads((ROOT / "data" / "contract_ocds_nuevo_leon.json").read_bytes())
    (contract,) = published["records"][0]["compiledRelease"]["contracts"]
    (product,) = (row for row in rows_of(session.engine, "product") if row.terms.currency == "MXN")
    assert isinstance(product, Product)
    (copy, other) = (*product.payee_copies, *product.payer_copies)
    assert copy.terms == other.terms
    said = copy.terms
    assert (said.number, said.title, int(said.value)) == (contract["id"], contract["title"], 214_017_134_32)
    days = (contract["dateSigned"], contract["period"]["startDate"], contract["period"]["endDate"])
    assert [str(day) for day in (said.signed_on, said.starts_on, said.ends_on)] == [day[:10] for day in days]


def test_recurring_payments_go_out_by_date_until_the_last_two(session: Session) -> None:
    rows = payments("S221442/44135500")
    plan = plan_between(session, rows[0]["payer"], rows[0]["payee"])
    version = version_of(session, plan)
    assert [int(one.units) for one in version.tranches] == list(map(cents, rows))
    assert [int(one.released) for one in plan.tranches] == [*map(cents, rows[:-2]), 0, 0]
    assert int(plan.held) == sum(map(cents, rows[-2:]))
    assert {methods_of(one.condition) for one in version.tranches} == {(Method.DATE,)}
    days = [one.release_from_on for one in version.tranches]
    assert days == sorted(set(days))


def test_the_plan_in_which_things_go_wrong_has_each_of_its_turns(session: Session) -> None:
    engine = session.engine
    plan = plan_between(session, "Demo Core Enterprise CN", "Demo Supplier CN")
    assert (plan.state, plan.proposals, plan.version, int(plan.held)) == (PlanState.COMPLETED, 2, 2, 0)
    used = {method for one in version_of(session, plan).tranches for method in methods_of(one.condition)}
    assert used == {Method.DATE, Method.DOCUMENTS, Method.VERIFIERS, Method.PAYER, Method.PLATFORM}
    product = engine.query(f"product/{plan.product}").record
    assert isinstance(product, Product)
    assert [[one.field for one in found.differences] for found in product.comparisons] == [["value", "ends_on"], []]
    announced = [row for row in rows_of(engine, "deposit") if isinstance(row, Deposit) and row.plan == plan.id]
    assert sorted(int(row.units) - int(row.announced or 0) for row in announced) == [-200_000_00, 0]
    assert sorted(int(row.units) - int(row.escrowed) for row in announced) == [0, 10_000_00]
    (dispute,) = rows_of(engine, "dispute")
    assert isinstance(dispute, Dispute)
    assert (dispute.state, int(dispute.units), int(dispute.to_payee or 0)) == (DisputeState.RULED, 80_000_00, 50_000_00)
    (refund,) = rows_of(engine, "refund")
    assert isinstance(refund, Refund)
    assert (refund.state, int(refund.units)) == (RefundState.BOOKED, 20_000_00)
    rounds = [(row.tranche, row.state.value) for row in rows_of(engine, "evidence") if row.plan == plan.id]
    assert sorted(rounds) == [(2, "met"), (3, "met"), (4, "met"), (4, "sent_back"), (5, "met")]


def test_the_money_of_each_plan_is_where_its_record_says(session: Session) -> None:
    moved = list(postings(session))
    plans = [row for row in rows_of(session.engine, "plan") if isinstance(row, Plan)]
    assert len(plans) == 4
    for plan in plans:
        out: Counter[str] = Counter()
        for source, target, units in moved:
            if source == plan.escrow:
                out[target.partition("/")[0]] += units
        came = sum(units for _, target, units in moved if target == plan.escrow)
        assert came == int(plan.deposited)
        assert came - out.total() == int(plan.held)
        assert out["fees"] == int(plan.fees)
        assert out["available"] + out["transit"] == int(plan.released) + int(plan.refunded)
        assert set(out) <= {"available", "transit", "fees"}
    (building,) = (row for row in plans if row.fees)
    assert int(building.fees) == (int(building.released) + int(building.fees)) * 2 // 1000  # 0.2 %
    certificates = [row for row in rows_of(session.engine, "certificate") if isinstance(row, Certificate)]
    for one in certificates:
        parts = (one.recovered, one.retained, one.disputed, one.released, one.fees)
        assert int(one.certified) == sum(map(int, parts))
    assert {one.cause for one in certificates} == {"release", "ruling", "retention"}


def test_every_worker_is_paid_once_and_one_on_the_second_attempt(session: Session, demo: tuple[Path, str]) -> None:
    with (demo[0] / "payroll" / "payroll.csv").open(encoding="utf-8", newline="") as file:
        wages = [int(Decimal(row["amount"]) * 100) for row in csv.DictReader(file)]
    (sheet,) = rows_of(session.engine, "wage_sheet")
    assert isinstance(sheet, WageSheet)
    assert (sheet.state, sheet.lines, int(sheet.units)) == (SheetState.DONE, len(wages), sum(wages))
    chunks = sorted((row for row in rows_of(session.engine, "wage_chunk")), key=lambda row: row.id)
    lines = [line for row in chunks for line in row.lines]
    assert [int(line.units) for line in lines] == wages
    assert {state_of(sheet, line) for line in lines} == {LineState.PAID}
    assert Counter(line.attempt for line in lines) == {1: len(wages) - 1, 2: 1}
    paid = sum(units for source, target, units in postings(session) if source.startswith("transit/"))
    assert paid == sum(wages)


def test_nothing_of_a_worker_is_readable_from_the_ledger(session: Session) -> None:
    height = session.engine.health().height
    written = b"".join(raw for at in range(1, height + 1) for raw in session.engine.transactions(at))
    assert [
        word for word in (b"Worker 137", b"DEMO00137", b"9000000000000137", b"000000000137") if word in written
    ] == []


def test_the_contracts_that_were_signed_lie_there_as_pdf(session: Session, demo: tuple[Path, str]) -> None:
    folder = demo[0] / "contracts"
    anchored = {
        drafted.document.hash: len(drafted.signatures)
        for row in rows_of(session.engine, "product")
        if isinstance(row, Product) and row.opened is not None
        for drafted in row.contracts
    }
    assert len(anchored) == len(list(folder.iterdir())) == 12
    assert set(anchored.values()) == {2}
    for file in folder.iterdir():
        content = file.read_bytes()
        assert content.startswith(b"%PDF-")
        assert len({one.hash for one in fitting(Home(demo[0]), content)} & set(anchored)) == 1


def test_the_evidence_it_leaves_holds_for_whoever_has_the_genesis(demo: tuple[Path, str], tmp_path: Path) -> None:
    home = demo[0]
    files = sorted((home / "evidence").iterdir())
    assert [file.name for file in files] == ["financing.json", "plan.json", "receivable.json"]
    for file in files:
        command = ("-m", "tallystick.verifier.command", str(file), "--genesis", str(home / "genesis.json"))
        assert run(*command).returncode == 0
        tampered = tmp_path / file.name
        tampered.write_bytes(file.read_bytes().replace(b"000", b"001", 1))
        assert run(*command[:2], str(tampered), *command[3:]).returncode in (1, 2)


def test_a_second_run_tells_the_same(runs: tuple[Path, list[str]]) -> None:
    """Each amount, each day, each refusal; but not the ids that follow from heights, nor the seconds it took."""
    first, second = (told.split("The whole ledger, checked")[0].splitlines() for told in runs[1])
    assert len(first) > 100
    assert [line for line in first if "DEMO-R-" not in line] == [line for line in second if "DEMO-R-" not in line]


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
    unfolded = re.sub(r" *\n {20,}", " ", told)
    suggested = re.findall(r"(?m)\s(tally .+?)\s*$", unfolded)
    suggested += re.findall(r"(?m)^    \.venv/bin/(tally .+)$", DOCS.read_text(encoding="utf-8"))
    assert len(suggested) > 18
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
    document = next(path for path in (tmp_path / "documents").rglob("*") if path.is_file())
    document.write_bytes(document.read_bytes().replace(b'"1"', b'"2"'))
    with pytest.raises(DecodeError, match="not the one that was anchored"):
        papers.recomputed(anchor)
