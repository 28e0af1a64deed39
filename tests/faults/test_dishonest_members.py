"""A member that computes something else than the others, and one whose validator signs twice."""

import pytest

from tallystick.kernel.governance.misbehaviour import Equivocation
from tests.faults.cluster import Cluster
from tests.faults.conftest import Founding
from tests.faults.member import until

CAUGHT_SECONDS = 180.0

pytestmark = [pytest.mark.faults, pytest.mark.engine]


def test_a_member_whose_app_computes_a_wrong_hash_stops_and_the_rest_go_on(founded: Founding) -> None:
    cluster = founded()
    cluster.start("hash:after:finalize_block:6", on=(0,))
    cluster.under_load(on=(1, 2, 3))
    cluster.goes_on(of=(1, 2, 3), blocks=12)
    assert cluster.members[0].height() <= 7, "it goes on with a state of its own"
    cluster.members[0].end()
    cluster.members[0].forget_everything()
    cluster.restart(0)
    cluster.goes_on()
    cluster.finish()


def test_a_validator_that_signs_twice_is_recorded_on_the_ledger(cluster: Cluster) -> None:
    cluster.under_load(on=(0, 1, 2, 3))
    twin = cluster.ground.join(key_of=3)
    twin.start()

    def records() -> list[Equivocation]:
        return [row for row in cluster.members[0].engine.scan("equivocation") if isinstance(row, Equivocation)]

    took = until(lambda: bool(records()), CAUGHT_SECONDS, "the double vote is on the ledger")
    twin.end()
    caught = records()[0]
    assert (caught.kind, caught.validator) == ("duplicate_vote", "v3")
    print(f"caught after {took:.1f} s: {caught}")
    cluster.goes_on(of=(0, 1, 2))
    cluster.finish(without={twin.number})
