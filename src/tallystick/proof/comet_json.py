"""Light blocks in the JSON of CometBFT's RPC: `signed_header` of `/commit` and `validators` of `/validators`.

Rules kept here:
1. Parsed JSON comes in (`object`), a light block or DecodeError goes out; nothing is verified yet.
2. One written form for each value, so that what is read and written again is the same; but `proposer_priority`,
   which no header attests, is dropped and written as 0.
3. Numbers of 64 bits are decimal strings, of 32 bits numbers; hashes upper-case hexadecimal; keys and signatures
   base64; a version of 0 is left out. (libs/json and libs/bytes of CometBFT.)
4. Every hash has 32 bytes or none, a chain id is printable ASCII: our chains have no others.
"""

import re
from typing import TypeAlias

from tallystick.proof.comet import (
    ADDRESS_BYTES,
    BlockId,
    BlockIdFlag,
    Commit,
    CommitSig,
    Header,
    LightBlock,
    Validator,
    ValidatorSet,
)
from tallystick.proof.timestamps import NO_TIME, format_time, parse_time
from tallystick.wire.errors import DecodeError
from tallystick.wire.keys import KEY_BYTES, SIGNATURE_BYTES, from_base64, to_base64

JsonObject: TypeAlias = dict[str, object]

MAX_CHAIN_ID = 50  # types/genesis.go, MaxChainIDLen
MAX_VALIDATORS = 10_000  # types/validator_set.go, MaxVotesCount

_HASH_BYTES = 32
_MAX_INT32 = 2**31 - 1
_MAX_UINT32 = 2**32 - 1
_MAX_INT64 = 2**63 - 1
_MAX_UINT64 = 2**64 - 1
_KEY_TYPE = "tendermint/PubKeyEd25519"

_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,19}", re.ASCII)
_CHAIN_ID = re.compile(rf"[ -~]{{0,{MAX_CHAIN_ID}}}", re.ASCII)
_HEX = re.compile(r"(?:[0-9A-F]{2}){0,32}", re.ASCII)

_HEADER_HASHES = (
    "last_commit_hash",
    "data_hash",
    "validators_hash",
    "next_validators_hash",
    "consensus_hash",
    "app_hash",
    "last_results_hash",
    "evidence_hash",
)


def light_block_to_json(block: LightBlock) -> JsonObject:
    """The light block as one object of the two RPC values."""
    signed_header = {"header": header_to_json(block.header), "commit": commit_to_json(block.commit)}
    return {"signed_header": signed_header, "validators": validators_to_json(block.validators)}


def light_block_from_json(value: object, where: str = "light_block") -> LightBlock:
    """Read a light block. Raises DecodeError."""
    fields = _fields(value, where, ("signed_header", "validators"))
    signed = _fields(fields["signed_header"], f"{where}.signed_header", ("header", "commit"))
    return LightBlock(
        header_from_json(signed["header"], f"{where}.signed_header.header"),
        commit_from_json(signed["commit"], f"{where}.signed_header.commit"),
        validators_from_json(fields["validators"], f"{where}.validators"),
    )


def header_to_json(header: Header) -> JsonObject:
    """A header as in `/commit`."""
    numbers = (("block", header.version_block), ("app", header.version_app))
    hashes: JsonObject = {name: _hex(getattr(header, name)) for name in _HEADER_HASHES}
    return {
        "version": {name: str(number) for name, number in numbers if number},
        "chain_id": header.chain_id,
        "height": str(header.height),
        "time": format_time(header.time),
        "last_block_id": _block_id_to_json(header.last_block_id),
        **hashes,
        "proposer_address": _hex(header.proposer_address),
    }


def header_from_json(value: object, where: str = "header") -> Header:
    """Read a header. Raises DecodeError."""
    names = ("version", "chain_id", "height", "time", "last_block_id", *_HEADER_HASHES, "proposer_address")
    fields = _fields(value, where, names)
    version = _fields(fields["version"], f"{where}.version", (), ("block", "app"))
    chain_id = fields["chain_id"]
    if type(chain_id) is not str or not _CHAIN_ID.fullmatch(chain_id):
        raise DecodeError(f"not a chain id of at most {MAX_CHAIN_ID} ASCII characters", f"{where}.chain_id")
    hashes = {name: _bytes(fields[name], _HASH_BYTES, f"{where}.{name}") for name in _HEADER_HASHES}
    return Header(
        version_block=_version(version, "block", where),
        version_app=_version(version, "app", where),
        chain_id=chain_id,
        height=_decimal(fields["height"], 0, _MAX_INT64, f"{where}.height"),
        time=parse_time(fields["time"], f"{where}.time"),
        last_block_id=_block_id_from_json(fields["last_block_id"], f"{where}.last_block_id"),
        proposer_address=_bytes(fields["proposer_address"], ADDRESS_BYTES, f"{where}.proposer_address"),
        **hashes,
    )


def commit_to_json(commit: Commit) -> JsonObject:
    """A commit as in `/commit`."""
    return {
        "height": str(commit.height),
        "round": commit.round,
        "block_id": _block_id_to_json(commit.block_id),
        "signatures": [_commit_sig_to_json(signature) for signature in commit.signatures],
    }


def commit_from_json(value: object, where: str = "commit") -> Commit:
    """Read a commit. Raises DecodeError."""
    fields = _fields(value, where, ("height", "round", "block_id", "signatures"))
    signatures = _items(fields["signatures"], f"{where}.signatures")
    return Commit(
        _decimal(fields["height"], 0, _MAX_INT64, f"{where}.height"),
        _number(fields["round"], _MAX_INT32, f"{where}.round"),
        _block_id_from_json(fields["block_id"], f"{where}.block_id"),
        tuple(_commit_sig_from_json(item, f"{where}.signatures[{n}]") for n, item in enumerate(signatures)),
    )


def validators_to_json(validators: ValidatorSet) -> list[object]:
    """A validator set as in `/validators`."""
    return [
        {
            "address": _hex(validator.address),
            "pub_key": {"type": _KEY_TYPE, "value": to_base64(validator.public_key)},
            "voting_power": str(validator.power),
            "proposer_priority": "0",
        }
        for validator in validators.validators
    ]


def validators_from_json(value: object, where: str = "validators") -> ValidatorSet:
    """Read a validator set, in the order given (another order has another hash). Raises DecodeError."""
    items = _items(value, where)
    if not items:
        raise DecodeError("no validators", where)
    return ValidatorSet(tuple(_validator_from_json(item, f"{where}[{n}]") for n, item in enumerate(items)))


def _validator_from_json(value: object, where: str) -> Validator:
    fields = _fields(value, where, ("address", "pub_key", "voting_power", "proposer_priority"))
    key = _fields(fields["pub_key"], f"{where}.pub_key", ("type", "value"))
    if key["type"] != _KEY_TYPE:
        raise DecodeError("not an Ed25519 key", f"{where}.pub_key.type")
    public_key = from_base64(key["value"], KEY_BYTES, f"{where}.pub_key.value")
    power = _decimal(fields["voting_power"], 1, _MAX_INT64, f"{where}.voting_power")
    _decimal(fields["proposer_priority"], -_MAX_INT64 - 1, _MAX_INT64, f"{where}.proposer_priority")
    validator = Validator(public_key, power)
    if _bytes(fields["address"], ADDRESS_BYTES, f"{where}.address") != validator.address:
        raise DecodeError("not the address of this key", f"{where}.address")
    return validator


def _block_id_to_json(block_id: BlockId) -> JsonObject:
    parts = {"total": block_id.part_set_total, "hash": _hex(block_id.part_set_hash)}
    return {"hash": _hex(block_id.hash), "parts": parts}


def _block_id_from_json(value: object, where: str) -> BlockId:
    fields = _fields(value, where, ("hash", "parts"))
    parts = _fields(fields["parts"], f"{where}.parts", ("total", "hash"))
    return BlockId(
        _bytes(fields["hash"], _HASH_BYTES, f"{where}.hash"),
        _number(parts["total"], _MAX_UINT32, f"{where}.parts.total"),
        _bytes(parts["hash"], _HASH_BYTES, f"{where}.parts.hash"),
    )


def _commit_sig_to_json(signature: CommitSig) -> JsonObject:
    return {
        "block_id_flag": int(signature.flag),
        "validator_address": _hex(signature.validator_address),
        "timestamp": format_time(signature.timestamp),
        "signature": to_base64(signature.signature) if signature.signature else None,
    }


def _commit_sig_from_json(value: object, where: str) -> CommitSig:
    fields = _fields(value, where, ("block_id_flag", "validator_address", "timestamp", "signature"))
    flag = _number(fields["block_id_flag"], max(BlockIdFlag), f"{where}.block_id_flag")
    if flag == 0:
        raise DecodeError("an unknown flag", f"{where}.block_id_flag")
    address = _bytes(fields["validator_address"], ADDRESS_BYTES, f"{where}.validator_address")
    time = parse_time(fields["timestamp"], f"{where}.timestamp")
    raw = fields["signature"]
    signature = b"" if raw is None else from_base64(raw, SIGNATURE_BYTES, f"{where}.signature")
    # CommitSig.ValidateBasic: who is absent says nothing, who votes names itself and signs
    if BlockIdFlag(flag) is BlockIdFlag.ABSENT:
        if address or signature or time != NO_TIME:
            raise DecodeError("an absent validator with a vote", where)
    elif not (address and signature):
        raise DecodeError("a vote without address or signature", where)
    return CommitSig(BlockIdFlag(flag), address, time, signature)


def _fields(value: object, where: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, object]:
    if type(value) is not dict:
        raise DecodeError("not an object", where)
    for name in required:
        if name not in value:
            raise DecodeError(f"{name} is missing", where)
    for name in value:
        if name not in required and name not in optional:
            raise DecodeError(f"unknown field {str(name)[:40]!r}", where)
    return value


def _items(value: object, where: str) -> list[object]:
    if type(value) is not list:
        raise DecodeError("not a list", where)
    if len(value) > MAX_VALIDATORS:
        raise DecodeError(f"more than {MAX_VALIDATORS} entries", where)
    return value


def _version(version: dict[str, object], name: str, where: str) -> int:
    """A version number; 0 has one form, which is to be left out."""
    if name not in version:
        return 0
    return _decimal(version[name], 1, _MAX_UINT64, f"{where}.version.{name}")


def _decimal(value: object, least: int, most: int, where: str) -> int:
    if type(value) is not str or not _DECIMAL.fullmatch(value):
        raise DecodeError("not a whole number in a string", where)
    number = int(value)
    if not least <= number <= most:
        raise DecodeError(f"not between {least} and {most}", where)
    return number


def _number(value: object, most: int, where: str) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise DecodeError(f"not a number between 0 and {most}", where)
    return value


def _bytes(value: object, length: int, where: str) -> bytes:
    """Exactly `length` bytes or none, from upper-case hexadecimal."""
    if type(value) is not str or not _HEX.fullmatch(value) or len(value) not in {0, 2 * length}:
        raise DecodeError(f"not {length} bytes in upper-case hexadecimal", where)
    return bytes.fromhex(value)


def _hex(value: bytes) -> str:
    return value.hex().upper()
