"""A light client: from one block that is trusted to another that is not, by the validators' signatures alone. Pure.

Rules kept here, in this order (CometBFT v0.39, light/verifier.go and types/validation.go):
1. The block's own parts belong together: chain, height, hash in the commit, validators under their hash, one entry of
   the commit for each validator in its place.
2. It is later than the trusted block, in height and in time, and no later than now and the clock drift allow.
3. The trusted block is no older than the trusting period, where one is given.
4. Adjacent blocks: its validators are those that the trusted header named as next.
   Others: validators of the trusted block with more than `level` of its power signed it.
5. More than two thirds of its own validators' power signed it.

Every signature of the commit must hold, also those that are not needed for the count: CometBFT stops counting sooner
and so never looks at the rest. What is signed for no block counts for nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from tallystick.proof.comet import BlockIdFlag, Header, LightBlock, ValidatorSet
from tallystick.proof.timestamps import NS_PER_SECOND, TimeNs
from tallystick.wire.keys import verifies

DEFAULT_DRIFT_NS = 10 * NS_PER_SECOND  # light/client.go, defaultMaxClockDrift
MAX_POWER = 2**63 // 8  # types/validator_set.go, MaxTotalVotingPower


class Verdict(Enum):
    """What becomes of an untrusted block."""

    TRUSTED = "trusted"
    NOT_ENOUGH_TRUST = "not_enough_trust"  # nothing is wrong with it; a block in between may help
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and why it is not `TRUSTED`."""

    verdict: Verdict
    why: str = ""

    @property
    def is_trusted(self) -> bool:
        """Whether the block may be trusted from now on."""
        return self.verdict is Verdict.TRUSTED


TRUSTED = Judged(Verdict.TRUSTED)
TOO_FEW = Judged(Verdict.INVALID, "no more than two thirds of its validators' power signed it")


@dataclass(frozen=True, slots=True)
class Trust:
    """How far trust reaches. Without `now`, times are only compared with each other, as in an evidence bundle.

    `level` is the part of the trusted validators' power that must have signed, as numerator and denominator, from a
    third to one. `period_ns` is how long a trusted block may be trusted after its own time; None: for ever, because
    every change of the validator set is shown.
    """

    level: tuple[int, int] = (1, 3)
    period_ns: int | None = None
    drift_ns: int = DEFAULT_DRIFT_NS
    now: TimeNs | None = None

    def __post_init__(self) -> None:
        numerator, denominator = self.level
        if denominator < 1 or numerator * 3 < denominator or numerator > denominator:
            raise ValueError("a trust level lies between a third and one")
        if self.period_ns is not None and (self.period_ns < 1 or self.now is None):
            raise ValueError("a trusting period is positive and needs to know the time")


def judge(trusted: LightBlock, untrusted: LightBlock, trust: Trust) -> Judged:
    """Whether `untrusted` may be trusted because `trusted` is. Neither is changed."""
    refused = _parts_belong_together(untrusted, trusted.header.chain_id)
    refused = refused or _follows(trusted.header, untrusted.header, trust)
    if refused is not None:
        return refused
    if trust.period_ns is not None and trust.now is not None and trusted.header.time + trust.period_ns <= trust.now:
        return Judged(Verdict.NOT_ENOUGH_TRUST, "the trusted block is older than the trusting period")
    if untrusted.header.height == trusted.header.height + 1:
        if untrusted.header.validators_hash != trusted.header.next_validators_hash:
            return _invalid("its validators are not those that the block before it named")
    elif not _is_known_to(trusted.validators, untrusted, trust.level):
        numerator, denominator = trust.level
        said = f"no more than {numerator}/{denominator} of the trusted validators' power signed it"
        return Judged(Verdict.NOT_ENOUGH_TRUST, said)
    return check_commit(untrusted)


def judge_alone(block: LightBlock, chain_id: str, validators: ValidatorSet) -> Judged:
    """Whether `block` belongs together and is committed by `validators`, who are trusted for its height."""
    refused = _parts_belong_together(block, chain_id)
    if refused is not None:
        return refused
    if block.header.validators_hash != validators.hash():
        return _invalid("it has other validators than are trusted for its height")
    return check_commit(block)


def check_commit(block: LightBlock) -> Judged:
    """Every vote of its commit is signed, and votes for it carry over two thirds of its validators' power."""
    signed = 0
    for index, (validator, vote) in enumerate(zip(block.validators.validators, block.commit.signatures, strict=True)):
        if vote.flag is BlockIdFlag.ABSENT:
            continue
        if vote.validator_address != validator.address:
            return _invalid(f"vote {index} of its commit is not by the validator in that place")
        message = block.commit.vote_sign_bytes(block.header.chain_id, index)
        if not verifies(validator.public_key, message, vote.signature):
            return _invalid(f"signature {index} of its commit does not verify")
        if vote.flag is BlockIdFlag.COMMIT:
            signed += validator.power
    if signed * 3 <= block.validators.total_power * 2:
        return TOO_FEW
    return TRUSTED


def _parts_belong_together(block: LightBlock, chain_id: str) -> Judged | None:
    """The first reason why not; what costs little is asked first, so that nobody is made to hash a set in vain."""
    header, commit, validators = block.header, block.commit, block.validators
    checks: tuple[tuple[Callable[[], bool], str], ...] = (
        (lambda: header.chain_id == chain_id, "it is of another chain"),
        (lambda: header.height > 0, "its height is not positive"),
        (lambda: commit.height == header.height, "its commit is for another height"),
        (lambda: commit.block_id.hash == header.hash(), "its commit is for another block"),
        (
            lambda: len(commit.signatures) == len(validators.validators),
            "its commit has not one entry for each validator",
        ),
        (lambda: 0 < validators.total_power <= MAX_POWER, "its validators have no power, or too much"),
        (lambda: _are_different(validators), "a validator stands in its set twice"),
        (
            lambda: validators.hash() == header.validators_hash,
            "its validators are not those under its header's hash",
        ),
    )
    return next((_invalid(why) for holds, why in checks if not holds()), None)


def _are_different(validators: ValidatorSet) -> bool:
    addresses = {validator.address for validator in validators.validators}
    return len(addresses) == len(validators.validators)


def _follows(trusted: Header, untrusted: Header, trust: Trust) -> Judged | None:
    if untrusted.height <= trusted.height:
        return _invalid("it is not higher than the trusted block")
    if untrusted.time <= trusted.time:
        return _invalid("it is not later than the trusted block")
    if trust.now is not None and untrusted.time >= trust.now + trust.drift_ns:
        return _invalid("it is dated in the future")
    return None


def _is_known_to(trusted: ValidatorSet, block: LightBlock, level: tuple[int, int]) -> bool:
    """Whether validators of `trusted` with more than `level` of its power voted for the block; each counts once.

    Their signatures are checked with all the others, in `check_commit`.
    """
    powers = {validator.address: validator.power for validator in trusted.validators}
    votes = zip(block.validators.validators, block.commit.signatures, strict=True)
    voted = {validator.address for validator, vote in votes if vote.flag is BlockIdFlag.COMMIT}
    known = sum(power for address, power in powers.items() if address in voted)
    numerator, denominator = level
    return known * denominator > trusted.total_power * numerator


def _invalid(why: str) -> Judged:
    return Judged(Verdict.INVALID, why)
