"""Which headers of a bundle are to be believed: by their validators' commits, from the genesis's set on.

Rules kept here:
1. The first validator set is one that the caller trusts: the genesis's, or a trusted header's. Each further one is
   named as next by the header of a block that was committed by a set before it, and is used. So every change of the
   validators is proven, and no time runs out.
2. A block has a commit of its own unless the next block of the bundle is the next of the chain and has the same
   validators: then that one's last block id attests it. No commit stands to spare.
3. Each commit is signed by over two thirds of the power of the block's own validators, all signatures holding
   (`light_client`).
4. A header's chain id is the genesis's, or that of a revision in force at its height.
5. Where a chain was closed and another went on, each height is of one of the two, an era: the later one has its own
   genesis, chain id and first validators, and no header of it names one of the earlier as its last (`trust` holds the
   last header of the earlier to the genesis of the later).

What remains: more than a third of a set's power, long after it was replaced, could sign another history for heights at
which it was in force. Whoever pins a later header besides the genesis excludes that.
"""

from dataclasses import dataclass
from itertools import pairwise

from tallystick.proof import light_client
from tallystick.proof.comet import BlockIdFlag, Header, LightBlock, ValidatorSet
from tallystick.proof.evidence.bundle import Block, Bundle
from tallystick.proof.evidence.errors import NotProven


@dataclass(frozen=True, slots=True)
class Attested:
    """Heights whose headers were attested by commits of one validator set, and the least that signed any of them."""

    first: int
    last: int
    validators: int
    signed: int


@dataclass(frozen=True, slots=True)
class Revision:
    """From the height after `fork_height` on, headers carry this chain id."""

    chain_id: str
    fork_height: int


@dataclass(frozen=True, slots=True)
class Era:
    """The heights of one chain, up to `last` (None: to the end), and the hashes of the validator sets it began with."""

    chain_id: str
    sets: frozenset[bytes]
    revisions: tuple[Revision, ...] = ()
    last: int | None = None

    def chain_id_at(self, height: int) -> str:
        """The id that headers of a height carry."""
        chain_id = self.chain_id
        for revision in self.revisions:
            if height > revision.fork_height:
                chain_id = revision.chain_id
        return chain_id


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers that are proven, by height, and who attests them."""

    by_height: dict[int, Header]
    attested: tuple[Attested, ...]

    def at(self, height: int, needed_for: str) -> Header:
        """The proven header of a height. Raises NotProven."""
        header = self.by_height.get(height)
        if header is None:
            raise NotProven("headers", f"the header of height {height} is missing", needed_for)
        return header


def prove_headers(bundle: Bundle, eras: tuple[Era, ...]) -> Headers:
    """Believe the bundle's headers, or raise NotProven naming the first block that does not hold.

    `eras`, ascending, come from the genesis or the header that the caller pins.
    """
    sets = {validators.hash(): validators for validators in bundle.validators}
    if not bundle.blocks:
        raise NotProven("headers", "there is none", "blocks")
    era = _era_of(bundle.blocks[0].header, eras)
    if not bundle.validators or bundle.validators[0].hash() not in era.sets:
        raise NotProven("validators", "the first validators are not those that are trusted", "validators[0]")
    if len(sets) < len(bundle.validators):
        raise NotProven("validators", "a validator set stands twice", "validators")
    known = set(era.sets)
    used: set[bytes] = set()
    attested: list[Attested] = []
    for block, following in zip(bundle.blocks, (*bundle.blocks[1:], None), strict=True):
        header = block.header
        where = f"block {header.height}"
        if era is not _era_of(header, eras):
            era = _era_of(header, eras)
            known = set(era.sets)
        if header.chain_id != era.chain_id_at(header.height):
            raise NotProven("headers", "it carries another chain id than this chain has at its height", where)
        if header.validators_hash not in known or header.validators_hash not in sets:
            raise NotProven("validators", "nothing proven before it names its validators", where)
        if (block.commit is None) is not _is_attested_by(following, header, era):
            what = "a commit is missing" if block.commit is None else "a commit stands to spare"
            raise NotProven("commits", what, where)
        used.add(header.validators_hash)
        _attest(attested, block, sets[header.validators_hash])
        known.add(header.next_validators_hash)
    if used != set(sets):
        raise NotProven("validators", "a validator set is used by no block", "validators")
    _check_ascent(bundle, eras)
    return Headers({block.header.height: block.header for block in bundle.blocks}, tuple(attested))


def _era_of(header: Header, eras: tuple[Era, ...]) -> Era:
    for era in eras:
        if era.last is None or header.height <= era.last:
            return era
    raise NotProven("headers", "the chain was closed before it", f"block {header.height}")


def _is_attested_by(following: Block | None, header: Header, era: Era) -> bool:
    """Whether the next block of the bundle names this header as its last, under the same validators."""
    return (
        following is not None
        and header.height != era.last
        and following.header.height == header.height + 1
        and following.header.validators_hash == header.validators_hash
    )


def _attest(attested: list[Attested], block: Block, validators: ValidatorSet) -> None:
    """Add this block to those that are attested; its commit must hold if it has one."""
    header, commit = block.header, block.commit
    size = len(validators.validators)
    signed = size
    if commit is not None:
        judged = light_client.judge_alone(LightBlock(header, commit, validators), header.chain_id, validators)
        if not judged.is_trusted:
            raise NotProven("commits", judged.why, f"block {header.height}")
        signed = sum(vote.flag is BlockIdFlag.COMMIT for vote in commit.signatures)
    if attested and attested[-1].validators == size:
        last = attested.pop()
        attested.append(Attested(last.first, header.height, size, min(last.signed, signed)))
    else:
        attested.append(Attested(header.height, header.height, size, signed))


def _check_ascent(bundle: Bundle, eras: tuple[Era, ...]) -> None:
    """Neighbours are linked by hash, and time goes on from block to block."""
    ends = {era.last for era in eras}
    for before, after in pairwise(block.header for block in bundle.blocks):
        where = f"block {after.height}"
        if after.height == before.height + 1 and before.height not in ends:
            if after.last_block_id.hash != before.hash():
                raise NotProven("headers", "it does not follow the block before it", where)
            if after.validators_hash != before.next_validators_hash:
                raise NotProven("validators", "its validators are not those that the block before it named", where)
        if after.time <= before.time:
            raise NotProven("headers", "its time is not after the block before it", where)
