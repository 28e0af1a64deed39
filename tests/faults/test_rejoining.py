"""Members that come late: after a thousand blocks, or from a snapshot; and changes that would stop everybody."""

import random

import pytest

from tallystick.kernel.core.operation import Operation
from tallystick.kernel.governance.operations import AddValidator, RemoveValidator
from tallystick.ledger.engine import Committed
from tallystick.node.cometbft.settings import Blocks, Keeping, StateSync
from tallystick.wire.status import Status
from tests.faults.cluster import HEAL_SECONDS, Cluster
from tests.faults.conftest import Founding
from tests.faults.member import Member, Struck, until
from tests.support.members import key_of, public

LONG = 1_000  # blocks
LONG_SECONDS = 600.0
DYING_SECONDS = 90.0
SYNC_STEPS = ("offer_snapshot", "apply_snapshot_chunk")
QUICK = Blocks(commit_wait_ms=10, proposal_wait_ms=100)

pytestmark = [pytest.mark.faults, pytest.mark.engine]


def test_a_member_that_was_away_for_a_thousand_blocks_rejoins(founded: Founding, chance: random.Random) -> None:
    cluster = founded(blocks=QUICK)
    cluster.start()
    cluster.under_load(on=(0, 1, 2))
    cluster.goes_on()
    cluster.kill(3, Struck.BOTH)
    took = cluster.goes_on(of=(0, 1, 2), blocks=LONG, seconds=LONG_SECONDS)
    cluster.restart(3)
    again = cluster.goes_on()
    print(f"{LONG} blocks in {took:.1f} s; the member had caught up {again:.1f} s after it answered")
    cluster.finish()


def joining(cluster: Cluster) -> Member:
    """A fifth member that will begin from a snapshot of the others, who are under load."""
    cluster.start()
    cluster.under_load()
    cluster.wait_height(100)
    trusted = cluster.members[0].engine.light_block(50).header
    return cluster.ground.join(
        state_sync=StateSync(
            rpc_servers=(cluster.ground.rpc_address(0), cluster.ground.rpc_address(1)),
            trust_height=trusted.height,
            trust_hash=trusted.hash().hex(),
        )
    )


def joins(cluster: Cluster, twin: Member) -> None:
    """It starts, and has taken a snapshot in and gone on from it."""
    twin.start()
    twin.wait_ready()
    cluster.goes_on()
    until(lambda: twin.lowest_height() > 0, HEAL_SECONDS, f"{twin} has a block after its snapshot")
    twin.first_height = twin.lowest_height()
    assert twin.first_height > 50, "it has replayed the chain instead"


def test_a_state_synced_twin_computes_the_same_for_a_thousand_blocks(founded: Founding) -> None:
    cluster = founded(blocks=QUICK, keeping=Keeping(snapshot_every_blocks=40, snapshots=2))
    twin = joining(cluster)
    joins(cluster, twin)
    took = cluster.goes_on(blocks=LONG, seconds=LONG_SECONDS)
    print(f"from a snapshot below block {twin.first_height}, then {LONG} blocks in {took:.1f} s")
    cluster.finish()


def test_kill_9_of_a_joining_node_at_each_step_of_state_sync(founded: Founding, chance: random.Random) -> None:
    cluster = founded(blocks=QUICK, keeping=Keeping(snapshot_every_blocks=40, snapshots=2))
    twin = joining(cluster)
    steps = [(method, moment) for method in SYNC_STEPS for moment in ("before", "after")]
    for method, moment in chance.sample(steps, len(steps)):
        print(f"kill -9 of {twin} {moment} its first {method}, at block {cluster.height}")
        twin.start(f"node:{moment}:{method}:1")
        twin.wait_end(DYING_SECONDS)
    joins(cluster, twin)
    cluster.goes_on()
    cluster.finish()


def test_a_validator_update_that_would_stop_every_node_is_refused(cluster: Cluster) -> None:
    cluster.under_load()
    engine = cluster.members[0].engine

    def decided(name: str, *operations: Operation) -> Status:
        outcome = engine.submit(cluster.steps.sign(*operations, by="governor", name=name))
        assert isinstance(outcome, Committed), outcome
        return outcome.status

    first, strange = cluster.ground.validator_key(0), public(key_of("stranger"))
    assert decided("below-four", RemoveValidator(key=first)) is Status.STILL_NEEDED
    assert decided("unknown", RemoveValidator(key=strange)) is Status.NOT_FOUND
    assert decided("twice", AddValidator(key=first, validator="v0")) is Status.RECORD_EXISTS
    small_order = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    assert decided("unsound", AddValidator(key=small_order, validator="weak")) is Status.UNSOUND_KEY
    to_and_fro = (AddValidator(key=strange, validator="v4"), RemoveValidator(key=strange))
    assert decided("to-and-fro", *to_and_fro) is Status.TOO_MANY
    many = [AddValidator(key=public(key_of(f"new {at}")), validator=f"new {at}") for at in range(2)]
    assert decided("a-third-at-once", *many) is Status.TOO_MANY
    cluster.goes_on()
    cluster.finish()
