"""What belongs to a receivable: transfers, financings, reviews, redemptions, claims.

Found by reading the tables through, up to a bound, until views keep their own indexes.
"""

from collections.abc import Callable, Iterator

from tallystick.kernel.core.record import TABLES, Record
from tallystick.kernel.core.state import State
from tallystick.kernel.receivables.records import Receivable
from tallystick.ledger.engine import Engine

PAGE = 1_000
MOST_READ = 100_000


def rows_of(engine: Engine, table: str, after: str = "", most: int = MOST_READ) -> Iterator[Record]:
    """The records of a table after id `after`, in the order of their ids, at most `most`."""
    read = 0
    while read < most:
        page = engine.scan(table, after, min(PAGE, most - read))
        yield from page
        read += len(page)
        if len(page) < PAGE:
            return
        after = page[-1].id


def find_rows(engine: Engine, table: str, fits: Callable[[Record], bool], limit: int, after: str = "") -> list[Record]:
    """The first `limit` records of a table that fit."""
    found = []
    for row in rows_of(engine, table, after):
        if fits(row):
            found.append(row)
            if len(found) == limit:
                break
    return found


def related_to(engine: Engine, state: State, receivable: Receivable) -> list[Record]:
    """Every record that names the receivable, and the reviews of them all."""
    tables = [name for name, kind in TABLES.items() if "receivable" in kind.__struct_fields__ and name != "parcel"]
    found: list[Record] = []
    for table in sorted(tables):
        found.extend(find_rows(engine, table, lambda row: getattr(row, "receivable", "") == receivable.id, MOST_READ))
    payment = state.find(f"redemption/{receivable.id}")
    if payment is not None:
        found.append(payment)
    reviews = dict.fromkeys(getattr(one, "review", None) for one in (receivable, *found))
    rows = (state.find(f"review/{name}") for name in reviews if isinstance(name, str))
    return [*found, *(row for row in rows if row is not None)]
