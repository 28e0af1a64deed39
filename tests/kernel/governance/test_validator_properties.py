"""Whatever governors do to the validators, CometBFT takes what a block returns, and two sets in a row overlap.

`accepts` says what `updateWithChangeSet` of CometBFT v0.39.4 (types/validator_set.go) refuses; a refusal there stops
every node. The update list is what a node returns: the difference between the row before and after the block.
"""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.governance.operations import AddValidator, RemoveValidator
from tallystick.kernel.governance.records import MAX_VALIDATORS, MIN_VALIDATORS, Engine, ValidatorSet
from tallystick.wire.keys import KEY_BYTES, from_base64
from tallystick.wire.status import Status
from tests.kernel.governance.test_governance import governed
from tests.support.members import key_of, public
from tests.support.world import World

KEYS = [public(key_of(f"validator {number}")) for number in range(20)]
POWER = 1


def address(key: str) -> bytes:
    return hashlib.sha256(from_base64(key, KEY_BYTES)).digest()[:20]


def updates(before: set[str], after: set[str]) -> list[tuple[str, int]]:
    """What the node returns to CometBFT for a block: each key that came with its power, each that went with 0."""
    return [(key, POWER if key in after else 0) for key in sorted(before ^ after)]


def accepts(validators: set[str], changes: list[tuple[str, int]]) -> set[str]:
    """The set after the changes, as CometBFT makes it; it must refuse none of them."""
    seen = [address(key) for key, _ in changes]
    assert len(set(seen)) == len(seen), "duplicate entry"
    removed = {key for key, power in changes if power == 0}
    added = {key for key, power in changes if power > 0}
    assert removed <= validators, "failed to find validator to remove"
    assert added - validators or removed != validators, "empty set"
    return (validators | added) - removed


def keys_of(world: World) -> set[str]:
    row: ValidatorSet = world.row(ValidatorSet, "chain")
    keys = [one.key for one in row.validators]
    assert len(set(keys)) == len(keys)
    return set(keys)


STEP = st.tuples(st.booleans(), st.integers(0, len(KEYS) - 1))
BLOCK = st.lists(st.lists(STEP, min_size=1, max_size=4), max_size=5)


def operation(adds: bool, number: int) -> Operation:
    return AddValidator(key=KEYS[number], validator="node") if adds else RemoveValidator(key=KEYS[number])


@settings(max_examples=150, deadline=None)
@given(st.integers(MIN_VALIDATORS, 14), st.lists(BLOCK, max_size=6))
def test_every_update_is_one_that_cometbft_takes(count: int, blocks: list[list[list[tuple[bool, int]]]]) -> None:
    world, one, two = governed(Engine.CONSORTIUM, count)
    theirs = keys_of(world)
    for block in blocks:
        before = keys_of(world)
        height = world.height
        for steps in block:
            raw = world.sign(*(operation(*step) for step in steps), by=one, also=(two,))
            assert world.submit(raw).status is not Status.KERNEL_FAULT
            world.height = height  # all of them in one block
        world.height = height + 1
        after = keys_of(world)
        theirs = accepts(theirs, updates(before, after))
        assert theirs == after
        assert len(after) >= MIN_VALIDATORS
        common = len(before & after)
        assert common * 3 > len(before) * 2, "a third or more of the validators went at once"
        assert common * 3 > len(after) * 2, "a third or more of the validators came at once"


def test_a_validator_may_go_and_come_back_in_one_block() -> None:
    world, one, two = governed(Engine.CONSORTIUM, 7)
    before = keys_of(world)
    to_and_fro = (RemoveValidator(key=KEYS[0]), AddValidator(key=KEYS[0], validator="node"))
    world.do(*to_and_fro, by=one, also=(two,))
    assert updates(before, keys_of(world)) == []


def test_to_and_fro_counts_twice() -> None:
    world, one, two = governed(Engine.CONSORTIUM, 6)
    to_and_fro = (RemoveValidator(key=KEYS[0]), AddValidator(key=KEYS[0], validator="node"))
    world.do(*to_and_fro, by=one, also=(two,), expect=Status.TOO_MANY)


def test_there_is_a_most_of_them() -> None:
    world, one, two = governed(Engine.CONSORTIUM, 4)
    full = [public(key_of(f"full {number}")) for number in range(MAX_VALIDATORS)]
    row: ValidatorSet = world.row(ValidatorSet, "chain")
    first = row.validators[0]
    world.put(type(row)(id="chain", engine=row.engine, validators=tuple(type(first)(key=k, name="n") for k in full)))
    add = AddValidator(key=KEYS[0], validator="node")
    result = world.do(add, by=one, also=(two,), expect=Status.TOO_MANY, vector="validator.add/over_the_most")
    assert result.facts["limit"] == MAX_VALIDATORS
