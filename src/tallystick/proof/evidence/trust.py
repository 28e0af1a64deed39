"""What the verifier's user trusts beforehand: a genesis, or a later header with its commit and validators.

A genesis is the better one: it says who the founders are, which keys they had, and whether the chain is a sandbox. A
trusted header says who the validators are at its height, and nothing about what came before. Where a consortium goes on
with a closed chain, its genesis names that chain's genesis and last header; who trusts the later genesis may be shown
steps of either chain, given both files.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

from tallystick.proof import light_client
from tallystick.proof.comet import Header, LightBlock
from tallystick.proof.comet_json import light_block_from_json
from tallystick.proof.evidence.blocks import Era, Revision
from tallystick.proof.evidence.bundle import Bundle
from tallystick.proof.evidence.errors import NotProven
from tallystick.proof.evidence.founding import check_first_app_hash
from tallystick.proof.evidence.genesis import Genesis, Predecessor
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


@dataclass(frozen=True, slots=True)
class Succession:
    """A closed chain and the consortium that goes on with it, each by its genesis; evidence may be of either."""

    former: Genesis
    present: Genesis
    before: Predecessor

    @classmethod
    def of(cls, former: Genesis, present: Genesis) -> Self:
        """The two, of which the present one names the former. Raises NotProven."""
        before = present.predecessor
        if before is None:
            raise NotProven("genesis", f"{present.chain_id} goes on from no other chain", "predecessor")
        if before.genesis != former.hash:
            what = f"{present.chain_id} goes on from {before.chain_id}, whose genesis is another than the one given"
            raise NotProven("genesis", what, "predecessor")
        return cls(former, present, before)


Trusted: TypeAlias = Genesis | Succession | TrustedHeader


def genesis_of(bundle: Bundle, trusted: Trusted) -> Genesis | None:
    """The genesis, of those that are trusted, of the bundle's own chain; None where a header is. Raises NotProven."""
    if isinstance(trusted, TrustedHeader):
        return None
    for genesis in (trusted,) if isinstance(trusted, Genesis) else (trusted.former, trusted.present):
        if genesis.hash == bundle.genesis:
            return genesis
    raise NotProven("genesis", "the bundle is about a chain of another genesis", "genesis")


def founders_of(trusted: Trusted) -> Genesis | None:
    """The genesis that says who was there in the beginning; a successor's alone doesn't."""
    match trusted:
        case Genesis():
            return trusted if trusted.predecessor is None else None
        case Succession():
            return trusted.former
        case TrustedHeader():
            return None


def eras_of(bundle: Bundle, trusted: Trusted, revisions: Callable[[str], tuple[Revision, ...]]) -> tuple[Era, ...]:
    """Which chain has which heights, and the validator sets that need no proof. Raises NotProven.

    `revisions` gives those of a chain id, as far as the bundle states them.
    """
    match trusted:
        case TrustedHeader():
            known = trusted.block.header
            sets = frozenset({known.validators_hash, known.next_validators_hash})
            return (Era(known.chain_id, sets, revisions(known.chain_id)),)
        case Genesis():
            return (_era(trusted, revisions),)
        case Succession():
            former = replace(_era(trusted.former, revisions), last=trusted.before.height)
            is_former = genesis_of(bundle, trusted) is trusted.former
            return (former,) if is_former else (former, _era(trusted.present, revisions))


def _era(genesis: Genesis, revisions: Callable[[str], tuple[Revision, ...]]) -> Era:
    return Era(genesis.chain_id, frozenset({genesis.validators.hash()}), revisions(genesis.chain_id))


def check_begins(bundle: Bundle, trusted: Trusted) -> None:
    """The bundle's chain is the trusted one: it begins as the genesis says, or has that header. Raises NotProven.

    Nothing but the first header states what the genesis made; so under a genesis it is always shown.
    """
    headers = {block.header.height: block.header for block in bundle.blocks}
    if isinstance(trusted, TrustedHeader):
        _check_header(headers, trusted)
        return
    genesis = genesis_of(bundle, trusted)
    if isinstance(trusted, Succession):
        _check_end(headers, trusted, is_former=genesis is trusted.former)
    elif trusted.predecessor is not None:
        _check_not_before(headers, trusted.predecessor)
    if genesis is not None:
        _check_first(headers, genesis)


def _check_first(headers: dict[int, Header], genesis: Genesis) -> None:
    first = genesis.first_height
    if first not in headers:
        what = "the chain's first header is missing, by which it begins as its genesis says"
        raise NotProven("genesis", what, f"block {first}")
    check_first_app_hash(genesis, headers[first].app_hash)


def _check_not_before(headers: dict[int, Header], before: Predecessor) -> None:
    for height in headers:
        if height <= before.height:
            what = f"it is of {before.chain_id}, on which the chain goes on: that chain's genesis is needed as well"
            raise NotProven("genesis", what, f"block {height}")


def _check_end(headers: dict[int, Header], trusted: Succession, *, is_former: bool) -> None:
    """The former chain ended in the header that the present one's genesis names, and nowhere else."""
    last = trusted.before.height
    later = min((height for height in headers if height > last), default=None)
    if is_former and later is not None:
        what = f"{trusted.former.chain_id} was closed with block {last}, and {trusted.present.chain_id} goes on"
        raise NotProven("headers", what, f"block {later}")
    if not is_former and any(height <= last for height in headers):
        _check_first(headers, trusted.former)
        if last not in headers:
            what = f"the last header of {trusted.former.chain_id} is missing, which its successor's genesis names"
            raise NotProven("headers", what, f"block {last}")
    if last in headers and headers[last].hash() != trusted.before.block:
        raise NotProven("headers", "it is not the last header that the successor's genesis names", f"block {last}")


def _check_header(headers: dict[int, Header], trusted: TrustedHeader) -> None:
    known = trusted.block.header
    shown = headers.get(known.height)
    if shown is not None and shown.hash() != known.hash():
        raise NotProven("headers", "it is not the header that is trusted", f"block {known.height}")
