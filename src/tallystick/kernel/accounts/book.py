"""The book: who can pay, whom money reaches, and the balanced posting, the only thing that changes a balance.

A posting names two ledger accounts of one custodian and one currency. Between two liabilities the source gives and the
target receives. Money comes in by a posting from the bank mirror (asset and liability grow alike) and goes out by one
to it. So the sum over assets equals the sum over liabilities after every step (DESIGN section 9, 1).
"""

from typing import NamedTuple

import msgspec

from tallystick.kernel.accounts.records import Account, AccountsOf, Balance
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.rules import present_party
from tallystick.wire.amounts import ZERO, Units, fits
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status

POSTED = EventKind("account.posted", "{units} {currency} moved from {source} to {target} for {record}.")

ASSETS = ("bank", "claim")


class Route(NamedTuple):
    """The two accounts, with one custodian, between which a payment goes."""

    source: Account
    target: Account


def bank_mirror(custodian: str, currency: str) -> str:
    """The ledger account that mirrors the custodian's bank account."""
    return f"bank/{custodian}/{currency}"


def suspense(custodian: str, currency: str) -> str:
    """The ledger account of money that nobody could be named for yet (挂账)."""
    return f"suspense/{custodian}/{currency}"


def claim_on(custodian: str, currency: str, member: str) -> str:
    """The ledger account (an asset) of what a member owes its custodian after a reversed booking."""
    return f"claim/{custodian}/{currency}/{member}"


def has_room(step: Step, custodian: str, currency: str, units: Units) -> bool:
    """Whether `units` more fit into the custodian's books.

    The bank mirror and the claims together are what it owes to members, so no liability outgrows what they may sum to.
    """
    mirror = step.find(Balance, bank_mirror(custodian, currency))
    return mirror is None or fits(mirror.units, mirror.claimed, units)


def earmark(custodian: str, currency: str, receivable: str) -> str:
    """The ledger account of what a debtor set aside for one receivable."""
    return f"earmark/{custodian}/{currency}/{receivable}"


def transit(custodian: str, currency: str, plan: str, tranche: int) -> str:
    """The ledger account of wages that left escrow and are on their way to the workers of a plan's tranche."""
    return f"transit/{custodian}/{currency}/{plan}/{tranche}"


def fees(custodian: str, currency: str, platform: str) -> str:
    """The ledger account of the fees that a platform earned and has not been paid out yet."""
    return f"fees/{custodian}/{currency}/{platform}"


def hold(custodian: str, currency: str, purpose: str, member: str = "") -> str:
    """The ledger account of money held for `purpose`, until `member` has an account or it is decided whose it is."""
    name = f"hold/{custodian}/{currency}/{purpose}"
    return f"{name}/{member}" if member else name


def open_accounts(step: Step, member: str, currency: str) -> tuple[Account, ...]:
    """The member's open accounts in `currency`, in the order of opening."""
    row = step.find(AccountsOf, f"{member}/{currency}")
    return () if row is None else tuple(step.get(Account, each.account) for each in row.accounts)


def open_account(step: Step, member: str, currency: str, custodian: str = "") -> Account | None:
    """The member's open account in `currency` at `custodian`, or its first anywhere."""
    row = step.find(AccountsOf, f"{member}/{currency}")
    for each in () if row is None else row.accounts:
        if custodian in ("", each.custodian):
            return step.get(Account, each.account)
    return None


def balance(step: Step, name: str) -> Units:
    """What stands in a ledger account."""
    row = step.find(Balance, name)
    return ZERO if row is None else row.units


def free_units(step: Step, account: Account) -> Units:
    """What of an account's money may be debited now."""
    row = step.find(Balance, account.ledger_account)
    return ZERO if row is None else row.free_at(step.now)


def check_account_can_pay(step: Step, account: Account, units: Units) -> Refusal | None:
    """insufficient_funds when the money is not there, account_frozen when it is but may not be debited."""
    row = step.find(Balance, account.ledger_account)
    held = ZERO if row is None else row.units
    if held < units:
        return refuse(Status.INSUFFICIENT_FUNDS, account=account.id, available=held, needed=units)
    if row is not None and row.free_at(step.now) < units:
        return refuse(Status.ACCOUNT_FROZEN, account=account.id, free=row.free_at(step.now), needed=units)
    return None


def find_route(step: Step, payer: str, payee: str, currency: str, units: Units) -> Route | Refusal:
    """How `payer` can pay `payee` in ledger money: two accounts with one custodian, the first pair that covers it.

    Refused with account_missing, custodian_differs, or why the last pair tried can't pay.
    """
    targets = {account.custodian: account for account in open_accounts(step, payee, currency)}
    if not targets:
        return refuse(Status.ACCOUNT_MISSING, organisation=payee, currency=currency)
    sources = open_accounts(step, payer, currency)
    if not sources:
        return refuse(Status.ACCOUNT_MISSING, organisation=payer, currency=currency)
    refusal: Refusal = refuse(Status.CUSTODIAN_DIFFERS, payer=payer, payee=payee, currency=currency)
    for source in sources:
        target = targets.get(source.custodian)
        if target is None:
            continue
        found = check_account_can_pay(step, source, units)
        if found is None:
            return Route(source, target)
        refusal = found
    return refusal


def receiving_ledger_account(step: Step, member: str, currency: str, purpose_id: str, custodian: str) -> str:
    """Where `custodian` pays `member`: its account there, else a hold account that pays out once one is open."""
    account = open_account(step, member, currency, custodian)
    if account is None:
        # Between two batches of a succession a record may still name the one that is gone.
        member = present_party(step, member)
        account = open_account(step, member, currency, custodian)
    return hold(custodian, currency, purpose_id, member) if account is None else account.ledger_account


def move(
    step: Step, source: str, target: str, currency: str, units: Units, subject: str, audience: tuple[str, ...] = ()
) -> Event:
    """One balanced posting of `units` from `source` to `target`, for the record `subject`.

    The owners of both ledger accounts are told, and `audience`. Cover is the caller's to check; what is missing here,
    or joins two custodians or currencies, is a bug and raises `InvariantViolation`.
    """
    if units <= 0 or source == target:
        raise InvariantViolation(f"posting of {units} from {source} to {target}")
    giver = step.find(Balance, source) or new_balance(step, source)
    receiver = step.find(Balance, target) or new_balance(step, target)
    if giver.currency != currency or receiver.currency != currency or giver.custodian != receiver.custodian:
        raise InvariantViolation(f"posting from {source} to {target} joins two custodians or currencies")
    _put(step, giver, units, grows=_is_asset(source))
    _put(step, receiver, units, grows=not _is_asset(target))
    if _is_claim(source) is not _is_claim(target):
        _sum_claims(step, giver.custodian, currency, int(units) if _is_claim(source) else -int(units))
    owners = tuple(owner for owner in (giver.owner, receiver.owner) if owner is not None)
    return POSTED(subject, (*owners, *audience), source=source, target=target, currency=currency, units=units)


def _is_asset(name: str) -> bool:
    return name.partition("/")[0] in ASSETS


def _is_claim(name: str) -> bool:
    return name.startswith("claim/")


def _sum_claims(step: Step, custodian: str, currency: str, change: int) -> None:
    """Keep the sum of a custodian's claims beside its bank mirror, which stands wherever a claim does."""
    mirror = step.get(Balance, bank_mirror(custodian, currency))
    step.put(msgspec.structs.replace(mirror, claimed=Units(int(mirror.claimed) + change) or ZERO))


def _put(step: Step, row: Balance, units: Units, *, grows: bool) -> None:
    """Write `row` with `units` more or less; `Units` raises where that leaves 0..2^63 - 1."""
    if grows:
        grown = msgspec.structs.replace(row, units=row.units + units)
        step.put(with_retry(grown, step.now) if row.owes else grown)
        return
    left = msgspec.structs.replace(row, units=row.units - units)
    if left.units or left.freezes or row.id.startswith(("available/", "bank/")):
        step.put(left)
    else:
        step.delete(row)


def with_retry(row: Balance, now: Instant) -> Balance:
    """`row` with its owner's unpaid receivables to be tried again, from the first (DOMAIN section 2)."""
    return msgspec.structs.replace(row, retry_at=now, retry_after="")


def new_balance(step: Step, name: str) -> Balance:
    """An empty ledger account, with the custodian, currency and owner that its name gives."""
    kind, _, rest = name.partition("/")
    if kind == "available":
        account = step.get(Account, rest)
        return Balance(id=name, custodian=account.custodian, currency=account.currency, owner=account.owner)
    parts = rest.split("/")
    owner = {"claim": 2, "fees": 2, "hold": 3}.get(kind)
    return Balance(
        id=name,
        custodian=parts[0],
        currency=parts[1],
        owner=parts[owner] if owner is not None and len(parts) > owner else None,
    )
