"""Traps seen in earlier systems (DOMAIN section 8) that concern financing."""

import datetime

import pytest
from msgspec.structs import replace

from tallystick.kernel.arithmetic import DayCount, Terms, price_of, simple_interest
from tallystick.kernel.financing.quotes import QuoteFinancing
from tallystick.kernel.financing.records import FinancingState
from tallystick.kernel.financing.sealed import commitment_of
from tallystick.kernel.receivables.records import Receivable
from tallystick.wire.amounts import ZERO, Rate, Units
from tallystick.wire.status import Status
from tests.support.accounts import check_books, money
from tests.support.financing import (
    MILLION,
    NONCE,
    approved,
    asked,
    award_of,
    awarded,
    contract_of,
    evaluation_of,
    market,
    net_on,
    pass_deadline,
    quoted,
    registered,
    request_of,
    reveal_of,
    settlement_of,
    stated,
    terms_of,
)
from tests.support.receivables import DUE_ON, ISSUE_ON, holdings
from tests.support.world import CHAIN_ID

PAY_ON = ISSUE_ON + datetime.timedelta(days=2)


def test_a_failed_settlement_lost_the_position() -> None:
    m = market()
    financing_id = approved(m, 40_000_000)
    pass_deadline(m, financing_id)
    assert m.financing(financing_id).state is FinancingState.SETTLEMENT_FAILED
    assert holdings(m.world, m.receivable) == [(m.client, 1, MILLION)]
    # Held, and free to be financed whole.
    asked(m)


def test_anyone_could_confirm() -> None:
    m = market()
    financing_id = awarded(m)
    operation = contract_of(m, financing_id)
    for other in (m.rival, m.platform, m.trade.buyer, m.trade.auditor, m.arbitrator):
        m.world.do(operation, by=other, expect=Status.NOT_A_PARTY)
        # Nor does a signature beside the right one pass unnoticed.
        m.world.do(operation, by=m.client, also=(other,), expect=Status.SUPERFLUOUS_SIGNATURE)


def test_a_penalty_rate_truncated() -> None:
    """A hundredth of a basis point is not lost, and a half goes up once."""
    assert simple_interest(Units(10**11), Rate.parse("0.0001"), 360, DayCount.ACT_360) == 10**5
    terms = Terms(rate=Rate.parse("0.000001"), day_count=DayCount.ACT_365F, fee_rate=Rate(0), minimum_fee=ZERO)
    price = price_of(Units(5 * 10**7), terms, DUE_ON.replace(year=2025), DUE_ON)
    assert price is not None
    assert price.discount == 1


def test_a_verified_identity_claim_could_be_replayed_on_another_chain() -> None:
    m = market()
    financing_id = asked(m, sealed=True)
    terms = terms_of(m)
    elsewhere = commitment_of("another-chain", financing_id, m.funder, terms, NONCE)
    m.world.do(evaluation_of(financing_id), by=m.funder)
    m.world.do(QuoteFinancing(**stated(m, financing_id), commitment=elsewhere), by=m.funder)
    pass_deadline(m, financing_id)
    m.world.do(reveal_of(m, financing_id, terms), by=m.funder, expect=Status.COMMITMENT_DIFFERS)
    assert elsewhere != commitment_of(CHAIN_ID, financing_id, m.funder, terms, NONCE)


def test_a_hold_was_committed_twice_under_concurrency() -> None:
    """Two requests for the same units in one transaction: all or nothing."""
    m = market()
    operation = request_of(m)
    m.world.do(operation, operation, by=m.client, expect=Status.PARCEL_LOCKED)
    assert not m.world.row(Receivable, m.receivable).parcels[0].locks
    m.world.do(operation, by=m.client)


def test_a_settlement_is_not_paid_twice() -> None:
    m = market()
    financing_id = registered(m)
    operation = settlement_of(m, financing_id, net_on(MILLION, "5.5", m.world.today(), DUE_ON))
    before = money(m.world, m.funder)
    m.world.do(operation, operation, by=m.funder, expect=Status.WRONG_STATE)
    assert money(m.world, m.funder) == before
    m.world.do(operation, by=m.funder)
    m.world.do(operation, by=m.funder, expect=Status.WRONG_STATE)
    assert before - money(m.world, m.funder) == operation.net
    check_books(m.world)


@pytest.mark.parametrize("short_by", [1, 0])
def test_a_payment_short_by_a_unit_passes_nothing(short_by: int) -> None:
    net = net_on(MILLION, "5.5", PAY_ON, DUE_ON)
    m = market(funds=net - short_by)
    financing_id = registered(m)
    assert m.world.today() == PAY_ON
    operation = settlement_of(m, financing_id, net)
    m.world.do(operation, by=m.funder, expect=Status.INSUFFICIENT_FUNDS if short_by else Status.OK)
    assert (money(m.world, m.client) == net) is (not short_by)
    holder = m.client if short_by else m.funder
    assert holdings(m.world, m.receivable) == [(holder, 1, MILLION)]


def test_another_financing_cannot_be_awarded_with_its_quote() -> None:
    m = market()
    first, second = asked(m, 10), asked(m, 10)
    quoted(m, first, m.funder)
    quoted(m, second, m.funder)
    pass_deadline(m, first)
    foreign = replace(award_of(m, first, m.funder), quote=award_of(m, second, m.funder).quote)
    m.world.do(foreign, by=m.client, expect=Status.NOT_FOUND)
