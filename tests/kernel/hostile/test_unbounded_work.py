"""Attempts to make one transaction cost every node more than its share."""

from tallystick.kernel.membership.records import Role
from tallystick.kernel.receivables.invoices import FlagInvoice, UnflagInvoice
from tallystick.kernel.receivables.records import MAX_BACKED
from tallystick.kernel.redemption.redeem import Redeem
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.accounts import opened
from tests.support.receivables import anchor, fingerprint, holdings, issued, request_of, span, trade, transferred, use


def test_one_invoice_behind_ever_so_many_receivables() -> None:
    """A flag on it would touch them all in one step."""
    t = trade()
    one = {"invoices": (use("one", 1, total=1_000_000),)}
    for _ in range(MAX_BACKED):
        t.world.do(request_of(t.buyer, t.supplier, 1, **one), by=t.buyer)
    t.world.do(request_of(t.buyer, t.supplier, 1, **one), by=t.buyer, expect=Status.TOO_MANY)
    t.world.do(FlagInvoice(fingerprint=fingerprint("one"), reason="cancelled", paper=anchor("paper")), by=t.auditor)


def test_a_debtor_pays_a_unit_each_to_many_holders_again_and_again() -> None:
    t = trade()
    world = t.world
    bank = world.member("Bank", Role.CUSTODIAN)
    opened(world, t.buyer, bank, units=10**9)
    opened(world, t.supplier, bank)
    opened(world, t.maker, bank)
    receivable = issued(world, t.buyer, t.supplier, 1_020_000, t.auditor)
    for at in range(101):
        transferred(world, receivable, span(1 + at * 10_000, 1_020_000), 10_000, t.supplier, t.maker, t.auditor)
    parcels = len(holdings(world, receivable))
    assert parcels == 102
    again = Redeem(receivable=receivable, currency="CNY", units=Units(parcels))
    result = world.do(*((again,) * 1_000), by=t.buyer, expect=Status.TOO_MANY)
    assert 200 <= int(result.facts["operation"]) < 300
    world.do(*((again,) * 100), by=t.buyer)


def test_an_auditor_lifts_the_flag_on_its_own_invoice() -> None:
    t = trade()
    owing = t.world.member("Owing auditor", Role.CLIENT, Role.CORE_ENTERPRISE, Role.AUDITOR)
    issued(t.world, owing, t.supplier, 100, t.auditor, invoices=(use("own", 100),))
    t.world.do(FlagInvoice(fingerprint=fingerprint("own"), reason="cancelled", paper=anchor("paper")), by=t.auditor)
    t.world.do(
        UnflagInvoice(fingerprint=fingerprint("own"), paper=anchor("paper")),
        by=owing,
        expect=Status.MUST_RECUSE,
        vector="invoice.unflag/must_recuse",
    )
