"""A network that parts, heals, drops connections and is slow."""

import random

import pytest

from tests.faults.cluster import Cluster

DELAY_SECONDS = 0.3

pytestmark = [pytest.mark.faults, pytest.mark.engine]


def test_a_member_that_is_cut_off_is_passed_by_and_catches_up(cluster: Cluster, chance: random.Random) -> None:
    alone = chance.randrange(4)
    others = [number for number in range(4) if number != alone]
    cluster.under_load()
    cluster.links.part([alone], others)
    cluster.goes_on(of=others, blocks=10)
    before = cluster.members[alone].height()
    cluster.goes_on(of=others)
    assert cluster.members[alone].height() == before
    cluster.links.restore()
    cluster.goes_on()
    cluster.finish()


def test_two_halves_order_nothing_until_they_meet_again(cluster: Cluster) -> None:
    load = cluster.under_load()
    load.wait_more(20, seconds=60)
    cluster.links.part((0, 1), (2, 3))
    cluster.stands_still()
    cluster.links.restore()
    cluster.goes_on()
    cluster.finish()


def test_connections_that_break_again_and_again_are_made_again(cluster: Cluster, chance: random.Random) -> None:
    load = cluster.under_load()
    for _ in range(10):
        load.wait_more(chance.randint(1, 30), seconds=90)
        cluster.links.drop(*chance.sample(range(4), 2))
    cluster.goes_on()
    cluster.finish()


def test_partitions_that_change_all_the_time(cluster: Cluster, chance: random.Random) -> None:
    cluster.under_load()
    for _ in range(4):
        order = chance.sample(range(4), 4)
        at = chance.randint(1, 3)
        cluster.links.part(order[:at], order[at:])
        if chance.random() < 0.5:
            for one in order[:at]:
                for other in order[at:]:
                    cluster.links.drop(one, other)
        cluster.wait_a_moment()
        cluster.links.restore()
        cluster.goes_on(blocks=1)
    cluster.finish()


def test_slow_messages_slow_the_chain_and_nothing_else(cluster: Cluster) -> None:
    load = cluster.under_load()
    for one in range(4):
        for other in range(one):
            cluster.links.delay(one, other, DELAY_SECONDS)
    took = load.wait_more(50, seconds=120)
    print(f"50 steps in {took:.1f} s with {DELAY_SECONDS} s on every link")
    cluster.finish()
