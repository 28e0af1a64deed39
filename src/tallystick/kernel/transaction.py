"""A transaction as the kernel reads it: the body's typed fields over the canonical bytes that were signed.

`read` checks form and signatures and is what a worker process runs ahead of execution; `read_checked` only decodes
bytes that `read` has passed. Source: DESIGN section 4; docs/spec/transaction.md.
"""

import hashlib
import re
import types
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tallystick.kernel.core import codec
from tallystick.kernel.core.fields import Count, Hash, MemberId, Struct, TransactionId
from tallystick.kernel.core.operation import Operation
from tallystick.kernel.core.refusal import Refusal, refuse
from tallystick.kernel.operations import OPERATIONS
from tallystick.wire import canonical, envelope
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant
from tallystick.wire.keys import KEY_BYTES, SIGNATURE_BYTES, from_base64
from tallystick.wire.status import Status


class Seen(Struct):
    """The last block that the signer knew: its height and header hash. It countersigns the history up to there."""

    height: Count
    block: Hash


class _Body(Struct):
    format: int
    chain: Annotated[str, Meta(min_length=1, max_length=50)]
    actor: MemberId
    id: TransactionId
    not_after: Instant
    operations: Annotated[tuple[Any, ...], Meta(min_length=1, max_length=1_000)]
    cosigners: Annotated[tuple[MemberId, ...], Meta(max_length=15)] = ()
    seen: Seen | None = None


class _Signature(Struct):
    key: str
    signature: str


class _Envelope(Struct):
    body: msgspec.Raw
    signatures: tuple[_Signature, ...]


def _body_type() -> type[Any]:
    """`Body` with the union of all operations, from the machine's table of contents."""
    union: Any = OPERATIONS[0]
    for operation in OPERATIONS[1:]:
        union = union | operation
    operations: Any = Annotated[tuple[union, ...], Meta(min_length=1, max_length=1_000)]
    body: type[Any] = types.new_class(
        "Body", (_Body,), exec_body=lambda names: names.update(__annotations__={"operations": operations})
    )
    return body


WAKE_PREFIX = b"tallystick-wake-v1 "
_WAKE = re.compile(re.escape(WAKE_PREFIX) + rb"[0-9]{1,19}")

_BODY = codec.decoder(_body_type())
_ENVELOPE = codec.decoder(_Envelope)


class Transaction:
    """A decoded transaction. `keys` are the signing keys in base64, in the envelope's order."""

    __slots__ = ("body", "body_hash", "keys", "raw")

    def __init__(self, raw: bytes, body: "_Body", body_hash: bytes, keys: tuple[str, ...]) -> None:
        self.raw = raw
        self.body = body
        self.body_hash = body_hash
        self.keys = keys

    @property
    def operations(self) -> tuple[Operation, ...]:
        return self.body.operations

    @property
    def organisations(self) -> tuple[str, ...]:
        """The organisations that sign: the actor first."""
        return (self.body.actor, *self.body.cosigners)


def read_checked(raw: bytes) -> Transaction:
    """Decode bytes that `read` has passed before."""
    parts = _ENVELOPE.decode(raw)
    body = bytes(parts.body)
    return Transaction(raw, _BODY.decode(body), hashlib.sha256(body).digest(), tuple(s.key for s in parts.signatures))


def read(raw: bytes) -> Transaction | Refusal:
    """Decode a transaction and check all that needs no state: canonical form, fields, and every signature."""
    if len(raw) > envelope.MAX_BYTES:
        return refuse(Status.TOO_LARGE, size=len(raw), limit=envelope.MAX_BYTES)
    try:
        parts = _ENVELOPE.decode(raw)
    except codec.UNREADABLE as error:
        return refuse(Status.NOT_CANONICAL, reason=f"not an envelope: {error}")
    if canonical.is_nested_too_deep(raw):
        return refuse(Status.NOT_CANONICAL, reason=f"nested deeper than {canonical.MAX_DEPTH}")
    body = bytes(parts.body)
    try:
        parsed = _BODY.decode(body)
    except msgspec.ValidationError as error:
        unknown = str(error).startswith("Invalid value") and str(error).endswith(".op`")
        return refuse(Status.UNKNOWN_OPERATION if unknown else Status.UNKNOWN_FIELD, reason=str(error))
    except codec.UNREADABLE as error:
        return refuse(Status.NOT_CANONICAL, reason=str(error))
    if codec.encode(parsed) != body:
        return refuse(Status.NOT_CANONICAL, reason="the body is not in canonical form")
    fault = canonical.raw_text_fault(body)
    if fault is not None:
        return refuse(Status.NOT_CANONICAL, reason=fault)
    try:
        signed = envelope.Envelope(body, tuple(_raw_signature(s) for s in parts.signatures))
        envelope.check_order(signed.signatures)
    except DecodeError as error:
        return refuse(Status.NOT_CANONICAL, reason=error.what)
    if signed.to_bytes() != raw:
        return refuse(Status.NOT_CANONICAL, reason="the envelope is not in canonical form")
    if parsed.format != envelope.FORMAT:
        return refuse(Status.UNSUPPORTED_FORMAT, format=parsed.format)
    fault = signed.fault()
    if fault is not None:
        return refuse(Status.BAD_SIGNATURE, reason=fault)
    return Transaction(raw, parsed, signed.body_hash, tuple(s.key for s in parts.signatures))


def body_hash_of(raw: bytes) -> bytes | Refusal:
    """The hash under which a transaction's receipt stands; nothing else is checked."""
    if len(raw) > envelope.MAX_BYTES:
        return refuse(Status.TOO_LARGE, size=len(raw), limit=envelope.MAX_BYTES)
    try:
        return hashlib.sha256(_ENVELOPE.decode(raw).body).digest()
    except codec.UNREADABLE as error:
        return refuse(Status.NOT_CANONICAL, reason=f"not an envelope: {error}")


def wake_bytes(height: int) -> bytes:
    """What a node submits so that a block is made for work that is due; no signature, no effect of its own."""
    return WAKE_PREFIX + str(height).encode()


def is_wake(raw: bytes) -> bool:
    """Whether these are `wake_bytes` of some height."""
    return _WAKE.fullmatch(raw) is not None


def read_decided(raw: bytes) -> Transaction | Refusal:
    """`read` for what validators put into a block.

    Its results are hashed, so what can't be read is refused without the parser's words, which change with its version.
    """
    if is_wake(raw):
        return refuse(Status.WAKE)
    outcome = read(raw)
    return refuse(Status.NOT_CANONICAL) if isinstance(outcome, Refusal) else outcome


def _raw_signature(item: _Signature) -> envelope.Signature:
    return envelope.Signature(
        from_base64(item.key, KEY_BYTES, "key"), from_base64(item.signature, SIGNATURE_BYTES, "signature")
    )


def body_bytes(
    chain: str,
    actor: str,
    transaction_id: str,
    not_after: Instant,
    operations: tuple[Operation, ...],
    cosigners: tuple[str, ...] = (),
    seen: Seen | None = None,
) -> bytes:
    """The canonical bytes of a body, ready to be signed by each organisation's keys."""
    return codec.encode(
        _Body(
            format=envelope.FORMAT,
            chain=chain,
            actor=actor,
            id=transaction_id,
            not_after=not_after,
            operations=operations,
            cosigners=tuple(sorted(cosigners)),
            seen=seen,
        )
    )
