"""The published invoices: data/receivables.csv, with its attribution (data/SOURCES.md)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tallystick.node.importing import Mapping, read_mapping, read_rows
from tallystick.node.tables import Rejected, Row
from tallystick.wire.errors import DecodeError

FILE = Path(__file__).parents[2] / "data" / "receivables.csv"
ATTRIBUTION = (
    "Contains public sector information from Calderdale Council licensed under the Open Government Licence. "
    "Cleaned copies by ODI Leeds."
)


@dataclass(frozen=True, slots=True)
class Supplier:
    """A supplier as published, with the lines of its invoices."""

    name: str
    number: str
    rows: tuple[Row, ...]


class Published:
    """The rows of the file by supplier; no invoice twice."""

    def __init__(self, file: Path = FILE) -> None:
        _, rows = read_rows(file, mapping_due("2000-01-01"))
        wrong = next((row for row in rows if isinstance(row, Rejected)), None)
        if wrong is not None:
            raise DecodeError(wrong.reason, f"{file}, line {wrong.row.line}")
        self.rows = [row for row in rows if isinstance(row, Row)]
        self.payer = self.rows[0].cells["payer"]
        self.payer_code = self.rows[0].cells["payer_uri"].rpartition("/")[2]
        seen: Counter[tuple[str, str]] = Counter()
        self.invoices: list[Row] = []
        self.set_aside: list[Row] = []
        for row in self.rows:
            name = (row.cells["supplier_name"], row.cells["reference"])
            (self.set_aside if seen[name] else self.invoices).append(row)
            seen[name] += 1

    def suppliers(self) -> Iterator[Supplier]:
        """The suppliers in the order of their first invoice. One number under two names stands as two members."""
        by_name: dict[str, list[Row]] = {}
        for row in self.invoices:
            by_name.setdefault(row.cells["supplier_name"], []).append(row)
        taken: Counter[str] = Counter()
        for name, rows in by_name.items():
            number = rows[0].cells["supplier_id"]
            taken[number] += 1
            yield Supplier(name, number if taken[number] == 1 else f"{number}-{taken[number]}", tuple(rows))


def mapping_due(due_on: str) -> dict[str, Mapping]:
    """Which column says what to the importer, and the derived due date, which no column says."""
    return read_mapping(
        {
            "number": "reference",
            "seller": "supplier_name",
            "buyer": "payer",
            "amount": "amount_net",
            "currency": "currency",
            "due_on": f"={due_on}",
        }
    )


def document_of(row: Row) -> dict[str, object]:
    """What stands for a row's invoice: the line as published, its payment date of 2022 among it."""
    cells = row.cells
    return {
        "document": "published payment line, standing for the invoice that it paid",
        "seller": cells["supplier_name"],
        "buyer": cells["payer"],
        "number": cells["reference"],
        "amount_net": cells["amount_net"],
        "currency": cells["currency"],
        "paid_on_as_published": cells["payment_date"],
        "council_refs": cells["council_refs"].split(";"),
        "category": cells["category"],
        "source_file": cells["source_file"],
        "attribution": ATTRIBUTION,
    }
