"""`tally product show`: a product's terms, the two copies of its contract side by side, contracts, review and plans."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tallystick.cli.cards import HASH_SHOWN, structs_table, text_of
from tallystick.cli.context import NO_OPTIONS, Common, Desk, desk
from tallystick.cli.output import pairs, table
from tallystick.cli.tranche_card import until
from tallystick.kernel.core.fields import Anchor
from tallystick.kernel.plans.proposing import total_of
from tallystick.kernel.products.records import ContractTerms, Product, ProductState
from tallystick.kernel.reviews.records import Review
from tallystick.node.plan_life import plans_of
from tallystick.wire.errors import DecodeError

if TYPE_CHECKING:
    from rich.console import RenderableType

WAITS_FOR = {
    ProductState.APPLIED: "the payer's copy of the contract (product counter-contract)",
    ProductState.DIFFERS: "a correction of the copy that is wrong (product correct)",
    ProductState.UNDER_REVIEW: "the platform's review (review decide)",
    ProductState.AUTHORISATION_REQUESTED: "the payer's authorisation (product authorise)",
    ProductState.AUTHORISED: "the platform's drafts of the contracts (product contracts --hand-in)",
    ProductState.CONTRACTS: "signatures (product sign-contract)",
}


def show(
    product: Annotated[str, Parameter(metavar="PRODUCT", help="The product's id, or its beginning.")],
    /,
    *,
    common: Common = NO_OPTIONS,
) -> None:
    """Show a product: its terms, both copies of the business contract with what differs, its contracts and plans."""
    from tallystick.kernel.core import codec

    with desk(common, reading=True) as at:
        record = at.session.lookup.record(product)
        if not isinstance(record, Product):
            raise DecodeError(f"this is a {record.table}, not a product", product[:40])
        plans = plans_of(at.session.engine, at.session.state, record)
        at.output.data({"product": codec.plain(record), "plans": [codec.plain(one) for one in plans]})
        at.output.show(*product_card(at, record))


def product_card(at: Desk, product: Product) -> "Iterator[RenderableType]":
    """What people see of a product."""
    yield _header(at, product)
    yield _terms(at, product)
    yield from _copies(at, product)
    if product.review is not None:
        yield from _review(at, product.review)
    if product.contracts:
        yield _contracts(at, product)
    if product.judged is not None and product.judged.findings:
        yield structs_table(at, f"law, judged on {product.judged.on}", product.judged.findings, "")
    yield from _plans(at, product)


def _header(at: Desk, product: Product) -> "RenderableType":
    rows: list[tuple[str, RenderableType]] = [
        ("product", f"[bold]{product.id}[/]  {product.state.value.replace('_', ' ')}"),
        ("for", product.title),
        ("payer", at.name(product.payer)),
        ("payee", at.name(product.payee)),
        ("platform", at.name(product.platform)),
        ("applied", at.time_of(product.applied)),
    ]
    if product.state in WAITS_FOR:
        deadline = product.deadline
        ends = "" if deadline is None else f", until {at.time(deadline)} ({until(at, deadline)})"
        rows.append(("waits for", f"{WAITS_FOR[product.state]}{ends}"))
    if product.suspended_until is not None or product.suspension_reason is not None:
        rows.append(("suspended", f"{product.suspension_reason or '-'}, until {at.time(product.suspended_until)}"))
    for label, position in (("authorised", product.authorised), ("opened", product.opened), ("ended", product.ended)):
        if position is not None:
            rows.append((label, at.time_of(position)))
    return pairs(rows)


def _terms(at: Desk, product: Product) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    terms = product.terms
    left = terms.cap - product.committed if terms.cap > product.committed else 0
    fee = terms.fee
    least = f", at least {at.money(fee.minimum, terms.currency)} a plan" if fee.minimum else ""
    rows: list[tuple[str, RenderableType]] = [
        ("  business", terms.business.value),
        (
            "  cap",
            f"{at.money(terms.cap, terms.currency)}, of which {at.amount(left, terms.currency)} is left for plans",
        ),
        ("  payments", f"from {terms.payment_from_on} to {terms.payment_until_on}"),
        ("  released by", ", ".join(method.value for method in terms.methods)),
        ("  custodian", at.name(terms.custodian)),
        ("  refunds to", terms.refund_account),
        ("  windows", f"{terms.answer_days} days to answer evidence, {terms.objection_days} to object"),
        ("  silence", f"means {terms.on_silence.value}"),
        ("  arbitrator", at.name(terms.arbitrator)),
        ("  long stop", f"{terms.long_stop_on}; then {terms.default_split} % of what is disputed goes to the payee"),
        ("  fee", f"{fee.rate} %{least}, borne by the {fee.paid_by.value}"),
    ]
    if terms.wages is not None:
        rows.append(("  wages", f"{terms.wages.project}, special account {terms.wages.special_account}"))
    return Group(Text("\nterms", style="bold"), pairs(rows))


def _copies(at: Desk, product: Product) -> "Iterator[RenderableType]":
    """The newest copies beside each other, a sign at what differs, and what earlier comparisons found."""
    from rich.text import Text

    payees, payers = product.payee_copies, product.payer_copies
    of_payer = payers[-1].terms if payers else None
    heads = [f"payee, version {len(payees)}", f"payer, version {len(payers)}" if payers else "payer, no copy yet"]
    rows = table("", *heads, title="business contract", keep=("",))
    for field in ContractTerms.__struct_fields__:
        values = [None if terms is None else getattr(terms, field) for terms in (payees[-1].terms, of_payer)]
        differs = of_payer is not None and values[0] != values[1]
        cells = [
            Text(_shown(at, terms, field), style="red" if differs else "") for terms in (payees[-1].terms, of_payer)
        ]
        rows.add_row(f"{'≠' if differs else ' '} {field.replace('_', ' ')}", *cells)
    documents = [payees[-1].document, payers[-1].document if payers else None]
    rows.add_row("  document", *(Text(_anchor(document)) for document in documents))
    yield rows
    for one in product.comparisons:
        found = ", ".join(each.field.replace("_", " ") for each in one.differences)
        what = f"differ in {found}" if found else "agree"
        versions = f"payee's version {one.payee_version} and payer's version {one.payer_version}"
        yield Text(f"  {at.time_of(one.at)}  {versions} {what}")


def _shown(at: Desk, terms: ContractTerms | None, field: str) -> str:
    return "" if terms is None else text_of(at, getattr(terms, field), terms.currency)


def _anchor(document: Anchor | None) -> str:
    return "" if document is None else f"{document.kind}, {document.hash[:HASH_SHOWN]}..."


def _review(at: Desk, review_id: str) -> "Iterator[RenderableType]":
    review = at.session.state.find(f"review/{review_id}")
    if not isinstance(review, Review):
        return
    rows = table("review", "state", "decided by", "reason", title="review", keep=("review", "state"))
    votes = "\n".join(
        f"{at.name(vote.reviewer)}: {vote.result.value}, {at.time_of(vote.at)}" for vote in review.decisions
    )
    rows.add_row(review.id, review.state.value, votes or "-", review.reason or "-")
    yield rows


def _contracts(at: Desk, product: Product) -> "RenderableType":
    from rich.text import Text

    rows = table("contract", "document", "signed by", title="contracts", keep=("contract", "document"))
    for one in product.contracts:
        signed = [f"{at.name(each.member)}, {at.time_of(each.at)}" for each in one.signatures]
        rows.add_row(
            one.kind.value.replace("_", " and "),
            f"{one.document.hash[:HASH_SHOWN]}...\n{one.template}",
            Text("\n".join(signed) or "nobody yet"),
        )
    return rows


def _plans(at: Desk, product: Product) -> "Iterator[RenderableType]":
    from tallystick.kernel.plans.records import PlanVersion

    plans = plans_of(at.session.engine, at.session.state, product)
    if not plans:
        return
    currency = product.terms.currency
    rows = table("plan", "state", "total", "held", "released", right=("total", "held", "released"), title="plans",
                 keep=("plan", "state"))  # fmt: skip
    for plan in plans:
        version = at.session.state.find(f"plan_version/{plan.id}/{plan.version}")
        tranches: Any = version.tranches if isinstance(version, PlanVersion) else plan.draft
        sums = (total_of(tranches), plan.held, plan.released)
        rows.add_row(plan.id, plan.state.value, *(at.amount(units, currency) for units in sums))
    yield rows
