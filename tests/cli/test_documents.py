"""`tally document ...`, `tally product contracts` and `check-contracts`, as people type them, on a ledger of their own.

One scene is set in this process up to an authorised product; each test works on a copy of its home.
"""

import datetime
import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tallystick.kernel.core.events import Event
from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.record import Record
from tallystick.kernel.financing.contract import SignFinancingContract
from tallystick.kernel.financing.records import Financing, Settlement
from tallystick.kernel.governance.operations import AdvanceClock
from tallystick.kernel.membership.records import Member
from tallystick.kernel.products.applying import ApplyForProduct, CounterContract
from tallystick.kernel.products.authorising import AuthoriseProduct
from tallystick.kernel.products.contracts import SignContract
from tallystick.kernel.products.records import (
    Business,
    ContractKind,
    ContractTerms,
    FeePayer,
    FeeTerms,
    Method,
    Product,
    ProductTerms,
)
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ReviewResult
from tallystick.node.anchoring import anchor_file
from tallystick.node.composition import create_chain
from tallystick.node.genesis_file import GenesisFile
from tallystick.node.home import Home
from tallystick.node.key_store import LIGHT_COST, Passphrases
from tallystick.node.session import Session, open_home
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import Instant
from tests.support.accounts import opened
from tests.support.commands import PASSPHRASE, Tally
from tests.support.contracts import squeezed, text_of
from tests.support.financing import Market, awarded
from tests.support.receivables import PASSED, Trade, anchor, issued

pytestmark = pytest.mark.engine

MEMBERS = {
    "audit": ("Harbour Audit LLP", '"governor", "auditor"'),
    "payer": ("Millbrook Council", '"client", "core_enterprise"'),
    "payee": ("Askew Works Limited", '"client"'),
    "platform": ("Quayside Platform Limited", '"platform"'),
    "bank": ("Haven Bank plc", '"custodian"'),
    "judge": ("Tideway Arbitrators", '"arbitrator"'),
    "funder": ("Northern Factors plc", '"funder"'),
}
GENESIS = """
chain_id = "papers-test"
sandbox = true
zone = "Europe/London"
currencies = ["GBP"]
calendars = ["gb"]
law = ["gb"]
tree_depth = 2

[policies]
identifier_kinds = ["test"]
""" + "".join(
    f"""
[[members]]
legal_name = "{name}"
identifier = "{folder}"
identifier_kind = "test"
size_class = "small"
roles = [{roles}]
folder = "{folder}"
permissions = [
  {{ may = "issue", currency = "GBP", ceiling = "1000000.00" }},
  {{ may = "finance", currency = "GBP", ceiling = "1000000.00" }},
]
"""
    for folder, (name, roles) in MEMBERS.items()
)
TODAY = datetime.datetime.now(datetime.UTC).date()
CAP = Units(12_345_678)


@dataclass(frozen=True)
class Told:
    """What a step told, in the words of `World.do`."""

    events: list[Event]


class Scene:
    """Sets a ledger's scene by real operations; the builders of tests/support take it where they take a `World`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def now(self) -> Instant:
        return self._session.now()

    def id(self, folder: str) -> str:
        return self._session.lookup.member(folder).id

    def do(self, *operations: Operation, by: str) -> Told:
        done = self._session.submit(operations, by)
        assert done.is_done, done.outcome
        return Told([placed.event for placed in done.events])

    def row(self, kind: type[Record], row_id: str) -> Any:
        self._session.forget()
        return self._session.state.find(f"{kind.table}/{row_id}")

    def wait(self, *, until: Instant) -> None:
        self.do(AdvanceClock(to=until), by=self.id("audit"))


def authorised(scene: Scene, contract: Anchor) -> str:
    """A product up to the payer's authorisation."""
    world: Any = scene
    payer, payee, platform, bank = (scene.id(name) for name in ("payer", "payee", "platform", "bank"))
    payer_account = opened(world, payer, bank, "GBP")
    opened(world, payee, bank, "GBP")
    read = ContractTerms(
        number="HT-1", title="Sea wall", payer=payer, payee=payee, currency="GBP",
        value=Units(99_999_999), signed_on=TODAY, starts_on=TODAY, ends_on=TODAY + datetime.timedelta(days=90),
    )  # fmt: skip
    terms = ProductTerms(
        business=Business.CONSTRUCTION, currency="GBP", cap=CAP, custodian=bank,
        refund_account=payer_account, payment_from_on=TODAY, payment_until_on=TODAY + datetime.timedelta(days=90),
        methods=(Method.DATE, Method.PAYER), objection_days=3, answer_days=5, arbitrator=scene.id("judge"),
        fee=FeeTerms(rate=Rate(500_000), minimum=Units(100), paid_by=FeePayer.PAYEE),
        long_stop_on=TODAY + datetime.timedelta(days=200), default_split=50,
    )  # fmt: skip
    application = ApplyForProduct(payer=payer, platform=platform, document=contract, contract=read, terms=terms)
    product = scene.do(application, by=payee).events[0].record
    scene.do(CounterContract(product=product, document=anchor("contract", "payer"), contract=read), by=payer)
    review = scene.row(Product, product).review
    scene.do(DecideReview(review=review, result=ReviewResult.APPROVE, checklist=PASSED), by=platform)
    scene.do(AuthoriseProduct(product=product, currency="GBP", cap=CAP), by=payer)
    return product


def awarded_financing(scene: Scene) -> str:
    """A financing of 1,000.00 through a bank, awarded to the only funder."""
    world: Any = scene
    payer, payee, audit, funder = (scene.id(name) for name in ("payer", "payee", "audit", "funder"))
    due_on = TODAY + datetime.timedelta(days=91)
    receivable = issued(
        world, payer, payee, 100_000, audit, currency="GBP", issue_on=TODAY, due_on=due_on, delivered_on=TODAY
    )
    trade = Trade(
        world=world, buyer=payer, supplier=payee, maker=payee, funder=funder, auditor=audit, second_auditor=audit
    )
    m = Market(
        trade, rival=funder, platform=scene.id("platform"), arbitrator=scene.id("judge"), custodian=scene.id("bank"),
        receivable=receivable,
    )  # fmt: skip
    return awarded(m, settlement=Settlement.BANK)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path, str]:
    """A home, its product, the file of the payee's business contract, and a financing."""
    folder = tmp_path_factory.mktemp("papers")
    home = Home(folder / "home")
    passphrases = Passphrases((PASSPHRASE,))
    create_chain(home, GenesisFile(GENESIS, "genesis.toml"), passphrases, LIGHT_COST)
    paper = folder / "business-contract.txt"
    paper.write_text("The sea wall, 999,999.99 GBP.")
    with open_home(home.path, passphrases) as session:
        scene = Scene(session)
        financing = awarded_financing(scene)
        product = authorised(scene, anchor_file(home, paper, "business_contract"))
    return home.path, product, paper, financing


@pytest.fixture
def tally(made: tuple[Path, str, Path], tmp_path: Path) -> Tally:
    shutil.copytree(made[0], tmp_path / "home")
    return Tally(tmp_path / "home")


@pytest.fixture
def product(made: tuple[Path, str, Path, str]) -> str:
    return made[1]


@pytest.fixture
def paper(made: tuple[Path, str, Path, str]) -> Path:
    return made[2]


def test_find_says_what_anchored_a_file(tally: Tally, product: str, paper: Path) -> None:
    found = tally("document", "find", paper, "--json").json
    assert found["anchored"] is True
    anchor = found["anchors"][0]
    assert (anchor["kind"], anchor["size"]) == ("business_contract", paper.stat().st_size)
    placed = anchor["transactions"]
    assert [(one["organisation"], one["operations"], one["status"]) for one in placed] == [
        ("Askew Works Limited", ["product.apply"], "ok")
    ]
    assert placed[0]["height"] > 0
    assert anchor["records"] == [{"record": product, "table": "product", "field": "payee_copies[0].document"}]
    told = tally("document", "find", paper).out
    for word in ("business_contract", "Askew Works Limited", "product.apply", product):
        assert word in told
    later = TODAY + datetime.timedelta(days=2)  # the scene moved the sandbox's clock
    assert re.search(rf"{later} [0-9]{{2}}:[0-9]{{2}}", told)


def test_find_says_that_nothing_anchored_a_file(tally: Tally, tmp_path: Path, paper: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(paper.read_text().replace("999", "998"))
    ended = tally("document", "find", other)
    assert "nothing anchored this file" in ended.out
    found = tally("document", "find", other, "--json").json
    assert (found["anchored"], found["anchors"]) == (False, [])
    assert found["sha256"] == hashlib.sha256(other.read_bytes()).hexdigest()
    assert "can't be read" in tally("document", "find", tmp_path / "absent", expect=2).err


def test_a_stored_file_is_found_once_the_ledger_names_it(tally: Tally, tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("delivered")
    kept = tally("document", "store", file, "--kind", "delivery_note", "--json").json["anchor"]
    assert "nothing on the ledger" in tally("document", "find", file).out
    tally("document", "anchor", "--as", "payee", "--anchor", f"delivery_note:{file}")
    found = tally("document", "find", file, "--json").json["anchors"]
    assert [one["hash"] for one in found] == [kept["hash"]]
    assert found[0]["records"][0]["table"] == "document"
    assert found[0]["transactions"][0]["operations"] == ["document.anchor"]
    assert "is not a kind" in tally("document", "store", file, "--kind", "Delivery Note", expect=2).err


def test_what_was_anchored_is_kept_and_given_back(tally: Tally, tmp_path: Path, paper: Path) -> None:
    listed = {one["kind"]: one for one in tally("document", "list", "--json").json}
    one = listed["business_contract"]
    assert one["kept"] is True
    tally("document", "get", one["hash"][:12], "--out", tmp_path / "back.txt")
    assert (tmp_path / "back.txt").read_bytes() == paper.read_bytes()
    assert "exists already" in tally("document", "get", one["hash"], "--out", tmp_path / "back.txt", expect=2).err
    copy = tally.home / "documents/sha256" / one["sha256"][:2] / one["sha256"][2:]
    copy.write_bytes(b"x" * copy.stat().st_size)
    damaged = tally("document", "get", one["sha256"], "--out", tmp_path / "no.txt", expect=2).err
    assert one["sha256"][2:] in "".join(damaged.split())
    assert not (tmp_path / "no.txt").exists()
    tally("document", "forget", one["hash"])
    assert "salt only" in tally("document", "list").out
    assert "only its salt is kept" in tally("document", "get", one["hash"], "--out", tmp_path / "no.txt", expect=2).err
    assert tally("document", "find", paper, "--json").json["anchored"] is True, "the salt stays"


def test_another_home_takes_what_is_shared_and_finds_it(tally: Tally, tmp_path: Path, paper: Path) -> None:
    shutil.copytree(tally.home, tmp_path / "other", ignore=shutil.ignore_patterns("anchors", "documents"))
    other = Tally(tmp_path / "other")
    assert "nothing anchored this file" in other("document", "find", paper).out
    one = next(one for one in tally("document", "list", "--json").json if one["kind"] == "business_contract")
    shared = tmp_path / "shared.zip"
    tally("document", "share", one["hash"], "--out", shared)
    assert shared.stat().st_mode & 0o777 == 0o600
    taken = other("document", "take", shared, "--json").json["anchor"]
    assert (taken["hash"], taken["sha256"]) == (one["hash"], one["sha256"])
    assert other("document", "find", paper, "--json").json["anchored"] is True
    other("document", "take", shared)
    raw = bytearray(shared.read_bytes())
    raw[raw.index(b"999,999")] ^= 1
    shared.write_bytes(raw)
    assert "not a shared document" in other("document", "take", shared, expect=2).err


def drafted(tally: Tally, product: str, out: Path) -> dict[str, dict[str, Any]]:
    made = tally("product", "contracts", product, "--out", out, "--json").json
    tally("product", "contracts", product, "--hand-in", "--as", "platform")
    return {one["kind"]: one for one in made}


def test_three_contracts_are_drawn_up_handed_in_checked_and_found(tally: Tally, product: str, tmp_path: Path) -> None:
    out = tmp_path / "contracts"
    made = drafted(tally, product, out)
    assert set(made) == {kind.value for kind in ContractKind}
    for kind, one in made.items():
        pdf = (out / f"{kind}.pdf").read_bytes()
        terms = (out / f"{kind}.terms.json").read_bytes()
        assert hashlib.sha256(terms).hexdigest() == one["terms_hash"]
        text = text_of(pdf)
        assert "GBP123,456.78" in text
        assert "壹拾贰万叁仟肆佰伍拾陆点柒捌英镑" in text
        for name, _ in MEMBERS.values():
            assert (squeezed(name) in text) is (name not in ("Harbour Audit LLP", "Northern Factors plc"))
    checked = tally("product", "check-contracts", product, out, "--json").json
    assert checked["proven"] is True
    assert sorted(one["contract"] for one in checked["files"]) == sorted(made)
    with open_home(tally.home, Passphrases((PASSPHRASE,))) as session:
        scene = Scene(session)
        row: Product = scene.row(Product, product)
        for contract in row.contracts:
            assert contract.document.hash == made[contract.kind.value]["document"]
            sides = contract.kind.value.split("_")
            signature = SignContract(
                product=product, kind=contract.kind, terms_hash=contract.terms_hash,
                document=contract.document.hash, currency="GBP", cap=CAP,
            )  # fmt: skip
            for side in sides:
                scene.do(signature, by=scene.id(side))
        assert scene.row(Product, product).opened is not None
    found = tally("document", "find", out / "payer_payee.pdf", "--json").json["anchors"][0]
    assert [one["operations"] for one in found["transactions"]] == [
        ["product.draft_contracts"], ["product.sign_contract"], ["product.sign_contract"],
    ]  # fmt: skip
    assert {one["table"] for one in found["records"]} == {"document", "product"}


def test_a_party_finds_out_that_another_document_was_drafted(tally: Tally, product: str, tmp_path: Path) -> None:
    out = tmp_path / "contracts"
    drafted(tally, product, out)
    forged = out / "payer_payee.pdf"
    forged.write_bytes(forged.read_bytes().replace(b"D:2", b"D:1", 1))
    ended = tally("product", "check-contracts", product, out, expect=1)
    assert "none of the three" in ended.out
    shutil.rmtree(tally.home / "anchors")
    without = tally("product", "check-contracts", product, "--json", expect=1).json
    assert without["proven"] is False
    assert [one["same_terms"] for one in without["contracts"]] == [True] * 3
    assert [one["same_document"] for one in without["contracts"]] == [None] * 3
    assert "is not written over" in tally("product", "contracts", product, "--out", out, expect=2).err


def test_handing_in_needs_the_platform_and_its_key(tally: Tally, product: str) -> None:
    assert "--as" in tally("product", "contracts", product, "--hand-in", expect=2).err
    assert "--hand-in" in tally("product", "contracts", product, "--as", "platform", expect=2).err
    refused = tally("product", "contracts", product, "--hand-in", "--as", "payee", expect=1)
    assert "not_a_party" in refused.err
    tally("product", "contracts", product, "--hand-in", "--as", "platform", "--dry-run")
    assert "no contracts are drafted" in tally("product", "check-contracts", product, expect=2).err


def test_a_financing_contract_is_drawn_up_signed_and_found(
    tally: Tally, made: tuple[Path, str, Path, str], tmp_path: Path
) -> None:
    financing, out = made[3], tmp_path / "financing.pdf"
    words = ("financing", "contract", financing, "--out", out)
    assert "needs an arbitrator" in tally(*words, expect=2).err
    drawn = tally(*words, "--arbitrator", "judge", "--json").json
    text = text_of(out.read_bytes())
    for said in ("Askew Works Limited", "Northern Factors plc", "Tideway Arbitrators", "GBP 1,000.00", "壹仟英镑整"):
        assert squeezed(said) in text
    assert "neither unlock nor hand_on" in tally(*words, "--without-ruling", "perhaps", expect=2).err
    other = tally(*words[:-1], tmp_path / "other.pdf", "--arbitrator", "judge", "--without-ruling", "hand-on", "--json")
    assert other.json["terms_hash"] != drawn["terms_hash"]
    with open_home(tally.home, Passphrases((PASSPHRASE,))) as session:
        scene = Scene(session)
        row: Financing = scene.row(Financing, financing)
        document = anchor_file(session.home, out, "financing_contract")
        assert document.hash == drawn["document"]
        scene.do(
            SignFinancingContract(
                financing=financing, currency="GBP", units=row.face, document=document, arbitrator=scene.id("judge")
            ),
            by=scene.id("payee"),
        )
    again = tally(*words, "--json").json
    assert again["document"] == drawn["document"], "the same file, from what was signed"
    assert "another arbitrator" in tally(*words, "--without-ruling", "hand_on", expect=2).err
    found = tally("document", "find", out, "--json").json["anchors"][0]
    assert found["records"] == [{"record": financing, "table": "financing", "field": "contract.document"}]


def test_members_are_named_as_the_ledger_has_them(made: tuple[Path, str, Path, str]) -> None:
    with open_home(made[0], reading=True) as session:
        names = {row.legal_name for row in session.lookup.members() if isinstance(row, Member)}
    assert names == {name for name, _ in MEMBERS.values()}
