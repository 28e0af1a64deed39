"""Record ids: a kind's prefix and 16 Crockford base32 characters, known to the client before it submits.

The characters are the first 80 bits of SHA-256 over (chain id, actor, transaction id, operation index), so nobody chooses an id and nobody else can take it. Source: OPERATIONS, "Ids".
"""

import base64
import hashlib
import re

_TO_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdefghjkmnpqrstvwxyz")
ID_PATTERN = r"[a-z]{2,4}_[0-9a-hjkmnp-tv-z]{16}"
_ID = re.compile(ID_PATTERN, re.ASCII)


def record_id(prefix: str, chain_id: str, actor: str, transaction_id: str, index: int) -> str:
    """The id of the record of kind `prefix` that operation `index` of a transaction makes."""
    seed = "\x00".join(("tallystick-id-v1", chain_id, actor, transaction_id, str(index)))
    bits = base64.b32encode(hashlib.sha256(seed.encode()).digest()[:10])
    return f"{prefix}_{bits.translate(_TO_CROCKFORD).decode()}"


def is_record_id(text: str, prefix: str = "") -> bool:
    """Whether `text` has the form of a record id (of the kind `prefix`)."""
    return _ID.fullmatch(text) is not None and text.startswith(prefix + "_" if prefix else "")
