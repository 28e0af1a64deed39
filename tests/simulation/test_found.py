"""What the simulation found once, each as a scenario of its own."""

from tallystick.kernel.accounts.deposits import Deposit
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.accounts.records import Balance
from tallystick.kernel.accounts.reversing import ReverseDeposit
from tallystick.kernel.membership.standing import SucceedMember
from tallystick.kernel.receivables.issue import RequestReceivable
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.recourse.claims import ClaimRecourse
from tallystick.kernel.recourse.records import Recourse, RecourseState
from tallystick.kernel.reviews.records import Review, ReviewState
from tallystick.kernel.transfers.agreed import AcceptTransfer, RequestTransfer
from tallystick.kernel.transfers.records import Transfer, TransferState
from tallystick.wire.amounts import MAX_UNITS, Units
from tallystick.wire.instants import DAY_MS
from tests.properties.small_town import SmallTown
from tests.simulation.actions.proposals import today
from tests.simulation.founding import paper
from tests.simulation.town import Outcome


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


def _succeed(town: SmallTown, member: str, successor: str) -> None:
    step = SucceedMember(member=town.named[member], successor=town.named[successor], order=paper("order"))
    assert town.do(step, by="auditor").label == "ok"


def _hand_on(town: SmallTown, receivable: str, sender: str, receiver: str) -> None:
    """The whole receivable, with recourse, offered, accepted and reviewed."""
    transfer = _offer(town, receivable, sender, receiver)
    accepted = AcceptTransfer(transfer=transfer, currency="GBP", units=Units(10), handling=paper("handling"))
    town.do(accepted, by=receiver)
    assert town.approve(town.find(Transfer, transfer).review, "auditor").label == "ok"


def _offer(town: SmallTown, receivable: str, sender: str, receiver: str) -> str:
    offered = RequestTransfer(
        receivable=receivable,
        parcel=town.find(Receivable, receivable).parcels[0].interval,
        currency="GBP",
        units=Units(10),
        receiver=town.named[receiver],
        recourse=True,
        background=paper("background"),
    )
    return str(town.do(offered, by=sender).events[0]["record"])


def _claim(town: SmallTown, receivable: str, by: str) -> Outcome:
    parcel = town.find(Receivable, receivable).parcels[0].interval
    return town.do(ClaimRecourse(receivable=receivable, parcel=parcel), by=by)


def test_a_debt_that_passes_to_a_successor_with_money_is_paid() -> None:
    town = SmallTown()
    town.deposit(town.open_account("third"), 100, "third")
    receivable = town.issue(10, "first")
    town.pass_time(int(town.find(Receivable, receivable).pay_at) - int(town.now))
    assert town.find(Receivable, receivable).state is ReceivableState.VALID
    _succeed(town, "debtor", "third")
    town.pass_time(1)
    assert town.find(Receivable, receivable).state is ReceivableState.REDEEMED


def test_a_debt_is_paid_when_its_debtor_succeeds_a_member_with_money() -> None:
    town = SmallTown()
    town.deposit(town.open_account("third"), 100, "third")
    receivable = town.issue(10, "first")
    town.pass_time(int(town.find(Receivable, receivable).pay_at) - int(town.now))
    _succeed(town, "third", "debtor")
    town.pass_time(1)
    assert town.find(Receivable, receivable).state is ReceivableState.REDEEMED


def test_what_a_reversal_claims_is_owed_by_the_payers_successor() -> None:
    town = SmallTown()
    first, second = town.open_account("first"), town.open_account("second")
    town.deposit(first, 70, "first")
    paid = TransferFunds(source=first, target=second, currency="GBP", units=Units(70), subject="goods")
    town.do(paid, by="first")
    _succeed(town, "first", "third")
    deposit = town.rows(Deposit)[0]
    reversal = ReverseDeposit(bank_reference="R-back", deposit=deposit.id, currency="GBP", units=Units(70))
    assert town.do(reversal, by="bank").label == "ok"
    claims = [row for row in town.rows(Balance) if row.id.startswith("claim/")]
    assert [(row.owner, row.units) for row in claims] == [(town.named["third"], 70)]


def test_a_transfer_whose_sides_become_one_ends() -> None:
    town = SmallTown()
    transfer = _offer(town, town.issue(10, "first"), "first", "second")
    _succeed(town, "first", "second")
    assert town.find(Transfer, transfer).state is TransferState.WITHDRAWN


def test_recourse_against_oneself_ends() -> None:
    town = SmallTown()
    receivable = town.issue(10, "first")
    _hand_on(town, receivable, "first", "second")
    town.pass_time(70 * DAY_MS)
    claimed = _claim(town, receivable, "second")
    _succeed(town, "first", "second")
    assert town.find(Recourse, claimed.events[0]["record"]).state is RecourseState.SETTLED


def test_nobody_claims_recourse_from_itself_but_one_hop_further() -> None:
    town = SmallTown()
    receivable = town.issue(10, "first")
    _hand_on(town, receivable, "first", "second")
    _hand_on(town, receivable, "second", "third")
    _succeed(town, "second", "third")
    town.pass_time(70 * DAY_MS)
    claimed = _claim(town, receivable, "third")
    assert claimed.label == "ok"
    assert claimed.events[0]["facts"]["liable"] == town.named["first"]


def test_where_no_hop_is_left_but_ones_own_there_is_no_recourse() -> None:
    town = SmallTown()
    receivable = town.issue(10, "first")
    _hand_on(town, receivable, "first", "second")
    _succeed(town, "first", "second")
    town.pass_time(70 * DAY_MS)
    assert _claim(town, receivable, "second").label == "no_recourse"


def test_a_request_whose_sides_become_one_ends() -> None:
    town = SmallTown()
    made = town.do(_request(town, 500), by="debtor")
    _succeed(town, "first", "debtor")
    assert town.find(Receivable, made.events[0]["record"]).state is ReceivableState.WITHDRAWN


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
