"""Traps seen in earlier systems (DOMAIN section 8) that a product could fall into, one test each."""

import datetime

from tallystick.kernel.membership.records import Role
from tallystick.kernel.products.contracts import SignContract
from tallystick.kernel.products.records import ContractKind, ProductState
from tallystick.kernel.products.standing import SuspendProduct
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.law import under
from tests.support.products import (
    application_of,
    applied_product,
    approved_product,
    authorisation_of,
    cast,
    contract_terms,
    counter_of,
    drafted_product,
    opened_product,
    signature_of,
)


def test_confirming_number_one_overwrote_the_newest() -> None:
    c = cast()
    first, second = applied_product(c.world, c), applied_product(c.world, c)
    newest = c.product(second)
    c.world.do(counter_of(c, first), by=c.payer)
    assert c.product(first).state is ProductState.UNDER_REVIEW
    assert c.product(second) == newest


def test_anyone_could_confirm() -> None:
    c = cast()
    everybody = (c.payee, c.platform, c.custodian, c.arbitrator, c.auditor, c.source, *c.verifiers)
    product_id = approved_product(c.world, c)
    for stranger in everybody:
        c.world.do(authorisation_of(c, product_id), by=stranger, expect=Status.NOT_A_PARTY)
    product_id = drafted_product(c.world, c)
    for stranger in (c.custodian, c.arbitrator, c.auditor, c.source, *c.verifiers):
        for kind in ContractKind:
            c.world.do(signature_of(c, product_id, kind), by=stranger, expect=Status.NOT_A_PARTY)


def test_the_duplicate_key_included_the_creator_so_a_second_creator_passed() -> None:
    """The same business contract under another platform is still the same contract."""
    c = cast()
    contract = contract_terms(c, number="HT-1")
    applied_product(c.world, c, contract=contract)
    asked = application_of(c, contract=contract)
    other = c.world.member("Other platform", Role.PLATFORM)
    elsewhere = type(asked)(
        payer=asked.payer, platform=other, document=asked.document, contract=contract, terms=asked.terms
    )
    c.world.do(elsewhere, by=c.payee, expect=Status.RECORD_EXISTS)


def test_a_verified_claim_could_be_replayed_elsewhere() -> None:
    """A signature states the hashes of one product's contract and serves for no other one."""
    c = cast()
    first, second = drafted_product(c.world, c), drafted_product(c.world, c)
    signed = signature_of(c, first, ContractKind.PAYER_PAYEE)
    c.world.do(signed, by=c.payer)
    replayed = SignContract(
        product=second,
        kind=signed.kind,
        terms_hash=signed.terms_hash,
        document=signed.document,
        currency=signed.currency,
        cap=signed.cap,
    )
    c.world.do(replayed, by=c.payer, expect=Status.CONTRACT_DIFFERS)


def test_a_days_end_was_that_of_another_zone() -> None:
    """A suspension named by its day ends with that day in the business zone, eight hours before UTC's."""
    c = cast()
    under(c.world, "cn")
    product_id = opened_product(c.world, c)
    suspended = SuspendProduct(product=product_id, reason="site_closed", until_on=datetime.date(2026, 4, 30))
    c.world.do(suspended, by=c.platform)
    c.world.wait(until=Instant.parse("2026-04-30T15:59:59.999Z"))
    assert c.product(product_id).state is ProductState.SUSPENDED
    c.world.wait(1)
    assert c.product(product_id).state is ProductState.OPEN
