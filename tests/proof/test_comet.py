"""Hashes and sign bytes against what CometBFT's own packages compute."""

import dataclasses
from hashlib import sha256
from typing import Any

import pytest
from nacl.signing import SigningKey

from tallystick.proof.comet import (
    DEFAULT_MAX_BYTES,
    DEFAULT_MAX_GAS,
    NO_COMMIT_HASH,
    NO_EVIDENCE_HASH,
    NO_RESULTS_HASH,
    BlockId,
    Commit,
    Header,
    Validator,
    ValidatorSet,
    address_of,
    consensus_hash,
    data_hash,
    embedded_block_id,
    result_leaf,
    results_hash,
    sign_commit,
    vote_sign_bytes,
)
from tallystick.proof.comet_json import (
    commit_from_json,
    header_from_json,
    light_block_from_json,
    validators_from_json,
)
from tallystick.proof.timestamps import parse_time
from tallystick.wire.keys import verifies
from tests.proof.vectors import comet

HEADERS = comet("headers")
COMMITS = comet("commits")
EMBEDDED = comet("embedded")


def light_block(vector: dict[str, Any]) -> Any:
    return {
        "signed_header": vector["commit"]["signed_header"],
        "validators": vector["validators"]["validators"],
    }


@pytest.mark.parametrize("name", HEADERS)
def test_header_vectors(name: str) -> None:
    header = header_from_json(HEADERS[name]["rpc"])
    assert header.hash().hex() == HEADERS[name]["hash"]
    assert sha256(header.to_proto()).hexdigest() == HEADERS[name]["proto_sha256"]


def test_each_field_of_a_header_changes_its_hash() -> None:
    header = header_from_json(HEADERS["full"]["rpc"])
    others: dict[type, Any] = {str: "other", int: 99, bytes: bytes(32), BlockId: BlockId()}
    for field in dataclasses.fields(Header):
        value = getattr(header, field.name)
        other = dataclasses.replace(header, **{field.name: others[type(value)]})
        assert other.hash() != header.hash(), field.name
        assert other.to_proto() != header.to_proto(), field.name


@pytest.mark.parametrize("name", COMMITS)
def test_commit_vectors(name: str) -> None:
    vector = COMMITS[name]
    commit = commit_from_json(vector["rpc"])
    assert commit.hash().hex() == vector["hash"]
    signed = [commit.vote_sign_bytes(vector["chain_id"], n).hex() for n in range(len(commit.signatures))]
    assert signed == vector["sign_bytes"]


def test_vote_vectors() -> None:
    vectors = comet("votes")
    voted = BlockId(
        bytes.fromhex(vectors["block_id"]["hash"]),
        vectors["block_id"]["parts"]["total"],
        bytes.fromhex(vectors["block_id"]["parts"]["hash"]),
    )
    for chain_id, height, round_, is_for_it, time, digest in vectors["rows"]:
        block_id = voted if is_for_it else BlockId()
        signed = vote_sign_bytes(chain_id, int(height), round_, block_id, parse_time(time))
        assert sha256(signed).hexdigest() == digest
    assert len(vectors["rows"]) == 3 * 3 * 3 * 2 * 2


@pytest.mark.parametrize("vector", comet("validators"), ids=lambda vector: str(vector["given"]))
def test_validator_vectors(vector: dict[str, Any]) -> None:
    keys = [SigningKey(sha256(b"validator %d" % n).digest()) for n in range(len(vector["given"]))]
    validators = ValidatorSet.of(
        Validator(bytes(key.verify_key), power) for key, power in zip(keys, vector["given"], strict=True)
    )
    assert validators.hash().hex() == vector["hash"]
    assert [validator.to_proto().hex() for validator in validators.validators] == vector["simple"]
    assert validators.total_power == sum(vector["given"])
    if vector["given"]:
        assert validators == validators_from_json(vector["rpc"]["validators"])


@pytest.mark.parametrize("vector", comet("data"), ids=lambda vector: f"{len(vector['transactions'])}")
def test_data_vectors(vector: dict[str, Any]) -> None:
    assert data_hash(bytes.fromhex(t) for t in vector["transactions"]).hex() == vector["hash"]


def test_result_vectors() -> None:
    vectors = comet("results")
    results = [(v["code"], bytes.fromhex(v["data"])) for v in vectors[-1]["results"]]
    assert [result_leaf(code, data).hex() for code, data in results] == vectors[-1]["proto"]
    for vector in vectors:
        assert results_hash(results[: vector["total"]]).hex() == vector["hash"]


def test_consensus_parameter_vectors() -> None:
    for vector in comet("params"):
        assert consensus_hash(vector["max_bytes"], vector["max_gas"]).hex() == vector["hash"]
    default = comet("params")[0]
    assert (default["max_bytes"], default["max_gas"]) == (DEFAULT_MAX_BYTES, DEFAULT_MAX_GAS)
    assert consensus_hash().hex() == default["hash"]


def test_nothing_has_a_hash_too() -> None:
    assert Commit(0, 0, BlockId(), ()).hash() == NO_COMMIT_HASH
    assert results_hash([]) == NO_RESULTS_HASH
    assert NO_EVIDENCE_HASH.hex() == EMBEDDED[0]["commit"]["signed_header"]["header"]["evidence_hash"].lower()


@pytest.mark.parametrize("vector", EMBEDDED, ids=range(1, len(EMBEDDED) + 1))
def test_the_embedded_engine_signs_what_comets_light_client_accepts(vector: dict[str, Any]) -> None:
    block = light_block_from_json(light_block(vector))
    key = SigningKey(bytes.fromhex(vector["seed"]))
    block_id = embedded_block_id(block.header)
    assert sign_commit(block.header, block_id, key) == block.commit
    assert block.validators == ValidatorSet((Validator(bytes(key.verify_key), 1),))
    assert block.header.validators_hash == block.validators.hash()
    assert block.header.proposer_address == address_of(bytes(key.verify_key))


def test_embedded_blocks_form_a_chain() -> None:
    first, second = (light_block_from_json(light_block(vector)) for vector in EMBEDDED[:2])
    assert first.header.last_block_id.is_nil
    assert second.header.last_block_id == embedded_block_id(first.header)


@pytest.mark.parametrize("vector", comet("light_blocks"), ids=lambda v: v["validators"]["total"])
def test_signatures_of_light_blocks_hold_under_libsodium(vector: dict[str, Any]) -> None:
    block = light_block_from_json(light_block(vector))
    assert block.header.hash().hex() == vector["hash"] == block.commit.block_id.hash.hex()
    assert block.header.validators_hash == block.validators.hash()
    for n, (validator, vote) in enumerate(zip(block.validators.validators, block.commit.signatures, strict=True)):
        signed = block.commit.vote_sign_bytes(block.header.chain_id, n)
        assert not vote.signature or verifies(validator.public_key, signed, vote.signature)
        assert not vote.signature or vote.validator_address == validator.address
