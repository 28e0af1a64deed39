"""Payroll files: every line is checked, bad ones are told by line and reason, good ones become commitments."""

import csv
import hashlib
from pathlib import Path

import pytest

from tallystick.node.home import Home, own_secret
from tallystick.node.tables import Rejected
from tallystick.node.wage_lines import (
    Account,
    Committing,
    Payroll,
    Result,
    Worker,
    account_commitment,
    check_account_number,
    check_resident_number,
    read_corrections,
    read_payroll,
    read_results,
    worker_commitment,
)
from tallystick.wire.errors import DecodeError
from tests.support.payrolls import COLUMNS, card, payroll_row, resident, write_rows

PLAN = "pln_0000000000000000"
WORKER, ACCOUNT = Worker("王芳", resident(1)), Account("王芳", card(1), "工商银行")


def read(tmp_path: Path, *rows: tuple[str, ...], columns: tuple[str, ...] = COLUMNS) -> Payroll:
    return read_payroll(write_rows(tmp_path / "payroll.csv", columns, *rows), 2)


def only_reject(payroll: Payroll) -> Rejected:
    (rejected,) = payroll.rejected
    return rejected


def changed(row: tuple[str, ...], **cells: str) -> tuple[str, ...]:
    return tuple(cells.get(name, cell) for name, cell in zip(COLUMNS, row, strict=True))


def test_a_payroll_as_it_should_be(tmp_path: Path) -> None:
    payroll = read(tmp_path, payroll_row(1, "3,000.50"), payroll_row(2, "4500"))
    assert not payroll.rejected
    assert [int(line.units) for line in payroll.lines] == [300_050, 450_000]
    assert payroll.lines[0].worker == Worker("Worker 1", resident(1))
    assert payroll.lines[1].account == Account("Worker 2", card(2), "Bank of the river")
    assert [line.row.line for line in payroll.lines] == [2, 3]


def test_chinese_columns_and_spellings(tmp_path: Path) -> None:
    columns = ("姓名", "身份证号", "银行卡号", "开户行", "实发工资")
    spaced = " ".join(card(1)[at : at + 4] for at in range(0, len(card(1)), 4))
    payroll = read(tmp_path, ("王芳　", resident(1).lower(), spaced, "工商银行", "3000"), columns=columns)
    assert not payroll.rejected
    assert (payroll.lines[0].worker, payroll.lines[0].account) == (WORKER, ACCOUNT)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"name": " "}, "empty"),
        ({"name": "x" * 101}, "too long"),
        ({"name": "a\x07b"}, "no text"),
        ({"identity": resident(1)[:-1]}, "17 digits"),
        ({"identity": resident(1)[:-1] + ("0" if resident(1)[-1] != "0" else "1")}, "check character"),
        ({"identity": "110101199902300019"}, "birthday"),
        ({"account": "123"}, "bank account"),
        ({"account": card(1)[:-1] + str((int(card(1)[-1]) + 1) % 10)}, "check digit"),
        ({"account": "GB29 NWBK 6016 1331 9268 18"}, "IBAN"),
        ({"bank": ""}, "empty"),
        ({"amount": "0.00"}, "zero"),
        ({"amount": "-5"}, "not an amount"),
        ({"amount": "12.345"}, "decimal places"),
        ({"amount": "1,5"}, "not an amount"),
    ],
)
def test_a_line_that_is_not_as_it_must_be(tmp_path: Path, cells: dict[str, str], reason: str) -> None:
    payroll = read(tmp_path, changed(payroll_row(1), **cells), payroll_row(2))
    assert reason in only_reject(payroll).reason
    assert only_reject(payroll).row.line == 2
    assert len(payroll.lines) == 1


def test_one_bad_account_in_ten_thousand_is_named(tmp_path: Path) -> None:
    rows = [payroll_row(number) for number in range(1, 10_001)]
    rows[7_776] = changed(rows[7_776], account="not an account")
    rejected = only_reject(read(tmp_path, *rows))
    assert (rejected.row.line, rejected.reason) == (7_778, "account: not the number of a bank account")


def test_nobody_and_no_account_stands_twice(tmp_path: Path) -> None:
    twice = changed(payroll_row(2), name="Another name", identity=resident(1))
    assert only_reject(read(tmp_path, payroll_row(1), twice)).reason == "identity: the same worker as in line 2"
    shared = changed(payroll_row(2), account=card(1))
    assert "own account" in only_reject(read(tmp_path, payroll_row(1), shared)).reason


def test_a_row_of_another_length_is_rejected(tmp_path: Path) -> None:
    assert "4 cells" in only_reject(read(tmp_path, payroll_row(1)[:4], payroll_row(2))).reason


def test_other_documents_are_said_to_be_so(tmp_path: Path) -> None:
    columns = (*COLUMNS, "identity_kind")
    passport = (*changed(payroll_row(1), identity="E12345678"), "passport")
    payroll = read(tmp_path, passport, columns=columns)
    assert payroll.lines[0].worker.identity_kind == "passport"
    assert only_reject(read(tmp_path, (*passport[:-1], "resident"), columns=columns))
    assert "resident" in only_reject(read(tmp_path, (*passport[:-1], "driving"), columns=columns)).reason


def test_a_file_that_can_not_be_read_at_all(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="no column bank"):
        read(tmp_path, columns=("name", "identity", "account", "amount"))
    with pytest.raises(DecodeError, match="no lines"):
        read(tmp_path)
    file = tmp_path / "latin.csv"
    file.write_bytes("name,identity,account,bank,amount\nJosé,1,2,3,4\n".encode("latin-1"))
    with pytest.raises(DecodeError, match="not UTF-8"):
        read_payroll(file, 2)


@pytest.mark.parametrize("number", ["11010519491231002X", "440524188001010014"])
def test_published_resident_numbers(number: str) -> None:
    """The examples of GB 11643-1999, annex."""
    check_resident_number(number)


@pytest.mark.parametrize("number", ["GB29NWBK60161331926819", "DE89370400440532013000"])
def test_published_ibans(number: str) -> None:
    """The examples of the IBAN registry; with one character changed they fail."""
    check_account_number(number)
    with pytest.raises(DecodeError):
        check_account_number(number[:-1] + str((int(number[-1]) + 1) % 10))


def test_the_same_file_gives_the_same_commitments_and_another_sheet_others() -> None:
    key = bytes(range(32))
    first = Committing(key, "chain", PLAN, 1).of(WORKER, ACCOUNT)
    assert Committing(key, "chain", PLAN, 1).of(WORKER, ACCOUNT) == first
    others = [
        Committing(bytes(32), "chain", PLAN, 1),
        Committing(key, "other", PLAN, 1),
        Committing(key, "chain", PLAN, 2),
    ]
    for other in others:
        made = other.of(WORKER, ACCOUNT)
        assert len({first.worker, first.account, made.worker, made.account}) == 4


def test_one_worker_keeps_its_commitment_with_another_account() -> None:
    committing = Committing(bytes(32), "chain", PLAN, 1)
    before = committing.of(WORKER, ACCOUNT)
    after = committing.of(WORKER, ACCOUNT._replace(account=card(2)))
    assert before.worker == after.worker
    assert before.account != after.account


def test_salts_open_their_own_line_alone() -> None:
    committing = Committing(bytes(32), "chain", PLAN, 1)
    made = committing.of(WORKER, ACCOUNT)
    assert worker_commitment(WORKER, made.worker_salt) == made.worker
    assert account_commitment(ACCOUNT, made.account_salt) == made.account
    other = committing.of(Worker("李强", resident(2)), Account("李强", card(2), "工商银行"))
    assert len({made.worker_salt, made.account_salt, other.worker_salt, other.account_salt}) == 4


def test_commitments_hold_to_their_specification() -> None:
    """Recomputed by hand from docs/spec/wage-lines.md."""
    salt = bytes(32)
    content = f'{{"identity":"{resident(1)}","identity_kind":"resident","name":"王芳"}}'
    expected = hashlib.sha256(b"tallystick-wage-worker-v1\n" + salt + content.encode()).hexdigest()
    assert worker_commitment(WORKER, salt) == expected


def test_the_wage_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    key = own_secret(home.wage_key)
    assert len(key) == 32
    assert own_secret(home.wage_key) == key
    assert (tmp_path / "wages.key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "wages.key").chmod(0o644)
    with pytest.raises(DecodeError, match="others may read"):
        own_secret(home.wage_key)


def test_results_of_the_bank(tmp_path: Path) -> None:
    file = write_rows(
        tmp_path / "results.csv",
        ("line", "result", "reason"),
        ("3", "失败", "Account closed"),
        ("1", "paid", ""),
        ("2", "returned", ""),
        ("1", "paid", ""),
        ("x", "paid", ""),
        ("4", "perhaps", ""),
    )
    _, results, rejected = read_results(file)
    assert results == [Result(1, ""), Result(3, "account_closed")]
    assert [(one.row.line, one.reason.partition(":")[0]) for one in rejected] == [
        (4, "reason"),
        (5, "line"),
        (6, "line"),
        (7, "result"),
    ]


def test_corrections_name_lines(tmp_path: Path) -> None:
    columns = ("line", "name", "identity", "account", "bank")
    file = write_rows(
        tmp_path / "corrections.csv",
        columns,
        ("7", *payroll_row(7)[:4]),
        ("0", *payroll_row(8)[:4]),
        ("5", *payroll_row(5)[:4]),
        ("5", *payroll_row(9)[:4]),
    )
    _, corrections, rejected = read_corrections(file)
    assert [one.line for one in corrections] == [5, 7]
    assert [one.row.line for one in rejected] == [3, 5]


def test_rows_are_as_they_were_written(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "payroll.csv", COLUMNS, payroll_row(1))
    with file.open(newline="") as opened:
        assert list(csv.reader(opened)) == [list(COLUMNS), list(payroll_row(1))]


def test_results_need_no_reasons_where_every_line_was_paid(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "results.csv", ("line", "result"), ("1", "paid"), ("2", "成功"))
    assert [(one.line, one.reason) for one in read_results(file)[1]] == [(1, ""), (2, "")]
    write_rows(file, ("line", "result"), ("1", "returned"))
    _, found, rejected = read_results(file)
    assert found == []
    assert "reason" in rejected[0].reason
