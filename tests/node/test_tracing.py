"""Tracing an anchor: what a ledger without its early transactions still says, and where in a record it stands."""

import types
from typing import Any, cast

from tallystick.kernel.core.fields import Anchor, Position
from tallystick.kernel.core.record import Record
from tallystick.kernel.documents.anchors import Document
from tallystick.ledger.engine import HeightUnavailable
from tallystick.node.tracing import Standing, trace

OWN = Anchor(hash="a" * 64, kind="order")
OTHER = Anchor(hash="b" * 64, kind="order")


class Restored:
    """An engine that went on from a snapshot at height 3, with two documents in its state."""

    def __init__(self) -> None:
        self.rows = [
            Document(
                id=f"doc_{number}" + "0" * 15,
                owner="mbr_" + "0" * 16,
                anchor=anchor,
                anchored=Position(1, 0),
            )
            for number, anchor in enumerate((OWN, OTHER))
        ]

    def health(self) -> Any:
        return types.SimpleNamespace(height=5)

    def transactions(self, height: int) -> list[bytes]:
        if height <= 3:
            raise HeightUnavailable(5)
        return []

    def scan(self, table: str, after: str = "", limit: int = 1_000) -> list[Record]:
        return [row for row in self.rows if table == "document" and row.id > after][:1]


def traced(*hashes: str) -> Any:
    return trace(cast("Any", types.SimpleNamespace(engine=Restored())), hashes)


def test_records_are_found_where_transactions_are_not_kept() -> None:
    found = traced(OTHER.hash)
    assert found.first_height == 4
    assert found.brought == ()
    assert found.standing == (Standing(OTHER.hash, "document/doc_1000000000000000", "anchor"),)


def test_nothing_is_read_for_nothing() -> None:
    found = traced()
    assert (found.brought, found.standing, found.first_height) == ((), (), 1)
    assert traced("c" * 64).standing == ()
