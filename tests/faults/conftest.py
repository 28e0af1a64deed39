"""A consortium for each test, the seed of what is thrown at it, and what is left of it when a test fails."""

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.cluster import Cluster

SEED_VARIABLE = "TALLYSTICK_FAULT_SEED"

Founding = Callable[..., Cluster]


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """What happens by chance in this test; pytest shows the seed where the test fails."""
    seed = os.environ.get(SEED_VARIABLE) or str(random.SystemRandom().randrange(2**32))
    print(f"{SEED_VARIABLE}={seed}")
    return random.Random(f"{seed} {request.node.name}")


@pytest.fixture
def founded(chance: random.Random) -> Iterator[Founding]:
    """A function that founds a consortium, with settings of its members. Its homes stay where a test fails."""
    clusters: list[Cluster] = []

    def found(**settings: Any) -> Cluster:
        directory = Path(tempfile.mkdtemp(prefix="tally-"))  # a socket's path must be short
        clusters.append(Cluster(directory, chance, **settings))
        return clusters[-1]

    yield found
    for cluster in clusters:
        cluster.close()
        if cluster.is_finished:
            shutil.rmtree(cluster.directory)
        else:
            print(f"homes are left in {cluster.directory}")


@pytest.fixture
def cluster(founded: Founding) -> Cluster:
    """Four members that run."""
    made = founded()
    made.start()
    return made
