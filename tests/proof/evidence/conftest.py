"""One ledger for all tests of evidence, which change nothing but copies of its bundles."""

from collections.abc import Iterator

import pytest

from tallystick.proof.evidence.bundle import Bundle
from tests.support.bundles import Ledger
from tests.support.told import Told


@pytest.fixture(scope="session")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """The ledger of `tests/support/bundles.py`."""
    ledger = Ledger(tmp_path_factory.mktemp("evidence"))
    yield ledger
    ledger.close()


class Bundles(dict[str, Bundle]):
    """Bundles by what they are about, which a failing test doesn't print."""

    def __repr__(self) -> str:
        return f"the bundles of {', '.join(self)}"


@pytest.fixture(scope="session")
def bundles(ledger: Ledger) -> dict[str, Bundle]:
    """The bundle of each thing on it."""
    return Bundles({thing: ledger.bundle(thing) for thing in ledger.things})


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The ledger of `tests/support/told.py`."""
    told = Told(tmp_path_factory.mktemp("told"))
    yield told
    told.close()
