"""Accounts, deposits, payments, redemption in every way, and recourse."""

import datetime
from typing import Any

from tallystick.kernel.accounts.deposits import AnnounceDeposit, AssignDeposit, BookDeposit, Deposit, DepositState
from tallystick.kernel.accounts.freezes import DeductByOrder, FreezeAccount, UnfreezeAccount
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.accounts.opening import ApplyForAccount, CloseAccount
from tallystick.kernel.accounts.records import Account, AccountState, Balance
from tallystick.kernel.accounts.reversing import ReturnDeposit, ReverseDeposit
from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.records import Receivable, ReceivableState
from tallystick.kernel.recourse.claims import ClaimRecourse, PayRecourse, RefuseRecourse, WriteOff
from tallystick.kernel.recourse.hops import answers_for
from tallystick.kernel.recourse.records import Recourse, RecourseState
from tallystick.kernel.redemption.bank import ConfirmPayment, PaymentAnswer
from tallystick.kernel.redemption.records import Redemption
from tallystick.kernel.redemption.redeem import Earmark, Means, Redeem, SetOff
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import Review, ReviewResult, ReviewState
from tallystick.kernel.transfers.records import Transfer
from tallystick.wire.amounts import MAX_UNITS, Units
from tests.simulation.actions.proposals import Proposal, action, holder_of, pick, propose, today, traders
from tests.simulation.actions.receivables import in_state, parcels
from tests.simulation.founding import paper
from tests.simulation.town import Town

OWED = (ReceivableState.VALID, ReceivableState.REDEEMING, ReceivableState.OVERDUE, ReceivableState.IN_RECOURSE)
LATE = (ReceivableState.OVERDUE, ReceivableState.IN_RECOURSE)


def open_accounts(town: Town, owner: str = "", currency: str = "") -> list[Account]:
    return [
        row
        for row in town.rows(Account)
        if row.state is AccountState.OPEN and owner in ("", row.owner) and currency in ("", row.currency)
    ]


def balance(town: Town, account: Account) -> int:
    row: Any = town.find(Balance, account.ledger_account)
    return 0 if row is None else int(row.units)


def reference(town: Town) -> str:
    return f"REF{town.rng.randrange(10**9)}"


@action(12)
def apply_for_account(town: Town) -> Proposal | None:
    owner = pick(town.rng, traders(town))
    custodian = holder_of(town, Role.CUSTODIAN)
    if owner is None or custodian is None:
        return None
    currency = town.rng.choice(("CNY", "GBP", "JPY"))
    taken = [
        row for row in town.rows(Account) if (row.owner, row.currency, row.custodian) == (owner, currency, custodian)
    ]
    if any(row.state in (AccountState.OPEN, AccountState.UNDER_REVIEW) for row in taken) and town.rng.random() < 0.95:
        return None
    return propose(owner, ApplyForAccount(currency=currency, custodian=custodian, papers=(paper("papers", owner),)))


def open_first_accounts(town: Town) -> None:
    """Most traders begin with accounts at the first bank and money in them; some have none and are paid into holds."""
    bank = min(town.role_holders(Role.CUSTODIAN))
    for owner in traders(town):
        if town.rng.random() < 0.15:
            continue
        for currency in ("CNY", "GBP"):
            asked = ApplyForAccount(currency=currency, custodian=bank, papers=(paper("papers", owner),))
            town.block(1_000, [town.sign((asked,), owner)])
    while (review := _open_account_review(town)) is not None:
        for role in (Role.CUSTODIAN, Role.PLATFORM)[: len(review.panels)]:
            by = bank if role is Role.CUSTODIAN else holder_of(town, role)
            assert by is not None
            town.block(1_000, [town.sign((DecideReview(review=review.id, result=ReviewResult.APPROVE),), by)])
    for row in open_accounts(town):
        units = Units(town.rng.choice((10**6, 10**9, 10**12)))
        booked = BookDeposit(
            bank_reference=reference(town), currency=row.currency, units=units, remitter=row.owner, account=row.id
        )
        town.block(1_000, [town.sign((booked,), row.custodian)])


def _open_account_review(town: Town) -> Review | None:
    open_reviews = [row for row in town.rows(Review) if row.state is ReviewState.REQUESTED]
    return next((row for row in open_reviews if row.subject_kind == "account"), None)


@action(3)
def freeze_account(town: Town) -> Proposal | None:
    row = pick(town.rng, open_accounts(town))
    if row is None:
        return None
    until = today(town) + datetime.timedelta(days=town.rng.choice((0, 5, 40))) if town.rng.random() < 0.7 else None
    frozen = FreezeAccount(
        account=row.id,
        currency=row.currency,
        units=Units(town.rng.choice((1, 10**6, 10**10))),
        authority_order=paper("order", row.id),
        until_on=until,
    )
    return propose(row.custodian, frozen)


def _frozen(town: Town) -> list[tuple[Account, Any]]:
    found: list[tuple[Account, Any]] = []
    for row in open_accounts(town):
        held: Any = town.find(Balance, row.ledger_account)
        found.extend((row, freeze) for freeze in (held.freezes if held is not None else ()))
    return found


@action(3)
def unfreeze_account(town: Town) -> Proposal | None:
    found = pick(town.rng, _frozen(town))
    if found is None:
        return None
    row, freeze = found
    lifted = UnfreezeAccount(account=row.id, freeze=freeze.id, authority_order=paper("order", row.id))
    return propose(row.custodian, lifted)


@action(1)
def deduct_by_order(town: Town) -> Proposal | None:
    found = pick(town.rng, _frozen(town))
    row = found[0] if found is not None else pick(town.rng, open_accounts(town))
    if row is None:
        return None
    held = balance(town, row)
    deducted = DeductByOrder(
        account=row.id,
        currency=row.currency,
        units=Units(town.rng.randint(1, max(held, 1))),
        authority_order=paper("order", row.id),
        bank_reference=reference(town),
        freeze=found[1].id if found is not None else None,
    )
    return propose(row.custodian, deducted)


@action(2)
def close_account(town: Town) -> Proposal | None:
    empty = [row for row in open_accounts(town) if balance(town, row) == 0]
    row = pick(town.rng, empty if empty and town.rng.random() < 0.8 else open_accounts(town))
    return None if row is None else propose(row.owner, CloseAccount(account=row.id))


@action(8)
def announce_deposit(town: Town) -> Proposal | None:
    row = pick(town.rng, open_accounts(town))
    if row is None:
        return None
    announced = AnnounceDeposit(account=row.id, currency=row.currency, units=Units(town.rng.randint(1, 10**8)))
    return propose(row.owner, announced)


@action(25)
def book_deposit(town: Town) -> Proposal | None:
    rng = town.rng
    row = pick(rng, open_accounts(town))
    if row is None:
        return None
    used = [one.id.split("/")[1] for one in list(town.tables["bank_reference"].values())[-3:]]
    fields: dict[str, Any] = {
        "bank_reference": rng.choice(used) if used and rng.random() < 0.05 else reference(town),
        "currency": row.currency,
        "units": Units(rng.choice((1, 777, 10**6, 10**8, 10**11)) if rng.random() < 0.98 else MAX_UNITS // 2),
        "remitter": row.owner,
        "account": row.id,
    }
    waiting = [one for one in town.rows(Deposit) if one.state is DepositState.ANNOUNCED]
    announced = pick(rng, waiting)
    if announced is not None and rng.random() < 0.5:
        units = announced.announced if rng.random() < 0.6 else Units(int(announced.announced) + 5)
        fields |= {"code": announced.code, "units": units, "currency": announced.currency, "remitter": announced.payer}
        return propose(announced.custodian, BookDeposit(**{**fields, "account": None}))
    if rng.random() < 0.15:
        fields |= rng.choice(({"remitter": None}, {"account": None}))
    return propose(row.custodian, BookDeposit(**fields))


def _deposits(town: Town, *states: DepositState) -> list[Deposit]:
    return [row for row in town.rows(Deposit) if row.state in states]


@action(4)
def assign_deposit(town: Town) -> Proposal | None:
    row = pick(town.rng, _deposits(town, DepositState.IN_SUSPENSE))
    if row is None:
        return None
    accounts = [one for one in open_accounts(town, currency=row.currency) if one.custodian == row.custodian]
    account = pick(town.rng, accounts)
    if account is None:
        return None
    assigned = AssignDeposit(deposit=row.id, account=account.id, currency=row.currency, units=row.units)
    return propose(row.custodian, assigned, also=(account.owner,))


@action(2)
def return_deposit(town: Town) -> Proposal | None:
    row = pick(town.rng, _deposits(town, DepositState.IN_SUSPENSE))
    if row is None:
        return None
    fields: dict[str, Any] = {"deposit": row.id, "currency": row.currency, "units": row.units}
    return propose(row.custodian, ReturnDeposit(bank_reference=reference(town), **fields))


@action(1)
def reverse_deposit(town: Town) -> Proposal | None:
    row = pick(town.rng, _deposits(town, DepositState.IN_SUSPENSE, DepositState.BOOKED))
    if row is None:
        return None
    fields: dict[str, Any] = {"deposit": row.id, "currency": row.currency, "units": row.units}
    return propose(row.custodian, ReverseDeposit(bank_reference=reference(town), **fields))


@action(5)
def transfer_funds(town: Town) -> Proposal | None:
    source = pick(town.rng, [row for row in open_accounts(town) if balance(town, row)])
    if source is None:
        return None
    targets = [row for row in open_accounts(town, currency=source.currency) if row.id != source.id]
    target = pick(town.rng, targets)
    if target is None:
        return None
    units = town.rng.randint(1, balance(town, source) + town.rng.choice((0, 1)))
    paid = TransferFunds(
        source=source.id, target=target.id, currency=source.currency, units=Units(units), subject="goods"
    )
    return propose(source.owner, paid)


@action(10)
def earmark(town: Town) -> Proposal | None:
    row = pick(town.rng, in_state(town, *OWED))
    account = None if row is None else pick(town.rng, open_accounts(town, row.debtor, row.currency))
    if row is None or account is None:
        return None
    units = town.rng.choice((int(row.outstanding), town.rng.randint(0, int(row.outstanding))))
    return propose(
        row.debtor, Earmark(receivable=row.id, account=account.id, currency=row.currency, units=Units(units))
    )


@action(10)
def redeem(town: Town) -> Proposal | None:
    row = pick(town.rng, in_state(town, *OWED))
    if row is None:
        return None
    left = int(row.outstanding)
    units = left if town.rng.random() < 0.5 else town.rng.randint(1, max(left, 1))
    fields: dict[str, Any] = {"receivable": row.id, "currency": row.currency, "units": Units(units)}
    if town.rng.random() < 0.4:
        return propose(row.debtor, Redeem(means=Means.BANK, receipt=paper("receipt", row.id), **fields))
    return propose(row.debtor, Redeem(**fields))


@action(20)
def confirm_payment(town: Town) -> Proposal | None:
    waiting = [row for row in town.rows(Redemption) if row.bank is not None or row.disputed]
    row = pick(town.rng, waiting)
    if row is None:
        return None
    answer = PaymentAnswer.RECEIVED if town.rng.random() < 0.8 else PaymentAnswer.DENIED
    among = (*row.awaited, *row.disputed) if answer is PaymentAnswer.RECEIVED else row.awaited
    receivable: Any = town.find(Receivable, row.id)
    owed: dict[str, int] = {}
    for parcel in parcels(town, receivable):
        for part in among:
            first, last = max(part.first, parcel.interval.first), min(part.last, parcel.interval.last)
            if first <= last:
                owed[parcel.holder] = owed.get(parcel.holder, 0) + int(last) - int(first) + 1
    holder = pick(town.rng, sorted(owed))
    if holder is None:
        return None
    confirmed = ConfirmPayment(receivable=row.id, currency=row.currency, units=Units(owed[holder]), answer=answer)
    return propose(holder, confirmed)


@action(8)
def set_off(town: Town) -> Proposal | None:
    own = [
        (row, parcel) for row in in_state(town, *OWED) for parcel in parcels(town, row) if parcel.holder == row.debtor
    ]
    found = pick(town.rng, own)
    if found is None:
        return None
    row, parcel = found
    units = town.rng.choice((int(parcel.interval.length), town.rng.randint(1, int(parcel.interval.length))))
    return propose(
        row.debtor,
        SetOff(receivable=row.id, parcel=parcel.interval, currency=row.currency, units=Units(units)),
    )


def _answered_for(town: Town, origin: str) -> bool:
    hop: Any = town.find(Transfer, origin)
    return hop is not None and (hop.recourse or hop.discharges is not None)


@action(30)
def claim_recourse(town: Town) -> Proposal | None:
    late = [(row, parcel) for row in in_state(town, *LATE) for parcel in parcels(town, row)]
    answered = [(row, parcel) for row, parcel in late if _answered_for(town, parcel.origin)]
    found = pick(town.rng, answered if answered and town.rng.random() < 0.9 else late)
    if found is None:
        return None
    row, parcel = found
    return propose(parcel.holder, ClaimRecourse(receivable=row.id, parcel=parcel.interval))


def _claims(town: Town) -> list[Recourse]:
    return [row for row in town.rows(Recourse) if row.state is RecourseState.CLAIMED]


@action(20)
def pay_recourse(town: Town) -> Proposal | None:
    claim = pick(town.rng, _claims(town))
    if claim is None:
        return None
    receivable: Any = town.find(Receivable, claim.receivable)
    hop: Any = town.find(Transfer, claim.hop)
    owed = 0
    for parcel in parcels(town, receivable):
        if parcel.holder == claim.claimant and parcel.interval.overlaps(claim.interval):
            first = max(parcel.interval.first, claim.interval.first)
            last = min(parcel.interval.last, claim.interval.last)
            owed += int(answers_for(hop, type(parcel.interval)(first, last)))
    by_bank = town.rng.random() < 0.4
    paid = PayRecourse(
        recourse=claim.id,
        currency=claim.currency,
        units=Units(owed),
        receipt=paper("receipt", claim.id) if by_bank else None,
    )
    return propose(claim.liable, paid, also=(claim.claimant,) if by_bank else ())


@action(2)
def refuse_recourse(town: Town) -> Proposal | None:
    claim = pick(town.rng, _claims(town))
    return None if claim is None else propose(claim.liable, RefuseRecourse(recourse=claim.id, reason=paper("reason")))


@action(2)
def write_off(town: Town) -> Proposal | None:
    late = [(row, parcel) for row in in_state(town, *LATE) for parcel in parcels(town, row)]
    found = pick(town.rng, late)
    if found is None:
        return None
    row, parcel = found
    return propose(parcel.holder, WriteOff(receivable=row.id, parcel=parcel.interval))
