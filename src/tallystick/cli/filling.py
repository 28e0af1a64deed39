"""What need not be typed because the ledger states it already. Amounts are shown before they are signed.

A currency follows from the record that the operation names. An amount that only restates a record's own is taken from
it, and what a financing pays out today is computed. The one parcel that the acting organisation holds is the one meant.
Of debtor and creditor, the missing one acts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tallystick.cli.cards import currency_of
from tallystick.cli.context import Desk
from tallystick.cli.restating import is_restated
from tallystick.cli.vocabulary import Field, concept_of, shown_name
from tallystick.kernel.core.operation import Operation

if TYPE_CHECKING:
    from tallystick.cli.values import Defaults, Surroundings
    from tallystick.kernel.core.record import Record
    from tallystick.wire.amounts import Units

RESTATED = frozenset(
    {
        "receivable.confirm", "transfer.accept", "financing.quote", "financing.reveal", "financing.award",
        "financing.sign_contract",
    }
)  # fmt: skip
"""Operations whose amount is the whole amount of the record that they are about."""

SETTLE = "financing.settle"
WITH_CURRENCY = frozenset(
    {
        "receivable", "transfer", "financing", "account", "deposit", "product", "plan", "evidence", "dispute", "refund",
    }
)  # fmt: skip
"""Records whose currency an operation's amounts are in, by the field that names one."""


def may_be_filled(operation: type[Operation], name: str) -> bool:
    """Whether a field of `operation` may be left out because the ledger states it."""
    fields = operation.__struct_fields__
    restated = operation.__struct_config__.tag in RESTATED and name in ("face", "units")
    from_record = name == "currency" and bool(WITH_CURRENCY & {*fields})
    one_acts = name in ("debtor", "creditor") and {"debtor", "creditor"} <= {*fields}
    computed = operation.__struct_config__.tag == SETTLE and name == "net"
    of_parcel = name == "parcel" and "receivable" in fields
    return restated or from_record or one_acts or computed or of_parcel or is_restated(operation, name)


@dataclass(slots=True)
class Filled:
    """The currency that amounts are in, fields as plain JSON, and the records that the typed ones name."""

    currency: str = ""
    plain: dict[str, Any] = field(default_factory=dict)
    records: "dict[str, Record]" = field(default_factory=dict)


def fill_in(
    at: Desk,
    operation: type[Operation],
    options: list[Field],
    typed: dict[str, Any],
    actor: str,
    record_id: Callable[[str], str],
) -> Filled:
    """What the ledger says about the fields that were not typed."""
    names = {option.name: option for option in options}
    records = _named_records(at, names, typed, record_id)
    filled = Filled(records=records)
    currency = str(typed.get("currency", "")).upper()
    if currency:
        typed["currency"] = currency
    for record in records.values():
        currency = currency or currency_of(at, record)
    filled.currency = currency
    if "currency" in names and "currency" not in typed and currency:
        filled.plain["currency"] = currency
    about = records.get(concept_of(operation)[0])
    if about is not None and operation.__struct_config__.tag in RESTATED:
        _restate(at, about, names, typed, filled)
    if "parcel" in names and "parcel" not in typed and "receivable" in records:
        _only_parcel(at, records["receivable"], actor, filled)
    if operation.__struct_config__.tag == SETTLE and about is not None and "net" not in typed:
        _net_today(at, about, filled)
    if {"debtor", "creditor"} <= names.keys() and len({"debtor", "creditor"} & typed.keys()) == 1:
        filled.plain["creditor" if "debtor" in typed else "debtor"] = actor
    return filled


def _named_records(
    at: Desk, names: dict[str, Field], typed: dict[str, Any], record_id: Callable[[str], str]
) -> "dict[str, Record]":
    """The records, other than members, that the typed ids name, by field; what is not found is left to the ledger."""
    from tallystick.node.lookup import ID_TABLES
    from tallystick.wire.ids import is_record_id

    found: dict[str, Record] = {}
    for name in names:
        text = typed.get(name)
        if not isinstance(text, str) or text.partition("_")[0] not in ID_TABLES or text.startswith("mbr_"):
            continue
        full = record_id(text)
        if is_record_id(full):
            record = at.session.state.find(f"{ID_TABLES[full[:3]]}/{full}")
            if record is not None:
                found[name] = record
    return found


def _restate(at: Desk, about: "Record", names: dict[str, Field], typed: dict[str, Any], filled: Filled) -> None:
    amount = whole_amount(about)
    wanted = next((name for name in ("face", "units") if name in names and name not in typed), None)
    if amount is None or wanted is None:
        return
    filled.plain[wanted] = str(amount)
    at.output.note(f"{shown_name(wanted)}: {at.money(amount, filled.currency)}, as {about.id} states it")


def _net_today(at: Desk, about: "Record", filled: Filled) -> None:
    """What is to be paid on the ledger today. A bank payment's amount is typed from its receipt, with its date."""
    from tallystick.kernel.financing.lifecycle import awarded_terms, price_on
    from tallystick.kernel.financing.records import Financing, FinancingState, Settlement

    if not isinstance(about, Financing) or about.settlement is not Settlement.LEDGER:
        return
    if about.state is not FinancingState.REGISTERED and about.state is not FinancingState.APPROVED:
        return
    price = price_on(at.session.reading_step(), about, awarded_terms(about))
    if price is not None:
        filled.plain["net"] = str(price.net)
        at.output.note(f"net: {at.money(price.net, filled.currency)}, as the ledger computes it for today")


def whole_amount(record: "Record") -> "Units | None":
    """The amount that a record is about."""
    from tallystick.kernel.financing.records import Financing
    from tallystick.kernel.receivables.records import Receivable
    from tallystick.kernel.transfers.records import Transfer

    match record:
        case Receivable() | Financing():
            return record.face
        case Transfer():
            return record.interval.length
        case _:
            return None


def _only_parcel(at: Desk, record: "Record", actor: str, filled: Filled) -> None:
    from tallystick.kernel.core import codec
    from tallystick.kernel.receivables.records import Receivable
    from tallystick.node.holdings import live_parcels

    if not isinstance(record, Receivable):
        return
    own = [parcel for parcel in live_parcels(at.session.state, record) if parcel.holder == actor]
    if len(own) == 1:
        interval = own[0].interval
        filled.plain["parcel"] = codec.plain(interval)
        at.output.note(f"parcel: {interval.first}..{interval.last}, the only one that {at.name(actor)} holds")


def nested_defaults(
    at: Desk,
    operation: type[Operation],
    records: "dict[str, Record]",
    typed: dict[str, Any],
    actor: str,
    words: "Surroundings",
) -> "Defaults":
    """What a product's contract and terms need not say: the parties, the currency, the account of refunds."""
    from tallystick.kernel.products.records import Product

    tag = operation.__struct_config__.tag
    product = records.get("product")
    if tag == "product.apply" and isinstance(typed.get("payer"), str):
        payer = words.member_id(typed["payer"])
        contract = {"payer": payer, "payee": actor}
        return {
            "--contract": lambda _: contract,
            "--terms": lambda given: _refund_account(at, payer, given, words),
        }
    if tag in ("product.counter_contract", "product.correct") and isinstance(product, Product):
        parties = {"payer": product.payer, "payee": product.payee, "currency": product.terms.currency}
        return {"--contract": lambda _: parties}
    return {}


def _refund_account(at: Desk, payer: str, given: dict[str, Any], words: "Surroundings") -> dict[str, Any]:
    """The payer's account with the custodian that the terms name; of wages the project's special account."""
    from tallystick.kernel.accounts.book import open_account

    custodian, currency, wages = given.get("custodian"), given.get("currency"), given.get("wages")
    if isinstance(wages, dict) and "refund_account" not in given and "special_account" in wages:
        return {"refund_account": wages["special_account"]}
    if "refund_account" in given or not isinstance(custodian, str) or not isinstance(currency, str):
        return {}
    account = open_account(at.session.reading_step(), payer, currency, words.member_id(custodian))
    if account is None:
        return {}
    at.output.note(f"refund account: {account.id}, of {at.name(payer)}")
    return {"refund_account": account.id}
