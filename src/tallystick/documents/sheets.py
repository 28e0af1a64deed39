"""What a template prints: the terms as texts in both languages, so that templates only place them.

A document must not hide what it says: control and format characters (bidirectional overrides among them) and private
code points, which the ledger allows in a name, are printed as ⟨U+202E⟩.
"""

import datetime
import unicodedata
from typing import Any

from tallystick.documents.terms import Contract, FinancingTerms, Party
from tallystick.documents.words import in_words
from tallystick.kernel.arithmetic import DayCount
from tallystick.kernel.financing.records import Settlement, Verdict
from tallystick.kernel.products.contracts import ContractBasis
from tallystick.kernel.products.records import FeePayer, Method
from tallystick.wire.amounts import Units

ROLES = {
    "payer": ("付款方", "Payer"),
    "payee": ("收款方", "Payee"),
    "platform": ("平台方", "Platform"),
    "custodian": ("资金存管方", "Custodian"),
    "arbitrator": ("争议裁决方", "Arbitrator"),
    "client": ("转让方（融资方）", "Client (assignor)"),
    "funder": ("受让方（资金方）", "Funder (assignee)"),
    "debtor": ("债务人", "Debtor"),
}
METHODS = {
    Method.DATE: ("到期日自动发放", "by date alone"),
    Method.PAYER: ("付款方确认", "confirmation by the payer"),
    Method.PLATFORM: ("平台方确认", "confirmation by the platform"),
    Method.VERIFIERS: ("指定核验方按约定数量确认", "confirmation by the agreed number of named verifiers"),
    Method.DOCUMENTS: ("提交约定种类的材料", "submission of materials of the agreed kinds"),
    Method.DATA_SOURCE: ("数据源的签名声明", "a data source's signed statement"),
}
BUSINESSES = {
    "wages": ("工资", "wages"),
    "freight": ("运费", "freight"),
    "construction": ("工程款", "construction"),
    "services": ("服务费", "services"),
    "other": ("其他", "other"),
}
DAY_COUNTS = {
    DayCount.ACT_360: ("实际天数/360", "ACT/360", "实际日历天数", "actual calendar days"),
    DayCount.ACT_365F: ("实际天数/365（固定）", "ACT/365 (fixed)", "实际日历天数", "actual calendar days"),
    DayCount.THIRTY_E_360: ("30E/360", "30E/360", "每月按三十日", "thirty days a month"),
}
IDENTIFIERS = {"uscc": ("统一社会信用代码", "USCC"), "lei": ("法人机构识别编码", "LEI")}
UNPRINTED = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Cn"})
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def sheet_of(contract: Contract) -> dict[str, Any]:
    """All that a template prints of a contract: texts, flags and lists of them."""
    terms, shown = contract.terms, contract.shown
    made: dict[str, Any] = {
        "number": contract.number,
        "template": terms.template,
        "chain": terms.chain,
        "sandbox": shown.sandbox,
        "terms_hash": contract.terms_hash,
        "drawn": _date(shown.drawn_on),
        "parties": _parties(shown.parties),
    }
    if isinstance(terms, ContractBasis):
        made |= _of_product(terms, shown.minor_digits) | {"copies": len(shown.copies)}
    else:
        made |= _of_financing(terms, shown.minor_digits)
    printed: dict[str, Any] = printable(made)
    return printed


def printable(value: Any, missing: str = "") -> Any:
    """`value` with every text in it free of characters that can't be seen, or that are `missing` from the fonts."""
    match value:
        case str():
            return "".join(_shown(one, missing) for one in value)
        case dict():
            return {name: printable(one, missing) for name, one in value.items()}
        case list() | tuple():
            return [printable(one, missing) for one in value]
        case _:
            return value


def _shown(character: str, missing: str) -> str:
    is_hidden = unicodedata.category(character) in UNPRINTED or character in missing
    return f"⟨U+{ord(character):04X}⟩" if is_hidden else character


def _of_product(terms: ContractBasis, minor_digits: int) -> dict[str, Any]:
    agreed, business = terms.terms, terms.contract

    def money(units: Units) -> dict[str, str]:
        return _money(units, agreed.currency, minor_digits)

    wages = None
    if agreed.wages is not None:
        wages = {
            "project": agreed.wages.project,
            "account": agreed.wages.special_account,
            "agreement": agreed.wages.tri_party_agreement.hash,
        }
    return {
        "operation": "product.sign_contract",
        "business": {
            "kind": _both(BUSINESSES[agreed.business.value]),
            "number": business.number,
            "title": business.title,
            "value": money(business.value),  # in the product's currency: products.terms.check_contract
            "signed": _date(business.signed_on),
            "starts": _date(business.starts_on),
            "ends": _date(business.ends_on),
            "payment_days": business.payment_days,
        },
        "cap": money(agreed.cap),
        "pay_from": _date(agreed.payment_from_on),
        "pay_until": _date(agreed.payment_until_on),
        "refund_account": agreed.refund_account,
        "methods": {
            "zh": "；".join(METHODS[method][0] for method in agreed.methods),
            "en": "; ".join(METHODS[method][1] for method in agreed.methods),
        },
        "objection_days": agreed.objection_days,
        "answer_days": agreed.answer_days,
        "silence": agreed.on_silence.value,
        "has_fee": bool(agreed.fee.rate or agreed.fee.minimum),
        "fee_rate": str(agreed.fee.rate),
        "fee_minimum": money(agreed.fee.minimum),
        "payer_bears_fee": agreed.fee.paid_by is FeePayer.PAYER,
        "long_stop": _date(agreed.long_stop_on),
        "split": agreed.default_split,
        "rest": 100 - agreed.default_split,
        "wages": wages,
    }


def _of_financing(terms: FinancingTerms, minor_digits: int) -> dict[str, Any]:
    def money(units: Units) -> dict[str, str]:
        return _money(units, terms.currency, minor_digits)

    quoted = terms.quoted
    zh, en, zh_days, en_days = DAY_COUNTS[quoted.day_count]
    return {
        "operation": "financing.sign_contract",
        "has_arbitrator": terms.arbitrator is not None,
        "receivable": terms.receivable,
        "receivable_face": money(terms.receivable_face),
        "issued": _date(terms.issue_on),
        "due": _date(terms.due_on),
        "units": f"{terms.interval.first:,}..{terms.interval.last:,}",
        "value_on": _date(terms.value_on),
        "face": money(terms.price.face),
        "discount": money(terms.price.discount),
        "fee": money(terms.price.fee),
        "net": money(terms.price.net),
        "days": terms.price.days,
        "until": _date(terms.discount_until_on),
        "quote": terms.quote,
        "rate": str(quoted.rate),
        "fee_rate": str(quoted.fee_rate),
        "minimum_fee": money(quoted.minimum_fee),
        "day_count": {"zh": zh, "en": en, "zh_days": zh_days, "en_days": en_days, "year": quoted.day_count.year_days},
        "with_recourse": quoted.with_recourse,
        "bank": terms.settlement is Settlement.BANK,
        "hand_on": terms.without_ruling is Verdict.HAND_ON,
    }


def _parties(parties: tuple[Party, ...]) -> list[dict[str, Any]]:
    """The parties as rows; the first two sign, as 甲方 and 乙方."""
    rows = []
    for number, party in enumerate(parties):
        zh, en = ROLES[party.role]
        kind_zh, kind_en = IDENTIFIERS.get(party.identifier_kind, (party.identifier_kind, party.identifier_kind))
        rows.append(
            {
                "role": party.role,
                "zh": zh,
                "en": en,
                "letter_zh": ("甲方", "乙方")[number] if number < 2 else "",
                "letter_en": ("Party A", "Party B")[number] if number < 2 else "",
                "signs": number < 2,
                "name": party.legal_name,
                "member": party.member,
                "identifier": party.identifier,
                "identifier_zh": kind_zh,
                "identifier_en": kind_en,
            }
        )
    return rows


def _both(texts: tuple[str, ...]) -> dict[str, str]:
    return {"zh": texts[0], "en": texts[1]}


def _money(units: Units, currency: str, minor_digits: int) -> dict[str, str]:
    whole, part = divmod(int(units), 10**minor_digits)
    figures = f"{whole:,}.{part:0{minor_digits}d}" if minor_digits else f"{whole:,}"
    return {"figures": f"{currency} {figures}", "words": in_words(units, currency, minor_digits)}


def _date(day: datetime.date) -> dict[str, str]:
    return {"zh": f"{day.year}年{day.month}月{day.day}日", "en": f"{day.day} {MONTHS[day.month - 1]} {day.year}"}
