"""The door: decided by chain, time, keys and policies alone; nothing is written and nothing else is looked at."""

import datetime
import hashlib

import pytest

from tallystick.kernel import machine
from tallystick.kernel.core.state import Overlay
from tallystick.kernel.documents.anchors import AnchorDocument
from tallystick.kernel.membership.keys import AddKey, RevokeKey, SetSigningPolicy
from tallystick.kernel.membership.limits import LimitScope, SetLimit
from tallystick.kernel.membership.records import KeyRole, Role, SigningRule
from tallystick.kernel.transaction import Seen, Transaction, body_bytes, read
from tallystick.wire import envelope
from tallystick.wire.amounts import Units
from tallystick.wire.envelope import NOT_AFTER_LIMIT_MS
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.support.members import anchor, key_of, public
from tests.support.world import CHAIN_ID, World

PAPER = AnchorDocument(anchor=anchor())


def chain() -> tuple[World, str, str]:
    world = World()
    return world, world.member("Client", Role.CLIENT), world.member("Funder", Role.FUNDER)


def at_door(world: World, raw: bytes) -> Status | None:
    """The door's answer, which reads the state and leaves it alone."""
    transaction = read(raw)
    assert isinstance(transaction, Transaction), transaction
    block = world.block()
    overlay = Overlay(world.state)
    world.state.looked_up.clear()
    refusal = machine.door(overlay, world.chain, block, transaction)
    assert overlay.records == {}
    assert {key.split("/")[0] for key in world.state.looked_up} <= {"closed", "key", "member"}
    return refusal.status if refusal is not None else None


def test_another_chains_transaction() -> None:
    world, client, _ = chain()
    assert at_door(world, world.sign(PAPER, by=client, chain="tallystick-other")) is Status.WRONG_CHAIN


def test_a_transaction_lives_until_its_instant_and_not_a_millisecond_longer() -> None:
    world, client, _ = chain()
    raw = world.sign(PAPER, by=client, not_after=world.now.plus(1_000))
    world.now = world.now.plus(1_000)
    assert at_door(world, raw) is None
    world.now = world.now.plus(1)
    assert at_door(world, raw) is Status.EXPIRED


def test_a_transaction_does_not_live_longer_than_a_week() -> None:
    world, client, _ = chain()
    assert at_door(world, world.sign(PAPER, by=client, not_after=world.now.plus(NOT_AFTER_LIMIT_MS))) is None
    far = world.sign(PAPER, by=client, not_after=world.now.plus(NOT_AFTER_LIMIT_MS + 1))
    assert at_door(world, far) is Status.NOT_AFTER_TOO_FAR
    world.now = world.now.plus(1)
    assert at_door(world, far) is None


def test_the_block_that_a_signer_saw_is_on_this_chain() -> None:
    world, client, _ = chain()
    seen = hashlib.sha256(b"block one").hexdigest()
    raw = world.sign(PAPER, by=client, seen=Seen(height=1, block=seen))
    assert at_door(world, raw) is Status.SEEN_UNKNOWN
    world.state.hashes[1] = hashlib.sha256(b"another").hexdigest()
    assert at_door(world, raw) is Status.SEEN_UNKNOWN
    world.state.hashes[1] = seen
    assert at_door(world, raw) is None


def test_unknown_and_foreign_keys() -> None:
    world, client, _ = chain()
    assert at_door(world, world.sign(PAPER, by=client, keys=(key_of("nobody"),))) is Status.KEY_UNKNOWN
    # The funder's key signs for no organisation that this body names.
    assert at_door(world, world.sign(PAPER, by=client, keys=(key_of("Funder"),))) is Status.KEY_UNKNOWN
    world.keys[client] = key_of("Funder")
    assert at_door(world, world.sign(PAPER, by=client)) is Status.KEY_UNKNOWN


def test_a_revoked_key() -> None:
    world, client, _ = chain()
    world.do(AddKey(key=public(key_of("second")), role=KeyRole.ADMIN), by=client, keys=(key_of("second"),))
    world.do(RevokeKey(key=public(key_of("second"))), by=client)
    world.keys[client] = key_of("second")
    assert at_door(world, world.sign(PAPER, by=client)) is Status.KEY_REVOKED


def test_one_key_too_many_and_one_too_few() -> None:
    world, client, _ = chain()
    for name, role in (("maker", KeyRole.MAKER), ("checker", KeyRole.CHECKER)):
        world.do(AddKey(key=public(key_of(name)), role=role), by=client, keys=(key_of(name),))
    assert at_door(world, world.sign(PAPER, by=client, keys=(key_of("maker"),))) is Status.SUPERFLUOUS_SIGNATURE
    rule = SigningRule(pattern="document.*", makers=1, checkers=1)
    world.do(SetSigningPolicy(rules=(rule,)), by=client)
    assert at_door(world, world.sign(PAPER, by=client)) is Status.POLICY_NOT_MET
    world.keys[client] = key_of("maker")
    assert at_door(world, world.sign(PAPER, by=client)) is Status.POLICY_NOT_MET
    assert at_door(world, world.sign(PAPER, by=client, keys=(key_of("checker"),))) is None
    # What the policy does not mention needs any one key; what concerns keys, an admin's.
    assert at_door(world, world.sign(SetSigningPolicy(rules=()), by=client)) is Status.POLICY_NOT_MET


def test_every_named_organisation_signs() -> None:
    world, client, funder = chain()
    body = body_bytes(CHAIN_ID, client, "t1", world.now.plus(1), (PAPER,), (funder,))
    half = envelope.sign(body, key_of("Client")).to_bytes()
    assert at_door(world, half) is Status.POLICY_NOT_MET
    assert at_door(world, envelope.sign(body, key_of("Client"), key_of("Funder")).to_bytes()) is None


def test_an_organisation_that_no_operation_needs_is_refused_after_the_order() -> None:
    world, client, funder = chain()
    world.do(
        PAPER,
        by=client,
        also=(funder,),
        expect=Status.SUPERFLUOUS_SIGNATURE,
        vector="document.anchor/superfluous_organisation",
    )


@pytest.mark.parametrize("wrong", ["actor", "twice", "unsorted"])
def test_cosigners_have_one_form(wrong: str) -> None:
    world, client, funder = chain()
    third = world.member("Third", Role.CLIENT)
    sorted_pair = sorted((funder, third))
    cosigners = {"actor": [client], "twice": [funder, funder], "unsorted": sorted_pair[::-1]}[wrong]
    body = body_bytes(CHAIN_ID, client, "t1", world.now.plus(1), (PAPER,), tuple(sorted_pair))
    listed = b",".join(b'"%s"' % name.encode() for name in sorted_pair)
    bent = body.replace(listed, b",".join(b'"%s"' % name.encode() for name in cosigners))
    assert bent != body
    raw = envelope.sign(bent, key_of("Client"), key_of("Funder"), key_of("Third")).to_bytes()
    assert at_door(world, raw) is Status.NOT_CANONICAL


def test_a_chain_sets_how_many_operations_a_transaction_holds() -> None:
    world = World(max_operations=2)
    client = world.member("Client", Role.CLIENT)
    assert at_door(world, world.sign(PAPER, PAPER, by=client)) is None
    assert at_door(world, world.sign(PAPER, PAPER, PAPER, by=client)) is Status.TOO_MANY_OPERATIONS


def test_the_order_of_the_doors_checks() -> None:
    world, client, _ = chain()
    keys = (key_of("nobody"),)
    past = world.sign(PAPER, by=client, keys=keys, chain="tallystick-other", not_after=world.now)
    world.now = world.now.plus(1)
    assert at_door(world, past) is Status.WRONG_CHAIN
    late = world.sign(PAPER, by=client, keys=keys, not_after=world.now)
    world.now = world.now.plus(1)
    assert at_door(world, late) is Status.EXPIRED
    assert at_door(world, world.sign(PAPER, by=client, keys=keys)) is Status.KEY_UNKNOWN


def test_business_is_no_matter_of_the_door() -> None:
    """A step on a record that another step has yet to make passes, so that steps can be pipelined."""
    world, client, funder = chain()
    earlier = AnchorDocument(anchor=anchor(), earlier="doc_" + "0" * 16)
    assert at_door(world, world.sign(earlier, by=client)) is None
    limit = SetLimit(
        scope=LimitScope.FUNDER,
        debtor="mbr_" + "0" * 16,
        currency="XTS",
        units=Units(1),
        until_on=datetime.date(2000, 1, 1),
    )
    assert at_door(world, world.sign(limit, by=funder)) is None


def test_a_refused_operation_takes_the_others_back() -> None:
    world, client, _ = chain()
    missing = AnchorDocument(anchor=anchor(), earlier="doc_" + "0" * 16)
    rows = dict(world.state.rows)
    result = world.do(PAPER, missing, by=client, expect=Status.NOT_FOUND, vector="document.anchor/all_or_nothing")
    assert result.facts["operation"] == 1
    assert result.events == ()
    assert world.state.rows == rows


def test_the_doors_refusals_stand_as_vectors() -> None:
    world, client, _ = chain()
    seen = Seen(height=1, block=hashlib.sha256(b"block one").hexdigest())
    for case, expected, fields in (
        ("wrong_chain", Status.WRONG_CHAIN, {"chain": "tallystick-other"}),
        ("expired", Status.EXPIRED, {"not_after": Instant(int(world.now) - 1)}),
        ("not_after_too_far", Status.NOT_AFTER_TOO_FAR, {"not_after": world.now.plus(NOT_AFTER_LIMIT_MS + 1)}),
        ("seen_unknown", Status.SEEN_UNKNOWN, {"seen": seen}),
        ("key_unknown", Status.KEY_UNKNOWN, {"keys": (key_of("nobody"),)}),
    ):
        world.do(PAPER, by=client, expect=expected, vector=f"document.anchor/{case}", **fields)
