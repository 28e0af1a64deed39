"""The same transactions give the same bytes: whatever the hash seed, locale, time zone or version of Python.

Two honest nodes differ in none of these only by luck; what differs here would fork a consortium.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ("3.11", "3.12", "3.13")

pytestmark = pytest.mark.engine


def fixed_run(python: str | Path = sys.executable, chunk: int = 25, **environment: str) -> list[str]:
    """The lines of `fixed_run` in a process of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    command = [str(python), "-m", "tests.ledger.fixed_run", str(chunk)]
    done = subprocess.run(
        command, cwd=ROOT, env={**inherited, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def expected() -> list[str]:
    lines = fixed_run(PYTHONHASHSEED="0")
    assert len(lines) > 8
    return lines


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "1"},
        {"PYTHONHASHSEED": "4294967295", "TZ": "America/New_York"},
        {"TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "TZ": "Pacific/Kiritimati"},
        {"PYTHONOPTIMIZE": "2"},
    ],
    ids=lambda environment: " ".join(f"{name}={value}" for name, value in environment.items()),
)
def test_nothing_of_the_environment_gets_in(expected: list[str], environment: dict[str, str]) -> None:
    assert fixed_run(**environment) == expected


def interpreter(version: str) -> Path | None:
    """A Python of that version on this machine: on the path, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [*sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)]
    found = shutil.which(f"python{version}")
    if found is not None:
        candidates.append(Path(found))
    for candidate in candidates:
        asked = subprocess.run(
            [candidate, "-c", "import sys; print(*sys.version_info[:2], sep='.')"], capture_output=True, check=False
        )
        if asked.returncode == 0 and asked.stdout.decode().strip() == version:
            return candidate
    return None


def environment_for(version: str) -> Path:
    """An environment of that version with the locked packages, made once under var/."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine; the others are tested")
    directory = ROOT / "var" / f"python-{version}"
    settings = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(directory), "UV_PYTHON_DOWNLOADS": "never"}
    settings.pop("VIRTUAL_ENV", None)
    made = subprocess.run(
        [sys.executable, "-m", "uv", "sync", "--frozen", "--no-dev", "--quiet", "--python", str(python)],
        cwd=ROOT,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.fail(f"the locked packages could not be installed for Python {version}: {made.stderr.strip()[-200:]}")
    return directory / "bin" / "python"


@pytest.mark.parametrize("version", [v for v in VERSIONS if v != f"{sys.version_info[0]}.{sys.version_info[1]}"])
def test_every_supported_python_agrees(expected: list[str], version: str) -> None:
    assert fixed_run(environment_for(version), PYTHONHASHSEED="99") == expected


def test_a_restored_snapshot_goes_on_alike(expected: list[str]) -> None:
    assert "restored: the same" in expected


def test_how_blocks_are_cut_is_part_of_the_result(expected: list[str]) -> None:
    """Not a promise but a limit: heights and block times are in records, so nodes must agree on the blocks.

    The consensus cuts them, and so does the archive when a ledger is executed again (docs/spec/block.md).
    """
    other = fixed_run(chunk=40, PYTHONHASHSEED="0")
    assert other[-1] == expected[-1], "the vectors have nothing to do with blocks"
    assert other[-3] != expected[-3]
    assert fixed_run(chunk=40, PYTHONHASHSEED="5") == other
