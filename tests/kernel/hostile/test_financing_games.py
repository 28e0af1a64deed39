"""Games with registrations, roles and rulings in a financing."""

from tallystick.kernel.financing.registration import CancelRegistration
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SetPermissions
from tallystick.wire.status import Status
from tests.support.financing import (
    asked,
    award_of,
    awarded,
    contract_of,
    decision_of,
    market,
    pass_deadline,
    quoted,
    registration_of,
)
from tests.support.receivables import anchor


def test_a_number_of_a_failed_registration_is_used_again() -> None:
    """Two entries of one number could never both be cancelled: the units would stay barred for ever."""
    m = market()
    financing = asked(m)
    quoted(m, financing, m.funder)
    quoted(m, financing, m.rival, "6")
    pass_deadline(m, financing)
    for funder in (m.funder, m.rival):
        m.world.do(award_of(m, financing, funder), by=m.client)
        m.world.do(contract_of(m, financing), by=m.client)
        m.world.do(contract_of(m, financing, handling=anchor("handling")), by=funder)
        m.world.do(decision_of(m, financing), by=m.trade.auditor)
        if funder == m.funder:
            m.world.do(registration_of(financing, "R-1"), by=funder)
            pass_deadline(m, financing)
    m.world.do(
        registration_of(financing, "R-1"),
        by=m.rival,
        expect=Status.RECORD_EXISTS,
        vector="financing.register/number_used",
    )
    m.world.do(registration_of(financing, "R-2"), by=m.rival)
    pass_deadline(m, financing)
    for number, funder in (("R-1", m.funder), ("R-2", m.rival)):
        cancelled = CancelRegistration(financing=financing, number=number, cancellation=f"C-{number}")
        m.world.do(cancelled, by=funder)
    assert not m.financing(financing).has_uncancelled


def test_a_funder_signs_after_its_role_was_taken_away() -> None:
    m = market()
    financing = awarded(m)
    m.world.do(contract_of(m, financing), by=m.client)
    m.world.do(SetPermissions(member=m.funder, permissions=(), roles=(Role.CLIENT,)), by=m.trade.auditor)
    m.world.do(
        contract_of(m, financing, handling=anchor("handling")),
        by=m.funder,
        expect=Status.ROLE_MISSING,
        vector="financing.sign_contract/funder_no_more",
    )


def test_a_quote_of_one_who_is_no_funder_any_more_is_awarded() -> None:
    m = market()
    financing = asked(m)
    quoted(m, financing, m.funder)
    pass_deadline(m, financing)
    m.world.do(SetPermissions(member=m.funder, permissions=(), roles=()), by=m.trade.auditor)
    m.world.do(award_of(m, financing, m.funder), by=m.client, expect=Status.ROLE_MISSING)
