"""product.draft_contracts, product.sign_contract, and the step that opens a product."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tallystick.kernel.accounts.opening import CloseAccount
from tallystick.kernel.documents.anchors import Document
from tallystick.kernel.membership.records import Role
from tallystick.kernel.membership.standing import SetPermissions, SuspendMember
from tallystick.kernel.products.contracts import DraftContracts, basis_of, terms_hash
from tallystick.kernel.products.records import Business, ContractKind, ProductState
from tallystick.wire.amounts import Units
from tallystick.wire.instants import DAY_MS, Instant
from tallystick.wire.status import Status
from tests.support.law import under
from tests.support.products import (
    MILLION,
    Cast,
    authorised_product,
    cast,
    deadline_of,
    draft_of,
    drafted_product,
    drafts_of,
    opened_product,
    signature_of,
    signing,
)
from tests.support.receivables import anchor

UNKNOWN = "prd_0000000000000000"
FIRST, SECOND, THIRD = ContractKind


def test_the_platform_drafts_three_contracts_on_the_products_terms() -> None:
    c = cast()
    product_id = authorised_product(c.world, c)
    c.world.do(drafts_of(c, product_id), by=c.platform, vector="product.draft_contracts/drafted")
    row = c.product(product_id)
    assert row.state is ProductState.CONTRACTS
    assert row.deadline == c.world.now.plus(30 * DAY_MS)
    assert [contract.kind for contract in row.contracts] == list(ContractKind)
    assert not any(contract.signatures for contract in row.contracts)


def test_what_the_drafts_must_be() -> None:
    c = cast()
    product_id = authorised_product(c.world, c)
    good = drafts_of(c, product_id)
    first, second, third = good.contracts
    foreign = terms_hash(basis_of("another chain", c.product(product_id), FIRST, first.template))
    for case, bad in {
        "not_found": replace(good, product=UNKNOWN),
        "bad_value": replace(good, contracts=(first, second, second)),
        "contract_differs": replace(good, contracts=(replace(first, terms_hash=foreign), second, third)),
    }.items():
        c.world.do(bad, by=c.platform, expect=Status[case.upper()], vector=f"product.draft_contracts/{case}")
    c.world.do(good, by=c.payer, expect=Status.NOT_A_PARTY, vector="product.draft_contracts/not_a_party")
    same_kind = draft_of(c, product_id, SECOND, anchor("payer_platform_contract", "other"))
    same_hash = draft_of(c, product_id, SECOND, replace(first.document, kind="other_kind"))
    for contracts in ((first, second), (first, same_kind, third), (first, same_hash, third)):
        c.world.do(replace(good, contracts=contracts), by=c.platform, expect=Status.BAD_VALUE)


def test_a_drafts_terms_are_this_products_this_kinds_and_this_templates() -> None:
    c = cast()
    product_id = authorised_product(c.world, c)
    other_id = authorised_product(c.world, c)
    good = drafts_of(c, product_id)
    first, second, third = good.contracts
    theirs = draft_of(c, other_id, FIRST)
    for bad in (
        replace(first, terms_hash=theirs.terms_hash),
        replace(first, terms_hash=second.terms_hash),
        replace(first, template="payer_platform.v2"),
    ):
        wrong = replace(good, contracts=(bad, second, third))
        c.world.do(wrong, by=c.platform, expect=Status.CONTRACT_DIFFERS)
    c.world.do(replace(good, contracts=(third, first, second)), by=c.platform)


def test_the_hash_follows_every_term() -> None:
    c = cast()
    product = c.product(authorised_product(c.world, c))
    hashes = {terms_hash(basis_of("chain", product, FIRST, "t.v1"))}
    for terms in (
        replace(product.terms, cap=Units(MILLION - 1)),
        replace(product.terms, default_split=51),
        replace(product.terms, arbitrator=c.verifiers[0]),
    ):
        hashes.add(terms_hash(basis_of("chain", replace(product, terms=terms), FIRST, "t.v1")))
    hashes.add(terms_hash(basis_of("chain", replace(product, payee=c.payer), FIRST, "t.v1")))
    assert len(hashes) == 5


def test_drafts_are_made_anew_while_nobody_has_signed() -> None:
    c = cast()
    product_id = drafted_product(c.world, c)
    first, second, third = drafts_of(c, product_id).contracts
    anew = replace(first, document=anchor("payer_platform_contract", "anew"))
    again = DraftContracts(product=product_id, contracts=(anew, second, third))
    old = signature_of(c, product_id, FIRST)
    c.world.wait(DAY_MS)
    c.world.do(again, by=c.platform, vector="product.draft_contracts/anew")
    assert deadline_of(c, product_id) == c.world.now.plus(30 * DAY_MS)
    c.world.do(old, by=c.payer, expect=Status.CONTRACT_DIFFERS, vector="product.sign_contract/contract_differs")
    c.world.do(signature_of(c, product_id, FIRST), by=c.payer)
    c.world.do(again, by=c.platform, expect=Status.ALREADY_SIGNED, vector="product.draft_contracts/already_signed")


def test_when_contracts_are_drafted() -> None:
    c = cast()
    product_id = authorised_product(c.world, c)
    good = drafts_of(c, product_id)
    row = c.product(product_id)
    c.world.do(SuspendMember(member=c.payee, reason="inquiry"), by=c.auditor)
    c.world.put(row)
    vector = "product.draft_contracts/party_suspended"
    c.world.do(good, by=c.platform, expect=Status.PARTY_SUSPENDED, vector=vector)
    c = cast()
    product_id = authorised_product(c.world, c)
    c.world.now = deadline_of(c, product_id).plus(1)
    vector = "product.draft_contracts/deadline_passed"
    c.world.do(drafts_of(c, product_id), by=c.platform, expect=Status.DEADLINE_PASSED, vector=vector)
    c.world.now = deadline_of(c, product_id)
    c.world.do(drafts_of(c, product_id), by=c.platform)
    product_id = opened_product(c.world, c)
    again = drafts_of(c, product_id)
    c.world.do(again, by=c.platform, expect=Status.WRONG_STATE, vector="product.draft_contracts/wrong_state")


def test_six_signatures_open_the_product_and_anchor_three_contracts() -> None:
    c = cast()
    product_id = drafted_product(c.world, c)
    drafted = c.product(product_id).contracts
    steps = [(party, one) for party, pair in signing(c, product_id) for one in pair]
    for party, one in steps[:-1]:
        c.world.do(one, by=party, vector="product.sign_contract/signed" if (party, one) == steps[0] else "")
        assert c.product(product_id).state is ProductState.CONTRACTS
        assert not documents_of(c, product_id)
    party, last = steps[-1]
    c.world.do(last, by=party, vector="product.sign_contract/opens")
    row = c.product(product_id)
    assert (row.state, row.takes_plans) == (ProductState.OPEN, True)
    assert row.deadline == Instant.parse("2027-06-30T23:59:59.999Z")
    assert [{one.member for one in contract.signatures} for contract in row.contracts] == [
        {c.payer, c.platform},
        {c.payee, c.platform},
        {c.payer, c.payee},
    ]
    found = documents_of(c, product_id)
    assert {one.anchor for one in found} == {contract.document for contract in drafted}
    assert {(one.owner, one.anchored) for one in found} == {(c.platform, row.opened)}
    opened = c.world.events[-1]
    assert opened.kind == "product.opened"
    assert {opened.facts[kind.value] for kind in ContractKind} == {one.document.hash for one in drafted}
    assert set(opened.audience) == {c.payer, c.payee, c.platform, c.custodian, c.arbitrator}


def documents_of(c: Cast, product_id: str) -> list[Document]:
    """What is anchored about a product."""
    rows = (row for row in c.world.state.rows.values() if isinstance(row, Document))
    return [row for row in rows if row.subject == product_id]


def test_one_transaction_may_carry_all_six_signatures() -> None:
    c = cast()
    product_id = drafted_product(c.world, c)
    signatures = [signature_of(c, product_id, kind) for kind in ContractKind for _ in range(2)]
    others = tuple(sorted((c.payer, c.platform)))
    c.world.do(*signatures, by=c.payee, also=others)
    assert c.product(product_id).state is ProductState.OPEN


def test_what_a_signature_states() -> None:
    c = cast()
    product_id = drafted_product(c.world, c)
    good = signature_of(c, product_id, FIRST)
    assert good.amount() == ("CNY", MILLION)
    for case, bad in {
        "not_found": replace(good, product=UNKNOWN),
        "currency_mismatch": replace(good, currency="GBP"),
        "amount_differs": replace(good, cap=Units(MILLION - 1)),
    }.items():
        c.world.do(bad, by=c.payer, expect=Status[case.upper()], vector=f"product.sign_contract/{case}")
    c.world.do(replace(good, terms_hash="0" * 64), by=c.payer, expect=Status.CONTRACT_DIFFERS)
    c.world.do(replace(good, document="0" * 64), by=c.payer, expect=Status.CONTRACT_DIFFERS)
    c.world.do(good, by=c.payee, expect=Status.NOT_A_PARTY, vector="product.sign_contract/not_a_party")
    c.world.do(signature_of(c, product_id, THIRD), by=c.platform, expect=Status.NOT_A_PARTY)
    c.world.do(good, by=c.payer)
    c.world.do(good, by=c.payer, expect=Status.ALREADY_SIGNED, vector="product.sign_contract/already_signed")


def test_the_same_signature_twice_in_one_transaction() -> None:
    c = cast()
    product_id = drafted_product(c.world, c)
    good = signature_of(c, product_id, FIRST)
    c.world.do(good, good, by=c.payer, expect=Status.ALREADY_SIGNED)
    assert not c.product(product_id).contracts[0].signatures


def test_when_a_contract_is_signed() -> None:
    c = cast()
    product_id = drafted_product(c.world, c)
    good = signature_of(c, product_id, FIRST)
    c.world.now = deadline_of(c, product_id).plus(1)
    c.world.do(good, by=c.payer, expect=Status.DEADLINE_PASSED, vector="product.sign_contract/deadline_passed")
    c.world.now = deadline_of(c, product_id)
    c.world.do(good, by=c.payer)
    product_id = opened_product(c.world, c)
    signed = signature_of(c, product_id, FIRST)
    c.world.do(signed, by=c.payer, expect=Status.WRONG_STATE, vector="product.sign_contract/wrong_state")


def suspend_arbitrator(c: Cast) -> None:
    c.world.do(SuspendMember(member=c.arbitrator, reason="inquiry"), by=c.auditor)


def dismiss_arbitrator(c: Cast) -> None:
    c.world.do(SetPermissions(member=c.arbitrator, permissions=(), roles=()), by=c.auditor)


def close_account(c: Cast) -> None:
    c.world.do(CloseAccount(account=c.payee_account), by=c.payee)


def pass_last_day(c: Cast) -> None:
    c.world.now = c.world.now.plus(DAY_MS)


@pytest.mark.parametrize(
    ("status", "spoil"),
    [
        (Status.PARTY_SUSPENDED, suspend_arbitrator),
        (Status.ROLE_MISSING, dismiss_arbitrator),
        (Status.ACCOUNT_MISSING, close_account),
        (Status.BAD_DATES, pass_last_day),
    ],
)
def test_nothing_is_signed_that_is_not_fit_any_more(status: Status, spoil: Callable[[Cast], None]) -> None:
    c = cast()
    c.world.member("Another arbitrator", Role.ARBITRATOR)
    product_id = drafted_product(c.world, c, payment_until_on=c.world.today())
    row = c.product(product_id)
    spoil(c)
    c.world.put(row)
    signed = signature_of(c, product_id, FIRST)
    c.world.do(signed, by=c.payer, expect=status, vector=f"product.sign_contract/{status.label}")


def test_a_wage_product_is_judged_on_the_day_it_opens() -> None:
    c = cast()
    under(c.world, "cn")
    terms: dict[str, Any] = {"business": Business.WAGES}
    product_id = drafted_product(c.world, c, **terms)
    c.world.now = c.world.now.plus(DAY_MS)
    for party, signatures in signing(c, product_id):
        c.world.do(*signatures, by=party)
    judged = c.product(product_id).judged
    assert judged is not None
    assert judged.on == c.world.today()
    product_id = drafted_product(c.world, c, **terms)
    row = c.product(product_id)
    assert row.terms.wages is not None
    lapsed = replace(row.terms.wages, special_account="acc_0000000000000000")
    c.world.put(replace(row, terms=replace(row.terms, wages=lapsed)))
    c.world.do(
        signature_of(c, product_id, FIRST),
        by=c.payer,
        expect=Status.WAGE_ACCOUNT_MISUSED,
        vector="product.sign_contract/wage_account_misused",
    )
