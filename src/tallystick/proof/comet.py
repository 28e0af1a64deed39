"""Blocks as CometBFT v0.39 forms, hashes and signs them; both engines speak it. Format:
docs/spec/light-block.md.

Names and fields are CometBFT's (types/block.go, types/validator.go, types/canonical.go, types/params.go,
abci/types). Byte for byte the same as CometBFT's own packages compute: tests/vectors/comet. Only Ed25519
validator keys exist here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Self

from nacl.signing import SigningKey

from tallystick.proof import merkle
from tallystick.proof.protobuf import (
    bytes_field,
    message_field,
    sfixed64_field,
    timestamp,
    varint,
    varint_field,
)
from tallystick.proof.timestamps import NO_TIME, TimeNs

BLOCK_PROTOCOL = 11  # version/version.go
ADDRESS_BYTES = 20
PRECOMMIT = 2  # SignedMsgType

NO_EVIDENCE_HASH = merkle.EMPTY_ROOT
NO_COMMIT_HASH = merkle.EMPTY_ROOT  # the last commit of a chain's first block has no signatures
NO_RESULTS_HASH = merkle.EMPTY_ROOT

DEFAULT_MAX_BYTES = 22_020_096  # types/params.go, DefaultBlockParams
DEFAULT_MAX_GAS = -1


@dataclass(frozen=True, slots=True)
class BlockId:
    """A block's header hash, and its part set's header. The default stands for no block (a nil vote)."""

    hash: bytes = b""
    part_set_total: int = 0
    part_set_hash: bytes = b""

    def to_proto(self) -> bytes:
        """`BlockID`; `CanonicalBlockID` has the same bytes."""
        return bytes_field(1, self.hash) + message_field(2, self._part_set_header())

    @property
    def is_nil(self) -> bool:
        """Whether it names no block."""
        return not (self.hash or self.part_set_total or self.part_set_hash)

    def _part_set_header(self) -> bytes:
        return varint_field(1, self.part_set_total) + bytes_field(2, self.part_set_hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The 14 fields of a block header; `version` is one field of two numbers."""

    chain_id: str
    height: int
    time: TimeNs
    last_block_id: BlockId
    last_commit_hash: bytes
    data_hash: bytes
    validators_hash: bytes
    next_validators_hash: bytes
    consensus_hash: bytes
    app_hash: bytes
    last_results_hash: bytes
    evidence_hash: bytes
    proposer_address: bytes
    version_block: int = BLOCK_PROTOCOL
    version_app: int = 0

    def hash(self) -> bytes:
        """The block hash: the root over the encoded fields. Empty without a validators hash, as in Go."""
        if not self.validators_hash:
            return b""
        # cdcEncode wraps scalars and bytes as the well-known Value messages: field 1, nothing for a zero
        hashes = (bytes_field(1, value) for value in self._hashes())
        leaves = [
            self._version(),
            bytes_field(1, self.chain_id.encode()),
            varint_field(1, self.height),
            timestamp(self.time),
            self.last_block_id.to_proto(),
            *hashes,
        ]
        return merkle.root(leaves)

    def to_proto(self) -> bytes:
        """`Header`, whole."""
        head = (
            message_field(1, self._version()),
            bytes_field(2, self.chain_id.encode()),
            varint_field(3, self.height),
            message_field(4, timestamp(self.time)),
            message_field(5, self.last_block_id.to_proto()),
        )
        return b"".join(head) + b"".join(bytes_field(n, value) for n, value in enumerate(self._hashes(), 6))

    def _version(self) -> bytes:
        return varint_field(1, self.version_block) + varint_field(2, self.version_app)

    def _hashes(self) -> tuple[bytes, ...]:
        """Fields 6 to 14, in order."""
        return (
            self.last_commit_hash,
            self.data_hash,
            self.validators_hash,
            self.next_validators_hash,
            self.consensus_hash,
            self.app_hash,
            self.last_results_hash,
            self.evidence_hash,
            self.proposer_address,
        )


class BlockIdFlag(IntEnum):
    """What a validator said to a block."""

    ABSENT = 1
    COMMIT = 2
    NIL = 3


@dataclass(frozen=True, slots=True)
class CommitSig:
    """One validator's part of a commit, at its place in the validator set."""

    flag: BlockIdFlag
    validator_address: bytes
    timestamp: TimeNs
    signature: bytes

    def to_proto(self) -> bytes:
        """`CommitSig`."""
        return (
            varint_field(1, self.flag)
            + bytes_field(2, self.validator_address)
            + message_field(3, timestamp(self.timestamp))
            + bytes_field(4, self.signature)
        )


ABSENT = CommitSig(BlockIdFlag.ABSENT, b"", NO_TIME, b"")


@dataclass(frozen=True, slots=True)
class Commit:
    """The signatures under a block, one for each validator of its height, in the set's order."""

    height: int
    round: int
    block_id: BlockId
    signatures: tuple[CommitSig, ...]

    def hash(self) -> bytes:
        """The next header's `last_commit_hash`. Covers the signatures alone."""
        return merkle.root(signature.to_proto() for signature in self.signatures)

    def vote_sign_bytes(self, chain_id: str, index: int) -> bytes:
        """What the validator at `index` signed."""
        vote = self.signatures[index]
        block_id = self.block_id if vote.flag is BlockIdFlag.COMMIT else BlockId()
        return vote_sign_bytes(chain_id, self.height, self.round, block_id, vote.timestamp)


def vote_sign_bytes(chain_id: str, height: int, round_: int, block_id: BlockId, time: TimeNs) -> bytes:
    """The bytes a precommit's signature is over: `CanonicalVote`, after its length."""
    vote = (
        varint_field(1, PRECOMMIT),
        sfixed64_field(2, height),
        sfixed64_field(3, round_),
        b"" if block_id.is_nil else message_field(4, block_id.to_proto()),
        message_field(5, timestamp(time)),
        bytes_field(6, chain_id.encode()),
    )
    body = b"".join(vote)
    return varint(len(body)) + body


@dataclass(frozen=True, slots=True)
class Validator:
    """An Ed25519 key and its voting power."""

    public_key: bytes
    power: int

    @property
    def address(self) -> bytes:
        """The first 20 bytes of the key's SHA-256."""
        return address_of(self.public_key)

    def to_proto(self) -> bytes:
        """`SimpleValidator`."""
        return message_field(1, message_field(1, self.public_key)) + varint_field(2, self.power)


@dataclass(frozen=True, slots=True)
class ValidatorSet:
    """Validators in CometBFT's order: by power, the greatest first, then by address."""

    validators: tuple[Validator, ...]

    @classmethod
    def of(cls, validators: Iterable[Validator]) -> Self:
        """The set in its order."""
        return cls(tuple(sorted(validators, key=lambda validator: (-validator.power, validator.address))))

    @property
    def total_power(self) -> int:
        """The sum of the voting powers."""
        return sum(validator.power for validator in self.validators)

    def hash(self) -> bytes:
        """A header's `validators_hash`."""
        return merkle.root(validator.to_proto() for validator in self.validators)


@dataclass(frozen=True, slots=True)
class LightBlock:
    """All that a light client needs of a block: who says so, and what they say."""

    header: Header
    commit: Commit
    validators: ValidatorSet

    @property
    def has_two_thirds(self) -> bool:
        """Whether its votes carry over two thirds of the power. That each of them holds, `light_client` says."""
        votes = zip(self.validators.validators, self.commit.signatures, strict=False)
        signed = sum(validator.power for validator, vote in votes if vote.flag is BlockIdFlag.COMMIT)
        return signed * 3 > self.validators.total_power * 2


def address_of(public_key: bytes) -> bytes:
    """A validator's address."""
    return sha256(public_key).digest()[:ADDRESS_BYTES]


def data_hash(transactions: Iterable[bytes]) -> bytes:
    """A header's `data_hash`: the leaves are the transactions' SHA-256 hashes, not the transactions."""
    return merkle.root(sha256(transaction).digest() for transaction in transactions)


def result_leaf(code: int, data: bytes) -> bytes:
    """What is hashed of a transaction's `ExecTxResult`: code and data. Our gas is 0, and so left out."""
    return varint_field(1, code) + bytes_field(2, data)


def results_hash(results: Iterable[tuple[int, bytes]]) -> bytes:
    """The next header's `last_results_hash`, from (code, data) of each transaction."""
    return merkle.root(result_leaf(code, data) for code, data in results)


def consensus_hash(max_bytes: int = DEFAULT_MAX_BYTES, max_gas: int = DEFAULT_MAX_GAS) -> bytes:
    """A header's `consensus_hash`: only the two block limits are hashed (`HashedParams`)."""
    return sha256(varint_field(1, max_bytes) + varint_field(2, max_gas)).digest()


def embedded_block_id(header: Header) -> BlockId:
    """A block id in the embedded engine: one part, which is the encoded header.

    CometBFT gossips a block in parts and hashes all of them. Nothing is gossiped here, and the header's
    hashes already cover the block, so hashing every transaction once more would attest nothing new.
    """
    return BlockId(header.hash(), 1, merkle.leaf_hash(header.to_proto()))


def sign_commit(header: Header, block_id: BlockId, key: SigningKey) -> Commit:
    """The commit of a chain with one validator: round 0, dated as the block."""
    unsigned = vote_sign_bytes(header.chain_id, header.height, 0, block_id, header.time)
    address = address_of(bytes(key.verify_key))
    vote = CommitSig(BlockIdFlag.COMMIT, address, header.time, key.sign(unsigned).signature)
    return Commit(header.height, 0, block_id, (vote,))
