"""What the verifier's user trusts beforehand: a genesis, or a later header with its commit and validators.

A genesis is the better one: it says who the founders are, which keys they had, and whether the chain is a sandbox. A
trusted header says who the validators are at its height, and nothing about what came before.
"""

from dataclasses import dataclass
from typing import Self, TypeAlias

from tallystick.proof import light_client
from tallystick.proof.comet import LightBlock
from tallystick.proof.comet_json import light_block_from_json
from tallystick.proof.evidence.bundle import Bundle
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.founding import check_first_app_hash
from tallystick.proof.evidence.genesis import Genesis
from tallystick.proof.evidence.reading import parse_json
from tallystick.wire.errors import DecodeError

MAX_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class TrustedHeader:
    """A light block that the user got from a source that it trusts."""

    block: LightBlock

    @classmethod
    def from_bytes(cls, raw: bytes, where: str = "trusted header") -> Self:
        """Read a light block, compact JSON of CometBFT's RPC forms (docs/spec/light-block.md). Raises DecodeError."""
        block = light_block_from_json(parse_json(raw, MAX_BYTES, where), where)
        judged = light_client.judge_alone(block, block.header.chain_id, block.validators)
        if not judged.is_trusted:
            raise DecodeError(judged.why, where)
        return cls(block)


Trusted: TypeAlias = Genesis | TrustedHeader


def chain_id_of(trusted: Trusted) -> str:
    """The chain id that evidence must be of, or a revision of."""
    return trusted.chain_id if isinstance(trusted, Genesis) else trusted.block.header.chain_id


def sets_of(trusted: Trusted) -> frozenset[bytes]:
    """The validator sets, by hash, that need no proof."""
    if isinstance(trusted, Genesis):
        return frozenset({trusted.validators.hash()})
    return frozenset({trusted.block.header.validators_hash, trusted.block.header.next_validators_hash})


def check_begins(bundle: Bundle, trusted: Trusted) -> None:
    """The bundle's chain is the trusted one, where it shows its beginning or that header. Raises NotProven."""
    headers = {block.header.height: block.header for block in bundle.blocks}
    if isinstance(trusted, Genesis):
        if bundle.genesis != trusted.hash:
            raise NotProven("genesis", "the bundle is about a chain of another genesis", "genesis")
        if 1 in headers:
            check_first_app_hash(trusted, headers[1].app_hash)
        return
    known = trusted.block.header
    shown = headers.get(known.height)
    if shown is not None and shown.hash() != known.hash():
        raise NotProven("headers", "it is not the header that is trusted", f"block {known.height}")
