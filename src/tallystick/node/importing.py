"""Bringing a CSV file of invoices in as receivables: good rows go in, bad rows come back with reasons.

A row is one invoice and becomes one requested receivable. Its transaction id follows from the invoice's fingerprint and
its record's id from that, so the same file, whole, changed or after a kill in the middle, never brings an invoice in
twice: what stands on the ledger already is passed over. A row that was refused gets a new transaction id when it is
tried again, for the old one is used up.
"""

import datetime
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tallystick.kernel.core.refusal import Fact
from tallystick.kernel.receivables.issue import RequestReceivable
from tallystick.kernel.receivables.records import InvoiceUse
from tallystick.ledger.engine import Committed, Outcome, RefusedAtDoor
from tallystick.node.amounts import typed_units
from tallystick.node.fingerprints import fingerprint
from tallystick.node.refusals import amounts_in_words
from tallystick.node.session import Session
from tallystick.node.tables import Rejected, Row, read_table
from tallystick.wire.errors import DecodeError
from tallystick.wire.ids import record_id
from tallystick.wire.status import Status

BATCH = 200
ATTEMPTS = 32
REQUIRED = ("number", "amount", "due_on")
FIELDS = {
    "number": "the invoice's number",
    "code": "the invoice's code, where it has one",
    "seller": "who is owed; the acting organisation where the file does not say",
    "buyer": "who owes; the acting organisation where the file does not say",
    "amount": "how much of it becomes the receivable",
    "total": "what it amounts to in all; the amount where the file does not say",
    "currency": "ISO 4217 code",
    "issue_on": "when the receivable is issued; today where the file does not say",
    "invoiced_on": "the invoice's date",
    "delivered_on": "when goods or services were delivered or accepted",
    "due_on": "when it is due",
    "reason": "the business reason, where the law asks for one",
}
"""What a row may say, and the names that a mapping gives columns to."""

_SHIFTED = re.compile(r"(?P<source>.+?)\s*\+\s*(?P<days>[0-9]{1,4})d", re.ASCII)
_DATES = ("issue_on", "invoiced_on", "delivered_on", "due_on")


class Mapping(NamedTuple):
    """Where a field's value comes from: a column or a constant, and days to add to a date."""

    column: str = ""
    constant: str = ""
    add_days: int = 0


@dataclass(slots=True)
class Summary:
    """What became of a file's rows."""

    rows: int = 0
    imported: int = 0
    already_in: int = 0
    unknown: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    records: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Wanted:
    """A good row on its way in."""

    row: Row
    operation: RequestReceivable
    fingerprint: str


def read_mapping(given: dict[str, object]) -> dict[str, Mapping]:
    """Columns, `=constants` and `column + 60d` by field. Raises `DecodeError`."""
    mapping = {}
    for name, source in given.items():
        if name not in FIELDS:
            raise DecodeError(f"there is no field {name[:40]!r}; there are {', '.join(FIELDS)}", "mapping")
        if not isinstance(source, str) or not source:
            raise DecodeError(f"{name} is not given a column", "mapping")
        shifted = _SHIFTED.fullmatch(source) if name in _DATES else None
        column, days = (shifted["source"], int(shifted["days"])) if shifted else (source, 0)
        is_constant = column.startswith("=")
        mapping[name] = Mapping("" if is_constant else column, column[1:] if is_constant else "", days)
    return mapping


def read_rows(path: Path, mapping: dict[str, Mapping]) -> tuple[list[str], list[Row | Rejected]]:
    """The file's columns and its rows; a row of another length comes back rejected.

    Raises `DecodeError` where the file as a whole can't be read, or a column is missing.
    """
    columns, rows = read_table(path)
    for name, source in mapping.items():
        if source.column and source.column not in columns:
            raise DecodeError(
                f"no column {source.column!r} for {name}; there are {', '.join(columns)}", f"{path}, line 1"
            )
    for name in REQUIRED:
        if name not in mapping:
            raise DecodeError(f"the mapping gives no column for {name} ({FIELDS[name]})", "mapping")
    return columns, rows


class InvoiceImport:
    """One import: `run` takes the rows in, in batches, and says what became of them."""

    def __init__(
        self, session: Session, actor: str, mapping: dict[str, Mapping], key: bytes, currency: str = ""
    ) -> None:
        self._session = session
        self._actor = actor
        self._mapping = mapping
        self._key = key
        self._currency = currency
        self._lines: dict[str, int] = {}
        self.summary = Summary()

    def run(self, rows: Sequence[Row | Rejected], advance: Callable[[int], None]) -> Summary:
        """Take all rows in; `advance` is told how many were done."""
        self.summary.rows = len(rows)
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            self._take_in(list(self._readable(batch)))
            advance(len(batch))
        self.summary.rejected.sort(key=lambda one: one.row.line)
        return self.summary

    def _readable(self, rows: Sequence[Row | Rejected]) -> Iterator[_Wanted]:
        for row in rows:
            if isinstance(row, Rejected):
                self.summary.rejected.append(row)
                continue
            try:
                yield self._read(row)
            except DecodeError as error:
                self.summary.rejected.append(Rejected(row, str(error)))

    def _value(self, row: Row, name: str) -> str:
        source = self._mapping.get(name, Mapping())
        return (row.cells.get(source.column, "") if source.column else source.constant).strip()

    def _read(self, row: Row) -> _Wanted:
        """The operation that a row asks for. Raises `DecodeError` naming the field."""
        seller, buyer = self._party(row, "seller"), self._party(row, "buyer")
        number = self._value(row, "number")
        if not number:
            raise DecodeError("there is no invoice number", "number")
        lookup = self._session.lookup
        mark = fingerprint(self._key, lookup.name(seller), lookup.name(buyer), self._value(row, "code"), number)
        if mark in self._lines:
            raise DecodeError(f"the same invoice as in line {self._lines[mark]}", "number")
        currency = self._value(row, "currency") or self._currency
        if not currency:
            raise DecodeError("there is no currency", "currency")
        digits = lookup.minor_digits(currency)
        amount = typed_units(self._value(row, "amount"), digits, "amount")
        stated_total = self._value(row, "total")
        total = typed_units(stated_total, digits, "total") if stated_total else amount
        due_on = self._date(row, "due_on")
        if due_on is None:
            raise DecodeError("there is no due date", "due_on")
        operation = RequestReceivable(
            debtor=buyer,
            creditor=seller,
            currency=currency,
            face=amount,
            issue_on=self._date(row, "issue_on") or self._session.today(),
            due_on=due_on,
            delivered_on=self._date(row, "delivered_on"),
            invoiced_on=self._date(row, "invoiced_on"),
            reason=self._value(row, "reason") or None,
            invoices=(InvoiceUse(fingerprint=mark, amount=amount, total=total),),
        )
        self._lines[mark] = row.line
        return _Wanted(row, operation, mark)

    def _party(self, row: Row, name: str) -> str:
        text = self._value(row, name)
        if not text and name in self._mapping:
            raise DecodeError("no organisation is named", name)
        if not text:
            return self._actor
        try:
            return self._session.lookup.member(text).id
        except DecodeError as error:
            raise DecodeError(str(error), name) from None

    def _date(self, row: Row, name: str) -> datetime.date | None:
        text = self._value(row, name)
        if not text:
            return None
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
            raise DecodeError(f"{text[:40]!r} is not a date like 2026-11-22", name)
        try:
            day = datetime.date.fromisoformat(text)
            return day + datetime.timedelta(days=self._mapping[name].add_days)
        except (ValueError, OverflowError):
            raise DecodeError(f"{text[:40]!r} is not a day of the calendar", name) from None

    def _take_in(self, wanted: list[_Wanted]) -> None:
        """Hand a batch in; those whose transaction id was used up by an earlier refusal are tried with the next."""
        left = [one for one in wanted if not self._stands(one)]
        for attempt in range(ATTEMPTS):
            if not left:
                return
            raws = [self._signed(one, attempt) for one in left]
            outcomes = self._session.engine.submit_many(raws)
            left = [one for one, outcome in zip(left, outcomes, strict=True) if self._is_used_up(one, outcome, attempt)]
        for one in left:
            reason = f"refused {ATTEMPTS} times already; request it with tally receivable request"
            self.summary.rejected.append(Rejected(one.row, reason))

    def _stands(self, one: _Wanted) -> bool:
        """Whether the receivable of this invoice is on the ledger already, whatever its state."""
        query = self._session.engine.query
        for attempt in range(ATTEMPTS):
            made = self._record(one, attempt)
            if query(f"receivable/{made}").record is not None:
                self.summary.already_in += 1
                self.summary.records.append(made)
                return True
        return False

    def _record(self, one: _Wanted, attempt: int) -> str:
        return record_id("rcv", self._session.engine.chain_id, self._actor, transaction_id(one.fingerprint, attempt), 0)

    def _signed(self, one: _Wanted, attempt: int) -> bytes:
        body = self._session.body((one.operation,), self._actor, id=transaction_id(one.fingerprint, attempt))
        return self._session.sign(body, (self._actor,)).to_bytes()

    def _is_used_up(self, one: _Wanted, outcome: Outcome, attempt: int) -> bool:
        """Count an outcome; True where another attempt is to be made."""
        match outcome:
            case Committed(status=Status.OK):
                self.summary.imported += 1
                self.summary.records.append(self._record(one, attempt))
            case RefusedAtDoor(status=Status.DUPLICATE_ID_OTHER_CONTENT):
                # Another run of this import may have brought it in since it was looked for.
                return not self._stands(one)
            case Committed(status=status, facts=facts) | RefusedAtDoor(status=status, facts=facts):
                self.summary.rejected.append(Rejected(one.row, self._refusal(one, status, facts)))
            case _:
                self.summary.unknown += 1
        return False

    def _refusal(self, one: _Wanted, status: Status, facts: dict[str, Fact]) -> str:
        lookup = self._session.lookup
        told = amounts_in_words(self._session.state, lookup, (one.operation,), facts)
        shown = ", ".join(f"{name.replace('_', ' ')} {lookup.name(str(value))}" for name, value in told.items())
        return f"{status.number} {status.label}: {status.meaning}" + (f" ({shown})" if shown else "")


def transaction_id(mark: str, attempt: int) -> str:
    """The id of the transaction that brings an invoice in."""
    return f"invoice.{mark[:40]}" + (f".{attempt}" if attempt else "")
