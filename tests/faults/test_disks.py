"""A member whose disk is full: it acknowledges nothing more, harms nobody, and comes back when there is room."""

import pytest

from tests.faults.cluster import Cluster
from tests.faults.conftest import Founding
from tests.faults.disk import LimitedFiles, SmallDisk, small_disk
from tests.faults.member import until

STOP_SECONDS = 90.0

pytestmark = [pytest.mark.faults, pytest.mark.engine]


def test_a_member_whose_disk_is_full_stops_and_loses_nothing(founded: Founding) -> None:
    cluster = founded()
    with small_disk(cluster.members[3]) as disk:
        if disk is None:
            pytest.skip("this user may not mount a file system; files that can't grow are tested beside this")
        fill_and_make_room(cluster, disk)


def test_a_member_whose_files_cannot_grow_stops_and_loses_nothing(founded: Founding) -> None:
    cluster = founded()
    fill_and_make_room(cluster, LimitedFiles(cluster.members[3]))


def fill_and_make_room(cluster: Cluster, disk: SmallDisk | LimitedFiles) -> None:
    member = cluster.members[3]
    cluster.start()
    load = cluster.under_load()
    load.wait_more(20, seconds=60)
    disk.fill()
    cluster.goes_on(of=(0, 1, 2), blocks=10)
    behind = member.height()
    took = until(lambda: not member.takes_transactions(), STOP_SECONDS, "the member says that it has stopped")
    print(f"member 3 stands at block {behind}, and said so after {took:.1f} s: {member.health()}")
    cluster.goes_on(of=(0, 1, 2))
    assert member.height() in {behind, -1}
    disk.make_room()
    if not member.is_running:
        cluster.restart(3)
    cluster.goes_on()
    cluster.finish()
