"""A5 told: both clients are told of the transfer's success, and so is the debtor."""

from tallystick.kernel.core.events import KINDS
from tallystick.kernel.core.fields import Position
from tallystick.kernel.transfers.records import Transfer
from tests.support.chain import Chain
from tests.support.receivables import accepted, issued, passing_of, span, trade


def test_holder_receiver_and_debtor_are_told_and_the_notices_time_is_on_the_ledger(chain: Chain) -> None:
    t = trade(chain)
    receivable = issued(t.world, t.buyer, t.supplier, 1_000, t.auditor)
    transfer = accepted(t.world, receivable, span(1, 1_000), 400, t.supplier, t.maker)
    assert t.world.row(Transfer, transfer).debtor_notified is None
    result = t.world.do(passing_of(t.world, transfer), by=t.auditor)
    assert t.world.told(t.supplier)[-1] == "transfer.done"
    assert t.world.told(t.maker)[-1] == "transfer.done"
    assert t.world.told(t.buyer)[-1] == "transfer.debtor_notified"
    assert t.world.told(t.funder) == []
    assert t.world.row(Transfer, transfer).debtor_notified == Position(result.place.height, result.place.index)
    event = result.events[-1]
    notice = KINDS[event.kind].sentence.format(record=event.record, **event.facts)
    assert notice == (
        f"Notice to the debtor: 400 CNY of receivable {receivable} are now owed to {t.maker}, not to {t.supplier}."
    )


def test_a_transfer_that_failed_tells_the_debtor_nothing(chain: Chain) -> None:
    t = trade(chain)
    receivable = issued(t.world, t.buyer, t.supplier, 1_000, t.auditor)
    heard = len(t.world.told(t.buyer))
    accepted(t.world, receivable, span(1, 1_000), 400, t.supplier, t.maker)
    t.world.wait(milliseconds=12 * 86_400_000)
    assert t.world.told(t.supplier)[-1] == "transfer.expired"
    assert len(t.world.told(t.buyer)) == heard
