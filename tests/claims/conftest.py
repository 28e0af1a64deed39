"""Every acceptance test runs once on each engine of tests/conformance/engines.py; a new engine joins there."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tallystick.kernel.governance.policies import Policies
from tests.conformance.engines import ENGINES
from tests.support.chain import Chain, founded

Founding = Callable[..., Chain]


@pytest.fixture(params=sorted(ENGINES))
def found(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Founding]:
    """Founds a chain under given policies, on an engine of its own."""
    running = []

    def start(policies: Policies | None = None) -> Chain:
        genesis = founded(policies)
        home = tmp_path / f"node{len(running)}"
        home.mkdir()
        running.append(ENGINES[request.param](home, genesis))
        return Chain(running[-1], genesis)

    yield start
    for each in running:
        each.close()


@pytest.fixture
def chain(found: Founding) -> Chain:
    """A chain under the usual policies."""
    return found()
