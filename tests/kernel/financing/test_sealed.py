"""docs/spec/sealed-quotes.md, recomputed with the standard library alone and held against the kernel's code."""

import hashlib
import json
from pathlib import Path

from tallystick.kernel.core import codec
from tallystick.kernel.financing.sealed import SealedQuote, commitment_of
from tallystick.wire import canonical

SPEC = Path(__file__).parents[3] / "docs" / "spec" / "sealed-quotes.md"


def example() -> tuple[bytes, str]:
    """The sealed quote and the commitment that the specification shows."""
    blocks = [line.strip() for line in SPEC.read_text(encoding="utf-8").splitlines() if line.startswith("    ")]
    (quote,) = [line for line in blocks if line.startswith("{")]
    (commitment,) = [line for line in blocks if len(line) == 64]
    return quote.encode(), commitment


def test_the_specifications_example_is_what_it_says() -> None:
    quote, commitment = example()
    assert canonical.encode(json.loads(quote)) == quote
    assert hashlib.sha256(b"tallystick-quote-v1\n" + quote).hexdigest() == commitment


def test_the_kernel_computes_the_same() -> None:
    quote, commitment = example()
    sealed = codec.decode(SealedQuote, quote)
    assert commitment_of(sealed.chain, sealed.financing, sealed.funder, sealed.quote, sealed.nonce) == commitment


def test_every_field_is_written_out() -> None:
    """No field of the terms has a default, so none can be left out of what is hashed."""
    quote, _ = example()
    for field in ("rate", "day_count", "fee_rate", "minimum_fee", "valid_until", "with_recourse"):
        assert f'"{field}":'.encode() in quote
