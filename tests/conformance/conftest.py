"""Every test of this folder runs once on each engine, but for those that say whose engine they are about."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.engines import ENGINES, OF_A_CONSORTIUM, OF_ONE_OPERATOR, Embedded, OnCometBFT, Running


@pytest.fixture(params=sorted(ENGINES))
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """An engine on a new ledger."""
    made: Running = ENGINES[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture(params=sorted(OF_ONE_OPERATOR))
def alone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Embedded]:
    """The engine of one operator: it orders by its own clock, and nobody else has the ledger."""
    made = OF_ONE_OPERATOR[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture(params=sorted(OF_A_CONSORTIUM))
def member(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OnCometBFT]:
    """A member's engine of a consortium: blocks are decided by votes, and their time is that of the votes."""
    made = OF_A_CONSORTIUM[request.param](tmp_path)
    yield made
    made.close()
