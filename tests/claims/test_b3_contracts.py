"""B3 contracts: three are made, each signed by its two parties; they stand on the ledger and the product is open."""

import pytest
from msgspec.structs import replace

from tallystick.kernel.documents.anchors import Document
from tallystick.kernel.products.contracts import SignContract, basis_of, terms_hash
from tallystick.kernel.products.records import ContractKind, Product, ProductState
from tallystick.wire.amounts import Units
from tallystick.wire.status import Status
from tests.support.chain import Chain
from tests.support.plans import proposal_of
from tests.support.products import (
    MILLION,
    Cast,
    application_of,
    authorised_product,
    cast,
    drafted_product,
    drafts_of,
    opened_product,
    pass_deadline,
    signature_of,
)

Signed = tuple[str, SignContract]


@pytest.fixture
def c(chain: Chain) -> Cast:
    return cast(chain)


def parties_of(c: Cast, kind: ContractKind) -> tuple[str, str]:
    return {
        ContractKind.PAYER_PLATFORM: (c.payer, c.platform),
        ContractKind.PAYEE_PLATFORM: (c.payee, c.platform),
        ContractKind.PAYER_PAYEE: (c.payer, c.payee),
    }[kind]


def six(c: Cast, product: str) -> list[Signed]:
    """Who signs what, each a transaction of its own."""
    return [(who, signature_of(c, product, kind)) for kind in ContractKind for who in parties_of(c, kind)]


def test_three_contracts_are_signed_stand_on_the_ledger_and_the_product_is_open(chain: Chain, c: Cast) -> None:
    product = authorised_product(chain, c)
    chain.do(drafts_of(c, product), by=c.platform)
    drafted = c.product(product).contracts
    assert [contract.kind for contract in drafted] == list(ContractKind)
    for contract in drafted:
        stated = basis_of(chain.engine.chain_id, c.product(product), contract.kind, contract.template)
        assert contract.terms_hash == terms_hash(stated)
    for who, signature in six(c, product):
        assert c.product(product).state is ProductState.CONTRACTS
        chain.do(signature, by=who)
    row = c.product(product)
    assert row.state is ProductState.OPEN

    for contract in row.contracts:
        assert tuple(signed.member for signed in contract.signatures) == parties_of(c, contract.kind)
        for signed in contract.signatures:
            assert chain.done_at(signed.at) == (signed.member, ("product.sign_contract",))
    assert row.opened == row.contracts[-1].signatures[-1].at, "the last signature opens it"

    assert chain.proven(row.key) == row
    documents = [each for each in chain.state.rows.values() if isinstance(each, Document) and each.subject == product]
    assert {each.anchor for each in documents} == {contract.document for contract in drafted}
    assert [each.anchored for each in documents] == [row.opened] * 3
    for document in documents:
        assert chain.proven(document.key) == document
    for party in (c.payer, c.payee, c.platform, c.custodian, c.arbitrator):
        assert chain.told(party)[-1] == "product.opened"


def test_with_five_signatures_there_is_no_product_and_nothing_is_anchored(chain: Chain, c: Cast) -> None:
    product = drafted_product(chain, c)
    for who, signature in six(c, product)[:-1]:
        chain.do(signature, by=who)
    assert not [each for each in chain.state.rows.values() if isinstance(each, Document)]
    chain.do(proposal_of(c, product), by=c.payer, expect=Status.WRONG_STATE)
    pass_deadline(c, product)
    assert c.product(product).state is ProductState.EXPIRED
    who, last = six(c, product)[-1]
    chain.do(last, by=who, expect=Status.WRONG_STATE)
    assert not [each for each in chain.state.rows.values() if isinstance(each, Document)]


def test_only_its_two_parties_sign_a_contract_each_once(chain: Chain, c: Cast) -> None:
    product = drafted_product(chain, c)
    for kind in ContractKind:
        signature = signature_of(c, product, kind)
        first, second = parties_of(c, kind)
        third = ({c.payer, c.payee, c.platform} - {first, second}).pop()
        for other in (third, c.custodian, c.auditor):
            chain.do(signature, by=other, expect=Status.NOT_A_PARTY)
        chain.do(signature, by=first)
        chain.do(signature, by=first, expect=Status.ALREADY_SIGNED)


def test_a_contract_on_other_terms_is_neither_registered_nor_signed(chain: Chain, c: Cast) -> None:
    product = authorised_product(chain, c)
    honest = drafts_of(c, product)
    row: Product = c.product(product)
    more = replace(row, terms=replace(row.terms, cap=Units(2 * MILLION)))
    forged = tuple(
        replace(draft, terms_hash=terms_hash(basis_of(chain.engine.chain_id, more, draft.kind, draft.template)))
        for draft in honest.contracts
    )
    chain.do(replace(honest, contracts=forged), by=c.platform, expect=Status.CONTRACT_DIFFERS)
    chain.do(honest, by=c.platform)
    seen = signature_of(c, product, ContractKind.PAYER_PAYEE)
    for field in ("terms_hash", "document"):
        chain.do(replace(seen, **{field: "f" * 64}), by=c.payer, expect=Status.CONTRACT_DIFFERS)
    chain.do(replace(seen, cap=Units(2 * MILLION)), by=c.payer, expect=Status.AMOUNT_DIFFERS)
    assert not c.product(product).contracts[-1].signatures


def test_one_business_contract_opens_one_product(chain: Chain, c: Cast) -> None:
    product = opened_product(chain, c)
    again = c.product(product).payee_copies[-1].terms
    chain.do(application_of(c, contract=again), by=c.payee, expect=Status.RECORD_EXISTS)
