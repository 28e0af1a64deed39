"""The envelope of a transaction: a canonical body and the signatures over it.

    {"body":{...},"signatures":[{"key":"<base64>","signature":"<base64>"},...]}

A signature is over `tallystick-tx-v1\\n` and the canonical bytes of the body, which names the chain; the transaction id
on the ledger is SHA-256 of the body, so signatures do not change it. Signatures are sorted by key, at most one a key,
at most 16. The body names `actor`, the organisation whose step this is, and, where several organisations act together,
`cosigners`: the signing organisations are exactly those named, so nobody can burn another's transaction by handing in
half of its signatures or one too many (ADR 0002). Source: DESIGN section 4; docs/spec/transaction.md.
"""

import hashlib
from dataclasses import dataclass
from itertools import pairwise

from nacl.signing import SigningKey

from tallystick.wire import canonical
from tallystick.wire.errors import DecodeError
from tallystick.wire.keys import KEY_BYTES, SIGNATURE_BYTES, from_base64, to_base64, verifies

SIGNING_DOMAIN = b"tallystick-tx-v1\n"
FORMAT = 1
MAX_SIGNATURES = 16
MAX_BYTES = 1 << 20
NOT_AFTER_LIMIT_MS = 7 * 86_400_000

_OPEN = b'{"body":'
_MIDDLE = b',"signatures":['
_CLOSE = b"]}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One key's signature: 32 and 64 raw bytes."""

    key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A canonical body's bytes with its signatures, in the order of their keys."""

    body: bytes
    signatures: tuple[Signature, ...]

    def to_bytes(self) -> bytes:
        """The canonical bytes, the only ones that are ordered."""
        items = (
            b'{"key":"%s","signature":"%s"}' % (to_base64(s.key).encode(), to_base64(s.signature).encode())
            for s in self.signatures
        )
        return _OPEN + self.body + _MIDDLE + b",".join(items) + _CLOSE

    def with_signatures(self, *more: Signature) -> "Envelope":
        """The same body with `more` signatures gathered in."""
        by_key = {s.key: s for s in (*self.signatures, *more)}
        return Envelope(self.body, tuple(by_key[key] for key in sorted(by_key, key=to_base64)))

    @property
    def body_hash(self) -> bytes:
        """The transaction's id on the ledger."""
        return hashlib.sha256(self.body).digest()

    def fault(self) -> str | None:
        """Why the signatures do not hold cryptographically, or None.

        libsodium refuses small-order and non-canonical keys here as well; `is_sound_key` refuses them on registration.
        """
        message = SIGNING_DOMAIN + self.body
        for item in self.signatures:
            if not verifies(item.key, message, item.signature):
                return "a signature does not verify"
        return None


def sign(body: bytes, *keys: SigningKey) -> Envelope:
    """An envelope over canonical `body` bytes with the signatures of `keys`, sorted."""
    return Envelope(body, ()).with_signatures(*(sign_body(body, key) for key in keys))


def sign_body(body: bytes, key: SigningKey) -> Signature:
    """One signature, for those who sign apart and gather the signatures later."""
    return Signature(key.verify_key.encode(), key.sign(SIGNING_DOMAIN + body).signature)


def parse(raw: bytes, where: str = "transaction") -> Envelope:
    """Read an envelope whose canonical bytes are exactly `raw`. Raises `DecodeError`.

    It checks form alone: not what the body asks and not whether the signatures hold (`Envelope.fault`).
    """
    if len(raw) > MAX_BYTES:
        raise DecodeError(f"larger than {MAX_BYTES} bytes", where)
    value = canonical.parse(raw, where)
    if not isinstance(value, dict) or value.keys() != {"body", "signatures"}:
        raise DecodeError("not an envelope of body and signatures", where)
    body, items = value["body"], value["signatures"]
    if not isinstance(body, dict) or not isinstance(items, list):
        raise DecodeError("not an envelope of body and signatures", where)
    envelope = Envelope(canonical.encode(body), tuple(_signature(item, where) for item in items))
    check_order(envelope.signatures, where)
    return envelope


def check_order(signatures: tuple[Signature, ...], where: str = "transaction") -> None:
    """Raise `DecodeError` unless the signatures are 1 to 16, sorted by key and unique."""
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise DecodeError(f"{len(signatures)} signatures; 1 to {MAX_SIGNATURES} are allowed", where)
    keys = [to_base64(s.key) for s in signatures]
    if any(first >= second for first, second in pairwise(keys)):
        raise DecodeError("signatures are not sorted by key, or a key signs twice", where)


def _signature(item: object, where: str) -> Signature:
    if not isinstance(item, dict) or item.keys() != {"key", "signature"}:
        raise DecodeError("a signature is not an object of key and signature", where)
    return Signature(
        from_base64(item["key"], KEY_BYTES, f"{where}: key"),
        from_base64(item["signature"], SIGNATURE_BYTES, f"{where}: signature"),
    )
