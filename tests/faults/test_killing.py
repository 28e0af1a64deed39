"""`kill -9` of a node, of CometBFT and of both: at random, and at every step of ABCI, under load."""

import itertools
import random

import pytest

from tests.faults.cluster import Cluster
from tests.faults.conftest import Founding
from tests.faults.member import Struck

KILLS = 6
DYING_SECONDS = 60.0
STEPS = ("info", "check_tx", "prepare_proposal", "process_proposal", "finalize_block", "commit")
MOMENTS = ("before", "after")

pytestmark = [pytest.mark.faults, pytest.mark.engine]


@pytest.mark.parametrize("struck", Struck)
def test_kill_9_at_random_under_load(cluster: Cluster, chance: random.Random, struck: Struck) -> None:
    load = cluster.under_load()
    for _ in range(KILLS):
        load.wait_more(chance.randint(1, 60), seconds=60)
        number = chance.randrange(4)
        cluster.kill(number, struck)
        if struck is not Struck.COMETBFT:
            cluster.goes_on(of=[other for other in range(4) if other != number], blocks=1)
            cluster.restart(number)
    cluster.goes_on()
    cluster.finish()


def test_kill_9_of_everything_at_once(cluster: Cluster, chance: random.Random) -> None:
    load = cluster.under_load()
    for _ in range(3):
        load.wait_more(chance.randint(1, 60), seconds=60)
        for number in range(4):
            cluster.kill(number, Struck.BOTH)
        for number in range(4):
            cluster.members[number].start()
        cluster.goes_on(blocks=1)
    cluster.finish()


def test_kill_9_of_a_node_as_the_chain_begins(founded: Founding) -> None:
    cluster = founded()
    cluster.members[0].start("node:before:init_chain:1")
    cluster.members[1].start("node:after:init_chain:1")
    for number in (2, 3):
        cluster.members[number].start()
    for number in (0, 1):
        cluster.members[number].wait_end(DYING_SECONDS)
        cluster.restart(number)
    cluster.under_load()
    cluster.goes_on()
    cluster.finish()


def test_kill_9_of_a_node_at_each_step_of_abci(cluster: Cluster, chance: random.Random) -> None:
    load = cluster.under_load()
    for method, moment in chance.sample(list(itertools.product(STEPS, MOMENTS)), len(STEPS) * len(MOMENTS)):
        calls = 1 if method == "info" else chance.randint(1, 4)
        member = cluster.members[chance.randrange(4)]
        print(f"kill -9 of {member} {moment} its {method} number {calls}, at block {cluster.height}")
        assert member.stop() == 0
        member.start(f"node:{moment}:{method}:{calls}")
        member.wait_end(DYING_SECONDS)
        load.wait_more(1, seconds=60)
        cluster.restart(member.number)
    cluster.goes_on()
    cluster.finish()


@pytest.mark.parametrize("place", ["after:finalize_block", "before:commit", "after:commit"])
def test_kill_9_of_cometbft_alone_between_finalize_block_and_commit(
    founded: Founding, chance: random.Random, place: str
) -> None:
    """The node is asked for the same block again (spec/abci, "Crash recovery"), and makes the same of it."""
    cluster = founded()
    cluster.start(f"cometbft:{place}:{chance.randint(2, 6)}", on=(0,))
    cluster.under_load()
    cluster.goes_on(blocks=10)
    assert cluster.members[0].starts_of_cometbft() == 2
    cluster.finish()
