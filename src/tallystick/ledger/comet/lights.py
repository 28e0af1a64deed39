"""Headers and commits, fetched from the CometBFT beside this node and archived, so that evidence outlives its pruning.

Nothing is believed: a header must be that of the block decided here, its validators be those of the ledger, and
signatures that libsodium holds for valid carry over two thirds of their power. Others are left out of the archived
commit, for CometBFT's own check is more lenient than every verifier's (DESIGN section 7). Where one member is away and
one signs so that only CometBFT takes it, too few are left under the decided block for ever: its header is kept with
those, or no later one would ever be gathered. fsck names it, and evidence shows the next header, which names it.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from tallystick.ledger.archive import BlockBody, Light
from tallystick.ledger.comet.rpc import CometRpc, SignedHeader
from tallystick.proof import light_client
from tallystick.proof.comet import (
    ABSENT,
    BlockIdFlag,
    Commit,
    CommitSig,
    Header,
    LightBlock,
    Validator,
    ValidatorSet,
    data_hash,
)
from tallystick.wire.errors import DecodeError
from tallystick.wire.keys import verifies

_log = logging.getLogger(__name__)


def fetch_light(
    rpc: CometRpc, body: BlockBody, block_hash: str | None, validators_at: Callable[[int], ValidatorSet]
) -> Light | None:
    """The light of a block that was executed here; None while CometBFT has none.

    `block_hash` is the hash that was decided, as far back as it is kept; else the next block says it. Raises
    `DecodeError` where what CometBFT has is not of this ledger, `RpcUnreachable`.
    """
    found = rpc.signed_header(body.height)
    if found is None:
        return None
    where = f"the commit of block {body.height}"
    header = found.header
    stated = (header.height, header.time, header.data_hash)
    is_known = block_hash is None or header.hash().hex() == block_hash
    if not is_known or stated != (body.height, body.time, data_hash(body.transactions)):
        raise DecodeError("it is of another block than the one that was decided here", where)
    light, judged = _judged(found, header.chain_id, validators_at(body.height))
    if judged == light_client.TOO_FEW and found.is_canonical:
        decided = block_hash or _named_by_the_next(rpc, header, validators_at(body.height + 1))
        if header.hash().hex() == decided:
            _log.error("%s: its votes that every verifier takes are too few; it is kept with those", where)
            return light
    if not judged.is_trusted:
        raise DecodeError(judged.why, where)
    return light


def _named_by_the_next(rpc: CometRpc, header: Header, validators: ValidatorSet) -> str:
    """The hash that the block after `header` names, where its own validators vouch for that one."""
    found = rpc.signed_header(header.height + 1)
    if found is None or not _judged(found, header.chain_id, validators)[1].is_trusted:
        return ""
    return found.header.last_block_id.hash.hex()


def fetch_other_light(rpc: CometRpc, height: int, chain_id: str, validators: ValidatorSet) -> Light | None:
    """The light of a block from before this node joined, from a member that still has it; its validators vouch for it.

    None where that member has it no more. Raises `DecodeError`, `RpcUnreachable`.
    """
    found = rpc.signed_header(height)
    where = f"the commit of block {height} at {rpc.address}"
    if found is not None and found.header.height != height:
        raise DecodeError("it is of another height", where)
    if found is None:
        return None
    light, judged = _judged(found, chain_id, validators)
    if not judged.is_trusted:
        raise DecodeError(judged.why, where)
    return light


def _judged(found: SignedHeader, chain_id: str, validators: ValidatorSet) -> tuple[Light, light_client.Judged]:
    commit = sound(found.commit, chain_id, validators)
    judged = light_client.judge_alone(LightBlock(found.header, commit, validators), chain_id, validators)
    return Light(found.header, commit), judged


def sound(commit: Commit, chain_id: str, validators: ValidatorSet) -> Commit:
    """`commit` without the votes that do not verify."""
    votes = []
    for index, (validator, vote) in enumerate(zip(validators.validators, commit.signatures, strict=False)):
        votes.append(vote if _holds(commit, chain_id, index, validator, vote) else ABSENT)
    return replace(commit, signatures=tuple(votes))


def _holds(commit: Commit, chain_id: str, index: int, validator: Validator, vote: CommitSig) -> bool:
    if vote.flag is BlockIdFlag.ABSENT:
        return True
    if vote.validator_address != validator.address:
        return False
    return verifies(validator.public_key, commit.vote_sign_bytes(chain_id, index), vote.signature)
