"""A consortium's genesis file: who validates, and in whose home an organisation's keys are."""

import pytest

from tallystick.kernel.governance.records import Engine
from tallystick.node.composition import trial_key, trial_validator_key
from tallystick.node.genesis_file import GenesisFile
from tallystick.wire.errors import DecodeError
from tallystick.wire.instants import Instant
from tests.support.commands import GENESIS

NOW = Instant.parse("2026-11-22T08:00:00.000Z")
FOUR = ("north", "south", "east", "west")


def consortium(*validators: str, top: str = 'engine = "consortium"\n') -> str:
    tables = "".join(f"\n[[validators]]\n{one}\n" for one in validators)
    return top + GENESIS + tables


def named(*names: str) -> list[str]:
    return [f'name = "{name}"' for name in names]


def read(text: str) -> GenesisFile:
    return GenesisFile(text, "genesis.toml")


def test_the_validators_that_are_listed_are_those_of_the_genesis() -> None:
    keys = {name: trial_validator_key(name) for name in FOUR}
    file = read(consortium(*(f'name = "{name}"\nkey = "{key}"' for name, key in keys.items())))
    genesis = file.build(trial_key, _nobody, NOW)
    assert genesis.engine is Engine.CONSORTIUM
    assert {one.name: one.key for one in genesis.validators} == keys


def test_a_file_that_lists_none_is_that_of_an_operator() -> None:
    genesis = read(GENESIS).build(trial_key, trial_validator_key, NOW)
    assert (genesis.engine, [one.name for one in genesis.validators]) == (Engine.EMBEDDED, ["operator"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (consortium(top='engine = "raft"\n'), "line 1, engine: 'raft' is none; there are embedded, consortium"),
        (consortium(*named("north"), top=""), "only a consortium lists validators"),
        (consortium(top='engine = "consortium"\noperator = "Tideway"\n'), "a consortium has no operator"),
        (consortium('key = "x"'), "a validator has a name and a key"),
        (consortium('name = "north"\npower = 3'), "a validator has a name and a key"),
        (consortium(*named("north", "north")), "a name is given twice"),
        (consortium(*named("north")), "the key of 'north' is needed"),
        (consortium('name = "north"\nkey = "nonsense"'), "validators[0].key"),
        (consortium().replace("sandbox = true", "sandbox = false"), "validators"),
    ],
)
def test_what_is_wrong_with_validators_is_named(text: str, said: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read(text).build(trial_key, _nobody, NOW)
    assert said in str(caught.value)


def test_on_one_machine_each_organisations_keys_are_in_one_home() -> None:
    text = consortium(*named(*FOUR)).replace('folder = "askew"', 'folder = "askew"\nnode = "west"')
    kept = read(text).on_one_machine(None).custody()
    assert kept == {"audit": "north", "millbrook": "south", "askew": "west", "northern": "west", "haven": "north"}


def test_a_file_without_validators_serves_for_any_number_of_nodes() -> None:
    made = read(GENESIS).on_one_machine(5)
    assert [one["name"] for one in made.validators] == [f"member-{number}" for number in range(1, 6)]
    assert made.build(trial_key, trial_validator_key, NOW).engine is Engine.CONSORTIUM
    assert read(GENESIS).engine is Engine.EMBEDDED


@pytest.mark.parametrize(
    ("text", "members", "said"),
    [
        ('engine = "embedded"\n' + GENESIS, None, "an embedded ledger's file"),
        (consortium(*named(*FOUR)), 5, "4 are named here, and 5 members are asked for"),
        (consortium('name = "north"\nkey = "x"'), None, "its key is given"),
    ],
)
def test_a_file_that_one_machine_cannot_follow_is_refused(text: str, members: int | None, said: str) -> None:
    with pytest.raises(DecodeError, match=said):
        read(text).on_one_machine(members)


def test_a_home_that_no_validator_has_is_named() -> None:
    text = consortium(*named(*FOUR)).replace('folder = "askew"', 'folder = "askew"\nnode = "centre"')
    with pytest.raises(DecodeError, match="no validator is called 'centre'"):
        read(text).on_one_machine(None).custody()


def _nobody(name: str) -> str:
    raise DecodeError(f"the key of {name!r} is needed")
