"""A member's holdings and debts pass to its successor, wherever they are written down."""

from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SucceedMember
from tallystick.kernel.receivables.records import INLINE_PARCELS, Receivable
from tallystick.kernel.transfers.records import Transfer
from tests.support.receivables import acceptance_of, anchor, holdings, issued, offered, span, trade, transferred


def test_the_successor_holds_owes_and_answers_in_its_predecessors_place() -> None:
    t = trade()
    successor = t.world.member("Successor", Role.CLIENT)
    held = issued(t.world, t.buyer, t.supplier, 1_000, t.auditor)
    for first in range(1, INLINE_PARCELS + 2):
        transferred(t.world, held, span(first, 1_000), 1, t.supplier, t.maker, t.auditor, recourse=True)
    owed = issued(t.world, t.supplier, t.maker, 500, t.auditor)
    pending = offered(t.world, owed, span(1, 500), 100, t.maker, t.funder)
    t.world.do(SucceedMember(member=t.supplier, successor=successor, order=anchor("merger")), by=t.auditor)

    row = t.world.row(Receivable, held)
    assert row.in_rows
    assert holdings(t.world, held)[-1] == (successor, INLINE_PARCELS + 2, 1_000)
    assert (row.creditor, row.liable) == (successor, (successor,))
    assert t.world.row(Receivable, owed).debtor == successor
    t.world.do(acceptance_of(t.world, pending), by=t.funder)
    assert t.world.row(Transfer, pending).accepted is not None
