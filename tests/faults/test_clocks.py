"""Clocks that jump, and an hour in which nothing happened."""

import random

import pytest

from tallystick.ledger.engine import Committed, RefusedAtDoor
from tallystick.wire.instants import Instant
from tallystick.wire.status import Status
from tests.faults.cluster import Cluster
from tests.faults.conftest import Founding
from tests.faults.founding import now
from tests.faults.shifted_cometbft import ClockFile

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
FRESH_MS = 5_000

pytestmark = [pytest.mark.faults, pytest.mark.engine]


def block_time(cluster: Cluster, height: int) -> Instant:
    return Instant(cluster.members[1].engine.light_block(height).header.time // 1_000_000)


@pytest.mark.parametrize("jump", [HOUR_MS, -HOUR_MS])
def test_a_clock_that_jumps_disturbs_its_own_member_alone(founded: Founding, chance: random.Random, jump: int) -> None:
    cluster = founded()
    clock = ClockFile(cluster.directory / "clock")
    cluster.members[0].environment = clock.environment
    cluster.start(clock.sabotage, on=(0,))
    cluster.under_load()
    cluster.goes_on()
    clock.set(jump)
    cluster.goes_on(blocks=12)
    off = now() - block_time(cluster, cluster.height - 1)
    assert abs(off) < FRESH_MS, f"blocks are dated {off} ms ago: one of four clocks decides on the time"
    clock.set(0)
    cluster.goes_on(blocks=12)
    cluster.finish()


def test_a_transaction_whose_deadline_passed_in_an_idle_hour_is_refused(founded: Founding) -> None:
    cluster = founded(began=now().plus(-2 * HOUR_MS))
    clock = ClockFile(cluster.directory / "clock")
    clock.set(-HOUR_MS)
    for member in cluster.members:
        member.environment = clock.environment
    cluster.start(clock.sabotage, on=range(4))
    load = cluster.under_load()
    load.wait_more(20, seconds=60)
    load.stop()
    resting = cluster.wait_rest()
    assert now() - block_time(cluster, resting - 1) > HOUR_MS - MINUTE_MS

    clock.set(0)
    late = cluster.steps.anchoring("too late", name="late", not_after=now().plus(-HOUR_MS // 2))
    outcome = cluster.members[0].engine.submit(late)
    assert isinstance(outcome, RefusedAtDoor), outcome
    assert outcome.status is Status.EXPIRED
    in_time = cluster.steps.anchoring("in time", name="in-time", not_after=now().plus(MINUTE_MS))
    done = cluster.members[0].engine.submit(in_time)
    assert isinstance(done, Committed), done
    assert done.status is Status.OK
    cluster.other_documents = 1
    cluster.wait_rest()
    old = now() - block_time(cluster, done.height)
    assert old < MINUTE_MS, f"the first steps after the hour are dated {old} ms ago"
    cluster.finish()
