"""Record ids: a kind's prefix and 16 Crockford base32 characters, known to the client before it submits.

The characters are the first 80 bits of SHA-256 over (chain id, actor, transaction id, operation index), so nobody
chooses an id and nobody else can take it. Source: OPERATIONS, "Ids".
"""

import hashlib
import re

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]  # ten bits at a time
_SHIFTS = range(70, -1, -10)
ID_PATTERN = r"[a-z]{2,4}_[0-9a-hjkmnp-tv-z]{16}"
_ID = re.compile(ID_PATTERN, re.ASCII)


def record_id(prefix: str, chain_id: str, actor: str, transaction_id: str, index: int) -> str:
    """The id of the record of kind `prefix` that operation `index` of a transaction makes."""
    seed = "\x00".join(("tallystick-id-v1", chain_id, actor, transaction_id, str(index)))
    bits = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:10], "big")
    return f"{prefix}_" + "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])


def is_record_id(text: str, prefix: str = "") -> bool:
    """Whether `text` has the form of a record id (of the kind `prefix`)."""
    return _ID.fullmatch(text) is not None and text.startswith(prefix + "_" if prefix else "")
