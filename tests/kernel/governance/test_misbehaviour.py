"""Misbehaviour that the consensus engine reports is recorded once and told to governors and auditors."""

import hashlib

import msgspec
import pytest

from tallystick.kernel import machine
from tallystick.kernel.chain_rows import Closed
from tallystick.kernel.core.events import Event
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.core.step import Block, Misbehaviour
from tallystick.kernel.governance import misbehaviour
from tallystick.kernel.governance.misbehaviour import UNKNOWN_VALIDATOR, Equivocation
from tallystick.kernel.governance.operations import RemoveValidator
from tallystick.kernel.governance.records import Engine, ValidatorSet
from tallystick.proof.comet import address_of
from tallystick.wire.instants import DAY_MS
from tallystick.wire.keys import KEY_BYTES, from_base64
from tests.kernel.governance.test_governance import KEYS, governed
from tests.support.members import apply_as
from tests.support.world import World


def report(world: World, number: int, height: int = 3, kind: str = "duplicate_vote") -> Misbehaviour:
    """What CometBFT says of a validator."""
    address = hashlib.sha256(from_base64(KEYS[number], KEY_BYTES)).digest()[:20].hex().upper()
    values = {"kind": kind, "validator": address, "height": height, "power": 1, "total_power": 5}
    return msgspec.convert({**values, "time": world.now}, Misbehaviour)


def block_with(world: World, *reports: Misbehaviour) -> tuple[list[Event], list[str]]:
    """The start of a block that carries these."""
    overlay = Overlay(world.state)
    block = Block(world.height, world.now, world.today(), b"\0" * 32, reports)
    told = machine.due_work(overlay, world.chain, block)
    world.state.commit(overlay)
    world.height += 1
    return told


def consortium() -> tuple[World, str, str]:
    return governed(Engine.CONSORTIUM, 5)


def test_a_validator_that_votes_twice_is_recorded_and_told() -> None:
    world, _, _ = consortium()
    said = report(world, 2)
    (event,), faults = block_with(world, said)
    assert not faults
    row = world.row(Equivocation, f"{said.validator}-3")
    assert (row.validator, row.kind, row.at_height, row.reported_height) == ("node 2", "duplicate_vote", 3, 1)
    assert (row.power, row.total_power, row.at) == (1, 5, world.now)
    assert event.audience == ("role/governor", "role/auditor")
    assert (event.kind, event.record) == ("validator.equivocated", row.id)
    assert event.facts == {
        "name": "node 2",
        "address": said.validator,
        "at_height": 3,
        "kind": "duplicate_vote",
    }


def test_reported_twice_it_is_recorded_once() -> None:
    world, _, _ = consortium()
    again = report(world, 2)
    events, _ = block_with(world, again, again)
    assert len(events) == 1
    first = world.row(Equivocation, f"{again.validator}-3")
    assert block_with(world, again) == ([], [])
    assert world.row(Equivocation, f"{again.validator}-3") == first
    events, _ = block_with(world, report(world, 2, 4), report(world, 3, 3, "light_client_attack"))
    assert [(one.record[41:], one.facts["kind"]) for one in events] == [
        ("4", "duplicate_vote"),
        ("3", "light_client_attack"),
    ]


def test_one_that_was_removed_meanwhile_is_recorded_by_its_address() -> None:
    world, one, two = consortium()
    world.do(RemoveValidator(key=KEYS[2]), by=one, also=(two,))
    (event,), _ = block_with(world, report(world, 2))
    assert event.facts["name"] == UNKNOWN_VALIDATOR
    assert world.row(Equivocation, event.record).validator == ""


def test_addresses_are_cometbft_s() -> None:
    world, _, _ = consortium()
    for validator in world.row(ValidatorSet, "chain").validators:
        assert validator.address == address_of(from_base64(validator.key, KEY_BYTES)).hex().upper()


def test_a_fault_in_recording_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world, _, _ = consortium()

    def faulty(*_: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(misbehaviour, "_row_of", faulty)
    before = dict(world.state.rows)
    assert block_with(world, report(world, 2)) == ([], ["misbehaviours: ZeroDivisionError: planted"])
    assert world.state.rows == before


def test_a_closed_chain_does_no_work() -> None:
    world, one, _ = consortium()
    apply_as(world, "Applicant", one)
    world.now = world.now.plus(400 * DAY_MS)
    assert machine.is_due(world.state, world.now)
    world.put(Closed(id="chain", successor="next", height=1, validators=()))
    assert not machine.is_due(world.state, world.now)
    assert block_with(world, report(world, 2)) == ([], [])
