"""One demo for all tests that look at what it leaves behind; they change nothing in it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.demo import run


@pytest.fixture(scope="session")
def runs() -> Iterator[tuple[Path, list[str]]]:
    """The home that the demo left, and what each of two runs in it printed. The path is short, as commands name it."""
    with tempfile.TemporaryDirectory(prefix="td") as folder:
        home = Path(folder) / "home"
        printed = []
        for _ in range(2):
            told = run("-m", "tools.demo", "--home", str(home))
            assert told.returncode == 0, told.stdout + told.stderr
            printed.append(told.stdout)
        yield home, printed


@pytest.fixture(scope="session")
def demo(runs: tuple[Path, list[str]]) -> tuple[Path, str]:
    """The home, and what the second run printed, which started anew."""
    return runs[0], runs[1][-1]
