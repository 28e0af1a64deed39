"""Reading a payroll file (工资表) into the lines of a wage sheet, and making the commitments that stand for them.

Who is paid, and into which account, is never written to the ledger. What stands there is, for each line,

    worker  = SHA-256("tallystick-wage-worker-v1\\n"  + salt + canonical {identity, identity_kind, name})
    account = SHA-256("tallystick-wage-account-v1\\n" + salt + canonical {account, bank, holder})

with a salt of 32 bytes for each, which is HMAC-SHA-256 under this machine's wage key (`HOME/wages.key`) over the chain,
the plan, the tranche and those same values. So the same file gives the same lines again, one worker twice in a sheet
shows, the same worker in two months does not, and whoever is shown the salts of one line learns nothing of any other.
Without the key no line can be proven: it is kept as long as wages may be asked about.
"""

import datetime
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tallystick.kernel.wages.lines import LineCommitment
from tallystick.kernel.wages.records import MAX_LINES
from tallystick.node.amounts import typed_units
from tallystick.node.tables import Rejected, Row, read_table
from tallystick.wire import canonical
from tallystick.wire.amounts import Units
from tallystick.wire.errors import DecodeError

WORKER_DOMAIN = b"tallystick-wage-worker-v1\n"
ACCOUNT_DOMAIN = b"tallystick-wage-account-v1\n"
SALT_DOMAIN = b"tallystick-wage-salt-v1\n"
MAX_TEXT = 100

COLUMNS = {
    "name": ("姓名",),
    "identity": ("身份证号", "证件号码"),
    "account": ("银行账号", "银行卡号", "账号", "卡号"),
    "bank": ("开户行", "开户银行", "银行"),
    "amount": ("金额", "实发工资", "实发金额"),
    "identity_kind": ("证件类型",),
}
"""What a line says, with the names that Chinese payrolls give the columns. The last may be left out."""
OPTIONAL = ("identity_kind", "reason")  # a column for reasons is not needed where every line was paid

RESIDENT = "resident"
IDENTITY_KINDS = {
    **dict.fromkeys(("", RESIDENT, "身份证", "居民身份证"), RESIDENT),
    **dict.fromkeys(("passport", "护照"), "passport"),
    **dict.fromkeys(("permit", "通行证", "居住证"), "permit"),
    **dict.fromkeys(("other", "其他"), "other"),
}

_RESIDENT = re.compile(r"[0-9]{17}[0-9X]", re.ASCII)
_DOCUMENT = re.compile(r"[A-Z0-9]{4,30}", re.ASCII)
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{8,30}", re.ASCII)
_CARD = re.compile(r"62[0-9]{14,17}", re.ASCII)
_LINE = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


class Worker(NamedTuple):
    """Who a line pays, spelled in one way only: width, case and spaces made alike."""

    name: str
    identity: str
    identity_kind: str = RESIDENT


class Account(NamedTuple):
    """Where it is paid; the holder is the worker."""

    holder: str
    account: str
    bank: str


class PayrollLine(NamedTuple):
    """One line of a payroll file: its line there, worker, account and amount in minor units."""

    row: Row
    worker: Worker
    account: Account
    units: Units


class Payroll(NamedTuple):
    """A payroll file: its columns, the lines that are as they must be, and those that are not with the reason."""

    columns: list[str]
    lines: list[PayrollLine]
    rejected: list[Rejected]


class Committed(NamedTuple):
    """The commitments of one line with the salts that open them."""

    worker: str
    worker_salt: bytes
    account: str
    account_salt: bytes


def read_payroll(path: Path, minor_digits: int) -> Payroll:
    """Read and check every line. Raises `DecodeError` where the file as a whole can't be read."""
    columns, rows = read_table(path)
    place = _places(columns, path, (*COLUMNS,))
    payroll = Payroll(columns, [], [])
    seen = _Seen()

    def read(row: Row) -> PayrollLine:
        worker, account = _worker(row, place), _account(row, place)
        units = typed_units(_cell(row, place, "amount"), minor_digits, "amount")
        if not units:
            raise DecodeError("the amount is zero", "amount")
        seen.check(row, worker, account)
        return PayrollLine(row, worker, account, units)

    _read_all(rows, read, payroll)
    if len(rows) > MAX_LINES:
        raise DecodeError(f"more than {MAX_LINES:,} lines; divide them over several tranches", str(path))
    if not rows:
        raise DecodeError("the file has no lines", str(path))
    return payroll


class Correction(NamedTuple):
    """A returned line of the sheet with the account that it should have had."""

    row: Row
    line: int
    worker: Worker
    account: Account


def read_corrections(path: Path) -> tuple[list[str], list[Correction], list[Rejected]]:
    """Read a file of corrected lines: the number in the sheet (`line`), and name, identity, account, bank."""
    columns, rows = read_table(path)
    place = _places(columns, path, ("line", "name", "identity", "account", "bank", "identity_kind"))
    found: list[Correction] = []
    rejected: list[Rejected] = []
    seen = _Seen()
    numbers: set[int] = set()
    for row in rows:
        if isinstance(row, Rejected):
            rejected.append(row)
            continue
        try:
            one = Correction(row, _line_number(row, place, numbers), _worker(row, place), _account(row, place))
            seen.check(row, one.worker, one.account)
            found.append(one)
        except DecodeError as error:
            rejected.append(Rejected(row, str(error)))
    found.sort(key=lambda one: one.line)
    return columns, found, rejected


class Result(NamedTuple):
    """The bank's word on a line: paid where there is no reason, else returned."""

    line: int
    reason: str


PAID_WORDS = ("paid", "成功", "已支付")
RETURNED_WORDS = ("returned", "失败", "退票")
_REASON = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)


def read_results(path: Path) -> tuple[list[str], list[Result], list[Rejected]]:
    """Read the bank's results: `line` in the sheet, `result` (paid or returned), `reason` of a return as a code."""
    columns, rows = read_table(path)
    place = _places(columns, path, ("line", "result", "reason"))
    found: list[Result] = []
    rejected: list[Rejected] = []
    numbers: set[int] = set()
    for row in rows:
        if isinstance(row, Rejected):
            rejected.append(row)
            continue
        try:
            found.append(_result(row, place, numbers))
        except DecodeError as error:
            rejected.append(Rejected(row, str(error)))
    found.sort()
    return columns, found, rejected


def _result(row: Row, place: dict[str, str], numbers: set[int]) -> Result:
    line = _line_number(row, place, numbers)
    word = _cell(row, place, "result").lower()
    if word in PAID_WORDS:
        return Result(line, "")
    if word not in RETURNED_WORDS:
        raise DecodeError(f"{word[:40]!r} is neither paid nor returned", "result")
    reason = _cell(row, place, "reason").lower().replace(" ", "_")
    if not _REASON.fullmatch(reason):
        raise DecodeError(f"{reason[:40]!r} is not a code like account_closed", "reason")
    return Result(line, reason)


def _read_all(rows: Sequence[Row | Rejected], read: Callable[[Row], PayrollLine], payroll: Payroll) -> None:
    for row in rows:
        if isinstance(row, Rejected):
            payroll.rejected.append(row)
            continue
        try:
            payroll.lines.append(read(row))
        except DecodeError as error:
            payroll.rejected.append(Rejected(row, str(error)))


class _Seen:
    """No worker and no account twice in a file."""

    def __init__(self) -> None:
        self._workers: dict[tuple[str, str], int] = {}
        self._accounts: dict[str, int] = {}

    def check(self, row: Row, worker: Worker, account: Account) -> None:
        other = self._workers.setdefault((worker.identity_kind, worker.identity), row.line)
        if other != row.line:
            raise DecodeError(f"the same worker as in line {other}", "identity")
        other = self._accounts.setdefault(account.account, row.line)
        if other != row.line:
            raise DecodeError(f"the same account as in line {other}; wages go to the worker's own account", "account")


def _places(columns: list[str], path: Path, wanted: tuple[str, ...]) -> dict[str, str]:
    """Which column says what. Raises `DecodeError` naming those that are missing."""
    known = {name.strip().lower(): name for name in columns}
    place = {}
    for field in wanted:
        names = (field, *COLUMNS.get(field, ()))
        found = next((known[name] for name in names if name in known), None)
        if found is not None:
            place[field] = found
    missing = [field for field in wanted if field not in place and field not in OPTIONAL]
    if missing:
        raise DecodeError(f"no column {', '.join(missing)}; there are {', '.join(columns)}", f"{path}, line 1")
    return place


def _cell(row: Row, place: dict[str, str], field: str) -> str:
    return row.cells.get(place.get(field, ""), "").strip()


def _line_number(row: Row, place: dict[str, str], numbers: set[int]) -> int:
    number = line_number(_cell(row, place, "line"))
    if number in numbers:
        raise DecodeError("the line is named twice", "line")
    numbers.add(number)
    return number


def line_number(text: str) -> int:
    """The number of a line in its sheet. Raises `DecodeError`."""
    if not _LINE.fullmatch(text) or int(text) > MAX_LINES:
        raise DecodeError(f"{text[:40]!r} is not the number of a line", "line")
    return int(text)


def _worker(row: Row, place: dict[str, str]) -> Worker:
    name = _plain(_cell(row, place, "name"), "name")
    kind = IDENTITY_KINDS.get(_cell(row, place, "identity_kind").lower())
    if kind is None:
        raise DecodeError(f"there are {', '.join(sorted(set(IDENTITY_KINDS.values())))}", "identity_kind")
    identity = _bare(_cell(row, place, "identity"))
    if kind == RESIDENT:
        check_resident_number(identity)
    elif not _DOCUMENT.fullmatch(identity):
        raise DecodeError("not the number of a document", "identity")
    return Worker(name, identity, kind)


def _account(row: Row, place: dict[str, str]) -> Account:
    number = _bare(_cell(row, place, "account"))
    check_account_number(number)
    return Account(_plain(_cell(row, place, "name"), "name"), number, _plain(_cell(row, place, "bank"), "bank"))


def check_resident_number(number: str) -> None:
    """Raise `DecodeError` unless this is a resident identity number (GB 11643): a birthday and its check character."""
    if not _RESIDENT.fullmatch(number):
        raise DecodeError("not 17 digits and a check character", "identity")
    try:
        datetime.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        raise DecodeError("its birthday is no day of the calendar", "identity") from None
    total = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    if _CHECKS[total % 11] != number[17]:
        raise DecodeError("its check character is wrong", "identity")


def check_account_number(number: str) -> None:
    """Raise `DecodeError` unless this is an IBAN (ISO 13616), or 8 to 30 digits; a UnionPay card's must pass Luhn's."""
    if _IBAN.fullmatch(number):
        moved = number[4:] + number[:4]
        if int("".join(str(int(char, 36)) for char in moved)) % 97 != 1:
            raise DecodeError("the check digits of the IBAN are wrong", "account")
        return
    if not _NUMBER.fullmatch(number):
        raise DecodeError("not the number of a bank account", "account")
    if _CARD.fullmatch(number):
        digits = [int(char) for char in reversed(number)]
        doubled = (digit * 2 - 9 * (digit > 4) for digit in digits[1::2])
        if (sum(digits[::2]) + sum(doubled)) % 10:
            raise DecodeError("the card number's check digit is wrong", "account")


def _plain(text: str, field: str) -> str:
    """A name in one spelling: full and half width alike, single spaces."""
    plain = " ".join(unicodedata.normalize("NFKC", text).split())
    if not plain:
        raise DecodeError("it is empty", field)
    if len(plain) > MAX_TEXT or canonical.text_fault(plain) is not None:
        raise DecodeError("it is too long or holds what is no text", field)
    return plain


def _bare(text: str) -> str:
    """A number in one spelling: without spaces and hyphens, letters in upper case."""
    return re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", text)).upper()


class Committing:
    """Makes the commitments of one sheet's lines."""

    def __init__(self, key: bytes, chain_id: str, plan: str, tranche: int) -> None:
        self._key = key
        self._place = {"chain": chain_id, "plan": plan, "tranche": tranche}

    def of(self, worker: Worker, account: Account) -> Committed:
        """Both commitments of a line, with their salts."""
        worker_salt = self._salt("worker", worker._asdict())
        account_salt = self._salt("account", account._asdict())
        return Committed(
            worker_commitment(worker, worker_salt), worker_salt, account_commitment(account, account_salt), account_salt
        )

    def line(self, one: PayrollLine) -> LineCommitment:
        """What is uploaded for a line."""
        made = self.of(one.worker, one.account)
        return LineCommitment(worker=made.worker, account=made.account, units=one.units)

    def _salt(self, what: str, content: dict[str, str]) -> bytes:
        message = SALT_DOMAIN + canonical.encode({**self._place, "of": what, "content": content})
        return hmac.digest(self._key, message, hashlib.sha256)


def worker_commitment(worker: Worker, salt: bytes) -> str:
    """What stands for a worker on the ledger, hexadecimal."""
    return hashlib.sha256(WORKER_DOMAIN + salt + canonical.encode(worker._asdict())).hexdigest()


def account_commitment(account: Account, salt: bytes) -> str:
    """What stands for an account on the ledger, hexadecimal."""
    return hashlib.sha256(ACCOUNT_DOMAIN + salt + canonical.encode(account._asdict())).hexdigest()
