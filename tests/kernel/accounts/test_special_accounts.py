"""Special accounts for the wages of a project: opened beside the ordinary one, and never used for anything else."""

from typing import Any

from tallystick.kernel.accounts import book
from tallystick.kernel.accounts.freezes import DeductByOrder, FreezeAccount
from tallystick.kernel.accounts.funds import TransferFunds
from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.accounts.records import Account, AccountsOf, AccountState, Balance
from tallystick.kernel.core.refusal import Refusal
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Step
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SucceedMember
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.accounts import application, opened, stands
from tests.support.receivables import anchor
from tests.support.world import World

PROJECT = "Bridge over the river"


def scene() -> tuple[World, str, str]:
    world = World()
    return world, world.member("Contractor", Role.CLIENT), world.member("Bank", Role.CUSTODIAN)


def step_of(world: World) -> Step:
    return Step(world.chain, world.block(), Overlay(world.state), 0, ("", ""), ())


def test_a_special_account_is_opened_beside_the_ordinary_one() -> None:
    world, contractor, bank = scene()
    ordinary = opened(world, contractor, bank, units=10)
    special = opened(world, contractor, bank, units=20, project=PROJECT)
    other = opened(world, contractor, bank, project="Another bridge")
    assert (stands(world, f"available/{ordinary}"), stands(world, f"available/{special}")) == (10, 20)
    world.do(
        application(bank, project=PROJECT),
        by=contractor,
        expect=Status.RECORD_EXISTS,
        vector="account.apply/project_has_one",
    )
    world.do(application(bank), by=contractor, expect=Status.RECORD_EXISTS)
    listed = world.row(AccountsOf, f"{contractor}/CNY").accounts
    assert [each.account for each in listed] == [ordinary]
    assert world.row(Account, other).project == "Another bridge"


def test_no_payment_of_other_business_chooses_a_special_account() -> None:
    world, contractor, bank = scene()
    supplier = world.member("Supplier")
    opened(world, supplier, bank)
    opened(world, contractor, bank, units=500, project=PROJECT)
    route = book.find_route(step_of(world), contractor, supplier, "CNY", Units(1))
    assert isinstance(route, Refusal)
    assert route.status is Status.ACCOUNT_MISSING
    incoming = book.receiving_ledger_account(step_of(world), contractor, "CNY", "fin_0000000000000000", bank)
    assert incoming.startswith("hold/")


def test_nothing_is_transferred_out_of_a_special_account() -> None:
    world, contractor, bank = scene()
    ordinary = opened(world, contractor, bank, units=100)
    special = opened(world, contractor, bank, units=100, project=PROJECT)
    fields: dict[str, Any] = {"currency": "CNY", "units": Units(40), "subject": "wages"}
    world.do(TransferFunds(source=ordinary, target=special, **fields), by=contractor)
    world.do(
        TransferFunds(source=special, target=ordinary, **fields),
        by=contractor,
        expect=Status.WAGE_ACCOUNT_MISUSED,
        vector="funds.transfer/wage_account_misused",
    )
    assert stands(world, f"available/{special}") == 140


def test_no_order_reaches_a_special_account() -> None:
    world, contractor, bank = scene()
    special = opened(world, contractor, bank, units=100, project=PROJECT)
    order: dict[str, Any] = {
        "account": special,
        "currency": "CNY",
        "units": Units(1),
        "authority_order": anchor("order"),
    }
    freeze = FreezeAccount(**order)
    world.do(freeze, by=bank, expect=Status.WAGE_ACCOUNT_MISUSED, vector="account.freeze/special_account")
    deduct = DeductByOrder(**order, bank_reference="ORDER-1")
    world.do(deduct, by=bank, expect=Status.WAGE_ACCOUNT_MISUSED, vector="account.deduct_by_order/special_account")


def test_an_empty_special_account_without_products_is_closed() -> None:
    world, contractor, bank = scene()
    special = opened(world, contractor, bank, project=PROJECT)
    world.do(CloseAccount(account=special), by=contractor, vector="account.close/special_account")
    assert world.row(Account, special).state is AccountState.CLOSED
    opened(world, contractor, bank, project=PROJECT)


def test_a_special_account_passes_to_a_successor_with_its_money() -> None:
    world, contractor, bank = scene()
    special = opened(world, contractor, bank, units=100, project=PROJECT)
    successor, auditor = world.member("Successor"), world.member("Auditor", Role.AUDITOR)
    world.do(SucceedMember(member=contractor, successor=successor, order=anchor("order")), by=auditor)
    assert world.row(Account, special).owner == successor
    assert world.row(Balance, f"available/{special}").owner == successor
    assert f"accounts_of/{successor}/CNY" not in world.state.rows
