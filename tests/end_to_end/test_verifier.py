"""The stand-alone verifier runs where nothing of ours is installed, and says what `tally verify` says."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import Tally, make_home
from tools.verifier import build

pytestmark = pytest.mark.engine

NEEDED = ("nacl", "cffi", "_cffi_backend", "pycparser")
"""PyNaCl and what it needs itself."""


@pytest.fixture
def proven(tmp_path: Path) -> tuple[Tally, Path]:
    """A home, and the bundle of a document that was anchored on its ledger."""
    tally = make_home(tmp_path / "home")
    paper = tmp_path / "paper.txt"
    paper.write_text("the paper")
    tally("document", "anchor", "--as", "askew", "--anchor", f"note:{paper}")
    tally("node", "status")
    bundle = tmp_path / "bundle.json"
    tally("prove-document", str(paper), "--out", str(bundle))
    return tally, bundle


@pytest.fixture
def stranger(tmp_path: Path) -> list[str]:
    """How somebody runs the one file with PyNaCl alone."""
    place = tmp_path / "site"
    place.mkdir()
    for name in NEEDED:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            continue
        origin = Path(found.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        if source.is_dir():
            shutil.copytree(source, place / name)
        else:
            shutil.copy(source, place / source.name)
    file = tmp_path / "tallystick-verify.pyz"
    build(file)
    code = f"import sys, runpy; sys.path.insert(0, {str(place)!r}); runpy.run_path({str(file)!r}, run_name='__main__')"
    return [sys.executable, "-I", "-S", "-c", code]


def run(words: list[str], *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*words, *more], capture_output=True, text=True, timeout=120, check=False)


def test_one_file_and_pynacl_are_enough(proven: tuple[Tally, Path], stranger: list[str], tmp_path: Path) -> None:
    tally, bundle = proven
    genesis = str(tally.home / "genesis.json")

    done = run(stranger, str(bundle), "--genesis", genesis, "--documents", str(tmp_path / "papers"))

    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("PROVEN")
    assert "Askew Books Limited anchors a document of kind note." in " ".join(done.stdout.split())
    assert "1 of 1, the operator" in done.stdout
    (paper,) = (tmp_path / "papers").iterdir()
    assert paper.read_text() == "the paper"
    assert json.loads(run(stranger, str(bundle), "--genesis", genesis, "--json").stdout)["holds"] is True
    same = tally("verify", str(bundle), "--genesis", genesis)
    assert same.out.splitlines()[:5] == done.stdout.splitlines()[:5]


def test_what_is_altered_or_unreadable_has_its_exit_code(
    proven: tuple[Tally, Path], stranger: list[str], tmp_path: Path
) -> None:
    tally, bundle = proven
    genesis = str(tally.home / "genesis.json")
    altered = tmp_path / "altered.json"
    altered.write_bytes(bundle.read_bytes().replace(b'"kind":"note"', b'"kind":"vote"'))

    refused = run(stranger, str(altered), "--genesis", genesis)
    assert refused.returncode == 1
    assert refused.stdout.startswith("NOT PROVEN")
    assert json.loads(tally("verify", str(altered), "--genesis", genesis, "--json", expect=1).out)["holds"] is False
    altered.write_bytes(bundle.read_bytes()[:-1])
    assert run(stranger, str(altered), "--genesis", genesis).returncode == 2
    assert run(stranger, str(tmp_path / "nothing"), "--genesis", genesis).returncode == 2
    assert run(stranger, str(bundle), "--genesis", str(bundle)).returncode == 2


def test_what_nothing_anchors_cannot_be_proven(proven: tuple[Tally, Path], tmp_path: Path) -> None:
    tally, _ = proven
    other = tmp_path / "other.txt"
    other.write_text("never anchored")
    assert "no record on the ledger anchors this file" in tally("prove-document", str(other), expect=2).err


def test_the_same_sources_give_the_same_file(tmp_path: Path) -> None:
    build(tmp_path / "one.pyz")
    build(tmp_path / "two.pyz")
    assert (tmp_path / "one.pyz").read_bytes() == (tmp_path / "two.pyz").read_bytes()
