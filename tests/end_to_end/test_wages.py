"""A payroll from its file to the last paid worker, by commands; a kill in the middle doubles nothing."""

import datetime
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tallystick.kernel.chain_rows import Clock
from tallystick.kernel.membership.keys import AddKey
from tallystick.kernel.membership.records import KeyRole
from tallystick.kernel.products.records import Business
from tallystick.ledger.engines.embedded import EmbeddedEngine
from tallystick.ledger.store import RocksStore
from tallystick.node.composition import read_genesis
from tallystick.node.home import Home
from tallystick.node.key_store import LIGHT_COST, Passphrases, create_key, read_key
from tallystick.wire.instants import DAY_MS, Instant
from tests.support.commands import PASSPHRASE, Tally, make_home
from tests.support.laying import lay
from tests.support.members import public
from tests.support.payrolls import COLUMNS, payroll_row, write_rows
from tests.support.plans import funded_plan, tranche
from tests.support.products import MILLION, cast, contract_terms, special_account
from tests.support.receivables import publish_calendar
from tests.support.world import CHAIN_ID, World

pytestmark = pytest.mark.engine

GENESIS = f"""
chain_id = "{CHAIN_ID}"
sandbox = true
zone = "UTC"
currencies = ["CNY", "GBP"]
calendars = ["cn"]
tree_depth = 2

[policies]
identifier_kinds = ["test"]

[[members]]
legal_name = "Founder"
identifier = "F0"
identifier_kind = "test"
size_class = "small"
roles = ["governor", "auditor"]
folder = "founder"
"""
WEDNESDAY = 2
DAY = datetime.timedelta(days=1)


class Payday:
    """A home on whose ledger a wage plan of today has all its money; payer's and custodian's keys are there."""

    def __init__(self, path: Path, workers: int) -> None:
        self.tally = make_home(path / "home", GENESIS)
        self.path = path
        self.rows = [payroll_row(number) for number in range(1, workers + 1)]
        home = Home(self.tally.home)
        now = Instant(time.time_ns() // 1_000_000)
        weekday = datetime.datetime.fromtimestamp(now / 1000, datetime.UTC).weekday()
        offset = (WEDNESDAY - weekday) % 7 * DAY_MS  # wages are released on a business day
        world = World(at=now.plus(offset))
        world.put(Clock(id="chain", offset_ms=offset))
        today = world.today()
        publish_calendar(world, today.year, today.year + 1)
        c = cast(world)
        special_account(c, units=10 * MILLION)
        self._keys(world, home, c.payer, "payer", KeyRole.MAKER, KeyRole.CHECKER)
        self._keys(world, home, c.custodian, "custodian", KeyRole.MAKER)
        self._keys(world, home, c.payee, "payee", KeyRole.MAKER, KeyRole.CHECKER)
        step = tranche(
            workers * 100_000,
            wages=True,
            up_to=True,
            fund_by_on=today + 7 * DAY,
            release_from_on=today,
            release_until_on=today + 30 * DAY,
        )
        terms: dict[str, Any] = {
            "business": Business.WAGES,
            "cap": step.units,
            "payment_from_on": today,
            "payment_until_on": today + 60 * DAY,
            "long_stop_on": today + 120 * DAY,
            "objection_days": 0,
        }
        contract = contract_terms(
            c, value=step.units, signed_on=today, starts_on=today, ends_on=today + 60 * DAY, currency="CNY"
        )
        self.plan = funded_plan(world, c, step, contract=contract, **terms)
        genesis = read_genesis(home)
        node_key = Passphrases((PASSPHRASE,)).unlock(read_key(home.node_key))
        EmbeddedEngine(RocksStore(home.ledger), node_key, genesis).close()
        lay(home.ledger, world.state.rows.values())

    def _keys(self, world: World, home: Home, member: str, folder: str, *roles: KeyRole) -> None:
        for role in roles:
            place = home.keys / folder / f"{role.value}.key"
            place.parent.mkdir(parents=True, exist_ok=True)
            _, key = create_key(place, folder, role.value, PASSPHRASE, LIGHT_COST)
            world.do(AddKey(key=public(key), role=role), by=member, keys=(key,))

    def payroll(self, change: Callable[[list[tuple[str, ...]]], None] | None = None) -> Path:
        rows = list(self.rows)
        if change is not None:
            change(rows)
        return write_rows(self.path / "payroll.csv", COLUMNS, *rows)

    def upload(self, file: Path, *words: str, expect: int = 0) -> Any:
        about = (self.plan, "1", file)
        return self.tally("wage", "lines", *about, "--as", "Payer", "--json", *words, expect=expect).json

    def show(self) -> Any:
        return self.tally("wage", "show", self.plan, "1", "--json").json


@pytest.fixture
def payday(tmp_path: Path) -> Callable[[int], Payday]:
    return lambda workers: Payday(tmp_path, workers)


def test_from_the_payroll_to_the_last_paid_worker(payday: Callable[[int], Payday], tmp_path: Path) -> None:
    p = payday(503)
    tally = p.tally
    file = p.payroll()
    assert p.upload(file, "--dry-run")["sheet"] is None
    assert p.upload(file) | {"units": ""} == {
        "lines": 503,
        "units": "",
        "chunks": 2,
        "handed_in": 2,
        "already_in": 0,
        "sheet": "complete",
        "stopped": None,
    }
    again = p.upload(file)
    assert (again["handed_in"], again["already_in"]) == (0, 2)
    shared = tmp_path / "shared.csv"
    tally("wage", "share", p.plan, "1", file, "--to", shared)
    assert shared.stat().st_mode & 0o777 == 0o600
    assert tally("wage", "check", p.plan, "1", shared, "--json").json["lines"] == 503
    evidence = tally("show", p.plan, "--json").json
    assert "Worker 7" not in str(evidence)
    accept = ("--amount", "503000.00", "--evidence", _evidence(tally, p.plan))
    tally("evidence", "accept", p.plan, "--tranche", "1", "--as", "Payer", *accept)
    assert p.show()["standing"] == {"in_transit": {"lines": 503, "units": "50300000"}}
    results = [(str(line), "paid", "") for line in range(1, 504) if line != 501]
    bank = write_rows(tmp_path / "bank.csv", ("line", "result", "reason"), *results, ("501", "失败", "account closed"))
    tally("wage", "line-result", p.plan, "1", bank, "--bank-reference", "BATCH-1", "--as", "Custodian")
    sheet = p.show()
    assert sheet["listed"] == [
        {"line": 501, "state": "returned", "units": "100000", "attempt": 1, "reason": "account_closed"}
    ]
    columns = ("line", "name", "identity", "account", "bank")
    name, identity, _, bank_name, _ = p.rows[500]
    stranger = write_rows(tmp_path / "stranger.csv", columns, ("501", *payroll_row(900)[:4]))
    tally("wage", "line-correct", p.plan, "1", stranger, "--as", "Payer", expect=2)
    fixed = write_rows(tmp_path / "fixed.csv", columns, ("501", name, identity, payroll_row(900)[2], bank_name))
    tally("wage", "line-correct", p.plan, "1", fixed, "--as", "Payer")
    tally("wage", "share", p.plan, "1", fixed, "--to", tmp_path / "shared-again.csv")
    assert tally("wage", "check", p.plan, "1", tmp_path / "shared-again.csv", "--json").json["lines"] == 1
    refused = tally("wage", "check", p.plan, "1", shared, expect=2)
    assert "pay none of these by this file" in refused.err
    rejects = shared.with_name(shared.name + ".rejects.csv")
    assert rejects.read_text().startswith("line of the file,reason,line,")  # the sheet's own numbers are a line on
    last = write_rows(tmp_path / "last.csv", ("line", "result", "reason"), ("501", "paid", ""))
    tally("wage", "line-result", p.plan, "1", last, "--bank-reference", "BATCH-2", "--as", "Custodian")
    assert (p.show()["state"], p.show()["open_units"]) == ("done", "0")
    tally("check")
    assert "paid" in tally("wage", "show", p.plan, "1").out


def _evidence(tally: Tally, plan: str) -> str:
    found: str = tally("show", plan, "--json").json["record"]["tranches"][0]["evidence"]
    return found


def test_one_bad_account_stops_the_whole_payroll(payday: Callable[[int], Payday]) -> None:
    p = payday(30)

    def spoil(rows: list[tuple[str, ...]]) -> None:
        rows[16] = (*rows[16][:2], "not an account", *rows[16][3:])

    file = p.payroll(spoil)
    done = p.upload(file, expect=2)
    assert (done["rejected"], done["rows"], done["rejects"][0]["line"]) == (1, 30, 18)
    assert "not an account" in (file.parent / "payroll.csv.rejects.csv").read_text()
    p.tally("wage", "show", p.plan, "1", expect=2)
    p.upload(p.payroll())
    assert not (file.parent / "payroll.csv.rejects.csv").exists()
    assert p.show()["state"] == "complete"


def test_other_totals_begin_anew_only_when_told(payday: Callable[[int], Payday]) -> None:
    p = payday(1_001)
    p.upload(p.payroll(), "--sign-only", str(p.path / "signed"), "--sign-with", "maker")
    first = p.path / "signed" / "chunk-001.json"
    p.tally("tx", "add-signature", first, "--as", "Payer", "--sign-with", "checker")
    p.tally("tx", "submit", first)
    assert p.show()["chunks_missing"] == [2, 3]

    def without_the_last(rows: list[tuple[str, ...]]) -> None:
        del rows[-1]

    shorter = p.payroll(without_the_last)
    assert p.upload(shorter, expect=1)["stopped"]["status"] == "lines_differ"
    assert p.upload(shorter, "--anew")["sheet"] == "complete"
    assert p.show()["lines"] == 1_000


def test_a_kill_in_the_middle_of_an_upload_doubles_nothing(payday: Callable[[int], Payday]) -> None:
    p = payday(2_001)
    file = p.payroll()
    started = p.tally.start("wage", "lines", p.plan, "1", file, "--as", "Payer")
    time.sleep(1.5)
    started.send_signal(signal.SIGKILL)
    try:
        started.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        started.kill()
    done = p.upload(file)
    assert done["handed_in"] + done["already_in"] == 5
    assert done["sheet"] == "complete"
    assert p.show()["standing"] == {"pending": {"lines": 2_001, "units": "200100000"}}
    p.tally("check")
