"""Sealed quotes: what a funder commits to before closing and shows after it. docs/spec/sealed-quotes.md.

The commitment binds the terms to the chain, the financing and the funder, so nobody can copy another's or use it
elsewhere; 32 random bytes keep it from being guessed. Source: DESIGN section 8.
"""

import hashlib

from tallystick.kernel.core import codec
from tallystick.kernel.core.fields import FinancingId, Hash, MemberId, Struct
from tallystick.kernel.financing.records import QuoteTerms

SEAL_DOMAIN = b"tallystick-quote-v1\n"


class SealedQuote(Struct):
    """What is hashed, in canonical bytes after `SEAL_DOMAIN`. `nonce` is 32 random bytes in hexadecimal."""

    chain: str
    financing: FinancingId
    funder: MemberId
    nonce: Hash
    quote: QuoteTerms


def commitment_of(chain_id: str, financing: str, funder: str, terms: QuoteTerms, nonce: str) -> str:
    """SHA-256, hexadecimal, of the sealed quote. `nonce`: 64 hexadecimal digits of a good random source."""
    sealed = SealedQuote(chain=chain_id, financing=financing, funder=funder, nonce=nonce, quote=terms)
    return hashlib.sha256(SEAL_DOMAIN + codec.encode(sealed)).hexdigest()
