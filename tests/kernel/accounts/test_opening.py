"""account.apply, its review, account.close."""

from dataclasses import dataclass

import pytest

from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.accounts.records import Account, AccountState
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.membership.records import MemberState, Role, StateEntry
from tallystick.kernel.reviews.operations import DecideReview
from tallystick.kernel.reviews.records import Review, ReviewResult
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.accounts import application, applied, check_books, funded, money, opened, opening_of
from tests.support.world import GENESIS, World


@dataclass(frozen=True)
class Bench:
    """A world with a bank, another bank and a client."""

    world: World
    bank: str
    other_bank: str
    client: str


@pytest.fixture
def bench() -> Bench:
    world = World()
    return Bench(
        world,
        bank=world.member("Bank", Role.CUSTODIAN),
        other_bank=world.member("Other bank", Role.CUSTODIAN),
        client=world.member("Client", Role.CLIENT),
    )


def test_an_account_opens_when_its_custodian_approves(bench: Bench) -> None:
    world = bench.world
    result = world.do(application(bench.bank), by=bench.client, vector="account.apply/applied")
    account_id = result.events[0].record
    assert world.row(Account, account_id).state is AccountState.UNDER_REVIEW
    world.do(opening_of(world, account_id), by=bench.bank, vector="review.decide/opens_an_account")
    assert world.row(Account, account_id).state is AccountState.OPEN
    assert "account.opened" in world.told(bench.client)
    funded(world, account_id, 100_00)
    assert money(world, bench.client) == 100_00
    check_books(world)


def test_who_may_not_apply_and_where(bench: Bench) -> None:
    world = bench.world
    world.do(application(bench.bank), by=bench.bank, expect=Status.SAME_PARTY, vector="account.apply/same_party")
    world.do(
        application(bench.bank, "XAU"),
        by=bench.client,
        expect=Status.UNKNOWN_CURRENCY,
        vector="account.apply/unknown_currency",
    )
    stranger = "mbr_" + "0" * 16
    world.do(application(stranger), by=bench.client, expect=Status.NOT_A_MEMBER, vector="account.apply/not_a_member")
    world.do(application(bench.client), by=bench.bank, expect=Status.ROLE_MISSING, vector="account.apply/role_missing")
    suspended = world.member(
        "Suspended bank", Role.CUSTODIAN, states=(StateEntry(state=MemberState.SUSPENDED, since=GENESIS),)
    )
    world.do(
        application(suspended),
        by=bench.client,
        expect=Status.PARTY_SUSPENDED,
        vector="account.apply/party_suspended",
    )


def test_one_account_for_each_currency_and_custodian(bench: Bench) -> None:
    world = bench.world
    applied(world, bench.client, bench.bank)
    world.do(
        application(bench.bank), by=bench.client, expect=Status.RECORD_EXISTS, vector="account.apply/record_exists"
    )
    opened(world, bench.client, bench.bank, "GBP")
    opened(world, bench.client, bench.other_bank)


def test_only_the_custodian_that_would_keep_it_decides(bench: Bench) -> None:
    world = bench.world
    account_id = applied(world, bench.client, bench.bank)
    world.do(
        opening_of(world, account_id),
        by=bench.other_bank,
        expect=Status.NOT_THE_REVIEWER,
        vector="review.decide/account_of_another_custodian",
    )


def test_a_refused_or_forgotten_application_ends(bench: Bench) -> None:
    world = bench.world
    account_id = applied(world, bench.client, bench.bank)
    review = world.row(Account, account_id).review
    world.do(
        DecideReview(review=review, result=ReviewResult.REFUSE, reason="papers_missing"),
        by=bench.bank,
        vector="review.decide/refuses_an_account",
    )
    assert world.row(Account, account_id).state is AccountState.REFUSED
    forgotten = applied(world, bench.client, bench.bank)
    world.wait(until=world.row(Review, world.row(Account, forgotten).review).deadline.plus(1))
    assert world.row(Account, forgotten).state is AccountState.EXPIRED
    assert applied(world, bench.client, bench.bank)


def test_where_the_policy_says_so_a_platform_approves_too() -> None:
    world = World(policies=Policies(platform_reviews_accounts=True))
    bank, client = world.member("Bank", Role.CUSTODIAN), world.member("Client", Role.CLIENT)
    platform = world.member("Platform", Role.PLATFORM)
    account_id = applied(world, client, bank)
    world.do(opening_of(world, account_id), by=bank)
    assert world.row(Account, account_id).state is AccountState.UNDER_REVIEW
    world.do(opening_of(world, account_id), by=platform)
    assert world.row(Account, account_id).state is AccountState.OPEN


def test_an_account_is_closed_by_its_owner_at_zero(bench: Bench) -> None:
    world = bench.world
    account_id = opened(world, bench.client, bench.bank, units=5)
    close = CloseAccount(account=account_id)
    world.do(close, by=bench.bank, expect=Status.NOT_A_PARTY, vector="account.close/not_a_party")
    world.do(close, by=bench.client, expect=Status.ACCOUNT_NOT_EMPTY, vector="account.close/account_not_empty")
    empty = opened(world, bench.client, bench.other_bank)
    world.do(CloseAccount(account=empty), by=bench.client, vector="account.close/closed")
    assert world.row(Account, empty).state is AccountState.CLOSED
    world.do(
        CloseAccount(account=empty), by=bench.client, expect=Status.WRONG_STATE, vector="account.close/wrong_state"
    )
    unknown = CloseAccount(account="acc_" + "0" * 16)
    world.do(unknown, by=bench.client, expect=Status.NOT_FOUND, vector="account.close/not_found")
    world.wait(DAY_MS)
    check_books(world)
