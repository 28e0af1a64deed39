"""Products and release plans as clerks type them: from two copies of a contract to a statement that reconciles.

The story runs on the practice ledger and the example files of docs/examples, so that they stay right.
"""

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Tally, make_home

pytestmark = pytest.mark.engine

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


class Clerks(Tally):
    """Commands in one home, beside which the files lie that they name."""

    @property
    def papers(self) -> Path:
        return self.home.parent

    def file(self, name: str, old: str = "", new: str = "") -> str:
        """An example file, in which `old` may be replaced, as options take it."""
        text = (EXAMPLES / name).read_text()
        assert old in text
        (self.papers / name).write_text(text.replace(old, new) if old else text)
        return f"@{self.papers / name}"

    def one(self, kind: str, *more: str) -> dict[str, Any]:
        """The only record of a kind."""
        (found,) = self("list", kind, *more, "--json").json
        return dict(found)

    def waiting(self, who: str) -> list[dict[str, Any]]:
        return list(self("waiting", who, "--json").json)

    def type_what_waits(self, who: str, word: str) -> None:
        """Type every command that waits for somebody and has `word` in it, as it stands."""
        commands = [one["command"] for one in self.waiting(who) if word in one["command"]]
        assert commands
        for command in commands:
            self(*shlex.split(command)[1:])

    def narrow(self) -> "Clerks":
        return Clerks(self.home, COLUMNS="80")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a home in which the product stands open and both sides have accounts."""
    directory = tmp_path_factory.mktemp("plans")
    make_home(directory / "home", (EXAMPLES / "harbour.toml").read_text())
    clerks = Clerks(directory / "home")
    for name in ("paper.pdf", "photo.jpg"):
        (directory / name).write_text(name)
    for who in ("millbrook", "quarry"):
        clerks("account", "apply", "--as", who, "--currency", "GBP", "--custodian", "Harbour Bank",
               "--papers", directory / "paper.pdf")  # fmt: skip
        clerks.type_what_waits("bank", "review decide")
    clerks("deposit", "book", "--as", "bank", "--account", account_of(clerks, "millbrook"), "--currency", "GBP",
           "--amount", "200,000", "--remitter", "millbrook", "--bank-reference", "HB-1")  # fmt: skip
    open_product(clerks)
    return directory


def account_of(clerks: Clerks, who: str) -> str:
    return str(clerks("accounts", who, "--json").json["accounts"][0]["account"])


def open_product(clerks: Clerks) -> None:
    """From the application, by a contract read wrongly, to the sixth signature."""
    paper = str(clerks.papers / "paper.pdf")
    applied = clerks("product", "apply", "--as", "quarry", "--payer", "millbrook", "--platform", "tideway",
                     "--document", paper, "--contract", clerks.file("contract.toml"),
                     "--terms", clerks.file("product.toml"))  # fmt: skip
    assert f"refund account: {account_of(clerks, 'millbrook')}, of Millbrook Council" in applied.err
    product = clerks.one("product")["id"]
    counter = ("--as", "millbrook", "--document", paper, "--contract")
    clerks("product", "counter-contract", product, *counter, clerks.file("contract.toml", "120000.00", "102000.00"))
    shown = clerks.narrow()("product", "show", product).out
    assert "≠ value          120,000.00 GBP" in shown
    assert "102,000.00 GBP" in shown
    assert shown.count("≠") == 1
    assert "waits for  a correction" in shown
    clerks("product", "correct", product, *counter, clerks.file("contract.toml"))
    assert "version 2 agree" in clerks("product", "show", product).out
    clerks.type_what_waits("tideway", "review decide")
    assert "cap: 100,000.00 GBP" in clerks("product", "authorise", product, "--as", "millbrook").err
    clerks.type_what_waits("tideway", "product contracts")
    for who in ("millbrook", "quarry", "tideway"):
        assert len([one for one in clerks.waiting(who) if "sign-contract" in one["command"]]) == 2
        clerks.type_what_waits(who, "sign-contract")
    assert clerks.one("product")["state"] == "open"


@pytest.fixture(scope="module")
def confirmed(opened: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of it in which the plan was sent back once and then confirmed."""
    directory = tmp_path_factory.mktemp("confirmed")
    shutil.copytree(opened, directory, dirs_exist_ok=True)
    clerks = Clerks(directory / "home")
    product = clerks.one("product")["id"]
    propose = ("plan", "propose", product, "--as", "millbrook", "--tranches")
    said = clerks(*propose, clerks.file("plan.toml")).err
    assert "total: 75,000.00 GBP" in said
    assert "tranche 2, Steel and timber on site: 40,000.00 GBP in by" in said
    told = " ".join(said.split())
    for term in ("the payee brings delivery_note, photo", "silence means dispute, unmet means extend by 14 days",
                 "what is not used rolls on", "5 % of what is certified is retained until",
                 "20 % of what is certified goes towards the advances"):  # fmt: skip
        assert term in told
    plan = clerks.one("plan")["id"]
    clerks("plan", "check", plan, "--as", "tideway", "--result", "send-back",
           "--failing", "tranche=2,field=extend_days,reason=too_short")  # fmt: skip
    assert "tranche 2   extend days   too_short" in clerks("plan", "show", plan).out
    (waits,) = clerks.waiting("millbrook")
    assert waits["what"] == "propose the plan again: extend days of tranche 2 (too_short)"
    clerks(*propose, clerks.file("plan.toml", "extend_days = 14", "extend_days = 28"), "--plan", plan)
    clerks.type_what_waits("tideway", "plan check")
    clerks.type_what_waits("quarry", "plan confirm")
    assert clerks.one("plan")["state"] == "active"
    return directory


def copied(made: Path, directory: Path) -> Clerks:
    shutil.copytree(made, directory, dirs_exist_ok=True)
    return Clerks(directory / "home")


def test_a_fault_in_the_plan_file_names_tranche_and_field(opened: Path, tmp_path: Path) -> None:
    clerks = copied(opened, tmp_path)
    propose = ("plan", "propose", clerks.one("product")["id"], "--as", "millbrook", "--tranches")
    for old, new, said in (
        ("South Pier Surveyors, East", "South Pier Surveyors, Wets", "tranche 2, condition, part 2, verifier 3"),
        ("1 of (North", "1 of North", "tranche 3, condition, part 2, part 3, character 6: '(' is expected"),
        ("5% until", "5% till", "tranche 2, retention"),
        ('"40000.00"', '"40000.005"', "tranche 2, fund_amount"),
    ):
        ended = clerks(*propose, clerks.file("plan.toml", old, new), expect=2)
        assert f"plan.toml, {said}" in ended.err
    refused = clerks(*propose, clerks.file("plan.toml", "2 of (North Pier", "4 of (North Pier"), expect=1)
    assert "no_way_to_be_met" in refused.err
    assert "tranche: 2" in refused.err


def test_the_story_of_a_plan(confirmed: Path, tmp_path: Path) -> None:
    clerks = copied(confirmed, tmp_path)
    plan = clerks.one("plan")["id"]
    short = clerks("plan", "fund", plan, "--as", "millbrook", "--amount", "30,000")
    assert "45,000.00 GBP are missing" in " ".join(short.out.split())
    assert [one["missing"] for one in tranches(clerks, plan)] == ["0", "2000000", "2500000"]
    assert "amount: 45,000.00 GBP" in clerks("plan", "fund", plan, "--as", "millbrook").err
    released_by_date(clerks, plan)
    verified_and_disputed(clerks, plan)
    refunded(clerks, plan)
    everything_reconciles(clerks, plan)


def tranches(clerks: Clerks, plan: str) -> list[dict[str, Any]]:
    return list(clerks("plan", "show", plan, "--json").json["tranches"])


def wait(clerks: Clerks, days: int) -> None:
    clerks("clock", "advance", "--as", "association", "--to", f"+{days}d")


def released_by_date(clerks: Clerks, plan: str) -> None:
    wait(clerks, 13)  # it is verified by its day, moved to a business day
    assert tranches(clerks, plan)[0]["standing"] == "verified"
    shown = clerks.narrow()("plan", "show", plan).out
    assert "✔ date" in shown
    assert "objections end, then it is released" in " ".join(shown.split())
    wait(clerks, 4)
    card = clerks("certificate", "show", clerks.one("certificate")["id"]).out
    for part in ("RELEASE CERTIFICATE", "1, Advance", "9,950.00  to the payee", "✔  date", "the ledger by itself"):
        assert part in card


def verified_and_disputed(clerks: Clerks, plan: str) -> None:
    paper, photo = clerks.papers / "paper.pdf", clerks.papers / "photo.jpg"
    about = (plan, "--tranche", "2")
    assert any("evidence submit" in one["command"] for one in clerks.waiting("quarry"))
    said = clerks("evidence", "submit", *about, "--as", "quarry", "--materials", f"delivery_note:{paper}", expect=2)
    assert "--amount must be given: the step pays up to an amount, and you say what you claim" in said.err
    clerks("evidence", "submit", *about, "--as", "quarry", "--materials", f"delivery_note:{paper}",
           "--materials", f"photo:{photo}", "--amount", "36,500")  # fmt: skip
    assert "answer the evidence for tranche 2" in clerks("waiting", "north-pier").out
    clerks("evidence", "accept", *about, "--as", "north-pier", "--amount", "36500")
    sent_back = clerks("evidence", "send-back", *about, "--as", "south-pier", "--reason", "blurred")
    assert "evidence: evd_" in sent_back.err
    half = clerks.narrow()("plan", "show", plan).out
    assert "✔ North Pier Surveyors" in half
    assert "✘ South Pier Surveyors" in half
    assert "· East Quay Engineers" in half
    assert clerks.waiting("north-pier") == []
    clerks("evidence", "accept", *about, "--as", "east-quay", "--amount", "36000")
    clerks("tranche", "object", *about, "--as", "millbrook", "--amount", "3000", "--reason", "beams_short")
    dispute = clerks.one("dispute")["id"]
    clerks("dispute", "offer", dispute, "--as", "quarry", "--to-payee", "2000")
    assert any("accept-offer" in one["command"] for one in clerks.waiting("millbrook"))
    wait(clerks, 15)
    assert "rule on the dispute" in clerks("waiting", "arbitration").out
    over = clerks("dispute", "rule", dispute, "--as", "arbitration", "--to-payee", "3001", "--ruling", paper, expect=2)
    assert "--to-payer must be given: more than the disputed amount would go to the payee" in over.err
    ruled = clerks("dispute", "rule", dispute, "--as", "arbitration", "--to-payee", "1500", "--ruling", paper)
    assert "to payer: 1,500.00 GBP" in ruled.err
    causes = {one.get("cause", "release") for one in clerks("list", "certificates", "--json").json}
    assert causes == {"release", "ruling"}


def refunded(clerks: Clerks, plan: str) -> None:
    clerks("refund", "request", plan, "--tranche", "3", "--as", "millbrook", "--amount", "5000",
           "--reason", "smaller_roof")  # fmt: skip
    clerks.type_what_waits("quarry", "refund consent")
    assert clerks.one("refund")["state"] == "booked"


def everything_reconciles(clerks: Clerks, plan: str) -> None:
    money = {name: int(units) for name, units in clerks("plan", "show", plan, "--json").json["money"].items()}
    parts = ("held", "released", "refunded", "fees", "reversed")
    assert money["deposited"] == sum(money[name] for name in parts) == 7_500_000
    (statement,) = clerks("statement", plan, "--json").json
    lines = statement["lines"]
    assert int(lines[-1]["balance"]) == int(statement["balance"]) == money["held"]
    fees = [int(line["out"]) for line in lines if line.get("why", "").endswith("fee")]
    assert sum(fees) == money["fees"] == 17_750  # half a percent of 35,500.00, however it was sliced
    assert sum(int(line["out"]) for line in lines if "back" in line.get("why", "")) == money["refunded"]
    assert clerks("accounts", "tideway", "--json").json["fees"][0]["units"] == str(money["fees"])
    (escrow,) = clerks("accounts", "quarry", "--json").json["escrow"]
    assert (escrow["plan"], escrow["held"]) == (plan, str(money["held"]))
    assert clerks("check", "--json").json["holds"] is True


@pytest.mark.parametrize("width", ["80", "120"])
def test_what_is_printed_keeps_to_the_width(confirmed: Path, tmp_path: Path, width: str) -> None:
    clerks = Clerks(confirmed / "home", COLUMNS=width)
    product, plan = clerks.one("product")["id"], clerks.one("plan")["id"]
    for words in (("plan", "show", plan), ("product", "show", product), ("list", "plans"), ("statement", plan)):
        shown = clerks(*words).out
        assert max(len(line.rstrip()) for line in shown.splitlines()) <= int(width)
        assert "Traceback" not in shown


def test_a_plan_is_amended_from_the_file_that_the_tool_writes(confirmed: Path, tmp_path: Path) -> None:
    clerks = copied(confirmed, tmp_path)
    plan = clerks.one("plan")["id"]
    file = tmp_path / "now.toml"
    clerks("plan", "file", plan, "--out", file)
    assert "not written over" in clerks("plan", "file", plan, "--out", file, expect=2).err
    text = file.read_text()
    assert "North Pier Surveyors" in text
    file.write_text(text.replace('"25000.00"', '"20000.00"'))
    offered = clerks("plan", "amend", plan, "--as", "millbrook", "--tranches", f"@{file}")
    assert "total: 70,000.00 GBP" in offered.err
    assert "changed, tranche 3, fund amount: 25,000.00 GBP -> 20,000.00 GBP" in offered.err
    said = clerks("plan", "confirm", plan, "--as", "quarry", expect=2).err
    assert "what waits is an amendment: `tally plan confirm-amendment`" in said
    shown = clerks.narrow()("plan", "show", plan).out
    assert "fund amount   25,000.00 GBP   20,000.00 GBP" in shown
    clerks.type_what_waits("quarry", "confirm-amendment")
    assert clerks("plan", "show", plan, "--json").json["money"]["total"] == "7000000"
    assert clerks("plan", "file", plan).out.partition("\n")[2] == file.read_text().partition("\n")[2]


def test_what_can_not_be_filled_in_says_why(confirmed: Path) -> None:
    clerks = Clerks(confirmed / "home")
    plan, product = clerks.one("plan")["id"], clerks.one("product")["id"]
    said = clerks("plan", "confirm", plan, "--as", "quarry", "--dry-run", expect=2).err
    assert "--total, --terms must be given; nothing on the ledger waits for this step now" in said
    assert f"plan {plan} is active" in said
    said = clerks("tranche", "release", plan, "--tranche", "1", "--as", "quarry", "--dry-run", expect=2).err
    assert "--amount must be given" in said
    said = clerks("product", "authorise", product, "--as", "millbrook", "--dry-run", expect=1).err
    assert "wrong_state" in said


def test_looking_at_plans_needs_no_passphrase(confirmed: Path) -> None:
    without = Clerks(confirmed / "home", TALLYSTICK_PASSPHRASE="")
    plan, product = without.one("plan")["id"], without.one("product")["id"]
    for words in (("show", plan), ("show", product), ("plan", "file", plan), ("waiting", "quarry"),
                  ("statement", plan), ("accounts", "quarry"), ("plan", "show", plan)):  # fmt: skip
        without(*words)
    assert "not a plan" in without("plan", "show", product, expect=2).err
    assert "nothing waits" in without("waiting", "tideway").err
