"""The commands as a user types them: from an empty directory to a valid receivable, and every way it can end."""

import datetime
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import GENESIS, PASSPHRASE, Tally, make_home

pytestmark = pytest.mark.engine

TODAY = datetime.datetime.now(datetime.UTC).date()
DUE_ON = (TODAY + datetime.timedelta(days=60)).isoformat()
FINGERPRINT = "1" * 64


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a chain and one requested receivable."""
    directory = tmp_path_factory.mktemp("made")
    (directory / "handling.txt").write_text("handled")
    request(make_home(directory / "home"))
    return directory


@pytest.fixture
def tally(made: Path, tmp_path: Path) -> Tally:
    """A copy of `made` for one test."""
    shutil.copytree(made / "home", tmp_path / "home")
    shutil.copy(made / "handling.txt", tmp_path / "handling.txt")
    return Tally(tmp_path / "home")


def request(tally: Tally, *more: str, fingerprint: str = FINGERPRINT, expect: int = 0) -> str:
    """Askew asks to issue 1,234.50 GBP owed by the council; returns the receivable's id."""
    done = tally(
        "receivable", "request", "--as", "askew", "--debtor", "Millbrook Council", "--currency", "GBP",
        "--face", "1,234.50", "--issue-on", TODAY.isoformat(), "--due-on", DUE_ON,
        "--invoices", f"fingerprint={fingerprint},amount=1234.50,total=1234.50", "--json", *more, expect=expect,
    )  # fmt: skip
    return done.json["records"][0] if expect == 0 and "--dry-run" not in more and "--sign-only" not in more else ""


def handling(tally: Tally) -> Path:
    return tally.home.parent / "handling.txt"


def the_receivable(tally: Tally) -> str:
    return str(tally("list", "receivable", "--json").json[0]["id"])


def test_a_chain_is_created_once(tmp_path: Path) -> None:
    (tmp_path / "genesis.toml").write_text(GENESIS)
    tally = Tally(tmp_path / "home")
    made = tally("chain", "init", "--genesis", tmp_path / "genesis.toml", "--json").json
    assert [one["legal_name"] for one in made["members"]][:2] == ["Harbour Audit LLP", "Millbrook Council"]
    assert len(tally("key", "list", "--json").json) == 5
    assert "created here already" in tally("chain", "init", "--genesis", tmp_path / "genesis.toml", expect=2).err
    (tmp_path / "home" / "genesis.json").unlink()
    (tmp_path / "home" / "signed").unlink()
    shutil.rmtree(tmp_path / "home" / "ledger")
    keys = tally("key", "list", "--json").json
    tally("chain", "init", "--genesis", tmp_path / "genesis.toml")  # as after an interruption
    assert tally("key", "list", "--json").json == keys
    assert len(tally("members", "--json").json) == 5


def test_from_application_to_a_valid_receivable(tally: Tally) -> None:
    tally("key", "new", "quayside")
    applied = tally(
        "member", "apply", "--as", "askew", "--legal-name", "Quayside Print Ltd", "--identifier", "Q1",
        "--identifier-kind", "test", "--size-class", "small", "--keys", "key=quayside/admin,role=admin",
        "--roles", "client", "--permissions", "may=receive,currency=GBP,ceiling=5000.00", "--json",
    ).json  # fmt: skip
    member, review = applied["records"]
    tally("review", "decide", review, "--as", "audit", "--result", "approve")
    assert tally("show", "quayside print", "--json").json["record"]["states"][-1]["state"] == "admitted"
    founder = tally("show", "Millbrook Council", "--json").json["record"]
    assert founder["permissions"][0]["permission"]["ceiling"] == "100000000"
    assert tally("show", member, "--json").json["record"]["permissions"][0]["permission"]["ceiling"] == "500000"

    receivable = the_receivable(tally)
    confirmed = tally(
        "receivable", "confirm", receivable, "--as", "millbrook", "--handling", handling(tally), "--consent-to-notices",
        "--json",
    )  # fmt: skip
    assert "1,234.50 GBP" in confirmed.err  # what is signed is shown, though it was not typed
    review = next(name for name in confirmed.json["records"] if name.startswith("rev_"))
    tally("review", "decide", review, "--as", "Harbour Audit LLP", "--result", "approve", "--fingerprints", FINGERPRINT)
    for organisation in ("askew", "millbrook"):
        assert "of 1,234.50 GBP" in tally("notices", organisation).out
        assert "is issued and valid" in " ".join(tally("notices", organisation).out.split())
    offered = tally(
        "transfer", "request", receivable, "--as", "askew", "--amount", "500", "--receiver", "quayside",
        "--background", f"order:{handling(tally)}", "--json",
    ).json  # fmt: skip
    accepted = tally(
        "transfer", "accept", offered["records"][0], "--as", "quayside", "--handling", handling(tally), "--json"
    ).json
    tally("review", "decide", accepted["records"][-1], "--as", "audit", "--result", "approve")
    shown = tally("show", receivable).out
    assert "1..50000" in shown
    assert "Quayside Print Ltd" in shown
    assert "734.50 GBP" in shown
    assert tally("check", "--json").json["holds"] is True


def validated(tally: Tally) -> str:
    """The requested receivable, confirmed and approved."""
    receivable = the_receivable(tally)
    confirmed = tally(
        "receivable", "confirm", receivable, "--as", "millbrook", "--handling", handling(tally), "--consent-to-notices",
        "--json",
    ).json  # fmt: skip
    approve = ("--as", "audit", "--result", "approve", "--fingerprints", FINGERPRINT)
    tally("review", "decide", confirmed["records"][-1], *approve)
    return receivable


def test_a_sealed_quote_is_kept_here_until_it_is_revealed(tally: Tally) -> None:
    receivable = validated(tally)
    asked = tally(
        "financing", "request", receivable, "--as", "askew", "--amount", "800", "--settlement", "ledger", "--sealed",
        "--closes-at", "+2d", "--json",
    ).json  # fmt: skip
    financing = asked["records"][0]
    tally("financing", "evaluate", financing, "--as", "northern", "--accepts", "--assessment", handling(tally))
    terms = "rate=5.2,day_count=act/365f,fee_rate=0.1,minimum_fee=5.00,valid_until=+9d,with_recourse=no"
    tally("financing", "seal", financing, "--as", "northern", "--terms", terms)
    assert "5.2" not in tally("show", financing).out
    assert "sealed" in tally("board").out
    tally("financing", "reveal-sealed", financing, "--as", "northern", expect=1)
    tally("clock", "advance", "--as", "audit", "--to", "+49h")
    tally("financing", "reveal-sealed", financing, "--as", "northern")
    ranking = tally("board", "--json").json[0]["ranking"]
    assert [int(entry["cost"]) + int(entry["net"]) for entry in ranking] == [80_000]
    assert "5.2 % act/365f" in tally("board").out


def test_accounts_and_statements_show_what_moved(tally: Tally) -> None:
    opened = tally(
        "account", "apply", "--as", "millbrook", "--currency", "GBP", "--custodian", "haven",
        "--papers", handling(tally), "--json",
    ).json  # fmt: skip
    account, review = opened["records"]
    tally("review", "decide", review, "--as", "haven", "--result", "approve")
    for number, amount in (("BR1", "2,000.00"), ("BR2", "500.5")):
        tally(
            "deposit", "book", "--as", "haven", "--account", account, "--currency", "GBP", "--amount", amount,
            "--remitter", "millbrook", "--bank-reference", number,
        )  # fmt: skip
    used = tally(
        "deposit", "book", "--as", "haven", "--account", account, "--currency", "GBP", "--amount", "1",
        "--remitter", "millbrook", "--bank-reference", "br2", expect=1,
    )  # fmt: skip
    assert "602 bank_reference_used" in used.err
    assert tally("accounts", "millbrook", "--json").json["accounts"][0]["balance"] == "250050"
    lines = tally("statement", account, "--json").json[0]["lines"]
    assert [(line["in"], line["balance"]) for line in lines] == [("200000", "200000"), ("50050", "250050")]
    assert "2,500.50" in tally("statement", "millbrook").out


def test_a_refusal_says_its_number_name_meaning_and_facts(tally: Tally) -> None:
    refused = tally(
        "receivable", "withdraw", the_receivable(tally), "--as", "millbrook", "--json", expect=1
    )  # fmt: skip
    assert refused.json["outcome"] == "committed"
    assert refused.json["status"] == "not_a_party"
    assert refused.json["number"] == 204
    for part in ("204 not_a_party", "are not those whom the operation needs", "Askew Books Limited", "final"):
        assert part in refused.err


def test_a_dry_run_changes_nothing(tally: Tally) -> None:
    before = tally("node", "status", "--json").json["height"]
    request(tally, "--dry-run", fingerprint="2" * 64)
    request(tally, "--dry-run", expect=1)  # the invoice is used up
    assert tally("node", "status", "--json").json["height"] == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "nobody at all"), "no organisation on this ledger is named"),
        (("show", "mbr_"), "fits 5 records"),
        (("show", "rcv_0000000000000000"), "no receivable on this ledger has the id"),
        (("list", "wombat"), "there is no kind 'wombat'"),
        (("receivable", "request", "--as", "askew", "--face", "1.234", "--currency", "GBP"), "--face: '1.234'"),
        (("receivable", "request", "--as", "askew", "--face", "1", "--currency", "XXX"), "knows no currency 'XXX'"),
        (("receivable", "request", "--as", "askew"), "--currency"),
        (("receivable", "confirm", "--as", "askew", "--handling", "/no/such/file"), "/no/such/file"),
        (("receivable", "confrim"), "Did you mean"),
        (("result", "abc"), "neither a file nor a hash"),
        (("events", "--after", "x"), "not a cursor"),
    ],
)
def test_bad_input_is_named(made: Path, words: tuple[str, ...], said: str) -> None:
    ended = Tally(made / "home")(*words, expect=2)
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_ambiguous_names_list_their_candidates(made: Path) -> None:
    ended = Tally(made / "home")("show", "mbr_", expect=2)
    assert "Askew Books Limited" in ended.err
    assert "Millbrook Council" in ended.err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('chain_id = "harbour-test"', "chain_id = harbour", "not TOML"),
        ('size_class = "public"', 'size_class = "huge"', "members[1].size_class"),
        ('law = ["gb"]', 'law = ["xx"]', "no law pack 'xx'"),
        ("sandbox = true", "sandbax = true", "sandbax"),
        ('permissions = [{ may = "issue", currency = "GBP", ceiling = "1000000.00" }]',
         'permissions = [{ may = "issue", currency = "GBP", ceiling = "1.001" }]', "decimal places"),
        ('identifier = "S1"', 'identifier = "M1"', "another member has it"),
    ],
)  # fmt: skip
def test_a_bad_genesis_names_field_and_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    changed = GENESIS.replace(old, new)
    line = max(number for number, text in enumerate(changed.splitlines(), 1) if new in text)
    (tmp_path / "genesis.toml").write_text(changed)
    ended = Tally(tmp_path / "home")("chain", "init", "--genesis", tmp_path / "genesis.toml", expect=2)
    assert f"line {line}" in ended.err
    assert said in ended.err
    assert not (tmp_path / "home").exists()


def test_a_genesis_without_a_governor_is_refused(tmp_path: Path) -> None:
    (tmp_path / "genesis.toml").write_text(GENESIS.replace('roles = ["governor", "auditor"]', 'roles = ["auditor"]'))
    ended = Tally(tmp_path / "home")("chain", "init", "--genesis", tmp_path / "genesis.toml", expect=2)
    assert "0 members are governor, 1 must agree" in ended.err


def test_a_wrong_passphrase_is_a_clear_error(tally: Tally) -> None:
    wrong = tally.with_environment(TALLYSTICK_PASSPHRASE="wrong")
    ended = wrong("receivable", "withdraw", the_receivable(tally), "--as", "askew", expect=2)
    assert "the passphrase does not open this key" in ended.err
    assert "node.key" in ended.err


def test_a_passphrase_file_that_others_may_read_is_refused(tally: Tally, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PASSPHRASE + "\n")
    secret.chmod(0o644)
    without = tally.with_environment(TALLYSTICK_PASSPHRASE="")
    assert "chmod 600" in without("members", "--passphrase-file", secret, expect=2).err
    secret.chmod(0o600)
    without("members", "--passphrase-file", secret)


def test_a_second_process_is_refused_with_a_clear_message(tally: Tally) -> None:
    holder = (
        "import sys, pathlib; from tallystick.ledger.store import RocksStore\n"
        "store = RocksStore(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", holder, str(tally.home / "ledger")]
    holding = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holding.stdout is not None
        assert holding.stdout.readline() == "held\n"
        ended = tally("members", expect=3)
        assert "another process has this data directory open" in ended.err
    finally:
        holding.communicate("")
    tally("members")


def test_a_damaged_ledger_is_told_apart(tally: Tally) -> None:
    for file in (tally.home / "ledger").glob("*.log"):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] + b"\xff" * 64)
    (tally.home / "ledger" / "CURRENT").write_bytes(b"nonsense\n")
    ended = tally("members", expect=4)
    assert "ledger" in ended.err
    assert "Traceback" not in ended.err


def test_another_genesis_than_the_ledgers_is_told_apart(tally: Tally) -> None:
    genesis = tally.home / "genesis.json"
    genesis.write_bytes(genesis.read_bytes().replace(b'"harbour-test"', b'"harbour-tesd"'))
    assert "another genesis" in tally("members", expect=4).err


def test_no_ledger_says_where_it_was_looked_for(tmp_path: Path) -> None:
    assert "tally chain init" in Tally(tmp_path / "nowhere")("members", expect=2).err


def test_an_unknown_transaction_has_no_result(tally: Tally) -> None:
    assert "was ordered" in tally("result", "0" * 64, expect=3).err


def test_organisations_sign_one_transaction_apart(tally: Tally, tmp_path: Path) -> None:
    receivable = the_receivable(tally)
    confirmed = tally(
        "receivable", "confirm", receivable, "--as", "millbrook", "--handling", handling(tally), "--consent-to-notices",
        "--json",
    ).json  # fmt: skip
    tally(
        "review",
        "decide",
        confirmed["records"][-1],
        "--as",
        "audit",
        "--result",
        "approve",
        "--fingerprints",
        FINGERPRINT,
    )
    away = tmp_path / "away"
    away.mkdir()
    for folder in ("askew", "audit"):
        (tally.home / "keys" / folder).rename(away / folder)
    file = tmp_path / "void.json"
    signed = tally(
        "receivable", "void", receivable, "--as", "millbrook", "--with", "Askew Books", "--with", "Harbour",
        "--reason", handling(tally), "--sign-only", file, "--json",
    ).json  # fmt: skip
    assert len(signed["still_to_sign"]) == 2
    tally("tx", "submit", file, expect=1)
    for folder in ("askew", "audit"):
        (away / folder).rename(tally.home / "keys" / folder)
        tally("tx", "add-signature", file, "--as", folder)
    assert tally("tx", "show", file, "--json").json["fault"] == ""
    first = tally("tx", "submit", file, "--json").json
    assert tally("show", receivable, "--json").json["record"]["state"] == "void"
    again = tally("tx", "submit", file, "--json").json
    assert (again["height"], again["index"]) == (first["height"], first["index"])
    assert tally("result", file, "--json").json["height"] == first["height"]


def test_replaying_a_file_twice_does_nothing_twice(tally: Tally, tmp_path: Path) -> None:
    lines = []
    for number in (3, 4):
        file = tmp_path / f"{number}.json"
        request(tally, "--sign-only", str(file), fingerprint=str(number) * 64)
        lines.append(file.read_text())
    (tmp_path / "all.jsonl").write_text("".join(lines))
    for _ in range(2):
        assert tally("replay", tmp_path / "all.jsonl", "--json").json["by_status"] == {"ok": 2}
    assert len(tally("list", "receivable", "--json").json) == 3
    (tmp_path / "all.jsonl").write_text("".join(lines) + '{"body":1}\n')
    assert "line 3" in tally("replay", tmp_path / "all.jsonl", expect=2).err


def test_raw_operations_run_from_a_file(tally: Tally, tmp_path: Path) -> None:
    file = tmp_path / "op.json"
    file.write_text(json.dumps({"op": "receivable.withdraw", "receivable": the_receivable(tally)}))
    tally("op", file, "--as", "askew")
    assert tally("list", "receivable", "--state", "withdrawn", "--json").json
    file.write_text(json.dumps([{"op": "receivable.withdraw", "receivable": 5}]))
    assert "operation 0, receivable" in tally("op", file, "--as", "askew", expect=2).err


def test_commands_talk_to_a_running_node(tally: Tally) -> None:
    node = tally.start("node", "run", "--json")
    try:
        assert node.stdout is not None
        assert json.loads(node.stdout.readline())["event"] == "started"
        assert tally("node", "status", "--json").json["node_running"] is True
        following = tally.start("events", "--follow", "--after", "1", "--json")
        made = request(tally, fingerprint="5" * 64)
        assert following.stdout is not None
        for line in following.stdout:
            if json.loads(line)["record"] == made:
                break
        following.terminate()
        following.communicate()
        assert made in tally("list", "receivable", "--party", "Millbrook Council").out
        assert "a node runs on this home already" in tally("node", "run", expect=3).err
    finally:
        node.terminate()
        node.communicate(timeout=30)
    assert node.returncode == 0
    assert not (tally.home / "engine.sock").exists()
    tally("members")


def test_a_backup_is_restored_under_a_new_chain_id(tally: Tally, tmp_path: Path) -> None:
    receivable = the_receivable(tally)
    tally("node", "backup", tmp_path / "backup")
    request(tally, fingerprint="6" * 64)
    shutil.rmtree(tally.home / "ledger")
    done = tally("node", "restore", tmp_path / "backup", "--new-chain-id", "harbour-test-2", "--json").json
    assert done["orders"] is True
    assert tally("node", "status", "--json").json["chain_id"] == "harbour-test-2"
    tally("receivable", "withdraw", receivable, "--as", "askew")


def test_help_is_for_clerks(made: Path) -> None:
    text = Tally(made / "home")("transfer", "request", "--help").out
    for part in ("转单", "an amount like 1234.50", "legal name, id", "+3d"):
        assert part in text
    assert "Source:" not in text


def test_the_genesis_file_of_the_guide_works(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    example = guide.split("```toml\n", 1)[1].split("```", 1)[0]
    key = next(line for line in example.splitlines() if "<public key" in line)
    (tmp_path / "genesis.toml").write_text(
        example.replace(key, '{ name = "maker", role = "maker" }, { name = "c", role = "checker" }')
    )
    Tally(tmp_path / "home")("chain", "init", "--genesis", tmp_path / "genesis.toml")
