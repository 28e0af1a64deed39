"""Contracts to render, without a ledger: made-up parties, terms that use every clause."""

import datetime
import io
from typing import Any

from pypdf import PdfReader

from tallystick.documents.terms import (
    FINANCING_FORMAT,
    FINANCING_TEMPLATE,
    TEMPLATES,
    Contract,
    FinancingTerms,
    Party,
    Shown,
)
from tallystick.kernel.arithmetic import DayCount, price_of
from tallystick.kernel.core.fields import Anchor, Interval
from tallystick.kernel.financing.records import QuoteTerms, Settlement, Verdict
from tallystick.kernel.products.contracts import BASIS_FORMAT, ContractBasis
from tallystick.kernel.products.records import (
    Business,
    ContractKind,
    ContractTerms,
    FeePayer,
    FeeTerms,
    Method,
    ProductTerms,
    WageTerms,
)
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import Instant

DAY = datetime.date
NAMES = {
    "payer": "示范城建集团有限公司",
    "payee": "Example Steelworks Limited",
    "platform": "Sample Platform Company Limited",
    "custodian": "示例银行股份有限公司",
    "arbitrator": "Sample Arbitration Commission",
    "client": "Example Steelworks Limited",
    "funder": "示例商业保理有限公司",
    "debtor": "示范城建集团有限公司",
}
LETTERS = {
    "payer": "a", "payee": "b", "platform": "c", "custodian": "d", "arbitrator": "e", "client": "b", "funder": "f",
    "debtor": "a",
}  # fmt: skip
ORDER = {
    ContractKind.PAYER_PLATFORM: ("payer", "platform", "payee", "custodian", "arbitrator"),
    ContractKind.PAYEE_PLATFORM: ("payee", "platform", "payer", "custodian", "arbitrator"),
    ContractKind.PAYER_PAYEE: ("payer", "payee", "platform", "custodian", "arbitrator"),
}
WAGES = WageTerms(
    project="Bridge over the river",
    special_account="acc_" + "7" * 16,
    tri_party_agreement=Anchor(hash="c" * 64, kind="tri_party_agreement"),
)


def member_id(role: str) -> str:
    """The id of whoever plays a part here."""
    return "mbr_" + LETTERS[role] * 16


def shown(roles: tuple[str, ...], names: dict[str, str], **fields: Any) -> Shown:
    """What a document shows besides its terms."""
    parties = tuple(
        Party(
            role=role,
            member=member_id(role),
            legal_name=names.get(role, NAMES[role]),
            identifier="91310000MA1FL1XY2K",
            identifier_kind="uscc",
        )
        for role in roles
    )
    return Shown(
        **{
            "sandbox": True,
            "drawn_on": DAY(2026, 11, 22),
            "minor_digits": 2,
            "parties": parties,
            "copies": ("a" * 64, "b" * 64),
            **fields,
        }
    )


def product_contract(
    kind: ContractKind = ContractKind.PAYER_PLATFORM,
    names: dict[str, str] | None = None,
    title: str = "钢结构供货与安装合同 Supply and erection of structural steel",
    seen: dict[str, Any] | None = None,
    **terms: Any,
) -> Contract:
    """One of the three contracts; `terms` are fields of the product's terms to say otherwise, `seen` of `Shown`."""
    said: dict[str, Any] = {
        "business": Business.CONSTRUCTION,
        "currency": "CNY",
        "cap": Units(123_456_789_012),
        "custodian": member_id("custodian"),
        "refund_account": "acc_" + "8" * 16,
        "payment_from_on": DAY(2026, 12, 1),
        "payment_until_on": DAY(2027, 11, 30),
        "methods": tuple(Method),
        "objection_days": 3,
        "answer_days": 7,
        "arbitrator": member_id("arbitrator"),
        "fee": FeeTerms(rate=Rate(500_000), minimum=Units(10_000), paid_by=FeePayer.PAYEE),
        "long_stop_on": DAY(2028, 5, 31),
        "default_split": 60,
        **terms,
    }
    basis = ContractBasis(
        format=BASIS_FORMAT,
        chain="demo-1",
        product="prd_" + "9" * 16,
        kind=kind,
        template=TEMPLATES[kind],
        payer=member_id("payer"),
        payee=member_id("payee"),
        platform=member_id("platform"),
        terms=ProductTerms(**said),
        contract=ContractTerms(
            number="HT-2026-0042",
            title=title,
            payer=member_id("payer"),
            payee=member_id("payee"),
            currency=said["currency"],
            value=Units(200_000_000_000),
            signed_on=DAY(2026, 10, 1),
            starts_on=DAY(2026, 11, 1),
            ends_on=DAY(2027, 10, 31),
            payment_days=60,
        ),
    )
    return Contract(basis, shown(ORDER[kind], names or {}, **(seen or {})))


def financing_contract(
    settlement: Settlement = Settlement.BANK, *, with_recourse: bool = True, names: dict[str, str] | None = None
) -> Contract:
    """The contract of a financing of 500,000.00 at 5.5 %; through a bank it names an arbitrator."""
    arbitrator = member_id("arbitrator") if settlement is Settlement.BANK else None
    quoted = QuoteTerms(
        rate=Rate(5_500_000),
        day_count=DayCount.ACT_360,
        fee_rate=Rate(100_000),
        minimum_fee=Units(20_000),
        valid_until=Instant(1_795_000_000_000),
        with_recourse=with_recourse,
    )
    value_on, until_on = DAY(2026, 11, 22), DAY(2027, 3, 1)
    price = price_of(Units(50_000_000), quoted, value_on, until_on)
    assert price is not None
    terms = FinancingTerms(
        format=FINANCING_FORMAT,
        chain="demo-1",
        financing="fin_" + "3" * 16,
        template=FINANCING_TEMPLATE,
        client=member_id("client"),
        funder=member_id("funder"),
        debtor=member_id("debtor"),
        receivable="rcv_" + "4" * 16,
        issue_on=DAY(2026, 11, 1),
        due_on=DAY(2027, 2, 28),
        receivable_face=Units(100_000_000),
        interval=Interval(Units(1), Units(50_000_000)),
        currency="CNY",
        settlement=settlement,
        discount_until_on=until_on,
        quote="qte_" + "5" * 16,
        quoted=quoted,
        value_on=value_on,
        price=price,
        without_ruling=Verdict.UNLOCK,
        arbitrator=arbitrator,
    )
    roles = ("client", "funder", "debtor", *(("arbitrator",) if arbitrator else ()))
    return Contract(terms, shown(roles, names or {}, sandbox=False, copies=()))


def read(pdf: bytes) -> PdfReader:
    """A PDF, by a reader that is not the renderer."""
    return PdfReader(io.BytesIO(pdf))


def text_of(pdf: bytes) -> str:
    """The text of all pages as a reader copies it, without white space and hyphens, which layout may put anywhere."""
    pages = "".join(page.extract_text() for page in read(pdf).pages)
    return "".join(pages.replace("\u200b", "").replace("\u00ad", "").split())


def squeezed(text: str) -> str:
    """Text without white space, to look for in `text_of`."""
    return "".join(text.split())
