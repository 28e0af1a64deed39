"""Members that do nothing for a while: one of four does not matter, two halt the chain, and nothing is lost."""

import pytest

from tests.faults.cluster import Cluster

pytestmark = [pytest.mark.faults, pytest.mark.engine]


def test_one_paused_member_of_four_stops_nobody(cluster: Cluster) -> None:
    cluster.under_load(on=(0, 1, 2))
    cluster.members[3].pause()
    cluster.goes_on(of=(0, 1, 2), blocks=10)
    cluster.members[3].resume()
    cluster.goes_on()
    cluster.finish()


def test_two_paused_members_halt_the_chain_and_it_heals_when_they_go_on(cluster: Cluster) -> None:
    load = cluster.under_load(on=(0, 1))
    load.wait_more(20, seconds=60)
    cluster.members[2].pause()
    cluster.members[3].pause()
    cluster.stands_still()
    cluster.members[3].resume()
    cluster.goes_on(of=(0, 1, 3))
    cluster.members[2].resume()
    cluster.goes_on()
    cluster.finish()
