"""The options of an operation's command, from the fields of its class: names, kinds, and what a clerk should know."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import msgspec
from msgspec import inspect

from tallystick.kernel.core.fields import Anchor, Interval
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.plans.conditions import AllOf
from tallystick.wire.amounts import Rate, Units
from tallystick.wire.instants import Instant

CONCEPTS = {
    "member": "Members: joining, entitlements, suspension, leaving (商户进件).",
    "review": "Reviews: decide what waits for review, add later findings (审核).",
    "key": "Keys: make and list them here, register and revoke them on the ledger.",
    "signing_policy": "Who must sign what for your own organisation: maker, checker, admin (制单, 复核, 授权).",
    "limit": "Credit limits of debtors (授信额度).",
    "receivable": "Receivables: request, confirm, withdraw, void, redeem (应收账款: 开单, 签收, 作废, 兑付).",
    "parcel": "Freezes and judgments on parts of a receivable (冻结, 轮候冻结, 扣划).",
    "invoice": "Invoices behind receivables: flag and unflag (红冲).",
    "redemption": "Money set aside for one receivable.",
    "transfer": "Transfers: hand a receivable, or a part of it, on (转单, 流转).",
    "financing": "Financing: ask, quote, award, sign, register, settle (融资, 贴现, 放款).",
    "recourse": "Recourse to the prior party when the debtor does not pay (追索).",
    "account": "Accounts: open, freeze, close (资源账户).",
    "deposit": "Deposits: announce, book, assign, return, reverse (存款, 挂账, 退票, 冲正).",
    "funds": "Money between open accounts.",
    "product": "Products: apply, authorise, three contracts, suspend, close (产品开通).",
    "plan": "Release plans: propose, check, confirm, fund, amend, cancel; look at them (存放资源计划).",
    "evidence": "What a release needs: submit, accept, send back (所需材料); with an ID, write its evidence bundle.",
    "tranche": "Tranches of a plan: release, object in the window (代付).",
    "certificate": "Release certificates: what was released, and on which conditions.",
    "refund": "Refunds of money that is not released yet: request, consent, decline.",
    "dispute": "Disputes about an amount of a tranche: open, settle, rule.",
    "wage": "Wage tranches: lines of workers, the bank's result for each, corrections (代发).",
    "document": "Documents, anchored by salted hash.",
    "law": "Law packs: dated rules that the governors adopt.",
    "calendar": "Calendars of business days that the governors adopt.",
    "reference_rate": "Published reference rates that the governors adopt (LPR, base rate).",
    "debtor": "Flags on debtors: bond default, persistent overdue.",
    "policy": "The consortium's policies: deadlines, quorums, limits.",
    "currency": "Currencies that the chain knows.",
    "protocol": "Versions of the rules.",
    "validator": "Validators of a consortium's chain.",
    "chain": "The chain itself: create it, close it.",
    "clock": "The clock of a sandbox chain.",
}
"""One line a concept, for `tally --help`. A concept that is not here is shown by its name."""

MOST_TYPED = 12
"""Fields of a structure that somebody may want to type on one line; longer ones come from a file."""

_ID_PATTERN = re.compile(r"\\A([a-z]{3})_")
_KINDS = {
    "mbr": ("ORG", "an organisation: legal name, id, or the beginning of its id"),
    "rev": ("REVIEW", "a review's id, or its beginning"),
    "rcv": ("RECEIVABLE", "a receivable's id, or its beginning"),
    "trf": ("TRANSFER", "a transfer's id, or its beginning"),
    "fin": ("FINANCING", "a financing's id, or its beginning"),
    "qte": ("QUOTE", "a quote's id"),
    "rec": ("RECOURSE", "a recourse claim's id, or its beginning"),
    "frz": ("FREEZE", "a freeze's id"),
    "acc": ("ACCOUNT", "an account's id, or its beginning"),
    "dep": ("DEPOSIT", "a deposit's id, or its beginning"),
    "rdm": ("REDEMPTION", "a redemption's id, or its beginning"),
    "doc": ("DOCUMENT", "a document's id, or its beginning"),
    "prd": ("PRODUCT", "a product's id, or its beginning"),
    "pln": ("PLAN", "a plan's id, or its beginning"),
    "evd": ("EVIDENCE", "the id of a round of evidence, or its beginning"),
    "crt": ("CERTIFICATE", "a release certificate's id, or its beginning"),
    "dsp": ("DISPUTE", "a dispute's id, or its beginning"),
    "rfd": ("REFUND", "a refund's id, or its beginning"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an operation as an option. `about`: it names the record in question and needs no option's name."""

    name: str
    option: str
    kind: inspect.Type
    metavar: str
    help: str
    required: bool
    default: object
    is_flag: bool
    is_list: bool
    about: bool


def concept_of(operation: type[Operation]) -> tuple[str, str]:
    """`receivable.request` as its concept and verb."""
    concept, _, verb = str(operation.__struct_config__.tag).partition(".")
    return concept, verb


def shown_name(field: str) -> str:
    """A field's name for people: the ledger counts minor units (`units`, `fund_units`), people write amounts."""
    return re.sub(r"(?<![a-z])units$", "amount", field)


def option_name(field: str) -> str:
    """The option of a field: `--due-on`."""
    return "--" + shown_name(field).replace("_", "-")


def fields_of(operation: type[Operation]) -> Iterator[Field]:
    """The options of an operation, in the order of its class."""
    concept, _ = concept_of(operation)
    info = inspect.type_info(operation)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{operation.__name__} is no struct")
    for number, field in enumerate(info.fields):
        metavar, text = _described(field.type, field.name)
        bare, optional = _bare(field.type)
        default = None if field.default is msgspec.NODEFAULT else field.default
        yield Field(
            name=field.name,
            option=option_name(field.name),
            kind=field.type,
            metavar=metavar,
            help=_with_default(text, default, optional=optional),
            required=field.required,
            default=default,
            is_flag=isinstance(bare, inspect.BoolType),
            is_list=isinstance(bare, inspect.VarTupleType | inspect.DictType),
            about=field.required and (field.name == concept or (number == 0 and _names_a_record(bare))),
        )


def _names_a_record(kind: inspect.Type) -> bool:
    """Whether a field is the id of a record other than a member."""
    found = _ID_PATTERN.match(kind.pattern or "") if isinstance(kind, inspect.StrType) else None
    return found is not None and found[1] not in ("mbr", "frz", "qte")


def _with_default(text: str, default: object, *, optional: bool) -> str:
    if optional or default is None or default == () or isinstance(default, bool):
        return text
    shown = default.value if isinstance(default, Enum) else default
    return f"{text} [default: {shown}]"


def _bare(kind: inspect.Type) -> tuple[inspect.Type, bool]:
    """A type without its annotations, and whether it may be left out as None."""
    match kind:
        case inspect.Metadata(type=inner):
            return _bare(inner)
        case inspect.UnionType(types=types):
            others = [one for one in types if not isinstance(one, inspect.NoneType)]
            return (_bare(others[0])[0], len(others) < len(types)) if len(others) == 1 else (kind, False)
        case _:
            return kind, False


def _described(kind: inspect.Type, name: str) -> tuple[str, str]:
    """What stands for the value in help, and what to write."""
    bare, _ = _bare(kind)
    said = _description(kind)
    match bare:
        case inspect.VarTupleType(item_type=item):
            metavar, text = _described(item, name)
            return metavar, f"{text}; repeat for more"
        case inspect.DictType():
            return "NAME=VALUE", "one change; repeat for more"
        case inspect.EnumType(cls=cls):
            values = [str(one.value) for one in cls]
            return "|".join(values) if len(values) <= 4 else "WORD", f"one of {', '.join(values)}"
        case inspect.CustomType(cls=cls) if cls is Units:
            return "AMOUNT", said or "an amount like 1234.50 in the currency's units"
        case inspect.CustomType(cls=cls) if cls is Rate:
            return "PERCENT", said or "percent per year, like 5.5"
        case inspect.CustomType(cls=cls) if cls is Instant:
            return "WHEN", said or "2026-11-22T08:00:00Z, '2026-11-22 17:00' in the business zone, or +3d, +2h, +30m"
        case inspect.DateType():
            return "DATE", said or "a day of the business zone, like 2026-11-22, or +60d from today"
        case inspect.BoolType():
            return "", said or name.replace("_", " ")
        case inspect.IntType():
            return "NUMBER", said or "a whole number"
        case inspect.StructType(cls=cls) if cls is Anchor:
            return "FILE", said or "a file, or KIND:FILE; only its salted hash goes to the ledger"
        case inspect.StructType(cls=cls) if cls is Interval:
            return "FIRST..LAST", said or "units of the face like 1..500450, as `tally show` names parcels"
        case inspect.StructType(fields=fields):
            names = [(shown_name(field.encode_name), field.required) for field in fields]
            parts = [f"{shown}=" if required else f"[{shown}=]" for shown, required in names]
            if len(names) > MOST_TYPED:
                return "@FILE", f"a TOML or JSON file with {', '.join(parts)}"
            return "KEY=VALUE,...", f"{','.join(parts)}; or JSON, or @FILE"
        case inspect.UnionType(types=[inspect.StructType(cls=cls), *_]) if cls is AllOf:
            return "CONDITION", said or "like any(payer, all(date 2026-12-01, documents(delivery_note)))"
        case inspect.StrType():
            return _text_described(bare, name, said)
        case _:
            return "VALUE", said


def _text_described(kind: inspect.StrType, name: str, said: str) -> tuple[str, str]:
    pattern = kind.pattern or ""
    found = _ID_PATTERN.match(pattern)
    if found is not None and found[1] in _KINDS:
        metavar, text = _KINDS[found[1]]
        return metavar, said or text
    if "{43}=" in pattern:
        return "KEY", said or "a public key in base64, FOLDER/NAME of a key kept here, or a key file"
    if pattern == r"\A[A-Z]{3}\Z":
        return "CURRENCY", said or "ISO 4217 code like CNY"
    if pattern.startswith(r"\A[0-9a-f]{64}"):
        return "HASH", said or "64 hexadecimal digits"
    if pattern.startswith(r"\A[a-z][a-z0-9_.-]"):
        return "CODE", said or f"{name.replace('_', ' ')}: a short code in lower case, like late_delivery"
    if pattern.startswith(r"\A[0-9A-HJ"):
        return "CODE", said or "the remittance code that `tally deposit announce` gave"
    if pattern.startswith(r"\A[a-z]{3}_"):
        return "ID", said or "a record's id, or its beginning"
    return "TEXT", said or name.replace("_", " ")


def _description(kind: inspect.Type) -> str:
    """A description that the field's own annotation gives."""
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema=schema):
            return str((schema or {}).get("description", "")) or _description(inner)
        case inspect.UnionType(types=types):
            return next((text for one in types if (text := _description(one))), "")
        case _:
            return ""
