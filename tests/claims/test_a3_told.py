"""A3 told: the auditor's mark tells both clients that the issue succeeded."""

import pytest

from tallystick.kernel.core.events import KINDS
from tests.support.chain import Chain
from tests.support.receivables import approval_of, confirmed, trade


@pytest.mark.parametrize("asker", ["buyer", "supplier"])
def test_both_clients_hear_that_it_is_issued(chain: Chain, asker: str) -> None:
    t = trade(chain)
    receivable = confirmed(t.world, t.buyer, t.supplier, 120_000, by=getattr(t, asker))
    assert "receivable.valid" not in t.world.told(t.buyer)
    result = t.world.do(approval_of(t.world, receivable), by=t.auditor)
    for client in (t.buyer, t.supplier):
        assert t.world.told(client)[-1] == "receivable.valid"
    for other in (t.maker, t.funder):
        assert t.world.told(other) == []
    event = result.events[-1]
    notice = KINDS[event.kind].sentence.format(record=event.record, **event.facts)
    assert notice == f"Receivable {receivable} of 120000 CNY, due on 2026-06-30, is issued and valid."
