"""Importing invoices: good rows in, bad rows out with reasons, and no invoice twice, whatever happens in between."""

import csv
import datetime
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.commands import Tally, make_home

pytestmark = pytest.mark.engine

TODAY = datetime.datetime.now(datetime.UTC).date()
BILLED_ON = TODAY - datetime.timedelta(days=5)
MAPPING = "number=reference,buyer=payer,amount=net,currency==GBP,invoiced_on=billed_on,due_on=billed_on+60d"
COLUMNS = ("payer", "reference", "net", "billed_on")


@pytest.fixture
def tally(tmp_path: Path) -> Tally:
    return make_home(tmp_path / "home")


def write(path: Path, *rows: tuple[str, ...]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def row(number: object, amount: str = "10.00", payer: str = "Millbrook Council") -> tuple[str, ...]:
    return (payer, str(number), amount, BILLED_ON.isoformat())


def bring_in(tally: Tally, file: Path, expect: int = 0) -> dict[str, object]:
    done = tally("import", "invoices", file, "--as", "askew", "--mapping", MAPPING, "--json", expect=expect)
    summary: dict[str, object] = done.json
    return summary


def test_bad_rows_are_rejected_with_line_and_reason(tally: Tally, tmp_path: Path) -> None:
    file = write(
        tmp_path / "invoices.csv",
        row("INV-1", "5004.50"),
        row("INV-2", "12.345"),
        row("INV-3", payer="Nobody Ltd"),
        row(""),
        row("inv-1", "5004.50"),
        row("INV-6", "2000000.00"),
        ("Millbrook Council", "INV-7", "1.00"),
        row("a\nb"),
        row("INV-9", "0.00"),
        ("Millbrook Council", "INV-10", "1.00", "2026-02-30"),
    )
    done = bring_in(tally, file, expect=1)
    assert (done["imported"], done["rejected"]) == (2, 8)
    with (tmp_path / "invoices.csv.rejects.csv").open(newline="") as rejects:
        reasons = {int(one["line"]): one["reason"] for one in csv.DictReader(rejects)}
    expected = {
        3: "12.345",
        4: "Nobody Ltd",
        5: "no invoice number",
        6: "the same invoice as in line 2",
        7: "203 over_permission",
        8: "3 cells, 4 columns",
        11: "amount_zero",
        12: "2026-02-30",
    }
    assert reasons.keys() == expected.keys()
    for line, part in expected.items():
        assert part in reasons[line]


def test_the_same_file_again_doubles_nothing(tally: Tally, tmp_path: Path) -> None:
    file = write(tmp_path / "invoices.csv", row("INV-1"), row("INV-2", "2000000.00"))
    first = bring_in(tally, file, expect=1)
    assert (first["imported"], first["rejected"]) == (1, 1)
    write(file, row("INV-1"), row("INV-2", "20.00"), row("INV-3"))
    second = bring_in(tally, file)
    assert (second["imported"], second["already_in"], second["rejected"]) == (2, 1, 0)
    assert not (tmp_path / "invoices.csv.rejects.csv").exists()
    third = bring_in(tally, file)
    assert (third["imported"], third["already_in"]) == (0, 3)
    assert len(tally("list", "receivable", "--json").json) == 3


def test_a_kill_in_the_middle_and_the_same_again_doubles_nothing(tally: Tally, tmp_path: Path) -> None:
    count = 3_000
    file = write(tmp_path / "invoices.csv", *(row(f"INV-{number}") for number in range(count)))
    done_before = 0
    for _ in range(3):
        running = tally.start("import", "invoices", file, "--as", "askew", "--mapping", MAPPING)
        kill_once_it_writes(running, tally.home / "ledger")
        stands = len(tally("list", "receivable", "--limit", str(count), "--json").json)
        assert stands >= done_before
        done_before = stands
    assert 0 < done_before < count, f"{done_before} rows were in when it was killed; the test proves nothing"
    last = bring_in(tally, file)
    assert last["imported"] + last["already_in"] == count  # type: ignore[operator]
    assert last["already_in"] == done_before
    received = tally("list", "receivable", "--limit", str(count + 10), "--json").json
    assert len(received) == count
    assert tally("check", "--json").json["holds"] is True


def kill_once_it_writes(running: "subprocess.Popen[str]", ledger: Path) -> None:
    """Kill the import with its first batches on the disk."""
    began = written(ledger)
    until = time.monotonic() + 60
    while running.poll() is None and written(ledger) < began + 150_000 and time.monotonic() < until:
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert running.returncode == -signal.SIGKILL


def written(ledger: Path) -> int:
    """How many bytes the write-ahead logs hold."""
    total = 0
    for path in ledger.glob("*.log"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"payer,reference,net\n", "no column 'billed_on'"),
        (b"payer,payer,net\n", "two columns"),
        (b"payer,reference,net,billed_on\nMillbrook,\xff,1,2\n", "line 2: not UTF-8"),
        (b'payer,reference,net,billed_on\n"Millbrook"x,1,1,2\n', "line 2: not CSV"),
    ],
)
def test_an_unreadable_file_is_named_and_nothing_goes_in(
    tally: Tally, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    words = ("import", "invoices", tmp_path / "bad.csv", "--as", "askew", "--mapping", MAPPING)
    assert said in tally(*words, expect=2).err
    assert tally("list", "receivable", "--json").json == []


def test_a_mapping_without_a_needed_field_is_refused(tally: Tally, tmp_path: Path) -> None:
    file = write(tmp_path / "invoices.csv", row("INV-1"))
    words = ("import", "invoices", file, "--as", "askew", "--mapping")
    assert "no column for due_on" in tally(*words, "number=reference,amount=net", expect=2).err
    assert "there is no field 'colour'" in tally(*words, "colour=net", expect=2).err


def test_what_spreadsheets_write_is_read(tally: Tally, tmp_path: Path) -> None:
    """A byte order mark, semicolons, CRLF, quotes, thousands separated, a cell over two lines."""
    due_on = (TODAY + datetime.timedelta(days=60)).isoformat()
    lines = ("Invoice No;Customer;Net;Due", f'"INV-1";"Millbrook Council";"1,234.50";{due_on}')
    (tmp_path / "june.csv").write_bytes("\r\n".join(("\ufeff" + lines[0], *lines[1:], "")).encode())
    words = ("import", "invoices", tmp_path / "june.csv", "--as", "askew", "--json", "--mapping")
    mapping = "number=Invoice No,buyer=Customer,amount=Net,due_on=Due"
    assert "no column for currency" in tally(*words, mapping, expect=2).err
    assert tally(*words, mapping, "--currency", "GBP").json["imported"] == 1
    assert tally("list", "receivable", "--json").json[0]["face"] == "123450"


def test_rejects_come_back_as_they_were(tally: Tally, tmp_path: Path) -> None:
    """A row that lacks a cell does not become a whole one by way of the rejects; refusals are in words of people."""
    file = write(tmp_path / "invoices.csv", row("INV-1", "2000000.00"), ("Millbrook Council", "INV-7", "1.00"))
    assert bring_in(tally, file, expect=1)["rejected"] == 2
    with (tmp_path / "invoices.csv.rejects.csv").open(newline="") as rejects:
        _, first, second = csv.reader(rejects)
    assert "organisation Askew Books Limited" in first[1]
    assert "ceiling 1,000,000.00 GBP" in first[1]
    assert second[2:] == ["Millbrook Council", "INV-7", "1.00"]
