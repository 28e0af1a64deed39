"""What the law packs ask of a financing: scrutiny of long terms, licences of platforms, registry, licensed banks."""

import pytest
from msgspec.structs import replace

from tallystick.kernel.financing.registration import CancelRegistration
from tallystick.kernel.governance.policies import Policies
from tallystick.kernel.law.records import Outcome
from tallystick.kernel.membership.records import Member, Role
from tallystick.wire.status import Status
from tests.support.accounts import opened
from tests.support.financing import (
    MILLION,
    Market,
    approved,
    asked,
    award_of,
    contract_of,
    decision_of,
    evaluation_of,
    market,
    net_on,
    pass_deadline,
    quote_of,
    registered,
    registration_of,
    settlement_of,
)
from tests.support.law import day, licence, under
from tests.support.receivables import anchor

LONG = day("2026-10-30")


def market_under_cn(**fields: object) -> Market:
    """The market under the cn pack, its custodian a licensed bank."""
    m = market(**fields)
    under(m.world, "cn")
    bank = m.world.row(Member, m.custodian)
    m.world.put(replace(bank, licences=(licence("banking"),)))
    return m


def net_of(m: Market, financing_id: str) -> int:
    row = m.financing(financing_id)
    return net_on(row.face, "5.5", m.world.today(), row.discount_until_on)


def test_a_term_over_six_months_is_financed_after_the_funders_scrutiny() -> None:
    m = market_under_cn(due_on=LONG, reason="a season's stock", policies=Policies(settle_days=20))
    financing_id = asked(m)
    bare = evaluation_of(financing_id)
    m.world.do(bare, by=m.funder, expect=Status.SCRUTINY_MISSING, vector="financing.evaluate/scrutiny_missing")
    # Declining needs no scrutiny.
    m.world.do(evaluation_of(financing_id, accepts=False), by=m.rival)
    m.world.do(replace(bare, scrutiny=anchor("scrutiny")), by=m.funder, vector="financing.evaluate/scrutinised")
    m.world.do(quote_of(m, financing_id), by=m.funder)
    pass_deadline(m, financing_id)
    m.world.do(award_of(m, financing_id, m.funder), by=m.client)
    m.world.do(contract_of(m, financing_id), by=m.client)
    m.world.do(contract_of(m, financing_id, handling=anchor("handling")), by=m.funder)
    m.world.do(decision_of(m, financing_id), by=m.trade.auditor)
    m.world.do(registration_of(financing_id), by=m.funder)
    m.world.do(settlement_of(m, financing_id, net_of(m, financing_id)), by=m.funder)
    judged = m.financing(financing_id).judged
    assert judged is not None
    assert {finding.rule: finding.outcome for finding in judged.findings} == {
        "scrutiny_over_six_months": Outcome.REASONED
    }
    assert any(version.startswith("cn") for version in judged.packs)


def test_an_unlicensed_platform_is_no_funder() -> None:
    m = market_under_cn()
    both = m.world.member("Platform that funds", Role.FUNDER, Role.PLATFORM)
    financing_id = asked(m)
    m.world.do(
        evaluation_of(financing_id),
        by=both,
        expect=Status.PLATFORM_UNLICENSED,
        vector="financing.evaluate/platform_unlicensed",
    )
    m.world.put(replace(m.world.row(Member, both), licences=(licence("factoring"),)))
    m.world.do(evaluation_of(financing_id), by=both)


def test_a_licence_that_ran_out_bars_the_signature() -> None:
    m = market_under_cn()
    funder = m.world.row(Member, m.funder)
    platform = m.world.row(Member, m.platform)
    m.world.put(replace(funder, roles=(*funder.roles, *platform.roles), licences=(licence("factoring", "2026-03-03"),)))
    financing_id = asked(m)
    m.world.do(evaluation_of(financing_id), by=m.funder)
    m.world.do(quote_of(m, financing_id), by=m.funder)
    pass_deadline(m, financing_id)
    m.world.do(award_of(m, financing_id, m.funder), by=m.client)
    m.world.do(
        contract_of(m, financing_id),
        by=m.client,
        expect=Status.PLATFORM_UNLICENSED,
        vector="financing.sign_contract/platform_unlicensed",
    )


def test_search_and_registration_come_before_the_money() -> None:
    m = market_under_cn()
    financing_id = approved(m)
    good = settlement_of(m, financing_id, net_of(m, financing_id))
    vector = "financing.settle/search_missing"
    refused = m.world.do(good, by=m.funder, expect=Status.SEARCH_MISSING, vector=vector)
    assert refused.facts["clause"]
    search = replace(registration_of(financing_id), number=None)
    m.world.do(search, by=m.funder, vector="financing.register/search")
    vector = "financing.settle/registration_missing"
    m.world.do(good, by=m.funder, expect=Status.REGISTRATION_MISSING, vector=vector)
    m.world.do(registration_of(financing_id), by=m.funder)
    assert len(m.financing(financing_id).registrations) == 1
    m.world.do(good, by=m.funder)


def test_a_search_alone_leaves_nothing_to_cancel() -> None:
    m = market_under_cn()
    financing_id = approved(m)
    m.world.do(replace(registration_of(financing_id), number=None), by=m.funder)
    pass_deadline(m, financing_id)
    assert m.financing(financing_id).registrations == ()


@pytest.mark.parametrize("same_financing", [True, False])
def test_a_failed_registration_is_cancelled_first(same_financing: bool) -> None:
    m = market_under_cn()
    failed = registered(m, rates=((m.funder, "5.5"), (m.rival, "5.5")))
    pass_deadline(m, failed)
    again = failed
    if same_financing:
        m.world.do(award_of(m, failed, m.rival), by=m.client)
        m.world.do(contract_of(m, failed), by=m.client)
        m.world.do(contract_of(m, failed, handling=anchor("handling")), by=m.rival)
        m.world.do(decision_of(m, failed), by=m.trade.auditor)
        m.world.do(registration_of(failed, "R-2026-0002"), by=m.rival)
    else:
        again = registered(m)
    payer = m.financing(again).funder
    if same_financing:
        opened(m.world, m.rival, m.custodian, units=MILLION)
    good = settlement_of(m, again, net_of(m, again))
    vector = "" if same_financing else "financing.settle/registration_not_cancelled"
    m.world.do(good, by=payer, expect=Status.REGISTRATION_NOT_CANCELLED, vector=vector)
    cancel = CancelRegistration(financing=failed, number="R-2026-0001", cancellation="C-2026-0001")
    m.world.do(cancel, by=m.funder)
    m.world.do(good, by=payer)


def test_ledger_money_counts_where_a_licensed_bank_keeps_it() -> None:
    m = market_under_cn()
    financing_id = registered(m)
    bank = m.world.row(Member, m.custodian)
    m.world.put(replace(bank, licences=()))
    m.world.do(
        settlement_of(m, financing_id, net_of(m, financing_id)),
        by=m.funder,
        expect=Status.FUNDS_OUTSIDE_BANKS,
        vector="financing.settle/funds_outside_banks",
    )
