"""Contract terms from the ledger's records: the kernel takes their hash, and refuses what is drawn up too early."""

import datetime
import hashlib

import msgspec
import pytest

from tallystick.documents.rendering import render
from tallystick.documents.terms import Ground, financing_contract, product_contract
from tallystick.kernel.core import codec
from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.financing.records import Financing, Settlement, Verdict
from tallystick.kernel.membership.records import Member
from tallystick.kernel.products.contracts import ContractDraft, DraftContracts
from tallystick.kernel.products.records import ContractKind, Product
from tallystick.kernel.receivables.records import Receivable
from tallystick.wire.errors import DecodeError
from tallystick.wire.status import Status
from tests.support.contracts import squeezed, text_of
from tests.support.financing import Market, asked, awarded, contract_of, market
from tests.support.products import Cast, approved_product, authorised_product, cast
from tests.support.world import World

DRAWN_ON = datetime.date(2026, 3, 2)


def ground_of(world: World) -> Ground:
    """What contracts take from a world's chain."""
    members = {row.id: row for row in world.state.rows.values() if isinstance(row, Member)}
    return Ground(chain_id=world.chain.chain_id, sandbox=world.chain.sandbox, minor_digits=2, members=members)


@pytest.fixture
def c() -> Cast:
    return cast()


def test_the_kernel_takes_the_drafts_and_no_others(c: Cast) -> None:
    product = c.product(authorised_product(c.world, c))
    made = {kind: product_contract(ground_of(c.world), product, kind, DRAWN_ON) for kind in ContractKind}
    drafts = tuple(
        ContractDraft(
            kind=kind,
            template=contract.terms.template,
            terms_hash=contract.terms_hash,
            document=Anchor(hash=hashlib.sha256(render(contract)).hexdigest(), kind=f"{kind.value}_contract"),
        )
        for kind, contract in made.items()
    )
    other = msgspec.structs.replace(drafts[0], terms_hash=drafts[1].terms_hash)
    wrong = DraftContracts(product=product.id, contracts=(other, *drafts[1:]))
    refused = c.world.do(wrong, by=c.platform, expect=Status.CONTRACT_DIFFERS)
    assert refused.facts["contract"] == ContractKind.PAYER_PLATFORM.value
    c.world.do(DraftContracts(product=product.id, contracts=drafts), by=c.platform)


def test_each_contract_is_signed_by_its_own_two_parties(c: Cast) -> None:
    product = c.product(authorised_product(c.world, c))
    expected = {
        ContractKind.PAYER_PLATFORM: [c.payer, c.platform],
        ContractKind.PAYEE_PLATFORM: [c.payee, c.platform],
        ContractKind.PAYER_PAYEE: [c.payer, c.payee],
    }
    for kind, signing in expected.items():
        parties = product_contract(ground_of(c.world), product, kind, DRAWN_ON).shown.parties
        assert [party.member for party in parties[:2]] == signing
        assert {party.member for party in parties} == {c.payer, c.payee, c.platform, c.custodian, c.arbitrator}


def test_no_contract_before_the_payer_authorised(c: Cast) -> None:
    product = c.product(approved_product(c.world, c))
    with pytest.raises(DecodeError, match="has not authorised"):
        product_contract(ground_of(c.world), product, ContractKind.PAYER_PAYEE, DRAWN_ON)


def test_every_term_is_in_the_hash(c: Cast) -> None:
    product: Product = c.product(authorised_product(c.world, c))
    ground = ground_of(c.world)

    def hash_of(row: Product) -> str:
        return product_contract(ground, row, ContractKind.PAYER_PAYEE, DRAWN_ON).terms_hash

    before = hash_of(product)
    for field in ("cap", "objection_days", "answer_days", "default_split"):
        changed = msgspec.structs.replace(product.terms, **{field: getattr(product.terms, field) + 1})
        assert hash_of(msgspec.structs.replace(product, terms=changed)) != before, field
    renamed = {**ground.members}
    renamed[c.payer] = msgspec.structs.replace(renamed[c.payer], legal_name="Another name")
    other = Ground(ground.chain_id, ground.sandbox, ground.minor_digits, renamed)
    contract = product_contract(other, product, ContractKind.PAYER_PAYEE, DRAWN_ON)
    assert contract.terms_hash == before, "terms name members by id"
    assert squeezed("Another name") in text_of(render(contract)), "the document by name"


def _parts(m: Market, financing_id: str) -> tuple[Ground, Financing, Receivable]:
    financing = m.financing(financing_id)
    return ground_of(m.world), financing, m.world.row(Receivable, financing.receivable)


def test_a_financing_contract_states_the_award_and_its_price() -> None:
    m = market()
    ground, financing, receivable = _parts(m, awarded(m))
    contract = financing_contract(ground, financing, receivable, None, Verdict.UNLOCK)
    award = financing.award
    assert award is not None
    assert contract.shown.drawn_on == award.value_on
    ranked = next(entry for entry in award.ranking if entry.quote == award.quote)
    assert codec.plain(contract.terms)["price"]["net"] == str(ranked.net)
    assert [party.member for party in contract.shown.parties] == [m.client, m.funder, financing.debtor]
    other = financing_contract(ground, financing, receivable, m.arbitrator, Verdict.HAND_ON)
    assert other.terms_hash != contract.terms_hash
    assert other.shown.parties[-1].member == m.arbitrator


def test_a_financing_contract_stays_what_it_was_once_signed() -> None:
    m = market()
    financing_id = awarded(m)
    before = financing_contract(*_parts(m, financing_id), None, Verdict.UNLOCK)
    m.world.do(contract_of(m, financing_id), by=m.client)
    assert financing_contract(*_parts(m, financing_id), None, Verdict.UNLOCK) == before


def test_a_financing_contract_needs_an_award_and_a_bank_an_arbitrator() -> None:
    m = market()
    with pytest.raises(DecodeError, match="no quote is awarded"):
        financing_contract(*_parts(m, asked(m)), None, Verdict.UNLOCK)
    m = market()
    parts = _parts(m, awarded(m, settlement=Settlement.BANK))
    with pytest.raises(DecodeError, match="needs an arbitrator"):
        financing_contract(*parts, None, Verdict.UNLOCK)
    financing_contract(*parts, m.arbitrator, Verdict.UNLOCK)
