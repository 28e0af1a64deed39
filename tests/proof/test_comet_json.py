"""Light blocks as CometBFT's RPC writes them: round trips, and what is unreadable."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.proof.comet_json import (
    commit_from_json,
    commit_to_json,
    header_from_json,
    header_to_json,
    light_block_from_json,
    light_block_to_json,
    validators_from_json,
    validators_to_json,
)
from tallystick.wire.errors import DecodeError
from tests.proof.vectors import comet

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def blocks() -> list[Any]:
    """Three light blocks, of 1, 4 and 7 validators, some absent and some against."""
    return [
        {
            "signed_header": vector["commit"]["signed_header"],
            "validators": vector["validators"]["validators"],
        }
        for vector in comet("light_blocks")
    ]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a light block."""
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield from places(child, (*path, name))


def without_priorities(block: Any) -> Any:
    return json.loads(
        json.dumps(block), object_hook=lambda o: o | ({"proposer_priority": "0"} if "voting_power" in o else {})
    )


def holder(block: Any, path: tuple[Any, ...]) -> Any:
    for name in path[:-1]:
        block = block[name]
    return block


@pytest.mark.parametrize("n", range(3))
def test_what_is_read_is_written_again(n: int) -> None:
    block = light_block_from_json(blocks()[n])
    assert light_block_to_json(block) == without_priorities(blocks()[n])
    assert light_block_from_json(light_block_to_json(block)) == block


def test_headers_commits_and_validators_are_written_as_comet_does() -> None:
    for vector in comet("headers").values():
        assert header_to_json(header_from_json(vector["rpc"])) == vector["rpc"]
    for vector in comet("commits").values():
        assert commit_to_json(commit_from_json(vector["rpc"])) == vector["rpc"]
    for vector in comet("validators"):
        if given_validators := vector["rpc"]["validators"]:
            written = validators_to_json(validators_from_json(given_validators))
            assert written == without_priorities(given_validators)


@given(st.data())
def test_nothing_but_decode_error_comes_out(data: st.DataObject) -> None:
    """Whatever stands in whatever place, reading it raises DecodeError or gives what is written the same."""
    block = blocks()[1]
    path = data.draw(st.sampled_from(list(places(block))))
    holder(block, path)[path[-1]] = data.draw(JSON)
    try:
        read = light_block_from_json(block)
    except DecodeError:
        return
    assert light_block_to_json(read) == without_priorities(block)


@pytest.mark.parametrize("name", ["", "other", "Height", 7])
def test_no_field_may_be_added(name: object) -> None:
    for path in places(blocks()[0]):
        block = blocks()[0]
        if isinstance(found := holder(block, (*path, "")), dict):
            found[name] = "0"
            with pytest.raises(DecodeError, match="unknown field"):
                light_block_from_json(block)


def test_no_field_may_be_missing() -> None:
    for path in places(blocks()[0]):
        block = blocks()[0]
        if isinstance(found := holder(block, path), dict) and path[-1] not in {"block", "app"}:
            del found[path[-1]]
            with pytest.raises(DecodeError, match="missing"):
                light_block_from_json(block)


HEADER = ("signed_header", "header")
COMMIT = ("signed_header", "commit")
VOTE = (*COMMIT, "signatures", 0)
ABSENT = (*COMMIT, "signatures", 2)
VALIDATOR = ("validators", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*HEADER, "version", "app"), "0"),
        ((*HEADER, "version", "app"), "01"),
        ((*HEADER, "version", "block"), str(2**64)),
        ((*HEADER, "chain_id"), "c" * 51),
        ((*HEADER, "chain_id"), "合符"),
        ((*HEADER, "chain_id"), "new\nline"),
        ((*HEADER, "height"), 1),
        ((*HEADER, "height"), "-1"),
        ((*HEADER, "height"), "+1"),
        ((*HEADER, "height"), "1 "),
        ((*HEADER, "height"), "٣"),
        ((*HEADER, "height"), str(2**63)),
        ((*HEADER, "height"), "9" * 5000),
        ((*HEADER, "time"), "2026-11-22T08:22:05.10Z"),
        ((*HEADER, "app_hash"), "ab" * 32),
        ((*HEADER, "app_hash"), "AB" * 31),
        ((*HEADER, "app_hash"), "AB" * 33),
        ((*HEADER, "app_hash"), "A " * 32),
        ((*HEADER, "proposer_address"), "AB" * 32),
        ((*HEADER, "last_block_id", "parts", "total"), "1"),
        ((*HEADER, "last_block_id", "parts", "total"), True),
        ((*HEADER, "last_block_id", "parts", "total"), 2**32),
        ((*HEADER, "last_block_id", "parts", "total"), -1),
        ((*COMMIT, "round"), 2**31),
        ((*COMMIT, "signatures"), None),
        ((*VOTE, "block_id_flag"), 0),
        ((*VOTE, "block_id_flag"), 4),
        ((*VOTE, "block_id_flag"), 1),
        ((*VOTE, "validator_address"), ""),
        ((*VOTE, "signature"), None),
        ((*VOTE, "signature"), ""),
        ((*VOTE, "signature"), "A" * 88),
        ((*ABSENT, "block_id_flag"), 2),
        ((*ABSENT, "validator_address"), "AB" * 20),
        ((*ABSENT, "signature"), "A" * 86 + "=="),
        ((*ABSENT, "timestamp"), "2026-11-22T08:22:05Z"),
        (("validators",), []),
        ((*VALIDATOR, "address"), "AB" * 20),
        ((*VALIDATOR, "pub_key", "type"), "tendermint/PubKeySecp256k1"),
        ((*VALIDATOR, "pub_key", "value"), ""),
        ((*VALIDATOR, "voting_power"), "0"),
        ((*VALIDATOR, "voting_power"), "-5"),
        ((*VALIDATOR, "proposer_priority"), str(2**63)),
    ],
)
def test_other_forms_are_unreadable(path: tuple[Any, ...], value: object) -> None:
    block = copy.deepcopy(blocks()[1])
    holder(block, path)[path[-1]] = value
    with pytest.raises(DecodeError):
        light_block_from_json(block)


def test_no_set_is_larger_than_comets() -> None:
    for path in ((*COMMIT, "signatures"), ("validators",)):
        block = blocks()[1]
        holder(block, path)[path[-1]] *= 2_501
        with pytest.raises(DecodeError, match="more than 10000"):
            light_block_from_json(block)
