"""Fingerprints of invoices: keyed, so that nobody can guess an invoice from the ledger (DOMAIN section 7).

An invoice's identity is seller, buyer, code and number in canonical spelling; amount and date are no part of it. The
fingerprint is HMAC-SHA-256 of the identity under the consortium's key. That key is the auditors': a party that has it
may state the right fingerprint at once; one that has not states another, and the auditor's approval corrects it.
docs/spec/invoice-fingerprints.md.
"""

import hashlib
import hmac
import re
import unicodedata

DOMAIN = b"tallystick-invoice-v1\n"
KEY_BYTES = 32

LEGAL_FORMS = {
    "limited": "ltd",
    "ltd": "ltd",
    "plc": "plc",
    "llp": "llp",
    "cic": "cic",
    "incorporated": "inc",
    "inc": "inc",
    "corporation": "corp",
    "corp": "corp",
    "company": "co",
    "co": "co",
    "and": "&",
}
"""Spellings of one legal form, by the word that stands for it."""

_SPACES = re.compile(r"\s+")
_CHINESE_FORMS = (("股份有限公司", "股份公司"), ("有限责任公司", "有限公司"))
_PUNCTUATION = str.maketrans({".": " ", ",": " ", "(": " ", ")": " ", "'": "", "\u2019": ""})


def canonical_party(name: str) -> str:
    """A party's name as it counts: half width, lower case, single spaces, one spelling of its legal form."""
    text = unicodedata.normalize("NFKC", name).casefold().translate(_PUNCTUATION)
    for long, short in _CHINESE_FORMS:
        text = text.replace(long, short)
    words = [LEGAL_FORMS.get(word, word) for word in _SPACES.split(text.replace("&", " & ").strip())]
    return " ".join(words)


def canonical_number(number: str) -> str:
    """An invoice's code or number as it counts: half width, upper case, no spaces."""
    return _SPACES.sub("", unicodedata.normalize("NFKC", number)).upper()


def fingerprint(key: bytes, seller: str, buyer: str, code: str, number: str) -> str:
    """The keyed fingerprint, hexadecimal, of the invoice that `seller` sent to `buyer`."""
    if len(key) < KEY_BYTES:
        raise ValueError(f"a fingerprint key has at least {KEY_BYTES} bytes")
    parts = (canonical_party(seller), canonical_party(buyer), canonical_number(code), canonical_number(number))
    return hmac.new(key, DOMAIN + "\x00".join(parts).encode(), hashlib.sha256).hexdigest()
