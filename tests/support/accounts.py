"""Scenes of accounts and money, set by running real operations."""

from typing import Any

from tallystick.kernel.accounts.deposits import BookDeposit
from tallystick.kernel.accounts.opening import ApplyForAccount
from tallystick.kernel.accounts.records import Account, AccountsOf, Balance
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import ReviewResult
from tallystick.wire.amounts import Units
from tests.support.receivables import PASSED, anchor
from tests.support.world import World

ASSETS = ("bank/", "claim/")


def application(custodian: str, currency: str = "CNY", project: str | None = None) -> ApplyForAccount:
    """What a member asks its custodian for; for the wages of a project where that is named."""
    return ApplyForAccount(currency=currency, custodian=custodian, papers=(anchor("qualification"),), project=project)


def applied(world: World, owner: str, custodian: str, currency: str = "CNY", project: str | None = None) -> str:
    """An account whose review is open. Returns its id."""
    return world.do(application(custodian, currency, project), by=owner).events[0].record


def opening_of(world: World, account_id: str) -> DecideReview:
    """The custodian's approval."""
    review = world.row(Account, account_id).review
    return DecideReview(review=review, result=ReviewResult.APPROVE, checklist=PASSED)


def opened(
    world: World,
    owner: str,
    custodian: str,
    currency: str = "CNY",
    units: int = 0,
    project: str | None = None,
) -> str:
    """An open account with `units` in it. Returns its id."""
    account_id = applied(world, owner, custodian, currency, project)
    world.do(opening_of(world, account_id), by=custodian)
    if units:
        funded(world, account_id, units)
    return account_id


def booking(world: World, account_id: str, units: int, reference: str = "", **fields: Any) -> BookDeposit:
    """The custodian's booking of money that came from the account's owner."""
    account = world.row(Account, account_id)
    said: dict[str, Any] = {"remitter": account.owner, "account": account_id, "currency": account.currency, **fields}
    return BookDeposit(bank_reference=reference or f"REF-{world.height}", units=Units(units), **said)


def funded(world: World, account_id: str, units: int) -> str:
    """Money from the owner's bank in its account. Returns the deposit's id."""
    result = world.do(booking(world, account_id, units), by=world.row(Account, account_id).custodian)
    return next(event.record for event in result.events if event.kind == "deposit.booked")


def stands(world: World, name: str) -> int:
    """What stands in a ledger account."""
    row = world.state.rows.get(f"balance/{name}")
    return int(row.units) if isinstance(row, Balance) else 0


def money(world: World, member: str, currency: str = "CNY") -> int:
    """What a member has in its accounts, free or frozen."""
    listed = world.state.rows.get(f"accounts_of/{member}/{currency}")
    accounts = listed.accounts if isinstance(listed, AccountsOf) else ()
    return sum(stands(world, f"available/{each.account}") for each in accounts)


def held_for(world: World, member: str) -> int:
    """What is held for a member until it has an account."""
    rows = (row for row in world.state.rows.values() if isinstance(row, Balance))
    return sum(int(row.units) for row in rows if row.id.startswith("hold/") and row.owner == member)


def in_hold(world: World, custodian: str, purpose: str, currency: str = "CNY") -> int:
    """What is held for a purpose until it is decided whose it is."""
    return stands(world, f"hold/{custodian}/{currency}/{purpose}")


def check_books(world: World) -> None:
    """No balance is negative, and for each custodian and currency the assets equal what is owed to members.

    The sum of the claims stands beside the bank mirror.
    """
    sums: dict[tuple[str, str], int] = {}
    claims: dict[tuple[str, str], int] = {}
    for row in world.state.rows.values():
        if isinstance(row, Balance):
            assert row.units >= 0, row.id
            sign = 1 if row.id.startswith(ASSETS) else -1
            key = (row.custodian, row.currency)
            sums[key] = sums.get(key, 0) + sign * int(row.units)
            claimed = int(row.units) if row.id.startswith("claim/") else -int(row.claimed)
            claims[key] = claims.get(key, 0) + claimed
    assert not any(sums.values()), sums
    assert not any(claims.values()), claims
