"""What the simulation found once, each as a scenario of its own."""

import pytest

from tallystick.kernel.accounts.deposits import Deposit, ReverseDeposit
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.receivables.issue import RequestReceivable
from tallystick.kernel.receivables.records import Receivable
from tallystick.kernel.reviews.records import Review, ReviewState
from tallystick.kernel.transfers.agreed import AcceptTransfer, RequestTransfer
from tallystick.kernel.transfers.records import Transfer, TransferState
from tallystick.wire.amounts import MAX_UNITS, Units
from tallystick.wire.instants import DAY_MS
from tests.properties.small_town import SmallTown
from tests.simulation.actions.proposals import today
from tests.simulation.founding import paper


def _request(town: SmallTown, face: int) -> RequestReceivable:
    return RequestReceivable(
        debtor=town.named["debtor"],
        creditor=town.named["first"],
        currency="GBP",
        face=Units(face),
        issue_on=today(town),
        due_on=today(town).replace(month=12),
        contracts=(paper("contract", face),),
    )


def test_an_old_id_with_new_content_does_not_overwrite_the_record_it_made() -> None:
    town = SmallTown()
    debtor = town.named["debtor"]
    made = town.block(1, [town.sign((_request(town, 500),), debtor, id="order-1")])[0]
    receivable = made.events[0]["record"]
    town.pass_time(8 * DAY_MS)
    again = town.block(1, [town.sign((_request(town, 1),), debtor, id="order-1")])[0]
    assert again.label == "duplicate_id_other_content"
    row: Receivable = town.find(Receivable, receivable)
    assert row.face == 500


def test_a_deadline_that_ends_another_record_in_the_same_block() -> None:
    """The cutoff ends a transfer and with it its review, whose own deadline has passed in the same block."""
    town = SmallTown()
    receivable = town.issue(10, "first", days=7)
    row: Receivable = town.find(Receivable, receivable)
    offered = RequestTransfer(
        receivable=receivable,
        parcel=row.parcels[0].interval,
        currency="GBP",
        units=Units(10),
        receiver=town.named["second"],
        background=paper("background"),
    )
    transfer = town.do(offered, by="first").events[0]["record"]
    accepted = AcceptTransfer(transfer=transfer, currency="GBP", units=Units(10), handling=paper("handling"))
    town.do(accepted, by="second")
    town.pass_time(40 * DAY_MS)
    ended: Transfer = town.find(Transfer, transfer)
    review: Review = town.find(Review, ended.review or "")
    assert (ended.state, review.state) == (TransferState.EXPIRED, ReviewState.WITHDRAWN)


@pytest.mark.xfail(
    strict=True, reason="liabilities may exceed 2^63 - 1 while a custodian has claims", raises=AssertionError
)
def test_money_that_no_account_can_hold_is_refused() -> None:
    town = SmallTown()
    first, second = town.open_account("first"), town.open_account("second")
    town.deposit(first, MAX_UNITS, "first")
    paid = TransferFunds(source=first, target=second, currency="GBP", units=Units(MAX_UNITS), subject="goods")
    town.do(paid, by="first")
    deposit = town.rows(Deposit)[0]
    fields = {"deposit": deposit.id, "currency": "GBP", "units": deposit.units}
    assert town.do(ReverseDeposit(bank_reference="R-reversed", **fields), by="bank").label == "ok"
    assert town.deposit(second, MAX_UNITS, "second").label == "amount_overflow"
