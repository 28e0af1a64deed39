"""A short run of what `make faults` does at length: each kind of `kill -9` and a pause, in one consortium's life."""

import pytest

from tests.faults.cluster import Cluster
from tests.faults.member import Struck

pytestmark = pytest.mark.engine


def test_a_consortium_survives_each_kind_of_kill_9_and_a_pause(cluster: Cluster) -> None:
    load = cluster.under_load()
    load.wait_more(20, seconds=60)
    cluster.kill(0, Struck.COMETBFT)
    cluster.goes_on(blocks=2)
    cluster.kill(1, Struck.NODE)
    cluster.goes_on(of=(0, 2, 3), blocks=2)
    cluster.restart(1)
    cluster.members[2].pause()
    cluster.goes_on(of=(0, 1, 3), blocks=2)
    cluster.members[2].resume()
    cluster.goes_on(blocks=2)
    cluster.kill(3, Struck.BOTH)
    cluster.goes_on(of=(0, 1, 2), blocks=2)
    cluster.restart(3)
    cluster.goes_on(blocks=2)
    cluster.finish()
