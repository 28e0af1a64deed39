"""The three contracts of a product: drafted by the platform on the product's own terms, signed by two parties each.

The terms that a contract binds its parties to are the product's, as the ledger holds them; so the kernel computes their
hash itself, and a document that was drawn up on other terms can't be registered (docs/adr/0007-products.md).
"""

import hashlib
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from tallystick.kernel.calendar.days import end_of
from tallystick.kernel.core import codec
from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, Code, Currency, Hash, MemberId, ProductId, Struct
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.documents.anchors import ANCHORED, Document
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.products.authorising import check_still_fit
from tallystick.kernel.products.lifecycle import check_others, check_window, find_product, in_days, told
from tallystick.kernel.products.records import (
    ContractKind,
    ContractTerms,
    Product,
    ProductContract,
    ProductState,
    ProductTerms,
    Signature,
)
from tallystick.kernel.products.terms import judge
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

BASIS_FORMAT = "product-contract.v1"

DRAFTED = EventKind(
    "product.contracts_drafted", "{platform} drafted the contracts of {record}; they are to be signed until {until}."
)
SIGNED = EventKind("product.contract_signed", "{signer} signed the {contract} contract of {record}, {document}.")
OPENED = EventKind(
    "product.opened",
    "Product {record} is open: releases up to {cap} {currency} by plan. Its contracts are {payer_platform}, "
    "{payee_platform} and {payer_payee}.",
)


class ContractBasis(Struct):
    """What one of the contracts states, typed: its canonical bytes are hashed, and its document is rendered from it."""

    format: Code
    chain: str
    product: ProductId
    kind: ContractKind
    template: Code
    payer: MemberId
    payee: MemberId
    platform: MemberId
    contract: ContractTerms
    terms: ProductTerms


def basis_of(chain_id: str, product: Product, kind: ContractKind, template: str) -> ContractBasis:
    """The typed terms of one of the three contracts."""
    return ContractBasis(
        format=BASIS_FORMAT,
        chain=chain_id,
        product=product.id,
        kind=kind,
        template=template,
        payer=product.payer,
        payee=product.payee,
        platform=product.platform,
        contract=product.payee_copies[-1].terms,
        terms=product.terms,
    )


def terms_hash(basis: ContractBasis) -> str:
    """SHA-256 of the canonical bytes of a contract's typed terms, in hexadecimal."""
    return hashlib.sha256(codec.encode(basis)).hexdigest()


def signatories(product: Product, kind: ContractKind) -> tuple[str, str]:
    """The two parties of a contract."""
    match kind:
        case ContractKind.PAYER_PLATFORM:
            return product.payer, product.platform
        case ContractKind.PAYEE_PLATFORM:
            return product.payee, product.platform
        case ContractKind.PAYER_PAYEE:
            return product.payer, product.payee


class ContractDraft(Struct):
    """One contract as the platform registers it: kind, template with its version, hash of its terms, document."""

    kind: ContractKind
    template: Code
    terms_hash: Hash
    document: Anchor


class DraftContracts(Operation, tag="product.draft_contracts"):
    """Register the three contracts to be signed: template and version, the hash of the typed terms, the document.

    Signed by the platform. Each contract states the product's own terms, whose hash the kernel computes. They may be
    drafted anew while nobody has signed. Source: DOMAIN section 3, "Product".
    """

    product: ProductId
    contracts: Annotated[tuple[ContractDraft, ...], Meta(min_length=1, max_length=len(ContractKind))]

    def authority(self, step: Step) -> Signers | Refusal:
        product = find_product(step, self.product)
        return product if isinstance(product, Refusal) else Signers.all(product.platform)

    def check(self, step: Step) -> Refusal | None:
        product = step.get(Product, self.product)
        refusal = (
            check_window(step, product, ProductState.AUTHORISED, ProductState.CONTRACTS)
            or _check_unsigned(product)
            or check_others(step, product)
        )
        if refusal is not None:
            return refusal
        if {draft.kind for draft in self.contracts} != set(ContractKind):
            return refuse(Status.BAD_VALUE, field="contracts", reason="each of the three kinds once")
        for what in ("kind", "hash"):
            if len({getattr(draft.document, what) for draft in self.contracts}) < len(self.contracts):
                return refuse(Status.BAD_VALUE, field="document", reason=f"two documents have the same {what}")
        for draft in self.contracts:
            stated = terms_hash(basis_of(step.chain.chain_id, product, draft.kind, draft.template))
            if draft.terms_hash != stated:
                return refuse(Status.CONTRACT_DIFFERS, contract=draft.kind.value, terms_hash=stated)
        return None

    def apply(self, step: Step) -> Iterator[Event]:
        product = step.get(Product, self.product)
        until = in_days(step, policies(step).sign_contracts_days)
        contracts = tuple(
            ProductContract(
                kind=draft.kind, template=draft.template, terms_hash=draft.terms_hash, document=draft.document
            )
            for draft in self.contracts
        )
        step.put(replace(product, state=ProductState.CONTRACTS, contracts=contracts, deadline=until))
        yield DRAFTED(product.id, product.parties, platform=product.platform, until=until)


def _check_unsigned(product: Product) -> Refusal | None:
    for contract in product.contracts:
        for signature in contract.signatures:
            return refuse(Status.ALREADY_SIGNED, contract=contract.kind.value, organisation=signature.member)
    return None


class SignContract(Operation, tag="product.sign_contract"):
    """Sign one of the three contracts, stating the hash of its terms, of its document and the cap in its currency.

    Signed by one of its two parties, which may sign several contracts in one transaction. The sixth signature opens the
    product and anchors all three documents. Source: DOMAIN section 3, "Product".
    """

    product: ProductId
    kind: ContractKind
    terms_hash: Hash
    document: Hash
    currency: Currency
    cap: Units

    def amount(self) -> tuple[str, Units]:
        return self.currency, self.cap

    def authority(self, step: Step) -> Signers | Refusal:
        product = find_product(step, self.product)
        return product if isinstance(product, Refusal) else Signers.one(*signatories(product, self.kind))

    def check(self, step: Step) -> Refusal | None:
        product = step.get(Product, self.product)
        refusal = check_window(step, product, ProductState.CONTRACTS)
        if refusal is not None:
            return refusal
        contract = self._contract(product)
        signer = self._signer(step, product, contract)
        if isinstance(signer, Refusal):
            return signer
        if (self.terms_hash, self.document) != (contract.terms_hash, contract.document.hash):
            return refuse(Status.CONTRACT_DIFFERS, terms_hash=contract.terms_hash, document=contract.document.hash)
        if self.currency != product.terms.currency:
            return refuse(Status.CURRENCY_MISMATCH, currency=product.terms.currency)
        if self.cap != product.terms.cap:
            return refuse(Status.AMOUNT_DIFFERS, cap=product.terms.cap)
        return check_still_fit(step, product)

    def _contract(self, product: Product) -> ProductContract:
        return next(contract for contract in product.contracts if contract.kind is self.kind)

    def _signer(self, step: Step, product: Product, contract: ProductContract) -> str | Refusal:
        """The first of the signing organisations that is a party to the contract and has not signed it."""
        signed = {signature.member for signature in contract.signatures}
        parties = [name for name in step.organisations if name in signatories(product, self.kind)]
        for name in parties:
            if name not in signed:
                return name
        return refuse(Status.ALREADY_SIGNED, contract=self.kind.value, organisation=parties[0])

    def apply(self, step: Step) -> Iterator[Event]:
        product = step.get(Product, self.product)
        contract = self._contract(product)
        signer = self._signer(step, product, contract)
        if isinstance(signer, Refusal):
            raise InvariantViolation(f"applied although {signer.status.label}")
        signed = replace(contract, signatures=(*contract.signatures, Signature(member=signer, at=step.position)))
        contracts = tuple(signed if each.kind is self.kind else each for each in product.contracts)
        product = replace(product, contracts=contracts)
        yield SIGNED(product.id, product.parties, signer=signer, contract=self.kind.value, document=self.document)
        if all(len(each.signatures) == len(signatories(product, each.kind)) for each in contracts):
            yield from _open(step, product)
        else:
            step.put(product)


def _open(step: Step, product: Product) -> Iterator[Event]:
    """All six signatures stand: anchor the three documents, for the platform, and open the product."""
    judged = judge(step, product.terms)
    if isinstance(judged, Refusal):
        raise InvariantViolation(f"opened although {judged.status.label}")
    product = replace(
        product,
        state=ProductState.OPEN,
        opened=step.position,
        deadline=end_of(step.overlay, product.terms.long_stop_on),
        judged=judged,
    )
    step.put(product)
    for contract in product.contracts:
        document = Document(
            id=step.new_id("doc"),
            owner=product.platform,
            anchor=contract.document,
            anchored=step.position,
            subject=product.id,
        )
        step.put(document)
        yield ANCHORED(
            document.id,
            (product.platform, *signatories(product, contract.kind)),
            owner=document.owner,
            kind=contract.document.kind,
        )
    hashes = {contract.kind.value: contract.document.hash for contract in product.contracts}
    yield OPENED(product.id, told(product), currency=product.terms.currency, cap=product.terms.cap, **hashes)
