"""What the law packs say about payments: through licensed banks, and what lateness costs."""

from msgspec.structs import replace

from tallystick import seeds
from tallystick.kernel.accounts.deposits import BookDeposit
from tallystick.kernel.membership.records import Licence, Member, SizeClass
from tallystick.kernel.receivables.records import ReceivableState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS
from tallystick.wire.status import Status
from tests.support.receivables import anchor
from tests.support.redemption import Debt, debt


def under_cn(*, licensed: bool = True) -> Debt:
    """The receivable under the cn pack: a large buyer, a small supplier, a bank with or without its licence."""
    d = debt()
    world = d.world
    world.put(*seeds.law("cn"), *(seeds.reference_rate(name) for name in seeds.REFERENCE_RATES))
    world.put(replace(world.row(Member, d.buyer), size_class=SizeClass.LARGE))
    if licensed:
        licences = (Licence(kind="banking", anchor=anchor("licence")),)
        world.put(replace(world.row(Member, d.bank), licences=licences))
    d.fund(1_000)
    return d


def test_ledger_money_counts_where_a_licensed_bank_books_it() -> None:
    d = under_cn()
    d.to_due_date()
    assert d.state is ReceivableState.REDEEMED


def test_money_of_an_unlicensed_custodian_pays_nothing() -> None:
    d = under_cn(licensed=False)
    d.world.do(
        d.redeem(10), by=d.buyer, expect=Status.FUNDS_OUTSIDE_BANKS, vector="receivable.redeem/funds_outside_banks"
    )
    d.to_due_date()
    assert d.money() == (1_000, 0, 0)


def test_a_payment_through_a_bank_needs_everybodys_bank_account() -> None:
    d = under_cn()
    named = d.world.row(Member, d.buyer)
    d.world.put(replace(named, bank_account=anchor("bank_account", "buyer")))
    result = d.world.do(d.by_bank(10), by=d.buyer, expect=Status.FUNDS_OUTSIDE_BANKS)
    assert result.facts["organisation"] == d.maker
    for holder in (d.maker, d.supplier):
        d.world.put(replace(d.world.row(Member, holder), bank_account=anchor("bank_account", holder)))
    d.world.do(d.by_bank(10), by=d.buyer)


def test_interest_for_late_payment_is_told_outside_the_face() -> None:
    d = under_cn(licensed=False)
    d.to_due_date()
    d.past_grace()
    licences = (Licence(kind="banking", anchor=anchor("licence")),)
    d.world.put(replace(d.world.row(Member, d.bank), licences=licences))
    d.world.wait(9 * DAY_MS)
    stray = BookDeposit(
        bank_reference="LATE-1", currency="CNY", units=Units(1_000_000), remitter=d.buyer, account=d.account
    )
    d.world.do(stray, by=d.bank)
    d.world.wait()
    assert d.state is ReceivableState.REDEEMED
    assert d.money() == (1_000_000, 600, 400), "the claim is shown, never taken"
    claims = [event for event in d.world.events if event.kind == "receivable.late_claim"]
    # 1,000 x 0.05 % x 10 days = 5.
    assert [(event.facts["amount"], event.facts["days"]) for event in claims] == [("5", 10)]
    assert set(claims[0].audience) == {d.buyer, d.supplier, d.maker}
