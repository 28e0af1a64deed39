"""Ed25519 by libsodium (PyNaCl) and by nothing else, wherever agreement depends on the answer.

Public keys and signatures are written as canonical padded base64. A key that is not the canonical encoding of a
point, or a point of small order, is refused when it is introduced (libsodium's `is_valid_point` demands a canonical
point of the main subgroup). Source: DESIGN section 4; RFC 8032.
"""

import base64
import binascii

from nacl import bindings
from nacl.exceptions import BadSignatureError

from tallystick.wire.errors import DecodeError

KEY_BYTES = 32
SIGNATURE_BYTES = 64


def to_base64(raw: bytes) -> str:
    """Padded standard base64 without line breaks."""
    return base64.b64encode(raw).decode("ascii")


def from_base64(text: object, length: int, where: str = "") -> bytes:
    """Exactly `length` bytes from their one canonical base64 form; stray bits and other alphabets are refused."""
    raw = bytes_from_base64(text, where)
    if len(raw) != length:
        raise DecodeError(f"not {length} bytes in canonical base64", where)
    return raw


def bytes_from_base64(text: object, where: str = "") -> bytes:
    """Bytes of any number from their one canonical base64 form."""
    if type(text) is not str or not text.isascii():
        raise DecodeError("not base64", where)
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DecodeError("not base64", where) from None
    if to_base64(raw) != text:
        raise DecodeError("not in canonical base64", where)
    return raw


def is_sound_key(public_key: bytes) -> bool:
    """Whether `public_key` is a canonically encoded point of the prime-order subgroup."""
    return len(public_key) == KEY_BYTES and bool(bindings.crypto_core_ed25519_is_valid_point(public_key))


def verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` by `public_key` over `message` holds."""
    try:
        bindings.crypto_sign_open(signature + message, public_key)
    except (BadSignatureError, ValueError):
        return False
    return True
