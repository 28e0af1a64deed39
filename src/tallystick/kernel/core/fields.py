"""The kinds of fields that records and operations are made of, with the form each must have."""

from typing import Annotated, Any, dataclass_transform

import msgspec
from msgspec import Meta

from tallystick.wire.amounts import Units

_ID = "_[0-9a-hjkmnp-tv-z]{16}\\Z"

MemberId = Annotated[str, Meta(pattern=r"\Ambr" + _ID)]
ReviewId = Annotated[str, Meta(pattern=r"\Arev" + _ID)]
ReceivableId = Annotated[str, Meta(pattern=r"\Arcv" + _ID)]
TransferId = Annotated[str, Meta(pattern=r"\Atrf" + _ID)]
FinancingId = Annotated[str, Meta(pattern=r"\Afin" + _ID)]
QuoteId = Annotated[str, Meta(pattern=r"\Aqte" + _ID)]
RecourseId = Annotated[str, Meta(pattern=r"\Arec" + _ID)]
FreezeId = Annotated[str, Meta(pattern=r"\Afrz" + _ID)]
AccountId = Annotated[str, Meta(pattern=r"\Aacc" + _ID)]
DepositId = Annotated[str, Meta(pattern=r"\Adep" + _ID)]
RedemptionId = Annotated[str, Meta(pattern=r"\Ardm" + _ID)]
DocumentId = Annotated[str, Meta(pattern=r"\Adoc" + _ID)]
RecoveryId = Annotated[str, Meta(pattern=r"\Akyr" + _ID)]
ProductId = Annotated[str, Meta(pattern=r"\Aprd" + _ID)]
PlanId = Annotated[str, Meta(pattern=r"\Apln" + _ID)]
EvidenceId = Annotated[str, Meta(pattern=r"\Aevd" + _ID)]
CertificateId = Annotated[str, Meta(pattern=r"\Acrt" + _ID)]
DisputeId = Annotated[str, Meta(pattern=r"\Adsp" + _ID)]
RefundId = Annotated[str, Meta(pattern=r"\Arfd" + _ID)]
AnyId = Annotated[str, Meta(pattern=r"\A[a-z]{3}" + _ID)]

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Code = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_.-]{0,63}\Z")]  # reason codes, kinds, patterns' stems
Note = Annotated[str, Meta(min_length=1, max_length=500)]
Currency = Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")]
Hash = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]  # SHA-256, lower-case hexadecimal
Key = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9+/]{43}=\Z")]  # 32 bytes, base64; soundness is checked where introduced
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Days = Annotated[int, Meta(ge=0, le=36_600)]
ChainId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,49}\Z")]
TransactionId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z")]  # the client's choice


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class _Immutable(msgspec.StructMeta):
    """Makes every struct of the kernel frozen, keyword-only and strict, without each saying so."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        strict = {"frozen": True, "kw_only": True, "omit_defaults": True, "forbid_unknown_fields": True}
        return super().__new__(cls, name, bases, namespace, **{**strict, **options})


class Struct(msgspec.Struct, metaclass=_Immutable):
    """A value inside a record or an operation. A field at its default is left out of the bytes.

    msgspec knows a default by its identity, so what a transaction can hold has only defaults of which there is one
    object: None, a truth value, an enum's member, a small integer, an empty text or tuple. Any other default would
    have a second canonical form, written out.
    """


class Anchor(Struct):
    """Something kept off the ledger: salted SHA-256 of its bytes, kind, size in bytes, media type where not PDF."""

    hash: Hash
    kind: Code
    media_type: Annotated[str, Meta(min_length=3, max_length=100)] | None = None
    size: Count = 0


class Position(Struct, array_like=True, order=True, kw_only=False):
    """A place in the ledger's order: block height and the transaction's index in it."""

    height: Count
    index: Count


class Interval(Struct, array_like=True, kw_only=False):
    """Minor units `first`..`last` of a receivable's face, both inclusive, counted from 1."""

    first: Units
    last: Units

    @property
    def length(self) -> Units:
        """How many minor units it spans."""
        return Units(int(self.last) - int(self.first) + 1)

    def overlaps(self, other: "Interval") -> bool:
        """Whether any unit is in both."""
        return self.first <= other.last and other.first <= self.last

    def contains(self, other: "Interval") -> bool:
        """Whether every unit of `other` is in this one."""
        return self.first <= other.first and other.last <= self.last
