"""Every test of this folder runs once on each engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.engines import ENGINES, Running


@pytest.fixture(params=sorted(ENGINES))
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    """An engine on a new ledger."""
    made: Running = ENGINES[request.param](tmp_path)
    yield made
    made.close()
