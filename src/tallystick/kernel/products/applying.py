"""From the payee's application to two copies of the business contract that agree: applying, comparing, correcting."""

from collections.abc import Iterator

from msgspec.structs import replace

from tallystick.kernel.core.events import Event, EventKind
from tallystick.kernel.core.fields import Anchor, MemberId, ProductId
from tallystick.kernel.core.operation import Operation, Signers
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.core.step import Step
from tallystick.kernel.governance.policies import policies
from tallystick.kernel.law.records import Judgement
from tallystick.kernel.products.comparing import differences
from tallystick.kernel.products.lifecycle import (
    check_others,
    check_window,
    end_product,
    fields_differing,
    find_product,
    in_days,
)
from tallystick.kernel.products.records import (
    MAX_VERSIONS,
    Comparison,
    ContractCopy,
    ContractTerms,
    Product,
    ProductState,
    ProductTerms,
)
from tallystick.kernel.products.terms import check_contract, check_parties, check_terms, check_unused, judge
from tallystick.kernel.reviews.subjects import open_review
from tallystick.wire.amounts import Units
from tallystick.wire.errors import InvariantViolation
from tallystick.wire.status import Status

APPLIED = EventKind(
    "product.applied",
    "{payee} applies to {platform} for product {record}: payments by {payer} under contract {contract}, "
    "up to {cap} {currency}.",
)
AWAITED = EventKind("product.counter_contract_awaited", "{payer} is to give its copy for {record} until {until}.")
DIFFERS = EventKind(
    "product.contracts_differ",
    "The two copies of the contract of {record} differ in {fields}; to be put right by {until}.",
)
AGREES = EventKind(
    "product.contracts_agree",
    "The copies of the contract of {record} agree: version {payee_version} of the payee, {payer_version} of the payer.",
)


class ApplyForProduct(Operation, tag="product.apply"):
    """Apply for a payout product for one target business: its business contract and the product's own terms.

    Signed by the payee, which has an account with the custodian as the payer has. The payer's copy of the contract is
    asked for; where the policies let the payee's copy do, the platform's review opens at once. One business contract
    backs one live product. Source: DOMAIN section 3, "Product".
    """

    payer: MemberId
    platform: MemberId
    document: Anchor
    contract: ContractTerms
    terms: ProductTerms

    def amount(self) -> tuple[str, Units]:
        return self.terms.currency, self.terms.cap

    def authority(self, step: Step) -> Signers | Refusal:
        return Signers.all(step.actor)

    def check(self, step: Step) -> Refusal | None:
        payee = step.actor
        return (
            check_parties(step, self.payer, payee, self.platform)
            or check_terms(step, self.payer, payee, self.platform, self.terms)
            or check_contract(step, self.payer, payee, self.terms, self.contract)
            or check_unused(step, self.payer, payee, self.contract, "")
        )

    def apply(self, step: Step) -> Iterator[Event]:
        in_force = policies(step)
        copy = ContractCopy(by=step.actor, document=self.document, terms=self.contract, at=step.position)
        product = Product(
            id=step.new_id("prd"),
            payer=self.payer,
            payee=step.actor,
            platform=self.platform,
            state=ProductState.APPLIED,
            terms=self.terms,
            payee_copies=(copy,),
            applied=step.position,
            deadline=in_days(step, in_force.counter_contract_days),
            judged=_judged(step, self.terms),
        )
        yield APPLIED(
            product.id,
            product.parties,
            payer=product.payer,
            payee=product.payee,
            platform=product.platform,
            contract=self.contract.number,
            currency=self.terms.currency,
            cap=self.terms.cap,
        )
        if in_force.payee_copy_suffices:
            yield from _ask_review(step, product)
        else:
            step.put(product)
            yield AWAITED(product.id, (product.payer,), payer=product.payer, until=product.deadline)


def _judged(step: Step, terms: ProductTerms) -> Judgement | None:
    judged = judge(step, terms)
    if isinstance(judged, Refusal):
        raise InvariantViolation(f"applied although {judged.status.label}")
    return judged


class CounterContract(Operation, tag="product.counter_contract"):
    """Give the payer's own copy of the business contract; the kernel compares it field by field with the payee's.

    Signed by the payer. Equal copies open the platform's review; a difference is kept on the ledger and blocks until
    the side that erred corrects it. Source: DOMAIN section 3, "Product".
    """

    product: ProductId
    document: Anchor
    contract: ContractTerms

    def amount(self) -> tuple[str, Units]:
        return self.contract.currency, self.contract.value

    def authority(self, step: Step) -> Signers | Refusal:
        product = find_product(step, self.product)
        return product if isinstance(product, Refusal) else Signers.all(product.payer)

    def check(self, step: Step) -> Refusal | None:
        product = step.get(Product, self.product)
        return check_window(step, product, ProductState.APPLIED) or check_others(step, product)

    def apply(self, step: Step) -> Iterator[Event]:
        product = step.get(Product, self.product)
        copy = ContractCopy(by=product.payer, document=self.document, terms=self.contract, at=step.position)
        yield from _compare(step, replace(product, payer_copies=(copy,)))


class CorrectContract(Operation, tag="product.correct"):
    """Correct one's own copy of the business contract: a new version, compared again with the other side's.

    Signed by the side that erred, payer or payee. Every version and every comparison stays on the ledger.
    Source: DOMAIN section 3, "Product".
    """

    product: ProductId
    document: Anchor
    contract: ContractTerms

    def amount(self) -> tuple[str, Units]:
        return self.contract.currency, self.contract.value

    def authority(self, step: Step) -> Signers | Refusal:
        product = find_product(step, self.product)
        return product if isinstance(product, Refusal) else Signers.one(product.payee, product.payer)

    def check(self, step: Step) -> Refusal | None:
        product = step.get(Product, self.product)
        refusal = check_window(step, product, ProductState.DIFFERS) or check_others(step, product)
        if refusal is not None:
            return refusal
        by_payee = _side(step, product) == product.payee
        copies = product.payee_copies if by_payee else product.payer_copies
        if len(copies) >= MAX_VERSIONS:
            return refuse(Status.TOO_MANY, product=product.id, limit=MAX_VERSIONS)
        if copies[-1].terms == self.contract:
            return refuse(Status.BAD_VALUE, field="contract", reason="nothing is corrected")
        if not by_payee:
            return None
        return check_contract(step, product.payer, product.payee, product.terms, self.contract) or check_unused(
            step, product.payer, product.payee, self.contract, product.id
        )

    def apply(self, step: Step) -> Iterator[Event]:
        product = step.get(Product, self.product)
        side = _side(step, product)
        copy = ContractCopy(by=side, document=self.document, terms=self.contract, at=step.position)
        if side == product.payee:
            product = replace(product, payee_copies=(*product.payee_copies, copy))
        else:
            product = replace(product, payer_copies=(*product.payer_copies, copy))
        yield from _compare(step, product)


def _side(step: Step, product: Product) -> str:
    """The signing side; where both sign one transaction, the one that made it."""
    return next(name for name in step.organisations if name in (product.payee, product.payer))


def _compare(step: Step, product: Product) -> Iterator[Event]:
    """Lay the latest copies beside each other and keep what was found; the review opens, or a correction is awaited."""
    comparison = Comparison(
        payee_version=len(product.payee_copies),
        payer_version=len(product.payer_copies),
        at=step.position,
        differences=differences(product.payee_copies[-1].terms, product.payer_copies[-1].terms),
    )
    product = replace(product, comparisons=(*product.comparisons, comparison))
    if comparison.differences:
        until = in_days(step, policies(step).correction_days)
        product = replace(product, state=ProductState.DIFFERS, deadline=until)
        step.put(product)
        yield DIFFERS(product.id, product.parties, fields=fields_differing(product), until=until)
        return
    yield AGREES(
        product.id,
        product.parties,
        payee_version=comparison.payee_version,
        payer_version=comparison.payer_version,
    )
    yield from _ask_review(step, product)


def _ask_review(step: Step, product: Product) -> Iterator[Event]:
    review, asked = open_review(step, "product", product.id, (product.payer, product.payee))
    step.put(replace(product, state=ProductState.UNDER_REVIEW, deadline=None, review=review.id))
    yield asked


class WithdrawProduct(Operation, tag="product.withdraw"):
    """Withdraw an application before the payer has authorised it; a review under way ends with it.

    Signed by the payee.
    """

    while_suspended = True

    product: ProductId

    def authority(self, step: Step) -> Signers | Refusal:
        product = find_product(step, self.product)
        return product if isinstance(product, Refusal) else Signers.all(product.payee)

    def check(self, step: Step) -> Refusal | None:
        return check_window(
            step,
            step.get(Product, self.product),
            ProductState.APPLIED,
            ProductState.DIFFERS,
            ProductState.UNDER_REVIEW,
            ProductState.AUTHORISATION_REQUESTED,
        )

    def apply(self, step: Step) -> Iterator[Event]:
        yield from end_product(step, step.get(Product, self.product), ProductState.WITHDRAWN, "withdrawn")
