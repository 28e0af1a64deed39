"""The validators as they are shown: whose, since when, and what they were caught at."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tallystick.kernel.core.step import Misbehaviour
from tallystick.kernel.governance.operations import AddValidator, RemoveValidator
from tallystick.kernel.governance.records import Validator
from tallystick.kernel.membership.records import Role
from tallystick.ledger.engine import Cursor
from tallystick.node.validators import validators
from tests.support.chain import GOVERNOR
from tests.support.grown import NAMES, Former, Grown, GrownChain
from tests.support.members import key_of, public


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[GrownChain]:
    former = Former(tmp_path / "former")
    former.close()
    genesis = former.successor(tmp_path / "snapshot")
    grown = Grown(tmp_path / "grown", genesis, tmp_path / "snapshot")
    yield GrownChain(grown, former.genesis, former.chain.names, former.chain.keys)
    grown.close()


def report(chain: GrownChain, name: str, height: int) -> Misbehaviour:
    address = Validator(key=public(key_of(name)), name=name).address
    said = {"kind": "duplicate_vote", "validator": address, "height": height, "power": 1, "total_power": 4}
    return msgspec.convert({**said, "time": chain.now}, Misbehaviour)


def test_who_validates_since_when_and_what_it_was_caught_at(chain: GrownChain) -> None:
    grown: Grown = chain.engine  # type: ignore[assignment]
    governor = chain.member(GOVERNOR, Role.GOVERNOR)
    done = chain.do(AddValidator(key=public(key_of("member 5")), validator="member 5"), by=governor)
    assert done.place is not None
    grown.misbehaviours = (report(chain, "member 2", 9), report(chain, "member 2", 8), report(chain, "member 1", 8))
    grown.block()
    grown.rest()
    seen = validators(grown)
    assert [one.name for one in seen] == [*NAMES, "member 5"]
    assert [one.since for one in seen] == [0, 0, 0, 0, done.place.height]
    assert [[row.at_height for row in one.equivocations] for one in seen] == [[8], [8, 9], [], [], []]
    told = [
        one.event.facts
        for one in grown.events(Cursor(grown.initial_height))
        if one.event.kind == "validator.equivocated"
    ]
    assert [one["name"] for one in told] == ["member 2", "member 2", "member 1"]
    chain.do(RemoveValidator(key=public(key_of("member 2"))), by=governor)
    seen = validators(grown)
    assert [(one.name, one.is_validator) for one in seen][-2:] == [("member 5", True), ("member 2", False)]
    assert len(seen[-1].equivocations) == 2
